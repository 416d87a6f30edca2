use super::slow_start::SlowStart;
use super::*;
use crate::config::{Config, Congestion};
use crate::engine::rtt::Rtt;
use proptest::prelude::*;
use std::time::{Duration, Instant};

mod paths;
mod sim;

const PACKET: u64 = 1000;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn config(congestion: Congestion) -> Config {
    Config {
        base_packet: 1000,
        congestion,
        ..Config::default()
    }
}

/// A window with a clock: a round trip is told to it at a time, and always the same number of bytes.
struct Bench {
    window: Window,
    rtt: Rtt,
    now: Instant,
}

impl Bench {
    fn new(congestion: Congestion) -> Self {
        let now = Instant::now();
        let config = config(congestion);
        Self {
            window: Window::new(&config),
            rtt: Rtt::new(&config, now),
            now,
        }
    }

    /// One that has just lost something with a window of this many packets.
    fn after_loss(packets: u64) -> Self {
        let mut bench = Self::new(Congestion::Cubic);
        while bench.packets() < packets as f64 {
            bench.sack(1, ms(50), true);
        }
        bench.window.lost();
        bench
    }

    fn packets(&self) -> f64 {
        self.window.bytes() as f64 / PACKET as f64
    }

    fn sack(&mut self, packets: u64, rtt: Duration, limited: bool) {
        self.rtt.sample(self.now, rtt);
        let acked = Acked {
            bytes: packets * PACKET,
            in_flight: self.window.bytes(),
            limited,
            rtt: Some(rtt),
            round_ended: false,
        };
        self.window.acked(self.now, &acked, &self.rtt);
    }

    /// A whole window is acknowledged packet by packet within `rtt`, with this round trip all along.
    fn round(&mut self, rtt: Duration) {
        let packets = self.window.bytes() / PACKET;
        for _ in 0..packets {
            self.now += rtt / packets as u32;
            self.sack(1, rtt, true);
        }
        self.end_round();
    }

    fn end_round(&mut self) {
        let acked = Acked {
            round_ended: true,
            ..Acked::default()
        };
        self.window.acked(self.now, &acked, &self.rtt);
    }

    fn run(&mut self, rtt: Duration, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.round(rtt);
        }
    }
}

fn close(a: f64, b: f64) -> bool {
    (a / b - 1.0).abs() < 0.02
}

#[test]
fn slow_start_grows_by_what_is_acknowledged_while_the_window_is_used() {
    let mut bench = Bench::new(Congestion::Cubic);
    assert_eq!(bench.window.bytes(), 10 * PACKET);
    assert!(bench.window.in_slow_start());
    for packets in [20.0, 40.0, 80.0] {
        bench.round(ms(50));
        assert_eq!(bench.packets(), packets);
    }
    // RFC 9260 §7.2.1: only when it is fully utilized.
    bench.sack(5, ms(50), false);
    assert_eq!(bench.packets(), 80.0);
    let mut acked = Acked {
        bytes: PACKET,
        in_flight: 40 * PACKET - 1,
        limited: true,
        rtt: None,
        round_ended: false,
    };
    bench.window.acked(bench.now, &acked, &bench.rtt);
    assert_eq!(bench.packets(), 80.0);
    acked.in_flight += 1;
    bench.window.acked(bench.now, &acked, &bench.rtt);
    assert_eq!(bench.packets(), 81.0);
}

#[test]
fn a_loss_leaves_seven_tenths() {
    // RFC 9438 §4.6.
    let mut bench = Bench::after_loss(100);
    assert!(close(bench.packets(), 70.0) && !bench.window.in_slow_start());
    bench.window.lost();
    assert!(close(bench.packets(), 49.0));
    // RFC 9260 §7.2.3: 4 packets at least, and never more than before.
    for _ in 0..10 {
        bench.window.lost();
    }
    assert_eq!(bench.packets(), 4.0);
    bench.window.timed_out();
    bench.window.lost();
    assert_eq!(bench.packets(), 1.0);
    bench.sack(2, ms(50), true);
    assert_eq!(bench.packets(), 3.0);
    assert!(bench.window.in_slow_start());
}

#[test]
fn the_window_follows_the_cubic_curve() {
    // RFC 9438 §4.2: K = cbrt(300 / 0.4) = 9.1 s; the curve is one round trip ahead of the clock.
    let mut bench = Bench::after_loss(1000);
    let k = (300.0_f64 / 0.4).cbrt();
    let start = bench.now;
    for seconds in [3, 6, 9, 12, 15] {
        bench.run(ms(100), Duration::from_secs(seconds) - (bench.now - start));
        let t = (bench.now - start).as_secs_f64();
        let curve = 0.4 * (t - k).powi(3) + 1000.0;
        assert!((bench.packets() - curve).abs() < 3.0, "{t} {} {curve}", bench.packets());
    }
}

#[test]
fn the_window_never_grows_by_more_than_half_per_round_trip() {
    // RFC 9438 §4.2: the target is at most 1.5 windows. The curve alone asks for 170 times that.
    let mut bench = Bench::after_loss(12);
    bench.run(ms(30_000), ms(30_000));
    assert!(bench.packets() < 8.4 * 1.66, "{}", bench.packets());
    assert!(bench.packets() > 8.4 * 1.2, "{}", bench.packets());
}

#[test]
fn on_short_paths_the_window_is_that_of_reno() {
    // RFC 9438 §4.3: 0.53 packets per round trip up to the window before the loss, one from there.
    let mut bench = Bench::after_loss(100);
    let rounds = |bench: &mut Bench, n| (0..n).for_each(|_| bench.round(ms(1)));
    rounds(&mut bench, 40);
    assert!(close(bench.packets(), 70.0 + 40.0 * 0.529), "{}", bench.packets());
    rounds(&mut bench, 20);
    assert!(
        close(bench.packets(), 100.0 + 60.0 - 30.0 / 0.529),
        "{}",
        bench.packets()
    );
    rounds(&mut bench, 40);
    assert!(
        close(bench.packets(), 100.0 + 100.0 - 30.0 / 0.529),
        "{}",
        bench.packets()
    );
}

#[test]
fn who_did_not_get_back_aims_lower() {
    // RFC 9438 §4.7: the plateau is 0.85 of the window at the loss, when that is less than the last plateau.
    let mut bench = Bench::after_loss(1000);
    bench.window.lost();
    assert!(close(bench.packets(), 490.0));
    let k = ((0.85 * 700.0 - 490.0) / 0.4_f64).cbrt();
    bench.run(ms(100), Duration::from_secs_f64(k));
    assert!(close(bench.packets(), 0.85 * 700.0), "{}", bench.packets());
    // And one that has come beyond it has its plateau there again.
    while bench.packets() < 800.0 {
        bench.round(ms(100));
    }
    bench.window.lost();
    bench.run(ms(100), Duration::from_secs_f64((0.3_f64 * 800.0 / 0.4).cbrt()));
    assert!(close(bench.packets(), 800.0), "{}", bench.packets());
}

#[test]
fn time_without_use_does_not_count() {
    // RFC 9438 §5.8.
    let mut bench = Bench::after_loss(1000);
    let mut busy = Bench::after_loss(1000);
    bench.run(ms(100), ms(1000));
    bench.sack(1, ms(100), false);
    bench.now += Duration::from_secs(100);
    bench.run(ms(100), ms(1000));
    busy.run(ms(100), ms(2000));
    assert!(close(bench.packets(), busy.packets()));
}

#[test]
fn a_time_out_begins_again_with_one_packet() {
    // RFC 9260 §7.2.3, with RFC 9438 §4.8.
    let mut bench = Bench::new(Congestion::Cubic);
    bench.round(ms(50));
    bench.round(ms(50));
    bench.window.timed_out();
    assert_eq!(bench.packets(), 1.0);
    // The next ones do not lower the threshold any more.
    bench.window.timed_out();
    bench.window.timed_out();
    for packets in [2.0, 4.0, 8.0, 16.0, 28.0] {
        assert!(bench.window.in_slow_start());
        bench.round(ms(50));
        assert!(close(bench.packets(), packets));
    }
    assert!(!bench.window.in_slow_start());
    // From a small window there remain 4 packets to double to.
    let mut bench = Bench::after_loss(10);
    (0..4).for_each(|_| bench.window.lost());
    bench.window.timed_out();
    bench.sack(100, ms(50), true);
    assert_eq!(bench.packets(), 4.0);
}

#[test]
fn what_was_no_loss_is_undone() {
    // RFC 9438 §4.9.
    let mut bench = Bench::new(Congestion::Cubic);
    bench.round(ms(50));
    bench.window.lost();
    bench.window.undo();
    assert_eq!(bench.packets(), 20.0);
    assert!(bench.window.in_slow_start());
    bench.window.undo();
    assert_eq!(bench.packets(), 20.0);
    // The course goes on as well.
    let mut bench = Bench::after_loss(1000);
    let mut other = Bench::after_loss(1000);
    for bench in [&mut bench, &mut other] {
        bench.run(ms(100), ms(5000));
    }
    bench.window.timed_out();
    bench.window.timed_out();
    // The time in between is none of it.
    bench.now += Duration::from_secs(60);
    bench.window.undo();
    for bench in [&mut bench, &mut other] {
        bench.run(ms(100), ms(5000));
    }
    assert!(close(bench.packets(), other.packets()) && !bench.window.in_slow_start());
    // What was gained since then stays.
    let mut bench = Bench::after_loss(12);
    for _ in 0..40 {
        bench.round(ms(10));
    }
    let window = bench.packets();
    assert!(window > 13.0);
    bench.window.undo();
    assert_eq!(bench.packets(), window);
}

#[test]
fn a_pause_halves_the_window_per_time_out() {
    // RFC 9260 §7.2.1.
    let mut bench = Bench::after_loss(400);
    let window = bench.packets();
    bench.window.resumed(ms(299), ms(300));
    assert_eq!(bench.packets(), window);
    bench.window.resumed(ms(899), ms(300));
    assert!(close(bench.packets(), window / 4.0));
    // It doubles up to what it was.
    bench.round(ms(50));
    bench.round(ms(50));
    assert!(close(bench.packets(), window) && !bench.window.in_slow_start());
    bench.round(ms(50));
    assert!(bench.packets() < window + 2.0);
    // Down to the initial window, and no further; and one that is below stays.
    bench.window.resumed(Duration::MAX, ms(300));
    assert_eq!(bench.packets(), 10.0);
    bench.window.timed_out();
    bench.window.resumed(Duration::MAX, Duration::ZERO);
    assert_eq!(bench.packets(), 1.0);
    // What was before a loss that was before it does not come back.
    let mut bench = Bench::after_loss(100);
    bench.window.resumed(ms(300), ms(300));
    bench.window.undo();
    assert!(close(bench.packets(), 35.0));
    // A first slow start is not over by it, and what it saw of the path is forgotten.
    let mut bench = Bench::new(Congestion::Cubic);
    bench.round(ms(50));
    for _ in 0..8 {
        bench.sack(0, ms(200), true);
    }
    bench.round(ms(200));
    assert_eq!(bench.packets(), 20.0);
    bench.window.resumed(ms(300), ms(300));
    (0..3).for_each(|_| bench.round(ms(50)));
    assert_eq!(bench.packets(), 80.0);
}

#[test]
fn larger_packets_make_no_larger_window() {
    // RFC 8899 §3, item 7.
    let mut bench = Bench::new(Congestion::Cubic);
    bench.window.set_packet(1400);
    assert_eq!(bench.window.bytes(), 10 * PACKET);
    (0..20).for_each(|_| bench.window.lost());
    assert_eq!(bench.window.bytes(), 4 * 1400);
    bench.window.timed_out();
    assert_eq!(bench.window.bytes(), 1400);
}

/// Rounds of slow start on a path of 100 ms, where the rise is 12.5 ms.
fn slow_start() -> SlowStart {
    let mut start = SlowStart::new();
    samples(&mut start, 8, 100);
    assert!(!start.round_ended());
    start
}

fn samples(start: &mut SlowStart, n: u32, rtt: u64) {
    (0..n).for_each(|_| start.sample(ms(rtt)));
}

#[test]
fn slow_start_slows_down_when_round_trips_rise() {
    // RFC 9406 §4.2: 8 samples, all of them an eighth above the last round's least.
    let mut start = slow_start();
    samples(&mut start, 8, 112);
    assert_eq!(start.growth(), 1.0);
    samples(&mut start, 7, 113);
    assert_eq!(start.growth(), 1.0);
    start.sample(ms(112));
    assert_eq!(start.growth(), 1.0);
    samples(&mut start, 7, 113);
    assert_eq!(start.growth(), 1.0);
    start.sample(ms(113));
    assert_eq!(start.growth(), 0.25);
    // Runs do not reach across rounds.
    let mut start = slow_start();
    samples(&mut start, 7, 113);
    assert!(!start.round_ended());
    samples(&mut start, 1, 113);
    assert_eq!(start.growth(), 1.0);
    // A round without samples does not make the one before forgotten.
    let mut start = slow_start();
    assert!(!start.round_ended());
    samples(&mut start, 8, 113);
    assert_eq!(start.growth(), 0.25);
    // Without a round before there is nothing to compare with.
    let mut start = SlowStart::new();
    samples(&mut start, 8, 100);
    samples(&mut start, 8, 200);
    assert_eq!(start.growth(), 1.0);
}

#[test]
fn the_rise_has_bounds() {
    for (base, not_yet, enough) in [(1, 1, 2), (4, 4, 5), (100, 112, 113), (128, 143, 144), (500, 515, 516)] {
        for (rtt, growth) in [(not_yet, 1.0), (enough, 0.25)] {
            let mut start = SlowStart::new();
            start.sample(ms(base));
            start.round_ended();
            samples(&mut start, 8, rtt);
            assert_eq!(start.growth(), growth, "{base} {rtt}");
        }
    }
}

#[test]
fn nothing_grows_while_the_link_is_full() {
    let mut start = slow_start();
    samples(&mut start, 8, 113);
    samples(&mut start, 8, 124);
    assert_eq!(start.growth(), 0.25);
    samples(&mut start, 8, 125);
    assert_eq!(start.growth(), 0.0);
    samples(&mut start, 8, 124);
    assert_eq!(start.growth(), 0.25);
    // At once, if it is that much.
    let mut start = slow_start();
    samples(&mut start, 8, 125);
    assert_eq!(start.growth(), 0.0);
}

#[test]
fn slow_start_goes_on_when_the_rise_was_no_queue() {
    // RFC 9406 §4.2: below the baseline, that is what CSS began with.
    let mut start = slow_start();
    samples(&mut start, 8, 120);
    samples(&mut start, 8, 120);
    assert_eq!(start.growth(), 0.25);
    samples(&mut start, 8, 119);
    assert_eq!(start.growth(), 1.0);
    assert!((0..10).all(|_| !start.round_ended()));
}

#[test]
fn slow_start_ends_after_five_conservative_rounds() {
    // RFC 9406 §4.2: the round in which CSS began counts.
    let mut start = slow_start();
    samples(&mut start, 8, 113);
    assert_eq!(
        [(); 5].map(|()| start.round_ended()),
        [false, false, false, false, true]
    );

    let mut bench = Bench::new(Congestion::Cubic);
    bench.round(ms(100));
    bench.round(ms(113));
    assert!(bench.packets() > 20.0 && bench.packets() < 40.0);
    for _ in 0..3 {
        bench.round(ms(113));
    }
    assert!(bench.window.in_slow_start());
    bench.round(ms(113));
    assert!(!bench.window.in_slow_start());
    // RFC 9438 §4.10: the curve begins at its plateau.
    let window = bench.packets();
    bench.round(ms(113));
    assert!(bench.packets() > window && bench.packets() < window + 1.1);
    // A later slow start grows whatever the round trips are.
    bench.window.timed_out();
    for packets in [2.0, 4.0, 8.0] {
        bench.round(ms(200));
        assert_eq!(bench.packets(), packets);
    }
}

#[test]
fn the_delay_friendly_mode_yields_to_a_queue_once_per_two_rounds() {
    // On a path of 100 ms 12.5 ms are too much.
    let mut bench = Bench::new(Congestion::DelayFriendly);
    while bench.packets() < 100.0 {
        bench.round(ms(100));
    }
    bench.window.lost();
    bench.round(ms(100));
    let round = |bench: &mut Bench, rtt| {
        bench.sack(0, ms(rtt + 50), true);
        bench.sack(0, ms(rtt), true);
        let before = bench.packets();
        bench.end_round();
        bench.packets() / before
    };
    assert_eq!(round(&mut bench, 112), 1.0);
    assert!(close(round(&mut bench, 125), 0.95 * 0.8));
    // What the cut did is only seen in the round after the next.
    assert_eq!(round(&mut bench, 125), 1.0);
    assert!(close(round(&mut bench, 125), 0.95 * 0.8));
    assert_eq!(round(&mut bench, 125), 1.0);
    // Never more than half at once, never below 4 packets.
    assert!(close(round(&mut bench, 1000), 0.5));
    assert_eq!(round(&mut bench, 1000), 1.0);
    for _ in 0..20 {
        round(&mut bench, 1000);
    }
    assert_eq!(bench.packets(), 4.0);
    // And it gives nothing away after a time-out.
    bench.window.timed_out();
    assert_eq!([1000, 1000].map(|rtt| round(&mut bench, rtt)), [1.0, 1.0]);
    // A loss counts as a cut.
    let mut bench = Bench::new(Congestion::DelayFriendly);
    bench.round(ms(100));
    bench.window.lost();
    assert_eq!(round(&mut bench, 200), 1.0);
    assert!(round(&mut bench, 200) < 0.6);
    // The other mode does nothing of that.
    let mut bench = Bench::new(Congestion::Cubic);
    bench.round(ms(100));
    assert_eq!([200, 300].map(|rtt| round(&mut bench, rtt)), [1.0, 1.0]);
}

#[test]
fn after_a_queue_the_window_comes_back_to_what_the_path_holds() {
    let mut bench = Bench::new(Congestion::DelayFriendly);
    while bench.packets() < 1000.0 {
        bench.round(ms(100));
    }
    bench.window.lost();
    bench.run(ms(100), ms(3000));
    let window = bench.packets();
    bench.sack(0, ms(125), true);
    bench.end_round();
    let capacity = window * 0.8;
    assert!(close(bench.packets(), capacity * 0.95));
    let k = (capacity * 0.05 / 0.4).cbrt();
    bench.run(ms(100), Duration::from_secs_f64(k));
    assert!(close(bench.packets(), capacity), "{} {capacity}", bench.packets());
    bench.run(ms(100), Duration::from_secs_f64(k));
    assert!(
        close(bench.packets(), capacity * 1.05),
        "{} {capacity}",
        bench.packets()
    );
    // Of a few packets one is left out at least.
    let mut bench = Bench::new(Congestion::DelayFriendly);
    for _ in 0..100 {
        bench.now += ms(100);
        bench.sack(0, ms(100), true);
    }
    bench.end_round();
    bench.sack(0, ms(125), true);
    bench.end_round();
    assert_eq!(bench.packets(), 7.0);
}

proptest! {
    /// Whatever happens: an acknowledgement never makes the window smaller, nothing else makes it larger but undoing, and there is
    /// always one packet's worth of it.
    #[test]
    fn the_window_goes_where_it_should(
        events in prop::collection::vec((0_u32..12, 0_u64..100, 0_u64..3000, any::<bool>()), 1..300),
        delay_friendly: bool,
    ) {
        let mode = if delay_friendly { Congestion::DelayFriendly } else { Congestion::Cubic };
        let mut bench = Bench::new(mode);
        let mut pacer = Pacer::new(bench.now);
        for (event, packets, time, limited) in events {
            let before = bench.window.bytes();
            bench.now += ms(time / 10);
            match event {
                0 => bench.window.lost(),
                1 => bench.window.timed_out(),
                2 => bench.window.resumed(ms(time), ms(300)),
                3 => bench.end_round(),
                4 => {
                    bench.window.undo();
                    prop_assert!(bench.window.bytes() >= before);
                    continue;
                }
                _ => {
                    bench.sack(packets, ms(time), limited);
                    let most = before + packets * PACKET;
                    // In congestion avoidance the rounding of a byte is all that it may differ by.
                    prop_assert!(bench.window.bytes() >= before && bench.window.bytes() <= most + 1);
                    pacer.set_rate(&bench.window, &bench.rtt);
                    for _ in 0..20 {
                        if pacer.ready(bench.now) {
                            pacer.sent(bench.now, 1000);
                        }
                    }
                    // Whatever the pace is, there is an end of waiting.
                    let most = bench.rtt.smoothed().unwrap() * 10 + ms(1000);
                    prop_assert!(pacer.poll_timeout().is_none_or(|due| due - bench.now <= most));
                    continue;
                }
            }
            prop_assert!(bench.window.bytes() <= before);
            prop_assert!(bench.window.bytes() >= PACKET);
        }
    }
}

#[test]
fn the_delay_friendly_target_has_bounds() {
    for (base, jitter, enough, too_much) in [
        (10, 0, 20, 21),
        (80, 0, 90, 91),
        (100, 0, 112, 113),
        (300, 0, 315, 316),
        // Three times 5 ms of jitter, and at most 20 ms.
        (100, 5, 114, 116),
        (100, 10, 120, 121),
    ] {
        for (rtt, cut) in [(enough, false), (too_much, true)] {
            let mut bench = Bench::new(Congestion::DelayFriendly);
            for n in 0..200 {
                bench.now += ms(base);
                bench.sack(u64::from(n == 0) * 10, ms(base + n % 2 * 2 * jitter), true);
            }
            bench.end_round();
            bench.sack(0, ms(rtt), true);
            bench.end_round();
            assert_eq!(bench.packets() < 20.0, cut, "{base} {rtt}");
            assert_eq!(bench.window.in_slow_start(), !cut);
        }
    }
}

fn paced(window: u64, rtt: Duration) -> (Pacer, Bench) {
    let mut bench = Bench::after_loss(10);
    bench.window.undo();
    bench.sack(window - bench.window.bytes() / PACKET, rtt, true);
    bench.rtt = Rtt::new(&config(Congestion::Cubic), bench.now);
    bench.rtt.sample(bench.now, rtt);
    let mut pacer = Pacer::new(bench.now);
    pacer.set_rate(&bench.window, &bench.rtt);
    (pacer, bench)
}

/// Sends as much as it may for that long, waking `late`; gives the packets and the longest run.
fn send(pacer: &mut Pacer, mut now: Instant, time: Duration, late: Duration) -> (u64, u64) {
    let (end, mut sent, mut longest) = (now + time, 0, 0);
    while now < end {
        let mut run = 0;
        while pacer.ready(now) {
            pacer.sent(now, PACKET as usize);
            run += 1;
        }
        (sent, longest) = (sent + run, longest.max(run));
        now = pacer.poll_timeout().unwrap() + late;
    }
    (sent, longest)
}

#[test]
fn packets_are_spread_over_the_round_trip() {
    // Twice the window per round trip in slow start.
    let (mut pacer, bench) = paced(100, ms(100));
    assert!(bench.window.in_slow_start());
    let (sent, longest) = send(&mut pacer, bench.now, ms(1000), Duration::ZERO);
    assert!((2000..2012).contains(&sent), "{sent}");
    assert!(longest <= 10, "{longest}");
    // 1.2 times after that, in runs of a millisecond or of some packets.
    for (window, run) in [(100, 9), (10_000, 242)] {
        let (mut pacer, mut bench) = paced(window, ms(100));
        bench.window.lost();
        pacer.set_rate(&bench.window, &bench.rtt);
        let (sent, longest) = send(&mut pacer, bench.now, ms(1000), Duration::ZERO);
        let expected = 0.7 * 1.2 * 10.0 * window as f64;
        assert!(
            (sent as f64 - expected).abs() < 0.02 * expected + 10.0,
            "{sent} {expected}"
        );
        assert!(longest <= run, "{longest}");
    }
}

#[test]
fn timers_that_come_late_cost_no_rate() {
    let (mut pacer, bench) = paced(10_000, ms(100));
    let (sent, longest) = send(&mut pacer, bench.now, ms(1000), ms(1));
    assert!((190_000..202_000).contains(&sent), "{sent}");
    assert!(longest <= 1000, "{longest}");
    // But a long pause makes no long run.
    let now = bench.now + ms(5000);
    let (_, longest) = send(&mut pacer, now, ms(10), Duration::ZERO);
    assert!(longest <= 500, "{longest}");
}

#[test]
fn nothing_is_paced_on_short_and_unknown_paths() {
    let (mut pacer, bench) = paced(100, Duration::from_micros(999));
    for _ in 0..1000 {
        assert!(pacer.ready(bench.now));
        pacer.sent(bench.now, 1000);
    }
    assert_eq!(pacer.poll_timeout(), None);
    let (mut pacer, mut bench) = paced(100, ms(100));
    while pacer.ready(bench.now) {
        pacer.sent(bench.now, 1000);
    }
    assert!(pacer.poll_timeout() > Some(bench.now));
    bench.rtt = Rtt::new(&config(Congestion::Cubic), bench.now);
    pacer.set_rate(&bench.window, &bench.rtt);
    assert!(pacer.ready(bench.now));
    assert_eq!(pacer.poll_timeout(), None);
}
