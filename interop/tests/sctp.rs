//! The SCTP of webrtc-rs and of str0m as foreign peers, in memory and in virtual time.

#[path = "sctp/meeting.rs"]
mod meeting;
#[path = "../../sctp/tests/usrsctp/plan.rs"]
#[allow(dead_code, reason = "what tells the C program what to do")]
mod plan;
#[path = "sctp/proto.rs"]
mod proto;
#[path = "sctp/rtc.rs"]
mod rtc;

use std::time::Instant;

use meeting::{Begins, Foreign, Meeting, Way, is_unordered, percent};
use plan::Plan;
use proto::Proto;
use rtc::Rtc;
use sctp::dcep::Reliability;
use sctp::{Association, Chunk, ChunkType, CloseReason, Config, Event, Packet, ResetStreams};
use wire::Seed;

/// A message of so many bytes. Others than the protocols of WebRTC get lost: a string or binary.
fn message(stream: u16, len: usize, number: u64) -> Plan {
    let seed = number * 1000 + 2 * (number % 2);
    if is_unordered(stream) {
        Plan::unordered(stream, len, seed)
    } else {
        Plan::ordered(stream, len, seed)
    }
}

fn many_sizes(first: u64) -> Vec<Plan> {
    let sizes = [
        1, 2, 3, 4, 1000, 1128, 1132, 1133, 1160, 2264, 16_384, 65_535, 65_536, 262_144,
    ];
    let numbered = sizes.into_iter().enumerate();
    numbered
        .flat_map(|(number, len)| {
            let streams = [[0, 1, 7, 99][number % 4], 100, 2, 101];
            let number = first + 4 * number as u64;
            streams
                .into_iter()
                .zip(number..)
                .map(move |(stream, number)| message(stream, len, number))
        })
        .collect()
}

fn greetings(first: u64) -> Vec<Plan> {
    vec![
        message(0, 5, first),
        message(3, 70_000, first + 1),
        message(103, 3000, first + 2),
    ]
}

fn meets<T: Foreign>() {
    for begins in [Begins::We, Begins::They, Begins::Both] {
        let mut meeting = Meeting::<T>::connected(begins);
        meeting.exchange(&many_sizes(1), &many_sizes(500));
        meeting.exchange(&many_sizes(1000), &[]);
        meeting.exchange(&[], &many_sizes(1500));
        let counters = meeting.ours.counters();
        let wrong = [
            counters.sctp_malformed,
            counters.sctp_bad_checksum,
            counters.sctp_wrong_tag,
        ];
        assert_eq!(wrong, [0; 3], "{begins:?}: {counters:?}");
    }
}

fn loses<T: Foreign>() {
    for seed in 0..5 {
        for begins in [Begins::We, Begins::They, Begins::Both] {
            let mut meeting = Meeting::<T>::new(begins);
            meeting.loss = percent(20, seed);
            meeting.until_up();
            meeting.loss = percent(2, seed);
            meeting.exchange(&many_sizes(1), &many_sizes(500));
        }
    }
}

/// Streams of ours that begin anew.
fn done(events: &[Event]) -> usize {
    events
        .iter()
        .filter(|event| **event == Event::ResetDone(vec![3]))
        .count()
}

/// Streams of theirs that begin anew.
fn reset_by_peer(events: &[Event]) -> usize {
    let reset = Event::PeerReset(ResetStreams::Listed(vec![3]));
    events.iter().filter(|event| **event == reset).count()
}

fn resets<T: Foreign>() {
    for share in [0, 5] {
        let mut meeting = Meeting::<T>::connected(Begins::We);
        let mut lost = percent(share, 9);
        let repeats = T::REPEATS_RESETS;
        meeting.loss = Box::new(move |way, packet| {
            let mut chunks = Packet::parse(packet).unwrap().chunks();
            let is_reset = chunks.any(|chunk| chunk.unwrap().chunk_type() == ChunkType::RE_CONFIG);
            lost(way, packet) && (repeats || !is_reset)
        });
        for round in 1..6 {
            meeting.exchange(&greetings(1), &greetings(10));
            // As with data channels, who is asked resets its own in turn: they do it by themselves.
            if round % 2 == 0 {
                meeting.ours.reset(3);
            } else {
                meeting.theirs.reset(meeting.now, 3);
                meeting.until("their reset", |meeting| reset_by_peer(&meeting.events) >= round);
                meeting.ours.reset(3);
            }
            meeting.until("both resets", |meeting| {
                done(&meeting.events) == round && reset_by_peer(&meeting.events) >= round
            });
            // webrtc-rs resets its own a second time when ours is reset, and does not wait for the answer before it sends.
            meeting.rest();
        }
        meeting.exchange(&greetings(1), &greetings(10));
    }
}

/// Messages that are given up.
fn gives_up<T: Foreign>() {
    for way in [Way::Out, Way::In] {
        for reliability in [
            Reliability::Retransmissions(0),
            Reliability::Retransmissions(2),
            Reliability::Lifetime(300),
        ] {
            for stream in [5, 105] {
                let mut meeting = Meeting::<T>::connected(Begins::We);
                // webrtc-rs does not heed a FORWARD TSN about a stream of which it has heard nothing.
                let first = [message(stream, 10, 1)];
                meeting.exchange(&first, &first);
                meeting.loss = Box::new(move |its_way, packet| {
                    let chunks = Packet::parse(packet).unwrap().chunks();
                    let mut chunks = chunks.filter_map(|chunk| Chunk::of(chunk.ok()?).ok());
                    let mut is_lost = |chunk| matches!(chunk, Chunk::Data(data) if data.header.stream == stream);
                    its_way == way && chunks.any(&mut is_lost)
                });
                for len in [100, 20_000] {
                    let plan = Plan {
                        reliability,
                        ..message(stream, len, 2)
                    };
                    match way {
                        Way::Out => meeting.ours.send(meeting.now, plan.message()).unwrap(),
                        Way::In => meeting.theirs.send(meeting.now, &plan),
                    }
                }
                meeting.until("FORWARD TSN", |meeting| meeting.sent(way, ChunkType::FORWARD_TSN) > 0);
                let behind = [message(6, 100, 20), message(6, 9000, 21)];
                match way {
                    Way::Out => meeting.exchange(&behind, &[]),
                    Way::In => meeting.exchange(&[], &behind),
                }
                meeting.loss = percent(0, 0);
                let after = [message(stream, 3000, 30), message(stream, 1, 31)];
                meeting.exchange(&after, &after);
            }
        }
    }
}

fn shuts_down<T: Foreign>() {
    for share in [0, 10] {
        for begins in [Begins::We, Begins::They] {
            let mut meeting = Meeting::<T>::connected(begins);
            meeting.exchange(&greetings(1), &greetings(10));
            // They shut down before what they have sent is acknowledged.
            meeting.rest();
            meeting.loss = percent(share, 4);
            match begins {
                Begins::We => meeting.ours.shutdown(meeting.now),
                _ => meeting.theirs.shutdown(),
            }
            // Neither ever says that it has ended when it has sent SHUTDOWN COMPLETE.
            meeting.until("the end", |meeting| {
                meeting.events.contains(&Event::Closed(CloseReason::Shutdown))
                    && (begins == Begins::They || meeting.theirs.diary().lost.is_some())
            });
        }
    }
}

fn aborts<T: Foreign>() {
    let mut meeting = Meeting::<T>::connected(Begins::We);
    meeting.exchange(&greetings(1), &greetings(10));
    meeting.ours.abort();
    meeting.until("the end", |meeting| meeting.theirs.diary().lost.is_some());
}

fn begins_anew<T: Foreign>() {
    for begins in [Begins::We, Begins::They] {
        let mut meeting = Meeting::<T>::connected(begins);
        meeting.exchange(&many_sizes(1), &many_sizes(500));
        // All is said, so that nothing of before is on its way.
        meeting.rest();
        meeting.theirs = T::new(true, meeting.now);
        meeting.until("restart", |meeting| {
            meeting.events.contains(&Event::Restarted) && meeting.theirs.diary().is_up
        });
        meeting.exchange(&many_sizes(1), &many_sizes(500));
    }
}

macro_rules! tests {
    ($($name:ident: $peer:ty),*) => {$(
        mod $name {
            #[test]
            fn messages() {
                super::meets::<$peer>();
            }

            #[test]
            fn loss() {
                super::loses::<$peer>();
            }

            #[test]
            fn resets() {
                super::resets::<$peer>();
            }

            #[test]
            fn partial_reliability() {
                super::gives_up::<$peer>();
            }

            #[test]
            fn abort() {
                super::aborts::<$peer>();
            }

            #[test]
            fn restart() {
                super::begins_anew::<$peer>();
            }

            #[test]
            fn shutdown() {
                super::shuts_down::<$peer>();
            }
        }
    )*};
}

tests!(webrtc_rs: super::Rtc, str0m: super::Proto);

#[test]
fn snap_with_str0m() {
    let now = Instant::now();
    let mut ours = Association::new(&Config::default(), Seed::from_run(1), now);
    let mut init = [0; 64];
    let len = ours.local_init(&mut init).unwrap();
    let (theirs, its_init) = Proto::with_snap(&init[..len]);
    ours.connect_with(now, &its_init).unwrap();
    let mut meeting = Meeting::of(now, ours, theirs);
    meeting.until_up();
    // Nothing was said for it.
    assert_eq!(meeting.now, now);
    assert!(meeting.ours.is_partially_reliable());
    meeting.exchange(&many_sizes(1), &many_sizes(500));
    meeting.ours.reset(0);
    meeting.until("a reset", |meeting| meeting.events.contains(&Event::ResetDone(vec![0])));
    for kind in [
        ChunkType::INIT,
        ChunkType::INIT_ACK,
        ChunkType::COOKIE_ECHO,
        ChunkType::COOKIE_ACK,
    ] {
        assert_eq!(meeting.sent(Way::Out, kind) + meeting.sent(Way::In, kind), 0);
    }
}
