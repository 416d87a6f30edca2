//! How far it is, how fast it goes and how long it will take.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

const BAR: usize = 30;

/// A bar on a terminal, else a line each second.
pub(crate) struct Progress {
    total: u64,
    is_terminal: bool,
    start: Instant,
    shown: Instant,
    done: u64,
    /// Bytes per second, more of late than of old.
    rate: f64,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self {
            total: 0,
            is_terminal: stderr().is_terminal(),
            start: now,
            shown: now,
            done: 0,
            rate: 0.0,
        }
    }

    /// When it is to be shown again.
    pub(crate) fn next(&self) -> Instant {
        let interval = if self.is_terminal { 200 } else { 1000 };
        self.shown + Duration::from_millis(interval)
    }

    /// So many bytes are done of so many; shown when it is time.
    pub(crate) fn tell(&mut self, done: u64, total: u64) {
        self.total = total;
        let now = Instant::now();
        if now < self.next() {
            return;
        }
        let rate = done.saturating_sub(self.done) as f64 / (now - self.shown).as_secs_f64();
        self.rate = if self.done == 0 {
            rate
        } else {
            0.8 * self.rate + 0.2 * rate
        };
        (self.done, self.shown) = (done, now);
        self.show(&self.text());
    }

    /// All these bytes are done.
    pub(crate) fn finish(&mut self, total: u64) {
        let time = self.start.elapsed();
        let rate = total as f64 / time.as_secs_f64().max(0.001);
        (self.done, self.total) = (total, total);
        self.show(&format!("100 %  {}  in {:.1} s", megabytes(rate), time.as_secs_f64()));
        self.leave();
    }

    /// The cursor goes below the bar.
    pub(crate) fn leave(&self) {
        if self.is_terminal && self.done > 0 {
            eprintln!();
        }
    }

    fn share(&self) -> f64 {
        self.done as f64 / self.total.max(1) as f64
    }

    fn text(&self) -> String {
        let left = self.total.saturating_sub(self.done) as f64 / self.rate;
        let left = if left.is_finite() {
            format!("{left:.0} s left")
        } else {
            "stalled".to_owned()
        };
        format!("{:3.0} %  {}  {left}", self.share() * 100.0, megabytes(self.rate))
    }

    fn show(&self, text: &str) {
        if self.is_terminal {
            let full = ((self.share() * BAR as f64) as usize).min(BAR);
            eprint!("\r[{:BAR$}] {text}\x1b[K", "#".repeat(full));
            // A terminal that is gone is not worth an end.
            drop(stderr().flush());
        } else {
            eprintln!("{text}");
        }
    }
}

fn megabytes(rate: f64) -> String {
    format!("{:.1} MB/s", rate / 1e6)
}
