//! Every named counter of the SFU is raised by exactly its cause, and by nothing else.

mod house;

use std::collections::BTreeSet;
use std::time::Duration;

use house::{CAMERA, House, MICROPHONE};
use peer::{Direction, Extension, Kind};
use rtp::Ssrc;
use rtp::rtcp::Nack;
use sfu::{Config, Counters, Role};
use wire::{CounterSet, Ecn, Path};

const FRAME: Duration = Duration::from_millis(40);

/// Ann, whose camera bob sees.
fn call_with(edit: impl FnOnce(&mut Config)) -> House {
    let mut config = house::config();
    edit(&mut config);
    let mut house = House::with_config(60, config);
    house.member("r", "ann", 1);
    house.member("r", "bob", 1);
    house
}

fn call() -> House {
    call_with(|_| {})
}

const ANN: usize = 0;
const BOB: usize = 1;

/// Lets ann send this as her camera's packet with this number, counted from the first.
fn numbered(house: &mut House, number: u64, payload: &[u8]) {
    house.guests[ANN].client.media[CAMERA].sequence[0].0 = 1000 + number;
    house.send_video(ANN, 96, 0, payload);
}

/// A packet of a VP8 key frame, the first if so.
fn vp8(first: bool, len: usize) -> Vec<u8> {
    let mut payload = vec![7; len];
    payload[..4].copy_from_slice(&[if first { 0x90 } else { 0x80 }, 0x80, 3, 0]);
    payload
}

fn stranger(datagram: &[u8]) -> House {
    let mut house = call();
    let server = house.guests[ANN].client.server().unwrap();
    let path = Path::udp(server, "203.0.113.9:4444".parse().unwrap());
    house
        .sfu
        .handle_datagram(house.now, path, Ecn::NotEct, &mut datagram.to_vec());
    house
}

/// Bob misses these of his camera slot, counted back from the newest that he has.
fn nack(house: &mut House, back: impl Iterator<Item = u16>) {
    let (ssrc, newest, ..) = house.video(BOB).last().unwrap().clone();
    let lost: Vec<u16> = back.map(|back| (newest as u16).wrapping_sub(back)).collect();
    house.guests[BOB]
        .client
        .send_rtcp(|w| Nack::write(w, Ssrc(1), Ssrc(ssrc), lost));
    house.run(FRAME);
}

type Case = (&'static str, fn() -> House);

const CASES: &[Case] = &[
    ("unroutable_protocol", || stranger(&[0xff; 20])),
    ("malformed_stun", || stranger(&[0, 1, 0, 0])),
    ("unknown_ufrag", || {
        let mut request = [0; 20];
        request[1] = 1;
        request[4..8].copy_from_slice(&[0x21, 0x12, 0xa4, 0x42]);
        stranger(&request)
    }),
    ("unknown_path", || stranger(&[0x80; 40])),
    ("unknown_source", || {
        // Only the microphone is listened to.
        let mut house = call_with(|config| config.max_sources = 1);
        numbered(&mut house, 0, &vp8(true, 900));
        house
    }),
    ("late_packets", || {
        let mut house = call();
        numbered(&mut house, 2, &vp8(true, 900));
        (3..68).for_each(|padding| numbered(&mut house, padding, &[]));
        numbered(&mut house, 1, &vp8(true, 900));
        house
    }),
    ("oversized_packets", || {
        let mut house = call_with(|config| config.video_ring_bytes = 512);
        numbered(&mut house, 0, &vp8(true, 900));
        house
    }),
    ("late_padding", || {
        let mut house = call();
        numbered(&mut house, 1, &vp8(true, 900));
        numbered(&mut house, 0, &[]);
        house
    }),
    ("misplaced_packets", || {
        let mut house = call();
        (0..2).for_each(|_| house.send_sound(ANN, MICROPHONE, 960, 20));
        house
    }),
    ("strange_reports", || {
        let mut house = call();
        house.send_sound(ANN, MICROPHONE, 960, 20);
        house.send_report(ANN, MICROPHONE, Duration::from_secs(7), 960 + 48_000 * 10);
        house
    }),
    ("extensions_dropped", || {
        let mut house = call();
        let long = [
            (Extension::VideoOrientation, &[1; 200][..]),
            (Extension::PlayoutDelay, &[2; 200]),
        ];
        house.send(ANN, CAMERA, 96, 0, false, &long, &vp8(true, 600));
        house
    }),
    ("overwritten_packets", || {
        let mut house = call_with(|config| config.video_ring_bytes = 4096);
        (0..10).for_each(|packet| numbered(&mut house, packet, &vp8(true, 900)));
        house
    }),
    ("too_large_packets", || {
        let mut house = call();
        numbered(&mut house, 0, &vp8(true, 1190));
        house
    }),
    ("refused_packets", || {
        // An echo that does not want its sound back any more.
        let mut house = House::new(61);
        let ann = house.enter("", "ann", Role::Echo);
        house.guests[ann].client.add(Kind::Audio, Direction::SendRecv);
        house.connect(ann);
        house.send_sound(ann, MICROPHONE, 0, 20);
        house.run(FRAME);
        house.guests[ann].client.media[MICROPHONE].direction = Direction::SendOnly;
        house.negotiate(ann);
        house.send_sound(ann, MICROPHONE, 960, 20);
        house
    }),
    ("undecodable_packets", || {
        let mut house = call();
        house.guests[BOB].edit = |offer| offer.replace("VP8/", "VP7/");
        house.negotiate(BOB);
        numbered(&mut house, 0, &vp8(true, 900));
        house
    }),
    ("nack_unanswered", || {
        let mut house = call();
        numbered(&mut house, 0, &vp8(true, 900));
        house.run(FRAME);
        nack(&mut house, 500..501);
        house
    }),
    ("nack_without_rtx", || {
        let mut house = call();
        house.guests[BOB].edit = |offer| offer.replace("rtx/", "xrt/");
        house.negotiate(BOB);
        numbered(&mut house, 0, &vp8(true, 900));
        house.run(FRAME);
        nack(&mut house, 0..1);
        house
    }),
    ("nack_overflow", || {
        let mut house = call();
        (0..300).for_each(|packet| numbered(&mut house, packet, &vp8(packet == 0, 900)));
        house.run(FRAME);
        nack(&mut house, 0..257);
        house
    }),
    ("events_dropped", || {
        let mut config = house::config();
        config.max_events = 1;
        let mut house = House::with_config(62, config);
        (0..3).for_each(|_| {
            house.enter("r", "ann", Role::Member);
        });
        house
    }),
];

/// Those of data channels, which these clients have not: `tests/lines.rs` raises them.
const LINES: [&str; 4] = [
    "malformed_messages",
    "messages_dropped",
    "messages_refused",
    "slow_channels_closed",
];

#[test]
fn each_counter_has_its_cause() {
    let known: BTreeSet<&str> = Counters::default().iter().map(|(name, _)| name).collect();
    for (name, cause) in CASES {
        let mut house = cause();
        house.run(FRAME);
        let counters = house.counters();
        let raised: Vec<&str> = counters.keys().copied().filter(|name| known.contains(name)).collect();
        assert_eq!(raised, [*name]);
    }
    let tested: BTreeSet<&str> = CASES.iter().map(|(name, _)| *name).chain(LINES).collect();
    assert_eq!(known, tested);
    // The set is that of the getter.
    let mut all = BTreeSet::new();
    call()
        .sfu
        .each_counter(&mut |name, _| assert!(all.insert(name), "{name} is there twice"));
    Counters::default().each(&mut |name, _| assert!(all.contains(name)));
}
