use core::fmt;

use crate::Rule;
use crate::scan::{self, Scanner};

/// `a=rtcp-fb`: a kind of feedback that the writer understands (RFC 4585 §4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtcpFb<'a> {
    /// The payload type; `None` is the wildcard `*`: all formats of the section.
    pub payload_type: Option<u8>,
    /// `ack`, `nack`, `ccm`, `trr-int`, `goog-remb`, `transport-cc`, ...
    pub id: &'a str,
    /// What follows, `pli` in `nack pli`; may be empty.
    pub parameter: &'a str,
}

impl<'a> RtcpFb<'a> {
    /// Feedback for one payload type.
    pub const fn new(payload_type: u8, id: &'a str, parameter: &'a str) -> Self {
        Self {
            payload_type: Some(payload_type),
            id,
            parameter,
        }
    }

    /// Reads the value of `a=rtcp-fb`.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(value: &'a str) -> Result<Self, Rule> {
        const RULE: &str = "a=rtcp-fb is a payload type or *, a kind of feedback and its parameter (RFC 4585 §4.2)";
        let mut fields = Scanner::new(value);
        let payload_type = match fields.need(RULE)? {
            "*" => None,
            number => Some(scan::payload_type(number).ok_or(Rule(RULE))?),
        };
        let id = fields.need(RULE)?;
        let parameter = fields.last();
        if !scan::is_rid(id) {
            return Err(Rule(RULE));
        }
        Ok(Self {
            payload_type,
            id,
            parameter,
        })
    }

    /// Whether it speaks about this payload type.
    pub fn covers(&self, payload_type: u8) -> bool {
        self.payload_type.is_none_or(|own| own == payload_type)
    }

    /// Whether it is this kind of feedback with this parameter: `is("nack", "pli")`, `is("nack", "")`.
    pub fn is(&self, id: &str, parameter: &str) -> bool {
        self.id == id && self.parameter == parameter
    }
}

impl fmt::Display for RtcpFb<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.payload_type {
            Some(payload_type) => write!(f, "{payload_type} {}", self.id)?,
            None => write!(f, "* {}", self.id)?,
        }
        if self.parameter.is_empty() {
            return Ok(());
        }
        write!(f, " {}", self.parameter)
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn forms() {
        for text in [
            "96 nack",
            "96 nack pli",
            "96 ccm fir",
            "* transport-cc",
            "98 trr-int 100",
            "96 ack ccfb",
        ] {
            assert_eq!(RtcpFb::parse(text).unwrap().to_string(), text);
        }
        let pli = RtcpFb::parse("96 nack pli").unwrap();
        assert!(pli.is("nack", "pli") && !pli.is("nack", "") && pli.covers(96) && !pli.covers(97));
        assert!(RtcpFb::parse("* nack").unwrap().covers(5));
        assert!(RtcpFb::parse("96  nack  pli ").unwrap().is("nack", "pli"));
        assert!(RtcpFb::parse("96 nack ").unwrap().is("nack", ""));
        assert_eq!(pli, RtcpFb::new(96, "nack", "pli"));
        for bad in ["", "96", "96 ", "128 nack", "x nack", "96 na/ck"] {
            assert!(RtcpFb::parse(bad).is_err(), "{bad:?}");
        }
    }
}
