//! TURN servers that lie, and streams to them that end.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use peer::testing::{Collected, Pair};
use peer::{CloseReason, Direction, Event, IceServer, IceTransportPolicy, Kind, Peer, RelayStreamId};
use stun::{Builder, Class, ErrorCode, Message, Method, TransactionId, Value};
use wire::{Path, Protocol, Seed};

const OURS: &str = "198.51.100.7:5000";
const SERVERS: [&str; 6] = [
    "192.0.2.50:3478",
    "192.0.2.51:3478",
    "192.0.2.52:3478",
    "192.0.2.53:3478",
    "192.0.2.54:3478",
    "192.0.2.55:3478",
];
const RELAYED: &str = "192.0.2.60:4000";

const UDP: &str = "";
const TCP: &str = "?transport=tcp";

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A peer that wants relays only, and what it said.
struct World {
    now: Instant,
    peer: Peer,
    events: Vec<Event>,
}

impl World {
    /// With so many servers, each over UDP (the empty query) or TCP.
    fn new(queries: &[&str]) -> Self {
        let now = Instant::now();
        let mut config = Pair::config();
        config.ice = ice::Config::full(ice::Role::Controlling);
        config.ice_transport_policy = IceTransportPolicy::Relay;
        let server = |(server, query)| {
            let uri = format!("turn:{server}{query}");
            IceServer::new(&uri, &[], Some(("ann", "secret"))).unwrap()
        };
        config.ice_servers = SERVERS.into_iter().zip(queries).map(server).collect();
        let mut peer = Peer::new(Arc::new(config), Seed::from_run(1), now);
        peer.add_local_candidate(address(OURS));
        peer.end_of_local_candidates(now);
        peer.add_section(Kind::Audio, Direction::SendRecv).unwrap();
        Self {
            now,
            peer,
            events: Vec::new(),
        }
    }

    /// Answers each request for an allocation with this address.
    fn allocate(&mut self, relayed: &str) {
        self.allocate_each(|| relayed);
    }

    /// As [`allocate`](Self::allocate), with one address after the other.
    fn allocate_each<'a>(&mut self, mut relayed: impl FnMut() -> &'a str) {
        let mut out = [0; Peer::MIN_OUT_RELAYED];
        let mut sink = Collected::default();
        while let Some(transmit) = self.peer.poll_transmit(self.now, &mut out) {
            let request = Message::parse(&out[..transmit.len]).unwrap();
            assert_eq!(request.method(), Method::ALLOCATE);
            let mut answer = allocated(request.transaction_id(), relayed());
            match self.peer.relay_stream_on(&transmit.path) {
                Some(id) => {
                    let used = self.peer.handle_relay_stream(self.now, id, &mut answer, &mut sink);
                    assert_eq!(used, answer.len());
                }
                None => self
                    .peer
                    .handle_datagram(self.now, &transmit.path, &mut answer, &mut sink),
            }
        }
        self.drain();
    }

    fn open_streams(&mut self) {
        (0..2).for_each(|stream| self.open_stream(stream));
    }

    fn open_stream(&mut self, stream: u32) {
        let local = SocketAddr::new(address(OURS).ip(), 40_000 + stream as u16);
        self.peer.relay_stream_opened(self.now, RelayStreamId(stream), local);
    }

    fn drain(&mut self) {
        self.events.extend(std::iter::from_fn(|| self.peer.poll_event()));
    }

    fn counter(&self, wanted: &str) -> u64 {
        let mut found = 0;
        self.peer.each_counter(&mut |name, value| {
            if name == wanted {
                found += value;
            }
        });
        found
    }

    fn count(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.events.iter().filter(|event| wanted(event)).count()
    }
}

/// The answer of a server that challenges nobody.
fn allocated(id: TransactionId, relayed: &str) -> Vec<u8> {
    let mut out = [0; 200];
    let mut answer = Builder::new(&mut out, Class::SuccessResponse, Method::ALLOCATE, id).unwrap();
    answer.push(&Value::XorRelayedAddress(address(relayed))).unwrap();
    answer.push(&Value::XorMappedAddress(address("203.0.113.9:9"))).unwrap();
    answer.push(&Value::Lifetime(600)).unwrap();
    answer.finish().to_vec()
}

const fn is_candidate(event: &Event) -> bool {
    matches!(event, Event::Candidate(_))
}

#[test]
fn a_server_that_claims_our_own_address_does_not_have_it_told() {
    let mut world = World::new(&[UDP; 2]);
    world.allocate(OURS);
    let offer = world.peer.offer().unwrap();
    assert!(
        !offer.contains("a=candidate") && !offer.contains("198.51.100.7"),
        "{offer}"
    );
    assert_eq!(world.count(is_candidate), 0, "{:?}", world.events);
    // One that does not is believed, so that there was something to tell.
    let mut world = World::new(&[UDP; 2]);
    world.allocate(RELAYED);
    assert_eq!(world.count(is_candidate), 1, "{:?}", world.events);
    assert!(!world.peer.offer().unwrap().contains("203.0.113.9"));
}

#[test]
fn an_address_that_two_servers_claim_lasts_as_long_as_one_of_them() {
    let mut world = World::new(&[TCP; 2]);
    world.open_streams();
    world.allocate(RELAYED);
    for (stream, left) in [(0, true), (1, false)] {
        world.peer.relay_stream_closed(world.now, RelayStreamId(stream));
        assert_eq!(world.peer.offer().unwrap().contains("192.0.2.60 4000 typ relay"), left);
    }
    world.drain();
    assert_eq!(world.count(|event| matches!(event, Event::RelayFailed { .. })), 2);
    // They were the caller's to close.
    assert_eq!(world.count(|event| matches!(event, Event::CloseRelayStream(_))), 0);
}

#[test]
fn no_two_relays_have_the_same_priority_though_one_has_ended() {
    let mut world = World::new(&[TCP; 3]);
    world.open_streams();
    let relayed = ["192.0.2.60:1", "192.0.2.60:2"];
    let mut told = relayed.into_iter();
    world.allocate_each(|| told.next().unwrap());
    world.peer.relay_stream_closed(world.now, RelayStreamId(0));
    world.open_stream(2);
    world.allocate("192.0.2.60:3");
    let priorities: Vec<&str> = world.events.iter().filter_map(priority).collect();
    assert_eq!(priorities.len(), 3);
    let different: BTreeSet<&str> = priorities.iter().copied().collect();
    assert_eq!(different.len(), 3, "{priorities:?}");
}

/// That of a candidate.
fn priority(event: &Event) -> Option<&str> {
    match event {
        Event::Candidate(candidate) => candidate.split(' ').nth(3),
        _ => None,
    }
}

#[test]
fn a_stream_that_is_not_turn_is_to_be_closed() {
    let mut world = World::new(&[TCP; 2]);
    world.open_streams();
    world.allocate(RELAYED);
    let stream = RelayStreamId(1);
    // An answer to nothing, and what is neither STUN nor ChannelData.
    let mut garbage = allocated(TransactionId([9; 12]), RELAYED);
    garbage.extend([0xff; 20]);
    let used = world
        .peer
        .handle_relay_stream(world.now, stream, &mut garbage, &mut Collected::default());
    assert_eq!(used, garbage.len());
    world.drain();
    let closed = world.count(|event| *event == Event::CloseRelayStream(stream));
    let failed = world.count(|event| matches!(event, Event::RelayFailed { server, .. } if server.contains(SERVERS[1])));
    assert_eq!((closed, failed), (1, 1), "{:?}", world.events);
    let path = Path {
        protocol: Protocol::Tcp,
        ..Path::udp(SocketAddr::new(address(OURS).ip(), 40_001), address(SERVERS[1]))
    };
    assert_eq!(world.peer.relay_stream_on(&path), None);
    world.peer.relay_stream_closed(world.now, stream);
    world.drain();
    assert_eq!(world.count(|event| matches!(event, Event::RelayFailed { .. })), 1);
    // What the client has counted is not forgotten with it.
    assert_eq!(world.counter("turn_unexpected_answers"), 1);
}

/// Has eight addresses ask for allocations over UDP; gives how many do.
fn ask_from_eight(world: &mut World) -> usize {
    for port in 6000..6007 {
        world
            .peer
            .add_local_candidate(SocketAddr::new(address(OURS).ip(), port));
    }
    let mut out = [0; Peer::MIN_OUT_RELAYED];
    std::iter::from_fn(|| world.peer.poll_transmit(world.now, &mut out)).count()
}

#[test]
fn streams_have_places_however_many_addresses_there_are() {
    for (streams, over_udp) in [(0, 8), (1, 7), (4, 4)] {
        let queries = [&[UDP][..], &[TCP; 4][..streams]].concat();
        let mut world = World::new(&queries);
        assert_eq!(ask_from_eight(&mut world), over_udp);
        for nth in 0..streams {
            let stream = RelayStreamId(nth as u32);
            world.peer.relay_stream_opened(world.now, stream, address(OURS));
        }
        world.drain();
        assert_eq!(world.count(|event| matches!(event, Event::CloseRelayStream(_))), 0);
        assert_eq!(world.counter("relays_dropped"), streams as u64);
    }
}

#[test]
fn a_stream_that_no_place_is_left_for_is_to_be_closed() {
    let mut world = World::new(&[UDP, TCP, TCP, TCP, TCP, TCP]);
    assert_eq!(ask_from_eight(&mut world), 4);
    for nth in 0..5 {
        world
            .peer
            .relay_stream_opened(world.now, RelayStreamId(nth), address(OURS));
    }
    world.drain();
    let closed = |event: &Event| matches!(event, Event::CloseRelayStream(_));
    assert_eq!(world.count(closed), 1);
    assert_eq!(
        world.count(|event| *event == Event::CloseRelayStream(RelayStreamId(4))),
        1
    );
    assert_eq!(world.counter("relays_dropped"), 5);
}

#[test]
fn nothing_is_told_behind_the_end() {
    let mut world = World::new(&[TCP; 2]);
    world.peer.close(world.now);
    world.peer.relay_stream_closed(world.now, RelayStreamId(0));
    world
        .peer
        .relay_stream_opened(world.now, RelayStreamId(1), address(OURS));
    world.drain();
    let end = Event::Closed {
        reason: CloseReason::Local,
    };
    assert_eq!(world.events.last(), Some(&end));
    let mut out = [0; Peer::MIN_OUT_RELAYED];
    assert_eq!(world.peer.poll_transmit(world.now, &mut out), None);
}

/// The answer of a server that sends us to another one.
fn redirected(id: TransactionId, to: &str) -> Vec<u8> {
    let mut out = [0; 200];
    let mut answer = Builder::new(&mut out, Class::ErrorResponse, Method::ALLOCATE, id).unwrap();
    answer.error_code(ErrorCode::TRY_ALTERNATE).unwrap();
    answer.push(&Value::AlternateServer(address(to))).unwrap();
    answer.push(&Value::AlternateDomain("other.example.org")).unwrap();
    answer.finish().to_vec()
}

#[test]
fn a_server_over_tcp_sends_us_to_another_one() {
    for opens in [true, false] {
        let mut world = World::new(&[TCP]);
        world.open_stream(0);
        let mut out = [0; Peer::MIN_OUT_RELAYED];
        let asked = world.peer.poll_transmit(world.now, &mut out).unwrap();
        let id = Message::parse(&out[..asked.len]).unwrap().transaction_id();
        let mut answer = redirected(id, SERVERS[1]);
        let mut sink = Collected::default();
        world
            .peer
            .handle_relay_stream(world.now, RelayStreamId(0), &mut answer, &mut sink);
        world.drain();
        assert_eq!(
            world.count(|event| *event == Event::CloseRelayStream(RelayStreamId(0))),
            1
        );
        let wanted = world.events.iter().rev().find_map(|event| match event {
            Event::OpenRelayStream(wanted) => Some(wanted),
            _ => None,
        });
        let wanted = wanted.unwrap();
        assert_eq!((wanted.id, wanted.server), (RelayStreamId(1), address(SERVERS[1])));
        // That the caller closes the first one is no news.
        world.peer.relay_stream_closed(world.now, RelayStreamId(0));
        let failed = |event: &Event| matches!(event, Event::RelayFailed { .. });
        let gathered = |event: &Event| *event == Event::GatheringComplete;
        world.drain();
        assert_eq!((world.count(failed), world.count(gathered)), (0, 0));
        if opens {
            world.open_stream(1);
            world.allocate(RELAYED);
            assert_eq!((world.count(is_candidate), world.count(failed)), (1, 0));
        } else {
            world.peer.relay_stream_closed(world.now, RelayStreamId(1));
            world.drain();
            assert_eq!((world.count(is_candidate), world.count(failed)), (0, 1));
        }
        assert_eq!(world.count(gathered), 1);
    }
}

#[test]
fn a_server_over_udp_sends_us_to_another_one() {
    let mut world = World::new(&[UDP]);
    let mut out = [0; Peer::MIN_OUT_RELAYED];
    let asked = world.peer.poll_transmit(world.now, &mut out).unwrap();
    let id = Message::parse(&out[..asked.len]).unwrap().transaction_id();
    let mut answer = redirected(id, SERVERS[1]);
    let mut sink = Collected::default();
    world
        .peer
        .handle_datagram(world.now, &asked.path, &mut answer, &mut sink);
    let again = world.peer.poll_transmit(world.now, &mut out).unwrap();
    assert_eq!(again.path, Path::udp(address(OURS), address(SERVERS[1])));
    let id = Message::parse(&out[..again.len]).unwrap().transaction_id();
    let mut answer = allocated(id, RELAYED);
    world
        .peer
        .handle_datagram(world.now, &again.path, &mut answer, &mut sink);
    world.drain();
    assert_eq!(world.count(is_candidate), 1, "{:?}", world.events);
}
