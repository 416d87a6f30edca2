//! A TURN server on a simulated or real host, for tests.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use netsim::{Endpoint, Sockets, TcpEvent};
use wire::{Ecn, Path, Seed, Transmit};

use crate::{Outgoing, RelayAddress, RelayId, Server, ServerAction, ServerConfig, ServerSink, next_frame};

/// Who may use it.
pub const USER: &str = "ann";
/// The password of [`USER`].
pub const PASSWORD: &str = "secret of ann";

/// A TURN server, which answers Binding requests, too.
#[derive(Debug)]
pub struct TurnServer {
    server: Server,
    listener: SocketAddr,
    sent: Sent,
    relay_at: BTreeMap<SocketAddr, RelayId>,
    streams: BTreeMap<Path, Vec<u8>>,
}

/// The UDP ports of a server's host, simulated or real.
pub trait Ports {
    /// Whether it could be bound.
    fn bind(&mut self, address: SocketAddr) -> bool;
    /// It is not used any more.
    fn close(&mut self, address: SocketAddr);
}

impl Ports for Sockets<'_> {
    fn bind(&mut self, address: SocketAddr) -> bool {
        self.bind_udp(address).is_ok()
    }

    fn close(&mut self, address: SocketAddr) {
        self.close_udp(address);
    }
}

/// What is to be sent.
#[derive(Debug, Default)]
struct Sent {
    queue: VecDeque<(Path, Vec<u8>)>,
    relays: BTreeMap<RelayId, SocketAddr>,
}

impl Sent {
    fn push(&mut self, path: Path, packet: &Outgoing<'_>) {
        let mut bytes = vec![0; packet.len()];
        packet.write(&mut bytes).unwrap();
        self.queue.push_back((path, bytes));
    }
}

impl ServerSink for Sent {
    fn to_client(&mut self, path: &Path, packet: Outgoing<'_>) {
        self.push(*path, &packet);
    }

    fn to_peer(&mut self, relay: RelayId, peer: SocketAddr, packet: Outgoing<'_>) {
        let path = Path::udp(self.relays[&relay], peer);
        self.push(path, &packet);
    }
}

impl TurnServer {
    /// One at an address, for clients over UDP and TCP.
    pub fn new(listener: SocketAddr, seed: Seed, now: Instant) -> Self {
        let config = ServerConfig {
            users: vec![(USER.to_owned(), PASSWORD.to_owned())],
            ipv4: Some(RelayAddress::new(listener.ip())),
            listeners: vec![listener],
            ..ServerConfig::default()
        };
        Self {
            server: Server::new(config, seed, now, Duration::from_secs(1_700_000_000)).unwrap(),
            listener,
            sent: Sent::default(),
            relay_at: BTreeMap::new(),
            streams: BTreeMap::new(),
        }
    }

    /// Where it listens; its relayed addresses differ by their ports.
    pub const fn address(&self) -> SocketAddr {
        self.listener
    }

    /// Does what the server asks for.
    pub fn act(&mut self, now: Instant, ports: &mut impl Ports) {
        while let Some(action) = self.server.poll_action() {
            match action {
                ServerAction::Bind { relay, address } => {
                    let bound = ports.bind(address);
                    if bound {
                        self.sent.relays.insert(relay, address);
                        self.relay_at.insert(address, relay);
                    }
                    self.server.handle_bound(now, relay, bound, &mut self.sent);
                }
                ServerAction::Close { relay } => {
                    if let Some(address) = self.sent.relays.remove(&relay) {
                        self.relay_at.remove(&address);
                        ports.close(address);
                    }
                }
                other => panic!("nobody asks for {other:?}"),
            }
        }
    }

    /// How many allocations there are.
    pub fn allocations(&self, now: Instant) -> usize {
        self.server.allocations(now).count()
    }
}

impl Endpoint for TurnServer {
    fn handle_datagram(&mut self, now: Instant, path: &Path, ecn: Ecn, data: &mut [u8]) {
        let (server, sent) = (&mut self.server, &mut self.sent);
        match self.relay_at.get(&path.local) {
            Some(relay) => server.handle_relayed(now, *relay, path.remote, ecn, data, sent),
            None => server.handle_datagram(now, path, ecn, data, sent),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.server.handle_timeout(now, &mut self.sent);
    }

    fn poll_transmit(&mut self, _: Instant, out: &mut [u8]) -> Option<Transmit> {
        let (path, bytes) = self.sent.queue.pop_front()?;
        out[..bytes.len()].copy_from_slice(&bytes);
        Some(Transmit::one(path, bytes.len()))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.server.poll_timeout()
    }

    fn handle_event(&mut self, now: Instant, event: netsim::Event<'_>) {
        let netsim::Event::Tcp { path, event } = event else {
            return;
        };
        match event {
            TcpEvent::Data(bytes) => {
                let stream = self.streams.entry(path).or_default();
                stream.extend_from_slice(bytes);
                while let Some(len) = next_frame(stream).unwrap().filter(|len| *len <= stream.len()) {
                    let frame: Vec<u8> = stream.drain(..len).collect();
                    self.server
                        .handle_datagram(now, &path, Ecn::NotEct, &frame, &mut self.sent);
                }
            }
            TcpEvent::Connected | TcpEvent::Accepted | TcpEvent::Writable => {}
            TcpEvent::Finished | TcpEvent::Reset | TcpEvent::TimedOut | TcpEvent::Closed | TcpEvent::Failed(_) => {
                self.streams.remove(&path);
                self.server.handle_disconnected(&path);
            }
        }
    }

    fn poll_sockets(&mut self, now: Instant, sockets: &mut Sockets<'_>) {
        self.act(now, sockets);
    }
}
