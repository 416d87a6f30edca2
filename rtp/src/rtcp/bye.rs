//! Goodbye (RFC 3550 §6.6).
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use core::fmt;

use wire::{Error, Full, Writer};

use super::compound::write_packet;
use super::report::count;
use super::{PacketType, Raw};
use crate::Ssrc;

/// A goodbye: sources that are no longer active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bye<'a> {
    sources: Ssrcs<'a>,
    /// The reason for leaving, if one is given; UTF-8 by RFC 3550 §6.6, yet not checked.
    pub reason: Option<&'a [u8]>,
}

impl<'a> Bye<'a> {
    pub(super) fn parse(raw: &Raw<'a>) -> Result<Self, Error> {
        let mut r = raw.reader();
        let sources = Ssrcs::new(r.take(usize::from(raw.count).saturating_mul(4))?);
        let reason = if r.is_empty() {
            None
        } else {
            let len = r.u8()?;
            let text = r.take(usize::from(len))?;
            r.ensure(
                r.remaining() < 4 && r.peek().iter().all(|&byte| byte == 0),
                "the reason is filled up with null octets",
            )?;
            Some(text)
        };
        Ok(Self { sources, reason })
    }

    /// Who leaves, at most 31.
    pub fn sources(&self) -> Ssrcs<'a> {
        self.sources.clone()
    }

    /// Appends a goodbye.
    ///
    /// # Errors
    /// [`Full`] when it does not fit, there are more than 31 sources or the reason has more than 255 bytes.
    pub fn write(
        w: &mut Writer<'_>,
        sources: impl IntoIterator<Item = Ssrc, IntoIter: Clone>,
        reason: Option<&[u8]>,
    ) -> Result<(), Full> {
        let sources = sources.into_iter();
        write_packet(w, count(sources.clone())?, PacketType::BYE, |w| {
            for source in sources {
                w.u32(source.0)?;
            }
            if let Some(reason) = reason {
                let len = u8::try_from(reason.len()).map_err(|_| Full)?;
                w.u8(len)?;
                w.put(reason)?;
                let fill = 3_usize.wrapping_sub(reason.len()) & 3;
                w.zeros(fill)?;
            }
            Ok(())
        })
    }
}

impl fmt::Display for Bye<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BYE")?;
        for source in self.sources() {
            write!(f, " {source}")?;
        }
        match self.reason {
            Some(reason) => write!(f, " reason=\"{}\"", reason.escape_ascii()),
            None => Ok(()),
        }
    }
}

/// A list of SSRCs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ssrcs<'a> {
    rest: &'a [u8],
}

impl<'a> Ssrcs<'a> {
    pub(super) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }
}

impl Iterator for Ssrcs<'_> {
    type Item = Ssrc;

    fn next(&mut self) -> Option<Ssrc> {
        let (ssrc, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(Ssrc(u32::from_be_bytes(*ssrc)))
    }
}
