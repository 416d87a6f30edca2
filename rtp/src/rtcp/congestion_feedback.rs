//! Congestion control feedback (RFC 8888 §3.1).
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use core::fmt;

use wire::{Ecn, Error, Full, Reader, Writer};

use super::compound::write_packet;
use super::{PacketType, Raw, TransportFormat};
use crate::Ssrc;

/// When which packets of several streams arrived, and with which ECN marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CongestionFeedback<'a> {
    /// Who received the packets.
    pub sender: Ssrc,
    /// The instant to which arrivals relate: the middle 32 bits of an NTP timestamp.
    pub report_timestamp: u32,
    streams: StreamReports<'a>,
}

/// The most packets of one stream that a report tells of: a quarter of the sequence space.
const METRICS_MAX: u16 = 16_384;

impl<'a> CongestionFeedback<'a> {
    pub(super) fn parse(raw: &Raw<'a>) -> Result<Self, Error> {
        let mut r = raw.reader();
        let sender = Ssrc(r.u32()?);
        let blocks_len = r.remaining().saturating_sub(4);
        let mut blocks = r.sub(blocks_len)?;
        let rest = blocks.peek();
        while !blocks.is_empty() {
            StreamMetrics::read(&mut blocks)?;
        }
        let report_timestamp = r.u32()?;
        r.finish()?;
        Ok(Self {
            sender,
            report_timestamp,
            streams: StreamReports { rest },
        })
    }

    /// The reports, one per stream.
    pub fn streams(&self) -> StreamReports<'a> {
        self.streams.clone()
    }

    /// Appends feedback: for each stream its SSRC, the sequence number of the first metric, and the metrics.
    ///
    /// # Errors
    /// [`Full`] when it does not fit, or a stream has more than 16384 metrics.
    pub fn write<I>(
        w: &mut Writer<'_>,
        sender: Ssrc,
        report_timestamp: u32,
        streams: impl IntoIterator<Item = (Ssrc, u16, I)>,
    ) -> Result<(), Full>
    where
        I: IntoIterator<Item = Metric>,
    {
        write_packet(w, TransportFormat::CCFB.0, PacketType::RTPFB, |w| {
            w.u32(sender.0)?;
            for (ssrc, begin_sequence, metrics) in streams {
                w.u32(ssrc.0)?;
                w.u16(begin_sequence)?;
                let count = w.reserve(2)?;
                let mut len = 0_u16;
                for metric in metrics {
                    w.u16(metric.to_bits())?;
                    len = len.checked_add(1).filter(|&len| len <= METRICS_MAX).ok_or(Full)?;
                }
                w.fill(count, usize::from(len))?;
                if len & 1 != 0 {
                    w.zeros(2)?;
                }
            }
            w.u32(report_timestamp)
        })
    }

    pub(super) fn rewrite(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        let streams = self
            .streams()
            .map(|stream| (stream.ssrc, stream.begin_sequence, stream.metrics()));
        Self::write(w, self.sender, self.report_timestamp, streams)
    }
}

impl fmt::Display for CongestionFeedback<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CCFB {} rts={:08x}", self.sender, self.report_timestamp)?;
        for stream in self.streams() {
            let (count, received) = stream.metrics().fold((0_u32, 0_u32), |(count, received), metric| {
                (
                    count.saturating_add(1),
                    received.saturating_add(u32::from(metric.received)),
                )
            });
            write!(
                f,
                " {{{} from={} received={received}/{count}}}",
                stream.ssrc, stream.begin_sequence
            )?;
        }
        Ok(())
    }
}

/// The reports in congestion control feedback.
#[derive(Debug, Clone)]
pub struct StreamReports<'a> {
    rest: &'a [u8],
}

/// Equal when they say the same: the padding of an odd number of metrics does not count.
impl PartialEq for StreamReports<'_> {
    fn eq(&self, other: &Self) -> bool {
        Iterator::eq(self.clone(), other.clone())
    }
}

impl Eq for StreamReports<'_> {}

impl<'a> Iterator for StreamReports<'a> {
    type Item = StreamMetrics<'a>;

    fn next(&mut self) -> Option<StreamMetrics<'a>> {
        let mut r = Reader::new(self.rest);
        let stream = StreamMetrics::read(&mut r).ok()?;
        self.rest = r.peek();
        Some(stream)
    }
}

/// What became of consecutive packets of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamMetrics<'a> {
    /// The stream.
    pub ssrc: Ssrc,
    /// The RTP sequence number of the first metric.
    pub begin_sequence: u16,
    metrics: &'a [u8],
}

impl<'a> StreamMetrics<'a> {
    fn read(r: &mut Reader<'a>) -> Result<Self, Error> {
        let ssrc = Ssrc(r.u32()?);
        let begin_sequence = r.u16()?;
        let here = *r;
        let count = r.u16()?;
        here.ensure(count <= METRICS_MAX, "a report tells of 16384 packets at most")?;
        let metrics = r.take(usize::from(count).saturating_mul(2))?;
        if count & 1 != 0 {
            r.skip(2)?;
        }
        Ok(Self {
            ssrc,
            begin_sequence,
            metrics,
        })
    }

    /// What became of each packet from `begin_sequence` on.
    pub fn metrics(&self) -> impl Iterator<Item = Metric> + Clone + use<'a> {
        self.metrics.chunks_exact(2).map(|bytes| {
            let bits = bytes.try_into().map_or(0, u16::from_be_bytes);
            Metric::from_bits(bits)
        })
    }
}

/// What became of one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Whether it was received.
    pub received: bool,
    /// The mark with which it was received.
    pub ecn: Ecn,
    /// How long before the report's timestamp it arrived, in units of 1/1024 s; 0x1ffe when longer than can be said,
    /// 0x1fff when not known.
    pub arrival_offset: u16,
}

impl Metric {
    const fn from_bits(bits: u16) -> Self {
        let [high, _] = bits.to_be_bytes();
        Self {
            received: bits & 0x8000 != 0,
            ecn: Ecn::from_bits(high >> 5),
            arrival_offset: bits & 0x1fff,
        }
    }

    const fn to_bits(self) -> u16 {
        (self.received as u16) << 15 | (self.ecn as u16) << 13 | self.arrival_offset & 0x1fff
    }
}
