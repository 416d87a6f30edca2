//! Chunks that were sent and are not acknowledged in sequence, in the order of their TSNs, and their transmissions, in the
//! order of time. TSNs have 64 bits here, so that they never wrap.
//!
//! Nothing here costs more when more is in flight: each transmission enters and leaves its queue once, each chunk is
//! acknowledged once, and what the last SACK said is not looked at again.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;
use std::vec::Vec;

use bytes::Bytes;
use wire::Serial;

use super::groups::Groups;
use super::queue::{MissingEnd, Piece};
use super::wire;
use crate::chunk::{DataFlags, DataHeader, IDataHeader, Sack};
use crate::writer::padded_len;

/// Peers report so many gaps at least (dcSCTP: just as many). A SACK with as many or more may have kept some back.
const COMPLETE_SACK: usize = 20;

/// Gap ack blocks reach no further (RFC 9260 §3.3.4).
const MOST_TSNS: usize = 65_535;

/// A FORWARD TSN passes so many TSNs at most: each time it is written all of them are looked at.
const MOST_FORWARDED: u64 = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    InFlight,
    /// It waits for another transmission.
    Lost,
    /// The peer has it, beyond a gap.
    Acked,
    /// It is given up and not on its way.
    GivenUp,
}

#[derive(Debug)]
struct Sent {
    piece: Piece,
    /// Its last transmission.
    transmission: u64,
    sends: u16,
    state: State,
}

#[derive(Debug, Clone, Copy)]
struct Transmission {
    tsn: u64,
    at: Instant,
    /// The number of its packet.
    packet: u64,
}

/// By how much a chunk may be overtaken before it counts as lost (RFC 8985 §6.2, step 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tolerance {
    /// In time.
    pub(crate) window: Duration,
    /// By fewer packets than these, whatever the time.
    pub(crate) packets: u64,
}

impl Tolerance {
    /// By nothing.
    pub(crate) const NONE: Self = Self {
        window: Duration::ZERO,
        packets: 0,
    };
}

/// What a SACK said that was new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Acked {
    /// It is older than one that came before, and was not heeded.
    pub(crate) is_stale: bool,
    /// The cumulative TSN moved.
    pub(crate) moved: bool,
    /// Bytes of chunks that were acknowledged, headers and padding included.
    pub(crate) bytes: u64,
    /// How long the newest transmission among them took, unless it may have been an earlier one that came.
    pub(crate) rtt: Option<Duration>,
    /// The largest chunk among them, in bytes.
    pub(crate) largest: usize,
    /// What was taken for lost and was not sent again has come.
    pub(crate) late: bool,
    /// TSNs that came twice.
    pub(crate) duplicates: u64,
}

/// What was found to be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Lost {
    /// The number of the newest transmission that is lost, if any is.
    pub(crate) newest: Option<u64>,
    /// The largest chunk that was lost twice, or by a time-out, in bytes.
    pub(crate) largest_again: usize,
    /// When one more is lost, unless it is acknowledged by then.
    pub(crate) next: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Outstanding {
    chunks: VecDeque<Sent>,
    /// The TSN of the first chunk: the cumulative TSN and one.
    base: u64,
    /// TSNs that the peer has beyond a gap: the first and the last of each range.
    acked: BTreeMap<u64, u64>,
    /// The blocks of the last SACK.
    blocks: Vec<(u64, u64)>,
    /// Those of the SACK that is read.
    new_blocks: Vec<(u64, u64)>,
    transmissions: VecDeque<Transmission>,
    /// The number of the first.
    first_transmission: u64,
    /// Lost chunks, in the order in which they are sent again.
    lost: VecDeque<u64>,
    /// How many chunks are in that state.
    lost_chunks: usize,
    /// Packets that were begun.
    packets: u64,
    /// The newest transmission that has come, and its number.
    newest: Option<(u64, Transmission)>,
    /// How long it took.
    newest_rtt: Duration,
    /// The largest TSN that has come.
    highest: u64,
    /// Of chunks beyond this TSN the peer may have come to say nothing.
    reported: u64,
    saw_reordering: bool,
    /// What [`advanced`](Self::advanced) has looked at: up to this TSN nothing is awaited.
    passed: u64,
    /// Bytes of chunks in flight, headers and padding included.
    flight: u64,
    /// Bytes of user data in flight.
    flight_payload: u64,
    /// Bytes of user data that are kept.
    held: usize,
    /// With I-DATA headers.
    interleaving: bool,
}

impl Outstanding {
    pub(super) fn new(initial_tsn: u32) -> Self {
        // Far enough from 0 that nothing before it is negative.
        let base = u64::from(initial_tsn).saturating_add(1 << 32);
        Self {
            chunks: VecDeque::new(),
            base,
            acked: BTreeMap::new(),
            blocks: Vec::new(),
            new_blocks: Vec::new(),
            transmissions: VecDeque::new(),
            first_transmission: 0,
            lost: VecDeque::new(),
            lost_chunks: 0,
            packets: 0,
            newest: None,
            newest_rtt: Duration::ZERO,
            highest: base.saturating_sub(1),
            reported: u64::MAX,
            saw_reordering: false,
            passed: 0,
            flight: 0,
            flight_payload: 0,
            held: 0,
            interleaving: false,
        }
    }

    pub(super) const fn set_interleaving(&mut self, interleaving: bool) {
        self.interleaving = interleaving;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.chunks.len()
    }

    pub(super) const fn base(&self) -> u64 {
        self.base
    }

    /// The TSN of the next chunk.
    pub(super) fn next(&self) -> u64 {
        self.base.saturating_add(self.chunks.len() as u64)
    }

    pub(super) const fn flight(&self) -> u64 {
        self.flight
    }

    pub(super) const fn flight_payload(&self) -> u64 {
        self.flight_payload
    }

    pub(super) const fn held(&self) -> usize {
        self.held
    }

    pub(super) fn has_room(&self) -> bool {
        self.chunks.len() < MOST_TSNS
    }

    pub(super) fn next_transmission(&self) -> u64 {
        self.first_transmission.saturating_add(self.transmissions.len() as u64)
    }

    pub(super) fn newest_acked(&self) -> Option<u64> {
        self.newest.map(|(number, _)| number)
    }

    pub(super) const fn saw_reordering(&self) -> bool {
        self.saw_reordering
    }

    fn index(&self, tsn: u64) -> Option<usize> {
        usize::try_from(tsn.checked_sub(self.base)?).ok()
    }

    fn chunk_len(&self, payload: usize) -> u64 {
        let header = if self.interleaving {
            IDataHeader::LEN
        } else {
            DataHeader::LEN
        };
        padded_len(payload.saturating_add(header)) as u64
    }

    /// A piece of `len` bytes is sent now: its TSN, and the number of its transmission. [`keep`](Self::keep) is to follow.
    pub(super) fn send(&mut self, now: Instant, len: usize) -> (u64, u64) {
        let tsn = self.next();
        let transmission = self.transmit(now, tsn);
        self.flight = self.flight.saturating_add(self.chunk_len(len));
        self.flight_payload = self.flight_payload.saturating_add(len as u64);
        self.held = self.held.saturating_add(len);
        (tsn, transmission)
    }

    /// Keeps the piece that was sent.
    pub(super) fn keep(&mut self, piece: Piece, transmission: u64) {
        self.chunks.push_back(Sent {
            piece,
            transmission,
            sends: 1,
            state: State::InFlight,
        });
    }

    /// Spends a TSN for the end of a message that never comes, behind its last chunk. What was kept of the group for the
    /// rest of the message is its now.
    pub(super) fn push_missing_end(&mut self, group: u32, end: &MissingEnd) {
        self.chunks.push_back(Sent {
            piece: Piece {
                payload: Bytes::new(),
                stream: end.stream,
                ppid: end.ppid,
                unordered: end.unordered,
                beginning: false,
                ending: true,
                number: end.number,
                fsn: end.fsn,
                group,
            },
            transmission: u64::MAX,
            sends: 0,
            state: State::GivenUp,
        });
    }

    fn transmit(&mut self, now: Instant, tsn: u64) -> u64 {
        let number = self.next_transmission();
        self.transmissions.push_back(Transmission {
            tsn,
            at: now,
            packet: self.packets,
        });
        number
    }

    /// The next chunk that is to be sent again: its TSN and the bytes of its payload. On the way those are left out that
    /// came in the meantime, or were given up.
    pub(super) fn next_lost(&mut self, now: Instant, groups: &mut Groups) -> Option<(u64, usize)> {
        while let Some(&tsn) = self.lost.front() {
            if let Some(index) = self.index(tsn)
                && let Some(sent) = self.chunks.get_mut(index)
                && sent.state == State::Lost
            {
                if !groups.gives_up(sent.piece.group, now, sent.sends) {
                    return Some((tsn, sent.piece.payload.len()));
                }
                sent.state = State::GivenUp;
                self.lost_chunks = self.lost_chunks.saturating_sub(1);
            }
            self.lost.pop_front();
        }
        None
    }

    /// Whether something waits to be sent again.
    pub(super) const fn has_lost(&self) -> bool {
        self.lost_chunks > 0
    }

    /// What is transmitted from now on is in another packet.
    pub(super) const fn begin_packet(&mut self) {
        self.packets = self.packets.saturating_add(1);
    }

    /// The first lost chunk goes out again.
    pub(super) fn resend(&mut self, now: Instant) {
        let Some(tsn) = self.lost.pop_front() else { return };
        let transmission = self.transmit(now, tsn);
        let Some(index) = self.index(tsn) else { return };
        let Some(sent) = self.chunks.get_mut(index) else { return };
        sent.state = State::InFlight;
        self.lost_chunks = self.lost_chunks.saturating_sub(1);
        sent.sends = sent.sends.saturating_add(1);
        sent.transmission = transmission;
        let len = sent.piece.payload.len();
        self.flight = self.flight.saturating_add(self.chunk_len(len));
        self.flight_payload = self.flight_payload.saturating_add(len as u64);
    }

    /// What a chunk has.
    pub(super) fn piece(&self, tsn: u64) -> Option<&Piece> {
        Some(&self.chunks.get(self.index(tsn)?)?.piece)
    }

    /// Reads a SACK. `least` is the shortest round trip.
    pub(super) fn sack(
        &mut self,
        now: Instant,
        sack: &Sack<'_>,
        least: Option<Duration>,
        groups: &mut Groups,
    ) -> Result<Acked, &'static str> {
        const UNSENT: &str = "a SACK acknowledges nothing that was not sent";
        let mut acked = Acked::default();
        let before = self.base.saturating_sub(1);
        let distance = wire(before).distance_to(sack.cumulative_tsn_ack);
        let cumulative = before.saturating_add_signed(distance);
        if cumulative >= self.next() {
            return Err(UNSENT);
        }
        if distance < 0 {
            acked.is_stale = true;
            return Ok(acked);
        }
        // All is checked before anything changes.
        let mut last = cumulative;
        self.new_blocks.clear();
        for block in sack.gap_ack_blocks {
            let start = cumulative.saturating_add(block.start.into());
            let end = cumulative.saturating_add(block.end.into());
            if end >= self.next() {
                return Err(UNSENT);
            }
            // Blocks out of order say nothing that another order would not have said.
            if start > last && start <= end {
                self.new_blocks.push((start, end));
                last = end;
            }
        }
        acked.duplicates = sack.duplicate_tsns.len() as u64;
        acked.moved = distance > 0;
        let mut news = News {
            acked,
            newest: None,
            newest_sends: 0,
            highest: self.highest,
            now,
            least: least.unwrap_or_default(),
        };
        while self.base <= cumulative {
            let Some(sent) = self.chunks.pop_front() else { break };
            self.came(
                self.base,
                Came::of(&sent),
                groups.is_given_up(sent.piece.group),
                &mut news,
            );
            self.base = self.base.saturating_add(1);
            self.held = self.held.saturating_sub(sent.piece.payload.len());
            groups.leave(sent.piece.group);
        }
        while let Some(first) = self.acked.first_entry() {
            if *first.key() > cumulative {
                break;
            }
            let end = first.remove();
            if end > cumulative {
                self.acked.insert(self.base, end);
            }
        }
        self.read_blocks(groups, &mut news);
        self.highest = news.highest.max(last);
        self.reported = if self.blocks.len() < COMPLETE_SACK {
            u64::MAX
        } else {
            last
        };
        if let Some(number) = news.newest
            && self.newest.is_none_or(|(newest, _)| number > newest)
            && let Some(transmission) = self.transmission(number)
        {
            let rtt = now.saturating_duration_since(transmission.at);
            self.newest = Some((number, transmission));
            self.newest_rtt = rtt;
            if !news.is_ambiguous() {
                news.acked.rtt = Some(rtt);
            }
        }
        Ok(news.acked)
    }

    /// Those blocks of the SACK that the one before did not have.
    fn read_blocks(&mut self, groups: &Groups, news: &mut News) {
        let new = core::mem::take(&mut self.new_blocks);
        let old = core::mem::take(&mut self.blocks);
        let mut known = old.iter().peekable();
        for &(start, end) in &new {
            while known.next_if(|&&(_, known_end)| known_end < start).is_some() {}
            let is_known = known
                .peek()
                .is_some_and(|&&(known_start, known_end)| known_start <= start && end <= known_end);
            if !is_known {
                self.read_block(start, end, groups, news);
            }
        }
        self.blocks = new;
        self.new_blocks = old;
    }

    fn read_block(&mut self, start: u64, end: u64, groups: &Groups, news: &mut News) {
        let mut start = start;
        let mut at = start;
        if let Some((&known_start, &known_end)) = self.acked.range(..=start).next_back()
            && known_end >= start.saturating_sub(1)
        {
            if known_end >= end {
                return;
            }
            start = known_start;
            at = known_end.saturating_add(1);
        }
        let mut last = end;
        while at <= end {
            let next = self.acked.range(at..).next().map(|(&start, &end)| (start, end));
            let next = next.filter(|&(next_start, _)| next_start <= end.saturating_add(1));
            let stop = next.map_or_else(|| end.saturating_add(1), |(next_start, _)| next_start);
            for tsn in at..stop {
                self.arrived(tsn, groups, news);
            }
            at = stop;
            if let Some((next_start, next_end)) = next {
                self.acked.remove(&next_start);
                last = last.max(next_end);
                at = next_end.saturating_add(1);
            }
        }
        self.acked.insert(start, last);
    }

    /// A chunk beyond a gap has come, if that was not known.
    fn arrived(&mut self, tsn: u64, groups: &Groups, news: &mut News) {
        let Some(index) = self.index(tsn) else { return };
        let Some(sent) = self.chunks.get_mut(index) else { return };
        let is_given_up = groups.is_given_up(sent.piece.group);
        let came = Came::of(sent);
        sent.state = State::Acked;
        self.came(tsn, came, is_given_up, news);
    }

    /// The same of a chunk that is at hand, as it was before.
    fn came(&mut self, tsn: u64, came: Came, is_given_up: bool, news: &mut News) {
        let Came {
            len,
            sends,
            transmission,
            state,
        } = came;
        let chunk_len = self.chunk_len(len);
        match state {
            State::Acked | State::GivenUp => return,
            State::InFlight => {
                self.flight = self.flight.saturating_sub(chunk_len);
                self.flight_payload = self.flight_payload.saturating_sub(len as u64);
            }
            State::Lost => {
                self.lost_chunks = self.lost_chunks.saturating_sub(1);
                news.acked.late = true;
            }
        }
        if is_given_up {
            // The peer may only know that it will not come.
            return;
        }
        news.acked.bytes = news.acked.bytes.saturating_add(chunk_len);
        news.acked.largest = news.acked.largest.max(usize::try_from(chunk_len).unwrap_or(usize::MAX));
        if sends == 1 && tsn < news.highest {
            self.saw_reordering = true;
        }
        news.highest = news.highest.max(tsn);
        // RFC 8985 §6.2, step 2: within less than a round trip it was an earlier transmission that came.
        let is_earlier = sends > 1
            && self
                .transmission(transmission)
                .is_some_and(|sent| news.is_too_early_for(sent.at));
        if state == State::InFlight && !is_earlier {
            news.saw(transmission, sends);
        }
    }

    fn transmission(&self, number: u64) -> Option<Transmission> {
        let index = number.checked_sub(self.first_transmission)?;
        self.transmissions.get(usize::try_from(index).ok()?).copied()
    }

    /// RFC 8985 §6.2, step 5.
    pub(super) fn detect(&mut self, now: Instant, tolerance: Tolerance, groups: &mut Groups) -> Lost {
        let mut lost = Lost::default();
        while let Some(&Transmission { tsn, at, packet }) = self.transmissions.front() {
            let number = self.first_transmission;
            let index = self.index(tsn);
            let sent = index.and_then(|index| self.chunks.get(index));
            let is_under_way = sent.is_some_and(|sent| sent.transmission == number && sent.state == State::InFlight);
            if is_under_way {
                let Some((newest, overtaker)) = self.newest else { break };
                // Who reports no gap there cannot have said that it came.
                if number > newest || tsn > self.reported {
                    break;
                }
                let by = overtaker.packet.saturating_sub(packet);
                let wait = self.newest_rtt.saturating_add(tolerance.window);
                let deadline = at.checked_add(wait).unwrap_or(now);
                if deadline > now && by < tolerance.packets {
                    lost.next = Some(deadline);
                    break;
                }
                self.lose(tsn, now, groups, &mut lost);
                lost.newest = Some(number);
            }
            self.transmissions.pop_front();
            self.first_transmission = self.first_transmission.saturating_add(1);
        }
        lost
    }

    /// Takes a chunk in flight for lost.
    fn lose(&mut self, tsn: u64, now: Instant, groups: &mut Groups, lost: &mut Lost) {
        let Some(index) = self.index(tsn) else { return };
        let Some(sent) = self.chunks.get_mut(index) else { return };
        if sent.state != State::InFlight {
            return;
        }
        let (len, sends) = (sent.piece.payload.len(), sent.sends);
        if groups.gives_up(sent.piece.group, now, sends) {
            sent.state = State::GivenUp;
        } else {
            sent.state = State::Lost;
            self.lost.push_back(tsn);
            self.lost_chunks = self.lost_chunks.saturating_add(1);
        }
        let chunk_len = self.chunk_len(len);
        self.flight = self.flight.saturating_sub(chunk_len);
        self.flight_payload = self.flight_payload.saturating_sub(len as u64);
        if sends > 1 {
            lost.largest_again = lost.largest_again.max(usize::try_from(chunk_len).unwrap_or(usize::MAX));
        }
    }

    pub(super) fn lose_all(&mut self, now: Instant, forget: bool, groups: &mut Groups) -> Lost {
        let mut lost = Lost::default();
        if forget {
            self.acked.clear();
            self.blocks.clear();
            self.passed = 0;
            for index in 0..self.chunks.len() {
                if let Some(sent) = self.chunks.get_mut(index)
                    && sent.state == State::Acked
                {
                    sent.state = State::Lost;
                    self.lost_chunks = self.lost_chunks.saturating_add(1);
                }
            }
        }
        self.lost.clear();
        for (tsn, index) in (self.base..).zip(0..self.chunks.len()) {
            match self.chunks.get(index).map(|sent| sent.state) {
                Some(State::InFlight) => {
                    let len = self.chunks.get(index).map_or(0, |sent| sent.piece.payload.len());
                    let chunk_len = usize::try_from(self.chunk_len(len)).unwrap_or(usize::MAX);
                    self.lose(tsn, now, groups, &mut lost);
                    lost.largest_again = lost.largest_again.max(chunk_len);
                }
                Some(State::Lost) => self.lost.push_back(tsn),
                _ => {}
            }
        }
        lost
    }

    /// What is taken for lost and was sent once is on its way after all.
    pub(super) fn find_again(&mut self) {
        let lost = core::mem::take(&mut self.lost);
        for tsn in lost {
            let Some(index) = self.index(tsn) else { continue };
            let Some(sent) = self.chunks.get_mut(index).filter(|sent| sent.state == State::Lost) else {
                continue;
            };
            let len = sent.piece.payload.len();
            // Its transmission must still be there, else nobody would notice that it is lost.
            if sent.transmission >= self.first_transmission {
                sent.state = State::InFlight;
                self.lost_chunks = self.lost_chunks.saturating_sub(1);
                self.flight = self.flight.saturating_add(self.chunk_len(len));
                self.flight_payload = self.flight_payload.saturating_add(len as u64);
            } else {
                self.lost.push_back(tsn);
            }
        }
    }

    /// The last chunk in flight is to be sent again, before all others; its TSN.
    pub(super) fn repeat_last(&mut self, groups: &Groups) -> Option<u64> {
        let place = self
            .chunks
            .iter()
            .rposition(|sent| sent.state == State::InFlight && !groups.is_given_up(sent.piece.group))?;
        let tsn = self.base.saturating_add(place as u64);
        let sent = self.chunks.get_mut(place)?;
        sent.state = State::Lost;
        self.lost_chunks = self.lost_chunks.saturating_add(1);
        let len = sent.piece.payload.len();
        self.flight = self.flight.saturating_sub(self.chunk_len(len));
        self.flight_payload = self.flight_payload.saturating_sub(len as u64);
        self.lost.push_front(tsn);
        Some(tsn)
    }

    /// How far TSNs are given up, from one that is known to be (RFC 3758 §3.5 C1). Those that have come are passed as well:
    /// the peer would do that when it has skipped what is before them, and ask again a round trip later.
    ///
    /// No more than [`MOST_FORWARDED`] TSNs are passed at once, and none is looked at twice without need.
    pub(super) fn advanced(&mut self, from: u64, groups: &Groups) -> u64 {
        let mut advanced = from.max(self.base.saturating_sub(1));
        self.passed = self.passed.max(advanced);
        let most = self.base.saturating_add(MOST_FORWARDED);
        while self.passed.saturating_add(1) < most
            && let Some(index) = self.index(self.passed.saturating_add(1))
            && let Some(sent) = self.chunks.get(index)
        {
            if groups.is_given_up(sent.piece.group) {
                advanced = self.passed.saturating_add(1);
            } else if sent.state != State::Acked {
                break;
            }
            self.passed = self.passed.saturating_add(1);
        }
        advanced
    }

    /// The chunks up to a TSN whose messages were given up: the TSN, the stream, whether the message is unordered, and its
    /// number.
    pub(super) fn skipped<'a>(
        &'a self,
        advanced: u64,
        groups: &'a Groups,
    ) -> impl Iterator<Item = (u64, u16, bool, u32)> + 'a {
        let chunks = (self.base..=advanced).zip(&self.chunks);
        let skipped = chunks.filter(|(_, sent)| groups.is_given_up(sent.piece.group));
        skipped.map(|(tsn, sent)| (tsn, sent.piece.stream, sent.piece.unordered, sent.piece.number))
    }
}

/// What counts of a chunk that has come.
struct Came {
    len: usize,
    sends: u16,
    transmission: u64,
    state: State,
}

impl Came {
    const fn of(sent: &Sent) -> Self {
        Self {
            len: sent.piece.payload.len(),
            sends: sent.sends,
            transmission: sent.transmission,
            state: sent.state,
        }
    }
}

/// What is gathered while a SACK is read.
struct News {
    acked: Acked,
    /// The number of the newest transmission among those that came, and whether it may have been an earlier one.
    newest: Option<u64>,
    newest_sends: u16,
    highest: u64,
    now: Instant,
    least: Duration,
}

impl News {
    fn saw(&mut self, transmission: u64, sends: u16) {
        if self.newest.is_none_or(|newest| transmission > newest) {
            self.newest = Some(transmission);
            self.newest_sends = sends;
        }
    }

    /// Whether nothing that was sent then can have been acknowledged by now.
    fn is_too_early_for(&self, at: Instant) -> bool {
        self.now.saturating_duration_since(at) < self.least
    }

    /// Karn's rule (RFC 9260 §6.3.1 C5).
    const fn is_ambiguous(&self) -> bool {
        self.newest_sends != 1
    }
}

impl Piece {
    /// The header of the chunk as DATA.
    pub(super) fn data(&self, tsn: u64, immediate: bool) -> DataHeader {
        DataHeader {
            flags: self.flags(immediate),
            tsn: wire(tsn),
            stream: self.stream,
            ssn: ssn(self.number),
            ppid: self.ppid,
        }
    }

    /// The same as I-DATA.
    pub(super) fn i_data(&self, tsn: u64, immediate: bool) -> IDataHeader {
        IDataHeader {
            flags: self.flags(immediate),
            tsn: wire(tsn),
            stream: self.stream,
            mid: self.number,
            ppid_or_fsn: if self.beginning { self.ppid.0 } else { self.fsn },
        }
    }

    const fn flags(&self, immediate: bool) -> DataFlags {
        DataFlags {
            immediate,
            unordered: self.unordered,
            beginning: self.beginning,
            ending: self.ending,
        }
    }
}

/// SSNs are the lower half of our numbers.
#[allow(clippy::cast_possible_truncation, reason = "SSNs wrap (RFC 9260 §6.6)")]
pub(super) const fn ssn(number: u32) -> u16 {
    number as u16
}
