//! Networks of their own for tests: namespaces of Linux, with firewalls and NATs, that go away however the test ends.
//!
//! - [`Namespace`]: made, joined to others, entered, cut off.
//! - [`Guard`]: clears away what a test that was killed has left.
//!
//! Only tests use it. It needs root, iproute2 and nftables.

mod error;
mod guard;
mod namespace;

pub use error::Error;
pub use guard::Guard;
pub use namespace::Namespace;
