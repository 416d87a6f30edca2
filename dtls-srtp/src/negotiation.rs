//! What the handshakes of all versions and both roles do alike.

use crate::association::Association;
use crate::config::{ClientCertificate, Config};
use crate::crypto::VerifyError;
use crate::event::CloseReason;
use crate::extension::{Extensions, write_bytes8, write_extension, write_list16};
use crate::hello::ClientHello;
use crate::mki::Mki;
use crate::profile::SrtpProfile;
use crate::registry::{ExtensionType, HandshakeType, NamedGroup, SignatureScheme, Version};
use crate::v13;
use crate::x509::PublicKey;

/// An error of a message's parser, named after the message.
pub(crate) fn malformed(message: HandshakeType) -> impl Fn(wire::Error) -> CloseReason {
    move |error| CloseReason::Malformed { message, error }
}

/// Takes the peer's certificate, the first of its chain, and compares it with the fingerprints, if they are there
/// already. Only the first one counts: there is no authority to lead a chain to.
pub(crate) fn take_certificate(association: &mut Association, der: Option<&[u8]>) -> Result<(), CloseReason> {
    let der = der.ok_or(CloseReason::NoPeerCertificate)?;
    let key = PublicKey::of_certificate(der).map_err(CloseReason::BadCertificate)?;
    if key.rsa_modulus_bits().is_some_and(|bits| bits < 2048) {
        return Err(CloseReason::WeakPeerKey);
    }
    association.identity.set_certificate(der)
}

/// Whether a client has to show a certificate: as server we ask for it, as client we go on with no server that does not.
/// Where fingerprints alone count, both ends are known by theirs (RFC 8827 §6.5).
pub(crate) fn requires_client_certificate(association: &Association) -> bool {
    association.config.client_certificate == ClientCertificate::Required || association.identity.requires_fingerprint()
}

/// As server: who asks for no certificate can authenticate nobody, and must not want to.
pub(crate) fn check_policy(association: &Association) -> Result<(), CloseReason> {
    if !requires_client_certificate(association) && association.identity.needs_certificate() {
        return Err(CloseReason::NoPeerCertificate);
    }
    Ok(())
}

/// Verifies a signature with the key of the peer's certificate.
pub(crate) fn verify(
    association: &Association,
    version: Version,
    scheme: SignatureScheme,
    message: &[u8],
    signature: &[u8],
) -> Result<(), CloseReason> {
    let der = association
        .identity
        .certificate()
        .ok_or(CloseReason::NoPeerCertificate)?;
    let key = PublicKey::of_certificate(der).map_err(CloseReason::BadCertificate)?;
    if version == Version::DTLS_1_3 {
        if !scheme.is_of_13() {
            return Err(CloseReason::IllegalParameter(
                "a signature uses a scheme that DTLS 1.3 has (RFC 8446 §4.2.3)",
            ));
        }
        // DTLS 1.2 leaves the curve of an ECDSA key open.
        if !key.is_on_curve_of(scheme) {
            return Err(CloseReason::UnsupportedPeerKey);
        }
    }
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
pub(crate) fn own_scheme(
    association: &Association,
    version: Version,
    offered: impl Iterator<Item = u16>,
) -> Result<SignatureScheme, CloseReason> {
    let fits = |scheme: &SignatureScheme| version != Version::DTLS_1_3 || scheme.is_of_13();
    let offered: Vec<_> = offered.map(SignatureScheme).filter(fits).collect();
    association
        .config
        .certificate
        .key()
        .choose_scheme(&offered)
        .ok_or(CloseReason::NoCommonSignatureScheme)
}

/// The groups that configuration, library and version have, best first. X25519MLKEM768 is one of DTLS 1.3 alone: before
/// it there is no message for a share that answers another (draft-ietf-tls-ecdhe-mlkem §4).
pub(crate) fn own_groups(config: &Config, version: Version) -> impl Iterator<Item = NamedGroup> + '_ {
    let known = config.crypto.groups();
    let fits = move |group: &NamedGroup| version == Version::DTLS_1_3 || *group != NamedGroup::X25519_MLKEM768;
    config
        .groups
        .iter()
        .copied()
        .filter(move |group| known.contains(group) && fits(group))
}

/// The versions that this crate and our configuration have, with the suites and groups for them, the latest first. Another order could not be kept: a client
/// that offers DTLS 1.3 to a server that has it takes 1.2 for an attack (RFC 8446 §4.1.3).
pub(crate) fn own_versions(config: &Config) -> impl Iterator<Item = Version> + '_ {
    let versions = &config.versions;
    let has_13 = v13::own_suites(config).next().is_some() && own_groups(config, Version::DTLS_1_3).next().is_some();
    [Version::DTLS_1_3, Version::DTLS_1_2]
        .into_iter()
        .filter(move |version| versions.contains(version) && (has_13 || *version != Version::DTLS_1_3))
}

/// Whether our configuration has this version.
pub(crate) fn speaks(config: &Config, wanted: Version) -> bool {
    own_versions(config).any(|version| version == wanted)
}

/// The version that we as server choose for a `ClientHello`.
pub(crate) fn choose_version(config: &Config, hello: &ClientHello<'_>) -> Result<Version, CloseReason> {
    // RFC 8446 §4.2.1: supported_versions overrules the field. Versions count downwards in DTLS.
    let offered = hello.extensions.supported_versions();
    let offered = offered.map_err(malformed(HandshakeType::CLIENT_HELLO))?;
    let offers = |version: &Version| match offered {
        Some(versions) => versions.contains(version.0),
        None => *version == Version::DTLS_1_2 && hello.version.is_dtls() && hello.version.0 <= Version::DTLS_1_2.0,
    };
    own_versions(config).find(offers).ok_or(CloseReason::UnsupportedVersion)
}

/// Checks that a message of the peer's answers what we have offered, and that it is the one for it (RFC 8446 §4.2, for
/// DTLS 1.2 RFC 5246 §7.4.1.4). `belong` are the extensions that may stand in it.
pub(crate) fn check_answers(
    association: &Association,
    extensions: &Extensions<'_>,
    belong: &[ExtensionType],
) -> Result<(), CloseReason> {
    for (name, _) in extensions.iter() {
        if !may_be_answered(association, name) {
            return Err(CloseReason::UnsolicitedExtension(name));
        }
        if !belong.contains(&name) {
            return Err(CloseReason::IllegalParameter(
                "an extension stands in a message that it is specified for (RFC 8446 §4.2)",
            ));
        }
    }
    Ok(())
}

/// Whether our `ClientHello` has this extension. That of a cookie alone comes without having been offered.
fn may_be_answered(association: &Association, name: ExtensionType) -> bool {
    match name {
        ExtensionType::SUPPORTED_GROUPS | ExtensionType::SIGNATURE_ALGORITHMS => true,
        ExtensionType::USE_SRTP => !association.config.srtp_profiles.is_empty(),
        ExtensionType::CONNECTION_ID => association.config.connection_ids.is_some(),
        ExtensionType::PRE_SHARED_KEY => association.offers_psk,
        ExtensionType::PSK_KEY_EXCHANGE_MODES => {
            association.config.keep_sessions && speaks(&association.config, Version::DTLS_1_3)
        }
        ExtensionType::EXTENDED_MASTER_SECRET | ExtensionType::RENEGOTIATION_INFO | ExtensionType::EC_POINT_FORMATS => {
            speaks(&association.config, Version::DTLS_1_2)
        }
        ExtensionType::SUPPORTED_VERSIONS | ExtensionType::KEY_SHARE | ExtensionType::COOKIE => {
            speaks(&association.config, Version::DTLS_1_3)
        }
        _ => false,
    }
}

/// What `use_srtp` has settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AgreedSrtp {
    pub(crate) profile: SrtpProfile,
    /// The identifier of the keys of both directions, if packets have one.
    pub(crate) mki: Option<Mki>,
}

impl AgreedSrtp {
    /// Writes the server's answer.
    pub(crate) fn write(&self, w: &mut wire::Writer<'_>) -> Result<(), wire::Full> {
        write_use_srtp(w, [self.profile.id().0], self.mki)
    }
}

/// Writes the extension `use_srtp` (RFC 5764 §4.1.1).
pub(crate) fn write_use_srtp(
    w: &mut wire::Writer<'_>,
    profiles: impl IntoIterator<Item = u16>,
    mki: Option<Mki>,
) -> Result<(), wire::Full> {
    write_extension(w, ExtensionType::USE_SRTP, |w| {
        write_list16(w, profiles)?;
        write_bytes8(w, mki.as_ref().map_or(&[], Mki::as_bytes))
    })
}

/// The SRTP profile that a server has chosen, in its `message`, and whether it uses our MKI.
pub(crate) fn chosen_profile(
    association: &Association,
    extensions: &Extensions<'_>,
    message: HandshakeType,
) -> Result<Option<AgreedSrtp>, CloseReason> {
    let Some(srtp) = extensions.use_srtp().map_err(malformed(message))? else {
        return if association.requires_srtp {
            Err(CloseReason::NoCommonSrtpProfile)
        } else {
            Ok(None)
        };
    };
    let mut profiles = srtp.profiles();
    let profile = profiles.next().and_then(SrtpProfile::from_id);
    let profile = profile.filter(|profile| association.config.srtp_profiles.contains(profile));
    let mki = association.config.srtp_mki.filter(|_| !srtp.mki.is_empty());
    // RFC 5764 §4.1.1: exactly one of the offered; §4.1.3: the MKI of the offer, or none.
    match profile {
        Some(profile) if profiles.next().is_none() && srtp.mki == mki.as_ref().map_or(&[][..], Mki::as_bytes) => {
            Ok(Some(AgreedSrtp { profile, mki }))
        }
        _ => Err(CloseReason::IllegalParameter(
            "the server picks one offered SRTP profile, and the offered MKI or none",
        )),
    }
}

/// The SRTP profile that we as server choose out of a `ClientHello`, and its MKI if we use one.
pub(crate) fn choose_profile(
    association: &Association,
    extensions: &Extensions<'_>,
) -> Result<Option<AgreedSrtp>, CloseReason> {
    let offered = extensions.use_srtp().map_err(malformed(HandshakeType::CLIENT_HELLO))?;
    let agreed = offered.and_then(|srtp| {
        let mut ours = association.config.srtp_profiles.iter().copied();
        let profile = ours.find(|profile| srtp.profiles().any(|offered| offered == profile.id()))?;
        let mki = association.config.srtp_mki.and_then(|_| Mki::new(srtp.mki));
        Some(AgreedSrtp { profile, mki })
    });
    if agreed.is_none() && association.requires_srtp {
        return Err(CloseReason::NoCommonSrtpProfile);
    }
    Ok(agreed)
}
