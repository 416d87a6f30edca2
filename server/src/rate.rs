use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How often something may happen: `burst` times at once, `per_second` in the long run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rate {
    pub(crate) burst: f64,
    pub(crate) per_second: f64,
}

/// Counts down what [`Rate`] allows one client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    left: f64,
    at: Instant,
}

impl Bucket {
    pub(crate) const fn full(rate: Rate, now: Instant) -> Self {
        Self {
            left: rate.burst,
            at: now,
        }
    }

    /// Takes one; false when there is none left.
    pub(crate) fn take(&mut self, rate: Rate, now: Instant) -> bool {
        self.left = self.level(rate, now);
        self.at = now;
        let allowed = self.left >= 1.0;
        if allowed {
            self.left -= 1.0;
        }
        allowed
    }

    fn level(&self, rate: Rate, now: Instant) -> f64 {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        elapsed.mul_add(rate.per_second, self.left).min(rate.burst)
    }
}

/// A [`Rate`] for each address that requests come from.
#[derive(Debug)]
pub(crate) struct PerAddress {
    rate: Rate,
    buckets: HashMap<IpAddr, Bucket>,
    swept: Instant,
}

/// Addresses that are remembered. Beyond, all newcomers share one bucket until the next sweep.
const MAX_ADDRESSES: usize = 10_000;
const SWEEP: Duration = Duration::from_secs(1);

impl PerAddress {
    pub(crate) fn new(rate: Rate, now: Instant) -> Self {
        Self {
            rate,
            buckets: HashMap::new(),
            swept: now,
        }
    }

    /// Takes one for `address`; false when it has none left.
    pub(crate) fn take(&mut self, address: IpAddr, now: Instant) -> bool {
        if self.buckets.len() >= MAX_ADDRESSES && now.saturating_duration_since(self.swept) >= SWEEP {
            self.swept = now;
            // A full bucket remembers nothing.
            self.buckets
                .retain(|_, bucket| bucket.level(self.rate, now) < self.rate.burst);
        }
        let mut key = network(address);
        if self.buckets.len() >= MAX_ADDRESSES && !self.buckets.contains_key(&key) {
            key = IpAddr::from([0; 4]);
        }
        self.buckets
            .entry(key)
            .or_insert_with(|| Bucket::full(self.rate, now))
            .take(self.rate, now)
    }
}

/// Who has one IPv6 address has at least 2^64 of them (RFC 4291 §2.5.4).
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::from((v6.to_bits() >> 64 << 64).to_be_bytes()),
        v4 => v4,
    }
}

/// Who has one network of IPv6 often has all 256 that begin alike (RFC 6177 §2): a /56.
pub(crate) fn site(address: IpAddr) -> IpAddr {
    match network(address) {
        IpAddr::V6(v6) => IpAddr::from((v6.to_bits() >> 72 << 72).to_be_bytes()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        burst: 3.0,
        per_second: 2.0,
    };

    #[test]
    fn a_bucket_runs_empty_and_fills_again() {
        let start = Instant::now();
        let mut bucket = Bucket::full(RATE, start);
        assert_eq!([(); 4].map(|()| bucket.take(RATE, start)), [true, true, true, false]);
        assert!(!bucket.take(RATE, start + Duration::from_millis(499)));
        assert!(bucket.take(RATE, start + Duration::from_millis(510)));
        assert!(!bucket.take(RATE, start + Duration::from_millis(520)));
        // Never more than the burst.
        let later = start + Duration::from_secs(60);
        assert_eq!([(); 4].map(|()| bucket.take(RATE, later)), [true, true, true, false]);
    }

    #[test]
    fn addresses_do_not_share_but_the_addresses_of_one_network_do() {
        let now = Instant::now();
        let mut rates = PerAddress::new(RATE, now);
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for _ in 0..3 {
            assert!(rates.take(ip("192.0.2.1"), now));
        }
        assert!(!rates.take(ip("192.0.2.1"), now));
        assert!(!rates.take(ip("::ffff:192.0.2.1"), now));
        assert!(rates.take(ip("192.0.2.2"), now));
        for _ in 0..3 {
            assert!(rates.take(ip("2001:db8::1"), now));
        }
        assert!(!rates.take(ip("2001:db8::2"), now));
        assert!(rates.take(ip("2001:db8:0:1::2"), now));
    }

    #[test]
    fn memory_is_bounded() {
        let start = Instant::now();
        let mut rates = PerAddress::new(RATE, start);
        for i in 0..MAX_ADDRESSES as u32 + 100 {
            rates.take(IpAddr::from((0x0a00_0000 + i).to_be_bytes()), start);
        }
        assert!(rates.buckets.len() <= MAX_ADDRESSES + 1);
        assert!(!rates.take(IpAddr::from([172, 16, 0, 1]), start));
        // Once the others have been quiet for long enough, they are forgotten.
        assert!(rates.take(IpAddr::from([172, 16, 0, 1]), start + Duration::from_secs(2)));
        assert!(rates.buckets.len() < 10);
    }
}
