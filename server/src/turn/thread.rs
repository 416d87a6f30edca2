use std::collections::{BTreeSet, HashSet, VecDeque};
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mio::event::Event;
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};
use rustls::ServerConfig;
use turn::{ConnectionId, RelayId, Server, ServerAction, Towards, next_frame};
use udp::{RecvBatch, Socket};
use wire::{Ecn, Path};

use super::Counts;
use super::pace::Pace;
use super::slab::SendSlab;
use super::sockets::{Bound, connect, listen};
use super::stream::{Got, MAX_OUTPUT, Role};
use super::streams::{Out, PATIENCE, Streams, path_of};
use crate::addresses::all_addresses;

mod relay;

use relay::{Ports, Relay, RelaySocket, of_socket};

pub(super) const WAKER: Token = Token(usize::MAX);
/// What a token is of, above the number.
const KIND: usize = 0xf << 28;
const CLIENT_SOCKETS: usize = 0;
const LISTENERS: usize = 1 << 28;
const RELAYS: usize = 2 << 28;
pub(super) const STREAMS: usize = 3 << 28;

/// Batches that one socket may bring before the others have their turn.
const BATCHES_PER_TURN: usize = 4;
/// ICMP errors that are read of one relay socket before others have their turn.
const ERRORS_PER_TURN: usize = 32;
/// Connections that are accepted before others have their turn.
const ACCEPTS_PER_TURN: usize = 16;
/// Reads of one connection before others have their turn.
const READS_PER_TURN: usize = 4;
/// Reads of connections that are in a TLS handshake, in a turn: a signature takes up to a millisecond.
const HANDSHAKES_PER_TURN: usize = 8;
/// How long a connection that ends is not read after each read of 64 KiB: what comes is of use to nobody.
const ENDING_PAUSE: Duration = Duration::from_millis(50);
/// Messages that connections may bring in a turn, and what is read at once with the last of them: they can be short,
/// and UDP waits meanwhile.
const FRAMES_PER_TURN: usize = 8 << 10;
/// What the kernel is asked to hold for a relay socket, in each direction: half a second of 4 Mbit/s.
const RELAY_BUFFER: usize = 256 << 10;
/// How often idle connections are looked for and counters are told.
const TICK: Duration = Duration::from_secs(1);
/// The longest time without a look at the system's clock and addresses.
const CLOCK: Duration = Duration::from_secs(60);

pub(super) const fn from_client_socket(index: usize) -> usize {
    CLIENT_SOCKETS | index
}

pub(super) const fn from_relay(relay: RelayId) -> usize {
    RELAYS | relay.index()
}

/// The loop: receives, lets the engine work, does what it wants, sends.
pub(super) struct Thread {
    poll: Poll,
    engine: Server,
    sockets: Vec<Socket>,
    listeners: Vec<(TcpListener, bool)>,
    relays: Vec<Option<Relay>>,
    out: Out,
    tls: Option<Arc<ServerConfig>>,
    closing: Arc<AtomicBool>,
    counts: Arc<Mutex<Counts>>,
    /// Sockets and listeners that may have more to read, each once.
    ready: VecDeque<Token>,
    /// Connections that may have more to read, each once: they are read when the others have been, and not all in each
    /// turn.
    unread: VecDeque<Token>,
    queued: HashSet<Token>,
    /// Messages that connections have brought in this turn.
    frames: usize,
    /// Reads of connections in a handshake in this turn.
    handshakes: usize,
    /// Listeners at which accepting has failed.
    unaccepted: HashSet<Token>,
    /// Spliced connections whose allocation has relayed enough, and such that end, and when they are read again.
    slowed: BTreeSet<(Instant, usize)>,
    received: RecvBatch,
    pace: Pace,
    scratch: Vec<u8>,
    next_tick: Instant,
    clock_read: Instant,
}

impl Thread {
    pub(super) fn new(
        poll: Poll,
        bound: Bound,
        mut engine: Server,
        tls: Option<Arc<ServerConfig>>,
        closing: Arc<AtomicBool>,
        counts: Arc<Mutex<Counts>>,
    ) -> io::Result<Self> {
        let Bound {
            udp: mut sockets,
            tcp: mut listeners,
            connections,
        } = bound;
        for (index, socket) in sockets.iter_mut().enumerate() {
            poll.registry()
                .register(socket, Token(CLIENT_SOCKETS | index), Interest::READABLE)?;
        }
        for (index, (listener, _)) in listeners.iter_mut().enumerate() {
            poll.registry()
                .register(listener, Token(LISTENERS | index), Interest::READABLE)?;
        }
        let now = Instant::now();
        let addresses = all_addresses().ok_or_else(|| io::Error::other("the network interfaces cannot be listed"))?;
        engine.set_addresses(addresses);
        Ok(Self {
            poll,
            engine,
            out: Out {
                slab: SendSlab::new(),
                listening: sockets.iter().map(Socket::local_addr).collect(),
                streams: Streams::new(connections),
            },
            sockets,
            listeners,
            relays: Vec::new(),
            tls,
            closing,
            counts,
            ready: VecDeque::new(),
            unread: VecDeque::new(),
            queued: HashSet::new(),
            frames: 0,
            handshakes: 0,
            unaccepted: HashSet::new(),
            slowed: BTreeSet::new(),
            received: RecvBatch::new(),
            pace: Pace::new(now),
            scratch: vec![0; 64 << 10],
            next_tick: now + TICK,
            clock_read: now,
        })
    }

    pub(super) fn run(&mut self) {
        let mut events = Events::with_capacity(1024);
        let mut began = Instant::now();
        while !self.closing.load(Ordering::Acquire) {
            let now = Instant::now();
            let wait = if self.ready.is_empty() && self.unread.is_empty() {
                if let Some(pause) = self.pace.pause(began, now) {
                    thread::sleep(pause);
                }
                self.next_deadline().saturating_duration_since(now)
            } else {
                Duration::ZERO
            };
            match self.poll.poll(&mut events, Some(wait)) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    tracing::error!(%error, "the TURN server cannot wait for its sockets");
                    return;
                }
            }
            began = Instant::now();
            for event in &events {
                self.heard(began, event);
            }
            self.turn(began);
        }
    }

    fn next_deadline(&self) -> Instant {
        let slowed = self.slowed.first().map(|&(at, _)| at);
        let first = self.engine.poll_timeout().into_iter().chain(slowed).min();
        first.map_or(self.next_tick, |first| first.min(self.next_tick))
    }

    fn heard(&mut self, now: Instant, event: &Event) {
        let token = event.token();
        if token == WAKER {
            return;
        }
        let index = token.0 & !KIND;
        if token.0 & KIND == STREAMS && event.is_writable() {
            self.writable(now, index);
        }
        let failed = token.0 & KIND == RELAYS && event.is_error();
        if let Some(relay) = self.relays.get_mut(index).and_then(Option::as_mut).filter(|_| failed) {
            relay.failed = true;
        }
        if event.is_readable() || event.is_read_closed() || failed {
            self.queue(token);
        }
    }

    fn turn(&mut self, now: Instant) {
        (self.frames, self.handshakes) = (0, 0);
        for _ in 0..self.ready.len() {
            let Some(token) = self.ready.pop_front() else { break };
            self.serve(now, token);
        }
        for _ in 0..self.unread.len() {
            if self.frames >= FRAMES_PER_TURN {
                // Those who have not had a turn are the first in the next one.
                break;
            }
            let Some(token) = self.unread.pop_front() else { break };
            self.serve(now, token);
        }
        if self.engine.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.engine.handle_timeout(now, &mut self.out);
            self.act(now);
        }
        self.resume_slowed(now);
        if now >= self.next_tick {
            self.tick(now);
        }
        self.flush(now);
    }

    /// Reads what a token is of.
    fn serve(&mut self, now: Instant, token: Token) {
        self.queued.remove(&token);
        let index = token.0 & !KIND;
        let more = match token.0 & KIND {
            CLIENT_SOCKETS => self.receive_from_clients(now, index),
            LISTENERS => self.accept(now, index),
            RELAYS => {
                let more = self.receive_errors(now, index);
                self.receive_from_peers(now, index) || more
            }
            _ => self.read(now, index),
        };
        if more {
            self.queue(token);
        }
    }

    fn receive_from_clients(&mut self, now: Instant, index: usize) -> bool {
        for _ in 0..BATCHES_PER_TURN {
            let Some(socket) = self.sockets.get_mut(index) else {
                return false;
            };
            if !socket.receive(&mut self.received) {
                return false;
            }
            self.pace.count(self.received.len());
            for datagram in self.received.datagrams() {
                self.engine
                    .handle_datagram(now, &datagram.path, datagram.ecn, datagram.data, &mut self.out);
                self.out.slab.make_room(&mut Ports {
                    sockets: &mut self.sockets,
                    relays: &mut self.relays,
                });
            }
            self.act(now);
            if !self.received.is_full() {
                return false;
            }
        }
        true
    }

    fn accept(&mut self, now: Instant, index: usize) -> bool {
        for _ in 0..ACCEPTS_PER_TURN {
            let Some((listener, secure)) = self.listeners.get(index) else {
                return false;
            };
            match listener.accept() {
                Ok((io, _)) => {
                    let tls = self.tls.clone().filter(|_| *secure);
                    // The one before from there is over, which a connection that is not read has not told.
                    if let Some(before) = path_of(&io).and_then(|path| self.out.streams.by_path(&path)) {
                        self.ended(now, before);
                    }
                    let added = self.out.streams.add_client(self.poll.registry(), io, tls, now);
                    self.out.streams.counters.turn_streams_closed += u64::from(added.is_none());
                }
                Err(error) => return self.accept_later(Token(LISTENERS | index), &error),
            }
        }
        true
    }

    /// What an error of accepting comes to: true when the next one may be accepted at once. Without descriptors it is
    /// tried again at the next tick, since no event tells of those who wait already.
    fn accept_later(&mut self, listener: Token, error: &io::Error) -> bool {
        match error.kind() {
            ErrorKind::WouldBlock => false,
            ErrorKind::Interrupted | ErrorKind::ConnectionAborted => true,
            _ => {
                self.unaccepted.insert(listener);
                false
            }
        }
    }

    fn accept_from_peers(&mut self, now: Instant, index: usize) -> bool {
        for _ in 0..ACCEPTS_PER_TURN {
            let Some(Relay {
                id,
                socket: RelaySocket::Tcp(listener),
                ..
            }) = self.relays.get(index).and_then(Option::as_ref)
            else {
                return false;
            };
            let (io, peer) = match listener.accept() {
                Ok(accepted) => accepted,
                Err(error) => return self.accept_later(Token(RELAYS | index), &error),
            };
            if let Some(connection) = self.engine.handle_accepted(now, *id, peer, &mut self.out) {
                let role = Role::Peer(connection, None);
                let added = self
                    .out
                    .streams
                    .add_peer(self.poll.registry(), io, role, connection, now);
                if added.is_none() {
                    self.engine.handle_peer_closed(connection, &mut self.out);
                    self.act(now);
                }
            }
        }
        true
    }

    /// Reads a connection. True when there may be more.
    fn read(&mut self, now: Instant, index: usize) -> bool {
        for _ in 0..READS_PER_TURN {
            if self.frames >= FRAMES_PER_TURN {
                return true;
            }
            let Some(stream) = self.out.streams.get_mut(index) else {
                return false;
            };
            if stream.is_handshaking() {
                if self.handshakes >= HANDSHAKES_PER_TURN {
                    return true;
                }
                self.handshakes += 1;
            }
            match stream.role {
                // Only whether it is open is of interest.
                Role::Opening(_) => return false,
                // Is read once somebody wants it; what has nothing to say any more nobody will.
                Role::Peer(_, None) => {
                    if stream.has_hung_up() {
                        self.ended(now, index);
                    }
                    return false;
                }
                Role::Ending => {
                    self.read_ending(now, index);
                    return false;
                }
                Role::Spliced(..) | Role::Peer(_, Some(_)) if stream.paused || stream.resumes.is_some() => {
                    return false;
                }
                _ => {}
            }
            let got = stream.read(&mut self.scratch);
            // A handshake may have made something to send.
            self.out.streams.mark(index);
            match got {
                Got::Blocked => return false,
                Got::End => {
                    self.ended(now, index);
                    return false;
                }
                Got::More => self.work(now, index),
            }
        }
        true
    }

    /// Reads from a connection that ends only to see that the other side has ended too.
    fn read_ending(&mut self, now: Instant, index: usize) {
        let Some(stream) = self.out.streams.get_mut(index) else {
            return;
        };
        if stream.resumes.is_some() {
            return;
        }
        let got = stream.read(&mut self.scratch);
        let bytes = stream.input.len() as u64;
        stream.input.clear();
        if got == Got::More {
            let at = now + ENDING_PAUSE;
            stream.resumes = Some(at);
            self.slowed.insert((at, index));
        }
        self.out.streams.counters.turn_ending_bytes += bytes;
        if got == Got::End {
            self.out.streams.remove(self.poll.registry(), index);
        }
    }

    /// Works on what was read.
    fn work(&mut self, now: Instant, index: usize) {
        let Some(stream) = self.out.streams.get_mut(index) else {
            return;
        };
        match stream.role {
            Role::Client(path) => self.work_on_frames(now, index, &path),
            Role::Spliced(_, other) => {
                let peer = self.out.streams.get_mut(other).map(|stream| stream.role);
                if let Some(Role::Peer(connection, _)) = peer {
                    self.hand_on(now, index, other, connection, Towards::Peer);
                }
            }
            Role::Peer(connection, Some(other)) => self.hand_on(now, index, other, connection, Towards::Client),
            _ => {}
        }
    }

    /// Hands what was read on to the other end of a splice.
    fn hand_on(&mut self, now: Instant, index: usize, other: usize, connection: ConnectionId, towards: Towards) {
        let Some(stream) = self.out.streams.get_mut(index) else {
            return;
        };
        let input = std::mem::take(&mut stream.input);
        let room = self.out.streams.splice(other, &input);
        let resumes = self.engine.handle_spliced(now, connection, towards, input.len());
        if let Some(stream) = self.out.streams.get_mut(index) {
            stream.paused = !room;
            stream.resumes = resumes;
            stream.input = input;
            stream.input.clear();
            self.slowed.extend(resumes.map(|at| (at, index)));
        }
    }

    /// Reads those again whose time has come.
    fn resume_slowed(&mut self, now: Instant) {
        while let Some(&(at, index)) = self.slowed.first().filter(|(at, _)| *at <= now) {
            self.slowed.pop_first();
            if let Some(stream) = self.out.streams.get_mut(index)
                && stream.resumes == Some(at)
            {
                stream.resumes = None;
                self.queue(Token(STREAMS | index));
            }
        }
    }

    fn work_on_frames(&mut self, now: Instant, index: usize, path: &Path) {
        let Some(stream) = self.out.streams.get_mut(index) else {
            return;
        };
        let mut input = std::mem::take(&mut stream.input);
        let mut at = 0;
        let mut broken = false;
        loop {
            let rest = input.get(at..).unwrap_or_default();
            let len = match next_frame(rest) {
                Ok(Some(len)) => len,
                Ok(None) => break,
                Err(_) => {
                    broken = true;
                    break;
                }
            };
            let Some(frame) = rest.get(..len) else { break };
            self.engine
                .handle_datagram(now, path, Ecn::NotEct, frame, &mut self.out);
            at += len;
            self.frames += 1;
            self.make_room();
            self.act(now);
            if self.out.streams.get_mut(index).is_some_and(|stream| stream.stranger) && self.engine.is_in_use(path) {
                self.out.streams.recognize(index);
            }
            let role = self.out.streams.get_mut(index).map(|stream| stream.role);
            if role != Some(Role::Client(*path)) {
                // It is spliced from here on, or gone.
                break;
            }
        }
        input.drain(..at);
        if let Some(stream) = self.out.streams.get_mut(index) {
            stream.input = input;
            if !matches!(stream.role, Role::Client(_)) && !stream.input.is_empty() {
                self.work(now, index);
            }
        }
        if broken {
            self.out.streams.counters.turn_streams_closed += 1;
            self.ended(now, index);
        }
    }

    /// A connection can be written to again, or for the first time.
    fn writable(&mut self, now: Instant, index: usize) {
        let Some(stream) = self.out.streams.get_mut(index) else {
            return;
        };
        if let Role::Opening(connection) = stream.role {
            let failed = stream.io.take_error().map_or(true, |error| error.is_some());
            match stream.io.peer_addr() {
                Err(error) if !failed && error.kind() == ErrorKind::NotConnected => return,
                Ok(_) if !failed => stream.role = Role::Peer(connection, None),
                _ => {}
            }
            let open = matches!(stream.role, Role::Peer(..));
            self.engine.handle_connected(now, connection, open, &mut self.out);
            self.act(now);
            // It may have hung up already, which is told once.
            self.queue(Token(STREAMS | index));
            return;
        }
        self.flush_stream(now, index);
    }

    fn flush_stream(&mut self, now: Instant, index: usize) {
        let Some(stream) = self.out.streams.get_mut(index) else {
            return;
        };
        if stream.flush(now).is_err() {
            self.ended(now, index);
            return;
        }
        let (waiting, role) = (stream.waiting(), stream.role);
        match role {
            Role::Spliced(_, other) | Role::Peer(_, Some(other)) if waiting < MAX_OUTPUT / 2 => self.resume(other),
            _ => {}
        }
    }

    /// Lets a connection be read again whose other end was full.
    fn resume(&mut self, index: usize) {
        if let Some(stream) = self.out.streams.get_mut(index)
            && stream.paused
        {
            stream.paused = false;
            self.queue(Token(STREAMS | index));
        }
    }

    fn queue(&mut self, token: Token) {
        if self.queued.insert(token) {
            let queue = if token.0 & KIND == STREAMS {
                &mut self.unread
            } else {
                &mut self.ready
            };
            queue.push_back(token);
        }
    }

    /// A connection has ended or is of no use. It is taken away before the engine hears of it: else it would be one of
    /// two that its splice has end, in a place that another needs.
    fn ended(&mut self, now: Instant, index: usize) {
        let Some(role) = self.out.streams.get_mut(index).map(|stream| stream.role) else {
            return;
        };
        if let Role::Spliced(_, other) | Role::Peer(_, Some(other)) = role {
            self.end(now, other);
        }
        self.out.streams.remove(self.poll.registry(), index);
        match role {
            Role::Client(path) | Role::Spliced(path, _) => self.engine.handle_disconnected(&path),
            Role::Opening(connection) | Role::Peer(connection, _) => {
                self.engine.handle_peer_closed(connection, &mut self.out);
            }
            Role::Ending => return,
        }
        self.act(now);
    }

    /// Ends a connection when what waits is sent.
    fn end(&mut self, now: Instant, index: usize) {
        self.out.streams.end(self.poll.registry(), index, now);
        // What is unread is dropped.
        self.queue(Token(STREAMS | index));
    }

    /// Does what the engine wants.
    fn act(&mut self, now: Instant) {
        while let Some(action) = self.engine.poll_action() {
            match action {
                ServerAction::Bind { relay, address } => {
                    let socket = Socket::bind_with_buffers(address, RELAY_BUFFER).map(|mut socket| {
                        // Without them it relays as well.
                        let _ = socket.report_icmp();
                        RelaySocket::Udp(Box::new(socket))
                    });
                    self.bound(now, relay, socket);
                }
                ServerAction::Listen { relay, address } => {
                    let listener =
                        listen(address, true).map(|listener| RelaySocket::Tcp(TcpListener::from_std(listener)));
                    self.bound(now, relay, listener);
                }
                ServerAction::Close { relay } => {
                    // What was still to leave leaves before.
                    self.flush_slab();
                    let place = self.relays.get_mut(relay.index());
                    if let Some(mut closed) = place.and_then(|place| place.take_if(|known| known.id == relay)) {
                        self.out.streams.counters.absorb(&closed.news());
                    }
                }
                ServerAction::Connect { connection, from, to } => {
                    let opened = connect(from, to).ok().and_then(|io| {
                        let role = Role::Opening(connection);
                        self.out
                            .streams
                            .add_peer(self.poll.registry(), io, role, connection, now)
                    });
                    if opened.is_none() {
                        self.engine.handle_connected(now, connection, false, &mut self.out);
                    }
                }
                ServerAction::Splice { connection, client } => self.splice(connection, &client),
                ServerAction::Disconnect { connection } => self.disconnect(now, connection),
            }
        }
    }

    fn bound(&mut self, now: Instant, relay: RelayId, socket: io::Result<RelaySocket>) {
        let token = Token(from_relay(relay));
        let registered = socket.and_then(|mut socket| {
            match &mut socket {
                RelaySocket::Udp(socket) => self
                    .poll
                    .registry()
                    .register(&mut **socket, token, Interest::READABLE)?,
                RelaySocket::Tcp(listener) => self.poll.registry().register(listener, token, Interest::READABLE)?,
            }
            Ok(socket)
        });
        let bound = match registered {
            Ok(socket) => {
                if self.relays.len() <= relay.index() {
                    self.relays.resize_with(relay.index() + 1, || None);
                }
                if let Some(place) = self.relays.get_mut(relay.index()) {
                    *place = Some(Relay {
                        id: relay,
                        socket,
                        failed: false,
                        told: udp::Counters::default(),
                    });
                }
                true
            }
            Err(error) => {
                tracing::debug!(%error, "a relay port cannot be bound");
                false
            }
        };
        self.engine.handle_bound(now, relay, bound, &mut self.out);
        // Many may be bound in one turn.
        self.make_room();
    }

    fn splice(&mut self, connection: ConnectionId, client: &Path) {
        let streams = &mut self.out.streams;
        let (Some(client_index), Some(peer_index)) = (streams.by_path(client), streams.by_connection(connection))
        else {
            return;
        };
        if let Some(stream) = streams.get_mut(client_index) {
            stream.role = Role::Spliced(*client, peer_index);
        }
        if let Some(stream) = streams.get_mut(peer_index) {
            stream.role = Role::Peer(connection, Some(client_index));
        }
        // What came meanwhile was left in the kernel (RFC 6062 §5.4).
        self.queue(Token(STREAMS | peer_index));
    }

    fn disconnect(&mut self, now: Instant, connection: ConnectionId) {
        let Some(index) = self.out.streams.by_connection(connection) else {
            return;
        };
        match self.out.streams.get_mut(index).map(|stream| stream.role) {
            Some(Role::Peer(_, other)) => {
                self.end(now, index);
                if let Some(other) = other {
                    self.end(now, other);
                }
            }
            // Nobody is there to whom something could be sent.
            _ => self.out.streams.remove(self.poll.registry(), index),
        }
    }

    fn tick(&mut self, now: Instant) {
        self.next_tick = now + TICK;
        if now.saturating_duration_since(self.clock_read) > CLOCK {
            self.clock_read = now;
            let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            self.engine.set_unix_time(now, unix);
            // Each is a question to the system.
            for relay in self.relays.iter_mut().flatten() {
                self.out.streams.counters.absorb(&relay.news());
            }
            // Addresses come and go, above all those of IPv6.
            // Those of the last time are the machine's still if the system does not tell now.
            if let Some(addresses) = all_addresses() {
                self.engine.set_addresses(addresses);
            }
        }
        for index in self.out.streams.indices() {
            let Some(stream) = self.out.streams.get_mut(index) else {
                continue;
            };
            let old = now.saturating_duration_since(stream.opened) > PATIENCE;
            let over = match stream.role {
                Role::Client(path) => old && !self.engine.is_in_use(&path),
                Role::Ending => old,
                _ => false,
            };
            if over || stream.is_stalled(now) {
                self.out.streams.counters.turn_streams_closed += 1;
                self.ended(now, index);
            }
        }
        for listener in std::mem::take(&mut self.unaccepted) {
            self.queue(listener);
        }
        self.tell(now);
    }

    /// Lets others read the counters.
    fn tell(&self, now: Instant) {
        let mut driver = self.out.streams.counters;
        driver.turn_send_dropped = self.out.slab.dropped;
        for socket in &self.sockets {
            driver.absorb(&of_socket(&socket.counters(), &udp::Counters::default()));
        }
        let mut counts: Counts = self
            .engine
            .counters()
            .iter()
            .chain(self.engine.traffic().iter())
            .collect();
        counts.extend(driver.iter());
        counts.push(("turn_live_allocations", self.engine.allocations(now).count() as u64));
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner) = counts;
    }

    fn flush(&mut self, now: Instant) {
        self.flush_slab();
        while let Some(index) = self.out.streams.next_dirty() {
            self.flush_stream(now, index);
        }
    }

    fn flush_slab(&mut self) {
        self.out.slab.flush(&mut Ports {
            sockets: &mut self.sockets,
            relays: &mut self.relays,
        });
    }

    fn make_room(&mut self) {
        self.out.slab.make_room(&mut Ports {
            sockets: &mut self.sockets,
            relays: &mut self.relays,
        });
    }
}

#[cfg(test)]
mod tests;
