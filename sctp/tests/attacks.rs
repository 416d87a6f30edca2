//! A peer that follows no rule: memory stays bounded, what happened has a name, and whoever did not attack is served.

use std::alloc::System;
use std::cell::Cell;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use sctp::dcep::Reliability;
use sctp::{
    Association, CauseCode, Checksum, Chunk, ChunkType, CloseReason, CommonHeader, Config, DataFlags, DataHeader,
    Event, ForwardTsn, GapAckBlock, IData, IDataHeader, IForwardTsn, IncomingSsnReset, Init, List, Message,
    OutgoingSsnReset, Packet, PacketWriter, Parameter, Parameters, Ppid, ReConfig, Sack, SendError, Sink,
    SkippedMessage, SkippedStream, State,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use wire::{Seed, Writer};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What is allocated is counted for one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

thread_local! {
    /// Whether this test is that one.
    static IS_ALONE: Cell<bool> = const { Cell::new(false) };
}

/// Bytes that are in use more than in the beginning.
struct Memory {
    region: Region<'static, System>,
    most: isize,
    alone: Option<MutexGuard<'static, ()>>,
}

impl Drop for Memory {
    fn drop(&mut self) {
        if self.alone.is_some() {
            IS_ALONE.set(false);
        }
    }
}

impl Memory {
    fn new() -> Self {
        let is_alone = IS_ALONE.replace(true);
        let alone = (!is_alone).then(|| ALONE.lock().unwrap_or_else(PoisonError::into_inner));
        Self {
            region: Region::new(ALLOCATOR),
            most: 0,
            alone,
        }
    }

    fn look(&mut self) {
        let change = self.region.change();
        let used = change.bytes_allocated as isize - change.bytes_deallocated as isize;
        self.most = self.most.max(used);
    }

    fn assert_below(&mut self, bytes: usize) {
        self.look();
        assert!(self.most < bytes as isize, "{} bytes", self.most);
    }
}

/// Counts, and keeps nothing.
#[derive(Default)]
struct Count {
    messages: usize,
    bytes: usize,
}

impl Sink for Count {
    fn message(&mut self, _: u16, _: Ppid, _: bool, payload: &[u8]) {
        self.messages += 1;
        self.bytes += payload.len();
    }

    fn part(&mut self, _: u16, _: Ppid, _: bool, payload: &[u8], _: bool, _: bool) {
        self.bytes += payload.len();
    }

    fn cut(&mut self, _: u16, _: bool) {}
}

const OUR_TAG: u32 = 0x0bad_cafe;
/// The first TSN of the attacker.
const FIRST: u32 = 1000;

/// An association whose peer the test is.
struct Victim {
    now: Instant,
    association: Association,
    sink: Count,
    memory: Memory,
    /// Its tag, and its first TSN.
    tag: u32,
    first: u32,
    received: u64,
    sent: u64,
    /// How many TSNs it has used.
    next: u32,
}

impl Victim {
    fn new(config: &Config) -> Self {
        Self::facing(
            config,
            &[
                Parameter::ForwardTsnSupported,
                Parameter::SupportedExtensions(List::new(&[ChunkType::RE_CONFIG, ChunkType::FORWARD_TSN])),
            ],
        )
    }

    fn interleaving(config: &Config) -> Self {
        let types = [
            ChunkType::RE_CONFIG,
            ChunkType::FORWARD_TSN,
            ChunkType::I_DATA,
            ChunkType::I_FORWARD_TSN,
        ];
        Self::facing(config, &[Parameter::SupportedExtensions(List::new(&types))])
    }

    fn facing(config: &Config, parameters: &[Parameter<'_>]) -> Self {
        let memory = Memory::new();
        let now = Instant::now();
        let mut association = Association::new(config, Seed::from_run(1), now);
        let mut init = [0; 200];
        let len = association.local_init(&mut init).unwrap();
        let (tag, first) = {
            let init = Init::parse(&init[..len]).unwrap();
            (init.initiate_tag, init.initial_tsn)
        };
        let ours = Init {
            initiate_tag: OUR_TAG,
            a_rwnd: 1 << 20,
            outbound_streams: u16::MAX,
            inbound_streams: u16::MAX,
            initial_tsn: FIRST,
            parameters: Parameters::new(parameters),
        };
        let mut bytes = [0; 200];
        let mut w = Writer::new(&mut bytes);
        ours.write(&mut w).unwrap();
        association.connect_with(now, w.written()).unwrap();
        assert_eq!(association.poll_event(), Some(Event::Established));
        Self {
            now,
            association,
            sink: Count::default(),
            memory,
            tag,
            first,
            received: 0,
            sent: 0,
            next: 0,
        }
    }

    /// Gives it a packet, and takes what it answers.
    fn hit(&mut self, chunks: &[Chunk<'_>]) -> Vec<Vec<u8>> {
        self.hit_with(self.tag, chunks)
    }

    fn hit_with(&mut self, tag: u32, chunks: &[Chunk<'_>]) -> Vec<Vec<u8>> {
        let mut out = vec![0; 65_536];
        let mut w = PacketWriter::new(&mut out, 65_536, &header(tag)).unwrap();
        for chunk in chunks {
            w.push(chunk).unwrap();
        }
        let packet = w.finish(Checksum::Crc32c).to_vec();
        self.take(&packet)
    }

    fn take(&mut self, packet: &[u8]) -> Vec<Vec<u8>> {
        self.received += packet.len() as u64;
        self.association.handle_packet(self.now, packet, &mut self.sink);
        self.answers()
    }

    fn answers(&mut self) -> Vec<Vec<u8>> {
        let mut out = [0; 2000];
        let mut answers = Vec::new();
        while let Some(len) = self.association.poll_transmit(self.now, &mut out) {
            self.sent += len as u64;
            self.note(&out[..len]);
            answers.push(out[..len].to_vec());
            assert!(answers.len() < 10_000, "it never ends");
        }
        self.memory.look();
        answers
    }

    fn note(&mut self, packet: &[u8]) {
        for raw in Packet::parse(packet).unwrap().chunks() {
            let tsn = match Chunk::of(raw.unwrap()).unwrap() {
                Chunk::Data(data) => data.header.tsn,
                Chunk::IData(data) => data.header.tsn,
                _ => continue,
            };
            self.next = self.next.max(tsn.wrapping_sub(self.first).wrapping_add(1));
        }
    }

    /// Lets its timers run for so long; what it sends.
    fn idle(&mut self, time: Duration) -> Vec<Vec<u8>> {
        let end = self.now + time;
        let mut sent = self.answers();
        while let Some(at) = self.association.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.association.handle_timeout(self.now);
            sent.extend(self.answers());
            assert!(sent.len() < 100_000, "it never ends");
        }
        self.now = end;
        sent
    }

    fn closed(&mut self) -> Option<CloseReason> {
        while let Some(event) = self.association.poll_event() {
            if let Event::Closed(reason) = event {
                assert_eq!(self.association.state(), State::Ended);
                return Some(reason);
            }
        }
        None
    }

    fn is_up(&mut self) -> bool {
        self.closed().is_none() && self.association.state() == State::Established
    }

    fn send(&mut self, payload: &Bytes) -> Result<(), SendError> {
        let message = Message {
            stream: 1,
            ppid: Ppid::BINARY,
            unordered: false,
            reliability: Reliability::Reliable,
            payload: payload.clone(),
        };
        self.association.send(self.now, message)
    }

    fn sack<'a>(&self, cumulative: u32, blocks: &'a [GapAckBlock]) -> Chunk<'a> {
        Chunk::Sack(Sack {
            cumulative_tsn_ack: self.first.wrapping_add(cumulative).wrapping_sub(1),
            a_rwnd: 1 << 20,
            gap_ack_blocks: List::new(blocks),
            ..Sack::default()
        })
    }
}

fn header(tag: u32) -> CommonHeader {
    CommonHeader {
        source_port: 5000,
        destination_port: 5000,
        verification_tag: tag,
    }
}

/// A DATA chunk, `place` behind the first.
fn data(place: u32, stream: u16, ssn: u16, flags: DataFlags, payload: &[u8]) -> Chunk<'_> {
    Chunk::Data(sctp::Data {
        header: DataHeader {
            flags,
            tsn: FIRST.wrapping_add(place),
            stream,
            ssn,
            ppid: Ppid::BINARY,
        },
        payload,
    })
}

const BEGINNING: DataFlags = DataFlags {
    beginning: true,
    ending: false,
    ..DataFlags::WHOLE
};
const MIDDLE: DataFlags = DataFlags {
    beginning: false,
    ending: false,
    ..DataFlags::WHOLE
};

const UNORDERED: DataFlags = DataFlags {
    unordered: true,
    ..DataFlags::WHOLE
};

fn types(packets: &[Vec<u8>]) -> Vec<ChunkType> {
    let packets = packets.iter().map(|packet| Packet::parse(packet).unwrap());
    packets
        .flat_map(|packet| packet.chunks().map(|raw| raw.unwrap().chunk_type()).collect::<Vec<_>>())
        .collect()
}

/// The cause codes of ERROR and ABORT in these packets.
fn causes(packets: &[Vec<u8>]) -> Vec<CauseCode> {
    let mut codes = Vec::new();
    for packet in packets {
        for raw in Packet::parse(packet).unwrap().chunks() {
            let causes = match Chunk::of(raw.unwrap()).unwrap() {
                Chunk::Error(causes) => causes,
                Chunk::Abort(abort) => abort.causes,
                _ => continue,
            };
            codes.extend(causes.iter().map(|cause| cause.unwrap().code()));
        }
    }
    codes
}

/// The cumulative TSN ack of the last SACK, as distance from the first TSN of ours.
fn acked(packets: &[Vec<u8>]) -> Option<u32> {
    let mut last = None;
    for packet in packets {
        for raw in Packet::parse(packet).unwrap().chunks() {
            if let Chunk::Sack(sack) = Chunk::of(raw.unwrap()).unwrap() {
                last = Some(sack.cumulative_tsn_ack.wrapping_sub(FIRST).wrapping_add(1));
            }
        }
    }
    last
}

// SACK

/// RFC 9260 §6.2.1: who acknowledges what was not sent would be sent to without end (optimistic acknowledgements).
#[test]
fn an_optimistic_acknowledgement_ends_it() {
    let rule = CloseReason::ProtocolViolation("a SACK acknowledges nothing that was not sent");
    let block = [GapAckBlock { start: 500, end: 500 }];
    for (cumulative, blocks) in [(1000, &[][..]), (0, &block), (0x4000_0000, &[])] {
        let mut victim = Victim::new(&Config::default());
        victim.send(&Bytes::from(vec![0; 100_000])).unwrap();
        assert!(!victim.answers().is_empty());
        let answers = victim.hit(&[victim.sack(cumulative, blocks)]);
        assert_eq!(victim.closed(), Some(rule.clone()));
        assert_eq!(causes(&answers), [CauseCode::PROTOCOL_VIOLATION]);
        assert_eq!(victim.idle(Duration::from_secs(100)).len(), 0);
    }
    // A SHUTDOWN may say what it likes: some peers put a TSN of their own there. It acknowledges nothing.
    let mut victim = Victim::new(&Config::default());
    victim.send(&Bytes::from(vec![0; 100_000])).unwrap();
    victim.answers();
    let (cumulative_tsn_ack, held) = (victim.first.wrapping_add(500), victim.association.stats().held);
    victim.hit(&[Chunk::Shutdown { cumulative_tsn_ack }]);
    assert_eq!(victim.association.state(), State::ShutdownReceived);
    assert_eq!(victim.association.counters().sctp_bad_shutdowns, 1);
    assert_eq!(victim.association.stats().held, held);
}

/// With a window of some hundred packets, all of which are under way.
fn with_large_window() -> Victim {
    let mut victim = Victim::new(&Config::default());
    let payload = Bytes::from(vec![0; 1000]);
    while victim.association.stats().in_flight < 600_000 {
        victim.hit(&[victim.sack(victim.next, &[])]);
        while victim.send(&payload).is_ok() {}
        victim.idle(Duration::from_millis(40));
    }
    victim
}

#[test]
fn a_flood_of_gap_blocks_is_borne() {
    let mut victim = with_large_window();
    let in_flight = (victim.association.stats().in_flight / 1016) as u16;
    let base = victim.next - u32::from(in_flight);
    // Every other one, from both ends, and what is no block at all.
    let odd: Vec<_> = (1..in_flight / 2 - 1)
        .map(|n| GapAckBlock {
            start: 2 * n,
            end: 2 * n,
        })
        .collect();
    let back: Vec<_> = odd.iter().rev().copied().collect();
    let none: Vec<_> = (1..280).map(|n| GapAckBlock { start: n % 7, end: 0 }).collect();
    victim.memory.look();
    let before = victim.memory.most;
    let held = victim.association.stats().held;
    for n in 0..20_000 {
        let blocks = [&odd[..], &back, &none, &odd[odd.len() / 2..]][n % 4];
        // The oldest one is never acknowledged.
        victim.hit(&[victim.sack(base, blocks)]);
    }
    assert!(victim.is_up());
    assert_eq!(victim.association.stats().held, held);
    assert!(victim.memory.most - before < 1 << 20, "{} {before}", victim.memory.most);
    // What was lost is sent again, and not for each SACK.
    let counters = victim.association.counters();
    assert!(
        counters.sctp_retransmissions <= 2 * u64::from(in_flight),
        "{counters:?}"
    );
}

/// A peer that acknowledges nothing at all.
#[test]
fn silence_ends_it() {
    let mut victim = Victim::new(&Config::default());
    let payload = Bytes::from(vec![0; 1000]);
    while victim.send(&payload).is_ok() {}
    victim.idle(Duration::from_secs(120));
    assert_eq!(victim.closed(), Some(CloseReason::Unreachable));
    assert!(victim.sent < 1 << 20, "{}", victim.sent);
    victim.memory.assert_below(24 << 20);
}

/// [`Config::closed_window_limit`], and [`Config::send_buffer`] until then. Neither does it help to open the window now and then,
/// if nothing is taken.
#[test]
fn a_window_that_stays_closed_ends_it() {
    for opens in [false, true] {
        let mut victim = Victim::new(&Config::default());
        let payload = Bytes::from(vec![0; 100]);
        let mut seconds = 0;
        let reason = loop {
            while victim.send(&payload).is_ok() {}
            let chunk = Chunk::Sack(Sack {
                cumulative_tsn_ack: victim.first.wrapping_sub(1),
                a_rwnd: u32::from(opens && seconds % 2 == 0),
                ..Sack::default()
            });
            victim.hit(&[chunk]);
            victim.idle(Duration::from_secs(1));
            seconds += 1;
            if let Some(reason) = victim.closed() {
                break reason;
            }
            assert!(seconds < 400);
        };
        assert_eq!(reason, CloseReason::Stalled, "{opens}");
        assert!((290..310).contains(&seconds), "{seconds}");
        // Payload, what it takes to hold it, and room for vectors to grow.
        victim.memory.assert_below(56 << 20);
        assert!(victim.sent < 4 << 20, "{}", victim.sent);
    }
}

// TSNs

#[test]
fn jumps_of_the_tsn_are_dropped() {
    let mut victim = Victim::new(&Config::default());
    for place in (70_000..4_000_000_000_u32).step_by(1_000_003) {
        victim.hit(&[data(place, 1, 0, DataFlags::WHOLE, b"x")]);
    }
    let counters = victim.association.counters();
    let count = (70_000..4_000_000_000_u32).step_by(1_000_003).len() as u64;
    assert_eq!(counters.sctp_data_too_far + counters.sctp_duplicate_data, count);
    assert_eq!(victim.sink.messages, 0);
    victim.memory.assert_below(1 << 20);
    // The one that is due comes all the same.
    victim.hit(&[data(0, 1, 0, DataFlags::WHOLE, b"x")]);
    let answers = victim.idle(Duration::from_millis(30));
    assert_eq!((victim.sink.messages, acked(&answers)), (1, Some(1)));
    assert!(victim.is_up());
}

#[test]
fn gaps_are_remembered_within_a_limit() {
    let mut victim = Victim::new(&Config::default());
    for place in (2..60_000).step_by(2) {
        victim.hit(&[data(
            place,
            1,
            0,
            DataFlags {
                unordered: true,
                ..DataFlags::WHOLE
            },
            b"x",
        )]);
    }
    // As many gaps as are remembered; what was dropped is not acknowledged.
    assert_eq!(victim.sink.messages, 2048);
    assert_eq!(victim.association.counters().sctp_data_too_far, 29_999 - 2048);
    victim.memory.assert_below(1 << 20);
    assert!(
        victim.sent < 2 * victim.received * 30,
        "{} {}",
        victim.sent,
        victim.received
    );
    assert!(victim.is_up());
}

/// Fragments of one byte that can never be put together.
#[test]
fn crumbs_fill_the_window_and_no_more() {
    let config = Config {
        receive_window: 1 << 20,
        ..Config::default()
    };
    let mut victim = Victim::new(&config);
    let mut out = vec![0; 65_536];
    for place in (1..60_000).step_by(50) {
        let mut w = PacketWriter::new(&mut out, 1200, &header(victim.tag)).unwrap();
        for place in place..place + 50 {
            w.push(&data(place, 1, 0, MIDDLE, b"x")).unwrap();
        }
        let packet = w.finish(Checksum::Crc32c).to_vec();
        victim.take(&packet);
    }
    let counters = victim.association.counters();
    // Each counts 65.
    assert_eq!(counters.sctp_data_without_room, 60_000 - (1 << 20) / 65);
    victim.memory.assert_below(4 << 20);
    assert!(victim.is_up());
    // What has no room is not acknowledged.
    let answers = victim.hit(&[data(60_001, 1, 0, MIDDLE, b"x")]);
    assert_eq!(acked(&answers), Some(0));
}

/// The same in sequence, where each may be the one that all wait for: messages without ends, on all streams.
#[test]
fn messages_without_ends_end_it() {
    let config = Config {
        receive_window: 1 << 20,
        max_receive_message: 1 << 19,
        ..Config::default()
    };
    let mut victim = Victim::interleaving(&config);
    let mut reason = None;
    for place in 0..100_000 {
        let chunk = Chunk::IData(IData {
            header: IDataHeader {
                flags: BEGINNING,
                tsn: FIRST.wrapping_add(place),
                stream: (place % 60_000) as u16,
                mid: place / 60_000,
                ppid_or_fsn: 53,
            },
            payload: b"x",
        });
        victim.hit(&[chunk]);
        reason = victim.closed();
        if reason.is_some() {
            break;
        }
    }
    assert_eq!(reason, Some(CloseReason::TooMuch("messages that are not whole")));
    victim.memory.assert_below(12 << 20);
}

#[test]
fn a_message_that_is_too_long_ends_it() {
    let config = Config {
        max_receive_message: 100_000,
        ..Config::default()
    };
    let mut victim = Victim::new(&config);
    let mut place = 0;
    let reason = loop {
        let flags = if place == 0 { BEGINNING } else { MIDDLE };
        victim.hit(&[data(place, 1, 0, flags, &[0; 1000])]);
        place += 1;
        if let Some(reason) = victim.closed() {
            break reason;
        }
    };
    assert_eq!((place, reason), (101, CloseReason::TooMuch("the length of a message")));
    victim.memory.assert_below(1 << 20);
}

// Streams

#[test]
fn streams_are_remembered_within_a_limit() {
    let config = Config {
        max_receive_streams: 100,
        ..Config::default()
    };
    let mut victim = Victim::new(&config);
    for stream in 0..100 {
        victim.hit(&[data(stream.into(), stream, 0, DataFlags::WHOLE, b"x")]);
    }
    assert!(victim.is_up());
    let answers = victim.hit(&[data(100, 100, 0, DataFlags::WHOLE, b"x")]);
    assert_eq!(victim.closed(), Some(CloseReason::TooMuch("streams with messages")));
    assert_eq!(causes(&answers), [CauseCode::OUT_OF_RESOURCE]);
    drop(victim);
    // With the default all of them may be used.
    let mut victim = Victim::new(&Config::default());
    for stream in 0..u16::MAX {
        victim.hit(&[data(stream.into(), stream, 0, DataFlags::WHOLE, b"x")]);
    }
    assert_eq!(victim.sink.messages, 65_535);
    victim.memory.assert_below(8 << 20);
}

/// RFC 9260 §6.5: such data is acknowledged, and answered by ERROR.
#[test]
fn streams_that_do_not_exist_are_named() {
    let config = Config {
        inbound_streams: 10,
        ..Config::default()
    };
    let mut victim = Victim::new(&config);
    let answers = victim.hit(&[
        data(0, 10, 0, DataFlags::WHOLE, b"x"),
        data(1, 9, 0, DataFlags::WHOLE, b"y"),
    ]);
    assert_eq!(causes(&answers), [CauseCode::INVALID_STREAM_IDENTIFIER]);
    assert_eq!((acked(&answers), victim.sink.messages), (Some(2), 1));
    for place in 2..10_000 {
        victim.hit(&[data(place, 60_000, 0, DataFlags::WHOLE, b"x")]);
    }
    assert_eq!(victim.association.counters().sctp_invalid_streams, 9999);
    assert!(victim.is_up());
    victim.memory.assert_below(1 << 20);
    assert!(
        victim.sent <= 3 * victim.received,
        "{} {}",
        victim.sent,
        victim.received
    );
}

// RE-CONFIG

#[test]
fn a_flood_of_requests_is_answered_and_forgotten() {
    let mut victim = Victim::new(&Config::default());
    let streams: Vec<u16> = (0..500).collect();
    let mut request = FIRST;
    for n in 0..30_000_u32 {
        let number = if n % 3 == 0 {
            n.wrapping_mul(2_654_435_761)
        } else {
            request
        };
        request = request.wrapping_add(u32::from(n % 3 != 0));
        let parameter = match n % 5 {
            0 | 1 => Parameter::OutgoingSsnReset(OutgoingSsnReset {
                request: number,
                response: 0,
                last_tsn: FIRST.wrapping_sub(1),
                streams: List::new(&streams),
            }),
            2 => Parameter::IncomingSsnReset(IncomingSsnReset {
                request: number,
                streams: List::new(&streams),
            }),
            3 => Parameter::SsnTsnReset(number),
            _ => Parameter::AddOutgoingStreams(sctp::AddStreams {
                request: number,
                streams: 1000,
            }),
        };
        let parameters = [parameter];
        victim.hit(&[Chunk::ReConfig(ReConfig {
            parameters: Parameters::new(&parameters),
        })]);
        assert!(victim.is_up());
    }
    assert!(victim.association.counters().sctp_refused_reconfigs >= 10_000);
    victim.memory.assert_below(1 << 20);
    assert!(victim.sent <= 2 * victim.received);
    assert_eq!(victim.idle(Duration::from_secs(1)).len(), 0);
}

// Set-up

#[test]
fn a_flood_of_inits_disturbs_nobody() {
    let mut victim = Victim::new(&Config::default());
    for tag in 1..50_000_u32 {
        let init = Chunk::Init(Init {
            initiate_tag: tag,
            a_rwnd: 1 << 20,
            outbound_streams: 10,
            inbound_streams: 10,
            initial_tsn: tag,
            parameters: Parameters::default(),
        });
        let answers = victim.hit_with(0, &[init]);
        assert_eq!(types(&answers), [ChunkType::INIT_ACK]);
    }
    victim.memory.assert_below(1 << 20);
    let answers = victim.hit(&[data(0, 1, 0, DataFlags::WHOLE, b"x")]);
    assert_eq!((victim.sink.messages, acked(&answers)), (1, Some(1)));
    assert!(victim.is_up());
}

/// Of a server that waits: what an INIT led to, by its answer.
fn cookie(victim: &mut Association, now: Instant, tag: u32) -> (u32, Vec<u8>) {
    let mut out = [0; 2000];
    let mut w = PacketWriter::new(&mut out, 1200, &header(0)).unwrap();
    let init = Init {
        initiate_tag: tag,
        a_rwnd: 1 << 20,
        outbound_streams: 10,
        inbound_streams: 10,
        initial_tsn: FIRST,
        parameters: Parameters::default(),
    };
    w.push(&Chunk::Init(init)).unwrap();
    let packet = w.finish(Checksum::Crc32c).to_vec();
    victim.handle_packet(now, &packet, &mut Count::default());
    let len = victim.poll_transmit(now, &mut out).unwrap();
    let packet = Packet::parse(&out[..len]).unwrap();
    let Chunk::InitAck(ack) = Chunk::of(packet.chunks().next().unwrap().unwrap()).unwrap() else {
        panic!("{packet}")
    };
    let cookie = ack.parameters.iter().flatten().find_map(|parameter| match parameter {
        Parameter::StateCookie(cookie) => Some(cookie.to_vec()),
        _ => None,
    });
    (ack.initiate_tag, cookie.unwrap())
}

fn echo(victim: &mut Association, now: Instant, tag: u32, cookie: &[u8]) -> Vec<Vec<u8>> {
    let mut out = [0; 2000];
    let mut w = PacketWriter::new(&mut out, 1200, &header(tag)).unwrap();
    w.push(&Chunk::CookieEcho(cookie)).unwrap();
    w.push(&data(0, 1, 0, DataFlags::WHOLE, b"x")).unwrap();
    let packet = w.finish(Checksum::Crc32c).to_vec();
    let mut sink = Count::default();
    victim.handle_packet(now, &packet, &mut sink);
    assert_eq!(sink.messages == 1, victim.state() == State::Established);
    let mut answers = Vec::new();
    while let Some(len) = victim.poll_transmit(now, &mut out) {
        answers.push(out[..len].to_vec());
    }
    answers
}

/// RFC 9260 §5.1.3, §5.2.6.
#[test]
fn cookies_that_are_forged_or_stale_lead_to_nothing() {
    let mut memory = Memory::new();
    let now = Instant::now();
    let mut victim = Association::new(&Config::default(), Seed::from_run(1), now);
    let (tag, mut good) = cookie(&mut victim, now, OUR_TAG);
    for bit in 0..good.len() * 8 {
        good[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(echo(&mut victim, now, tag, &good).len(), 0);
        good[bit / 8] ^= 1 << (bit % 8);
    }
    for len in 0..good.len() {
        assert_eq!(echo(&mut victim, now, tag, &good[..len]).len(), 0);
    }
    // With a tag that is not that of the cookie.
    assert_eq!(echo(&mut victim, now, tag ^ 1, &good).len(), 0);
    assert_eq!(victim.counters().sctp_forged_cookies, good.len() as u64 * 9 + 1);
    let late = now + Duration::from_secs(61);
    let answers = echo(&mut victim, late, tag, &good);
    assert_eq!(causes(&answers), [CauseCode::STALE_COOKIE]);
    assert_eq!(
        (victim.counters().sctp_stale_cookies, victim.state()),
        (1, State::Closed)
    );
    memory.assert_below(1 << 20);
    // A fresh one is taken.
    let (tag, good) = cookie(&mut victim, late, OUR_TAG);
    let answers = echo(&mut victim, late, tag, &good);
    assert_eq!(types(&answers), [ChunkType::COOKIE_ACK, ChunkType::SACK]);
    assert_eq!(victim.state(), State::Established);
}

// Chunks

/// RFC 9260 §3.2: what the two upper bits of the type say.
#[test]
fn unknown_chunks_are_dealt_with_by_their_upper_bits() {
    for (chunk_type, is_reported, goes_on) in [
        (0x3f, false, false),
        (0x7f, true, false),
        (0xbf, false, true),
        (0xff, true, true),
    ] {
        let mut victim = Victim::new(&Config::default());
        for place in 0..1000 {
            let mut out = [0; 2000];
            let mut w = PacketWriter::new(&mut out, 1200, &header(victim.tag)).unwrap();
            w.push(&Chunk::Pad(900)).unwrap();
            w.push(&data(place, 1, place as u16, DataFlags::WHOLE, b"x")).unwrap();
            let packet = w.finish(Checksum::Zero);
            // PAD is of a known type.
            packet[12] = chunk_type;
            let packet = packet.to_vec();
            let answers = victim.take(&packet);
            let expected: &[_] = if is_reported {
                &[CauseCode::UNRECOGNIZED_CHUNK_TYPE]
            } else {
                &[]
            };
            assert_eq!(causes(&answers), expected, "{chunk_type:#x}");
            assert_eq!(
                victim.sink.messages,
                if goes_on { place as usize + 1 } else { 0 },
                "{chunk_type:#x}"
            );
        }
        assert_eq!(victim.association.counters().sctp_unrecognized_chunks, 1000);
        assert!(victim.is_up());
        victim.memory.assert_below(1 << 20);
        assert!(victim.sent <= victim.received);
    }
}

/// RFC 9260 §6.2.
#[test]
fn data_without_user_data_ends_it() {
    let mut victim = Victim::new(&Config::default());
    let answers = victim.hit(&[data(0, 1, 0, DataFlags::WHOLE, b"")]);
    assert_eq!(
        victim.closed(),
        Some(CloseReason::ProtocolViolation("DATA has user data"))
    );
    assert_eq!(causes(&answers), [CauseCode::NO_USER_DATA]);
}

#[test]
fn the_wrong_kind_of_data_ends_it() {
    let mut victim = Victim::interleaving(&Config::default());
    victim.hit(&[data(0, 1, 0, DataFlags::WHOLE, b"x")]);
    let reason = CloseReason::ProtocolViolation("DATA where I-DATA was agreed on");
    assert_eq!(victim.closed(), Some(reason));
}

#[test]
fn a_flood_of_heartbeats_is_answered_within_limits() {
    let mut victim = Victim::new(&Config::default());
    let info = vec![7; 60_000];
    for len in [0, 1, 300, 400, 401, 1100, 60_000] {
        for _ in 0..100 {
            let chunk = Chunk::Heartbeat(&info[..len]);
            let answers = victim.hit(&[chunk]);
            let count = types(&answers).len();
            assert_eq!(count, usize::from(len <= 400), "{len}");
        }
    }
    let many = vec![Chunk::Heartbeat(&info[..100]); 500];
    let answers = victim.hit(&many);
    assert_eq!(types(&answers), [ChunkType::HEARTBEAT_ACK; 2]);
    assert_eq!(victim.association.counters().sctp_dropped_heartbeats, 300 + 498);
    assert!(victim.sent <= victim.received);
    victim.memory.assert_below(1 << 20);
    assert!(victim.is_up());
}

// FORWARD TSN

/// RFC 3758 §3.6: the sender may skip what it likes of its own. That must cost the receiver nothing.
#[test]
fn jumps_by_forward_tsn_are_followed_at_no_cost() {
    let mut victim = Victim::new(&Config::default());
    let mut place = 0_u32;
    for n in 0..10_000_u32 {
        // Some gaps and pieces to be thrown away.
        victim.hit(&[
            data(place + 5, 1, 9, MIDDLE, &[0; 500]),
            data(place + 9, 2, 9, UNORDERED, b"x"),
        ]);
        let streams = [SkippedStream {
            stream: 1,
            ssn: (n % 65_536) as u16,
        }];
        place = place.wrapping_add(200_000);
        let answers = victim.hit(&[Chunk::ForwardTsn(ForwardTsn {
            new_cumulative_tsn: FIRST.wrapping_add(place).wrapping_sub(1),
            streams: List::new(&streams),
        })]);
        assert_eq!(victim.closed(), None, "{n}");
        if let Some(acked) = acked(&answers) {
            assert_eq!(acked, place);
        }
        // Backwards it does not go.
        victim.hit(&[Chunk::ForwardTsn(ForwardTsn {
            new_cumulative_tsn: FIRST.wrapping_add(place).wrapping_sub(1 << 30),
            streams: List::default(),
        })]);
    }
    let mut answers = victim.hit(&[
        data(place, 3, 0, DataFlags::WHOLE, b"y"),
        data(place + 1, 3, 1, DataFlags::WHOLE, b"y"),
    ]);
    answers.extend(victim.idle(Duration::from_millis(30)));
    assert_eq!(acked(&answers), Some(place.wrapping_add(2)));
    assert!(victim.is_up());
    victim.memory.assert_below(8 << 20);
}

#[test]
fn skipped_streams_count_against_the_limit() {
    let config = Config {
        max_receive_streams: 100,
        ..Config::default()
    };
    for interleaving in [false, true] {
        let mut victim = if interleaving {
            Victim::interleaving(&config)
        } else {
            Victim::new(&config)
        };
        let ordered: Vec<_> = (0..200).map(|stream| SkippedStream { stream, ssn: 5 }).collect();
        let messages: Vec<_> = (0..200)
            .map(|stream| SkippedMessage {
                stream,
                unordered: stream % 2 == 0,
                mid: 5,
            })
            .collect();
        victim.hit(&[if interleaving {
            Chunk::IForwardTsn(IForwardTsn {
                new_cumulative_tsn: FIRST,
                streams: List::new(&messages),
            })
        } else {
            Chunk::ForwardTsn(ForwardTsn {
                new_cumulative_tsn: FIRST,
                streams: List::new(&ordered),
            })
        }]);
        assert_eq!(victim.closed(), Some(CloseReason::TooMuch("streams with messages")));
    }
}

// Anything

fn any_chunk() -> impl Strategy<Value = (u8, u8, Vec<u8>)> {
    let types = prop_oneof![
        (0..15_u8),
        Just(0x40_u8),
        Just(0x82),
        Just(0x84),
        Just(0xc0),
        Just(0xc2),
        any::<u8>(),
    ];
    let small = prop_oneof![Just(0_u8), Just(1), Just(2), Just(3), any::<u8>()];
    (types, any::<u8>(), proptest::collection::vec(small, 0..60))
}

/// Whatever comes, there is no panic, no endless answer and no growth.
#[test]
fn whatever_comes_is_borne() {
    let _alone = Memory::new();
    let packets = proptest::collection::vec(proptest::collection::vec(any_chunk(), 1..5), 1..60);
    let mut runner = TestRunner::new(ProptestConfig::default());
    runner
        .run(
            &(packets, any::<bool>(), any::<bool>()),
            |(packets, interleaving, near)| {
                hit_with_anything(packets, interleaving, near);
                Ok(())
            },
        )
        .unwrap();
}

/// `near`: TSNs are such as count.
fn hit_with_anything(packets: Vec<Vec<(u8, u8, Vec<u8>)>>, interleaving: bool, near: bool) {
    let config = Config {
        receive_window: 100_000,
        ..Config::default()
    };
    let mut victim = if interleaving {
        Victim::interleaving(&config)
    } else {
        Victim::new(&config)
    };
    victim.send(&Bytes::from(vec![0; 20_000])).unwrap();
    victim.answers();
    for chunks in packets {
        let mut bytes = Vec::new();
        bytes.extend([0x13, 0x88, 0x13, 0x88]);
        bytes.extend(victim.tag.to_be_bytes());
        bytes.extend([0; 4]);
        for (chunk_type, flags, mut value) in chunks {
            if near && value.len() >= 4 {
                let base = if matches!(chunk_type, 3 | 7) {
                    victim.first
                } else {
                    FIRST
                };
                let tsn = base.wrapping_add(value[3].into()).wrapping_sub(1);
                value[..4].copy_from_slice(&tsn.to_be_bytes());
            }
            // Most are not to end it: an ABORT with the T bit has another tag.
            let flags = if chunk_type == 6 { flags | 1 } else { flags };
            bytes.extend([chunk_type, flags]);
            bytes.extend((value.len() as u16 + 4).to_be_bytes());
            bytes.extend(&value);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        victim.take(&bytes);
        victim.idle(Duration::from_millis(20));
        victim.association.poll_event();
    }
    victim.memory.assert_below(4 << 20);
}
