use super::server::REALM;
use super::*;
use stun::{AttributeType, Message, PasswordAlgorithm};

fn challenged(algorithms: &[PasswordAlgorithm], anonymity: bool) -> Pair {
    let mut pair = Pair::new(config());
    pair.server.algorithms = algorithms.to_vec();
    pair.server.anonymity = anonymity;
    pair
}

#[test]
fn a_second_401_is_the_end() {
    let mut pair = Pair::new(Config {
        credentials: Credentials::new(USER, "wrong"),
        ..config()
    });
    pair.run();
    assert_eq!(pair.server.seen.len(), 2);
    pair.assert_closed(CloseReason::WrongCredentials);
}

#[test]
fn a_401_of_another_realm_is_answered() {
    let mut pair = Pair::allocated(config());
    pair.server.realm = "other.example.org";
    pair.client.permit(pair.now, peer(1)).unwrap();
    pair.client.permit(pair.now, address("203.0.113.2:1")).unwrap();
    pair.client.bind(pair.now, peer(3)).unwrap();
    // Both requests were written for the old one.
    let requests = pair.poll_all();
    for request in &requests {
        let challenge = pair.server.handle(request).unwrap();
        pair.give(&challenge);
    }
    pair.run();
    assert_eq!((requests.len(), pair.server.seen.len()), (2, 4));
    assert!(pair.client.is_bound(&peer(3)));
    assert_eq!(pair.events.len(), 4, "{:?}", pair.events);
    pair.assert_clean();
}

#[test]
fn realms_that_change_all_the_time_do_not_go_on_for_ever() {
    let mut pair = Pair::new(config());
    let mut realms = ["a", "b", "c", "d", "e", "f"].into_iter();
    while let Some(request) = pair.poll() {
        pair.server.realm = realms.next().unwrap();
        let challenge = pair.server.handle(&request).unwrap();
        pair.give(&challenge);
    }
    assert_eq!(pair.server.seen.len(), 4);
    pair.assert_closed(CloseReason::Refused(ErrorCode::UNAUTHENTICATED));
}

#[test]
fn without_credentials_a_challenge_is_the_end() {
    let mut pair = Pair::new(Config::default());
    pair.run();
    assert_eq!(pair.server.seen.len(), 1);
    pair.assert_closed(CloseReason::NoCredentials);
}

#[test]
fn a_stale_nonce_is_replaced() {
    let mut pair = Pair::allocated(config());
    pair.server.nonce += 1;
    pair.client.permit(pair.now, peer(1)).unwrap();
    pair.run();
    let [stale, fresh] = &pair.server.seen[..] else {
        panic!()
    };
    assert_ne!(stale.id, fresh.id);
    assert_eq!(Message::parse(&fresh.bytes).unwrap().nonce(), Ok(Some("nonce2")));
    // The next request has it at once.
    pair.client.permit(pair.now, peer(2)).unwrap();
    pair.run();
    assert_eq!(pair.server.seen.len(), 3);
    pair.assert_clean();
}

#[test]
fn nonces_that_are_stale_at_once_do_not_go_on_for_ever() {
    let mut pair = Pair::new(config());
    for _ in 0..100 {
        pair.server.errors.push_back((Method::ALLOCATE, ErrorCode::STALE_NONCE));
    }
    pair.run();
    assert_eq!(pair.server.seen.len(), 4);
    pair.assert_closed(CloseReason::Refused(ErrorCode::STALE_NONCE));
}

#[test]
fn the_first_known_password_algorithm_is_taken() {
    let unknown = PasswordAlgorithm(0x7777);
    for (offered, chosen) in [
        (
            vec![PasswordAlgorithm::SHA256, PasswordAlgorithm::MD5],
            PasswordAlgorithm::SHA256,
        ),
        (
            vec![PasswordAlgorithm::MD5, PasswordAlgorithm::SHA256],
            PasswordAlgorithm::MD5,
        ),
        (vec![unknown, PasswordAlgorithm::SHA256], PasswordAlgorithm::SHA256),
    ] {
        let mut pair = challenged(&offered, false);
        pair.run();
        assert_eq!(pair.client.state(), State::Allocated);
        let request = pair.server.last().bytes.clone();
        let message = Message::parse(&request).unwrap();
        let value = |kind| message.attribute(kind).unwrap().value();
        let [a, b] = chosen.0.to_be_bytes();
        assert_eq!(value(AttributeType::PASSWORD_ALGORITHM), [a, b, 0, 0]);
        assert_eq!(value(AttributeType::PASSWORD_ALGORITHMS).len(), 4 * offered.len());
        // RFC 8489 §9.2.5: SHA-256 only, for everything that follows too.
        assert!(message.attribute(AttributeType::MESSAGE_INTEGRITY).is_none());
        pair.deliver(peer(1), b"x");
        pair.pass(secs(1000));
        assert_eq!(pair.client.state(), State::Allocated);
        pair.assert_clean();
    }
}

#[test]
fn no_known_password_algorithm_is_the_end() {
    let mut pair = challenged(&[PasswordAlgorithm(0x7777)], false);
    pair.run();
    assert_eq!(pair.server.seen.len(), 1);
    pair.assert_closed(CloseReason::BadChallenge);
}

#[test]
fn the_username_is_hashed_only_where_the_server_says_so() {
    for anonymity in [false, true] {
        let mut pair = challenged(&[PasswordAlgorithm::SHA256], anonymity);
        pair.run();
        assert_eq!(pair.client.state(), State::Allocated);
        let request = pair.server.last().bytes.clone();
        let message = Message::parse(&request).unwrap();
        assert_eq!(message.username().unwrap().is_some(), !anonymity);
        assert_eq!(
            message.userhash().unwrap(),
            anonymity.then(|| stun::userhash(USER, REALM)).as_ref()
        );
    }
}

#[test]
fn algorithms_that_somebody_took_out_are_noticed() {
    // Of the challenge.
    let mut pair = challenged(&[PasswordAlgorithm::SHA256], false);
    pair.server.strip_algorithms = true;
    pair.run();
    assert_eq!((pair.server.seen.len(), pair.client.counters().turn_bid_down), (1, 1));
    pair.assert_closed(CloseReason::BidDown);
    // Of a later challenge, whose nonce was replaced as well.
    let mut pair = challenged(&[PasswordAlgorithm::SHA256], false);
    pair.run();
    pair.server.seen.clear();
    pair.server.nonce += 1;
    pair.server.plain = true;
    pair.client.permit(pair.now, peer(1)).unwrap();
    pair.run();
    assert_eq!((pair.server.seen.len(), pair.client.counters().turn_bid_down), (1, 1));
    // An answer in which the nonce announces what is not there counts as not received.
    let mut pair = Pair::new(config());
    let request = pair.poll().unwrap();
    let mut out = [0; 200];
    let id = Message::parse(&request).unwrap().transaction_id();
    let mut b = stun::Builder::new(&mut out, stun::Class::ErrorResponse, Method::ALLOCATE, id).unwrap();
    b.error_code(ErrorCode::FORBIDDEN).unwrap();
    b.push(&stun::Value::Nonce("obMatJos2gAAAx")).unwrap();
    let answer = b.finish().to_vec();
    pair.give(&answer);
    assert_eq!(
        (pair.client.state(), pair.client.counters().turn_bid_down),
        (State::Allocating, 1)
    );
}

#[test]
fn sha1_is_not_enough_where_sha256_was_agreed_on() {
    let mut pair = challenged(&[PasswordAlgorithm::MD5], false);
    pair.server.sha1_only = true;
    pair.run();
    assert_eq!(
        (pair.client.state(), pair.client.counters().turn_wrong_integrity),
        (State::Allocating, 1)
    );
}

#[test]
fn answers_without_the_right_integrity_count_as_not_received() {
    for wrong_key in [false, true] {
        let mut pair = Pair::new(config());
        pair.server.no_integrity = !wrong_key;
        pair.server.wrong_key = wrong_key;
        pair.run();
        assert_eq!(
            (pair.client.state(), pair.client.counters().turn_wrong_integrity),
            (State::Allocating, 1)
        );
        // The right one may still come.
        pair.server.no_integrity = false;
        pair.server.wrong_key = false;
        pair.pass(ms(500));
        assert_eq!(pair.client.state(), State::Allocated);

        let mut pair = Pair::new(config());
        pair.server.no_integrity = !wrong_key;
        pair.server.wrong_key = wrong_key;
        pair.pass(secs(40));
        pair.assert_closed(CloseReason::IntegrityViolated);
    }
}

#[test]
fn on_a_stream_wrong_integrity_is_the_end_of_the_request() {
    let mut pair = Pair::new(Config {
        transport: Transport::Stream,
        ..config()
    });
    pair.server.wrong_key = true;
    pair.run();
    pair.assert_closed(CloseReason::IntegrityViolated);
}

#[test]
fn a_400_that_nobody_has_signed_counts_as_not_received() {
    let mut pair = Pair::new(config());
    pair.server.auth = false;
    pair.server.errors.push_back((Method::ALLOCATE, ErrorCode::BAD_REQUEST));
    pair.run();
    assert_eq!(
        (pair.client.state(), pair.client.counters().turn_unproven_errors),
        (State::Allocating, 1)
    );
    // One that is signed counts.
    let mut pair = Pair::new(config());
    pair.server.errors.push_back((Method::ALLOCATE, ErrorCode::BAD_REQUEST));
    pair.run();
    pair.assert_closed(CloseReason::Refused(ErrorCode::BAD_REQUEST));
}

#[test]
fn challenges_without_realm_or_nonce_are_the_end() {
    for (realm, nonce) in [(true, false), (false, true)] {
        let mut pair = Pair::new(config());
        let request = pair.poll().unwrap();
        let mut out = [0; 200];
        let id = Message::parse(&request).unwrap().transaction_id();
        let mut b = stun::Builder::new(&mut out, stun::Class::ErrorResponse, Method::ALLOCATE, id).unwrap();
        b.error_code(ErrorCode::UNAUTHENTICATED).unwrap();
        if realm {
            b.push(&stun::Value::Realm(REALM)).unwrap();
        }
        if nonce {
            b.push(&stun::Value::Nonce("n")).unwrap();
        }
        let answer = b.finish().to_vec();
        pair.give(&answer);
        pair.assert_closed(CloseReason::BadChallenge);
    }
}

#[test]
fn attributes_that_must_be_understood_spoil_an_answer() {
    let mut pair = Pair::new(Config::default());
    let request = pair.poll().unwrap();
    let mut out = [0; 200];
    let id = Message::parse(&request).unwrap().transaction_id();
    let mut b = stun::Builder::new(&mut out, stun::Class::SuccessResponse, Method::ALLOCATE, id).unwrap();
    b.push(&stun::Value::Other(AttributeType(0x7ff0), b"x")).unwrap();
    let answer = b.finish().to_vec();
    pair.give(&answer);
    assert_eq!(pair.client.counters().turn_unknown_attributes, 1);
    pair.assert_closed(CloseReason::BadAnswer);
}

#[test]
fn noise_raises_counters_and_changes_nothing() {
    let mut pair = Pair::allocated(config());
    let before = pair.client.poll_timeout();
    pair.give(b"");
    pair.give(b"noise");
    pair.give(&[0x40]);
    pair.give(&[0x40, 0, 0, 0]);
    let request = pair.server.handle(&[0x40, 0, 0, 0]);
    assert_eq!(request, None);
    let mut out = [0; 100];
    let b = stun::Builder::new(&mut out, stun::Class::Request, Method::BINDING, TransactionId([1; 12])).unwrap();
    let request = b.finish().to_vec();
    pair.give(&request);
    let b = stun::Builder::new(
        &mut out,
        stun::Class::SuccessResponse,
        Method::REFRESH,
        TransactionId([1; 12]),
    );
    let answer = b.unwrap().finish().to_vec();
    pair.give(&answer);
    let counters = ClientCounters {
        turn_malformed: 3,
        turn_unknown_channels: 1,
        turn_unexpected_methods: 1,
        turn_unexpected_answers: 1,
        ..ClientCounters::default()
    };
    assert_eq!(*pair.client.counters(), counters);
    assert_eq!((pair.client.poll_timeout(), pair.poll()), (before, None));
}

#[test]
fn answers_of_another_method_or_with_a_wrong_fingerprint_are_not_taken() {
    let mut pair = Pair::new(config());
    let request = pair.poll().unwrap();
    let mut challenge = pair.server.handle(&request).unwrap();
    challenge[1] ^= 0x01;
    pair.give(&challenge);
    assert_eq!(pair.client.counters().turn_malformed, 1);
    challenge[1] ^= 0x01;
    pair.give(&challenge);
    let request = pair.poll().unwrap();
    let mut answer = pair.server.handle(&request).unwrap();
    let last = answer.len() - 1;
    answer[last] ^= 1;
    pair.give(&answer);
    assert_eq!(
        (pair.client.state(), pair.client.counters().turn_malformed),
        (State::Allocating, 2)
    );
    answer[last] ^= 1;
    pair.give(&answer);
    assert_eq!(pair.client.state(), State::Allocated);
}
