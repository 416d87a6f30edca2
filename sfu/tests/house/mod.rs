//! One SFU and any number of clients made of our own engines, in virtual time.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file includes this and uses its part"
)]

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dtls_srtp::fake::{self, FakeCrypto};
use peer::testing::{Client, ReceivedRtp, check_answer};
use peer::{Direction, Extension, Kind};
use rtp::{PayloadType, RtpOut};
use sfu::{Config, Event, ParticipantId, Role, Sfu};
use wire::{Ecn, Path, Seed, Serial};

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
    /// While true no handshake message reaches it.
    pub deaf_to_dtls: bool,
    pub answers: Vec<String>,
    /// Makes of its offers what the SFU is given.
    pub edit: fn(String) -> String,
    inspector: Inspector,
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
    /// Whether a packet of RTP to the SFU is lost, by its number.
    pub lose: fn(u64) -> bool,
    /// Whether a packet of RTP to the guests is lost, by its number.
    pub lose_down: fn(u64) -> bool,
    sent_down: u64,
    /// How many packets of RTP the guests have sent.
    pub sent: u64,
    /// How many bytes `poll_transmit` is given.
    pub room: usize,
    /// Called before (false) and after (true) each call of the SFU that carries media.
    pub watch: fn(bool),
}

/// Other identifiers than those of the test client, for the same extensions.
const OTHER_IDS: [(Extension, u8); 9] = [
    (Extension::AudioLevel, 7),
    (Extension::AbsSendTime, 9),
    (Extension::TransportCc, 6),
    (Extension::Mid, 8),
    (Extension::PlayoutDelay, 2),
    (Extension::Rid, 12),
    (Extension::RepairedRid, 13),
    (Extension::DependencyDescriptor, 1),
    (Extension::VideoOrientation, 3),
];

pub fn config() -> Config {
    let dtls = dtls_srtp::Config::new(Arc::new(FakeCrypto::new()), fake::certificate(1));
    let peer = peer::Config::new(Arc::new(dtls));
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
            lose: |_| false,
            lose_down: |_| false,
            sent_down: 0,
            sent: 0,
            room: 65_536,
            watch: |_| {},
        }
    }

    /// Lets somebody in without an offer yet.
    pub fn enter(&mut self, room: &str, name: &str, role: Role) -> usize {
        let number = self.guests.len() as u16;
        let id = self.sfu.join(self.now, room, name, role).unwrap();
        let address = SocketAddr::from(([198, 51, 100, 7], 5000 + number));
        let mut client = Client::new(u64::from(number) + 1, address);
        if number % 2 == 1 {
            // No two have the same identifiers for the same extension.
            client.extensions = OTHER_IDS.to_vec();
        }
        self.guests.push(Guest {
            id,
            client,
            events: Vec::new(),
            blackhole: false,
            deaf_to_dtls: false,
            answers: Vec::new(),
            edit: |offer| offer,
            inspector: Inspector::default(),
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
            inspector,
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
        inspector.agree(&answer);
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
                if matches!(datagram.first(), Some(128..=191)) && !rtp::is_rtcp(&datagram) {
                    self.sent += 1;
                    if (self.lose)(self.sent) {
                        continue;
                    }
                }
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
        let mut out = vec![0; self.room];
        loop {
            (self.watch)(false);
            let transmit = self.sfu.poll_transmit(self.now, &mut out);
            (self.watch)(true);
            let Some(transmit) = transmit else { break };
            self.runs.push(transmit.datagrams());
            let size = transmit.segment.map_or(transmit.len, |size| usize::from(size.get()));
            for datagram in out[..transmit.len].chunks(size) {
                assert!(datagram.len() <= 1200, "a datagram of {} bytes", datagram.len());
                if matches!(datagram.first(), Some(128..=191)) && !rtp::is_rtcp(datagram) {
                    self.sent_down += 1;
                    if (self.lose_down)(self.sent_down) {
                        continue;
                    }
                }
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
                .filter(|guest| !guest.deaf_to_dtls || !matches!(datagram.first(), Some(20..=63)))
            {
                let before = guest.client.rtp.len();
                guest.client.handle_datagram(self.now, &mut datagram);
                for received in &guest.client.rtp[before..] {
                    guest.inspector.inspect(received);
                }
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
            self.send(guest, section, 96, timestamp, packet + 1 == packets, &[], &payload);
        }
        self.exchange();
    }

    /// Sends a packet from a guest's camera with this payload type, whatever it holds.
    pub fn send_video(&mut self, guest: usize, payload_type: u8, timestamp: u32, payload: &[u8]) {
        self.send(guest, CAMERA, payload_type, timestamp, false, &[], payload);
    }

    /// Sends an Opus packet with an audio level (RFC 6464) from a guest's microphone.
    pub fn send_sound(&mut self, guest: usize, section: usize, timestamp: u32, level: u8) {
        let level = [(Extension::AudioLevel, &[level][..])];
        self.send(guest, section, 111, timestamp, false, &level, &[0x78; 60]);
    }

    /// Sends a packet with these extension elements beside all that belong to its transport.
    #[allow(clippy::too_many_arguments, reason = "it is what a packet has")]
    pub fn send(
        &mut self,
        guest: usize,
        section: usize,
        payload_type: u8,
        timestamp: u32,
        marker: bool,
        extensions: &[(Extension, &[u8])],
        payload: &[u8],
    ) {
        let client = &mut self.guests[guest].client;
        let number = client.next_transport_number();
        let mid = client.media[section].mid.clone();
        let own = [
            (Extension::Mid, mid.as_bytes()),
            (Extension::TransportCc, &number),
            (Extension::AbsSendTime, &[1, 2, 3]),
            (Extension::Rid, b"x"),
        ];
        let elements: Vec<(u8, &[u8])> = own
            .iter()
            .chain(extensions)
            .map(|(extension, value)| (client.extension_id(*extension), *value))
            .collect();
        let media = &mut client.media[section];
        let header = RtpOut {
            payload_type: PayloadType(payload_type),
            marker,
            sequence_number: media.sequence[0].0,
            timestamp,
            ssrc: media.ssrcs[0].0,
            extensions: &elements,
            ..RtpOut::default()
        };
        media.sequence[0].0 += 1;
        let packet = client.seal_rtp(&header, payload);
        client.send(packet);
    }

    /// Sends a sender report about one of a guest's sections, and nothing about others.
    pub fn send_report(&mut self, guest: usize, section: usize, ntp: Duration, timestamp: u32) {
        let client = &mut self.guests[guest].client;
        let info = rtp::rtcp::SenderInfo {
            ssrc: client.media[section].ssrcs[0].0,
            ntp: rtp::ntp::NtpTime::from_unix(ntp),
            rtp_timestamp: timestamp,
            packet_count: 7,
            octet_count: 6300,
        };
        client.send_rtcp(|w| rtp::rtcp::SenderReport::write(w, &info, [], &[]));
    }

    /// The RTCP packets that a guest received, in order.
    pub fn rtcp(&self, guest: usize) -> Vec<rtp::rtcp::Packet<'_>> {
        let compounds = self.guests[guest].client.rtcp.iter();
        let packets = compounds.flat_map(|bytes| rtp::rtcp::Compound::parse(bytes).unwrap().packets());
        packets.flatten().collect()
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

/// Holds everything that a guest receives to what was agreed to and to what receivers rely on.
#[derive(Default)]
struct Inspector {
    sections: Vec<Agreed>,
    streams: HashMap<u32, Stream>,
}

/// A section of an answer.
struct Agreed {
    mid: String,
    audio: bool,
    /// With the SSRC of retransmissions second.
    ssrcs: Vec<u32>,
    extensions: BTreeMap<u8, String>,
}

/// What came under one SSRC.
#[derive(Default)]
struct Stream {
    newest: Option<(u64, u32)>,
    /// By sequence number: marker, timestamp, forwarded extensions, payload.
    packets: HashMap<u16, Content>,
}

type Content = (bool, u32, Vec<(u8, Vec<u8>)>, Vec<u8>);

impl Inspector {
    fn agree(&mut self, answer: &str) {
        let value = |section: &str, name: &str| -> Vec<String> {
            let values = section.lines().filter_map(|line| line.strip_prefix(name));
            values.map(str::to_owned).collect()
        };
        let sections = answer.split("m=").skip(1).map(|section| {
            let extension = |line: &String| {
                let (id, uri) = line.split_once(' ').unwrap();
                (id.split('/').next().unwrap().parse().unwrap(), uri.to_owned())
            };
            let group = value(section, "a=ssrc-group:FID ");
            let of_group = group.iter().flat_map(|group| group.split(' ')).map(str::to_owned);
            let single = value(section, "a=ssrc:").into_iter();
            let mut ssrcs: Vec<u32> = of_group
                .chain(single)
                .map(|ssrc| ssrc.split(' ').next().unwrap().parse().unwrap())
                .collect();
            ssrcs.truncate(1 + group.len());
            Agreed {
                mid: value(section, "a=mid:").pop().unwrap_or_default(),
                audio: section.starts_with("audio"),
                ssrcs,
                extensions: value(section, "a=extmap:").iter().map(extension).collect(),
            }
        });
        self.sections = sections.collect();
    }

    fn inspect(&mut self, received: &ReceivedRtp) {
        let packet = received.packet();
        let ssrc = packet.ssrc().0;
        let section = self.sections.iter().find(|section| section.ssrcs.contains(&ssrc));
        let section = section.unwrap_or_else(|| panic!("no section has the SSRC {ssrc}"));
        let mut forwarded = Vec::new();
        for (id, value) in packet.extensions() {
            let Some(uri) = section.extensions.get(&id) else {
                panic!("extension {id} was not agreed to")
            };
            match Extension::from_uri(uri).unwrap() {
                Extension::Mid => assert_eq!(value, section.mid.as_bytes(), "the MID is the slot's"),
                Extension::AudioLevel | Extension::VideoOrientation | Extension::PlayoutDelay => {
                    forwarded.push((id, value.to_vec()));
                }
                other => panic!("{other:?} belongs to the publisher's transport"),
            }
        }
        let (payload, timestamp) = (packet.payload(), packet.timestamp());
        if section.ssrcs.get(1) == Some(&ssrc) {
            let (number, payload) = payload.split_at(2);
            let number = u16::from_be_bytes([number[0], number[1]]);
            let original = self
                .streams
                .get(&section.ssrcs[0])
                .and_then(|stream| stream.packets.get(&number));
            let again = (packet.marker(), timestamp, forwarded, payload.to_vec());
            // What was lost on the way is not known here.
            if let Some(original) = original {
                assert_eq!(again, *original, "a retransmission is the packet itself");
            }
            return;
        }
        let stream = self.streams.entry(ssrc).or_default();
        match stream.newest {
            Some((sequence, before)) if received.sequence > sequence => {
                let step = before.distance_to(timestamp);
                assert!(step >= 0, "the timestamp goes back by {step} in {}", section.mid);
                assert!(
                    step > 0 || !section.audio,
                    "two packets of sound at one time in {}",
                    section.mid
                );
                stream.newest = Some((received.sequence, timestamp));
            }
            Some(_) => {}
            None => stream.newest = Some((received.sequence, timestamp)),
        }
        let content = (packet.marker(), timestamp, forwarded, payload.to_vec());
        let old = stream.packets.insert(received.sequence as u16, content);
        assert!(old.is_none(), "a sequence number is used once");
    }
}
