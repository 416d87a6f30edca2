//! Full intra request (RFC 5104 §4.3.1).
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

/// A command to send a key frame as soon as possible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fir<'a> {
    /// Who commands.
    pub sender: Ssrc,
    /// Not used and 0 by the RFC; the sources are in the entries.
    pub media: Ssrc,
    entries: FirEntries<'a>,
}

/// One command of a [`Fir`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirEntry {
    /// Who shall send a key frame.
    pub ssrc: Ssrc,
    /// Grows by one with each new command; the same again is a repetition and asks for nothing more.
    pub sequence_number: u8,
}

impl<'a> Fir<'a> {
    pub(super) fn parse(raw: &Raw<'a>) -> Result<Self, Error> {
        let mut r = raw.reader();
        let (sender, media) = read_sources(&mut r)?;
        r.ensure(!r.is_empty(), "a FIR holds one FCI entry at least")?;
        r.ensure(r.remaining() & 7 == 0, "a FIR's FCI entries have eight bytes each")?;
        Ok(Self {
            sender,
            media,
            entries: FirEntries { rest: r.all() },
        })
    }

    /// The commands.
    pub fn entries(&self) -> FirEntries<'a> {
        self.entries.clone()
    }

    /// Appends the packet; `media` is 0 by the RFC. Nothing is written when there are no commands.
    ///
    /// # Errors
    /// [`Full`] when it does not fit.
    pub fn write(
        w: &mut Writer<'_>,
        sender: Ssrc,
        media: Ssrc,
        entries: impl IntoIterator<Item = FirEntry>,
    ) -> Result<(), Full> {
        let mut entries = entries.into_iter().peekable();
        if entries.peek().is_none() {
            return Ok(());
        }
        write_feedback(w, PacketType::PSFB, PayloadFormat::FIR.0, (sender, media), |w| {
            entries.try_for_each(|entry| {
                w.u32(entry.ssrc.0)?;
                w.u8(entry.sequence_number)?;
                w.zeros(3)
            })
        })
    }
}

impl fmt::Display for Fir<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FIR {} ->", self.sender)?;
        for entry in self.entries() {
            write!(f, " {}#{}", entry.ssrc, entry.sequence_number)?;
        }
        Ok(())
    }
}

/// The commands of a [`Fir`].
#[derive(Debug, Clone)]
pub struct FirEntries<'a> {
    rest: &'a [u8],
}

/// Equal when they say the same: the reserved bytes do not count.
impl PartialEq for FirEntries<'_> {
    fn eq(&self, other: &Self) -> bool {
        Iterator::eq(self.clone(), other.clone())
    }
}

impl Eq for FirEntries<'_> {}

impl Iterator for FirEntries<'_> {
    type Item = FirEntry;

    fn next(&mut self) -> Option<FirEntry> {
        // The three reserved bytes are ignored (RFC 5104 §4.3.1.1).
        let ([a, b, c, d, sequence_number, _, _, _], rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(FirEntry {
            ssrc: Ssrc(u32::from_be_bytes([*a, *b, *c, *d])),
            sequence_number: *sequence_number,
        })
    }
}
