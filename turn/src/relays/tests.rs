use super::*;
use crate::client::tests::server::{PASSWORD, RELAYED_IPV4, RELAYED_IPV6, Server, USER, address};
use crate::client::{Config, Credentials, Families, MIN_OUT, State, Transport};
use std::num::NonZeroU16;
use std::time::Duration;
use wire::{Ecn, Seed};

const SERVERS: [&str; 2] = ["192.0.2.1:3478", "192.0.2.2:3478"];
const LOCAL: &str = "198.51.100.1:5000";
const PEER: &str = "203.0.113.1:9000";

/// A client on each of two servers: of IPv4 over UDP, and of IPv6 over a stream.
struct Two {
    relays: Relays,
    ids: [ClientId; 2],
    servers: [Server; 2],
    now: Instant,
}

fn client(transport: Transport, families: Families, server: &str, now: Instant) -> Client {
    let config = Config {
        credentials: Credentials::new(USER, PASSWORD),
        transport,
        families,
        ..Config::default()
    };
    Client::new(config, address(server), address(LOCAL), Seed::from_run(1), now)
}

impl Two {
    fn new() -> Self {
        let now = Instant::now();
        let mut relays = Relays::default();
        let ids = [
            relays.insert(client(Transport::Udp, Families::Ipv4, SERVERS[0], now)),
            relays.insert(client(Transport::Stream, Families::Ipv6, SERVERS[1], now)),
        ];
        let mut two = Self {
            relays,
            ids,
            servers: [Server::default(), Server::default()],
            now,
        };
        two.run();
        two
    }

    fn run(&mut self) {
        let mut out = [0; MIN_OUT];
        while let Some((id, transmit)) = self.relays.poll_transmit(self.now, &mut out) {
            assert_eq!(transmit.path, self.relays.client(id).unwrap().path());
            let n = SERVERS
                .iter()
                .position(|server| address(server) == transmit.path.remote)
                .unwrap();
            let Some(mut answer) = self.servers[n].handle(&out[..transmit.len]) else {
                continue;
            };
            if n == 0 {
                assert_eq!(self.relays.handle_datagram(self.now, &transmit.path, &mut answer), None);
            } else {
                let used = self
                    .relays
                    .handle_stream(self.now, id, &mut answer, |_| panic!())
                    .unwrap();
                assert_eq!(used, answer.len());
            }
        }
    }
}

fn path() -> Path {
    Path::udp(address(RELAYED_IPV4), address(PEER))
}

#[test]
fn the_relayed_address_says_the_server() {
    let mut two = Two::new();
    let mut events = 0;
    while let Some((id, event)) = two.relays.poll_event() {
        assert!(matches!(event, Event::Allocated(_)) && two.ids.contains(&id));
        events += 1;
    }
    assert_eq!(events, 2);
    assert_eq!(two.relays.relay_of(&address(RELAYED_IPV4)), Some(two.ids[0]));
    assert_eq!(two.relays.relay_of(&address(RELAYED_IPV6)), Some(two.ids[1]));
    assert_eq!(two.relays.relay_of(&address(LOCAL)), None);

    let mut out = [0; 1500];
    for (n, local, remote) in [(0, RELAYED_IPV4, PEER), (1, RELAYED_IPV6, "[2001:db8::9]:5")] {
        let path = Path::udp(address(local), address(remote));
        let transmit = Transmit {
            ecn: Ecn::Ect1,
            ..Transmit::one(path, 5)
        };
        assert_eq!(two.relays.send(two.now, &transmit, b"first", &mut out), Ok(None));
        two.run();
        let sent = two
            .relays
            .send(two.now, &transmit, b"other", &mut out)
            .unwrap()
            .unwrap();
        assert_eq!((sent.path.remote, sent.ecn), (address(SERVERS[n]), Ecn::Ect1));
        two.servers[n].handle(&out[..sent.len]);
        let relayed: Vec<_> = two.servers[n].relayed.iter().map(|relayed| &relayed.data[..]).collect();
        assert_eq!(relayed, [b"first", b"other"]);
    }
    let nowhere = Transmit::one(Path::udp(address(LOCAL), address(PEER)), 1);
    assert_eq!(
        two.relays.send(two.now, &nowhere, b"x", &mut out),
        Err(SendError::NotAllocated)
    );
}

#[test]
fn what_comes_has_the_relayed_address_as_its_own() {
    let mut two = Two::new();
    two.relays.permit(two.now, &path()).unwrap();
    two.relays.bind(two.now, &path()).unwrap();
    two.run();
    let server = Path::udp(address(LOCAL), address(SERVERS[0]));
    assert_eq!(two.relays.relay_on(&server), Some(two.ids[0]));
    let mut datagram = *b"\x40\x00\x00\x02hi";
    let received = two.relays.handle_datagram(two.now, &server, &mut datagram).unwrap();
    assert_eq!((received.path, &*received.data), (path(), &b"hi"[..]));
    // Another path is no client's.
    let other = Path::udp(address(LOCAL), address(PEER));
    assert_eq!(
        (
            two.relays.relay_on(&other),
            two.relays.handle_datagram(two.now, &other, &mut datagram)
        ),
        (None, None)
    );

    let path = Path::udp(address(RELAYED_IPV6), address("[2001:db8::9]:5"));
    two.relays.bind(two.now, &path).unwrap();
    two.run();
    let mut seen = Vec::new();
    let mut stream = *b"\x40\x00\x00\x02hi\0\0\x40\x00\x00\x01x\0\0\0\x40";
    let used = two.relays.handle_stream(two.now, two.ids[1], &mut stream, |received| {
        assert_eq!(received.path, path);
        seen.push(received.data.to_vec());
    });
    assert_eq!((used, seen), (Ok(16), vec![b"hi".to_vec(), b"x".to_vec()]));
}

#[test]
fn runs_and_rooms_go_through() {
    let mut two = Two::new();
    two.relays.bind(two.now, &path()).unwrap();
    two.run();
    let mut out = [0; 1500];
    let run = Transmit {
        segment: NonZeroU16::new(100),
        ..Transmit::one(path(), 250)
    };
    let sent = two.relays.send(two.now, &run, &[7; 250], &mut out).unwrap().unwrap();
    assert_eq!((sent.segment, sent.len), (NonZeroU16::new(104), 262));
    let room = two.relays.room(&path()).unwrap();
    assert_eq!(room.head(), 4);
    assert_eq!(
        two.relays
            .seal(two.now, &path(), room, 5, &mut out)
            .unwrap()
            .unwrap()
            .len,
        9
    );
}

#[test]
fn clients_come_and_go() {
    let mut two = Two::new();
    let closed = two.relays.remove(two.ids[0]).unwrap();
    assert_eq!(closed.state(), State::Allocated);
    assert_eq!(
        (two.relays.relay_of(&address(RELAYED_IPV4)), two.relays.iter().count()),
        (None, 1)
    );
    assert_eq!(two.relays.relay_of(&address(RELAYED_IPV6)), Some(two.ids[1]));
    assert!(two.relays.remove(two.ids[0]).is_none() && two.relays.client(two.ids[0]).is_none());
    // Ids are not used again.
    let new = two.relays.insert(closed);
    assert!(!two.ids.contains(&new));
    assert_eq!(two.relays.relay_of(&address(RELAYED_IPV4)), Some(new));
    two.relays.command(new, Client::close).unwrap();
    two.run();
    assert_eq!(two.relays.relay_of(&address(RELAYED_IPV4)), None);
    assert_eq!(two.relays.room(&path()), Err(SendError::NotAllocated));
}

#[test]
fn a_server_cannot_take_over_the_address_of_another() {
    let mut two = Two::new();
    // The same relayed address from another server.
    let other = two
        .relays
        .insert(client(Transport::Udp, Families::Ipv4, SERVERS[1], two.now));
    two.run_udp(other);
    assert_eq!(two.relays.client(other).unwrap().state(), State::Allocated);
    assert_eq!(two.relays.relay_of(&address(RELAYED_IPV4)), Some(two.ids[0]));
    // Once the first has gone, it is the second's.
    two.relays.command(two.ids[0], Client::close).unwrap();
    two.run();
    assert_eq!(two.relays.relay_of(&address(RELAYED_IPV4)), Some(other));
    two.relays.remove(two.ids[0]);
    assert_eq!(two.relays.relay_of(&address(RELAYED_IPV4)), Some(other));
}

impl Two {
    fn run_udp(&mut self, id: ClientId) {
        let (mut out, mut server) = ([0; MIN_OUT], Server::default());
        while let Some((from, transmit)) = self.relays.poll_transmit(self.now, &mut out) {
            assert_eq!(from, id);
            let mut answer = server.handle(&out[..transmit.len]).unwrap();
            self.relays.handle_datagram(self.now, &transmit.path, &mut answer);
        }
    }
}

#[test]
fn another_server_has_another_path() {
    let now = Instant::now();
    let mut relays = Relays::default();
    let id = relays.insert(client(Transport::Udp, Families::Ipv4, SERVERS[0], now));
    let mut server = Server {
        auth: false,
        alternates: vec![address(SERVERS[1])],
        ..Server::default()
    };
    server
        .errors
        .push_back((stun::Method::ALLOCATE, stun::ErrorCode::TRY_ALTERNATE));
    let mut out = [0; MIN_OUT];
    let (_, transmit) = relays.poll_transmit(now, &mut out).unwrap();
    let mut answer = server.handle(&out[..transmit.len]).unwrap();
    relays.handle_datagram(now, &transmit.path, &mut answer);
    relays.command(id, |client| client.reconnected(address(LOCAL))).unwrap();
    let path = Path::udp(address(LOCAL), address(SERVERS[1]));
    assert_eq!(
        (relays.relay_on(&path), relays.relay_on(&transmit.path)),
        (Some(id), None)
    );
}

#[test]
fn a_path_that_a_client_leaves_is_that_of_the_next_who_has_it() {
    let now = Instant::now();
    let mut relays = Relays::default();
    let [first, second] = [(); 2].map(|()| relays.insert(client(Transport::Udp, Families::Ipv4, SERVERS[0], now)));
    let mut server = Server {
        auth: false,
        alternates: vec![address(SERVERS[1])],
        ..Server::default()
    };
    server
        .errors
        .push_back((stun::Method::ALLOCATE, stun::ErrorCode::TRY_ALTERNATE));
    let mut out = [0; MIN_OUT];
    let (asks, transmit) = relays.poll_transmit(now, &mut out).unwrap();
    assert_eq!((asks, relays.relay_on(&transmit.path)), (first, Some(first)));
    let mut answer = server.handle(&out[..transmit.len]).unwrap();
    relays.handle_datagram(now, &transmit.path, &mut answer);
    relays.command(first, |client| client.reconnected(address(LOCAL)));
    assert_eq!(relays.relay_on(&transmit.path), Some(second));
    let other = Path::udp(address(LOCAL), address(SERVERS[1]));
    assert_eq!(relays.relay_on(&other), Some(first));
}

#[test]
fn timers_are_those_of_the_clients() {
    let mut two = Two::new();
    let deadline = two.relays.poll_timeout().unwrap();
    assert!(deadline > two.now + Duration::from_secs(500));
    two.relays.handle_timeout(two.now);
    two.run();
    assert_eq!(two.relays.poll_timeout(), Some(deadline));
    two.now += Duration::from_secs(700);
    two.relays.handle_timeout(two.now);
    // Both have expired, unrefreshed.
    assert_eq!(two.relays.poll_timeout(), None);
    assert_eq!(two.relays.relay_of(&address(RELAYED_IPV4)), None);
}

#[test]
fn a_dual_allocation_has_two_addresses_of_its_own() {
    let now = Instant::now();
    let mut relays = Relays::default();
    let id = relays.insert(client(Transport::Udp, Families::Both, SERVERS[0], now));
    let (mut out, mut server) = ([0; MIN_OUT], Server::default());
    let paths = [(RELAYED_IPV4, PEER), (RELAYED_IPV6, "[2001:db8::9]:5")];
    let paths = paths.map(|(local, remote)| Path::udp(address(local), address(remote)));
    for _ in 0..2 {
        while let Some((_, transmit)) = relays.poll_transmit(now, &mut out) {
            let mut answer = server.handle(&out[..transmit.len]).unwrap();
            relays.handle_datagram(now, &transmit.path, &mut answer);
        }
        for path in &paths {
            assert_eq!(relays.relay_of(&path.local), Some(id));
            relays.bind(now, path).unwrap();
        }
    }
    let way = relays.client(id).unwrap().path();
    for (channel, path) in (0..).zip(paths) {
        let mut datagram = [0x40, channel, 0, 0];
        assert_eq!(relays.handle_datagram(now, &way, &mut datagram).unwrap().path, path);
    }
}
