//! What is relayed, and what strangers send, allocates nothing.

#[allow(dead_code, reason = "shared with the tests of the rules")]
#[path = "server/house.rs"]
mod house;

use std::alloc::System;
use std::net::SocketAddr;

use house::{Client, House, UDP, address, channel_data, send_indication, signed, tcp, udp};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use stun::{Method, TransactionId, Value};
use turn::{IcmpError, Outgoing, RelayId, ServerSink};
use wire::{Ecn, Path};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// A send slab.
struct Slab {
    bytes: [u8; 2048],
    packets: usize,
}

impl ServerSink for Slab {
    fn to_client(&mut self, _: &Path, packet: Outgoing<'_>) {
        self.packets += usize::from(packet.write(&mut self.bytes).is_some());
    }

    fn to_peer(&mut self, _: RelayId, _: SocketAddr, packet: Outgoing<'_>) {
        self.packets += usize::from(packet.write(&mut self.bytes).is_some());
    }
}

fn allocations() -> usize {
    let stats = ALLOCATOR.stats();
    stats.allocations + stats.reallocations
}

fn main() {
    let mut house = House::new();
    let mut slab = Slab {
        bytes: [0; 2048],
        packets: 0,
    };
    let before = allocations();
    let mut relays = Vec::new();
    for path in [udp(1), tcp(2)] {
        let (mut client, relayed) = house.allocated(path);
        house.bind(&mut client, 0x4000, "203.0.113.5:7");
        house.permit(&mut client, "203.0.113.6:0");
        relays.push((path, house.relay_at(relayed)));
    }
    assert!(allocations() > before, "the counter counts");

    let payload = [7; 1200];
    let (channel, indication) = (
        channel_data(0x4000, &payload),
        send_indication("203.0.113.6:9", &payload, &[]),
    );
    let unbound = channel_data(0x4001, &payload);
    let stranger = Client::new(udp(9));
    let (binding, allocate) = (
        signed(&stranger, Method::BINDING, &[], TransactionId([1; 12])),
        signed(&stranger, Method::ALLOCATE, &[UDP], TransactionId([1; 12])),
    );
    let forger = Client {
        nonce: "obMatJos2gAAA0123456789abcdefghi".into(),
        ..stranger
    };
    let forged = signed(&forger, Method::REFRESH, &[Value::Lifetime(0)], TransactionId([1; 12]));
    let (a, b, c) = (
        address("203.0.113.5:7"),
        address("203.0.113.6:9"),
        address("203.0.113.7:9"),
    );
    let icmp = IcmpError {
        kind: 3,
        code: 3,
        mtu: 0,
    };
    let before = allocations();
    for round in 0..100 {
        let now = house.now + std::time::Duration::from_millis(round);
        for &(path, relay) in &relays {
            for data in [&channel, &indication, &unbound] {
                house.server.handle_datagram(now, &path, Ecn::NotEct, data, &mut slab);
            }
            for peer in [a, b, c] {
                house
                    .server
                    .handle_relayed(now, relay, peer, Ecn::NotEct, &payload, &mut slab);
                house.server.handle_icmp(now, relay, peer, icmp, &mut slab);
            }
        }
        for data in [&binding, &allocate, &forged] {
            house.server.handle_datagram(now, &udp(9), Ecn::NotEct, data, &mut slab);
        }
    }
    assert_eq!(allocations() - before, 0);
    let refused = 2 * 100 - house.count("turn_refusals_silenced");
    let told = 2 * 2 * 100 - house.count("turn_limited_icmp");
    assert!((2 * 20..2 * 25).contains(&told), "{told}");
    assert_eq!(slab.packets as u64, 100 * (2 * 2 + 2 * 2) + told + 100 + refused);
    assert_eq!(
        house.count("turn_limited_sends") + house.count("turn_limited_receives"),
        0
    );
}
