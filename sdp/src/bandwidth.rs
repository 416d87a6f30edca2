use core::fmt;

use crate::Rule;
use crate::scan;

/// `b=`: a limit on the bandwidth (RFC 8866 §5.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bandwidth<'a> {
    /// `AS`, `CT` (both in kbit/s), `TIAS` (bit/s, RFC 3890), `RS`, `RR` (bit/s of RTCP, RFC 3556) or another token.
    pub kind: &'a str,
    /// The limit, in the unit of its kind.
    pub value: u64,
}

impl<'a> Bandwidth<'a> {
    /// Reads the value of a `b=` line.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(value: &'a str) -> Result<Self, Rule> {
        const RULE: Rule = Rule("b= is a type such as AS or TIAS, a colon and a number (RFC 8866 §5.8)");
        let (kind, number) = scan::split_once(value, b':').ok_or(RULE)?;
        let value = scan::decimal(number).ok_or(RULE)?;
        if scan::is_token(kind) {
            Ok(Self { kind, value })
        } else {
            Err(RULE)
        }
    }

    /// The limit in bit/s; `None` when the kind is unknown.
    pub fn bits_per_second(&self) -> Option<u64> {
        match self.kind {
            "AS" | "CT" => Some(self.value.saturating_mul(1000)),
            "TIAS" | "RS" | "RR" => Some(self.value),
            _ => None,
        }
    }
}

impl fmt::Display for Bandwidth<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.value)
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn kinds_have_their_units() {
        let limit = Bandwidth::parse("AS:2500").unwrap();
        assert_eq!(limit.bits_per_second(), Some(2_500_000));
        assert_eq!(limit.to_string(), "AS:2500");
        assert_eq!(Bandwidth::parse("TIAS:64000").unwrap().bits_per_second(), Some(64_000));
        assert_eq!(Bandwidth::parse("X-YZ:128").unwrap().bits_per_second(), None);
        for bad in ["", "AS", "AS:", "AS:x", ":1", "A S:1"] {
            assert!(Bandwidth::parse(bad).is_err(), "{bad:?}");
        }
    }
}
