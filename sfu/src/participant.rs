use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use peer::SenderId;
use wire::Path;

use crate::echo::Echo;
use crate::lines::Lines;
use crate::link::Link;
use crate::slot::Slot;
use crate::timeline::WallClock;
use crate::{Gone, ParticipantView, SlotView, SourceLabel, View};

/// Names a participant, never anybody else later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParticipantId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl ParticipantId {
    /// As one number, for those who keep it where only numbers fit.
    pub const fn to_bits(self) -> u64 {
        (self.generation as u64) << 32 | self.index as u64
    }

    /// From the number.
    pub const fn from_bits(bits: u64) -> Self {
        Self {
            index: bits as u32,
            generation: (bits >> 32) as u32,
        }
    }
}

impl fmt::Display for ParticipantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}-{}", self.index, self.generation)
    }
}

/// What somebody comes for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// Sees and is seen: has slots, which carry everybody else.
    Member,
    /// Only sends (WHIP).
    Publisher,
    /// Only receives, with one pair of slots (WHEP).
    Viewer {
        /// Whom, by name. `None`: the first publisher, else who speaks.
        source: Option<String>,
    },
    /// Gets everything back that it sends; is in no room.
    Echo,
}

impl Role {
    /// Whether others are to be told of it.
    pub(crate) const fn is_seen(&self) -> bool {
        matches!(self, Self::Member | Self::Publisher)
    }
}

/// Whom a pair of slots carries: one participant's camera and microphone, or its screen and the sound of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Carried {
    pub(crate) participant: u32,
    pub(crate) group: u8,
}

/// Somebody in a room (or alone with the echo).
#[derive(Debug)]
pub(crate) struct Participant {
    pub(crate) id: ParticipantId,
    pub(crate) name: Arc<str>,
    pub(crate) role: Role,
    pub(crate) room: Option<u32>,
    pub(crate) slots: Vec<Slot>,
    /// The slot of each sender, by the sender's number.
    pub(crate) slot_of_sender: Vec<u32>,
    /// What it wants to see.
    pub(crate) wish: View,
    /// Slots that have something to send.
    pub(crate) dirty: Vec<u32>,
    /// Whom each pair of slots carries, by the pair's number.
    pub(crate) pairs: Vec<Option<Carried>>,
    /// Its sources, in the order of their sections.
    pub(crate) sources: Vec<u32>,
    /// The sections of which it was told what is wanted of their pictures. It holds to that as long as it hears nothing
    /// else, also when it stops to send there and begins again.
    pub(crate) told_of: Vec<usize>,
    /// What it said of its sections, also of those that are not negotiated yet.
    pub(crate) labels: Vec<SourceLabel>,
    /// Pairs that it was asked for.
    pub(crate) asked_pairs: usize,
    pub(crate) slots_told: Vec<SlotView>,
    /// Its slots may carry something else than what it was told.
    pub(crate) slots_changed: bool,
    /// What the others were told of it last.
    pub(crate) told: Option<ParticipantView>,
    pub(crate) connected: bool,
    /// It is told to go, and only waits for its last datagrams to leave.
    pub(crate) leaving: Option<Gone>,
    /// It waits in the list of peers that have something to send.
    pub(crate) queued: bool,
    /// Something was given to its peer, which may therefore have to send something else than media.
    pub(crate) stirred: bool,
    /// When it is given up, unless it connects.
    pub(crate) give_up: Option<Instant>,
    /// Its entries in the router.
    pub(crate) paths: Vec<Path>,
    pub(crate) ufrags: Vec<String>,
    /// What it reports of the link to it.
    pub(crate) link: Link,
    /// Messages on data channels that go back, in the echo.
    pub(crate) echo: Echo,
    /// The data channels of a member.
    pub(crate) lines: Lines,
    /// Its own wall clock, known from its first sender report on.
    pub(crate) wall_clock: Option<WallClock>,
}

impl Participant {
    pub(crate) fn new(id: ParticipantId, name: Arc<str>, role: Role, room: Option<u32>) -> Self {
        Self {
            id,
            name,
            role,
            room,
            slots: Vec::new(),
            slot_of_sender: Vec::new(),
            wish: View::default(),
            dirty: Vec::new(),
            pairs: Vec::new(),
            sources: Vec::new(),
            told_of: Vec::new(),
            labels: Vec::new(),
            asked_pairs: 0,
            slots_told: Vec::new(),
            slots_changed: false,
            told: None,
            connected: false,
            leaving: None,
            queued: false,
            stirred: false,
            give_up: None,
            paths: Vec::new(),
            ufrags: Vec::new(),
            link: Link::default(),
            echo: Echo::default(),
            lines: Lines::default(),
            wall_clock: None,
        }
    }

    pub(crate) fn label(&self, mid: &str) -> Option<&SourceLabel> {
        self.labels.iter().find(|label| label.mid == mid)
    }

    pub(crate) fn add_slot(&mut self, slot: Slot) {
        let sender = slot.sender.0 as usize;
        if self.slot_of_sender.len() <= sender {
            self.slot_of_sender.resize(sender + 1, u32::MAX);
        }
        self.slot_of_sender[sender] = self.slots.len() as u32;
        self.slots.push(slot);
    }

    /// The slot of a sender, by index.
    pub(crate) fn slot_of(&self, sender: SenderId) -> Option<u32> {
        let slot = *self.slot_of_sender.get(sender.0 as usize)?;
        ((slot as usize) < self.slots.len()).then_some(slot)
    }

    /// There are as many pairs as slots make, by the numbers that the peer was told: these stay whatever section is
    /// stopped or recycled.
    pub(crate) fn resize_pairs(&mut self) {
        let active = self.slots.iter().filter(|slot| slot.active);
        let pairs = active.map(|slot| slot.pair as usize + 1).max().unwrap_or(0);
        self.pairs.resize(pairs, None);
    }

    /// A slot has something to send.
    #[inline]
    pub(crate) fn mark(&mut self, slot: u32) {
        if let Some(place) = self.slots.get_mut(slot as usize)
            && !place.queued
        {
            place.queued = true;
            self.dirty.push(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_participant_has_a_name_for_logs_and_a_number() {
        let id = ParticipantId {
            index: 3,
            generation: 1,
        };
        assert_eq!(id.to_string(), "p3-1");
        assert_eq!(ParticipantId::from_bits(id.to_bits()), id);
    }
}
