//! Two associations with a wire between them, in virtual time.

mod loss;
mod partial;
mod rest;
mod setup;
mod windows;

use core::time::Duration;
use std::boxed::Box;
use std::collections::BTreeMap;
use std::string::{String, ToString};
use std::time::Instant;
use std::vec::Vec;

use bytes::Bytes;
use wire::Seed;

use super::{Association, Event, Message, SendError, Sink, State};
use crate::checksum::Checksum;
use crate::chunk::Chunk;
use crate::config::Config;
use crate::dcep::Reliability;
use crate::packet::Packet;
use crate::registry::Ppid;

const DELAY: Duration = Duration::from_millis(50);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Messages as they came: stream and payload.
#[derive(Debug, Default)]
struct Inbox {
    messages: Vec<(u16, Vec<u8>)>,
    /// Bytes instead of messages.
    only_bytes: bool,
    bytes: usize,
}

impl Sink for Inbox {
    fn message(&mut self, stream: u16, _: Ppid, _: bool, payload: &[u8]) {
        self.bytes += payload.len();
        if !self.only_bytes {
            self.messages.push((stream, payload.to_vec()));
        }
    }

    fn part(&mut self, _: u16, _: Ppid, _: bool, _: &[u8], _: bool, _: bool) {
        panic!("nobody asked for parts");
    }

    fn cut(&mut self, _: u16, _: bool) {
        panic!("nobody asked for parts");
    }
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Pass,
    Drop,
    /// It comes so much later.
    Late(Duration),
}

const A: usize = 0;
const B: usize = 1;

type Hook = Box<dyn FnMut(usize, &[Chunk<'_>]) -> Fate>;

struct Pair {
    now: Instant,
    start: Instant,
    ends: [Association; 2],
    inboxes: [Inbox; 2],
    events: [Vec<Event>; 2],
    wire: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    serial: u64,
    hook: Hook,
    /// Packets sent, by whom and when.
    log: Vec<(usize, Duration, String)>,
    /// Whether their checksums are right.
    checksums: Vec<bool>,
}

impl Pair {
    fn of(first: &Config, second: &Config) -> Self {
        let now = Instant::now();
        Self {
            now,
            start: now,
            ends: [
                Association::new(first, Seed::from_run(1), now),
                Association::new(second, Seed::from_run(2), now),
            ],
            inboxes: Default::default(),
            events: Default::default(),
            wire: BTreeMap::new(),
            serial: 0,
            hook: Box::new(|_, _| Fate::Pass),
            log: Vec::new(),
            checksums: Vec::new(),
        }
    }

    /// They are connected, and the round trip is known.
    fn connected(first: &Config, second: &Config) -> Self {
        let mut pair = Self::of(first, second);
        let now = pair.now;
        pair.ends[A].connect(now);
        pair.run(ms(1000));
        for from in [A, B] {
            pair.send(from, 0, b"round trip");
            pair.run(ms(1000));
        }
        assert_eq!(pair.ends[A].state(), State::Established);
        pair.inboxes = Default::default();
        pair.events = Default::default();
        pair.log.clear();
        pair.start = pair.now;
        pair
    }

    fn new() -> Self {
        let config = Config::default();
        Self::connected(&config, &config)
    }

    fn hook(&mut self, hook: impl FnMut(usize, &[Chunk<'_>]) -> Fate + 'static) {
        self.hook = Box::new(hook);
    }

    fn pass(&mut self) {
        self.hook(|_, _| Fate::Pass);
    }

    fn message(stream: u16, payload: &[u8]) -> Message {
        Message {
            stream,
            ppid: Ppid::BINARY,
            unordered: false,
            reliability: Reliability::Reliable,
            payload: Bytes::copy_from_slice(payload),
        }
    }

    fn send(&mut self, from: usize, stream: u16, payload: &[u8]) {
        self.ends[from].send(self.now, Self::message(stream, payload)).unwrap();
    }

    /// Takes out what is to be sent now.
    fn flush(&mut self) {
        let mut out = [0; 2000];
        for from in [A, B] {
            let mut count = 0;
            while let Some(len) = self.ends[from].poll_transmit(self.now, &mut out) {
                count += 1;
                assert!(count < 20_000, "it never ends");
                let bytes = &out[..len];
                let packet = Packet::parse(bytes).unwrap();
                let chunks: Vec<_> = packet.chunks().map(|raw| Chunk::of(raw.unwrap()).unwrap()).collect();
                self.checksums.push(packet.checksum_holds(Checksum::Crc32c));
                self.log.push((from, self.now - self.start, packet.to_string()));
                let at = match (self.hook)(from, &chunks) {
                    Fate::Pass => self.now + DELAY,
                    Fate::Late(more) => self.now + DELAY + more,
                    Fate::Drop => continue,
                };
                self.serial += 1;
                self.wire.insert((at, self.serial), (1 - from, bytes.to_vec()));
            }
            while let Some(event) = self.ends[from].poll_event() {
                self.events[from].push(event);
            }
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        let mut turns = 0;
        loop {
            self.flush();
            turns += 1;
            assert!(turns < 1_000_000, "time stands still");
            let arrival = self.wire.first_key_value().map(|((at, _), _)| *at);
            let timers = [A, B].map(|end| self.ends[end].poll_timeout());
            let next = timers.into_iter().chain([arrival]).flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else {
                break;
            };
            self.now = self.now.max(next);
            while let Some(entry) = self.wire.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let (to, bytes) = entry.remove();
                self.ends[to].handle_packet(self.now, &bytes, &mut self.inboxes[to]);
            }
            for end in &mut self.ends {
                if end.poll_timeout().is_some_and(|at| at <= self.now) {
                    end.handle_timeout(self.now);
                }
            }
        }
        self.now = end;
    }

    /// The packets that one side sent, each in one line, from `since` on.
    fn sent(&self, from: usize) -> Vec<&str> {
        self.log
            .iter()
            .filter(|(side, ..)| *side == from)
            .map(|(_, _, text)| text.as_str())
            .collect()
    }
}

fn has_data(chunks: &[Chunk<'_>]) -> bool {
    chunks
        .iter()
        .any(|chunk| matches!(chunk, Chunk::Data(_) | Chunk::IData(_)))
}

/// The TSNs in a packet, and whether the last one asks for a SACK at once.
fn tsns(chunks: &[Chunk<'_>]) -> Vec<(u32, bool)> {
    chunks
        .iter()
        .filter_map(|chunk| match chunk {
            Chunk::Data(data) => Some((data.header.tsn, data.header.flags.immediate)),
            Chunk::IData(data) => Some((data.header.tsn, data.header.flags.immediate)),
            _ => None,
        })
        .collect()
}

/// Of a peer with little room.
fn narrow_config() -> Config {
    Config {
        receive_window: 20_000,
        ..Config::default()
    }
}

/// A pair whose second end keeps so much of its 20,000 bytes of room for what its user has not taken.
fn narrow(retained: usize) -> Pair {
    let mut pair = Pair::connected(&Config::default(), &narrow_config());
    pair.ends[B].set_retained(retained);
    pair
}

fn without_interleaving() -> Config {
    Config {
        interleaving: false,
        ..Config::default()
    }
}
