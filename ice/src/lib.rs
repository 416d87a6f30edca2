//! The ICE agent (RFC 8445, RFC 8838, RFC 7675) without I/O.
//!
//! - [`Agent`]: one type for all modes. In [`Mode::Lite`] it answers the peer's checks and sends none of its own; in
//!   [`Mode::Controlling`] it checks, nominates and asks for consent. What gathers candidates and takes either role is not
//!   there yet.
//! - [`Candidate`]: addresses with their priorities and foundations; [`host_candidates`] computes them for a host's addresses.
//! - [`Credentials`]: ufrag and password; [`addressed_ufrag`] reads whom a check is for.
//! - [`Counters`]: what was dropped or refused, and why.
//!
//! `docs/ice.md` tells how the path to send on is chosen and where this crate deviates from the RFCs.
#![deny(clippy::indexing_slicing, clippy::cast_possible_truncation, clippy::unwrap_used)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::unwrap_used
    )
)]

mod agent;
mod candidate;
mod checklist;
mod checks;
mod config;
mod consent;
mod counters;
mod credentials;
mod event;
pub mod mdns;
mod pair;
mod response;
mod timer;
mod transactions;

pub use agent::Agent;
pub use candidate::{Candidate, CandidateKind, TcpType, host_candidates};
pub use config::{Config, Mode};
pub use counters::Counters;
pub use credentials::{Credentials, CredentialsError, addressed_ufrag};
pub use event::{Activity, Event, State};
pub use pair::PairInfo;
pub use response::MIN_OUT;
pub use timer::Timer;
