//! Extended reports (RFC 3611).
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use core::fmt;

use wire::{Error, Full, Reader, Writer};

use super::compound::write_packet;
use super::{PacketType, Raw};
use crate::Ssrc;
use crate::ntp::NtpTime;

wire::registry! {
    /// XR block types (IANA, RFC 3611 §4).
    pub struct XrBlockType(u8) {
        /// Loss RLE, §4.1.
        LOSS_RLE = 1 => "loss RLE",
        /// Duplicate RLE, §4.2.
        DUPLICATE_RLE = 2 => "duplicate RLE",
        /// Packet receipt times, §4.3.
        PACKET_RECEIPT_TIMES = 3 => "packet receipt times",
        /// Receiver reference time, §4.4.
        RRTR = 4 => "RRTR",
        /// Delay since the last receiver report, §4.5.
        DLRR = 5 => "DLRR",
        /// Statistics summary, §4.6.
        STATISTICS_SUMMARY = 6 => "statistics summary",
        /// VoIP metrics, §4.7.
        VOIP_METRICS = 7 => "VoIP metrics",
    }
}

/// An extended report: blocks of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Xr<'a> {
    /// Who sent it.
    pub sender: Ssrc,
    blocks: XrBlocks<'a>,
}

impl<'a> Xr<'a> {
    pub(super) fn parse(raw: &Raw<'a>) -> Result<Self, Error> {
        let mut r = raw.reader();
        let sender = Ssrc(r.u32()?);
        let rest = r.peek();
        while !r.is_empty() {
            XrBlock::read(&mut r)?;
        }
        Ok(Self {
            sender,
            blocks: XrBlocks { rest },
        })
    }

    /// The blocks.
    pub fn blocks(&self) -> XrBlocks<'a> {
        self.blocks.clone()
    }

    /// Appends an extended report.
    ///
    /// # Errors
    /// [`Full`] when it does not fit, or the data of an unknown block is no multiple of four bytes.
    pub fn write<'b>(
        w: &mut Writer<'_>,
        sender: Ssrc,
        blocks: impl IntoIterator<Item = XrBlock<'b>>,
    ) -> Result<(), Full> {
        write_packet(w, 0, PacketType::XR, |w| {
            w.u32(sender.0)?;
            blocks.into_iter().try_for_each(|block| block.put(w))
        })
    }

    /// Appends an extended report that answers receiver reference times.
    ///
    /// # Errors
    /// [`Full`] when it does not fit.
    pub fn write_dlrr(w: &mut Writer<'_>, sender: Ssrc, answers: impl IntoIterator<Item = Dlrr>) -> Result<(), Full> {
        write_packet(w, 0, PacketType::XR, |w| {
            w.u32(sender.0)?;
            put_dlrr(w, answers)
        })
    }
}

impl fmt::Display for Xr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "XR {}", self.sender)?;
        for block in self.blocks() {
            match block {
                XrBlock::ReceiverReferenceTime(ntp) => write!(f, " {{RRTR {ntp}}}")?,
                XrBlock::Dlrr(answers) => {
                    f.write_str(" {DLRR")?;
                    for answer in answers {
                        write!(f, " {} lrr={:08x} dlrr={}", answer.ssrc, answer.last_rr, answer.delay)?;
                    }
                    f.write_str("}")?;
                }
                XrBlock::Unknown { block_type, data, .. } => write!(f, " {{{block_type} {} bytes}}", data.len())?,
            }
        }
        Ok(())
    }
}

/// The blocks of an extended report.
#[derive(Debug, Clone)]
pub struct XrBlocks<'a> {
    rest: &'a [u8],
}

/// Equal when they say the same: reserved bits do not count.
impl PartialEq for XrBlocks<'_> {
    fn eq(&self, other: &Self) -> bool {
        Iterator::eq(self.clone(), other.clone())
    }
}

impl Eq for XrBlocks<'_> {}

impl<'a> Iterator for XrBlocks<'a> {
    type Item = XrBlock<'a>;

    fn next(&mut self) -> Option<XrBlock<'a>> {
        let mut r = Reader::new(self.rest);
        let block = XrBlock::read(&mut r).ok()?;
        self.rest = r.peek();
        Some(block)
    }
}

/// A block of an extended report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum XrBlock<'a> {
    /// Receiver reference time (RFC 3611 §4.4): when the report was sent, on the clock of its sender.
    ReceiverReferenceTime(NtpTime),
    /// Answers to receiver reference times (RFC 3611 §4.5).
    Dlrr(DlrrBlock<'a>),
    /// Any other block, or one of the above with a length that it cannot have.
    Unknown {
        /// What it is.
        block_type: XrBlockType,
        /// The eight bits that depend on the type.
        type_specific: u8,
        /// What follows the block's header, a multiple of four bytes.
        data: &'a [u8],
    },
}

impl<'a> XrBlock<'a> {
    fn read(r: &mut Reader<'a>) -> Result<Self, Error> {
        let block_type = XrBlockType(r.u8()?);
        let type_specific = r.u8()?;
        let words = r.u16()?;
        let data = r.take(usize::from(words).saturating_mul(4))?;
        // The type-specific bits of these two are reserved, and ignored (RFC 3611 §4.4, §4.5).
        Ok(match block_type {
            XrBlockType::RRTR if words == 2 => Self::ReceiverReferenceTime(NtpTime(Reader::new(data).u64()?)),
            XrBlockType::DLRR if words.is_multiple_of(3) => Self::Dlrr(DlrrBlock { rest: data }),
            _ => Self::Unknown {
                block_type,
                type_specific,
                data,
            },
        })
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        match self {
            Self::ReceiverReferenceTime(ntp) => {
                w.put(&[XrBlockType::RRTR.0, 0, 0, 2])?;
                w.u64(ntp.0)
            }
            Self::Dlrr(answers) => put_dlrr(w, answers.clone()),
            Self::Unknown {
                block_type,
                type_specific,
                data,
            } => {
                if data.len() & 3 != 0 {
                    return Err(Full);
                }
                w.put(&[block_type.0, *type_specific])?;
                w.u16(u16::try_from(data.len() >> 2).map_err(|_| Full)?)?;
                w.put(data)
            }
        }
    }
}

fn put_dlrr(w: &mut Writer<'_>, answers: impl IntoIterator<Item = Dlrr>) -> Result<(), Full> {
    w.put(&[XrBlockType::DLRR.0, 0])?;
    let length = w.reserve(2)?;
    for answer in answers {
        w.u32(answer.ssrc.0)?;
        w.u32(answer.last_rr)?;
        w.u32(answer.delay)?;
    }
    w.fill(length, w.position().saturating_sub(length.end()) >> 2)
}

/// The answer to one receiver reference time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dlrr {
    /// Who sent the reference time.
    pub ssrc: Ssrc,
    /// The middle 32 bits of it; 0 when none came.
    pub last_rr: u32,
    /// From its arrival until this report was sent, in units of 1/65536 s.
    pub delay: u32,
}

/// The answers in a DLRR block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DlrrBlock<'a> {
    rest: &'a [u8],
}

impl Iterator for DlrrBlock<'_> {
    type Item = Dlrr;

    fn next(&mut self) -> Option<Dlrr> {
        let mut r = Reader::new(self.rest);
        let answer = Dlrr {
            ssrc: Ssrc(r.u32().ok()?),
            last_rr: r.u32().ok()?,
            delay: r.u32().ok()?,
        };
        self.rest = r.peek();
        Some(answer)
    }
}
