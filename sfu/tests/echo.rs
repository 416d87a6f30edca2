//! Messages on data channels, to the echo and back, in virtual time.

mod talk;

use std::time::Duration;

use peer::{ChannelEvent, ChannelId, ChannelInit, ChannelSendError, MessageKind};
use sfu::Role;
use talk::{Talk, WINDOW};

/// Somebody, and the echo.
fn call() -> (Talk, ChannelId) {
    let mut call = Talk::new(|_, _| {});
    let (_, channel) = call.talker("", Role::Echo, ChannelInit::new("echo"));
    (call, channel)
}

#[test]
fn messages_come_back_as_they_were() {
    let (mut call, channel) = call();
    let all: Vec<Vec<u8>> = [0, 1, 1200, 20_000].map(|len| vec![len as u8; len]).to_vec();
    for payload in &all {
        call.send(0, channel, payload.clone()).unwrap();
    }
    call.text(0, channel, "text");
    call.run(Duration::from_secs(2));
    let mut expected: Vec<_> = all
        .into_iter()
        .map(|payload| (channel, MessageKind::Binary, payload))
        .collect();
    expected.push((channel, MessageKind::Text, b"text".to_vec()));
    assert!(call.talkers[0].sink.messages == expected);
    assert_eq!(call.counters(), []);
}

#[test]
fn who_takes_nothing_back_can_send_no_more() {
    for len in [0, 1, 5000] {
        let (mut call, channel) = call();
        call.talkers[0].peer.set_retained(WINDOW as usize);
        let (mut sent, mut blocked) = (0_usize, 0);
        while blocked < 20 {
            match call.send(0, channel, vec![7; len]) {
                Ok(()) => (sent, blocked) = (sent + 1, 0),
                Err(error) => {
                    assert_eq!(error, ChannelSendError::Blocked);
                    blocked += 1;
                    call.run(Duration::from_secs(1));
                }
            }
            assert!(sent < 10_000, "{len}: no end");
        }
        call.talkers[0].peer.set_retained(0);
        call.run(Duration::from_secs(60));
        assert_eq!(call.talkers[0].sink.messages.len(), sent, "{len}");
    }
}

#[test]
fn what_waits_for_a_channel_that_is_closed_is_forgotten() {
    let (mut call, channel) = call();
    let other = call.open(0, ChannelInit::new("other"));
    call.run(Duration::from_secs(1));
    call.talkers[0].peer.set_retained(WINDOW as usize);
    for _ in 0..25 {
        while call.send(0, channel, vec![7; 1000]).is_ok() {}
        call.run(Duration::from_secs(1));
    }
    let now = call.now;
    call.talkers[0].peer.close_channel(now, channel);
    call.talkers[0].peer.set_retained(0);
    call.run(Duration::from_secs(60));
    assert!(call.has(0, ChannelEvent::Closed(channel)));
    call.talkers[0].sink.messages.clear();
    call.send(0, other, b"on".to_vec()).unwrap();
    call.run(Duration::from_secs(1));
    assert_eq!(
        call.talkers[0].sink.messages,
        [(other, MessageKind::Binary, b"on".to_vec())]
    );
}

#[test]
fn what_is_kept_for_somebody_is_limited() {
    const MIB: usize = 1 << 20;
    let mut call = Talk::new(|peer, _| peer.sctp = peer::SctpConfig::default());
    let who = call.enter("", Role::Echo);
    let channel = call.open(who, ChannelInit::new("echo"));
    let answer = call.connect(who);
    assert!(answer.contains("a=max-message-size:4194304\r\n"), "{answer}");
    call.talkers[who].peer.set_retained(WINDOW as usize);
    let (mut sent, mut blocked) = (0, 0);
    while blocked < 20 {
        if call.send(who, channel, vec![7; 20_000]).is_ok() {
            (sent, blocked) = (sent + 20_000, 0);
        } else {
            blocked += 1;
            call.run(Duration::from_secs(1));
        }
        // One buffer for what comes and waits, and one for what goes.
        assert!(sent <= 16 * MIB, "no end");
    }
    assert!(sent > 8 * MIB, "{sent}");
}
