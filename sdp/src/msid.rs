use core::fmt;

use crate::scan::{self, Scanner};
use crate::{List, Rule};

/// `a=msid`: the stream to which a section's track belongs (RFC 8830 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Msid<'a> {
    /// The stream; `-` is none (RFC 8829 §5.2.1).
    pub stream: &'a str,
    /// The track. Browsers ignore it when it comes from the peer.
    pub track: Option<&'a str>,
}

impl<'a> Msid<'a> {
    /// The id that stands for no stream at all.
    pub const NO_STREAM: &'static str = "-";

    /// Reads the value of `a=msid`.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(value: &'a str) -> Result<Self, Rule> {
        const RULE: &str = "a=msid is one or two ids of 1 to 64 token characters (RFC 8830 §2)";
        let mut fields = Scanner::new(value);
        let stream = fields.need(RULE)?;
        let track = Some(fields.word()).filter(|word| !word.is_empty());
        fields.end(RULE)?;
        let valid = |id: &str| id.len() <= 64 && scan::is_token(id);
        if valid(stream) && track.is_none_or(valid) {
            Ok(Self { stream, track })
        } else {
            Err(Rule(RULE))
        }
    }

    /// The id of the stream, unless the track belongs to none.
    pub fn stream_id(&self) -> Option<&'a str> {
        Some(self.stream).filter(|id| *id != Self::NO_STREAM)
    }
}

impl fmt::Display for Msid<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.stream)?;
        match self.track {
            Some(track) => write!(f, " {track}"),
            None => Ok(()),
        }
    }
}

/// `a=msid-semantic`: an old announcement that `a=msid` is used; it stands in an early draft of RFC 8830 only, and both
/// browsers still write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MsidSemantic<'a> {
    /// `WMS`.
    pub semantic: &'a str,
    /// The streams, or `*`.
    pub streams: List<'a, &'a str>,
}

impl<'a> MsidSemantic<'a> {
    /// What browsers write for "whatever streams there are".
    pub const ANY: MsidSemantic<'static> = MsidSemantic {
        semantic: "WMS",
        streams: List::text("*"),
    };

    /// Reads the value of `a=msid-semantic`.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(value: &'a str) -> Result<Self, Rule> {
        const RULE: &str = "a=msid-semantic is WMS and the ids of streams";
        let mut fields = Scanner::new(value);
        let semantic = fields.need(RULE)?;
        let streams = List::text(fields.rest());
        if scan::is_token(semantic) && streams.iter().all(scan::is_token) {
            Ok(Self { semantic, streams })
        } else {
            Err(Rule(RULE))
        }
    }
}

impl fmt::Display for MsidSemantic<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.semantic)?;
        for stream in self.streams {
            write!(f, " {stream}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{format, string::ToString};

    use super::*;

    #[test]
    fn streams_and_tracks() {
        for text in ["-", "- d4605897", "s t", "{14d996e2-7d89} {c2c1c383}"] {
            assert_eq!(Msid::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Msid::parse("- x").unwrap().stream_id(), None);
        assert_eq!(Msid::parse("a x").unwrap().stream_id(), Some("a"));
        for bad in ["", "a b c", "a/b", &format!("{:065}", 0)] {
            assert!(Msid::parse(bad).is_err(), "{bad:?}");
        }
        // A space before WMS is Chromium's habit.
        assert_eq!(MsidSemantic::parse(" WMS a b").unwrap().to_string(), "WMS a b");
        assert_eq!(MsidSemantic::parse("WMS *").unwrap(), MsidSemantic::ANY);
        assert!(MsidSemantic::parse(" ").is_err());
    }
}
