//! What a sender counts about its own stream (RFC 3550 §6.4.1), and the clock of its timestamps.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use wire::Serial;

use crate::Ssrc;
use crate::ntp::NtpTime;
use crate::receiver_statistics::units;
use crate::rtcp::SenderInfo;

/// Packets and bytes of one sent stream, from which sender reports are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SenderStatistics {
    packets: u64,
    octets: u64,
    packets_prior: u64,
}

impl SenderStatistics {
    /// Nothing was sent yet.
    pub const fn new() -> Self {
        Self {
            packets: 0,
            octets: 0,
            packets_prior: 0,
        }
    }

    /// Packets sent.
    pub const fn packets(&self) -> u64 {
        self.packets
    }

    /// Bytes of payload sent, without headers and padding.
    pub const fn octets(&self) -> u64 {
        self.octets
    }

    /// Whether something was sent since the latest report: else a receiver report is due instead (RFC 3550 §6.4).
    pub const fn sent_since_report(&self) -> bool {
        self.packets != self.packets_prior
    }

    /// A packet with a payload of `payload_len` bytes, padding not counted, was sent.
    pub fn record(&mut self, payload_len: usize) {
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(u64::try_from(payload_len).unwrap_or(0));
    }

    /// What a sender report of `now` says, where `ntp` and the clock's timestamp are the same instant.
    pub fn report(&mut self, now: Instant, ssrc: Ssrc, ntp: NtpTime, clock: &RtpClock) -> SenderInfo {
        self.packets_prior = self.packets;
        SenderInfo {
            ssrc,
            ntp,
            rtp_timestamp: clock.timestamp(now),
            packet_count: low_32(self.packets),
            octet_count: low_32(self.octets),
        }
    }
}

fn low_32(number: u64) -> u32 {
    let [.., a, b, c, d] = number.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// A linear clock of RTP timestamps: what it showed at one instant, and how fast it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpClock {
    rate: NonZeroU32,
    anchor: Instant,
    timestamp: u32,
}

impl RtpClock {
    /// The clock of `rate` Hz that shows `timestamp` at `anchor`.
    pub const fn new(rate: NonZeroU32, anchor: Instant, timestamp: u32) -> Self {
        Self {
            rate,
            anchor,
            timestamp,
        }
    }

    /// How fast it runs, in Hz.
    pub const fn rate(&self) -> NonZeroU32 {
        self.rate
    }

    /// What it shows at `instant`, also one before the anchor; rounded down.
    pub fn timestamp(&self, instant: Instant) -> u32 {
        match instant.checked_duration_since(self.anchor) {
            Some(later) => self.timestamp.wrapping_add(units(later, self.rate)),
            None => {
                let earlier = self.anchor.saturating_duration_since(instant);
                let whole = units(earlier, self.rate);
                // Down, not towards the anchor.
                let exact = self.duration(whole) == earlier;
                self.timestamp.wrapping_sub(whole).wrapping_sub(u32::from(!exact))
            }
        }
    }

    /// The instant nearest to `near` at which it shows `timestamp`: within 2^31 units of it, 6.6 hours at 90 kHz.
    /// `None` when that is before what an [`Instant`] can say.
    pub fn instant(&self, timestamp: u32, near: Instant) -> Option<Instant> {
        // From the anchor, not from `near`, whose timestamp is rounded.
        let shown = self.timestamp(near);
        let ahead = shown.distance_to(timestamp);
        let whole = match near.checked_duration_since(self.anchor) {
            Some(later) => i128::from(self.units_wide(later)),
            None => {
                let earlier = self.anchor.saturating_duration_since(near);
                let whole = self.units_wide(earlier);
                let exact = self.duration_wide(whole) == earlier;
                i128::from(whole).saturating_add(i128::from(!exact)).saturating_neg()
            }
        };
        let units = whole.saturating_add(i128::from(ahead));
        let distance = self.duration_wide(u64::try_from(units.unsigned_abs()).ok()?);
        if units >= 0 {
            self.anchor.checked_add(distance)
        } else {
            self.anchor.checked_sub(distance)
        }
    }

    fn units_wide(&self, duration: Duration) -> u64 {
        let units = duration.as_nanos().saturating_mul(u128::from(self.rate.get())) / 1_000_000_000;
        u64::try_from(units).unwrap_or(u64::MAX)
    }

    /// So many units as a duration, rounded up to the nanosecond, so that the way back gives the same units.
    fn duration_wide(&self, units: u64) -> Duration {
        let nanos = u128::from(units)
            .saturating_mul(1_000_000_000)
            .div_ceil(u128::from(self.rate.get()));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn duration(&self, units: u32) -> Duration {
        self.duration_wide(u64::from(units))
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

    const VIDEO: NonZeroU32 = NonZeroU32::new(90_000).unwrap();

    #[test]
    fn reports_count_payload_and_know_silence() {
        let start = Instant::now();
        let clock = RtpClock::new(VIDEO, start, 0xffff_ffff);
        let mut statistics = SenderStatistics::new();
        assert!(!statistics.sent_since_report());
        statistics.record(1000);
        statistics.record(20);
        assert!(statistics.sent_since_report());
        let info = statistics.report(start + Duration::from_millis(1), Ssrc(1), NtpTime(5), &clock);
        let expected = SenderInfo {
            ssrc: Ssrc(1),
            ntp: NtpTime(5),
            rtp_timestamp: 89,
            packet_count: 2,
            octet_count: 1020,
        };
        assert_eq!(info, expected);
        assert!(!statistics.sent_since_report());
        assert_eq!((statistics.packets(), statistics.octets()), (2, 1020));
    }

    #[test]
    fn the_clock_runs_both_ways_and_wraps() {
        let anchor = Instant::now() + Duration::from_secs(1000);
        let clock = RtpClock::new(VIDEO, anchor, 100);
        assert_eq!(clock.timestamp(anchor + Duration::from_secs(1)), 90_100);
        assert_eq!(
            clock.timestamp(anchor - Duration::from_millis(10)),
            100_u32.wrapping_sub(900)
        );
        assert_eq!(clock.timestamp(anchor - Duration::from_nanos(1)), 99);
        // 2^32 units later it shows the same.
        let wrapped = anchor + Duration::from_nanos((1 << 32) * 1_000_000_000 / 90_000 + 1);
        assert_eq!(clock.timestamp(wrapped), 100);
        assert_eq!(clock.instant(190, wrapped), Some(wrapped + Duration::from_millis(1)));
        assert_eq!(clock.instant(190, anchor), Some(anchor + Duration::from_millis(1)));
    }

    proptest! {
        #[test]
        fn there_and_back(
            rate in prop_oneof![Just(8000u32), Just(48_000), Just(90_000), 1u32..1_000_000],
            timestamp: u32, at in -900_000_000_000i64..900_000_000_000, ahead in -(1i32 << 20)..(1 << 20),
        ) {
            let rate = NonZeroU32::new(rate).unwrap();
            let anchor = Instant::now() + Duration::from_secs(4_000_000);
            let clock = RtpClock::new(rate, anchor, timestamp);
            let distance = Duration::from_nanos(at.unsigned_abs());
            let near = if at < 0 { anchor - distance } else { anchor + distance };
            let wanted = clock.timestamp(near).wrapping_add_signed(ahead);
            let instant = clock.instant(wanted, near).unwrap();
            prop_assert_eq!(clock.timestamp(instant), wanted);
            // Never later than the instant asked about by more than its own unit when it shows the same.
            if ahead == 0 {
                prop_assert!(instant <= near && near - instant <= Duration::from_nanos(1_000_000_000 / u64::from(rate.get()) + 1));
            }
        }

        #[test]
        fn it_never_runs_backwards(a in 0u64..1 << 40, b in 0u64..1 << 40) {
            let anchor = Instant::now() + Duration::from_secs(500);
            let clock = RtpClock::new(VIDEO, anchor, 0);
            let start = anchor - Duration::from_secs(500);
            let (a, b) = (a.min(b), a.max(b));
            let first = clock.timestamp(start + Duration::from_nanos(a));
            let second = clock.timestamp(start + Duration::from_nanos(b));
            prop_assert!(first.distance_to(second) >= 0);
        }
    }
}
