use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dtls_srtp::fake::{self, FakeCrypto};
use peer::testing::Client;
use peer::{Direction, Kind};
use rtp::rtcp::{Nack, Pli, ReceiverReport, ReportBlock, SenderInfo, SenderReport};
use rtp::{PayloadType, RtpOut, Ssrc};
use sfu::{Config, Gone, ParticipantId, Picture, Role, Sfu, SourceKind, SourceLabel, View};
use wire::{Ecn, Path, Reader, Seed};

/// A room under everything that its participants may do: a publisher of simulcast with layers that come, stop and begin
/// anew, any payload, viewers who change their view, miss packets and report anything, sections that are recycled,
/// people who go. What is sent is authentic, no number is used twice (the clients insist on both), and nothing waits
/// for a time that has passed.
///
/// The input is any number of steps: operation, argument, length, that many bytes.
pub fn sfu_session(data: &[u8]) {
    let mut r = Reader::new(data);
    let mut session = Session::new();
    while let Ok(operation) = r.u8() {
        let (Ok(argument), Ok(len)) = (r.u8(), r.u8()) else {
            break;
        };
        let Ok(bytes) = r.take(usize::from(len).min(r.remaining())) else {
            break;
        };
        session.step(operation, argument, bytes);
    }
    session.run(Duration::from_millis(200));
    session.sfu.close(session.now);
    session.exchange();
    session.sfu.each_counter(&mut |name, value| {
        assert!(
            value == 0 || name != "srtp_index_reuse",
            "an index was to be used twice"
        );
    });
    assert!(session.sfu.is_empty());
}

const PUBLISHER: usize = 0;
const CAMERA: usize = 1;
/// The most people that come over the time of a session.
const MAX_GUESTS: usize = 8;

struct Session {
    sfu: Sfu,
    guests: Vec<(ParticipantId, Client)>,
    now: Instant,
    picture: u8,
}

impl Session {
    fn new() -> Self {
        let now = Instant::now() + Duration::from_secs(3600);
        let dtls = dtls_srtp::Config::new(Arc::new(FakeCrypto::new()), fake::certificate(1));
        let peer = peer::Config::new(Arc::new(dtls));
        let addresses = vec![SocketAddr::from(([192, 0, 2, 1], 3478))];
        let mut session = Self {
            sfu: Sfu::new(Arc::new(Config::new(Arc::new(peer), addresses)), Seed::from_run(1), now),
            guests: Vec::new(),
            now,
            picture: 0,
        };
        session.enter(|client| {
            client.add(Kind::Audio, Direction::SendOnly);
            client.add_simulcast(&["q", "h", "f"]);
        });
        for _ in 0..2 {
            session.enter(|client| {
                client.add(Kind::Audio, Direction::RecvOnly);
                client.add(Kind::Video, Direction::RecvOnly);
            });
        }
        session
    }

    fn enter(&mut self, sections: impl Fn(&mut Client)) {
        let number = self.guests.len() as u16;
        let address = SocketAddr::from(([198, 51, 100, 7], 5000 + number));
        let id = self.sfu.join(self.now, "r", "guest", Role::Member).expect("a place");
        let mut client = Client::new(u64::from(number) + 1, address);
        sections(&mut client);
        self.guests.push((id, client));
        self.negotiate(usize::from(number));
        self.run(Duration::from_millis(400));
    }

    fn negotiate(&mut self, guest: usize) {
        let (id, client) = &mut self.guests[guest];
        let offer = client.offer();
        if let Ok(answer) = self.sfu.offer(self.now, *id, &offer) {
            client.accept(self.now, &answer);
        }
    }

    /// Lets the time pass in steps of 10 ms.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        self.exchange();
        while self.now < end {
            self.now += Duration::from_millis(10);
            self.sfu.handle_timeout(self.now);
            for (_, client) in &mut self.guests {
                client.handle_timeout(self.now);
            }
            self.exchange();
            let due = self.sfu.poll_timeout();
            if due.is_some_and(|due| due < self.now) {
                // One call does what is due.
                self.sfu.handle_timeout(self.now);
                self.exchange();
                assert!(
                    self.sfu.poll_timeout().is_none_or(|due| due > self.now),
                    "it stays in the past"
                );
            }
        }
    }

    fn exchange(&mut self) {
        let mut out = vec![0; 65_536];
        loop {
            let mut idle = true;
            for (_, client) in &mut self.guests {
                while let Some(mut datagram) = client.poll_transmit(self.now) {
                    idle = false;
                    if let Some(server) = client.server() {
                        let path = Path::udp(server, client.address);
                        self.sfu.handle_datagram(self.now, path, Ecn::NotEct, &mut datagram);
                    }
                }
            }
            while let Some(transmit) = self.sfu.poll_transmit(self.now, &mut out) {
                idle = false;
                let size = transmit.segment.map_or(transmit.len, |size| usize::from(size.get()));
                for datagram in out[..transmit.len].chunks_mut(size) {
                    let to = |(_, client): &&mut (ParticipantId, Client)| client.address == transmit.path.remote;
                    if let Some((_, client)) = self.guests.iter_mut().find(to) {
                        client.handle_datagram(self.now, datagram);
                    }
                }
            }
            while self.sfu.poll_event().is_some() {}
            if idle {
                break;
            }
        }
    }

    fn step(&mut self, operation: u8, argument: u8, bytes: &[u8]) {
        match operation % 10 {
            0 => self.media(argument, bytes),
            1 => self.frame(argument, bytes),
            2 => self.view(argument, bytes),
            3 => self.run(Duration::from_millis(u64::from(argument) * 10)),
            4 => self.feedback(argument, bytes),
            5 => self.report(argument, bytes),
            6 => self.describe(argument),
            7 => self.renegotiate(argument),
            8 if argument.is_multiple_of(16) && self.guests.len() < MAX_GUESTS => {
                let guest = 1 + usize::from(argument >> 4) % (self.guests.len() - 1);
                self.sfu.leave(self.now, self.guests[guest].0, Gone::Left);
                self.enter(|client| {
                    client.add(Kind::Audio, Direction::RecvOnly);
                    client.add(Kind::Video, Direction::RecvOnly);
                });
            }
            _ => drop(
                self.sfu
                    .tell_again(self.guests[usize::from(argument) % self.guests.len()].0),
            ),
        }
        self.exchange();
    }

    /// A packet of a layer with any payload.
    fn media(&mut self, argument: u8, bytes: &[u8]) {
        let layer = usize::from(argument & 3) % 3;
        let client = &mut self.guests[PUBLISHER].1;
        let (Some(media), true) = (client.media.get(CAMERA), client.is_secured()) else {
            return;
        };
        let (mid, rid) = (media.mid.clone(), media.rids.get(layer).cloned().unwrap_or_default());
        let layer = layer.min(media.ssrcs.len() - 1);
        let ids = [peer::Extension::Mid, peer::Extension::Rid].map(|extension| client.extension_id(extension));
        let extensions = [(ids[0], mid.as_bytes()), (ids[1], rid.as_bytes())];
        let count = if rid.is_empty() { 1 } else { 2 };
        let media = &mut client.media[CAMERA];
        // Others were lost before it.
        media.sequence[layer].0 += u64::from(argument >> 5) * u64::from(argument >> 5);
        let header = RtpOut {
            payload_type: PayloadType(if argument & 4 == 0 { 96 } else { 102 }),
            marker: argument & 8 != 0,
            sequence_number: media.sequence[layer].0,
            timestamp: u32::from(self.picture) * 3000 + u32::from(argument & 16) * 100,
            ssrc: media.ssrcs[layer].0,
            extensions: &extensions[..count],
            ..RtpOut::default()
        };
        media.sequence[layer].0 += 1;
        let packet = client.seal_rtp(&header, bytes);
        client.send(packet);
    }

    /// A frame of VP8 of each layer in the argument's lower bits, a key frame by the upper ones.
    fn frame(&mut self, argument: u8, bytes: &[u8]) {
        self.picture = self.picture.wrapping_add(1);
        for layer in 0..3 {
            if argument & 1 << layer == 0 {
                continue;
            }
            let mut payload = vec![0x90, 0xc0, 0x80, self.picture, self.picture, 0, 0, 0, 0x9d, 0x01, 0x2a];
            payload[5] = u8::from(argument & 16 << layer == 0);
            payload.extend_from_slice(&(320_u16 << layer).to_le_bytes());
            payload.extend_from_slice(&(180_u16 << layer).to_le_bytes());
            payload.extend_from_slice(bytes);
            self.media(layer as u8 | 8, &payload);
        }
    }

    fn view(&mut self, argument: u8, bytes: &[u8]) {
        let viewer = 1 + usize::from(argument) % (self.guests.len() - 1);
        let picture = |two: &[u8]| Picture {
            participant: self.guests[usize::from(argument >> 4) % self.guests.len()].0,
            kind: if argument & 8 == 0 {
                SourceKind::Camera
            } else {
                SourceKind::Screen
            },
            width: u16::from(two[0]) * 8,
            height: u16::from(two[1]) * 8,
        };
        let view = View {
            tiles: bytes.first().map(|tiles| usize::from(*tiles)),
            pinned: self
                .guests
                .iter()
                .take(usize::from(argument & 3))
                .map(|guest| guest.0)
                .collect(),
            pictures: bytes.chunks_exact(2).map(picture).collect(),
        };
        drop(self.sfu.set_view(self.now, self.guests[viewer].0, view));
    }

    /// A viewer misses packets, wants a key frame, or reports what it likes.
    fn feedback(&mut self, argument: u8, bytes: &[u8]) {
        let viewer = 1 + usize::from(argument >> 2) % (self.guests.len() - 1);
        let client = &mut self.guests[viewer].1;
        let Some(last) = client.rtp.last().filter(|_| client.is_secured()) else {
            return;
        };
        let (media, sequence) = (last.ssrc, last.sequence as u16);
        let word = |at: usize| {
            bytes
                .get(at..at + 4)
                .map_or(0, |b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
        };
        match argument & 3 {
            0 if !bytes.is_empty() => {
                let lost = bytes.iter().map(|back| sequence.wrapping_sub(u16::from(*back)));
                client.send_rtcp(|w| Nack::write(w, Ssrc(1), media, lost));
            }
            0 | 1 => client.send_rtcp(|w| Pli { sender: Ssrc(1), media }.write(w)),
            _ => {
                let block = ReportBlock {
                    ssrc: media,
                    cumulative_lost: word(0).cast_signed() >> 8,
                    highest_sequence: word(4),
                    ..ReportBlock::default()
                };
                client.send_rtcp(|w| ReceiverReport::write(w, Ssrc(1), [block], &[]));
            }
        }
    }

    /// The publisher says what time a layer's timestamps stand for.
    fn report(&mut self, argument: u8, bytes: &[u8]) {
        let client = &mut self.guests[PUBLISHER].1;
        let Some(media) = client.media.get(CAMERA).filter(|_| client.is_secured()) else {
            return;
        };
        let info = SenderInfo {
            ssrc: media.ssrcs[usize::from(argument & 3) % media.ssrcs.len()].0,
            ntp: rtp::ntp::NtpTime::from_unix(Duration::from_millis(1_000_000 + u64::from(argument) * 40)),
            rtp_timestamp: u32::from(self.picture) * 3000 + bytes.first().map_or(0, |more| u32::from(*more) * 900),
            packet_count: 1,
            octet_count: 1,
        };
        client.send_rtcp(|w| SenderReport::write(w, &info, [], &[]));
    }

    fn describe(&mut self, argument: u8) {
        let (id, client) = &self.guests[PUBLISHER];
        let label = SourceLabel {
            mid: client.media[CAMERA].mid.clone(),
            kind: if argument & 1 == 0 {
                SourceKind::Camera
            } else {
                SourceKind::Screen
            },
            muted: argument & 2 != 0,
        };
        drop(self.sfu.set_sources(self.now, *id, vec![label]));
    }

    /// The camera's section is stopped, used again with or without simulcast, or a viewer's is.
    fn renegotiate(&mut self, argument: u8) {
        let guest = usize::from(argument >> 2) % self.guests.len();
        let client = &mut self.guests[guest].1;
        let direction = if guest == PUBLISHER {
            Direction::SendOnly
        } else {
            Direction::RecvOnly
        };
        match (client.media[CAMERA].stopped, argument & 3) {
            (false, 0 | 1) => client.media[CAMERA].stopped = true,
            (false, _) => {}
            (true, 0) if guest == PUBLISHER => {
                let fresh = client.add_simulcast(&["f", "h"]);
                client.media[CAMERA] = client.media.remove(fresh);
            }
            (true, _) => client.recycle(CAMERA, Kind::Video, direction),
        }
        self.negotiate(guest);
    }
}
