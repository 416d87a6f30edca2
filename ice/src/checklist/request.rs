#![deny(clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

use super::pair::{PairId, State};
use super::{Checklist, Connection};
use crate::role::Role;
use crate::timer::after;
use std::time::{Duration, Instant};
use stun::TransactionId;
use wire::Protocol;

/// A check that was sent and may yet be answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub(super) id: TransactionId,
    pub(super) pair: PairId,
    pub(super) purpose: Purpose,
    /// Our role when it was sent first, and the tiebreaker: when it is sent again it is the same (RFC 8489 §6.2.1), or
    /// the peer would take an old claim to the role for a new one.
    pub(super) role: Role,
    pub(super) tiebreaker: u64,
    /// The number in NOMINATION; 0 when it has none.
    pub(super) nomination: u32,
    pub(super) first_sent: Instant,
    /// How often it was sent.
    pub(super) sent: u32,
    /// The first wait for an answer.
    pub(super) rto: Duration,
    /// When it is sent again, or given up. `None` when it is sent once only, or another one took its place.
    pub(super) next: Option<Instant>,
}

/// What a check is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To find out whether the pair works.
    Probe,
    /// To tell that it is the one (USE-CANDIDATE).
    Nominate,
    /// To ask whether the peer still wants what we send.
    Consent,
}

/// The least RTO (RFC 8445 §14.3).
const RTO: Duration = Duration::from_millis(500);
/// How often a check is sent (Rc, RFC 8489 §6.2.1).
const SENDS: u32 = 7;
/// The wait for an answer to the last one, in RTOs (Rm).
const LAST_WAIT: u32 = 16;
/// How long an answer is waited for in all: as long as one to a check that is sent again, and longer than consent
/// lasts. Over TCP, where nothing is sent again, it is Ti (RFC 8489 §6.2.2).
const LONGEST: Duration = Duration::from_millis(39_500);
/// Most checks that may be answered.
const LIMIT: usize = 256;

impl Checklist {
    /// MAX(500 ms, Ta * checks waiting and under way), after RFC 8445 §14.3.
    pub(crate) fn rto(&self) -> Duration {
        let busy = |state| matches!(state, State::Waiting | State::InProgress);
        let open = self.pairs.iter().filter(|pair| busy(pair.state)).count();
        RTO.max(self.settings.ta.saturating_mul(u32::try_from(open).unwrap_or(u32::MAX)))
    }

    /// A new transaction on a pair.
    pub(super) fn begin(&mut self, now: Instant, pair: PairId, purpose: Purpose) -> Request {
        Request {
            id: self.draw_id(),
            pair,
            purpose,
            role: self.role,
            tiebreaker: self.tiebreaker,
            nomination: self.number(purpose),
            first_sent: now,
            sent: 0,
            rto: self.rto(),
            next: None,
        }
    }

    /// A check without an answer that is to be sent again.
    pub(super) fn resend(&self, now: Instant) -> Option<Request> {
        let due = |request: &&Request| request.next.is_some_and(|next| next <= now);
        self.requests.iter().find(due).copied()
    }

    /// Takes note of a check that was sent.
    pub(super) fn sent(&mut self, now: Instant, mut request: Request) {
        let mut tcp = false;
        if let Some(pair) = self.pair_mut(request.pair) {
            tcp = pair.path.protocol == Protocol::Tcp;
            pair.sent = pair.sent.saturating_add(1);
        }
        request.sent = request.sent.saturating_add(1);
        let wait = if request.sent < SENDS {
            1 << request.sent.saturating_sub(1)
        } else {
            LAST_WAIT
        };
        request.next = match request.purpose {
            // Each is transmitted once only (RFC 7675 §5.1).
            Purpose::Consent => None,
            Purpose::Probe | Purpose::Nominate if tcp => Some(after(request.first_sent, LONGEST)),
            Purpose::Probe | Purpose::Nominate => Some(after(now, request.rto.saturating_mul(wait))),
        };
        if tcp {
            request.sent = SENDS;
        }
        if let Some(known) = self.requests.iter_mut().find(|known| known.id == request.id) {
            *known = request;
            return;
        }
        if self.requests.len() >= LIMIT {
            let oldest = self.requests.remove(0);
            self.finish(oldest.id);
        }
        self.requests.push(request);
    }

    /// Ends checks that were sent often enough, or waited for long enough.
    pub(super) fn give_up(&mut self, now: Instant) {
        let over = |request: &Request| match request.next {
            Some(next) => request.sent >= SENDS && next <= now,
            None => now.saturating_duration_since(request.first_sent) >= LONGEST,
        };
        while let Some(index) = self.requests.iter().position(over) {
            let request = self.requests.remove(index);
            self.finish(request.id);
            let under_way = |other: &Request| other.pair == request.pair && other.next.is_some();
            if request.next.is_none() || self.requests.iter().any(under_way) {
                continue;
            }
            let probed = |state| state == State::InProgress && request.purpose == Purpose::Probe;
            if let Some(pair) = self.pair_mut(request.pair).filter(|pair| probed(pair.state)) {
                pair.fail();
            }
        }
    }

    /// Sends the checks of a pair no more; they may still be answered.
    pub(super) fn cancel(&mut self, pair: PairId) {
        for request in self.requests.iter_mut().filter(|request| request.pair == pair) {
            request.next = None;
        }
    }

    /// Sends the checks of a pair no more that were to find out whether it works.
    pub(super) fn cancel_probes(&mut self, pair: PairId) {
        let probes = |request: &&mut Request| request.pair == pair && request.purpose == Purpose::Probe;
        for request in self.requests.iter_mut().filter(probes) {
            request.next = None;
        }
    }

    /// The pair is gone: nothing is to be answered.
    pub(super) fn drop_requests(&mut self, pair: PairId) {
        let gone: Vec<TransactionId> = self
            .requests
            .iter()
            .filter(|request| request.pair == pair)
            .map(|request| request.id)
            .collect();
        self.requests.retain(|request| request.pair != pair);
        gone.into_iter().for_each(|id| self.finish(id));
    }

    /// Whether a connection is asked for longer than any takes.
    pub(super) fn end_connecting(&mut self, now: Instant) {
        let over = |first: Option<Instant>| first.is_some_and(|first| now.saturating_duration_since(first) >= LONGEST);
        for pair in &mut self.pairs {
            if pair.connection == Connection::Opening && pair.state == State::InProgress && over(pair.first_sent) {
                pair.fail();
            }
        }
    }

    /// When the next check is sent again or given up, or a connection is.
    pub(super) fn request_due(&self) -> Option<Instant> {
        let opening = |pair: &&super::Pair| pair.connection == Connection::Opening && pair.state == State::InProgress;
        let connections = self.pairs.iter().filter(opening).filter_map(|pair| pair.first_sent);
        let connections = connections.map(|first| after(first, LONGEST));
        self.requests
            .iter()
            .filter_map(|request| request.next)
            .chain(connections)
            .min()
    }
}
