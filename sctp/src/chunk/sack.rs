//! SACK (RFC 9260 §3.3.4).

use core::fmt;
use wire::{Error, Full, Reader, Writer};

use crate::list::{Item, List};

/// What was received.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// |   Type = 3    |  Chunk Flags  |         Chunk Length          |
/// |                      Cumulative TSN Ack                       |
/// |          Advertised Receiver Window Credit (a_rwnd)           |
/// | Number of Gap Ack Blocks = N  |  Number of Duplicate TSNs = M |
/// |    Gap Ack Block #1 Start     |     Gap Ack Block #1 End      |
/// \                              ...                              \
/// |                        Duplicate TSN 1                        |
/// \                              ...                              \
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sack<'a> {
    /// The last TSN received in sequence.
    pub cumulative_tsn_ack: u32,
    /// How many bytes of user data the sender of the SACK has room for.
    pub a_rwnd: u32,
    /// What was received beyond that. Neither order nor overlap is checked.
    pub gap_ack_blocks: List<'a, GapAckBlock>,
    /// TSNs that came again since the last SACK, as often as they did.
    pub duplicate_tsns: List<'a, u32>,
}

impl<'a> Sack<'a> {
    pub(super) fn read(r: &mut Reader<'a>) -> Result<Self, Error> {
        let cumulative_tsn_ack = r.u32()?;
        let a_rwnd = r.u32()?;
        let blocks = usize::from(r.u16()?);
        let duplicates = usize::from(r.u16()?);
        Ok(Self {
            cumulative_tsn_ack,
            a_rwnd,
            gap_ack_blocks: List::read(r, blocks)?,
            duplicate_tsns: List::read(r, duplicates)?,
        })
    }

    pub(super) fn value_len(&self) -> usize {
        let lists = self
            .gap_ack_blocks
            .wire_len()
            .saturating_add(self.duplicate_tsns.wire_len());
        lists.saturating_add(12)
    }

    pub(super) fn put(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        w.u32(self.cumulative_tsn_ack)?;
        w.u32(self.a_rwnd)?;
        w.u16(u16::try_from(self.gap_ack_blocks.len()).map_err(|_| Full)?)?;
        w.u16(u16::try_from(self.duplicate_tsns.len()).map_err(|_| Full)?)?;
        self.gap_ack_blocks.put(w)?;
        self.duplicate_tsns.put(w)
    }
}

impl fmt::Display for Sack<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cumulative={} a_rwnd={} gaps={} duplicates={}",
            self.cumulative_tsn_ack, self.a_rwnd, self.gap_ack_blocks, self.duplicate_tsns
        )
    }
}

/// TSNs received in a row, as offsets from the cumulative TSN ack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GapAckBlock {
    /// The first one, 2 at least unless the peer errs.
    pub start: u16,
    /// The last one, not below `start` unless the peer errs.
    pub end: u16,
}

impl GapAckBlock {
    /// The first and the last TSN in a SACK with this cumulative TSN ack.
    pub fn tsns(self, cumulative_tsn_ack: u32) -> (u32, u32) {
        let tsn = |offset: u16| cumulative_tsn_ack.wrapping_add(u32::from(offset));
        (tsn(self.start), tsn(self.end))
    }
}

impl Item for GapAckBlock {
    const LEN: usize = 4;

    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Self {
            start: r.u16()?,
            end: r.u16()?,
        })
    }

    fn put(self, w: &mut Writer<'_>) -> Result<(), Full> {
        w.u16(self.start)?;
        w.u16(self.end)
    }
}

impl fmt::Display for GapAckBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.start, self.end)
    }
}
