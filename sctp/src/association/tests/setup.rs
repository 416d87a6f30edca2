//! Data around the set-up, the restart and the shutdown.

use super::*;
use crate::close::CloseReason;

/// RFC 9260 §5.1 C: the packet with COOKIE ECHO may have DATA, and no other one before COOKIE ACK. It is what the two INITs agreed on.
#[test]
fn data_goes_with_cookie_echo() {
    for interleaving in [true, false] {
        let config = Config {
            interleaving,
            ..Config::default()
        };
        let mut pair = Pair::of(&config, &config);
        pair.send(A, 1, b"first");
        pair.send(A, 1, &[2; 3000]);
        let now = pair.now;
        pair.ends[A].connect(now);
        pair.run(DELAY * 3);
        let sent = pair.sent(A);
        assert_eq!(sent.len(), 2, "{sent:?}");
        assert!(sent[1].contains("COOKIE ECHO"), "{sent:?}");
        assert_eq!(sent[1].contains("I-DATA"), interleaving, "{sent:?}");
        assert!(sent[1].contains(" stream=1 "), "{sent:?}");
        assert_eq!(pair.inboxes[B].messages, [(1, b"first".to_vec())]);
        pair.run(ms(500));
        assert_eq!(pair.inboxes[B].messages.len(), 2);
        assert_eq!(pair.ends[B].is_interleaving(), interleaving);
        assert_eq!(pair.ends[A].counters(), Default::default());
    }
}

#[test]
fn a_lost_cookie_echo_costs_no_time_out_of_data() {
    let config = Config::default();
    let mut pair = Pair::of(&config, &config);
    pair.send(A, 1, b"first");
    let mut lost = 0;
    pair.hook(move |_, chunks| {
        let is_echo = matches!(chunks[0], Chunk::CookieEcho(_));
        lost += u32::from(is_echo);
        if is_echo && lost <= 2 { Fate::Drop } else { Fate::Pass }
    });
    let now = pair.now;
    pair.ends[A].connect(now);
    pair.run(ms(3000));
    assert_eq!(pair.inboxes[B].messages, [(1, b"first".to_vec())]);
    let counters = pair.ends[A].counters();
    assert_eq!(
        (counters.sctp_timeouts, counters.sctp_retransmissions),
        (0, 2),
        "{:?}",
        pair.log
    );
    let last = pair.sent(A)[3];
    assert!(last.contains("COOKIE ECHO") && last.contains("stream=1"), "{last}");
    assert_eq!(pair.sent(A).len(), 4);
}

/// RFC 9260 §5.1.1: no more streams than the peer takes.
#[test]
fn messages_on_streams_that_the_peer_does_not_take_are_dropped() {
    let narrow = Config {
        inbound_streams: 4,
        ..Config::default()
    };
    for config in [Config::default(), without_interleaving()] {
        let mut pair = Pair::of(
            &config,
            &Config {
                interleaving: config.interleaving,
                ..narrow.clone()
            },
        );
        for stream in [7, 3, 9, 4] {
            pair.send(A, stream, b"x");
        }
        let now = pair.now;
        pair.ends[A].connect(now);
        pair.run(ms(1000));
        assert_eq!(pair.inboxes[B].messages, [(3, b"x".to_vec())]);
        assert_eq!(pair.ends[A].counters().sctp_messages_given_up, 3);
        assert_eq!(pair.ends[B].counters().sctp_invalid_streams, 0);
        assert_eq!(pair.ends[A].stats().held, 0);
        let refused = pair.ends[A].send(pair.now, Pair::message(4, b"x"));
        assert_eq!(refused, Err(SendError::NoSuchStream));
    }
}

/// RFC 9260 §9.2: both sides have data under way; all of it comes.
#[test]
fn a_shutdown_waits_for_data_of_both_sides() {
    for both in [false, true] {
        let mut pair = Pair::new();
        for from in [A, B] {
            pair.send(from, 1, &[3; 200_000]);
        }
        pair.run(ms(10));
        let mut count = 0;
        pair.hook(move |_, chunks| {
            count += u32::from(has_data(chunks));
            if count % 10 == 3 { Fate::Drop } else { Fate::Pass }
        });
        let now = pair.now;
        pair.ends[A].shutdown(now);
        if both {
            pair.ends[B].shutdown(now);
        }
        assert_eq!(pair.ends[A].send(now, Pair::message(1, b"x")), Err(SendError::Closed));
        pair.run(ms(5000));
        for end in [A, B] {
            assert_eq!(pair.inboxes[end].messages.len(), 1, "{both} {end}");
            assert_eq!(
                pair.events[end].last(),
                Some(&Event::Closed(CloseReason::Shutdown)),
                "{both} {end}"
            );
            assert_eq!(pair.ends[end].poll_timeout(), None);
        }
        // What was counted stays.
        assert!(pair.ends[A].counters().sctp_retransmissions > 0);
    }
}

/// RFC 9260 §5.2.4.1, case A: both begin anew, with all streams at 0.
#[test]
fn a_restart_throws_data_away() {
    let config = Config::default();
    let mut pair = Pair::new();
    pair.send(A, 1, &[1; 100_000]);
    pair.send(B, 1, b"to the old one");
    // The first packets of the flight come, the rest does not.
    let mut left = 5;
    pair.hook(move |_, _| {
        left -= 1;
        if left < 0 { Fate::Drop } else { Fate::Pass }
    });
    pair.run(ms(60));
    pair.pass();
    pair.wire.clear();
    let now = pair.now;
    pair.ends[B] = Association::new(&config, Seed::from_run(3), now);
    pair.ends[B].connect(now);
    pair.send(B, 1, b"new");
    pair.inboxes = Default::default();
    pair.events = Default::default();
    pair.run(ms(1000));
    let begins: Vec<_> = pair.events[A]
        .iter()
        .filter(|event| **event != Event::Writable)
        .cloned()
        .collect();
    assert_eq!(begins, [Event::Restarted, Event::Established]);
    assert_eq!(pair.inboxes[A].messages, [(1, b"new".to_vec())]);
    assert_eq!(pair.inboxes[B].messages, []);
    assert_eq!(pair.ends[A].stats().held, 0);
    pair.send(A, 1, b"newer");
    pair.run(ms(500));
    assert_eq!(pair.inboxes[B].messages, [(1, b"newer".to_vec())]);
}

#[test]
fn a_stream_begins_anew_behind_its_data() {
    for config in [Config::default(), without_interleaving()] {
        let mut pair = Pair::connected(&config, &config);
        for _ in 0..3 {
            pair.send(A, 1, &[1; 2000]);
        }
        pair.ends[A].reset(1);
        let busy = pair.ends[A].send(pair.now, Pair::message(1, b"x"));
        assert_eq!(busy, Err(SendError::Busy));
        let mut count = 0;
        pair.hook(move |_, chunks| {
            count += u32::from(has_data(chunks));
            if count == 2 { Fate::Drop } else { Fate::Pass }
        });
        pair.run(ms(2000));
        assert_eq!(pair.inboxes[B].messages.len(), 3);
        assert_eq!(pair.events[A], [Event::ResetDone([1].to_vec())]);
        pair.send(A, 1, b"again");
        pair.run(ms(500));
        assert_eq!(pair.inboxes[B].messages[3], (1, b"again".to_vec()));
        let last = *pair.sent(A).last().unwrap();
        assert!(last.contains("mid=0") || last.contains("ssn=0"), "{last}");
    }
}

/// RFC 9653 §5.2: zero only where the peer takes it, and never with INIT or COOKIE ECHO. What has no parameters of the association
/// is right in any case.
#[test]
fn checksums_are_zero_only_where_they_may_be() {
    let with = Config::default();
    let without = Config {
        zero_checksum: false,
        ..Config::default()
    };
    for (first, second) in [
        (&with, &with),
        (&with, &without),
        (&without, &with),
        (&without, &without),
    ] {
        let mut pair = Pair::of(first, second);
        for end in [A, B] {
            pair.send(end, 1, &[1; 3000]);
        }
        let now = pair.now;
        pair.ends[A].connect(now);
        pair.run(ms(1000));
        let now = pair.now;
        pair.ends[B].shutdown(now);
        pair.run(ms(1000));
        let may_be_zero = first.zero_checksum && second.zero_checksum;
        let mut zeros = 0;
        assert_eq!(pair.log.len(), pair.checksums.len());
        for ((_, _, text), is_right) in pair.log.iter().zip(&pair.checksums) {
            let sets_up = text.contains("INIT") || text.contains("COOKIE ECHO");
            assert!(*is_right || (may_be_zero && !sets_up), "{text}");
            zeros += u32::from(!is_right);
        }
        assert_eq!(zeros > 0, may_be_zero);
        for end in [A, B] {
            assert_eq!(pair.inboxes[end].messages.len(), 1);
            assert_eq!(pair.ends[end].counters().sctp_bad_checksum, 0);
            assert_eq!(pair.events[end].last(), Some(&Event::Closed(CloseReason::Shutdown)));
        }
    }
}

/// What a peer writes into a packet that it must not leave at zero.
#[test]
fn a_zero_checksum_is_refused_where_nothing_was_agreed_upon() {
    for zero_checksum in [true, false] {
        let config = Config {
            zero_checksum,
            ..Config::default()
        };
        let mut pair = Pair::of(&config, &config);
        let now = pair.now;
        pair.ends[A].connect(now);
        pair.flush();
        for (_, bytes) in pair.wire.values_mut() {
            bytes[8..12].fill(0);
        }
        pair.run(ms(400));
        assert_eq!(pair.ends[B].counters().sctp_bad_checksum, 1);
        assert_eq!(pair.ends[A].state(), State::CookieWait);
        // Once it is up, they are as was agreed.
        pair.run(ms(2000));
        pair.send(A, 1, b"x");
        pair.flush();
        for (_, bytes) in pair.wire.values_mut() {
            bytes[8..12].fill(0);
        }
        pair.run(ms(100));
        assert_eq!(pair.inboxes[B].messages.len(), usize::from(zero_checksum));
    }
}
