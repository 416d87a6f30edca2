//! Losses on a publisher's way to us: they are repaired, and every subscriber gets every packet.

mod house;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use house::{CAMERA, House, MICROPHONE};
use peer::Extension;
use peer::testing::Resend;
use rtp::rtcp::{Nack, Packet};
use rtp::{PayloadType, RtpOut, Ssrc};
use sfu::{Config, Gone};
use wire::Serial;

const FRAME: Duration = Duration::from_millis(40);
const NO_COUNTERS: [(&str, u64); 0] = [];

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Loses some percent, as if by chance.
fn chance(n: u64, percent: u64) -> bool {
    (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % 100 < percent
}

fn without_rtx() -> Config {
    let config = house::config();
    let peer = peer::Config {
        rtx: false,
        ..(*config.peer).clone()
    };
    Config {
        peer: Arc::new(peer),
        ..config
    }
}

/// A publisher who answers NACKs so, and two who look at it.
fn call(run: u64, config: Config, resend: Resend) -> House {
    let mut house = House::with_config(run, config);
    for name in ["ann", "bob", "cid"] {
        house.member("r", name, 2);
    }
    house.guests[ANN].client.resend = resend;
    house
}

const ANN: usize = 0;
const BOB: usize = 1;
const CID: usize = 2;
/// Packets of a frame.
const PACKETS: u32 = 3;

/// The payload of a packet of VP8: its descriptor has a picture id of 15 bits.
fn vp8(frame: u32, packet: u32, key: bool) -> Vec<u8> {
    let mut payload = vec![7; 900];
    let start = if packet == 0 { 0x10 } else { 0 };
    let [high, low] = (frame as u16 & 0x7fff).to_be_bytes();
    payload[..5].copy_from_slice(&[0x80 | start, 0x80, 0x80 | high, low, u8::from(!key)]);
    payload[100..104].copy_from_slice(&(frame * PACKETS + packet).to_be_bytes());
    payload
}

/// The orientation (3GPP TS 26.114) with which a frame is sent: only its last packet has one.
fn orientation(frame: u32) -> [u8; 1] {
    [frame as u8 & 3]
}

/// Sends frames of three packets from ann's camera, the first a key frame if `key`.
fn film(house: &mut House, frames: Range<u32>, key: bool, pause: Duration) {
    film_fast(house, frames, key, pause, 3600);
}

/// The same with frames of so many ticks.
fn film_fast(house: &mut House, frames: Range<u32>, key: bool, pause: Duration, ticks: u32) {
    let first = frames.start;
    for frame in frames {
        for packet in 0..PACKETS {
            let marker = packet + 1 == PACKETS;
            let turned = orientation(frame);
            let extensions = [(Extension::VideoOrientation, &turned[..])];
            let extensions = if marker { &extensions[..] } else { &[] };
            let payload = vp8(frame, packet, key && frame == first);
            house.send(ANN, CAMERA, 96, frame * ticks, marker, extensions, &payload);
        }
        house.exchange();
        house.run(pause);
    }
}

/// The viewer got all of these frames: in its own numbering without gaps, each packet with its own marker, extensions
/// and payload, each frame under one timestamp.
fn expect_all(house: &House, viewer: usize, frames: Range<u32>) {
    let client = &house.guests[viewer].client;
    let orientation_id = client.extension_id(Extension::VideoOrientation);
    let mut packets = BTreeMap::new();
    for received in &client.rtp {
        let packet = received.packet();
        if packet.payload_type() == PayloadType(96) {
            let n = u32::from_be_bytes(packet.payload()[100..104].try_into().unwrap());
            assert!(packets.insert(received.sequence, (n, packet)).is_none());
        }
    }
    let expected = frames.start * PACKETS..frames.end * PACKETS;
    let got: Vec<u32> = packets.values().map(|(n, _)| *n).collect();
    assert!(got.iter().copied().eq(expected), "{got:?}");
    let first = *packets.first_key_value().unwrap().0;
    assert_eq!(*packets.last_key_value().unwrap().0 - first + 1, packets.len() as u64);
    let mut before: Option<(u32, u16, u32)> = None;
    for (n, packet) in packets.values() {
        let frame = n / PACKETS;
        let last = n % PACKETS == PACKETS - 1;
        assert_eq!(packet.marker(), last);
        let turned = orientation(frame);
        assert_eq!(packet.extension(orientation_id), last.then_some(&turned[..]));
        let picture = u16::from_be_bytes([packet.payload()[2] & 0x7f, packet.payload()[3]]);
        if let Some((frame_before, picture_before, timestamp)) = before {
            let step = timestamp.distance_to(packet.timestamp());
            let frames = i64::from(frame - frame_before);
            assert!(
                if frames == 0 { step == 0 } else { step > 0 },
                "frame {frame} steps by {step}"
            );
            assert_eq!(i64::from(picture.wrapping_sub(picture_before) & 0x7fff), frames);
        }
        before = Some((frame, picture, packet.timestamp()));
    }
}

fn nacks(house: &House, guest: usize) -> usize {
    let is_nack = |packet: &&Packet<'_>| matches!(packet, Packet::Nack(_));
    house.rtcp(guest).iter().filter(is_nack).count()
}

fn key_frames_asked(house: &House, guest: usize) -> usize {
    let is_pli = |packet: &&Packet<'_>| matches!(packet, Packet::Pli(_));
    house.rtcp(guest).iter().filter(is_pli).count()
}

#[test]
fn every_subscriber_gets_every_packet_whatever_the_publishers_link_loses() {
    let light: fn(u64) -> bool = |n| chance(n, 5);
    let heavy: fn(u64) -> bool = |n| chance(n, 20);
    let cases = [
        (1, house::config(), Resend::Rtx, light),
        (2, house::config(), Resend::Rtx, heavy),
        (3, without_rtx(), Resend::Same, light),
        (4, without_rtx(), Resend::Same, heavy),
    ];
    for (run, config, resend, lose) in cases {
        let mut house = call(run, config, resend);
        house.delay = ms(20);
        let asked = key_frames_asked(&house, ANN);
        film(&mut house, 1000..1001, true, FRAME);
        house.lose = lose;
        film(&mut house, 1001..1300, false, FRAME);
        house.lose = |_| false;
        film(&mut house, 1300..1302, false, FRAME);
        house.run(ms(1000));
        for viewer in [BOB, CID] {
            expect_all(&house, viewer, 1000..1302);
        }
        assert!(nacks(&house, ANN) > 20);
        assert_eq!(key_frames_asked(&house, ANN), asked, "nothing was given up");
        assert_eq!(house.counters().into_iter().collect::<Vec<_>>(), NO_COUNTERS);
        // What was done about it is known when she has gone, too.
        let total = house.sfu.repair_total();
        assert!(total.nacks_sent > 20 && total.packets_repaired > 5, "{total:?}");
        assert_eq!(total.packets_given_up, 0);
        house.sfu.leave(house.now, house.guests[ANN].id, Gone::Left);
        house.exchange();
        assert_eq!(house.sfu.repair_total(), total);
    }
}

#[test]
fn a_clean_call_has_no_nack() {
    let mut house = call(5, house::config(), Resend::Rtx);
    film(&mut house, 0..1, true, FRAME);
    for n in 0..250_u32 {
        house.send_sound(ANN, MICROPHONE, n * 1920, 20);
        film(&mut house, n + 1..n + 2, false, FRAME);
    }
    expect_all(&house, BOB, 0..251);
    for guest in [ANN, BOB, CID] {
        assert_eq!(nacks(&house, guest), 0);
    }
    assert_eq!(house.counters().into_iter().collect::<Vec<_>>(), NO_COUNTERS);
}

#[test]
fn a_key_frame_begins_with_its_first_packet_however_late_that_comes() {
    let mut house = call(6, house::config(), Resend::Rtx);
    house.delay = ms(150);
    house.run(ms(1000));
    let asked = key_frames_asked(&house, ANN);
    assert_eq!(house.sent, 0);
    // The first packet of the key frame is the fourth of all. It comes again after some two hundred others.
    house.lose = |n| n == 4;
    film_fast(&mut house, 10..11, false, ms(0), 450);
    film_fast(&mut house, 11..12, true, ms(5), 450);
    film_fast(&mut house, 12..200, false, ms(5), 450);
    house.run(ms(500));
    for viewer in [BOB, CID] {
        expect_all(&house, viewer, 11..200);
    }
    // The one before which it came was asked for when the picture without a beginning was seen.
    house.run(ms(1500));
    assert!(key_frames_asked(&house, ANN) <= asked + 1);
    assert_eq!(house.counters().into_iter().collect::<Vec<_>>(), NO_COUNTERS);
}

#[test]
fn for_what_is_given_up_a_key_frame_is_asked_for() {
    for (run, lost, numbers) in [(7, 3, 10), (8, 300, 0)] {
        let mut house = call(run, house::config(), Resend::Nothing);
        film(&mut house, 0..2, true, FRAME);
        let asked = key_frames_asked(&house, ANN);
        house.guests[ANN].client.media[CAMERA].sequence[0].0 += lost;
        film(&mut house, 2..52, false, FRAME);
        // Ten times each, or an outage that is not asked for at all; a key frame either way, and again until it comes.
        assert_eq!(house.guests[ANN].client.asked.len() as u64, lost * numbers);
        let again = key_frames_asked(&house, ANN) - asked;
        assert!((1..=4).contains(&again), "{again}");
        film(&mut house, 52..53, true, FRAME);
        let answered = key_frames_asked(&house, ANN);
        film(&mut house, 53..80, false, FRAME);
        assert_eq!(key_frames_asked(&house, ANN), answered);
        assert_eq!(house.counters().into_iter().collect::<Vec<_>>(), NO_COUNTERS);
    }
}

#[test]
fn nobody_needs_a_key_frame_of_what_nobody_looks_at() {
    let mut house = House::new(9);
    let ann = house.member("r", "ann", 1);
    film(&mut house, 0..2, true, FRAME);
    house.guests[ann].client.media[CAMERA].sequence[0].0 += 3;
    film(&mut house, 2..52, false, FRAME);
    assert_eq!(key_frames_asked(&house, ann), 0);
    assert_eq!(house.counters().into_iter().collect::<Vec<_>>(), NO_COUNTERS);
}

#[test]
fn what_a_subscriber_misses_and_we_lack_is_answered_when_it_comes() {
    for (run, config, resend) in [(10, house::config(), Resend::Rtx), (11, without_rtx(), Resend::Same)] {
        let mut house = call(run, config, resend);
        film(&mut house, 0..2, true, FRAME);
        // The middle one, and the first answer too.
        house.lose = |n| matches!(n, 8 | 10);
        house.delay = ms(30);
        film(&mut house, 2..3, false, ms(65));
        let newest = house.video(BOB).last().unwrap().clone();
        // Bob asks for it at once, and again; ann is asked by us, each time after a round trip.
        for _ in 0..3 {
            house.guests[BOB]
                .client
                .send_rtcp(|w| Nack::write(w, Ssrc(1), Ssrc(newest.0), [newest.1 as u16 - 1]));
            house.run(ms(10));
        }
        house.run(ms(500));
        let asked: Vec<(usize, u16)> = house.guests[ANN]
            .client
            .asked
            .iter()
            .map(|asked| (asked.0, asked.2))
            .collect();
        assert_eq!(asked.len(), 2, "{asked:?}");
        for viewer in [BOB, CID] {
            expect_all(&house, viewer, 0..3);
        }
        let again = |packet: &&peer::testing::ReceivedRtp| packet.packet().payload_type() == PayloadType(97);
        assert_eq!(
            house.guests[BOB].client.rtp.iter().filter(again).count(),
            0,
            "it came by itself"
        );
        assert_eq!(house.counters().into_iter().collect::<Vec<_>>(), NO_COUNTERS);
    }
}

#[test]
fn probes_with_old_packets_reach_nobody() {
    let mut house = call(12, house::config(), Resend::Rtx);
    film(&mut house, 0..3, true, FRAME);
    let ssrc = house.guests[ANN].client.media[CAMERA].ssrcs[0].0;
    let mid = house.guests[ANN].client.media[CAMERA].mid.clone();
    let mid_id = house.guests[ANN].client.extension_id(Extension::Mid);
    for sequence_number in [1000, 1003, 1008, 1009, 990] {
        let header = RtpOut {
            payload_type: PayloadType(96),
            sequence_number,
            ssrc,
            extensions: &[(mid_id, mid.as_bytes())],
            ..RtpOut::default()
        };
        let mut plain = vec![0; 1200];
        let len = header.write(true, &mut plain).unwrap();
        plain.truncate(len + 900);
        let probe = house.guests[ANN].client.retransmit(ssrc, &plain);
        house.guests[ANN].client.send(probe);
    }
    house.run(FRAME);
    film(&mut house, 3..5, false, FRAME);
    for viewer in [BOB, CID] {
        expect_all(&house, viewer, 0..5);
    }
    assert_eq!(house.counters().into_iter().collect::<Vec<_>>(), NO_COUNTERS);
}

#[test]
fn a_repaired_packet_has_its_place_however_often_things_have_moved_since() {
    let mut house = call(13, house::config(), Resend::Rtx);
    house.send_sound(ANN, MICROPHONE, 0, 20);
    film(&mut house, 0..3, true, FRAME);
    let ntp = Duration::from_secs(7);
    house.send_report(ANN, MICROPHONE, ntp, 0);
    house.delay = ms(400);
    house.run(ms(900));
    // The first packets of these frames are lost, and come 800 ms later.
    house.lose = |n| n > 10 && (n - 10) % 3 == 1;
    film(&mut house, 3..5, false, FRAME);
    house.lose = |_| false;
    // The camera is told to be 600 ms earlier: each of the next pictures is moved by half of its distance. And there is
    // padding, which has numbers among those of the media.
    house.send_report(ANN, CAMERA, ntp, 90 * 1400);
    for frame in 5..45 {
        film(&mut house, frame..frame + 1, false, ms(0));
        house.guests[ANN].client.send_media(CAMERA, frame * 3600, &[]);
        house.exchange();
        house.run(FRAME);
    }
    house.run(ms(2000));
    for viewer in [BOB, CID] {
        expect_all(&house, viewer, 0..45);
    }
    assert_eq!(house.counters().into_iter().collect::<Vec<_>>(), NO_COUNTERS);
}
