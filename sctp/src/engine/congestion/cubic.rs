use std::time::{Duration, Instant};

/// How fast the window grows, in packets per second cubed (RFC 9438 §5.1).
const C: f64 = 0.4;
/// What is left of the window after a loss (RFC 9438 §4.6).
pub(super) const BETA: f64 = 0.7;
/// How fast the estimate of Reno's window grows, in packets per round trip: as on average it does for a sender that is left with
/// `BETA` (RFC 9438 §4.3).
const ALPHA: f64 = 3.0 * (1.0 - BETA) / (1.0 + BETA);

/// The window's course between two losses (RFC 9438 §4). All of it in bytes and seconds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cubic {
    /// `W_max`: the plateau.
    max: f64,
    /// `cwnd_prior`: the window before the last reduction.
    prior: f64,
    /// What this course began with; none before its first acknowledgement.
    epoch: Option<Epoch>,
}

#[derive(Debug, Clone, Copy)]
struct Epoch {
    /// K: when the plateau is reached, in seconds.
    k: f64,
    /// `W_est`: where Reno would be.
    reno: f64,
    /// t: seconds in which the window was used (RFC 9438 §5.8).
    elapsed: f64,
    /// The last acknowledgement, if the window was used then.
    last: Option<Instant>,
}

impl Cubic {
    /// A loss at this window: where the next course is to have its plateau (RFC 9438 §4.7: earlier when the window did not get
    /// back to the last one, so that a newcomer finds room).
    pub(super) fn reduced(&mut self, window: f64) {
        let shrinks = window < self.max;
        self.max = if shrinks {
            window * f64::midpoint(1.0, BETA)
        } else {
            window
        };
        self.prior = window;
        self.epoch = None;
    }

    /// A course that begins anew with a plateau at `max`.
    pub(super) const fn restart(&mut self, max: f64) {
        self.max = max;
        self.epoch = None;
    }

    /// Time passes in which the window is not used.
    pub(super) const fn pause(&mut self) {
        if let Some(epoch) = &mut self.epoch {
            epoch.last = None;
        }
    }

    /// The window after `bytes` of it were acknowledged (RFC 9438 §4.2 to §4.5).
    pub(super) fn grown(&mut self, now: Instant, window: f64, bytes: f64, rtt: Duration, packet: f64) -> f64 {
        let scale = C * packet;
        let epoch = self.epoch.get_or_insert_with(|| {
            self.max = self.max.max(window);
            Epoch {
                k: ((self.max - window) / scale).cbrt(),
                reno: window,
                elapsed: 0.0,
                last: None,
            }
        });
        if let Some(last) = epoch.last {
            epoch.elapsed += now.saturating_duration_since(last).as_secs_f64();
        }
        epoch.last = Some(now);
        let share = bytes / window;
        let alpha = if epoch.reno < self.prior { ALPHA } else { 1.0 };
        epoch.reno += alpha * packet * share;
        let curve = |t: f64| scale * (t - epoch.k).powi(3) + self.max;
        if curve(epoch.elapsed) < epoch.reno {
            return window.max(epoch.reno);
        }
        let target = curve(epoch.elapsed + rtt.as_secs_f64()).clamp(window, window * 1.5);
        window + (target - window) * share
    }
}
