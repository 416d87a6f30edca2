//! What is particular to DTLS 1.3 (RFC 9147 on RFC 8446): its messages, its key schedule, its record protection and the
//! order of its flights. Records, reassembly, flights, timers and alerts are outside and know little of versions.

mod client;
mod connection_id;
mod header;
mod message;
mod negotiation;
mod protection;
mod psk;
mod resumption;
mod retry;
mod schedule;
mod server;
#[cfg(test)]
pub(crate) mod tests;
mod update;

pub(crate) use client::Client;
pub use connection_id::{NewConnectionId, RequestConnectionId};
pub use header::{ShortSequence, UnifiedHeader};
pub use message::{
    Ack, CertificateChain13, CertificateRequest13, EncryptedExtensions, KeyShareEntry, KeyShares, KeyUpdate,
    RecordNumber,
};
pub(crate) use negotiation::{FIRST_APPLICATION_EPOCH, HANDSHAKE_EPOCH, offered_suite, own_suites};
pub(crate) use protection::{Protection, split_unified};
pub(crate) use psk::write_psk_modes;
pub use psk::{NewSessionTicket, OfferedPsk, OfferedPsks};
pub(crate) use resumption::{PskOffer, received_ticket};
pub(crate) use retry::{Retried, Retry, check_legacy_cookie};
pub(crate) use schedule::ResumptionSecret;
pub(crate) use server::Server;
pub(crate) use update::Secrets;
