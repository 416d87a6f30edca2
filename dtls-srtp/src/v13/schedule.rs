use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::Protection;
use crate::crypto::{
    Crypto, CryptoError, Digest, HashAlgorithm, SharedSecret, SuiteParameters13, equal_in_constant_time,
};

/// What every label of HKDF-Expand-Label begins with (RFC 9147 §5.9): without the space of TLS 1.3's "tls13 ".
const PREFIX: &[u8] = b"dtls13";

/// HKDF (RFC 5869) as the key schedule of RFC 8446 §7.1 uses it.
#[derive(Debug, Clone)]
pub(super) struct Hkdf {
    crypto: Arc<dyn Crypto>,
    hash: HashAlgorithm,
    prefix: &'static [u8],
}

/// A secret of the key schedule, as long as a digest. Erased when dropped.
pub(super) type Secret = Digest;

/// The label of an exporter, or what is asked of it, is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ExportTooLong;

impl Hkdf {
    pub(super) const fn new(crypto: Arc<dyn Crypto>, hash: HashAlgorithm) -> Self {
        Self {
            crypto,
            hash,
            prefix: PREFIX,
        }
    }

    /// The schedule of TLS 1.3, for the vectors of RFC 8448.
    #[cfg(test)]
    pub(super) fn of_tls(crypto: Arc<dyn Crypto>, hash: HashAlgorithm) -> Self {
        Self {
            prefix: b"tls13 ",
            ..Self::new(crypto, hash)
        }
    }

    pub(super) fn hash(&self, message: &[u8]) -> Digest {
        self.crypto.hash(self.hash, message)
    }

    /// HKDF-Extract (RFC 5869 §2.2).
    pub(super) fn extract(&self, salt: &[u8], material: &[u8]) -> Secret {
        self.crypto.hmac(self.hash, salt, &[material])
    }

    /// HKDF-Expand-Label (RFC 8446 §7.1), filling `out`.
    ///
    /// # Errors
    /// When more than 255 digests are asked for (RFC 5869 §2.3), or when label or context are longer than 255 bytes.
    pub(super) fn expand(
        &self,
        secret: &[u8],
        label: &[u8],
        context: &[u8],
        out: &mut [u8],
    ) -> Result<(), ExportTooLong> {
        if out.len() > self.hash.digest_len().saturating_mul(255) {
            return Err(ExportTooLong);
        }
        let total = u16::try_from(out.len()).map_err(|_| ExportTooLong)?.to_be_bytes();
        let label_len = u8::try_from(self.prefix.len().saturating_add(label.len())).map_err(|_| ExportTooLong)?;
        let context_len = u8::try_from(context.len()).map_err(|_| ExportTooLong)?;
        let mut before: Option<Digest> = None;
        for (counter, chunk) in (1_u8..=u8::MAX).zip(out.chunks_mut(self.hash.digest_len())) {
            let block = self.crypto.hmac(
                self.hash,
                secret,
                &[
                    before.as_ref().map_or(&[][..], Digest::as_bytes),
                    &total,
                    &[label_len],
                    self.prefix,
                    label,
                    &[context_len],
                    context,
                    &[counter],
                ],
            );
            for (to, from) in chunk.iter_mut().zip(block.as_bytes()) {
                *to = *from;
            }
            before = Some(block);
        }
        Ok(())
    }

    /// HKDF-Expand-Label for another secret. Label and context are never too long here.
    fn expand_secret(&self, secret: &[u8], label: &[u8], context: &[u8]) -> Secret {
        let mut out = Zeroizing::new([0; 48]);
        let out = out.get_mut(..self.hash.digest_len()).unwrap_or_default();
        let expanded = self.expand(secret, label, context, out);
        debug_assert!(expanded.is_ok());
        Digest::new(out)
    }

    /// Derive-Secret (RFC 8446 §7.1), with the hash of the messages.
    pub(super) fn derive(&self, secret: &Secret, label: &[u8], transcript: &Digest) -> Secret {
        self.expand_secret(secret.as_bytes(), label, transcript.as_bytes())
    }

    /// What a Finished holds, and a binder (RFC 8446 §4.4.4, §4.2.11.2).
    fn verify_data(&self, secret: &Secret, transcript: &[u8]) -> Digest {
        let key = self.expand_secret(secret.as_bytes(), b"finished", &[]);
        let digest = self.hash(transcript);
        self.crypto.hmac(self.hash, key.as_bytes(), &[digest.as_bytes()])
    }
}

/// The secrets of one direction at one time: keys for records, and for the Finished that the direction carries.
pub(super) struct Traffic {
    hkdf: Hkdf,
    suite: SuiteParameters13,
    secret: Secret,
}

impl Traffic {
    pub(super) fn secret(&self) -> &[u8] {
        self.secret.as_bytes()
    }

    /// The keys of records (RFC 8446 §7.3, RFC 9147 §4.2.3).
    pub(super) fn protection(&self, epoch: u16) -> Result<Protection, CryptoError> {
        Protection::new(&*self.hkdf.crypto, self.suite.aead, epoch, |label, out| {
            self.hkdf
                .expand(self.secret.as_bytes(), label, &[], out)
                .map_err(|ExportTooLong| CryptoError::Failed)
        })
    }

    /// What the Finished of this direction holds (RFC 8446 §4.4.4).
    pub(super) fn verify_data(&self, transcript: &[u8]) -> Digest {
        self.hkdf.verify_data(&self.secret, transcript)
    }

    /// Whether a Finished of this direction is right.
    pub(super) fn verifies(&self, transcript: &[u8], verify_data: &[u8]) -> bool {
        equal_in_constant_time(self.verify_data(transcript).as_bytes(), verify_data)
    }

    /// The next generation of secrets (RFC 8446 §7.2).
    pub(super) fn next(&self) -> Self {
        Self {
            hkdf: self.hkdf.clone(),
            suite: self.suite,
            secret: self.hkdf.expand_secret(self.secret.as_bytes(), b"traffic upd", &[]),
        }
    }
}

impl fmt::Debug for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Traffic({:?})", self.suite)
    }
}

/// Where the schedule begins (RFC 8446 §7.1): with a pre-shared key, or without.
#[derive(Debug)]
pub(super) struct EarlySecret {
    hkdf: Hkdf,
    secret: Secret,
}

impl EarlySecret {
    pub(super) fn new(hkdf: Hkdf, psk: Option<&Secret>) -> Self {
        let zeros = [0; 48];
        let zeros = zeros.get(..hkdf.hash.digest_len()).unwrap_or_default();
        let secret = hkdf.extract(&[], psk.map_or(zeros, Digest::as_bytes));
        Self { hkdf, secret }
    }

    /// The binder of a key that was given with a ticket, over the messages up to the binders (RFC 8446 §4.2.11.2).
    pub(super) fn binder(&self, transcript: &[u8]) -> Digest {
        let key = self.hkdf.derive(&self.secret, b"res binder", &self.hkdf.hash(&[]));
        self.hkdf.verify_data(&key, transcript)
    }

    /// Whether a binder is right.
    pub(super) fn verifies(&self, transcript: &[u8], binder: &[u8]) -> bool {
        equal_in_constant_time(self.binder(transcript).as_bytes(), binder)
    }
}

/// The secrets of a handshake from the key exchange on (RFC 8446 §7.1).
#[derive(Debug)]
pub(super) struct HandshakeSecrets {
    hkdf: Hkdf,
    suite: SuiteParameters13,
    secret: Secret,
    pub(super) client: Traffic,
    pub(super) server: Traffic,
}

/// The secrets of a finished handshake.
#[derive(Debug)]
pub(super) struct ApplicationSecrets {
    pub(super) client: Traffic,
    pub(super) server: Traffic,
    pub(super) exporter: Exporter,
    hkdf: Hkdf,
    master: Secret,
}

impl ApplicationSecrets {
    /// What the keys of tickets come from, with the messages up to the client's Finished (RFC 8446 §7.1).
    pub(super) fn resumption(&self, transcript: &[u8]) -> ResumptionSecret {
        ResumptionSecret {
            secret: self
                .hkdf
                .derive(&self.master, b"res master", &self.hkdf.hash(transcript)),
            hkdf: self.hkdf.clone(),
        }
    }
}

/// What the keys of a connection's tickets come from.
pub(crate) struct ResumptionSecret {
    hkdf: Hkdf,
    secret: Secret,
}

impl ResumptionSecret {
    /// The key of the ticket with this nonce, of at most 255 bytes (RFC 8446 §4.6.1).
    pub(crate) fn psk(&self, nonce: &[u8]) -> Digest {
        self.hkdf.expand_secret(self.secret.as_bytes(), b"resumption", nonce)
    }

    /// The hash that the key is for.
    pub(crate) const fn hash(&self) -> HashAlgorithm {
        self.hkdf.hash
    }
}

impl fmt::Debug for ResumptionSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResumptionSecret({:?})", self.hkdf.hash)
    }
}

/// Two secrets for the two directions.
fn both(
    hkdf: &Hkdf,
    suite: SuiteParameters13,
    secret: &Secret,
    labels: [&[u8]; 2],
    transcript: &Digest,
) -> [Traffic; 2] {
    labels.map(|label| Traffic {
        hkdf: hkdf.clone(),
        suite,
        secret: hkdf.derive(secret, label, transcript),
    })
}

impl HandshakeSecrets {
    /// From the shared secret and the messages up to the `ServerHello`.
    pub(super) fn new(early: &EarlySecret, suite: SuiteParameters13, shared: &SharedSecret, transcript: &[u8]) -> Self {
        let hkdf = early.hkdf.clone();
        let salt = hkdf.derive(&early.secret, b"derived", &hkdf.hash(&[]));
        let secret = hkdf.extract(salt.as_bytes(), shared.as_bytes());
        let digest = hkdf.hash(transcript);
        let [client, server] = both(&hkdf, suite, &secret, [b"c hs traffic", b"s hs traffic"], &digest);
        Self {
            hkdf,
            suite,
            secret,
            client,
            server,
        }
    }

    /// From the messages up to the server's Finished.
    pub(super) fn application(&self, transcript: &[u8]) -> ApplicationSecrets {
        let zeros = [0; 48];
        let zeros = zeros.get(..self.suite.hash.digest_len()).unwrap_or_default();
        let salt = self.hkdf.derive(&self.secret, b"derived", &self.hkdf.hash(&[]));
        let master = self.hkdf.extract(salt.as_bytes(), zeros);
        let digest = self.hkdf.hash(transcript);
        let labels: [&[u8]; 2] = [b"c ap traffic", b"s ap traffic"];
        let [client, server] = both(&self.hkdf, self.suite, &master, labels, &digest);
        ApplicationSecrets {
            client,
            server,
            exporter: Exporter {
                secret: self.hkdf.derive(&master, b"exp master", &digest),
                hkdf: self.hkdf.clone(),
            },
            hkdf: self.hkdf.clone(),
            master,
        }
    }
}

/// Gives keying material to others (RFC 8446 §7.5).
pub(crate) struct Exporter {
    hkdf: Hkdf,
    secret: Secret,
}

impl Exporter {
    pub(super) fn secret(&self) -> &[u8] {
        self.secret.as_bytes()
    }

    /// Fills `out`. No context is the same as an empty one.
    pub(crate) fn export(&self, label: &[u8], context: Option<&[u8]>, out: &mut [u8]) -> Result<(), ExportTooLong> {
        // Derive-Secret's label is the caller's: it may be too long.
        let mut secret = Zeroizing::new([0; 48]);
        let secret = secret.get_mut(..self.hkdf.hash.digest_len()).unwrap_or_default();
        let nothing = self.hkdf.hash(&[]);
        self.hkdf
            .expand(self.secret.as_bytes(), label, nothing.as_bytes(), secret)?;
        let context = self.hkdf.hash(context.unwrap_or_default());
        self.hkdf.expand(secret, b"exporter", context.as_bytes(), out)
    }

    #[cfg(test)]
    pub(super) fn from_secret(hkdf: Hkdf, secret: &[u8]) -> Self {
        Self {
            hkdf,
            secret: Digest::new(secret),
        }
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exporter")
    }
}

#[cfg(test)]
impl Traffic {
    /// From a secret out of a key log.
    pub(super) fn from_secret(hkdf: Hkdf, suite: SuiteParameters13, secret: &[u8]) -> Self {
        Self {
            hkdf,
            suite,
            secret: Digest::new(secret),
        }
    }
}
