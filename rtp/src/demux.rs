/// Whether a datagram (or what SRTP protects in it) is RTP: first byte 128..=191 (RFC 7983 §7) and not [`is_rtcp`].
pub fn is_rtp(datagram: &[u8]) -> bool {
    matches!(datagram, [128..=191, second, ..] if !RTCP_TYPES.contains(second))
}

/// Whether a datagram is RTCP: first byte 128..=191 and a second byte, the packet type, of 192..=223, which RTP leaves
/// free by not using the payload types 64..=95 (RFC 5761 §4).
pub fn is_rtcp(datagram: &[u8]) -> bool {
    matches!(datagram, [128..=191, second, ..] if RTCP_TYPES.contains(second))
}

const RTCP_TYPES: core::ops::RangeInclusive<u8> = 192..=223;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_first_bytes_has_at_most_one_meaning() {
        for first in 0..=255 {
            for second in 0..=255 {
                let datagram = [first, second, 0, 0];
                let media = (128..=191).contains(&first);
                let control = (192..=223).contains(&second);
                assert_eq!(is_rtp(&datagram), media && !control);
                assert_eq!(is_rtcp(&datagram), media && control);
            }
        }
        assert!(!is_rtp(&[0x80]) && !is_rtcp(&[0x80]) && !is_rtp(&[]));
    }
}
