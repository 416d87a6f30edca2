use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use wire::{Path, Protocol, Seed, Transmit};

use crate::drops::{Counters, DropReason};
use crate::endpoint::{ConnectError, Endpoint, Event, TcpEvent};
use crate::filter::Filter;
use crate::firewall::Firewall;
use crate::link::{Direction, Link, Verdict, nanos};
use crate::nat::Nat;
use crate::network::{Network, News, Upcall, What};
use crate::node::{FirewallId, Host, HostId, Kind, LinkId, NatId, NatNode, RouterId, Side};
use crate::packet::{PacketView, Transport};
use crate::sockets::{SocketCounters, Sockets};
use crate::stuck::{MAX_EVENTS, MAX_TIMEOUTS, MAX_TRANSMITS, Spin, Stuck};
use crate::table::{Rules, Table};
use crate::tcp::Out;
use crate::trace::Observer;

/// How many bytes [`Endpoint::poll_transmit`] may write at once.
pub const MAX_TRANSMIT: usize = 1 << 16;

/// An endpoint of type `T` in a [`Sim`].
pub struct EndpointId<T> {
    index: u32,
    of: PhantomData<fn() -> T>,
}

/// An observer of type `T` in a [`Sim`].
pub struct ObserverId<T> {
    index: usize,
    of: PhantomData<fn() -> T>,
}

macro_rules! plain_id {
    ($id:ident) => {
        impl<T> Clone for $id<T> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<T> Copy for $id<T> {}

        impl<T> fmt::Debug for $id<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($id), self.index)
            }
        }
    };
}

plain_id!(EndpointId);
plain_id!(ObserverId);

/// One of the two directions of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the first of the two nodes that the link was made between.
    Forward,
    /// To the first.
    Backward,
}

struct Slot {
    name: String,
    node: u32,
    engine: Option<Box<dyn Endpoint>>,
    deadline: Option<u64>,
    /// The earliest wake-up that is in the queue of events.
    armed: u64,
    /// How often in a row a timer was due again at one moment.
    late: u32,
    dirty: bool,
    counters: SocketCounters,
}

type Script = Box<dyn FnOnce(&mut Sim)>;

/// A network, the endpoints on its hosts, and the clock of both.
///
/// Everything that happens follows from the number of the run, the topology and what the endpoints do.
pub struct Sim {
    net: Network,
    slots: Vec<Slot>,
    base: Instant,
    links: Vec<[u32; 2]>,
    scripts: Vec<Option<Script>>,
    pending: Vec<Upcall>,
    out: Vec<u8>,
    any_dirty: bool,
    /// Events at this very moment.
    repeats: u32,
    last_at_work: u32,
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim")
            .field("net", &self.net)
            .field(
                "endpoints",
                &self.slots.iter().map(|slot| &slot.name).collect::<Vec<_>>(),
            )
            .finish_non_exhaustive()
    }
}

/// The topology. Everything here can be used during a run, too.
impl Sim {
    /// An empty network. Runs with equal numbers are equal.
    pub fn new(run: u64) -> Self {
        Self {
            net: Network::new(run),
            slots: Vec::new(),
            base: Instant::now(),
            links: Vec::new(),
            scripts: Vec::new(),
            pending: Vec::new(),
            out: vec![0; MAX_TRANSMIT],
            any_dirty: false,
            repeats: 0,
            last_at_work: 0,
        }
    }

    /// A seed for an engine, another one at each call. It follows from the number of the run and the calls before, so
    /// make the calls in a fixed order.
    pub fn next_seed(&mut self) -> Seed {
        let mut seed = self.net.next_seed();
        // Not one that a part of the network has, whatever the engine grows from it.
        seed.0[31] = 0xff;
        seed
    }

    /// A host without addresses.
    ///
    /// # Panics
    /// Here and below, when the name is taken: names tell who is who in traces.
    pub fn add_host(&mut self, name: &str) -> HostId {
        let rng = self.net.next_rng();
        HostId(self.net.add_node(name, Kind::Host(Box::new(Host::new(rng)))))
    }

    /// A router. It needs no addresses: it knows the way to those of all hosts that it is connected with.
    pub fn add_router(&mut self, name: &str) -> RouterId {
        RouterId(self.net.add_node(name, Kind::Router))
    }

    /// A NAT with these external addresses (IPv4). Addresses behind it are unknown in front of it and may be used
    /// elsewhere, too.
    ///
    /// # Panics
    /// When there is no external address, or one is IPv6: that passes untranslated.
    pub fn add_nat(&mut self, name: &str, config: Nat, external: &[IpAddr]) -> NatId {
        check_external(name, external);
        let filter6 = self.filter(config.firewall6.clone());
        let table = Table::new(Rules::nat(&config), external.to_vec(), self.net.next_rng());
        let nat = NatNode { config, table, filter6 };
        NatId(self.net.add_node(name, Kind::Nat(Box::new(nat))))
    }

    /// A stateful filter for both families.
    pub fn add_firewall(&mut self, name: &str, config: Firewall) -> FirewallId {
        let filter = self.filter(config);
        FirewallId(self.net.add_node(name, Kind::Firewall(Box::new(filter))))
    }

    fn filter(&mut self, config: Firewall) -> Filter {
        let table = Table::new(Rules::firewall(&config), Vec::new(), self.net.next_rng());
        Filter { config, table }
    }

    /// Connects two nodes; a NAT or firewall at its [`inside`](NatId::inside) or [`outside`](NatId::outside).
    pub fn link(&mut self, a: impl Into<Side>, b: impl Into<Side>, link: Link) -> LinkId {
        let (a, b) = (a.into(), b.into());
        assert!(a.node != b.node, "a link leads to another node");
        let number = self.links.len();
        let a_port = self.net.nodes[a.node as usize].ports.len() as u32;
        let b_port = self.net.nodes[b.node as usize].ports.len() as u32;
        let forward = self.net.add_pipe(link.forward, number, a.node, b.node, b_port);
        let backward = self.net.add_pipe(link.backward, number, b.node, a.node, a_port);
        self.net.add_port(a.node, forward, a.outside);
        self.net.add_port(b.node, backward, b.outside);
        self.links.push([forward, backward]);
        self.net.forget_routes();
        LinkId(number)
    }

    /// Connects a host and gives it addresses there: [`link`](Self::link) and [`add_address`](Self::add_address) in
    /// one.
    pub fn attach(&mut self, host: HostId, to: impl Into<Side>, addresses: &[IpAddr], link: Link) -> LinkId {
        let link = self.link(host, to, link);
        for &address in addresses {
            self.add_address(host, link, address);
        }
        link
    }

    /// Gives a host an address on a link, that is, on its interface there. Its endpoints are told.
    ///
    /// # Panics
    /// When the host has it already, or is not on that link.
    pub fn add_address(&mut self, host: HostId, link: LinkId, address: IpAddr) {
        let node = &mut self.net.nodes[host.0 as usize];
        assert!(
            node.port_of(&address).is_none(),
            "{} has the address {address} already: remove it there first",
            node.name
        );
        let ends = self.links[link.0];
        let Some(port) = node.ports.iter_mut().find(|port| ends.contains(&port.pipe)) else {
            panic!("{} is not on link {}: take one of its own links", node.name, link.0);
        };
        port.addresses.push(address);
        self.addresses_changed(host, |now, engine| {
            engine.handle_event(now, Event::AddressAdded(address));
        });
    }

    /// Takes an address away from a host. Its endpoints are told.
    pub fn remove_address(&mut self, host: HostId, address: IpAddr) {
        for port in &mut self.net.nodes[host.0 as usize].ports {
            port.addresses.retain(|&other| other != address);
        }
        self.addresses_changed(host, |now, engine| {
            engine.handle_event(now, Event::AddressRemoved(address));
        });
    }

    fn addresses_changed(&mut self, host: HostId, tell: impl Fn(Instant, &mut dyn Endpoint)) {
        self.net.forget_routes();
        let now = self.now();
        for slot in self.slots.iter_mut().filter(|slot| slot.node == host.0) {
            if let Some(engine) = &mut slot.engine {
                tell(now, &mut **engine);
                slot.dirty = true;
                self.any_dirty = true;
            }
        }
    }

    /// What one direction of a link does; a change holds for packets whose turn is yet to come.
    pub fn direction_mut(&mut self, link: LinkId, way: Way) -> &mut Direction {
        let pipe = self.pipe(link, way);
        &mut self.net.pipes[pipe as usize].config
    }

    /// Takes a link down or up again. What waits in its queues is lost, what is on its way arrives.
    pub fn set_link_up(&mut self, link: LinkId, up: bool) {
        for pipe in self.links[link.0] {
            self.net.set_up(pipe, up);
        }
    }

    /// Asks `hook` about each packet that comes to a link in that direction, with the time since the start. Replaces
    /// the hook before.
    pub fn set_hook(
        &mut self,
        link: LinkId,
        way: Way,
        hook: impl FnMut(Duration, &PacketView<'_>) -> Verdict + 'static,
    ) {
        let pipe = self.pipe(link, way);
        self.net.pipes[pipe as usize].hook = Some(Box::new(hook));
    }

    /// How many bytes and packets wait in a queue now.
    pub fn backlog(&self, link: LinkId, way: Way) -> (usize, usize) {
        self.net.pipes[self.pipe(link, way) as usize].backlog()
    }

    fn pipe(&self, link: LinkId, way: Way) -> u32 {
        let [forward, backward] = self.links[link.0];
        match way {
            Way::Forward => forward,
            Way::Backward => backward,
        }
    }

    /// Whether a node tells senders of packets that it cannot deliver. All do at first.
    pub fn set_sends_icmp(&mut self, node: impl Into<Side>, sends: bool) {
        self.net.nodes[node.into().node as usize].sends_icmp = sends;
    }

    /// How many mappings a NAT has.
    pub fn mappings(&mut self, nat: NatId) -> usize {
        let now = self.net.now;
        self.nat(nat).table.len(now)
    }

    /// Lets a NAT forget all mappings, as when it is switched off and on; for IPv6, too.
    pub fn forget_mappings(&mut self, nat: NatId) {
        let nat = self.nat(nat);
        nat.table.clear();
        nat.filter6.table.clear();
    }

    /// Gives a NAT other external addresses, and lets it forget all mappings.
    ///
    /// # Panics
    /// As [`add_nat`](Self::add_nat).
    pub fn set_external(&mut self, nat: NatId, external: &[IpAddr]) {
        check_external(&self.net.nodes[nat.0 as usize].name, external);
        self.nat(nat).table.pool = external.to_vec();
        self.forget_mappings(nat);
        self.net.forget_routes();
    }

    fn nat(&mut self, nat: NatId) -> &mut NatNode {
        match &mut self.net.nodes[nat.0 as usize].kind {
            Kind::Nat(nat) => nat,
            _ => panic!("this NAT is one of another simulation"),
        }
    }
}

/// Endpoints and observers.
impl Sim {
    /// Lets `endpoint` run on a host, any number of them on one. The name tells who it is when it spins.
    pub fn add_endpoint<T: Endpoint>(&mut self, host: HostId, name: &str, endpoint: T) -> EndpointId<T> {
        self.slots.push(Slot {
            name: name.to_owned(),
            node: host.0,
            engine: Some(Box::new(endpoint)),
            deadline: None,
            armed: u64::MAX,
            late: 0,
            dirty: true,
            counters: SocketCounters::default(),
        });
        self.any_dirty = true;
        EndpointId {
            index: (self.slots.len() - 1) as u32,
            of: PhantomData,
        }
    }

    /// An endpoint.
    ///
    /// # Panics
    /// Here and below, when it has been removed, or is one of another simulation.
    pub fn get<T: Endpoint>(&self, id: EndpointId<T>) -> &T {
        let engine: Option<&dyn Any> = self.slots[id.index as usize]
            .engine
            .as_deref()
            .map(|engine| engine as _);
        engine.and_then(|engine| engine.downcast_ref()).expect(FOREIGN)
    }

    /// An endpoint, for commands. It is polled before time goes on.
    pub fn get_mut<T: Endpoint>(&mut self, id: EndpointId<T>) -> &mut T {
        let slot = &mut self.slots[id.index as usize];
        slot.dirty = true;
        self.any_dirty = true;
        let engine: Option<&mut dyn Any> = slot.engine.as_deref_mut().map(|engine| engine as _);
        engine.and_then(|engine| engine.downcast_mut()).expect(FOREIGN)
    }

    /// The sockets of an endpoint, to bind some for it.
    pub fn sockets<T>(&mut self, id: EndpointId<T>) -> Sockets<'_> {
        let slot = &mut self.slots[id.index as usize];
        slot.dirty = true;
        self.any_dirty = true;
        Sockets {
            node: slot.node,
            endpoint: id.index,
            net: &mut self.net,
        }
    }

    /// What the endpoint wanted to send and could not.
    pub fn socket_counters<T>(&self, id: EndpointId<T>) -> SocketCounters {
        self.slots[id.index as usize].counters
    }

    /// Takes an endpoint out. Its ports are closed, and its connections reset.
    pub fn remove_endpoint<T: Endpoint>(&mut self, id: EndpointId<T>) -> T {
        let slot = &mut self.slots[id.index as usize];
        slot.deadline = None;
        let engine: Option<Box<dyn Any>> = slot.engine.take().map(|engine| engine as _);
        let node = slot.node;
        let engine = engine.and_then(|engine| engine.downcast().ok()).expect(FOREIGN);
        self.net.close_all(node, id.index);
        *engine
    }

    /// Lets `observer` see everything that happens from now on.
    pub fn observe<T: Observer>(&mut self, observer: T) -> ObserverId<T> {
        self.net.observers.push(Box::new(observer));
        ObserverId {
            index: self.net.observers.len() - 1,
            of: PhantomData,
        }
    }

    /// An observer.
    pub fn observer<T: Observer>(&self, id: ObserverId<T>) -> &T {
        let observer: &dyn Any = &*self.net.observers[id.index];
        observer.downcast_ref().expect(FOREIGN)
    }

    /// An observer, to be changed.
    pub fn observer_mut<T: Observer>(&mut self, id: ObserverId<T>) -> &mut T {
        let observer: &mut dyn Any = &mut *self.net.observers[id.index];
        observer.downcast_mut().expect(FOREIGN)
    }

    /// What has become of the packets so far.
    pub fn counters(&self) -> Counters {
        self.net.counters()
    }
}

fn check_external(name: &str, external: &[IpAddr]) {
    assert!(!external.is_empty(), "the NAT {name} needs an external address");
    assert!(
        external.iter().all(IpAddr::is_ipv4),
        "the NAT {name} translates IPv4 only: IPv6 passes it untranslated, leave its addresses out"
    );
}

const FOREIGN: &str = "it has been removed, or is one of another simulation";

/// Time.
impl Sim {
    /// The present moment.
    pub fn now(&self) -> Instant {
        self.base + Duration::from_nanos(self.net.now)
    }

    /// Time since the start of the run.
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.net.now)
    }

    /// Does something at a moment, counted from the start of the run; at once when that is over.
    pub fn at(&mut self, when: Duration, script: impl FnOnce(&mut Self) + 'static) {
        self.scripts.push(Some(Box::new(script)));
        let index = (self.scripts.len() - 1) as u32;
        self.net.schedule(nanos(when), What::Script(index));
    }

    /// Runs for so long.
    ///
    /// # Errors
    /// When an endpoint spins.
    pub fn run_for(&mut self, time: Duration) -> Result<(), Stuck> {
        self.run_until(time, |_| false).map(|_| ())
    }

    /// Runs until `done` says so, which is asked after everything that happens, and says whether it did: at most for
    /// `limit`.
    ///
    /// # Errors
    /// When an endpoint spins.
    pub fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&Self) -> bool) -> Result<bool, Stuck> {
        let end = self.net.now.saturating_add(nanos(limit));
        self.settle()?;
        while !done(self) {
            match self.net.next_event() {
                Some(at) if at <= end => self.step()?,
                _ => {
                    self.net.now = end;
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Runs until nothing is left to do: no packet is under way and no timer armed. Says whether it came to that within
    /// `limit`.
    ///
    /// # Errors
    /// When an endpoint spins.
    pub fn run_until_idle(&mut self, limit: Duration) -> Result<bool, Stuck> {
        let end = self.net.now.saturating_add(nanos(limit));
        self.settle()?;
        while let Some(at) = self.net.next_event() {
            if at > end {
                self.net.now = end;
                return Ok(false);
            }
            self.step()?;
        }
        Ok(true)
    }

    fn step(&mut self) -> Result<(), Stuck> {
        let before = self.net.now;
        let Some(what) = self.net.pop() else { return Ok(()) };
        self.repeats = if self.net.now == before { self.repeats + 1 } else { 0 };
        if self.repeats > MAX_EVENTS {
            return Err(self.stuck(self.last_at_work, Spin::Network));
        }
        match what {
            What::Wake(endpoint) => self.wake(endpoint)?,
            What::Script(index) => {
                if let Some(script) = self.scripts[index as usize].take() {
                    script(self);
                }
            }
            other => self.net.handle(other),
        }
        self.settle()
    }

    /// Hands over what the network has for endpoints, until neither has anything more at this moment.
    fn settle(&mut self) -> Result<(), Stuck> {
        while self.any_dirty || !self.net.upcalls.is_empty() {
            if self.any_dirty {
                self.any_dirty = false;
                for index in 0..self.slots.len() {
                    if self.slots[index].dirty {
                        self.service(index as u32)?;
                    }
                }
            }
            let mut pending = std::mem::replace(&mut self.net.upcalls, std::mem::take(&mut self.pending));
            for upcall in pending.drain(..) {
                self.hand_over(upcall)?;
            }
            self.pending = pending;
        }
        Ok(())
    }

    fn hand_over(&mut self, upcall: Upcall) -> Result<(), Stuck> {
        let now = self.now();
        let slot = &mut self.slots[upcall.endpoint as usize];
        let mut path = Path::udp(upcall.local, upcall.remote);
        match upcall.news {
            News::Datagram(packet) => {
                let Some(engine) = &mut slot.engine else {
                    self.net.drop_at(slot.node, DropReason::NoSocket, packet);
                    return Ok(());
                };
                self.net.delivered(slot.node, packet);
                let it = self.net.packets.get_mut(packet);
                engine.handle_datagram(now, &path, it.ecn, &mut it.payload);
                self.net.packets.release(packet);
            }
            News::Error(error) => {
                if let Some(engine) = &mut slot.engine {
                    engine.handle_event(now, Event::Error { path, error });
                }
            }
            News::Unreachable(error) => {
                path.protocol = Protocol::Tcp;
                if let Some(engine) = &mut slot.engine {
                    let event = TcpEvent::Failed(ConnectError::Unreachable(error));
                    engine.handle_event(now, Event::Tcp { path, event });
                }
            }
            News::Tcp(out) => {
                path.protocol = Protocol::Tcp;
                if let Some(engine) = &mut slot.engine {
                    hand_over_tcp(&mut **engine, now, path, out);
                }
            }
        }
        self.service(upcall.endpoint)
    }

    fn wake(&mut self, index: u32) -> Result<(), Stuck> {
        let now = self.net.now;
        let at = self.now();
        let slot = &mut self.slots[index as usize];
        // An earlier wake-up has taken its place.
        if slot.armed > now {
            return Ok(());
        }
        slot.armed = u64::MAX;
        let due = slot.deadline.is_some_and(|deadline| deadline <= now);
        if let Some(engine) = slot.engine.as_mut().filter(|_| due) {
            engine.handle_timeout(at);
        }
        self.service(index)?;
        let slot = &mut self.slots[index as usize];
        let again = due && slot.deadline.is_some_and(|deadline| deadline <= now);
        slot.late = if again { slot.late + 1 } else { 0 };
        if slot.late > MAX_TIMEOUTS {
            return Err(self.stuck(index, Spin::Timeout));
        }
        Ok(())
    }

    /// Takes what an endpoint has to send, and asks when it wants to be woken.
    fn service(&mut self, index: u32) -> Result<(), Stuck> {
        let now = self.now();
        self.last_at_work = index;
        let slot = &mut self.slots[index as usize];
        slot.dirty = false;
        let Some(engine) = &mut slot.engine else { return Ok(()) };
        let mut sockets = Sockets {
            net: &mut self.net,
            node: slot.node,
            endpoint: index,
        };
        engine.poll_sockets(now, &mut sockets);
        let mut transmits = 0;
        while let Some(transmit) = engine.poll_transmit(now, &mut self.out) {
            let bytes = &self.out[..transmit.len];
            send(&mut sockets, &mut slot.counters, &transmit, bytes);
            transmits += 1;
            if transmits > MAX_TRANSMITS {
                return Err(self.stuck(index, Spin::Transmit));
            }
        }
        let deadline = engine
            .poll_timeout()
            .map(|at| nanos(at.saturating_duration_since(self.base)));
        slot.deadline = deadline;
        if let Some(deadline) = deadline
            .map(|deadline| deadline.max(self.net.now))
            .filter(|&at| at < slot.armed)
        {
            slot.armed = deadline;
            self.net.schedule(deadline, What::Wake(index));
        }
        Ok(())
    }

    fn stuck(&self, index: u32, spin: Spin) -> Stuck {
        Stuck {
            endpoint: self
                .slots
                .get(index as usize)
                .map_or_else(String::new, |slot| slot.name.clone()),
            at: self.elapsed(),
            spin,
        }
    }
}

fn hand_over_tcp(engine: &mut dyn Endpoint, now: Instant, path: Path, out: Out) {
    let event = match out {
        Out::Segment(..) => return,
        Out::Data(mut data) => {
            let event = TcpEvent::Data(&mut data);
            return engine.handle_event(now, Event::Tcp { path, event });
        }
        Out::Connected => TcpEvent::Connected,
        Out::Accepted => TcpEvent::Accepted,
        Out::Refused => TcpEvent::Failed(ConnectError::Refused),
        Out::NoAnswer => TcpEvent::Failed(ConnectError::TimedOut),
        Out::Silent => TcpEvent::TimedOut,
        Out::Writable => TcpEvent::Writable,
        Out::Finished => TcpEvent::Finished,
        Out::Reset => TcpEvent::Reset,
        Out::Closed => TcpEvent::Closed,
    };
    engine.handle_event(now, Event::Tcp { path, event });
}

fn send(sockets: &mut Sockets<'_>, counters: &mut SocketCounters, transmit: &Transmit, bytes: &[u8]) {
    let Path {
        local,
        remote,
        protocol,
    } = transmit.path;
    if protocol == Protocol::Tcp {
        return sockets.write_whole(&transmit.path, bytes, counters);
    }
    let (net, node) = (&mut *sockets.net, sockets.node);
    let socket = net
        .udp_socket(node, local)
        .filter(|socket| socket.endpoint == sockets.endpoint);
    let size = transmit
        .segment
        .map_or(bytes.len(), |segment| usize::from(segment.get()));
    let mut send_one = |payload: &[u8]| {
        let packet = net.packets.create(local, remote, Transport::Udp);
        let it = net.packets.get_mut(packet);
        it.payload.extend_from_slice(payload);
        it.ecn = transmit.ecn;
        it.may_fragment = socket.is_some_and(|socket| socket.may_fragment);
        if socket.is_some() {
            net.host_sends(node, packet);
        } else {
            net.refuse(node, packet);
        }
    };
    if bytes.is_empty() {
        // A datagram may be empty.
        return send_one(bytes);
    }
    bytes.chunks(size).for_each(send_one);
}
