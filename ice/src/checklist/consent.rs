#![deny(clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

use super::Checklist;
use super::pair::{MISSED, Pair, PairId};
use crate::timer::after;
use rand::Rng;
use std::time::{Duration, Instant};

/// Mean time between two requests for consent; each is drawn from 0.8 to 1.2 of it (RFC 7675 §5.1).
const INTERVAL: Duration = Duration::from_secs(5);
/// How long an answer is waited for at least until one more is asked for.
const LEAST_WAIT: Duration = Duration::from_millis(200);
/// And at most.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// After so many without an answer it is asked less often.
const HASTY: u32 = 10;

/// Consent to send (RFC 7675), on the path in use and on those that could take over.
impl Checklist {
    /// The next draw of RFC 7675 §5.1.
    pub(super) fn draw(&mut self, now: Instant, mean: Duration) -> Instant {
        let spread = f64::from(self.rng.next_u32()) / f64::from(u32::MAX);
        after(now, mean.mul_f64(0.8 + 0.4 * spread))
    }

    pub(super) fn draw_consent(&mut self, now: Instant) -> Instant {
        self.draw(now, INTERVAL)
    }

    /// How often a pair is asked; `None` when it is left alone.
    fn interval(&self, pair: &Pair) -> Option<Duration> {
        if self.selected == Some(pair.path) || self.nominated == Some(pair.id) {
            return Some(INTERVAL);
        }
        let others =
            |other: &&Pair| other.works() && self.selected != Some(other.path) && self.nominated != Some(other.id);
        let better = self
            .pairs
            .iter()
            .filter(others)
            .take_while(|other| other.id != pair.id)
            .count();
        // 4 s is the least for consent.
        let warm = self.settings.warm_interval.map(|interval| interval.max(INTERVAL));
        warm.filter(|_| better < self.settings.warm_pairs)
    }

    /// When a pair is to be asked.
    fn asked_at(&self, pair: &Pair) -> Option<Instant> {
        if !pair.works() {
            return None;
        }
        self.interval(pair)?;
        pair.ask_next
    }

    /// A pair whose turn it is.
    pub(super) fn ask_due(&self, now: Instant) -> Option<PairId> {
        let due = |pair: &&Pair| self.asked_at(pair).is_some_and(|at| at <= now);
        self.pairs.iter().find(due).map(|pair| pair.id)
    }

    /// A pair is asked: sets when it is again, regularly and if no answer comes. When one is missing on the path in use
    /// the others that work are asked at once.
    pub(super) fn ask(&mut self, now: Instant, id: PairId) {
        let Some(interval) = self.pair(id).and_then(|pair| self.interval(pair)) else {
            return;
        };
        let regular = self.draw(now, interval);
        let selected = self.selected;
        let Some(pair) = self.pair_mut(id) else { return };
        if pair.unanswered == 0 || pair.ask_regularly.is_none_or(|at| at <= now) {
            pair.ask_regularly = Some(regular);
        }
        pair.unanswered = pair.unanswered.saturating_add(1);
        pair.unanswered_since.get_or_insert(now);
        let wait = if pair.unanswered > HASTY {
            LONGEST_WAIT
        } else {
            pair.rtt
                .unwrap_or_default()
                .saturating_mul(2)
                .clamp(LEAST_WAIT, LONGEST_WAIT)
        };
        let soon = after(now, wait);
        pair.ask_next = Some(pair.ask_regularly.map_or(soon, |regular| regular.min(soon)));
        if pair.unanswered > 1 && selected == Some(pair.path) {
            self.ask_others(now, id);
        }
    }

    fn ask_others(&mut self, now: Instant, id: PairId) {
        let stale = |pair: &Pair| {
            pair.works()
                && pair.id != id
                && pair.unanswered == 0
                && pair
                    .answered
                    .is_some_and(|at| now.saturating_duration_since(at) >= LEAST_WAIT)
        };
        for pair in self.pairs.iter_mut().filter(|pair| stale(pair)) {
            pair.ask_next = Some(now);
        }
    }

    /// Something suggests that the path in use has changed: it is asked at once.
    pub(super) fn ask_selected(&mut self, now: Instant) {
        let selected = self.selected;
        for pair in self
            .pairs
            .iter_mut()
            .filter(|pair| Some(pair.path) == selected && pair.works())
        {
            if pair.unanswered == 0
                && pair
                    .answered
                    .is_some_and(|at| now.saturating_duration_since(at) >= LEAST_WAIT)
            {
                pair.ask_next = Some(now);
            }
        }
    }

    /// Ends what was waited for long enough or has no consent any more, and doubts the path in use when only others are
    /// answered.
    pub(crate) fn judge(&mut self, now: Instant) {
        let silence = self.settings.consent;
        self.give_up(now);
        self.end_connecting(now);
        let over = |answered: Option<Instant>| answered.is_some_and(|at| now.saturating_duration_since(at) >= silence);
        let ended: Vec<PairId> = self
            .pairs
            .iter()
            .filter(|pair| pair.works() && over(pair.answered))
            .map(|pair| pair.id)
            .collect();
        for id in ended {
            self.end_consent(id);
        }
        self.judge_selected();
        self.judge_previous(now);
    }

    /// Consent to send on a pair has expired or was revoked. All outstanding transactions are discarded, and nothing is
    /// sent there any more under these credentials, not even in answer to a check (RFC 7675 §5.1).
    pub(super) fn end_consent(&mut self, id: PairId) {
        self.drop_requests(id);
        self.triggered.retain(|triggered| *triggered != id);
        let Some(pair) = self.pair_mut(id) else { return };
        let (path, worked) = (pair.path, pair.works());
        pair.lose_consent();
        if worked {
            self.lost.push(path);
        }
    }

    pub(super) fn judge_selected(&mut self) {
        let Some(pair) = self.selected.and_then(|path| self.on_path(&path)) else {
            return;
        };
        let Some(since) = pair.unanswered_since.filter(|_| pair.unanswered >= MISSED) else {
            return;
        };
        let id = pair.id;
        let answers =
            |other: &Pair| other.id != id && other.works() && !other.doubtful && other.answered >= Some(since);
        if self.pairs.iter().any(answers)
            && let Some(pair) = self.pair_mut(id)
        {
            pair.doubtful = true;
            // If it is being nominated another one is instead.
            self.cancel(id);
        }
    }

    /// Whether [`is_doubtful`](Self::is_doubtful) says so of any path.
    pub(crate) fn has_doubts(&self) -> bool {
        self.previous.is_some() || self.pairs.iter().any(|pair| pair.doubtful)
    }

    pub(crate) fn is_doubtful(&self, path: &wire::Path) -> bool {
        match self.on_path(path) {
            Some(pair) if pair.works() => pair.doubtful,
            // One of before a restart, for which nobody asks.
            _ => self.previous_path().is_some_and(|previous| previous != *path),
        }
    }

    /// Whether requests on the path in use have not been answered for a while.
    pub(crate) fn is_unanswered(&self, now: Instant) -> bool {
        let pair = self.selected.and_then(|path| self.on_path(&path));
        pair.is_some_and(|pair| {
            let since = pair.unanswered_since.filter(|_| pair.unanswered > MISSED);
            since.is_some_and(|since| now.saturating_duration_since(since) >= self.settings.unanswered)
        })
    }

    /// When a pair is to be asked, or its consent ends.
    pub(super) fn consent_due(&self) -> Option<Instant> {
        let working = || self.pairs.iter().filter(|pair| pair.works());
        let asks = working().filter_map(|pair| self.asked_at(pair));
        let ends = working()
            .filter_map(|pair| pair.answered)
            .map(|at| after(at, self.settings.consent));
        asks.chain(ends).min()
    }
}
