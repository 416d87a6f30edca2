#![deny(clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

use crate::pacer::Pacer;
use crate::timer::after;
use rand::Rng;
use rand::rngs::StdRng;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use stun::{BuildError, Builder, Class, Message, Method, TransactionId};
use wire::Path;

/// Where gathering stands; the names are those of `RTCIceGatheringState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GatheringState {
    /// There is no candidate yet.
    New,
    /// More candidates may come.
    Gathering,
    /// All STUN servers have answered or are given up, and
    /// [`end_of_local_candidates`](crate::Agent::end_of_local_candidates) was called.
    Complete,
}

/// Asks STUN servers how they see our host candidates (RFC 8445 §5.1.1.2), and keeps the mappings alive (§5.1.1.4).
#[derive(Debug)]
pub(crate) struct Gatherer {
    rng: StdRng,
    servers: Vec<SocketAddr>,
    timeout: Duration,
    refresh: Duration,
    tasks: Vec<Task>,
}

/// One base and one server.
#[derive(Debug)]
struct Task {
    path: Path,
    phase: Phase,
    /// How the server saw the base when it answered last.
    mapped: Option<SocketAddr>,
    request: Option<Request>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not asked yet.
    Waiting,
    Asking,
    /// There is a mapping, to be refreshed then.
    Mapped(Instant),
    /// The server has nothing to say.
    Over,
}

#[derive(Debug, Clone, Copy)]
struct Request {
    id: TransactionId,
    first_sent: Instant,
    sent: u32,
    next: Instant,
    rto: Duration,
}

/// What a STUN server said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gathered {
    /// How it sees a base.
    Mapping {
        base: SocketAddr,
        server: SocketAddr,
        mapped: SocketAddr,
        /// How it saw the base before, if it was otherwise and no other server sees it so.
        outdated: Option<SocketAddr>,
    },
    /// Nothing of use.
    Refused,
    Malformed,
    BadFingerprint,
}

/// The least RTO (RFC 8445 §14.3).
const RTO: Duration = Duration::from_millis(500);
/// The longest wait between two transmissions of a request, unless the first is longer: doubled on and on it would
/// leave most of a long [`gathering_timeout`](crate::Config::gathering_timeout) to very few of them.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

impl Gatherer {
    pub(crate) fn new(rng: StdRng, servers: &[SocketAddr], timeout: Duration, refresh: Duration) -> Self {
        Self {
            rng,
            servers: servers.to_vec(),
            timeout,
            refresh: refresh.max(RTO),
            tasks: Vec::new(),
        }
    }

    /// Asks about a UDP host candidate: all servers of its family.
    pub(crate) fn add_base(&mut self, base: SocketAddr) {
        let reachable = |server: &&SocketAddr| {
            server.is_ipv4() == base.is_ipv4() && server.ip().is_loopback() == base.ip().is_loopback()
        };
        for server in self.servers.iter().filter(reachable) {
            self.tasks.push(Task {
                path: Path::udp(base, *server),
                phase: Phase::Waiting,
                mapped: None,
                request: None,
            });
        }
    }

    pub(crate) fn remove_base(&mut self, base: SocketAddr) {
        self.tasks.retain(|task| task.path.local != base);
    }

    /// ICE is restarted: all is asked again, as mappings may have changed and who was silent may answer. What is asked
    /// already is waited for anew.
    pub(crate) fn ask_again(&mut self, now: Instant) {
        for task in &mut self.tasks {
            task.phase = match &mut task.request {
                Some(request) => {
                    request.first_sent = now;
                    Phase::Asking
                }
                None => Phase::Waiting,
            };
        }
    }

    /// Whether a candidate may still come.
    pub(crate) fn is_pending(&self) -> bool {
        self.pending().next().is_some()
    }

    fn pending(&self) -> impl Iterator<Item = &Task> {
        let is_pending = |task: &&Task| matches!(task.phase, Phase::Waiting | Phase::Asking);
        self.tasks.iter().filter(is_pending)
    }

    /// Ends requests that were waited for long enough. What has a mapping keeps it.
    pub(crate) fn give_up(&mut self, now: Instant) {
        for task in &mut self.tasks {
            let over = |request: &mut Request| now.saturating_duration_since(request.first_sent) >= self.timeout;
            if task.request.take_if(over).is_some() && task.phase == Phase::Asking {
                task.phase = rest(now, task.mapped, self.refresh);
            }
        }
    }

    /// Writes the next request that is due. `refresh` tells whether mappings are to be kept.
    pub(crate) fn poll(
        &mut self,
        now: Instant,
        pacer: &mut Pacer,
        refresh: bool,
        out: &mut [u8],
    ) -> Option<(Path, usize)> {
        let due = |task: &Task| task.request.is_some_and(|request| request.next <= now);
        if let Some(task) = self.tasks.iter_mut().find(|task| due(task)) {
            let request = task.request.as_mut()?;
            request.sent = request.sent.saturating_add(1);
            let doubled = request.rto.saturating_mul(1 << request.sent.min(8).saturating_sub(1));
            request.next = after(now, doubled.min(LONGEST_WAIT.max(request.rto)));
            return Some((task.path, write(request.id, out).ok()?));
        }
        if !pacer.is_ready(now) {
            return None;
        }
        // RFC 8445 §14.3, by how many are asked; but each of them at least three times, however many they are.
        let asked = u32::try_from(self.pending().count()).unwrap_or(u32::MAX);
        let rto = pacer.interval().saturating_mul(asked);
        let rto = rto.min(self.timeout.checked_div(4).unwrap_or_default()).max(RTO);
        let mut id = [0; 12];
        let begins = |task: &Task| match task.phase {
            Phase::Waiting => true,
            Phase::Mapped(at) => refresh && at <= now && task.request.is_none(),
            Phase::Asking | Phase::Over => false,
        };
        // Those that were never asked first: many mappings would have one refreshed at any time.
        let new = self.tasks.iter().position(|task| task.phase == Phase::Waiting);
        let task = new.or_else(|| self.tasks.iter().position(begins))?;
        let task = self.tasks.get_mut(task)?;
        self.rng.fill_bytes(&mut id);
        let id = TransactionId(id);
        pacer.spend(now);
        task.phase = match task.phase {
            Phase::Mapped(_) => Phase::Mapped(after(now, self.refresh)),
            _ => Phase::Asking,
        };
        task.request = Some(Request {
            id,
            first_sent: now,
            sent: 1,
            next: after(now, rto),
            rto,
        });
        Some((task.path, write(id, out).ok()?))
    }

    /// When something is due.
    pub(crate) fn due(&self, now: Instant, pacer: &Pacer, refresh: bool) -> Option<Instant> {
        let asks = self.tasks.iter().filter_map(|task| task.request);
        let asks = asks.map(|request| request.next.min(after(request.first_sent, self.timeout)));
        let begins = self.tasks.iter().filter_map(|task| match task.phase {
            Phase::Waiting => Some(pacer.due(now)),
            Phase::Mapped(at) if refresh && task.request.is_none() => Some(at.max(pacer.due(now))),
            _ => None,
        });
        asks.chain(begins).min()
    }

    /// Takes a server's answer; `None` when the message is none. It has no integrity: that it has the transaction id
    /// and comes from the server is all that can be asked (RFC 8489 §6.3.3).
    pub(crate) fn take_response(&mut self, now: Instant, path: &Path, message: &Message<'_>) -> Option<Gathered> {
        if !matches!(message.class(), Class::SuccessResponse | Class::ErrorResponse) {
            return None;
        }
        let id = message.transaction_id();
        let asked = |task: &&mut Task| task.path == *path && task.request.is_some_and(|request| request.id == id);
        let refresh = self.refresh;
        let task = self.tasks.iter_mut().find(asked)?;
        let has_fingerprint = message.attribute(stun::AttributeType::FINGERPRINT).is_some();
        if has_fingerprint && message.verify_fingerprint().is_err() {
            return Some(Gathered::BadFingerprint);
        }
        task.request = None;
        let first = task.phase == Phase::Asking;
        let mapped = match message.class() {
            Class::SuccessResponse => message.xor_mapped_address(),
            _ => Ok(None),
        };
        let usable = |mapped: &SocketAddr| mapped.is_ipv4() == path.local.is_ipv4() && mapped.port() != 0;
        Some(match mapped {
            Ok(Some(mapped)) if usable(&mapped) => {
                task.phase = Phase::Mapped(after(now, refresh));
                let before = task.mapped.replace(mapped);
                let sees = |task: &Task| task.path.local == path.local && task.mapped == before;
                Gathered::Mapping {
                    base: path.local,
                    server: path.remote,
                    mapped,
                    outdated: before.filter(|_| !self.tasks.iter().any(sees)),
                }
            }
            other => {
                if first {
                    task.phase = rest(now, task.mapped, refresh);
                }
                if other.is_err() {
                    Gathered::Malformed
                } else {
                    Gathered::Refused
                }
            }
        })
    }
}

/// Where a task stands whose server has nothing new to say: what is known of before stays, and is kept alive.
fn rest(now: Instant, mapped: Option<SocketAddr>, refresh: Duration) -> Phase {
    mapped.map_or(Phase::Over, |_| Phase::Mapped(after(now, refresh)))
}

/// A Binding request without credentials (RFC 8445 §5.1.1.2).
fn write(id: TransactionId, out: &mut [u8]) -> Result<usize, BuildError> {
    let mut builder = Builder::new(out, Class::Request, Method::BINDING, id)?;
    builder.fingerprint()?;
    Ok(builder.finish().len())
}
