use core::fmt;
use core::time::Duration;

use bytes::Bytes;

use crate::dcep::Reliability;
use crate::engine::outbound::Refused;
use crate::registry::Ppid;

/// A message to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The stream.
    pub stream: u16,
    /// What it is to the peer.
    pub ppid: Ppid,
    /// Whether it may overtake others of its stream, and be overtaken.
    pub unordered: bool,
    /// Whether it may be given up. Where the peer knows no FORWARD TSN it never is.
    pub reliability: Reliability,
    /// Its bytes, one at least. They are not copied before they go into packets.
    pub payload: Bytes,
}

/// Why a message was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// [`Config::send_buffer`](crate::Config::send_buffer) is used up. [`Event::Writable`](crate::Event::Writable) tells when there is room.
    Blocked,
    /// The peer does not take so many streams.
    NoSuchStream,
    /// The stream is being reset, or has a message that has not ended; or no message has begun that could go on.
    Busy,
    /// SCTP has no empty messages.
    Empty,
    /// The association is shutting down, or over.
    Closed,
}

impl SendError {
    pub(super) const fn of(refused: Refused) -> Self {
        match refused {
            Refused::Full => Self::Blocked,
            Refused::NoSuchStream => Self::NoSuchStream,
            Refused::Busy => Self::Busy,
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Blocked => "the send buffer is full: send again when the association is writable",
            Self::NoSuchStream => "the peer does not take so many streams: use a lower number",
            Self::Busy => "the stream is being reset, or its last message has not ended: end it, or wait for the reset",
            Self::Empty => "a message has one byte at least",
            Self::Closed => "the association takes no more messages: it is shutting down or has ended",
        })
    }
}

impl core::error::Error for SendError {}

/// How an association fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// The smoothed round trip, once it was measured.
    pub round_trip: Option<Duration>,
    /// The shortest round trip of the last 10 to 20 s.
    pub min_round_trip: Option<Duration>,
    /// The congestion window, in bytes.
    pub window: u64,
    /// Bytes on their way, chunk headers included.
    pub in_flight: u64,
    /// Bytes of messages that were accepted and are not acknowledged.
    pub held: usize,
}
