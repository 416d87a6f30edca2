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

use crate::channel_data::ChannelData;
use std::fmt;

/// The longest message that a stream may carry, in bytes: ChannelData with 65535 bytes of data, and its padding. STUN
/// is shorter.
pub const MAX_FRAME: usize = 4 + 65_536;

/// A stream that does not carry TURN: where the next message begins is unknown, so that it can only be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameError {
    /// The byte at which a message should begin.
    pub first: u8,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a message of TURN cannot begin with {:#04x}", self.first)
    }
}

impl std::error::Error for FrameError {}

/// How many bytes the message at the start of `stream` takes, padding included (RFC 8656 §12.5, RFC 8489 §6.2.2):
/// `Ok(None)` while its length has not come yet. What is told may be more than has come: at most [`MAX_FRAME`].
///
/// # Errors
/// When the stream does not go on with STUN nor with ChannelData (RFC 7983 §7).
pub fn next_frame(stream: &[u8]) -> Result<Option<usize>, FrameError> {
    let Some(&first) = stream.first() else { return Ok(None) };
    let header = match first {
        0..=3 => stun::HEADER_LEN,
        64..=127 => ChannelData::HEADER_LEN,
        _ => return Err(FrameError { first }),
    };
    let [_, _, l0, l1, ..] = *stream else { return Ok(None) };
    let len = usize::from(u16::from_be_bytes([l0, l1]));
    // The length of a STUN message is a multiple of four anyway; one that is not will be refused when it is parsed.
    let padding = if header == stun::HEADER_LEN {
        0
    } else {
        ChannelData::padding(len)
    };
    Ok(Some(header.saturating_add(len).saturating_add(padding)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_count_headers_and_padding() {
        assert_eq!(next_frame(&[0x40, 0, 0, 5]), Ok(Some(12)));
        assert_eq!(next_frame(&[0x40, 0, 0, 4]), Ok(Some(8)));
        assert_eq!(next_frame(&[0x00, 0x01, 0, 8]), Ok(Some(28)));
        assert_eq!(next_frame(&[0x4f, 0xff, 0xff, 0xff]), Ok(Some(MAX_FRAME)));
    }

    #[test]
    fn a_beginning_is_waited_for_and_nonsense_is_not() {
        assert_eq!(next_frame(&[]), Ok(None));
        assert_eq!(next_frame(&[0x40, 0, 0]), Ok(None));
        assert_eq!(next_frame(&[0x80]), Err(FrameError { first: 0x80 }));
        assert_eq!(next_frame(b"\x16\x03\x01"), Err(FrameError { first: 0x16 }));
    }
}
