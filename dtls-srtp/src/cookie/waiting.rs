use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::reassembly::Reassembler;

/// A hello of which parts are there.
#[derive(Debug)]
pub(super) struct Partial {
    pub(super) message_seq: u16,
    pub(super) reassembler: Reassembler,
    /// Bytes of the datagrams that brought it: an answer may have three times as many.
    pub(super) received_bytes: usize,
    /// The highest number of its records.
    pub(super) record_sequence: u64,
    /// When it came, and how many had come before it.
    came: Option<(Instant, u64)>,
}

impl Partial {
    pub(super) const fn new(message_seq: u16, reassembler: Reassembler) -> Self {
        Self {
            message_seq,
            reassembler,
            received_bytes: 0,
            record_sequence: 0,
            came: None,
        }
    }

    fn place(&self) -> Option<Place> {
        let (_, number) = self.came?;
        Some((self.reassembler.beginning().is_some(), number))
    }
}

/// Whose hello, and which of it: a second one may come in between the parts of the first.
type Key = (Box<[u8]>, u16);

/// In which order hellos go when room is wanted: those of which the beginning is missing go first, since a client says it
/// first, and of either kind the oldest.
type Place = (bool, u64);

/// The hellos that wait for their rest, within a budget.
#[derive(Debug)]
pub(super) struct Waiting {
    partials: BTreeMap<Key, Partial>,
    by_place: BTreeMap<Place, Key>,
    next: u64,
    held_bytes: usize,
    max_bytes: usize,
    timeout: Duration,
}

impl Waiting {
    /// What a hello costs beside its pieces and twice its key, at most: places in two trees, whose nodes may be half empty,
    /// and the reassembler, which has a tree of its own.
    const ENTRY: usize = 1024;

    /// What a piece costs beside its bytes, at most: its place in a list that grows by doubling, and what an allocator adds.
    const PIECE: usize = 96;

    pub(super) const fn new(max_bytes: usize, timeout: Duration) -> Self {
        Self {
            partials: BTreeMap::new(),
            by_place: BTreeMap::new(),
            next: 0,
            held_bytes: 0,
            max_bytes,
            timeout,
        }
    }

    pub(super) const fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    pub(super) fn take(&mut self, source: &[u8], message_seq: u16) -> Option<Partial> {
        let key = (source.into(), message_seq);
        let partial = self.partials.remove(&key)?;
        if let Some(place) = partial.place() {
            self.by_place.remove(&place);
        }
        self.held_bytes = self.held_bytes.saturating_sub(Self::cost(&key, &partial));
        Some(partial)
    }

    /// Keeps a hello that is not kept yet; how many had to go for it.
    pub(super) fn keep(&mut self, now: Instant, source: &[u8], mut partial: Partial) -> u64 {
        let key = (source.into(), partial.message_seq);
        partial.came.get_or_insert((now, self.next));
        self.next = self.next.saturating_add(1);
        self.held_bytes = self.held_bytes.saturating_add(Self::cost(&key, &partial));
        if let Some(place) = partial.place() {
            self.by_place.insert(place, key.clone());
        }
        self.partials.insert(key, partial);
        let mut dropped = 0;
        while self.held_bytes > self.max_bytes
            && let Some((&place, _)) = self.by_place.first_key_value()
        {
            self.drop_at(place);
            dropped += 1;
        }
        dropped
    }

    /// Forgets the hellos whose time is over; how many.
    pub(super) fn expire(&mut self, now: Instant) -> u64 {
        let mut dropped = 0;
        while let Some((place, deadline)) = self.oldest()
            && deadline <= now
        {
            self.drop_at(place);
            dropped += 1;
        }
        dropped
    }

    /// When the oldest hello's time is over.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let (_, deadline) = self.oldest()?;
        Some(deadline)
    }

    /// The hello that came first, and when its time is over.
    fn oldest(&self) -> Option<(Place, Instant)> {
        let first_of = |has_beginning| self.by_place.range((has_beginning, 0)..).next();
        let firsts = [first_of(false), first_of(true)].into_iter().flatten();
        let (&place, key) = firsts.min_by_key(|((_, number), _)| *number)?;
        let (came, _) = self.partials.get(key)?.came?;
        Some((place, came.checked_add(self.timeout)?))
    }

    fn drop_at(&mut self, place: Place) {
        if let Some(key) = self.by_place.remove(&place)
            && let Some(partial) = self.partials.remove(&key)
        {
            self.held_bytes = self.held_bytes.saturating_sub(Self::cost(&key, &partial));
        }
    }

    fn cost(key: &Key, partial: &Partial) -> usize {
        let pieces = partial.reassembler.held_pieces().saturating_mul(Self::PIECE);
        Self::ENTRY
            .saturating_add(key.0.len().saturating_mul(2))
            .saturating_add(pieces)
            .saturating_add(partial.reassembler.held_bytes())
    }
}
