//! Senders with a window and a pacer, one bottleneck whose queue drops at its tail, receivers that acknowledge every second
//! packet. What is lost is sent again as something new.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

use crate::config::{Config, Congestion};
use crate::engine::congestion::{Acked, Pacer, Window};
use crate::engine::rtt::Rtt;

pub(super) const PACKET: usize = 1160;
const SACK_DELAY: Duration = Duration::from_millis(25);

/// The bottleneck.
#[derive(Clone, Copy)]
pub(super) struct Link {
    pub(super) bits_per_second: f64,
    pub(super) round_trip: Duration,
    /// In products of rate and round trip.
    pub(super) queue: f64,
    /// How much later SACKs arrive at most; their order stays.
    pub(super) jitter: Duration,
}

impl Link {
    pub(super) fn bytes_per_second(&self) -> f64 {
        self.bits_per_second / 8.0
    }

    pub(super) fn capacity(&self) -> f64 {
        self.bytes_per_second() * self.round_trip.as_secs_f64()
    }
}

enum Event {
    Arrives { flow: usize, seq: u64 },
    Sack { flow: usize, seqs: [Option<u64>; 2] },
    SackTimer { flow: usize, of: u64 },
    Wakes { flow: usize },
}

pub(super) struct Flow {
    pub(super) window: Window,
    pub(super) pacer: Pacer,
    pub(super) rtt: Rtt,
    starts: Instant,
    /// When what begins with `first` was sent; none when it was acknowledged or lost.
    sent: VecDeque<Option<Instant>>,
    first: u64,
    in_flight: u64,
    recovery: u64,
    round: u64,
    wakes: Option<Instant>,
    expected: u64,
    pending: Option<u64>,
    /// When each packet arrived and when each one was found lost.
    pub(super) arrivals: Vec<Instant>,
    pub(super) losses: Vec<Instant>,
    /// When the window was reduced for a loss, and what it was.
    pub(super) reductions: Vec<(Instant, u64)>,
    pub(super) rounds: u64,
}

impl Flow {
    fn next(&self) -> u64 {
        self.first + self.sent.len() as u64
    }

    /// Bytes that arrived in that time.
    pub(super) fn received(&self, from: Instant, to: Instant) -> f64 {
        let before = |t| self.arrivals.partition_point(|&arrival| arrival < t);
        ((before(to) - before(from)) * PACKET) as f64
    }
}

pub(super) struct Sim {
    pub(super) link: Link,
    pub(super) start: Instant,
    pub(super) flows: Vec<Flow>,
    /// When each packet came to the queue, and how long it will wait there.
    pub(super) waits: Vec<(Instant, Duration)>,
    now: Instant,
    random: u32,
    last_sack: Instant,
    busy_until: Instant,
    events: BinaryHeap<Reverse<(Instant, u64)>>,
    bodies: VecDeque<Option<Event>>,
    first_body: u64,
}

impl Sim {
    pub(super) fn new(link: Link, congestion: Congestion, starts: &[Duration]) -> Self {
        let start = Instant::now();
        let config = Config {
            base_packet: PACKET,
            congestion,
            ..Config::default()
        };
        let flow = |&after: &Duration| Flow {
            window: Window::new(&config),
            pacer: Pacer::new(start),
            rtt: Rtt::new(&config, start),
            starts: start + after,
            sent: VecDeque::new(),
            first: 0,
            in_flight: 0,
            recovery: 0,
            round: 0,
            wakes: None,
            expected: 0,
            pending: None,
            arrivals: Vec::new(),
            losses: Vec::new(),
            reductions: Vec::new(),
            rounds: 0,
        };
        let flows: Vec<_> = starts.iter().map(flow).collect();
        let mut sim = Self {
            link,
            start,
            waits: Vec::new(),
            now: start,
            random: 1,
            last_sack: start,
            busy_until: start,
            events: BinaryHeap::new(),
            bodies: VecDeque::new(),
            first_body: 0,
            flows,
        };
        for flow in 0..sim.flows.len() {
            let at = sim.flows[flow].starts;
            sim.flows[flow].wakes = Some(at);
            sim.at(at, Event::Wakes { flow });
        }
        sim
    }

    fn at(&mut self, at: Instant, event: Event) {
        let id = self.first_body + self.bodies.len() as u64;
        self.bodies.push_back(Some(event));
        self.events.push(Reverse((at, id)));
    }

    pub(super) fn run(&mut self, until: Duration) {
        while let Some(&Reverse((at, id))) = self.events.peek() {
            if at > self.start + until {
                return;
            }
            self.events.pop();
            self.now = at;
            let event = self.bodies[(id - self.first_body) as usize].take().unwrap();
            while let Some(None) = self.bodies.front() {
                self.bodies.pop_front();
                self.first_body += 1;
            }
            match event {
                Event::Arrives { flow, seq } => self.arrives(flow, seq),
                Event::SackTimer { flow, of } => {
                    if self.flows[flow].pending == Some(of) {
                        self.flows[flow].pending = None;
                        self.sack(flow, [Some(of), None]);
                    }
                }
                Event::Sack { flow, seqs } => self.acknowledge(flow, seqs),
                Event::Wakes { flow } => {
                    if self.flows[flow].wakes == Some(at) {
                        self.flows[flow].wakes = None;
                        self.send(flow);
                    }
                }
            }
        }
        panic!("the senders are stuck");
    }

    fn send(&mut self, index: usize) {
        let now = self.now;
        loop {
            let flow = &mut self.flows[index];
            if flow.in_flight + PACKET as u64 > flow.window.bytes().max(PACKET as u64) {
                return;
            }
            if !flow.pacer.ready(now) {
                let at = flow.pacer.poll_timeout().unwrap();
                if flow.wakes != Some(at) {
                    flow.wakes = Some(at);
                    self.at(at, Event::Wakes { flow: index });
                }
                return;
            }
            flow.pacer.sent(now, PACKET);
            flow.in_flight += PACKET as u64;
            let seq = flow.next();
            flow.sent.push_back(Some(now));
            let wait = self.busy_until.saturating_duration_since(now);
            let takes = Duration::from_secs_f64(PACKET as f64 / self.link.bytes_per_second());
            self.waits.push((now, wait));
            let bytes = wait.as_secs_f64() * self.link.bytes_per_second() + PACKET as f64;
            if bytes <= self.link.capacity() * self.link.queue {
                self.busy_until = now + wait + takes;
                self.at(
                    self.busy_until + self.link.round_trip / 2,
                    Event::Arrives { flow: index, seq },
                );
            }
        }
    }

    fn arrives(&mut self, index: usize, seq: u64) {
        let now = self.now;
        let flow = &mut self.flows[index];
        flow.arrivals.push(now);
        let gap = seq != flow.expected;
        flow.expected = seq + 1;
        let pending = flow.pending.take();
        if pending.is_some() || gap {
            self.sack(index, [pending, Some(seq)]);
        } else {
            flow.pending = Some(seq);
            self.at(now + SACK_DELAY, Event::SackTimer { flow: index, of: seq });
        }
    }

    fn sack(&mut self, flow: usize, seqs: [Option<u64>; 2]) {
        // Numerical Recipes' generator.
        self.random = self.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let jitter = self.link.jitter.mul_f64(f64::from(self.random) / f64::from(u32::MAX));
        let at = self.now + self.link.round_trip / 2 + jitter;
        self.last_sack = self.last_sack.max(at);
        self.at(self.last_sack, Event::Sack { flow, seqs });
    }

    fn acknowledge(&mut self, index: usize, seqs: [Option<u64>; 2]) {
        let now = self.now;
        let flow = &mut self.flows[index];
        let in_flight = flow.in_flight;
        let mut newest = None;
        for seq in seqs.into_iter().flatten() {
            let slot = seq.checked_sub(flow.first).unwrap() as usize;
            if let Some(sent) = flow.sent[slot].take() {
                newest = Some((seq, sent));
                flow.in_flight -= PACKET as u64;
            }
        }
        // All that was declared lost was: the queue never reorders.
        let (newest, sent) = newest.unwrap();
        let sample = now - sent;
        flow.rtt.sample(now, sample);
        let round_ended = newest >= flow.round;
        if round_ended {
            flow.round = flow.next();
            flow.rounds += 1;
        }
        flow.window.acked(
            now,
            &Acked {
                bytes: in_flight - flow.in_flight,
                in_flight,
                limited: newest >= flow.recovery,
                rtt: Some(sample),
                round_ended,
            },
            &flow.rtt,
        );
        let reordering = flow.rtt.min().unwrap() / 4;
        while let Some(&front) = flow.sent.front() {
            if let Some(at) = front {
                if flow.first > newest || at + reordering > sent {
                    break;
                }
                flow.in_flight -= PACKET as u64;
                flow.losses.push(now);
                if flow.first >= flow.recovery {
                    flow.recovery = flow.first + flow.sent.len() as u64;
                    flow.reductions.push((now, flow.window.bytes()));
                    flow.window.lost();
                }
            }
            flow.sent.pop_front();
            flow.first += 1;
        }
        flow.pacer.set_rate(&flow.window, &flow.rtt);
        self.send(index);
    }
}
