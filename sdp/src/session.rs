use core::fmt;
use core::str::FromStr;

use crate::attribute::Name;
use crate::document::{Document, Grammar};
use crate::{
    Attribute, Bandwidth, Connection, Direction, Extmap, Fingerprint, Group, Key, Line, Media, MsidSemantic, Origin,
    ParseError, Repeat, Rule, Setup, Timing, Zones,
};

/// How large a description may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of text. A Chromium that offers 16 audio and 16 video slots writes 100 kB.
    pub max_bytes: usize,
    /// Lines.
    pub max_lines: usize,
    /// `m=` sections.
    pub max_sections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 256 * 1024,
            max_lines: 16 * 1024,
            max_sections: 512,
        }
    }
}

/// A session description (RFC 8866): every line checked and typed, printed back byte for byte.
///
/// Getters give typed values that borrow from the description. Those of [`Media`] know the defaults of the session
/// level.
///
/// ```
/// let text = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n\
///             a=setup:actpass\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=rtpmap:111 opus/48000/2\r\n";
/// let session = sdp::Session::parse(text)?;
/// let audio = session.media().next().unwrap();
/// assert_eq!(audio.mid(), Some("0"));
/// assert_eq!(audio.setup(), Some(sdp::Setup::ActPass));
/// assert_eq!(audio.rtpmap(111).unwrap().encoding, "opus");
/// assert_eq!(session.to_string(), text);
/// # Ok::<(), sdp::ParseError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    document: Document,
}

impl Session {
    /// Reads a description of at most the default [`Limits`].
    ///
    /// # Errors
    /// The first line that breaks a rule, and the rule.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Self::parse_with(text, &Limits::default())
    }

    /// Reads a description of at most these limits.
    ///
    /// # Errors
    /// The first line that breaks a rule, and the rule.
    pub fn parse_with(text: &str, limits: &Limits) -> Result<Self, ParseError> {
        let document = Document::parse(text, limits, Grammar::Session)?;
        Ok(Self { document })
    }

    /// Reads a description from bytes that may not be text.
    ///
    /// # Errors
    /// The first line that breaks a rule, and the rule; text is UTF-8.
    pub fn parse_bytes(bytes: &[u8], limits: &Limits) -> Result<Self, ParseError> {
        match core::str::from_utf8(bytes) {
            Ok(text) => Self::parse_with(text, limits),
            Err(error) => {
                let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
                let line = valid.iter().filter(|b| **b == b'\n').count().saturating_add(1);
                Err(ParseError::new(line, "the line is not UTF-8 text (RFC 8866 §5)"))
            }
        }
    }

    /// The description as it was read.
    pub fn as_str(&self) -> &str {
        self.document.as_str()
    }

    /// Every line in order, sections included.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = Line<'_>> {
        self.document.lines(self.document.all_lines())
    }

    /// Every line in order as it stands, without line endings.
    pub fn raw_lines(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.document.raw_lines(self.document.all_lines())
    }

    /// `o=`.
    pub fn origin(&self) -> Option<Origin<'_>> {
        self.letter(b'o').and_then(|value| Origin::parse(value).ok())
    }

    /// `s=`.
    pub fn name(&self) -> &str {
        self.letter(b's').unwrap_or("-")
    }

    /// `i=` of the session.
    pub fn information(&self) -> Option<&str> {
        self.letter(b'i')
    }

    /// `u=`.
    pub fn uri(&self) -> Option<&str> {
        self.letter(b'u')
    }

    /// `e=`.
    pub fn emails(&self) -> impl Iterator<Item = &str> {
        self.document.letters(self.document.session_lines(), b'e')
    }

    /// `p=`.
    pub fn phones(&self) -> impl Iterator<Item = &str> {
        self.document.letters(self.document.session_lines(), b'p')
    }

    /// `c=` of the session.
    pub fn connection(&self) -> Option<Connection<'_>> {
        self.letter(b'c').and_then(|value| Connection::parse(value).ok())
    }

    /// `b=` of the session.
    pub fn bandwidths(&self) -> impl Iterator<Item = Bandwidth<'_>> {
        self.document
            .letters(self.document.session_lines(), b'b')
            .filter_map(|value| Bandwidth::parse(value).ok())
    }

    /// `t=`.
    pub fn timings(&self) -> impl Iterator<Item = Timing> {
        self.document
            .letters(self.document.session_lines(), b't')
            .filter_map(|value| Timing::parse(value).ok())
    }

    /// `r=`.
    pub fn repeats(&self) -> impl Iterator<Item = Repeat<'_>> {
        self.document
            .letters(self.document.session_lines(), b'r')
            .filter_map(|value| Repeat::parse(value).ok())
    }

    /// `z=`.
    pub fn zones(&self) -> impl Iterator<Item = Zones<'_>> {
        self.document
            .letters(self.document.session_lines(), b'z')
            .filter_map(|value| Zones::parse(value).ok())
    }

    /// `k=` of the session.
    pub fn key(&self) -> Option<Key<'_>> {
        self.letter(b'k').and_then(|value| Key::parse(value).ok())
    }

    /// The attributes of the session level, typed.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'_>> {
        self.document.attributes(self.document.session_lines())
    }

    /// The values of the attributes of this name on the session level; for names that are not known here.
    pub fn other<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Option<&'a str>> {
        self.attributes().filter_map(move |attribute| match attribute {
            Attribute::Other { name: own, value } if own == name => Some(value),
            _ => None,
        })
    }

    /// The sections in order.
    pub fn media(&self) -> impl ExactSizeIterator<Item = Media<'_>> + DoubleEndedIterator {
        let document = &self.document;
        (0..document.sections()).map(move |index| Media::new(document, index))
    }

    /// The section at this index, which is its `sdpMLineIndex`.
    pub fn media_at(&self, index: usize) -> Option<Media<'_>> {
        (index < self.document.sections()).then(|| Media::new(&self.document, index))
    }

    /// The section with this `a=mid`. Walks over all sections.
    pub fn media_by_mid(&self, mid: &str) -> Option<Media<'_>> {
        self.media().find(|media| media.mid() == Some(mid))
    }

    /// `a=group`.
    pub fn groups(&self) -> impl Iterator<Item = Group<'_>> {
        self.values(Name::Group, Group::parse)
    }

    /// The groups of sections that share a transport.
    pub fn bundles(&self) -> impl Iterator<Item = Group<'_>> {
        self.groups().filter(Group::is_bundle)
    }

    /// `a=msid-semantic`.
    pub fn msid_semantic(&self) -> Option<MsidSemantic<'_>> {
        self.values(Name::MsidSemantic, MsidSemantic::parse).next()
    }

    /// `a=ice-lite`.
    pub fn ice_lite(&self) -> bool {
        self.document.has(self.document.session_lines(), Name::IceLite)
    }

    /// `a=ice-ufrag` of the session level.
    pub fn ice_ufrag(&self) -> Option<&str> {
        self.document
            .values(self.document.session_lines(), Name::IceUfrag)
            .next()
    }

    /// `a=ice-pwd` of the session level.
    pub fn ice_pwd(&self) -> Option<&str> {
        self.document.values(self.document.session_lines(), Name::IcePwd).next()
    }

    /// `a=ice-options` of the session level, each tag.
    pub fn ice_options(&self) -> impl Iterator<Item = &str> {
        self.document
            .values(self.document.session_lines(), Name::IceOptions)
            .flat_map(words)
    }

    /// `a=fingerprint` of the session level.
    pub fn fingerprints(&self) -> impl Iterator<Item = Fingerprint<'_>> {
        self.values(Name::Fingerprint, Fingerprint::parse)
    }

    /// `a=setup` of the session level.
    pub fn setup(&self) -> Option<Setup> {
        self.values(Name::Setup, Setup::parse).next()
    }

    /// The direction of the session level.
    pub fn direction(&self) -> Option<Direction> {
        self.values(Name::Direction, Direction::parse).next()
    }

    /// `a=extmap-allow-mixed` on the session level.
    pub fn extmap_allow_mixed(&self) -> bool {
        self.document.has(self.document.session_lines(), Name::ExtmapAllowMixed)
    }

    /// `a=extmap` of the session level.
    pub fn extmaps(&self) -> impl Iterator<Item = Extmap<'_>> {
        self.values(Name::Extmap, Extmap::parse)
    }

    fn letter(&self, letter: u8) -> Option<&str> {
        self.document.letters(self.document.session_lines(), letter).next()
    }

    fn values<'a, T>(&'a self, name: Name, parse: fn(&'a str) -> Result<T, Rule>) -> impl Iterator<Item = T> {
        self.document
            .values(self.document.session_lines(), name)
            .filter_map(move |value| parse(value).ok())
    }
}

/// The text as it was read.
impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Passwords and keys stand in the text, so it is not shown.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("bytes", &self.as_str().len())
            .field("sections", &self.document.sections())
            .finish_non_exhaustive()
    }
}

impl FromStr for Session {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(' ').filter(|word| !word.is_empty())
}
