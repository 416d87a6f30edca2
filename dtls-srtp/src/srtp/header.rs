//! As much of an RTP and an RTCP header as SRTP has to know.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use wire::{Error, Reader};

/// The largest packet that is sealed or opened: what a UDP datagram can hold. Far below the 2^23 bits at which the
/// key stream of AES-CM repeats (RFC 3711 §4.1.1).
pub(super) const MAX_LEN: usize = 65_535;

/// Where the header of an RTP packet ends and what it says to SRTP (RFC 3550 §5.1 and §5.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RtpHeader {
    /// Fixed part, CSRCs and extension, in bytes: what stays in clear.
    pub(super) len: usize,
    pub(super) sequence: u16,
    pub(super) ssrc: u32,
}

impl RtpHeader {
    pub(super) fn parse(packet: &[u8]) -> Result<Self, Error> {
        let mut r = Reader::new(packet);
        r.ensure(packet.len() <= MAX_LEN, "a packet is at most 65535 bytes long")?;
        let first = r.peek_u8().unwrap_or_default();
        r.ensure(packet.is_empty() || first >> 6 == 2, "RTP version is 2")?;
        r.skip(2)?;
        let sequence = r.u16()?;
        r.skip(4)?;
        let ssrc = r.u32()?;
        r.skip(usize::from(first & 0x0f).saturating_mul(4))?;
        if first & 0x10 != 0 {
            r.skip(2)?;
            let words = r.u16()?;
            r.skip(usize::from(words).saturating_mul(4))?;
        }
        Ok(Self {
            len: r.offset(),
            sequence,
            ssrc,
        })
    }
}

/// Bytes of a compound RTCP packet that stay in clear: its first word and the sender's SSRC (RFC 3711 §3.4).
pub(super) const RTCP_HEADER: usize = 8;

/// The sender's SSRC of a compound RTCP packet (RFC 3550 §6.4).
pub(super) fn rtcp_ssrc(packet: &[u8]) -> Result<u32, Error> {
    let mut r = Reader::new(packet);
    r.ensure(packet.len() <= MAX_LEN, "a packet is at most 65535 bytes long")?;
    let first = r.peek_u8().unwrap_or_default();
    r.ensure(packet.is_empty() || first >> 6 == 2, "RTCP version is 2")?;
    r.skip(4)?;
    r.u32()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn a_header_ends_after_csrcs_and_extension() {
        let mut packet = vec![0x92, 96, 0x12, 0x34, 0, 0, 0, 1, 0xaa, 0xbb, 0xcc, 0xdd];
        packet.extend([0; 8]);
        packet.extend([0xbe, 0xde, 0, 2]);
        packet.extend([0; 8]);
        packet.extend(b"payload");
        let header = RtpHeader::parse(&packet).unwrap();
        assert_eq!((header.len, header.sequence, header.ssrc), (32, 0x1234, 0xaabb_ccdd));
        for short in 0..32 {
            assert!(
                matches!(RtpHeader::parse(&packet[..short]), Err(Error::Short { .. })),
                "{short}"
            );
        }
        packet[0] = 0x52;
        assert!(matches!(RtpHeader::parse(&packet), Err(Error::Rule { .. })));
        assert!(matches!(RtpHeader::parse(&vec![0x80; 65_536]), Err(Error::Rule { .. })));
    }

    #[test]
    fn the_sender_of_a_compound_packet() {
        assert_eq!(rtcp_ssrc(&[0x80, 201, 0, 1, 1, 2, 3, 4]), Ok(0x0102_0304));
        assert!(matches!(
            rtcp_ssrc(&[0x80, 201, 0, 1, 1, 2, 3]),
            Err(Error::Short { .. })
        ));
        assert!(matches!(
            rtcp_ssrc(&[0x00, 201, 0, 1, 1, 2, 3, 4]),
            Err(Error::Rule { .. })
        ));
    }
}
