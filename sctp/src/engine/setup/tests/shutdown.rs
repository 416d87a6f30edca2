use super::*;

const RTO: Duration = Duration::from_millis(300);

fn both_ended(a: &End, b: &End) -> bool {
    a.state() == State::Ended && b.state() == State::Ended
}

#[test]
fn three_packets_shut_down() {
    // RFC 9260 §9.2.
    let now = Instant::now();
    let (mut a, mut b) = pair(now);
    a.busy = true;
    a.shutdown(now);
    assert_eq!((a.state(), a.setup.poll_timeout()), (State::ShutdownPending, None));
    assert!(a.setup.is_open() && a.setup.takes_data() && !a.setup.wants_push());
    a.busy = false;
    a.idle(now);
    assert_eq!(
        (a.state(), a.setup.poll_timeout()),
        (State::ShutdownSent, Some(now + RTO))
    );
    assert!(!a.setup.is_open() && a.setup.takes_data());
    let shutdown = a.one();
    let text = format!("5000>5000 tag={:08x}: SHUTDOWN cumulative=77", b.tag());
    assert_eq!(show(&shutdown), text);

    b.busy = true;
    b.receive(now, &shutdown);
    assert_eq!(b.steps.last(), Some(&Step::PeerShutsDown { cumulative_tsn_ack: 77 }));
    assert_eq!(b.state(), State::ShutdownReceived);
    assert!(b.setup.is_open() && !b.setup.takes_data() && !b.setup.wants_push());
    // Our own wish changes nothing now; another SHUTDOWN acknowledges again.
    b.shutdown(now);
    b.receive(now, &shutdown);
    assert_eq!((b.state(), b.steps.len()), (State::ShutdownReceived, 3));
    b.busy = false;
    b.idle(now);
    assert_eq!(
        (b.state(), b.setup.poll_timeout()),
        (State::ShutdownAckSent, Some(now + RTO))
    );
    assert!(!b.setup.is_open() && !b.setup.takes_data());
    let ack = b.one();
    assert_eq!(show(&ack), format!("5000>5000 tag={:08x}: SHUTDOWN ACK", a.tag()));

    a.receive(now, &ack);
    assert_eq!((a.state(), a.reason()), (State::Ended, Some(&CloseReason::Shutdown)));
    let complete = a.one();
    assert_eq!(tag_of(&complete), b.tag());
    assert_eq!(chunks(&complete), [Chunk::ShutdownComplete { reflected: false }]);
    b.receive(now, &complete);
    assert_eq!((b.state(), b.reason()), (State::Ended, Some(&CloseReason::Shutdown)));
    for end in [&mut a, &mut b] {
        assert_eq!((end.setup.poll_timeout(), end.transmit()), (None, vec![]));
        assert_eq!(end.counters, Counters::default());
    }
}

#[test]
fn any_packets_of_a_shutdown_may_be_lost() {
    let now = Instant::now();
    for both in [false, true] {
        for lost in 0..1_u32 << 9 {
            let (mut a, mut b) = pair(now);
            a.shutdown(now);
            if both {
                b.shutdown(now);
            }
            run(
                &mut a,
                &mut b,
                now,
                |number| number < 9 && lost >> number & 1 == 1,
                both_ended,
            );
            assert_eq!(
                (a.reason(), b.reason()),
                (Some(&CloseReason::Shutdown), Some(&CloseReason::Shutdown))
            );
        }
    }
}

#[test]
fn both_shut_down_at_once() {
    // RFC 9260 §9.2: SHUTDOWN in SHUTDOWN-SENT, SHUTDOWN ACK in SHUTDOWN-ACK-SENT.
    let now = Instant::now();
    let (mut a, mut b) = pair(now);
    a.shutdown(now);
    b.shutdown(now);
    let (from_a, from_b) = (a.one(), b.one());
    let later = now + 100 * MS;
    a.receive(later, &from_b);
    b.receive(later, &from_a);
    for end in [&a, &b] {
        assert_eq!(
            (end.state(), end.setup.poll_timeout()),
            (State::ShutdownAckSent, Some(later + RTO))
        );
    }
    let (from_a, from_b) = (a.one(), b.one());
    a.receive(later, &from_b);
    assert_eq!(chunks(&a.one()), [Chunk::ShutdownComplete { reflected: false }]);
    b.receive(later, &from_a);
    assert!(both_ended(&a, &b));
}

#[test]
fn a_lost_shutdown_complete_is_made_up_for() {
    // RFC 9260 §8.4 rule 5: nobody is there any more, and the T bit says so.
    let now = Instant::now();
    let (mut a, mut b) = pair(now);
    a.shutdown(now);
    b.receive(now, &a.one());
    a.receive(now, &b.one());
    a.one();
    b.timeout(now + RTO);
    a.receive(now + RTO, &b.one());
    let complete = a.one();
    assert_eq!((tag_of(&complete), a.counters.sctp_out_of_the_blue), (a.tag(), 1));
    assert_eq!(chunks(&complete), [Chunk::ShutdownComplete { reflected: true }]);
    // RFC 9260 §8.5.1 C.
    for (tag, reflected) in [(a.tag(), false), (b.tag(), true), (a.tag() ^ b.tag(), true)] {
        b.receive(now, &packet(tag, &[Chunk::ShutdownComplete { reflected }]));
        assert_eq!(b.state(), State::ShutdownAckSent);
    }
    assert_eq!(b.counters.sctp_wrong_tag, 3);
    b.receive(now + RTO, &complete);
    assert_eq!(b.reason(), Some(&CloseReason::Shutdown));
}

#[test]
fn t2_backs_off_and_gives_up() {
    // RFC 9260 §9.2.
    for acking in [false, true] {
        let mut now = Instant::now();
        let (mut a, mut b) = pair(now);
        let config = Config::default();
        if acking {
            b.shutdown(now);
            a.receive(now, &b.one());
        } else {
            a.shutdown(now);
        }
        let first = a.one();
        let mut waits = Vec::new();
        while a.state() != State::Ended {
            let at = a.setup.poll_timeout().unwrap();
            waits.push((at - now).as_millis());
            now = at;
            a.timeout(now);
            if waits.len() <= 8 {
                assert_eq!(a.one(), first);
            }
        }
        if acking {
            assert_eq!(waits[..7], [300, 600, 1200, 2400, 4800, 9600, 10000]);
            assert_eq!(
                (waits.len(), a.counters.sctp_setup_repeats),
                (11, config.max_retransmissions.into())
            );
            assert_eq!(a.transmit(), Vec::<Vec<u8>>::new());
        } else {
            // The guard comes before.
            assert_eq!(waits.iter().sum::<u128>(), 50_000);
        }
        assert_eq!(a.reason(), Some(&CloseReason::Unreachable));
        assert_eq!(a.setup.poll_timeout(), None);
    }
    // Without the guard: it is as long as five times the longest time-out.
    let config = Config {
        max_retransmissions: 2,
        ..Config::default()
    };
    let mut now = Instant::now();
    let (mut a, _) = pair_with(&config, now);
    a.shutdown(now);
    for _ in 0..3 {
        now = a.setup.poll_timeout().unwrap();
        a.timeout(now);
    }
    assert_eq!(a.reason(), Some(&CloseReason::Unreachable));
}

#[test]
fn each_packet_with_data_is_answered_and_the_guard_ends_it() {
    // RFC 9260 §9.2: SHUTDOWN at once, T2 begins afresh; T5 bounds it all and aborts.
    let start = Instant::now();
    let (mut a, b) = pair(start);
    a.shutdown(start);
    a.one();
    let mut now = start;
    while a.state() == State::ShutdownSent {
        assert!(now < start + 60_000 * MS);
        now += 250 * MS;
        a.timeout(now);
        if a.state() == State::Ended {
            break;
        }
        a.receive(now, &packet(a.tag(), &[data()]));
        assert!(matches!(parsed(&a.one())[..], [Chunk::Shutdown { .. }]));
        assert_eq!(a.setup.poll_timeout(), Some((now + RTO).min(start + 50_000 * MS)));
        // What has no data neither begins T2 afresh nor is answered.
        a.receive(now + MS, &packet(a.tag(), &[Chunk::CookieAck]));
        assert_eq!(a.setup.poll_timeout(), Some((now + RTO).min(start + 50_000 * MS)));
        assert_eq!(a.transmit(), Vec::<Vec<u8>>::new());
    }
    assert_eq!((now - start, a.counters.sctp_setup_repeats), (50_000 * MS, 0));
    assert_eq!(a.reason(), Some(&CloseReason::Unreachable));
    let abort = a.one();
    assert_eq!(tag_of(&abort), b.tag());
    assert!(matches!(
        chunks(&abort)[..],
        [Chunk::Abort(Abort { reflected: false, .. })]
    ));
}

#[test]
fn hearing_the_peer_clears_the_count() {
    // RFC 9260 §9.2: the retransmission count of SHUTDOWN.
    let now = Instant::now();
    let config = Config {
        max_retransmissions: 1,
        ..Config::default()
    };
    let (mut a, _) = pair_with(&config, now);
    a.shutdown(now);
    for round in 0..5 {
        let at = a.setup.poll_timeout().unwrap();
        a.timeout(at);
        assert_eq!(a.state(), State::ShutdownSent, "{round}");
        let chunk = if round % 2 == 0 { data() } else { Chunk::CookieAck };
        a.receive(at, &packet(a.tag(), &[chunk]));
    }
}

#[test]
fn a_repeated_shutdown_is_answered_again() {
    let now = Instant::now();
    let (mut a, mut b) = pair(now);
    a.shutdown(now);
    let shutdown = a.one();
    b.receive(now, &shutdown);
    b.one();
    b.receive(now + MS, &shutdown);
    assert_eq!(parsed(&b.one()), [Chunk::ShutdownAck]);
    // T2 of the SHUTDOWN ACK goes on.
    assert_eq!(b.setup.poll_timeout(), Some(now + RTO));
}

#[test]
fn shutdown_waits_for_the_setup() {
    let now = Instant::now();
    // Nothing had begun.
    let mut a = End::new(1, now);
    a.shutdown(now);
    assert_eq!((a.state(), a.reason()), (State::Ended, Some(&CloseReason::Shutdown)));
    assert_eq!(a.setup.connect_with(&[]), Err(UnusableInit::TooLate));
    a.setup.connect(now);
    assert_eq!(a.transmit(), Vec::<Vec<u8>>::new());
    // COOKIE-WAIT and COOKIE-ECHOED.
    for echoed in [false, true] {
        let (mut a, mut b) = (End::new(1, now), End::new(2, now));
        a.busy = true;
        a.setup.connect(now);
        if echoed {
            b.receive(now, &a.one());
            a.receive(now, &b.one());
        }
        a.shutdown(now);
        settle(&mut a, &mut b, now);
        assert_eq!((a.state(), b.state()), (State::ShutdownPending, State::Established));
        assert_eq!(a.steps, [Step::Established]);
        a.busy = false;
        a.idle(now);
        settle(&mut a, &mut b, now);
        assert!(both_ended(&a, &b));
    }
}

#[test]
fn shutdown_chunks_out_of_turn() {
    // RFC 9260 §9.2, §8.5.1 C: ignored in states where they mean nothing.
    let now = Instant::now();
    let shutdown = Chunk::Shutdown { cumulative_tsn_ack: 5 };
    let complete = Chunk::ShutdownComplete { reflected: false };
    let (mut a, mut b) = (End::new(1, now), End::new(2, now));
    a.setup.connect(now);
    b.receive(now, &a.one());
    a.receive(now, &packet(a.tag(), &[shutdown]));
    a.receive(now, &packet(a.tag(), &[complete]));
    assert_eq!(a.state(), State::CookieWait);
    a.receive(now, &b.one());
    a.receive(now, &packet(a.tag(), &[shutdown]));
    a.receive(now, &packet(a.tag(), &[complete]));
    assert_eq!(a.state(), State::CookieEchoed);
    settle(&mut a, &mut b, now);
    for chunk in [Chunk::ShutdownAck, complete] {
        a.receive(now, &packet(a.tag(), &[chunk]));
    }
    assert!(both_up(&a, &b));
    assert_eq!((a.transmit(), a.counters.sctp_out_of_turn), (vec![], 6));
    // SHUTDOWN COMPLETE does not end SHUTDOWN-SENT.
    a.shutdown(now);
    a.receive(now, &packet(a.tag(), &[complete]));
    assert_eq!(a.state(), State::ShutdownSent);
}

#[test]
fn shutdown_of_the_peer_while_ours_is_pending() {
    let now = Instant::now();
    let (mut a, mut b) = pair(now);
    a.busy = true;
    a.shutdown(now);
    b.shutdown(now);
    a.receive(now, &b.one());
    assert_eq!(a.state(), State::ShutdownReceived);
    a.busy = false;
    a.idle(now);
    settle(&mut a, &mut b, now);
    assert!(both_ended(&a, &b));
}

#[test]
fn acked_data_means_nothing_elsewhere() {
    let now = Instant::now();
    let mut a = End::new(1, now);
    a.idle(now);
    assert_eq!((a.state(), a.setup.poll_timeout()), (State::Closed, None));
    let (mut a, _) = pair(now);
    a.idle(now);
    a.setup.data_received(now);
    assert_eq!(
        (a.state(), a.setup.poll_timeout(), a.transmit()),
        (State::Established, None, vec![])
    );
}

#[test]
fn the_time_out_of_t2_is_bounded() {
    let now = Instant::now();
    let (mut a, _) = pair(now);
    a.setup.shutdown();
    a.setup.data_all_acked(now, 3_600_000 * MS);
    assert_eq!(a.setup.poll_timeout(), Some(now + 10_000 * MS));
}
