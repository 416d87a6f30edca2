//! Names of mDNS in place of addresses, between two peers on a link, in virtual time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dtls_srtp::fake::{self, FakeCrypto};
use ice::mdns::{self, LocalName, Subnet};
use peer::testing::Collected;
use peer::{Config, Direction, Event, IceServer, IceTransportPolicy, Kind, Mdns, Peer, State};
use stun::{Builder, Class, Message, Method, Value};
use wire::{Path, Seed, Transmit};

const HOSTS: [&str; 2] = ["192.0.2.1:4001", "192.0.2.2:4002"];
const TURN: &str = "198.51.100.1:3478";
const RELAYED: &str = "198.51.100.1:50000";
const NOBODY: &str = "1f4712db-ea17-4bcf-a596-105139dfd8bf.local";

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn socket(host: usize) -> SocketAddr {
    SocketAddr::new(address(HOSTS[host]).ip(), mdns::PORT)
}

fn config(host: usize, conceal: bool) -> Config {
    let crypto = Arc::new(FakeCrypto::new());
    let certificate = fake::certificate(host as u64 + 1);
    let mut config = Config::new(Arc::new(dtls_srtp::Config::new(crypto, certificate)));
    config.ice.mode = ice::Mode::Full;
    config.mdns = Some(Mdns {
        link: mdns::Config {
            ipv4: Some(socket(host)),
            subnets: vec![Subnet {
                address: address(HOSTS[host]).ip(),
                prefix: 24,
            }],
            ..mdns::Config::default()
        },
        conceal,
    });
    config
}

/// Two peers on a link: the first one offers.
struct Link {
    now: Instant,
    peers: [Peer; 2],
    events: [Vec<Event>; 2],
    sinks: [Collected; 2],
    /// Nothing of mDNS gets through.
    deaf: bool,
    /// Nothing of the call does.
    cut: bool,
    /// The ports that the first one has checked.
    tried: BTreeSet<u16>,
    /// What was sent of mDNS.
    said: Vec<(usize, Path, Vec<u8>)>,
}

impl Link {
    fn new(configs: [Config; 2]) -> Self {
        let now = Instant::now();
        let mut host = 0;
        let mut peers = configs.map(|config| {
            let mut peer = Peer::new(Arc::new(config), Seed::from_run(host as u64 + 1), now);
            peer.add_local_candidate(address(HOSTS[host]));
            peer.end_of_local_candidates(now);
            host += 1;
            peer
        });
        peers[0].add_section(Kind::Audio, Direction::SendRecv).unwrap();
        Self {
            now,
            peers,
            events: Default::default(),
            sinks: Default::default(),
            deaf: false,
            cut: false,
            tried: BTreeSet::new(),
            said: Vec::new(),
        }
    }

    fn negotiate(&mut self) -> [String; 2] {
        let [caller, callee] = &mut self.peers;
        let offer = caller.offer().unwrap();
        let answer = callee.accept_offer(self.now, &offer).unwrap();
        caller.accept_answer(self.now, &answer).unwrap();
        [offer, answer]
    }

    /// Carries everything that there is to its reader, at once.
    fn exchange(&mut self) {
        let mut out = [0; Peer::MIN_OUT_RELAYED];
        let mut quiet = false;
        while !quiet {
            quiet = true;
            for from in 0..2 {
                let to = 1 - from;
                while let Some(Transmit { path, len, .. }) = self.peers[from].poll_transmit(self.now, &mut out) {
                    quiet = false;
                    let back = Path::udp(path.remote, path.local);
                    if from == 0 {
                        self.tried.insert(path.remote.port());
                    }
                    if !self.cut && path.remote == address(HOSTS[to]) {
                        self.peers[to].handle_datagram(self.now, &back, &mut out[..len], &mut self.sinks[to]);
                    }
                }
                while let Some(Transmit { path, len, .. }) = self.peers[from].poll_mdns_transmit(self.now, &mut out) {
                    quiet = false;
                    self.said.push((from, path, out[..len].to_vec()));
                    let group = path.remote.ip().is_multicast();
                    if !self.deaf && (group || path.remote == socket(to)) {
                        let path = Path::udp(path.remote, path.local);
                        self.peers[to].handle_mdns(self.now, &path, &out[..len]);
                    }
                }
                self.events[from].extend(std::iter::from_fn(|| self.peers[from].poll_event()));
            }
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.exchange();
            let next = self.peers.iter().filter_map(Peer::poll_timeout).min();
            let Some(next) = next.filter(|next| *next <= end) else {
                break;
            };
            self.now = self.now.max(next);
            self.peers.iter_mut().for_each(|peer| peer.handle_timeout(self.now));
        }
        self.now = end;
    }

    fn counters(&self, host: usize) -> BTreeMap<&'static str, u64> {
        let mut counters = BTreeMap::new();
        self.peers[host].each_counter(&mut |name, value| {
            if value > 0 {
                counters.insert(name, value);
            }
        });
        counters
    }

    fn is_connected(&self) -> bool {
        self.peers.iter().all(|peer| peer.state() == State::Connected)
    }

    /// How often a host has asked, for the addresses of both families each time.
    fn queries(&self, host: usize) -> usize {
        let said = self.said.iter().filter(|(from, ..)| *from == host);
        said.filter(|(.., message)| message[2] & 0x80 == 0).count() / 2
    }

    fn trickle(&mut self, host: usize, candidate: &str) {
        self.peers[host]
            .add_remote_candidate(self.now, None, candidate)
            .unwrap();
    }
}

fn candidate(name: &str, port: u16) -> String {
    format!("candidate:{port} 1 udp 2113937151 {name} {port} typ host")
}

/// The names in candidates.
fn names(text: &str) -> Vec<LocalName> {
    let lines = text.lines().filter(|line| line.contains("candidate:"));
    lines.filter_map(|line| line.split(' ').nth(4)?.parse().ok()).collect()
}

#[test]
fn two_that_conceal_their_addresses_meet() {
    let mut link = Link::new([config(0, true), config(1, true)]);
    let texts = link.negotiate();
    for text in &texts {
        assert_eq!(names(text).len(), 1, "{text}");
        assert!(!text.contains("192.0.2."), "{text}");
    }
    assert_ne!(names(&texts[0]), names(&texts[1]));
    link.run(Duration::from_secs(1));
    assert!(link.is_connected());
    for host in 0..2 {
        let trickled = link.events[host].iter().find_map(|event| match event {
            Event::Candidate(candidate) => Some(candidate),
            _ => None,
        });
        let trickled = trickled.unwrap();
        assert_eq!(names(trickled), names(&texts[host]), "{trickled}");
        assert_eq!(link.counters(host), BTreeMap::new());
        assert!(link.queries(host) > 0);
        let local = link.peers[host].selected_path().unwrap().local;
        assert_eq!(local, address(HOSTS[host]));
    }
    // To the group, or to who asked.
    let group = SocketAddr::from((mdns::GROUP_IPV4, mdns::PORT));
    let expected = |(from, path, _): &(usize, Path, Vec<u8>)| {
        path.local == socket(*from) && (path.remote == group || path.remote == socket(1 - from))
    };
    assert!(link.said.iter().all(expected), "{:?}", link.said);
}

#[test]
fn one_end_may_tell_its_address() {
    let mut link = Link::new([config(0, false), config(1, true)]);
    // Without the name there is the address of the checks; without these there is the name.
    let [offer, answer] = link.negotiate();
    assert_eq!((names(&offer).len(), names(&answer).len()), (0, 1));
    link.run(Duration::from_secs(1));
    assert!(link.is_connected() && link.queries(0) > 0 && link.queries(1) == 0);
}

#[test]
fn a_name_that_nobody_answers_for_is_given_up() {
    let mut link = Link::new([config(0, true), config(1, true)]);
    link.deaf = true;
    link.negotiate();
    link.run(Duration::from_millis(4999));
    assert_eq!(link.counters(0), BTreeMap::new());
    assert_eq!(link.queries(0), 3);
    link.run(Duration::from_millis(1));
    for host in 0..2 {
        assert_eq!(link.counters(host), BTreeMap::from([("unresolved_names", 1)]));
        assert_ne!(link.peers[host].state(), State::Connected);
    }
    // It is not asked for any more, and the call may be saved by others.
    link.run(Duration::from_secs(3));
    assert_eq!(link.queries(0), 3);
    link.trickle(0, &candidate("192.0.2.2", 4002));
    link.run(Duration::from_secs(1));
    assert!(link.is_connected());
}

#[test]
fn candidates_of_one_address_share_their_name() {
    let mut link = Link::new([config(0, false), config(1, true)]);
    link.cut = true;
    let [_, answer] = link.negotiate();
    let name = names(&answer)[0].to_string();
    for port in [5000, 5001] {
        link.trickle(0, &candidate(&name, port));
    }
    link.run(Duration::from_millis(500));
    assert_eq!((link.queries(0), &link.tried), (1, &BTreeSet::from([4002, 5000, 5001])));
    // What comes late is known.
    link.trickle(0, &candidate(&name, 5002));
    link.run(Duration::from_millis(500));
    assert_eq!((link.queries(0), link.tried.len()), (1, 4));
    assert_eq!(link.counters(0), BTreeMap::new());
}

#[test]
fn names_that_come_before_their_description_wait_for_it() {
    let mut link = Link::new([config(0, false), config(1, true)]);
    let offer = link.peers[0].offer().unwrap();
    let answer = link.peers[1].accept_offer(link.now, &offer).unwrap();
    let line = answer.lines().find(|line| line.starts_with("a=candidate")).unwrap();
    link.trickle(0, &line[2..]);
    link.exchange();
    assert_eq!(link.queries(0), 0);
    // Those in the answer are gone on their way.
    let without: String = answer
        .lines()
        .filter(|other| *other != line)
        .map(|line| format!("{line}\r\n"))
        .collect();
    link.peers[0].accept_answer(link.now, &without).unwrap();
    link.run(Duration::from_secs(1));
    assert!(link.is_connected());
    assert_eq!(link.queries(0), 1);
}

#[test]
fn a_restart_makes_names_void() {
    let mut link = Link::new([config(0, false), config(1, false)]);
    link.negotiate();
    link.run(Duration::from_secs(1));
    assert!(link.is_connected());
    link.trickle(0, &candidate(NOBODY, 9));
    link.trickle(1, &candidate(NOBODY, 9));
    link.exchange();
    assert_eq!((link.queries(0), link.queries(1)), (1, 1));
    link.peers[0].restart_ice(link.now).unwrap();
    let offer = link.peers[0].offer().unwrap();
    assert_eq!(link.counters(0), BTreeMap::from([("stale_candidates", 1)]));
    let answer = link.peers[1].accept_offer(link.now, &offer).unwrap();
    link.peers[0].accept_answer(link.now, &answer).unwrap();
    link.run(Duration::from_secs(6));
    for host in 0..2 {
        assert_eq!(link.counters(host), BTreeMap::from([("stale_candidates", 1)]));
        assert_eq!(link.queries(host), 1);
    }
    // The same name is one of the new session.
    link.trickle(0, &candidate(NOBODY, 9));
    link.run(Duration::from_secs(6));
    let counters = BTreeMap::from([("stale_candidates", 1), ("unresolved_names", 1)]);
    assert_eq!((link.counters(0), link.queries(0)), (counters, 4));
}

#[test]
fn names_are_bounded_with_all_candidates() {
    let mut configs = [config(0, false), config(1, false)];
    configs[0].ice.max_remote_candidates = 3;
    let mut link = Link::new(configs);
    // One is in the answer.
    link.negotiate();
    for port in [1, 2, 2, 1, 3] {
        link.trickle(0, &candidate(NOBODY, port));
    }
    assert_eq!(link.counters(0), BTreeMap::from([("names_overflow", 1)]));
    link.run(Duration::from_secs(6));
    let counters = BTreeMap::from([("names_overflow", 1), ("unresolved_names", 2)]);
    assert_eq!(link.counters(0), counters);
}

#[test]
fn addresses_without_a_name_are_not_told() {
    let mut config = config(0, true);
    config.mdns.as_mut().unwrap().link.max_names = 1;
    let now = Instant::now();
    let mut peer = Peer::new(Arc::new(config), Seed::from_run(1), now);
    for host in ["192.0.2.1:1", "192.0.2.1:2", "192.0.2.9:1", "127.0.0.1:1"] {
        peer.add_local_candidate(address(host));
    }
    peer.add_section(Kind::Audio, Direction::SendRecv).unwrap();
    peer.end_of_local_candidates(now);
    let offer = peer.offer().unwrap();
    // Loopback tells nothing that is not so everywhere.
    assert!(
        !offer.contains("192.0.2.") && offer.contains("127.0.0.1 1 typ host"),
        "{offer}"
    );
    assert_eq!(names(&offer).len(), 2, "{offer}");
    assert_eq!(peer.counters().names_overflow, 1);
    let told = std::iter::from_fn(|| peer.poll_event()).filter(|event| matches!(event, Event::Candidate(_)));
    assert_eq!(told.count(), 3);
}

#[test]
fn a_lite_end_and_one_that_wants_relays_alone_say_nothing() {
    let mut lite = config(1, true);
    lite.ice.mode = ice::Mode::Lite;
    let mut link = Link::new([config(0, true), lite]);
    let [offer, answer] = link.negotiate();
    assert!(
        names(&offer).len() == 1 && answer.contains("192.0.2.2 4002 typ host"),
        "{answer}"
    );
    link.run(Duration::from_secs(6));
    assert!(link.is_connected() && link.said.iter().all(|(host, ..)| *host == 0));
    assert_eq!(link.counters(1), BTreeMap::new());

    let mut relayed = config(0, true);
    relayed.ice_transport_policy = IceTransportPolicy::Relay;
    let mut link = Link::new([relayed, config(1, true)]);
    link.negotiate();
    link.run(Duration::from_secs(6));
    assert_eq!(link.queries(0), 0);
    assert_eq!(link.counters(0), BTreeMap::new());
}

#[test]
fn the_end_is_said_of_names_too() {
    let mut link = Link::new([config(0, true), config(1, true)]);
    link.negotiate();
    link.run(Duration::from_secs(3));
    link.said.clear();
    link.peers[0].close(link.now);
    link.exchange();
    let goodbyes: Vec<_> = link.said.iter().filter(|(host, ..)| *host == 0).collect();
    // One answer with TTL 0 (RFC 6762 §10.1), in front of the length of the address and the address.
    let [(_, path, message)] = goodbyes[..] else {
        panic!("{goodbyes:?}");
    };
    assert!(path.remote.ip().is_multicast());
    assert_eq!(message[message.len() - 10..], [0, 0, 0, 0, 0, 4, 192, 0, 2, 1]);
    // Nothing is answered or asked any more.
    let before = link.said.len();
    let path = Path::udp(socket(0), socket(1));
    link.peers[0].handle_mdns(link.now, &path, &[0; 12]);
    link.peers[0].handle_timeout(link.now + Duration::from_secs(9));
    link.exchange();
    assert_eq!((link.said.len(), link.peers[0].poll_timeout()), (before, None));
}

/// The other end's address is what a TURN server must not learn (draft, Interactions With TURN Servers).
#[test]
fn no_server_learns_of_an_address_that_was_a_name() {
    for hidden in [true, false] {
        let mut caller = config(0, false);
        caller.ice_servers = vec![IceServer::new(&format!("turn:{TURN}"), &[], Some(("ann", "secret"))).unwrap()];
        let mut link = Link::new([caller, config(1, hidden)]);
        link.cut = true;
        let peer = &mut link.peers[0];
        let mut out = [0; Peer::MIN_OUT_RELAYED];
        while let Some(transmit) = peer.poll_transmit(link.now, &mut out) {
            let request = Message::parse(&out[..transmit.len]).unwrap();
            if request.method() == Method::ALLOCATE {
                let id = request.transaction_id();
                let mut answer = [0; 200];
                let mut answer = Builder::new(&mut answer, Class::SuccessResponse, Method::ALLOCATE, id).unwrap();
                answer.push(&Value::XorRelayedAddress(address(RELAYED))).unwrap();
                answer.push(&Value::XorMappedAddress(address(HOSTS[0]))).unwrap();
                answer.push(&Value::Lifetime(600)).unwrap();
                let mut answer = answer.finish().to_vec();
                peer.handle_datagram(link.now, &transmit.path, &mut answer, &mut link.sinks[0]);
            }
        }
        link.negotiate();
        let mut asked = false;
        for _ in 0..100 {
            // Names are resolved meanwhile.
            link.now += Duration::from_millis(20);
            link.peers.iter_mut().for_each(|peer| peer.handle_timeout(link.now));
            while let Some(transmit) = link.peers[0].poll_transmit(link.now, &mut out) {
                let to_server = transmit.path.remote == address(TURN);
                asked |= to_server && Message::parse(&out[..transmit.len]).unwrap().method() != Method::BINDING;
            }
            link.exchange();
        }
        assert_eq!(link.queries(0) > 0, hidden);
        assert_eq!(asked, !hidden);
        assert_eq!(link.counters(0).get("unresolved_names"), None);
    }
}
