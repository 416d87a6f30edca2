use super::*;
use stun::Message;

fn other_port(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip(), peer.port() + 1000)
}

#[test]
fn the_first_data_goes_right_behind_its_permission() {
    let mut pair = Pair::allocated(config());
    assert_eq!(pair.send(peer(1), b"one"), Ok(None));
    assert_eq!(pair.send(peer(1), b"two"), Ok(None));
    assert_eq!(pair.send(peer(2), b"three"), Ok(None));
    // One request for both, then the data, without waiting for the answer.
    let messages = pair.poll_all();
    let methods: Vec<_> = messages.iter().map(|message| method_of(message).unwrap()).collect();
    assert_eq!(
        methods,
        [Method::CREATE_PERMISSION, Method::SEND, Method::SEND, Method::SEND]
    );
    for message in &messages {
        pair.server.handle(message);
    }
    let relayed: Vec<_> = pair
        .server
        .relayed
        .iter()
        .map(|relayed| (relayed.peer, &relayed.data[..]))
        .collect();
    assert_eq!(
        relayed,
        [(peer(1), &b"one"[..]), (peer(1), b"two"), (peer(2), b"three")]
    );
    // What comes next does not wait.
    assert!(pair.send(peer(1), b"four").unwrap().is_some());
    assert!(pair.client.knows(&peer(1)) && !pair.client.is_bound(&peer(1)));
    pair.assert_clean();
}

#[test]
fn an_address_is_known_as_long_as_one_of_its_peers_is() {
    let mut pair = Pair::allocated(config());
    let (one, other) = (peer(1), other_port(peer(1)));
    assert!(!pair.client.knows_address(&one.ip()));
    pair.client.permit(pair.now, one).unwrap();
    pair.client.permit(pair.now, other).unwrap();
    pair.client.forget(pair.now, &one);
    assert!(pair.client.knows_address(&one.ip()) && !pair.client.knows(&one));
    pair.client.forget(pair.now, &other);
    assert!(!pair.client.knows_address(&one.ip()));
}

#[test]
fn data_does_not_overtake_its_request() {
    let mut pair = Pair::allocated(Config {
        max_transactions: 2,
        ..config()
    });
    for n in 1..=9 {
        assert_eq!(pair.send(peer(n), &[n]), Ok(None));
    }
    // Eight in one request, and no place for another.
    let methods = |messages: Vec<Vec<u8>>| messages.iter().map(|m| method_of(m).unwrap()).collect::<Vec<_>>();
    let request = pair.poll().unwrap();
    assert_eq!(pair.send(peer(9), b"again"), Ok(None));
    assert_eq!(methods(pair.poll_all()), [Method::SEND; 8]);
    let answer = pair.server.handle(&request).unwrap();
    pair.give(&answer);
    assert_eq!(
        methods(pair.poll_all()),
        [Method::CREATE_PERMISSION, Method::SEND, Method::SEND]
    );
    pair.assert_clean();
}

#[test]
fn data_waits_for_a_request_that_was_not_sent_yet() {
    let mut pair = Pair::allocated(config());
    for n in 1..=9 {
        pair.client.permit(pair.now, peer(n)).unwrap();
    }
    // Two requests, of which one has left.
    assert_eq!(method_of(&pair.poll().unwrap()), Some(Method::CREATE_PERMISSION));
    assert_eq!(pair.send(peer(9), b"x"), Ok(None));
    let methods: Vec<_> = pair
        .poll_all()
        .iter()
        .map(|message| method_of(message).unwrap())
        .collect();
    assert_eq!(methods, [Method::CREATE_PERMISSION, Method::SEND]);
    assert!(pair.send(peer(9), b"x").unwrap().is_some());
}

#[test]
fn a_permission_is_asked_for_until_it_is_answered() {
    let mut pair = Pair::allocated(config());
    pair.client.permit(pair.now, peer(1)).unwrap();
    let sent = pair.pass_unanswered(secs(100));
    assert!(sent.len() > 14, "{}", sent.len());
    assert!(
        sent.iter()
            .all(|(_, message)| method_of(message) == Some(Method::CREATE_PERMISSION))
    );
    assert_ne!(sent[0].1, sent[7].1);
    assert!(pair.client.counters().turn_timeouts >= 1);
    pair.pass(secs(20));
    assert_eq!(pair.events, [Event::Permitted(peer(1).ip())]);
}

#[test]
fn permissions_are_refreshed_as_long_as_the_peer_is_wanted() {
    let mut pair = Pair::allocated(config());
    pair.client.permit(pair.now, peer(1)).unwrap();
    pair.client.permit(pair.now, peer(2)).unwrap();
    pair.run();
    assert_eq!(pair.server.seen.len(), 1);
    assert_eq!(pair.server.seen[0].peers.len(), 2);
    pair.pass(secs(219));
    assert_eq!(pair.server.count(Method::CREATE_PERMISSION), 1);
    pair.pass(secs(22));
    let refreshed: usize = pair.server.seen[1..].iter().map(|seen| seen.peers.len()).sum();
    assert_eq!(refreshed, 2);
    pair.client.forget(pair.now, &peer(2));
    pair.server.seen.clear();
    pair.pass(secs(241));
    let refreshed: Vec<_> = pair
        .server
        .seen
        .iter()
        .filter(|seen| seen.method == Method::CREATE_PERMISSION)
        .collect();
    assert_eq!(refreshed.len(), 1);
    assert_eq!(refreshed[0].peers[0].ip(), peer(1).ip());
    // Told once.
    pair.collect();
    let told = pair
        .events
        .iter()
        .filter(|event| matches!(event, Event::Permitted(_)))
        .count();
    assert_eq!(told, 2);
    pair.assert_clean();
}

#[test]
fn ports_of_one_address_share_a_permission() {
    let mut pair = Pair::allocated(config());
    pair.deliver(peer(1), b"x");
    assert!(pair.send(other_port(peer(1)), b"y").unwrap().is_some());
    assert_eq!(pair.server.seen.len(), 1);
    // It stays until both are forgotten.
    pair.client.forget(pair.now, &peer(1));
    pair.pass(secs(250));
    assert_eq!(pair.server.count(Method::CREATE_PERMISSION), 2);
    pair.client.forget(pair.now, &other_port(peer(1)));
    pair.pass(secs(500));
    assert_eq!(pair.server.count(Method::CREATE_PERMISSION), 2);
    pair.assert_clean();
}

#[test]
fn a_permission_that_has_ended_is_not_believed_in() {
    let mut pair = Pair::allocated(config());
    pair.deliver(peer(1), b"x");
    pair.pass_unanswered(secs(240));
    let request = pair.pass_unanswered(secs(59)).pop().unwrap().1;
    assert!(pair.send(peer(1), b"y").unwrap().is_some());
    // At 300 s it has ended. A request is under way, so that data goes on behind it.
    pair.pass_unanswered(secs(2));
    assert!(pair.send(peer(1), b"y").unwrap().is_some());
    assert_eq!(method_of(&request), Some(Method::CREATE_PERMISSION));
    pair.run();
    pair.pass(secs(40));
    assert_eq!(
        pair.events
            .iter()
            .filter(|event| matches!(event, Event::Permitted(_)))
            .count(),
        2
    );
}

#[test]
fn a_late_timer_does_not_send_into_the_void() {
    let mut pair = Pair::allocated(config());
    pair.deliver(peer(1), b"x");
    pair.now += secs(300);
    assert_eq!(pair.send(peer(1), b"y"), Ok(None));
    pair.server.permissions.clear();
    pair.run();
    assert_eq!(pair.server.relayed.len(), 2);
}

#[test]
fn one_forbidden_peer_does_not_concern_the_others() {
    let mut pair = Pair::allocated(config());
    pair.server.forbidden.insert(peer(2).ip());
    for n in 1..=3 {
        pair.client.permit(pair.now, peer(n)).unwrap();
    }
    pair.run();
    let refused = Event::PeerRefused {
        peer: peer(2),
        error: ErrorCode::FORBIDDEN,
    };
    let permitted = |n| Event::Permitted(peer(n).ip());
    assert_eq!(pair.events, [permitted(1), refused.clone(), permitted(3)]);
    // All at once, and then each alone.
    assert_eq!(
        pair.server.seen.iter().map(|seen| seen.peers.len()).collect::<Vec<_>>(),
        [3, 1, 1, 1]
    );
    assert_eq!(pair.send(peer(2), b"x"), Err(SendError::Refused(ErrorCode::FORBIDDEN)));
    assert!(pair.send(peer(1), b"x").unwrap().is_some());
    pair.pass(secs(3000));
    assert_eq!(pair.events.iter().filter(|event| **event == refused).count(), 1);
    // Whoever knows better asks again.
    pair.server.forbidden.clear();
    pair.client.permit(pair.now, peer(2)).unwrap();
    pair.run();
    assert!(pair.send(peer(2), b"x").unwrap().is_some());
}

#[test]
fn data_for_a_refused_peer_is_dropped_and_counted() {
    let mut pair = Pair::allocated(Config {
        max_transactions: 2,
        ..config()
    });
    pair.server.forbidden.insert(peer(1).ip());
    assert_eq!(pair.send(peer(1), b"x"), Ok(None));
    let request = pair.poll().unwrap();
    let answer = pair.server.handle(&request).unwrap();
    pair.give(&answer);
    assert_eq!(pair.poll(), None);
    assert_eq!(pair.client.counters().turn_waiting_data_dropped, 1);
}

#[test]
fn a_peer_for_which_there_is_no_room_is_asked_for_again_a_minute_later() {
    let mut pair = Pair::allocated(config());
    pair.server
        .errors
        .push_back((Method::CREATE_PERMISSION, ErrorCode::INSUFFICIENT_CAPACITY));
    pair.client.permit(pair.now, peer(1)).unwrap();
    pair.run();
    pair.pass(secs(59));
    assert_eq!(pair.server.seen.len(), 1);
    pair.pass(secs(1));
    assert_eq!(pair.server.seen.len(), 2);
    assert_eq!(pair.events.last(), Some(&Event::Permitted(peer(1).ip())));
}

#[test]
fn data_takes_the_channel_once_it_is_bound() {
    let mut pair = Pair::allocated(config());
    pair.client.bind(pair.now, peer(1)).unwrap();
    let request = pair.poll().unwrap();
    assert_eq!(method_of(&request), Some(Method::CHANNEL_BIND));
    // The request brings the permission too, so that data may follow at once, in an indication.
    let before = pair.send(peer(1), b"x").unwrap().unwrap();
    assert_eq!(method_of(&before), Some(Method::SEND));
    let answer = pair.server.handle(&request).unwrap();
    pair.give(&answer);
    let after = pair.send(peer(1), b"hello").unwrap().unwrap();
    assert_eq!(after, [0x40, 0, 0, 5, b'h', b'e', b'l', b'l', b'o']);
    pair.collect();
    assert_eq!(
        pair.events,
        [Event::Permitted(peer(1).ip()), Event::ChannelBound(peer(1))]
    );
    assert_eq!(pair.poll(), None);
    // Another peer has another number.
    pair.client.bind(pair.now, peer(2)).unwrap();
    pair.run();
    assert_eq!(pair.send(peer(2), b"").unwrap().unwrap(), [0x40, 1, 0, 0]);
    pair.assert_clean();
}

#[test]
fn a_channel_that_nobody_wants_any_more_leaves_its_permission_to_others() {
    for answered in [true, false] {
        let mut pair = Pair::allocated(config());
        pair.client.bind(pair.now, peer(1)).unwrap();
        let request = pair.poll().unwrap();
        // Behind the request of the channel: no other is needed.
        assert!(pair.send(other_port(peer(1)), b"x").unwrap().is_some());
        pair.client.forget(pair.now, &peer(1));
        if answered {
            let answer = pair.server.handle(&request).unwrap();
            pair.give(&answer);
        } else {
            pair.pass_unanswered(secs(39));
            assert_eq!(pair.server.seen.len(), 0);
        }
        pair.pass(secs(1));
        assert_eq!(pair.events, [Event::Permitted(peer(1).ip())]);
        pair.server.seen.clear();
        pair.pass(secs(1000));
        // And keeps it.
        assert!((3..=5).contains(&pair.server.count(Method::CREATE_PERMISSION)));
        assert_eq!(pair.server.count(Method::CHANNEL_BIND), 0);
        assert!(!pair.client.is_bound(&peer(1)));
    }
}

#[test]
fn a_refresh_that_is_refused_for_now_costs_no_permission() {
    for code in [401, 420, 429, 486, 500, 508] {
        let mut pair = Pair::allocated(config());
        pair.client.permit(pair.now, peer(1)).unwrap();
        pair.run();
        pair.events.clear();
        let refusals = 3;
        for _ in 0..refusals {
            let error = (Method::CREATE_PERMISSION, ErrorCode(code));
            pair.server.errors.push_back(error);
        }
        // After half of the 60 to 80 s that are left, and half of that, and so on.
        pair.pass(secs(299));
        assert_eq!(pair.server.count(Method::CREATE_PERMISSION), 1 + refusals + 1, "{code}");
        assert!(pair.send(peer(1), b"x").unwrap().is_some());
        assert_eq!(pair.events, []);
        pair.pass(secs(900));
        assert_eq!(pair.events, []);
    }
}

#[test]
fn a_permission_that_is_refused_until_its_end_is_asked_for_every_minute() {
    let mut pair = Pair::allocated(config());
    pair.client.permit(pair.now, peer(1)).unwrap();
    pair.run();
    pair.events.clear();
    let error = ErrorCode::ALLOCATION_QUOTA_REACHED;
    for _ in 0..20 {
        pair.server.errors.push_back((Method::CREATE_PERMISSION, error));
    }
    pair.pass(secs(299));
    assert_eq!(pair.events, []);
    pair.pass(secs(2));
    let refused = Event::PeerRefused { peer: peer(1), error };
    assert_eq!(pair.events, [refused]);
    assert_eq!(pair.send(peer(1), b"x"), Err(SendError::Refused(error)));
    pair.server.errors.clear();
    pair.pass(secs(60));
    assert_eq!(pair.events.last(), Some(&Event::Permitted(peer(1).ip())));
}

#[test]
fn a_peer_that_is_forbidden_at_a_refresh_is_lost() {
    for code in [400, 403, 440, 443] {
        let mut pair = Pair::allocated(config());
        pair.client.permit(pair.now, peer(1)).unwrap();
        pair.run();
        let error = ErrorCode(code);
        pair.server.errors.push_back((Method::CREATE_PERMISSION, error));
        pair.pass(secs(241));
        assert_eq!(pair.events.last(), Some(&Event::PeerRefused { peer: peer(1), error }));
        let asked = pair.server.count(Method::CREATE_PERMISSION);
        pair.pass(secs(900));
        assert_eq!(pair.server.count(Method::CREATE_PERMISSION), asked);
    }
}

#[test]
fn a_channel_keeps_itself_and_its_permission() {
    let mut pair = Pair::bound(config(), peer(1));
    pair.server.seen.clear();
    pair.pass(secs(3000));
    let binds: Vec<_> = pair
        .server
        .seen
        .iter()
        .filter(|seen| seen.method == Method::CHANNEL_BIND)
        .collect();
    assert!((12..=14).contains(&binds.len()), "{}", binds.len());
    assert!(binds.iter().all(|seen| seen.channel == Some(0x4000)));
    assert_eq!(pair.server.count(Method::CREATE_PERMISSION), 0);
    let told = pair
        .events
        .iter()
        .filter(|event| matches!(event, Event::ChannelBound(_)))
        .count();
    assert_eq!((told, pair.client.is_bound(&peer(1))), (1, true));
    pair.assert_clean();
}

#[test]
fn a_channel_that_cannot_be_refreshed_ends() {
    let mut pair = Pair::bound(config(), peer(1));
    pair.server.lifetime = 6000;
    // The allocation goes on, only binding is not answered.
    let end = pair.now + secs(601);
    while pair.now < end {
        pair.pass_with(secs(1), |pair| {
            while let Some(message) = pair.poll() {
                if method_of(&message) == Some(Method::REFRESH) {
                    let answer = pair.server.handle(&message).unwrap();
                    pair.give(&answer);
                }
            }
        });
    }
    assert!(!pair.client.is_bound(&peer(1)));
    pair.pass(secs(60));
    assert!(pair.client.is_bound(&peer(1)));
}

#[test]
fn without_a_channel_data_goes_in_indications() {
    let mut pair = Pair::allocated(config());
    pair.server
        .errors
        .push_back((Method::CHANNEL_BIND, ErrorCode::INSUFFICIENT_CAPACITY));
    pair.client.bind(pair.now, peer(1)).unwrap();
    pair.run();
    let refused = Event::ChannelRefused {
        peer: peer(1),
        error: ErrorCode::INSUFFICIENT_CAPACITY,
    };
    // The permission that the channel was to bring is asked for alone.
    assert_eq!(pair.events, [refused, Event::Permitted(peer(1).ip())]);
    pair.deliver(peer(1), b"x");
    assert!(!pair.server.relayed[0].in_channel);
    // Asked again, it has the same number.
    pair.client.bind(pair.now, peer(1)).unwrap();
    pair.run();
    assert_eq!(pair.server.last().channel, Some(0x4000));
    assert!(pair.client.is_bound(&peer(1)));
}

#[test]
fn numbers_are_not_used_again_until_the_server_has_forgotten_them() {
    let mut pair = Pair::bound(
        Config {
            max_channels: 1,
            ..config()
        },
        peer(1),
    );
    assert_eq!(pair.client.bind(pair.now, peer(2)), Err(SendError::NoChannel));
    assert_eq!(pair.client.counters().turn_channels_exhausted, 1);
    pair.client.forget(pair.now, &peer(1));
    assert!(!pair.client.is_bound(&peer(1)));
    // 10 minutes of the channel and 5 of quarantine.
    pair.pass(secs(899));
    assert_eq!(pair.client.bind(pair.now, peer(2)), Err(SendError::NoChannel));
    pair.pass(secs(62));
    pair.server.channels.clear();
    pair.client.bind(pair.now, peer(2)).unwrap();
    pair.run();
    assert!(pair.client.is_bound(&peer(2)));
}

#[test]
fn a_peer_that_comes_back_has_the_same_number() {
    let mut pair = Pair::bound(config(), peer(1));
    pair.client.forget(pair.now, &peer(1));
    pair.client.bind(pair.now, peer(2)).unwrap();
    pair.client.bind(pair.now, peer(1)).unwrap();
    pair.run();
    // The server asserts that no peer has two.
    assert_eq!(pair.server.channels[&0x4000], peer(1));
    assert_eq!(pair.server.channels[&0x4001], peer(2));
    assert!(pair.client.is_bound(&peer(1)));
    pair.pass(secs(1000));
    assert!(pair.client.is_bound(&peer(1)));
    pair.assert_clean();
}

#[test]
fn a_channel_that_is_wanted_again_is_asked_for_again() {
    for late in [false, true] {
        let mut pair = Pair::allocated(config());
        pair.client.bind(pair.now, peer(1)).unwrap();
        let request = pair.poll().unwrap();
        let answer = pair.server.handle(&request).unwrap();
        if late {
            pair.client.forget(pair.now, &peer(1));
            pair.give(&answer);
        } else {
            pair.give(&answer);
            pair.client.forget(pair.now, &peer(1));
        }
        pair.pass(secs(200));
        pair.client.bind(pair.now, peer(1)).unwrap();
        // What came with the channel is not refreshed since, so data waits for the answer.
        assert_eq!(pair.send(peer(1), b"x"), Ok(None));
        assert_eq!(pair.server.count(Method::CHANNEL_BIND), 1);
        pair.run();
        assert_eq!(pair.server.count(Method::CHANNEL_BIND), 2);
        assert_eq!(pair.send(peer(1), b"x").unwrap().unwrap()[..2], [0x40, 0]);
        // The permission lasts for 300 s.
        pair.pass(secs(280));
        assert_eq!(pair.server.count(Method::CHANNEL_BIND), 3);
    }
}

#[test]
fn an_answer_for_a_forgotten_peer_changes_nothing() {
    let mut pair = Pair::allocated(config());
    pair.client.bind(pair.now, peer(1)).unwrap();
    pair.client.permit(pair.now, peer(2)).unwrap();
    let requests = pair.poll_all();
    pair.client.forget(pair.now, &peer(1));
    pair.client.forget(pair.now, &peer(2));
    for request in requests {
        let answer = pair.server.handle(&request).unwrap();
        pair.give(&answer);
    }
    pair.collect();
    assert_eq!(pair.events, []);
    assert_eq!(
        (pair.client.peers().count(), pair.client.is_bound(&peer(1))),
        (0, false)
    );
}

#[test]
fn peers_have_a_budget() {
    let mut pair = Pair::allocated(Config {
        max_peers: 2,
        ..config()
    });
    pair.client.permit(pair.now, peer(1)).unwrap();
    pair.client.bind(pair.now, peer(2)).unwrap();
    assert_eq!(pair.client.permit(pair.now, peer(3)), Err(SendError::TooManyPeers));
    assert_eq!(pair.client.bind(pair.now, peer(3)), Err(SendError::TooManyPeers));
    assert_eq!(pair.send(peer(3), b"x"), Err(SendError::TooManyPeers));
    pair.client.forget(pair.now, &peer(1));
    assert_eq!(pair.send(peer(3), b"x"), Ok(None));
    assert_eq!(pair.client.peers().collect::<Vec<_>>(), [peer(2), peer(3)]);
}

/// What the server relayed once it has seen all that came at once before the client gets any answer.
fn relayed(pair: &mut Pair) -> Vec<(u8, Vec<u8>)> {
    loop {
        let messages = pair.poll_all();
        if messages.is_empty() {
            pair.collect();
            let relayed = pair.server.relayed.iter();
            return relayed
                .map(|r| ((r.peer.port() - 9000) as u8, r.data.clone()))
                .collect();
        }
        let answers: Vec<_> = messages.iter().filter_map(|m| pair.server.handle(m)).collect();
        for answer in answers {
            pair.give(&answer);
        }
    }
}

#[test]
fn data_behind_a_request_that_is_challenged_goes_again() {
    let mut pair = Pair::allocated(config());
    pair.server.nonce += 1;
    for data in [b"one", b"two"] {
        assert_eq!(pair.send(peer(1), data), Ok(None));
    }
    assert_eq!(relayed(&mut pair), [(1, b"one".to_vec()), (1, b"two".to_vec())]);
    // And not once more when the refresh is challenged.
    pair.server.nonce += 1;
    pair.pass(secs(241));
    assert_eq!(relayed(&mut pair).len(), 2);
    pair.assert_clean();
    // Behind a channel's request as well.
    pair.server.nonce += 1;
    assert_eq!(pair.send(peer(3), b"three"), Ok(None));
    pair.client.bind(pair.now, peer(3)).unwrap();
    assert_eq!(relayed(&mut pair)[2..], [(3, b"three".to_vec())]);
    pair.assert_clean();
}

/// The driver sends again between the two answers.
#[test]
fn data_goes_once_when_its_channel_and_its_permission_are_challenged_one_after_the_other() {
    for order in [[0_usize, 1], [1, 0]] {
        let mut pair = Pair::allocated(config());
        assert_eq!(pair.send(peer(1), b"one"), Ok(None));
        pair.client.bind(pair.now, peer(1)).unwrap();
        pair.server.nonce += 1;
        let answers: Vec<_> = pair.poll_all().iter().filter_map(|m| pair.server.handle(m)).collect();
        assert_eq!(answers.len(), 2);
        let mut later = Vec::new();
        for nth in order {
            pair.give(&answers[nth]);
            later.extend(pair.poll_all().iter().filter_map(|m| pair.server.handle(m)));
        }
        for answer in later {
            pair.give(&answer);
        }
        assert_eq!(relayed(&mut pair), [(1, b"one".to_vec())], "{order:?}");
        pair.assert_clean();
    }
}

#[test]
fn data_goes_once_when_its_channel_is_refused_and_its_permission_is_not() {
    for error in [ErrorCode::INSUFFICIENT_CAPACITY, ErrorCode::BAD_REQUEST] {
        let mut pair = Pair::allocated(config());
        pair.server.errors.push_back((Method::CHANNEL_BIND, error));
        assert_eq!(pair.send(peer(1), b"one"), Ok(None));
        pair.client.bind(pair.now, peer(1)).unwrap();
        assert_eq!(relayed(&mut pair), [(1, b"one".to_vec())]);
        assert!(pair.events.contains(&Event::Permitted(peer(1).ip())));
        assert!(pair.events.contains(&Event::ChannelRefused { peer: peer(1), error }));
    }
}

#[test]
fn data_of_those_who_are_not_forbidden_goes_again_when_each_is_asked_for_alone() {
    let mut pair = Pair::allocated(config());
    pair.server.forbidden.insert(peer(2).ip());
    for n in 1..=3 {
        assert_eq!(pair.send(peer(n), &[n]), Ok(None));
    }
    let mut relayed = relayed(&mut pair);
    relayed.sort();
    assert_eq!(relayed, [(1, vec![1]), (3, vec![3])]);
    // That of the forbidden one was sent behind its own request.
    assert_eq!(pair.client.counters().turn_waiting_data_dropped, 0);
}

#[test]
fn data_behind_a_request_that_was_never_answered_is_not_kept() {
    let mut pair = Pair::allocated(config());
    assert_eq!(pair.send(peer(1), b"old"), Ok(None));
    pair.pass_unanswered(secs(60));
    pair.server.nonce += 1;
    pair.pass(secs(20));
    assert!(pair.client.counters().turn_timeouts > 0);
    assert_eq!(pair.events.last(), Some(&Event::Permitted(peer(1).ip())));
    assert_eq!(pair.server.relayed, []);
}

#[test]
fn a_stale_nonce_does_not_cost_a_permission() {
    let mut pair = Pair::allocated(config());
    pair.server.nonce += 1;
    pair.deliver(peer(1), b"x");
    assert_eq!(pair.events, [Event::Permitted(peer(1).ip())]);
    let request = pair.server.last().bytes.clone();
    assert_eq!(Message::parse(&request).unwrap().nonce(), Ok(Some("nonce2")));
}
