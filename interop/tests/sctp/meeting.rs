//! Our engine and a foreign one, in memory and in virtual time.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use sctp::{Association, ChunkType, Config, Event, Packet, Ppid, Sink};
use wire::Seed;

use super::plan::{self, Letter, Plan};

/// What a foreign engine has to tell.
#[derive(Debug, Default)]
pub(crate) struct Diary {
    pub(crate) is_up: bool,
    /// Why it ended.
    pub(crate) lost: Option<String>,
    /// Without knowledge of order: [`is_unordered`] tells.
    pub(crate) letters: Vec<Letter>,
    /// Streams of ours that were reset, as it reports them.
    pub(crate) reset: Vec<u16>,
}

/// The other engines do not tell whether a message was sent in order: those of these streams are not.
pub(crate) const fn is_unordered(stream: u16) -> bool {
    stream >= 100
}

/// A foreign engine.
pub(crate) trait Foreign {
    /// Whether a RE-CONFIG that it sends in answer to ours is repeated when it was lost.
    const REPEATS_RESETS: bool;

    /// One that only answers, and one that begins.
    fn new(is_client: bool, now: Instant) -> Self;
    fn handle(&mut self, now: Instant, packet: &[u8]);
    fn handle_timeout(&mut self, now: Instant);
    fn poll_timeout(&self) -> Option<Instant>;
    fn transmits(&mut self, now: Instant) -> Vec<Vec<u8>>;
    fn send(&mut self, now: Instant, plan: &Plan);
    fn reset(&mut self, now: Instant, stream: u16);
    fn shutdown(&mut self);
    fn diary(&mut self) -> &mut Diary;
}

/// Who begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begins {
    We,
    They,
    Both,
}

/// Which way a packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    Out,
    In,
}

/// Whether a packet is lost.
pub(crate) type Loss = Box<dyn FnMut(Way, &[u8]) -> bool>;

#[derive(Debug, Default)]
struct Inbox(Vec<Letter>);

impl Sink for Inbox {
    fn message(&mut self, stream: u16, ppid: Ppid, unordered: bool, payload: &[u8]) {
        assert_eq!(unordered, is_unordered(stream));
        self.0.push(Letter::of(stream, ppid, unordered, payload));
    }

    fn part(&mut self, _: u16, _: Ppid, _: bool, _: &[u8], _: bool, _: bool) {
        panic!("nobody asked for parts");
    }

    fn cut(&mut self, _: u16, _: bool) {
        panic!("nobody asked for parts");
    }
}

pub(crate) struct Meeting<T> {
    pub(crate) now: Instant,
    pub(crate) ours: Association,
    pub(crate) theirs: T,
    pub(crate) events: Vec<Event>,
    pub(crate) loss: Loss,
    /// Chunks that were sent.
    pub(crate) chunks: BTreeMap<(Way, ChunkType), usize>,
    inbox: Inbox,
    /// On their way, by the time at which they arrive.
    flying: VecDeque<(Instant, Way, Vec<u8>)>,
}

/// Half a round trip.
const DELAY: Duration = Duration::from_millis(10);

impl<T: Foreign> Meeting<T> {
    pub(crate) fn new(begins: Begins) -> Self {
        let now = Instant::now();
        let ours = Association::new(&Config::default(), Seed::from_run(1), now);
        let mut meeting = Self::of(now, ours, T::new(begins != Begins::We, now));
        if begins != Begins::They {
            meeting.ours.connect(now);
        }
        meeting
    }

    pub(crate) fn of(now: Instant, ours: Association, theirs: T) -> Self {
        Self {
            now,
            ours,
            theirs,
            events: Vec::new(),
            loss: Box::new(|_, _| false),
            chunks: BTreeMap::new(),
            inbox: Inbox::default(),
            flying: VecDeque::new(),
        }
    }

    pub(crate) fn connected(begins: Begins) -> Self {
        let mut meeting = Self::new(begins);
        meeting.until_up();
        meeting
    }

    pub(crate) fn until_up(&mut self) {
        self.until("set up", |meeting| {
            meeting.events.contains(&Event::Established) && meeting.theirs.diary().is_up
        });
    }

    pub(crate) fn sent(&self, way: Way, kind: ChunkType) -> usize {
        self.chunks.get(&(way, kind)).copied().unwrap_or_default()
    }

    /// Each sends its messages, until all have come.
    pub(crate) fn exchange(&mut self, ours: &[Plan], theirs: &[Plan]) {
        for plan in ours {
            self.ours.send(self.now, plan.message()).unwrap();
        }
        for plan in theirs {
            self.theirs.send(self.now, plan);
        }
        self.until("messages", |meeting| {
            meeting.inbox.0.len() >= theirs.len() && meeting.theirs.diary().letters.len() >= ours.len()
        });
        plan::check("from them", theirs, &std::mem::take(&mut self.inbox.0));
        plan::check("to them", ours, &std::mem::take(&mut self.theirs.diary().letters));
    }

    /// Lets time pass until `done`; fails after ten minutes.
    pub(crate) fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let end = self.now + Duration::from_secs(600);
        loop {
            self.transmit();
            self.events.extend(std::iter::from_fn(|| self.ours.poll_event()));
            // It reads what has come.
            self.theirs.diary();
            if done(self) {
                return;
            }
            assert!(
                self.now < end,
                "{what}: {:?} {:?} {:?}",
                self.events,
                self.chunks,
                self.theirs.diary()
            );
            self.step();
        }
    }

    /// Lets five seconds pass.
    pub(crate) fn rest(&mut self) {
        let end = self.now + Duration::from_secs(5);
        self.until("rest", |meeting| meeting.now >= end);
    }

    fn transmit(&mut self) {
        let mut out = [0; 4096];
        while let Some(len) = self.ours.poll_transmit(self.now, &mut out) {
            self.fly(Way::Out, out[..len].to_vec());
        }
        for packet in self.theirs.transmits(self.now) {
            self.fly(Way::In, packet);
        }
    }

    fn fly(&mut self, way: Way, packet: Vec<u8>) {
        for chunk in Packet::parse(&packet).unwrap().chunks() {
            *self.chunks.entry((way, chunk.unwrap().chunk_type())).or_default() += 1;
        }
        if !(self.loss)(way, &packet) {
            self.flying.push_back((self.now + DELAY, way, packet));
        }
    }

    /// On to the next thing that happens.
    fn step(&mut self) {
        let arrival = self.flying.front().map(|(at, ..)| *at);
        let timeouts = [self.ours.poll_timeout(), self.theirs.poll_timeout()];
        let next = timeouts.into_iter().chain([arrival]).flatten().min();
        let next = next.unwrap_or_else(|| panic!("nobody wants anything: {:?} {:?}", self.events, self.theirs.diary()));
        self.now = self.now.max(next);
        while let Some((_, way, packet)) = self.flying.pop_front_if(|(at, ..)| *at <= self.now) {
            match way {
                Way::Out => self.theirs.handle(self.now, &packet),
                Way::In => self.ours.handle_packet(self.now, &packet, &mut self.inbox),
            }
            // As who is woken by each packet.
            self.transmit();
        }
        self.ours.handle_timeout(self.now);
        self.theirs.handle_timeout(self.now);
    }
}

/// Loses so many of a hundred packets, by a rule of a seed.
pub(crate) fn percent(share: u64, seed: u64) -> Loss {
    let mut state = seed;
    Box::new(move |_, _| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % 100 < share
    })
}
