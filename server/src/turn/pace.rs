use std::time::{Duration, Instant};

/// The least time between the beginnings of two turns while much comes. The kernel lets a thread sleep up to 50 µs
/// longer than it asks for (prctl(2), PR_SET_TIMERSLACK), so nothing waits for more than 1.05 ms: media is paced more
/// coarsely, and waits longer in every network.
const SPACING: Duration = Duration::from_millis(1);
/// A shorter sleep costs more than it saves.
const SHORTEST: Duration = Duration::from_micros(50);
/// How long messages are counted until their rate is known. A sender that stops for some milliseconds does not change
/// it.
pub(super) const WINDOW: Duration = Duration::from_millis(50);
/// Messages in a second from which on it pays to wait: four gather in the time between two turns. To be woken for each
/// of them takes a tenth of a processor.
const BUSY: u128 = 4_000;

/// Lets messages gather while many come. To be woken costs as much as to relay one or two of them, and those of one
/// flow that are read together leave together.
///
/// What takes longer than the time between two turns is not followed by a wait, so no capacity is lost.
#[derive(Debug)]
pub(super) struct Pace {
    since: Instant,
    messages: u32,
    busy: bool,
    /// Messages have come in the turn that ends.
    heard: bool,
}

impl Pace {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            since: now,
            messages: 0,
            busy: false,
            heard: false,
        }
    }

    /// So many messages were read; datagrams that the kernel has joined are one.
    pub(super) const fn count(&mut self, messages: usize) {
        self.messages = self.messages.saturating_add(messages as u32);
        self.heard = true;
    }

    /// How long to wait before the sockets are looked at again, after a turn that began at `began`.
    pub(super) fn pause(&mut self, began: Instant, now: Instant) -> Option<Duration> {
        let passed = now.saturating_duration_since(self.since);
        if passed >= WINDOW {
            self.busy = u128::from(self.messages) * 1_000_000_000 >= BUSY * passed.as_nanos();
            (self.since, self.messages) = (now, 0);
        }
        let heard = std::mem::take(&mut self.heard);
        let left = (began + SPACING).saturating_duration_since(now);
        (self.busy && heard && left >= SHORTEST).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURN: Duration = Duration::from_micros(100);

    /// Turns that each bring a message and take some time, one every `period`. How many of the last were followed by a
    /// wait.
    fn waits(pace: &mut Pace, at: &mut Instant, period: Duration, turn: Duration) -> usize {
        let mut waits = 0;
        for number in 0..2000 {
            let began = *at;
            pace.count(1);
            let pause = pace.pause(began, began + turn);
            assert!(pause.is_none_or(|pause| turn + pause <= SPACING));
            waits += usize::from(number >= 1000 && pause.is_some());
            *at += period;
        }
        waits
    }

    #[test]
    fn what_comes_seldom_is_never_kept_waiting() {
        let mut at = Instant::now();
        let mut pace = Pace::new(at);
        for micros in [251, 500, 1000, 100_000] {
            assert_eq!(
                waits(&mut pace, &mut at, Duration::from_micros(micros), TURN),
                0,
                "{micros}"
            );
        }
    }

    #[test]
    fn much_gathers_until_it_ends() {
        let mut at = Instant::now();
        let mut pace = Pace::new(at);
        assert_eq!(waits(&mut pace, &mut at, Duration::from_micros(249), TURN), 1000);
        // Nothing has come: whoever is next is not to wait for a sleeping thread.
        assert_eq!(pace.pause(at, at), None);
        // The first one after a silence tells that the rush is over.
        at += Duration::from_secs(1);
        pace.count(1);
        assert_eq!(pace.pause(at, at), None);
    }

    #[test]
    fn who_has_no_time_takes_no_rest() {
        let mut at = Instant::now();
        let mut pace = Pace::new(at);
        let turn = SPACING - SHORTEST + Duration::from_micros(1);
        assert_eq!(waits(&mut pace, &mut at, Duration::from_micros(100), turn), 0);
        assert_eq!(waits(&mut pace, &mut at, Duration::from_micros(100), SPACING * 2), 0);
        assert_eq!(waits(&mut pace, &mut at, Duration::from_micros(100), TURN), 1000);
    }
}
