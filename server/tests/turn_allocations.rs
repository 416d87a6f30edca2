//! What the TURN server relays allocates nothing, sockets and threads included. The allocator is the process's: there
//! is no other test beside this one.

#[allow(dead_code, reason = "shared with the tests of streams")]
#[path = "turn/client.rs"]
mod client;

use std::alloc::System;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use client::start_with;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use turn::client::{Client, Config, Credentials, MIN_OUT, State};
use wire::Seed;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ROUNDS: usize = 2000;
/// So many datagrams are under way at once each way: runs, which the kernel joins and divides, and batches.
const BURST: usize = 8;
const LEN: usize = 1200;

/// A client on a socket of its own.
struct Caller {
    socket: UdpSocket,
    client: Client,
}

impl Caller {
    fn turn(&mut self) {
        let mut data = [0; 2048];
        if let Ok(len) = self.socket.recv(&mut data) {
            self.client.handle_datagram(Instant::now(), &mut data[..len]);
        }
        let now = Instant::now();
        self.client.handle_timeout(now);
        let mut out = [0; MIN_OUT];
        while let Some(transmit) = self.client.poll_transmit(now, &mut out) {
            self.socket.send(&out[..transmit.len]).unwrap();
        }
    }

    fn until(&mut self, done: impl Fn(&Client) -> bool) {
        let start = Instant::now();
        while !done(&self.client) {
            assert!(start.elapsed() < Duration::from_secs(10), "{:?}", self.client.state());
            self.turn();
        }
    }
}

fn bind() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    socket
}

/// There and back, both ways.
fn relay(caller: &mut Caller, peer: &UdpSocket, relayed: SocketAddr, rounds: usize) {
    let now = Instant::now();
    let to = peer.local_addr().unwrap();
    let mut out = [0; 2048];
    for _ in 0..rounds {
        for _ in 0..BURST {
            let sent = caller.client.send(now, to, &[7; LEN], &mut out).unwrap().unwrap();
            caller.socket.send(&out[..sent.len]).unwrap();
        }
        for _ in 0..BURST {
            assert_eq!(peer.recv(&mut out).unwrap(), LEN);
        }
        for _ in 0..BURST {
            peer.send_to(&[8; LEN], relayed).unwrap();
        }
        for _ in 0..BURST {
            let len = caller.socket.recv(&mut out).unwrap();
            let received = caller.client.handle_datagram(now, &mut out[..len]).unwrap();
            assert_eq!((received.peer, received.data.len()), (to, LEN));
        }
    }
}

#[test]
fn what_is_relayed_allocates_nothing() {
    let server = start_with(None, |turn| turn.bytes_per_second = 1_000_000_000);
    let socket = bind();
    socket.connect(("127.0.0.1", server.turn_addrs()[0].port())).unwrap();
    let config = Config {
        credentials: Credentials::new("u", "p"),
        ..Config::default()
    };
    let (at, from) = (socket.peer_addr().unwrap(), socket.local_addr().unwrap());
    let mut caller = Caller {
        client: Client::new(config, at, from, Seed::from_run(1), Instant::now()),
        socket,
    };
    caller.until(|client| client.state() == State::Allocated);
    let relayed = caller
        .client
        .allocation()
        .and_then(|allocation| allocation.ipv4)
        .unwrap();
    let peer = bind();
    let to = peer.local_addr().unwrap();
    caller.client.bind(Instant::now(), to).unwrap();
    caller.until(|client| client.is_bound(&to));
    // From now on all that is waited for comes, however long the machine takes.
    for socket in [&caller.socket, &peer] {
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    }

    // Buffers grow to what is needed.
    relay(&mut caller, &peer, relayed, ROUNDS / 10);
    let region = Region::new(ALLOCATOR);
    relay(&mut caller, &peer, relayed, ROUNDS);
    let change = region.change();
    // Other threads of the server, and the one that runs the tests, allocate now and then.
    let allocations = change.allocations + change.reallocations;
    assert!(
        allocations < ROUNDS / 20,
        "{allocations} for {} datagrams",
        2 * BURST * ROUNDS
    );
}
