use std::time::{Duration, Instant};

/// One packet that left: enough to send it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Its number in the source's ring.
    pub(crate) index: u64,
    /// Its extended sequence number, as the subscriber knows it.
    pub(crate) seq: u64,
}

/// Twelve bytes a packet; absolute values are kept once.
#[derive(Debug, Clone, Copy, Default)]
struct Compact {
    /// Ring index, low 32 bits.
    index: u32,
    /// When it was last sent, in milliseconds after `epoch`.
    sent: u32,
    /// Sequence number, low 16 bits.
    seq: u16,
    /// How often it was sent; 0 = nothing here.
    times: u16,
}

/// What one subscription sent lately, by sequence number: NACKs are answered from it.
///
/// It has a fixed size, so a NACK for something older finds nothing.
pub(crate) struct History {
    /// As long as `len`, or empty as long as nothing is to be remembered.
    sent: Box<[Compact]>,
    len: usize,
    epoch: Instant,
    /// The newest ring index and sequence number, from which the rest is extended.
    newest: Sent,
}

/// Nobody gets one packet more often than this, the first time included.
const MAX_TIMES: u16 = 11;

impl History {
    /// Remembers the last `len` packets, once [`prepare`](Self::prepare) has been called; `len` is rounded up to a
    /// power of two, at most 32768.
    pub(crate) fn new(len: usize, epoch: Instant) -> Self {
        Self {
            sent: Box::default(),
            len: len.clamp(1, 1 << 15).next_power_of_two(),
            epoch,
            newest: Sent { index: 0, seq: 0 },
        }
    }

    /// Takes the memory that it needs, unless it has it.
    pub(crate) fn prepare(&mut self) {
        if self.sent.is_empty() {
            self.sent = vec![Compact::default(); self.len].into_boxed_slice();
        }
    }

    /// Remembers that ring index `index` left as `seq`.
    #[inline]
    pub(crate) fn record(&mut self, now: Instant, index: u64, seq: u64) {
        let sent = self.since(now);
        let at = self.at(seq);
        let Some(place) = self.sent.get_mut(at) else { return };
        *place = Compact {
            index: index as u32,
            sent,
            seq: seq as u16,
            times: 1,
        };
        if seq >= self.newest.seq {
            self.newest = Sent { index, seq };
        }
    }

    /// Looks up the packet that the peer misses, and takes it as sent again now. `None` when it is unknown, was sent
    /// again less than `pause` ago (that is on its way) or too often. The first time it is taken at its word: a peer
    /// misses only what a later packet has overtaken, however long a round trip was estimated to be.
    pub(crate) fn resend(&mut self, now: Instant, seq: u64, pause: Duration) -> Option<Sent> {
        let since = self.since(now);
        let newest = self.newest;
        // Not sent yet, or too long ago.
        if seq > newest.seq || newest.seq - seq >= self.len as u64 {
            return None;
        }
        let at = self.at(seq);
        let entry = self.sent.get_mut(at)?;
        let pause = u32::try_from(pause.as_millis()).unwrap_or(u32::MAX);
        if entry.times == 0
            || entry.times >= MAX_TIMES
            || entry.seq != seq as u16
            || (entry.times > 1 && since.wrapping_sub(entry.sent) < pause)
        {
            return None;
        }
        entry.times += 1;
        entry.sent = since;
        // The index lies within 2^31 of the newest one.
        let ahead = i64::from(entry.index.wrapping_sub(newest.index as u32).cast_signed());
        Some(Sent {
            index: newest.index.checked_add_signed(ahead)?,
            seq,
        })
    }

    /// Whether a later packet was sent, but not this one.
    pub(crate) fn lacks(&self, seq: u64) -> bool {
        let known = seq < self.newest.seq && self.newest.seq - seq < self.len as u64;
        let entry = self.sent.get(self.at(seq));
        known && entry.is_some_and(|entry| entry.times == 0 || entry.seq != seq as u16)
    }

    /// Forgets everything: the indices of another source mean nothing here.
    pub(crate) fn clear(&mut self) {
        self.sent.fill(Compact::default());
    }

    fn since(&self, now: Instant) -> u32 {
        now.saturating_duration_since(self.epoch).as_millis() as u32
    }

    const fn at(&self, seq: u64) -> usize {
        (seq as usize) & (self.len - 1)
    }
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("History")
            .field("len", &self.len)
            .field("newest", &self.newest)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_millis(20);

    #[test]
    fn finds_what_was_sent_across_wraps() {
        let t0 = Instant::now();
        let mut history = History::new(2048, t0);
        history.prepare();
        let (first_seq, first_index) = (65_000_u64, (1_u64 << 32) - 700);
        for i in 0..2000 {
            history.record(t0, first_index + i, first_seq + i);
        }
        let later = t0 + PAUSE;
        for i in [0, 1, 535, 536, 1000, 1999] {
            let sent = history.resend(later, first_seq + i, PAUSE);
            assert_eq!(
                sent,
                Some(Sent {
                    index: first_index + i,
                    seq: first_seq + i
                }),
                "{i}"
            );
        }
        assert_eq!(history.resend(later, first_seq + 2000, PAUSE), None, "not sent yet");
        assert_eq!(history.resend(later, first_seq - 1, PAUSE), None, "before the first");
    }

    #[test]
    fn one_packet_is_not_sent_twice_within_the_pause_nor_for_ever() {
        let t0 = Instant::now();
        let mut history = History::new(64, t0);
        history.prepare();
        history.record(t0, 5, 7);
        assert!(
            history.resend(t0 + PAUSE / 2, 7, PAUSE).is_some(),
            "missed for the first time"
        );
        assert_eq!(history.resend(t0 + PAUSE, 7, PAUSE), None);
        let mut times = 1;
        for round in 1..100 {
            times += u32::from(history.resend(t0 + round * PAUSE, 7, PAUSE).is_some());
            assert_eq!(history.resend(t0 + round * PAUSE, 7, PAUSE), None);
        }
        assert_eq!(times, 10);
    }

    #[test]
    fn it_takes_memory_only_once_it_is_needed() {
        let t0 = Instant::now();
        let mut history = History::new(2048, t0);
        history.record(t0, 0, 0);
        assert_eq!((history.resend(t0 + PAUSE, 0, PAUSE), history.sent.len()), (None, 0));
        history.prepare();
        history.record(t0, 1, 1);
        history.prepare();
        assert!(history.resend(t0 + PAUSE, 1, PAUSE).is_some());
    }

    #[test]
    fn what_was_overwritten_or_cleared_is_unknown() {
        let t0 = Instant::now();
        let mut history = History::new(64, t0);
        history.prepare();
        for i in 0..65 {
            history.record(t0, i, i);
        }
        assert_eq!(history.resend(t0 + PAUSE, 0, PAUSE), None);
        assert!(history.resend(t0 + PAUSE, 1, PAUSE).is_some());
        history.clear();
        assert_eq!(history.resend(t0 + PAUSE, 2, PAUSE), None);
    }
}
