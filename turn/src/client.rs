//! The TURN client (RFC 8656, RFC 6062), sans-I/O.
//!
//! - [`Client`]: an allocation on one server.
//! - [`Config`], [`Credentials`]: what it is told.
//! - [`Event`], [`CloseReason`], [`ClientCounters`]: what it tells.
//! - [`DataConnection`]: a relayed TCP connection before it belongs to the peer (RFC 6062).
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::unwrap_used
    )
)]

mod answers;
mod channels;
mod config;
mod connection;
mod counters;
mod data;
mod event;
mod login;
mod peers;
mod redirects;
mod request;
mod rtt;
mod timer;
mod transaction;
mod waiting;

pub use config::{Config, Credentials, Families, Relayed, Transport};
pub use connection::{ConnectionState, DataConnection};
pub use counters::ClientCounters;
pub use data::{Received, Room};
pub use event::{Allocation, CloseReason, ConnectionId, Event, Reconnect, ReconnectCause, SendError, State};
pub use timer::Timer;

#[cfg(test)]
pub(crate) mod tests;

use data::Route;
use login::Login;
use peers::{Grant, Peers, Way};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use redirects::Redirects;
use request::Request;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use stun::{ErrorCode, TransactionId};
use timer::{Timers, after, retry_after};
use transaction::{Transaction, Transactions};
use waiting::Waiting;
use wire::{Path, Seed, Transmit};

/// Most bytes of a message that is no data: what [`Client::poll_transmit`] needs.
pub const MIN_OUT: usize = 2048;

/// RFC 8656 §8: an allocation is refreshed roughly a minute before its end.
const REFRESH_BEFORE_END: Duration = Duration::from_secs(60);
/// A server may announce any lifetime; whoever believes in more than a day has left.
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// Refreshes are up to so much earlier, so that those of many clients that began together drift apart.
const MAX_JITTER: Duration = Duration::from_secs(20);

/// A TURN client (RFC 8656, RFC 6062): one allocation, or a dual one, on one server over one transport.
///
/// Methods in four families: getters, inputs, commands, outputs. No socket, no clock; all randomness from the seed. It
/// asks for the allocation at once. Peers become known by the first data to them, with which their permission is asked
/// for, and are kept until [`forget`](Self::forget).
#[derive(Debug)]
pub struct Client {
    config: Config,
    server: SocketAddr,
    local: SocketAddr,
    rng: StdRng,
    login: Option<Login>,
    transactions: Transactions,
    peers: Peers,
    waiting: Waiting,
    redirects: Redirects,
    state: State,
    allocation: Option<Allocation>,
    /// Whether the allocation is to be deleted as soon as the server has answered.
    delete: bool,
    /// Why the allocation that is being deleted could not be used.
    unusable: Option<CloseReason>,
    /// How many local addresses the server has refused with 437.
    addresses: u32,
    expires: Option<Instant>,
    /// Whether the outcome of refreshes is to be told.
    tells_refresh: bool,
    /// With what the last refresh was refused.
    refresh_error: Option<ErrorCode>,
    /// The server that we are sent to, while [`State::Reconnecting`].
    next_server: SocketAddr,
    /// Peers to which a connection could not be had, with the time from when on one may ask again (RFC 6062 §4.3).
    failed_connects: VecDeque<(SocketAddr, Instant)>,
    events: VecDeque<Event>,
    closed: Option<CloseReason>,
    timers: Timers,
    counters: ClientCounters,
}

impl Client {
    /// A client that sends from `local` to `server`; a stream is connected already.
    pub fn new(config: Config, server: SocketAddr, local: SocketAddr, seed: Seed, now: Instant) -> Self {
        let mut client = Self {
            server,
            local,
            rng: StdRng::from_seed(seed.0),
            login: config.credentials.clone().map(Login::new),
            transactions: Transactions::new(&config),
            peers: Peers::new(config.max_peers, config.max_channels),
            waiting: Waiting::new(config.max_waiting_bytes),
            redirects: Redirects::new(now, server, config.max_reconnects),
            state: State::Allocating,
            allocation: None,
            delete: false,
            unusable: None,
            addresses: 0,
            expires: None,
            tells_refresh: false,
            refresh_error: None,
            next_server: server,
            failed_connects: VecDeque::new(),
            events: VecDeque::new(),
            closed: None,
            timers: Timers::default(),
            counters: ClientCounters::default(),
            config,
        };
        client.request(Request::Allocate, 0);
        client
    }
}

/// Getters.
impl Client {
    /// The state.
    pub const fn state(&self) -> State {
        self.state
    }

    /// What the server allocated, while it lasts.
    pub const fn allocation(&self) -> Option<&Allocation> {
        self.allocation.as_ref()
    }

    /// The way to the server. The protocol is TCP for a stream, with TURN's framing (RFC 8656 §12.5), not that of RFC
    /// 4571.
    pub const fn path(&self) -> Path {
        Path {
            local: self.local,
            remote: self.server,
            protocol: self.config.transport.protocol(),
        }
    }

    /// Whether the peer is known: data was sent to it, or it was permitted or bound.
    pub fn knows(&self, peer: &SocketAddr) -> bool {
        self.peers.contains(peer)
    }

    /// Whether a peer with this address is known: permissions know no ports (RFC 8656 §9).
    pub fn knows_address(&self, address: &IpAddr) -> bool {
        self.peers.knows_address(address)
    }

    /// Whether data to the peer takes a channel: 4 bytes more, instead of 36 to 51.
    pub fn is_bound(&self, peer: &SocketAddr) -> bool {
        matches!(self.peers.way(peer), Some(Way::Channel(_)))
    }

    /// The known peers.
    pub fn peers(&self) -> impl Iterator<Item = SocketAddr> {
        self.peers.iter()
    }

    /// When the allocation ends unless it is refreshed.
    pub const fn expires(&self) -> Option<Instant> {
        self.expires
    }

    /// The round-trip time to the server, as its answers have shown.
    pub fn rtt(&self) -> Option<Duration> {
        self.transactions.rtt()
    }

    /// The timer that is due next.
    pub fn next_timer(&self) -> Option<Timer> {
        self.timers.next().map(|(timer, _)| timer)
    }

    /// What was dropped or refused so far.
    pub const fn counters(&self) -> &ClientCounters {
        &self.counters
    }
}

/// Inputs. [`handle_datagram`](Self::handle_datagram) and [`handle_stream`](Self::handle_stream) are with the data.
impl Client {
    /// Does what is due. Spurious calls do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.take_due(now) {
            match timer {
                Timer::Request => {
                    while let Some(failed) = self.transactions.expire(now) {
                        self.give_up(now, failed);
                    }
                }
                Timer::Refresh => self.begin_refresh(),
                // Who gives it back wants no more than its end.
                Timer::Expiry if self.state == State::Closing => self.finish(CloseReason::Deleted),
                Timer::Expiry => self.finish(CloseReason::Expired(self.refresh_error)),
                Timer::Reconnect => self.finish(CloseReason::Disconnected),
                Timer::Permission => self.peers.handle_timeout(now),
                Timer::Channel => {
                    for peer in self.peers.channels.handle_timeout(now) {
                        self.peers.set_channel(&peer, None);
                    }
                }
            }
            self.arm();
        }
    }

    /// Takes that the stream has broken, or that the kernel reported a hard ICMP error for the server's address before
    /// there was an allocation (RFC 8489 §6.2.1, §6.2.2).
    pub fn handle_disconnect(&mut self) {
        let harmless = self.config.transport == Transport::Udp && self.allocation.is_some();
        if !harmless && self.state != State::Reconnecting {
            self.finish(CloseReason::Disconnected);
        }
    }
}

/// Commands. [`send`](Self::send) and its kin are with the data.
impl Client {
    /// Has the peer permitted now, without data to it, so that it can send first; or again, after it was refused. Those
    /// that are permitted before the next poll share one request.
    ///
    /// # Errors
    /// Why not.
    pub fn permit(&mut self, now: Instant, peer: SocketAddr) -> Result<(), SendError> {
        self.add(&peer)?;
        self.peers.ask(now, peer.ip());
        self.arm();
        Ok(())
    }

    /// Forgets a peer: its permission and its channel are not refreshed any more, and what still comes from it is
    /// dropped, unless it comes in an indication and another known peer has the same address: permissions know no
    /// ports.
    pub fn forget(&mut self, now: Instant, peer: &SocketAddr) {
        let dropped = self.waiting.forget(peer);
        self.counters.turn_waiting_data_dropped = self.counters.turn_waiting_data_dropped.saturating_add(dropped);
        self.peers.forget(now, peer);
        self.arm();
    }

    /// Has a channel bound to the peer, which permits it as well. Until it is there, data goes in indications.
    ///
    /// # Errors
    /// Why not.
    pub fn bind(&mut self, now: Instant, peer: SocketAddr) -> Result<(), SendError> {
        if self.config.relayed == Relayed::Tcp {
            return Err(SendError::NotThatTransport);
        }
        self.add(&peer)?;
        if !self.peers.channels.want(now, peer) {
            self.counters.turn_channels_exhausted = self.counters.turn_channels_exhausted.saturating_add(1);
            return Err(SendError::NoChannel);
        }
        let bound = self.peers.channels.bound(now, &peer);
        self.peers.set_channel(&peer, bound);
        self.arm();
        Ok(())
    }

    /// Has the server connect to a peer (RFC 6062 §4.3); [`Event::Connected`] or [`Event::ConnectFailed`] tells.
    ///
    /// # Errors
    /// Why not.
    pub fn connect(&mut self, now: Instant, peer: SocketAddr) -> Result<(), SendError> {
        if self.config.relayed != Relayed::Tcp {
            return Err(SendError::NotThatTransport);
        }
        self.reachable(&peer)?;
        self.failed_connects.retain(|&(_, until)| until > now);
        let failed = self.failed_connects.iter().any(|(failed, _)| *failed == peer);
        let asked = self
            .transactions
            .any(|request| matches!(request, Request::Connect { peer: asked } if *asked == peer));
        if failed || asked || !self.transactions.has_room() {
            return Err(SendError::TooSoon);
        }
        self.request(Request::Connect { peer }, 0);
        Ok(())
    }

    /// The engine of a data connection (RFC 6062 §4.3, §4.4): over a new TCP or TLS connection from `local` to the same
    /// server it sends ConnectionBind with our credentials. `None` when there is no allocation.
    pub fn open(&mut self, connection: ConnectionId, local: SocketAddr) -> Option<DataConnection> {
        self.allocation?;
        let path = Path { local, ..self.path() };
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        Some(DataConnection::new(
            &self.config,
            self.login.clone(),
            path,
            connection,
            Seed(seed),
        ))
    }

    /// Goes on after [`Event::Reconnect`]: from `local`, which is another port after an allocation mismatch. A stream
    /// is connected to the server that the event named. A caller that cannot connect calls [`close`](Self::close).
    pub fn reconnected(&mut self, local: SocketAddr) {
        if self.state != State::Reconnecting {
            return;
        }
        if self.server != self.next_server
            && let Some(login) = &mut self.login
        {
            login.reset();
        }
        self.server = self.next_server;
        self.local = local;
        self.transactions.reset(&self.config);
        self.state = State::Allocating;
        self.request(Request::Allocate, 0);
    }

    /// Has the allocation refreshed now (RFC 8656 §8), which shows whether it still lives: [`Event::Refreshed`] or
    /// [`Event::NotRefreshed`] tells, or [`Event::Closed`]. Does nothing where there is no allocation.
    pub fn refresh(&mut self) {
        if self.state == State::Allocated {
            self.tells_refresh = true;
            self.begin_refresh();
        }
    }

    /// Gives the allocation back (RFC 8656 §8.1); [`CloseReason::Deleted`] tells when the server has answered.
    pub fn close(&mut self) {
        match self.state {
            State::Allocating if self.login.as_ref().is_none_or(Login::is_challenged) => {
                // The server may have made an allocation already.
                self.delete = true;
                self.state = State::Closing;
            }
            State::Allocating | State::Reconnecting => self.finish(CloseReason::Deleted),
            State::Allocated => {
                self.state = State::Closing;
                self.transactions.clear();
                self.request(Request::Delete, 0);
            }
            State::Closing | State::Closed => {}
        }
    }
}

/// Outputs.
impl Client {
    /// Writes the next message to the server: requests, and data that waited for them. `out` has at least [`MIN_OUT`]
    /// bytes.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<Transmit> {
        debug_assert!(out.len() >= MIN_OUT, "out has at least MIN_OUT bytes");
        if !self.transactions.has_unsent() && self.waiting.is_empty() && !self.peers_have_to_ask() {
            return None;
        }
        self.ask_for_peers(now);
        let len = match self.transactions.write_next(now, out) {
            Some(len) => len,
            None => self.write_waiting(out)?,
        };
        self.arm();
        Some(Transmit::one(self.path(), len))
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called. Valid once `poll_transmit` gave `None`.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next().map(|(_, deadline)| deadline)
    }

    /// What happened since. [`Event::Closed`] is the last.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events
            .pop_front()
            .or_else(|| self.closed.take().map(Event::Closed))
    }
}

impl Client {
    /// Whether the peer can be reached from a relayed address.
    fn reachable(&self, peer: &SocketAddr) -> Result<(), SendError> {
        let allocation = self.allocation.filter(|_| self.state == State::Allocated);
        let allocation = allocation.ok_or(SendError::NotAllocated)?;
        allocation.relayed_for(&peer.ip()).ok_or(SendError::Family)?;
        Ok(())
    }

    fn add(&mut self, peer: &SocketAddr) -> Result<(), SendError> {
        self.reachable(peer)?;
        self.peers.add(*peer)
    }

    /// How data goes to the peer now. A peer that is not known yet becomes so, with its permission asked for.
    fn route(&mut self, now: Instant, peer: &SocketAddr) -> Result<(Route, bool), SendError> {
        if self.state != State::Allocated {
            return Err(SendError::NotAllocated);
        }
        if self.config.relayed == Relayed::Tcp {
            return Err(SendError::NotThatTransport);
        }
        if !self.peers.contains(peer) {
            self.add(peer)?;
        }
        match self.peers.way(peer) {
            Some(Way::Channel(channel)) => return Ok((Route::Channel(channel), true)),
            Some(Way::Indication(Grant::Granted { until })) if until > now => return Ok((Route::Indication, true)),
            // Behind its request, which may not have left yet.
            Some(Way::Indication(Grant::Asked)) => {
                let behind = !self.transactions.has_unsent() && self.waiting.is_empty();
                return Ok((Route::Indication, behind));
            }
            Some(Way::Indication(Grant::Refused { error, .. })) => return Err(SendError::Refused(error)),
            Some(Way::Indication(Grant::Wanted | Grant::Granted { .. })) | None => {}
        }
        self.peers.ask(now, peer.ip());
        self.arm();
        Ok((Route::Indication, false))
    }

    /// Begins a transaction.
    fn request(&mut self, request: Request, challenges: u32) {
        let id = self.transaction_id();
        let mut out = [0; MIN_OUT];
        // MIN_OUT has room for everything: texts are bounded where they come in.
        if let Ok(message) = request.write(&mut out, id, &self.config, self.login.as_ref()) {
            let bytes = Box::from(&*message);
            let signed = self.login.as_ref().is_some_and(Login::is_challenged);
            self.transactions
                .begin(Transaction::new(id, request, bytes, signed, challenges));
        }
        self.arm();
    }

    fn transaction_id(&mut self) -> TransactionId {
        next_id(&mut self.rng)
    }

    fn begin_refresh(&mut self) {
        let under_way = self.transactions.any(|request| *request == Request::Refresh);
        if self.state == State::Allocated && !under_way {
            self.request(Request::Refresh, 0);
        }
    }

    /// Takes the lifetime that the server gave, counted from when it was asked.
    #[allow(clippy::arithmetic_side_effects, reason = "divides by constants")]
    fn set_lifetime(&mut self, sent: Instant, lifetime: Duration) {
        let lifetime = lifetime.min(MAX_LIFETIME);
        self.expires = Some(after(sent, lifetime));
        let early = (lifetime / 2).max(lifetime.saturating_sub(REFRESH_BEFORE_END));
        let jitter = self.jitter().min(lifetime / 20);
        let at = after(sent, early.saturating_sub(jitter));
        self.timers.set(Timer::Refresh, Some(at));
        self.timers.set(Timer::Expiry, self.expires);
    }

    /// Tries again to refresh after half of what is left.
    fn refresh_later(&mut self, now: Instant) {
        let left = self
            .expires
            .map_or(Duration::ZERO, |expires| expires.saturating_duration_since(now));
        self.timers.set(Timer::Refresh, Some(after(now, retry_after(left))));
    }

    fn jitter(&mut self) -> Duration {
        let most = u64::try_from(MAX_JITTER.as_millis()).unwrap_or(1).max(1);
        Duration::from_millis(self.rng.next_u64().checked_rem(most).unwrap_or(0))
    }

    fn peers_have_to_ask(&self) -> bool {
        self.peers.has_to_ask() || self.peers.channels.has_to_ask()
    }

    /// Makes requests of what peers and channels want.
    fn ask_for_peers(&mut self, now: Instant) {
        if self.state != State::Allocated {
            return;
        }
        while self.transactions.has_room() {
            if let Some((channel, peer)) = self.peers.channels.next_request(now) {
                self.peers.asked_by_channel(&peer.ip());
                self.request(Request::ChannelBind { channel, peer }, 0);
            } else if let Some(addresses) = self.peers.next_request() {
                self.request(Request::CreatePermission(addresses), 0);
            } else {
                break;
            }
        }
    }

    /// Arms the timers of what changes often.
    fn arm(&mut self) {
        if self.state == State::Closed {
            return;
        }
        self.timers.set(Timer::Request, self.transactions.next_deadline());
        let kept = self.state == State::Allocated;
        self.timers
            .set(Timer::Permission, self.peers.next_deadline().filter(|_| kept));
        self.timers
            .set(Timer::Channel, self.peers.channels.next_deadline().filter(|_| kept));
        if !kept {
            self.timers.set(Timer::Refresh, None);
        }
        if self.state != State::Reconnecting {
            self.timers.set(Timer::Reconnect, None);
        }
    }

    /// Ends it.
    fn finish(&mut self, reason: CloseReason) {
        if self.state == State::Closed {
            return;
        }
        self.state = State::Closed;
        self.closed = Some(self.unusable.take().unwrap_or(reason));
        self.allocation = None;
        self.expires = None;
        self.transactions.clear();
        self.peers = Peers::new(0, 0);
        self.waiting.clear();
        self.timers.stop_all();
    }

    /// Tells what the caller waits for, whatever else waits to be polled: it happens a few times at most.
    fn tell_surely(&mut self, event: Event) {
        self.events.push_back(event);
    }

    fn tell(&mut self, event: Event) {
        self.tell_up_to(self.config.max_events.max(1), event);
    }

    /// Tells what a peer has caused. Peers can do so without end, hence half of the places are not for them.
    fn tell_of_peer(&mut self, event: Event) {
        self.tell_up_to(self.config.max_events.div_ceil(2), event);
    }

    fn tell_up_to(&mut self, limit: usize, event: Event) {
        if self.events.len() < limit {
            self.events.push_back(event);
        } else {
            self.counters.turn_events_dropped = self.counters.turn_events_dropped.saturating_add(1);
        }
    }
}

fn next_id(rng: &mut StdRng) -> TransactionId {
    let mut id = [0; 12];
    rng.fill_bytes(&mut id);
    TransactionId(id)
}
