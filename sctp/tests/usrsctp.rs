//! usrsctp, the stack inside Firefox, as a foreign peer: over sockets on the loopback interface, one packet in each datagram.
#![allow(missing_docs)]

#[path = "usrsctp/meeting.rs"]
mod meeting;
#[path = "usrsctp/plan.rs"]
mod plan;
#[path = "usrsctp/program.rs"]
mod program;

use std::time::Duration;

use meeting::{Meeting, Way, data_of, percent};
use plan::Plan;
use sctp::dcep::Reliability;
use sctp::{CauseCode, ChunkType, CloseReason, Config, Event, ResetStreams, SendError};

/// Messages from one byte to a megabyte, on the edges of packets, ordered and not, on several streams.
fn many_sizes(seed: u64) -> Vec<Plan> {
    let sizes = [
        1,
        2,
        3,
        4,
        1000,
        1128,
        1132,
        1133,
        2264,
        16_384,
        65_535,
        65_536,
        262_144,
        1 << 20,
    ];
    let mut plans = Vec::new();
    for (number, len) in sizes.into_iter().enumerate() {
        let number = number as u64;
        let stream = [0, 1, 7, 1023][number as usize % 4];
        plans.push(Plan::ordered(stream, len, seed + 3 * number));
        plans.push(Plan::unordered(stream, len, seed + 3 * number + 1));
        plans.push(Plan::ordered(2, len, seed + 3 * number + 2));
    }
    plans
}

fn greetings(seed: u64) -> Vec<Plan> {
    vec![
        Plan::ordered(0, 5, seed),
        Plan::ordered(3, 70_000, seed + 1),
        Plan::unordered(3, 3000, seed + 2),
    ]
}

#[test]
fn we_connect() {
    let mut meeting = Meeting::connected(Config::default());
    assert!(meeting.association.is_partially_reliable());
    assert!(!meeting.association.is_interleaving());
    assert_eq!(meeting.association.outbound_streams(), 2048);
    assert_eq!(meeting.peer.said("up").unwrap(), "2048 2048");
    meeting.exchange(&many_sizes(1), &many_sizes(1000));
    assert_eq!(meeting.association.counters().sctp_malformed, 0);
}

#[test]
fn it_connects() {
    let mut meeting = Meeting::new(Config::default());
    meeting.peer.tell("connect");
    meeting.until_up();
    meeting.exchange(&many_sizes(1), &many_sizes(1000));
    assert_eq!(meeting.passed(Way::Out, ChunkType::INIT), 0);
}

#[test]
fn both_connect_at_once() {
    for lost in [None, Some(Way::Out), Some(Way::In)] {
        let mut meeting = Meeting::new(Config::default());
        let mut is_first = true;
        meeting.loss = Box::new(move |way, _| Some(way) == lost && std::mem::take(&mut is_first));
        meeting.peer.tell("connect");
        // Ours goes out before theirs is read.
        meeting.wait_for_packet();
        meeting.connect();
        meeting.until_up();
        assert!(meeting.passed(Way::Out, ChunkType::INIT) > 0 || lost == Some(Way::Out));
        assert!(meeting.passed(Way::In, ChunkType::INIT) > 0 || lost == Some(Way::In));
        meeting.exchange(&greetings(1), &greetings(100));
    }
}

#[test]
fn set_up_on_a_bad_link() {
    for seed in 0..4 {
        let mut meeting = Meeting::new(Config::default());
        meeting.loss = percent(30, seed);
        match seed % 2 {
            0 => {
                meeting.listen();
                meeting.connect();
            }
            _ => meeting.peer.tell("connect"),
        }
        meeting.until_up();
        meeting.loss = percent(0, 0);
        meeting.exchange(&greetings(1), &greetings(100));
    }
}

#[test]
fn five_megabytes_each_way_with_a_tenth_lost() {
    let mut meeting = Meeting::connected(Config::default());
    meeting.loss = percent(10, 3);
    let plans = |seed: u64| -> Vec<Plan> {
        (0..80)
            .map(|number| match number % 4 {
                3 => Plan::unordered(9, 65_536, seed + number),
                stream => Plan::ordered(stream as u16, 65_536, seed + number),
            })
            .collect()
    };
    meeting.exchange(&plans(1), &plans(1000));
    let counters = meeting.association.counters();
    assert!(counters.sctp_retransmissions > 100, "{counters:?}");
    // Nobody is punished for a path that loses much.
    meeting.exchange(&greetings(1), &greetings(100));
}

#[test]
fn a_thousand_streams() {
    let mut meeting = Meeting::connected(Config::default());
    let plans = |seed: u64| -> Vec<Plan> {
        (0..3000)
            .map(|number| Plan::ordered((number % 1000) as u16, 1 + number as usize, seed + number))
            .collect()
    };
    meeting.exchange(&plans(1), &plans(10_000));

    let all: Vec<u16> = (0..1000).collect();
    all.iter().for_each(|stream| meeting.association.reset(*stream));
    meeting.until("resets of ours", |meeting| {
        done(&meeting.events) == all && meeting.peer.numbers("reset in") == all
    });
    // usrsctp puts one request into a packet, and takes no more streams at a time.
    meeting.peer.tell("reset out 0 500");
    meeting.until("resets of usrsctp's", |meeting| {
        reset_by_peer(&meeting.events) == all[..500] && meeting.peer.numbers("reset out") == all[..500]
    });
    meeting.exchange(&plans(1), &plans(10_000));
}

#[test]
fn streams_begin_anew() {
    for share in [0, 20] {
        let mut meeting = Meeting::connected(Config::default());
        meeting.loss = percent(share, 5);
        meeting.exchange(&greetings(1), &greetings(100));
        for round in 0..3 {
            // The reset waits for what was sent before.
            meeting.exchange(&[Plan::ordered(3, 100_000, 7)], &[Plan::ordered(3, 100_000, 8)]);
            meeting.association.reset(3);
            assert_eq!(
                meeting
                    .association
                    .send(std::time::Instant::now(), Plan::ordered(3, 1, 1).message()),
                Err(SendError::Busy)
            );
            meeting.peer.tell("reset out 3 1");
            let times = vec![3; round + 1];
            meeting.until("both resets", |meeting| {
                done(&meeting.events) == times
                    && reset_by_peer(&meeting.events) == times
                    && meeting.peer.numbers("reset in") == times
                    && meeting.peer.numbers("reset out") == times
            });
            // With the first sequence number again, which would never be delivered otherwise.
            meeting.exchange(&greetings(1), &greetings(100));
        }
    }
}

#[test]
fn it_asks_us_to_reset() {
    let mut meeting = Meeting::connected(Config::default());
    meeting.exchange(&greetings(1), &greetings(100));
    meeting.peer.tell("reset in 3 1");
    let wanted = Event::ResetWanted(ResetStreams::Listed(vec![3]));
    meeting.until("a wish", |meeting| meeting.events.contains(&wanted));
    meeting.association.reset(3);
    meeting.until("a reset", |meeting| {
        done(&meeting.events) == [3] && meeting.peer.numbers("reset in") == [3]
    });
    meeting.exchange(&greetings(1), &greetings(100));
}

#[test]
fn it_asks_for_what_we_do_not_do() {
    // usrsctp 0.9.5 asks for nothing more after the second one was denied.
    for wish in ["add", "reset-all"] {
        let mut meeting = Meeting::connected(Config::default());
        meeting.peer.tell(&format!("{wish} 10"));
        // SCTP_STREAM_CHANGE_DENIED and SCTP_ASSOC_RESET_DENIED.
        meeting.until(wish, |meeting| {
            meeting.peer.said(wish).is_some_and(|flags| flags == "4")
        });
        meeting.exchange(&greetings(1), &greetings(100));
        // It repeats itself on a busy machine, and is content with the answer.
        let asked = meeting.passed(Way::In, ChunkType::RE_CONFIG);
        assert!(asked < 5, "{asked}");
        assert_eq!(meeting.association.counters().sctp_refused_reconfigs, asked as u64);
    }
}

/// Messages of which the first ones are given up.
fn given_up(reliability: Reliability) {
    for way in [Way::Out, Way::In] {
        for unordered in [false, true] {
            let mut meeting = Meeting::connected(Config::default());
            meeting.exchange(&greetings(1), &greetings(100));
            meeting.loss = data_of(way, 5);
            let lost = |len: usize| Plan {
                reliability,
                unordered,
                ..Plan::ordered(5, len, 9)
            };
            // One in one packet, one in many, and others behind them that come.
            let (lost, behind) = (
                [lost(100), lost(20_000)],
                [Plan::ordered(6, 100, 10), Plan::ordered(6, 9000, 11)],
            );
            let kind = ChunkType::FORWARD_TSN;
            for plan in lost.iter().chain(&behind) {
                match way {
                    Way::Out => meeting.send(plan),
                    Way::In => meeting.peer.send(plan),
                }
            }
            meeting.until("FORWARD TSN", |meeting| meeting.passed(way, kind) > 0);
            match way {
                Way::Out => {
                    meeting.until("given up", |meeting| meeting.association.stats().held == 0);
                    assert_eq!(meeting.association.counters().sctp_messages_given_up, 2);
                    meeting.until_come(&behind, &[]);
                }
                Way::In => meeting.until_come(&[], &behind),
            }
            meeting.loss = percent(0, 0);
            // The same stream goes on, though messages of it are missing.
            let after = [
                Plan::ordered(5, 3000, 12),
                Plan::ordered(5, 1, 13),
                Plan::unordered(5, 5000, 14),
            ];
            meeting.exchange(&after, &after);
        }
    }
}

#[test]
fn messages_that_are_never_sent_again() {
    given_up(Reliability::Retransmissions(0));
}

#[test]
fn messages_that_are_sent_again_twice() {
    given_up(Reliability::Retransmissions(2));
}

#[test]
fn messages_that_live_for_a_while() {
    given_up(Reliability::Lifetime(60));
}

#[test]
fn partial_reliability_on_a_bad_link() {
    let mut meeting = Meeting::connected(Config::default());
    meeting.loss = percent(10, 11);
    let plans = |seed: u64| -> Vec<Plan> {
        let reliability = |number| match number % 3 {
            0 => Reliability::Retransmissions(0),
            1 => Reliability::Retransmissions(1),
            _ => Reliability::Lifetime(30),
        };
        (0..600)
            .map(|number| Plan {
                reliability: reliability(number),
                unordered: number % 5 == 0,
                ..Plan::ordered((number % 4) as u16, 200 + 7 * number as usize, seed + number)
            })
            .collect()
    };
    let (ours, theirs) = (plans(1), plans(1000));
    for (our, their) in ours.iter().zip(&theirs) {
        meeting.send(our);
        meeting.peer.send(their);
    }
    // Reliable ones behind them, after which nothing is under way.
    let last: Vec<Plan> = (0..4).map(|stream| Plan::ordered(stream, 10, 5000)).collect();
    for plan in &last {
        meeting.send(plan);
        meeting.peer.send(plan);
    }
    let has_last = |letters: &[plan::Letter]| last.iter().all(|last| letters.contains(&last.letter()));
    meeting.until("the last ones", |meeting| {
        has_last(&meeting.inbox.0) && has_last(&meeting.peer.letters)
    });
    // Most have come, some have not, each at most once, and those of a stream in order.
    for (sent, came) in [(&ours, &meeting.peer.letters), (&theirs, &meeting.inbox.0)] {
        let mut left: Vec<plan::Letter> = sent.iter().chain(&last).map(Plan::letter).collect();
        assert!(
            (left.len() / 2..left.len()).contains(&came.len()),
            "{} came",
            came.len()
        );
        for stream in 0..4 {
            let mut sent = left
                .iter()
                .filter(|letter| letter.stream == stream && !letter.unordered);
            let mut came = came
                .iter()
                .filter(|letter| letter.stream == stream && !letter.unordered);
            assert!(
                came.all(|came| sent.any(|sent| sent == came)),
                "order on stream {stream}"
            );
        }
        for letter in came {
            let at = left
                .iter()
                .position(|sent| sent == letter)
                .expect("what was sent, and once");
            left.remove(at);
        }
    }
    assert!(meeting.passed(Way::Out, ChunkType::FORWARD_TSN) > 0);
    assert!(meeting.passed(Way::In, ChunkType::FORWARD_TSN) > 0);
}

#[test]
fn we_shut_down() {
    for share in [0, 20] {
        let mut meeting = Meeting::connected(Config::default());
        meeting.loss = percent(share, 2);
        let ours = many_sizes(1);
        ours.iter().for_each(|plan| meeting.send(plan));
        meeting.association.shutdown(std::time::Instant::now());
        meeting.until("the end", |meeting| {
            meeting.events.contains(&Event::Closed(CloseReason::Shutdown)) && meeting.peer.said("ended").is_some()
        });
        meeting.until_come(&ours, &[]);
    }
}

#[test]
fn it_shuts_down() {
    for (share, theirs) in [(0, many_sizes(100)), (20, greetings(100))] {
        let mut meeting = Meeting::connected(Config::default());
        meeting.loss = percent(share, 2);
        let ours = greetings(1);
        theirs.iter().for_each(|plan| meeting.peer.send(plan));
        meeting.peer.tell("shutdown");
        // What we had accepted before the SHUTDOWN came goes out nevertheless (RFC 9260 §9.2).
        ours.iter().for_each(|plan| meeting.send(plan));
        meeting.until("the end", |meeting| {
            meeting.events.contains(&Event::Closed(CloseReason::Shutdown)) && meeting.peer.said("ended").is_some()
        });
        meeting.until_come(&ours, &theirs);
    }
}

#[test]
fn both_shut_down_at_once() {
    let mut meeting = Meeting::connected(Config::default());
    meeting.exchange(&greetings(1), &greetings(100));
    // Each SHUTDOWN crosses the other one: the first of theirs is lost.
    let mut lost = false;
    meeting.loss = Box::new(move |way, _| way == Way::In && !std::mem::replace(&mut lost, true));
    meeting.peer.tell("shutdown");
    meeting.association.shutdown(std::time::Instant::now());
    meeting.until("the end", |meeting| {
        meeting.events.contains(&Event::Closed(CloseReason::Shutdown)) && meeting.peer.said("ended").is_some()
    });
}

#[test]
fn we_abort() {
    let mut meeting = Meeting::connected(Config::default());
    meeting.exchange(&greetings(1), &greetings(100));
    meeting.association.abort();
    meeting.until("the end", |meeting| meeting.peer.said("lost").is_some());
    assert_eq!(meeting.events.last(), Some(&Event::Closed(CloseReason::Aborted)));
    assert_eq!(
        meeting.peer.said("lost").unwrap(),
        CauseCode::USER_INITIATED_ABORT.0.to_string()
    );
}

#[test]
fn it_aborts() {
    let mut meeting = Meeting::connected(Config::default());
    meeting.exchange(&greetings(1), &greetings(100));
    meeting.peer.tell("abort");
    meeting.until("the end", |meeting| {
        matches!(meeting.events.last(), Some(Event::Closed(_)))
    });
    let reason = CloseReason::AbortedByPeer {
        cause: Some(CauseCode::USER_INITIATED_ABORT),
        text: "enough".to_owned(),
    };
    assert_eq!(meeting.events.last(), Some(&Event::Closed(reason)));
}

#[test]
fn it_begins_anew() {
    let mut meeting = Meeting::connected(Config::default());
    meeting.exchange(&many_sizes(1), &greetings(100));
    // What is on its way at that time is lost; the new one would answer it with an ABORT.
    meeting.loss = data_of(Way::Out, 0);
    meeting.send(&Plan::ordered(0, 500_000, 6));
    meeting.begin_theirs_anew();
    meeting.peer.tell("connect");
    meeting.until("restart", |meeting| meeting.events.contains(&Event::Restarted));
    meeting.loss = percent(0, 0);
    meeting.until_up();
    meeting.exchange(&many_sizes(1), &many_sizes(1000));
}

#[test]
fn we_begin_anew() {
    let mut meeting = Meeting::connected(Config::default());
    meeting.exchange(&greetings(1), &many_sizes(100));
    // usrsctp 0.9.5 stalls later if something was not acknowledged when it learns of the restart.
    meeting.rest();
    meeting.begin_ours_anew();
    meeting.connect();
    meeting.until("restart", |meeting| meeting.peer.said("restarted").is_some());
    meeting.until("set up", |meeting| meeting.events.contains(&Event::Established));
    meeting.exchange(&many_sizes(1), &many_sizes(1000));
}

#[test]
fn its_window_closes() {
    let mut meeting = Meeting::connected(Config::default());
    meeting.peer.tell("pause");
    let ours: Vec<Plan> = (0..8)
        .map(|number| Plan::ordered(number % 3, 1 << 20, number.into()))
        .collect();
    ours.iter().for_each(|plan| meeting.send(plan));
    // It has room for four megabytes, and its answers to our probes say that there is no more.
    meeting.until("a closed window", |meeting| {
        meeting.association.counters().sctp_timeouts >= 3 && meeting.association.stats().in_flight < 5000
    });
    assert!(meeting.peer.letters.len() < 2);
    meeting.peer.tell("resume");
    meeting.until_come(&ours, &[]);
}

#[test]
fn our_window_closes() {
    let mut meeting = Meeting::connected(Config::default());
    meeting.exchange(&greetings(1), &greetings(100));
    meeting.association.set_retained(usize::MAX / 2);
    let theirs: Vec<Plan> = (0..8)
        .map(|number| Plan::ordered(number % 3, 1 << 18, number.into()))
        .collect();
    theirs.iter().for_each(|plan| meeting.peer.send(plan));
    meeting.until("a closed window", |meeting| {
        meeting.passed(Way::In, ChunkType::DATA) > 20
    });
    assert_eq!(meeting.inbox.0, []);
    meeting.association.set_retained(0);
    meeting.until_come(&[], &theirs);
}

#[test]
fn heartbeats_and_larger_packets() {
    let config = Config {
        heartbeat_interval: Duration::from_millis(100),
        largest_packet: 4000,
        ..Config::default()
    };
    let mut meeting = Meeting::new(config);
    // A path that carries 2000 bytes.
    meeting.loss = Box::new(|_, packet| packet.len() > 2000);
    meeting.listen();
    meeting.connect();
    meeting.until_up();
    meeting.until("heartbeats", |meeting| {
        [Way::Out, Way::In].iter().all(|way| {
            meeting.passed(*way, ChunkType::HEARTBEAT) >= 3 && meeting.passed(*way, ChunkType::HEARTBEAT_ACK) >= 3
        })
    });
    meeting.until("the largest packet", |meeting| meeting.association.max_packet() > 1900);
    assert!(meeting.passed(Way::Out, ChunkType::PAD) > 0);
    meeting.exchange(&many_sizes(1), &greetings(100));
}

#[test]
fn nobody_is_there() {
    let config = Config {
        initial_rto: Duration::from_millis(20),
        max_retransmissions: 3,
        ..Config::default()
    };
    let mut meeting = Meeting::new(config);
    // It has a socket that neither listens nor connects, and says so (RFC 9260 §8.4).
    meeting.connect();
    meeting.until("the end", |meeting| {
        matches!(
            meeting.events.last(),
            Some(Event::Closed(CloseReason::AbortedByPeer { .. }))
        )
    });
}

/// Streams of ours that begin anew, sorted.
fn done(events: &[Event]) -> Vec<u16> {
    collect(events, |event| match event {
        Event::ResetDone(streams) => streams.clone(),
        _ => Vec::new(),
    })
}

/// Streams of the peer that begin anew, sorted.
fn reset_by_peer(events: &[Event]) -> Vec<u16> {
    collect(events, |event| match event {
        Event::PeerReset(ResetStreams::Listed(streams)) => streams.clone(),
        _ => Vec::new(),
    })
}

fn collect(events: &[Event], of: impl FnMut(&Event) -> Vec<u16>) -> Vec<u16> {
    let mut streams: Vec<u16> = events.iter().flat_map(of).collect();
    streams.sort_unstable();
    streams
}
