/// Things with small indices that are given again, and a generation that tells an old holder of an index from a new
/// one.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    places: Vec<(u32, Option<T>)>,
    free: Vec<u32>,
    /// How often a place was looked at, for the test that holds the work per packet to what the packet is about.
    #[cfg(debug_assertions)]
    visits: std::sync::atomic::AtomicU64,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
            #[cfg(debug_assertions)]
            visits: std::sync::atomic::AtomicU64::new(0),
        }
    }
}

impl<T> Slab<T> {
    /// Puts `value` in and gives its index and the generation of that index.
    pub(crate) fn insert(&mut self, value: T) -> (u32, u32) {
        if let Some(index) = self.free.pop() {
            let place = &mut self.places[index as usize];
            place.1 = Some(value);
            return (index, place.0);
        }
        let index = self.places.len() as u32;
        self.places.push((0, Some(value)));
        (index, 0)
    }

    /// Takes out what is at `index`.
    pub(crate) fn remove(&mut self, index: u32) -> Option<T> {
        let place = self.places.get_mut(index as usize)?;
        let value = place.1.take()?;
        place.0 = place.0.wrapping_add(1);
        self.free.push(index);
        Some(value)
    }

    /// What is at `index`.
    #[inline]
    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        self.visit();
        self.places.get(index as usize)?.1.as_ref()
    }

    /// What is at `index`, to be changed.
    #[inline]
    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        self.visit();
        self.places.get_mut(index as usize)?.1.as_mut()
    }

    /// All that are there, by index.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.places
            .iter()
            .enumerate()
            .inspect(|_| self.visit())
            .filter_map(|(index, place)| Some((index as u32, place.1.as_ref()?)))
    }

    /// How often a place was looked at.
    #[cfg(debug_assertions)]
    pub(crate) fn visits(&self) -> u64 {
        self.visits.load(std::sync::atomic::Ordering::Relaxed)
    }

    #[inline]
    fn visit(&self) {
        #[cfg(debug_assertions)]
        self.visits.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }

    /// How many are there.
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_given_again_has_another_generation() {
        let mut slab = Slab::default();
        let (a, generation) = slab.insert("a");
        let (b, _) = slab.insert("b");
        assert_eq!(slab.remove(a), Some("a"));
        assert_eq!(slab.remove(a), None);
        let (c, next) = slab.insert("c");
        assert_eq!(c, a);
        assert_ne!(generation, next);
        assert_eq!(
            slab.iter().map(|(i, v)| (i, *v)).collect::<Vec<_>>(),
            [(a, "c"), (b, "b")]
        );
        assert_eq!(slab.len(), 2);
        #[cfg(debug_assertions)]
        assert_eq!(slab.visits(), 2);
        *slab.get_mut(b).unwrap() = "d";
        assert_eq!(slab.get(b), Some(&"d"));
        #[cfg(debug_assertions)]
        assert_eq!(slab.visits(), 4);
    }
}
