use super::timer::after;
use std::time::{Duration, Instant};

/// The longest that is waited before a request is sent again, before doubling (RFC 6298 §2.5: at least 60 s).
const MAX_RTO: Duration = Duration::from_secs(60);
/// RFC 8489 §6.2.1: without a transaction for so long, what was measured is stale.
const STALE_AFTER: Duration = Duration::from_secs(600);
/// The clock's granularity G of RFC 6298 §2; RFC 8489 §6.2.1 wants 1 ms.
const GRANULARITY: Duration = Duration::from_millis(1);

/// The retransmission time-out of one server (RFC 8489 §6.2.1, RFC 6298).
#[derive(Debug, Clone)]
pub(crate) struct Rtt {
    initial: Duration,
    least: Duration,
    measured: Option<Measured>,
}

#[derive(Debug, Clone, Copy)]
struct Measured {
    smoothed: Duration,
    variation: Duration,
    at: Instant,
}

impl Rtt {
    pub(crate) const fn new(initial: Duration, least: Duration) -> Self {
        Self {
            initial,
            least,
            measured: None,
        }
    }

    /// Takes the time that one answer took, of a request that was sent once (Karn's algorithm).
    #[allow(clippy::arithmetic_side_effects, reason = "divides by constants")]
    pub(crate) fn take(&mut self, now: Instant, rtt: Duration) {
        let (smoothed, variation) = match self.fresh(now) {
            None => (rtt, rtt / 2),
            Some(Measured {
                smoothed, variation, ..
            }) => (
                (smoothed.saturating_mul(7) / 8).saturating_add(rtt / 8),
                (variation.saturating_mul(3) / 4).saturating_add(smoothed.abs_diff(rtt) / 4),
            ),
        };
        self.measured = Some(Measured {
            smoothed,
            variation,
            at: now,
        });
    }

    /// The smoothed round-trip time, once one was measured.
    pub(crate) fn smoothed(&self) -> Option<Duration> {
        self.measured.map(|measured| measured.smoothed)
    }

    pub(crate) fn rto(&self, now: Instant) -> Duration {
        self.fresh(now).map_or(self.initial, |measured| {
            let spread = measured.variation.saturating_mul(4).max(GRANULARITY);
            measured
                .smoothed
                .saturating_add(spread)
                .clamp(self.least.min(MAX_RTO), MAX_RTO)
        })
    }

    fn fresh(&self, now: Instant) -> Option<Measured> {
        self.measured.filter(|measured| now <= after(measured.at, STALE_AFTER))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn the_rto_follows_rfc_6298_and_becomes_stale() {
        let t0 = Instant::now();
        let mut rtt = Rtt::new(ms(500), ms(10));
        assert_eq!(rtt.rto(t0), ms(500));
        rtt.take(t0, ms(80));
        assert_eq!(rtt.rto(t0), ms(80 + 4 * 40));
        rtt.take(t0, ms(80));
        assert_eq!(rtt.rto(t0), ms(80 + 4 * 30));
        rtt.take(t0, ms(160));
        assert_eq!(rtt.smoothed(), Some(ms(90)));
        assert_eq!(rtt.rto(t0), ms(90) + 4 * Duration::from_micros(42_500));
        assert_ne!(rtt.rto(t0 + Duration::from_secs(600)), ms(500));
        assert_eq!(rtt.rto(t0 + Duration::from_secs(601)), ms(500));
    }

    #[test]
    fn the_rto_has_limits() {
        let t0 = Instant::now();
        let mut rtt = Rtt::new(ms(500), ms(100));
        rtt.take(t0, ms(1));
        assert_eq!(rtt.rto(t0), ms(100));
        rtt.take(t0, Duration::from_secs(1000));
        assert_eq!(rtt.rto(t0), MAX_RTO);
    }
}
