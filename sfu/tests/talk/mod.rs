//! Whole peers with data channels, and an SFU, in virtual time.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file includes this and uses its part"
)]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dtls_srtp::fake::{self, FakeCrypto};
use peer::testing::Collected;
use peer::{ChannelEvent, ChannelId, ChannelInit, ChannelSendError, MessageKind};
use peer::{Direction, Event, Kind, Peer};
use sfu::{Config, ParticipantId, Role, Sfu};
use wire::{Ecn, Path, Seed};

const DELAY: Duration = Duration::from_millis(10);
/// What waits for its reassembly, or for its acknowledgement, at most.
pub const WINDOW: u32 = 64 << 10;

pub fn config(number: u64, full: bool) -> peer::Config {
    let dtls = Arc::new(dtls_srtp::Config::new(
        Arc::new(FakeCrypto::new()),
        fake::certificate(number),
    ));
    let mut config = if full {
        peer::Config::full(dtls)
    } else {
        peer::Config::new(dtls)
    };
    config.application = full;
    config.sctp.receive_window = WINDOW;
    config.sctp.max_receive_message = 20_000;
    config.sctp.send_buffer = WINDOW as usize;
    config
}

/// Somebody who talks.
pub struct Talker {
    pub peer: Peer,
    pub sink: Collected,
    pub events: Vec<Event>,
    pub id: ParticipantId,
    address: SocketAddr,
}

pub struct Talk {
    pub sfu: Sfu,
    pub talkers: Vec<Talker>,
    pub now: Instant,
    /// The longest message that those take who come from now on.
    pub longest: usize,
    /// Called before (false) and after (true) each datagram that the SFU is given.
    pub watch: fn(bool),
    to_sfu: VecDeque<(Instant, Path, Vec<u8>)>,
    to_talkers: VecDeque<(Instant, Path, Vec<u8>)>,
}

impl Talk {
    pub fn new(change: impl FnOnce(&mut peer::Config, &mut Config)) -> Self {
        let now = Instant::now() + Duration::from_secs(3600);
        let addresses: Vec<SocketAddr> = vec!["192.0.2.1:3478".parse().unwrap()];
        let mut peer = config(1, false);
        let mut house = Config::new(Arc::new(config(1, false)), addresses);
        change(&mut peer, &mut house);
        house.peer = Arc::new(peer);
        Self {
            sfu: Sfu::new(Arc::new(house), Seed::from_run(1), now),
            talkers: Vec::new(),
            now,
            longest: 20_000,
            watch: |_| {},
            to_sfu: VecDeque::new(),
            to_talkers: VecDeque::new(),
        }
    }

    /// Lets somebody in, who is to open channels before [`connect`](Self::connect).
    pub fn enter(&mut self, room: &str, role: Role) -> usize {
        let number = self.talkers.len() as u64 + 2;
        let mut config = config(number, true);
        config.sctp.max_receive_message = self.longest;
        let mut peer = Peer::new(Arc::new(config), Seed::from_run(number), self.now);
        let address = SocketAddr::from(([198, 51, 100, 7], 5000 + number as u16));
        peer.add_local_candidate(address);
        peer.add_section(Kind::Application, Direction::SendRecv).unwrap();
        let id = self.sfu.join(self.now, room, &format!("t{number}"), role).unwrap();
        self.talkers.push(Talker {
            peer,
            sink: Collected::default(),
            events: Vec::new(),
            id,
            address,
        });
        self.talkers.len() - 1
    }

    /// Returns the SFU's answer.
    pub fn connect(&mut self, who: usize) -> String {
        let talker = &mut self.talkers[who];
        let offer = talker.peer.offer().unwrap();
        let answer = self.sfu.offer(self.now, talker.id, &offer).unwrap();
        talker.peer.accept_answer(self.now, &answer).unwrap();
        self.run(Duration::from_secs(1));
        answer
    }

    pub fn open(&mut self, who: usize, init: ChannelInit) -> ChannelId {
        self.talkers[who].peer.open_channel(self.now, init).unwrap()
    }

    /// Somebody with one open channel.
    pub fn talker(&mut self, room: &str, role: Role, init: ChannelInit) -> (usize, ChannelId) {
        let who = self.enter(room, role);
        let channel = self.open(who, init);
        self.connect(who);
        assert!(self.has(who, ChannelEvent::Open(channel)));
        (who, channel)
    }

    pub fn has(&self, who: usize, event: ChannelEvent) -> bool {
        self.talkers[who].events.contains(&Event::Channel(event))
    }

    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        let mut out = vec![0; 65_536];
        loop {
            for talker in &mut self.talkers {
                while let Some(transmit) = talker.peer.poll_transmit(self.now, &mut out) {
                    queue(&mut self.to_sfu, self.now, &transmit, &out);
                }
                talker.events.extend(std::iter::from_fn(|| talker.peer.poll_event()));
            }
            while let Some(transmit) = self.sfu.poll_transmit(self.now, &mut out) {
                queue(&mut self.to_talkers, self.now, &transmit, &out);
            }
            while self.sfu.poll_event().is_some() {}
            let timeouts = self.talkers.iter().map(|talker| talker.peer.poll_timeout());
            let next = timeouts.chain([
                self.sfu.poll_timeout(),
                self.to_sfu.front().map(|coming| coming.0),
                self.to_talkers.front().map(|coming| coming.0),
            ]);
            let Some(next) = next.flatten().min().filter(|next| *next <= end) else {
                break;
            };
            self.now = next.max(self.now);
            while let Some((_, path, mut data)) = due(&mut self.to_sfu, self.now) {
                (self.watch)(false);
                self.sfu.handle_datagram(self.now, path, Ecn::NotEct, &mut data);
                (self.watch)(true);
            }
            while let Some((_, path, mut data)) = due(&mut self.to_talkers, self.now) {
                if let Some(talker) = self.talkers.iter_mut().find(|talker| talker.address == path.local) {
                    talker
                        .peer
                        .handle_datagram(self.now, &path, &mut data, &mut talker.sink);
                }
            }
            self.sfu.handle_timeout(self.now);
            for talker in &mut self.talkers {
                talker.peer.handle_timeout(self.now);
            }
        }
        self.now = end;
    }

    pub fn send(&mut self, who: usize, channel: ChannelId, payload: impl Into<Bytes>) -> Result<(), ChannelSendError> {
        let peer = &mut self.talkers[who].peer;
        peer.send_message(self.now, channel, MessageKind::Binary, payload.into())
    }

    pub fn text(&mut self, who: usize, channel: ChannelId, text: &str) {
        let peer = &mut self.talkers[who].peer;
        let payload = Bytes::copy_from_slice(text.as_bytes());
        peer.send_message(self.now, channel, MessageKind::Text, payload)
            .unwrap();
    }

    /// What came since it was asked last.
    pub fn heard(&mut self, who: usize) -> Vec<(ChannelId, MessageKind, Vec<u8>)> {
        std::mem::take(&mut self.talkers[who].sink.messages)
    }

    pub fn count(&self, counter: &str) -> u64 {
        let counters = self.counters().into_iter();
        counters
            .filter(|(name, _)| *name == counter)
            .map(|(_, value)| value)
            .sum()
    }

    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        let mut counters = Vec::new();
        self.sfu.each_counter(&mut |name, value| {
            if value > 0 {
                counters.push((name, value));
            }
        });
        counters
    }
}

fn queue(way: &mut VecDeque<(Instant, Path, Vec<u8>)>, now: Instant, transmit: &wire::Transmit, out: &[u8]) {
    let path = Path::udp(transmit.path.remote, transmit.path.local);
    let size = transmit.segment.map_or(transmit.len, |size| usize::from(size.get()));
    for datagram in out[..transmit.len].chunks(size) {
        way.push_back((now + DELAY, path, datagram.to_vec()));
    }
}

fn due(way: &mut VecDeque<(Instant, Path, Vec<u8>)>, now: Instant) -> Option<(Instant, Path, Vec<u8>)> {
    way.front()
        .is_some_and(|coming| coming.0 <= now)
        .then(|| way.pop_front())?
}
