//! Once peers are permitted or bound, sending to them and receiving from them allocates nothing.

use std::alloc::System;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::time::Instant;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use stun::{Builder, Class, Message, Method, TransactionId, Value};
use turn::client::{Client, Config, Families, MIN_OUT};
use turn::{ClientId, Relays};
use wire::{Path, Seed, Transmit};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const SERVER: &str = "192.0.2.1:3478";
const LOCAL: &str = "198.51.100.1:5000";
const RELAYED: [&str; 2] = ["192.0.2.15:50000", "[2001:db8::15]:50000"];

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

const ROUNDS: usize = 4000;

/// Says yes to everything.
fn answer(request: &[u8]) -> Option<Vec<u8>> {
    let message = Message::parse(request).ok()?;
    if message.class() != Class::Request {
        return None;
    }
    let mut out = [0; 200];
    let mut b = Builder::new(
        &mut out,
        Class::SuccessResponse,
        message.method(),
        message.transaction_id(),
    )
    .unwrap();
    if message.method() == Method::ALLOCATE {
        for relayed in RELAYED {
            b.push(&Value::XorRelayedAddress(address(relayed))).unwrap();
        }
        b.push(&Value::Lifetime(600)).unwrap();
    }
    Some(b.finish().to_vec())
}

fn run(relays: &mut Relays, now: Instant) {
    let mut out = [0; MIN_OUT];
    while let Some((_, transmit)) = relays.poll_transmit(now, &mut out) {
        if let Some(mut answer) = answer(&out[..transmit.len]) {
            relays.handle_datagram(now, &transmit.path, &mut answer);
        }
    }
}

fn connected(now: Instant) -> (Relays, ClientId) {
    let mut relays = Relays::default();
    let config = Config {
        families: Families::Both,
        ..Config::default()
    };
    let client = Client::new(config, address(SERVER), address(LOCAL), Seed::from_run(1), now);
    let id = relays.insert(client);
    run(&mut relays, now);
    (relays, id)
}

#[test]
fn data_of_known_peers_allocates_nothing() {
    let now = Instant::now();
    let (mut relays, id) = connected(now);
    let bound = Path::udp(address(RELAYED[0]), address("203.0.113.1:1"));
    let ipv4 = Path::udp(address(RELAYED[0]), address("203.0.113.2:2"));
    let ipv6 = Path::udp(address(RELAYED[1]), address("[2001:db8::9]:3"));
    relays.bind(now, &bound).unwrap();
    relays.permit(now, &ipv4).unwrap();
    relays.permit(now, &ipv6).unwrap();
    run(&mut relays, now);
    assert!(relays.client(id).unwrap().is_bound(&bound.remote));

    let server = Path::udp(address(LOCAL), address(SERVER));
    let mut indication = [0; 300];
    let mut b = Builder::new(&mut indication, Class::Indication, Method::DATA, TransactionId([9; 12])).unwrap();
    b.push(&Value::XorPeerAddress(ipv6.remote)).unwrap();
    b.push(&Value::Data(&[5; 200])).unwrap();
    let len = b.finish().len();
    let mut channel_data = [0; 204];
    channel_data[..4].copy_from_slice(&[0x40, 0, 0, 200]);

    let mut out = [0; 4096];
    let region = Region::new(ALLOCATOR);
    for _ in 0..ROUNDS {
        for path in [bound, ipv4, ipv6] {
            let sent = relays.send(now, &Transmit::one(path, 1000), &[7; 1000], &mut out);
            assert!(sent.unwrap().is_some());
            let run = Transmit {
                segment: NonZeroU16::new(700),
                ..Transmit::one(path, 2100)
            };
            assert_eq!(
                relays
                    .send(now, &run, &[7; 2100], &mut out)
                    .unwrap()
                    .unwrap()
                    .datagrams(),
                3
            );
            let room = relays.room(&path).unwrap();
            assert!(relays.seal(now, &path, room, 1000, &mut out).unwrap().is_some());
        }
        let received = relays.handle_datagram(now, &server, &mut indication[..len]).unwrap();
        assert_eq!((received.path, received.data.len()), (ipv6, 200));
        let received = relays.handle_datagram(now, &server, &mut channel_data).unwrap();
        assert_eq!((received.path, received.data.len()), (bound, 200));
        assert!(relays.poll_transmit(now, &mut out).is_none());
        assert!(relays.poll_timeout().is_some());
    }
    // The thread that runs the tests allocates now and then as well, but not once in each round.
    let change = region.change();
    let allocations = change.allocations + change.reallocations;
    assert!(allocations < ROUNDS / 100, "{allocations} in {ROUNDS} rounds");
}
