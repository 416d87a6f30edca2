use super::server::{MAPPED, RELAYED_IPV4, RELAYED_IPV6, Server, address};
use super::*;
use stun::{AddressFamily, AttributeType, Message};

#[test]
fn a_challenge_is_answered_and_the_allocation_told() {
    let mut pair = Pair::new(Config {
        software: Some("Hyaline".into()),
        lifetime: Some(secs(1200)),
        ..config()
    });
    pair.run();
    let [first, second] = &pair.server.seen[..] else {
        panic!("{:?}", pair.server.seen)
    };
    // RFC 8489 §9.2.3.1: the first request has nothing of the mechanism.
    let first = Message::parse(&first.bytes).unwrap();
    let kinds: Vec<_> = first.attributes().map(|attribute| attribute.kind()).collect();
    assert_eq!(
        kinds,
        [
            AttributeType::REQUESTED_TRANSPORT,
            AttributeType::LIFETIME,
            AttributeType::SOFTWARE
        ]
    );
    assert_eq!(
        first.attribute(AttributeType::REQUESTED_TRANSPORT).unwrap().value(),
        [17, 0, 0, 0]
    );
    assert_ne!(first.transaction_id(), second.id);
    assert!(second.signed && second.lifetime == Some(1200));
    let allocation = Allocation {
        ipv4: Some(address(RELAYED_IPV4)),
        ipv6: None,
        mapped: Some(address(MAPPED)),
        lifetime: secs(600),
    };
    assert_eq!(pair.events, [Event::Allocated(allocation)]);
    assert_eq!(pair.client.allocation(), Some(&allocation));
    assert_eq!(pair.client.expires(), Some(pair.now + secs(600)));
    pair.assert_clean();
}

#[test]
fn a_server_that_challenges_nobody_needs_no_credentials() {
    let mut pair = Pair::new(Config::default());
    pair.server.auth = false;
    pair.run();
    assert_eq!((pair.client.state(), pair.server.seen.len()), (State::Allocated, 1));
    pair.deliver(peer(1), b"hello");
    assert_eq!(pair.server.relayed.len(), 1);
    pair.assert_clean();
}

#[test]
fn refusals_end_it_with_their_reason() {
    for code in [403, 420, 440, 442, 486, 500, 508, 699] {
        let mut pair = Pair::new(config());
        pair.server.errors.push_back((Method::ALLOCATE, ErrorCode(code)));
        pair.run();
        pair.assert_closed(CloseReason::Refused(ErrorCode(code)));
        assert_eq!(pair.client.counters().turn_refused_requests, 1);
        assert!(CloseReason::Refused(ErrorCode(code)).to_string().contains("refused"));
    }
}

#[test]
fn requests_are_repeated_as_rfc_8489_says_and_then_given_up() {
    let mut pair = Pair::new(config());
    let sent = pair.pass_unanswered(ms(39_499));
    let times: Vec<_> = sent.iter().map(|(at, _)| at.as_millis()).collect();
    assert_eq!(times, [0, 500, 1500, 3500, 7500, 15_500, 31_500]);
    assert!(sent.iter().all(|(_, message)| *message == sent[0].1));
    assert_eq!(pair.client.state(), State::Allocating);
    assert!(pair.pass_unanswered(ms(1)).is_empty());
    pair.assert_closed(CloseReason::TimedOut);
    assert_eq!(pair.client.counters().turn_timeouts, 1);
}

#[test]
fn nothing_is_repeated_on_a_stream() {
    let mut pair = Pair::new(Config {
        transport: Transport::Stream,
        ..config()
    });
    let sent = pair.pass_unanswered(ms(39_499));
    assert_eq!(sent.len(), 1);
    assert_eq!(pair.client.path().protocol, wire::Protocol::Tcp);
    pair.pass_unanswered(ms(1));
    pair.assert_closed(CloseReason::TimedOut);
}

#[test]
fn the_rto_is_that_of_the_measured_round_trip() {
    let mut pair = Pair::new(config());
    let challenge = pair.poll().and_then(|message| pair.server.handle(&message)).unwrap();
    pair.now += ms(10);
    pair.give(&challenge);
    // Behind the challenge the server has to look for the password, which takes its time.
    assert_eq!(pair.client.rtt(), None);
    let answer = pair.poll().and_then(|message| pair.server.handle(&message)).unwrap();
    assert!(pair.pass_unanswered(ms(40)).is_empty());
    pair.give(&answer);
    assert_eq!(pair.client.rtt(), Some(ms(40)));
    // 40 + 4 * 20 ms, but no less than 100 ms.
    pair.client.permit(pair.now, peer(1)).unwrap();
    let sent = pair.pass_unanswered(ms(400));
    let times: Vec<_> = sent.iter().map(|(at, _)| at.as_millis()).collect();
    assert_eq!(times, [0, 120, 360]);
    // Karn: what was sent three times measures nothing.
    let answer = pair.server.handle(&sent[0].1).unwrap();
    pair.give(&answer);
    pair.collect();
    assert_eq!(pair.events.last(), Some(&Event::Permitted(peer(1).ip())));
    assert_eq!(pair.client.rtt(), Some(ms(40)));
}

#[test]
fn a_server_that_looks_long_for_a_password_is_not_asked_twice() {
    let mut pair = Pair::new(config());
    let challenge = pair.poll().and_then(|message| pair.server.handle(&message)).unwrap();
    pair.now += ms(5);
    pair.give(&challenge);
    let answer = pair.poll().and_then(|message| pair.server.handle(&message)).unwrap();
    assert!(pair.pass_unanswered(ms(499)).is_empty());
    pair.give(&answer);
    assert_eq!(pair.client.state(), State::Allocated);
}

#[test]
fn an_answer_counts_once() {
    let mut pair = Pair::new(config());
    let request = pair.poll().unwrap();
    let challenge = pair.server.handle(&request).unwrap();
    pair.give(&challenge);
    pair.give(&challenge);
    assert_eq!(pair.client.counters().turn_unexpected_answers, 1);
    assert_eq!(pair.poll_all().len(), 1);
}

#[test]
fn a_request_that_was_not_sent_cannot_be_answered() {
    let mut pair = Pair::new(config());
    let now = pair.now;
    let mut twin = Client::new(config(), address(SERVER), address(LOCAL), Seed::from_run(1), now);
    let mut out = [0; MIN_OUT];
    let len = twin.poll_transmit(now, &mut out).unwrap().len;
    let answer = pair.server.handle(&out[..len]).unwrap();
    pair.give(&answer);
    assert_eq!(pair.client.counters().turn_unexpected_answers, 1);
    // The same seed, the same bytes.
    assert_eq!(pair.poll().unwrap(), out[..len]);
}

#[test]
fn an_allocation_of_ipv6() {
    let mut pair = Pair::new(Config {
        families: Families::Ipv6,
        ..config()
    });
    pair.run();
    let request = pair.server.last().bytes.clone();
    let family = Message::parse(&request)
        .unwrap()
        .attribute(AttributeType::REQUESTED_ADDRESS_FAMILY);
    assert_eq!(family.unwrap().value(), [2, 0, 0, 0]);
    let allocation = pair.client.allocation().unwrap();
    assert_eq!((allocation.ipv4, allocation.ipv6), (None, Some(address(RELAYED_IPV6))));
    assert_eq!(pair.send(peer(1), b"x"), Err(SendError::Family));
    pair.deliver(address("[2001:db8::9]:1"), b"hello");
    assert_eq!(pair.server.relayed.len(), 1);
}

#[test]
fn a_dual_allocation_and_half_of_one() {
    let mut pair = Pair::new(Config {
        families: Families::Both,
        ..config()
    });
    pair.run();
    let request = pair.server.last().bytes.clone();
    let family = Message::parse(&request)
        .unwrap()
        .attribute(AttributeType::ADDITIONAL_ADDRESS_FAMILY);
    assert_eq!(family.unwrap().value(), [2, 0, 0, 0]);
    let relayed: Vec<_> = pair.client.allocation().unwrap().relayed().collect();
    assert_eq!(relayed, [address(RELAYED_IPV4), address(RELAYED_IPV6)]);

    let mut pair = Pair::new(Config {
        families: Families::Both,
        ..config()
    });
    pair.server.no_ipv6 = Some(ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED);
    pair.run();
    assert_eq!(
        pair.events[0],
        Event::FamilyRefused {
            family: AddressFamily::IPV6,
            error: ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED
        }
    );
    assert_eq!(pair.client.allocation().unwrap().relayed().count(), 1);
    pair.assert_clean();
}

#[test]
fn an_address_that_was_not_asked_for_is_given_back() {
    // From a server that does not know REQUESTED-ADDRESS-FAMILY, and from one that gives more than it was asked for.
    for (families, given) in [
        (Families::Ipv6, &[RELAYED_IPV4][..]),
        (Families::Ipv4, &[RELAYED_IPV4, RELAYED_IPV6]),
        (Families::Ipv4, &["0.0.0.0:50000"]),
        (Families::Ipv4, &["192.0.2.15:0"]),
    ] {
        let mut pair = Pair::new(Config { families, ..config() });
        let challenge = pair.poll().and_then(|message| pair.server.handle(&message)).unwrap();
        pair.give(&challenge);
        let request = pair.poll().unwrap();
        let id = Message::parse(&request).unwrap().transaction_id();
        let mut out = [0; 500];
        let mut b = stun::Builder::new(&mut out, stun::Class::SuccessResponse, Method::ALLOCATE, id).unwrap();
        for relayed in given {
            b.push(&stun::Value::XorRelayedAddress(address(relayed))).unwrap();
        }
        b.push(&stun::Value::Lifetime(600)).unwrap();
        b.integrity(&stun::Key::long_term_md5(USER, server::REALM, PASSWORD))
            .unwrap();
        let answer = b.finish().to_vec();
        pair.give(&answer);
        assert_eq!(pair.client.state(), State::Closing, "{given:?}");
        pair.run();
        assert_eq!(
            (pair.server.last().method, pair.server.last().lifetime),
            (Method::REFRESH, Some(0))
        );
        pair.assert_closed(CloseReason::BadAnswer);
    }
}

#[test]
fn an_answer_without_address_or_lifetime_is_of_no_use() {
    let mut pair = Pair::new(config());
    pair.server.ipv4 = false;
    pair.run();
    pair.assert_closed(CloseReason::BadAnswer);
    assert_eq!(pair.server.last().lifetime, Some(0));
    let mut pair = Pair::new(config());
    pair.server.lifetime = 0;
    pair.run();
    pair.assert_closed(CloseReason::BadAnswer);
    assert_eq!(pair.client.counters().turn_malformed, 1);
}

fn alternate(pair: &mut Pair, port: u16) -> SocketAddr {
    let server = SocketAddr::new(address("192.0.2.2:1").ip(), port);
    pair.server
        .errors
        .push_back((Method::ALLOCATE, ErrorCode::TRY_ALTERNATE));
    pair.server.alternates = vec![address("[2001:db8::2]:3478"), server];
    server
}

#[test]
fn another_server_is_asked_when_the_first_says_so() {
    let mut pair = Pair::new(config());
    let server = alternate(&mut pair, 3478);
    pair.server.domain = Some("turn2.example.org");
    pair.run();
    let reconnect = Reconnect {
        cause: ReconnectCause::TryAlternate,
        server,
        domain: Some("turn2.example.org".into()),
    };
    assert_eq!(pair.events, [Event::Reconnect(reconnect)]);
    assert_eq!(
        (pair.client.state(), pair.client.poll_timeout()),
        (State::Reconnecting, Some(pair.now + secs(30)))
    );
    assert_eq!(pair.send(peer(1), b"x"), Err(SendError::NotAllocated));

    let local = address("198.51.100.1:5001");
    pair.client.reconnected(local);
    assert_eq!(pair.client.path(), Path::udp(local, server));
    pair.server = Server::default();
    pair.run();
    // The other server has realms and nonces of its own.
    assert!(!pair.server.seen[0].signed);
    assert_eq!(pair.client.state(), State::Allocated);
    pair.client.reconnected(local);
    assert_eq!(pair.client.state(), State::Allocated);
    pair.assert_clean();
}

#[test]
fn a_redirection_before_the_challenge_needs_no_integrity() {
    let mut pair = Pair::new(config());
    pair.server.auth = false;
    alternate(&mut pair, 3478);
    pair.run();
    assert_eq!(pair.client.state(), State::Reconnecting);
}

#[test]
fn redirections_in_circles_and_without_end_are_cut() {
    let mut pair = Pair::new(config());
    pair.server
        .errors
        .push_back((Method::ALLOCATE, ErrorCode::TRY_ALTERNATE));
    pair.server.alternates = vec![address(SERVER)];
    pair.run();
    pair.assert_closed(CloseReason::RedirectionLoop);
    assert_eq!(pair.client.counters().turn_redirection_loops, 1);

    let mut pair = Pair::new(config());
    for port in 1..=6 {
        let server = alternate(&mut pair, port);
        pair.run();
        if pair.client.state() == State::Reconnecting {
            pair.client.reconnected(address(LOCAL));
            assert_eq!(pair.client.path().remote, server);
        }
    }
    assert_eq!(pair.client.path().remote.port(), 5);
    pair.assert_closed(CloseReason::RedirectionLoop);

    // None of our family, or of our own machine.
    for own in [None, Some("127.0.0.1:22"), Some("0.0.0.0:22")] {
        let mut pair = Pair::new(config());
        alternate(&mut pair, 1);
        pair.server.alternates.pop();
        pair.server.alternates.extend(own.map(address));
        pair.run();
        pair.assert_closed(CloseReason::NoAlternate);
        assert_eq!(pair.client.counters().turn_no_alternates, 1);
        assert_eq!(pair.client.counters().turn_redirection_loops, 0);
    }
}

#[test]
fn a_caller_that_does_not_connect_again_is_not_waited_for_forever() {
    for cause in [ErrorCode::TRY_ALTERNATE, ErrorCode::ALLOCATION_MISMATCH] {
        let mut pair = Pair::new(Config {
            reconnect_timeout: secs(7),
            ..config()
        });
        alternate(&mut pair, 3478);
        pair.server.errors.clear();
        pair.server.errors.push_back((Method::ALLOCATE, cause));
        pair.run();
        assert_eq!(pair.client.next_timer(), Some(Timer::Reconnect));
        assert!(pair.pass_unanswered(ms(6999)).is_empty());
        assert_eq!(pair.client.state(), State::Reconnecting);
        pair.pass_unanswered(ms(1));
        pair.assert_closed(CloseReason::Disconnected);
    }
    // Who does has all the time that a request has.
    let mut pair = Pair::new(config());
    alternate(&mut pair, 3478);
    pair.run();
    pair.pass_unanswered(ms(29_999));
    pair.client.reconnected(address(LOCAL));
    assert_eq!(pair.pass_unanswered(ms(39_499)).len(), 7);
    assert_eq!(pair.client.state(), State::Allocating);
    pair.pass_unanswered(ms(1));
    pair.assert_closed(CloseReason::TimedOut);
}

#[test]
fn the_allocation_and_the_need_of_another_connection_are_always_told() {
    // A server that refuses a family without end, in one answer.
    let mut pair = Pair::new(Config::default());
    let request = pair.poll().unwrap();
    let id = Message::parse(&request).unwrap().transaction_id();
    let mut out = [0; 1500];
    let mut b = stun::Builder::new(&mut out, stun::Class::SuccessResponse, Method::ALLOCATE, id).unwrap();
    for _ in 0..80 {
        let error = stun::ErrorReason {
            code: ErrorCode::INSUFFICIENT_CAPACITY,
            reason: "",
        };
        let family = AddressFamily::IPV6;
        b.push(&stun::Value::AddressErrorCode { family, error }).unwrap();
    }
    b.push(&stun::Value::XorRelayedAddress(address(RELAYED_IPV4))).unwrap();
    b.push(&stun::Value::Lifetime(600)).unwrap();
    let answer = b.finish().to_vec();
    pair.give(&answer);
    pair.collect();
    assert_eq!(pair.events.len(), Config::default().max_events + 1);
    assert!(matches!(pair.events.last(), Some(Event::Allocated(_))));
    // A caller that has not polled what was told before.
    let mut pair = Pair::new(Config {
        max_events: 1,
        ..config()
    });
    for port in 1..=2 {
        alternate(&mut pair, port);
        while let Some(answer) = pair.poll().and_then(|message| pair.server.handle(&message)) {
            pair.give(&answer);
        }
        assert_eq!(pair.client.state(), State::Reconnecting);
        pair.client.reconnected(address(LOCAL));
    }
    pair.collect();
    assert!(matches!(pair.events[..], [Event::Reconnect(_), Event::Reconnect(_)]));
}

#[test]
fn three_ports_are_tried_when_the_server_knows_them_from_others() {
    let mut pair = Pair::new(config());
    for port in 1..=3 {
        pair.server
            .errors
            .push_back((Method::ALLOCATE, ErrorCode::ALLOCATION_MISMATCH));
        pair.run();
        if port < 3 {
            let Some(Event::Reconnect(reconnect)) = pair.events.pop() else {
                panic!()
            };
            assert_eq!(reconnect.cause, ReconnectCause::AllocationMismatch);
            assert_eq!(reconnect.server, address(SERVER));
            pair.client.reconnected(SocketAddr::new(address(LOCAL).ip(), port));
        }
    }
    pair.assert_closed(CloseReason::Refused(ErrorCode::ALLOCATION_MISMATCH));

    let mut pair = Pair::new(config());
    pair.server
        .errors
        .push_back((Method::ALLOCATE, ErrorCode::ALLOCATION_MISMATCH));
    pair.run();
    pair.client.reconnected(address("198.51.100.1:5001"));
    pair.run();
    assert_eq!(pair.client.state(), State::Allocated);
}

#[test]
fn other_ports_count_among_the_reconnects() {
    for max_reconnects in 0..=2 {
        let mut pair = Pair::new(Config {
            max_reconnects,
            ..config()
        });
        for port in 1..=max_reconnects + 1 {
            pair.server
                .errors
                .push_back((Method::ALLOCATE, ErrorCode::ALLOCATION_MISMATCH));
            pair.run();
            assert_eq!(pair.client.state() == State::Reconnecting, port <= max_reconnects);
            pair.client
                .reconnected(SocketAddr::from(([198, 51, 100, 1], port as u16)));
        }
        pair.assert_closed(CloseReason::Refused(ErrorCode::ALLOCATION_MISMATCH));
    }
}

#[test]
fn an_allocation_is_refreshed_a_minute_before_its_end() {
    let mut pair = Pair::allocated(config());
    let start = pair.now;
    let deadline = pair.client.poll_timeout().unwrap();
    assert_eq!(pair.client.next_timer(), Some(Timer::Refresh));
    assert!(
        (secs(520)..=secs(540)).contains(&(deadline - start)),
        "{:?}",
        deadline - start
    );
    pair.server.lifetime = 100;
    pair.pass(deadline - start);
    assert_eq!(pair.server.count(Method::REFRESH), 1);
    assert_eq!(pair.server.last().lifetime, None);
    // Half of a short one, less at most a twentieth.
    let wait = pair.client.poll_timeout().unwrap() - pair.now;
    assert!((secs(45)..=secs(50)).contains(&wait), "{wait:?}");
    assert_eq!(pair.client.expires(), Some(pair.now + secs(100)));
    pair.pass(secs(3600));
    assert_eq!(pair.client.state(), State::Allocated);
    pair.assert_clean();
}

#[test]
fn clients_do_not_refresh_at_the_same_time() {
    let deadline = |run| {
        let mut pair = Pair::new(config());
        pair.client = Client::new(config(), address(SERVER), address(LOCAL), Seed::from_run(run), pair.now);
        pair.run();
        pair.client.poll_timeout().unwrap() - pair.now
    };
    assert_ne!(deadline(1), deadline(2));
}

#[test]
fn an_absurd_lifetime_is_cut() {
    let mut pair = Pair::new(config());
    pair.server.lifetime = u32::MAX;
    pair.run();
    assert_eq!(pair.client.expires(), Some(pair.now + secs(24 * 3600)));
}

#[test]
fn a_refresh_that_is_refused_is_tried_again_until_the_end() {
    let mut pair = Pair::allocated(config());
    for _ in 0..20 {
        pair.server.errors.push_back((Method::REFRESH, ErrorCode::SERVER_ERROR));
    }
    pair.pass(secs(590));
    assert!(
        (3..8).contains(&pair.server.count(Method::REFRESH)),
        "{:?}",
        pair.server.count(Method::REFRESH)
    );
    assert_eq!(pair.client.state(), State::Allocated);
    pair.pass(secs(10));
    pair.assert_closed(CloseReason::Expired(Some(ErrorCode::SERVER_ERROR)));

    let mut pair = Pair::allocated(config());
    pair.server.errors.push_back((Method::REFRESH, ErrorCode::SERVER_ERROR));
    pair.pass(secs(1200));
    assert_eq!(pair.client.state(), State::Allocated);
}

#[test]
fn a_refresh_that_is_never_taken_ends_with_the_allocation() {
    // Nonces that are stale at once, passwords that are wrong now, and other servers.
    for (error, at_once) in [
        (ErrorCode::STALE_NONCE, 4),
        (ErrorCode::UNAUTHENTICATED, 1),
        (ErrorCode::TRY_ALTERNATE, 1),
    ] {
        let mut pair = Pair::allocated(config());
        let start = pair.now;
        pair.server.errors.extend((0..1000).map(|_| (Method::REFRESH, error)));
        pair.pass(pair.client.poll_timeout().unwrap() - start);
        assert_eq!(pair.server.count(Method::REFRESH), at_once, "{error:?}");
        pair.pass(start + ms(599_999) - pair.now);
        assert_eq!(pair.client.state(), State::Allocated);
        assert!(pair.server.count(Method::REFRESH) <= 10 * at_once);
        pair.pass(ms(1));
        pair.assert_closed(CloseReason::Expired(Some(error)));
    }
    // A server that is silent behind its challenge.
    let mut pair = Pair::allocated(config());
    let start = pair.now;
    pair.server.errors.push_back((Method::REFRESH, ErrorCode::STALE_NONCE));
    let wait = pair.client.poll_timeout().unwrap() - start;
    pair.pass_with(wait, |pair| {
        if let Some(challenge) = pair.poll().and_then(|message| pair.server.handle(&message)) {
            pair.give(&challenge);
        }
    });
    assert_eq!(pair.server.count(Method::REFRESH), 1);
    pair.pass_unanswered(secs(600) - wait);
    pair.assert_closed(CloseReason::Expired(None));
    // One that answers without what is asked for, on a stream.
    let mut pair = Pair::allocated(Config {
        transport: Transport::Stream,
        ..config()
    });
    pair.server.no_integrity = true;
    pair.pass(secs(600));
    assert!(pair.client.counters().turn_wrong_integrity > 1);
    pair.assert_closed(CloseReason::Expired(None));
}

#[test]
fn giving_back_ends_whatever_the_server_says() {
    for error in [
        ErrorCode::STALE_NONCE,
        ErrorCode::UNAUTHENTICATED,
        ErrorCode::TRY_ALTERNATE,
    ] {
        let mut pair = Pair::allocated(config());
        pair.server.errors.extend((0..1000).map(|_| (Method::REFRESH, error)));
        pair.client.close();
        pair.run();
        assert!(pair.server.count(Method::REFRESH) <= 4);
        pair.assert_closed(CloseReason::Deleted);
    }
    // The allocation ends before the server is given up.
    let mut pair = Pair::allocated(config());
    pair.pass_unanswered(secs(599));
    pair.client.close();
    pair.pass_unanswered(secs(1));
    pair.assert_closed(CloseReason::Deleted);
}

#[test]
fn without_a_server_the_allocation_expires() {
    let mut pair = Pair::allocated(config());
    pair.pass_unanswered(secs(600));
    pair.assert_closed(CloseReason::Expired(None));
}

#[test]
fn a_server_that_has_lost_the_allocation_ends_it() {
    let mut pair = Pair::allocated(config());
    pair.server
        .errors
        .push_back((Method::REFRESH, ErrorCode::ALLOCATION_MISMATCH));
    pair.pass(secs(540));
    pair.assert_closed(CloseReason::Lost);
    let mut pair = Pair::allocated(config());
    pair.server
        .errors
        .push_back((Method::CREATE_PERMISSION, ErrorCode::ALLOCATION_MISMATCH));
    pair.client.permit(pair.now, peer(1)).unwrap();
    pair.run();
    pair.assert_closed(CloseReason::Lost);
    let mut pair = Pair::allocated(config());
    pair.server.lifetime = 0;
    pair.pass(secs(540));
    pair.assert_closed(CloseReason::Lost);
}

#[test]
fn closing_gives_the_allocation_back() {
    for answer in [
        None,
        Some(ErrorCode::ALLOCATION_MISMATCH),
        Some(ErrorCode::SERVER_ERROR),
    ] {
        let mut pair = Pair::allocated(config());
        pair.server.errors.extend(answer.map(|code| (Method::REFRESH, code)));
        pair.client.close();
        assert_eq!(pair.client.state(), State::Closing);
        assert_eq!(pair.send(peer(1), b"x"), Err(SendError::NotAllocated));
        pair.run();
        assert_eq!(pair.server.last().lifetime, Some(0));
        pair.assert_closed(CloseReason::Deleted);
        pair.client.close();
        assert_eq!(pair.client.poll_event(), None);
    }
    let mut pair = Pair::allocated(config());
    pair.client.close();
    assert_eq!(pair.pass_unanswered(secs(40)).len(), 7);
    pair.assert_closed(CloseReason::Deleted);
}

#[test]
fn closing_while_allocating_leaves_nothing_behind() {
    // Before the challenge there is nothing to give back.
    let mut pair = Pair::new(config());
    pair.poll();
    pair.client.close();
    pair.assert_closed(CloseReason::Deleted);
    // Afterwards there may be.
    let mut pair = Pair::new(config());
    let challenge = pair.poll().and_then(|message| pair.server.handle(&message)).unwrap();
    pair.give(&challenge);
    let request = pair.poll().unwrap();
    pair.client.close();
    let answer = pair.server.handle(&request).unwrap();
    pair.give(&answer);
    pair.run();
    assert_eq!(pair.server.last().lifetime, Some(0));
    pair.assert_closed(CloseReason::Deleted);
    // A refusal, or another server, is as good.
    for code in [ErrorCode::ALLOCATION_QUOTA_REACHED, ErrorCode::TRY_ALTERNATE] {
        let mut pair = Pair::new(config());
        let challenge = pair.poll().and_then(|message| pair.server.handle(&message)).unwrap();
        pair.give(&challenge);
        let request = pair.poll().unwrap();
        pair.client.close();
        pair.server.errors.push_back((Method::ALLOCATE, code));
        let answer = pair.server.handle(&request).unwrap();
        pair.give(&answer);
        pair.assert_closed(CloseReason::Deleted);
    }
    // While another connection is awaited there is nothing either.
    let mut pair = Pair::new(config());
    alternate(&mut pair, 3478);
    pair.run();
    pair.client.close();
    pair.assert_closed(CloseReason::Deleted);
}

#[test]
fn a_broken_connection_ends_it() {
    let mut pair = Pair::allocated(Config {
        transport: Transport::Stream,
        ..config()
    });
    pair.client.handle_disconnect();
    pair.assert_closed(CloseReason::Disconnected);
    // An ICMP error does so only while nothing was heard.
    let mut pair = Pair::allocated(config());
    pair.client.handle_disconnect();
    assert_eq!(pair.client.state(), State::Allocated);
    let mut pair = Pair::new(config());
    pair.client.handle_disconnect();
    pair.assert_closed(CloseReason::Disconnected);
}

#[test]
fn spurious_timeouts_do_nothing() {
    let mut pair = Pair::allocated(config());
    let before = pair.client.poll_timeout();
    for n in 0..5 {
        pair.client.handle_timeout(pair.now + ms(n));
        assert_eq!((pair.poll(), pair.client.poll_timeout()), (None, before));
    }
}
