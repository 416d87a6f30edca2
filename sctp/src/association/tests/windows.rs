//! Windows that close, and budgets.

use super::*;
use crate::close::CloseReason;

#[test]
fn a_window_that_opens_is_told_at_once() {
    let mut pair = narrow(20_000);
    pair.send(A, 1, &[1; 15_000]);
    pair.run(ms(20_000));
    let stats = pair.ends[A].stats();
    assert!(stats.held > 10_000, "{stats:?}");
    assert_eq!(pair.inboxes[B].messages.len(), 0);
    // One packet is under way at most, and ever more seldom.
    let late = pair
        .log
        .iter()
        .filter(|(from, at, _)| *from == A && *at > ms(10_000))
        .count();
    assert!(late <= 4, "{late}");
    pair.ends[B].set_retained(0);
    pair.run(ms(1000));
    assert_eq!(pair.inboxes[B].messages.len(), 1, "{:?}", pair.log);
    assert_eq!(pair.ends[A].state(), State::Established);
}

/// [`Config::closed_window_limit`].
#[test]
fn a_window_that_stays_closed_ends_the_association() {
    let mut pair = narrow(20_000);
    pair.send(A, 1, &[1; 15_000]);
    pair.run(ms(290_000));
    assert_eq!(pair.events[A], []);
    pair.run(ms(20_000));
    assert_eq!(pair.events[A], [Event::Closed(CloseReason::Stalled)]);
    assert!(matches!(
        pair.events[B][..],
        [Event::Closed(CloseReason::AbortedByPeer { .. })]
    ));
}

/// Who has no path calls nobody: the time until it has one again does not count.
#[test]
fn a_window_that_is_closed_while_there_is_no_path_ends_nothing() {
    let mut pair = narrow(20_000);
    pair.send(A, 1, &[1; 15_000]);
    pair.run(ms(60_000));
    pair.now += ms(3_600_000);
    pair.run(ms(60_000));
    assert_eq!(pair.events, [[], []]);
    pair.ends[B].set_retained(0);
    pair.run(ms(1000));
    assert_eq!(pair.inboxes[B].messages.len(), 1);
    // It counts anew when it closes again.
    pair.ends[B].set_retained(20_000);
    pair.send(A, 1, &[1; 15_000]);
    pair.run(ms(250_000));
    assert_eq!(pair.events[B], []);
    pair.run(ms(70_000));
    assert_eq!(pair.events[A], [Event::Closed(CloseReason::Stalled)]);
}

#[test]
fn what_is_retained_before_the_set_up_counts_and_outlives_a_restart() {
    let mut pair = Pair::of(&Config::default(), &narrow_config());
    pair.ends[B].set_retained(20_000);
    let now = pair.now;
    pair.ends[A].connect(now);
    pair.run(ms(1000));
    pair.send(A, 1, b"x");
    pair.run(ms(1000));
    assert_eq!(pair.inboxes[B].messages, []);
    pair.ends[B].set_retained(0);
    pair.run(ms(5000));
    assert_eq!(pair.inboxes[B].messages.len(), 1);
    pair.ends[B].set_retained(20_000);
    let now = pair.now;
    pair.ends[A] = Association::new(&Config::default(), Seed::from_run(3), now);
    pair.ends[A].connect(now);
    pair.run(ms(1000));
    assert!(pair.events[B].contains(&Event::Restarted));
    pair.send(A, 1, b"y");
    pair.run(ms(1000));
    assert_eq!(pair.inboxes[B].messages.len(), 1);
    pair.ends[B].set_retained(0);
    pair.run(ms(5000));
    assert_eq!(pair.inboxes[B].messages.len(), 2);
}

#[test]
fn many_short_messages_count_for_what_they_take() {
    let mut pair = Pair::new();
    pair.hook(|_, _| Fate::Drop);
    let mut count = 0;
    while pair.ends[A].send(pair.now, Pair::message(1, b"x")).is_ok() {
        count += 1;
    }
    assert_eq!(count, (16 << 20) / 129 + 1);
    // A quarter more for streams on which nothing waits, and not for the one that is blocked.
    assert!(pair.ends[A].send(pair.now, Pair::message(2, &[0; 1 << 20])).is_ok());
    assert_eq!(
        pair.ends[A].send(pair.now, Pair::message(2, b"x")),
        Err(SendError::Blocked)
    );
    assert!(pair.ends[A].send(pair.now, Pair::message(3, &[0; 3 << 20])).is_ok());
    assert_eq!(
        pair.ends[A].send(pair.now, Pair::message(4, b"x")),
        Err(SendError::Blocked)
    );
}

#[test]
fn there_is_room_again_when_half_of_the_buffer_is_free() {
    let config = Config {
        send_buffer: 100_000,
        ..Config::default()
    };
    let mut pair = Pair::connected(&config, &config);
    while pair.ends[A].send(pair.now, Pair::message(1, &[0; 1000])).is_ok() {}
    pair.run(ms(2000));
    assert_eq!(pair.events[A], [Event::Writable]);
    assert_eq!(pair.inboxes[B].messages.len(), 100_000 / 1128 + 1);
    // Nobody was refused since.
    pair.send(A, 1, b"x");
    pair.run(ms(500));
    assert_eq!(pair.events[A], [Event::Writable]);
}
