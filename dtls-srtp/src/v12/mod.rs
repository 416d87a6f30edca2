//! What is particular to DTLS 1.2 (RFC 6347): its messages, its key schedule, its record protection and the order of
//! its flights. Records, reassembly, flights, timers and alerts are outside and know no version.

mod client;
mod message;
mod negotiation;
mod protection;
mod schedule;
mod server;
#[cfg(test)]
mod tests;

pub(crate) use client::Client;
pub use message::{
    CertificateChain, CertificateRequest, CertificateVerify, ClientKeyExchange, HelloVerifyRequest, ServerKeyExchange,
};
pub(crate) use negotiation::{HIGHEST_EPOCH, own_suites};
pub(crate) use protection::Protection;
pub(crate) use schedule::Master;
pub(crate) use server::Server;
