use super::*;
use crate::{CauseCode, Causes, RawChunk};
use proptest::prelude::*;

fn abort(reflected: bool) -> Chunk<'static> {
    Chunk::Abort(Abort {
        reflected,
        causes: Causes::default(),
    })
}

/// Ended, never begun.
fn without_association(now: Instant) -> [End; 2] {
    let mut ended = End::new(1, now);
    ended.shutdown(now);
    [End::new(1, now), ended]
}

#[test]
fn out_of_the_blue() {
    // RFC 9260 §8.4.
    let now = Instant::now();
    let stale = [Cause::OutOfResource, Cause::StaleCookie(1)];
    let other = [Cause::OutOfResource];
    let nothing: Option<Chunk<'_>> = None;
    let complete = Some(Chunk::ShutdownComplete { reflected: true });
    let shutdown = Chunk::Shutdown { cumulative_tsn_ack: 1 };
    for (chunks_in, expected) in [
        // Rule 2.
        (&[abort(false)][..], nothing),
        (&[data(), abort(true)], nothing),
        (&[Chunk::ShutdownAck, abort(true)], nothing),
        // Rule 5.
        (&[Chunk::ShutdownAck], complete),
        (&[data(), Chunk::ShutdownAck], complete),
        // Rule 6.
        (&[Chunk::ShutdownComplete { reflected: false }], nothing),
        // Rule 7.
        (&[error(&stale)], nothing),
        (&[Chunk::CookieAck, data()], nothing),
        // Rule 8.
        (&[error(&other)], Some(abort(true))),
        (&[data()], Some(abort(true))),
        (&[shutdown], Some(abort(true))),
        (&[Chunk::InitAck(plain_init(5))], Some(abort(true))),
        (&[], Some(abort(true))),
        // Not the first one.
        (&[data(), Chunk::CookieEcho(&[7; 57])], Some(abort(true))),
        // INIT with a tag.
        (&[Chunk::Init(plain_init(5))], Some(abort(true))),
    ] {
        for mut end in without_association(now) {
            for tag in [0x777, end.tag()] {
                let state = end.state();
                assert_eq!(end.receive(now, &packet(tag, chunks_in)), None);
                let answers = end.transmit();
                assert_eq!(
                    answers.iter().flat_map(|bytes| chunks(bytes)).next(),
                    expected,
                    "{chunks_in:?}"
                );
                assert!(answers.iter().all(|bytes| tag_of(bytes) == tag));
                assert_eq!((end.state(), end.data), (state, 0));
            }
            assert_eq!(end.counters.sctp_out_of_the_blue, 2);
        }
    }
}

#[test]
fn malformed_packets_out_of_the_blue_are_not_answered() {
    let now = Instant::now();
    let mut bytes = packet(0x777, &[data()]);
    bytes.truncate(bytes.len() - 8);
    bytes[8..12].fill(0);
    for mut end in without_association(now) {
        assert_eq!(end.receive(now, &bytes), None);
        assert_eq!((end.transmit(), end.counters.sctp_malformed), (vec![], 1));
    }
}

#[test]
fn what_comes_after_the_end() {
    // RFC 9260 §8.4 rules 3 and 4: the association does not come back.
    let now = Instant::now();
    let (mut a, mut b) = pair(now);
    a.setup.close(&CloseReason::Aborted);
    b.receive(now, &a.one());
    let mut new = End::new(3, now);
    new.setup.connect(now);
    a.receive(now, &new.one());
    let answer = a.one();
    assert_eq!((tag_of(&answer), a.counters.sctp_out_of_the_blue), (new.tag(), 1));
    new.receive(now, &answer);
    let reason = CloseReason::AbortedByPeer {
        cause: Some(CauseCode::OUT_OF_RESOURCE),
        text: String::new(),
    };
    assert_eq!(new.reason(), Some(&reason));
    assert_eq!(new.transmit(), Vec::<Vec<u8>>::new());
    assert_eq!(a.receive(now, &packet(a.tag(), &[Chunk::CookieEcho(&[7; 57])])), None);
    assert_eq!(chunks(&a.one()), [abort(true)]);
}

#[test]
fn the_last_word_is_kept() {
    // What comes behind it before it is sent does not drive it out.
    let now = Instant::now();
    let (mut a, mut b) = pair(now);
    a.receive(now, &packet(0, &[Chunk::Init(plain_init(5))]));
    a.setup.close(&CloseReason::Aborted);
    a.receive(now, &packet(0, &[Chunk::Init(plain_init(6))]));
    a.receive(now, &packet(a.tag(), &[data()]));
    assert_eq!(a.counters.sctp_replies_dropped, 2);
    b.receive(now, &a.one());
    assert!(matches!(b.reason(), Some(CloseReason::AbortedByPeer { .. })));
}

#[test]
fn other_ports_are_another_association() {
    let now = Instant::now();
    let config = Config {
        source_port: 1,
        destination_port: 2,
        ..Config::default()
    };
    let mut a = End::with(&config, 1, now);
    a.setup.connect(now);
    let init = a.one();
    assert_eq!(init[..4], [0, 1, 0, 2]);
    let mut bytes = packet(a.tag(), &[abort(false)]);
    bytes[8..12].fill(0);
    for (ports, passes) in [
        ([0, 2, 0, 3], false),
        ([0, 3, 0, 1], false),
        ([0, 1, 0, 2], false),
        ([0, 2, 0, 1], true),
    ] {
        bytes[..4].copy_from_slice(&ports);
        assert_eq!(a.receive(now, &bytes).is_some(), passes);
    }
    assert_eq!((a.counters.sctp_wrong_ports, a.transmit()), (3, vec![]));
    assert_eq!(a.state(), State::Ended);
}

#[test]
fn packets_with_another_tag_are_dropped() {
    // RFC 9260 §8.5: silently, as long as there is an association.
    let now = Instant::now();
    let mut waiting = End::new(1, now);
    waiting.setup.connect(now);
    waiting.one();
    let (up, _) = pair(now);
    for mut end in [waiting, up] {
        let state = end.state();
        let peer_tag = end.setup.peer().map_or(3, |peer| peer.tag);
        let tags = [end.tag() ^ 1, peer_tag, 1, u32::MAX];
        for tag in tags {
            for chunk in [data(), Chunk::CookieAck, Chunk::InitAck(plain_init(5)), abort(false)] {
                assert_eq!(end.receive(now, &packet(tag, &[chunk])), None);
            }
        }
        assert_eq!((end.state(), end.counters.sctp_wrong_tag), (state, 16));
        assert_eq!((end.transmit(), end.data), (vec![], 0));
    }
}

#[test]
fn shutdown_ack_to_one_who_begins() {
    // RFC 9260 §8.5.1 E, §9.2: out of the blue, whatever its tag; the set-up goes on.
    let now = Instant::now();
    let (mut a, mut b) = (End::new(1, now), End::new(2, now));
    a.setup.connect(now);
    let init = a.one();
    for tag in [0x777, a.tag()] {
        a.receive(now, &packet(tag, &[Chunk::ShutdownAck]));
        let answer = a.one();
        assert_eq!((tag_of(&answer), a.state()), (tag, State::CookieWait));
        assert_eq!(chunks(&answer), [Chunk::ShutdownComplete { reflected: true }]);
    }
    b.receive(now, &init);
    a.receive(now, &b.one());
    a.receive(now, &packet(0x777, &[Chunk::ShutdownAck]));
    assert_eq!(a.state(), State::CookieEchoed);
    assert_eq!((a.transmit().len(), a.counters.sctp_out_of_the_blue), (2, 3));
    // Not where the association is up.
    let (mut a, _) = pair(now);
    assert_eq!(a.receive(now, &packet(0x777, &[Chunk::ShutdownAck])), None);
    assert_eq!((a.transmit(), a.counters.sctp_wrong_tag), (vec![], 1));
}

#[test]
fn abort_and_the_t_bit() {
    // RFC 9260 §8.5.1 B.
    let now = Instant::now();
    for (own_tag, reflected, ends) in [
        (true, false, true),
        (true, true, false),
        (false, true, true),
        (false, false, false),
    ] {
        let (mut a, _) = pair(now);
        let tag = if own_tag { a.tag() } else { a.peer_tag() };
        // What stands behind it is never read.
        a.receive(now, &packet(tag, &[abort(reflected), data()]));
        assert_eq!((a.state() == State::Ended, a.data), (ends, 0));
        assert_eq!(a.counters.sctp_wrong_tag, u64::from(!ends));
        if ends {
            let text = String::new();
            assert_eq!(a.reason(), Some(&CloseReason::AbortedByPeer { cause: None, text }));
        }
        assert_eq!(a.transmit(), Vec::<Vec<u8>>::new());
    }
    // Nothing passes in the company of a reflected ABORT.
    let (mut a, _) = pair(now);
    assert_eq!(a.receive(now, &packet(a.peer_tag(), &[data(), abort(true)])), None);
    assert_eq!((a.state(), a.data), (State::Established, 0));
    // Nor in that of a malformed one.
    let malformed = RawChunk::parse(&[6, 1, 0, 6, 0, 0]).unwrap();
    let bytes = packet(a.peer_tag(), &[Chunk::Unknown(malformed), data()]);
    assert_eq!(a.receive(now, &bytes), None);
    // Nor behind a SHUTDOWN COMPLETE that came too early.
    let chunks = [Chunk::ShutdownComplete { reflected: true }, data()];
    assert_eq!(a.receive(now, &packet(a.peer_tag(), &chunks)), Some(Step::Stop));
    assert_eq!((a.state(), a.data), (State::Established, 0));
    // COOKIE-WAIT: a peer that refuses our INIT.
    let mut a = End::new(1, now);
    a.setup.connect(now);
    a.one();
    a.receive(now, &packet(a.tag(), &[abort(false)]));
    assert_eq!((a.state(), a.setup.poll_timeout()), (State::Ended, None));
}

#[test]
fn an_abort_is_told_with_its_reason() {
    // RFC 9260 §9.1.
    let now = Instant::now();
    let long = "ä".repeat(100);
    let odd = [0xff; 200];
    for (causes, code, expected) in [
        (
            vec![Cause::UserInitiatedAbort(b"bye")],
            CauseCode::USER_INITIATED_ABORT,
            "bye".into(),
        ),
        (
            vec![Cause::ProtocolViolation(b"no"), Cause::UserInitiatedAbort(b"x")],
            CauseCode::PROTOCOL_VIOLATION,
            "no".into(),
        ),
        (vec![Cause::NoUserData(1)], CauseCode::NO_USER_DATA, String::new()),
        (
            vec![Cause::UserInitiatedAbort(long.as_bytes())],
            CauseCode::USER_INITIATED_ABORT,
            "ä".repeat(64),
        ),
        (
            vec![Cause::UserInitiatedAbort(&odd)],
            CauseCode::USER_INITIATED_ABORT,
            "\u{fffd}".repeat(42),
        ),
    ] {
        let (mut a, _) = pair(now);
        let chunk = Chunk::Abort(Abort {
            reflected: false,
            causes: Causes::new(&causes),
        });
        a.receive(now, &packet(a.tag(), &[chunk]));
        let reason = CloseReason::AbortedByPeer {
            cause: Some(code),
            text: expected,
        };
        assert_eq!(a.reason(), Some(&reason));
    }
    // RFC 9260 §3.3.7: with a format error it is discarded.
    let (mut a, _) = pair(now);
    let malformed = RawChunk::parse(&[6, 0, 0, 10, 0, 3, 0, 6, 0, 0]).unwrap();
    let bytes = packet(a.tag(), &[Chunk::Unknown(malformed), data()]);
    assert_eq!(a.receive(now, &bytes), Some(Step::Stop));
    assert_eq!(
        (a.state(), a.counters.sctp_malformed, a.data),
        (State::Established, 1, 0)
    );
}

#[test]
fn we_abort() {
    let now = Instant::now();
    let told = |reason: &CloseReason| {
        let (mut a, mut b) = pair(now);
        a.setup.close(reason);
        assert_eq!((a.state(), a.setup.poll_timeout()), (State::Ended, None));
        for bytes in a.transmit() {
            assert_eq!(tag_of(&bytes), b.tag());
            b.receive(now, &bytes);
        }
        // Once is enough.
        a.setup.close(reason);
        assert_eq!(a.transmit(), Vec::<Vec<u8>>::new());
        match b.reason() {
            Some(CloseReason::AbortedByPeer {
                cause: Some(cause),
                text,
            }) => Some((*cause, text.clone())),
            None => None,
            other => panic!("{other:?}"),
        }
    };
    let violation = CloseReason::ProtocolViolation("a rule");
    assert_eq!(
        told(&CloseReason::Aborted),
        Some((CauseCode::USER_INITIATED_ABORT, String::new()))
    );
    assert_eq!(told(&violation), Some((CauseCode::PROTOCOL_VIOLATION, "a rule".into())));
    assert_eq!(
        told(&CloseReason::TooMuch("x")),
        Some((CauseCode::OUT_OF_RESOURCE, String::new()))
    );
    let unreachable = Some((CauseCode::USER_INITIATED_ABORT, "unreachable".into()));
    assert_eq!(told(&CloseReason::Unreachable), unreachable);
    assert_eq!(told(&CloseReason::NoAnswer), None);

    // A reason that is too long is left out.
    for (len, fits) in [(492, true), (493, false)] {
        let (mut a, mut b) = pair(now);
        a.setup.abort(Cause::UserInitiatedAbort(&vec![b'x'; len]));
        b.receive(now, &a.one());
        assert!(matches!(b.reason(), Some(CloseReason::AbortedByPeer { cause, .. }) if cause.is_some() == fits));
    }
    // Nobody is known who could be told.
    let mut c = End::new(3, now);
    c.setup.connect(now);
    c.setup.abort(Cause::OutOfResource);
    assert_eq!((c.transmit(), c.state()), (vec![], State::Ended));
    // COOKIE-ECHOED: the peer is known.
    let (mut a, mut b) = (End::new(1, now), End::new(2, now));
    a.setup.connect(now);
    b.receive(now, &a.one());
    a.receive(now, &b.one());
    a.setup.abort(Cause::OutOfResource);
    assert_eq!(tag_of(&a.one()), b.tag());
    // A COOKIE ACK that waits is not sent any more.
    let (mut a, mut b) = (End::new(1, now), End::new(2, now));
    a.setup.connect(now);
    b.receive(now, &a.one());
    a.receive(now, &b.one());
    b.receive(now, &a.one());
    assert!(b.setup.wants_push());
    b.setup.close(&CloseReason::Aborted);
    assert!(matches!(chunks(&b.one())[..], [Chunk::Abort(_)]));
}

proptest! {
    #[test]
    fn no_packets_do_harm(
        begins in 0_u8..4,
        packets in proptest::collection::vec((0_u8..4, proptest::collection::vec(0_usize..14, 0..4), 0_u64..3000), 1..40),
    ) {
        let mut now = Instant::now();
        let mut a = match begins {
            0 => End::new(1, now),
            1 | 2 => pair(now).0,
            _ => {
                let mut a = End::new(1, now);
                a.setup.connect(now);
                a
            }
        };
        a.busy = begins == 2;
        let parameters = [Parameter::StateCookie(&[7; 20])];
        let init = Init { parameters: Parameters::new(&parameters), ..plain_init(0x111) };
        let stale = [Cause::StaleCookie(1)];
        let mut cookie = Vec::new();
        for (tag, which, wait) in packets {
            let ours = match cookie.first_chunk::<57>() {
                // The tag that the cookie at hand is for.
                Some(cookie) if tag == 3 => u32::from_be_bytes([cookie[8], cookie[9], cookie[10], cookie[11]]),
                _ => a.tag(),
            };
            let tag = [0, a.tag(), a.setup.peer().map_or(5, |peer| peer.tag), ours][usize::from(tag)];
            let possible = [
                Chunk::Init(init),
                Chunk::InitAck(init),
                Chunk::InitAck(plain_init(0)),
                Chunk::CookieEcho(&cookie),
                Chunk::CookieAck,
                Chunk::Shutdown { cumulative_tsn_ack: 1 },
                Chunk::ShutdownAck,
                Chunk::ShutdownComplete { reflected: false },
                Chunk::ShutdownComplete { reflected: true },
                abort(false),
                abort(true),
                error(&stale),
                data(),
                Chunk::Init(Init { a_rwnd: 0, ..init }),
            ];
            let chosen: Vec<_> = which.iter().map(|&index| possible[index]).collect();
            let state = a.state();
            a.receive(now, &packet(tag, &chosen));
            now += Duration::from_millis(wait);
            a.timeout(now);
            let sent = a.transmit();
            // An answer, and what the state asks for.
            prop_assert!(sent.len() <= 2);
            for bytes in &sent {
                if let [Chunk::InitAck(_)] = parsed(bytes)[..] {
                    cookie = cookie_of(bytes);
                }
            }
            prop_assert!(state != State::Ended || a.state() == State::Ended);
            let waits = matches!(
                a.state(),
                State::CookieWait | State::CookieEchoed | State::ShutdownSent | State::ShutdownAckSent
            );
            prop_assert_eq!(a.setup.poll_timeout().is_some(), waits);
            prop_assert!(a.setup.reply.capacity() <= ALONE_LEN && a.setup.peer_cookie.len() <= 20);
            // It closes once.
            prop_assert!(a.steps.iter().filter(|step| matches!(step, Step::Closed(_))).count() <= 1);
        }
    }
}
