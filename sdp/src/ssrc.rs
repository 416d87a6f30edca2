use core::fmt;

use crate::scan::{self, Scanner};
use crate::{List, Msid, Rule};

/// `a=ssrc`: something about one source (RFC 5576 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ssrc<'a> {
    /// The source.
    pub ssrc: u32,
    /// The name of the source's attribute: `cname`, `msid`, ...
    pub attribute: &'a str,
    /// Its value.
    pub value: Option<&'a str>,
}

impl<'a> Ssrc<'a> {
    /// The canonical name of a source (RFC 5576 §6.1).
    pub const fn with_cname(ssrc: u32, cname: &'a str) -> Self {
        Self {
            ssrc,
            attribute: "cname",
            value: Some(cname),
        }
    }

    /// Reads the value of `a=ssrc`.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(value: &'a str) -> Result<Self, Rule> {
        const RULE: &str = "a=ssrc is a 32-bit number and an attribute such as cname:x (RFC 5576 §4.1)";
        let mut fields = Scanner::new(value);
        let ssrc = scan::decimal_u32(fields.need(RULE)?).ok_or(Rule(RULE))?;
        // The value is any text, with the spaces in it.
        let attribute = fields.rest();
        let (attribute, value) =
            scan::split_once(attribute, b':').map_or((attribute, None), |(attribute, value)| (attribute, Some(value)));
        if !scan::is_token(attribute) {
            return Err(Rule(RULE));
        }
        // Old Chromium leaves the stream of `msid:` empty, so that one is not held to the rules of a=msid.
        if let ("cname", None | Some("")) = (attribute, value) {
            return Err(Rule("a=ssrc with cname gives the name (RFC 5576 §6.1)"));
        }
        Ok(Self { ssrc, attribute, value })
    }

    /// The canonical name, if this line gives it.
    pub fn cname(&self) -> Option<&'a str> {
        self.value.filter(|_| self.attribute == "cname")
    }

    /// The stream and track, if this line gives them; only Chromium writes it so.
    pub fn msid(&self) -> Option<Msid<'a>> {
        self.value
            .filter(|_| self.attribute == "msid")
            .and_then(|value| Msid::parse(value).ok())
    }
}

impl fmt::Display for Ssrc<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.ssrc, self.attribute)?;
        match self.value {
            Some(value) => write!(f, ":{value}"),
            None => Ok(()),
        }
    }
}

/// `a=ssrc-group`: sources that belong together (RFC 5576 §4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SsrcGroup<'a> {
    /// `FID`: a source and its retransmissions (RFC 4588); `FEC-FR`, `SIM`, ...
    pub semantics: &'a str,
    /// The sources, in order.
    pub ssrcs: List<'a, u32>,
}

impl<'a> SsrcGroup<'a> {
    /// A source and its retransmissions.
    pub const FID: &'static str = "FID";

    /// Reads the value of `a=ssrc-group`.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(value: &'a str) -> Result<Self, Rule> {
        const RULE: &str = "a=ssrc-group is a meaning such as FID and 32-bit numbers (RFC 5576 §4.2)";
        let mut fields = Scanner::new(value);
        let semantics = fields.need(RULE)?;
        let text = fields.rest();
        if !scan::is_token(semantics) {
            return Err(Rule(RULE));
        }
        for ssrc in List::<&str>::text(text) {
            scan::decimal_u32(ssrc).ok_or(Rule(RULE))?;
        }
        Ok(Self {
            semantics,
            ssrcs: List::text(text),
        })
    }

    /// The source and its retransmission source, if the group is such a pair.
    pub fn retransmission_pair(&self) -> Option<(u32, u32)> {
        let mut ssrcs = self.ssrcs.iter();
        match (self.semantics, ssrcs.next(), ssrcs.next(), ssrcs.next()) {
            (Self::FID, Some(media), Some(rtx), None) => Some((media, rtx)),
            _ => None,
        }
    }
}

impl fmt::Display for SsrcGroup<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.semantics)?;
        for ssrc in self.ssrcs {
            write!(f, " {ssrc}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn sources() {
        for text in [
            "3262377383 cname:NZfzOSP+EcrBxYDV",
            "1 msid:a b",
            "2 label",
            "3 fmtp:96 x=y",
        ] {
            assert_eq!(Ssrc::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Ssrc::parse("1 cname:{x}").unwrap(), Ssrc::with_cname(1, "{x}"));
        assert_eq!(Ssrc::parse("1 cname:c").unwrap().cname(), Some("c"));
        assert_eq!(Ssrc::parse("1 msid:a b").unwrap().msid().unwrap().track, Some("b"));
        for bad in ["", "1", "x cname:y", "4294967296 cname:y", "1 cname", "1 cname:", "1 "] {
            assert!(Ssrc::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn groups() {
        let group = SsrcGroup::parse("FID 2605334688 1923640237").unwrap();
        assert_eq!(group.retransmission_pair(), Some((2_605_334_688, 1_923_640_237)));
        assert_eq!(group.to_string(), "FID 2605334688 1923640237");
        assert_eq!(
            SsrcGroup {
                semantics: "FID",
                ssrcs: List::from(&[1, 2])
            }
            .to_string(),
            "FID 1 2"
        );
        assert_eq!(SsrcGroup::parse("SIM 1 2 3").unwrap().retransmission_pair(), None);
        for bad in ["", "FID x", "FID 4294967296", "F/D 1"] {
            assert!(SsrcGroup::parse(bad).is_err(), "{bad:?}");
        }
    }
}
