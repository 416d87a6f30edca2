//! Which layer of simulcast is for which size: the rules, apart from the slots that carry it out.

/// The most layers of one picture; browsers send up to three.
pub(crate) const MAX_LAYERS: usize = 4;

/// Width and height of a picture in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) width: u16,
    pub(crate) height: u16,
}

impl Size {
    /// What is not said otherwise: a tile of some size on a usual screen.
    pub(crate) const DEFAULT: Self = Self::new(640, 360);
    /// As large as there is.
    pub(crate) const MAX: Self = Self::new(u16::MAX, u16::MAX);

    pub(crate) const fn new(width: u16, height: u16) -> Self {
        Self { width, height }
    }

    /// Sizes are compared by area: a picture may be turned, or its shape another one than that of the place where it is
    /// shown.
    pub(crate) const fn area(self) -> u64 {
        self.width as u64 * self.height as u64
    }
}

/// Layers of one source, as bits by their places.
pub(crate) type Set = u8;

/// A picture may be drawn larger by an eighth in each direction before a larger layer is taken.
const ENLARGED: (u64, u64) = (81, 64);
/// A smaller layer is taken once it is drawn larger by no more than a sixteenth: windows that are moved by a few pixels
/// change nothing.
const ENLARGED_LESS: (u64, u64) = (289, 256);
/// The largest layer of a picture of which no size is known.
const PRESUMED: u64 = Size::new(1280, 720).area();

/// The areas of layers: what is known of them, and else by a factor of two in each direction from one to the next.
pub(crate) fn areas(known: impl ExactSizeIterator<Item = Option<Size>>) -> Areas {
    let len = known.len().min(MAX_LAYERS);
    let mut told = [None; MAX_LAYERS];
    for (place, size) in told.iter_mut().zip(known) {
        *place = size.map(Size::area);
    }
    let area = |place: usize| {
        let near = (0..len).filter_map(|other| Some((other.abs_diff(place), other, told[other]?)));
        let (_, other, area) = near.min().unwrap_or_else(|| (0, len.saturating_sub(1), PRESUMED));
        let steps = 2 * other.abs_diff(place) as u32;
        if other > place { area >> steps } else { area << steps }
    };
    Areas {
        areas: std::array::from_fn(area),
        len,
    }
}

/// The areas of a source's layers, in the order in which they were offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Areas {
    areas: [u64; MAX_LAYERS],
    len: usize,
}

impl Areas {
    /// The layer for a picture that is shown in this size: the smallest that is large enough, or the largest. `before`
    /// is the one that was chosen last.
    pub(crate) fn target(&self, shown: Size, before: Option<usize>) -> usize {
        let enough = |(times, per): (u64, u64)| {
            let fits = self
                .all()
                .filter(|&layer| self.areas[layer] * times >= shown.area() * per);
            self.smallest(fits).or_else(|| self.largest(self.all())).unwrap_or(0)
        };
        let least = enough(ENLARGED);
        let Some(before) = before.filter(|&before| before < self.len) else {
            return least;
        };
        if self.areas[least] > self.areas[before] {
            return least;
        }
        let less = enough(ENLARGED_LESS);
        if self.areas[less] < self.areas[before] {
            less
        } else {
            before
        }
    }

    /// The layer to send when this one is wanted: of those that can be had (`usable`) the largest at or below it, else
    /// the smallest above it. The wanted one itself when none can be had.
    pub(crate) fn best(&self, usable: Set, target: usize) -> usize {
        let has = |&layer: &usize| usable & 1 << layer != 0;
        let below = self.all().filter(|&layer| self.areas[layer] <= self.areas[target]);
        if has(&target) {
            return target;
        }
        self.largest(below.filter(has))
            .or_else(|| self.smallest(self.all().filter(has)))
            .unwrap_or(target)
    }

    /// The layer to begin with, when this one is the best: the smallest that can be had, whose key frame is the first
    /// to be through.
    pub(crate) fn first(&self, usable: Set, best: usize) -> usize {
        let has = |&layer: &usize| usable & 1 << layer != 0 && self.areas[layer] < self.areas[best];
        self.smallest(self.all().filter(has)).unwrap_or(best)
    }

    /// The layers that are smaller than this one.
    pub(crate) fn below(&self, layer: usize) -> Set {
        let smaller = self.all().filter(|&other| self.areas[other] < self.areas[layer]);
        smaller.fold(0, |set, other| set | 1 << other)
    }

    fn all(&self) -> impl Iterator<Item = usize> + use<> {
        0..self.len
    }

    fn smallest(&self, layers: impl Iterator<Item = usize>) -> Option<usize> {
        layers.min_by_key(|&layer| self.areas[layer])
    }

    fn largest(&self, layers: impl Iterator<Item = usize>) -> Option<usize> {
        layers.max_by_key(|&layer| self.areas[layer])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HD: [Size; 3] = [Size::new(320, 180), Size::new(640, 360), Size::new(1280, 720)];

    fn known(sizes: &[Size]) -> Areas {
        areas(sizes.iter().copied().map(Some))
    }

    #[test]
    fn what_is_not_known_is_twice_as_large_from_one_layer_to_the_next() {
        assert_eq!(areas([None, Some(HD[1]), None].into_iter()), known(&HD));
        assert_eq!(areas([None; 3].into_iter()), known(&HD));
        assert_eq!(areas([Some(HD[0]), None, None].into_iter()), known(&HD));
    }

    #[test]
    fn a_layer_is_as_large_as_its_tile_wants() {
        let hd = known(&HD);
        for ((width, height), layer) in [
            ((1, 1), 0),
            ((320, 180), 0),
            ((359, 202), 0),
            ((364, 205), 1),
            ((640, 360), 1),
            ((360, 640), 1),
            ((719, 405), 1),
            ((724, 407), 2),
            ((1920, 1080), 2),
            ((u16::MAX, u16::MAX), 2),
        ] {
            assert_eq!(hd.target(Size::new(width, height), None), layer, "{width}x{height}");
        }
        // Offered the other way round.
        let mut turned = HD;
        turned.reverse();
        assert_eq!(known(&turned).target(Size::new(100, 100), None), 2);
    }

    #[test]
    fn a_layout_that_moves_by_a_few_pixels_changes_nothing() {
        let hd = known(&HD);
        let mut layer = None;
        for (width, expected) in [
            (640, 1),
            (700, 1),
            (719, 1),
            (725, 2),
            (719, 2),
            (690, 2),
            (725, 2),
            (679, 1),
            (640, 1),
            (100, 0),
            (345, 0),
            (365, 1),
            (345, 1),
            (335, 0),
        ] {
            layer = Some(hd.target(Size::new(width, (u32::from(width) * 9 / 16) as u16), layer));
            assert_eq!(layer, Some(expected), "{width}");
        }
        assert_eq!(hd.target(HD[0], Some(3)), 0, "there is no such layer any more");
    }

    #[test]
    fn what_cannot_be_had_is_replaced_by_what_is_below_else_above() {
        let hd = known(&HD);
        for (usable, target, best, first) in [
            (0b111, 2, 2, 0),
            (0b011, 2, 1, 0),
            (0b001, 2, 0, 0),
            (0b110, 2, 2, 1),
            (0b100, 0, 2, 2),
            (0b110, 0, 1, 1),
            (0b101, 1, 0, 0),
            (0b000, 1, 1, 1),
        ] {
            assert_eq!(hd.best(usable, target), best, "{usable:03b} {target}");
            assert_eq!(hd.first(usable, best), first, "{usable:03b} {target}");
        }
        assert_eq!((hd.below(0), hd.below(2)), (0, 0b011));
    }

    proptest! {
        /// Whatever the sizes are, a layer that exists is chosen, and it stays when it is looked at again.
        #[test]
        fn any_sizes(
            sizes in proptest::collection::vec(proptest::option::of((1u16.., 1u16..)), 1..=MAX_LAYERS),
            shown: (u16, u16),
            usable: u8,
            before in proptest::option::of(0..MAX_LAYERS),
        ) {
            let all = areas(sizes.iter().map(|size| size.map(|(width, height)| Size::new(width, height))));
            let shown = Size::new(shown.0, shown.1);
            let target = all.target(shown, before);
            prop_assert!(target < sizes.len());
            prop_assert_eq!(all.target(shown, Some(target)), target);
            let usable = usable & ((1 << sizes.len()) - 1);
            let best = all.best(usable, target);
            let first = all.first(usable, best);
            prop_assert!(best < sizes.len() && first < sizes.len());
            prop_assert!(usable == 0 || usable & 1 << best != 0 && usable & 1 << first != 0);
        }
    }
}
