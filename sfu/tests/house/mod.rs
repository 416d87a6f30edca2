//! One SFU and any number of clients made of our own engines, in virtual time.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file includes this and uses its part"
)]

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dtls_srtp::fake::{self, FakeCrypto};
use peer::testing::{Client, check_answer};
use peer::{Direction, Kind};
use rtp::{PayloadType, RtpOut};
use sfu::{Config, Event, ParticipantId, Role, Sfu};
use wire::{Ecn, Path, Seed};

/// Index of the client's microphone section.
pub const MICROPHONE: usize = 0;
/// Index of the client's camera section.
pub const CAMERA: usize = 1;

/// Somebody in the house.
pub struct Guest {
    pub id: ParticipantId,
    pub client: Client,
    pub events: Vec<Event>,
    /// While true nothing of it arrives.
    pub blackhole: bool,
    pub answers: Vec<String>,
    /// Makes of its offers what the SFU is given.
    pub edit: fn(String) -> String,
}

pub struct House {
    pub sfu: Sfu,
    pub guests: Vec<Guest>,
    pub now: Instant,
    pub start: Instant,
    pub delay: Duration,
    to_sfu: VecDeque<(Instant, usize, Path, Vec<u8>)>,
    to_guests: VecDeque<(Instant, SocketAddr, Vec<u8>)>,
    /// Sizes of the runs that left, in datagrams.
    pub runs: Vec<usize>,
    /// Called before (false) and after (true) each call of the SFU that carries media.
    pub watch: fn(bool),
}

pub fn config() -> Config {
    let dtls = dtls_srtp::Config::new(Arc::new(FakeCrypto::new()), fake::certificate(1));
    let mut peer = peer::Config::new(Arc::new(dtls));
    peer.simulcast = false;
    let addresses = vec!["192.0.2.1:3478".parse().unwrap(), "[2001:db8::1]:3478".parse().unwrap()];
    Config::new(Arc::new(peer), addresses)
}

impl House {
    pub fn new(run: u64) -> Self {
        Self::with_config(run, config())
    }

    pub fn with_config(run: u64, config: Config) -> Self {
        let now = Instant::now() + Duration::from_secs(3600);
        Self {
            sfu: Sfu::new(Arc::new(config), Seed::from_run(run), now),
            guests: Vec::new(),
            now,
            start: now,
            delay: Duration::from_millis(5),
            to_sfu: VecDeque::new(),
            to_guests: VecDeque::new(),
            runs: Vec::new(),
            watch: |_| {},
        }
    }

    /// Lets somebody in without an offer yet.
    pub fn enter(&mut self, room: &str, name: &str, role: Role) -> usize {
        let number = self.guests.len() as u16;
        let id = self.sfu.join(self.now, room, name, role).unwrap();
        let address = SocketAddr::from(([198, 51, 100, 7], 5000 + number));
        let client = Client::new(u64::from(number) + 1, address);
        self.guests.push(Guest {
            id,
            client,
            events: Vec::new(),
            blackhole: false,
            answers: Vec::new(),
            edit: |offer| offer,
        });
        usize::from(number)
    }

    /// Somebody with microphone, camera and `pairs` pairs of slots comes in and connects.
    pub fn member(&mut self, room: &str, name: &str, pairs: usize) -> usize {
        let guest = self.enter(room, name, Role::Member);
        let client = &mut self.guests[guest].client;
        client.add(Kind::Audio, Direction::SendOnly);
        client.add(Kind::Video, Direction::SendOnly);
        for _ in 0..pairs {
            client.add(Kind::Audio, Direction::RecvOnly);
            client.add(Kind::Video, Direction::RecvOnly);
        }
        self.connect(guest);
        guest
    }

    /// One exchange of offer and answer, held to all rules.
    pub fn negotiate(&mut self, guest: usize) {
        let Guest {
            id,
            client,
            answers,
            edit,
            ..
        } = &mut self.guests[guest];
        let offer = edit(client.offer());
        let answer = self
            .sfu
            .offer(self.now, *id, &offer)
            .unwrap_or_else(|error| panic!("{error}\n{offer}"));
        if let Err(rule) = check_answer(&offer, &answer, answers.last().map(String::as_str)) {
            panic!("{rule}\n{offer}\n{answer}");
        }
        client.accept(self.now, &answer);
        answers.push(answer);
    }

    pub fn connect(&mut self, guest: usize) {
        self.negotiate(guest);
        for _ in 0..300 {
            self.run(Duration::from_millis(10));
            let connected = |event: &Event| matches!(event, Event::Connection { id, connection: sfu::Connection::Connected } if *id == self.guests[guest].id);
            if self.guests[guest].client.is_secured() && self.guests[guest].events.iter().any(connected) {
                return;
            }
        }
        panic!("not connected within three seconds: {:?}", self.guests[guest].events);
    }

    /// Lets the time pass.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.exchange();
            let next = [
                self.sfu.poll_timeout(),
                self.to_sfu.front().map(|(at, ..)| *at),
                self.to_guests.front().map(|(at, ..)| *at),
                self.guests.iter().filter_map(|guest| guest.client.poll_timeout()).min(),
            ];
            let Some(next) = next.into_iter().flatten().min().filter(|at| *at <= end) else {
                break;
            };
            self.now = next.max(self.now);
            self.deliver();
            (self.watch)(false);
            self.sfu.handle_timeout(self.now);
            (self.watch)(true);
            for guest in &mut self.guests {
                guest.client.handle_timeout(self.now);
            }
        }
        self.now = end;
    }

    /// Polls everybody until nobody has anything to say.
    pub fn exchange(&mut self) {
        for (index, guest) in self.guests.iter_mut().enumerate() {
            while let Some(datagram) = guest.client.poll_transmit(self.now) {
                if let Some(server) = guest.client.server().filter(|_| !guest.blackhole) {
                    let path = Path::udp(server, guest.client.address);
                    self.to_sfu.push_back((self.now + self.delay, index, path, datagram));
                }
            }
        }
        self.drain();
    }

    /// Polls the SFU until it has nothing to say.
    pub fn drain(&mut self) {
        let mut out = vec![0; 65536];
        loop {
            (self.watch)(false);
            let transmit = self.sfu.poll_transmit(self.now, &mut out);
            (self.watch)(true);
            let Some(transmit) = transmit else { break };
            self.runs.push(transmit.datagrams());
            let size = transmit.segment.map_or(transmit.len, |size| usize::from(size.get()));
            for datagram in out[..transmit.len].chunks(size) {
                assert!(datagram.len() <= 1200, "a datagram of {} bytes", datagram.len());
                self.to_guests
                    .push_back((self.now + self.delay, transmit.path.remote, datagram.to_vec()));
            }
        }
        while let Some((id, event)) = self.sfu.poll_event() {
            if let Some(guest) = self.guests.iter_mut().find(|guest| guest.id == id) {
                guest.events.push(event);
            }
        }
    }

    fn deliver(&mut self) {
        while self.to_sfu.front().is_some_and(|(at, ..)| *at <= self.now) {
            let (_, _, path, mut datagram) = self.to_sfu.pop_front().unwrap();
            (self.watch)(false);
            self.sfu.handle_datagram(self.now, path, Ecn::NotEct, &mut datagram);
            (self.watch)(true);
        }
        while self.to_guests.front().is_some_and(|(at, ..)| *at <= self.now) {
            let (_, to, mut datagram) = self.to_guests.pop_front().unwrap();
            if let Some(guest) = self
                .guests
                .iter_mut()
                .find(|guest| guest.client.address == to && !guest.blackhole)
            {
                guest.client.handle_datagram(self.now, &mut datagram);
            }
        }
    }

    /// Sends a VP8 frame of `packets` packets of one size from a guest's camera.
    pub fn send_frame(
        &mut self,
        guest: usize,
        section: usize,
        timestamp: u32,
        picture: u16,
        key: bool,
        packets: usize,
    ) {
        for packet in 0..packets {
            let mut payload = vec![packet as u8; 900];
            let [high, low] = picture.to_be_bytes();
            let start = if packet == 0 { 0x10 } else { 0 };
            payload[..5].copy_from_slice(&[0x80 | start, 0xc0, 0x80 | high, low, picture as u8]);
            payload[5] = u8::from(!key);
            self.guests[guest].client.send_media(section, timestamp, &payload);
        }
        self.exchange();
    }

    /// Sends a packet from a guest's camera with this payload type, whatever it holds.
    pub fn send_video(&mut self, guest: usize, payload_type: u8, timestamp: u32, payload: &[u8]) {
        let client = &mut self.guests[guest].client;
        let media = &mut client.media[CAMERA];
        let mid = media.mid.clone();
        let header = RtpOut {
            payload_type: PayloadType(payload_type),
            sequence_number: media.sequence[0].0,
            timestamp,
            ssrc: media.ssrcs[0].0,
            extensions: &[(4, mid.as_bytes())],
            ..RtpOut::default()
        };
        media.sequence[0].0 += 1;
        let packet = client.seal_rtp(&header, payload);
        client.send(packet);
    }

    /// Sends an Opus packet with an audio level (RFC 6464) from a guest's microphone.
    pub fn send_sound(&mut self, guest: usize, section: usize, timestamp: u32, level: u8) {
        let client = &mut self.guests[guest].client;
        let media = &mut client.media[section];
        let mid = media.mid.clone();
        let header = RtpOut {
            payload_type: PayloadType(111),
            sequence_number: media.sequence[0].0,
            timestamp,
            ssrc: media.ssrcs[0].0,
            extensions: &[(4, mid.as_bytes()), (1, &[level])],
            ..RtpOut::default()
        };
        media.sequence[0].0 += 1;
        let packet = client.seal_rtp(&header, &[0x78; 60]);
        client.send(packet);
    }

    /// The last slots that a guest was told.
    pub fn slots(&self, guest: usize) -> Vec<(bool, Option<String>)> {
        let told = self.guests[guest].events.iter().rev().find_map(|event| match event {
            Event::Slots(slots) => Some(slots),
            _ => None,
        });
        let carries = |slot: &sfu::SlotView| (slot.video, slot.carries.as_ref().map(|(_, name, _)| name.to_string()));
        told.map(|slots| slots.iter().map(carries).collect())
            .unwrap_or_default()
    }

    /// All counters that are not zero.
    pub fn counters(&self) -> BTreeMap<&'static str, u64> {
        let mut counters = BTreeMap::new();
        self.sfu.each_counter(&mut |name, value| {
            if value != 0 {
                *counters.entry(name).or_insert(0) += value;
            }
        });
        counters
    }

    /// What a guest received of video, as (SSRC, sequence number, timestamp, payload), in order of arrival.
    pub fn video(&self, guest: usize) -> Vec<(u32, u64, u32, Vec<u8>)> {
        let received = self.guests[guest].client.rtp.iter().map(|received| {
            let packet = received.packet();
            (
                packet.ssrc().0,
                received.sequence,
                packet.timestamp(),
                packet.payload().to_vec(),
            )
        });
        received.filter(|(.., payload)| payload.len() > 500).collect()
    }
}
