use core::fmt;
use wire::{Error, Reader};

use crate::checksum::{self, Checksum};
use crate::chunk::Chunk;
use crate::registry::ChunkType;
use crate::writer::padding;

/// What every packet begins with (RFC 9260 §3.1), but for the checksum.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// |      Source Port Number       |    Destination Port Number    |
/// |                       Verification Tag                        |
/// |                           Checksum                            |
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommonHeader {
    /// The sender's port, in data channels that of `a=sctp-port`, mostly 5000.
    pub source_port: u16,
    /// The receiver's port.
    pub destination_port: u16,
    /// The receiver's initiate tag; 0 with INIT.
    pub verification_tag: u32,
}

impl CommonHeader {
    /// Length with the checksum, in bytes.
    pub const LEN: usize = 12;

    /// With zeros for the checksum.
    pub(crate) fn bytes(&self) -> [u8; Self::LEN] {
        let [s0, s1] = self.source_port.to_be_bytes();
        let [d0, d1] = self.destination_port.to_be_bytes();
        let [t0, t1, t2, t3] = self.verification_tag.to_be_bytes();
        [s0, s1, d0, d1, t0, t1, t2, t3, 0, 0, 0, 0]
    }
}

/// A view of one packet.
#[derive(Clone, Copy)]
pub struct Packet<'a> {
    header: CommonHeader,
    checksum: [u8; 4],
    chunks: Reader<'a>,
    bytes: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads the common header. Whether the checksum is right tells [`checksum_holds`](Self::checksum_holds), whether the
    /// chunks are framed well [`chunks`](Self::chunks).
    ///
    /// # Errors
    /// When there are fewer than 12 bytes.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut r = Reader::new(bytes);
        let [s0, s1, d0, d1, t0, t1, t2, t3, checksum @ ..] = r.take_array::<{ CommonHeader::LEN }>()?;
        Ok(Self {
            header: CommonHeader {
                source_port: u16::from_be_bytes([s0, s1]),
                destination_port: u16::from_be_bytes([d0, d1]),
                verification_tag: u32::from_be_bytes([t0, t1, t2, t3]),
            },
            checksum,
            chunks: r,
            bytes,
        })
    }

    /// Ports and tag.
    pub const fn header(&self) -> &CommonHeader {
        &self.header
    }

    /// The whole packet.
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether the checksum is the right CRC32c, or zero if [`Checksum::Zero`] is accepted: that is, if the parameter
    /// Zero Checksum Acceptable was sent and what it names has protected the packet (RFC 9653 §5.3).
    #[must_use]
    pub fn checksum_holds(&self, accepted: Checksum) -> bool {
        (accepted == Checksum::Zero && self.checksum == [0; 4]) || self.checksum == checksum::of_packet(self.bytes)
    }

    /// The type of the first chunk, whether that is framed well or not.
    #[cfg(feature = "std")]
    pub(crate) fn first_type(&self) -> Option<ChunkType> {
        self.chunks.peek().first().copied().map(ChunkType)
    }

    /// The chunks in order, as they stand in the packet.
    pub const fn chunks(&self) -> Chunks<'a> {
        Chunks { reader: self.chunks }
    }
}

impl fmt::Debug for Packet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Packet({self})")
    }
}

/// One line: `5000>5000 tag=5fb37474: SACK ..., DATA ...`.
impl fmt::Display for Packet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CommonHeader {
            source_port,
            destination_port,
            verification_tag,
        } = self.header;
        write!(f, "{source_port}>{destination_port} tag={verification_tag:08x}")?;
        for (index, raw) in self.chunks().enumerate() {
            f.write_str(if index == 0 { ": " } else { ", " })?;
            match raw.and_then(Chunk::of) {
                Ok(chunk) => chunk.fmt(f)?,
                Err(error) => write!(f, "malformed ({error})")?,
            }
        }
        Ok(())
    }
}

/// The chunks of a [`Packet`]. One that does not fit into the packet, or that is shorter than its own header, is an error
/// and the last item: nobody knows where the next one would begin.
#[derive(Debug, Clone)]
pub struct Chunks<'a> {
    reader: Reader<'a>,
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Result<RawChunk<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() {
            return None;
        }
        let raw = RawChunk::read(&mut self.reader);
        if raw.is_err() {
            self.reader.all();
        }
        Some(raw)
    }
}

/// One chunk as it stands in the packet (RFC 9260 §3.2).
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// |  Chunk Type   |  Chunk Flags  |         Chunk Length          |
/// ```
#[derive(Clone, Copy)]
pub struct RawChunk<'a> {
    chunk_type: ChunkType,
    flags: u8,
    value: Reader<'a>,
    bytes: &'a [u8],
}

impl<'a> RawChunk<'a> {
    /// Length of type, flags and length, in bytes.
    pub const HEADER_LEN: usize = 4;

    /// Reads a chunk that fills `bytes`, with padding behind it or without.
    ///
    /// # Errors
    /// When it is cut short, or bytes are left over.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut r = Reader::new(bytes);
        let chunk = Self::read(&mut r)?;
        r.finish()?;
        Ok(chunk)
    }

    /// Reads the next chunk and the padding behind it, which may be missing at the end of the packet.
    fn read(r: &mut Reader<'a>) -> Result<Self, Error> {
        let start = *r;
        let [chunk_type, flags, l0, l1] = r.take_array()?;
        let chunk_type = ChunkType(chunk_type);
        let len = usize::from(u16::from_be_bytes([l0, l1]));
        let value_len = len.checked_sub(Self::HEADER_LEN);
        let value = r.sub(value_len.ok_or_else(|| start.broken("a chunk's length counts its header"))?)?;
        r.skip(padding(len).min(r.remaining()))?;
        let bytes = start.peek().get(..len).unwrap_or_default();
        Ok(Self {
            chunk_type,
            flags,
            value,
            bytes,
        })
    }

    /// The type. [`ChunkType::when_unrecognized`] tells what is done with one that nobody knows.
    pub const fn chunk_type(&self) -> ChunkType {
        self.chunk_type
    }

    /// The flags, whose meaning depends on the type.
    pub const fn flags(&self) -> u8 {
        self.flags
    }

    /// What follows the header, without padding.
    pub const fn value(&self) -> &'a [u8] {
        self.value.peek()
    }

    /// All of it, with its header and without padding, as reports quote it.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// A reader of the value that counts offsets from the start of the packet.
    pub(crate) const fn reader(&self) -> Reader<'a> {
        self.value
    }
}

/// Equal when the bytes are, wherever they stand.
impl PartialEq for RawChunk<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for RawChunk<'_> {}

impl fmt::Debug for RawChunk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for RawChunk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} flags={:#04x} {} bytes",
            self.chunk_type,
            self.flags,
            self.value.remaining()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;
    use std::vec::Vec;

    const HEADER: [u8; 12] = [0x13, 0x88, 0x13, 0x89, 0x5f, 0xb3, 0x74, 0x74, 1, 2, 3, 4];

    fn packet(chunks: &[u8]) -> Vec<u8> {
        [&HEADER, chunks].concat()
    }

    fn types(bytes: &[u8]) -> Vec<Result<u8, Error>> {
        let chunks = Packet::parse(bytes).unwrap().chunks();
        chunks.map(|raw| raw.map(|raw| raw.chunk_type().0)).collect()
    }

    #[test]
    fn the_common_header() {
        let bytes = packet(&[]);
        let packet = Packet::parse(&bytes).unwrap();
        let header = CommonHeader {
            source_port: 5000,
            destination_port: 5001,
            verification_tag: 0x5fb3_7474,
        };
        assert_eq!(packet.header(), &header);
        assert_eq!(packet.as_bytes(), bytes);
        assert_eq!(packet.chunks().count(), 0);
        assert_eq!(packet.to_string(), "5000>5001 tag=5fb37474");
        assert_eq!(
            Packet::parse(&bytes[..11]).unwrap_err(),
            Error::Short { offset: 0, needed: 12 }
        );
        assert_eq!(Packet::parse(&[]).unwrap_err().offset(), 0);
    }

    #[test]
    fn a_zero_checksum_is_taken_only_where_it_is_accepted() {
        // RFC 9653: zero or right.
        let mut bytes = packet(&[11, 0, 0, 4]);
        let holds = |bytes: &[u8]| {
            let packet = Packet::parse(bytes).unwrap();
            [Checksum::Crc32c, Checksum::Zero].map(|accepted| packet.checksum_holds(accepted))
        };
        assert_eq!(holds(&bytes), [false, false]);
        bytes[8..12].fill(0);
        assert_eq!(holds(&bytes), [false, true]);
        let crc = checksum::of_packet(&bytes);
        bytes[8..12].copy_from_slice(&crc);
        assert_eq!(holds(&bytes), [true, true]);
        bytes[15] ^= 1;
        assert_eq!(holds(&bytes), [false, false]);
    }

    #[test]
    fn chunks_are_found_behind_padding() {
        // An unknown chunk of five bytes and three of padding, COOKIE ACK, one of six bytes whose padding is missing.
        let bytes = packet(&[0xfe, 7, 0, 5, 9, 0xff, 0xff, 0xff, 11, 0, 0, 4, 0x42, 0, 0, 6, 1, 2]);
        let packet = Packet::parse(&bytes).unwrap();
        let chunks: Vec<_> = packet.chunks().map(Result::unwrap).collect();
        let [first, second, third] = chunks[..] else {
            panic!("{chunks:?}")
        };
        assert_eq!(
            (first.chunk_type(), first.flags(), first.value()),
            (ChunkType(0xfe), 7, &[9][..])
        );
        assert_eq!(first.bytes(), &[0xfe, 7, 0, 5, 9]);
        assert_eq!((second.chunk_type(), second.value()), (ChunkType::COOKIE_ACK, &[][..]));
        assert_eq!(third.value(), &[1, 2]);
        assert_eq!(third.reader().offset(), 28);
        assert_eq!(
            packet.to_string(),
            "5000>5001 tag=5fb37474: 0xfe flags=0x07 1 bytes, COOKIE ACK, 0x42 flags=0x00 2 bytes"
        );
    }

    #[test]
    fn what_is_no_whole_chunk_ends_the_packet() {
        let rule = "a chunk's length counts its header";
        // A length below that of the header.
        for length in 0..4 {
            let bytes = packet(&[11, 0, 0, 4, 11, 0, 0, length, 11, 0, 0, 4]);
            assert_eq!(types(&bytes), [Ok(11), Err(Error::Rule { offset: 16, rule })]);
        }
        // One byte beyond the packet.
        let bytes = packet(&[3, 0, 0, 9, 0, 0, 0, 0]);
        assert_eq!(types(&bytes), [Err(Error::Short { offset: 16, needed: 5 })]);
        // Less than a header left over.
        let bytes = packet(&[11, 0, 0, 4, 0, 0, 0]);
        assert_eq!(types(&bytes), [Ok(11), Err(Error::Short { offset: 16, needed: 4 })]);
    }

    #[test]
    fn a_chunk_alone() {
        assert_eq!(RawChunk::parse(&[1, 2, 0, 5, 3]).unwrap().value(), &[3]);
        assert_eq!(RawChunk::parse(&[1, 2, 0, 5, 3, 0, 0, 0]).unwrap().value(), &[3]);
        assert_eq!(
            RawChunk::parse(&[1, 2, 0, 5, 3, 0, 0, 0, 0]).unwrap_err(),
            Error::Trailing { offset: 8 }
        );
    }
}
