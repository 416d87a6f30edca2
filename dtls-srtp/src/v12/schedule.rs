use std::fmt;
use std::sync::Arc;

use zeroize::{Zeroize, Zeroizing};

use super::Protection;
use crate::crypto::{Crypto, CryptoError, HashAlgorithm, SharedSecret, SuiteParameters, equal_in_constant_time};
use crate::hello::RANDOM_LEN;

/// The master secret and everything that is derived from it (RFC 5246 §8.1, §6.3, §7.4.9; RFC 5705). Erased when
/// dropped.
pub(crate) struct Master {
    crypto: Arc<dyn Crypto>,
    hash: HashAlgorithm,
    secret: [u8; Self::LEN],
    client_random: [u8; RANDOM_LEN],
    server_random: [u8; RANDOM_LEN],
}

/// Which end a Finished or a key belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Client,
    Server,
}

/// The keys of both directions.
pub(super) struct KeyPair {
    pub(super) client: Protection,
    pub(super) server: Protection,
}

impl Master {
    const LEN: usize = 48;

    /// Length of the `verify_data` of a Finished (RFC 5246 §7.4.9).
    pub(super) const VERIFY_DATA_LEN: usize = 12;

    /// The extended master secret (RFC 7627 §4): bound to all messages up to the `ClientKeyExchange`.
    pub(super) fn extended(
        crypto: Arc<dyn Crypto>,
        hash: HashAlgorithm,
        shared: &SharedSecret,
        transcript: &[u8],
        client_random: [u8; RANDOM_LEN],
        server_random: [u8; RANDOM_LEN],
    ) -> Self {
        let session_hash = crypto.hash(hash, transcript);
        let mut secret = [0; Self::LEN];
        crypto.prf(
            hash,
            shared.as_bytes(),
            b"extended master secret",
            session_hash.as_bytes(),
            &mut secret,
        );
        Self {
            crypto,
            hash,
            secret,
            client_random,
            server_random,
        }
    }

    /// From a secret out of a key log.
    #[cfg(test)]
    pub(super) fn from_secret(
        crypto: Arc<dyn Crypto>,
        hash: HashAlgorithm,
        secret: [u8; Self::LEN],
        client_random: [u8; RANDOM_LEN],
        server_random: [u8; RANDOM_LEN],
    ) -> Self {
        Self {
            crypto,
            hash,
            secret,
            client_random,
            server_random,
        }
    }

    pub(super) const fn client_random(&self) -> &[u8; RANDOM_LEN] {
        &self.client_random
    }

    pub(super) const fn secret(&self) -> &[u8] {
        &self.secret
    }

    /// The record keys (RFC 5246 §6.3; no MAC keys with AEAD).
    pub(super) fn record_keys(&self, suite: &SuiteParameters) -> Result<KeyPair, CryptoError> {
        let (key_len, iv_len) = (suite.aead.key_len(), Protection::iv_len(suite.aead));
        let mut block = Zeroizing::new(vec![0; 2 * (key_len + iv_len)]);
        let seed = [self.server_random, self.client_random].concat();
        self.crypto
            .prf(self.hash, &self.secret, b"key expansion", &seed, &mut block);
        let (keys, ivs) = block.split_at(2 * key_len);
        let (client_key, server_key) = keys.split_at(key_len);
        let (client_iv, server_iv) = ivs.split_at(iv_len);
        Ok(KeyPair {
            client: Protection::new(&*self.crypto, suite.aead, client_key, client_iv)?,
            server: Protection::new(&*self.crypto, suite.aead, server_key, server_iv)?,
        })
    }

    /// The `verify_data` of a Finished that sums up `transcript`.
    pub(super) fn verify_data(&self, end: End, transcript: &[u8]) -> [u8; Self::VERIFY_DATA_LEN] {
        let label: &[u8] = match end {
            End::Client => b"client finished",
            End::Server => b"server finished",
        };
        let digest = self.crypto.hash(self.hash, transcript);
        let mut out = [0; Self::VERIFY_DATA_LEN];
        self.crypto
            .prf(self.hash, &self.secret, label, digest.as_bytes(), &mut out);
        out
    }

    /// Whether a Finished of the peer's is right.
    pub(super) fn verifies(&self, end: End, transcript: &[u8], verify_data: &[u8]) -> bool {
        equal_in_constant_time(&self.verify_data(end, transcript), verify_data)
    }

    /// Keying material for others (RFC 5705 §4).
    pub(crate) fn export(&self, label: &[u8], context: Option<&[u8]>, out: &mut [u8]) -> Result<(), ContextTooLong> {
        let mut seed = [self.client_random, self.server_random].concat();
        if let Some(context) = context {
            let len = u16::try_from(context.len()).map_err(|_| ContextTooLong)?;
            seed.extend(len.to_be_bytes());
            seed.extend(context);
        }
        self.crypto.prf(self.hash, &self.secret, label, &seed, out);
        Ok(())
    }
}

/// A context for the exporter is at most 2^16 - 1 bytes long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ContextTooLong;

impl Drop for Master {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

impl fmt::Debug for Master {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Master({} bytes)", Self::LEN)
    }
}
