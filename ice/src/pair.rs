#![deny(clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

use crate::role::Role;
use std::cmp::Reverse;
use std::time::{Duration, Instant};
use wire::Path;

/// What an agent knows of a pair, for statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PairInfo {
    /// The pair's addresses.
    pub path: Path,
    /// Whether the peer has nominated it, in the present session or in the one before a restart.
    pub nominated: bool,
    /// Whether it is the one to send on.
    pub selected: bool,
    /// PRIORITY of the peer's newest check on it.
    pub priority: u32,
    /// When the peer was last heard on it.
    pub last_seen: Instant,
}

/// What the checks of one ICE session have made of a pair.
#[derive(Debug, Clone, Copy)]
struct Standing {
    /// PRIORITY of the newest check.
    priority: u32,
    /// When the newest check that nominates it came, in ticks of [`Pairs::clock`]; 0 when none did.
    nomination: u64,
    /// And when the first one did.
    nominated: u64,
    /// The highest number in NOMINATION; 0 without one.
    number: u32,
}

/// A pair that an authenticated check has validated.
#[derive(Debug)]
struct Pair {
    path: Path,
    /// In the session of the newest credentials.
    newest: Option<Standing>,
    /// In the session before the restart.
    previous: Option<Standing>,
    /// Priority of our own candidate, 0 when it is none that we announced as it is.
    local_priority: u32,
    /// Priority of the pair (RFC 8445 §6.1.2.3), of a full agent; 0 for a lite one.
    order: u64,
    /// Our checks on it are not answered while those on another one are.
    doubtful: bool,
    /// When the newest DTLS, SRTP or SRTCP came, in ticks of [`Pairs::clock`]; 0 when none did.
    activity: u64,
    last_seen: Instant,
    announced: bool,
}

/// How much a pair may be used; a higher rank always wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Doubtful,
    Validated,
    NominatedBefore,
    Nominated,
}

impl Pair {
    fn rank(&self) -> Rank {
        if self.doubtful {
            Rank::Doubtful
        } else {
            self.nomination_rank()
        }
    }

    fn nomination_rank(&self) -> Rank {
        let nominated = |standing: Option<Standing>| standing.is_some_and(|standing| standing.nomination > 0);
        if nominated(self.newest) {
            Rank::Nominated
        } else if nominated(self.previous) {
            Rank::NominatedBefore
        } else {
            Rank::Validated
        }
    }

    /// The standing that its rank comes from.
    fn standing(&self) -> Option<Standing> {
        match self.nomination_rank() {
            Rank::NominatedBefore => self.previous,
            Rank::Nominated => self.newest,
            Rank::Validated | Rank::Doubtful => self.newest.or(self.previous),
        }
    }

    /// The pair's own priority, which only a full agent knows. Then PRIORITY, and between equals the priority of our
    /// own candidate: a browser sends one PRIORITY from one of its addresses to all of ours.
    fn priority(&self) -> (u64, u32, u32) {
        (
            self.order,
            self.standing().map_or(0, |standing| standing.priority),
            self.local_priority,
        )
    }

    /// When it was nominated last.
    fn nomination(&self) -> u64 {
        self.standing().map_or(0, |standing| standing.nomination)
    }

    /// When it was nominated first.
    fn nominated(&self) -> u64 {
        self.standing().map_or(0, |standing| standing.nominated)
    }

    /// The number with which the peer nominated it.
    fn number(&self) -> u32 {
        self.standing().map_or(0, |standing| standing.number)
    }

    /// When the peer last chose this pair by sending on it or nominating it.
    fn chosen(&self) -> u64 {
        self.activity.max(self.nomination())
    }
}

/// What moves the path among the pairs that are nominated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// We do, as the controlling agent (RFC 8445 §8.1.1): what the peer sends on does not move it.
    Ours,
    /// The peer: the highest number in NOMINATION, then its media since there is another nominated pair, then the
    /// priority of the pair (RFC 8445 §8.1.1).
    Numbered,
    /// The peer's newest media or nomination: of a lite agent.
    Newest,
}

impl Choice {
    /// That of a full agent in a role.
    pub(crate) const fn of(role: Role) -> Self {
        match role {
            Role::Controlling => Self::Ours,
            Role::Controlled => Self::Numbered,
        }
    }
}

/// A check that was accepted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Accepted {
    /// Whether it came with our newest credentials, not with those before a restart.
    pub(crate) newest: bool,
    /// PRIORITY, if it had one.
    pub(crate) priority: Option<u32>,
    /// Whether it nominates the pair, and with which number in NOMINATION: 0 without one, and always for a lite agent.
    pub(crate) nomination: Option<u32>,
    /// Priority of our candidate that it came to.
    pub(crate) local_priority: u32,
    /// Priority of the pair; 0 for a lite agent.
    pub(crate) order: u64,
}

/// The validated pairs, and which of them to send on.
///
/// The choice is a function of what the pairs know, [`choose`](Self::choose); the hot call [`note`](Self::note) comes
/// to the same result without looking at the other pairs.
#[derive(Debug)]
pub(crate) struct Pairs {
    pairs: Vec<Pair>,
    limit: usize,
    selected: Option<usize>,
    /// The pair that was heard last.
    recent: usize,
    /// Counts what the choice depends on. Arrival order and not time: a batch of datagrams has one time.
    clock: u64,
    choice: Choice,
    /// Announced paths that are gone: never more than were announced since the last poll, hence bounded by `limit`.
    removed: Vec<Path>,
}

impl Pairs {
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            pairs: Vec::new(),
            limit: if limit == 0 { 1 } else { limit },
            selected: None,
            recent: 0,
            clock: 0,
            choice: Choice::Newest,
            removed: Vec::new(),
        }
    }

    pub(crate) fn selected(&self) -> Option<Path> {
        self.pairs.get(self.selected?).map(|pair| pair.path)
    }

    /// The selected path, if it is nominated in the session of the newest credentials.
    pub(crate) fn nominated(&self) -> Option<Path> {
        let selected = self.pairs.get(self.selected?)?;
        (selected.rank() == Rank::Nominated).then_some(selected.path)
    }

    pub(crate) fn contains(&self, path: &Path) -> bool {
        self.find(path).is_some()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = PairInfo> {
        self.pairs.iter().enumerate().map(|(index, pair)| PairInfo {
            path: pair.path,
            nominated: pair.nomination_rank() > Rank::Validated,
            selected: self.selected == Some(index),
            priority: pair.standing().map_or(0, |standing| standing.priority),
            last_seen: pair.last_seen,
        })
    }

    /// Whether it is the session before the last restart that carries the call, and has to survive another restart.
    pub(crate) fn previous_carries(&self) -> bool {
        match self.pairs.iter().map(Pair::nomination_rank).max() {
            None | Some(Rank::Nominated) => false,
            Some(Rank::NominatedBefore) => true,
            Some(Rank::Validated | Rank::Doubtful) => self.pairs.iter().all(|pair| pair.newest.is_none()),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Takes an accepted check; `false` when another pair had to give way.
    pub(crate) fn check(&mut self, now: Instant, path: &Path, check: Accepted) -> bool {
        let mut evicted = false;
        let index = match self.find(path) {
            Some(index) => index,
            None => {
                if self.pairs.len() >= self.limit {
                    evicted = true;
                    self.evict();
                }
                self.pairs.push(Pair {
                    path: *path,
                    newest: None,
                    previous: None,
                    local_priority: check.local_priority,
                    order: check.order,
                    doubtful: false,
                    activity: 0,
                    last_seen: now,
                    announced: false,
                });
                self.pairs.len().saturating_sub(1)
            }
        };
        let tick = self.tick();
        if let Some(pair) = self.pairs.get_mut(index) {
            pair.last_seen = now;
            pair.order = check.order;
            let standing = if check.newest {
                &mut pair.newest
            } else {
                &mut pair.previous
            };
            let standing = standing.get_or_insert(Standing {
                priority: 0,
                nomination: 0,
                nominated: 0,
                number: 0,
            });
            standing.priority = check.priority.unwrap_or(standing.priority);
            if let Some(number) = check.nomination {
                standing.nomination = tick;
                if standing.nominated == 0 {
                    standing.nominated = tick;
                }
                standing.number = standing.number.max(number);
            }
        }
        self.recent = index;
        self.selected = self.choose();
        !evicted
    }

    /// Takes that DTLS, SRTP or SRTCP came on a path; `false` when the path is not validated. Runs once per packet:
    /// constant time while the path stays the same.
    pub(crate) fn note(&mut self, now: Instant, path: &Path, proves_life: bool) -> bool {
        let Some(index) = self.find(path) else {
            return false;
        };
        let tick = self.tick();
        let Some(pair) = self.pairs.get_mut(index) else {
            return false;
        };
        pair.activity = tick;
        if proves_life {
            pair.last_seen = now;
        }
        self.recent = index;
        if self.selected != Some(index) && self.choice != Choice::Ours {
            // The newest activity of all: it wins unless pairs of a higher rank or number exist.
            let claim = (pair.rank(), pair.number());
            let selected = self.selected.and_then(|selected| self.pairs.get(selected));
            if selected.is_none_or(|selected| (selected.rank(), selected.number()) <= claim) {
                self.selected = Some(index);
            }
        }
        true
    }

    /// A restart: what the newest session made of the pairs becomes what the previous one did, unless the session
    /// before still carries the call.
    pub(crate) fn restart(&mut self, keep_previous: bool) {
        for pair in &mut self.pairs {
            let newest = pair.newest.take();
            if !keep_previous {
                pair.previous = newest;
            }
        }
        self.retain(|pair| pair.previous.is_some());
    }

    /// Sets what moves the path.
    pub(crate) fn choose_by(&mut self, choice: Choice) {
        if self.choice != choice {
            self.choice = choice;
            self.selected = self.choose();
        }
    }

    pub(crate) fn has_doubts(&self) -> bool {
        self.pairs.iter().any(|pair| pair.doubtful)
    }

    /// Sets which pairs are only used when there is no other.
    pub(crate) fn doubt(&mut self, is_doubtful: impl Fn(&Path) -> bool) {
        for pair in &mut self.pairs {
            pair.doubtful = is_doubtful(&pair.path);
        }
        self.selected = self.choose();
    }

    /// Forgets a pair.
    pub(crate) fn remove(&mut self, path: &Path) {
        self.retain(|pair| pair.path != *path);
    }

    /// Ends the previous session.
    pub(crate) fn retire_previous(&mut self) {
        for pair in &mut self.pairs {
            pair.previous = None;
        }
        self.retain(|pair| pair.newest.is_some());
    }

    /// Forgets the pairs that were silent for so long.
    pub(crate) fn expire(&mut self, now: Instant, silence: Duration) {
        self.retain(|pair| now.saturating_duration_since(pair.last_seen) < silence);
    }

    /// When the peer was last heard on the pair that has been silent longest.
    pub(crate) fn longest_silent_since(&self) -> Option<Instant> {
        self.pairs.iter().map(|pair| pair.last_seen).min()
    }

    pub(crate) fn clear(&mut self) {
        self.retain(|_| false);
    }

    /// A path that is gone and whose validation was announced.
    pub(crate) fn poll_removed(&mut self) -> Option<Path> {
        self.removed.pop()
    }

    /// A path that was validated and not yet announced.
    pub(crate) fn poll_validated(&mut self) -> Option<Path> {
        let pair = self.pairs.iter_mut().find(|pair| !pair.announced)?;
        pair.announced = true;
        Some(pair.path)
    }

    fn tick(&mut self) -> u64 {
        self.clock = self.clock.saturating_add(1);
        self.clock
    }

    fn find(&self, path: &Path) -> Option<usize> {
        if self.pairs.get(self.recent).is_some_and(|pair| pair.path == *path) {
            return Some(self.recent);
        }
        self.pairs.iter().position(|pair| pair.path == *path)
    }

    /// Which pair to send on. Of a lite agent, among the nominated ones that on which the peer's newest DTLS, SRTP,
    /// SRTCP or check with USE-CANDIDATE came; before it has sent anything but checks there, that of the highest
    /// PRIORITY. Firefox nominates every pair with its first check and then uses the one of highest priority (RFC 8445
    /// §8.1.1), Chromium moves USE-CANDIDATE to the pair that it has changed to. While none is nominated: the pair on
    /// which the newest DTLS came, else that of the highest PRIORITY. After a restart the nominations before it count
    /// until there is one after it. Of a full agent that is controlled, that of the highest number in NOMINATION. Among
    /// equals, as those without a number are, the pair of the highest priority once one more is nominated, and from
    /// then on that on which the newest DTLS, SRTP or SRTCP came: USE-CANDIDATE alone never moves the path to a worse
    /// pair. When the choice is ours: the pair that we nominated last; before, that of the highest priority.
    fn choose(&self) -> Option<usize> {
        let best = self.pairs.iter().map(Pair::rank).max()?;
        let peers = || self.pairs.iter().enumerate().filter(|(_, pair)| pair.rank() == best);
        let active = peers().any(|(_, pair)| pair.activity > 0);
        let complete = peers().map(|(_, pair)| pair.nominated()).max().unwrap_or(0);
        peers()
            .max_by_key(|&(index, pair)| {
                let chosen = match self.choice {
                    Choice::Ours => (0, pair.nomination()),
                    Choice::Numbered if pair.activity > complete => (pair.number(), pair.activity),
                    Choice::Numbered => (pair.number(), 0),
                    Choice::Newest => (0, if active { pair.chosen() } else { 0 }),
                };
                // Of equals, the one that was validated first.
                (chosen, pair.priority(), Reverse(index))
            })
            .map(|(index, _)| index)
    }

    /// Makes room: the pair of the lowest rank that was silent longest goes, but never the selected one unless it is
    /// alone.
    fn evict(&mut self) {
        let victim = self
            .pairs
            .iter()
            .enumerate()
            .min_by_key(|&(index, pair)| (self.selected == Some(index), pair.rank(), pair.last_seen))
            .map(|(_, pair)| pair.path);
        self.retain(|pair| Some(pair.path) != victim);
    }

    fn retain(&mut self, keep: impl Fn(&Pair) -> bool) {
        let removed = &mut self.removed;
        self.pairs.retain(|pair| {
            let kept = keep(pair);
            if !kept && pair.announced {
                removed.push(pair.path);
            }
            kept
        });
        self.recent = 0;
        self.selected = self.choose();
    }
}

#[cfg(test)]
mod tests;
