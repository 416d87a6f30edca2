//! The offering role against the answering one, in virtual time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dtls_srtp::fake::{self, FakeCrypto};
use peer::testing::{Collected, check_answer};
use peer::{Config, Direction, Event, Extension, Kind, Peer, SectionError, SenderId, State};
use rtp::{Packet, RtpOut};
use stun::{Builder, Class, Key, Method, TransactionId, Value};
use wire::{Path, Seed};

const CALLER: &str = "198.51.100.7:5000";
const SERVER: &str = "192.0.2.1:3478";
const DELAY: Duration = Duration::from_millis(10);
const MIC: usize = 0;
const CAMERA: usize = 1;
const AUDIO_SLOT: usize = 2;
const VIDEO_SLOT: usize = 3;

/// One end of a call.
struct End {
    peer: Peer,
    sink: Collected,
    events: Vec<Event>,
    /// What is on its way here.
    coming: VecDeque<(Instant, Path, Vec<u8>)>,
}

impl End {
    fn new(config: Config, run: u64, address: &str, now: Instant) -> Self {
        let mut peer = Peer::new(Arc::new(config), Seed::from_run(run), now);
        peer.add_local_candidate(address.parse().unwrap());
        Self {
            peer,
            sink: Collected::default(),
            events: Vec::new(),
            coming: VecDeque::new(),
        }
    }

    fn counters(&self) -> BTreeMap<&'static str, u64> {
        let mut counters = BTreeMap::new();
        self.peer.each_counter(&mut |name, value| {
            if value > 0 {
                counters.insert(name, value);
            }
        });
        counters
    }
}

struct Call {
    caller: End,
    server: End,
    now: Instant,
    /// While true nothing gets through.
    cut: bool,
    /// The last transport-wide sequence number.
    numbers: u16,
    answers: Vec<String>,
}

fn config(certificate: u64) -> Config {
    Config::new(Arc::new(dtls_srtp::Config::new(
        Arc::new(FakeCrypto::new()),
        fake::certificate(certificate),
    )))
}

fn config_in_full() -> Config {
    let crypto = Arc::new(FakeCrypto::new());
    Config::full(Arc::new(dtls_srtp::Config::new(crypto, fake::certificate(1))))
}

fn calling() -> Config {
    let mut config = config_in_full();
    config.extensions.push(Extension::TransportCc);
    config
}

impl Call {
    fn with(caller: Config, server: Config) -> Self {
        let now = Instant::now();
        Self {
            caller: End::new(caller, 1, CALLER, now),
            server: End::new(server, 2, SERVER, now),
            now,
            cut: false,
            numbers: 0,
            answers: Vec::new(),
        }
    }

    /// Microphone, camera and a pair of slots.
    fn new() -> Self {
        let mut call = Self::with(calling(), config(2));
        for (kind, direction) in [
            (Kind::Audio, Direction::SendOnly),
            (Kind::Video, Direction::SendOnly),
            (Kind::Audio, Direction::RecvOnly),
            (Kind::Video, Direction::RecvOnly),
        ] {
            call.caller.peer.add_section(kind, direction).unwrap();
        }
        call
    }

    fn connected() -> Self {
        let mut call = Self::new();
        call.negotiate();
        call.run(Duration::from_millis(300));
        assert_eq!(call.caller.peer.state(), State::Connected);
        assert_eq!(call.server.peer.state(), State::Connected);
        call
    }

    fn negotiate(&mut self) {
        let offer = self.caller.peer.offer().unwrap();
        let answer = self.answer(&offer);
        self.caller
            .peer
            .accept_answer(self.now, &answer)
            .unwrap_or_else(|error| panic!("{error}\n{offer}\n{answer}"));
    }

    fn answer(&mut self, offer: &str) -> String {
        let answer = self.server.peer.accept_offer(self.now, offer);
        let answer = answer.unwrap_or_else(|error| panic!("{error}\n{offer}"));
        if let Err(rule) = check_answer(offer, &answer, self.answers.last().map(String::as_str)) {
            panic!("{rule}\n{offer}\n{answer}");
        }
        self.answers.push(answer.clone());
        answer
    }

    fn exchange(&mut self) {
        let mut out = [0; Peer::MIN_OUT];
        let (at, now, cut) = (self.now + DELAY, self.now, self.cut);
        let mut deliver = |from: &mut End, to: &mut End| {
            while let Some(transmit) = from.peer.poll_transmit(now, &mut out) {
                let path = Path::udp(transmit.path.remote, transmit.path.local);
                if !cut {
                    to.coming.push_back((at, path, out[..transmit.len].to_vec()));
                }
            }
            while let Some(event) = from.peer.poll_event() {
                from.events.push(event);
            }
        };
        deliver(&mut self.caller, &mut self.server);
        deliver(&mut self.server, &mut self.caller);
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.exchange();
            let deadlines = [
                self.caller.peer.poll_timeout(),
                self.server.peer.poll_timeout(),
                self.caller.coming.front().map(|coming| coming.0),
                self.server.coming.front().map(|coming| coming.0),
            ];
            let Some(next) = deadlines.into_iter().flatten().min().filter(|next| *next <= end) else {
                break;
            };
            self.now = next.max(self.now);
            for side in [&mut self.caller, &mut self.server] {
                while side.coming.front().is_some_and(|coming| coming.0 <= self.now) {
                    let (_, path, mut data) = side.coming.pop_front().unwrap();
                    side.peer.handle_datagram(self.now, &path, &mut data, &mut side.sink);
                }
                side.peer.handle_timeout(self.now);
            }
        }
        self.now = end;
    }

    fn caller_sender(&self, section: usize) -> SenderId {
        self.caller.peer.sections()[section].sender().unwrap()
    }

    /// Sends a packet from a section of the caller's, or loses it on the way.
    fn send(&mut self, section: usize, sequence: u64, payload: &[u8], lost: bool) {
        let sender = self.caller_sender(section);
        let section = self.caller.peer.sections()[section].clone();
        self.numbers += 1;
        let number = self.numbers.to_be_bytes();
        let extensions: Vec<(u8, &[u8])> = vec![
            (
                section.extensions().get(Extension::Mid).unwrap(),
                section.mid().as_bytes(),
            ),
            (section.extensions().get(Extension::TransportCc).unwrap(), &number),
        ];
        let header = RtpOut {
            payload_type: section.formats()[0].payload_type,
            sequence_number: sequence,
            timestamp: sequence as u32 * 3000,
            extensions: &extensions,
            ..RtpOut::default()
        };
        let mut out = [0; Peer::MIN_OUT];
        let peer = &mut self.caller.peer;
        let len = peer.write_rtp(self.now, sender, &header, &[payload], &mut out).unwrap();
        let path = peer.selected_path().unwrap();
        if !lost {
            let path = Path::udp(path.remote, path.local);
            self.server
                .coming
                .push_back((self.now + DELAY, path, out[..len].to_vec()));
        }
    }

    /// Sends a packet from a section of the server's, under this MID.
    fn send_back(&mut self, section: usize, sequence: u64, mid: Option<usize>) {
        let section = self.server.peer.sections()[section].clone();
        let mid = mid.map(|mid| mid.to_string());
        let id = section.extensions().get(Extension::Mid).unwrap();
        let extensions: Vec<(u8, &[u8])> = mid.iter().map(|mid| (id, mid.as_bytes())).collect();
        let header = RtpOut {
            payload_type: section.formats()[0].payload_type,
            sequence_number: sequence,
            timestamp: sequence as u32 * 3000,
            extensions: &extensions,
            ..RtpOut::default()
        };
        let mut out = [0; Peer::MIN_OUT];
        let sender = section.sender().unwrap();
        let peer = &mut self.server.peer;
        let len = peer.write_rtp(self.now, sender, &header, &[b"slot"], &mut out).unwrap();
        let path = Path::udp(CALLER.parse().unwrap(), SERVER.parse().unwrap());
        let datagram = (self.now + DELAY, path, out[..len].to_vec());
        self.caller.coming.push_back(datagram);
    }

    /// What came in a section of the caller's.
    fn came(&self, section: usize) -> Vec<u64> {
        let packets = self.caller.sink.rtp.iter().filter(|packet| packet.section == section);
        packets.map(|packet| packet.sequence).collect()
    }
}

#[test]
fn a_call_is_set_up_and_carries_media_both_ways() {
    let mut call = Call::connected();
    for sequence in 100..150 {
        call.send(MIC, sequence, b"sound", false);
        call.send(CAMERA, sequence, b"picture", false);
        call.run(Duration::from_millis(20));
    }
    let got: Vec<&str> = call.server.sink.rtp.iter().map(|packet| packet.mid.as_str()).collect();
    assert_eq!(got.len(), 100);
    assert_eq!(got[..2], ["0", "1"]);
    // And the other way: the slots of the caller.
    for slot in [AUDIO_SLOT, VIDEO_SLOT] {
        call.send_back(slot, 7, None);
    }
    call.run(Duration::from_secs(3));
    let got: Vec<usize> = call.caller.sink.rtp.iter().map(|packet| packet.section).collect();
    assert_eq!(got, [AUDIO_SLOT, VIDEO_SLOT]);
    let reported: BTreeSet<_> = call.caller.sink.sender_reports.iter().map(|report| report.0).collect();
    assert_eq!(reported.len(), 2);
    // Reports came back, and the path was measured by checks too.
    let statistics = call.caller.peer.sender_statistics(call.caller_sender(CAMERA)).unwrap();
    assert_eq!((statistics.packets, statistics.packets_lost), (50, 0));
    assert!(call.caller.peer.rtt().is_some_and(|rtt| rtt >= 2 * DELAY));
    assert!(call.caller.events.contains(&Event::Connected));
    assert_eq!(call.caller.counters(), BTreeMap::new());
    assert_eq!(call.server.counters(), BTreeMap::new());
}

#[test]
fn what_is_lost_is_asked_for_and_can_be_sent_again() {
    let mut call = Call::connected();
    for sequence in 100..110 {
        call.send(CAMERA, sequence, b"picture", sequence == 105);
        call.run(Duration::from_millis(10));
    }
    call.run(Duration::from_millis(30));
    let sender = call.caller_sender(CAMERA);
    assert_eq!(call.caller.sink.nacks, [(sender, vec![105])]);
    let header = RtpOut {
        payload_type: call.caller.peer.sections()[CAMERA].formats()[0].payload_type,
        sequence_number: 105,
        timestamp: 105 * 3000,
        ..RtpOut::default()
    };
    let mut out = [0; Peer::MIN_OUT];
    let peer = &mut call.caller.peer;
    let len = peer
        .write_rtx(call.now, sender, &header, &[b"picture"], &mut out)
        .unwrap();
    let path = Path::udp(SERVER.parse().unwrap(), CALLER.parse().unwrap());
    call.server
        .coming
        .push_back((call.now + DELAY, path, out[..len].to_vec()));
    call.run(Duration::from_millis(100));
    let repaired: Vec<u64> = call
        .server
        .sink
        .rtp
        .iter()
        .filter(|p| p.repair)
        .map(|p| p.sequence)
        .collect();
    assert_eq!(repaired, [105]);
    let packet = call.server.sink.rtp.last().unwrap();
    assert_eq!(Packet::parse(&packet.bytes[..]).unwrap().payload(), b"picture");
}

#[test]
fn a_key_frame_is_asked_for() {
    let mut call = Call::connected();
    call.send(CAMERA, 100, b"picture", false);
    call.run(Duration::from_millis(50));
    let stream = call.server.peer.sections()[CAMERA].streams()[0].id;
    call.server.peer.request_key_frame(call.now, stream);
    call.run(Duration::from_millis(50));
    assert_eq!(call.caller.sink.key_frame_requests, [call.caller_sender(CAMERA)]);
}

#[test]
fn sections_are_added_in_steps() {
    let mut call = Call::connected();
    let ssrc = |call: &Call| call.caller.peer.sender(call.caller_sender(CAMERA)).unwrap().ssrc();
    let before = ssrc(&call);
    for _ in 0..4 {
        call.caller.peer.add_section(Kind::Audio, Direction::RecvOnly).unwrap();
        call.caller.peer.add_section(Kind::Video, Direction::RecvOnly).unwrap();
    }
    call.negotiate();
    assert_eq!(call.caller.peer.sections().len(), 12);
    assert!(
        call.caller.peer.sections()[4..]
            .iter()
            .all(|section| section.streams().len() == 1)
    );
    assert_eq!(ssrc(&call), before);
    // A screen, later, whose sender can seal at once.
    let screen = call.caller.peer.add_section(Kind::Video, Direction::SendOnly).unwrap();
    call.negotiate();
    call.send(screen, 1, b"screen", false);
    call.run(Duration::from_millis(50));
    assert_eq!(call.server.sink.rtp.last().unwrap().mid, "12");
    let secured = |event: &&Event| matches!(event, Event::Secured(_));
    assert_eq!(call.caller.events.iter().filter(secured).count(), 1);
    assert_eq!(call.caller.counters(), BTreeMap::new());
}

/// RFC 3264 §5.1: from the offer on. The answer goes another way than the media, and may be the slower one.
#[test]
fn media_that_overtakes_the_answer_waits_for_it() {
    let mut call = Call::connected();
    let [slot, later] = [(); 2].map(|()| call.caller.peer.add_section(Kind::Video, Direction::RecvOnly).unwrap());
    let offer = call.caller.peer.offer().unwrap();
    let answer = call.answer(&offer);
    for sequence in 1..=3 {
        call.send_back(slot, sequence, Some(slot));
    }
    let arrival = call.now + DELAY;
    call.run(Duration::from_millis(50));
    assert_eq!(call.came(slot), []);
    call.caller.peer.accept_answer(call.now, &answer).unwrap();
    // The next packet brings them along, wherever it belongs.
    call.send_back(VIDEO_SLOT, 1, Some(VIDEO_SLOT));
    call.send_back(slot, 4, Some(slot));
    call.run(Duration::from_millis(50));
    assert_eq!((call.came(slot), call.came(VIDEO_SLOT)), (vec![1, 2, 3, 4], vec![1]));
    assert!(call.caller.sink.rtp[..3].iter().all(|packet| packet.arrival == arrival));
    assert_eq!(call.came(later), []);
    assert_eq!(call.caller.counters(), BTreeMap::new());
    // Nothing waits on: nor is it handed on twice.
    call.send_back(slot, 5, Some(slot));
    call.run(Duration::from_millis(500));
    assert_eq!(call.came(slot), [1, 2, 3, 4, 5]);
}

#[test]
fn media_waits_for_no_answer_that_is_long_in_coming() {
    let mut call = Call::connected();
    let slot = call.caller.peer.add_section(Kind::Video, Direction::RecvOnly).unwrap();
    let offer = call.caller.peer.offer().unwrap();
    call.answer(&offer);
    for sequence in 0..34 {
        call.send_back(slot, sequence, Some(slot));
    }
    call.run(Duration::from_millis(50));
    assert_eq!(call.caller.counters(), BTreeMap::from([("early_media_overflow", 2)]));
    call.run(Duration::from_millis(300));
    let expired = ("early_media_expired", 32);
    assert_eq!(
        call.caller.counters(),
        BTreeMap::from([("early_media_overflow", 2), expired])
    );
    // Another offer is made before the answer is there, and the first one's section is in it.
    call.send_back(slot, 34, Some(slot));
    call.run(Duration::from_millis(50));
    let offer = call.caller.peer.offer().unwrap();
    let answer = call.answer(&offer);
    call.caller.peer.accept_answer(call.now, &answer).unwrap();
    call.send_back(slot, 35, Some(slot));
    call.run(Duration::from_millis(50));
    assert_eq!(call.came(slot), [34, 35]);
}

#[test]
fn media_of_no_section_that_was_offered_waits_for_nothing() {
    let mut call = Call::connected();
    let slot = call.caller.peer.add_section(Kind::Video, Direction::RecvOnly).unwrap();
    let screen = call.caller.peer.add_section(Kind::Video, Direction::SendOnly).unwrap();
    let offer = call.caller.peer.offer().unwrap();
    let answer = call.answer(&offer);
    // Wanted, but not offered yet.
    let wanted = call.caller.peer.add_section(Kind::Video, Direction::RecvOnly).unwrap();
    for (sequence, mid) in [screen, wanted, wanted + 1].into_iter().enumerate() {
        call.send_back(slot, sequence as u64, Some(mid));
    }
    call.run(Duration::from_millis(50));
    assert_eq!(call.caller.counters(), BTreeMap::from([("unknown_mid", 3)]));
    // What the answer turns down is told like all that comes there.
    call.send_back(slot, 3, Some(slot));
    call.run(Duration::from_millis(50));
    let at = answer.find(&format!("a=mid:{slot}\r\n")).unwrap();
    let begin = answer[..at].rfind("m=video").unwrap();
    let (before, section) = answer.split_at(begin);
    let answer = format!("{before}{}", section.replacen("a=sendonly", "a=inactive", 1));
    call.caller.peer.accept_answer(call.now, &answer).unwrap();
    call.send_back(slot, 4, Some(slot));
    call.run(Duration::from_millis(500));
    assert_eq!(call.came(slot), []);
    let expected = BTreeMap::from([("not_receiving", 2), ("unknown_mid", 3)]);
    assert_eq!(call.caller.counters(), expected);
}

#[test]
fn what_is_rejected_stays_so() {
    let mut server = config(2);
    server.video_codecs.clear();
    let mut call = Call::with(calling(), server);
    call.caller.peer.add_section(Kind::Video, Direction::SendOnly).unwrap();
    call.caller.peer.add_section(Kind::Audio, Direction::SendOnly).unwrap();
    call.negotiate();
    call.run(Duration::from_millis(300));
    assert_eq!(call.caller.peer.state(), State::Connected);
    assert_eq!(call.caller.peer.sections()[0].sender(), None);
    assert!(call.caller.peer.sections()[0].rejected().is_some());
    let offer = call.caller.peer.offer().unwrap();
    let session = sdp::Session::parse(&offer).unwrap();
    assert_eq!(session.media().map(|media| media.port()).collect::<Vec<_>>(), [0, 9]);
    let answer = call.answer(&offer);
    call.caller.peer.accept_answer(call.now, &answer).unwrap();
    call.send(1, 100, b"sound", false);
    call.run(Duration::from_millis(50));
    assert_eq!(call.server.sink.rtp.len(), 1);
}

#[test]
fn ice_is_restarted_after_silence() {
    let mut call = Call::connected();
    call.cut = true;
    call.run(Duration::from_secs(8));
    assert_eq!(call.caller.peer.state(), State::Disconnected);
    call.cut = false;
    call.caller.peer.restart_ice(call.now).unwrap();
    call.negotiate();
    call.run(Duration::from_millis(300));
    assert_eq!(call.caller.peer.state(), State::Connected);
    assert_eq!(call.server.peer.state(), State::Connected);
    call.send(CAMERA, 100, b"picture", false);
    call.run(Duration::from_millis(50));
    assert_eq!(call.server.sink.rtp.len(), 1);
    // Without a restart the credentials stay.
    let credentials = |offer: &str| {
        let session = sdp::Session::parse(offer).unwrap();
        session.media().next().unwrap().ice_ufrag().unwrap().to_owned()
    };
    let offers = [call.caller.peer.offer().unwrap(), call.caller.peer.offer().unwrap()];
    assert_eq!(credentials(&offers[0]), credentials(&offers[1]));
    call.negotiate();
}

/// RFC 7675 §5.1: consent lasts for 30 s; a lite end gives up before.
#[test]
fn a_full_peer_fails_when_consent_has_ended() {
    let mut call = Call::connected();
    call.cut = true;
    call.run(Duration::from_secs(24));
    assert_eq!(call.caller.peer.state(), State::Disconnected);
    assert_eq!(call.server.peer.state(), State::Failed);
    call.run(Duration::from_secs(7));
    assert_eq!(call.caller.peer.state(), State::Failed);
    // RFC 8445 §6.1.2.5.
    assert_eq!(config_in_full().ice.max_pairs, 100);
}

#[test]
fn a_restart_waits_for_the_next_offer() {
    let mut call = Call::connected();
    let offer = call.caller.peer.offer().unwrap();
    let answer = call.answer(&offer);
    call.caller.peer.restart_ice(call.now).unwrap();
    call.caller.peer.accept_answer(call.now, &answer).unwrap();
    let before: Vec<String> = call.caller.peer.local_ufrags().map(str::to_owned).collect();
    assert_eq!(before.len(), 1);
    call.negotiate();
    call.run(Duration::from_secs(5));
    let after: Vec<&str> = call.caller.peer.local_ufrags().collect();
    assert!(after.len() == 1 && after[0] != before[0], "{after:?}");
    assert_eq!(call.caller.peer.state(), State::Connected);
    assert_eq!(call.server.peer.state(), State::Connected);
    assert_eq!(call.caller.counters(), BTreeMap::new());
    assert_eq!(call.server.counters(), BTreeMap::new());
}

#[test]
fn a_restart_whose_answer_is_lost_is_made_again() {
    let mut call = Call::connected();
    call.cut = true;
    call.run(Duration::from_secs(8));
    call.caller.peer.restart_ice(call.now).unwrap();
    let offer = call.caller.peer.offer().unwrap();
    call.answer(&offer);
    call.run(Duration::from_secs(60));
    assert_eq!(call.caller.peer.state(), State::Failed);
    assert_eq!(call.server.peer.state(), State::Failed);
    call.cut = false;
    call.caller.peer.restart_ice(call.now).unwrap();
    call.negotiate();
    call.run(Duration::from_millis(300));
    assert_eq!(call.caller.peer.state(), State::Connected);
    assert_eq!(call.server.peer.state(), State::Connected);
}

#[test]
fn a_restart_may_be_answered_after_the_failure() {
    for late in [35, 60] {
        let mut call = Call::connected();
        call.cut = true;
        call.run(Duration::from_secs(8));
        call.caller.peer.restart_ice(call.now).unwrap();
        let offer = call.caller.peer.offer().unwrap();
        call.run(Duration::from_secs(late - 8));
        assert_eq!(call.caller.peer.state(), State::Failed);
        call.cut = false;
        let answer = call.answer(&offer);
        call.caller.peer.accept_answer(call.now, &answer).unwrap();
        assert_eq!(call.caller.peer.state(), State::Disconnected);
        call.run(Duration::from_millis(300));
        assert_eq!(call.caller.peer.state(), State::Connected);
        assert_eq!(call.server.peer.state(), State::Connected);
        call.send(CAMERA, 100, b"picture", false);
        call.run(Duration::from_millis(50));
        assert_eq!(call.server.sink.rtp.len(), 1);
    }
}

#[test]
fn an_answer_that_breaks_a_rule_changes_nothing() {
    let mut call = Call::new();
    let offer = call.caller.peer.offer().unwrap();
    let answer = call.answer(&offer);
    let swapped = {
        let sections: Vec<&str> = answer.split("m=").collect();
        [sections[0], sections[2], sections[1], sections[3], sections[4]].join("m=")
    };
    let truncated = answer.rsplit_once("m=").unwrap().0.to_owned();
    let cases = [
        ("nonsense".to_owned(), ""),
        (truncated, "as many m-sections"),
        (swapped, "in its order"),
        (answer.replace("a=mid:1", "a=mid:9"), "in its order"),
        (answer.replace("a=mid:1\r\n", ""), "keeps the a=mid"),
        (
            answer.replace("a=setup:passive", "a=setup:actpass"),
            "a=setup:active or",
        ),
        (answer.replace("a=setup:passive\r\n", ""), "a=setup:active or"),
        (answer.replace("a=ice-pwd:", "a=other:"), "needs a=ice-pwd"),
        (
            answer.replace("a=fingerprint:sha-256", "a=fingerprint:md2"),
            "hash function",
        ),
    ];
    for (broken, rule) in cases {
        let error = call.caller.peer.accept_answer(call.now, &broken).unwrap_err();
        assert!(error.rule().contains(rule), "{error} for {rule}");
        assert!(call.caller.peer.sections().is_empty());
        assert_eq!(call.caller.peer.state(), State::New);
    }
    call.caller.peer.accept_answer(call.now, &answer).unwrap();
    let again = call.caller.peer.accept_answer(call.now, &answer).unwrap_err();
    assert!(again.rule().contains("no offer"), "{again}");
    // Nobody asked for other credentials.
    let offer = call.caller.peer.offer().unwrap();
    let answer = call.answer(&offer);
    let ufrag = sdp::Session::parse(&answer).unwrap();
    let ufrag = ufrag.media().next().unwrap().ice_ufrag().unwrap().to_owned();
    let other = answer.replace(&ufrag, "AnotherUfrag");
    let error = call.caller.peer.accept_answer(call.now, &other).unwrap_err();
    assert!(error.rule().contains("restarts ICE"), "{error}");
    call.caller.peer.accept_answer(call.now, &answer).unwrap();
    call.run(Duration::from_millis(300));
    assert_eq!(call.caller.peer.state(), State::Connected);
}

#[test]
fn an_answer_gives_nothing_that_was_not_offered() {
    let mut call = Call::new();
    let offer = call.caller.peer.offer().unwrap();
    let answer = call.answer(&offer);
    // Other numbers, more than was asked for, and directions that nobody wants.
    let mid = Extension::Mid.uri();
    let own = format!(" {mid}\r\n");
    let answer = answer
        .replace(&own, &format!("{own}a=extmap:13 {}\r\n", Extension::AbsSendTime.uri()))
        .replacen("a=recvonly", "a=sendrecv", 1)
        .replacen("a=rtcp-mux", "a=rtcp-fb:96 goog-remb\r\na=rtcp-mux", 1)
        .replace("m=audio 9 UDP/TLS/RTP/SAVPF 96", "m=audio 9 UDP/TLS/RTP/SAVPF 96 120")
        .replace("a=rtpmap:96 opus", "a=rtpmap:120 opus/48000/2\r\na=rtpmap:96 opus");
    call.caller.peer.accept_answer(call.now, &answer).unwrap();
    let section = &call.caller.peer.sections()[MIC];
    assert_eq!(section.direction(), Direction::SendOnly);
    assert_eq!(section.extensions().get(Extension::AbsSendTime), None);
    assert_eq!(section.formats().len(), 1);
    assert_eq!(section.formats()[0].payload_type.0, 96);
    call.run(Duration::from_millis(300));
    assert_eq!(call.caller.peer.state(), State::Connected);
}

#[test]
fn an_extension_that_may_go_neither_way_is_not_used() {
    let line = format!("a=extmap:1 {}\r\n", Extension::Mid.uri());
    for (ours, theirs, used) in [
        (MIC, "", true),
        (MIC, "/sendrecv", true),
        (MIC, "/recvonly", true),
        (MIC, "/sendonly", false),
        (MIC, "/inactive", false),
        (AUDIO_SLOT, "/sendonly", true),
        (AUDIO_SLOT, "/recvonly", false),
    ] {
        let mut call = Call::new();
        let offer = call.caller.peer.offer().unwrap();
        let answer = call.answer(&offer);
        assert_eq!(answer.matches(&line).count(), 4, "{answer}");
        let mut answer = answer.replace(&line, &line.replace("extmap:1", &format!("extmap:1{theirs}")));
        let mid = |call: &Call| call.caller.peer.sections()[ours].extensions().get(Extension::Mid);
        call.caller.peer.accept_answer(call.now, &answer).unwrap();
        assert_eq!(mid(&call), used.then_some(1), "{theirs} in section {ours}");
        // On hold nothing is known of the way that it will go on.
        let offer = call.caller.peer.offer().unwrap();
        for direction in ["a=recvonly", "a=sendonly"] {
            answer = answer.replace(direction, "a=inactive");
        }
        call.answer(&offer);
        call.caller.peer.accept_answer(call.now, &answer).unwrap();
        assert_eq!(mid(&call), (theirs != "/inactive").then_some(1), "{theirs} on hold");
    }
}

#[test]
fn what_is_only_received_needs_no_ssrc() {
    let mut limited = calling();
    limited.max_ssrcs = 2;
    let mut call = Call::with(limited, config(2));
    let caller = &mut call.caller.peer;
    assert_eq!(caller.add_section(Kind::Video, Direction::SendOnly), Ok(0));
    assert_eq!(
        caller.add_section(Kind::Audio, Direction::SendRecv),
        Err(SectionError::Full)
    );
    assert_eq!(caller.add_section(Kind::Audio, Direction::RecvOnly), Ok(1));
    call.negotiate();
    call.run(Duration::from_millis(300));
    assert_eq!(call.caller.peer.state(), State::Connected);
    assert_eq!(call.caller.peer.sections()[1].streams().len(), 1);
}

#[test]
fn a_sender_stays_whatever_direction_the_answers_have() {
    let mut call = Call::with(calling(), config(2));
    call.caller.peer.add_section(Kind::Video, Direction::SendRecv).unwrap();
    let mut ssrcs = BTreeSet::new();
    // As the server sees it.
    for (direction, sends) in [
        ("a=sendonly", false),
        ("a=sendrecv", true),
        ("a=inactive", false),
        ("a=recvonly", true),
        ("a=sendonly", false),
        ("a=sendrecv", true),
    ] {
        let offer = call.caller.peer.offer().unwrap();
        let answer = call.answer(&offer);
        let answer = answer.replace("a=sendrecv", direction);
        call.caller.peer.accept_answer(call.now, &answer).unwrap();
        call.run(Duration::from_millis(300));
        let section = &call.caller.peer.sections()[0];
        assert_eq!(section.sender().is_some(), sends, "{direction}");
        if let Some(id) = section.sender() {
            ssrcs.insert(call.caller.peer.sender(id).unwrap().ssrc().0);
            let header = RtpOut {
                payload_type: section.formats()[0].payload_type,
                sequence_number: 100 + call.numbers as u64,
                ..RtpOut::default()
            };
            call.numbers += 1;
            let mut out = [0; Peer::MIN_OUT];
            let written = call
                .caller
                .peer
                .write_rtp(call.now, id, &header, &[b"picture"], &mut out);
            assert!(written.is_ok(), "{direction}: {written:?}");
        }
    }
    assert_eq!(ssrcs.len(), 1);
}

/// An answer without its candidates, these, and the credentials.
fn apart(answer: &str) -> (String, Vec<String>, (String, String)) {
    let session = sdp::Session::parse(answer).unwrap();
    let media = session.media().next().unwrap();
    let credentials = (
        media.ice_ufrag().unwrap().to_owned(),
        media.ice_pwd().unwrap().to_owned(),
    );
    let (candidates, rest): (Vec<&str>, Vec<&str>) = answer
        .split_inclusive("\r\n")
        .partition(|line| line.starts_with("a=candidate:"));
    let candidates = candidates.iter().map(|line| line[2..].trim_end().to_owned()).collect();
    (rest.concat(), candidates, credentials)
}

fn fragment((ufrag, pwd): &(String, String), candidates: &[String]) -> String {
    let lines: String = candidates
        .iter()
        .map(|candidate| format!("a={candidate}\r\n"))
        .collect();
    format!("a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n{lines}")
}

#[test]
fn candidates_that_come_before_their_answer_are_used_with_it() {
    for (restart, in_fragments) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut call = if restart { Call::connected() } else { Call::new() };
        if restart {
            call.caller.peer.restart_ice(call.now).unwrap();
        }
        let offer = call.caller.peer.offer().unwrap();
        let (answer, candidates, credentials) = apart(&call.answer(&offer));
        assert!(!candidates.is_empty());
        let caller = &mut call.caller.peer;
        // A fragment repeats all candidates that came before (RFC 8840 §4.4): each waits once.
        for _ in 0..65 {
            if in_fragments {
                let trickled = fragment(&credentials, &candidates);
                assert_eq!(caller.handle_fragment(call.now, &trickled), Ok(None));
                continue;
            }
            for candidate in &candidates {
                let candidate = format!("{candidate} ufrag {}", credentials.0);
                assert_eq!(caller.add_remote_candidate(call.now, Some("0"), &candidate), Ok(()));
            }
        }
        // Of a session that no answer is for.
        let gone = "candidate:1 1 udp 1 192.0.2.66 1 typ host ufrag gone";
        assert_eq!(caller.add_remote_candidate(call.now, None, gone), Ok(()));
        assert_eq!(call.caller.counters(), BTreeMap::new());
        call.caller.peer.accept_answer(call.now, &answer).unwrap();
        call.run(Duration::from_secs(5));
        assert_eq!(call.caller.counters(), BTreeMap::from([("stale_candidates", 1)]));
        assert_eq!(call.caller.peer.state(), State::Connected);
        // Nothing of the session before is left, for a pair of the new one is nominated.
        assert_eq!(call.caller.peer.local_ufrags().count(), 1);
    }
}

#[test]
fn a_fragment_does_not_restart_ice_at_who_offers() {
    let mut call = Call::new();
    let other = ("another".to_owned(), "p".repeat(24));
    let candidate = "candidate:1 1 udp 1 192.0.2.66 1 typ host".to_owned();
    let foreign = fragment(&other, std::slice::from_ref(&candidate));
    let error = call.caller.peer.handle_fragment(call.now, &foreign).unwrap_err();
    assert!(error.rule().contains("no session"), "{error}");
    let offer = call.caller.peer.offer().unwrap();
    let answer = call.answer(&offer);
    call.caller.peer.accept_answer(call.now, &answer).unwrap();
    call.run(Duration::from_millis(300));
    let (_, _, present) = apart(&answer);
    let before: Vec<String> = call.caller.peer.local_ufrags().map(str::to_owned).collect();
    let caller = &mut call.caller.peer;
    assert_eq!(
        caller.handle_fragment(call.now, &fragment(&present, &[candidate])),
        Ok(None)
    );
    assert_eq!(call.caller.counters(), BTreeMap::new());
    let caller = &mut call.caller.peer;
    assert_eq!(caller.handle_fragment(call.now, &foreign), Ok(None));
    assert_eq!(call.caller.counters(), BTreeMap::from([("stale_candidates", 1)]));
    assert!(call.caller.peer.local_ufrags().eq(before.iter()));
    call.run(Duration::from_secs(40));
    assert_eq!(call.caller.peer.state(), State::Connected);
    // The next answer still fits.
    call.negotiate();
}

#[test]
fn who_answers_with_ice_lite_cannot_take_control() {
    // RFC 8445 §6.1.1: a lite agent is controlled, whatever its tiebreaker; of two full ones the larger decides
    // (§7.3.1.1).
    for (lite, conflicts) in [(true, 1), (false, 0)] {
        let mut call = Call::new();
        let offer = call.caller.peer.offer().unwrap();
        let mut answer = call.answer(&offer);
        if !lite {
            answer = answer.replace("a=ice-lite\r\n", "");
        }
        call.caller.peer.accept_answer(call.now, &answer).unwrap();
        let (_, _, (ufrag, pwd)) = apart(&offer);
        let mut out = [0; 200];
        let mut check = Builder::new(&mut out, Class::Request, Method::BINDING, TransactionId([1; 12])).unwrap();
        check.push(&Value::Username(&format!("{ufrag}:them"))).unwrap();
        check.push(&Value::IceControlling(u64::MAX)).unwrap();
        check.push(&Value::Priority(1)).unwrap();
        check.integrity(&Key::short_term(&pwd)).unwrap();
        check.fingerprint().unwrap();
        let mut check = check.finish().to_vec();
        let path = Path::udp(CALLER.parse().unwrap(), SERVER.parse().unwrap());
        let End { peer, sink, .. } = &mut call.caller;
        peer.handle_datagram(call.now, &path, &mut check, sink);
        let counters = call.caller.counters();
        assert_eq!(
            counters.get("ice_role_conflicts").copied().unwrap_or_default(),
            conflicts
        );
        assert_eq!(
            counters.get("ice_role_switches").copied().unwrap_or_default(),
            1 - conflicts
        );
    }
}

#[test]
fn each_role_refuses_the_other_ones_part() {
    let now = Instant::now();
    let mut server = End::new(config(1), 1, SERVER, now).peer;
    assert_eq!(
        server.add_section(Kind::Audio, Direction::SendOnly),
        Err(SectionError::Answering)
    );
    assert_eq!(server.offer(), Err(SectionError::Answering));
    assert_eq!(server.restart_ice(now), Err(SectionError::Answering));
    let mut limited = calling();
    limited.max_sections = 1;
    limited.audio_codecs.clear();
    let mut caller = End::new(limited, 1, CALLER, now).peer;
    assert_eq!(caller.offer(), Err(SectionError::Empty));
    assert_eq!(
        caller.add_section(Kind::Application, Direction::SendRecv),
        Err(SectionError::Unusable)
    );
    assert_eq!(
        caller.add_section(Kind::Video, Direction::Inactive),
        Err(SectionError::Unusable)
    );
    assert_eq!(
        caller.add_section(Kind::Audio, Direction::SendOnly),
        Err(SectionError::NoCodec)
    );
    assert_eq!(caller.add_section(Kind::Video, Direction::SendOnly), Ok(0));
    assert_eq!(
        caller.add_section(Kind::Video, Direction::SendOnly),
        Err(SectionError::Full)
    );
    let offer = caller.offer().unwrap();
    let error = caller.accept_offer(now, &offer).unwrap_err();
    assert!(error.rule().contains("offers and does not answer"));
    caller.close(now);
    assert_eq!(caller.offer(), Err(SectionError::Closed));
    assert!(caller.accept_answer(now, &offer).is_err());
}
