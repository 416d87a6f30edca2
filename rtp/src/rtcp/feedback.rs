//! The formats of feedback messages (RFC 4585 §6.1).
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use wire::{Error, Full, Reader, Writer};

use super::PacketType;
use super::compound::write_packet;
use crate::Ssrc;

wire::registry! {
    /// Formats of transport-layer feedback (IANA, RFC 4585 §6.2).
    pub struct TransportFormat(u8) {
        /// Generic NACK, RFC 4585 §6.2.1.
        NACK = 1 => "NACK",
        /// Temporary maximum media stream bit rate request, RFC 5104 §4.2.1.
        TMMBR = 3 => "TMMBR",
        /// Temporary maximum media stream bit rate notification, RFC 5104 §4.2.2.
        TMMBN = 4 => "TMMBN",
        /// Congestion control feedback, RFC 8888 §3.1.
        CCFB = 11 => "CCFB",
        /// Transport-wide feedback, draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1.
        TRANSPORT_WIDE = 15 => "TWCC",
    }
}

wire::registry! {
    /// Formats of payload-specific feedback (IANA, RFC 4585 §6.3).
    pub struct PayloadFormat(u8) {
        /// Picture loss indication, RFC 4585 §6.3.1.
        PLI = 1 => "PLI",
        /// Slice loss indication, RFC 4585 §6.3.2.
        SLI = 2 => "SLI",
        /// Reference picture selection indication, RFC 4585 §6.3.3.
        RPSI = 3 => "RPSI",
        /// Full intra request, RFC 5104 §4.3.1.
        FIR = 4 => "FIR",
        /// Application-layer feedback, RFC 4585 §6.4.
        AFB = 15 => "AFB",
    }
}

/// Reads the SSRC of the packet's sender and that of the media source (RFC 4585 §6.1).
pub(super) fn read_sources(r: &mut Reader<'_>) -> Result<(Ssrc, Ssrc), Error> {
    Ok((Ssrc(r.u32()?), Ssrc(r.u32()?)))
}

/// Writes a feedback message: the common header, both SSRCs, then what `fci` writes.
pub(super) fn write_feedback(
    w: &mut Writer<'_>,
    packet_type: PacketType,
    format: u8,
    (sender, media): (Ssrc, Ssrc),
    fci: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>,
) -> Result<(), Full> {
    write_packet(w, format, packet_type, |w| {
        w.u32(sender.0)?;
        w.u32(media.0)?;
        fci(w)
    })
}
