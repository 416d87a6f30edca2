//! Writing RTP headers (RFC 3550 §5.1) with header extensions (RFC 8285).
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use core::fmt;

use crate::{Extensions, PayloadType, Profile, Ssrc};

/// What stands in the header of a packet to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RtpOut<'a> {
    /// The payload type, 0 to 127.
    pub payload_type: PayloadType,
    /// The marker bit.
    pub marker: bool,
    /// The extended sequence number: its low 16 bits go on the wire, the bits above are SRTP's rollover counter.
    pub sequence_number: u64,
    /// The timestamp, in units of the payload format's clock.
    pub timestamp: u32,
    /// The synchronization source.
    pub ssrc: Ssrc,
    /// Contributing sources, at most 15.
    pub csrcs: &'a [Ssrc],
    /// Header extension elements, written in this order.
    pub extensions: &'a [(u8, &'a [u8])],
    /// Bytes of padding that will follow the payload, their count included; 0 for none. Only the P bit stands in the
    /// header: [`put_padding`](Self::put_padding) writes the padding.
    pub padding: u8,
}

impl RtpOut<'_> {
    /// Writes the header and returns its length in bytes.
    ///
    /// The extension takes the one-byte form where it can; an element that needs the two-byte form (an id above 14, no
    /// data, more than 16 bytes) makes all of this packet's take it when `allow_mixed` (`a=extmap-allow-mixed`,
    /// RFC 8285 §6) and is left out when not: so does Chromium.
    ///
    /// # Errors
    /// [`HeaderError`] except `NeedsTwoByteForm`.
    #[inline]
    pub fn write(&self, allow_mixed: bool, out: &mut [u8]) -> Result<usize, HeaderError> {
        self.begin(allow_mixed, out)?.finish()
    }

    /// Writes as [`write`](Self::write) does, and lets further extension elements be added before the end.
    ///
    /// # Errors
    /// [`HeaderError`] except `NeedsTwoByteForm`.
    #[inline]
    pub fn begin<'o>(&self, allow_mixed: bool, out: &'o mut [u8]) -> Result<HeaderWriter<'o>, HeaderError> {
        let mut writer = HeaderWriter::new(self, allow_mixed, out)?;
        for &(id, data) in self.extensions {
            match writer.extension(id, data) {
                Ok(()) => {}
                Err(HeaderError::NeedsTwoByteForm) => writer.left_out = writer.left_out.saturating_add(1),
                Err(error) => return Err(error),
            }
        }
        Ok(writer)
    }

    /// Fills the first bytes of `out`, which stand behind the payload, with the padding that the header announced, and
    /// returns their number.
    ///
    /// # Errors
    /// [`HeaderError::Full`] when they do not fit.
    pub fn put_padding(&self, out: &mut [u8]) -> Result<usize, HeaderError> {
        let len = usize::from(self.padding);
        let padding = out.get_mut(..len).ok_or(HeaderError::Full)?;
        if let Some((count, zeros)) = padding.split_last_mut() {
            zeros.fill(0);
            *count = self.padding;
        }
        Ok(len)
    }
}

/// Why a header or one of its extension elements was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderError {
    /// The buffer is too short.
    Full,
    /// An RTP packet has at most 15 contributing sources.
    TooManyCsrcs,
    /// Extension ids are 1 to 255.
    Id,
    /// An extension element holds at most 255 bytes.
    TooLong,
    /// The element needs the two-byte form, which was not negotiated. Nothing was written.
    NeedsTwoByteForm,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the output buffer is too short for the RTP header",
            Self::TooManyCsrcs => "an RTP packet has at most 15 contributing sources",
            Self::Id => "the id of a header extension is 1 to 255",
            Self::TooLong => "a header extension holds at most 255 bytes",
            Self::NeedsTwoByteForm => {
                "this header extension needs the two-byte form, for which extmap-allow-mixed must be negotiated"
            }
        })
    }
}

impl core::error::Error for HeaderError {}

/// Writes an RTP header, one extension element after the other, into a buffer of the caller's.
///
/// Elements are laid where they will stay. When one of them needs the two-byte form, those before it are widened in
/// place; that is rare (a dependency descriptor with its structure, on key frames).
pub struct HeaderWriter<'a> {
    out: &'a mut [u8],
    /// Where the CSRCs end: the header extension would begin here.
    csrcs_end: usize,
    /// Where the next extension element goes: behind the extension's own header when it is the first.
    next: usize,
    two_byte: bool,
    allow_mixed: bool,
    left_out: usize,
}

/// The profile and length fields of a header extension, in bytes.
const EXTENSION_HEADER: usize = 4;

impl<'a> HeaderWriter<'a> {
    /// Writes everything before the header extension. The extensions of `header` are not written:
    /// [`RtpOut::begin`] does that.
    ///
    /// # Errors
    /// [`HeaderError::Full`], [`HeaderError::TooManyCsrcs`].
    #[inline]
    pub fn new(header: &RtpOut<'_>, allow_mixed: bool, out: &'a mut [u8]) -> Result<Self, HeaderError> {
        let (fixed, rest) = out.split_first_chunk_mut::<12>().ok_or(HeaderError::Full)?;
        let ([start, timestamp, ssrc], []) = fixed.as_chunks_mut::<4>() else {
            return Err(HeaderError::Full);
        };
        let csrc_count = u8::try_from(header.csrcs.len()).map_err(|_| HeaderError::TooManyCsrcs)?;
        if csrc_count > 15 {
            return Err(HeaderError::TooManyCsrcs);
        }
        let [.., sequence_high, sequence_low] = header.sequence_number.to_be_bytes();
        let first = 0x80 | u8::from(header.padding != 0) << 5 | csrc_count;
        let second = u8::from(header.marker) << 7 | header.payload_type.0 & 0x7f;
        *start = [first, second, sequence_high, sequence_low];
        *timestamp = header.timestamp.to_be_bytes();
        *ssrc = header.ssrc.0.to_be_bytes();
        let mut len = 12;
        let mut rest = rest;
        for csrc in header.csrcs {
            let (field, tail) = rest.split_first_chunk_mut().ok_or(HeaderError::Full)?;
            *field = csrc.0.to_be_bytes();
            rest = tail;
            len = usize::saturating_add(len, 4);
        }
        Ok(Self {
            out,
            csrcs_end: len,
            next: usize::saturating_add(len, EXTENSION_HEADER),
            two_byte: false,
            allow_mixed,
            left_out: 0,
        })
    }

    /// How many elements of [`RtpOut::extensions`] were left out since the two-byte form is not allowed.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// Adds an extension element. After an error the header is as it was before.
    ///
    /// # Errors
    /// [`HeaderError::Id`], [`TooLong`](HeaderError::TooLong), [`NeedsTwoByteForm`](HeaderError::NeedsTwoByteForm),
    /// [`Full`](HeaderError::Full).
    #[inline]
    pub fn extension(&mut self, id: u8, data: &[u8]) -> Result<(), HeaderError> {
        if id == 0 {
            return Err(HeaderError::Id);
        }
        let data_len = u8::try_from(data.len()).map_err(|_| HeaderError::TooLong)?;
        let needs_two_byte = id > 14 || data_len.wrapping_sub(1) > 15;
        if needs_two_byte && !self.two_byte {
            return self.extension_widening(id, data, data_len);
        }
        self.put(id, data, data_len)
    }

    #[inline]
    fn put(&mut self, id: u8, data: &[u8], data_len: u8) -> Result<(), HeaderError> {
        let end = self
            .next
            .wrapping_add(data.len())
            .wrapping_add(if self.two_byte { 2 } else { 1 });
        let area = self.out.get_mut(self.next..end).ok_or(HeaderError::Full)?;
        let field = match area {
            [head_id, head_len, field @ ..] if self.two_byte => {
                (*head_id, *head_len) = (id, data_len);
                field
            }
            [head, field @ ..] => {
                *head = id << 4 | data_len.wrapping_sub(1) & 0x0f;
                field
            }
            [] => return Err(HeaderError::Full),
        };
        // Nearly all elements have one to three bytes, for which a call of memcpy costs more than all the rest.
        match (field, data) {
            ([a], [x]) => *a = *x,
            ([a, b], [x, y]) => (*a, *b) = (*x, *y),
            ([a, b, c], [x, y, z]) => (*a, *b, *c) = (*x, *y, *z),
            (field, data) => field.copy_from_slice(data),
        }
        self.next = end;
        Ok(())
    }

    /// Turns what was written into the two-byte form, then adds an element.
    #[cold]
    fn extension_widening(&mut self, id: u8, data: &[u8], data_len: u8) -> Result<(), HeaderError> {
        if !self.allow_mixed {
            return Err(HeaderError::NeedsTwoByteForm);
        }
        let start = self.csrcs_end.saturating_add(EXTENSION_HEADER);
        let written = self.out.get(start..self.next).ok_or(HeaderError::Full)?;
        let count = Extensions::new(Profile::ONE_BYTE, written).count();
        // The whole must fit before anything moves.
        let end = self
            .next
            .saturating_add(count)
            .saturating_add(data.len())
            .saturating_add(2);
        let area = self.out.get_mut(start..end).ok_or(HeaderError::Full)?;
        // Shifted to the right by one byte per element, each element then finds its place without running into the
        // next.
        let old_len = self.next.saturating_sub(start);
        area.copy_within(..old_len, count);
        let (mut from, mut to) = (count, 0_usize);
        for _ in 0..count {
            let head = area.get(from).copied().ok_or(HeaderError::Full)?;
            let len = head & 0x0f;
            let len = len.saturating_add(1);
            from = from.saturating_add(1);
            let next = from.saturating_add(usize::from(len));
            if let Some(place) = area.get_mut(to..).and_then(|rest| rest.first_chunk_mut()) {
                *place = [head >> 4, len];
            }
            to = to.saturating_add(2);
            area.copy_within(from..next, to);
            to = to.saturating_add(usize::from(len));
            from = next;
        }
        self.two_byte = true;
        self.next = start.saturating_add(to);
        self.put(id, data, data_len)
    }

    /// Ends the header with the padding of its extension, and returns its length in bytes.
    ///
    /// # Errors
    /// [`HeaderError::Full`].
    #[inline]
    pub fn finish(self) -> Result<usize, HeaderError> {
        if self.next == self.csrcs_end.wrapping_add(EXTENSION_HEADER) {
            return Ok(self.csrcs_end);
        }
        let end = self.next.wrapping_add(3) & !3;
        match self.out.get_mut(self.next..end).ok_or(HeaderError::Full)? {
            [a] => *a = 0,
            [a, b] => (*a, *b) = (0, 0),
            [a, b, c] => (*a, *b, *c) = (0, 0, 0),
            _ => {}
        }
        let words = end.saturating_sub(self.csrcs_end).saturating_sub(EXTENSION_HEADER) >> 2;
        let [words_high, words_low] = u16::try_from(words).map_err(|_| HeaderError::Full)?.to_be_bytes();
        let profile = if self.two_byte {
            Profile::TWO_BYTE
        } else {
            Profile::ONE_BYTE
        };
        let [profile_high, profile_low] = profile.0.to_be_bytes();
        let head = self
            .out
            .get_mut(self.csrcs_end..)
            .and_then(|rest| rest.first_chunk_mut());
        *head.ok_or(HeaderError::Full)? = [profile_high, profile_low, words_high, words_low];
        if let Some(first) = self.out.first_mut() {
            *first |= 0x10;
        }
        Ok(end)
    }
}

impl fmt::Debug for HeaderWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeaderWriter")
            .field("next", &self.next)
            .field("two_byte", &self.two_byte)
            .field("allow_mixed", &self.allow_mixed)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "header/tests.rs"]
mod tests;
