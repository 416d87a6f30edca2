#![deny(clippy::indexing_slicing, clippy::cast_possible_truncation, clippy::unwrap_used)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::unwrap_used
    )
)]

mod allocate;
mod allocation;
mod answer;
mod authenticate;
mod bucket;
mod config;
mod connection;
mod counters;
mod credentials;
mod forward;
mod machine;
mod nat64;
mod nonce;
mod permit;
mod policy;
mod ports;
mod prefix;
mod quota;
mod refresh;
mod refusals;
mod request;
mod requests;
mod sink;
mod slab;
mod timers;

pub use allocation::{AllocationStats, RelayId, Usage};
pub use config::{RelayAddress, ServerConfig, ServerConfigError, ServerLimits};
pub use connection::{ConnectionId, Towards};
pub use counters::{ServerCounters, ServerTraffic};
pub use credentials::timed_password;
pub use forward::IcmpError;
pub use nat64::{Nat64Prefix, Nat64PrefixError};
pub use policy::PeerPolicy;
pub use sink::{Outgoing, ServerAction, ServerSink};

use allocation::{Allocation, Owner, Relay, Reservation, Transport};
use bucket::Rate;
use config::{Family, PerFamily};
use connection::Connection;
use credentials::Credentials;
use machine::Machine;
use nonce::Nonces;
use ports::Ports;
use quota::Quotas;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use refusals::Refusals;
use request::Attributes;
use requests::Requests;
use slab::Slab;
use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};
use stun::{Class, ErrorCode, Message, Method, SecurityFeatures, Value};
use timers::{Timer, Timers};
use wire::{Ecn, Path, Seed};

/// A TURN and STUN server (RFC 8656, RFC 6062, RFC 8489) without I/O.
///
/// *Inputs* are what clients, peers, relay sockets and the clock did; what the server sends goes at once to the sink
/// that each input takes, lent from the datagram that came in. *Outputs* are [`poll_action`](Self::poll_action), what
/// the driver has to do with relay sockets, to be drained after every input, and [`poll_timeout`](Self::poll_timeout).
///
/// A datagram is relayed in constant time, without an allocation and without a copy of its own. Strangers make the
/// server remember nothing.
#[derive(Debug)]
pub struct Server {
    config: ServerConfig,
    rate: Rate,
    rng: StdRng,
    credentials: Credentials,
    nonces: Nonces,
    refusals: Refusals,
    requests: Requests,
    /// Of one allocation.
    refusal_rate: Rate,
    /// Of one allocation.
    icmp_rate: Rate,
    /// Of one allocation.
    accept_rate: Rate,
    /// Unix time at an instant.
    clock: (Instant, Duration),
    ports: PerFamily<Ports>,
    machine: Machine,
    /// Where relays are bound now.
    bound: HashSet<(Transport, Family, u16)>,
    allocations: Slab<Allocation>,
    by_path: HashMap<Path, u32>,
    /// The allocation whose client has sent data last; it may have ended.
    latest: u32,
    quotas: Quotas,
    relays: Slab<Relay>,
    generation: u32,
    /// By token.
    reservations: HashMap<[u8; 8], Reservation>,
    connections: HashMap<ConnectionId, Connection>,
    /// Clients' connections that are spliced to peers'.
    spliced: HashMap<Path, ConnectionId>,
    timers: Timers,
    actions: VecDeque<ServerAction>,
    counters: ServerCounters,
    traffic: ServerTraffic,
}

impl Server {
    /// A server whose clock shows `unix`, the time since 1970 in UTC, at `now`.
    ///
    /// # Errors
    /// What is wrong with the configuration, as a sentence.
    pub fn new(config: ServerConfig, seed: Seed, now: Instant, unix: Duration) -> Result<Self, ServerConfigError> {
        config.check()?;
        let mut rng = StdRng::from_seed(seed.0);
        let (mut key, mut nobody) = ([0; 32], [0; 32]);
        rng.fill_bytes(&mut key);
        rng.fill_bytes(&mut nobody);
        let features = SecurityFeatures {
            password_algorithms: true,
            // A client that is told so sends USERHASH only, by which a username with a time cannot be found.
            username_anonymity: config.secrets.is_empty(),
        };
        let limits = &config.limits;
        let refusals = Refusals::new(rng.next_u64(), now, limits.refusals_per_second, limits.refusals_burst);
        let rate = (limits.requests_per_second, limits.requests_burst);
        let shared = Refusals::new(rng.next_u64(), now, rate.0, rate.1);
        let requests = Requests::new(shared, now, rate, limits.allocations);
        Ok(Self {
            rate: Rate::new(limits.bytes_per_second, limits.burst_bytes),
            rng,
            credentials: Credentials::new(&config.realm, &config.users, &config.secrets, &nobody),
            nonces: Nonces::new(&key, features, config.nonce_lifetime, now),
            refusals,
            requests,
            refusal_rate: Rate::new(refusals::PER_SECOND, refusals::BURST),
            icmp_rate: Rate::new(forward::ICMP_PER_SECOND, forward::ICMP_BURST),
            accept_rate: Rate::new(connection::ACCEPTED_PER_SECOND, connection::ACCEPTED_BURST),
            clock: (now, unix),
            ports: PerFamily {
                v4: Ports::new(&config.ports),
                v6: Ports::new(&config.ports),
            },
            machine: Machine::new(&config),
            bound: HashSet::new(),
            allocations: Slab::new(),
            by_path: HashMap::new(),
            latest: 0,
            quotas: Quotas::default(),
            relays: Slab::new(),
            generation: 0,
            reservations: HashMap::new(),
            connections: HashMap::new(),
            spliced: HashMap::new(),
            timers: Timers::default(),
            actions: VecDeque::new(),
            counters: ServerCounters::default(),
            traffic: ServerTraffic::default(),
            config,
        })
    }

    /// What was dropped or refused so far.
    pub const fn counters(&self) -> &ServerCounters {
        &self.counters
    }

    /// How much was done so far.
    pub const fn traffic(&self) -> &ServerTraffic {
        &self.traffic
    }

    /// Every allocation with what has gone through it.
    pub fn allocations(&self, now: Instant) -> impl Iterator<Item = AllocationStats<'_>> {
        self.allocations
            .iter()
            .filter(|allocation| allocation.live)
            .map(move |allocation| allocation.stats(now))
    }

    /// How many things the server remembers, of all kinds, for tests that it is bounded: allocations with what belongs
    /// to them, reservations, and one timer for each.
    pub fn remembered(&self) -> usize {
        let own =
            |it: &Allocation| it.permissions.len() + it.channels.len() + it.channel_of.len() + it.connections.len();
        self.allocations.iter().map(own).sum::<usize>()
            + self.allocations.len()
            + self.by_path.len()
            + self.quotas.len()
            + self.relays.len()
            + self.bound.len()
            + self.reservations.len()
            + self.connections.len()
            + self.spliced.len()
            + self.timers.len()
            + self.actions.len()
    }

    /// Whether a client's TCP or TLS connection belongs to an allocation, or is spliced to a peer's. Others are
    /// strangers', and may be closed when they say nothing for long.
    pub fn is_in_use(&self, path: &Path) -> bool {
        self.by_path.contains_key(path) || self.spliced.contains_key(path)
    }

    /// A datagram from a client, or from its TCP or TLS connection a frame as [`next_frame`](crate::next_frame) cuts
    /// them. `path` is the 5-tuple: one connection is told from another by it. `ecn` is how the network had marked the
    /// datagram, [`Ecn::NotEct`] in a stream.
    pub fn handle_datagram(&mut self, now: Instant, path: &Path, ecn: Ecn, data: &[u8], sink: &mut impl ServerSink) {
        match data.first() {
            Some(0..=3) => self.handle_message(now, path, ecn, data, sink),
            Some(64..=127) => self.forward_channel_data(now, path, ecn, data, sink),
            _ => self.counters.turn_malformed += 1,
        }
    }

    /// The end of a client's TCP or TLS connection: its allocation ends with it, or the peer's connection that it was
    /// spliced to (RFC 6062 §5.5).
    pub fn handle_disconnected(&mut self, path: &Path) {
        if let Some(connection) = self.spliced.get(path).copied() {
            self.disconnect(connection);
        }
        if let Some(&index) = self.by_path.get(path) {
            self.remove(index);
        }
    }

    /// The clock was set, or is to be compared with the system's again: it shows `unix` at `now`.
    pub const fn set_unix_time(&mut self, now: Instant, unix: Duration) {
        self.clock = (now, unix);
    }

    /// These are all addresses of this machine now. On them, and on those that the configuration names, only relays and
    /// [`PeerPolicy::own`] are peers.
    pub fn set_addresses(&mut self, addresses: impl IntoIterator<Item = IpAddr>) {
        self.machine.set_addresses(addresses);
    }

    /// Time has passed. Spurious calls do nothing.
    pub fn handle_timeout(&mut self, now: Instant, sink: &mut impl ServerSink) {
        while let Some(timer) = self.timers.pop(now) {
            match timer {
                Timer::Relay(index) => self.expire_relay(index),
                Timer::Permission(index, peer) => {
                    if let Some(allocation) = self.allocations.get_mut(index) {
                        allocation.permissions.remove(&peer);
                    }
                }
                Timer::Channel(index, number) => {
                    if let Some(allocation) = self.allocations.get_mut(index)
                        && let Some(channel) = allocation.channels.remove(&number)
                    {
                        allocation.channel_of.remove(&channel.peer);
                    }
                }
                Timer::Connection(connection) => self.expire_connection(connection, sink),
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// What is to be done next with relay sockets.
    pub fn poll_action(&mut self) -> Option<ServerAction> {
        self.actions.pop_front()
    }

    fn handle_message(&mut self, now: Instant, path: &Path, ecn: Ecn, data: &[u8], sink: &mut impl ServerSink) {
        let Ok(message) = Message::parse(data) else {
            self.counters.turn_malformed += 1;
            return;
        };
        match (message.class(), message.method()) {
            (Class::Indication, Method::SEND) => self.forward_indication(now, path, ecn, &message, sink),
            // Keeps a NAT's binding alive (RFC 8489 §12.1).
            (Class::Indication, Method::BINDING) => {}
            (Class::Request, _) => self.handle_request(now, path, &message, sink),
            _ => self.counters.turn_unexpected_messages += 1,
        }
    }

    fn handle_request(&mut self, now: Instant, path: &Path, message: &Message<'_>, sink: &mut impl ServerSink) {
        let attributes = Attributes::read(message, self.config.dont_fragment);
        if attributes.fingerprint && message.verify_fingerprint().is_err() {
            self.counters.turn_malformed += 1;
            return;
        }
        if message.method() == Method::BINDING {
            self.binding(path, message, &attributes, sink);
            return;
        }
        let known = [
            Method::ALLOCATE,
            Method::REFRESH,
            Method::CREATE_PERMISSION,
            Method::CHANNEL_BIND,
            Method::CONNECT,
            Method::CONNECTION_BIND,
        ];
        if !known.contains(&message.method()) {
            self.counters.turn_unexpected_messages += 1;
            return;
        }
        // What has ended must not be found below.
        self.handle_timeout(now, sink);
        let Some(proof) = self.authenticate(now, path, message, &attributes, sink) else {
            return;
        };
        let quota = &proof.account.quota;
        if !self.requests.allow(now, quota, self.quotas.holds(quota)) {
            self.counters.turn_limited_requests += 1;
            return;
        }
        let asked = Asked {
            now,
            path,
            message,
            attributes: &attributes,
            proof: &proof,
        };
        if !attributes.unknown.is_empty() {
            self.counters.count(ErrorCode::UNKNOWN_ATTRIBUTE);
            asked.refuse(ErrorCode::UNKNOWN_ATTRIBUTE, Some(attributes.unknown.value()), sink);
            return;
        }
        let done = match message.method() {
            _ if attributes.broken => Err(ErrorCode::BAD_REQUEST),
            Method::ALLOCATE => self.allocate(&asked, sink),
            Method::REFRESH => self.refresh(&asked, sink),
            Method::CREATE_PERMISSION => self.create_permission(&asked, sink),
            Method::CHANNEL_BIND => self.bind_channel(&asked, sink),
            Method::CONNECT => self.connect(&asked),
            _ => self.bind_connection(&asked, sink),
        };
        if let Err(code) = done {
            self.counters.count(code);
            asked.refuse(code, None, sink);
        }
    }

    /// RFC 8489 §12: where the request came from. The answer is never three times as long as the request.
    fn binding(&mut self, path: &Path, message: &Message<'_>, attributes: &Attributes<'_>, sink: &mut impl ServerSink) {
        let mut out = [0; answer::MAX_ANSWER];
        let answer = if attributes.unknown.is_empty() {
            self.traffic.turn_bindings += 1;
            let values = [Value::XorMappedAddress(path.remote)];
            answer::write(
                &mut out,
                Class::SuccessResponse,
                message,
                &values,
                None,
                attributes.fingerprint,
            )
        } else {
            self.counters.count(ErrorCode::UNKNOWN_ATTRIBUTE);
            let values = [answer::error(ErrorCode::UNKNOWN_ATTRIBUTE), attributes.unknown.value()];
            answer::write(
                &mut out,
                Class::ErrorResponse,
                message,
                &values,
                None,
                attributes.fingerprint,
            )
        };
        if let Ok(answer) = answer {
            sink.to_client(path, Outgoing::message(answer));
        }
    }

    /// The allocation on a 5-tuple that the request's sender has made (RFC 8656 §5).
    fn owned(&self, asked: &Asked<'_>) -> Result<u32, ErrorCode> {
        let index = self.by_path.get(asked.path).copied();
        let allocation = index.and_then(|index| Some((index, self.allocations.get(index)?)));
        match allocation {
            Some((index, allocation)) if allocation.live => {
                if allocation.proof.account.name == asked.proof.account.name {
                    Ok(index)
                } else {
                    Err(ErrorCode::WRONG_CREDENTIALS)
                }
            }
            _ => Err(ErrorCode::ALLOCATION_MISMATCH),
        }
    }

    fn relay(&self, id: RelayId) -> Option<&Relay> {
        self.relays
            .get(id.index)
            .filter(|relay| relay.generation == id.generation)
    }

    fn relay_mut(&mut self, id: RelayId) -> Option<&mut Relay> {
        self.relays
            .get_mut(id.index)
            .filter(|relay| relay.generation == id.generation)
    }

    fn expire_relay(&mut self, index: u32) {
        let Some(relay) = self.relays.get(index) else { return };
        let id = RelayId {
            index,
            generation: relay.generation,
        };
        match relay.owner {
            Owner::Allocation(allocation) => {
                let family = relay.family;
                if self.allocations.get(allocation).is_some_and(|it| it.live) {
                    self.traffic.turn_expired_allocations += 1;
                }
                self.remove_family(allocation, family);
            }
            Owner::Beside(_) => self.close_relay(id),
            Owner::Token(token) => {
                self.end_reservation(&token);
                self.close_relay(id);
            }
        }
    }

    fn unix(&self, now: Instant) -> Duration {
        let (then, unix) = self.clock;
        unix + now.saturating_duration_since(then)
    }
}

/// A request whose sender is proven.
struct Asked<'a> {
    now: Instant,
    path: &'a Path,
    message: &'a Message<'a>,
    attributes: &'a Attributes<'a>,
    proof: &'a request::Proof,
}

impl Asked<'_> {
    fn accept(&self, values: &[Value<'_>], sink: &mut impl ServerSink) {
        self.answer(Class::SuccessResponse, values, sink);
    }

    fn refuse(&self, code: ErrorCode, more: Option<Value<'_>>, sink: &mut impl ServerSink) {
        let error = answer::error(code);
        self.answer(Class::ErrorResponse, [&error].into_iter().chain(&more), sink);
    }

    fn answer<'v>(&self, class: Class, values: impl IntoIterator<Item = &'v Value<'v>>, sink: &mut impl ServerSink) {
        let mut out = [0; answer::MAX_ANSWER];
        let fingerprint = self.attributes.fingerprint;
        if let Ok(answer) = answer::write(&mut out, class, self.message, values, Some(self.proof), fingerprint) {
            sink.to_client(self.path, Outgoing::message(answer));
        }
    }
}
