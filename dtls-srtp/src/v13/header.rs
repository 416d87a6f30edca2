//! The header of protected records in DTLS 1.3 (RFC 9147 §4).
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use wire::{Error, Full, Reader, Writer};

/// The unified header (RFC 9147 §4):
///
/// ```text
///  0 1 2 3 4 5 6 7
/// +-+-+-+-+-+-+-+-+
/// |0|0|1|C|S|L|E E|
/// +-+-+-+-+-+-+-+-+
/// | connection ID |  C: there is one, of a length that the two ends know
/// +-+-+-+-+-+-+-+-+
/// | 8 or 16 bits  |  S: 16 bits of sequence number, else 8
/// +-+-+-+-+-+-+-+-+
/// |    length     |  L: 16 bits of length, else the record fills the datagram
/// +-+-+-+-+-+-+-+-+
/// ```
///
/// The connection ID goes beside this header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnifiedHeader {
    /// The lower two bits of the epoch.
    pub epoch_bits: u8,
    /// The lower bits of the sequence number; on the wire they are encrypted (RFC 9147 §4.2.3).
    pub sequence: ShortSequence,
    /// Bytes that follow; without it, all that are left in the datagram.
    pub length: Option<u16>,
}

/// The part of a sequence number that is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShortSequence {
    /// The lower 8 bits.
    Bits8(u8),
    /// The lower 16 bits.
    Bits16(u16),
}

impl ShortSequence {
    /// Hides or reveals it.
    #[must_use]
    pub const fn masked(self, [first, second]: [u8; 2]) -> Self {
        match self {
            Self::Bits8(sequence) => Self::Bits8(sequence ^ first),
            Self::Bits16(sequence) => Self::Bits16(sequence ^ u16::from_be_bytes([first, second])),
        }
    }

    /// The full number, the one closest to `expected` (RFC 9147 §4.2.2).
    pub fn expand(self, expected: u64) -> u64 {
        let (bits, low) = match self {
            Self::Bits8(sequence) => (8, u64::from(sequence)),
            Self::Bits16(sequence) => (16, u64::from(sequence)),
        };
        let span = 1_u64 << bits;
        let candidate = (expected & !span.saturating_sub(1)) | low;
        let half = span >> 1;
        if candidate.saturating_add(half) < expected {
            candidate.saturating_add(span)
        } else if candidate > expected.saturating_add(half) && candidate >= span {
            candidate.saturating_sub(span)
        } else {
            candidate
        }
    }
}

impl UnifiedHeader {
    /// The longest, in bytes, without a connection ID.
    pub const MAX_LEN: usize = 5;

    /// Where a connection ID stands.
    pub(crate) const ID_OFFSET: usize = 1;

    const FIXED: u8 = 0b0010_0000;
    const FIXED_MASK: u8 = 0b1110_0000;
    const C: u8 = 0b0001_0000;
    const S: u8 = 0b0000_1000;
    const L: u8 = 0b0000_0100;

    /// Whether a record begins like this.
    pub const fn begins(first: u8) -> bool {
        first & Self::FIXED_MASK == Self::FIXED
    }

    /// Whether a record begins like this and has a connection ID.
    pub(crate) const fn begins_with_id(first: u8) -> bool {
        Self::begins(first) && first & Self::C != 0
    }

    /// Reads a header; the cursor then stands at the body.
    ///
    /// # Errors
    /// When the input is too short, when the first byte is another, when there is a connection ID (none was agreed on),
    /// or when the length is above 2^14 + 256 (RFC 8446 §5.2).
    pub fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        Self::read_with_id(r, 0).map(|(header, _)| header)
    }

    /// Reads a header and its connection ID, which is empty when there is none, and else has `id_len` bytes.
    ///
    /// # Errors
    /// As [`read`](Self::read), but a connection ID is taken when `id_len` is not 0.
    pub fn read_with_id<'a>(r: &mut Reader<'a>, id_len: usize) -> Result<(Self, &'a [u8]), Error> {
        let first = r.peek_u8().unwrap_or_default();
        r.ensure(
            Self::begins(first),
            "a protected record of DTLS 1.3 begins with the bits 001",
        )?;
        let has_id = Self::begins_with_id(first);
        r.ensure(!has_id || id_len > 0, "no connection ID was agreed on")?;
        r.skip(1)?;
        let id = r.take(if has_id { id_len } else { 0 })?;
        let sequence = if first & Self::S == 0 {
            ShortSequence::Bits8(r.u8()?)
        } else {
            ShortSequence::Bits16(r.u16()?)
        };
        let length = if first & Self::L == 0 { None } else { Some(r.u16()?) };
        r.ensure(
            length.is_none_or(|length| length <= Self::MAX_BODY),
            "a record of DTLS 1.3 is at most 2^14 + 256 bytes long",
        )?;
        let header = Self {
            epoch_bits: first & 0b11,
            sequence,
            length,
        };
        Ok((header, id))
    }

    /// The longest body: 2^14 bytes of plaintext and 256 of expansion (RFC 8446 §5.2).
    pub const MAX_BODY: u16 = (1 << 14) + 256;

    /// Bytes of this header.
    #[cfg(test)]
    const fn len(&self) -> usize {
        let sequence = match self.sequence {
            ShortSequence::Bits8(_) => 1,
            ShortSequence::Bits16(_) => 2_usize,
        };
        let length = if self.length.is_some() { 2 } else { 0 };
        sequence.saturating_add(length).saturating_add(1)
    }

    /// Writes the header.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn write(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        self.write_with_id(w, &[])
    }

    /// Writes the header with a connection ID, or without when that is empty.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn write_with_id(&self, w: &mut Writer<'_>, id: &[u8]) -> Result<(), Full> {
        let c = if id.is_empty() { 0 } else { Self::C };
        let s = match self.sequence {
            ShortSequence::Bits8(_) => 0,
            ShortSequence::Bits16(_) => Self::S,
        };
        let l = if self.length.is_some() { Self::L } else { 0 };
        w.u8(Self::FIXED | c | s | l | (self.epoch_bits & 0b11))?;
        w.put(id)?;
        match self.sequence {
            ShortSequence::Bits8(sequence) => w.u8(sequence)?,
            ShortSequence::Bits16(sequence) => w.u16(sequence)?,
        }
        self.length.map_or(Ok(()), |length| w.u16(length))
    }
}

#[cfg(test)]
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn headers_with_every_pair_of_options() {
        for (bytes, sequence, length) in [
            (&[0x20, 7][..], ShortSequence::Bits8(7), None),
            (&[0x2a, 1, 2], ShortSequence::Bits16(0x102), None),
            (&[0x27, 7, 0, 9], ShortSequence::Bits8(7), Some(9)),
            (&[0x2d, 1, 2, 0x41, 0], ShortSequence::Bits16(0x102), Some(0x4100)),
        ] {
            let header = UnifiedHeader {
                epoch_bits: bytes[0] & 3,
                sequence,
                length,
            };
            assert_eq!(UnifiedHeader::read(&mut Reader::new(bytes)), Ok(header));
            let mut out = [0; UnifiedHeader::MAX_LEN];
            let mut w = Writer::new(&mut out);
            header.write(&mut w).unwrap();
            assert_eq!((w.position(), w.into_written() as &[u8]), (header.len(), bytes));
        }
    }

    #[test]
    fn faults_are_named() {
        for bytes in [
            &[][..],
            &[0x1f, 0, 0],
            &[0x40, 0, 0],
            &[0x30, 0, 0, 0, 0],
            &[0x2e, 0, 0, 0],
            &[0x2e, 0, 0, 0x41, 1],
        ] {
            assert!(UnifiedHeader::read(&mut Reader::new(bytes)).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn an_id_stands_behind_the_first_byte() {
        let bytes = [0x3e, 7, 8, 9, 0, 5, 0, 1, 0xaa];
        let header = UnifiedHeader {
            epoch_bits: 2,
            sequence: ShortSequence::Bits16(5),
            length: Some(1),
        };
        let mut r = Reader::new(&bytes);
        assert_eq!(UnifiedHeader::read_with_id(&mut r, 3), Ok((header, &[7, 8, 9][..])));
        assert_eq!(r.all(), [0xaa]);
        assert!(UnifiedHeader::read_with_id(&mut Reader::new(&bytes), 8).is_err());
        assert!(UnifiedHeader::read(&mut Reader::new(&bytes)).is_err());
        // Without the bit there is none, whatever was agreed on.
        let bytes = [0x2e, 0, 5, 0, 1];
        assert_eq!(
            UnifiedHeader::read_with_id(&mut Reader::new(&bytes), 3),
            Ok((header, &[][..]))
        );
    }

    #[test]
    fn numbers_are_the_closest_ones() {
        for (low, expected, full) in [
            (0, 0, 0),
            (255, 0, 255),
            (0, 255, 256),
            (255, 256, 255),
            (128, 256, 384),
            (127, 256, 383),
            (130, 256, 130),
            (5, 1000, 1029),
        ] {
            assert_eq!(ShortSequence::Bits8(low).expand(expected), full, "{low} {expected}");
        }
        assert_eq!(ShortSequence::Bits16(0).expand(u64::from(u16::MAX)), 1 << 16);
    }

    proptest! {
        #[test]
        fn a_number_near_the_expected_one_survives(full in 0u64..1 << 48, away in -127i64..128) {
            let expected = full.saturating_add_signed(away);
            prop_assert_eq!(ShortSequence::Bits8(full as u8).expand(expected), full);
            prop_assert_eq!(ShortSequence::Bits16(full as u16).expand(expected.saturating_add_signed(200 * away)), full);
        }

        #[test]
        fn any_bytes_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..16), id_len in 0usize..10) {
            if let Ok((header, id)) = UnifiedHeader::read_with_id(&mut Reader::new(&bytes), id_len) {
                let mut out = [0; UnifiedHeader::MAX_LEN + 10];
                let mut w = Writer::new(&mut out);
                header.write_with_id(&mut w, id).unwrap();
                prop_assert!(bytes.starts_with(w.written()));
            }
        }
    }
}
