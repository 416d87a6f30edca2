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
    /// The time to which the first received packet's delta is added, in units of 64 ms, -2^23 to 2^23 - 1, on a clock
    /// of the receiver's. It wraps.
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
            let taken = chunk.len.min(left);
            deltas_len = deltas_len.saturating_add(chunk.deltas_len(taken));
            left = left.saturating_sub(taken);
        }
        let chunks_len = r.offset().saturating_sub(chunks_start.offset());
        let chunks = chunks_start.peek().get(..chunks_len).unwrap_or_default();
        let deltas = r.take(deltas_len)?;
        // Zero padding up to a multiple of four, as the draft's figure has it; others use the P bit, which is gone
        // here.
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

    /// The same as [`arrivals`](Self::arrivals), but what two bytes say of up to 8191 packets comes at once. Who keeps
    /// this loop's steps few does work in proportion to the bytes that the peer sent, not to the packets that it named.
    pub fn runs(&self) -> Runs<'a> {
        Runs(self.arrivals())
    }

    /// Each packet's sequence number and, when received, its time: up to 65535 of them, whatever the packet's length.
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
        let received = self.runs().filter(|run| run.status != Status::NotReceived);
        for next in received.map(|run| Some((run.first, run.last()))).chain([None]) {
            match (run, next) {
                (Some((first, last)), Some((next, end))) if last.wrapping_add(1) == next => run = Some((first, end)),
                (previous, next) => {
                    match previous {
                        Some((first, last)) if first == last => write!(f, "{separator}{first}")?,
                        Some((first, last)) => write!(f, "{separator}{first}-{last}")?,
                        None => {}
                    }
                    if previous.is_some() {
                        separator = " ";
                    }
                    run = next;
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

    /// Whether it says the same of all its packets.
    const fn is_run(self) -> bool {
        self.bits & 0x8000 == 0
    }

    /// Length of the deltas of the first `count` packets, in bytes. A run is not walked through: a datagram holds
    /// hundreds of them, each with 8191 packets.
    fn deltas_len(self, count: u16) -> usize {
        let len = |symbol| match symbol {
            1 => 1_usize,
            2 => 2,
            _ => 0,
        };
        if self.is_run() {
            len(self.symbol(0)).saturating_mul(usize::from(count))
        } else {
            (0..count).fold(0, |sum, index| sum.saturating_add(len(self.symbol(index))))
        }
    }

    /// The symbol at `index`, which is below `len`.
    fn symbol(self, index: u16) -> u16 {
        #[cfg(test)]
        tests::SYMBOLS_READ.with(|read| read.set(read.get().wrapping_add(1)));
        if self.is_run() {
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
#[derive(Debug, Clone)]
pub struct Statuses<'a> {
    chunks: &'a [u8],
    chunk: Chunk,
    next_in_chunk: u16,
    deltas: &'a [u8],
    left: u16,
}

impl Statuses<'_> {
    /// The next status, and of how many packets in a row it is taken, `most` at most. Only a run of packets without
    /// deltas gives more than one.
    fn take_run(&mut self, most: u16) -> Option<(Status, u16)> {
        if self.left == 0 {
            return None;
        }
        while self.next_in_chunk == self.chunk.len {
            let (bytes, rest) = self.chunks.split_first_chunk()?;
            self.chunks = rest;
            self.chunk = Chunk::of(u16::from_be_bytes(*bytes));
            self.next_in_chunk = 0;
        }
        let symbol = self.chunk.symbol(self.next_in_chunk);
        let len = if self.chunk.is_run() && matches!(symbol, 0 | 3) {
            self.chunk.len.wrapping_sub(self.next_in_chunk).min(self.left).min(most)
        } else {
            1
        };
        self.next_in_chunk = self.next_in_chunk.wrapping_add(len);
        self.left = self.left.wrapping_sub(len);
        let status = match symbol {
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
        };
        Some((status, len))
    }
}

/// Equal when they say the same, in whatever chunks.
impl PartialEq for Statuses<'_> {
    fn eq(&self, other: &Self) -> bool {
        Iterator::eq(self.clone(), other.clone())
    }
}

impl Eq for Statuses<'_> {}

impl Iterator for Statuses<'_> {
    type Item = Status;

    fn next(&mut self) -> Option<Status> {
        self.take_run(1).map(|(status, _)| status)
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

impl Arrivals<'_> {
    fn take_run(&mut self, most: u16) -> Option<Run> {
        let (status, len) = self.statuses.take_run(most)?;
        let first = self.sequence;
        self.sequence = first.wrapping_add(len);
        let delta = match status {
            Status::NotReceived | Status::WithoutTime => None,
            Status::Small(delta) => Some(i64::from(delta)),
            Status::Large(delta) => Some(i64::from(delta)),
        };
        let time = delta.map(|delta| {
            self.time = self.time.saturating_add(delta);
            self.time
        });
        Some(Run {
            first,
            len,
            status,
            time,
        })
    }
}

impl Iterator for Arrivals<'_> {
    type Item = (u16, Status, Option<i64>);

    fn next(&mut self) -> Option<Self::Item> {
        self.take_run(1).map(|run| (run.first, run.status, run.time))
    }
}

/// Packets in a row of which transport-wide feedback says the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The first one's sequence number.
    pub first: u16,
    /// How many they are, 1 to 8191; 1 when they have times.
    pub len: u16,
    /// What became of each.
    pub status: Status,
    /// When it arrived, as in [`Arrivals`].
    pub time: Option<i64>,
}

impl Run {
    /// The last one's sequence number.
    pub const fn last(&self) -> u16 {
        self.first.wrapping_add(self.len.wrapping_sub(1))
    }
}

/// The packets that transport-wide feedback tells of, those of which two bytes say the same at once.
#[derive(Debug, Clone)]
pub struct Runs<'a>(Arrivals<'a>);

impl Iterator for Runs<'_> {
    type Item = Run;

    fn next(&mut self) -> Option<Run> {
        self.0.take_run(u16::MAX)
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

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used)]
mod tests {
    use std::cell::Cell;
    use std::string::ToString;
    use std::vec::Vec;

    use super::*;
    use crate::rtcp::{Compound, Packet};

    std::thread_local! {
        pub(super) static SYMBOLS_READ: Cell<usize> = const { Cell::new(0) };
    }

    /// What `f` gives, and how many status symbols were looked at meanwhile.
    fn counted<T>(f: impl FnOnce() -> T) -> (T, usize) {
        let before = SYMBOLS_READ.get();
        let result = f();
        (result, SYMBOLS_READ.get().wrapping_sub(before))
    }

    /// Feedback about 65535 packets in nine runs, of a symbol without deltas.
    fn longest(symbol: u16) -> Vec<u8> {
        let mut bytes = std::vec![
            0x8f, 205, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0xff, 0xf0, 0xff, 0xff, 0, 0, 0, 0
        ];
        for len in [8191; 8].into_iter().chain([7, 0]) {
            bytes.extend((symbol << 13 | len).to_be_bytes());
        }
        bytes[3] = u8::try_from(bytes.len() / 4 - 1).unwrap();
        bytes
    }

    #[test]
    fn work_grows_with_the_bytes_and_not_with_the_packets_that_they_name() {
        for (symbol, status, shown) in [
            (0, Status::NotReceived, "received=[] of 65535"),
            (3, Status::WithoutTime, "received=[65520-65518] of 65535"),
        ] {
            let datagram = longest(symbol).repeat(30);
            assert_eq!(datagram.len(), 1200);
            let compound = Compound::parse(&datagram).unwrap();
            let (packets, read) = counted(|| compound.packets().collect::<Result<Vec<_>, _>>().unwrap());
            assert!(
                packets.len() == 30 && read <= datagram.len(),
                "{read} symbols read by the parser"
            );
            for packet in &packets {
                let Packet::TransportFeedback(feedback) = packet else {
                    panic!("{packet}");
                };
                let (runs, read) = counted(|| feedback.runs().collect::<Vec<_>>());
                assert_eq!((runs.len(), read), (9, 9));
                assert!(runs.iter().all(|run| (run.status, run.time) == (status, None)));
                assert_eq!((runs[8].first, runs[8].len, runs[8].last()), (65512, 7, 65518));
                assert_eq!(feedback.statuses().size_hint(), (65535, Some(65535)));
            }
            let (line, read) = counted(|| compound.to_string());
            assert!(
                line.contains(shown) && read <= datagram.len(),
                "{read} symbols read for {line}"
            );
            let (lines, read) = counted(|| crate::dump::Rtcp(compound).to_string());
            assert!(
                read <= datagram.len() && lines.len() <= datagram.len() * 20,
                "{read} symbols read for {} bytes",
                lines.len()
            );
        }
    }

    #[test]
    fn runs_say_what_arrivals_say() {
        let statuses = [
            &[Status::NotReceived; 20][..],
            &[Status::Small(1), Status::Large(-2), Status::NotReceived],
            &[Status::WithoutTime; 30],
            &[Status::Small(3); 20],
        ]
        .concat();
        let header = FeedbackHeader {
            sender: Ssrc(1),
            media: Ssrc(2),
            base_sequence: 65530,
            reference_time: -1,
            feedback_count: 0,
        };
        let mut buf = [0; 200];
        let mut w = Writer::new(&mut buf);
        TransportFeedback::write(&mut w, &header, statuses).unwrap();
        let packet = Compound::parse(w.written()).unwrap().packets().next().unwrap().unwrap();
        let Packet::TransportFeedback(feedback) = packet else {
            panic!("{packet}");
        };
        let flat = feedback
            .runs()
            .flat_map(|run| (0..run.len).map(move |at| (run.first.wrapping_add(at), run.status, run.time)));
        assert!(flat.eq(feedback.arrivals()));
        assert!(feedback.runs().count() < feedback.arrivals().count());
    }
}
