//! A server that follows clients from address to address by their connection IDs (RFC 9146 §6), in virtual time, and those who
//! would like to be followed in their place.

mod pair;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dtls_srtp::{Config, ConnectionId, ConnectionIds, Dtls, Event, Role, Version, fake, peek_connection_id};
use pair::{End, Network};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use wire::Seed;

/// An address with its port.
type Address = u32;

const SERVER: Address = 0;
const ID_LEN: usize = 8;

fn config(number: u64, version: Version, connection_ids: Option<ConnectionIds>) -> Arc<Config> {
    Arc::new(Config {
        versions: vec![version],
        connection_ids,
        ..Config::new(Arc::new(fake::FakeCrypto::new()), fake::certificate(number))
    })
}

fn random() -> Option<ConnectionIds> {
    ConnectionIds::random(&[], ID_LEN)
}

/// A connection of the server's.
struct Connection {
    end: End,
    /// Where the client is: proven by an answer from there.
    peer: Address,
    /// Where it may be now, and what it has to say from there.
    candidate: Option<(Address, String)>,
    /// What it has said, but for answers.
    heard: Vec<String>,
}

/// One socket for all clients.
struct Server {
    config: Arc<Config>,
    connections: Vec<Connection>,
    by_id: HashMap<ConnectionId, usize>,
    by_address: HashMap<Address, usize>,
    rng: StdRng,
}

impl Server {
    /// Takes a datagram and returns what is to be sent where, beyond what the connections have to say.
    fn handle(&mut self, now: Instant, from: Address, datagram: &[u8]) -> Option<(Address, Vec<u8>)> {
        let by_id = peek_connection_id(datagram, ID_LEN).and_then(|id| self.by_id.get(id));
        let known = by_id.or_else(|| self.by_address.get(&from)).copied();
        let at = known.unwrap_or_else(|| self.meet(now, from));
        let connection = &mut self.connections[at];
        let before = connection.end.dtls.newer_records();
        connection.end.handle(now, datagram);
        let is_newer = connection.end.dtls.newer_records() > before;
        if connection.end.events.contains(&Event::ConnectionIds) {
            connection.end.events.clear();
            self.by_id.retain(|_, owner| *owner != at);
            self.by_id
                .extend(connection.end.dtls.connection_ids().map(|id| (id.clone(), at)));
        }
        for said in std::mem::take(&mut connection.end.received) {
            let said = String::from_utf8(said).unwrap();
            match &connection.candidate {
                Some((address, challenge)) if said == format!("pong {challenge}") => {
                    // Only from there, and in a datagram that is newer than all others.
                    if is_newer && from == *address {
                        self.by_address.remove(&connection.peer);
                        self.by_address.insert(from, at);
                        connection.peer = from;
                        connection.candidate = None;
                    }
                }
                _ if said.starts_with("pong") => {}
                _ => connection.heard.push(said),
            }
        }
        if !is_newer || from == connection.peer || !connection.end.dtls.is_connected() {
            return None;
        }
        let challenge = match &connection.candidate {
            Some((address, challenge)) if *address == from => challenge.clone(),
            _ => self.rng.random::<u64>().to_string(),
        };
        let ping = connection.end.seal(format!("ping {challenge}").as_bytes());
        connection.candidate = Some((from, challenge));
        Some((from, ping))
    }

    /// A client that is not known.
    fn meet(&mut self, now: Instant, from: Address) -> usize {
        let at = self.connections.len();
        let mut dtls = Dtls::new(self.config.clone(), Role::Server, Seed::from_run(1000 + at as u64), now);
        dtls.set_remote_fingerprints(vec![fake::certificate(1).fingerprint()]);
        let end = End {
            dtls,
            events: Vec::new(),
            received: Vec::new(),
        };
        self.connections.push(Connection {
            end,
            peer: from,
            candidate: None,
            heard: Vec::new(),
        });
        self.by_address.insert(from, at);
        at
    }
}

struct Client {
    end: End,
    address: Address,
    heard: Vec<String>,
}

/// The server, its clients, and what is on its way.
struct Scene {
    now: Instant,
    network: Network,
    server: Server,
    clients: Vec<Client>,
    on_the_way: BTreeMap<(Instant, u64), (Address, Address, Vec<u8>)>,
    /// What clients have sent: from where, what.
    sent: Vec<(Address, Vec<u8>)>,
    rng: StdRng,
}

impl Scene {
    /// With so many clients, at the addresses 100, 200 and so on, all of them connected.
    fn new(version: Version, ids: Option<ConnectionIds>, clients: u32, network: Network, run: u64) -> Self {
        let now = Instant::now();
        let client = |number: u32| {
            // It wants no ids: there is one connection on its socket.
            let ours = ids.as_ref().map(|_| ConnectionIds::none());
            let seed = 100 * run + u64::from(number);
            let mut end = End::new(config(1, version, ours), Role::Client, seed, now);
            end.dtls
                .set_remote_fingerprints(vec![fake::certificate(2).fingerprint()]);
            Client {
                end,
                address: 100 * number,
                heard: Vec::new(),
            }
        };
        let mut scene = Self {
            now,
            network,
            server: Server {
                config: config(2, version, ids.clone()),
                connections: Vec::new(),
                by_id: HashMap::new(),
                by_address: HashMap::new(),
                rng: StdRng::seed_from_u64(run),
            },
            clients: (1..=clients).map(client).collect(),
            on_the_way: BTreeMap::new(),
            sent: Vec::new(),
            rng: StdRng::seed_from_u64(run),
        };
        scene.run_for(Duration::from_secs(30));
        assert!(scene.clients.iter().all(|client| client.end.dtls.is_connected()));
        scene
    }

    fn send(&mut self, from: Address, to: Address, datagram: Vec<u8>) {
        if from != SERVER {
            self.sent.push((from, datagram.clone()));
        }
        if self.rng.random_range(0..100) < self.network.loss_percent {
            return;
        }
        let jitter = self.rng.random_range(0..=self.network.jitter.as_micros() as u64);
        let at = self.now + self.network.delay + Duration::from_micros(jitter);
        self.on_the_way.insert((at, self.rng.random()), (from, to, datagram));
    }

    fn flush(&mut self) {
        let now = self.now;
        let mut out = Vec::new();
        for client in &mut self.clients {
            let datagrams = client.end.transmits(now);
            out.extend(datagrams.into_iter().map(|datagram| (client.address, SERVER, datagram)));
        }
        for connection in &mut self.server.connections {
            let datagrams = connection.end.transmits(now);
            out.extend(
                datagrams
                    .into_iter()
                    .map(|datagram| (SERVER, connection.peer, datagram)),
            );
        }
        for (from, to, datagram) in out {
            self.send(from, to, datagram);
        }
    }

    fn deliver(&mut self, from: Address, to: Address, datagram: &[u8]) {
        let now = self.now;
        if to == SERVER {
            if let Some((to, datagram)) = self.server.handle(now, from, datagram) {
                self.send(SERVER, to, datagram);
            }
            return;
        }
        // Nobody is at an address that was left.
        let Some(at) = self.clients.iter().position(|client| client.address == to) else {
            return;
        };
        self.clients[at].end.handle(now, datagram);
        for said in std::mem::take(&mut self.clients[at].end.received) {
            let said = String::from_utf8(said).unwrap();
            match said.strip_prefix("ping ") {
                Some(challenge) => self.say(at, &format!("pong {challenge}")),
                None => self.clients[at].heard.push(said),
            }
        }
    }

    fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            self.flush();
            let arrival = self.on_the_way.first_key_value().map(|((at, _), _)| *at);
            let clients = self.clients.iter().filter_map(|client| client.end.dtls.poll_timeout());
            let servers = self.server.connections.iter();
            let servers = servers.filter_map(|connection| connection.end.dtls.poll_timeout());
            let Some(next) = clients.chain(servers).chain(arrival).min().filter(|at| *at <= until) else {
                break;
            };
            self.now = self.now.max(next);
            if arrival.is_some_and(|at| at <= self.now) {
                let (_, (from, to, datagram)) = self.on_the_way.pop_first().unwrap();
                self.deliver(from, to, &datagram);
                continue;
            }
            for client in &mut self.clients {
                client.end.timeout(self.now);
            }
            for connection in &mut self.server.connections {
                connection.end.timeout(self.now);
            }
        }
        self.now = until;
    }

    fn run(&mut self) {
        self.run_for(Duration::from_millis(500));
    }

    /// The client says something.
    fn say(&mut self, client: usize, data: &str) {
        let datagram = self.clients[client].end.seal(data.as_bytes());
        self.send(self.clients[client].address, SERVER, datagram);
    }

    /// The server says something to the client of a connection, where it believes that that is.
    fn answer(&mut self, connection: usize, data: &str) {
        let connection = &mut self.server.connections[connection];
        let datagram = connection.end.seal(data.as_bytes());
        let to = connection.peer;
        self.send(SERVER, to, datagram);
    }

    fn connection(&self, at: usize) -> &Connection {
        &self.server.connections[at]
    }
}

const VERSIONS: [Version; 2] = [Version::DTLS_1_2, Version::DTLS_1_3];

/// A scene with one client on a good network.
fn one(version: Version) -> Scene {
    Scene::new(version, random(), 1, Network::CLEAN, 1)
}

#[test]
fn clients_that_move_are_followed() {
    for version in VERSIONS {
        let mut scene = Scene::new(version, random(), 3, Network::CLEAN, 1);
        let owners: Vec<_> = [100, 200, 300]
            .map(|address| scene.server.by_address[&address])
            .to_vec();
        for move_number in 1..4 {
            for client in 0..3 {
                scene.clients[client].address += 1;
                scene.say(client, &format!("I am {client} and moved {move_number} times"));
            }
            scene.run();
            for (client, &owner) in owners.iter().enumerate() {
                assert_eq!(scene.connection(owner).peer, scene.clients[client].address);
                scene.answer(owner, &format!("you are {client}"));
            }
            scene.run();
        }
        assert_eq!(scene.server.connections.len(), 3);
        for (client, &owner) in owners.iter().enumerate() {
            assert_eq!(scene.connection(owner).heard.len(), 3);
            assert!(
                scene
                    .connection(owner)
                    .heard
                    .iter()
                    .all(|said| said.contains(&format!("I am {client}")))
            );
            assert_eq!(scene.clients[client].heard, vec![format!("you are {client}"); 3]);
        }
    }
}

/// What it is good for.
#[test]
fn without_ids_nobody_is_followed() {
    for version in VERSIONS {
        let mut scene = Scene::new(version, None, 1, Network::CLEAN, 1);
        scene.clients[0].address = 101;
        scene.say(0, "I moved");
        scene.run();
        assert_eq!((scene.connection(0).peer, scene.connection(0).heard.len()), (100, 0));
        assert_eq!(scene.connection(0).end.dtls.newer_records(), 0);
    }
}

/// RFC 9146 §6: what was sent before the change reverts nothing, and is taken nevertheless.
#[test]
fn late_datagrams_from_the_old_address_revert_nothing() {
    for version in VERSIONS {
        let mut scene = one(version);
        let late = scene.clients[0].end.seal(b"before");
        scene.clients[0].address = 101;
        scene.say(0, "after");
        scene.run();
        assert_eq!(scene.connection(0).peer, 101);
        scene.deliver(100, SERVER, &late);
        scene.run();
        assert_eq!(scene.connection(0).heard, ["after", "before"]);
        assert_eq!(scene.connection(0).peer, 101);
        assert!(scene.connection(0).candidate.is_none());
    }
}

#[test]
fn repeated_and_forged_datagrams_from_elsewhere_change_nothing() {
    for version in VERSIONS {
        let mut scene = one(version);
        scene.say(0, "something");
        scene.run();
        let seen = scene.sent.last().unwrap().1.clone();
        scene.deliver(66, SERVER, &seen);
        let mut forged = scene.clients[0].end.seal(b"something else");
        *forged.last_mut().unwrap() ^= 1;
        scene.deliver(66, SERVER, &forged);
        scene.run();
        let connection = scene.connection(0);
        assert_eq!((connection.peer, connection.candidate.is_none()), (100, true));
        assert_eq!(connection.heard, ["something"]);
        let counters = connection.end.dtls.counters();
        assert_eq!((counters.replayed_records, counters.unauthenticated_records), (1, 1));
        assert!(!scene.server.by_address.contains_key(&66));
    }
}

/// Somebody on the way is faster than the genuine datagram. He is asked whether he is the peer, and cannot answer.
#[test]
fn who_is_faster_is_asked_and_not_followed() {
    for version in VERSIONS {
        let mut scene = one(version);
        let genuine = scene.clients[0].end.seal(b"something");
        scene.deliver(66, SERVER, &genuine);
        scene.deliver(100, SERVER, &genuine);
        scene.run();
        assert!(
            scene
                .connection(0)
                .candidate
                .as_ref()
                .is_some_and(|(address, _)| *address == 66)
        );
        assert_eq!(scene.connection(0).peer, 100);
        scene.answer(0, "still here?");
        scene.run();
        assert_eq!(scene.clients[0].heard, ["still here?"]);
        // Nor when he repeats what the client answers to its true address.
        scene.clients[0].address = 101;
        scene.say(0, "I moved");
        scene.run();
        assert_eq!(scene.connection(0).peer, 101);
        let pong = scene.sent.last().unwrap().1.clone();
        scene.deliver(66, SERVER, &pong);
        assert_eq!(scene.connection(0).peer, 101);
    }
}

/// Clients that move all the time, over a network that loses and reorders, are found as soon as they stay.
#[test]
fn clients_are_followed_over_bad_networks() {
    for seed in 0..30 {
        let version = VERSIONS[seed as usize % 2];
        let network = Network {
            loss_percent: 30,
            ..Network::BAD
        };
        let mut scene = Scene::new(version, random(), 2, network, seed);
        for step in 0..20 {
            for client in 0..2 {
                scene.clients[client].address += 1;
                for part in 0..3 {
                    scene.say(client, &format!("{step} {part}"));
                }
            }
            scene.run_for(Duration::from_millis(70));
        }
        // What they say every 100 ms gets through soon.
        for _ in 0..50 {
            for client in 0..2 {
                scene.say(client, "here");
            }
            scene.run_for(Duration::from_millis(100));
        }
        assert_eq!(scene.server.connections.len(), 2);
        let mut found: Vec<_> = scene
            .server
            .connections
            .iter()
            .map(|connection| connection.peer)
            .collect();
        found.sort_unstable();
        assert_eq!(found, [120, 220], "seed {seed}");
    }
}

/// RFC 9147 §9, §11: who has spare ids can move without anybody on the way being able to tell by the id that it was him.
#[test]
fn addresses_share_no_id() {
    let mut scene = one(Version::DTLS_1_3);
    for address in 101..130 {
        scene.clients[0].end.dtls.request_connection_ids(4);
        scene.say(0, "staying");
        scene.run();
        scene.clients[0].address = address;
        assert!(scene.clients[0].end.dtls.change_connection_id());
        scene.say(0, "moved");
        scene.run();
        assert_eq!(scene.connection(0).peer, address);
    }
    assert_eq!(scene.server.connections.len(), 1);
    let mut seen: BTreeMap<&[u8], BTreeSet<Address>> = BTreeMap::new();
    for (from, datagram) in &scene.sent {
        if let Some(id) = peek_connection_id(datagram, ID_LEN) {
            seen.entry(id).or_default().insert(*from);
        }
    }
    assert_eq!(seen.len(), 30);
    assert!(seen.values().all(|addresses| addresses.len() == 1));
    assert!(scene.server.by_id.len() <= 8);
}
