//! How pieces become messages, and when those are handed over.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::vec::Vec;

use super::{Arriving, Head, Id, Message, Piece, Place, Reassembly, Stream, Taken, extend, violation};
use crate::close::CloseReason;
use crate::engine::inbound::Sink;
use crate::registry::Ppid;

impl Reassembly {
    pub(super) fn take(&mut self, piece: &Arriving<'_>, sink: &mut impl Sink) -> Result<Taken, CloseReason> {
        let &Arriving {
            mut place,
            id,
            ppid,
            payload,
            ..
        } = piece;
        // Mostly there is one.
        let head = if self.heads.len() == 1 {
            self.heads.iter_mut().next().filter(|(start, _)| **start <= place)
        } else {
            self.heads.range_mut(..=place).next_back()
        };
        let head = head.filter(|(start, _)| (start.lane, start.message) == (place.lane, place.message));
        if let Some((&start, head)) = head {
            if self.interleaving {
                // The FSN may wrap, but not around what is under way (RFC 8260 §2.1).
                match extend::<u32>(head.next, place.index) {
                    Some(index) if !piece.begins => place.index = index,
                    _ => return Err(violation("a fragment comes twice")),
                }
            }
            if head.next == place.index {
                if piece.begins || head.id != id {
                    return Err(violation("a message begins before the last one has ended"));
                }
                let longest = longest(self.parts, self.max_message, head.ppid);
                let kept = head.append(payload, piece.ends, longest, &mut self.streams, sink)?;
                let next = head.next;
                self.hold(kept)?;
                self.go_on(start, next, piece.ends, sink)?;
                return Ok(Taken::Yes);
            }
        }
        if !piece.begins {
            self.hold(payload.len().saturating_add(Self::OVERHEAD))?;
            let piece = Piece {
                id,
                ends: piece.ends,
                bytes: payload.into(),
            };
            if self.pieces.insert(place, piece).is_some() {
                return Err(violation("a fragment comes twice"));
            }
        } else if piece.ends {
            self.ended(place)?;
            self.whole(id, ppid, payload, sink)?;
        } else {
            self.hold(Self::OVERHEAD)?;
            let head = Head {
                id,
                ppid,
                next: place.index,
                bytes: self.buffer(),
                parted: false,
            };
            self.heads.insert(place, head);
            self.grow(place, payload, false, sink)?;
        }
        Ok(Taken::Yes)
    }

    /// A message in one piece.
    fn whole(&mut self, id: Id, ppid: Ppid, payload: &[u8], sink: &mut impl Sink) -> Result<(), CloseReason> {
        if self.parts.is_none() && payload.len() > self.max_message {
            return Err(CloseReason::TooMuch("the length of a message"));
        }
        if id.unordered {
            sink.message(id.stream, ppid, true, payload);
            return Ok(());
        }
        let stream = self.stream(id.stream)?;
        if stream.next == id.number {
            if stream.ordered_parts {
                return Err(violation("a message comes twice"));
            }
            stream.next = stream.next.saturating_add(1);
            sink.message(id.stream, ppid, false, payload);
            self.hand_over_waiting(id.stream, sink);
            return Ok(());
        }
        self.wait(id, ppid, payload.to_vec())
    }

    /// Continues a head by a piece, and by those that have waited for it.
    fn grow(&mut self, start: Place, payload: &[u8], ends: bool, sink: &mut impl Sink) -> Result<(), CloseReason> {
        let next = self.append(start, payload, ends, sink)?;
        self.go_on(start, next, ends, sink)
    }

    /// Continues a head, to which something was appended, by what has waited for that. `next` is the index that comes next.
    fn go_on(&mut self, start: Place, mut next: u64, mut ends: bool, sink: &mut impl Sink) -> Result<(), CloseReason> {
        while !ends && !self.pieces.is_empty() {
            let Some(piece) = self.pieces.remove(&Place { index: next, ..start }) else {
                break;
            };
            self.release(piece.bytes.len().saturating_add(Self::OVERHEAD));
            if self.heads.get(&start).is_none_or(|head| head.id != piece.id) {
                return Err(violation("a message goes on as another one"));
            }
            ends = piece.ends;
            next = self.append(start, &piece.bytes, ends, sink)?;
        }
        if ends {
            return self.finish(start, sink);
        }
        if self.heads.len() > 1 && self.heads.contains_key(&Place { index: next, ..start }) {
            return Err(violation("a message begins before the last one has ended"));
        }
        self.part(start, sink)
    }

    /// Appends a piece to a head, or hands it over. Returns the index that comes next.
    fn append(&mut self, start: Place, payload: &[u8], ends: bool, sink: &mut impl Sink) -> Result<u64, CloseReason> {
        let Some(head) = self.heads.get_mut(&start) else {
            return Ok(start.index);
        };
        let longest = longest(self.parts, self.max_message, head.ppid);
        let kept = head.append(payload, ends, longest, &mut self.streams, sink)?;
        let next = head.next;
        self.hold(kept)?;
        Ok(next)
    }

    /// Begins to hand a head over in parts when it has become long and it is its turn.
    fn part(&mut self, start: Place, sink: &mut impl Sink) -> Result<(), CloseReason> {
        let Some(limit) = self.parts else { return Ok(()) };
        let Some(head) = self.heads.get(&start) else {
            return Ok(());
        };
        let id = head.id;
        // An OPEN means something as a whole only (RFC 8832 §5.1); its length is limited.
        if head.parted || head.bytes.len() <= limit || head.ppid == Ppid::DCEP {
            return Ok(());
        }
        let stream = self.stream(id.stream)?;
        if *stream.parts(id.unordered) || !id.unordered && stream.next != id.number {
            return Ok(());
        }
        *stream.parts(id.unordered) = true;
        if let Some(head) = self.heads.get_mut(&start) {
            head.parted = true;
            sink.part(id.stream, head.ppid, id.unordered, &head.bytes, true, false);
            let bytes = core::mem::take(&mut head.bytes);
            self.release(bytes.len());
            self.recycle(bytes);
        }
        Ok(())
    }

    /// Hands a complete message over, or lets it wait for its turn.
    fn finish(&mut self, start: Place, sink: &mut impl Sink) -> Result<(), CloseReason> {
        let Some(head) = self.heads.remove(&start) else {
            return Ok(());
        };
        let Head { id, ppid, parted, .. } = head;
        self.release(head.bytes.len().saturating_add(Self::OVERHEAD));
        let last = head.next.saturating_sub(1);
        self.ended(Place { index: last, ..start })?;
        if parted {
            let stream = self.stream(id.stream)?;
            // It is not its turn any more when the stream was reset.
            if core::mem::take(stream.parts(id.unordered)) && !id.unordered {
                stream.next = stream.next.saturating_add(1);
                self.hand_over_waiting(id.stream, sink);
            }
            return Ok(());
        }
        if id.unordered || self.from(id.stream, false) == id.number {
            self.whole(id, ppid, &head.bytes, sink)?;
            self.recycle(head.bytes);
            return Ok(());
        }
        self.wait(id, ppid, head.bytes)
    }

    /// A message ends at `place`: what follows has to be another one.
    fn ended(&mut self, place: Place) -> Result<(), CloseReason> {
        let next = Place {
            index: place.index.saturating_add(1),
            ..place
        };
        if !self.interleaving {
            self.boundary = Some(next.index);
        }
        if self.pieces.is_empty() {
            return Ok(());
        }
        let follows = self.pieces.range(next..).next().is_some_and(|(other, _)| {
            if self.interleaving {
                (other.lane, other.message) == (place.lane, place.message)
            } else {
                *other == next
            }
        });
        if follows {
            return Err(violation("a message goes on behind its end"));
        }
        Ok(())
    }

    /// Keeps a complete ordered message until its turn.
    fn wait(&mut self, id: Id, ppid: Ppid, mut bytes: Vec<u8>) -> Result<(), CloseReason> {
        if id.number < self.from(id.stream, false) {
            // It was skipped while it came in.
            self.recycle(bytes);
            return Ok(());
        }
        self.hold(bytes.len().saturating_add(Self::OVERHEAD))?;
        if bytes.capacity() >> 1 > bytes.len() {
            // A buffer of the pool may be far larger than what is in it.
            bytes.shrink_to_fit();
        }
        if self
            .waiting
            .insert((id.stream, id.number), Message { ppid, bytes })
            .is_some()
        {
            return Err(violation("a message comes twice"));
        }
        Ok(())
    }

    /// Hands over what has waited for the messages before it.
    pub(super) fn hand_over_waiting(&mut self, stream: u16, sink: &mut impl Sink) {
        while !self.waiting.is_empty() {
            let Some(state) = self.streams.get_mut(&stream) else {
                return;
            };
            let Some(message) = self.waiting.remove(&(stream, state.next)) else {
                return;
            };
            state.next = state.next.saturating_add(1);
            self.hand_over(stream, message, sink);
        }
    }

    pub(super) fn hand_over(&mut self, stream: u16, message: Message, sink: &mut impl Sink) {
        self.release(message.bytes.len().saturating_add(Self::OVERHEAD));
        sink.message(stream, message.ppid, false, &message.bytes);
        self.recycle(message.bytes);
    }

    /// What is remembered about a stream, from now on if not before.
    pub(super) fn stream(&mut self, stream: u16) -> Result<&mut Stream, CloseReason> {
        let full = self.streams.len() >= self.max_streams;
        match self.streams.entry(stream) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(_) if full => Err(CloseReason::TooMuch("streams with messages")),
            Entry::Vacant(entry) => Ok(entry.insert(Stream::default())),
        }
    }

    /// Counts what waits. It comes to its limit when messages lack their ends on many streams, which RFC 8260 allows.
    const fn hold(&mut self, len: usize) -> Result<(), CloseReason> {
        self.held = self.held.saturating_add(len);
        if self.held > self.most {
            return Err(CloseReason::TooMuch("messages that are not whole"));
        }
        Ok(())
    }

    pub(super) const fn release(&mut self, len: usize) {
        self.held = self.held.saturating_sub(len);
    }

    /// An empty buffer for a head. With many heads none of the pool: they could keep large ones with little in them.
    fn buffer(&mut self) -> Vec<u8> {
        if self.heads.len() < Self::POOL {
            self.pool.pop().unwrap_or_default()
        } else {
            Vec::new()
        }
    }

    pub(super) fn recycle(&mut self, mut bytes: Vec<u8>) {
        if self.pool.len() < Self::POOL && Self::POOLED.contains(&bytes.capacity()) {
            bytes.clear();
            self.pool.push(bytes);
        }
    }
}

/// How long a message of that kind may be before it is whole.
fn longest(parts: Option<usize>, max_message: usize, ppid: Ppid) -> usize {
    if parts.is_none() || ppid == Ppid::DCEP {
        max_message
    } else {
        usize::MAX
    }
}

impl Head {
    /// Appends a piece, or hands it over; how many bytes more are kept.
    fn append(
        &mut self,
        payload: &[u8],
        ends: bool,
        longest: usize,
        streams: &mut BTreeMap<u16, Stream>,
        sink: &mut impl Sink,
    ) -> Result<usize, CloseReason> {
        let Id { stream, unordered, .. } = self.id;
        self.next = self.next.saturating_add(1);
        if self.parted {
            // A reset may have ended it.
            if streams.get_mut(&stream).is_some_and(|stream| *stream.parts(unordered)) {
                sink.part(stream, self.ppid, unordered, payload, false, ends);
            }
            return Ok(0);
        }
        if self.bytes.len().saturating_add(payload.len()) > longest {
            return Err(CloseReason::TooMuch("the length of a message"));
        }
        self.bytes.extend_from_slice(payload);
        Ok(payload.len())
    }
}
