#![deny(clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

use super::request::{Purpose, Request};
use super::response::refusal;
use super::{Checklist, Outcome, Remote, Success};
use crate::candidate::peer_reflexive_priority;
use crate::timer::after;
use std::collections::VecDeque;
use std::time::Instant;
use stun::{Message, TransactionId};
use wire::Path;

/// The session before a restart. Media takes its path until the new session has nominated a pair (RFC 8445 §9), and so
/// long the peer is asked whether it still wants that (RFC 7675 §5.1).
#[derive(Debug)]
pub(super) struct Previous {
    remote: Remote,
    path: Path,
    priorities: (u32, u32),
    order: u64,
    ask_next: Instant,
    /// When the peer answered last.
    answered: Instant,
    /// The requests that may be answered, the oldest first.
    asked: VecDeque<(TransactionId, Instant)>,
}

/// Most requests that may be answered: more than are sent until consent has expired.
const ASKED: usize = 16;

impl Checklist {
    /// At a restart: what is needed to go on asking on `path`, which media takes. Requests that are under way there may
    /// still be answered.
    pub(super) fn leave_behind(&mut self, now: Instant, path: Path) -> Option<Previous> {
        let remote = self.remote.take()?;
        let pair = self.on_path(&path)?;
        let (id, priorities, order) = (
            pair.id,
            (pair.local_priority, pair.remote_priority),
            pair.priority(self.role),
        );
        let (regular, answered) = (pair.ask_regularly, pair.answered.unwrap_or(now));
        let on_it = |request: &&Request| request.pair == id && request.purpose == Purpose::Consent;
        let asked = self
            .requests
            .iter()
            .filter(on_it)
            .map(|request| (request.id, request.first_sent));
        let asked: VecDeque<_> = asked.take(ASKED).collect();
        self.requests
            .retain(|request| !asked.iter().any(|(asked, _)| *asked == request.id));
        Some(Previous {
            remote,
            path,
            priorities,
            order,
            ask_next: regular.unwrap_or_else(|| self.draw_consent(now)),
            answered,
            asked,
        })
    }

    pub(crate) fn previous_path(&self) -> Option<Path> {
        self.previous.as_ref().map(|previous| previous.path)
    }

    /// The new session has nominated a pair, or there is nothing to ask for any more.
    pub(crate) fn forget_previous(&mut self) {
        let asked = self.previous.take().map(|previous| previous.asked).unwrap_or_default();
        asked.into_iter().for_each(|(id, _)| self.finish(id));
    }

    /// When the next request is due, or consent ends.
    pub(super) fn previous_due(&self) -> Option<Instant> {
        let previous = self.previous.as_ref()?;
        Some(previous.ask_next.min(after(previous.answered, self.settings.consent)))
    }

    /// Writes the next request for consent on the old path when it is due.
    pub(super) fn ask_previous(&mut self, now: Instant, out: &mut [u8]) -> Option<(Path, usize)> {
        let mut previous = self.previous.take_if(|previous| previous.ask_next <= now)?;
        let request = self.begin(now, super::PairId(0), Purpose::Consent);
        let priority = peer_reflexive_priority(previous.priorities.0, previous.path.protocol);
        let written = self.write(&previous.remote, &request, priority, &mut (), out);
        if previous.asked.len() >= ASKED
            && let Some((id, _)) = previous.asked.pop_front()
        {
            self.finish(id);
        }
        // Each is sent once only, written or not.
        previous.asked.push_back((request.id, now));
        previous.ask_next = self.draw_consent(now);
        let path = previous.path;
        self.previous = Some(previous);
        Some((path, written.ok()?))
    }

    /// Ends the old session when consent has ended.
    pub(super) fn judge_previous(&mut self, now: Instant) {
        let silence = self.settings.consent;
        let over = |previous: &Previous| now.saturating_duration_since(previous.answered) >= silence;
        if self.previous.as_ref().is_some_and(over)
            && let Some(path) = self.previous_path()
        {
            self.forget_previous();
            self.lost.push(path);
        }
    }

    /// Whether a response is one to the old session's requests.
    pub(super) fn is_on_previous(&self, id: TransactionId) -> bool {
        let asked = |previous: &Previous| previous.asked.iter().any(|(asked, _)| *asked == id);
        self.previous.as_ref().is_some_and(asked)
    }

    /// Takes the answer to such a request.
    pub(super) fn respond_on_previous(
        &mut self,
        now: Instant,
        path: &Path,
        message: &Message<'_>,
        refused: bool,
    ) -> Outcome {
        let id = message.transaction_id();
        let Some(previous) = &mut self.previous else {
            return Outcome::Unexpected;
        };
        let proven = match previous.remote.authenticate(message) {
            Ok(proven) => proven,
            Err(outcome) => return outcome,
        };
        let place = previous.asked.iter().position(|(asked, _)| *asked == id);
        let asked = place.and_then(|place| previous.asked.remove(place));
        let outcome = if refused {
            let outcome = refusal(proven);
            if outcome == Outcome::Revoked {
                let path = previous.path;
                self.forget_previous();
                self.lost.push(path);
            }
            outcome
        } else if previous.path != *path {
            Outcome::Asymmetric
        } else {
            previous.answered = now;
            self.rtt = asked.map(|(_, sent)| now.saturating_duration_since(sent)).or(self.rtt);
            Outcome::Works(Success {
                newest: false,
                nominated: None,
                local_priority: previous.priorities.0,
                remote_priority: previous.priorities.1,
                order: previous.order,
            })
        };
        self.finish(id);
        outcome
    }
}
