//! Which layers of simulcast are in whose slots, and what publishers and viewers are told of that.

use std::time::Instant;

use peer::Kind;

use crate::choice::{Set, Size};
use crate::demand::Supply;
use crate::slot::Slot;
use crate::source::Subscriber;
use crate::{Event, Role, Sfu};

impl Sfu {
    /// How large a participant's slot shows the picture of a source.
    pub(crate) fn size_shown(&self, viewer: u32, source: u32) -> Size {
        let Some(participant) = self.participants.get(viewer) else {
            return Size::DEFAULT;
        };
        if participant.role != Role::Member {
            // They have no way to say it, and are there to see one picture well.
            return Size::MAX;
        }
        let Some(source) = self.sources.get(source) else {
            return Size::DEFAULT;
        };
        let publisher = self.participants.get(source.publisher).map(|publisher| publisher.id);
        let Some(publisher) = publisher else {
            return Size::DEFAULT;
        };
        let pictures = &participant.wish.pictures;
        let found =
            pictures.binary_search_by_key(&(publisher, source.kind), |picture| (picture.participant, picture.kind));
        found.map_or(Size::DEFAULT, |place| {
            let picture = &pictures[place];
            Size::new(picture.width, picture.height)
        })
    }

    /// Other layers of a source can be had now, or are of another size: each subscriber gets the one that fits.
    pub(crate) fn steer_all(&mut self, now: Instant, index: u32) {
        for place in 0.. {
            let Some(source) = self.sources.get(index) else { return };
            let Some(&subscriber) = source.subscribers.get(place) else {
                break;
            };
            self.steer(now, subscriber);
        }
        self.review(index);
    }

    /// A slot gets the layer that fits, once a key frame of it is there.
    pub(crate) fn steer(&mut self, now: Instant, own: Subscriber) {
        let Some(participant) = self.participants.get_mut(own.participant) else {
            return;
        };
        let Some(slot) = participant.slots.get_mut(own.slot as usize) else {
            return;
        };
        let Some((index, _)) = slot.source() else { return };
        let Some(source) = self.sources.get_mut(index) else {
            return;
        };
        if slot.steer(now, source, own) {
            self.begin_layers(own);
        }
        self.review(index);
    }

    /// What a slot waits for is asked for, and if it is there already, sent.
    pub(crate) fn begin_layers(&mut self, own: Subscriber) {
        let Some(participant) = self.participants.get_mut(own.participant) else {
            return;
        };
        let Some(slot) = participant.slots.get(own.slot as usize) else {
            return;
        };
        let Some((index, _)) = slot.source() else { return };
        let Some(source) = self.sources.get_mut(index).filter(|_| participant.connected) else {
            return;
        };
        slot.want_key_frames(source);
        self.wanting.push(index);
        if !slot.is_done(source) {
            participant.mark(own.slot);
            self.touch(own.participant);
        }
    }

    /// Tells a participant which layer one of its slots carries, if that has changed.
    pub(crate) fn tell_layer(&mut self, index: u32, place: usize) {
        let Some(participant) = self.participants.get_mut(index) else {
            return;
        };
        let Some(slot) = participant.slots.get_mut(place) else {
            return;
        };
        if slot.media != Kind::Video {
            return;
        }
        let rid = slot.source().zip(slot.layer()).and_then(|((source, _), layer)| {
            let layer = self.sources.get(source)?.layers.get(layer)?;
            layer.rid.as_deref()
        });
        let paused = slot.carried().and(slot.paused);
        let again = std::mem::take(&mut slot.told_of_another);
        if !again && (slot.told.0.as_deref(), slot.told.1) == (rid, paused) {
            return;
        }
        slot.told = (rid.map(str::to_owned), paused);
        let event = layer_event(slot);
        let id = participant.id;
        self.event(id, event);
    }

    /// Tells it of all its slots.
    pub(crate) fn tell_layers(&mut self, index: u32) {
        let slots = self.participants.get(index).map_or(0, |own| own.slots.len());
        for place in 0..slots {
            self.tell_layer(index, place);
        }
    }

    /// What is wanted of a source may have changed.
    pub(crate) fn review(&mut self, index: u32) {
        if let Some(source) = self.sources.get_mut(index)
            && source.media == Kind::Video
            && !std::mem::replace(&mut source.reviewed, true)
        {
            self.reviews.push(index);
        }
    }

    /// Tells publishers what is wanted of their pictures.
    pub(crate) fn tell_publishers(&mut self, now: Instant) {
        while let Some(index) = self.reviews.pop() {
            let Some(source) = self.sources.get(index) else {
                continue;
            };
            let slot = |own: &Subscriber| {
                let participant = self.participants.get(own.participant)?;
                participant.slots.get(own.slot as usize)
            };
            let wanted = source.subscribers.iter().filter_map(slot).map(Slot::wanted);
            let supply = Supply {
                wanted: wanted.fold(0, |all, one| all | one),
                usable: if source.layers.len() == 1 { 1 } else { source.usable() },
                last: source.layers.iter().filter_map(|layer| layer.flow.last()).max(),
                areas: source.areas(),
            };
            let Some(source) = self.sources.get_mut(index) else {
                continue;
            };
            source.reviewed = false;
            let changed = source.demand.follow(now, &supply);
            self.demand_deadlines.set(index, source.demand.due());
            if changed {
                self.tell_demand(index);
            }
        }
    }

    /// Tells a publisher which layers of a picture are wanted.
    pub(crate) fn tell_demand(&mut self, index: u32) {
        let Some(source) = self.sources.get(index) else { return };
        let peer = self.peers.get(source.publisher as usize).and_then(Option::as_ref);
        let section = peer.and_then(|peer| peer.sections().get(source.section));
        let (Some(section), Some(publisher)) = (section, self.participants.get_mut(source.publisher)) else {
            return;
        };
        if !publisher.told_of.contains(&source.section) {
            publisher.told_of.push(source.section);
        }
        let told = source.demand.told();
        let layers = source.layers.iter().enumerate();
        let wanted = layers.filter(|(place, _)| told & (1 << place) as Set != 0);
        let event = Event::Send {
            mid: section.mid().to_owned(),
            active: told != 0,
            rids: wanted.filter_map(|(_, layer)| layer.rid.clone()).collect(),
        };
        let id = publisher.id;
        self.event(id, event);
    }

    /// Tells a participant once more which of its layers are wanted, and which its slots carry.
    pub(crate) fn tell_layers_again(&mut self, index: u32) {
        let Some(participant) = self.participants.get(index) else {
            return;
        };
        let id = participant.id;
        let sources = participant.sources.clone();
        // Also those of which there is nothing to say: perhaps the last that was heard of them is that they are paused.
        let told = |slot: &&Slot| slot.media == Kind::Video && (slot.carried().is_some() || slot.told != (None, None));
        let slots = participant.slots.iter().filter(told);
        let layers: Vec<Event> = slots.map(layer_event).collect();
        for source in sources {
            if self
                .sources
                .get(source)
                .is_some_and(|source| source.media == Kind::Video)
            {
                self.tell_demand(source);
            }
        }
        for event in layers {
            self.event(id, event);
        }
    }
}

fn layer_event(slot: &Slot) -> Event {
    Event::Layer {
        mid: slot.mid.clone(),
        rid: slot.told.0.clone(),
        paused: slot.told.1,
    }
}
