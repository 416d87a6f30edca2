//! The passive end of ICE over TCP (RFC 6544): connections in which datagrams are framed (RFC 4571).

mod outgoing;

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind, Read};
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::time::{Duration, Instant};

use ice::{Deframer, FRAME_HEADER};
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use socket2::{Domain, SockRef, Type};
use wire::{Ecn, Path, Protocol, Transmit};

use self::outgoing::Outgoing;
use crate::engine::Engine;
use crate::networks::{Count, Full, Networks};

/// Connections that wait to be accepted. Those beyond are up to the kernel's SYN cookies.
const BACKLOG: i32 = 128;
/// Connections of one worker.
pub(crate) const MAX_CONNECTIONS: usize = 1024;
/// Of these, so many from one address (of IPv6, one network of 64 bits, and four times as many from one of 56): a whole
/// office may stand behind one.
const MAX_PER_ADDRESS: usize = 128;
/// Strangers are those whose path ICE has not validated. They have half of the connections at most, ...
const MAX_STRANGERS: usize = MAX_CONNECTIONS / 2;
/// ... so many of one address, ...
const MAX_STRANGERS_PER_ADDRESS: usize = 32;
/// ... and send no longer frames than this: all they have to say is a check.
const MAX_STRANGE_FRAME: usize = 2 << 10;
/// The longest frame of others: what a UDP datagram can carry.
const MAX_FRAME: usize = udp::MAX_MESSAGE;
/// Connections accepted, or refused, in one turn.
const ACCEPTS_PER_TURN: usize = 32;
/// Connections that are read in one turn, once each.
const READS_PER_TURN: usize = 32;
/// Bytes that one of them may bring in a turn.
const READ: usize = 16 << 10;
/// Frames with something in them that all of them may bring in a turn, and what is read at once with the last of them:
/// more than one of them can bring, so that one that floods with short frames takes nobody's turn.
const FRAMES_PER_TURN: usize = 6 << 10;
const _: () = assert!(FRAMES_PER_TURN > READ / (FRAME_HEADER + 1));
/// How long a connection may be there without a path that ICE has validated, before the first check and after the last.
const UNUSED: Duration = Duration::from_secs(10);
/// How long at least, when there are too many: a check takes some round trips.
const SPARED: Duration = Duration::from_secs(2);
/// How often that is looked after.
const SWEEP: Duration = Duration::from_secs(1);
/// Bytes that the kernel takes before it has sent what it has: what lies there can neither be dropped nor overtaken.
const UNSENT: u32 = 64 << 10;
/// In place of that, where the system does not know it: bytes that it holds in all.
const SEND_BUFFER: usize = 256 << 10;

/// Tokens of listeners, and from there on those of connections. Below are those of UDP sockets.
const FIRST_LISTENER: usize = 1 << 16;
const FIRST_CONNECTION: usize = 1 << 17;

wire::counters! {
    /// What came of TCP connections for media. Browsers open some in calls over UDP, too.
    pub(crate) struct Counters {
        /// Connections accepted.
        pub tcp_connections_accepted,
        /// Connections above the number that there may be, in all or from one address, when none of these was unused;
        /// they were closed at once.
        pub tcp_connections_refused,
        /// Connections that could not be accepted or set up.
        pub tcp_accept_failed,
        /// Connections closed because no authenticated check came in time, or none any more. The time is shorter when
        /// there is no room for others.
        pub tcp_connections_unused,
        /// Connections that the other end closed or that broke.
        pub tcp_connections_lost,
        /// Connections closed because a frame was longer than a datagram can be.
        pub tcp_bad_length,
        /// Frames without a byte in them.
        pub tcp_empty_frames,
        /// Frames received, without empty ones.
        pub tcp_received_frames,
        /// Frames sent.
        pub tcp_sent_frames,
        /// Frames that were dropped because the other end reads too slowly, or was gone.
        pub tcp_frames_dropped,
    }
}

/// Listens on `address`, with IPv4 and IPv6 apart.
///
/// # Errors
/// What the operating system says: most of all that the port is taken.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Connections of a server before that are on their way out do not keep the port.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// One connection.
struct Connection {
    stream: TcpStream,
    path: Path,
    deframer: Deframer,
    outgoing: Outgoing,
    /// When ICE was last known to use it, or else when it was made.
    used: Instant,
    /// ICE has validated its path.
    known: bool,
    /// It is in [`Connections::readable`].
    readable: bool,
    /// It is in [`Connections::writable`].
    writes: bool,
    /// The kernel's buffer is full.
    blocked: bool,
}

/// The listeners of a worker and their connections.
pub(crate) struct Connections {
    listeners: Vec<(TcpListener, bool)>,
    slots: Vec<Option<Connection>>,
    free: Vec<usize>,
    by_path: HashMap<Path, usize>,
    networks: Networks,
    /// How many there may be.
    most: usize,
    /// Those that have, or may have, something to read: by turns.
    readable: VecDeque<usize>,
    /// Those that were given something to write since the last turn.
    writable: Vec<usize>,
    swept: Option<Instant>,
    buffer: Box<[u8]>,
    counters: Counters,
}

impl Connections {
    /// Takes in listeners, whose connections may be so many at once.
    ///
    /// # Errors
    /// They cannot be waited for.
    pub(crate) fn new(registry: &Registry, listeners: Vec<TcpListener>, most: usize) -> io::Result<Self> {
        let mut registered = Vec::new();
        for (index, mut listener) in listeners.into_iter().enumerate() {
            registry.register(&mut listener, Token(FIRST_LISTENER + index), Interest::READABLE)?;
            // What came before is worth a look.
            registered.push((listener, true));
        }
        Ok(Self {
            listeners: registered,
            slots: Vec::new(),
            free: Vec::new(),
            by_path: HashMap::new(),
            networks: Networks::new(Count {
                all: MAX_PER_ADDRESS,
                strangers: MAX_STRANGERS_PER_ADDRESS,
            }),
            most: most.min(MAX_CONNECTIONS),
            readable: VecDeque::new(),
            writable: Vec::new(),
            swept: None,
            buffer: vec![0; READ].into_boxed_slice(),
            counters: Counters::default(),
        })
    }

    pub(crate) const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Takes what mio tells of one of its tokens.
    pub(crate) fn handle_event(&mut self, event: &mio::event::Event) {
        let token = event.token().0;
        if let Some(index) = token.checked_sub(FIRST_CONNECTION) {
            // It may have been told of one that is closed by now: then another one is looked at for nothing.
            let Some(connection) = self.slots.get_mut(index).and_then(Option::as_mut) else {
                return;
            };
            if (event.is_readable() || event.is_error()) && !connection.readable {
                connection.readable = true;
                self.readable.push_back(index);
            }
            if event.is_writable() && connection.blocked {
                connection.blocked = false;
                if !connection.writes {
                    connection.writes = true;
                    self.writable.push(index);
                }
            }
        } else if let Some((_, waits)) = token
            .checked_sub(FIRST_LISTENER)
            .and_then(|index| self.listeners.get_mut(index))
        {
            *waits = true;
        }
    }

    /// When connections are to be looked over again, by [`turn`](Self::turn).
    pub(crate) fn due(&self) -> Option<Instant> {
        self.swept.map(|swept| swept + SWEEP)
    }

    /// Accepts, reads and looks over, so much and no more. True when there may be more.
    pub(crate) fn turn<E: Engine>(&mut self, now: Instant, registry: &Registry, engine: &mut E) -> bool {
        self.sweep(now, engine);
        let more_connections = self.accept(now, registry, engine);
        self.read(now, engine) | more_connections
    }

    fn accept<E: Engine>(&mut self, now: Instant, registry: &Registry, engine: &mut E) -> bool {
        for _ in 0..ACCEPTS_PER_TURN {
            let Some((listener, waits)) = self.listeners.iter_mut().find(|(_, waits)| *waits) else {
                return false;
            };
            match listener.accept() {
                Ok((stream, remote)) => self.add(now, registry, engine, stream, remote),
                Err(error) if error.kind() == ErrorKind::WouldBlock => *waits = false,
                Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                Err(_) => {
                    // Without descriptors there is no use in trying again before some are given back.
                    *waits = false;
                    self.counters.tcp_accept_failed += 1;
                    self.swept.get_or_insert(now);
                }
            }
        }
        true
    }

    fn add<E: Engine>(
        &mut self,
        now: Instant,
        registry: &Registry,
        engine: &mut E,
        mut stream: TcpStream,
        remote: SocketAddr,
    ) {
        if !self.make_room(now, engine, remote) {
            self.counters.tcp_connections_refused += 1;
            return;
        }
        let index = self.free.last().copied().unwrap_or(self.slots.len());
        let token = Token(FIRST_CONNECTION + index);
        let registered = registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE);
        let (Ok(local), Ok(()), Ok(())) = (stream.local_addr(), registered, set_up(&stream)) else {
            self.counters.tcp_accept_failed += 1;
            return;
        };
        let path = Path {
            local: comparable(local),
            remote: comparable(remote),
            protocol: Protocol::Tcp,
        };
        // The other end has reset one and made another from the same port, and we have not read of the former yet.
        if let Some(&former) = self.by_path.get(&path) {
            self.counters.tcp_connections_lost += 1;
            self.close(now, engine, former);
        }
        self.counters.tcp_connections_accepted += 1;
        self.networks.enter(path.remote.ip());
        self.by_path.insert(path, index);
        self.swept.get_or_insert(now);
        self.readable.push_back(index);
        let connection = Connection {
            stream,
            path,
            deframer: Deframer::new(MAX_STRANGE_FRAME),
            outgoing: Outgoing::default(),
            used: now,
            known: false,
            readable: true,
            writes: false,
            blocked: false,
        };
        if index == self.slots.len() {
            self.slots.push(Some(connection));
        } else {
            self.free.retain(|free| *free != index);
            if let Some(slot) = self.slots.get_mut(index) {
                *slot = Some(connection);
            }
        }
    }

    /// Closes what is unused for the longest time where there is no room for another stranger. False when nothing is.
    ///
    /// Browsers open connections in calls over UDP too, one for each of their addresses, and do not use them.
    fn make_room<E: Engine>(&mut self, now: Instant, engine: &mut E, remote: SocketAddr) -> bool {
        loop {
            let of = self.networks.full(remote.ip());
            let too_many_strangers = self.networks.strangers() >= MAX_STRANGERS.min(self.most.div_ceil(2));
            let strangers = of.map_or(too_many_strangers, |of| of.strangers);
            if of.is_none() && !strangers && self.by_path.len() < self.most {
                return true;
            }
            let Some(unused) = self.longest_unused(now, of, strangers) else {
                return false;
            };
            self.counters.tcp_connections_unused += 1;
            self.close(now, engine, unused);
        }
    }

    fn longest_unused(&self, now: Instant, of: Option<Full>, strangers: bool) -> Option<usize> {
        let connections = self.slots.iter().enumerate();
        let connections = connections.filter_map(|(index, slot)| Some((index, slot.as_ref()?)));
        connections
            .filter(|(_, connection)| now.saturating_duration_since(connection.used) >= SPARED)
            .filter(|(_, connection)| !(strangers && connection.known))
            .filter(|(_, connection)| of.is_none_or(|of| of.contains(connection.path.remote.ip())))
            .min_by_key(|(_, connection)| connection.used)
            .map(|(index, _)| index)
    }

    /// Reads once from each of those whose turn it is. UDP has its turn after that.
    fn read<E: Engine>(&mut self, now: Instant, engine: &mut E) -> bool {
        let mut frames = 0;
        for _ in 0..READS_PER_TURN.min(self.readable.len()) {
            if frames >= FRAMES_PER_TURN {
                break;
            }
            let Some(index) = self.readable.pop_front() else {
                break;
            };
            let Some(connection) = self.slots.get_mut(index).and_then(Option::as_mut) else {
                continue;
            };
            connection.readable = false;
            match connection.stream.read(&mut self.buffer) {
                Ok(0) => {
                    self.counters.tcp_connections_lost += 1;
                    self.close(now, engine, index);
                }
                Ok(len) => {
                    connection.readable = true;
                    self.readable.push_back(index);
                    let (path, counters) = (connection.path, &mut self.counters);
                    let piece = self.buffer.get_mut(..len).unwrap_or_default();
                    let pushed = connection.deframer.push(piece, |frame| {
                        if frame.is_empty() {
                            counters.tcp_empty_frames += 1;
                        } else {
                            frames += 1;
                            counters.tcp_received_frames += 1;
                            engine.handle_datagram(now, &path, Ecn::NotEct, frame);
                        }
                    });
                    if pushed.is_err() {
                        self.counters.tcp_bad_length += 1;
                        self.close(now, engine, index);
                    } else {
                        self.get_to_know(engine, index);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {
                    connection.readable = true;
                    self.readable.push_back(index);
                }
                Err(_) => {
                    self.counters.tcp_connections_lost += 1;
                    self.close(now, engine, index);
                }
            }
        }
        !self.readable.is_empty()
    }

    /// Looks whether a stranger has become known.
    fn get_to_know<E: Engine>(&mut self, engine: &E, index: usize) {
        let connection = self.slots.get_mut(index).and_then(Option::as_mut);
        let Some(connection) =
            connection.filter(|connection| !connection.known && engine.is_path_open(&connection.path))
        else {
            return;
        };
        connection.known = true;
        connection.deframer.set_limit(MAX_FRAME);
        self.networks.recognize(connection.path.remote.ip());
    }

    /// Takes what an engine has written for a TCP path, frame by frame.
    pub(crate) fn queue(&mut self, transmit: &Transmit, data: &[u8]) {
        let index = self.by_path.get(&transmit.path).copied();
        let connection = index.and_then(|index| self.slots.get_mut(index)?.as_mut().map(|found| (index, found)));
        let Some((index, connection)) = connection else {
            self.counters.tcp_frames_dropped += transmit.datagrams() as u64;
            return;
        };
        let size = transmit
            .segment
            .map_or(data.len(), |size| usize::from(NonZeroU16::get(size)));
        for datagram in data.chunks(size.max(1)) {
            if connection.outgoing.push(datagram) {
                self.counters.tcp_sent_frames += 1;
            } else {
                self.counters.tcp_frames_dropped += 1;
            }
        }
        if !connection.writes && !connection.blocked && !connection.outgoing.is_empty() {
            connection.writes = true;
            self.writable.push(index);
        }
    }

    /// Writes what was queued, in one go for each connection. Those whose other end does not read keep the rest, as far
    /// as there is room, and hold nobody up. True when some were broken, of which the engine was told.
    pub(crate) fn flush<E: Engine>(&mut self, now: Instant, engine: &mut E) -> bool {
        let mut broken = false;
        while let Some(index) = self.writable.pop() {
            let Some(connection) = self.slots.get_mut(index).and_then(Option::as_mut) else {
                continue;
            };
            connection.writes = false;
            match connection.outgoing.write(&mut connection.stream) {
                Ok(all) => connection.blocked = !all,
                Err(_) => {
                    broken = true;
                    self.counters.tcp_connections_lost += 1;
                    self.close(now, engine, index);
                }
            }
        }
        broken
    }

    /// Whether something waits for the other end to read.
    pub(crate) fn wait(&self) -> bool {
        let mut connections = self.slots.iter().flatten();
        connections.any(|connection| !connection.outgoing.is_empty())
    }

    /// Once in a while: closes what ICE does not use, and tries again to accept.
    fn sweep<E: Engine>(&mut self, now: Instant, engine: &mut E) {
        if self.due().is_none_or(|due| now < due) {
            return;
        }
        for index in 0..self.slots.len() {
            let Some(connection) = self.slots.get_mut(index).and_then(Option::as_mut) else {
                continue;
            };
            if engine.is_path_open(&connection.path) {
                connection.used = now;
                self.get_to_know(engine, index);
            } else if now.saturating_duration_since(connection.used) >= UNUSED {
                self.counters.tcp_connections_unused += 1;
                self.close(now, engine, index);
            }
        }
        self.listeners.iter_mut().for_each(|(_, waits)| *waits = true);
        self.swept = (!self.by_path.is_empty()).then_some(now);
    }

    fn close<E: Engine>(&mut self, now: Instant, engine: &mut E, index: usize) {
        let Some(connection) = self.slots.get_mut(index).and_then(Option::take) else {
            return;
        };
        self.free.push(index);
        self.by_path.remove(&connection.path);
        self.networks.leave(connection.path.remote.ip(), !connection.known);
        // The next one in this place has nothing to read for it.
        if connection.readable {
            self.readable.retain(|other| *other != index);
        }
        if connection.writes {
            self.writable.retain(|other| *other != index);
        }
        engine.handle_path_closed(now, &connection.path);
    }
}

fn set_up(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let unsent = socket.set_tcp_notsent_lowat(UNSENT);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let unsent = Err::<(), _>(io::Error::from(ErrorKind::Unsupported));
    unsent.or_else(|_| socket.set_send_buffer_size(SEND_BUFFER))
}

/// As paths are compared (see `udp`): a sender may change the flow label when it likes.
fn comparable(mut address: SocketAddr) -> SocketAddr {
    if let SocketAddr::V6(v6) = &mut address {
        v6.set_flowinfo(0);
    }
    address
}

#[cfg(test)]
mod tests;
