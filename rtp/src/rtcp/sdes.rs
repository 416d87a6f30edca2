//! Source descriptions (RFC 3550 §6.5).
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use core::fmt;

use wire::{Error, Full, Reader, Writer};

use super::compound::write_packet;
use super::report::count;
use super::{PacketType, Raw};
use crate::Ssrc;

wire::registry! {
    /// SDES item types (IANA, RFC 3550 §6.5).
    pub struct SdesItem(u8) {
        /// Canonical end-point identifier, §6.5.1.
        CNAME = 1 => "CNAME",
        /// User name, §6.5.2.
        NAME = 2 => "NAME",
        /// Electronic mail address, §6.5.3.
        EMAIL = 3 => "EMAIL",
        /// Phone number, §6.5.4.
        PHONE = 4 => "PHONE",
        /// Geographic location, §6.5.5.
        LOC = 5 => "LOC",
        /// Application or tool name, §6.5.6.
        TOOL = 6 => "TOOL",
        /// Notice, §6.5.7.
        NOTE = 7 => "NOTE",
        /// Private extensions, §6.5.8.
        PRIV = 8 => "PRIV",
        /// RtpStreamId, RFC 8852 §4.1.
        RTP_STREAM_ID = 12 => "RtpStreamId",
        /// RepairedRtpStreamId, RFC 8852 §4.2.
        REPAIRED_RTP_STREAM_ID = 13 => "RepairedRtpStreamId",
        /// Media identification, RFC 9143 §15.1.
        MID = 15 => "MID",
    }
}

/// A source description packet: chunks of items, a chunk per source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sdes<'a> {
    chunks: SdesChunks<'a>,
}

impl<'a> Sdes<'a> {
    pub(super) fn parse(raw: &Raw<'a>) -> Result<Self, Error> {
        let mut r = raw.reader();
        for _ in 0..raw.count {
            SdesChunk::read(&mut r)?;
        }
        r.finish()?;
        Ok(Self {
            chunks: SdesChunks { rest: raw.body },
        })
    }

    /// The chunks, at most 31.
    pub fn chunks(&self) -> SdesChunks<'a> {
        self.chunks.clone()
    }

    /// The canonical name of a source, if it is described.
    pub fn cname(&self, ssrc: Ssrc) -> Option<&'a [u8]> {
        let mut items = self
            .chunks()
            .filter(|chunk| chunk.ssrc == ssrc)
            .flat_map(|chunk| chunk.items());
        items.find(|&(item, _)| item == SdesItem::CNAME).map(|(_, text)| text)
    }

    /// Appends a source description of one source and its canonical name.
    ///
    /// # Errors
    /// [`Full`] when it does not fit, or the name has more than 255 bytes.
    pub fn write_cname(w: &mut Writer<'_>, ssrc: Ssrc, cname: &[u8]) -> Result<(), Full> {
        Self::write(w, [(ssrc, [(SdesItem::CNAME, cname)])])
    }

    /// Appends a source description: for each source its items.
    ///
    /// # Errors
    /// [`Full`] when it does not fit, there are more than 31 chunks or an item has more than 255 bytes.
    pub fn write<'t, I>(
        w: &mut Writer<'_>,
        chunks: impl IntoIterator<Item = (Ssrc, I), IntoIter: Clone>,
    ) -> Result<(), Full>
    where
        I: IntoIterator<Item = (SdesItem, &'t [u8])>,
    {
        let chunks = chunks.into_iter();
        write_packet(w, count(chunks.clone())?, PacketType::SDES, |w| {
            for (ssrc, items) in chunks {
                w.u32(ssrc.0)?;
                let start = w.position();
                for (item, text) in items {
                    w.u8(item.0)?;
                    w.u8(u8::try_from(text.len()).map_err(|_| Full)?)?;
                    w.put(text)?;
                }
                // The list ends with one null octet at least, and the chunk at a multiple of four.
                let len = w.position().saturating_sub(start);
                w.zeros(4_usize.saturating_sub(len & 3))?;
            }
            Ok(())
        })
    }

    pub(super) fn rewrite(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        Self::write(w, self.chunks().map(|chunk| (chunk.ssrc, chunk.items())))
    }
}

impl fmt::Display for Sdes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SDES")?;
        for chunk in self.chunks() {
            write!(f, " {{{}", chunk.ssrc)?;
            for (item, text) in chunk.items() {
                write!(f, " {item}=\"{}\"", text.escape_ascii())?;
            }
            f.write_str("}")?;
        }
        Ok(())
    }
}

/// The chunks of a source description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SdesChunks<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for SdesChunks<'a> {
    type Item = SdesChunk<'a>;

    fn next(&mut self) -> Option<SdesChunk<'a>> {
        let mut r = Reader::new(self.rest);
        let chunk = SdesChunk::read(&mut r).ok()?;
        self.rest = r.peek();
        Some(chunk)
    }
}

/// What is said about one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SdesChunk<'a> {
    /// The source.
    pub ssrc: Ssrc,
    items: &'a [u8],
}

impl<'a> SdesChunk<'a> {
    fn read(r: &mut Reader<'a>) -> Result<Self, Error> {
        let ssrc = Ssrc(r.u32()?);
        let start = *r;
        // Items up to a null octet, which is followed by more of them up to the next multiple of four.
        while r.u8()? != 0 {
            let len = r.u8()?;
            r.skip(usize::from(len))?;
        }
        let items_len = r.offset().saturating_sub(start.offset()).saturating_sub(1);
        let len = items_len.saturating_add(4) & !3;
        *r = start;
        let bytes = r.take(len)?;
        let (items, nulls) = bytes.split_at_checked(items_len).unwrap_or_default();
        start.ensure(
            nulls.iter().all(|&byte| byte == 0),
            "a chunk is filled up with null octets",
        )?;
        Ok(Self { ssrc, items })
    }

    /// The items with their text, which is UTF-8 by RFC 3550 §6.5, yet not checked.
    pub fn items(&self) -> SdesItems<'a> {
        SdesItems { rest: self.items }
    }
}

/// The items of a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SdesItems<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for SdesItems<'a> {
    type Item = (SdesItem, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let ([item, len], rest) = self.rest.split_first_chunk()?;
        let (text, rest) = rest.split_at_checked(usize::from(*len))?;
        self.rest = rest;
        Some((SdesItem(*item), text))
    }
}
