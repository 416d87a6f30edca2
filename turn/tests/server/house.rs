//! A server in virtual time, with a driver that does what it is told and clients that know a password.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use stun::{
    AttributeType, Builder, Class, Key, Message, Method, PasswordAlgorithm, PasswordAlgorithms, PasswordParameters,
    TransactionId, Value,
};
use turn::{ConnectionId, Outgoing, RelayAddress, RelayId, Server, ServerAction, ServerConfig, ServerSink};
use wire::{Ecn, Path, Protocol, Seed};

pub(crate) const REALM: &str = "example.org";
pub(crate) const UDP: Value<'static> = Value::RequestedTransport(17);
pub(crate) const TCP: Value<'static> = Value::RequestedTransport(6);
/// Unix time at the beginning.
pub(crate) const UNIX: Duration = Duration::from_secs(1_700_000_000);

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A client's way to the server over UDP, `n` being its port.
pub(crate) fn udp(n: u16) -> Path {
    Path::udp(
        address("192.0.2.1:3478"),
        SocketAddr::new("198.51.100.9".parse().unwrap(), n),
    )
}

/// A client's connection.
pub(crate) fn tcp(n: u16) -> Path {
    Path {
        protocol: Protocol::Tcp,
        ..udp(n)
    }
}

pub(crate) fn config() -> ServerConfig {
    ServerConfig {
        realm: REALM.to_owned(),
        users: vec![
            ("ann".into(), "secret of ann".into()),
            ("bob".into(), "secret of bob".into()),
        ],
        ipv4: Some(RelayAddress::new("192.0.2.1".parse().unwrap())),
        ipv6: Some(RelayAddress::new("2001:db8::1".parse().unwrap())),
        listeners: vec![address("192.0.2.1:3478")],
        ..ServerConfig::default()
    }
}

/// What went to a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ToPeer {
    pub(crate) relay: RelayId,
    pub(crate) peer: SocketAddr,
    pub(crate) data: Vec<u8>,
    pub(crate) ecn: Ecn,
    pub(crate) dont_fragment: bool,
}

/// Keeps everything.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub(crate) to_client: Vec<(Path, Vec<u8>, Ecn)>,
    pub(crate) to_peer: Vec<ToPeer>,
}

fn bytes(packet: &Outgoing<'_>) -> Vec<u8> {
    let mut out = vec![0xff; packet.len()];
    assert_eq!(packet.write(&mut out), Some(packet.len()));
    out
}

impl ServerSink for Outbox {
    fn to_client(&mut self, path: &Path, packet: Outgoing<'_>) {
        self.to_client.push((*path, bytes(&packet), packet.ecn));
    }

    fn to_peer(&mut self, relay: RelayId, peer: SocketAddr, packet: Outgoing<'_>) {
        self.to_peer.push(ToPeer {
            relay,
            peer,
            data: bytes(&packet),
            ecn: packet.ecn,
            dont_fragment: packet.dont_fragment,
        });
    }
}

pub(crate) struct House {
    pub(crate) server: Server,
    pub(crate) now: Instant,
    pub(crate) out: Outbox,
    /// Open relays with their addresses.
    pub(crate) relays: BTreeMap<RelayId, SocketAddr>,
    taken: BTreeSet<SocketAddr>,
    /// How many binds fail from now on.
    pub(crate) failing: usize,
    /// Binds are not answered.
    pub(crate) slow: bool,
    /// What was asked for besides.
    pub(crate) actions: Vec<ServerAction>,
    transactions: u32,
}

/// Somebody at the end of a path.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) path: Path,
    pub(crate) name: String,
    pub(crate) password: String,
    pub(crate) nonce: String,
    /// SHA-256 as RFC 8489 has it; MD5 and HMAC-SHA1 else.
    pub(crate) sha256: bool,
    /// USERHASH in place of USERNAME.
    pub(crate) anonymous: bool,
}

impl Client {
    pub(crate) fn new(path: Path) -> Self {
        Self {
            path,
            name: "ann".into(),
            password: "secret of ann".into(),
            nonce: String::new(),
            sha256: false,
            anonymous: false,
        }
    }

    pub(crate) fn key(&self) -> Key {
        if self.sha256 {
            Key::long_term_sha256(&self.name, REALM, &self.password)
        } else {
            Key::long_term_md5(&self.name, REALM, &self.password)
        }
    }
}

/// A message that came back.
#[derive(Debug, Clone)]
pub(crate) struct Reply(pub(crate) Vec<u8>);

impl Reply {
    pub(crate) fn message(&self) -> Message<'_> {
        Message::parse(&self.0).unwrap()
    }

    /// The error code; `None` of a success.
    pub(crate) fn code(&self) -> Option<u16> {
        let message = self.message();
        let error = message.error_code().unwrap().map(|error| error.code.0);
        assert_eq!(error.is_some(), message.class() == Class::ErrorResponse);
        error
    }

    pub(crate) fn relayed(&self) -> Vec<SocketAddr> {
        let relayed = |value| match value {
            Value::XorRelayedAddress(address) => Some(address),
            _ => None,
        };
        self.values().into_iter().filter_map(relayed).collect()
    }

    pub(crate) fn values(&self) -> Vec<Value<'_>> {
        self.message()
            .attributes()
            .map(|attribute| attribute.decode().unwrap())
            .collect()
    }

    pub(crate) fn token(&self) -> Option<[u8; 8]> {
        self.values().into_iter().find_map(|value| match value {
            Value::ReservationToken(token) => Some(token),
            _ => None,
        })
    }

    pub(crate) fn connection(&self) -> u32 {
        let attribute = self.message().attribute(AttributeType::CONNECTION_ID).unwrap();
        u32::from_be_bytes(attribute.value().try_into().unwrap())
    }
}

pub(crate) const OFFERED: [PasswordParameters<'static>; 2] = [
    PasswordParameters::plain(PasswordAlgorithm::SHA256),
    PasswordParameters::plain(PasswordAlgorithm::MD5),
];

impl House {
    pub(crate) fn new() -> Self {
        Self::with(|_| ())
    }

    pub(crate) fn with(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let mut config = config();
        change(&mut config);
        let now = Instant::now();
        Self {
            server: Server::new(config, Seed::from_run(1), now, UNIX).unwrap(),
            now,
            out: Outbox::default(),
            relays: BTreeMap::new(),
            taken: BTreeSet::new(),
            failing: 0,
            slow: false,
            actions: Vec::new(),
            transactions: 0,
        }
    }

    pub(crate) fn id(&mut self) -> TransactionId {
        self.transactions += 1;
        let mut id = [7; 12];
        id[..4].copy_from_slice(&self.transactions.to_be_bytes());
        TransactionId(id)
    }

    /// Does what the server wants done.
    pub(crate) fn drive(&mut self) {
        while let Some(action) = self.server.poll_action() {
            match action {
                ServerAction::Bind { relay, address } | ServerAction::Listen { relay, address } => {
                    self.actions.push(action);
                    if self.slow {
                        continue;
                    }
                    let fails = self.failing > 0;
                    self.failing -= usize::from(fails);
                    if !fails {
                        assert!(self.taken.insert(address), "a port is bound twice");
                        self.relays.insert(relay, address);
                    }
                    self.server.handle_bound(self.now, relay, !fails, &mut self.out);
                }
                ServerAction::Close { relay } => {
                    if let Some(address) = self.relays.remove(&relay) {
                        self.taken.remove(&address);
                    }
                }
                _ => self.actions.push(action),
            }
        }
    }

    pub(crate) fn send(&mut self, path: Path, bytes: &[u8]) {
        self.server
            .handle_datagram(self.now, &path, Ecn::NotEct, bytes, &mut self.out);
        self.drive();
    }

    pub(crate) fn send_marked(&mut self, path: Path, bytes: &[u8], ecn: Ecn) {
        self.server.handle_datagram(self.now, &path, ecn, bytes, &mut self.out);
    }

    pub(crate) fn pass(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        while let Some(next) = self.server.poll_timeout().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.server.handle_timeout(self.now, &mut self.out);
            self.drive();
            assert!(
                self.server.poll_timeout().is_none_or(|later| later > self.now),
                "a timer does not end"
            );
        }
        self.now = end;
    }

    /// A request with everything that proves its sender.
    pub(crate) fn request(&mut self, client: &Client, method: Method, values: &[Value<'_>]) -> Vec<u8> {
        let id = self.id();
        signed(client, method, values, id)
    }

    /// Sends a request and gives the one answer to it.
    pub(crate) fn ask_once(&mut self, client: &Client, method: Method, values: &[Value<'_>]) -> Option<Reply> {
        let request = self.request(client, method, values);
        self.out.to_client.clear();
        self.send(client.path, &request);
        self.answer(client.path)
    }

    /// What came on a path, at most one message.
    pub(crate) fn answer(&mut self, path: Path) -> Option<Reply> {
        let came: Vec<_> = std::mem::take(&mut self.out.to_client);
        assert!(came.len() <= 1, "{} messages", came.len());
        came.into_iter().next().map(|(to, bytes, _)| {
            assert_eq!(to, path);
            Reply(bytes)
        })
    }

    /// Sends a request, with a fresh nonce if need be, and checks what protects the answer.
    pub(crate) fn ask(&mut self, client: &mut Client, method: Method, values: &[Value<'_>]) -> Reply {
        let mut reply = self.ask_once(client, method, values).unwrap();
        if matches!(reply.code(), Some(401 | 438)) {
            let nonce = reply.message().nonce().unwrap().unwrap().to_owned();
            if nonce != client.nonce {
                client.nonce = nonce;
                reply = self.ask_once(client, method, values).unwrap();
            }
        }
        if !matches!(reply.code(), Some(401 | 438)) {
            let message = reply.message();
            message.verify_integrity(&client.key()).unwrap();
            let sha256 = message.attribute(AttributeType::MESSAGE_INTEGRITY_SHA256).is_some();
            assert_eq!(sha256, client.sha256);
        }
        reply
    }

    pub(crate) fn refused(&mut self, client: &mut Client, method: Method, values: &[Value<'_>]) -> u16 {
        self.ask(client, method, values).code().expect("it is refused")
    }

    pub(crate) fn granted(&mut self, client: &mut Client, method: Method, values: &[Value<'_>]) -> Reply {
        let reply = self.ask(client, method, values);
        assert_eq!(reply.code(), None);
        reply
    }

    /// A client with an allocation over UDP, and its relayed address.
    pub(crate) fn allocated(&mut self, path: Path) -> (Client, SocketAddr) {
        let mut client = Client::new(path);
        let reply = self.granted(&mut client, Method::ALLOCATE, &[UDP]);
        let relayed = reply.relayed();
        (client, relayed[0])
    }

    pub(crate) fn permit(&mut self, client: &mut Client, peer: &str) {
        self.granted(
            client,
            Method::CREATE_PERMISSION,
            &[Value::XorPeerAddress(address(peer))],
        );
    }

    pub(crate) fn bind(&mut self, client: &mut Client, number: u16, peer: &str) {
        let values = [Value::ChannelNumber(number), Value::XorPeerAddress(address(peer))];
        self.granted(client, Method::CHANNEL_BIND, &values);
    }

    pub(crate) fn relay_at(&self, relayed: SocketAddr) -> RelayId {
        *self.relays.iter().find(|(_, address)| **address == relayed).unwrap().0
    }

    /// A peer sends to a relayed address. What came of it for clients.
    pub(crate) fn peer_sends(&mut self, relayed: SocketAddr, peer: &str, data: &[u8]) -> Vec<(Path, Vec<u8>, Ecn)> {
        let relay = self.relay_at(relayed);
        self.out.to_client.clear();
        self.server
            .handle_relayed(self.now, relay, address(peer), Ecn::NotEct, data, &mut self.out);
        std::mem::take(&mut self.out.to_client)
    }

    /// A client sends. What came of it for peers.
    pub(crate) fn client_sends(&mut self, path: Path, bytes: &[u8]) -> Vec<ToPeer> {
        self.out.to_peer.clear();
        self.send(path, bytes);
        std::mem::take(&mut self.out.to_peer)
    }

    pub(crate) fn connect_action(&self) -> Option<(ConnectionId, SocketAddr, SocketAddr)> {
        self.actions.iter().rev().find_map(|action| match *action {
            ServerAction::Connect { connection, from, to } => Some((connection, from, to)),
            _ => None,
        })
    }

    pub(crate) fn count(&self, name: &str) -> u64 {
        let mut counters = self.server.counters().iter().chain(self.server.traffic().iter());
        counters
            .find(|(known, _)| *known == name)
            .expect("there is such a counter")
            .1
    }

    /// The counters that are not zero, but that of first requests.
    pub(crate) fn raised(&self) -> Vec<(&'static str, u64)> {
        let counters = self.server.counters().iter();
        counters
            .filter(|(name, value)| *value > 0 && *name != "turn_unauthenticated")
            .collect()
    }
}

pub(crate) fn signed(client: &Client, method: Method, values: &[Value<'_>], id: TransactionId) -> Vec<u8> {
    let mut out = vec![0; 4096];
    let mut b = Builder::new(&mut out, Class::Request, method, id).unwrap();
    for value in values {
        b.push(value).unwrap();
    }
    if client.nonce.is_empty() {
        return b.finish().to_vec();
    }
    let hash = stun::userhash(&client.name, REALM);
    if client.anonymous {
        b.push(&Value::UserHash(&hash)).unwrap();
    } else {
        b.push(&Value::Username(&client.name)).unwrap();
    }
    b.push(&Value::Realm(REALM)).unwrap();
    b.push(&Value::Nonce(&client.nonce)).unwrap();
    if client.sha256 {
        b.push(&Value::PasswordAlgorithms(PasswordAlgorithms::new(&OFFERED)))
            .unwrap();
        b.push(&Value::PasswordAlgorithm(OFFERED[0])).unwrap();
        b.integrity_sha256(&client.key(), 32).unwrap();
    } else {
        b.integrity(&client.key()).unwrap();
    }
    b.finish().to_vec()
}

pub(crate) fn channel_data(number: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.extend((data.len() as u16).to_be_bytes());
    bytes.extend(data);
    bytes
}

pub(crate) fn send_indication(peer: &str, data: &[u8], more: &[Value<'_>]) -> Vec<u8> {
    let mut out = vec![0; 70_000];
    let mut b = Builder::new(&mut out, Class::Indication, Method::SEND, TransactionId([3; 12])).unwrap();
    b.push(&Value::XorPeerAddress(address(peer))).unwrap();
    b.push(&Value::Data(data)).unwrap();
    for value in more {
        b.push(value).unwrap();
    }
    b.finish().to_vec()
}
