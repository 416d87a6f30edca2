#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use std::fmt;

use wire::Writer;

use crate::handshake::HandshakeHeader;
use crate::registry::HandshakeType;

/// All handshake messages so far, each as if it had been sent in one piece (RFC 6347 §4.2.6).
///
/// The bytes themselves are kept, not a running hash: signers and verifiers of DTLS 1.2's `CertificateVerify` hash the
/// messages themselves, with a hash that is not that of the suite. A handshake with P-256 certificates has about 2 kB.
#[derive(Default)]
pub(crate) struct Transcript {
    bytes: Vec<u8>,
}

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
        self.bytes.extend_from_slice(&header);
        self.bytes.extend_from_slice(body);
        Ok(())
    }

    /// Everything so far.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets everything: after a `HelloVerifyRequest`, and at the end.
    pub(crate) fn clear(&mut self) {
        self.bytes = Vec::new();
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
        assert_eq!(
            transcript.push(HandshakeType::CERTIFICATE, 2, &vec![0; Transcript::MAX]),
            Err(TooLong)
        );
    }
}
