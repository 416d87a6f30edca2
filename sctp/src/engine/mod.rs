//! The parts of an association. None knows another but through arguments; [`Association`](crate::Association) composes them.

pub(crate) mod congestion;
pub(crate) mod inbound;
pub(crate) mod outbound;
pub(crate) mod path;
pub(crate) mod reset;
pub(crate) mod rtt;
pub(crate) mod setup;
