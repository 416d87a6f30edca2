#![deny(clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

use std::time::{Duration, Instant};

/// What an agent waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Timer {
    /// The first check.
    Connect,
    /// The peer's next sign of life.
    Liveness,
    /// The expiry of a single pair.
    PairExpiry,
    /// The end of the previous credentials after a restart.
    Retire,
    /// The next check of our own, or the end of consent.
    Check,
}

impl Timer {
    const ALL: [Self; 5] = [
        Self::Connect,
        Self::Liveness,
        Self::PairExpiry,
        Self::Retire,
        Self::Check,
    ];
}

/// One deadline per timer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Timers([Option<Instant>; Timer::ALL.len()]);

impl Timers {
    pub(crate) fn arm(&mut self, timer: Timer, deadline: Instant) {
        *self.slot(timer) = Some(deadline);
    }

    pub(crate) fn arm_if_idle(&mut self, timer: Timer, deadline: Instant) {
        self.slot(timer).get_or_insert(deadline);
    }

    pub(crate) fn stop(&mut self, timer: Timer) {
        *self.slot(timer) = None;
    }

    pub(crate) fn stop_all(&mut self) {
        self.0 = Default::default();
    }

    /// The timer that is due first, with its deadline.
    pub(crate) fn next(&self) -> Option<(Timer, Instant)> {
        Timer::ALL
            .into_iter()
            .zip(self.0)
            .filter_map(|(timer, deadline)| Some((timer, deadline?)))
            .min_by_key(|&(_, deadline)| deadline)
    }

    /// Takes a timer whose time has come.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Timer> {
        let (timer, deadline) = self.next()?;
        (deadline <= now).then(|| {
            self.stop(timer);
            timer
        })
    }

    #[allow(clippy::indexing_slicing, reason = "the table has a place for every timer")]
    const fn slot(&mut self, timer: Timer) -> &mut Option<Instant> {
        &mut self.0[timer as usize]
    }
}

/// Longer than any call: what a delay that means "never" is cut to, so that clocks can tell the instant.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// `now + delay`.
pub(crate) fn after(now: Instant, delay: Duration) -> Instant {
    now.checked_add(delay.min(NEVER)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_is_next_and_taken_once() {
        let t0 = Instant::now();
        let mut timers = Timers::default();
        assert_eq!(timers.next(), None);
        for (i, timer) in Timer::ALL.into_iter().enumerate() {
            assert_eq!(timer as usize, i);
            timers.arm(timer, t0 + Duration::from_secs(10 - i as u64));
        }
        timers.arm_if_idle(Timer::Retire, t0);
        assert_eq!(timers.next(), Some((Timer::Check, t0 + Duration::from_secs(6))));
        assert_eq!(timers.take_due(t0 + Duration::from_secs(5)), None);
        assert_eq!(timers.take_due(t0 + Duration::from_secs(8)), Some(Timer::Check));
        assert_eq!(timers.take_due(t0 + Duration::from_secs(8)), Some(Timer::Retire));
        assert_eq!(timers.take_due(t0 + Duration::from_secs(8)), Some(Timer::PairExpiry));
        assert_eq!(timers.take_due(t0 + Duration::from_secs(8)), None);
        timers.stop_all();
        assert_eq!(timers.next(), None);
    }
}
