//! What a program does around TURN clients.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use ice::{Agent, Candidate};
use netsim::{Sockets, TcpEvent};
use turn::client::{Config, Credentials, Event, Transport};
use turn::testing::{PASSWORD, USER};
use turn::{Client, Relays};
use wire::{Path, Protocol, Seed};

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

    /// Tells the agent of relayed addresses, and the servers of the peer's candidates: permitted at once, they get
    /// their first check in.
    pub(crate) fn follow(&mut self, now: Instant, agent: &mut Agent) {
        while let Some((id, event)) = self.relays.poll_event() {
            match event {
                Event::Allocated(allocation) => {
                    let leg = self.relays.client(id).unwrap().path();
                    for relayed in allocation.relayed() {
                        let mapped = allocation.mapped.unwrap();
                        let candidate = Candidate::relayed(relayed, mapped, u16::MAX);
                        agent.add_relayed_candidate(candidate, leg.remote, leg.protocol);
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
