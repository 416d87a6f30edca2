//! Viewers on bad links in virtual time: they get sound alone, are told so, and pictures are tried again.

mod house;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use house::{CAMERA, House, MICROPHONE};
use rtp::ntp::duration_to_short;
use rtp::rtcp::{Compound, Packet, ReceiverReport, ReportBlock};
use rtp::{PayloadType, Ssrc};
use sfu::{Event, Gone, Paused, Picture, SourceKind, Trouble, View};

const FRAME: Duration = Duration::from_millis(40);
const NO_COUNTERS: [(&str, u64); 0] = [];

/// Somebody who speaks and is seen, and somebody who looks, whose link loses packets, or whose machine cannot keep up.
struct Call {
    house: House,
    ann: usize,
    bob: usize,
    frames: u32,
    /// Whether it reports, as receivers do.
    reports: bool,
    /// How old what it gets is when it is taken out of its queue.
    late: Duration,
    /// How much had come, of RTP and of RTCP, at each time.
    came: Vec<(Instant, usize, usize)>,
}

impl Call {
    fn new(run: u64) -> Self {
        let mut house = House::new(run);
        let ann = house.member("r", "ann", 0);
        let bob = house.member("r", "bob", 2);
        Self {
            house,
            ann,
            bob,
            frames: 0,
            reports: true,
            late: Duration::ZERO,
            came: Vec::new(),
        }
    }

    /// So many seconds of sound and pictures.
    fn run(&mut self, seconds: u32) {
        for _ in 0..seconds * 25 {
            let n = self.frames;
            for packet in 0..2 {
                self.house.send_sound(self.ann, MICROPHONE, (2 * n + packet) * 960, 30);
            }
            // A key frame a second, whether it is asked for or not.
            self.house
                .send_frame(self.ann, CAMERA, n * 3600, n as u16 & 0x7fff, n.is_multiple_of(25), 3);
            self.frames += 1;
            self.house.run(FRAME);
            let client = &self.house.guests[self.bob].client;
            self.came.push((self.house.now, client.rtp.len(), client.rtcp.len()));
            if n % 25 == 7 && self.reports {
                self.report();
            }
        }
    }

    /// Bob reports on everything that he has taken out of his queue, as RFC 3550 §6.4.1 has it, retransmissions in
    /// blocks of their own.
    fn report(&mut self) {
        let (now, late) = (self.house.now, self.late);
        let taken = self.came.iter().rev().find(|(at, ..)| *at + late <= now);
        let &(_, rtp, rtcp) = taken.unwrap_or(&(now, 0, 0));
        let client = &mut self.house.guests[self.bob].client;
        let mut reports = BTreeMap::new();
        for (number, compound) in client.rtcp[..rtcp].iter().enumerate() {
            let &(at, ..) = self.came.iter().find(|(.., rtcp)| *rtcp > number).unwrap();
            for packet in Compound::parse(compound).unwrap().packets().flatten() {
                if let Packet::SenderReport(report) = packet {
                    reports.insert(report.info.ssrc.0, (report.info.ntp.middle(), now - at - late));
                }
            }
        }
        let mut came: BTreeMap<u32, BTreeSet<u64>> = BTreeMap::new();
        for received in &client.rtp[..rtp] {
            came.entry(received.ssrc.0).or_default().insert(received.sequence);
        }
        let blocks: Vec<ReportBlock> = came
            .iter()
            .map(|(ssrc, sequences)| {
                let (first, last) = (*sequences.first().unwrap(), *sequences.last().unwrap());
                let (last_sr, since) = reports.get(ssrc).copied().unwrap_or_default();
                ReportBlock {
                    ssrc: Ssrc(*ssrc),
                    last_sr,
                    delay_since_last_sr: duration_to_short(since),
                    cumulative_lost: (last - first + 1 - sequences.len() as u64) as i32,
                    highest_sequence: last as u32,
                    ..ReportBlock::default()
                }
            })
            .collect();
        client.send_rtcp(|w| ReceiverReport::write(w, Ssrc(1), blocks, &[]));
        self.house.exchange();
    }

    /// How many packets of sound and of pictures came in so many seconds.
    fn count(&mut self, seconds: u32) -> (usize, usize) {
        let before = self.house.guests[self.bob].client.rtp.len();
        self.run(seconds);
        let received = &self.house.guests[self.bob].client.rtp[before..];
        let sound = received
            .iter()
            .filter(|one| one.packet().payload_type() == PayloadType(111));
        let pictures = received
            .iter()
            .filter(|one| one.packet().payload_type() == PayloadType(96));
        (sound.count(), pictures.count())
    }

    fn links(&self) -> Vec<(Option<Trouble>, u16)> {
        let events = self.house.guests[self.bob].events.iter();
        let links = events.filter_map(|event| match event {
            Event::Link {
                trouble,
                lost_per_mille,
            } => Some((*trouble, *lost_per_mille)),
            _ => None,
        });
        links.collect()
    }

    fn paused(&self) -> Option<Paused> {
        let events = self.house.guests[self.bob].events.iter().rev();
        let mut layers = events.filter_map(|event| match event {
            Event::Layer { paused, .. } => Some(*paused),
            _ => None,
        });
        layers.next().flatten()
    }
}

/// Loses some percent, as if by chance.
fn chance(n: u64, percent: u64) -> bool {
    (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % 100 < percent
}

#[test]
fn a_link_that_loses_a_fifth_carries_sound_and_pictures_come_back() {
    let mut call = Call::new(1);
    let (sound, pictures) = call.count(5);
    assert!(sound >= 245 && pictures >= 350, "{sound} {pictures}");
    call.house.lose_down = |n| chance(n, 20);
    call.run(5);
    assert_eq!(call.links().len(), 1);
    let (trouble, lost) = call.links()[0];
    assert_eq!(trouble, Some(Trouble::Loss));
    assert!((130..270).contains(&lost), "{lost}");
    assert_eq!(call.paused(), Some(Paused::Loss));
    let (sound, pictures) = call.count(5);
    assert!(sound > 170, "{sound}");
    assert_eq!(pictures, 0);
    // It goes on like that: pictures are tried every ten seconds, for some three.
    call.run(35);
    let tries = call.links().iter().filter(|(trouble, _)| trouble.is_none()).count();
    assert!((2..=4).contains(&tries), "{tries}");
    call.house.lose_down = |_| false;
    call.run(15);
    assert_eq!(call.links().last().map(|link| link.0), Some(None));
    assert_eq!(call.paused(), None);
    let (sound, pictures) = call.count(5);
    assert!(sound >= 245 && pictures >= 370, "{sound} {pictures}");
    let links = call.links().len();
    call.run(20);
    assert_eq!(call.links().len(), links);
    assert_eq!(call.house.counters(), NO_COUNTERS.into());
}

#[test]
fn a_tenth_may_be_lost_and_a_moment_more() {
    let mut call = Call::new(2);
    call.house.lose_down = |n| chance(n, 6);
    call.run(20);
    call.house.lose_down = |n| chance(n, 60);
    call.run(1);
    call.house.lose_down = |_| false;
    call.run(10);
    assert_eq!(call.links(), []);
}

#[test]
fn what_is_not_reported_is_not_lost() {
    let mut call = Call::new(3);
    call.run(3);
    call.reports = false;
    call.house.lose_down = |n| chance(n, 50);
    call.run(10);
    assert_eq!(call.links(), []);
}

#[test]
fn a_viewer_seconds_behind_gets_sound_until_it_keeps_up() {
    let mut call = Call::new(9);
    let (_, pictures) = call.count(5);
    assert!(pictures >= 350, "{pictures}");
    call.late = Duration::from_millis(2500);
    call.run(6);
    assert_eq!(call.links(), [(Some(Trouble::Late), 0)]);
    assert_eq!(call.paused(), Some(Paused::Late));
    // As long as that lasts pictures would only queue.
    let (sound, pictures) = call.count(30);
    assert!(sound >= 1490, "{sound}");
    assert_eq!(pictures, 0);
    assert_eq!(call.links().len(), 1);
    call.late = Duration::from_millis(1500);
    call.run(12);
    assert_eq!(call.links()[1..], [(None, 0)]);
    assert_eq!(call.paused(), None);
    let (sound, pictures) = call.count(5);
    assert!(sound >= 245 && pictures >= 370, "{sound} {pictures}");
    assert_eq!(call.links().len(), 2);
    assert_eq!(call.house.counters(), NO_COUNTERS.into());
}

#[test]
fn a_moment_may_be_late() {
    let mut call = Call::new(10);
    call.run(5);
    call.late = Duration::from_secs(4);
    call.run(2);
    call.late = Duration::ZERO;
    call.run(10);
    assert_eq!(call.links(), []);
}

#[test]
fn whoever_was_cut_off_is_told_that_there_is_only_sound() {
    let mut call = Call::new(4);
    call.house.lose_down = |n| chance(n, 30);
    call.run(6);
    assert_eq!(call.links().last().map(|link| link.0), Some(Some(Trouble::Loss)));
    call.house.guests[call.bob].events.clear();
    let id = call.house.guests[call.bob].id;
    call.house.sfu.tell_again(id).unwrap();
    call.house.exchange();
    assert_eq!(call.links().last().map(|link| link.0), Some(Some(Trouble::Loss)));
    assert_eq!(call.paused(), Some(Paused::Loss));
}

#[test]
fn whoever_was_cut_off_is_told_that_pictures_are_sent_again() {
    let mut call = Call::new(6);
    call.run(5);
    call.house.guests[call.bob].events.clear();
    let id = call.house.guests[call.bob].id;
    call.house.sfu.tell_again(id).unwrap();
    call.house.exchange();
    assert_eq!(call.links(), [(None, 0)]);
    let events = call.house.guests[call.bob].events.iter();
    let layers = events.filter(|event| matches!(event, Event::Layer { paused: None, .. }));
    assert_eq!(layers.count(), 1, "of the slot that carries somebody");
}

#[test]
fn whoever_is_gone_is_told_nothing_more() {
    let mut call = Call::new(7);
    call.house.lose_down = |n| chance(n, 30);
    call.run(6);
    assert_eq!(call.links().last().map(|link| link.0), Some(Some(Trouble::Loss)));
    // Pictures would be tried again before its last datagram has left.
    let id = call.house.guests[call.bob].id;
    call.house.sfu.leave(call.house.now, id, Gone::Left);
    call.house.now += Duration::from_secs(11);
    call.house.sfu.handle_timeout(call.house.now);
    call.house.exchange();
    assert_eq!(
        call.house.guests[call.bob].events.last(),
        Some(&Event::Gone(Gone::Left))
    );
}

#[test]
fn who_takes_over_a_slot_that_is_paused_is_told_to_be_paused() {
    let mut house = House::new(8);
    let ann = house.member("r", "ann", 0);
    let cid = house.member("r", "cid", 0);
    let bob = house.member("r", "bob", 1);
    for who in [ann, cid] {
        let [ann, cid, who] = [ann, cid, who].map(|guest| house.guests[guest].id);
        let hidden = [ann, cid].map(|participant| Picture {
            participant,
            kind: SourceKind::Camera,
            width: 0,
            height: 0,
        });
        let view = View {
            pinned: vec![who],
            pictures: hidden.to_vec(),
            ..View::default()
        };
        house.guests[bob].events.clear();
        let bob_id = house.guests[bob].id;
        house.sfu.set_view(house.now, bob_id, view).unwrap();
        house.run(FRAME);
        let layers = house.guests[bob].events.iter().filter_map(|event| match event {
            Event::Layer { paused, .. } => Some(*paused),
            _ => None,
        });
        assert_eq!(layers.collect::<Vec<_>>(), [Some(Paused::Hidden)]);
    }
    assert_eq!(house.slots(bob)[1], (true, Some("cid".into())));
}

#[test]
fn losses_on_the_way_here_are_not_the_viewers() {
    let mut call = Call::new(5);
    call.house.lose = |n| chance(n, 30);
    call.run(20);
    // The viewer misses what is missing here, which has numbers too.
    assert_eq!(call.links(), []);
}
