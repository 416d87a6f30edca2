use std::boxed::Box;
use std::vec::Vec;

use super::channel::{Channel, ChannelId, Closure};

/// Who has a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Entry {
    #[default]
    Unused,
    /// The channel with this index.
    Channel(u32),
    /// Nobody: the peer opened it and was refused, and it is being reset.
    Refused(Closure),
    /// Nobody, for the peer did not let us reset it.
    Retired,
}

const PAGE: usize = 256;

/// Channels by name and by stream, both in constant time. One page of streams is held for each neighbourhood in use, so
/// that one high number costs little.
#[derive(Debug, Default)]
pub(super) struct Table {
    pages: Vec<Option<Box<[Entry; PAGE]>>>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// No lower stream of this parity is unused.
    lowest: [u16; 2],
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    channel: Option<Channel>,
}

impl Table {
    pub(super) fn entry(&self, stream: u16) -> Entry {
        let (page, at) = place(stream);
        let page = self.pages.get(page).and_then(Option::as_deref);
        page.and_then(|page| page.get(at)).copied().unwrap_or_default()
    }

    pub(super) fn set_entry(&mut self, stream: u16, entry: Entry) {
        if entry == Entry::Unused
            && let Some(lowest) = self.lowest.get_mut(usize::from(stream & 1))
        {
            *lowest = stream.min(*lowest);
        }
        let (page, at) = place(stream);
        if self.pages.len() <= page {
            self.pages.resize_with(page.saturating_add(1), || None);
        }
        let Some(page) = self.pages.get_mut(page) else { return };
        let page = page.get_or_insert_with(|| Box::new([Entry::Unused; PAGE]));
        if let Some(place) = page.get_mut(at) {
            *place = entry;
        }
    }

    /// The lowest unused stream of this parity below `count`.
    pub(super) fn unused_stream(&mut self, parity: u16, count: u16) -> Option<u16> {
        // Numbers of this parity from the first that may be unused.
        let known = self.lowest.get(usize::from(parity)).copied()?;
        let stream = (known | parity..count)
            .step_by(2)
            .find(|stream| self.entry(*stream) == Entry::Unused);
        let lowest = self.lowest.get_mut(usize::from(parity))?;
        *lowest = stream.unwrap_or(count).max(known);
        stream
    }

    pub(super) fn insert(&mut self, make: impl FnOnce(ChannelId) -> Channel) -> ChannelId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                generation: 0,
                channel: None,
            });
            u32::try_from(self.slots.len().saturating_sub(1)).unwrap_or(u32::MAX)
        });
        let mut id = ChannelId { index, generation: 0 };
        if let Some(slot) = self.slots.get_mut(at(index)) {
            id.generation = slot.generation;
            let channel = make(id);
            let stream = channel.stream;
            slot.channel = Some(channel);
            if let Some(stream) = stream {
                self.set_entry(stream, Entry::Channel(index));
            }
        }
        id
    }

    /// Forgets a channel; its stream is whatever `entry` says.
    pub(super) fn remove(&mut self, id: ChannelId, entry: Entry) -> Option<Channel> {
        let slot = self
            .slots
            .get_mut(at(id.index))
            .filter(|slot| slot.generation == id.generation)?;
        let channel = slot.channel.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.index);
        if let Some(stream) = channel.stream {
            self.set_entry(stream, entry);
        }
        Some(channel)
    }

    pub(super) fn get(&self, id: ChannelId) -> Option<&Channel> {
        let slot = self.slots.get(at(id.index))?;
        slot.channel.as_ref().filter(|_| slot.generation == id.generation)
    }

    pub(super) fn get_mut(&mut self, id: ChannelId) -> Option<&mut Channel> {
        let slot = self.slots.get_mut(at(id.index))?;
        slot.channel.as_mut().filter(|_| slot.generation == id.generation)
    }

    /// Gives a channel that has no stream this one.
    pub(super) fn set_stream(&mut self, id: ChannelId, stream: u16) {
        if let Some(channel) = self.get_mut(id) {
            channel.stream = Some(stream);
            self.set_entry(stream, Entry::Channel(id.index));
        }
    }

    /// The channel that has this stream.
    pub(super) fn on_stream(&mut self, stream: u16) -> Option<&mut Channel> {
        match self.entry(stream) {
            Entry::Channel(index) => self.slots.get_mut(at(index))?.channel.as_mut(),
            _ => None,
        }
    }

    #[cfg(test)]
    pub(super) fn pages_held(&self) -> usize {
        self.pages.iter().flatten().count()
    }

    /// Forgets all channels, and what was known of streams.
    pub(super) fn clear(&mut self, mut each: impl FnMut(Channel)) {
        self.pages.clear();
        self.lowest = [0; 2];
        for (index, slot) in (0..).zip(&mut self.slots) {
            if let Some(channel) = slot.channel.take() {
                slot.generation = slot.generation.wrapping_add(1);
                self.free.push(index);
                each(channel);
            }
        }
    }
}

fn place(stream: u16) -> (usize, usize) {
    let [page, at] = stream.to_be_bytes();
    (usize::from(page), usize::from(at))
}

/// Indices are 32 bits wide only to keep names small.
fn at(index: u32) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}
