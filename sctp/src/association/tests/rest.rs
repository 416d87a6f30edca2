//! All that is begun comes to an end, and nothing runs on that nobody waits for.

use super::*;
use crate::close::CloseReason;

fn part(stream: u16, payload: &[u8], reliability: Reliability) -> Message {
    Message {
        reliability,
        ..Pair::message(stream, payload)
    }
}

/// Without I-DATA the others wait for the end of a message that has begun: it must be accepted where there is no room.
#[test]
fn the_end_of_a_message_is_accepted_when_all_waits_for_it() {
    for config in [Config::default(), without_interleaving()] {
        let config = Config {
            send_buffer: 3000,
            ..config
        };
        let mut pair = Pair::connected(&config, &config);
        let now = pair.now;
        let first = part(1, &[1; 1000], Reliability::Reliable);
        pair.ends[A].send_first_part(now, first).unwrap();
        pair.run(ms(1000));
        pair.send(A, 2, &[2; 4000]);
        let refused = pair.ends[A].send(pair.now, Pair::message(2, b"no room"));
        assert_eq!(refused, Err(SendError::Blocked));
        pair.ends[A]
            .send_part(pair.now, 1, Bytes::from_static(b"end"), true)
            .unwrap();
        pair.run(ms(2000));
        assert_eq!(pair.inboxes[B].messages.len(), 2);
        assert!(pair.events[A].contains(&Event::Writable));
    }
}

/// A FORWARD TSN for what was before, which came after the reset, would skip messages that have the same numbers again.
#[test]
fn a_stream_begins_anew_when_all_before_is_acknowledged() {
    let mut pair = Pair::new();
    pair.send(A, 1, b"before");
    pair.ends[A].reset(1);
    pair.run(ms(3000));
    let times: Vec<_> = pair
        .log
        .iter()
        .filter(|(from, _, text)| *from == A && text.contains("RE-CONFIG"))
        .map(|(_, at, _)| *at)
        .collect();
    assert_eq!(times, [DELAY * 2]);
    assert_eq!(pair.events[A], [Event::ResetDone(vec![1])]);
}

#[test]
fn a_stream_begins_anew_after_a_message_that_came_too_late() {
    let mut pair = Pair::new();
    let now = pair.now;
    let first = part(1, &[1; 100], Reliability::Lifetime(100));
    pair.ends[A].send_first_part(now, first).unwrap();
    pair.ends[A].reset(1);
    pair.run(ms(1000));
    assert_eq!(pair.events[A], []);
    pair.ends[A]
        .send_part(pair.now, 1, Bytes::from_static(b"end"), true)
        .unwrap();
    pair.run(ms(1000));
    assert_eq!(pair.events[A], [Event::ResetDone(vec![1])]);
}

/// [`Config::closed_window_limit`] is for what waits.
#[test]
fn nobody_waits_for_room_for_what_came_too_late() {
    let mut pair = narrow(19_999);
    pair.send(A, 1, b"tells that there is no room");
    pair.run(ms(1000));
    pair.send(A, 1, b"under way");
    let late = part(1, b"too late", Reliability::Lifetime(50));
    pair.ends[A].send(pair.now, late).unwrap();
    pair.run(ms(400_000));
    assert_eq!(pair.inboxes[B].messages.len(), 2);
    assert_eq!((&pair.events[A][..], pair.ends[A].stats().held), (&[][..], 0));
}

/// RFC 9260 §9.2: that is done when nothing is left to be sent.
#[test]
fn a_shutdown_does_not_wait_for_what_came_too_late() {
    for owes_sack in [false, true] {
        let mut pair = Pair::new();
        if owes_sack {
            pair.send(B, 1, b"to be acknowledged");
            pair.run(DELAY);
        }
        let (now, start) = (pair.now, pair.now - pair.start);
        let late = part(1, b"too late", Reliability::Lifetime(1));
        pair.ends[A].send(now, late).unwrap();
        pair.ends[A].shutdown(now);
        pair.now += ms(2);
        pair.run(ms(1000));
        let said = |(from, at, text): &&(usize, Duration, String)| {
            *from == A && *at == start + ms(2) && text.contains("SHUTDOWN")
        };
        assert_eq!(pair.log.iter().filter(said).count(), 1, "{:?}", pair.log);
        for end in [A, B] {
            assert_eq!(pair.ends[end].state(), State::Ended);
        }
    }
}

fn slow_to_answer() -> Config {
    Config {
        sack_delay: ms(150),
        ..Config::default()
    }
}

/// RFC 8985 §7.2: who has sent one packet, and did not ask for a SACK at once, waits for as long as that may be delayed.
#[test]
fn the_probe_waits_for_a_delayed_sack() {
    let mut pair = Pair::connected(&Config::default(), &slow_to_answer());
    pair.send(A, 1, b"more seems to follow");
    let late = part(2, b"too late", Reliability::Lifetime(0));
    pair.ends[A].send(pair.now, late).unwrap();
    pair.run(ms(2000));
    assert_eq!(pair.sent(A).len(), 1);
    assert!(pair.sent(A)[0].contains("DATA BE"), "{:?}", pair.log);
    let counters = pair.ends[A].counters();
    assert_eq!((counters.sctp_probes, counters.sctp_retransmissions), (0, 0));
}

#[test]
fn the_time_out_of_a_forward_tsn_waits_for_a_delayed_sack() {
    let mut pair = Pair::connected(&Config::default(), &slow_to_answer());
    let first = part(1, &[1; 2000], Reliability::Lifetime(500));
    pair.ends[A].send_first_part(pair.now, first).unwrap();
    pair.run(ms(1000));
    pair.ends[A]
        .send_part(pair.now, 1, Bytes::from_static(b"end"), true)
        .unwrap();
    pair.run(ms(2000));
    let forwards = pair.sent(A).iter().filter(|text| text.contains("FORWARD")).count();
    assert_eq!(forwards, 1, "{:?}", pair.log);
    let counters = pair.ends[A].counters();
    assert_eq!((counters.sctp_probes, counters.sctp_timeouts), (0, 0));
}

/// RFC 9260 §8.1: a peer that said it has no room and then says nothing more is gone, too.
#[test]
fn silence_behind_a_closed_window_is_silence() {
    let mut pair = narrow(19_999);
    pair.send(A, 1, b"tells that there is no room");
    pair.run(ms(1000));
    pair.hook(|_, _| Fate::Drop);
    pair.send(A, 1, b"into silence");
    pair.run(ms(200_000));
    assert_eq!(pair.events[A], [Event::Closed(CloseReason::Unreachable)]);
}

/// [`Event::Closed`] is the last one, also where the peer knows no RE-CONFIG.
#[test]
fn nothing_is_denied_after_the_end() {
    let now = Instant::now();
    let mut a = Association::new(&Config::default(), Seed::from_run(1), now);
    let init = crate::chunk::Init {
        initiate_tag: 7,
        a_rwnd: 100_000,
        outbound_streams: 9,
        inbound_streams: 9,
        initial_tsn: 1,
        parameters: crate::parameter::Parameters::default(),
    };
    let mut out = [0; 64];
    let mut w = wire::Writer::new(&mut out);
    init.write(&mut w).unwrap();
    a.connect_with(now, w.written()).unwrap();
    a.reset(1);
    a.abort();
    let events: Vec<_> = core::iter::from_fn(|| a.poll_event()).collect();
    let denied = Event::ResetDenied(vec![1]);
    assert_eq!(
        events,
        [Event::Established, denied, Event::Closed(CloseReason::Aborted)]
    );
    a.reset(2);
    assert_eq!(a.poll_event(), None);
}
