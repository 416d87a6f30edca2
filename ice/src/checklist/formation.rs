#![deny(clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

use super::Checklist;
use super::pair::{Connection, Pair, PairId, State};
use crate::candidate::{Candidate, TcpType};
use std::cmp::Reverse;
use std::net::{IpAddr, SocketAddr};
use wire::{Path, Protocol};

/// Whether a datagram may go from the one candidate to the other (RFC 8445 §6.1.2.2, RFC 6544 §6.2).
fn fit(local: &Candidate, remote: &Candidate) -> bool {
    let directions = match (local.protocol, remote.protocol) {
        (Protocol::Udp, Protocol::Udp) => true,
        // Passive candidates wait, which needs no pair.
        (Protocol::Tcp, Protocol::Tcp) => {
            local.tcp_type == Some(TcpType::Active) && remote.tcp_type == Some(TcpType::Passive)
        }
        _ => false,
    };
    directions && local.component == remote.component && reach(local.base(), remote.address)
}

/// Families are not mixed; what only this machine or only this link has reaches nothing else.
fn reach(from: SocketAddr, to: SocketAddr) -> bool {
    let on_link = |ip: IpAddr| matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    let (a, b) = (from.ip(), to.ip());
    let usable = to.port() != 0 && !b.is_unspecified() && !b.is_multicast();
    usable && a.is_ipv4() == b.is_ipv4() && a.is_loopback() == b.is_loopback() && on_link(a) == on_link(b)
}

impl Checklist {
    /// Pairs two candidates if they fit. `false` when another pair gave way, or this one.
    pub(crate) fn form(&mut self, local: &Candidate, remote: &Candidate) -> bool {
        if !fit(local, remote) {
            return true;
        }
        // A reflexive candidate is replaced by its base (RFC 8445 §6.1.2.4): nothing can be sent from it.
        let path = Path {
            local: local.base(),
            remote: remote.address,
            protocol: local.protocol,
        };
        let foundation = (local.foundation.clone(), remote.foundation.clone());
        self.add(path, (local.priority, remote.priority), foundation)
    }

    /// Adds a pair unless there is one like it: then the better one stays (RFC 8445 §6.1.2.4).
    pub(super) fn add(&mut self, path: Path, priorities: (u32, u32), foundation: (String, String)) -> bool {
        let like =
            |pair: &Pair| (pair.base, pair.path.remote, pair.path.protocol) == (path.local, path.remote, path.protocol);
        let id = PairId(self.next_pair);
        let mut pair = Pair::new(id, path, priorities, foundation);
        if let Some(known) = self.pairs.iter_mut().find(|known| like(known) || known.path == path) {
            if pair.priority(self.role) > known.priority(self.role) {
                (known.local_priority, known.remote_priority) = priorities;
                known.foundation = pair.foundation;
                self.sort();
            }
            return true;
        }
        self.next_pair = self.next_pair.wrapping_add(1);
        if path.protocol == Protocol::Tcp {
            pair.connection = Connection::Needed;
        }
        pair.state = self.first_state(&pair);
        self.pairs.push(pair);
        self.sort();
        self.limit()
    }

    /// RFC 8838 §12, whose rules are those of RFC 8445 §6.1.2.6 when all pairs are there at once: the best pair of a
    /// foundation waits, and so do all once one of them works.
    fn first_state(&self, pair: &Pair) -> State {
        let kin = || self.pairs.iter().filter(|other| other.shares_foundation(pair));
        let topmost = kin().all(|other| other.priority(self.role) < pair.priority(self.role));
        if topmost || kin().any(Pair::works) {
            State::Waiting
        } else {
            State::Frozen
        }
    }

    /// A pair works: others of its foundation may be checked (RFC 8445 §7.2.5.3.3).
    pub(super) fn unfreeze_kin(&mut self, id: PairId) {
        let Some(index) = self.pairs.iter().position(|pair| pair.id == id) else {
            return;
        };
        let kin: Vec<PairId> = match self.pairs.get(index) {
            Some(pair) => self
                .pairs
                .iter()
                .filter(|other| other.shares_foundation(pair))
                .map(|other| other.id)
                .collect(),
            None => return,
        };
        for pair in self.pairs.iter_mut().filter(|pair| kin.contains(&pair.id)) {
            if pair.state == State::Frozen {
                pair.state = State::Waiting;
            }
        }
    }

    /// No pair waits: the best one of each foundation of which none is under way may be checked (RFC 8445 §6.1.4.2).
    pub(super) fn unfreeze(&mut self) {
        for index in 0..self.pairs.len() {
            let thaws = self.pairs.get(index).is_some_and(|pair| self.thaws(pair));
            if let Some(pair) = self.pairs.get_mut(index).filter(|_| thaws) {
                pair.state = State::Waiting;
            }
        }
    }

    /// Whether a frozen pair may be checked when no other waits.
    pub(super) fn thaws(&self, pair: &Pair) -> bool {
        let busy = |other: &Pair| other.state == State::InProgress || self.is_ordinary(other);
        let held = |other: &Pair| busy(other) && other.shares_foundation(pair);
        pair.state == State::Frozen && self.may_replace_nominated(pair) && !self.pairs.iter().any(held)
    }

    /// The best one first.
    pub(super) fn sort(&mut self) {
        let role = self.role;
        self.pairs.sort_by_key(|pair| Reverse(pair.priority(role)));
    }

    /// The worst pair goes when there are too many (RFC 8445 §6.1.2.5), but none that works, nor the nominated one; and
    /// one without consent, which would come back as a new one, after others that have failed.
    fn limit(&mut self) -> bool {
        if self.pairs.len() <= self.settings.max_pairs {
            return true;
        }
        let spare = |pair: &Pair| !pair.works() && Some(pair.id) != self.nominated;
        let failed = |consent_lost: bool| {
            let gone = |pair: &Pair| pair.state == State::Failed && pair.consent_lost == consent_lost;
            self.pairs.iter().rposition(|pair| spare(pair) && gone(pair))
        };
        let worst = failed(false)
            .or_else(|| failed(true))
            .or_else(|| self.pairs.iter().rposition(spare));
        let worst = worst.unwrap_or_else(|| self.pairs.len().saturating_sub(1));
        self.remove_at(worst);
        false
    }

    fn remove_at(&mut self, index: usize) {
        if index < self.pairs.len() {
            let pair = self.pairs.remove(index);
            self.triggered.retain(|id| *id != pair.id);
            self.drop_requests(pair.id);
            if pair.works() {
                self.lost.push(pair.path);
            }
        }
    }

    /// A candidate of ours is gone: so are the pairs that send from it.
    pub(crate) fn remove_base(&mut self, base: SocketAddr, protocol: Protocol) {
        while let Some(index) = self
            .pairs
            .iter()
            .position(|pair| pair.base == base && pair.path.protocol == protocol)
        {
            self.remove_at(index);
        }
        if let Some(path) = self
            .previous_path()
            .filter(|path| (path.local, path.protocol) == (base, protocol))
        {
            self.forget_previous();
            self.lost.push(path);
        }
    }

    /// The peer has signalled a candidate that was known from its checks alone: the pairs take over what it says.
    pub(crate) fn adopt(&mut self, candidate: &Candidate) {
        for pair in &mut self.pairs {
            if (pair.path.remote, pair.path.protocol) == (candidate.address, candidate.protocol) {
                pair.foundation.1.clone_from(&candidate.foundation);
                pair.remote_priority = candidate.priority;
            }
        }
        self.sort();
    }
}
