//! FORWARD TSN (RFC 3758 §3.2) and I-FORWARD-TSN (RFC 8260 §2.3.1): what the sender has given up.

use core::fmt;
use wire::{Error, Full, Reader, Writer};

use crate::list::{Item, List};

/// What both chunks say, with entries of either kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forward<'a, T: Item> {
    /// TSNs up to this one count as received.
    pub new_cumulative_tsn: u32,
    /// Streams with messages among them.
    pub streams: List<'a, T>,
}

/// Moves the receiver's cumulative TSN forward where DATA is used.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// |   Type = 192  |  Flags = 0x00 |        Length = Variable      |
/// |                      New Cumulative TSN                       |
/// |         Stream-1              |       Stream Sequence-1       |
/// \                              ...                              \
/// ```
pub type ForwardTsn<'a> = Forward<'a, SkippedStream>;

/// Moves the receiver's cumulative TSN forward where I-DATA is used.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// |   Type = 194  | Flags = 0x00  |      Length = Variable        |
/// |                       New Cumulative TSN                      |
/// |       Stream Identifier       |          Reserved           |U|
/// |                       Message Identifier                      |
/// \                              ...                              \
/// ```
pub type IForwardTsn<'a> = Forward<'a, SkippedMessage>;

impl<T: Item> Default for Forward<'_, T> {
    fn default() -> Self {
        Self {
            new_cumulative_tsn: 0,
            streams: List::default(),
        }
    }
}

impl<'a, T: Item> Forward<'a, T> {
    pub(super) fn read(r: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(Self {
            new_cumulative_tsn: r.u32()?,
            streams: List::read_all(r)?,
        })
    }

    pub(super) fn value_len(&self) -> usize {
        self.streams.wire_len().saturating_add(4)
    }

    pub(super) fn put(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        w.u32(self.new_cumulative_tsn)?;
        self.streams.put(w)
    }
}

impl<T: Item + fmt::Display> fmt::Display for Forward<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cumulative={} {}", self.new_cumulative_tsn, self.streams)
    }
}

/// How far the ordered messages of a stream are skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SkippedStream {
    /// The stream identifier.
    pub stream: u16,
    /// The largest stream sequence number that is skipped.
    pub ssn: u16,
}

impl Item for SkippedStream {
    const LEN: usize = 4;

    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Self {
            stream: r.u16()?,
            ssn: r.u16()?,
        })
    }

    fn put(self, w: &mut Writer<'_>) -> Result<(), Full> {
        w.u16(self.stream)?;
        w.u16(self.ssn)
    }
}

impl fmt::Display for SkippedStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.stream, self.ssn)
    }
}

/// How far the ordered or the unordered messages of a stream are skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SkippedMessage {
    /// The stream identifier.
    pub stream: u16,
    /// U: this is about unordered messages.
    pub unordered: bool,
    /// The largest message identifier that is skipped.
    pub mid: u32,
}

impl Item for SkippedMessage {
    const LEN: usize = 8;

    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Self {
            stream: r.u16()?,
            unordered: r.u16()? & 1 != 0,
            mid: r.u32()?,
        })
    }

    fn put(self, w: &mut Writer<'_>) -> Result<(), Full> {
        w.u16(self.stream)?;
        w.u16(self.unordered.into())?;
        w.u32(self.mid)
    }
}

impl fmt::Display for SkippedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}{}:{}",
            self.stream,
            if self.unordered { "U" } else { "" },
            self.mid
        )
    }
}
