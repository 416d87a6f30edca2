//! DTLS 1.3 against what others have written down and what browsers have sent.

mod captures;
pub(crate) mod pair;
mod protection;
mod resumption;
mod vectors;
mod wear;

use std::sync::Arc;

use super::Protection;
use super::schedule::{Hkdf, Traffic};
use crate::crypto::RingCrypto;
use crate::registry::CipherSuite;

/// All suites of DTLS 1.3.
pub(crate) const SUITES: [CipherSuite; 3] = [
    CipherSuite::TLS_AES_128_GCM_SHA256,
    CipherSuite::TLS_AES_256_GCM_SHA384,
    CipherSuite::TLS_CHACHA20_POLY1305_SHA256,
];

/// Keys that differ from epoch to epoch.
pub(crate) fn protection(suite: CipherSuite, epoch: u16) -> Protection {
    let parameters = suite.parameters_13().unwrap();
    let hkdf = Hkdf::new(Arc::new(RingCrypto::new()), parameters.hash);
    Traffic::from_secret(hkdf, parameters, &secret(suite, epoch))
        .protection(epoch)
        .unwrap()
}

/// What [`protection`] is made of.
fn secret(suite: CipherSuite, epoch: u16) -> Vec<u8> {
    vec![epoch as u8; suite.parameters_13().unwrap().hash.digest_len()]
}

/// Bytes from hexadecimal digits.
fn hex(digits: &str) -> Vec<u8> {
    assert!(digits.len().is_multiple_of(2));
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}
