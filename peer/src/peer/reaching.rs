use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use ice::{FRAME_HEADER, frame_header};
use wire::{Path, Protocol, Seed, Transmit};

use super::{Peer, random};
use crate::names::{Names, RemoteCandidate};
use crate::{Config, ConnectionId, Event, IceTransportPolicy, Sink, State};

/// Names of mDNS ([`Config::mdns`], in full mode).
impl Peer {
    /// Takes a datagram that came to one of the sockets of mDNS; `path.local` is the socket's address or the group,
    /// `path.remote` who sent it. Several peers of a machine share the sockets: each is given everything.
    pub fn handle_mdns(&mut self, now: Instant, path: &Path, datagram: &[u8]) {
        if self.state == State::Closed {
            return;
        }
        if let Some(names) = &mut self.names {
            names.handle_datagram(now, path, datagram);
            self.update(now);
        }
    }

    /// The next datagram to send from a socket of mDNS: to the group of its family (224.0.0.251 or ff02::fb, port
    /// 5353), with TTL 255, or to somebody who asked. Call until it gives `None`, beside
    /// [`poll_transmit`](Self::poll_transmit), which may come first or last. `out` has at least [`ice::mdns::MIN_OUT`]
    /// bytes.
    pub fn poll_mdns_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<Transmit> {
        debug_assert!(out.len() >= ice::mdns::MIN_OUT, "out has at least MIN_OUT bytes");
        if out.len() < ice::mdns::MIN_OUT {
            return None;
        }
        self.names.as_mut()?.poll_transmit(now, out)
    }

    /// Gives a host address its name before it is told.
    pub(super) fn conceal(&mut self, address: IpAddr) {
        if let Some(names) = &mut self.names
            && !names.conceal(address)
        {
            self.counters.names_overflow += 1;
        }
    }

    /// Takes a candidate of the present session of the peer's.
    pub(super) fn take_candidate(&mut self, now: Instant, remote: RemoteCandidate) {
        let Some(name) = remote.name else {
            return self.take_signalled(remote.candidate);
        };
        let most = self.config.ice.max_remote_candidates;
        let most = most.saturating_sub(self.ice.remote_candidates().len());
        let session = self.ice.remote_credentials();
        let Some(names) = &mut self.names else { return };
        self.counters.stale_candidates += names.follow_session(now, session) as u64;
        if !names.resolve(now, name, remote.candidate, most) {
            self.counters.names_overflow += 1;
        }
    }

    /// Takes a candidate with its address.
    fn take_signalled(&mut self, candidate: ice::Candidate) {
        let address = candidate.address;
        self.ice.add_remote_candidate(candidate);
        // Those that were too many are not remembered here either.
        let mut known = self.ice.remote_candidates().iter();
        if let Some(relaying) = &mut self.relaying
            && known.any(|known| known.address == address)
        {
            relaying.signalled(address.ip());
        }
    }

    /// Follows the names after an input.
    pub(super) fn follow_names(&mut self, now: Instant) {
        let Some(mut names) = self.names.take() else { return };
        let session = self.ice.remote_credentials().filter(|_| !self.restarting);
        self.counters.stale_candidates += names.follow_session(now, session) as u64;
        let hosts = self.ice.local_candidates().iter();
        let hosts = hosts.filter(|candidate| candidate.kind == ice::CandidateKind::Host);
        names.keep(|address| hosts.clone().any(|host| host.address.ip() == *address));
        while let Some((resolved, candidates)) = names.poll() {
            if resolved {
                // No TURN server learns of these: they were not signalled by address.
                for candidate in candidates {
                    self.ice.add_remote_candidate(candidate);
                }
            } else {
                self.counters.unresolved_names += candidates.len() as u64;
            }
        }
        self.names = Some(names);
    }
}

/// TCP connections to candidates of the peer's (RFC 6544), in full mode.
impl Peer {
    /// Adds an address from which the caller can open TCP connections: an active candidate. The peer's passive
    /// candidates are tried from it, and used where nothing better works. To no effect in lite mode and with
    /// [`IceTransportPolicy::Relay`](crate::IceTransportPolicy::Relay).
    pub fn add_active_tcp_candidate(&mut self, address: IpAddr) {
        if !self.connections.are_possible() || self.is_relay_only() {
            return;
        }
        self.conceal(address);
        let preference = self.next_tcp_preference();
        self.ice
            .add_local_candidate(ice::Candidate::tcp_active(address, preference));
    }

    /// Takes back an address from which connections could be opened: its interface is gone. Those that are there are of
    /// no use any more; what remains is used, as with [`remove_local_candidate`](Self::remove_local_candidate).
    pub fn remove_active_tcp_candidate(&mut self, now: Instant, address: IpAddr) {
        if self.state == State::Closed {
            return;
        }
        let base = ice::Candidate::tcp_active(address, 0).address;
        self.ice.remove_local_candidate(now, base, Protocol::Tcp);
        self.update(now);
    }

    /// RFC 6544 §4.2: 13 bits are left beside the direction. The highest that none of those has that are there.
    pub(super) fn next_tcp_preference(&self) -> u16 {
        const MOST: u16 = (1 << 13) - 1;
        let local = self.ice.local_candidates().iter();
        let tcp = local.filter(|candidate| candidate.protocol == Protocol::Tcp);
        let taken: Vec<u16> = tcp.map(|candidate| candidate.local_preference() & MOST).collect();
        (0..=MOST).rev().find(|free| !taken.contains(free)).unwrap_or_default()
    }

    /// Whether what is sent on this path goes to a connection that the peer has asked for, and to which: the bytes as
    /// they are, behind one another, since each datagram is in its frame. On other paths of TCP, which are those to
    /// passive candidates of ours, the caller writes the frames of RFC 4571.
    pub fn connection_on(&self, path: &Path) -> Option<ConnectionId> {
        self.connections.on(path)
    }

    /// The connection that [`Event::OpenConnection`](crate::Event::OpenConnection) asked for is open; `local` is its
    /// address here. What is to be written to it comes from [`poll_transmit`](Self::poll_transmit), and from
    /// [`send_written`](Self::send_written), with the path from there to the peer. What it is slow to take waits with
    /// the caller, who drops whole datagrams where that is too much, or closes it.
    pub fn connection_opened(&mut self, now: Instant, id: ConnectionId, local: SocketAddr) {
        if self.state == State::Closed {
            return;
        }
        if let Some(path) = self.connections.opened(id, local) {
            self.ice.handle_connected(now, &path);
            self.update(now);
        }
    }

    /// The connection was closed, or could not be opened. What remains is used; without anything the peer is
    /// disconnected.
    pub fn connection_closed(&mut self, now: Instant, id: ConnectionId) {
        if let Some(path) = self.connections.closed(id)
            && self.state != State::Closed
        {
            self.ice.handle_closed(now, &path);
            self.update(now);
        }
    }

    /// Takes the next bytes of a connection, however they are cut; of a frame that is not whole what has come is kept.
    /// A connection with a longer frame than there may be is of no use any more.
    pub fn handle_connection(&mut self, now: Instant, id: ConnectionId, bytes: &mut [u8], sink: &mut impl Sink) {
        let Some((path, mut deframer)) = self.connections.lend(id) else {
            return;
        };
        let pushed = deframer.push(bytes, |frame| {
            // Empty ones are legal, and keep the connection (RFC 4571 §2).
            if !frame.is_empty() {
                self.receive(now, &path, frame, sink);
            }
        });
        let heard = self.ice.may_receive(now, &path);
        self.connections.give_back(id, deframer, heard);
        if pushed.is_err() && self.state != State::Closed {
            self.counters.connections_malformed += 1;
            self.connections.give_up(id);
            self.ice.handle_closed(now, &path);
            self.update(now);
        }
    }

    /// Puts the frame around what lies at the beginning of `out`; `None` where there is no room for it.
    pub(super) fn frame(transmit: Transmit, out: &mut [u8]) -> Option<Transmit> {
        let len = FRAME_HEADER + transmit.len;
        let frame = out.get_mut(..len)?;
        frame.copy_within(..transmit.len, FRAME_HEADER);
        frame[..FRAME_HEADER].copy_from_slice(&frame_header(transmit.len)?);
        Some(Transmit::one(transmit.path, len))
    }

    /// What ICE asks for while it sends.
    pub(super) fn follow_connections(&mut self, now: Instant) {
        if self.connections.are_possible() && self.state != State::Closed {
            self.follow_agent();
            self.refuse_connections(now);
        }
    }

    /// Tells ICE of those that there is no room for; it may ask for another instead.
    pub(super) fn refuse_connections(&mut self, now: Instant) {
        while let Some(path) = self.connections.refused() {
            self.counters.connections_refused += 1;
            self.ice.handle_closed(now, &path);
            self.follow_agent();
        }
    }

    /// Gives up the connections that ICE does not use.
    pub(super) fn keep_connections(&mut self) {
        let ice = &self.ice;
        self.connections.keep(|path| ice.uses_connection(path));
    }

    /// What the caller is to do with connections; behind the end it closes all.
    pub(super) fn poll_connections(&mut self) -> Option<Event> {
        if self.state == State::Closed {
            return None;
        }
        self.connections.poll_event()
    }
}

/// A lite peer waits for others.
pub(super) fn max_connections(config: &Config) -> usize {
    match config.ice.mode {
        ice::Mode::Full => config.max_connections,
        _ => 0,
    }
}

/// The names of a peer that has a link, and may speak there: a lite one needs none, and one that speaks to TURN servers
/// alone ignores them (draft, ICE Candidate Processing).
pub(super) fn names(config: &Config, rng: &mut rand::rngs::StdRng, now: Instant) -> Option<Box<Names>> {
    let speaks = config.ice.mode == ice::Mode::Full && config.ice_transport_policy == IceTransportPolicy::All;
    let mdns = config.mdns.as_ref().filter(|_| speaks)?;
    Some(Box::new(Names::new(mdns, Seed(random(rng)), now)))
}
