/// How a packet's checksum field is filled in, or what is accepted in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// The CRC32c over the packet (RFC 9260 §6.8).
    Crc32c,
    /// Zero, since something below already protects the packet (RFC 9653). A receiver who accepts this takes the right
    /// CRC32c, too.
    Zero,
}

/// Where the checksum stands in a packet, in bytes.
pub(crate) const FIELD: core::ops::Range<usize> = 8..12;

/// The checksum of a packet as its field has it, as if that held zeros. Of a packet without such a field it is that of
/// its bytes.
pub(crate) fn of_packet(packet: &[u8]) -> [u8; 4] {
    let Some((&[a, b, c, d, e, f, g, h, ..], after)) = packet.split_first_chunk::<{ FIELD.end }>() else {
        let (before, field) = packet.split_at_checked(FIELD.start).unwrap_or((packet, &[]));
        return append(append(0, before), [0; 4].get(..field.len()).unwrap_or_default()).to_le_bytes();
    };
    let crc = append(0, &[a, b, c, d, e, f, g, h, 0, 0, 0, 0]);
    // The least significant byte is sent first (RFC 9260 appendix A).
    append(crc, after).to_le_bytes()
}

/// Goes on with a CRC32c (Castagnoli), which begins with 0.
#[cfg(feature = "std")]
fn append(crc: u32, bytes: &[u8]) -> u32 {
    simd::crc32c(crc, bytes)
}

#[cfg(not(feature = "std"))]
fn append(crc: u32, bytes: &[u8]) -> u32 {
    append_by_table(crc, bytes)
}

/// The same byte by byte, where no instructions can be asked for.
#[cfg(any(test, not(feature = "std")))]
fn append_by_table(crc: u32, bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!crc, |crc, &byte| {
        let [low, ..] = crc.to_le_bytes();
        let entry = TABLE.get(usize::from(low ^ byte)).copied().unwrap_or_default();
        (crc >> 8) ^ entry
    })
}

/// The remainder of each byte, bits reversed (RFC 9260 appendix A).
#[cfg(any(test, not(feature = "std")))]
static TABLE: [u32; 256] = table();

#[cfg(any(test, not(feature = "std")))]
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "computed when compiling, where a fault is an error"
)]
const fn table() -> [u32; 256] {
    /// 0x1edc6f41 with its bits reversed.
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < table.len() {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 0 {
                crc >> 1
            } else {
                (crc >> 1) ^ POLYNOMIAL
            };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    #[test]
    fn the_well_known_vectors() {
        // The check value of CRC-32/ISCSI, and RFC 3720 §B.4, which gives the bytes as they are sent.
        assert_eq!(append(0, b"123456789"), 0xe306_9283);
        assert_eq!(append(0, &[0; 32]).to_le_bytes(), [0xaa, 0x36, 0x91, 0x8a]);
        assert_eq!(append(0, &[0xff; 32]).to_le_bytes(), [0x43, 0xab, 0xa8, 0x62]);
        let increasing: Vec<u8> = (0..32).collect();
        assert_eq!(append(0, &increasing).to_le_bytes(), [0x4e, 0x79, 0xdd, 0x46]);
        // RFC 9260 appendix A begins its table so.
        assert_eq!(TABLE[..4], [0, 0xf26b_8303, 0xe13b_70f7, 0x1350_f3f4]);
    }

    #[test]
    fn the_field_itself_counts_as_zeros() {
        let mut packet = [7; 20];
        packet[FIELD].fill(0);
        let crc = append(0, &packet).to_le_bytes();
        packet[FIELD].copy_from_slice(&[1, 2, 3, 4]);
        assert_eq!(of_packet(&packet), crc);
        assert_eq!(of_packet(&packet[..5]), append(0, &packet[..5]).to_le_bytes());
        assert_eq!(
            of_packet(&packet[..10]),
            append(0, &[7, 7, 7, 7, 7, 7, 7, 7, 0, 0]).to_le_bytes()
        );
    }

    proptest! {
        #[test]
        fn instructions_and_table_agree(bytes: Vec<u8>, start: u32) {
            prop_assert_eq!(append(start, &bytes), append_by_table(start, &bytes));
        }
    }
}
