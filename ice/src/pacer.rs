#![deny(clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

use crate::timer::after;
use std::time::{Duration, Instant};

/// Spaces the transactions that an agent begins, those of gathering and those of checks alike (RFC 8445 §14.1).
#[derive(Debug)]
pub(crate) struct Pacer {
    interval: Duration,
    next: Option<Instant>,
}

impl Pacer {
    /// Ta may not be less (RFC 8445 §14.2).
    pub(crate) const LEAST: Duration = Duration::from_millis(5);

    pub(crate) fn new(interval: Duration) -> Self {
        Self {
            interval: interval.max(Self::LEAST),
            next: None,
        }
    }

    /// Ta.
    pub(crate) const fn interval(&self) -> Duration {
        self.interval
    }

    pub(crate) fn is_ready(&self, now: Instant) -> bool {
        self.next.is_none_or(|next| next <= now)
    }

    /// When the next transaction may begin.
    pub(crate) fn due(&self, now: Instant) -> Instant {
        self.next.unwrap_or(now)
    }

    /// A transaction began.
    pub(crate) fn spend(&mut self, now: Instant) {
        self.next = Some(after(now, self.interval));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_begins_per_interval() {
        let t0 = Instant::now();
        let mut pacer = Pacer::new(Duration::from_millis(1));
        assert!(pacer.is_ready(t0), "the first one at once");
        assert_eq!(pacer.due(t0), t0);
        pacer.spend(t0);
        // RFC 8445 §14.2: "MUST NOT be smaller than 5 ms".
        assert!(!pacer.is_ready(t0 + Duration::from_millis(4)));
        assert!(pacer.is_ready(t0 + Duration::from_millis(5)));
        assert_eq!(pacer.due(t0), t0 + Duration::from_millis(5));
    }
}
