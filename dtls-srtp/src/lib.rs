//! DTLS (RFC 6347) and SRTP (RFC 3711, RFC 7714) with their meeting point RFC 5764, without I/O.
//!
//! - [`SrtpProfile`], [`KeyAndSalt`], [`SrtpKeys`]: what the handshake hands to SRTP.
//! - [`srtp`]: sealing and opening of media packets.

mod profile;
pub mod srtp;

pub use profile::{KeyAndSalt, ProtectionProfile, SrtpKeys, SrtpProfile};
