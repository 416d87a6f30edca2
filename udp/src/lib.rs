//! Batched UDP for mio.
//!
//! - [`Socket`]: one address family, path MTU discovery left to us, every datagram with the local address that it came
//!   to.
//! - [`RecvBatch`]: what one `recvmmsg` brought, split into datagrams again where the kernel had joined them (GRO).
//! - [`SendBatch`]: what one `sendmmsg` takes: runs of datagrams (GSO), each from its own source address.
//! - [`IcmpError`]: what became of a datagram, for a socket that asks for it.
//! - [`join_multicast`]: a socket of one link's group, as mDNS needs it.
//! - [`Counters`], [`Traffic`]: what went wrong, and how much went through.
//!
//! This is the only crate of Hyaline with `unsafe` in it, and all of that is in two files: `mmsg.rs`, which talks to
//! `sendmmsg`, `getsockopt` and `setsockopt`, and `error_queue.rs`, which talks to `recvmsg`.

mod counters;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod error_queue;
mod icmp;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod mmsg;
mod multicast;
mod recv;
mod send;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod single;
mod socket;

pub use counters::{Counters, Traffic};
pub use icmp::IcmpError;
pub use multicast::join_multicast;
pub use recv::{Datagram, Datagrams, RecvBatch};
pub use send::{Full, MAX_MESSAGE, MAX_SEGMENTS, SendBatch, Sent};
pub use socket::Socket;
