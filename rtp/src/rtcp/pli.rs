//! Picture loss indication (RFC 4585 §6.3.1).
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use core::fmt;

use wire::{Error, Full, Writer};

use super::feedback::{read_sources, write_feedback};
use super::{PacketType, PayloadFormat, Raw};
use crate::Ssrc;

/// A decoder has lost pictures and needs a key frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pli {
    /// Who asks.
    pub sender: Ssrc,
    /// Who shall send a key frame.
    pub media: Ssrc,
}

impl Pli {
    pub(super) fn parse(raw: &Raw<'_>) -> Result<Self, Error> {
        let mut r = raw.reader();
        let (sender, media) = read_sources(&mut r)?;
        r.finish()?;
        Ok(Self { sender, media })
    }

    /// Appends the packet.
    ///
    /// # Errors
    /// [`Full`] when it does not fit.
    pub fn write(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        write_feedback(
            w,
            PacketType::PSFB,
            PayloadFormat::PLI.0,
            (self.sender, self.media),
            |_| Ok(()),
        )
    }
}

impl fmt::Display for Pli {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PLI {} -> {}", self.sender, self.media)
    }
}
