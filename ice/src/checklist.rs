#![deny(clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

use crate::candidate::Candidate;
use crate::credentials::{Credentials, UFRAG_LEN};
use crate::timer::after;
use rand::Rng;
use rand::rngs::StdRng;
use std::cmp::Reverse;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use stun::{Authenticated, BuildError, Builder, Class, ErrorCode, Key, Message, Method, TransactionId, Value};
use wire::{Path, Protocol};

mod previous;

use previous::Previous;

/// The checks that a controlling agent sends: on all pairs of candidates until one is nominated (RFC 8445 §6.1.4, §7.2,
/// §8.1.1), then on that one alone, to ask for consent (RFC 7675 §5.1).
#[derive(Debug)]
pub(crate) struct Checklist {
    rng: StdRng,
    tiebreaker: u64,
    /// Whom the checks are for; none is sent before that is known.
    remote: Option<Remote>,
    /// The best one first.
    pairs: Vec<Pair>,
    limit: usize,
    /// The paths on which checks of the peer's came, to be tried before all others (RFC 8445 §6.1.4.1); each is one of a pair's.
    triggered: VecDeque<Path>,
    /// When the next pair may be tried: checks are paced.
    next_check: Option<Instant>,
    /// When the first pair of this session was found to work.
    first_success: Option<Instant>,
    consent: Option<Consent>,
    /// The session before a restart, while media takes its path.
    previous: Option<Previous>,
    /// The way on which the peer last answered a check, of those that may be in use, and when. A restart leaves it: the old path is
    /// used on, and consent to that ends as before.
    given: Option<(Path, Instant)>,
    rtt: Option<Duration>,
    /// Checks that need no answer any more: it came before, or ICE was restarted since.
    done: VecDeque<TransactionId>,
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

/// Two candidates.
#[derive(Debug)]
struct Pair {
    path: Path,
    /// Priorities of our candidate and of the peer's.
    priorities: (u32, u32),
    state: State,
    request: Option<Request>,
    /// Checks that are not sent again, because the peer's own made us send another one, and may yet be answered.
    cancelled: Vec<TransactionId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    InProgress,
    Succeeded,
    Failed,
}

/// A check that was sent and not answered yet.
#[derive(Debug, Clone, Copy)]
struct Request {
    id: TransactionId,
    purpose: Purpose,
    first_sent: Instant,
    /// How often it was sent.
    sent: u32,
    /// When it is sent again, or given up.
    next: Option<Instant>,
}

/// What a check is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// To find out whether the pair works.
    Probe,
    /// To tell that it is the one (USE-CANDIDATE).
    Nominate,
    /// To ask whether the peer still wants what we send.
    Consent,
}

/// Permission to send on the nominated pair.
#[derive(Debug, Clone, Copy)]
struct Consent {
    path: Path,
    ask_next: Instant,
}

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The pair works.
    Works(Success),
    /// An answer to nothing that was asked.
    Unexpected,
    /// It comes too late to mean anything.
    Late,
    Malformed,
    BadFingerprint,
    WrongIntegrity,
    /// It came another way than the check went (RFC 8445 §7.2.5.2.1).
    Asymmetric,
    /// The peer refused the check.
    Refused,
    /// The peer believes that it is the controlling one (487).
    RoleConflict,
}

/// A pair that works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Success {
    /// In the session of the newest credentials, not in the one before a restart.
    pub(crate) newest: bool,
    /// The peer knows that it is the one to use.
    pub(crate) nominated: bool,
    pub(crate) local_priority: u32,
    pub(crate) remote_priority: u32,
}

/// Time between checks of different pairs (Ta, RFC 8445 §14.2).
const PACE: Duration = Duration::from_millis(50);
/// Most new checks that the peer's own cause on a pair while none is answered: as many as an unanswered check is sent in all.
const CANCELLED: usize = 7;
/// When a check is sent again for the first time; then it takes twice as long each time (RFC 8445 §14.3, RFC 8489 §6.2.1).
const RTO: Duration = Duration::from_millis(500);
/// How often a check is sent (Rc).
const SENDS: u32 = 7;
/// The wait for an answer to the last one, in RTOs (Rm).
const LAST_WAIT: u32 = 16;
/// How long better pairs are waited for once one works.
const PATIENCE: Duration = Duration::from_millis(100);
/// Mean time between two requests for consent; each is drawn from 0.8 to 1.2 of it (RFC 7675 §5.1).
const CONSENT_INTERVAL: Duration = Duration::from_secs(5);
/// Most checks without need of an answer that are remembered.
const DONE: usize = 64;
/// Type preference of peer-reflexive candidates (RFC 8445 §5.1.2.2).
const PEER_REFLEXIVE: u32 = 110;
/// The longest check, in bytes: header, USERNAME (their ufrag, a colon, ours), ICE-CONTROLLING, USE-CANDIDATE,
/// PRIORITY, MESSAGE-INTEGRITY, FINGERPRINT.
#[allow(clippy::arithmetic_side_effects, reason = "the compiler would tell of an overflow")]
pub(crate) const MAX_CHECK: usize = 20
    + attribute(Credentials::MAX_LEN + 1 + UFRAG_LEN)
    + attribute(8)
    + attribute(0)
    + attribute(4)
    + attribute(20)
    + attribute(4);

/// The bytes of an attribute: type, length, and the value padded to words (RFC 8489 §14).
const fn attribute(value: usize) -> usize {
    value.next_multiple_of(4).saturating_add(4)
}

impl Pair {
    /// RFC 8445 §6.1.2.3, ours being the controlling agent's.
    fn priority(&self) -> u64 {
        let (ours, theirs) = self.priorities;
        let (low, high) = (ours.min(theirs), ours.max(theirs));
        (u64::from(low) << 32)
            .saturating_add(u64::from(high).saturating_mul(2))
            .saturating_add(u64::from(ours > theirs))
    }

    /// The checks on it that may yet be answered, which it forgets.
    fn take_requests(&mut self) -> impl Iterator<Item = TransactionId> {
        let request = self.request.take().map(|request| request.id);
        request.into_iter().chain(std::mem::take(&mut self.cancelled))
    }
}

impl Checklist {
    pub(crate) fn new(mut rng: StdRng, limit: usize) -> Self {
        Self {
            tiebreaker: rng.next_u64(),
            rng,
            remote: None,
            pairs: Vec::new(),
            limit: limit.max(1),
            triggered: VecDeque::new(),
            next_check: None,
            first_success: None,
            consent: None,
            previous: None,
            given: None,
            rtt: None,
            done: VecDeque::new(),
        }
    }

    /// The round trip of the last check that was answered at once.
    pub(crate) const fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    /// Sets whom the checks are for.
    pub(crate) fn set_remote(&mut self, credentials: &Credentials, local_ufrag: &str) {
        if self
            .remote
            .as_ref()
            .is_some_and(|known| known.credentials == *credentials)
        {
            return;
        }
        self.remote = Some(Remote::new(credentials, local_ufrag));
    }

    /// Pairs two candidates if a datagram may go from the one to the other. `false` when another pair gave way, or this one.
    pub(crate) fn pair(&mut self, local: &Candidate, remote: &Candidate) -> bool {
        let (from, to) = (local.address, remote.address);
        let same_protocol = local.protocol == Protocol::Udp && remote.protocol == Protocol::Udp;
        // From an address that only this machine has nothing reaches another one.
        let reachable = from.is_ipv4() == to.is_ipv4() && from.ip().is_loopback() == to.ip().is_loopback();
        if !same_protocol || !reachable {
            return true;
        }
        self.add(Path::udp(from, to), (local.priority, remote.priority))
    }

    /// A check of the peer's came on a path: it is tried next (RFC 8445 §7.3.1.4), as a pair with a peer-reflexive candidate if
    /// it is none yet (§7.3.1.3). `false` when a pair gave way. Once a pair is nominated no other one is tried.
    pub(crate) fn trigger(&mut self, path: &Path, local_priority: u32, remote_priority: u32) -> bool {
        if self.consent.is_some() {
            return true;
        }
        let room = self.add(*path, (local_priority, remote_priority));
        if let Some(pair) = self.pairs.iter_mut().find(|pair| pair.path == *path) {
            match pair.state {
                State::Succeeded => return room,
                // The one under way is not sent again; a new one is.
                State::InProgress if pair.cancelled.len() >= CANCELLED => return room,
                State::InProgress => pair.cancelled.extend(pair.request.take().map(|request| request.id)),
                State::Waiting | State::Failed => {}
            }
            pair.state = State::Waiting;
            self.next_check = None;
            if !self.triggered.contains(path) {
                self.triggered.push_back(*path);
            }
        }
        room
    }

    fn add(&mut self, path: Path, priorities: (u32, u32)) -> bool {
        if self.pairs.iter().any(|pair| pair.path == path) {
            return true;
        }
        self.pairs.push(Pair {
            path,
            priorities,
            state: State::Waiting,
            request: None,
            cancelled: Vec::new(),
        });
        self.pairs.sort_by_key(|pair| Reverse(pair.priority()));
        let room = self.pairs.len() <= self.limit;
        if !room {
            // The worst one goes, whichever that is (RFC 8445 §6.1.2.5), but not one that works, nor the nominated one, which
            // the peer may have refused to consent to and is asked again.
            let nominated = self.consent.map(|consent| consent.path);
            let spare = |pair: &Pair| pair.state != State::Succeeded && Some(pair.path) != nominated;
            let worst = self.pairs.iter().rposition(spare);
            let mut worst = self.pairs.remove(worst.unwrap_or(self.limit));
            self.triggered.retain(|path| *path != worst.path);
            worst.take_requests().for_each(|id| self.finish(id));
        }
        room
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

    fn clear(&mut self) {
        for mut pair in std::mem::take(&mut self.pairs) {
            pair.take_requests().for_each(|id| self.finish(id));
        }
        self.triggered.clear();
        self.remote = None;
        self.next_check = None;
        self.first_success = None;
        self.consent = None;
    }

    /// Sends nothing any more until a restart.
    pub(crate) fn stop(&mut self) {
        self.clear();
        self.forget_previous();
        self.given = None;
    }

    fn finish(&mut self, id: TransactionId) {
        self.done.truncate(DONE.saturating_sub(1));
        self.done.push_front(id);
    }

    /// Takes an answer; `None` when the datagram is none.
    pub(crate) fn take_response(&mut self, now: Instant, path: &Path, datagram: &[u8]) -> Option<Outcome> {
        // What is not STUN is counted by who reads requests.
        let message = Message::parse(datagram).ok()?;
        let refused = match message.class() {
            Class::SuccessResponse => false,
            Class::ErrorResponse => true,
            Class::Request | Class::Indication => return None,
        };
        Some(self.respond(now, path, &message, refused))
    }

    fn respond(&mut self, now: Instant, path: &Path, message: &Message<'_>, refused: bool) -> Outcome {
        let id = message.transaction_id();
        let on_previous = self.previous.as_ref().is_some_and(|previous| previous.asked(id));
        if on_previous && message.method() == Method::BINDING {
            return self.respond_on_previous(now, path, message, refused);
        }
        let asked = |pair: &Pair| pair.cancelled.contains(&id) || pair.request.is_some_and(|request| request.id == id);
        let (Some(index), Method::BINDING) = (self.pairs.iter().position(asked), message.method()) else {
            return if self.done.contains(&id) {
                Outcome::Late
            } else {
                Outcome::Unexpected
            };
        };
        let Some(remote) = &self.remote else {
            return Outcome::Unexpected;
        };
        let proven = match remote.authenticate(message) {
            Ok(proven) => proven,
            Err(outcome) => return outcome,
        };
        let Some(pair) = self.pairs.get_mut(index) else {
            return Outcome::Unexpected;
        };
        // One that was cancelled was to find out whether the pair works.
        let request = pair.request.filter(|request| request.id == id);
        let nominated = request.is_some_and(|request| request.purpose != Purpose::Probe);
        let tried = pair.path;
        let outcome = if refused {
            pair.state = State::Failed;
            refusal(proven)
        } else if pair.path != *path {
            pair.state = State::Failed;
            Outcome::Asymmetric
        } else {
            pair.state = State::Succeeded;
            Outcome::Works(Success {
                newest: true,
                nominated,
                local_priority: pair.priorities.0,
                remote_priority: pair.priorities.1,
            })
        };
        let finished: Vec<TransactionId> = pair.take_requests().collect();
        self.triggered.retain(|triggered| *triggered != tried);
        finished.into_iter().for_each(|id| self.finish(id));
        if let Outcome::Works(success) = outcome {
            self.succeed(now, path, request, success);
        }
        outcome
    }

    fn succeed(&mut self, now: Instant, path: &Path, request: Option<Request>, success: Success) {
        // Of one that was sent more than once nobody knows which was answered.
        if let Some(request) = request.filter(|request| request.sent == 1) {
            self.rtt = Some(now.saturating_duration_since(request.first_sent));
        }
        self.first_success.get_or_insert(now);
        if success.nominated {
            let ask_next = self.consent.map(|consent| consent.ask_next);
            let ask_next = ask_next.unwrap_or_else(|| self.draw_consent(now));
            self.consent = Some(Consent { path: *path, ask_next });
            self.leave_others(path);
            // Media takes the new path from now on.
            self.forget_previous();
        }
        // Before one is nominated only the pair that works first counts: an answer on another one is no consent to it.
        if success.nominated || self.given.is_none_or(|(used, _)| used == *path) {
            self.given = Some((*path, now));
        }
    }

    /// Tries no other pair any more, nor sends a check on one again; what was sent may still be answered (RFC 8445 §8.1.2).
    fn leave_others(&mut self, nominated: &Path) {
        self.triggered.clear();
        for pair in self.pairs.iter_mut().filter(|pair| pair.path != *nominated) {
            if let Some(request) = &mut pair.request {
                request.next = None;
            }
        }
    }

    fn draw_consent(&mut self, now: Instant) -> Instant {
        let spread = f64::from(self.rng.next_u32()) / f64::from(u32::MAX);
        after(now, CONSENT_INTERVAL.mul_f64(0.8 + 0.4 * spread))
    }

    /// Whether the peer has not answered on the path in use for so long, be it nominated yet or left over from before a restart.
    pub(crate) fn has_lost_consent(&self, now: Instant, silence: Duration) -> bool {
        self.given
            .is_some_and(|(_, given)| now.saturating_duration_since(given) >= silence)
    }

    /// When something is due: a check, or the end of consent after such a silence.
    pub(crate) fn due(&self, now: Instant, silence: Duration) -> Option<Instant> {
        let expiry = self.given.map(|(_, given)| after(given, silence));
        let on_previous = self.previous.as_ref().map(Previous::ask_next);
        let old = expiry.into_iter().chain(on_previous).min();
        if self.remote.is_none() {
            return old;
        }
        let requests = self.pairs.iter().filter_map(|pair| pair.request?.next);
        let waiting = self.consent.is_none() && self.pairs.iter().any(|pair| pair.state == State::Waiting);
        let probe = waiting.then(|| self.next_check.unwrap_or(now));
        let consent = self.consent.map(|consent| consent.ask_next);
        let times = [probe, self.nomination_due(), consent, old];
        requests.chain(times.into_iter().flatten()).min()
    }

    /// When the best pair that works is to be nominated: at once if no better one is still tried.
    fn nomination_due(&self) -> Option<Instant> {
        let nominated = |pair: &Pair| pair.request.is_some_and(|request| request.purpose == Purpose::Nominate);
        if self.consent.is_some() || self.pairs.iter().any(nominated) {
            return None;
        }
        let open = |pair: &&Pair| pair.state != State::Failed;
        let best = self.pairs.iter().find(open)?;
        let first_success = self.first_success?;
        if best.state == State::Succeeded {
            return Some(first_success);
        }
        let works = self.pairs.iter().any(|pair| pair.state == State::Succeeded);
        works.then(|| after(first_success, PATIENCE))
    }

    /// Writes the next check that is due, and tells where it goes and how long it is.
    pub(crate) fn poll(&mut self, now: Instant, out: &mut [u8]) -> Option<(Path, usize)> {
        if let Some(asked) = self.ask_previous(now, out) {
            return Some(asked);
        }
        self.remote.as_ref()?;
        loop {
            self.give_up(now);
            let (index, request) = match self.resend(now) {
                Some(again) => again,
                None => self.start(now)?,
            };
            let pair = self.pairs.get(index)?;
            let remote = self.remote.as_ref()?;
            let written = self.write(remote, pair.priorities, request.id, request.purpose, out);
            let path = pair.path;
            // One that cannot be written, as the peer's credentials break RFC 8839 §5.4, is as good as lost: left as it
            // is, it would be due for ever.
            self.sent(now, index, request);
            if let Ok(len) = written {
                return Some((path, len));
            }
        }
    }

    /// Ends checks that were sent often enough.
    fn give_up(&mut self, now: Instant) {
        let over = |request: Request| request.sent >= SENDS && request.next.is_some_and(|next| next <= now);
        while let Some(pair) = self.pairs.iter_mut().find(|pair| pair.request.is_some_and(over)) {
            pair.state = State::Failed;
            let finished: Vec<TransactionId> = pair.take_requests().collect();
            finished.into_iter().for_each(|id| self.finish(id));
        }
    }

    /// A check without an answer that is to be sent again.
    fn resend(&self, now: Instant) -> Option<(usize, Request)> {
        let due = |request: &Request| request.next.is_some_and(|next| next <= now);
        let requests = self.pairs.iter().enumerate();
        requests
            .filter_map(|(index, pair)| Some((index, pair.request.filter(due)?)))
            .next()
    }

    /// A new check.
    fn start(&mut self, now: Instant) -> Option<(usize, Request)> {
        let place = |this: &Self, fits: &dyn Fn(&Pair) -> bool| this.pairs.iter().position(fits);
        let (index, purpose) = if self.nomination_due().is_some_and(|due| due <= now) {
            (place(self, &|pair| pair.state == State::Succeeded)?, Purpose::Nominate)
        } else if let Some(consent) = self.consent {
            if consent.ask_next > now {
                return None;
            }
            (place(self, &|pair| pair.path == consent.path)?, Purpose::Consent)
        } else if self.next_check.is_none_or(|next| next <= now) {
            let first = self.triggered.pop_front();
            let triggered =
                first.and_then(|path| place(self, &|pair| pair.path == path && pair.state == State::Waiting));
            let waiting = || place(self, &|pair| pair.state == State::Waiting);
            (triggered.or_else(waiting)?, Purpose::Probe)
        } else {
            return None;
        };
        let request = Request {
            id: self.draw_id(),
            purpose,
            first_sent: now,
            sent: 0,
            next: None,
        };
        Some((index, request))
    }

    fn draw_id(&mut self) -> TransactionId {
        let mut id = [0; 12];
        self.rng.fill_bytes(&mut id);
        TransactionId(id)
    }

    /// Takes note of a check that was written.
    fn sent(&mut self, now: Instant, index: usize, mut request: Request) {
        request.sent = request.sent.saturating_add(1);
        let wait = if request.sent < SENDS {
            1 << request.sent.saturating_sub(1)
        } else {
            LAST_WAIT
        };
        // Whether there is consent is asked again and again anyway, each time anew (RFC 7675 §5.1).
        request.next = (request.purpose != Purpose::Consent).then(|| after(now, RTO.saturating_mul(wait)));
        match request.purpose {
            Purpose::Probe if request.sent == 1 => self.next_check = Some(after(now, PACE)),
            Purpose::Consent => {
                let ask_next = self.draw_consent(now);
                if let Some(consent) = &mut self.consent {
                    consent.ask_next = ask_next;
                }
            }
            Purpose::Probe | Purpose::Nominate => {}
        }
        let Some(pair) = self.pairs.get_mut(index) else { return };
        if pair.state == State::Waiting {
            pair.state = State::InProgress;
        }
        let before = pair.request.replace(request);
        if let Some(before) = before.filter(|before| before.id != request.id) {
            self.finish(before.id);
        }
    }

    fn write(
        &self,
        remote: &Remote,
        (local_priority, _): (u32, u32),
        id: TransactionId,
        purpose: Purpose,
        out: &mut [u8],
    ) -> Result<usize, BuildError> {
        let mut builder = Builder::new(out, Class::Request, Method::BINDING, id)?;
        builder.push(&Value::Username(&remote.username))?;
        builder.push(&Value::IceControlling(self.tiebreaker))?;
        if purpose == Purpose::Nominate {
            builder.push(&Value::UseCandidate)?;
        }
        // What the candidate would have if the peer learnt of it by this check (RFC 8445 §7.1.1).
        builder.push(&Value::Priority(
            (PEER_REFLEXIVE << 24) | (local_priority & 0x00ff_ffff),
        ))?;
        builder.integrity(&remote.key)?;
        builder.fingerprint()?;
        Ok(builder.finish().len())
    }
}

/// What a peer's error response means.
fn refusal(proven: Authenticated<'_>) -> Outcome {
    match proven.message().error_code() {
        Ok(Some(error)) if error.code == ErrorCode::ROLE_CONFLICT => Outcome::RoleConflict,
        Ok(_) => Outcome::Refused,
        Err(_) => Outcome::Malformed,
    }
}
