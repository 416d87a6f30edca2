use rand::RngExt;
use rand::rngs::StdRng;
use std::ops::RangeInclusive;

/// Which ports of the range are taken, in one address family: one bit each, for UDP and TCP together.
#[derive(Debug)]
pub(super) struct Ports {
    first: u16,
    count: u32,
    taken: Box<[u64]>,
}

impl Ports {
    pub(super) fn new(range: &RangeInclusive<u16>) -> Self {
        let count = u32::from(*range.end()).saturating_sub(u32::from(*range.start())) + 1;
        Self {
            first: *range.start(),
            count,
            taken: vec![0; count.div_ceil(64) as usize].into_boxed_slice(),
        }
    }

    /// Takes a free port, any one with the same chance at first (RFC 6056 §3.3.1): the next free one after a random
    /// place.
    pub(super) fn take(&mut self, rng: &mut StdRng) -> Option<u16> {
        let place = self.find(rng, Self::is_free)?;
        Some(self.mark(place))
    }

    /// As [`take`](Self::take), but an even one.
    pub(super) fn take_even(&mut self, rng: &mut StdRng) -> Option<u16> {
        let place = self.find(rng, |ports, place| ports.port(place) & 1 == 0 && ports.is_free(place))?;
        Some(self.mark(place))
    }

    /// Takes an even port and the one after it; the even one is told.
    pub(super) fn take_pair(&mut self, rng: &mut StdRng) -> Option<u16> {
        let free = |ports: &Self, place: u32| {
            ports.port(place) & 1 == 0 && place + 1 < ports.count && ports.is_free(place) && ports.is_free(place + 1)
        };
        let place = self.find(rng, free)?;
        self.mark(place + 1);
        Some(self.mark(place))
    }

    pub(super) fn release(&mut self, port: u16) {
        let place = u32::from(port.wrapping_sub(self.first));
        if let Some(word) = self.taken.get_mut(place as usize / 64) {
            *word &= !(1 << (place % 64));
        }
    }

    #[cfg(test)]
    pub(super) fn taken(&self) -> u32 {
        self.taken.iter().map(|word| word.count_ones()).sum()
    }

    /// At most one look at every port of the range, which only somebody with a password can cause.
    fn find(&self, rng: &mut StdRng, fits: impl Fn(&Self, u32) -> bool) -> Option<u32> {
        let start = rng.random_range(0..self.count);
        (start..self.count).chain(0..start).find(|&place| fits(self, place))
    }

    fn is_free(&self, place: u32) -> bool {
        let word = self.taken.get(place as usize / 64);
        word.is_some_and(|word| word & (1 << (place % 64)) == 0)
    }

    fn mark(&mut self, place: u32) -> u16 {
        if let Some(word) = self.taken.get_mut(place as usize / 64) {
            *word |= 1 << (place % 64);
        }
        self.port(place)
    }

    /// The range ends at 65535 at most, so that this holds.
    #[expect(clippy::cast_possible_truncation, reason = "a place in the range is below 65536")]
    const fn port(&self, place: u32) -> u16 {
        self.first.wrapping_add(place as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use std::collections::BTreeSet;

    #[test]
    fn every_port_is_given_once() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut ports = Ports::new(&(65_400..=65_535));
        let taken: Vec<u16> = std::iter::from_fn(|| ports.take(&mut rng)).collect();
        assert_eq!(
            taken.iter().copied().collect::<BTreeSet<_>>(),
            (65_400..=65_535).collect()
        );
        assert_eq!(taken.len(), 136);
        assert!(
            taken
                .windows(2)
                .filter(|pair| pair[0].wrapping_add(1) != pair[1])
                .count()
                > 50,
            "not in order"
        );
        ports.release(65_500);
        assert_eq!((ports.take_even(&mut rng), ports.take(&mut rng)), (Some(65_500), None));
    }

    #[test]
    fn pairs_are_even_and_whole() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut ports = Ports::new(&(1001..=1006));
        let mut pairs: Vec<_> = std::iter::from_fn(|| ports.take_pair(&mut rng)).collect();
        pairs.sort_unstable();
        assert_eq!(pairs, [1002, 1004]);
        assert_eq!(ports.take_even(&mut rng), Some(1006));
        assert_eq!(ports.take_even(&mut rng), None);
        assert_eq!(ports.take(&mut rng), Some(1001));
        assert_eq!(ports.taken(), 6);
    }
}
