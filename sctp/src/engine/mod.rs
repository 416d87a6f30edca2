//! The parts of an association. None knows another but through arguments; [`Association`](crate::Association) composes them.

pub(crate) mod congestion;
pub(crate) mod inbound;
pub(crate) mod outbound;
pub(crate) mod path;
pub(crate) mod reset;
pub(crate) mod rtt;
pub(crate) mod setup;

use std::time::Instant;

/// The earlier one of those that are set.
pub(crate) fn sooner(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        _ => one.or(other),
    }
}
