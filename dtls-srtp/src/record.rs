//! Records in the clear form of RFC 6347 §4.1.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use wire::{Error, Full, Reader, Writer};

use crate::registry::{ContentType, Version};

/// The header of a record (RFC 6347 §4.1):
///
/// ```text
///  0       1               3               5                       11              13
/// +-------+-------+-------+-------+-------+-------+ ... +-------+-------+-------+
/// | type  |    version    |     epoch     |    sequence_number    |     length    |
/// +-------+-------+-------+-------+-------+-------+ ... +-------+-------+-------+
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordHeader {
    /// What the record carries.
    pub content_type: ContentType,
    /// The version, [`Version::DTLS_1_0`] in a first `ClientHello` of some stacks.
    pub version: Version,
    /// Counts the changes of keys.
    pub epoch: u16,
    /// Counts the records of an epoch, 48 bits.
    pub sequence: u64,
    /// Bytes that follow.
    pub length: u16,
}

impl RecordHeader {
    /// Bytes of the header.
    pub const LEN: usize = 13;

    /// The longest body of a record: 2^14 bytes of plaintext and 2048 of expansion (RFC 5246 §6.2.3).
    pub const MAX_BODY: u16 = (1 << 14) + 2048;

    /// The highest sequence number of an epoch.
    pub const MAX_SEQUENCE: u64 = (1 << 48) - 1;

    /// Reads a header; the cursor then stands at the body.
    ///
    /// # Errors
    /// When the input is too short, when the first byte or the version is not one of DTLS, or when the body is longer
    /// than RFC 5246 §6.2.3 allows.
    pub fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        let first = r.peek_u8().unwrap_or_default();
        r.ensure(
            (20..=63).contains(&first),
            "a DTLS record begins with 20 to 63 (RFC 7983 §7)",
        )?;
        let content_type = ContentType(r.u8()?);
        let version = Version(r.u16()?);
        r.ensure(version.is_dtls(), "the version of a DTLS record begins with 254")?;
        let epoch = r.u16()?;
        let sequence = r.u48()?;
        let length = r.u16()?;
        r.ensure(length <= Self::MAX_BODY, "a record is at most 2^14 + 2048 bytes long")?;
        Ok(Self {
            content_type,
            version,
            epoch,
            sequence,
            length,
        })
    }

    /// Writes the header.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn write(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        w.u8(self.content_type.0)?;
        w.u16(self.version.0)?;
        w.u16(self.epoch)?;
        w.u48(self.sequence)?;
        w.u16(self.length)
    }

    /// The epoch and the sequence number as the 64-bit number that nonces and additional data use (RFC 6347 §4.1.2.1).
    pub fn epoch_and_sequence(&self) -> u64 {
        (u64::from(self.epoch) << 48) | (self.sequence & Self::MAX_SEQUENCE)
    }
}

/// Takes the first record off `datagram`: its header, its body and what follows.
///
/// # Errors
/// As [`RecordHeader::read`], and when the body is cut off. Nothing behind a broken header can be found, so the rest of
/// the datagram is lost with it.
pub fn split_record(datagram: &mut [u8]) -> Result<(RecordHeader, &mut [u8], &mut [u8]), Error> {
    let mut r = Reader::new(datagram);
    let header = RecordHeader::read(&mut r)?;
    r.skip(usize::from(header.length))?;
    let (record, rest) = datagram.split_at_mut(r.offset());
    let body = record.get_mut(RecordHeader::LEN..).unwrap_or_default();
    Ok((header, body, rest))
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
    use proptest::prelude::*;

    #[test]
    fn records_of_a_datagram_come_one_by_one() {
        let mut datagram = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 0xaa, 0xbb];
        datagram.extend([20, 0xfe, 0xff, 0, 1, 0, 0, 0, 0, 0, 2, 0, 0]);
        let (header, body, rest) = split_record(&mut datagram).unwrap();
        assert_eq!(
            (header.content_type, header.sequence, &*body),
            (ContentType::HANDSHAKE, 1, &[0xaa, 0xbb][..])
        );
        let (header, body, rest) = split_record(rest).unwrap();
        assert_eq!(
            (header.epoch_and_sequence(), body.len(), rest.len()),
            (1 << 48 | 2, 0, 0)
        );
    }

    #[test]
    fn faults_are_named() {
        let good = [22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 7];
        assert!(split_record(&mut good.clone()).is_ok());
        for (at, value) in [(0, 19), (0, 64), (1, 3), (11, 0x48), (12, 2)] {
            let mut bad = good;
            bad[at] = value;
            assert!(split_record(&mut bad).is_err(), "byte {at} = {value}");
        }
        assert!(split_record(&mut good[..12].to_vec()).is_err());
    }

    proptest! {
        #[test]
        fn headers_go_there_and_back(content in 20u8..64, minor: u8, epoch: u16, sequence in 0u64..1 << 48,
                                     length in 0..=RecordHeader::MAX_BODY) {
            let header = RecordHeader {
                content_type: ContentType(content), version: Version(0xfe00 | u16::from(minor)), epoch, sequence, length,
            };
            let mut bytes = [0; RecordHeader::LEN];
            header.write(&mut Writer::new(&mut bytes)).unwrap();
            prop_assert_eq!(RecordHeader::read(&mut Reader::new(&bytes)), Ok(header));
        }
    }
}
