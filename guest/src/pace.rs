use std::time::{Duration, Instant};

/// Holds the timestamps of a section to the time that passes: its clock is one line, so none of them is ahead of the
/// others by more than jitter.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// When the first packet came.
    start: Option<Instant>,
    /// The newest timestamp, as it was received and in ticks from the first.
    newest: (u32, i64),
    /// How long after the time of its timestamp the fastest packet came, in microseconds.
    least: i64,
}

/// By so much a timestamp may be ahead of the fastest packet. A server may place a picture 150 ms ahead of where it was
/// (`docs/sfu.md`); the rest is for a busy machine.
const SLACK: Duration = Duration::from_secs(1);
/// The same for pictures as long as none may have been fast: a server places those that it knows to be taken before by
/// up to 2 s (`docs/sfu.md`), which a busy publisher's first one may be, and the next is in time.
const SLACK_AT_FIRST: Duration = Duration::from_secs(3);
/// So long after the first packet some have been fast.
const AT_FIRST: Duration = Duration::from_secs(3);

impl Pace {
    /// Takes the timestamp of a packet whose number is higher than all before. True when it is ahead of the time that
    /// passed.
    pub(crate) fn runs_ahead(&mut self, now: Instant, timestamp: u32, clock_rate: u32, video: bool) -> bool {
        let Some(start) = self.start else {
            self.start = Some(now);
            self.newest = (timestamp, 0);
            return false;
        };
        // Serial numbers (RFC 3550 §5.1).
        let step = i64::from(timestamp.wrapping_sub(self.newest.0).cast_signed());
        let time = self.newest.1.saturating_add(step);
        self.newest = (timestamp, time);
        let since = micros(now.saturating_duration_since(start));
        let late = since.saturating_sub(time.saturating_mul(1_000_000) / i64::from(clock_rate.max(1)));
        let slack = if video && since < micros(AT_FIRST) {
            SLACK_AT_FIRST
        } else {
            SLACK
        };
        let ahead = self.least.saturating_sub(late) > micros(slack);
        // From a new place on, so that one leap is one fault.
        self.least = self.least.min(late);
        ahead
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 90_000;

    /// How many of these pictures are ahead, each of a time of arrival and one of its timestamp, in milliseconds.
    fn leaps(packets: &[(u64, u32)]) -> usize {
        leaps_of(packets, true)
    }

    fn leaps_of(packets: &[(u64, u32)], video: bool) -> usize {
        let start = Instant::now();
        let mut pace = Pace::default();
        let ahead = packets.iter().filter(|(arrival, time)| {
            let timestamp = 0xffff_0000_u32.wrapping_add(time * 90);
            pace.runs_ahead(start + Duration::from_millis(*arrival), timestamp, RATE, video)
        });
        ahead.count()
    }

    #[test]
    fn a_leap_ahead_is_one_fault() {
        assert_eq!(leaps(&[(0, 0), (4000, 4000), (4040, 4040), (4080, 5080)]), 0);
        assert_eq!(
            leaps(&[(0, 0), (4000, 4000), (4040, 5041), (4080, 5081), (4120, 5121)]),
            1
        );
        assert_eq!(leaps(&[(0, 0), (4000, 5001), (4040, 7000), (4080, 7040)]), 2);
        // The time that passed meanwhile is no leap.
        assert_eq!(leaps(&[(0, 0), (9000, 10_000)]), 0);
        assert_eq!(leaps(&[(0, 0), (9000, 10_001)]), 1);
    }

    #[test]
    fn what_was_held_up_is_late_and_not_ahead() {
        // For three seconds nothing comes, then all at once, then as before.
        let held: Vec<_> = (0..200_u32)
            .map(|n| (u64::from(n * 40).max(if n > 20 { 3800 } else { 0 }), n * 40))
            .collect();
        assert_eq!(leaps(&held), 0);
        // Also if the first packet was among those.
        let held: Vec<_> = (0..200_u32).map(|n| (u64::from(n * 40).max(3000), n * 40)).collect();
        assert_eq!(leaps(&held), 0);
        // Nor is it a leap when one that is in time follows one that is late.
        assert_eq!(leaps(&[(0, 0), (2000, 40), (2040, 2040)]), 0);
        // Behind those that are late a leap is one still.
        assert_eq!(leaps(&[(0, 0), (4000, 40), (4000, 80), (4000, 5001)]), 1);
    }

    #[test]
    fn at_first_all_may_have_been_late() {
        // Pictures that waited for their encoder are followed by one that did not.
        assert_eq!(leaps(&[(0, 0), (0, 40), (0, 80), (10, 2090), (50, 2130)]), 0);
        assert_eq!(leaps(&[(0, 0), (2999, 5999), (3040, 6040)]), 0);
        assert_eq!(leaps(&[(0, 0), (2999, 6000), (3040, 6041)]), 1);
        // Sound waits for no encoder.
        assert_eq!(leaps_of(&[(0, 0), (10, 1010)], false), 0);
        assert_eq!(leaps_of(&[(0, 0), (10, 1011)], false), 1);
        // Later some have been in time.
        assert_eq!(leaps(&[(0, 0), (3000, 4000)]), 0);
        assert_eq!(leaps(&[(0, 0), (3000, 4001)]), 1);
    }

    #[test]
    fn any_timestamps_are_taken() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        for number in 0..100_000_u32 {
            pace.runs_ahead(now, number.wrapping_mul(0x7fff_fff0), number % 3, true);
        }
    }
}
