#![deny(clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

use super::Checklist;
use super::pair::{Connection, Pair, PairId, State};
use super::request::{Purpose, Request};
use super::trigger::Trigger;
use crate::role::Role;
use crate::timer::after;
use std::time::{Duration, Instant};
use wire::Path;

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

    /// When the best pair that works is to be nominated: at once if no better one is open, or as soon as none is that
    /// can be expected to answer.
    pub(super) fn nomination_due(&self) -> Option<Instant> {
        if self.role != Role::Controlling || self.is_nominating() {
            return None;
        }
        let best = self.best()?;
        let first_success = self.first_success?;
        if self.nominated.is_some() {
            let better = Some(best.id) != self.nominated && self.may_replace_nominated(best);
            return (self.renominates() && better).then_some(first_success);
        }
        let open = |pair: &&Pair| matches!(pair.state, State::Frozen | State::Waiting | State::InProgress);
        let better = self.pairs.iter().take_while(|pair| pair.id != best.id).filter(open);
        let held = better.map(|pair| self.held_until(pair, first_success));
        Some(held.max().unwrap_or(first_success))
    }

    /// Until when a better pair may answer. Where it may be nominated later: one round trip of those that work and Ta
    /// from its first check, but Ta at most from the first success. Otherwise two round trips, because its first check
    /// may only open the way for the peer's, and Ta, from whichever of both came later.
    fn held_until(&self, better: &Pair, first_success: Instant) -> Instant {
        let works = self.pairs.iter().filter(|pair| pair.works());
        let round_trip = works.filter_map(|pair| pair.rtt).max().unwrap_or_default();
        let ta = self.settings.ta;
        if self.renominates() {
            let latest = after(first_success, ta);
            let answered = |first| after(first, round_trip.saturating_add(ta));
            return better.first_sent.map_or(latest, answered).min(latest);
        }
        let latest = after(first_success, LONGEST_HOLD);
        let hold = round_trip.saturating_mul(2).saturating_add(ta);
        let answered = |first: Instant| after(first.max(first_success), hold);
        better.first_sent.map_or(latest, answered).min(latest)
    }

    fn is_nominating(&self) -> bool {
        let live = |request: &Request| request.purpose == Purpose::Nominate && request.next.is_some();
        self.requests.iter().any(live)
    }

    /// Whether checking a pair can lead to anything: none is nominated, or the nominated one is gone or not answered
    /// any more, or a better one may be nominated after it.
    pub(super) fn may_replace_nominated(&self, pair: &Pair) -> bool {
        let Some(nominated) = self.nominated else { return true };
        match self.pair(nominated).filter(|nominated| nominated.answers()) {
            None => true,
            Some(nominated) => self.renominates() && pair.priority(self.role) > nominated.priority(self.role),
        }
    }

    /// A pair was nominated, by us or by the peer.
    pub(super) fn conclude(&mut self, id: PairId) {
        // Who is controlled may be told of several: `follow` says which of them counts.
        self.nominated = Some(id);
        self.forget_previous();
        self.leave_others();
    }

    /// Takes that of the pairs which the peer has nominated that on `path` is in use.
    pub(crate) fn follow(&mut self, path: &Path) {
        if self.role == Role::Controlled
            && let Some(pair) = self.on_path(path)
        {
            self.nominated = Some(pair.id);
        }
    }

    /// The number of a nomination by the peer: that in NOMINATION where both signalled `renomination`, and then
    /// libwebrtc sends it in place of USE-CANDIDATE; else 0. `None` when the check is none.
    pub(super) fn nomination_by(&self, check: &Trigger<'_>) -> Option<u32> {
        if self.role != Role::Controlled {
            return None;
        }
        let number = check.nomination.filter(|number| self.renomination && *number > 0);
        number.or_else(|| check.use_candidate.then_some(0))
    }

    /// The number that a check of ours carries in NOMINATION: of each nomination a higher one. 0 for none.
    pub(super) const fn number(&mut self, purpose: Purpose) -> u32 {
        if !self.renomination || !matches!(purpose, Purpose::Nominate) {
            return 0;
        }
        self.nominations = self.nominations.saturating_add(1);
        self.nominations
    }

    /// Whether another pair may be nominated after the first one.
    const fn renominates(&self) -> bool {
        self.renomination || self.settings.renomination
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
                if pair.connection == Connection::Opening {
                    // It is of no use now, and may not be there when it would be: then it is waited for anew.
                    pair.connection = Connection::Needed;
                    pair.first_sent = None;
                }
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
        self.has_lost_nominated() && self.role == Role::Controlling && !self.renominates()
    }
}
