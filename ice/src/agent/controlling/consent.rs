//! Consent (RFC 7675 §5.1): on the nominated pair, and on the old path while ICE is restarted.

use super::*;

#[test]
fn consent_is_asked_for_every_five_seconds() {
    let mut call = Call::connected();
    call.run(Duration::from_secs(120));
    let times: Vec<Instant> = call.checks.iter().skip(1).map(|check| check.0).collect();
    let gaps: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!((20..=30).contains(&gaps.len()), "{gaps:?}");
    assert!(
        gaps.iter().all(|gap| (4000..=6000).contains(&gap.as_millis())),
        "{gaps:?}"
    );
    let ids: std::collections::BTreeSet<_> = call.checks.iter().map(|check| check.2.0).collect();
    assert_eq!(ids.len(), call.checks.len(), "each is asked anew");
    assert_eq!(
        (call.ours.state(), call.lite.state()),
        (State::Connected, State::Connected)
    );
    assert!(call.counters().is_empty(), "{:?}", call.counters());
}

#[test]
fn media_does_not_stand_for_consent() {
    let mut call = Call::connected();
    call.run(Duration::from_secs(10));
    let answered = call.checks.last().unwrap().0;
    call.dead = SERVER.map(address).to_vec();
    while call.now < answered + Duration::from_secs(29) {
        call.run(Duration::from_millis(500));
        let path = call.path(0);
        call.ours.note_activity(call.now, &path, Activity::Srtp);
        assert_eq!(call.ours.selected(), Some(path));
    }
    // That what we send does not arrive is told before (`unanswered_after`).
    assert_eq!(call.ours.state(), State::Disconnected);
    call.run(Duration::from_millis(2000));
    assert_eq!((call.ours.state(), call.ours.selected()), (State::Failed, None));
}

#[test]
fn media_does_not_stand_for_consent_after_a_restart_or_before_the_nomination() {
    let outlasts = |mut call: Call, path: Path| {
        let begin = call.now;
        while call.now < begin + Duration::from_secs(29) {
            call.run(Duration::from_millis(500));
            call.ours.note_activity(call.now, &path, Activity::Srtp);
            assert_ne!(call.ours.state(), State::Failed);
            assert_eq!(call.ours.selected(), Some(path));
        }
        call.run(Duration::from_millis(1500));
        assert_eq!((call.ours.state(), call.ours.selected()), (State::Failed, None));
    };
    // A restart that nobody answers, as little as a check.
    let mut call = Call::connected();
    call.dead = SERVER.map(address).to_vec();
    call.ours.restart(call.now);
    let path = call.path(0);
    outlasts(call, path);
    // One that is answered, on which no check is.
    let mut call = Call::connected();
    call.dead = SERVER.map(address).to_vec();
    call.ours.restart(call.now);
    call.lite.restart(call.now);
    call.exchange_credentials();
    outlasts(call, path);
    // A path that works and whose nomination is never answered.
    let mut call = Call::new();
    call.exchange_credentials();
    let (path, check) = call.next_check();
    let answer = call.answer(&check, &call.lite.local_credentials().pwd.clone(), None);
    call.ours.handle_datagram(call.now, &path, &answer);
    call.dead = SERVER.map(address).to_vec();
    outlasts(call, path);
}

/// Asserts that all checks since the last call went to the peer's best address, under this name, each once and at the
/// pace of RFC 7675 §5.1, and gives their number.
fn assert_consent(call: &mut Call, username: &str) -> usize {
    let checks = std::mem::take(&mut call.checks);
    let usernames = std::mem::take(&mut call.usernames);
    assert!(checks.iter().all(|check| check.1 == address(SERVER[0]) && !check.3));
    assert!(usernames.iter().all(|name| name == username), "{usernames:?}");
    let gaps = checks.windows(2).map(|pair| (pair[1].0 - pair[0].0).as_millis());
    assert!(
        gaps.clone().all(|gap| (4000..=6000).contains(&gap)),
        "{:?}",
        gaps.collect::<Vec<_>>()
    );
    let ids: std::collections::BTreeSet<_> = checks.iter().map(|check| check.2.0).collect();
    assert_eq!(ids.len(), checks.len(), "each is asked anew");
    checks.len()
}

#[test]
fn the_old_path_is_asked_for_consent_until_a_restart_has_found_another() {
    let mut call = Call::connected();
    call.run(Duration::from_secs(7));
    let name = |call: &Call| {
        let (theirs, ours) = (call.lite.local_credentials(), call.ours.local_credentials());
        format!("{}:{}", theirs.ufrag, ours.ufrag)
    };
    let old = name(&call);
    let mut last = call.checks.last().unwrap().0;
    call.checks.clear();
    call.usernames.clear();
    // Nobody answers the restart, nor the next one.
    for _ in 0..2 {
        call.ours.restart(call.now);
        call.run(Duration::from_secs(60));
        assert!(call.checks[0].0 - last <= Duration::from_secs(6), "the pace goes on");
        last = call.checks.last().unwrap().0;
        assert!(assert_consent(&mut call, &old) >= 10);
        assert_eq!(
            (call.ours.state(), call.ours.selected()),
            (State::Connected, Some(call.path(0)))
        );
        assert_eq!(call.lite.state(), State::Connected);
    }
    // It is answered, but no pair works under the new credentials.
    let wrong = Credentials::new("else", &"p".repeat(24)).unwrap();
    call.ours.set_remote_credentials(call.now, wrong);
    for candidate in call.lite.local_candidates().to_vec() {
        call.ours.add_remote_candidate(candidate);
    }
    call.run(Duration::from_secs(60));
    assert!(call.usernames.iter().filter(|name| **name == old).count() >= 10);
    assert!(call.usernames.iter().any(|name| name.starts_with("else:")));
    assert_eq!(
        (call.ours.state(), call.ours.selected()),
        (State::Connected, Some(call.path(0)))
    );
    // The next one finds a pair, and the old one is left alone from then on.
    call.ours.restart(call.now);
    call.lite.restart(call.now);
    call.exchange_credentials();
    call.run(Duration::from_millis(1));
    assert!(call.ours.pairs().any(|pair| pair.nominated && pair.selected));
    call.checks.clear();
    call.usernames.clear();
    call.run(Duration::from_secs(60));
    let new = name(&call);
    assert!(assert_consent(&mut call, &new) >= 10);
    assert_eq!(
        (call.ours.state(), call.ours.local_ufrags().count()),
        (State::Connected, 1)
    );
    assert!(call.counters().is_empty(), "{:?}", call.counters());
}

#[test]
fn what_was_asked_before_a_restart_may_be_answered_after_it() {
    let mut call = Call::connected();
    let (path, pwd) = (call.path(0), call.lite.local_credentials().pwd.clone());
    call.now = call.ours.poll_timeout().unwrap();
    call.ours.handle_timeout(call.now);
    let (_, check) = call.next_check();
    call.ours.restart(call.now);
    call.dead = SERVER.map(address).to_vec();
    call.now += Duration::from_millis(20);
    let answered = call.now;
    call.ours
        .handle_datagram(call.now, &path, &call.answer(&check, &pwd, None));
    assert_eq!(call.ours.rtt(), Some(Duration::from_millis(20)));
    assert!(call.counters().is_empty(), "{:?}", call.counters());
    // That was consent, for as long as any; media, which is there all the time, is none.
    for _ in 0..299 {
        call.run(Duration::from_millis(100));
        call.ours.note_activity(call.now, &path, Activity::Srtp);
    }
    assert_eq!(call.ours.selected(), Some(path));
    call.run(Duration::from_millis(100));
    assert_eq!((call.ours.state(), call.ours.selected()), (State::Failed, None));
    assert_eq!(call.now - answered, Duration::from_secs(30));
}

#[test]
fn who_has_failed_checks_nothing_for_the_same_credentials() {
    let mut call = Call::connected();
    call.dead = SERVER.map(address).to_vec();
    call.run(Duration::from_secs(40));
    assert_eq!(call.ours.state(), State::Failed);
    call.checks.clear();
    // A renegotiation without a restart, and one more address.
    call.ours
        .set_remote_credentials(call.now, call.lite.local_credentials().clone());
    call.ours.add_remote_candidate(host("192.0.2.99:3478", 65535));
    call.run(Duration::from_secs(40));
    assert_eq!((call.ours.state(), call.checks.len()), (State::Failed, 0));
}

#[test]
fn a_path_in_use_that_was_not_nominated_is_asked_for_consent_after_a_restart() {
    let mut call = Call::new();
    call.exchange_credentials();
    let (path, check) = call.next_check();
    let username = Message::parse(&check).unwrap().username().unwrap().unwrap().to_owned();
    let answer = call.answer(&check, &call.lite.local_credentials().pwd.clone(), None);
    call.ours.handle_datagram(call.now, &path, &answer);
    call.ours.restart(call.now);
    call.run(Duration::from_secs(60));
    assert!(assert_consent(&mut call, &username) >= 10);
    assert_eq!(
        (call.ours.state(), call.ours.selected()),
        (State::Connected, Some(path))
    );
}

#[test]
fn wrong_answers_are_no_consent_to_the_old_path() {
    type Answering<'a> = &'a dyn Fn(&Call, &[u8], &str) -> Vec<u8>;
    let t = |answer: Answering<'_>, from: u16, name: &'static str| {
        let mut call = Call::connected();
        let begin = call.now;
        call.ours.restart(call.now);
        let pwd = call.lite.local_credentials().pwd.clone();
        let mut out = [0; MIN_OUT];
        let mut asked = 0;
        while call.ours.state() != State::Failed {
            call.now += Duration::from_millis(100);
            // Media is there all the time.
            call.ours.note_activity(call.now, &call.path(0), Activity::Srtp);
            call.ours.handle_timeout(call.now);
            while let Some(transmit) = call.ours.poll_transmit(call.now, &mut out) {
                asked += 1;
                assert!(asked < 10, "it was consent");
                let answer = answer(&call, &out[..transmit.len], &pwd);
                let mut path = transmit.path;
                path.remote.set_port(from);
                call.ours.handle_datagram(call.now, &path, &answer);
            }
        }
        assert!((5..=8).contains(&asked), "{asked}");
        assert_eq!(call.now - begin, Duration::from_secs(30), "{name}");
        assert_eq!(call.counters(), BTreeMap::from([(name, asked)]));
    };
    t(
        &|call, check, _| call.answer(check, "not the password of the server", None),
        3478,
        "ice_wrong_integrity",
    );
    t(
        &|call, check, pwd| call.answer(check, pwd, None),
        3479,
        "ice_asymmetric_responses",
    );
    t(
        &|call, check, pwd| call.answer(check, pwd, Some(ErrorCode::BAD_REQUEST)),
        3478,
        "ice_refused_checks",
    );
    t(
        &|call, check, pwd| call.answer(check, pwd, Some(ErrorCode::ROLE_CONFLICT)),
        3478,
        "ice_role_conflicts",
    );
    let broken = |call: &Call, check: &[u8], pwd: &str| {
        let mut answer = call.answer(check, pwd, None);
        *answer.last_mut().unwrap() ^= 1;
        answer
    };
    t(&broken, 3478, "ice_bad_fingerprint");
}

/// The next request for consent.
fn next_request(call: &mut Call) -> Vec<u8> {
    let mut out = [0; MIN_OUT];
    loop {
        call.now = call.ours.poll_timeout().unwrap();
        call.ours.handle_timeout(call.now);
        call.lite.handle_timeout(call.now);
        if let Some(transmit) = call.ours.poll_transmit(call.now, &mut out) {
            return out[..transmit.len].to_vec();
        }
    }
}

/// The peer answers a check with 403.
fn forbid(call: &mut Call, path: Path, check: &[u8]) {
    let pwd = call.lite.local_credentials().pwd.clone();
    let forbidden = call.answer(check, &pwd, Some(ErrorCode::FORBIDDEN));
    call.ours.handle_datagram(call.now, &path, &forbidden);
}

/// A check of the peer's comes on the path: it is answered, and for a minute that is all that is sent there.
fn assert_left_alone(call: &mut Call, path: Path) {
    let check = check_from_peer(&call.ours, CONTROLLED, 99);
    call.ours.handle_datagram(call.now, &path, &check);
    let (to, answer) = call.next_check();
    assert_eq!(
        (to, Message::parse(&answer).unwrap().class()),
        (path, Class::SuccessResponse)
    );
    call.checks.clear();
    call.run(Duration::from_secs(60));
    assert!(!call.checks.is_empty());
    assert!(call.checks.iter().all(|check| check.1 != path.remote));
}

#[test]
fn who_forbids_is_left_alone_at_once() {
    let mut call = Call::connected();
    let (path, other) = (call.path(0), call.path(1));
    let check = next_request(&mut call);
    while call.ours.poll_event().is_some() {}
    // Without the peer's key it says nothing.
    let forged = call.answer(&check, "not the password of the server", Some(ErrorCode::FORBIDDEN));
    call.ours.handle_datagram(call.now, &path, &forged);
    assert_eq!(
        (call.ours.state(), call.ours.selected()),
        (State::Connected, Some(path))
    );
    forbid(&mut call, path, &check);
    assert_eq!((call.ours.state(), call.ours.selected()), (State::Disconnected, None));
    let events: Vec<Event> = std::iter::from_fn(|| call.ours.poll_event()).collect();
    assert_eq!(
        events,
        [
            Event::PathRemoved(path),
            Event::StateChanged(State::Disconnected),
            Event::NeedsRestart
        ]
    );
    // The others have not lost theirs.
    call.run(Duration::from_secs(1));
    assert_eq!(
        (call.ours.state(), call.ours.selected()),
        (State::Connected, Some(other))
    );
    assert_left_alone(&mut call, path);
    assert_eq!(call.ours.selected(), Some(other));
    // RFC 7675 §5.1: "a new session, or an ICE restart, is needed".
    call.ours.restart(call.now);
    call.lite.restart(call.now);
    call.exchange_credentials();
    call.run(Duration::from_secs(1));
    assert_eq!(call.ours.selected(), Some(path));
    let expected = [("ice_refused_checks", 1), ("ice_wrong_integrity", 1)];
    assert_eq!(call.counters(), BTreeMap::from(expected));
}

#[test]
fn who_forbids_the_last_path_ends_the_session() {
    let mut call = Call::new();
    let theirs = call.lite.local_credentials().clone();
    call.ours.set_remote_credentials(call.now, theirs);
    call.ours.add_remote_candidate(host(SERVER[0], 65535));
    call.run(Duration::from_millis(1));
    let (path, check) = (call.path(0), next_request(&mut call));
    forbid(&mut call, path, &check);
    assert_eq!((call.ours.state(), call.ours.selected()), (State::Failed, None));
    assert_eq!(call.ours.poll_timeout(), None);
}

#[test]
fn who_forbids_the_old_path_during_a_restart_is_left_alone_there() {
    let mut call = Call::connected();
    // Two paths work.
    call.dead.push(address(SERVER[0]));
    call.run(Duration::from_secs(10));
    call.dead.clear();
    call.run(Duration::from_secs(10));
    call.dead = SERVER.map(address).to_vec();
    call.ours.restart(call.now);
    assert_eq!(call.ours.pairs().count(), 2);
    let (path, check) = (call.ours.selected().unwrap(), next_request(&mut call));
    forbid(&mut call, path, &check);
    // Nobody asks for consent on the other one.
    assert_eq!((call.ours.state(), call.ours.selected()), (State::Failed, None));
    call.checks.clear();
    call.run(Duration::from_secs(60));
    assert!(call.checks.is_empty());
    // The answer to the restart may still come.
    call.dead.clear();
    call.lite.restart(call.now);
    call.exchange_credentials();
    call.run(Duration::from_secs(1));
    assert_eq!(
        (call.ours.state(), call.ours.selected()),
        (State::Connected, Some(call.path(0)))
    );
}

#[test]
fn who_forbids_a_first_check_is_not_checked_again() {
    let mut call = Call::new();
    call.exchange_credentials();
    let (path, check) = call.next_check();
    forbid(&mut call, path, &check);
    assert_eq!(call.ours.state(), State::Checking);
    assert_left_alone(&mut call, path);
    assert!(!call.ours.may_receive(call.now, &path));
    assert_eq!(call.ours.selected(), Some(call.path(1)));
}

#[test]
fn where_consent_has_expired_nothing_is_sent_before_a_restart() {
    let mut call = Call::connected();
    let path = call.path(0);
    call.dead.push(address(SERVER[0]));
    call.run(Duration::from_secs(60));
    assert_eq!(
        (call.ours.selected(), call.ours.is_validated(&path)),
        (Some(call.path(1)), false)
    );
    call.dead.clear();
    assert_left_alone(&mut call, path);
    call.ours.restart(call.now);
    call.lite.restart(call.now);
    call.exchange_credentials();
    call.run(Duration::from_secs(1));
    assert_eq!(call.ours.selected(), Some(path));
}
