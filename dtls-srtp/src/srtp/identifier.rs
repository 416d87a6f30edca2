//! Where the master key identifier stands in a packet (RFC 3711 §3.1 and §3.4): behind all but the tag. With AES-GCM the tag
//! is a part of the ciphertext, and the identifier the end of the packet (RFC 7714 §8.2 and §9.2). Neither transform
//! authenticates it.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use crate::{KeyAndSalt, Mki, SrtpProfile};

/// The identifier of one direction's key, if there is one, and what stands behind it.
pub(super) struct Identifier {
    mki: Option<Mki>,
    /// Lengths of the tags behind it, in bytes.
    rtp_tag: usize,
    rtcp_tag: usize,
}

impl Identifier {
    pub(super) fn new(master: &KeyAndSalt) -> Self {
        let (rtp_tag, rtcp_tag) = match master.profile() {
            SrtpProfile::AeadAes128Gcm | SrtpProfile::AeadAes256Gcm => (0, 0),
            profile @ (SrtpProfile::Aes128CmHmacSha1_80 | SrtpProfile::Aes128CmHmacSha1_32) => {
                (profile.rtp_overhead(), 10)
            }
        };
        Self {
            mki: master.mki(),
            rtp_tag,
            rtcp_tag,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.mki.map_or(0, |mki| mki.len())
    }

    pub(super) const fn is_there(&self) -> bool {
        self.mki.is_some()
    }

    /// The part of an outgoing packet that is sealed before the identifier is put in.
    pub(super) fn sealed<'a>(&self, packet: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let end = packet.len().checked_sub(self.len())?;
        packet.get_mut(..end)
    }

    /// Puts the identifier into a packet that is sealed but for the room at its end.
    pub(super) fn put_rtp(&self, packet: &mut [u8]) -> Option<()> {
        self.put(self.rtp_tag, packet)
    }

    pub(super) fn put_rtcp(&self, packet: &mut [u8]) -> Option<()> {
        self.put(self.rtcp_tag, packet)
    }

    /// Takes the identifier out of a packet; `None` when there is none, or another one.
    pub(super) fn take_rtp<'a>(&self, packet: &'a mut [u8]) -> Option<&'a mut [u8]> {
        self.take(self.rtp_tag, packet)
    }

    pub(super) fn take_rtcp<'a>(&self, packet: &'a mut [u8]) -> Option<&'a mut [u8]> {
        self.take(self.rtcp_tag, packet)
    }

    fn put(&self, tag: usize, packet: &mut [u8]) -> Option<()> {
        let Some(mki) = &self.mki else { return Some(()) };
        let end = self.end(tag, packet)?;
        end.rotate_right(mki.len());
        end.get_mut(..mki.len())?.copy_from_slice(mki.as_bytes());
        Some(())
    }

    fn take<'a>(&self, tag: usize, packet: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let Some(mki) = &self.mki else { return Some(packet) };
        let end = self.end(tag, packet)?;
        if !end.starts_with(mki.as_bytes()) {
            return None;
        }
        end.rotate_left(mki.len());
        self.sealed(packet)
    }

    /// Identifier and tag.
    fn end<'a>(&self, tag: usize, packet: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let at = packet.len().checked_sub(self.len().checked_add(tag)?)?;
        packet.get_mut(at..)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::srtp::{OpenError, Opener, Outgoing, Sealer, seal_rtp_each};

    const HEADER: [u8; 12] = [0x80, 96, 0, 7, 1, 2, 3, 4, 0x11, 0x22, 0x33, 0x44];
    const REPORT: [u8; 16] = [0x80, 204, 0, 3, 0x11, 0x22, 0x33, 0x44, 1, 2, 3, 4, 5, 6, 7, 8];

    fn master(profile: SrtpProfile, mki: &[u8]) -> KeyAndSalt {
        let master = KeyAndSalt::new(profile, &[3; 32][..profile.key_len()], &[5; 14][..profile.salt_len()]);
        master.unwrap().with_mki(Mki::new(mki))
    }

    fn sealed_rtp(profile: SrtpProfile, mki: &[u8], payload: &[u8]) -> Vec<u8> {
        let mut sealer = Sealer::new(master(profile, mki));
        let stream = sealer.add_stream(0x1122_3344).unwrap();
        let mut out = vec![0xaa; 12 + payload.len() + sealer.rtp_overhead()];
        let len = sealer.seal_rtp_into(stream, 7, &HEADER, payload, &mut out);
        assert_eq!(len, Ok(out.len()));
        out
    }

    fn sealed_rtcp(profile: SrtpProfile, mki: &[u8]) -> Vec<u8> {
        let mut sealer = Sealer::new(master(profile, mki));
        let mut out = REPORT.to_vec();
        out.resize(REPORT.len() + sealer.rtcp_overhead(), 0xaa);
        assert_eq!(sealer.seal_rtcp(&mut out, REPORT.len()), Ok(out.len()));
        out
    }

    /// What stands behind the MKI, in SRTP and in SRTCP: RFC 3711 §3.1 and §3.4, RFC 7714 §8.2 and §9.2.
    const BEHIND: [(SrtpProfile, usize, usize); 4] = [
        (SrtpProfile::AeadAes128Gcm, 0, 0),
        (SrtpProfile::AeadAes256Gcm, 0, 0),
        (SrtpProfile::Aes128CmHmacSha1_80, 10, 10),
        (SrtpProfile::Aes128CmHmacSha1_32, 4, 10),
    ];

    #[test]
    fn it_stands_where_the_rfcs_have_it_and_changes_nothing_else() {
        let mki = [0xd0, 0xd1, 0xd2];
        for (profile, rtp_tag, rtcp_tag) in BEHIND {
            for (with, without, tag) in [
                (
                    sealed_rtp(profile, &mki, b"media"),
                    sealed_rtp(profile, &[], b"media"),
                    rtp_tag,
                ),
                (sealed_rtcp(profile, &mki), sealed_rtcp(profile, &[]), rtcp_tag),
            ] {
                let (body, end) = without.split_at(without.len() - tag);
                assert_eq!(with, [body, &mki, end].concat(), "{profile}");
            }
        }
    }

    #[test]
    fn a_packet_of_another_key_is_refused_before_its_tag_is_looked_at() {
        for profile in SrtpProfile::ALL {
            for (mki, other) in [(&[1, 2][..], &[1, 3][..]), (&[1, 2], &[]), (&[1, 2], &[2])] {
                let mut opener = Opener::new(&master(profile, mki));
                let packet = opener.open_rtp(&mut sealed_rtp(profile, other, b"media")).map(|_| ());
                assert_eq!(packet, Err(OpenError::UnknownMki));
                let packet = opener.open_rtcp(&mut sealed_rtcp(profile, other)).map(|_| ());
                assert_eq!(packet, Err(OpenError::UnknownMki));
                assert_eq!(
                    (opener.counters().srtp_unknown_mki, opener.counters().srtcp_unknown_mki),
                    (1, 1)
                );
                assert_eq!(opener.highest_index(0x1122_3344), None);
            }
            // Who agreed to none takes it for a part of the tag.
            let mut opener = Opener::new(&master(profile, &[]));
            let packet = opener.open_rtp(&mut sealed_rtp(profile, &[1, 2], b"media")).map(|_| ());
            assert_eq!(packet, Err(OpenError::AuthenticationFailed));
        }
    }

    #[test]
    fn what_has_no_room_for_it_is_no_packet() {
        for profile in SrtpProfile::ALL {
            let mut opener = Opener::new(&master(profile, &[1; 16]));
            for len in 0..12 + profile.rtp_overhead() + 16 {
                let mut data = [&HEADER[..], &[1; 64]].concat();
                assert!(matches!(
                    opener.open_rtp(&mut data[..len]),
                    Err(OpenError::Malformed(_))
                ));
            }
            for len in 0..8 + profile.rtcp_overhead() + 16 {
                let mut data = [&REPORT[..], &[1; 64]].concat();
                assert!(matches!(
                    opener.open_rtcp(&mut data[..len]),
                    Err(OpenError::Malformed(_))
                ));
            }
        }
    }

    proptest! {
        /// In place, from elsewhere and in a batch.
        #[test]
        fn what_is_sealed_opens(
            profile in proptest::sample::select(&SrtpProfile::ALL[..]),
            mki in vec(any::<u8>(), 1..=Mki::MAX_LEN),
            payload in vec(any::<u8>(), 0..200),
            changed in any::<proptest::sample::Index>(),
        ) {
            let expected = sealed_rtp(profile, &mki, &payload);
            let plain = [&HEADER[..], &payload].concat();

            let mut in_place = plain.clone();
            in_place.resize(expected.len(), 0);
            let mut sealer = Sealer::new(master(profile, &mki));
            let stream = sealer.add_stream(0x1122_3344).unwrap();
            prop_assert_eq!(sealer.seal_rtp(stream, 7, 12, &mut in_place, payload.len()), Ok(expected.len()));
            prop_assert_eq!(&in_place, &expected);

            let mut sealers = [(); 5].map(|()| Sealer::new(master(profile, &mki)));
            let mut outs = [(); 5].map(|()| vec![0; expected.len()]);
            let mut batch: Vec<_> = sealers
                .iter_mut()
                .zip(&mut outs)
                .map(|(sealer, out)| {
                    let stream = sealer.add_stream(0x1122_3344).unwrap();
                    Outgoing::apart(sealer, stream, 7, &HEADER, &payload, out)
                })
                .collect();
            seal_rtp_each(&mut batch);
            prop_assert!(outs.iter().all(|out| *out == expected));

            let mut opener = Opener::new(&master(profile, &mki));
            let mut forged = expected.clone();
            *changed.get_mut(&mut forged) ^= 0x04;
            prop_assert!(opener.open_rtp(&mut forged).is_err());
            let mut sealed = expected.clone();
            prop_assert_eq!(&*opener.open_rtp(&mut sealed).unwrap().packet, &plain[..]);
            let mut sealed = sealed_rtcp(profile, &mki);
            prop_assert_eq!(&*opener.open_rtcp(&mut sealed).unwrap(), &REPORT[..]);
        }
    }
}
