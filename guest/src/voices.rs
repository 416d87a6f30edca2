use std::collections::BTreeMap;

/// Counts how many sections have a voice at once, in the order in which packets come, which is that in which the server
/// sends them. Neither the time at which they come tells it, since on a busy machine those of a second come at once,
/// nor do their timestamps: a publisher that was held up is replaced meanwhile, and then sends what it has recorded at
/// the same time as the other.
#[derive(Debug, Default)]
pub(crate) struct Voices {
    runs: BTreeMap<String, Run>,
    /// How many packets came in all sections.
    count: u64,
    pub(crate) most: usize,
}

/// Packets of a section that follow each other without a pause.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// The numbers of the first and the last in all that came.
    first: u64,
    last: u64,
    /// The newest.
    timestamp: u32,
}

/// Who is replaced makes a pause: in the timestamps, of more than 100 ms (a packet or four may be lost), ...
const PAUSE_SAMPLES: u32 = 4800;
/// ... or while so many packets of others come.
const PAUSE_PACKETS: u64 = 40;
/// Voices are at once when so many packets come, of these sections and of others, while they all go on: three in a row
/// are one after the other, even if their ends touch. Of four voices they are half a second.
const SPAN: u64 = 100;

impl Voices {
    /// Takes a packet of 20 ms that is none that was sent again.
    pub(crate) fn take(&mut self, mid: &str, timestamp: u32) {
        self.count += 1;
        let new = Run {
            first: self.count,
            last: self.count,
            timestamp,
        };
        let run = self.runs.entry(mid.to_owned()).or_insert(new);
        // Serial numbers (RFC 3550 §5.1); one that was overtaken steps back.
        let step = timestamp.wrapping_sub(run.timestamp).cast_signed();
        if step.unsigned_abs() > PAUSE_SAMPLES || self.count - run.last > PAUSE_PACKETS {
            *run = new;
        } else {
            run.last = self.count;
            run.timestamp = run.timestamp.wrapping_add_signed(step.max(0));
        }
        self.most = self.most.max(self.at_once());
    }

    /// How many go on over the same span of packets.
    fn at_once(&self) -> usize {
        let over = |first: u64| {
            let runs = self.runs.values();
            runs.filter(|run| run.first <= first && run.last >= first + SPAN)
                .count()
        };
        self.runs.values().map(|run| over(run.first)).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays one section after the other, each for some packets from a time on, `late` each.
    fn most(parts: &[(&str, u32, u32)], late: impl Fn(&str, u32) -> u32) -> usize {
        let mut packets = Vec::new();
        for &(mid, from, count) in parts {
            packets.extend((from..from + count).map(|number| (late(mid, number).max(number), number, mid)));
        }
        packets.sort_unstable();
        let mut voices = Voices::default();
        for (_, number, mid) in packets {
            // Each section has its own beginning.
            let begin = u32::MAX - 960 * mid.len() as u32;
            voices.take(mid, begin.wrapping_add(number * 960));
        }
        voices.most
    }

    #[test]
    fn those_who_speak_together_are_counted() {
        let in_time = |_: &str, at| at;
        assert_eq!(most(&[("a", 0, 200), ("bb", 0, 200)], in_time), 2);
        assert_eq!(most(&[("a", 0, 200), ("bb", 0, 200), ("ccc", 100, 100)], in_time), 3);
        // Half a second is enough for the fourth, and some packets are lost.
        let lossy = [
            ("a", 0, 200),
            ("bb", 0, 50),
            ("bb", 54, 146),
            ("ccc", 0, 200),
            ("dddd", 100, 27),
        ];
        assert_eq!(most(&lossy, in_time), 4);
        // One comes at last: the fourth goes on all the same.
        let overtaken = |_: &str, at| if at % 10 == 5 { at + 2 } else { at };
        assert_eq!(most(&lossy, overtaken), 4);
        // A few words only.
        assert_eq!(most(&[("a", 0, 200), ("bb", 0, 20)], in_time), 1);
    }

    #[test]
    fn one_after_the_other_is_one() {
        let parts = [("a", 0, 125), ("bb", 0, 1), ("bb", 125, 125)];
        assert_eq!(most(&parts, |_, at| at), 1);
        // For a second nothing comes, then all, in the order in which it was sent.
        assert_eq!(most(&parts, |_, at| if (90..150).contains(&at) { 150 } else { at }), 1);
        // Turns in the same two sections.
        let turns: Vec<_> = (0..8).map(|n| (["a", "bb"][n as usize % 2], 125 * n, 125)).collect();
        assert_eq!(most(&turns, |_, at| at), 1);
    }

    #[test]
    fn who_was_held_up_and_replaced_meanwhile_was_not_heard_with_the_other() {
        // Between two parts of the first the other is heard; then comes what the first has recorded meanwhile.
        let parts = [("a", 0, 360), ("bb", 101, 199)];
        let held = |mid: &str, at| {
            if mid == "a" && (101..300).contains(&at) {
                300
            } else {
                at
            }
        };
        assert_eq!(most(&parts, held), 1);
        assert_eq!(most(&parts, |_, at| at), 2);
    }
}
