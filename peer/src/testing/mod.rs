//! What tests of this crate and of those above it need: a strict reader of answers, and a client that offers.
//!
//! - [`check_answer`]: holds an answer to the rules of the RFCs.
//! - [`Client`]: the offering side, made of our own engines, in virtual time.
//! - [`Pair`]: a client and a [`Peer`](crate::Peer) with a link between them.
//! - [`Collected`]: a sink that keeps what it is given.
//!
//! Behind the feature `testing`. Nothing here is for production: misuse panics.

mod answer_rules;
mod client;
mod collected;
mod media;
mod pair;

pub use answer_rules::check_answer;
pub use client::{Client, Resend};
pub use collected::{Collected, CollectedRtp};
pub use media::{Media, ReceivedRtp};
pub use pair::Pair;
