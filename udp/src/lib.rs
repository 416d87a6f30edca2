//! Batched UDP for mio.
//!
//! - [`Socket`]: one address family, path MTU discovery left to us, every datagram with the local address that it came
//!   to.
//! - [`RecvBatch`]: what one `recvmmsg` brought, split into datagrams again where the kernel had joined them (GRO).
//! - [`SendBatch`]: what one `sendmmsg` takes: runs of datagrams (GSO), each from its own source address.
//! - [`Counters`], [`Traffic`]: what went wrong, and how much went through.
//!
//! This is the only crate of Hyaline with `unsafe` in it, and all of that is in one file, the one that talks to
//! `sendmmsg`, `getsockopt` and `setsockopt`.

mod counters;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod mmsg;
mod recv;
mod send;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod single;
mod socket;

pub use counters::{Counters, Traffic};
pub use recv::{Datagram, Datagrams, RecvBatch};
pub use send::{Full, MAX_MESSAGE, MAX_SEGMENTS, SendBatch, Sent};
pub use socket::Socket;
