use super::allocation::{Allocation, RelayId, Transport};
use super::answer::{self, To};
use super::sink::{Outgoing, ServerAction, ServerSink};
use super::timers::Timer;
use super::{Asked, Server};
use rand::Rng;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use stun::{AttributeType, Class, ErrorCode, Method, TransactionId, Value};
use wire::{Path, Protocol};

/// How long a peer may take to accept a connection, and a client to claim it (RFC 6062 §5.2, §5.3: at least and exactly
/// 30 s).
const PATIENCE: Duration = Duration::from_secs(30);

/// How many connections of its peers an allocation takes, per second and at once: each costs an indication, and a peer
/// that hangs up and comes again would have no end of them.
pub(super) const ACCEPTED_PER_SECOND: u64 = 10;
pub(super) const ACCEPTED_BURST: u64 = 64;

/// A peer's TCP connection (RFC 6062 §6.2.1): random, so that nobody guesses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub(super) u32);

impl ConnectionId {
    /// The value of CONNECTION-ID, for tables.
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// Where bytes of a spliced connection go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Towards {
    /// To the peer.
    Peer,
    /// To the client.
    Client,
}

/// One of an allocation's peers over TCP.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) allocation: u32,
    pub(super) peer: SocketAddr,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Being opened since a Connect request, until when.
    Opening(TransactionId, Instant),
    /// Open and to be claimed by the client, until when.
    Pending(Instant),
    /// Spliced to the client's connection.
    Spliced(Path),
}

impl Server {
    /// RFC 6062 §5.2. The answer comes when the connection is open, or could not be opened.
    pub(super) fn connect(&mut self, asked: &Asked<'_>) -> Result<(), ErrorCode> {
        let index = self.owned(asked)?;
        let peer = asked.attributes.peer.ok_or(ErrorCode::BAD_REQUEST)?;
        let allocation = self.allocations.get(index).ok_or(ErrorCode::ALLOCATION_MISMATCH)?;
        if allocation.transport != Transport::Tcp {
            return Err(ErrorCode::ALLOCATION_MISMATCH);
        }
        let mut peers = allocation.connections.iter().filter_map(|id| self.connections.get(id));
        if peers.any(|connection| connection.peer == peer) {
            return Err(ErrorCode::CONNECTION_ALREADY_EXISTS);
        }
        self.check_family(index, peer.ip())?;
        if !self.permits(Transport::Tcp, peer, asked.path.local.ip()) {
            return Err(ErrorCode::FORBIDDEN);
        }
        if !self.has_room_for_connection(allocation) {
            return Err(ErrorCode::INSUFFICIENT_CAPACITY);
        }
        let relay = *allocation.relays.get(super::config::Family::of(peer.ip()));
        let from = relay.and_then(|relay| self.relay(relay)).map(|relay| relay.address);
        let from = from.ok_or(ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH)?;
        let until = asked.now + PATIENCE;
        let state = State::Opening(asked.message.transaction_id(), until);
        let connection = self.remember(index, peer, state, until);
        self.actions.push_back(ServerAction::Connect {
            connection,
            from,
            to: peer,
        });
        Ok(())
    }

    /// A connection that was to be opened is open, or could not be.
    pub fn handle_connected(&mut self, now: Instant, connection: ConnectionId, open: bool, sink: &mut impl ServerSink) {
        let state = self.connections.get(&connection).map(|known| known.state);
        let Some(State::Opening(id, until)) = state else {
            self.actions.push_back(ServerAction::Disconnect { connection });
            return;
        };
        if !open {
            self.fail(connection, id, sink);
            return;
        }
        self.await_claim(now, connection, until);
        let value = Value::Other(AttributeType::CONNECTION_ID, &connection.0.to_be_bytes());
        self.tell_connect(connection, id, Class::SuccessResponse, value, sink);
    }

    /// A peer has opened a connection to a listener (RFC 6062 §5.3). `None` when it is to be closed at once.
    pub fn handle_accepted(
        &mut self,
        now: Instant,
        relay: RelayId,
        peer: SocketAddr,
        sink: &mut impl ServerSink,
    ) -> Option<ConnectionId> {
        let accepted = self.accept(now, relay, peer, sink);
        if accepted.is_none() {
            self.counters.turn_refused_connections += 1;
        }
        accepted
    }

    /// A peer's connection has ended. What it was spliced to ends with it: there is a
    /// [`Disconnect`](ServerAction::Disconnect) for both.
    pub fn handle_peer_closed(&mut self, connection: ConnectionId, sink: &mut impl ServerSink) {
        match self.connections.get(&connection).map(|known| known.state) {
            Some(State::Opening(id, _)) => self.fail(connection, id, sink),
            Some(State::Pending(_) | State::Spliced(_)) => self.disconnect(connection),
            None => {}
        }
    }

    /// Bytes came at one end of a spliced connection, and go to the other. What the allocation may relay is taken from
    /// the same budget as that of its other connections; when it is used up, there is a time before which no more may
    /// be read.
    pub fn handle_spliced(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        towards: Towards,
        bytes: usize,
    ) -> Option<Instant> {
        let index = self.connections.get(&connection)?.allocation;
        let allocation = self.allocations.get_mut(index)?;
        let (bucket, used, total) = match towards {
            Towards::Peer => (
                &mut allocation.sending,
                &mut allocation.usage.sent_bytes,
                &mut self.traffic.turn_sent_bytes,
            ),
            Towards::Client => (
                &mut allocation.receiving,
                &mut allocation.usage.received_bytes,
                &mut self.traffic.turn_received_bytes,
            ),
        };
        *used += bytes as u64;
        *total += bytes as u64;
        bucket.spend(now, &self.rate, bytes)
    }

    /// RFC 6062 §5.4.
    pub(super) fn bind_connection(&mut self, asked: &Asked<'_>, sink: &mut impl ServerSink) -> Result<(), ErrorCode> {
        let id = asked
            .attributes
            .connection
            .map(ConnectionId)
            .ok_or(ErrorCode::BAD_REQUEST)?;
        let in_use = self.is_in_use(asked.path);
        let known = self.connections.get_mut(&id).ok_or(ErrorCode::BAD_REQUEST)?;
        let State::Pending(until) = known.state else {
            return Err(ErrorCode::BAD_REQUEST);
        };
        let allocation = self.allocations.get(known.allocation).ok_or(ErrorCode::BAD_REQUEST)?;
        if asked.path.protocol != Protocol::Tcp || in_use {
            return Err(ErrorCode::BAD_REQUEST);
        }
        if allocation.proof.account.name != asked.proof.account.name {
            return Err(ErrorCode::WRONG_CREDENTIALS);
        }
        self.quotas
            .change(&allocation.proof.account.quota, |used| used.unclaimed -= 1);
        known.state = State::Spliced(*asked.path);
        self.timers.cancel(until, Timer::Connection(id));
        self.spliced.insert(*asked.path, id);
        asked.accept(&[], sink);
        self.actions.push_back(ServerAction::Splice {
            connection: id,
            client: *asked.path,
        });
        Ok(())
    }

    pub(super) fn expire_connection(&mut self, connection: ConnectionId, sink: &mut impl ServerSink) {
        match self.connections.get(&connection).map(|known| known.state) {
            Some(State::Opening(id, _)) => self.fail(connection, id, sink),
            Some(State::Pending(_)) => self.disconnect(connection),
            Some(State::Spliced(_)) | None => {}
        }
    }

    /// Forgets a connection and lets the driver close it.
    pub(super) fn disconnect(&mut self, connection: ConnectionId) {
        let Some(known) = self.connections.remove(&connection) else {
            return;
        };
        if let State::Spliced(client) = known.state {
            self.spliced.remove(&client);
        }
        if let Some(allocation) = self.allocations.get_mut(known.allocation) {
            allocation.connections.retain(|&id| id != connection);
            let quota = &allocation.proof.account.quota;
            self.quotas.change(quota, |used| used.sockets -= 1);
            if let State::Opening(_, until) | State::Pending(until) = known.state {
                self.timers.cancel(until, Timer::Connection(connection));
                self.quotas.change(quota, |used| used.unclaimed -= 1);
            }
        }
        self.actions.push_back(ServerAction::Disconnect { connection });
    }

    fn accept(
        &mut self,
        now: Instant,
        relay: RelayId,
        peer: SocketAddr,
        sink: &mut impl ServerSink,
    ) -> Option<ConnectionId> {
        let index = self.owner(relay)?;
        let allocation = self.allocations.get(index)?;
        let room = self.has_room_for_connection(allocation);
        let permitted =
            allocation.is_permitted(now, peer.ip()) && self.permits(Transport::Tcp, peer, allocation.path.local.ip());
        if !room || !permitted || allocation.transport != Transport::Tcp {
            return None;
        }
        let path = allocation.path;
        let allocation = self.allocations.get_mut(index)?;
        if !allocation.accepts.take(now, &self.accept_rate, 1) {
            return None;
        }
        let until = now + PATIENCE;
        let connection = self.remember(index, peer, State::Pending(until), until);
        let id = connection.0.to_be_bytes();
        let values = [
            Value::Other(AttributeType::CONNECTION_ID, &id),
            Value::XorPeerAddress(peer),
        ];
        let mut transaction_id = [0; 12];
        self.rng.fill_bytes(&mut transaction_id);
        let to = To {
            method: Method::CONNECTION_ATTEMPT,
            transaction_id: TransactionId(transaction_id),
        };
        let mut out = [0; answer::MAX_ANSWER];
        if let Ok(message) = answer::write(&mut out, Class::Indication, to, &values, None, false) {
            sink.to_client(&path, Outgoing::message(message));
        }
        Some(connection)
    }

    fn has_room_for_connection(&self, allocation: &Allocation) -> bool {
        let limits = &self.config.limits;
        let quota = &allocation.proof.account.quota;
        let unclaimed = self.quotas.used(quota).unclaimed;
        allocation.connections.len() < limits.connections
            && unclaimed < limits.unclaimed_connections
            && self.has_room(quota, 1)
    }

    fn remember(&mut self, allocation: u32, peer: SocketAddr, state: State, until: Instant) -> ConnectionId {
        let mut id = ConnectionId(self.rng.next_u32());
        while self.connections.contains_key(&id) {
            id = ConnectionId(self.rng.next_u32());
        }
        self.connections.insert(
            id,
            Connection {
                allocation,
                peer,
                state,
            },
        );
        if let Some(allocation) = self.allocations.get_mut(allocation) {
            allocation.connections.push(id);
            self.quotas.change(&allocation.proof.account.quota, |used| {
                used.unclaimed += 1;
                used.sockets += 1;
            });
        }
        self.timers.arm(until, Timer::Connection(id));
        id
    }

    fn await_claim(&mut self, now: Instant, connection: ConnectionId, before: Instant) {
        let until = now + PATIENCE;
        if let Some(known) = self.connections.get_mut(&connection) {
            known.state = State::Pending(until);
            self.timers.cancel(before, Timer::Connection(connection));
            self.timers.arm(until, Timer::Connection(connection));
        }
    }

    fn fail(&mut self, connection: ConnectionId, id: TransactionId, sink: &mut impl ServerSink) {
        self.counters.count(ErrorCode::CONNECTION_TIMEOUT_OR_FAILURE);
        let value = answer::error(ErrorCode::CONNECTION_TIMEOUT_OR_FAILURE);
        self.tell_connect(connection, id, Class::ErrorResponse, value, sink);
        self.disconnect(connection);
    }

    /// Answers a Connect request on the control connection.
    fn tell_connect(
        &self,
        connection: ConnectionId,
        transaction_id: TransactionId,
        class: Class,
        value: Value<'_>,
        sink: &mut impl ServerSink,
    ) {
        let known = self.connections.get(&connection);
        let Some(allocation) = known.and_then(|known| self.allocations.get(known.allocation)) else {
            return;
        };
        let to = To {
            method: Method::CONNECT,
            transaction_id,
        };
        let mut out = [0; answer::MAX_ANSWER];
        if let Ok(message) = answer::write(&mut out, class, to, &[value], Some(&allocation.proof), false) {
            sink.to_client(&allocation.path, Outgoing::message(message));
        }
    }
}
