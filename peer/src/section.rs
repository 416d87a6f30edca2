use rtp::PayloadType;

use crate::offer::Level;
use crate::peer::init_chunk;
use crate::wish::Wish;
use crate::{Codec, Direction, ExtensionIds, Kind, SenderId, StreamId};

/// An agreed m-section. There is one for each m-line of the offer, in its order.
#[derive(Debug, Clone)]
pub struct Section {
    pub(crate) mid: String,
    pub(crate) kind: Kind,
    pub(crate) rejected: Option<&'static str>,
    pub(crate) direction: Direction,
    pub(crate) formats: Vec<Format>,
    pub(crate) extensions: ExtensionIds,
    pub(crate) allow_mixed: bool,
    pub(crate) streams: Vec<Stream>,
    pub(crate) sender: Option<SenderId>,
    /// How a key frame is asked for.
    pub(crate) key_frames: Option<KeyFrameRequest>,
    /// Whether missing packets of what is received are asked for again.
    pub(crate) asks_again: bool,
    pub(crate) reduced_size: bool,
    /// Whether a bit rate is announced to the peer.
    pub(crate) remb: bool,
    /// What the peer says of data channels, in a section of these.
    pub(crate) data: Option<RemoteData>,
}

/// What the peer says of its end of data channels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RemoteData {
    pub(crate) port: u16,
    /// In bytes; 0 is any.
    pub(crate) max_message_size: u64,
    /// SNAP: its INIT chunk.
    pub(crate) init: Option<Vec<u8>>,
}

impl RemoteData {
    /// What counts when nothing is said (RFC 8841 §6.1).
    const MAX_MESSAGE_SIZE: u64 = 65_536;

    pub(crate) fn of(level: &Level<'_>) -> Self {
        Self {
            port: level.sctp_port.unwrap_or_default(),
            max_message_size: level.max_message_size.unwrap_or(Self::MAX_MESSAGE_SIZE),
            init: level.sctp_init.and_then(init_chunk),
        }
    }
}

/// The two ways to ask for a key frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyFrameRequest {
    /// RFC 4585 §6.3.1.
    Pli,
    /// RFC 5104 §4.3.1.
    Fir,
}

/// An agreed payload format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// Its payload type, as the peer offered it.
    pub payload_type: PayloadType,
    /// What it is.
    pub codec: Codec,
    /// The payload type of its retransmissions, when agreed to.
    pub rtx: Option<PayloadType>,
}

/// A stream that a section receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// Its number.
    pub id: StreamId,
    /// The simulcast layer's identifier, `None` without simulcast.
    pub rid: Option<String>,
}

impl Section {
    /// One that was offered and not answered yet.
    pub(crate) fn wished(wish: &Wish) -> Self {
        Self {
            mid: wish.mid.clone(),
            kind: wish.kind,
            rejected: None,
            direction: Direction::Inactive,
            formats: Vec::new(),
            extensions: ExtensionIds::default(),
            allow_mixed: false,
            streams: Vec::new(),
            sender: wish.sender,
            key_frames: None,
            asks_again: false,
            reduced_size: false,
            remb: false,
            data: None,
        }
    }

    /// The identification tag; empty when the offer had none.
    pub fn mid(&self) -> &str {
        &self.mid
    }

    /// What it carries.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Why it was rejected, as a clause for people; `None` when it was not. A section that the peer stopped is rejected
    /// too.
    pub const fn rejected(&self) -> Option<&'static str> {
        self.rejected
    }

    /// The direction as answered, that is from our point of view.
    pub const fn direction(&self) -> Direction {
        self.direction
    }

    /// The agreed formats, the preferred one first.
    pub fn formats(&self) -> &[Format] {
        &self.formats
    }

    /// The format of exactly this codec.
    pub fn format_of(&self, codec: Codec) -> Option<&Format> {
        self.formats.iter().find(|format| format.codec == codec)
    }

    /// The agreed header extensions.
    pub const fn extensions(&self) -> &ExtensionIds {
        &self.extensions
    }

    /// Whether header extensions may take the two-byte form (RFC 8285 §6).
    pub const fn allow_mixed(&self) -> bool {
        self.allow_mixed
    }

    /// What is received in it; empty when nothing is.
    pub fn streams(&self) -> &[Stream] {
        if self.direction.receives() { &self.streams } else { &[] }
    }

    /// What is sent in it, when something is.
    pub fn sender(&self) -> Option<SenderId> {
        self.sender.filter(|_| self.direction.sends())
    }
}
