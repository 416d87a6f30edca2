//! Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1).
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use core::fmt;

use wire::{Error, Full, Writer};

use super::compound::mark_padded;
use super::feedback::{read_sources, write_feedback};
use super::{PacketType, Raw, TransportFormat};
use crate::Ssrc;

/// What became of one packet, with the time since the packet received before it, or since the reference time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Not received so far.
    NotReceived,
    /// Received, 0 to 255 units of 250 µs later.
    Small(u8),
    /// Received, -32768 to 32767 units of 250 µs later.
    Large(i16),
    /// Received, without a time: the draft's reserved symbol, with which its examples mean this.
    WithoutTime,
}

impl Status {
    /// The status of a packet received `delta` units of 250 µs later. `None` when a new packet of feedback is needed,
    /// since the difference is beyond ±8.19 s.
    pub fn received(delta: i64) -> Option<Self> {
        match u8::try_from(delta) {
            Ok(small) => Some(Self::Small(small)),
            Err(_) => i16::try_from(delta).ok().map(Self::Large),
        }
    }

    /// The two-bit symbol.
    const fn symbol(self) -> u16 {
        match self {
            Self::NotReceived => 0,
            Self::Small(_) => 1,
            Self::Large(_) => 2,
            Self::WithoutTime => 3,
        }
    }
}

/// The fixed fields of transport-wide feedback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedbackHeader {
    /// Who received the packets.
    pub sender: Ssrc,
    /// One of the sources that sent them; the message is about all of the transport's.
    pub media: Ssrc,
    /// The transport-wide sequence number of the first status.
    pub base_sequence: u16,
    /// The time to which the first received packet's delta is added, in units of 64 ms, -2^23 to 2^23 - 1, on a clock of
    /// the receiver's. It wraps.
    pub reference_time: i32,
    /// Counts the packets of feedback.
    pub feedback_count: u8,
}

/// Transport-wide feedback: when which packets of a transport arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportFeedback<'a> {
    /// The fixed fields.
    pub header: FeedbackHeader,
    statuses: Statuses<'a>,
}

impl<'a> TransportFeedback<'a> {
    pub(super) fn parse(raw: &Raw<'a>) -> Result<Self, Error> {
        let mut r = raw.reader();
        let (sender, media) = read_sources(&mut r)?;
        let base_sequence = r.u16()?;
        let count = r.u16()?;
        let reference_time = (r.u24()? << 8).cast_signed() >> 8;
        let feedback_count = r.u8()?;
        let header = FeedbackHeader {
            sender,
            media,
            base_sequence,
            reference_time,
            feedback_count,
        };
        r.ensure(count != 0, "feedback is about one packet at least")?;

        let chunks_start = r;
        let mut left = count;
        let mut deltas_len = 0_usize;
        while left != 0 {
            let chunk = Chunk::of(r.u16()?);
            for index in 0..chunk.len.min(left) {
                deltas_len = deltas_len.saturating_add(match chunk.symbol(index) {
                    1 => 1,
                    2 => 2,
                    _ => 0,
                });
            }
            left = left.saturating_sub(chunk.len);
        }
        let chunks_len = r.offset().saturating_sub(chunks_start.offset());
        let chunks = chunks_start.peek().get(..chunks_len).unwrap_or_default();
        let deltas = r.take(deltas_len)?;
        // Zero padding up to a multiple of four, as the draft's figure has it; others use the P bit, which is gone here.
        r.ensure(r.remaining() < 4, "the deltas end the packet")?;
        Ok(Self {
            header,
            statuses: Statuses {
                chunks,
                chunk: Chunk { bits: 0, len: 0 },
                next_in_chunk: 0,
                deltas,
                left: count,
            },
        })
    }

    /// What became of each packet from [`FeedbackHeader::base_sequence`] on, 1 to 65535.
    pub fn statuses(&self) -> Statuses<'a> {
        self.statuses.clone()
    }

    /// Each packet's sequence number and, when received, its time.
    pub fn arrivals(&self) -> Arrivals<'a> {
        Arrivals {
            statuses: self.statuses(),
            sequence: self.header.base_sequence,
            time: i64::from(self.header.reference_time).wrapping_mul(TICKS_PER_REFERENCE),
        }
    }

    /// Appends feedback. The statuses are packed into as few chunks as a single pass finds, as Chromium does.
    ///
    /// # Errors
    /// [`Full`] when it does not fit, or there is no status or more than 65535.
    pub fn write(
        w: &mut Writer<'_>,
        header: &FeedbackHeader,
        statuses: impl IntoIterator<Item = Status, IntoIter: Clone>,
    ) -> Result<(), Full> {
        let statuses = statuses.into_iter();
        let mut padding = 0_usize;
        let start = w.position();
        let sources = (header.sender, header.media);
        write_feedback(w, PacketType::RTPFB, TransportFormat::TRANSPORT_WIDE.0, sources, |w| {
            w.u16(header.base_sequence)?;
            let count = w.reserve(2)?;
            w.u24(header.reference_time.cast_unsigned() & 0xff_ffff)?;
            w.u8(header.feedback_count)?;
            let mut packer = Packer::default();
            let mut len = 0_usize;
            for status in statuses.clone() {
                len = len.saturating_add(1);
                if let Some(chunk) = packer.push(status.symbol()) {
                    w.u16(chunk)?;
                }
            }
            if len == 0 {
                return Err(Full);
            }
            w.fill(count, len)?;
            if let Some(chunk) = packer.finish() {
                w.u16(chunk)?;
            }
            for status in statuses {
                match status {
                    Status::Small(delta) => w.u8(delta)?,
                    Status::Large(delta) => w.u16(delta.cast_unsigned())?,
                    Status::NotReceived | Status::WithoutTime => {}
                }
            }
            padding = 0_usize.wrapping_sub(w.position().wrapping_sub(start)) & 3;
            let fill = w.space(padding)?;
            if let Some((last, zeros)) = fill.split_last_mut() {
                zeros.fill(0);
                *last = u8::try_from(padding).unwrap_or(0);
            }
            Ok(())
        })?;
        if padding != 0 {
            mark_padded(w, w.position().saturating_sub(start));
        }
        Ok(())
    }
}

impl fmt::Display for TransportFeedback<'_> {
    /// One line: the received packets as ranges of sequence numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = &self.header;
        write!(
            f,
            "TWCC {} -> {} #{}",
            header.sender, header.media, header.feedback_count
        )?;
        write!(
            f,
            " base={} t={}*64ms received=[",
            header.base_sequence, header.reference_time
        )?;
        let mut run: Option<(u16, u16)> = None;
        let mut separator = "";
        let received = self.arrivals().filter(|&(_, status, _)| status != Status::NotReceived);
        for seq in received.map(|(seq, _, _)| Some(seq)).chain([None]) {
            match (run, seq) {
                (Some((first, last)), Some(seq)) if last.wrapping_add(1) == seq => run = Some((first, seq)),
                (previous, next) => {
                    match previous {
                        Some((first, last)) if first == last => write!(f, "{separator}{first}")?,
                        Some((first, last)) => write!(f, "{separator}{first}-{last}")?,
                        None => {}
                    }
                    if previous.is_some() {
                        separator = " ";
                    }
                    run = next.map(|seq| (seq, seq));
                }
            }
        }
        write!(f, "] of {}", self.statuses.left)
    }
}

/// Units of 250 µs in a unit of the reference time.
pub(crate) const TICKS_PER_REFERENCE: i64 = 256;

/// A packet status chunk, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Chunk {
    bits: u16,
    len: u16,
}

impl Chunk {
    const fn of(bits: u16) -> Self {
        let len = if bits & 0x8000 == 0 {
            bits & 0x1fff
        } else if bits & 0x4000 == 0 {
            14
        } else {
            7
        };
        Self { bits, len }
    }

    /// The symbol at `index`, which is below `len`.
    const fn symbol(self, index: u16) -> u16 {
        if self.bits & 0x8000 == 0 {
            self.bits >> 13
        } else if self.bits & 0x4000 == 0 {
            self.bits.wrapping_shr(13_u32.wrapping_sub(index as u32)) & 1
        } else {
            self.bits
                .wrapping_shr(12_u32.wrapping_sub((index as u32).wrapping_mul(2)))
                & 3
        }
    }
}

/// The statuses in transport-wide feedback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statuses<'a> {
    chunks: &'a [u8],
    chunk: Chunk,
    next_in_chunk: u16,
    deltas: &'a [u8],
    left: u16,
}

impl Iterator for Statuses<'_> {
    type Item = Status;

    fn next(&mut self) -> Option<Status> {
        self.left = self.left.checked_sub(1)?;
        while self.next_in_chunk == self.chunk.len {
            let (bytes, rest) = self.chunks.split_first_chunk()?;
            self.chunks = rest;
            self.chunk = Chunk::of(u16::from_be_bytes(*bytes));
            self.next_in_chunk = 0;
        }
        let symbol = self.chunk.symbol(self.next_in_chunk);
        self.next_in_chunk = self.next_in_chunk.wrapping_add(1);
        Some(match symbol {
            0 => Status::NotReceived,
            1 => {
                let (&delta, rest) = self.deltas.split_first()?;
                self.deltas = rest;
                Status::Small(delta)
            }
            2 => {
                let (delta, rest) = self.deltas.split_first_chunk()?;
                self.deltas = rest;
                Status::Large(i16::from_be_bytes(*delta))
            }
            _ => Status::WithoutTime,
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::from(self.left), Some(usize::from(self.left)))
    }
}

/// The packets that transport-wide feedback tells of: sequence number, status, and for a received one its arrival in
/// units of 250 µs on the clock of the reference time, which wraps every 2^24 units of 64 ms.
#[derive(Debug, Clone)]
pub struct Arrivals<'a> {
    statuses: Statuses<'a>,
    sequence: u16,
    time: i64,
}

impl Iterator for Arrivals<'_> {
    type Item = (u16, Status, Option<i64>);

    fn next(&mut self) -> Option<Self::Item> {
        let status = self.statuses.next()?;
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        let delta = match status {
            Status::NotReceived | Status::WithoutTime => return Some((sequence, status, None)),
            Status::Small(delta) => i64::from(delta),
            Status::Large(delta) => i64::from(delta),
        };
        self.time = self.time.saturating_add(delta);
        Some((sequence, status, Some(self.time)))
    }
}

/// Packs symbols into chunks, one chunk open at a time.
///
/// A chunk stays open while it can be a run, a vector of 14 one-bit symbols or one of 7 two-bit symbols.
#[derive(Debug, Clone, Default)]
struct Packer {
    /// The first 14 symbols of the open chunk, two bits each, the first one lowest.
    symbols: u32,
    len: u16,
    /// Whether all are equal to the first.
    uniform: bool,
    /// Whether one of them needs two bits.
    wide: bool,
}

/// The most that fit into a run.
const RUN_MAX: u16 = 0x1fff;

impl Packer {
    /// Adds a symbol; gives a chunk when that one had to be closed before.
    fn push(&mut self, symbol: u16) -> Option<u16> {
        let wide = symbol > 1;
        let same = self.len == 0 || (self.uniform && self.first() == symbol);
        let fits = self.len < 7 || (self.len < 14 && !self.wide && !wide) || (same && self.len < RUN_MAX);
        let closed = if fits { None } else { Some(self.close()) };
        // What `close` left over is never a run together with the new symbol unless all are the same.
        self.uniform = self.len == 0 || (self.uniform && self.first() == symbol);
        self.wide = wide || (self.len != 0 && self.wide);
        if self.len < 14 {
            let shift = u32::from(self.len).wrapping_mul(2);
            let cleared = self.symbols & !3_u32.wrapping_shl(shift);
            self.symbols = cleared | u32::from(symbol).wrapping_shl(shift);
        }
        self.len = self.len.wrapping_add(1);
        closed
    }

    /// The chunk that is still open at the end.
    fn finish(mut self) -> Option<u16> {
        match self.len {
            0 => None,
            _ if self.uniform => Some(self.run()),
            1..=7 => Some(self.two_bit_vector()),
            _ => Some(self.one_bit_vector()),
        }
    }

    /// Takes a chunk off the front, of which the rest stays.
    fn close(&mut self) -> u16 {
        if self.uniform {
            self.run()
        } else if self.len == 14 && !self.wide {
            self.one_bit_vector()
        } else {
            self.two_bit_vector()
        }
    }

    const fn first(&self) -> u16 {
        // Two bits always fit.
        #[allow(clippy::cast_possible_truncation)]
        let symbol = (self.symbols & 3) as u16;
        symbol
    }

    fn symbol(&self, index: u16) -> u16 {
        let shift = u32::from(index).wrapping_mul(2);
        u16::try_from(self.symbols.wrapping_shr(shift) & 3).unwrap_or(0)
    }

    fn run(&mut self) -> u16 {
        let chunk = self.first() << 13 | self.len;
        self.len = 0;
        chunk
    }

    fn one_bit_vector(&mut self) -> u16 {
        let mut chunk = 0x8000;
        for index in 0..self.len {
            chunk |= self.symbol(index).wrapping_shl(13_u32.wrapping_sub(u32::from(index)));
        }
        self.len = 0;
        chunk
    }

    fn two_bit_vector(&mut self) -> u16 {
        let taken = self.len.min(7);
        let mut chunk = 0xc000;
        for index in 0..taken {
            let shift = 12_u32.wrapping_sub(u32::from(index).wrapping_mul(2));
            chunk |= self.symbol(index).wrapping_shl(shift);
        }
        self.symbols = self.symbols.wrapping_shr(14);
        self.len = self.len.wrapping_sub(taken);
        let (mut uniform, mut wide) = (true, false);
        for index in 0..self.len {
            uniform &= self.symbol(index) == self.first();
            wide |= self.symbol(index) > 1;
        }
        (self.uniform, self.wide) = (uniform, wide);
        chunk
    }
}

/// Length of feedback before its chunks, with the common header, in bytes.
#[cfg(feature = "std")]
const FIXED: usize = 20;

/// Computes the size of feedback while statuses are added, to know when a packet is full.
#[cfg(feature = "std")]
#[derive(Debug, Clone, Default)]
pub(crate) struct Measure {
    packer: Packer,
    chunks: usize,
    deltas: usize,
}

#[cfg(feature = "std")]
impl Measure {
    /// Adds a status.
    pub(crate) fn push(&mut self, status: Status) {
        if self.packer.push(status.symbol()).is_some() {
            self.chunks = self.chunks.saturating_add(1);
        }
        self.deltas = self.deltas.saturating_add(match status {
            Status::NotReceived | Status::WithoutTime => 0,
            Status::Small(_) => 1,
            Status::Large(_) => 2,
        });
    }

    /// Length of the packet with what was added so far, in bytes.
    pub(crate) fn len(&self) -> usize {
        let open = usize::from(self.packer.len != 0);
        let chunks = self.chunks.saturating_add(open).saturating_mul(2);
        let len = FIXED.saturating_add(chunks).saturating_add(self.deltas);
        len.saturating_add(3) & !3
    }
}
