//! Data channels over associations, end to end.

use std::alloc::System;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sctp::dcep::Reliability;
use sctp::{
    Channel, ChannelEvent, ChannelId, ChannelInit, ChannelLimits, ChannelSendError, ChannelSink, CloseReason, Config,
    Kind, OpenError, Role, State, Transport, TransportEvent,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use wire::Seed;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes that are allocated.
fn allocated() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// What came, by label.
#[derive(Default)]
struct Heard(Vec<String>);

impl ChannelSink for Heard {
    fn opened(&mut self, channel: &Channel) {
        self.0.push(format!("{} opened", channel.init().label));
    }

    fn message(&mut self, channel: &Channel, _: Kind, payload: &[u8]) {
        self.0
            .push(format!("{}: {}", channel.init().label, payload.escape_ascii()));
    }
}

fn end(run: u64, role: Role, now: Instant) -> Transport {
    let mut end = Transport::new(&Config::default(), ChannelLimits::default(), Seed::from_run(run), now);
    end.set_role(now, role);
    end
}

/// Everything goes over at once.
fn settle(now: Instant, ends: [&mut Transport; 2]) -> [Vec<String>; 2] {
    let mut heard = [Heard::default(), Heard::default()];
    let mut out = [0; 1200];
    let mut later = now;
    for _ in 0..20 {
        for from in 0..2 {
            while let Some(len) = ends[from].poll_transmit(later, &mut out) {
                ends[1 - from].handle_packet(later, &out[..len], &mut heard[1 - from]);
            }
        }
        // A SACK may wait.
        later += Duration::from_millis(10);
    }
    heard.map(|heard| heard.0)
}

fn events(end: &mut Transport) -> Vec<TransportEvent> {
    std::iter::from_fn(|| end.poll_event()).collect()
}

fn open(end: &mut Transport, now: Instant, label: &str, text: &'static str) -> ChannelId {
    let id = end.open(now, ChannelInit::new(label)).unwrap();
    end.send(now, id, Kind::Text, Bytes::from_static(text.as_bytes()))
        .unwrap();
    id
}

#[test]
fn channels_that_come_with_a_restart_are_not_those_that_end_with_it() {
    let now = Instant::now();
    let (mut a, mut b) = (end(1, Role::Client, now), end(2, Role::Server, now));
    a.connect(now);
    open(&mut a, now, "old", "x");
    assert_eq!(settle(now, [&mut a, &mut b])[1], ["old opened", "old: x"]);
    events(&mut b);
    // The other end has lost its memory. What it opens goes with its COOKIE ECHO.
    let now = now + Duration::from_secs(1);
    let mut a = end(3, Role::Client, now);
    a.connect(now);
    let ours = open(&mut a, now, "new", "y");
    assert_eq!(settle(now, [&mut a, &mut b])[1], ["new opened", "new: y"]);
    assert!(events(&mut a).contains(&TransportEvent::Channel(ChannelEvent::Open(ours))));
    let told = events(&mut b);
    assert!(
        matches!(
            told[..],
            [
                TransportEvent::Established,
                TransportEvent::Channel(ChannelEvent::Closed(_))
            ]
        ),
        "{told:?}"
    );
}

#[test]
fn nothing_is_opened_on_what_has_ended() {
    let now = Instant::now();
    let mut a = end(1, Role::Client, now);
    a.abort(now);
    assert_eq!(events(&mut a), [TransportEvent::Closed(CloseReason::Aborted)]);
    assert_eq!(a.open(now, ChannelInit::new("x")), Err(OpenError::NoTransport));
    assert_eq!(events(&mut a), []);
}

const MIB: usize = 1 << 20;

/// A part that is handed over at once.
const PART: usize = 64 << 10;

/// What long messages consist of: it begins anew every 251 bytes.
fn pattern() -> Bytes {
    (0..PART + 251).map(|at| (at % 251) as u8).collect::<Vec<_>>().into()
}

/// The part of such a message that begins at `offset`.
fn part_at(pattern: &Bytes, offset: usize, len: usize) -> Bytes {
    pattern.slice(offset % 251..).slice(..len)
}

/// What came in parts, checked as it comes.
struct Parts {
    pattern: Bytes,
    /// Of the message under way.
    offset: usize,
    longest: usize,
    /// What happened, by label.
    told: Vec<String>,
    opened: Vec<ChannelId>,
}

impl ChannelSink for Parts {
    fn opened(&mut self, channel: &Channel) {
        self.opened.push(channel.id());
    }

    fn message(&mut self, channel: &Channel, _: Kind, payload: &[u8]) {
        self.told
            .push(format!("{}: {}", channel.init().label, payload.escape_ascii()));
    }

    fn part(&mut self, channel: &Channel, kind: Kind, unordered: bool, payload: &[u8], first: bool, last: bool) {
        assert_eq!((kind, unordered), (Kind::Binary, !channel.init().ordered));
        assert_eq!(first, self.offset == 0);
        for chunk in payload.chunks(PART) {
            assert!(chunk == part_at(&self.pattern, self.offset, chunk.len()));
            self.offset += chunk.len();
        }
        self.longest = self.longest.max(payload.len());
        if last {
            self.told
                .push(format!("{}: {} bytes", channel.init().label, self.offset));
            self.offset = 0;
        }
    }

    fn cut(&mut self, channel: &Channel, unordered: bool) {
        assert_eq!(unordered, !channel.init().ordered);
        assert!(self.offset > 0);
        self.told.push(format!("{} is cut", channel.init().label));
        self.offset = 0;
    }
}

/// Memory is measured of one at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// Two transports whose packets take a millisecond.
struct Pair {
    _alone: MutexGuard<'static, ()>,
    now: Instant,
    ends: [Transport; 2],
    sinks: [Parts; 2],
    events: [Vec<TransportEvent>; 2],
}

impl Pair {
    /// With little room, and all that is long in parts.
    fn new(interleaving: bool) -> Self {
        let mut pair = Self::apart(interleaving);
        pair.ends[0].connect(pair.now);
        pair
    }

    /// Of all extensions they have RE-CONFIG alone.
    fn with_reconfig_alone() -> Self {
        let mut pair = Self::apart(false);
        for end in 0..2 {
            let mut init = [0; 100];
            pair.ends[end].association().local_init(&mut init).unwrap();
            // Behind what INIT has always there is Supported Extensions (RFC 5061 §4.2.7).
            init[2..4].copy_from_slice(&25_u16.to_be_bytes());
            init[20..25].copy_from_slice(&[0x80, 0x08, 0, 5, 130]);
            pair.ends[1 - end].connect_with(pair.now, &init[..25]).unwrap();
        }
        assert!(!pair.ends[0].association().is_partially_reliable());
        pair
    }

    /// Not connected yet.
    fn apart(interleaving: bool) -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let config = Config {
            interleaving,
            send_buffer: MIB,
            receive_window: MIB as u32,
            receive_parts: Some(PART),
            ..Config::default()
        };
        let ends = [Role::Client, Role::Server].map(|role| {
            let mut end = Transport::new(&config, ChannelLimits::default(), Seed::from_run(role as u64), now);
            end.set_role(now, role);
            end.set_max_message_size(0);
            end
        });
        let sinks = [(); 2].map(|()| Parts {
            pattern: pattern(),
            offset: 0,
            longest: 0,
            told: Vec::new(),
            opened: Vec::new(),
        });
        Self {
            _alone: alone,
            now,
            ends,
            sinks,
            events: Default::default(),
        }
    }

    fn open(&mut self, label: &str, ordered: bool) -> ChannelId {
        let mut init = ChannelInit::new(label);
        init.ordered = ordered;
        let id = self.ends[0].open(self.now, init).unwrap();
        self.turns(10);
        assert!(self.told(0, &TransportEvent::Channel(ChannelEvent::Open(id))));
        id
    }

    /// One millisecond.
    fn turn(&mut self) {
        let mut packets = [Vec::new(), Vec::new()];
        let mut out = [0; 1200];
        for (end, packets) in self.ends.iter_mut().zip(&mut packets) {
            while let Some(len) = end.poll_transmit(self.now, &mut out) {
                packets.push(out[..len].to_vec());
            }
        }
        self.now += Duration::from_millis(1);
        for (from, packets) in packets.iter().enumerate() {
            let to = 1 - from;
            for packet in packets {
                self.ends[to].handle_packet(self.now, packet, &mut self.sinks[to]);
            }
        }
        for (end, events) in self.ends.iter_mut().zip(&mut self.events) {
            if end.poll_timeout().is_some_and(|at| at <= self.now) {
                end.handle_timeout(self.now);
            }
            events.extend(std::iter::from_fn(|| end.poll_event()));
        }
    }

    fn turns(&mut self, count: usize) {
        (0..count).for_each(|_| self.turn());
    }

    fn told(&self, end: usize, event: &TransportEvent) -> bool {
        self.events[end].contains(event)
    }

    /// Begins a message of which several parts go out.
    fn begin(&mut self, channel: ChannelId) {
        let part = part_at(&pattern(), 0, PART);
        let end = &mut self.ends[0];
        end.send_first_part(self.now, channel, Kind::Binary, part, None)
            .unwrap();
        for index in 1..4 {
            let part = part_at(&pattern(), index * PART, PART);
            end.send_part(self.now, channel, part, false).unwrap();
        }
        self.turns(100);
        assert_eq!(self.ends[0].buffered_amount(channel), 1, "the last piece has a byte");
        assert_eq!(self.sinks[1].offset, 4 * PART - 1);
    }
}

#[test]
fn a_long_message_is_held_whole_by_nobody() {
    let total = 65 * MIB + 17;
    for (interleaving, ordered) in [(true, true), (false, true), (true, false)] {
        let mut pair = Pair::new(interleaving);
        let long = pair.open("long", ordered);
        let chat = pair.open("chat", true);
        let pattern = pattern();
        let before = allocated();
        let (mut sent, mut blocked, mut peak, mut most_buffered) = (0, 0, 0, 0);
        let mut is_blocked = false;
        let begun = pair.now;
        while sent < total {
            assert!(pair.now - begun < Duration::from_secs(60), "{sent} bytes");
            // Who was refused waits until there is room.
            let is_writable = pair.told(0, &TransportEvent::Channel(ChannelEvent::Writable));
            if !is_blocked || is_writable {
                pair.events[0].clear();
                is_blocked = false;
            }
            while sent < total && !is_blocked {
                // Not a slice of one allocation: what is not needed any more is to be given back.
                let len = PART.min(total - sent);
                let part = Bytes::copy_from_slice(&part_at(&pattern, sent, len));
                let is_last = sent + len == total;
                let end = &mut pair.ends[0];
                let taken = if sent == 0 {
                    end.send_first_part(pair.now, long, Kind::Binary, part, Some(total))
                } else {
                    end.send_part(pair.now, long, part, is_last)
                };
                match taken {
                    Ok(()) => {
                        sent += len;
                        if sent == 20 * MIB {
                            let hello = Bytes::from_static(b"hello");
                            pair.ends[0].send(pair.now, chat, Kind::Text, hello).unwrap();
                        }
                    }
                    Err(ChannelSendError::Blocked) => {
                        blocked += 1;
                        is_blocked = true;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            most_buffered = most_buffered.max(pair.ends[0].buffered_amount(long));
            pair.turn();
            peak = peak.max(allocated().saturating_sub(before));
        }
        for _ in 0..1000 {
            if pair.sinks[1].told.len() == 2 {
                break;
            }
            pair.turn();
        }
        // Without I-DATA the other channel waits for the end.
        let mut expected = ["chat: hello".to_string(), format!("long: {total} bytes")];
        if !interleaving {
            expected.reverse();
        }
        assert_eq!(pair.sinks[1].told, expected);
        pair.turns(50);
        assert_eq!(pair.ends[0].buffered_amount(long), 0);
        assert!(blocked > 20, "{blocked}");
        assert!((MIB / 2..=MIB + PART).contains(&most_buffered), "{most_buffered}");
        assert!(pair.sinks[1].longest <= PART + 1200, "{}", pair.sinks[1].longest);
        println!(
            "interleaving {interleaving}, ordered {ordered}: {} KiB at most",
            peak >> 10
        );
        assert!(peak < 2 * MIB, "{} KiB", peak >> 10);
        // What comes next is as if it had been a short one.
        pair.ends[0]
            .send(pair.now, long, Kind::Text, Bytes::from_static(b"next"))
            .unwrap();
        pair.turns(50);
        assert_eq!(pair.sinks[1].told[2], "long: next");
    }
}

#[test]
fn a_channel_that_is_closed_in_the_middle_of_a_message_cuts_it() {
    for (interleaving, ordered) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut pair = Pair::new(interleaving);
        let long = pair.open("long", ordered);
        let chat = pair.open("chat", true);
        pair.begin(long);
        // Where the other channel must wait it does so no longer than for this.
        let hello = Bytes::from_static(b"hello");
        pair.ends[0].send(pair.now, chat, Kind::Text, hello.clone()).unwrap();
        pair.ends[0].close(pair.now, long);
        assert_eq!(pair.ends[0].buffered_amount(long), 0);
        pair.turns(1000);
        let mut told = pair.sinks[1].told.clone();
        told.sort();
        assert_eq!(told, ["chat: hello", "long is cut"]);
        assert!(pair.told(0, &TransportEvent::Channel(ChannelEvent::Closed(long))));
        let closed = |event: &TransportEvent| matches!(event, TransportEvent::Channel(ChannelEvent::Closed(_)));
        assert_eq!(pair.events[1].iter().filter(|event| closed(event)).count(), 1);
        assert_eq!(pair.ends[0].association().stats().held, 0);
        // The stream begins anew, with long messages too.
        let next = pair.open("next", ordered);
        assert_eq!(pair.ends[0].channel(next).unwrap().stream(), Some(0));
        pair.begin(next);
        let last = part_at(&pattern(), 4 * PART, 10);
        pair.ends[0].send_part(pair.now, next, last, true).unwrap();
        pair.turns(100);
        assert_eq!(pair.sinks[1].told[2], format!("next: {} bytes", 4 * PART + 10));
    }
}

#[test]
fn small_parts_take_little_more_than_their_bytes() {
    let mut pair = Pair::new(true);
    let long = pair.open("long", true);
    let before = allocated();
    let now = pair.now;
    let end = &mut pair.ends[0];
    let pattern = pattern();
    let mut sent = 0;
    // Of each kind many: none, one byte, and those that are too long to be joined often.
    let lens = [0, 1, 1, 2, 0, 3, 1000, 1, 24, 1];
    for len in lens.into_iter().cycle().take(5000) {
        let part = Bytes::copy_from_slice(&part_at(&pattern, sent, len));
        if sent == 0 && len > 0 {
            end.send_first_part(now, long, Kind::Binary, part, None).unwrap();
        } else if sent > 0 {
            end.send_part(now, long, part, false).unwrap();
        }
        sent += len;
    }
    for _ in 0..10_000 {
        let part = Bytes::copy_from_slice(&part_at(&pattern, sent, 1));
        end.send_part(now, long, part, false).unwrap();
        end.send_part(now, long, Bytes::new(), false).unwrap();
        sent += 1;
    }
    assert_eq!(end.buffered_amount(long), sent);
    let taken = allocated().saturating_sub(before);
    assert!(taken < sent + sent / 2, "{taken} for {sent}");
    end.send_part(now, long, Bytes::new(), true).unwrap();
    pair.turns(100);
    assert_eq!(pair.sinks[1].told, [format!("long: {sent} bytes")]);
}

#[test]
fn what_cannot_be_cut_ends_the_association_at_once() {
    let mut pair = Pair::with_reconfig_alone();
    let long = pair.open("long", true);
    pair.begin(long);
    let theirs = pair.sinks[1].opened[0];
    pair.ends[1].close(pair.now, theirs);
    let mut out = [0; 1200];
    let len = pair.ends[1].poll_transmit(pair.now, &mut out).unwrap();
    pair.ends[0].handle_packet(pair.now, &out[..len], &mut pair.sinks[0]);
    let told = events(&mut pair.ends[0]);
    let [first, .., last] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(first, &TransportEvent::Channel(ChannelEvent::Closing(long)));
    assert!(
        matches!(last, TransportEvent::Closed(CloseReason::ProtocolViolation(_))),
        "{told:?}"
    );
    assert!(told.contains(&TransportEvent::Channel(ChannelEvent::Closed(long))));
}

#[test]
fn a_message_on_a_stream_that_there_is_not_holds_up_no_other() {
    let mut pair = Pair::apart(false);
    // We may send on all streams, and the other end on few.
    let config = Config {
        interleaving: false,
        outbound_streams: 5,
        ..Config::default()
    };
    pair.ends[1] = Transport::new(&config, ChannelLimits::default(), Seed::from_run(7), pair.now);
    pair.ends[1].set_role(pair.now, Role::Server);
    let mut init = ChannelInit::new("long");
    init.negotiated = Some(100);
    let long = pair.ends[0].open(pair.now, init).unwrap();
    let part = part_at(&pattern(), 0, 3000);
    pair.ends[0]
        .send_first_part(pair.now, long, Kind::Binary, part, None)
        .unwrap();
    pair.ends[0].connect(pair.now);
    pair.turns(10);
    assert!(pair.told(0, &TransportEvent::Channel(ChannelEvent::Closed(long))));
    pair.open("chat", true);
}

#[test]
fn a_message_that_has_not_ended_does_not_hold_up_a_shutdown() {
    for (interleaving, who) in [(true, 0), (false, 0), (true, 1), (false, 1)] {
        let mut pair = Pair::new(interleaving);
        let long = pair.open("long", true);
        pair.begin(long);
        pair.ends[who].shutdown(pair.now);
        pair.turns(100);
        let part = pair.ends[0].send_part(pair.now, long, Bytes::from_static(b"x"), true);
        assert_eq!(part, Err(ChannelSendError::NotOpen));
        for end in 0..2 {
            assert!(pair.told(end, &TransportEvent::Closed(CloseReason::Shutdown)), "{who}");
            assert_eq!(pair.ends[end].association().state(), State::Ended);
        }
        assert_eq!(pair.sinks[1].told, ["long is cut"]);
    }
}

#[test]
fn a_message_in_parts_that_lasts_too_long_is_cut() {
    for interleaving in [true, false] {
        let mut pair = Pair::new(interleaving);
        let mut init = ChannelInit::new("short-lived");
        init.reliability = Reliability::Lifetime(500);
        let id = pair.ends[0].open(pair.now, init).unwrap();
        pair.turns(10);
        pair.begin(id);
        pair.turns(500);
        // Whatever still comes of it is taken and thrown away.
        pair.ends[0]
            .send_part(pair.now, id, part_at(&pattern(), 4 * PART, PART), false)
            .unwrap();
        pair.turns(100);
        assert_eq!(pair.sinks[1].told, ["short-lived is cut"]);
        assert_eq!(pair.ends[0].buffered_amount(id), 0);
        let busy = pair.ends[0].send(pair.now, id, Kind::Text, Bytes::from_static(b"x"));
        assert_eq!(busy, Err(ChannelSendError::Busy));
        pair.ends[0].send_part(pair.now, id, Bytes::new(), true).unwrap();
        pair.ends[0]
            .send(pair.now, id, Kind::Text, Bytes::from_static(b"next"))
            .unwrap();
        pair.turns(100);
        assert_eq!(pair.sinks[1].told[1], "short-lived: next");
    }
}

#[test]
fn what_has_begun_anew_cuts_what_it_sent() {
    let mut pair = Pair::new(true);
    let long = pair.open("long", true);
    pair.begin(long);
    pair.ends[0] = end(3, Role::Client, pair.now);
    pair.ends[0].connect(pair.now);
    pair.turns(100);
    assert_eq!(pair.sinks[1].told, ["long is cut"]);
}
