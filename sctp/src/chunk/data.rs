//! User data: DATA (RFC 9260 §3.3.1) and I-DATA (RFC 8260 §2.1).

use core::fmt;
use wire::{Error, Full, Reader, Writer};

use crate::registry::{ChunkType, Ppid};
use crate::writer::{padded_len, padding};

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
        Ok(Self {
            flags: DataFlags::of(flags),
            tsn: r.u32()?,
            stream: r.u16()?,
            ssn: r.u16()?,
            ppid: Ppid(r.u32()?),
        })
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        w.u32(self.tsn)?;
        w.u16(self.stream)?;
        w.u16(self.ssn)?;
        w.u32(self.ppid.0)
    }

    /// Appends a DATA chunk and lends the room for its payload of `len` bytes, which the caller fills.
    ///
    /// # Errors
    /// [`Full`] when it does not fit, or is longer than 65535 bytes; then nothing was written.
    pub fn write<'w>(&self, w: &'w mut Writer<'_>, len: usize) -> Result<&'w mut [u8], Full> {
        begin(w, ChunkType::DATA, self.flags, Self::LEN.saturating_add(len))?;
        self.put(w)?;
        payload(w, len)
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

/// Header and length of a chunk for which there is room.
fn begin(w: &mut Writer<'_>, chunk_type: ChunkType, flags: DataFlags, len: usize) -> Result<(), Full> {
    let length = u16::try_from(len).map_err(|_| Full)?;
    if padded_len(len) > w.remaining() {
        return Err(Full);
    }
    w.u8(chunk_type.0)?;
    w.u8(flags.bits())?;
    w.u16(length)
}

/// Room for the payload, with zeros as padding behind it.
fn payload<'w>(w: &'w mut Writer<'_>, len: usize) -> Result<&'w mut [u8], Full> {
    // What stands before has a multiple of four bytes.
    let space = w.space(len.saturating_add(padding(len)))?;
    let (payload, padding) = space.split_at_mut_checked(len).ok_or(Full)?;
    padding.fill(0);
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
    pub(super) fn read(flags: u8, r: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(Self {
            header: DataHeader::read(flags, r)?,
            payload: r.all(),
        })
    }

    pub(super) fn value_len(&self) -> usize {
        self.payload.len().saturating_add(12)
    }

    pub(super) fn put(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        self.header.put(w)?;
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
        let tsn = r.u32()?;
        let stream = r.u16()?;
        r.skip(2)?;
        Ok(Self {
            flags: DataFlags::of(flags),
            tsn,
            stream,
            mid: r.u32()?,
            ppid_or_fsn: r.u32()?,
        })
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        w.u32(self.tsn)?;
        w.u16(self.stream)?;
        w.u16(0)?;
        w.u32(self.mid)?;
        w.u32(self.ppid_or_fsn)
    }

    /// Appends an I-DATA chunk and lends the room for its payload of `len` bytes, which the caller fills.
    ///
    /// # Errors
    /// [`Full`] when it does not fit, or is longer than 65535 bytes; then nothing was written.
    pub fn write<'w>(&self, w: &'w mut Writer<'_>, len: usize) -> Result<&'w mut [u8], Full> {
        begin(w, ChunkType::I_DATA, self.flags, Self::LEN.saturating_add(len))?;
        self.put(w)?;
        payload(w, len)
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
    pub(super) fn read(flags: u8, r: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(Self {
            header: IDataHeader::read(flags, r)?,
            payload: r.all(),
        })
    }

    pub(super) fn value_len(&self) -> usize {
        self.payload.len().saturating_add(16)
    }

    pub(super) fn put(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        self.header.put(w)?;
        w.put(self.payload)
    }
}

impl fmt::Display for IData<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} bytes", self.header, self.payload.len())
    }
}
