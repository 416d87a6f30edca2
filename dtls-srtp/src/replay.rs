#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

/// The sliding window against replayed records (RFC 6347 §4.1.2.6): asked before a record is opened, told only after it
/// proved authentic, so that a forged sequence number never moves it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ReplayWindow {
    /// One more than the highest sequence number that proved authentic.
    next: u64,
    /// Bit `n` stands for the record `next - 1 - n`.
    seen: u64,
}

impl ReplayWindow {
    /// Whether a record with this sequence number may be opened: it is new, or inside the window and not seen yet.
    pub(crate) const fn allows(&self, sequence: u64) -> bool {
        if sequence >= self.next {
            return true;
        }
        let age = self.next.saturating_sub(1).saturating_sub(sequence);
        age < u64::BITS as u64 && self.seen >> age & 1 == 0
    }

    /// One more than the highest sequence number that proved authentic.
    pub(crate) const fn next(&self) -> u64 {
        self.next
    }

    /// Remembers an authentic record.
    pub(crate) fn commit(&mut self, sequence: u64) {
        if sequence >= self.next {
            let ahead = sequence.saturating_sub(self.next).saturating_add(1);
            self.seen = u32::try_from(ahead)
                .ok()
                .and_then(|ahead| self.seen.checked_shl(ahead))
                .unwrap_or(0)
                | 1;
            self.next = sequence.saturating_add(1);
        } else {
            let age = self.next.saturating_sub(1).saturating_sub(sequence);
            if let Some(bit) = u32::try_from(age).ok().and_then(|age| 1_u64.checked_shl(age)) {
                self.seen |= bit;
            }
        }
    }
}

#[cfg(test)]
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn window_is_64_wide() {
        let mut window = ReplayWindow::default();
        assert!(window.allows(0));
        window.commit(100);
        assert!(!window.allows(100) && window.allows(99) && window.allows(37) && !window.allows(36));
        window.commit(37);
        assert!(!window.allows(37));
        window.commit(1000);
        assert!(window.allows(999) && !window.allows(900));
    }

    proptest! {
        #[test]
        fn nothing_passes_twice(sequences in proptest::collection::vec(0u64..300, 0..400)) {
            let mut window = ReplayWindow::default();
            let mut seen = BTreeSet::new();
            for sequence in sequences {
                let recent = seen.last().is_none_or(|&highest| sequence + 64 > highest);
                prop_assert_eq!(window.allows(sequence), recent && !seen.contains(&sequence));
                if window.allows(sequence) {
                    window.commit(sequence);
                    seen.insert(sequence);
                }
            }
        }
    }
}
