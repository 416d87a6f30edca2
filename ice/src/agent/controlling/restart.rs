//! ICE restarts (RFC 8445 §9), and what comes late for the session before.

use super::*;

#[test]
fn a_restart_finds_another_way_and_keeps_the_old_one_until_then() {
    let mut call = Call::connected();
    call.run(Duration::from_secs(1));
    call.dead.push(address(SERVER[0]));
    call.ours.restart(call.now);
    call.lite.restart(call.now);
    call.run(Duration::from_secs(1));
    assert_eq!(call.ours.selected(), Some(call.path(0)));
    let sent = call.checks.len();
    call.exchange_credentials();
    call.run(Duration::from_secs(1));
    assert!(call.checks.len() > sent);
    assert_eq!(call.ours.selected(), Some(call.path(1)));
    call.run(Duration::from_secs(10));
    assert_eq!(call.ours.local_ufrags().count(), 1);
    assert!(!call.ours.is_validated(&call.path(0)));
    assert!(call.counters().is_empty(), "{:?}", call.counters());
}

#[test]
fn a_restart_that_is_answered_after_the_failure_still_counts() {
    for late in [20, 40] {
        let mut call = Call::connected();
        call.dead = SERVER.map(address).to_vec();
        call.run(Duration::from_secs(8));
        assert_eq!(call.ours.state(), State::Disconnected);
        call.ours.restart(call.now);
        call.run(Duration::from_secs(late - 8));
        assert_eq!(call.ours.state(), State::Failed);
        call.dead.clear();
        call.lite.restart(call.now);
        call.exchange_credentials();
        assert_eq!(call.ours.state(), State::Checking);
        call.run(Duration::from_secs(1));
        assert_eq!(call.ours.state(), State::Connected);
        assert_eq!(call.ours.selected(), Some(call.path(0)));
        call.run(Duration::from_secs(60));
        assert_eq!(call.ours.state(), State::Connected);
    }
    // The same credentials are no restart.
    let mut call = Call::connected();
    call.dead = SERVER.map(address).to_vec();
    call.run(Duration::from_secs(20));
    call.exchange_credentials();
    assert_eq!(call.ours.state(), State::Failed);
}

#[test]
fn candidates_that_come_before_a_late_answer_are_paired_then() {
    for late in [0, 20, 40] {
        let mut call = Call::connected();
        call.dead = SERVER.map(address).to_vec();
        call.ours.restart(call.now);
        for candidate in call.lite.local_candidates().to_vec() {
            call.ours.add_remote_candidate(candidate);
        }
        call.run(Duration::from_secs(late));
        assert_eq!(call.ours.state() == State::Failed, late > 0);
        call.dead.clear();
        call.lite.restart(call.now);
        // The answer has no candidates of its own.
        call.ours
            .set_remote_credentials(call.now, call.lite.local_credentials().clone());
        call.run(Duration::from_secs(1));
        assert_eq!(
            (call.ours.state(), call.ours.selected()),
            (State::Connected, Some(call.path(0)))
        );
        assert!(call.counters().is_empty(), "{:?}", call.counters());
    }
}

#[test]
fn what_comes_late_is_no_fault() {
    let mut call = Call::new();
    call.exchange_credentials();
    let pwd = call.lite.local_credentials().pwd.clone();
    let (path, check) = call.next_check();
    let answer = call.answer(&check, &pwd, None);
    call.ours.handle_datagram(call.now, &path, &answer);
    call.ours.handle_datagram(call.now, &path, &answer);
    // That of a check before a restart.
    let (path, check) = call.next_check();
    let answer = call.answer(&check, &pwd, None);
    call.ours.restart(call.now);
    call.ours.handle_datagram(call.now, &path, &answer);
    assert!(call.counters().is_empty(), "{:?}", call.counters());
}

#[test]
fn a_check_under_the_credentials_of_before_a_restart_is_answered_and_no_more() {
    let mut call = Call::connected();
    let check = check_from_peer(&call.ours, CONTROLLED, 1);
    call.ours.restart(call.now);
    let path = Path::udp(address(OURS), address("203.0.113.5:7000"));
    call.ours.handle_datagram(call.now, &path, &check);
    let (to, answer) = call.next_check();
    assert_eq!(to, path);
    assert_eq!(Message::parse(&answer).unwrap().class(), Class::SuccessResponse);
    assert!(call.ours.remote_candidates().is_empty());
}
