use super::Agent;
use crate::candidate::{Candidate, CandidateKind};
use crate::checklist::{Checklist, Outcome, Success, Trigger};
use crate::checks::Check;
use crate::config::Config;
use crate::event::{Event, State};
use crate::foundation::Server;
use crate::gathering::{Gathered, Gatherer, GatheringState};
use crate::pacer::Pacer;
use crate::pair::{Accepted, Choice};
use crate::rider::Rider;
use crate::role::{Conflict, Role};
use crate::timer::{Timer, after};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use stun::Message;
use wire::{Path, Protocol};

/// What a full agent has beyond a lite one.
#[derive(Debug)]
pub(super) struct Full {
    pub(super) checklist: Checklist,
    pub(super) gatherer: Gatherer,
    /// The servers are asked anew already for the session that the next restart begins.
    gathers_ahead: bool,
    /// One for gathering and checks (RFC 8445 §14.1).
    pacer: Pacer,
    /// A server was asked after the last check.
    asked_last: bool,
    pub(super) gathering: GatheringState,
    announced_gathering: GatheringState,
    /// Candidates that the peer is to be told of.
    pub(super) unannounced: VecDeque<Candidate>,
    pub(super) local_ended: bool,
    pub(super) remote_ended: bool,
    /// The time of RFC 8863 is over.
    pub(super) patience_over: bool,
    pub(super) restart_needed: bool,
    /// An address of ours was removed, and nothing has worked since.
    pub(super) bereft: bool,
    restart_announced: bool,
    /// How many foundations of peer-reflexive candidates of the peer's were made up.
    made_up: u32,
}

impl Full {
    pub(super) fn new(config: &Config, rng: &mut StdRng) -> Self {
        let mut own = || {
            let mut seed = [0; 32];
            rng.fill_bytes(&mut seed);
            StdRng::from_seed(seed)
        };
        let pacer = Pacer::new(config.check_interval);
        let (checks, asks) = (own(), own());
        Self {
            checklist: Checklist::new(checks, config, pacer.interval()),
            gatherer: Gatherer::new(
                asks,
                &config.stun_servers,
                config.gathering_timeout,
                config.mapping_refresh,
            ),
            gathers_ahead: false,
            pacer,
            asked_last: false,
            gathering: GatheringState::New,
            announced_gathering: GatheringState::New,
            unannounced: VecDeque::new(),
            local_ended: false,
            remote_ended: false,
            patience_over: false,
            restart_needed: false,
            bereft: false,
            restart_announced: false,
            made_up: 0,
        }
    }

    /// Our Ta, which the peer is told.
    pub(super) const fn pacing(&self) -> Duration {
        self.pacer.own()
    }

    pub(super) fn set_peer_pacing(&mut self, interval: Option<Duration>) {
        self.pacer.set_peer(interval);
        self.checklist.set_ta(self.pacer.interval());
    }

    pub(super) fn restart(&mut self, now: Instant, keep_previous: bool, in_use: Option<Path>) {
        self.checklist.restart(now, keep_previous, in_use);
        if !std::mem::take(&mut self.gathers_ahead) {
            self.gatherer.ask_again(now);
        }
        self.remote_ended = false;
        self.patience_over = false;
        self.restart_needed = false;
        self.bereft = false;
        self.restart_announced = false;
    }

    /// Writes what is due next. The sooner a server answers, the sooner the peer can check: one comes first. Then
    /// servers and checks take turns, so that many servers, of which some are silent, hold no check up.
    pub(super) fn poll(
        &mut self,
        now: Instant,
        selected: Option<Path>,
        refresh: bool,
        rider: &mut dyn Rider,
        out: &mut [u8],
    ) -> Option<(Path, usize)> {
        self.checklist.take_selected(selected);
        if self.asked_last {
            self.check(now, rider, out).or_else(|| self.ask(now, refresh, out))
        } else {
            self.ask(now, refresh, out).or_else(|| self.check(now, rider, out))
        }
    }

    fn ask(&mut self, now: Instant, refresh: bool, out: &mut [u8]) -> Option<(Path, usize)> {
        let asked = self.gatherer.poll(now, &mut self.pacer, refresh, out)?;
        self.asked_last = true;
        Some(asked)
    }

    fn check(&mut self, now: Instant, rider: &mut dyn Rider, out: &mut [u8]) -> Option<(Path, usize)> {
        let checked = self.checklist.poll(now, &mut self.pacer, rider, out)?;
        self.asked_last = false;
        Some(checked)
    }

    pub(super) fn due(&self, now: Instant, refresh: bool) -> Option<Instant> {
        let times = [
            self.checklist.due(now, &self.pacer),
            self.gatherer.due(now, &self.pacer, refresh),
        ];
        times.into_iter().flatten().min()
    }

    pub(super) fn poll_event(&mut self) -> Option<Event> {
        if self.announced_gathering == GatheringState::New && self.gathering != GatheringState::New {
            self.announced_gathering = GatheringState::Gathering;
            return Some(Event::GatheringChanged(GatheringState::Gathering));
        }
        if let Some(candidate) = self.unannounced.pop_front() {
            return Some(Event::CandidateGathered(candidate));
        }
        if self.announced_gathering != self.gathering {
            self.announced_gathering = self.gathering;
            return Some(Event::GatheringChanged(self.gathering));
        }
        if let Some(path) = self.checklist.take_connection() {
            return Some(Event::OpenConnection(path));
        }
        if self.restart_needed && !self.restart_announced {
            self.restart_announced = true;
            return Some(Event::NeedsRestart);
        }
        None
    }
}

/// Connections of a full agent.
impl Agent {
    /// Whether a TCP connection is of use to a full agent: one that [`Event::OpenConnection`] asked for, with that
    /// path, or one that is there. Others may be closed.
    pub fn uses_connection(&self, path: &Path) -> bool {
        let checked = self
            .full
            .as_ref()
            .is_some_and(|full| full.checklist.uses_connection(path));
        checked || self.pairs.contains(path)
    }

    /// Takes that a TCP connection is open which [`Event::OpenConnection`] asked for, with its real local port.
    pub fn handle_connected(&mut self, now: Instant, path: &Path) {
        if let Some(full) = &mut self.full {
            full.checklist.connected(path);
        }
        self.arm_check(now);
    }
}

impl Agent {
    /// Adds a candidate of ours, known to be a new one.
    pub(super) fn introduce(&mut self, candidate: Candidate) {
        if let Some(full) = &mut self.full {
            for remote in &self.remote_candidates {
                self.counters.ice_pairs_evicted += u64::from(!full.checklist.form(&candidate, remote));
            }
            if full.unannounced.len() < self.config.max_local_candidates {
                full.unannounced.push_back(candidate.clone());
            }
            if full.gathering == GatheringState::New {
                full.gathering = GatheringState::Gathering;
            }
        }
        self.local_candidates.push(candidate);
        self.settle();
        self.follow_gathering();
    }

    /// Pairs all candidates that are known by now.
    pub(super) fn pair_all(&mut self) {
        let Some(full) = &mut self.full else { return };
        for local in &self.local_candidates {
            for remote in &self.remote_candidates {
                self.counters.ice_pairs_evicted += u64::from(!full.checklist.form(local, remote));
            }
        }
    }

    /// Whether the candidate was known from the peer's checks (RFC 8445 §7.3.1.3): then it is what the peer says it is.
    pub(super) fn adopt(&mut self, candidate: &Candidate) -> bool {
        let Some(full) = &mut self.full else { return false };
        let like = |known: &&mut Candidate| {
            known.kind == CandidateKind::PeerReflexive
                && (known.address, known.protocol) == (candidate.address, candidate.protocol)
        };
        let Some(known) = self.remote_candidates.iter_mut().find(like) else {
            return false;
        };
        known.clone_from(candidate);
        full.checklist.adopt(candidate);
        for local in &self.local_candidates {
            self.counters.ice_pairs_evicted += u64::from(!full.checklist.form(local, candidate));
        }
        true
    }

    /// Gathers anew for a restart that is to come, which then does not ask the STUN servers again (RFC 8445 §9). For
    /// who waits for the end of gathering before it makes an offer, since its peer may take no candidates later (half
    /// trickle, RFC 8838 §16). To no effect in lite mode.
    pub fn gather_again(&mut self, now: Instant) {
        let Some(full) = &mut self.full else { return };
        full.gatherer.ask_again(now);
        full.gathers_ahead = true;
        self.follow_gathering();
    }

    pub(super) fn follow_gathering(&mut self) {
        let Some(full) = &mut self.full else { return };
        let complete = full.local_ended && !full.gatherer.is_pending();
        if complete {
            full.gathering = GatheringState::Complete;
        } else if full.gathering == GatheringState::Complete {
            full.gathering = GatheringState::Gathering;
        }
    }

    /// Takes an answer of the peer's or of a STUN server's; `false` when the datagram is none.
    pub(super) fn take_response(&mut self, now: Instant, path: &Path, datagram: &[u8], rider: &mut dyn Rider) -> bool {
        let Some(full) = &mut self.full else { return false };
        // What is not STUN is counted by who reads requests.
        let Ok(message) = Message::parse(datagram) else {
            return false;
        };
        if let Some(gathered) = full.gatherer.take_response(now, path, &message) {
            self.take_gathered(gathered);
            return true;
        }
        full.checklist.take_selected(self.pairs.selected());
        let (carried, previous) = (!self.pairs.is_empty(), full.checklist.previous_path());
        let Some(outcome) = full.checklist.take_response(now, path, &message, rider) else {
            return false;
        };
        self.conclude(now, path, outcome);
        if outcome == Outcome::Revoked {
            self.leave_previous(previous);
        }
        self.settle();
        let open = self.full.as_ref().is_some_and(|full| full.checklist.has_open_pairs());
        if outcome == Outcome::Revoked && carried && self.pairs.is_empty() && !open {
            // What was in use is over, and there is nothing else to try.
            self.fail();
        }
        self.end_checking();
        true
    }

    /// If the session before a restart, which had a path, has ended: nobody asks for consent to its other paths.
    fn leave_previous(&mut self, previous: Option<Path>) {
        let Some(full) = &self.full else { return };
        if previous.is_some() && full.checklist.previous_path().is_none() {
            self.pairs.retire_previous();
        }
    }

    fn take_gathered(&mut self, gathered: Gathered) {
        let counter = match gathered {
            Gathered::Mapping {
                base,
                server,
                mapped,
                outdated,
            } => {
                if let Some(outdated) = outdated {
                    self.drop_server_reflexive(base, outdated);
                }
                self.add_server_reflexive(base, server, mapped);
                return self.follow_gathering();
            }
            Gathered::Refused => &mut self.counters.ice_refused_gathering,
            Gathered::Malformed => &mut self.counters.ice_malformed,
            Gathered::BadFingerprint => &mut self.counters.ice_bad_fingerprint,
        };
        *counter = counter.saturating_add(1);
        self.follow_gathering();
    }

    /// A mapping is another one now. Pairs of the candidate send from its base, and stay.
    fn drop_server_reflexive(&mut self, base: SocketAddr, mapped: SocketAddr) {
        let outdated = |candidate: &Candidate| {
            candidate.kind == CandidateKind::ServerReflexive && (candidate.address, candidate.base()) == (mapped, base)
        };
        self.local_candidates.retain(|candidate| !outdated(candidate));
        if let Some(full) = &mut self.full {
            full.unannounced.retain(|candidate| !outdated(candidate));
        }
    }

    /// RFC 8445 §5.1.1.2. One with the address and the base of another candidate is redundant (§5.1.3).
    fn add_server_reflexive(&mut self, base: SocketAddr, server: SocketAddr, mapped: SocketAddr) {
        let host = self.local_candidates.iter().find(|candidate| {
            candidate.kind == CandidateKind::Host && (candidate.address, candidate.protocol) == (base, Protocol::Udp)
        });
        let Some(preference) = host.map(Candidate::local_preference) else {
            return;
        };
        let concealed = |known: &Candidate| self.config.concealed_hosts && known.kind == CandidateKind::Host;
        let redundant = |known: &Candidate| {
            let same = known.address == mapped && known.protocol == Protocol::Udp && known.base() == base;
            same && !concealed(known)
        };
        if self.local_candidates.iter().any(redundant) {
            return;
        }
        if self.local_candidates.len() >= self.config.max_local_candidates {
            self.counters.ice_local_candidates_dropped += 1;
            return;
        }
        let mut candidate = Candidate::server_reflexive(mapped, base, preference);
        let server = Server {
            ip: server.ip(),
            protocol: Protocol::Udp,
        };
        self.foundations.assign(&mut candidate, Some(server));
        self.introduce(candidate);
    }

    /// What follows from the role that a check claims (RFC 8445 §7.3.1.1). A lite agent is always controlled (§6.1.1)
    /// and cannot change, whatever the tiebreakers say.
    pub(super) fn conflict(&self, check: &Check) -> Conflict {
        match (&self.full, check.claimed) {
            (Some(full), claimed) => full.checklist.conflict(claimed),
            (None, Some((Role::Controlled, _))) => Conflict::PeerSwitches,
            (None, _) => Conflict::None,
        }
    }

    /// Changes our role if a check, which nobody repeats, has the better claim to it.
    pub(super) fn yield_role(&mut self, check: &Check) {
        if self.conflict(check) != Conflict::WeSwitch {
            return;
        }
        if let Some(full) = &mut self.full {
            full.checklist.set_role(full.checklist.role().other());
            self.counters.ice_role_switches += 1;
            self.settle();
        }
    }

    /// A check of the peer's, to a full agent.
    pub(super) fn accept_full(&mut self, now: Instant, path: &Path, check: &Check) {
        // Those of the session before a restart are answered, and no more.
        if check.generation != self.generations.newest().number {
            return;
        }
        self.learn_remote(path, check);
        let local = self
            .local_candidates
            .iter()
            .find(|candidate| (candidate.address, candidate.protocol) == (path.local, path.protocol));
        let remote = self
            .remote_candidates
            .iter()
            .find(|candidate| (candidate.address, candidate.protocol) == (path.remote, path.protocol));
        let Some(full) = &mut self.full else { return };
        full.checklist.take_selected(self.pairs.selected());
        let trigger = Trigger {
            path,
            local_priority: local.map_or(0, |candidate| candidate.priority),
            local_foundation: local.map_or("", |candidate| &candidate.foundation),
            remote_priority: remote.map_or_else(|| check.priority.unwrap_or(0), |candidate| candidate.priority),
            remote_foundation: remote.map_or("", |candidate| &candidate.foundation),
            use_candidate: check.use_candidate,
            nomination: check.nomination,
        };
        let triggered = full.checklist.trigger(now, &trigger);
        let accepted = Accepted {
            newest: true,
            priority: check.priority,
            nomination: triggered.nominated.map(|nominated| nominated.number),
            local_priority: trigger.local_priority,
            order: triggered.nominated.map_or(0, |nominated| nominated.order),
        };
        self.counters.ice_pairs_evicted += u64::from(!triggered.room);
        self.drop_lost();
        if triggered.nominated.is_some() {
            self.validate(now, path, accepted);
        } else if self.pairs.contains(path) {
            self.alive(now);
        }
        self.settle();
    }

    /// The source of a check is a peer-reflexive candidate when it is no other (RFC 8445 §7.3.1.3).
    fn learn_remote(&mut self, path: &Path, check: &Check) {
        let Some(full) = &mut self.full else { return };
        let known = |candidate: &Candidate| (candidate.address, candidate.protocol) == (path.remote, path.protocol);
        if self.remote_candidates.iter().any(known) || self.remote_candidates.len() >= self.config.max_remote_candidates
        {
            return;
        }
        full.made_up = full.made_up.wrapping_add(1);
        self.remote_candidates.push(Candidate {
            // Different from that of any other (RFC 8445 §7.3.1.3): nobody signals a colon.
            foundation: format!(":{}", full.made_up),
            component: 1,
            protocol: path.protocol,
            priority: check.priority.unwrap_or(0),
            address: path.remote,
            kind: CandidateKind::PeerReflexive,
            tcp_type: None,
            related: None,
        });
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
            Outcome::Refused | Outcome::Revoked => &mut counters.ice_refused_checks,
            Outcome::RoleConflict => &mut counters.ice_role_conflicts,
        };
        *counter = counter.saturating_add(1);
    }

    fn succeed(&mut self, now: Instant, path: &Path, success: Success) {
        let accepted = Accepted {
            newest: success.newest,
            priority: Some(success.remote_priority),
            nomination: success.nominated,
            local_priority: success.local_priority,
            order: success.order,
        };
        self.validate(now, path, accepted);
    }

    /// Forgets the paths that do not work any more.
    fn drop_lost(&mut self) {
        let Some(full) = &mut self.full else { return };
        while let Some(path) = full.checklist.take_lost() {
            self.pairs.remove(&path);
        }
    }

    /// Has the path in use follow what is known of the pairs.
    pub(super) fn settle(&mut self) {
        self.drop_lost();
        let Some(full) = &mut self.full else { return };
        let checklist = &mut full.checklist;
        self.pairs.choose_by(Choice::of(checklist.role()));
        // Looks at each pair for each path, which not every check of the peer's should cost.
        if checklist.has_doubts() || self.pairs.has_doubts() {
            self.pairs.doubt(|path| checklist.is_doubtful(path));
        }
        checklist.take_selected(self.pairs.selected());
        if let Some(path) = self.pairs.nominated() {
            checklist.follow(&path);
        }
        full.restart_needed |= checklist.needs_restart();
        if self.pairs.is_empty() && self.state == State::Connected {
            self.state = State::Disconnected;
        }
        full.bereft &= self.pairs.is_empty();
        full.restart_needed |= full.bereft && self.state == State::Disconnected && !full.checklist.has_open_pairs();
    }

    /// Ends what is over: consent, gathering, patience.
    pub(super) fn follow(&mut self, now: Instant) {
        let Some(full) = &mut self.full else { return };
        full.gatherer.give_up(now);
        full.checklist.take_selected(self.pairs.selected());
        let (carried, previous) = (!self.pairs.is_empty(), full.checklist.previous_path());
        full.checklist.judge(now);
        self.leave_previous(previous);
        self.settle();
        self.follow_gathering();
        if carried && self.pairs.is_empty() {
            // The peer has let its consent end on all paths.
            return self.fail();
        }
        if matches!(self.state, State::Connected | State::Disconnected) {
            self.judge(now);
        }
        self.end_checking();
    }

    /// Fails once the patience is over and no pair is left that may yet work.
    fn end_checking(&mut self) {
        let Some(full) = &self.full else { return };
        if self.state == State::Checking && full.patience_over && !full.checklist.has_open_pairs() {
            self.fail();
        }
    }

    /// The first check did not come in time, or the patience of RFC 8863 is over: then those under way are still waited
    /// for.
    pub(super) fn end_waiting(&mut self, now: Instant) {
        let Some(full) = &mut self.full else { return self.fail() };
        if full.patience_over || !full.checklist.has_open_pairs() || self.state != State::Checking {
            return self.fail();
        }
        full.patience_over = true;
        self.timers.arm(Timer::Connect, after(now, self.config.patience));
    }

    pub(super) fn arm_check(&mut self, now: Instant) {
        let refresh = matches!(self.state, State::New | State::Checking);
        match self.full.as_ref().and_then(|full| full.due(now, refresh)) {
            Some(due) => self.timers.arm(Timer::Check, due),
            None => self.timers.stop(Timer::Check),
        }
    }

    pub(super) fn is_unanswered(&self, now: Instant) -> bool {
        self.full.as_ref().is_some_and(|full| full.checklist.is_unanswered(now))
    }
}
