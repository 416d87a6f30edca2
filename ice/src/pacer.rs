#![deny(clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

use crate::timer::after;
use std::time::{Duration, Instant};

/// Spaces the transactions that an agent begins, those of gathering and those of checks alike (RFC 8445 §14.1).
#[derive(Debug)]
pub(crate) struct Pacer {
    own: Duration,
    /// What the peer proposes.
    peer: Duration,
    next: Option<Instant>,
}

impl Pacer {
    /// Ta may not be less (RFC 8445 §14.2).
    pub(crate) const LEAST: Duration = Duration::from_millis(5);
    /// What of a peer's Ta is followed at most: more would keep us from checking at all. It is the longest that an RFC
    /// names (RFC 5245 §16.2, for what is not RTP).
    pub(crate) const MOST: Duration = Duration::from_millis(500);
    /// That of who proposes none (RFC 8445 §14.2).
    const DEFAULT: Duration = Duration::from_millis(50);

    pub(crate) fn new(interval: Duration) -> Self {
        Self {
            own: interval.max(Self::LEAST),
            peer: Duration::ZERO,
            next: None,
        }
    }

    /// Our Ta.
    pub(crate) const fn own(&self) -> Duration {
        self.own
    }

    /// Takes what the peer proposes, or that it proposes nothing.
    pub(crate) fn set_peer(&mut self, interval: Option<Duration>) {
        self.peer = interval.unwrap_or(Self::DEFAULT).min(Self::MOST);
    }

    /// Ta: "Both agents MUST use the higher value" (RFC 8445 §14.2).
    pub(crate) fn interval(&self) -> Duration {
        self.own.max(self.peer)
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
        self.next = Some(after(now, self.interval()));
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

    #[test]
    fn the_larger_of_both_counts() {
        let ms = Duration::from_millis;
        for (own, peer, both) in [
            (50, Some(20), 50),
            (50, Some(50), 50),
            (20, Some(80), 80),
            (20, Some(0), 20),
            // RFC 8445 §14.2: "If an agent does not propose a value, the default value is used for that agent".
            (20, None, 50),
            (80, None, 80),
            // Nobody is held up for ever.
            (50, Some(501), 500),
            (50, Some(u64::MAX), 500),
            (600, Some(u64::MAX), 600),
        ] {
            let mut pacer = Pacer::new(ms(own));
            assert_eq!(pacer.interval(), ms(own), "before the peer has said anything");
            pacer.set_peer(peer.map(ms));
            assert_eq!((pacer.own(), pacer.interval()), (ms(own), ms(both)));
        }
    }
}
