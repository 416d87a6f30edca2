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
    /// When it began, and its place among the others.
    begun: Option<(Instant, u64)>,
}

impl Partial {
    pub(super) const fn new(message_seq: u16, reassembler: Reassembler) -> Self {
        Self {
            message_seq,
            reassembler,
            received_bytes: 0,
            record_sequence: 0,
            begun: None,
        }
    }
}

/// Whose hello, and which of it: a second one may come in between the parts of the first.
type Key = (Box<[u8]>, u16);

/// The hellos that wait for their rest, within a budget: the oldest goes first.
#[derive(Debug)]
pub(super) struct Waiting {
    partials: BTreeMap<Key, Partial>,
    by_age: BTreeMap<u64, Key>,
    next: u64,
    held_bytes: usize,
    max_bytes: usize,
    timeout: Duration,
}

impl Waiting {
    /// What a hello costs beside its bytes and twice its key, about: places in two trees, and the reassembler.
    const ENTRY: usize = 512;

    pub(super) const fn new(max_bytes: usize, timeout: Duration) -> Self {
        Self {
            partials: BTreeMap::new(),
            by_age: BTreeMap::new(),
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
        if let Some((_, place)) = partial.begun {
            self.by_age.remove(&place);
        }
        self.held_bytes = self.held_bytes.saturating_sub(Self::cost(&key, &partial));
        Some(partial)
    }

    /// Keeps a hello that is not kept yet; how many had to go for it.
    pub(super) fn keep(&mut self, now: Instant, source: &[u8], mut partial: Partial) -> u64 {
        let key = (source.into(), partial.message_seq);
        let (_, place) = *partial.begun.get_or_insert((now, self.next));
        self.next = self.next.saturating_add(1);
        self.held_bytes = self.held_bytes.saturating_add(Self::cost(&key, &partial));
        self.by_age.insert(place, key.clone());
        self.partials.insert(key, partial);
        let mut dropped = 0;
        while self.held_bytes > self.max_bytes && self.drop_oldest() {
            dropped += 1;
        }
        dropped
    }

    /// Forgets the hellos whose time is over; how many.
    pub(super) fn expire(&mut self, now: Instant) -> u64 {
        let mut dropped = 0;
        while self.deadline().is_some_and(|at| at <= now) && self.drop_oldest() {
            dropped += 1;
        }
        dropped
    }

    /// When the oldest hello's time is over.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let (_, key) = self.by_age.first_key_value()?;
        let (begun, _) = self.partials.get(key)?.begun?;
        begun.checked_add(self.timeout)
    }

    fn drop_oldest(&mut self) -> bool {
        let Some((_, key)) = self.by_age.pop_first() else {
            return false;
        };
        if let Some(partial) = self.partials.remove(&key) {
            self.held_bytes = self.held_bytes.saturating_sub(Self::cost(&key, &partial));
        }
        true
    }

    fn cost(key: &Key, partial: &Partial) -> usize {
        Self::ENTRY
            .saturating_add(key.0.len().saturating_mul(2))
            .saturating_add(partial.reassembler.held_bytes())
    }
}
