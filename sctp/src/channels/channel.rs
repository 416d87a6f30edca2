use core::fmt;
use std::string::String;

use crate::dcep::{Priority, Reliability};
use crate::registry::Ppid;

/// Names a channel from [`open`](crate::Transport::open) or [`opened`](super::ChannelSink::opened) until its
/// [`ChannelEvent::Closed`], and no other one after that.
///
/// This is not the `id` of `RTCDataChannel`, which a channel may not have yet: that is [`Channel::stream`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId {
    pub(super) index: u32,
    pub(super) generation: u32,
}

/// The side of the DTLS handshake: it decides who opens channels with even, and who with odd numbers (RFC 8832 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The DTLS client, `a=setup:active`: even.
    Client,
    /// The DTLS server, `a=setup:passive`: odd.
    Server,
}

impl Role {
    pub(super) const fn parity(self) -> u16 {
        match self {
            Self::Client => 0,
            Self::Server => 1,
        }
    }
}

/// What a channel is: the arguments of `createDataChannel()`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelInit {
    /// The name, of 65535 bytes at most; others may have the same.
    pub label: String,
    /// A subprotocol as of WebSocket, or nothing; 65535 bytes at most.
    pub protocol: String,
    /// Whether messages arrive in the order in which they were sent. Default yes.
    pub ordered: bool,
    /// `maxRetransmits` or `maxPacketLifeTime`. Default: messages are sent again until they arrive.
    pub reliability: Reliability,
    /// Against other channels. Default normal.
    pub priority: Priority,
    /// The stream, where the applications have agreed on the channel by themselves (`negotiated` and `id`): 65534 at most.
    /// Default `None`: the peer is told, and the stream chosen here.
    pub negotiated: Option<u16>,
}

impl ChannelInit {
    /// A channel that is ordered and reliable.
    pub fn new(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            protocol: String::new(),
            ordered: true,
            reliability: Reliability::Reliable,
            priority: Priority::NORMAL,
            negotiated: None,
        }
    }
}

/// A channel that is not closed.
#[derive(Debug)]
pub struct Channel {
    pub(super) id: ChannelId,
    pub(super) stream: Option<u16>,
    pub(super) state: State,
    pub(super) init: ChannelInit,
    pub(super) by_peer: bool,
    pub(super) low_threshold: usize,
    /// Bytes that were accepted of a message that has not ended.
    pub(super) unfinished: Option<usize>,
    /// Whether a message comes in parts, an ordered and an unordered one.
    pub(super) parted: [bool; 2],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing was sent: the association is not established, or has no room for the OPEN.
    Waiting,
    /// OPEN was sent and the peer has sent nothing yet.
    Opening,
    Open,
    Closing(Closure),
}

/// Which directions of a stream that is being closed were reset (RFC 8831 §6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Closure {
    /// Whether the association was asked to reset ours.
    pub(super) asked: bool,
    pub(super) ours: bool,
    pub(super) peers: bool,
}

impl Closure {
    pub(super) const fn is_complete(self) -> bool {
        self.ours && self.peers
    }
}

/// `RTCDataChannelState`, without "closed": a channel that is closed is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadyState {
    /// The peer has not confirmed the channel yet.
    Connecting,
    /// Both sides know it.
    Open,
    /// What was accepted is still sent; what comes is dropped.
    Closing,
}

impl Channel {
    /// Its name here.
    pub const fn id(&self) -> ChannelId {
        self.id
    }

    /// Its stream, which is the `id` of `RTCDataChannel`; `None` until it is chosen.
    pub const fn stream(&self) -> Option<u16> {
        self.stream
    }

    /// What it was opened with, by whichever side.
    pub const fn init(&self) -> &ChannelInit {
        &self.init
    }

    /// Whether the peer opened it.
    pub const fn is_opened_by_peer(&self) -> bool {
        self.by_peer
    }

    /// How far it is.
    pub const fn ready_state(&self) -> ReadyState {
        match self.state {
            State::Waiting | State::Opening => ReadyState::Connecting,
            State::Open => ReadyState::Open,
            State::Closing(_) => ReadyState::Closing,
        }
    }

    /// `bufferedAmountLowThreshold`, in bytes.
    pub const fn buffered_amount_low_threshold(&self) -> usize {
        self.low_threshold
    }

    /// Whether an ordered, or an unordered message comes in parts.
    pub(super) const fn parted(&mut self, unordered: bool) -> &mut bool {
        let [ordered_parts, unordered_parts] = &mut self.parted;
        if unordered { unordered_parts } else { ordered_parts }
    }

    /// One that nothing was sent or received on.
    pub(super) const fn new(
        id: ChannelId,
        stream: Option<u16>,
        state: State,
        init: ChannelInit,
        by_peer: bool,
    ) -> Self {
        Self {
            id,
            stream,
            state,
            init,
            by_peer,
            low_threshold: 0,
            unfinished: None,
            parted: [false; 2],
        }
    }

    pub(super) const fn text_len(&self) -> usize {
        self.init.label.len().saturating_add(self.init.protocol.len())
    }
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string in UTF-8, which is not checked in either direction.
    Text,
    /// Bytes.
    Binary,
}

impl Kind {
    /// For what is not empty.
    pub(super) const fn ppid(self) -> Ppid {
        match self {
            Self::Text => Ppid::STRING,
            Self::Binary => Ppid::BINARY,
        }
    }
}

/// What happens to channels. What the peer sends goes to a [`ChannelSink`](super::ChannelSink).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChannelEvent {
    /// `open`: the peer knows the channel that we opened, or a negotiated one has its association.
    Open(ChannelId),
    /// `closing`: the peer closes the channel, or has broken a rule of it.
    Closing(ChannelId),
    /// `close`: the channel is gone, and its name means nothing any more. Where there was no `Open` before, the peer
    /// refused it.
    Closed(ChannelId),
    /// `bufferedamountlow`: the buffered amount fell to the threshold.
    BufferedAmountLow(ChannelId),
    /// There is room again after [`SendError::Blocked`], on whichever channel that was.
    Writable,
}

/// Why a channel is not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError {
    /// Label or protocol is longer than 65535 bytes.
    TooLong,
    /// The negotiated stream is that of another channel, which may be closing still.
    StreamInUse,
    /// The association has no stream of the negotiated number.
    NoSuchStream,
    /// All streams are in use.
    NoStreamLeft,
    /// There is nothing to open it on: no data section, or the association ends or has ended.
    NoTransport,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "label or protocol is longer than 65535 bytes",
            Self::StreamInUse => "the stream is that of another channel",
            Self::NoSuchStream => "the association has no such stream",
            Self::NoStreamLeft => "all streams are in use",
            Self::NoTransport => "there is no data section: offer one, or agree to one, first; or SCTP has ended",
        })
    }
}

impl core::error::Error for OpenError {}

/// Why a message is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The association has no room: [`ChannelEvent::Writable`] tells when.
    Blocked,
    /// The message is longer than the peer takes, or, if it is not sent in parts, the send buffer.
    TooLong {
        /// The most that they take, in bytes.
        max: usize,
    },
    /// The last message of the channel, which is sent in parts, has not ended; or none has begun that could go on.
    Busy,
    /// The first part of a message has one byte at least.
    Empty,
    /// The channel is not open yet, or not any more.
    NotOpen,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocked => f.write_str("the association has no room"),
            Self::TooLong { max } => write!(f, "the message is longer than {max} bytes"),
            Self::Busy => {
                f.write_str("the last message has not ended: end it first; or none has begun that could go on")
            }
            Self::Empty => f.write_str("the first part of a message has one byte at least"),
            Self::NotOpen => f.write_str("the channel is not open"),
        }
    }
}

impl core::error::Error for SendError {}
