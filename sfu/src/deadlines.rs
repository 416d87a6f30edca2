use std::time::Instant;

/// Deadlines of many things, each known by a small index: the earliest is found at once, one is changed in O(log n),
/// and nothing is allocated once the highest index was seen.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    /// Indices, as a binary heap by deadline.
    heap: Vec<u32>,
    /// By index: its deadline and its place in `heap`.
    at: Vec<Option<(Instant, u32)>>,
}

impl Deadlines {
    /// The earliest deadline.
    pub(crate) fn earliest(&self) -> Option<Instant> {
        self.heap
            .first()
            .and_then(|&index| self.at[index as usize])
            .map(|(deadline, _)| deadline)
    }

    /// Sets, changes or takes away the deadline of `index`.
    pub(crate) fn set(&mut self, index: u32, deadline: Option<Instant>) {
        let i = index as usize;
        if i >= self.at.len() {
            if deadline.is_none() {
                return;
            }
            self.at.resize(i + 1, None);
            // So that no later `set` of a known index has to allocate.
            self.heap.reserve(self.at.len() - self.heap.len());
        }
        match (self.at[i], deadline) {
            (None, None) => {}
            (None, Some(deadline)) => {
                let place = self.heap.len() as u32;
                self.heap.push(index);
                self.at[i] = Some((deadline, place));
                self.up(place);
            }
            (Some((_, place)), Some(deadline)) => {
                self.at[i] = Some((deadline, place));
                self.up(place);
                self.down(self.at[i].map_or(place, |(_, place)| place));
            }
            (Some((_, place)), None) => {
                self.at[i] = None;
                let last = self.heap.len() as u32 - 1;
                self.heap.swap_remove(place as usize);
                if place != last {
                    let moved = self.heap[place as usize] as usize;
                    if let Some(entry) = &mut self.at[moved] {
                        entry.1 = place;
                    }
                    self.up(place);
                    self.down(self.at[moved].map_or(place, |(_, place)| place));
                }
            }
        }
    }

    /// Takes one whose deadline has come; call until `None`.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<u32> {
        let &index = self.heap.first()?;
        if self.key(0) > now {
            return None;
        }
        self.set(index, None);
        Some(index)
    }

    fn key(&self, place: u32) -> Instant {
        let index = self.heap[place as usize] as usize;
        self.at[index].expect("what is in the heap has a deadline").0
    }

    fn swap(&mut self, a: u32, b: u32) {
        self.heap.swap(a as usize, b as usize);
        for place in [a, b] {
            let index = self.heap[place as usize] as usize;
            if let Some(entry) = &mut self.at[index] {
                entry.1 = place;
            }
        }
    }

    fn up(&mut self, mut place: u32) {
        while place > 0 {
            let parent = (place - 1) / 2;
            if self.key(parent) <= self.key(place) {
                break;
            }
            self.swap(parent, place);
            place = parent;
        }
    }

    fn down(&mut self, mut place: u32) {
        let len = self.heap.len() as u32;
        loop {
            let mut least = place;
            for child in [2 * place + 1, 2 * place + 2] {
                if child < len && self.key(child) < self.key(least) {
                    least = child;
                }
            }
            if least == place {
                break;
            }
            self.swap(least, place);
            place = least;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::time::Duration;

    proptest! {
        #[test]
        fn agrees_with_a_map(ops in proptest::collection::vec((0u32..20, proptest::option::of(0u64..1000), any::<bool>()), 1..300)) {
            let t0 = Instant::now();
            let at = |ms| t0 + Duration::from_millis(ms);
            let mut deadlines = Deadlines::default();
            let mut model: BTreeMap<u32, u64> = BTreeMap::new();
            for (index, ms, pop) in ops {
                deadlines.set(index, ms.map(at));
                match ms {
                    Some(ms) => model.insert(index, ms),
                    None => model.remove(&index),
                };
                prop_assert_eq!(deadlines.earliest(), model.values().min().map(|&ms| at(ms)));
                if pop {
                    let due = deadlines.pop_due(at(300));
                    let least = model.values().min().copied().filter(|&ms| ms <= 300);
                    prop_assert_eq!(due.is_some(), least.is_some());
                    if let Some(index) = due {
                        prop_assert_eq!(model.remove(&index), least);
                    }
                }
            }
        }
    }
}
