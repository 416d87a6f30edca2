//! What client and server of DTLS 1.3 do alike.

use crate::association::Association;
use crate::config::Config;
use crate::crypto::{HashAlgorithm, SuiteParameters13};
use crate::event::CloseReason;
use crate::hello::{RANDOM_LEN, ServerHello};
use crate::negotiation::{AgreedSrtp, check_answers, malformed, own_scheme};
use crate::registry::{CipherSuite, HandshakeType, NamedGroup, SignatureScheme, Version};
use crate::resumption::Resumable;
use crate::session::{Secrets as SessionSecrets, Session};
use crate::v12::CertificateVerify;
use crate::v13::Secrets;
use crate::v13::message::{CertificateChain13, signed_content};
use crate::v13::schedule::{ApplicationSecrets, Exporter, HandshakeSecrets, Hkdf, Traffic};

/// The epoch of the protected part of the handshake (RFC 9147 §6.1).
pub(crate) const HANDSHAKE_EPOCH: u16 = 2;

/// The epoch of application data before any KeyUpdate (RFC 9147 §6.1).
pub(crate) const FIRST_APPLICATION_EPOCH: u16 = 3;

/// What the hellos settled.
#[derive(Debug)]
pub(super) struct Hellos {
    pub(super) suite: CipherSuite,
    pub(super) parameters: SuiteParameters13,
    pub(super) group: NamedGroup,
    pub(super) client_random: [u8; RANDOM_LEN],
    pub(super) secrets: HandshakeSecrets,
}

/// The DTLS 1.3 suites that configuration, library and this crate have, best first.
pub(crate) fn own_suites(config: &Config) -> impl Iterator<Item = (CipherSuite, SuiteParameters13)> + '_ {
    let known = config.crypto.cipher_suites();
    let suites = config
        .cipher_suites
        .iter()
        .copied()
        .filter(|suite| known.contains(suite));
    suites.filter_map(|suite| Some((suite, suite.parameters_13()?)))
}

/// What a `ServerHello` or a `HelloRetryRequest` picks out of our offer (RFC 8446 §4.1.3).
pub(crate) fn offered_suite(
    association: &Association,
    hello: &ServerHello<'_>,
) -> Result<(CipherSuite, SuiteParameters13), CloseReason> {
    if hello.version != Version::DTLS_1_2 || hello.compression_method != 0 {
        return Err(CloseReason::IllegalParameter(
            "the legacy fields of a ServerHello say DTLS 1.2 without compression (RFC 8446 §4.1.3)",
        ));
    }
    // RFC 9147 §5 has servers echo nothing; ours was empty anyway.
    if !hello.session_id.is_empty() {
        return Err(CloseReason::IllegalParameter(
            "a server of DTLS 1.3 names no session (RFC 9147 §5.4)",
        ));
    }
    own_suites(&association.config)
        .find(|(suite, _)| *suite == hello.cipher_suite)
        .ok_or(CloseReason::IllegalParameter("the server picks an offered suite"))
}

pub(super) fn hkdf(association: &Association, hash: HashAlgorithm) -> Hkdf {
    Hkdf::new(association.config.crypto.clone(), hash)
}

/// Writes the secrets of the handshake to the key log.
pub(super) fn log_handshake(association: &Association, hellos: &Hellos) {
    for (label, traffic) in [
        ("CLIENT_HANDSHAKE_TRAFFIC_SECRET", &hellos.secrets.client),
        ("SERVER_HANDSHAKE_TRAFFIC_SECRET", &hellos.secrets.server),
    ] {
        association.log_secret(label, &hellos.client_random, traffic.secret());
    }
}

/// Writes the secrets of the connection to the key log.
pub(super) fn log_application(association: &Association, hellos: &Hellos, secrets: &ApplicationSecrets) {
    for (label, secret) in [
        ("CLIENT_TRAFFIC_SECRET_0", secrets.client.secret()),
        ("SERVER_TRAFFIC_SECRET_0", secrets.server.secret()),
        ("EXPORTER_SECRET", secrets.exporter.secret()),
    ] {
        association.log_secret(label, &hellos.client_random, secret);
    }
}

/// Says our `Certificate` and `CertificateVerify`.
pub(super) fn say_certificate(
    association: &mut Association,
    hellos: &Hellos,
    scheme: SignatureScheme,
    context: &'static [u8],
) -> Result<(), CloseReason> {
    let config = association.config.clone();
    association.say(HandshakeType::CERTIFICATE, |w| {
        CertificateChain13::write_one(w, &[], config.certificate.der())
    })?;
    let digest = config
        .crypto
        .hash(hellos.parameters.hash, association.transcript.as_bytes());
    let signature = config
        .certificate
        .key()
        .sign(scheme, &signed_content(context, digest.as_bytes()))
        .map_err(|_| CloseReason::Internal)?;
    association.say(HandshakeType::CERTIFICATE_VERIFY, |w| {
        CertificateVerify {
            scheme,
            signature: &signature,
        }
        .write(w)
    })
}

/// Says our Finished.
pub(super) fn say_finished(association: &mut Association, ours: &Traffic) -> Result<(), CloseReason> {
    let verify_data = ours.verify_data(association.transcript.as_bytes());
    association.say(HandshakeType::FINISHED, |w| w.put(verify_data.as_bytes()))
}

/// Takes the peer's `Certificate`.
pub(super) fn take_certificate(association: &mut Association, body: &[u8]) -> Result<(), CloseReason> {
    let chain = CertificateChain13::parse(body).map_err(malformed(HandshakeType::CERTIFICATE))?;
    if !chain.context.is_empty() {
        return Err(CloseReason::IllegalParameter(
            "a certificate of the handshake has no context (RFC 8446 §4.4.2)",
        ));
    }
    // RFC 8446 §4.4.2: extensions answer those of a ClientHello or of a CertificateRequest, and ours have none for this.
    for (_, extensions) in chain.entries() {
        check_answers(association, &extensions, &[])?;
    }
    crate::negotiation::take_certificate(association, chain.iter().next())
}

/// Verifies the peer's `CertificateVerify`.
pub(super) fn verify(
    association: &Association,
    hellos: &Hellos,
    context: &'static [u8],
    body: &[u8],
) -> Result<(), CloseReason> {
    let signed = CertificateVerify::parse(body).map_err(malformed(HandshakeType::CERTIFICATE_VERIFY))?;
    let digest = association
        .config
        .crypto
        .hash(hellos.parameters.hash, association.transcript.as_bytes());
    crate::negotiation::verify(
        association,
        Version::DTLS_1_3,
        signed.scheme,
        &signed_content(context, digest.as_bytes()),
        signed.signature,
    )
}

/// The scheme that we sign with.
pub(super) fn scheme(
    association: &Association,
    offered: impl Iterator<Item = u16>,
) -> Result<SignatureScheme, CloseReason> {
    own_scheme(association, Version::DTLS_1_3, offered)
}

/// What remains when all is said: the secrets are ours, the peer's, and the exporter's.
pub(super) fn session(
    hellos: &Hellos,
    srtp: Option<AgreedSrtp>,
    (ours, theirs, exporter): (Traffic, Traffic, Exporter),
    resumed: bool,
    resumable: Option<Resumable>,
) -> Session {
    Session {
        version: Version::DTLS_1_3,
        suite: hellos.suite,
        group: hellos.group,
        srtp,
        secrets: SessionSecrets::V13(Box::new(Secrets::new(ours, theirs, exporter, resumable))),
        epoch: FIRST_APPLICATION_EPOCH,
        resumed,
    }
}
