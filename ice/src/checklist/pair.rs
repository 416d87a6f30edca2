#![deny(clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

use crate::role::Role;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use wire::Path;

/// Tells a pair from all others of an agent. Its path does not: that of a TCP pair changes when it is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PairId(pub(super) u32);

/// Where the checks of a pair stand (RFC 8445 §6.1.2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Waits until another pair of its foundation has worked.
    Frozen,
    /// May be checked.
    Waiting,
    /// A check is under way, or the connection for it.
    InProgress,
    /// It works.
    Succeeded,
    /// It does not.
    Failed,
}

/// The connection under a pair with an active TCP candidate of ours (RFC 6544 §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Connection {
    /// None is needed, or it is there.
    Ready,
    /// To be opened before the first check.
    Needed,
    /// The caller was asked to open it.
    Opening,
}

/// So often the peer may leave out an answer before another pair is looked for, and used.
pub(super) const MISSED: u32 = 4;

/// So many checks without an answer may be laden with what a rider has, as many as an unanswered check is sent in all: an
/// address that somebody has named, or a check seems to come from, gets no more of it.
const LADEN: u32 = 7;

/// Our candidate and the peer's.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) id: PairId,
    pub(super) path: Path,
    /// The base of our candidate: that of the path, but for connections, whose ports are their own.
    pub(super) base: SocketAddr,
    pub(super) local_priority: u32,
    pub(super) remote_priority: u32,
    /// The foundations of both candidates. An empty one is like no other.
    pub(super) foundation: (String, String),
    pub(super) state: State,
    pub(super) connection: Connection,
    /// The peer nominated it before it worked (RFC 8445 §7.3.1.5): the number in NOMINATION, 0 without it.
    pub(super) peer_nominates: Option<u32>,
    /// How often checks of the peer's had a check under way replaced.
    pub(super) replaced: u32,
    /// How many checks were sent on it since the peer answered one last, whatever for.
    pub(super) sent: u32,
    /// When a check of the peer's came on it last, under the present credentials.
    pub(super) heard: Option<Instant>,
    /// When its first check was sent, or its connection asked for.
    pub(super) first_sent: Option<Instant>,
    pub(super) rtt: Option<Duration>,
    /// When the peer answered last: consent to send on it counts from then.
    pub(super) answered: Option<Instant>,
    /// How many requests for consent were sent since, and when the first of them.
    pub(super) unanswered: u32,
    pub(super) unanswered_since: Option<Instant>,
    /// When consent is asked for next, and when it would be if all was answered.
    pub(super) ask_next: Option<Instant>,
    pub(super) ask_regularly: Option<Instant>,
    /// Another pair answers and this one does not.
    pub(super) doubtful: bool,
    /// Consent has expired, or the peer has revoked it: no check goes there under these credentials (RFC 7675 §5.1).
    pub(super) consent_lost: bool,
}

impl Pair {
    pub(super) fn new(id: PairId, path: Path, priorities: (u32, u32), foundation: (String, String)) -> Self {
        Self {
            id,
            path,
            base: path.local,
            local_priority: priorities.0,
            remote_priority: priorities.1,
            foundation,
            state: State::Frozen,
            connection: Connection::Ready,
            peer_nominates: None,
            replaced: 0,
            sent: 0,
            heard: None,
            first_sent: None,
            rtt: None,
            answered: None,
            unanswered: 0,
            unanswered_since: None,
            ask_next: None,
            ask_regularly: None,
            doubtful: false,
            consent_lost: false,
        }
    }

    /// RFC 8445 §6.1.2.3: G is the controlling agent's.
    pub(super) fn priority(&self, role: Role) -> u64 {
        let (g, d) = match role {
            Role::Controlling => (self.local_priority, self.remote_priority),
            Role::Controlled => (self.remote_priority, self.local_priority),
        };
        (u64::from(g.min(d)) << 32)
            .saturating_add(u64::from(g.max(d)).saturating_mul(2))
            .saturating_add(u64::from(g > d))
    }

    pub(super) fn shares_foundation(&self, other: &Self) -> bool {
        let (local, remote) = &self.foundation;
        !local.is_empty() && !remote.is_empty() && self.foundation == other.foundation
    }

    pub(super) fn works(&self) -> bool {
        self.state == State::Succeeded
    }

    /// Whether its next check may be laden with what a rider has.
    pub(super) const fn may_be_laden(&self) -> bool {
        self.sent < LADEN
    }

    /// Whether it works, as far as the peer's answers tell.
    pub(super) fn answers(&self) -> bool {
        self.works() && !self.doubtful && self.unanswered < MISSED
    }

    /// The peer answered a check.
    pub(super) fn answer(&mut self, now: Instant) {
        self.state = State::Succeeded;
        self.answered = Some(now);
        self.unanswered = 0;
        self.unanswered_since = None;
        self.sent = 0;
        self.doubtful = false;
        self.ask_next = self.ask_regularly;
    }

    /// It does not work, or no longer.
    pub(super) fn fail(&mut self) {
        self.state = State::Failed;
        self.doubtful = false;
        self.peer_nominates = None;
    }

    /// There is no consent to send on it any more.
    pub(super) fn lose_consent(&mut self) {
        self.fail();
        self.heard = None;
        self.consent_lost = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formula_of_pair_priorities() {
        let at = "192.0.2.1:1".parse().unwrap();
        let pair = |ours, theirs| Pair::new(PairId(0), Path::udp(at, at), (ours, theirs), Default::default());
        // RFC 8445 §6.1.2.3: 2^32*MIN(G,D) + 2*MAX(G,D) + (G>D?1:0).
        assert_eq!(pair(5, 3).priority(Role::Controlling), (3 << 32) + 10 + 1);
        assert_eq!(pair(3, 5).priority(Role::Controlling), (3 << 32) + 10);
        assert_eq!(pair(5, 3).priority(Role::Controlled), (3 << 32) + 10);
        // Both sides come to the same.
        assert_eq!(
            pair(5, 3).priority(Role::Controlling),
            pair(3, 5).priority(Role::Controlled)
        );
        assert_eq!(pair(7, 7).priority(Role::Controlled), (7 << 32) + 14);
    }
}
