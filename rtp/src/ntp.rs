//! NTP timestamps (RFC 3550 §4, RFC 5905 §6).
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use core::fmt;
use core::time::Duration;

/// From 1900-01-01, where NTP counts from, to 1970-01-01, where Unix does, in seconds.
const UNIX_EPOCH: u64 = 2_208_988_800;

/// A wallclock time: seconds since 1900 in the upper 32 bits, their fraction in the lower 32.
///
/// The seconds wrap in 2036; differences across the wrap stay right.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NtpTime(pub u64);

impl NtpTime {
    /// From the time since 1970-01-01.
    pub fn from_unix(since: Duration) -> Self {
        Self(UNIX_EPOCH << 32).plus(since)
    }

    /// The time since 1970-01-01, taken to lie between 1968 and 2104 (RFC 5905 §6: eras 0 and 1).
    pub fn to_unix(self) -> Duration {
        // The upper bit tells the era: without it, it is after the wrap of 2036.
        let era = if self.0 >> 63 == 0 { 1_u64 << 32 } else { 0 };
        let seconds = (self.0 >> 32).saturating_add(era).saturating_sub(UNIX_EPOCH);
        let fraction = Duration::from_nanos(nanos(self.0 & 0xffff_ffff));
        Duration::from_secs(seconds).saturating_add(fraction)
    }

    /// The middle 32 bits: 16 of seconds and 16 of fraction, as LSR, LRR and RFC 8888 have them.
    pub const fn middle(self) -> u32 {
        let [_, _, a, b, c, d, _, _] = self.0.to_be_bytes();
        u32::from_be_bytes([a, b, c, d])
    }

    /// This time and `later`.
    #[must_use]
    pub fn plus(self, later: Duration) -> Self {
        Self(self.0.wrapping_add(fixed_point(later)))
    }

    /// This time, `earlier` before.
    #[must_use]
    pub fn minus(self, earlier: Duration) -> Self {
        Self(self.0.wrapping_sub(fixed_point(earlier)))
    }

    /// From `earlier` to this time; zero when it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        let difference = self.0.wrapping_sub(earlier.0);
        if difference >> 63 != 0 {
            return Duration::ZERO;
        }
        Duration::from_secs(difference >> 32).saturating_add(Duration::from_nanos(nanos(difference & 0xffff_ffff)))
    }
}

/// Seconds in 32.32 bit fixed point, modulo 2^32 seconds; rounded up, so that the way back gives the same nanosecond.
fn fixed_point(duration: Duration) -> u64 {
    let fraction = (u64::from(duration.subsec_nanos()) << 32).div_ceil(1_000_000_000);
    (duration.as_secs() << 32).wrapping_add(fraction)
}

/// A fraction of 32 bits in nanoseconds, rounded down.
const fn nanos(fraction: u64) -> u64 {
    fraction.wrapping_mul(1_000_000_000) >> 32
}

/// A duration in the units of DLSR and DLRR, 1/65536 s; what is longer than 18 hours is cut to that.
pub fn duration_to_short(duration: Duration) -> u32 {
    let seconds = duration.as_secs().saturating_mul(65_536);
    let fraction = (u64::from(duration.subsec_nanos()) << 16) / 1_000_000_000;
    u32::try_from(seconds.saturating_add(fraction)).unwrap_or(u32::MAX)
}

/// The way back: from units of 1/65536 s.
pub fn short_to_duration(short: u32) -> Duration {
    let nanos = u64::from(short).wrapping_mul(1_000_000_000) >> 16;
    Duration::from_nanos(nanos)
}

impl fmt::Display for NtpTime {
    /// Seconds since 1900 with microseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 >> 32, nanos(self.0 & 0xffff_ffff) / 1000)
    }
}

impl fmt::Debug for NtpTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NtpTime({self})")
    }
}

/// A wallclock made of a monotonic one: an instant and the wallclock time that it was. Given by whoever has clocks, and
/// never set again, so that differences of its times are true durations.
#[cfg(feature = "std")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NtpClock {
    anchor: std::time::Instant,
    time: NtpTime,
}

#[cfg(feature = "std")]
impl NtpClock {
    /// The clock that shows `time` at `anchor`.
    pub const fn new(anchor: std::time::Instant, time: NtpTime) -> Self {
        Self { anchor, time }
    }

    /// What it shows at `instant`, also one before the anchor.
    pub fn at(&self, instant: std::time::Instant) -> NtpTime {
        match instant.checked_duration_since(self.anchor) {
            Some(later) => self.time.plus(later),
            None => self.time.minus(self.anchor.saturating_duration_since(instant)),
        }
    }
}

#[cfg(test)]
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::ToString;
    use std::time::Instant;

    #[test]
    fn the_example_of_rfc_3550_figure_2() {
        // 10 Nov 1995 11:33:25.125 UTC is 0xb44db705:20000000; its middle is 0xb705:2000.
        let sr = NtpTime(0xb44d_b705_2000_0000);
        assert_eq!(sr.middle(), 0xb705_2000);
        assert_eq!(sr.to_unix(), Duration::from_millis(816_003_205_125));
        assert_eq!(NtpTime::from_unix(Duration::from_millis(816_003_205_125)), sr);
        assert_eq!(sr.to_string(), "3024992005.125000");
        // DLSR 5.250 s, and A = 0xb710:8000.
        assert_eq!(duration_to_short(Duration::from_millis(5250)), 0x0005_4000);
        let block = crate::rtcp::ReportBlock {
            last_sr: 0xb705_2000,
            delay_since_last_sr: 0x0005_4000,
            ..Default::default()
        };
        let received = NtpTime(0xb44d_b710_8000_0000);
        assert_eq!(block.round_trip(received), Some(Duration::from_millis(6125)));
        assert_eq!(
            block.round_trip(sr),
            None,
            "the delay is longer than the time that passed"
        );
    }

    #[test]
    fn the_era_of_2036_goes_on() {
        let before = NtpTime(0xffff_ffff_8000_0000);
        let after = before.plus(Duration::from_secs(1));
        assert_eq!(after, NtpTime(0x8000_0000));
        assert_eq!(after.since(before), Duration::from_secs(1));
        assert_eq!(before.since(after), Duration::ZERO);
        assert_eq!(after.to_unix() - before.to_unix(), Duration::from_secs(1));
    }

    #[test]
    fn a_clock_runs_both_ways_from_its_anchor() {
        let anchor = Instant::now() + Duration::from_secs(10);
        let clock = NtpClock::new(anchor, NtpTime(100 << 32));
        assert_eq!(
            clock.at(anchor + Duration::from_millis(500)),
            NtpTime((100 << 32) | (1 << 31))
        );
        assert_eq!(clock.at(anchor - Duration::from_secs(2)), NtpTime(98 << 32));
    }

    proptest! {
        #[test]
        fn unix_time_survives(seconds in 0u64..4_000_000_000, nanos in 0u32..1_000_000_000) {
            let time = Duration::new(seconds, nanos);
            prop_assert_eq!(NtpTime::from_unix(time).to_unix(), time);
        }

        #[test]
        fn short_units_are_right_to_one_unit(micros in 0u64..60_000_000_000) {
            let duration = Duration::from_micros(micros);
            let back = short_to_duration(duration_to_short(duration));
            prop_assert!(back <= duration && duration - back <= Duration::from_nanos(15_259));
        }
    }
}
