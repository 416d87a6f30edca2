use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use ice::{Agent, Deframer, Event, FRAME_HEADER, frame_header};
use netsim::{Endpoint, Sockets, TcpEvent};
use stun::{Builder, Class, Message, Method, Value};
use wire::{Ecn, Path, Protocol, Transmit};

use crate::relay::Clients;

/// What a program does around an agent: sockets, framing of TCP, TURN, and datagrams of its own.
pub(crate) struct Shell {
    pub(crate) agent: Agent,
    /// What the agent has told, in its order.
    pub(crate) events: Vec<Event>,
    /// The paths on which datagrams came that are not STUN.
    pub(crate) got: Vec<Path>,
    /// How many such datagrams are to be sent on the selected path.
    pub(crate) to_send: usize,
    /// When those left.
    pub(crate) left: Vec<Instant>,
    /// The requests that the agent has sent, of checks and of gathering: when, and where.
    pub(crate) requests: Vec<(Instant, Path)>,
    pub(crate) turn: Clients,
    streams: BTreeMap<Path, Deframer>,
    to_open: Vec<Path>,
    now: Instant,
}

impl Shell {
    pub(crate) fn new(agent: Agent, now: Instant) -> Self {
        Self {
            agent,
            events: Vec::new(),
            got: Vec::new(),
            to_send: 0,
            left: Vec::new(),
            requests: Vec::new(),
            turn: Clients::default(),
            streams: BTreeMap::new(),
            to_open: Vec::new(),
            now,
        }
    }

    fn take(&mut self, now: Instant, path: &Path, datagram: &[u8]) {
        // RFC 7983: the first byte tells STUN from all else.
        if datagram.first().is_some_and(|first| *first < 4) {
            self.agent.handle_datagram(now, path, datagram);
        } else {
            self.got.push(*path);
        }
    }

    fn drain(&mut self) {
        while let Some(event) = self.agent.poll_event() {
            if let Event::OpenConnection(path) = event {
                self.to_open.push(path);
            }
            self.events.push(event);
        }
    }

    /// What the agent sends, or one of the datagrams of our own.
    fn poll_own(&mut self, now: Instant, out: &mut [u8]) -> Option<Transmit> {
        let datagram = &mut out[FRAME_HEADER..];
        let transmit = self.agent.poll_transmit(now, datagram);
        if let Some(transmit) = transmit.filter(|_| datagram.starts_with(&BINDING_REQUEST)) {
            self.requests.push((now, transmit.path));
        }
        let own = || {
            let path = self.agent.selected().filter(|_| self.to_send > 0)?;
            datagram[..4].copy_from_slice(b"data");
            self.to_send -= 1;
            self.left.push(now);
            Some(Transmit::one(path, 4))
        };
        let mut transmit = transmit.or_else(own)?;
        match transmit.path.protocol {
            Protocol::Udp => out.copy_within(FRAME_HEADER..FRAME_HEADER + transmit.len, 0),
            Protocol::Tcp => {
                out[..FRAME_HEADER].copy_from_slice(&frame_header(transmit.len).unwrap());
                transmit.len += FRAME_HEADER;
            }
        }
        Some(transmit)
    }
}

impl Endpoint for Shell {
    fn handle_datagram(&mut self, now: Instant, path: &Path, _: Ecn, data: &mut [u8]) {
        self.now = now;
        if self.turn.relays.relay_on(path).is_none() {
            self.take(now, path, data);
        } else if let Some(from) = self.turn.relays.handle_datagram(now, path, data) {
            let (path, data) = (from.path, from.data.to_vec());
            self.take(now, &path, &data);
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        self.turn.relays.handle_timeout(now);
        self.agent.handle_timeout(now);
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<Transmit> {
        self.turn.follow(now, &mut self.agent);
        loop {
            if let Some((_, transmit)) = self.turn.relays.poll_transmit(now, out) {
                return Some(transmit);
            }
            let Some(transmit) = self.poll_own(now, out) else {
                self.drain();
                return None;
            };
            if self.turn.relays.relay_of(&transmit.path.local).is_none() {
                return Some(transmit);
            }
            // What waits for its permission comes from `poll_transmit`; what the server refuses goes nowhere.
            let data = out[..transmit.len].to_vec();
            if let Ok(Some(transmit)) = self.turn.relays.send(now, &transmit, &data, out) {
                return Some(transmit);
            }
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        if self.to_open.is_empty() && !self.turn.has_to_open() {
            [self.agent.poll_timeout(), self.turn.relays.poll_timeout()]
                .into_iter()
                .flatten()
                .min()
        } else {
            Some(self.now)
        }
    }

    fn handle_event(&mut self, now: Instant, event: netsim::Event<'_>) {
        self.now = now;
        let netsim::Event::Tcp { path, event } = event else {
            return;
        };
        if self.turn.is_for(&path) {
            for (path, datagram) in self.turn.handle_event(now, path, event) {
                self.take(now, &path, &datagram);
            }
            return;
        }
        match event {
            TcpEvent::Connected | TcpEvent::Accepted => {
                self.streams.insert(path, Deframer::new(1500));
                self.agent.handle_connected(now, &path);
            }
            TcpEvent::Data(mut bytes) => {
                let Some(mut stream) = self.streams.remove(&path) else {
                    return;
                };
                let bytes = &mut &*std::mem::take(&mut bytes);
                while let Some(datagram) = stream.next(bytes).unwrap() {
                    let datagram = datagram.to_vec();
                    self.take(now, &path, &datagram);
                }
                self.streams.insert(path, stream);
            }
            TcpEvent::Writable => {}
            TcpEvent::Finished | TcpEvent::Reset | TcpEvent::TimedOut | TcpEvent::Closed | TcpEvent::Failed(_) => {
                self.agent.handle_closed(now, &path);
            }
        }
    }

    fn poll_sockets(&mut self, _: Instant, sockets: &mut Sockets<'_>) {
        self.drain();
        self.turn.open(sockets);
        for path in std::mem::take(&mut self.to_open) {
            sockets.connect_tcp(path.local, path.remote).unwrap();
        }
    }
}

/// The first two bytes of a Binding request (RFC 8489 §5).
const BINDING_REQUEST: [u8; 2] = [0, 1];

/// Tells everybody the address that it sees (RFC 8489 §3).
#[derive(Default)]
pub(crate) struct StunServer {
    answers: Vec<(Path, Vec<u8>)>,
    pub(crate) asked: usize,
}

impl Endpoint for StunServer {
    fn handle_datagram(&mut self, _: Instant, path: &Path, _: Ecn, data: &mut [u8]) {
        let request = Message::parse(data).unwrap();
        assert_eq!((request.class(), request.method()), (Class::Request, Method::BINDING));
        self.asked += 1;
        let mut out = [0; 100];
        let id = request.transaction_id();
        let mut builder = Builder::new(&mut out, Class::SuccessResponse, Method::BINDING, id).unwrap();
        builder.push(&Value::XorMappedAddress(path.remote)).unwrap();
        builder.fingerprint().unwrap();
        self.answers.push((*path, builder.finish().to_vec()));
    }

    fn handle_timeout(&mut self, _: Instant) {}

    fn poll_transmit(&mut self, _: Instant, out: &mut [u8]) -> Option<Transmit> {
        let (path, answer) = self.answers.pop()?;
        out[..answer.len()].copy_from_slice(&answer);
        Some(Transmit::one(path, answer.len()))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}
