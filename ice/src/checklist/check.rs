#![deny(clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

use super::pair::Pair;
use super::request::{Purpose, Request};
use super::{Checklist, Remote};
use crate::credentials::{Credentials, UFRAG_LEN};
use crate::rider::{Attachments, Rider};
use crate::role::Role;
use stun::{BuildError, Builder, Class, Method, Value};

/// The longest check, in bytes: header, USERNAME (their ufrag, a colon, ours), ICE-CONTROLLING, USE-CANDIDATE,
/// NOMINATION, PRIORITY, MESSAGE-INTEGRITY, FINGERPRINT.
#[allow(clippy::arithmetic_side_effects, reason = "the compiler would tell of an overflow")]
pub(crate) const MAX_CHECK: usize = 20
    + attribute(Credentials::MAX_LEN + 1 + UFRAG_LEN)
    + attribute(8)
    + attribute(0)
    + attribute(4)
    + attribute(4)
    + attribute(20)
    + attribute(4);

/// The bytes of an attribute: type, length, and the value padded to words (RFC 8489 §14).
const fn attribute(value: usize) -> usize {
    value.next_multiple_of(4).saturating_add(4)
}

impl Checklist {
    /// RFC 8445 §7.2.2; `priority` is that which our candidate would have as a peer-reflexive one (§7.1.1).
    pub(super) fn write(
        &self,
        remote: &Remote,
        request: &Request,
        priority: u32,
        rider: &mut dyn Rider,
        out: &mut [u8],
    ) -> Result<usize, BuildError> {
        let mut builder = Builder::new(out, Class::Request, Method::BINDING, request.id)?;
        builder.push(&Value::Username(&remote.username))?;
        builder.push(&match request.role {
            Role::Controlling => Value::IceControlling(request.tiebreaker),
            Role::Controlled => Value::IceControlled(request.tiebreaker),
        })?;
        if request.purpose == Purpose::Nominate {
            builder.push(&Value::UseCandidate)?;
        }
        if request.nomination > 0 {
            builder.push(&Value::Nomination(request.nomination))?;
        }
        builder.push(&Value::Priority(priority))?;
        let pair = self.pair(request.pair);
        let is_aside = pair.is_none_or(|pair| self.selected != Some(pair.path));
        let mut attachments = if pair.is_none_or(Pair::may_be_laden) {
            Attachments::new(&mut builder)
        } else {
            Attachments::light(&mut builder)
        };
        attachments = attachments.aside(is_aside);
        rider.attach(Class::Request, &mut attachments);
        builder.integrity(&remote.key)?;
        builder.fingerprint()?;
        Ok(builder.finish().len())
    }
}
