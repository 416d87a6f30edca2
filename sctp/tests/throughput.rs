//! What an association makes of a link, in virtual time.
#![allow(missing_docs)]

mod link;

use std::time::Duration;

use bytes::Bytes;
use link::{Shape, World, message};
use netsim::{Bitrate, Queue, Verdict, Way};
use sctp::{CommonHeader, Config, Congestion, Counters, DataHeader, Event};

/// IP and UDP headers.
const BELOW: f64 = 28.0;
const RATE: Bitrate = Bitrate::from_mbps(100);

/// How much user data the link can carry, in bytes per second.
fn capacity(config: &Config) -> f64 {
    let packet = config.base_packet as f64;
    let payload = packet - (CommonHeader::LEN + DataHeader::LEN + 4) as f64;
    RATE.bps() as f64 / 8.0 * payload / (packet + BELOW)
}

/// All round trips with `HYALINE_LONG`, else one.
fn round_trips() -> &'static [u64] {
    if std::env::var_os("HYALINE_LONG").is_some() {
        &[10, 50, 100, 300]
    } else {
        &[50]
    }
}

fn bulk() -> Bytes {
    Bytes::from(vec![7; 65_536])
}

/// A bulk transfer of a minute: bytes received in each tenth of a second, and what the sender counted.
fn minute(run: u64, shape: &Shape, config: &Config) -> (Vec<u64>, Counters) {
    let mut world = World::new(run, shape);
    let (left, right) = world.pair(config);
    world.sim.get_mut(left).bulk = Some((1, bulk()));
    world.sim.get_mut(right).inbox.bulk_stream = Some(1);
    world.sim.run_for(Duration::from_secs(60)).unwrap();
    let tenths = world.sim.get(right).inbox.tenths.clone();
    (tenths, world.sim.get(left).association.counters())
}

/// Bytes per second in seconds 10 to 60.
fn steady(tenths: &[u64]) -> f64 {
    tenths.iter().skip(100).take(500).sum::<u64>() as f64 / 50.0
}

#[test]
fn a_link_is_filled_and_no_timer_runs_out() {
    let config = Config::default();
    for &ms in round_trips() {
        let shape = Shape::one_bdp(RATE, Duration::from_millis(ms), 0.0);
        let (tenths, counters) = minute(ms, &shape, &config);
        let share = steady(&tenths) / capacity(&config);
        println!(
            "{ms} ms: {share:.4} of the capacity, {} sent again, {} of them for nothing",
            counters.sctp_retransmissions, counters.sctp_spurious_retransmissions
        );
        assert!(share >= 0.97, "{ms} ms: {share}");
        assert_eq!(counters.sctp_timeouts, 0, "{ms} ms");
        assert_eq!(counters.sctp_spurious_retransmissions, 0, "{ms} ms");
    }
}

/// The time from the first data, which goes with COOKIE ECHO, until 90 % of the capacity came within one round trip.
#[test]
fn slow_start_is_no_slower_than_it_must_be() {
    let config = Config::default();
    for ms in [10, 50, 100, 300] {
        let round_trip = Duration::from_millis(ms);
        let mut world = World::new(1, &Shape::one_bdp(RATE, round_trip, 0.0));
        let (left, right) = world.pair(&config);
        world.sim.get_mut(left).bulk = Some((1, Bytes::from(vec![7; 1100])));
        world.sim.get_mut(right).inbox.bulk_stream = Some(1);
        let wanted = 0.9 * capacity(&config) * round_trip.as_secs_f64();
        world.sim.run_for(round_trip).unwrap();
        let mut history = vec![0];
        while history.len() < 10_000 {
            world.sim.run_for(Duration::from_millis(1)).unwrap();
            history.push(world.sim.get(right).inbox.bulk_bytes);
            let before = history[history.len().saturating_sub(1 + ms as usize)];
            if (history[history.len() - 1] - before) as f64 >= wanted {
                break;
            }
        }
        let reached = history.len() as f64 / ms as f64;
        // A window of 10 packets that doubles each round trip until it is as large as 90 % of what is under way then; that
        // takes a round trip to be sent, and half of one to come.
        let product = RATE.bps() as f64 / 8.0 * round_trip.as_secs_f64() / (config.base_packet as f64 + BELOW);
        let ideal = (0.9 * product / 10.0).log2().ceil() + 1.5;
        println!("{ms} ms: 90 % after {reached:.1} round trips; ideal {ideal:.1}");
        assert!(reached <= 1.3 * ideal, "{ms} ms: {reached} of {ideal}");
    }
}

/// RFC 9438 §5.2 and §4.3: the larger of CUBIC's average window and Reno's, in packets, for a loss rate.
fn response(loss: f64, round_trip: f64) -> f64 {
    let cubic = 1.054 * round_trip.powf(0.75) / loss.powf(0.75);
    let reno = 1.22 / loss.sqrt();
    cubic.max(reno)
}

#[test]
fn losses_leave_what_the_response_function_says() {
    let config = Config::default();
    let packet = config.base_packet as f64;
    for &ms in round_trips() {
        for loss in [0.001, 0.01, 0.05] {
            let round_trip = Duration::from_millis(ms);
            let shape = Shape::one_bdp(RATE, round_trip, loss);
            let window = response(loss, round_trip.as_secs_f64());
            // Losses that come by chance after a queue has filled anyway are not what the function is about.
            let wanted = (window * packet / round_trip.as_secs_f64()).min(0.9 * capacity(&config));
            // Losses are rare where little is sent: the mean of as many minutes.
            let minutes = if ms <= 50 { 2 } else { 8 };
            let runs: Vec<_> = (0..minutes).map(|run| minute(run, &shape, &config)).collect();
            let rate = runs.iter().map(|(tenths, _)| steady(tenths)).sum::<f64>() / minutes as f64;
            let sum = |counter: fn(&Counters) -> u64| runs.iter().map(|(_, counters)| counter(counters)).sum::<u64>();
            println!(
                "{ms} ms, {:.1} %: {:.2} Mbit/s, response function {:.2}; {} sent again, {} for nothing, {} time-outs",
                loss * 100.0,
                rate * 8e-6,
                wanted * 8e-6,
                sum(|counters| counters.sctp_retransmissions),
                sum(|counters| counters.sctp_spurious_retransmissions),
                sum(|counters| counters.sctp_timeouts),
            );
            assert!(rate >= wanted, "{ms} ms, {loss}: {rate} of {wanted}");
            assert_eq!(sum(|counters| counters.sctp_spurious_timeouts), 0, "{ms} ms, {loss}");
        }
    }
}

#[test]
fn the_loss_of_the_last_packet_costs_two_round_trips_at_most() {
    let config = Config::default();
    for ms in [10, 50, 100, 300] {
        let round_trip = Duration::from_millis(ms);
        // One message, and the last of a burst of several packets.
        for len in [500, 20_000] {
            let mut arrivals = Vec::new();
            for is_lost in [false, true] {
                let shape = Shape {
                    rate: None,
                    round_trip,
                    queue: Queue::default(),
                    loss: 0.0,
                };
                let mut world = World::new(3, &shape);
                let (left, right) = world.pair(&config);
                let begin = world.sim.now();
                let payload = Bytes::from(vec![7; len]);
                let peer = world.sim.get_mut(left);
                // The round trip is known by then.
                for seconds in 1..5 {
                    peer.script
                        .push_back((begin + Duration::from_secs(seconds), message(1, payload.clone())));
                }
                peer.script
                    .push_back((begin + Duration::from_secs(5), message(1, payload.clone())));
                // What a packet holds besides two headers.
                let mut packets = payload.len().div_ceil(config.base_packet - 32);
                world.sim.run_for(Duration::from_secs(4) + round_trip * 3).unwrap();
                let link = world.link;
                if is_lost {
                    world.sim.set_hook(link, Way::Forward, move |_, _| {
                        packets = packets.wrapping_sub(1);
                        if packets == 0 { Verdict::Drop } else { Verdict::Pass }
                    });
                }
                world.sim.run_for(Duration::from_secs(10)).unwrap();
                let received = &world.sim.get(right).inbox.received;
                assert_eq!(received.len(), 5);
                arrivals.push(received[4].at - begin);
            }
            let late = arrivals[1] - arrivals[0];
            println!("{ms} ms, {len} bytes: {late:?} later");
            assert!(late > Duration::ZERO, "something was lost");
            assert!(
                late <= round_trip * 2 + Duration::from_millis(10),
                "{ms} ms, {len}: {late:?}"
            );
        }
    }
}

#[test]
fn two_associations_share_fairly() {
    let config = Config::default();
    for &ms in round_trips().iter().filter(|ms| **ms <= 100) {
        let mut world = World::new(4, &Shape::one_bdp(RATE, Duration::from_millis(ms), 0.0));
        let pairs = [world.pair(&config), world.pair(&config)];
        for (left, right) in pairs {
            world.sim.get_mut(left).bulk = Some((1, bulk()));
            world.sim.get_mut(right).inbox.bulk_stream = Some(1);
        }
        world.sim.run_for(Duration::from_secs(60)).unwrap();
        let shares = pairs.map(|(_, right)| steady(&world.sim.get(right).inbox.tenths));
        let sum: f64 = shares.iter().sum();
        let squares: f64 = shares.iter().map(|share| share * share).sum();
        let jain = sum * sum / (2.0 * squares);
        println!(
            "{ms} ms: {:.3} and {:.3} of the capacity, Jain {jain:.3}",
            shares[0] / capacity(&config),
            shares[1] / capacity(&config)
        );
        assert!(jain >= 0.95, "{ms} ms: {shares:?}");
        assert!(sum >= 0.97 * capacity(&config), "{ms} ms: {shares:?}");
    }
}

/// Arrival of a message of 1 KiB on another stream, beside a bulk transfer of messages of 100 MB.
fn beside_bulk(config: &Config, shape: &Shape) -> Vec<Duration> {
    let mut world = World::new(5, shape);
    let (left, right) = world.pair(config);
    let begin = world.sim.now();
    let peer = world.sim.get_mut(left);
    peer.bulk = Some((1, Bytes::from(vec![7; 4_000_000])));
    for tenth in 50..150 {
        let at = begin + Duration::from_millis(tenth * 100 + tenth * 7 % 100);
        peer.script.push_back((at, message(3, Bytes::from(vec![1; 1024]))));
    }
    let times: Vec<_> = peer.script.iter().map(|(at, _)| *at).collect();
    world.sim.get_mut(right).inbox.bulk_stream = Some(1);
    world.sim.run_for(Duration::from_secs(17)).unwrap();
    assert!(world.sim.get(left).events.contains(&Event::Established));
    let received = &world.sim.get(right).inbox.received;
    assert_eq!(received.len(), times.len());
    received
        .iter()
        .zip(&times)
        .map(|(received, at)| received.at - *at)
        .collect()
}

#[test]
fn a_short_message_does_not_wait_for_a_long_one() {
    let short_queue = |ms| Shape {
        rate: Some(RATE),
        round_trip: Duration::from_millis(ms),
        queue: Queue::bytes(RATE.bytes_in(Duration::from_millis(20))),
        loss: 0.0,
    };
    for &ms in round_trips().iter().filter(|ms| **ms <= 100) {
        let round_trip = Duration::from_millis(ms);
        let friendly = Config {
            congestion: Congestion::DelayFriendly,
            send_buffer: 16 << 20,
            ..Config::default()
        };
        let cases = [
            ("short queue", Config::default(), short_queue(ms)),
            ("delay-friendly", friendly, Shape::one_bdp(RATE, round_trip, 0.0)),
        ];
        for (name, config, shape) in cases {
            let mut delays = beside_bulk(&config, &shape);
            delays.sort();
            let most = delays[delays.len() - 1];
            println!("{ms} ms, {name}: median {:?}, most {most:?}", delays[delays.len() / 2]);
            assert!(
                most <= round_trip + Duration::from_millis(20),
                "{ms} ms, {name}: {delays:?}"
            );
        }
    }
}
