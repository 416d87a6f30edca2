use std::time::{Duration, Instant};

/// Reports are judged over so long at least: they come about once a second for each slot, in packets of their own.
const CHUNK: Duration = Duration::from_millis(500);
/// Of fewer packets nothing can be said.
const ENOUGH: u64 = 10;
/// A link that loses more than this, of a thousand packets, for so long is not worth pictures.
const BAD: u64 = 100;
const BAD_FOR: Duration = Duration::from_secs(2);
/// Judgements that lie further apart say nothing of the time between them.
const GAP: Duration = Duration::from_secs(3);
/// So long only sound is sent, then it is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// What a participant's reports say of the link to it: whether it carries pictures.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Link {
    /// What was reported since the last judgement, and when that was.
    chunk: Loss,
    since: Option<Instant>,
    /// Since when all judgements were bad, and what was lost in that time.
    bad_since: Option<Instant>,
    bad: Loss,
    /// The last judgement, and when it was made.
    last: Loss,
    judged: Option<Instant>,
    /// When pictures are tried again, while only sound is sent.
    retry: Option<Instant>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Loss {
    expected: u64,
    lost: u64,
}

impl Loss {
    fn add(&mut self, other: Self) {
        self.expected += other.expected;
        self.lost += other.lost;
    }

    const fn per_mille(self) -> u64 {
        match (self.lost * 1000).checked_div(self.expected) {
            Some(lost) => lost,
            None => 0,
        }
    }
}

impl Link {
    /// Whether only sound is sent.
    pub(crate) const fn is_audio_only(&self) -> bool {
        self.retry.is_some()
    }

    /// When it is to be looked at though nothing is reported.
    pub(crate) const fn due(&self) -> Option<Instant> {
        self.retry
    }

    /// What was lost of late, of a thousand packets.
    pub(crate) fn lost_per_mille(&self) -> u16 {
        let loss = if self.bad.expected > 0 { self.bad } else { self.last };
        u16::try_from(loss.per_mille()).unwrap_or(1000).min(1000)
    }

    /// The participant should have received so many packets of one slot since its report before, and lost so many of them.
    pub(crate) fn report(&mut self, now: Instant, expected: u32, lost: u32) {
        self.chunk.add(Loss {
            expected: u64::from(expected),
            lost: u64::from(lost.min(expected)),
        });
        self.since.get_or_insert(now);
    }

    /// Judges what was reported; after each datagram, so that all that was reported together counts together. Returns whether
    /// pictures should not be sent any more.
    pub(crate) fn is_bad(&mut self, now: Instant) -> bool {
        // Only with a new judgement: that time passes and nothing is reported is no evidence.
        self.judge(now)
            && self
                .bad_since
                .is_some_and(|since| now.saturating_duration_since(since) >= BAD_FOR)
    }

    /// Returns whether there was enough for another judgement.
    fn judge(&mut self, now: Instant) -> bool {
        let age = self.since.map(|since| now.saturating_duration_since(since));
        if age.is_none_or(|age| age < CHUNK) || self.chunk.expected < ENOUGH {
            return false;
        }
        self.last = std::mem::take(&mut self.chunk);
        self.since = Some(now);
        let before = self.judged.replace(now);
        if before.is_some_and(|before| now.saturating_duration_since(before) > GAP) {
            self.bad_since = None;
            self.bad = Loss::default();
        }
        if self.last.per_mille() <= BAD || self.is_audio_only() {
            self.bad_since = None;
            self.bad = Loss::default();
            return true;
        }
        // From now and not from the beginning of what was judged: each slot is reported on at another time, and a moment's
        // loss is spread over the reports of two seconds.
        self.bad_since.get_or_insert(now);
        self.bad.add(self.last);
        true
    }

    /// From now on only sound is sent.
    pub(crate) fn give_up(&mut self, now: Instant) {
        self.retry = Some(now + RETRY);
        self.last = self.bad;
        self.begin(now);
    }

    /// Whether pictures are to be tried again; they are from now on.
    pub(crate) fn try_again(&mut self, now: Instant) -> bool {
        let due = self.retry.is_some_and(|retry| retry <= now);
        if due {
            self.retry = None;
            self.begin(now);
        }
        due
    }

    fn begin(&mut self, now: Instant) {
        self.chunk = Loss::default();
        self.since = Some(now);
        self.bad_since = None;
        self.bad = Loss::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reports once a second for each of two slots, with such losses in percent; tells when it was given up and tried again.
    fn run(losses: impl Fn(u64) -> u32, seconds: u64) -> Vec<(u64, bool)> {
        let start = Instant::now();
        let (mut link, mut changes) = (Link::default(), Vec::new());
        for second in 0..seconds {
            let now = start + Duration::from_secs(second);
            if link.try_again(now) {
                changes.push((second, false));
            }
            for _ in 0..2 {
                link.report(now, 100, losses(second));
            }
            if link.is_bad(now) {
                link.give_up(now);
                changes.push((second, true));
            }
        }
        changes
    }

    #[test]
    fn what_is_bad_for_two_seconds_gets_only_sound_and_is_tried_again() {
        assert_eq!(run(|_| 10, 60), []);
        let for_a_while = |second| if (5..8).contains(&second) { 50 } else { 0 };
        assert_eq!(run(for_a_while, 60), [(7, true), (17, false)]);
        assert_eq!(
            run(|second| if (5..7).contains(&second) { 90 } else { 0 }, 60),
            [],
            "a moment only"
        );
        let for_ever = |second| if second < 5 { 0 } else { 20 };
        assert_eq!(
            run(for_ever, 35),
            [(7, true), (17, false), (20, true), (30, false), (33, true)]
        );
    }

    /// What it is after these reports, at such times in milliseconds: a hundred packets, of which so many were lost.
    fn judged(reports: &[(u64, u32)]) -> Vec<bool> {
        let start = Instant::now();
        let mut link = Link::default();
        link.report(start, 100, 0);
        link.is_bad(start + CHUNK);
        let judge = |&(ms, lost): &(u64, u32)| {
            let now = start + CHUNK + Duration::from_millis(ms);
            if lost > 0 {
                link.report(now, 100, lost);
            }
            link.is_bad(now)
        };
        reports.iter().map(judge).collect()
    }

    #[test]
    fn time_alone_is_no_evidence() {
        // Datagrams without a report.
        assert_eq!(judged(&[(1000, 90), (2000, 0), (3000, 0), (3500, 0)]), [false; 4]);
        assert_eq!(judged(&[(1000, 90), (2000, 90), (3000, 90)]), [false, false, true]);
        assert_eq!(judged(&[(1000, 90), (3500, 90)]), [false, true]);
        // Of the time between two moments that lie far apart nothing is known.
        assert_eq!(judged(&[(1000, 90), (4500, 90), (5500, 90)]), [false; 3]);
        assert_eq!(
            judged(&[(1000, 90), (4500, 90), (5500, 90), (6500, 90)]),
            [false, false, false, true]
        );
    }

    #[test]
    fn it_tells_how_much_is_lost() {
        let start = Instant::now();
        let mut link = Link::default();
        assert_eq!(link.lost_per_mille(), 0);
        for second in 0..4 {
            let now = start + Duration::from_secs(second);
            link.report(now, 100, 25);
            if link.is_bad(now) {
                link.give_up(now);
            }
        }
        assert!(link.is_audio_only());
        assert_eq!(link.lost_per_mille(), 250);
        // More lost than there was.
        let later = start + Duration::from_secs(5);
        link.report(later, 10, u32::MAX);
        assert!(!link.is_bad(later));
        assert_eq!(link.lost_per_mille(), 1000);
    }
}
