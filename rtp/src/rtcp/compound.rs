//! The framing of RTCP (RFC 3550 §6.1, §6.4) and what each packet type is.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use core::fmt;

use wire::{Error, Full, Reader, Writer};

use super::{
    Bye, CongestionFeedback, Fir, Nack, PayloadFormat, Pli, ReceiverReport, Remb, Sdes, SenderReport,
    TransportFeedback, TransportFormat, Xr, remb,
};

wire::registry! {
    /// RTCP packet types (IANA, RFC 3550 §12.1).
    pub struct PacketType(u8) {
        /// Sender report, RFC 3550 §6.4.1.
        SR = 200 => "SR",
        /// Receiver report, RFC 3550 §6.4.2.
        RR = 201 => "RR",
        /// Source description, RFC 3550 §6.5.
        SDES = 202 => "SDES",
        /// Goodbye, RFC 3550 §6.6.
        BYE = 203 => "BYE",
        /// Application-defined, RFC 3550 §6.7.
        APP = 204 => "APP",
        /// Transport-layer feedback, RFC 4585 §6.2.
        RTPFB = 205 => "RTPFB",
        /// Payload-specific feedback, RFC 4585 §6.3.
        PSFB = 206 => "PSFB",
        /// Extended report, RFC 3611.
        XR = 207 => "XR",
    }
}

/// A datagram's worth of RTCP packets (RFC 3550 §6.1), also of reduced size (RFC 5506).
#[derive(Debug, Clone, Copy)]
pub struct Compound<'a> {
    bytes: &'a [u8],
}

impl<'a> Compound<'a> {
    /// Checks the framing: every packet has version 2, the lengths add up to the whole, only the last one is padded and
    /// its padding fits (RFC 3550 §6.4.1, §A.2). What each packet contains is checked by [`packets`](Self::packets).
    ///
    /// Transport-layer feedback may be padded anywhere: transport-wide feedback uses the padding for its alignment.
    ///
    /// # Errors
    /// The first packet that breaks a rule, with its offset.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut r = Reader::new(bytes);
        r.ensure(!bytes.is_empty(), "an RTCP datagram holds one packet at least")?;
        while !r.is_empty() {
            let start = r;
            let raw = Raw::read(&mut r)?;
            start.ensure(
                raw.padding.is_empty() || r.is_empty() || raw.packet_type == PacketType::RTPFB,
                "only the last packet of a compound is padded",
            )?;
        }
        Ok(Self { bytes })
    }

    /// Whether it does not begin with a report, as only RFC 5506 allows.
    pub fn is_reduced_size(&self) -> bool {
        !matches!(
            self.raw().next().map(|raw| raw.packet_type),
            Some(PacketType::SR | PacketType::RR)
        )
    }

    /// The packets, typed. A packet whose contents break its own rules yields an error and does not hinder the others.
    pub fn packets(&self) -> Packets<'a> {
        Packets {
            reader: Reader::new(self.bytes),
        }
    }

    /// The packets as they stand in the datagram.
    pub fn raw(&self) -> impl Iterator<Item = Raw<'a>> + use<'a> {
        let mut reader = Reader::new(self.bytes);
        core::iter::from_fn(move || Raw::read(&mut reader).ok())
    }
}

impl fmt::Display for Compound<'_> {
    /// One line: the packets' lines, joined by ` + `.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, packet) in self.packets().enumerate() {
            if index != 0 {
                f.write_str(" + ")?;
            }
            match packet {
                Ok(packet) => packet.fmt(f)?,
                Err(error) => write!(f, "malformed ({error})")?,
            }
        }
        Ok(())
    }
}

/// The packets of a [`Compound`].
#[derive(Debug, Clone)]
pub struct Packets<'a> {
    reader: Reader<'a>,
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<Packet<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        // The framing was checked: an error here is the end.
        let raw = Raw::read(&mut self.reader).ok()?;
        Some(Packet::of(raw))
    }
}

/// One RTCP packet by its common header.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// |V=2|P| RC/FMT  |      PT       |            length             |
/// ```
#[derive(Clone, Copy)]
pub struct Raw<'a> {
    /// The five bits that count reports, sources or chunks, or give the format of a feedback message.
    pub count: u8,
    /// What it is.
    pub packet_type: PacketType,
    /// What follows the four bytes of the common header, without padding.
    pub body: &'a [u8],
    /// The padding with its count, 0 to 255 bytes.
    pub padding: &'a [u8],
    /// Where `body` stands in the datagram, in bytes.
    pub offset: usize,
}

impl<'a> Raw<'a> {
    fn read(r: &mut Reader<'a>) -> Result<Self, Error> {
        let start = *r;
        let first = r.u8()?;
        start.ensure(first >> 6 == 2, "the RTCP version is 2")?;
        let packet_type = PacketType(r.u8()?);
        let words = r.u16()?;
        let content = r.sub(usize::from(words).saturating_mul(4))?;
        let offset = content.offset();
        let bytes = content.peek();
        let padding_len = if first & 0x20 == 0 {
            0
        } else {
            // The last octet counts the padding, itself included (RFC 3550 §6.4.1). It should be a multiple of four,
            // but transport-wide feedback is padded by 1 to 3 bytes.
            let len = bytes.last().copied().map_or(0, usize::from);
            content.ensure(len != 0, "the P bit stands for one byte of padding at least")?;
            len
        };
        let body_len = bytes.len().checked_sub(padding_len);
        let split = body_len.and_then(|len| bytes.split_at_checked(len));
        let (body, padding) = split.ok_or_else(|| content.broken("padding fits behind the header"))?;
        Ok(Self {
            count: first & 0x1f,
            packet_type,
            body,
            padding,
            offset,
        })
    }

    /// A reader of the body that counts offsets from the start of the datagram.
    pub(super) fn reader(&self) -> Reader<'a> {
        Reader::at(self.body, self.offset)
    }

    /// Appends the packet as it is, padding included.
    ///
    /// # Errors
    /// [`Full`] when it does not fit, or body and padding together are no multiple of four bytes.
    pub fn write(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        write_packet(w, self.count, self.packet_type, |w| {
            w.put(self.body)?;
            w.put(self.padding)
        })?;
        if !self.padding.is_empty() {
            let len = self.body.len().saturating_add(self.padding.len()).saturating_add(4);
            mark_padded(w, len);
        }
        Ok(())
    }
}

/// Equal when the packets are, wherever they stand.
impl PartialEq for Raw<'_> {
    fn eq(&self, other: &Self) -> bool {
        let fields = |raw: &Self| (raw.count, raw.packet_type);
        fields(self) == fields(other) && self.body == other.body && self.padding == other.padding
    }
}

impl Eq for Raw<'_> {}

impl fmt::Debug for Raw<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Raw<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} {} bytes", self.packet_type, self.count, self.body.len())?;
        match self.padding.len() {
            0 => Ok(()),
            len => write!(f, " padding={len}"),
        }
    }
}

/// Writes the common header, then what `body` writes, then the length. The writer is left as it was after an error.
pub(super) fn write_packet(
    w: &mut Writer<'_>,
    count: u8,
    packet_type: PacketType,
    body: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>,
) -> Result<(), Full> {
    let start = w.position();
    let result = (|| {
        if count > 31 {
            return Err(Full);
        }
        w.u8(0x80 | count)?;
        w.u8(packet_type.0)?;
        let length = w.reserve(2)?;
        body(w)?;
        let bytes = w.position().saturating_sub(length.end());
        if bytes & 3 != 0 {
            return Err(Full);
        }
        w.fill(length, bytes >> 2)
    })();
    if result.is_err() {
        w.truncate(start);
    }
    result
}

/// Sets the P bit of the packet of `len` bytes that was written last.
pub(super) fn mark_padded(w: &mut Writer<'_>, len: usize) {
    let start = w.position().saturating_sub(len);
    if let Some(first) = w.written_mut().get_mut(start) {
        *first |= 0x20;
    }
}

/// An RTCP packet by its type. Two are equal when they say the same, even if in other bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Sender report.
    SenderReport(SenderReport<'a>),
    /// Receiver report.
    ReceiverReport(ReceiverReport<'a>),
    /// Source description.
    Sdes(Sdes<'a>),
    /// Goodbye.
    Bye(Bye<'a>),
    /// Generic negative acknowledgement.
    Nack(Nack<'a>),
    /// Picture loss indication.
    Pli(Pli),
    /// Full intra request.
    Fir(Fir<'a>),
    /// Transport-wide feedback.
    TransportFeedback(TransportFeedback<'a>),
    /// Congestion control feedback of RFC 8888.
    CongestionFeedback(CongestionFeedback<'a>),
    /// Receiver estimated maximum bitrate.
    Remb(Remb<'a>),
    /// Extended report.
    Xr(Xr<'a>),
    /// Any other packet type or feedback format.
    Unknown(Raw<'a>),
}

impl<'a> Packet<'a> {
    /// Reads one packet's body by its type.
    ///
    /// # Errors
    /// A body that breaks the rules of its type.
    pub fn of(raw: Raw<'a>) -> Result<Self, Error> {
        Ok(match raw.packet_type {
            PacketType::SR => Self::SenderReport(SenderReport::parse(&raw)?),
            PacketType::RR => Self::ReceiverReport(ReceiverReport::parse(&raw)?),
            PacketType::SDES => Self::Sdes(Sdes::parse(&raw)?),
            PacketType::BYE => Self::Bye(Bye::parse(&raw)?),
            PacketType::XR => Self::Xr(Xr::parse(&raw)?),
            PacketType::RTPFB => match TransportFormat(raw.count) {
                TransportFormat::NACK => Self::Nack(Nack::parse(&raw)?),
                TransportFormat::CCFB => Self::CongestionFeedback(CongestionFeedback::parse(&raw)?),
                TransportFormat::TRANSPORT_WIDE => Self::TransportFeedback(TransportFeedback::parse(&raw)?),
                _ => Self::Unknown(raw),
            },
            PacketType::PSFB => match PayloadFormat(raw.count) {
                PayloadFormat::PLI => Self::Pli(Pli::parse(&raw)?),
                PayloadFormat::FIR => Self::Fir(Fir::parse(&raw)?),
                PayloadFormat::AFB if remb::is_remb(&raw) => Self::Remb(Remb::parse(&raw)?),
                _ => Self::Unknown(raw),
            },
            _ => Self::Unknown(raw),
        })
    }

    /// Appends the packet, built anew from its fields. Padding is not kept, except where a format needs it for
    /// alignment and in unknown packets.
    ///
    /// # Errors
    /// [`Full`] when it does not fit.
    pub fn write(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        match self {
            Self::SenderReport(packet) => SenderReport::write(w, &packet.info, packet.reports(), packet.extension),
            Self::ReceiverReport(packet) => ReceiverReport::write(w, packet.ssrc, packet.reports(), packet.extension),
            Self::Sdes(packet) => packet.rewrite(w),
            Self::Bye(packet) => Bye::write(w, packet.sources(), packet.reason),
            Self::Nack(packet) => packet.rewrite(w),
            Self::Pli(packet) => packet.write(w),
            Self::Fir(packet) => Fir::write(w, packet.sender, packet.media, packet.entries()),
            Self::TransportFeedback(packet) => TransportFeedback::write(w, &packet.header, packet.statuses()),
            Self::CongestionFeedback(packet) => packet.rewrite(w),
            Self::Remb(packet) => Remb::write(w, packet.sender, packet.bitrate, packet.sources()),
            Self::Xr(packet) => Xr::write(w, packet.sender, packet.blocks()),
            Self::Unknown(raw) => raw.write(w),
        }
    }
}

impl fmt::Display for Packet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SenderReport(packet) => packet.fmt(f),
            Self::ReceiverReport(packet) => packet.fmt(f),
            Self::Sdes(packet) => packet.fmt(f),
            Self::Bye(packet) => packet.fmt(f),
            Self::Nack(packet) => packet.fmt(f),
            Self::Pli(packet) => packet.fmt(f),
            Self::Fir(packet) => packet.fmt(f),
            Self::TransportFeedback(packet) => packet.fmt(f),
            Self::CongestionFeedback(packet) => packet.fmt(f),
            Self::Remb(packet) => packet.fmt(f),
            Self::Xr(packet) => packet.fmt(f),
            Self::Unknown(raw) => raw.fmt(f),
        }
    }
}
