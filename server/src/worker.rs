use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token, Waker};
use tokio::sync::{mpsc, oneshot};
use udp::{RecvBatch, SendBatch, Sent, Socket};
use wire::{CounterSet, Protocol};

use crate::engine::{
    Engine, Handshake, Join, Other, ParticipantId, Picture, Reason, Refusal, RefusalKind, SourceInfo, View,
};
use crate::protocol::{OfferId, ServerMessage};
use crate::roll::{Present, Roll};
use crate::tcp::Connections;
use crate::{DisplayName, Secret};

/// Commands that may wait for a worker. Signalling is told "busy" beyond.
const MAX_COMMANDS: usize = 1024;
/// Bytes that they may hold: the longest offers of a hundred clients.
const MAX_QUEUED: usize = 32 << 20;
/// Commands carried out in one turn of the loop: an offer costs as much as hundreds of packets.
const COMMANDS_PER_TURN: usize = 16;
/// Times that the slab is filled and sent in one turn.
const FLUSHES_PER_TURN: usize = 8;
/// Bytes that are written before they are sent: large enough for hundreds of runs, small enough for a core's cache.
const SLAB: usize = 1 << 20;
/// Messages that leave in one system call.
const BATCH: usize = 256;
/// The shortest wait while a socket is full.
const BLOCKED_WAIT: Duration = Duration::from_millis(10);
/// How long a stopping worker tries to get its goodbyes out.
const GOODBYE: Duration = Duration::from_millis(500);

const WAKER: Token = Token(usize::MAX);

/// What signalling wants of a worker.
#[derive(Debug)]
pub(crate) enum Command {
    Join {
        room: String,
        join: Join,
        /// By which it may come back.
        session: Option<Secret>,
        outbox: Outbox,
        reply: oneshot::Sender<Result<(ParticipantId, Vec<Other>), Refusal>>,
    },
    Resume {
        room: String,
        session: Secret,
        /// By which it may come back the next time.
        renewed: Secret,
        outbox: Outbox,
        reply: oneshot::Sender<Result<Resumed, Refusal>>,
    },
    /// Who has come back knows its new session.
    Confirm {
        participant: ParticipantId,
        session: Secret,
    },
    Offer {
        participant: ParticipantId,
        sdp: String,
        answer: AnswerTo,
    },
    Candidate {
        participant: ParticipantId,
        mid: Option<String>,
        candidate: String,
    },
    Fragment {
        participant: ParticipantId,
        fragment: String,
        reply: oneshot::Sender<Result<Option<String>, Refusal>>,
    },
    Sources {
        participant: ParticipantId,
        sources: Vec<SourceInfo>,
    },
    Mute {
        participant: ParticipantId,
        mid: String,
        muted: bool,
    },
    View {
        participant: ParticipantId,
        view: View,
    },
    /// Has no effect on who goes on with another session.
    Leave {
        participant: ParticipantId,
        session: Option<Secret>,
        reason: Reason,
    },
    /// Sends somebody away, or everybody in the room.
    Dismiss {
        room: String,
        participant: Option<ParticipantId>,
        /// How many that were.
        reply: oneshot::Sender<usize>,
    },
    /// Who is there, room by room.
    Rooms {
        reply: oneshot::Sender<BTreeMap<String, Vec<Present>>>,
    },
    Report {
        reply: oneshot::Sender<Report>,
    },
    /// Only to be answered.
    Ping {
        reply: oneshot::Sender<()>,
    },
}

impl Command {
    /// Roughly the bytes that it holds on to.
    fn weight(&self) -> usize {
        let text = match self {
            Self::Offer { sdp, .. } => sdp.len(),
            Self::Candidate { mid, candidate, .. } => mid.as_ref().map_or(0, String::len) + candidate.len(),
            Self::Fragment { fragment, .. } => fragment.len(),
            Self::Sources { sources, .. } => sources
                .iter()
                .map(|source| size_of::<SourceInfo>() + source.mid.len())
                .sum(),
            Self::Mute { mid, .. } => mid.len(),
            Self::View { view, .. } => {
                view.pinned.len() * size_of::<ParticipantId>() + view.pictures.len() * size_of::<Picture>()
            }
            Self::Resume { session, .. } | Self::Confirm { session, .. } => session.length(),
            Self::Dismiss { room, .. } => room.len(),
            Self::Join { .. } | Self::Leave { .. } | Self::Rooms { .. } | Self::Report { .. } | Self::Ping { .. } => 0,
        };
        size_of::<Self>() + text
    }
}

/// A command in the queue, which weighs on it for as long as it is there.
struct Queued {
    command: Command,
    weight: usize,
}

/// Where the answer to an offer goes.
#[derive(Debug)]
pub(crate) enum AnswerTo {
    /// Among the participant's other messages, in order with them.
    Outbox(Option<OfferId>),
    /// To who asked.
    Caller(oneshot::Sender<Result<String, Refusal>>),
}

/// Where a participant's messages go. It holds so many; who reads slower is let go.
#[derive(Debug)]
pub(crate) struct Outbox(mpsc::Sender<ServerMessage>);

impl Outbox {
    pub(crate) fn new(capacity: usize) -> (Self, mpsc::Receiver<ServerMessage>) {
        let (sender, receiver) = mpsc::channel(capacity);
        (Self(sender), receiver)
    }

    /// Puts a message in.
    ///
    /// # Errors
    /// There is no room for it, or nobody to read it.
    pub(crate) fn put(&self, message: ServerMessage) -> Result<(), Reason> {
        self.0.try_send(message).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Reason::SlowReader,
            mpsc::error::TrySendError::Closed(_) => Reason::Closed,
        })
    }
}

/// Somebody who has come back.
#[derive(Debug)]
pub(crate) struct Resumed {
    pub(crate) participant: ParticipantId,
    pub(crate) name: DisplayName,
    pub(crate) others: Vec<Other>,
    /// Whether its media flows.
    pub(crate) connected: bool,
}

/// What a worker counted.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) counters: Vec<(&'static str, u64)>,
    pub(crate) handshakes: Vec<(Handshake, u64)>,
    pub(crate) participants: usize,
    pub(crate) speaking: usize,
}

/// A worker thread, as signalling sees it.
pub(crate) struct WorkerHandle {
    commands: SyncSender<Queued>,
    /// What the commands in the queue weigh.
    queued: Arc<AtomicUsize>,
    waker: Arc<Waker>,
    closing: Arc<AtomicBool>,
}

/// Why a worker takes no command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unavailable {
    /// Its queue is full.
    Busy,
    /// It has stopped.
    Stopped,
}

impl WorkerHandle {
    /// Queues a command. A refused one comes back.
    pub(crate) fn send(&self, command: Command) -> Result<(), (Unavailable, Command)> {
        let weight = command.weight();
        if self.queued.fetch_add(weight, Ordering::Relaxed) + weight > MAX_QUEUED {
            self.queued.fetch_sub(weight, Ordering::Relaxed);
            return Err((Unavailable::Busy, command));
        }
        self.commands.try_send(Queued { command, weight }).map_err(|error| {
            self.queued.fetch_sub(weight, Ordering::Relaxed);
            match error {
                TrySendError::Full(queued) => (Unavailable::Busy, queued.command),
                TrySendError::Disconnected(queued) => (Unavailable::Stopped, queued.command),
            }
        })?;
        self.wake();
        Ok(())
    }

    /// Lets the worker say goodbye to everybody and stop.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            tracing::error!(%error, "a worker cannot be woken");
        }
    }
}

impl fmt::Debug for WorkerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerHandle").finish_non_exhaustive()
    }
}

/// What a worker receives media by.
pub(crate) struct Media {
    pub(crate) udp: Vec<Socket>,
    pub(crate) tcp: Vec<TcpListener>,
    /// TCP connections at most.
    pub(crate) connections: usize,
}

/// Starts a worker thread on sockets. The engine is made in the thread, where it stays. `stopped` is called when the
/// thread ends, for whatever reason.
pub(crate) fn start<E: Engine>(
    name: String,
    media: Media,
    engine: impl FnOnce(Instant) -> E + Send + 'static,
    stopped: impl FnOnce() + Send + 'static,
) -> io::Result<(WorkerHandle, JoinHandle<()>)> {
    let poll = Poll::new()?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
    let closing = Arc::new(AtomicBool::new(false));
    let (commands, queue) = sync_channel(MAX_COMMANDS);
    let mut ports = Vec::new();
    for (index, mut socket) in media.udp.into_iter().enumerate() {
        poll.registry()
            .register(&mut socket, Token(index), Interest::READABLE)?;
        ports.push(socket);
    }
    let tcp = Connections::new(poll.registry(), media.tcp, media.connections)?;
    let queued = Arc::new(AtomicUsize::new(0));
    let handle = WorkerHandle {
        commands,
        queued: queued.clone(),
        waker,
        closing: closing.clone(),
    };
    let thread = std::thread::Builder::new().name(name).spawn(move || {
        let _stopped = OnDrop(Some(stopped));
        // What `sendmmsg` is given holds pointers, so these are made where they stay.
        let ports = ports.into_iter().map(Port::new).collect();
        Worker::new(poll, ports, tcp, queue, queued, closing, engine(Instant::now())).run();
    })?;
    Ok((handle, thread))
}

pub(crate) struct OnDrop<F: FnOnce()>(pub(crate) Option<F>);

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(f) = self.0.take() {
            f();
        }
    }
}

/// A socket and what is on its way out of it.
struct Port {
    socket: Socket,
    batch: SendBatch,
    readable: bool,
    /// Its send buffer is full.
    blocked: bool,
    /// We have asked to be told when that is over.
    awaited: bool,
}

impl Port {
    fn new(socket: Socket) -> Self {
        Self {
            socket,
            batch: SendBatch::new(BATCH),
            // What came before the thread started is worth a look.
            readable: true,
            blocked: false,
            awaited: false,
        }
    }
}

struct Worker<E> {
    poll: Poll,
    ports: Vec<Port>,
    tcp: Connections,
    queue: Receiver<Queued>,
    queued: Arc<AtomicUsize>,
    closing: Arc<AtomicBool>,
    engine: E,
    roll: Roll,
    /// Sessions that were resumed.
    resumed: u64,
    received: RecvBatch,
    slab: Box<[u8]>,
}

impl<E: Engine> Worker<E> {
    fn new(
        poll: Poll,
        ports: Vec<Port>,
        tcp: Connections,
        queue: Receiver<Queued>,
        queued: Arc<AtomicUsize>,
        closing: Arc<AtomicBool>,
        engine: E,
    ) -> Self {
        Self {
            poll,
            ports,
            tcp,
            queue,
            queued,
            closing,
            engine,
            roll: Roll::default(),
            resumed: 0,
            received: RecvBatch::new(),
            slab: vec![0; SLAB].into_boxed_slice(),
        }
    }

    fn run(mut self) {
        let mut events = Events::with_capacity(64);
        let mut commands_wait = true;
        let mut unfinished = true;
        while !self.closing.load(Ordering::Acquire) {
            let timeout = if unfinished {
                Some(Duration::ZERO)
            } else {
                self.timeout()
            };
            if let Err(error) = self.poll.poll(&mut events, timeout) {
                if error.kind() == io::ErrorKind::Interrupted {
                    continue;
                }
                tracing::error!(%error, "waiting for the network failed; the worker stops");
                break;
            }
            for event in &events {
                if event.token() == WAKER {
                    commands_wait = true;
                } else if let Some(port) = self.ports.get_mut(event.token().0) {
                    port.readable |= event.is_readable() || event.is_error();
                    port.blocked &= !event.is_writable();
                } else {
                    self.tcp.handle_event(event);
                }
            }
            // One look at the clock per turn: a turn is bounded, so it is never far off.
            let now = Instant::now();
            if commands_wait {
                commands_wait = self.carry_out_commands(now);
            }
            let more_to_read = self.receive(now) | self.tcp.turn(now, self.poll.registry(), &mut self.engine);
            self.engine.handle_timeout(now);
            // What a client is told of its slots precedes the packets that it explains.
            self.deliver(now);
            let more_to_send = self.transmit(now);
            self.deliver(now);
            unfinished = commands_wait || more_to_read || more_to_send;
        }
        self.say_goodbye();
    }

    fn timeout(&self) -> Option<Duration> {
        let timeout = self
            .engine
            .poll_timeout()
            .map(|at| at.saturating_duration_since(Instant::now()));
        // An engine that cannot send may stay due. The end of the wait is told by mio.
        let blocked = self.ports.iter().any(|port| port.blocked);
        let timeout = if blocked {
            timeout.map(|timeout| timeout.max(BLOCKED_WAIT))
        } else {
            timeout
        };
        let tcp = self.tcp.due().map(|at| at.saturating_duration_since(Instant::now()));
        timeout.into_iter().chain(tcp).min()
    }

    /// True when there may be more.
    fn carry_out_commands(&mut self, now: Instant) -> bool {
        for _ in 0..COMMANDS_PER_TURN {
            let Ok(Queued { command, weight }) = self.queue.try_recv() else {
                return false;
            };
            self.queued.fetch_sub(weight, Ordering::Relaxed);
            self.carry_out(now, command);
            self.deliver(now);
        }
        true
    }

    fn carry_out(&mut self, now: Instant, command: Command) {
        match command {
            Command::Join {
                room,
                join,
                session,
                outbox,
                reply,
            } => {
                let joined = self.engine.join(now, &room, join.clone());
                let joined = joined.map(|participant| (participant, self.engine.others(participant)));
                let id = joined.as_ref().ok().map(|(participant, _)| *participant);
                // Who asked may have gone while the command waited.
                match (id, reply.send(joined)) {
                    (Some(id), Ok(())) => self.roll.add(id, room, join, session, outbox),
                    (Some(id), Err(_)) => self.engine.leave(now, id, Reason::Closed),
                    (None, _) => {}
                }
            }
            Command::Resume {
                room,
                session,
                renewed,
                outbox,
                reply,
            } => self.resume(now, &room, &session, renewed, outbox, reply),
            Command::Confirm { participant, session } => self.roll.confirm(participant, &session),
            Command::Offer {
                participant,
                sdp,
                answer,
            } => {
                let result = self.engine.offer(now, participant, &sdp);
                match (answer, result) {
                    (AnswerTo::Caller(reply), result) => drop(reply.send(result)),
                    (AnswerTo::Outbox(id), Ok(sdp)) => self.tell(now, participant, ServerMessage::Answer { id, sdp }),
                    (AnswerTo::Outbox(id), Err(refusal)) => {
                        self.tell(now, participant, refused("offer-refused", "offer", id, refusal));
                    }
                }
            }
            Command::Candidate {
                participant,
                mid,
                candidate,
            } => {
                if let Err(refusal) = self.engine.candidate(now, participant, mid.as_deref(), &candidate) {
                    self.tell(
                        now,
                        participant,
                        refused("candidate-refused", "candidate", None, refusal),
                    );
                }
            }
            Command::Fragment {
                participant,
                fragment,
                reply,
            } => drop(reply.send(self.engine.fragment(now, participant, &fragment))),
            // Who is gone is being told so already.
            Command::Sources { participant, sources } => drop(self.engine.set_sources(now, participant, sources)),
            Command::Mute {
                participant,
                mid,
                muted,
            } => drop(self.engine.set_muted(now, participant, &mid, muted)),
            Command::View { participant, view } => drop(self.engine.set_view(now, participant, view)),
            Command::Leave {
                participant,
                session,
                reason,
            } => {
                if self.roll.is_here(participant, session.as_ref()) {
                    // First, as who leaves need not be told.
                    self.roll.remove(participant);
                    self.engine.leave(now, participant, reason);
                }
            }
            Command::Dismiss {
                room,
                participant,
                reply,
            } => drop(reply.send(self.dismiss(now, &room, participant))),
            Command::Rooms { reply } => drop(reply.send(self.roll.rooms())),
            Command::Report { reply } => drop(reply.send(self.report())),
            Command::Ping { reply } => drop(reply.send(())),
        }
    }

    /// Lets somebody go on over another connection: all that it may have missed is told again there.
    fn resume(
        &mut self,
        now: Instant,
        room: &str,
        session: &Secret,
        renewed: Secret,
        outbox: Outbox,
        reply: oneshot::Sender<Result<Resumed, Refusal>>,
    ) {
        let Some((participant, name)) = self.roll.find(room, session) else {
            let refusal = Refusal {
                kind: RefusalKind::Unknown,
                message: "There is no such session (any more): join again.".into(),
            };
            return drop(reply.send(Err(refusal)));
        };
        let others = self.engine.others(participant);
        let connections = self.roll.connections(participant, &others);
        let resumed = Resumed {
            participant,
            name,
            others,
            connected: self.roll.is_connected(participant),
        };
        // Who asked may have gone while the command waited, and may still come back.
        if reply.send(Ok(resumed)).is_err() {
            return;
        }
        self.resumed += 1;
        self.roll.hand_over(participant, session, renewed, outbox);
        // Who is gone is being told so already.
        drop(self.engine.tell_again(participant));
        self.deliver(now);
        for message in connections {
            self.tell(now, participant, message);
        }
    }

    /// Sends one in a room away, or everybody. How many that were.
    fn dismiss(&mut self, now: Instant, room: &str, participant: Option<ParticipantId>) -> usize {
        let reason = match participant {
            Some(_) => Reason::Kicked,
            None => Reason::RoomClosed,
        };
        let mut guests = self.roll.in_room(room);
        guests.retain(|guest| participant.is_none_or(|participant| participant == *guest));
        // First, so that nobody is told of everybody who leaves before: in a large room that is more than an outbox
        // holds.
        for guest in &guests {
            self.tell(now, *guest, ServerMessage::bye(reason));
        }
        for guest in &guests {
            self.engine.leave(now, *guest, reason);
        }
        guests.len()
    }

    /// One batch per socket. True when there may be more.
    fn receive(&mut self, now: Instant) -> bool {
        let mut more = false;
        for port in self.ports.iter_mut().filter(|port| port.readable) {
            port.readable = port.socket.receive(&mut self.received) && self.received.is_full();
            more |= port.readable;
            for datagram in self.received.datagrams() {
                self.engine
                    .handle_datagram(now, &datagram.path, datagram.ecn, datagram.data);
            }
        }
        more
    }

    /// Fills the slab and sends it, until the engine has nothing more to send or a socket is full. True when there may
    /// be more that could be sent now.
    fn transmit(&mut self, now: Instant) -> bool {
        // What became writable again.
        self.tcp.flush(now, &mut self.engine);
        for _ in 0..FLUSHES_PER_TURN {
            // What is left from before lies in the slab, so that goes first; until it is gone the engine keeps, or
            // drops in its own order, what it has.
            if !self.flush() {
                return false;
            }
            // Who is told of a connection that broke may have something to send.
            let more = self.fill(now) | self.tcp.flush(now, &mut self.engine);
            if !more {
                self.flush();
                return false;
            }
        }
        true
    }

    /// True when the slab or a batch is full, so that there may be more.
    fn fill(&mut self, now: Instant) -> bool {
        let (mut used, mut framed) = (0, 0);
        while framed < SLAB && self.ports.iter().all(|port| !port.batch.is_full()) {
            let Some(room) = self.slab.get_mut(used..used + udp::MAX_MESSAGE) else {
                return true;
            };
            let Some(transmit) = self.engine.poll_transmit(now, room) else {
                return false;
            };
            if transmit.path.protocol == Protocol::Tcp {
                // Copied, so that its place in the slab is free again.
                self.tcp.queue(&transmit, room.get(..transmit.len).unwrap_or_default());
                framed += transmit.len;
                continue;
            }
            let local = transmit.path.remote.is_ipv4();
            let port = self
                .ports
                .iter_mut()
                .find(|port| port.socket.local_addr().is_ipv4() == local);
            if let Some(port) = port
                && port.batch.push(&transmit, used).is_err()
            {
                // More segments than an engine may write at once; the batch that is left takes fewer.
                tracing::error!(?transmit, "a run of datagrams is too long and was dropped");
            }
            used += transmit.len;
        }
        true
    }

    /// Sends what lies in the slab. False when some of it has to wait for a full socket.
    fn flush(&mut self) -> bool {
        let mut all = true;
        for (index, port) in self.ports.iter_mut().enumerate() {
            if port.batch.is_empty() {
                continue;
            }
            if !port.blocked {
                port.blocked = port.batch.send(&mut port.socket, &self.slab) == Sent::Blocked;
            }
            all &= !port.blocked;
            if port.blocked != port.awaited {
                // Asked for all the time, the kernel would wake us for every datagram that has left.
                let interest = if port.blocked {
                    Interest::READABLE | Interest::WRITABLE
                } else {
                    Interest::READABLE
                };
                match self
                    .poll
                    .registry()
                    .reregister(&mut port.socket, Token(index), interest)
                {
                    Ok(()) => port.awaited = port.blocked,
                    Err(error) => tracing::error!(%error, "a socket cannot be waited for"),
                }
            }
        }
        all
    }

    fn deliver(&mut self, now: Instant) {
        while let Some((participant, message)) = self.engine.poll_event() {
            self.tell(now, participant, message);
        }
    }

    fn tell(&mut self, now: Instant, participant: ParticipantId, message: ServerMessage) {
        if let Err(reason) = self.roll.tell(participant, message) {
            self.engine.leave(now, participant, reason);
        }
    }

    fn report(&self) -> Report {
        let mut report = Report {
            handshakes: self.engine.handshakes(),
            participants: self.engine.participants(),
            speaking: self.engine.speaking(),
            ..Report::default()
        };
        let mut add = |name, value| report.counters.push((name, value));
        add("sessions_resumed", self.resumed);
        self.engine.each_counter(&mut add);
        for port in &self.ports {
            port.socket.counters().each(&mut add);
            port.socket.traffic().each(&mut add);
        }
        self.tcp.counters().each(&mut add);
        report
    }

    fn say_goodbye(mut self) {
        let start = Instant::now();
        self.engine.close(start);
        self.deliver(start);
        self.roll.close();
        let mut events = Events::with_capacity(16);
        loop {
            let now = Instant::now();
            let more = self.transmit(now);
            let waits = self.ports.iter().any(|port| !port.batch.is_empty()) || self.tcp.wait();
            let left = GOODBYE.saturating_sub(now.saturating_duration_since(start));
            if left.is_zero() || !(more || waits) {
                return;
            }
            if waits && self.poll.poll(&mut events, Some(left)).is_err() {
                return;
            }
            for event in &events {
                if let Some(port) = self.ports.get_mut(event.token().0) {
                    port.blocked &= !event.is_writable();
                } else {
                    self.tcp.handle_event(event);
                }
            }
        }
    }
}

fn refused(code: &'static str, re: &'static str, id: Option<OfferId>, refusal: Refusal) -> ServerMessage {
    ServerMessage::Error {
        code,
        message: refusal.message,
        re: Some(re),
        id,
    }
}

#[cfg(test)]
mod tests;
