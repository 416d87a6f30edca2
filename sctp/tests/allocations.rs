//! Once an association is warm, packets come and go without allocation.

use std::alloc::System;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sctp::dcep::Reliability;
use sctp::{Association, Config, Event, Message, Ppid, SendError, Sink};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use wire::Seed;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[derive(Default)]
struct Count {
    messages: u64,
}

impl Sink for Count {
    fn message(&mut self, _: u16, _: Ppid, _: bool, payload: &[u8]) {
        assert!(!payload.is_empty());
        self.messages += 1;
    }

    fn part(&mut self, _: u16, _: Ppid, _: bool, _: &[u8], _: bool, _: bool) {
        panic!("nobody asked for parts");
    }

    fn cut(&mut self, _: u16, _: bool) {
        panic!("nobody asked for parts");
    }
}

/// Packets on their way, whose buffers are used again.
#[derive(Default)]
struct Wire {
    packets: VecDeque<(Instant, Vec<u8>)>,
    free: Vec<Vec<u8>>,
}

const DELAY: Duration = Duration::from_millis(10);

/// Messages of `len` bytes, as many as are accepted; allocations for so many of them, and packets that were sent.
fn allocations(config: &Config, len: usize, unordered: bool) -> (usize, u64, u64) {
    let mut now = Instant::now();
    let mut ends = [1, 2].map(|run| Association::new(config, Seed::from_run(run), now));
    let mut wires = [Wire::default(), Wire::default()];
    let mut sink = Count::default();
    let payload = Bytes::from(vec![7; len]);
    // So that what is cut off is counted, and not put into a new allocation.
    let _shared = payload.clone();
    ends[0].connect(now);
    let start = now;
    let mut out = [0; 2000];
    let (mut region, mut packets, mut messages) = (Region::new(ALLOCATOR), 0, 0);
    let mut is_warm = false;
    while now < start + Duration::from_secs(2) {
        if !is_warm && now >= start + Duration::from_secs(1) {
            is_warm = true;
            (packets, messages) = (0, sink.messages);
            region = Region::new(ALLOCATOR);
        }
        while ends[0].is_open() {
            let message = Message {
                stream: 1,
                ppid: Ppid::BINARY,
                unordered,
                reliability: Reliability::Reliable,
                payload: payload.clone(),
            };
            match ends[0].send(now, message) {
                Ok(()) => {}
                Err(SendError::Blocked) => break,
                Err(error) => panic!("{error}"),
            }
        }
        for from in [0, 1] {
            while let Some(len) = ends[from].poll_transmit(now, &mut out) {
                packets += 1;
                let wire = &mut wires[1 - from];
                let mut buffer = wire.free.pop().unwrap_or_default();
                buffer.clear();
                buffer.extend_from_slice(&out[..len]);
                wire.packets.push_back((now + DELAY, buffer));
            }
            while let Some(event) = ends[from].poll_event() {
                assert!(matches!(event, Event::Established | Event::Writable), "{event:?}");
            }
        }
        let arrivals = wires.iter().filter_map(|wire| wire.packets.front().map(|(at, _)| *at));
        let timers = ends.iter().filter_map(Association::poll_timeout);
        now = arrivals.chain(timers).min().unwrap().max(now);
        for to in [0, 1] {
            while let Some((_, packet)) = wires[to].packets.pop_front_if(|(at, _)| *at <= now) {
                ends[to].handle_packet(now, &packet, &mut sink);
                wires[to].free.push(packet);
            }
            ends[to].handle_timeout(now);
        }
    }
    (region.change().allocations, packets, sink.messages - messages)
}

#[test]
fn packets_allocate_nothing() {
    for interleaving in [false, true] {
        // The window is that of the peer: it stays as it is.
        let config = Config {
            interleaving,
            receive_window: 1 << 20,
            max_receive_message: 1 << 18,
            send_buffer: 1 << 20,
            ..Config::default()
        };
        for (len, unordered) in [
            (100, false),
            (100, true),
            (1000, false),
            (65_536, false),
            (65_536, true),
        ] {
            let (allocations, packets, messages) = allocations(&config, len, unordered);
            println!("{interleaving} {len} {unordered}: {allocations} for {packets} packets, {messages} messages");
            assert!(packets > 10_000 && messages > 500, "{packets} {messages}");
            assert!(
                allocations <= 10,
                "{allocations} for {packets} packets, {messages} messages"
            );
        }
    }
}
