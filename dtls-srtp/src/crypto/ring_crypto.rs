use std::fmt;
use std::sync::Arc;

use ring::aead::quic;
use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, hmac};
use rustls::crypto::tls12::Prf;
use rustls::crypto::{ActiveKeyExchange, CryptoProvider};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::SigningKey as RustlsSigningKey;
use rustls::{NamedGroup as RustlsGroup, SignatureScheme as RustlsScheme, SupportedCipherSuite};
use wire::Seed;
use zeroize::Zeroizing;

use super::aead::RingRecordKey;
use super::hybrid::{self, HybridKeyExchange};
use super::{
    Aead, Crypto, CryptoError, Digest, HashAlgorithm, KeyExchange, KeyKind, RecordKey, RecordNumberKey, SAMPLE_LEN,
    SharedSecret, SigningKey, VerifyError,
};
use crate::registry::{CipherSuite, NamedGroup, SignatureScheme};
use crate::x509::PublicKey;

/// The cryptography of production: ring, reached through rustls' `CryptoProvider` where that saves writing it again
/// (key exchange, PRF, signatures), directly for records and hashes. No type of theirs leaves this module.
pub struct RingCrypto {
    provider: CryptoProvider,
    suites: Vec<CipherSuite>,
    groups: Vec<NamedGroup>,
    schemes: Vec<SignatureScheme>,
    prf_sha256: &'static dyn Prf,
    prf_sha384: &'static dyn Prf,
}

impl RingCrypto {
    /// Everything that ring offers. Cheap enough to be made once per process and shared.
    ///
    /// # Panics
    /// Never: rustls' ring provider always has the two PRFs.
    pub fn new() -> Self {
        let provider = rustls::crypto::ring::default_provider();
        let prfs = provider.cipher_suites.iter().filter_map(|suite| match suite {
            SupportedCipherSuite::Tls12(suite) => Some((suite.common.suite, suite.prf_provider)),
            SupportedCipherSuite::Tls13(_) => None,
        });
        let find = |id: CipherSuite| {
            prfs.clone()
                .find(|(suite, _)| u16::from(*suite) == id.0)
                .map(|(_, prf)| prf)
        };
        let prf_sha256 = find(CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256);
        let prf_sha384 = find(CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384);
        drop(prfs);
        let groups = [
            NamedGroup::X25519_MLKEM768,
            NamedGroup::X25519,
            NamedGroup::SECP256R1,
            NamedGroup::SECP384R1,
        ];
        // GCM with 128-bit keys first: it is the fastest here, and as strong as the P-256 certificates around it.
        let suites = vec![
            CipherSuite::TLS_AES_128_GCM_SHA256,
            CipherSuite::TLS_AES_256_GCM_SHA384,
            CipherSuite::TLS_CHACHA20_POLY1305_SHA256,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
            CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        ];
        let schemes = vec![
            SignatureScheme::ECDSA_SECP256R1_SHA256,
            SignatureScheme::RSA_PSS_RSAE_SHA256,
            SignatureScheme::RSA_PKCS1_SHA256,
            SignatureScheme::ECDSA_SECP384R1_SHA384,
            SignatureScheme::RSA_PSS_RSAE_SHA384,
            SignatureScheme::RSA_PKCS1_SHA384,
            SignatureScheme::ED25519,
            SignatureScheme::RSA_PSS_RSAE_SHA512,
            SignatureScheme::RSA_PKCS1_SHA512,
        ];
        match (prf_sha256, prf_sha384) {
            (Some(prf_sha256), Some(prf_sha384)) => Self {
                provider,
                suites,
                groups: groups.to_vec(),
                schemes,
                prf_sha256,
                prf_sha384,
            },
            _ => unreachable!("rustls' ring provider has the TLS 1.2 suites when the feature `tls12` is on"),
        }
    }
}

impl RingCrypto {
    fn start_classical(&self, group: NamedGroup) -> Result<Box<dyn KeyExchange>, CryptoError> {
        let wanted = RustlsGroup::from(group.0);
        let group = self.provider.kx_groups.iter().find(|group| group.name() == wanted);
        let started = group
            .ok_or(CryptoError::Unsupported)?
            .start()
            .map_err(|_| CryptoError::Failed)?;
        Ok(Box::new(RingKeyExchange(started)))
    }
}

impl Default for RingCrypto {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RingCrypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RingCrypto")
    }
}

impl Crypto for RingCrypto {
    fn cipher_suites(&self) -> &[CipherSuite] {
        &self.suites
    }

    fn groups(&self) -> &[NamedGroup] {
        &self.groups
    }

    fn verification_schemes(&self) -> &[SignatureScheme] {
        &self.schemes
    }

    fn start_key_exchange(&self, group: NamedGroup, _seed: &Seed) -> Result<Box<dyn KeyExchange>, CryptoError> {
        if group == NamedGroup::X25519_MLKEM768 {
            let classical = self.start_classical(NamedGroup::X25519)?;
            return Ok(Box::new(HybridKeyExchange::start(classical, &*system_random()?)?));
        }
        self.start_classical(group)
    }

    fn answer_key_exchange(
        &self,
        group: NamedGroup,
        peer_share: &[u8],
        _seed: &Seed,
    ) -> Result<(Vec<u8>, SharedSecret), CryptoError> {
        if group == NamedGroup::X25519_MLKEM768 {
            let classical = self.start_classical(NamedGroup::X25519)?;
            return hybrid::answer(classical, peer_share, &*system_random()?);
        }
        let ours = self.start_classical(group)?;
        let share = ours.share().to_vec();
        Ok((share, ours.complete(peer_share)?))
    }

    fn hash(&self, algorithm: HashAlgorithm, message: &[u8]) -> Digest {
        let algorithm = match algorithm {
            HashAlgorithm::Sha256 => &digest::SHA256,
            HashAlgorithm::Sha384 => &digest::SHA384,
        };
        Digest::new(digest::digest(algorithm, message).as_ref())
    }

    fn prf(&self, algorithm: HashAlgorithm, secret: &[u8], label: &[u8], seed: &[u8], out: &mut [u8]) {
        let prf = match algorithm {
            HashAlgorithm::Sha256 => self.prf_sha256,
            HashAlgorithm::Sha384 => self.prf_sha384,
        };
        prf.for_secret(out, secret, label, seed);
    }

    fn hmac(&self, algorithm: HashAlgorithm, key: &[u8], message: &[&[u8]]) -> Digest {
        let algorithm = match algorithm {
            HashAlgorithm::Sha256 => hmac::HMAC_SHA256,
            HashAlgorithm::Sha384 => hmac::HMAC_SHA384,
        };
        let mut context = hmac::Context::with_key(&hmac::Key::new(algorithm, key));
        for part in message {
            context.update(part);
        }
        Digest::new(context.sign().as_ref())
    }

    fn record_number_key(&self, aead: Aead, key: &[u8]) -> Result<Box<dyn RecordNumberKey>, CryptoError> {
        // RFC 9001 §5.4 hides QUIC's packet numbers in just this way.
        let algorithm = match aead {
            Aead::Aes128Gcm => &quic::AES_128,
            Aead::Aes256Gcm => &quic::AES_256,
            Aead::ChaCha20Poly1305 => &quic::CHACHA20,
        };
        let key = quic::HeaderProtectionKey::new(algorithm, key).map_err(|_| CryptoError::InvalidKey)?;
        Ok(Box::new(RingRecordNumberKey(key)))
    }

    fn record_key(&self, aead: Aead, key: &[u8]) -> Result<Box<dyn RecordKey>, CryptoError> {
        Ok(Box::new(RingRecordKey::new(aead, key)?))
    }

    fn verify(
        &self,
        key: &PublicKey<'_>,
        scheme: SignatureScheme,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), VerifyError> {
        // ring refuses RSA below 2048 bits as it refuses a wrong signature; a person wants to know which it was.
        if key.rsa_modulus_bits().is_some_and(|bits| bits < 2048) {
            return Err(VerifyError::WeakKey);
        }
        let wanted = RustlsScheme::from(scheme.0);
        let mapping = self.provider.signature_verification_algorithms.mapping;
        let (_, algorithms) = mapping
            .iter()
            .find(|(scheme, _)| *scheme == wanted)
            .ok_or(VerifyError::UnsupportedScheme)?;
        // In TLS 1.2 the scheme does not bind the curve, so the key's own identifier picks the algorithm.
        let algorithm = algorithms
            .iter()
            .find(|algorithm| algorithm.public_key_alg_id().as_ref() == key.algorithm)
            .ok_or(VerifyError::KeyDoesNotFit)?;
        algorithm
            .verify_signature(key.bits, message, signature)
            .map_err(|_| VerifyError::BadSignature)
    }
}

struct RingRecordNumberKey(quic::HeaderProtectionKey);

impl RecordNumberKey for RingRecordNumberKey {
    fn mask(&self, sample: [u8; SAMPLE_LEN]) -> [u8; 2] {
        // ring refuses only samples of another length.
        let [first, second, ..] = self.0.new_mask(&sample).unwrap_or_default();
        [first, second]
    }
}

/// Randomness for a key of ML-KEM, which takes it as an argument.
fn system_random() -> Result<Zeroizing<[u8; hybrid::RANDOM_LEN]>, CryptoError> {
    let mut random = Zeroizing::new([0; hybrid::RANDOM_LEN]);
    SystemRandom::new()
        .fill(random.as_mut_slice())
        .map_err(|_| CryptoError::Failed)?;
    Ok(random)
}

struct RingKeyExchange(Box<dyn ActiveKeyExchange>);

impl KeyExchange for RingKeyExchange {
    fn share(&self) -> &[u8] {
        self.0.pub_key()
    }

    fn complete(self: Box<Self>, peer_share: &[u8]) -> Result<SharedSecret, CryptoError> {
        let secret = self.0.complete(peer_share).map_err(|_| CryptoError::InvalidShare)?;
        Ok(SharedSecret::new(secret.secret_bytes().to_vec()))
    }
}

/// Reads a private key, PKCS #8 in DER: P-256, P-384, Ed25519 or RSA.
pub(crate) fn load_signing_key(pkcs8: &[u8]) -> Result<Arc<dyn SigningKey>, CryptoError> {
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8.to_vec()));
    let key = rustls::crypto::ring::sign::any_supported_type(&der).map_err(|_| CryptoError::InvalidKey)?;
    Ok(Arc::new(RingSigningKey(key)))
}

#[derive(Debug)]
struct RingSigningKey(Arc<dyn RustlsSigningKey>);

impl SigningKey for RingSigningKey {
    fn kind(&self) -> KeyKind {
        match self.0.algorithm() {
            rustls::SignatureAlgorithm::RSA => KeyKind::Rsa,
            _ => KeyKind::Ecdsa,
        }
    }

    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<SignatureScheme> {
        let offered: Vec<_> = offered.iter().map(|scheme| RustlsScheme::from(scheme.0)).collect();
        Some(SignatureScheme(u16::from(self.0.choose_scheme(&offered)?.scheme())))
    }

    fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let signer = self
            .0
            .choose_scheme(&[RustlsScheme::from(scheme.0)])
            .ok_or(CryptoError::Unsupported)?;
        signer.sign(message).map_err(|_| CryptoError::Failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors that circulate on the TLS working group's list (2009, "Test vectors for TLS 1.2 PRF").
    #[test]
    fn prf_vectors() {
        let crypto = RingCrypto::new();
        let hex = |text: &str| -> Vec<u8> {
            (0..text.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
                .collect()
        };
        let mut out = [0; 100];
        crypto.prf(
            HashAlgorithm::Sha256,
            &hex("9bbe436ba940f017b17652849a71db35"),
            b"test label",
            &hex("a0ba9f936cda311827a6f796ffd5198c"),
            &mut out,
        );
        assert_eq!(
            out.to_vec(),
            hex(concat!(
                "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e14baf9af0fa0",
                "22f7077def17abfd3797c0564bab4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff70187347b66"
            ))
        );
        let mut out = [0; 148];
        crypto.prf(
            HashAlgorithm::Sha384,
            &hex("b80b733d6ceefcdc71566ea48e5567df"),
            b"test label",
            &hex("cd665cf6a8447dd6ff8b27555edb7465"),
            &mut out,
        );
        assert_eq!(
            out.to_vec(),
            hex(concat!(
                "7b0c18e9ced410ed1804f2cfa34a336a1c14dffb4900bb5fd7942107e81c83cde9ca0faa60be9fe34f82b1233c9146a0e534",
                "cb400fed2700884f9dc236f80edd8bfa961144c9e8d792eca722a7b32fc3d416d473ebc2c5fd4abfdad05d9184259b5bf8cd",
                "4d90fa0d31e2dec479e4f1a26066f2eea9a69236a3e52655c9e9aee691c8f3a26854308d5eaa3be85e0990703d73e56f"
            ))
        );
    }

    #[test]
    fn both_sides_of_every_group_agree_and_bad_shares_are_refused() {
        let crypto = RingCrypto::new();
        for &group in crypto.groups() {
            let seed = Seed::from_run(0);
            let a = crypto.start_key_exchange(group, &seed).unwrap();
            let share_a = a.share().to_vec();
            let (share_b, secret_b) = crypto.answer_key_exchange(group, &share_a, &seed).unwrap();
            assert_eq!(a.complete(&share_b).unwrap().as_bytes(), secret_b.as_bytes());
            for bad in [&share_a[1..], &vec![0; share_a.len()], &vec![0xff; share_a.len()], &[]] {
                if group == NamedGroup::X25519 && bad.first() == Some(&0xff) {
                    // Every 32 bytes but a few are a public key of X25519.
                    continue;
                }
                let refused = crypto.answer_key_exchange(group, bad, &seed).map(|(share, _)| share);
                assert_eq!(refused, Err(CryptoError::InvalidShare), "{group}");
            }
            for bad in [&share_b[1..], &vec![0; share_b.len()], &[]] {
                let ours = crypto.start_key_exchange(group, &seed).unwrap();
                assert_eq!(ours.complete(bad).unwrap_err(), CryptoError::InvalidShare, "{group}");
            }
        }
        assert!(crypto.start_key_exchange(NamedGroup::X448, &Seed::from_run(0)).is_err());
    }

    #[test]
    fn every_suite_has_its_parts() {
        let crypto = RingCrypto::new();
        for suite in crypto.cipher_suites() {
            let aead = match (suite.parameters(), suite.parameters_13()) {
                (Some(suite), None) => suite.aead,
                (None, Some(suite)) => suite.aead,
                neither_or_both => panic!("{suite}: {neither_or_both:?}"),
            };
            let key = vec![7; aead.key_len()];
            assert!(crypto.record_number_key(aead, &key).is_ok() && crypto.record_number_key(aead, &key[1..]).is_err());
            let sealing = crypto.record_key(aead, &key).unwrap();
            let mut body = b"payload".to_vec();
            let tag = sealing.seal([1; 12], b"aad", &mut body);
            body.extend(tag);
            assert!(sealing.open([1; 12], b"aax", &mut body.clone()).is_none());
            assert_eq!(sealing.open([1; 12], b"aad", &mut body).unwrap(), b"payload");
            assert!(crypto.record_key(aead, &key[1..]).is_err());
        }
    }
}
