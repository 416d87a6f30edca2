//! User data: DATA (RFC 9260 §3.3.1) and I-DATA (RFC 8260 §2.1).

use core::fmt;
use wire::{Error, Full, Reader, Writer};

use crate::packet::RawChunk;
use crate::registry::{ChunkType, Ppid};
use crate::writer::padded_len;

/// The flags of DATA and I-DATA. Reserved ones are not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DataFlags {
    /// I: the receiver is asked not to delay its SACK (RFC 7053).
    pub immediate: bool,
    /// U: the message is unordered.
    pub unordered: bool,
    /// B: the first fragment of a message.
    pub beginning: bool,
    /// E: the last fragment of a message.
    pub ending: bool,
}

impl DataFlags {
    /// An ordered message in one piece.
    pub const WHOLE: Self = Self {
        immediate: false,
        unordered: false,
        beginning: true,
        ending: true,
    };

    const fn of(bits: u8) -> Self {
        Self {
            immediate: bits & 8 != 0,
            unordered: bits & 4 != 0,
            beginning: bits & 2 != 0,
            ending: bits & 1 != 0,
        }
    }

    pub(super) fn bits(self) -> u8 {
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        bit(self.immediate, 8) | bit(self.unordered, 4) | bit(self.beginning, 2) | bit(self.ending, 1)
    }
}

/// The letters of those that are set, as `UBE`.
impl fmt::Display for DataFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            (self.immediate, "I"),
            (self.unordered, "U"),
            (self.beginning, "B"),
            (self.ending, "E"),
        ];
        all.iter()
            .filter(|(set, _)| *set)
            .try_for_each(|(_, letter)| f.write_str(letter))
    }
}

/// What stands before the user data in DATA.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// |   Type = 0    |  Res  |I|U|B|E|            Length             |
/// |                              TSN                              |
/// |      Stream Identifier S      |   Stream Sequence Number n    |
/// |                 Payload Protocol Identifier                   |
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataHeader {
    /// Order and fragments.
    pub flags: DataFlags,
    /// The transmission sequence number.
    pub tsn: u32,
    /// The stream identifier.
    pub stream: u16,
    /// The stream sequence number, without meaning where the message is unordered.
    pub ssn: u16,
    /// What the message is to those above.
    pub ppid: Ppid,
}

impl DataHeader {
    /// Length in bytes, with the chunk's header.
    pub const LEN: usize = 16;

    fn read(flags: u8, r: &mut Reader<'_>) -> Result<Self, Error> {
        let [t0, t1, t2, t3, s0, s1, n0, n1, p0, p1, p2, p3] = r.take_array()?;
        Ok(Self {
            flags: DataFlags::of(flags),
            tsn: u32::from_be_bytes([t0, t1, t2, t3]),
            stream: u16::from_be_bytes([s0, s1]),
            ssn: u16::from_be_bytes([n0, n1]),
            ppid: Ppid(u32::from_be_bytes([p0, p1, p2, p3])),
        })
    }

    fn bytes(&self) -> [u8; 12] {
        let [t0, t1, t2, t3] = self.tsn.to_be_bytes();
        let [s0, s1] = self.stream.to_be_bytes();
        let [n0, n1] = self.ssn.to_be_bytes();
        let [p0, p1, p2, p3] = self.ppid.0.to_be_bytes();
        [t0, t1, t2, t3, s0, s1, n0, n1, p0, p1, p2, p3]
    }

    /// Appends a DATA chunk and lends the room for its payload of `len` bytes, which the caller fills.
    ///
    /// # Errors
    /// [`Full`] when it does not fit, or is longer than 65535 bytes; then nothing was written.
    pub fn write<'w>(&self, w: &'w mut Writer<'_>, len: usize) -> Result<&'w mut [u8], Full> {
        write(w, ChunkType::DATA, self.flags, self.bytes(), len)
    }
}

impl fmt::Display for DataHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            flags,
            tsn,
            stream,
            ssn,
            ppid,
        } = self;
        write!(f, "{flags} tsn={tsn} stream={stream} ssn={ssn} ppid={ppid}")
    }
}

/// Writes a chunk but for its payload of `len` bytes, and lends the room for that.
fn write<'w, const N: usize>(
    w: &'w mut Writer<'_>,
    chunk_type: ChunkType,
    flags: DataFlags,
    fields: [u8; N],
    len: usize,
) -> Result<&'w mut [u8], Full> {
    let header = RawChunk::HEADER_LEN.saturating_add(N);
    let whole = len.saturating_add(header);
    let [l0, l1] = u16::try_from(whole).map_err(|_| Full)?.to_be_bytes();
    let (first, rest) = w
        .space(padded_len(whole))?
        .split_first_chunk_mut::<{ RawChunk::HEADER_LEN }>()
        .ok_or(Full)?;
    let (second, rest) = rest.split_first_chunk_mut::<N>().ok_or(Full)?;
    *first = [chunk_type.0, flags.bits(), l0, l1];
    *second = fields;
    let (payload, padding) = rest.split_at_mut_checked(len).ok_or(Full)?;
    // Seldom there is any.
    if !padding.is_empty() {
        padding.fill(0);
    }
    Ok(payload)
}

/// A DATA chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Data<'a> {
    /// What stands before the user data.
    pub header: DataHeader,
    /// The user data, lent from the packet. It may be empty here, which the receiver should answer with ABORT
    /// (RFC 9260 §6.2).
    pub payload: &'a [u8],
}

impl<'a> Data<'a> {
    /// Reads the value; the type is right.
    pub(crate) fn of(raw: RawChunk<'a>) -> Result<Self, Error> {
        let mut r = raw.reader();
        Ok(Self {
            header: DataHeader::read(raw.flags(), &mut r)?,
            payload: r.peek(),
        })
    }

    pub(super) fn value_len(&self) -> usize {
        self.payload.len().saturating_add(12)
    }

    pub(super) fn put(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        w.put(&self.header.bytes())?;
        w.put(self.payload)
    }
}

impl fmt::Display for Data<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} bytes", self.header, self.payload.len())
    }
}

/// What stands before the user data in I-DATA.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// |   Type = 64   |  Res  |I|U|B|E|       Length = Variable       |
/// |                              TSN                              |
/// |        Stream Identifier      |           Reserved            |
/// |                      Message Identifier                       |
/// |    Payload Protocol Identifier / Fragment Sequence Number     |
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IDataHeader {
    /// Order and fragments.
    pub flags: DataFlags,
    /// The transmission sequence number.
    pub tsn: u32,
    /// The stream identifier.
    pub stream: u16,
    /// The message identifier; ordered and unordered messages of a stream count apart.
    pub mid: u32,
    /// In the first fragment the payload protocol identifier, in others the fragment sequence number.
    pub ppid_or_fsn: u32,
}

impl IDataHeader {
    /// Length in bytes, with the chunk's header.
    pub const LEN: usize = 20;

    /// What the message is to those above; only the first fragment tells.
    pub const fn ppid(&self) -> Option<Ppid> {
        if self.flags.beginning {
            Some(Ppid(self.ppid_or_fsn))
        } else {
            None
        }
    }

    /// The fragment sequence number, that of the first fragment being 0.
    pub const fn fsn(&self) -> u32 {
        if self.flags.beginning { 0 } else { self.ppid_or_fsn }
    }

    fn read(flags: u8, r: &mut Reader<'_>) -> Result<Self, Error> {
        let [t0, t1, t2, t3, s0, s1, _, _, m0, m1, m2, m3, p0, p1, p2, p3] = r.take_array()?;
        Ok(Self {
            flags: DataFlags::of(flags),
            tsn: u32::from_be_bytes([t0, t1, t2, t3]),
            stream: u16::from_be_bytes([s0, s1]),
            mid: u32::from_be_bytes([m0, m1, m2, m3]),
            ppid_or_fsn: u32::from_be_bytes([p0, p1, p2, p3]),
        })
    }

    fn bytes(&self) -> [u8; 16] {
        let [t0, t1, t2, t3] = self.tsn.to_be_bytes();
        let [s0, s1] = self.stream.to_be_bytes();
        let [m0, m1, m2, m3] = self.mid.to_be_bytes();
        let [p0, p1, p2, p3] = self.ppid_or_fsn.to_be_bytes();
        [t0, t1, t2, t3, s0, s1, 0, 0, m0, m1, m2, m3, p0, p1, p2, p3]
    }

    /// Appends an I-DATA chunk and lends the room for its payload of `len` bytes, which the caller fills.
    ///
    /// # Errors
    /// [`Full`] when it does not fit, or is longer than 65535 bytes; then nothing was written.
    pub fn write<'w>(&self, w: &'w mut Writer<'_>, len: usize) -> Result<&'w mut [u8], Full> {
        write(w, ChunkType::I_DATA, self.flags, self.bytes(), len)
    }
}

impl fmt::Display for IDataHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            flags,
            tsn,
            stream,
            mid,
            ..
        } = self;
        write!(f, "{flags} tsn={tsn} stream={stream} mid={mid}")?;
        match self.ppid() {
            Some(ppid) => write!(f, " ppid={ppid}"),
            None => write!(f, " fsn={}", self.fsn()),
        }
    }
}

/// An I-DATA chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IData<'a> {
    /// What stands before the user data.
    pub header: IDataHeader,
    /// The user data, lent from the packet. It may be empty here, which the receiver should answer with ABORT
    /// (RFC 9260 §6.2).
    pub payload: &'a [u8],
}

impl<'a> IData<'a> {
    /// Reads the value; the type is right.
    pub(crate) fn of(raw: RawChunk<'a>) -> Result<Self, Error> {
        let mut r = raw.reader();
        Ok(Self {
            header: IDataHeader::read(raw.flags(), &mut r)?,
            payload: r.peek(),
        })
    }

    pub(super) fn value_len(&self) -> usize {
        self.payload.len().saturating_add(16)
    }

    pub(super) fn put(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        w.put(&self.header.bytes())?;
        w.put(self.payload)
    }
}

impl fmt::Display for IData<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} bytes", self.header, self.payload.len())
    }
}
