//! Fingerprints of certificates as SDP carries them (RFC 8122 §5).
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use std::fmt;
use std::str::FromStr;

use ring::digest;

use crate::crypto::equal_in_constant_time;

/// The hash function of a fingerprint (RFC 8122 §5, "hash-func"). MD2 and MD5 must not be used and are not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FingerprintAlgorithm {
    /// `sha-1`: still met in old endpoints; a second preimage is what an attacker would need, not a collision.
    Sha1,
    /// `sha-256`: what everybody sends.
    Sha256,
    /// `sha-384`.
    Sha384,
    /// `sha-512`.
    Sha512,
}

impl FingerprintAlgorithm {
    const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    /// The name in SDP.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha-1",
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    fn digest(self, der: &[u8]) -> digest::Digest {
        let algorithm = match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, der)
    }

    const fn len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// The hash of a certificate, printed and parsed as in SDP: `sha-256 12:DF:3E:...`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    algorithm: FingerprintAlgorithm,
    bytes: Vec<u8>,
}

impl Fingerprint {
    /// The fingerprint of a certificate in DER.
    pub fn of_certificate(algorithm: FingerprintAlgorithm, der: &[u8]) -> Self {
        Self {
            algorithm,
            bytes: algorithm.digest(der).as_ref().to_vec(),
        }
    }

    /// The hash function.
    pub const fn algorithm(&self) -> FingerprintAlgorithm {
        self.algorithm
    }

    /// The hash value.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Why a text is not a fingerprint that can be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FingerprintError {
    /// A hash function that is unknown or must not be used. Other fingerprints of the same section may still do.
    UnknownAlgorithm,
    /// Not pairs of hexadecimal digits separated by colons, as many as the hash function gives.
    Malformed,
}

impl fmt::Display for FingerprintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownAlgorithm => "the fingerprint's hash function is not sha-1, sha-256, sha-384 or sha-512",
            Self::Malformed => "a fingerprint is a hash function's name, a space, and its value as XX:XX:...",
        })
    }
}

impl std::error::Error for FingerprintError {}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    /// Names and digits are taken in either case (RFC 8122 §5; names are tokens and compared without case).
    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let (name, value) = text.split_once(' ').ok_or(FingerprintError::Malformed)?;
        let algorithm = FingerprintAlgorithm::ALL
            .into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
            .ok_or(FingerprintError::UnknownAlgorithm)?;
        let byte = |pair: &str| {
            let two_digits = pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit());
            two_digits.then(|| u8::from_str_radix(pair, 16).ok()).flatten()
        };
        let bytes: Vec<u8> = value
            .split(':')
            .map(byte)
            .collect::<Option<_>>()
            .ok_or(FingerprintError::Malformed)?;
        if bytes.len() != algorithm.len() {
            return Err(FingerprintError::Malformed);
        }
        Ok(Self { algorithm, bytes })
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.algorithm.name())?;
        for (n, byte) in self.bytes.iter().enumerate() {
            write!(f, "{}{byte:02X}", if n == 0 { ' ' } else { ':' })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Proof that the peer's certificate matched a fingerprint from signalling. Nothing else can make one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FingerprintMatched(());

impl FingerprintMatched {
    /// Compares a certificate with those fingerprints that use the strongest hash function among them
    /// (RFC 8122 §5.1: "the set of fingerprints that use its most preferred hash function").
    pub(crate) fn check(fingerprints: &[Fingerprint], der: &[u8]) -> Option<Self> {
        let strongest = fingerprints.iter().map(Fingerprint::algorithm).max()?;
        let value = strongest.digest(der);
        fingerprints
            .iter()
            .filter(|fingerprint| fingerprint.algorithm == strongest)
            .any(|fingerprint| equal_in_constant_time(fingerprint.bytes(), value.as_ref()))
            .then_some(Self(()))
    }
}

#[cfg(test)]
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]
mod tests {
    use super::*;
    use FingerprintAlgorithm::{Sha1, Sha256, Sha384, Sha512};
    use proptest::prelude::*;

    #[test]
    fn empty_input_has_the_published_hashes() {
        assert_eq!(
            Fingerprint::of_certificate(Sha1, b"").to_string(),
            "sha-1 DA:39:A3:EE:5E:6B:4B:0D:32:55:BF:EF:95:60:18:90:AF:D8:07:09"
        );
        assert!(
            Fingerprint::of_certificate(Sha256, b"")
                .to_string()
                .starts_with("sha-256 E3:B0:C4:42:98:FC")
        );
        assert!(
            Fingerprint::of_certificate(Sha384, b"")
                .to_string()
                .starts_with("sha-384 38:B0:60:A7:51:AC")
        );
        assert!(
            Fingerprint::of_certificate(Sha512, b"")
                .to_string()
                .starts_with("sha-512 CF:83:E1:35:7E:EF")
        );
    }

    #[test]
    fn malformed_ones_are_refused() {
        let good = Fingerprint::of_certificate(Sha256, b"x").to_string();
        assert_eq!(good.parse(), Ok(Fingerprint::of_certificate(Sha256, b"x")));
        assert_eq!(
            good.to_lowercase().parse(),
            Ok(Fingerprint::of_certificate(Sha256, b"x"))
        );
        assert_eq!(
            good.replace("sha-256", "SHA-256").parse(),
            Ok(Fingerprint::of_certificate(Sha256, b"x"))
        );
        for bad in [
            &good[..good.len() - 3],
            &good.replace(':', "-"),
            "sha-256",
            "sha-256 +1:22",
            "",
        ] {
            assert_eq!(bad.parse::<Fingerprint>(), Err(FingerprintError::Malformed), "{bad}");
        }
        assert_eq!(
            "md5 00:11".parse::<Fingerprint>(),
            Err(FingerprintError::UnknownAlgorithm)
        );
    }

    #[test]
    fn the_strongest_hash_decides() {
        let [right, wrong] = [b"certificate", b"another one"];
        let print = Fingerprint::of_certificate;
        assert!(FingerprintMatched::check(&[], right).is_none());
        assert!(FingerprintMatched::check(&[print(Sha256, wrong), print(Sha256, right)], right).is_some());
        assert!(FingerprintMatched::check(&[print(Sha1, wrong), print(Sha512, right)], right).is_some());
        assert!(FingerprintMatched::check(&[print(Sha256, right), print(Sha512, wrong)], right).is_none());
    }

    proptest! {
        #[test]
        fn there_and_back(n in 0usize..4, der in proptest::collection::vec(any::<u8>(), 0..50)) {
            let fingerprint = Fingerprint::of_certificate(FingerprintAlgorithm::ALL[n], &der);
            prop_assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        }

        #[test]
        fn any_text_is_refused_or_read(text: String) {
            let _ = text.parse::<Fingerprint>();
        }
    }
}
