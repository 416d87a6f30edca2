use core::fmt;
use core::str::FromStr;

use crate::attribute::Name;
use crate::document::{Document, Grammar};
use crate::session::words;
use crate::{Attribute, Limits, Media, ParseError};

/// `application/trickle-ice-sdpfrag`: candidates and credentials sent after the offer or answer (RFC 8840 §9), by which
/// WHIP and WHEP trickle and restart ICE.
///
/// ```
/// let text = "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n\
///             a=candidate:1 1 udp 1 192.0.2.1 5000 typ host\r\na=end-of-candidates\r\n";
/// let fragment = sdp::SdpFragment::parse(text)?;
/// let section = fragment.media().next().unwrap();
/// assert_eq!((section.mid(), section.ice_ufrag()), (Some("0"), Some("EsAw")));
/// assert!(section.end_of_candidates());
/// assert_eq!(fragment.to_string(), text);
/// # Ok::<(), sdp::ParseError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SdpFragment {
    document: Document,
}

impl SdpFragment {
    /// Reads a fragment of at most the default [`Limits`].
    ///
    /// # Errors
    /// The first line that breaks a rule, and the rule.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Self::parse_with(text, &Limits::default())
    }

    /// Reads a fragment of at most these limits.
    ///
    /// # Errors
    /// The first line that breaks a rule, and the rule.
    pub fn parse_with(text: &str, limits: &Limits) -> Result<Self, ParseError> {
        let document = Document::parse(text, limits, Grammar::Fragment)?;
        Ok(Self { document })
    }

    /// The fragment as it was read.
    pub fn as_str(&self) -> &str {
        self.document.as_str()
    }

    /// The attributes before the first `m=` line, typed.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'_>> {
        self.document.attributes(self.document.session_lines())
    }

    /// `a=ice-ufrag` before the first `m=` line.
    pub fn ice_ufrag(&self) -> Option<&str> {
        self.document
            .values(self.document.session_lines(), Name::IceUfrag)
            .next()
    }

    /// `a=ice-pwd` before the first `m=` line.
    pub fn ice_pwd(&self) -> Option<&str> {
        self.document.values(self.document.session_lines(), Name::IcePwd).next()
    }

    /// `a=ice-options` before the first `m=` line, each tag.
    pub fn ice_options(&self) -> impl Iterator<Item = &str> {
        self.document
            .values(self.document.session_lines(), Name::IceOptions)
            .flat_map(words)
    }

    /// `a=ice-lite`.
    pub fn ice_lite(&self) -> bool {
        self.document.has(self.document.session_lines(), Name::IceLite)
    }

    /// `a=end-of-candidates` before the first `m=` line: nothing more comes for any section (RFC 8840 §8.2).
    pub fn end_of_candidates(&self) -> bool {
        self.document.has(self.document.session_lines(), Name::EndOfCandidates)
    }

    /// The pseudo sections; only their `a=mid` tells to which section of the offer or answer they belong.
    pub fn media(&self) -> impl ExactSizeIterator<Item = Media<'_>> + DoubleEndedIterator {
        let document = &self.document;
        (0..document.sections()).map(move |index| Media::new(document, index))
    }
}

/// The text as it was read.
impl fmt::Display for SdpFragment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A password may stand in the text, so it is not shown.
impl fmt::Debug for SdpFragment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SdpFragment")
            .field("bytes", &self.as_str().len())
            .field("sections", &self.document.sections())
            .finish_non_exhaustive()
    }
}

impl FromStr for SdpFragment {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use std::{string::ToString, vec, vec::Vec};

    use super::*;

    /// RFC 8840 §9.1's example, with shorter passwords' legal lengths.
    const EXAMPLE: &str = "a=ice-pwd:asd88fgpdd777uzjYhagZg\r\na=ice-ufrag:8hhY\r\nm=audio 9 RTP/AVP 0\r\na=mid:1\r\n\
        a=candidate:1 1 UDP 2130706432 2001:db8:a0b:12f0::3 5000 typ host\r\n\
        a=candidate:2 1 UDP 1694498815 192.0.2.3 5000 typ srflx raddr 10.0.1.1 rport 8998\r\n\
        m=audio 9 RTP/AVP 0\r\na=mid:2\r\na=candidate:1 1 UDP 2130706432 2001:db8:a0b:12f0::3 6000 typ host\r\n";

    #[test]
    fn credentials_and_candidates_for_each_section() {
        let fragment = SdpFragment::parse(EXAMPLE).unwrap();
        assert_eq!(fragment.to_string(), EXAMPLE);
        assert_eq!(fragment.ice_ufrag(), Some("8hhY"));
        let seen = fragment
            .media()
            .map(|m| (m.mid(), m.ice_pwd(), m.candidates().count()))
            .collect::<Vec<_>>();
        let pwd = Some("asd88fgpdd777uzjYhagZg");
        assert_eq!(seen, vec![(Some("1"), pwd, 2), (Some("2"), pwd, 1)]);
        assert!(!fragment.end_of_candidates());
    }

    #[test]
    fn rules() {
        assert!(SdpFragment::parse("").is_ok());
        assert!(SdpFragment::parse("a=end-of-candidates").unwrap().end_of_candidates());
        assert_eq!(SdpFragment::parse("a=mid:0\r\ncandidate:1").unwrap_err().line, 2);
        assert_eq!(
            SdpFragment::parse("a=ice-ufrag:8hhY\r\na=ice-ufrag:8hhZ\r\n")
                .unwrap_err()
                .line,
            2
        );
    }
}
