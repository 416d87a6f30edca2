//! Messages that may be given up (RFC 3758, RFC 7496).

use super::*;

fn message(stream: u16, payload: &[u8], reliability: Reliability, unordered: bool) -> Message {
    Message {
        unordered,
        reliability,
        ..Pair::message(stream, payload)
    }
}

/// Both kinds of chunks, ordered and not.
fn kinds() -> impl Iterator<Item = (Config, bool)> {
    let configs = [Config::default(), without_interleaving()];
    configs
        .into_iter()
        .flat_map(|config| [(config.clone(), false), (config, true)])
}

/// RFC 7496 §4.2: what is not sent again is told to the peer, which goes on with what follows.
#[test]
fn a_message_that_is_not_repeated_is_skipped() {
    for (config, unordered) in kinds() {
        let mut pair = Pair::connected(&config, &config);
        let mut count = 0;
        pair.hook(move |from, chunks| {
            count += u32::from(from == A && has_data(chunks));
            if from == A && has_data(chunks) && count == 1 {
                Fate::Drop
            } else {
                Fate::Pass
            }
        });
        for payload in [[1; 1100], [2; 1100], [3; 1100]] {
            let message = message(1, &payload, Reliability::Retransmissions(0), unordered);
            pair.ends[A].send(pair.now, message).unwrap();
        }
        pair.run(ms(1000));
        let received: Vec<_> = pair.inboxes[B].messages.iter().map(|(_, payload)| payload[0]).collect();
        assert_eq!(received, [2, 3], "{unordered} {:?}", pair.log);
        let counters = pair.ends[A].counters();
        assert_eq!((counters.sctp_messages_given_up, counters.sctp_retransmissions), (1, 0));
        assert_eq!(pair.ends[A].stats().held, 0);
        // It goes on, and no timer runs.
        pair.send(A, 1, b"next");
        pair.run(ms(500));
        assert_eq!(pair.inboxes[B].messages.len(), 3);
        assert_eq!(pair.ends[A].counters().sctp_timeouts, 0);
    }
}

/// What the last message was is noticed by the probe, which then is a FORWARD TSN at once.
#[test]
fn the_last_message_is_given_up_by_the_probe() {
    for (config, unordered) in kinds() {
        let mut pair = Pair::connected(&config, &config);
        pair.hook(|_, chunks| if has_data(chunks) { Fate::Drop } else { Fate::Pass });
        let message = message(1, b"x", Reliability::Retransmissions(0), unordered);
        pair.ends[A].send(pair.now, message).unwrap();
        pair.run(ms(1000));
        let sent = pair.sent(A);
        assert_eq!(sent.len(), 2, "{sent:?}");
        assert!(sent[1].contains("FORWARD"), "{sent:?}");
        let at = pair.log.iter().find(|(_, _, text)| text.contains("FORWARD")).unwrap().1;
        assert_eq!(at, ms(200));
        assert_eq!(pair.ends[A].stats().held, 0);
        pair.pass();
        pair.send(A, 1, b"next");
        pair.run(ms(500));
        assert_eq!(pair.inboxes[B].messages, [(1, b"next".to_vec())]);
    }
}

/// RFC 3758 §3.5 A: with a lost FORWARD TSN the peer must not wait for ever.
#[test]
fn a_lost_forward_tsn_is_repeated() {
    for (config, unordered) in kinds() {
        let mut pair = Pair::connected(&config, &config);
        let mut forwards = 0;
        pair.hook(move |from, chunks| {
            let is_forward = chunks
                .iter()
                .any(|chunk| matches!(chunk, Chunk::ForwardTsn(_) | Chunk::IForwardTsn(_)));
            forwards += u32::from(is_forward);
            let is_lost = from == A && (has_data(chunks) || (is_forward && forwards <= 2));
            if is_lost { Fate::Drop } else { Fate::Pass }
        });
        let message = message(1, b"x", Reliability::Retransmissions(0), unordered);
        pair.ends[A].send(pair.now, message).unwrap();
        pair.run(ms(5000));
        let sent = pair.sent(A);
        assert_eq!(sent.len(), 4, "{:?}", pair.log);
        assert_eq!(pair.ends[A].stats().held, 0);
        assert_eq!(
            pair.ends[A].poll_timeout().map(|at| at > pair.now + ms(5000)),
            Some(true)
        );
    }
}

/// RFC 7496 §4.1, for all that a message in several packets can have gone through.
#[test]
fn a_message_that_is_half_sent_is_given_up() {
    for (config, unordered) in kinds() {
        let mut pair = Pair::connected(&config, &config);
        // The window lets ten packets through; what is left is too late when it opens.
        pair.hook(|from, _| if from == B { Fate::Late(ms(300)) } else { Fate::Pass });
        let message = message(1, &[1; 60_000], Reliability::Lifetime(200), unordered);
        pair.ends[A].send(pair.now, message).unwrap();
        pair.send(A, 2, b"other");
        pair.send(A, 1, b"next");
        pair.run(ms(3000));
        pair.inboxes[B].messages.sort();
        assert_eq!(
            pair.inboxes[B].messages,
            [(1, b"next".to_vec()), (2, b"other".to_vec())],
            "{unordered}"
        );
        assert_eq!(pair.ends[A].counters().sctp_messages_given_up, 1);
        assert_eq!((pair.ends[A].stats().held, pair.ends[A].buffered(1)), (0, 0));
        pair.pass();
        pair.send(A, 1, b"again");
        pair.run(ms(500));
        assert_eq!(pair.inboxes[B].messages.len(), 3);
        // Nothing is left of it at the peer.
        assert_eq!(
            pair.ends[B].inbound.as_ref().unwrap().reassembly.free(),
            config.receive_window
        );
    }
}

/// The same while the user still hands it over.
#[test]
fn a_message_that_has_no_end_yet_is_given_up() {
    for (config, unordered) in kinds() {
        let mut pair = Pair::connected(&config, &config);
        let first = message(1, &[1; 5000], Reliability::Lifetime(200), unordered);
        pair.ends[A].send_first_part(pair.now, first).unwrap();
        pair.run(ms(300));
        let more = Bytes::from(std::vec![1; 5000]);
        pair.ends[A].send_part(pair.now, 1, more.clone(), false).unwrap();
        pair.run(ms(300));
        assert_eq!(pair.ends[A].stats().held, 0);
        pair.ends[A].send_part(pair.now, 1, more, true).unwrap();
        pair.send(A, 1, b"next");
        pair.run(ms(300));
        assert_eq!(pair.inboxes[B].messages, [(1, b"next".to_vec())]);
        assert_eq!(pair.ends[A].counters().sctp_messages_given_up, 1);
        assert_eq!(
            pair.ends[B].inbound.as_ref().unwrap().reassembly.free(),
            config.receive_window
        );
    }
}

/// RFC 3758 §3.3.1: a peer that does not know FORWARD TSN gets everything.
#[test]
fn nothing_is_given_up_without_forward_tsn() {
    let mut pair = Pair::of(&without_interleaving(), &without_interleaving());
    let now = pair.now;
    // An old peer's INIT, as SNAP takes it.
    let mut init = [0; 100];
    for end in [A, B] {
        let len = pair.ends[end].local_init(&mut init).unwrap();
        let mut w = wire::Writer::new(&mut init);
        let _ = &mut w;
        let bytes = without_parameters(&init[..len]);
        pair.ends[1 - end].connect_with(now, &bytes).unwrap();
    }
    assert!(!pair.ends[A].is_partially_reliable());
    pair.run(ms(100));
    let mut count = 0;
    pair.hook(move |from, chunks| {
        count += u32::from(from == A && has_data(chunks));
        if from == A && count <= 2 {
            Fate::Drop
        } else {
            Fate::Pass
        }
    });
    let now = pair.now;
    pair.ends[A]
        .send(now, message(1, b"x", Reliability::Retransmissions(0), false))
        .unwrap();
    pair.ends[A]
        .send(now, message(1, b"y", Reliability::Lifetime(0), false))
        .unwrap();
    pair.run(ms(5000));
    assert_eq!(pair.inboxes[B].messages, [(1, b"x".to_vec()), (1, b"y".to_vec())]);
    assert_eq!(pair.ends[A].counters().sctp_messages_given_up, 0);
}

fn without_parameters(init: &[u8]) -> Vec<u8> {
    let mut bytes = init[..20].to_vec();
    bytes[2..4].copy_from_slice(&20_u16.to_be_bytes());
    bytes
}

/// More streams than a FORWARD TSN has room for: it is said in several, each when the last one has done its work.
#[test]
fn a_forward_tsn_that_does_not_fit_is_split() {
    for (config, unordered) in kinds() {
        let mut pair = Pair::connected(&config, &config);
        pair.hook(|_, chunks| if has_data(chunks) { Fate::Drop } else { Fate::Pass });
        let count = 800;
        for stream in 0..count {
            let message = message(stream, b"x", Reliability::Retransmissions(0), unordered);
            pair.ends[A].send(pair.now, message).unwrap();
        }
        pair.run(ms(5000));
        assert_eq!(pair.ends[A].stats().held, 0, "{unordered}");
        let forwards = pair.sent(A).iter().filter(|text| text.contains("FORWARD")).count();
        assert!(forwards < 20, "{forwards}");
        pair.pass();
        for stream in 0..count {
            pair.send(A, stream, b"y");
        }
        pair.run(ms(2000));
        assert_eq!(pair.inboxes[B].messages.len(), usize::from(count));
    }
}

/// Each gap would take a round trip if the FORWARD TSN stopped at what has come in between. And nothing of that is skipped, even by
/// peers who throw away what waits before the last message that is listed, as dcSCTP does.
#[test]
fn many_gaps_are_skipped_at_once() {
    for (config, unordered) in kinds() {
        let mut pair = Pair::connected(&config, &config);
        let mut count = 0;
        pair.hook(move |from, chunks| {
            count += u32::from(from == A && has_data(chunks));
            if from == A && has_data(chunks) && count % 2 == 1 && count < 12 {
                Fate::Drop
            } else {
                Fate::Pass
            }
        });
        // What fits into the first window.
        for n in 0..12 {
            let message = message(1, &[n; 1100], Reliability::Retransmissions(0), unordered);
            pair.ends[A].send(pair.now, message).unwrap();
        }
        pair.send(A, 1, &[12; 1100]);
        pair.send(A, 1, &[13; 1100]);
        pair.run(ms(420));
        let mut received: Vec<_> = pair.inboxes[B].messages.iter().map(|(_, payload)| payload[0]).collect();
        received.sort_unstable();
        assert_eq!(received, [1, 3, 5, 7, 9, 11, 12, 13], "{unordered} {:#?}", pair.log);
    }
}
