//! What stands in our cookies.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use wire::{Error, Full, Reader, Writer};

use crate::registry::{CipherSuite, NamedGroup};
use crate::v13::Retry;

/// A cookie of ours:
///
/// ```text
///  0            1           5         5 or 41..57
/// +------------+-----------+---------+------------+
/// | generation |  issued   | content |    tag     |
/// +------------+-----------+---------+------------+
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cookie<'a> {
    pub(super) stamp: Stamp,
    pub(super) content: Content<'a>,
    pub(super) tag: &'a [u8; TAG_LEN],
}

/// When a cookie was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Which key it was made with: the lowest bits of a count.
    pub(super) generation: u8,
    /// Milliseconds after that key was made.
    pub(super) issued: u32,
}

/// What a cookie brings back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content<'a> {
    /// Nothing: that of a `HelloVerifyRequest` only comes back.
    Verify,
    /// What a `HelloRetryRequest` said, and the hash of the hello that it answered.
    Retry(Retry, &'a [u8]),
}

/// Half of an HMAC-SHA-256 (RFC 2104 §5): GnuTLS takes no cookie of more than 32 bytes, which is the limit of DTLS 1.0.
pub(super) const TAG_LEN: usize = 16;

/// The longest cookie, in bytes: it has a hash of SHA-384.
pub(super) const MAX_LEN: usize = 1 + 4 + 2 + 2 + 48 + TAG_LEN;

impl Stamp {
    pub(super) fn write(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        w.u8(self.generation)?;
        w.u32(self.issued)
    }
}

impl Content<'_> {
    pub(super) fn write(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        match self {
            Self::Verify => Ok(()),
            Self::Retry(retry, hash) => {
                w.u16(retry.suite.0)?;
                // Group 0 is reserved (RFC 8446 §4.2.7): nobody is ever asked for it.
                w.u16(retry.group.map_or(0, |group| group.0))?;
                w.put(hash)
            }
        }
    }
}

impl<'a> Cookie<'a> {
    /// Reads a cookie; whether it is ours and of use is another question.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut r = Reader::new(bytes);
        let stamp = Stamp {
            generation: r.u8()?,
            issued: r.u32()?,
        };
        let rest = r.all();
        let (content, tag) = rest.split_last_chunk().ok_or_else(|| r.broken("a cookie has a tag"))?;
        let mut r = Reader::new(content);
        let content = if content.is_empty() {
            Content::Verify
        } else {
            let suite = CipherSuite(r.u16()?);
            let group = Some(NamedGroup(r.u16()?)).filter(|group| group.0 != 0);
            let hash = r.all();
            r.ensure(matches!(hash.len(), 32 | 48), "a hash has 32 or 48 bytes")?;
            Content::Retry(Retry { suite, group }, hash)
        };
        Ok(Self { stamp, content, tag })
    }

    pub(super) fn write(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        self.stamp.write(w)?;
        self.content.write(w)?;
        w.put(self.tag)
    }
}

#[cfg(test)]
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn written(cookie: &Cookie<'_>) -> Vec<u8> {
        let mut out = [0; MAX_LEN];
        let mut w = Writer::new(&mut out);
        cookie.write(&mut w).unwrap();
        w.into_written().to_vec()
    }

    #[test]
    fn cookies_of_no_possible_length_are_refused() {
        for len in 0..=MAX_LEN + 1 {
            let parsed = Cookie::parse(&vec![1; len]).is_ok();
            assert_eq!(parsed, [21, 57, 73].contains(&len), "{len}");
        }
    }

    proptest! {
        #[test]
        fn cookies_go_there_and_back(
            generation: u8, issued: u32, suite: u16, group: u16, hash in prop_oneof![vec(any::<u8>(), 32), vec(any::<u8>(), 48)],
            tag: [u8; TAG_LEN], of_13: bool,
        ) {
            let retry = Retry { suite: CipherSuite(suite), group: Some(NamedGroup(group)).filter(|group| group.0 != 0) };
            let content = if of_13 { Content::Retry(retry, &hash) } else { Content::Verify };
            let cookie = Cookie { stamp: Stamp { generation, issued }, content, tag: &tag };
            let bytes = written(&cookie);
            prop_assert_eq!(Cookie::parse(&bytes), Ok(cookie));
        }

        #[test]
        fn any_bytes_are_refused_or_read(bytes in vec(any::<u8>(), 0..100)) {
            if let Ok(cookie) = Cookie::parse(&bytes) {
                prop_assert_eq!(written(&cookie), bytes);
            }
        }
    }
}
