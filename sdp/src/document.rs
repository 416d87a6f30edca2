use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use crate::attribute::Name;
use crate::line::{self, Kind};
use crate::order::Order;
use crate::{Attribute, Limits, Line, ParseError, Rule};

/// A text whose lines were all checked: the text itself, what each line is, and where the sections begin.
///
/// Printing is the text. Typed access reads the lines of the wanted kind again, which cannot fail, and costs less than
/// keeping what every line means: three allocations hold the whole, however many lines there are.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Document {
    text: String,
    lines: Vec<Entry>,
    /// The index of each `m=` line.
    sections: Vec<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    start: u32,
    /// Without the line ending.
    end: u32,
    /// Where the value begins, from the start of the line; names that are known are short.
    value: u8,
    kind: Kind,
}

/// Which rules hold for the order of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grammar {
    /// RFC 8866 §9.
    Session,
    /// RFC 8840 §9.2.
    Fragment,
}

impl Document {
    pub(crate) fn parse(text: &str, limits: &Limits, grammar: Grammar) -> Result<Self, ParseError> {
        if text.len() > limits.max_bytes || u32::try_from(text.len()).is_err() {
            return Err(ParseError::new(
                1,
                "the description is longer than the configured limit",
            ));
        }
        let mut lines = Vec::with_capacity(text.len().wrapping_div(32).saturating_add(8));
        let mut sections = Vec::new();
        let mut order = Order::new(grammar);
        let mut rest = text;
        let mut start = 0usize;
        while !rest.is_empty() {
            let number = lines.len().saturating_add(1);
            let (length, ending) = find_ending(rest.as_bytes()).map_err(|rule| ParseError { line: number, rule })?;
            let (line, tail) = rest.split_at_checked(length).unwrap_or((rest, ""));
            let tail = tail.get(ending..).unwrap_or("");
            if line.is_empty() && tail.trim_ascii().is_empty() {
                // Blank lines at the very end, as texts get from editors and mail.
                break;
            }
            if lines.len() >= limits.max_lines {
                return Err(ParseError::new(
                    number,
                    "the description has more lines than the configured limit",
                ));
            }

            let (kind, value) = line::check(line).map_err(|rule| ParseError { line: number, rule })?;
            if kind == Kind::Letter(b'm') {
                if sections.len() >= limits.max_sections {
                    return Err(ParseError::new(
                        number,
                        "the description has more sections than the configured limit",
                    ));
                }
                sections.push(offset(lines.len()));
            }
            let known = line.get(value..).unwrap_or("");
            order.next(number, kind, known)?;
            lines.push(Entry {
                start: offset(start),
                end: offset(start.saturating_add(line.len())),
                // An unknown name may be long; it is split anew when it is read.
                value: u8::try_from(value).unwrap_or(2),
                kind,
            });
            start = text.len().saturating_sub(tail.len());
            rest = tail;
        }
        order.finish(lines.len().saturating_add(1))?;
        Ok(Self {
            text: String::from(text),
            lines,
            sections,
        })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// How many sections there are.
    pub(crate) fn sections(&self) -> usize {
        self.sections.len()
    }

    /// All lines.
    pub(crate) fn all_lines(&self) -> Range<usize> {
        0..self.lines.len()
    }

    /// The lines before the first section.
    pub(crate) fn session_lines(&self) -> Range<usize> {
        0..self.section_start(0)
    }

    /// The lines of a section, its `m=` line first.
    pub(crate) fn section_lines(&self, index: usize) -> Range<usize> {
        self.section_start(index)..self.section_start(index.saturating_add(1))
    }

    fn section_start(&self, index: usize) -> usize {
        self.sections
            .get(index)
            .and_then(|start| usize::try_from(*start).ok())
            .unwrap_or(self.lines.len())
    }

    /// Every line of a range, typed.
    pub(crate) fn lines(&self, range: Range<usize>) -> impl DoubleEndedIterator<Item = Line<'_>> {
        self.entries(range)
            .filter_map(|entry| Line::from_checked(entry.kind, self.slice(entry.start, entry.end)).ok())
    }

    /// Every line of a range as it stands.
    pub(crate) fn raw_lines(&self, range: Range<usize>) -> impl DoubleEndedIterator<Item = &str> {
        self.entries(range).map(|entry| self.slice(entry.start, entry.end))
    }

    /// Every attribute of a range, typed.
    pub(crate) fn attributes(&self, range: Range<usize>) -> impl DoubleEndedIterator<Item = Attribute<'_>> {
        self.entries(range).filter_map(|entry| match entry.kind {
            Kind::Attribute(name) => {
                Attribute::from_checked(name, self.slice(entry.start.saturating_add(2), entry.end)).ok()
            }
            Kind::Letter(_) => None,
        })
    }

    /// The values of the attributes of this name.
    pub(crate) fn values(&self, range: Range<usize>, name: Name) -> impl DoubleEndedIterator<Item = &str> {
        self.of_kind(range, Kind::Attribute(name))
    }

    /// The values of the lines of this letter.
    pub(crate) fn letters(&self, range: Range<usize>, letter: u8) -> impl DoubleEndedIterator<Item = &str> {
        self.of_kind(range, Kind::Letter(letter))
    }

    /// Whether an attribute of this name stands in the range.
    pub(crate) fn has(&self, range: Range<usize>, name: Name) -> bool {
        self.entries(range).any(|entry| entry.kind == Kind::Attribute(name))
    }

    fn of_kind(&self, range: Range<usize>, kind: Kind) -> impl DoubleEndedIterator<Item = &str> {
        self.entries(range)
            .filter(move |entry| entry.kind == kind)
            .map(|entry| self.slice(entry.start.saturating_add(u32::from(entry.value)), entry.end))
    }

    fn entries(&self, range: Range<usize>) -> core::slice::Iter<'_, Entry> {
        self.lines.get(range).unwrap_or_default().iter()
    }

    fn slice(&self, start: u32, end: u32) -> &str {
        let (Ok(start), Ok(end)) = (usize::try_from(start), usize::try_from(end)) else {
            return "";
        };
        self.text.get(start..end).unwrap_or("")
    }
}

fn offset(at: usize) -> u32 {
    // The length was checked against u32 before the first line.
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// How long the first line is, and how long its ending: CRLF, LF, or nothing at the end of the text. On the way it is
/// made sure that the line holds no NUL and no carriage return (RFC 8866 §9, byte-string), so that no type of line need
/// ask again.
fn find_ending(bytes: &[u8]) -> Result<(usize, usize), Rule> {
    let mut at = 0usize;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(found) = find_control(rest) else {
            return Ok((bytes.len(), 0));
        };
        let length = at.saturating_add(found);
        match rest.get(found..).unwrap_or_default() {
            [b'\n', ..] => return Ok((length, 1)),
            [b'\r', b'\n', ..] => return Ok((length, 2)),
            [b'\r', ..] => {
                return Err(Rule(
                    "a line ends with CRLF or LF; a carriage return alone has no place in it (RFC 8866 §5)",
                ));
            }
            [0, ..] => return Err(Rule("a NUL character stands in the line (RFC 8866 §9)")),
            // A tab or another control character, which SDP allows.
            _ => at = length.saturating_add(1),
        }
    }
}

/// Where the first byte below 16 stands, eight bytes at a time.
fn find_control(bytes: &[u8]) -> Option<usize> {
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    const LIMIT: u64 = u64::from_ne_bytes([16; 8]);
    let (words, tail) = bytes.as_chunks::<8>();
    let mut at = 0usize;
    for word in words {
        let word = u64::from_le_bytes(*word);
        // A byte of the difference borrows when it is below the limit. A borrow spoils only the bytes above it, so the
        // lowest bit found is exact, and only that one is asked for.
        let found = word.wrapping_sub(LIMIT) & !word & HIGH;
        if found != 0 {
            let byte = usize::try_from(found.trailing_zeros().wrapping_div(8)).ok()?;
            return at.checked_add(byte);
        }
        at = at.saturating_add(8);
    }
    let rest = tail.iter().position(|b| *b < 16)?;
    at.checked_add(rest)
}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;

    #[test]
    fn endings_are_found_wherever_they_stand() {
        for length in 0..40 {
            for filler in [b'x', 0x80, 0x8a, 0x8d, 0xff, 0x10, b'\t', 0x0b, 0x0f] {
                let mut bytes = vec![filler; length];
                assert_eq!(find_ending(&bytes), Ok((length, 0)));
                for at in (0..length).rev() {
                    bytes[at] = b'\n';
                    assert_eq!(find_ending(&bytes), Ok((at, 1)));
                    if at > 0 {
                        bytes[at - 1] = b'\r';
                        assert_eq!(find_ending(&bytes), Ok((at - 1, 2)));
                    }
                    bytes[at] = 0;
                    assert!(find_ending(&bytes).is_err());
                    bytes[at] = b'\r';
                    bytes.truncate(at + 1);
                    assert!(find_ending(&bytes).is_err());
                }
            }
        }
    }

    #[test]
    fn an_entry_is_small() {
        assert_eq!(size_of::<Entry>(), 12);
    }
}
