use super::*;

fn refreshes(pair: &Pair) -> usize {
    pair.server.count(Method::REFRESH)
}

#[test]
fn a_refresh_that_was_asked_for_tells_that_the_allocation_lives() {
    let mut pair = Pair::allocated(config());
    let before = pair.client.expires().unwrap();
    pair.now += secs(10);
    // Asked for twice, it is one request still.
    pair.client.refresh();
    pair.client.refresh();
    pair.run();
    assert_eq!((refreshes(&pair), &pair.events[..]), (1, &[Event::Refreshed][..]));
    assert_eq!(pair.client.expires(), Some(before + secs(10)));
    // Those that time brings tell nothing.
    pair.pass(secs(1200));
    assert!(refreshes(&pair) > 2);
    assert_eq!(pair.events, [Event::Refreshed]);
    pair.assert_clean();
}

#[test]
fn a_refresh_that_fails_is_told_and_may_succeed_yet() {
    let mut pair = Pair::allocated(config());
    pair.server.errors.push_back((Method::REFRESH, ErrorCode::SERVER_ERROR));
    pair.client.refresh();
    pair.run();
    assert_eq!(pair.events, [Event::NotRefreshed]);
    pair.pass(secs(400));
    assert_eq!(pair.events, [Event::NotRefreshed, Event::Refreshed]);
    pair.client.refresh();
    pair.pass_unanswered(secs(45));
    assert_eq!(pair.events.last(), Some(&Event::NotRefreshed));
}

#[test]
fn a_refresh_shows_that_the_allocation_is_gone() {
    let mut pair = Pair::allocated(config());
    pair.server
        .errors
        .push_back((Method::REFRESH, ErrorCode::ALLOCATION_MISMATCH));
    pair.client.refresh();
    pair.run();
    assert_eq!(pair.events, [Event::Closed(CloseReason::Lost)]);
    // Where there is none there is nothing to refresh.
    pair.client.refresh();
    assert_eq!(pair.poll(), None);
}
