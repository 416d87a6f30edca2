//! What every protocol crate of Hyaline needs to read and write bytes, and nothing that knows a protocol.
//!
//! - [`Reader`] and [`Writer`]: cursors that cannot index and cannot overflow.
//! - [`registry!`]: newtypes for IANA registries, lossless for unknown values.
//! - [`Serial`], [`Unwrapper`]: serial-number arithmetic (RFC 1982) and its extension to 64 bits.
//! - [`counters!`]: named counters; a bad datagram raises one and changes nothing else.
//! - [`Path`], [`Transmit`], [`Ecn`]: where a datagram goes, for those few crates that see addresses.
//! - [`Seed`]: what all randomness of an engine grows from.
#![no_std]
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::unwrap_used
    )
)]

#[cfg(test)]
extern crate std;

mod counters;
mod net;
mod reader;
mod registry;
mod seed;
mod serial;
mod writer;

pub use counters::CounterSet;
pub use net::{Ecn, Path, Protocol, Transmit};
pub use reader::{Error, Reader};
pub use seed::Seed;
pub use serial::{Serial, Unwrapper};
pub use writer::{Full, Mark, Writer};
