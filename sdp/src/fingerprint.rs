use core::fmt;

use crate::Rule;
use crate::scan::{self, Scanner};

/// `a=fingerprint`: the hash of the certificate that the DTLS handshake must show (RFC 8122 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint<'a> {
    /// The hash function, `sha-256` nearly always; compare it without regard to case.
    pub algorithm: &'a str,
    /// The hash: pairs of hexadecimal digits with colons between them.
    pub value: &'a str,
}

impl<'a> Fingerprint<'a> {
    /// Reads the value of `a=fingerprint`. Lower-case digits pass, since some stacks write them.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(text: &'a str) -> Result<Self, Rule> {
        const TWO: &str =
            "a=fingerprint is a hash function and the hash as hexadecimal pairs with colons (RFC 8122 §5)";
        let mut fields = Scanner::new(text);
        let algorithm = fields.need(TWO)?;
        let value = fields.need(TWO)?;
        fields.end(TWO)?;
        if !scan::is_token(algorithm) || !is_hex_pairs(value) {
            return Err(Rule(TWO));
        }
        if let Some(len) = hash_len(algorithm)
            && value.len() != len.saturating_mul(3).saturating_sub(1)
        {
            return Err(Rule(
                "the fingerprint is not as long as its hash function makes it (RFC 8122 §5)",
            ));
        }
        Ok(Self { algorithm, value })
    }

    /// The bytes of the hash.
    pub fn bytes(&self) -> impl Iterator<Item = u8> + use<'a> {
        self.value
            .split(':')
            .filter_map(|pair| u8::from_str_radix(pair, 16).ok())
    }
}

impl fmt::Display for Fingerprint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.algorithm, self.value)
    }
}

fn is_hex_pairs(text: &str) -> bool {
    let mut good = text.len() % 3 == 2;
    for chunk in text.as_bytes().chunks(3) {
        good &= match chunk {
            [a, b, b':'] | [a, b] => scan::is_hex(*a) & scan::is_hex(*b),
            _ => false,
        };
    }
    good
}

/// Bytes that a hash function yields; `None` for one that is not known here.
fn hash_len(algorithm: &str) -> Option<usize> {
    const KNOWN: [(&str, usize); 7] = [
        ("sha-256", 32),
        ("sha-1", 20),
        ("sha-224", 28),
        ("sha-384", 48),
        ("sha-512", 64),
        ("md5", 16),
        ("md2", 16),
    ];
    KNOWN
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(algorithm))
        .map(|(_, len)| *len)
}

#[cfg(test)]
mod tests {
    use std::{format, string::ToString, vec::Vec};

    use super::*;

    #[test]
    fn a_browsers_fingerprint() {
        let text =
            "sha-256 FD:9D:E6:B1:B4:42:BA:E4:BA:39:1D:40:0F:51:B0:58:11:3F:AF:E2:51:F2:BF:ED:56:D2:0A:BB:3E:A2:0A:2A";
        let fingerprint = Fingerprint::parse(text).unwrap();
        let bytes = fingerprint.bytes().collect::<Vec<_>>();
        assert_eq!((bytes.len(), bytes[0], bytes[31]), (32, 0xfd, 0x2a));
        assert_eq!(fingerprint.to_string(), text);
        assert!(Fingerprint::parse(&text.to_ascii_lowercase()).is_ok());
    }

    #[test]
    fn rules() {
        for bad in [
            "",
            "sha-256",
            "sha-256 ",
            "sha-256 AA:BB",
            "md5 AA BB",
            "x A:BB",
            "x AA:",
            "x AAB:CC",
            "x AA:BB:",
            "x GG",
            "x AA-BB",
        ] {
            assert!(Fingerprint::parse(bad).is_err(), "{bad:?}");
        }
        // A hash function that is not known here has a length that is not known either.
        assert!(Fingerprint::parse("sha3-256 AA:BB").is_ok());
        assert!(Fingerprint::parse(&format!("sha-1 {}", ["00"; 20].join(":"))).is_ok());
    }
}
