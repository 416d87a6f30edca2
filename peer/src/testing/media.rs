use rtp::Ssrc;

use crate::{Direction, Kind};

/// A section of the client's.
#[derive(Debug, Clone)]
pub struct Media {
    /// What it carries.
    pub kind: Kind,
    /// From the client's point of view.
    pub direction: Direction,
    /// Its identification tag.
    pub mid: String,
    /// Simulcast layers, smallest first.
    pub rids: Vec<String>,
    /// SSRCs of the media and its retransmissions, a pair for each layer or one.
    pub ssrcs: Vec<(Ssrc, Ssrc)>,
    /// Whether the offer tells the SSRCs; Chromium does not with simulcast.
    pub announced: bool,
    /// Port zero.
    pub stopped: bool,
    /// The next sequence numbers, for each layer that of media and retransmissions.
    pub sequence: Vec<(u64, u64)>,
}

/// An RTP packet that the client received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedRtp {
    /// Its source.
    pub ssrc: Ssrc,
    /// Its extended sequence number.
    pub sequence: u64,
    /// The whole packet, decrypted.
    pub bytes: Vec<u8>,
}

impl ReceivedRtp {
    /// A view of it.
    ///
    /// # Panics
    /// Never: it was parsed before.
    pub fn packet(&self) -> rtp::Packet<&[u8]> {
        rtp::Packet::parse(&self.bytes[..]).expect("it was parsed when it was received")
    }
}
