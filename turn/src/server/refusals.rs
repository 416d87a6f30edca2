use super::prefix::prefix;
use super::quota::Quota;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Places in the table: 128 KiB, whatever happens.
const PLACES: usize = 1 << (64 - 50);

/// How many such answers go to the 5-tuple of an allocation, per second and at once.
pub(super) const PER_SECOND: u64 = 1;
pub(super) const BURST: u64 = 10;

/// How many answers that anybody can cause go to each part of the net, so that none of it can be flooded with them; and
/// how many requests are taken of users for whom there is no [bucket of their own](super::requests::Requests).
///
/// The table has a fixed size, and prefixes that fall on one place share it: a flood with forged senders can silence
/// the answers to newcomers, but takes no memory. Those who are in have budgets of their own.
#[derive(Debug)]
pub(super) struct Refusals {
    /// For each place the time at which its budget will be whole again, in milliseconds since `epoch`.
    whole_at: Box<[u64]>,
    key: u64,
    epoch: Instant,
    /// Milliseconds.
    interval: u64,
    burst: u64,
}

impl Refusals {
    pub(super) fn new(key: u64, now: Instant, per_second: u32, burst: u32) -> Self {
        Self {
            whole_at: vec![0; PLACES].into_boxed_slice(),
            key,
            epoch: now,
            interval: u64::from(1000 / per_second.clamp(1, 1000)),
            burst: u64::from(burst.max(1)),
        }
    }

    /// Whether one more may be sent there; it is counted as sent.
    pub(super) fn allow(&mut self, now: Instant, to: IpAddr) -> bool {
        self.allow_number(now, prefix(to))
    }

    /// Whether one more may be taken of a user; it is counted as taken.
    pub(super) fn allow_user(&mut self, now: Instant, user: &Quota) -> bool {
        let mut hasher = DefaultHasher::new();
        user.hash(&mut hasher);
        self.allow_number(now, hasher.finish())
    }

    fn allow_number(&mut self, now: Instant, number: u64) -> bool {
        let now = millis(now.saturating_duration_since(self.epoch));
        // Who wants to silence a prefix can as well send in its name: a hash that is only hard to foresee will do.
        let mixed = (number ^ self.key).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let place =
            usize::try_from((mixed ^ mixed >> 32).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 50).unwrap_or_default();
        let Some(whole_at) = self.whole_at.get_mut(place) else {
            return false;
        };
        let then = (*whole_at).max(now) + self.interval;
        let fits = then <= now + self.interval * self.burst;
        if fits {
            *whole_at = then;
        }
        fits
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_has_a_burst_and_then_a_rate() {
        let now = Instant::now();
        let mut refusals = Refusals::new(7, now, 10, 5);
        let count = |refusals: &mut Refusals, now, ip: &str| {
            (0..100).filter(|_| refusals.allow(now, ip.parse().unwrap())).count()
        };
        assert_eq!(count(&mut refusals, now, "198.51.100.1"), 5);
        assert_eq!(count(&mut refusals, now, "198.51.100.254"), 0);
        assert_eq!(count(&mut refusals, now, "198.51.101.1"), 5);
        assert_eq!(count(&mut refusals, now, "2001:db8:0:aa00::1"), 5);
        assert_eq!(count(&mut refusals, now, "2001:db8:0:aaff::1"), 0);
        assert_eq!(count(&mut refusals, now, "2001:db8:0:ab00::1"), 5);
        assert_eq!(
            count(&mut refusals, now + Duration::from_millis(250), "198.51.100.7"),
            2
        );
    }
}
