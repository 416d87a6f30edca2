//! Packets field by field, a line each with its offset in the datagram: for inspectors and tests.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use core::fmt;

use crate::Packet as RtpPacket;
use crate::rtcp::{Compound, Packet, Raw, ReportBlocks, Run, Status, XrBlock};

/// Prints an RTP packet, one line per field.
///
/// ```
/// let packet = rtp::Packet::parse([0x80, 0xe0, 0, 7, 0, 0, 0x0b, 0xb8, 0, 0, 0, 1, 0x10, 0]).unwrap();
/// let lines = rtp::dump::Rtp(&packet.view()).to_string();
/// assert!(lines.contains("   1 marker, payload type 96\n   2 sequence number 7\n   4 timestamp 3000\n"));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Rtp<'p, 'a>(pub &'p RtpPacket<&'a [u8]>);

impl fmt::Display for Rtp<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let packet = self.0;
        let mut lines = Lines { f, at: 0 };
        let padding = if packet.padding_len() == 0 {
            "no padding"
        } else {
            "padding"
        };
        let extension = if packet.profile().is_some() {
            "extension"
        } else {
            "no extension"
        };
        let csrcs = packet.csrcs().len();
        lines.field(1, format_args!("version 2, {padding}, {extension}, {csrcs} CSRCs"))?;
        let marker = if packet.marker() { "marker" } else { "no marker" };
        lines.field(1, format_args!("{marker}, payload type {}", packet.payload_type()))?;
        lines.field(2, format_args!("sequence number {}", packet.sequence_number()))?;
        lines.field(4, format_args!("timestamp {}", packet.timestamp()))?;
        lines.field(4, format_args!("SSRC {}", packet.ssrc()))?;
        for csrc in packet.csrcs() {
            lines.field(4, format_args!("CSRC {csrc}"))?;
        }
        if let Some(profile) = packet.profile() {
            let data = packet.extension_data();
            lines.field(4, format_args!("header extension {profile:?}, {} bytes", data.len()))?;
            let end = lines.at.saturating_add(data.len());
            if profile.is_one_byte() || profile.is_two_byte() {
                let head_len = if profile.is_one_byte() { 1 } else { 2 };
                let mut elements = packet.extensions();
                while let Some((id, data)) = elements.next() {
                    lines.at = end
                        .saturating_sub(elements.rest_len())
                        .saturating_sub(data.len().saturating_add(head_len));
                    lines.field(
                        data.len().saturating_add(head_len),
                        format_args!("  element {id}, {} bytes: {}", data.len(), Hex(data)),
                    )?;
                }
                if elements.stopped_early() {
                    lines.field(0, format_args!("  the rest is reserved or malformed"))?;
                }
            } else {
                lines.field(data.len(), format_args!("  {}", Hex(data)))?;
            }
            lines.at = end;
        }
        lines.bytes("payload", packet.payload())?;
        let padding = packet.as_bytes().get(packet.payload_range().end..).unwrap_or_default();
        lines.bytes("padding", padding)
    }
}

/// Prints a datagram of RTCP, one line per field.
#[derive(Debug, Clone, Copy)]
pub struct Rtcp<'a>(pub Compound<'a>);

impl fmt::Display for Rtcp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Lines { f, at: 0 };
        for raw in self.0.raw() {
            let words = raw.body.len().saturating_add(raw.padding.len()) >> 2;
            lines.field(
                4,
                format_args!("{}, count or format {}, length {words}", raw.packet_type, raw.count),
            )?;
            match Packet::of(raw) {
                Ok(packet) => body(&mut lines, &packet, &raw)?,
                Err(error) => lines.field(raw.body.len(), format_args!("  malformed: {error}"))?,
            }
            lines.at = raw.offset.saturating_add(raw.body.len());
            lines.bytes("  padding", raw.padding)?;
        }
        Ok(())
    }
}

fn body(lines: &mut Lines<'_, '_>, packet: &Packet<'_>, raw: &Raw<'_>) -> fmt::Result {
    match packet {
        Packet::SenderReport(sr) => {
            lines.field(4, format_args!("  sender {}", sr.info.ssrc))?;
            lines.field(8, format_args!("  NTP timestamp {}", sr.info.ntp))?;
            lines.field(4, format_args!("  RTP timestamp {}", sr.info.rtp_timestamp))?;
            lines.field(4, format_args!("  packet count {}", sr.info.packet_count))?;
            lines.field(4, format_args!("  octet count {}", sr.info.octet_count))?;
            reports(lines, sr.reports())?;
            lines.bytes("  extension", sr.extension)
        }
        Packet::ReceiverReport(rr) => {
            lines.field(4, format_args!("  sender {}", rr.ssrc))?;
            reports(lines, rr.reports())?;
            lines.bytes("  extension", rr.extension)
        }
        Packet::Sdes(sdes) => {
            for chunk in sdes.chunks() {
                lines.field(4, format_args!("  source {}", chunk.ssrc))?;
                let start = lines.at;
                for (item, text) in chunk.items() {
                    lines.field(
                        text.len().saturating_add(2),
                        format_args!("    {item} \"{}\"", text.escape_ascii()),
                    )?;
                }
                let nulls = 4_usize.saturating_sub(lines.at.saturating_sub(start) & 3);
                lines.field(nulls, format_args!("    {nulls} null octets"))?;
            }
            Ok(())
        }
        Packet::Bye(bye) => {
            for source in bye.sources() {
                lines.field(4, format_args!("  source {source}"))?;
            }
            match bye.reason {
                Some(reason) => lines.field(0, format_args!("  reason \"{}\"", reason.escape_ascii())),
                None => Ok(()),
            }
        }
        Packet::Nack(nack) => {
            sources(lines, nack.sender, nack.media)?;
            for pair in nack.pairs() {
                lines.field(
                    4,
                    format_args!(
                        "  lost {}, and of the next 16 {:016b}",
                        pair.pid,
                        pair.blp.reverse_bits()
                    ),
                )?;
            }
            Ok(())
        }
        Packet::Pli(pli) => sources(lines, pli.sender, pli.media),
        Packet::Fir(fir) => {
            sources(lines, fir.sender, fir.media)?;
            for entry in fir.entries() {
                lines.field(
                    8,
                    format_args!("  source {}, command {}", entry.ssrc, entry.sequence_number),
                )?;
            }
            Ok(())
        }
        Packet::TransportFeedback(feedback) => {
            let header = &feedback.header;
            sources(lines, header.sender, header.media)?;
            lines.field(2, format_args!("  base sequence number {}", header.base_sequence))?;
            lines.field(
                2,
                format_args!("  packet status count {}", feedback.statuses().size_hint().0),
            )?;
            lines.field(3, format_args!("  reference time {} * 64 ms", header.reference_time))?;
            lines.field(1, format_args!("  feedback packet count {}", header.feedback_count))?;
            for run in feedback.runs() {
                match (run.status, run.time) {
                    (Status::Small(delta), Some(time)) => arrival(lines, run.first, i64::from(delta), time)?,
                    (Status::Large(delta), Some(time)) => arrival(lines, run.first, i64::from(delta), time)?,
                    (Status::NotReceived, _) => without_time(lines, &run, "not received")?,
                    _ => without_time(lines, &run, "received")?,
                }
            }
            Ok(())
        }
        Packet::CongestionFeedback(feedback) => {
            lines.field(4, format_args!("  sender {}", feedback.sender))?;
            for stream in feedback.streams() {
                lines.field(4, format_args!("  stream {}", stream.ssrc))?;
                lines.field(
                    4,
                    format_args!("  from {}, {} packets", stream.begin_sequence, stream.metrics().count()),
                )?;
                let mut sequence = stream.begin_sequence;
                for metric in stream.metrics() {
                    if metric.received {
                        let (offset, ecn) = (metric.arrival_offset, metric.ecn);
                        lines.field(
                            2,
                            format_args!("    {sequence} received {offset}/1024 s before, {ecn:?}"),
                        )?;
                    } else {
                        lines.field(2, format_args!("    {sequence} not received"))?;
                    }
                    sequence = sequence.wrapping_add(1);
                }
                lines.at = lines.at.saturating_add(lines.at & 2);
            }
            lines.field(4, format_args!("  report timestamp {:08x}", feedback.report_timestamp))
        }
        Packet::Remb(remb) => {
            sources(lines, remb.sender, crate::Ssrc(0))?;
            lines.field(5, format_args!("  \"REMB\", {} sources", remb.sources().count()))?;
            lines.field(3, format_args!("  bit rate {} bit/s", remb.bitrate))?;
            for source in remb.sources() {
                lines.field(4, format_args!("  source {source}"))?;
            }
            Ok(())
        }
        Packet::Xr(xr) => {
            lines.field(4, format_args!("  sender {}", xr.sender))?;
            for block in xr.blocks() {
                match block {
                    XrBlock::ReceiverReferenceTime(ntp) => {
                        lines.field(12, format_args!("  receiver reference time {ntp}"))?;
                    }
                    XrBlock::Dlrr(answers) => {
                        lines.field(4, format_args!("  delay since the last receiver report"))?;
                        for answer in answers {
                            let (ssrc, last, delay) = (answer.ssrc, answer.last_rr, answer.delay);
                            lines.field(
                                12,
                                format_args!("    source {ssrc}, last {last:08x}, delay {delay}/65536 s"),
                            )?;
                        }
                    }
                    XrBlock::Unknown {
                        block_type,
                        type_specific,
                        data,
                    } => {
                        lines.field(
                            4,
                            format_args!("  block {block_type}, type-specific {type_specific:#04x}"),
                        )?;
                        lines.bytes("    data", data)?;
                    }
                }
            }
            Ok(())
        }
        Packet::Unknown(_) => lines.bytes("  body", raw.body),
    }
}

fn sources(lines: &mut Lines<'_, '_>, sender: crate::Ssrc, media: crate::Ssrc) -> fmt::Result {
    lines.field(4, format_args!("  sender {sender}"))?;
    lines.field(4, format_args!("  media source {media}"))
}

fn arrival(lines: &mut Lines<'_, '_>, sequence: u16, delta: i64, ticks: i64) -> fmt::Result {
    let micros = ticks.saturating_mul(250);
    lines.field(0, format_args!("    {sequence} received at {micros} us ({delta:+})"))
}

fn without_time(lines: &mut Lines<'_, '_>, run: &Run, what: &str) -> fmt::Result {
    if run.len == 1 {
        lines.field(0, format_args!("    {} {what}", run.first))
    } else {
        lines.field(0, format_args!("    {} to {} {what}", run.first, run.last()))
    }
}

fn reports(lines: &mut Lines<'_, '_>, reports: ReportBlocks<'_>) -> fmt::Result {
    for report in reports {
        lines.field(4, format_args!("  about {}", report.ssrc))?;
        lines.field(1, format_args!("    fraction lost {}/256", report.fraction_lost))?;
        lines.field(3, format_args!("    cumulative lost {}", report.cumulative_lost))?;
        lines.field(
            4,
            format_args!("    highest sequence number {}", report.highest_sequence),
        )?;
        lines.field(4, format_args!("    jitter {}", report.jitter))?;
        lines.field(4, format_args!("    last SR {:08x}", report.last_sr))?;
        lines.field(
            4,
            format_args!("    delay since last SR {}/65536 s", report.delay_since_last_sr),
        )?;
    }
    Ok(())
}

/// Prints lines and counts the bytes that they are about.
struct Lines<'f, 'b> {
    f: &'f mut fmt::Formatter<'b>,
    at: usize,
}

impl Lines<'_, '_> {
    fn field(&mut self, len: usize, what: fmt::Arguments<'_>) -> fmt::Result {
        writeln!(self.f, "{:4} {what}", self.at)?;
        self.at = self.at.saturating_add(len);
        Ok(())
    }

    /// A line, unless there are no bytes.
    fn bytes(&mut self, name: &str, bytes: &[u8]) -> fmt::Result {
        if bytes.is_empty() {
            return Ok(());
        }
        self.field(
            bytes.len(),
            format_args!("{name} {} bytes: {}", bytes.len(), Hex(bytes)),
        )
    }
}

/// The first bytes in hexadecimal.
struct Hex<'a>(&'a [u8]);

const SHOWN: usize = 24;

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().take(SHOWN).enumerate() {
            write!(f, "{}{byte:02x}", if index == 0 { "" } else { " " })?;
        }
        f.write_str(if self.0.len() > SHOWN { " ..." } else { "" })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::string::ToString;
    use std::vec::Vec;

    #[test]
    fn an_rtp_packet() {
        let bytes = [
            0xb1, 0x60, 0x12, 0x34, 0, 0, 0x0b, 0xb8, 8, 0x20, 0xd6, 0, 0, 0, 0, 7, 0xbe, 0xde, 0, 2, 0x31, 0xab, 0xcd,
            0, 0x40, 0x30, 0xf0, 0, 1, 2, 0, 2,
        ];
        let packet = RtpPacket::parse(&bytes[..]).unwrap();
        assert_eq!(
            Rtp(&packet).to_string(),
            "   0 version 2, padding, extension, 1 CSRCs
   1 no marker, payload type 96
   2 sequence number 4660
   4 timestamp 3000
   8 SSRC 0820d600
  12 CSRC 00000007
  16 header extension bede, 8 bytes
  20   element 3, 2 bytes: ab cd
  24   element 4, 1 bytes: 30
  26   the rest is reserved or malformed
  28 payload 2 bytes: 01 02
  30 padding 2 bytes: 00 02
"
        );
    }

    #[test]
    fn an_rtcp_datagram() {
        let digits = "81c900070000000106e54653050000020000723600000073112233440000000981ce0002000000010000000280cf0002000000010600\
                      0000";
        let bytes: Vec<u8> = digits
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        assert_eq!(
            Rtcp(Compound::parse(&bytes).unwrap()).to_string(),
            "   0 RR, count or format 1, length 7
   4   sender 00000001
   8   about 06e54653
  12     fraction lost 5/256
  13     cumulative lost 2
  16     highest sequence number 29238
  20     jitter 115
  24     last SR 11223344
  28     delay since last SR 9/65536 s
  32 PSFB, count or format 1, length 2
  36   sender 00000001
  40   media source 00000002
  44 XR, count or format 0, length 2
  48   sender 00000001
  52   block statistics summary, type-specific 0x00
"
        );
    }
}
