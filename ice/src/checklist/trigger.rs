#![deny(clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

use super::Checklist;
use super::pair::{Connection, Pair, PairId, State};
use std::time::Instant;
use wire::Path;

/// Most checks that are replaced on a pair because of the peer's own while none is answered: as many as an unanswered
/// check is sent in all.
const REPLACED: u32 = 7;

/// A check of the peer's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trigger<'a> {
    pub(crate) path: &'a Path,
    /// Of our candidate that it came to.
    pub(crate) local_priority: u32,
    pub(crate) local_foundation: &'a str,
    /// Of the peer's candidate that it came from.
    pub(crate) remote_priority: u32,
    pub(crate) remote_foundation: &'a str,
    pub(crate) use_candidate: bool,
    /// The number in NOMINATION.
    pub(crate) nomination: Option<u32>,
}

/// A nomination of the peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Nominated {
    /// The number in NOMINATION; 0 without it.
    pub(crate) number: u32,
    /// Priority of the pair.
    pub(crate) order: u64,
}

/// What a check of the peer's did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Triggered {
    /// No pair had to give way.
    pub(crate) room: bool,
    /// The peer has nominated a pair that works.
    pub(crate) nominated: Option<Nominated>,
}

impl Checklist {
    /// Wishes for one more check, beside those that are due anyway.
    pub(crate) const fn check_again(&mut self) {
        self.again = true;
    }

    /// Something has left that could take along what there is: whoever has more wishes again.
    pub(crate) const fn forget_wish(&mut self) {
        self.again = false;
    }

    /// Whether a pair may be checked once more before its answer.
    fn is_repeatable(pair: &Pair) -> bool {
        pair.state == State::InProgress && pair.connection == Connection::Ready && pair.may_be_laden()
    }

    /// Whether a check that was wished for can be sent.
    pub(super) fn has_wish(&self) -> bool {
        self.again && self.pairs.iter().any(Self::is_repeatable)
    }

    /// Takes the best of the pairs that wait for an answer for the check that was wished for, with another transaction: the
    /// one under way is not sent again, and may be answered. Behind NATs that is a pair of hosts, as a rule, which leads
    /// nowhere; so it comes `first` only where a check of the peer's came, which is where ours arrive, and else behind all
    /// pairs that were not checked yet.
    pub(super) fn take_wish(&mut self, first: bool) -> Option<PairId> {
        if !self.again {
            return None;
        }
        let fits = |pair: &&Pair| Self::is_repeatable(pair) && (!first || pair.heard.is_some());
        let id = self.pairs.iter().find(fits)?.id;
        self.cancel(id);
        Some(id)
    }

    /// Whether a check of the peer's has come on this path, not longer ago than consent lasts: what else comes there may be
    /// the peer's.
    pub(crate) fn hears(&self, now: Instant, path: &Path) -> bool {
        let heard = self.on_path(path).and_then(|pair| pair.heard);
        heard.is_some_and(|at| now.saturating_duration_since(at) < self.settings.consent)
    }

    /// A check of the peer's came on a path: it is tried next (RFC 8445 §7.3.1.4), as a pair with a peer-reflexive
    /// candidate if it is none yet (§7.3.1.3).
    pub(crate) fn trigger(&mut self, now: Instant, check: &Trigger<'_>) -> Triggered {
        let nomination = self.nomination_by(check);
        let mut room = true;
        let mut index = self.pairs.iter().position(|pair| pair.path == *check.path);
        if index.is_none() {
            let foundation = (check.local_foundation.to_owned(), check.remote_foundation.to_owned());
            room = self.add(*check.path, (check.local_priority, check.remote_priority), foundation);
            index = self.pairs.iter().position(|pair| pair.path == *check.path);
            // Perhaps the peer has changed its network.
            if self.nominated.is_some() {
                self.ask_selected(now);
            }
        }
        let mut outcome = Triggered { room, nominated: None };
        let role = self.role;
        let Some(pair) = index.and_then(|index| self.pairs.get_mut(index)) else {
            return outcome;
        };
        if pair.consent_lost {
            // Only a restart brings it back (RFC 7675 §5.1).
            return outcome;
        }
        pair.heard = Some(now);
        // A check that came on it shows that the connection is there.
        pair.connection = Connection::Ready;
        let id = pair.id;
        if pair.works() {
            if let Some(number) = nomination {
                let order = pair.priority(role);
                outcome.nominated = Some(Nominated { number, order });
                self.conclude(id);
                if self.selected != Some(*check.path) {
                    // Perhaps the peer has left the path in use.
                    self.ask_selected(now);
                }
            }
            return outcome;
        }
        pair.peer_nominates = pair.peer_nominates.max(nomination);
        if pair.state == State::InProgress {
            if pair.replaced >= REPLACED {
                return outcome;
            }
            // The one under way is not sent again; a new one is.
            pair.replaced = pair.replaced.saturating_add(1);
        }
        pair.state = State::Waiting;
        self.cancel(id);
        if !self.triggered.contains(&id) {
            self.triggered.push_back(id);
        }
        outcome
    }
}
