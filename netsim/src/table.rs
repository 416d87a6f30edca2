use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{IpAddr, SocketAddr};

use rand::RngExt;
use rand::rngs::StdRng;

use crate::drops::DropReason;
use crate::firewall::Firewall;
use crate::hasher::Map;
use crate::link::nanos;
use crate::nat::{Dependence, Nat, Pooling, PortAssignment, Refresh};
use crate::packet::TcpFlags;

/// The rules that a table of mappings works by. A firewall is a NAT that maps each address to itself.
#[derive(Debug)]
pub(crate) struct Rules {
    mapping: Dependence,
    filtering: Dependence,
    ports: Option<PortAssignment>,
    parity: bool,
    pooling: Pooling,
    refresh: Refresh,
    udp_timeout: u64,
    established_timeout: u64,
    transitory_timeout: u64,
    max_mappings: usize,
    max_peers: usize,
}

impl Rules {
    pub(crate) fn nat(nat: &Nat) -> Self {
        Self {
            mapping: nat.mapping,
            filtering: nat.filtering,
            ports: Some(nat.ports),
            parity: nat.port_parity,
            pooling: nat.pooling,
            refresh: nat.refresh,
            udp_timeout: nanos(nat.udp_timeout),
            established_timeout: nanos(nat.tcp_established_timeout),
            transitory_timeout: nanos(nat.tcp_transitory_timeout),
            max_mappings: nat.max_mappings,
            max_peers: nat.max_peers.max(1),
        }
    }

    pub(crate) fn firewall(firewall: &Firewall) -> Self {
        Self {
            mapping: Dependence::EndpointIndependent,
            filtering: firewall.filtering,
            ports: None,
            parity: false,
            pooling: Pooling::Paired,
            refresh: Refresh::Outbound,
            udp_timeout: nanos(firewall.udp_timeout),
            established_timeout: nanos(firewall.tcp_established_timeout),
            transitory_timeout: nanos(firewall.tcp_transitory_timeout),
            max_mappings: firewall.max_states,
            max_peers: 1024,
        }
    }
}

/// An internal endpoint, and as much of the remote one as the mapping depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct InternalKey {
    tcp: bool,
    internal: SocketAddr,
    remote: Option<IpAddr>,
    remote_port: u16,
}

#[derive(Debug)]
struct Mapping {
    key: InternalKey,
    external: SocketAddr,
    /// Of UDP; TCP lives as long as one of its peers.
    expires: u64,
    peers: Vec<Peer>,
    /// When it is looked at next, to see whether it has ended; not later than that.
    look_at: u64,
}

/// A remote endpoint that a packet went to.
#[derive(Debug)]
struct Peer {
    remote: SocketAddr,
    expires: u64,
    tcp: TcpProgress,
}

/// What has been seen of a connection.
#[derive(Debug, Clone, Copy, Default)]
struct TcpProgress {
    syn_out: bool,
    syn_in: bool,
    closing: bool,
}

impl TcpProgress {
    fn saw(&mut self, flags: TcpFlags, outbound: bool) {
        if flags.syn {
            // The same ports once more: a new connection, which is not open because the old one was.
            if self.closing {
                *self = Self::default();
            }
            if outbound {
                self.syn_out = true;
            } else {
                self.syn_in = true;
            }
        }
        self.closing |= flags.fin || flags.rst;
    }
}

/// The mappings of a NAT, or the states of a firewall.
#[derive(Debug)]
pub(crate) struct Table {
    rules: Rules,
    /// External addresses of a NAT.
    pub(crate) pool: Vec<IpAddr>,
    mappings: Vec<Option<Mapping>>,
    free: Vec<usize>,
    /// The times to look at mappings, and some that do not hold any more.
    looks: BinaryHeap<Reverse<(u64, usize)>>,
    by_internal: Map<InternalKey, usize>,
    by_external: Map<(bool, SocketAddr), Vec<usize>>,
    paired: Map<IpAddr, usize>,
    next_pair: usize,
    next_port: u16,
    rng: StdRng,
}

impl Table {
    pub(crate) fn new(rules: Rules, pool: Vec<IpAddr>, rng: StdRng) -> Self {
        Self {
            rules,
            pool,
            mappings: Vec::new(),
            free: Vec::new(),
            looks: BinaryHeap::new(),
            by_internal: Map::default(),
            by_external: Map::default(),
            paired: Map::default(),
            next_pair: 0,
            next_port: 1024,
            rng,
        }
    }

    /// Mappings that are alive.
    pub(crate) fn len(&mut self, now: u64) -> usize {
        self.sweep(now);
        self.mappings.len() - self.free.len()
    }

    /// Forgets everything, as when it is switched off and on.
    pub(crate) fn clear(&mut self) {
        self.mappings.clear();
        self.free.clear();
        self.looks.clear();
        self.by_internal.clear();
        self.by_external.clear();
        self.paired.clear();
    }

    /// A packet goes out: the source address that it gets.
    pub(crate) fn outbound(
        &mut self,
        now: u64,
        tcp: Option<TcpFlags>,
        source: SocketAddr,
        remote: SocketAddr,
    ) -> Result<SocketAddr, DropReason> {
        let key = self.key(tcp.is_some(), source, remote);
        let index = match self.find(now, &key) {
            Some(index) => index,
            // Nothing but a SYN opens a connection.
            None if tcp.is_some_and(|flags| !flags.syn) => return Err(DropReason::NatNoMapping),
            None => self.create(now, key)?,
        };
        let rules = &self.rules;
        let Some(mapping) = self.mappings.get_mut(index).and_then(Option::as_mut) else {
            return Err(DropReason::NatNoMapping);
        };
        if rules.refresh != Refresh::Inbound {
            mapping.expires = now + rules.udp_timeout;
        }
        let peer = mapping.peer(now, remote, rules.max_peers);
        peer.touch(now, rules, tcp, true);
        let external = mapping.external;
        self.touched(index, tcp);
        Ok(external)
    }

    /// A packet comes in to `external`: the internal destination that it gets.
    pub(crate) fn inbound(
        &mut self,
        now: u64,
        tcp: Option<TcpFlags>,
        remote: SocketAddr,
        external: SocketAddr,
    ) -> Result<SocketAddr, DropReason> {
        let index = self.admit(now, tcp.is_some(), remote, external)?;
        let rules = &self.rules;
        let Some(mapping) = self.mappings.get_mut(index).and_then(Option::as_mut) else {
            return Err(DropReason::NatNoMapping);
        };
        if rules.refresh != Refresh::Outbound && tcp.is_none() {
            mapping.expires = now + rules.udp_timeout;
            if let Some(peer) = mapping.peers.iter_mut().find(|peer| peer.remote == remote) {
                peer.touch(now, rules, None, false);
            }
        }
        if let Some(flags) = tcp {
            // Whom the filter lets in although nothing went there is a connection from now on.
            let known = mapping
                .peers
                .iter()
                .any(|peer| peer.remote == remote && peer.expires > now);
            if !known && !flags.syn {
                return Err(DropReason::NatFiltered);
            }
            let peer = mapping.peer(now, remote, rules.max_peers);
            peer.touch(now, rules, tcp, false);
        }
        let internal = mapping.key.internal;
        self.touched(index, tcp);
        Ok(internal)
    }

    /// The internal endpoint behind an external one that has sent to `remote`: for the errors that quote it.
    pub(crate) fn behind(&self, now: u64, tcp: bool, external: SocketAddr, remote: SocketAddr) -> Option<SocketAddr> {
        let candidates = self.by_external.get(&(tcp, external))?;
        let mut mappings = candidates.iter().filter_map(|&index| self.get(index));
        let found =
            mappings.find(|mapping| mapping.alive(now) && mapping.knows(now, remote, Dependence::AddressAndPort))?;
        Some(found.key.internal)
    }

    /// The external endpoint of an internal one towards `remote`, if there is one.
    pub(crate) fn external_of(
        &self,
        now: u64,
        tcp: bool,
        internal: SocketAddr,
        remote: SocketAddr,
    ) -> Option<SocketAddr> {
        let index = *self.by_internal.get(&self.key(tcp, internal, remote))?;
        let mapping = self.get(index)?;
        mapping.alive(now).then_some(mapping.external)
    }

    fn get(&self, index: usize) -> Option<&Mapping> {
        self.mappings.get(index)?.as_ref()
    }

    fn key(&self, tcp: bool, internal: SocketAddr, remote: SocketAddr) -> InternalKey {
        let mapping = self.rules.mapping;
        InternalKey {
            tcp,
            internal,
            remote: (mapping != Dependence::EndpointIndependent).then(|| remote.ip()),
            remote_port: if mapping == Dependence::AddressAndPort {
                remote.port()
            } else {
                0
            },
        }
    }

    /// The living mapping of a key.
    fn find(&mut self, now: u64, key: &InternalKey) -> Option<usize> {
        let index = *self.by_internal.get(key)?;
        if self.get(index)?.alive(now) {
            return Some(index);
        }
        self.remove(index);
        None
    }

    /// The mapping of `external` whose filter lets `remote` in.
    fn admit(&self, now: u64, tcp: bool, remote: SocketAddr, external: SocketAddr) -> Result<usize, DropReason> {
        let candidates = self.by_external.get(&(tcp, external)).ok_or(DropReason::NatNoMapping)?;
        let mut refused = DropReason::NatNoMapping;
        let mut admitted = None;
        for &index in candidates {
            let Some(mapping) = self.get(index).filter(|mapping| mapping.alive(now)) else {
                continue;
            };
            refused = DropReason::NatFiltered;
            // Of several that share the port, the one that knows the sender best.
            let better = mapping.knows(now, remote, Dependence::AddressAndPort);
            if better || admitted.is_none() && mapping.knows(now, remote, self.rules.filtering) {
                admitted = Some(index);
            }
        }
        admitted.ok_or(refused)
    }

    fn create(&mut self, now: u64, key: InternalKey) -> Result<usize, DropReason> {
        self.sweep(now);
        if self.by_internal.len() >= self.rules.max_mappings {
            return Err(DropReason::NatFull);
        }
        let external = self.assign(now, &key).ok_or(DropReason::NatFull)?;
        let mapping = Mapping {
            key,
            external,
            expires: now + self.rules.udp_timeout,
            peers: Vec::new(),
            look_at: 0,
        };
        let index = self.free.pop().unwrap_or_else(|| {
            self.mappings.push(None);
            self.mappings.len() - 1
        });
        self.mappings[index] = Some(mapping);
        self.watch(index, now + self.rules.udp_timeout.min(self.rules.transitory_timeout));
        self.by_internal.insert(key, index);
        self.by_external.entry((key.tcp, external)).or_default().push(index);
        Ok(index)
    }

    /// The external endpoint of a new mapping.
    fn assign(&mut self, now: u64, key: &InternalKey) -> Option<SocketAddr> {
        let Some(ports) = self.rules.ports else {
            return Some(key.internal);
        };
        let ip = self.assign_address(key.internal.ip())?;
        let wanted = key.internal.port();
        match ports {
            PortAssignment::Overload => return Some(SocketAddr::new(ip, wanted)),
            PortAssignment::Preserve if self.is_free(now, key.tcp, SocketAddr::new(ip, wanted)) => {
                return Some(SocketAddr::new(ip, wanted));
            }
            _ => {}
        }
        let (low, high) = if ports == PortAssignment::Preserve && wanted < 1024 {
            (1, 1023)
        } else {
            (1024, u16::MAX)
        };
        let span = u32::from(high - low) + 1;
        let start = match ports {
            PortAssignment::Sequential => u32::from(self.next_port.max(low) - low),
            _ => self.rng.random_range(0..span),
        };
        let found = (0..span).find_map(|step| {
            let port = low + ((start + step) % span) as u16;
            let parity = !self.rules.parity || port % 2 == wanted % 2;
            let external = SocketAddr::new(ip, port);
            (parity && self.is_free(now, key.tcp, external)).then_some(external)
        })?;
        self.next_port = found.port().checked_add(1).unwrap_or(low);
        Some(found)
    }

    fn assign_address(&mut self, internal: IpAddr) -> Option<IpAddr> {
        let count = self.pool.len();
        let index = match self.rules.pooling {
            _ if count == 0 => return None,
            Pooling::Arbitrary => self.rng.random_range(0..count),
            Pooling::Paired => {
                let next = &mut self.next_pair;
                *self.paired.entry(internal).or_insert_with(|| {
                    *next += 1;
                    *next - 1
                }) % count
            }
        };
        self.pool.get(index).copied()
    }

    fn is_free(&self, now: u64, tcp: bool, external: SocketAddr) -> bool {
        let Some(indices) = self.by_external.get(&(tcp, external)) else {
            return true;
        };
        !indices
            .iter()
            .any(|&index| self.get(index).is_some_and(|mapping| mapping.alive(now)))
    }

    /// Looks at a mapping at that time, and not before.
    fn watch(&mut self, index: usize, at: u64) {
        if let Some(mapping) = self.mappings.get_mut(index).and_then(Option::as_mut) {
            mapping.look_at = at;
            self.looks.push(Reverse((at, index)));
        }
    }

    /// What is closed ends sooner than it would have.
    fn touched(&mut self, index: usize, tcp: Option<TcpFlags>) {
        if tcp.is_some_and(|flags| flags.fin || flags.rst)
            && let Some(mapping) = self.get(index)
            && mapping.end() < mapping.look_at
        {
            self.watch(index, mapping.end());
        }
    }

    /// Removes what has ended.
    fn sweep(&mut self, now: u64) {
        while let Some(&Reverse((at, index))) = self.looks.peek()
            && at <= now
        {
            self.looks.pop();
            match self.get(index).filter(|mapping| mapping.look_at == at) {
                Some(mapping) if mapping.alive(now) => self.watch(index, mapping.end()),
                Some(_) => self.remove(index),
                None => {}
            }
        }
    }

    fn remove(&mut self, index: usize) {
        let Some(mapping) = self.mappings.get_mut(index).and_then(Option::take) else {
            return;
        };
        self.free.push(index);
        self.by_internal.remove(&mapping.key);
        let external = (mapping.key.tcp, mapping.external);
        if let Some(indices) = self.by_external.get_mut(&external) {
            indices.retain(|&other| other != index);
            if indices.is_empty() {
                self.by_external.remove(&external);
            }
        }
    }
}

impl Mapping {
    fn alive(&self, now: u64) -> bool {
        self.end() > now
    }

    fn end(&self) -> u64 {
        if self.key.tcp {
            self.peers.iter().map(|peer| peer.expires).max().unwrap_or(0)
        } else {
            self.expires
        }
    }

    /// Whether a filter of that kind lets `remote` in.
    fn knows(&self, now: u64, remote: SocketAddr, filtering: Dependence) -> bool {
        let mut peers = self.peers.iter().filter(|peer| peer.expires > now);
        match filtering {
            Dependence::EndpointIndependent => true,
            Dependence::Address => peers.any(|peer| peer.remote.ip() == remote.ip()),
            Dependence::AddressAndPort => peers.any(|peer| peer.remote == remote),
        }
    }

    /// The entry of `remote`, made if there is none.
    fn peer(&mut self, now: u64, remote: SocketAddr, max_peers: usize) -> &mut Peer {
        let found = self.peers.iter().position(|peer| peer.remote == remote);
        let index = found.unwrap_or_else(|| {
            if self.peers.len() >= max_peers {
                let oldest = self.peers.iter().enumerate().min_by_key(|(_, peer)| peer.expires);
                let oldest = oldest.map_or(0, |(index, _)| index);
                self.peers.swap_remove(oldest);
            }
            self.peers.push(Peer {
                remote,
                expires: now,
                tcp: TcpProgress::default(),
            });
            self.peers.len() - 1
        });
        &mut self.peers[index]
    }
}

impl Peer {
    fn touch(&mut self, now: u64, rules: &Rules, tcp: Option<TcpFlags>, outbound: bool) {
        let Some(flags) = tcp else {
            self.expires = now + rules.udp_timeout;
            return;
        };
        self.tcp.saw(flags, outbound);
        let open = self.tcp.syn_out && self.tcp.syn_in && !self.tcp.closing;
        self.expires = now
            + if open {
                rules.established_timeout
            } else {
                rules.transitory_timeout
            };
    }
}

#[cfg(test)]
mod tests;
