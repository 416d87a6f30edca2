//! Who is seen and heard by whom: the rules, apart from the slots that carry it out.
//!
//! Nobody can watch a hundred pictures, and nobody understands four who speak at once. So each viewer gets a number of
//! tiles, and everybody hears who is *on the air*. In this order somebody gets a pair of slots:
//!
//! 1. whom the viewer has pinned,
//! 2. screens, on top of the tiles for people,
//! 3. who is on the air: sound comes in pairs too,
//! 4. the others: with a picture before those without, who spoke last first, then in the order in which they came.
//!
//! Who has a pair keeps it, as long as there is nobody of 1 to 3 who needs it, nor somebody with a picture where there
//! is none. It is taken from the one of 4 who comes last in that order.

use std::cmp::Reverse;
use std::time::Instant;

use crate::participant::Carried;

/// Camera and microphone.
pub(crate) const PERSON: u8 = 0;
/// A screen and its sound.
pub(crate) const SCREEN: u8 = 1;

/// Somebody whom others may see or hear.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member {
    pub(crate) participant: u32,
    /// Whether it sends anything, by group.
    pub(crate) sends: [bool; 2],
    /// Its camera shows something.
    pub(crate) picture: bool,
    /// When it spoke last.
    pub(crate) spoke: Option<Instant>,
}

/// Who wants to see whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish<'a> {
    pub(crate) viewer: u32,
    /// So many people at once.
    pub(crate) tiles: usize,
    pub(crate) pinned: &'a [u32],
}

/// A room as it is when the rules are applied to it, viewer by viewer. What that takes is kept from one time to the
/// next.
#[derive(Debug, Default)]
pub(crate) struct Policy {
    top_k: usize,
    on_air: Vec<u32>,
    /// In the order in which they came.
    members: Vec<Member>,
    /// Where in `members` each participant is.
    places: Vec<Option<u32>>,
    /// Places of members, the ones first who are seen first.
    order: Vec<u32>,
    /// By place: where it stands in `order`, and the marks of the viewer whose turn it is.
    marks: Vec<Marks>,
    turn: u32,
    screens: Vec<u32>,
    persons: usize,
    /// Who must have a pair with the present viewer.
    musts: Vec<Carried>,
    /// How many members were looked at for the present viewer to fill its pairs.
    #[cfg(test)]
    looked: usize,
}

#[derive(Debug, Clone, Copy, Default)]
struct Marks {
    rank: u32,
    /// The turns in which it has a pair, and in which it must have one, by group.
    seated: [u32; 2],
    must: [u32; 2],
}

impl Policy {
    /// Looks at a room: who is in it, and who is on the air, the first `top_k` of those for everybody.
    pub(crate) fn look(&mut self, top_k: usize, on_air: &[u32], members: impl Iterator<Item = Member>) {
        for member in self.members.drain(..) {
            self.places[member.participant as usize] = None;
        }
        self.top_k = top_k;
        self.members.extend(members);
        self.screens.clear();
        self.persons = 0;
        for (place, member) in self.members.iter().enumerate() {
            let index = member.participant as usize;
            if self.places.len() <= index {
                self.places.resize(index + 1, None);
            }
            self.places[index] = Some(place as u32);
            self.persons += usize::from(member.sends[usize::from(PERSON)]);
            if member.sends[usize::from(SCREEN)] {
                self.screens.push(member.participant);
            }
        }
        self.on_air.clear();
        self.on_air.extend_from_slice(on_air);
        self.order.clear();
        self.order.extend(0..self.members.len() as u32);
        let members = &self.members;
        self.order.sort_by_key(|&place| {
            let member = &members[place as usize];
            (!member.picture, Reverse(member.spoke))
        });
        self.turn = 0;
        self.marks.clear();
        self.marks.resize(self.members.len(), Marks::default());
        for (rank, &place) in self.order.iter().enumerate() {
            self.marks[place as usize].rank = rank as u32;
        }
    }

    /// So many people a viewer sees at most: as many as it wants, but those whom it must see always fit.
    pub(crate) fn tiles(&self, wish: &Wish<'_>) -> usize {
        let pinned = wish.pinned.iter().filter(|&&pinned| self.sends(wish, pinned, PERSON));
        wish.tiles.max(pinned.count() + self.top_k)
    }

    /// So many pairs a viewer needs: for everybody or as many as it has tiles, and as many again for screens.
    pub(crate) fn need(&self, wish: &Wish<'_>) -> usize {
        let tiles = self.tiles(wish);
        let own = usize::from(
            self.member(wish.viewer)
                .is_some_and(|own| own.sends[usize::from(SCREEN)]),
        );
        self.others(wish).min(tiles) + (self.screens.len() - own).min(tiles)
    }

    /// Gives a viewer's pairs to those who fit. Who stays keeps its pair.
    pub(crate) fn choose(&mut self, wish: &Wish<'_>, pairs: &mut [Option<Carried>]) {
        self.turn += 1;
        let tiles = self.tiles(wish);
        self.find_musts(wish, tiles, pairs.len());
        let mut persons = 0;
        for pair in pairs.iter_mut() {
            let Some(carried) = *pair else { continue };
            let stays = self.sends(wish, carried.participant, carried.group)
                && (carried.group == PERSON || self.is_must(carried))
                && self.mark_seated(carried);
            if stays {
                persons += usize::from(carried.group == PERSON);
            } else {
                *pair = None;
            }
        }
        while persons > tiles
            && let Some(last) = self.last(pairs, |_| true)
        {
            self.unseat(pairs, last);
            persons -= 1;
        }
        let mut free = 0;
        for at in 0..self.musts.len() {
            let carried = self.musts[at];
            if self.is_seated(carried) {
                continue;
            }
            let is_full = carried.group == PERSON && persons >= tiles;
            let mut pair = if is_full { None } else { next_free(pairs, &mut free) };
            if pair.is_none() {
                pair = self.last(pairs, |_| true);
                if let Some(pair) = pair {
                    self.unseat(pairs, pair);
                    persons -= 1;
                }
            }
            let Some(pair) = pair else { continue };
            self.seat(pairs, pair, carried);
            persons += usize::from(carried.group == PERSON);
        }
        for at in 0..self.order.len() {
            #[cfg(test)]
            {
                self.looked = at;
            }
            let member = self.members[self.order[at] as usize];
            let carried = Carried {
                participant: member.participant,
                group: PERSON,
            };
            if !self.sends(wish, carried.participant, PERSON) || self.is_seated(carried) {
                continue;
            }
            let is_full = persons >= tiles;
            let mut pair = if is_full { None } else { next_free(pairs, &mut free) };
            if pair.is_some() {
                persons += 1;
            } else if member.picture {
                pair = self.last(pairs, |other| !other.picture);
                if let Some(pair) = pair {
                    self.unseat(pairs, pair);
                }
            }
            let Some(pair) = pair else { break };
            self.seat(pairs, pair, carried);
        }
    }

    /// Whether a viewer hears the sound of a pair of its own. In a room with no more voices than may be on the air
    /// everybody is heard, a screen always, and so is whoever is pinned.
    pub(crate) fn hears(&self, wish: &Wish<'_>, carried: Carried) -> bool {
        carried.group == SCREEN
            || self.others(wish) <= self.top_k
            || wish.pinned.contains(&carried.participant)
            || self.heard(wish).any(|one| one == carried.participant)
    }

    /// Who is on the air for a viewer.
    fn heard(&self, wish: &Wish<'_>) -> impl Iterator<Item = u32> {
        let viewer = wish.viewer;
        let others = self.on_air.iter().copied().filter(move |&one| one != viewer);
        others.take(self.top_k)
    }

    /// How many other people there are.
    fn others(&self, wish: &Wish<'_>) -> usize {
        let own = self.member(wish.viewer);
        self.persons - usize::from(own.is_some_and(|own| own.sends[usize::from(PERSON)]))
    }

    /// Lists those who must have one of so many pairs, the most important ones first.
    fn find_musts(&mut self, wish: &Wish<'_>, tiles: usize, pairs: usize) {
        let of = |group: u8| move |&participant: &u32| Carried { participant, group };
        let mut musts = std::mem::take(&mut self.musts);
        musts.clear();
        musts.extend(wish.pinned.iter().map(of(PERSON)));
        musts.extend(wish.pinned.iter().map(of(SCREEN)));
        musts.extend(self.screens.iter().map(of(SCREEN)));
        musts.extend(self.heard(wish).map(|one| of(PERSON)(&one)));
        let (mut count, mut screens) = (0, 0);
        musts.retain(|&must| {
            let is_screen = must.group == SCREEN;
            let is = count < pairs
                && !(is_screen && screens >= tiles)
                && self.sends(wish, must.participant, must.group)
                && !self.is_must(must);
            if is {
                count += 1;
                screens += usize::from(is_screen);
                let turn = self.turn;
                if let Some(marks) = self.marks_mut(must.participant) {
                    marks.must[usize::from(must.group)] = turn;
                }
            }
            is
        });
        self.musts = musts;
    }

    /// The pair of somebody who need not have one and is the last in the order, among those of whom `which` is true.
    fn last(&self, pairs: &[Option<Carried>], which: impl Fn(&Member) -> bool) -> Option<usize> {
        let others = pairs.iter().enumerate().filter_map(|(at, pair)| {
            let carried = (*pair).filter(|&carried| !self.is_must(carried))?;
            let member = self.member(carried.participant).filter(|member| which(member))?;
            Some((self.marks(member.participant)?.rank, at))
        });
        others.max().map(|(_, at)| at)
    }

    fn seat(&mut self, pairs: &mut [Option<Carried>], pair: usize, carried: Carried) {
        pairs[pair] = Some(carried);
        self.mark_seated(carried);
    }

    fn unseat(&mut self, pairs: &mut [Option<Carried>], pair: usize) {
        if let Some(carried) = pairs[pair].take()
            && let Some(marks) = self.marks_mut(carried.participant)
        {
            marks.seated[usize::from(carried.group)] = 0;
        }
    }

    /// Returns whether it had no other pair.
    fn mark_seated(&mut self, carried: Carried) -> bool {
        let turn = self.turn;
        self.marks_mut(carried.participant)
            .is_some_and(|marks| std::mem::replace(&mut marks.seated[usize::from(carried.group)], turn) != turn)
    }

    fn is_seated(&self, carried: Carried) -> bool {
        self.marks(carried.participant)
            .is_some_and(|marks| marks.seated[usize::from(carried.group)] == self.turn)
    }

    fn is_must(&self, carried: Carried) -> bool {
        self.marks(carried.participant)
            .is_some_and(|marks| marks.must[usize::from(carried.group)] == self.turn)
    }

    /// Whether somebody sends something of this group to this viewer.
    fn sends(&self, wish: &Wish<'_>, participant: u32, group: u8) -> bool {
        let member = self.member(participant);
        participant != wish.viewer && member.is_some_and(|member| member.sends[usize::from(group)])
    }

    fn place(&self, participant: u32) -> Option<usize> {
        let place = *self.places.get(participant as usize)?;
        place.map(|place| place as usize)
    }

    fn member(&self, participant: u32) -> Option<&Member> {
        self.members.get(self.place(participant)?)
    }

    fn marks(&self, participant: u32) -> Option<&Marks> {
        self.marks.get(self.place(participant)?)
    }

    fn marks_mut(&mut self, participant: u32) -> Option<&mut Marks> {
        let place = self.place(participant)?;
        self.marks.get_mut(place)
    }
}

/// The first free pair from `from` on, which moves to it: pairs that are taken once stay taken.
fn next_free(pairs: &[Option<Carried>], from: &mut usize) -> Option<usize> {
    while *from < pairs.len() {
        if pairs[*from].is_none() {
            return Some(*from);
        }
        *from += 1;
    }
    None
}

#[cfg(test)]
mod tests;
