//! Extensions of hello messages (RFC 5246 §7.4.1.4), the same in all versions.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use std::fmt;

use wire::{Error, Full, Reader, Writer};

use crate::profile::ProtectionProfile;
use crate::registry::ExtensionType;

/// A list of 16-bit numbers, as most hello messages' lists are.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct List16<'a>(&'a [u8]);

impl<'a> List16<'a> {
    /// Reads the rest of `r` as a list.
    ///
    /// # Errors
    /// When the list is empty or its length odd.
    pub fn read(r: &mut Reader<'a>) -> Result<Self, Error> {
        r.ensure(
            !r.is_empty() && r.remaining().is_multiple_of(2),
            "a list of 16-bit numbers has at least one",
        )?;
        Ok(Self(r.all()))
    }

    /// The numbers in their order.
    pub fn iter(&self) -> impl Iterator<Item = u16> + Clone + use<'a> {
        self.0
            .chunks_exact(2)
            .filter_map(|pair| <[u8; 2]>::try_from(pair).ok())
            .map(u16::from_be_bytes)
    }

    /// Whether the number is there.
    pub fn contains(&self, number: u16) -> bool {
        self.iter().any(|each| each == number)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }
}

impl fmt::Debug for List16<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.iter().map(|number| format!("{number:04x}")))
            .finish()
    }
}

/// The extensions of a hello message. Unknown ones stay.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Extensions<'a> {
    block: Option<Block<'a>>,
}

/// The bytes of the block and where they stand in the message.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Block<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Extensions<'a> {
    /// Reads the block at the end of a hello message, which may be missing altogether (RFC 5246 §7.4.1.2).
    ///
    /// # Errors
    /// When an extension is cut off, bytes are left over, or an extension comes twice.
    pub fn read(r: &mut Reader<'a>) -> Result<Self, Error> {
        if r.is_empty() {
            return Ok(Self::default());
        }
        let extensions = Self::read_block(r)?;
        r.finish()?;
        Ok(extensions)
    }

    /// Reads a block behind which something may follow.
    ///
    /// # Errors
    /// When it is cut off, or an extension in it is, or comes twice.
    pub(crate) fn read_block(r: &mut Reader<'a>) -> Result<Self, Error> {
        let len = r.u16()?;
        let mut block = r.sub(usize::from(len))?;
        let kept = Block {
            offset: block.offset(),
            bytes: block.peek(),
        };
        let mut types = Vec::new();
        while !block.is_empty() {
            types.push(block.u16()?);
            let len = block.u16()?;
            block.skip(usize::from(len))?;
        }
        let count = types.len();
        types.sort_unstable();
        types.dedup();
        r.ensure(types.len() == count, "an extension comes once (RFC 5246 §7.4.1.4)")?;
        Ok(Self { block: Some(kept) })
    }

    /// The extensions in their order, each with a cursor over its data.
    pub fn iter(&self) -> impl Iterator<Item = (ExtensionType, Reader<'a>)> + use<'a> {
        let mut rest = self.block.map(|block| Reader::at(block.bytes, block.offset));
        std::iter::from_fn(move || {
            let r = rest.as_mut()?;
            let extension_type = ExtensionType(r.u16().ok()?);
            let len = r.u16().ok()?;
            Some((extension_type, r.sub(usize::from(len)).ok()?))
        })
    }

    /// A cursor over the data of this extension, if it is there.
    pub fn get(&self, wanted: ExtensionType) -> Option<Reader<'a>> {
        self.iter()
            .find_map(|(extension_type, data)| (extension_type == wanted).then_some(data))
    }

    /// Whether the extension is there.
    pub fn contains(&self, wanted: ExtensionType) -> bool {
        self.get(wanted).is_some()
    }

    /// `supported_groups` (RFC 8422 §5.1.1).
    ///
    /// # Errors
    /// When the extension is there but not a list.
    pub fn supported_groups(&self) -> Result<Option<List16<'a>>, Error> {
        self.list16(ExtensionType::SUPPORTED_GROUPS)
    }

    /// `signature_algorithms` (RFC 5246 §7.4.1.4.1).
    ///
    /// # Errors
    /// When the extension is there but not a list.
    pub fn signature_algorithms(&self) -> Result<Option<List16<'a>>, Error> {
        self.list16(ExtensionType::SIGNATURE_ALGORITHMS)
    }

    /// `supported_versions` of a `ClientHello` (RFC 8446 §4.2.1).
    ///
    /// # Errors
    /// When the extension is there but not a list.
    pub fn supported_versions(&self) -> Result<Option<List16<'a>>, Error> {
        let Some(mut r) = self.get(ExtensionType::SUPPORTED_VERSIONS) else {
            return Ok(None);
        };
        let len = r.u8()?;
        let list = List16::read(&mut r.sub(usize::from(len))?)?;
        r.finish()?;
        Ok(Some(list))
    }

    /// `use_srtp` (RFC 5764 §4.1.1).
    ///
    /// # Errors
    /// When the extension is there but malformed.
    pub fn use_srtp(&self) -> Result<Option<UseSrtp<'a>>, Error> {
        let Some(mut r) = self.get(ExtensionType::USE_SRTP) else {
            return Ok(None);
        };
        let len = r.u16()?;
        let profiles = List16::read(&mut r.sub(usize::from(len))?)?;
        let len = r.u8()?;
        let mki = r.take(usize::from(len))?;
        r.finish()?;
        Ok(Some(UseSrtp { profiles, mki }))
    }

    /// The `renegotiated_connection` field of `renegotiation_info` (RFC 5746 §3.2).
    ///
    /// # Errors
    /// When the extension is there but malformed.
    pub fn renegotiation_info(&self) -> Result<Option<&'a [u8]>, Error> {
        self.bytes8(ExtensionType::RENEGOTIATION_INFO)
    }

    /// `ec_point_formats` (RFC 8422 §5.1.2).
    ///
    /// # Errors
    /// When the extension is there but malformed.
    pub fn ec_point_formats(&self) -> Result<Option<&'a [u8]>, Error> {
        self.bytes8(ExtensionType::EC_POINT_FORMATS)
    }

    /// `connection_id` (RFC 9146 §3), empty when none is wanted.
    ///
    /// # Errors
    /// When the extension is there but malformed.
    pub fn connection_id(&self) -> Result<Option<&'a [u8]>, Error> {
        self.bytes8(ExtensionType::CONNECTION_ID)
    }

    /// Writes the block as it was read.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn write(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        let Some(block) = self.block else {
            return Ok(());
        };
        let mark = w.reserve(2)?;
        w.put(block.bytes)?;
        w.fill_length(mark)
    }

    fn list16(&self, extension_type: ExtensionType) -> Result<Option<List16<'a>>, Error> {
        let Some(mut r) = self.get(extension_type) else {
            return Ok(None);
        };
        let len = r.u16()?;
        let list = List16::read(&mut r.sub(usize::from(len))?)?;
        r.finish()?;
        Ok(Some(list))
    }

    fn bytes8(&self, extension_type: ExtensionType) -> Result<Option<&'a [u8]>, Error> {
        let Some(mut r) = self.get(extension_type) else {
            return Ok(None);
        };
        let len = r.u8()?;
        let bytes = r.take(usize::from(len))?;
        r.finish()?;
        Ok(Some(bytes))
    }
}

impl fmt::Debug for Extensions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|(name, data)| (name, data.remaining())))
            .finish()
    }
}

/// `use_srtp` (RFC 5764 §4.1.1): the profiles offered, or the one chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UseSrtp<'a> {
    profiles: List16<'a>,
    /// The master key identifier, or nothing: nobody in WebRTC uses one.
    pub mki: &'a [u8],
}

impl<'a> UseSrtp<'a> {
    /// The profiles in the peer's order.
    pub fn profiles(&self) -> impl Iterator<Item = ProtectionProfile> + Clone + use<'a> {
        self.profiles.iter().map(ProtectionProfile)
    }
}

/// Writes one extension; `data` writes what stands behind type and length.
///
/// # Errors
/// When it does not fit.
pub(crate) fn write_extension(
    w: &mut Writer<'_>,
    extension_type: ExtensionType,
    data: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>,
) -> Result<(), Full> {
    w.u16(extension_type.0)?;
    let mark = w.reserve(2)?;
    data(w)?;
    w.fill_length(mark)
}

/// Writes a list of 16-bit numbers behind its length of two bytes.
///
/// # Errors
/// When it does not fit.
pub(crate) fn write_list16(w: &mut Writer<'_>, numbers: impl IntoIterator<Item = u16>) -> Result<(), Full> {
    let mark = w.reserve(2)?;
    for number in numbers {
        w.u16(number)?;
    }
    w.fill_length(mark)
}

/// Writes bytes behind their length of one byte.
///
/// # Errors
/// When they do not fit.
pub(crate) fn write_bytes8(w: &mut Writer<'_>, bytes: &[u8]) -> Result<(), Full> {
    let mark = w.reserve(1)?;
    w.put(bytes)?;
    w.fill_length(mark)
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

    fn block(parts: &[&[u8]]) -> Vec<u8> {
        let body = parts.concat();
        [&(body.len() as u16).to_be_bytes()[..], &body].concat()
    }

    #[test]
    fn known_extensions_are_read_and_unknown_ones_kept() {
        let bytes = block(&[
            &[0, 14, 0, 9, 0, 4, 0, 1, 0, 7, 2, 0xaa, 0xbb],
            &[0, 43, 0, 5, 4, 0xfe, 0xfc, 0xfe, 0xfd],
            &[0x7a, 0x7a, 0, 1, 9],
        ]);
        let extensions = Extensions::read(&mut Reader::new(&bytes)).unwrap();
        let srtp = extensions.use_srtp().unwrap().unwrap();
        assert!(srtp.profiles().eq([ProtectionProfile(1), ProtectionProfile(7)]));
        assert_eq!(srtp.mki, [0xaa, 0xbb]);
        assert!(extensions.supported_versions().unwrap().unwrap().contains(0xfefd));
        assert_eq!(extensions.get(ExtensionType(0x7a7a)).unwrap().all(), [9]);
        assert_eq!(extensions.supported_groups(), Ok(None));
        let mut out = [0; 64];
        let mut w = Writer::new(&mut out);
        extensions.write(&mut w).unwrap();
        assert_eq!(w.written(), bytes);
    }

    /// RFC 9146 §3.
    #[test]
    fn connection_ids_may_be_empty() {
        for (data, id) in [
            (&[0][..], Some(&[][..])),
            (&[2, 7, 8], Some(&[7, 8])),
            (&[], None),
            (&[1, 7, 8], None),
        ] {
            let bytes = block(&[&[0, 54, 0, data.len() as u8], data]);
            let extensions = Extensions::read(&mut Reader::new(&bytes)).unwrap();
            assert_eq!(extensions.connection_id().ok().map(Option::unwrap), id, "{data:?}");
        }
        assert_eq!(Extensions::default().connection_id(), Ok(None));
    }

    #[test]
    fn a_missing_block_is_not_an_empty_one() {
        for bytes in [&[][..], &[0, 0]] {
            let extensions = Extensions::read(&mut Reader::new(bytes)).unwrap();
            assert_eq!(extensions.iter().count(), 0);
            let mut out = [0; 4];
            let mut w = Writer::new(&mut out);
            extensions.write(&mut w).unwrap();
            assert_eq!(w.written(), bytes);
        }
    }

    #[test]
    fn faults_are_refused_with_their_place() {
        let twice = block(&[&[0, 23, 0, 0], &[0, 23, 0, 0]]);
        assert!(matches!(
            Extensions::read(&mut Reader::new(&twice)),
            Err(Error::Rule { .. })
        ));
        let cut = block(&[&[0, 23, 0, 1]]);
        assert!(matches!(
            Extensions::read(&mut Reader::new(&cut)),
            Err(Error::Short { .. })
        ));
        let odd = block(&[&[0, 10, 0, 3, 0, 1, 0]]);
        let extensions = Extensions::read(&mut Reader::new(&odd)).unwrap();
        assert_eq!(extensions.supported_groups().unwrap_err().offset(), 8);
        let trailing = block(&[&[0, 14, 0, 6, 0, 2, 0, 7, 0, 0]]);
        let extensions = Extensions::read(&mut Reader::new(&trailing)).unwrap();
        assert!(matches!(extensions.use_srtp(), Err(Error::Trailing { .. })));
    }
}
