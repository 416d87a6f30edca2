//! INIT (RFC 9260 §3.3.2) and INIT ACK (RFC 9260 §3.3.3), which have one layout.

use core::fmt;
use wire::{Error, Full, Reader, Writer};

use super::Chunk;
use crate::packet::RawChunk;
use crate::parameter::Parameters;

/// What INIT and INIT ACK say. Values that no peer may choose, such as a tag of 0, are read all the same: what has to be
/// done about each is different (RFC 9260 §3.3.2, §3.3.3).
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// |   Type = 1    |  Chunk Flags  |      Chunk Length             |
/// |                         Initiate Tag                          |
/// |           Advertised Receiver Window Credit (a_rwnd)          |
/// |  Number of Outbound Streams   |   Number of Inbound Streams   |
/// |                          Initial TSN                          |
/// \              Optional/Variable-Length Parameters              \
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Init<'a> {
    /// The verification tag that the sender wants to find in packets; never 0.
    pub initiate_tag: u32,
    /// How many bytes of user data the sender has room for, 1500 at least.
    pub a_rwnd: u32,
    /// How many streams the sender wants to send on, 1 at least.
    pub outbound_streams: u16,
    /// How many streams the sender takes at most, 1 at least.
    pub inbound_streams: u16,
    /// The TSN of the first DATA chunk.
    pub initial_tsn: u32,
    /// All else. That types and lengths add up was checked.
    pub parameters: Parameters<'a>,
}

impl<'a> Init<'a> {
    /// Reads an INIT chunk that stands alone, as `a=sctp-init` carries it in base64 (draft-hancke-tsvwg-snap-00). Padding
    /// behind it may be left out, as Chromium does.
    ///
    /// # Errors
    /// When it is another chunk, malformed, or bytes are left over.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let raw = RawChunk::parse(bytes)?;
        match Chunk::of(raw)? {
            Chunk::Init(init) => Ok(init),
            _ => Err(Reader::new(bytes).broken("the chunk is an INIT")),
        }
    }

    /// Appends an INIT chunk that stands alone, without padding behind it, for `a=sctp-init`.
    ///
    /// # Errors
    /// [`Full`] when it does not fit; then the writer stands where it stood.
    pub fn write(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        let start = w.position();
        let result = Chunk::Init(*self).write_unpadded(w);
        if result.is_err() {
            w.truncate(start);
        }
        result
    }

    pub(super) fn read(r: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(Self {
            initiate_tag: r.u32()?,
            a_rwnd: r.u32()?,
            outbound_streams: r.u16()?,
            inbound_streams: r.u16()?,
            initial_tsn: r.u32()?,
            parameters: Parameters::read_framed(r)?,
        })
    }

    pub(super) fn value_len(&self) -> usize {
        self.parameters.wire_len().saturating_add(16)
    }

    pub(super) fn put(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        w.u32(self.initiate_tag)?;
        w.u32(self.a_rwnd)?;
        w.u16(self.outbound_streams)?;
        w.u16(self.inbound_streams)?;
        w.u32(self.initial_tsn)?;
        self.parameters.put(w)
    }
}

impl fmt::Display for Init<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "tag={:08x} a_rwnd={} outbound={} inbound={} tsn={}{}",
            self.initiate_tag,
            self.a_rwnd,
            self.outbound_streams,
            self.inbound_streams,
            self.initial_tsn,
            self.parameters
        )
    }
}
