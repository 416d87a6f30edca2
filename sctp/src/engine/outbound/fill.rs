//! How chunks get into packets.

use std::time::Instant;
use std::vec::Vec;

use super::queue::{Next, Piece};
use super::{Outbound, wire};
use crate::chunk::{Chunk, ForwardTsn, IForwardTsn, SkippedMessage, SkippedStream};
use crate::list::List;
use crate::packet::RawChunk;
use crate::writer::{PacketWriter, padded_len};

/// What may be sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    /// The congestion window, in bytes.
    pub(crate) window: u64,
    /// The bytes of a whole packet.
    pub(crate) packet: usize,
    /// This packet is a probe, which the window does not hold up.
    pub(crate) is_probe: bool,
}

/// What was put into a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Filled {
    /// DATA chunks.
    pub(crate) chunks: usize,
    /// The last of them asks for a SACK at once.
    pub(crate) immediate: bool,
    /// There is a FORWARD TSN.
    pub(crate) forwards: bool,
}

impl Outbound {
    /// Whether data or a FORWARD TSN may be sent now.
    pub(crate) fn may_send(&self, allowance: Allowance) -> bool {
        self.may_forward() || (self.has_window(allowance) && (self.outstanding.has_lost() || self.may_begin(1)))
    }

    /// Whether there is something to send, if the window lets it: what a pacer is asked for.
    pub(crate) fn has_data(&self) -> bool {
        self.outstanding.has_lost() || self.may_begin(1)
    }

    const fn has_window(&self, allowance: Allowance) -> bool {
        allowance.is_probe || self.flight() < allowance.window
    }

    const fn may_forward(&self) -> bool {
        self.forward_is_due && self.is_forwarding()
    }

    /// Whether `len` bytes of new data may be sent as far as the peer has room for them (RFC 9260 §6.1 A).
    fn may_begin(&self, len: u64) -> bool {
        let in_flight = self.outstanding.flight_payload();
        self.queue.has_piece()
            && self.outstanding.has_room()
            && (in_flight == 0 || in_flight.saturating_add(len) <= self.a_rwnd)
    }

    /// How long the packet must be for the chunk that is sent next, if that was cut for larger ones than there are now.
    pub(crate) fn needs(&mut self, now: Instant) -> usize {
        let header = self.header_len();
        let lost = self.outstanding.next_lost(now, &mut self.groups);
        lost.map_or(0, |(_, len)| padded_len(len.saturating_add(header)))
    }

    /// Fills a packet: a FORWARD TSN, then what is lost, then what is new.
    pub(crate) fn fill(&mut self, now: Instant, w: &mut PacketWriter<'_>, allowance: Allowance) -> Filled {
        let mut filled = Filled::default();
        self.outstanding.begin_packet();
        // What is not sent again after all may have to be told.
        self.outstanding.next_lost(now, &mut self.groups);
        self.give_up();
        if self.may_forward() {
            filled.forwards = self.write_forward(w);
        }
        if self.has_window(allowance) {
            self.fill_lost(now, w, allowance, &mut filled);
            self.fill_new(now, w, allowance, &mut filled);
        }
        self.give_up();
        // Behind data it cannot stand (RFC 9260 §6.10): then it goes with the next packet.
        if filled == Filled::default() && self.may_forward() {
            filled.forwards = self.write_forward(w);
        }
        filled
    }

    fn fill_lost(&mut self, now: Instant, w: &mut PacketWriter<'_>, allowance: Allowance, filled: &mut Filled) {
        let header = self.header_len();
        while let Some((tsn, len)) = self.outstanding.next_lost(now, &mut self.groups) {
            if !w.fits(len.saturating_add(header)) {
                break;
            }
            self.outstanding.resend(now);
            self.retransmissions = self.retransmissions.saturating_add(1);
            if let Some(piece) = self.outstanding.piece(tsn) {
                self.write(w, tsn, piece, allowance, filled);
            }
        }
    }

    fn fill_new(&mut self, now: Instant, w: &mut PacketWriter<'_>, allowance: Allowance, filled: &mut Filled) {
        let header = self.header_len();
        let overhead = header.saturating_add(crate::CommonHeader::LEN);
        let whole = allowance.packet.saturating_sub(overhead) & !3;
        while let Some(mut room) = w.room().checked_sub(header).filter(|room| *room > 0)
            && self.may_begin(1)
            && !self.outstanding.has_lost()
        {
            let in_flight = self.outstanding.flight_payload();
            if in_flight > 0 {
                // RFC 9260 §6.1 A: no more than the peer has room for.
                let left = self.a_rwnd.saturating_sub(in_flight);
                room = room.min(usize::try_from(left).unwrap_or(usize::MAX));
            }
            match self
                .queue
                .next(now, room, whole, &mut self.groups, &mut self.given_up_messages)
            {
                Next::Piece(piece) => {
                    let (tsn, transmission) = self.outstanding.send(now, piece.payload.len());
                    self.queue.was_sent(piece.stream, tsn);
                    // Before it is moved: what was just stored somewhere else is late to be read from there.
                    self.write(w, tsn, &piece, allowance, filled);
                    self.outstanding.keep(piece, transmission);
                }
                Next::TooLate => self.give_up(),
                Next::Nothing => break,
            }
        }
    }

    /// Writes a chunk for which there is room.
    fn write(&self, w: &mut PacketWriter<'_>, tsn: u64, piece: &Piece, allowance: Allowance, filled: &mut Filled) {
        let immediate = self.ends_burst(allowance);
        let payload = &piece.payload;
        let room = if self.interleaving {
            w.i_data(&piece.i_data(tsn, immediate), payload.len())
        } else {
            w.data(&piece.data(tsn, immediate), payload.len())
        };
        let written = room.map(|room| room.copy_from_slice(payload));
        debug_assert_eq!(written, Ok(()), "there was room");
        filled.chunks = filled.chunks.saturating_add(1);
        filled.immediate = immediate;
    }

    /// Whether nothing follows what was taken last until something is acknowledged: then a delayed SACK would cost time
    /// (RFC 7053 §4). With a large window others than the last bring SACKs.
    fn ends_burst(&self, allowance: Allowance) -> bool {
        let packets = |count: u64| (allowance.packet as u64).saturating_mul(count);
        let is_all = !self.outstanding.has_lost() && !self.queue.has_piece();
        let is_stopped = self.flight() >= allowance.window.min(self.a_rwnd);
        allowance.is_probe || is_all || (is_stopped && self.flight() < packets(4))
    }

    /// RFC 3758 §3.5 C3 to C5. What does not fit into the packet is said when that has been acknowledged.
    ///
    /// Where an ordered message of a stream has come between two that are skipped, another FORWARD TSN follows, so that the peer
    /// hands that message over before it skips the second one: some throw away all that waits up to there.
    fn write_forward(&mut self, w: &mut PacketWriter<'_>) -> bool {
        let (fixed, entry_len) = (
            RawChunk::HEADER_LEN.saturating_add(4),
            if self.interleaving { 8 } else { 4 },
        );
        let chunk_len = |entries: usize| fixed.saturating_add(entries.saturating_mul(entry_len));
        let mut entries: Vec<SkippedMessage> = Vec::new();
        let (mut said, mut last) = (None, None);
        for (tsn, stream, unordered, mid) in self.outstanding.skipped(self.advanced, &self.groups) {
            let key = (stream, unordered);
            let place = entries.binary_search_by_key(&key, |entry| (entry.stream, entry.unordered));
            let entry = SkippedMessage { stream, unordered, mid };
            match place {
                Ok(place)
                    if entries
                        .get(place)
                        .is_some_and(|before| unordered || mid.wrapping_sub(before.mid) <= 1) =>
                {
                    if let Some(before) = entries.get_mut(place) {
                        *before = entry;
                    }
                }
                // Nobody waits for unordered DATA.
                Err(_) if unordered && !self.interleaving && w.fits(fixed) => {}
                Err(place) if w.fits(chunk_len(entries.len().saturating_add(1))) => entries.insert(place, entry),
                Err(_) => break,
                Ok(_) => {
                    if let Some(last) = last
                        && self.push_forward(w, last, &entries)
                    {
                        said = Some(last);
                    }
                    entries.clear();
                    last = None;
                    if !w.fits(chunk_len(1)) {
                        break;
                    }
                    entries.push(entry);
                }
            }
            last = Some(tsn);
        }
        if let Some(last) = last
            && self.push_forward(w, last, &entries)
        {
            said = Some(last);
        }
        let Some(said) = said else { return false };
        self.said = said;
        self.forward_is_due = false;
        true
    }

    fn push_forward(&self, w: &mut PacketWriter<'_>, last: u64, entries: &[SkippedMessage]) -> bool {
        let new_cumulative_tsn = wire(last);
        if self.interleaving {
            let streams = List::new(entries);
            return w
                .push(&Chunk::IForwardTsn(IForwardTsn {
                    new_cumulative_tsn,
                    streams,
                }))
                .is_ok();
        }
        let streams: Vec<_> = entries
            .iter()
            .map(|entry| SkippedStream {
                stream: entry.stream,
                ssn: super::outstanding::ssn(entry.mid),
            })
            .collect();
        let streams = List::new(&streams);
        w.push(&Chunk::ForwardTsn(ForwardTsn {
            new_cumulative_tsn,
            streams,
        }))
        .is_ok()
    }
}
