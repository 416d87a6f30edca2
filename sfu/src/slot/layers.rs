//! Which layer of its source a slot carries, and how another one takes over.

use std::time::Instant;

use peer::Kind;

use super::Slot;
use crate::choice::Set;
use crate::source::{Source, Subscriber};

impl Slot {
    /// The layer of which pictures are sent now.
    pub(crate) fn layer(&self) -> Option<usize> {
        let subscription = self.subscription.as_ref()?;
        subscription.line.map(|_| subscription.layer)
    }

    /// The layers that it needs: what it sends, what is to take over, and what it would send if that could be had.
    pub(crate) fn wanted(&self) -> Set {
        let Some(subscription) = &self.subscription else {
            return 0;
        };
        let pending = subscription.pending.map(|(layer, _)| layer);
        let layers = [Some(subscription.layer), pending, self.target];
        layers.into_iter().flatten().fold(0, |set, layer| set | 1 << layer)
    }

    /// Looks which layer of its source is for the size in which the picture is shown. What is sent goes on until the
    /// other one's key frame is there; as long as nothing is sent, the smallest layer may come first. Returns whether
    /// key frames of other layers are needed now.
    pub(crate) fn steer(&mut self, now: Instant, source: &mut Source, own: Subscriber) -> bool {
        let Some(subscription) = &mut self.subscription else {
            return false;
        };
        let (areas, usable) = (source.areas(), source.usable());
        let target = areas.target(self.shown, self.target);
        self.target = Some(target);
        let best = areas.best(usable, target);
        let before = [Some((subscription.layer, subscription.next)), subscription.pending];
        let layer = match subscription.line {
            Some(_) => subscription.layer,
            None => areas.first(usable, best),
        };
        let after = [Some(layer), Some(best).filter(|best| *best != layer)];
        for (old, _) in before.into_iter().flatten() {
            if !after.contains(&Some(old)) {
                source.layers[old].unsubscribe(own);
            }
        }
        let (mut begun, unknown) = (false, !self.known);
        let mut place = |layer: usize| {
            let kept = before.iter().flatten().find(|(old, _)| *old == layer);
            let next = kept.map(|(_, next)| *next).or_else(|| {
                begun = true;
                Some(source.layers.get_mut(layer)?.subscribe(now, own, unknown))
            });
            Some((layer, next?))
        };
        if let Some((layer, next)) = place(layer) {
            (subscription.layer, subscription.next) = (layer, next);
        }
        subscription.pending = after[1].and_then(place);
        begun
    }

    /// Asks for the key frames that it waits for, unless they are there.
    pub(crate) fn want_key_frames(&self, source: &mut Source) {
        let Some(subscription) = self.subscription.filter(|_| self.media == Kind::Video) else {
            return;
        };
        let first = (subscription.layer, subscription.next);
        let waits = [
            Some(first).filter(|_| subscription.line.is_none()),
            subscription.pending,
        ];
        for (layer, next) in waits.into_iter().flatten() {
            if let Some(layer) = source.layers.get_mut(layer).filter(|layer| !layer.starts_at(next)) {
                layer.requests.want();
            }
        }
    }

    /// Lets the layer take over that is to, if a key frame of it is there.
    pub(super) fn follow_pending(&mut self, source: &mut Source, own: Subscriber) {
        let Some(subscription) = &mut self.subscription else {
            return;
        };
        let Some((place, next)) = subscription.pending else {
            return;
        };
        let Some(layer) = source.layers.get_mut(place) else {
            return;
        };
        let mut decodable = false;
        let begins = |index: &u64| {
            let entry = layer.ring.entry(*index);
            let entry = entry.filter(|entry| self.formats.iter().any(|format| format.codec == entry.codec));
            decodable |= entry.is_some();
            entry.is_some_and(|entry| entry.starts_key_frame)
        };
        let end = layer.ring.next_index();
        let Some(index) = (next..end).find(begins) else {
            // No key frame would help with what cannot be decoded, so none is asked for.
            if decodable {
                layer.requests.want();
            }
            subscription.pending = Some((place, end));
            return;
        };
        let old = std::mem::replace(&mut subscription.layer, place);
        subscription.pending = None;
        subscription.line = None;
        // The numbers that were sent belong to another ring.
        self.nacks.clear();
        self.begin(layer, index);
        if let Some(old) = source.layers.get_mut(old) {
            old.unsubscribe(own);
        }
    }
}
