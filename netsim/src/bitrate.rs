use std::fmt;
use std::time::Duration;

/// A rate in bits per second. Links count whole IP packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bitrate(u64);

impl Bitrate {
    /// So many bits per second.
    ///
    /// # Panics
    /// At 0: a link that carries nothing is one that is down.
    pub const fn from_bps(bits: u64) -> Self {
        assert!(
            bits > 0,
            "a rate of 0 would never send anything: take the link down instead"
        );
        Self(bits)
    }

    /// So many thousand bits per second.
    pub const fn from_kbps(kilobits: u64) -> Self {
        Self::from_bps(kilobits * 1000)
    }

    /// So many million bits per second.
    pub const fn from_mbps(megabits: u64) -> Self {
        Self::from_bps(megabits * 1_000_000)
    }

    /// Bits per second.
    pub const fn bps(self) -> u64 {
        self.0
    }

    /// How long `bytes` take.
    pub const fn time_for(self, bytes: usize) -> Duration {
        Duration::from_nanos(self.nanos_for(bytes))
    }

    /// How many bytes pass in `time`: with a round trip, the bandwidth-delay product.
    pub const fn bytes_in(self, time: Duration) -> usize {
        (self.0 as u128 * time.as_nanos() / 8_000_000_000) as usize
    }

    pub(crate) const fn nanos_for(self, bytes: usize) -> u64 {
        // Rounded up, so that a link is never faster than its rate. 2^64 ns of 18 MB packets do not overflow.
        (bytes as u64 * 8_000_000_000).div_ceil(self.0)
    }
}

impl fmt::Display for Bitrate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bits if bits.is_multiple_of(1_000_000) => write!(f, "{} Mbit/s", bits / 1_000_000),
            bits if bits.is_multiple_of(1000) => write!(f, "{} kbit/s", bits / 1000),
            bits => write!(f, "{bits} bit/s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_bytes() {
        let rate = Bitrate::from_mbps(100);
        assert_eq!(rate.time_for(1250), Duration::from_micros(100));
        assert_eq!(rate.bytes_in(Duration::from_millis(80)), 1_000_000);
        assert_eq!(Bitrate::from_bps(3).time_for(1), Duration::from_nanos(2_666_666_667));
        assert_eq!(rate.to_string(), "100 Mbit/s");
    }
}
