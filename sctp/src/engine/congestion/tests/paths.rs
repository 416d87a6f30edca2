//! What window and pacer make of a path, by simulation.

use super::sim::{Link, PACKET, Sim};
use super::*;

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn link(round_trip: u64) -> Link {
    Link {
        bits_per_second: 100e6,
        round_trip: ms(round_trip),
        queue: 1.0,
        jitter: Duration::ZERO,
    }
}

fn run(link: Link, congestion: Congestion, starts: &[Duration], time: Duration) -> Sim {
    let mut sim = Sim::new(link, congestion, starts);
    sim.run(time);
    sim
}

/// The part of the link that was used, all flows together.
fn use_of(sim: &Sim, from: Duration, to: Duration) -> f64 {
    let received = |flow: &sim::Flow| flow.received(sim.start + from, sim.start + to);
    sim.flows.iter().map(received).sum::<f64>() / sim.link.bytes_per_second() / (to - from).as_secs_f64()
}

/// After how many round trips the first flow has nine tenths of the link for one round trip, and how many ideal slow start takes:
/// the first window arrives half a round trip after it was sent, the last one in the round trip after that.
fn round_trips_to_fill(sim: &Sim) -> (f64, f64) {
    let round_trip = sim.link.round_trip;
    let mut at = Duration::ZERO;
    while use_of(sim, at, at + round_trip) < 0.9 {
        at += round_trip / 20;
    }
    let took = (at + round_trip).as_secs_f64() / round_trip.as_secs_f64();
    let doublings = (0.9 * sim.link.capacity() / (10 * PACKET) as f64).log2();
    (took, doublings + 1.5)
}

/// Bytes lost around the first reduction, in windows at that time.
fn overshoot(sim: &Sim) -> f64 {
    let flow = &sim.flows[0];
    let Some(&(first, window)) = flow.reductions.first() else {
        return 0.0;
    };
    let soon = first + sim.link.round_trip * 3;
    let lost = flow.losses.iter().filter(|&&at| at < soon).count();
    (lost * PACKET) as f64 / window as f64
}

fn jain(sim: &Sim, from: Duration, to: Duration) -> f64 {
    let received = |flow: &sim::Flow| flow.received(sim.start + from, sim.start + to);
    let shares: Vec<f64> = sim.flows.iter().map(received).collect();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    shares.iter().sum::<f64>().powi(2) / squares / shares.len() as f64
}

/// The wait in the queue that this part of the packets does not exceed.
fn wait(sim: &Sim, part: f64, from: Duration) -> Duration {
    let mut waits: Vec<_> = sim
        .waits
        .iter()
        .filter(|wait| wait.0 >= sim.start + from)
        .map(|wait| wait.1)
        .collect();
    waits.sort();
    waits[(waits.len() as f64 * part) as usize]
}

fn fills(round_trip: u64) {
    let sim = run(link(round_trip), Congestion::Cubic, &[ms(0)], secs(60));
    let used = use_of(&sim, secs(10), secs(60));
    assert!(used >= 0.99, "{used}");
    let (took, ideal) = round_trips_to_fill(&sim);
    assert!(took <= 1.3 * ideal, "{took} of {ideal}");
    let overshoot = overshoot(&sim);
    assert!(overshoot <= 0.05, "{overshoot}");
}

#[test]
fn a_path_of_10_ms_is_filled() {
    fills(10);
}

#[test]
fn a_path_of_50_ms_is_filled() {
    fills(50);
}

#[test]
fn a_path_of_100_ms_is_filled() {
    fills(100);
}

#[test]
fn a_path_of_300_ms_is_filled() {
    fills(300);
}

#[test]
fn other_paths_are_filled() {
    for (mbits, round_trip, queue, jitter, least) in [
        (1, 50, 2.0, 0, 0.97),
        (5, 20, 4.0, 0, 0.97),
        (20, 30, 2.0, 0, 0.97),
        (50, 100, 0.5, 0, 0.97),
        (50, 50, 0.1, 0, 0.9),
        // SACKs that come in bunches are no queue.
        (50, 50, 1.0, 10, 0.97),
    ] {
        let link = Link {
            bits_per_second: f64::from(mbits) * 1e6,
            queue,
            jitter: ms(jitter),
            ..link(round_trip)
        };
        let sim = run(link, Congestion::Cubic, &[ms(0)], secs(30));
        let used = use_of(&sim, secs(5), secs(30));
        assert!(used >= least, "{mbits} Mbit/s, {round_trip} ms: {used}");
    }
}

#[test]
fn losses_at_the_end_of_slow_start_are_few_with_half_a_queue() {
    for (round_trip, most) in [(50, 0.15), (100, 0.15), (300, 0.1)] {
        let link = Link {
            queue: 0.5,
            ..link(round_trip)
        };
        let sim = run(link, Congestion::Cubic, &[ms(0)], secs(10));
        let overshoot = overshoot(&sim);
        assert!(overshoot > 0.0 && overshoot <= most, "{round_trip} ms: {overshoot}");
    }
}

#[test]
fn two_flows_share() {
    for (round_trip, second) in [(10, 0), (10, 1000), (50, 0), (50, 1000), (100, 0)] {
        let sim = run(link(round_trip), Congestion::Cubic, &[ms(0), ms(second)], secs(60));
        let share = jain(&sim, ms(0), secs(60));
        assert!(share >= 0.95, "{round_trip} ms, {second} ms later: {share}");
        assert!(use_of(&sim, secs(10), secs(60)) >= 0.97);
    }
}

#[test]
fn the_delay_friendly_mode_fills_with_a_short_queue() {
    for (round_trip, queue) in [(10, 4.0), (50, 1.0), (100, 1.0), (300, 1.0)] {
        let link = Link {
            queue,
            ..link(round_trip)
        };
        let sim = run(link, Congestion::DelayFriendly, &[ms(0)], secs(30));
        let used = use_of(&sim, secs(10), secs(30));
        assert!(used >= 0.97, "{round_trip} ms: {used}");
        let wait = wait(&sim, 0.99, secs(10));
        assert!(wait <= ms(20), "{round_trip} ms: {wait:?}");
        assert!(sim.flows[0].losses.is_empty());
    }
}

#[test]
fn the_delay_friendly_mode_bears_slow_links_and_jitter() {
    for (mbits, round_trip, jitter, least, most) in [
        (2, 50, 0, 0.97, 30),
        (5, 20, 0, 0.97, 20),
        (50, 50, 5, 0.95, 20),
        (50, 50, 10, 0.92, 20),
        (50, 50, 15, 0.85, 20),
    ] {
        let link = Link {
            bits_per_second: f64::from(mbits) * 1e6,
            queue: 2.0,
            jitter: ms(jitter),
            ..link(round_trip)
        };
        let sim = run(link, Congestion::DelayFriendly, &[ms(0)], secs(30));
        let used = use_of(&sim, secs(10), secs(30));
        assert!(used >= least, "{mbits} Mbit/s, {jitter} ms: {used}");
        let wait = wait(&sim, 0.99, secs(10));
        assert!(wait <= ms(most), "{mbits} Mbit/s, {jitter} ms: {wait:?}");
    }
}
