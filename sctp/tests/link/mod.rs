//! Two associations on hosts of a simulated network, in virtual time.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    missing_debug_implementations,
    reason = "each test binary uses a part"
)]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use netsim::{Bitrate, Direction, Endpoint, EndpointId, HostId, Link, Loss, Queue, Sim, Sockets};
use sctp::dcep::Reliability;
use sctp::{Association, Config, Event, Message, Ppid, SendError, Sink};
use wire::{Ecn, Path, Seed, Transmit};

/// What came, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    pub at: Instant,
    pub stream: u16,
    pub ppid: Ppid,
    pub len: usize,
    pub first: Option<u8>,
}

#[derive(Debug, Default)]
pub struct Inbox {
    pub now: Option<Instant>,
    /// Messages of streams other than that of the bulk.
    pub received: Vec<Received>,
    pub bulk_stream: Option<u16>,
    pub bulk_bytes: u64,
    /// Bytes of the bulk in each tenth of a second since the beginning.
    pub tenths: Vec<u64>,
    pub start: Option<Instant>,
}

impl Sink for Inbox {
    fn message(&mut self, stream: u16, ppid: Ppid, _unordered: bool, payload: &[u8]) {
        let at = self.now.expect("the time of the packet");
        if self.bulk_stream == Some(stream) {
            self.bulk_bytes += payload.len() as u64;
            let tenth = (at - self.start.expect("a start")).as_millis() as usize / 100;
            if self.tenths.len() <= tenth {
                self.tenths.resize(tenth + 1, 0);
            }
            self.tenths[tenth] += payload.len() as u64;
            return;
        }
        self.received.push(Received {
            at,
            stream,
            ppid,
            len: payload.len(),
            first: payload.first().copied(),
        });
    }

    fn part(&mut self, _: u16, _: Ppid, _: bool, _: &[u8], _: bool, _: bool) {
        panic!("nobody asked for parts");
    }

    fn cut(&mut self, _: u16, _: bool) {
        panic!("nobody asked for parts");
    }
}

/// A host's program: an association over datagrams.
pub struct Peer {
    pub association: Association,
    pub inbox: Inbox,
    pub events: Vec<Event>,
    pub path: Path,
    bound: bool,
    /// Messages of that length are kept coming on the stream.
    pub bulk: Option<(u16, Bytes)>,
    pub sent: u64,
    /// Messages to be sent at a time.
    pub script: VecDeque<(Instant, Message)>,
}

pub fn message(stream: u16, payload: Bytes) -> Message {
    Message {
        stream,
        ppid: Ppid::BINARY,
        unordered: false,
        reliability: Reliability::Reliable,
        payload,
    }
}

impl Peer {
    pub fn new(config: &Config, run: u64, now: Instant, path: Path) -> Self {
        Self {
            association: Association::new(config, Seed::from_run(run), now),
            inbox: Inbox {
                start: Some(now),
                ..Inbox::default()
            },
            events: Vec::new(),
            path,
            bound: false,
            bulk: None,
            sent: 0,
            script: VecDeque::new(),
        }
    }

    fn work(&mut self, now: Instant) {
        while let Some(event) = self.association.poll_event() {
            self.events.push(event);
        }
        while self.script.front().is_some_and(|(at, _)| *at <= now) {
            let (_, message) = self.script.pop_front().expect("just seen");
            self.association.send(now, message).expect("room");
        }
        if let Some((stream, payload)) = &self.bulk {
            while self.association.is_open() {
                match self.association.send(now, message(*stream, payload.clone())) {
                    Ok(()) => self.sent += 1,
                    Err(SendError::Blocked) => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }
}

impl Endpoint for Peer {
    fn handle_datagram(&mut self, now: Instant, _path: &Path, _ecn: Ecn, data: &mut [u8]) {
        self.inbox.now = Some(now);
        self.association.handle_packet(now, data, &mut self.inbox);
        self.work(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.association.handle_timeout(now);
        self.work(now);
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<Transmit> {
        let len = self.association.poll_transmit(now, out)?;
        Some(Transmit::one(self.path, len))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let script = self.script.front().map(|(at, _)| *at);
        self.association.poll_timeout().into_iter().chain(script).min()
    }

    fn poll_sockets(&mut self, now: Instant, sockets: &mut Sockets<'_>) {
        if !self.bound {
            sockets.bind_udp(self.path.local).expect("a port");
            self.bound = true;
        }
        self.work(now);
    }
}

/// One bottleneck, and pairs of peers on both sides of it.
pub struct Shape {
    pub rate: Option<Bitrate>,
    pub round_trip: Duration,
    pub queue: Queue,
    pub loss: f64,
}

impl Shape {
    pub fn one_bdp(rate: Bitrate, round_trip: Duration, loss: f64) -> Self {
        Self {
            rate: Some(rate),
            round_trip,
            queue: Queue::one_bdp(rate, round_trip),
            loss,
        }
    }
}

pub struct World {
    pub sim: Sim,
    pub pairs: Vec<(EndpointId<Peer>, EndpointId<Peer>)>,
    left: HostId,
    right: HostId,
    run: u64,
    pub link: netsim::LinkId,
}

impl World {
    pub fn new(run: u64, shape: &Shape) -> Self {
        let mut sim = Sim::new(run);
        let left = sim.add_host("left");
        let right = sim.add_host("right");
        let direction = Direction {
            rate: shape.rate,
            queue: shape.queue,
            delay: shape.round_trip / 2,
            loss: if shape.loss > 0.0 {
                Loss::Random(shape.loss)
            } else {
                Loss::None
            },
            ..Direction::default()
        };
        let link = sim.link(
            left,
            right,
            Link {
                // What comes back is not lost and not queued.
                backward: Direction {
                    loss: Loss::None,
                    ..direction.clone()
                },
                forward: direction,
            },
        );
        sim.add_address(left, link, "10.0.0.1".parse().unwrap());
        sim.add_address(right, link, "10.0.0.2".parse().unwrap());
        Self {
            sim,
            pairs: Vec::new(),
            left,
            right,
            run,
            link,
        }
    }

    /// Two peers; the left one connects.
    pub fn pair(&mut self, config: &Config) -> (EndpointId<Peer>, EndpointId<Peer>) {
        let number = self.pairs.len() as u16;
        let left: SocketAddr = format!("10.0.0.1:{}", 6000 + number).parse().unwrap();
        let right: SocketAddr = format!("10.0.0.2:{}", 6000 + number).parse().unwrap();
        let now = self.sim.now();
        let seed = self.run * 1000 + u64::from(number) * 2;
        let mut first = Peer::new(config, seed, now, Path::udp(left, right));
        first.association.connect(now);
        let second = Peer::new(config, seed + 1, now, Path::udp(right, left));
        // Who is asked must listen before.
        let second = self.sim.add_endpoint(self.right, "right", second);
        let first = self.sim.add_endpoint(self.left, "left", first);
        self.pairs.push((first, second));
        (first, second)
    }
}
