//! The receiver's side of transport-wide congestion control
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3).
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use std::boxed::Box;
use std::fmt;
use std::time::{Duration, Instant};

use wire::{Unwrapper, Writer};

use crate::rtcp::{FeedbackHeader, Measure, Status, TICKS_PER_REFERENCE, TransportFeedback};
use crate::{Counters, Ssrc};

/// Records when the packets of a transport arrived, of all its SSRCs together, and writes feedback about them.
///
/// Feedback is due as soon as there is something to tell and the previous one is [`MIN_INTERVAL`] ago with at least
/// [`ENOUGH`] packets to tell of, else when it is [`MAX_INTERVAL`] ago: at once for the first packets, and again after
/// a silence. The sender's bandwidth estimate waits for it.
///
/// Memory is a table of fixed size, and nothing is allocated after construction.
pub struct Recorder {
    /// Where the clock of the reference time starts.
    epoch: Instant,
    unwrapper: Unwrapper,
    /// The arrival of each packet by its number modulo the table's size; those of `end - table..end` are valid.
    arrivals: Box<[Arrival; WINDOW]>,
    /// One above the highest number recorded.
    end: u64,
    /// The lowest number that is to be told of; `end` or above when there is none.
    pending_from: u64,
    /// How many are to be told of.
    pending: usize,
    /// One above the highest number told of; 0 before the first feedback.
    told_end: u64,
    last_feedback: Option<Instant>,
    /// What is due is told in several packets when it does not fit into one: the rest goes out at once.
    flushing: bool,
    feedback_count: u8,
    counters: Counters,
}

/// The least time between two rounds of feedback.
pub const MIN_INTERVAL: Duration = Duration::from_millis(50);
/// The time after which a single packet is worth a round of feedback.
pub const MAX_INTERVAL: Duration = Duration::from_millis(100);
/// How many packets are worth a round of feedback after [`MIN_INTERVAL`].
pub const ENOUGH: usize = 10;
/// The shortest buffer that feedback is written into, in bytes: one packet received.
pub const MIN_OUT: usize = 24;

/// How many numbers the table holds. At 50 Mbit/s in packets of 1200 bytes some 500 arrive in [`MAX_INTERVAL`].
const WINDOW: usize = 4096;
const WINDOW_U64: u64 = 4096;

/// Feedback is due at once when the numbers to tell of span half the table.
const SPAN_MAX: u64 = WINDOW_U64 / 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arrival {
    NotReceived,
    /// Received at this many ticks of 250 µs after the epoch, not told of yet.
    Pending(i64),
    /// Received and told of.
    Told,
}

impl Recorder {
    /// A recorder whose clock starts at `now`.
    pub fn new(now: Instant) -> Self {
        Self {
            epoch: now,
            unwrapper: Unwrapper::new(),
            arrivals: Box::new([Arrival::NotReceived; WINDOW]),
            end: 0,
            pending_from: u64::MAX,
            pending: 0,
            told_end: 0,
            last_feedback: None,
            flushing: false,
            feedback_count: 0,
            counters: Counters::default(),
        }
    }

    /// What it noticed.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The packet with this transport-wide number arrived.
    pub fn record(&mut self, now: Instant, sequence: u16) {
        let number = self.unwrapper.unwrap(sequence);
        if self.end == 0 {
            self.end = number;
        }
        if number >= self.end {
            self.advance(number);
        } else if number.saturating_add(WINDOW_U64) < self.end {
            self.counters.twcc_late = self.counters.twcc_late.saturating_add(1);
            return;
        }
        let ticks = i64::try_from(now.saturating_duration_since(self.epoch).as_micros() / 250).unwrap_or(i64::MAX);
        let Some(arrival) = self.arrivals.get_mut(slot(number)) else {
            return;
        };
        if *arrival != Arrival::NotReceived {
            self.counters.twcc_duplicates = self.counters.twcc_duplicates.saturating_add(1);
            return;
        }
        *arrival = Arrival::Pending(ticks);
        self.pending = self.pending.saturating_add(1);
        self.pending_from = self.pending_from.min(number);
    }

    /// Makes `number` the highest, and the places of those between free.
    fn advance(&mut self, number: u64) {
        let new_end = number.saturating_add(1);
        // A jump beyond the whole table leaves nothing in it: clearing it once is enough.
        let first = self.end.max(new_end.saturating_sub(WINDOW_U64));
        for each in first..new_end {
            let Some(arrival) = self.arrivals.get_mut(slot(each)) else {
                continue;
            };
            if matches!(arrival, Arrival::Pending(_)) {
                self.pending = self.pending.saturating_sub(1);
                self.counters.twcc_overruns = self.counters.twcc_overruns.saturating_add(1);
            }
            *arrival = Arrival::NotReceived;
        }
        self.end = new_end;
        if self.pending == 0 {
            self.pending_from = u64::MAX;
        } else {
            self.pending_from = self.pending_from.max(new_end.saturating_sub(WINDOW_U64));
        }
    }

    /// When feedback is due; `None` when there is nothing to tell.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.pending == 0 {
            return None;
        }
        let span = self.end.saturating_sub(self.pending_from);
        match self.last_feedback {
            Some(last) if self.flushing || span >= SPAN_MAX => Some(last),
            Some(last) if self.pending >= ENOUGH => last.checked_add(MIN_INTERVAL),
            Some(last) => last.checked_add(MAX_INTERVAL),
            None => Some(self.epoch),
        }
    }

    /// Writes one packet of feedback when it is due, and returns its length in bytes. To be called until it gives
    /// `None`: what does not fit into `out`, or is too far apart in time for one packet, follows in the next.
    ///
    /// `media` is any SSRC of the sender's; Chromium takes that of the latest packet.
    pub fn poll_feedback(&mut self, now: Instant, sender: Ssrc, media: Ssrc, out: &mut [u8]) -> Option<usize> {
        debug_assert!(out.len() >= MIN_OUT, "no room for feedback");
        if out.len() < MIN_OUT || self.poll_timeout().is_none_or(|due| due > now) {
            return None;
        }
        let (pending, ticks) = self.first_pending()?;
        let reference = ticks.div_euclid(TICKS_PER_REFERENCE);
        // What was lost since the last feedback is told of too: a sender counts as lost only what it is told.
        let lost_from = match self.told_end {
            0 => pending,
            told => told.max(self.end.saturating_sub(WINDOW_U64)).min(pending),
        };
        let mut span = self.take_what_fits(lost_from, reference, out.len());
        if span.end <= pending {
            // No room for both.
            span = self.take_what_fits(pending, reference, out.len());
        }

        let mut w = Writer::new(out);
        let header = FeedbackHeader {
            sender,
            media,
            base_sequence: low_16(span.first),
            reference_time: wrap_24(reference),
            feedback_count: self.feedback_count,
        };
        let statuses = span.statuses(&self.arrivals);
        if TransportFeedback::write(&mut w, &header, statuses).is_err() {
            return None;
        }
        let len = w.position();
        self.mark_told(&span);
        self.feedback_count = self.feedback_count.wrapping_add(1);
        self.last_feedback = Some(now);
        self.flushing = self.pending != 0;
        Some(len)
    }

    fn first_pending(&self) -> Option<(u64, i64)> {
        (self.pending_from..self.end).find_map(|number| match self.arrivals.get(slot(number)) {
            Some(&Arrival::Pending(ticks)) => Some((number, ticks)),
            _ => None,
        })
    }

    /// How far one packet of `room` bytes reaches. It ends with a received packet, which is the first at least.
    fn take_what_fits(&self, first: u64, reference: i64, room: usize) -> Span {
        let mut span = Span {
            first,
            end: first,
            start_ticks: reference.saturating_mul(TICKS_PER_REFERENCE),
        };
        let mut measure = Measure::default();
        let mut previous = span.start_ticks;
        for number in first..self.end {
            let Some(&Arrival::Pending(ticks)) = self.arrivals.get(slot(number)) else {
                measure.push(Status::NotReceived);
                continue;
            };
            let Some(status) = Status::received(ticks.saturating_sub(previous)) else {
                break;
            };
            measure.push(status);
            if measure.len() > room {
                break;
            }
            previous = ticks;
            span.end = number.saturating_add(1);
        }
        span
    }

    fn mark_told(&mut self, span: &Span) {
        for number in span.first..span.end {
            if let Some(arrival @ Arrival::Pending(_)) = self.arrivals.get_mut(slot(number)) {
                *arrival = Arrival::Told;
                self.pending = self.pending.saturating_sub(1);
            }
        }
        self.pending_from = if self.pending == 0 { u64::MAX } else { span.end };
        self.told_end = self.told_end.max(span.end);
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("end", &self.end)
            .field("pending", &self.pending)
            .field("feedback_count", &self.feedback_count)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

/// The numbers that one packet of feedback tells of.
#[derive(Debug, Clone)]
struct Span {
    first: u64,
    end: u64,
    /// The reference time, in ticks.
    start_ticks: i64,
}

impl Span {
    /// Their statuses. What has been told before is not told again (§3.1.1).
    fn statuses<'a>(&self, arrivals: &'a [Arrival; WINDOW]) -> impl Iterator<Item = Status> + Clone + use<'a> {
        let mut previous = self.start_ticks;
        (self.first..self.end).map(move |number| match arrivals.get(slot(number)) {
            Some(&Arrival::Pending(ticks)) => {
                let status = Status::received(ticks.saturating_sub(previous)).unwrap_or(Status::WithoutTime);
                previous = ticks;
                status
            }
            _ => Status::NotReceived,
        })
    }
}

fn slot(number: u64) -> usize {
    usize::try_from(number % WINDOW_U64).unwrap_or(0)
}

fn low_16(number: u64) -> u16 {
    let [.., high, low] = number.to_be_bytes();
    u16::from_be_bytes([high, low])
}

/// Takes a number modulo 2^24, as a signed one.
fn wrap_24(number: i64) -> i32 {
    let [.., a, b, c] = number.to_be_bytes();
    i32::from_be_bytes([a, b, c, 0]) >> 8
}

#[cfg(test)]
#[path = "twcc/tests.rs"]
mod tests;
