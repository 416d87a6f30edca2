use super::nonce::NONCE_LEN;
use super::policy::PeerPolicy;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;
use stun::ErrorCode;

/// The most bytes of an answer that anybody can cause, 401 or 438.
pub(super) const MAX_REFUSAL: usize = 128;

/// What a [`Server`](super::Server) is to do.
#[derive(Clone)]
pub struct ServerConfig {
    /// Names the server's realm of usernames (RFC 8489 §14.9): 1 to 32 bytes, best a domain name.
    pub realm: String,
    /// Usernames and passwords (RFC 8489 §9.2).
    pub users: Vec<(String, String)>,
    /// What passwords for usernames `expiry[:id]` are made with ([`timed_password`](crate::timed_password)): at most
    /// two, so that one can follow the other. `expiry` is in seconds of Unix time.
    pub secrets: Vec<String>,
    /// Where IPv4 is relayed from; without it there is none.
    pub ipv4: Option<RelayAddress>,
    /// Where IPv6 is relayed from; without it there is none.
    pub ipv6: Option<RelayAddress>,
    /// The ports that are relayed from, in each family.
    pub ports: RangeInclusive<u16>,
    /// Where the server listens for clients: these ports are never peers on any of its addresses. Their addresses are
    /// the machine's own, as those of [`Server::set_addresses`](super::Server::set_addresses).
    pub listeners: Vec<SocketAddr>,
    /// Who may be a peer.
    pub peers: PeerPolicy,
    /// Whether TCP is relayed (RFC 6062) for clients that come over TCP or TLS.
    pub tcp_relay: bool,
    /// Whether the driver can set DF on what it sends to peers.
    pub dont_fragment: bool,
    /// The lifetime of an allocation when none, or a shorter one, is asked for (RFC 8656 §3.2: 10 minutes).
    pub default_lifetime: Duration,
    /// The longest lifetime (RFC 8656 §7.2: at most an hour is recommended).
    pub max_lifetime: Duration,
    /// How long a nonce is good (RFC 8656 §5: at most an hour).
    pub nonce_lifetime: Duration,
    /// How much of everything.
    pub limits: ServerLimits,
}

/// Where a family is relayed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayAddress {
    /// What relay sockets are bound to.
    pub bind: IpAddr,
    /// What clients are told, which differs behind a NAT that maps every port to the same.
    pub external: IpAddr,
}

impl RelayAddress {
    /// An address that is its own.
    pub const fn new(ip: IpAddr) -> Self {
        Self { bind: ip, external: ip }
    }
}

/// How much there may be of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerLimits {
    /// Allocations in all.
    pub allocations: usize,
    /// Relay sockets, listeners and peers' TCP connections in all: an allocation has one socket or two, one more with a
    /// reserved port, and of TCP as many connections as below.
    pub sockets: usize,
    /// As many as these of one user, who is told from others as for allocations.
    pub sockets_per_user: usize,
    /// As many as these of all clients that use the name of a user with a password.
    pub sockets_per_name: usize,
    /// Allocations of one user, reserved ports counted with them; of a username with a time, of its id, and
    /// of a user with a password, of each /24 or /56 that clients with its name come from.
    pub allocations_per_user: usize,
    /// Allocations of all clients that use the name of a user with a password, reserved ports counted with them.
    pub allocations_per_name: usize,
    /// Permissions of one allocation.
    pub permissions: usize,
    /// Channels of one allocation.
    pub channels: usize,
    /// Reserved ports in all (RFC 8656 §7.2).
    pub reservations: usize,
    /// Peers' TCP connections of one allocation (RFC 6062).
    pub connections: usize,
    /// Peers' TCP connections of one user, as for allocations, that are being opened or not claimed yet: each is held
    /// for up to 30 s.
    pub unclaimed_connections: usize,
    /// What an allocation may relay to peers, and to its client, in bytes of data per second each: of UDP what is
    /// beyond is dropped, of TCP it waits.
    pub bytes_per_second: u64,
    /// How much of that may come at once, in bytes.
    pub burst_bytes: u64,
    /// 401, 438 and 400 answers over UDP without a password's proof, per second and /24 or /56 of senders: 1 to 1000.
    /// The 5-tuple of an allocation has one a second for itself.
    pub refusals_per_second: u32,
    /// How many of them may come at once.
    pub refusals_burst: u32,
    /// Requests of one user, as for allocations, per second: 1 to 1000. Those beyond are dropped.
    pub requests_per_second: u32,
    /// How many of them may come at once.
    pub requests_burst: u32,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            allocations: 10_000,
            sockets: 20_000,
            sockets_per_user: 400,
            sockets_per_name: 10_000,
            allocations_per_user: 100,
            allocations_per_name: 5000,
            permissions: 64,
            channels: 64,
            reservations: 1000,
            connections: 16,
            unclaimed_connections: 64,
            bytes_per_second: 4_000_000,
            burst_bytes: 2_000_000,
            refusals_per_second: 10,
            refusals_burst: 50,
            requests_per_second: 200,
            requests_burst: 2000,
        }
    }
}

impl Default for ServerConfig {
    /// The times and limits that are usual, without users, addresses and listeners.
    fn default() -> Self {
        Self {
            realm: "hyaline".to_owned(),
            users: Vec::new(),
            secrets: Vec::new(),
            ipv4: None,
            ipv6: None,
            ports: 49_152..=65_535,
            listeners: Vec::new(),
            peers: PeerPolicy::default(),
            tcp_relay: true,
            dont_fragment: true,
            default_lifetime: Duration::from_secs(600),
            max_lifetime: Duration::from_secs(3600),
            nonce_lifetime: Duration::from_secs(3600),
            limits: ServerLimits::default(),
        }
    }
}

impl ServerConfig {
    /// Where a family is relayed from.
    pub(super) const fn relay_address(&self, family: Family) -> Option<RelayAddress> {
        match family {
            Family::V4 => self.ipv4,
            Family::V6 => self.ipv6,
        }
    }

    /// What is wrong with it.
    pub(super) fn check(&self) -> Result<(), ServerConfigError> {
        let refusal = refusal_len(&self.realm);
        if self.realm.is_empty() || refusal > MAX_REFUSAL {
            return Err(ServerConfigError::Realm { refusal });
        }
        let long = |(name, _): &&(String, String)| name.is_empty() || name.len() > 508;
        if let Some((name, _)) = self.users.iter().find(long) {
            return Err(ServerConfigError::Username { len: name.len() });
        }
        if self.users.is_empty() && self.secrets.is_empty() {
            return Err(ServerConfigError::NoUsers);
        }
        if self.secrets.len() > 2 || self.secrets.iter().any(String::is_empty) {
            return Err(ServerConfigError::Secrets);
        }
        if self.ports.is_empty() || *self.ports.start() < 1024 {
            return Err(ServerConfigError::Ports(self.ports.clone()));
        }
        let relays = [(self.ipv4, true), (self.ipv6, false)];
        let fits = |(relay, v4): &(Option<RelayAddress>, bool)| {
            relay.is_none_or(|relay| {
                relay.bind.is_ipv4() == *v4 && relay.external.is_ipv4() == *v4 && !relay.external.is_unspecified()
            })
        };
        if relays.iter().all(|(relay, _)| relay.is_none()) || !relays.iter().all(fits) {
            return Err(ServerConfigError::RelayAddress);
        }
        if self.default_lifetime.is_zero() || self.max_lifetime < self.default_lifetime {
            return Err(ServerConfigError::Lifetimes);
        }
        Ok(())
    }
}

/// How long the longest answer is that anybody can cause: header, ERROR-CODE, REALM, NONCE and PASSWORD-ALGORITHMS.
const fn refusal_len(realm: &str) -> usize {
    20 + padded(4 + "Unauthenticated".len()) + padded(realm.len()) + padded(NONCE_LEN) + padded(8)
}

const fn padded(len: usize) -> usize {
    4 + len.next_multiple_of(4)
}

impl fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerConfig")
            .field("realm", &self.realm)
            .field("users", &self.users.len())
            .field("secrets", &self.secrets.len())
            .field("ipv4", &self.ipv4)
            .field("ipv6", &self.ipv6)
            .field("ports", &self.ports)
            .field("listeners", &self.listeners)
            .field("peers", &self.peers)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Why a [`ServerConfig`] cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerConfigError {
    /// The realm is empty, or so long that a refusal would be longer than what made it.
    Realm {
        /// Bytes of a refusal with this realm.
        refusal: usize,
    },
    /// A username is empty or too long for STUN.
    Username {
        /// Its bytes.
        len: usize,
    },
    /// Nobody could use the server.
    NoUsers,
    /// There are too many secrets, or one is empty.
    Secrets,
    /// The range is empty, or has ports below 1024.
    Ports(RangeInclusive<u16>),
    /// There is no address to relay from, or one of the wrong family.
    RelayAddress,
    /// They are zero, or the default exceeds the maximum.
    Lifetimes,
}

impl fmt::Display for ServerConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Realm { refusal } => write!(
                f,
                "choose a realm of 1 to 32 bytes for TURN: with this one the answer to a stranger has {refusal} bytes, \
                 and more than {MAX_REFUSAL} would help those who flood others"
            ),
            Self::Username { len } => {
                write!(f, "choose usernames of 1 to 508 bytes for TURN: there is one of {len}")
            }
            Self::NoUsers => {
                f.write_str("give TURN a user with a password, or a secret: without one nobody can use it")
            }
            Self::Secrets => {
                f.write_str("give TURN at most two secrets, the old and the new one, neither of them empty")
            }
            Self::Ports(range) => write!(
                f,
                "choose a range of relay ports from 1024 to 65535, the lower one first: {}-{} is none",
                range.start(),
                range.end()
            ),
            Self::RelayAddress => f.write_str(
                "give TURN an address to relay from: an IPv4 address for IPv4, an IPv6 address for IPv6, and one that \
                 clients can be told where it is bound to all",
            ),
            Self::Lifetimes => {
                f.write_str("let TURN's default lifetime be above zero and at most its longest lifetime")
            }
        }
    }
}

impl std::error::Error for ServerConfigError {}

/// The address families, as places in arrays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) const ALL: [Self; 2] = [Self::V4, Self::V6];

    pub(super) const fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    pub(super) fn from_wire(family: stun::AddressFamily) -> Result<Self, ErrorCode> {
        match family {
            stun::AddressFamily::IPV4 => Ok(Self::V4),
            stun::AddressFamily::IPV6 => Ok(Self::V6),
            _ => Err(ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED),
        }
    }

    pub(super) const fn to_wire(self) -> stun::AddressFamily {
        match self {
            Self::V4 => stun::AddressFamily::IPV4,
            Self::V6 => stun::AddressFamily::IPV6,
        }
    }
}

/// One thing for each address family.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct PerFamily<T> {
    pub(super) v4: T,
    pub(super) v6: T,
}

impl<T> PerFamily<T> {
    pub(super) const fn get(&self, family: Family) -> &T {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }

    pub(super) const fn get_mut(&mut self, family: Family) -> &mut T {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }
}
