#![deny(clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

use super::Checklist;
use super::pair::State;
use super::request::{Purpose, Request};
use crate::rider::Rider;
use crate::role::Role;
use std::time::Instant;
use stun::{Authenticated, Class, ErrorCode, Message, Method};
use wire::Path;

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
    /// The peer takes back its consent, at once (403, RFC 7675 §5.2).
    Revoked,
    /// The peer believes that it has our role (487).
    RoleConflict,
}

/// A pair that works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Success {
    /// In the session of the newest credentials, not in the one before a restart.
    pub(crate) newest: bool,
    /// It is nominated by this: we did, or the peer had before it worked, and with which number in NOMINATION (0 for
    /// ours).
    pub(crate) nominated: Option<u32>,
    pub(crate) local_priority: u32,
    pub(crate) remote_priority: u32,
    /// Priority of the pair.
    pub(crate) order: u64,
}

impl Checklist {
    /// Takes an answer; `None` when the datagram is none.
    pub(crate) fn take_response(
        &mut self,
        now: Instant,
        path: &Path,
        message: &Message<'_>,
        rider: &mut dyn Rider,
    ) -> Option<Outcome> {
        let refused = match message.class() {
            Class::SuccessResponse => false,
            Class::ErrorResponse => true,
            Class::Request | Class::Indication => return None,
        };
        Some(self.respond(now, path, message, refused, rider))
    }

    fn respond(
        &mut self,
        now: Instant,
        path: &Path,
        message: &Message<'_>,
        refused: bool,
        rider: &mut dyn Rider,
    ) -> Outcome {
        let id = message.transaction_id();
        if message.method() != Method::BINDING {
            return Outcome::Unexpected;
        }
        if self.is_on_previous(id) {
            return self.respond_on_previous(now, path, message, refused);
        }
        let Some(index) = self.requests.iter().position(|request| request.id == id) else {
            return if self.done.contains(&id) {
                Outcome::Late
            } else {
                Outcome::Unexpected
            };
        };
        let proven = match self.remote.as_ref().map(|remote| remote.authenticate(message)) {
            Some(Ok(proven)) => proven,
            Some(Err(outcome)) => return outcome,
            None => return Outcome::Unexpected,
        };
        let request = self.requests.remove(index);
        self.finish(id);
        if refused {
            let outcome = refusal(proven);
            self.fail(&request, outcome);
            return outcome;
        }
        if self.pair(request.pair).is_none_or(|pair| pair.path != *path) {
            self.fail(&request, Outcome::Asymmetric);
            return Outcome::Asymmetric;
        }
        let Some(success) = self.succeed(now, &request) else {
            return Outcome::Late;
        };
        rider.deliver(&proven);
        Outcome::Works(success)
    }

    /// A check was refused, or answered the wrong way (RFC 8445 §7.2.5.2). A pair that works is left to its consent,
    /// which the peer ends with 403 (RFC 7675 §5.2) or by not answering. Who refuses to be told to use it has no use
    /// for it (§7.2.5.3.4), and would be told for ever.
    fn fail(&mut self, request: &Request, outcome: Outcome) {
        if outcome == Outcome::RoleConflict && !self.peer_is_lite {
            return self.yield_role(request);
        }
        if outcome == Outcome::Revoked {
            return self.end_consent(request.pair);
        }
        let refused = request.purpose == Purpose::Nominate && outcome != Outcome::Asymmetric;
        let Some(pair) = self.pair_mut(request.pair).filter(|pair| refused || !pair.works()) else {
            return;
        };
        let (path, worked) = (pair.path, pair.works());
        pair.fail();
        if worked {
            self.lost.push(path);
        }
        self.cancel(request.pair);
    }

    /// RFC 8445 §7.2.5.3.
    fn succeed(&mut self, now: Instant, request: &Request) -> Option<Success> {
        let (role, nominates) = (self.role, request.purpose == Purpose::Nominate);
        // Of one that was sent more than once nobody knows which was answered.
        let rtt = (request.sent == 1).then(|| now.saturating_duration_since(request.first_sent));
        let regular = self.draw_consent(now);
        let pair = self.pair_mut(request.pair)?;
        let first = pair.state != State::Succeeded;
        if first || nominates {
            pair.ask_regularly = Some(regular);
        }
        pair.answer(now);
        pair.rtt = rtt.or(pair.rtt);
        pair.replaced = 0;
        let nominated = match role {
            // One that was given up for another is none any more, even if it is answered at last (RFC 8445 §8.1.1).
            Role::Controlling => (nominates && request.role == role && request.next.is_some()).then_some(0),
            Role::Controlled => pair.peer_nominates.take(),
        };
        let success = Success {
            newest: true,
            nominated,
            local_priority: pair.local_priority,
            remote_priority: pair.remote_priority,
            order: pair.priority(role),
        };
        self.rtt = rtt.or(self.rtt);
        self.first_success.get_or_insert(now);
        self.triggered.retain(|id| *id != request.pair);
        if nominated.is_some() {
            self.cancel(request.pair);
        } else if request.purpose == Purpose::Probe {
            // A nomination that is under way already stays the one: another would begin anew.
            self.cancel_probes(request.pair);
        }
        if first {
            self.unfreeze_kin(request.pair);
            if self.nominated.is_some() {
                self.ask_selected(now);
            }
        }
        if nominated.is_some() {
            self.conclude(request.pair);
        }
        self.judge_selected();
        Some(success)
    }
}

/// What a peer's error response means.
pub(super) fn refusal(proven: Authenticated<'_>) -> Outcome {
    match proven.message().error_code() {
        Ok(Some(error)) if error.code == ErrorCode::ROLE_CONFLICT => Outcome::RoleConflict,
        Ok(Some(error)) if error.code == ErrorCode::FORBIDDEN => Outcome::Revoked,
        Ok(_) => Outcome::Refused,
        Err(_) => Outcome::Malformed,
    }
}
