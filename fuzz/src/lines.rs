#[path = "../../sfu/tests/talk/mod.rs"]
mod talk;

use std::collections::HashMap;
use std::time::Duration;

use peer::Reliability;
use peer::{ChannelId, ChannelInit, MessageKind as Kind};
use sfu::{Gone, Role};
use talk::{Talk, WINDOW};

const LABELS: [&str; 3] = ["chat", "files", "pointer"];
const MEMBERS: usize = 3;
/// Actions that are read at most: one input is to take milliseconds.
const MAX_ACTIONS: usize = 100;

/// What is known of one member.
#[derive(Default)]
struct Member {
    /// Its channels and the labels of these.
    channels: Vec<(ChannelId, &'static str, bool)>,
    /// The last number that was heard on a channel, from a member who said it on that of its own.
    heard: HashMap<(ChannelId, u64, usize), u64>,
    gone: bool,
}

/// A room whose members open and close channels, say things, well-formed ones with numbers and others, take nothing for a
/// while, and leave, as the input has it. What is heard was said by whom it names, on a channel of that label; on one that is
/// in order it comes in order and once. And whatever has happened, at the end those who are there hear each other.
pub fn sfu_lines(data: &[u8]) {
    let mut talk = Talk::new(|_, house| house.max_waiting = 20_000);
    let mut members: Vec<Member> = Vec::new();
    for _ in 0..MEMBERS {
        let (_, channel) = talk.talker("r", Role::Member, ChannelInit::new(LABELS[0]));
        members.push(Member {
            channels: vec![(channel, LABELS[0], true)],
            ..Member::default()
        });
    }
    let mut input = data.iter().copied();
    let mut next = || input.next();
    let mut number = 0;
    for _ in 0..MAX_ACTIONS {
        let (Some(action), Some(value)) = (next(), next()) else {
            break;
        };
        let who = usize::from(action >> 4) % MEMBERS;
        let channels = &members[who].channels;
        let place = usize::from(value >> 4) % channels.len();
        let (channel, label, ordered) = channels[place];
        if members[who].gone {
            continue;
        }
        match action % 8 {
            0 => {
                number += 1;
                let filler = "x".repeat(usize::from(value % 16) * 500);
                let text = format!("\n{label} {number} {place} {ordered} {filler}");
                let _ = talk.send(who, channel, text.into_bytes());
            }
            1 => {
                let message: Vec<u8> = (0..value % 16).map_while(|_| next()).collect();
                let _ = talk.send(who, channel, message);
            }
            2 if channels.len() < 20 => {
                let label = LABELS[usize::from(value) % LABELS.len()];
                let mut init = ChannelInit::new(label);
                init.ordered = value & 16 == 0;
                if value & 32 != 0 {
                    init.reliability = Reliability::Retransmissions(0);
                }
                let ordered = init.ordered;
                let channel = talk.open(who, init);
                members[who].channels.push((channel, label, ordered));
            }
            3 => {
                let now = talk.now;
                talk.talkers[who].peer.close_channel(now, channel);
            }
            4 => talk.talkers[who].peer.set_retained(WINDOW as usize),
            5 => talk.talkers[who].peer.set_retained(0),
            6 if value == 255 => {
                let (now, id) = (talk.now, talk.talkers[who].id);
                talk.sfu.leave(now, id, Gone::Left);
                members[who].gone = true;
            }
            _ => talk.run(Duration::from_millis(u64::from(value))),
        }
        check(&mut talk, &mut members);
    }
    let present: Vec<usize> = (0..MEMBERS).filter(|&who| !members[who].gone).collect();
    for &who in &present {
        let now = talk.now;
        talk.talkers[who].peer.set_retained(0);
        for (channel, ..) in std::mem::take(&mut members[who].channels) {
            talk.talkers[who].peer.close_channel(now, channel);
        }
    }
    talk.run(Duration::from_secs(60));
    check(&mut talk, &mut members);
    let last: Vec<ChannelId> = present
        .iter()
        .map(|&who| talk.open(who, ChannelInit::new("last")))
        .collect();
    talk.run(Duration::from_secs(1));
    for (&who, &channel) in present.iter().zip(&last) {
        talk.text(who, channel, "\nhere");
    }
    talk.run(Duration::from_secs(1));
    for &who in &present {
        let heard = talk.heard(who);
        assert_eq!(heard.len(), present.len() - 1, "{who} of {present:?}");
    }
}

/// Looks at what was heard since.
fn check(talk: &mut Talk, members: &mut [Member]) {
    let ids: Vec<u64> = talk.talkers.iter().map(|talker| talker.id.to_bits()).collect();
    for (who, member) in members.iter_mut().enumerate() {
        for (channel, kind, message) in talk.heard(who) {
            let line = message
                .iter()
                .position(|&byte| byte == b'\n')
                .expect("a line of the sender");
            let sender = std::str::from_utf8(&message[..line])
                .ok()
                .and_then(|id| id.parse().ok());
            let sender = sender
                .filter(|sender| ids.contains(sender))
                .expect("a sender of the room");
            // What is in it in this form is ours; all else the input made.
            let body = String::from_utf8_lossy(&message[line + 1..]);
            let words: Vec<&str> = body.split(' ').collect();
            let &[label, number, place, in_order, _] = &words[..] else {
                continue;
            };
            let known = member.channels.iter().find(|(known, ..)| *known == channel);
            let (Ok(number), Ok(place), Some((_, own, ordered))) = (number.parse(), place.parse(), known) else {
                continue;
            };
            assert_eq!((*own, kind), (label, Kind::Binary), "{who} heard it on another line");
            if *ordered && in_order == "true" {
                let before = member.heard.insert((channel, sender, place), number);
                assert!(before.is_none_or(|before| before < number), "{before:?}, {number}");
            }
        }
    }
}
