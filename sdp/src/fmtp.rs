use core::fmt;

use crate::scan::{self, Scanner};
use crate::{Parameters, Rule};

/// `a=fmtp`: how a format is to be used (RFC 8866 §6.15).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fmtp<'a> {
    /// A format of the `m=` line: the payload type, for RTP.
    pub format: &'a str,
    /// What it means is said by the registration of the payload format.
    pub parameters: Parameters<'a>,
}

impl<'a> Fmtp<'a> {
    /// Reads the value of `a=fmtp`.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(value: &'a str) -> Result<Self, Rule> {
        const RULE: &str = "a=fmtp is a format of the m= line and its parameters (RFC 8866 §6.15)";
        let mut fields = Scanner::new(value);
        let format = fields.need(RULE)?;
        let parameters = fields.rest();
        if !scan::is_token(format) || parameters.is_empty() {
            return Err(Rule(RULE));
        }
        Ok(Self {
            format,
            parameters: Parameters::new(parameters),
        })
    }

    /// The format as a payload type.
    pub fn payload_type(&self) -> Option<u8> {
        scan::payload_type(self.format)
    }
}

impl fmt::Display for Fmtp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.format, self.parameters)
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn forms() {
        for text in [
            "97 apt=96",
            "63 111/111",
            "101 0-15",
            "109 maxplaybackrate=48000;stereo=1;useinbandfec=1",
        ] {
            assert_eq!(Fmtp::parse(text).unwrap().to_string(), text);
        }
        let rtx = Fmtp::parse("97 apt=96").unwrap();
        assert_eq!((rtx.payload_type(), rtx.parameters.number("apt")), (Some(97), Some(96)));
        for bad in ["", "97", "97 ", " apt=96", "9/7 apt=96"] {
            assert!(Fmtp::parse(bad).is_err(), "{bad:?}");
        }
    }
}
