//! What a receiver asks for again (generic NACK, RFC 4585 §6.2.1): which packets of a stream are missing, when they are
//! to be asked for, and when that is pointless.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use std::boxed::Box;
use std::time::{Duration, Instant};
use std::vec;

use wire::Serial;

/// A gap is asked for after the time in which reordered packets still come, which is never taken for less or more.
const MIN_PATIENCE: Duration = Duration::from_millis(10);
const MAX_PATIENCE: Duration = Duration::from_millis(20);
/// Distance of two requests of one stream, whatever they are for: so many NACKs a second it sends at most.
const INTERVAL: Duration = Duration::from_millis(10);
/// A packet is not asked for again sooner than this, however short the round trip is.
const MIN_PAUSE: Duration = Duration::from_millis(20);
/// A round trip that nobody has measured yet.
const DEFAULT_ROUND_TRIP: Duration = Duration::from_millis(100);
/// A packet is asked for so often at most.
const MAX_REQUESTS: u8 = 10;
/// Packets that may be missing at once. With a larger gap it is an outage: a key frame has fewer packets and is of more
/// use.
const MAX_MISSING: usize = 256;
/// How many of the last sequence numbers are remembered: a power of two. Replay windows of SRTP are larger, so that
/// what is asked for still opens.
const WINDOW: u64 = 1024;
const WORDS: usize = 16;

/// The missing packets of one received stream.
///
/// Sequence numbers are the extended ones of the stream itself: a retransmission (RFC 4588) counts by that of the
/// packet which it carries. Memory is taken once; a packet costs constant time, a request some more for each packet
/// that is missing.
#[derive(Debug, Clone)]
pub struct MissingPackets {
    /// From here entries count microseconds.
    epoch: Instant,
    /// The first sequence number and the highest one.
    range: Option<(u64, u64)>,
    /// Whether each number of the window was received.
    received: Bits,
    /// Whether it is missing and still to be asked for.
    missing: Bits,
    /// By sequence number modulo the window; means something where it is missing.
    entries: Box<[Entry]>,
    len: usize,
    /// How late reordered packets were, decaying.
    reordering: Duration,
    /// How long retransmissions took, smoothed.
    answer: Option<Duration>,
    /// When the earliest request is due; may be earlier than that, but is never later.
    due: Option<Instant>,
    /// No request is made before this.
    not_before: Option<Instant>,
    gave_up: bool,
    statistics: RepairStatistics,
}

/// A missing packet. Times are microseconds after the epoch.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    /// When a later packet showed that it is missing.
    noticed: u64,
    /// When it was asked for last.
    asked: u64,
    /// When it is to be asked for next, or given up.
    due: u64,
    requests: u8,
}

/// What was done about losses of one received stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RepairStatistics {
    /// Requests that were made, each for any number of packets.
    pub nacks_sent: u64,
    /// Packets that came after they had been asked for.
    pub packets_repaired: u64,
    /// Packets that did not come however often they were asked for, or were too many to be asked for.
    pub packets_given_up: u64,
    /// Packets that came again, on which nothing was done.
    pub packets_duplicated: u64,
}

impl RepairStatistics {
    /// Adds those of another stream.
    pub fn absorb(&mut self, other: &Self) {
        let Self {
            nacks_sent,
            packets_repaired,
            packets_given_up,
            packets_duplicated,
        } = other;
        for (own, other) in [
            (&mut self.nacks_sent, nacks_sent),
            (&mut self.packets_repaired, packets_repaired),
            (&mut self.packets_given_up, packets_given_up),
            (&mut self.packets_duplicated, packets_duplicated),
        ] {
            *own = own.saturating_add(*other);
        }
    }

    /// Hands the name and the value of each to `visit`.
    pub fn each(&self, visit: &mut dyn FnMut(&'static str, u64)) {
        visit("repair_nacks_sent", self.nacks_sent);
        visit("repair_packets_repaired", self.packets_repaired);
        visit("repair_packets_given_up", self.packets_given_up);
        visit("repair_packets_duplicated", self.packets_duplicated);
    }
}

/// What a packet was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// The next one, or a later one: what lies between is missing now.
    New,
    /// As [`New`](Self::New), but so much is missing before it that nothing of that is asked for.
    Outage,
    /// One that was missing.
    Filled {
        /// It was asked for.
        asked: bool,
    },
    /// An old one that is not known to have been there: from before the first one, or given up, or older than is
    /// remembered.
    Late,
    /// One that was there already.
    Duplicate,
}

/// One bit for each sequence number of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Bits([u64; WORDS]);

impl Bits {
    /// Sets the bit; gives what it was.
    fn set(&mut self, sequence: u64, value: bool) -> bool {
        let (word, bit) = Self::place(sequence);
        let Some(word) = self.0.get_mut(word) else { return false };
        let before = *word & bit != 0;
        *word = if value { *word | bit } else { *word & !bit };
        before
    }

    /// Clears the bits from `from` to `to`, both included. They span a window at most.
    fn clear(&mut self, from: u64, to: u64) {
        let mut next = Some(from);
        while let Some(at) = next.filter(|at| *at <= to) {
            let end = to.min(at | 63);
            let mask = u64::MAX.wrapping_shl((at & 63) as u32) & u64::MAX.wrapping_shr((!end & 63) as u32);
            if let Some(word) = self.0.get_mut(Self::place(at).0) {
                *word &= !mask;
            }
            next = end.checked_add(1);
        }
    }

    fn place(sequence: u64) -> (usize, u64) {
        let place = sequence & (WINDOW.wrapping_sub(1));
        (usize::try_from(place >> 6).unwrap_or(0), 1_u64 << (place & 63))
    }

    /// The sequence numbers from `from` to `to`, both included, whose bits are set, in order. They span a window at
    /// most.
    fn iter(self, from: u64, to: u64) -> impl Iterator<Item = u64> {
        let mut next = Some(from).filter(|from| *from <= to);
        core::iter::from_fn(move || {
            loop {
                let at = next?;
                let (word, bit) = Self::place(at);
                // What is left of this word, from the bit of `at` on.
                let rest = self.0.get(word).copied().unwrap_or(0) & !bit.wrapping_sub(1);
                let lowest = if rest == 0 {
                    None
                } else {
                    Some((at & !63).saturating_add(u64::from(rest.trailing_zeros())))
                };
                let after = lowest.unwrap_or(at | 63).checked_add(1);
                next = after.filter(|after| *after <= to);
                if let Some(found) = lowest {
                    return Some(found).filter(|found| *found <= to);
                }
            }
        })
    }
}

impl MissingPackets {
    /// For a stream whose first packet comes `now` or later.
    pub fn new(now: Instant) -> Self {
        let entries = usize::try_from(WINDOW).unwrap_or(0);
        Self {
            epoch: now,
            range: None,
            received: Bits::default(),
            missing: Bits::default(),
            entries: vec![Entry::default(); entries].into_boxed_slice(),
            len: 0,
            reordering: Duration::ZERO,
            answer: None,
            due: None,
            not_before: None,
            gave_up: false,
            statistics: RepairStatistics::default(),
        }
    }

    /// How many are missing and still to be asked for.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none is missing.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What was done so far.
    pub fn statistics(&self) -> RepairStatistics {
        self.statistics
    }

    /// When [`take_due`](Self::take_due) is to be called; that may turn out to have been too early. `None` when nothing
    /// is missing.
    pub fn due(&self) -> Option<Instant> {
        let due = self.due?;
        Some(self.not_before.map_or(due, |not_before| due.max(not_before)))
    }

    /// Whether packets were given up since the last call, so that a decoder cannot go on without a key frame.
    pub fn take_given_up(&mut self) -> bool {
        core::mem::take(&mut self.gave_up)
    }

    /// A packet of the stream itself arrived.
    pub fn arrived(&mut self, now: Instant, sequence: u64) -> Arrival {
        match self.range {
            None => {
                self.range = Some((sequence, sequence));
                self.received.set(sequence, true);
                Arrival::New
            }
            Some((first, highest)) if sequence > highest => self.advance(now, first, highest, sequence),
            Some((_, highest)) if highest.saturating_sub(sequence) >= WINDOW => Arrival::Late,
            Some(_) => self.fill(now, sequence, false),
        }
    }

    /// A retransmission (RFC 4588) of the packet with this sequence number arrived. Gives the number extended, when it
    /// is one that was not here yet.
    ///
    /// One that lies outside of what was seen of the stream is refused: it may be of the stream before, under another
    /// SSRC.
    pub fn repaired(&mut self, now: Instant, sequence_number: u16) -> Option<(u64, Arrival)> {
        let (first, highest) = self.range?;
        let [.., high, low] = highest.to_be_bytes();
        let ahead = u16::from_be_bytes([high, low]).distance_to(sequence_number);
        let sequence = highest.checked_add_signed(ahead)?;
        if !(first..=highest).contains(&sequence) || highest.saturating_sub(sequence) >= WINDOW {
            return None;
        }
        let arrival = self.fill(now, sequence, true);
        (arrival != Arrival::Duplicate).then_some((sequence, arrival))
    }

    /// A packet after the highest one.
    fn advance(&mut self, now: Instant, first: u64, highest: u64, sequence: u64) -> Arrival {
        let next = highest.saturating_add(1);
        let gap = sequence.saturating_sub(next);
        let room = u64::try_from(MAX_MISSING.saturating_sub(self.len)).unwrap_or(0);
        let oldest = sequence.saturating_sub(WINDOW.saturating_sub(1));
        self.range = Some((first, sequence));
        if gap > room {
            self.statistics.packets_given_up = self.statistics.packets_given_up.saturating_add(gap);
            self.give_up_all();
            self.received.clear(next.max(oldest), sequence);
            self.received.set(sequence, true);
            return Arrival::Outage;
        }
        let noticed = self.micros(now);
        let patience = self.patience();
        let due = now.checked_add(patience).map_or(u64::MAX, |due| self.micros(due));
        for passed in next..=sequence {
            let is_missing = passed < sequence;
            self.received.set(passed, passed == sequence);
            // Its place in the window is that of a number which is forgotten now.
            if self.missing.set(passed, is_missing) {
                self.count_given_up();
            }
            if is_missing {
                self.len = self.len.saturating_add(1);
                if let Some(entry) = self.entry(passed) {
                    *entry = Entry {
                        noticed,
                        asked: 0,
                        due,
                        requests: 0,
                    };
                }
            }
        }
        if gap > 0 {
            let due = now.checked_add(patience);
            self.due = self.due.into_iter().chain(due).min();
        }
        Arrival::New
    }

    /// A packet of the window.
    fn fill(&mut self, now: Instant, sequence: u64, by_retransmission: bool) -> Arrival {
        if self.received.set(sequence, true) {
            self.statistics.packets_duplicated = self.statistics.packets_duplicated.saturating_add(1);
            return Arrival::Duplicate;
        }
        if !self.missing.set(sequence, false) {
            return Arrival::Late;
        }
        let now = self.micros(now);
        let entry = self.entry(sequence).copied().unwrap_or_default();
        let asked = entry.requests > 0;
        if by_retransmission && entry.requests == 1 {
            // Of one that was asked for twice nobody knows which request it answers.
            let took = Duration::from_micros(now.saturating_sub(entry.asked));
            self.answer = Some(
                self.answer
                    .map_or(took, |answer| answer.mul_f64(0.875).saturating_add(took.mul_f64(0.125))),
            );
        } else if !by_retransmission && entry.requests <= 1 {
            let late = Duration::from_micros(now.saturating_sub(entry.noticed));
            // Later than that it is rather an answer than a packet that was overtaken.
            if late <= MAX_PATIENCE.saturating_mul(2) {
                self.reordering = self.reordering.max(late).min(MAX_PATIENCE);
            }
        }
        if asked {
            self.statistics.packets_repaired = self.statistics.packets_repaired.saturating_add(1);
        }
        self.len = self.len.saturating_sub(1);
        if self.len == 0 {
            self.due = None;
        }
        Arrival::Filled { asked }
    }

    /// Puts the sequence numbers that are to be asked for now into `ask`, in order, and takes them as asked for: each
    /// once per round trip. Returns how many those are; call it until there are none. Those that were asked for often
    /// enough are given up.
    pub fn take_due(&mut self, now: Instant, round_trip: Option<Duration>, ask: &mut [u16]) -> usize {
        let Some((_, highest)) = self.range else { return 0 };
        if self.due().is_none_or(|due| due > now) {
            return 0;
        }
        let round_trip = round_trip.or(self.answer).unwrap_or(DEFAULT_ROUND_TRIP);
        // The answer takes a little longer than the round trip; and senders ignore what comes within one.
        let pause = round_trip.saturating_add(INTERVAL).max(MIN_PAUSE);
        let time = self.micros(now);
        let again = now.checked_add(pause).map_or(u64::MAX, |again| self.micros(again));
        let mut next = u64::MAX;
        let mut room = ask.iter_mut();
        let mut asked: usize = 0;
        let mut full = false;
        let oldest = highest.saturating_sub(WINDOW.saturating_sub(1));
        for sequence in self.missing.iter(oldest, highest) {
            let Some(entry) = self.entry(sequence) else { continue };
            if entry.due > time {
                next = next.min(entry.due);
                continue;
            }
            if entry.requests >= MAX_REQUESTS {
                self.missing.set(sequence, false);
                self.count_given_up();
                continue;
            }
            let Some(place) = room.next() else {
                full = true;
                break;
            };
            *entry = Entry {
                asked: time,
                due: again,
                requests: entry.requests.saturating_add(1),
                ..*entry
            };
            next = next.min(again);
            let [.., high, low] = sequence.to_be_bytes();
            *place = u16::from_be_bytes([high, low]);
            asked = asked.saturating_add(1);
        }
        self.due = if full {
            Some(now)
        } else {
            let next = self.epoch.checked_add(Duration::from_micros(next));
            next.filter(|_| self.len > 0)
        };
        if asked > 0 {
            self.statistics.nacks_sent = self.statistics.nacks_sent.saturating_add(1);
            // What was reordered once need not be for ever.
            self.reordering = self.reordering.mul_f64(0.98);
            if !full {
                self.not_before = now.checked_add(INTERVAL);
            }
        }
        asked
    }

    /// How long a gap may be reordering.
    fn patience(&self) -> Duration {
        self.reordering.clamp(MIN_PATIENCE, MAX_PATIENCE)
    }

    fn give_up_all(&mut self) {
        let len = u64::try_from(self.len).unwrap_or(0);
        self.statistics.packets_given_up = self.statistics.packets_given_up.saturating_add(len);
        self.missing = Bits::default();
        self.len = 0;
        self.due = None;
        self.gave_up = true;
    }

    fn count_given_up(&mut self) {
        self.statistics.packets_given_up = self.statistics.packets_given_up.saturating_add(1);
        self.len = self.len.saturating_sub(1);
        self.gave_up = true;
    }

    fn entry(&mut self, sequence: u64) -> Option<&mut Entry> {
        let place = usize::try_from(sequence & WINDOW.wrapping_sub(1)).ok()?;
        self.entries.get_mut(place)
    }

    fn micros(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.epoch).as_micros()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};
    use std::vec::Vec;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn due(missing: &mut MissingPackets, now: Instant, round_trip: Option<Duration>) -> Vec<u16> {
        let mut asked = Vec::new();
        let mut numbers = [0; 7];
        loop {
            match missing.take_due(now, round_trip, &mut numbers) {
                0 => return asked,
                count => asked.extend_from_slice(&numbers[..count]),
            }
        }
    }

    #[test]
    fn a_gap_is_asked_for_after_ten_milliseconds_and_then_once_per_round_trip() {
        let t0 = Instant::now();
        let mut missing = MissingPackets::new(t0);
        assert_eq!(missing.arrived(t0, 100), Arrival::New);
        assert_eq!((missing.arrived(t0, 103), missing.len()), (Arrival::New, 2));
        assert_eq!(missing.due(), Some(t0 + ms(10)));
        let rtt = Some(ms(50));
        assert_eq!(due(&mut missing, t0 + ms(9), rtt), []);
        assert_eq!(due(&mut missing, t0 + ms(10), rtt), [101, 102]);
        assert_eq!(missing.due(), Some(t0 + ms(70)));
        assert_eq!(
            missing.repaired(t0 + ms(60), 102),
            Some((102, Arrival::Filled { asked: true }))
        );
        assert_eq!(due(&mut missing, t0 + ms(69), rtt), []);
        assert_eq!(due(&mut missing, t0 + ms(70), rtt), [101]);
        assert_eq!(missing.arrived(t0 + ms(130), 101), Arrival::Filled { asked: true });
        assert_eq!((missing.due(), missing.is_empty()), (None, true));
        assert_eq!(missing.arrived(t0 + ms(131), 101), Arrival::Duplicate);
        assert_eq!(missing.repaired(t0 + ms(131), 102), None);
        let expected = RepairStatistics {
            nacks_sent: 2,
            packets_repaired: 2,
            packets_given_up: 0,
            packets_duplicated: 2,
        };
        assert_eq!(missing.statistics(), expected);
    }

    #[test]
    fn what_comes_by_itself_is_not_asked_for_and_teaches_patience() {
        let t0 = Instant::now();
        let mut missing = MissingPackets::new(t0);
        missing.arrived(t0, 1);
        missing.arrived(t0, 3);
        assert_eq!(missing.arrived(t0 + ms(9), 2), Arrival::Filled { asked: false });
        assert_eq!(missing.due(), None);
        // Overtaken by more than the patience: asked for in vain once, and then waited for.
        missing.arrived(t0 + ms(20), 5);
        assert_eq!(due(&mut missing, t0 + ms(30), Some(ms(80))), [4]);
        assert_eq!(missing.arrived(t0 + ms(35), 4), Arrival::Filled { asked: true });
        missing.arrived(t0 + ms(60), 7);
        assert_eq!(missing.due(), Some(t0 + ms(75)));
        assert_eq!(missing.statistics().nacks_sent, 1);
    }

    #[test]
    fn without_a_measured_round_trip_answers_tell_it() {
        let t0 = Instant::now();
        let mut missing = MissingPackets::new(t0);
        missing.arrived(t0, 1);
        missing.arrived(t0, 4);
        assert_eq!(due(&mut missing, t0 + ms(10), None), [2, 3]);
        assert_eq!(missing.due(), Some(t0 + ms(120)), "100 ms as long as nothing is known");
        missing.repaired(t0 + ms(50), 2);
        assert_eq!(due(&mut missing, t0 + ms(120), None), [3]);
        assert_eq!(missing.due(), Some(t0 + ms(170)), "the answer took 40 ms");
    }

    #[test]
    fn requests_keep_a_distance() {
        let t0 = Instant::now();
        let mut missing = MissingPackets::new(t0);
        let mut nacks = 0;
        // Every other packet is lost, 1000 of them a second.
        for tick in 0..1000_u64 {
            let now = t0 + Duration::from_micros(500 * tick);
            if tick % 2 == 0 {
                missing.arrived(now, tick);
            }
            nacks += usize::from(!due(&mut missing, now, Some(ms(200))).is_empty());
        }
        assert!((40..=50).contains(&nacks), "{nacks} in half a second");
    }

    #[test]
    fn after_ten_requests_it_is_given_up() {
        let t0 = Instant::now();
        let mut missing = MissingPackets::new(t0);
        missing.arrived(t0, 1);
        missing.arrived(t0, 3);
        let mut asked = 0;
        let mut end = t0;
        while let Some(at) = missing.due() {
            assert!(!missing.take_given_up());
            asked += due(&mut missing, at, Some(ms(30))).len();
            end = at;
        }
        assert_eq!((asked, missing.len(), end - t0), (10, 0, ms(10 + 10 * 40)));
        assert!(missing.take_given_up() && !missing.take_given_up());
        assert_eq!(missing.statistics().packets_given_up, 1);
        // If it comes all the same it is as good as any.
        assert_eq!(missing.repaired(t0 + ms(500), 2), Some((2, Arrival::Late)));
        assert_eq!(missing.repaired(t0 + ms(500), 2), None);
    }

    #[test]
    fn an_outage_is_not_asked_for() {
        let t0 = Instant::now();
        let mut missing = MissingPackets::new(t0);
        missing.arrived(t0, 1);
        missing.arrived(t0, 3);
        assert_eq!(
            missing.arrived(t0, 3 + 1 + MAX_MISSING as u64),
            Arrival::Outage,
            "one more than there is room for"
        );
        assert_eq!((missing.len(), missing.due()), (0, None));
        assert!(missing.take_given_up());
        assert_eq!(missing.statistics().packets_given_up, 1 + MAX_MISSING as u64);
        assert_eq!(missing.arrived(t0, 2), Arrival::Late);
        assert_eq!(missing.arrived(t0, 3), Arrival::Duplicate);
        assert_eq!(missing.arrived(t0, u64::MAX), Arrival::Outage);
        assert_eq!(missing.arrived(t0, u64::MAX), Arrival::Duplicate);
        assert_eq!(missing.arrived(t0, 5), Arrival::Late);
    }

    #[test]
    fn what_is_older_than_is_remembered_is_given_up() {
        let t0 = Instant::now();
        let mut missing = MissingPackets::new(t0);
        missing.arrived(t0, 1);
        for sequence in 3..2 + WINDOW {
            missing.arrived(t0, sequence);
        }
        assert_eq!((missing.len(), missing.take_given_up()), (1, false));
        assert_eq!(missing.arrived(t0, 2 + WINDOW), Arrival::New);
        assert_eq!((missing.len(), missing.take_given_up()), (0, true));
        assert_eq!(due(&mut missing, t0 + ms(10), None), []);
        assert_eq!(missing.due(), None);
        assert_eq!(missing.repaired(t0, 2), None);
        assert_eq!(missing.arrived(t0, 2), Arrival::Late);
    }

    #[test]
    fn retransmissions_from_outside_of_the_stream_are_refused() {
        let t0 = Instant::now();
        let mut missing = MissingPackets::new(t0);
        assert_eq!(missing.repaired(t0, 7), None);
        missing.arrived(t0, 0x2_0005);
        for number in [0x0004, 0x0006, 0x8005, 0xfff0] {
            assert_eq!(missing.repaired(t0, number), None, "{number:x}");
        }
        // But overtaken it may have been.
        assert_eq!(missing.arrived(t0, 0x2_0004), Arrival::Late);
        assert_eq!(missing.arrived(t0, 0x2_0008), Arrival::New);
        assert_eq!(
            missing.repaired(t0, 6),
            Some((0x2_0006, Arrival::Filled { asked: false }))
        );
    }

    /// The same, by maps of everything.
    #[derive(Default)]
    struct Model {
        received: BTreeSet<u64>,
        /// When it is due, and how often it was asked for.
        missing: BTreeMap<u64, (Duration, u8)>,
        not_before: Duration,
        given_up: u64,
    }

    impl Model {
        fn arrived(&mut self, at: Duration, sequence: u64) -> bool {
            let Some(&highest) = self.received.last() else {
                return self.received.insert(sequence);
            };
            if sequence > highest {
                let gap = highest + 1..sequence;
                if (gap.end - gap.start) as usize + self.missing.len() > MAX_MISSING {
                    self.given_up += gap.end - gap.start + self.missing.len() as u64;
                    self.missing.clear();
                } else {
                    self.missing
                        .extend(gap.map(|missing| (missing, (at + MIN_PATIENCE, 0))));
                }
                let kept = self.missing.split_off(&(sequence + 1).saturating_sub(WINDOW));
                self.given_up += std::mem::replace(&mut self.missing, kept).len() as u64;
            } else {
                self.missing.remove(&sequence);
            }
            let known = sequence + WINDOW > highest;
            self.received.insert(sequence) || !known
        }

        fn take_due(&mut self, at: Duration, round_trip: Duration) -> Vec<u16> {
            let mut asked = Vec::new();
            if at < self.not_before {
                return asked;
            }
            let given_up = &mut self.given_up;
            self.missing.retain(|sequence, (due, requests)| {
                if *due > at {
                    return true;
                }
                if *requests == MAX_REQUESTS {
                    *given_up += 1;
                    return false;
                }
                (*due, *requests) = (at + round_trip + INTERVAL, *requests + 1);
                asked.push(*sequence as u16);
                true
            });
            if !asked.is_empty() {
                self.not_before = at + INTERVAL;
            }
            asked
        }
    }

    proptest! {
        /// Reordering is slower than the patience here, so that it teaches none.
        #[test]
        fn it_does_what_a_model_does(
            first in 0_u64..0x2_0000,
            events in proptest::collection::vec((0_u64..60, prop_oneof![20 => 0_i64..4, 4 => -40_i64..0, 2 => 0_i64..300, 1 => -1200_i64..1200]), 1..400),
            round_trip in 15_u64..300,
        ) {
            let t0 = Instant::now();
            let mut missing = MissingPackets::new(t0);
            let mut model = Model::default();
            let (mut at, mut highest) = (Duration::ZERO, first);
            for (pause, step) in events {
                at += ms(pause);
                // What is due is looked for after every step, and nothing is when `due` says so.
                let quiet = missing.due().is_none_or(|due| due > t0 + at);
                let asked = due(&mut missing, t0 + at, Some(ms(round_trip)));
                prop_assert!(!quiet || asked.is_empty());
                prop_assert_eq!(&asked, &model.take_due(at, ms(round_trip)));
                let sequence = highest.saturating_add_signed(step);
                highest = highest.max(sequence);
                let early = model.missing.get(&sequence).is_some_and(|(due, requests)| *requests == 0 && *due + MAX_PATIENCE > at + MIN_PATIENCE || *requests == 1);
                if early {
                    continue;
                }
                let fresh = missing.arrived(t0 + at, sequence) != Arrival::Duplicate;
                prop_assert_eq!(fresh, model.arrived(at, sequence));
                prop_assert_eq!(missing.len(), model.missing.len());
                prop_assert_eq!(missing.statistics().packets_given_up, model.given_up);
            }
        }
    }
}
