//! AES in counter mode with HMAC-SHA1 for SRTP and SRTCP (RFC 3711 §4.1.1 and §4.2.1).
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use aes::Aes128Enc;
use aes::cipher::{InnerIvInit, KeyInit, StreamCipher};
use ctr::{Ctr128BE, CtrCore};
use hmac::{Hmac, Mac};
use sha1::Sha1;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use super::header::RTCP_HEADER;
use super::kdf::{Labels, derive};
use crate::KeyAndSalt;

const TAG: usize = 10;

/// The E bit in the word before the tag of an SRTCP packet: the packet is encrypted, not only authenticated.
const E_BIT: u32 = 1 << 31;

/// The session keys of one direction, for SRTP or for SRTCP. The key schedule and the two hash states that HMAC begins
/// with are made once; a packet clones the states (2 x 20 bytes and a block buffer). All of it is erased when dropped,
/// the clones too.
pub(super) struct CounterMode {
    cipher: Aes128Enc,
    /// The 112-bit session salt times 2^16.
    salt: u128,
    mac: Hmac<Sha1>,
}

impl CounterMode {
    pub(super) fn new(master: &KeyAndSalt, labels: Labels) -> Self {
        let mut key = Zeroizing::new([0; 16]);
        derive(master, labels.encryption, &mut *key);
        let mut salt = Zeroizing::new([0; 16]);
        if let Some(salt) = salt.first_chunk_mut::<14>() {
            derive(master, labels.salt, salt);
        }
        // RFC 3711 §5.2: 160 bits.
        let mut auth = Zeroizing::new([0; 20]);
        derive(master, labels.authentication, &mut *auth);
        Self {
            cipher: Aes128Enc::new(&(*key).into()),
            salt: u128::from_be_bytes(*salt),
            mac: Hmac::new_from_slice(&*auth).expect("HMAC takes a key of any length"),
        }
    }

    /// Seals the RTP packet whose header and payload end 10 bytes before the end of `packet`. `None` when it has no
    /// such parts.
    pub(super) fn seal_rtp(&self, ssrc: u32, index: u64, header_len: usize, packet: &mut [u8]) -> Option<()> {
        let (body, tag) = packet.split_last_chunk_mut()?;
        let payload = body.get_mut(header_len..)?;
        self.key_stream(ssrc, index, |mut stream| stream.apply_keystream(payload));
        *tag = self.rtp_tag(index, body);
        Some(())
    }

    /// The same for a payload that lies elsewhere: the cipher's pass over it is also the copy. `packet` has exactly the
    /// room for header, payload and tag.
    pub(super) fn seal_rtp_into(
        &self,
        ssrc: u32,
        index: u64,
        header: &[u8],
        payload: &[u8],
        packet: &mut [u8],
    ) -> Option<()> {
        let (body, tag) = packet.split_last_chunk_mut()?;
        let (head, sealed) = body.split_at_mut_checked(header.len())?;
        if sealed.len() != payload.len() {
            return None;
        }
        head.copy_from_slice(header);
        self.key_stream(ssrc, index, |mut stream| stream.apply_keystream_b2b(payload, sealed));
        *tag = self.rtp_tag(index, body);
        Some(())
    }

    /// Opens an SRTP packet: afterwards its payload is in clear. `None` when it is not authentic; then it is unchanged.
    pub(super) fn open_rtp(&self, ssrc: u32, index: u64, header_len: usize, packet: &mut [u8]) -> Option<()> {
        let (body, tag) = packet.split_last_chunk_mut::<TAG>()?;
        if !bool::from(self.rtp_tag(index, body).ct_eq(tag)) {
            return None;
        }
        let payload = body.get_mut(header_len..)?;
        self.key_stream(ssrc, index, |mut stream| stream.apply_keystream(payload));
        Some(())
    }

    /// Seals the compound RTCP packet that ends 14 bytes before the end of `packet`.
    pub(super) fn seal_rtcp(&self, ssrc: u32, index: u32, packet: &mut [u8]) -> Option<()> {
        let (body, tag) = packet.split_last_chunk_mut()?;
        let (rtcp, word) = body.split_last_chunk_mut()?;
        let payload = rtcp.get_mut(RTCP_HEADER..)?;
        self.key_stream(ssrc, index.into(), |mut stream| stream.apply_keystream(payload));
        *word = (E_BIT | index).to_be_bytes();
        *tag = self.tag(body, &[]);
        Some(())
    }

    /// The index that an SRTCP packet carries in clear, not yet authenticated.
    pub(super) fn rtcp_index(packet: &[u8]) -> Option<u32> {
        let (body, _) = packet.split_last_chunk::<TAG>()?;
        let word = body.last_chunk()?;
        Some(u32::from_be_bytes(*word) & !E_BIT)
    }

    /// Opens an SRTCP packet, encrypted or only authenticated.
    pub(super) fn open_rtcp(&self, ssrc: u32, packet: &mut [u8]) -> Option<()> {
        let (body, tag) = packet.split_last_chunk_mut::<TAG>()?;
        if !bool::from(self.tag(body, &[]).ct_eq(tag)) {
            return None;
        }
        let (rtcp, word) = body.split_last_chunk_mut()?;
        let word = u32::from_be_bytes(*word);
        let payload = rtcp.get_mut(RTCP_HEADER..)?;
        if word & E_BIT != 0 {
            let index = u64::from(word & !E_BIT);
            self.key_stream(ssrc, index, |mut stream| stream.apply_keystream(payload));
        }
        Some(())
    }

    /// RFC 3711 §4.1.1: IV = (k_s * 2^16) XOR (SSRC * 2^64) XOR (i * 2^16). An SRTCP index stands where the low 31 bits
    /// of an SRTP index do.
    fn key_stream(&self, ssrc: u32, index: u64, apply: impl FnOnce(Ctr128BE<&Aes128Enc>)) {
        let iv = self.salt ^ (u128::from(ssrc) << 64) ^ (u128::from(index) << 16);
        apply(Ctr128BE::from_core(CtrCore::inner_iv_init(
            &self.cipher,
            &iv.to_be_bytes().into(),
        )));
    }

    /// RFC 3711 §4.2: the packet and then the rollover counter.
    fn rtp_tag(&self, index: u64, packet: &[u8]) -> [u8; TAG] {
        let [_, _, a, b, c, d, _, _] = index.to_be_bytes();
        self.tag(packet, &[a, b, c, d])
    }

    fn tag(&self, packet: &[u8], rollover: &[u8]) -> [u8; TAG] {
        let mut mac = self.mac.clone();
        mac.update(packet);
        mac.update(rollover);
        let [a, b, c, d, e, f, g, h, i, j, ..] = mac.finalize().into_bytes().0;
        [a, b, c, d, e, f, g, h, i, j]
    }
}

/// The key schedule and the hash states erase themselves.
impl Drop for CounterMode {
    fn drop(&mut self) {
        self.salt.zeroize();
    }
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

    /// RFC 3711 §B.2: the key stream for index and SSRC 0, its first and its last blocks.
    #[test]
    fn rfc_3711_key_stream() {
        let mode = CounterMode {
            cipher: Aes128Enc::new_from_slice(&hex("2B7E151628AED2A6ABF7158809CF4F3C")).unwrap(),
            salt: u128::from_be_bytes(hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000").try_into().unwrap()),
            mac: Hmac::new_from_slice(&[]).unwrap(),
        };
        let mut stream = vec![0; 1_044_512];
        mode.key_stream(0, 0, |mut cipher| cipher.apply_keystream(&mut stream));
        assert_eq!(
            stream[..48],
            hex("E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0")
        );
        assert_eq!(
            stream[stream.len() - 48..],
            hex("EC8CDF7398607CB0F2D21675EA9EA1E4 362B7C3C6773516318A077D7FC5073AE 6A2CC3787889374FBEB4C81B17BA6C44")
        );
    }

    /// Holds as long as the features of that name are on.
    #[test]
    fn key_schedule_and_hash_states_are_erased() {
        const fn is_erased<T: zeroize::ZeroizeOnDrop>() {}
        const { is_erased::<Aes128Enc>() };
        const { is_erased::<aes::Aes256Enc>() };
        // HMAC consists of two of these and a buffer, but does not say so itself.
        const { is_erased::<Sha1>() };
    }

    /// A key schedule costs more than the key stream of a packet. It has to be made with the key, once: what is kept
    /// has room for the schedule, the salt and the hash states, and not for the keys from which they could be made
    /// again.
    #[test]
    fn keys_are_not_kept() {
        let kept = size_of::<Aes128Enc>() + size_of::<u128>() + size_of::<Hmac<Sha1>>();
        assert_eq!(
            size_of::<CounterMode>(),
            kept.next_multiple_of(align_of::<CounterMode>())
        );
        // Eleven round keys (FIPS 197 §5.2), and not one.
        assert!(size_of::<Aes128Enc>() >= 11 * 16);
    }

    /// RFC 3711 §3.4: without the E bit a packet is authenticated and in clear.
    #[test]
    fn rtcp_in_clear_is_verified_and_left_alone() {
        let master = KeyAndSalt::new(crate::SrtpProfile::Aes128CmHmacSha1_80, &[1; 16], &[2; 14]).unwrap();
        let mode = CounterMode::new(&master, Labels::RTCP);
        let mut packet = hex("81c8000d 4d617273 4e545031 4e545032 00000005");
        packet.extend(mode.tag(&packet, &[]));
        let before = packet.clone();
        assert_eq!(CounterMode::rtcp_index(&packet), Some(5));
        assert_eq!(mode.open_rtcp(0x4d61_7273, &mut packet), Some(()));
        assert_eq!(packet, before);

        // The tag covers the bit.
        packet[16] ^= 0x80;
        assert_eq!(mode.open_rtcp(0x4d61_7273, &mut packet), None);
    }
}
