//! An engine that writes down what it is told.

use std::collections::{BTreeMap, VecDeque};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use hyaline_server::{
    ConnectionState, Engine, Handshake, Join, Options, Other, ParticipantId, Reason, Refusal, RefusalKind, Server,
    ServerMessage, Source, SourceInfo, SourceKind, View,
};
use wire::{Ecn, Path, Transmit};

use crate::client::{PATIENCE, Socket, connect};

/// What the engines of one server were told, in words.
pub(crate) type Log = Arc<Mutex<Vec<String>>>;

/// Held by a test, it holds an engine.
pub(crate) type Gate = Arc<Mutex<()>>;

#[derive(Debug, Default)]
pub(crate) struct Fake {
    log: Log,
    gate: Gate,
    worker: usize,
    joined: u64,
    rooms: BTreeMap<String, Vec<Other>>,
    events: VecDeque<(ParticipantId, ServerMessage)>,
    transmits: VecDeque<(Path, Vec<u8>)>,
    last_path: Option<Path>,
    closed: bool,
    /// Whether it writes down what is polled.
    polled: bool,
}

impl Fake {
    fn write(&self, line: impl Into<String>) {
        self.log.lock().unwrap().push(line.into());
    }

    fn malformed(message: &str) -> Refusal {
        Refusal {
            kind: RefusalKind::Malformed,
            message: message.into(),
        }
    }
}

impl Engine for Fake {
    fn others(&self, participant: ParticipantId) -> Vec<Other> {
        let room = self
            .rooms
            .values()
            .find(|room| room.iter().any(|other| other.participant == participant));
        let others = room.into_iter().flatten();
        others
            .filter(|other| other.participant != participant)
            .cloned()
            .collect()
    }

    fn each_counter(&self, visit: &mut dyn FnMut(&'static str, u64)) {
        self.write("report");
        visit("fake_joins", self.joined);
    }

    fn handshakes(&self) -> Vec<(Handshake, u64)> {
        let handshake = Handshake {
            version: "DTLS 1.3",
            group: "X25519MLKEM768",
            suite: "TLS_AES_128_GCM_SHA256",
            srtp_profile: "SRTP_AEAD_AES_128_GCM",
        };
        vec![(handshake, 2)]
    }

    fn participants(&self) -> usize {
        self.rooms.values().map(Vec::len).sum()
    }

    fn speaking(&self) -> usize {
        1 + self.worker
    }

    /// `connected N` and `disconnected N` happen to the media of participant N; `slots N` gives participant N other
    /// slots, and a packet in them; `flood N` is many long messages to participant N, `wait` stops at the gate, `panic
    /// N` ends worker N; and everything comes back with `echo ` before it.
    fn handle_datagram(&mut self, _: Instant, path: &Path, _: Ecn, data: &mut [u8]) {
        self.last_path = Some(*path);
        let text = String::from_utf8_lossy(data).into_owned();
        if let Some(participant) = text.strip_prefix("slots ") {
            let participant = ParticipantId(participant.parse().unwrap());
            self.polled = true;
            self.events
                .push_back((participant, ServerMessage::Slots { slots: Vec::new() }));
        }
        for (word, state) in [
            ("connected ", ConnectionState::Connected),
            ("disconnected ", ConnectionState::Disconnected),
        ] {
            if let Some(participant) = text.strip_prefix(word) {
                let participant = ParticipantId(participant.parse().unwrap());
                let others = self.others(participant).into_iter().map(|other| other.participant);
                for to in others.chain([participant]) {
                    self.events
                        .push_back((to, ServerMessage::Connection { participant, state }));
                }
            }
        }
        if let Some(participant) = text.strip_prefix("flood ") {
            let participant = ParticipantId(participant.parse().unwrap());
            for _ in 0..2_000 {
                let message = ServerMessage::Error {
                    code: "long",
                    message: "x".repeat(100_000),
                    re: None,
                    id: None,
                };
                self.events.push_back((participant, message));
            }
        }
        if text == "wait" {
            self.write("waiting");
            drop(self.gate.lock().unwrap());
        }
        if let Some(worker) = text.strip_prefix("panic ") {
            assert_ne!(worker.parse(), Ok(self.worker), "asked for by the test");
        }
        self.transmits.push_back((*path, format!("echo {text}").into_bytes()));
    }

    fn is_path_open(&self, path: &Path) -> bool {
        self.last_path == Some(*path)
    }

    fn handle_path_closed(&mut self, _: Instant, _: &Path) {
        self.write("path closed");
    }

    fn handle_timeout(&mut self, _: Instant) {}

    fn join(&mut self, _: Instant, room: &str, join: Join) -> Result<ParticipantId, Refusal> {
        if room == "full" {
            return Err(Refusal {
                kind: RefusalKind::Full,
                message: "The room is full.".into(),
            });
        }
        self.joined += 1;
        let participant = ParticipantId(self.joined);
        let name = join.name.as_str().to_owned();
        self.write(format!("join {room:?} {name} {:?}", join.kind));
        let others = self.rooms.entry(room.into()).or_default();
        for other in &*others {
            let message = ServerMessage::ParticipantJoined {
                participant,
                name: name.clone(),
                sources: Vec::new(),
            };
            self.events.push_back((other.participant, message));
        }
        others.push(Other {
            participant,
            name,
            sources: Vec::new(),
        });
        self.events
            .push_back((participant, ServerMessage::Need { audio: 4, video: 4 }));
        Ok(participant)
    }

    fn offer(&mut self, _: Instant, participant: ParticipantId, sdp: &str) -> Result<String, Refusal> {
        self.write(format!("offer {participant} {} bytes", sdp.len()));
        if sdp.starts_with("v=0") {
            self.events
                .push_back((participant, ServerMessage::Slots { slots: Vec::new() }));
            Ok(format!("v=0\r\ns=answer {}\r\n", sdp.len()))
        } else {
            Err(Self::malformed("The offer cannot be accepted: line 1: v= comes first."))
        }
    }

    fn candidate(
        &mut self,
        _: Instant,
        participant: ParticipantId,
        mid: Option<&str>,
        candidate: &str,
    ) -> Result<(), Refusal> {
        self.write(format!("candidate {participant} {mid:?} {candidate}"));
        if candidate == "bad" {
            Err(Self::malformed("This is no candidate."))
        } else {
            Ok(())
        }
    }

    fn fragment(&mut self, _: Instant, _: ParticipantId, fragment: &str) -> Result<Option<String>, Refusal> {
        self.write(format!("fragment {fragment:?}"));
        match fragment {
            "bad" => Err(Self::malformed("Line 1 is no line of SDP.")),
            "restart" => Ok(Some("a=ice-ufrag:new\r\n".into())),
            _ => Ok(None),
        }
    }

    fn set_sources(&mut self, _: Instant, id: ParticipantId, sources: Vec<SourceInfo>) -> Result<(), Refusal> {
        let all: Vec<String> = sources
            .iter()
            .map(|s| format!("{}:{:?}:{}", s.mid, s.kind, s.muted))
            .collect();
        self.write(format!("sources {id} {}", all.join(" ")));
        Ok(())
    }

    fn set_muted(&mut self, _: Instant, id: ParticipantId, mid: &str, muted: bool) -> Result<(), Refusal> {
        self.write(format!("mute {id} {mid} {muted}"));
        let is_here = |room: &&Vec<Other>| room.iter().any(|other| other.participant == id);
        for other in self.rooms.values().find(is_here).into_iter().flatten() {
            if other.participant != id {
                let source = Source {
                    source: mid.into(),
                    kind: SourceKind::Camera,
                    muted,
                };
                let message = ServerMessage::Sources {
                    participant: id,
                    sources: vec![source],
                };
                self.events.push_back((other.participant, message));
            }
        }
        Ok(())
    }

    fn set_view(&mut self, _: Instant, id: ParticipantId, view: View) -> Result<(), Refusal> {
        let pictures = view.pictures.iter();
        let pictures: Vec<String> = pictures
            .map(|p| format!("{}:{:?}:{}x{}", p.participant, p.source, p.width, p.height))
            .collect();
        self.write(format!("view {id} {:?} {:?} {pictures:?}", view.tiles, view.pinned));
        Ok(())
    }

    fn tell_again(&mut self, participant: ParticipantId) -> Result<(), Refusal> {
        self.write(format!("tell {participant} again"));
        for message in [
            ServerMessage::Need { audio: 8, video: 8 },
            ServerMessage::Slots { slots: Vec::new() },
        ] {
            self.events.push_back((participant, message));
        }
        Ok(())
    }

    fn leave(&mut self, _: Instant, participant: ParticipantId, reason: Reason) {
        self.write(format!("leave {participant} {reason:?}"));
        for room in self.rooms.values_mut() {
            let before = room.len();
            room.retain(|other| other.participant != participant);
            if room.len() < before {
                for other in room {
                    let message = ServerMessage::ParticipantLeft { participant, reason };
                    self.events.push_back((other.participant, message));
                }
            }
        }
        self.events.push_back((participant, ServerMessage::bye(reason)));
    }

    fn close(&mut self, _: Instant) {
        self.write("close");
        self.closed = true;
        if let Some(path) = self.last_path {
            self.transmits.push_back((path, b"goodbye".to_vec()));
        }
    }

    fn poll_transmit(&mut self, _: Instant, out: &mut [u8]) -> Option<Transmit> {
        assert!(out.len() >= udp::MAX_MESSAGE);
        let (path, data) = self.transmits.pop_front()?;
        if self.polled {
            self.write("polled a packet");
        }
        out[..data.len()].copy_from_slice(&data);
        Some(Transmit::one(path, data.len()))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    fn poll_event(&mut self) -> Option<(ParticipantId, ServerMessage)> {
        let event = self.events.pop_front()?;
        if self.polled {
            self.write("polled an event");
        }
        Some(event)
    }
}

/// A server with engines that write down what they are told.
pub(crate) struct Fixture {
    pub(crate) server: Server,
    pub(crate) log: Log,
    pub(crate) gate: Gate,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with(|_| ())
    }

    pub(crate) fn with(change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options {
            http: SocketAddr::from(([127, 0, 0, 1], 0)),
            workers: 2.try_into().unwrap(),
            ..Options::default()
        };
        change(&mut options);
        let log = Log::default();
        let gate = Gate::default();
        let engines = (log.clone(), gate.clone());
        let server = Server::start_with(&options, move |setup, _| Fake {
            log: engines.0.clone(),
            gate: engines.1.clone(),
            worker: setup.worker,
            ..Fake::default()
        });
        Self {
            server: server.unwrap(),
            log,
            gate,
        }
    }

    pub(crate) fn http(&self) -> SocketAddr {
        self.server.http_addr()
    }

    /// A connection that has a place, as the answer to its first request shows; waits for one.
    pub(crate) fn connect(&self) -> TcpStream {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut stream = connect(self.http());
            let _ = stream.write_all(b"HEAD / HTTP/1.1\r\nhost: test\r\n\r\n");
            let mut answer = Vec::new();
            let mut byte = [0];
            while !answer.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|length| length == 1) {
                answer.push(byte[0]);
            }
            if answer.starts_with(b"HTTP/1.1 200 ") {
                return stream;
            }
            assert!(Instant::now() < deadline, "there is no place");
        }
    }

    /// Holds the first worker until what is given back is dropped.
    pub(crate) fn hold(&self) -> MutexGuard<'_, ()> {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let media = self.server.media_addrs()[0]
            .iter()
            .find(|addr| addr.ip().is_loopback() && addr.is_ipv4())
            .unwrap();
        let release = self.gate.lock().unwrap();
        udp.send_to(b"wait", media).unwrap();
        self.await_line("waiting");
        release
    }

    /// Holds the first worker, with a full queue.
    pub(crate) fn overwhelm(&self) -> (Vec<Socket>, MutexGuard<'_, ()>) {
        let mut crowd: Vec<Socket> = (0..4)
            .map(|i| Socket::join(self.http(), &format!("room-{i}"), "Ada").0)
            .collect();
        let release = self.hold();
        // The queue takes 1024, below what counts as a flood for each of the four.
        for socket in &mut crowd {
            for _ in 0..256 {
                socket.send(r#"{"type":"mute","mid":"1","muted":true}"#);
            }
            socket.send(r#"{"type":"ping"}"#);
            assert_eq!(socket.receive()["type"], "pong");
        }
        (crowd, release)
    }

    /// Waits until an engine has been told something.
    pub(crate) fn await_line(&self, line: &str) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !self.log.lock().unwrap().iter().any(|written| written == line) {
            assert!(
                Instant::now() < deadline,
                "{line:?} is not in {:#?}",
                self.log.lock().unwrap()
            );
            std::thread::yield_now();
        }
    }

    /// Waits until exactly this one counter of signalling is raised, to this value.
    pub(crate) fn await_counter(&self, name: &str, value: u64) {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let raised: Vec<_> = self.server.counters().iter().filter(|(_, value)| *value > 0).collect();
            if raised == [(name, value)] {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "raised: {raised:?}, expected {name} = {value} alone"
            );
            std::thread::yield_now();
        }
    }
}
