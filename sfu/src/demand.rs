use std::time::{Duration, Instant};

use crate::choice::{Areas, MAX_LAYERS, Set};

/// What nobody wants any more is still sent for so long: people turn pages back and forth, and an encoder that begins
/// again begins with a key frame.
const LINGER: Duration = Duration::from_millis(2500);
/// A layer that is wanted and did not come for so long may not come at all: those below it are wanted in its place.
const PATIENCE: Duration = Duration::from_secs(1);
/// So is one when nothing of its source came for so long: there is no other by which it could be told that it has
/// stopped.
const SILENCE: Duration = Duration::from_millis(1500);

/// Which layers of a picture its publisher is told to send: at once what somebody wants, and no longer what nobody has
/// wanted for a while.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Demand {
    /// What it was told to send. It begins with everything, untold.
    told: Set,
    all: Set,
    /// Since when each that is wanted cannot be had.
    lacking: [Option<Instant>; MAX_LAYERS],
    /// Since when each of those that it was told is not wanted any more.
    idle: [Option<Instant>; MAX_LAYERS],
    due: Option<Instant>,
}

/// How things are with a picture's layers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Supply {
    /// Which are wanted.
    pub(crate) wanted: Set,
    /// Which can be had.
    pub(crate) usable: Set,
    /// When the last packet of any came.
    pub(crate) last: Option<Instant>,
    pub(crate) areas: Areas,
}

impl Demand {
    /// That of a picture of so many layers.
    pub(crate) const fn new(layers: usize) -> Self {
        let all = (1 << layers) - 1;
        Self {
            told: all,
            all,
            lacking: [None; MAX_LAYERS],
            idle: [None; MAX_LAYERS],
            due: None,
        }
    }

    /// The layers that the publisher was told to send last.
    pub(crate) const fn told(&self) -> Set {
        self.told
    }

    /// When it is to be looked at again though nothing changes.
    pub(crate) const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Looks what is wanted. Returns whether the publisher is to be told something else.
    pub(crate) fn follow(&mut self, now: Instant, supply: &Supply) -> bool {
        let before = self.told;
        self.due = None;
        let silent = self.is_silent(now, supply);
        let mut wanted = supply.wanted;
        for layer in 0..MAX_LAYERS {
            let lacking = &mut self.lacking[layer];
            if !has(supply.wanted, layer) {
                *lacking = None;
                continue;
            }
            if has(supply.usable, layer) && !silent {
                *lacking = None;
                continue;
            }
            let until = *lacking.get_or_insert(now) + PATIENCE;
            if silent || until <= now {
                wanted |= supply.areas.below(layer);
            } else {
                self.remind(until);
            }
        }
        self.told |= wanted;
        for layer in 0..MAX_LAYERS {
            let idle = &mut self.idle[layer];
            if has(wanted, layer) || !has(self.told, layer) {
                *idle = None;
                continue;
            }
            let until = *idle.get_or_insert(now) + LINGER;
            if until <= now {
                self.told &= !(1 << layer);
                *idle = None;
            } else {
                self.remind(until);
            }
        }
        self.told != before
    }

    /// Whether nothing came for long though something is wanted, and there is more that could be.
    fn is_silent(&mut self, now: Instant, supply: &Supply) -> bool {
        let Some(last) = supply.last.filter(|_| supply.wanted != 0 && supply.wanted != self.all) else {
            return false;
        };
        let silent = last + SILENCE <= now;
        self.remind(if silent { now } else { last } + SILENCE);
        silent
    }

    fn remind(&mut self, at: Instant) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }
}

const fn has(set: Set, layer: usize) -> bool {
    set & 1 << layer != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choice;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Three layers, of which these are wanted and these come.
    fn follow(demand: &mut Demand, start: Instant, ms: u64, wanted: Set, usable: Set) -> bool {
        let supply = Supply {
            wanted,
            usable,
            last: (usable != 0).then_some(start + at(ms)),
            areas: choice::areas([None; 3].into_iter()),
        };
        demand.follow(start + at(ms), &supply)
    }

    #[test]
    fn what_is_wanted_is_told_at_once_and_what_is_not_only_after_a_while() {
        let start = Instant::now();
        let mut demand = Demand::new(3);
        let mut follow = |ms, wanted, usable| (follow(&mut demand, start, ms, wanted, usable), demand.told());
        assert_eq!(follow(0, 0b100, 0b111), (false, 0b111));
        assert_eq!(follow(2499, 0b100, 0b111), (false, 0b111));
        assert_eq!(follow(2500, 0b100, 0b111), (true, 0b100));
        assert_eq!(follow(3000, 0b101, 0b100), (true, 0b101));
        // Wanted again before the time is over: nothing is told.
        assert_eq!(follow(3500, 0b001, 0b101), (false, 0b101));
        assert_eq!(follow(5000, 0b101, 0b101), (false, 0b101));
        assert_eq!(follow(6000, 0b101, 0b101), (false, 0b101));
        assert_eq!(follow(7000, 0, 0b101), (false, 0b101));
        assert_eq!(follow(9500, 0, 0b101), (true, 0));
        assert_eq!(demand.due(), None, "there is nothing to look at until somebody comes");
    }

    #[test]
    fn it_tells_when_it_is_to_be_looked_at() {
        let start = Instant::now();
        let mut demand = Demand::new(1);
        follow(&mut demand, start, 0, 0, 0b1);
        assert_eq!(demand.due(), Some(start + at(2500)));
        follow(&mut demand, start, 2500, 0, 0b1);
        assert_eq!((demand.told(), demand.due()), (0, None));
        // With one layer there is nothing that could come in its place.
        follow(&mut demand, start, 2600, 0b1, 0b1);
        assert_eq!((demand.told(), demand.due()), (0b1, None));
    }

    #[test]
    fn what_does_not_come_is_replaced_by_what_is_below() {
        let start = Instant::now();
        let mut demand = Demand::new(3);
        follow(&mut demand, start, 0, 0b010, 0b010);
        assert!(follow(&mut demand, start, 2500, 0b010, 0b010));
        assert!(!follow(&mut demand, start, 5000, 0b010, 0b100));
        assert_eq!(demand.due(), Some(start + at(6000)));
        assert!(follow(&mut demand, start, 6000, 0b010, 0b100));
        assert_eq!(demand.told(), 0b011);
        // As long as it does not come.
        assert!(!follow(&mut demand, start, 20_000, 0b011, 0b001));
        assert!(!follow(&mut demand, start, 21_000, 0b010, 0b011));
        assert!(follow(&mut demand, start, 23_500, 0b010, 0b011));
        assert_eq!(demand.told(), 0b010);
    }

    #[test]
    fn when_nothing_comes_at_all_what_is_below_is_wanted_too() {
        let start = Instant::now();
        let mut demand = Demand::new(3);
        follow(&mut demand, start, 0, 0b100, 0b100);
        follow(&mut demand, start, 2500, 0b100, 0b100);
        assert_eq!((demand.told(), demand.due()), (0b100, Some(start + at(4000))));
        let supply = Supply {
            wanted: 0b100,
            usable: 0b100,
            last: Some(start + at(2500)),
            areas: choice::areas([None; 3].into_iter()),
        };
        assert!(!demand.follow(start + at(3999), &supply));
        assert!(demand.follow(start + at(4000), &supply));
        assert_eq!((demand.told(), demand.due()), (0b111, Some(start + at(5500))));
    }
}
