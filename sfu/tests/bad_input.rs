//! Whatever comes in: each fault raises exactly its named counter, and nobody else in the room notices.

mod house;

use std::collections::BTreeMap;
use std::time::Duration;

use dtls_srtp::fake;
use house::{CAMERA, House};
use peer::{Direction, Kind};
use proptest::prelude::*;
use rtp::Ssrc;
use sfu::{Event, Gone, Role};
use wire::{Ecn, Path};

/// Two people in a call; what happens to it is held against [`goes_on`].
fn call(run: u64) -> (House, usize, usize) {
    let mut house = House::new(run);
    let ann = house.member("r", "ann", 4);
    let bob = house.member("r", "bob", 4);
    house.run(Duration::from_millis(50));
    for guest in [ann, bob] {
        house.guests[guest].events.clear();
    }
    (house, ann, bob)
}

/// Whether the two still see each other, told of nothing.
fn goes_on(house: &mut House, ann: usize, bob: usize, picture: u16) {
    for (from, to) in [(ann, bob), (bob, ann)] {
        let before = house.video(to).len();
        house.send_frame(from, CAMERA, u32::from(picture) * 3600, picture, true, 3);
        house.run(Duration::from_millis(50));
        assert_eq!(house.video(to).len(), before + 3);
        assert_eq!(house.guests[to].events, []);
    }
}

fn raised(house: &House) -> BTreeMap<&'static str, u64> {
    house.counters()
}

fn stranger(house: &House) -> Path {
    let local = house.guests[0].client.server().unwrap();
    Path::udp(local, "203.0.113.9:4444".parse().unwrap())
}

fn inject(house: &mut House, path: Path, datagram: &[u8]) {
    house
        .sfu
        .handle_datagram(house.now, path, Ecn::NotEct, &mut datagram.to_vec());
    house.exchange();
}

#[test]
fn from_a_stranger() {
    let cases: [(&'static str, &[u8]); 7] = [
        ("unroutable_protocol", b""),
        ("unroutable_protocol", b"GET / HTTP/1.1\r\n\r\n"),
        ("unroutable_protocol", &[0xff; 1500]),
        ("malformed_stun", &[0, 1, 0, 0]),
        ("unknown_path", &[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("unknown_path", &[0x80, 111, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1]),
        ("unknown_path", &[0x80, 200, 0, 6, 0, 0, 0, 0, 0, 0, 0, 1]),
    ];
    for (counter, datagram) in cases {
        let (mut house, ann, bob) = call(1);
        let path = stranger(&house);
        inject(&mut house, path, datagram);
        assert_eq!(raised(&house), [(counter, 1)].into(), "{datagram:02x?}");
        goes_on(&mut house, ann, bob, 1);
        assert_eq!(raised(&house), [(counter, 1)].into());
    }
}

#[test]
fn a_wrong_ufrag() {
    let (mut house, ann, bob) = call(2);
    let path = stranger(&house);
    let mut out = [0; 200];
    let mut check = stun::Builder::new(
        &mut out,
        stun::Class::Request,
        stun::Method::BINDING,
        stun::TransactionId([7; 12]),
    )
    .unwrap();
    check.push(&stun::Value::Username("nobody:else")).unwrap();
    let len = check.finish().len();
    inject(&mut house, path, &out[..len]);
    assert_eq!(raised(&house), [("unknown_ufrag", 1)].into());
    goes_on(&mut house, ann, bob, 1);
}

#[test]
fn a_replayed_srtp_packet() {
    let (mut house, ann, bob) = call(3);
    house.guests[ann].client.send_media(CAMERA, 0, &[0x10, 0, 1, 2, 3]);
    let now = house.now;
    let datagram = house.guests[ann].client.poll_transmit(now).unwrap();
    let path = Path::udp(
        house.guests[ann].client.server().unwrap(),
        house.guests[ann].client.address,
    );
    inject(&mut house, path, &datagram);
    assert_eq!(raised(&house), [].into());
    inject(&mut house, path, &datagram);
    assert_eq!(raised(&house), [("replayed_srtp", 1)].into());
    goes_on(&mut house, ann, bob, 1);
}

#[test]
fn a_replayed_srtcp_packet() {
    let (mut house, ann, bob) = call(4);
    let datagram = house.guests[ann]
        .client
        .seal_rtcp(|w| rtp::rtcp::ReceiverReport::write(w, Ssrc(1), [], &[]));
    let path = Path::udp(
        house.guests[ann].client.server().unwrap(),
        house.guests[ann].client.address,
    );
    inject(&mut house, path, &datagram);
    assert_eq!(raised(&house), [].into());
    inject(&mut house, path, &datagram);
    assert_eq!(raised(&house), [("replayed_srtcp", 1)].into());
    goes_on(&mut house, ann, bob, 1);
}

#[test]
fn a_wrong_fingerprint() {
    let (mut house, ann, bob) = call(5);
    let eve = house.enter("r", "eve", Role::Member);
    house.guests[eve].client.add(Kind::Audio, Direction::SendOnly);
    house.guests[eve].client.forge_fingerprint(&fake::certificate(99));
    house.negotiate(eve);
    house.run(Duration::from_secs(2));
    let Some(Event::Gone(Gone::Failed(why))) = house.guests[eve].events.last() else {
        panic!("{:?}", house.guests[eve].events)
    };
    assert!(why.contains("fingerprint"), "{why}");
    // The others were told that somebody came and went, and nothing else happened to them.
    for guest in [ann, bob] {
        let left = |event: &Event| {
            matches!(
                event,
                Event::ParticipantLeft {
                    why: Gone::Failed(_),
                    ..
                }
            )
        };
        assert!(house.guests[guest].events.iter().any(left));
        house.guests[guest].events.clear();
    }
    goes_on(&mut house, ann, bob, 1);
}

#[test]
fn a_malformed_offer_is_refused_with_line_and_rule() {
    let (mut house, ann, bob) = call(6);
    let id = house.guests[ann].id;
    let good = house.guests[ann].client.offer();
    for (broken, line) in [
        (good.replacen("v=0", "v=1", 1), 1),
        (
            good.replacen("t=0 0", "t=zero", 1),
            good.lines().position(|line| line == "t=0 0").unwrap() + 1,
        ),
    ] {
        let error = house.sfu.offer(house.now, id, &broken).unwrap_err().to_string();
        assert!(error.contains(&format!("line {line}")), "{error}");
    }
    assert!(house.sfu.offer(house.now, id, "").is_err());
    goes_on(&mut house, ann, bob, 1);
    assert_eq!(raised(&house), [].into());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Any bytes, from a stranger and by a path that is in use: nobody notices.
    #[test]
    fn any_bytes(datagrams in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..20), first in prop_oneof![0u8..4, 20u8..64, 128u8..192, any::<u8>()]) {
        let (mut house, ann, bob) = call(7);
        for mut datagram in datagrams {
            if let Some(byte) = datagram.first_mut() {
                *byte = first;
            }
            let server = house.guests[ann].client.server().unwrap();
            for path in [stranger(&house), Path::udp(server, house.guests[ann].client.address)] {
                let before: u64 = raised(&house).values().sum();
                inject(&mut house, path, &datagram);
                prop_assert!(raised(&house).values().sum::<u64>() > before, "{:02x?} was not counted", datagram);
            }
        }
        goes_on(&mut house, ann, bob, 1);
    }
}
