use core::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::{ChannelEvent, DataCloseReason, StreamId};

/// How far a [`Peer`](crate::Peer) has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// No offer and no answer was accepted yet.
    New,
    /// An answer is out, or has come; connectivity checks or the DTLS handshake are under way.
    Connecting,
    /// Media flows both ways.
    Connected,
    /// Nothing authentic was heard from the peer for a while. It may come back.
    Disconnected,
    /// Nothing was heard for so long that no more media is sent. Only an ICE restart brings it back.
    Failed,
    /// The end: nothing goes in or out any more.
    Closed,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An offer or an answer was accepted; [`sections`](crate::Peer::sections) has changed.
    Negotiated,
    /// The DTLS handshake is complete and the peer's fingerprint right.
    Secured(Secured),
    /// [`State::Connected`] was reached, for the first time or again.
    Connected,
    /// [`State::Disconnected`] was reached.
    Disconnected,
    /// [`State::Failed`] was reached.
    Failed,
    /// In full mode: only an ICE restart can name another pair; it begins with an offer
    /// ([`restart_ice`](crate::Peer::restart_ice)). Told to the end that controls when the pair that it nominated does
    /// not work any more and `renomination` was not signalled: media goes on over whatever pair works. Told to either
    /// end when a relay has ended and no pair is left. At most once between two restarts.
    NeedsRestart,
    /// In full mode: a candidate that the peer is to be told of (RFC 8838 §9), as `RTCIceCandidate.candidate`. Offers
    /// and answers that are made after it have it, too.
    Candidate(String),
    /// In full mode: no more candidates come, for now
    /// ([`end_of_local_candidates`](crate::Peer::end_of_local_candidates)): STUN and TURN servers have answered, or
    /// will not. Again after each ICE restart, for which they are asked anew.
    GatheringComplete,
    /// A stream to a TURN server is to be opened; [`relay_stream_opened`](crate::Peer::relay_stream_opened) or
    /// [`relay_stream_closed`](crate::Peer::relay_stream_closed) tells what became of it.
    OpenRelayStream(RelayStream),
    /// A stream to a TURN server is to be closed, or not to be opened any more: nothing more is said there.
    CloseRelayStream(RelayStreamId),
    /// A TCP connection to a candidate of the peer's is to be opened (RFC 6544 §7.1);
    /// [`connection_opened`](crate::Peer::connection_opened) or [`connection_closed`](crate::Peer::connection_closed)
    /// tells what became of it.
    OpenConnection(Connection),
    /// A connection is to be closed, or not to be opened any more: it is of no use.
    CloseConnection(ConnectionId),
    /// A TURN server gives no relayed address, or does not relay any more. The call goes on by other candidates.
    RelayFailed {
        /// The URI of the server.
        server: String,
        /// Why: a clause for people.
        reason: String,
    },
    /// Packets that the peer sent are lost for good: they were asked for too often, or too many are missing. Who
    /// decodes the stream needs a key frame ([`request_key_frame`](crate::Peer::request_key_frame)).
    PacketsLost {
        /// Of which stream.
        stream: StreamId,
    },
    /// Data channels can be used: SCTP is set up. With SNAP it is so as soon as offer and answer are exchanged, before there is
    /// anything to carry it. It comes again when the peer has begun anew, with new channels.
    DataConnected,
    /// Something happened to a data channel, or there is room for messages again.
    Channel(ChannelEvent),
    /// SCTP is over, and all data channels are closed. Sound and pictures go on. Another section for data channels can be
    /// offered when this one was rejected or stopped.
    DataClosed(DataCloseReason),
    /// [`State::Closed`] was reached; the last event. Connections and streams are to be closed, behind what is still to
    /// be sent there.
    Closed {
        /// Why.
        reason: CloseReason,
    },
}

/// One of the streams to TURN servers of a [`Peer`](crate::Peer).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelayStreamId(pub u32);

/// A stream that is to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayStream {
    /// Its number.
    pub id: RelayStreamId,
    /// Where to.
    pub server: SocketAddr,
    /// With TLS, the name, or the address, that the certificate of the server must be for; `None` for bare TCP.
    pub tls: Option<String>,
}

/// One of the connections to candidates of the peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u32);

/// A connection that is to be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// Its number.
    pub id: ConnectionId,
    /// From which address of ours, and any port.
    pub local: IpAddr,
    /// Where to.
    pub remote: SocketAddr,
}

/// Why a peer is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloseReason {
    /// By [`close`](crate::Peer::close) or [`close_gracefully`](crate::Peer::close_gracefully).
    Local,
    /// The peer said so (close_notify).
    Remote,
    /// DTLS came to a bad end: what exactly, as a clause for people.
    Dtls(String),
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("closed from this end"),
            Self::Remote => f.write_str("closed by the peer"),
            Self::Dtls(reason) => write!(f, "the secure connection failed: {reason}"),
        }
    }
}

/// What a deadline is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Timer {
    /// Checks, consent and liveness.
    Ice,
    /// Requests to TURN servers, and what was allocated there.
    Relays,
    /// Names of mDNS: they are asked for again, given up, or announced.
    Names,
    /// Retransmission of a handshake flight.
    Dtls,
    /// Media that came before the keys is thrown away.
    EarlyMedia,
    /// The next regular RTCP report.
    Report,
    /// The next transport-wide feedback.
    TransportFeedback,
    /// Missing packets are asked for again.
    Nack,
    /// The next bit rate for a peer without transport-wide feedback.
    Remb,
    /// Data channels: acknowledgements, retransmissions, pacing, heartbeats.
    Data,
    /// What is to be said before the end takes too long.
    Close,
}

impl Timer {
    /// All of them, in the order of declaration.
    pub const ALL: [Self; 11] = [
        Self::Ice,
        Self::Relays,
        Self::Names,
        Self::Dtls,
        Self::EarlyMedia,
        Self::Report,
        Self::TransportFeedback,
        Self::Nack,
        Self::Remb,
        Self::Data,
        Self::Close,
    ];
}

/// How the connection is secured. The values are those of the IANA registries by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secured {
    /// "DTLS 1.2".
    pub version: &'static str,
    /// The cipher suite.
    pub suite: &'static str,
    /// The key-exchange group.
    pub group: &'static str,
    /// The SRTP protection profile.
    pub srtp_profile: &'static str,
}
