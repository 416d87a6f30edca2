use ring::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};

use super::{Aead, CryptoError, NONCE_LEN, RecordKey, TAG_LEN};

/// A record key of ring's. `LessSafeKey` keeps the expanded key schedule and takes any nonce: that no nonce is used
/// twice is up to the record layer, whose sequence numbers only rise.
pub(super) struct RingRecordKey(LessSafeKey);

impl RingRecordKey {
    pub(super) fn new(aead: Aead, key: &[u8]) -> Result<Self, CryptoError> {
        let algorithm = match aead {
            Aead::Aes128Gcm => &aead::AES_128_GCM,
            Aead::Aes256Gcm => &aead::AES_256_GCM,
            Aead::ChaCha20Poly1305 => &aead::CHACHA20_POLY1305,
        };
        let key = UnboundKey::new(algorithm, key).map_err(|_| CryptoError::InvalidKey)?;
        Ok(Self(LessSafeKey::new(key)))
    }
}

impl RecordKey for RingRecordKey {
    fn seal(&self, nonce: [u8; NONCE_LEN], aad: &[u8], body: &mut [u8]) -> [u8; TAG_LEN] {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.0.seal_in_place_separate_tag(nonce, Aad::from(aad), body);
        let mut bytes = [0; TAG_LEN];
        // ring refuses only input of more than 2^36 bytes; a record has at most 2^14.
        if let Ok(tag) = tag {
            bytes.copy_from_slice(tag.as_ref());
        }
        bytes
    }

    fn open<'a>(&self, nonce: [u8; NONCE_LEN], aad: &[u8], sealed: &'a mut [u8]) -> Option<&'a mut [u8]> {
        self.0
            .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(aad), sealed)
            .ok()
    }
}
