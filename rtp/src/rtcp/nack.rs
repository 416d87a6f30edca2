//! Generic negative acknowledgements (RFC 4585 §6.2.1).
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use core::fmt;

use wire::{Error, Full, Writer};

use super::feedback::{read_sources, write_feedback};
use super::{PacketType, Raw, TransportFormat};
use crate::Ssrc;

/// A request for packets that were lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nack<'a> {
    /// Who asks.
    pub sender: Ssrc,
    /// Whose packets were lost.
    pub media: Ssrc,
    pairs: NackPairs<'a>,
}

impl<'a> Nack<'a> {
    pub(super) fn parse(raw: &Raw<'a>) -> Result<Self, Error> {
        let mut r = raw.reader();
        let (sender, media) = read_sources(&mut r)?;
        r.ensure(!r.is_empty(), "a NACK holds one FCI entry at least")?;
        r.ensure(r.remaining() & 3 == 0, "a NACK's FCI entries have four bytes each")?;
        Ok(Self {
            sender,
            media,
            pairs: NackPairs { rest: r.all() },
        })
    }

    /// The FCI entries.
    pub fn pairs(&self) -> NackPairs<'a> {
        self.pairs.clone()
    }

    /// The sequence numbers that were lost, in the order of the entries.
    pub fn lost(&self) -> impl Iterator<Item = u16> + Clone + use<'a> {
        self.pairs().flat_map(NackPair::lost)
    }

    /// Appends a NACK of the packets in `lost`, which are in sequence order (RFC 1982) without duplicates; else the
    /// result is right but longer than needed. Nothing is written when there are none.
    ///
    /// # Errors
    /// [`Full`] when it does not fit.
    pub fn write(
        w: &mut Writer<'_>,
        sender: Ssrc,
        media: Ssrc,
        lost: impl IntoIterator<Item = u16>,
    ) -> Result<(), Full> {
        Self::write_pairs(w, sender, media, Pairing::new(lost.into_iter()))
    }

    pub(super) fn rewrite(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        Self::write_pairs(w, self.sender, self.media, self.pairs())
    }

    fn write_pairs(
        w: &mut Writer<'_>,
        sender: Ssrc,
        media: Ssrc,
        pairs: impl Iterator<Item = NackPair>,
    ) -> Result<(), Full> {
        let mut pairs = pairs.peekable();
        if pairs.peek().is_none() {
            return Ok(());
        }
        write_feedback(w, PacketType::RTPFB, TransportFormat::NACK.0, (sender, media), |w| {
            pairs.try_for_each(|pair| {
                w.u16(pair.pid)?;
                w.u16(pair.blp)
            })
        })
    }
}

impl fmt::Display for Nack<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NACK {} -> {} [", self.sender, self.media)?;
        for (index, seq) in self.lost().enumerate() {
            write!(f, "{}{seq}", if index == 0 { "" } else { " " })?;
        }
        f.write_str("]")
    }
}

/// An FCI entry: a packet and which of the sixteen after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NackPair {
    /// The first lost packet (PID).
    pub pid: u16,
    /// Bit i says that packet PID + i + 1 was lost too (BLP).
    pub blp: u16,
}

impl NackPair {
    /// The sequence numbers, 1 to 17.
    pub fn lost(self) -> Lost {
        Lost {
            next: Some(self.pid),
            after: self.pid,
            blp: self.blp,
        }
    }
}

/// The sequence numbers in a [`NackPair`].
#[derive(Debug, Clone)]
pub struct Lost {
    next: Option<u16>,
    /// The number of which the lowest bit of `blp` means the next.
    after: u16,
    blp: u16,
}

impl Iterator for Lost {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        let next = self.next.take();
        if next.is_some() {
            return next;
        }
        if self.blp == 0 {
            return None;
        }
        let zeros = self.blp.trailing_zeros();
        self.blp = self.blp.wrapping_shr(zeros) >> 1;
        self.after = self
            .after
            .wrapping_add(u16::try_from(zeros).unwrap_or(0))
            .wrapping_add(1);
        Some(self.after)
    }
}

/// The FCI entries of a NACK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NackPairs<'a> {
    rest: &'a [u8],
}

impl Iterator for NackPairs<'_> {
    type Item = NackPair;

    fn next(&mut self) -> Option<NackPair> {
        let ([a, b, c, d], rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(NackPair {
            pid: u16::from_be_bytes([*a, *b]),
            blp: u16::from_be_bytes([*c, *d]),
        })
    }
}

/// Gathers sequence numbers, which come in order, to as few FCI entries as possible.
#[derive(Debug, Clone)]
pub struct Pairing<I> {
    lost: I,
    pending: Option<u16>,
}

impl<I: Iterator<Item = u16>> Pairing<I> {
    /// Gathers `lost`.
    pub fn new(lost: I) -> Self {
        Self { lost, pending: None }
    }
}

impl<I: Iterator<Item = u16>> Iterator for Pairing<I> {
    type Item = NackPair;

    fn next(&mut self) -> Option<NackPair> {
        let pid = self.pending.take().or_else(|| self.lost.next())?;
        let mut blp = 0_u16;
        for seq in self.lost.by_ref() {
            let ahead = seq.wrapping_sub(pid);
            if !(1..=16).contains(&ahead) {
                self.pending = Some(seq);
                break;
            }
            blp |= 1_u16.wrapping_shl(u32::from(ahead.wrapping_sub(1)));
        }
        Some(NackPair { pid, blp })
    }
}
