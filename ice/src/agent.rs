use crate::candidate::{Candidate, CandidateKind};
use crate::checks::Check;
use crate::config::{Config, Mode};
use crate::consent::Liveness;
use crate::counters::Counters;
use crate::credentials::{Credentials, Generations};
use crate::event::{Activity, Event, State};
use crate::foundation::{Foundations, Server};
use crate::gathering::GatheringState;
use crate::pair::{Choice, PairInfo, Pairs};
use crate::response::{Answer, MIN_OUT, Response, Responses};
use crate::rider::Rider;
use crate::role::{Conflict, Role};
use crate::timer::{Timer, Timers};
use crate::transactions::{Seen, Transactions};
use full::Full;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use wire::{Path, Protocol, Seed, Transmit};

mod full;
mod session;

/// An ICE agent for one transport (RFC 8445 with one component, as BUNDLE and RTCP multiplexing leave it).
///
/// Methods in four families: getters, inputs, commands, outputs. No socket, no clock; all randomness from the seed.
///
/// In [`Mode::Lite`](crate::Mode::Lite) it is controlled, answers the checks of any number of paths, and sends none
/// itself. In [`Mode::Full`](crate::Mode::Full) it gathers reflexive candidates, checks pairs, and takes either role.
#[derive(Debug)]
pub struct Agent {
    config: Config,
    generations: Generations,
    remote: Option<Credentials>,
    local_candidates: Vec<Candidate>,
    remote_candidates: Vec<Candidate>,
    foundations: Foundations,
    pairs: Pairs,
    /// What a full agent has beyond a lite one.
    full: Option<Full>,
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
        let full = (config.mode == Mode::Full).then(|| Full::new(&config, &mut rng));
        let mut pairs = Pairs::new(config.max_pairs);
        if full.is_some() {
            pairs.choose_by(Choice::of(config.role));
        }
        Self {
            generations: Generations::new(rng),
            remote: None,
            local_candidates: Vec::new(),
            remote_candidates: Vec::new(),
            foundations: Foundations::default(),
            pairs,
            full,
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

    /// Whether a check has validated a path: the peer's in lite mode, else one of ours that was answered. Only by such a
    /// path anything but checks is sent.
    pub fn is_validated(&self, path: &Path) -> bool {
        self.pairs.contains(path)
    }

    /// Whether what comes on a path may be the peer's: it is validated, or a check of the peer's under our newest
    /// credentials has come on it, not longer ago than [`Config::consent_expires_after`](crate::Config::consent_expires_after).
    ///
    /// In full mode the peer may have its answer, and send, before ours comes. RFC 8445 §12.2 would have an agent receive on
    /// all its candidates, from anywhere. No more than in lite mode follows from it, and nothing is sent there.
    pub fn may_receive(&self, now: Instant, path: &Path) -> bool {
        self.pairs.contains(path) || self.full.as_ref().is_some_and(|full| full.checklist.hears(now, path))
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
        self.full.as_ref()?.checklist.rtt()
    }

    /// How long a check that is sent now for the first time waits for its answer until it is sent again (RFC 8445 §14.3):
    /// 500 ms, or Ta times the pairs that wait and are under way if that is more. `None` in lite mode, which sends none.
    pub fn rto(&self) -> Option<Duration> {
        self.full.as_ref().map(|full| full.checklist.rto())
    }

    /// Our role; a lite agent is always controlled.
    pub fn role(&self) -> Role {
        self.full
            .as_ref()
            .map_or(Role::Controlled, |full| full.checklist.role())
    }

    /// The Ta that we propose: what `a=ice-pacing` says (RFC 8839 §5.5). `None` in lite mode, which must not write it.
    pub fn pacing(&self) -> Option<Duration> {
        self.full.as_ref().map(Full::pacing)
    }

    /// Where gathering stands; a lite agent gathers nothing.
    pub fn gathering_state(&self) -> GatheringState {
        self.full.as_ref().map_or(GatheringState::New, |full| full.gathering)
    }

    /// Whether the peer has told that all its candidates are known.
    pub fn has_all_remote_candidates(&self) -> bool {
        self.full.as_ref().is_some_and(|full| full.remote_ended)
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
        self.handle_datagram_with(now, path, datagram, &mut ());
    }

    /// As [`handle_datagram`](Self::handle_datagram), and has `rider` look at what is authentic: a check that is
    /// answered with success, and the success response to one of ours that came back the way that the check went.
    pub fn handle_datagram_with(&mut self, now: Instant, path: &Path, datagram: &[u8], rider: &mut dyn Rider) {
        if self.take_response(now, path, datagram, rider) {
            return;
        }
        let (check, proven) = match Check::authenticate(datagram, &self.generations) {
            Ok(authentic) => authentic,
            Err(fault) => return self.count(fault),
        };
        if self.state == State::Failed {
            self.counters.ice_checks_after_failure += 1;
            return;
        }
        let answer = if let Some(unknown) = check.unknown {
            self.counters.ice_unknown_attributes += 1;
            Answer::UnknownAttributes(unknown)
        } else if self.conflict(&check) == Conflict::PeerSwitches {
            self.counters.ice_role_conflicts += 1;
            Answer::RoleConflict
        } else {
            match self.transactions.take(check.transaction_id, path) {
                Seen::New => {
                    self.yield_role(&check);
                    self.accept(now, path, &check);
                }
                // The answer was lost or is still on its way. It is given again, but nothing follows from such a check:
                // Firefox nominates each pair with its first one, which would come up again with every retransmission,
                // and whoever repeats the checks of a peer that is gone does not keep it alive.
                Seen::Again => {}
                Seen::Elsewhere => {
                    self.counters.ice_replayed_checks += 1;
                    return;
                }
            }
            rider.deliver(&proven);
            Answer::Success
        };
        let queued = self.responses.push(Response {
            path: *path,
            transaction_id: check.transaction_id,
            generation: check.generation,
            algorithm: check.algorithm,
            answer,
            most: self.most_to(path, datagram.len()),
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
            // Where the peer was only heard it is no fault of its, but neither chooses the path nor proves anything.
            self.counters.ice_unvalidated_activity += u64::from(!self.may_receive(now, path));
        } else if proves_life {
            self.alive(now);
        }
    }

    /// Takes that the TCP connection of `path` was closed, or, with the local port 0, that the one which
    /// [`Event::OpenConnection`] asked for could not be opened. Its pair is removed, and of those that remain one is
    /// selected. Without any the peer is `Disconnected` at once; it may open another connection for as long as silence
    /// is borne.
    pub fn handle_closed(&mut self, now: Instant, path: &Path) {
        self.responses.forget(path);
        if let Some(full) = &mut self.full {
            full.checklist.closed(path);
            self.settle();
            self.arm_check(now);
        } else if self.pairs.contains(path) {
            self.pairs.remove(path);
            self.follow_last_pair();
        }
    }

    /// If the pair that was removed was the last one, how long the peer may stay away is judged by when it was last
    /// heard.
    fn follow_last_pair(&mut self) {
        if self.pairs.is_empty() {
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
                Timer::Connect => self.end_waiting(now),
                Timer::Liveness => self.judge(now),
                Timer::PairExpiry => self.expire(now),
                Timer::Retire => self.retire(),
                Timer::Check => self.follow(now),
            }
        }
    }
}

/// Commands.
impl Agent {
    /// Adds an address of ours: host candidates of all interfaces that are to be used. An empty foundation is filled
    /// in; an address that is already there is not added again. A full agent asks the STUN servers about each UDP host
    /// candidate, and reports what is to be trickled ([`Event::CandidateGathered`]).
    pub fn add_local_candidate(&mut self, candidate: Candidate) {
        self.add_candidate(candidate, None);
    }

    /// Adds an address on a TURN server, as [`add_local_candidate`](Self::add_local_candidate) does otherwise. `server`
    /// is where the client reaches the server, and `protocol` the transport by which it does, TCP for TLS, too: such
    /// candidates share a foundation only where these are the same (RFC 8445 §5.1.1.3).
    pub fn add_relayed_candidate(&mut self, candidate: Candidate, server: SocketAddr, protocol: Protocol) {
        let ip = server.ip();
        self.add_candidate(candidate, Some(Server { ip, protocol }));
    }

    fn add_candidate(&mut self, mut candidate: Candidate, server: Option<Server>) {
        let known = |other: &Candidate| {
            (other.address, other.protocol, other.tcp_type)
                == (candidate.address, candidate.protocol, candidate.tcp_type)
        };
        if self.local_candidates.iter().any(known) {
            return;
        }
        if self.full.is_some() && self.local_candidates.len() >= self.config.max_local_candidates {
            self.counters.ice_local_candidates_dropped += 1;
            return;
        }
        self.foundations.assign(&mut candidate, server);
        let has_mapping = candidate.kind == CandidateKind::Host && candidate.protocol == Protocol::Udp;
        if let Some(full) = self.full.as_mut().filter(|_| has_mapping) {
            full.gatherer.add_base(candidate.address);
        }
        self.introduce(candidate);
    }

    /// Removes an address of ours, with all that belongs to it: its interface is gone. Media moves to another pair that
    /// works; an agent that may nominate it does, and else says [`Event::NeedsRestart`]. So does one that no pair is
    /// left to that works or may yet be found to.
    pub fn remove_local_candidate(&mut self, now: Instant, address: SocketAddr, protocol: Protocol) {
        let gone = |candidate: &Candidate| candidate.protocol == protocol && candidate.base() == address;
        self.local_candidates.retain(|candidate| !gone(candidate));
        let Some(full) = &mut self.full else { return };
        full.unannounced.retain(|candidate| !gone(candidate));
        full.gatherer.remove_base(address);
        full.checklist.remove_base(address, protocol);
        // The peer may be reached another way, soon: until then nothing shows that it is there, and so its silence ends
        // the session.
        full.bereft = true;
        self.settle();
        self.arm_check(now);
    }

    /// No more host or relayed candidates come: gathering is complete once the STUN servers have answered.
    pub fn end_of_local_candidates(&mut self) {
        if let Some(full) = &mut self.full {
            full.local_ended = true;
        }
        self.follow_gathering();
    }

    /// No more candidates of the peer's come (RFC 8838 §13).
    pub fn end_of_remote_candidates(&mut self) {
        if let Some(full) = &mut self.full {
            full.remote_ended = true;
        }
    }

    /// Takes a role, when offer and answer have told it: who offers controls (RFC 8445 §6.1.1). To no effect in lite
    /// mode, and against a lite peer.
    pub fn set_role(&mut self, role: Role) {
        if let Some(full) = self.full.as_mut().filter(|full| !full.checklist.peer_is_lite()) {
            full.checklist.set_role(role);
        }
        self.settle();
    }

    /// Tells whether the peer is lite: then we control (RFC 8445 §6.1.1).
    pub fn set_peer_lite(&mut self, lite: bool) {
        if let Some(full) = &mut self.full {
            full.checklist.set_peer_lite(lite);
        }
        self.settle();
    }

    /// Takes the Ta that the peer proposes in `a=ice-pacing`; `None` when it proposes none, which stands for 50 ms. The
    /// larger of both counts from then on (RFC 8445 §14.2), of the peer's 500 ms at most, so that nobody holds us up.
    /// To no effect in lite mode.
    pub fn set_peer_pacing(&mut self, interval: Option<Duration>) {
        if let Some(full) = &mut self.full {
            full.set_peer_pacing(interval);
        }
    }

    /// Tells whether both sides have signalled the ICE option `renomination` (draft-thatcher-ice-renomination). Then
    /// another pair may be nominated at any time, and NOMINATION numbers the nominations: the highest counts. To no
    /// effect in lite mode.
    pub fn set_renomination(&mut self, signalled: bool) {
        if let Some(full) = &mut self.full {
            full.checklist.set_renomination(signalled);
        }
    }

    /// Sets the peer's credentials, from its offer or answer. Checks are awaited or sent from now on. When they replace
    /// others, the peer restarts ICE ([`Credentials::is_restarted_by`]): call [`restart`](Self::restart) first. They
    /// may come after a full agent has failed, as the late answer to a restart of ours: it tries again then.
    pub fn set_remote_credentials(&mut self, now: Instant, credentials: Credentials) {
        let changed = self
            .remote
            .as_ref()
            .is_some_and(|known| known.is_restarted_by(&credentials));
        let again = self.state == State::Failed && changed && self.full.is_some();
        // One that has failed checks nothing any more for the same credentials (RFC 7675 §5.1).
        if self.state != State::Failed || again {
            let ours = &self.generations.newest().credentials.ufrag;
            if let Some(full) = &mut self.full {
                full.checklist.set_remote(&credentials, ours);
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
        if self.remote_candidates.contains(&candidate) || self.adopt(&candidate) {
            return;
        }
        if self.remote_candidates.len() >= self.config.max_remote_candidates {
            self.counters.ice_remote_candidates_dropped += 1;
            return;
        }
        if let Some(full) = &mut self.full {
            for local in &self.local_candidates {
                self.counters.ice_pairs_evicted += u64::from(!full.checklist.form(local, &candidate));
            }
        }
        self.remote_candidates.push(candidate);
        self.settle();
    }

    /// Has one more check sent, at the usual pace, for a [`Rider`] that has more to say than the checks take that are due: on
    /// the best pair whose check is not answered yet and on which the peer's checks came; else, behind all pairs that were
    /// not checked yet, on the best of the others. A pair with seven checks that were not answered has no more for this; to no
    /// effect in lite mode, and when no pair waits for an answer. The wish is over with the next check or answer that
    /// leaves, which may take along what there is.
    pub fn check_again(&mut self, now: Instant) {
        if let Some(full) = &mut self.full {
            full.checklist.check_again();
            self.arm_check(now);
        }
    }

    /// Restarts ICE (RFC 8445 §9) and gives the new local credentials. The path in use stays until one is nominated
    /// under the new credentials; until then both are answered. After a failure the old ones are void. While the first
    /// check is awaited, the wait begins anew; the patience with a peer that was there and is silent is not extended.
    ///
    /// A full agent asks the STUN servers again, unless [`gather_again`](Self::gather_again) has. The peer is to be
    /// told all [`local_candidates`](Self::local_candidates) with the new credentials; events tell only what is new: a
    /// mapping that has changed, in place of the old one.
    pub fn restart(&mut self, now: Instant) -> Credentials {
        let keep_previous = self.pairs.previous_carries();
        self.generations.restart(keep_previous);
        self.pairs.restart(keep_previous);
        self.remote_candidates.clear();
        if let Some(full) = &mut self.full {
            full.restart(now, keep_previous, self.pairs.selected());
        }
        self.settle();
        self.follow_gathering();
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
    /// Writes the next datagram into `out`, which holds at least [`MIN_OUT`] bytes. `None` when there is nothing to
    /// send.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<Transmit> {
        self.poll_transmit_with(now, out, &mut ())
    }

    /// As [`poll_transmit`](Self::poll_transmit), and takes along what `rider` attaches. There is room for as much as
    /// `out` has beyond [`MIN_OUT`], and what the check itself leaves of that: the caller lends no more than a datagram
    /// may have. Requests to STUN servers, error responses, and what asks for consent to the path of the session
    /// before a restart take nothing along.
    pub fn poll_transmit_with(&mut self, now: Instant, out: &mut [u8], rider: &mut dyn Rider) -> Option<Transmit> {
        debug_assert!(out.len() >= MIN_OUT, "poll_transmit wants MIN_OUT bytes of room");
        if out.len() < MIN_OUT {
            return None;
        }
        let (selected, dropped) = (self.pairs.selected(), &mut self.counters.ice_responses_dropped);
        let written = self
            .responses
            .write_next(&self.generations, selected, rider, out, dropped);
        if let Some(transmit) = written {
            if let Some(full) = &mut self.full {
                full.checklist.forget_wish();
            }
            return Some(transmit);
        }
        let refresh = matches!(self.state, State::New | State::Checking);
        let written = self.full.as_mut()?.poll(now, selected, refresh, rider, out);
        if let Some((path, len)) = written {
            return Some(Transmit::one(path, len));
        }
        self.arm_check(now);
        None
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called; `None` when nothing is waited for. Valid once
    /// [`poll_transmit`](Self::poll_transmit) gave `None`. Activity does not move it: a timer that finds the peer alive
    /// sets itself anew.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next().map(|(_, deadline)| deadline)
    }

    /// What changed since the last poll: removed paths, then validated ones, the selected one, the state; then what a
    /// full agent has to tell of candidates and connections.
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
        self.full.as_mut()?.poll_event()
    }
}

#[cfg(test)]
mod captures;
#[cfg(test)]
mod controlling;
#[cfg(test)]
mod gathering;
#[cfg(test)]
mod riding;
#[cfg(test)]
mod tests;
