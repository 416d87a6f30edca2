use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use ice::Candidate;
use rand::rngs::StdRng;
use turn::client::{Allocation, ClientCounters, CloseReason, Config, Credentials, Families, SendError, Transport};
use turn::{Client, ClientId, Relays};
use wire::{Path, Protocol, Seed, Transmit};

use crate::peer::random;
use crate::{IceServer, IceTransportPolicy, RelayStream, RelayStreamId};

mod restart;
mod streams;

use restart::Proof;
use streams::{Progress, Stream};

/// Most allocations of a peer: one for each address of ours and TURN server over UDP, and one for each server over TCP
/// or TLS.
pub(crate) const MAX_ALLOCATIONS: usize = 8;
/// How many of them those over UDP leave to streams, which come later and are all that there is where UDP is blocked.
const LEFT_TO_STREAMS: usize = MAX_ALLOCATIONS / 2;

/// The TURN servers of a peer in full mode.
pub(crate) struct Relaying {
    pub(crate) relays: Relays,
    pub(crate) policy: IceTransportPolicy,
    servers: Vec<RelayServer>,
    /// Our own addresses: what is sent from them is not relayed, whatever a server claims.
    bases: Vec<SocketAddr>,
    /// How many of them have had their allocations asked for.
    begun: usize,
    allocations: Vec<Held>,
    /// How many there have been.
    allocated: u16,
    /// Of clients that have ended.
    counters_before: ClientCounters,
    streams: Vec<Stream>,
    /// How many streams there have been.
    opened: u32,
    /// Servers that refuse allocations, and until when they would.
    barred: Vec<(usize, Option<Instant>)>,
    /// No more addresses of ours come.
    pub(crate) ended: bool,
    /// Where the peer's candidates are that it signalled by address.
    signalled: Vec<IpAddr>,
    /// Whether the peer's candidates, or the allocations, are others than when permissions were asked for.
    pub(crate) permits_due: bool,
    /// Whether a path has ended since peers were forgotten.
    pub(crate) forgets_due: bool,
    /// The path that a channel was last asked for.
    bound: Option<Path>,
    closing: bool,
    rng: StdRng,
}

/// A TURN server at one of its addresses.
struct RelayServer {
    uri: String,
    address: SocketAddr,
    credentials: Option<Credentials>,
    transport: Transport,
    /// How much its candidates are liked: UDP most, then TCP, then TLS.
    preference: u16,
}

/// A client, and what was made of it.
struct Held {
    id: ClientId,
    server: usize,
    /// Where it is reached from.
    local: SocketAddr,
    proof: Proof,
    /// How many were there before it, those included that have ended.
    nth: u16,
    relayed: [Option<SocketAddr>; 2],
}

/// What has ended with a client.
#[derive(Default)]
pub(crate) struct Ended {
    pub(crate) relayed: [Option<SocketAddr>; 2],
    /// The URI of the server.
    pub(crate) server: String,
    /// Its stream, if that is still open.
    pub(crate) stream: Option<RelayStreamId>,
    /// Whether it was found to have ended while ICE restarts: then there is to be another one.
    pub(crate) again: bool,
}

/// What was sent from an address.
pub(crate) enum Wrapped {
    /// It is to be sent so.
    Ready(Transmit),
    /// It goes nowhere, or waits for its permission.
    Nothing,
    /// It goes nowhere, and is to be counted.
    Blocked,
}

impl Relaying {
    /// Also tells how many addresses of servers there were too many.
    pub(crate) fn new(servers: &[IceServer], policy: IceTransportPolicy, rng: StdRng) -> (Self, usize) {
        let mut relaying = Self {
            relays: Relays::default(),
            policy,
            servers: Vec::new(),
            bases: Vec::new(),
            begun: 0,
            allocations: Vec::new(),
            allocated: 0,
            counters_before: ClientCounters::default(),
            streams: Vec::new(),
            opened: 0,
            barred: Vec::new(),
            ended: false,
            signalled: Vec::new(),
            permits_due: false,
            forgets_due: false,
            bound: None,
            closing: false,
            rng,
        };
        let turn = servers.iter().filter(|server| server.uri().scheme().is_turn());
        let mut dropped = 0;
        for (server, address) in turn.flat_map(|server| server.addresses().map(move |address| (server, address))) {
            if relaying.servers.len() < IceServer::MAX {
                relaying.add_server(server, address);
            } else {
                dropped += 1;
            }
        }
        (relaying, dropped)
    }

    fn add_server(&mut self, server: &IceServer, address: SocketAddr) {
        let tls = server.tls_name();
        let over_udp = server.is_over_udp();
        let rank = match (over_udp, &tls) {
            (true, _) => 0,
            (false, None) => 1,
            (false, Some(_)) => 2,
        };
        let nth = self.servers.len();
        if !over_udp {
            let id = self.next_stream();
            self.streams.push(Stream::new(id, nth, address, tls));
        }
        self.servers.push(RelayServer {
            uri: server.uri().to_string(),
            address,
            credentials: server.credentials().cloned(),
            transport: if over_udp { Transport::Udp } else { Transport::Stream },
            preference: u16::MAX - (rank << 12),
        });
    }

    /// Takes an address of ours, from which servers over UDP are asked; `false` when it is known.
    pub(crate) fn add_base(&mut self, base: SocketAddr) -> bool {
        let new = !self.bases.contains(&base);
        if new {
            self.bases.push(base);
        }
        new
    }

    /// An address of ours is gone: gives the clients that were reached from it, which are to be taken out.
    pub(crate) fn remove_base(&mut self, base: SocketAddr) -> Vec<ClientId> {
        if let Some(nth) = self.bases.iter().position(|known| *known == base) {
            self.bases.remove(nth);
            self.begun -= usize::from(nth < self.begun);
        }
        // Streams have ports of their own.
        let stays = self.bases.iter().any(|known| known.ip() == base.ip());
        let gone = |held: &&Held| held.local == base || !stays && held.local.ip() == base.ip();
        self.allocations.iter().filter(gone).map(|held| held.id).collect()
    }

    pub(crate) const fn has_to_begin(&self) -> bool {
        self.begun < self.bases.len()
    }

    /// Asks for the allocations from addresses that have come since; gives how many were too many.
    pub(crate) fn begin(&mut self, now: Instant) -> u64 {
        let mut dropped = 0;
        while let Some(&base) = self.bases.get(self.begun) {
            self.begun += 1;
            dropped += self.ask(now, base);
        }
        dropped
    }

    /// Asks each server over UDP for an allocation from an address, unless there is one; gives how many were too many.
    fn ask(&mut self, now: Instant, base: SocketAddr) -> u64 {
        let mut dropped = 0;
        for nth in 0..self.servers.len() {
            let server = &self.servers[nth];
            let reachable = server.address.is_ipv4() == base.is_ipv4()
                && server.address.ip().is_loopback() == base.ip().is_loopback();
            let there = |held: &Held| (held.server, held.local) == (nth, base);
            let wanted = server.transport == Transport::Udp && reachable && !self.allocations.iter().any(there);
            if wanted && self.may_ask(now, nth) {
                dropped += u64::from(self.allocate(now, nth, base).is_none());
            }
        }
        dropped
    }

    fn allocate(&mut self, now: Instant, nth: usize, local: SocketAddr) -> Option<ClientId> {
        let server = &self.servers[nth];
        if !self.has_room(server.transport) || self.closing {
            return None;
        }
        let config = Config {
            transport: server.transport,
            credentials: server.credentials.clone(),
            families: Families::Both,
            ..Config::default()
        };
        let client = Client::new(config, server.address, local, Seed(random(&mut self.rng)), now);
        let id = self.relays.insert(client);
        self.allocations.push(Held {
            id,
            server: nth,
            local,
            proof: Proof::Proven,
            nth: self.allocated,
            relayed: [None; 2],
        });
        self.allocated = self.allocated.saturating_add(1);
        Some(id)
    }

    fn has_room(&self, transport: Transport) -> bool {
        let over_udp = |held: &&Held| self.servers[held.server].transport == Transport::Udp;
        let most_over_udp = MAX_ALLOCATIONS - self.streams.len().min(LEFT_TO_STREAMS);
        let fits = transport == Transport::Stream || self.allocations.iter().filter(over_udp).count() < most_over_udp;
        fits && self.allocations.len() < MAX_ALLOCATIONS
    }

    /// Whether all servers have answered, or will not.
    pub(crate) fn is_settled(&self) -> bool {
        let waits = |client: &Client| {
            matches!(
                client.state(),
                turn::client::State::Allocating | turn::client::State::Reconnecting
            )
        };
        self.begun == self.bases.len()
            && !self.streams.iter().any(|stream| stream.progress == Progress::Opening)
            && !self.relays.iter().any(|(_, client)| waits(client))
            && !self.allocations.iter().any(|held| held.proof == Proof::Asked)
    }

    /// The candidates of a new allocation.
    pub(crate) fn allocated(&mut self, id: ClientId, allocation: &Allocation) -> Vec<Candidate> {
        self.permits_due = true;
        let Some(held) = self.allocations.iter_mut().find(|held| held.id == id) else {
            return Vec::new();
        };
        // A server may claim our own address.
        let [ipv4, ipv6] =
            [allocation.ipv4, allocation.ipv6].map(|relayed| relayed.filter(|relayed| !self.bases.contains(relayed)));
        held.relayed = [ipv4, ipv6];
        // RFC 8445 §5.1.2.1: each has its own local preference; what is gone may still be known to the peer.
        let preference = self.servers[held.server].preference;
        let preference = preference.saturating_sub(held.nth.saturating_mul(2));
        let preferences = [preference, preference.saturating_sub(1)];
        let candidates = [ipv4, ipv6].into_iter().flatten().zip(preferences);
        candidates
            .map(|(relayed, preference)| Candidate::relayed(relayed, allocation.mapped.unwrap_or(relayed), preference))
            .collect()
    }

    /// A client has ended.
    pub(crate) fn closed(&mut self, now: Instant, id: ClientId, reason: CloseReason) -> Ended {
        if let Some(client) = self.relays.remove(id) {
            self.counters_before.absorb(client.counters());
        }
        let mut ended = Ended {
            stream: self.end_stream_of(id),
            ..Ended::default()
        };
        if let Some(nth) = self.allocations.iter().position(|held| held.id == id) {
            let held = self.allocations.remove(nth);
            self.bar(now, held.server, reason);
            // Another one may get the address, and would know of no channel.
            self.bound = self.bound.filter(|path| !held.relayed.contains(&Some(path.local)));
            ended.relayed = held.relayed;
            ended.again = held.proof == Proof::Asked;
            ended.server.clone_from(&self.servers[held.server].uri);
        }
        ended
    }

    /// What all clients have counted.
    pub(crate) fn counters(&self) -> ClientCounters {
        let mut counters = self.counters_before;
        self.relays
            .iter()
            .for_each(|(_, client)| counters.absorb(client.counters()));
        counters
    }

    /// Whether what is sent on this path is sent as it is.
    pub(crate) fn is_direct(&self, path: &Path) -> bool {
        let own = path.protocol == Protocol::Tcp || self.bases.contains(&path.local);
        own && self.policy == IceTransportPolicy::All
    }

    /// Wraps what lies at the beginning of `out`.
    pub(crate) fn wrap(&mut self, now: Instant, transmit: Transmit, out: &mut [u8]) -> Wrapped {
        let path = transmit.path;
        if self.is_direct(&path) {
            return Wrapped::Ready(transmit);
        }
        if path.protocol == Protocol::Tcp || self.bases.contains(&path.local) {
            return Wrapped::Blocked;
        }
        match self.seal(now, &path, transmit.len, out) {
            Ok(Some(sealed)) => Wrapped::Ready(sealed),
            // Private addresses of the peer's, mostly: servers refuse them.
            Ok(None) | Err(SendError::Refused(_)) => Wrapped::Nothing,
            Err(_) => Wrapped::Blocked,
        }
    }

    fn seal(&mut self, now: Instant, path: &Path, len: usize, out: &mut [u8]) -> Result<Option<Transmit>, SendError> {
        let room = self.relays.room(path)?;
        // What is selected was asked for before.
        if self.bound.as_ref() != Some(path) && !self.may_tell_on(path) {
            return Ok(None);
        }
        let end = room.head() + len;
        if out.len() < end {
            return Err(SendError::Full);
        }
        out.copy_within(..len, room.head());
        self.relays.seal(now, path, room, len, out)
    }

    /// The peer has signalled a candidate by its address. One whose mDNS name was resolved is not taken here.
    pub(crate) fn signalled(&mut self, address: IpAddr) {
        self.permits_due = true;
        if !self.signalled.contains(&address) {
            self.signalled.push(address);
        }
    }

    /// Whether a server may be told of an address of the peer's: it tells the page, from which mDNS hides addresses
    /// (draft-ietf-mmusic-mdns-ice-candidates, "Interactions With TURN Servers"). What a check came from directly may
    /// be such an address. What came through the relay is no news to its server: it has an address that is permitted
    /// there, and permissions know no ports (RFC 8656 §9).
    fn may_tell(&self, client: &Client, address: &IpAddr) -> bool {
        client.knows_address(address) || self.signalled.contains(address)
    }

    fn may_tell_on(&self, path: &Path) -> bool {
        let client = self.relays.relay_of(&path.local).and_then(|id| self.relays.client(id));
        client.is_some_and(|client| self.may_tell(client, &path.remote.ip()))
    }

    /// Has the candidates of the peer's permitted, so that its checks get through.
    pub(crate) fn permit(&mut self, now: Instant, remote: &[Candidate]) -> u64 {
        let mut blocked = 0;
        if !mem::take(&mut self.permits_due) {
            return blocked;
        }
        // Where candidates come others may have gone, with a restart.
        self.forgets_due = true;
        self.signalled
            .retain(|address| remote.iter().any(|candidate| candidate.address.ip() == *address));
        for held in &self.allocations {
            let Some(client) = self.relays.client(held.id) else {
                continue;
            };
            let wanted = |candidate: &&Candidate| {
                candidate.protocol == Protocol::Udp
                    && candidate.address.port() != 0
                    && !client.knows(&candidate.address)
                    && self.may_tell(client, &candidate.address.ip())
            };
            let wanted: Vec<SocketAddr> = remote
                .iter()
                .filter(wanted)
                .map(|candidate| candidate.address)
                .collect();
            for address in wanted {
                let [ipv4, ipv6] = held.relayed;
                if let Some(local) = if address.is_ipv4() { ipv4 } else { ipv6 } {
                    blocked += u64::from(self.relays.permit(now, &Path::udp(local, address)).is_err());
                }
            }
        }
        blocked
    }

    /// Asks for a channel for the path in use: it takes 4 bytes of each datagram, where an indication takes 36 or more.
    pub(crate) fn bind(&mut self, now: Instant, selected: Option<Path>) {
        if self.bound != selected {
            self.bound = selected;
            // Without a channel data goes in indications.
            let relayed = selected.filter(|path| !self.bases.contains(&path.local));
            let _ = relayed.map(|path| self.relays.bind(now, &path));
        }
    }

    /// Forgets the peers whose addresses are neither candidates nor in use any more: each takes a place at the server.
    pub(crate) fn forget(&mut self, now: Instant, ice: &ice::Agent) {
        if !self.forgets_due || ice.local_ufrags().count() > 1 {
            return;
        }
        self.forgets_due = false;
        let used = |peer: &SocketAddr| {
            ice.remote_candidates().iter().any(|remote| remote.address == *peer)
                || ice.pairs().any(|pair| pair.path.remote == *peer)
        };
        for held in &self.allocations {
            let Some(client) = self.relays.client(held.id) else {
                continue;
            };
            let gone: Vec<SocketAddr> = client.peers().filter(|peer| !used(peer)).collect();
            for peer in gone {
                let [ipv4, ipv6] = held.relayed;
                if let Some(local) = if peer.is_ipv4() { ipv4 } else { ipv6 } {
                    self.relays.forget(now, &Path::udp(local, peer));
                }
            }
        }
    }

    /// Gives the allocations back, once.
    pub(crate) fn close(&mut self) {
        if !mem::replace(&mut self.closing, true) {
            for held in &self.allocations {
                self.relays.command(held.id, Client::close);
            }
        }
    }
}
