//! Just enough of X.509 to find the public key. Self-signed, version 1, expired and oddly extended certificates are all
//! legal in WebRTC: the fingerprint decides (RFC 8122 §6.2), so nothing else in a certificate is looked at.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use std::fmt;

use wire::{Error, Reader};

use crate::registry::SignatureScheme;

/// A `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7), taken out of a certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey<'a> {
    /// The contents of the `AlgorithmIdentifier`, without its own tag and length.
    pub algorithm: &'a [u8],
    /// The contents of the `BIT STRING`, without the count of unused bits.
    pub bits: &'a [u8],
}

/// `rsaEncryption` with NULL parameters (RFC 3279 §2.3.1).
const RSA_ENCRYPTION: &[u8] = &[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];

/// The curves' names as they stand at the end of an `AlgorithmIdentifier` (RFC 5480 §2.1.1.1).
const SECP256R1: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const SECP384R1: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];
const SECP521R1: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23];

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
/// `[0] EXPLICIT`, the version, absent in version 1.
const EXPLICIT_0: u8 = 0xa0;

impl<'a> PublicKey<'a> {
    /// Walks to the key of a certificate in DER (RFC 5280 §4.1).
    ///
    /// # Errors
    /// When the outline is not that of a certificate, with the rule and the offset.
    pub fn of_certificate(der: &'a [u8]) -> Result<Self, Error> {
        let mut outer = Reader::new(der);
        let mut certificate = value(&mut outer, SEQUENCE, "a certificate is a SEQUENCE")?;
        outer.finish()?;
        let mut tbs = value(&mut certificate, SEQUENCE, "tbsCertificate is a SEQUENCE")?;
        if tbs.peek_u8() == Some(EXPLICIT_0) {
            value(&mut tbs, EXPLICIT_0, "version is [0]")?;
        }
        value(&mut tbs, INTEGER, "serialNumber is an INTEGER")?;
        value(&mut tbs, SEQUENCE, "signature is a SEQUENCE")?;
        value(&mut tbs, SEQUENCE, "issuer is a SEQUENCE")?;
        value(&mut tbs, SEQUENCE, "validity is a SEQUENCE")?;
        value(&mut tbs, SEQUENCE, "subject is a SEQUENCE")?;
        let mut spki = value(&mut tbs, SEQUENCE, "subjectPublicKeyInfo is a SEQUENCE")?;
        let algorithm = value(&mut spki, SEQUENCE, "algorithm is a SEQUENCE")?.all();
        let mut bits = value(&mut spki, BIT_STRING, "subjectPublicKey is a BIT STRING")?;
        spki.finish()?;
        bits.ensure(bits.peek_u8() == Some(0), "a public key has no unused bits")?;
        bits.skip(1)?;
        Ok(Self {
            algorithm,
            bits: bits.all(),
        })
    }

    /// Whether the curve of the key, if it is on one, is that of the scheme (RFC 8446 §4.2.3).
    pub(crate) fn is_on_curve_of(&self, scheme: SignatureScheme) -> bool {
        let is = |curve| self.algorithm.ends_with(curve);
        match scheme {
            SignatureScheme::ECDSA_SECP256R1_SHA256 => !is(SECP384R1) && !is(SECP521R1),
            SignatureScheme::ECDSA_SECP384R1_SHA384 => !is(SECP256R1) && !is(SECP521R1),
            SignatureScheme::ECDSA_SECP521R1_SHA512 => !is(SECP256R1) && !is(SECP384R1),
            _ => true,
        }
    }

    /// Size of the modulus in bits when this is an RSA key (RFC 8017 §A.1.1).
    pub fn rsa_modulus_bits(&self) -> Option<usize> {
        if self.algorithm != RSA_ENCRYPTION {
            return None;
        }
        let mut outer = Reader::new(self.bits);
        let mut key = value(&mut outer, SEQUENCE, "RSAPublicKey is a SEQUENCE").ok()?;
        let modulus = value(&mut key, INTEGER, "modulus is an INTEGER").ok()?.all();
        let significant = modulus.iter().skip_while(|&&byte| byte == 0).count();
        let leading = modulus.iter().find(|&&byte| byte != 0)?.leading_zeros();
        significant.checked_mul(8)?.checked_sub(usize::try_from(leading).ok()?)
    }
}

impl fmt::Debug for PublicKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} + {} bytes)", self.algorithm.len(), self.bits.len())
    }
}

/// The contents of the next value, which must have this tag (X.690 §8.1; lengths in their shortest form, §10.1).
fn value<'a>(r: &mut Reader<'a>, tag: u8, rule: &'static str) -> Result<Reader<'a>, Error> {
    r.ensure(r.peek_u8() == Some(tag), rule)?;
    r.skip(1)?;
    let len = match r.u8()? {
        short @ ..=0x7f => usize::from(short),
        0x81 => {
            let len = usize::from(r.u8()?);
            r.ensure(len >= 0x80, "DER lengths are as short as can be")?;
            len
        }
        0x82 => {
            let len = usize::from(r.u16()?);
            r.ensure(len >= 0x100, "DER lengths are as short as can be")?;
            len
        }
        _ => return Err(r.broken("a part of a certificate is shorter than 64 KiB")),
    };
    r.sub(len)
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
    use proptest::prelude::*;

    #[test]
    fn lengths_are_der() {
        for (input, ok) in [
            (&[0x30, 0x01, 0][..], true),
            (&[0x30, 0x81, 0x01, 0], false),
            (&[0x30, 0x82, 0x00, 0x01, 0], false),
            (&[0x30, 0x80, 0, 0], false),
            (&[0x30, 0x02, 0], false),
        ] {
            assert_eq!(value(&mut Reader::new(input), SEQUENCE, "").is_ok(), ok, "{input:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(key) = PublicKey::of_certificate(&bytes) {
                key.rsa_modulus_bits();
            }
        }
    }
}
