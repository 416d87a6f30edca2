use core::fmt;
use std::net::{IpAddr, SocketAddr};

use turn::client::Credentials;
use turn::{Host, Scheme, ServerUri, UriError, UriTransport};

/// Which candidates are gathered and used (`RTCIceTransportPolicy`, RFC 9429 §4.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum IceTransportPolicy {
    /// All of them.
    #[default]
    All,
    /// Relayed ones only: the peer learns no address of ours, and nothing but the TURN servers is spoken to.
    Relay,
}

/// A STUN or TURN server (`RTCIceServer`), with the addresses that its name stands for: whoever does I/O resolves
/// names.
///
/// ```
/// let login = Some(("ann", "secret"));
/// let server = peer::IceServer::new("turn:turn.example.org", &["192.0.2.3".parse()?], login)?;
/// assert_eq!(server.uri().port(), 3478);
/// assert!(peer::IceServer::new("stun:192.0.2.3", &[], None).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IceServer {
    uri: ServerUri,
    addresses: Vec<IpAddr>,
    credentials: Option<Credentials>,
}

impl IceServer {
    /// The most addresses of TURN servers that a peer asks for relays: those of
    /// [`Config::ice_servers`](crate::Config::ice_servers) beyond are counted and left aside. STUN servers may be any
    /// number.
    pub const MAX: usize = 8;

    /// A server. `uri` is a `stun:`, `turn:` or `turns:` URI (RFC 7064, RFC 7065); `addresses` are those of its name,
    /// and not looked at where the URI has an address itself; `login` is user name and password, which TURN needs.
    ///
    /// # Errors
    /// A sentence that says what to do.
    pub fn new(uri: &str, addresses: &[IpAddr], login: Option<(&str, &str)>) -> Result<Self, IceServerError> {
        let uri: ServerUri = uri.parse().map_err(IceServerError::Uri)?;
        match (uri.scheme(), uri.transport()) {
            (Scheme::Stuns, _) => return Err(IceServerError::StunOverTls),
            (Scheme::Turns, UriTransport::Udp) => return Err(IceServerError::TurnOverDtls),
            _ => {}
        }
        let addresses = match uri.host() {
            Host::Ip(address) => vec![*address],
            Host::Name(name) if addresses.is_empty() => return Err(IceServerError::Unresolved(name.to_string())),
            Host::Name(_) => addresses.to_vec(),
        };
        let credentials = match login {
            Some((name, password)) => Some(Credentials::new(name, password).ok_or(IceServerError::UserName)?),
            None if uri.scheme().is_turn() => return Err(IceServerError::NoCredentials),
            None => None,
        };
        Ok(Self {
            uri,
            addresses,
            credentials,
        })
    }

    /// Its URI.
    pub const fn uri(&self) -> &ServerUri {
        &self.uri
    }

    /// Whether it is reached over UDP; to others a stream is needed
    /// ([`Event::OpenRelayStream`](crate::Event::OpenRelayStream)).
    pub fn is_over_udp(&self) -> bool {
        !self.uri.scheme().is_secure() && self.uri.transport() == UriTransport::Udp
    }

    pub(crate) const fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// Where it listens.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.addresses
            .iter()
            .map(|address| SocketAddr::new(*address, self.uri.port()))
    }

    /// The name that its certificate must have, where TLS lies under TURN.
    pub(crate) fn tls_name(&self) -> Option<String> {
        let secure = self.uri.scheme().is_secure();
        secure.then(|| match self.uri.host() {
            Host::Ip(address) => address.to_string(),
            Host::Name(name) => name.to_string(),
        })
    }
}

/// Why a server cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IceServerError {
    /// The URI is malformed.
    Uri(UriError),
    /// No address was given for this name.
    Unresolved(String),
    /// A TURN server without user name and password.
    NoCredentials,
    /// The user name is empty, or has more than 508 bytes.
    UserName,
    /// `stuns:`.
    StunOverTls,
    /// `turns:` over UDP.
    TurnOverDtls,
}

impl fmt::Display for IceServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uri(error) => return error.fmt(f),
            Self::Unresolved(name) => {
                return write!(
                    f,
                    "no address was given for the server `{name}`; resolve its name first"
                );
            }
            Self::NoCredentials => "a TURN server needs a user name and a password; give them",
            Self::UserName => "the user name for a TURN server has 1 to 508 bytes; check it",
            Self::StunOverTls => "STUN over TLS tells no address that media could use; give the server as `stun:`",
            Self::TurnOverDtls => "TURN over DTLS is not known here; give the server as `turns:` without a transport",
        })
    }
}

impl core::error::Error for IceServerError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_cannot_be_used_is_refused_with_a_sentence() {
        let login = Some(("ann", "secret"));
        let fault = |uri: &str, login| IceServer::new(uri, &[], login).unwrap_err();
        assert_eq!(fault("http:a", None), IceServerError::Uri(UriError::Scheme));
        assert_eq!(
            fault("stun:a.example", None),
            IceServerError::Unresolved("a.example".into())
        );
        assert_eq!(fault("stuns:192.0.2.1", None), IceServerError::StunOverTls);
        assert_eq!(fault("turn:192.0.2.1", None), IceServerError::NoCredentials);
        assert_eq!(fault("turn:192.0.2.1", Some(("", "x"))), IceServerError::UserName);
        assert_eq!(
            fault("turns:192.0.2.1?transport=udp", login),
            IceServerError::TurnOverDtls
        );
        for error in [fault("stun:a", None), fault("turn:192.0.2.1", None)] {
            assert!(error.to_string().len() > 40, "{error}");
        }
    }

    #[test]
    fn the_port_is_that_of_the_uri_and_debug_keeps_the_password() {
        let both = ["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        let server = IceServer::new("turns:turn.example.org", &both, Some(("ann", "secret"))).unwrap();
        let addresses: Vec<String> = server.addresses().map(|address| address.to_string()).collect();
        assert_eq!(addresses, ["192.0.2.1:5349", "[2001:db8::1]:5349"]);
        assert_eq!(server.tls_name().as_deref(), Some("turn.example.org"));
        assert!(!format!("{server:?}").contains("secret"));
        let literal = IceServer::new("stun:192.0.2.9:7", &both, None).unwrap();
        assert_eq!(
            literal.addresses().collect::<Vec<_>>(),
            ["192.0.2.9:7".parse().unwrap()]
        );
    }
}
