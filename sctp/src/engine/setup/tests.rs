use std::time::{Duration, Instant};
use std::vec::Vec;

use super::output::{ALONE_LEN, error};
use super::*;
use crate::chunk::{Abort, Chunk};
use crate::packet::Packet;
use crate::writer::PacketWriter;
use crate::{DataFlags, DataHeader, Init, Parameter, Parameters, Ppid};

mod admission;
mod cookies;
mod handshake;
mod inits;
mod restart;
mod shutdown;

const MS: Duration = Duration::from_millis(1);

/// An association that has nothing but a set-up.
struct End {
    setup: Setup,
    counters: Counters,
    /// All that was not [`Step::Continue`] or [`Step::Stop`], and what timers led to.
    steps: Vec<Step>,
    /// DATA chunks that counted.
    data: u32,
    /// Whether data of ours waits for its acknowledgement.
    busy: bool,
}

impl End {
    fn new(run: u64, now: Instant) -> Self {
        Self::with(&Config::default(), run, now)
    }

    fn with(config: &Config, run: u64, now: Instant) -> Self {
        Self {
            setup: Setup::new(config, Seed::from_run(run), now),
            counters: Counters::default(),
            steps: Vec::new(),
            data: 0,
            busy: false,
        }
    }

    /// Handles a packet and gives the last step.
    fn receive(&mut self, now: Instant, bytes: &[u8]) -> Option<Step> {
        let packet = Packet::parse(bytes).unwrap();
        assert!(packet.checksum_holds(Checksum::Zero), "{packet}");
        if !self.setup.admit(&packet, &mut self.counters) {
            return None;
        }
        let mut last = Step::Continue;
        for raw in packet.chunks() {
            let chunk = Chunk::of(raw.unwrap()).unwrap();
            if matches!(chunk, Chunk::Data(_)) && self.setup.takes_data() {
                self.data += 1;
                self.setup.data_received(now);
            }
            last = self.setup.handle(now, &chunk, &mut self.counters);
            match last {
                Step::Continue => {}
                Step::Stop => break,
                _ => self.steps.push(last.clone()),
            }
            if matches!(last, Step::Closed(_)) {
                break;
            }
        }
        self.idle(now);
        Some(last)
    }

    /// What the association does when nothing is outstanding.
    fn idle(&mut self, now: Instant) {
        if !self.busy {
            self.setup.data_all_acked(now, 300 * MS);
        }
    }

    fn shutdown(&mut self, now: Instant) {
        let reason = self.setup.shutdown();
        self.steps.extend(reason.map(Step::Closed));
        self.idle(now);
    }

    fn timeout(&mut self, now: Instant) {
        let reason = self.setup.handle_timeout(now, &mut self.counters);
        self.steps.extend(reason.map(Step::Closed));
    }

    /// All packets that wait.
    fn transmit(&mut self) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        let mut out = [0; 1200];
        while let Some(len) = self.setup.poll_alone(&mut out) {
            packets.push(out[..len].to_vec());
        }
        if self.setup.wants_push() {
            let header = self.setup.header().unwrap();
            let mut w = PacketWriter::new(&mut out, 1160, &header).unwrap();
            self.setup.push(&mut w, 77);
            assert!(!w.is_empty());
            packets.push(w.finish(self.setup.checksum()).to_vec());
        }
        assert!(!self.setup.wants_push());
        packets
    }

    /// The one packet that waits.
    fn one(&mut self) -> Vec<u8> {
        let mut packets = self.transmit();
        assert_eq!(
            packets.len(),
            1,
            "{:?}",
            packets.iter().map(|p| show(p)).collect::<Vec<_>>()
        );
        packets.remove(0)
    }

    fn tag(&self) -> u32 {
        self.setup.local.tag
    }

    fn peer_tag(&self) -> u32 {
        self.setup.peer().unwrap().tag
    }

    fn state(&self) -> State {
        self.setup.state()
    }

    fn times_up(&self) -> usize {
        self.steps.iter().filter(|step| **step == Step::Established).count()
    }

    fn reason(&self) -> Option<&CloseReason> {
        match self.steps.last() {
            Some(Step::Closed(reason)) => Some(reason),
            _ => None,
        }
    }
}

/// A packet between the default ports.
fn packet(tag: u32, chunks: &[Chunk<'_>]) -> Vec<u8> {
    let header = CommonHeader {
        source_port: 5000,
        destination_port: 5000,
        verification_tag: tag,
    };
    let mut out = [0; 4000];
    let mut w = PacketWriter::new(&mut out, 4000, &header).unwrap();
    for chunk in chunks {
        w.push(chunk).unwrap();
    }
    w.finish(Checksum::Crc32c).to_vec()
}

fn show(bytes: &[u8]) -> String {
    Packet::parse(bytes).unwrap().to_string()
}

fn tag_of(bytes: &[u8]) -> u32 {
    Packet::parse(bytes).unwrap().header().verification_tag
}

/// The chunks of a packet, whose checksum may be zero.
fn parsed(bytes: &[u8]) -> Vec<Chunk<'_>> {
    let packet = Packet::parse(bytes).unwrap();
    packet.chunks().map(|raw| Chunk::of(raw.unwrap()).unwrap()).collect()
}

/// The chunks of a packet whose CRC32c is right.
fn chunks(bytes: &[u8]) -> Vec<Chunk<'_>> {
    let packet = Packet::parse(bytes).unwrap();
    assert!(packet.checksum_holds(Checksum::Crc32c));
    parsed(bytes)
}

fn data() -> Chunk<'static> {
    Chunk::Data(crate::Data {
        header: DataHeader {
            flags: DataFlags::WHOLE,
            tsn: 1,
            stream: 0,
            ssn: 0,
            ppid: Ppid::STRING,
        },
        payload: b"hello",
    })
}

/// An INIT of somebody without extensions.
fn plain_init(tag: u32) -> Init<'static> {
    Init {
        initiate_tag: tag,
        a_rwnd: 100_000,
        outbound_streams: 10,
        inbound_streams: 20,
        initial_tsn: 1000,
        parameters: Parameters::default(),
    }
}

fn cookie_of(init_ack: &[u8]) -> Vec<u8> {
    let [Chunk::InitAck(init)] = chunks(init_ack)[..] else {
        panic!("{}", show(init_ack))
    };
    init.parameters
        .iter()
        .find_map(|parameter| match parameter {
            Ok(Parameter::StateCookie(cookie)) => Some(cookie.to_vec()),
            _ => None,
        })
        .unwrap()
}

/// Two that are up, the first having connected.
fn pair(now: Instant) -> (End, End) {
    pair_with(&Config::default(), now)
}

fn pair_with(config: &Config, now: Instant) -> (End, End) {
    let (mut a, mut b) = (End::with(config, 1, now), End::with(config, 2, now));
    a.setup.connect(now);
    settle(&mut a, &mut b, now);
    assert_eq!((a.state(), b.state()), (State::Established, State::Established));
    (a, b)
}

/// Delivers all that waits, until nothing does.
fn settle(a: &mut End, b: &mut End, now: Instant) {
    loop {
        let (from_a, from_b) = (a.transmit(), b.transmit());
        if from_a.is_empty() && from_b.is_empty() {
            return;
        }
        for bytes in from_a {
            b.receive(now, &bytes);
        }
        for bytes in from_b {
            a.receive(now, &bytes);
        }
    }
}

/// Delivers what waits, but for those packets of which `lost` says so by their number; then lets time pass, until `done`.
fn run(
    a: &mut End,
    b: &mut End,
    mut now: Instant,
    mut lost: impl FnMut(u32) -> bool,
    done: impl Fn(&End, &End) -> bool,
) {
    let mut number = 0;
    for _ in 0..1000 {
        let (from_a, from_b) = (a.transmit(), b.transmit());
        for (bytes, from_first) in from_a
            .iter()
            .map(|p| (p, true))
            .chain(from_b.iter().map(|p| (p, false)))
        {
            if !lost(number) {
                let to = if from_first { &mut *b } else { &mut *a };
                to.receive(now, bytes);
            }
            number += 1;
        }
        if !from_a.is_empty() || !from_b.is_empty() {
            continue;
        }
        if done(a, b) {
            return;
        }
        let next = a.setup.poll_timeout().into_iter().chain(b.setup.poll_timeout()).min();
        now = now.max(next.expect("something is under way"));
        a.timeout(now);
        b.timeout(now);
    }
    panic!("no end: {:?} {:?}", a.state(), b.state());
}

fn both_up(a: &End, b: &End) -> bool {
    a.state() == State::Established && b.state() == State::Established
}

/// Each knows the other as it is.
fn assert_agree(a: &End, b: &End) {
    for (this, other) in [(a, b), (b, a)] {
        assert_eq!(this.peer_tag(), other.tag());
        assert_eq!(this.setup.peer().unwrap().initial_tsn, other.setup.local_initial_tsn());
    }
}
