//! What a TURN server learns of the peer's addresses: none that mDNS hides.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use peer::testing::{Collected, Pair};
use peer::{Direction, IceServer, Kind, Peer};
use stun::{AttributeType, Builder, Class, Key, Message, Method, TransactionId, Value};
use wire::{Path, Seed};

const OURS: &str = "198.51.100.7:5000";
const SERVER: &str = "192.0.2.50:3478";
const RELAYED: &str = "192.0.2.60:4000";
const SIGNALLED: &str = "203.0.113.9:6000";
/// Nobody has signalled it: its mDNS name is all that was.
const HIDDEN: &str = "198.51.100.8:7000";

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A peer with a TURN server, and what it told that one.
struct World {
    now: Instant,
    peer: Peer,
    allocates: bool,
    told: BTreeSet<SocketAddr>,
    checked: BTreeSet<SocketAddr>,
    checks: u8,
    ufrag: String,
    pwd: String,
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        let mut config = Pair::config();
        config.ice = ice::Config::full(ice::Role::Controlling);
        let mut offering = Peer::new(Arc::new(config.clone()), Seed::from_run(1), now);
        offering.add_section(Kind::Audio, Direction::SendRecv).unwrap();
        let server = IceServer::new(&format!("turn:{SERVER}"), &[], Some(("ann", "secret")));
        config.ice_servers = vec![server.unwrap()];
        let mut peer = Peer::new(Arc::new(config), Seed::from_run(2), now);
        peer.add_local_candidate(address(OURS));
        peer.end_of_local_candidates(now);
        let answer = peer.accept_offer(now, &offering.offer().unwrap()).unwrap();
        let value = |name: &str| {
            answer
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap()
                .to_owned()
        };
        Self {
            now,
            peer,
            allocates: false,
            told: BTreeSet::new(),
            checked: BTreeSet::new(),
            checks: 0,
            ufrag: value("a=ice-ufrag:"),
            pwd: value("a=ice-pwd:"),
        }
    }

    fn signal(&mut self) {
        let candidate = format!("candidate:1 1 udp 2130706431 {} typ host", SIGNALLED.replace(':', " "));
        self.peer.add_remote_candidate(self.now, None, &candidate).unwrap();
    }

    /// A check of the peer's that comes directly.
    fn check(&mut self, from: &str) {
        self.checks += 1;
        let bytes = self.written_check();
        self.give(&Path::udp(address(OURS), address(from)), bytes);
    }

    fn written_check(&self) -> Vec<u8> {
        let mut out = [0; 200];
        let id = TransactionId([self.checks; 12]);
        let mut check = Builder::new(&mut out, Class::Request, Method::BINDING, id).unwrap();
        check.push(&Value::Username(&format!("{}:them", self.ufrag))).unwrap();
        check.push(&Value::IceControlling(1)).unwrap();
        check.push(&Value::Priority(1)).unwrap();
        check.integrity(&Key::short_term(&self.pwd)).unwrap();
        check.fingerprint().unwrap();
        check.finish().to_vec()
    }

    /// The same through the relay.
    fn check_by_relay(&mut self, from: &str) {
        self.checks += 1;
        let check = self.written_check();
        let mut out = [0; 300];
        let id = TransactionId([self.checks; 12]);
        let mut data = Builder::new(&mut out, Class::Indication, Method::DATA, id).unwrap();
        data.push(&Value::XorPeerAddress(address(from))).unwrap();
        data.push(&Value::Data(&check)).unwrap();
        let bytes = data.finish().to_vec();
        self.give(&Path::udp(address(OURS), address(SERVER)), bytes);
    }

    fn give(&mut self, path: &Path, mut bytes: Vec<u8>) {
        let mut sink = Collected::default();
        self.peer.handle_datagram(self.now, path, &mut bytes, &mut sink);
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        let mut out = [0; Peer::MIN_OUT_RELAYED];
        loop {
            while let Some(transmit) = self.peer.poll_transmit(self.now, &mut out) {
                let written = out[..transmit.len].to_vec();
                self.take(&transmit.path, &written);
            }
            while self.peer.poll_event().is_some() {}
            if self.now >= end {
                return;
            }
            self.now += Duration::from_millis(10);
            self.peer.handle_timeout(self.now);
        }
    }

    fn take(&mut self, path: &Path, bytes: &[u8]) {
        let message = Message::parse(bytes).unwrap();
        if path.remote != address(SERVER) {
            self.checked.insert(path.remote);
            return;
        }
        let peers = message
            .attributes()
            .filter(|attribute| attribute.kind() == AttributeType::XOR_PEER_ADDRESS);
        for peer in peers {
            let Ok(Value::XorPeerAddress(peer)) = peer.decode() else {
                panic!()
            };
            self.told.insert(peer);
        }
        let mut out = [0; 200];
        let mut answer = Builder::new(
            &mut out,
            Class::SuccessResponse,
            message.method(),
            message.transaction_id(),
        )
        .unwrap();
        match message.method() {
            Method::ALLOCATE if self.allocates => {
                answer.push(&Value::XorRelayedAddress(address(RELAYED))).unwrap();
                answer.push(&Value::Lifetime(600)).unwrap();
            }
            Method::CREATE_PERMISSION => {}
            _ => return,
        }
        let answer = answer.finish().to_vec();
        self.give(path, answer);
    }
}

fn of(addresses: &[&str]) -> BTreeSet<SocketAddr> {
    addresses.iter().map(|text| address(text)).collect()
}

#[test]
fn what_a_check_came_from_is_not_told_to_a_server() {
    for allocated_first in [true, false] {
        let mut world = World::new();
        world.allocates = allocated_first;
        world.signal();
        world.run(Duration::from_millis(300));
        world.check(HIDDEN);
        world.run(Duration::from_secs(1));
        // Else the pair of relay and hidden address is made last.
        world.allocates = true;
        world.run(Duration::from_secs(8));
        assert!(world.checked.contains(&address(HIDDEN)), "{:?}", world.checked);
        assert_eq!(world.told.iter().map(SocketAddr::ip).collect::<BTreeSet<_>>(), {
            let signalled = address(SIGNALLED);
            BTreeSet::from([signalled.ip()])
        });
        assert!(!world.told.contains(&address(HIDDEN)));
    }
}

#[test]
fn what_came_through_the_relay_is_answered_there() {
    let mut world = World::new();
    world.allocates = true;
    world.signal();
    world.run(Duration::from_millis(300));
    world.told.clear();
    // Another port of an address that is permitted, as a symmetric NAT makes it.
    let other = "203.0.113.9:6001";
    world.check_by_relay(other);
    world.run(Duration::from_secs(2));
    assert!(world.told.is_superset(&of(&[other])), "{:?}", world.told);
}

#[test]
fn what_the_peer_signals_later_may_be_told() {
    let mut world = World::new();
    world.allocates = true;
    world.run(Duration::from_millis(300));
    world.check(SIGNALLED);
    world.run(Duration::from_secs(1));
    assert!(world.told.is_empty(), "{:?}", world.told);
    world.signal();
    world.run(Duration::from_secs(1));
    assert!(world.told.iter().any(|told| told.ip() == address(SIGNALLED).ip()));
}
