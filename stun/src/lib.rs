//! STUN and TURN messages (RFC 8489, RFC 8656) and the attributes of ICE (RFC 8445 §16.1), without I/O and without
//! allocation.
//!
//! - [`Message`]: a view over the bytes of one message; unknown attributes stay in sight.
//! - [`Attribute`], [`Value`]: one attribute raw, and decoded with its rules checked.
//! - [`Builder`]: writes a message into a buffer of the caller's.
//! - [`Key`]: short-term and long-term credentials as keyed HMAC states, made once per peer.
//! - [`Authenticated`]: the proof that a message's integrity was verified.
//! - [`is_stun`]: tells STUN from DTLS and SRTP on one port (RFC 7983).
//!
//! What a missing attribute means, and what is answered, is the affair of the usage (ICE, TURN), not of this crate.
//!
//! ```
//! use stun::{Builder, Class, Key, Message, Method, TransactionId, Value};
//!
//! let key = Key::short_term("VOkJxbRl1RmTxUk/WvJxBt");
//! let mut out = [0; 128];
//! let mut builder = Builder::new(&mut out, Class::Request, Method::BINDING, TransactionId([7; 12]))?;
//! builder.push(&Value::Username("evtj:h6vY"))?;
//! builder.push(&Value::Priority(0x6e00_01ff))?;
//! builder.integrity(&key)?;
//! builder.fingerprint()?;
//! let bytes = builder.finish();
//!
//! let message = Message::parse(bytes)?;
//! message.verify_fingerprint()?;
//! let proven = message.verify_integrity(&key)?;
//! assert_eq!(proven.message().username()?, Some("evtj:h6vY"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
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

mod attribute;
mod builder;
mod dump;
mod integrity;
mod key;
mod message;
mod nonce;
mod password;
mod registry;
mod value;

pub use attribute::{Attribute, Attributes};
pub use builder::{BuildError, Builder};
pub use dump::Dump;
pub use integrity::{Authenticated, FingerprintError, IntegrityAlgorithm, IntegrityError};
pub use key::{Key, userhash};
pub use message::{Class, HEADER_LEN, MAGIC_COOKIE, Message, TransactionId, is_stun};
pub use nonce::SecurityFeatures;
pub use password::{PasswordAlgorithms, PasswordParameters};
pub use registry::{AddressFamily, AttributeType, ErrorCode, Method, PasswordAlgorithm};
pub use value::{CrcList, ErrorReason, TypeList, Value};
