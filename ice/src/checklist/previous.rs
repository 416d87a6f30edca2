#![deny(clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

use super::{Checklist, Outcome, Purpose, Remote, Success, refusal};
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
    /// Whether the path was nominated, not only found to work.
    nominated: bool,
    ask_next: Instant,
    /// The last request, and when it was sent.
    asked: Option<(TransactionId, Instant)>,
}

impl Previous {
    pub(super) const fn ask_next(&self) -> Instant {
        self.ask_next
    }

    /// Whether `id` is that of the last request.
    pub(super) fn asked(&self, id: TransactionId) -> bool {
        self.asked.is_some_and(|(asked, _)| asked == id)
    }
}

impl Checklist {
    /// At a restart: what is needed to go on asking on `path`, which media takes. A request that is under way there may
    /// still be answered.
    pub(super) fn leave_behind(&mut self, now: Instant, path: Path) -> Option<Previous> {
        let remote = self.remote.take()?;
        let pair = self.pairs.iter_mut().find(|pair| pair.path == path);
        let priorities = pair.as_ref().map_or((0, 0), |pair| pair.priorities);
        let request = pair.and_then(|pair| pair.request.take_if(|request| request.purpose == Purpose::Consent));
        let consent = self.consent.filter(|consent| consent.path == path);
        Some(Previous {
            remote,
            path,
            priorities,
            nominated: consent.is_some(),
            ask_next: consent.map_or_else(|| self.draw_consent(now), |consent| consent.ask_next),
            asked: request.map(|request| (request.id, request.first_sent)),
        })
    }

    /// The new session has nominated a pair, or there is nothing to ask for any more.
    pub(super) fn forget_previous(&mut self) {
        if let Some((id, _)) = self.previous.take().and_then(|previous| previous.asked) {
            self.finish(id);
        }
    }

    /// Writes the next request for consent on the old path when it is due.
    pub(super) fn ask_previous(&mut self, now: Instant, out: &mut [u8]) -> Option<(Path, usize)> {
        let mut previous = self.previous.take_if(|previous| previous.ask_next <= now)?;
        let id = self.draw_id();
        let written = self.write(&previous.remote, previous.priorities, id, Purpose::Consent, out);
        if let Some((before, _)) = previous.asked.replace((id, now)) {
            self.finish(before);
        }
        // Each is sent once only, written or not.
        previous.ask_next = self.draw_consent(now);
        let path = previous.path;
        self.previous = Some(previous);
        Some((path, written.ok()?))
    }

    /// Takes the answer to such a request.
    pub(super) fn respond_on_previous(
        &mut self,
        now: Instant,
        path: &Path,
        message: &Message<'_>,
        refused: bool,
    ) -> Outcome {
        let Some(previous) = &mut self.previous else {
            return Outcome::Unexpected;
        };
        let proven = match previous.remote.authenticate(message) {
            Ok(proven) => proven,
            Err(outcome) => return outcome,
        };
        let asked = previous.asked.take();
        let outcome = if refused {
            refusal(proven)
        } else if previous.path != *path {
            Outcome::Asymmetric
        } else {
            self.given = Some((*path, now));
            self.rtt = asked.map(|(_, sent)| now.saturating_duration_since(sent)).or(self.rtt);
            Outcome::Works(Success {
                newest: false,
                nominated: previous.nominated,
                local_priority: previous.priorities.0,
                remote_priority: previous.priorities.1,
            })
        };
        if let Some((id, _)) = asked {
            self.finish(id);
        }
        outcome
    }
}
