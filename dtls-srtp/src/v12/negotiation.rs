//! What client and server of DTLS 1.2 do alike.

use crate::association::Association;
use crate::crypto::{SuiteParameters, VerifyError};
use crate::event::CloseReason;
use crate::hello::RANDOM_LEN;
use crate::profile::SrtpProfile;
use crate::registry::{CipherSuite, HandshakeType, NamedGroup, SignatureScheme, Version};
use crate::session::Session;
use crate::v12::message::CertificateChain;
use crate::v12::schedule::Master;
use crate::x509::PublicKey;

/// The epoch of everything protected: DTLS 1.2 without renegotiation has no other.
pub(super) const PROTECTED_EPOCH: u16 = 1;

/// No record of a higher epoch is ever of use.
pub(crate) const HIGHEST_EPOCH: u16 = PROTECTED_EPOCH;

/// What the hellos settled.
#[derive(Debug)]
pub(super) struct Hellos {
    pub(super) suite: CipherSuite,
    pub(super) parameters: SuiteParameters,
    pub(super) profile: Option<SrtpProfile>,
    pub(super) client_random: [u8; RANDOM_LEN],
    pub(super) server_random: [u8; RANDOM_LEN],
}

impl Hellos {
    pub(super) fn into_session(self, group: NamedGroup, master: Master) -> Session {
        Session {
            version: Version::DTLS_1_2,
            suite: self.suite,
            group,
            profile: self.profile,
            master,
            epoch: PROTECTED_EPOCH,
        }
    }

    /// What a `ServerKeyExchange` signs (RFC 8422 §5.4).
    pub(super) fn signed_parameters(&self, parameters: &[u8]) -> Vec<u8> {
        [&self.client_random[..], &self.server_random, parameters].concat()
    }
}

/// An error of a message's parser, named after the message.
pub(super) fn malformed(message: HandshakeType) -> impl Fn(wire::Error) -> CloseReason {
    move |error| CloseReason::Malformed { message, error }
}

/// Takes the peer's `Certificate` and compares it with the fingerprints, if they are there already.
pub(super) fn take_certificate(association: &mut Association, body: &[u8]) -> Result<(), CloseReason> {
    let chain = CertificateChain::parse(body).map_err(malformed(HandshakeType::CERTIFICATE))?;
    // Only the first one counts: there is no authority to lead a chain to.
    let der = chain.iter().next().ok_or(CloseReason::NoPeerCertificate)?;
    let key = PublicKey::of_certificate(der).map_err(CloseReason::BadCertificate)?;
    if key.rsa_modulus_bits().is_some_and(|bits| bits < 2048) {
        return Err(CloseReason::WeakPeerKey);
    }
    association.identity.set_certificate(der)
}

/// Verifies a signature with the key of the peer's certificate.
pub(super) fn verify(
    association: &Association,
    scheme: SignatureScheme,
    message: &[u8],
    signature: &[u8],
) -> Result<(), CloseReason> {
    let der = association
        .identity
        .certificate()
        .ok_or(CloseReason::NoPeerCertificate)?;
    let key = PublicKey::of_certificate(der).map_err(CloseReason::BadCertificate)?;
    association
        .config
        .crypto
        .verify(&key, scheme, message, signature)
        .map_err(|error| match error {
            VerifyError::UnsupportedScheme => {
                CloseReason::IllegalParameter("a signature uses a scheme that was offered")
            }
            VerifyError::KeyDoesNotFit => CloseReason::UnsupportedPeerKey,
            VerifyError::WeakKey => CloseReason::WeakPeerKey,
            VerifyError::BadSignature => CloseReason::BadSignature,
        })
}

/// The scheme that we sign with, out of those that the peer verifies.
pub(super) fn own_scheme(
    association: &Association,
    offered: impl Iterator<Item = u16>,
) -> Result<SignatureScheme, CloseReason> {
    let offered: Vec<_> = offered.map(SignatureScheme).collect();
    association
        .config
        .certificate
        .key()
        .choose_scheme(&offered)
        .ok_or(CloseReason::NoCommonSignatureScheme)
}

/// The groups that both configuration and library have, best first.
pub(super) fn own_groups(association: &Association) -> impl Iterator<Item = NamedGroup> + '_ {
    let known = association.config.crypto.groups();
    association
        .config
        .groups
        .iter()
        .copied()
        .filter(|group| known.contains(group))
}

/// The DTLS 1.2 suites that configuration, library and this crate have, best first.
pub(super) fn own_suites(association: &Association) -> impl Iterator<Item = (CipherSuite, SuiteParameters)> + '_ {
    let known = association.config.crypto.cipher_suites();
    let suites = association
        .config
        .cipher_suites
        .iter()
        .copied()
        .filter(|suite| known.contains(suite));
    suites.filter_map(|suite| Some((suite, suite.parameters()?)))
}
