//! What the peer gives up, and streams that begin anew.

use super::{Head, Id, Place, Reassembly, extend, lane, violation};
use crate::chunk::{ForwardTsn, IForwardTsn, SkippedStream};
use crate::close::CloseReason;
use crate::engine::inbound::Sink;

impl Reassembly {
    /// A FORWARD TSN that was news (RFC 3758 §3.6): drops what lacks a piece up to there, and hands over what has become
    /// deliverable.
    ///
    /// # Errors
    /// The association is to be aborted.
    pub(crate) fn skip(&mut self, forward: &ForwardTsn<'_>, sink: &mut impl Sink) -> Result<(), CloseReason> {
        if self.interleaving {
            return Err(violation("FORWARD TSN where I-DATA was agreed on"));
        }
        let cumulative = self.tsns.unwrap(forward.new_cumulative_tsn);
        self.drop_up_to(cumulative, forward, sink);
        for SkippedStream { stream, ssn } in forward.streams {
            let last = extend::<u16>(self.from(stream, false), ssn.into());
            self.skip_ordered(stream, last, sink)?;
        }
        Ok(())
    }

    /// An I-FORWARD-TSN that was news (RFC 8260 §2.3.1): the same by the message identifiers it lists.
    ///
    /// # Errors
    /// The association is to be aborted.
    pub(crate) fn i_skip(&mut self, forward: &IForwardTsn<'_>, sink: &mut impl Sink) -> Result<(), CloseReason> {
        if !self.interleaving {
            return Err(violation("I-FORWARD-TSN where I-DATA was not agreed on"));
        }
        for entry in forward.streams {
            let from = self.from(entry.stream, entry.unordered);
            let Some(last) = extend::<u32>(from, entry.mid.into()) else {
                continue;
            };
            self.drop_lane(entry.stream, entry.unordered, last, sink);
            if !entry.unordered {
                self.skip_ordered(entry.stream, Some(last), sink)?;
            } else if entry.stream < self.inbound_streams {
                self.stream(entry.stream)?.floor = last.saturating_add(1);
            }
        }
        Ok(())
    }

    /// The peer begins anew on a stream (RFC 6525 §5.2.2): its next message is the first one. What waits there is dropped.
    ///
    /// With DATA, pieces are not looked for: all of them had come before the reset counts, so that what is not whole by then
    /// never will be.
    pub(crate) fn reset(&mut self, stream: u16, sink: &mut impl Sink) {
        if self.interleaving {
            self.drop_lane(stream, false, u64::MAX, sink);
            self.drop_lane(stream, true, u64::MAX, sink);
        }
        while let Some((&key, _)) = self.waiting.range((stream, 0)..=(stream, u64::MAX)).next() {
            if let Some(message) = self.waiting.remove(&key) {
                self.release(message.bytes.len().saturating_add(Self::OVERHEAD));
            }
        }
        let Some(state) = self.streams.remove(&stream) else {
            return;
        };
        for (open, unordered) in [(state.ordered_parts, false), (state.unordered_parts, true)] {
            if open {
                sink.cut(stream, unordered);
            }
        }
    }

    /// The peer begins anew on all streams.
    pub(crate) fn reset_all(&mut self, sink: &mut impl Sink) {
        while let Some((&stream, _)) = self.streams.first_key_value() {
            self.reset(stream, sink);
        }
        self.heads.clear();
        self.pieces.clear();
        self.waiting.clear();
        self.held = 0;
    }

    /// DATA: drops messages that lack a TSN up to `cumulative`.
    fn drop_up_to(&mut self, cumulative: u64, forward: &ForwardTsn<'_>, sink: &mut impl Sink) {
        while let Some((start, head)) = self.heads.first_key_value() {
            if start.index > cumulative {
                break;
            }
            // Heads do not overlap: it is the last one that can begin before and go on behind.
            if head.next > cumulative && !self.is_listed(head.id, forward) {
                break;
            }
            if let Some((_, head)) = self.heads.pop_first() {
                self.drop_head(head, sink);
            }
        }
        // No piece that waits continues a head. So what stands up to there lacks one before it, and what follows without a gap
        // is of the same message.
        let mut reach = cumulative.saturating_add(1);
        while let Some(entry) = self.pieces.first_entry() {
            let index = entry.key().index;
            if index > reach {
                break;
            }
            let piece = entry.remove();
            self.release(piece.bytes.len().saturating_add(Self::OVERHEAD));
            if index == reach {
                reach = reach.saturating_add(1);
            }
        }
    }

    /// Whether a FORWARD TSN lists a message. It is asked for one message at most.
    fn is_listed(&self, id: Id, forward: &ForwardTsn<'_>) -> bool {
        let from = self.from(id.stream, false);
        !id.unordered
            && forward.streams.iter().any(|skipped| {
                skipped.stream == id.stream
                    && extend::<u16>(from, skipped.ssn.into()).is_some_and(|last| id.number <= last)
            })
    }

    /// I-DATA: drops what is not whole of the messages up to `last`.
    fn drop_lane(&mut self, stream: u16, unordered: bool, last: u64, sink: &mut impl Sink) {
        let lane = lane(stream, unordered);
        let place = |message, index| Place { lane, message, index };
        let places = place(0, 0)..=place(last, u64::MAX);
        while let Some((&start, _)) = self.heads.range(places.clone()).next() {
            if let Some(head) = self.heads.remove(&start) {
                self.drop_head(head, sink);
            }
        }
        while let Some((&place, _)) = self.pieces.range(places.clone()).next() {
            if let Some(piece) = self.pieces.remove(&place) {
                self.release(piece.bytes.len().saturating_add(Self::OVERHEAD));
            }
        }
    }

    fn drop_head(&mut self, head: Head, sink: &mut impl Sink) {
        let Id { stream, unordered, .. } = head.id;
        self.release(head.bytes.len().saturating_add(Self::OVERHEAD));
        self.recycle(head.bytes);
        let state = self.streams.get_mut(&stream).filter(|_| head.parted);
        if state.is_some_and(|state| core::mem::take(state.parts(unordered))) {
            sink.cut(stream, unordered);
        }
    }

    /// Moves on behind the ordered message `last`, unless that is `None` for one in the past. Those that are whole are handed
    /// over (RFC 3758 §3.6).
    fn skip_ordered(&mut self, stream: u16, last: Option<u64>, sink: &mut impl Sink) -> Result<(), CloseReason> {
        let Some(last) = last.filter(|_| stream < self.inbound_streams) else {
            return Ok(());
        };
        let state = self.stream(stream)?;
        state.next = last.saturating_add(1);
        if core::mem::take(&mut state.ordered_parts) {
            sink.cut(stream, false);
        }
        while let Some((&key, _)) = self.waiting.range((stream, 0)..=(stream, last)).next() {
            if let Some(message) = self.waiting.remove(&key) {
                self.hand_over(stream, message, sink);
            }
        }
        self.hand_over_waiting(stream, sink);
        Ok(())
    }
}
