use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Counts how many sections have a voice at once. Sound is counted where it belongs in time, which its timestamps tell, and not
/// when it came: on a busy machine what was held up comes at once, and two who spoke one after the other would be two at once.
#[derive(Debug, Default)]
pub(crate) struct Voices {
    lines: BTreeMap<String, Line>,
    /// When the first packet came.
    start: Option<Instant>,
    /// Packets of a second, by section.
    seconds: BTreeMap<u64, BTreeMap<String, u32>>,
    pub(crate) most: usize,
}

/// The clock of a section, which never jumps.
#[derive(Debug)]
struct Line {
    /// The newest timestamp, as it was received and without an end.
    newest: (u32, i64),
    /// How long after the time of its timestamp the fastest packet came, in samples from the start.
    offset: i64,
}

/// Samples a second.
const RATE: i64 = 48_000;
/// A section that gets so many of the fifty packets of a second has a voice in it: two that follow each other in one section's
/// place are not two at once.
const VOICE: u32 = 30;
/// A second is over so long after its end.
const PATIENCE: Duration = Duration::from_secs(2);
/// Seconds that are counted at a time at most; timestamps may be anything.
const MAX_SECONDS: usize = 16;

impl Voices {
    /// Takes a packet of 20 ms.
    pub(crate) fn take(&mut self, now: Instant, mid: &str, timestamp: u32) {
        let start = *self.start.get_or_insert(now);
        let arrival = samples(now.saturating_duration_since(start));
        let line = self.lines.entry(mid.to_owned()).or_insert_with(|| Line {
            newest: (timestamp, 0),
            offset: arrival,
        });
        // Serial numbers (RFC 3550 §5.1).
        let ahead = i64::from(timestamp.wrapping_sub(line.newest.0).cast_signed());
        let time = line.newest.1.saturating_add(ahead);
        if ahead > 0 {
            line.newest = (timestamp, time);
        }
        line.offset = line.offset.min(arrival.saturating_sub(time));
        let second = u64::try_from(time.saturating_add(line.offset) / RATE).unwrap_or_default();
        *self
            .seconds
            .entry(second)
            .or_default()
            .entry(mid.to_owned())
            .or_default() += 1;
        if self.seconds.len() > MAX_SECONDS {
            self.close_first();
        }
    }

    /// Looks at the seconds that are over.
    pub(crate) fn settle(&mut self, now: Instant) {
        let Some(start) = self.start else { return };
        while let Some((second, _)) = self.seconds.first_key_value()
            && now >= start + Duration::from_secs(second.saturating_add(1)) + PATIENCE
        {
            self.close_first();
        }
    }

    fn close_first(&mut self) {
        if let Some((_, packets)) = self.seconds.pop_first() {
            let voices = packets.values().filter(|packets| **packets >= VOICE).count();
            self.most = self.most.max(voices);
        }
    }
}

fn samples(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX).saturating_mul(RATE) / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: Duration = Duration::from_millis(20);

    /// Plays one section after the other, each for some packets from a time on, `late` each.
    fn most(parts: &[(&str, u32, u32)], late: impl Fn(u32) -> u32) -> usize {
        let start = Instant::now();
        let mut packets = Vec::new();
        for &(mid, from, count) in parts {
            packets.extend((from..from + count).map(|number| (late(number).max(number), number, mid)));
        }
        packets.sort_unstable();
        let mut voices = Voices::default();
        let mut now = start;
        for (arrival, number, mid) in packets {
            now = start + PACKET * arrival;
            // Each section has its own beginning.
            let begin = u32::MAX - 960 * mid.len() as u32;
            voices.take(now, mid, begin.wrapping_add(number * 960));
            voices.settle(now);
        }
        voices.settle(now + Duration::from_secs(9));
        voices.most
    }

    #[test]
    fn those_who_speak_together_are_counted() {
        assert_eq!(most(&[("a", 0, 200), ("bb", 0, 200)], |at| at), 2);
        assert_eq!(most(&[("a", 0, 200), ("bb", 0, 200), ("ccc", 100, 100)], |at| at), 3);
        // A few words only.
        assert_eq!(most(&[("a", 0, 200), ("bb", 0, 20)], |at| at), 1);
    }

    #[test]
    fn one_after_the_other_is_one_also_if_both_come_at_once() {
        let parts = [("a", 0, 125), ("bb", 0, 1), ("bb", 125, 125)];
        assert_eq!(most(&parts, |at| at), 1);
        // For a second nothing comes, then all.
        assert_eq!(most(&parts, |at| if (90..150).contains(&at) { 150 } else { at }), 1);
    }

    #[test]
    fn any_timestamps_are_bounded() {
        let now = Instant::now();
        let mut voices = Voices::default();
        for number in 0..1000_u32 {
            voices.take(now, "a", number.wrapping_mul(0x7fff_fff0));
            assert!(voices.seconds.len() <= MAX_SECONDS);
        }
        voices.settle(now + Duration::from_secs(60));
    }
}
