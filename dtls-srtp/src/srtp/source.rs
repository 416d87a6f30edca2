#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

/// What is kept per SSRC, in dense slots and up to a limit.
///
/// The peer chooses the SSRCs, but only authenticated packets add one. A sorted list of at most some hundred numbers is
/// searched faster than a keyed hash is computed, and it cannot be made to collide.
pub(super) struct Sources<T> {
    slots: Vec<T>,
    /// SSRC and slot, sorted by SSRC.
    by_ssrc: Vec<(u32, usize)>,
    limit: usize,
}

/// As many SSRCs as the limit allows are known already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TableFull;

impl<T> Sources<T> {
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            slots: Vec::new(),
            by_ssrc: Vec::new(),
            limit,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) const fn is_full(&self) -> bool {
        self.slots.len() >= self.limit
    }

    /// A lower limit than what is there keeps everything that is there.
    pub(super) const fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Where `ssrc` has its state.
    pub(super) fn slot(&self, ssrc: u32) -> Option<usize> {
        let at = self.place(ssrc).ok()?;
        self.by_ssrc.get(at).map(|&(_, slot)| slot)
    }

    pub(super) fn get(&self, slot: usize) -> Option<&T> {
        self.slots.get(slot)
    }

    pub(super) fn get_mut(&mut self, slot: usize) -> Option<&mut T> {
        self.slots.get_mut(slot)
    }

    /// The state of `ssrc`, made by `make` when it is new.
    pub(super) fn entry(&mut self, ssrc: u32, make: impl FnOnce() -> T) -> Result<&mut T, TableFull> {
        let slot = match self.place(ssrc) {
            Ok(at) => self.by_ssrc.get(at).map_or(usize::MAX, |&(_, slot)| slot),
            Err(_) if self.is_full() => return Err(TableFull),
            Err(at) => {
                let slot = self.slots.len();
                self.slots.push(make());
                self.by_ssrc.insert(at, (ssrc, slot));
                slot
            }
        };
        self.slots.get_mut(slot).ok_or(TableFull)
    }

    fn place(&self, ssrc: u32) -> Result<usize, usize> {
        self.by_ssrc.binary_search_by_key(&ssrc, |&(ssrc, _)| ssrc)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn slots_stay_where_they_are() {
        let mut sources = Sources::new(3);
        for (value, ssrc) in [9, 3, 6].into_iter().enumerate() {
            assert_eq!(sources.entry(ssrc, || value), Ok(&mut value.clone()));
        }
        assert_eq!([9, 3, 6].map(|ssrc| sources.slot(ssrc)), [Some(0), Some(1), Some(2)]);
        assert_eq!(sources.entry(4, || 7), Err(TableFull));
        assert_eq!(sources.entry(3, || 7), Ok(&mut 1));
        assert_eq!(sources.slot(4), None);
        assert_eq!(sources.get(2), Some(&2));
        assert_eq!(sources.len(), 3);
    }
}
