//! Simulcast in virtual time: everybody gets the layer that its tile wants, with numbers and time that go on, and a
//! publisher is told what nobody looks at.

mod house;

use std::collections::HashSet;
use std::time::Duration;

use house::House;
use peer::testing::Resend;
use peer::{Direction, Extension, Kind};
use proptest::prelude::*;
use rtp::rtcp::{Compound, Nack, Packet};
use rtp::{PayloadType, RtpOut, Ssrc};
use sfu::{Event, Gone, Paused, Picture, Role, SourceKind, SourceLabel, View};

const FRAME: Duration = Duration::from_millis(40);
/// How much later the next layer of a picture comes.
const STAGGER: Duration = Duration::from_millis(6);
const NO_COUNTERS: [(&str, u64); 0] = [];
const RIDS: [&str; 3] = ["q", "h", "f"];
const SIZES: [(u16, u16); 3] = [(320, 180), (640, 360), (1280, 720)];
/// Where the clocks of the layers begin.
const CLOCKS: [u32; 3] = [0xffff_0000, 77_777, 0x8000_0000];
/// Packets of a frame of each layer, and of its key frames.
const PACKETS: [u32; 3] = [1, 2, 3];

/// A camera that sends three layers, as browsers do it: it gives key frames that it is asked for, the larger layer
/// first.
struct Camera {
    guest: usize,
    section: usize,
    /// Whether each layer is encoded.
    encoded: [bool; 3],
    /// Whether it does what it is told of what is wanted.
    obeys: bool,
    key: [bool; 3],
    sizes: [(u16, u16); 3],
    asked: [usize; 3],
    pictures: [u16; 3],
    rtcp_seen: usize,
    events_seen: usize,
    told: Vec<(bool, Vec<String>)>,
}

impl Camera {
    fn new(house: &mut House, name: &str) -> Self {
        let guest = house.enter("r", name, Role::Member);
        let client = &mut house.guests[guest].client;
        client.add(Kind::Audio, Direction::SendOnly);
        let section = client.add_simulcast(&RIDS);
        house.connect(guest);
        Self {
            guest,
            section,
            encoded: [true; 3],
            obeys: true,
            key: [true; 3],
            sizes: SIZES,
            asked: [0; 3],
            pictures: [0x7ff0, 5, 1000],
            rtcp_seen: 0,
            events_seen: 0,
            told: Vec::new(),
        }
    }

    /// Looks what it was asked for and told.
    fn look(&mut self, house: &House) {
        let guest = &house.guests[self.guest];
        let ssrcs = &guest.client.media[self.section].ssrcs;
        for compound in &guest.client.rtcp[self.rtcp_seen..] {
            for packet in Compound::parse(compound).unwrap().packets().flatten() {
                if let Packet::Pli(pli) = packet
                    && let Some(layer) = ssrcs.iter().position(|(media, _)| *media == pli.media)
                {
                    self.key[layer] = true;
                    self.asked[layer] += 1;
                }
            }
        }
        self.rtcp_seen = guest.client.rtcp.len();
        let mid = &guest.client.media[self.section].mid;
        for event in &guest.events[self.events_seen..] {
            if let Event::Send { mid: of, active, rids } = event
                && of == mid
            {
                assert_eq!(*active, !rids.is_empty());
                self.told.push((*active, rids.clone()));
            }
        }
        self.events_seen = guest.events.len();
    }

    /// The layers that it sends now.
    fn sends(&self, layer: usize) -> bool {
        let told = self.told.last().filter(|_| self.obeys);
        self.encoded[layer] && told.is_none_or(|(_, rids)| rids.iter().any(|rid| rid == RIDS[layer]))
    }

    /// Sends one frame of each layer that was taken at this time.
    fn frame(&mut self, house: &mut House, time: Duration) {
        self.look(house);
        for layer in (0..3).rev() {
            if !self.sends(layer) {
                // An encoder that begins again begins with a key frame.
                self.key[layer] = true;
                continue;
            }
            let key = std::mem::take(&mut self.key[layer]);
            self.pictures[layer] = (self.pictures[layer] + 1) & 0x7fff;
            for packet in 0..PACKETS[layer] {
                let plain = self.packet(layer, time, packet, key);
                self.send(house, layer, time, packet + 1 == PACKETS[layer], &plain);
            }
            // The pacer lets one layer wait for another.
            house.exchange();
            house.run(STAGGER);
        }
    }

    fn packet(&self, layer: usize, time: Duration, packet: u32, key: bool) -> Vec<u8> {
        let mut payload = vec![7; 900];
        let start = if packet == 0 { 0x10 } else { 0 };
        let [high, low] = self.pictures[layer].to_be_bytes();
        payload[..5].copy_from_slice(&[0x80 | start, 0xc0, 0x80 | high, low, low]);
        payload[5] = u8::from(!key);
        let (width, height) = self.sizes[layer];
        payload[8..11].copy_from_slice(&[0x9d, 0x01, 0x2a]);
        payload[11..13].copy_from_slice(&width.to_le_bytes());
        payload[13..15].copy_from_slice(&height.to_le_bytes());
        payload[20] = layer as u8;
        payload[21] = packet as u8;
        payload[22] = u8::from(key);
        payload[24..28].copy_from_slice(&(time.as_millis() as u32).to_be_bytes());
        payload
    }

    fn send(&self, house: &mut House, layer: usize, time: Duration, marker: bool, payload: &[u8]) {
        let client = &mut house.guests[self.guest].client;
        let number = client.next_transport_number();
        let media = &client.media[self.section];
        let (mid, rid) = (media.mid.clone(), media.rids[layer].clone());
        let own = [
            (Extension::Mid, mid.as_bytes()),
            (Extension::TransportCc, &number),
            (Extension::Rid, rid.as_bytes()),
        ];
        let extensions = own.map(|(extension, value)| (client.extension_id(extension), value));
        let media = &mut client.media[self.section];
        let header = RtpOut {
            payload_type: PayloadType(96),
            marker,
            sequence_number: media.sequence[layer].0,
            timestamp: timestamp(layer, time),
            ssrc: media.ssrcs[layer].0,
            extensions: &extensions,
            ..RtpOut::default()
        };
        media.sequence[layer].0 += 1;
        let packet = client.seal_rtp(&header, payload);
        client.send(packet);
    }

    /// Tells the wallclock of each layer.
    fn report(&self, house: &mut House, time: Duration) {
        let client = &mut house.guests[self.guest].client;
        for layer in 0..3 {
            let info = rtp::rtcp::SenderInfo {
                ssrc: client.media[self.section].ssrcs[layer].0,
                ntp: rtp::ntp::NtpTime::from_unix(Duration::from_secs(1_000_000) + time),
                rtp_timestamp: timestamp(layer, time),
                packet_count: 7,
                octet_count: 6300,
            };
            client.send_rtcp(|w| rtp::rtcp::SenderReport::write(w, &info, [], &[]));
        }
    }
}

fn timestamp(layer: usize, time: Duration) -> u32 {
    CLOCKS[layer].wrapping_add((time.as_millis() * 90) as u32)
}

/// A room with one camera and those who look at it.
struct Studio {
    house: House,
    camera: Camera,
    frames: u32,
}

impl Studio {
    fn new(run: u64) -> Self {
        let mut house = House::new(run);
        let camera = Camera::new(&mut house, "cam");
        Self {
            house,
            camera,
            frames: 0,
        }
    }

    /// Somebody comes who only looks, and shows pictures in this size.
    fn viewer(&mut self, name: &str, size: Option<(u16, u16)>) -> usize {
        let guest = self.house.enter("r", name, Role::Member);
        let client = &mut self.house.guests[guest].client;
        client.add(Kind::Audio, Direction::RecvOnly);
        client.add(Kind::Video, Direction::RecvOnly);
        if let Some(size) = size {
            self.show(guest, size);
        }
        self.house.connect(guest);
        guest
    }

    /// From now on somebody shows the camera's picture in this size.
    fn show(&mut self, guest: usize, (width, height): (u16, u16)) {
        let view = View {
            pictures: vec![Picture {
                participant: self.house.guests[self.camera.guest].id,
                kind: SourceKind::Camera,
                width,
                height,
            }],
            ..View::default()
        };
        let id = self.house.guests[guest].id;
        self.house.sfu.set_view(self.house.now, id, view).unwrap();
    }

    fn film(&mut self, frames: u32) {
        for _ in 0..frames {
            let time = FRAME * self.frames;
            if self.frames % 25 == 3 {
                self.camera.report(&mut self.house, time);
            }
            let next = self.house.now + FRAME;
            self.camera.frame(&mut self.house, time);
            self.frames += 1;
            self.house.run(next - self.house.now);
        }
        self.camera.look(&self.house);
    }

    /// Everything that somebody received of the picture, held to what a decoder and a player rely on.
    fn received(&self, guest: usize) -> Vec<Seen> {
        let seen: Vec<Seen> = self.house.video(guest).iter().map(Seen::new).collect();
        check(&seen);
        seen
    }

    /// The layer of what somebody received last.
    fn layer(&self, guest: usize) -> Option<usize> {
        self.received(guest).last().map(|seen| seen.layer)
    }

    /// What somebody was told last of its slot for pictures.
    fn told(&self, guest: usize) -> Option<(Option<String>, Option<Paused>)> {
        let events = self.house.guests[guest].events.iter().rev();
        events.clone().find_map(|event| match event {
            Event::Layer { rid, paused, .. } => Some((rid.clone(), *paused)),
            _ => None,
        })
    }

    /// What the camera was told last to send.
    fn wanted(&self) -> Vec<&str> {
        let told = self.camera.told.last().expect("it was told something");
        told.1.iter().map(String::as_str).collect()
    }
}

/// A packet of the picture as it was received.
#[derive(Debug, Clone)]
struct Seen {
    ssrc: u32,
    sequence: u64,
    timestamp: u32,
    picture: u16,
    tl0: u8,
    layer: usize,
    packet: u32,
    key: bool,
    /// When it was taken, in milliseconds.
    time: u32,
}

impl Seen {
    fn new((ssrc, sequence, timestamp, payload): &(u32, u64, u32, Vec<u8>)) -> Self {
        Self {
            ssrc: *ssrc,
            sequence: *sequence,
            timestamp: *timestamp,
            picture: u16::from_be_bytes([payload[2] & 0x7f, payload[3]]),
            tl0: payload[4],
            layer: usize::from(payload[20]),
            packet: u32::from(payload[21]),
            key: payload[22] == 1,
            time: u32::from_be_bytes(payload[24..28].try_into().unwrap()),
        }
    }
}

/// One stream, whatever layers it is made of: numbers without a gap, picture ids that count pictures, time that goes on
/// as it does, and another layer only with its key frame, from its first packet on.
fn check(seen: &[Seen]) {
    let Some(first) = seen.first() else { return };
    assert!(first.key && first.packet == 0, "it begins with a key frame: {first:?}");
    // By how much timestamps are ahead of what they should be.
    let ahead = |one: &Seen| {
        let expected = (one.time.wrapping_sub(first.time)).wrapping_mul(90);
        one.timestamp
            .wrapping_sub(first.timestamp)
            .wrapping_sub(expected)
            .cast_signed()
            / 90
    };
    for pair in seen.windows(2) {
        let [before, after] = pair else { unreachable!() };
        let context = format!("{before:?}\n{after:?}");
        assert_eq!(after.ssrc, before.ssrc, "{context}");
        assert_eq!(after.sequence, before.sequence + 1, "{context}");
        assert!(
            (-60..=60).contains(&ahead(after)),
            "{} ms ahead: {context}",
            ahead(after)
        );
        if after.layer == before.layer && after.time == before.time {
            assert_eq!(
                (after.picture, after.tl0, after.timestamp),
                (before.picture, before.tl0, before.timestamp)
            );
            assert_eq!(after.packet, before.packet + 1, "{context}");
            continue;
        }
        assert_eq!(after.picture, (before.picture + 1) & 0x7fff, "{context}");
        assert_eq!(after.tl0, before.tl0.wrapping_add(1), "{context}");
        let step = after.timestamp.wrapping_sub(before.timestamp);
        assert!((1..1 << 31).contains(&step), "{context}");
        assert_eq!(after.packet, 0, "{context}");
        if after.layer == before.layer {
            assert_eq!(before.packet + 1, PACKETS[before.layer], "{context}");
        } else {
            assert!(after.key, "another layer begins with a key frame: {context}");
        }
    }
}

#[test]
fn everybody_gets_the_layer_that_its_tile_wants() {
    let mut studio = Studio::new(1);
    let viewers = [
        studio.viewer("small", Some((300, 170))),
        studio.viewer("usual", None),
        studio.viewer("large", Some((1900, 1070))),
    ];
    studio.film(50);
    for (layer, &viewer) in viewers.iter().enumerate() {
        assert_eq!(studio.layer(viewer), Some(layer));
        assert_eq!(studio.told(viewer), Some((Some(RIDS[layer].into()), None)));
        let seen = studio.received(viewer);
        assert!(seen[0].time <= 120, "begun at once: {} ms", seen[0].time);
        // At the latest with the second key frame it has what it wants.
        assert!(seen.iter().all(|seen| seen.layer == layer || seen.time < 700));
    }
    assert_eq!(studio.camera.told, [], "all are wanted");
    assert_eq!(studio.house.counters(), NO_COUNTERS.into());
}

#[test]
fn another_size_brings_another_layer_within_two_seconds() {
    let mut studio = Studio::new(2);
    let viewer = studio.viewer("bob", Some((300, 170)));
    studio.film(30);
    for (size, layer) in [
        ((1280, 720), 2),
        ((640, 360), 1),
        ((320, 180), 0),
        ((640, 360), 1),
        ((1280, 720), 2),
        ((100, 100), 0),
    ] {
        studio.show(viewer, size);
        let before = studio.received(viewer).len();
        studio.film(50);
        assert_eq!(studio.layer(viewer), Some(layer), "{size:?}");
        let seen = studio.received(viewer);
        let frames: HashSet<u32> = seen[before..].iter().map(|seen| seen.time).collect();
        assert!(frames.len() >= 49, "pictures go on meanwhile: {} of 50", frames.len());
    }
    // By a few pixels nothing changes.
    let (told, asked) = (studio.house.guests[viewer].events.len(), studio.camera.asked);
    for width in [330, 345, 359, 320] {
        studio.show(viewer, (width, width * 9 / 16));
        studio.film(5);
        assert_eq!(studio.layer(viewer), Some(0));
    }
    assert_eq!(
        (studio.house.guests[viewer].events.len(), studio.camera.asked),
        (told, asked)
    );
    assert_eq!(studio.house.counters(), NO_COUNTERS.into());
}

#[test]
fn who_comes_into_a_running_call_does_not_climb_from_layer_to_layer() {
    let mut studio = Studio::new(18);
    let first = studio.viewer("bob", Some((640, 360)));
    studio.film(100);
    assert_eq!(studio.wanted(), ["h"]);
    // It may begin with the smallest, but goes from there to its own, as soon as that is turned on.
    let begin = FRAME * studio.frames;
    let viewer = studio.viewer("cid", Some((1280, 720)));
    studio.film(100);
    let seen = studio.received(viewer);
    let layers: Vec<usize> = seen
        .chunk_by(|a, b| a.layer == b.layer)
        .map(|same| same[0].layer)
        .collect();
    assert!(layers.len() <= 2 && layers.last() == Some(&2), "{layers:?}");
    let since = |seen: Option<&Seen>| seen.map(|seen| u64::from(seen.time) - begin.as_millis() as u64);
    let large = since(seen.iter().find(|seen| seen.layer == 2));
    assert!(large.is_some_and(|large| large <= 600), "{large:?} ms");
    assert!(since(seen.first()).is_some_and(|first| first <= 600));
    assert_eq!(studio.layer(first), Some(1));
    assert_eq!(studio.house.counters(), NO_COUNTERS.into());
}

#[test]
fn a_sender_report_follows_each_switch() {
    let mut studio = Studio::new(3);
    let viewer = studio.viewer("bob", Some((300, 170)));
    studio.film(30);
    let ssrc = studio.received(viewer)[0].ssrc;
    studio.house.guests[viewer].client.rtcp.clear();
    studio.show(viewer, (1280, 720));
    let mut switched = None;
    for _ in 0..25 {
        studio.film(1);
        if studio.layer(viewer) == Some(2) {
            switched = Some(studio.house.rtcp(viewer));
            break;
        }
    }
    let mut reports = switched
        .expect("it was switched")
        .into_iter()
        .filter_map(|packet| match packet {
            Packet::SenderReport(report) if report.info.ssrc.0 == ssrc => Some(report.info),
            _ => None,
        });
    let seen = studio.received(viewer);
    let last = seen.last().unwrap();
    let report = reports.next_back().expect("a report at once");
    let apart = report.rtp_timestamp.wrapping_sub(last.timestamp).cast_signed();
    assert!(apart.abs() < 90 * 100, "{apart}");
}

#[test]
fn a_layer_that_stops_is_replaced_and_comes_back() {
    let mut studio = Studio::new(4);
    let viewer = studio.viewer("bob", Some((1280, 720)));
    let other = studio.viewer("cid", Some((320, 180)));
    studio.film(50);
    assert_eq!((studio.layer(viewer), studio.layer(other)), (Some(2), Some(0)));
    // Of the middle layer, which nobody wants, nothing comes any more.
    studio.film(80);
    studio.camera.encoded = [true, true, false];
    studio.film(50);
    assert_eq!(studio.layer(viewer), Some(1), "the layer below was turned on");
    let seen = studio.received(viewer);
    let longest = seen.windows(2).map(|pair| pair[1].time - pair[0].time).max().unwrap();
    assert!((700..=1100).contains(&longest), "{longest} ms without a picture");
    studio.camera.encoded = [true; 3];
    studio.film(75);
    assert_eq!(studio.layer(viewer), Some(2));
    // Now it comes for a moment only, again and again: nobody is sent up and down.
    let begin = studio.received(viewer).len();
    for _ in 0..8 {
        studio.camera.encoded = [true, true, false];
        studio.film(25);
        studio.camera.encoded = [true; 3];
        studio.film(10);
    }
    let seen = studio.received(viewer);
    let switches = seen[begin..].windows(2).filter(|pair| pair[0].layer != pair[1].layer);
    assert!(switches.count() <= 2);
    assert_eq!(studio.house.counters(), NO_COUNTERS.into());
}

#[test]
fn when_the_only_layer_stops_those_below_are_wanted() {
    let mut studio = Studio::new(5);
    let viewer = studio.viewer("bob", Some((1280, 720)));
    studio.film(100);
    assert_eq!(studio.wanted(), ["f"]);
    studio.camera.encoded = [true, true, false];
    studio.film(100);
    assert_eq!(studio.layer(viewer), Some(1));
    assert_eq!(studio.wanted(), RIDS);
    let seen = studio.received(viewer);
    let longest = seen.windows(2).map(|pair| pair[1].time - pair[0].time).max().unwrap();
    assert!(longest < 3000, "{longest} ms without a picture");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Whatever is shown in which size, and whichever layers come, each viewer gets one stream without a gap and
    /// without a step in time, and in the end the layer that it wants.
    #[test]
    fn numbers_and_time_go_on(steps in proptest::collection::vec((0u8..8, 0usize..5, 1u32..40), 5..25), obeys: bool) {
        let sizes = [(100, 100), (640, 360), (1280, 720), (1920, 1080), (0, 0)];
        let mut studio = Studio::new(18);
        studio.camera.obeys = obeys;
        let viewers = [studio.viewer("bob", None), studio.viewer("cid", Some((1280, 720)))];
        for (what, which, frames) in steps {
            match what {
                0 => studio.camera.encoded = [which != 0, which != 1, which != 2],
                1 => studio.camera.encoded = [which == 0, which == 1, which == 2],
                2..=4 => studio.show(viewers[usize::from(what & 1)], sizes[which]),
                _ => studio.camera.encoded = [true; 3],
            }
            studio.film(frames);
        }
        studio.camera.encoded = [true; 3];
        studio.show(viewers[0], (640, 360));
        studio.show(viewers[1], (300, 200));
        studio.film(150);
        prop_assert_eq!(studio.layer(viewers[0]), Some(1));
        prop_assert_eq!(studio.layer(viewers[1]), Some(0));
        prop_assert_eq!(studio.house.counters(), NO_COUNTERS.into());
    }
}

#[test]
fn what_nobody_wants_is_not_sent_and_what_somebody_wants_is_at_once() {
    let mut studio = Studio::new(6);
    studio.film(50);
    assert_eq!(studio.camera.told, [], "not at once");
    studio.film(20);
    assert_eq!(studio.camera.told, [(false, vec![])], "nobody is there");
    let viewer = studio.viewer("bob", Some((320, 180)));
    studio.camera.look(&studio.house);
    assert_eq!(studio.wanted(), ["q"]);
    let before = studio.frames;
    studio.film(25);
    let first = studio.received(viewer)[0].time;
    assert!(first <= before * 40 + 120, "{first}");
    studio.show(viewer, (1280, 720));
    studio.house.exchange();
    studio.camera.look(&studio.house);
    assert_eq!(
        studio.wanted(),
        ["q", "f"],
        "what is sent goes on until the other is there"
    );
    studio.film(100);
    assert_eq!((studio.wanted(), studio.layer(viewer)), (vec!["f"], Some(2)));
    // Not shown for a moment: nothing is told.
    let told = studio.camera.told.len();
    studio.show(viewer, (0, 0));
    studio.film(40);
    studio.show(viewer, (1280, 720));
    studio.film(100);
    assert_eq!(studio.camera.told.len(), told);
    studio.show(viewer, (0, 0));
    studio.film(80);
    assert_eq!(studio.camera.told.last(), Some(&(false, vec![])));
    assert_eq!(studio.house.counters(), NO_COUNTERS.into());
}

#[test]
fn a_picture_that_is_not_shown_is_not_sent() {
    let mut studio = Studio::new(7);
    let viewer = studio.viewer("bob", None);
    studio.film(25);
    studio.show(viewer, (0, 0));
    studio.film(1);
    assert_eq!(studio.told(viewer), Some((None, Some(Paused::Hidden))));
    let hidden = studio.received(viewer).len();
    studio.film(20);
    assert_eq!(studio.received(viewer).len(), hidden);
    let carries = |studio: &Studio| studio.house.slots(viewer)[1].1.clone();
    assert_eq!(carries(&studio), Some("cam".into()), "the slot is kept");
    studio.show(viewer, (640, 360));
    studio.film(1);
    assert_eq!(studio.told(viewer), Some((None, None)), "on its way");
    studio.film(25);
    assert_eq!(studio.told(viewer), Some((Some("h".into()), None)));
    let seen = studio.received(viewer);
    assert!(seen.len() > hidden + 20);
    assert_eq!(studio.house.counters(), NO_COUNTERS.into());
}

#[test]
fn a_camera_without_simulcast_is_told_too() {
    let mut house = House::new(8);
    let ann = house.member("r", "ann", 0);
    let mid = house.guests[ann].client.media[house::CAMERA].mid.clone();
    let told = |house: &House| -> Vec<bool> {
        let events = house.guests[ann].events.iter();
        let told = events.filter_map(|event| match event {
            Event::Send { mid: of, active, rids } => {
                assert!(*of == mid && rids.is_empty(), "never the microphone");
                Some(*active)
            }
            _ => None,
        });
        told.collect()
    };
    house.run(Duration::from_secs(4));
    assert_eq!(told(&house), [false]);
    let bob = house.member("r", "bob", 1);
    assert_eq!(told(&house), [false, true]);
    house.guests[ann].events.clear();
    house.sfu.tell_again(house.guests[ann].id).unwrap();
    house.exchange();
    assert_eq!(told(&house), [true], "once more");
    house.sfu.leave(house.now, house.guests[bob].id, Gone::Left);
    house.run(Duration::from_secs(4));
    assert_eq!(told(&house), [true, false]);
}

#[test]
fn nobody_is_made_to_switch_all_the_time() {
    let mut studio = Studio::new(22);
    let viewer = studio.viewer("bob", None);
    studio.camera.obeys = false;
    studio.film(50);
    let begin = studio.received(viewer).len();
    // Each frame is a key frame, and the one that the viewer wants is of another size each time.
    for frame in 0..100 {
        studio.camera.key = [true; 3];
        studio.camera.sizes[1] = if frame % 2 == 0 { (100, 60) } else { SIZES[1] };
        studio.film(1);
    }
    let seen = studio.received(viewer);
    let switches = seen[begin..].windows(2).filter(|pair| pair[0].layer != pair[1].layer);
    let switches = switches.count();
    assert!(switches <= 5, "{switches} in four seconds");
    // What it is in the end counts.
    studio.camera.sizes[1] = (100, 60);
    studio.camera.key = [true; 3];
    studio.film(50);
    assert_eq!(studio.layer(viewer), Some(2));
}

#[test]
fn nobody_is_asked_for_key_frames_of_layers_that_the_viewer_cannot_decode() {
    let mut studio = Studio::new(21);
    // It does what it wants, so that nothing but requests makes it send key frames.
    studio.camera.obeys = false;
    let guest = studio.house.enter("r", "bob", Role::Member);
    studio.house.guests[guest].edit = |offer| offer.replace("VP8/", "VP7/");
    let client = &mut studio.house.guests[guest].client;
    client.add(Kind::Audio, Direction::RecvOnly);
    client.add(Kind::Video, Direction::RecvOnly);
    studio.house.connect(guest);
    studio.film(25);
    assert_eq!(studio.house.video(guest), []);
    let asked = studio.camera.asked;
    studio.film(50);
    assert_eq!(studio.camera.asked, asked, "in two seconds");
}

#[test]
fn a_screen_that_is_shared_a_second_time_is_wanted_again() {
    let mut house = House::new(20);
    let ann = house.member("r", "ann", 0);
    let mid = house.guests[ann].client.media[house::CAMERA].mid.clone();
    house.run(Duration::from_secs(4));
    house.guests[ann].client.media[house::CAMERA].direction = Direction::Inactive;
    house.negotiate(ann);
    house.run(FRAME);
    house.member("r", "bob", 1);
    house.guests[ann].client.media[house::CAMERA].direction = Direction::SendOnly;
    house.negotiate(ann);
    house.run(FRAME);
    let told = house.guests[ann].events.iter().filter_map(|event| match event {
        Event::Send { mid: of, active, .. } if *of == mid => Some(*active),
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), [false, true]);
}

/// Asks for packets again, and gives how many retransmissions came of it.
fn nack(studio: &mut Studio, viewer: usize, sequences: &[u64]) -> usize {
    let ssrc = studio.received(viewer)[0].ssrc;
    let before = studio.house.guests[viewer].client.rtp.len();
    for &sequence in sequences {
        studio.house.guests[viewer].client.send_rtcp(|w| {
            let lost = [sequence as u16];
            Nack::write(w, Ssrc(1), Ssrc(ssrc), lost)
        });
    }
    studio.house.exchange();
    studio.house.run(FRAME / 2);
    let received = &studio.house.guests[viewer].client.rtp[before..];
    received.iter().filter(|received| received.ssrc.0 != ssrc).count()
}

#[test]
fn nothing_of_the_layer_before_is_sent_again() {
    let mut studio = Studio::new(9);
    let viewer = studio.viewer("bob", Some((320, 180)));
    studio.film(25);
    studio.show(viewer, (1280, 720));
    studio.film(25);
    let seen = studio.received(viewer);
    let switch = seen.iter().rposition(|seen| seen.layer != 2).unwrap() + 1;
    let before: Vec<u64> = seen[switch - 5..switch].iter().map(|seen| seen.sequence).collect();
    let after: Vec<u64> = seen[switch..switch + 5].iter().map(|seen| seen.sequence).collect();
    assert_eq!(nack(&mut studio, viewer, &before), 0);
    assert_eq!(studio.house.counters(), [("nack_unanswered", 5)].into());
    // The house compares each with the packet itself.
    assert_eq!(nack(&mut studio, viewer, &after), 5);
}

#[test]
fn what_comes_late_of_the_layer_before_is_for_nobody() {
    let mut studio = Studio::new(10);
    let viewer = studio.viewer("bob", Some((320, 180)));
    studio.camera.obeys = false;
    studio.house.guests[studio.camera.guest].client.resend = Resend::Rtx;
    studio.film(25);
    // A packet of the small layer is held back until the large one has taken over.
    let media = &mut studio.house.guests[studio.camera.guest].client.media[studio.camera.section];
    let held = media.sequence[0].0;
    media.sequence[0].0 += 1;
    let late = FRAME * (studio.frames - 1) + FRAME / 2;
    studio.show(viewer, (1280, 720));
    for _ in 0..25 {
        studio.film(1);
        if studio.told(viewer) == Some((Some("f".into()), None)) {
            break;
        }
    }
    let count = studio.house.video(viewer).len();
    assert_eq!(Seen::new(studio.house.video(viewer).last().unwrap()).layer, 2);
    let plain = studio.camera.packet(0, late, 0, false);
    let media = &mut studio.house.guests[studio.camera.guest].client.media[studio.camera.section];
    let next = std::mem::replace(&mut media.sequence[0].0, held);
    studio.camera.send(&mut studio.house, 0, late, true, &plain);
    studio.house.guests[studio.camera.guest].client.media[studio.camera.section].sequence[0].0 = next;
    studio.house.exchange();
    studio.house.run(FRAME / 2);
    assert_eq!(studio.house.video(viewer).len(), count);
    // And it can be gone back to.
    studio.show(viewer, (320, 180));
    studio.film(50);
    let sequences: HashSet<u64> = studio.house.video(viewer).iter().map(|one| one.1).collect();
    assert_eq!(sequences.len(), studio.house.video(viewer).len(), "no number twice");
    let counters = studio.house.counters();
    assert!(!counters.contains_key("srtp_index_reuse"), "{counters:?}");
}

#[test]
fn a_slot_goes_from_person_to_person_between_layers() {
    let mut studio = Studio::new(11);
    let viewer = studio.viewer("bob", Some((1280, 720)));
    studio.film(50);
    // In the middle of a switch it changes hands.
    studio.show(viewer, (320, 180));
    studio.house.exchange();
    let first = std::mem::replace(&mut studio.camera, Camera::new(&mut studio.house, "two"));
    studio
        .house
        .sfu
        .leave(studio.house.now, studio.house.guests[first.guest].id, Gone::Left);
    let before = studio.house.video(viewer).len();
    studio.camera.pictures = [1, 2, 3];
    studio.frames += 10;
    studio.film(50);
    assert_eq!(studio.house.slots(viewer)[1].1, Some("two".into()));
    let video = studio.house.video(viewer);
    assert!(video.len() > before + 50);
    let seen: Vec<Seen> = video.iter().map(Seen::new).collect();
    for pair in seen.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence + 1);
        assert!(pair[1].timestamp.wrapping_sub(pair[0].timestamp) < 1 << 31);
        assert!(pair[1].picture.wrapping_sub(pair[0].picture) & 0x7fff <= 1);
    }
    assert_eq!(seen.last().unwrap().layer, 1, "it is shown in the usual size");
    assert_eq!(studio.house.counters(), NO_COUNTERS.into());
}

#[test]
fn a_recycled_section_has_layers_of_its_own() {
    let mut studio = Studio::new(12);
    let viewer = studio.viewer("bob", Some((1280, 720)));
    studio.film(50);
    let (guest, section) = (studio.camera.guest, studio.camera.section);
    studio.house.guests[guest].client.media[section].stopped = true;
    studio.house.negotiate(guest);
    studio.film(0);
    studio.house.run(FRAME);
    assert_eq!(studio.house.slots(viewer)[1].1, None);
    let client = &mut studio.house.guests[guest].client;
    let fresh = client.add_simulcast(&RIDS);
    let media = client.media.remove(fresh);
    client.media[section] = media;
    studio.house.negotiate(guest);
    studio.house.run(FRAME);
    let before = studio.house.video(viewer).len();
    studio.film(50);
    let video = studio.house.video(viewer);
    assert!(video.len() > before + 50);
    assert!(video.windows(2).all(|pair| pair[1].1 == pair[0].1 + 1));
    assert_eq!(Seen::new(video.last().unwrap()).layer, 2);
    let counters = studio.house.counters();
    assert!(!counters.contains_key("srtp_index_reuse"), "{counters:?}");
}

#[test]
fn a_screen_has_a_size_of_its_own() {
    let mut studio = Studio::new(13);
    let viewer = studio.viewer("bob", Some((320, 180)));
    let (guest, section) = (studio.camera.guest, studio.camera.section);
    let label = SourceLabel {
        mid: studio.house.guests[guest].client.media[section].mid.clone(),
        kind: SourceKind::Screen,
        muted: false,
    };
    let id = studio.house.guests[guest].id;
    studio.house.sfu.set_sources(studio.house.now, id, vec![label]).unwrap();
    studio.film(50);
    assert_eq!(studio.layer(viewer), Some(1), "nothing was said of a screen");
}

#[test]
fn losses_of_the_publisher_are_repaired_in_each_layer() {
    let mut studio = Studio::new(14);
    studio.house.guests[studio.camera.guest].client.resend = Resend::Rtx;
    let viewers = [
        studio.viewer("small", Some((300, 170))),
        studio.viewer("large", Some((1900, 1070))),
    ];
    studio.film(50);
    studio.house.lose = |n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % 100 < 5;
    studio.film(100);
    studio.house.lose = |_| false;
    studio.film(25);
    for (viewer, layer) in viewers.into_iter().zip([0, 2]) {
        let mut video: Vec<Seen> = studio.house.video(viewer).iter().map(Seen::new).collect();
        video.sort_by_key(|seen| seen.sequence);
        video.dedup_by_key(|seen| seen.sequence);
        let steady: Vec<&Seen> = video.iter().filter(|seen| seen.time >= 2000).collect();
        assert!(steady.windows(2).all(|pair| pair[1].sequence == pair[0].sequence + 1));
        assert!(steady.iter().all(|seen| seen.layer == layer));
        assert_eq!(steady.len() as u32, 125 * PACKETS[layer]);
    }
}

#[test]
fn a_viewer_without_a_page_gets_the_largest_layer() {
    let mut studio = Studio::new(15);
    let viewer = studio.house.enter(
        "r",
        "whep",
        Role::Viewer {
            source: Some("cam".into()),
        },
    );
    let client = &mut studio.house.guests[viewer].client;
    client.add(Kind::Audio, Direction::RecvOnly);
    client.add(Kind::Video, Direction::RecvOnly);
    studio.house.connect(viewer);
    studio.film(50);
    assert_eq!(studio.layer(viewer), Some(2));
}

#[test]
fn a_key_frame_of_another_layer_whose_first_packet_was_overtaken_is_whole() {
    let mut studio = Studio::new(16);
    let viewer = studio.viewer("bob", Some((320, 180)));
    studio.camera.obeys = false;
    studio.film(25);
    studio.show(viewer, (1280, 720));
    studio.house.run(FRAME);
    studio.camera.look(&studio.house);
    assert!(studio.camera.key[2], "it was asked for");
    // The key frame's packets come in the order 1, 2, 0.
    let time = FRAME * studio.frames;
    studio.camera.pictures[2] += 1;
    let first = studio.house.guests[studio.camera.guest].client.media[studio.camera.section].sequence[2].0;
    for packet in [1, 2, 0] {
        let client = &mut studio.house.guests[studio.camera.guest].client;
        client.media[studio.camera.section].sequence[2].0 = first + u64::from(packet);
        let plain = studio.camera.packet(2, time, packet, true);
        studio.camera.send(&mut studio.house, 2, time, packet == 2, &plain);
        studio.house.exchange();
        studio.house.run(Duration::from_millis(7));
    }
    let client = &mut studio.house.guests[studio.camera.guest].client;
    client.media[studio.camera.section].sequence[2].0 = first + 3;
    studio.house.run(FRAME);
    let mut video: Vec<Seen> = studio.house.video(viewer).iter().map(Seen::new).collect();
    video.sort_by_key(|seen| seen.sequence);
    check(&video);
    let at = time.as_millis() as u32;
    let large = video.iter().filter(|seen| seen.layer == 2 && seen.time == at);
    let large: Vec<u32> = large.map(|seen| seen.packet).collect();
    assert_eq!(large, [0, 1, 2]);
    assert_eq!(studio.told(viewer), Some((Some("f".into()), None)));
}

#[test]
fn of_more_layers_than_there_are_places_for_the_first_are_received() {
    let mut house = House::new(17);
    let ann = house.enter("r", "ann", Role::Member);
    let section = house.guests[ann].client.add_simulcast(&["a", "b", "c", "d", "e", "f"]);
    house.connect(ann);
    let bob = house.member("r", "bob", 1);
    let mut payload = vec![7; 900];
    payload[..6].copy_from_slice(&[0x90, 0x80, 0x80, 1, 0, 0]);
    for n in 0..10 {
        payload[3] = n as u8;
        for layer in 0..6 {
            house.guests[ann]
                .client
                .send_layer(section, layer, false, n * 3600, &payload);
        }
        house.exchange();
        house.run(FRAME);
    }
    let video = house.video(bob);
    assert!(video.len() >= 9, "{}", video.len());
    assert!(video.windows(2).all(|pair| pair[1].1 == pair[0].1 + 1));
    assert_eq!(house.counters(), [("unknown_source", 20)].into());
}
