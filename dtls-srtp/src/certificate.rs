use std::fmt;
use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};

use crate::crypto::{CryptoError, SigningKey, load_signing_key};
use crate::fingerprint::{Fingerprint, FingerprintAlgorithm};
use crate::x509::PublicKey;

/// Our own certificate with its private key.
#[derive(Clone)]
pub struct Certificate {
    der: Vec<u8>,
    key: Arc<dyn SigningKey>,
}

impl Certificate {
    /// A fresh self-signed certificate with a P-256 key, as browsers make them (about 50 microseconds). The name in it
    /// tells nothing; a new one for each process or each call keeps calls from being linked (RFC 8827 §6.5).
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn generate() -> Result<Self, CryptoError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|_| CryptoError::Failed)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "WebRTC");
        let certificate = params.self_signed(&key).map_err(|_| CryptoError::Failed)?;
        Self::from_der(certificate.der().to_vec(), &key.serialize_der())
    }

    /// A certificate in DER and its private key, PKCS #8 in DER: P-256, P-384, Ed25519, or RSA of 2048 bits or more.
    ///
    /// # Errors
    /// When either cannot be read. Whether they belong together is not checked; the peer would.
    pub fn from_der(der: Vec<u8>, pkcs8: &[u8]) -> Result<Self, CryptoError> {
        PublicKey::of_certificate(&der).map_err(|_| CryptoError::InvalidKey)?;
        Ok(Self::new(der, load_signing_key(pkcs8)?))
    }

    /// A certificate whose key lives elsewhere.
    pub const fn new(der: Vec<u8>, key: Arc<dyn SigningKey>) -> Self {
        Self { der, key }
    }

    /// The certificate in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The SHA-256 fingerprint, for SDP.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_certificate(FingerprintAlgorithm::Sha256, &self.der)
    }

    pub(crate) fn key(&self) -> &dyn SigningKey {
        &*self.key
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({})", self.fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Crypto, KeyKind, RingCrypto, VerifyError};
    use crate::registry::SignatureScheme;

    #[test]
    fn generated_ones_sign_and_verify() {
        let certificate = Certificate::generate().unwrap();
        assert_ne!(
            certificate.fingerprint(),
            Certificate::generate().unwrap().fingerprint()
        );
        let scheme = certificate
            .key()
            .choose_scheme(&[SignatureScheme::ECDSA_SECP256R1_SHA256])
            .unwrap();
        let signature = certificate.key().sign(scheme, b"message").unwrap();
        let key = PublicKey::of_certificate(certificate.der()).unwrap();
        let crypto = RingCrypto::new();
        assert_eq!(crypto.verify(&key, scheme, b"message", &signature), Ok(()));
        assert_eq!(
            crypto.verify(&key, scheme, b"massage", &signature),
            Err(VerifyError::BadSignature)
        );
        assert_eq!(
            crypto.verify(&key, SignatureScheme::RSA_PKCS1_SHA256, b"message", &signature),
            Err(VerifyError::KeyDoesNotFit)
        );
        assert_eq!(
            crypto.verify(&key, SignatureScheme::ECDSA_SHA1, b"message", &signature),
            Err(VerifyError::UnsupportedScheme)
        );
        assert_eq!(certificate.key().kind(), KeyKind::Ecdsa);
        assert!(
            certificate
                .key()
                .choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256])
                .is_none()
        );
    }

    #[test]
    fn unreadable_input_is_refused() {
        let certificate = Certificate::generate().unwrap();
        assert_eq!(
            Certificate::from_der(certificate.der().to_vec(), b"key").unwrap_err(),
            CryptoError::InvalidKey
        );
        assert_eq!(
            Certificate::from_der(b"certificate".to_vec(), b"key").unwrap_err(),
            CryptoError::InvalidKey
        );
    }
}
