use core::fmt;
use wire::{Full, Writer};

use crate::checksum::{self, Checksum};
use crate::chunk::{Chunk, DataHeader, IDataHeader};
use crate::packet::CommonHeader;

/// How many bytes of padding stand behind `len` bytes: 0 to 3.
pub(crate) const fn padding(len: usize) -> usize {
    len.wrapping_neg() & 3
}

/// `len` with the padding behind it: what a chunk of that length takes of a packet.
pub const fn padded_len(len: usize) -> usize {
    len.saturating_add(padding(len))
}

/// Bundles chunks into one packet (RFC 9260 §6.10), in a buffer of the caller's. What does not fit is refused and changes
/// nothing.
pub struct PacketWriter<'a> {
    w: Writer<'a>,
}

impl<'a> PacketWriter<'a> {
    /// Begins a packet of at most `max_len` bytes, or as many as `out` has; fewer if that is no multiple of 4.
    ///
    /// # Errors
    /// [`Full`] when that is less than the common header has.
    pub fn new(out: &'a mut [u8], max_len: usize, header: &CommonHeader) -> Result<Self, Full> {
        let len = out.len().min(max_len) & !3;
        let mut w = Writer::new(out.get_mut(..len).unwrap_or_default());
        w.put(&header.bytes())?;
        Ok(Self { w })
    }

    /// Bytes written so far, the common header included.
    pub const fn position(&self) -> usize {
        self.w.position()
    }

    /// Whether there is no chunk yet.
    pub const fn is_empty(&self) -> bool {
        self.w.position() <= CommonHeader::LEN
    }

    /// Room for further chunks, in bytes, with their headers and padding: a multiple of 4. The largest payload is this
    /// less [`DataHeader::LEN`] or [`IDataHeader::LEN`].
    pub const fn room(&self) -> usize {
        self.w.remaining()
    }

    /// Whether a chunk of `chunk_len` bytes, such as [`Chunk::wire_len`] tells, fits.
    pub const fn fits(&self, chunk_len: usize) -> bool {
        padded_len(chunk_len) <= self.room()
    }

    /// Appends a chunk.
    ///
    /// # Errors
    /// [`Full`] when it does not fit, or is longer than 65535 bytes.
    pub fn push(&mut self, chunk: &Chunk<'_>) -> Result<(), Full> {
        if !self.fits(chunk.wire_len()) {
            return Err(Full);
        }
        chunk.write(&mut self.w)
    }

    /// Appends a DATA chunk and lends the room for its payload of `len` bytes, which the caller fills.
    ///
    /// # Errors
    /// [`Full`] when it does not fit, or is longer than 65535 bytes.
    pub fn data(&mut self, header: &DataHeader, len: usize) -> Result<&mut [u8], Full> {
        header.write(&mut self.w, len)
    }

    /// Appends an I-DATA chunk and lends the room for its payload of `len` bytes, which the caller fills.
    ///
    /// # Errors
    /// [`Full`] when it does not fit, or is longer than 65535 bytes.
    pub fn i_data(&mut self, header: &IDataHeader, len: usize) -> Result<&mut [u8], Full> {
        header.write(&mut self.w, len)
    }

    /// Fills in the checksum and gives the packet. Zero is for packets to a peer who accepts it, and never for those with
    /// INIT or COOKIE ECHO (RFC 9653 §5.2).
    pub fn finish(self, checksum: Checksum) -> &'a mut [u8] {
        let packet = self.w.into_written();
        if checksum == Checksum::Crc32c {
            let crc = checksum::of_packet(packet);
            if let Some(field) = packet.get_mut(checksum::FIELD) {
                field.copy_from_slice(&crc);
            }
        }
        packet
    }
}

impl fmt::Debug for PacketWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PacketWriter")
            .field("position", &self.position())
            .field("room", &self.room())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Packet;
    use crate::chunk::DataFlags;
    use crate::registry::Ppid;

    const HEADER: CommonHeader = CommonHeader {
        source_port: 1,
        destination_port: 2,
        verification_tag: 3,
    };

    #[test]
    fn padding_fills_to_four() {
        assert_eq!([0, 1, 2, 3, 4].map(padding), [0, 3, 2, 1, 0]);
        assert_eq!([0, 1, 4, 5].map(padded_len), [0, 4, 4, 8]);
        assert_eq!(padded_len(usize::MAX), usize::MAX);
    }

    #[test]
    fn a_packet_has_its_length_at_most() {
        let mut out = [0xee; 100];
        // 39 is no multiple of 4: what is left over would be no chunk.
        let mut packet = PacketWriter::new(&mut out, 39, &HEADER).unwrap();
        assert!(packet.is_empty());
        assert_eq!((packet.position(), packet.room()), (12, 24));
        assert!(packet.fits(24) && packet.fits(21) && !packet.fits(25) && !packet.fits(usize::MAX));
        packet.push(&Chunk::CookieAck).unwrap();
        assert!(!packet.is_empty());
        assert_eq!(packet.push(&Chunk::CookieEcho(&[7; 17])), Err(Full));
        packet.push(&Chunk::CookieEcho(&[7; 13])).unwrap();
        assert_eq!((packet.position(), packet.room()), (36, 0));
        assert_eq!(packet.push(&Chunk::CookieAck), Err(Full));
        let bytes = packet.finish(Checksum::Crc32c);
        assert_eq!(bytes[..8], [0, 1, 0, 2, 0, 0, 0, 3]);
        assert_eq!(
            bytes[12..],
            [&[11, 0, 0, 4, 10, 0, 0, 17][..], &[7; 13], &[0; 3]].concat()
        );
        assert!(Packet::parse(bytes).unwrap().checksum_holds(Checksum::Crc32c));
        assert_eq!(out[36], 0xee);
        assert_eq!(PacketWriter::new(&mut out, 11, &HEADER).unwrap_err(), Full);
        assert_eq!(PacketWriter::new(&mut out[..11], 100, &HEADER).unwrap_err(), Full);
    }

    #[test]
    fn the_checksum_can_be_left_zero() {
        let mut out = [0xee; 16];
        let mut packet = PacketWriter::new(&mut out, 16, &HEADER).unwrap();
        packet.push(&Chunk::CookieAck).unwrap();
        let bytes = packet.finish(Checksum::Zero);
        assert_eq!(bytes[8..12], [0; 4]);
        assert!(!Packet::parse(bytes).unwrap().checksum_holds(Checksum::Crc32c));
    }

    #[test]
    fn data_takes_the_room_there_is() {
        let header = DataHeader {
            flags: DataFlags::WHOLE,
            tsn: 1,
            stream: 0,
            ssn: 0,
            ppid: Ppid::BINARY,
        };
        let i_header = IDataHeader {
            flags: DataFlags::WHOLE,
            tsn: 2,
            stream: 0,
            mid: 0,
            ppid_or_fsn: 53,
        };
        let mut out = [0xee; 100];
        let mut packet = PacketWriter::new(&mut out, 72, &HEADER).unwrap();
        packet.data(&header, 5).unwrap().fill(1);
        assert_eq!(packet.room(), 36);
        assert_eq!(packet.data(&header, 37 - DataHeader::LEN).unwrap_err(), Full);
        let len = packet.room() - IDataHeader::LEN;
        assert_eq!(packet.i_data(&i_header, len + 1).unwrap_err(), Full);
        packet.i_data(&i_header, len).unwrap().fill(2);
        assert_eq!(packet.room(), 0);
        let bytes = packet.finish(Checksum::Crc32c);
        let packet = Packet::parse(bytes).unwrap();
        let found = packet.chunks().map(|raw| Chunk::of(raw.unwrap()).unwrap());
        let payloads = found.map(|chunk| match chunk {
            Chunk::Data(data) => data.payload.len(),
            Chunk::IData(data) => data.payload.len(),
            _ => panic!("{chunk}"),
        });
        assert!(payloads.eq([5, 16]));
    }
}
