//! Sender and receiver reports (RFC 3550 §6.4).
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use core::fmt;
use core::time::Duration;

use wire::{Error, Full, Reader, Writer};

use super::compound::write_packet;
use super::{PacketType, Raw};
use crate::Ssrc;
use crate::ntp::NtpTime;

/// What a receiver says about one source (RFC 3550 §6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReportBlock {
    /// The source that this is about.
    pub ssrc: Ssrc,
    /// The part of packets lost since the previous report, in units of 1/256.
    pub fraction_lost: u8,
    /// Packets lost since the beginning, -2^23 to 2^23 - 1; negative when there were duplicates.
    pub cumulative_lost: i32,
    /// The highest sequence number received, with the count of its cycles above.
    pub highest_sequence: u32,
    /// Interarrival jitter, in units of the timestamp.
    pub jitter: u32,
    /// The middle 32 bits of the latest sender report's NTP timestamp; 0 before the first.
    pub last_sr: u32,
    /// From the arrival of that report until this one was sent, in units of 1/65536 s.
    pub delay_since_last_sr: u32,
}

impl ReportBlock {
    /// Length of a report block, in bytes.
    pub const LEN: usize = 24;

    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Self {
            ssrc: Ssrc(r.u32()?),
            fraction_lost: r.u8()?,
            cumulative_lost: (r.u24()? << 8).cast_signed() >> 8,
            highest_sequence: r.u32()?,
            jitter: r.u32()?,
            last_sr: r.u32()?,
            delay_since_last_sr: r.u32()?,
        })
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        w.u32(self.ssrc.0)?;
        w.u8(self.fraction_lost)?;
        let lost = self.cumulative_lost.clamp(-0x80_0000, 0x7f_ffff);
        w.u24(lost.cast_unsigned() & 0xff_ffff)?;
        w.u32(self.highest_sequence)?;
        w.u32(self.jitter)?;
        w.u32(self.last_sr)?;
        w.u32(self.delay_since_last_sr)
    }

    /// The round trip that this block, arrived at `now` on the clock of our sender reports, proves (RFC 3550 §6.4.1:
    /// A - LSR - DLSR). `None` when it answers no report of ours, or when the delay exceeds the time that passed.
    pub fn round_trip(&self, now: NtpTime) -> Option<Duration> {
        if self.last_sr == 0 {
            return None;
        }
        let passed = now
            .middle()
            .wrapping_sub(self.last_sr)
            .wrapping_sub(self.delay_since_last_sr);
        // Clocks that run at slightly different rates make a short round trip negative.
        (passed < 1 << 31).then(|| crate::ntp::short_to_duration(passed))
    }
}

impl fmt::Display for ReportBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{{{} lost={}/256 total={} highest={} jitter={} lsr={:08x} dlsr={}}}",
            self.ssrc,
            self.fraction_lost,
            self.cumulative_lost,
            self.highest_sequence,
            self.jitter,
            self.last_sr,
            self.delay_since_last_sr
        )
    }
}

/// The report blocks of a sender or receiver report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportBlocks<'a> {
    rest: &'a [u8],
}

impl Iterator for ReportBlocks<'_> {
    type Item = ReportBlock;

    fn next(&mut self) -> Option<ReportBlock> {
        let mut r = Reader::new(self.rest);
        let block = ReportBlock::read(&mut r).ok()?;
        self.rest = r.peek();
        Some(block)
    }
}

/// What a sender says about itself (RFC 3550 §6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderInfo {
    /// The sender.
    pub ssrc: Ssrc,
    /// The wallclock time at which the report was sent.
    pub ntp: NtpTime,
    /// The same instant on the clock of the sender's timestamps.
    pub rtp_timestamp: u32,
    /// Packets sent since the beginning.
    pub packet_count: u32,
    /// Bytes of payload sent since the beginning, without headers and padding.
    pub octet_count: u32,
}

/// A sender report (RFC 3550 §6.4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SenderReport<'a> {
    /// What the sender says about itself.
    pub info: SenderInfo,
    reports: ReportBlocks<'a>,
    /// A profile-specific extension (RFC 3550 §6.4.3), mostly empty.
    pub extension: &'a [u8],
}

impl<'a> SenderReport<'a> {
    pub(super) fn parse(raw: &Raw<'a>) -> Result<Self, Error> {
        let mut r = raw.reader();
        let info = SenderInfo {
            ssrc: Ssrc(r.u32()?),
            ntp: NtpTime(r.u64()?),
            rtp_timestamp: r.u32()?,
            packet_count: r.u32()?,
            octet_count: r.u32()?,
        };
        let (reports, extension) = read_reports(&mut r, raw.count)?;
        Ok(Self {
            info,
            reports,
            extension,
        })
    }

    /// The report blocks, at most 31.
    pub fn reports(&self) -> ReportBlocks<'a> {
        self.reports.clone()
    }

    /// Appends a sender report. `extension` is empty unless a profile says otherwise.
    ///
    /// # Errors
    /// [`Full`] when it does not fit, or there are more than 31 blocks.
    pub fn write(
        w: &mut Writer<'_>,
        info: &SenderInfo,
        reports: impl IntoIterator<Item = ReportBlock, IntoIter: Clone>,
        extension: &[u8],
    ) -> Result<(), Full> {
        let reports = reports.into_iter();
        write_packet(w, count(reports.clone())?, PacketType::SR, |w| {
            w.u32(info.ssrc.0)?;
            w.u64(info.ntp.0)?;
            w.u32(info.rtp_timestamp)?;
            w.u32(info.packet_count)?;
            w.u32(info.octet_count)?;
            put_reports(w, reports, extension)
        })
    }
}

impl fmt::Display for SenderReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let info = &self.info;
        write!(
            f,
            "SR {} ntp={} ts={} packets={} octets={}",
            info.ssrc, info.ntp, info.rtp_timestamp, info.packet_count, info.octet_count
        )?;
        show_reports(f, self.reports(), self.extension)
    }
}

/// A receiver report (RFC 3550 §6.4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiverReport<'a> {
    /// Who sent the report.
    pub ssrc: Ssrc,
    reports: ReportBlocks<'a>,
    /// A profile-specific extension (RFC 3550 §6.4.3), mostly empty.
    pub extension: &'a [u8],
}

impl<'a> ReceiverReport<'a> {
    pub(super) fn parse(raw: &Raw<'a>) -> Result<Self, Error> {
        let mut r = raw.reader();
        let ssrc = Ssrc(r.u32()?);
        let (reports, extension) = read_reports(&mut r, raw.count)?;
        Ok(Self {
            ssrc,
            reports,
            extension,
        })
    }

    /// The report blocks, at most 31.
    pub fn reports(&self) -> ReportBlocks<'a> {
        self.reports.clone()
    }

    /// Appends a receiver report. `extension` is empty unless a profile says otherwise.
    ///
    /// # Errors
    /// [`Full`] when it does not fit, or there are more than 31 blocks.
    pub fn write(
        w: &mut Writer<'_>,
        ssrc: Ssrc,
        reports: impl IntoIterator<Item = ReportBlock, IntoIter: Clone>,
        extension: &[u8],
    ) -> Result<(), Full> {
        let reports = reports.into_iter();
        write_packet(w, count(reports.clone())?, PacketType::RR, |w| {
            w.u32(ssrc.0)?;
            put_reports(w, reports, extension)
        })
    }
}

impl fmt::Display for ReceiverReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RR {}", self.ssrc)?;
        show_reports(f, self.reports(), self.extension)
    }
}

fn read_reports<'a>(r: &mut Reader<'a>, count: u8) -> Result<(ReportBlocks<'a>, &'a [u8]), Error> {
    let rest = r.take(usize::from(count).saturating_mul(ReportBlock::LEN))?;
    // Padding of another length than a multiple of four would leave such a rest.
    r.ensure(r.remaining() & 3 == 0, "a report's extension is made of 32-bit words")?;
    Ok((ReportBlocks { rest }, r.all()))
}

/// How many there are, for a field of five bits.
pub(super) fn count<T>(items: impl Iterator<Item = T>) -> Result<u8, Full> {
    u8::try_from(items.count()).map_err(|_| Full)
}

fn put_reports(w: &mut Writer<'_>, reports: impl Iterator<Item = ReportBlock>, extension: &[u8]) -> Result<(), Full> {
    for report in reports {
        report.put(w)?;
    }
    w.put(extension)
}

fn show_reports(f: &mut fmt::Formatter<'_>, reports: ReportBlocks<'_>, extension: &[u8]) -> fmt::Result {
    for report in reports {
        write!(f, " {report}")?;
    }
    match extension.len() {
        0 => Ok(()),
        len => write!(f, " extension={len}"),
    }
}
