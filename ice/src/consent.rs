#![deny(clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

use crate::config::Config;
use crate::timer::after;
use std::time::Instant;

/// Whether the peer is still there. A full agent asks for consent with checks of its own (RFC 7675 §5.1); a lite agent
/// sends none, so every authenticated sign of the peer's renews it: checks on any pair, DTLS, SRTP and SRTCP.
#[derive(Debug)]
pub(crate) struct Liveness {
    last_seen: Instant,
}

/// What silence means by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Heard lately; ask again at the instant.
    Alive(Instant),
    /// Silent for a while; ask again at the instant.
    Silent(Instant),
    /// Silent for too long.
    Gone,
}

impl Liveness {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { last_seen: now }
    }

    pub(crate) const fn seen(&mut self, now: Instant) {
        self.last_seen = now;
    }

    pub(crate) fn verdict(&self, now: Instant, config: &Config) -> Verdict {
        let silence = now.saturating_duration_since(self.last_seen);
        if silence >= config.failed_after {
            Verdict::Gone
        } else if silence >= config.disconnected_after {
            Verdict::Silent(after(self.last_seen, config.failed_after))
        } else {
            Verdict::Alive(after(
                self.last_seen,
                config.disconnected_after.min(config.failed_after),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn silence_is_judged_by_its_length() {
        let t0 = Instant::now();
        let at = |ms| t0 + Duration::from_millis(ms);
        let config = Config::default();
        let mut liveness = Liveness::new(t0);
        assert_eq!(liveness.verdict(at(6999), &config), Verdict::Alive(at(7000)));
        assert_eq!(liveness.verdict(at(7000), &config), Verdict::Silent(at(14000)));
        assert_eq!(liveness.verdict(at(14000), &config), Verdict::Gone);
        liveness.seen(at(13000));
        assert_eq!(liveness.verdict(at(14000), &config), Verdict::Alive(at(20000)));
        let hasty = Config {
            failed_after: Duration::from_secs(5),
            ..config
        };
        assert_eq!(liveness.verdict(at(14000), &hasty), Verdict::Alive(at(18000)));
    }
}
