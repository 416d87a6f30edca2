//! Receiver estimated maximum bitrate (draft-alvestrand-rmcat-remb-03 §2.2).
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use core::fmt;

use wire::{Error, Full, Writer};

use super::bye::Ssrcs;
use super::feedback::{read_sources, write_feedback};
use super::{PacketType, PayloadFormat, Raw};
use crate::Ssrc;

const IDENTIFIER: [u8; 4] = *b"REMB";

/// The receiver's estimate of what all the listed sources may send together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remb<'a> {
    /// Who estimates.
    pub sender: Ssrc,
    /// The bit rate, in bit/s. On the wire it has 18 significant bits.
    pub bitrate: u64,
    sources: Ssrcs<'a>,
}

/// Whether application-layer feedback is a REMB.
pub(super) fn is_remb(raw: &Raw<'_>) -> bool {
    raw.body.get(8..12) == Some(&IDENTIFIER[..])
}

impl<'a> Remb<'a> {
    pub(super) fn parse(raw: &Raw<'a>) -> Result<Self, Error> {
        let mut r = raw.reader();
        // The SSRC of media source is always 0.
        let (sender, _) = read_sources(&mut r)?;
        let here = r;
        here.ensure(r.take_array()? == IDENTIFIER, "REMB begins with its identifier")?;
        let count = r.u8()?;
        let here = r;
        let rate = r.u24()?;
        let mantissa = u64::from(rate & 0x3_ffff);
        let exponent = rate >> 18;
        here.ensure(exponent <= mantissa.leading_zeros(), "the bit rate fits into 64 bits")?;
        let sources = Ssrcs::new(r.take(usize::from(count).saturating_mul(4))?);
        r.finish()?;
        Ok(Self {
            sender,
            bitrate: mantissa.checked_shl(exponent).unwrap_or(0),
            sources,
        })
    }

    /// Whom the estimate is about, at most 255.
    pub fn sources(&self) -> Ssrcs<'a> {
        self.sources.clone()
    }

    /// Appends the packet. The bit rate is rounded down to 18 significant bits.
    ///
    /// # Errors
    /// [`Full`] when it does not fit, or there are more than 255 sources.
    pub fn write(
        w: &mut Writer<'_>,
        sender: Ssrc,
        bitrate: u64,
        sources: impl IntoIterator<Item = Ssrc, IntoIter: Clone>,
    ) -> Result<(), Full> {
        let sources = sources.into_iter();
        let count = u8::try_from(sources.clone().count()).map_err(|_| Full)?;
        let exponent = (u64::BITS.saturating_sub(bitrate.leading_zeros())).saturating_sub(18);
        let mantissa = u32::try_from(bitrate.wrapping_shr(exponent)).map_err(|_| Full)?;
        write_feedback(w, PacketType::PSFB, PayloadFormat::AFB.0, (sender, Ssrc(0)), |w| {
            w.put(&IDENTIFIER)?;
            w.u8(count)?;
            w.u24(exponent << 18 | mantissa)?;
            sources.into_iter().try_for_each(|source| w.u32(source.0))
        })
    }
}

impl fmt::Display for Remb<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "REMB {} {} bit/s", self.sender, self.bitrate)?;
        for source in self.sources() {
            write!(f, " {source}")?;
        }
        Ok(())
    }
}
