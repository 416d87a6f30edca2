use core::fmt;
use core::net::SocketAddr;

use crate::address::Address;
use crate::scan::{self, Scanner};
use crate::{List, Rule};

/// `a=candidate`: an address at which a peer may be reached (RFC 8839 §5.1, RFC 6544 §4.5).
///
/// ```
/// let text = "candidate:1 1 udp 2122194687 192.0.2.2 51697 typ host generation 0";
/// let candidate = sdp::Candidate::parse(text).unwrap();
/// assert_eq!(candidate.socket_addr(), Some("192.0.2.2:51697".parse().unwrap()));
/// assert_eq!(candidate.extension("generation"), Some("0"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// Equal for candidates of the same type, base and server; 1 to 32 ice-chars.
    pub foundation: &'a str,
    /// 1 for RTP and data, 2 for RTCP that is not multiplexed; 1 to 256.
    pub component: u16,
    /// The transport below.
    pub transport: Transport<'a>,
    /// Larger is better.
    pub priority: u32,
    /// The address; a name when a browser hides it behind mDNS.
    pub address: Address<'a>,
    /// The port; 9 for TCP candidates that connect and do not listen.
    pub port: u16,
    /// Where the address comes from.
    pub kind: CandidateKind<'a>,
    /// The address behind the candidate, for diagnostics.
    pub related: Option<(Address<'a>, u16)>,
    /// Who connects, for TCP.
    pub tcp_type: Option<TcpType>,
    /// Pairs of name and value.
    pub extensions: Extensions<'a>,
}

impl<'a> Candidate<'a> {
    /// A host candidate for UDP with component 1 and nothing else.
    pub const fn host(foundation: &'a str, priority: u32, addr: SocketAddr) -> Self {
        Self {
            foundation,
            component: 1,
            transport: Transport::Udp,
            priority,
            address: Address::Ip(addr.ip()),
            port: addr.port(),
            kind: CandidateKind::Host,
            related: None,
            tcp_type: None,
            extensions: Extensions { text: "" },
        }
    }

    /// Reads the value of `a=candidate`; the words `candidate:` or `a=candidate:` may stand before it, as in the
    /// strings that browsers trickle.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(text: &'a str) -> Result<Self, Rule> {
        const FIELDS: &str = "a=candidate is foundation, component, transport, priority, address, port, \"typ\" and a type (RFC 8839 §5.1)";
        let value = text.strip_prefix("a=").unwrap_or(text);
        let mut fields = Scanner::new(value.strip_prefix("candidate:").unwrap_or(value));

        let foundation = fields.need(FIELDS)?;
        if foundation.len() > 32 || !scan::is_ice(foundation) {
            return Err(Rule(
                "a candidate's foundation is 1 to 32 letters, digits, + or / (RFC 8839 §5.1)",
            ));
        }
        let component = scan::decimal_u16(fields.need(FIELDS)?)
            .filter(|n| (1..=256).contains(n))
            .ok_or(Rule(
                "a candidate's component is a number from 1 to 256 (RFC 8839 §5.1)",
            ))?;
        let transport = Transport::parse(fields.need(FIELDS)?)?;
        let priority = scan::decimal_u32(fields.need(FIELDS)?).ok_or(Rule(
            "a candidate's priority is a number of at most 32 bits (RFC 8839 §5.1)",
        ))?;
        let address = Address::parse(fields.need(FIELDS)?)?;
        let port = port(fields.need(FIELDS)?)?;
        if fields.word() != "typ" {
            return Err(Rule(FIELDS));
        }
        let kind = CandidateKind::parse(fields.need(FIELDS)?)?;
        let related = related(&mut fields)?;
        let extensions = Extensions::parse(fields.rest())?;
        let tcp_type = match extensions.iter_all().find(|(name, _)| *name == TCP_TYPE) {
            None => None,
            Some((_, value)) => Some(TcpType::parse(value)?),
        };
        Ok(Self {
            foundation,
            component,
            transport,
            priority,
            address,
            port,
            kind,
            related,
            tcp_type,
            extensions,
        })
    }

    /// Address and port, unless the address is a name.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.address.ip()?, self.port))
    }

    /// The value of an extension such as `ufrag`, `generation`, `network-id`, `network-cost`.
    pub fn extension(&self, name: &str) -> Option<&'a str> {
        self.extensions.iter().find(|(n, _)| *n == name).map(|(_, value)| value)
    }
}

/// The value of the attribute, without `candidate:`.
impl fmt::Display for Candidate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            foundation,
            component,
            transport,
            priority,
            address,
            port,
            kind,
            ..
        } = self;
        write!(
            f,
            "{foundation} {component} {transport} {priority} {address} {port} typ {kind}"
        )?;
        if let Some((address, port)) = self.related {
            write!(f, " raddr {address} rport {port}")?;
        }
        if let Some(tcp_type) = self.tcp_type {
            write!(f, " {TCP_TYPE} {tcp_type}")?;
        }
        for (name, value) in self.extensions.iter() {
            write!(f, " {name} {value}")?;
        }
        Ok(())
    }
}

/// What carries a candidate's datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport<'a> {
    /// UDP; Chromium writes it small, Firefox in capitals.
    Udp,
    /// TCP with the framing of RFC 4571 (RFC 6544).
    Tcp,
    /// Some other token.
    Other(&'a str),
}

impl<'a> Transport<'a> {
    fn parse(text: &'a str) -> Result<Self, Rule> {
        if text.eq_ignore_ascii_case("udp") {
            Ok(Self::Udp)
        } else if text.eq_ignore_ascii_case("tcp") {
            Ok(Self::Tcp)
        } else if scan::is_token(text) {
            Ok(Self::Other(text))
        } else {
            Err(Rule(
                "a candidate's transport is a token such as udp or tcp (RFC 8839 §5.1)",
            ))
        }
    }
}

impl fmt::Display for Transport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Other(token) => token,
        })
    }
}

/// Where a candidate's address comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CandidateKind<'a> {
    /// A local interface.
    Host,
    /// What a STUN server saw.
    ServerReflexive,
    /// What the peer saw in a check.
    PeerReflexive,
    /// A TURN server's.
    Relayed,
    /// Some other token.
    Other(&'a str),
}

impl<'a> CandidateKind<'a> {
    fn parse(text: &'a str) -> Result<Self, Rule> {
        match text {
            "host" => Ok(Self::Host),
            "srflx" => Ok(Self::ServerReflexive),
            "prflx" => Ok(Self::PeerReflexive),
            "relay" => Ok(Self::Relayed),
            other if scan::is_token(other) => Ok(Self::Other(other)),
            _ => Err(Rule(
                "a candidate's type is host, srflx, prflx, relay or another token (RFC 8839 §5.1)",
            )),
        }
    }
}

impl fmt::Display for CandidateKind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::ServerReflexive => "srflx",
            Self::PeerReflexive => "prflx",
            Self::Relayed => "relay",
            Self::Other(token) => token,
        })
    }
}

const TCP_TYPE: &str = "tcptype";

/// Who connects a TCP candidate (RFC 6544 §4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TcpType {
    /// It connects and does not listen.
    Active,
    /// It listens.
    Passive,
    /// Both sides connect at once.
    SimultaneousOpen,
}

impl TcpType {
    fn parse(text: &str) -> Result<Self, Rule> {
        match text {
            "active" => Ok(Self::Active),
            "passive" => Ok(Self::Passive),
            "so" => Ok(Self::SimultaneousOpen),
            _ => Err(Rule("a candidate's tcptype is active, passive or so (RFC 6544 §4.5)")),
        }
    }
}

impl fmt::Display for TcpType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::SimultaneousOpen => "so",
        })
    }
}

/// The pairs of name and value at the end of a candidate. `tcptype` is not among them: it has its own field.
///
/// Equal when the pairs are: where `tcptype` stood, and how many spaces there were, is of the text and not of the
/// pairs.
#[derive(Clone, Copy, Default)]
pub struct Extensions<'a> {
    text: &'a str,
}

impl<'a> Extensions<'a> {
    /// Reads pairs separated by spaces.
    ///
    /// # Errors
    /// When a name has no value or is not a token.
    pub fn parse(text: &'a str) -> Result<Self, Rule> {
        let mut fields = Scanner::new(text);
        loop {
            let name = fields.word();
            if name.is_empty() {
                return Ok(Self { text });
            }
            let value = fields.word();
            if !scan::is_token(name) || !scan::is_visible(value) {
                return Err(Rule(
                    "what follows a candidate's type is pairs of a name and a value (RFC 8839 §5.1)",
                ));
            }
        }
    }

    /// The pairs in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.iter_all().filter(|(name, _)| *name != TCP_TYPE)
    }

    fn iter_all(self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let mut fields = Scanner::new(self.text);
        core::iter::from_fn(move || {
            let name = fields.word();
            (!name.is_empty()).then(|| (name, fields.word()))
        })
    }
}

impl PartialEq for Extensions<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Extensions<'_> {}

impl fmt::Debug for Extensions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// `a=remote-candidates`: what the controlling agent selected (RFC 8839 §5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteCandidates<'a> {
    words: List<'a, &'a str>,
}

impl<'a> RemoteCandidates<'a> {
    /// Reads the value of `a=remote-candidates`.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(value: &'a str) -> Result<Self, Rule> {
        const RULE: &str = "a=remote-candidates is triples of component, address and port (RFC 8839 §5.2)";
        let mut fields = Scanner::new(value);
        loop {
            scan::decimal_u16(fields.need(RULE)?)
                .filter(|n| (1..=256).contains(n))
                .ok_or(Rule(RULE))?;
            Address::parse(fields.need(RULE)?)?;
            port(fields.need(RULE)?)?;
            if fields.rest().is_empty() {
                return Ok(Self {
                    words: List::text(value),
                });
            }
        }
    }

    /// Component, address and port of each.
    pub fn iter(&self) -> impl Iterator<Item = (u16, Address<'a>, u16)> + use<'a> {
        let mut words = self.words.iter();
        core::iter::from_fn(move || {
            let component = scan::decimal_u16(words.next()?)?;
            let address = Address::parse(words.next()?).ok()?;
            Some((component, address, scan::decimal_u16(words.next()?)?))
        })
    }
}

impl fmt::Display for RemoteCandidates<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.words.fmt(f)
    }
}

fn port(text: &str) -> Result<u16, Rule> {
    scan::decimal_u16(text).ok_or(Rule("a port is a number from 0 to 65535"))
}

fn related<'a>(fields: &mut Scanner<'a>) -> Result<Option<(Address<'a>, u16)>, Rule> {
    const BOTH: Rule = Rule("raddr and an address go together with rport and a port (RFC 8839 §5.1)");
    let mut ahead = *fields;
    if ahead.word() != "raddr" {
        return Ok(None);
    }
    let address = Address::parse(ahead.word())?;
    if ahead.word() != "rport" {
        return Err(BOTH);
    }
    let port = port(ahead.word())?;
    *fields = ahead;
    Ok(Some((address, port)))
}

#[cfg(test)]
mod tests {
    use std::{string::ToString, vec, vec::Vec};

    use super::*;

    #[test]
    fn browsers_candidates() {
        for text in [
            "1150733312 1 udp 2122194687 192.0.2.2 51697 typ host generation 0 network-id 1",
            "978923160 1 tcp 1518214911 192.0.2.2 9 typ host tcptype active generation 0 network-id 1",
            "1 1 udp 2113937151 3b9d4a4e-0b0e-4e56-8d2c-9f6a4c6f3c7e.local 54321 typ host generation 0 ufrag A/b+ network-cost 999",
            "2 1 udp 1694498815 192.0.2.3 45664 typ srflx raddr 203.0.113.141 rport 8998",
            "3 2 udp 1 fd00::2 1 typ relay raddr :: rport 9",
        ] {
            assert_eq!(Candidate::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn fields() {
        let tcp = Candidate::parse("a=candidate:2 1 TCP 2105458943 192.0.2.2 9 typ host generation 0 tcptype passive")
            .unwrap();
        assert_eq!(tcp.transport, Transport::Tcp);
        assert_eq!(tcp.tcp_type, Some(TcpType::Passive));
        assert_eq!(tcp.extensions.iter().collect::<Vec<_>>(), vec![("generation", "0")]);
        let rtcp = Candidate::parse("candidate:0 2 UDP 2122187006 192.0.2.2 44993 typ host").unwrap();
        assert_eq!((rtcp.component, rtcp.transport), (2, Transport::Udp));
        let mdns = Candidate::parse("1 1 udp 1 a.local 5 typ host").unwrap();
        assert!(mdns.address.is_mdns() && mdns.socket_addr().is_none());
        let spaced = Candidate::parse("1 1 tcp 1 192.0.2.2 9 typ host generation  0 tcptype active ufrag  x ").unwrap();
        assert_eq!(Candidate::parse(&spaced.to_string()), Ok(spaced));
        assert_ne!(
            Candidate::parse("1 1 udp 1 192.0.2.2 9 typ host generation 0"),
            Candidate::parse("1 1 udp 1 192.0.2.2 9 typ host generation 1"),
        );
        let host = Candidate::host("1", 2_130_706_431, "[fd00::2]:4000".parse().unwrap());
        assert_eq!(Candidate::parse(&host.to_string()), Ok(host));
    }

    #[test]
    fn rules() {
        for bad in [
            "",
            "1 1 udp 1 192.0.2.2 5",
            "1 1 udp 1 192.0.2.2 5 host",
            "- 1 udp 1 192.0.2.2 5 typ host",
            "123456789012345678901234567890123 1 udp 1 192.0.2.2 5 typ host",
            "1 0 udp 1 192.0.2.2 5 typ host",
            "1 257 udp 1 192.0.2.2 5 typ host",
            "1 1 u/p 1 192.0.2.2 5 typ host",
            "1 1 udp 4294967296 192.0.2.2 5 typ host",
            "1 1 udp 1 [::1] 5 typ host",
            "1 1 udp 1 192.0.2.2 65536 typ host",
            "1 1 udp 1 192.0.2.2 5 typ host odd",
            "1 1 udp 1 192.0.2.2 5 typ srflx raddr 1.2.3.4",
            "1 1 udp 1 192.0.2.2 5 typ srflx raddr 1.2.3.4 rport x",
            "1 1 tcp 1 192.0.2.2 5 typ host tcptype neither",
        ] {
            assert!(Candidate::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn remote_candidates() {
        let text = "1 192.0.2.3 45664 2 192.0.2.3 45665";
        let remote = RemoteCandidates::parse(text).unwrap();
        assert_eq!(
            remote.iter().map(|(c, _, p)| (c, p)).collect::<Vec<_>>(),
            vec![(1, 45664), (2, 45665)]
        );
        assert!(RemoteCandidates::parse("1 192.0.2.3").is_err());
        assert!(RemoteCandidates::parse("").is_err());
    }
}
