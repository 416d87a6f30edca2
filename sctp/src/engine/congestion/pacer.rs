use std::time::{Duration, Instant};

use super::window::{Window, from_bytes};
use crate::engine::rtt::{Rtt, from_nanos, nanos};

/// How much faster than one window per round trip is sent, so that the window stays the limit: while it doubles, and after that.
const GAIN_IN_SLOW_START: f64 = 2.0;
const GAIN: f64 = 1.2;
/// Below this round trip a timer would be no help.
const LEAST_ROUND_TRIP: Duration = Duration::from_millis(1);
/// What may be sent in one run: what this time has at the rate, but a few packets at least.
const RUN: Duration = Duration::from_millis(1);
const LEAST_RUN_PACKETS: f64 = 4.0;

/// Spreads packets over the round trip. They go in short runs: fewer timers, and runs of packets go cheaper through the kernel.
#[derive(Debug, Clone)]
pub(crate) struct Pacer {
    /// Nanoseconds per byte; 0 without pacing.
    pace: f64,
    /// How long a run takes at that pace.
    run: Duration,
    /// When what was sent will have left at that pace.
    due: Instant,
    /// The run is over: the next one begins when `due` comes.
    waiting: bool,
}

impl Pacer {
    pub(crate) const fn new(now: Instant) -> Self {
        Self {
            pace: 0.0,
            run: RUN,
            due: now,
            waiting: false,
        }
    }

    /// Takes the window and round trip as they are now: after each SACK, and after each other change of the window.
    pub(crate) fn set_rate(&mut self, window: &Window, rtt: &Rtt) {
        let round_trip = rtt.smoothed().filter(|&smoothed| smoothed >= LEAST_ROUND_TRIP);
        let Some(round_trip) = round_trip else {
            self.pace = 0.0;
            self.waiting = false;
            return;
        };
        let gain = if window.in_slow_start() {
            GAIN_IN_SLOW_START
        } else {
            GAIN
        };
        self.pace = nanos(round_trip) / (gain * window.as_f64());
        self.run = self.lasts(LEAST_RUN_PACKETS * window.packet()).max(RUN);
    }

    /// Whether a packet may be sent.
    pub(crate) fn ready(&mut self, now: Instant) -> bool {
        if self.waiting && self.due <= now {
            self.waiting = false;
        }
        !self.waiting
    }

    /// A packet was sent.
    pub(crate) fn sent(&mut self, now: Instant, bytes: usize) {
        if self.pace == 0.0 {
            return;
        }
        if self.due < now {
            // Who comes late by up to a run catches up: timers are not exact.
            self.due = self.due.max(now.checked_sub(self.run).unwrap_or(now));
        }
        let lasts = self.lasts(from_bytes(u64::try_from(bytes).unwrap_or(u64::MAX)));
        self.due = self.due.checked_add(lasts).unwrap_or(self.due);
        self.waiting = self.due.saturating_duration_since(now) > self.run;
    }

    /// When a packet may be sent again, while none may.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.waiting.then_some(self.due)
    }

    fn lasts(&self, bytes: f64) -> Duration {
        from_nanos(bytes * self.pace)
    }
}
