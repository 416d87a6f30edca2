use std::net::SocketAddr;
use std::time::Instant;

use rand::SeedableRng;
use rand::rngs::StdRng;
use turn::client::{CloseReason, Event as RelayEvent, Reconnect, ReconnectCause};
use turn::{Client, ClientId};
use wire::{Path, Protocol, Transmit};

use super::{Peer, random};
use crate::relaying::{Relaying, Wrapped};
use crate::{Config, Event, IceServer, IceTransportPolicy, RelayStreamId, Sink, State};

/// What came on a path.
enum Arrived<'a> {
    Direct(&'a mut [u8]),
    Relayed(Path, &'a mut [u8]),
    /// What a server had to say to us.
    Told,
}

/// Relays ([`Config::ice_servers`](crate::Config::ice_servers), in full mode).
impl Peer {
    /// No more addresses of ours come: gathering is complete when the servers have answered.
    pub fn end_of_local_candidates(&mut self, now: Instant) {
        match &mut self.relaying {
            Some(relaying) => relaying.ended = true,
            None => self.ice.end_of_local_candidates(),
        }
        self.update(now);
    }

    /// Whether what is sent on this path goes to the stream of a TURN server, and to which: the bytes as they are,
    /// behind one another. See also [`connection_on`](Self::connection_on).
    pub fn relay_stream_on(&self, path: &Path) -> Option<RelayStreamId> {
        self.relaying.as_ref()?.stream_on(path)
    }

    /// The stream that [`Event::OpenRelayStream`] asked for is open, TLS included; `local` is its address here. What is
    /// to be written to it comes from [`poll_transmit`](Self::poll_transmit), with the path from `local` to the server.
    pub fn relay_stream_opened(&mut self, now: Instant, id: RelayStreamId, local: SocketAddr) {
        if let Some(relaying) = self.relaying.as_mut().filter(|_| self.state != State::Closed) {
            if !relaying.open(now, id, local) {
                self.counters.relays_dropped += 1;
                self.push_event(Event::CloseRelayStream(id));
            }
            self.update(now);
        }
    }

    /// The stream was closed, or could not be opened.
    pub fn relay_stream_closed(&mut self, now: Instant, id: RelayStreamId) {
        if self.state == State::Closed {
            return;
        }
        let failed = self.relaying.as_mut().and_then(|relaying| relaying.end_stream(id));
        if let Some(server) = failed {
            self.relay_failed(
                server,
                "it cannot be reached; check its name, its port and the firewall".to_owned(),
            );
        }
        self.update(now);
    }

    /// Takes what came on a stream so far and gives how many bytes were used: the caller keeps the rest, at most
    /// [`turn::MAX_FRAME`] bytes, and gives it again with what comes next. A stream that is not TURN ends, and is to be
    /// closed.
    pub fn handle_relay_stream(
        &mut self,
        now: Instant,
        id: RelayStreamId,
        stream: &mut [u8],
        sink: &mut impl Sink,
    ) -> usize {
        let Some(mut relaying) = self.relaying.take() else {
            return stream.len();
        };
        let all = stream.len();
        let used = match relaying.client_of(id) {
            Some(client) => relaying.relays.handle_stream(now, client, stream, |from| {
                self.receive(now, &from.path, from.data, sink);
            }),
            None => Ok(all),
        };
        // What happened to paths meanwhile was not seen.
        relaying.forgets_due = true;
        self.relaying = Some(relaying);
        if self.state != State::Closed {
            self.update(now);
        }
        used.unwrap_or(all)
    }

    /// Makes ready for sending what [`write_rtp`](Self::write_rtp) or [`write_rtx`](Self::write_rtx) wrote: `len` bytes
    /// at the beginning of `out`. They go by [`selected_path`](Self::selected_path); where that begins at a relayed
    /// address they are wrapped for the TURN server, for which `out` has [`RELAY_ROOM`](Self::RELAY_ROOM) bytes more,
    /// and on a connection that the peer has asked for they get the frame of RFC 4571, which takes 2. `None` when there
    /// is no path, or no such room.
    #[inline]
    pub fn send_written(&mut self, now: Instant, len: usize, out: &mut [u8]) -> Option<Transmit> {
        let transmit = Transmit::one(self.selected_path()?, len);
        self.wrap(now, transmit, out)
    }

    /// Whether several datagrams may go out on this path at once. What a TURN server carries is wrapped one by one, and on
    /// a connection that the peer has asked for each datagram has a frame of its own.
    pub(super) fn takes_runs(&self, path: &Path) -> bool {
        let is_relayed = self.relaying.as_ref().is_some_and(|relaying| !relaying.is_direct(path));
        !is_relayed && (path.protocol == Protocol::Udp || self.connections.on(path).is_none())
    }

    /// As it goes to the network; `None` when it goes nowhere, or later.
    #[inline]
    pub(super) fn wrap(&mut self, now: Instant, transmit: Transmit, out: &mut [u8]) -> Option<Transmit> {
        if transmit.path.protocol == Protocol::Tcp && self.connections.on(&transmit.path).is_some() {
            return Self::frame(transmit, out);
        }
        let Some(relaying) = &mut self.relaying else {
            return Some(transmit);
        };
        match relaying.wrap(now, transmit, out) {
            Wrapped::Ready(transmit) => Some(transmit),
            Wrapped::Nothing => None,
            Wrapped::Blocked => {
                self.counters.relay_blocked += 1;
                None
            }
        }
    }

    /// A datagram, of a peer that has servers.
    pub(super) fn handle_unwrapped(&mut self, now: Instant, path: &Path, data: &mut [u8], sink: &mut impl Sink) {
        match self.unwrap(now, path, data) {
            Arrived::Told if self.state == State::Closed => {}
            Arrived::Told => self.update(now),
            Arrived::Relayed(path, data) => self.receive(now, &path, data, sink),
            Arrived::Direct(data) => {
                if self.is_relay_only() {
                    // An answer would tell our address.
                    self.counters.not_relayed += 1;
                } else {
                    self.receive(now, path, data, sink);
                }
            }
        }
    }

    /// Whether nothing but the TURN servers is spoken to.
    pub(super) fn is_relay_only(&self) -> bool {
        let relaying = self.relaying.as_ref();
        relaying.is_some_and(|relaying| relaying.policy == IceTransportPolicy::Relay)
    }

    fn unwrap<'a>(&mut self, now: Instant, path: &Path, data: &'a mut [u8]) -> Arrived<'a> {
        let relaying = self
            .relaying
            .as_mut()
            .filter(|relaying| relaying.relays.relay_on(path).is_some());
        let Some(relaying) = relaying.filter(|_| !is_binding_response(data)) else {
            return Arrived::Direct(data);
        };
        match relaying.relays.handle_datagram(now, path, data) {
            Some(from) => Arrived::Relayed(from.path, from.data),
            None => Arrived::Told,
        }
    }

    /// Writes what is to be said to a server.
    pub(super) fn poll_relays(&mut self, now: Instant, out: &mut [u8]) -> Option<Transmit> {
        let relaying = self.relaying.as_mut()?;
        if self.state != State::Closed && relaying.has_to_begin() {
            self.counters.relays_dropped += relaying.begin(now);
            // There may be nobody to wait for.
            self.update(now);
        }
        let relaying = self.relaying.as_mut()?;
        Some(relaying.relays.poll_transmit(now, out)?.1)
    }

    /// Follows the clients after an input.
    pub(super) fn follow_relays(&mut self, now: Instant) {
        let Some(mut relaying) = self.relaying.take() else {
            return;
        };
        while let Some((id, event)) = relaying.relays.poll_event() {
            self.follow_relay(now, &mut relaying, id, &event);
        }
        if relaying.ended && relaying.is_settled() {
            self.ice.end_of_local_candidates();
        }
        self.counters.relay_blocked += relaying.permit(now, self.ice.remote_candidates());
        relaying.bind(now, self.ice.selected());
        relaying.forget(now, &self.ice);
        self.relaying = Some(relaying);
    }

    fn follow_relay(&mut self, now: Instant, relaying: &mut Relaying, id: ClientId, event: &RelayEvent) {
        match event {
            RelayEvent::Allocated(allocation) => {
                let Some(leg) = relaying.relays.client(id).map(Client::path) else {
                    return;
                };
                for candidate in relaying.allocated(id, allocation) {
                    self.ice.add_relayed_candidate(candidate, leg.remote, leg.protocol);
                }
            }
            RelayEvent::Refreshed => {
                let relayed = relaying.refreshed(id);
                // Else it is in the offer that restarts.
                if self.restart_wanted.is_none() {
                    self.tell_again(relayed);
                }
            }
            RelayEvent::NotRefreshed => relaying.not_refreshed(id),
            RelayEvent::Closed(reason) => {
                let server = self.lose_relay(now, relaying, id, *reason);
                if *reason != CloseReason::Deleted {
                    self.relay_failed(server, reason.to_string());
                }
            }
            RelayEvent::Reconnect(reconnect) => self.reconnect_relay(now, relaying, id, reconnect),
            // A peer at a private address is refused by most servers; others are not concerned.
            _ => {}
        }
    }

    /// A server wants a client to ask another one, or from another port.
    fn reconnect_relay(&mut self, now: Instant, relaying: &mut Relaying, id: ClientId, reconnect: &Reconnect) {
        if let Some((before, wanted)) = relaying.redirect(id, reconnect) {
            self.push_event(Event::CloseRelayStream(before));
            self.push_event(Event::OpenRelayStream(wanted));
            return;
        }
        let same_socket = reconnect.cause == ReconnectCause::TryAlternate;
        let path = relaying.relays.client(id).map(Client::path);
        match path.filter(|path| same_socket && path.protocol == Protocol::Udp) {
            Some(path) => _ = relaying.relays.command(id, |client| client.reconnected(path.local)),
            None => {
                let server = self.lose_relay(now, relaying, id, CloseReason::Disconnected);
                let reason = "the TURN server wants another port than ours; make a new peer connection";
                self.relay_failed(server, reason.to_owned());
            }
        }
    }

    /// Takes back what came of a client that has ended; gives the URI of its server.
    pub(super) fn lose_relay(
        &mut self,
        now: Instant,
        relaying: &mut Relaying,
        id: ClientId,
        reason: CloseReason,
    ) -> String {
        let ended = relaying.closed(now, id, reason);
        for address in ended.relayed.into_iter().flatten() {
            // Another server may claim the same address.
            if relaying.relays.relay_of(&address).is_none() {
                self.ice.remove_local_candidate(now, address, Protocol::Udp);
            }
        }
        if let Some(stream) = ended.stream {
            self.push_event(Event::CloseRelayStream(stream));
        }
        if ended.again {
            self.ask_again(now, relaying);
        }
        ended.server
    }

    fn relay_failed(&mut self, server: String, reason: String) {
        self.counters.relays_failed += 1;
        self.push_event(Event::RelayFailed { server, reason });
    }
}

/// What of the configured servers the ICE agent asks and what is asked for relays, and how many are too many.
pub(super) fn servers(config: &Config, rng: &mut StdRng) -> (ice::Config, Option<Box<Relaying>>, usize) {
    let mut ice = config.ice.clone();
    let relay_only = config.ice_transport_policy == IceTransportPolicy::Relay;
    if ice.mode == ice::Mode::Lite || config.ice_servers.is_empty() && !relay_only {
        return (ice, None, 0);
    }
    for address in config
        .ice_servers
        .iter()
        .filter(|server| server.is_over_udp())
        .flat_map(IceServer::addresses)
    {
        if !ice.stun_servers.contains(&address) {
            ice.stun_servers.push(address);
        }
    }
    if relay_only {
        ice.stun_servers.clear();
    }
    let seed = StdRng::from_seed(random(rng));
    let (relaying, dropped) = Relaying::new(&config.ice_servers, config.ice_transport_policy, seed);
    (ice, Some(Box::new(relaying)), dropped)
}

/// Whether it answers the agent that gathers, and not the client: to both the same server may speak.
fn is_binding_response(data: &[u8]) -> bool {
    matches!(data, [1, 0x01 | 0x11, ..])
}
