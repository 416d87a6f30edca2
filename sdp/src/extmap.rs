use core::fmt;

use crate::scan::{self, Scanner};
use crate::{Direction, Rule};

/// `a=extmap`: the id under which an RTP header extension travels (RFC 8285 §8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extmap<'a> {
    /// 1 to 255 on the wire (above 14 only in the two-byte form), 4096 to 4351 for an offer without an id yet.
    pub id: u16,
    /// Which way it flows, when it is not that of the section.
    pub direction: Option<Direction>,
    /// What it is.
    pub uri: &'a str,
    /// What the extension defines beyond that; may be empty.
    pub attributes: &'a str,
}

impl<'a> Extmap<'a> {
    /// An extension that flows as the section does.
    pub const fn new(id: u16, uri: &'a str) -> Self {
        Self {
            id,
            direction: None,
            uri,
            attributes: "",
        }
    }

    /// Reads the value of `a=extmap`.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(value: &'a str) -> Result<Self, Rule> {
        const RULE: &str = "a=extmap is an id, perhaps /direction, and a URI (RFC 8285 §8)";
        let mut fields = Scanner::new(value);
        let entry = fields.need(RULE)?;
        let (id, direction) = match scan::split_once(entry, b'/') {
            Some((id, direction)) => (id, Some(Direction::parse(direction)?)),
            None => (entry, None),
        };
        let id = scan::decimal_u16(id)
            .filter(|id| matches!(id, 1..=255 | 4096..=4351))
            .ok_or(Rule(
                "the id of a=extmap is a number from 1 to 255, or from 4096 to 4351 in offers (RFC 8285 §7)",
            ))?;
        let uri = fields.need(RULE)?;
        let attributes = fields.last();
        // RFC 8285 §8 wants an absolute URI: a scheme, a colon, and something after it.
        match scan::split_once(uri, b':') {
            Some((scheme, rest)) if scan::is_token(scheme) && scan::is_visible(rest) => {}
            _ => return Err(Rule("an extension is named by an absolute URI (RFC 8285 §8)")),
        }
        Ok(Self {
            id,
            direction,
            uri,
            attributes,
        })
    }
}

impl fmt::Display for Extmap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.id)?;
        if let Some(direction) = self.direction {
            write!(f, "/{direction}")?;
        }
        write!(f, " {}", self.uri)?;
        if self.attributes.is_empty() {
            return Ok(());
        }
        write!(f, " {}", self.attributes)
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn forms() {
        for text in [
            "1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
            "2/recvonly urn:ietf:params:rtp-hdrext:csrc-audio-level",
            "255 urn:x:y",
            "4096 http://example.com/082005/ext.htm#ttime",
            "4 urn:ietf:params:rtp-hdrext:encrypt urn:ietf:params:rtp-hdrext:smpte-tc 25@600/24",
        ] {
            assert_eq!(Extmap::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(
            Extmap::parse("2/recvonly a:b").unwrap().direction,
            Some(Direction::RecvOnly)
        );
        for bad in [
            "",
            "1",
            "0 a:b",
            "256 a:b",
            "4095 a:b",
            "4352 a:b",
            "x a:b",
            "1/both a:b",
            "1 ab",
            "1 a:",
            "1 :b",
            "1 ",
        ] {
            assert!(Extmap::parse(bad).is_err(), "{bad:?}");
        }
    }
}
