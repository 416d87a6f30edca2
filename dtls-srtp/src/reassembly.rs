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
    /// Everything in it was there already, or there is nothing in it.
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
    /// Beyond all numbers when the last one was taken: they do not begin anew.
    next_seq: u32,
    messages: BTreeMap<u32, Partial>,
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
    const AHEAD: u32 = 8;

    pub(crate) const fn new(limits: ReassemblyLimits) -> Self {
        Self::starting_at(0, limits)
    }

    /// One whose first message has this number.
    pub(crate) const fn starting_at(next_seq: u16, limits: ReassemblyLimits) -> Self {
        Self {
            next_seq: next_seq as u32,
            messages: BTreeMap::new(),
            limits,
            keeps_all: false,
        }
    }

    /// The number of the message that [`take`](Self::take) waits for.
    pub(crate) const fn next_seq(&self) -> u32 {
        self.next_seq
    }

    /// Bytes that are held.
    pub(crate) fn held_bytes(&self) -> usize {
        let pieces = self.messages.values().flat_map(|partial| &partial.pieces);
        pieces.map(|piece| piece.bytes.len()).fold(0, usize::saturating_add)
    }

    /// In how many separate pieces they are held.
    pub(crate) fn held_pieces(&self) -> usize {
        let pieces = self.messages.values().map(|partial| partial.pieces.len());
        pieces.fold(0, usize::saturating_add)
    }

    /// Whether no part of any message is held.
    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
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
        let message_seq = u32::from(message_seq);
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
        // Room is taken by what came: neither a header's promise nor a place far behind costs any.
        let known = self.messages.get(&message_seq);
        let growth = known.map_or(fragment.body.len(), |known| known.missing(start..end));
        if growth == 0 && (length > 0 || known.is_some()) {
            return Pushed::Repeated;
        }
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
        if !partial.insert(start, fragment.body) {
            return Pushed::NoRoom;
        }
        if gave_way { Pushed::KeptInstead } else { Pushed::Kept }
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
        let bytes = match partial.pieces.first() {
            Some(piece) if piece.start == 0 => piece.bytes.as_slice(),
            Some(_) => return None,
            // A message without a body.
            None => &[],
        };
        Some(Beginning {
            message_type: partial.message_type,
            bytes,
            is_whole: partial.is_whole(),
        })
    }

    /// The next message in order, once it is whole.
    pub(crate) fn take(&mut self) -> Option<Message> {
        if !self.messages.get(&self.next_seq)?.is_whole() {
            return None;
        }
        let message_seq = u16::try_from(self.next_seq).ok()?;
        let mut partial = self.messages.remove(&self.next_seq)?;
        self.next_seq = self.next_seq.saturating_add(1);
        Some(Message {
            message_type: partial.message_type,
            message_seq,
            body: partial.pieces.pop().map(|piece| piece.bytes).unwrap_or_default(),
        })
    }
}

/// A message of which parts are there.
#[derive(Debug)]
struct Partial {
    message_type: HandshakeType,
    length: usize,
    /// Sorted, disjoint, never touching. A message without a body has none, and is whole.
    pieces: Vec<Piece>,
}

/// Bytes of a message that lie behind each other.
struct Piece {
    start: usize,
    bytes: Vec<u8>,
}

impl Piece {
    const fn end(&self) -> usize {
        self.start.saturating_add(self.bytes.len())
    }

    /// Takes no more room than it needs, since room is what budgets count.
    fn append(&mut self, bytes: &[u8]) {
        self.bytes.reserve_exact(bytes.len());
        self.bytes.extend_from_slice(bytes);
    }
}

impl Partial {
    /// How many separate pieces of one message are kept.
    const MAX_PIECES: usize = 32;

    const fn new(message_type: HandshakeType, length: usize) -> Self {
        Self {
            message_type,
            length,
            pieces: Vec::new(),
        }
    }

    fn is_whole(&self) -> bool {
        match self.pieces.as_slice() {
            [] => self.length == 0,
            [all] => all.start == 0 && all.bytes.len() == self.length,
            _ => false,
        }
    }

    /// How many bytes of this range are not there.
    fn missing(&self, range: Range<usize>) -> usize {
        let common = |piece: &Piece| {
            let end = piece.end().min(range.end);
            end.saturating_sub(piece.start.max(range.start))
        };
        let there = self.pieces.iter().map(common).fold(0, usize::saturating_add);
        range.len().saturating_sub(there)
    }

    /// Takes in bytes that begin there, of which some are missing; `false` when they would be one piece too many.
    fn insert(&mut self, start: usize, bytes: &[u8]) -> bool {
        if bytes.is_empty() {
            return true;
        }
        let end = start.saturating_add(bytes.len());
        let first = self.pieces.partition_point(|piece| piece.end() < start);
        let behind = self.pieces.partition_point(|piece| piece.start <= end);
        if first == behind && self.pieces.len() >= Self::MAX_PIECES {
            return false;
        }
        // What came first stays; the new bytes fill the gaps.
        let between = |from: usize, to: usize| {
            let range = from.saturating_sub(start)..to.saturating_sub(start);
            bytes.get(range).unwrap_or_default()
        };
        let mut touching = self.pieces.drain(first..behind).peekable();
        let mut merged = touching.next_if(|piece| piece.start <= start).unwrap_or(Piece {
            start,
            bytes: Vec::new(),
        });
        for piece in touching {
            merged.append(between(merged.end(), piece.start));
            merged.append(&piece.bytes);
        }
        merged.append(between(merged.end(), end));
        self.pieces.insert(first, merged);
        true
    }
}

impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start, self.end())
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
    use std::collections::BTreeSet;

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
    fn the_last_number_is_taken_and_nothing_after_it() {
        let mut r = Reassembler::starting_at(u16::MAX, LIMITS);
        assert_eq!(r.push(&fragment(u16::MAX, 1, 0, b"a")), Pushed::Kept);
        assert_eq!(r.take().unwrap().message_seq, u16::MAX);
        for seq in [0, u16::MAX] {
            assert_eq!(r.push(&fragment(seq, 1, 0, b"a")), Pushed::Stale);
            assert_eq!(r.take(), None);
        }
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
        // Nor does a place far behind.
        for seq in 0..8 {
            assert_eq!(r.push(&fragment(seq, 4000, 3999, b"a")), Pushed::Kept);
        }
        assert_eq!((r.held_bytes(), r.held_pieces()), (16, 16));
        assert_eq!(r.push(&fragment(1, 4000, 0, &[1; 3999])), Pushed::Kept);
        assert_eq!(r.push(&fragment(2, 4000, 1, &[1; 1987])), Pushed::NoRoom);
        assert_eq!(r.push(&fragment(2, 4000, 1, &[1; 1986])), Pushed::Kept);
        assert_eq!(r.held_bytes(), LIMITS.total);
        // What is there already needs no room.
        assert_eq!(r.push(&fragment(2, 4000, 0, &[1; 1987])), Pushed::Repeated);
        r.clear();
        assert_eq!(r.push(&fragment(0, 4000, 0, b"a")), Pushed::Kept);
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
    fn empty_messages_are_whole_and_empty_fragments_are_nothing() {
        let mut r = Reassembler::new(LIMITS);
        assert_eq!(r.push(&fragment(0, 5, 2, b"")), Pushed::Repeated);
        assert!(r.is_empty() && r.beginning().is_none());
        // Of another length: nobody has said anything yet.
        assert_eq!(r.push(&fragment(0, 0, 0, b"")), Pushed::Kept);
        assert_eq!(r.push(&fragment(0, 0, 0, b"")), Pushed::Repeated);
        let begun = r.beginning().unwrap();
        assert_eq!((begun.bytes, begun.is_whole), (&b""[..], true));
        assert_eq!(r.take().unwrap().body, b"");
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
            let mut came = BTreeSet::new();
            for (start, len) in cuts {
                let start = start.min(message.len());
                let end = (start + len).min(message.len());
                r.push(&fragment(0, message.len(), start, &message[start..end]));
                came.extend(start..end);
                // As much as came, exactly that, and in order.
                prop_assert!(r.held_bytes() <= came.len());
                let pieces = r.messages.values().flat_map(|partial| &partial.pieces);
                for (piece, next) in pieces.clone().zip(pieces.clone().skip(1)) {
                    prop_assert!(piece.end() < next.start);
                }
                for piece in pieces {
                    prop_assert_eq!(piece.bytes.capacity(), piece.bytes.len());
                    prop_assert_eq!(&piece.bytes, &message[piece.start..piece.end()]);
                }
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
