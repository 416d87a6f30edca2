//! Two associations and a network between them that loses, doubles, delays and alters packets, in virtual time, while messages
//! are sent and streams reset at will. What comes is held against what was sent ([`Ledger`]). In the end the network is good
//! again, and all comes to rest.
//!
//! The model test makes all choices by a number, the fuzz target by its input.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    missing_debug_implementations,
    reason = "each user takes a part"
)]

mod choices;
mod ledger;
mod tap;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sctp::dcep::Reliability;
use sctp::{
    Association, CloseReason, Config, Congestion, Event, Message, Packet, ResetStreams, Scheduler, SendError, State,
};
use wire::Seed;

#[allow(unused_imports, reason = "each user takes a part")]
pub use choices::{Choices, Random, Script};
use ledger::{LONGEST, Ledger};
use tap::Tap;

/// What the network does to packets.
#[derive(Debug, Clone, Copy)]
struct Network {
    delay: Duration,
    /// Added at random, in milliseconds: packets overtake each other.
    jitter: u64,
    /// Of 256 packets.
    lost: u64,
    doubled: u64,
    altered: u64,
    /// No packet that is longer passes.
    longest: usize,
}

impl Network {
    const fn good(delay: Duration) -> Self {
        Self {
            delay,
            jitter: 0,
            lost: 0,
            doubled: 0,
            altered: 0,
            longest: ROOM,
        }
    }
}

/// How a run goes, in the large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Rest,
    /// Shutdown when all has come to rest, by one end or both.
    Shutdown,
    /// Shutdown in the midst of it, by one end or both.
    EarlyShutdown,
    Abort,
}

struct End {
    association: Association,
    /// Streams that it has.
    streams: u16,
    /// The longest message that the other one takes.
    longest: u64,
    config: Config,
    is_established: bool,
    is_blocked: bool,
    is_shut: bool,
    closed: Option<CloseReason>,
}

/// What a run was like.
#[derive(Debug, Default, Clone, Copy)]
pub struct Summary {
    pub messages: usize,
    pub packets: u64,
    pub resets: u64,
    pub given_up: u64,
    pub retransmissions: u64,
    /// How long it took until all had come to rest.
    pub settling: Duration,
}

pub struct World<'a, C> {
    choices: &'a mut C,
    start: Instant,
    now: Instant,
    ends: [End; 2],
    /// What each of them has sent.
    ledgers: [Ledger; 2],
    network: Network,
    /// By arrival: to whom, and what.
    flying: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    spare: Vec<Vec<u8>>,
    /// Timers are served at multiples of it.
    tick: u64,
    tap: Option<Tap>,
    /// Packets are printed.
    is_loud: bool,
    /// The network never does any harm.
    is_calm: bool,
    may_alter: bool,
    /// Heartbeats never end.
    beats: bool,
    packets: u64,
    flights: u64,
    resets: u64,
    restarts: u64,
}

/// Larger than any packet here.
const ROOM: usize = 2048;
/// All comes to rest in this time when the network is good.
const SETTLING: Duration = Duration::from_secs(60);
/// No timer that anything depends on runs as long. That of the path-MTU search does, and that of heartbeats where they do not
/// matter.
const LONG: Duration = Duration::from_secs(500);
const NEVER: Duration = Duration::from_secs(1 << 20);

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Plays one run. `seeds` are those of the associations.
pub fn play(choices: &mut impl Choices, seeds: [Seed; 2], is_loud: bool) -> Summary {
    let mut world = World::new(choices, seeds, is_loud, true);
    world.set_up();
    let steps = match world.choices.below(16) {
        15 => 400,
        n => 8 + n * 6,
    };
    for _ in 0..steps {
        if world.choices.is_over() {
            break;
        }
        world.step();
    }
    world.finish()
}

/// Plays a run with so many short messages on one stream, as DATA.
pub fn play_many(choices: &mut impl Choices, seeds: [Seed; 2], count: usize) -> Summary {
    let mut world = World::new(choices, seeds, false, false);
    world.set_up();
    while world.ledgers[0].len() < count {
        for _ in 0..200 {
            let ppid = world.ledgers[0].next();
            let message = Message {
                stream: 0,
                ppid,
                unordered: false,
                reliability: Reliability::Reliable,
                payload: world.ledgers[0].content(ppid, 0, 1),
            };
            world.give(0, message, 1, true);
        }
        if world.choices.one_in(50) {
            world.change_network();
        }
        world.advance(ms(20));
    }
    world.finish()
}

impl<'a, C: Choices> World<'a, C> {
    fn new(choices: &'a mut C, seeds: [Seed; 2], is_loud: bool, may_interleave: bool) -> Self {
        let now = Instant::now();
        let is_calm = choices.one_in(8);
        let may_alter = !is_calm && choices.one_in(8);
        let streams = if choices.one_in(64) {
            300
        } else {
            1 + choices.below(6) as u16
        };
        let beats = choices.one_in(8);
        let mut small = [false; 2];
        let configs = [0, 1].map(|end| {
            let mut config = Config {
                source_port: 5000 + end,
                destination_port: 5001 - end,
                heartbeat_interval: if beats { ms(700) } else { NEVER * 2 },
                // The network may be bad for long.
                closed_window_limit: NEVER,
                max_retransmissions: 10_000,
                interleaving: !choices.one_in(3) && may_interleave,
                zero_checksum: !may_alter && choices.one_in(2),
                base_packet: choices.pick(&[1160, 1160, 512, 1403]),
                largest_packet: choices.pick(&[0, 0, 0, 1900]),
                receive_parts: choices.pick(&[None, None, Some(1000), Some(20_000)]),
                send_buffer: choices.pick(&[16 << 20, 16 << 20, 40_000, 3000]),
                sack_delay: choices.pick(&[ms(25), ms(25), ms(150), ms(0)]),
                scheduler: choices.pick(&[
                    Scheduler::WeightedFair,
                    Scheduler::RoundRobin,
                    Scheduler::FirstComeFirstServed,
                ]),
                congestion: choices.pick(&[Congestion::Cubic, Congestion::DelayFriendly]),
                outbound_streams: choices.pick(&[u16::MAX, 4]),
                inbound_streams: choices.pick(&[u16::MAX, 4]),
                ..Config::default()
            };
            if !is_calm && streams <= 6 && choices.one_in(6) {
                config.receive_window = 16_384;
                config.max_receive_message = 8192;
                small[usize::from(end)] = true;
            }
            config
        });
        let tap = choices.one_in(8).then(|| Tap::new(&configs));
        let make = |end: usize, seed| End {
            association: Association::new(&configs[end], seed, now),
            streams: configs[end].outbound_streams.min(configs[1 - end].inbound_streams),
            // Unfinished messages of all streams must fit.
            longest: if small[1 - end] { 1300 } else { LONGEST as u64 },
            config: configs[end].clone(),
            is_established: false,
            is_blocked: false,
            is_shut: false,
            closed: None,
        };
        let [first, second] = seeds;
        Self {
            start: now,
            now,
            ends: [make(0, first), make(1, second)],
            ledgers: [0, 1].map(|end| Ledger::new(end, streams)),
            network: Network::good(ms(choices.pick(&[10, 1, 40, 0]))),
            flying: BTreeMap::new(),
            spare: Vec::new(),
            tick: choices.pick(&[0, 0, 1, 10]),
            tap,
            is_loud,
            is_calm,
            may_alter,
            beats,
            packets: 0,
            flights: 0,
            resets: 0,
            restarts: 0,
            choices,
        }
    }

    fn streams(&self) -> u64 {
        self.ledgers[0].streams() as u64
    }

    fn millis(&self) -> u64 {
        (self.now - self.start).as_millis() as u64
    }

    fn set_up(&mut self) {
        match self.choices.below(4) {
            0 => {
                // SNAP.
                let inits = [0, 1].map(|end| {
                    let mut out = [0; 64];
                    let len = self.ends[end].association.local_init(&mut out).expect("room");
                    out[..len].to_vec()
                });
                for (end, init) in inits.iter().rev().enumerate() {
                    self.maybe_send_early(end);
                    let result = self.ends[end].association.connect_with(self.now, init);
                    result.expect("an INIT of ours is usable");
                    self.after(end);
                }
            }
            1 => {
                self.maybe_send_early(1);
                self.connect(0);
            }
            2 => {
                self.maybe_send_early(0);
                self.connect(1);
            }
            _ => {
                self.connect(0);
                if self.choices.one_in(2) {
                    let time = ms(self.choices.below(30));
                    self.advance(time);
                }
                self.connect(1);
            }
        }
    }

    fn connect(&mut self, end: usize) {
        self.maybe_send_early(end);
        self.ends[end].association.connect(self.now);
        self.after(end);
    }

    fn maybe_send_early(&mut self, end: usize) {
        if self.choices.one_in(4) {
            self.send(end);
        }
    }

    // The user

    fn step(&mut self) {
        let end = self.choices.below(2) as usize;
        match self.choices.below(16) {
            0..=4 => self.send(end),
            5 | 6 => self.part(end),
            7 => self.reset(end),
            8..=11 => {
                let time = ms(self.choices.below(40));
                self.advance(time);
            }
            12 => {
                let time = ms(self.choices.below(3000));
                self.advance(time);
            }
            13 => self.change_network(),
            14 => {
                let association = &mut self.ends[end].association;
                if self.is_calm || self.choices.one_in(2) {
                    let stream = self.choices.below(self.ledgers[0].streams() as u64) as u16;
                    association.set_priority(stream, self.choices.pick(&[256, 1, 1024, 0]));
                } else {
                    association.set_retained(self.choices.pick(&[0, 10_000, 1 << 30]));
                }
            }
            _ if self.choices.one_in(16) => self.restart(end),
            _ => self.ends[end].association.handle_timeout(self.now),
        }
        if !self.choices.one_in(3) {
            self.after(end);
        }
    }

    fn change_network(&mut self) {
        if self.is_calm {
            return;
        }
        self.network = Network {
            delay: ms(self.choices.pick(&[10, 1, 100, 0, 600])),
            jitter: self.choices.pick(&[0, 5, 50, 400]),
            lost: self.choices.pick(&[0, 3, 25, 77, 154, 256]),
            doubled: self.choices.pick(&[0, 0, 20, 100]),
            altered: if self.may_alter {
                self.choices.pick(&[0, 10, 60])
            } else {
                0
            },
            longest: self.choices.pick(&[ROOM, 1403, 1500]),
        };
    }

    fn len(&mut self, end: usize) -> usize {
        let choices = &mut *self.choices;
        let len = match choices.below(64) {
            0..=39 => 1 + choices.below(200),
            40..=55 => 1 + choices.below(3000),
            56..=62 => 1 + choices.below(20_000),
            _ if choices.one_in(4) => 1 + choices.below(LONGEST as u64),
            _ => 1,
        };
        len.min(self.ends[end].longest) as usize
    }

    fn draw_message(&mut self, end: usize) -> (Message, usize) {
        let mut stream = self.choices.below(self.streams()) as u16;
        if !self.ends[end].is_established {
            // Nobody knows yet how many there are.
            stream = stream.min(self.ends[end].streams - 1);
        }
        let len = self.len(end);
        let unordered = self.choices.one_in(3);
        let reliability = match self.choices.below(8) {
            0..=3 => Reliability::Reliable,
            4 | 5 => Reliability::Retransmissions(self.choices.pick(&[0, 1, 3])),
            _ => Reliability::Lifetime(self.choices.pick(&[100, 0, 1000, 10_000])),
        };
        let ppid = self.ledgers[end].next();
        let payload = self.ledgers[end].content(ppid, 0, len);
        let message = Message {
            stream,
            ppid,
            unordered,
            reliability,
            payload,
        };
        (message, len)
    }

    fn send(&mut self, end: usize) {
        let (message, len) = self.draw_message(end);
        self.give(end, message, len, true);
    }

    fn give(&mut self, end: usize, message: Message, len: usize, is_whole: bool) {
        let Message {
            stream,
            unordered,
            reliability,
            ..
        } = message;
        let association = &mut self.ends[end].association;
        let result = if is_whole {
            association.send(self.now, message)
        } else {
            association.send_first_part(self.now, message)
        };
        if self.is_loud {
            println!(
                "{end} sends {} on {stream}: {len} bytes, {reliability:?}, {}: {result:?}",
                self.ledgers[end].next().0,
                if unordered { "unordered" } else { "ordered" }
            );
        }
        let (may_be_busy, must_be_busy) = self.ledgers[end].is_busy(stream);
        let is_there = stream < self.ends[end].association.outbound_streams();
        match result {
            Ok(()) => {
                assert!(is_there && !must_be_busy && !self.ends[end].is_shut);
                let at = self.millis();
                self.ledgers[end].accepted(at, stream, unordered, reliability, len, is_whole);
            }
            Err(SendError::Busy) => assert!(may_be_busy, "stream {stream} is busy"),
            Err(SendError::Blocked) => self.ends[end].is_blocked = true,
            Err(SendError::NoSuchStream) => assert!(!is_there),
            Err(SendError::Closed) => assert!(self.has_begun_to_end()),
            Err(error) => panic!("{error}"),
        }
    }

    fn has_begun_to_end(&self) -> bool {
        self.ends.iter().any(|end| end.is_shut)
    }

    /// Begins a message in parts, or goes on with one.
    fn part(&mut self, end: usize) {
        let (message, len) = self.draw_message(end);
        if self.ledgers[end].open(message.stream).is_some() {
            let is_last = self.choices.one_in(3);
            let len = if self.choices.one_in(8) { 0 } else { len };
            self.go_on(end, message.stream, len, is_last);
        } else if message.stream < self.ends[end].streams {
            self.give(end, message, len, false);
        }
    }

    /// Whether it was accepted.
    fn go_on(&mut self, end: usize, stream: u16, len: usize, is_last: bool) -> bool {
        let (id, from) = self.ledgers[end].open(stream).expect("an unfinished message");
        let len = len.min(self.ends[end].longest as usize - from);
        let part = self.ledgers[end].content(id, from, len);
        let association = &mut self.ends[end].association;
        let result = association.send_part(self.now, stream, part, is_last);
        if self.is_loud {
            println!(
                "{end} goes on with {} on {stream}: {len} bytes, the last: {is_last}: {result:?}",
                id.0
            );
        }
        match result {
            Ok(()) => self.ledgers[end].went_on(stream, len, is_last),
            Err(SendError::Blocked) => self.ends[end].is_blocked = true,
            // What was given up holds nothing up.
            Err(SendError::Closed) => {
                assert!(self.has_begun_to_end());
                assert_ne!(self.ledgers[end].get(id).reliability, Reliability::Reliable);
                self.ledgers[end].went_on(stream, 0, true);
                return true;
            }
            Err(error) => panic!("{error}"),
        }
        result.is_ok()
    }

    fn reset(&mut self, end: usize) {
        let stream = self.choices.below(self.streams()) as u16;
        let is_there = stream < self.ends[end].streams;
        if !is_there || self.has_begun_to_end() || (self.ledgers[end].is_resetting(stream) && !self.choices.one_in(8)) {
            return;
        }
        if self.is_loud {
            println!("{end} resets {stream}");
        }
        self.ledgers[end].resets(stream);
        self.resets += 1;
        self.ends[end].association.reset(stream);
    }

    /// One end begins anew, and the other one learns of it.
    fn restart(&mut self, end: usize) {
        if self.has_begun_to_end() || !self.ends.iter().all(|end| end.is_established) {
            return;
        }
        if self.is_loud {
            println!("{end} restarts");
        }
        self.restarts += 1;
        let this = &mut self.ends[end];
        this.association = Association::new(&this.config, Seed::from_run(u64::MAX - self.restarts), self.now);
        this.is_established = false;
        this.is_blocked = false;
        self.forget(end, false);
        // Nothing of before arrives later on: the other end could not know that it is old.
        self.flying.retain(|_, (to, _)| *to == end);
        self.connect(end);
    }

    /// What an end has sent is void, with `both` for both of them.
    fn forget(&mut self, end: usize, both: bool) {
        self.ledgers[end].forget(2 * self.restarts + end as u64, both);
        if let Some(tap) = &mut self.tap {
            tap.forget(end);
        }
    }

    // The network

    /// Sends what is to be sent, and reads what has happened.
    fn after(&mut self, end: usize) {
        self.read_events(end);
        let mut out = [0; ROOM];
        let mut count = 0;
        while let Some(len) = self.ends[end].association.poll_transmit(self.now, &mut out) {
            count += 1;
            assert!(count < 10_000, "packets without an end");
            self.fly(end, &out[..len]);
        }
        self.read_events(end);
    }

    fn fly(&mut self, end: usize, packet: &[u8]) {
        self.packets += 1;
        if self.is_loud {
            println!(
                "{:?} {end} {}",
                self.now - self.start,
                Packet::parse(packet).expect("a header")
            );
        }
        if let Some(tap) = &mut self.tap {
            // What was cut for larger packets, and probes, may be longer than the association says now.
            let config = &self.ends[end].config;
            let longest = config.base_packet.max(config.largest_packet);
            let now = (self.now - self.start).as_millis() as u64;
            tap.sees(now, end, packet, longest, &self.ledgers[end]);
        }
        let Network {
            delay,
            jitter,
            lost,
            doubled,
            altered,
            longest,
        } = self.network;
        if packet.len() > longest || (lost > 0 && self.choices.below(256) >= 256 - lost) {
            if self.is_loud {
                println!("  lost");
            }
            return;
        }
        let copies = if doubled > 0 && self.choices.below(256) >= 256 - doubled {
            2
        } else {
            1
        };
        for _ in 0..copies {
            let mut copy = self.spare.pop().unwrap_or_default();
            copy.clear();
            copy.extend_from_slice(packet);
            if altered > 0 && self.choices.below(256) >= 256 - altered {
                let at = self.choices.below(copy.len() as u64) as usize;
                copy[at] ^= 1 + self.choices.below(255) as u8;
            }
            let extra = if jitter > 0 { self.choices.below(jitter) } else { 0 };
            let at = self.now + delay + ms(extra);
            // Those that arrive at one time come in the order in which they were sent.
            self.flights += 1;
            self.flying.insert((at, self.flights), (1 - end, copy));
        }
    }

    fn read_events(&mut self, end: usize) {
        while let Some(event) = self.ends[end].association.poll_event() {
            if self.is_loud {
                println!("{end} {event:?}");
            }
            assert_eq!(self.ends[end].closed, None, "nothing follows the end");
            match event {
                Event::Established => {
                    let this = &mut self.ends[end];
                    assert!(!this.is_established, "established twice");
                    assert_eq!(this.association.outbound_streams(), this.streams);
                    this.is_established = true;
                }
                Event::Writable => self.ends[end].is_blocked = false,
                Event::ResetDone(streams) => {
                    for stream in streams {
                        self.ledgers[end].reset_done(stream);
                    }
                }
                Event::PeerReset(ResetStreams::Listed(streams)) => {
                    for stream in streams {
                        self.ledgers[1 - end].is_reset(stream);
                    }
                }
                Event::Restarted => {
                    assert!(self.restarts > 0 && self.ends[end].is_established);
                    self.ends[end].is_established = false;
                    self.ends[end].is_blocked = false;
                    self.forget(end, true);
                }
                Event::Closed(reason) => {
                    assert!(self.has_begun_to_end(), "closed: {reason}");
                    self.ends[end].closed = Some(reason);
                }
                event => panic!("{event:?}"),
            }
        }
    }

    /// Lets time pass.
    fn advance(&mut self, time: Duration) {
        let until = self.now + time;
        self.after(0);
        self.after(1);
        let mut count = 0;
        while let Some(at) = self.next_time().filter(|at| *at <= until) {
            count += 1;
            assert!(count < 1_000_000, "no rest");
            self.now = self.now.max(at);
            self.pass();
        }
        self.now = until;
    }

    fn timer(&self, end: usize) -> Option<Instant> {
        let at = self.ends[end].association.poll_timeout()?;
        if self.tick == 0 || at <= self.start {
            return Some(at);
        }
        let ticks = ((at - self.start).as_nanos() as u64).div_ceil(self.tick * 1_000_000);
        Some(self.start + ms(ticks * self.tick))
    }

    fn next_time(&self) -> Option<Instant> {
        let arrival = self.flying.first_key_value().map(|((at, _), _)| *at);
        [arrival, self.timer(0), self.timer(1)].into_iter().flatten().min()
    }

    /// What is due happens.
    fn pass(&mut self) {
        if let Some(entry) = self.flying.first_entry()
            && entry.key().0 <= self.now
        {
            let (end, packet) = entry.remove();
            let ledger = &mut self.ledgers[1 - end];
            self.ends[end].association.handle_packet(self.now, &packet, ledger);
            self.spare.push(packet);
            self.after(end);
            return;
        }
        for end in 0..2 {
            if self.timer(end).is_some_and(|at| at <= self.now) {
                self.ends[end].association.handle_timeout(self.now);
                if self.is_loud {
                    let counters = self.ends[end].association.counters();
                    println!(
                        "{:?} {end} timer: {} time-outs, {} probes",
                        self.now - self.start,
                        counters.sctp_timeouts,
                        counters.sctp_probes
                    );
                }
                self.after(end);
                let next = self.ends[end].association.poll_timeout();
                assert!(next.is_none_or(|at| at > self.now), "{end}: a timer spins");
            }
        }
    }

    // The end

    fn finish(mut self) -> Summary {
        let ending = match self.choices.below(16) {
            0..=9 => Ending::Rest,
            10 | 11 => Ending::Shutdown,
            12..=14 => Ending::EarlyShutdown,
            _ => Ending::Abort,
        };
        let who = self.choices.below(3);
        let is_calm = self.is_calm;
        if ending == Ending::EarlyShutdown && self.ends.iter().all(|end| end.is_established) {
            self.shut(who);
            for _ in 0..self.choices.below(6) {
                self.step();
            }
        }
        // Whatever is under way may still be late, but no more is lost.
        let delay = if is_calm { self.network.delay } else { ms(10) };
        self.network = Network::good(delay);
        for end in &mut self.ends {
            end.association.set_retained(0);
        }
        let settling = self.settle();
        if !self.has_begun_to_end() {
            self.assert_at_rest();
        }
        match ending {
            Ending::Rest => {}
            Ending::Abort => {
                let end = (who & 1) as usize;
                self.ends[end].is_shut = true;
                self.ends[end].association.abort();
                self.settle();
                let closed = [end, 1 - end].map(|end| self.ends[end].closed.clone());
                assert!(
                    matches!(
                        closed,
                        [Some(CloseReason::Aborted), Some(CloseReason::AbortedByPeer { .. })]
                    ),
                    "{closed:?}"
                );
            }
            Ending::Shutdown | Ending::EarlyShutdown => {
                if !self.has_begun_to_end() {
                    self.shut(who);
                }
                self.settle();
                for end in 0..2 {
                    match &self.ends[end].closed {
                        Some(CloseReason::Shutdown) => {}
                        // A late packet of its own has made the other one, which had ended, say that there is nobody.
                        Some(CloseReason::AbortedByPeer { cause: None, .. })
                            if self.ends[1 - end].closed == Some(CloseReason::Shutdown) => {}
                        closed => panic!("{end}: {closed:?}"),
                    }
                    assert_eq!(self.ends[end].association.state(), State::Ended);
                    self.ledgers[end].assert_settled(false);
                }
            }
        }
        self.assert_counters();
        let counters = [0, 1].map(|end: usize| self.ends[end].association.counters());
        Summary {
            messages: self.ledgers.iter().map(|ledger| ledger.delivered).sum(),
            packets: self.packets,
            resets: self.resets,
            given_up: counters.iter().map(|counters| counters.sctp_messages_given_up).sum(),
            retransmissions: counters.iter().map(|counters| counters.sctp_retransmissions).sum(),
            settling,
        }
    }

    fn shut(&mut self, who: u64) {
        for end in 0..2 {
            if who == 2 || who == end as u64 {
                if self.is_loud {
                    println!("{end} shuts down");
                }
                self.ends[end].is_shut = true;
                self.ends[end].association.shutdown(self.now);
                self.after(end);
            }
        }
    }

    /// Waits until nothing happens any more, and how long that took.
    fn settle(&mut self) -> Duration {
        let begin = self.now;
        let limit = begin + SETTLING;
        while self.end_messages() {
            self.advance(ms(10));
            assert!(self.now < limit, "a message cannot be ended");
        }
        self.after(0);
        self.after(1);
        if self.beats {
            self.advance(SETTLING / 2);
            return Duration::ZERO;
        }
        while let Some(at) = self.next_time().filter(|at| *at < self.now + LONG) {
            self.now = self.now.max(at);
            self.pass();
            assert!(
                self.now < limit,
                "no rest after {SETTLING:?}: {:?}",
                self.ends.each_ref().map(|end| end.association.stats())
            );
        }
        self.now - begin
    }

    /// Ends unfinished messages; whether some are left.
    fn end_messages(&mut self) -> bool {
        let mut are_left = false;
        for end in 0..2 {
            for stream in 0..self.streams() as u16 {
                if self.ledgers[end].open(stream).is_none() {
                    continue;
                }
                are_left |= !self.go_on(end, stream, 1, true);
            }
            self.after(end);
        }
        are_left
    }

    fn assert_at_rest(&self) {
        for end in 0..2 {
            let this = &self.ends[end];
            assert_eq!(
                (this.association.state(), this.is_established),
                (State::Established, true),
                "{end}"
            );
            assert!(!this.is_blocked, "{end}: blocked, and no event");
            let next = this.association.poll_timeout();
            assert!(
                self.beats || next.is_none_or(|at| at > self.now + LONG),
                "{end}: a timer runs"
            );
            let stats = this.association.stats();
            assert_eq!((stats.in_flight, stats.held), (0, 0), "{end}");
            for stream in 0..self.streams() as u16 {
                assert_eq!(this.association.buffered(stream), 0, "{end}, stream {stream}");
            }
            self.ledgers[end].assert_settled(true);
            if self.is_calm && self.restarts == 0 {
                let counters = this.association.counters();
                assert_eq!(counters.sctp_timeouts, 0, "{end}");
                assert_eq!(counters.sctp_retransmissions, 0, "{end}");
            }
        }
    }

    fn assert_counters(&self) {
        for (end, this) in self.ends.iter().enumerate() {
            let counters = this.association.counters();
            let faults = [
                counters.sctp_malformed,
                counters.sctp_bad_checksum,
                counters.sctp_wrong_ports,
                counters.sctp_unrecognized_chunks,
                counters.sctp_bad_inits,
                counters.sctp_forged_cookies,
                counters.sctp_invalid_streams,
                counters.sctp_denied_resets,
            ];
            let is_clean = faults == [0; 8];
            assert!(self.may_alter || self.restarts > 0 || is_clean, "{end}: {counters:?}");
        }
    }
}
