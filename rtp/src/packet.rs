//! The RTP packet (RFC 3550 §5.1) as a view over bytes.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use core::fmt;
use core::ops::Range;

use wire::{Error, Reader};

use crate::{PayloadType, Ssrc};

/// An RTP packet (RFC 3550 §5.1), looked at in place.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// |V=2|P|X|  CC   |M|     PT      |       sequence number         |
/// |                           timestamp                           |
/// |           synchronization source (SSRC) identifier            |
/// |            contributing source (CSRC) identifiers             |
/// |      defined by profile       |           length              |
/// |                        header extension                       |
/// |                     payload, then padding                     |
/// ```
///
/// [`parse`](Self::parse) computes the layout once; no getter fails afterwards. With `B: AsMut<[u8]>` the fields of
/// fixed width can be changed in place.
#[derive(Clone, Copy)]
pub struct Packet<B> {
    bytes: B,
    layout: Layout,
}

/// The length of the header without CSRCs and extension, in bytes.
const FIXED: usize = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Layout {
    /// Where the CSRCs end, in bytes.
    csrcs_end: usize,
    /// The "defined by profile" field, when the X bit is set.
    profile: Option<Profile>,
    /// Where the payload begins.
    header_len: usize,
    /// Where the payload ends and the padding begins.
    payload_end: usize,
}

impl Layout {
    #[inline]
    fn of(bytes: &[u8]) -> Result<Self, Error> {
        let mut r = Reader::new(bytes);
        let [first, ..] = r.take_array::<FIXED>()?;
        Reader::new(bytes).ensure(first >> 6 == 2, "the RTP version is 2")?;
        r.skip(usize::from(first & 0x0f).wrapping_mul(4))?;
        let csrcs_end = r.offset();
        let profile = if first & 0x10 != 0 {
            let profile = Profile(r.u16()?);
            let words = r.u16()?;
            r.skip(usize::from(words).wrapping_mul(4))?;
            Some(profile)
        } else {
            None
        };
        let header_len = r.offset();
        let padding = if first & 0x20 != 0 {
            // The last octet of the padding counts the padding, itself included (RFC 3550 §5.1).
            let padding = r.peek().last().copied().map_or(0, usize::from);
            r.ensure(padding != 0, "the P bit stands for one byte of padding at least")?;
            r.ensure(padding <= r.remaining(), "padding fits behind the header")?;
            padding
        } else {
            0
        };
        Ok(Self {
            csrcs_end,
            profile,
            header_len,
            payload_end: bytes.len().saturating_sub(padding),
        })
    }
}

impl<B: AsRef<[u8]>> Packet<B> {
    /// Looks at `bytes`, a whole packet in plaintext, as RTP. Whether the datagram is RTP at all is for
    /// [`is_rtp`](crate::is_rtp).
    ///
    /// The elements of the header extension are not checked: [`Extensions`] ends at the first malformed one, as
    /// RFC 8285 §4 wants.
    ///
    /// # Errors
    /// Another version than 2, or CSRCs, header extension or padding that reach beyond the end.
    #[inline]
    pub fn parse(bytes: B) -> Result<Self, Error> {
        let layout = Layout::of(bytes.as_ref())?;
        Ok(Self { bytes, layout })
    }

    #[inline]
    fn fixed(&self) -> [u8; FIXED] {
        self.bytes.as_ref().first_chunk().copied().unwrap_or_default()
    }

    #[inline]
    fn range(&self, range: Range<usize>) -> &[u8] {
        self.bytes.as_ref().get(range).unwrap_or_default()
    }

    /// The marker bit; its meaning is the payload format's: the last packet of a video frame, the first of a talk
    /// spurt.
    #[inline]
    pub fn marker(&self) -> bool {
        let [_, second, ..] = self.fixed();
        second & 0x80 != 0
    }

    /// The payload type.
    #[inline]
    pub fn payload_type(&self) -> PayloadType {
        let [_, second, ..] = self.fixed();
        PayloadType(second & 0x7f)
    }

    /// The sequence number.
    #[inline]
    pub fn sequence_number(&self) -> u16 {
        let [_, _, high, low, ..] = self.fixed();
        u16::from_be_bytes([high, low])
    }

    /// The timestamp, in units of the payload format's clock.
    #[inline]
    pub fn timestamp(&self) -> u32 {
        let [_, _, _, _, a, b, c, d, ..] = self.fixed();
        u32::from_be_bytes([a, b, c, d])
    }

    /// The synchronization source.
    #[inline]
    pub fn ssrc(&self) -> Ssrc {
        let [.., a, b, c, d] = self.fixed();
        Ssrc(u32::from_be_bytes([a, b, c, d]))
    }

    /// The contributing sources, 0 to 15.
    pub fn csrcs(&self) -> Csrcs<'_> {
        Csrcs {
            rest: self.range(FIXED..self.layout.csrcs_end),
        }
    }

    /// The "defined by profile" field of the header extension, if there is one.
    pub fn profile(&self) -> Option<Profile> {
        self.layout.profile
    }

    /// The header extension behind its profile and length fields; empty when there is none.
    #[inline]
    pub fn extension_data(&self) -> &[u8] {
        if self.layout.profile.is_none() {
            return &[];
        }
        self.range(self.layout.csrcs_end.saturating_add(4)..self.layout.header_len)
    }

    /// The elements of the header extension in either form of RFC 8285; none for another profile.
    #[inline]
    pub fn extensions(&self) -> Extensions<'_> {
        let data = self.extension_data();
        match self.layout.profile {
            Some(profile) => Extensions::new(profile, data),
            None => Extensions::new(Profile::ONE_BYTE, &[]),
        }
    }

    /// The data of the first extension element with this id.
    #[inline]
    pub fn extension(&self, id: u8) -> Option<&[u8]> {
        self.extensions().find(|&(each, _)| each == id).map(|(_, data)| data)
    }

    /// The header with CSRCs and extension.
    pub fn header(&self) -> &[u8] {
        self.range(0..self.layout.header_len)
    }

    /// Length of the header with CSRCs and extension, in bytes.
    #[inline]
    pub fn header_len(&self) -> usize {
        self.layout.header_len
    }

    /// The payload without padding.
    #[inline]
    pub fn payload(&self) -> &[u8] {
        self.range(self.payload_range())
    }

    /// Where the payload stands in the packet, in bytes.
    #[inline]
    pub fn payload_range(&self) -> Range<usize> {
        self.layout.header_len..self.layout.payload_end
    }

    /// Length of the padding, in bytes, its count included; 0 when there is none.
    #[inline]
    pub fn padding_len(&self) -> usize {
        self.bytes.as_ref().len().saturating_sub(self.layout.payload_end)
    }

    /// Whether there is padding and nothing else, as in bandwidth probes: nothing to forward.
    #[inline]
    pub fn is_padding_only(&self) -> bool {
        self.layout.header_len == self.layout.payload_end && self.padding_len() != 0
    }

    /// The whole packet, padding included.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    /// The same packet, only to be read.
    #[inline]
    pub fn view(&self) -> Packet<&[u8]> {
        Packet {
            bytes: self.bytes.as_ref(),
            layout: self.layout,
        }
    }

    /// Gives the bytes back.
    pub fn into_inner(self) -> B {
        self.bytes
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Packet<B> {
    fn set<const N: usize>(&mut self, at: usize, value: [u8; N]) {
        let end = at.saturating_add(N);
        if let Some(field) = self.bytes.as_mut().get_mut(at..end) {
            field.copy_from_slice(&value);
        }
    }

    /// Sets or clears the marker bit.
    pub fn set_marker(&mut self, marker: bool) {
        let [_, second, ..] = self.fixed();
        self.set(1, [second & 0x7f | u8::from(marker) << 7]);
    }

    /// Sets the payload type; its upper bit is ignored.
    pub fn set_payload_type(&mut self, payload_type: PayloadType) {
        let [_, second, ..] = self.fixed();
        self.set(1, [second & 0x80 | payload_type.0 & 0x7f]);
    }

    /// Sets the sequence number.
    pub fn set_sequence_number(&mut self, sequence_number: u16) {
        self.set(2, sequence_number.to_be_bytes());
    }

    /// Sets the timestamp.
    pub fn set_timestamp(&mut self, timestamp: u32) {
        self.set(4, timestamp.to_be_bytes());
    }

    /// Sets the synchronization source.
    pub fn set_ssrc(&mut self, ssrc: Ssrc) {
        self.set(8, ssrc.0.to_be_bytes());
    }

    /// The payload without padding, to be changed in place.
    pub fn payload_mut(&mut self) -> &mut [u8] {
        let range = self.payload_range();
        self.bytes.as_mut().get_mut(range).unwrap_or_default()
    }

    /// The data of the first extension element with this id, to be changed in place.
    pub fn extension_mut(&mut self, id: u8) -> Option<&mut [u8]> {
        let profile = self.layout.profile?;
        let start = self.layout.csrcs_end.saturating_add(4);
        let data = self.range(start..self.layout.header_len);
        let mut elements = Extensions::new(profile, data);
        let (_, found) = elements.by_ref().find(|&(each, _)| each == id)?;
        let end = self.layout.header_len.saturating_sub(elements.rest.len());
        let range = end.saturating_sub(found.len())..end;
        self.bytes.as_mut().get_mut(range)
    }
}

impl Packet<&mut [u8]> {
    /// Moves the header towards the payload by `by` bytes, which the payload loses at its beginning. The payload has so
    /// many.
    pub(crate) fn move_header(self, by: usize) -> Self {
        let Layout {
            csrcs_end,
            profile,
            header_len,
            payload_end,
        } = self.layout;
        debug_assert!(by <= self.payload_range().len(), "the header is moved into the payload");
        if let Some(area) = self.bytes.get_mut(..header_len.saturating_add(by)) {
            area.copy_within(..header_len, by);
        }
        Self {
            bytes: self.bytes.get_mut(by..).unwrap_or_default(),
            layout: Layout {
                csrcs_end,
                profile,
                header_len,
                payload_end: payload_end.saturating_sub(by),
            },
        }
    }
}

impl<B: AsRef<[u8]>> fmt::Display for Packet<B> {
    /// One line: `RTP pt=96 m seq=12 ts=3000 ssrc=0820d600 ext=[3:2 4:1] payload=1100 padding=3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RTP pt={}", self.payload_type())?;
        if self.marker() {
            f.write_str(" m")?;
        }
        let (seq, timestamp) = (self.sequence_number(), self.timestamp());
        write!(f, " seq={seq} ts={timestamp} ssrc={}", self.ssrc())?;
        for (index, csrc) in self.csrcs().enumerate() {
            write!(f, "{}{csrc}", if index == 0 { " csrc=" } else { "," })?;
        }
        if let Some(profile) = self.profile() {
            if profile.is_one_byte() || profile.is_two_byte() {
                f.write_str(" ext=[")?;
                for (index, (id, data)) in self.extensions().enumerate() {
                    write!(f, "{}{id}:{}", if index == 0 { "" } else { " " }, data.len())?;
                }
                f.write_str("]")?;
            } else {
                write!(f, " ext={profile:?}:{}", self.extension_data().len())?;
            }
        }
        write!(f, " payload={}", self.payload().len())?;
        match self.padding_len() {
            0 => Ok(()),
            padding => write!(f, " padding={padding}"),
        }
    }
}

impl<B: AsRef<[u8]>> fmt::Debug for Packet<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Packet({self})")
    }
}

impl<B: AsRef<[u8]>, C: AsRef<[u8]>> PartialEq<Packet<C>> for Packet<B> {
    fn eq(&self, other: &Packet<C>) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

/// The "defined by profile" field of a header extension (RFC 3550 §5.3.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Profile(pub u16);

impl Profile {
    /// Elements with one-byte headers (RFC 8285 §4.2).
    pub const ONE_BYTE: Self = Self(0xbede);
    /// Elements with two-byte headers and appbits of 0 (RFC 8285 §4.3).
    pub const TWO_BYTE: Self = Self(0x1000);

    /// Whether the elements have one-byte headers.
    #[inline]
    pub const fn is_one_byte(self) -> bool {
        self.0 == Self::ONE_BYTE.0
    }

    /// Whether the elements have two-byte headers, whatever the appbits are (RFC 8285 §4.3: ignored).
    #[inline]
    pub const fn is_two_byte(self) -> bool {
        self.0 & 0xfff0 == Self::TWO_BYTE.0
    }
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}", self.0)
    }
}

/// The contributing sources of a packet.
#[derive(Debug, Clone)]
pub struct Csrcs<'a> {
    rest: &'a [u8],
}

impl Iterator for Csrcs<'_> {
    type Item = Ssrc;

    fn next(&mut self) -> Option<Ssrc> {
        let (csrc, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(Ssrc(u32::from_be_bytes(*csrc)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = self.rest.len().wrapping_shr(2);
        (count, Some(count))
    }
}

impl ExactSizeIterator for Csrcs<'_> {}

/// The elements of a header extension (RFC 8285) as `(id, data)`, in either form; padding is skipped.
///
/// It ends where the RFC wants processing to end (id 15 in the one-byte form, id 0 with a length there) and before an
/// element that reaches beyond the extension; [`stopped_early`](Self::stopped_early) tells.
#[derive(Debug, Clone)]
pub struct Extensions<'a> {
    rest: &'a [u8],
    form: Form,
    stopped_early: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    OneByte,
    TwoByte,
}

impl<'a> Extensions<'a> {
    /// The elements in `data`, which stands behind the profile and length fields. None for a profile of neither form.
    #[inline]
    pub fn new(profile: Profile, data: &'a [u8]) -> Self {
        let (form, rest) = if profile.is_one_byte() {
            (Form::OneByte, data)
        } else if profile.is_two_byte() {
            (Form::TwoByte, data)
        } else {
            (Form::OneByte, &[][..])
        };
        Self {
            rest,
            form,
            stopped_early: false,
        }
    }

    /// Whether a malformed or reserved element ended the list before the extension's end.
    pub fn stopped_early(&self) -> bool {
        self.stopped_early
    }

    /// How many bytes of the extension follow the elements given so far.
    pub(crate) fn rest_len(&self) -> usize {
        self.rest.len()
    }

    fn stop<T>(&mut self) -> Option<T> {
        self.rest = &[];
        self.stopped_early = true;
        None
    }
}

impl<'a> Iterator for Extensions<'a> {
    type Item = (u8, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        loop {
            let (&first, rest) = self.rest.split_first()?;
            if first == 0 {
                self.rest = rest;
                continue;
            }
            let (id, len, rest) = match self.form {
                Form::OneByte => {
                    let id = first >> 4;
                    // Id 0 with a length, and the reserved id 15 (RFC 8285 §4.1.2, §4.2).
                    if id == 0 || id == 15 {
                        return self.stop();
                    }
                    (id, usize::from(first & 0x0f).wrapping_add(1), rest)
                }
                Form::TwoByte => {
                    let Some((&len, rest)) = rest.split_first() else {
                        return self.stop();
                    };
                    (first, usize::from(len), rest)
                }
            };
            let Some((data, rest)) = rest.split_at_checked(len) else {
                return self.stop();
            };
            self.rest = rest;
            return Some((id, data));
        }
    }
}

#[cfg(test)]
#[path = "packet/tests.rs"]
mod tests;
