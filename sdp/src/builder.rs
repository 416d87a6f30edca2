use alloc::string::String;
use core::fmt::Write;

use crate::{Attribute, Limits, Line, MediaLine, Origin, ParseError, SdpFragment, Session, Timing};

/// Writes a description line by line.
///
/// What it writes is read back by [`finish`](Self::finish), so that nothing leaves that the parser would not take, and
/// a value that holds a line break cannot smuggle in a line of its own.
///
/// ```
/// use sdp::{Attribute, Builder, Direction, List, MediaLine, Origin, RtpMap};
///
/// let mut builder = Builder::session(&Origin::new(1, 2));
/// builder.attribute(Attribute::IceLite);
/// builder.media(&MediaLine {
///     kind: "audio",
///     port: 9,
///     port_count: None,
///     protocol: "UDP/TLS/RTP/SAVPF",
///     formats: List::from(&["111"]),
/// });
/// builder.attribute(Attribute::Mid("0")).attribute(Direction::RecvOnly);
/// builder.attribute(Attribute::RtpMap(RtpMap {
///     payload_type: 111,
///     encoding: "opus",
///     clock_rate: 48000,
///     parameters: Some("2"),
/// }));
/// let session = builder.finish()?;
/// assert!(session.as_str().ends_with("a=recvonly\r\na=rtpmap:111 opus/48000/2\r\n"));
/// # Ok::<(), sdp::ParseError>(())
/// ```
#[derive(Clone, Default)]
pub struct Builder {
    text: String,
    lines: usize,
    /// The first line that was refused.
    error: Option<ParseError>,
}

impl Builder {
    /// Nothing yet: for fragments, and for sessions that begin otherwise than WebRTC's.
    pub const fn new() -> Self {
        Self {
            text: String::new(),
            lines: 0,
            error: None,
        }
    }

    /// The lines with which every description of WebRTC begins: version, origin, no name, no end (RFC 8829 §5.2.1).
    pub fn session(origin: &Origin<'_>) -> Self {
        let mut builder = Self::new();
        builder
            .line(&Line::Version)
            .line(&Line::Origin(*origin))
            .line(&Line::SessionName("-"));
        builder.line(&Line::Timing(Timing::ALWAYS));
        builder
    }

    /// Any line.
    pub fn line(&mut self, line: &Line<'_>) -> &mut Self {
        let start = self.text.len();
        // A String takes everything that is written to it.
        let _ = write!(self.text, "{line}");
        self.lines = self.lines.saturating_add(1);
        let written = self.text.get(start..).unwrap_or("");
        if self.error.is_none() && written.bytes().any(|b| matches!(b, b'\r' | b'\n' | 0)) {
            self.error = Some(ParseError::new(
                self.lines,
                "a value holds a line break or a NUL (RFC 8866 §9)",
            ));
        }
        self.text.push_str("\r\n");
        self
    }

    /// An attribute; a [`Direction`](crate::Direction) is one too.
    pub fn attribute<'a>(&mut self, attribute: impl Into<Attribute<'a>>) -> &mut Self {
        self.line(&Line::Attribute(attribute.into()))
    }

    /// Begins a section.
    pub fn media(&mut self, media: &MediaLine<'_>) -> &mut Self {
        self.line(&Line::Media(*media))
    }

    /// The description.
    ///
    /// # Errors
    /// The first line, counted as they were written, that breaks a rule: a value outside of its range, a second
    /// `a=mid`.
    pub fn finish(self) -> Result<Session, ParseError> {
        match self.error {
            Some(error) => Err(error),
            None => Session::parse_with(&self.text, &UNLIMITED),
        }
    }

    /// The lines as a fragment for trickling (RFC 8840).
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub fn finish_fragment(self) -> Result<SdpFragment, ParseError> {
        match self.error {
            Some(error) => Err(error),
            None => SdpFragment::parse_with(&self.text, &UNLIMITED),
        }
    }
}

/// What we write ourselves has the size that we chose.
const UNLIMITED: Limits = Limits {
    max_bytes: usize::MAX,
    max_lines: usize::MAX,
    max_sections: usize::MAX,
};

/// Passwords may stand in the text, so it is not shown.
impl core::fmt::Debug for Builder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Builder")
            .field("lines", &self.lines)
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Candidate, Direction, Extmap, List};

    fn audio() -> MediaLine<'static> {
        MediaLine {
            kind: "audio",
            port: 9,
            port_count: None,
            protocol: "UDP/TLS/RTP/SAVPF",
            formats: List::from(&["111"]),
        }
    }

    #[test]
    fn a_line_break_in_a_value_is_refused() {
        let mut builder = Builder::session(&Origin::new(1, 1));
        builder.attribute(Attribute::Tool("x\r\na=ice-lite"));
        let error = builder.finish().unwrap_err();
        assert_eq!(error.line, 5);
    }

    #[test]
    fn values_are_held_to_their_rules() {
        let mut builder = Builder::session(&Origin::new(1, 1));
        builder
            .media(&audio())
            .attribute(Attribute::Extmap(Extmap::new(0, "a:b")));
        assert_eq!(builder.finish().unwrap_err().line, 6);
        let mut builder = Builder::session(&Origin::new(1, 1));
        builder
            .media(&audio())
            .attribute(Attribute::Mid("0"))
            .media(&audio())
            .attribute(Attribute::Mid("0"));
        assert_eq!(builder.finish().unwrap_err().line, 8);
    }

    #[test]
    fn a_fragment_is_built_likewise() {
        let mut builder = Builder::new();
        builder
            .attribute(Attribute::IceUfrag("abcd"))
            .media(&audio())
            .attribute(Attribute::Mid("0"));
        let host = Candidate::host("1", 1, "192.0.2.1:5".parse().unwrap());
        builder
            .attribute(Attribute::Candidate(host))
            .attribute(Attribute::EndOfCandidates);
        let fragment = builder.finish_fragment().unwrap();
        assert_eq!(fragment.media().next().unwrap().candidates().next(), Some(host));
    }

    #[test]
    fn sections_have_directions() {
        let mut builder = Builder::session(&Origin::new(1, 1));
        builder.media(&audio()).attribute(Direction::Inactive);
        assert_eq!(
            builder.finish().unwrap().media_at(0).unwrap().direction(),
            Direction::Inactive
        );
    }
}
