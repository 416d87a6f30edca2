//! What links do, by numbers.

use std::time::Duration;

use netsim::{
    Bitrate, Direction, DropReason, EndpointId, IcmpError, Limit, Link, Loss, Marking, Queue, Reorder, Sim, Verdict,
    Way,
};
use proptest::prelude::*;
use wire::Ecn;

use crate::probe::{Got, Probe, addr, ms, secs};

const A: &str = "10.0.0.1:1000";
const B: &str = "10.0.0.2:2000";

fn two(run: u64, direction: Direction) -> (Sim, EndpointId<Probe>, EndpointId<Probe>, netsim::LinkId) {
    let mut sim = Sim::new(run);
    let (a, b) = (sim.add_host("a"), sim.add_host("b"));
    let link = sim.attach(a, b, &[addr(A).ip()], Link::symmetric(direction));
    sim.add_address(b, link, addr(B).ip());
    let left = Probe::bound(&mut sim, a, addr(A));
    let right = Probe::bound(&mut sim, b, addr(B));
    (sim, left, right, link)
}

/// Sends numbered datagrams, one per millisecond; those that came.
fn numbered(run: u64, direction: Direction, count: u32) -> (Vec<u32>, Sim) {
    let (mut sim, left, right, _) = two(run, direction);
    for number in 0..count {
        sim.get_mut(left).send(addr(A), addr(B), &number.to_be_bytes());
        sim.run_for(ms(1)).unwrap();
    }
    assert!(sim.run_until_idle(secs(100)).unwrap());
    let number = |got: &Got| u32::from_be_bytes(got.bytes[..4].try_into().unwrap());
    (sim.get(right).got.iter().map(number).collect(), sim)
}

/// Whether `hits` of `n` fits a probability: within five standard deviations, which chance exceeds once in two million.
fn fits(hits: usize, n: u32, p: f64) -> bool {
    let n = f64::from(n);
    (hits as f64 - n * p).abs() < 5.0 * (n * p * (1.0 - p)).sqrt()
}

#[test]
fn random_loss_has_its_rate() {
    let direction = Direction {
        loss: Loss::Random(0.4),
        ..Direction::default()
    };
    let (came, sim) = numbered(1, direction, 10_000);
    assert!(fits(10_000 - came.len(), 10_000, 0.4), "{}", came.len());
    assert_eq!(sim.counters().dropped_for(DropReason::Loss), 10_000 - came.len() as u64);
}

#[test]
fn bursts_have_their_length_and_their_rate() {
    let direction = Direction {
        loss: Loss::bursts(0.1, 4.0),
        ..Direction::default()
    };
    let n = 40_000;
    let (came, _) = numbered(2, direction, n);
    let lost = n as usize - came.len();
    let bursts = came.windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
    // A geometric length with mean 4 has the deviation sqrt(1 - 1/4) * 4 = 3.46; the mean of about 1000 bursts, a
    // thousandth of the variance. The last burst may be cut.
    let mean = lost as f64 / bursts as f64;
    assert!(
        (mean - 4.0).abs() < 5.0 * 3.46 / (bursts as f64).sqrt(),
        "{mean} {bursts}"
    );
    // Cycles of 4 bad and 36 good packets: n/40 of them, whose lengths deviate by no more than their mean.
    assert!((bursts as f64 - 1000.0).abs() < 5.0 * 1000_f64.sqrt(), "{bursts}");
}

/// Whether counts of equal parts of a run fit a mean: within five standard errors, as the parts themselves tell them.
/// They are long against whatever connects a packet with the next ones.
fn parts_fit(parts: &[usize], mean: f64) -> bool {
    let n = parts.len() as f64;
    let found = parts.iter().sum::<usize>() as f64 / n;
    let variance = parts.iter().map(|&part| (part as f64 - found).powi(2)).sum::<f64>() / (n - 1.0);
    let error = (variance / n).sqrt();
    // A test with a larger error would tell nothing.
    error < mean / 20.0 && (found - mean).abs() < 5.0 * error
}

#[test]
fn gilbert_and_elliott_lose_as_their_states_do() {
    const PART: usize = 1000;
    const PARTS: usize = 50;
    for (run, (enter_bad, leave_bad, good_loss, bad_loss)) in [
        // Gilbert's simplest, one that loses now and then in good times, one that loses half in bad ones.
        (0.02, 0.2, 0.0, 1.0),
        (0.05, 0.1, 0.02, 0.6),
        (0.1, 0.05, 0.0, 0.5),
        // Without memory.
        (0.3, 0.7, 0.0, 1.0),
        // The states change places more often than not.
        (0.8, 0.9, 0.1, 0.7),
    ]
    .into_iter()
    .enumerate()
    {
        let direction = Direction {
            loss: Loss::GilbertElliott {
                enter_bad,
                leave_bad,
                good_loss,
                bad_loss,
            },
            ..Direction::default()
        };
        let (came, _) = numbered(10 + run as u64, direction, (PART * PARTS) as u32);
        let mut lost = vec![true; PART * PARTS];
        came.iter().for_each(|&number| lost[number as usize] = false);

        let bad = enter_bad / (enter_bad + leave_bad);
        let states = [(1.0 - bad, good_loss, enter_bad), (bad, bad_loss, leave_bad)];
        let share = states.iter().map(|(time, loss, _)| time * loss).sum::<f64>();
        // Two in a row: the state of the first stays, or becomes the other one.
        let both = |from: usize| {
            let (time, loss, leave) = states[from];
            time * loss * ((1.0 - leave) * loss + leave * states[1 - from].1)
        };
        let begins = share - both(0) - both(1);

        let losses = |part: &[bool]| part.iter().filter(|&&lost| lost).count();
        let parts: Vec<_> = lost.chunks(PART).map(losses).collect();
        assert!(parts_fit(&parts, PART as f64 * share), "{run}: {share} {parts:?}");
        // Bursts, by their ends: with the share that is their mean length.
        let ends = |part: &[bool]| part.windows(2).filter(|pair| pair[0] && !pair[1]).count();
        let parts: Vec<_> = lost.chunks(PART).map(ends).collect();
        assert!(
            parts_fit(&parts, (PART - 1) as f64 * begins),
            "{run}: {begins} {parts:?}"
        );
        // Where everything is lost in bad times and nothing in good ones, lengths are geometric.
        if (good_loss, bad_loss) == (0.0, 1.0) {
            let bursts: Vec<_> = lost.split(|lost| !lost).filter(|burst| !burst.is_empty()).collect();
            for longer in 1..8 {
                let hits = bursts.iter().filter(|burst| burst.len() > longer).count();
                let p = (1.0 - leave_bad).powi(longer as i32);
                assert!(fits(hits, bursts.len() as u32, p), "{run}: {hits} longer than {longer}");
            }
        }
    }
}

#[test]
fn duplicates_and_reorders_as_often_as_told() {
    let direction = Direction {
        duplicate: 0.2,
        ..Direction::default()
    };
    let (came, sim) = numbered(3, direction, 5000);
    assert!(fits(came.len() - 5000, 5000, 0.2), "{}", came.len());
    assert_eq!(sim.counters().duplicated, came.len() as u64 - 5000);

    let reorder = Reorder {
        probability: 0.1,
        min: ms(2) + ms(1) / 2,
        max: ms(2) + ms(1) / 2,
    };
    let direction = Direction {
        reorder: Some(reorder),
        ..Direction::default()
    };
    let (came, _) = numbered(4, direction, 5000);
    assert_eq!(came.len(), 5000);
    // Held back 2.5 ms, a packet comes after the second behind it, unless that was held back, too.
    let late = (0..5000).filter(|&number| {
        let place = came.iter().position(|&other| other == number).unwrap();
        came[..place].iter().any(|&other| other > number)
    });
    assert!(fits(late.count(), 5000, 0.1 * (1.0 - 0.1 * 0.1)));
}

#[test]
fn the_rate_the_burst_and_the_queue() {
    let rate = Bitrate::from_mbps(1);
    // 1222 bytes and 28 of headers: 10 ms each.
    let send = |direction: Direction, count: usize| {
        let (mut sim, left, right, _) = two(1, direction);
        for _ in 0..count {
            sim.get_mut(left).send(addr(A), addr(B), &[0; 1222]);
        }
        assert!(sim.run_until_idle(secs(10)).unwrap());
        let at: Vec<_> = sim.get(right).got.iter().map(|got| got.at).collect();
        (at, sim.counters().dropped_for(DropReason::QueueFull))
    };
    let direction = Direction {
        rate: Some(rate),
        ..Direction::with_delay(ms(5))
    };
    assert_eq!(send(direction.clone(), 3), (vec![ms(15), ms(25), ms(35)], 0));
    let burst = Direction {
        burst_bytes: 2500,
        ..direction.clone()
    };
    assert_eq!(send(burst, 4), (vec![ms(5), ms(5), ms(15), ms(25)], 0));
    // One is being sent, and as many wait as fit.
    for limit in [Limit::Packets(3), Limit::Bytes(3 * 1250), Limit::Time(ms(30))] {
        let queue = Queue {
            limit,
            marking: Marking::None,
        };
        let (at, full) = send(
            Direction {
                queue,
                ..direction.clone()
            },
            10,
        );
        assert_eq!((at.len(), full), (4, 6), "{limit:?}");
    }
}

/// Sends numbered packets of 10 ms at 1 Mbit/s, one after each of these pauses; those that came, and how long each was
/// on its way.
fn delays(limit: Limit, pauses: impl IntoIterator<Item = u64>) -> (Vec<(usize, Duration)>, Sim) {
    let queue = Queue {
        limit,
        marking: Marking::None,
    };
    let direction = Direction {
        rate: Some(Bitrate::from_mbps(1)),
        queue,
        ..Direction::default()
    };
    let (mut sim, left, right, _) = two(1, direction);
    let mut sent = Vec::new();
    for (number, pause) in pauses.into_iter().enumerate() {
        sim.run_for(ms(pause)).unwrap();
        sent.push(sim.elapsed());
        let mut bytes = [0; 1222];
        bytes[..2].copy_from_slice(&(number as u16).to_be_bytes());
        sim.get_mut(left).send(addr(A), addr(B), &bytes);
    }
    assert!(sim.run_until_idle(secs(100)).unwrap());
    let delay = |got: &Got| {
        let number = usize::from(u16::from_be_bytes([got.bytes[0], got.bytes[1]]));
        (number, got.at - sent[number])
    };
    (sim.get(right).got.iter().map(delay).collect(), sim)
}

#[test]
fn the_delay_grows_by_what_comes_too_much() {
    let no_limit = Limit::Packets(usize::MAX);
    // Arrival over rate, less one, is the slope: of each packet's pause, so much is added to the delay.
    for (pause, more) in [(20, 0), (10, 0), (8, 2), (5, 5), (2, 8)] {
        let (came, _) = delays(no_limit, [pause; 200]);
        assert_eq!(came.len(), 200);
        for (number, delay) in came {
            assert_eq!(delay, ms(10 + number as u64 * more), "{pause} ms: {number}");
        }
    }
    // It shrinks by the same rule: 100 packets leave 505 ms, of which each of the next ones takes 6.
    let (came, _) = delays(no_limit, [5; 100].into_iter().chain([16; 200]));
    for (number, delay) in came.into_iter().skip(100) {
        let gone = 6 * (number as u64 - 99);
        assert_eq!(delay, ms(505_u64.saturating_sub(gone).max(10)), "{number}");
    }
}

#[test]
fn a_full_queue_holds_the_delay_and_drops_the_rest() {
    const COUNT: usize = 500;
    let limits = [Limit::Packets(20), Limit::Bytes(20 * 1250), Limit::Time(ms(200))];
    for limit in limits {
        // Each brings 10 ms of work after 3 ms, until twenty wait behind the one that is sent.
        let (came, sim) = delays(limit, [3; COUNT]);
        let full = came.iter().enumerate().find(|(place, (number, _))| place != number);
        let (place, _) = *full.as_ref().unwrap();
        for (number, delay) in &came[..place] {
            assert_eq!(*delay, ms(10 + 7 * *number as u64), "{limit:?}");
        }
        for (number, delay) in &came[place..] {
            assert!(*delay > ms(200) && *delay <= ms(210), "{limit:?} {number}: {delay:?}");
        }
        // What left while it was sent, one each 10 ms, and what waited at the end with the one that was being sent.
        let left = (COUNT * 3).div_ceil(10);
        assert!(
            (left + 20..=left + 21).contains(&came.len()),
            "{limit:?} {}",
            came.len()
        );
        let dropped = sim.counters().dropped_for(DropReason::QueueFull);
        assert_eq!(dropped as usize, COUNT - came.len());
    }
}

#[test]
fn marks_those_who_waited_and_understand() {
    let direction = |marking| Direction {
        rate: Some(Bitrate::from_mbps(1)),
        queue: Queue {
            limit: Limit::default(),
            marking,
        },
        ..Direction::default()
    };
    let marked = |marking, ecn| {
        let (mut sim, left, right, _) = two(1, direction(marking));
        for _ in 0..10 {
            sim.get_mut(left).send_ect(addr(A), addr(B), &[0; 1222], ecn);
        }
        assert!(sim.run_until_idle(secs(10)).unwrap());
        assert_eq!(sim.get(right).got.len(), 10);
        sim.get(right).got.iter().filter(|got| got.ecn == Ecn::Ce).count()
    };
    // The n-th has waited for those before it, 10 ms each: the first not at all, the last 90 ms.
    assert_eq!(marked(Marking::Step(ms(0)), Ecn::Ect0), 9);
    assert_eq!(marked(Marking::Step(ms(55)), Ecn::Ect0), 4);
    assert_eq!(marked(Marking::Step(ms(55)), Ecn::Ect1), 4);
    assert_eq!(marked(Marking::Step(ms(55)), Ecn::NotEct), 0);
    assert_eq!(marked(Marking::L4s(ms(25)), Ecn::Ect1), 7);
    assert_eq!(marked(Marking::L4s(ms(25)), Ecn::Ect0), 0);
    let ramp = Marking::Ramp {
        min: ms(5),
        max: ms(25),
        max_probability: 0.0,
    };
    assert_eq!(marked(ramp, Ecn::Ect0), 7);
}

#[test]
fn what_does_not_fit_is_told_or_split() {
    let narrow = Direction {
        mtu: 576,
        ..Direction::default()
    };
    let (mut sim, left, right, _) = two(1, narrow);
    sim.get_mut(left).send(addr(A), addr(B), &[1; 549]);
    sim.get_mut(left).send(addr(A), addr(B), &[1; 548]);
    sim.run_for(ms(1)).unwrap();
    let path = wire::Path::udp(addr(A), addr(B));
    assert_eq!(sim.get(left).errors, [(path, IcmpError::TooBig { mtu: 576 })]);
    assert_eq!(sim.get(right).got.len(), 1);
    sim.sockets(left).set_fragmentation(addr(A), true);
    sim.get_mut(left).send(addr(A), addr(B), &[1; 3000]);
    sim.run_for(ms(1)).unwrap();
    assert_eq!(sim.get(right).got[1].bytes.len(), 3000);
}

#[test]
fn one_lost_fragment_loses_all() {
    let direction = Direction {
        mtu: 576,
        loss: Loss::Random(0.1),
        ..Direction::default()
    };
    let (mut sim, left, right, _) = two(1, direction);
    sim.sockets(left).set_fragmentation(addr(A), true);
    for _ in 0..2000 {
        // 2208 with the UDP header: four fragments of 552.
        sim.get_mut(left).send(addr(A), addr(B), &[0; 2200]);
    }
    assert!(sim.run_until_idle(secs(1)).unwrap());
    assert!(
        fits(sim.get(right).got.len(), 2000, 0.9_f64.powi(4)),
        "{}",
        sim.get(right).got.len()
    );
}

#[test]
fn a_link_goes_down_and_a_hook_decides() {
    let (mut sim, left, right, link) = two(1, Direction::default());
    sim.set_link_up(link, false);
    sim.get_mut(left).send(addr(A), addr(B), b"1");
    sim.run_for(ms(1)).unwrap();
    assert_eq!(sim.counters().dropped_for(DropReason::LinkDown), 1);
    sim.set_link_up(link, true);
    sim.set_hook(link, Way::Forward, |_, packet| match packet.payload {
        b"2" => Verdict::Drop,
        b"3" => Verdict::Duplicate,
        _ => Verdict::Pass,
    });
    for bytes in [b"2", b"3", b"4"] {
        sim.get_mut(left).send(addr(A), addr(B), bytes);
    }
    sim.run_for(ms(1)).unwrap();
    let got: Vec<_> = sim.get(right).got.iter().map(|got| got.bytes[0]).collect();
    assert_eq!(got, b"334");
    assert_eq!(sim.counters().dropped_for(DropReason::Hook), 1);
}

#[test]
fn what_a_hook_held_back_meets_the_link_like_any_other() {
    // 222 bytes and 28 of headers: 2 ms each.
    let slow = Direction {
        rate: Some(Bitrate::from_mbps(1)),
        ..Direction::with_delay(ms(5))
    };
    let (mut sim, left, right, link) = two(1, slow);
    sim.set_hook(link, Way::Forward, |_, packet| match packet.payload.first() {
        Some(1) => Verdict::Delay(ms(10)),
        _ => Verdict::Pass,
    });
    let send = |sim: &mut Sim, first: u8, len: usize| {
        sim.get_mut(left).send(addr(A), addr(B), &vec![first; len]);
    };
    send(&mut sim, 1, 222);
    send(&mut sim, 1, 222);
    send(&mut sim, 2, 222);
    assert!(sim.run_until_idle(secs(1)).unwrap());
    let got = |sim: &Sim| {
        let got = sim.get(right).got.iter();
        got.map(|got| (got.bytes[0], got.at)).collect::<Vec<_>>()
    };
    assert_eq!(got(&sim), [(2, ms(7)), (1, ms(17)), (1, ms(19))], "each takes its time");

    sim.direction_mut(link, Way::Forward).mtu = 200;
    send(&mut sim, 1, 222);
    sim.run_for(ms(20)).unwrap();
    assert_eq!(sim.counters().dropped_for(DropReason::TooBig), 1);

    sim.direction_mut(link, Way::Forward).loss = Loss::Random(1.0);
    send(&mut sim, 1, 1);
    sim.run_for(ms(20)).unwrap();
    assert_eq!(sim.counters().dropped_for(DropReason::Loss), 1);

    send(&mut sim, 1, 1);
    sim.run_for(ms(5)).unwrap();
    sim.set_link_up(link, false);
    sim.run_for(ms(20)).unwrap();
    assert_eq!(sim.counters().dropped_for(DropReason::LinkDown), 1);
    assert_eq!(got(&sim).len(), 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn no_packet_is_lost_sight_of(
        run: u64,
        loss in 0.0..0.5,
        jitter in 0u64..20,
        kbps in proptest::option::of(100u64..2000),
        duplicate in prop_oneof![Just(0.0), 0.0..0.3],
        hold in proptest::option::of(0.0..0.3),
        stop in 0u64..300,
    ) {
        let direction = Direction {
            rate: kbps.map(Bitrate::from_kbps),
            queue: Queue::bytes(500),
            jitter: ms(jitter),
            loss: Loss::Random(loss),
            duplicate,
            reorder: hold.map(|probability| Reorder { probability, min: ms(1), max: ms(30) }),
            ..Direction::with_delay(ms(10))
        };
        let (mut sim, left, right, _) = two(run, direction);
        for number in 0..200u32 {
            sim.get_mut(left).send(addr(A), addr(B), &number.to_be_bytes());
            sim.run_for(ms(u64::from(number % 3))).unwrap();
        }
        sim.run_for(ms(stop)).unwrap();
        let counters = sim.counters();
        prop_assert_eq!(
            counters.sent + counters.duplicated,
            counters.delivered + counters.dropped() + counters.in_flight
        );
        prop_assert!(sim.run_until_idle(secs(10)).unwrap());
        prop_assert_eq!(sim.counters().in_flight, 0);
        let came: Vec<_> = sim.get(right).got.iter().map(|got| got.bytes.clone()).collect();
        if hold.is_none() {
            prop_assert!(came.is_sorted());
        }
        if duplicate == 0.0 {
            let mut once = came.clone();
            once.sort();
            once.dedup();
            prop_assert_eq!(once.len(), came.len());
        }
    }
}
