//! Records in the clear form of RFC 6347 §4.1, with a connection ID in that of RFC 9146 §4.
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
///
/// A record of type [`tls12_cid`](ContentType::TLS12_CID) has a connection ID before its length (RFC 9146 §4). It goes beside
/// this header, since only the two ends know how long it is.
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
    /// Bytes of the header, without a connection ID.
    pub const LEN: usize = 13;

    /// Where a connection ID stands.
    pub(crate) const ID_OFFSET: usize = 11;

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
        Self::read_with_id(r, 0).map(|(header, _)| header)
    }

    /// Reads a header; the connection ID, which has `id_len` bytes in a record of type
    /// [`tls12_cid`](ContentType::TLS12_CID), is empty in all others.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_with_id<'a>(r: &mut Reader<'a>, id_len: usize) -> Result<(Self, &'a [u8]), Error> {
        let start = *r;
        let [content_type, v0, v1, e0, e1, s0, s1, s2, s3, s4, s5] = r.take_array::<{ Self::ID_OFFSET }>()?;
        start.ensure(
            (20..=63).contains(&content_type),
            "a DTLS record begins with 20 to 63 (RFC 7983 §7)",
        )?;
        let content_type = ContentType(content_type);
        let version = Version(u16::from_be_bytes([v0, v1]));
        start.ensure(version.is_dtls(), "the version of a DTLS record begins with 254")?;
        let epoch = u16::from_be_bytes([e0, e1]);
        let sequence = u64::from_be_bytes([0, 0, s0, s1, s2, s3, s4, s5]);
        let has_id = content_type == ContentType::TLS12_CID;
        let id = r.take(if has_id { id_len } else { 0 })?;
        let length = r.u16()?;
        r.ensure(length <= Self::MAX_BODY, "a record is at most 2^14 + 2048 bytes long")?;
        let header = Self {
            content_type,
            version,
            epoch,
            sequence,
            length,
        };
        Ok((header, id))
    }

    /// Writes the header.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn write(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        self.write_with_id(w, &[])
    }

    /// Writes the header with a connection ID, which only one of type [`tls12_cid`](ContentType::TLS12_CID) has.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn write_with_id(&self, w: &mut Writer<'_>, id: &[u8]) -> Result<(), Full> {
        let [v0, v1] = self.version.0.to_be_bytes();
        let [e0, e1] = self.epoch.to_be_bytes();
        let [0, 0, s0, s1, s2, s3, s4, s5] = self.sequence.to_be_bytes() else {
            return Err(Full);
        };
        w.put(&[self.content_type.0, v0, v1, e0, e1, s0, s1, s2, s3, s4, s5])?;
        if !id.is_empty() {
            w.put(id)?;
        }
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
    let (parts, rest) = split_record_with_id(datagram, 0)?;
    Ok((parts.header, parts.body, rest))
}

/// A record, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parts<'a, H> {
    pub(crate) header: H,
    /// The connection ID, empty when there is none.
    pub(crate) id: &'a [u8],
    pub(crate) body: &'a mut [u8],
}

/// [`split_record`] where connection IDs have `id_len` bytes.
pub(crate) fn split_record_with_id(
    datagram: &mut [u8],
    id_len: usize,
) -> Result<(Parts<'_, RecordHeader>, &mut [u8]), Error> {
    let mut r = Reader::new(datagram);
    let (header, id) = RecordHeader::read_with_id(&mut r, id_len)?;
    let (start, id_len) = (r.offset(), id.len());
    r.skip(usize::from(header.length))?;
    let (record, rest) = datagram.split_at_mut(r.offset());
    let (head, body) = record.split_at_mut(start);
    let id = id_at(head, RecordHeader::ID_OFFSET, id_len);
    Ok((Parts { header, id, body }, rest))
}

/// The connection ID in the head of a record.
pub(crate) fn id_at(head: &[u8], offset: usize, len: usize) -> &[u8] {
    let id = head.get(offset..).and_then(|behind| behind.get(..len));
    id.unwrap_or_default()
}

/// Takes a `DTLSInnerPlaintext` apart (RFC 9146 §4, RFC 9147 §4): zeros pad the content behind its type (RFC 8446 §5.4).
/// Without a type, and that is the peer's fault, what is left is a record of no known type.
pub(crate) fn split_inner(inner: &mut [u8]) -> (ContentType, &mut [u8]) {
    let content_len = inner.iter().rposition(|&byte| byte != 0).unwrap_or(0);
    let (content, rest) = inner.split_at_mut(content_len);
    let content_type = rest.first().copied().unwrap_or_default();
    (ContentType(content_type), content)
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

    #[test]
    fn an_id_stands_before_the_length() {
        let mut datagram = vec![25, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 2, 7, 8, 9, 0, 1, 0xaa, 22];
        let (parts, rest) = split_record_with_id(&mut datagram, 3).unwrap();
        assert_eq!((parts.header.epoch, parts.header.length), (1, 1));
        assert_eq!(
            (parts.id, &*parts.body, &*rest),
            (&[7, 8, 9][..], &[0xaa][..], &[22][..])
        );
        // Of another length it is not what it was meant to be.
        assert!(split_record_with_id(&mut datagram, 2).is_err());
        assert!(split_record_with_id(&mut datagram, 20).is_err());
        // Other types have none.
        datagram[0] = 22;
        datagram[11..13].copy_from_slice(&[0, 1]);
        let (parts, _) = split_record_with_id(&mut datagram, 3).unwrap();
        assert_eq!((parts.id, &*parts.body), (&[][..], &[9][..]));
    }

    proptest! {
        #[test]
        fn headers_with_ids_go_there_and_back(id in proptest::collection::vec(any::<u8>(), 0..256), epoch: u16,
                                              body in proptest::collection::vec(any::<u8>(), 0..50)) {
            let header = RecordHeader {
                content_type: ContentType::TLS12_CID, version: Version::DTLS_1_2, epoch, sequence: 5,
                length: body.len() as u16,
            };
            let mut bytes = [0; RecordHeader::LEN + 255 + 50];
            let mut w = Writer::new(&mut bytes);
            header.write_with_id(&mut w, &id).unwrap();
            w.put(&body).unwrap();
            let (parts, rest) = split_record_with_id(w.into_written(), id.len()).unwrap();
            prop_assert_eq!((parts.header, parts.id, &*parts.body, rest.len()), (header, &id[..], &body[..], 0));
        }

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
