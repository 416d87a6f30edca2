#![deny(clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

use super::TooMany;
use super::config::Config;
use super::name::LocalName;
use super::responder::TTL;
use crate::timer::after;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// RFC 6762 §5.2: a second between the first two queries, then twice as long each time.
const FIRST_INTERVAL: Duration = Duration::from_secs(1);

/// Why a name of the peer has no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unresolved {
    /// Nobody answered: the peer is not on this link.
    NoAnswer,
    /// It has several (draft §3.2.2).
    SeveralAddresses,
    /// It is unspecified, loopback or multicast.
    UnusableAddress,
}

/// A name that is being resolved.
#[derive(Debug)]
struct Query {
    name: LocalName,
    /// The id of the last query, where it was a one-shot query.
    id: Option<u16>,
    next: Instant,
    interval: Duration,
    give_up: Instant,
}

/// The names of peers.
#[derive(Debug)]
pub(super) struct Resolver {
    queries: Vec<Query>,
    /// What was resolved, with the time until which it holds; the oldest first.
    known: VecDeque<(LocalName, IpAddr, Instant)>,
    timeout: Duration,
    limit: usize,
}

impl Resolver {
    pub(super) const fn new(config: &Config) -> Self {
        Self {
            queries: Vec::new(),
            known: VecDeque::new(),
            timeout: config.resolve_timeout,
            limit: config.max_queries,
        }
    }

    /// What was resolved a short time ago: candidates of one address share their name.
    pub(super) fn known(&self, now: Instant, name: &LocalName) -> Option<IpAddr> {
        let known = self
            .known
            .iter()
            .find(|(known, _, until)| known == name && *until > now);
        known.map(|&(_, address, _)| address)
    }

    pub(super) fn remember(&mut self, now: Instant, name: LocalName, address: IpAddr, ttl: u32) {
        self.known.retain(|(known, _, until)| *known != name && *until > now);
        if self.known.len() >= self.limit {
            self.known.pop_front();
        }
        let until = after(now, Duration::from_secs(u64::from(ttl.min(TTL))));
        self.known.push_back((name, address, until));
    }

    /// Begins, unless it has begun; `events` wait to be polled.
    pub(super) fn begin(&mut self, now: Instant, name: LocalName, events: usize) -> Result<(), TooMany> {
        if self.queries.iter().any(|query| query.name == name) {
            return Ok(());
        }
        if self.queries.len().saturating_add(events) >= self.limit {
            return Err(TooMany);
        }
        self.queries.push(Query {
            name,
            id: None,
            next: now,
            interval: FIRST_INTERVAL,
            give_up: after(now, self.timeout),
        });
        Ok(())
    }

    /// The next name that is to be asked for.
    pub(super) fn next_query(&mut self, now: Instant) -> Option<LocalName> {
        let due = |query: &&mut Query| query.next <= now && query.give_up > now;
        let query = self.queries.iter_mut().find(due)?;
        query.next = after(now, query.interval);
        query.interval = query.interval.saturating_mul(2);
        Some(query.name)
    }

    /// The next name that is given up.
    pub(super) fn next_timeout(&mut self, now: Instant) -> Option<LocalName> {
        let at = self.queries.iter().position(|query| query.give_up <= now)?;
        Some(self.queries.swap_remove(at).name)
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.queries.iter().map(|query| query.next.min(query.give_up)).min()
    }

    pub(super) fn asked(&mut self, name: &LocalName, id: u16) {
        if let Some(query) = self.queries.iter_mut().find(|query| query.name == *name) {
            query.id = Some(id);
        }
    }

    /// Whether an answer is waited for: to a one-shot query, only one with its id.
    pub(super) fn awaits(&self, name: &LocalName, id: Option<u16>) -> bool {
        let query = self.queries.iter().find(|query| query.name == *name);
        query.is_some_and(|query| id.is_none() || query.id == id)
    }

    pub(super) fn end(&mut self, name: &LocalName) {
        self.queries.retain(|query| query.name != *name);
    }
}
