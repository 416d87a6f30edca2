//! The ICE agent (RFC 8445, RFC 8838, RFC 7675) without I/O.
//!
//! - [`Agent`]: one type for all modes. In [`Mode::Lite`] it answers the peer's checks and sends none of its own; in
//!   [`Mode::Full`] it gathers, checks, nominates or follows, and asks for consent.
//! - [`Candidate`]: addresses with their priorities and foundations; [`host_candidates`] computes them for a host's
//!   addresses, [`interface_candidates`] for those of all interfaces, which it filters.
//! - [`Rider`]: attributes of another protocol, which travel in checks and their answers.
//! - [`Deframer`], [`write_frame`]: the framing of TCP candidates (RFC 4571).
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
mod foundation;
mod framing;
mod gathering;
mod interface;
pub mod mdns;
mod pacer;
mod pair;
mod response;
mod rider;
mod role;
mod timer;
mod transactions;

pub use agent::Agent;
pub use candidate::{Candidate, CandidateKind, TcpType, host_candidates};
pub use config::{Config, Mode};
pub use counters::Counters;
pub use credentials::{Credentials, CredentialsError, addressed_ufrag};
pub use event::{Activity, Event, State};
pub use framing::{Deframer, FRAME_HEADER, FrameTooLong, frame_header, write_frame};
pub use gathering::GatheringState;
pub use interface::{Interface, interface_candidates};
pub use pair::PairInfo;
pub use response::MIN_OUT;
pub use rider::{Attachments, Rider};
pub use role::Role;
pub use timer::Timer;
