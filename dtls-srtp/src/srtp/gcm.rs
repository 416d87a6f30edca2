//! AES-GCM for SRTP and SRTCP (RFC 7714 §8 and §9).
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, Algorithm, LessSafeKey, Nonce, UnboundKey};
use zeroize::{Zeroize, Zeroizing};

use super::cryptex::Clear;
use super::header::RTCP_HEADER;
use super::kdf::{Labels, derive};
use crate::{KeyAndSalt, SrtpProfile};

const TAG: usize = 16;

/// The E bit in the word that follows the tag of an SRTCP packet: the packet is encrypted, not only authenticated.
const E_BIT: u32 = 1 << 31;

/// The session key of one direction, for SRTP or for SRTCP; its key schedule and hash table are made once.
pub(super) struct Gcm {
    key: LessSafeKey,
    /// The 96-bit encryption salt.
    salt: u128,
}

impl Gcm {
    pub(super) fn new(master: &KeyAndSalt, labels: Labels) -> Self {
        let mut salt = Zeroizing::new([0; 12]);
        derive(master, labels.salt, &mut *salt);
        if master.profile() == SrtpProfile::AeadAes256Gcm {
            let mut key = Zeroizing::new([0; 32]);
            derive(master, labels.encryption, &mut *key);
            Self::from_session_key(&AES_256_GCM, &*key, &salt)
        } else {
            let mut key = Zeroizing::new([0; 16]);
            derive(master, labels.encryption, &mut *key);
            Self::from_session_key(&AES_128_GCM, &*key, &salt)
        }
    }

    fn from_session_key(algorithm: &'static Algorithm, key: &[u8], salt: &[u8; 12]) -> Self {
        let key = UnboundKey::new(algorithm, key).expect("the key has the algorithm's length");
        Self {
            key: LessSafeKey::new(key),
            salt: salt.iter().fold(0, |value, &byte| value << 8 | u128::from(byte)),
        }
    }

    /// Seals the RTP packet whose header and payload end 16 bytes before the end of `packet`. `None` when it has no
    /// such parts.
    pub(super) fn seal_rtp(&self, ssrc: u32, index: u64, clear: Clear, packet: &mut [u8]) -> Option<()> {
        let at = clear.gather(packet)?;
        let (header, rest) = packet.split_at_mut_checked(at)?;
        let (payload, tag) = rest.split_last_chunk_mut()?;
        *tag = self.seal(ssrc, index, header, payload)?;
        clear.scatter(packet)
    }

    /// Opens an SRTP packet: afterwards its payload is in clear, and the tag behind it is what it was. `None` when it
    /// is not authentic; then the payload is undefined.
    pub(super) fn open_rtp(&self, ssrc: u32, index: u64, clear: Clear, packet: &mut [u8]) -> Option<()> {
        let at = clear.gather(packet)?;
        let (header, cipher) = packet.split_at_mut_checked(at)?;
        self.open(ssrc, index, header, cipher)?;
        clear.scatter(packet)
    }

    /// Seals the compound RTCP packet that ends 20 bytes before the end of `packet`.
    pub(super) fn seal_rtcp(&self, ssrc: u32, index: u32, packet: &mut [u8]) -> Option<()> {
        let (rest, word) = packet.split_last_chunk_mut()?;
        let (rest, tag) = rest.split_last_chunk_mut()?;
        let (header, payload) = rest.split_first_chunk_mut()?;
        *word = (E_BIT | index).to_be_bytes();
        *tag = self.seal(ssrc, index.into(), &associated_data(*header, *word), payload)?;
        Some(())
    }

    /// The index that an SRTCP packet carries in clear, not yet authenticated.
    pub(super) fn rtcp_index(packet: &[u8]) -> Option<u32> {
        let word = packet.last_chunk()?;
        Some(u32::from_be_bytes(*word) & !E_BIT)
    }

    /// Opens an SRTCP packet, encrypted or (RFC 7714 §9.3) only authenticated.
    pub(super) fn open_rtcp(&self, ssrc: u32, packet: &mut [u8]) -> Option<()> {
        let (rest, word) = packet.split_last_chunk_mut::<4>()?;
        let index = u64::from(u32::from_be_bytes(*word) & !E_BIT);
        if u32::from_be_bytes(*word) & E_BIT != 0 {
            let (header, cipher) = rest.split_first_chunk_mut()?;
            return self.open(ssrc, index, &associated_data(*header, *word), cipher);
        }
        // All of the packet is associated data, and then the word: which has to come down over the tag to follow it.
        let word = *word;
        let (rtcp, tag) = rest.split_last_chunk_mut::<TAG>()?;
        let mut cipher = *tag;
        let end = rtcp.len().checked_add(word.len())?;
        tag.split_first_chunk_mut().map(|(first, _)| *first = word)?;
        self.open(ssrc, index, packet.get(..end)?, &mut cipher)
    }

    fn seal(&self, ssrc: u32, index: u64, associated_data: &[u8], payload: &mut [u8]) -> Option<[u8; TAG]> {
        let nonce = self.nonce(ssrc, index);
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce, Aad::from(associated_data), payload)
            .ok()?;
        tag.as_ref().try_into().ok()
    }

    fn open(&self, ssrc: u32, index: u64, associated_data: &[u8], cipher: &mut [u8]) -> Option<()> {
        let nonce = self.nonce(ssrc, index);
        self.key.open_in_place(nonce, Aad::from(associated_data), cipher).ok()?;
        Some(())
    }

    /// RFC 7714 §8.1 and §9.1: two zero bytes, the SSRC, and the index in six bytes (an SRTCP index has 31 bits), all
    /// XORed with the salt.
    fn nonce(&self, ssrc: u32, index: u64) -> Nonce {
        let iv = self.salt ^ (u128::from(ssrc) << 48) ^ u128::from(index);
        let [_, _, _, _, nonce @ ..] = iv.to_be_bytes();
        Nonce::assume_unique_for_key(nonce)
    }
}

/// ring does not erase its keys.
impl Drop for Gcm {
    fn drop(&mut self) {
        self.salt.zeroize();
    }
}

/// Header and trailing word of an encrypted SRTCP packet (RFC 7714 §9.2).
fn associated_data(header: [u8; RTCP_HEADER], word: [u8; 4]) -> [u8; 12] {
    let [a, b, c, d, e, f, g, h] = header;
    let [w, x, y, z] = word;
    [a, b, c, d, e, f, g, h, w, x, y, z]
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]
mod tests {
    use super::*;
    use crate::srtp::tests::hex;

    const SSRC: u32 = 0x5501_a0b2;
    const INDEX: u64 = 0xf17b;
    const RTCP_SSRC: u32 = 0x4d61_7273;
    const RTCP_INDEX: u32 = 0x5d4;
    const RTP: &str =
        "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070 61727465
        73207472 6573";
    const RTCP: &str =
        "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef deadbeef
        deadbeef deadbeef";

    fn gcm(algorithm: &'static Algorithm) -> Gcm {
        let key: Vec<u8> = (0..algorithm.key_len() as u8).collect();
        Gcm::from_session_key(algorithm, &key, b"Quid pro quo")
    }

    /// RFC 7714 §16.1.1, §16.1.2, §16.2.1, §16.2.2.
    #[test]
    fn rfc_7714_encryption_and_decryption_of_rtp() {
        for (algorithm, sealed) in [
            (
                &AES_128_GCM,
                "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b
                 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce",
            ),
            (
                &AES_256_GCM,
                "8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 76ffae0f
                 1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13",
            ),
        ] {
            let mut packet = hex(RTP);
            packet.extend([0; TAG]);
            gcm(algorithm)
                .seal_rtp(SSRC, INDEX, Clear::Header(12), &mut packet)
                .unwrap();
            assert_eq!(packet, hex(sealed));
            gcm(algorithm)
                .open_rtp(SSRC, INDEX, Clear::Header(12), &mut packet)
                .unwrap();
            assert_eq!(packet[..packet.len() - TAG], hex(RTP));
        }
    }

    /// RFC 7714 §16.1.3, §16.1.4, §16.2.3, §16.2.4: all of the packet is associated data.
    #[test]
    fn rfc_7714_tagging_and_verification_of_rtp() {
        for (algorithm, tag) in [
            (&AES_128_GCM, "22493f82 d2bce397 e9d79e3b 19aa4216"),
            (&AES_256_GCM, "a866d591 0f887463 067ceefe c45215d4"),
        ] {
            let mut packet = hex(RTP);
            let len = packet.len();
            packet.extend([0; TAG]);
            gcm(algorithm)
                .seal_rtp(SSRC, INDEX, Clear::Header(len), &mut packet)
                .unwrap();
            assert_eq!(packet[len..], hex(tag));
            assert_eq!(packet[..len], hex(RTP));
            gcm(algorithm)
                .open_rtp(SSRC, INDEX, Clear::Header(len), &mut packet)
                .unwrap();
        }
    }

    /// RFC 7714 §17.1, §17.2.
    #[test]
    fn rfc_7714_encryption_and_decryption_of_rtcp() {
        for (algorithm, sealed) in [
            (
                &AES_128_GCM,
                "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda 4ce09b46
                 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4",
            ),
            (
                &AES_256_GCM,
                "81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1 110555be 8415f658
                 c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4",
            ),
        ] {
            let mut packet = hex(RTCP);
            packet.extend([0; TAG + 4]);
            gcm(algorithm).seal_rtcp(RTCP_SSRC, RTCP_INDEX, &mut packet).unwrap();
            assert_eq!(packet, hex(sealed));
            assert_eq!(Gcm::rtcp_index(&packet), Some(RTCP_INDEX));
            gcm(algorithm).open_rtcp(RTCP_SSRC, &mut packet).unwrap();
            assert_eq!(packet[..packet.len() - TAG - 4], hex(RTCP));
        }
    }

    /// RFC 7714 §17.3, §17.4.
    #[test]
    fn rfc_7714_verification_of_rtcp_in_clear() {
        for (algorithm, tag) in [
            (&AES_128_GCM, "841dd968 3dd78ec9 2ae58790 125f62b3"),
            (&AES_256_GCM, "91db4afb feee5a97 8fab4393 ed2615fe"),
        ] {
            let mut packet = [hex(RTCP), hex(tag), hex("000005d4")].concat();
            gcm(algorithm).open_rtcp(RTCP_SSRC, &mut packet).unwrap();
            assert_eq!(packet[..packet.len() - TAG - 4], hex(RTCP));

            let mut packet = [hex(RTCP), hex(tag), hex("000005d5")].concat();
            assert_eq!(gcm(algorithm).open_rtcp(RTCP_SSRC, &mut packet), None);
        }
    }
}
