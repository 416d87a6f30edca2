use alloc::string::String;
use core::fmt;

use crate::{ParseError, Session};

/// What the lines of a description mean, for people: its `Display` puts a plain sentence under each line.
#[derive(Debug, Clone, Copy)]
pub struct Explanation<'a> {
    session: &'a Session,
}

/// Explains a description line by line.
pub fn explain(session: &Session) -> Explanation<'_> {
    Explanation { session }
}

/// Parses a description and prints it back.
///
/// # Errors
/// The first line that breaks a rule, and the rule.
pub fn reprint(text: &str) -> Result<String, ParseError> {
    Session::parse(text).map(|session| String::from(session.as_str()))
}

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.session.raw_lines() {
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}
