#![deny(clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

use super::Checklist;
use super::pair::{Pair, PairId, State};
use super::request::{Purpose, Request};
use crate::role::Role;
use crate::timer::after;
use std::time::{Duration, Instant};

/// How long better pairs are waited for at most once one works, however many there are.
const LONGEST_HOLD: Duration = Duration::from_secs(1);

/// Which pair is nominated when (RFC 8445 §8.1.1).
impl Checklist {
    /// The pair to nominate now.
    pub(super) fn nominee(&self, now: Instant) -> Option<PairId> {
        self.nomination_due().filter(|due| *due <= now)?;
        self.best().map(|pair| pair.id)
    }

    /// The best pair that works.
    fn best(&self) -> Option<&Pair> {
        self.pairs.iter().find(|pair| pair.works() && !pair.doubtful)
    }

    /// When the best pair that works is to be nominated: at once if no better one is open, or as soon as none is that can be
    /// expected to answer.
    pub(super) fn nomination_due(&self) -> Option<Instant> {
        if self.role != Role::Controlling || self.is_nominating() {
            return None;
        }
        let best = self.best()?;
        let first_success = self.first_success?;
        if self.nominated.is_some() {
            let better = Some(best.id) != self.nominated && self.may_replace_nominated(best);
            return (self.settings.renomination && better).then_some(first_success);
        }
        let hold = self.hold();
        let latest = after(first_success, LONGEST_HOLD);
        let open = |pair: &&Pair| matches!(pair.state, State::Frozen | State::Waiting | State::InProgress);
        let better = self.pairs.iter().take_while(|pair| pair.id != best.id).filter(open);
        let held = better.map(|pair| match pair.first_sent {
            Some(first) => after(first.max(first_success), hold).min(latest),
            None => latest,
        });
        Some(held.max().unwrap_or(first_success))
    }

    /// How long a better pair may take to answer: two round trips of those that work, because its first check may only open the
    /// way for the peer's, and one interval of pacing.
    fn hold(&self) -> Duration {
        let longest = self
            .pairs
            .iter()
            .filter(|pair| pair.works())
            .filter_map(|pair| pair.rtt)
            .max();
        longest
            .unwrap_or_default()
            .saturating_mul(2)
            .saturating_add(self.settings.ta)
    }

    fn is_nominating(&self) -> bool {
        let live = |request: &Request| request.purpose == Purpose::Nominate && request.next.is_some();
        self.requests.iter().any(live)
    }

    /// Whether checking a pair can lead to anything: none is nominated, or the nominated one is gone or not answered any more,
    /// or a better one may be nominated after it.
    pub(super) fn may_replace_nominated(&self, pair: &Pair) -> bool {
        let Some(nominated) = self.nominated else { return true };
        match self.pair(nominated).filter(|nominated| nominated.answers()) {
            None => true,
            Some(nominated) => self.settings.renomination && pair.priority(self.role) > nominated.priority(self.role),
        }
    }

    /// A pair was nominated, by us or by the peer.
    pub(super) fn conclude(&mut self, id: PairId) {
        if self.role == Role::Controlled {
            // The peer may nominate more than one: the best of them counts here (RFC 8445 §8.1.1 with the peer's habits).
            let better = |one: PairId| {
                self.pair(one)
                    .filter(|pair| pair.works())
                    .map(|pair| pair.priority(self.role))
            };
            if self.nominated.is_none_or(|known| better(known) < better(id)) {
                self.nominated = Some(id);
            }
        } else {
            self.nominated = Some(id);
        }
        self.forget_previous();
        self.leave_others();
    }

    /// Sends no check again on a pair that can lead to nothing (RFC 8445 §8.1.2); it may still be answered.
    fn leave_others(&mut self) {
        let idle: Vec<PairId> = self
            .pairs
            .iter()
            .filter(|pair| Some(pair.id) != self.nominated && !pair.works() && !self.may_replace_nominated(pair))
            .map(|pair| pair.id)
            .collect();
        for id in idle {
            self.cancel(id);
            if let Some(pair) = self.pair_mut(id).filter(|pair| pair.state == State::InProgress) {
                pair.state = State::Frozen;
            }
        }
        if self.role == Role::Controlling {
            let keep: Vec<PairId> = self
                .triggered
                .iter()
                .copied()
                .filter(|id| self.pair(*id).is_some_and(|pair| self.may_replace_nominated(pair)))
                .collect();
            self.triggered = keep.into();
        }
    }

    /// Whether the nominated pair does not work any more.
    pub(crate) fn has_lost_nominated(&self) -> bool {
        let Some(nominated) = self.nominated else { return false };
        self.pair(nominated).is_none_or(|pair| !pair.works() || pair.doubtful)
    }

    /// Whether only a restart can name another pair (RFC 8445 §8.1.1).
    pub(crate) fn needs_restart(&self) -> bool {
        self.has_lost_nominated() && self.role == Role::Controlling && !self.settings.renomination
    }
}
