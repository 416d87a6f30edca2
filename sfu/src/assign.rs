//! Who is in whose slots, as the rules of `policy` have it.

use std::time::Instant;

use peer::Kind;
use rand::Rng;

use crate::choice::Size;
use crate::participant::Carried;
use crate::policy::{self, Member, Policy, Wish};
use crate::room::Room;
use crate::slot::Slot;
use crate::source::{Source, Subscriber};
use crate::{Event, ParticipantId, ParticipantView, Paused, Role, Sfu, SlotView, SourceKind};

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
            if let Some(slot) = participant.slot_of(sender.id()) {
                participant.slots[slot as usize].renegotiate(section);
                continue;
            }
            let slot = Slot::new(now, place, section, sender, self.config.history, self.rng.next_u64());
            clocks.push((slot.sender, slot.clock().timestamp(now)));
            participant.add_slot(slot);
        }
        participant.slots_changed = true;
        participant.dirty.reserve(participant.slots.len());
        // Sources: one for each section in which we receive.
        let mut wanted = Vec::new();
        for (place, section) in peer.sections().iter().enumerate() {
            if let (streams @ [_, ..], Kind::Audio | Kind::Video) = (section.streams(), section.kind()) {
                wanted.push((place, streams.to_vec(), section.kind()));
            }
        }
        wanted.truncate(self.config.max_sources);
        for (sender, timestamp) in clocks {
            peer.set_sender_clock(sender, now, timestamp);
        }
        let stale = participant.sources.clone();
        let told_of = participant.told_of.clone();
        let (mut kept, mut told_before) = (Vec::new(), Vec::new());
        for (place, streams, media) in wanted {
            let is = |&&source: &&u32| self.sources.get(source).is_some_and(|source| source.is_of(&streams));
            let source = match stale.iter().find(is) {
                Some(&source) => source,
                None => {
                    let fresh = self.sources.insert(Source::new(index, place, &streams, media)).0;
                    if media == Kind::Video && told_of.contains(&place) {
                        told_before.push(fresh);
                    }
                    fresh
                }
            };
            kept.push(source);
            self.review(source);
        }
        let changed = kept != stale;
        for source in stale {
            if !kept.contains(&source) {
                self.remove_source(source);
            }
        }
        if let Some(participant) = self.participants.get_mut(index) {
            participant.sources = kept;
        }
        // What is wanted of a new source begins with everything, untold: who was told something else of the one before
        // in this section still holds to that.
        for source in told_before {
            self.tell_demand(source);
        }
        self.follow_labels(now, index, changed);
    }

    /// What a participant says of its sources has changed, or, if so `changed`, which there are.
    pub(crate) fn follow_labels(&mut self, now: Instant, index: u32, changed: bool) {
        let Some(participant) = self.participants.get(index) else {
            return;
        };
        let Some(peer) = self.peers.get(index as usize).and_then(Option::as_ref) else {
            return;
        };
        let mut viewers = Vec::new();
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
            if (source.kind, source.muted) == (label.kind, label.muted) {
                continue;
            }
            source.kind = label.kind;
            source.muted = label.muted;
            for subscriber in source.subscribers.iter().chain(&source.paused) {
                viewers.push(subscriber.participant);
            }
        }
        let room = participant.room;
        for viewer in viewers {
            if let Some(viewer) = self.participants.get_mut(viewer) {
                viewer.slots_changed = true;
            }
        }
        let news = self.news(index);
        let changed = changed || news.is_some();
        if let Some(view) = news {
            self.tell_others(index, &Event::Sources(view));
        }
        match room {
            Some(room) if changed => self.assign(now, room),
            // Only its own slots are others: nobody else sees anything of that.
            Some(_) => self.assign_one(now, index),
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
        let mut policy = self.look(room);
        for place in 0.. {
            let Some(&viewer) = self.rooms.get(room).and_then(|room| room.participants.get(place)) else {
                break;
            };
            self.assign_viewer(now, viewer, &mut policy);
        }
        self.policy = policy;
    }

    /// Gives one participant the slots that fit.
    pub(crate) fn assign_one(&mut self, now: Instant, viewer: u32) {
        let Some(room) = self.participants.get(viewer).and_then(|own| own.room) else {
            return;
        };
        let mut policy = self.look(room);
        self.assign_viewer(now, viewer, &mut policy);
        self.policy = policy;
    }

    /// Gives one participant its slots anew: other pictures of the same people are sent to it now.
    pub(crate) fn fill_again(&mut self, now: Instant, index: u32) {
        if self.participants.get(index).is_some_and(|own| own.role == Role::Echo) {
            self.assign_echo(now, index);
        } else {
            self.assign_one(now, index);
        }
    }

    /// Somebody else has the floor, which those look at who named nobody.
    fn assign_watchers(&mut self, now: Instant, room: u32) {
        for place in 0.. {
            let Some(&viewer) = self.rooms.get(room).and_then(|room| room.participants.get(place)) else {
                break;
            };
            if self
                .participants
                .get(viewer)
                .is_some_and(|own| own.role == Role::Viewer { source: None })
            {
                let watched = self.watched(None, room);
                self.assign_watcher(now, viewer, watched);
            }
        }
    }

    /// The rules, for a room as it is now.
    fn look(&mut self, room: u32) -> Policy {
        let mut policy = std::mem::take(&mut self.policy);
        if let Some(room) = self.rooms.get(room) {
            let members = room.participants.iter().filter_map(|&index| self.member(index));
            policy.look(self.config.top_k, &room.on_air, members);
        }
        policy
    }

    /// What the rules go by of a participant; nothing if it is not seen.
    fn member(&self, index: u32) -> Option<Member> {
        let participant = self.participants.get(index)?;
        if !participant.role.is_seen() || participant.leaving.is_some() {
            return None;
        }
        let mut member = Member {
            participant: index,
            sends: [false; 2],
            picture: false,
            spoke: None,
        };
        for source in participant
            .sources
            .iter()
            .filter_map(|&source| self.sources.get(source))
        {
            member.sends[usize::from(source.kind.group())] = true;
            member.picture |= source.kind == SourceKind::Camera && !source.muted;
            if source.kind == SourceKind::Microphone {
                member.spoke = member.spoke.max(source.spoke());
            }
        }
        Some(member)
    }

    fn assign_viewer(&mut self, now: Instant, viewer: u32, policy: &mut Policy) {
        let Some(participant) = self.participants.get(viewer) else {
            return;
        };
        match &participant.role {
            Role::Member => self.assign_member(now, viewer, policy),
            Role::Viewer { source } => {
                let watched = participant.room.and_then(|room| self.watched(source.as_deref(), room));
                self.assign_watcher(now, viewer, watched);
            }
            Role::Publisher | Role::Echo => {}
        }
    }

    fn assign_member(&mut self, now: Instant, viewer: u32, policy: &mut Policy) {
        let Some(participant) = self.participants.get(viewer) else {
            return;
        };
        let room = participant.room;
        let here = |&&id: &&ParticipantId| self.participant(id).is_some_and(|other| other.room == room);
        let pinned: Vec<u32> = participant.wish.pinned.iter().filter(here).map(|id| id.index).collect();
        let tiles = participant.wish.tiles.unwrap_or(self.config.last_n);
        let wish = Wish {
            viewer,
            tiles: tiles.min(self.config.max_tiles),
            pinned: &pinned,
        };
        let need = policy.need(&wish).max(1).next_multiple_of(self.config.slot_step.max(1));
        let Some(participant) = self.participants.get_mut(viewer) else {
            return;
        };
        participant.resize_pairs();
        policy.choose(&wish, &mut participant.pairs);
        if need > participant.asked_pairs {
            participant.asked_pairs = need;
            let id = participant.id;
            self.event(
                id,
                Event::Need {
                    audio: need,
                    video: need,
                },
            );
        }
        self.fill_slots(now, viewer, |carried| policy.hears(&wish, carried));
    }

    /// A viewer with one pair looks at somebody else as soon as that is wanted.
    fn assign_watcher(&mut self, now: Instant, viewer: u32, watched: Option<Carried>) {
        let Some(participant) = self.participants.get_mut(viewer) else {
            return;
        };
        participant.resize_pairs();
        for pair in &mut participant.pairs {
            *pair = pair.filter(|carried| Some(*carried) == watched);
        }
        if !participant.pairs.iter().any(Option::is_some)
            && let Some(first) = participant.pairs.first_mut()
        {
            *first = watched;
        }
        self.fill_slots(now, viewer, |_| true);
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
            self.set_slot(now, index, place as u32, source, true);
        }
        self.tell_layers(index);
    }

    /// Whom a viewer sees who named `name`, or nobody.
    fn watched(&self, name: Option<&str>, room: u32) -> Option<Carried> {
        let room = self.rooms.get(room)?;
        let is = |index: u32, test: &dyn Fn(&crate::participant::Participant) -> bool| {
            self.participants
                .get(index)
                .is_some_and(|own| own.role.is_seen() && own.leaving.is_none() && test(own))
        };
        let find = |test: &dyn Fn(&crate::participant::Participant) -> bool| {
            room.participants.iter().copied().find(|&index| is(index, test))
        };
        let participant = match name {
            Some(name) => find(&|own| *own.name == *name)?,
            None => find(&|own| own.role == Role::Publisher)
                .or_else(|| room.dominant.filter(|&index| is(index, &|_| true)))
                .or_else(|| find(&|own| !own.sources.is_empty()))?,
        };
        Some(Carried {
            participant,
            group: policy::PERSON,
        })
    }

    /// Lets a participant's slots carry whom its pairs are for. Pictures are sent of all of them, and the sound of
    /// those who are `heard`.
    fn fill_slots(&mut self, now: Instant, viewer: u32, heard: impl Fn(Carried) -> bool) {
        for place in 0.. {
            let Some(participant) = self.participants.get(viewer) else {
                return;
            };
            let Some(slot) = participant.slots.get(place) else {
                break;
            };
            let pair = participant.pairs.get(slot.pair as usize).copied().flatten();
            let pair = pair.filter(|_| slot.active);
            let media = slot.media;
            let source = pair.and_then(|carried| self.source_in(carried, media));
            let flows = media == Kind::Video || pair.is_some_and(&heard);
            self.set_slot(now, viewer, place as u32, source, flows);
        }
        self.tell_slots(viewer);
        self.tell_layers(viewer);
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

    /// Lets a slot carry `source`, or nothing. What it carries is only sent if it `flows`, and if its picture is shown.
    fn set_slot(&mut self, now: Instant, index: u32, place: u32, source: Option<u32>, flows: bool) {
        let shown = source.map_or(Size::DEFAULT, |source| self.size_shown(index, source));
        let Some(participant) = self.participants.get_mut(index) else {
            return;
        };
        let Some(slot) = participant.slots.get_mut(place as usize) else {
            return;
        };
        let own = Subscriber {
            participant: index,
            slot: place,
        };
        slot.paused = match slot.media {
            Kind::Video if shown.area() == 0 => Some(Paused::Hidden),
            Kind::Video => participant.link.trouble().map(Paused::from),
            _ => None,
        };
        let flows = flows && slot.paused.is_none();
        let resized = flows && std::mem::replace(&mut slot.shown, shown) != shown;
        let present = slot.carried();
        if present == source && slot.source().is_some() == (flows && source.is_some()) {
            if resized {
                self.steer(now, own);
            }
            return;
        }
        slot.carry(source);
        if let Some(old) = present {
            if let Some(old) = self.sources.get_mut(old) {
                old.unsubscribe(own);
            }
            self.review(old);
        }
        let Some(participant) = self.participants.get_mut(index) else {
            return;
        };
        participant.slots_changed |= present != source;
        let Some(new) = source else { return };
        let Some(source) = self.sources.get_mut(new) else {
            return;
        };
        if !flows {
            source.paused.push(own);
            return;
        }
        participant.slots[place as usize].subscribe(now, new, source, own);
        source.subscribers.push(own);
        self.begin_layers(own);
        self.review(new);
        self.send_requests(now);
    }

    /// Tells a participant what its slots carry, if that has changed.
    fn tell_slots(&mut self, index: u32) {
        let changed = self.participants.get_mut(index).map(|own| &mut own.slots_changed);
        if !changed.is_some_and(std::mem::take) {
            return;
        }
        let Some(participant) = self.participants.get(index) else {
            return;
        };
        let view = |slot: &Slot| {
            let source = slot.carried().and_then(|source| self.sources.get(source));
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
        for subscriber in source.subscribers.into_iter().chain(source.paused) {
            if let Some(participant) = self.participants.get_mut(subscriber.participant)
                && let Some(slot) = participant.slots.get_mut(subscriber.slot as usize)
            {
                slot.carry(None);
                participant.slots_changed = true;
            }
        }
        self.request_deadlines.set(index, None);
        self.demand_deadlines.set(index, None);
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
            self.set_slot(now, index, place as u32, None, false);
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
        let changes = room.follow(now, self.config.top_k, voice);
        let news = room.has_news(now);
        let due = room.due(now);
        self.speech_deadlines.set(index, due);
        if changes.on_air {
            self.assign(now, index);
        } else if changes.floor {
            self.assign_watchers(now, index);
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
        let event = self.speakers(room);
        let members = room.participants.iter().filter_map(|&one| self.participants.get(one));
        let members: Vec<_> = members
            .filter(|own| own.role == Role::Member)
            .map(|own| own.id)
            .collect();
        for member in members {
            self.event(member, event.clone());
        }
    }

    /// Who speaks in a room.
    pub(crate) fn speakers(&self, room: &Room) -> Event {
        let id = |participant: u32| self.participants.get(participant).map(|own| own.id);
        Event::Speakers {
            dominant: room.dominant.and_then(id),
            speaking: room.speaking.iter().filter_map(|&one| id(one)).collect(),
        }
    }
}
