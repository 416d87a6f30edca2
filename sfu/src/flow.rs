use std::time::{Duration, Instant};

/// A layer that missed so much of what other layers of its source had has stopped.
const STALL: Duration = Duration::from_millis(700);
/// What comes of another layer so soon after a packet may be of the same picture.
const SAME: Duration = Duration::from_millis(50);
/// A layer that stopped while somebody looked at it is trusted again after it came for so long: an upper layer that the
/// publisher's link just does not carry would otherwise be chosen and lost again every second.
const STEADY: Duration = Duration::from_secs(1);

/// Whether a layer of simulcast comes: publishers leave layers out when processor or link are short, and when they are
/// told that nobody wants them. It is told by the others of its source: pictures of a screen at rest come once a
/// second.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Flow {
    /// The last packet.
    last: Option<Instant>,
    /// The first packet since it had stopped; `None` while it has.
    since: Option<Instant>,
    /// The first packet of another layer after the last of this one, which may come yet.
    missed: Option<Instant>,
    /// It stopped while it was wanted, and is not trusted yet.
    unsteady: bool,
}

impl Flow {
    /// Whether it can be chosen.
    pub(crate) const fn is_usable(&self) -> bool {
        self.since.is_some() && !self.unsteady
    }

    /// When the last packet came.
    pub(crate) const fn last(&self) -> Option<Instant> {
        self.last
    }

    /// A packet came. Returns whether it can be chosen now and could not before.
    pub(crate) fn packet(&mut self, now: Instant) -> bool {
        let before = self.is_usable();
        self.last = Some(now);
        self.missed = None;
        let since = *self.since.get_or_insert(now);
        self.unsteady &= now.saturating_duration_since(since) < STEADY;
        self.is_usable() != before
    }

    /// A packet of another layer came; `wanted` tells whether somebody gets this one, or is to. Returns whether it
    /// could be chosen before and cannot now.
    pub(crate) fn other(&mut self, now: Instant, wanted: bool) -> bool {
        let before = self.is_usable();
        if self.since.is_none() || self.last.is_some_and(|last| now.saturating_duration_since(last) < SAME) {
            return false;
        }
        let missed = *self.missed.get_or_insert(now);
        if now.saturating_duration_since(missed) >= STALL {
            self.since = None;
            // What nobody wants stops because it was told to.
            self.unsteady |= wanted;
        }
        self.is_usable() != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A layer that comes at some times, beside another that comes always, each so often: when it can be chosen.
    fn usable(every: u64, comes: impl Fn(u64) -> bool, wanted: bool, at: &[u64]) -> Vec<bool> {
        let start = Instant::now();
        let mut flow = Flow::default();
        let mut seen = Vec::new();
        for ms in 0..8000 {
            let now = start + Duration::from_millis(ms);
            if ms % every == 0 {
                flow.other(now, wanted);
            }
            // The larger picture is there a little later.
            if ms % every == 20 % every && comes(ms) {
                flow.packet(now);
            }
            if at.contains(&ms) {
                seen.push(flow.is_usable());
            }
        }
        seen
    }

    #[test]
    fn it_stops_after_a_while_and_comes_back() {
        let comes = |ms| !(2000..3000).contains(&ms);
        let at = [10, 100, 2600, 2900, 3900, 4200];
        let expected = [false, true, true, false, false, true];
        assert_eq!(usable(40, comes, true, &at), expected, "not trusted at once");
        let expected = [false, true, true, false, true, true];
        assert_eq!(
            usable(40, comes, false, &at),
            expected,
            "it stopped because nobody wanted it"
        );
    }

    #[test]
    fn one_that_stutters_is_not_chosen() {
        // For half a second in each second and a half.
        let comes = |ms| ms % 1500 < 500;
        let at = [400, 1400, 1700, 2400, 3200, 4700, 4900];
        let expected = [true, false, false, false, false, false, false];
        assert_eq!(usable(40, comes, true, &at), expected);
    }

    #[test]
    fn a_picture_a_second_is_enough() {
        let at = [500, 1500, 3999, 4010, 7900];
        assert_eq!(usable(1000, |_| true, true, &at), [true; 5]);
        assert_eq!(
            usable(1000, |ms| ms < 3000, true, &at),
            [true, true, true, false, false]
        );
    }
}
