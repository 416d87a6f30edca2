//! What stands in our tickets.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use wire::{Error, Full, Reader, Writer};

use crate::crypto::{HashAlgorithm, TAG_LEN};

/// What makes the key of each ticket another one.
pub(super) const SALT_LEN: usize = 16;

/// A ticket as it goes on the wire:
///
/// ```text
///  0            1        17
/// +------------+--------+------------------+------------+
/// | generation |  salt  | content, sealed  |  tag (16)  |
/// +------------+--------+------------------+------------+
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Envelope<'a> {
    /// Which secret its key comes from: the lowest bits of a count.
    pub(super) generation: u8,
    pub(super) salt: &'a [u8; SALT_LEN],
    /// The content with its tag.
    pub(super) sealed: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// The bytes before what is sealed.
    pub(super) const HEAD_LEN: usize = 1 + SALT_LEN;

    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut r = Reader::new(bytes);
        let generation = r.u8()?;
        let salt = r.take(SALT_LEN)?;
        let salt = salt.first_chunk().ok_or_else(|| r.broken("a ticket has a salt"))?;
        let sealed = r.all();
        r.ensure(sealed.len() > TAG_LEN, "a ticket has a content and a tag")?;
        Ok(Self {
            generation,
            salt,
            sealed,
        })
    }

    pub(super) fn write_head(w: &mut Writer<'_>, generation: u8, salt: &[u8; SALT_LEN]) -> Result<(), Full> {
        w.u8(generation)?;
        w.put(salt)
    }
}

/// What a ticket brings back:
///
/// ```text
///  0      1         5        9     13         45 or 61
/// +------+---------+--------+-----+----------+-------------+
/// | hash | age_add | issued | age |   key    | certificate |
/// +------+---------+--------+-----+----------+-------------+
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(super) struct Content<'a> {
    /// That of the connection's suite, and so of those that may resume it.
    pub(super) hash: HashAlgorithm,
    /// What hides the age that the client tells.
    pub(super) age_add: u32,
    /// Milliseconds after the secret was made.
    pub(super) issued: u32,
    /// How old the session was then, in milliseconds.
    pub(super) age: u32,
    pub(super) psk: &'a [u8],
    /// The client's in DER; empty when it has shown none.
    pub(super) certificate: &'a [u8],
}

impl<'a> Content<'a> {
    /// The longest certificate that goes into a ticket, in bytes. It comes back in a hello, so it is not to be long; those
    /// of other clients cannot be resumed.
    pub(super) const MAX_CERTIFICATE: usize = 2048;

    /// The longest content, in bytes.
    pub(super) const MAX_LEN: usize = 1 + 3 * 4 + 48 + Self::MAX_CERTIFICATE;

    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut r = Reader::new(bytes);
        // As TLS 1.2 numbers them (RFC 5246 §7.4.1.4.1).
        let hash = match r.u8()? {
            4 => HashAlgorithm::Sha256,
            5 => HashAlgorithm::Sha384,
            _ => return Err(r.broken("the hash is SHA-256 or SHA-384")),
        };
        Ok(Self {
            hash,
            age_add: r.u32()?,
            issued: r.u32()?,
            age: r.u32()?,
            psk: r.take(hash.digest_len())?,
            certificate: r.all(),
        })
    }

    pub(super) fn write(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        w.u8(match self.hash {
            HashAlgorithm::Sha256 => 4,
            HashAlgorithm::Sha384 => 5,
        })?;
        w.u32(self.age_add)?;
        w.u32(self.issued)?;
        w.u32(self.age)?;
        w.put(self.psk)?;
        w.put(self.certificate)
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

    fn written(content: &Content<'_>) -> Vec<u8> {
        let mut out = [0; Content::MAX_LEN];
        let mut w = Writer::new(&mut out);
        content.write(&mut w).unwrap();
        w.into_written().to_vec()
    }

    #[test]
    fn short_ones_and_unknown_hashes_are_refused() {
        for (hash, least) in [(4, 45), (5, 61)] {
            for len in 0..70 {
                let mut bytes = vec![7; len];
                if let Some(first) = bytes.first_mut() {
                    *first = hash;
                }
                assert_eq!(Content::parse(&bytes).is_ok(), len >= least, "{hash} {len}");
            }
        }
        for hash in (0..=255).filter(|hash| ![4, 5].contains(hash)) {
            assert!(Content::parse(&[&[hash][..], &[7; 99]].concat()).is_err());
        }
        for len in 0..50 {
            assert_eq!(Envelope::parse(&vec![7; len]).is_ok(), len > 1 + SALT_LEN + TAG_LEN);
        }
    }

    proptest! {
        #[test]
        fn contents_go_there_and_back(
            age_add: u32, issued: u32, age: u32, of_384: bool, psk in any::<[u8; 32]>(),
            certificate in vec(any::<u8>(), 0..Content::MAX_CERTIFICATE),
        ) {
            let psk = [&psk[..], &[9; 16]].concat();
            let hash = if of_384 { HashAlgorithm::Sha384 } else { HashAlgorithm::Sha256 };
            let psk = &psk[..hash.digest_len()];
            let content = Content { hash, age_add, issued, age, psk, certificate: &certificate };
            let bytes = written(&content);
            prop_assert_eq!(Content::parse(&bytes), Ok(content));
        }

        #[test]
        fn any_bytes_are_refused_or_read(bytes in vec(any::<u8>(), 0..150)) {
            if let Ok(content) = Content::parse(&bytes) {
                prop_assert_eq!(written(&content), &bytes[..]);
            }
            if let Ok(Envelope { generation, salt, sealed }) = Envelope::parse(&bytes) {
                let mut head = [0; Envelope::HEAD_LEN];
                Envelope::write_head(&mut Writer::new(&mut head), generation, salt).unwrap();
                prop_assert_eq!([&head[..], sealed].concat(), bytes);
            }
        }
    }
}
