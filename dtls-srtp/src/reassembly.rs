#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use crate::config::Config;
use crate::handshake::{Fragment, HandshakeHeader};
use crate::registry::HandshakeType;

/// A handshake message in one piece.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) message_type: HandshakeType,
    pub(crate) message_seq: u16,
    pub(crate) body: Vec<u8>,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} #{} ({} bytes)",
            self.message_type,
            self.message_seq,
            self.body.len()
        )
    }
}

/// The beginning of a handshake message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Beginning<'a> {
    pub(crate) message_type: HandshakeType,
    pub(crate) bytes: &'a [u8],
    pub(crate) is_whole: bool,
}

/// What became of a fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// It brought something new.
    Kept,
    /// It brought something new, and parts of later messages gave way to it.
    KeptInstead,
    /// Everything in it was there already.
    Repeated,
    /// It belongs to a message that was taken before.
    Stale,
    /// It contradicts another fragment of the same message about type or length.
    Inconsistent,
    /// Its message is longer than the limit.
    TooLong,
    /// It lies too far ahead, or the budget is spent.
    NoRoom,
}

/// Puts handshake messages together from fragments that come in any order, more than once, overlapping and cut
/// differently each time (RFC 6347 §4.2.3), within a budget.
#[derive(Debug)]
pub(crate) struct Reassembler {
    next_seq: u16,
    messages: BTreeMap<u16, Partial>,
    limits: ReassemblyLimits,
    /// Whether what is kept stays: it may have been acknowledged.
    keeps_all: bool,
}

/// What a peer may make the [`Reassembler`] remember.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReassemblyLimits {
    /// Longest message, in bytes.
    pub(crate) message: usize,
    /// Sum over all messages that are not taken yet, in bytes.
    pub(crate) total: usize,
}

impl ReassemblyLimits {
    pub(crate) const fn of(config: &Config) -> Self {
        Self {
            message: config.max_message,
            total: config.max_pending,
        }
    }
}

impl Reassembler {
    /// How many messages ahead of the next one are kept. The longest flight of DTLS 1.2 has five messages.
    const AHEAD: u16 = 8;

    pub(crate) const fn new(limits: ReassemblyLimits) -> Self {
        Self::starting_at(0, limits)
    }

    /// One whose first message has this number.
    pub(crate) const fn starting_at(next_seq: u16, limits: ReassemblyLimits) -> Self {
        Self {
            next_seq,
            messages: BTreeMap::new(),
            limits,
            keeps_all: false,
        }
    }

    /// The number of the message that [`take`](Self::take) waits for.
    pub(crate) const fn next_seq(&self) -> u16 {
        self.next_seq
    }

    /// Bytes that are held.
    pub(crate) fn held_bytes(&self) -> usize {
        self.messages
            .values()
            .map(|partial| partial.body.len())
            .fold(0, usize::saturating_add)
    }

    /// Takes a fragment in. Where fragments overlap, the bytes that came first stay.
    pub(crate) fn push(&mut self, fragment: &Fragment<'_>) -> Pushed {
        let HandshakeHeader {
            message_type,
            length,
            message_seq,
            fragment_offset,
            ..
        } = fragment.header;
        let Some(ahead) = message_seq.checked_sub(self.next_seq) else {
            return Pushed::Stale;
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > self.limits.message {
            return Pushed::TooLong;
        }
        if ahead >= Self::AHEAD {
            return Pushed::NoRoom;
        }
        if let Some(known) = self.messages.get(&message_seq)
            && (known.message_type, known.length) != (message_type, length)
        {
            return Pushed::Inconsistent;
        }
        let start = usize::try_from(fragment_offset).unwrap_or(usize::MAX);
        let Some(end) = start.checked_add(fragment.body.len()).filter(|&end| end <= length) else {
            return Pushed::Inconsistent;
        };
        // Room is taken as far as bytes reach, not as the header promises.
        let held_here = self.messages.get(&message_seq).map_or(0, |known| known.body.len());
        let growth = end.saturating_sub(held_here);
        let mut gave_way = false;
        while self.held_bytes().saturating_add(growth) > self.limits.total {
            // What lies ahead must not keep out the message that the handshake waits for: it comes again when that one
            // is there. Anybody can fill the budget before the peer is heard.
            if ahead > 0 || self.keeps_all || !self.drop_furthest_ahead() {
                return Pushed::NoRoom;
            }
            gave_way = true;
        }
        let partial = self
            .messages
            .entry(message_seq)
            .or_insert_with(|| Partial::new(message_type, length));
        match partial.insert(start..end, fragment.body) {
            Pushed::Kept if gave_way => Pushed::KeptInstead,
            pushed => pushed,
        }
    }

    /// Forgets the parts of the last message, unless that is the awaited one; whether there was another.
    fn drop_furthest_ahead(&mut self) -> bool {
        let next_seq = self.next_seq;
        match self.messages.last_entry() {
            Some(last) if *last.key() > next_seq => {
                last.remove();
                true
            }
            _ => false,
        }
    }

    /// From here on nothing gives way to what comes.
    pub(crate) const fn keep_all(&mut self) {
        self.keeps_all = true;
    }

    /// Forgets all parts.
    pub(crate) fn clear(&mut self) {
        self.messages.clear();
    }

    /// The beginning of the next message, as far as it is there without a gap.
    pub(crate) fn beginning(&self) -> Option<Beginning<'_>> {
        let partial = self.messages.get(&self.next_seq)?;
        let end = partial.have.first().filter(|have| have.start == 0)?.end;
        Some(Beginning {
            message_type: partial.message_type,
            bytes: partial.body.get(..end)?,
            is_whole: partial.is_whole(),
        })
    }

    /// The next message in order, once it is whole.
    pub(crate) fn take(&mut self) -> Option<Message> {
        if !self.messages.get(&self.next_seq)?.is_whole() {
            return None;
        }
        let message_seq = self.next_seq;
        let partial = self.messages.remove(&message_seq)?;
        self.next_seq = message_seq.checked_add(1)?;
        Some(Message {
            message_type: partial.message_type,
            message_seq,
            body: partial.body,
        })
    }
}

/// A message of which parts are there.
#[derive(Debug)]
struct Partial {
    message_type: HandshakeType,
    length: usize,
    body: Vec<u8>,
    /// Sorted, disjoint, never touching.
    have: Vec<Range<usize>>,
    /// An empty message is whole as soon as a fragment of it came.
    touched: bool,
}

impl Partial {
    /// How many separate pieces of one message are kept.
    const MAX_PIECES: usize = 32;

    const fn new(message_type: HandshakeType, length: usize) -> Self {
        Self {
            message_type,
            length,
            body: Vec::new(),
            have: Vec::new(),
            touched: false,
        }
    }

    fn is_whole(&self) -> bool {
        match self.have.as_slice() {
            [] => self.length == 0 && self.touched,
            [all] => all.start == 0 && all.end == self.length,
            _ => false,
        }
    }

    fn insert(&mut self, range: Range<usize>, bytes: &[u8]) -> Pushed {
        let first_touch = !std::mem::replace(&mut self.touched, true);
        if range.is_empty() {
            return if first_touch { Pushed::Kept } else { Pushed::Repeated };
        }
        if self
            .have
            .iter()
            .any(|have| have.start <= range.start && range.end <= have.end)
        {
            return Pushed::Repeated;
        }
        let touches = |have: &Range<usize>| have.start <= range.end && range.start <= have.end;
        if self.have.len() >= Self::MAX_PIECES && !self.have.iter().any(touches) {
            return Pushed::NoRoom;
        }
        if self.body.len() < range.end {
            self.body.resize(range.end, 0);
        }
        // Copy only into the gaps, then merge.
        let mut at = range.start;
        for have in self.have.iter().filter(|have| touches(have)) {
            copy(&mut self.body, at..have.start.max(at), &range, bytes);
            at = at.max(have.end);
        }
        copy(&mut self.body, at..range.end.max(at), &range, bytes);

        let mut merged = range.clone();
        self.have.retain(|have| {
            let keep = !touches(have);
            if !keep {
                merged = merged.start.min(have.start)..merged.end.max(have.end);
            }
            keep
        });
        let place = self.have.partition_point(|have| have.start < merged.start);
        self.have.insert(place, merged);
        Pushed::Kept
    }
}

/// Copies the part `gap` of a message out of `bytes`, which lie at `range` of it.
fn copy(body: &mut [u8], gap: Range<usize>, range: &Range<usize>, bytes: &[u8]) {
    let from = gap.start.saturating_sub(range.start)..gap.end.saturating_sub(range.start);
    if let (Some(to), Some(from)) = (body.get_mut(gap), bytes.get(from)) {
        to.copy_from_slice(from);
    }
}

#[cfg(test)]
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: ReassemblyLimits = ReassemblyLimits {
        message: 4000,
        total: 6000,
    };

    fn fragment(seq: u16, length: usize, offset: usize, body: &[u8]) -> Fragment<'_> {
        Fragment {
            header: HandshakeHeader {
                message_type: HandshakeType::CERTIFICATE,
                length: length as u32,
                message_seq: seq,
                fragment_offset: offset as u32,
                fragment_length: body.len() as u32,
            },
            body,
        }
    }

    #[test]
    fn messages_come_in_order_whatever_the_order_of_fragments() {
        let mut r = Reassembler::new(LIMITS);
        assert_eq!(r.push(&fragment(1, 0, 0, b"")), Pushed::Kept);
        assert_eq!(r.push(&fragment(0, 6, 4, b"ef")), Pushed::Kept);
        assert_eq!(r.take(), None);
        assert_eq!(r.beginning(), None);
        assert_eq!(r.push(&fragment(0, 6, 0, b"abc")), Pushed::Kept);
        let begun = r.beginning().unwrap();
        assert_eq!((begun.bytes, begun.is_whole), (&b"abc"[..], false));
        assert_eq!(r.push(&fragment(0, 6, 2, b"XdX")), Pushed::Kept);
        assert!(r.beginning().unwrap().is_whole);
        assert_eq!(r.take().unwrap().body, b"abcdef");
        assert_eq!(r.take().unwrap().body, b"");
        assert_eq!(r.push(&fragment(1, 0, 0, b"")), Pushed::Stale);
        assert_eq!(r.next_seq(), 2);
    }

    #[test]
    fn budgets_hold() {
        let mut r = Reassembler::new(LIMITS);
        assert_eq!(r.push(&fragment(0, 4001, 0, b"a")), Pushed::TooLong);
        assert_eq!(r.push(&fragment(8, 10, 0, b"a")), Pushed::NoRoom);
        // A promise costs nothing, bytes do.
        for seq in 0..8 {
            assert_eq!(r.push(&fragment(seq, 4000, 0, b"a")), Pushed::Kept);
        }
        assert_eq!(r.push(&fragment(0, 4000, 3999, b"a")), Pushed::Kept);
        assert_eq!(r.push(&fragment(1, 4000, 3999, b"a")), Pushed::NoRoom);
        assert!(r.held_bytes() <= LIMITS.total);
        for piece in (0..64).step_by(2) {
            r.push(&fragment(0, 4000, 100 + piece, b"x"));
        }
        assert_eq!(r.push(&fragment(0, 4000, 1000, b"x")), Pushed::NoRoom);
    }

    #[test]
    fn messages_ahead_do_not_keep_out_the_awaited_one() {
        let mut r = Reassembler::new(LIMITS);
        assert_eq!(r.push(&fragment(1, 2000, 0, &[1; 2000])), Pushed::Kept);
        assert_eq!(r.push(&fragment(7, 4000, 0, &[7; 3900])), Pushed::Kept);
        assert_eq!(r.push(&fragment(2, 4000, 0, &[2; 200])), Pushed::NoRoom);
        // The furthest one goes, and no more than have to.
        assert_eq!(r.push(&fragment(0, 3000, 0, &[0; 2000])), Pushed::KeptInstead);
        assert_eq!(r.held_bytes(), 4000);
        assert_eq!(r.push(&fragment(0, 3000, 2000, &[0; 1000])), Pushed::Kept);
        assert_eq!(r.take().unwrap().body, [0; 3000]);
        assert_eq!(r.take().unwrap().body, [1; 2000]);
        // Not even all of them are enough for a message beyond the budget.
        let mut r = Reassembler::new(ReassemblyLimits { total: 100, ..LIMITS });
        assert_eq!(r.push(&fragment(1, 90, 0, &[1; 90])), Pushed::Kept);
        assert_eq!(r.push(&fragment(0, 200, 0, &[1; 101])), Pushed::NoRoom);
    }

    #[test]
    fn contradictions_are_refused() {
        let mut r = Reassembler::new(LIMITS);
        assert_eq!(r.push(&fragment(0, 6, 0, b"ab")), Pushed::Kept);
        assert_eq!(r.push(&fragment(0, 7, 2, b"ab")), Pushed::Inconsistent);
        assert_eq!(r.push(&fragment(0, 6, 1, b"b")), Pushed::Repeated);
    }

    proptest! {
        #[test]
        fn any_cover_gives_the_message(
            message in proptest::collection::vec(any::<u8>(), 1..600),
            cuts in proptest::collection::vec((0usize..600, 1usize..200), 0..60),
        ) {
            let mut r = Reassembler::new(LIMITS);
            for (start, len) in cuts {
                let start = start.min(message.len());
                let end = (start + len).min(message.len());
                r.push(&fragment(0, message.len(), start, &message[start..end]));
            }
            // Retransmitted in another cut, the message always becomes whole.
            for (n, chunk) in message.chunks(97).enumerate() {
                r.push(&fragment(0, message.len(), n * 97, chunk));
            }
            prop_assert_eq!(r.take().unwrap().body, message);
            prop_assert_eq!(r.held_bytes(), 0);
        }
    }
}
