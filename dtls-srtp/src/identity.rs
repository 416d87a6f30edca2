use std::fmt;

use crate::event::CloseReason;
use crate::fingerprint::{Fingerprint, FingerprintMatched};

/// Who the peer is: what signalling said and what the handshake showed, whichever came first.
#[derive(Default)]
pub(crate) struct PeerIdentity {
    fingerprints: Option<Vec<Fingerprint>>,
    certificate: Option<Vec<u8>>,
    proof: Option<FingerprintMatched>,
}

impl PeerIdentity {
    /// The peer's certificate in DER, once it came.
    pub(crate) fn certificate(&self) -> Option<&[u8]> {
        self.certificate.as_deref()
    }

    /// The proof that the two belong together, once both are there.
    pub(crate) const fn proof(&self) -> Option<FingerprintMatched> {
        self.proof
    }

    /// Takes what signalling says. Once a certificate has matched, nothing changes any more.
    pub(crate) fn set_fingerprints(&mut self, fingerprints: Vec<Fingerprint>) -> Result<(), CloseReason> {
        if self.proof.is_none() {
            self.fingerprints = Some(fingerprints);
        }
        self.compare()
    }

    /// Takes what the handshake shows.
    pub(crate) fn set_certificate(&mut self, der: &[u8]) -> Result<(), CloseReason> {
        self.certificate = Some(der.to_vec());
        self.compare()
    }

    fn compare(&mut self) -> Result<(), CloseReason> {
        if let (Some(fingerprints), Some(certificate)) = (&self.fingerprints, &self.certificate) {
            let proof = FingerprintMatched::check(fingerprints, certificate).ok_or(CloseReason::FingerprintMismatch)?;
            self.proof = Some(proof);
        }
        Ok(())
    }
}

impl fmt::Debug for PeerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerIdentity")
            .field("fingerprints", &self.fingerprints)
            .field("certificate_bytes", &self.certificate.as_ref().map(Vec::len))
            .field("proven", &self.proof.is_some())
            .finish()
    }
}
