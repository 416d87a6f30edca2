use std::net::IpAddr;

/// The part of the net that an address belongs to: its /24 or /56, which is what one customer or one forger can use.
pub(super) fn prefix(ip: IpAddr) -> u64 {
    match ip {
        IpAddr::V4(ip) => u64::from(ip.to_bits() >> 8),
        // 56 bits, and a mark that tells them from the above.
        IpAddr::V6(ip) => u64::try_from(ip.to_bits() >> 72).unwrap_or_default() | 1 << 63,
    }
}
