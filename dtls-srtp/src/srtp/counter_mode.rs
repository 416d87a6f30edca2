//! AES in counter mode with HMAC-SHA1 for SRTP and SRTCP (RFC 3711 §4.1.1 and §4.2.1).
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use simd::{AesCtr, HmacSha1, Message};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use super::cryptex::Clear;
use super::header::RTCP_HEADER;
use super::kdf::{Labels, derive};
use crate::KeyAndSalt;

/// The tag of SRTCP, whatever that of SRTP is (RFC 5764 §4.1.2).
const RTCP_TAG: usize = 10;

/// The E bit in the word before the tag of an SRTCP packet: the packet is encrypted, not only authenticated.
const E_BIT: u32 = 1 << 31;

/// The session keys of one direction, for SRTP or for SRTCP. The key schedule and the two hash states that HMAC begins
/// with are made once. All of it is erased when dropped.
pub(super) struct CounterMode {
    cipher: AesCtr,
    /// The 112-bit session salt times 2^16.
    salt: u128,
    mac: HmacSha1,
    /// Length of the tag of SRTP, in bytes: 10 or 4.
    rtp_tag: usize,
}

/// A packet that is enciphered and still wants its tag.
pub(super) struct Untagged<'a> {
    mac: &'a HmacSha1,
    roc: [u8; 4],
    body: &'a [u8],
    tag: &'a mut [u8],
}

/// How many tags are made side by side.
pub(super) const LANES: usize = simd::MAX_LANES;

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
            cipher: AesCtr::aes_128(&key),
            salt: u128::from_be_bytes(*salt),
            mac: HmacSha1::new(&*auth),
            rtp_tag: master.profile().rtp_overhead(),
        }
    }

    /// Seals the RTP packet whose header and payload end a tag before the end of `packet`. `None` when it has no such
    /// parts.
    pub(super) fn seal_rtp(&self, ssrc: u32, index: u64, clear: Clear, packet: &mut [u8]) -> Option<()> {
        self.encipher_rtp(ssrc, index, clear, packet)?.seal();
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
        self.encipher_rtp_into(ssrc, index, header, payload, packet)?.seal();
        Some(())
    }

    /// [`seal_rtp`](Self::seal_rtp) without the tag.
    pub(super) fn encipher_rtp<'a>(
        &'a self,
        ssrc: u32,
        index: u64,
        clear: Clear,
        packet: &'a mut [u8],
    ) -> Option<Untagged<'a>> {
        let (body, tag) = self.split_rtp(packet)?;
        self.apply(ssrc, index, clear, body)?;
        Some(self.untagged(index, body, tag))
    }

    /// [`seal_rtp_into`](Self::seal_rtp_into) without the tag.
    pub(super) fn encipher_rtp_into<'a>(
        &'a self,
        ssrc: u32,
        index: u64,
        header: &[u8],
        payload: &[u8],
        packet: &'a mut [u8],
    ) -> Option<Untagged<'a>> {
        let (body, tag) = self.split_rtp(packet)?;
        let (head, sealed) = body.split_at_mut_checked(header.len())?;
        // The hash begins with the header, so that it is not to be what was written last.
        head.copy_from_slice(header);
        self.cipher.apply_into(self.iv(ssrc, index), payload, sealed).ok()?;
        Some(self.untagged(index, body, tag))
    }

    /// What is authenticated of an SRTP packet, and its tag.
    fn split_rtp<'a>(&self, packet: &'a mut [u8]) -> Option<(&'a mut [u8], &'a mut [u8])> {
        packet.split_at_mut_checked(packet.len().checked_sub(self.rtp_tag)?)
    }

    const fn untagged<'a>(&'a self, index: u64, body: &'a [u8], tag: &'a mut [u8]) -> Untagged<'a> {
        Untagged {
            mac: &self.mac,
            roc: roc(index),
            body,
            tag,
        }
    }

    /// The cipher's pass over all of an RTP packet that does not stay in clear.
    fn apply(&self, ssrc: u32, index: u64, clear: Clear, body: &mut [u8]) -> Option<()> {
        let at = clear.gather(body)?;
        self.cipher.apply(self.iv(ssrc, index), body.get_mut(at..)?);
        clear.scatter(body)
    }

    /// Opens an SRTP packet: afterwards it is in clear. `None` when it is not authentic; then it is unchanged.
    pub(super) fn open_rtp(&self, ssrc: u32, index: u64, clear: Clear, packet: &mut [u8]) -> Option<()> {
        let (body, tag) = self.split_rtp(packet)?;
        if !is_tag_of(&self.mac.mac(body, roc(index)), tag) {
            return None;
        }
        self.apply(ssrc, index, clear, body)
    }

    /// Seals the compound RTCP packet that ends 14 bytes before the end of `packet`.
    pub(super) fn seal_rtcp(&self, ssrc: u32, index: u32, packet: &mut [u8]) -> Option<()> {
        let (body, tag) = packet.split_last_chunk_mut::<RTCP_TAG>()?;
        let (rtcp, word) = body.split_last_chunk_mut()?;
        let payload = rtcp.get_mut(RTCP_HEADER..)?;
        self.cipher.apply(self.iv(ssrc, index.into()), payload);
        *word = (E_BIT | index).to_be_bytes();
        put_tag(&self.mac.mac(body, []), tag);
        Some(())
    }

    /// The index that an SRTCP packet carries in clear, not yet authenticated.
    pub(super) fn rtcp_index(packet: &[u8]) -> Option<u32> {
        let (body, _) = packet.split_last_chunk::<RTCP_TAG>()?;
        let word = body.last_chunk()?;
        Some(u32::from_be_bytes(*word) & !E_BIT)
    }

    /// Opens an SRTCP packet, encrypted or only authenticated.
    pub(super) fn open_rtcp(&self, ssrc: u32, packet: &mut [u8]) -> Option<()> {
        let (body, tag) = packet.split_last_chunk_mut::<RTCP_TAG>()?;
        if !is_tag_of(&self.mac.mac(body, []), tag) {
            return None;
        }
        let (rtcp, word) = body.split_last_chunk_mut()?;
        let word = u32::from_be_bytes(*word);
        let payload = rtcp.get_mut(RTCP_HEADER..)?;
        if word & E_BIT != 0 {
            let index = u64::from(word & !E_BIT);
            self.cipher.apply(self.iv(ssrc, index), payload);
        }
        Some(())
    }

    /// RFC 3711 §4.1.1: IV = (k_s * 2^16) XOR (SSRC * 2^64) XOR (i * 2^16). An SRTCP index stands where the low 31 bits
    /// of an SRTP index do.
    fn iv(&self, ssrc: u32, index: u64) -> u128 {
        self.salt ^ (u128::from(ssrc) << 64) ^ (u128::from(index) << 16)
    }
}

impl Untagged<'_> {
    fn seal(self) {
        put_tag(&self.mac.mac(self.body, self.roc), self.tag);
    }

    /// Seals up to four packets, the first ones of `lanes`, side by side, which gains most when they are of about the
    /// same length.
    pub(super) fn seal_each(lanes: [Option<Self>; LANES]) {
        match lanes {
            [Some(a), Some(b), Some(c), Some(d)] => Self::seal_all([a, b, c, d]),
            [Some(a), Some(b), Some(c), None] => Self::seal_all([a, b, c]),
            [Some(a), Some(b), None, None] => Self::seal_all([a, b]),
            lanes => lanes.into_iter().flatten().for_each(Self::seal),
        }
    }

    fn seal_all<const N: usize>(lanes: [Self; N]) {
        let macs = HmacSha1::mac_each(lanes.each_ref().map(|lane| Message {
            key: lane.mac,
            bytes: lane.body,
            suffix: lane.roc,
        }));
        for (lane, mac) in lanes.into_iter().zip(macs) {
            put_tag(&mac, lane.tag);
        }
    }
}

/// RFC 3711 §4.2: what is authenticated behind the packet is the rollover counter.
const fn roc(index: u64) -> [u8; 4] {
    let [_, _, roc @ .., _, _] = index.to_be_bytes();
    roc
}

/// RFC 3711 §4.2.1: the tag is the beginning of the MAC.
fn put_tag(mac: &[u8; 20], tag: &mut [u8]) {
    for (to, from) in tag.iter_mut().zip(mac) {
        *to = *from;
    }
}

fn is_tag_of(mac: &[u8; 20], tag: &[u8]) -> bool {
    let begin = mac.get(..tag.len()).unwrap_or_default();
    // Of other lengths they are not equal.
    begin.ct_eq(tag).into()
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
    use aes::cipher::{KeyIvInit, StreamCipher};
    use hmac::{KeyInit, Mac};
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::SrtpProfile::{Aes128CmHmacSha1_32, Aes128CmHmacSha1_80};
    use crate::srtp::tests::hex;

    /// RFC 3711 §B.2: the key stream for index and SSRC 0, its first and its last blocks.
    #[test]
    fn rfc_3711_key_stream() {
        let mode = CounterMode {
            cipher: AesCtr::aes_128(&hex("2B7E151628AED2A6ABF7158809CF4F3C").try_into().unwrap()),
            salt: u128::from_be_bytes(hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000").try_into().unwrap()),
            mac: HmacSha1::new(&[]),
            rtp_tag: 10,
        };
        let mut stream = vec![0; 1_044_512];
        mode.cipher.apply(mode.iv(0, 0), &mut stream);
        assert_eq!(
            stream[..48],
            hex("E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0")
        );
        assert_eq!(
            stream[stream.len() - 48..],
            hex("EC8CDF7398607CB0F2D21675EA9EA1E4 362B7C3C6773516318A077D7FC5073AE 6A2CC3787889374FBEB4C81B17BA6C44")
        );
    }

    /// A key schedule costs more than the key stream of a packet. It has to be made with the key, once: what is kept
    /// has room for the schedule, the salt and the hash states, and not for the keys from which they could be made
    /// again.
    #[test]
    fn keys_are_not_kept() {
        let kept = size_of::<AesCtr>() + size_of::<u128>() + size_of::<HmacSha1>() + size_of::<usize>();
        assert_eq!(
            size_of::<CounterMode>(),
            kept.next_multiple_of(align_of::<CounterMode>())
        );
        // Eleven round keys (FIPS 197 §5.2), and not one.
        assert!(size_of::<AesCtr>() >= 11 * 16);
    }

    /// RFC 3711 §4.1 and §4.2 on RustCrypto's ciphers, as it stands there.
    fn reference(master: &KeyAndSalt, ssrc: u32, index: u64, header_len: usize, packet: &[u8]) -> Vec<u8> {
        let [mut key, mut salt] = [[0; 16]; 2];
        let mut auth = [0; 20];
        derive(master, Labels::RTP.encryption, &mut key);
        derive(master, Labels::RTP.salt, &mut salt[..14]);
        derive(master, Labels::RTP.authentication, &mut auth);
        let mut iv = salt;
        let (ssrc, index) = (ssrc.to_be_bytes(), index.to_be_bytes());
        for (byte, other) in iv[4..].iter_mut().zip(ssrc.iter().chain(&index[2..])) {
            *byte ^= other;
        }
        let mut sealed = packet.to_vec();
        ctr::Ctr128BE::<aes::Aes128>::new(&key.into(), &iv.into()).apply_keystream(&mut sealed[header_len..]);
        let mut mac = hmac::Hmac::<sha1::Sha1>::new_from_slice(&auth).unwrap();
        mac.update(&sealed);
        mac.update(&index[2..6]);
        sealed.extend(&mac.finalize().into_bytes()[..master.profile().rtp_overhead()]);
        sealed
    }

    proptest! {
        /// In place, from elsewhere, alone and side by side, keys, headers and lengths all different.
        #[test]
        fn seals_as_the_reference_does(
            lanes in vec((any::<[u8; 16]>(), any::<[u8; 14]>(), any::<u32>(), 0u64..1 << 48, 0usize..40, vec(any::<u8>(), 0..1500), any::<bool>()), 1..=LANES),
        ) {
            let lanes: Vec<_> = lanes
                .into_iter()
                .map(|(key, salt, ssrc, index, header_len, packet, short)| {
                    let profile = if short { Aes128CmHmacSha1_32 } else { Aes128CmHmacSha1_80 };
                    let master = KeyAndSalt::new(profile, &key, &salt).unwrap();
                    let header_len = header_len.min(packet.len());
                    let expected = reference(&master, ssrc, index, header_len, &packet);
                    (CounterMode::new(&master, Labels::RTP), ssrc, index, header_len, packet, expected)
                })
                .collect();
            let mut sealed: Vec<Vec<u8>> = lanes.iter().map(|lane| vec![0x5a; lane.5.len()]).collect();
            let mut untagged = [const { None }; LANES];
            for (n, ((mode, ssrc, index, header_len, packet, expected), sealed)) in lanes.iter().zip(&mut sealed).enumerate() {
                let mut alone = vec![0x5a; expected.len()];
                let (header, payload) = packet.split_at(*header_len);
                mode.seal_rtp_into(*ssrc, *index, header, payload, &mut alone).unwrap();
                prop_assert_eq!(&alone, expected);

                alone[..packet.len()].copy_from_slice(packet);
                mode.seal_rtp(*ssrc, *index, Clear::Header(*header_len), &mut alone).unwrap();
                prop_assert_eq!(&alone, expected);
                mode.open_rtp(*ssrc, *index, Clear::Header(*header_len), &mut alone).unwrap();
                prop_assert_eq!(&alone[..packet.len()], &packet[..]);

                if n % 2 == 0 {
                    untagged[n] = mode.encipher_rtp_into(*ssrc, *index, header, payload, sealed);
                } else {
                    sealed[..packet.len()].copy_from_slice(packet);
                    untagged[n] = mode.encipher_rtp(*ssrc, *index, Clear::Header(*header_len), sealed);
                }
            }
            Untagged::seal_each(untagged);
            for (lane, sealed) in lanes.iter().zip(&sealed) {
                prop_assert_eq!(sealed, &lane.5);
            }
        }
    }

    /// RFC 3711 §3.4: without the E bit a packet is authenticated and in clear.
    #[test]
    fn rtcp_in_clear_is_verified_and_left_alone() {
        let master = KeyAndSalt::new(Aes128CmHmacSha1_32, &[1; 16], &[2; 14]).unwrap();
        let mode = CounterMode::new(&master, Labels::RTCP);
        let mut packet = hex("81c8000d 4d617273 4e545031 4e545032 00000005");
        // Ten bytes with the short tags of SRTP, too.
        packet.extend(&mode.mac.mac(&packet, [])[..10]);
        let before = packet.clone();
        assert_eq!(CounterMode::rtcp_index(&packet), Some(5));
        assert_eq!(mode.open_rtcp(0x4d61_7273, &mut packet), Some(()));
        assert_eq!(packet, before);

        // The tag covers the bit.
        packet[16] ^= 0x80;
        assert_eq!(mode.open_rtcp(0x4d61_7273, &mut packet), None);
    }
}
