//! What a receiver counts about one source (RFC 3550 §6.4.1, §A.1, §A.3, §A.8).
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use wire::{Serial, Unwrapper};

use crate::ntp::{NtpTime, duration_to_short};
use crate::rtcp::ReportBlock;
use crate::{Counters, Ssrc};

/// Loss and jitter of one received stream, from which report blocks are made.
///
/// The probation of RFC 3550 §A.1 is left out: a packet that SRTP has authenticated comes from its source.
#[derive(Debug, Clone)]
pub struct ReceiverStatistics {
    ssrc: Ssrc,
    clock_rate: NonZeroU32,
    sequence: Option<Sequence>,
    /// Received packets, duplicates included.
    received: u64,
    expected_prior: u64,
    received_prior: u64,
    /// The latest packet's difference of arrival and timestamp, in units of the timestamp.
    transit: Option<u32>,
    /// Interarrival jitter in 1/16 of a unit of the timestamp (RFC 3550 §A.8).
    jitter: u64,
    epoch: Instant,
    sender_report: Option<(NtpTime, Instant)>,
    counters: Counters,
}

#[derive(Debug, Clone, Copy)]
struct Sequence {
    unwrapper: Unwrapper,
    base: u64,
    /// What would be next if the sender has started anew (`bad_seq`).
    after_jump: Option<u16>,
}

/// A step forward of so many or more is taken for a jump.
const MAX_DROPOUT: i64 = 3000;
/// A step back of more than this is taken for a jump.
const MAX_MISORDER: i64 = 100;

impl ReceiverStatistics {
    /// Statistics for a source whose timestamps count at `clock_rate` Hz. `now` is the time of its first packet, about.
    pub fn new(ssrc: Ssrc, clock_rate: NonZeroU32, now: Instant) -> Self {
        Self {
            ssrc,
            clock_rate,
            sequence: None,
            received: 0,
            expected_prior: 0,
            received_prior: 0,
            transit: None,
            jitter: 0,
            epoch: now,
            sender_report: None,
            counters: Counters::default(),
        }
    }

    /// What it noticed.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Received packets, duplicates included.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Packets that did not arrive, less the duplicates that did.
    pub fn lost(&self) -> i64 {
        self.expected()
            .cast_signed()
            .saturating_sub(self.received.cast_signed())
    }

    /// Interarrival jitter, in units of the timestamp.
    pub fn jitter(&self) -> u32 {
        u32::try_from(self.jitter >> 4).unwrap_or(u32::MAX)
    }

    /// The highest sequence number, with the count of cycles above it.
    pub fn highest_sequence(&self) -> Option<u32> {
        let sequence = self.sequence?;
        // The unwrapper starts one cycle above zero, the RFC at zero.
        let highest = sequence
            .unwrapper
            .highest()?
            .wrapping_sub(u64::from(u16::MAX).wrapping_add(1));
        let [.., a, b, c, d] = highest.to_be_bytes();
        Some(u32::from_be_bytes([a, b, c, d]))
    }

    /// A packet arrived. `false` when its number is so far from the others that it is ignored until the next one
    /// confirms the jump.
    pub fn record(&mut self, now: Instant, sequence_number: u16, timestamp: u32) -> bool {
        if !self.record_sequence(sequence_number) {
            self.counters.rtp_sequence_jumps = self.counters.rtp_sequence_jumps.saturating_add(1);
            return false;
        }
        self.received = self.received.saturating_add(1);
        self.record_transit(now, timestamp);
        true
    }

    fn record_sequence(&mut self, number: u16) -> bool {
        let Some(sequence) = &mut self.sequence else {
            self.start(number);
            return true;
        };
        let extended = sequence.unwrapper.peek(number);
        let highest = sequence.unwrapper.highest().unwrap_or(extended);
        let step = extended.wrapping_sub(highest).cast_signed();
        if (-MAX_MISORDER..MAX_DROPOUT).contains(&step) {
            sequence.unwrapper.unwrap(number);
            sequence.after_jump = None;
            // The first packet may have been overtaken.
            sequence.base = sequence.base.min(extended);
            return true;
        }
        if sequence.after_jump == Some(number) {
            // Two in a row: the other side has started anew, and so do we (RFC 3550 §A.1).
            self.counters.rtp_sequence_restarts = self.counters.rtp_sequence_restarts.saturating_add(1);
            self.start(number);
            return true;
        }
        sequence.after_jump = Some(number.wrapping_add(1));
        false
    }

    fn start(&mut self, number: u16) {
        let mut unwrapper = Unwrapper::new();
        let base = unwrapper.unwrap(number);
        self.sequence = Some(Sequence {
            unwrapper,
            base,
            after_jump: None,
        });
        (self.received, self.expected_prior, self.received_prior) = (0, 0, 0);
        self.transit = None;
    }

    fn record_transit(&mut self, now: Instant, timestamp: u32) {
        let arrival = units(now.saturating_duration_since(self.epoch), self.clock_rate);
        let transit = arrival.wrapping_sub(timestamp);
        if let Some(previous) = self.transit {
            let difference = previous.distance_to(transit).unsigned_abs();
            // J += |D| - J/16, all in sixteenths, rounded as the RFC's code does.
            let decay = self.jitter.saturating_add(8) >> 4;
            self.jitter = self.jitter.saturating_add(difference).saturating_sub(decay);
        }
        self.transit = Some(transit);
    }

    /// A sender report of this source arrived.
    pub fn record_sender_report(&mut self, now: Instant, ntp: NtpTime) {
        self.sender_report = Some((ntp, now));
    }

    fn expected(&self) -> u64 {
        let Some(sequence) = self.sequence else { return 0 };
        let highest = sequence.unwrapper.highest().unwrap_or(sequence.base);
        highest.saturating_sub(sequence.base).saturating_add(1)
    }

    /// A report block, and the beginning of a new interval for the fraction lost. `None` before the first packet.
    pub fn report(&mut self, now: Instant) -> Option<ReportBlock> {
        let highest_sequence = self.highest_sequence()?;
        let expected = self.expected();
        let expected_interval = expected.saturating_sub(self.expected_prior);
        let received_interval = self.received.saturating_sub(self.received_prior);
        (self.expected_prior, self.received_prior) = (expected, self.received);
        let lost_interval = expected_interval.saturating_sub(received_interval);
        // All lost in an interval gives 256/256, which does not fit.
        let fraction = (lost_interval << 8).checked_div(expected_interval).unwrap_or(0);
        let lost = self.lost().clamp(-0x80_0000, 0x7f_ffff);
        let (last_sr, delay_since_last_sr) = match self.sender_report {
            Some((ntp, arrived)) => (ntp.middle(), duration_to_short(now.saturating_duration_since(arrived))),
            None => (0, 0),
        };
        Some(ReportBlock {
            ssrc: self.ssrc,
            fraction_lost: u8::try_from(fraction).unwrap_or(u8::MAX),
            cumulative_lost: i32::try_from(lost).unwrap_or(0),
            highest_sequence,
            jitter: self.jitter(),
            last_sr,
            delay_since_last_sr,
        })
    }
}

/// A duration in units of a clock, modulo 2^32.
pub(crate) fn units(duration: Duration, rate: NonZeroU32) -> u32 {
    let rate = u64::from(rate.get());
    let whole = duration.as_secs().wrapping_mul(rate);
    let part = u64::from(duration.subsec_nanos()).wrapping_mul(rate) / 1_000_000_000;
    let [.., a, b, c, d] = whole.wrapping_add(part).to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
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

    const VIDEO: NonZeroU32 = NonZeroU32::new(90_000).unwrap();

    fn statistics(start: Instant) -> ReceiverStatistics {
        ReceiverStatistics::new(Ssrc(9), VIDEO, start)
    }

    #[test]
    fn loss_is_that_of_appendix_a_3() {
        let start = Instant::now();
        let mut statistics = statistics(start);
        assert_eq!(statistics.report(start), None);
        // 0xfffe, 0xffff, (0 lost), 1, 2, (3 lost), 4: seven expected, five received.
        for number in [0xfffe, 0xffff, 1, 2, 4] {
            assert!(statistics.record(start, number, 0));
        }
        let report = statistics.report(start).unwrap();
        assert_eq!((report.fraction_lost, report.cumulative_lost), (73, 2), "512 / 7");
        assert_eq!(report.highest_sequence, 0x1_0004);
        assert_eq!(
            (report.ssrc, report.last_sr, report.delay_since_last_sr),
            (Ssrc(9), 0, 0)
        );
        // One of the lost ones comes late: no loss in this interval.
        assert!(statistics.record(start, 3, 0) && statistics.record(start, 5, 0));
        let report = statistics.report(start).unwrap();
        assert_eq!((report.fraction_lost, report.cumulative_lost), (0, 1));
        // Nothing at all, then duplicates: the total becomes negative.
        assert_eq!(statistics.report(start).unwrap().fraction_lost, 0);
        for _ in 0..3 {
            statistics.record(start, 5, 0);
        }
        assert_eq!(statistics.report(start).unwrap().cumulative_lost, -2);
        assert_eq!(statistics.counters(), Counters::default());
    }

    #[test]
    fn an_overtaken_first_packet_counts() {
        let start = Instant::now();
        let mut statistics = statistics(start);
        statistics.record(start, 10, 0);
        statistics.record(start, 9, 0);
        assert_eq!(statistics.report(start).unwrap().cumulative_lost, 0);
        assert_eq!(statistics.highest_sequence(), Some(10));
    }

    #[test]
    fn everything_lost_is_255() {
        let start = Instant::now();
        let mut statistics = statistics(start);
        statistics.record(start, 1, 0);
        statistics.report(start);
        statistics.record(start, 2000, 0);
        assert_eq!(statistics.report(start).unwrap().fraction_lost, 255);
    }

    #[test]
    fn a_jump_is_counted() {
        let start = Instant::now();
        let mut statistics = statistics(start);
        statistics.record(start, 1, 0);
        assert!(!statistics.record(start, 4000, 0));
        assert!(statistics.record(start, 2, 0));
        assert!(!statistics.record(start, 5000, 0), "not the one after the jump before");
        let expected = Counters {
            rtp_sequence_jumps: 2,
            ..Counters::default()
        };
        assert_eq!(statistics.counters(), expected);
        assert_eq!((statistics.received(), statistics.lost()), (2, 0));
    }

    #[test]
    fn a_restart_is_counted() {
        let start = Instant::now();
        let mut statistics = statistics(start);
        statistics.record(start, 30_000, 0);
        assert!(!statistics.record(start, 7, 0));
        assert!(statistics.record(start, 8, 0));
        let expected = Counters {
            rtp_sequence_jumps: 1,
            rtp_sequence_restarts: 1,
            ..Counters::default()
        };
        assert_eq!(statistics.counters(), expected);
        assert_eq!(
            (statistics.highest_sequence(), statistics.received(), statistics.lost()),
            (Some(8), 1, 0)
        );
    }

    #[test]
    fn jitter_is_that_of_appendix_a_8() {
        let start = Instant::now();
        let mut statistics = statistics(start);
        let (mut jitter, mut transit) = (0.0_f64, None);
        for number in 0..500_u16 {
            // Sent every 20 ms, arriving 0 to 6 ms late.
            let late = f64::from(number * 7 % 13) / 2000.0;
            let arrival = f64::from(number) * 0.02 + late;
            let timestamp = u32::from(number) * 1800;
            statistics.record(
                start + Duration::from_secs_f64(arrival),
                number,
                timestamp.wrapping_add(0xffff_f000),
            );
            let now = arrival * 90_000.0 - f64::from(timestamp);
            if let Some(before) = transit.replace(now) {
                let difference: f64 = now - before;
                jitter += (difference.abs() - jitter) / 16.0;
            }
        }
        assert!(
            (f64::from(statistics.jitter()) - jitter).abs() < 2.0,
            "{} {jitter}",
            statistics.jitter()
        );
        assert!(jitter > 100.0);
    }

    #[test]
    fn the_delay_since_a_sender_report() {
        let start = Instant::now();
        let mut statistics = statistics(start);
        statistics.record(start, 1, 0);
        statistics.record_sender_report(start, NtpTime(0xb44d_b705_2000_0000));
        let report = statistics.report(start + Duration::from_millis(5250)).unwrap();
        assert_eq!((report.last_sr, report.delay_since_last_sr), (0xb705_2000, 0x0005_4000));
    }

    proptest! {
        #[test]
        fn counts_are_those_of_a_model(first: u16, steps in proptest::collection::vec(0u64..20, 1..300)) {
            let start = Instant::now();
            let mut statistics = statistics(start);
            let (mut number, mut received) = (0u64, 1u64);
            prop_assert!(statistics.record(start, first, 0));
            for step in steps {
                number += step;
                received += 1;
                prop_assert!(statistics.record(start, first.wrapping_add(number as u16), 0));
            }
            let expected = number + 1;
            prop_assert_eq!(statistics.lost(), expected as i64 - received as i64);
            prop_assert_eq!(statistics.highest_sequence(), Some(u32::from(first) + number as u32));
        }
    }
}
