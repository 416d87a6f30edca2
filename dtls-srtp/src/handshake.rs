//! Handshake messages as they stand in records: whole or in fragments (RFC 6347 §4.2.2).
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use wire::{Error, Full, Reader, Writer};

use crate::registry::HandshakeType;

/// The header of a handshake message or of a fragment of one (RFC 6347 §4.2.2):
///
/// ```text
///  0       1                       4               6                       9                      12
/// +-------+-------+-------+-------+-------+-------+-------+-------+-------+-------+-------+-------+
/// | type  |         length        |  message_seq  |    fragment_offset    |    fragment_length    |
/// +-------+-------+-------+-------+-------+-------+-------+-------+-------+-------+-------+-------+
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandshakeHeader {
    /// Which message.
    pub message_type: HandshakeType,
    /// Length of the whole message, in bytes, without headers.
    pub length: u32,
    /// Number of the message; a retransmission keeps it.
    pub message_seq: u16,
    /// Where this fragment begins in the message, in bytes.
    pub fragment_offset: u32,
    /// Length of this fragment, in bytes.
    pub fragment_length: u32,
}

impl HandshakeHeader {
    /// Bytes of the header.
    pub const LEN: usize = 12;

    /// The header of a message in one piece, as it enters the transcript (RFC 6347 §4.2.6).
    pub const fn whole(message_type: HandshakeType, message_seq: u16, length: u32) -> Self {
        Self {
            message_type,
            length,
            message_seq,
            fragment_offset: 0,
            fragment_length: length,
        }
    }

    /// Whether the fragment reaches the end of its message.
    pub const fn is_last(&self) -> bool {
        self.fragment_offset.saturating_add(self.fragment_length) == self.length
    }

    /// Writes the header.
    ///
    /// # Errors
    /// When it does not fit, or when a length is above 2^24 - 1.
    pub fn write(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        w.u8(self.message_type.0)?;
        w.u24(self.length)?;
        w.u16(self.message_seq)?;
        w.u24(self.fragment_offset)?;
        w.u24(self.fragment_length)
    }
}

/// A fragment: its header and its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment<'a> {
    /// The header.
    pub header: HandshakeHeader,
    /// `header.fragment_length` bytes.
    pub body: &'a [u8],
}

impl<'a> Fragment<'a> {
    /// Reads the next fragment of a record; a record may hold several (RFC 6347 §4.2.3).
    ///
    /// # Errors
    /// When the input is cut off, or when the fragment reaches beyond its message.
    pub fn read(r: &mut Reader<'a>) -> Result<Self, Error> {
        let message_type = HandshakeType(r.u8()?);
        let length = r.u24()?;
        let message_seq = r.u16()?;
        let fragment_offset = r.u24()?;
        let fragment_length = r.u24()?;
        r.ensure(
            fragment_offset
                .checked_add(fragment_length)
                .is_some_and(|end| end <= length),
            "a fragment ends inside its message",
        )?;
        let body = r.take(usize::try_from(fragment_length).unwrap_or(usize::MAX))?;
        Ok(Self {
            header: HandshakeHeader {
                message_type,
                length,
                message_seq,
                fragment_offset,
                fragment_length,
            },
            body,
        })
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
    fn a_fragment_stays_inside_its_message() {
        let good = [1, 0, 0, 4, 0, 7, 0, 0, 1, 0, 0, 2, 0xaa, 0xbb];
        let fragment = Fragment::read(&mut Reader::new(&good)).unwrap();
        assert_eq!(
            (fragment.header.message_seq, fragment.body, fragment.header.is_last()),
            (7, &[0xaa, 0xbb][..], false)
        );
        let mut bad = good;
        bad[8] = 3;
        assert!(matches!(
            Fragment::read(&mut Reader::new(&bad)),
            Err(Error::Rule { .. })
        ));
        assert!(matches!(
            Fragment::read(&mut Reader::new(&good[..13])),
            Err(Error::Short { .. })
        ));
    }

    proptest! {
        #[test]
        fn fragments_go_there_and_back(message_type: u8, message_seq: u16, before in 0u32..5000, after in 0u32..5000,
                                       body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let fragment_length = body.len() as u32;
            let header = HandshakeHeader {
                message_type: HandshakeType(message_type), length: before + fragment_length + after, message_seq,
                fragment_offset: before, fragment_length,
            };
            let mut bytes = [0; 320];
            let mut w = Writer::new(&mut bytes);
            header.write(&mut w).unwrap();
            w.put(&body).unwrap();
            let mut r = Reader::new(w.into_written());
            prop_assert_eq!(Fragment::read(&mut r), Ok(Fragment { header, body: &body }));
            prop_assert!(r.is_empty());
        }
    }
}
