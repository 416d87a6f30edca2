#![deny(clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

use crate::config::Config;
use crate::credentials::Credentials;
use crate::role::Role;
use rand::Rng;
use rand::rngs::StdRng;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use stun::{Authenticated, Key, Message, TransactionId};
use wire::Path;

mod check;
mod consent;
mod formation;
mod nomination;
mod pair;
mod previous;
mod request;
mod response;
mod role;
mod schedule;
mod tcp;
mod trigger;

pub(crate) use check::MAX_CHECK;
use pair::{Connection, Pair, PairId, State};
use previous::Previous;
use request::Request;
pub(crate) use response::{Outcome, Success};
pub(crate) use trigger::Trigger;

/// The checks that a full agent sends (RFC 8445 §6.1.4, §7.2): on the pairs of candidates until one is nominated
/// (§8.1), then on the one in use, to ask for consent (RFC 7675 §5.1), and on a few others that could take over.
#[derive(Debug)]
pub(crate) struct Checklist {
    settings: Settings,
    rng: StdRng,
    role: Role,
    tiebreaker: u64,
    /// A lite peer never controls (RFC 8445 §6.1.1).
    peer_is_lite: bool,
    /// Whom the checks are for; none is sent before that is known.
    remote: Option<Remote>,
    /// The best one first.
    pairs: Vec<Pair>,
    next_pair: u32,
    /// The pairs to be checked before all others (RFC 8445 §6.1.4.1).
    triggered: VecDeque<PairId>,
    /// A rider has more to say than the checks take that are due anyway.
    again: bool,
    /// The checks that may yet be answered, the oldest first.
    requests: Vec<Request>,
    /// When the first pair of this session was found to work.
    first_success: Option<Instant>,
    /// The pair that we nominated last, or that of the peer's nominations which is in use. It stays when the pair is
    /// gone.
    nominated: Option<PairId>,
    /// Both sides have signalled `renomination`.
    renomination: bool,
    /// How many nominations of ours were numbered.
    nominations: u32,
    /// The path that media takes now.
    selected: Option<Path>,
    /// The session before a restart, while media takes its path.
    previous: Option<Previous>,
    rtt: Option<Duration>,
    /// Checks that need no answer any more: it came before, or ICE was restarted since.
    done: VecDeque<TransactionId>,
    /// TCP connections that the caller is to open.
    connections: VecDeque<Path>,
    /// Paths that no longer work.
    lost: Vec<Path>,
}

/// What of the configuration concerns checks.
#[derive(Debug, Clone, Copy)]
struct Settings {
    max_pairs: usize,
    consent: Duration,
    unanswered: Duration,
    warm_interval: Option<Duration>,
    warm_pairs: usize,
    renomination: bool,
    ta: Duration,
}

/// Whom checks are for.
#[derive(Debug)]
struct Remote {
    credentials: Credentials,
    username: String,
    key: Key,
}

impl Remote {
    fn new(credentials: &Credentials, local_ufrag: &str) -> Self {
        Self {
            username: format!("{}:{local_ufrag}", credentials.ufrag),
            key: Key::short_term(&credentials.pwd),
            credentials: credentials.clone(),
        }
    }

    /// An answer of the peer's.
    fn authenticate<'m>(&self, message: &Message<'m>) -> Result<Authenticated<'m>, Outcome> {
        message.verify_fingerprint().map_err(|_| Outcome::BadFingerprint)?;
        message.verify_integrity(&self.key).map_err(|_| Outcome::WrongIntegrity)
    }
}

/// Most checks without need of an answer that are remembered.
const DONE: usize = 64;

impl Checklist {
    pub(crate) fn new(mut rng: StdRng, config: &Config, ta: Duration) -> Self {
        Self {
            settings: Settings {
                max_pairs: config.max_pairs.max(1),
                consent: config.consent_expires_after,
                unanswered: config.unanswered_after,
                warm_interval: config.warm_interval,
                warm_pairs: config.warm_pairs,
                renomination: config.renomination,
                ta,
            },
            role: config.role,
            tiebreaker: rng.next_u64(),
            rng,
            peer_is_lite: false,
            remote: None,
            pairs: Vec::new(),
            next_pair: 0,
            triggered: VecDeque::new(),
            again: false,
            requests: Vec::new(),
            first_success: None,
            nominated: None,
            renomination: false,
            nominations: 0,
            selected: None,
            previous: None,
            rtt: None,
            done: VecDeque::new(),
            connections: VecDeque::new(),
            lost: Vec::new(),
        }
    }

    /// The round trip of the last check that was answered.
    pub(crate) const fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    /// Sets whom the checks are for.
    pub(crate) fn set_remote(&mut self, credentials: &Credentials, local_ufrag: &str) {
        let known = self.remote.as_ref();
        if known.is_none_or(|known| known.credentials != *credentials) {
            self.remote = Some(Remote::new(credentials, local_ufrag));
        }
    }

    /// Tells which path media takes.
    pub(crate) const fn take_selected(&mut self, selected: Option<Path>) {
        self.selected = selected;
    }

    pub(crate) const fn set_renomination(&mut self, signalled: bool) {
        self.renomination = signalled;
    }

    pub(crate) const fn set_ta(&mut self, ta: Duration) {
        self.settings.ta = ta;
    }

    /// Whether a pair may still turn out to work.
    pub(crate) fn has_open_pairs(&self) -> bool {
        self.pairs.iter().any(|pair| !matches!(pair.state, State::Failed))
    }

    /// A path that no longer works.
    pub(crate) fn take_lost(&mut self) -> Option<Path> {
        self.lost.pop()
    }

    /// A restart: all begins anew, once the peer's new credentials are known. `in_use` is the path that media takes
    /// until then; `keep_previous` says that it is that of a session before this one.
    pub(crate) fn restart(&mut self, now: Instant, keep_previous: bool, in_use: Option<Path>) {
        if !keep_previous {
            self.forget_previous();
            self.previous = in_use.and_then(|path| self.leave_behind(now, path));
        }
        self.clear();
    }

    /// Sends nothing any more until a restart.
    pub(crate) fn stop(&mut self) {
        self.clear();
        self.forget_previous();
    }

    fn clear(&mut self) {
        self.pairs.clear();
        for request in std::mem::take(&mut self.requests) {
            self.finish(request.id);
        }
        self.triggered.clear();
        self.again = false;
        self.connections.clear();
        self.lost.clear();
        self.remote = None;
        self.first_success = None;
        self.nominated = None;
    }

    /// No answer to this check is needed any more.
    fn finish(&mut self, id: TransactionId) {
        self.done.truncate(DONE.saturating_sub(1));
        self.done.push_front(id);
    }

    fn draw_id(&mut self) -> TransactionId {
        let mut id = [0; 12];
        self.rng.fill_bytes(&mut id);
        TransactionId(id)
    }

    fn pair(&self, id: PairId) -> Option<&Pair> {
        self.pairs.iter().find(|pair| pair.id == id)
    }

    fn pair_mut(&mut self, id: PairId) -> Option<&mut Pair> {
        self.pairs.iter_mut().find(|pair| pair.id == id)
    }

    fn on_path(&self, path: &Path) -> Option<&Pair> {
        self.pairs.iter().find(|pair| pair.path == *path)
    }
}

#[cfg(test)]
mod tests;
