#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

/// Which of the latest packet indices were used: the replay list of RFC 3711 §3.3.2, and for sealing the list of nonces
/// that are spent.
///
/// A ring of `WORDS` words of 64 bits, reused word by word as the highest index advances (RFC 6479), so that nothing is
/// ever shifted. It remembers at least the last `64 * (WORDS - 1) + 1` indices; whatever lies further back counts as
/// used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Window<const WORDS: usize> {
    /// `None` while no index was used.
    highest: Option<u64>,
    words: [u64; WORDS],
}

/// What a [`Window`] knows of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Not used.
    Fresh,
    /// Used.
    Used,
    /// So far back that it is no longer known.
    Stale,
}

impl<const WORDS: usize> Window<WORDS> {
    // The word of an index is taken modulo WORDS and must not jump when the quotient's bits are cut.
    const ASSERT: () = assert!(WORDS.is_power_of_two() && WORDS > 1);

    pub(super) const fn new() -> Self {
        let () = Self::ASSERT;
        Self {
            highest: None,
            words: [0; WORDS],
        }
    }

    /// The highest index that was used.
    pub(super) const fn highest(&self) -> Option<u64> {
        self.highest
    }

    pub(super) fn check(&self, index: u64) -> Verdict {
        let Some(highest) = self.highest else {
            return Verdict::Fresh;
        };
        if index > highest {
            return Verdict::Fresh;
        }
        if (highest >> 6).wrapping_sub(index >> 6) >= WORDS as u64 {
            return Verdict::Stale;
        }
        match self.words.get(slot::<WORDS>(index)) {
            Some(word) if word & bit(index) == 0 => Verdict::Fresh,
            _ => Verdict::Used,
        }
    }

    /// Takes note that `index` is used. An index that is stale changes nothing.
    pub(super) fn commit(&mut self, index: u64) {
        match self.highest {
            Some(highest) if index <= highest => {
                if (highest >> 6).wrapping_sub(index >> 6) >= WORDS as u64 {
                    return;
                }
            }
            Some(highest) => {
                // The words between the old highest and the new one hold bits of a round ago.
                let ahead = (index >> 6).wrapping_sub(highest >> 6);
                if ahead >= WORDS as u64 {
                    self.words = [0; WORDS];
                } else {
                    for step in 0..ahead {
                        let stale = index.wrapping_sub(step << 6);
                        if let Some(word) = self.words.get_mut(slot::<WORDS>(stale)) {
                            *word = 0;
                        }
                    }
                }
                self.highest = Some(index);
            }
            None => self.highest = Some(index),
        }
        if let Some(word) = self.words.get_mut(slot::<WORDS>(index)) {
            *word |= bit(index);
        }
    }
}

const fn bit(index: u64) -> u64 {
    1 << (index & 63)
}

const fn slot<const WORDS: usize>(index: u64) -> usize {
    // Masked to below WORDS, hence nothing is lost.
    #[allow(clippy::cast_possible_truncation, clippy::arithmetic_side_effects)]
    {
        (index >> 6) as usize & (WORDS - 1)
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn remembers_what_it_promises() {
        let mut window = Window::<4>::new();
        window.commit(1000);
        for index in 1000 - 192..1000 {
            assert_eq!(window.check(index), Verdict::Fresh);
            window.commit(index);
            assert_eq!(window.check(index), Verdict::Used);
        }
        assert_eq!(window.check(1000), Verdict::Used);
        assert_eq!(window.check(700), Verdict::Stale);
        assert_eq!(window.highest(), Some(1000));
    }

    proptest! {
        /// Against a set of everything that was ever used, with steps of every size.
        #[test]
        fn agrees_with_a_set(start in 0u64..1 << 47, steps in proptest::collection::vec(
            prop_oneof![-300i64..300, -5i64..6, 0i64..100_000], 1..300,
        )) {
            let mut window = Window::<4>::new();
            let mut used = BTreeSet::new();
            let mut at = start;
            for step in steps {
                let index = at.saturating_add_signed(step);
                let highest = used.last().copied();
                match window.check(index) {
                    Verdict::Fresh => prop_assert!(!used.contains(&index)),
                    Verdict::Used => prop_assert!(used.contains(&index)),
                    Verdict::Stale => prop_assert!(index + 192 < highest.unwrap()),
                }
                if window.check(index) == Verdict::Fresh {
                    window.commit(index);
                    used.insert(index);
                    prop_assert_eq!(window.check(index), Verdict::Used);
                }
                at = used.last().copied().unwrap();
                prop_assert_eq!(window.highest(), Some(at));
            }
        }
    }
}
