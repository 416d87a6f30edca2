#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::unwrap_used
    )
)]

use std::fmt;
use wire::{Error, Reader};

/// The number of a channel: 0x4000 to 0x4FFF (RFC 8656 §12), and up to 0x7FFF as clients of RFC 5766 §11 choose it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelNumber(u16);

impl ChannelNumber {
    /// The lowest.
    pub const MIN: Self = Self(0x4000);
    /// The highest that RFC 8656 §12 has: 0x5000 and above are kept for other protocols on the port (RFC 7983 §7).
    pub const MAX: Self = Self(0x4fff);
    /// The highest that RFC 5766 §11 had. (Its §11.2 ends one below; coturn's clients draw from all of them.)
    pub const MAX_RFC_5766: Self = Self(0x7fff);

    /// `None` when the number is none of a channel.
    pub const fn new(number: u16) -> Option<Self> {
        if number >= Self::MIN.0 && number <= Self::MAX_RFC_5766.0 {
            Some(Self(number))
        } else {
            None
        }
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for ChannelNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#06x}", self.0)
    }
}

impl fmt::Debug for ChannelNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A ChannelData message (RFC 8656 §12.4): four bytes before the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelData<'a> {
    /// The channel.
    pub channel: ChannelNumber,
    /// What is relayed; may be empty.
    pub data: &'a [u8],
}

impl<'a> ChannelData<'a> {
    /// Bytes before the data.
    pub const HEADER_LEN: usize = 4;

    /// Whether a datagram is one by its first byte, 64 to 79 (RFC 7983 §7), to 127 with RFC 5766.
    /// [`parse`](Self::parse) says the rest.
    pub fn is(datagram: &[u8]) -> bool {
        datagram.first().is_some_and(|first| (64..=127).contains(first))
    }

    /// Reads one from a whole datagram, or from a frame that [`next_frame`](crate::next_frame) found. What comes after
    /// the announced length is padding and is passed over (RFC 8656 §12.5).
    ///
    /// # Errors
    /// When the number is none of a channel, or when there is less data than is announced (RFC 8656 §12.6: it is
    /// discarded then).
    pub fn parse(datagram: &'a [u8]) -> Result<Self, Error> {
        let mut r = Reader::new(datagram);
        let channel = ChannelNumber::new(r.u16()?).ok_or(Error::Rule {
            offset: 0,
            rule: "a channel number is 0x4000 to 0x7fff",
        })?;
        let len = r.u16()?;
        let data = r.take(usize::from(len))?;
        Ok(Self { channel, data })
    }

    /// The header of a message with so many bytes of data; `None` when they are more than 65535.
    pub fn header(channel: ChannelNumber, len: usize) -> Option<[u8; 4]> {
        let [n0, n1] = channel.0.to_be_bytes();
        let [l0, l1] = u16::try_from(len).ok()?.to_be_bytes();
        Some([n0, n1, l0, l1])
    }

    /// Bytes of padding that follow so many bytes of data on TCP and TLS (RFC 8656 §12.5); on UDP there need be none.
    pub const fn padding(len: usize) -> usize {
        len.wrapping_neg() & 3
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_a_channel_reads_back() {
        let bytes = [0x40, 0x01, 0, 5, b'h', b'e', b'l', b'l', b'o', 0, 0, 0];
        let message = ChannelData::parse(&bytes).unwrap();
        assert_eq!((message.channel.get(), message.data), (0x4001, &b"hello"[..]));
        assert_eq!(ChannelData::header(message.channel, 5).unwrap(), bytes[..4]);
        assert_eq!(ChannelData::padding(5), 3);
        assert_eq!(ChannelData::padding(8), 0);
    }

    #[test]
    fn other_numbers_and_short_data_are_refused() {
        assert!(ChannelData::parse(&[0x3f, 0xff, 0, 0]).is_err());
        assert!(ChannelData::parse(&[0x80, 0, 0, 0]).is_err());
        assert!(ChannelData::parse(&[0x40, 0x00, 0, 1]).is_err());
        assert!(ChannelData::parse(&[0x40, 0x00, 0]).is_err());
        assert!(ChannelData::parse(&[0x4f, 0xff, 0, 0]).unwrap().data.is_empty());
        assert!(
            ChannelData::is(&[0x4f]) && ChannelData::is(&[0x7f]) && !ChannelData::is(&[0x80]) && !ChannelData::is(&[])
        );
    }

    #[test]
    fn too_much_data_has_no_header() {
        assert!(ChannelData::header(ChannelNumber::MIN, 65_535).is_some());
        assert!(ChannelData::header(ChannelNumber::MIN, 65_536).is_none());
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(number in 0x4000_u16..=0x7fff, data in prop::collection::vec(any::<u8>(), 0..200)) {
            let channel = ChannelNumber::new(number).unwrap();
            let mut bytes = ChannelData::header(channel, data.len()).unwrap().to_vec();
            bytes.extend(&data);
            bytes.resize(bytes.len() + ChannelData::padding(data.len()), 0);
            let message = ChannelData::parse(&bytes).unwrap();
            prop_assert_eq!((message.channel, message.data), (channel, &data[..]));
        }
    }
}
