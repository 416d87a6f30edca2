//! `ClientHello` and `ServerHello`: one layout for DTLS 1.2 (RFC 6347 §4.2.1) and 1.3 (RFC 9147 §5.3, §5.4).
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use wire::{Error, Full, Reader, Writer};

use crate::extension::{Extensions, List16, write_bytes8, write_list16};
use crate::registry::{CipherSuite, Version};

/// Length of the randoms, in bytes.
pub const RANDOM_LEN: usize = 32;

/// How the random of a server ends that speaks DTLS 1.3 and was asked for 1.2 (RFC 8446 §4.1.3).
pub(crate) const DOWNGRADE_TO_1_2: [u8; 8] = *b"DOWNGRD\x01";

/// How such randoms end: those of servers that were asked for DTLS 1.2, and for what is older.
pub(crate) const DOWNGRADES: [[u8; 8]; 2] = [DOWNGRADE_TO_1_2, *b"DOWNGRD\x00"];

/// The random that makes a `ServerHello` a `HelloRetryRequest` (RFC 8446 §4.1.3): the SHA-256 of that name.
pub const HELLO_RETRY_REQUEST: [u8; RANDOM_LEN] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11,
    0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// A `ClientHello` (RFC 6347 §4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientHello<'a> {
    /// The highest version, or 1.2 when `supported_versions` says more.
    pub version: Version,
    /// The client's random.
    pub random: [u8; RANDOM_LEN],
    /// The session to resume; browsers leave it empty.
    pub session_id: &'a [u8],
    /// What a `HelloVerifyRequest` gave.
    pub cookie: &'a [u8],
    /// Cipher suites in the client's order.
    pub cipher_suites: List16<'a>,
    /// Compression methods; 0 is "none".
    pub compression_methods: &'a [u8],
    /// The extensions.
    pub extensions: Extensions<'a>,
}

impl<'a> ClientHello<'a> {
    /// Reads a whole message.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let mut r = Reader::new(body);
        let HelloHead {
            version,
            random,
            session_id,
            cookie,
        } = HelloHead::read(&mut r)?;
        let len = r.u16()?;
        let cipher_suites = List16::read(&mut r.sub(usize::from(len))?)?;
        let len = r.u8()?;
        r.ensure(len > 0, "there is a compression method")?;
        let compression_methods = r.take(usize::from(len))?;
        let extensions = Extensions::read(&mut r)?;
        Ok(Self {
            version,
            random,
            session_id,
            cookie,
            cipher_suites,
            compression_methods,
            extensions,
        })
    }

    /// Writes the message.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn write(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        self.write_head(w)?;
        self.extensions.write(w)
    }

    /// Writes everything before the extensions.
    pub(crate) fn write_head(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        w.u16(self.version.0)?;
        w.put(&self.random)?;
        write_bytes8(w, self.session_id)?;
        write_bytes8(w, self.cookie)?;
        write_list16(w, self.cipher_suites.iter())?;
        write_bytes8(w, self.compression_methods)
    }
}

/// The beginning of a `ClientHello`, up to the cookie of DTLS 1.2.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HelloHead<'a> {
    pub(crate) version: Version,
    pub(crate) random: [u8; RANDOM_LEN],
    pub(crate) session_id: &'a [u8],
    pub(crate) cookie: &'a [u8],
}

impl<'a> HelloHead<'a> {
    pub(crate) fn read(r: &mut Reader<'a>) -> Result<Self, Error> {
        let version = Version(r.u16()?);
        let random = r.take_array()?;
        let session_id = session_id(r)?;
        let len = r.u8()?;
        let cookie = r.take(usize::from(len))?;
        Ok(Self {
            version,
            random,
            session_id,
            cookie,
        })
    }
}

/// A `ServerHello` (RFC 5246 §7.4.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerHello<'a> {
    /// The chosen version, or 1.2 when `supported_versions` says more.
    pub version: Version,
    /// The server's random.
    pub random: [u8; RANDOM_LEN],
    /// The session's name; empty when it cannot be resumed.
    pub session_id: &'a [u8],
    /// The chosen suite.
    pub cipher_suite: CipherSuite,
    /// The chosen compression method.
    pub compression_method: u8,
    /// The extensions.
    pub extensions: Extensions<'a>,
}

impl<'a> ServerHello<'a> {
    /// Reads a whole message.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let mut r = Reader::new(body);
        let version = Version(r.u16()?);
        let random = r.take_array()?;
        let session_id = session_id(&mut r)?;
        let cipher_suite = CipherSuite(r.u16()?);
        let compression_method = r.u8()?;
        let extensions = Extensions::read(&mut r)?;
        Ok(Self {
            version,
            random,
            session_id,
            cipher_suite,
            compression_method,
            extensions,
        })
    }

    /// Writes the message.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn write(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        self.write_head(w)?;
        self.extensions.write(w)
    }

    /// Writes everything before the extensions.
    pub(crate) fn write_head(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        w.u16(self.version.0)?;
        w.put(&self.random)?;
        write_bytes8(w, self.session_id)?;
        w.u16(self.cipher_suite.0)?;
        w.u8(self.compression_method)
    }
}

fn session_id<'a>(r: &mut Reader<'a>) -> Result<&'a [u8], Error> {
    let len = r.u8()?;
    r.ensure(len <= 32, "a session id has at most 32 bytes (RFC 5246 §7.4.1.2)")?;
    r.take(usize::from(len))
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

    fn extensions() -> impl Strategy<Value = Option<Vec<u8>>> {
        let each = (any::<u16>(), vec(any::<u8>(), 0..20));
        proptest::option::of(vec(each, 0..8).prop_map(|mut list| {
            list.sort();
            list.dedup_by_key(|(extension_type, _)| *extension_type);
            let body: Vec<u8> = list
                .iter()
                .flat_map(|(t, data)| [&t.to_be_bytes()[..], &(data.len() as u16).to_be_bytes(), data].concat())
                .collect();
            [&(body.len() as u16).to_be_bytes()[..], &body].concat()
        }))
    }

    #[test]
    fn the_random_of_a_retry_is_the_hash_of_its_name() {
        let digest = ring::digest::digest(&ring::digest::SHA256, b"HelloRetryRequest");
        assert_eq!(digest.as_ref(), HELLO_RETRY_REQUEST);
    }

    proptest! {
        #[test]
        fn client_hellos_go_there_and_back(
            version: u16, random: [u8; 32], session_id in vec(any::<u8>(), 0..=32), cookie in vec(any::<u8>(), 0..=255),
            suites in vec(any::<u16>(), 1..40), compression_methods in vec(any::<u8>(), 1..4), block in extensions(),
        ) {
            let suites: Vec<u8> = suites.iter().flat_map(|suite| suite.to_be_bytes()).collect();
            let block = block.unwrap_or_default();
            let hello = ClientHello {
                version: Version(version), random, session_id: &session_id, cookie: &cookie,
                cipher_suites: List16::read(&mut Reader::new(&suites)).unwrap(),
                compression_methods: &compression_methods,
                extensions: Extensions::read(&mut Reader::new(&block)).unwrap(),
            };
            let mut out = [0; 1000];
            let mut w = Writer::new(&mut out);
            hello.write(&mut w).unwrap();
            let bytes = &*w.into_written();
            let again = ClientHello::parse(bytes).unwrap();
            let mut second = [0; 1000];
            let mut w = Writer::new(&mut second);
            again.write(&mut w).unwrap();
            prop_assert_eq!(&*w.into_written(), bytes);
            prop_assert_eq!((again.random, again.cookie, again.cipher_suites), (random, &cookie[..], hello.cipher_suites));
        }

        #[test]
        fn server_hellos_go_there_and_back(
            version: u16, random: [u8; 32], session_id in vec(any::<u8>(), 0..=32), suite: u16, compression_method: u8,
            block in extensions(),
        ) {
            let block = block.unwrap_or_default();
            let hello = ServerHello {
                version: Version(version), random, session_id: &session_id, cipher_suite: CipherSuite(suite),
                compression_method, extensions: Extensions::read(&mut Reader::new(&block)).unwrap(),
            };
            let mut out = [0; 1000];
            let mut w = Writer::new(&mut out);
            hello.write(&mut w).unwrap();
            let bytes = &*w.into_written();
            let again = ServerHello::parse(bytes).unwrap();
            let mut second = [0; 1000];
            let mut w = Writer::new(&mut second);
            again.write(&mut w).unwrap();
            prop_assert_eq!(&*w.into_written(), bytes);
            prop_assert_eq!((again.session_id, again.cipher_suite), (&session_id[..], CipherSuite(suite)));
        }

        #[test]
        fn any_bytes_are_refused_or_read(bytes in vec(any::<u8>(), 0..200)) {
            let _ = ClientHello::parse(&bytes);
            let _ = ServerHello::parse(&bytes);
        }
    }
}
