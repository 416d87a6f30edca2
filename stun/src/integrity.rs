use crate::key::Key;
use crate::message::{HEADER_LEN, Message};
use core::fmt;
use subtle::ConstantTimeEq;

/// The value that FINGERPRINT's CRC is XORed with (RFC 8489 §14.7).
pub(crate) const FINGERPRINT_XOR: u32 = 0x5354_554e;

/// Which attribute protects a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntegrityAlgorithm {
    /// MESSAGE-INTEGRITY: HMAC-SHA1 (RFC 8489 §14.5).
    Sha1,
    /// MESSAGE-INTEGRITY-SHA256: HMAC-SHA256 (RFC 8489 §14.6).
    Sha256,
}

/// A message whose integrity was verified with some key. Only [`Message::verify_integrity`] makes one.
#[derive(Debug, Clone, Copy)]
pub struct Authenticated<'a> {
    message: Message<'a>,
    algorithm: IntegrityAlgorithm,
}

impl<'a> Authenticated<'a> {
    /// The message.
    pub const fn message(&self) -> &Message<'a> {
        &self.message
    }

    /// What it was verified with; a response is protected likewise (RFC 8489 §9.1.3).
    pub const fn algorithm(&self) -> IntegrityAlgorithm {
        self.algorithm
    }
}

/// Why a message's integrity could not be verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntegrityError {
    /// Neither MESSAGE-INTEGRITY nor MESSAGE-INTEGRITY-SHA256 is there.
    Missing,
    /// The attribute's length is not legal, or shorter than the usage allows.
    Length,
    /// The value is not what the key gives.
    Mismatch,
}

impl fmt::Display for IntegrityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "the message has no MESSAGE-INTEGRITY",
            Self::Length => "MESSAGE-INTEGRITY has no legal length",
            Self::Mismatch => "MESSAGE-INTEGRITY does not match the key",
        })
    }
}

impl core::error::Error for IntegrityError {}

/// Why a message's FINGERPRINT was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FingerprintError {
    /// There is none.
    Missing,
    /// It is not the last attribute (RFC 8489 §14.7).
    NotLast,
    /// Its value does not have 4 bytes.
    Length,
    /// The value is not that of the bytes before it.
    Mismatch,
}

impl fmt::Display for FingerprintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "the message has no FINGERPRINT",
            Self::NotLast => "FINGERPRINT is not the last attribute",
            Self::Length => "FINGERPRINT does not have 4 bytes",
            Self::Mismatch => "FINGERPRINT does not match the message",
        })
    }
}

impl core::error::Error for FingerprintError {}

impl<'a> Message<'a> {
    /// Verifies MESSAGE-INTEGRITY-SHA256 if it is there, else MESSAGE-INTEGRITY (RFC 8489 §9.1.3), in constant time.
    /// The SHA-256 value has to be whole.
    ///
    /// # Errors
    /// Why there is no proof.
    pub fn verify_integrity(&self, key: &Key) -> Result<Authenticated<'a>, IntegrityError> {
        self.verify_integrity_truncated(key, 32)
    }

    /// As [`verify_integrity`](Self::verify_integrity), for usages that allow a truncated MESSAGE-INTEGRITY-SHA256 of
    /// at least `min_len` bytes; below 16 counts as 16 (RFC 8489 §14.6).
    ///
    /// # Errors
    /// Why there is no proof.
    pub fn verify_integrity_truncated(&self, key: &Key, min_len: usize) -> Result<Authenticated<'a>, IntegrityError> {
        let (offset, algorithm) = match (self.integrity_sha256(), self.integrity()) {
            (Some(offset), _) => (offset, IntegrityAlgorithm::Sha256),
            (None, Some(offset)) => (offset, IntegrityAlgorithm::Sha1),
            (None, None) => return Err(IntegrityError::Missing),
        };
        let (covered, attribute) = self.as_bytes().split_at_checked(offset).ok_or(IntegrityError::Length)?;
        let length = value_length(attribute);
        let legal = match algorithm {
            IntegrityAlgorithm::Sha1 => length == 20,
            IntegrityAlgorithm::Sha256 => (min_len.max(16)..=32).contains(&length) && length & 3 == 0,
        };
        let value = attribute
            .get(4..)
            .and_then(|value| value.get(..length))
            .filter(|_| legal)
            .ok_or(IntegrityError::Length)?;
        let message_length = length_to(offset, length).ok_or(IntegrityError::Length)?;
        let matches = match algorithm {
            IntegrityAlgorithm::Sha1 => key.sha1(message_length, covered).ct_eq(value),
            IntegrityAlgorithm::Sha256 => {
                let whole = key.sha256(message_length, covered);
                whole.get(..length).unwrap_or_default().ct_eq(value)
            }
        };
        if bool::from(matches) {
            Ok(Authenticated {
                message: *self,
                algorithm,
            })
        } else {
            Err(IntegrityError::Mismatch)
        }
    }

    /// Verifies FINGERPRINT (RFC 8489 §14.7).
    ///
    /// # Errors
    /// Why it is not accepted.
    pub fn verify_fingerprint(&self) -> Result<(), FingerprintError> {
        let offset = self.fingerprint().ok_or(FingerprintError::Missing)?;
        let (covered, attribute) = self
            .as_bytes()
            .split_at_checked(offset)
            .ok_or(FingerprintError::Missing)?;
        // The length itself is not covered by the CRC.
        if value_length(attribute) != 4 {
            return Err(FingerprintError::Length);
        }
        let &[_, _, _, _, v0, v1, v2, v3] = attribute else {
            return Err(FingerprintError::NotLast);
        };
        if fingerprint(covered) == u32::from_be_bytes([v0, v1, v2, v3]) {
            Ok(())
        } else {
            Err(FingerprintError::Mismatch)
        }
    }
}

/// The value of FINGERPRINT over what stands before it. The header's length field already counts it.
pub(crate) fn fingerprint(covered: &[u8]) -> u32 {
    crc32fast::hash(covered) ^ FINGERPRINT_XOR
}

/// What the header's length field says when the message ends with the attribute at `offset`.
pub(crate) fn length_to(offset: usize, value_length: usize) -> Option<u16> {
    let end = offset.checked_add(4)?.checked_add(value_length)?;
    u16::try_from(end.checked_sub(HEADER_LEN)?).ok()
}

fn value_length(attribute: &[u8]) -> usize {
    match attribute {
        &[_, _, l0, l1, ..] => usize::from(u16::from_be_bytes([l0, l1])),
        _ => 0,
    }
}
