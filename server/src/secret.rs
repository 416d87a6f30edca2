use std::fmt;

use rand::TryRng;
use rand::rngs::SysRng;
use serde::{Deserialize, Serialize};

/// A text that lets in whoever has it. It does not appear in logs.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// 128 bits that nobody can guess, in hexadecimal.
    pub(crate) fn random() -> Self {
        Self(unguessable())
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
    fn secrets_are_not_printed() {
        assert_eq!(format!("{:?}", Secret::from("tell nobody")), "Secret(11 bytes)");
    }
}
