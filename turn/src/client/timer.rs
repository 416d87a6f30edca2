use std::time::{Duration, Instant};

/// What a client waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Timer {
    /// The answer to a request: it is sent again, or given up.
    Request,
    /// The time to refresh the allocation.
    Refresh,
    /// The end of the allocation.
    Expiry,
    /// The time to refresh a permission, or its end.
    Permission,
    /// The time to refresh a channel, or its end.
    Channel,
    /// The end of the wait for another connection of the caller's.
    Reconnect,
}

impl Timer {
    const ALL: [Self; 6] = [
        Self::Request,
        Self::Refresh,
        Self::Expiry,
        Self::Permission,
        Self::Channel,
        Self::Reconnect,
    ];
}

/// One deadline per timer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Timers([Option<Instant>; Timer::ALL.len()]);

impl Timers {
    /// Arms a timer, or stops it.
    pub(crate) fn set(&mut self, timer: Timer, deadline: Option<Instant>) {
        if let Some(slot) = self.0.get_mut(timer as usize) {
            *slot = deadline;
        }
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
            self.set(timer, None);
            timer
        })
    }
}

/// Longer than any call: what a delay that means "never" is cut to, so that clocks can tell the instant.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// `now + delay`.
pub(crate) fn after(now: Instant, delay: Duration) -> Instant {
    now.checked_add(delay.min(NEVER)).unwrap_or(now)
}

/// A refresh that was refused or not answered is tried again after half of what is left, but not sooner.
const MIN_RETRY: Duration = Duration::from_secs(5);

/// When to try again to refresh what ends after `left`.
#[allow(clippy::arithmetic_side_effects, reason = "divides by a constant")]
pub(crate) fn retry_after(left: Duration) -> Duration {
    (left / 2).max(MIN_RETRY)
}

/// The earlier of two deadlines, of which either may be missing.
pub(crate) fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
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
            timers.set(timer, Some(t0 + Duration::from_secs(10 - i as u64)));
        }
        timers.set(Timer::Channel, None);
        timers.set(Timer::Reconnect, None);
        assert_eq!(timers.take_due(t0 + Duration::from_secs(6)), None);
        assert_eq!(timers.take_due(t0 + Duration::from_secs(8)), Some(Timer::Permission));
        assert_eq!(timers.take_due(t0 + Duration::from_secs(8)), Some(Timer::Expiry));
        assert_eq!(timers.take_due(t0 + Duration::from_secs(8)), None);
        timers.stop_all();
        assert_eq!(timers.next(), None);
        assert_eq!(earliest(Some(t0), None), Some(t0));
        assert_eq!(earliest(None, None), None);
    }
}
