use std::fmt;
use std::time::Duration;
use wire::Protocol;
use zeroize::Zeroizing;

/// How the client reaches its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Transport {
    /// UDP: each message is a datagram; requests are sent again until they are answered.
    #[default]
    Udp,
    /// TCP, or TLS on TCP: messages lie end to end ([`next_frame`](crate::next_frame)); connection and TLS are the
    /// caller's.
    Stream,
}

impl Transport {
    pub(crate) const fn protocol(self) -> Protocol {
        match self {
            Self::Udp => Protocol::Udp,
            Self::Stream => Protocol::Tcp,
        }
    }
}

/// The relayed addresses that are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Families {
    /// One of IPv4, which needs no attribute and which every server has.
    #[default]
    Ipv4,
    /// One of IPv6 (REQUESTED-ADDRESS-FAMILY, RFC 8656 §18.6).
    Ipv6,
    /// One of each (ADDITIONAL-ADDRESS-FAMILY, RFC 8656 §18.11): a dual allocation, which may come with one of them
    /// only.
    Both,
}

/// What the server relays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Relayed {
    /// Datagrams.
    #[default]
    Udp,
    /// TCP connections (RFC 6062): only over [`Transport::Stream`].
    Tcp,
}

/// A long-term credential (RFC 8489 §9.2). The password is erased when dropped.
///
/// Both texts must have been processed with the OpaqueString profile (RFC 8265); ASCII without control characters is
/// left as it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    username: Box<str>,
    password: Zeroizing<Box<str>>,
}

impl Credentials {
    /// `None` when the username is empty or has more than 508 bytes (RFC 8489 §14.3).
    pub fn new(username: &str, password: &str) -> Option<Self> {
        (1..=508).contains(&username.len()).then(|| Self {
            username: username.into(),
            password: Zeroizing::new(password.into()),
        })
    }

    /// The username.
    pub const fn username(&self) -> &str {
        &self.username
    }

    pub(crate) fn password(&self) -> &str {
        &self.password
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({:?}, ..)", self.username)
    }
}

/// What a client is told at construction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How it reaches the server.
    pub transport: Transport,
    /// With what it answers a challenge; a server that challenges nobody needs none.
    pub credentials: Option<Credentials>,
    /// The relayed addresses that are asked for.
    pub families: Families,
    /// What is relayed.
    pub relayed: Relayed,
    /// SOFTWARE in requests for and about the allocation (RFC 8656 §5): fewer than 128 characters, or it is left out.
    pub software: Option<Box<str>>,
    /// The lifetime that is asked for; a server gives no less than its default, mostly 10 minutes. `None` leaves it to
    /// the server.
    pub lifetime: Option<Duration>,
    /// When a request is first sent again, before a round trip was measured (RFC 8489 §6.2.1: 500 ms).
    pub initial_rto: Duration,
    /// The least time after which a request is sent again.
    pub min_rto: Duration,
    /// How often a request is sent over UDP in all; at least 1 (Rc of RFC 8489 §6.2.1).
    pub max_requests: u32,
    /// After the last one so many times the RTO are waited (Rm of RFC 8489 §6.2.1).
    pub last_wait: u32,
    /// How long an answer on a stream is waited for (Ti of RFC 8489 §6.2.2).
    pub stream_timeout: Duration,
    /// How long the caller may take to connect again after [`Event::Reconnect`](crate::client::Event::Reconnect): then
    /// it is over.
    pub reconnect_timeout: Duration,
    /// Most transactions at one time; at least 2. Others wait for their turn.
    pub max_transactions: usize,
    /// Most peers at one time.
    pub max_peers: usize,
    /// Most channels, those included whose numbers must not be used again yet; at most 4096.
    pub max_channels: usize,
    /// Most bytes of data that wait for the CreatePermission that goes before them.
    pub max_waiting_bytes: usize,
    /// Most events that wait to be polled, beside those of the allocation itself; half of them may be
    /// [`Event::Icmp`](crate::client::Event::Icmp) and
    /// [`Event::ConnectionAttempt`](crate::client::Event::ConnectionAttempt), which peers cause.
    pub max_events: usize,
    /// Most times that another server or another local address is tried (RFC 8489 §10, RFC 8656 §7.4).
    pub max_reconnects: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            transport: Transport::Udp,
            credentials: None,
            families: Families::Ipv4,
            relayed: Relayed::Udp,
            software: None,
            lifetime: None,
            initial_rto: Duration::from_millis(500),
            min_rto: Duration::from_millis(100),
            max_requests: 7,
            last_wait: 16,
            stream_timeout: Duration::from_millis(39_500),
            reconnect_timeout: Duration::from_secs(30),
            max_transactions: 16,
            max_peers: 128,
            max_channels: 128,
            max_waiting_bytes: 16 * 1024,
            max_events: 64,
            max_reconnects: 5,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_does_not_tell_the_password() {
        let credentials = Credentials::new("user", "secret").unwrap();
        assert_eq!(format!("{credentials:?}"), "Credentials(\"user\", ..)");
        assert!(Credentials::new("", "x").is_none());
        assert!(Credentials::new(&"u".repeat(508), "x").is_some());
        assert!(Credentials::new(&"u".repeat(509), "x").is_none());
    }
}
