//! What client and server of DTLS 1.2 do alike.

use crate::config::Config;
use crate::crypto::SuiteParameters;
use crate::hello::RANDOM_LEN;
use crate::negotiation::AgreedSrtp;
use crate::registry::{CipherSuite, NamedGroup, Version};
use crate::session::{Secrets, Session};
use crate::v12::schedule::Master;

/// The epoch of everything protected: DTLS 1.2 without renegotiation has no other.
pub(super) const PROTECTED_EPOCH: u16 = 1;

/// No record of a higher epoch is ever of use.
pub(crate) const HIGHEST_EPOCH: u16 = PROTECTED_EPOCH;

/// What the hellos settled.
#[derive(Debug)]
pub(super) struct Hellos {
    pub(super) suite: CipherSuite,
    pub(super) parameters: SuiteParameters,
    pub(super) srtp: Option<AgreedSrtp>,
    pub(super) client_random: [u8; RANDOM_LEN],
    pub(super) server_random: [u8; RANDOM_LEN],
}

impl Hellos {
    pub(super) fn into_session(self, group: NamedGroup, master: Master) -> Session {
        Session {
            resumed: false,
            version: Version::DTLS_1_2,
            suite: self.suite,
            group,
            srtp: self.srtp,
            secrets: Secrets::V12(master),
            epoch: PROTECTED_EPOCH,
        }
    }

    /// What a `ServerKeyExchange` signs (RFC 8422 §5.4).
    pub(super) fn signed_parameters(&self, parameters: &[u8]) -> Vec<u8> {
        [&self.client_random[..], &self.server_random, parameters].concat()
    }
}

/// The DTLS 1.2 suites that configuration, library and this crate have, best first.
pub(crate) fn own_suites(config: &Config) -> impl Iterator<Item = (CipherSuite, SuiteParameters)> + '_ {
    let known = config.crypto.cipher_suites();
    let suites = config
        .cipher_suites
        .iter()
        .copied()
        .filter(|suite| known.contains(suite));
    suites.filter_map(|suite| Some((suite, suite.parameters()?)))
}
