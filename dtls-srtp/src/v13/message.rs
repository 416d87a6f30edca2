//! The messages of DTLS 1.3 other than the hellos, the extensions that only it has, and its acknowledgements.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use wire::{Error, Full, Reader, Writer};

use crate::extension::{Extensions, write_bytes8, write_extension, write_list16};
use crate::registry::{ExtensionType, NamedGroup, Version};

/// `EncryptedExtensions` (RFC 8446 §4.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncryptedExtensions<'a> {
    /// The extensions.
    pub extensions: Extensions<'a>,
}

impl<'a> EncryptedExtensions<'a> {
    /// Reads a whole message.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let mut r = Reader::new(body);
        r.ensure(!r.is_empty(), "there is a block of extensions (RFC 8446 §4.3.1)")?;
        let extensions = Extensions::read(&mut r)?;
        Ok(Self { extensions })
    }

    /// Writes the message.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn write(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        self.extensions.write(w)
    }
}

/// `CertificateRequest` (RFC 8446 §4.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateRequest13<'a> {
    /// Empty during the handshake.
    pub context: &'a [u8],
    /// The extensions, `signature_algorithms` among them.
    pub extensions: Extensions<'a>,
}

impl<'a> CertificateRequest13<'a> {
    /// Reads a whole message.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let mut r = Reader::new(body);
        let len = r.u8()?;
        let context = r.take(usize::from(len))?;
        r.ensure(!r.is_empty(), "there is a block of extensions (RFC 8446 §4.3.2)")?;
        let extensions = Extensions::read(&mut r)?;
        Ok(Self { context, extensions })
    }

    /// Writes the message as it was read.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn write(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        write_bytes8(w, self.context)?;
        self.extensions.write(w)
    }

    /// Writes a message of ours, which asks for these schemes.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn write_schemes(w: &mut Writer<'_>, schemes: impl IntoIterator<Item = u16>) -> Result<(), Full> {
        write_bytes8(w, &[])?;
        let block = w.reserve(2)?;
        write_extension(w, ExtensionType::SIGNATURE_ALGORITHMS, |w| write_list16(w, schemes))?;
        w.fill_length(block)
    }
}

/// `Certificate` (RFC 8446 §4.4.2): a chain, the peer's own certificate first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateChain13<'a> {
    /// That of the request; empty in a server's message.
    pub context: &'a [u8],
    list: &'a [u8],
}

impl<'a> CertificateChain13<'a> {
    /// Reads a whole message.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let mut r = Reader::new(body);
        let len = r.u8()?;
        let context = r.take(usize::from(len))?;
        let len = r.u24()?;
        let mut entries = r.sub(usize::try_from(len).unwrap_or(usize::MAX))?;
        r.finish()?;
        let list = entries.peek();
        while !entries.is_empty() {
            let len = entries.u24()?;
            entries.ensure(len > 0, "a certificate is not empty")?;
            entries.skip(usize::try_from(len).unwrap_or(usize::MAX))?;
            Extensions::read_block(&mut entries)?;
        }
        Ok(Self { context, list })
    }

    /// The certificates in DER.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.entries().map(|(der, _)| der)
    }

    /// The certificates in DER, each with what the peer says about it.
    pub fn entries(&self) -> impl Iterator<Item = (&'a [u8], Extensions<'a>)> + use<'a> {
        let mut r = Reader::new(self.list);
        std::iter::from_fn(move || {
            let len = r.u24().ok()?;
            let der = r.take(usize::try_from(len).ok()?).ok()?;
            Some((der, Extensions::read_block(&mut r).ok()?))
        })
    }

    /// Writes the message with one certificate and no extensions.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn write_one(w: &mut Writer<'_>, context: &[u8], der: &[u8]) -> Result<(), Full> {
        write_bytes8(w, context)?;
        let list = w.reserve(3)?;
        let certificate = w.reserve(3)?;
        w.put(der)?;
        w.fill_length(certificate)?;
        w.u16(0)?;
        w.fill_length(list)
    }

    /// Writes the message as it was read.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn write(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        write_bytes8(w, self.context)?;
        let list = w.reserve(3)?;
        w.put(self.list)?;
        w.fill_length(list)
    }
}

/// What a `CertificateVerify` signs (RFC 8446 §4.4.3): 64 spaces, a text that tells whose it is, a zero, and the hash
/// of the messages.
pub(super) fn signed_content(context: &'static [u8], transcript_hash: &[u8]) -> Vec<u8> {
    [&[b' '; 64][..], context, &[0], transcript_hash].concat()
}

/// The context of the server's signature.
pub(super) const SERVER_SIGNATURE: &[u8] = b"TLS 1.3, server CertificateVerify";

/// The context of the client's signature.
pub(super) const CLIENT_SIGNATURE: &[u8] = b"TLS 1.3, client CertificateVerify";

/// `KeyUpdate` (RFC 8446 §4.6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyUpdate {
    /// Whether the other side is asked to change its keys too.
    pub requested: bool,
}

impl KeyUpdate {
    /// Reads a whole message.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        let mut r = Reader::new(body);
        let request = r.u8()?;
        r.ensure(request <= 1, "a KeyUpdate is requested or not (RFC 8446 §4.6.3)")?;
        r.finish()?;
        Ok(Self {
            requested: request == 1,
        })
    }

    /// Writes the message.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn write(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        w.u8(u8::from(self.requested))
    }
}

/// A key share (RFC 8446 §4.2.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyShareEntry<'a> {
    /// The group.
    pub group: NamedGroup,
    /// The public key.
    pub share: &'a [u8],
}

impl<'a> KeyShareEntry<'a> {
    fn read(r: &mut Reader<'a>) -> Result<Self, Error> {
        let group = NamedGroup(r.u16()?);
        let len = r.u16()?;
        r.ensure(len > 0, "a key share is not empty (RFC 8446 §4.2.8)")?;
        let share = r.take(usize::from(len))?;
        Ok(Self { group, share })
    }

    /// Writes the share.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn write(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        w.u16(self.group.0)?;
        let mark = w.reserve(2)?;
        w.put(self.share)?;
        w.fill_length(mark)
    }
}

/// The shares that a client offers, in its order; checked to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyShares<'a>(&'a [u8]);

impl<'a> KeyShares<'a> {
    /// The shares.
    pub fn iter(&self) -> impl Iterator<Item = KeyShareEntry<'a>> + use<'a> {
        let mut r = Reader::new(self.0);
        std::iter::from_fn(move || KeyShareEntry::read(&mut r).ok())
    }
}

impl<'a> Extensions<'a> {
    /// `key_share` of a `ClientHello` (RFC 8446 §4.2.8).
    ///
    /// # Errors
    /// When the extension is there but malformed, or when a group comes twice.
    pub fn client_key_shares(&self) -> Result<Option<KeyShares<'a>>, Error> {
        let Some(mut r) = self.get(ExtensionType::KEY_SHARE) else {
            return Ok(None);
        };
        let len = r.u16()?;
        let mut list = r.sub(usize::from(len))?;
        r.finish()?;
        let shares = KeyShares(list.peek());
        let mut groups = Vec::new();
        while !list.is_empty() {
            groups.push(KeyShareEntry::read(&mut list)?.group.0);
        }
        let count = groups.len();
        groups.sort_unstable();
        groups.dedup();
        r.ensure(groups.len() == count, "a group has one key share (RFC 8446 §4.2.8)")?;
        Ok(Some(shares))
    }

    /// `key_share` of a `ServerHello` (RFC 8446 §4.2.8).
    ///
    /// # Errors
    /// When the extension is there but malformed.
    pub fn server_key_share(&self) -> Result<Option<KeyShareEntry<'a>>, Error> {
        let Some(mut r) = self.get(ExtensionType::KEY_SHARE) else {
            return Ok(None);
        };
        let entry = KeyShareEntry::read(&mut r)?;
        r.finish()?;
        Ok(Some(entry))
    }

    /// `key_share` of a `HelloRetryRequest` (RFC 8446 §4.2.8): the group that the server wants.
    ///
    /// # Errors
    /// When the extension is there but malformed.
    pub fn retry_group(&self) -> Result<Option<NamedGroup>, Error> {
        let Some(mut r) = self.get(ExtensionType::KEY_SHARE) else {
            return Ok(None);
        };
        let group = NamedGroup(r.u16()?);
        r.finish()?;
        Ok(Some(group))
    }

    /// `cookie` (RFC 8446 §4.2.2).
    ///
    /// # Errors
    /// When the extension is there but malformed or empty.
    pub fn cookie(&self) -> Result<Option<&'a [u8]>, Error> {
        let Some(mut r) = self.get(ExtensionType::COOKIE) else {
            return Ok(None);
        };
        let len = r.u16()?;
        r.ensure(len > 0, "a cookie is not empty (RFC 8446 §4.2.2)")?;
        let cookie = r.take(usize::from(len))?;
        r.finish()?;
        Ok(Some(cookie))
    }

    /// `supported_versions` of a `ServerHello` (RFC 8446 §4.2.1).
    ///
    /// # Errors
    /// When the extension is there but malformed.
    pub fn selected_version(&self) -> Result<Option<Version>, Error> {
        let Some(mut r) = self.get(ExtensionType::SUPPORTED_VERSIONS) else {
            return Ok(None);
        };
        let version = Version(r.u16()?);
        r.finish()?;
        Ok(Some(version))
    }
}

/// The number of a record (RFC 9147 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordNumber {
    /// The epoch.
    pub epoch: u64,
    /// The number within the epoch.
    pub sequence: u64,
}

/// An acknowledgement (RFC 9147 §7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack<'a>(&'a [u8]);

impl<'a> Ack<'a> {
    /// Bytes of a record number.
    pub const NUMBER_LEN: usize = 16;

    /// Reads the content of a record.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let mut r = Reader::new(body);
        let len = r.u16()?;
        r.ensure(
            usize::from(len).is_multiple_of(Self::NUMBER_LEN),
            "a record number has 16 bytes (RFC 9147 §7)",
        )?;
        let numbers = r.take(usize::from(len))?;
        r.finish()?;
        Ok(Self(numbers))
    }

    /// The numbers in their order.
    pub fn iter(&self) -> impl Iterator<Item = RecordNumber> + use<'a> {
        let mut r = Reader::new(self.0);
        std::iter::from_fn(move || {
            Some(RecordNumber {
                epoch: r.u64().ok()?,
                sequence: r.u64().ok()?,
            })
        })
    }

    /// Writes an acknowledgement of these records.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn write(w: &mut Writer<'_>, numbers: impl IntoIterator<Item = RecordNumber>) -> Result<(), Full> {
        let mark = w.reserve(2)?;
        for number in numbers {
            w.u64(number.epoch)?;
            w.u64(number.sequence)?;
        }
        w.fill_length(mark)
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

    /// What `write` puts down.
    fn written(write: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>) -> Vec<u8> {
        let mut out = vec![0; 5000];
        let mut w = Writer::new(&mut out);
        write(&mut w).unwrap();
        let len = w.position();
        out.truncate(len);
        out
    }

    /// A block of extensions with one of them.
    fn block(extension_type: ExtensionType, data: &[u8]) -> Vec<u8> {
        written(|w| {
            let mark = w.reserve(2)?;
            write_extension(w, extension_type, |w| w.put(data))?;
            w.fill_length(mark)
        })
    }

    #[test]
    fn empty_things_are_refused_where_the_rfc_says_so() {
        assert!(EncryptedExtensions::parse(&[]).is_err());
        assert!(CertificateRequest13::parse(&[0]).is_err());
        assert!(CertificateChain13::parse(&[0, 0, 0, 5, 0, 0, 0, 0, 0]).is_err());
        assert_eq!(CertificateChain13::parse(&[0, 0, 0, 0]).unwrap().iter().count(), 0);
        assert!(
            KeyUpdate::parse(&[2]).is_err() && KeyUpdate::parse(&[]).is_err() && KeyUpdate::parse(&[0, 0]).is_err()
        );
        assert_eq!(Ack::parse(&[0, 0]).unwrap().iter().count(), 0);
        assert!(Ack::parse(&[0, 15, 0]).is_err());
        for (extension_type, data) in [
            (ExtensionType::KEY_SHARE, &[0, 4, 0, 29, 0, 0][..]),
            (ExtensionType::KEY_SHARE, &[0, 10, 0, 29, 0, 1, 7, 0, 29, 0, 1, 8]),
            (ExtensionType::COOKIE, &[0, 0]),
        ] {
            let block = block(extension_type, data);
            let extensions = Extensions::read(&mut Reader::new(&block)).unwrap();
            assert!(extensions.client_key_shares().is_err() || extensions.cookie().is_err());
        }
    }

    proptest! {
        #[test]
        fn messages_go_there_and_back(
            der in vec(any::<u8>(), 1..600), context in vec(any::<u8>(), 0..20), schemes in vec(any::<u16>(), 1..20),
            requested: bool, numbers in vec((any::<u64>(), any::<u64>()), 0..40), group: u16,
            share in vec(any::<u8>(), 1..1300), cookie in vec(any::<u8>(), 1..100), version: u16,
        ) {
            let bytes = written(|w| CertificateChain13::write_one(w, &context, &der));
            let chain = CertificateChain13::parse(&bytes).unwrap();
            prop_assert_eq!((chain.context, chain.iter().collect::<Vec<_>>()), (&context[..], vec![&der[..]]));
            prop_assert_eq!(chain.entries().flat_map(|(_, extensions)| extensions.iter()).count(), 0);
            prop_assert_eq!(written(|w| chain.write(w)), bytes);

            let bytes = written(|w| CertificateRequest13::write_schemes(w, schemes.iter().copied()));
            let request = CertificateRequest13::parse(&bytes).unwrap();
            let again: Vec<_> = request.extensions.signature_algorithms().unwrap().unwrap().iter().collect();
            prop_assert_eq!((request.context, again), (&[][..], schemes));
            prop_assert_eq!(written(|w| request.write(w)), bytes);

            let update = KeyUpdate { requested };
            prop_assert_eq!(KeyUpdate::parse(&written(|w| update.write(w))), Ok(update));

            let numbers: Vec<_> = numbers.into_iter().map(|(epoch, sequence)| RecordNumber { epoch, sequence }).collect();
            let bytes = written(|w| Ack::write(w, numbers.iter().copied()));
            prop_assert_eq!(Ack::parse(&bytes).unwrap().iter().collect::<Vec<_>>(), numbers);

            let entry = KeyShareEntry { group: NamedGroup(group), share: &share };
            let one = block(ExtensionType::KEY_SHARE, &written(|w| entry.write(w)));
            let extensions = Extensions::read(&mut Reader::new(&one)).unwrap();
            prop_assert_eq!(extensions.server_key_share(), Ok(Some(entry)));
            let list = written(|w| { let mark = w.reserve(2)?; entry.write(w)?; w.fill_length(mark) });
            let many = block(ExtensionType::KEY_SHARE, &list);
            let extensions = Extensions::read(&mut Reader::new(&many)).unwrap();
            prop_assert!(extensions.client_key_shares().unwrap().unwrap().iter().eq([entry]));

            let data = written(|w| { let mark = w.reserve(2)?; w.put(&cookie)?; w.fill_length(mark) });
            let block_of_cookie = block(ExtensionType::COOKIE, &data);
            let extensions = Extensions::read(&mut Reader::new(&block_of_cookie)).unwrap();
            prop_assert_eq!(extensions.cookie(), Ok(Some(&cookie[..])));
            let chosen = block(ExtensionType::SUPPORTED_VERSIONS, &version.to_be_bytes());
            let extensions = Extensions::read(&mut Reader::new(&chosen)).unwrap();
            prop_assert_eq!(extensions.selected_version().unwrap().unwrap().0, version);
            let retry = block(ExtensionType::KEY_SHARE, &group.to_be_bytes());
            let extensions = Extensions::read(&mut Reader::new(&retry)).unwrap();
            prop_assert_eq!(extensions.retry_group(), Ok(Some(NamedGroup(group))));
        }

        #[test]
        fn any_bytes_are_refused_or_read(bytes in vec(any::<u8>(), 0..100)) {
            let _ = EncryptedExtensions::parse(&bytes);
            let _ = CertificateRequest13::parse(&bytes);
            let _ = CertificateChain13::parse(&bytes).map(|chain| chain.entries().count());
            let _ = KeyUpdate::parse(&bytes);
            let _ = Ack::parse(&bytes).map(|ack| ack.iter().count());
            if let Ok(extensions) = Extensions::read(&mut Reader::new(&bytes)) {
                let _ = extensions.client_key_shares().map(|shares| shares.map(|shares| shares.iter().count()));
                let _ = (extensions.server_key_share(), extensions.retry_group(), extensions.cookie());
                let _ = extensions.selected_version();
            }
        }
    }
}
