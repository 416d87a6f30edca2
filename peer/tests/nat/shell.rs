use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use netsim::{Endpoint, Sockets, TcpEvent};
use peer::testing::Collected;
use peer::{Event, Peer, RelayStream, RelayStreamId, State};
use rtp::RtpOut;
use stun::{Class, Message};
use wire::{Ecn, Path, Protocol, Transmit};

/// Time between two packets of sound.
pub(crate) const FRAME: Duration = Duration::from_millis(20);

/// What a program does around a peer: sockets, streams to TURN servers, and sound from the first section.
pub(crate) struct Shell {
    pub(crate) peer: Peer,
    pub(crate) sink: Collected,
    pub(crate) events: Vec<Event>,
    /// Where datagrams were sent.
    pub(crate) paths: BTreeSet<Path>,
    pub(crate) first: Firsts,
    pub(crate) speaks: bool,
    pub(crate) sent: u64,
    next_frame: Instant,
    address: IpAddr,
    to_open: Vec<RelayStream>,
    opening: BTreeMap<Path, RelayStreamId>,
    streams: BTreeMap<Path, (RelayStreamId, Vec<u8>)>,
}

/// When what leads to a call was sent or came for the first time, without relays in between.
#[derive(Debug, Default)]
pub(crate) struct Firsts {
    pub(crate) check: Option<Instant>,
    pub(crate) response: Option<Instant>,
    /// A record of a DTLS handshake was sent.
    pub(crate) handshake: Option<Instant>,
    /// A check with USE-CANDIDATE was sent, ...
    pub(crate) nomination: Option<Instant>,
    /// ... and answered.
    pub(crate) nominated: Option<Instant>,
    nominations: BTreeSet<[u8; 12]>,
}

impl Firsts {
    fn sent(&mut self, now: Instant, datagram: &[u8]) {
        /// RFC 6347 §4.1.
        const HANDSHAKE: u8 = 22;
        if datagram.first() == Some(&HANDSHAKE) {
            self.handshake.get_or_insert(now);
        }
        let Ok(message) = Message::parse(datagram) else { return };
        if message.class() == Class::Request {
            self.check.get_or_insert(now);
            if message.use_candidate() {
                self.nomination.get_or_insert(now);
                self.nominations.insert(message.transaction_id().0);
            }
        }
    }

    fn received(&mut self, now: Instant, datagram: &[u8]) {
        let Ok(message) = Message::parse(datagram) else { return };
        if message.class() == Class::SuccessResponse {
            self.response.get_or_insert(now);
            if self.nominations.contains(&message.transaction_id().0) {
                self.nominated.get_or_insert(now);
            }
        }
    }
}

impl Shell {
    pub(crate) fn new(peer: Peer, address: IpAddr, now: Instant) -> Self {
        Self {
            peer,
            sink: Collected::default(),
            events: Vec::new(),
            paths: BTreeSet::new(),
            first: Firsts::default(),
            speaks: false,
            sent: 0,
            next_frame: now,
            address,
            to_open: Vec::new(),
            opening: BTreeMap::new(),
            streams: BTreeMap::new(),
        }
    }

    pub(crate) fn counters(&self) -> BTreeMap<&'static str, u64> {
        let mut counters = BTreeMap::new();
        self.peer.each_counter(&mut |name, value| {
            if value > 0 {
                counters.insert(name, value);
            }
        });
        counters
    }

    fn is_due(&self, now: Instant) -> bool {
        self.speaks && self.peer.state() == State::Connected && self.next_frame <= now
    }

    fn speak(&mut self, now: Instant, out: &mut [u8]) -> Option<Transmit> {
        if !self.is_due(now) {
            return None;
        }
        self.next_frame = now + FRAME;
        let section = &self.peer.sections()[0];
        let (sender, payload_type) = (section.sender().unwrap(), section.formats()[0].payload_type);
        let header = RtpOut {
            payload_type,
            sequence_number: 100 + self.sent,
            timestamp: self.sent as u32 * 960,
            ..RtpOut::default()
        };
        let len = self.peer.write_rtp(now, sender, &header, &[b"sound"], out).ok()?;
        self.sent += 1;
        self.peer.send_written(now, len, out)
    }

    fn drain(&mut self) {
        while let Some(event) = self.peer.poll_event() {
            if let Event::OpenRelayStream(stream) = &event {
                self.to_open.push(stream.clone());
            }
            self.events.push(event);
        }
    }
}

impl Endpoint for Shell {
    fn handle_datagram(&mut self, now: Instant, path: &Path, _: Ecn, data: &mut [u8]) {
        self.first.received(now, data);
        self.peer.handle_datagram(now, path, data, &mut self.sink);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.peer.handle_timeout(now);
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<Transmit> {
        let transmit = self.peer.poll_transmit(now, out).or_else(|| self.speak(now, out));
        self.drain();
        let transmit = transmit?;
        if transmit.path.protocol == Protocol::Tcp {
            assert!(self.peer.relay_stream_on(&transmit.path).is_some());
        }
        self.paths.insert(transmit.path);
        self.first.sent(now, out.get(..transmit.len).unwrap_or_default());
        Some(transmit)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let speaks = self.speaks && self.peer.state() == State::Connected;
        let own = speaks.then_some(self.next_frame);
        [self.peer.poll_timeout(), own].into_iter().flatten().min()
    }

    fn handle_event(&mut self, now: Instant, event: netsim::Event<'_>) {
        let netsim::Event::Tcp { path, event } = event else {
            return;
        };
        match event {
            TcpEvent::Connected => {
                let id = self.opening.remove(&path).unwrap();
                self.streams.insert(path, (id, Vec::new()));
                self.peer.relay_stream_opened(now, id, path.local);
            }
            TcpEvent::Data(bytes) => {
                let (id, stream) = self.streams.get_mut(&path).unwrap();
                stream.extend_from_slice(bytes);
                let used = self.peer.handle_relay_stream(now, *id, stream, &mut self.sink);
                stream.drain(..used);
            }
            TcpEvent::Accepted | TcpEvent::Writable => {}
            _ => {
                let open = self.streams.remove(&path).map(|(id, _)| id);
                if let Some(id) = open.or_else(|| self.opening.remove(&path)) {
                    self.peer.relay_stream_closed(now, id);
                }
            }
        }
    }

    fn poll_sockets(&mut self, _: Instant, sockets: &mut Sockets<'_>) {
        self.drain();
        for stream in std::mem::take(&mut self.to_open) {
            assert_eq!(stream.tls, None);
            let path = sockets.connect_tcp((self.address, 0).into(), stream.server).unwrap();
            self.opening.insert(path, stream.id);
        }
    }
}
