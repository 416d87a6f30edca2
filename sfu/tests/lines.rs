//! What members of a room say to each other on data channels, in virtual time.

mod talk;

use std::time::Duration;

use bytes::Bytes;
use peer::{ChannelEvent, ChannelId, ChannelInit, Event, MessageKind as Kind, Reliability};
use sfu::{Gone, ParticipantId, Role};
use talk::Talk;

const SECOND: Duration = Duration::from_secs(1);

fn said(by: ParticipantId, body: &str) -> Vec<u8> {
    format!("{}\n{body}", by.to_bits()).into_bytes()
}

/// Members of a room, each with a channel of this kind.
fn room(members: usize, init: &ChannelInit) -> (Talk, Vec<ChannelId>) {
    let mut talk = Talk::new(|_, _| {});
    let channels = (0..members).map(|_| talk.talker("tea", Role::Member, init.clone()).1);
    let channels = channels.collect();
    (talk, channels)
}

fn id(talk: &Talk, who: usize) -> ParticipantId {
    talk.talkers[who].id
}

#[test]
fn what_a_member_says_reaches_all_others() {
    let (mut talk, channels) = room(3, &ChannelInit::new("chat"));
    let (elsewhere, _) = talk.talker("coffee", Role::Member, ChannelInit::new("chat"));
    let (other_line, _) = talk.talker("tea", Role::Member, ChannelInit::new("files"));
    talk.text(0, channels[0], "\nhello");
    talk.send(1, channels[1], &b"\n\x00\xff"[..]).unwrap();
    talk.text(2, channels[2], "\n");
    talk.run(SECOND);
    let [first, second, third] = [0, 1, 2].map(|who| id(&talk, who));
    let bytes = [&said(second, "")[..], &[0, 255]].concat();
    let expected = [
        vec![
            (channels[0], Kind::Binary, bytes.clone()),
            (channels[0], Kind::Text, said(third, "")),
        ],
        vec![
            (channels[1], Kind::Text, said(first, "hello")),
            (channels[1], Kind::Text, said(third, "")),
        ],
        vec![
            (channels[2], Kind::Text, said(first, "hello")),
            (channels[2], Kind::Binary, bytes),
        ],
    ];
    assert_eq!([0, 1, 2].map(|who| talk.heard(who)), expected);
    assert_eq!((talk.heard(elsewhere), talk.heard(other_line)), (vec![], vec![]));
    assert_eq!(talk.counters(), []);
}

#[test]
fn it_reaches_only_those_who_are_named() {
    let (mut talk, channels) = room(3, &ChannelInit::new("chat"));
    let (elsewhere, _) = talk.talker("coffee", Role::Member, ChannelInit::new("chat"));
    let [own, second, third, stranger] = [0, 1, 2, elsewhere].map(|who| id(&talk, who).to_bits());
    let nobody = ParticipantId::from_bits(second + (1 << 32)).to_bits();
    for receivers in [
        format!("{third}"),
        format!("{third} {second} {third} {third}"),
        format!("{stranger} {nobody} {}", u64::MAX),
        format!("{own}"),
    ] {
        talk.text(0, channels[0], &format!("{receivers}\n{receivers}"));
    }
    talk.run(SECOND);
    let texts = |heard: Vec<(ChannelId, Kind, Vec<u8>)>| -> Vec<String> {
        let texts = heard.into_iter().map(|(.., text)| String::from_utf8(text).unwrap());
        texts.map(|text| text.split_once('\n').unwrap().1.to_owned()).collect()
    };
    let both = format!("{third} {second} {third} {third}");
    let named = talk.heard(2);
    assert_eq!(texts(named), [third.to_string(), both.clone()]);
    assert_eq!(texts(talk.heard(1)), [both]);
    assert_eq!(texts(talk.heard(0)), [own.to_string()], "oneself, by name");
    assert_eq!(talk.heard(elsewhere), []);
    assert_eq!(talk.counters(), []);
}

#[test]
fn what_has_no_receivers_line_is_dropped() {
    let (mut talk, channels) = room(2, &ChannelInit::new("chat"));
    let wrong = [
        "",
        "hello",
        "1,2\nhello",
        " \nhello",
        "1  2\nhello",
        "-1\nhello",
        "+1\nhello",
        "99999999999999999999\n",
        "\r\n",
        "é\n",
    ];
    for text in wrong {
        talk.text(0, channels[0], text);
    }
    talk.send(0, channels[0], &b"\xff\n"[..]).unwrap();
    let (now, text) = (talk.now, Bytes::from_static(b"\nno text: \xff"));
    let peer = &mut talk.talkers[0].peer;
    peer.send_message(now, channels[0], Kind::Text, text).unwrap();
    talk.text(0, channels[0], "\non");
    talk.run(SECOND);
    assert_eq!(talk.heard(1), [(channels[1], Kind::Text, said(id(&talk, 0), "on"))]);
    assert_eq!(talk.counters(), [("malformed_messages", wrong.len() as u64 + 2)]);
}

#[test]
fn a_slow_receiver_loses_its_channel_and_slows_nobody() {
    let init = ChannelInit::new("chat");
    let mut talk = Talk::new(|_, house| house.max_waiting = 20_000);
    let channels: Vec<_> = (0..3)
        .map(|_| talk.talker("tea", Role::Member, init.clone()).1)
        .collect();
    talk.talkers[2].peer.set_retained(talk::WINDOW as usize);
    let body = "x".repeat(1000);
    let mut heard = 0;
    for _ in 0..200 {
        talk.text(0, channels[0], &format!("\n{body}"));
        talk.run(Duration::from_millis(50));
        let fast = talk.heard(1);
        assert!(fast.iter().all(|(_, _, text)| text.ends_with(body.as_bytes())));
        heard += fast.len();
        assert_eq!(talk.heard(2).len(), 0, "it takes nothing");
    }
    assert_eq!(heard, 200, "whoever is fast has it at once");
    assert_eq!(talk.count("slow_channels_closed"), 1);
    // It gets what had been accepted, and then knows that there is no more.
    talk.talkers[2].peer.set_retained(0);
    talk.run(10 * SECOND);
    let late = talk.heard(2).len();
    assert!((10..100).contains(&late), "{late}");
    assert!(talk.has(2, ChannelEvent::Closed(channels[2])));
    let again = talk.open(2, init);
    talk.run(SECOND);
    talk.text(0, channels[0], "\non");
    talk.run(SECOND);
    let expected = said(id(&talk, 0), "on");
    assert_eq!(talk.heard(1), [(channels[1], Kind::Text, expected.clone())]);
    assert_eq!(talk.heard(2), [(again, Kind::Text, expected)]);
    assert_eq!(talk.count("slow_channels_closed"), 1);
}

#[test]
fn what_may_get_lost_does_not_wait_for_a_slow_receiver() {
    let mut init = ChannelInit::new("pointer");
    init.reliability = Reliability::Retransmissions(0);
    init.ordered = false;
    let (mut talk, channels) = room(3, &init);
    talk.talkers[2].peer.set_retained(talk::WINDOW as usize);
    for _ in 0..20 {
        for number in 0..40 {
            talk.text(0, channels[0], &format!("\n{number} {}", "x".repeat(1000)));
        }
        talk.run(Duration::from_millis(200));
        assert_eq!(talk.heard(1).len(), 40, "whoever is fast has it at once");
    }
    assert!(talk.count("messages_dropped") > 400, "{:?}", talk.counters());
    talk.talkers[2].peer.set_retained(0);
    talk.run(10 * SECOND);
    assert!(talk.heard(2).len() < 400);
    assert!(!talk.has(2, ChannelEvent::Closed(channels[2])));
    talk.text(0, channels[0], "\non");
    talk.run(SECOND);
    assert_eq!(talk.heard(2), [(channels[2], Kind::Text, said(id(&talk, 0), "on"))]);
}

#[test]
fn the_newest_channel_of_a_label_is_the_one_that_is_spoken_to() {
    let init = ChannelInit::new("chat");
    let (mut talk, channels) = room(2, &init);
    let second = talk.open(1, init);
    talk.run(SECOND);
    talk.text(0, channels[0], "\none");
    talk.run(SECOND);
    assert_eq!(talk.heard(1), [(second, Kind::Text, said(id(&talk, 0), "one"))]);
    // On both it may be spoken.
    talk.text(1, channels[1], "\ntwo");
    talk.text(1, second, "\nthree");
    talk.run(SECOND);
    assert_eq!(talk.heard(0).len(), 2);
    let now = talk.now;
    talk.talkers[1].peer.close_channel(now, second);
    talk.run(SECOND);
    talk.text(0, channels[0], "\nfour");
    talk.run(SECOND);
    assert_eq!(talk.heard(1), [(channels[1], Kind::Text, said(id(&talk, 0), "four"))]);
    assert_eq!(talk.counters(), []);
}

#[test]
fn a_member_has_sixteen_channels_at_most() {
    let (mut talk, channels) = room(2, &ChannelInit::new("0"));
    let more: Vec<_> = (1..20)
        .map(|number| talk.open(0, ChannelInit::new(number.to_string())))
        .collect();
    talk.run(2 * SECOND);
    let open = more
        .iter()
        .filter(|&&channel| talk.has(0, ChannelEvent::Open(channel)) && !talk.has(0, ChannelEvent::Closed(channel)));
    assert_eq!(open.count(), 15);
    talk.text(0, channels[0], "\non");
    talk.run(SECOND);
    assert_eq!(talk.heard(1).len(), 1);
}

#[test]
fn who_left_hears_nothing_and_is_not_heard() {
    let (mut talk, channels) = room(3, &ChannelInit::new("chat"));
    let gone = id(&talk, 1);
    talk.text(1, channels[1], "\nbye");
    talk.run(SECOND);
    let now = talk.now;
    talk.sfu.leave(now, gone, Gone::Left);
    talk.text(0, channels[0], "\none");
    talk.text(0, channels[0], &format!("{}\ntwo", gone.to_bits()));
    talk.run(SECOND);
    assert_eq!(talk.heard(2).len(), 2, "bye and one");
    assert_eq!(talk.heard(1), []);
    let ended = |event: &Event| matches!(event, Event::Closed { .. });
    assert!(talk.talkers[1].events.iter().any(ended));
}

#[test]
fn who_takes_short_messages_gets_those() {
    let (mut talk, channels) = room(2, &ChannelInit::new("chat"));
    talk.longest = 1000;
    let (short, channel) = talk.talker("tea", Role::Member, ChannelInit::new("chat"));
    let header = said(id(&talk, 0), "").len();
    for len in [1001, 1000] {
        talk.text(0, channels[0], &format!("\n{}", "x".repeat(len - header)));
    }
    talk.run(SECOND);
    assert_eq!(talk.heard(1).len(), 2);
    let heard = talk.heard(short);
    assert_eq!(heard.len(), 1);
    assert_eq!((heard[0].0, heard[0].2.len()), (channel, 1000));
    assert_eq!(talk.counters(), [("messages_refused", 1)]);
}
