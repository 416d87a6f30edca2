use std::time::Duration;

/// `MIN_RTT_THRESH`, `MAX_RTT_THRESH` and `MIN_RTT_DIVISOR` (RFC 9406 §4.3): by how much round trips have to become longer. The
/// least of the RFC, 4 ms, is for senders in bursts; on a path of 10 ms it would cost a third of a window in losses.
const LEAST_RISE: Duration = Duration::from_millis(1);
const MOST_RISE: Duration = Duration::from_millis(16);
const RISE_DIVISOR: u32 = 8;
/// `N_RTT_SAMPLE`.
const SAMPLES: u32 = 8;
/// `CSS_GROWTH_DIVISOR`.
const GROWTH_DIVISOR: f64 = 4.0;
/// `CSS_ROUNDS`.
const CONSERVATIVE_ROUNDS: u32 = 5;

/// When slow start ends for want of capacity, before there are losses: `HyStart++` (RFC 9406), with two changes, which both
/// need a sender that is paced.
///
/// The RFC compares the least round trip of a round, which only rises when the queue stood for a whole round, and the window has
/// doubled once more until then. Here each run of eight samples is looked at: a paced sender makes no queue while there is
/// capacity. And in Conservative Slow Start nothing grows any more once the rise is twice what it takes: then the link is full
/// whatever the window does.
#[derive(Debug, Clone)]
pub(super) struct SlowStart {
    /// The least round trip of the round before.
    last_min: Option<Duration>,
    /// The least one of this round.
    min: Option<Duration>,
    /// The least one of the present run, and how many it has.
    run_min: Duration,
    run: u32,
    conservative: Option<Conservative>,
}

/// Conservative Slow Start (CSS).
#[derive(Debug, Clone)]
struct Conservative {
    /// `cssBaselineMinRtt`: below it the rise was no queue.
    baseline: Duration,
    /// From here on the link is full.
    full: Duration,
    is_full: bool,
    rounds: u32,
}

impl SlowStart {
    pub(super) const fn new() -> Self {
        Self {
            last_min: None,
            min: None,
            run_min: Duration::MAX,
            run: 0,
            conservative: None,
        }
    }

    /// The least sample of this round.
    pub(super) const fn round_min(&self) -> Option<Duration> {
        self.min
    }

    /// Which part of what was acknowledged the window grows by, 0 to 1.
    pub(super) const fn growth(&self) -> f64 {
        match &self.conservative {
            None => 1.0,
            Some(css) if css.is_full => 0.0,
            Some(_) => 1.0 / GROWTH_DIVISOR,
        }
    }

    pub(super) fn sample(&mut self, rtt: Duration) {
        self.min = Some(self.min.unwrap_or(rtt).min(rtt));
        self.run_min = self.run_min.min(rtt);
        self.run = self.run.saturating_add(1);
        if self.run < SAMPLES {
            return;
        }
        let run_min = self.run_min;
        self.begin_run();
        if let Some(css) = &mut self.conservative {
            if run_min < css.baseline {
                self.conservative = None;
            } else {
                css.is_full = run_min >= css.full;
            }
        } else if let Some(last_min) = self.last_min {
            let eighth = last_min.checked_div(RISE_DIVISOR).unwrap_or_default();
            let rise = eighth.clamp(LEAST_RISE, MOST_RISE);
            let full = last_min.saturating_add(rise.saturating_mul(2));
            if run_min >= last_min.saturating_add(rise) {
                self.conservative = Some(Conservative {
                    baseline: run_min,
                    full,
                    is_full: run_min >= full,
                    rounds: 0,
                });
            }
        }
    }

    /// A round ended, and with it perhaps slow start: then true.
    pub(super) fn round_ended(&mut self) -> bool {
        self.last_min = self.min.take().or(self.last_min);
        self.begin_run();
        self.conservative.as_mut().is_some_and(|css| {
            css.rounds = css.rounds.saturating_add(1);
            css.rounds >= CONSERVATIVE_ROUNDS
        })
    }

    const fn begin_run(&mut self) {
        self.run_min = Duration::MAX;
        self.run = 0;
    }
}
