use std::time::{Duration, Instant};

/// A token bucket, kept as the time at which it will be full again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    full_at: Instant,
}

/// How fast a [`Bucket`] fills, and how much it holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    /// Per second.
    per_second: u64,
    /// How long an empty one takes to be full.
    depth: Duration,
}

impl Rate {
    pub(super) fn new(per_second: u64, burst: u64) -> Self {
        let per_second = per_second.max(1);
        let nanos = u128::from(burst) * 1_000_000_000 / u128::from(per_second);
        Self {
            per_second,
            depth: Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)),
        }
    }

    /// How long an empty bucket takes to be full.
    pub(super) const fn depth(&self) -> Duration {
        self.depth
    }

    fn cost(&self, amount: usize) -> Duration {
        let nanos = (amount as u64).saturating_mul(1_000_000_000) / self.per_second;
        Duration::from_nanos(nanos)
    }
}

impl Bucket {
    pub(super) const fn full(now: Instant) -> Self {
        Self { full_at: now }
    }

    /// Takes `amount` out; false, and nothing taken, when there is not as much.
    pub(super) fn take(&mut self, now: Instant, rate: &Rate, amount: usize) -> bool {
        let full_at = self.full_at.max(now) + rate.cost(amount);
        let fits = full_at <= now + rate.depth;
        if fits {
            self.full_at = full_at;
        }
        fits
    }

    /// Takes `amount` out even when there is not as much. Tells when the bucket will be out of debt, if it is in debt
    /// now.
    pub(super) fn spend(&mut self, now: Instant, rate: &Rate, amount: usize) -> Option<Instant> {
        self.full_at = self.full_at.max(now) + rate.cost(amount);
        let even = self.full_at.checked_sub(rate.depth)?;
        (even > now).then_some(even)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let rate = Rate::new(1000, 5000);
        let now = Instant::now();
        let mut bucket = Bucket::full(now);
        assert!(bucket.take(now, &rate, 5000) && !bucket.take(now, &rate, 1));
        let later = now + Duration::from_secs(2);
        assert!(!bucket.take(later, &rate, 2001));
        assert!(bucket.take(later, &rate, 2000) && !bucket.take(later, &rate, 1));
        let much_later = now + Duration::from_secs(1000);
        assert!(bucket.take(much_later, &rate, 5000) && !bucket.take(much_later, &rate, 1));
    }

    #[test]
    fn a_debt_is_paid_back_at_the_rate() {
        let rate = Rate::new(1000, 5000);
        let now = Instant::now() + Duration::from_secs(100);
        let mut bucket = Bucket::full(now);
        assert_eq!(bucket.spend(now, &rate, 5000), None);
        assert_eq!(bucket.spend(now, &rate, 3000), Some(now + Duration::from_secs(3)));
        let later = now + Duration::from_secs(3);
        assert!(!bucket.take(later, &rate, 1));
        assert_eq!(bucket.spend(later, &rate, 1000), Some(later + Duration::from_secs(1)));
        assert_eq!(bucket.spend(later + Duration::from_secs(60), &rate, 5000), None);
    }
}
