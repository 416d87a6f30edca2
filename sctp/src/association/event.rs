use std::vec::Vec;

use crate::close::CloseReason;

/// What has happened to an association.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// It is set up.
    Established,
    /// The peer has begun anew: messages that were not delivered are lost in both directions, and all streams begin anew.
    /// [`Established`](Self::Established) follows.
    Restarted,
    /// There is room for messages again, after one was refused for want of it.
    Writable,
    /// These streams of ours begin anew, and take messages again.
    ResetDone(Vec<u16>),
    /// The peer does not want these streams of ours to begin anew. They take messages again.
    ResetDenied(Vec<u16>),
    /// These streams of the peer begin anew; all messages before were received.
    PeerReset(ResetStreams),
    /// The peer wants these streams of ours to begin anew: [`Association::reset`](crate::Association::reset) does it.
    ResetWanted(ResetStreams),
    /// It is over. Nothing follows.
    Closed(CloseReason),
}

/// Streams that a reset is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResetStreams {
    /// All of them.
    All,
    /// Those listed, as the peer listed them.
    Listed(Vec<u16>),
}
