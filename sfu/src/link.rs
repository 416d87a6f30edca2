use std::time::{Duration, Instant};

use crate::Trouble;

/// Reports are judged over so long at least: they come about once a second for each slot, in packets of their own.
const CHUNK: Duration = Duration::from_millis(500);
/// Of fewer packets nothing can be said.
const ENOUGH: u64 = 10;
/// A link that loses more than this, of a thousand packets, for so long is not worth pictures.
const BAD: u64 = 100;
const BAD_FOR: Duration = Duration::from_secs(2);
/// Nor is one with a longer round trip: not even one by two satellites takes so long. Something queues, a link or a
/// machine that cannot keep up, and it may do so without ever losing anything.
const LATE: Duration = Duration::from_secs(2);
/// Judgements that lie further apart say nothing of the time between them.
const GAP: Duration = Duration::from_secs(3);
/// So long only sound is sent, then it is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// What a participant's reports say of the link to it: whether it carries pictures.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Link {
    /// What was reported since the last judgement of losses, and the quickest round trip since the last of lateness.
    chunk: Loss,
    quickest: Option<Duration>,
    losing: Streak,
    late: Streak,
    /// What was lost while all judgements were bad, and in the last one.
    bad: Loss,
    last: Loss,
    /// While only sound is sent: why, and when pictures are tried again.
    given_up: Option<(Trouble, Instant)>,
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

/// Judgements of one thing, one after the other.
#[derive(Debug, Clone, Copy, Default)]
struct Streak {
    /// Since when there is something to be judged.
    since: Option<Instant>,
    /// When the last judgement was made.
    judged: Option<Instant>,
    /// Since when all were bad.
    bad_since: Option<Instant>,
}

impl Streak {
    fn report(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// Whether what was reported spans enough time.
    fn is_due(&self, now: Instant) -> bool {
        self.since
            .is_some_and(|since| now.saturating_duration_since(since) >= CHUNK)
    }

    /// Another judgement, which speaks of so much time before it.
    fn judge(&mut self, now: Instant, bad: bool, gap: Duration) {
        self.since = Some(now);
        let before = self.judged.replace(now);
        if !bad || before.is_some_and(|before| now.saturating_duration_since(before) > gap) {
            self.bad_since = None;
        }
        if bad {
            // From now and not from the beginning of what was judged: each slot is reported on at another time, and a
            // moment's loss is spread over the reports of two seconds.
            self.bad_since.get_or_insert(now);
        }
    }

    /// Whether all judgements were bad for long enough.
    fn lasts(&self, now: Instant) -> bool {
        self.bad_since
            .is_some_and(|since| now.saturating_duration_since(since) >= BAD_FOR)
    }

    fn begin(&mut self, now: Instant) {
        self.since = Some(now);
        self.bad_since = None;
    }
}

impl Link {
    /// Why only sound is sent, if that is so.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        self.given_up.map(|(trouble, _)| trouble)
    }

    /// When it is to be looked at though nothing is reported.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.given_up.map(|(_, retry)| retry)
    }

    /// What was lost of late, of a thousand packets.
    pub(crate) fn lost_per_mille(&self) -> u16 {
        let loss = if self.bad.expected > 0 { self.bad } else { self.last };
        u16::try_from(loss.per_mille()).unwrap_or(1000).min(1000)
    }

    /// The participant should have received so many packets of one slot since its report before, and lost so many of
    /// them.
    pub(crate) fn report(&mut self, now: Instant, expected: u32, lost: u32) {
        self.chunk.add(Loss {
            expected: u64::from(expected),
            lost: u64::from(lost.min(expected)),
        });
        self.losing.report(now);
    }

    /// A report proves this round trip.
    pub(crate) fn round_trip(&mut self, now: Instant, round_trip: Duration) {
        self.quickest = Some(self.quickest.map_or(round_trip, |other| other.min(round_trip)));
        self.late.report(now);
    }

    /// Judges what was reported; after each datagram, so that all that was reported together counts together. Returns
    /// why pictures should not be sent any more, if that is so.
    pub(crate) fn judge(&mut self, now: Instant) -> Option<Trouble> {
        // Only with a new judgement: that time passes and nothing is reported is no evidence.
        if self.judge_loss(now) && self.losing.lasts(now) {
            return Some(Trouble::Loss);
        }
        (self.judge_lateness(now) && self.late.lasts(now)).then_some(Trouble::Late)
    }

    /// Returns whether there was enough for another judgement.
    fn judge_loss(&mut self, now: Instant) -> bool {
        if !self.losing.is_due(now) || self.chunk.expected < ENOUGH {
            return false;
        }
        self.last = std::mem::take(&mut self.chunk);
        let bad = self.last.per_mille() > BAD && self.given_up.is_none();
        self.losing.judge(now, bad, GAP);
        if self.losing.bad_since.is_none_or(|since| since == now) {
            self.bad = Loss::default();
        }
        if bad {
            self.bad.add(self.last);
        }
        true
    }

    /// Likewise.
    fn judge_lateness(&mut self, now: Instant) -> bool {
        if !self.late.is_due(now) {
            return false;
        }
        let Some(quickest) = self.quickest.take() else {
            return false;
        };
        let late = quickest > LATE;
        if let Some((_, retry)) = self.given_up.as_mut().filter(|_| late) {
            // Pictures would only be queued as well.
            *retry = now + RETRY;
        }
        // Who is late reports late: what was on its way since the judgement before speaks of all the time between.
        self.late.judge(now, late && self.given_up.is_none(), quickest.max(GAP));
        true
    }

    /// From now on only sound is sent.
    pub(crate) fn give_up(&mut self, now: Instant, trouble: Trouble) {
        self.given_up = Some((trouble, now + RETRY));
        if self.bad.expected > 0 {
            self.last = self.bad;
        }
        self.begin(now);
    }

    /// Whether pictures are to be tried again; they are from now on.
    pub(crate) fn try_again(&mut self, now: Instant) -> bool {
        let due = self.given_up.is_some_and(|(_, retry)| retry <= now);
        if due {
            self.given_up = None;
            self.begin(now);
        }
        due
    }

    fn begin(&mut self, now: Instant) {
        self.chunk = Loss::default();
        self.bad = Loss::default();
        self.quickest = None;
        self.losing.begin(now);
        self.late.begin(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reports once a second for each of two slots, with such losses in percent; tells when it was given up and tried
    /// again.
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
            if let Some(trouble) = link.judge(now) {
                assert_eq!(trouble, Trouble::Loss);
                link.give_up(now, trouble);
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
        link.judge(start + CHUNK);
        let judge = |&(ms, lost): &(u64, u32)| {
            let now = start + CHUNK + Duration::from_millis(ms);
            if lost > 0 {
                link.report(now, 100, lost);
            }
            link.judge(now).is_some()
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
            if let Some(trouble) = link.judge(now) {
                link.give_up(now, trouble);
            }
        }
        assert_eq!(link.trouble(), Some(Trouble::Loss));
        assert_eq!(link.lost_per_mille(), 250);
        // More lost than there was.
        let later = start + Duration::from_secs(5);
        link.report(later, 10, u32::MAX);
        assert_eq!(link.judge(later), None);
        assert_eq!(link.lost_per_mille(), 1000);
    }

    /// Reports once a second for each of two slots, with these round trips in milliseconds; tells when it was given up
    /// and tried again.
    fn run_late(round_trips: impl Fn(u64) -> Vec<u64>, seconds: u64) -> Vec<(u64, bool)> {
        let start = Instant::now();
        let (mut link, mut changes) = (Link::default(), Vec::new());
        for second in 0..seconds {
            let now = start + Duration::from_secs(second);
            if link.try_again(now) {
                changes.push((second, false));
            }
            link.report(now, 100, 0);
            for round_trip in round_trips(second) {
                link.round_trip(now, Duration::from_millis(round_trip));
            }
            if let Some(trouble) = link.judge(now) {
                assert_eq!(trouble, Trouble::Late);
                link.give_up(now, trouble);
                changes.push((second, true));
            }
            assert_eq!(link.due().is_some(), link.trouble().is_some());
        }
        changes
    }

    fn late_from_to(from: u64, to: u64) -> impl Fn(u64) -> Vec<u64> {
        move |second| vec![if (from..to).contains(&second) { 4000 } else { 50 }; 2]
    }

    #[test]
    fn what_is_late_for_two_seconds_gets_only_sound_until_it_is_quick_again() {
        assert_eq!(run_late(late_from_to(5, 8), 60), [(7, true), (17, false)]);
        assert_eq!(run_late(late_from_to(5, 7), 60), [], "a moment only");
        // What waited is late still, for a while; the last such report is that of the twelfth second.
        assert_eq!(run_late(late_from_to(5, 13), 60), [(7, true), (22, false)]);
        assert_eq!(run_late(late_from_to(5, 100), 100), [(7, true)]);
        let twice = |second| vec![if matches!(second, 5..8 | 17..30) { 2100 } else { 2000 }];
        assert_eq!(
            run_late(twice, 60),
            [(7, true), (17, false), (20, true), (39, false)],
            "late again"
        );
    }

    #[test]
    fn the_quickest_report_counts() {
        assert_eq!(run_late(|_| vec![9000, 1900], 60), []);
        assert_eq!(run_late(|_| vec![1900, 9000], 60), []);
        assert_eq!(run_late(|_| vec![2000], 60), []);
        assert_eq!(run_late(|_| vec![9000, 2001], 60)[0], (3, true));
        assert_eq!(run_late(|_| vec![], 60), [], "nothing is proven");
    }

    #[test]
    fn whoever_does_not_report_any_more_is_tried_again() {
        let round_trips = |second| if second < 5 { vec![3000] } else { vec![] };
        assert_eq!(run_late(round_trips, 60), [(3, true), (14, false)]);
    }

    /// Whether it is too late after each of these reports: when they come and what they prove, in milliseconds.
    fn judged_late(reports: &[(u64, Option<u64>)]) -> Vec<bool> {
        let start = Instant::now();
        let mut link = Link::default();
        let judge = |&(ms, round_trip): &(u64, Option<u64>)| {
            let now = start + Duration::from_millis(ms);
            if let Some(ms) = round_trip {
                link.round_trip(now, Duration::from_millis(ms));
            }
            link.judge(now) == Some(Trouble::Late)
        };
        reports.iter().map(judge).collect()
    }

    #[test]
    fn late_reports_speak_of_the_time_on_their_way() {
        let begin = [(0, Some(50)), (500, None)];
        let judged = |rest: &[(u64, Option<u64>)]| judged_late(&[&begin, rest].concat())[2..].to_vec();
        // Datagrams without a report.
        assert_eq!(judged(&[(1000, Some(2500)), (3000, None), (3500, None)]), [false; 3]);
        assert_eq!(judged(&[(1000, Some(2500)), (3000, Some(2500))]), [false, true]);
        // Of a while between them nothing is known.
        assert_eq!(judged(&[(1000, Some(2500)), (5000, Some(2500))]), [false, false]);
        assert_eq!(judged(&[(1000, Some(2500)), (5000, Some(4500))]), [false, true]);
    }
}
