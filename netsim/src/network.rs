use std::any::Any;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use wire::Ecn;

use crate::drops::{Counters, DropReason};
use crate::link::{Direction, Pipe, Verdict, nanos};
use crate::nat::{Hairpin, UnsolicitedSyn};
use crate::node::{Filter, Kind, Node, Port, Route};
use crate::packet::{Icmp, IcmpError, Packets, TcpFlags, TcpHeader, Transport};
use crate::route;
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

    // Links

    /// A packet comes to a link, where a hook may be.
    fn meet(&mut self, index: u32, packet: u32) {
        let pipe = &mut self.pipes[index as usize];
        if !pipe.up {
            return self.drop_on(index, DropReason::LinkDown, packet);
        }
        let verdict = match &mut pipe.hook {
            Some(hook) => hook(Duration::from_nanos(self.now), &self.packets.get(packet).view()),
            None => Verdict::Pass,
        };
        match verdict {
            Verdict::Pass => self.enter(index, packet),
            Verdict::Drop => self.drop_on(index, DropReason::Hook, packet),
            Verdict::Duplicate => {
                let copy = self.duplicate(index, packet);
                self.enter(index, packet);
                self.enter(index, copy);
            }
            Verdict::Delay(held) => {
                self.trace_pipe(index, Action::Reordered, packet);
                self.schedule(self.now + nanos(held), What::Enters { pipe: index, packet });
            }
        }
    }

    /// A packet comes to the near end of a pipe.
    fn enter(&mut self, index: u32, packet: u32) {
        if !self.pipes[index as usize].up {
            return self.drop_on(index, DropReason::LinkDown, packet);
        }
        self.fit(index, packet);
    }

    fn duplicate(&mut self, pipe: u32, packet: u32) -> u32 {
        let copy = self.packets.duplicate(packet);
        self.counters.duplicated += 1;
        self.trace_pipe(pipe, Action::Duplicated, copy);
        copy
    }

    /// Makes it fit the MTU.
    fn fit(&mut self, index: u32, packet: u32) {
        let pipe = &self.pipes[index as usize];
        let (mtu, from) = (pipe.config.mtu, pipe.from);
        let it = self.packets.get_mut(packet);
        let overhead = it.size() - it.payload.len();
        if usize::from(mtu) < it.payload.len() + overhead || it.fragments > 1 {
            let at_source = matches!(self.nodes[from as usize].kind, Kind::Host(_));
            let pieces = it.pieces(mtu);
            let allowed = it.may_fragment && (it.is_ipv4() || at_source);
            match pieces {
                Some(pieces) if pieces <= it.fragments => {}
                Some(pieces) if allowed => {
                    it.fragments = pieces;
                    self.trace_pipe(index, Action::Fragmented, packet);
                }
                _ => {
                    self.complain(from, IcmpError::TooBig { mtu }, packet);
                    return self.drop_on(index, DropReason::TooBig, packet);
                }
            }
        }
        self.queue(index, packet);
    }

    fn queue(&mut self, index: u32, packet: u32) {
        let pipe = &mut self.pipes[index as usize];
        let it = self.packets.get_mut(packet);
        it.queued_at = self.now;
        if pipe.config.rate.is_none() && pipe.busy.is_none() {
            self.trace_pipe(index, Action::Queued, packet);
            return self.propagate(index, packet);
        }
        if pipe.busy.is_none() {
            self.trace_pipe(index, Action::Queued, packet);
            return self.turn(index, packet);
        }
        let size = it.size();
        if !pipe.has_room(size) {
            return self.drop_on(index, DropReason::QueueFull, packet);
        }
        pipe.push(packet, size);
        self.trace_pipe(index, Action::Queued, packet);
    }

    /// It is the packet's turn.
    fn turn(&mut self, index: u32, packet: u32) {
        self.mark(index, packet);
        let pipe = &mut self.pipes[index as usize];
        let size = self.packets.get(packet).size();
        pipe.busy = Some(packet);
        let at = pipe.leaves_at(self.now, size);
        self.schedule(at, What::Leaves(index));
    }

    fn leaves(&mut self, index: u32) {
        let Some(packet) = self.pipes[index as usize].busy.take() else {
            return;
        };
        self.propagate(index, packet);
        let pipe = &mut self.pipes[index as usize];
        if let Some(next) = pipe.pop() {
            pipe.popped(self.packets.get(next).size());
            self.turn(index, next);
        }
    }

    fn mark(&mut self, index: u32, packet: u32) {
        let it = self.packets.get_mut(packet);
        let waited = Duration::from_nanos(self.now - it.queued_at);
        if self.pipes[index as usize].marks(waited, it.ecn) {
            it.ecn = Ecn::Ce;
            self.trace_pipe(index, Action::Marked, packet);
        }
    }

    fn propagate(&mut self, index: u32, packet: u32) {
        let pipe = &mut self.pipes[index as usize];
        if !pipe.up {
            return self.drop_on(index, DropReason::LinkDown, packet);
        }
        if pipe.loses(self.packets.get(packet).fragments) {
            return self.drop_on(index, DropReason::Loss, packet);
        }
        let twice = pipe.duplicates();
        self.fly(index, packet);
        if twice {
            let copy = self.duplicate(index, packet);
            self.fly(index, copy);
        }
    }

    fn fly(&mut self, index: u32, packet: u32) {
        let pipe = &mut self.pipes[index as usize];
        let held = pipe.holds_back();
        let at = pipe.arrives_at(self.now, held);
        if held.is_some() {
            self.trace_pipe(index, Action::Reordered, packet);
        }
        self.schedule(at, What::Arrives { pipe: index, packet });
    }

    pub(crate) fn set_up(&mut self, index: u32, up: bool) {
        self.pipes[index as usize].up = up;
        if up {
            return;
        }
        while let Some(packet) = self.pipes[index as usize].pop() {
            let size = self.packets.get(packet).size();
            self.pipes[index as usize].popped(size);
            self.drop_on(index, DropReason::LinkDown, packet);
        }
    }

    fn arrives(&mut self, index: u32, packet: u32) {
        let pipe = &self.pipes[index as usize];
        let (node, port) = (pipe.to, pipe.to_port);
        if matches!(self.nodes[node as usize].kind, Kind::Host(_)) {
            return self.host_receives(node, Some(port), packet);
        }
        let outside = self.nodes[node as usize].ports[port as usize].outside;
        let it = self.packets.get_mut(packet);
        it.hop_limit -= 1;
        if it.hop_limit == 0 {
            self.complain(node, IcmpError::HopLimit, packet);
            return self.drop_at(node, DropReason::HopLimit, packet);
        }
        self.transit(node, outside, packet);
    }

    // Routers, firewalls, NATs

    fn transit(&mut self, node: u32, outside: bool, packet: u32) {
        let it = self.packets.get(packet);
        match &self.nodes[node as usize].kind {
            Kind::Nat(_) if it.is_ipv4() && outside => self.nat_inbound(node, packet),
            Kind::Nat(_) if it.is_ipv4() => self.nat_outbound(node, packet),
            Kind::Nat(_) | Kind::Firewall(_) => self.filter(node, outside, packet),
            Kind::Router | Kind::Host(_) => self.forward(node, false, packet),
        }
    }

    fn route(&mut self, node: u32, outside: bool, destination: IpAddr) -> Route {
        if let Some(&route) = self.nodes[node as usize].routes.get(&(outside, destination)) {
            return route;
        }
        let route = route::find(&self.nodes, &self.pipes, (node, outside), destination);
        self.nodes[node as usize].routes.insert((outside, destination), route);
        route
    }

    /// On towards its destination, within the realm of that side.
    fn forward(&mut self, node: u32, outside: bool, packet: u32) {
        match self.route(node, outside, self.packets.get(packet).destination.ip()) {
            Route::Out(pipe) => self.meet(pipe, packet),
            Route::Across | Route::None => {
                self.complain(node, IcmpError::HostUnreachable, packet);
                self.drop_at(node, DropReason::NoRoute, packet);
            }
        }
    }

    /// A firewall, or a NAT for IPv6.
    fn filter(&mut self, node: u32, outside: bool, packet: u32) {
        let Route::Out(pipe) = self.route(node, false, self.packets.get(packet).destination.ip()) else {
            return self.forward(node, false, packet);
        };
        let ports = &self.nodes[node as usize].ports;
        let leaves_outside = ports.iter().any(|port| port.pipe == pipe && port.outside);
        if outside != leaves_outside {
            let it = self.packets.get(packet);
            let (source, destination, transport, fragments) = (it.source, it.destination, it.transport, it.fragments);
            let now = self.now;
            let filter = match &mut self.nodes[node as usize].kind {
                Kind::Firewall(filter) => filter,
                Kind::Nat(nat) => &mut nat.filter6,
                Kind::Host(_) | Kind::Router => return self.meet(pipe, packet),
            };
            if let Err(reason) = filter.check(now, outside, source, destination, &transport, fragments) {
                return self.drop_at(node, reason, packet);
            }
        }
        self.meet(pipe, packet);
    }

    fn nat(&mut self, node: u32) -> Option<&mut crate::node::NatNode> {
        match &mut self.nodes[node as usize].kind {
            Kind::Nat(nat) => Some(nat),
            _ => None,
        }
    }

    fn nat_outbound(&mut self, node: u32, packet: u32) {
        let it = self.packets.get(packet);
        let (source, destination, transport, fragments) = (it.source, it.destination, it.transport, it.fragments);
        let now = self.now;
        let Some(nat) = self.nat(node) else { return };
        let hairpins = nat.table.pool.contains(&destination.ip());
        if !hairpins && self.route(node, false, destination.ip()) != Route::Across {
            return self.forward(node, false, packet);
        }
        let Some(nat) = self.nat(node) else { return };
        if fragments > 1 && !nat.config.fragments {
            return self.drop_at(node, DropReason::Fragment, packet);
        }
        let tcp = match transport {
            Transport::Icmp(icmp) => return self.nat_icmp_outbound(node, icmp, packet),
            Transport::Tcp(tcp) => Some(tcp.flags),
            Transport::Udp => None,
        };
        if !hairpins && !nat.config.allow.permits(tcp.is_some(), destination.port()) {
            return self.drop_at(node, DropReason::FirewallOutbound, packet);
        }
        if hairpins && nat.config.hairpin == Hairpin::None {
            return self.drop_at(node, DropReason::NatNoHairpin, packet);
        }
        let external = match nat.table.outbound(now, tcp, source, destination) {
            Ok(external) => external,
            Err(reason) => return self.drop_at(node, reason, packet),
        };
        if hairpins {
            return self.hairpin(node, external, tcp, packet);
        }
        self.translate_source(node, external, packet);
        self.forward(node, true, packet);
    }

    fn hairpin(&mut self, node: u32, external: SocketAddr, tcp: Option<TcpFlags>, packet: u32) {
        let (now, destination) = (self.now, self.packets.get(packet).destination);
        let Some(nat) = self.nat(node) else { return };
        let hairpin = nat.config.hairpin;
        // The filter sees what the peer has sent to: the external source.
        match nat.table.inbound(now, tcp, external, destination) {
            Ok(internal) => {
                if hairpin == Hairpin::ExternalSource {
                    self.translate_source(node, external, packet);
                }
                self.translate_destination(node, internal, packet);
                self.forward(node, false, packet);
            }
            Err(reason) => self.drop_at(node, reason, packet),
        }
    }

    fn nat_inbound(&mut self, node: u32, packet: u32) {
        let it = self.packets.get(packet);
        let (source, destination, transport, fragments) = (it.source, it.destination, it.transport, it.fragments);
        let now = self.now;
        let Some(nat) = self.nat(node) else { return };
        if !nat.table.pool.contains(&destination.ip()) {
            // Just passing: its outside has more than one link.
            return self.forward(node, true, packet);
        }
        if fragments > 1 && !nat.config.fragments {
            return self.drop_at(node, DropReason::Fragment, packet);
        }
        let tcp = match transport {
            Transport::Icmp(icmp) => return self.nat_icmp_inbound(node, icmp, packet),
            Transport::Tcp(tcp) => Some(tcp.flags),
            Transport::Udp => None,
        };
        match nat.table.inbound(now, tcp, source, destination) {
            Ok(internal) => {
                self.translate_destination(node, internal, packet);
                self.forward(node, false, packet);
            }
            Err(reason) => self.refuse_inbound(node, reason, packet),
        }
    }

    /// RFC 5382 §4.3.
    fn refuse_inbound(&mut self, node: u32, reason: DropReason, packet: u32) {
        let it = self.packets.get(packet);
        let (source, destination) = (it.source, it.destination);
        let syn = match it.transport {
            Transport::Tcp(tcp) if tcp.flags == TcpFlags::SYN => Some(tcp),
            _ => None,
        };
        let unsolicited = self.nat(node).map(|nat| nat.config.unsolicited_syn);
        match (syn, unsolicited) {
            (Some(syn), Some(UnsolicitedSyn::Reset)) => {
                let reset = TcpHeader {
                    seq: 0,
                    ack: syn.seq + 1,
                    flags: TcpFlags {
                        ack: true,
                        ..TcpFlags::RST
                    },
                    window: 0,
                    mss: 0,
                };
                let answer = self.packets.create(destination, source, Transport::Tcp(reset));
                self.counters.sent += 1;
                self.trace_node(node, Action::Sent, answer);
                self.drop_at(node, reason, packet);
                self.forward(node, true, answer);
            }
            (Some(_), Some(UnsolicitedSyn::Unreachable(after))) => {
                self.schedule(self.now + nanos(after), What::Unsolicited { node, packet, reason });
            }
            _ => self.drop_at(node, reason, packet),
        }
    }

    fn unsolicited(&mut self, node: u32, packet: u32, reason: DropReason) {
        let it = self.packets.get(packet);
        let (source, destination, now) = (it.source, it.destination, self.now);
        let opened = self
            .nat(node)
            .is_some_and(|nat| nat.table.behind(now, true, destination, source).is_some());
        if !opened {
            self.complain(node, IcmpError::PortUnreachable, packet);
        }
        self.drop_at(node, reason, packet);
    }

    /// RFC 5508 §4.1: an error from inside about a packet that came in.
    fn nat_icmp_outbound(&mut self, node: u32, icmp: Icmp, packet: u32) {
        let now = self.now;
        let Some(nat) = self.nat(node) else { return };
        let external = nat
            .table
            .external_of(now, icmp.about_tcp, icmp.about_destination, icmp.about_source);
        let Some(external) = external.filter(|_| nat.config.icmp) else {
            return self.drop_at(node, DropReason::Icmp, packet);
        };
        let about = Icmp {
            about_destination: external,
            ..icmp
        };
        let it = self.packets.get_mut(packet);
        it.transport = Transport::Icmp(about);
        it.source = SocketAddr::new(external.ip(), 0);
        let action = Action::Translated {
            from: icmp.about_destination,
            to: external,
        };
        self.trace_node(node, action, packet);
        self.forward(node, true, packet);
    }

    /// RFC 5508 §4.2: an error from outside about a packet that went out. It never ends a mapping (REQ-10).
    fn nat_icmp_inbound(&mut self, node: u32, icmp: Icmp, packet: u32) {
        let now = self.now;
        let Some(nat) = self.nat(node) else { return };
        let internal = nat
            .table
            .behind(now, icmp.about_tcp, icmp.about_source, icmp.about_destination);
        let Some(internal) = internal.filter(|_| nat.config.icmp) else {
            return self.drop_at(node, DropReason::Icmp, packet);
        };
        let about = Icmp {
            about_source: internal,
            ..icmp
        };
        let it = self.packets.get_mut(packet);
        it.transport = Transport::Icmp(about);
        it.destination = SocketAddr::new(internal.ip(), 0);
        let action = Action::Translated {
            from: icmp.about_source,
            to: internal,
        };
        self.trace_node(node, action, packet);
        self.forward(node, false, packet);
    }

    fn translate_source(&mut self, node: u32, to: SocketAddr, packet: u32) {
        let from = std::mem::replace(&mut self.packets.get_mut(packet).source, to);
        self.trace_node(node, Action::Translated { from, to }, packet);
    }

    fn translate_destination(&mut self, node: u32, to: SocketAddr, packet: u32) {
        let from = std::mem::replace(&mut self.packets.get_mut(packet).destination, to);
        self.trace_node(node, Action::Translated { from, to }, packet);
    }

    // Errors

    /// Tells the sender of a packet what went wrong with it at `node`.
    pub(crate) fn complain(&mut self, node: u32, error: IcmpError, about: u32) {
        let it = self.packets.get(about);
        let (source, destination) = (it.source, it.destination);
        let about_tcp = match it.transport {
            // No errors about errors (RFC 1122 §3.2.2).
            Transport::Icmp(_) => return,
            Transport::Tcp(tcp) if tcp.flags.rst => return,
            Transport::Tcp(_) => true,
            Transport::Udp => false,
        };
        let own = self.nodes[node as usize].port_of(&source.ip()).is_some();
        if own {
            return self.host_error(node, about_tcp, source, destination, error);
        }
        if !self.nodes[node as usize].sends_icmp {
            return;
        }
        let icmp = Icmp {
            error,
            about_tcp,
            about_source: source,
            about_destination: destination,
        };
        let from = match self.nodes[node as usize].kind {
            Kind::Host(_) => destination.ip(),
            _ => router_address(&source.ip()),
        };
        let from = SocketAddr::new(from, 0);
        let to = SocketAddr::new(source.ip(), 0);
        let packet = self.packets.create(from, to, Transport::Icmp(icmp));
        self.counters.sent += 1;
        self.trace_node(node, Action::Sent, packet);
        self.emit_error(node, icmp, packet);
    }

    fn emit_error(&mut self, node: u32, icmp: Icmp, packet: u32) {
        let to = self.packets.get(packet).destination.ip();
        match &self.nodes[node as usize].kind {
            Kind::Host(_) => {
                let from = self.packets.get(packet).source.ip();
                self.leave_host(node, from, packet);
            }
            Kind::Nat(nat) if to.is_ipv4() => {
                if nat.table.pool.contains(&to) {
                    // It has been translated before the error arose.
                    self.nat_icmp_inbound(node, icmp, packet);
                } else if self.route(node, false, to) == Route::Across {
                    self.forward(node, true, packet);
                } else {
                    self.forward(node, false, packet);
                }
            }
            _ => self.forward(node, false, packet),
        }
    }

    // Hosts

    /// A host sends a packet that has been filled.
    pub(crate) fn host_sends(&mut self, node: u32, packet: u32) {
        self.counters.sent += 1;
        self.trace_node(node, Action::Sent, packet);
        let from = self.packets.get(packet).source.ip();
        self.leave_host(node, from, packet);
    }

    /// A packet that its own host does not let out.
    pub(crate) fn refuse(&mut self, node: u32, packet: u32) {
        self.counters.sent += 1;
        self.trace_node(node, Action::Sent, packet);
        self.drop_at(node, DropReason::NotBound, packet);
    }

    fn leave_host(&mut self, node: u32, from: IpAddr, packet: u32) {
        let to = self.packets.get(packet).destination.ip();
        let this = &self.nodes[node as usize];
        let Some(port) = this.port_of(&from) else {
            return self.drop_at(node, DropReason::NoAddress, packet);
        };
        let pipe = port.pipe;
        if this.port_of(&to).is_some() {
            return self.schedule(self.now, What::Loops { node, packet });
        }
        self.meet(pipe, packet);
    }

    /// A packet comes to a host, over that port or, without one, from itself.
    fn host_receives(&mut self, node: u32, port: Option<u32>, packet: u32) {
        let it = self.packets.get(packet);
        let (source, destination, transport) = (it.source, it.destination, it.transport);
        let this = &self.nodes[node as usize];
        let mine = match port {
            Some(port) => this.ports[port as usize].addresses.contains(&destination.ip()),
            None => this.port_of(&destination.ip()).is_some(),
        };
        if !mine {
            return self.drop_at(node, DropReason::NoAddress, packet);
        }
        match transport {
            Transport::Udp => match self.udp_socket(node, destination) {
                Some(socket) => {
                    let news = News::Datagram(packet);
                    self.call(socket.endpoint, destination, source, news);
                }
                None => {
                    self.complain(node, IcmpError::PortUnreachable, packet);
                    self.drop_at(node, DropReason::NoSocket, packet);
                }
            },
            Transport::Icmp(icmp) => {
                self.delivered(node, packet);
                self.packets.release(packet);
                self.host_error(
                    node,
                    icmp.about_tcp,
                    icmp.about_source,
                    icmp.about_destination,
                    icmp.error,
                );
            }
            Transport::Tcp(header) => self.tcp_receives(node, header, packet),
        }
    }

    pub(crate) fn udp_socket(&self, node: u32, local: SocketAddr) -> Option<crate::node::UdpSocket> {
        let host = self.nodes[node as usize].host()?;
        let any: IpAddr = if local.is_ipv4() {
            Ipv4Addr::UNSPECIFIED.into()
        } else {
            Ipv6Addr::UNSPECIFIED.into()
        };
        let exact = host.udp.get(&local);
        exact
            .or_else(|| host.udp.get(&SocketAddr::new(any, local.port())))
            .copied()
    }

    fn host_error(&mut self, node: u32, tcp: bool, local: SocketAddr, remote: SocketAddr, error: IcmpError) {
        if tcp {
            self.tcp_error(node, local, remote, error);
        } else if let Some(socket) = self.udp_socket(node, local) {
            self.call(socket.endpoint, local, remote, News::Error(error));
        }
    }

    pub(crate) fn call(&mut self, endpoint: u32, local: SocketAddr, remote: SocketAddr, news: News) {
        self.upcalls.push(Upcall {
            endpoint,
            local,
            remote,
            news,
        });
    }
}

impl Filter {
    fn check(
        &mut self,
        now: u64,
        inbound: bool,
        source: SocketAddr,
        destination: SocketAddr,
        transport: &Transport,
        fragments: u16,
    ) -> Result<(), DropReason> {
        if fragments > 1 && !self.config.fragments {
            return Err(DropReason::Fragment);
        }
        let tcp = match transport {
            Transport::Icmp(_) if !inbound => return Ok(()),
            Transport::Icmp(icmp) => {
                let known = self
                    .table
                    .behind(now, icmp.about_tcp, icmp.about_source, icmp.about_destination);
                let taken = self.config.icmp && known.is_some();
                return if taken { Ok(()) } else { Err(DropReason::Icmp) };
            }
            Transport::Tcp(tcp) => Some(tcp.flags),
            Transport::Udp => None,
        };
        if inbound {
            let admitted = self.table.inbound(now, tcp, source, destination);
            return admitted.map(|_| ()).map_err(|_| DropReason::FirewallInbound);
        }
        if !self.config.allow.permits(tcp.is_some(), destination.port()) {
            return Err(DropReason::FirewallOutbound);
        }
        let passed = self.table.outbound(now, tcp, source, destination);
        passed.map(|_| ()).map_err(|reason| match reason {
            DropReason::NatFull => DropReason::FirewallFull,
            _ => DropReason::FirewallOutbound,
        })
    }
}

/// Whom errors of a router come from: the dummy address of RFC 7600 §4.8, and one of the block for documentation.
fn router_address(family: &IpAddr) -> IpAddr {
    match family {
        IpAddr::V4(_) => Ipv4Addr::new(192, 0, 0, 8).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 8).into(),
    }
}
