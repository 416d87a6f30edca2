use super::*;
use proptest::prelude::*;

const SOUND: NonZeroU32 = NonZeroU32::new(48_000).unwrap();
const PICTURE: NonZeroU32 = NonZeroU32::new(90_000).unwrap();

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn sound() -> (Timeline, Instant) {
    let t0 = Instant::now() + Duration::from_secs(100);
    (Timeline::new(Kind::Audio, SOUND, t0), t0)
}

fn pictures() -> (Timeline, Instant) {
    let t0 = Instant::now() + Duration::from_secs(100);
    (Timeline::new(Kind::Video, PICTURE, t0), t0)
}

/// Places packet `n` of a stream of one every 20 ms (sound) or 40 ms (pictures), on its way for so many milliseconds
/// more than the first.
fn nth(timeline: &mut Timeline, t0: Instant, n: u64, late: u64) -> Option<i64> {
    let (step, ticks) = match timeline.media {
        Kind::Audio => (20, 960),
        _ => (40, 3600),
    };
    timeline.place(t0 + ms(step * n + late), (ticks * n) as u32, false, true)
}

/// A report of the source itself, whose clock is elsewhere: `at` is the server time of its n-th packet.
fn follow(timeline: &mut Timeline, now: Instant, n: u64, at: Instant) {
    let ticks = if timeline.media == Kind::Audio { 960 } else { 3600 };
    let extended = timeline.reported(now, (ticks * n) as u32).unwrap();
    timeline.follow_report(extended, at, false);
}

#[test]
fn the_first_packet_is_placed_by_its_arrival_and_others_by_their_distance_from_it() {
    let (mut timeline, t0) = sound();
    for (n, late) in [(0, 0), (1, 7), (2, 90), (3, 3)] {
        assert_eq!(nth(&mut timeline, t0, n, late), Some(960 * n as i64));
    }
}

#[test]
fn pictures_go_by_the_fastest_until_reports_come() {
    // The first one took 50 ms longer than those after it.
    let first = ms(50);
    let late = |n| if n == 0 { 50 } else { 0 };
    let (mut pictures, t0) = pictures();
    for n in 0..5 {
        nth(&mut pictures, t0, n, late(n));
    }
    assert_eq!(nth(&mut pictures, t0, 5, 0), Some(3600 * 5));
    // A slow one moves nothing.
    assert_eq!(nth(&mut pictures, t0, 6, 40), Some(3600 * 6));
    assert_eq!(nth(&mut pictures, t0, 7, 0), Some(3600 * 7));
    // Sound would have to be thrown away for that.
    let (mut sound, t0) = sound();
    let places: Vec<i64> = (0..6).filter_map(|n| nth(&mut sound, t0, n, late(n))).collect();
    let begin = duration_ticks(SOUND, first);
    let expected: Vec<i64> = (0..6).map(|n| begin + 960 * n).collect();
    assert_eq!(places, expected);
}

#[test]
fn sound_stays_where_it_is_when_it_leads_and_pictures_go_to_it() {
    let (mut sound, t0) = sound();
    let mut pictures = Timeline::new(Kind::Video, PICTURE, t0);
    // Taken at the same time, but pictures are on their way for 60 ms more.
    for n in 0..20 {
        nth(&mut sound, t0, n, 0);
        if n % 2 == 0 {
            nth(&mut pictures, t0 + ms(60), n / 2, 0);
        }
    }
    let now = t0 + ms(400);
    let ntp = 7 << 32;
    let extended = sound.reported(now, 960 * 20).unwrap();
    let clock = WallClock::follow_report(None, StreamId(1), &mut sound, extended, ntp);
    let extended = pictures.reported(now, 3600 * 10).unwrap();
    let clock = WallClock::follow_report(clock, StreamId(2), &mut pictures, extended, ntp);
    assert_eq!(clock.unwrap().leader, StreamId(1));
    assert_eq!(nth(&mut sound, t0, 20, 0), Some(960 * 20));
    // 60 ms back, half a picture at a time: the epoch is that of the first arrival less the 60 ms.
    let places: Vec<i64> = (10..16)
        .map(|n| nth(&mut pictures, t0 + ms(60), n, 0).unwrap())
        .collect();
    let steps: Vec<i64> = places.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(steps, [1800, 1800, 3600, 3600, 3600]);
    assert_eq!(places[5], 3600 * 15);
}

#[test]
fn pictures_go_forward_at_once_and_keep_one_place_each() {
    let (mut timeline, t0) = pictures();
    assert_eq!(nth(&mut timeline, t0, 0, 0), Some(0));
    assert_eq!(nth(&mut timeline, t0, 1, 0), Some(3600));
    follow(&mut timeline, t0 + ms(41), 1, t0 + ms(40 + 30));
    assert_eq!(nth(&mut timeline, t0, 1, 2), Some(3600), "the same picture");
    assert_eq!(nth(&mut timeline, t0, 2, 0), Some(7200 + 2700));
    // What comes late has the place that its picture had.
    assert_eq!(timeline.place(t0 + ms(82), 3600, false, false), Some(3600));
    assert_eq!(timeline.place(t0 + ms(82), 7200, false, false), Some(7200 + 2700));
}

#[test]
fn sound_is_moved_for_thirty_milliseconds_and_costs_as_many_packets_as_it_goes_back() {
    let (mut timeline, t0) = sound();
    for n in 0..10 {
        nth(&mut timeline, t0, n, 0);
    }
    follow(&mut timeline, t0 + ms(181), 9, t0 + ms(180 - 29));
    assert_eq!(nth(&mut timeline, t0, 10, 0), Some(9600));
    follow(&mut timeline, t0 + ms(201), 10, t0 + ms(200 - 50));
    let places: Vec<Option<i64>> = (11..16).map(|n| nth(&mut timeline, t0, n, 0)).collect();
    let back = 50 * 48;
    // The first one kept begins when the last one before ends, or later.
    assert!(14 * 960 - back >= 11 * 960 && 13 * 960 - back < 11 * 960);
    assert_eq!(places, [None, None, None, Some(14 * 960 - back), Some(15 * 960 - back)]);
}

#[test]
fn in_a_pause_of_sound_it_goes_all_the_way() {
    let (mut timeline, t0) = sound();
    for n in 0..10 {
        nth(&mut timeline, t0, n, 0);
    }
    follow(&mut timeline, t0 + ms(181), 9, t0 + ms(180 - 25));
    assert_eq!(nth(&mut timeline, t0, 10, 0), Some(9600));
    assert_eq!(
        timeline.place(t0 + ms(600), 960 * 30, true, true),
        Some(960 * 30 - 25 * 48)
    );
    assert_eq!(nth(&mut timeline, t0, 31, 0), Some(960 * 31 - 25 * 48));
}

#[test]
fn no_report_moves_a_source_far_from_where_its_packets_arrive() {
    for (by, least, most) in [(3600, 0, 0), (-3600, 2000, 2000), (1, 0, 0), (-1, 1000, 1000)] {
        for media in [Kind::Audio, Kind::Video] {
            let (mut timeline, t0) = if media == Kind::Audio { sound() } else { pictures() };
            let (rate, step) = (
                i64::from(timeline.rate.get()),
                if media == Kind::Audio { 20 } else { 40 },
            );
            for n in 0..10 {
                nth(&mut timeline, t0, n, 0);
            }
            let wild = if by < 0 {
                t0.checked_sub(Duration::from_secs(3600)).unwrap_or(t0)
            } else {
                t0 + Duration::from_secs(by as u64)
            };
            let wild = if by == -1 { t0 + ms(9 * step) - ms(1000) } else { wild };
            follow(&mut timeline, t0 + ms(9 * step), 9, wild);
            let (mut behind, mut before) = (0, i64::MIN);
            for n in 10..400 {
                if let Some(place) = nth(&mut timeline, t0, n, 0) {
                    assert!(place > before);
                    before = place;
                    behind = (step * n) as i64 - place * 1000 / rate;
                }
            }
            let range = if by > 0 { -150..=0 } else { least..=most };
            assert!(range.contains(&behind), "{media} is {behind} ms behind after {by} s");
        }
    }
}

#[test]
fn a_report_that_does_not_go_with_the_packets_is_none() {
    let (mut timeline, t0) = pictures();
    assert_eq!(timeline.reported(t0, 0), None);
    nth(&mut timeline, t0, 0, 0);
    let hour: u32 = 3600 * 90_000;
    for timestamp in [hour, hour.wrapping_neg(), 10 * 90_000] {
        assert_eq!(timeline.reported(t0, timestamp), None);
    }
    assert!(timeline.reported(t0 + ms(10_000), 10 * 90_000).is_some());
}

#[test]
fn a_new_count_goes_on_after_the_old_one() {
    for jump in [1 << 31, 48_000 * 20, 0_u32.wrapping_sub(960)] {
        let (mut timeline, t0) = sound();
        assert_eq!(nth(&mut timeline, t0, 0, 0), Some(0));
        assert_eq!(timeline.place(t0 + ms(20), jump, false, true), Some(960), "{jump}");
        assert_eq!(
            timeline.place(t0 + ms(40), jump.wrapping_add(960), false, true),
            Some(1920)
        );
        timeline.begin_anew();
        assert_eq!(timeline.place(t0 + ms(41), 5, false, true), Some(1920 + 960));
    }
}

#[test]
fn sound_without_a_later_timestamp_has_no_place() {
    let (mut timeline, t0) = sound();
    for n in 0..3 {
        nth(&mut timeline, t0, n, 0);
    }
    assert_eq!(timeline.place(t0 + ms(60), 960 * 2, false, true), None);
    assert_eq!(timeline.place(t0 + ms(61), 960 * 3, false, true), Some(960 * 3));
    // An earlier one is that of another count.
    assert_eq!(timeline.place(t0 + ms(80), 960, false, true), Some(960 * 4));
}

/// A crystal that is off by 200 ppm is off by 0.7 s after an hour.
#[test]
fn sound_and_picture_stay_together_and_near_their_arrival_while_clocks_drift() {
    for (ppm_sound, ppm_wall) in [(200_i64, 0_i64), (-200, 0), (0, 200), (0, -200), (-200, 200)] {
        let (mut sound, t0) = sound();
        let mut pictures = Timeline::new(Kind::Video, PICTURE, t0);
        let drifted = |us: i64, ppm: i64| us + us * ppm / 1_000_000;
        let at = |us: i64| t0 + Duration::from_micros(us as u64);
        let ntp = |us: i64| (1_i64 << 40) as u64 + ((i128::from(drifted(us, ppm_wall)) << 32) / 1_000_000) as u64;
        let (mut clock, mut last) = (None, [0_i64; 2]);
        for n in 0..3600 * 50 {
            let us = n * 20_000;
            let timestamp = drifted(us, ppm_sound) * 48 / 1000;
            if let Some(place) = sound.place(at(us + 30_000), timestamp as u32, false, true) {
                last[0] = place * 1000 / 48 - us;
            }
            if n % 2 == 0 {
                let timestamp = drifted(us, ppm_wall) * 90 / 1000;
                let place = pictures.place(at(us + 60_000), timestamp as u32, false, true).unwrap();
                last[1] = place * 1000 / 90 - us;
            }
            if n % 50 == 49 {
                let now = at(us + 61_000);
                let extended = sound.reported(now, timestamp as u32).unwrap();
                clock = WallClock::follow_report(clock, StreamId(1), &mut sound, extended, ntp(us));
                let timestamp = drifted(us, ppm_wall) * 90 / 1000;
                let extended = pictures.reported(now, timestamp as u32).unwrap();
                clock = WallClock::follow_report(clock, StreamId(2), &mut pictures, extended, ntp(us));
            }
            if n > 200 {
                let [sound, picture] = last;
                assert!(
                    (sound - picture).abs() < 45_000,
                    "{sound} us and {picture} us after {n} packets"
                );
                assert!((-200_000..=110_000).contains(&sound), "{sound} us after {n} packets");
            }
        }
    }
}

#[test]
fn a_clock_runs_both_ways() {
    let at = Instant::now() + Duration::from_secs(100);
    let clock = WallClock::new(StreamId(0), 50 << 32, at);
    assert_eq!(clock.instant(50 << 32), Some(at));
    assert_eq!(clock.instant((50 << 32) + (1 << 31)), Some(at + ms(500)));
    assert_eq!(clock.instant((49 << 32) + (1 << 31)), Some(at - ms(500)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever a publisher writes, nothing is placed far ahead of its arrival: who comes into the slots next begins
    /// there.
    #[test]
    fn nothing_runs_ahead_of_its_arrival(
        packets in proptest::collection::vec((0u64..4, any::<u32>(), any::<bool>(), 0u8..8), 1..300),
        audio: bool,
    ) {
        let (media, rate) = if audio { (Kind::Audio, 48_000) } else { (Kind::Video, 90_000) };
        let rate = NonZeroU32::new(rate).unwrap();
        let t0 = Instant::now();
        let mut line = Timeline::new(media, rate, t0);
        let mut now = t0;
        for (later, timestamp, newer, how) in packets {
            now += ms(later);
            // Mostly counts that jump to and fro, now and then anything.
            let timestamp = if how == 0 { timestamp } else { u32::from(how) * 20 * rate.get() };
            if how == 7 {
                line.begin_anew();
            }
            if let Some(place) = line.place(now, timestamp, how == 1, newer) {
                prop_assert!(place <= ticks(rate, t0, now) + duration_ticks(rate, MAX_AHEAD));
            }
        }
    }

    /// Whatever the delays are and whenever the reports come: in the order in which they were sent packets get ever
    /// later places, and in the end sound and picture are together.
    #[test]
    fn sound_and_picture_come_together(
        net in 0u64..300,
        (sound_extra, picture_extra) in (20u64..60, 0u64..150),
        jitter in 1u64..60,
        seeds in proptest::collection::vec(any::<u32>(), 40),
        reports in (1u64..50, 1u64..50),
        (ntp, first) in (any::<u64>(), any::<[u32; 2]>()),
    ) {
        let t0 = Instant::now() + Duration::from_secs(100);
        let mut lines = [
            Timeline::new(Kind::Audio, SOUND, t0),
            Timeline::new(Kind::Video, PICTURE, t0),
        ];
        let rates = [48_u64, 90];
        let random = |n: u64| u64::from(seeds[n as usize % 40].rotate_left(n as u32 / 40 * 7));
        // Everything that arrives: when, what, when it was taken, its number; what = 2 and 3 are reports.
        let mut arrivals = Vec::new();
        for n in 0..500 {
            let delay = net + sound_extra + random(n) % jitter;
            arrivals.push((n * 20 + delay, 0, n * 20, n));
            if n % 2 == 0 {
                let delay = net + picture_extra + random(n + 1) % jitter;
                arrivals.push((n * 20 + delay, 1, n * 20, n / 2));
            }
            for (what, at) in [(2, reports.0), (3, reports.1)] {
                if n % 50 == at {
                    arrivals.push((n * 20 + net + random(n + what) % jitter, what, n * 20, n));
                }
            }
        }
        arrivals.sort_unstable();
        let mut highest = [None; 2];
        let mut places = [i64::MIN; 2];
        let mut clock = None;
        let mut off = [0; 2];
        for (arrival, what, taken, n) in arrivals {
            let now = t0 + ms(arrival);
            let media = (what % 2) as usize;
            let line = &mut lines[media];
            let timestamp = first[media].wrapping_add((taken * rates[media]) as u32);
            if what > 1 {
                let Some(extended) = line.reported(now, timestamp) else {
                    prop_assert!(!line.has_begun());
                    continue;
                };
                let wall = ntp.wrapping_add((taken << 32) / 1000);
                let known: Option<WallClock> = clock;
                let known = known.filter(|known| known.leader == StreamId(0) || media == 1);
                clock = WallClock::follow_report(known, StreamId(media as u32), line, extended, wall).or(clock);
                continue;
            }
            let newer = highest[media].is_none_or(|highest| n > highest);
            let place = line.place(now, timestamp, false, newer);
            if newer {
                highest[media] = Some(n);
                if let Some(place) = place {
                    prop_assert!(place > places[media]);
                    places[media] = place;
                    off[media] = place * 1000 / rates[media] as i64 - taken as i64 * 1000;
                }
            }
        }
        prop_assert!((off[0] - off[1]).abs() <= 41_000, "{off:?}");
    }
}
