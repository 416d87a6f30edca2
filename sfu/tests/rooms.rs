//! Rooms in virtual time: who sees whom, with which numbers, and how people come and go.

mod house;

use std::time::Duration;

use house::{CAMERA, House, MICROPHONE};
use peer::{Direction, Extension, Kind};
use proptest::prelude::*;
use rtp::Ssrc;
use sfu::{Connection, Event, Gone, JoinError, Role};

const FRAME: Duration = Duration::from_millis(40);
/// The payload type that clients offer for H.264, beside 96 for VP8.
const H264: u8 = 102;

/// Sends `frames` frames of two packets from a guest's camera; the first is a key frame if `key`.
fn film(house: &mut House, guest: usize, first: u16, frames: u16, key: bool) {
    for frame in 0..frames {
        let number = first + frame;
        house.send_frame(guest, CAMERA, u32::from(number) * 3600, number, key && frame == 0, 2);
        house.run(FRAME);
    }
}

fn key_frames_asked(house: &House, guest: usize) -> usize {
    let rtcp = &house.guests[guest].client.rtcp;
    let plis = |compound: &Vec<u8>| {
        rtp::rtcp::Compound::parse(compound)
            .unwrap()
            .packets()
            .filter(|packet| matches!(packet, Ok(rtp::rtcp::Packet::Pli(_))))
            .count()
    };
    rtcp.iter().map(plis).sum()
}

#[test]
fn two_people_see_and_hear_each_other() {
    let mut house = House::new(1);
    let ann = house.member("r", "ann", 4);
    let bob = house.member("r", "bob", 4);
    assert_eq!(
        house.slots(ann)[..2],
        [(false, Some("bob".into())), (true, Some("bob".into()))]
    );
    assert_eq!(
        house.slots(bob)[..2],
        [(false, Some("ann".into())), (true, Some("ann".into()))]
    );
    assert!(key_frames_asked(&house, ann) > 0, "a new subscriber needs a key frame");
    film(&mut house, ann, 100, 10, true);
    film(&mut house, bob, 7, 10, true);
    for n in 0..10 {
        house.guests[ann].client.send_media(MICROPHONE, 960 * n, &[0x78; 80]);
        house.run(Duration::from_millis(20));
    }
    for guest in [ann, bob] {
        let video = house.video(guest);
        assert_eq!(video.len(), 20);
        assert!(
            video.windows(2).all(|w| w[1].1 == w[0].1 + 1),
            "numbering is continuous"
        );
        assert!(video[0].1 < 1 << 15, "and begins below 2^15");
    }
    assert_eq!(house.guests[bob].client.rtp.len(), 30, "sound came too");
    assert_eq!(house.counters(), [].into(), "a clean call drops nothing");
    assert!(house.runs.contains(&2), "packets of one frame leave as one run");
}

#[test]
fn video_begins_with_a_key_frame_and_the_request_is_repeated_until_one_came() {
    let mut house = House::new(2);
    let ann = house.member("r", "ann", 4);
    let bob = house.member("r", "bob", 4);
    let asked = key_frames_asked(&house, ann);
    // Two seconds without the key frame: asked for again every half second, and nothing is forwarded.
    film(&mut house, ann, 0, 50, false);
    let again = key_frames_asked(&house, ann) - asked;
    assert!((3..=5).contains(&again), "{again}");
    assert_eq!(house.video(bob), []);
    film(&mut house, ann, 50, 5, true);
    let asked = key_frames_asked(&house, ann);
    film(&mut house, ann, 55, 50, false);
    assert_eq!(key_frames_asked(&house, ann), asked);
    assert_eq!(house.video(bob).len(), 2 * 55);
}

#[test]
fn a_subscribers_request_for_a_key_frame_reaches_the_publisher_merged() {
    let mut house = House::new(3);
    let ann = house.member("r", "ann", 4);
    let viewers: Vec<usize> = ["bob", "cid", "dan"].map(|name| house.member("r", name, 4)).into();
    film(&mut house, ann, 0, 30, true);
    let before = key_frames_asked(&house, ann);
    for &viewer in &viewers {
        let media = house.video(viewer)[0].0;
        house.guests[viewer].client.send_rtcp(|w| {
            rtp::rtcp::Pli {
                sender: Ssrc(1),
                media: Ssrc(media),
            }
            .write(w)
        });
    }
    house.run(Duration::from_millis(100));
    assert_eq!(
        key_frames_asked(&house, ann),
        before + 1,
        "three requests within the window are one"
    );
}

/// Lets somebody in who negotiates no video codec with this in its name.
fn member_without(house: &mut House, name: &str, edit: fn(String) -> String) -> usize {
    let guest = house.enter("r", name, Role::Member);
    house.guests[guest].edit = edit;
    let client = &mut house.guests[guest].client;
    client.add(Kind::Audio, Direction::RecvOnly);
    client.add(Kind::Video, Direction::RecvOnly);
    house.connect(guest);
    guest
}

fn is_told_undecodable(house: &House, guest: usize) -> usize {
    let is = |event: &&Event| matches!(event, Event::Undecodable { .. });
    house.guests[guest].events.iter().filter(is).count()
}

#[test]
fn nobody_is_asked_for_key_frames_that_the_subscriber_cannot_decode() {
    let mut house = House::new(16);
    let ann = house.member("r", "ann", 1);
    let bob = member_without(&mut house, "bob", |offer| offer.replace("VP8/", "VP7/"));
    film(&mut house, ann, 0, 10, true);
    assert_eq!(is_told_undecodable(&house, bob), 1);
    assert_eq!(house.video(bob), []);
    let asked = key_frames_asked(&house, ann);
    film(&mut house, ann, 10, 50, false);
    assert_eq!(key_frames_asked(&house, ann), asked, "in two seconds");
}

#[test]
fn what_can_be_decoded_is_not_lost_with_what_cannot() {
    let mut house = House::new(17);
    let ann = house.member("r", "ann", 1);
    let bob = member_without(&mut house, "bob", |offer| offer.replace("H264/", "H26X/"));
    film(&mut house, ann, 0, 1, true);
    // In one batch: a frame of VP8 and the first of H.264 (a single IDR slice, RFC 6184 §5.6).
    let mut frame = vec![7; 900];
    frame[..4].copy_from_slice(&[0x90, 0x80, 1, 1]);
    house.send_video(ann, 96, 3600, &frame);
    frame[0] = 0x65;
    house.send_video(ann, H264, 7200, &frame);
    house.run(FRAME);
    assert_eq!(is_told_undecodable(&house, bob), 1);
    assert_eq!(house.video(bob).len(), 3);
}

#[test]
fn numbers_go_on_when_a_slot_changes_hands() {
    let mut house = House::new(4);
    let ann = house.member("r", "ann", 1);
    let bob = house.member("r", "bob", 1);
    film(&mut house, ann, 1000, 10, true);
    house.sfu.leave(house.now, house.guests[ann].id, Gone::Left);
    house.run(Duration::from_millis(300));
    let cid = house.member("r", "cid", 1);
    assert_eq!(
        house.slots(bob),
        [(false, Some("cid".into())), (true, Some("cid".into()))]
    );
    film(&mut house, cid, 5, 10, true);
    let video = house.video(bob);
    assert_eq!(video.len(), 40);
    for pair in video.windows(2) {
        assert_eq!(pair[0].0, pair[1].0, "the slot keeps its SSRC");
        assert_eq!(pair[1].1, pair[0].1 + 1, "sequence numbers have no gap");
        assert!(pair[1].2.wrapping_sub(pair[0].2) < 1 << 31, "timestamps go forward");
        let picture = |payload: &[u8]| u16::from_be_bytes([payload[2] & 0x7f, payload[3]]);
        let step = picture(&pair[1].3).wrapping_sub(picture(&pair[0].3)) & 0x7fff;
        assert!(step <= 1, "picture ids go on: {step}");
    }
    // The slot's clock is one line: the pause between the two is as long as it was.
    let pause = video[20].2.wrapping_sub(video[19].2);
    assert!(pause > 90 * 300, "{pause}");
    assert_eq!(house.counters(), [].into());
}

#[test]
fn numbers_of_vp9_go_on_too() {
    let mut config = house::config();
    let codecs = peer::Codec::by_name("vp9").unwrap().to_vec();
    std::sync::Arc::get_mut(&mut config.peer).unwrap().video_codecs = codecs;
    let mut house = House::with_config(50, config);
    let ann = house.member("r", "ann", 1);
    let bob = house.member("r", "bob", 1);
    // I, L, B and, but for the first, P: a picture id of 15 bits, the lowest layer, TL0PICIDX (RFC 9628 §4.2).
    let film = |house: &mut House, guest: usize, first: u8| {
        for picture in first..first + 5 {
            let mut frame = vec![7; 900];
            let predicted = if picture == first { 0 } else { 0x40 };
            frame[..5].copy_from_slice(&[0xa8 | predicted, 0x81, picture, 0, picture]);
            house.send_video(guest, 98, u32::from(picture) * 3600, &frame);
            house.run(FRAME);
        }
    };
    film(&mut house, ann, 10);
    house.sfu.leave(house.now, house.guests[ann].id, Gone::Left);
    house.run(FRAME);
    let cid = house.member("r", "cid", 1);
    film(&mut house, cid, 200);
    let video = house.video(bob);
    assert_eq!(video.len(), 10);
    for pair in video.windows(2) {
        let picture = |payload: &[u8]| u16::from_be_bytes([payload[1], payload[2]]);
        assert_eq!(picture(&pair[1].3) & 0x7fff, (picture(&pair[0].3) + 1) & 0x7fff);
        assert_eq!(pair[1].3[4], pair[0].3[4].wrapping_add(1));
    }
}

#[test]
fn padding_is_not_forwarded_and_leaves_no_gap() {
    let mut house = House::new(5);
    let ann = house.member("r", "ann", 1);
    let bob = house.member("r", "bob", 1);
    film(&mut house, ann, 0, 2, true);
    for _ in 0..5 {
        house.guests[ann].client.send_media(CAMERA, 0, &[]);
        house.run(FRAME);
    }
    film(&mut house, ann, 2, 2, false);
    let video = house.video(bob);
    assert_eq!(video.len(), 8);
    assert!(video.windows(2).all(|w| w[1].1 == w[0].1 + 1));
    for received in &house.guests[bob].client.rtp {
        assert_eq!(
            received.packet().padding_len(),
            0,
            "nothing to pad in packets of one size"
        );
    }
}

#[test]
fn padding_behind_a_payload_stays_behind() {
    let mut house = House::new(61);
    let ann = house.member("r", "ann", 1);
    let bob = house.member("r", "bob", 1);
    for n in 0..10_u32 {
        let mut payload = vec![n as u8; 900];
        payload[..6].copy_from_slice(&[0x90, 0x80, 0x80, n as u8, u8::from(n > 0), 0]);
        let client = &mut house.guests[ann].client;
        let media = &mut client.media[CAMERA];
        let header = rtp::RtpOut {
            payload_type: rtp::PayloadType(96),
            marker: true,
            sequence_number: media.sequence[0].0,
            timestamp: n * 3600,
            ssrc: media.ssrcs[0].0,
            padding: 200,
            ..rtp::RtpOut::default()
        };
        media.sequence[0].0 += 1;
        let packet = client.seal_rtp(&header, &payload);
        client.send(packet);
        house.exchange();
        house.run(FRAME);
    }
    assert_eq!(house.video(bob).len(), 10);
    for received in &house.guests[bob].client.rtp {
        let packet = received.packet();
        assert_eq!((packet.padding_len(), packet.payload().len()), (0, 900));
    }
}

#[test]
fn packets_of_almost_one_size_leave_as_one_run_with_their_payload_intact() {
    let mut house = House::new(6);
    let ann = house.member("r", "ann", 1);
    let bob = house.member("r", "bob", 1);
    house.runs.clear();
    let sizes = [903, 902, 904, 901, 903];
    for (n, size) in sizes.into_iter().enumerate() {
        let mut payload = vec![n as u8; size];
        payload[..3].copy_from_slice(&[if n == 0 { 0x10 } else { 0 }, 0, 7]);
        house.guests[ann].client.send_media(CAMERA, 0, &payload);
    }
    house.run(FRAME);
    assert!(house.runs.contains(&5), "{:?}", house.runs);
    let got: Vec<usize> = house.video(bob).iter().map(|(.., payload)| payload.len()).collect();
    assert_eq!(got, sizes);
    for received in &house.guests[bob].client.rtp {
        assert!(received.packet().padding_len() <= 3);
    }
}

#[test]
fn a_lost_packet_is_sent_again_to_the_one_who_misses_it_with_his_own_numbers() {
    let mut house = House::new(7);
    let ann = house.member("r", "ann", 4);
    let bob = house.member("r", "bob", 4);
    let cid = house.member("r", "cid", 4);
    film(&mut house, ann, 0, 10, true);
    let (bobs, cids) = (house.video(bob), house.video(cid));
    let (ssrc, lost, timestamp, payload) = bobs[7].clone();
    let before = (house.guests[bob].client.rtp.len(), house.guests[cid].client.rtp.len());
    house.guests[bob]
        .client
        .send_rtcp(|w| rtp::rtcp::Nack::write(w, Ssrc(1), Ssrc(ssrc), [lost as u16]));
    house.run(Duration::from_millis(100));
    let again = &house.guests[bob].client.rtp[before.0..];
    assert_eq!(again.len(), 1);
    let packet = again[0].packet();
    assert_ne!(packet.ssrc().0, ssrc, "on the SSRC of retransmissions (RFC 4588)");
    assert_eq!(
        packet.payload()[..2],
        (lost as u16).to_be_bytes(),
        "original sequence number"
    );
    assert_eq!(&packet.payload()[2..], payload);
    assert_eq!(packet.timestamp(), timestamp);
    assert_eq!(house.guests[cid].client.rtp.len(), before.1, "nobody else gets it");
    assert_ne!(cids[7].1, lost, "each has numbers of his own");
    // Asked for again while the answer is on its way, and asked for what was never sent: nothing.
    for seq in [lost, lost, lost + 500] {
        house.guests[bob]
            .client
            .send_rtcp(|w| rtp::rtcp::Nack::write(w, Ssrc(1), Ssrc(ssrc), [seq as u16]));
    }
    house.run(Duration::from_millis(100));
    assert_eq!(house.guests[bob].client.rtp.len(), before.0 + 2);
    assert_eq!(house.counters().get("nack_unanswered"), Some(&1));
}

#[test]
fn people_come_and_go_without_renegotiation() {
    let mut config = house::config();
    config.room_capacity = 4;
    let mut house = House::with_config(8, config);
    let ann = house.member("r", "ann", 4);
    assert!(house.guests[ann].events.contains(&Event::Need { audio: 4, video: 4 }));
    let bob = house.member("r", "bob", 4);
    let cid = house.member("r", "cid", 4);
    let dan = house.member("r", "dan", 4);
    assert_eq!(
        house.sfu.join(house.now, "r", "eve", Role::Member),
        Err(JoinError::RoomFull { capacity: 4 })
    );
    let names = |house: &House, guest| -> Vec<String> {
        house
            .slots(guest)
            .into_iter()
            .filter(|slot| slot.0)
            .filter_map(|slot| slot.1)
            .collect()
    };
    assert_eq!(names(&house, ann), ["bob", "cid", "dan"]);
    assert_eq!(names(&house, dan), ["ann", "bob", "cid"]);
    house.sfu.leave(house.now, house.guests[bob].id, Gone::Left);
    house.run(Duration::from_millis(100));
    let left = Event::ParticipantLeft {
        id: house.guests[bob].id,
        why: Gone::Left,
    };
    for guest in [ann, cid, dan] {
        assert!(house.guests[guest].events.contains(&left));
    }
    // Who stays keeps his slot; who comes takes the free one.
    let slot = |house: &House, n: usize| house.slots(ann).into_iter().filter(|slot| slot.0).nth(n).unwrap().1;
    assert_eq!((slot(&house, 0), slot(&house, 1).as_deref()), (None, Some("cid")));
    house.member("r", "eve", 4);
    assert_eq!(slot(&house, 0).as_deref(), Some("eve"));
    assert_eq!(house.guests[ann].answers.len(), 1, "ann offered once");
    // Who left has said goodbye in DTLS.
    assert!(matches!(
        house.guests[bob].client.dtls_events.last(),
        Some(dtls_srtp::Event::Closed { .. })
    ));
}

#[test]
fn who_was_cut_off_is_told_everything_again() {
    let mut house = House::new(60);
    let ann = house.member("r", "ann", 1);
    house.member("r", "bob", 1);
    let last = |house: &House, is: fn(&Event) -> bool| {
        let events = house.guests[0].events.iter().rev();
        events.clone().find(|event| is(event)).cloned()
    };
    let kinds: [fn(&Event) -> bool; 2] = [
        |event| matches!(event, Event::Need { .. }),
        |event| matches!(event, Event::Slots(_)),
    ];
    let before = kinds.map(|kind| last(&house, kind).unwrap());
    house.guests[ann].events.clear();
    house.sfu.tell_again(house.guests[ann].id).unwrap();
    house.exchange();
    assert_eq!(kinds.map(|kind| last(&house, kind).unwrap()), before);
    let quiet = |event: &Event| matches!(event, Event::Speakers { dominant: None, speaking } if speaking.is_empty());
    assert!(house.guests[ann].events.iter().any(quiet));
    house.sfu.leave(house.now, house.guests[ann].id, Gone::Left);
    assert!(house.sfu.tell_again(house.guests[ann].id).is_err());
}

#[test]
fn a_silent_participant_is_gone_within_fifteen_seconds() {
    let mut house = House::new(9);
    let ann = house.member("r", "ann", 4);
    let bob = house.member("r", "bob", 4);
    house.run(Duration::from_secs(5));
    house.guests[ann].blackhole = true;
    let gone = Event::ParticipantLeft {
        id: house.guests[ann].id,
        why: Gone::Silent,
    };
    let unsure = Event::Connection {
        id: house.guests[ann].id,
        connection: Connection::Disconnected,
    };
    house.run(Duration::from_secs(5));
    assert!(!house.guests[bob].events.contains(&gone));
    house.run(Duration::from_secs(10));
    assert!(house.guests[bob].events.contains(&unsure));
    assert!(house.guests[bob].events.contains(&gone));
    assert_eq!(house.sfu.len(), (1, 1));
    assert!(!house.guests[bob].events.contains(&Event::Gone(Gone::Silent)));
}

#[test]
fn a_participant_who_never_connects_is_given_up() {
    let mut house = House::new(10);
    let ann = house.enter("r", "ann", Role::Member);
    house.guests[ann].client.add(Kind::Audio, Direction::SendOnly);
    house.guests[ann].blackhole = true;
    house.negotiate(ann);
    house.run(Duration::from_secs(29));
    assert_eq!(house.sfu.len(), (1, 1));
    house.run(Duration::from_secs(2));
    assert!(matches!(
        house.guests[ann].events.last(),
        Some(Event::Gone(Gone::Failed(_)))
    ));
    assert_eq!(house.sfu.len(), (0, 0));
    assert!(house.sfu.is_empty());
}

#[test]
fn an_echo_gives_everything_back_in_its_own_section() {
    let mut house = House::new(11);
    let ann = house.enter("", "ann", Role::Echo);
    house.guests[ann].client.add(Kind::Audio, Direction::SendRecv);
    house.guests[ann].client.add(Kind::Video, Direction::SendRecv);
    house.connect(ann);
    film(&mut house, ann, 0, 5, true);
    house.guests[ann].client.send_media(MICROPHONE, 0, &[0x78; 80]);
    house.run(FRAME);
    assert_eq!(house.video(ann).len(), 10);
    assert_eq!(house.guests[ann].client.rtp.len(), 11);
    assert_eq!(house.counters(), [].into());
}

#[test]
fn a_viewer_sees_the_publisher_and_a_named_one_whom_it_named() {
    let mut house = House::new(12);
    let watch = |house: &mut House, source: Option<&str>| {
        let role = Role::Viewer {
            source: source.map(str::to_owned),
        };
        let viewer = house.enter("r", "viewer", role);
        house.guests[viewer].client.add(Kind::Audio, Direction::RecvOnly);
        house.guests[viewer].client.add(Kind::Video, Direction::RecvOnly);
        house.connect(viewer);
        viewer
    };
    // Before anybody publishes.
    let early = watch(&mut house, None);
    let ann = house.member("r", "ann", 0);
    assert_eq!(house.slots(early)[1].1.as_deref(), Some("ann"));
    let publisher = house.enter("r", "obs", Role::Publisher);
    house.guests[publisher].client.add(Kind::Audio, Direction::SendOnly);
    house.guests[publisher].client.add(Kind::Video, Direction::SendOnly);
    house.connect(publisher);
    assert_eq!(house.slots(early)[1].1.as_deref(), Some("obs"));
    let named = watch(&mut house, Some("ann"));
    assert_eq!(house.slots(named)[1].1.as_deref(), Some("ann"));
    film(&mut house, publisher, 0, 5, true);
    film(&mut house, ann, 0, 7, true);
    assert_eq!(house.video(early).len(), 10);
    assert_eq!(house.video(named).len(), 14);
    // A viewer is not somebody whom others are told of.
    let told = |event: &Event| matches!(event, Event::ParticipantJoined(view) if &*view.name == "viewer");
    assert!(!house.guests[ann].events.iter().any(told));
}

#[test]
fn the_speaker_is_shown_to_who_named_nobody() {
    let mut house = House::new(13);
    let ann = house.member("r", "ann", 0);
    let bob = house.member("r", "bob", 0);
    let viewer = house.enter("r", "viewer", Role::Viewer { source: None });
    house.guests[viewer].client.add(Kind::Audio, Direction::RecvOnly);
    house.guests[viewer].client.add(Kind::Video, Direction::RecvOnly);
    house.connect(viewer);
    for (speaker, name) in [(bob, "bob"), (ann, "ann")] {
        for n in 0..50 {
            for guest in [ann, bob] {
                let level = if guest == speaker { 15 } else { 127 };
                house.send_sound(guest, MICROPHONE, 960 * n, level);
            }
            house.run(Duration::from_millis(20));
        }
        assert_eq!(house.slots(viewer)[0].1.as_deref(), Some(name));
        let dominant = house.guests[speaker].id;
        let told = house.guests[ann]
            .events
            .iter()
            .rev()
            .find(|event| matches!(event, Event::Speakers { .. }));
        let expected = Event::Speakers {
            dominant: Some(dominant),
            speaking: [dominant].into(),
        };
        assert_eq!(told, Some(&expected));
    }
    // Who comes later has not heard it, and is told.
    let late = house.member("r", "late", 1);
    let expected = Event::Speakers {
        dominant: Some(house.guests[ann].id),
        speaking: [house.guests[ann].id].into(),
    };
    assert!(house.guests[late].events.contains(&expected));
}

#[test]
fn a_publisher_that_begins_anew_with_another_ssrc_goes_on_in_the_slot() {
    let mut house = House::new(14);
    let ann = house.member("r", "ann", 1);
    let bob = house.member("r", "bob", 1);
    film(&mut house, ann, 3000, 5, true);
    // Same section, another SSRC, other numbers: the extensions tell that it is the same.
    let media = &mut house.guests[ann].client.media[CAMERA];
    media.ssrcs[0].0 = Ssrc(0x7777_0001);
    media.sequence[0].0 = 9;
    film(&mut house, ann, 1, 5, true);
    let video = house.video(bob);
    assert_eq!(video.len(), 20);
    assert!(video.windows(2).all(|w| w[1].1 == w[0].1 + 1 && w[1].0 == w[0].0));
    assert!(video.windows(2).all(|w| w[1].2.wrapping_sub(w[0].2) < 1 << 31));
}

#[test]
fn sender_reports_place_sound_and_picture_on_one_line() {
    let mut house = House::new(15);
    let ann = house.member("r", "ann", 1);
    let bob = house.member("r", "bob", 1);
    film(&mut house, ann, 0, 10, true);
    house.run(Duration::from_secs(3));
    let reports = |house: &House| {
        let mut infos = Vec::new();
        for compound in &house.guests[bob].client.rtcp {
            for packet in rtp::rtcp::Compound::parse(compound).unwrap().packets().flatten() {
                if let rtp::rtcp::Packet::SenderReport(report) = packet {
                    infos.push(report.info);
                }
            }
        }
        infos
    };
    let reports = reports(&house);
    assert!(reports.len() >= 2, "one at once after the switch, then regularly");
    let (first, last) = (reports[0], *reports.last().unwrap());
    let wall = (last.ntp.0 - first.ntp.0) as f64 / (1_u64 << 32) as f64;
    let ticks = f64::from(last.rtp_timestamp.wrapping_sub(first.rtp_timestamp)) / 90_000.0;
    assert!(
        (wall - ticks).abs() < 0.001,
        "the slot's clock is linear: {wall} {ticks}"
    );
}

#[test]
fn a_picture_has_one_timestamp_though_a_sender_report_comes_in_the_middle_of_it() {
    let mut house = House::new(18);
    let ann = house.member("r", "ann", 1);
    let bob = house.member("r", "bob", 1);
    film(&mut house, ann, 0, 3, true);
    house.send_sound(ann, MICROPHONE, 0, 20);
    house.run(Duration::from_millis(1));
    let ntp = Duration::from_secs(7);
    house.send_report(ann, MICROPHONE, ntp, 0);
    let mut frame = vec![7; 900];
    frame[..4].copy_from_slice(&[0x90, 0x80, 3, 1]);
    house.send_video(ann, 96, 3 * 3600, &frame);
    // The report says that the picture was taken 70 ms before the sound.
    house.send_report(ann, CAMERA, ntp, 3 * 3600 + 6300);
    frame[0] = 0x80;
    house.send_video(ann, 96, 3 * 3600, &frame);
    house.run(FRAME);
    film(&mut house, ann, 4, 5, false);
    let video = house.video(bob);
    let steps: Vec<u32> = video.windows(2).map(|w| w[1].2.wrapping_sub(w[0].2)).collect();
    assert_eq!(steps[..7], [0, 3600, 0, 3600, 0, 3600, 0], "{steps:?}");
    // It goes back with the next pictures, each of which keeps half of its distance at least.
    assert_eq!(steps[7..15], [1800, 0, 1800, 0, 1800, 0, 2700, 0], "{steps:?}");
    assert_eq!(steps[15], 3600, "{steps:?}");
    // What is sent again has the timestamp that it had.
    let before = house.guests[bob].client.rtp.len();
    for packet in [7, 9] {
        let (media, lost, ..) = video[packet];
        house.guests[bob]
            .client
            .send_rtcp(|w| rtp::rtcp::Nack::write(w, Ssrc(1), Ssrc(media), [lost as u16]));
    }
    house.run(Duration::from_millis(100));
    let again = &house.guests[bob].client.rtp[before..];
    let timestamps: Vec<u32> = again.iter().map(|again| again.packet().timestamp()).collect();
    assert_eq!(timestamps, [video[7].2, video[9].2]);
    assert_eq!(house.counters(), [].into());
}

/// Timestamps of what a guest received of sound, in order of arrival.
fn sound(house: &House, guest: usize) -> Vec<u32> {
    let packets = house.guests[guest].client.rtp.iter().map(|received| received.packet());
    let sound = packets.filter(|packet| packet.payload_type().0 == 111);
    sound.map(|packet| packet.timestamp()).collect()
}

fn steps(timestamps: &[u32]) -> Vec<u32> {
    timestamps.windows(2).map(|w| w[1].wrapping_sub(w[0])).collect()
}

#[test]
fn sound_is_not_moved_by_its_first_sender_report() {
    let mut house = House::new(31);
    let ann = house.member("r", "ann", 1);
    let bob = house.member("r", "bob", 1);
    for n in 0..20 {
        house.send_sound(ann, MICROPHONE, 960 * n, 20);
        house.run(Duration::from_millis(20));
        if n == 10 {
            // It says that sound is 100 ms old when it comes.
            house.send_report(ann, MICROPHONE, Duration::from_secs(7), 960 * 11 + 4800);
        }
    }
    assert_eq!(steps(&sound(&house, bob)), [960; 19]);
    assert_eq!(house.counters(), [].into());
}

#[test]
fn sound_takes_the_lead_from_a_picture_that_reported_first() {
    let mut house = House::new(52);
    let ann = house.member("r", "ann", 1);
    let bob = house.member("r", "bob", 1);
    let ntp = Duration::from_secs(7);
    film(&mut house, ann, 0, 3, true);
    house.send_report(ann, CAMERA, ntp, 3 * 3600);
    for n in 0..20 {
        house.send_sound(ann, MICROPHONE, 960 * n, 20);
        house.run(Duration::from_millis(20));
        if n == 3 {
            // By the publisher's clock it is 70 ms older than the picture's report had it.
            house.send_report(ann, MICROPHONE, ntp + Duration::from_millis(80), 960 * 4 + 3360);
        }
    }
    house.send_report(ann, CAMERA, ntp + Duration::from_millis(400), 13 * 3600);
    film(&mut house, ann, 13, 2, false);
    assert_eq!(steps(&sound(&house, bob)), [960; 19]);
    let video: Vec<u32> = house.video(bob).iter().map(|packet| packet.2).collect();
    assert_eq!(steps(&video)[5..], [3600 * 11 + 6300, 0, 3600, 0]);
    assert_eq!(house.counters(), [].into());
}

#[test]
fn a_report_that_does_not_go_with_the_packets_moves_nothing() {
    let mut house = House::new(32);
    let ann = house.member("r", "ann", 1);
    let bob = house.member("r", "bob", 1);
    film(&mut house, ann, 1000, 5, true);
    house.send_sound(ann, MICROPHONE, 0, 20);
    house.run(Duration::from_millis(1));
    house.send_report(ann, MICROPHONE, Duration::from_secs(7), 0);
    house.send_report(ann, CAMERA, Duration::from_secs(7), (1000 + 5) * 3600 - 10 * 90_000);
    film(&mut house, ann, 1005, 5, false);
    house.sfu.leave(house.now, house.guests[ann].id, Gone::Left);
    house.run(Duration::from_millis(300));
    let cid = house.member("r", "cid", 1);
    film(&mut house, cid, 5, 5, true);
    let steps = steps(&house.video(bob).iter().map(|packet| packet.2).collect::<Vec<_>>());
    // That there was a moment without a report makes one tick's difference at most.
    assert!(
        steps[..19].iter().all(|step| [0, 3600, 3690].contains(step)),
        "{steps:?}"
    );
    assert!((1..90_000).contains(&steps[19]), "{steps:?}");
    assert_eq!(house.counters(), [("strange_reports", 1)].into());
}

/// What a hand-over looks like to a viewer when the one who leaves was placed later than the one who comes.
#[test]
fn a_slot_that_changes_hands_goes_on_after_the_last_it_sent() {
    let mut house = House::new(36);
    let ann = house.member("r", "ann", 1);
    let bob = house.member("r", "bob", 1);
    // Cid has no place in bob's slots yet. His pictures are on their way for half a second more than his sound.
    let cid = house.member("r", "cid", 1);
    for n in 0..40 {
        house.send_frame(ann, CAMERA, n * 3600, n as u16, n == 0, 2);
        house.send_sound(ann, MICROPHONE, n * 1920, 20);
        house.send_sound(cid, MICROPHONE, n * 1920, 20);
        house.send_frame(cid, CAMERA, (n + 1000) * 3600, n as u16, n % 5 == 0, 2);
        if n % 10 == 5 {
            let ntp = Duration::from_millis(10_000 + u64::from(n) * 40);
            house.run(Duration::from_millis(1));
            house.send_report(cid, MICROPHONE, ntp, n * 1920);
            house.send_report(cid, CAMERA, ntp, (n + 1000) * 3600 + 45_000);
        }
        if n == 30 {
            house.sfu.leave(house.now, house.guests[ann].id, Gone::Left);
        }
        house.run(FRAME);
    }
    let video = house.video(bob);
    let timestamps: Vec<u32> = video.iter().map(|packet| packet.2).collect();
    let steps = steps(&timestamps);
    let switch = (0..steps.len()).find(|&at| video[at + 1].3[2..4] != video[at].3[2..4] && steps[at] == 1800);
    let switch = switch.unwrap_or_else(|| panic!("{steps:?}"));
    // Strictly on at the switch, and then at half the pace, until the pictures are where they belong.
    assert!(steps[switch..].iter().all(|step| [0, 1800].contains(step)), "{steps:?}");
    assert!(steps.len() > switch + 8);
    assert!(sound(&house, bob).len() > 35);
}

#[test]
fn sound_of_somebody_placed_earlier_begins_once_its_time_is_there() {
    let mut house = House::new(51);
    let ann = house.member("r", "ann", 1);
    let bob = house.member("r", "bob", 1);
    let cid = house.member("r", "cid", 1);
    for n in 0..30 {
        // Cid's sound is on its way for 150 ms more than at first, which is not enough to place it anew.
        if n == 5 {
            house.run(Duration::from_millis(150));
        }
        if n == 15 {
            house.sfu.leave(house.now, house.guests[ann].id, Gone::Left);
        }
        house.send_sound(cid, MICROPHONE, 960 * n, 20);
        if n < 15 {
            house.send_sound(ann, MICROPHONE, 960 * (n + if n < 5 { 0 } else { 8 }), 20);
        }
        house.run(Duration::from_millis(20));
    }
    let left_out = house.counters()["misplaced_packets"];
    assert!((7..=9).contains(&left_out), "{left_out}");
    let sound = sound(&house, bob);
    assert_eq!(sound.len() as u64, 30 - left_out);
    // From one to the other it takes one packet's time and what the places differ by.
    assert!(steps(&sound)[14] < 2 * 960, "{:?}", steps(&sound));
}

#[test]
fn the_marker_and_what_belongs_to_the_media_arrive() {
    let mut house = House::new(37);
    let ann = house.member("r", "ann", 1);
    let bob = house.member("r", "bob", 1);
    film(&mut house, ann, 0, 5, true);
    for n in 0..4 {
        let level = [(Extension::AudioLevel, &[0x80 | n][..])];
        let marker = n == 2;
        house.send(ann, MICROPHONE, 111, 960 * u32::from(n), marker, &level, &[0x78; 60]);
        house.run(Duration::from_millis(20));
    }
    let orientation = [
        (Extension::VideoOrientation, &[1][..]),
        (Extension::PlayoutDelay, &[0, 1, 2]),
        (Extension::DependencyDescriptor, &[9, 9, 9]),
    ];
    let mut frame = vec![7; 900];
    frame[..4].copy_from_slice(&[0x90, 0x80, 5, 1]);
    house.send(ann, CAMERA, 96, 5 * 3600, true, &orientation, &frame);
    house.run(FRAME);
    let client = &house.guests[bob].client;
    let of = |audio: bool| {
        let packets = client.rtp.iter().map(|received| received.packet());
        packets.filter(move |packet| (packet.payload_type().0 == 111) == audio)
    };
    let markers = |audio| of(audio).map(|packet| packet.marker()).collect::<Vec<_>>();
    assert_eq!(
        markers(false),
        [[false, true]; 5]
            .concat()
            .into_iter()
            .chain([true])
            .collect::<Vec<_>>()
    );
    assert_eq!(markers(true), [false, false, true, false]);
    // By bob's identifiers, which are not ann's.
    let level = client.extension_id(Extension::AudioLevel);
    assert_ne!(level, house.guests[ann].client.extension_id(Extension::AudioLevel));
    let levels: Vec<u8> = of(true)
        .map(|packet| packet.extensions().find(|(id, _)| *id == level).unwrap().1[0])
        .collect();
    assert_eq!(levels, [0x80, 0x81, 0x82, 0x83]);
    let own = |extension| client.extension_id(extension);
    let last = of(false).next_back().unwrap();
    let elements: Vec<(u8, Vec<u8>)> = last.extensions().map(|(id, value)| (id, value.to_vec())).collect();
    let mid = client.media[1 + 2].mid.clone().into_bytes();
    let expected = [
        (own(Extension::Mid), mid),
        (own(Extension::VideoOrientation), vec![1]),
        (own(Extension::PlayoutDelay), vec![0, 1, 2]),
    ];
    assert_eq!(elements, expected);
}

#[test]
fn the_mid_is_sent_until_the_viewer_has_reported() {
    let mut house = House::new(38);
    let ann = house.member("r", "ann", 1);
    let bob = house.member("r", "bob", 1);
    film(&mut house, ann, 0, 5, true);
    let mid = house.guests[bob].client.extension_id(Extension::Mid);
    let with = |house: &House| {
        let packets = house.guests[bob].client.rtp.iter().map(|received| received.packet());
        packets
            .filter(|packet| packet.extensions().any(|(id, _)| id == mid))
            .count()
    };
    assert_eq!(with(&house), 10);
    let (ssrc, seq, ..) = house.video(bob)[9].clone();
    let block = rtp::rtcp::ReportBlock {
        ssrc: Ssrc(ssrc),
        highest_sequence: seq as u32,
        ..Default::default()
    };
    house.guests[bob]
        .client
        .send_rtcp(|w| rtp::rtcp::ReceiverReport::write(w, Ssrc(1), [block], &[]));
    house.run(FRAME);
    film(&mut house, ann, 5, 5, false);
    assert_eq!((with(&house), house.video(bob).len()), (10, 20));
    // What is sent again has an SSRC of its own, which was not reported: it always has it.
    for again in 1..3 {
        house.guests[bob]
            .client
            .send_rtcp(|w| rtp::rtcp::Nack::write(w, Ssrc(1), Ssrc(ssrc), [seq as u16]));
        house.run(FRAME);
        assert_eq!(
            (with(&house), house.guests[bob].client.rtp.len()),
            (10 + again, 20 + again)
        );
    }
}

#[test]
fn what_is_sent_again_goes_without_the_mid_where_there_is_no_room_for_it() {
    let mut house = House::new(39);
    let ann = house.member("r", "ann", 1);
    let bob = house.member("r", "bob", 1);
    film(&mut house, ann, 0, 5, true);
    let mid = house.guests[bob].client.extension_id(Extension::Mid);
    let (ssrc, seq, ..) = house.video(bob)[9].clone();
    let block = rtp::rtcp::ReportBlock {
        ssrc: Ssrc(ssrc),
        highest_sequence: seq as u32,
        ..Default::default()
    };
    house.guests[bob]
        .client
        .send_rtcp(|w| rtp::rtcp::ReceiverReport::write(w, Ssrc(1), [block], &[]));
    house.run(FRAME);
    // Whether what is sent again has the MID, by the length of the payload.
    let mut again = Vec::new();
    for len in 1140..1170_usize {
        // The middle of a picture, without a picture id.
        house.send_video(ann, 96, 4 * 3600, &vec![0; len]);
        house.run(FRAME);
        let (ssrc, seq, ..) = house.video(bob).last().unwrap().clone();
        let before = house.guests[bob].client.rtp.len();
        house.guests[bob]
            .client
            .send_rtcp(|w| rtp::rtcp::Nack::write(w, Ssrc(1), Ssrc(ssrc), [seq as u16]));
        house.run(FRAME);
        if let Some(sent) = house.guests[bob].client.rtp.get(before) {
            again.push(sent.packet().extensions().any(|(id, _)| id == mid));
        }
    }
    let with = again.iter().take_while(|with| **with).count();
    assert!(with > 0 && with < again.len(), "{again:?}");
    assert!(again[with..].iter().all(|with| !with), "{again:?}");
}

/// NAL units in packets of their own (RFC 6184 §5.6, §5.8), told apart by their length.
fn parameter_set(header: u8, len: usize) -> Vec<u8> {
    let mut set = vec![9; len];
    set[..2].copy_from_slice(&[header, 0x42]);
    set
}

#[test]
fn a_key_frame_whose_parameter_sets_were_overtaken_is_whole() {
    let (sps, pps) = (parameter_set(0x67, 600), parameter_set(0x68, 601));
    let mut idr = vec![9; 900];
    idr[..3].copy_from_slice(&[0x7c, 0x85, 0x88]);
    let both = [&sps, &pps, &idr];
    let one = [&sps, &idr];
    let orders: [(&[&Vec<u8>], &[usize]); 4] = [
        (&one, &[1, 0]),
        (&both, &[2, 1, 0]),
        (&both, &[1, 2, 0]),
        (&both, &[0, 2, 1]),
    ];
    for (run, (packets, order)) in orders.into_iter().enumerate() {
        for before in [false, true] {
            let mut house = House::new(40 + run as u64);
            let ann = house.member("r", "ann", 1);
            let bob = house.member("r", "bob", 1);
            let first = house.guests[ann].client.media[CAMERA].sequence[0].0;
            if before {
                // A slice of the picture before: nothing belongs between it and the parameter sets.
                house.send_video(ann, H264, 0, &[0x41; 700]);
            }
            let first = first + u64::from(before);
            for &packet in order {
                house.guests[ann].client.media[CAMERA].sequence[0].0 = first + packet as u64;
                house.send_video(ann, H264, 3600, packets[packet]);
            }
            house.guests[ann].client.media[CAMERA].sequence[0].0 = first + packets.len() as u64;
            house.send_video(ann, H264, 7200, &[0x41; 700]);
            house.run(FRAME);
            let mut video = house.video(bob);
            video.sort_by_key(|received| received.1);
            let lengths: Vec<usize> = video.iter().map(|received| received.3.len()).collect();
            let expected: Vec<usize> = packets.iter().map(|packet| packet.len()).chain([700]).collect();
            assert_eq!(lengths, expected, "{order:?}");
            assert!(video.windows(2).all(|w| w[1].1 == w[0].1 + 1), "{order:?}");
            assert_eq!(house.counters(), [].into());
        }
    }
}

#[test]
fn a_picture_without_parameter_sets_begins_too() {
    let mut house = House::new(48);
    let ann = house.member("r", "ann", 1);
    let bob = house.member("r", "bob", 1);
    // The sets are in the SDP: the picture before ends right in front of this one.
    house.send_video(ann, H264, 0, &[0x41; 700]);
    let mut idr = vec![9; 900];
    idr[..3].copy_from_slice(&[0x7c, 0x85, 0x88]);
    house.send_video(ann, H264, 3600, &idr);
    house.send_video(ann, H264, 7200, &[0x41; 700]);
    house.run(FRAME);
    let video = house.video(bob);
    assert_eq!(video.len(), 2);
    assert_eq!(video[1].1, video[0].1 + 1);
}

fn told_of_sources(house: &House, guest: usize) -> Vec<usize> {
    let events = house.guests[guest].events.iter().filter_map(|event| match event {
        Event::Sources(view) => Some(view.sources.len()),
        _ => None,
    });
    events.collect()
}

#[test]
fn the_others_are_told_when_the_last_source_ends_and_nothing_when_all_is_as_before() {
    let mut house = House::new(33);
    let ann = house.member("r", "ann", 1);
    let bob = house.member("r", "bob", 1);
    house.guests[bob].events.clear();
    house.negotiate(ann);
    house.run(FRAME);
    assert_eq!(told_of_sources(&house, bob), []);
    house.guests[ann].client.media[MICROPHONE].stopped = true;
    house.guests[ann].client.media[CAMERA].stopped = true;
    house.negotiate(ann);
    house.run(FRAME);
    assert_eq!(told_of_sources(&house, bob), [0]);
    assert_eq!(house.sfu.others(house.guests[bob].id)[0].sources, []);
}

#[test]
fn what_is_too_large_for_a_datagram_holds_nobody_up() {
    let mut house = House::new(34);
    house.room = sfu::Sfu::MIN_OUT;
    let ann = house.member("r", "ann", 1);
    let bob = house.member("r", "bob", 1);
    film(&mut house, ann, 0, 2, true);
    for size in [1190, 1600] {
        let mut large = vec![7; size];
        large[..4].copy_from_slice(&[0x90, 0x80, 3, 1]);
        house.send_video(ann, 96, 7200, &large);
    }
    film(&mut house, ann, 3, 5, false);
    assert_eq!(house.video(bob).len(), 14);
    assert_eq!(house.counters(), [("too_large_packets", 2)].into());
}

#[test]
fn a_packet_that_fits_is_not_padded_to_the_size_of_one_that_does_not() {
    let mut house = House::new(35);
    let ann = house.member("r", "ann", 1);
    let bob = house.member("r", "bob", 1);
    film(&mut house, ann, 0, 1, true);
    let fits = |house: &House| house.video(bob).len() - 2;
    let mut sent = 0;
    // Through all sizes around the largest one, a pair of neighbours each.
    for size in 1140..1190 {
        for more in [0, 1] {
            let mut payload = vec![7; size + more];
            payload[..4].copy_from_slice(&[0x90, 0x80, 3, 1]);
            house.send_video(ann, 96, 7200, &payload);
            sent += 1;
        }
        house.run(FRAME);
    }
    let refused = house.counters()["too_large_packets"];
    assert_eq!(fits(&house) as u64 + refused, sent);
    let largest = house.video(bob).iter().map(|packet| packet.3.len()).max().unwrap();
    let expected = (1140..1190)
        .flat_map(|size| [size, size + 1])
        .filter(|&size| size <= largest);
    assert_eq!(fits(&house), expected.count());
}

#[test]
fn a_renegotiation_does_not_repeat_what_cannot_be_decoded() {
    let mut house = House::new(39);
    let ann = house.member("r", "ann", 1);
    let bob = member_without(&mut house, "bob", |offer| offer.replace("VP8/", "VP7/"));
    film(&mut house, ann, 0, 5, true);
    house.negotiate(bob);
    film(&mut house, ann, 5, 5, true);
    assert_eq!(is_told_undecodable(&house, bob), 1);
    // Only who was cut off is told again.
    house.sfu.tell_again(house.guests[bob].id).unwrap();
    house.exchange();
    assert_eq!(is_told_undecodable(&house, bob), 2);
}

#[test]
fn who_has_a_path_but_no_keys_is_told_so() {
    let mut house = House::new(49);
    let ann = house.enter("r", "ann", Role::Member);
    house.guests[ann].client.add(Kind::Audio, Direction::SendOnly);
    house.guests[ann].client.setup = "passive";
    house.guests[ann].deaf_to_dtls = true;
    house.negotiate(ann);
    house.run(Duration::from_secs(31));
    let Some(Event::Gone(Gone::Failed(why))) = house.guests[ann].events.last() else {
        panic!("{:?}", house.guests[ann].events)
    };
    assert!(why.contains("DTLS"), "{why}");
}

/// Sends the packets of a frame of three in this order.
fn film_in_order(house: &mut House, guest: usize, picture: u8, key: bool, order: [u8; 3]) {
    let first = house.guests[guest].client.media[CAMERA].sequence[0].0;
    for packet in order {
        let mut payload = vec![packet; 900];
        let start = if packet == 0 { 0x10 } else { 0 };
        payload[..4].copy_from_slice(&[0x80 | start, 0x80, picture, u8::from(!key)]);
        house.guests[guest].client.media[CAMERA].sequence[0].0 = first + u64::from(packet);
        house.send_video(guest, 96, u32::from(picture) * 3600, &payload);
    }
    house.guests[guest].client.media[CAMERA].sequence[0].0 = first + 3;
    house.run(FRAME);
}

#[test]
fn a_key_frame_whose_first_packet_was_overtaken_is_whole() {
    let mut house = House::new(19);
    let ann = house.member("r", "ann", 1);
    let bob = house.member("r", "bob", 1);
    // What comes before the key frame, late or not, is not for somebody who begins with it.
    film_in_order(&mut house, ann, 1, false, [0, 2, 1]);
    film_in_order(&mut house, ann, 2, true, [2, 1, 0]);
    film_in_order(&mut house, ann, 3, false, [0, 1, 2]);
    let mut video = house.video(bob);
    video.sort_by_key(|received| received.1);
    let got: Vec<(u64, u8, u8)> = video
        .iter()
        .map(|(_, seq, _, payload)| (seq - video[0].1, payload[2] - video[0].3[2], payload[800]))
        .collect();
    assert_eq!(got, [(0, 0, 0), (1, 0, 1), (2, 0, 2), (3, 1, 0), (4, 1, 1), (5, 1, 2)]);
    let asked = key_frames_asked(&house, ann);
    house.run(Duration::from_secs(1));
    assert_eq!(key_frames_asked(&house, ann), asked, "another one is not asked for");
    assert_eq!(house.counters(), [].into());
}

#[test]
fn picture_ids_do_not_go_back_when_the_last_packet_of_a_publisher_was_late() {
    let mut house = House::new(20);
    let ann = house.member("r", "ann", 1);
    let bob = house.member("r", "bob", 1);
    film(&mut house, ann, 0, 5, true);
    // A packet of the picture before comes last.
    let next = house.guests[ann].client.media[CAMERA].sequence[0].0;
    let late = vec![7; 900];
    for (seq, picture) in [(next + 1, 6), (next, 5)] {
        let mut payload = late.clone();
        payload[..6].copy_from_slice(&[0x90, 0xc0, 0x80, picture, picture, 1]);
        house.guests[ann].client.media[CAMERA].sequence[0].0 = seq;
        house.send_video(ann, 96, u32::from(picture) * 3600, &payload);
    }
    house.run(FRAME);
    house.sfu.leave(house.now, house.guests[ann].id, Gone::Left);
    house.run(FRAME);
    let cid = house.member("r", "cid", 1);
    film(&mut house, cid, 900, 1, true);
    let video = house.video(bob);
    let picture = |payload: &[u8]| u16::from_be_bytes([payload[2] & 0x7f, payload[3]]);
    let [.., newest, late, first, _] = &video[..] else {
        panic!("{} packets", video.len())
    };
    assert_eq!(newest.1, late.1 + 1, "the last two change places");
    assert_eq!(picture(&first.3), (picture(&newest.3) + 1) & 0x7fff);
}

#[test]
fn a_codec_that_is_negotiated_away_is_not_sent_any_more() {
    let mut house = House::new(21);
    let ann = house.member("r", "ann", 1);
    let bob = house.member("r", "bob", 1);
    film(&mut house, ann, 0, 5, true);
    assert_eq!(house.video(bob).len(), 10);
    house.guests[bob].edit = |offer| offer.replace("VP8/", "VP7/");
    house.negotiate(bob);
    film(&mut house, ann, 5, 5, false);
    assert_eq!(house.video(bob).len(), 10);
    assert_eq!(is_told_undecodable(&house, bob), 1);
}

#[test]
fn a_recycled_slot_carries_whom_its_stream_carries() {
    let mut house = House::new(22);
    let ann = house.member("r", "ann", 2);
    let bob = house.member("r", "bob", 2);
    let cid = house.member("r", "cid", 2);
    // Ann's sections: microphone, camera, then two pairs. The sound of the first pair is stopped and begun anew.
    house.guests[ann].client.media[2].stopped = true;
    house.negotiate(ann);
    house.guests[ann].client.recycle(2, Kind::Audio, Direction::RecvOnly);
    house.negotiate(ann);
    house.run(Duration::from_millis(100));
    let answer = house.guests[ann].answers.last().unwrap();
    let stream_of = |mid: &str| {
        let section = answer
            .split("m=")
            .find(|section| section.contains(&format!("a=mid:{mid}\r\n")));
        let msid = section.unwrap().split("a=msid:").nth(1).unwrap();
        msid.split_whitespace().next().unwrap().to_owned()
    };
    let told = house.guests[ann].events.iter().rev().find_map(|event| match event {
        Event::Slots(slots) => Some(slots),
        _ => None,
    });
    let mut streams: std::collections::BTreeMap<String, Vec<(bool, String)>> = Default::default();
    for slot in told.unwrap() {
        let (_, name, _) = slot.carries.as_ref().unwrap();
        let stream = streams.entry(stream_of(&slot.mid)).or_default();
        stream.push((slot.video, name.to_string()));
    }
    assert_eq!(streams.len(), 2);
    for (stream, slots) in &streams {
        let [(a, first), (b, second)] = &slots[..] else {
            panic!("{stream} has {slots:?}");
        };
        assert!(a != b && first == second, "{stream} has {slots:?}");
    }
    let _ = (bob, cid);
}

#[test]
fn a_camera_that_is_exchanged_for_another_goes_on_in_the_slot() {
    let mut house = House::new(53);
    let ann = house.member("r", "ann", 1);
    let bob = house.member("r", "bob", 1);
    film(&mut house, ann, 0, 5, true);
    // In one offer, so that what others are told of her is as before.
    house.guests[ann].client.media[CAMERA].stopped = true;
    let camera = house.guests[ann].client.add(Kind::Video, Direction::SendOnly);
    house.guests[bob].events.clear();
    house.negotiate(ann);
    house.run(FRAME);
    assert_eq!(told_of_sources(&house, bob), []);
    for n in 0..5 {
        house.send_frame(ann, camera, 90_000 + n * 3600, n as u16, n == 0, 2);
        house.run(FRAME);
    }
    let video = house.video(bob);
    assert_eq!(video.len(), 20);
    assert!(video.windows(2).all(|w| w[1].1 == w[0].1 + 1 && w[1].0 == w[0].0));
}

#[test]
fn there_are_no_more_participants_than_are_allowed() {
    let mut config = house::config();
    config.max_participants = 2;
    let mut house = House::with_config(23, config);
    house.enter("r", "ann", Role::Member);
    let echo = house.enter("", "echo", Role::Echo);
    for (room, role) in [("", Role::Echo), ("new", Role::Member)] {
        let refused = house.sfu.join(house.now, room, "late", role);
        assert_eq!(refused, Err(JoinError::TooManyParticipants));
    }
    assert_eq!(house.sfu.len(), (1, 2), "and no room was made in vain");
    house.sfu.leave(house.now, house.guests[echo].id, Gone::Left);
    house.run(FRAME);
    house.enter("", "echo", Role::Echo);
}

/// Somebody whose picture and sound are watched: when what was sent last was taken, in milliseconds, and the
/// publisher's clocks.
struct Publisher {
    guest: usize,
    taken: [u64; 2],
    first: [u32; 2],
    wall: Duration,
    pictures: u16,
}

impl Publisher {
    fn timestamp(&self, section: usize, taken: u64) -> u32 {
        let rate = if section == MICROPHONE { 48 } else { 90 };
        self.first[section].wrapping_add((taken * rate) as u32)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whoever comes and goes or begins anew, however long packets and reports are on their way and whatever reports
    /// say: the house finds that no packet is placed before one with a lower number.
    #[test]
    fn timestamps_only_grow(steps in proptest::collection::vec((0u8..20, 0u64..60, 0u64..300), 50..200), first: [u32; 2]) {
        let mut house = House::new(70);
        let bob = house.member("r", "bob", 1);
        let mut publisher: Option<Publisher> = None;
        for (what, pass, delay) in steps {
            house.run(Duration::from_millis(pass));
            let mut own = publisher.take().unwrap_or_else(|| Publisher {
                guest: house.member("r", "ann", 0),
                taken: [0; 2],
                first: [first[0].wrapping_add(pass as u32 * 7_000_000), first[1]],
                wall: Duration::from_millis(pass * 1_000_000),
                pictures: first[1] as u16,
            });
            let now = (house.now - house.start).as_millis() as u64;
            match what {
                0 => {
                    house.sfu.leave(house.now, house.guests[own.guest].id, Gone::Left);
                    house.run(Duration::from_millis(1));
                    continue;
                }
                1 => {
                    let media = &mut house.guests[own.guest].client.media[delay as usize % 2];
                    media.ssrcs[0].0 = Ssrc(media.ssrcs[0].0.0 + 7_000);
                    own.first[delay as usize % 2] = first[0] ^ delay as u32;
                }
                2..=4 => {
                    let section = usize::from(what) % 2;
                    let taken = now.saturating_sub(delay / 10);
                    let wild = if what == 4 { delay as u32 * 3_000 } else { 0 };
                    let timestamp = own.timestamp(section, taken).wrapping_add(wild);
                    let wall = own.wall + Duration::from_millis(taken);
                    house.send_report(own.guest, section, wall, timestamp);
                }
                5..=11 => {
                    let taken = (own.taken[0] + 20).max(now.saturating_sub(delay));
                    own.taken[0] = taken;
                    house.send_sound(own.guest, MICROPHONE, own.timestamp(MICROPHONE, taken), 20);
                }
                _ => {
                    let taken = (own.taken[1] + 11).max(now.saturating_sub(delay));
                    own.taken[1] = taken;
                    own.pictures = own.pictures.wrapping_add(1);
                    let timestamp = own.timestamp(CAMERA, taken);
                    house.send_frame(own.guest, CAMERA, timestamp, own.pictures, delay % 3 == 0, 2);
                }
            }
            publisher = Some(own);
        }
        house.run(FRAME);
        let _ = bob;
    }
}
