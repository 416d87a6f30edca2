mod hosts;
mod icmp;
mod links;
mod nats;
mod routers;

use std::any::Any;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::drops::{Counters, DropReason};
use crate::link::{Direction, Pipe};
use crate::node::{Kind, Node, Port};
use crate::packet::{IcmpError, Packets};
use crate::tcp::Connection;
use crate::trace::{Action, Observer, Place, TraceEvent};

/// What happens at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    /// A packet that a hook has held back goes on to the pipe.
    Enters { pipe: u32, packet: u32 },
    /// The packet whose turn it is has left the queue of a pipe.
    Leaves(u32),
    /// A packet comes to the end of a pipe.
    Arrives { pipe: u32, packet: u32 },
    /// A host sends to itself.
    Loops { node: u32, packet: u32 },
    /// A NAT looks again at a SYN that nothing had asked for.
    Unsolicited { node: u32, packet: u32, reason: DropReason },
    /// A connection's timer.
    Tcp(u32),
    /// An endpoint's timer.
    Wake(u32),
    /// Something that the scenario wants to do.
    Script(u32),
}

/// What the network has for an endpoint.
#[derive(Debug)]
pub(crate) struct Upcall {
    pub(crate) endpoint: u32,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    pub(crate) news: News,
}

#[derive(Debug)]
pub(crate) enum News {
    Datagram(u32),
    Error(IcmpError),
    Tcp(crate::tcp::Out),
    Unreachable(IcmpError),
}

pub(crate) trait AnyObserver: Observer + Any {}
impl<T: Observer + Any> AnyObserver for T {}

/// Everything but the endpoints.
pub(crate) struct Network {
    pub(crate) now: u64,
    events: BinaryHeap<Reverse<(u64, u64, What)>>,
    scheduled: u64,
    pub(crate) packets: Packets,
    pub(crate) nodes: Vec<Node>,
    pub(crate) pipes: Vec<Pipe>,
    pub(crate) connections: Vec<Option<Connection>>,
    pub(crate) free_connections: Vec<u32>,
    pub(crate) observers: Vec<Box<dyn AnyObserver>>,
    pub(crate) upcalls: Vec<Upcall>,
    pub(crate) scratch: Vec<crate::tcp::Out>,
    counters: Counters,
    run: u64,
    streams: u64,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("now", &Duration::from_nanos(self.now))
            .field("nodes", &self.nodes.iter().map(|node| &node.name).collect::<Vec<_>>())
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}

impl Network {
    pub(crate) fn new(run: u64) -> Self {
        Self {
            now: 0,
            events: BinaryHeap::new(),
            scheduled: 0,
            packets: Packets::default(),
            nodes: Vec::new(),
            pipes: Vec::new(),
            connections: Vec::new(),
            free_connections: Vec::new(),
            observers: Vec::new(),
            upcalls: Vec::new(),
            scratch: Vec::new(),
            counters: Counters::default(),
            run,
            streams: 0,
        }
    }

    /// 32 bytes that no other part of the run has. Each part of the network draws from a stream of its own, so that
    /// what one of them draws does not change what the others do.
    pub(crate) fn next_seed(&mut self) -> wire::Seed {
        self.streams += 1;
        let mut seed = wire::Seed::from_run(self.run);
        for (byte, stream) in seed.0[8..16].iter_mut().zip(self.streams.to_be_bytes()) {
            *byte = stream;
        }
        seed
    }

    pub(crate) fn next_rng(&mut self) -> StdRng {
        StdRng::from_seed(self.next_seed().0)
    }

    pub(crate) fn counters(&self) -> Counters {
        Counters {
            in_flight: self.packets.alive(),
            ..self.counters
        }
    }

    pub(crate) fn add_node(&mut self, name: &str, kind: Kind) -> u32 {
        assert!(
            self.nodes.iter().all(|node| node.name != name),
            "there is already a node named {name}: give this one another name"
        );
        self.nodes.push(Node {
            name: name.to_owned(),
            kind,
            ports: Vec::new(),
            sends_icmp: true,
            routes: Default::default(),
        });
        (self.nodes.len() - 1) as u32
    }

    /// Makes one direction of a link; `to_port` is the number of the port that it ends at.
    pub(crate) fn add_pipe(&mut self, config: Direction, link: usize, from: u32, to: u32, to_port: u32) -> u32 {
        let rng = self.next_rng();
        self.pipes.push(Pipe::new(config, link, from, to, to_port, rng));
        (self.pipes.len() - 1) as u32
    }

    pub(crate) fn add_port(&mut self, node: u32, pipe: u32, outside: bool) {
        self.nodes[node as usize].ports.push(Port {
            pipe,
            outside,
            addresses: Vec::new(),
        });
    }

    pub(crate) fn forget_routes(&mut self) {
        for node in &mut self.nodes {
            node.routes.clear();
        }
    }

    // Time

    pub(crate) fn schedule(&mut self, at: u64, what: What) {
        self.scheduled += 1;
        self.events.push(Reverse((at.max(self.now), self.scheduled, what)));
    }

    pub(crate) fn next_event(&self) -> Option<u64> {
        self.events.peek().map(|Reverse((at, ..))| *at)
    }

    /// Goes on to the next event.
    pub(crate) fn pop(&mut self) -> Option<What> {
        let Reverse((at, _, what)) = self.events.pop()?;
        self.now = at;
        Some(what)
    }

    /// Handles what is the network's own.
    pub(crate) fn handle(&mut self, what: What) {
        match what {
            What::Enters { pipe, packet } => self.enter(pipe, packet),
            What::Leaves(pipe) => self.leaves(pipe),
            What::Arrives { pipe, packet } => self.arrives(pipe, packet),
            What::Loops { node, packet } => self.host_receives(node, None, packet),
            What::Unsolicited { node, packet, reason } => self.unsolicited(node, packet, reason),
            What::Tcp(connection) => self.tcp_timeout(connection),
            What::Wake(_) | What::Script(_) => {}
        }
    }

    // Traces

    pub(crate) fn trace_node(&mut self, node: u32, action: Action, packet: u32) {
        if self.observers.is_empty() {
            return;
        }
        let event = TraceEvent {
            at: Duration::from_nanos(self.now),
            place: Place::Node(&self.nodes[node as usize].name),
            action,
            packet: self.packets.get(packet).view(),
        };
        for observer in &mut self.observers {
            observer.observe(&event);
        }
    }

    fn trace_pipe(&mut self, pipe: u32, action: Action, packet: u32) {
        if self.observers.is_empty() {
            return;
        }
        let pipe = &self.pipes[pipe as usize];
        let event = TraceEvent {
            at: Duration::from_nanos(self.now),
            place: Place::Link {
                link: pipe.link,
                from: &self.nodes[pipe.from as usize].name,
                to: &self.nodes[pipe.to as usize].name,
            },
            action,
            packet: self.packets.get(packet).view(),
        };
        for observer in &mut self.observers {
            observer.observe(&event);
        }
    }

    fn count_drop(&mut self, reason: DropReason, packet: u32) {
        self.counters.drops[reason as usize] += 1;
        self.packets.release(packet);
    }

    pub(crate) fn drop_at(&mut self, node: u32, reason: DropReason, packet: u32) {
        self.trace_node(node, Action::Dropped(reason), packet);
        self.count_drop(reason, packet);
    }

    fn drop_on(&mut self, pipe: u32, reason: DropReason, packet: u32) {
        self.trace_pipe(pipe, Action::Dropped(reason), packet);
        self.count_drop(reason, packet);
    }

    /// A host has a use for the packet; it is still there, and the caller releases it.
    pub(crate) fn delivered(&mut self, node: u32, packet: u32) {
        self.trace_node(node, Action::Delivered, packet);
        self.counters.delivered += 1;
    }
}
