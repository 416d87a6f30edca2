//! Messages that wait for their first transmission, and the schedulers (RFC 8260 §3).

use core::cmp::Reverse;
use std::boxed::Box;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};
use std::time::Instant;
use std::vec::Vec;

use bytes::{Bytes, BytesMut};

use super::Limit;
use super::groups::{Groups, RELIABLE};
use crate::config::Scheduler;
use crate::registry::Ppid;

/// A message as the user hands it over.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) stream: u16,
    pub(crate) ppid: Ppid,
    pub(crate) unordered: bool,
    pub(crate) limit: Limit,
    pub(crate) payload: Bytes,
}

/// What of a message goes into one chunk.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) payload: Bytes,
    pub(super) stream: u16,
    pub(super) ppid: Ppid,
    pub(super) unordered: bool,
    pub(super) beginning: bool,
    pub(super) ending: bool,
    /// SSN or MID.
    pub(super) number: u32,
    pub(super) fsn: u32,
    pub(super) group: u32,
}

/// What stands for the rest of a message that was given up.
#[derive(Debug)]
pub(super) struct MissingEnd {
    pub(super) stream: u16,
    pub(super) ppid: Ppid,
    pub(super) unordered: bool,
    pub(super) number: u32,
    pub(super) fsn: u32,
}

/// Less than this of a message is not put at the end of a packet, unless it is all.
const LEAST_PIECE: usize = 256;

/// Parts that are smaller, in bytes, are joined with their neighbours.
const LEAST_PART: usize = 1024;

#[derive(Debug)]
struct Message {
    head: Bytes,
    /// What follows, where a message is handed over in parts.
    #[allow(
        clippy::box_collection,
        reason = "few messages have more, and all have the room for it"
    )]
    more: Option<Box<VecDeque<Bytes>>>,
    /// Bytes that were not taken.
    left: usize,
    /// The user has handed over all of it.
    is_whole: bool,
    /// It was given up, and what the user still hands over is thrown away.
    is_dropped: bool,
    /// A piece was taken.
    is_begun: bool,
    unordered: bool,
    ppid: Ppid,
    limit: Limit,
    group: u32,
    number: u32,
    fsn: u32,
    /// When it was accepted, against others.
    order: u64,
}

#[derive(Debug)]
struct Stream {
    messages: VecDeque<Message>,
    /// Bytes that wait, and those among them that open channels.
    bytes: usize,
    control: usize,
    weight: u16,
    /// Of the next ordered message: the SSN is its lower half.
    mid: u32,
    /// Of the next unordered message.
    unordered_mid: u32,
    /// Its turn, as the scheduler reckons.
    turn: u64,
    /// The TSN of its last chunk.
    last_tsn: u64,
    is_scheduled: bool,
    is_stopped: bool,
}

/// See the head of the module.
#[derive(Debug)]
pub(super) struct Queue {
    scheduler: Scheduler,
    interleaving: bool,
    /// By identifier.
    streams: Vec<Option<Box<Stream>>>,
    /// Each stream with something to send once, the least turn first.
    turns: BinaryHeap<Reverse<(u64, u16)>>,
    /// Without interleaving: the stream whose message has begun and comes next in any case.
    current: Option<u16>,
    /// Now, as the scheduler reckons.
    time: u64,
    accepted: u64,
    total: usize,
    /// Messages that wait.
    count: usize,
    /// Whether messages may be given up.
    has_limits: bool,
    /// Streams whose last message goes on.
    unfinished: BTreeSet<u16>,
    /// Streams of which less waits than before: the bytes before and after.
    drained: Vec<Drained>,
}

/// Of a stream less waits than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Drained {
    pub(crate) stream: u16,
    /// In bytes.
    pub(crate) before: usize,
    /// In bytes.
    pub(crate) after: usize,
}

/// What [`Queue::next`] found.
#[derive(Debug)]
pub(super) enum Next {
    Piece(Piece),
    /// A message that was begun came too late; its group was given up.
    TooLate,
    /// Nothing that fits.
    Nothing,
}

impl Queue {
    /// More streams than one packet has chunks.
    const MOST_DRAINED: usize = 128;

    pub(super) fn new(scheduler: Scheduler) -> Self {
        Self {
            scheduler,
            interleaving: false,
            streams: Vec::new(),
            turns: BinaryHeap::new(),
            current: None,
            time: 0,
            accepted: 0,
            total: 0,
            count: 0,
            has_limits: false,
            unfinished: BTreeSet::new(),
            drained: Vec::new(),
        }
    }

    pub(super) const fn set_interleaving(&mut self, interleaving: bool) {
        self.interleaving = interleaving;
    }

    pub(super) const fn set_limits(&mut self, has_limits: bool) {
        self.has_limits = has_limits;
    }

    /// Throws everything away on streams from this number on; how many messages.
    pub(super) fn limit_streams(&mut self, streams: u16) -> u64 {
        let mut dropped: u64 = 0;
        let kept = usize::from(streams).min(self.streams.len());
        for stream in self.streams.drain(kept..).flatten() {
            self.total = self.total.saturating_sub(stream.bytes);
            self.count = self.count.saturating_sub(stream.messages.len());
            dropped = dropped.saturating_add(stream.messages.len() as u64);
        }
        self.turns.retain(|Reverse((_, id))| *id < streams);
        self.current = self.current.filter(|id| *id < streams);
        self.unfinished.split_off(&streams);
        dropped
    }

    /// Whether something waits that may be taken.
    pub(super) fn has_piece(&self) -> bool {
        match self.current {
            Some(id) => {
                let message = self.get(id).and_then(|stream| stream.messages.front());
                message.is_some_and(|message| message.available() > 0)
            }
            None => self.total > 0 && !self.turns.is_empty(),
        }
    }

    /// Messages that wait, in full or in part.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// Takes what has become less since the last time.
    pub(super) fn take_drained(&mut self) -> Option<Drained> {
        self.drained.pop()
    }

    pub(super) const fn total(&self) -> usize {
        self.total
    }

    /// Whether no message waits.
    pub(super) fn is_empty(&self) -> bool {
        self.total == 0 && self.current.is_none()
    }

    pub(super) fn bytes(&self, stream: u16) -> usize {
        self.get(stream).map_or(0, Stream::user_bytes)
    }

    /// Whether no message of the stream waits, and its last chunk had a TSN before `base`.
    pub(super) fn is_drained(&self, stream: u16, base: u64) -> bool {
        self.get(stream)
            .is_none_or(|stream| stream.messages.is_empty() && stream.last_tsn < base)
    }

    /// A chunk of the stream has got its TSN.
    pub(super) fn was_sent(&mut self, stream: u16, tsn: u64) {
        if let Some(stream) = self.get_mut(stream) {
            stream.last_tsn = tsn;
        }
    }

    /// Whether a new message may follow.
    pub(super) fn is_ready(&self, stream: u16) -> bool {
        self.get(stream)
            .is_none_or(|stream| !stream.is_stopped && stream.messages.back().is_none_or(|message| message.is_whole))
    }

    /// Whether the last message of the stream is to go on.
    pub(super) fn is_unfinished(&self, stream: u16) -> bool {
        self.unfinished.contains(&stream)
    }

    /// A stream whose last message is to go on.
    pub(super) fn first_unfinished(&self) -> Option<u16> {
        self.unfinished.first().copied()
    }

    /// Whether a part of the unfinished message of the stream was sent, and its end may be waited for.
    pub(super) fn is_begun(&self, stream: u16) -> bool {
        let last = self.get(stream).and_then(|stream| stream.messages.back());
        last.is_some_and(|message| !message.is_whole && message.is_begun && !message.is_dropped)
    }

    /// Whether the stream has an unfinished message of which nothing can be sent before it goes on.
    pub(super) fn is_starving(&self, stream: u16) -> bool {
        let last = self.get(stream).and_then(|stream| stream.messages.back());
        last.is_some_and(|message| !message.is_whole && message.available() == 0)
    }

    pub(super) fn set_weight(&mut self, stream: u16, weight: u16) {
        self.ensure(stream).weight = weight.max(1);
    }

    pub(super) fn adopt_weights(&mut self, former: &Self) {
        for (id, stream) in (0..=u16::MAX).zip(&former.streams) {
            if let Some(stream) = stream.as_ref().filter(|stream| stream.weight != Stream::WEIGHT) {
                self.set_weight(id, stream.weight);
            }
        }
    }

    pub(super) fn stop(&mut self, stream: u16) {
        self.ensure(stream).is_stopped = true;
    }

    pub(super) fn resume(&mut self, stream: u16, anew: bool) {
        let Some(stream) = self.get_mut(stream) else { return };
        stream.is_stopped = false;
        if anew {
            stream.mid = 0;
            stream.unordered_mid = 0;
        }
    }

    pub(super) fn resume_all(&mut self) -> Vec<u16> {
        let mut resumed = Vec::new();
        for (id, stream) in (0..=u16::MAX).zip(&mut self.streams) {
            if let Some(stream) = stream.as_mut().filter(|stream| stream.is_stopped) {
                stream.is_stopped = false;
                resumed.push(id);
            }
        }
        resumed
    }

    pub(super) fn push(&mut self, message: Outgoing, is_whole: bool) {
        let Outgoing {
            stream: id,
            ppid,
            unordered,
            limit,
            payload,
        } = message;
        self.total = self.total.saturating_add(payload.len());
        self.accepted = self.accepted.wrapping_add(1);
        self.count = self.count.saturating_add(1);
        let order = self.accepted;
        if !is_whole {
            self.unfinished.insert(id);
        }
        let stream = self.ensure(id);
        stream.bytes = stream.bytes.saturating_add(payload.len());
        if ppid == Ppid::DCEP {
            stream.control = stream.control.saturating_add(payload.len());
        }
        stream.messages.push_back(Message {
            left: payload.len(),
            head: payload,
            more: None,
            is_whole,
            is_dropped: false,
            is_begun: false,
            unordered,
            ppid,
            limit,
            group: RELIABLE,
            number: 0,
            fsn: 0,
            order,
        });
        self.schedule(id);
    }

    pub(super) fn append(&mut self, id: u16, bytes: Bytes, is_last: bool) {
        let len = bytes.len();
        if is_last {
            self.unfinished.remove(&id);
        }
        let Some(stream) = self.get_mut(id) else { return };
        let Some(message) = stream.messages.back_mut() else {
            return;
        };
        message.is_whole = is_last;
        if message.is_dropped {
            if is_last {
                stream.messages.pop_back();
                self.count = self.count.saturating_sub(1);
            }
            return;
        }
        if !bytes.is_empty() {
            message.lay(bytes);
        }
        message.left = message.left.saturating_add(len);
        stream.bytes = stream.bytes.saturating_add(len);
        self.total = self.total.saturating_add(len);
        self.schedule(id);
    }

    /// Throws away what waits of the unfinished message of a stream. Where a part of it was sent, its group and its end, for
    /// which the peer may wait.
    pub(super) fn cut(&mut self, id: u16) -> Option<(u32, MissingEnd)> {
        if !self.unfinished.remove(&id) {
            return None;
        }
        let is_begun = self.is_begun(id);
        let stream = self.get_mut(id)?;
        let before = stream.user_bytes();
        let message = stream.messages.pop_back()?;
        stream.bytes = stream.bytes.saturating_sub(message.left);
        let after = stream.user_bytes();
        note(&mut self.drained, id, before, after);
        self.total = self.total.saturating_sub(message.left);
        self.count = self.count.saturating_sub(1);
        if message.is_begun && self.current == Some(id) {
            self.current = None;
        }
        is_begun.then_some((message.group, message.end(id)))
    }

    /// Throws messages away that came too late and of which nothing was sent; how many.
    pub(super) fn expire(&mut self, now: Instant) -> u64 {
        if !self.has_limits {
            return 0;
        }
        let mut count: u64 = 0;
        let mut freed: usize = 0;
        for (id, stream) in (0..=u16::MAX).zip(&mut self.streams) {
            let Some(stream) = stream else { continue };
            let (before, control) = (stream.bytes, stream.control);
            let bytes = &mut stream.bytes;
            stream.messages.retain(|message| {
                let is_over = !message.is_begun && message.is_whole && message.limit.is_over(now);
                if is_over {
                    count = count.saturating_add(1);
                    *bytes = bytes.saturating_sub(message.left);
                }
                !is_over
            });
            let after = *bytes;
            if after < before {
                freed = freed.saturating_add(before.saturating_sub(after));
                let (before, after) = (before.saturating_sub(control), after.saturating_sub(control));
                note(&mut self.drained, id, before, after);
            }
        }
        self.total = self.total.saturating_sub(freed);
        self.count = self.count.saturating_sub(usize::try_from(count).unwrap_or(usize::MAX));
        count
    }

    /// Drops what is left of the message that the stream is sending, if it is that of the group.
    pub(super) fn drop_rest(&mut self, id: u16, group: u32) -> Option<MissingEnd> {
        let stream = self.get_mut(id)?;
        let message = stream.messages.front_mut();
        let message = message.filter(|message| message.is_begun && message.group == group && !message.is_dropped)?;
        let left = message.left;
        let end = message.end(id);
        if message.is_whole {
            stream.messages.pop_front();
            self.count = self.count.saturating_sub(1);
        } else {
            message.drop_rest();
        }
        let Some(stream) = self.get_mut(id) else {
            return Some(end);
        };
        let before = stream.bytes;
        stream.bytes = before.saturating_sub(left);
        let after = stream.bytes;
        note(&mut self.drained, id, before, after);
        self.total = self.total.saturating_sub(left);
        if self.current == Some(id) {
            self.current = None;
            self.schedule(id);
        }
        Some(end)
    }

    /// The next piece for a chunk with `room` for payload, in a packet that has room for `whole` when it is empty. Messages
    /// of which nothing was sent and that came too late on the way are thrown away and counted.
    pub(super) fn next(
        &mut self,
        now: Instant,
        room: usize,
        whole: usize,
        groups: &mut Groups,
        expired: &mut u64,
    ) -> Next {
        loop {
            let (id, turn) = match self.current {
                Some(id) => (id, None),
                None => match self.turns.peek() {
                    Some(&Reverse((turn, id))) => (id, Some(turn)),
                    None => return Next::Nothing,
                },
            };
            let Some(stream) = self.streams.get_mut(usize::from(id)).and_then(Option::as_mut) else {
                return Next::Nothing;
            };
            let Some(message) = stream.messages.front_mut() else {
                stream.is_scheduled = false;
                self.turns.pop();
                continue;
            };
            if self.has_limits && message.limit.is_over(now) && !message.is_dropped {
                if message.is_begun {
                    groups.give_up(message.group);
                    return Next::TooLate;
                }
                let before = stream.bytes;
                stream.bytes = before.saturating_sub(message.left);
                note(&mut self.drained, id, before, stream.bytes);
                self.total = self.total.saturating_sub(message.left);
                *expired = expired.saturating_add(1);
                if message.is_whole {
                    stream.messages.pop_front();
                    self.count = self.count.saturating_sub(1);
                } else {
                    message.drop_rest();
                }
                continue;
            }
            let available = message.available();
            if available == 0 {
                if turn.is_none() {
                    return Next::Nothing;
                }
                stream.is_scheduled = false;
                self.turns.pop();
                continue;
            }
            let must_be_whole = !message.is_begun && message.is_whole && available <= whole;
            if available > room && (must_be_whole || room < LEAST_PIECE) {
                return Next::Nothing;
            }
            if !message.is_begun {
                let counter = if message.unordered && self.interleaving {
                    &mut stream.unordered_mid
                } else {
                    &mut stream.mid
                };
                message.number = *counter;
                // SSNs of unordered messages mean nothing (RFC 9260 §3.3.1).
                if self.interleaving || !message.unordered {
                    *counter = counter.wrapping_add(1);
                }
                if self.has_limits && message.limit != Limit::None {
                    message.group = groups.begin(id, message.limit);
                }
            }
            let payload = message.take(room.min(available));
            let len = payload.len();
            let ending = message.is_whole && message.left == 0;
            let piece = Piece {
                payload,
                stream: id,
                ppid: message.ppid,
                unordered: message.unordered,
                beginning: !message.is_begun,
                ending,
                number: message.number,
                fsn: message.fsn,
                group: message.group,
            };
            message.is_begun = true;
            message.fsn = message.fsn.wrapping_add(1);
            groups.enter(piece.group);
            let before = stream.bytes.saturating_sub(stream.control);
            stream.bytes = stream.bytes.saturating_sub(len);
            if message.ppid == Ppid::DCEP {
                stream.control = stream.control.saturating_sub(len);
            } else {
                note(&mut self.drained, id, before, before.saturating_sub(len));
            }
            self.total = self.total.saturating_sub(len);
            if ending {
                groups.leave(piece.group);
                stream.messages.pop_front();
                self.count = self.count.saturating_sub(1);
            }
            let cost = match self.scheduler {
                Scheduler::FirstComeFirstServed => 0,
                // Those of one round have the same number, and lower identifiers come first.
                Scheduler::RoundRobin => u64::from(self.interleaving || ending),
                Scheduler::WeightedFair => {
                    let scaled = u64::try_from(len).unwrap_or(u64::MAX).saturating_mul(1 << 16);
                    scaled.checked_div(stream.weight.into()).unwrap_or(scaled)
                }
            };
            stream.turn = stream.turn.saturating_add(cost);
            self.time = self.time.max(turn.unwrap_or_default());
            self.current = (!self.interleaving && !ending).then_some(id);
            let next = match self.current {
                Some(_) => None,
                None => stream.next_turn(self.scheduler, self.time),
            };
            stream.is_scheduled = next.is_some();
            match (turn, next) {
                // In place, which costs nothing where no other stream has a turn.
                (Some(_), Some(next)) => {
                    if let Some(mut first) = self.turns.peek_mut() {
                        *first = Reverse((next, id));
                    }
                }
                (Some(_), None) => drop(self.turns.pop()),
                (None, Some(next)) => self.turns.push(Reverse((next, id))),
                (None, None) => {}
            }
            return Next::Piece(piece);
        }
    }

    /// Gives a stream that has something to send its next turn.
    fn schedule(&mut self, id: u16) {
        let (scheduler, time, current) = (self.scheduler, self.time, self.current);
        let Some(stream) = self.get_mut(id) else { return };
        if stream.is_scheduled || current == Some(id) {
            return;
        }
        let Some(turn) = stream.next_turn(scheduler, time) else {
            return;
        };
        stream.is_scheduled = true;
        self.turns.push(Reverse((turn, id)));
    }

    fn get(&self, id: u16) -> Option<&Stream> {
        self.streams.get(usize::from(id))?.as_deref()
    }

    fn get_mut(&mut self, id: u16) -> Option<&mut Stream> {
        self.streams.get_mut(usize::from(id))?.as_deref_mut()
    }

    fn ensure(&mut self, id: u16) -> &mut Stream {
        let index = usize::from(id);
        if self.streams.len() <= index {
            self.streams.resize_with(index.saturating_add(1), || None);
        }
        #[allow(clippy::indexing_slicing, reason = "made longer above")]
        let place = &mut self.streams[index];
        place.get_or_insert_with(|| {
            Box::new(Stream {
                messages: VecDeque::new(),
                bytes: 0,
                control: 0,
                weight: Stream::WEIGHT,
                mid: 0,
                unordered_mid: 0,
                turn: 0,
                last_tsn: 0,
                is_scheduled: false,
                is_stopped: false,
            })
        })
    }
}

/// Several pieces of one stream count as one.
fn note(drained: &mut Vec<Drained>, stream: u16, before: usize, after: usize) {
    if let Some(last) = drained.last_mut().filter(|last| last.stream == stream) {
        last.after = after;
    } else if drained.len() < Queue::MOST_DRAINED {
        // More of them wait only where nobody asks.
        drained.push(Drained { stream, before, after });
    }
}

impl Stream {
    /// The weight of who has told none (RFC 8831 §6.4).
    const WEIGHT: u16 = 256;

    /// Bytes of messages of the user that wait.
    const fn user_bytes(&self) -> usize {
        self.bytes.saturating_sub(self.control)
    }

    /// Its next turn from `time` on, if it has something to send.
    fn next_turn(&mut self, scheduler: Scheduler, time: u64) -> Option<u64> {
        let message = self.messages.front().filter(|message| message.available() > 0)?;
        self.turn = match scheduler {
            Scheduler::FirstComeFirstServed => message.order,
            Scheduler::RoundRobin | Scheduler::WeightedFair => self.turn.max(time),
        };
        Some(self.turn)
    }
}

impl Message {
    /// Bytes that may be taken. Of an unfinished message one byte is held back, since its last piece must have one, and so is
    /// what would make but a small piece.
    fn available(&self) -> usize {
        if self.is_whole {
            self.left
        } else if self.left > LEAST_PIECE {
            self.left.saturating_sub(1)
        } else {
            0
        }
    }

    /// What stands for the rest of it.
    const fn end(&self, stream: u16) -> MissingEnd {
        MissingEnd {
            stream,
            ppid: self.ppid,
            unordered: self.unordered,
            number: self.number,
            fsn: self.fsn,
        }
    }

    /// Takes `len` bytes, which are there. Only where the user's parts meet they are copied.
    fn take(&mut self, len: usize) -> Bytes {
        self.left = self.left.saturating_sub(len);
        if len < self.head.len() {
            return self.head.split_to(len);
        }
        if len == self.head.len() {
            let next = self.next_part();
            return core::mem::replace(&mut self.head, next);
        }
        let mut joined = BytesMut::with_capacity(len);
        while joined.len() < len {
            let missing = len.saturating_sub(joined.len());
            let part = self.head.split_to(missing.min(self.head.len()));
            joined.extend_from_slice(&part);
            if self.head.is_empty() {
                self.head = self.next_part();
                if self.head.is_empty() {
                    break;
                }
            }
        }
        joined.freeze()
    }

    /// Lays a part behind what waits. Small ones are joined: each would take more memory than is charged for it.
    fn lay(&mut self, part: Bytes) {
        if self.left == 0 {
            self.head = part;
            return;
        }
        let last = self.more.as_mut().and_then(|more| more.back_mut());
        let last = last.unwrap_or(&mut self.head);
        if last.len().max(part.len()) >= LEAST_PART {
            self.more.get_or_insert_default().push_back(part);
            return;
        }
        let mut joined = match core::mem::take(last).try_into_mut() {
            Ok(joined) => joined,
            Err(shared) => BytesMut::from(shared.as_ref()),
        };
        joined.extend_from_slice(&part);
        *last = if joined.len() < LEAST_PART {
            joined.freeze()
        } else {
            // Nothing comes behind it any more, so that no room is kept for that.
            Bytes::copy_from_slice(&joined)
        };
    }

    fn next_part(&mut self) -> Bytes {
        let more = self.more.as_mut();
        more.and_then(|more| {
            // Empty parts are none.
            while let Some(part) = more.pop_front() {
                if !part.is_empty() {
                    return Some(part);
                }
            }
            None
        })
        .unwrap_or_default()
    }

    fn drop_rest(&mut self) {
        self.is_dropped = true;
        self.head = Bytes::new();
        self.more = None;
        self.left = 0;
    }
}
