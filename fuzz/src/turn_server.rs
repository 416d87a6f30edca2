use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use stun::{AddressFamily, AttributeType, Builder, Class, Key, Message, Method, TransactionId, Value};
use turn::{
    ChannelData, ConnectionId, IcmpError, Outgoing, PeerPolicy, RelayAddress, RelayId, Server, ServerAction,
    ServerConfig, ServerLimits, ServerSink,
};
use wire::{Ecn, Path, Protocol, Reader, Seed};

/// A TURN server under everything that clients, peers, relay sockets and the clock may do, in any order: genuine
/// requests with any attributes, altered ones, noise, data both ways, ports that cannot be bound, connections, the
/// passing of time. Nothing is relayed without a permission that was granted less than five minutes ago, what strangers
/// send changes nothing and is answered in few bytes, what is remembered is bounded, and in the end everything is given
/// back.
///
/// The input is any number of steps: operation, argument, length, that many bytes.
pub fn turn_server(data: &[u8]) {
    run(data);
}

/// Returns how many allocations there were.
fn run(data: &[u8]) -> u64 {
    let mut r = Reader::new(data);
    let mut session = Session::new();
    while let Ok(step) = Step::read(&mut r) {
        session.step(&step);
        session.assert_bounded();
    }
    let made = session.server.traffic().turn_allocations;
    session.pass(Duration::from_secs(3600));
    assert_eq!(session.server.remembered(), 0);
    assert_eq!(session.server.poll_timeout(), None);
    assert!(session.relays.is_empty() && session.connections.is_empty());
    made
}

struct Step<'a> {
    operation: u8,
    argument: u8,
    bytes: &'a [u8],
}

impl<'a> Step<'a> {
    fn read(r: &mut Reader<'a>) -> Result<Self, wire::Error> {
        let (operation, argument) = (r.u8()?, r.u8()?);
        let len = usize::from(r.u8()?).min(r.remaining());
        Ok(Self {
            operation,
            argument,
            bytes: r.take(len)?,
        })
    }

    fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or_default()
    }

    /// One of eight clients, four of them with connections.
    fn path(&self) -> Path {
        let n = self.argument & 7;
        Path {
            local: address("192.0.2.1:3478"),
            remote: SocketAddr::from(([198, 51, 100, 9], 1000 + u16::from(n))),
            protocol: if n < 4 { Protocol::Udp } else { Protocol::Tcp },
        }
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// The last three must never be peers.
const PEERS: [&str; 8] = [
    "203.0.113.5:1",
    "203.0.113.5:2",
    "203.0.113.6:1",
    "[2001:db8:5::1]:1",
    "203.0.113.7:9",
    "[2001:db8:64::10.0.0.1]:1",
    "192.0.2.1:3478",
    "[::ffff:127.0.0.1]:1",
];

fn peer(n: u8) -> SocketAddr {
    address(PEERS[usize::from(n & 7)])
}

fn may_be_a_peer(address: SocketAddr) -> bool {
    PEERS[..5].iter().any(|peer| self::address(peer) == address)
}

const REALM: &str = "example.org";
const LIMITS: ServerLimits = ServerLimits {
    allocations: 6,
    sockets: 12,
    sockets_per_user: 12,
    sockets_per_name: 12,
    allocations_per_user: 5,
    allocations_per_name: 6,
    permissions: 3,
    channels: 2,
    reservations: 2,
    connections: 2,
    unclaimed_connections: 3,
    bytes_per_second: 10_000,
    burst_bytes: 2000,
    refusals_per_second: 1000,
    refusals_burst: 1000,
    requests_per_second: 1000,
    requests_burst: 1_000_000,
};

/// What the server sent.
#[derive(Default)]
struct Outbox {
    clients: Vec<(Path, Vec<u8>)>,
    peers: Vec<(RelayId, SocketAddr)>,
}

impl ServerSink for Outbox {
    fn to_client(&mut self, path: &Path, packet: Outgoing<'_>) {
        let mut bytes = vec![0; packet.len()];
        assert_eq!(packet.write(&mut bytes), Some(bytes.len()));
        self.clients.push((*path, bytes));
    }

    fn to_peer(&mut self, relay: RelayId, peer: SocketAddr, _: Outgoing<'_>) {
        self.peers.push((relay, peer));
    }
}

struct Session {
    server: Server,
    now: Instant,
    out: Outbox,
    nonce: String,
    transactions: u32,
    /// Relays that the driver was told to open.
    relays: BTreeSet<RelayId>,
    connections: BTreeSet<ConnectionId>,
    /// Connections that wait to be opened.
    opening: Vec<ConnectionId>,
    /// The relays that are still to be bound, when the driver is slow.
    binding: Vec<RelayId>,
    slow: bool,
    token: [u8; 8],
    /// When each permission was granted last.
    granted: BTreeMap<(Path, IpAddr), Instant>,
}

impl Session {
    fn new() -> Self {
        let now = Instant::now();
        let config = ServerConfig {
            realm: REALM.to_owned(),
            users: vec![("user".into(), "pass".into())],
            secrets: vec!["secret".into()],
            ipv4: Some(RelayAddress::new(address("192.0.2.1:0").ip())),
            ipv6: Some(RelayAddress::new(address("[2001:db8::1]:0").ip())),
            ports: 50_000..=50_008,
            listeners: vec![address("192.0.2.1:3478")],
            peers: PeerPolicy {
                nat64_prefixes: vec!["2001:db8:64::/96".parse().expect("a prefix")],
                ..PeerPolicy::default()
            },
            limits: LIMITS,
            ..ServerConfig::default()
        };
        let unix = Duration::from_secs(1_700_000_000);
        let mut session = Self {
            server: Server::new(config, Seed::from_run(1), now, unix).expect("a good configuration"),
            now,
            out: Outbox::default(),
            nonce: String::new(),
            transactions: 0,
            relays: BTreeSet::new(),
            connections: BTreeSet::new(),
            opening: Vec::new(),
            binding: Vec::new(),
            slow: false,
            token: [0; 8],
            granted: BTreeMap::new(),
        };
        session.renew_nonce();
        session
    }

    /// As a client comes to its first nonce.
    fn renew_nonce(&mut self) {
        let mut out = [0; 64];
        let id = TransactionId([0; 12]);
        let request = Builder::new(&mut out, Class::Request, Method::ALLOCATE, id)
            .expect("room")
            .finish();
        let path = Path::udp(address("192.0.2.1:3478"), address("198.51.100.9:7"));
        self.send(&path, request);
        self.drive(0);
        if let Some((_, bytes)) = self.out.clients.pop() {
            let message = Message::parse(&bytes).expect("the server's are legal");
            self.nonce = message.nonce().expect("legal").expect("a nonce").to_owned();
        }
    }

    fn step(&mut self, step: &Step<'_>) {
        self.out = Outbox::default();
        match step.operation % 14 {
            0..=3 => self.request(step),
            4 => self.altered(step),
            5 => self.silently(step, step.bytes.to_vec()),
            6 => self.channel_data(step),
            7 => self.indication(step),
            8 => self.peer_sends(step),
            9 => {
                if step.argument & 1 == 0 {
                    self.pass(Duration::from_secs(u64::from(step.argument)));
                } else {
                    // Nobody serves the timers in time.
                    self.now += Duration::from_secs(u64::from(step.argument));
                }
            }
            10 => {
                self.server.handle_disconnected(&step.path());
                self.forget(&step.path(), None);
                self.drive(step.argument);
            }
            11 => self.bind_late(step.argument),
            12 => self.connections(step),
            _ => self.renew_nonce(),
        }
    }

    /// A genuine request. The first byte says which, the second which attributes, the third and fourth what they hold.
    fn request(&mut self, step: &Step<'_>) {
        let (path, (method, request)) = (step.path(), self.genuine(step));
        self.send(&path, &request);
        self.drive(step.byte(4));
        let answers = std::mem::take(&mut self.out.clients);
        for (to, bytes) in &answers {
            let Ok(message) = Message::parse(bytes) else {
                panic!("the server's are legal")
            };
            if message.class() != Class::SuccessResponse || *to != path {
                continue;
            }
            for value in message.attributes().map(|attribute| attribute.decode().expect("legal")) {
                if let Value::ReservationToken(token) = value {
                    self.token = token;
                }
            }
            if matches!(method, Method::CREATE_PERMISSION | Method::CHANNEL_BIND) {
                let request = Message::parse(&request).expect("ours are legal");
                for attribute in request.attributes() {
                    if let Ok(Value::XorPeerAddress(peer)) = attribute.decode() {
                        self.granted.insert((path, peer.ip()), self.now);
                    }
                }
            }
            if method == Method::REFRESH && message.lifetime() == Ok(Some(0)) {
                let request = Message::parse(&request).expect("ours are legal");
                let only = request.attributes().find_map(|attribute| match attribute.decode() {
                    Ok(Value::RequestedAddressFamily(family)) => Some(family),
                    _ => None,
                });
                self.forget(&path, only);
            }
        }
    }

    /// An allocation has ended, or what it had of one family: the permissions are none of the next one's.
    fn forget(&mut self, path: &Path, family: Option<AddressFamily>) {
        self.granted.retain(|(of, peer), _| {
            let same = family.is_none_or(|family| (family == AddressFamily::IPV6) == peer.is_ipv6());
            of != path || !same
        });
    }

    fn genuine(&mut self, step: &Step<'_>) -> (Method, Vec<u8>) {
        let methods = [
            Method::ALLOCATE,
            Method::ALLOCATE,
            Method::CREATE_PERMISSION,
            Method::CHANNEL_BIND,
            Method::REFRESH,
            Method::CONNECT,
            Method::CONNECTION_BIND,
            Method::BINDING,
        ];
        let method = methods[usize::from(step.byte(0) & 7)];
        let (wish, value) = (step.byte(1), step.byte(2));
        self.transactions += u32::from(wish & 0x80 == 0);
        let mut id = [0; 12];
        id[8..].copy_from_slice(&self.transactions.to_be_bytes());
        let connection = self.connections.iter().nth(usize::from(value & 3));
        let connection = connection.map_or(0, |connection| connection.get()).to_be_bytes();
        let mut values = Vec::new();
        match method {
            Method::ALLOCATE => {
                values.push(Value::RequestedTransport(if wish & 3 == 3 { 6 } else { 17 }));
                if wish & 4 != 0 {
                    values.push(Value::EvenPort {
                        reserve_next: value & 1 == 1,
                    });
                }
                if wish & 8 != 0 {
                    values.push(Value::AdditionalAddressFamily(AddressFamily(2 - (value >> 1 & 1))));
                }
                if wish & 0x30 == 0x30 {
                    values.push(Value::RequestedAddressFamily(AddressFamily(value >> 2 & 3)));
                }
                if wish & 0x50 == 0x50 {
                    values.push(Value::ReservationToken(self.token));
                }
            }
            Method::REFRESH => {
                values.push(Value::Lifetime(u32::from(value) * 20));
                if wish & 4 != 0 {
                    values.push(Value::RequestedAddressFamily(AddressFamily(wish & 3)));
                }
            }
            Method::CONNECTION_BIND => values.push(Value::Other(AttributeType::CONNECTION_ID, &connection)),
            Method::BINDING => {}
            _ => {
                values.push(Value::XorPeerAddress(peer(value)));
                if method == Method::CHANNEL_BIND {
                    values.push(Value::ChannelNumber(0x4000 + u16::from(wish & 3)));
                } else if wish & 4 != 0 {
                    values.push(Value::XorPeerAddress(peer(value >> 3)));
                }
            }
        }
        let mut out = [0; 1024];
        let mut b = Builder::new(&mut out, Class::Request, method, TransactionId(id)).expect("room");
        for value in values {
            b.push(&value).expect("room");
        }
        let timed = step.byte(3) & 1 == 1;
        let name = if timed { "1700009999:user" } else { "user" };
        let password = if timed {
            turn::timed_password("secret", name)
        } else {
            "pass".to_owned()
        };
        b.push(&Value::Username(name)).expect("room");
        b.push(&Value::Realm(REALM)).expect("room");
        b.push(&Value::Nonce(&self.nonce)).expect("room");
        b.integrity(&Key::long_term_md5(name, REALM, &password)).expect("room");
        (method, b.finish().to_vec())
    }

    /// A genuine request with a byte changed.
    fn altered(&mut self, step: &Step<'_>) {
        let (_, mut request) = self.genuine(step);
        let at = usize::from(step.byte(5)) % request.len();
        request[at] ^= step.byte(6) | 1;
        if request[..2] == [0x00, 0x01] || at < 4 {
            // A Binding request needs no password, and an altered header may make a message of any kind.
            let path = step.path();
            self.send(&path, &request);
            self.drive(0);
            return;
        }
        self.silently(step, request);
    }

    /// What changes nothing, and is answered in few bytes if at all.
    fn silently(&mut self, step: &Step<'_>, bytes: Vec<u8>) {
        // What has ended may be taken away meanwhile.
        self.server.handle_timeout(self.now, &mut self.out);
        self.drive(0);
        self.out = Outbox::default();
        let before = self.server.remembered();
        let path = step.path();
        self.send(&path, &bytes);
        let request = Message::parse(&bytes).is_ok_and(|message| message.class() == Class::Request);
        assert!(self.out.clients.len() <= usize::from(request));
        for (to, answer) in &self.out.clients {
            assert!(*to == path && (answer.len() <= 128 || answer.len() <= 3 * bytes.len()));
        }
        assert_eq!(self.server.remembered(), before);
        self.assert_sent(&path);
    }

    fn channel_data(&mut self, step: &Step<'_>) {
        let number = turn::ChannelNumber::new(0x4000 + u16::from(step.argument >> 3 & 3)).expect("a channel");
        let mut bytes = ChannelData::header(number, step.bytes.len()).expect("short").to_vec();
        bytes.extend(step.bytes);
        self.send(&step.path(), &bytes);
        self.assert_sent(&step.path());
    }

    fn indication(&mut self, step: &Step<'_>) {
        let mut out = [0; 512];
        let mut b = Builder::new(&mut out, Class::Indication, Method::SEND, TransactionId([1; 12])).expect("room");
        b.push(&Value::XorPeerAddress(peer(step.argument >> 3))).expect("room");
        b.push(&Value::Data(step.bytes)).expect("room");
        let indication = b.finish();
        self.send(&step.path(), indication);
        self.assert_sent(&step.path());
    }

    fn peer_sends(&mut self, step: &Step<'_>) {
        let Some(&relay) = self.relays.iter().nth(usize::from(step.argument & 7)) else {
            return;
        };
        let from = peer(step.argument >> 3);
        if step.argument & 0xc0 == 0xc0 {
            let icmp = IcmpError {
                kind: step.byte(0),
                code: step.byte(1),
                mtu: u32::from(step.byte(2)),
            };
            self.server.handle_icmp(self.now, relay, from, icmp, &mut self.out);
        } else {
            let ecn = Ecn::from_bits(step.argument >> 6);
            self.server
                .handle_relayed(self.now, relay, from, ecn, step.bytes, &mut self.out);
        }
        for (path, bytes) in &self.out.clients {
            assert!(may_be_a_peer(from) || step.argument & 0xc0 == 0xc0);
            self.assert_granted(path, from);
            if ChannelData::is(bytes) {
                let message = ChannelData::parse(bytes).expect("the server's are legal");
                assert_eq!(message.data, step.bytes);
            } else {
                let message = Message::parse(bytes).expect("the server's are legal");
                assert_eq!(message.xor_peer_address(), Ok(Some(from)));
            }
        }
    }

    /// Answers what was asked for while the driver was slow; or makes it slow or quick.
    fn bind_late(&mut self, argument: u8) {
        self.slow = argument & 1 == 1;
        for relay in std::mem::take(&mut self.binding) {
            self.server
                .handle_bound(self.now, relay, argument & 2 == 0, &mut self.out);
        }
        self.drive(argument);
    }

    fn connections(&mut self, step: &Step<'_>) {
        match step.byte(0) % 3 {
            0 => {
                for connection in std::mem::take(&mut self.opening) {
                    self.server
                        .handle_connected(self.now, connection, step.argument & 8 == 0, &mut self.out);
                }
            }
            1 => {
                let Some(&relay) = self.relays.iter().nth(usize::from(step.argument & 7)) else {
                    return;
                };
                let from = peer(step.argument >> 3);
                let accepted = self.server.handle_accepted(self.now, relay, from, &mut self.out);
                assert_eq!(accepted.is_some(), self.out.clients.len() == 1);
                if let Some(connection) = accepted {
                    assert!(may_be_a_peer(from));
                    let path = self.out.clients[0].0;
                    self.assert_granted(&path, from);
                    self.connections.insert(connection);
                }
            }
            _ => {
                let connection = self.connections.iter().nth(usize::from(step.argument & 3)).copied();
                if let Some(connection) = connection {
                    self.server.handle_peer_closed(connection, &mut self.out);
                }
            }
        }
        self.drive(0);
    }

    fn send(&mut self, path: &Path, bytes: &[u8]) {
        self.server
            .handle_datagram(self.now, path, Ecn::NotEct, bytes, &mut self.out);
    }

    /// Does what the server wants; the bits of `failing` say which binds fail.
    fn drive(&mut self, failing: u8) {
        let mut count = 0_u32;
        while let Some(action) = self.server.poll_action() {
            match action {
                ServerAction::Bind { relay, .. } | ServerAction::Listen { relay, .. } => {
                    assert!(self.relays.insert(relay));
                    if self.slow {
                        self.binding.push(relay);
                        continue;
                    }
                    let fails = failing & 1 << (count & 7) != 0;
                    count += 1;
                    self.server.handle_bound(self.now, relay, !fails, &mut self.out);
                }
                ServerAction::Close { relay } => {
                    self.relays.remove(&relay);
                }
                ServerAction::Connect { connection, to, .. } => {
                    assert!(may_be_a_peer(to));
                    self.connections.insert(connection);
                    self.opening.push(connection);
                }
                ServerAction::Splice { connection, client } => {
                    assert!(self.connections.contains(&connection) && client.protocol == Protocol::Tcp);
                }
                ServerAction::Disconnect { connection } => {
                    self.connections.remove(&connection);
                }
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.server.poll_timeout().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.server.handle_timeout(self.now, &mut self.out);
            self.drive(0);
            assert!(
                self.server.poll_timeout().is_none_or(|next| next > self.now),
                "a timer does not end"
            );
        }
        self.now = end;
    }

    fn assert_granted(&self, path: &Path, peer: SocketAddr) {
        let granted = self.granted.get(&(*path, peer.ip()));
        let fresh = granted.is_some_and(|granted| self.now < *granted + Duration::from_secs(300));
        assert!(fresh, "relayed without a permission");
    }

    fn assert_sent(&self, path: &Path) {
        for (relay, peer) in &self.out.peers {
            assert!(self.relays.contains(relay) && may_be_a_peer(*peer));
            self.assert_granted(path, *peer);
        }
    }

    fn assert_bounded(&mut self) {
        let server = &self.server;
        self.granted.retain(|(path, _), _| server.is_in_use(path));
        assert!(self.relays.len() + self.connections.len() <= LIMITS.sockets);
        assert!(self.server.remembered() < 200);
        for allocation in self.server.allocations(self.now) {
            assert!(allocation.permissions <= LIMITS.permissions && allocation.channels <= LIMITS.channels);
            assert!(allocation.connections <= LIMITS.connections);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_30_percent_of_random_inputs_reach_an_allocation() {
        let mut state = 1_u64;
        let mut byte = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        let reached = (0..200)
            .filter(|_| {
                let input: Vec<u8> = (0..40)
                    .flat_map(|_| [byte(), byte(), 6, byte(), byte(), byte(), byte(), byte(), byte()])
                    .collect();
                run(&input) > 0
            })
            .count();
        println!("{reached} of 200 random inputs reach an allocation");
        assert!(reached > 60, "{reached} of 200");
    }
}
