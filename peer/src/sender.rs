use rtp::Ssrc;

use crate::{Kind, SenderId};

/// A stream that we send: what was announced for it in the answer and never changes.
#[derive(Debug, Clone)]
pub struct Sender {
    pub(crate) id: SenderId,
    pub(crate) section: usize,
    pub(crate) kind: Kind,
    pub(crate) pair: u32,
    pub(crate) ssrc: Ssrc,
    pub(crate) rtx: Option<Ssrc>,
    pub(crate) first_sequence: u64,
}

impl Sender {
    /// Its number.
    pub const fn id(&self) -> SenderId {
        self.id
    }

    /// Index of its section.
    pub const fn section(&self) -> usize {
        self.section
    }

    /// What it carries.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The audio and the video sender of equal number are one `MediaStream` for the peer: they are played in
    /// synchrony.
    pub const fn pair(&self) -> u32 {
        self.pair
    }

    /// Its synchronization source.
    pub const fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    /// The synchronization source of its retransmissions, when agreed to.
    pub const fn rtx_ssrc(&self) -> Option<Ssrc> {
        self.rtx
    }

    /// A random sequence number to begin with, below 2^15: a receiver that misses the first packets cannot take the
    /// rollover counter for another (RFC 3711 §3.3.1).
    pub const fn first_sequence(&self) -> u64 {
        self.first_sequence
    }
}
