use std::fmt;

use crate::config::Authentication;
use crate::event::CloseReason;
use crate::fingerprint::{Fingerprint, FingerprintMatched};

/// Proof that the peer is who it should be, or that it need not be anybody. Nothing else can make one, and without one no
/// keys leave the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Authenticated(());

/// Who the peer is: what signalling said and what the handshake showed, whichever came first.
pub(crate) struct PeerIdentity {
    authentication: Authentication,
    /// Whether the connection has said that fingerprints alone count, whatever the configuration is.
    requires_fingerprint: bool,
    fingerprints: Option<Vec<Fingerprint>>,
    certificate: Option<Vec<u8>>,
    matched: Option<FingerprintMatched>,
    /// The embedder has taken the certificate.
    accepted: bool,
}

impl PeerIdentity {
    pub(crate) const fn new(authentication: Authentication) -> Self {
        Self {
            authentication,
            requires_fingerprint: false,
            fingerprints: None,
            certificate: None,
            matched: None,
            accepted: false,
        }
    }

    /// The peer's certificate in DER, once it came.
    pub(crate) fn certificate(&self) -> Option<&[u8]> {
        self.certificate.as_deref()
    }

    /// The proof that the peer is the right one, once there is one. Fingerprints that were set count in any case.
    pub(crate) const fn proof(&self) -> Option<Authenticated> {
        let matched = self.matched.is_some();
        let may_match = matched || self.fingerprints.is_none();
        let proven = match self.authentication {
            Authentication::Fingerprint => matched,
            Authentication::Embedder => self.accepted && may_match,
            Authentication::Unauthenticated => may_match,
        };
        if proven { Some(Authenticated(())) } else { None }
    }

    /// Whether the embedder is to decide about the certificate, and has not.
    pub(crate) const fn is_to_be_judged(&self) -> bool {
        matches!(self.authentication, Authentication::Embedder) && self.certificate.is_some() && !self.accepted
    }

    /// From now on fingerprints alone count.
    pub(crate) const fn require_fingerprint(&mut self) {
        self.authentication = Authentication::Fingerprint;
        self.requires_fingerprint = true;
    }

    /// Whether fingerprints alone count, whatever the configuration is.
    pub(crate) const fn requires_fingerprint(&self) -> bool {
        self.requires_fingerprint
    }

    /// The embedder takes the certificate.
    pub(crate) const fn accept(&mut self) {
        self.accepted = true;
    }

    /// Whether a peer without a certificate can be taken for what it says.
    pub(crate) const fn needs_certificate(&self) -> bool {
        !matches!(self.authentication, Authentication::Unauthenticated) || self.fingerprints.is_some()
    }

    /// Takes what signalling says. Once a certificate has matched, nothing changes any more.
    pub(crate) fn set_fingerprints(&mut self, fingerprints: Vec<Fingerprint>) -> Result<(), CloseReason> {
        if self.matched.is_none() {
            self.fingerprints = Some(fingerprints);
        }
        self.compare()
    }

    /// Takes what the handshake shows.
    pub(crate) fn set_certificate(&mut self, der: &[u8]) -> Result<(), CloseReason> {
        self.certificate = Some(der.to_vec());
        self.compare()
    }

    /// Whether the peer with this certificate, or without one, can be the one that is wanted, as far as that is known.
    pub(crate) fn may_be(&self, certificate: Option<&[u8]>) -> bool {
        match (&self.fingerprints, certificate) {
            (None, _) => true,
            (Some(fingerprints), Some(der)) => FingerprintMatched::check(fingerprints, der).is_some(),
            (Some(_), None) => false,
        }
    }

    fn compare(&mut self) -> Result<(), CloseReason> {
        if let (Some(fingerprints), Some(certificate)) = (&self.fingerprints, &self.certificate) {
            let matched =
                FingerprintMatched::check(fingerprints, certificate).ok_or(CloseReason::FingerprintMismatch)?;
            self.matched = Some(matched);
        }
        Ok(())
    }
}

impl fmt::Debug for PeerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerIdentity")
            .field("authentication", &self.authentication)
            .field("fingerprints", &self.fingerprints)
            .field("certificate_bytes", &self.certificate.as_ref().map(Vec::len))
            .field("proven", &self.proof().is_some())
            .finish()
    }
}
