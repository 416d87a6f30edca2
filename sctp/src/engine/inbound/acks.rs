use std::collections::VecDeque;
use std::time::{Duration, Instant};
use std::vec::Vec;
use wire::Serial;

use crate::chunk::{Chunk, GapAckBlock, Sack};
use crate::config::Config;
use crate::list::List;
use crate::writer::PacketWriter;

/// What becomes of a TSN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It is acknowledged from now on.
    New,
    /// It had come before.
    Duplicate,
    /// It is so far ahead, or there are so many gaps, that it cannot be remembered. To be dropped.
    TooFar,
    /// There is no room for what it carries. To be dropped.
    NoRoom,
}

/// The TSNs that were received, and when the peer is told (RFC 9260 §6.2, §6.7).
#[derive(Debug)]
pub(crate) struct Acks {
    /// The last TSN of those received in sequence.
    cumulative: u32,
    /// What was received beyond, first and last TSN: sorted, and neither overlapping nor touching each other.
    ranges: VecDeque<(u32, u32)>,
    /// TSNs that came again since the last SACK.
    duplicates: Vec<u32>,
    /// Packets with data since the last SACK.
    packets: u32,
    /// The packet being read has data.
    touched: bool,
    /// The SACK for the packet being read is not to be delayed.
    urgent: bool,
    /// A SACK is to be sent at once.
    due: bool,
    /// When one is due in any case.
    deadline: Option<Instant>,
    delay: Duration,
    /// Kept for its memory.
    blocks: Vec<GapAckBlock>,
}

impl Acks {
    /// Ranges that are remembered at most. It is more than a SACK in any packet of a WebRTC path can tell.
    const MAX_RANGES: usize = 2048;
    /// Duplicates that a SACK tells at most: they only are a hint (RFC 9260 §6.2).
    const MAX_DUPLICATES: usize = 16;
    /// How far ahead of the cumulative TSN a gap ack block reaches (RFC 9260 §3.3.4).
    const REACH: u32 = 65535;
    /// "MUST NOT allow the maximum delay to be configured to be more than 500 ms" (RFC 9260 §6.2).
    const LONGEST_DELAY: Duration = Duration::from_millis(500);
    /// "SHOULD be generated for at least every second packet" (RFC 9260 §6.2).
    const PACKETS_PER_SACK: u32 = 2;

    pub(crate) fn new(config: &Config, peer_initial_tsn: u32) -> Self {
        Self {
            cumulative: peer_initial_tsn.wrapping_sub(1),
            ranges: VecDeque::new(),
            duplicates: Vec::new(),
            packets: 0,
            touched: false,
            // "After the reception of the first DATA chunk in an association, the endpoint MUST immediately respond with
            // a SACK chunk" (RFC 9260 §5.1).
            urgent: true,
            due: false,
            deadline: None,
            delay: config.sack_delay.min(Self::LONGEST_DELAY),
            blocks: Vec::new(),
        }
    }

    /// The last TSN of those received in sequence, or skipped by the peer.
    pub(crate) const fn cumulative(&self) -> u32 {
        self.cumulative
    }

    /// A SACK is to be sent now, even alone.
    pub(crate) fn sack_is_due(&self, now: Instant) -> bool {
        self.due || self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// Something has not been acknowledged yet: a packet that goes out anyway should carry a SACK.
    pub(crate) const fn wants_sack(&self) -> bool {
        self.due || self.deadline.is_some()
    }

    /// Data with this TSN has come. `immediate` is its I bit (RFC 7053 §5.2), `room` what [`Reassembly::has_room`] says;
    /// the next TSN in sequence needs none.
    ///
    /// [`Reassembly::has_room`]: super::Reassembly::has_room
    pub(crate) fn observe(&mut self, tsn: u32, immediate: bool, room: bool) -> Arrival {
        self.touched = true;
        self.urgent |= immediate;
        let arrival = match u32::try_from(self.cumulative.distance_to(tsn)) {
            Err(_) | Ok(0) => Arrival::Duplicate,
            Ok(1) => {
                self.advance(tsn);
                Arrival::New
            }
            Ok(2..=Self::REACH) => self.insert(tsn, room),
            Ok(_) => Arrival::TooFar,
        };
        // A duplicate is answered at once, and so is what was dropped (RFC 9260 §6.2).
        self.urgent |= arrival != Arrival::New;
        if arrival == Arrival::Duplicate && self.duplicates.len() < Self::MAX_DUPLICATES {
            self.duplicates.push(tsn);
        }
        arrival
    }

    /// The peer skips all up to `new_cumulative` (RFC 3758 §3.6). False when that is out of date.
    pub(crate) fn forward(&mut self, new_cumulative: u32) -> bool {
        self.touched = true;
        if !self.cumulative.precedes(new_cumulative) {
            // "such a duplicate may indicate the previous SACK was lost".
            self.urgent = true;
            return false;
        }
        // A whole range at a time, each of which was added once.
        while let Some((_, last)) = self.ranges.front().copied()
            && !new_cumulative.precedes(last)
        {
            self.ranges.pop_front();
            self.urgent = true;
        }
        match self.ranges.front_mut() {
            Some((first, _)) if !new_cumulative.precedes(*first) => {
                // The range around it counts from here on only; `advance` takes the rest.
                *first = new_cumulative.wrapping_add(1);
            }
            _ => {}
        }
        self.advance(new_cumulative);
        true
    }

    /// The packet was read to its end.
    pub(crate) fn packet_ended(&mut self, now: Instant) {
        if !self.touched {
            return;
        }
        self.touched = false;
        self.packets = self.packets.saturating_add(1);
        // While there are gaps, every packet is answered (RFC 9260 §6.7).
        if self.urgent || self.packets >= Self::PACKETS_PER_SACK || !self.ranges.is_empty() {
            self.due = true;
        }
        self.urgent = false;
        if self.deadline.is_none() {
            self.deadline = now.checked_add(self.delay);
        }
    }

    /// Acknowledges the packet being read, or the next one with data, without delay.
    pub(crate) const fn hurry(&mut self) {
        self.urgent = true;
    }

    /// A SACK is to be sent at once, whatever has come: the peer's view of us is to change.
    pub(crate) const fn tell(&mut self) {
        self.due = true;
    }

    /// A SHUTDOWN with [`cumulative`](Self::cumulative) goes out. True when that says all there is; then no SACK is due any
    /// more (RFC 9260 §9.2).
    pub(crate) fn told_by_shutdown(&mut self) -> bool {
        let all = self.ranges.is_empty() && self.duplicates.is_empty();
        if all {
            self.told();
        }
        all
    }

    /// Appends a SACK with as many gap ack blocks as fit, from the lowest on (RFC 9260 §6.7), then duplicates. False when
    /// not even one without any fits.
    pub(crate) fn write(&mut self, w: &mut PacketWriter<'_>, a_rwnd: u32) -> bool {
        let mut sack = Sack {
            cumulative_tsn_ack: self.cumulative,
            a_rwnd,
            ..Sack::default()
        };
        let Some(room) = w.room().checked_sub(Chunk::Sack(sack).wire_len()) else {
            return false;
        };
        let entries = room >> 2;
        let cumulative = self.cumulative;
        let offset = |tsn: u32| u16::try_from(tsn.wrapping_sub(cumulative)).unwrap_or(u16::MAX);
        self.blocks.clear();
        let blocks = self.ranges.iter().take(entries).map(|&(first, last)| GapAckBlock {
            start: offset(first),
            end: offset(last),
        });
        self.blocks.extend(blocks);
        let left = entries.saturating_sub(self.blocks.len());
        sack.gap_ack_blocks = List::new(&self.blocks);
        sack.duplicate_tsns = List::new(self.duplicates.get(..left).unwrap_or(&self.duplicates));
        let written = w.push(&Chunk::Sack(sack)).is_ok();
        if written {
            self.told();
        }
        written
    }

    /// When a SACK is due.
    pub(crate) const fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    fn told(&mut self) {
        self.duplicates.clear();
        self.packets = 0;
        self.due = false;
        self.deadline = None;
    }

    /// All up to `tsn` is there, and what follows without a gap.
    fn advance(&mut self, tsn: u32) {
        self.cumulative = tsn;
        if let Some((first, last)) = self.ranges.front().copied() {
            // A gap that becomes shorter or is filled is told at once (RFC 5681 §4.2).
            self.urgent = true;
            if first == tsn.wrapping_add(1) {
                self.cumulative = last;
                self.ranges.pop_front();
            }
        }
    }

    /// Takes a TSN that is not the next one.
    fn insert(&mut self, tsn: u32, room: bool) -> Arrival {
        let cumulative = self.cumulative;
        let ahead = |tsn: u32| tsn.wrapping_sub(cumulative);
        // Mostly it belongs at the end.
        let at = match self.ranges.back() {
            Some((first, _)) if ahead(tsn) < ahead(*first) => {
                self.ranges.partition_point(|(first, _)| ahead(*first) <= ahead(tsn))
            }
            _ => self.ranges.len(),
        };
        // The range that begins at or before it, and the one that begins behind it.
        let before = at.checked_sub(1).and_then(|before| self.ranges.get(before)).copied();
        if before.is_some_and(|(_, last)| ahead(tsn) <= ahead(last)) {
            return Arrival::Duplicate;
        }
        if !room {
            return Arrival::NoRoom;
        }
        let behind = self.ranges.get(at).copied();
        let joins_before = before.filter(|(_, last)| last.wrapping_add(1) == tsn);
        let joins_behind = behind.filter(|(first, _)| tsn.wrapping_add(1) == *first);
        let (index, range) = match (joins_before, joins_behind) {
            (Some((first, _)), Some((_, last))) => {
                self.ranges.remove(at);
                (at.saturating_sub(1), (first, last))
            }
            (Some((first, _)), None) => (at.saturating_sub(1), (first, tsn)),
            (None, Some((_, last))) => (at, (tsn, last)),
            (None, None) => {
                if self.ranges.len() >= Self::MAX_RANGES {
                    return Arrival::TooFar;
                }
                self.ranges.insert(at, (tsn, tsn));
                return Arrival::New;
            }
        };
        if let Some(place) = self.ranges.get_mut(index) {
            *place = range;
        }
        Arrival::New
    }
}
