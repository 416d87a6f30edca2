use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// The scheme of a [`ServerUri`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// STUN over UDP or TCP (RFC 7064).
    Stun,
    /// STUN over TLS (RFC 7064).
    Stuns,
    /// TURN over UDP or TCP (RFC 7065).
    Turn,
    /// TURN over TLS (RFC 7065).
    Turns,
}

impl Scheme {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Stun, "stun"),
        (Self::Stuns, "stuns"),
        (Self::Turn, "turn"),
        (Self::Turns, "turns"),
    ];

    /// Whether the server relays, and not only answers Binding requests.
    pub const fn is_turn(self) -> bool {
        matches!(self, Self::Turn | Self::Turns)
    }

    /// Whether TLS (or DTLS) lies under it.
    pub const fn is_secure(self) -> bool {
        matches!(self, Self::Stuns | Self::Turns)
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            Self::ALL
                .iter()
                .find(|(scheme, _)| scheme == self)
                .map_or("", |(_, text)| text),
        )
    }
}

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// An address.
    Ip(IpAddr),
    /// A name to be resolved, in the case in which it was written.
    Name(Box<str>),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Ip(address) => write!(f, "{address}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// What lies between client and server; with a secure scheme TLS goes on top of it (DTLS, on UDP).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UriTransport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
}

/// A `stun:`, `stuns:`, `turn:` or `turns:` URI (RFC 7064, RFC 7065): the `urls` of an `RTCIceServer`.
///
/// ```
/// let uri: turn::ServerUri = "turns:relay.example.org?transport=tcp".parse()?;
/// assert_eq!((uri.port(), uri.transport()), (5349, turn::UriTransport::Tcp));
/// # Ok::<(), turn::UriError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServerUri {
    scheme: Scheme,
    host: Host,
    port: Option<u16>,
    transport: Option<UriTransport>,
}

impl ServerUri {
    /// The scheme.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host.
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// The port: 3478 unless it says so, or 5349 with TLS.
    pub fn port(&self) -> u16 {
        self.port
            .unwrap_or_else(|| if self.scheme.is_secure() { 5349 } else { 3478 })
    }

    /// The transport: UDP unless it says so, or TCP with a secure scheme.
    pub fn transport(&self) -> UriTransport {
        self.transport.unwrap_or_else(|| {
            if self.scheme.is_secure() {
                UriTransport::Tcp
            } else {
                UriTransport::Udp
            }
        })
    }
}

impl fmt::Display for ServerUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.scheme, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        match self.transport {
            None => Ok(()),
            Some(UriTransport::Udp) => f.write_str("?transport=udp"),
            Some(UriTransport::Tcp) => f.write_str("?transport=tcp"),
        }
    }
}

/// Why a text is no [`ServerUri`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UriError {
    /// Another scheme, or none.
    Scheme,
    /// No host, or one that is neither an address nor a name.
    Host,
    /// A port that is none of 1 to 65535.
    Port,
    /// A `transport` other than `udp` and `tcp`.
    Transport,
    /// Something after the port that must not stand there.
    Query,
}

impl fmt::Display for UriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "the URI of a server begins with `stun:`, `stuns:`, `turn:` or `turns:`",
            Self::Host => "after the scheme comes a name, an IPv4 address, or an IPv6 address in brackets",
            Self::Port => "a port is a number from 1 to 65535",
            Self::Transport => "the transport is `udp` or `tcp`",
            Self::Query => "only `?transport=` may follow, and only with `turn:` and `turns:`",
        })
    }
}

impl std::error::Error for UriError {}

impl FromStr for ServerUri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let (scheme, rest) = text.split_once(':').ok_or(UriError::Scheme)?;
        // RFC 3986 §3.1: schemes are the same in either case.
        let (scheme, _) = *Scheme::ALL
            .iter()
            .find(|(_, name)| name.eq_ignore_ascii_case(scheme))
            .ok_or(UriError::Scheme)?;
        let (authority, query) = match rest.split_once('?') {
            Some((authority, query)) => (authority, Some(query)),
            None => (rest, None),
        };
        let (host, port) = split_port(authority)?;
        Ok(Self {
            scheme,
            host: parse_host(host)?,
            port: port.map(parse_port).transpose()?.flatten(),
            transport: query.map(|query| parse_query(scheme, query)).transpose()?,
        })
    }
}

/// The host with its brackets, and what follows the colon.
fn split_port(authority: &str) -> Result<(&str, Option<&str>), UriError> {
    if authority.starts_with('[') {
        let (host, rest) = authority.split_once(']').ok_or(UriError::Host)?;
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(UriError::Host),
        };
    }
    Ok(match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    })
}

fn parse_host(host: &str) -> Result<Host, UriError> {
    if let Some(address) = host.strip_prefix('[') {
        let address: Ipv6Addr = address.parse().map_err(|_| UriError::Host)?;
        return Ok(Host::Ip(IpAddr::V6(address)));
    }
    if let Ok(address) = host.parse::<std::net::Ipv4Addr>() {
        return Ok(Host::Ip(IpAddr::V4(address)));
    }
    // RFC 3986 allows more in a registered name, but DNS resolves no more (RFC 1035 §2.3.4 bounds its length).
    let label = |label: &str| (1..=63).contains(&label.len());
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let legal = host.len() <= 253 && host.chars().all(known) && host.trim_end_matches('.').split('.').all(label);
    legal.then(|| Host::Name(host.into())).ok_or(UriError::Host)
}

/// RFC 3986 §3.2.3: a port may be empty, and is then the default.
fn parse_port(port: &str) -> Result<Option<u16>, UriError> {
    if port.is_empty() {
        return Ok(None);
    }
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|&port: &u16| digits && port != 0);
    port.map(Some).ok_or(UriError::Port)
}

fn parse_query(scheme: Scheme, query: &str) -> Result<UriTransport, UriError> {
    let transport = query.strip_prefix("transport=").filter(|_| scheme.is_turn());
    let transport = transport.ok_or(UriError::Query)?;
    if transport.eq_ignore_ascii_case("udp") {
        Ok(UriTransport::Udp)
    } else if transport.eq_ignore_ascii_case("tcp") {
        Ok(UriTransport::Tcp)
    } else {
        Err(UriError::Transport)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> ServerUri {
        text.parse().unwrap()
    }

    #[test]
    fn the_examples_of_the_rfcs_are_read() {
        // RFC 7064 appendix A and RFC 7065 appendix A.
        for (text, scheme, port, transport) in [
            ("stun:example.org", Scheme::Stun, 3478, UriTransport::Udp),
            ("stuns:example.org", Scheme::Stuns, 5349, UriTransport::Tcp),
            ("stun:example.org:8000", Scheme::Stun, 8000, UriTransport::Udp),
            ("turn:example.org", Scheme::Turn, 3478, UriTransport::Udp),
            ("turns:example.org", Scheme::Turns, 5349, UriTransport::Tcp),
            ("turn:example.org:8000", Scheme::Turn, 8000, UriTransport::Udp),
            ("turn:example.org?transport=udp", Scheme::Turn, 3478, UriTransport::Udp),
            ("turn:example.org?transport=tcp", Scheme::Turn, 3478, UriTransport::Tcp),
            (
                "turns:example.org?transport=tcp",
                Scheme::Turns,
                5349,
                UriTransport::Tcp,
            ),
        ] {
            let uri = parse(text);
            assert_eq!((uri.scheme(), uri.port(), uri.transport()), (scheme, port, transport));
            assert_eq!(uri.host(), &Host::Name("example.org".into()));
            assert_eq!(uri.to_string(), text);
        }
    }

    #[test]
    fn addresses_are_told_from_names() {
        assert_eq!(
            parse("turn:192.0.2.1:1").host(),
            &Host::Ip("192.0.2.1".parse().unwrap())
        );
        let uri = parse("TURN:[2001:db8::1]:99?transport=TCP");
        assert_eq!(uri.host(), &Host::Ip("2001:db8::1".parse().unwrap()));
        assert_eq!(uri.to_string(), "turn:[2001:db8::1]:99?transport=tcp");
        assert_eq!(parse("turn:[::1]").port(), 3478);
        assert_eq!(parse("turn:a:").port(), 3478);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let fault = |text: &str| text.parse::<ServerUri>().unwrap_err();
        assert_eq!(fault("example.org"), UriError::Scheme);
        assert_eq!(fault("http://example.org"), UriError::Scheme);
        for text in [
            "turn:",
            "turn://a",
            "turn:a b",
            "turn:[::1",
            "turn:[::1]x",
            "turn:[1.2.3.4]",
            "turn:a..b",
            "turn:user@a",
        ] {
            assert_eq!(fault(text), UriError::Host, "{text}");
        }
        assert_eq!(fault(&format!("turn:{}", "a".repeat(64))), UriError::Host);
        for text in ["turn:a:0", "turn:a:65536", "turn:a:+1", "turn:a:x"] {
            assert_eq!(fault(text), UriError::Port, "{text}");
        }
        assert_eq!(fault("turn:a?transport=sctp"), UriError::Transport);
        assert_eq!(fault("turn:a?x=y"), UriError::Query);
        assert_eq!(fault("stun:a?transport=udp"), UriError::Query);
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(
            scheme in 0_usize..4,
            host in "[a-z0-9-]{1,20}(\\.[a-z]{2,8}){0,2}|\\[[0-9a-f]{1,4}::[0-9a-f]{1,4}\\]|[0-9]{1,2}(\\.[0-9]{1,2}){3}",
            port in prop::option::of(1_u16..),
            transport in prop::option::of(any::<bool>()),
        ) {
            let (scheme, name) = Scheme::ALL[scheme];
            let mut text = format!("{name}:{host}");
            if let Some(port) = port {
                text.push_str(&format!(":{port}"));
            }
            if let Some(tcp) = transport.filter(|_| scheme.is_turn()) {
                text.push_str(if tcp { "?transport=tcp" } else { "?transport=udp" });
            }
            let Ok(uri) = text.parse::<ServerUri>() else { return Ok(()) };
            prop_assert_eq!(uri.to_string().parse::<ServerUri>().unwrap(), uri);
        }

        #[test]
        fn no_text_breaks_it(text in ".{0,60}") {
            if let Ok(uri) = text.parse::<ServerUri>() {
                prop_assert_eq!(uri.to_string().parse::<ServerUri>().unwrap(), uri);
            }
        }
    }
}
