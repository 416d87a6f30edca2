//! Faults that other stacks had, and no test elsewhere was about (`docs/sfu.md`, "Faults that others had").

mod house;

use std::collections::BTreeMap;
use std::time::Duration;

use house::{CAMERA, House};
use peer::Extension;
use peer::testing::ReceivedRtp;
use proptest::prelude::*;
use rtp::rtcp::Nack;
use rtp::{PayloadType, Ssrc};
use sfu::{Event, Gone};

const FRAME: Duration = Duration::from_millis(40);
/// Packets of a frame.
const PACKETS: u32 = 3;
const NO_COUNTERS: [(&str, u64); 0] = [];

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Which of two orientations (3GPP TS 26.114) the last packet of a frame has; the others have none.
fn orientation(frame: u32) -> [u8; 1] {
    [1 + (frame % 2) as u8]
}

/// Sends a frame of VP8 from a guest's camera: its descriptor has a picture id of 15 bits and TL0PICIDX.
fn film(house: &mut House, guest: usize, frame: u32, key: bool) {
    for packet in 0..PACKETS {
        let mut payload = vec![7; 900];
        let start = if packet == 0 { 0x10 } else { 0 };
        let [high, low] = (frame as u16 & 0x7fff).to_be_bytes();
        payload[..6].copy_from_slice(&[0x80 | start, 0xc0, 0x80 | high, low, low, u8::from(!key)]);
        payload[100..104].copy_from_slice(&(frame * PACKETS + packet).to_be_bytes());
        let marker = packet + 1 == PACKETS;
        let turned = orientation(frame);
        let extensions = [(Extension::VideoOrientation, &turned[..])];
        let extensions = if marker { &extensions[..] } else { &[] };
        house.send(guest, CAMERA, 96, frame * 3600, marker, extensions, &payload);
    }
    house.exchange();
    house.run(FRAME);
}

/// A packet as it came, or came again.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    ssrc: Ssrc,
    sequence: u16,
    timestamp: u32,
    marker: bool,
    orientation: Option<u8>,
    picture: u16,
    tl0: u8,
    /// Behind the descriptor.
    rest: Vec<u8>,
}

impl Seen {
    /// Reads a packet, whether it came for the first time or as a retransmission (RFC 4588 §4).
    fn new(received: &ReceivedRtp, orientation: u8) -> Self {
        let packet = received.packet();
        let again = packet.payload_type() == PayloadType(97);
        let (number, payload) = packet.payload().split_at(if again { 2 } else { 0 });
        let number = number.try_into().map(u16::from_be_bytes);
        Self {
            ssrc: packet.ssrc(),
            sequence: number.unwrap_or(received.sequence as u16),
            timestamp: packet.timestamp(),
            marker: packet.marker(),
            orientation: packet.extension(orientation).map(|value| value[0]),
            picture: u16::from_be_bytes([payload[2] & 0x7f, payload[3]]),
            tl0: payload[4],
            rest: payload[5..].to_vec(),
        }
    }

    /// Which packet of the publisher's it is.
    fn number(&self) -> u32 {
        u32::from_be_bytes(self.rest[95..99].try_into().unwrap())
    }
}

/// What a viewer got of a picture, by the number of the publisher's packet: media (false) or retransmissions (true).
fn seen(house: &House, viewer: usize, again: bool) -> BTreeMap<u32, Seen> {
    let client = &house.guests[viewer].client;
    let id = client.extension_id(Extension::VideoOrientation);
    let wanted = PayloadType(if again { 97 } else { 96 });
    let received = client.rtp.iter();
    let received = received.filter(|received| received.packet().payload_type() == wanted);
    let seen = received.map(|received| Seen::new(received, id));
    seen.map(|seen| (seen.number(), seen)).collect()
}

#[test]
fn everybody_gets_his_own_numbers_and_what_the_publisher_sent() {
    let mut house = House::new(1);
    let ann = house.member("r", "ann", 0);
    // By turns they have other identifiers for the same extensions.
    let viewers = ["bob", "cid", "dan"].map(|name| house.member("r", name, 1));
    for frame in 100..120 {
        film(&mut house, ann, frame, frame == 100);
    }
    let packets = 100 * PACKETS..120 * PACKETS;
    let media = viewers.map(|viewer| seen(&house, viewer, false));
    for media in &media {
        assert!(media.keys().copied().eq(packets.clone()));
        for (number, seen) in media {
            let (frame, last) = (number / PACKETS, number % PACKETS == PACKETS - 1);
            assert_eq!(seen.marker, last, "{number}");
            assert_eq!(seen.orientation, last.then_some(orientation(frame)[0]), "{number}");
            assert_eq!(seen.rest[0], u8::from(frame > 100), "{number}");
            assert!(seen.rest[1..95].iter().chain(&seen.rest[99..]).all(|byte| *byte == 7));
        }
    }
    // Each slot's numbers are as far from another's with the last packet as with the first, and no two begin alike.
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        let apart = |number: u32| {
            let (one, other) = (&media[one][&number], &media[other][&number]);
            (
                one.ssrc.0.wrapping_sub(other.ssrc.0),
                one.sequence.wrapping_sub(other.sequence),
                one.timestamp.wrapping_sub(other.timestamp),
                one.picture.wrapping_sub(other.picture) & 0x7fff,
                one.tl0.wrapping_sub(other.tl0),
            )
        };
        let first = apart(packets.start);
        assert!(first.0 != 0 && first.1 != 0 && first.2 != 0 && first.3 != 0 && first.4 != 0);
        assert!(packets.clone().all(|number| apart(number) == first));
    }
    // All ask for the same packets again, in one round and in another order than they came.
    let asked: Vec<u32> = packets.rev().step_by(4).collect();
    for (&viewer, media) in viewers.iter().zip(&media) {
        let numbers: Vec<u16> = asked.iter().map(|number| media[number].sequence).collect();
        let ssrc = media[&asked[0]].ssrc;
        let client = &mut house.guests[viewer].client;
        client.send_rtcp(|w| Nack::write(w, Ssrc(1), ssrc, numbers.iter().copied()));
    }
    house.run(ms(200));
    for (&viewer, media) in viewers.iter().zip(&media) {
        let again = seen(&house, viewer, true);
        assert_eq!(again.len(), asked.len());
        for (number, again) in again {
            let original = Seen {
                ssrc: again.ssrc,
                ..media[&number].clone()
            };
            assert_ne!(again.ssrc, media[&number].ssrc);
            assert_eq!(again, original, "a retransmission is the packet itself");
        }
    }
    assert_eq!(house.counters(), NO_COUNTERS.into());
}

/// RFC 7675 §5.1 wants media to end 30 s after the last sign of consent.
#[test]
fn media_ends_when_consent_does() {
    let mut house = House::new(2);
    let ann = house.member("r", "ann", 0);
    let bob = house.member("r", "bob", 1);
    let cid = house.member("r", "cid", 1);
    // Bob still hears us, and says nothing any more.
    house.guests[bob].client.silent = true;
    let mut last = None;
    let silent_since = house.now;
    for frame in 0..1000 {
        let before = house.guests[bob].client.rtp.len();
        film(&mut house, ann, frame, frame == 0);
        if house.guests[bob].client.rtp.len() > before {
            last = Some(house.now - silent_since);
        }
    }
    let last = last.expect("pictures came at first");
    assert!(
        last > Duration::from_secs(5) && last < Duration::from_secs(16),
        "{last:?}"
    );
    let gone = Event::ParticipantLeft {
        id: house.guests[bob].id,
        why: Gone::Silent,
    };
    assert!(house.guests[cid].events.contains(&gone));
    assert_eq!(seen(&house, cid, false).len(), 3000, "the others see on");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    /// A key frame of five packets in any order, the one before and the one after it in order: it is forwarded whole,
    /// from its first packet on, and not asked for again.
    #[test]
    fn a_key_frame_in_any_order_is_whole(order in Just((0..5_u64).collect::<Vec<_>>()).prop_shuffle(), run in 0u64..1000) {
        let mut house = House::new(run);
        let ann = house.member("r", "ann", 0);
        let bob = house.member("r", "bob", 1);
        let send = |house: &mut House, picture: u8, key: bool, order: &[u64]| {
            let first = house.guests[ann].client.media[CAMERA].sequence[0].0;
            for &packet in order {
                let mut payload = vec![packet as u8; 900];
                let start = if packet == 0 { 0x10 } else { 0 };
                payload[..4].copy_from_slice(&[0x80 | start, 0x80, picture, u8::from(!key)]);
                house.guests[ann].client.media[CAMERA].sequence[0].0 = first + packet;
                house.send(ann, CAMERA, 96, u32::from(picture) * 3600, packet == 4, &[], &payload);
                house.exchange();
                house.run(ms(3));
            }
            house.guests[ann].client.media[CAMERA].sequence[0].0 = first + 5;
        };
        let in_order = [0, 1, 2, 3, 4];
        send(&mut house, 1, false, &in_order);
        house.run(FRAME);
        let pictures_asked = |house: &House| {
            let is_pli = |packet: &&rtp::rtcp::Packet<'_>| matches!(packet, rtp::rtcp::Packet::Pli(_));
            house.rtcp(ann).iter().filter(is_pli).count()
        };
        // The request for the first key frame may be repeated until it is there.
        send(&mut house, 2, true, &order);
        let asked = pictures_asked(&house);
        send(&mut house, 3, false, &in_order);
        house.run(Duration::from_secs(2));
        prop_assert_eq!(pictures_asked(&house), asked);
        let mut video = house.video(bob);
        video.sort_by_key(|received| received.1);
        let first = video[0].1;
        let got: Vec<(u64, u8)> = video.iter().map(|(_, seq, _, payload)| (seq - first, payload[800])).collect();
        let expected: Vec<(u64, u8)> = (0..10_u64).map(|n| (n, (n % 5) as u8)).collect();
        prop_assert_eq!(got, expected);
    }
}
