//! Messages on data channels, to the echo and back, in virtual time.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dtls_srtp::fake::{self, FakeCrypto};
use peer::testing::Collected;
use peer::{Direction, Event, Kind, Peer};
use sctp::{ChannelEvent, ChannelId, ChannelInit, ChannelSendError, Kind as MessageKind};
use sfu::{Config, Role, Sfu};
use wire::{Ecn, Path, Seed};

const DELAY: Duration = Duration::from_millis(10);
const WINDOW: u32 = 64 << 10;

fn config(number: u64, full: bool) -> peer::Config {
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

/// Somebody, and the echo.
struct Call {
    sfu: Sfu,
    peer: Peer,
    sink: Collected,
    events: Vec<Event>,
    now: Instant,
    to_sfu: VecDeque<(Instant, Path, Vec<u8>)>,
    to_peer: VecDeque<(Instant, Path, Vec<u8>)>,
}

impl Call {
    fn new() -> (Self, ChannelId) {
        let now = Instant::now() + Duration::from_secs(3600);
        let addresses: Vec<SocketAddr> = vec!["192.0.2.1:3478".parse().unwrap()];
        let config_of_sfu = Config::new(Arc::new(config(1, false)), addresses);
        let mut sfu = Sfu::new(Arc::new(config_of_sfu), Seed::from_run(1), now);
        let mut peer = Peer::new(Arc::new(config(2, true)), Seed::from_run(2), now);
        peer.add_local_candidate("198.51.100.7:5000".parse().unwrap());
        peer.add_section(Kind::Application, Direction::SendRecv).unwrap();
        let channel = peer.open_channel(now, ChannelInit::new("echo")).unwrap();
        let id = sfu.join(now, "", "ann", Role::Echo).unwrap();
        let offer = peer.offer().unwrap();
        let answer = sfu.offer(now, id, &offer).unwrap();
        peer.accept_answer(now, &answer).unwrap();
        let mut call = Self {
            sfu,
            peer,
            sink: Collected::default(),
            events: Vec::new(),
            now,
            to_sfu: VecDeque::new(),
            to_peer: VecDeque::new(),
        };
        call.run(Duration::from_secs(1));
        assert!(call.events.contains(&Event::Channel(ChannelEvent::Open(channel))));
        (call, channel)
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        let mut out = vec![0; 65_536];
        loop {
            while let Some(transmit) = self.peer.poll_transmit(self.now, &mut out) {
                queue(&mut self.to_sfu, self.now, &transmit, &out);
            }
            while let Some(transmit) = self.sfu.poll_transmit(self.now, &mut out) {
                queue(&mut self.to_peer, self.now, &transmit, &out);
            }
            self.events.extend(std::iter::from_fn(|| self.peer.poll_event()));
            while self.sfu.poll_event().is_some() {}
            let next = [
                self.peer.poll_timeout(),
                self.sfu.poll_timeout(),
                self.to_sfu.front().map(|coming| coming.0),
                self.to_peer.front().map(|coming| coming.0),
            ];
            let Some(next) = next.into_iter().flatten().min().filter(|next| *next <= end) else {
                break;
            };
            self.now = next.max(self.now);
            while let Some((_, path, mut data)) = due(&mut self.to_sfu, self.now) {
                self.sfu.handle_datagram(self.now, path, Ecn::NotEct, &mut data);
            }
            while let Some((_, path, mut data)) = due(&mut self.to_peer, self.now) {
                self.peer.handle_datagram(self.now, &path, &mut data, &mut self.sink);
            }
            self.sfu.handle_timeout(self.now);
            self.peer.handle_timeout(self.now);
        }
        self.now = end;
    }

    fn send(&mut self, channel: ChannelId, payload: Vec<u8>) -> Result<(), ChannelSendError> {
        let payload = Bytes::from(payload);
        self.peer.send_message(self.now, channel, MessageKind::Binary, payload)
    }

    fn sfu_counters(&self) -> Vec<(&'static str, u64)> {
        let mut counters = Vec::new();
        self.sfu.each_counter(&mut |name, value| {
            if value > 0 && name != "sctp_out_of_turn" {
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

#[test]
fn messages_come_back_as_they_were() {
    let (mut call, channel) = Call::new();
    let all: Vec<Vec<u8>> = [0, 1, 1200, 20_000].map(|len| vec![len as u8; len]).to_vec();
    for payload in &all {
        call.send(channel, payload.clone()).unwrap();
    }
    call.peer
        .send_message(call.now, channel, MessageKind::Text, Bytes::from_static(b"text"))
        .unwrap();
    call.run(Duration::from_secs(2));
    let mut expected: Vec<_> = all
        .into_iter()
        .map(|payload| (channel, MessageKind::Binary, payload))
        .collect();
    expected.push((channel, MessageKind::Text, b"text".to_vec()));
    assert!(call.sink.messages == expected);
    assert_eq!(call.sfu_counters(), []);
}

#[test]
fn who_takes_nothing_back_can_send_no_more() {
    for len in [0, 1, 5000] {
        let (mut call, channel) = Call::new();
        call.peer.set_retained(WINDOW as usize);
        let (mut sent, mut blocked) = (0_usize, 0);
        while blocked < 20 {
            match call.send(channel, vec![7; len]) {
                Ok(()) => (sent, blocked) = (sent + 1, 0),
                Err(error) => {
                    assert_eq!(error, ChannelSendError::Blocked);
                    blocked += 1;
                    call.run(Duration::from_secs(1));
                }
            }
            assert!(sent < 10_000, "{len}: no end");
        }
        call.peer.set_retained(0);
        call.run(Duration::from_secs(60));
        assert_eq!(call.sink.messages.len(), sent, "{len}");
    }
}

#[test]
fn what_waits_for_a_channel_that_is_closed_is_forgotten() {
    let (mut call, channel) = Call::new();
    let other = call.peer.open_channel(call.now, ChannelInit::new("other")).unwrap();
    call.run(Duration::from_secs(1));
    call.peer.set_retained(WINDOW as usize);
    for _ in 0..25 {
        while call.send(channel, vec![7; 1000]).is_ok() {}
        call.run(Duration::from_secs(1));
    }
    call.peer.close_channel(call.now, channel);
    call.peer.set_retained(0);
    call.run(Duration::from_secs(60));
    assert!(call.events.contains(&Event::Channel(ChannelEvent::Closed(channel))));
    call.sink.messages.clear();
    call.send(other, b"on".to_vec()).unwrap();
    call.run(Duration::from_secs(1));
    assert_eq!(call.sink.messages, [(other, MessageKind::Binary, b"on".to_vec())]);
}
