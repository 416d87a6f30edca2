//! An endpoint that sends what it is told, answers when it shall, and notes everything.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use netsim::{Endpoint, EndpointId, Event, HostId, IcmpError, Sim, TcpEvent};
use wire::{Ecn, Path, Protocol, Transmit};

/// A datagram that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) at: Duration,
    pub(crate) path: Path,
    pub(crate) ecn: Ecn,
    pub(crate) bytes: Vec<u8>,
}

/// What happened to TCP, without the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tcp {
    pub(crate) at: Duration,
    pub(crate) path: Path,
    pub(crate) what: String,
}

#[derive(Default)]
pub(crate) struct Probe {
    start: Option<Instant>,
    pub(crate) outgoing: VecDeque<(Path, Vec<u8>, Ecn)>,
    pub(crate) got: Vec<Got>,
    pub(crate) errors: Vec<(Path, IcmpError)>,
    pub(crate) tcp: Vec<Tcp>,
    /// What came over TCP, of all connections.
    pub(crate) stream: Vec<u8>,
    pub(crate) echo: bool,
}

impl Probe {
    pub(crate) fn add(sim: &mut Sim, host: HostId, name: &str) -> EndpointId<Self> {
        let probe = Self {
            start: Some(sim.now() - sim.elapsed()),
            ..Self::default()
        };
        sim.add_endpoint(host, name, probe)
    }

    /// Bound to a port.
    pub(crate) fn bound(sim: &mut Sim, host: HostId, local: SocketAddr) -> EndpointId<Self> {
        let id = Self::add(sim, host, &format!("probe at {local}"));
        sim.sockets(id).bind_udp(local).unwrap();
        id
    }

    /// Answers every datagram with itself.
    pub(crate) fn echo(sim: &mut Sim, host: HostId, local: SocketAddr) -> EndpointId<Self> {
        let id = Self::bound(sim, host, local);
        sim.get_mut(id).echo = true;
        id
    }

    pub(crate) fn send(&mut self, local: SocketAddr, remote: SocketAddr, bytes: &[u8]) {
        self.outgoing
            .push_back((Path::udp(local, remote), bytes.to_vec(), Ecn::NotEct));
    }

    pub(crate) fn send_ect(&mut self, local: SocketAddr, remote: SocketAddr, bytes: &[u8], ecn: Ecn) {
        self.outgoing.push_back((Path::udp(local, remote), bytes.to_vec(), ecn));
    }

    /// Names of what happened to TCP.
    pub(crate) fn tcp_names(&self) -> Vec<&str> {
        self.tcp.iter().map(|tcp| tcp.what.as_str()).collect()
    }

    fn since(&self, now: Instant) -> Duration {
        self.start.map_or(Duration::ZERO, |start| now - start)
    }
}

impl Endpoint for Probe {
    fn handle_datagram(&mut self, now: Instant, path: &Path, ecn: Ecn, data: &mut [u8]) {
        if self.echo {
            self.outgoing.push_back((*path, data.to_vec(), ecn));
        }
        self.got.push(Got {
            at: self.since(now),
            path: *path,
            ecn,
            bytes: data.to_vec(),
        });
    }

    fn handle_timeout(&mut self, _: Instant) {}

    fn poll_transmit(&mut self, _: Instant, out: &mut [u8]) -> Option<Transmit> {
        let (path, bytes, ecn) = self.outgoing.pop_front()?;
        out[..bytes.len()].copy_from_slice(&bytes);
        Some(Transmit {
            ecn,
            ..Transmit::one(path, bytes.len())
        })
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    fn handle_event(&mut self, now: Instant, event: Event<'_>) {
        match event {
            Event::Error { path, error } => self.errors.push((path, error)),
            Event::Tcp { path, event } => {
                let what = match event {
                    TcpEvent::Data(bytes) => {
                        self.stream.extend_from_slice(bytes);
                        return;
                    }
                    other => format!("{other:?}"),
                };
                assert_eq!(path.protocol, Protocol::Tcp);
                self.tcp.push(Tcp {
                    at: self.since(now),
                    path,
                    what,
                });
            }
            Event::AddressAdded(_) | Event::AddressRemoved(_) => {}
        }
    }
}

pub(crate) fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
