use std::fmt;

use wire::Error;

use crate::profile::SrtpProfile;
use crate::registry::{AlertDescription, CipherSuite, ExtensionType, HandshakeType, NamedGroup, Version};

/// What happened to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The handshake is complete, the peer is authenticated (as [`Config::authentication`](crate::Config::authentication)
    /// says), and keys can be taken out.
    Connected {
        /// The negotiated version.
        version: Version,
        /// The negotiated suite.
        suite: CipherSuite,
        /// The group of the key exchange.
        group: NamedGroup,
        /// The SRTP profile; `None` when the two ends share none and nobody said
        /// [`require_srtp`](crate::Dtls::require_srtp): a call of data channels alone can live with that.
        profile: Option<SrtpProfile>,
    },
    /// The handshake is complete, and with [`Authentication::Embedder`](crate::Authentication::Embedder) somebody is to
    /// decide about [`peer_certificate`](crate::Dtls::peer_certificate), whose key the peer has:
    /// [`accept_certificate`](crate::Dtls::accept_certificate) or
    /// [`refuse_certificate`](crate::Dtls::refuse_certificate). Who does neither before the patience of the handshake is
    /// over has refused.
    CertificateToJudge,
    /// The connection IDs that the peer's records may carry are others now: read
    /// [`connection_ids`](crate::Dtls::connection_ids). Only where [`Config::connection_ids`](crate::Config::connection_ids)
    /// is set, and the peer agrees.
    ConnectionIds,
    /// As client: the server has given a ticket, with which this session can be resumed later
    /// ([`take_session`](crate::Dtls::take_session)). Only with [`Config::keep_sessions`](crate::Config::keep_sessions), and
    /// after [`Connected`](Self::Connected).
    Session,
    /// The connection is over. The last event; what [`poll_transmit`](crate::Dtls::poll_transmit) still gives is the
    /// alert that tells the peer.
    Closed {
        /// Why.
        reason: CloseReason,
    },
}

/// Why a connection ended. Its `Display` is a sentence for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// We closed it.
    Local,
    /// The peer closed it with close_notify.
    Peer,
    /// The peer sent a fatal alert.
    Alert(AlertDescription),
    /// The handshake did not end in time.
    Timeout,
    /// The handshake was complete but signalling gave no fingerprint in time.
    NoFingerprint,
    /// The embedder did not accept the peer's certificate, or not in time.
    CertificateRefused,
    /// The peer's certificate matches no fingerprint from signalling.
    FingerprintMismatch,
    /// The peer speaks no version that we have.
    UnsupportedVersion,
    /// No cipher suite in common that also fits the server's certificate.
    NoCommonCipherSuite,
    /// No group in common.
    NoCommonGroup,
    /// The peer verifies no signature that our certificate's key can make.
    NoCommonSignatureScheme,
    /// No SRTP profile in common, and there is media to be protected (RFC 5764 §4.1.1).
    NoCommonSrtpProfile,
    /// The peer has no extended master secret (RFC 7627), without which exported keys are not bound to the handshake.
    NoExtendedMasterSecret,
    /// The peer showed no certificate; or we, a server, are to authenticate clients and are not to ask for theirs.
    NoPeerCertificate,
    /// The server asked for no certificate, so it cannot know who we are (RFC 5763 §5 wants both), and
    /// [`ClientCertificate::Required`](crate::ClientCertificate::Required) says that it should.
    NoCertificateRequest,
    /// The peer's certificate cannot be read.
    BadCertificate(Error),
    /// The peer's key is an RSA key below 2048 bits.
    WeakPeerKey,
    /// The peer's key is of a kind that is not supported, or does not fit the suite or the scheme of its signature.
    UnsupportedPeerKey,
    /// A signature of the peer's is wrong.
    BadSignature,
    /// The peer's key share is not one of the group.
    BadKeyShare,
    /// The peer's Finished is wrong: the two ends saw different handshakes.
    BadFinished,
    /// The client's binder is wrong: it does not have the key of the ticket that it shows, or somebody has changed its hello.
    BadBinder,
    /// A handshake message could not be read.
    Malformed {
        /// Which one.
        message: HandshakeType,
        /// The rule and the offset in the message.
        error: Error,
    },
    /// A handshake message came out of turn.
    UnexpectedMessage(HandshakeType),
    /// A message says something that it must not say; the text is the rule.
    IllegalParameter(&'static str),
    /// A message answers an extension that we have not offered (RFC 8446 §4.2, RFC 5246 §7.4.1.4).
    UnsolicitedExtension(ExtensionType),
    /// Somebody has taken DTLS 1.3 out of our `ClientHello`: the server would have spoken it (RFC 8446 §4.1.3).
    Downgraded,
    /// A `ClientHello` of DTLS 1.3 lacks groups, key shares or signature schemes (RFC 8446 §9.2).
    MissingExtension,
    /// The handshake's messages together are longer than the budget.
    HandshakeTooLong,
    /// More records with wrong tags came than the keys can bear, and no new ones (RFC 9147 §4.5.3).
    TooManyForgeries,
    /// Our own cryptographic library failed.
    Internal,
}

impl CloseReason {
    /// The alert that tells the peer, if any.
    pub(crate) const fn alert(&self) -> Option<AlertDescription> {
        Some(match self {
            Self::Local | Self::Peer => AlertDescription::CLOSE_NOTIFY,
            Self::Alert(_) | Self::Timeout => return None,
            Self::NoFingerprint | Self::FingerprintMismatch | Self::CertificateRefused | Self::BadCertificate(_) => {
                AlertDescription::BAD_CERTIFICATE
            }
            Self::UnsupportedVersion => AlertDescription::PROTOCOL_VERSION,
            // RFC 5246 §7.4.6 gives a server handshake_failure for want of a certificate.
            Self::NoCommonCipherSuite
            | Self::NoCommonGroup
            | Self::NoCommonSignatureScheme
            | Self::NoCommonSrtpProfile
            | Self::NoExtendedMasterSecret
            | Self::NoPeerCertificate
            | Self::NoCertificateRequest => AlertDescription::HANDSHAKE_FAILURE,
            Self::WeakPeerKey | Self::UnsupportedPeerKey => AlertDescription::UNSUPPORTED_CERTIFICATE,
            Self::BadSignature | Self::BadFinished | Self::BadBinder => AlertDescription::DECRYPT_ERROR,
            Self::TooManyForgeries => AlertDescription::BAD_RECORD_MAC,
            Self::MissingExtension => AlertDescription::MISSING_EXTENSION,
            Self::UnsolicitedExtension(_) => AlertDescription::UNSUPPORTED_EXTENSION,
            Self::BadKeyShare | Self::Downgraded | Self::IllegalParameter(_) => AlertDescription::ILLEGAL_PARAMETER,
            Self::Malformed { .. } => AlertDescription::DECODE_ERROR,
            Self::UnexpectedMessage(_) => AlertDescription::UNEXPECTED_MESSAGE,
            Self::HandshakeTooLong | Self::Internal => AlertDescription::INTERNAL_ERROR,
        })
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "closed by us",
            Self::Peer => "closed by the peer",
            Self::Alert(description) => return write!(f, "the peer ended the connection: {description}"),
            Self::Timeout => "the DTLS handshake did not end in time; check that datagrams pass both ways",
            Self::NoFingerprint => "signalling gave no a=fingerprint for the peer in time",
            Self::CertificateRefused => "the application did not accept the peer's certificate in time",
            Self::FingerprintMismatch => {
                "the peer's certificate matches no a=fingerprint from signalling; somebody may be in the middle"
            }
            Self::UnsupportedVersion => "the peer speaks no DTLS version that we have",
            Self::NoCommonCipherSuite => "no cipher suite in common; the peer needs ECDHE with AES-GCM or ChaCha20",
            Self::NoCommonGroup => "no key exchange group in common; the peer needs X25519, P-256 or P-384",
            Self::NoCommonSignatureScheme => "the peer verifies no signature that our certificate's key can make",
            Self::NoCommonSrtpProfile => {
                "no SRTP profile in common, so media cannot be protected; the peer needs AES-GCM or AES128_CM_HMAC_SHA1_80"
            }
            Self::NoExtendedMasterSecret => "the peer has no extended master secret (RFC 7627)",
            Self::NoPeerCertificate => "the peer showed no certificate",
            Self::NoCertificateRequest => "the server asked for no certificate, and both sides are to show one",
            Self::BadCertificate(error) => return write!(f, "the peer's certificate cannot be read: {error}"),
            Self::WeakPeerKey => "the peer's certificate has an RSA key below 2048 bits; it needs a longer one",
            Self::UnsupportedPeerKey => {
                "the peer's certificate has a kind of key that is not supported or does not fit"
            }
            Self::BadSignature => "a signature of the peer's does not verify",
            Self::BadKeyShare => "the peer's key share is not a public key of the negotiated group",
            Self::BadFinished => "the peer's Finished is wrong: the two ends saw different handshakes",
            Self::BadBinder => "the client does not have the key of the ticket that it shows",
            Self::Malformed { message, error } => return write!(f, "the peer's {message} cannot be read: {error}"),
            Self::UnexpectedMessage(message) => return write!(f, "the peer's {message} came out of turn"),
            Self::IllegalParameter(rule) => return write!(f, "the peer broke a rule: {rule}"),
            Self::UnsolicitedExtension(name) => {
                return write!(f, "the peer answered the extension {name}, which was not offered");
            }
            Self::Downgraded => {
                "DTLS 1.3 was taken out of our hello on its way; somebody may be in the middle"
            }
            Self::MissingExtension => "the peer's hello lacks groups, key shares or signature schemes",
            Self::TooManyForgeries => "more forged records came than the keys can bear; make a new connection",
            Self::HandshakeTooLong => "the handshake's messages together are longer than the budget",
            Self::Internal => "our own cryptographic library failed; check that the system has a source of randomness",
        })
    }
}

impl std::error::Error for CloseReason {}
