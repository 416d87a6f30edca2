use super::Agent;
use crate::checks::{Check, Fault};
use crate::consent::Verdict;
use crate::event::State;
use crate::pair::Accepted;
use crate::response::AMPLIFICATION;
use crate::timer::{Timer, after};
use std::time::Instant;
use wire::{Path, Protocol};

/// What both modes have in common: how a session begins, goes on and ends.
impl Agent {
    pub(super) fn accept(&mut self, now: Instant, path: &Path, check: &Check) {
        if check.priority.is_none() {
            self.counters.ice_missing_priority += 1;
        }
        // That the peer reaches us tells a full agent nothing of the other way: it tries that itself.
        if self.full.is_some() {
            return self.accept_full(now, path, check);
        }
        let newest = check.generation == self.generations.newest().number;
        let local = self
            .local_candidates
            .iter()
            .find(|candidate| (candidate.address, candidate.protocol) == (path.local, path.protocol));
        let local_priority = local.map_or(0, |candidate| candidate.priority);
        let accepted = Accepted {
            newest,
            priority: check.priority,
            nomination: check.use_candidate.then_some(0),
            local_priority,
            order: 0,
        };
        self.validate(now, path, accepted);
    }

    /// The most bytes that an answer to a check of so many may have. Nothing but an answer to one of our own checks shows
    /// that the peer receives at an address: those of its checks can be forged, and whoever has seen one can repeat it.
    /// Of a connection its handshake has shown it.
    pub(super) fn most_to(&self, path: &Path, came: usize) -> usize {
        let proven = path.protocol == Protocol::Tcp || (self.full.is_some() && self.pairs.contains(path));
        if proven {
            usize::MAX
        } else {
            came.saturating_mul(AMPLIFICATION)
        }
    }

    /// A check has shown that a path works.
    pub(super) fn validate(&mut self, now: Instant, path: &Path, accepted: Accepted) {
        if !self.pairs.check(now, path, accepted) {
            self.counters.ice_pairs_evicted += 1;
        }
        // A full agent asks for consent on its pairs.
        if self.full.is_none() {
            self.timers
                .arm_if_idle(Timer::PairExpiry, after(now, self.config.consent_expires_after));
        }
        if accepted.newest && accepted.nomination.is_some() && self.generations.previous().is_some() {
            self.timers
                .arm_if_idle(Timer::Retire, after(now, self.config.retire_after));
        }
        if matches!(self.state, State::New | State::Checking) {
            self.timers.stop(Timer::Connect);
            self.state = State::Connected;
            self.liveness.seen(now);
            self.judge(now);
        }
        self.alive(now);
    }

    /// The peer has shown that it is there. The timer stays as it is and looks when it fires.
    pub(super) fn alive(&mut self, now: Instant) {
        self.liveness.seen(now);
        if self.state == State::Disconnected {
            self.state = State::Connected;
            self.judge(now);
        }
    }

    /// Sets the state by how long the peer has been silent, and the timer to when that changes.
    pub(super) fn judge(&mut self, now: Instant) {
        match self.liveness.verdict(now, &self.config) {
            Verdict::Alive(next) => {
                // Media may come while nothing arrives there.
                self.state = if self.is_unanswered(now) || self.pairs.is_empty() {
                    State::Disconnected
                } else {
                    State::Connected
                };
                self.timers.arm(Timer::Liveness, next);
            }
            Verdict::Silent(next) => {
                self.state = State::Disconnected;
                self.timers.arm(Timer::Liveness, next);
            }
            Verdict::Gone => self.fail(),
        }
    }

    pub(super) fn retire(&mut self) {
        self.generations.forget_previous();
        self.pairs.retire_previous();
        if self.pairs.is_empty() {
            self.fail();
        }
    }

    pub(super) fn expire(&mut self, now: Instant) {
        self.pairs.expire(now, self.config.consent_expires_after);
        match self.pairs.longest_silent_since() {
            Some(since) => self
                .timers
                .arm(Timer::PairExpiry, after(since, self.config.consent_expires_after)),
            // Consent to send anywhere has ended.
            None => self.fail(),
        }
    }

    pub(super) fn await_first_check(&mut self, now: Instant) {
        self.state = State::Checking;
        let patience = match &mut self.full {
            Some(full) => {
                full.patience_over = false;
                self.config.patience
            }
            None => self.config.connect_timeout,
        };
        self.timers.arm(Timer::Connect, after(now, patience));
    }

    pub(super) fn fail(&mut self) {
        self.state = State::Failed;
        self.pairs.clear();
        if let Some(full) = &mut self.full {
            full.checklist.stop();
        }
        self.responses.clear();
        self.generations.forget_previous();
        self.timers.stop_all();
    }

    pub(super) const fn count(&mut self, fault: Fault) {
        let counters = &mut self.counters;
        let counter = match fault {
            Fault::Malformed => &mut counters.ice_malformed,
            Fault::BadFingerprint => &mut counters.ice_bad_fingerprint,
            Fault::UnexpectedResponse => &mut counters.ice_unexpected_responses,
            Fault::Indication => &mut counters.ice_ignored_indications,
            Fault::UnexpectedMethod => &mut counters.ice_unexpected_methods,
            Fault::MissingCredentials => &mut counters.ice_missing_credentials,
            Fault::WrongUfrag => &mut counters.ice_wrong_ufrag,
            Fault::WrongIntegrity => &mut counters.ice_wrong_integrity,
        };
        *counter = counter.saturating_add(1);
    }
}
