#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use std::fmt;

use wire::{Reader, Writer};

use crate::crypto::Digest;
use crate::handshake::{Fragment, HandshakeHeader};
use crate::registry::HandshakeType;

/// All handshake messages so far, each as if it had been sent in one piece (RFC 6347 §4.2.6).
///
/// The bytes themselves are kept, not a running hash: signers and verifiers of DTLS 1.2's `CertificateVerify` hash the
/// messages themselves, with a hash that is not that of the suite. A handshake with P-256 certificates has about 2 kB.
#[derive(Clone, Default)]
pub(crate) struct Transcript {
    bytes: Vec<u8>,
    form: Form,
}

/// The headers that messages have here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Form {
    /// All twelve bytes; also as long as the version is open.
    #[default]
    V12,
    /// Type and length alone, as in TLS (RFC 9147 §5.2).
    V13,
}

/// Bytes of type and length.
const TLS_HEADER_LEN: usize = 4;

/// The transcript grew beyond its budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong;

impl Transcript {
    /// Two certificate chains of the greatest length that is taken, and everything else.
    const MAX: usize = 48 << 10;

    pub(crate) fn push(&mut self, message_type: HandshakeType, message_seq: u16, body: &[u8]) -> Result<(), TooLong> {
        let length = u32::try_from(body.len()).map_err(|_| TooLong)?;
        let len = self
            .bytes
            .len()
            .saturating_add(HandshakeHeader::LEN)
            .saturating_add(body.len());
        if len > Self::MAX {
            return Err(TooLong);
        }
        let mut header = [0; HandshakeHeader::LEN];
        HandshakeHeader::whole(message_type, message_seq, length)
            .write(&mut Writer::new(&mut header))
            .map_err(|_| TooLong)?;
        let header = match self.form {
            Form::V12 => &header[..],
            Form::V13 => header.get(..TLS_HEADER_LEN).unwrap_or_default(),
        };
        self.bytes.extend_from_slice(header);
        self.bytes.extend_from_slice(body);
        Ok(())
    }

    /// The version is 1.3: the messages so far lose the part of their headers that only DTLS has.
    pub(crate) fn become_13(&mut self) {
        if self.form == Form::V13 {
            return;
        }
        self.form = Form::V13;
        let whole = std::mem::take(&mut self.bytes);
        let mut r = Reader::new(&whole);
        while let Ok(fragment) = Fragment::read(&mut r) {
            let [_, l0, l1, l2] = fragment.header.length.to_be_bytes();
            self.bytes.extend([fragment.header.message_type.0, l0, l1, l2]);
            self.bytes.extend_from_slice(fragment.body);
        }
    }

    /// A server asks for another `ClientHello`: in place of the first its hash goes on (RFC 8446 §4.4.1).
    pub(crate) fn replace_by_hash(&mut self, hash: &Digest) {
        let len = u8::try_from(hash.as_bytes().len()).unwrap_or(u8::MAX);
        self.bytes = vec![HandshakeType::MESSAGE_HASH.0, 0, 0, len];
        self.bytes.extend_from_slice(hash.as_bytes());
    }

    /// Everything so far.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Everything so far, as DTLS 1.3 has it, and the beginning of another message of this length (RFC 8446 §4.2.11.2).
    pub(crate) fn and_beginning(&self, message_type: HandshakeType, len: usize, beginning: &[u8]) -> Vec<u8> {
        debug_assert!(self.form == Form::V13 || self.bytes.is_empty());
        // A message of ours, or one that was taken.
        let [_, l0, l1, l2] = u32::try_from(len).unwrap_or_default().to_be_bytes();
        [self.bytes.as_slice(), &[message_type.0, l0, l1, l2][..], beginning].concat()
    }

    /// Forgets everything: after a `HelloVerifyRequest`, and at the end.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

impl fmt::Debug for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transcript({} bytes)", self.bytes.len())
    }
}

#[cfg(test)]
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]
mod tests {
    use super::*;

    #[test]
    fn messages_enter_in_one_piece() {
        let mut transcript = Transcript::default();
        transcript.push(HandshakeType::CLIENT_HELLO, 0, b"ab").unwrap();
        assert_eq!(transcript.as_bytes(), [1, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 2, b'a', b'b']);
        transcript.become_13();
        transcript.push(HandshakeType::SERVER_HELLO, 0, b"c").unwrap();
        transcript.become_13();
        assert_eq!(transcript.as_bytes(), [1, 0, 0, 2, b'a', b'b', 2, 0, 0, 1, b'c']);
        assert_eq!(
            transcript.and_beginning(HandshakeType::CLIENT_HELLO, 0x0102_0304, b"d"),
            [transcript.as_bytes(), &[1, 2, 3, 4, b'd']].concat()
        );
        transcript.replace_by_hash(&Digest::new(&[7; 32]));
        assert_eq!(transcript.as_bytes(), [&[254, 0, 0, 32][..], &[7; 32]].concat());
        assert_eq!(
            transcript.push(HandshakeType::CERTIFICATE, 2, &vec![0; Transcript::MAX]),
            Err(TooLong)
        );
    }
}
