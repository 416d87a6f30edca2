//! A cryptography that protects nothing: for simulations and fuzzing. **Never for production.**
//!
//! Everything has a fixed size and grows from seeds, so a run with fake crypto replays byte for byte, datagram sizes
//! included (ring can do neither, since it signs with the system's randomness). It has no curve arithmetic, so a fuzzer
//! gets past the handshake cheaply. Wrong signatures, tags and Finished are still refused: what is tested is the
//! protocol's reaction to them.

use std::fmt;
use std::sync::Arc;

use wire::Seed;

use crate::certificate::Certificate;
use crate::crypto::{
    Aead, Crypto, CryptoError, Digest, HashAlgorithm, KeyExchange, KeyKind, NONCE_LEN, RecordKey, RecordNumberKey,
    SAMPLE_LEN, SharedSecret, SigningKey, TAG_LEN, VerifyError,
};
use crate::registry::{CipherSuite, NamedGroup, SignatureScheme};
use crate::x509::PublicKey;

/// Fake cryptography with the suites, groups and sizes of the real one.
#[derive(Debug, Clone, Default)]
pub struct FakeCrypto {
    lenient: bool,
}

impl FakeCrypto {
    /// One that refuses wrong tags.
    pub const fn new() -> Self {
        Self { lenient: false }
    }

    /// One that takes any tag on a record, so that a fuzzer's changes to a ciphertext reach the code behind it.
    pub const fn lenient() -> Self {
        Self { lenient: true }
    }
}

/// A certificate whose key is a number. Its outline is that of X.509.
pub fn certificate(number: u64) -> Certificate {
    let key = mix(&[b"public", &number.to_be_bytes()]).to_be_bytes();
    let der = |tag: u8, parts: &[&[u8]]| -> Vec<u8> {
        let body = parts.concat();
        // All lengths here are below 128.
        [&[tag, u8::try_from(body.len()).unwrap_or(0x7f)][..], &body].concat()
    };
    let algorithm = der(0x30, &[FAKE_KEY]);
    let spki = der(0x30, &[&algorithm, &der(0x03, &[&[0], &key])]);
    let empty = der(0x30, &[]);
    let tbs = der(0x30, &[&der(0x02, &[&[1]]), &algorithm, &empty, &empty, &empty, &spki]);
    let whole = der(0x30, &[&tbs, &algorithm, &der(0x03, &[&[0]])]);
    Certificate::new(whole, Arc::new(FakeSigningKey(key)))
}

/// A certificate of any bytes at all, for those who are to refuse it.
pub fn certificate_of(der: Vec<u8>) -> Certificate {
    Certificate::new(der, Arc::new(FakeSigningKey(*b"nobody's")))
}

/// An object identifier in the arc for examples (2.999).
const FAKE_KEY: &[u8] = &[0x06, 0x03, 0x88, 0x37, 0x01];

const SCHEME: SignatureScheme = SignatureScheme::ECDSA_SECP256R1_SHA256;

/// Length of a fake signature, in bytes: that of a common ECDSA signature with P-256.
const SIGNATURE_LEN: usize = 71;

impl Crypto for FakeCrypto {
    fn cipher_suites(&self) -> &[CipherSuite] {
        &[
            CipherSuite::TLS_AES_128_GCM_SHA256,
            CipherSuite::TLS_AES_256_GCM_SHA384,
            CipherSuite::TLS_CHACHA20_POLY1305_SHA256,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        ]
    }

    fn groups(&self) -> &[NamedGroup] {
        &[NamedGroup::X25519_MLKEM768, NamedGroup::X25519, NamedGroup::SECP256R1]
    }

    fn verification_schemes(&self) -> &[SignatureScheme] {
        &[SCHEME]
    }

    fn start_key_exchange(&self, group: NamedGroup, seed: &Seed) -> Result<Box<dyn KeyExchange>, CryptoError> {
        Ok(Box::new(FakeKeyExchange::new(share_lens(group)?, seed)))
    }

    fn answer_key_exchange(
        &self,
        group: NamedGroup,
        peer_share: &[u8],
        seed: &Seed,
    ) -> Result<(Vec<u8>, SharedSecret), CryptoError> {
        let (started, answering) = share_lens(group)?;
        let ours = Box::new(FakeKeyExchange::new((answering, started), seed));
        let share = ours.share.clone();
        Ok((share, ours.complete(peer_share)?))
    }

    fn hash(&self, algorithm: HashAlgorithm, message: &[u8]) -> Digest {
        let mut out = [0; 48];
        let out = &mut out[..algorithm.digest_len()];
        stream(mix(&[b"hash", message]), out);
        Digest::new(out)
    }

    fn hmac(&self, algorithm: HashAlgorithm, key: &[u8], message: &[&[u8]]) -> Digest {
        let mut out = [0; 48];
        let out = &mut out[..algorithm.digest_len()];
        stream(mix(&[b"hmac", key, &message.concat()]), out);
        Digest::new(out)
    }

    fn prf(&self, _algorithm: HashAlgorithm, secret: &[u8], label: &[u8], seed: &[u8], out: &mut [u8]) {
        stream(mix(&[secret, label, seed]), out);
    }

    fn record_key(&self, aead: Aead, key: &[u8]) -> Result<Box<dyn RecordKey>, CryptoError> {
        if key.len() != aead.key_len() {
            return Err(CryptoError::InvalidKey);
        }
        Ok(Box::new(FakeRecordKey {
            key: mix(&[b"record", key]),
            lenient: self.lenient,
        }))
    }

    fn record_number_key(&self, aead: Aead, key: &[u8]) -> Result<Box<dyn RecordNumberKey>, CryptoError> {
        if key.len() != aead.key_len() {
            return Err(CryptoError::InvalidKey);
        }
        Ok(Box::new(FakeRecordNumberKey {
            key: mix(&[b"number", key]),
            lenient: self.lenient,
        }))
    }

    fn verify(
        &self,
        key: &PublicKey<'_>,
        scheme: SignatureScheme,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), VerifyError> {
        if scheme != SCHEME {
            return Err(VerifyError::UnsupportedScheme);
        }
        if key.algorithm != FAKE_KEY {
            return Err(VerifyError::KeyDoesNotFit);
        }
        if signature == sign(key.bits, message) {
            Ok(())
        } else {
            Err(VerifyError::BadSignature)
        }
    }
}

/// Lengths of the shares of those who start and of those who answer, in bytes.
const fn share_lens(group: NamedGroup) -> Result<(usize, usize), CryptoError> {
    match group {
        NamedGroup::X25519_MLKEM768 => Ok((1216, 1120)),
        NamedGroup::X25519 => Ok((32, 32)),
        NamedGroup::SECP256R1 => Ok((65, 65)),
        _ => Err(CryptoError::Unsupported),
    }
}

/// The secret is the share: both ends mix the two shares in sorted order.
struct FakeKeyExchange {
    share: Vec<u8>,
    peer_len: usize,
}

impl FakeKeyExchange {
    fn new((len, peer_len): (usize, usize), seed: &Seed) -> Self {
        let mut share = vec![0; len];
        stream(mix(&[b"share", &seed.0]), &mut share);
        Self { share, peer_len }
    }
}

impl KeyExchange for FakeKeyExchange {
    fn share(&self) -> &[u8] {
        &self.share
    }

    fn complete(self: Box<Self>, peer_share: &[u8]) -> Result<SharedSecret, CryptoError> {
        if peer_share.len() != self.peer_len {
            return Err(CryptoError::InvalidShare);
        }
        let ours = &self.share[..];
        let (low, high) = (peer_share.min(ours), peer_share.max(ours));
        let mut secret = vec![0; 32];
        stream(mix(&[low, high]), &mut secret);
        Ok(SharedSecret::new(secret))
    }
}

struct FakeSigningKey([u8; 8]);

impl SigningKey for FakeSigningKey {
    fn kind(&self) -> KeyKind {
        KeyKind::Ecdsa
    }

    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<SignatureScheme> {
        offered.contains(&SCHEME).then_some(SCHEME)
    }

    fn sign(&self, _scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        Ok(sign(&self.0, message))
    }
}

impl fmt::Debug for FakeSigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FakeSigningKey")
    }
}

fn sign(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut signature = vec![0; SIGNATURE_LEN];
    stream(mix(&[b"sign", key, message]), &mut signature);
    signature
}

struct FakeRecordKey {
    key: u64,
    lenient: bool,
}

impl FakeRecordKey {
    fn tag(&self, nonce: [u8; NONCE_LEN], aad: &[u8], ciphertext: &[u8]) -> [u8; TAG_LEN] {
        let mut tag = [0; TAG_LEN];
        stream(mix(&[&self.key.to_be_bytes(), &nonce, aad, ciphertext]), &mut tag);
        tag
    }

    fn apply(&self, nonce: [u8; NONCE_LEN], body: &mut [u8]) {
        let mask = mix(&[&self.key.to_be_bytes(), &nonce]).to_be_bytes();
        for (byte, mask) in body.iter_mut().zip(mask.iter().cycle()) {
            *byte ^= mask;
        }
    }
}

impl RecordKey for FakeRecordKey {
    fn seal(&self, nonce: [u8; NONCE_LEN], aad: &[u8], body: &mut [u8]) -> [u8; TAG_LEN] {
        self.apply(nonce, body);
        self.tag(nonce, aad, body)
    }

    fn open<'a>(&self, nonce: [u8; NONCE_LEN], aad: &[u8], sealed: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let (body, tag) = sealed.split_last_chunk_mut::<TAG_LEN>()?;
        if !self.lenient && *tag != self.tag(nonce, aad, body) {
            return None;
        }
        self.apply(nonce, body);
        Some(body)
    }
}

struct FakeRecordNumberKey {
    key: u64,
    lenient: bool,
}

impl RecordNumberKey for FakeRecordNumberKey {
    fn mask(&self, sample: [u8; SAMPLE_LEN]) -> [u8; 2] {
        // To be lenient is to let a changed ciphertext keep its number, too.
        let sample = if self.lenient { [0; SAMPLE_LEN] } else { sample };
        let [first, second, ..] = mix(&[&self.key.to_be_bytes(), &sample]).to_be_bytes();
        [first, second]
    }
}

/// Mixes byte strings, with their lengths, into a number: FNV-1a with a finisher. Nothing about it is secure.
fn mix(parts: &[&[u8]]) -> u64 {
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    for part in parts {
        for byte in (part.len() as u64).to_be_bytes().iter().chain(*part) {
            state = (state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    finish(state)
}

/// Fills `out` from a number (splitmix64).
fn stream(mut state: u64, out: &mut [u8]) {
    for chunk in out.chunks_mut(8) {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        for (to, from) in chunk.iter_mut().zip(finish(state).to_be_bytes()) {
            *to = from;
        }
    }
}

const fn finish(state: u64) -> u64 {
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_refuses_what_is_wrong_unless_lenient() {
        let message = b"message";
        let certificate = certificate(7);
        let key = PublicKey::of_certificate(certificate.der()).unwrap();
        let signature = certificate.key().sign(SCHEME, message).unwrap();
        assert_eq!(FakeCrypto::new().verify(&key, SCHEME, message, &signature), Ok(()));
        assert_eq!(
            FakeCrypto::new().verify(&key, SCHEME, b"massage", &signature),
            Err(VerifyError::BadSignature)
        );

        for (crypto, taken) in [(FakeCrypto::new(), false), (FakeCrypto::lenient(), true)] {
            let key = crypto.record_key(Aead::Aes128Gcm, &[1; 16]).unwrap();
            let mut body = message.to_vec();
            let tag = key.seal([3; 12], b"aad", &mut body);
            assert_ne!(body, message);
            body.extend(tag);
            assert_eq!(key.open([3; 12], b"aad", &mut body.clone()).unwrap(), message);
            body[0] ^= 1;
            assert_eq!(key.open([3; 12], b"aad", &mut body).is_some(), taken);
        }
    }
}
