use std::time::Instant;

use crate::Timer;

/// The deadlines of a peer: one place for each [`Timer`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Timers([Option<Instant>; Timer::ALL.len()]);

impl Timers {
    /// Arms the timer for `at`, or disarms it.
    pub(crate) const fn set(&mut self, timer: Timer, at: Option<Instant>) {
        self.0[timer as usize] = at;
    }

    /// When the timer is due.
    pub(crate) const fn get(&self, timer: Timer) -> Option<Instant> {
        self.0[timer as usize]
    }

    /// Whether the timer was due at `now`; it is disarmed then.
    pub(crate) fn take_due(&mut self, timer: Timer, now: Instant) -> bool {
        let due = self.get(timer).is_some_and(|at| at <= now);
        if due {
            self.set(timer, None);
        }
        due
    }

    /// The earliest one.
    pub(crate) fn next(&self) -> Option<(Timer, Instant)> {
        let armed = Timer::ALL
            .into_iter()
            .filter_map(|timer| Some((timer, self.get(timer)?)));
        armed.min_by_key(|&(_, at)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_earliest_is_next_and_due_once() {
        let start = Instant::now();
        let mut timers = Timers::default();
        assert_eq!(timers.next(), None);
        for (nth, timer) in Timer::ALL.into_iter().enumerate() {
            assert_eq!(timer as usize, nth);
            timers.set(timer, Some(start + Duration::from_millis(100 - nth as u64)));
        }
        let last = Timer::ALL[Timer::ALL.len() - 1];
        let (timer, at) = timers.next().unwrap();
        assert_eq!(timer, last);
        assert!(!timers.take_due(timer, at - Duration::from_nanos(1)));
        assert!(timers.take_due(timer, at));
        assert!(!timers.take_due(timer, at));
        assert_ne!(timers.next().unwrap().0, last);
    }
}
