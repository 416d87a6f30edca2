//! Ten thousand allocations, and a million forged requests from all over the net: the server remembers nothing of
//! those, answers little, and those who are in notice nothing.

#[allow(dead_code, reason = "shared with the tests of the rules")]
#[path = "server/house.rs"]
mod house;

use std::alloc::System;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use house::{Client, House, UDP, address, channel_data, signed};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use stun::{AddressFamily, Message, Method, TransactionId, Value};
use turn::{Outgoing, RelayId, ServerSink};
use wire::{Ecn, Path};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ALLOCATIONS: u32 = 10_000;
const FORGED: u32 = 1_000_000;

/// Looks at each answer.
#[derive(Default)]
struct Answers {
    /// Length of the request.
    asked: usize,
    bindings: u32,
    refusals: u32,
}

impl ServerSink for Answers {
    fn to_client(&mut self, _: &Path, packet: Outgoing<'_>) {
        let message = Message::parse(packet.data).unwrap();
        if message.method() == Method::BINDING {
            assert!(packet.len() <= 3 * self.asked);
            self.bindings += 1;
        } else {
            assert!(packet.len() <= 128, "{}", packet.len());
            assert!(matches!(message.error_code().unwrap().unwrap().code.0, 401 | 438));
            self.refusals += 1;
        }
    }

    fn to_peer(&mut self, _: RelayId, _: SocketAddr, _: Outgoing<'_>) {
        panic!("nothing of this is relayed");
    }
}

fn client_path(n: u32) -> Path {
    let remote = Ipv4Addr::from(0xc612_0000 | n & !0xff);
    Path::udp(
        address("192.0.2.1:3478"),
        SocketAddr::from((remote, 1000 + (n & 0xff) as u16)),
    )
}

/// Somebody somewhere, spread by a multiplication.
fn forged_path(n: u32) -> Path {
    let mixed = n.wrapping_mul(0x9e37_79b9);
    let port = n as u16 | 1;
    if n.is_multiple_of(4) {
        let remote = Ipv6Addr::from(u128::from(mixed) << 90 | 0x2001 << 112);
        Path::udp(address("[2001:db8::1]:3478"), SocketAddr::from((remote, port)))
    } else {
        Path::udp(
            address("192.0.2.1:3478"),
            SocketAddr::from((Ipv4Addr::from(mixed), port)),
        )
    }
}

#[test]
fn a_flood_of_strangers_takes_no_memory_and_harms_nobody() {
    let mut house = House::with(|config| {
        config.limits.allocations_per_user = ALLOCATIONS as usize;
        config.limits.allocations_per_name = ALLOCATIONS as usize;
        config.limits.sockets_per_user = ALLOCATIONS as usize;
        config.limits.sockets_per_name = ALLOCATIONS as usize;
        config.limits.refusals_per_second = 5;
        config.limits.refusals_burst = 20;
    });
    let mut client = Client::new(client_path(0));
    let mut relayed = Vec::new();
    for n in 0..ALLOCATIONS {
        client.path = client_path(n);
        if n % 256 == 0 {
            // Another part of the net, another nonce.
            client.nonce.clear();
        }
        let values = [UDP, Value::RequestedAddressFamily(AddressFamily::IPV4)];
        relayed.push(house.granted(&mut client, Method::ALLOCATE, &values).relayed()[0]);
        house.actions.clear();
    }
    let nonce_of_last = client.nonce.clone();
    house.bind(&mut client, 0x4000, "203.0.113.5:7");
    let remembered = house.server.remembered();

    let stranger = Client::new(client_path(0));
    let forger = Client {
        nonce: "obMatJos2gAAA0123456789abcdefghi".into(),
        ..stranger.clone()
    };
    let requests = [
        signed(&stranger, Method::BINDING, &[], TransactionId([1; 12])),
        signed(&stranger, Method::ALLOCATE, &[UDP], TransactionId([2; 12])),
        signed(&forger, Method::ALLOCATE, &[UDP], TransactionId([3; 12])),
        signed(&forger, Method::REFRESH, &[Value::Lifetime(0)], TransactionId([4; 12])),
    ];
    let in_use = || {
        let stats = ALLOCATOR.stats();
        stats.bytes_allocated - stats.bytes_deallocated
    };
    let mut answers = Answers::default();
    let (bytes, start) = (in_use(), house.now);
    for n in 0..FORGED {
        // Ten seconds, and one part of the net gets a tenth of everything.
        let now = start + Duration::from_micros(10) * n;
        let path = if n % 10 == 0 { forged_path(7) } else { forged_path(n) };
        let request = &requests[(n / 10 % 4) as usize];
        answers.asked = request.len();
        house
            .server
            .handle_datagram(now, &path, Ecn::NotEct, request, &mut answers);
    }
    house.now = start + Duration::from_secs(10);
    assert_eq!(in_use(), bytes, "bytes in use");
    assert_eq!(house.server.remembered(), remembered);
    assert_eq!(answers.bindings, FORGED / 4);
    // 16384 places with 20 answers each, and 5 a second for 10 s: what all of the net together may get.
    assert!(
        answers.refusals > 100_000 && answers.refusals < 16_384 * 70,
        "{}",
        answers.refusals
    );
    let silenced = house.count("turn_refusals_silenced");
    assert_eq!(u64::from(answers.refusals) + silenced, u64::from(FORGED / 4 * 3));

    // The part that got most: 20 at once, then 5 a second.
    let mut answers = Answers::default();
    for n in 0..10_000_u32 {
        let now = house.now + Duration::from_secs(60) + Duration::from_millis(1) * n;
        house
            .server
            .handle_datagram(now, &forged_path(7), Ecn::NotEct, &requests[1], &mut answers);
    }
    assert!((69..=71).contains(&answers.refusals), "{}", answers.refusals);
    house.now += Duration::from_secs(80);

    // Those who are in go on.
    client.nonce = nonce_of_last;
    house.granted(&mut client, Method::REFRESH, &[]);
    assert_eq!(house.client_sends(client.path, &channel_data(0x4000, b"data")).len(), 1);
    assert_eq!(
        house
            .peer_sends(relayed[ALLOCATIONS as usize - 1], "203.0.113.5:7", b"data")
            .len(),
        1
    );
    assert_eq!(house.server.allocations(house.now).count(), ALLOCATIONS as usize);
    // All end in time, and everything is given back.
    house.pass(700);
    assert_eq!((house.server.remembered(), house.relays.len()), (0, 0));
}
