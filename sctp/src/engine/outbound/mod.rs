//! What is sent: messages that wait ([`queue`]), chunks that are not acknowledged ([`outstanding`]), messages that may be
//! given up ([`groups`]), and how they get into packets.

mod fill;
mod groups;
mod outstanding;
mod queue;
#[cfg(test)]
mod tests;

use core::time::Duration;
use std::time::Instant;
use std::vec::Vec;

use bytes::Bytes;

pub(crate) use fill::{Allowance, Filled};
pub(crate) use groups::Limit;
pub(crate) use outstanding::{Acked, Lost, Tolerance};
pub(crate) use queue::{Drained, Outgoing};

use crate::chunk::{DataHeader, IDataHeader, Sack};
use crate::config::Config;
use crate::counters::Counters;
use groups::Groups;
use outstanding::Outstanding;
use queue::Queue;

/// What a message or a chunk takes beside its payload, in bytes, rounded up.
const OVERHEAD: usize = 128;

/// Why a message was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// [`Config::send_buffer`] is used up; [`Outbound::took_room`] tells when there is room again.
    Full,
    /// The peer does not take this stream.
    NoSuchStream,
    /// The stream is being reset, or has an unfinished message.
    Busy,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Outbound {
    queue: Queue,
    outstanding: Outstanding,
    groups: Groups,
    /// Whether I-DATA is used.
    interleaving: bool,
    /// Whether the peer knows FORWARD TSN: otherwise everything is reliable.
    forward_tsn: bool,
    /// Streams that the peer takes; before that is known, those that we want.
    streams: u16,
    /// What the peer had room for when it sent the last SACK, in bytes.
    a_rwnd: u64,
    /// Bytes of user data at most that are not acknowledged in sequence.
    budget: usize,
    /// Somebody was refused and waits for room.
    refused: bool,
    /// TSNs up to this one are given up or known to have come: what a FORWARD TSN says.
    advanced: u64,
    /// What the last FORWARD TSN said.
    said: u64,
    forward_is_due: bool,
    /// Chunks and messages that were given up.
    pub(crate) given_up_messages: u64,
    pub(crate) retransmissions: u64,
    /// TSNs of which the peer said that they had come twice.
    pub(crate) spurious_retransmissions: u64,
}

impl Outbound {
    pub(crate) fn new(config: &Config, initial_tsn: u32) -> Self {
        let outstanding = Outstanding::new(initial_tsn);
        Self {
            queue: Queue::new(config.scheduler),
            advanced: outstanding.base().saturating_sub(1),
            outstanding,
            groups: Groups::default(),
            interleaving: false,
            forward_tsn: false,
            streams: config.outbound_streams,
            a_rwnd: 0,
            budget: config.send_buffer,
            refused: false,
            said: 0,
            forward_is_due: false,
            given_up_messages: 0,
            retransmissions: 0,
            spurious_retransmissions: 0,
        }
    }

    /// What the set-up has agreed upon. Messages on streams that the peer does not take are thrown away.
    pub(crate) fn established(&mut self, streams: u16, a_rwnd: u32, interleaving: bool, forward_tsn: bool) {
        self.streams = streams;
        let dropped = self.queue.limit_streams(streams);
        self.given_up_messages = self.given_up_messages.saturating_add(dropped);
        self.queue.set_limits(forward_tsn);
        self.a_rwnd = a_rwnd as u64;
        self.interleaving = interleaving;
        self.forward_tsn = forward_tsn;
        self.queue.set_interleaving(interleaving);
        self.outstanding.set_interleaving(interleaving);
    }

    pub(crate) fn counters(&self) -> Counters {
        Counters {
            sctp_retransmissions: self.retransmissions,
            sctp_spurious_retransmissions: self.spurious_retransmissions,
            sctp_messages_given_up: self.given_up_messages,
            ..Counters::default()
        }
    }

    /// Streams that may be sent on: those below this number.
    pub(crate) const fn streams(&self) -> u16 {
        self.streams
    }

    /// Bytes of chunks on their way, headers and padding included.
    pub(crate) const fn flight(&self) -> u64 {
        self.outstanding.flight()
    }

    /// Whether everything was sent and acknowledged.
    pub(crate) fn is_done(&self) -> bool {
        self.outstanding.is_empty() && self.queue.is_empty()
    }

    /// Bytes of a stream that were accepted and not sent yet.
    pub(crate) fn buffered(&self, stream: u16) -> usize {
        self.queue.bytes(stream)
    }

    /// Bytes that were accepted and are not acknowledged in sequence.
    pub(crate) const fn held(&self) -> usize {
        self.queue.total().saturating_add(self.outstanding.held())
    }

    /// What counts against the budget: the bytes that are held, and for each message and chunk what it takes itself.
    fn charged(&self) -> usize {
        let count = self.queue.count().saturating_add(self.outstanding.len());
        self.held().saturating_add(count.saturating_mul(OVERHEAD))
    }

    /// The last TSN that was given to a chunk.
    pub(crate) fn last_tsn(&self) -> u32 {
        wire(self.outstanding.next().wrapping_sub(1))
    }

    /// How many were transmitted so far, each chunk counted each time: marks a moment ([`Acked::newest`]).
    pub(crate) fn transmissions(&self) -> u64 {
        self.outstanding.next_transmission()
    }

    /// A stream of which less waits than when this was asked last; to be asked after each packet until it gives nothing.
    pub(crate) fn take_drained(&mut self) -> Option<Drained> {
        self.queue.take_drained()
    }

    /// Whether somebody was refused and there is room now: at least half of the budget. Tells it once.
    pub(crate) fn took_room(&mut self) -> bool {
        let took_room = self.refused && self.charged() <= self.budget / 2;
        self.refused &= !took_room;
        took_room
    }

    /// The number of the newest transmission that has come.
    pub(crate) fn newest_acked(&self) -> Option<u64> {
        self.outstanding.newest_acked()
    }

    /// Whether a TSN is acknowledged in sequence.
    pub(crate) const fn has_passed(&self, tsn: u64) -> bool {
        tsn < self.outstanding.base()
    }

    /// Whether the peer has room for nothing.
    pub(crate) const fn is_window_closed(&self) -> bool {
        self.a_rwnd == 0
    }

    /// Accepts a message, or the beginning of one.
    ///
    /// # Errors
    /// When it was not accepted.
    pub(crate) fn send(&mut self, now: Instant, message: Outgoing, is_whole: bool) -> Result<(), Refused> {
        if message.stream >= self.streams {
            return Err(Refused::NoSuchStream);
        }
        if !self.queue.is_ready(message.stream) {
            return Err(Refused::Busy);
        }
        self.take_budget(now, message.stream)?;
        self.queue.push(message, is_whole);
        Ok(())
    }

    /// Goes on with the stream's unfinished message.
    ///
    /// # Errors
    /// When there is none, or no room.
    pub(crate) fn append(&mut self, now: Instant, stream: u16, bytes: Bytes, is_last: bool) -> Result<(), Refused> {
        if !self.queue.is_unfinished(stream) {
            return Err(Refused::Busy);
        }
        // A message of which nothing is left to be sent may be what all others wait for.
        if !self.queue.is_starving(stream) {
            self.take_budget(now, stream)?;
        }
        self.queue.append(stream, bytes, is_last);
        Ok(())
    }

    /// A stream with an unfinished message.
    pub(crate) fn first_unfinished(&self) -> Option<u16> {
        self.queue.first_unfinished()
    }

    /// Gives up the unfinished message of a stream, if there is one. What was sent of it arrives, unless it has a limit, where
    /// what is in flight is given up as well, and the peer is told that no end comes.
    ///
    /// # Errors
    /// A part was sent, and the peer knows no FORWARD TSN, so that nothing can be given up.
    pub(crate) fn cut(&mut self, stream: u16) -> Result<(), &'static str> {
        if !self.forward_tsn && self.queue.is_begun(stream) {
            return Err("data channels have FORWARD TSN (RFC 8831 section 6.1)");
        }
        if let Some((group, end)) = self.queue.cut(stream) {
            let group = self.groups.cut(group, stream);
            self.outstanding.push_missing_end(group, &end);
            self.queue.was_sent(stream, self.outstanding.next().saturating_sub(1));
            self.given_up_messages = self.given_up_messages.saturating_add(1);
            self.advance();
        }
        Ok(())
    }

    /// One message more is accepted as long as there is room at all, so that the largest one is accepted in the end. A
    /// quarter more is kept for streams on which nothing waits: who fills the buffer does not block the others.
    fn take_budget(&mut self, now: Instant, stream: u16) -> Result<(), Refused> {
        let spare = if self.queue.bytes(stream) == 0 {
            self.budget / 4
        } else {
            0
        };
        let limit = self.budget.saturating_add(spare);
        if self.charged() >= limit {
            self.given_up_messages = self.given_up_messages.saturating_add(self.queue.expire(now));
        }
        if self.charged() >= limit {
            self.refused = true;
            return Err(Refused::Full);
        }
        Ok(())
    }

    /// The stream's share against others, 1 at least; 256 is usual (RFC 8831 §6.4).
    pub(crate) fn set_priority(&mut self, stream: u16, priority: u16) {
        self.queue.set_weight(stream, priority);
    }

    /// Gives the streams the shares that they had.
    pub(crate) fn adopt_priorities(&mut self, former: &Self) {
        self.queue.adopt_weights(&former.queue);
    }

    /// Nothing more is accepted on a stream until [`resumed`](Self::resumed) or [`is_reset`](Self::is_reset).
    pub(crate) fn stop(&mut self, stream: u16) {
        self.queue.stop(stream);
    }

    /// The stream goes on as it was.
    pub(crate) fn resumed(&mut self, stream: u16) {
        self.queue.resume(stream, false);
    }

    /// All streams that were stopped go on: which.
    pub(crate) fn resume_all(&mut self) -> Vec<u16> {
        self.queue.resume_all()
    }

    /// The stream begins anew.
    pub(crate) fn is_reset(&mut self, stream: u16) {
        self.queue.resume(stream, true);
    }

    /// Whether all of a stream was sent and is acknowledged in sequence. It may not begin anew before: a FORWARD TSN that
    /// skips the last of what was before could be taken for what comes after.
    pub(crate) fn is_drained(&self, stream: u16) -> bool {
        self.queue.is_drained(stream, self.outstanding.base())
    }

    /// A SACK came. `least` is the shortest round trip, as far as it is known.
    ///
    /// # Errors
    /// A rule that the peer broke.
    pub(crate) fn sack(
        &mut self,
        now: Instant,
        sack: &Sack<'_>,
        least: Option<Duration>,
    ) -> Result<Acked, &'static str> {
        let acked = self.outstanding.sack(now, sack, least, &mut self.groups)?;
        if acked.is_stale {
            return Ok(acked);
        }
        self.a_rwnd = sack.a_rwnd.into();
        self.spurious_retransmissions = self.spurious_retransmissions.saturating_add(acked.duplicates);
        // RFC 3758 §3.5 C2: what was acknowledged counts as advanced.
        self.advanced = self.advanced.max(self.outstanding.base().saturating_sub(1));
        self.advance();
        // What did not fit into the last FORWARD TSN comes when that has done its work.
        let has_rest = self.said < self.outstanding.base();
        self.forward_is_due = self.is_forwarding() && (self.forward_is_due || has_rest);
        Ok(acked)
    }

    /// SHUTDOWN acknowledges, too (RFC 9260 §9.2).
    ///
    /// # Errors
    /// A rule that the peer broke.
    pub(crate) fn shutdown_ack(&mut self, now: Instant, cumulative_tsn_ack: u32) -> Result<Acked, &'static str> {
        let sack = Sack {
            cumulative_tsn_ack,
            a_rwnd: u32::try_from(self.a_rwnd).unwrap_or(u32::MAX),
            ..Sack::default()
        };
        self.sack(now, &sack, None)
    }

    /// Finds what must be lost, since it was overtaken by more than is tolerated (RFC 8985 §6.2).
    pub(crate) fn detect(&mut self, now: Instant, tolerance: Tolerance) -> Lost {
        let lost = self.outstanding.detect(now, tolerance, &mut self.groups);
        self.give_up();
        lost
    }

    /// Whether a chunk was acknowledged behind ones that had been sent before it (RFC 8985 §6.2).
    pub(crate) const fn saw_reordering(&self) -> bool {
        self.outstanding.saw_reordering()
    }

    /// Takes all that is in flight for lost (RFC 9260 §6.3.3). `forget` also what the peer said it had beyond a gap: it may
    /// have thrown it away (§6.2.1 D iii).
    pub(crate) fn lose_all(&mut self, now: Instant, forget: bool) -> Lost {
        let lost = self.outstanding.lose_all(now, forget, &mut self.groups);
        self.repeat_forward();
        self.give_up();
        lost
    }

    /// The time-out was for nothing: what was taken for lost and not sent again is on its way.
    pub(crate) fn find_again(&mut self) {
        self.outstanding.find_again();
    }

    /// The last chunk in flight is to be sent again as a probe (RFC 8985 §7.3); whether there was one.
    pub(crate) fn repeat_last(&mut self) -> Option<u64> {
        self.outstanding.repeat_last(&self.groups)
    }

    /// The FORWARD TSN is to be said again, if there is one.
    pub(crate) fn repeat_forward(&mut self) {
        self.forward_is_due |= self.is_forwarding();
    }

    /// Whether TSNs were given up that the peer did not acknowledge.
    pub(crate) const fn is_forwarding(&self) -> bool {
        self.advanced >= self.outstanding.base()
    }

    /// Deals with messages that were given up: their rest is thrown away, and the FORWARD TSN moves.
    fn give_up(&mut self) {
        if self.groups.is_unused() {
            return;
        }
        while let Some((group, stream)) = self.groups.take_given_up() {
            self.given_up_messages = self.given_up_messages.saturating_add(1);
            if let Some(end) = self.queue.drop_rest(stream, group) {
                // The peer may have acknowledged all that was sent: only a further TSN tells it that no end will come.
                self.outstanding.push_missing_end(group, &end);
                self.queue.was_sent(stream, self.outstanding.next().saturating_sub(1));
            }
        }
        self.advance();
    }

    /// RFC 3758 §3.5 C1.
    fn advance(&mut self) {
        if self.groups.is_unused() {
            return;
        }
        let advanced = self.outstanding.advanced(self.advanced, &self.groups);
        if advanced > self.advanced {
            self.advanced = advanced;
            self.forward_is_due = true;
        }
    }

    const fn header_len(&self) -> usize {
        if self.interleaving {
            IDataHeader::LEN
        } else {
            DataHeader::LEN
        }
    }
}

/// A TSN as packets have it.
#[allow(clippy::cast_possible_truncation, reason = "the rest is how often it has wrapped")]
const fn wire(tsn: u64) -> u32 {
    tsn as u32
}
