//! A TURN server and what a program does around TURN clients.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use ice::{Agent, Candidate};
use netsim::{Endpoint, Sockets, TcpEvent};
use turn::client::{Config, Credentials, Event, Transport};
use turn::{
    Client, Outgoing, RelayAddress, RelayId, Relays, Server, ServerAction, ServerConfig, ServerSink, next_frame,
};
use wire::{Ecn, Path, Protocol, Seed, Transmit};

const USER: &str = "ann";
const PASSWORD: &str = "secret of ann";

/// A TURN server, which answers Binding requests, too.
pub(crate) struct TurnServer {
    server: Server,
    listener: SocketAddr,
    sent: Sent,
    relay_at: BTreeMap<SocketAddr, RelayId>,
    streams: BTreeMap<Path, Vec<u8>>,
}

/// The UDP ports of a server's host, simulated or real.
pub(crate) trait Ports {
    /// Whether it could be bound.
    fn bind(&mut self, address: SocketAddr) -> bool;
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
#[derive(Default)]
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
    pub(crate) fn new(listener: SocketAddr, seed: Seed, now: Instant) -> Self {
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
    pub(crate) const fn address(&self) -> SocketAddr {
        self.listener
    }

    /// Does what the server asks for.
    pub(crate) fn act(&mut self, now: Instant, ports: &mut impl Ports) {
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
    pub(crate) fn allocations(&self, now: Instant) -> usize {
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

/// The clients of an agent, with the stream of the one that comes over TCP.
#[derive(Default)]
pub(crate) struct Clients {
    pub(crate) relays: Relays,
    /// The server that is reached over TCP, and the seed of its client.
    over_tcp: Option<(SocketAddr, Seed)>,
    /// From where a connection to it is to be opened.
    to_open: Option<IpAddr>,
    stream: Vec<u8>,
}

impl Clients {
    /// Asks a server for an allocation from a bound port.
    pub(crate) fn allocate(&mut self, now: Instant, local: SocketAddr, server: SocketAddr, seed: Seed) {
        let config = config(Transport::Udp);
        self.relays.insert(Client::new(config, server, local, seed, now));
    }

    /// Asks a server for an allocation over TCP.
    pub(crate) fn allocate_over_tcp(&mut self, local: IpAddr, server: SocketAddr, seed: Seed) {
        self.over_tcp = Some((server, seed));
        self.to_open = Some(local);
    }

    /// Whether a connection is one to a TURN server.
    pub(crate) fn is_for(&self, path: &Path) -> bool {
        path.protocol == Protocol::Tcp && self.over_tcp.as_ref().is_some_and(|(server, _)| *server == path.remote)
    }

    /// Whether there is something to do in [`open`](Self::open).
    pub(crate) fn has_to_open(&self) -> bool {
        self.to_open.is_some()
    }

    pub(crate) fn open(&mut self, sockets: &mut Sockets<'_>) {
        if let Some((local, server)) = self.connection_to_open() {
            sockets.connect_tcp((local, 0).into(), server).unwrap();
        }
    }

    /// From where to where a connection is to be opened.
    pub(crate) fn connection_to_open(&mut self) -> Option<(IpAddr, SocketAddr)> {
        let server = self.over_tcp.as_ref()?.0;
        Some((self.to_open.take()?, server))
    }

    /// Takes what happened to a connection to a server, and gives the datagrams of peers that came on it.
    pub(crate) fn handle_event(&mut self, now: Instant, path: Path, event: TcpEvent<'_>) -> Vec<(Path, Vec<u8>)> {
        let mut came = Vec::new();
        match event {
            TcpEvent::Connected => {
                let seed = self.over_tcp.as_ref().unwrap().1.clone();
                let client = Client::new(config(Transport::Stream), path.remote, path.local, seed, now);
                self.relays.insert(client);
            }
            TcpEvent::Data(bytes) => {
                let id = self.relays.relay_on(&path).unwrap();
                self.stream.extend_from_slice(bytes);
                let sink = |from: turn::FromRelay<'_>| came.push((from.path, from.data.to_vec()));
                let used = self.relays.handle_stream(now, id, &mut self.stream, sink).unwrap();
                self.stream.drain(..used);
            }
            TcpEvent::Writable => {}
            other => panic!("the connection to the TURN server stays: {other:?}"),
        }
        came
    }

    /// Tells the agent of relayed addresses, and the servers of the peer's candidates: permitted at once, they get their
    /// first check in.
    pub(crate) fn follow(&mut self, now: Instant, agent: &mut Agent) {
        while let Some((_, event)) = self.relays.poll_event() {
            match event {
                Event::Allocated(allocation) => {
                    for relayed in allocation.relayed() {
                        let mapped = allocation.mapped.unwrap();
                        agent.add_local_candidate(Candidate::relayed(relayed, mapped, u16::MAX));
                    }
                    agent.end_of_local_candidates();
                }
                Event::Closed(_) => agent.end_of_local_candidates(),
                // Peers at private addresses are refused: only hosts of one network use those.
                Event::Permitted(_) | Event::PeerRefused { .. } | Event::Icmp { .. } => {}
                other => panic!("nobody asks for {other:?}"),
            }
        }
        let relayed: Vec<SocketAddr> = self
            .relays
            .iter()
            .flat_map(|(_, client)| client.allocation().copied())
            .flat_map(|allocation| allocation.relayed())
            .collect();
        for local in relayed {
            for remote in agent.remote_candidates() {
                let client = self.relays.relay_of(&local).and_then(|id| self.relays.client(id));
                let known = client.is_none_or(|client| client.knows(&remote.address));
                if !known && remote.protocol == Protocol::Udp && remote.address.is_ipv4() == local.is_ipv4() {
                    self.relays.permit(now, &Path::udp(local, remote.address)).unwrap();
                }
            }
        }
    }
}

fn config(transport: Transport) -> Config {
    Config {
        transport,
        credentials: Credentials::new(USER, PASSWORD),
        ..Config::default()
    }
}
