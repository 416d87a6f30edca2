use std::fmt;

use rand::TryRng;
use rand::rngs::SysRng;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

/// A text that lets in whoever has it. It does not appear in logs.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// 128 bits that nobody can guess, in hexadecimal.
    pub(crate) fn random() -> Self {
        Self(unguessable())
    }

    /// Whether `text` is the same. How long that takes tells nothing but whether it is as long.
    pub(crate) fn matches(&self, text: &str) -> bool {
        self.0.as_bytes().ct_eq(text.as_bytes()).into()
    }

    /// The text, for who has to compute with it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// How many bytes it has.
    pub(crate) fn length(&self) -> usize {
        self.0.len()
    }

    /// Whether it may stand in a request as a bearer token (RFC 6750 §2.1).
    pub(crate) fn is_bearer_token(&self) -> bool {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c);
        let text = self.0.trim_end_matches('=');
        !text.is_empty() && text.chars().all(fits)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

/// 128 bits that nobody can guess, in hexadecimal.
///
/// # Panics
/// When the operating system has no randomness to give: then nothing here is safe.
pub(crate) fn unguessable() -> String {
    let mut bytes = [0; 16];
    SysRng
        .try_fill_bytes(&mut bytes)
        .expect("the operating system gives randomness");
    format!("{:032x}", u128::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_texts_are_long_and_differ() {
        let (a, b) = (unguessable(), unguessable());
        assert_eq!((a.len(), b.len()), (32, 32));
        assert_ne!(a, b);
    }

    #[test]
    fn a_secret_matches_itself_alone() {
        let secret = Secret::from("0123456789abcdef");
        for (text, expected) in [
            ("0123456789abcdef", true),
            ("0123456789abcdeF", false),
            ("0123456789abcde", false),
            ("0123456789abcdef0", false),
            ("", false),
        ] {
            assert_eq!(secret.matches(text), expected, "{text}");
        }
    }

    #[test]
    fn bearer_tokens_follow_rfc_6750() {
        for (text, expected) in [
            ("aZ09-._~+/==", true),
            ("", false),
            ("==", false),
            ("a=b", false),
            ("a b", false),
            ("a\u{fc}", false),
            ("a\r\nb", false),
        ] {
            assert_eq!(Secret::from(text).is_bearer_token(), expected, "{text:?}");
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        assert_eq!(format!("{:?}", Secret::from("tell nobody")), "Secret(11 bytes)");
    }

    #[test]
    fn the_length_is_in_bytes() {
        assert_eq!(Secret::from("t\u{fc}r").length(), 4);
    }
}
