//! Rooms of many, in virtual time: who is heard, who is seen, and that neither numbers nor time show it.

mod house;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use house::{CAMERA, House, MICROPHONE};
use peer::{Direction, Extension, Kind};
use proptest::prelude::*;
use sfu::{Event, Gone, SourceKind, SourceLabel, View};

/// What a packet of sound lasts.
const PACKET: Duration = Duration::from_millis(20);
const SPEECH: u8 = 25;
const SILENCE: u8 = 90;
const TOP_K: usize = 3;

/// A room in which everybody sends sound all the time, and some of them pictures.
struct Meeting {
    house: House,
    guests: Vec<usize>,
    frames: u16,
    /// How many anybody hears at once, at most.
    voices: usize,
    /// How much of what each guest received was looked at.
    looked: Vec<usize>,
    heard: Vec<Heard>,
}

/// What a guest heard in a while: how many packets of whom, and the SSRCs that they came on.
#[derive(Debug, Default, Clone)]
struct Heard {
    of: BTreeMap<u8, usize>,
    ssrcs: BTreeSet<u32>,
    /// By SSRC: the last number, and how far the timestamp was ahead of the time of arrival.
    streams: BTreeMap<u32, (u64, i64)>,
}

impl Meeting {
    fn new(run: u64, guests: usize, pairs: usize) -> Self {
        let mut meeting = Self {
            house: House::new(run),
            looked: Vec::new(),
            heard: Vec::new(),
            guests: Vec::new(),
            frames: 0,
            voices: TOP_K,
        };
        for _ in 0..guests {
            meeting.join(pairs);
        }
        meeting
    }

    fn join(&mut self, pairs: usize) {
        let name = self.house.guests.len().to_string();
        let guest = self.house.member("r", &name, pairs);
        self.guests.push(guest);
        self.looked.push(0);
        self.heard.push(Heard::default());
        self.look();
    }

    fn leave(&mut self, n: usize) {
        let guest = self.guests.remove(n);
        self.looked.remove(n);
        self.heard.remove(n);
        let id = self.house.guests[guest].id;
        self.house.sfu.leave(self.house.now, id, Gone::Left);
        self.house.run(PACKET);
        self.look();
    }

    /// For so many packets these speak and the others are silent. What is heard is looked at packet by packet.
    fn talk(&mut self, packets: u32, speakers: &[usize]) {
        for heard in &mut self.heard {
            heard.of.clear();
            heard.ssrcs.clear();
        }
        for _ in 0..packets {
            self.send(speakers);
            self.look();
        }
    }

    /// One packet of everybody.
    fn send(&mut self, speakers: &[usize]) {
        let timestamp = self.ticks() as u32;
        for (n, &guest) in self.guests.iter().enumerate() {
            let level = [if speakers.contains(&n) { SPEECH } else { SILENCE }];
            let level = [(Extension::AudioLevel, &level[..])];
            let payload = [0x78, guest as u8, 1, 2, 3, 4];
            self.house
                .send(guest, MICROPHONE, 111, timestamp, false, &level, &payload);
        }
        self.house.run(PACKET);
    }

    /// The time by a clock of 48 kHz.
    fn ticks(&self) -> i64 {
        (self.house.now - self.house.start).as_millis() as i64 * 48
    }

    fn look(&mut self) {
        let now = self.ticks();
        for (n, &guest) in self.guests.iter().enumerate() {
            let client = &self.house.guests[guest].client;
            let mut voices = BTreeSet::new();
            for received in &client.rtp[self.looked[n]..] {
                let packet = received.packet();
                if packet.payload_type().0 != 111 {
                    continue;
                }
                let heard = &mut self.heard[n];
                voices.insert(packet.payload()[1]);
                *heard.of.entry(packet.payload()[1]).or_default() += 1;
                heard.ssrcs.insert(received.ssrc.0);
                let ahead = i64::from(packet.timestamp()) - now;
                if let Some((sequence, before)) = heard.streams.insert(received.ssrc.0, (received.sequence, ahead)) {
                    assert_eq!(received.sequence, sequence + 1, "numbers go on, whoever is heard");
                    let moved = (ahead - before) as i32;
                    assert!(moved.abs() <= 48, "time goes on too, but for {moved} ticks");
                }
            }
            assert!(voices.len() <= self.voices, "{n} hears {voices:?} at once");
            self.looked[n] = client.rtp.len();
        }
    }

    /// Everybody sends a picture; a key frame, so that whoever begins with it can.
    fn film(&mut self) {
        self.frames += 1;
        for &guest in &self.guests {
            let timestamp = u32::from(self.frames) * 3600;
            self.house.send_frame(guest, CAMERA, timestamp, self.frames, true, 1);
        }
        self.house.run(Duration::from_millis(40));
        self.look();
    }

    /// Whom a guest sees, by its slots of pictures.
    fn seen(&self, n: usize) -> Vec<Option<String>> {
        let slots = self.house.slots(self.guests[n]).into_iter();
        slots.filter(|(video, _)| *video).map(|(_, who)| who).collect()
    }

    fn sees(&self, n: usize, who: usize) -> bool {
        self.seen(n).contains(&Some(who.to_string()))
    }

    /// Checks that each pair carries one person.
    fn check_pairs(&self) {
        for &guest in &self.guests {
            for pair in self.house.slots(guest).chunks(2) {
                assert_eq!(pair[0].1, pair[1].1, "{pair:?}");
            }
        }
    }

    fn slots_told(&self, n: usize) -> usize {
        let events = self.house.guests[self.guests[n]].events.iter();
        events.filter(|event| matches!(event, Event::Slots(_))).count()
    }
}

#[test]
fn of_twelve_who_talk_in_turns_everybody_hears_three() {
    let mut meeting = Meeting::new(1, 12, 12);
    meeting.talk(25, &[]);
    assert!(
        meeting.heard.iter().all(|heard| heard.of.is_empty()),
        "nobody speaks yet"
    );
    let told = meeting.slots_told(0);
    for speaker in (0..12).chain([3, 4, 3, 5]) {
        // 300 ms: who begins to speak is heard by then.
        meeting.talk(15, &[speaker]);
        for (n, heard) in meeting.heard.iter().enumerate().filter(|(n, _)| *n != speaker) {
            let packets = heard.of.get(&(speaker as u8)).copied().unwrap_or_default();
            assert!(packets >= 10, "{n} hears {speaker} in {packets} packets of 15");
        }
        meeting.talk(20, &[speaker]);
        for (n, heard) in meeting.heard.iter().enumerate().filter(|(n, _)| *n != speaker) {
            assert_eq!(heard.of.get(&(speaker as u8)), Some(&20), "{n} hears {speaker}");
            assert!(heard.of.len() <= TOP_K);
        }
    }
    // Three hear one more instead of themselves.
    assert!(meeting.heard.iter().all(|heard| heard.of.len() == TOP_K));
    assert_eq!(meeting.slots_told(0), told, "slots carry whom they carried");
    meeting.check_pairs();
    assert_eq!(meeting.house.counters(), [].into());
}

#[test]
fn pictures_go_on_while_sound_pauses() {
    let mut meeting = Meeting::new(2, 6, 8);
    for turn in 0..6 {
        meeting.talk(30, &[turn]);
        let before: Vec<usize> = (0..6).map(|n| meeting.house.video(meeting.guests[n]).len()).collect();
        meeting.film();
        for (n, before) in before.into_iter().enumerate() {
            assert_eq!(meeting.house.video(meeting.guests[n]).len(), before + 5);
        }
    }
    assert_eq!(meeting.house.counters(), [].into());
}

/// Sender reports that a guest got about an SSRC.
fn reports(meeting: &Meeting, n: usize, ssrc: u32) -> Vec<rtp::rtcp::SenderInfo> {
    let mut infos = Vec::new();
    for compound in &meeting.house.guests[meeting.guests[n]].client.rtcp {
        for packet in rtp::rtcp::Compound::parse(compound).unwrap().packets().flatten() {
            if let rtp::rtcp::Packet::SenderReport(report) = packet
                && report.info.ssrc.0 == ssrc
            {
                infos.push(report.info);
            }
        }
    }
    infos
}

#[test]
fn who_is_heard_again_is_reported_at_once() {
    let mut meeting = Meeting::new(3, 6, 8);
    meeting.talk(30, &[1]);
    let ssrc = *meeting.heard[0].ssrcs.first().unwrap();
    for speaker in [2, 3, 4] {
        meeting.talk(40, &[speaker]);
    }
    meeting.talk(5, &[4]);
    assert_eq!(meeting.heard[0].of.get(&1), None, "paused by now");
    let before = reports(&meeting, 0, ssrc).len();
    meeting.talk(10, &[1]);
    assert!(meeting.heard[0].ssrcs.contains(&ssrc), "in the slot that it had");
    let reports = reports(&meeting, 0, ssrc);
    assert!(reports.len() > before);
    let [first, .., last] = &reports[..] else { panic!() };
    let wall = (last.ntp.0 - first.ntp.0) as f64 / (1_u64 << 32) as f64;
    let ticks = f64::from(last.rtp_timestamp.wrapping_sub(first.rtp_timestamp)) / 48_000.0;
    assert!(
        (wall - ticks).abs() < 0.001,
        "the slot's clock is linear: {wall} {ticks}"
    );
}

#[test]
fn of_thirty_one_sees_sixteen_and_who_speaks() {
    let mut meeting = Meeting::new(4, 30, 16);
    meeting.talk(5, &[]);
    let seen = meeting.seen(0);
    assert_eq!(seen.len(), 16);
    assert!((1..=16).all(|who| meeting.sees(0, who)), "who came first: {seen:?}");
    meeting.talk(100, &[]);
    assert_eq!(meeting.seen(0), seen, "nothing changes while nobody speaks");
    let before: Vec<_> = (0..30).map(|n| (meeting.seen(n), meeting.slots_told(n))).collect();
    meeting.talk(15, &[25]);
    for (n, (seen, told)) in before.into_iter().enumerate().filter(|(n, _)| *n != 25) {
        assert!(meeting.sees(n, 25));
        assert!(meeting.heard[n].of[&25] >= 10);
        let changed = meeting.seen(n).iter().zip(&seen).filter(|(a, b)| a != b).count();
        assert_eq!((changed, meeting.slots_told(n)), (1, told + 1), "one makes room in {n}");
    }
    // His picture begins with the next key frame, in the slot beside his sound.
    meeting.film();
    meeting.check_pairs();
    // He stays while others speak who are in view, and so do they.
    let seen = meeting.seen(0);
    for speaker in 1..8 {
        meeting.talk(30, &[speaker]);
    }
    assert_eq!(meeting.seen(0), seen);
    // Who left is replaced at once.
    meeting.leave(2);
    assert!(!meeting.sees(0, 2));
    assert!(meeting.seen(0).iter().all(Option::is_some));
    assert_eq!(meeting.house.counters(), [].into());
}

#[test]
fn who_is_pinned_stays_in_view_and_is_heard_though_others_speak() {
    let mut meeting = Meeting::new(5, 12, 4);
    let pin = |meeting: &mut Meeting, pinned: &[usize]| {
        let id = |meeting: &Meeting, n: usize| meeting.house.guests[meeting.guests[n]].id;
        let view = View {
            tiles: Some(4),
            pinned: pinned.iter().map(|&n| id(meeting, n)).collect(),
            ..View::default()
        };
        let own = id(meeting, 0);
        meeting.house.sfu.set_view(meeting.house.now, own, view).unwrap();
        meeting.house.run(PACKET);
    };
    meeting.voices = TOP_K + 1;
    pin(&mut meeting, &[11]);
    assert!(meeting.sees(0, 11));
    for speaker in 1..9 {
        // He and those who speak, of whom there are three at most.
        meeting.talk(30, &[speaker]);
        let heard = &meeting.heard[0].of;
        assert_eq!(heard[&11], 30);
        assert!(heard[&(speaker as u8)] >= 25);
        assert!(meeting.sees(0, 11) && meeting.sees(0, speaker));
    }
    // He leaves and another one comes, who is not pinned because he has the index of the old one.
    let gone = meeting.guests[11];
    meeting.leave(11);
    meeting.house.run(Duration::from_secs(1));
    let again = meeting.house.member("r", "again", 4);
    assert_ne!(meeting.house.guests[again].id, meeting.house.guests[gone].id);
    assert!(!meeting.seen(0).contains(&Some("again".into())));
    pin(&mut meeting, &[]);
    assert_eq!(meeting.seen(0).len(), 4);
}

/// What a guest says that it sends.
fn label(house: &mut House, guest: usize, labels: &[(usize, SourceKind, bool)]) {
    let label = |&(section, kind, muted): &(usize, SourceKind, bool)| SourceLabel {
        mid: house.guests[guest].client.media[section].mid.clone(),
        kind,
        muted,
    };
    let labels = labels.iter().map(label).collect();
    house
        .sfu
        .set_sources(house.now, house.guests[guest].id, labels)
        .unwrap();
    house.exchange();
}

#[test]
fn a_screen_comes_and_goes_on_top_of_the_people() {
    let mut meeting = Meeting::new(6, 6, 8);
    let guest = meeting.guests[5];
    let kinds = |meeting: &Meeting| -> Vec<(SourceKind, bool)> {
        let events = meeting.house.guests[meeting.guests[0]].events.iter().rev();
        let mut slots = events.filter_map(|event| match event {
            Event::Slots(slots) => Some(slots),
            _ => None,
        });
        let carried = slots.next().unwrap().iter();
        carried
            .filter_map(|slot| Some((slot.carries.as_ref()?.2, slot.video)))
            .collect()
    };
    let count = |meeting: &Meeting, kind| kinds(meeting).iter().filter(|(is, _)| *is == kind).count();
    let client = &mut meeting.house.guests[guest].client;
    let video = client.add(Kind::Video, Direction::SendOnly);
    let audio = client.add(Kind::Audio, Direction::SendOnly);
    label(
        &mut meeting.house,
        guest,
        &[
            (MICROPHONE, SourceKind::Microphone, false),
            (CAMERA, SourceKind::Camera, false),
            (video, SourceKind::Screen, false),
            (audio, SourceKind::ScreenAudio, false),
        ],
    );
    meeting.house.negotiate(guest);
    meeting.house.run(Duration::from_millis(100));
    assert_eq!(count(&meeting, SourceKind::Screen), 1);
    assert_eq!(count(&meeting, SourceKind::ScreenAudio), 1);
    assert_eq!(count(&meeting, SourceKind::Camera), 5, "and everybody is still seen");
    // Its sound is heard though three others speak, and is no speech.
    meeting.talk(30, &[1, 2, 3]);
    let viewer = meeting.guests[0];
    let before = meeting.house.guests[viewer].client.rtp.len();
    for n in 0..10 {
        meeting.house.send(guest, audio, 111, n * 960, false, &[], &[0x78, 99]);
        meeting.house.run(PACKET);
    }
    let received = &meeting.house.guests[viewer].client.rtp[before..];
    let screen = received
        .iter()
        .filter(|received| received.packet().payload() == [0x78, 99]);
    assert_eq!(screen.count(), 10);
    // It ends.
    meeting.house.guests[guest].client.media[video].stopped = true;
    meeting.house.guests[guest].client.media[audio].stopped = true;
    meeting.house.negotiate(guest);
    meeting.house.run(Duration::from_millis(100));
    assert_eq!(count(&meeting, SourceKind::Screen), 0);
    assert_eq!(count(&meeting, SourceKind::ScreenAudio), 0);
    assert_eq!(count(&meeting, SourceKind::Camera), 5);
}

#[test]
fn who_is_muted_does_not_speak_and_who_shows_nothing_makes_room() {
    let mut meeting = Meeting::new(7, 7, 4);
    meeting.talk(5, &[]);
    let mute = |meeting: &mut Meeting, n: usize, microphone: bool, camera: bool| {
        let guest = meeting.guests[n];
        let labels = [
            (MICROPHONE, SourceKind::Microphone, microphone),
            (CAMERA, SourceKind::Camera, camera),
        ];
        label(&mut meeting.house, guest, &labels);
        meeting.house.run(PACKET);
    };
    mute(&mut meeting, 6, true, false);
    meeting.talk(30, &[6]);
    assert!(meeting.heard.iter().all(|heard| heard.of.is_empty()));
    assert!(meeting.sees(0, 1) && !meeting.sees(0, 5));
    mute(&mut meeting, 1, false, true);
    assert!(!meeting.sees(0, 1) && meeting.sees(0, 5));
    // But when it speaks it is in view, with an empty tile.
    meeting.talk(15, &[1]);
    assert!(meeting.sees(0, 1));
    assert!(meeting.heard[0].of[&1] >= 10);
    let muted = |meeting: &Meeting, who: &str, wanted: SourceKind| {
        let events = meeting.house.guests[meeting.guests[0]].events.iter().rev();
        let mut slots = events.filter_map(|event| match event {
            Event::Slots(slots) => Some(slots),
            _ => None,
        });
        let carries = |slot: &&sfu::SlotView| {
            let carries = slot.carries.as_ref();
            carries.is_some_and(|(_, name, kind)| &**name == who && *kind == wanted)
        };
        slots.next().unwrap().iter().find(carries).unwrap().muted
    };
    assert!(muted(&meeting, "1", SourceKind::Camera));
    // What is paused is told of too.
    assert!(!muted(&meeting, "2", SourceKind::Microphone));
    mute(&mut meeting, 2, true, false);
    assert!(muted(&meeting, "2", SourceKind::Microphone));
}

/// Adds the pairs that a guest was asked for, and offers again. Returns whether there were any.
fn grow(house: &mut House, guest: usize) -> bool {
    let asked = house.guests[guest].events.iter().rev().find_map(|event| match event {
        Event::Need { video, .. } => Some(*video),
        _ => None,
    });
    let client = &mut house.guests[guest].client;
    let there = client
        .media
        .iter()
        .filter(|media| media.direction == Direction::RecvOnly)
        .count()
        / 2;
    let missing = asked.unwrap_or(0).saturating_sub(there);
    for _ in 0..missing {
        client.add(Kind::Audio, Direction::RecvOnly);
        client.add(Kind::Video, Direction::RecvOnly);
    }
    if missing > 0 {
        house.negotiate(guest);
    }
    missing > 0
}

#[test]
fn a_room_of_a_hundred_fills_and_follows_its_speakers() {
    let mut house = House::new(8);
    let mut events = 0;
    let mut guests = Vec::new();
    for n in 0..100 {
        guests.push(house.member("r", &n.to_string(), 4));
        for &guest in &guests {
            if grow(&mut house, guest) {
                house.exchange();
            }
        }
        for &guest in &guests {
            let own = &mut house.guests[guest];
            // Who came, who is connected, what it sends: so many for each. Beyond that only what concerns oneself.
            let slots = own
                .events
                .iter()
                .filter(|event| matches!(event, Event::Slots(_) | Event::Need { .. }))
                .count();
            events += slots;
            own.events.clear();
        }
    }
    // Each learns of the first 16 others, and of four steps; nobody of the other 84.
    assert!(events <= 100 * 32, "{events} times somebody was told of its slots");
    let last = guests[99];
    let mut told = [0; 100];
    for n in 0..50 {
        for &guest in &guests {
            let level = if guest == last && n >= 20 { SPEECH } else { SILENCE };
            house.send_sound(guest, MICROPHONE, 960 * n, level);
        }
        house.run(PACKET);
    }
    for &guest in &guests {
        let events = house.guests[guest].events.iter();
        told[guest] = events.filter(|event| matches!(event, Event::Slots(_))).count();
        if guest != last {
            let carried = house.slots(guest).into_iter().filter_map(|(_, name)| name);
            assert_eq!(carried.filter(|name| name == "99").count(), 2);
        }
    }
    assert!(told.iter().all(|&told| told <= 1), "{told:?}");
    assert_eq!(house.counters(), [].into());
}

#[test]
fn a_room_that_grows_past_four_goes_over_to_those_who_speak() {
    let mut meeting = Meeting::new(9, 4, 4);
    meeting.talk(10, &[]);
    assert!(
        meeting.heard.iter().all(|heard| heard.of.len() == 3),
        "everybody is heard"
    );
    meeting.join(4);
    meeting.talk(10, &[]);
    assert!(meeting.heard.iter().all(|heard| heard.of.is_empty()), "nobody speaks");
    meeting.talk(20, &[2]);
    assert!(meeting.heard[4].of[&2] > 10);
    meeting.leave(4);
    meeting.talk(10, &[]);
    assert!(meeting.heard.iter().all(|heard| heard.of.len() == 3));
}

#[test]
fn tiles_are_as_many_as_are_wanted() {
    let mut meeting = Meeting::new(10, 25, 20);
    let guest = meeting.guests[0];
    let id = meeting.house.guests[guest].id;
    let want = |meeting: &mut Meeting, tiles: Option<usize>| {
        let view = View {
            tiles,
            ..View::default()
        };
        meeting.house.sfu.set_view(meeting.house.now, id, view).unwrap();
        meeting.house.run(PACKET);
        meeting.seen(0).into_iter().flatten().count()
    };
    assert_eq!(want(&mut meeting, None), 16);
    assert_eq!(want(&mut meeting, Some(6)), 6);
    meeting.talk(15, &[20]);
    assert_eq!(meeting.seen(0).into_iter().flatten().count(), 6);
    assert!(meeting.sees(0, 20));
    assert_eq!(want(&mut meeting, Some(0)), TOP_K, "so many at least, who are heard");
    assert!(meeting.sees(0, 20));
    // More than there are slots: those are asked for, but no more than there are people.
    assert_eq!(want(&mut meeting, Some(1000)), 20);
    let need = Event::Need { audio: 24, video: 24 };
    assert!(meeting.house.guests[guest].events.contains(&need));
    grow(&mut meeting.house, guest);
    meeting.house.run(PACKET);
    assert_eq!(meeting.seen(0).into_iter().flatten().count(), 24);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// Whoever speaks, comes and goes, in a room that is small at times: nobody hears more than three at once, or than
    /// are there; numbers and time go on in every slot; both halves of a pair carry one person.
    #[test]
    fn a_meeting_goes_on(steps in proptest::collection::vec((0u8..8, 1u32..25, proptest::collection::vec(0usize..8, 0..5)), 10..40)) {
        let mut meeting = Meeting::new(11, 4, 5);
        for (what, packets, speakers) in steps {
            match what {
                0 if meeting.guests.len() < 8 => meeting.join(5),
                1 if meeting.guests.len() > 2 => meeting.leave(packets as usize % meeting.guests.len()),
                2 => meeting.film(),
                _ => meeting.talk(packets, &speakers),
            }
            meeting.check_pairs();
            for n in 0..meeting.guests.len() {
                let seen: Vec<String> = meeting.seen(n).into_iter().flatten().collect();
                let others = meeting.guests.len() - 1;
                prop_assert_eq!(seen.len(), others.min(5));
                prop_assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), seen.len());
            }
        }
    }
}
