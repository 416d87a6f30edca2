use super::allocation::{
    Allocation, LastRoutes, Owner, PortWish, RESERVATION_LIFETIME, Relay, RelayId, Reservation, Transport, Usage,
};
use super::answer::{self, To};
use super::bucket::Bucket;
use super::config::{Family, PerFamily};
use super::quota::Quota;
use super::sink::{Outgoing, ServerAction, ServerSink};
use super::timers::Timer;
use super::{Asked, Server};
use rand::Rng;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use stun::{Class, ErrorCode, ErrorReason, Method, Value};
use wire::Protocol;

/// Ports of one allocation that may turn out to be taken by others.
const MAX_FAILURES: usize = 16;

/// IP protocol numbers in REQUESTED-TRANSPORT.
const UDP: u8 = 17;
const TCP: u8 = 6;

/// What an Allocate request comes to.
struct Plan {
    transport: Transport,
    /// The families that are wanted and there; none with a token.
    families: PerFamily<bool>,
    refused: Option<(Family, ErrorCode)>,
    wish: PortWish,
    /// A port that was reserved.
    reserved: Option<RelayId>,
}

impl Server {
    /// RFC 8656 §7.2, RFC 6062 §5.1. The answer comes when the sockets are bound.
    pub(super) fn allocate(&mut self, asked: &Asked<'_>, sink: &mut impl ServerSink) -> Result<(), ErrorCode> {
        if let Some(&index) = self.by_path.get(asked.path) {
            let known = self.allocations.get(index).ok_or(ErrorCode::SERVER_ERROR)?;
            let same = known.transaction_id == asked.message.transaction_id()
                && known.proof.account.name == asked.proof.account.name;
            if !same {
                return Err(ErrorCode::ALLOCATION_MISMATCH);
            }
            // A retransmission: the same answer again, or the first one still to come.
            if known.live {
                self.tell_allocated(asked.now, index, sink);
            }
            return Ok(());
        }
        if self.spliced.contains_key(asked.path) {
            return Err(ErrorCode::ALLOCATION_MISMATCH);
        }
        let plan = self.plan(asked)?;
        self.check_quota(asked, &plan)?;
        let index = self.begin(asked, &plan);
        let opened = match plan.reserved {
            Some(relay) => self.take_over(asked.now, index, relay),
            None => {
                let wanted = Family::ALL.into_iter().filter(|&family| *plan.families.get(family));
                let opened = wanted.filter(|&family| self.open(asked.now, index, family));
                opened.count() > 0
            }
        };
        if !opened {
            self.remove(index);
            return Err(ErrorCode::INSUFFICIENT_CAPACITY);
        }
        self.settle(asked.now, index, sink);
        Ok(())
    }

    /// A relay socket or listener that was asked for is there, or could not be had: then another port is tried.
    pub fn handle_bound(&mut self, now: Instant, relay: RelayId, bound: bool, sink: &mut impl ServerSink) {
        let Some(known) = self.relay_mut(relay) else {
            self.actions.push_back(ServerAction::Close { relay });
            return;
        };
        let (Owner::Allocation(index) | Owner::Beside(index)) = known.owner else {
            return;
        };
        if known.bound {
            return;
        }
        if bound {
            known.bound = true;
            let place = (known.transport, known.family, known.address.port());
            self.bound.insert(place);
        } else {
            self.counters.turn_bind_failures += 1;
            self.open_elsewhere(now, index, relay);
        }
        self.settle(now, index, sink);
    }

    /// The lifetime that is granted, in whole seconds (RFC 8656 §7.2, §8.2).
    pub(super) fn lifetime(&self, wanted: Option<u32>) -> Duration {
        let wanted = Duration::from_secs(u64::from(wanted.unwrap_or_default()));
        wanted.clamp(self.config.default_lifetime, self.config.max_lifetime)
    }

    fn plan(&self, asked: &Asked<'_>) -> Result<Plan, ErrorCode> {
        let wish = asked.attributes;
        let transport = match wish.transport.ok_or(ErrorCode::BAD_REQUEST)? {
            UDP => Transport::Udp,
            TCP if self.config.tcp_relay => Transport::Tcp,
            _ => return Err(ErrorCode::UNSUPPORTED_TRANSPORT_PROTOCOL),
        };
        let special = wish.dont_fragment || wish.even_port.is_some() || wish.token.is_some();
        if transport == Transport::Tcp && (asked.path.protocol != Protocol::Tcp || special) {
            return Err(ErrorCode::BAD_REQUEST);
        }
        let any_family = wish.family.is_some() || wish.additional_family.is_some();
        if (wish.token.is_some() && (wish.even_port.is_some() || any_family))
            || (wish.family.is_some() && wish.additional_family.is_some())
        {
            return Err(ErrorCode::BAD_REQUEST);
        }
        let mut plan = Plan {
            transport,
            families: PerFamily::default(),
            refused: None,
            wish: match wish.even_port {
                None => PortWish::Any,
                Some(false) => PortWish::Even,
                Some(true) => PortWish::Pair,
            },
            reserved: None,
        };
        if let Some(token) = &wish.token {
            plan.reserved = self.reservations.get(token).map(|reservation| reservation.relay);
            plan.reserved.ok_or(ErrorCode::INSUFFICIENT_CAPACITY)?;
            return Ok(plan);
        }
        if let Some(family) = wish.additional_family {
            if plan.wish == PortWish::Pair || family != stun::AddressFamily::IPV6 {
                return Err(ErrorCode::BAD_REQUEST);
            }
            self.plan_both(&mut plan)?;
        } else {
            let family = wish.family.map_or(Ok(Family::V4), Family::from_wire)?;
            if self.config.relay_address(family).is_none() {
                return Err(ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED);
            }
            *plan.families.get_mut(family) = true;
        }
        if plan.wish == PortWish::Pair && self.reservations.len() >= self.config.limits.reservations {
            return Err(ErrorCode::INSUFFICIENT_CAPACITY);
        }
        Ok(plan)
    }

    fn plan_both(&self, plan: &mut Plan) -> Result<(), ErrorCode> {
        for family in Family::ALL {
            if self.config.relay_address(family).is_some() {
                *plan.families.get_mut(family) = true;
            } else {
                plan.refused = Some((family, ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED));
            }
        }
        if plan.families == PerFamily::default() {
            return Err(ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED);
        }
        Ok(())
    }

    /// A reserved port counts as an allocation: otherwise one user could reserve all that there are.
    fn check_quota(&self, asked: &Asked<'_>, plan: &Plan) -> Result<(), ErrorCode> {
        let limits = &self.config.limits;
        let quota = &asked.proof.account.quota;
        let reservation = asked.attributes.token.and_then(|token| self.reservations.get(&token));
        let wanted = if plan.wish == PortWish::Pair { 2 } else { 1 };
        let of_name = quota.name();
        let of_name = of_name.as_ref().map(|name| (name, limits.allocations_per_name));
        for (quota, most) in [(quota, limits.allocations_per_user)].into_iter().chain(of_name) {
            let taken_over = reservation.is_some_and(|reservation| reservation.quota.is_part_of(quota));
            let used = self.quotas.used(quota).allocations - usize::from(taken_over);
            if used + wanted > most {
                return Err(ErrorCode::ALLOCATION_QUOTA_REACHED);
            }
        }
        // Of two sockets the second may be missing.
        if plan.reserved.is_none() && !self.may_have(quota, 1) {
            return Err(ErrorCode::ALLOCATION_QUOTA_REACHED);
        }
        if self.allocations.len() >= limits.allocations {
            return Err(ErrorCode::INSUFFICIENT_CAPACITY);
        }
        Ok(())
    }

    fn begin(&mut self, asked: &Asked<'_>, plan: &Plan) -> u32 {
        let index = self.allocations.insert(Allocation {
            path: *asked.path,
            transaction_id: asked.message.transaction_id(),
            proof: asked.proof.clone(),
            fingerprint: asked.attributes.fingerprint,
            transport: plan.transport,
            wish: plan.wish,
            live: false,
            failures: 0,
            relays: PerFamily::default(),
            beside: None,
            token: None,
            refused: plan.refused,
            lifetime: self.lifetime(asked.attributes.lifetime),
            permissions: HashMap::new(),
            channels: HashMap::new(),
            channel_of: HashMap::new(),
            last_routes: LastRoutes::default(),
            connections: Vec::new(),
            sending: Bucket::full(asked.now),
            receiving: Bucket::full(asked.now),
            icmp: Bucket::full(asked.now),
            accepts: Bucket::full(asked.now),
            refusals: Bucket::full(asked.now),
            created: asked.now,
            usage: Usage::default(),
        });
        self.by_path.insert(*asked.path, index);
        self.quotas
            .change(&asked.proof.account.quota, |used| used.allocations += 1);
        index
    }

    /// Gives a reserved relay to an allocation.
    fn take_over(&mut self, now: Instant, index: u32, id: RelayId) -> bool {
        let Some(relay) = self.relay_mut(id) else { return false };
        let Owner::Token(token) = relay.owner else { return false };
        relay.owner = Owner::Allocation(index);
        let family = relay.family;
        self.end_reservation(&token);
        let Some(allocation) = self.allocations.get_mut(index) else {
            return false;
        };
        let quota = allocation.proof.account.quota.clone();
        *allocation.relays.get_mut(family) = Some(id);
        let lifetime = allocation.lifetime;
        self.quotas.change(&quota, |used| used.sockets += 1);
        if let Some(relay) = self.relay_mut(id) {
            let before = std::mem::replace(&mut relay.quota, quota);
            self.quotas.change(&before, |used| used.sockets -= 1);
        }
        self.extend(id, now + lifetime);
        true
    }

    /// Asks the driver for a port of a family, and for the one beside it when that is to be reserved. False when none
    /// is free, which is then told in an answer about the other family.
    fn open(&mut self, now: Instant, index: u32, family: Family) -> bool {
        let Some(allocation) = self.allocations.get(index) else {
            return false;
        };
        let wish = allocation.wish;
        let sockets = if wish == PortWish::Pair { 2 } else { 1 };
        let room = self.has_room(&allocation.proof.account.quota, sockets);
        let ports = self.ports.get_mut(family);
        let port = match wish {
            _ if !room => None,
            PortWish::Any => ports.take(&mut self.rng),
            PortWish::Even => ports.take_even(&mut self.rng),
            PortWish::Pair => ports.take_pair(&mut self.rng),
        };
        let opened = port.and_then(|port| self.open_port(now, index, Owner::Allocation(index), family, port));
        let beside = port
            .filter(|_| wish == PortWish::Pair)
            .and_then(|port| self.open_port(now, index, Owner::Beside(index), family, port.saturating_add(1)));
        let Some(allocation) = self.allocations.get_mut(index) else {
            return false;
        };
        *allocation.relays.get_mut(family) = opened;
        allocation.beside = beside;
        if opened.is_none() {
            allocation.refused = Some((family, ErrorCode::INSUFFICIENT_CAPACITY));
        }
        opened.is_some()
    }

    /// Whether so many more sockets may be opened for a user.
    pub(super) fn has_room(&self, quota: &Quota, sockets: usize) -> bool {
        self.relays.len() + self.connections.len() + sockets <= self.config.limits.sockets
            && self.may_have(quota, sockets)
    }

    /// Whether a user has so few sockets that it may have so many more.
    fn may_have(&self, quota: &Quota, sockets: usize) -> bool {
        let limits = &self.config.limits;
        let used = |quota: &Quota| self.quotas.used(quota).sockets + sockets;
        used(quota) <= limits.sockets_per_user && quota.name().is_none_or(|name| used(&name) <= limits.sockets_per_name)
    }

    fn open_port(&mut self, now: Instant, index: u32, owner: Owner, family: Family, port: u16) -> Option<RelayId> {
        let address = self.config.relay_address(family)?;
        let allocation = self.allocations.get(index)?;
        let (transport, expires) = (allocation.transport, now + allocation.lifetime);
        let quota = allocation.proof.account.quota.clone();
        self.quotas.change(&quota, |used| used.sockets += 1);
        self.generation = self.generation.wrapping_add(1);
        let bind = SocketAddr::new(address.bind, port);
        let generation = self.generation;
        let index = self.relays.insert(Relay {
            generation,
            owner,
            family,
            transport,
            address: bind,
            external: SocketAddr::new(address.external, port),
            bound: false,
            expires,
            quota,
        });
        self.timers.arm(expires, Timer::Relay(index));
        let relay = RelayId { index, generation };
        self.actions.push_back(match transport {
            Transport::Udp => ServerAction::Bind { relay, address: bind },
            Transport::Tcp => ServerAction::Listen { relay, address: bind },
        });
        Some(relay)
    }

    /// Tries another port than one that could not be bound, and another pair than one of which either could not.
    fn open_elsewhere(&mut self, now: Instant, index: u32, failed: RelayId) {
        let Some(relay) = self.relay(failed) else { return };
        let family = relay.family;
        let Some(allocation) = self.allocations.get_mut(index) else {
            return;
        };
        allocation.failures += 1;
        let again = allocation.failures < MAX_FAILURES;
        let olds = [allocation.relays.get_mut(family).take(), allocation.beside.take()];
        // At a limit these make room for the new one. Their ports are given back when that has taken another.
        let closed = olds.map(|old| old.and_then(|old| self.close_socket(old)));
        if !(again && self.open(now, index, family))
            && let Some(allocation) = self.allocations.get_mut(index)
        {
            allocation.refused = Some((family, ErrorCode::INSUFFICIENT_CAPACITY));
        }
        for (family, port) in closed.into_iter().flatten() {
            self.ports.get_mut(family).release(port);
        }
    }

    /// Answers the request when nothing is being bound for it any more.
    fn settle(&mut self, now: Instant, index: u32, sink: &mut impl ServerSink) {
        let Some(allocation) = self.allocations.get(index) else {
            return;
        };
        let relays = [allocation.relays.v4, allocation.relays.v6];
        let all = relays.into_iter().chain([allocation.beside]).flatten();
        if allocation.live
            || !all
                .clone()
                .all(|relay| self.relay(relay).is_some_and(|relay| relay.bound))
        {
            return;
        }
        if relays == [None, None] {
            self.tell_refused(index, sink);
            self.remove(index);
            return;
        }
        let (expires, beside) = (now + allocation.lifetime, allocation.beside);
        let quota = allocation.proof.account.quota.clone();
        for relay in relays.into_iter().flatten() {
            self.extend(relay, expires);
        }
        let token = beside.map(|beside| self.reserve(now, beside, quota));
        if let Some(allocation) = self.allocations.get_mut(index) {
            allocation.live = true;
            allocation.token = token;
            allocation.beside = None;
        }
        self.traffic.turn_allocations += 1;
        self.tell_allocated(now, index, sink);
    }

    /// Keeps a relay for whoever shows the token.
    fn reserve(&mut self, now: Instant, id: RelayId, quota: Quota) -> [u8; 8] {
        let mut token = [0; 8];
        self.rng.fill_bytes(&mut token);
        if let Some(relay) = self.relay_mut(id) {
            relay.owner = Owner::Token(token);
            self.quotas.change(&quota, |used| used.allocations += 1);
            self.reservations.insert(token, Reservation { relay: id, quota });
            self.extend(id, now + RESERVATION_LIFETIME);
        }
        token
    }

    /// A reservation is over, or its relay is somebody's.
    pub(super) fn end_reservation(&mut self, token: &[u8; 8]) {
        if let Some(reservation) = self.reservations.remove(token) {
            self.quotas.change(&reservation.quota, |used| used.allocations -= 1);
        }
    }

    /// Lets a relay end at another time.
    pub(super) fn extend(&mut self, id: RelayId, expires: Instant) {
        let Some(relay) = self.relay_mut(id) else { return };
        let before = std::mem::replace(&mut relay.expires, expires);
        self.timers.cancel(before, Timer::Relay(id.index));
        self.timers.arm(expires, Timer::Relay(id.index));
    }

    pub(super) fn close_relay(&mut self, id: RelayId) {
        if let Some((family, port)) = self.close_socket(id) {
            self.ports.get_mut(family).release(port);
        }
    }

    /// Closes a relay; its port is still to be released.
    fn close_socket(&mut self, id: RelayId) -> Option<(Family, u16)> {
        self.relay(id)?;
        let relay = self.relays.remove(id.index)?;
        self.timers.cancel(relay.expires, Timer::Relay(id.index));
        self.quotas.change(&relay.quota, |used| used.sockets -= 1);
        let port = relay.address.port();
        self.bound.remove(&(relay.transport, relay.family, port));
        self.actions.push_back(ServerAction::Close { relay: id });
        Some((relay.family, port))
    }

    fn tell_allocated(&self, now: Instant, index: u32, sink: &mut impl ServerSink) {
        let Some(allocation) = self.allocations.get(index) else {
            return;
        };
        let relays = [allocation.relays.v4, allocation.relays.v6].map(|id| id.and_then(|id| self.relay(id)));
        let [v4, v6] = relays.map(|relay| relay.map(|relay| Value::XorRelayedAddress(relay.external)));
        let remaining = relays.into_iter().flatten().map(|relay| relay.expires).max();
        let remaining = remaining.map(|expires| expires.saturating_duration_since(now).as_secs());
        let lifetime = u32::try_from(remaining.unwrap_or_default()).unwrap_or(u32::MAX);
        let values = [
            v4,
            v6,
            Some(Value::XorMappedAddress(allocation.path.remote)),
            Some(Value::Lifetime(lifetime)),
            allocation.token.map(Value::ReservationToken),
            allocation.refused.map(|(family, code)| Value::AddressErrorCode {
                family: family.to_wire(),
                error: ErrorReason::registered(code),
            }),
        ];
        Self::tell(allocation, Class::SuccessResponse, &values, sink);
    }

    fn tell_refused(&mut self, index: u32, sink: &mut impl ServerSink) {
        self.counters.count(ErrorCode::INSUFFICIENT_CAPACITY);
        if let Some(allocation) = self.allocations.get(index) {
            let values = [Some(answer::error(ErrorCode::INSUFFICIENT_CAPACITY))];
            Self::tell(allocation, Class::ErrorResponse, &values, sink);
        }
    }

    /// Answers the request that an allocation was made for.
    fn tell(allocation: &Allocation, class: Class, values: &[Option<Value<'_>>], sink: &mut impl ServerSink) {
        let to = To {
            method: Method::ALLOCATE,
            transaction_id: allocation.transaction_id,
        };
        let mut out = [0; answer::MAX_ANSWER];
        let values = values.iter().flatten();
        let (proof, fingerprint) = (Some(&allocation.proof), allocation.fingerprint);
        if let Ok(answer) = answer::write(&mut out, class, to, values, proof, fingerprint) {
            sink.to_client(&allocation.path, Outgoing::message(answer));
        }
    }
}
