//! Data channels between two peers, in virtual time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dtls_srtp::Version;
use dtls_srtp::fake::{self, FakeCrypto};
use peer::testing::Collected;
use peer::{
    ChannelEvent, ChannelId, ChannelInit, ChannelSendError, CloseReason, Config, DataCloseReason, Direction, Event,
    IceServer, Kind, MessageKind, OpenError, Peer, State,
};
use wire::{Path, Seed};

const ADDRESSES: [&str; 2] = ["198.51.100.7:5000", "192.0.2.1:3478"];
const RTT: Duration = Duration::from_millis(100);

/// One end.
struct End {
    peer: Peer,
    sink: Collected,
    events: Vec<Event>,
    coming: VecDeque<(Instant, Path, Vec<u8>)>,
    /// When the first message had come.
    first_message: Option<Duration>,
    /// Runs of several datagrams that it sent.
    runs: usize,
}

struct Call {
    ends: [End; 2],
    now: Instant,
    start: Instant,
    room: usize,
    /// Which datagrams are lost, counted from the first.
    lost: std::ops::Range<usize>,
    sent: usize,
}

fn config(end: usize, change: &dyn Fn(&mut Config)) -> Arc<Config> {
    let mut dtls = dtls_srtp::Config::new(Arc::new(FakeCrypto::new()), fake::certificate(end as u64));
    dtls.versions = vec![Version::DTLS_1_2];
    let mut config = Config::full(Arc::new(dtls));
    config.application = true;
    change(&mut config);
    Arc::new(config)
}

impl Call {
    fn new(change: &dyn Fn(&mut Config)) -> Self {
        let now = Instant::now();
        let end = |end: usize| {
            let mut peer = Peer::new(config(end, change), Seed::from_run(end as u64), now);
            peer.add_local_candidate(ADDRESSES[end].parse().unwrap());
            End {
                peer,
                sink: Collected::default(),
                events: Vec::new(),
                coming: VecDeque::new(),
                first_message: None,
                runs: 0,
            }
        };
        let mut call = Self {
            ends: [end(0), end(1)],
            now,
            start: now,
            room: 65_000,
            lost: 0..0,
            sent: 0,
        };
        let [caller, _] = &mut call.ends;
        caller.peer.add_section(Kind::Application, Direction::SendRecv).unwrap();
        call
    }

    fn negotiate(&mut self) -> [String; 2] {
        self.negotiate_as(&|offer| offer, &|answer| answer)
    }

    /// With an offer and an answer that are changed on the way.
    fn negotiate_as(&mut self, offered: &dyn Fn(String) -> String, answered: &dyn Fn(String) -> String) -> [String; 2] {
        let [caller, answerer] = &mut self.ends;
        let offer = offered(caller.peer.offer().unwrap());
        let answer = answered(answerer.peer.accept_offer(self.now, &offer).unwrap());
        caller.peer.accept_answer(self.now, &answer).unwrap();
        [offer, answer]
    }

    fn exchange(&mut self) {
        let mut out = vec![0; self.room];
        for from in 0..2 {
            while let Some(transmit) = self.ends[from].peer.poll_transmit(self.now, &mut out) {
                let path = Path::udp(transmit.path.remote, transmit.path.local);
                let size = transmit.segment.map_or(transmit.len, |size| usize::from(size.get()));
                self.ends[from].runs += usize::from(transmit.datagrams() > 1);
                for datagram in out[..transmit.len].chunks(size) {
                    assert!(datagram.len() <= 1200, "{}", datagram.len());
                    let arrival = self.now + RTT / 2;
                    self.sent += 1;
                    if self.lost.contains(&(self.sent - 1)) {
                        continue;
                    }
                    self.ends[1 - from].coming.push_back((arrival, path, datagram.to_vec()));
                }
            }
            let end = &mut self.ends[from];
            while let Some(event) = end.peer.poll_event() {
                end.events.push(event);
            }
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        let mut wakes = 0;
        loop {
            self.exchange();
            let deadlines = self
                .ends
                .iter()
                .flat_map(|end| [end.peer.poll_timeout(), end.coming.front().map(|coming| coming.0)]);
            let Some(next) = deadlines.flatten().min().filter(|next| *next <= end) else {
                break;
            };
            wakes = if next > self.now { 0 } else { wakes + 1 };
            let timers = self
                .ends
                .each_ref()
                .map(|end| (end.peer.next_timer(), end.peer.state()));
            assert!(wakes < 100, "a deadline that does not pass: {timers:?}");
            self.now = next.max(self.now);
            for side in &mut self.ends {
                while side.coming.front().is_some_and(|coming| coming.0 <= self.now) {
                    let (_, path, mut data) = side.coming.pop_front().unwrap();
                    side.peer.handle_datagram(self.now, &path, &mut data, &mut side.sink);
                    if !side.sink.messages.is_empty() {
                        side.first_message.get_or_insert(self.now - self.start);
                    }
                }
                side.peer.handle_timeout(self.now);
            }
        }
        self.now = end;
    }

    fn open(&mut self, end: usize, init: ChannelInit) -> ChannelId {
        self.ends[end].peer.open_channel(self.now, init).unwrap()
    }

    fn send(&mut self, end: usize, channel: ChannelId, kind: MessageKind, payload: &[u8]) {
        let payload = Bytes::copy_from_slice(payload);
        self.ends[end]
            .peer
            .send_message(self.now, channel, kind, payload)
            .unwrap();
    }

    fn has(&self, end: usize, event: &Event) -> bool {
        self.ends[end].events.contains(event)
    }

    fn count(&self, end: usize, event: &Event) -> usize {
        self.ends[end].events.iter().filter(|other| *other == event).count()
    }

    fn try_open(&mut self, end: usize) -> Result<ChannelId, OpenError> {
        self.ends[end].peer.open_channel(self.now, ChannelInit::new("x"))
    }

    fn counter(&self, end: usize, name: &str) -> u64 {
        let mut found = 0;
        self.ends[end].peer.each_counter(&mut |other, value| {
            if name == other {
                found += value;
            }
        });
        found
    }

    /// What came on channels of these labels that the peer opened.
    fn texts(&self, end: usize) -> Vec<(String, String)> {
        let sink = &self.ends[end].sink;
        let label = |id: &ChannelId| {
            let opened = sink.channels.iter().find(|(other, _)| other == id);
            opened.map_or(String::new(), |(_, label)| label.clone())
        };
        let text = |payload: &Vec<u8>| String::from_utf8(payload.clone()).unwrap();
        let messages = sink.messages.iter();
        messages.map(|(id, _, payload)| (label(id), text(payload))).collect()
    }
}

/// A call with one channel, which the caller has opened: its names at both ends.
fn connected(change: &dyn Fn(&mut Config)) -> (Call, [ChannelId; 2]) {
    let mut call = Call::new(change);
    let ours = call.open(0, ChannelInit::new("chat"));
    call.negotiate();
    call.run(Duration::from_secs(1));
    let (theirs, label) = call.ends[1].sink.channels[0].clone();
    assert_eq!(label, "chat");
    assert!(call.has(0, &Event::Channel(ChannelEvent::Open(ours))));
    (call, [ours, theirs])
}

#[test]
fn messages_go_both_ways() {
    let (mut call, channels) = connected(&|_| {});
    for end in [0, 1] {
        assert!(call.has(end, &Event::DataConnected));
        call.send(end, channels[end], MessageKind::Text, "grüß".as_bytes());
        call.send(end, channels[end], MessageKind::Binary, &[]);
        call.send(end, channels[end], MessageKind::Text, &[]);
        call.send(end, channels[end], MessageKind::Binary, &[7; 200_000]);
    }
    call.run(Duration::from_secs(5));
    for end in [0, 1] {
        let id = channels[end];
        let expected = [
            (id, MessageKind::Text, "grüß".as_bytes().to_vec()),
            (id, MessageKind::Binary, vec![]),
            (id, MessageKind::Text, vec![]),
            (id, MessageKind::Binary, vec![7; 200_000]),
        ];
        assert!(call.ends[end].sink.messages == expected);
        assert!(call.ends[end].runs > 0, "packets go in runs");
        let mut counters = Vec::new();
        call.ends[end].peer.each_counter(&mut |name, value| {
            if value > 0 {
                counters.push((name, value));
            }
        });
        assert_eq!(counters, []);
    }
    call.ends[0].peer.close_channel(call.now, channels[0]);
    call.run(Duration::from_secs(1));
    for end in [0, 1] {
        assert!(call.has(end, &Event::Channel(ChannelEvent::Closed(channels[end]))));
    }
    call.ends[0].peer.close(call.now);
    call.run(Duration::from_secs(1));
    assert!(call.ends.iter().all(|end| end.peer.state() == State::Closed));
    let late = Bytes::from_static(b"late");
    let sent = call.ends[1]
        .peer
        .send_message(call.now, channels[1], MessageKind::Text, late);
    assert_eq!(sent, Err(ChannelSendError::NotOpen));
}

/// The time from the answer to the first message, in hundredths of a round trip.
fn first_message(version: Version, sped: bool, snap: bool) -> u128 {
    let mut call = Call::new(&|config| {
        let mut dtls = (*config.dtls).clone();
        dtls.versions = vec![version];
        config.dtls = Arc::new(dtls);
        config.sped = sped;
        config.snap = snap;
    });
    let ids = [0, 1].map(|end| {
        if end == 0 {
            Some(call.open(0, ChannelInit::new("a")))
        } else {
            None
        }
    });
    let texts = call.negotiate();
    assert!(
        texts.iter().all(|text| text.contains("a=sctp-init:") == snap),
        "{texts:?}"
    );
    let theirs = call.open(1, ChannelInit::new("b"));
    for (end, id) in [(0, ids[0].unwrap()), (1, theirs)] {
        call.send(end, id, MessageKind::Text, b"first");
    }
    call.run(Duration::from_secs(3));
    for end in &call.ends {
        assert_eq!(
            end.sink.messages.len(),
            1,
            "{:?} {:?} {:?}",
            end.events,
            end.peer.data(),
            end.sink.channels
        );
    }
    let first = call.ends.iter().filter_map(|end| end.first_message).min().unwrap();
    first.as_millis() * 100 / RTT.as_millis()
}

#[test]
fn the_first_message_comes_as_soon_as_it_can() {
    let cases = [
        (Version::DTLS_1_2, false, false, 450),
        (Version::DTLS_1_3, false, false, 350),
        (Version::DTLS_1_2, false, true, 350),
        (Version::DTLS_1_3, false, true, 250),
        (Version::DTLS_1_3, true, true, 200),
    ];
    for (version, sped, snap, most) in cases {
        let first = first_message(version, sped, snap);
        println!(
            "{version:?}, SPED {sped}, SNAP {snap}: {} round trips",
            first as f64 / 100.0
        );
        assert!(first <= most, "{version:?} {sped} {snap}: {first}");
    }
}

#[test]
fn control_does_not_wait_behind_data() {
    let mut call = Call::new(&|_| {});
    let ours = call.open(0, ChannelInit::new("bulk"));
    call.negotiate();
    call.run(SOON);
    for _ in 0..10 {
        call.send(0, ours, MessageKind::Binary, &[0; 1000]);
    }
    let (mut out, now) = (vec![0; 65_000], call.now);
    let peer = &mut call.ends[0].peer;
    assert_eq!(peer.poll_control(now, &mut out), None);
    assert!(peer.poll_transmit(now, &mut out).is_some());
}

#[test]
fn what_cannot_be_opened_says_why() {
    let now = Instant::now();
    let mut peer = Peer::new(config(0, &|config| config.application = false), Seed::from_run(1), now);
    assert_eq!(
        peer.open_channel(now, ChannelInit::new("x")),
        Err(OpenError::NoTransport)
    );
    assert!(peer.add_section(Kind::Application, Direction::SendRecv).is_err());
    assert!(peer.data().is_none());
    let mut peer = Peer::new(config(0, &|_| {}), Seed::from_run(1), now);
    assert_eq!(peer.add_section(Kind::Application, Direction::SendRecv), Ok(0));
    // One is for all channels.
    assert!(peer.add_section(Kind::Application, Direction::SendRecv).is_err());
}

/// Long enough for whatever is under way.
const SOON: Duration = Duration::from_secs(2);

#[test]
fn a_section_that_was_stopped_comes_back_with_new_channels() {
    let mut call = Call::new(&|config| config.snap = true);
    let [caller, _] = &mut call.ends;
    caller.peer.add_section(Kind::Audio, Direction::SendRecv).unwrap();
    let ours = call.open(0, ChannelInit::new("chat"));
    call.negotiate();
    call.run(SOON);
    let theirs = call.ends[1].sink.channels[0].0;
    call.send(0, ours, MessageKind::Text, &[0; 200_000]);
    call.run(SOON);
    // Something was lost, so that something was counted.
    call.lost = call.sent..call.sent + 3;
    call.send(0, ours, MessageKind::Text, &[0; 20_000]);
    call.run(SOON);
    let counted = call.counter(0, "sctp_retransmissions");
    assert!(counted > 0);

    call.negotiate_as(
        &|offer| offer.replace("m=application 9", "m=application 0"),
        &|answer| answer,
    );
    for (end, id) in [(0, ours), (1, theirs)] {
        assert_eq!(call.try_open(end), Err(OpenError::NoTransport));
        let late = call.ends[end]
            .peer
            .send_message(call.now, id, MessageKind::Text, Bytes::from_static(b"late"));
        assert_eq!(late, Err(ChannelSendError::NotOpen));
    }
    // What the old one had to tell is told, though nobody asks before there is a new one.
    assert_eq!(
        call.ends[0].peer.add_section(Kind::Application, Direction::SendRecv),
        Ok(2)
    );
    let next = call.open(0, ChannelInit::new("next"));
    call.negotiate();
    call.run(SOON);
    for (end, id) in [(0, ours), (1, theirs)] {
        assert!(call.has(end, &Event::Channel(ChannelEvent::Closed(id))));
        assert!(call.has(end, &Event::DataClosed(DataCloseReason::Aborted)));
        assert_eq!(call.count(end, &Event::DataConnected), 2);
    }
    assert_eq!(call.ends[1].sink.channels[1].1, "next");
    call.ends[1].sink.messages.clear();
    call.send(0, next, MessageKind::Text, b"again");
    call.run(SOON);
    assert_eq!(call.ends[1].sink.messages.len(), 1);
    assert!(call.counter(0, "sctp_retransmissions") >= counted);
}

#[test]
fn a_rejected_section_closes_what_was_opened_for_it() {
    let mut call = Call::new(&|_| {});
    let without = config(1, &|config| config.application = false);
    call.ends[1].peer = Peer::new(without, Seed::from_run(1), call.now);
    let ours = call.open(0, ChannelInit::new("chat"));
    let [_, answer] = call.negotiate();
    assert!(answer.contains("m=application 0"), "{answer}");
    call.run(SOON);
    let told = [
        Event::Negotiated,
        Event::Channel(ChannelEvent::Closed(ours)),
        Event::DataClosed(DataCloseReason::Aborted),
    ];
    assert!(call.ends[0].events.ends_with(&told), "{:?}", call.ends[0].events);
    assert_eq!(call.try_open(0), Err(OpenError::NoTransport));
    assert_eq!(
        call.ends[0].peer.add_section(Kind::Application, Direction::SendRecv),
        Ok(1)
    );
    call.try_open(0).unwrap();
}

#[test]
fn a_section_may_be_wished_for_while_an_answer_is_due() {
    let mut call = Call::new(&|_| {});
    let mut caller = Peer::new(config(0, &|_| {}), Seed::from_run(7), call.now);
    caller.add_local_candidate(ADDRESSES[0].parse().unwrap());
    caller.add_section(Kind::Audio, Direction::SendRecv).unwrap();
    call.ends[0].peer = caller;
    let offer = call.ends[0].peer.offer().unwrap();
    call.ends[0]
        .peer
        .add_section(Kind::Application, Direction::SendRecv)
        .unwrap();
    let ours = call.open(0, ChannelInit::new("chat"));
    let answer = call.ends[1].peer.accept_offer(call.now, &offer).unwrap();
    call.ends[0].peer.accept_answer(call.now, &answer).unwrap();
    call.run(SOON);
    assert!(call.ends[1].peer.data().is_none());
    call.negotiate();
    call.run(SOON);
    assert!(call.has(0, &Event::Channel(ChannelEvent::Open(ours))));
}

#[test]
fn an_association_that_has_ended_does_not_come_back_by_itself() {
    for snap in [false, true] {
        let mut call = Call::new(&|config| {
            config.snap = snap;
            config.sctp.max_receive_message = 1000;
        });
        let ours = call.open(0, ChannelInit::new("chat"));
        call.negotiate_as(&|offer| offer, &|answer| {
            answer.replace("a=max-message-size:1000", "a=max-message-size:0")
        });
        call.run(SOON);
        call.send(0, ours, MessageKind::Binary, &[0; 5000]);
        call.run(SOON);
        let [caller, _] = &mut call.ends;
        caller.peer.add_section(Kind::Audio, Direction::SendRecv).unwrap();
        call.negotiate();
        call.run(SOON);
        for end in [0, 1] {
            let closed = |event: &&Event| matches!(event, Event::DataClosed(_));
            assert_eq!(call.ends[end].events.iter().filter(closed).count(), 1);
            assert_eq!(call.count(end, &Event::DataConnected), 1);
            assert_eq!(call.ends[end].peer.state(), State::Connected);
            assert_eq!(call.try_open(end), Err(OpenError::NoTransport));
        }
    }
}

#[test]
fn any_datagram_may_be_lost() {
    for (snap, version) in [
        (true, Version::DTLS_1_3),
        (false, Version::DTLS_1_3),
        (false, Version::DTLS_1_2),
    ] {
        for lost in 0..40 {
            let mut call = Call::new(&|config| {
                let mut dtls = (*config.dtls).clone();
                dtls.versions = vec![version];
                config.dtls = Arc::new(dtls);
                config.sped = true;
                config.snap = snap;
            });
            call.lost = lost..lost + 1;
            let ours = call.open(0, ChannelInit::new("ours"));
            call.negotiate();
            let theirs = call.open(1, ChannelInit::new("theirs"));
            for text in ["1", "2"] {
                call.send(0, ours, MessageKind::Text, text.as_bytes());
                call.send(1, theirs, MessageKind::Text, text.as_bytes());
            }
            call.run(Duration::from_secs(10));
            for (end, label) in [(0, "theirs"), (1, "ours")] {
                let expected = ["1", "2"].map(|text| (label.to_owned(), text.to_owned()));
                assert_eq!(call.texts(end), expected, "{version:?} {snap} {lost}");
            }
            call.ends[0].peer.close_channel(call.now, ours);
            call.ends[1].peer.close_channel(call.now, theirs);
            call.run(Duration::from_secs(10));
            assert!(call.has(0, &Event::Channel(ChannelEvent::Closed(ours))));
            assert!(call.has(1, &Event::Channel(ChannelEvent::Closed(theirs))));
        }
    }
}

#[test]
fn both_ends_may_open_the_same_label_at_once() {
    let mut call = Call::new(&|_| {});
    let labels = ["a", "a", "b"];
    let mut ids = [vec![], vec![]];
    ids[0] = labels.map(|label| call.open(0, ChannelInit::new(label))).to_vec();
    call.negotiate();
    ids[1] = labels.map(|label| call.open(1, ChannelInit::new(label))).to_vec();
    call.run(SOON);
    let mut streams = Vec::new();
    for end in [0, 1] {
        for (at, id) in ids[end].iter().enumerate() {
            assert_eq!(call.count(end, &Event::Channel(ChannelEvent::Open(*id))), 1);
            let channel = call.ends[end].peer.data().unwrap().channel(*id).unwrap();
            streams.push(channel.stream().unwrap());
            call.send(end, *id, MessageKind::Text, format!("{end}{at}").as_bytes());
        }
    }
    streams.sort_unstable();
    assert_eq!(streams, [0, 1, 2, 3, 4, 5]);
    call.run(SOON);
    for end in [0, 1] {
        let expected = [0, 1, 2].map(|at| (labels[at].to_owned(), format!("{}{at}", 1 - end)));
        assert_eq!(call.texts(end), expected);
    }
}

#[test]
fn who_sends_too_much_is_blocked_until_there_is_room() {
    let (mut call, [ours, _]) = connected(&|config| config.sctp.send_buffer = 64 << 10);
    let writable = Event::Channel(ChannelEvent::Writable);
    let low = Event::Channel(ChannelEvent::BufferedAmountLow(ours));
    call.ends[0].peer.set_buffered_amount_low_threshold(ours, 10_000);
    let mut sent = 0;
    let mut fill = |call: &mut Call| {
        let result = loop {
            let payload = Bytes::from(vec![7; 1000]);
            let [caller, _] = &mut call.ends;
            match caller.peer.send_message(call.now, ours, MessageKind::Binary, payload) {
                Ok(()) => sent += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(result, ChannelSendError::Blocked);
        sent
    };
    for round in 1..4 {
        let sent = fill(&mut call);
        let [caller, _] = &mut call.ends;
        assert!(caller.peer.buffered_amount(ours) > 10_000);
        call.run(SOON);
        assert_eq!(call.count(0, &writable), round);
        assert_eq!(call.count(0, &low), round);
        assert_eq!(call.ends[1].sink.messages.len(), sent);
    }
}

#[test]
fn a_thousand_channels_open_and_close() {
    let mut call = Call::new(&|_| {});
    let ids: Vec<ChannelId> = (0..1000)
        .map(|at| call.open(0, ChannelInit::new(at.to_string())))
        .collect();
    call.negotiate();
    for (at, id) in ids.iter().enumerate() {
        call.send(0, *id, MessageKind::Text, at.to_string().as_bytes());
    }
    call.run(SOON);
    let mut came = call.texts(1);
    came.sort_by_key(|(label, _)| label.parse::<u32>().unwrap());
    let expected: Vec<_> = (0..1000).map(|at| (at.to_string(), at.to_string())).collect();
    assert!(came == expected);
    for id in &ids {
        call.ends[0].peer.close_channel(call.now, *id);
    }
    call.run(Duration::from_secs(10));
    for end in [0, 1] {
        let events = call.ends[end].events.iter();
        let closed = events.filter(|event| matches!(event, Event::Channel(ChannelEvent::Closed(_))));
        assert_eq!(closed.count(), 1000);
    }
}

#[test]
fn long_messages_come_in_parts() {
    let (mut call, [ours, theirs]) = connected(&|config| {
        config.sctp.receive_parts = Some(10_000);
        // Only of those that are held whole.
        config.sctp.max_receive_message = 300_000;
    });
    let long: Vec<u8> = (0..300_000).map(|at: u32| (at / 7) as u8).collect();
    call.send(0, ours, MessageKind::Binary, &long);
    call.send(0, ours, MessageKind::Binary, &[1; 5000]);
    call.run(SOON);
    let sink = &call.ends[1].sink;
    assert!(sink.messages == [(theirs, MessageKind::Binary, vec![1; 5000])]);
    let count = sink.parts.len();
    assert!(count > 1);
    for (at, (id, _, first, last)) in sink.parts.iter().enumerate() {
        assert_eq!((*id, *first, *last), (theirs, at == 0, at + 1 == count));
    }
    let whole: Vec<u8> = sink.parts.iter().flat_map(|part| part.1.clone()).collect();
    assert!(whole == long);
}

const MIB: usize = 1 << 20;

#[test]
fn a_long_message_is_held_whole_by_nobody() {
    let (mut call, [ours, theirs]) = connected(&|config| {
        config.sctp.send_buffer = MIB;
        config.sctp.receive_window = MIB as u32;
        config.sctp.receive_parts = Some(64 << 10);
    });
    let writable = Event::Channel(ChannelEvent::Writable);
    let total = 65 * MIB + 17;
    let byte = |at: usize| (at % 251) as u8;
    let (mut sent, mut came, mut blocked, mut held, mut longest) = (0, 0, 0, 0, 0);
    let mut ended = false;
    while came < total {
        let is_blocked = blocked > 0 && !call.has(0, &writable);
        while sent < total && !is_blocked {
            let end = (sent + 64 * 1024).min(total);
            let part: Bytes = (sent..end).map(byte).collect::<Vec<_>>().into();
            let peer = &mut call.ends[0].peer;
            let taken = if sent == 0 {
                peer.send_first_message_part(call.now, ours, MessageKind::Binary, part, Some(total))
            } else {
                peer.send_message_part(call.now, ours, part, end == total)
            };
            match taken {
                Ok(()) => sent = end,
                Err(error) => {
                    assert_eq!(error, ChannelSendError::Blocked);
                    blocked += 1;
                    call.ends[0].events.clear();
                    break;
                }
            }
        }
        held = held.max(call.ends[0].peer.data().unwrap().association().stats().held);
        call.run(Duration::from_millis(50));
        for (id, part, first, last) in call.ends[1].sink.parts.drain(..) {
            assert_eq!((id, first, ended), (theirs, came == 0, false));
            assert!(part.iter().enumerate().all(|(at, got)| *got == byte(came + at)));
            came += part.len();
            longest = longest.max(part.len());
            ended = last;
        }
        assert!(call.now - call.start < Duration::from_secs(60), "{came} bytes came");
    }
    assert_eq!((came, ended), (total, true));
    assert!(blocked > 20, "{blocked}");
    call.run(SOON);
    assert_eq!(call.ends[0].peer.buffered_amount(ours), 0);
    // sctp's tests look at the memory that this takes.
    assert!((MIB / 2..MIB + (64 << 10)).contains(&held), "{held}");
    assert!(longest <= (64 << 10) + 1200, "{longest}");
    assert_eq!(call.ends[1].sink.cuts, []);
}

#[test]
fn a_message_that_is_cut_is_told_of() {
    let (mut call, [ours, theirs]) = connected(&|config| config.sctp.receive_parts = Some(10_000));
    let part = Bytes::from(vec![7; 100_000]);
    let peer = &mut call.ends[0].peer;
    peer.send_first_message_part(call.now, ours, MessageKind::Binary, part.clone(), None)
        .unwrap();
    call.run(SOON);
    assert!(call.ends[1].sink.parts.len() > 1);
    call.ends[0].peer.close_channel(call.now, ours);
    let late = call.ends[0].peer.send_message_part(call.now, ours, part.clone(), true);
    assert_eq!(late, Err(ChannelSendError::NotOpen));
    call.run(SOON);
    assert_eq!(call.ends[1].sink.cuts, [theirs]);
    for (end, id) in [(0, ours), (1, theirs)] {
        assert!(call.has(end, &Event::Channel(ChannelEvent::Closed(id))));
    }
    call.ends[0].peer.close(call.now);
    let late = call.ends[0].peer.send_message_part(call.now, ours, part.clone(), true);
    assert_eq!(late, Err(ChannelSendError::NotOpen));
    let late = call.ends[0]
        .peer
        .send_first_message_part(call.now, ours, MessageKind::Text, part, None);
    assert_eq!(late, Err(ChannelSendError::NotOpen));
}

#[test]
fn who_takes_messages_in_parts_takes_any_length() {
    for (parts, told) in [(None, "8388608"), (Some(10_000), "0")] {
        let mut call = Call::new(&|config| config.sctp.receive_parts = parts);
        for text in call.negotiate() {
            assert!(text.contains(&format!("a=max-message-size:{told}\r\n")), "{text}");
        }
    }
    // Known or not, what the other end does not take is not sent.
    let mut call = Call::new(&|_| {});
    let ours = call.open(0, ChannelInit::new("chat"));
    call.negotiate();
    call.run(SOON);
    let max = 8 << 20;
    let too_long = Err(ChannelSendError::TooLong { max });
    let peer = &mut call.ends[0].peer;
    let part = Bytes::from(vec![7; max - 1]);
    let mut begin = |total| peer.send_first_message_part(call.now, ours, MessageKind::Binary, part.clone(), total);
    assert_eq!(begin(Some(max + 1)), too_long);
    assert_eq!(begin(None), Ok(()));
    let two = Bytes::from_static(&[7; 2]);
    assert_eq!(peer.send_message_part(call.now, ours, two.clone(), true), too_long);
    assert_eq!(peer.send_message_part(call.now, ours, two.slice(1..), true), Ok(()));
    call.run(Duration::from_secs(10));
    assert_eq!(call.ends[1].sink.messages[0].2.len(), max);
}

#[test]
fn what_the_user_retains_is_known_before_there_is_sctp() {
    let mut call = Call::new(&|config| config.sctp.receive_window = 20_000);
    let ours = call.open(0, ChannelInit::new("chat"));
    call.ends[1].peer.set_retained(20_000);
    call.negotiate();
    call.run(SOON);
    call.send(0, ours, MessageKind::Text, b"x");
    call.run(SOON);
    assert_eq!(call.ends[1].sink.channels, [], "not even the channel is opened");
    call.ends[1].peer.set_retained(0);
    call.run(Duration::from_secs(5));
    assert_eq!(call.texts(1), [("chat".to_owned(), "x".to_owned())]);
}

/// When a peer that ends gracefully gives up.
const LIMIT: Duration = Duration::from_secs(10);

#[test]
fn a_graceful_end_waits_for_what_was_accepted() {
    let (mut call, [ours, theirs]) = connected(&|_| {});
    // A part of it gets lost.
    call.lost = call.sent + 3..call.sent + 8;
    call.send(0, ours, MessageKind::Binary, &[7; 300_000]);
    call.send(1, theirs, MessageKind::Binary, &[8; 100_000]);
    call.ends[0].peer.close_gracefully(call.now, LIMIT);
    let late = Bytes::from_static(b"late");
    let sent = call.ends[0].peer.send_message(call.now, ours, MessageKind::Text, late);
    assert_eq!(sent, Err(ChannelSendError::NotOpen));
    assert_eq!(call.try_open(0), Err(OpenError::NoTransport));
    assert_ne!(call.ends[0].peer.state(), State::Closed);
    call.run(Duration::from_secs(4));
    assert_eq!(call.ends[1].sink.messages[0].2.len(), 300_000);
    assert_eq!(call.ends[0].sink.messages[0].2.len(), 100_000);
    for (end, id, reason) in [(0, ours, CloseReason::Local), (1, theirs, CloseReason::Remote)] {
        let told = [
            Event::Channel(ChannelEvent::Closed(id)),
            Event::DataClosed(DataCloseReason::Shutdown),
            Event::Closed { reason },
        ];
        assert!(call.ends[end].events.ends_with(&told), "{:?}", call.ends[end].events);
        assert_eq!(call.ends[end].peer.poll_timeout(), None);
    }
}

#[test]
fn a_graceful_end_may_be_asked_for_twice() {
    let (mut call, [_, theirs]) = connected(&|_| {});
    call.send(1, theirs, MessageKind::Binary, &[8; 300_000]);
    call.ends[0].peer.close_gracefully(call.now, LIMIT);
    // SHUTDOWN goes out, and the data of the other end is on its way.
    let state = |call: &Call| call.ends[0].peer.data().unwrap().association().state();
    for _ in 0..20 {
        call.run(Duration::from_millis(1));
        if state(&call) == sctp::State::ShutdownSent {
            break;
        }
    }
    assert_eq!(state(&call), sctp::State::ShutdownSent);
    assert!(call.ends[0].sink.messages.is_empty());
    call.ends[0].peer.close_gracefully(call.now, LIMIT);
    assert_ne!(call.ends[0].peer.state(), State::Closed);
    call.run(SOON);
    assert_eq!(call.ends[0].sink.messages[0].2.len(), 300_000);
    for end in &call.ends {
        assert_eq!(end.peer.state(), State::Closed);
    }
}

#[test]
fn a_graceful_end_goes_on_with_another_section() {
    let mut call = Call::new(&|_| {});
    call.ends[0].peer.add_section(Kind::Audio, Direction::SendRecv).unwrap();
    let ours = call.open(0, ChannelInit::new("chat"));
    call.negotiate();
    call.run(SOON);
    call.send(0, ours, MessageKind::Text, b"on its way");
    call.ends[0].peer.close_gracefully(call.now, LIMIT);
    call.negotiate_as(
        &|offer| offer.replace("m=application 9", "m=application 0"),
        &|answer| answer,
    );
    let again = call.ends[0].peer.add_section(Kind::Application, Direction::SendRecv);
    assert_eq!(again, Ok(2));
    assert_eq!(call.try_open(0), Err(OpenError::NoTransport));
    call.negotiate();
    call.run(LIMIT);
    for end in &call.ends {
        assert_eq!(end.peer.state(), State::Closed);
    }
}

#[test]
fn a_graceful_end_of_both_ends_at_once() {
    let (mut call, channels) = connected(&|_| {});
    for end in [0, 1] {
        call.send(end, channels[end], MessageKind::Text, b"the last word");
        call.ends[end].peer.close_gracefully(call.now, LIMIT);
    }
    call.run(SOON);
    for end in &call.ends {
        assert_eq!(end.sink.messages.len(), 1);
        assert_eq!(end.peer.state(), State::Closed);
    }
}

#[test]
fn a_graceful_end_is_bounded() {
    let (mut call, [ours, _]) = connected(&|_| {});
    call.lost = call.sent..usize::MAX;
    call.send(0, ours, MessageKind::Text, b"lost");
    call.ends[0].peer.close_gracefully(call.now, LIMIT);
    call.run(LIMIT - Duration::from_millis(1));
    assert_ne!(call.ends[0].peer.state(), State::Closed);
    call.run(Duration::from_millis(1));
    let reason = CloseReason::Local;
    assert_eq!(call.ends[0].events.last(), Some(&Event::Closed { reason }));
    // The abrupt end is there still.
    let (mut call, [ours, _]) = connected(&|_| {});
    call.send(0, ours, MessageKind::Text, b"lost");
    call.ends[0].peer.close_gracefully(call.now, LIMIT);
    call.ends[0].peer.close(call.now);
    assert_eq!(call.ends[0].peer.state(), State::Closed);
    assert_eq!(call.ends[0].peer.poll_timeout(), None);
}

#[test]
fn a_graceful_end_does_not_wait_for_nothing() {
    let now = Instant::now();
    let mut peer = Peer::new(config(0, &|config| config.application = false), Seed::from_run(1), now);
    peer.close_gracefully(now, LIMIT);
    assert_eq!(peer.state(), State::Closed);
    // Nothing was accepted, and there is no SCTP that could be shut down.
    let mut call = Call::new(&|_| {});
    call.negotiate();
    call.ends[0].peer.close_gracefully(call.now, LIMIT);
    assert_eq!(call.ends[0].peer.state(), State::Closed);
}

#[test]
fn what_was_accepted_before_there_was_sctp_is_waited_for() {
    for snap in [false, true] {
        let mut call = Call::new(&|config| config.snap = snap);
        let ours = call.open(0, ChannelInit::new("chat"));
        call.negotiate();
        call.send(0, ours, MessageKind::Text, b"early");
        call.ends[0].peer.close_gracefully(call.now, LIMIT);
        let late = Bytes::from_static(b"late");
        let sent = call.ends[0].peer.send_message(call.now, ours, MessageKind::Text, late);
        assert_eq!(sent, Err(ChannelSendError::NotOpen));
        call.run(SOON);
        assert_eq!(call.texts(1), [("chat".to_owned(), "early".to_owned())], "{snap}");
        assert!(call.has(1, &Event::DataClosed(DataCloseReason::Shutdown)));
        for end in &call.ends {
            assert_eq!(end.peer.state(), State::Closed);
        }
    }
}

#[test]
fn negotiated_channels_are_not_announced() {
    for snap in [false, true] {
        let mut call = Call::new(&|config| config.snap = snap);
        let init = || {
            let mut init = ChannelInit::new("agreed");
            init.negotiated = Some(7);
            init.ordered = false;
            init
        };
        let ours = call.open(0, init());
        call.negotiate();
        let theirs = call.open(1, init());
        assert_eq!(
            call.ends[1].peer.open_channel(call.now, init()),
            Err(OpenError::StreamInUse)
        );
        call.run(SOON);
        for (end, id) in [(0, ours), (1, theirs)] {
            assert_eq!(call.count(end, &Event::Channel(ChannelEvent::Open(id))), 1);
            call.send(end, id, MessageKind::Text, b"x");
        }
        call.run(SOON);
        for (end, id) in [(0, ours), (1, theirs)] {
            assert!(call.ends[end].sink.channels.is_empty());
            assert_eq!(call.ends[end].sink.messages, [(id, MessageKind::Text, b"x".to_vec())]);
        }
    }
}

#[test]
fn an_init_that_cannot_be_used_is_as_none() {
    let broken = |text: String| {
        let lines = text.split_inclusive("\r\n");
        let lines = lines.map(|line| match line.starts_with("a=sctp-init:") {
            // Its length is wrong, or it is none at all.
            true => "a=sctp-init:AQAAHols3R0AUAAA\r\n",
            false => line,
        });
        lines.collect::<String>()
    };
    let whole = |text: String| text;
    let cases: [[&dyn Fn(String) -> String; 2]; 2] = [[&broken, &whole], [&whole, &broken]];
    for (at, [offered, answered]) in cases.into_iter().enumerate() {
        let mut call = Call::new(&|config| config.snap = true);
        let ours = call.open(0, ChannelInit::new("ours"));
        let [_, answer] = call.negotiate_as(offered, answered);
        // Only where the INIT of the offer is taken that of the answer may be.
        assert_eq!(answer.contains("a=sctp-init"), at == 1, "{answer}");
        call.send(0, ours, MessageKind::Text, b"x");
        call.run(SOON);
        assert!(
            call.has(0, &Event::Channel(ChannelEvent::Open(ours))),
            "{at} {:?} {:?}",
            call.ends[0].events,
            call.ends[1].events
        );
        assert_eq!(call.texts(1), [("ours".to_owned(), "x".to_owned())]);
    }
}

#[test]
fn the_init_stays_as_it_was_and_is_not_added_later() {
    let init = |text: &String| {
        text.lines()
            .find(|line| line.starts_with("a=sctp-init"))
            .map(str::to_owned)
    };
    let without = |text: String| {
        text.lines()
            .filter(|line| !line.starts_with("a=sctp-init"))
            .map(|line| format!("{line}\r\n"))
            .collect()
    };
    for at_first in [true, false] {
        let mut call = Call::new(&|config| config.snap = true);
        let first = if at_first {
            call.negotiate()
        } else {
            call.negotiate_as(&without, &|answer| answer)
        };
        call.run(SOON);
        let again = call.negotiate();
        if at_first {
            assert_eq!(first.each_ref().map(init), again.each_ref().map(init));
        }
        assert_eq!(again.each_ref().map(|text| init(text).is_some()), [true, at_first]);
        call.run(SOON);
        let ours = call.open(0, ChannelInit::new("ours"));
        call.run(SOON);
        assert!(call.has(0, &Event::Channel(ChannelEvent::Open(ours))));
    }
}

#[test]
fn channels_outlive_a_network_that_was_away() {
    let (call, [ours, _]) = connected(&|_| {});
    outlives(call, ours);
    // The same when SCTP is still being set up.
    let mut call = Call::new(&|_| {});
    let ours = call.open(0, ChannelInit::new("chat"));
    call.negotiate();
    while !call.has(0, &Event::Connected) {
        call.run(Duration::from_millis(1));
    }
    outlives(call, ours);
}

fn outlives(mut call: Call, ours: ChannelId) {
    call.send(0, ours, MessageKind::Binary, &[0; 100_000]);
    for end in &mut call.ends {
        end.coming.clear();
    }
    call.lost = call.sent..usize::MAX;
    for _ in 0..600 {
        call.run(Duration::from_secs(1));
        // As the timers of sound and pictures would have it.
        for end in &mut call.ends {
            end.peer.handle_timeout(call.now);
        }
    }
    assert!(call.has(0, &Event::Failed));
    call.lost = 0..0;
    call.ends[0].peer.restart_ice(call.now).unwrap();
    call.negotiate();
    call.run(Duration::from_secs(20));
    for end in [0, 1] {
        assert_eq!(call.ends[end].peer.state(), State::Connected);
        assert!(
            !call.ends[end]
                .events
                .iter()
                .any(|event| matches!(event, Event::DataClosed(_)))
        );
    }
    assert_eq!(call.ends[1].sink.messages.len(), 1);
}

#[test]
fn nothing_is_told_after_the_end() {
    let (mut call, [ours, theirs]) = connected(&|_| {});
    let negotiated = |stream| {
        let mut init = ChannelInit::new("n");
        init.negotiated = Some(stream);
        init
    };
    call.open(0, negotiated(100));
    call.send(1, theirs, MessageKind::Binary, &[0; 100_000]);
    call.ends[0].peer.close(call.now);
    call.ends[0].peer.close_channel(call.now, ours);
    assert_eq!(call.try_open(0), Err(OpenError::NoTransport));
    call.run(SOON);
    call.ends[1].peer.close_channel(call.now, theirs);
    call.run(SOON);
    for end in &call.ends {
        assert!(
            matches!(end.events.last(), Some(Event::Closed { .. })),
            "{:?}",
            end.events
        );
        assert_eq!(end.peer.poll_timeout(), None);
    }
}

#[test]
fn what_a_data_section_has_to_say() {
    let mut call = Call::new(&|_| {});
    let offer = call.ends[0].peer.offer().unwrap();
    let port = "a=sctp-port:5000\r\n";
    assert!(offer.contains(port));
    let section = offer.find("m=application").unwrap();
    let second = offer[section..].replace("a=mid:0", "a=mid:1");
    let two = offer.replace("a=group:BUNDLE 0", "a=group:BUNDLE 0 1") + &second;
    let cases = [
        (offer.replace(port, ""), vec![false]),
        (offer.replace(port, "a=sctp-port:0\r\n"), vec![false]),
        (offer.replace(port, "a=sctp-port:7\r\n"), vec![true]),
        (two, vec![true, false]),
    ];
    for (offer, taken) in cases {
        let mut peer = Peer::new(config(1, &|_| {}), Seed::from_run(1), call.now);
        peer.accept_offer(call.now, &offer).unwrap();
        let accepted: Vec<bool> = peer
            .sections()
            .iter()
            .map(|section| section.rejected().is_none())
            .collect();
        assert_eq!(accepted, taken, "{offer}");
        assert_eq!(peer.data().is_some(), taken[0]);
    }
}

#[test]
fn the_peer_says_how_long_messages_may_be() {
    for (told, most) in [("0", 1 << 20), ("100", 100), ("18446744073709551615", 1 << 20)] {
        let mut call = Call::new(&|config| config.sctp.send_buffer = 1 << 20);
        let ours = call.open(0, ChannelInit::new("chat"));
        call.negotiate_as(&|offer| offer, &|answer| {
            answer.replace("a=max-message-size:8388608", &format!("a=max-message-size:{told}"))
        });
        call.run(SOON);
        let mut send = |len| {
            let payload = Bytes::from(vec![0; len]);
            call.ends[0]
                .peer
                .send_message(call.now, ours, MessageKind::Binary, payload)
        };
        assert_eq!(send(most + 1), Err(ChannelSendError::TooLong { max: most }));
        assert_eq!(send(most), Ok(()));
        call.run(Duration::from_secs(20));
        assert_eq!(call.ends[1].sink.messages[0].2.len(), most);
    }
}

#[test]
fn runs_fit_into_what_room_there_is() {
    // Packets become larger on the way, and messages are of all lengths.
    for (base, largest) in [(1160, 0), (600, 1160), (601, 1158)] {
        for room in [1500, 2399, 2400, 5000, 65_000] {
            for version in [Version::DTLS_1_2, Version::DTLS_1_3] {
                let mut call = Call::new(&|config| {
                    let mut dtls = (*config.dtls).clone();
                    dtls.versions = vec![version];
                    config.dtls = Arc::new(dtls);
                    config.sctp.base_packet = base;
                    config.sctp.largest_packet = largest;
                });
                call.room = room;
                let ours = call.open(0, ChannelInit::new("chat"));
                call.negotiate();
                let mut expected = 0;
                for round in 0..20 {
                    for len in [1, 500, 1100, 1160, 3000, 20_000] {
                        call.send(0, ours, MessageKind::Binary, &vec![7; len + round]);
                        expected += len + round;
                    }
                    call.run(Duration::from_millis(50 * (round as u64 % 5)));
                }
                call.run(Duration::from_secs(5));
                let came: usize = call.ends[1].sink.messages.iter().map(|message| message.2.len()).sum();
                assert_eq!(came, expected);
                if room == 65_000 {
                    assert!(call.ends[0].runs > 0);
                }
                let mut counters = Vec::new();
                for end in &call.ends {
                    end.peer.each_counter(&mut |name, value| {
                        // Where both connect at once data may say before COOKIE ACK that all is set up.
                        if value > 0 && name != "sctp_out_of_turn" {
                            counters.push((name, value));
                        }
                    });
                }
                assert_eq!(counters, [], "{base} {largest} {room} {version:?}");
            }
        }
    }
}

#[test]
fn servers_that_are_not_between_hinder_no_runs() {
    let mut call = Call::new(&|config| {
        let servers = ["stun:203.0.113.1:3478", "turn:203.0.113.1:3478"];
        config.ice_servers = servers
            .map(|uri| IceServer::new(uri, &[], Some(("ann", "secret"))).unwrap())
            .into();
    });
    let ours = call.open(0, ChannelInit::new("chat"));
    call.negotiate();
    call.run(Duration::from_secs(1));
    call.send(0, ours, MessageKind::Binary, &[7; 100_000]);
    call.run(Duration::from_secs(1));
    assert_eq!(call.ends[1].sink.messages[0].2, [7; 100_000]);
    assert!(call.ends[0].runs > 0);
}

#[test]
fn what_opens_a_channel_does_not_come_in_parts() {
    let mut call = Call::new(&|config| {
        config.sctp.receive_parts = Some(1000);
        config.sctp.max_receive_message = 20_000;
    });
    let label = "x".repeat(10_000);
    let ours = call.open(0, ChannelInit::new(&label));
    call.negotiate();
    call.run(SOON);
    assert!(call.has(0, &Event::Channel(ChannelEvent::Open(ours))));
    assert!(call.ends[1].sink.channels[0].1 == label);
    // It is held whole, so that the limit of whole messages is its own.
    call.open(0, ChannelInit::new("x".repeat(30_000)));
    call.run(SOON);
    assert!(call.has(
        1,
        &Event::DataClosed(DataCloseReason::TooMuch("the length of a message"))
    ));
}
