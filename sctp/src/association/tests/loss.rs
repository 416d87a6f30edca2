//! What is lost, late, or thought to be (RFC 9260 §6.3, §7; RFC 8985).

use super::*;
use crate::chunk::Sack;

/// Drops the data packets of A with these numbers, counted from 0.
fn drop_packets(pair: &mut Pair, which: &[usize]) {
    let which = which.to_vec();
    let mut number = 0;
    pair.hook(move |from, chunks| {
        if from != A || !has_data(chunks) {
            return Fate::Pass;
        }
        number += 1;
        if which.contains(&(number - 1)) {
            Fate::Drop
        } else {
            Fate::Pass
        }
    });
}

/// When data was sent.
fn times(pair: &Pair) -> Vec<u128> {
    let data = pair
        .log
        .iter()
        .filter(|(from, _, text)| *from == A && text.contains("DATA"));
    data.map(|(_, at, _)| at.as_millis()).collect()
}

/// RFC 7053 §4: the last packet asks for a SACK at once, and none before it.
#[test]
fn the_last_packet_of_a_burst_asks_for_a_sack() {
    for count in [1, 2, 7, 300] {
        let mut pair = Pair::new();
        pair.send(A, 1, &[7; 1000].repeat(count));
        let end = count * 1000;
        let seen = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        let also = seen.clone();
        pair.hook(move |from, chunks| {
            if from == A {
                also.borrow_mut().extend(tsns(chunks));
            }
            Fate::Pass
        });
        pair.run(ms(3000));
        let mut seen = seen.borrow_mut();
        assert!(seen.pop().unwrap().1, "{count}");
        assert!(seen.iter().all(|(_, immediate)| !immediate), "{count}: {seen:?}");
        assert_eq!(pair.inboxes[B].bytes, end);
        assert_eq!(pair.ends[A].counters(), Default::default());
    }
}

/// RFC 8985 §7: the end of a burst is repeated after two round trips, and that is all.
#[test]
fn the_last_packet_is_repeated_by_a_probe() {
    let mut pair = Pair::new();
    drop_packets(&mut pair, &[0]);
    pair.send(A, 1, b"x");
    pair.run(ms(1000));
    assert_eq!(times(&pair), [0, 200]);
    let counters = pair.ends[A].counters();
    assert_eq!((counters.sctp_probes, counters.sctp_timeouts), (1, 0));
    assert_eq!(pair.inboxes[B].messages.len(), 1);
}

/// RFC 9260 §6.3.3 E2: when the probe is lost as well, there is the time-out, doubled each time.
#[test]
fn time_outs_double_after_a_lost_probe() {
    let mut pair = Pair::new();
    let rto = pair.ends[A].recovery.rtt().rto(true);
    drop_packets(&mut pair, &[0, 1, 2, 3]);
    pair.send(A, 1, b"x");
    pair.run(ms(5000));
    let times = times(&pair);
    let waits: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let rto = rto.as_millis();
    assert_eq!(waits, [rto.min(200), rto, 2 * rto, 4 * rto], "{times:?}");
    assert_eq!(pair.ends[A].counters().sctp_timeouts, 3);
    assert!(pair.ends[A].stats().window < 1160 * 2, "slow start from one packet");
}

/// RFC 8985 §6.2, step 2: what comes sooner after it was repeated than a round trip ever took says nothing of what was sent
/// before it. Then one probe after the other would bring a packet each; the time-out brings all.
#[test]
fn a_probe_that_finds_nothing_is_followed_by_a_time_out() {
    let config = Config::default();
    let mut pair = Pair::of(&config, &config);
    pair.hook(|from, _| if from == A { Fate::Late(ms(300)) } else { Fate::Pass });
    let now = pair.now;
    pair.ends[A].connect(now);
    pair.run(ms(3000));
    pair.send(A, 0, b"round trip");
    pair.run(ms(3000));
    assert_eq!(pair.ends[A].recovery.rtt().min(), Some(ms(400)));
    pair.inboxes = Default::default();
    let before = pair.ends[A].counters();
    drop_packets(&mut pair, &[0, 1, 2, 3, 4, 5, 6, 7]);
    pair.send(A, 1, &[7; 8000]);
    pair.run(ms(4000));
    assert_eq!(pair.inboxes[B].bytes, 8000);
    let after = pair.ends[A].counters();
    assert_eq!(after.sctp_probes - before.sctp_probes, 1);
    assert_eq!(after.sctp_timeouts - before.sctp_timeouts, 1);
}

/// RFC 9260 §6.3.1 C5: a round trip is not measured by what was sent twice.
#[test]
fn a_probe_measures_no_round_trip() {
    let mut pair = Pair::new();
    let before = pair.ends[A].stats().round_trip;
    let mut count = 0;
    // The first transmission is very late: both come, and the SACK of the first is soon after the probe.
    pair.hook(move |from, chunks| {
        count += u32::from(from == A && has_data(chunks));
        if count == 1 && from == A {
            Fate::Late(ms(140))
        } else {
            Fate::Pass
        }
    });
    pair.send(A, 1, b"x");
    pair.run(ms(1000));
    assert_eq!(times(&pair), [0, 200]);
    assert_eq!(pair.ends[A].stats().round_trip, before);
    assert_eq!(pair.ends[A].counters().sctp_spurious_retransmissions, 1);
}

/// RFC 8985 §7.4.2: a probe that was needed costs as much as any loss, one that was not costs nothing.
#[test]
fn a_probe_is_judged_when_what_follows_has_come() {
    for is_lost in [true, false] {
        let mut pair = Pair::new();
        let mut count = 0;
        pair.hook(move |from, chunks| {
            count += u32::from(from == A && has_data(chunks));
            match (from, count) {
                (A, 1) if is_lost => Fate::Drop,
                (A, 1) => Fate::Late(ms(140)),
                _ => Fate::Pass,
            }
        });
        let before = pair.ends[A].stats().window;
        pair.send(A, 1, b"x");
        pair.run(ms(600));
        assert_eq!(pair.ends[A].counters().sctp_probes, 1);
        assert_eq!(pair.ends[A].stats().window, before, "nothing is known yet");
        pair.send(A, 1, b"y");
        pair.run(ms(600));
        let after = pair.ends[A].stats().window;
        if is_lost {
            assert!(after < before, "{after}");
        } else {
            assert!(after >= before, "{after}");
        }
    }
}

/// The probe repairs one of several losses: that is one episode, not two.
#[test]
fn a_probe_and_what_it_reveals_reduce_the_window_once() {
    let mut pair = Pair::new();
    drop_packets(&mut pair, &[7, 8, 9]);
    pair.send(A, 1, &[7; 1120 * 10]);
    let before = pair.ends[A].stats().window;
    pair.run(ms(1000));
    pair.send(A, 1, b"y");
    pair.run(ms(1000));
    assert_eq!(pair.inboxes[B].messages.len(), 2);
    let counters = pair.ends[A].counters();
    assert_eq!(
        (
            counters.sctp_probes,
            counters.sctp_timeouts,
            counters.sctp_retransmissions
        ),
        (1, 0, 3)
    );
    let after = pair.ends[A].stats().window as f64;
    assert!(after >= 0.69 * before as f64, "{after} of {before}");
}

/// A part of a message that may not be sent alone is no probe: the time-out comes.
#[test]
fn what_cannot_be_sent_does_not_stop_the_timer() {
    for config in [Config::default(), without_interleaving()] {
        let mut pair = Pair::connected(&config, &config);
        let now = pair.now;
        // The first packet is lost, and of the rest nothing may be sent until there is more.
        drop_packets(&mut pair, &[0]);
        pair.ends[A].send_first_part(now, Pair::message(1, &[7; 1300])).unwrap();
        pair.run(ms(2000));
        assert_eq!(pair.ends[A].stats().in_flight, 0, "{:?}", pair.log);
        let last = Bytes::from_static(b"end");
        pair.ends[A].send_part(pair.now, 1, last, true).unwrap();
        pair.run(ms(1000));
        assert_eq!(pair.inboxes[B].bytes, 1303);
    }
}

/// RFC 8985 §6.2, step 4: packets that are overtaken a little are not lost.
#[test]
fn a_little_reordering_is_borne() {
    let mut pair = Pair::new();
    let mut count = 0;
    pair.hook(move |from, chunks| {
        count += u32::from(from == A && has_data(chunks));
        if from == A && count % 10 == 3 {
            Fate::Late(ms(12))
        } else {
            Fate::Pass
        }
    });
    let before = pair.ends[A].stats().window;
    for _ in 0..20 {
        pair.send(A, 1, &[7; 1120 * 5]);
        pair.run(ms(200));
    }
    let counters = pair.ends[A].counters();
    assert_eq!(counters.sctp_retransmissions, 0);
    assert!(pair.ends[A].stats().window >= before);
}

/// The same where the distance is large: it is learnt by what came twice.
#[test]
fn reordering_is_learnt_from_duplicates() {
    let mut pair = Pair::new();
    let mut count = 0;
    // More than three packets overtake, by less than a quarter of a round trip.
    pair.hook(move |from, chunks| {
        count += u32::from(from == A && has_data(chunks));
        if from == A && count % 16 == 3 {
            Fate::Late(ms(20))
        } else {
            Fate::Pass
        }
    });
    for _ in 0..40 {
        pair.send(A, 1, &[7; 1120 * 40]);
        pair.run(ms(400));
    }
    let counters = pair.ends[A].counters();
    assert!(counters.sctp_retransmissions <= 8, "{counters:?}");
    assert_eq!(pair.inboxes[B].messages.len(), 40);
}

/// RFC 8985 §6.2, step 2: when the first transmission of what was sent again comes, that says nothing about what was sent between
/// the two.
#[test]
fn a_late_packet_does_not_condemn_the_others() {
    let mut pair = Pair::new();
    pair.inboxes[B].only_bytes = true;
    // A window that takes the whole round trip to be sent.
    pair.send(A, 1, &[7; 300_000]);
    pair.run(ms(3000));
    let mut count = 0;
    pair.hook(move |from, chunks| {
        count += u32::from(from == A && has_data(chunks));
        // It comes shortly after it was sent again.
        if from == A && count == 60 {
            Fate::Late(ms(60))
        } else {
            Fate::Pass
        }
    });
    pair.send(A, 1, &[7; 1120 * 600]);
    pair.run(ms(3000));
    let counters = pair.ends[A].counters();
    assert_eq!(pair.inboxes[B].bytes, 300_000 + 1120 * 600);
    assert_eq!(
        (counters.sctp_retransmissions, counters.sctp_timeouts),
        (1, 0),
        "{counters:?}"
    );
}

/// Where nothing was lost in spite of a time-out, the window is as before, and what is under way is not sent again.
#[test]
fn a_time_out_for_nothing_is_undone() {
    let mut pair = Pair::new();
    // All is late, as when a handover is under way.
    pair.hook(|from, _| if from == A { Fate::Late(ms(450)) } else { Fate::Pass });
    pair.send(A, 1, &[7; 1120 * 10]);
    pair.run(ms(20));
    let before = pair.ends[A].stats().window;
    pair.run(ms(500));
    pair.pass();
    pair.run(ms(4000));
    let counters = pair.ends[A].counters();
    assert!(counters.sctp_timeouts > 0);
    assert_eq!(counters.sctp_spurious_timeouts, 1, "{counters:?}");
    assert!(
        pair.ends[A].stats().window >= before,
        "{:?} {before}",
        pair.ends[A].stats()
    );
    assert_eq!(pair.inboxes[B].messages.len(), 1);
    assert!(counters.sctp_retransmissions <= 5, "{counters:?}");
}

#[test]
fn a_lost_burst_comes_without_much_delay() {
    for lost in [&[0_usize][..], &[3, 4, 5], &[0, 9], &[8, 9], &[5, 6, 7, 8, 9]] {
        for config in [Config::default(), without_interleaving()] {
            let mut pair = Pair::connected(&config, &config);
            drop_packets(&mut pair, lost);
            pair.send(A, 1, &[7; 1120 * 10]);
            pair.run(ms(450));
            assert_eq!(pair.inboxes[B].messages.len(), 1, "{lost:?} {:?}", pair.log);
            let counters = pair.ends[A].counters();
            assert_eq!(counters.sctp_retransmissions, lost.len() as u64, "{lost:?}");
            assert_eq!(counters.sctp_timeouts, 0);
        }
    }
}

/// Twenty gaps are all that dcSCTP reports.
#[test]
fn gaps_that_the_peer_keeps_back_are_not_lost() {
    let config = Config {
        send_buffer: 4 << 20,
        ..Config::default()
    };
    let mut pair = Pair::connected(&config, &config);
    pair.inboxes[B].only_bytes = true;
    // Every other packet of a long run is lost, on top of a window that is large by then.
    pair.send(A, 1, &[7; 1_000_000]);
    pair.run(ms(3000));
    let mut number = 0;
    pair.hook(move |from, chunks| {
        if from != A || !has_data(chunks) {
            return Fate::Pass;
        }
        number += 1;
        if number < 120 && number % 2 == 0 {
            Fate::Drop
        } else {
            Fate::Pass
        }
    });
    pair.send(A, 1, &[7; 300_000]);
    // The SACKs of B as dcSCTP would have written them.
    let mut out = [0; 2000];
    let end = pair.now + ms(5000);
    while pair.now < end {
        pair.run(ms(1));
        for (to, bytes) in pair.wire.values_mut() {
            if *to == A {
                *bytes = truncated(bytes, &mut out);
            }
        }
    }
    let counters = pair.ends[A].counters();
    assert_eq!(pair.inboxes[B].bytes, 1_300_000);
    assert_eq!(counters.sctp_spurious_retransmissions, 0, "{counters:?}");
    assert_eq!(counters.sctp_retransmissions, 59);
}

/// The same packet, with 20 gap blocks at most.
fn truncated(bytes: &[u8], out: &mut [u8]) -> Vec<u8> {
    let packet = Packet::parse(bytes).unwrap();
    let mut w = crate::PacketWriter::new(out, 1200, packet.header()).unwrap();
    for raw in packet.chunks() {
        let chunk = Chunk::of(raw.unwrap()).unwrap();
        if let Chunk::Sack(sack) = chunk {
            let blocks: Vec<_> = sack.gap_ack_blocks.iter().take(20).collect();
            let sack = Sack {
                gap_ack_blocks: crate::List::new(&blocks),
                ..sack
            };
            w.push(&Chunk::Sack(sack)).unwrap();
        } else {
            w.push(&chunk).unwrap();
        }
    }
    w.finish(Checksum::Crc32c).to_vec()
}
