//! Our engine on a socket, and the foreign program at the other end.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use sctp::{Association, Chunk, ChunkType, Config, Event, Packet, Ppid, Sink};
use wire::Seed;

use super::plan::{Letter, Plan};
use super::program::Program;

/// Which way a packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    Out,
    In,
}

/// Whether a packet is lost.
pub(crate) type Loss = Box<dyn FnMut(Way, &[u8]) -> bool>;

#[derive(Debug, Default)]
pub(crate) struct Inbox(pub(crate) Vec<Letter>);

impl Sink for Inbox {
    fn message(&mut self, stream: u16, ppid: Ppid, unordered: bool, payload: &[u8]) {
        self.0.push(Letter::of(stream, ppid, unordered, payload));
    }

    fn part(&mut self, _: u16, _: Ppid, _: bool, _: &[u8], _: bool, _: bool) {
        panic!("nobody asked for parts");
    }

    fn cut(&mut self, _: u16, _: bool) {
        panic!("nobody asked for parts");
    }
}

pub(crate) struct Meeting {
    pub(crate) association: Association,
    pub(crate) peer: Program,
    pub(crate) inbox: Inbox,
    pub(crate) events: Vec<Event>,
    pub(crate) loss: Loss,
    /// Chunks that passed.
    pub(crate) chunks: BTreeMap<(Way, ChunkType), usize>,
    config: Config,
    run: u64,
    socket: UdpSocket,
    address: SocketAddr,
}

impl Meeting {
    pub(crate) fn new(config: Config) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let peer = Program::start(&socket, 0);
        Self {
            association: Association::new(&config, Seed::from_run(1), Instant::now()),
            address: (Ipv4Addr::LOCALHOST, peer.port).into(),
            inbox: Inbox::default(),
            events: Vec::new(),
            loss: Box::new(|_, _| false),
            chunks: BTreeMap::new(),
            config,
            run: 1,
            peer,
            socket,
        }
    }

    /// Set up; we have begun.
    pub(crate) fn connected(config: Config) -> Self {
        let mut meeting = Self::new(config);
        meeting.listen();
        meeting.connect();
        meeting.until_up();
        meeting
    }

    pub(crate) fn listen(&mut self) {
        self.peer.tell("listen");
        self.peer.wait_for("listening");
    }

    pub(crate) fn connect(&mut self) {
        self.association.connect(Instant::now());
    }

    pub(crate) fn until_up(&mut self) {
        self.until("set up", |meeting| {
            meeting.events.contains(&Event::Established) && meeting.peer.said("up").is_some()
        });
    }

    /// Ours is another one now, which knows nothing of that before.
    pub(crate) fn begin_ours_anew(&mut self) {
        self.run += 1;
        self.association = Association::new(&self.config, Seed::from_run(self.run), Instant::now());
        self.forget();
    }

    /// The foreign program is ended without a word, and another one runs at the same address.
    pub(crate) fn begin_theirs_anew(&mut self) {
        let port = self.peer.port;
        // Before, so that the port is free.
        self.peer.end();
        self.peer = Program::start(&self.socket, port);
        self.forget();
    }

    fn forget(&mut self) {
        self.events.clear();
        self.inbox.0.clear();
        self.peer.seen.clear();
        self.peer.letters.clear();
    }

    pub(crate) fn send(&mut self, plan: &Plan) {
        self.association.send(Instant::now(), plan.message()).unwrap();
    }

    /// Each sends its messages, until all have come.
    pub(crate) fn exchange(&mut self, ours: &[Plan], theirs: &[Plan]) {
        for plan in ours {
            self.send(plan);
        }
        for plan in theirs {
            self.peer.send(plan);
        }
        self.until_come(ours, theirs);
    }

    pub(crate) fn until_come(&mut self, ours: &[Plan], theirs: &[Plan]) {
        self.until("messages", |meeting| {
            meeting.peer.letters.len() >= ours.len() && meeting.inbox.0.len() >= theirs.len()
        });
        super::plan::check("to usrsctp", ours, &std::mem::take(&mut self.peer.letters));
        super::plan::check("from usrsctp", theirs, &std::mem::take(&mut self.inbox.0));
        self.check_counters();
    }

    /// Nothing of the peer's was unknown to us, or wrong.
    pub(crate) fn check_counters(&self) {
        let counters = self.association.counters();
        let wrong = [
            counters.sctp_malformed,
            counters.sctp_bad_checksum,
            counters.sctp_wrong_ports,
            counters.sctp_unrecognized_chunks,
            counters.sctp_bad_inits,
            counters.sctp_forged_cookies,
            counters.sctp_invalid_streams,
        ];
        assert_eq!(wrong, [0; 7], "{counters:?}");
    }

    pub(crate) fn passed(&self, way: Way, kind: ChunkType) -> usize {
        self.chunks.get(&(way, kind)).copied().unwrap_or_default()
    }

    fn note(&mut self, way: Way, packet: &[u8]) -> bool {
        if (self.loss)(way, packet) {
            return false;
        }
        for chunk in Packet::parse(packet).unwrap().chunks() {
            *self.chunks.entry((way, chunk.unwrap().chunk_type())).or_default() += 1;
        }
        true
    }

    /// Until something stands in our socket, which is not read.
    pub(crate) fn wait_for_packet(&self) {
        self.socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        self.socket.peek_from(&mut [0; 1]).unwrap();
    }

    /// One turn of an event loop; waits for a datagram at most 10 ms.
    fn turn(&mut self) {
        let mut buffer = [0; 65_536];
        while let Some(len) = self.association.poll_transmit(Instant::now(), &mut buffer) {
            if self.note(Way::Out, &buffer[..len]) {
                // Nobody may be there, between two programs.
                let _ = self.socket.send_to(&buffer[..len], self.address);
            }
        }
        let until = self
            .association
            .poll_timeout()
            .map(|at| at.saturating_duration_since(Instant::now()));
        let wait = until
            .unwrap_or(Duration::MAX)
            .clamp(Duration::from_micros(100), Duration::from_millis(10));
        self.socket.set_read_timeout(Some(wait)).unwrap();
        if let Ok((len, _)) = self.socket.recv_from(&mut buffer)
            && self.note(Way::In, &buffer[..len])
        {
            self.association
                .handle_packet(Instant::now(), &buffer[..len], &mut self.inbox);
        }
        self.association.handle_timeout(Instant::now());
        self.events.extend(std::iter::from_fn(|| self.association.poll_event()));
        self.peer.look();
    }

    /// Turns until `done`; fails after a minute.
    pub(crate) fn until(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let start = Instant::now();
        while !done(self) {
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "{what}: {:?}, {} came, {} came there, {:?} {:?} {:?} {:#?}",
                self.events,
                self.inbox.0.len(),
                self.peer.letters.len(),
                self.chunks,
                self.association.stats(),
                self.association.counters(),
                self.peer.seen,
            );
            self.turn();
        }
    }

    /// Turns for a while, in which all that has come is acknowledged.
    pub(crate) fn rest(&mut self) {
        let end = Instant::now() + Duration::from_millis(200);
        while Instant::now() < end {
            self.turn();
        }
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

/// Loses what has user data of a stream.
pub(crate) fn data_of(way: Way, stream: u16) -> Loss {
    Box::new(move |its_way, packet| {
        let chunks = Packet::parse(packet).unwrap().chunks();
        let mut chunks = chunks.filter_map(|chunk| Chunk::of(chunk.ok()?).ok());
        its_way == way && chunks.any(|chunk| matches!(chunk, Chunk::Data(data) if data.header.stream == stream))
    })
}
