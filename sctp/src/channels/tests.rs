use super::opening::{control, open_message};
use super::*;
use crate::dcep::{Priority, Reliability};
use crate::list::List;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

/// One side of a path that neither loses nor reorders.
struct Wire {
    open: bool,
    count: u16,
    /// How many more messages are taken.
    room: usize,
    sent: VecDeque<Item>,
    /// Streams whose reset was not answered yet, with what waits for that.
    resetting: BTreeMap<u16, Vec<Item>>,
    buffered: usize,
    /// Streams with a message that has not ended.
    unfinished: BTreeSet<u16>,
    priorities: BTreeMap<u16, Priority>,
}

#[derive(Debug, Clone, PartialEq)]
enum Item {
    Message(Message),
    Part(u16, Bytes, bool),
    Cut(u16),
    Reset(u16),
}

impl Streams for Wire {
    fn is_open(&self) -> bool {
        self.open
    }

    fn count(&self) -> u16 {
        self.count
    }

    fn send(&mut self, _: Instant, message: Message, is_whole: bool) -> Result<(), Blocked> {
        assert!(self.open && message.stream < self.count && !message.payload.is_empty());
        self.room = self.room.checked_sub(1).ok_or(Blocked)?;
        if !is_whole {
            assert!(self.unfinished.insert(message.stream));
        }
        match self.resetting.get_mut(&message.stream) {
            Some(waiting) => waiting.push(Item::Message(message)),
            None => self.sent.push_back(Item::Message(message)),
        }
        Ok(())
    }

    fn send_part(&mut self, _: Instant, stream: u16, part: Bytes, is_last: bool) -> Result<(), Blocked> {
        assert!(self.open && self.unfinished.contains(&stream));
        self.room = self.room.checked_sub(1).ok_or(Blocked)?;
        if is_last {
            self.unfinished.remove(&stream);
        }
        self.sent.push_back(Item::Part(stream, part, is_last));
        Ok(())
    }

    fn set_priority(&mut self, stream: u16, priority: Priority) {
        assert!(stream < self.count);
        self.priorities.insert(stream, priority);
    }

    fn cut(&mut self, _: Instant, stream: u16) {
        if self.unfinished.remove(&stream) {
            self.sent.push_back(Item::Cut(stream));
        }
    }

    fn reset(&mut self, now: Instant, stream: u16) {
        assert!(self.open && stream < self.count);
        self.cut(now, stream);
        match self.resetting.get_mut(&stream) {
            Some(waiting) => waiting.push(Item::Reset(stream)),
            None => {
                self.sent.push_back(Item::Reset(stream));
                self.resetting.insert(stream, vec![]);
            }
        }
    }

    fn buffered(&self, _: u16) -> usize {
        self.buffered
    }
}

struct Side {
    channels: Channels,
    wire: Wire,
    /// What was received.
    got: Vec<String>,
    /// Channels that the peer opened.
    opened: Vec<ChannelId>,
    now: Instant,
}

impl ChannelSink for (&mut Vec<String>, &mut Vec<ChannelId>) {
    fn opened(&mut self, channel: &Channel) {
        assert!(channel.is_opened_by_peer() && channel.ready_state() == ReadyState::Open);
        self.0.push(std::format!("{} opened", name(channel)));
        self.1.push(channel.id());
    }

    fn message(&mut self, channel: &Channel, kind: Kind, payload: &[u8]) {
        assert_eq!(channel.ready_state(), ReadyState::Open);
        self.0
            .push(std::format!("{} {kind:?} {}", name(channel), payload.escape_ascii()));
    }

    fn part(&mut self, channel: &Channel, kind: Kind, unordered: bool, payload: &[u8], first: bool, last: bool) {
        let order = if unordered { "unordered" } else { "ordered" };
        self.0.push(std::format!(
            "{} {kind:?} {order} part {} {first} {last}",
            name(channel),
            payload.escape_ascii()
        ));
    }

    fn cut(&mut self, channel: &Channel, unordered: bool) {
        let order = if unordered { "unordered" } else { "ordered" };
        self.0.push(std::format!("{} {order} cut", name(channel)));
    }
}

fn name(channel: &Channel) -> String {
    std::format!("{}/{}", channel.stream().unwrap(), channel.init().label)
}

impl Side {
    fn new(role: Role) -> Self {
        let mut side = Self::waiting();
        side.wire.open = true;
        side.channels.set_role(role);
        side
    }

    /// Before the association is established.
    fn waiting() -> Self {
        Self {
            channels: Channels::new(&Config::default(), ChannelLimits::default()),
            wire: Wire {
                open: false,
                count: 65535,
                room: usize::MAX,
                sent: VecDeque::new(),
                resetting: BTreeMap::new(),
                buffered: 0,
                unfinished: BTreeSet::new(),
                priorities: BTreeMap::new(),
            },
            got: vec![],
            opened: vec![],
            now: Instant::now(),
        }
    }

    fn open(&mut self, init: ChannelInit) -> Result<ChannelId, OpenError> {
        self.channels.open(self.now, &mut self.wire, init)
    }

    fn open_labelled(&mut self, label: &str) -> ChannelId {
        self.open(ChannelInit::new(label)).unwrap()
    }

    fn open_negotiated(&mut self, stream: u16) -> Result<ChannelId, OpenError> {
        let mut init = ChannelInit::new("n");
        init.negotiated = Some(stream);
        self.open(init)
    }

    fn send(&mut self, channel: ChannelId, text: &'static str) -> Result<(), SendError> {
        let payload = Bytes::from_static(text.as_bytes());
        self.channels
            .send(self.now, &mut self.wire, channel, Kind::Text, payload)
    }

    fn send_first_part(&mut self, channel: ChannelId, part: &Bytes, total: Option<usize>) -> Result<(), SendError> {
        let (channels, wire) = (&mut self.channels, &mut self.wire);
        channels.send_first_part(self.now, wire, channel, Kind::Binary, part.clone(), total)
    }

    fn send_part(&mut self, channel: ChannelId, part: &Bytes, is_last: bool) -> Result<(), SendError> {
        let (channels, wire) = (&mut self.channels, &mut self.wire);
        channels.send_part(self.now, wire, channel, part.clone(), is_last)
    }

    fn close(&mut self, channel: ChannelId) {
        self.channels.close(self.now, &mut self.wire, channel);
    }

    fn flush(&mut self) {
        self.channels.flush(self.now, &mut self.wire);
    }

    fn receive(&mut self, stream: u16, ppid: Ppid, payload: &[u8]) {
        let sink = &mut (&mut self.got, &mut self.opened);
        self.channels.handle_message(stream, ppid, payload, sink);
        self.flush();
    }

    fn receive_open(&mut self, stream: u16, label: &str) {
        let message = open_message(&ChannelInit::new(label));
        self.receive(stream, Ppid::DCEP, &message);
    }

    fn reset(&mut self, event: ResetEvent<'_>) {
        self.channels.handle_reset(event);
        self.flush();
    }

    fn peer_resets(&mut self, streams: &[u16]) {
        self.reset(ResetEvent::PeerReset(reset::Streams::Listed(List::new(streams))));
    }

    /// The peer has answered the reset of a stream.
    fn done(&mut self, stream: u16) {
        self.reset(ResetEvent::Done(&[stream]));
        for item in self.wire.resetting.remove(&stream).unwrap_or_default() {
            match item {
                Item::Message(message) => {
                    self.wire.room = self.wire.room.saturating_add(1);
                    self.wire.send(self.now, message, true).unwrap();
                }
                Item::Reset(stream) => self.wire.reset(self.now, stream),
                Item::Part(..) | Item::Cut(_) => panic!("parts wait nowhere"),
            }
        }
    }

    /// One item goes over to the other side.
    fn hand_to(&mut self, other: &mut Self) -> bool {
        match self.wire.sent.pop_front() {
            Some(Item::Message(message)) => other.receive(message.stream, message.ppid, &message.payload),
            Some(Item::Reset(stream)) => {
                other.peer_resets(&[stream]);
                self.done(stream);
            }
            Some(Item::Part(..) | Item::Cut(_)) => {}
            None => return false,
        }
        true
    }

    fn events(&mut self) -> Vec<ChannelEvent> {
        core::iter::from_fn(|| self.channels.poll_event()).collect()
    }

    fn got(&mut self) -> Vec<String> {
        mem::take(&mut self.got)
    }

    fn sent(&mut self) -> Vec<Item> {
        self.wire.sent.drain(..).collect()
    }

    fn state(&self, channel: ChannelId) -> Option<ReadyState> {
        self.channels.get(channel).map(Channel::ready_state)
    }

    fn stream(&self, channel: ChannelId) -> Option<u16> {
        self.channels.get(channel).unwrap().stream()
    }

    /// Nothing is kept of channels that are closed.
    fn assert_empty(&self) {
        let channels = &self.channels;
        assert!(channels.live.is_empty() && channels.closing.is_empty() && channels.todo.is_empty());
        assert_eq!((channels.peer_channels, channels.peer_text), (0, 0));
    }
}

fn settle(a: &mut Side, b: &mut Side) {
    while a.hand_to(b) || b.hand_to(a) {}
}

fn pair() -> (Side, Side) {
    (Side::new(Role::Client), Side::new(Role::Server))
}

/// A pair with a channel of this label, opened by the first side.
fn joined(label: &str) -> (Side, Side, ChannelId, ChannelId) {
    let (mut a, mut b) = pair();
    let there = a.open_labelled(label);
    settle(&mut a, &mut b);
    let here = b.opened[0];
    assert_eq!(a.events(), [ChannelEvent::Open(there)]);
    assert!(b.events().is_empty());
    b.got();
    (a, b, there, here)
}

fn text(stream: u16, payload: &'static str) -> Item {
    let payload = Bytes::from_static(payload.as_bytes());
    Item::Message(Message {
        ppid: Ppid::STRING,
        ..control(stream, payload)
    })
}

fn ack(stream: u16) -> Item {
    Item::Message(control(stream, Bytes::from_static(&[2])))
}

fn open_item(stream: u16, label: &str) -> Item {
    Item::Message(control(stream, open_message(&ChannelInit::new(label))))
}

#[test]
fn a_channel_is_opened_and_confirmed() {
    let (mut a, mut b) = pair();
    let there = a.open_labelled("chat");
    // RFC 8832 §5.1, §6: ordered and reliable, on an even stream.
    let open = a.wire.sent[0].clone();
    let bytes = [3, 0, 1, 0, 0, 0, 0, 0, 0, 4, 0, 0, b'c', b'h', b'a', b't'];
    let expected = control(0, Bytes::copy_from_slice(&bytes));
    assert_eq!(open, Item::Message(expected.clone()));
    assert_eq!(
        (expected.ppid, expected.unordered, expected.reliability),
        (Ppid(50), false, Reliability::Reliable)
    );
    assert_eq!(a.state(there), Some(ReadyState::Connecting));
    assert!(a.events().is_empty());

    a.hand_to(&mut b);
    assert_eq!(b.got(), ["0/chat opened"]);
    assert_eq!(b.wire.sent, [ack(0)]);
    b.hand_to(&mut a);
    assert_eq!(a.events(), [ChannelEvent::Open(there)]);
    assert_eq!(a.state(there), Some(ReadyState::Open));
    assert!(!a.channels.get(there).unwrap().is_opened_by_peer());
    // A second confirmation changes nothing.
    a.receive(0, Ppid::DCEP, &[2]);
    assert!(a.events().is_empty() && a.sent().is_empty());

    // The server's numbers are odd, and go up by two.
    let streams = [1, 3, 5].map(|_| {
        let id = b.open_labelled("");
        b.stream(id).unwrap()
    });
    assert_eq!(streams, [1, 3, 5]);
    let second = a.open_labelled("");
    assert_eq!(a.stream(second), Some(2));
    assert_eq!(a.channels.counters(), &Counters::default());
}

#[test]
fn properties_reach_the_other_side() {
    // RFC 8832 §5.1.
    let all = [
        (true, Reliability::Reliable),
        (false, Reliability::Reliable),
        (true, Reliability::Retransmissions(7)),
        (false, Reliability::Retransmissions(0)),
        (true, Reliability::Lifetime(3000)),
        (false, Reliability::Lifetime(u32::MAX)),
    ];
    for (ordered, reliability) in all {
        let (mut a, mut b) = pair();
        let mut init = ChannelInit::new("käse");
        init.protocol = "x.y".to_string();
        init.ordered = ordered;
        init.reliability = reliability;
        init.priority = Priority::HIGH;
        let there = a.open(init.clone()).unwrap();
        settle(&mut a, &mut b);
        assert_eq!(b.channels.get(b.opened[0]).unwrap().init(), &init);
        // RFC 8831 §6.4: both sides give its stream the priority, once.
        for side in [&mut a, &mut b] {
            assert_eq!(mem::take(&mut side.wire.priorities), [(0, Priority::HIGH)].into());
        }
        // RFC 8831 §6.6: all data is sent as the channel was opened, in both directions.
        a.send(there, "x").unwrap();
        let here = b.opened[0];
        b.send(here, "x").unwrap();
        for side in [&mut a, &mut b] {
            let [Item::Message(message)] = &side.sent()[..] else {
                panic!()
            };
            assert_eq!((message.unordered, message.reliability), (!ordered, reliability));
            assert!(side.wire.priorities.is_empty());
        }
    }
    // One that the applications have agreed on is announced by nobody.
    let mut a = Side::new(Role::Client);
    let mut init = ChannelInit::new("");
    init.priority = Priority(7);
    init.negotiated = Some(9);
    a.open(init).unwrap();
    assert_eq!(a.wire.priorities, [(9, Priority(7))].into());
}

#[test]
fn channels_wait_for_the_association_and_the_role() {
    let mut a = Side::waiting();
    let first = a.open_labelled("first");
    let agreed = a.open_negotiated(3).unwrap();
    let second = a.open_labelled("second");
    assert_eq!(a.stream(first), None);
    assert_eq!(a.stream(agreed), Some(3));
    assert_eq!(a.send(first, "x"), Err(SendError::NotOpen));
    assert_eq!(a.send(agreed, "x"), Err(SendError::NotOpen));
    assert_eq!(a.channels.buffered_amount(&a.wire, first), 0);
    a.channels.set_role(Role::Server);
    a.flush();
    assert!(a.sent().is_empty() && a.events().is_empty());
    a.wire.open = true;
    a.flush();
    // The number 3 is taken.
    assert_eq!(a.sent(), [open_item(1, "first"), open_item(5, "second")]);
    assert_eq!(a.events(), [ChannelEvent::Open(agreed)]);
    assert_eq!((a.stream(first), a.stream(second)), (Some(1), Some(5)));
    assert_eq!(a.send(agreed, "x"), Ok(()));
    assert_eq!(a.sent(), [text(3, "x")]);

    // The role may come last.
    let mut a = Side::waiting();
    a.wire.open = true;
    let first = a.open_labelled("first");
    assert!(a.sent().is_empty());
    assert_eq!(a.send(first, "x"), Err(SendError::NotOpen));
    a.channels.set_role(Role::Client);
    assert_eq!(a.send(first, "x"), Ok(()));
    assert_eq!(a.sent(), [open_item(0, "first"), text(0, "x")]);
}

#[test]
fn channels_that_never_had_a_stream_are_closed() {
    let mut a = Side::waiting();
    a.channels.set_role(Role::Client);
    let ids = [1, 2, 3].map(|_| a.open_labelled(""));
    let agreed = [3, 4].map(|stream| a.open_negotiated(stream).unwrap());
    a.wire.count = 4;
    a.wire.open = true;
    a.flush();
    assert_eq!(
        a.events(),
        [
            ChannelEvent::Closed(ids[2]),
            ChannelEvent::Open(agreed[0]),
            ChannelEvent::Closed(agreed[1])
        ]
    );
    assert_eq!(a.sent().len(), 2);
    assert_eq!(a.open(ChannelInit::new("")), Err(OpenError::NoStreamLeft));
    assert_eq!(a.open_negotiated(4), Err(OpenError::NoSuchStream));
    assert_eq!(a.open_negotiated(1).map(|_| ()), Ok(()));
}

#[test]
fn arguments_are_checked() {
    let mut a = Side::new(Role::Client);
    let longest = "x".repeat(65535);
    a.open(ChannelInit::new(longest.clone())).unwrap();
    assert_eq!(a.open(ChannelInit::new(longest.clone() + "x")), Err(OpenError::TooLong));
    let mut init = ChannelInit::new("");
    init.protocol = longest;
    a.open(init.clone()).unwrap();
    init.protocol += "x";
    assert_eq!(a.open(init), Err(OpenError::TooLong));
    assert_eq!(a.open_negotiated(0), Err(OpenError::StreamInUse));
    assert_eq!(a.open_negotiated(65535), Err(OpenError::NoSuchStream));
    a.open_negotiated(65534).unwrap();
    assert_eq!(a.open_negotiated(65534), Err(OpenError::StreamInUse));
    a.wire.open = false;
    assert_eq!(a.open_negotiated(65535), Err(OpenError::NoSuchStream));
}

#[test]
fn messages_of_all_kinds() {
    // RFC 8831 §6.6.
    let (mut a, mut b, there, _) = joined("c");
    let all = [
        (Kind::Text, "hi", Ppid(51), "hi"),
        (Kind::Binary, "hi", Ppid(53), "hi"),
        (Kind::Text, "", Ppid(56), "\0"),
        (Kind::Binary, "", Ppid(57), "\0"),
    ];
    for (kind, payload, ppid, on_wire) in all {
        let bytes = Bytes::from_static(payload.as_bytes());
        a.channels.send(a.now, &mut a.wire, there, kind, bytes).unwrap();
        let Item::Message(message) = &a.wire.sent[0] else {
            panic!()
        };
        assert_eq!((message.ppid, &message.payload[..]), (ppid, on_wire.as_bytes()));
        settle(&mut a, &mut b);
        assert_eq!(b.got(), [std::format!("0/c {kind:?} {payload}")]);
    }
    // What stands in an empty one is ignored.
    b.receive(0, Ppid::STRING_EMPTY, b"ignored");
    assert_eq!(b.got(), ["0/c Text "]);
}

/// A part as it comes.
const fn arriving(ppid: Ppid, unordered: bool, payload: &[u8], first: bool, last: bool) -> Part<'_> {
    Part {
        ppid,
        unordered,
        payload,
        first,
        last,
    }
}

#[test]
fn parts_of_an_ordered_and_an_unordered_message_are_told_apart() {
    let (_, mut b, _, here) = joined("c");
    let sink = &mut (&mut b.got, &mut b.opened);
    // The beginnings of these came before the channel.
    let end = arriving(Ppid::STRING, false, b"x", false, true);
    b.channels.handle_part(0, &end, sink);
    b.channels.handle_cut(0, true, sink);
    let both = [
        arriving(Ppid::STRING, false, b"ab", true, false),
        arriving(Ppid::BINARY, true, b"cd", true, false),
        arriving(Ppid::STRING, false, b"e", false, true),
    ];
    for part in &both {
        b.channels.handle_part(0, part, sink);
    }
    b.channels.handle_cut(0, false, sink);
    b.channels.handle_cut(0, true, sink);
    b.channels.handle_cut(0, true, sink);
    let late = arriving(Ppid::BINARY, true, b"f", false, false);
    b.channels.handle_part(0, &late, sink);
    b.channels.handle_part(8, &late, sink);
    b.channels.handle_cut(8, true, sink);
    let expected = [
        "0/c Text ordered part ab true false",
        "0/c Binary unordered part cd true false",
        "0/c Text ordered part e false true",
        "0/c unordered cut",
    ];
    assert_eq!(b.got(), expected);
    assert_eq!(b.channels.counters().sctp_messages_without_channel, 1);
    let sink = &mut (&mut b.got, &mut b.opened);
    b.channels.handle_part(0, &both[1], sink);
    b.channels
        .handle_part(0, &arriving(Ppid::DCEP, false, b"\x03", true, false), sink);
    assert_eq!(b.events(), [ChannelEvent::Closing(here)]);
    // Nothing comes on a channel that closes.
    let sink = &mut (&mut b.got, &mut b.opened);
    b.channels.handle_cut(0, true, sink);
    assert_eq!(b.got(), ["0/c Binary unordered part cd true false"]);
}

#[test]
fn a_message_is_sent_in_parts() {
    let (mut a, mut b, there, _) = joined("c");
    let part = Bytes::from_static(b"abcd");
    a.channels.set_max_message_size(10);
    assert_eq!(a.send_part(there, &part, false), Err(SendError::Busy), "none has begun");
    let too_long = Err(SendError::TooLong { max: 10 });
    assert_eq!(a.send_first_part(there, &part, Some(11)), too_long);
    assert_eq!(a.send_first_part(there, &Bytes::from_static(&[0; 11]), None), too_long);
    assert_eq!(a.send_first_part(there, &Bytes::new(), None), Err(SendError::Empty));
    a.send_first_part(there, &part, Some(10)).unwrap();
    assert_eq!(a.send(there, "x"), Err(SendError::Busy));
    assert_eq!(a.send_first_part(there, &part, None), Err(SendError::Busy));
    a.wire.room = 0;
    assert_eq!(a.send_part(there, &part, false), Err(SendError::Blocked));
    a.wire.room = usize::MAX;
    a.channels.handle_room();
    assert_eq!(a.events(), [ChannelEvent::Writable]);
    a.send_part(there, &part, false).unwrap();
    assert_eq!(
        a.send_part(there, &part, false),
        too_long,
        "what was refused does not count"
    );
    a.send_part(there, &part.slice(..2), true).unwrap();
    assert_eq!(a.send_part(there, &part, true), Err(SendError::Busy), "it has ended");
    a.send(there, "x").unwrap();
    let expected = [
        Item::Part(0, part.clone(), false),
        Item::Part(0, part.slice(..2), true),
        text(0, "x"),
    ];
    assert_eq!(a.sent()[1..], expected);
    // 0 means any, and what is sent in parts is not held whole.
    a.channels.set_max_message_size(0);
    a.send_first_part(there, &part, Some(usize::MAX)).unwrap();
    a.sent();
    // The channel is closed in the middle of it.
    a.close(there);
    assert_eq!(a.sent(), [Item::Cut(0), Item::Reset(0)]);
    assert_eq!(a.send_part(there, &part, true), Err(SendError::NotOpen));
    a.done(0);
    a.peer_resets(&[0]);
    assert_eq!(a.events(), [ChannelEvent::Closed(there)]);
    // The stream knows nothing of it when it is used again.
    let next = a.open_labelled("d");
    assert_eq!(a.stream(next), Some(0));
    assert_eq!(a.send_part(next, &part, true), Err(SendError::Busy));
    a.send(next, "y").unwrap();

    // Where the association takes nothing more, the channel is not open.
    b.wire.open = false;
    let here = b.opened[0];
    assert_eq!(b.send(here, "x"), Err(SendError::NotOpen));
}

#[test]
fn the_ack_does_not_wait_for_the_end_of_a_message() {
    // The ACK stands behind an opening that waits for the role.
    let mut b = Side::waiting();
    b.wire.open = true;
    b.open_labelled("d");
    b.receive_open(0, "c");
    let here = b.opened[0];
    let part = Bytes::from_static(b"ab");
    assert_eq!(b.send_first_part(here, &part, None), Err(SendError::Blocked));
    b.channels.set_role(Role::Server);
    b.channels.handle_room();
    assert_eq!(b.events(), [ChannelEvent::Writable]);
    b.send_first_part(here, &part, None).unwrap();
    let sent = b.sent();
    assert_eq!(sent[..2], [open_item(1, "d"), ack(0)]);
    assert!(matches!(&sent[2], Item::Message(message) if message.payload == part));
}

#[test]
fn nothing_overtakes_the_opening() {
    // RFC 8832 §6: ordered until the ACK or any other message has come.
    for confirmation in [
        (Ppid::DCEP, &[2][..]),
        (Ppid::STRING, b"x"),
        (Ppid::BINARY_EMPTY, b"\0"),
    ] {
        let mut a = Side::new(Role::Client);
        let mut init = ChannelInit::new("");
        init.ordered = false;
        let id = a.open(init).unwrap();
        a.send(id, "1").unwrap();
        let (ppid, payload) = confirmation;
        a.receive(0, ppid, payload);
        assert_eq!(a.events(), [ChannelEvent::Open(id)]);
        a.send(id, "2").unwrap();
        let unordered: Vec<bool> = a
            .sent()
            .iter()
            .map(|item| matches!(item, Item::Message(message) if message.unordered))
            .collect();
        assert_eq!(unordered, [false, false, true]);
    }
    // Who is asked, and who has agreed, need not wait.
    let mut a = Side::new(Role::Client);
    let mut init = ChannelInit::new("");
    init.ordered = false;
    a.receive(1, Ppid::DCEP, &open_message(&init));
    init.negotiated = Some(2);
    let agreed = a.open(init).unwrap();
    for id in [a.opened[0], agreed] {
        a.sent();
        a.send(id, "x").unwrap();
        assert!(matches!(&a.sent()[..], [Item::Message(message)] if message.unordered));
    }
}

#[test]
fn a_message_may_bring_news_of_the_association() {
    // DATA stands behind the chunk that ends the set-up.
    let mut a = Side::waiting();
    let agreed = a.open_negotiated(7).unwrap();
    a.receive(7, Ppid::STRING, b"x");
    assert_eq!(a.events(), [ChannelEvent::Open(agreed)]);
    assert_eq!(a.got(), ["7/n Text x"]);
    a.wire.open = true;
    a.flush();
    assert!(a.events().is_empty(), "once");
    // But no message can come on what the peer has not heard of.
    a.channels.set_role(Role::Client);
    a.wire.room = 0;
    let id = a.open_labelled("");
    a.receive(0, Ppid::STRING, b"x");
    assert_eq!((a.stream(id), a.state(id)), (Some(0), Some(ReadyState::Connecting)));
    assert!(a.got().is_empty() && a.events().is_empty());
    assert_eq!(a.channels.counters().sctp_messages_without_channel, 1);
}

#[test]
fn messages_are_refused() {
    let config = Config {
        send_buffer: 100_000,
        ..Config::default()
    };
    let mut a = Side::new(Role::Client);
    a.channels = Channels::new(&config, ChannelLimits::default());
    a.channels.set_role(Role::Client);
    let id = a.open_labelled("");
    a.sent();
    let send = |a: &mut Side, len: usize| {
        let payload = Bytes::from(vec![1; len]);
        a.channels.send(a.now, &mut a.wire, id, Kind::Binary, payload)
    };
    // RFC 8841 §6.1: 64 KiB by default, 0 means any.
    for (told, max) in [
        (None, 65536),
        (Some(10), 10),
        (Some(0), 100_000),
        (Some(200_000), 100_000),
    ] {
        if let Some(told) = told {
            a.channels.set_max_message_size(told);
        }
        assert_eq!(a.channels.max_message_size(), max);
        assert_eq!(send(&mut a, max), Ok(()));
        assert_eq!(send(&mut a, max + 1), Err(SendError::TooLong { max }));
    }
    a.wire.room = 0;
    a.channels.handle_room();
    assert!(a.events().is_empty(), "nobody waits");
    assert_eq!(send(&mut a, 1), Err(SendError::Blocked));
    assert_eq!(send(&mut a, 1), Err(SendError::Blocked));
    assert!(a.events().is_empty());
    a.channels.handle_room();
    a.channels.handle_room();
    assert_eq!(a.events(), [ChannelEvent::Writable]);
    a.close(id);
    assert_eq!(send(&mut a, 1), Err(SendError::NotOpen));
    // A peer may shrink: what has no stream is not sent.
    let agreed = a.open_negotiated(100).unwrap();
    a.wire.count = 100;
    a.wire.room = 10;
    assert_eq!(a.send(agreed, "x"), Err(SendError::NotOpen));
}

#[test]
fn what_is_blocked_goes_later_in_order() {
    let mut a = Side::new(Role::Client);
    a.wire.room = 0;
    a.receive_open(1, "theirs");
    let ours = a.open_labelled("ours");
    let agreed = a.open_negotiated(5).unwrap();
    assert!(a.sent().is_empty());
    assert_eq!(a.state(agreed), Some(ReadyState::Connecting));
    assert_eq!(a.send(ours, "x"), Err(SendError::NotOpen));
    a.wire.room = 3;
    let theirs = a.opened[0];
    assert_eq!(a.send(theirs, "x"), Ok(()));
    assert_eq!(a.sent(), [ack(1), open_item(0, "ours"), text(1, "x")]);
    assert_eq!(a.events(), [ChannelEvent::Open(agreed)]);
}

#[test]
fn a_reset_does_not_wait_for_room() {
    let (mut a, _, long, _) = joined("long");
    a.send_first_part(long, &Bytes::from_static(b"ab"), None).unwrap();
    a.sent();
    // All room is taken, and without I-DATA none comes before the message has ended.
    a.wire.room = 0;
    a.receive_open(1, "theirs");
    a.flush();
    let ours = a.open_labelled("ours");
    assert!(a.sent().is_empty());
    a.close(long);
    assert_eq!(a.sent(), [Item::Cut(0), Item::Reset(0)]);
    // Nor does that of a stream on which a rule was broken.
    a.receive(7, Ppid::DCEP, b"");
    a.flush();
    assert_eq!(a.sent(), [Item::Reset(7)]);
    a.wire.room = 2;
    a.flush();
    assert_eq!(a.sent(), [ack(1), open_item(2, "ours")]);
    assert_eq!(a.state(ours), Some(ReadyState::Connecting));
}

#[test]
fn we_close() {
    // RFC 8831 §6.7.
    let (mut a, mut b, there, here) = joined("c");
    a.send(there, "last").unwrap();
    a.close(there);
    a.close(there);
    assert_eq!(
        a.wire.sent,
        [text(0, "last"), Item::Reset(0)],
        "once, and behind what was accepted"
    );
    assert_eq!(a.state(there), Some(ReadyState::Closing));
    assert_eq!(a.send(there, "x"), Err(SendError::NotOpen));
    assert_eq!(a.open_negotiated(0), Err(OpenError::StreamInUse));
    // What comes by then is dropped.
    a.receive(0, Ppid::STRING, b"late");
    assert!(a.got().is_empty());

    a.hand_to(&mut b);
    a.hand_to(&mut b);
    assert_eq!(b.got(), ["0/c Text last"]);
    assert_eq!(b.events(), [ChannelEvent::Closing(here)]);
    assert_eq!(b.state(here), Some(ReadyState::Closing));
    assert_eq!(b.wire.sent, [Item::Reset(0)]);
    assert!(a.events().is_empty(), "only one direction");
    assert_eq!(a.open_negotiated(0), Err(OpenError::StreamInUse));
    b.hand_to(&mut a);
    assert_eq!(a.events(), [ChannelEvent::Closed(there)]);
    assert_eq!(b.events(), [ChannelEvent::Closed(here)]);
    assert_eq!((a.state(there), b.state(here)), (None, None));
    a.assert_empty();
    b.assert_empty();

    // The number is free again, the name is not the same.
    let next = a.open_labelled("d");
    assert_eq!(a.stream(next), Some(0));
    assert_ne!(next, there);
    assert_eq!(next.index, there.index, "the place is used again");
    assert_eq!(a.send(there, "x"), Err(SendError::NotOpen));
    a.close(there);
    settle(&mut a, &mut b);
    assert_eq!(a.events(), [ChannelEvent::Open(next)]);
    assert_eq!(b.got(), ["0/d opened"]);
    assert_eq!(a.channels.counters(), &Counters::default());
}

#[test]
fn both_close_at_once() {
    let (mut a, mut b, there, here) = joined("c");
    a.close(there);
    b.close(here);
    settle(&mut a, &mut b);
    assert_eq!(a.events(), [ChannelEvent::Closed(there)]);
    assert_eq!(b.events(), [ChannelEvent::Closed(here)]);
    a.assert_empty();
    b.assert_empty();
}

#[test]
fn closing_ends_when_both_directions_are_reset_in_either_order() {
    for ours_first in [true, false] {
        let mut a = Side::new(Role::Client);
        let id = a.open_labelled("");
        a.close(id);
        let steps: [fn(&mut Side); 2] = [|a| a.done(0), |a| a.peer_resets(&[0])];
        steps[usize::from(!ours_first)](&mut a);
        assert!(a.events().is_empty());
        assert_eq!(a.state(id), Some(ReadyState::Closing));
        steps[usize::from(ours_first)](&mut a);
        assert_eq!(a.events(), [ChannelEvent::Closed(id)]);
    }
}

#[test]
fn what_was_never_sent_is_closed_at_once() {
    let mut a = Side::waiting();
    let ids = [a.open_labelled(""), a.open_negotiated(9).unwrap()];
    ids.iter().for_each(|id| a.close(*id));
    assert_eq!(a.events(), ids.map(ChannelEvent::Closed));
    a.wire.open = true;
    a.channels.set_role(Role::Client);
    a.flush();
    assert!(a.sent().is_empty());
    a.assert_empty();
    assert_eq!(a.open_negotiated(9).map(|_| ()), Ok(()));
    // The same where the stream was chosen.
    a.wire.room = 0;
    let id = a.open_labelled("");
    assert_eq!(a.stream(id), Some(0));
    a.close(id);
    a.wire.room = 9;
    a.flush();
    assert!(a.sent().is_empty());
    let id = a.open_labelled("");
    assert_eq!(a.stream(id), Some(0));
}

#[test]
fn a_refusal_closes() {
    // RFC 8832 §6: a reset without ACK.
    let mut a = Side::new(Role::Client);
    let id = a.open_labelled("");
    a.sent();
    a.peer_resets(&[0]);
    assert_eq!(a.events(), [ChannelEvent::Closing(id)]);
    assert_eq!(a.sent(), [Item::Reset(0)]);
    a.done(0);
    assert_eq!(a.events(), [ChannelEvent::Closed(id)]);
    let next = a.open_labelled("");
    assert_eq!(a.stream(next), Some(0), "a new OPEN can be sent on the stream");
}

#[test]
fn closing_before_the_confirmation_needs_none() {
    let mut a = Side::new(Role::Client);
    let id = a.open_labelled("");
    a.close(id);
    a.receive(0, Ppid::DCEP, &[2]);
    assert!(a.events().is_empty());
    assert_eq!(a.state(id), Some(ReadyState::Closing));
    // Nor does who closes at once confirm.
    let mut b = Side::new(Role::Server);
    b.wire.room = 0;
    b.receive_open(0, "");
    let here = b.opened[0];
    b.close(here);
    b.wire.room = 9;
    b.flush();
    assert_eq!(b.sent(), [Item::Reset(0)]);
}

#[test]
fn bad_openings_are_refused() {
    // RFC 8832 §6: no ACK, but a reset.
    let good = open_message(&ChannelInit::new("x"));
    let edited = |at: usize, byte: u8| {
        let mut bytes = good.to_vec();
        bytes[at] = byte;
        bytes
    };
    let bad = [
        (1, good.to_vec()),      // the parity is ours
        (0, edited(1, 0x03)),    // an unknown type of channel
        (0, edited(9, 2)),       // a label longer than the message
        (0, edited(9, 0)),       // and shorter
        (0, edited(12, 0xff)),   // no UTF-8
        (0, edited(0, 0x04)),    // an unknown message
        (0, good[..5].to_vec()), // cut short
        (0, vec![]),
    ];
    for (stream, bytes) in bad {
        let mut b = Side::new(Role::Server);
        b.receive(stream, Ppid::DCEP, &bytes);
        assert!(b.got().is_empty() && b.events().is_empty());
        assert_eq!(b.sent(), [Item::Reset(stream)], "{bytes:?}");
        assert_eq!(b.channels.counters().sctp_channel_violations, 1);
        // The stream is not used before both directions are reset.
        assert_eq!(b.open_negotiated(stream), Err(OpenError::StreamInUse));
        b.receive_open(stream, "y");
        b.receive(stream, Ppid::STRING, b"z");
        assert!(b.got().is_empty() && b.sent().is_empty());
        b.done(stream);
        assert_eq!(b.open_negotiated(stream), Err(OpenError::StreamInUse));
        b.peer_resets(&[stream]);
        assert!(b.events().is_empty() && b.sent().is_empty());
        b.assert_empty();
        b.receive_open(0, "good");
        assert_eq!(b.got(), ["0/good opened"]);
    }
}

#[test]
fn an_opening_on_a_stream_in_use_closes_it() {
    // RFC 8832 §6.
    let (_, mut b, _, here) = joined("c");
    b.receive_open(0, "again");
    assert!(b.got().is_empty());
    assert_eq!(b.events(), [ChannelEvent::Closing(here)]);
    assert_eq!(b.sent(), [Item::Reset(0)]);
}

#[test]
fn unsupported_messages_close_the_channel() {
    // RFC 8831 §6.6.
    let bad = [
        (Ppid::STRING_PARTIAL, &b"x"[..]),
        (Ppid::BINARY_PARTIAL, b"x"),
        (Ppid(0), b"x"),
        (Ppid::DCEP, b"\x09"),
    ];
    for (ppid, payload) in bad {
        let (_, mut b, _, here) = joined("c");
        b.receive(0, ppid, payload);
        b.receive(0, Ppid::STRING, b"more");
        assert_eq!(b.events(), [ChannelEvent::Closing(here)]);
        assert_eq!(b.sent(), [Item::Reset(0)]);
        assert!(b.got().is_empty());
        assert_eq!(b.channels.counters().sctp_channel_violations, 1);
    }
}

#[test]
fn messages_without_a_channel_are_dropped() {
    let mut a = Side::new(Role::Client);
    for ppid in [Ppid::STRING, Ppid::BINARY_EMPTY, Ppid::STRING_PARTIAL, Ppid(0)] {
        a.receive(1, ppid, b"x");
    }
    a.receive(1, Ppid::DCEP, &[2]);
    assert_eq!(a.channels.counters().sctp_messages_without_channel, 5);
    assert_eq!(a.channels.counters().sctp_channel_violations, 0);
    assert!(a.sent().is_empty() && a.events().is_empty() && a.got().is_empty());
    a.peer_resets(&[1, 1]);
    a.done(1);
    a.reset(ResetEvent::Denied(&[1]));
    a.reset(ResetEvent::Wanted(reset::Streams::Listed(List::new(&[1]))));
    assert!(a.sent().is_empty() && a.events().is_empty());
    a.receive_open(1, "x");
    assert_eq!(a.got(), ["1/x opened"]);
}

#[test]
fn limits() {
    let limits = ChannelLimits {
        max_channels: 2,
        max_text: 10,
    };
    let mut b = Side::new(Role::Server);
    b.channels = Channels::new(&Config::default(), limits);
    b.channels.set_role(Role::Server);
    b.receive_open(0, "12345678");
    let mut init = ChannelInit::new("a");
    init.protocol = "bc".to_string();
    b.receive(2, Ppid::DCEP, &open_message(&init));
    b.receive_open(4, "ab");
    b.receive_open(6, "");
    assert_eq!(b.got(), ["0/12345678 opened", "4/ab opened"]);
    assert_eq!(b.sent(), [ack(0), Item::Reset(2), ack(4), Item::Reset(6)]);
    assert_eq!(b.channels.counters().sctp_channel_violations, 2);
    // What we open does not count, and what is closed counts no more.
    b.open_labelled("ours");
    b.close(b.opened[0]);
    b.peer_resets(&[0]);
    b.done(0);
    b.receive_open(8, "12345678");
    assert_eq!(b.got(), ["8/12345678 opened"]);
}

#[test]
fn a_stream_that_we_may_not_send_on() {
    let mut b = Side::new(Role::Server);
    b.wire.count = 10;
    b.wire.room = 0;
    b.receive_open(10, "x");
    let here = b.opened[0];
    assert_eq!(b.send(here, "x"), Err(SendError::NotOpen));
    assert_eq!(b.events(), [ChannelEvent::Closing(here), ChannelEvent::Closed(here)]);
    b.receive(12, Ppid::DCEP, b"");
    assert!(b.sent().is_empty());
    b.assert_empty();
    assert_eq!(b.channels.counters().sctp_channel_violations, 2);
    // They are not used again.
    b.receive_open(10, "x");
    b.receive_open(12, "x");
    assert!(b.events().is_empty());
    assert_eq!(b.got(), ["10/x opened"]);
}

#[test]
fn all_streams_are_reset() {
    let (mut a, mut b, there, here) = joined("c");
    let closing = b.open_labelled("closing");
    let agreed = b.open_negotiated(9).unwrap();
    b.close(closing);
    b.receive(6, Ppid::DCEP, b"");
    b.sent();
    b.events();
    b.reset(ResetEvent::PeerReset(reset::Streams::All));
    assert_eq!(b.events(), [ChannelEvent::Closing(here), ChannelEvent::Closing(agreed)]);
    assert_eq!(b.sent(), [Item::Reset(9), Item::Reset(0)]);
    b.reset(ResetEvent::PeerReset(reset::Streams::All));
    assert!(b.events().is_empty() && b.sent().is_empty());
    b.reset(ResetEvent::Done(&[0, 1, 6, 9]));
    let closed = [here, closing, agreed].map(ChannelEvent::Closed);
    assert_eq!(b.events(), closed);
    b.assert_empty();
    b.receive_open(6, "x");
    assert_eq!(b.got(), ["6/x opened"]);

    // The peer wants all of ours reset.
    let other = a.open_labelled("d");
    a.close(other);
    a.sent();
    a.reset(ResetEvent::Wanted(reset::Streams::All));
    assert_eq!(a.events(), [ChannelEvent::Closing(there)]);
    assert_eq!(a.sent(), [Item::Reset(0)]);
    a.reset(ResetEvent::Wanted(reset::Streams::Listed(List::new(&[0, 2]))));
    assert!(a.events().is_empty() && a.sent().is_empty());
    a.peer_resets(&[0, 2]);
    a.reset(ResetEvent::Done(&[0, 2]));
    assert_eq!(a.events(), [there, other].map(ChannelEvent::Closed));
}

#[test]
fn a_stream_whose_reset_is_denied_is_not_used_again() {
    let (mut a, mut b, there, here) = joined("c");
    a.reset(ResetEvent::Denied(&[0]));
    assert_eq!(a.state(there), Some(ReadyState::Open), "nobody asked");
    a.close(there);
    a.reset(ResetEvent::Denied(&[0]));
    assert_eq!(a.events(), [ChannelEvent::Closed(there)]);
    a.assert_empty();
    a.peer_resets(&[0]);
    a.done(0);
    assert_eq!(a.open_negotiated(0), Err(OpenError::StreamInUse));
    let next = a.open_labelled("");
    assert_eq!(a.stream(next), Some(2));
    // Nor one that was refused.
    b.receive(2, Ppid::DCEP, b"");
    b.reset(ResetEvent::Denied(&[2]));
    b.peer_resets(&[2]);
    b.receive_open(2, "x");
    assert!(b.got().is_empty());
    assert_eq!(b.state(here), Some(ReadyState::Open));
}

#[test]
fn an_opening_shows_that_our_reset_was_performed() {
    // The peer's answer to our reset was lost; it has got all that it needs to use the stream again.
    let (mut a, mut b, there, here) = joined("c");
    a.close(there);
    a.hand_to(&mut b);
    assert_eq!(b.sent(), [Item::Reset(0)]);
    b.receive_open(0, "d");
    assert_eq!(b.events(), [ChannelEvent::Closing(here), ChannelEvent::Closed(here)]);
    assert_eq!(b.got(), ["0/d opened"]);
    let next = b.opened[1];
    // The answer comes late, and the ACK waits for it.
    assert!(b.sent().is_empty());
    b.done(0);
    assert_eq!(b.state(next), Some(ReadyState::Open));
    assert_eq!(b.sent(), [ack(0)]);

    // The same on a stream that was refused.
    b.receive(2, Ppid::DCEP, b"");
    b.peer_resets(&[2]);
    // Who was refused until then is told.
    b.wire.room = 0;
    assert_eq!(b.send(next, "x"), Err(SendError::Blocked));
    b.wire.room = usize::MAX;
    assert_eq!(b.events(), []);
    b.done(4);
    assert_eq!(b.events(), [ChannelEvent::Writable]);
    b.receive_open(2, "e");
    assert_eq!(b.got(), ["2/e opened"]);

    // Not so while we have not even asked, or the peer has not reset its own.
    let (_, mut b, _, here) = joined("c");
    b.wire.open = false;
    b.peer_resets(&[0]);
    b.receive_open(0, "d");
    assert!(b.got().is_empty());
    assert_eq!(b.state(here), Some(ReadyState::Closing));
    let (_, mut b, _, here) = joined("c");
    b.close(here);
    b.receive_open(0, "d");
    assert!(b.got().is_empty());
    assert_eq!(b.state(here), Some(ReadyState::Closing));
}

#[test]
fn the_buffered_amount_falls_low() {
    let (mut a, _, there, _) = joined("c");
    a.wire.buffered = 77;
    assert_eq!(a.channels.buffered_amount(&a.wire, there), 77);
    let low = [ChannelEvent::BufferedAmountLow(there)];
    a.channels.handle_buffered(0, 10, 1);
    assert!(a.events().is_empty());
    a.channels.handle_buffered(0, 1, 0);
    assert_eq!(a.events(), low);
    a.channels.set_buffered_amount_low_threshold(there, 100);
    assert_eq!(a.channels.get(there).unwrap().buffered_amount_low_threshold(), 100);
    a.channels.handle_buffered(0, 102, 101);
    assert!(a.events().is_empty());
    a.channels.handle_buffered(0, 101, 100);
    assert_eq!(a.events(), low);
    a.channels.handle_buffered(0, 100, 0);
    a.channels.handle_buffered(2, 100, 0);
    assert!(a.events().is_empty());
}

#[test]
fn the_end_of_the_association_closes_all() {
    let (mut a, mut b, there, _) = joined("c");
    let more = a.open_labelled("d");
    let agreed = a.open_negotiated(7).unwrap();
    a.close(more);
    b.open_labelled("e");
    settle(&mut a, &mut b);
    let theirs = a.opened[0];
    a.receive(5, Ppid::DCEP, b"");
    a.wire.room = 0;
    let waiting = a.open_labelled("f");
    assert_eq!(a.send(there, "x"), Err(SendError::Blocked));
    a.events();
    a.channels.handle_end();
    let mut closed = a.events();
    let mut all = [there, agreed, theirs, waiting].map(ChannelEvent::Closed);
    closed.sort_by_key(|event| std::format!("{event:?}"));
    all.sort_by_key(|event| std::format!("{event:?}"));
    assert_eq!(closed, all);
    a.assert_empty();
    a.channels.handle_room();
    a.channels.handle_end();
    assert!(a.events().is_empty());
    assert_eq!(a.state(there), None);

    // They can be used with another association.
    a.wire = Side::new(Role::Client).wire;
    let next = a.open_labelled("g");
    assert_eq!(a.sent(), [open_item(0, "g")]);
    let later = [(); 5].map(|()| a.open_labelled(""));
    for old in [there, more, agreed, theirs, waiting] {
        assert!(old != next && !later.contains(&old));
        assert_eq!(a.state(old), None);
    }
    assert!(later.iter().any(|id| id.index < 5), "the places are used again");
    a.receive_open(5, "h");
    assert_eq!(a.got().last().unwrap(), "5/h opened");
}

#[test]
fn all_numbers_can_be_used_and_used_again() {
    let mut a = Side::new(Role::Server);
    a.wire.count = 1000;
    a.open_negotiated(3).unwrap();
    let ids: Vec<ChannelId> = (0..499).map(|_| a.open_labelled("")).collect();
    assert_eq!(a.open(ChannelInit::new("")), Err(OpenError::NoStreamLeft));
    for (index, stream) in [(7, 17), (300, 603)] {
        assert_eq!(a.stream(ids[index]), Some(stream));
        a.close(ids[index]);
        a.done(stream);
        a.peer_resets(&[stream]);
    }
    let again = [(); 2].map(|()| {
        let id = a.open_labelled("");
        a.stream(id).unwrap()
    });
    assert_eq!(again, [17, 603]);
    assert_eq!(a.open(ChannelInit::new("")), Err(OpenError::NoStreamLeft));
    a.wire.count = 1002;
    let id = a.open_labelled("");
    assert_eq!(a.stream(id), Some(1001));
}

#[test]
fn one_high_number_costs_little() {
    let mut a = Side::new(Role::Client);
    a.open_negotiated(65534).unwrap();
    assert_eq!(a.channels.table.pages_held(), 1);
    a.open_negotiated(3).unwrap();
    assert_eq!(a.channels.table.pages_held(), 2);
}

#[test]
fn a_flood_of_openings_is_bounded() {
    let mut b = Side::new(Role::Server);
    for _ in 0..3 {
        for stream in 0..65535 {
            b.receive_open(stream, "x");
        }
    }
    // Even ones were opened, then closed by the second; odd ones were refused.
    assert_eq!(b.opened.len(), 32768);
    assert_eq!(b.events().len(), 32768);
    assert_eq!(b.sent().len(), 32768 + 65535);
    assert_eq!(b.channels.closing.len(), 65535);
    assert!(
        b.channels.live.is_empty(),
        "a reset of all costs no more than what is left to do"
    );
    assert!(b.channels.todo.is_empty());
}

#[derive(Debug, Clone)]
enum Step {
    Open { label: u8, ordered: bool },
    Negotiate(u16),
    Send(usize),
    Close(usize),
    Deliver,
    Answer,
    Flush,
}

fn steps() -> impl Strategy<Value = Vec<(bool, Step)>> {
    let step = prop_oneof![
        2 => (any::<u8>(), any::<bool>()).prop_map(|(label, ordered)| Step::Open { label, ordered }),
        1 => (20_u16..24).prop_map(Step::Negotiate),
        6 => any::<usize>().prop_map(Step::Send),
        3 => any::<usize>().prop_map(Step::Close),
        12 => Just(Step::Deliver),
        6 => Just(Step::Answer),
        1 => Just(Step::Flush),
    ];
    proptest::collection::vec((any::<bool>(), step), 0..200)
}

/// Two sides whose association answers resets late.
struct Duo {
    sides: [Side; 2],
    /// Resets that the other side has performed, and whose answers are under way.
    answers: [VecDeque<u16>; 2],
    names: [Vec<ChannelId>; 2],
    closed: [BTreeSet<ChannelId>; 2],
    /// By side and stream: what was accepted since it was last reset, and what of it has come.
    accepted: [BTreeMap<u16, VecDeque<String>>; 2],
    serial: u32,
}

impl Duo {
    fn deliver(&mut self, from: usize) -> bool {
        let Some(item) = self.sides[from].wire.sent.pop_front() else {
            return false;
        };
        let to = 1 - from;
        match item {
            Item::Message(message) => {
                self.sides[to].receive(message.stream, message.ppid, &message.payload);
                for got in self.sides[to].got() {
                    let Some((_, payload)) = got.split_once(" Text ") else {
                        continue;
                    };
                    let accepted = self.accepted[from].get_mut(&message.stream).unwrap();
                    // A receiver that closes drops; none comes twice or out of order.
                    while accepted.pop_front().unwrap() != payload {}
                }
            }
            Item::Part(..) | Item::Cut(_) => panic!("nobody sends parts"),
            Item::Reset(stream) => {
                self.sides[to].peer_resets(&[stream]);
                self.answers[from].push_back(stream);
            }
        }
        true
    }

    fn answer(&mut self, side: usize) -> bool {
        let Some(stream) = self.answers[side].pop_front() else {
            return false;
        };
        self.sides[side].done(stream);
        true
    }

    fn collect(&mut self) {
        for (index, side) in self.sides.iter_mut().enumerate() {
            self.names[index].append(&mut side.opened);
            for event in side.events() {
                if let ChannelEvent::Closed(id) = event {
                    assert!(self.closed[index].insert(id), "closed once");
                    assert_eq!(side.state(id), None);
                }
            }
        }
    }

    fn settle(&mut self) {
        for _ in 0..100_000 {
            let moved = [0, 1].map(|side| self.deliver(side) | self.answer(side));
            self.collect();
            if moved == [false; 2] {
                return;
            }
        }
        panic!("they never come to rest");
    }
}

proptest! {
    /// Whatever both sides do and however late answers are: channels that are open in the end are the same on both
    /// sides, nothing arrives twice or in another channel, and nothing is kept of those that are closed.
    #[test]
    fn both_sides_agree_in_the_end(steps in steps()) {
        let mut duo = Duo {
            sides: [Side::new(Role::Client), Side::new(Role::Server)],
            answers: Default::default(),
            names: Default::default(),
            closed: Default::default(),
            accepted: Default::default(),
            serial: 0,
        };
        for (second, step) in steps {
            let index = usize::from(second);
            let side = &mut duo.sides[index];
            let name = |at: usize| duo.names[index].get(at % duo.names[index].len().max(1)).copied();
            match step {
                Step::Open { label, ordered } => {
                    let mut init = ChannelInit::new(label.to_string());
                    init.ordered = ordered;
                    let id = side.open(init).unwrap();
                    duo.names[index].push(id);
                }
                // On both sides, as applications agree on it.
                Step::Negotiate(stream) => {
                    let ids = [0, 1].map(|index| duo.sides[index].open_negotiated(stream));
                    for (index, id) in ids.into_iter().enumerate() {
                        match id {
                            Ok(id) => duo.names[index].push(id),
                            // One of them has to give up.
                            Err(_) => if let Ok(id) = ids[1 - index] {
                                duo.sides[1 - index].close(id);
                            },
                        }
                    }
                }
                Step::Send(at) => if let Some(id) = name(at) {
                    let label = side.channels.get(id).map(|channel| channel.init().label.clone());
                    let text = std::format!("{}#{}", label.unwrap_or_default(), duo.serial);
                    let payload = Bytes::from(text.clone());
                    if side.channels.send(side.now, &mut side.wire, id, Kind::Text, payload).is_ok() {
                        duo.serial += 1;
                        let stream = side.stream(id).unwrap();
                        duo.accepted[index].entry(stream).or_default().push_back(text);
                    }
                },
                Step::Close(at) => if let Some(id) = name(at) {
                    side.close(id);
                },
                Step::Deliver => { duo.deliver(index); }
                Step::Answer => { duo.answer(index); }
                Step::Flush => side.flush(),
            }
            duo.collect();
        }
        duo.settle();
        let open = [0, 1].map(|index| {
            let names = duo.names[index].iter();
            let open = names.filter_map(|id| duo.sides[index].channels.get(*id));
            let mut open: Vec<_> = open.map(|channel| (channel.stream(), channel.init().label.clone(), channel.ready_state())).collect();
            open.sort_by_key(|(stream, ..)| *stream);
            open
        });
        let in_band = open.clone().map(|open| open.into_iter().filter(|(stream, ..)| stream.unwrap() < 20).collect::<Vec<_>>());
        prop_assert_eq!(&in_band[0], &in_band[1]);
        prop_assert!(in_band[0].iter().all(|(_, _, state)| *state == ReadyState::Open));
        for (index, side) in duo.sides.iter_mut().enumerate() {
            for id in duo.names[index].clone() {
                side.close(id);
            }
        }
        duo.settle();
        for side in &duo.sides {
            prop_assert!(side.channels.live.is_empty() && side.channels.todo.is_empty());
            prop_assert!(side.channels.closing.iter().all(|stream| (20..24).contains(stream)));
        }
    }

    #[test]
    fn noise_does_no_harm(
        messages in proptest::collection::vec((0_u16..4, 50_u32..58, proptest::collection::vec(any::<u8>(), 0..30)), 0..50)
    ) {
        let mut b = Side::new(Role::Server);
        for (stream, ppid, payload) in messages {
            b.receive(stream, Ppid(ppid), &payload);
            if payload.len() > 20 {
                b.peer_resets(&[stream]);
            }
            if payload.len() % 5 == 1 {
                b.done(stream);
            }
        }
        prop_assert!(b.channels.todo.is_empty());
    }
}
