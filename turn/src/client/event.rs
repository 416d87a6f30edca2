use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use stun::{AddressFamily, ErrorCode};

/// Where a client stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// The server was asked, or will be.
    Allocating,
    /// The caller has to give another local address, or another connection: see [`Event::Reconnect`].
    Reconnecting,
    /// There is an allocation.
    Allocated,
    /// The allocation is being deleted.
    Closing,
    /// It is over.
    Closed,
}

/// What the server allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Allocation {
    /// The relayed address of IPv4.
    pub ipv4: Option<SocketAddr>,
    /// The relayed address of IPv6.
    pub ipv6: Option<SocketAddr>,
    /// Our address as the server sees it: a server-reflexive candidate. Some servers do not tell it.
    pub mapped: Option<SocketAddr>,
    /// How long it lasted at first.
    pub lifetime: Duration,
}

impl Allocation {
    /// The relayed address from which a peer is reached.
    pub const fn relayed_for(&self, peer: &IpAddr) -> Option<SocketAddr> {
        match peer {
            IpAddr::V4(_) => self.ipv4,
            IpAddr::V6(_) => self.ipv6,
        }
    }

    /// The relayed addresses.
    pub fn relayed(&self) -> impl Iterator<Item = SocketAddr> + use<> {
        [self.ipv4, self.ipv6].into_iter().flatten()
    }
}

/// The id of a connection between server and peer (CONNECTION-ID, RFC 6062 §6.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u32);

/// What a client reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// There is an allocation.
    Allocated(Allocation),
    /// Of a dual allocation one half could not be had (ADDRESS-ERROR-CODE, RFC 8656 §7.3).
    FamilyRefused {
        /// The half.
        family: AddressFamily,
        /// Why.
        error: ErrorCode,
    },
    /// The caller is to connect again, and then to call [`Client::reconnected`](crate::Client::reconnected). It has
    /// [`Config::reconnect_timeout`](crate::client::Config::reconnect_timeout) for that; then
    /// [`CloseReason::Disconnected`] follows.
    Reconnect(Reconnect),
    /// What the peers at this address send arrives from now on.
    Permitted(IpAddr),
    /// Data to this peer takes a channel from now on.
    ChannelBound(SocketAddr),
    /// The server does not relay to this peer: 400, 403, 440 and 443 are final, after others it is asked again in a
    /// minute. Other peers are not concerned. A refusal of a refresh is only told when it is final, or when the
    /// permission has ended meanwhile.
    PeerRefused {
        /// The peer.
        peer: SocketAddr,
        /// Why.
        error: ErrorCode,
    },
    /// The server gives no channel for this peer; data goes on in indications.
    ChannelRefused {
        /// The peer.
        peer: SocketAddr,
        /// Why.
        error: ErrorCode,
    },
    /// The server got an ICMP error for what it had relayed to this peer (RFC 8656 §11.6).
    Icmp {
        /// The peer. Its port is 0 when the server does not know it.
        peer: SocketAddr,
        /// The type; what it means depends on the family of the peer's address.
        kind: u8,
        /// The code.
        code: u16,
        /// The MTU of the next hop where the type says so, else 0.
        data: u32,
    },
    /// The server is connected to this peer; [`Client::open`](crate::Client::open) within 30 s (RFC 6062 §4.3).
    Connected {
        /// The peer.
        peer: SocketAddr,
        /// The connection.
        connection: ConnectionId,
    },
    /// The server could not connect to this peer (RFC 6062 §4.3); after 447 one may ask again in 10 s.
    ConnectFailed {
        /// The peer.
        peer: SocketAddr,
        /// Why; `None` without an answer.
        error: Option<ErrorCode>,
    },
    /// A peer has connected to the relayed address; [`Client::open`](crate::Client::open) within 30 s, or leave it (RFC
    /// 6062 §4.4).
    ConnectionAttempt {
        /// The peer.
        peer: SocketAddr,
        /// The connection.
        connection: ConnectionId,
    },
    /// The refresh that [`Client::refresh`](crate::Client::refresh) asked for has come about: the allocation lives.
    Refreshed,
    /// It was refused or not answered. It is tried again, which may end in [`Refreshed`](Self::Refreshed) yet.
    NotRefreshed,
    /// It is over. The last event.
    Closed(CloseReason),
}

/// Where and why to connect again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconnect {
    /// Why.
    pub cause: ReconnectCause,
    /// The server that the new connection, or the new socket, is for.
    pub server: SocketAddr,
    /// The name to verify the server's certificate with, where it is another one (ALTERNATE-DOMAIN, RFC 8489 §10).
    pub domain: Option<Box<str>>,
}

/// Why to connect again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReconnectCause {
    /// 300: another server is to be asked (RFC 8489 §10). Over UDP the same local address will do.
    TryAlternate,
    /// 437 on the first request: the server knows our address from somebody else, so that another local port is needed
    /// (RFC 8656 §7.4).
    AllocationMismatch,
}

/// Why it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// [`Client::close`](crate::Client::close) was called.
    Deleted,
    /// The server refused the allocation. After 486 and 508 it is not asked again for a minute, after 437 for two, and
    /// otherwise not before something has changed (RFC 8656 §7.4).
    Refused(ErrorCode),
    /// The server wants credentials and there are none.
    NoCredentials,
    /// The server knows username or password otherwise.
    WrongCredentials,
    /// The server offers no password algorithm that we know, or a challenge without realm or nonce.
    BadChallenge,
    /// Somebody took the choice of password algorithms from a challenge (RFC 8489 §9.2.1).
    BidDown,
    /// All answers had a wrong integrity or none.
    IntegrityViolated,
    /// No answer came.
    TimedOut,
    /// The server's answer lacks what it must have, or has an address of a family that was not asked for.
    BadAnswer,
    /// The allocation was not refreshed in time: refused with this error, or not answered.
    Expired(Option<ErrorCode>),
    /// The server knows of no allocation any more (437).
    Lost,
    /// The server sent us to another one too often, or in a circle.
    RedirectionLoop,
    /// The server sends us to another one, and names none of its own address family (300 without such an
    /// ALTERNATE-SERVER, RFC 8489 §10).
    NoAlternate,
    /// The connection to the server broke, the server cannot be reached, or the caller did not connect again in time.
    Disconnected,
    /// What the server sent on the stream is not TURN.
    BadFraming,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deleted => "the allocation was given back",
            Self::Refused(error) => return write!(f, "the TURN server refused the allocation: {error}"),
            Self::NoCredentials => "the TURN server wants a username and a password; give them",
            Self::WrongCredentials => "the TURN server does not accept username and password; check both",
            Self::BadChallenge => "the TURN server asks for credentials in a way that this client does not know",
            Self::BidDown => "somebody between here and the TURN server tries to weaken how the password is protected",
            Self::IntegrityViolated => "somebody between here and the TURN server changes or forges its answers",
            Self::TimedOut => "the TURN server did not answer; check address, port and firewall, or try TCP or TLS",
            Self::BadAnswer => "the answer of the TURN server lacks what it must have",
            Self::Expired(None) => "the TURN server stopped answering, and the allocation has expired",
            Self::Expired(Some(error)) => {
                return write!(
                    f,
                    "the allocation has expired: the TURN server refused to refresh it: {error}"
                );
            }
            Self::Lost => "the TURN server has lost the allocation; it may have been restarted",
            Self::RedirectionLoop => "the TURN servers send the client from one to another without end",
            Self::NoAlternate => "the TURN server sends the client elsewhere and names no server that it can reach",
            Self::Disconnected => "the connection to the TURN server broke",
            Self::BadFraming => "what answers on this port is no TURN server",
        })
    }
}

/// Why something could not be sent, or a command not be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SendError {
    /// There is no allocation, or none any more.
    NotAllocated,
    /// The allocation relays connections, not datagrams; or the other way round.
    NotThatTransport,
    /// There is no relayed address of the peer's family.
    Family,
    /// The server refused this peer; [`Client::permit`](crate::Client::permit) asks again.
    Refused(ErrorCode),
    /// The budget of peers is used up.
    TooManyPeers,
    /// All channels are in use, or their numbers not free again yet; data goes in indications.
    NoChannel,
    /// The data does not fit in one message.
    TooLong,
    /// The buffer is too short for the message.
    Full,
    /// The room was asked for under other circumstances: ask again and lay the data there.
    RoomChanged,
    /// A connection to this peer was asked for and not answered yet, or refused less than 10 s ago.
    TooSoon,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAllocated => "there is no allocation on the TURN server",
            Self::NotThatTransport => "the allocation relays TCP or UDP, and this is for the other",
            Self::Family => "the TURN server gave no address of the peer's family",
            Self::Refused(error) => return write!(f, "the TURN server does not relay to this peer: {error}"),
            Self::TooManyPeers => "the client has as many peers as it may have",
            Self::NoChannel => "all channels are in use",
            Self::TooLong => "the data does not fit in one message",
            Self::Full => "the output buffer is too short for the message",
            Self::RoomChanged => "the peer needs other room now than when it was asked for",
            Self::TooSoon => "a connection to this peer was asked for a short time ago",
        })
    }
}

impl std::error::Error for SendError {}
