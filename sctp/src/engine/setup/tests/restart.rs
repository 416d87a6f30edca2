use super::*;

/// The peer has begun anew and sent an INIT, which `a` has answered: the new peer with its COOKIE ECHO.
fn reborn(a: &mut End, run: u64, now: Instant) -> (End, Vec<u8>) {
    let mut peer = End::new(run, now);
    peer.setup.connect(now);
    a.receive(now, &peer.one());
    peer.receive(now, &a.one());
    let cookie_echo = peer.one();
    (peer, cookie_echo)
}

#[test]
fn a_restart() {
    // RFC 9260 §5.2.2, §5.2.4 A, §5.2.4.1.
    let now = Instant::now();
    let (mut a, old) = pair(now);
    let (tag, tsn, ties) = (a.tag(), a.setup.local_initial_tsn(), a.setup.ties);
    assert!(ties.local != 0 && ties.peer != 0);

    let (mut new, cookie_echo) = reborn(&mut a, 3, now);
    // So far nothing has changed.
    assert_eq!((a.state(), a.tag(), a.peer_tag()), (State::Established, tag, old.tag()));
    // The INIT ACK had a new tag, and told neither the tags nor the Tie-Tags in clear... of old.
    assert_ne!(tag_of(&cookie_echo), tag);

    let with_data = [Chunk::CookieEcho(&chunk_bytes(&cookie_echo)), data()];
    a.receive(now, &packet(tag_of(&cookie_echo), &with_data));
    assert_eq!(a.steps, [Step::Established, Step::Restarted]);
    assert_eq!((a.state(), a.data), (State::Established, 1));
    assert!(a.tag() == tag_of(&cookie_echo) && a.tag() != tag && a.tag() != 0);
    assert_ne!(a.setup.local_initial_tsn(), tsn);
    assert_ne!(a.setup.ties, ties);
    new.receive(now, &a.one());
    assert_agree(&a, &new);

    // The same COOKIE ECHO again: D.
    assert_eq!(a.receive(now, &cookie_echo), Some(Step::Continue));
    assert_eq!((chunk_types(&a.one()), a.steps.len()), (vec![11], 2));
    // The old one is out.
    assert_eq!(a.receive(now, &packet(tag, &[data()])), None);
    assert_eq!(a.counters.sctp_wrong_tag, 1);
}

fn chunk_bytes(cookie_echo: &[u8]) -> Vec<u8> {
    let [Chunk::CookieEcho(cookie)] = chunks(cookie_echo)[..] else {
        panic!("{}", show(cookie_echo))
    };
    cookie.to_vec()
}

fn chunk_types(bytes: &[u8]) -> Vec<u8> {
    Packet::parse(bytes)
        .unwrap()
        .chunks()
        .map(|raw| raw.unwrap().chunk_type().0)
        .collect()
}

#[test]
fn one_restart_makes_other_cookies_void() {
    // Two cookies were given; after the one was used, the other ties to an association that is no more.
    let now = Instant::now();
    let (mut a, _) = pair(now);
    let (_, first) = reborn(&mut a, 3, now);
    let (_, second) = reborn(&mut a, 4, now);
    assert_ne!(tag_of(&first), tag_of(&second));
    a.receive(now, &second);
    a.one();
    let tag = a.tag();
    assert_eq!(a.receive(now, &first), Some(Step::Stop));
    assert_eq!((a.tag(), a.transmit(), a.counters.sctp_out_of_turn), (tag, vec![], 1));
}

#[test]
fn cookies_of_before_the_restart_are_void() {
    // RFC 9260 §5.2.4, table 12: X M 0 0 (C), and X X 0 0, which is not there.
    let now = Instant::now();
    let mut a = End::new(1, now);
    a.receive(now, &packet(0, &[Chunk::Init(plain_init(0x111))]));
    let answer = a.one();
    let echo = packet(a.tag(), &[Chunk::CookieEcho(&cookie_of(&answer))]);
    a.receive(now, &echo);
    a.one();
    for run in [3, 4] {
        let (_, cookie_echo) = reborn(&mut a, run, now);
        a.receive(now, &cookie_echo);
        a.one();
        let (tag, peer) = (a.tag(), a.peer_tag());
        assert_eq!(a.receive(now, &echo), Some(Step::Stop));
        assert_eq!((a.tag(), a.peer_tag(), a.transmit()), (tag, peer, vec![]));
    }
    // C: the peer has kept its tag.
    let (mut b, _) = pair(now);
    b.receive(now, &packet(0, &[Chunk::Init(plain_init(b.peer_tag()))]));
    let answer = b.one();
    let new_tag = chunks(&answer).iter().find_map(|chunk| match chunk {
        Chunk::InitAck(init) => Some(init.initiate_tag),
        _ => None,
    });
    let echo = packet(new_tag.unwrap(), &[Chunk::CookieEcho(&cookie_of(&answer))]);
    let tag = b.tag();
    assert_eq!(b.receive(now, &echo), Some(Step::Stop));
    assert_eq!((b.tag(), b.state(), b.steps.len()), (tag, State::Established, 1));
}

#[test]
fn an_old_answer_of_ours_to_another_tag() {
    // RFC 9260 §5.2.4 B while we are up: the peer's tag is that of the cookie; to data it is a restart.
    let now = Instant::now();
    let mut a = End::new(1, now);
    let echo = |a: &mut End, tag| {
        a.receive(now, &packet(0, &[Chunk::Init(plain_init(tag))]));
        let answer = a.one();
        packet(a.tag(), &[Chunk::CookieEcho(&cookie_of(&answer))])
    };
    let (first, second) = (echo(&mut a, 0x111), echo(&mut a, 0x222));
    a.receive(now, &first);
    a.one();
    let tag = a.tag();
    assert_eq!(a.receive(now, &second), Some(Step::Restarted));
    assert_eq!((a.tag(), a.peer_tag(), a.state()), (tag, 0x222, State::Established));
    assert_eq!(tag_of(&a.one()), 0x222);
}

#[test]
fn a_restart_while_shutdown_ack_was_sent() {
    // RFC 9260 §9.2, §5.2.4 A: no new association, SHUTDOWN ACK again, and the peer completes what it does not know.
    let now = Instant::now();
    let (mut a, mut b) = pair(now);
    let (mut new, cookie_echo) = reborn(&mut a, 3, now);
    b.shutdown(now);
    a.receive(now, &b.one());
    assert_eq!(a.state(), State::ShutdownAckSent);
    a.transmit();

    a.receive(now, &cookie_echo);
    assert_eq!((a.state(), a.peer_tag()), (State::ShutdownAckSent, b.tag()));
    let refusal = a.transmit().remove(0);
    assert_eq!(chunk_types(&refusal), [8, 9]);
    assert!(show(&refusal).contains("Cookie Received While Shutting Down"));
    // It is told once.
    a.timeout(now + 300 * MS);
    assert_eq!(chunk_types(&a.one()), [8]);
    // RFC 9260 §8.5.1 E.
    assert_eq!(new.receive(now, &refusal), None);
    assert_eq!(
        (new.state(), new.counters.sctp_out_of_the_blue),
        (State::CookieEchoed, 1)
    );
    let complete = new.one();
    assert_eq!(chunks(&complete), [Chunk::ShutdownComplete { reflected: true }]);
    a.receive(now, &complete);
    assert_eq!(a.reason(), Some(&CloseReason::Shutdown));
}

#[test]
fn an_init_while_shutdown_ack_was_sent() {
    // RFC 9260 §9.2.
    let now = Instant::now();
    let (mut a, mut b) = pair(now);
    b.shutdown(now);
    a.receive(now, &b.one());
    a.transmit();
    let mut new = End::new(3, now);
    new.setup.connect(now);
    a.receive(now, &new.one());
    let again = a.transmit();
    assert_eq!(again.iter().map(|p| chunk_types(p)).collect::<Vec<_>>(), [[8]]);
    new.receive(now, &again[0]);
    assert_eq!(new.state(), State::CookieWait);
    a.receive(now, &new.one());
    assert_eq!((a.state(), a.reason()), (State::Ended, Some(&CloseReason::Shutdown)));
}

#[test]
fn a_restart_does_not_undo_our_shutdown() {
    let now = Instant::now();
    for sent in [false, true] {
        let (mut a, _) = pair(now);
        a.busy = !sent;
        a.shutdown(now);
        a.transmit();
        let (mut new, cookie_echo) = reborn(&mut a, 3, now);
        a.busy = true;
        a.receive(now, &cookie_echo);
        assert_eq!(a.steps.last(), Some(&Step::Restarted));
        assert_eq!((a.state(), a.setup.poll_timeout()), (State::ShutdownPending, None));
        a.busy = false;
        a.idle(now);
        settle(&mut a, &mut new, now);
        assert_eq!(
            (a.reason(), new.reason()),
            (Some(&CloseReason::Shutdown), Some(&CloseReason::Shutdown))
        );
    }
    // The peer's shutdown dies with it.
    let (mut a, mut b) = pair(now);
    a.busy = true;
    b.shutdown(now);
    a.receive(now, &b.one());
    assert_eq!(a.state(), State::ShutdownReceived);
    let (_, cookie_echo) = reborn(&mut a, 3, now);
    a.receive(now, &cookie_echo);
    assert_eq!(a.state(), State::Established);
}

#[test]
fn any_packets_of_a_restart_may_be_lost() {
    let now = Instant::now();
    for lost in 0..1_u32 << 8 {
        let (mut a, _) = pair(now);
        let mut new = End::new(3, now);
        new.setup.connect(now);
        run(
            &mut new,
            &mut a,
            now,
            |number| number < 8 && lost >> number & 1 == 1,
            both_up,
        );
        assert_agree(&a, &new);
        assert_eq!(
            (&a.steps[1..], &new.steps[..]),
            (&[Step::Restarted][..], &[Step::Established][..])
        );
    }
}
