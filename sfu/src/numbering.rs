/// How many corrections are remembered for packets that come late: for those that were lost and asked for again that
/// may be a second.
const REMEMBERED: usize = 64;

/// Numbers a publisher's packets without the gaps of those that are never forwarded (padding-only packets).
///
/// Each such packet takes one off the numbers of all that follow it. Corrections are remembered for a while, so that a
/// packet which was overtaken by them still gets the number of its place.
#[derive(Debug, Clone)]
pub(crate) struct Numbering {
    /// The highest sequence number that was seen, in the publisher's numbering.
    highest: Option<u64>,
    /// What is taken off now.
    dropped: u64,
    /// The last dropped sequence numbers, newest at `newest`; each took one off what follows it.
    last: [Option<u64>; REMEMBERED],
    newest: usize,
}

impl Default for Numbering {
    fn default() -> Self {
        Self {
            highest: None,
            dropped: 0,
            last: [None; REMEMBERED],
            newest: 0,
        }
    }
}

impl Numbering {
    /// Whether this sequence number comes after all before.
    pub(crate) fn is_newer(&self, seq: u64) -> bool {
        self.highest.is_none_or(|highest| seq > highest)
    }

    /// The number for the packet with the publisher's extended sequence number `seq`. `None` when it comes so late that
    /// its place is not known any more.
    pub(crate) fn number(&mut self, seq: u64) -> Option<u64> {
        if self.is_newer(seq) {
            self.highest = Some(seq);
            return Some(seq - self.dropped);
        }
        let mut dropped = self.dropped;
        for back in 0..REMEMBERED {
            let Some(at) = self.last[(self.newest + REMEMBERED - back) % REMEMBERED] else {
                break;
            };
            if at == seq {
                // A packet that was dropped does not come back.
                return None;
            }
            if at < seq {
                return Some(seq - dropped);
            }
            dropped -= 1;
        }
        // All remembered corrections are later: right if there were no others, unknown otherwise.
        (dropped == 0).then_some(seq)
    }

    /// Says that the packet with the publisher's extended sequence number `seq` is not forwarded. Returns whether the
    /// gap could be closed: it cannot when a later packet has its number already.
    pub(crate) fn drop(&mut self, seq: u64) -> bool {
        if !self.is_newer(seq) {
            return false;
        }
        self.highest = Some(seq);
        self.dropped += 1;
        self.newest = (self.newest + 1) % REMEMBERED;
        self.last[self.newest] = Some(seq);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_dropped_leaves_no_gap() {
        let mut n = Numbering::default();
        assert_eq!(n.number(100), Some(100));
        assert!(n.drop(101));
        assert!(n.drop(102));
        assert_eq!(n.number(103), Some(101));
        assert_eq!(n.number(105), Some(103));
        // 104 comes late and gets its place, and so does 99, which was before all.
        assert_eq!(n.number(104), Some(102));
        assert_eq!(n.number(99), Some(99));
        // A duplicate of what was dropped has no place.
        assert_eq!(n.number(101), None);
        assert!(!n.drop(104));
    }

    #[test]
    fn padding_numbered_zero_may_be_the_first_packet() {
        let mut n = Numbering::default();
        assert!(n.is_newer(0) && n.drop(0));
        assert!(!n.is_newer(0) && !n.drop(0));
        assert_eq!(
            (n.number(0), n.number(1), n.number(3), n.number(2)),
            (None, Some(0), Some(2), Some(1))
        );
    }

    #[test]
    fn a_packet_from_before_the_memory_is_refused() {
        let mut n = Numbering::default();
        assert_eq!(n.number(1000), Some(1000));
        for seq in 1001..=1001 + REMEMBERED as u64 {
            assert!(n.drop(seq));
        }
        assert_eq!(n.number(999), None);
        assert_eq!(n.number(1002 + REMEMBERED as u64), Some(1001));
    }

    proptest! {
        /// Within the memory, numbers are those that a look at the whole sequence would give, in whatever order they
        /// come.
        #[test]
        fn late_packets_get_their_place(kinds in proptest::collection::vec(proptest::bool::weighted(0.8), 40), swaps in proptest::collection::vec(0usize..39, 0..10)) {
            let mut n = Numbering::default();
            let mut order: Vec<usize> = (0..kinds.len()).filter(|&i| kinds[i]).collect();
            // Neighbouring media packets change places; padding comes in order between them.
            for s in swaps {
                if s + 1 < order.len() && order[s + 1] == order[s] + 1 {
                    order.swap(s, s + 1);
                }
            }
            let mut dropped_until = 0;
            let mut seen = std::collections::BTreeMap::new();
            for &i in &order {
                for (p, &media) in kinds.iter().enumerate().take(i).skip(dropped_until) {
                    if !media {
                        n.drop(1000 + p as u64);
                    }
                }
                dropped_until = dropped_until.max(i);
                if let Some(number) = n.number(1000 + i as u64) {
                    prop_assert_eq!(seen.insert(number, i), None, "a number is given once");
                }
            }
            let in_order: Vec<usize> = seen.values().copied().collect();
            let mut sorted = in_order.clone();
            sorted.sort_unstable();
            prop_assert_eq!(in_order, sorted);
        }
    }
}
