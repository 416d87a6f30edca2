use crate::candidate::Candidate;
use crate::checklist::{Checklist, Outcome, Success};
use crate::checks::{Check, Fault};
use crate::config::{Config, Mode};
use crate::consent::{Liveness, Verdict};
use crate::counters::Counters;
use crate::credentials::{Credentials, Generations};
use crate::event::{Activity, Event, State};
use crate::pair::{Accepted, PairInfo, Pairs};
use crate::response::{Answer, MIN_OUT, Response, Responses};
use crate::timer::{Timer, Timers, after};
use crate::transactions::{Seen, Transactions};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::time::{Duration, Instant};
use wire::{Path, Seed, Transmit};

/// An ICE agent for one transport (RFC 8445 with one component, as BUNDLE and RTCP multiplexing leave it).
///
/// Methods in four families: getters, inputs, commands, outputs. No socket, no clock; all randomness from the seed.
///
/// In [`Mode::Lite`](crate::Mode::Lite) it is controlled, answers the checks of any number of paths, and sends none itself. In
/// [`Mode::Controlling`](crate::Mode::Controlling) it checks the pairs of host candidates itself and nominates one. An agent that
/// gathers, and takes either role, is not there yet.
#[derive(Debug)]
pub struct Agent {
    config: Config,
    generations: Generations,
    remote: Option<Credentials>,
    local_candidates: Vec<Candidate>,
    remote_candidates: Vec<Candidate>,
    pairs: Pairs,
    /// Our own checks; in lite mode there are none.
    checklist: Option<Checklist>,
    transactions: Transactions,
    responses: Responses,
    liveness: Liveness,
    state: State,
    announced_state: State,
    announced_path: Option<Path>,
    timers: Timers,
    counters: Counters,
}

impl Agent {
    /// An agent with fresh local credentials. The time of construction is where its clock begins.
    pub fn new(config: Config, seed: Seed, now: Instant) -> Self {
        let mut rng = StdRng::from_seed(seed.0);
        let checklist = (config.mode == Mode::Controlling).then(|| {
            let mut own = [0; 32];
            rng.fill_bytes(&mut own);
            Checklist::new(StdRng::from_seed(own), config.max_pairs)
        });
        Self {
            generations: Generations::new(rng),
            remote: None,
            local_candidates: Vec::new(),
            remote_candidates: Vec::new(),
            pairs: Pairs::new(config.max_pairs),
            checklist,
            transactions: Transactions::default(),
            responses: Responses::new(config.max_pending_responses),
            liveness: Liveness::new(now),
            state: State::New,
            announced_state: State::New,
            announced_path: None,
            timers: Timers::default(),
            counters: Counters::default(),
            config,
        }
    }
}

/// Getters.
impl Agent {
    /// Our newest credentials: what the next offer or answer says.
    pub const fn local_credentials(&self) -> &Credentials {
        &self.generations.newest().credentials
    }

    /// The ufrags under which the peer's checks are answered, the newest first: two while a restart is under way.
    pub fn local_ufrags(&self) -> impl Iterator<Item = &str> {
        self.generations
            .iter()
            .map(|generation| generation.credentials.ufrag.as_str())
    }

    /// Whether `ufrag` is one of [`local_ufrags`](Self::local_ufrags).
    pub fn matches_ufrag(&self, ufrag: &str) -> bool {
        self.generations.by_ufrag(ufrag).is_some()
    }

    /// The peer's credentials, once they were set.
    pub const fn remote_credentials(&self) -> Option<&Credentials> {
        self.remote.as_ref()
    }

    /// Our candidates, in the order in which they were added.
    pub fn local_candidates(&self) -> &[Candidate] {
        &self.local_candidates
    }

    /// The peer's candidates since the last restart, in the order in which they were added.
    pub fn remote_candidates(&self) -> &[Candidate] {
        &self.remote_candidates
    }

    /// The state.
    pub const fn state(&self) -> State {
        self.state
    }

    /// Whether a check has validated a path: the peer's in lite mode, else one of ours that was answered. Only what comes on
    /// such a path is the peer's.
    pub fn is_validated(&self, path: &Path) -> bool {
        self.pairs.contains(path)
    }

    /// The path to send on; `None` before the first check, and once the peer is gone.
    pub fn selected(&self) -> Option<Path> {
        self.pairs.selected()
    }

    /// The validated pairs, for statistics.
    pub fn pairs(&self) -> impl Iterator<Item = PairInfo> {
        self.pairs.iter()
    }

    /// The round-trip time that our own checks measured: `None` in lite mode, which sends none.
    pub fn rtt(&self) -> Option<Duration> {
        self.checklist.as_ref()?.rtt()
    }

    /// The timer that is due next.
    pub fn next_timer(&self) -> Option<Timer> {
        self.timers.next().map(|(timer, _)| timer)
    }

    /// What was dropped or refused so far.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }
}

/// Inputs.
impl Agent {
    /// Takes a STUN datagram that came on `path`.
    pub fn handle_datagram(&mut self, now: Instant, path: &Path, datagram: &[u8]) {
        let own = self.checklist.as_mut();
        if let Some(outcome) = own.and_then(|checklist| checklist.take_response(now, path, datagram)) {
            return self.conclude(now, path, outcome);
        }
        let check = match Check::authenticate(datagram, &self.generations) {
            Ok(check) => check,
            Err(fault) => return self.count(fault),
        };
        if self.state == State::Failed {
            self.counters.ice_checks_after_failure += 1;
            return;
        }
        let answer = if let Some(unknown) = check.unknown {
            self.counters.ice_unknown_attributes += 1;
            Answer::UnknownAttributes(unknown)
        } else if self.has_same_role(&check) {
            // A lite agent is always controlled (RFC 8445 §6.1.1) and cannot change its role, whatever the tiebreakers
            // say (§7.3.1.1): the peer has to. One that offers always controls.
            self.counters.ice_role_conflicts += 1;
            Answer::RoleConflict
        } else {
            match self.transactions.take(check.transaction_id, path) {
                Seen::New => self.accept(now, path, &check),
                // The answer was lost or is still on its way. It is given again, but nothing follows from such a check:
                // Firefox nominates each pair with its first one, which would come up again with every retransmission,
                // and whoever repeats the checks of a peer that is gone does not keep it alive.
                Seen::Again => {}
                Seen::Elsewhere => {
                    self.counters.ice_replayed_checks += 1;
                    return;
                }
            }
            Answer::Success
        };
        let queued = self.responses.push(Response {
            path: *path,
            transaction_id: check.transaction_id,
            generation: check.generation,
            algorithm: check.algorithm,
            answer,
        });
        if !queued {
            self.counters.ice_responses_dropped += 1;
        }
    }

    /// Takes that something other than a check came on `path`. Called once per received packet: constant time while the
    /// path is that of the packet before, no allocation.
    #[inline]
    pub fn note_activity(&mut self, now: Instant, path: &Path, activity: Activity) {
        let proves_life = activity.is_authenticated();
        if !self.pairs.note(now, path, proves_life) {
            self.counters.ice_unvalidated_activity += 1;
        } else if proves_life {
            self.alive(now);
        }
    }

    /// Takes that nothing can come or go by `path` any more: its TCP connection was closed. The pair is removed, and of
    /// those that remain one is selected. Without any the peer is `Disconnected` at once; it may open another
    /// connection for as long as silence is borne. For validated pairs: checks of our own, which go over UDP alone, do
    /// not change.
    pub fn handle_path_closed(&mut self, path: &Path) {
        self.responses.forget(path);
        if self.pairs.remove(path) && self.pairs.is_empty() {
            // How long it may stay away is judged by when it was last heard.
            self.timers.stop(Timer::PairExpiry);
            self.timers.stop(Timer::Retire);
            if self.state == State::Connected {
                self.state = State::Disconnected;
            }
        }
    }

    /// Does what is due. Calls before the time do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.take_due(now) {
            match timer {
                Timer::Connect => self.fail(),
                Timer::Liveness => self.judge(now),
                Timer::PairExpiry => self.expire(now),
                Timer::Retire => self.retire(),
                Timer::Check => self.judge_consent(now),
            }
        }
    }
}

/// Commands.
impl Agent {
    /// Adds an address of ours. An empty foundation is filled in; an address that is already there is not added again.
    pub fn add_local_candidate(&mut self, mut candidate: Candidate) {
        let known = |other: &Candidate| (other.address, other.protocol) == (candidate.address, candidate.protocol);
        if !self.local_candidates.iter().any(known) {
            candidate.assign_foundation(&self.local_candidates);
            if let Some(checklist) = &mut self.checklist {
                for remote in &self.remote_candidates {
                    self.counters.ice_pairs_evicted += u64::from(!checklist.pair(&candidate, remote));
                }
            }
            self.local_candidates.push(candidate);
        }
    }

    /// Sets the peer's credentials, from its offer or answer. Checks are awaited or sent from now on. When they replace others,
    /// the peer restarts ICE ([`Credentials::is_restarted_by`]): call [`restart`](Self::restart) first. They may come after a
    /// controlling agent has failed, as the late answer to a restart of ours: it tries again then.
    pub fn set_remote_credentials(&mut self, now: Instant, credentials: Credentials) {
        let changed = self
            .remote
            .as_ref()
            .is_some_and(|known| known.is_restarted_by(&credentials));
        let again = self.state == State::Failed && changed && self.checklist.is_some();
        // One that has failed checks nothing any more for the same credentials (RFC 7675 §5.1).
        if self.state != State::Failed || again {
            let ours = &self.generations.newest().credentials.ufrag;
            if let Some(checklist) = &mut self.checklist {
                checklist.set_remote(&credentials, ours);
            }
        }
        self.remote = Some(credentials);
        if again {
            // Those that came after the restart: the checks that were to be made of them went with the failure.
            self.pair_all();
        }
        if self.state == State::New || again {
            self.await_first_check(now);
        }
    }

    /// Takes a candidate of the peer's. A lite agent only remembers it: the peer's checks tell the addresses.
    pub fn add_remote_candidate(&mut self, candidate: Candidate) {
        if self.remote_candidates.contains(&candidate) {
            return;
        }
        if self.remote_candidates.len() < self.config.max_remote_candidates {
            if let Some(checklist) = &mut self.checklist {
                for local in &self.local_candidates {
                    self.counters.ice_pairs_evicted += u64::from(!checklist.pair(local, &candidate));
                }
            }
            self.remote_candidates.push(candidate);
        } else {
            self.counters.ice_remote_candidates_dropped += 1;
        }
    }

    /// Restarts ICE (RFC 8445 §9) and gives the new local credentials. The path in use stays until one is nominated under the
    /// new credentials; until then both are answered. After a failure the old ones are void. While the first check
    /// is awaited, the wait begins anew; the patience with a peer that was there and is silent is not extended.
    pub fn restart(&mut self, now: Instant) -> Credentials {
        let keep_previous = self.pairs.previous_carries();
        self.generations.restart(keep_previous);
        self.pairs.restart(keep_previous);
        self.remote_candidates.clear();
        if let Some(checklist) = &mut self.checklist {
            checklist.restart(now, keep_previous, self.pairs.selected());
        }
        self.timers.stop(Timer::Retire);
        match self.state {
            State::Failed => {
                self.generations.forget_previous();
                self.await_first_check(now);
            }
            State::Checking => self.await_first_check(now),
            State::New | State::Connected | State::Disconnected => {}
        }
        self.local_credentials().clone()
    }
}

/// Outputs.
impl Agent {
    /// Writes the next datagram into `out`, which holds at least [`MIN_OUT`] bytes. `None` when there is nothing to send.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<Transmit> {
        debug_assert!(out.len() >= MIN_OUT, "poll_transmit wants MIN_OUT bytes of room");
        if out.len() < MIN_OUT {
            return None;
        }
        let dropped = &mut self.counters.ice_responses_dropped;
        if let Some(transmit) = self.responses.write_next(&self.generations, out, dropped) {
            return Some(transmit);
        }
        let checklist = self.checklist.as_mut()?;
        if let Some((path, len)) = checklist.poll(now, out) {
            return Some(Transmit::one(path, len));
        }
        match checklist.due(now, self.config.consent_expires_after) {
            Some(due) => self.timers.arm(Timer::Check, due),
            None => self.timers.stop(Timer::Check),
        }
        None
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called; `None` when nothing is waited for. Valid once
    /// [`poll_transmit`](Self::poll_transmit) gave `None`. Activity does not move it: a timer that finds the peer alive sets itself
    /// anew.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next().map(|(_, deadline)| deadline)
    }

    /// What changed since the last poll: removed paths, then validated ones, the selected one, the state.
    pub fn poll_event(&mut self) -> Option<Event> {
        if let Some(path) = self.pairs.poll_removed() {
            return Some(Event::PathRemoved(path));
        }
        if let Some(path) = self.pairs.poll_validated() {
            return Some(Event::PathValidated(path));
        }
        let selected = self.pairs.selected();
        if selected != self.announced_path {
            self.announced_path = selected;
            if let Some(path) = selected {
                return Some(Event::SelectedPath(path));
            }
        }
        if self.state != self.announced_state {
            self.announced_state = self.state;
            return Some(Event::StateChanged(self.state));
        }
        None
    }
}

impl Agent {
    /// Pairs all candidates that are known by now.
    fn pair_all(&mut self) {
        let Some(checklist) = &mut self.checklist else { return };
        for local in &self.local_candidates {
            for remote in &self.remote_candidates {
                self.counters.ice_pairs_evicted += u64::from(!checklist.pair(local, remote));
            }
        }
    }

    fn accept(&mut self, now: Instant, path: &Path, check: &Check) {
        if check.priority.is_none() {
            self.counters.ice_missing_priority += 1;
        }
        let newest = check.generation == self.generations.newest().number;
        let local = self
            .local_candidates
            .iter()
            .find(|candidate| (candidate.address, candidate.protocol) == (path.local, path.protocol));
        let local_priority = local.map_or(0, |candidate| candidate.priority);
        if let Some(checklist) = &mut self.checklist {
            // That the peer reaches us tells nothing of the other way: we try it ourselves.
            if newest && !checklist.trigger(path, local_priority, check.priority.unwrap_or(0)) {
                self.counters.ice_pairs_evicted += 1;
            }
            return;
        }
        let accepted = Accepted {
            newest,
            priority: check.priority,
            nominates: check.use_candidate,
            local_priority,
        };
        self.validate(now, path, accepted);
    }

    /// A check has shown that a path works.
    fn validate(&mut self, now: Instant, path: &Path, accepted: Accepted) {
        if !self.pairs.check(now, path, accepted) {
            self.counters.ice_pairs_evicted += 1;
        }
        self.timers
            .arm_if_idle(Timer::PairExpiry, after(now, self.config.consent_expires_after));
        if accepted.newest && accepted.nominates && self.generations.previous().is_some() {
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

    /// Whether the peer believes that it has our role.
    const fn has_same_role(&self, check: &Check) -> bool {
        match self.config.mode {
            Mode::Lite => check.peer_is_controlled,
            Mode::Controlling => check.peer_controls,
        }
    }

    /// One of our own checks was answered.
    fn conclude(&mut self, now: Instant, path: &Path, outcome: Outcome) {
        let counters = &mut self.counters;
        let counter = match outcome {
            Outcome::Works(success) => return self.succeed(now, path, success),
            Outcome::Late => return,
            Outcome::Unexpected => &mut counters.ice_unexpected_responses,
            Outcome::Malformed => &mut counters.ice_malformed,
            Outcome::BadFingerprint => &mut counters.ice_bad_fingerprint,
            Outcome::WrongIntegrity => &mut counters.ice_wrong_integrity,
            Outcome::Asymmetric => &mut counters.ice_asymmetric_responses,
            Outcome::Refused => &mut counters.ice_refused_checks,
            Outcome::RoleConflict => &mut counters.ice_role_conflicts,
        };
        *counter = counter.saturating_add(1);
    }

    fn succeed(&mut self, now: Instant, path: &Path, success: Success) {
        let accepted = Accepted {
            newest: success.newest,
            priority: Some(success.remote_priority),
            nominates: success.nominated,
            local_priority: success.local_priority,
        };
        self.validate(now, path, accepted);
    }

    /// Ends the session when the peer has not consented for too long (RFC 7675 §5.1).
    fn judge_consent(&mut self, now: Instant) {
        let silence = self.config.consent_expires_after;
        let checklist = self.checklist.as_ref();
        if checklist.is_some_and(|checklist| checklist.has_lost_consent(now, silence)) {
            self.fail();
        }
    }

    /// The peer has shown that it is there. The timer stays as it is and looks when it fires.
    fn alive(&mut self, now: Instant) {
        self.liveness.seen(now);
        if self.state == State::Disconnected {
            self.state = State::Connected;
            self.judge(now);
        }
    }

    /// Sets the state by how long the peer has been silent, and the timer to when that changes.
    fn judge(&mut self, now: Instant) {
        match self.liveness.verdict(now, &self.config) {
            Verdict::Alive(next) => {
                self.state = if self.pairs.is_empty() {
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

    fn retire(&mut self) {
        self.generations.forget_previous();
        self.pairs.retire_previous();
        if self.pairs.is_empty() {
            self.fail();
        }
    }

    fn expire(&mut self, now: Instant) {
        self.pairs.expire(now, self.config.consent_expires_after);
        match self.pairs.longest_silent_since() {
            Some(since) => self
                .timers
                .arm(Timer::PairExpiry, after(since, self.config.consent_expires_after)),
            // Consent to send anywhere has ended.
            None => self.fail(),
        }
    }

    fn await_first_check(&mut self, now: Instant) {
        self.state = State::Checking;
        self.timers.arm(Timer::Connect, after(now, self.config.connect_timeout));
    }

    fn fail(&mut self) {
        self.state = State::Failed;
        self.pairs.clear();
        if let Some(checklist) = &mut self.checklist {
            checklist.stop();
        }
        self.responses.clear();
        self.generations.forget_previous();
        self.timers.stop_all();
    }

    const fn count(&mut self, fault: Fault) {
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

#[cfg(test)]
mod captures;
#[cfg(test)]
mod controlling;
#[cfg(test)]
mod tests;
