//! Round-trip times, and the retransmission time-out that follows from them (RFC 9260 §6.3.1).

use std::time::{Duration, Instant};

use crate::config::Config;

/// RTO.Alpha (RFC 9260 §16).
const ALPHA: f64 = 1.0 / 8.0;
/// RTO.Beta (RFC 9260 §16).
const BETA: f64 = 1.0 / 4.0;
/// The least that a sample counts.
const GRANULARITY: Duration = Duration::from_micros(1);
/// How much later than the smoothed round trip an answer may come that the peer does not delay: its timers and ours. This is the
/// granularity G of rule G1, too.
const PROMPT: Duration = Duration::from_millis(10);
/// A minimum is forgotten after one to two of these.
const MINIMUM_SPAN: Duration = Duration::from_secs(10);

/// What is known of the round trip.
#[derive(Debug, Clone)]
pub(crate) struct Rtt {
    initial_rto: Duration,
    max_rto: Duration,
    peer_sack_delay: Duration,
    /// SRTT and RTTVAR, in nanoseconds.
    smoothed: Option<(f64, f64)>,
    sampled: Instant,
    /// When the present span of the minimum began, its minimum and that of the span before.
    span: Instant,
    minimum: Duration,
    previous_minimum: Duration,
    /// Time-outs since the last sample.
    backoff: u32,
}

impl Rtt {
    pub(crate) const fn new(config: &Config, now: Instant) -> Self {
        Self {
            initial_rto: config.initial_rto,
            max_rto: config.max_rto,
            peer_sack_delay: config.peer_sack_delay,
            smoothed: None,
            sampled: now,
            span: now,
            minimum: Duration::MAX,
            previous_minimum: Duration::MAX,
            backoff: 0,
        }
    }

    /// SRTT.
    pub(crate) fn smoothed(&self) -> Option<Duration> {
        self.smoothed.map(|(smoothed, _)| from_nanos(smoothed))
    }

    /// RTTVAR: by how much round trips differ.
    pub(crate) fn variation(&self) -> Duration {
        self.smoothed
            .map_or(Duration::ZERO, |(_, variation)| from_nanos(variation))
    }

    /// The least sample of the last 10 to 20 s before the last sample.
    pub(crate) fn min(&self) -> Option<Duration> {
        self.smoothed.map(|_| self.minimum.min(self.previous_minimum))
    }

    /// Takes a measurement of what was sent once only (rule C5). Any number of them per round trip is welcome. What a time-out
    /// has doubled is back where it was.
    pub(crate) fn sample(&mut self, now: Instant, rtt: Duration) {
        let rtt = rtt.max(GRANULARITY);
        self.backoff = 0;
        let since = nanos(now.saturating_duration_since(self.sampled));
        self.sampled = now;
        let nanos = nanos(rtt);
        self.smoothed = Some(match self.smoothed {
            None => (nanos, nanos / 2.0),
            Some((smoothed, variation)) => {
                // Rule C4: with n samples per round trip each one has an nth of the weight. One round trip's worth of time
                // then moves the mean by as much as the RFC wants, however many samples fall into it.
                let share = (since / smoothed).min(1.0);
                let error = nanos - smoothed;
                let variation = variation + BETA * share * (error.abs() - variation);
                (smoothed + ALPHA * share * error, variation)
            }
        });
        let age = now.saturating_duration_since(self.span);
        if age >= MINIMUM_SPAN {
            let adjacent = age < MINIMUM_SPAN.saturating_mul(2);
            self.previous_minimum = if adjacent { self.minimum } else { Duration::MAX };
            self.minimum = rtt;
            self.span = now;
        }
        self.minimum = self.minimum.min(rtt);
    }

    /// A retransmission time-out: the next one lasts twice as long (RFC 9260 §6.3.3, rule E2).
    pub(crate) const fn timed_out(&mut self) {
        self.backoff = self.backoff.saturating_add(1);
    }

    /// The time-out, doubled for each one since the last sample. `immediate`: the peer was asked not to delay its SACK of what
    /// was sent last (RFC 7053), so that we do not wait for its delay either.
    ///
    /// In place of RTO.Min (rule C6) there is the delay of the peer's SACKs, the reason for that minimum (RFC 9260 §6.2).
    pub(crate) fn rto(&self, immediate: bool) -> Duration {
        let delay = if immediate {
            Duration::ZERO
        } else {
            self.peer_sack_delay
        };
        let least = delay.max(PROMPT);
        let rto = self.smoothed.map_or(self.initial_rto, |(smoothed, variation)| {
            from_nanos(smoothed).saturating_add(from_nanos(variation * 4.0).max(least))
        });
        let factor = 1_u32.checked_shl(self.backoff).unwrap_or(u32::MAX);
        rto.saturating_mul(factor).min(self.max_rto)
    }
}

/// In nanoseconds: a third of the time that `Duration::as_secs_f64` and its reverse take.
pub(crate) fn nanos(duration: Duration) -> f64 {
    duration.as_secs() as f64 * 1e9 + f64::from(duration.subsec_nanos())
}

/// A duration of up to 584 years.
pub(crate) const fn from_nanos(nanos: f64) -> Duration {
    Duration::from_nanos(whole(nanos))
}

/// Rounded down, within the range of the type.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, which is what is wanted"
)]
pub(crate) const fn whole(value: f64) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn near(a: Duration, b: Duration) -> bool {
        a.abs_diff(b) < Duration::from_micros(2)
    }

    fn fresh() -> (Rtt, Instant) {
        let now = Instant::now();
        (Rtt::new(&Config::default(), now), now)
    }

    #[test]
    fn before_a_sample_the_time_out_is_the_initial_one() {
        // RFC 9260 §6.3.1, rule C1.
        let (rtt, _) = fresh();
        assert_eq!((rtt.smoothed(), rtt.min()), (None, None));
        assert_eq!(rtt.variation(), Duration::ZERO);
        assert_eq!([rtt.rto(false), rtt.rto(true)], [ms(500); 2]);
    }

    #[test]
    fn one_sample_per_round_trip_is_weighed_as_the_rfc_says() {
        let (mut rtt, t0) = fresh();
        // Rule C2: SRTT = R, RTTVAR = R/2.
        rtt.sample(t0, ms(200));
        assert_eq!(rtt.smoothed(), Some(ms(200)));
        assert_eq!(rtt.variation(), ms(100));
        assert_eq!([rtt.rto(false), rtt.rto(true)], [ms(600); 2]);
        // Rule C3: RTTVAR = 3/4 * 100 + 1/4 * 80, SRTT = 7/8 * 200 + 1/8 * 280.
        rtt.sample(t0 + ms(200), ms(280));
        assert_eq!(rtt.min(), Some(ms(200)));
        assert!(near(rtt.smoothed().unwrap(), ms(210)));
        assert!(near(rtt.rto(false), ms(210 + 4 * 95)), "{:?}", rtt.rto(false));
        // After a pause one sample weighs no more than that.
        rtt.sample(t0 + ms(10_000), ms(210));
        assert!(near(rtt.smoothed().unwrap(), ms(210)));
        assert!(near(rtt.rto(false), ms(210 + 3 * 95)));
    }

    #[test]
    fn many_samples_per_round_trip_move_the_mean_as_far_as_one() {
        // RFC 9260 §6.3.1, rule C4.
        let (mut one, t0) = fresh();
        let mut many = one.clone();
        one.sample(t0, ms(100));
        many.sample(t0, ms(100));
        one.sample(t0 + ms(100), ms(180));
        for n in 1..=100 {
            many.sample(t0 + ms(n), ms(180));
        }
        let [one, many] = [one, many].map(|rtt| rtt.smoothed().unwrap().as_secs_f64());
        assert!((one - many).abs() < 0.002, "{one} {many}");
        // Samples of the same moment count once.
        let (mut rtt, t0) = fresh();
        rtt.sample(t0, ms(100));
        rtt.sample(t0, ms(900));
        assert_eq!(rtt.smoothed(), Some(ms(100)));
    }

    #[test]
    fn the_peers_delay_is_waited_for_unless_it_was_asked_not_to() {
        let (mut rtt, t0) = fresh();
        for n in 0..100 {
            rtt.sample(t0 + ms(40 * n), ms(40));
        }
        assert!(near(rtt.rto(false), ms(240)));
        assert!(near(rtt.rto(true), ms(50)));
        // One that delays nothing has some time all the same.
        rtt.peer_sack_delay = Duration::ZERO;
        assert!(near(rtt.rto(false), ms(50)));
    }

    #[test]
    fn time_outs_double_up_to_the_longest() {
        // RFC 9260 §6.3.3, rule E2; §6.3.1, rule C7.
        let (mut rtt, t0) = fresh();
        for expected in [500, 1000, 2000, 4000, 8000, 10_000, 10_000] {
            assert_eq!(rtt.rto(false), ms(expected));
            rtt.timed_out();
        }
        for _ in 0..100 {
            rtt.timed_out();
        }
        assert_eq!(rtt.rto(false), ms(10_000));
        // A new measurement collapses it.
        rtt.sample(t0, ms(100));
        assert_eq!(rtt.rto(false), ms(300));
        rtt.timed_out();
        assert_eq!(rtt.rto(false), ms(600));
        // However long the round trip.
        rtt.sample(t0, Duration::MAX);
        rtt.sample(t0 + ms(50_000), Duration::MAX);
        assert_eq!(rtt.rto(false), ms(10_000));
    }

    #[test]
    fn a_round_trip_of_nothing_divides_nothing() {
        // RFC 9260 §6.3.1, rule G1.
        let (mut rtt, t0) = fresh();
        for n in 0..1000 {
            rtt.sample(t0 + ms(n), Duration::ZERO);
        }
        assert_eq!(rtt.smoothed(), Some(GRANULARITY));
        assert_eq!(rtt.rto(true), GRANULARITY + ms(10));
    }

    #[test]
    fn the_minimum_is_forgotten_after_a_while() {
        let (mut rtt, t0) = fresh();
        rtt.sample(t0, ms(50));
        rtt.sample(t0 + ms(9_999), ms(80));
        assert_eq!(rtt.min(), Some(ms(50)));
        // The next span: the one before still counts.
        rtt.sample(t0 + ms(10_000), ms(80));
        rtt.sample(t0 + ms(19_999), ms(90));
        assert_eq!(rtt.min(), Some(ms(50)));
        rtt.sample(t0 + ms(20_000), ms(90));
        assert_eq!(rtt.min(), Some(ms(80)));
        // After a pause of two spans nothing counts.
        rtt.sample(t0 + ms(40_000), ms(120));
        assert_eq!(rtt.min(), Some(ms(120)));
        rtt.sample(t0 + ms(40_001), ms(110));
        assert_eq!(rtt.min(), Some(ms(110)));
    }
}
