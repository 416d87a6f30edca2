//! Cryptex (RFC 9335): the CSRCs and the header extensions of an RTP packet are encrypted with its payload.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

/// The fixed part of an RTP header, in bytes (RFC 3550 §5.1).
const FIXED: usize = 12;

/// The word that begins an extension, in bytes: "defined by profile", and the length (RFC 3550 §5.3.1).
const WORD: usize = 4;

/// What "defined by profile" says of extensions in clear (RFC 8285 §4.2 and §4.3, without appbits), and of the same
/// encrypted (RFC 9335 §5).
const FORMS: [([u8; 2], [u8; 2]); 2] = [([0xbe, 0xde], [0xc0, 0xde]), ([0x10, 0x00], [0xc2, 0xde])];

/// What of an RTP packet stays in clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clear {
    /// The header, of so many bytes.
    Header(usize),
    /// The fixed header and the first word of the extension, between which are so many bytes of CSRCs.
    Cryptex { csrcs: usize },
}

impl Clear {
    /// What stays in clear of a packet with this header that we send. `None` when Cryptex has no means to encrypt what is
    /// there: CSRCs without an extension, or one that is not of RFC 8285.
    pub(super) fn outgoing(header: &[u8]) -> Option<Self> {
        let csrcs = csrcs(header);
        if csrcs == 0 && !has_extension(header) {
            return Some(Self::Header(header.len()));
        }
        let form = form(header, csrcs).filter(|_| has_extension(header))?;
        let known = FORMS.iter().any(|(plain, _)| *plain == form);
        known.then_some(Self::Cryptex { csrcs })
    }

    /// What is in clear of a packet that came; its header has `header_len` bytes.
    pub(super) fn incoming(packet: &[u8], header_len: usize) -> Self {
        let csrcs = csrcs(packet);
        match form(packet, csrcs).filter(|_| has_extension(packet)) {
            Some(form) if FORMS.iter().any(|(_, encrypted)| *encrypted == form) => Self::Cryptex { csrcs },
            _ => Self::Header(header_len),
        }
    }

    /// Has the packet say that it is encrypted.
    pub(super) fn mark(self, packet: &mut [u8]) {
        self.replace(packet, |(plain, encrypted)| (plain, encrypted));
    }

    /// Has the packet say that it is in clear.
    pub(super) fn unmark(self, packet: &mut [u8]) {
        self.replace(packet, |(plain, encrypted)| (encrypted, plain));
    }

    fn replace(self, packet: &mut [u8], way: impl Fn(([u8; 2], [u8; 2])) -> ([u8; 2], [u8; 2])) {
        let Self::Cryptex { csrcs } = self else { return };
        let place = packet.get_mut(FIXED.saturating_add(csrcs)..);
        let Some(place) = place.and_then(<[u8]>::first_chunk_mut) else {
            return;
        };
        if let Some((_, to)) = FORMS.into_iter().map(way).find(|(from, _)| from == place) {
            *place = to;
        }
    }

    /// Brings together what stays in clear, and what does not behind it (RFC 9335 §6.2), and tells where that begins.
    #[inline]
    pub(super) fn gather(self, packet: &mut [u8]) -> Option<usize> {
        match self {
            Self::Header(len) => Some(len),
            Self::Cryptex { csrcs } => {
                moved(packet, csrcs)?.rotate_right(WORD);
                Some(FIXED.saturating_add(WORD))
            }
        }
    }

    /// Brings all of it back to where it was.
    #[inline]
    pub(super) fn scatter(self, packet: &mut [u8]) -> Option<()> {
        if let Self::Cryptex { csrcs } = self {
            moved(packet, csrcs)?.rotate_left(WORD);
        }
        Some(())
    }
}

/// CSRCs and the first word of the extension.
fn moved(packet: &mut [u8], csrcs: usize) -> Option<&mut [u8]> {
    let end = FIXED.checked_add(WORD)?.checked_add(csrcs)?;
    packet.get_mut(FIXED..end)
}

/// Length of the CSRCs in bytes.
fn csrcs(header: &[u8]) -> usize {
    let count = header.first().map_or(0, |first| first & 0x0f);
    usize::from(count).saturating_mul(4)
}

fn has_extension(header: &[u8]) -> bool {
    header.first().is_some_and(|first| first & 0x10 != 0)
}

fn form(header: &[u8], csrcs: usize) -> Option<[u8; 2]> {
    header.get(FIXED.checked_add(csrcs)?..)?.first_chunk().copied()
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use crate::srtp::header::RtpHeader;
    use crate::srtp::tests::hex;
    use crate::srtp::{OpenError, Opener, Outgoing, SealError, Sealer, StreamHandle, seal_rtp_each};
    use crate::{KeyAndSalt, Mki, SrtpProfile};

    const SSRC: u32 = 0xcafe_babe;

    struct Pair {
        sealer: Sealer,
        stream: StreamHandle,
        opener: Opener,
    }

    impl Pair {
        fn new(master: impl Fn() -> KeyAndSalt) -> Self {
            let mut sealer = Sealer::new(master());
            let mut opener = Opener::new(&master());
            sealer.set_cryptex(true);
            opener.set_cryptex(true);
            let stream = sealer.add_stream(SSRC).unwrap();
            Self { sealer, stream, opener }
        }

        fn of(profile: SrtpProfile) -> Self {
            Self::new(|| master(profile))
        }

        /// In place and from elsewhere, as it has to come out the same.
        fn seal(&mut self, packet: &[u8], header_len: usize) -> Result<Vec<u8>, SealError> {
            let index = u64::from(u16::from_be_bytes([packet[2], packet[3]]));
            let mut out = packet.to_vec();
            out.resize(packet.len() + self.sealer.rtp_overhead(), 0);
            let payload_len = packet.len() - header_len;
            let len = self
                .sealer
                .seal_rtp(self.stream, index, header_len, &mut out, payload_len)?;
            assert_eq!(len, out.len());
            Ok(out)
        }

        fn seal_into(&mut self, packet: &[u8], header_len: usize) -> Result<Vec<u8>, SealError> {
            let index = u64::from(u16::from_be_bytes([packet[2], packet[3]]));
            let (header, payload) = packet.split_at(header_len);
            let mut out = vec![0x5a; packet.len() + self.sealer.rtp_overhead()];
            self.sealer
                .seal_rtp_into(self.stream, index, header, payload, &mut out)?;
            Ok(out)
        }
    }

    fn master(profile: SrtpProfile) -> KeyAndSalt {
        KeyAndSalt::new(profile, &[3; 32][..profile.key_len()], &[5; 14][..profile.salt_len()]).unwrap()
    }

    /// The packets of RFC 9335 Appendix A, and what becomes of them in A.1 (AES-CTR) and in A.2 (AES-GCM).
    const VECTORS: [[&str; 3]; 6] = [
        [
            "900f1235 decafbad cafebabe bede0001 51000200 abababab abababab abababab abababab",
            "900f1235 decafbad cafebabe c0de0001 eb923652 51c3e036 f8de27e9 c27ee3e0 b4651d9f bc4218a7 0244522f 34a5",
            "900f1235 decafbad cafebabe c0de0001 39972dc9 572c4d99 e8fc355d e743fb2e 94f9d8ff 54e72f41 93bbc5c7 4ffab0fa
             9fa0fbeb",
        ],
        [
            "900f1236 decafbad cafebabe 10000001 05020002 abababab abababab abababab abababab",
            "900f1236 decafbad cafebabe c2de0001 4ed9cc4e 6a712b30 96c5ca77 339d4204 ce0d7739 6cab6958 5fbce381 94a5",
            "900f1236 decafbad cafebabe c2de0001 bb75a4c5 45cd1f41 3bdb7daa 2b1e3263 de313667 c9632490 81b35a65 f5cb6c88
             b394235f",
        ],
        [
            "920f1238 decafbad cafebabe 0001e240 0000b26e bede0001 51000200 abababab abababab abababab abababab",
            "920f1238 decafbad cafebabe 8bb6e12b 5cff16dd c0de0001 92838c8c 09e58393 e1de3a9a 74734d67 45671338 c3acf11d
             a2df8423 bee0",
            "920f1238 decafbad cafebabe 63bbccc4 a7f695c4 c0de0001 8ad7c71f ac70a80c 92866b4c 6ba98546 ef913586 e95ffaaf
             fe956885 bb0647a8 bc094ac8",
        ],
        [
            "920f1239 decafbad cafebabe 0001e240 0000b26e 10000001 05020002 abababab abababab abababab abababab",
            "920f1239 decafbad cafebabe f70e513e b90b9b25 c2de0001 bbed4848 faa64466 5f3d7f34 125914e9 f4d0ae92 3c6f479b
             95a0f7b5 3133",
            "920f1239 decafbad cafebabe 3680524f 8d312b00 c2de0001 c78d1200 38422bc1 11a7187a 18246f98 0c059cc6 bc9df8b6
             26394eca 344e4b05 d80fea83",
        ],
        [
            "920f123a decafbad cafebabe 0001e240 0000b26e bede0000 abababab abababab abababab abababab",
            "920f123a decafbad cafebabe 7130b6ab fe2ab0e3 c0de0000 e3d9f64b 25c9e74c b4cf8e43 fb92e378 1c2c0cea b6b3a499
             a14c",
            "920f123a decafbad cafebabe 15b6bb43 37906fff c0de0000 b7b96453 7a2b03ab 7ba5389c e9331712 6b5d974d f30c6884
             dcb651c5 e120c1da",
        ],
        [
            "920f123b decafbad cafebabe 0001e240 0000b26e 10000000 abababab abababab abababab abababab",
            "920f123b decafbad cafebabe cbf24c12 4330e1c8 c2de0000 599dd45b c9d687b6 03e8b59d 771fd38e 88b170e0 cd31e125
             eabe",
            "920f123b decafbad cafebabe dcb38c9e 48bf95f4 c2de0000 61ee432c f9203170 76613258 d3ce4236 c06ac429 681ad084
             13512dc9 8b5207d8",
        ],
    ];

    #[test]
    fn rfc_9335_vectors() {
        let counter_mode = || {
            let (key, salt) = ("e1f97a0d3e018be0d64fa32c06de4139", "0ec675ad498afeebb6960b3aabe6");
            KeyAndSalt::new(SrtpProfile::Aes128CmHmacSha1_80, &hex(key), &hex(salt)).unwrap()
        };
        let gcm = || {
            let (key, salt) = ("000102030405060708090a0b0c0d0e0f", "a0a1a2a3a4a5a6a7a8a9aaab");
            KeyAndSalt::new(SrtpProfile::AeadAes128Gcm, &hex(key), &hex(salt)).unwrap()
        };
        let mut pairs = [Pair::new(counter_mode), Pair::new(gcm)];
        let mut others = [Pair::new(counter_mode), Pair::new(gcm)];
        for [plain, sealed @ ..] in VECTORS {
            let plain = hex(plain);
            let header_len = RtpHeader::parse(&plain).unwrap().len;
            for ((pair, other), sealed) in pairs.iter_mut().zip(&mut others).zip(sealed) {
                let mut sealed = hex(sealed);
                assert_eq!(pair.seal(&plain, header_len).unwrap(), sealed);
                assert_eq!(other.seal_into(&plain, header_len).unwrap(), sealed);
                let opened = pair.opener.open_rtp(&mut sealed).unwrap();
                assert_eq!((&*opened.packet, opened.header_len), (&plain[..], header_len));
            }
        }
    }

    /// RFC 9335 §5.1: what it cannot encrypt must not be sent with it, and is not sent in clear behind the caller's back.
    #[test]
    fn a_header_that_cannot_be_encrypted_is_refused_and_uses_no_index_up() {
        for profile in SrtpProfile::ALL {
            let mut pair = Pair::of(profile);
            for (header, header_len) in [
                ("810f0001 decafbad cafebabe 0001e240", 16),
                ("900f0001 decafbad cafebabe 10010000", 16),
                ("900f0001 decafbad cafebabe abcd0000", 16),
                ("910f0001 decafbad cafebabe 0001e240 c0de0000", 20),
            ] {
                let packet = [&hex(header)[..], b"media"].concat();
                assert_eq!(pair.seal(&packet, header_len), Err(SealError::HeaderInClear));
                assert_eq!(pair.seal_into(&packet, header_len), Err(SealError::HeaderInClear));
            }
            let packet = [&hex("910f0001 decafbad cafebabe 0001e240 bede0000")[..], b"media"].concat();
            pair.seal(&packet, 20).unwrap();
        }
    }

    /// A sender decides packet by packet, and one without CSRCs and extensions is what it always was.
    #[test]
    fn packets_in_clear_are_sealed_and_opened_as_ever() {
        for profile in SrtpProfile::ALL {
            let mut pair = Pair::of(profile);
            let bare = [&hex("800f0001 decafbad cafebabe")[..], b"media"].concat();
            let sealed = pair.seal(&bare, 12).unwrap();
            pair.sealer.set_cryptex(false);
            let extended = [&hex("910f0002 decafbad cafebabe 0001e240 bede0000")[..], b"media"].concat();
            let in_clear = pair.seal(&extended, 20).unwrap();
            assert_eq!(in_clear[..20], extended[..20]);
            let mut other = Pair::of(profile);
            other.sealer.set_cryptex(false);
            assert_eq!(other.seal(&bare, 12).unwrap(), sealed);
            for (mut sealed, plain) in [(sealed, bare), (in_clear, extended)] {
                assert_eq!(*pair.opener.open_rtp(&mut sealed).unwrap().packet, plain);
            }
        }
    }

    #[test]
    fn every_changed_bit_is_noticed() {
        for profile in SrtpProfile::ALL {
            let mut pair = Pair::of(profile);
            let packet = [
                &hex("920f0007 decafbad cafebabe 0001e240 0000b26e bede0001 51000200")[..],
                b"media",
            ]
            .concat();
            let sealed = pair.seal(&packet, 28).unwrap();
            for at in 0..sealed.len() {
                for bit in 0..8 {
                    let mut forged = sealed.clone();
                    forged[at] ^= 1 << bit;
                    let error = pair.opener.open_rtp(&mut forged).map(|_| ()).unwrap_err();
                    assert!(matches!(
                        error,
                        OpenError::AuthenticationFailed | OpenError::Malformed(_)
                    ));
                }
            }
            assert_eq!(*pair.opener.open_rtp(&mut sealed.clone()).unwrap().packet, packet);
        }
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens(
            profile in proptest::sample::select(&SrtpProfile::ALL[..]),
            csrcs in vec(any::<[u8; 4]>(), 0..16),
            words in vec(any::<[u8; 4]>(), 0..8),
            one_byte: bool,
            mki in proptest::option::of(vec(any::<u8>(), 1..=Mki::MAX_LEN)),
            payload in vec(any::<u8>(), 0..300),
        ) {
            let master = || master(profile).with_mki(mki.as_deref().and_then(Mki::new));
            let mut packet = hex("900f0007 decafbad cafebabe");
            packet[0] |= csrcs.len() as u8;
            packet.extend(csrcs.as_flattened());
            packet.extend(if one_byte { [0xbe, 0xde] } else { [0x10, 0] });
            packet.extend([0, words.len() as u8]);
            packet.extend(words.as_flattened());
            let header_len = packet.len();
            packet.extend(&payload);

            let mut pair = Pair::new(master);
            let mut sealed = pair.seal(&packet, header_len).unwrap();
            prop_assert_eq!(&Pair::new(master).seal_into(&packet, header_len).unwrap(), &sealed);

            let mut pairs = [(); 3].map(|()| Pair::new(master));
            let mut outs = [(); 3].map(|()| vec![0; sealed.len()]);
            let (header, payload) = packet.split_at(header_len);
            let mut batch: Vec<_> = pairs
                .iter_mut()
                .zip(&mut outs)
                .map(|(pair, out)| Outgoing::apart(&mut pair.sealer, pair.stream, 7, header, payload, out))
                .collect();
            seal_rtp_each(&mut batch);
            prop_assert!(outs.iter().all(|out| *out == sealed));

            let opened = pair.opener.open_rtp(&mut sealed).unwrap();
            prop_assert_eq!((&*opened.packet, opened.header_len, opened.index), (&packet[..], header_len, 7));
        }
    }
}
