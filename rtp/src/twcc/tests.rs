#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use super::*;
use crate::rtcp::{Compound, Packet};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::vec::Vec;

const MS: Duration = Duration::from_millis(1);

/// The packets that one feedback tells of, with the times of those received.
type Told = Vec<(u16, Option<i64>)>;

/// All feedback that is due now: for each packet told of its number and time in ticks.
fn take(recorder: &mut Recorder, now: Instant, room: usize) -> Vec<(u8, Told)> {
    let mut all = Vec::new();
    let mut out = [0; 1500];
    while let Some(len) = recorder.poll_feedback(now, Ssrc(1), Ssrc(2), &mut out[..room]) {
        assert!(len <= room && len % 4 == 0);
        let packet = Compound::parse(&out[..len]).unwrap().packets().next().unwrap().unwrap();
        let Packet::TransportFeedback(feedback) = packet else {
            panic!()
        };
        assert_eq!((feedback.header.sender, feedback.header.media), (Ssrc(1), Ssrc(2)));
        let arrivals = feedback.arrivals().map(|(seq, _, time)| (seq, time)).collect();
        all.push((feedback.header.feedback_count, arrivals));
    }
    all
}

#[test]
fn the_first_packet_is_told_of_at_once_and_the_others_every_50_to_100_ms() {
    let start = Instant::now();
    let mut recorder = Recorder::new(start);
    assert_eq!(recorder.poll_timeout(), None);
    let mut now = start + 10 * MS;
    recorder.record(now, 7);
    assert!(recorder.poll_timeout().unwrap() <= now);
    assert_eq!(take(&mut recorder, now, 1200), [(0, std::vec![(7, Some(40))])]);
    assert_eq!(recorder.poll_timeout(), None);

    // A trickle waits for 100 ms, a stream for 50.
    recorder.record(now + 5 * MS, 8);
    assert_eq!(recorder.poll_timeout(), Some(now + 100 * MS));
    assert_eq!(take(&mut recorder, now + 99 * MS, 1200), []);
    assert_eq!(
        take(&mut recorder, now + 100 * MS, 1200),
        [(1, std::vec![(8, Some(60))])]
    );
    now += 100 * MS;
    for seq in 9..19 {
        recorder.record(now + MS, seq);
    }
    assert_eq!(recorder.poll_timeout(), Some(now + 50 * MS));
    assert_eq!(take(&mut recorder, now + 50 * MS, 1200).len(), 1);

    // After a silence the first one is told of at once again.
    now += Duration::from_secs(3);
    recorder.record(now, 19);
    assert!(recorder.poll_timeout().unwrap() <= now);
    assert_eq!(recorder.counters(), Counters::default());
}

#[test]
fn gaps_and_reordering() {
    let start = Instant::now();
    let mut recorder = Recorder::new(start);
    let at = |ms: u64| start + Duration::from_millis(ms);
    recorder.record(at(0), 0xffff);
    recorder.record(at(1), 2);
    recorder.record(at(2), 1);
    let told = take(&mut recorder, at(2), 1200);
    assert_eq!(
        told[0].1,
        [(0xffff, Some(0)), (0, None), (1, Some(8)), (2, Some(4))],
        "a negative delta"
    );
    // The missing one comes late, with a new one: what has been told is not told again.
    recorder.record(at(3), 0);
    recorder.record(at(4), 3);
    let told = take(&mut recorder, at(200), 1200);
    assert_eq!(
        told,
        [(1, std::vec![(0, Some(12)), (1, None), (2, None), (3, Some(16))])]
    );
    assert_eq!(recorder.counters(), Counters::default());
}

#[test]
fn what_is_lost_between_two_rounds_is_told_of() {
    let start = Instant::now();
    let mut recorder = Recorder::new(start);
    recorder.record(start, 7);
    assert_eq!(take(&mut recorder, start, 1200), [(0, std::vec![(7, Some(0))])]);
    // 8 and 9 do not come. The next packet is alone in its round.
    recorder.record(start + MS, 10);
    let told = take(&mut recorder, start + 100 * MS, 1200);
    assert_eq!(told, [(1, std::vec![(8, None), (9, None), (10, Some(4))])]);
    // Even with the smallest buffer the one that came is told of.
    recorder.record(start + 2 * MS, 300);
    let told = take(&mut recorder, start + 200 * MS, MIN_OUT);
    assert_eq!(told.last().unwrap().1.last(), Some(&(300, Some(8))));
    // One that comes late is no loss.
    recorder.record(start + 201 * MS, 9);
    let told = take(&mut recorder, start + 300 * MS, 1200);
    assert_eq!(told[0].1[0], (9, Some(804)));
}

#[test]
fn times_too_far_apart_need_a_new_packet() {
    let start = Instant::now();
    let mut recorder = Recorder::new(start);
    recorder.record(start, 1);
    recorder.record(start + Duration::from_secs(9), 2);
    // The reordered one makes a step of -9 s.
    recorder.record(start + Duration::from_secs(18), 3);
    let told = take(&mut recorder, start + Duration::from_secs(18), 1200);
    let times: Vec<_> = told.into_iter().flat_map(|(_, arrivals)| arrivals).collect();
    assert_eq!(times, [(1, Some(0)), (2, Some(36_000)), (3, Some(72_000))]);
}

#[test]
fn what_does_not_fit_follows_at_once() {
    let start = Instant::now();
    let mut recorder = Recorder::new(start);
    for seq in 0..1000_u16 {
        if seq % 3 != 1 {
            recorder.record(start + Duration::from_millis(u64::from(seq)), seq);
        }
    }
    let now = start + Duration::from_secs(1);
    let told = take(&mut recorder, now, 200);
    assert!(told.len() > 3);
    let counts: Vec<_> = told.iter().map(|(count, _)| *count).collect();
    assert!(counts.iter().copied().eq(0..told.len() as u8));
    let received: Vec<u16> = told
        .into_iter()
        .flat_map(|(_, arrivals)| arrivals)
        .filter(|(_, time)| time.is_some())
        .map(|(seq, _)| seq)
        .collect();
    assert!(received.into_iter().eq((0..1000).filter(|seq| seq % 3 != 1)));
    assert_eq!(recorder.poll_timeout(), None);
}

#[test]
fn the_smallest_buffer_holds_one_packet() {
    let start = Instant::now();
    let mut recorder = Recorder::new(start);
    // The largest step: a large delta, of two bytes.
    recorder.record(start + 63 * MS + 750 * MS / 1000, 1);
    recorder.record(start + Duration::from_secs(8), 2);
    assert_eq!(take(&mut recorder, start + Duration::from_secs(8), MIN_OUT).len(), 2);
}

#[test]
fn duplicates_are_counted() {
    let start = Instant::now();
    let mut recorder = Recorder::new(start);
    recorder.record(start, 1);
    recorder.record(start, 1);
    take(&mut recorder, start, 1200);
    recorder.record(start, 1);
    let expected = Counters {
        twcc_duplicates: 2,
        ..Counters::default()
    };
    assert_eq!(recorder.counters(), expected);
    assert_eq!(recorder.poll_timeout(), None);
}

#[test]
fn what_is_too_late_is_counted() {
    let start = Instant::now();
    let mut recorder = Recorder::new(start);
    recorder.record(start, 5000);
    recorder.record(start, 5001 - WINDOW as u16);
    recorder.record(start, 5000 - WINDOW as u16);
    let expected = Counters {
        twcc_late: 1,
        ..Counters::default()
    };
    assert_eq!(recorder.counters(), expected);
    assert_eq!(recorder.pending, 2);
}

#[test]
fn numbers_that_run_away_are_counted() {
    let start = Instant::now();
    let mut recorder = Recorder::new(start);
    for seq in 0..10 {
        recorder.record(start, seq);
    }
    // A step of seven above the window's end drops seven of ten.
    recorder.record(start, WINDOW as u16 + 6);
    let expected = Counters {
        twcc_overruns: 7,
        ..Counters::default()
    };
    assert_eq!(recorder.counters(), expected);
    let told = take(&mut recorder, start, 1200);
    let received: Vec<_> = told
        .iter()
        .flat_map(|(_, arrivals)| arrivals)
        .filter(|(_, time)| time.is_some())
        .collect();
    assert_eq!(
        received.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(),
        [7, 8, 9, WINDOW as u16 + 6]
    );
    // A jump over the whole window leaves only the new one.
    recorder.record(start, WINDOW as u16 + 7);
    recorder.record(start, 3 * WINDOW as u16);
    assert_eq!(recorder.counters().twcc_overruns, 8);
    assert_eq!(recorder.pending, 1);
}

#[test]
fn a_long_span_is_due_at_once() {
    let start = Instant::now();
    let mut recorder = Recorder::new(start);
    recorder.record(start, 0);
    take(&mut recorder, start, 1200);
    recorder.record(start, 1);
    recorder.record(start, 1 + SPAN_MAX as u16);
    assert_eq!(recorder.poll_timeout(), Some(start));
}

#[test]
fn the_reference_time_wraps() {
    let start = Instant::now();
    let mut recorder = Recorder::new(start);
    // 2^23 units of 64 ms are 6.2 days.
    let days = Duration::from_millis((1 << 23) * 64);
    recorder.record(start + days - 10 * MS, 1);
    recorder.record(start + days + 10 * MS, 2);
    let told = take(&mut recorder, start + days + 10 * MS, 1200);
    let half = (1_i64 << 23) * 256;
    assert_eq!(told[0].1, [(1, Some(half - 40)), (2, Some(half + 40))]);
    recorder.record(start + days + 20 * MS, 3);
    let told = take(&mut recorder, start + days * 2, 1200);
    assert_eq!(told[0].1, [(3, Some(80 - half))], "negative after the wrap");
}

proptest! {
    /// Whatever arrives in whatever order and is asked for at whatever time: each packet is told of exactly once, with
    /// its time to 250 µs.
    #[test]
    fn every_packet_is_told_of_once(
        first: u16,
        steps in proptest::collection::vec((-20i64..40, 0u64..20_000, any::<bool>()), 1..300),
        room in MIN_OUT..300,
    ) {
        let start = Instant::now();
        let mut recorder = Recorder::new(start);
        let mut now = start;
        let mut highest = 0i64;
        let mut sent = BTreeMap::new();
        let mut told = BTreeMap::new();
        let mut collect = |recorder: &mut Recorder, now| -> Result<(), TestCaseError> {
            for (_, arrivals) in take(recorder, now, room) {
                for (seq, time) in arrivals {
                    if let Some(time) = time {
                        prop_assert_eq!(told.insert(seq, time), None);
                    }
                }
            }
            Ok(())
        };
        let mut duplicates = 0;
        for (step, micros, poll) in steps {
            now += Duration::from_micros(micros);
            let number = (highest + step).max(0);
            highest = highest.max(number);
            let seq = first.wrapping_add(number as u16);
            recorder.record(now, seq);
            match sent.entry(seq) {
                Entry::Occupied(_) => duplicates += 1,
                Entry::Vacant(entry) => {
                    entry.insert((now - start).as_micros() as i64 / 250);
                }
            }
            if poll {
                collect(&mut recorder, now)?;
            }
        }
        collect(&mut recorder, now + MAX_INTERVAL)?;
        prop_assert_eq!(recorder.poll_timeout(), None);
        prop_assert_eq!(told, sent);
        let expected = Counters { twcc_duplicates: duplicates, ..Counters::default() };
        prop_assert_eq!(recorder.counters(), expected);
    }
}
