use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::{KeyAndSalt, SrtpProfile};

/// Bytes from hexadecimal digits; white space is passed over.
pub(super) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).unwrap())
        .collect();
    assert_eq!(digits.len() % 2, 0);
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

const SSRC: u32 = 0x1122_3344;

fn master(profile: SrtpProfile) -> KeyAndSalt {
    let key: Vec<u8> = (1..=profile.key_len() as u8).collect();
    let salt: Vec<u8> = (101..101 + profile.salt_len() as u8).collect();
    KeyAndSalt::new(profile, &key, &salt).unwrap()
}

/// A sealer with one stream, and the opener for it.
struct Pair {
    sealer: Sealer,
    stream: StreamHandle,
    opener: Opener,
}

impl Pair {
    fn new(profile: SrtpProfile) -> Self {
        let mut sealer = Sealer::new(master(profile));
        Self {
            stream: sealer.add_stream(SSRC).unwrap(),
            sealer,
            opener: Opener::new(&master(profile)),
        }
    }

    fn seal(&mut self, index: u64, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![0xaa; 12 + payload.len() + 40];
        let len = self
            .sealer
            .seal_rtp_into(self.stream, index, &header(SSRC, index), payload, &mut out)
            .unwrap();
        out.truncate(len);
        out
    }

    fn open(&mut self, mut sealed: Vec<u8>) -> Result<u64, OpenError> {
        self.opener.open_rtp(&mut sealed).map(|opened| opened.index)
    }

    fn seal_rtcp(&mut self, ssrc: u32) -> Vec<u8> {
        let mut out = vec![0xaa; 100];
        out[..8].copy_from_slice(&receiver_report(ssrc));
        let len = self.sealer.seal_rtcp(&mut out, 8).unwrap();
        out.truncate(len);
        out
    }
}

fn header(ssrc: u32, index: u64) -> [u8; 12] {
    let mut header = [0x80, 96, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0];
    header[2..4].copy_from_slice(&(index as u16).to_be_bytes());
    header[8..].copy_from_slice(&ssrc.to_be_bytes());
    header
}

fn receiver_report(ssrc: u32) -> [u8; 8] {
    let mut report = [0x80, 201, 0, 1, 0, 0, 0, 0];
    report[4..].copy_from_slice(&ssrc.to_be_bytes());
    report
}

/// Exactly these counters are raised, once each.
fn assert_raised(counters: &Counters, names: &[&str]) {
    let raised: Vec<(&str, u64)> = counters.iter().filter(|&(_, count)| count != 0).collect();
    let expected: Vec<(&str, u64)> = names.iter().map(|&name| (name, 1)).collect();
    assert_eq!(raised, expected);
}

#[test]
fn an_index_is_sealed_once() {
    for profile in SrtpProfile::ALL {
        let mut pair = Pair::new(profile);
        pair.seal(100, b"first");
        let mut out = [0xaa; 100];
        let sealed = pair
            .sealer
            .seal_rtp_into(pair.stream, 100, &header(SSRC, 100), b"other", &mut out);
        assert_eq!(sealed, Err(SealError::IndexReused));
        assert_eq!(out, [0xaa; 100], "nothing was written");
        assert_raised(pair.sealer.counters(), &["srtp_index_reuse"]);

        out[..12].copy_from_slice(&header(SSRC, 100));
        let sealed = pair.sealer.seal_rtp(pair.stream, 100, 12, &mut out, 5);
        assert_eq!(sealed, Err(SealError::IndexReused));
        assert_eq!(pair.sealer.counters().srtp_index_reuse, 2);
    }
}

#[test]
fn late_packets_are_sealed_but_only_while_their_index_is_known_to_be_unused() {
    let mut pair = Pair::new(SrtpProfile::AeadAes128Gcm);
    pair.seal(10_000, b"");
    pair.seal(10_000 - 1984, b"the last that is remembered");
    let mut out = [0; 100];
    let index = 10_000 - 2048;
    let sealed = pair
        .sealer
        .seal_rtp_into(pair.stream, index, &header(SSRC, index), b"", &mut out);
    assert_eq!(sealed, Err(SealError::IndexReused));
    assert_raised(pair.sealer.counters(), &["srtp_index_reuse"]);
}

#[test]
fn a_refused_packet_uses_no_index_up() {
    let mut pair = Pair::new(SrtpProfile::AeadAes128Gcm);
    let Pair { sealer, stream, .. } = &mut pair;
    let mut out = [0; 100];
    let mut seal =
        |index, header: &[u8], room: usize| sealer.seal_rtp_into(*stream, index, header, b"abc", &mut out[..room]);
    assert_eq!(seal(7, &header(SSRC, 7), 30), Err(SealError::NoRoom));
    assert_eq!(seal(7, &header(SSRC, 8), 100), Err(SealError::HeaderMismatch));
    assert_eq!(seal(7, &header(SSRC + 1, 7), 100), Err(SealError::HeaderMismatch));
    assert_eq!(seal(7, &header(SSRC, 7)[..11], 100), Err(SealError::HeaderMismatch));
    assert_eq!(seal(1 << 48, &header(SSRC, 0), 100), Err(SealError::KeyExhausted));
    assert_eq!(seal(1 << 48 | 7, &header(SSRC, 7), 100), Err(SealError::KeyExhausted));
    assert_eq!(seal(7, &header(SSRC, 7), 31), Ok(31));
    assert_eq!(seal((1 << 48) - 1, &header(SSRC, 0xffff), 31), Ok(31));
    let mut long = vec![0; 70_000];
    let sealed = sealer.seal_rtp_into(*stream, 9, &header(SSRC, 9), &[0; 65_508], &mut long);
    assert_eq!(sealed, Err(SealError::TooLong));
    assert_eq!(*sealer.counters(), Counters::default());
}

#[test]
fn rtcp_that_cannot_be_sealed() {
    for profile in SrtpProfile::ALL {
        let mut sealer = Sealer::new(master(profile));
        let mut out = [0; 100];
        out[..8].copy_from_slice(&receiver_report(1));
        assert_eq!(sealer.seal_rtcp(&mut out[..20], 8), Err(SealError::NoRoom));
        assert_eq!(sealer.seal_rtcp(&mut out, 7), Err(SealError::HeaderMismatch));
        assert_eq!(sealer.seal_rtcp(&mut out, 65_530), Err(SealError::TooLong));
        assert_eq!(sealer.seal_rtcp(&mut out, usize::MAX), Err(SealError::TooLong));
        out[0] = 0;
        assert_eq!(sealer.seal_rtcp(&mut out, 8), Err(SealError::HeaderMismatch));
    }
}

#[test]
fn an_ssrc_is_given_to_one_stream_for_ever() {
    let mut sealer = Sealer::new(master(SrtpProfile::AeadAes128Gcm));
    sealer.set_max_streams(2);
    let first = sealer.add_stream(5).unwrap();
    let second = sealer.add_stream(6).unwrap();
    assert_ne!(first, second);
    assert_eq!((sealer.ssrc(first), sealer.ssrc(second)), (Some(5), Some(6)));
    assert_eq!(sealer.add_stream(5), Err(StreamError::SsrcTaken));
    assert_eq!(sealer.add_stream(7), Err(StreamError::TooMany));
}

#[test]
fn a_replayed_packet_raises_its_counter() {
    for profile in SrtpProfile::ALL {
        let mut pair = Pair::new(profile);
        let sealed = pair.seal(3, b"media");
        assert_eq!(pair.open(sealed.clone()), Ok(3));
        assert_eq!(pair.open(sealed), Err(OpenError::Replayed));
        assert_raised(pair.opener.counters(), &["replayed_srtp"]);

        let mut pair = Pair::new(profile);
        let sealed = pair.seal_rtcp(SSRC);
        assert_eq!(
            *pair.opener.open_rtcp(&mut sealed.clone()).unwrap(),
            receiver_report(SSRC)
        );
        assert_eq!(pair.opener.open_rtcp(&mut sealed.clone()), Err(OpenError::Replayed));
        assert_raised(pair.opener.counters(), &["replayed_srtcp"]);
    }
}

#[test]
fn a_packet_behind_the_window_raises_its_counter() {
    for profile in SrtpProfile::ALL {
        let mut pair = Pair::new(profile);
        let late = pair.seal(1, b"media");
        let highest = pair.seal(2050, b"media");
        assert_eq!(pair.open(highest), Ok(2050));
        assert_eq!(pair.open(late), Err(OpenError::Stale));
        assert_raised(pair.opener.counters(), &["stale_srtp"]);

        let mut pair = Pair::new(profile);
        let mut sealed: Vec<Vec<u8>> = (0..300).map(|_| pair.seal_rtcp(SSRC)).collect();
        pair.opener.open_rtcp(&mut sealed[299]).unwrap();
        assert_eq!(pair.opener.open_rtcp(&mut sealed[1]), Err(OpenError::Stale));
        assert_raised(pair.opener.counters(), &["stale_srtcp"]);
    }
}

#[test]
fn every_changed_byte_is_noticed_and_leaves_no_trace() {
    for profile in SrtpProfile::ALL {
        let mut pair = Pair::new(profile);
        let sealed = pair.seal(3, b"some media");
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut forged = sealed.clone();
                forged[at] ^= 1 << bit;
                let error = pair.open(forged).unwrap_err();
                assert!(
                    matches!(error, OpenError::AuthenticationFailed | OpenError::Malformed(_)),
                    "{profile}: byte {at}: {error:?}"
                );
                assert_eq!(pair.opener.highest_index(SSRC), None);
            }
        }
        // Each bit, among them those that move the packet to another index or SSRC.
        let failed = pair.opener.counters().srtp_auth_failed + pair.opener.counters().malformed_srtp;
        assert_eq!(failed, 8 * sealed.len() as u64);
        assert_eq!(pair.open(sealed), Ok(3), "forgeries have not moved the window");

        let sealed = pair.seal_rtcp(SSRC);
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut forged = sealed.clone();
                forged[at] ^= 1 << bit;
                let error = pair.opener.open_rtcp(&mut forged).unwrap_err();
                assert!(
                    matches!(error, OpenError::AuthenticationFailed | OpenError::Malformed(_)),
                    "{profile}: byte {at}: {error:?}"
                );
            }
        }
        pair.opener.open_rtcp(&mut sealed.clone()).unwrap();
        for at in 0..sealed.len() {
            assert!(pair.opener.open_rtcp(&mut sealed[..at].to_vec()).is_err());
        }
    }
}

#[test]
fn a_wrong_tag_raises_its_counter() {
    for profile in SrtpProfile::ALL {
        let mut pair = Pair::new(profile);
        let mut sealed = pair.seal(3, b"some media");
        *sealed.last_mut().unwrap() ^= 1;
        assert_eq!(pair.open(sealed), Err(OpenError::AuthenticationFailed));
        assert_raised(pair.opener.counters(), &["srtp_auth_failed"]);

        let mut pair = Pair::new(profile);
        let mut sealed = pair.seal_rtcp(SSRC);
        // Both layouts have the tag in the last 20 bytes, and this byte of it.
        sealed[8 + 5] ^= 1;
        assert_eq!(pair.opener.open_rtcp(&mut sealed), Err(OpenError::AuthenticationFailed));
        assert_raised(pair.opener.counters(), &["srtcp_auth_failed"]);
    }
}

#[test]
fn what_is_no_packet_raises_its_counter() {
    for profile in SrtpProfile::ALL {
        let mut opener = Opener::new(&master(profile));
        assert!(matches!(opener.open_rtp(&mut []), Err(OpenError::Malformed(_))));
        assert_raised(opener.counters(), &["malformed_srtp"]);

        let mut opener = Opener::new(&master(profile));
        // A header and one byte less than the tag.
        let mut data = [&header(SSRC, 1)[..], &vec![0; profile.rtp_overhead() - 1]].concat();
        assert!(matches!(opener.open_rtp(&mut data), Err(OpenError::Malformed(_))));
        assert_raised(opener.counters(), &["malformed_srtp"]);

        let mut opener = Opener::new(&master(profile));
        let mut data = [&receiver_report(SSRC)[..], &vec![0; profile.rtcp_overhead() - 1]].concat();
        assert!(matches!(opener.open_rtcp(&mut data), Err(OpenError::Malformed(_))));
        assert_raised(opener.counters(), &["malformed_srtcp"]);
    }
}

#[test]
fn sources_are_bounded() {
    let profile = SrtpProfile::AeadAes128Gcm;
    let mut sealer = Sealer::new(master(profile));
    let mut opener = Opener::new(&master(profile));
    opener.set_max_sources(2);
    let mut results = Vec::new();
    for ssrc in [1, 2, 3] {
        let stream = sealer.add_stream(ssrc).unwrap();
        let mut out = [0; 100];
        let len = sealer
            .seal_rtp_into(stream, 1, &header(ssrc, 1), b"", &mut out)
            .unwrap();
        results.push(opener.open_rtp(&mut out[..len]).map(|opened| opened.index));
    }
    assert_eq!(results, [Ok(1), Ok(1), Err(OpenError::SourcesFull)]);
    assert_raised(opener.counters(), &["srtp_sources_full"]);
    let mut forged = [&header(4, 1)[..], &[0; 30]].concat();
    assert_eq!(
        opener.open_rtp(&mut forged),
        Err(OpenError::SourcesFull),
        "before the cipher has run"
    );
    assert_eq!(opener.set_roc(3, 1), Err(OpenError::SourcesFull));
    assert_eq!(opener.set_roc(2, 1), Ok(()));

    let mut opener = Opener::new(&master(profile));
    opener.set_max_sources(0);
    let mut out = [0; 100];
    out[..8].copy_from_slice(&receiver_report(9));
    let len = sealer.seal_rtcp(&mut out, 8).unwrap();
    assert_eq!(opener.open_rtcp(&mut out[..len]), Err(OpenError::SourcesFull));
    assert_raised(opener.counters(), &["srtcp_sources_full"]);
}

#[test]
fn forged_packets_take_no_place() {
    let mut opener = Opener::new(&master(SrtpProfile::AeadAes128Gcm));
    opener.set_max_sources(4);
    for ssrc in 0..1000 {
        let mut data = [&header(ssrc, 1)[..], &[0; 30]].concat();
        assert_eq!(opener.open_rtp(&mut data), Err(OpenError::AuthenticationFailed));
        let mut data = [&receiver_report(ssrc)[..], &[0x80; 30]].concat();
        assert_eq!(opener.open_rtcp(&mut data), Err(OpenError::AuthenticationFailed));
    }
    let mut pair = Pair::new(SrtpProfile::AeadAes128Gcm);
    let mut sealed = pair.seal(1, b"");
    assert!(opener.open_rtp(&mut sealed).is_ok());
}

/// RFC 3711 §3.3.1.
#[test]
fn a_late_joiner_is_told_the_rollover_counter() {
    for profile in SrtpProfile::ALL {
        let mut pair = Pair::new(profile);
        let index = 0x1234_5678_9abc;
        let sealed = pair.seal(index, b"media");
        assert_eq!(pair.open(sealed.clone()), Err(OpenError::AuthenticationFailed));
        pair.opener.set_roc(SSRC, 0x1234_5678).unwrap();
        let mut forged = sealed.clone();
        forged[13] ^= 1;
        assert_eq!(pair.open(forged), Err(OpenError::AuthenticationFailed));
        assert_eq!(pair.open(sealed), Ok(index), "a forgery does not spend what was told");
        // From here on by itself, across the next roll-over.
        for index in [index + 20_000, index + 40_000] {
            let sealed = pair.seal(index, b"");
            assert_eq!(pair.open(sealed), Ok(index));
            assert_eq!(pair.opener.highest_index(SSRC), Some(index));
        }
    }
}

#[test]
fn nothing_comes_before_the_first_rollover_counter() {
    let mut pair = Pair::new(SrtpProfile::AeadAes128Gcm);
    for index in [10, 50_000] {
        let sealed = pair.seal(index, b"");
        assert_eq!(pair.open(sealed), Ok(index));
    }
}

#[test]
fn the_index_after_the_last_is_none() {
    let mut pair = Pair::new(SrtpProfile::AeadAes128Gcm);
    pair.opener.set_roc(SSRC, u32::MAX).unwrap();
    let last = pair.seal((1 << 48) - 1, b"");
    assert_eq!(pair.open(last), Ok((1 << 48) - 1));
    let first = Pair::new(SrtpProfile::AeadAes128Gcm).seal(5, b"");
    assert_eq!(pair.open(first), Err(OpenError::Stale));
}

/// RFC 3711 Appendix A, transcribed with signed arithmetic.
fn estimate(s_l: i64, roc: i64, seq: i64) -> i64 {
    let v = if s_l < 32_768 {
        if seq - s_l > 32_768 {
            (roc - 1).rem_euclid(1 << 32)
        } else {
            roc
        }
    } else if s_l - 32_768 > seq {
        (roc + 1).rem_euclid(1 << 32)
    } else {
        roc
    };
    seq + v * 65_536
}

#[test]
fn the_estimate_turns_over_where_appendix_a_does() {
    for s_l in [0, 1, 2, 32_766, 32_767, 32_768, 32_769, 65_534, 65_535_u16] {
        for way in [32_766, 32_767, 32_768, 32_769, 32_770] {
            for seq in [s_l.wrapping_add(way), s_l.wrapping_sub(way)] {
                let expected = estimate(s_l.into(), 5, seq.into()) as u64;
                assert_eq!(
                    opener::estimate_from(5 << 16 | u64::from(s_l), seq),
                    expected,
                    "{s_l} {seq}"
                );
            }
        }
    }
}

fn profiles() -> impl Strategy<Value = SrtpProfile> {
    proptest::sample::select(&SrtpProfile::ALL[..])
}

/// What each receiver of a batch is given.
#[derive(Debug, Clone)]
struct Receiver {
    profile: SrtpProfile,
    index: u64,
    in_place: bool,
    /// Extra words of header.
    csrcs: u8,
    room: usize,
}

fn receivers() -> impl Strategy<Value = Vec<Receiver>> {
    // Mostly of the profile that is sealed side by side, in which a refusal must not shift the lanes.
    let side_by_side =
        proptest::sample::select(vec![SrtpProfile::Aes128CmHmacSha1_80, SrtpProfile::Aes128CmHmacSha1_32]);
    let profile = prop_oneof![3 => side_by_side, 1 => profiles()];
    let receiver = (
        profile,
        0u64..1 << 48,
        any::<bool>(),
        0u8..16,
        prop_oneof![4 => Just(2000usize), 1 => 0usize..60],
    );
    let receiver = receiver.prop_map(|(profile, index, in_place, csrcs, room)| Receiver {
        profile,
        index,
        in_place,
        csrcs,
        room,
    });
    vec(receiver, 0..12)
}

#[test]
fn a_batch_refuses_each_packet_for_itself() {
    for profile in SrtpProfile::ALL {
        let mut pairs: Vec<Pair> = (0..5).map(|_| Pair::new(profile)).collect();
        pairs[1].seal(7, b"spent");
        let good = header(SSRC, 7);
        let bad = header(SSRC, 8);
        let mut outs = [[0xaa; 60]; 5];
        let mut packets: Vec<Outgoing<'_>> = pairs
            .iter_mut()
            .zip(&mut outs)
            .enumerate()
            .map(|(n, (pair, out))| {
                let header = if n == 3 { &bad } else { &good };
                let out = if n == 2 { &mut out[..20] } else { &mut out[..] };
                Outgoing::apart(&mut pair.sealer, pair.stream, 7, header, b"media", out)
            })
            .collect();
        assert!(packets.iter().all(|packet| packet.sealed().is_none()));
        seal_rtp_each(&mut packets);
        let len = 17 + profile.rtp_overhead();
        let expected = [
            Ok(len),
            Err(SealError::IndexReused),
            Err(SealError::NoRoom),
            Err(SealError::HeaderMismatch),
            Ok(len),
        ]
        .map(Some);
        let results = |packets: &[Outgoing<'_>]| packets.iter().map(Outgoing::sealed).collect::<Vec<_>>();
        assert_eq!(results(&packets), expected);
        // What has its answer is not sealed again.
        seal_rtp_each(&mut packets);
        assert_eq!(results(&packets), expected);
        let alone = Pair::new(profile).seal(7, b"media");
        assert_eq!((&outs[0][..len], &outs[4][..len]), (&alone[..], &alone[..]));
        assert_eq!(
            (outs[1], outs[2], outs[3]),
            ([0xaa; 60], [0xaa; 60], [0xaa; 60]),
            "nothing was written"
        );
        assert_raised(pairs[1].sealer.counters(), &["srtp_index_reuse"]);
        // What was refused for another reason is not used up.
        pairs[2].seal(7, b"media");
        pairs[3].seal(7, b"media");
        // What was sealed is.
        let Pair { sealer, stream, .. } = &mut pairs[4];
        let again = sealer.seal_rtp_into(*stream, 7, &good, b"other", &mut outs[4]);
        assert_eq!(again, Err(SealError::IndexReused));
    }
}

proptest! {
    #[test]
    fn sealed_packets_open(
        profile in profiles(),
        csrcs in 0u8..16,
        extension in proptest::option::of(vec(any::<[u8; 4]>(), 0..8)),
        payload in vec(any::<u8>(), 0..1400),
        index in 0u64..1 << 48,
    ) {
        let mut pair = Pair::new(profile);
        let mut packet = header(SSRC, index).to_vec();
        packet[0] |= csrcs;
        packet.extend((0..4 * csrcs).map(|i| i ^ 0x5a));
        if let Some(words) = &extension {
            packet[0] |= 0x10;
            packet.extend([0xbe, 0xde, 0, words.len() as u8]);
            packet.extend(words.as_flattened());
        }
        let header_len = packet.len();
        let mut into = vec![0xaa; header_len + payload.len() + profile.rtp_overhead()];
        let mut in_place = into.clone();
        in_place[..header_len].copy_from_slice(&packet);
        in_place[header_len..header_len + payload.len()].copy_from_slice(&payload);

        let len = pair.sealer.seal_rtp_into(pair.stream, index, &packet, &payload, &mut into).unwrap();
        prop_assert_eq!(len, into.len());
        let mut other = Pair::new(profile);
        let len = other.sealer.seal_rtp(other.stream, index, header_len, &mut in_place, payload.len()).unwrap();
        prop_assert_eq!(len, in_place.len());
        prop_assert_eq!(&into, &in_place);
        prop_assert_eq!(&into[..header_len], &packet[..]);

        packet.extend(&payload);
        pair.opener.set_roc(SSRC, (index >> 16) as u32).unwrap();
        let opened = pair.opener.open_rtp(&mut into).unwrap();
        prop_assert_eq!((&*opened.packet, opened.header_len, opened.index), (&packet[..], header_len, index));
    }

    /// A batch gives what its packets give alone: the same bytes, the same refusals.
    #[test]
    fn a_batch_seals_as_its_packets_alone_do(receivers in receivers(), payload in vec(any::<u8>(), 0..1400)) {
        let headers: Vec<Vec<u8>> = receivers
            .iter()
            .map(|receiver| {
                let mut header = header(SSRC, receiver.index).to_vec();
                header[0] |= receiver.csrcs;
                header.resize(12 + 4 * usize::from(receiver.csrcs), 0x5a);
                header
            })
            .collect();
        let rooms = || -> Vec<Vec<u8>> {
            let room = |(receiver, header): (&Receiver, &Vec<u8>)| {
                let mut out = vec![0xaa; receiver.room];
                if receiver.in_place {
                    let plain = header.iter().chain(&payload);
                    out.iter_mut().zip(plain).for_each(|(out, plain)| *out = *plain);
                }
                out
            };
            receivers.iter().zip(&headers).map(room).collect()
        };
        let pairs = || -> Vec<Pair> { receivers.iter().map(|receiver| Pair::new(receiver.profile)).collect() };

        let (mut alone, mut outs_alone) = (pairs(), rooms());
        let mut expected = Vec::new();
        for (((receiver, header), pair), out) in receivers.iter().zip(&headers).zip(&mut alone).zip(&mut outs_alone) {
            let Pair { sealer, stream, .. } = pair;
            expected.push(Some(if receiver.in_place {
                sealer.seal_rtp(*stream, receiver.index, header.len(), out, payload.len())
            } else {
                sealer.seal_rtp_into(*stream, receiver.index, header, &payload, out)
            }));
        }

        let (mut together, mut outs) = (pairs(), rooms());
        let mut packets = Vec::new();
        for (((receiver, header), pair), out) in receivers.iter().zip(&headers).zip(&mut together).zip(&mut outs) {
            let Pair { sealer, stream, .. } = pair;
            packets.push(if receiver.in_place {
                Outgoing::in_place(sealer, *stream, receiver.index, header.len(), out, payload.len())
            } else {
                Outgoing::apart(sealer, *stream, receiver.index, header, &payload, out)
            });
        }
        seal_rtp_each(&mut packets);
        let results: Vec<_> = packets.iter().map(Outgoing::sealed).collect();
        prop_assert_eq!(results, expected);
        prop_assert_eq!(outs, outs_alone);
    }

    #[test]
    fn sealed_rtcp_opens(profile in profiles(), body in vec(any::<u8>(), 0..300), ssrc: u32, count in 1usize..5) {
        let mut pair = Pair::new(profile);
        let plain = [&receiver_report(ssrc)[..], &body].concat();
        for _ in 0..count {
            let mut out = plain.clone();
            out.resize(plain.len() + profile.rtcp_overhead(), 0);
            prop_assert_eq!(pair.sealer.seal_rtcp(&mut out, plain.len()), Ok(plain.len() + profile.rtcp_overhead()));
            prop_assert_eq!(&out[..8], &plain[..8]);
            prop_assert_eq!(&*pair.opener.open_rtcp(&mut out).unwrap(), &plain[..]);
        }
    }

    /// A stream that wraps its sequence numbers again and again, with loss, duplicates and reordering.
    #[test]
    fn indices_are_found_again(
        profile in profiles(),
        start in 0u64..32_768,
        steps in vec((1u64..20_000, vec(-900i64..900, 0..4)), 1..60),
    ) {
        let mut pair = Pair::new(profile);
        let mut highest = start;
        let mut seen = BTreeSet::new();
        let mut expected = Counters::default();
        for (ahead, around) in steps {
            let indices = around.into_iter().map(|way| highest.saturating_add_signed(way)).chain([highest + ahead]);
            for index in indices.collect::<Vec<_>>() {
                // The first packet decides the rollover counter: the sender begins below 2^15, and here nothing comes
                // before.
                if index < start {
                    continue;
                }
                let mut fresh = Pair::new(profile);
                let sealed = fresh.seal(index, b"media");
                if seen.insert(index) {
                    prop_assert_eq!(pair.open(sealed), Ok(index));
                } else {
                    expected.replayed_srtp += 1;
                    prop_assert_eq!(pair.open(sealed), Err(OpenError::Replayed));
                }
                highest = highest.max(index);
            }
        }
        prop_assert_eq!(pair.opener.highest_index(SSRC), seen.last().copied());
        prop_assert_eq!(*pair.opener.counters(), expected);
    }

    #[test]
    fn the_estimate_is_that_of_appendix_a(s_l: u16, roc in 1u32..u32::MAX, seq: u16) {
        let highest = u64::from(roc) << 16 | u64::from(s_l);
        let expected = estimate(s_l.into(), roc.into(), seq.into()) as u64;
        prop_assert_eq!(opener::estimate_from(highest, seq), expected);
    }

    #[test]
    fn any_bytes_are_refused_in_peace(profile in profiles(), mut data in vec(any::<u8>(), 0..200), first in 0x80u8..0xc0) {
        let mut opener = Opener::new(&master(profile));
        if let Some(byte) = data.first_mut() {
            *byte = first;
        }
        prop_assert!(opener.open_rtp(&mut data.clone()).is_err());
        prop_assert!(opener.open_rtcp(&mut data).is_err());
        prop_assert_eq!(opener.counters().iter().map(|(_, count)| count).sum::<u64>(), 2);
    }
}
