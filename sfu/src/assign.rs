//! Who is seen in whose slots. Today everybody sees everybody; policies that choose come between here and the slots.

use std::time::Instant;

use peer::Kind;
use rand::Rng;

use crate::participant::Carried;
use crate::slot::Slot;
use crate::source::{Source, Subscriber};
use crate::{Event, ParticipantView, Role, Sfu, SlotView, SourceKind};

impl Sfu {
    /// A new offer was accepted: sources and slots follow the sections.
    pub(crate) fn follow_sections(&mut self, now: Instant, index: u32) {
        let Some(peer) = self.peers.get_mut(index as usize).and_then(Option::as_mut) else {
            return;
        };
        let Some(participant) = self.participants.get_mut(index) else {
            return;
        };
        // Slots: a sender keeps its slot for as long as it is agreed to.
        for slot in &mut participant.slots {
            slot.active = false;
        }
        let mut clocks = Vec::new();
        for (place, section) in peer.sections().iter().enumerate() {
            let Some(sender) = section.sender().and_then(|sender| peer.sender(sender)) else {
                continue;
            };
            if let Some(slot) = participant.slots.iter_mut().find(|slot| slot.sender == sender.id()) {
                slot.renegotiate(section);
                continue;
            }
            let slot = Slot::new(now, place, section, sender, self.config.history, self.rng.next_u64());
            clocks.push((slot.sender, slot.clock().timestamp(now)));
            participant.slots.push(slot);
        }
        participant.dirty.reserve(participant.slots.len());
        // Sources: one for each section in which we receive.
        let mut wanted = Vec::new();
        for (place, section) in peer.sections().iter().enumerate() {
            if let (Some(stream), Kind::Audio | Kind::Video) = (section.streams().first(), section.kind()) {
                wanted.push((place, stream.id, section.kind()));
            }
        }
        wanted.truncate(self.config.max_sources);
        for (sender, timestamp) in clocks {
            peer.set_sender_clock(sender, now, timestamp);
        }
        let stale: Vec<u32> = participant.sources.clone();
        let mut kept = Vec::new();
        for (place, stream, media) in wanted {
            let is = |&&source: &&u32| self.sources.get(source).is_some_and(|source| source.stream == stream);
            let source = match stale.iter().find(is) {
                Some(&source) => source,
                None => self.sources.insert(Source::new(index, place, stream, media)).0,
            };
            kept.push(source);
        }
        for source in stale {
            if !kept.contains(&source) {
                self.remove_source(source);
            }
        }
        if let Some(participant) = self.participants.get_mut(index) {
            participant.sources = kept;
        }
        self.follow_labels(now, index);
    }

    /// What a participant says of its sources, or which there are, has changed.
    pub(crate) fn follow_labels(&mut self, now: Instant, index: u32) {
        let Some(participant) = self.participants.get(index) else {
            return;
        };
        let Some(peer) = self.peers.get(index as usize).and_then(Option::as_ref) else {
            return;
        };
        for &source in &participant.sources {
            let Some(source) = self.sources.get_mut(source) else {
                continue;
            };
            let label = peer
                .sections()
                .get(source.section)
                .and_then(|section| participant.label(section.mid()));
            let Some(label) = label.filter(|label| label.kind.is_video() == (source.media == Kind::Video)) else {
                continue;
            };
            source.kind = label.kind;
            source.muted = label.muted;
        }
        let room = participant.room;
        if let Some(view) = self.news(index) {
            self.tell_others(index, &Event::Sources(view));
        }
        match room {
            Some(room) => self.assign(now, room),
            None => self.assign_echo(now, index),
        }
    }

    /// What the others see of a participant, if they were told something else last; it is taken as told.
    pub(crate) fn news(&mut self, index: u32) -> Option<ParticipantView> {
        let view = self.view(index)?;
        let told = &mut self.participants.get_mut(index)?.told;
        if told.as_ref() == Some(&view) {
            return None;
        }
        *told = Some(view.clone());
        Some(view)
    }

    /// Gives everybody in a room the slots that fit.
    pub(crate) fn assign(&mut self, now: Instant, room: u32) {
        let Some(participants) = self.rooms.get(room).map(|room| room.participants.clone()) else {
            return;
        };
        for &viewer in &participants {
            let wanted = match self.participants.get(viewer).map(|viewer| &viewer.role) {
                Some(Role::Member) => self.everybody_else(&participants, viewer),
                Some(Role::Viewer { source }) => self
                    .watched(&participants, source.as_deref(), room)
                    .into_iter()
                    .collect(),
                _ => continue,
            };
            self.fill_pairs(now, viewer, &wanted);
        }
    }

    /// An echo: each slot carries the source of its own section.
    fn assign_echo(&mut self, now: Instant, index: u32) {
        let Some(participant) = self.participants.get(index) else {
            return;
        };
        let sources = participant.sources.clone();
        for place in 0..participant.slots.len() {
            let section = self.participants.get(index).map(|own| own.slots[place].section);
            let own = |&source: &u32| {
                self.sources
                    .get(source)
                    .is_some_and(|source| Some(source.section) == section)
            };
            let source = sources.iter().copied().find(own);
            self.set_slot(now, index, place as u32, source);
        }
    }

    /// Camera and microphone of everybody else, then their screens.
    fn everybody_else(&self, participants: &[u32], viewer: u32) -> Vec<Carried> {
        let mut wanted = Vec::new();
        for group in [0, 1] {
            for &participant in participants.iter().filter(|&&other| other != viewer) {
                if self.has_group(participant, group) {
                    wanted.push(Carried { participant, group });
                }
            }
        }
        wanted
    }

    fn has_group(&self, participant: u32, group: u8) -> bool {
        let Some(participant) = self.participants.get(participant).filter(|own| own.leaving.is_none()) else {
            return false;
        };
        participant
            .sources
            .iter()
            .any(|&source| self.sources.get(source).is_some_and(|s| s.kind.group() == group))
    }

    /// Whom a viewer sees who named `name`, or nobody.
    fn watched(&self, participants: &[u32], name: Option<&str>, room: u32) -> Option<Carried> {
        let is = |index: u32, test: &dyn Fn(&crate::participant::Participant) -> bool| {
            self.participants
                .get(index)
                .is_some_and(|own| own.role.is_seen() && own.leaving.is_none() && test(own))
        };
        let find = |test: &dyn Fn(&crate::participant::Participant) -> bool| {
            participants.iter().copied().find(|&index| is(index, test))
        };
        let participant = match name {
            Some(name) => find(&|own| *own.name == *name)?,
            None => find(&|own| own.role == Role::Publisher)
                .or_else(|| {
                    self.rooms
                        .get(room)
                        .and_then(|room| room.dominant)
                        .filter(|&index| is(index, &|_| true))
                })
                .or_else(|| find(&|own| !own.sources.is_empty()))?,
        };
        Some(Carried { participant, group: 0 })
    }

    /// Lets a viewer's pairs of slots carry `wanted`. Who has a pair keeps it; who is new takes the first free one.
    fn fill_pairs(&mut self, now: Instant, viewer: u32, wanted: &[Carried]) {
        let Some(participant) = self.participants.get_mut(viewer) else {
            return;
        };
        // By the numbers that the peer was told, which stay whatever section is stopped or recycled.
        let active = participant.slots.iter().filter(|slot| slot.active);
        let there = active.map(|slot| slot.pair as usize + 1).max().unwrap_or(0);
        let is_member = participant.role == Role::Member;
        let mut pairs = std::mem::take(&mut participant.pairs);
        pairs.resize(there, None);
        for pair in &mut pairs {
            *pair = pair.filter(|carried| wanted.contains(carried));
        }
        for carried in wanted {
            if !pairs.contains(&Some(*carried))
                && let Some(free) = pairs.iter_mut().find(|pair| pair.is_none())
            {
                *free = Some(*carried);
            }
        }
        // A viewer with one pair looks at somebody else as soon as that is wanted; a member is asked for more pairs.
        let step = self.config.slot_step.max(1);
        let need = wanted.len().max(1).next_multiple_of(step);
        let ask = is_member && need > participant.asked_pairs;
        if ask {
            participant.asked_pairs = need;
        }
        participant.pairs.clone_from(&pairs);
        let id = participant.id;
        if ask {
            self.event(
                id,
                Event::Need {
                    audio: need,
                    video: need,
                },
            );
        }
        for place in 0.. {
            let Some(slot) = self.participants.get(viewer).and_then(|own| own.slots.get(place)) else {
                break;
            };
            let pair = pairs.get(slot.pair as usize).copied().flatten();
            let media = slot.media;
            let source = pair
                .filter(|_| slot.active)
                .and_then(|carried| self.source_in(carried, media));
            self.set_slot(now, viewer, place as u32, source);
        }
        self.tell_slots(viewer);
    }

    fn source_in(&self, carried: Carried, media: Kind) -> Option<u32> {
        let participant = self.participants.get(carried.participant)?;
        let fits = |&&index: &&u32| {
            self.sources
                .get(index)
                .is_some_and(|s| s.media == media && s.kind.group() == carried.group)
        };
        participant.sources.iter().find(fits).copied()
    }

    /// Lets a slot carry `source`, or nothing.
    fn set_slot(&mut self, now: Instant, index: u32, place: u32, source: Option<u32>) {
        let Some(participant) = self.participants.get_mut(index) else {
            return;
        };
        let connected = participant.connected;
        let Some(slot) = participant.slots.get_mut(place as usize) else {
            return;
        };
        let present = slot.source();
        if present == source {
            return;
        }
        let subscriber = Subscriber {
            participant: index,
            slot: place,
        };
        slot.unsubscribe();
        if let Some(old) = present.and_then(|old| self.sources.get_mut(old)) {
            old.unsubscribe(subscriber);
        }
        let Some(new) = source else { return };
        let Some(source) = self.sources.get_mut(new) else {
            return;
        };
        slot.subscribe(new, source);
        source.subscribers.push(subscriber);
        if connected && slot.waits_for_key_frame() {
            source.requests.want();
            self.wanting.push(new);
        }
        self.send_requests(now);
    }

    /// Tells a participant what its slots carry, if that has changed.
    fn tell_slots(&mut self, index: u32) {
        let Some(participant) = self.participants.get(index) else {
            return;
        };
        let view = |slot: &Slot| {
            let source = slot.source().and_then(|source| self.sources.get(source));
            let carries = source.and_then(|source| {
                let publisher = self.participants.get(source.publisher)?;
                Some((publisher.id, publisher.name.clone(), source.kind))
            });
            SlotView {
                mid: slot.mid.clone(),
                video: slot.media == Kind::Video,
                carries,
                muted: source.is_some_and(|source| source.muted),
            }
        };
        let views: Vec<SlotView> = participant.slots.iter().filter(|slot| slot.active).map(view).collect();
        if views != participant.slots_told {
            let id = participant.id;
            if let Some(participant) = self.participants.get_mut(index) {
                participant.slots_told.clone_from(&views);
            }
            self.event(id, Event::Slots(views));
        }
    }

    /// Nobody gets this source any more.
    pub(crate) fn remove_source(&mut self, index: u32) {
        let Some(source) = self.sources.remove(index) else {
            return;
        };
        for subscriber in source.subscribers {
            if let Some(participant) = self.participants.get_mut(subscriber.participant)
                && let Some(slot) = participant.slots.get_mut(subscriber.slot as usize)
            {
                slot.unsubscribe();
            }
        }
        self.request_deadlines.set(index, None);
    }

    /// Takes a participant out of its room: its sources end, its slots are empty. An empty room is forgotten.
    pub(crate) fn leave_room(&mut self, now: Instant, index: u32) {
        let Some(participant) = self.participants.get_mut(index) else {
            return;
        };
        let room = participant.room.take();
        participant.connected = false;
        participant.dirty.clear();
        for place in 0..participant.slots.len() {
            self.set_slot(now, index, place as u32, None);
        }
        let sources = self
            .participants
            .get_mut(index)
            .map(|own| std::mem::take(&mut own.sources))
            .unwrap_or_default();
        for source in sources {
            self.remove_source(source);
        }
        let Some(room) = room else { return };
        let Some(place) = self.rooms.get_mut(room) else { return };
        place.remove(index);
        if place.participants.is_empty() {
            self.speech_deadlines.set(room, None);
            if let Some(room) = self.rooms.remove(room) {
                self.rooms_by_name.remove(&room.name);
            }
            return;
        }
        self.follow_speech(now, room);
        self.assign(now, room);
    }

    /// Somebody begins to speak in this source.
    pub(crate) fn speech_begins(&mut self, now: Instant, source: u32) {
        let Some(publisher) = self.sources.get(source).map(|source| source.publisher) else {
            return;
        };
        let Some(room) = self.participants.get(publisher).and_then(|own| own.room) else {
            return;
        };
        if let Some(room) = self.rooms.get_mut(room) {
            room.begin(publisher);
        }
        self.follow_speech(now, room);
    }

    /// Looks who speaks in a room, and sees to what follows from it.
    pub(crate) fn follow_speech(&mut self, now: Instant, index: u32) {
        let Some(room) = self.rooms.get_mut(index) else { return };
        let (participants, sources) = (&self.participants, &self.sources);
        let voice = |participant: u32| {
            let own = participants.get(participant)?;
            let own = own.sources.iter().filter_map(|&source| sources.get(source));
            own.filter(|source| source.kind == SourceKind::Microphone)
                .find_map(Source::activity)
        };
        let changed = room.follow(now, voice);
        let news = room.has_news(now);
        let due = room.due(now);
        self.speech_deadlines.set(index, due);
        if changed {
            self.assign(now, index);
        }
        if news {
            self.tell_speakers(index);
        }
    }

    /// Tells the members of a room who speaks. Whoever is alone knows that.
    fn tell_speakers(&mut self, room: u32) {
        let Some(room) = self.rooms.get(room) else { return };
        let seen = |&&one: &&u32| self.participants.get(one).is_some_and(|own| own.role.is_seen());
        if room.participants.iter().filter(seen).count() < 2 {
            return;
        }
        let id = |participant: u32| self.participants.get(participant).map(|own| own.id);
        let event = Event::Speakers {
            dominant: room.dominant.and_then(id),
            speaking: room.speaking.iter().filter_map(|&one| id(one)).collect(),
        };
        let members = room.participants.iter().filter_map(|&one| self.participants.get(one));
        let members: Vec<_> = members
            .filter(|own| own.role == Role::Member)
            .map(|own| own.id)
            .collect();
        for member in members {
            self.event(member, event.clone());
        }
    }
}
