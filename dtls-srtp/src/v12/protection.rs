#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use wire::Writer;
use zeroize::{Zeroize, Zeroizing};

use crate::connection_id::ConnectionId;
use crate::crypto::{Aead, Crypto, CryptoError, NONCE_LEN, RecordKey, TAG_LEN};
use crate::overhead::Overhead;
use crate::record::RecordHeader;
use crate::registry::ContentType;

/// The keys of one direction of one epoch in DTLS 1.2 (RFC 6347 §4.1.2.1, RFC 5246 §6.2.3.3).
pub(crate) struct Protection {
    key: Box<dyn RecordKey>,
    /// RFC 5288: the salt in the first four bytes. RFC 7905: the whole IV.
    iv: [u8; NONCE_LEN],
    nonce: NonceForm,
}

/// How a nonce is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NonceForm {
    /// A salt and eight bytes that stand before the ciphertext (RFC 5288 §3).
    Explicit,
    /// The IV XOR epoch and sequence number; nothing is sent (RFC 7905 §2).
    Implicit,
}

const EXPLICIT_NONCE_LEN: usize = 8;
const AAD_LEN: usize = 13;

/// With a connection ID of any length (RFC 9146 §5.3).
const MAX_AAD_WITH_ID: usize = 23 + ConnectionId::MAX_LEN;

impl Protection {
    /// How many bytes of the key block are IV (RFC 5288 §3, RFC 7905 §2).
    pub(super) const fn iv_len(aead: Aead) -> usize {
        match aead {
            Aead::Aes128Gcm | Aead::Aes256Gcm => 4,
            Aead::ChaCha20Poly1305 => NONCE_LEN,
        }
    }

    pub(super) fn new(crypto: &dyn Crypto, aead: Aead, key: &[u8], iv: &[u8]) -> Result<Self, CryptoError> {
        let mut whole = Zeroizing::new([0; NONCE_LEN]);
        for (to, from) in whole.iter_mut().zip(iv) {
            *to = *from;
        }
        let nonce = match aead {
            Aead::Aes128Gcm | Aead::Aes256Gcm => NonceForm::Explicit,
            Aead::ChaCha20Poly1305 => NonceForm::Implicit,
        };
        Ok(Self {
            key: crypto.record_key(aead, key)?,
            iv: *whole,
            nonce,
        })
    }

    /// With a connection ID of so many bytes, with which the content type goes behind the content (RFC 9146 §4).
    pub(crate) const fn overhead(&self, id_len: usize) -> Overhead {
        let head = match self.nonce {
            NonceForm::Explicit => RecordHeader::LEN.saturating_add(EXPLICIT_NONCE_LEN),
            NonceForm::Implicit => RecordHeader::LEN,
        };
        let content_type = if id_len == 0 { 0 } else { 1_usize };
        Overhead {
            head: head.saturating_add(id_len),
            tail: content_type.saturating_add(TAG_LEN),
        }
    }

    /// Seals the body of a record whose header is `header`, with the connection ID `id` if that is not empty: the plaintext
    /// lies between room for the explicit nonce (if there is one) and room for the tag. `None` when that room is missing.
    pub(crate) fn seal(&self, header: &RecordHeader, id: &[u8], body: &mut [u8]) -> Option<()> {
        let sequence = header.epoch_and_sequence().to_be_bytes();
        let (rest, tag) = body.split_last_chunk_mut::<TAG_LEN>()?;
        let (nonce, plaintext) = match self.nonce {
            NonceForm::Explicit => {
                let (explicit, plaintext) = rest.split_first_chunk_mut::<EXPLICIT_NONCE_LEN>()?;
                // RFC 6347 §4.1.2.1 suggests epoch and sequence number: unique without keeping anything else.
                *explicit = sequence;
                (self.explicit(sequence), plaintext)
            }
            NonceForm::Implicit => (self.implicit(sequence), rest),
        };
        let len = plaintext.len();
        *tag = with_additional_data(header, id, len, |aad| self.key.seal(nonce, aad, plaintext))?;
        Some(())
    }

    /// Opens the body of a record in place and lends its plaintext; `None` when it is not authentic.
    pub(crate) fn open<'a>(&self, header: &RecordHeader, id: &[u8], body: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let (nonce, sealed) = match self.nonce {
            NonceForm::Explicit => {
                let (explicit, sealed) = body.split_first_chunk_mut::<EXPLICIT_NONCE_LEN>()?;
                (self.explicit(*explicit), sealed)
            }
            NonceForm::Implicit => (self.implicit(header.epoch_and_sequence().to_be_bytes()), body),
        };
        let len = sealed.len().checked_sub(TAG_LEN)?;
        with_additional_data(header, id, len, |aad| self.key.open(nonce, aad, sealed))?
    }

    fn explicit(&self, explicit: [u8; EXPLICIT_NONCE_LEN]) -> [u8; NONCE_LEN] {
        let mut nonce = self.iv;
        if let Some(tail) = nonce.last_chunk_mut() {
            *tail = explicit;
        }
        nonce
    }

    fn implicit(&self, sequence: [u8; EXPLICIT_NONCE_LEN]) -> [u8; NONCE_LEN] {
        let mut nonce = self.iv;
        for (byte, sequence) in nonce.iter_mut().rev().zip(sequence.iter().rev()) {
            *byte ^= sequence;
        }
        nonce
    }
}

/// ring does not erase its keys.
impl Drop for Protection {
    fn drop(&mut self) {
        self.iv.zeroize();
    }
}

/// Makes the additional data: with a connection ID that of RFC 9146 §5.3, else that of RFC 5246 §6.2.3.3.
fn with_additional_data<T>(
    header: &RecordHeader,
    id: &[u8],
    plaintext_len: usize,
    then: impl FnOnce(&[u8]) -> T,
) -> Option<T> {
    if id.is_empty() {
        return Some(then(&additional_data(header, plaintext_len)?));
    }
    let mut room = [0; MAX_AAD_WITH_ID];
    let mut w = Writer::new(&mut room);
    // Where there is no connection ID, a number stands here, and never this type behind it.
    w.u64(u64::MAX).ok()?;
    w.u8(ContentType::TLS12_CID.0).ok()?;
    w.u8(u8::try_from(id.len()).ok()?).ok()?;
    w.u8(ContentType::TLS12_CID.0).ok()?;
    w.u16(header.version.0).ok()?;
    w.u64(header.epoch_and_sequence()).ok()?;
    w.put(id).ok()?;
    w.u16(u16::try_from(plaintext_len).ok()?).ok()?;
    Some(then(w.written()))
}

/// Epoch and sequence number, type, version, length of the plaintext (RFC 5246 §6.2.3.3).
fn additional_data(header: &RecordHeader, plaintext_len: usize) -> Option<[u8; AAD_LEN]> {
    let [s0, s1, s2, s3, s4, s5, s6, s7] = header.epoch_and_sequence().to_be_bytes();
    let [v0, v1] = header.version.0.to_be_bytes();
    let [l0, l1] = u16::try_from(plaintext_len).ok()?.to_be_bytes();
    Some([s0, s1, s2, s3, s4, s5, s6, s7, header.content_type.0, v0, v1, l0, l1])
}
