use core::fmt;

/// The rule that a piece of SDP text breaks, as a sentence for people that names its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule(pub(crate) &'static str);

impl Rule {
    /// The sentence.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl core::error::Error for Rule {}

/// Why a text is not an SDP session description: which line, and which rule it breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseError {
    /// The line, counted from 1. A rule about something missing names the line before which it should have stood.
    pub line: usize,
    /// The rule that it breaks.
    pub rule: Rule,
}

impl ParseError {
    pub(crate) const fn new(line: usize, rule: &'static str) -> Self {
        Self { line, rule: Rule(rule) }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.rule)
    }
}

impl core::error::Error for ParseError {}
