use core::fmt;

use crate::{Rule, scan};

/// `k=`: an encryption key, obsolete (RFC 8866 §5.12). Parsed so that old descriptions survive, never to be sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Key<'a> {
    /// Ask the user.
    Prompt,
    /// The key itself.
    Clear(&'a str),
    /// The key in base64.
    Base64(&'a str),
    /// Where to fetch it.
    Uri(&'a str),
}

impl<'a> Key<'a> {
    /// Reads the value of a `k=` line.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(value: &'a str) -> Result<Self, Rule> {
        let key = match scan::split_once(value, b':') {
            None if value == "prompt" => Some(Self::Prompt),
            Some(("clear", key)) => Some(Self::Clear(key)),
            Some(("base64", key)) => Some(Self::Base64(key)),
            Some(("uri", uri)) => Some(Self::Uri(uri)),
            _ => None,
        };
        key.ok_or(Rule("k= is prompt, clear:, base64: or uri: (RFC 8866 §5.12)"))
    }
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prompt => f.write_str("prompt"),
            Self::Clear(key) => write!(f, "clear:{key}"),
            Self::Base64(key) => write!(f, "base64:{key}"),
            Self::Uri(uri) => write!(f, "uri:{uri}"),
        }
    }
}

/// A key is a secret even here.
impl fmt::Debug for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prompt => f.write_str("Prompt"),
            Self::Clear(key) => write!(f, "Clear({} bytes)", key.len()),
            Self::Base64(key) => write!(f, "Base64({} bytes)", key.len()),
            Self::Uri(uri) => f.debug_tuple("Uri").field(uri).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{format, string::ToString};

    use super::*;

    #[test]
    fn forms() {
        for text in ["prompt", "clear:a:b", "base64:QUJD", "uri:https://example.org/k"] {
            assert_eq!(Key::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(format!("{:?}", Key::Clear("secret")), "Clear(6 bytes)");
        for bad in ["", "prompt:x", "other:x", "clear"] {
            assert!(Key::parse(bad).is_err(), "{bad:?}");
        }
    }
}
