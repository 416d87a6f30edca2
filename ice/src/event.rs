use crate::candidate::Candidate;
use crate::gathering::GatheringState;
use wire::Path;

/// Where the agent stands; the names are those of `RTCIceTransportState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// The peer's credentials are not known yet.
    New,
    /// No check of the peer has come yet.
    Checking,
    /// There is a path to send on, and the peer is alive.
    Connected,
    /// The peer has been silent for a while; it may come back.
    Disconnected,
    /// The peer is gone, or never came. Only a restart helps (or the answer to one that was under way).
    Failed,
}

/// What an agent reports. Events tell what changed since they were last polled: a state that came and went between two
/// polls is not reported, so that they need no queue that could overflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A path is no longer validated.
    PathRemoved(Path),
    /// A check has validated a path: what comes on it belongs to this peer.
    PathValidated(Path),
    /// Media and DTLS go this way from now on.
    SelectedPath(Path),
    /// The state changed.
    StateChanged(State),
    /// A full agent has a candidate that the peer is to be told of (RFC 8838 §9).
    CandidateGathered(Candidate),
    /// Gathering began, or is complete: then the peer is told the end of candidates (RFC 8838 §13).
    GatheringChanged(GatheringState),
    /// A TCP connection is to be opened (RFC 6544 §7.1): from the local address, port 0 being the system's choice, to
    /// the remote one. [`Agent::handle_connected`](crate::Agent::handle_connected) or
    /// [`Agent::handle_closed`](crate::Agent::handle_closed) tells what became of it.
    OpenConnection(Path),
    /// The nominated pair does not work any more, and only a restart can name another one (RFC 8445 §8.1.1). Media goes
    /// on over whatever pair works.
    NeedsRestart,
}

/// What was received on a path, other than checks. Proof of life is what only the peer can have sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Activity {
    /// DTLS records that are not protected: handshake messages before the keys. They choose the path but prove nothing.
    Handshake,
    /// DTLS records that were authenticated.
    Dtls,
    /// SRTP that was authenticated.
    Srtp,
    /// SRTCP that was authenticated.
    Srtcp,
}

impl Activity {
    /// Whether only the peer can have sent it.
    pub(crate) const fn is_authenticated(self) -> bool {
        !matches!(self, Self::Handshake)
    }
}
