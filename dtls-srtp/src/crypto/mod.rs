//! The seam between the protocol and the cryptography under it.
//!
//! The engines know only [`Crypto`]. In production it is [`RingCrypto`]; tests and fuzzing use [`crate::fake`], which
//! has fixed sizes and grows everything from seeds, so that runs replay byte for byte.

mod aead;
mod hybrid;
mod ring_crypto;

use std::fmt;

use subtle::ConstantTimeEq;
use wire::Seed;
use zeroize::Zeroize;

use crate::registry::{CipherSuite, NamedGroup, SignatureScheme};
use crate::x509::PublicKey;

pub use ring_crypto::RingCrypto;
pub(crate) use ring_crypto::load_signing_key;

/// Everything that a handshake needs from a cryptographic library.
pub trait Crypto: fmt::Debug + Send + Sync {
    /// The cipher suites that can be negotiated, best first.
    fn cipher_suites(&self) -> &[CipherSuite];

    /// The groups that [`start_key_exchange`](Self::start_key_exchange) knows, best first.
    fn groups(&self) -> &[NamedGroup];

    /// The signature schemes that [`verify`](Self::verify) knows, best first.
    fn verification_schemes(&self) -> &[SignatureScheme];

    /// Makes an ephemeral key. An implementation that can be seeded grows it from `seed`; ring cannot and takes the
    /// operating system's randomness.
    ///
    /// # Errors
    /// When the group is unknown or the system has no randomness.
    fn start_key_exchange(&self, group: NamedGroup, seed: &Seed) -> Result<Box<dyn KeyExchange>, CryptoError>;

    /// Answers a peer whose share is there already: makes an ephemeral key and completes the exchange at once. Returns
    /// our share and the secret. Groups that encapsulate can be answered in no other way.
    ///
    /// # Errors
    /// When the group is unknown, the peer's share is not one of it, or the system has no randomness.
    fn answer_key_exchange(
        &self,
        group: NamedGroup,
        peer_share: &[u8],
        seed: &Seed,
    ) -> Result<(Vec<u8>, SharedSecret), CryptoError> {
        let ours = self.start_key_exchange(group, seed)?;
        let share = ours.share().to_vec();
        Ok((share, ours.complete(peer_share)?))
    }

    /// The hash of a message.
    fn hash(&self, algorithm: HashAlgorithm, message: &[u8]) -> Digest;

    /// The pseudorandom function of TLS 1.2 (RFC 5246 §5), filling `out`.
    fn prf(&self, algorithm: HashAlgorithm, secret: &[u8], label: &[u8], seed: &[u8], out: &mut [u8]);

    /// The HMAC (RFC 2104) of a message, which is given in parts.
    fn hmac(&self, algorithm: HashAlgorithm, key: &[u8], message: &[&[u8]]) -> Digest;

    /// Expands a key for record numbers (RFC 9147 §4.2.3).
    ///
    /// # Errors
    /// When the key has not [`Aead::key_len`] bytes.
    fn record_number_key(&self, aead: Aead, key: &[u8]) -> Result<Box<dyn RecordNumberKey>, CryptoError>;

    /// Expands a key for records.
    ///
    /// # Errors
    /// When the key has not [`Aead::key_len`] bytes.
    fn record_key(&self, aead: Aead, key: &[u8]) -> Result<Box<dyn RecordKey>, CryptoError>;

    /// Verifies a signature over `message`, which is not hashed yet.
    ///
    /// # Errors
    /// See [`VerifyError`].
    fn verify(
        &self,
        key: &PublicKey<'_>,
        scheme: SignatureScheme,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), VerifyError>;
}

/// An ephemeral key that waits for the peer's share.
pub trait KeyExchange: Send + Sync {
    /// Our share, as it goes on the wire.
    fn share(&self) -> &[u8];

    /// The shared secret.
    ///
    /// # Errors
    /// When the peer's share is not one of the group.
    fn complete(self: Box<Self>, peer_share: &[u8]) -> Result<SharedSecret, CryptoError>;
}

/// A key that seals and opens records.
pub trait RecordKey: Send + Sync {
    /// Encrypts `body` in place and returns the tag.
    fn seal(&self, nonce: [u8; NONCE_LEN], aad: &[u8], body: &mut [u8]) -> [u8; TAG_LEN];

    /// Decrypts in place: `sealed` is a ciphertext followed by its tag. Returns the plaintext, or `None` when the tag
    /// is wrong.
    fn open<'a>(&self, nonce: [u8; NONCE_LEN], aad: &[u8], sealed: &'a mut [u8]) -> Option<&'a mut [u8]>;
}

/// A key that hides the numbers of records (RFC 9147 §4.2.3).
pub trait RecordNumberKey: Send + Sync {
    /// The mask that belongs to the first bytes of a ciphertext.
    fn mask(&self, sample: [u8; SAMPLE_LEN]) -> [u8; 2];
}

/// A private key that signs handshakes.
pub trait SigningKey: fmt::Debug + Send + Sync {
    /// What kind of suite it can serve.
    fn kind(&self) -> KeyKind;

    /// The first of our own preferences that the peer offers.
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<SignatureScheme>;

    /// Signs `message`, which is not hashed yet.
    ///
    /// # Errors
    /// When the scheme is not one of the key's, or the library refuses.
    fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, CryptoError>;
}

/// Length of a nonce of all [`Aead`]s, in bytes.
pub const NONCE_LEN: usize = 12;

/// Length of a tag of all [`Aead`]s, in bytes.
pub const TAG_LEN: usize = 16;

/// How much of a ciphertext gives the mask for its record number, in bytes (RFC 9147 §4.2.3).
pub const SAMPLE_LEN: usize = 16;

/// A cipher for records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aead {
    /// RFC 5288.
    Aes128Gcm,
    /// RFC 5288.
    Aes256Gcm,
    /// RFC 7905.
    ChaCha20Poly1305,
}

impl Aead {
    /// Length of a key, in bytes.
    pub const fn key_len(self) -> usize {
        match self {
            Self::Aes128Gcm => 16,
            Self::Aes256Gcm | Self::ChaCha20Poly1305 => 32,
        }
    }
}

/// A hash function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashAlgorithm {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
}

impl HashAlgorithm {
    /// Length of a digest, in bytes.
    pub const fn digest_len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
        }
    }
}

/// What a public key can authenticate in the names of cipher suites (RFC 8422 §2): EdDSA counts as ECDSA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// `ECDHE_ECDSA` suites.
    Ecdsa,
    /// `ECDHE_RSA` suites.
    Rsa,
}

impl SignatureScheme {
    /// The kind of key that makes such signatures; `None` for schemes that nobody should use any more and unknown ones.
    pub const fn key_kind(self) -> Option<KeyKind> {
        match self {
            Self::ECDSA_SECP256R1_SHA256
            | Self::ECDSA_SECP384R1_SHA384
            | Self::ECDSA_SECP521R1_SHA512
            | Self::ED25519 => Some(KeyKind::Ecdsa),
            Self::RSA_PKCS1_SHA256
            | Self::RSA_PKCS1_SHA384
            | Self::RSA_PKCS1_SHA512
            | Self::RSA_PSS_RSAE_SHA256
            | Self::RSA_PSS_RSAE_SHA384
            | Self::RSA_PSS_RSAE_SHA512 => Some(KeyKind::Rsa),
            _ => None,
        }
    }
}

impl SignatureScheme {
    /// Whether DTLS 1.3 signs handshakes with it (RFC 8446 §4.2.3): no PKCS #1 any more, and ECDSA with one curve each.
    pub(crate) const fn is_of_13(self) -> bool {
        matches!(
            self,
            Self::ECDSA_SECP256R1_SHA256
                | Self::ECDSA_SECP384R1_SHA384
                | Self::ECDSA_SECP521R1_SHA512
                | Self::ED25519
                | Self::RSA_PSS_RSAE_SHA256
                | Self::RSA_PSS_RSAE_SHA384
                | Self::RSA_PSS_RSAE_SHA512
        )
    }
}

/// What a DTLS 1.2 cipher suite consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SuiteParameters {
    pub(crate) authentication: KeyKind,
    pub(crate) aead: Aead,
    pub(crate) hash: HashAlgorithm,
}

impl CipherSuite {
    /// The parts of a suite of DTLS 1.2; `None` when it is not one that this crate has.
    pub(crate) const fn parameters(self) -> Option<SuiteParameters> {
        let (authentication, aead, hash) = match self {
            Self::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => (KeyKind::Ecdsa, Aead::Aes128Gcm, HashAlgorithm::Sha256),
            Self::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => (KeyKind::Ecdsa, Aead::Aes256Gcm, HashAlgorithm::Sha384),
            Self::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => {
                (KeyKind::Ecdsa, Aead::ChaCha20Poly1305, HashAlgorithm::Sha256)
            }
            Self::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => (KeyKind::Rsa, Aead::Aes128Gcm, HashAlgorithm::Sha256),
            Self::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => (KeyKind::Rsa, Aead::Aes256Gcm, HashAlgorithm::Sha384),
            Self::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => {
                (KeyKind::Rsa, Aead::ChaCha20Poly1305, HashAlgorithm::Sha256)
            }
            _ => return None,
        };
        Some(SuiteParameters {
            authentication,
            aead,
            hash,
        })
    }
}

/// What a DTLS 1.3 cipher suite consists of (RFC 8446 §B.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SuiteParameters13 {
    pub(crate) aead: Aead,
    pub(crate) hash: HashAlgorithm,
}

impl CipherSuite {
    /// The parts of a suite of DTLS 1.3; `None` when it is not one that this crate has.
    pub(crate) const fn parameters_13(self) -> Option<SuiteParameters13> {
        let (aead, hash) = match self {
            Self::TLS_AES_128_GCM_SHA256 => (Aead::Aes128Gcm, HashAlgorithm::Sha256),
            Self::TLS_AES_256_GCM_SHA384 => (Aead::Aes256Gcm, HashAlgorithm::Sha384),
            Self::TLS_CHACHA20_POLY1305_SHA256 => (Aead::ChaCha20Poly1305, HashAlgorithm::Sha256),
            _ => return None,
        };
        Some(SuiteParameters13 { aead, hash })
    }
}

/// A hash value, or a secret of that length. Erased when dropped.
#[derive(Clone)]
pub struct Digest {
    bytes: [u8; 48],
    len: usize,
}

impl Drop for Digest {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl Digest {
    /// A digest of at most 48 bytes; longer input is cut.
    pub fn new(value: &[u8]) -> Self {
        let mut bytes = [0; 48];
        let len = value.len().min(bytes.len());
        for (to, from) in bytes.iter_mut().zip(value) {
            *to = *from;
        }
        Self { bytes, len }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({} bytes)", self.len)
    }
}

/// The outcome of a key exchange. Erased when dropped.
pub struct SharedSecret(Vec<u8>);

impl SharedSecret {
    /// Takes the bytes over.
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for SharedSecret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedSecret({} bytes)", self.0.len())
    }
}

/// A cryptographic operation that could not be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CryptoError {
    /// The library does not know this group, scheme or kind of key.
    Unsupported,
    /// The peer's share is not a public key of the group.
    InvalidShare,
    /// A private key that the library cannot read.
    InvalidKey,
    /// The library failed, for example for want of randomness.
    Failed,
}

impl fmt::Display for CryptoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsupported => "the cryptographic library does not support this algorithm or kind of key",
            Self::InvalidShare => "the peer's key share is not a public key of the negotiated group",
            Self::InvalidKey => "the private key cannot be read; it has to be PKCS #8 in DER",
            Self::Failed => "the cryptographic library failed; check that the system has a source of randomness",
        })
    }
}

impl std::error::Error for CryptoError {}

/// Why a signature was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifyError {
    /// The scheme is unknown or was not offered.
    UnsupportedScheme,
    /// The key is not one for this scheme.
    KeyDoesNotFit,
    /// An RSA key below 2048 bits.
    WeakKey,
    /// The signature is wrong.
    BadSignature,
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnsupportedScheme => "the signature scheme is not one that was offered",
            Self::KeyDoesNotFit => "the certificate's key is not one for the signature scheme",
            Self::WeakKey => "the certificate has an RSA key of less than 2048 bits; make it at least 2048",
            Self::BadSignature => "the signature does not verify",
        })
    }
}

impl std::error::Error for VerifyError {}

/// Compares two secrets in a time that depends on their lengths alone.
pub(crate) fn equal_in_constant_time(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}
