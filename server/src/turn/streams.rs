use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustls::ServerConfig;
use turn::{ConnectionId, Outgoing, RelayId, ServerSink};
use wire::{Path, Protocol};

use super::DriverCounters;
use super::places::Places;
use super::slab::SendSlab;
use super::stream::{MAX_OUTPUT, Role, Stream};
use super::thread::{STREAMS, from_client_socket, from_relay};

/// Connections in all, where the system gives as many descriptors.
pub(crate) const MAX_STREAMS: usize = 4096;
/// How long a connection may belong to nobody, and how long one that ends may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

/// Where everything goes that is sent: datagrams into the slab, messages on streams into their queues.
pub(super) struct Out {
    pub(super) slab: SendSlab,
    /// The UDP sockets that clients come to.
    pub(super) listening: Vec<SocketAddr>,
    pub(super) streams: Streams,
}

impl ServerSink for Out {
    fn to_client(&mut self, path: &Path, packet: Outgoing<'_>) {
        if path.protocol == Protocol::Tcp {
            self.streams.send(path, &packet);
            return;
        }
        let socket = self
            .listening
            .iter()
            .position(|address| address.is_ipv4() == path.local.is_ipv4());
        if let Some(socket) = socket {
            self.slab
                .push(from_client_socket(socket), path.local, path.remote, &packet);
        }
    }

    fn to_peer(&mut self, relay: RelayId, peer: SocketAddr, packet: Outgoing<'_>) {
        // The socket is bound to its address, or to all: then the system chooses.
        let any: IpAddr = if peer.is_ipv4() {
            [0, 0, 0, 0].into()
        } else {
            [0; 16].into()
        };
        self.slab.push(from_relay(relay), (any, 0).into(), peer, &packet);
    }
}

/// The 5-tuple of a client's connection; `None` when it is gone already.
pub(super) fn path_of(io: &TcpStream) -> Option<Path> {
    Some(Path {
        local: io.local_addr().ok()?,
        remote: io.peer_addr().ok()?,
        protocol: Protocol::Tcp,
    })
}

/// Every TCP connection.
pub(super) struct Streams {
    streams: Vec<Option<Stream>>,
    free: Vec<usize>,
    by_path: HashMap<Path, usize>,
    by_connection: HashMap<ConnectionId, usize>,
    most: usize,
    places: Places,
    /// Those that have something to send.
    dirty: Vec<usize>,
    pub(super) counters: DriverCounters,
}

impl Streams {
    /// So many at most.
    pub(super) fn new(most: usize) -> Self {
        let most = most.min(MAX_STREAMS);
        Self {
            most,
            streams: Vec::new(),
            free: Vec::new(),
            by_path: HashMap::new(),
            by_connection: HashMap::new(),
            places: Places::new(most),
            dirty: Vec::new(),
            counters: DriverCounters::default(),
        }
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Stream> {
        self.streams.get_mut(index)?.as_mut()
    }

    pub(super) fn by_path(&self, path: &Path) -> Option<usize> {
        self.by_path.get(path).copied()
    }

    pub(super) fn by_connection(&self, connection: ConnectionId) -> Option<usize> {
        self.by_connection.get(&connection).copied()
    }

    pub(super) fn indices(&self) -> impl Iterator<Item = usize> + use<> {
        0..self.streams.len()
    }

    /// A client's connection; `None` when there are too many.
    pub(super) fn add_client(
        &mut self,
        registry: &Registry,
        io: TcpStream,
        tls: Option<Arc<ServerConfig>>,
        now: Instant,
    ) -> Option<usize> {
        let path = path_of(&io)?;
        let remote = path.remote;
        if !self.places.enter(remote.ip()) {
            return None;
        }
        let Some(index) = self.add(registry, io, tls, Role::Client(path), now) else {
            self.places.leave(remote.ip(), true);
            return None;
        };
        self.by_path.insert(path, index);
        Some(index)
    }

    /// A client has shown a password on its connection.
    pub(super) fn recognize(&mut self, index: usize) {
        if let Some(stream) = self.streams.get_mut(index).and_then(Option::as_mut)
            && let Role::Client(path) | Role::Spliced(path, _) = stream.role
            && std::mem::replace(&mut stream.stranger, false)
        {
            self.places.recognize(path.remote.ip());
        }
    }

    /// A peer's connection; `None` when there are too many.
    pub(super) fn add_peer(
        &mut self,
        registry: &Registry,
        io: TcpStream,
        role: Role,
        connection: ConnectionId,
        now: Instant,
    ) -> Option<usize> {
        if !self.places.enter_peer() {
            return None;
        }
        let Some(index) = self.add(registry, io, None, role, now) else {
            self.places.leave_peer();
            return None;
        };
        self.by_connection.insert(connection, index);
        Some(index)
    }

    fn add(
        &mut self,
        registry: &Registry,
        io: TcpStream,
        tls: Option<Arc<ServerConfig>>,
        role: Role,
        now: Instant,
    ) -> Option<usize> {
        if self.streams.len() - self.free.len() >= self.most {
            return None;
        }
        let mut stream = Stream::new(io, tls, role, now).ok()?;
        let index = self.free.pop().unwrap_or_else(|| {
            self.streams.push(None);
            self.streams.len() - 1
        });
        let interest = Interest::READABLE | Interest::WRITABLE;
        if registry
            .register(&mut stream.io, Token(STREAMS | index), interest)
            .is_err()
        {
            self.free.push(index);
            return None;
        }
        *self.streams.get_mut(index)? = Some(stream);
        Some(index)
    }

    fn send(&mut self, path: &Path, packet: &Outgoing<'_>) {
        if let Some(index) = self.by_path(path)
            && let Some(stream) = self.get_mut(index)
            && matches!(stream.role, Role::Client(_))
        {
            let dropped = !stream.push(packet);
            self.counters.turn_stream_dropped += u64::from(dropped);
            self.mark(index);
        }
    }

    /// Hands bytes on to the other end of a splice. False when that is full now.
    pub(super) fn splice(&mut self, to: usize, bytes: &[u8]) -> bool {
        let Some(stream) = self.get_mut(to) else { return true };
        stream.push_bytes(bytes);
        let room = stream.waiting() < MAX_OUTPUT;
        self.mark(to);
        room
    }

    /// Lets a connection be flushed soon.
    pub(super) fn mark(&mut self, index: usize) {
        if let Some(stream) = self.get_mut(index)
            && !std::mem::replace(&mut stream.dirty, true)
        {
            self.dirty.push(index);
        }
    }

    /// The next connection that is to be flushed.
    pub(super) fn next_dirty(&mut self) -> Option<usize> {
        let index = self.dirty.pop()?;
        if let Some(stream) = self.get_mut(index) {
            stream.dirty = false;
        }
        Some(index)
    }

    /// Takes a connection away at once.
    pub(super) fn remove(&mut self, registry: &Registry, index: usize) {
        let Some(mut stream) = self.streams.get_mut(index).and_then(Option::take) else {
            return;
        };
        self.forget(&stream.role, stream.stranger);
        drop(registry.deregister(&mut stream.io));
        self.free.push(index);
    }

    /// Ends a connection when what waits is sent. It is taken away when the other side has ended it too, or after a
    /// while: to close it with something unread would reset it, and what the other side has not got yet would be lost.
    /// That happens to the one that ends for the longest time when there are too many.
    pub(super) fn end(&mut self, registry: &Registry, index: usize, now: Instant) {
        if self.get_mut(index).is_none_or(|stream| stream.role == Role::Ending) {
            return;
        }
        while !self.places.enter_ending() {
            let Some(longest) = self.longest_ending() else {
                self.remove(registry, index);
                return;
            };
            self.counters.turn_streams_closed += 1;
            self.remove(registry, longest);
        }
        let Some(stream) = self.get_mut(index) else { return };
        stream.end();
        let role = std::mem::replace(&mut stream.role, Role::Ending);
        stream.opened = now;
        let stranger = stream.stranger;
        let broken = stream.flush(now).is_err();
        self.forget(&role, stranger);
        if broken {
            self.remove(registry, index);
        }
    }

    fn longest_ending(&self) -> Option<usize> {
        let streams = self.streams.iter().enumerate();
        let ending = streams.filter_map(|(index, stream)| Some((index, stream.as_ref()?)));
        ending
            .filter(|(_, stream)| stream.role == Role::Ending)
            .min_by_key(|(_, stream)| stream.opened)
            .map(|(index, _)| index)
    }

    fn forget(&mut self, role: &Role, stranger: bool) {
        match role {
            Role::Client(path) | Role::Spliced(path, _) => {
                self.by_path.remove(path);
                self.places.leave(path.remote.ip(), stranger);
            }
            Role::Opening(connection) | Role::Peer(connection, _) => {
                self.by_connection.remove(connection);
                self.places.leave_peer();
            }
            Role::Ending => self.places.leave_ending(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{ErrorKind, Read};

    use mio::Poll;

    #[test]
    fn of_many_that_end_the_first_are_cut_off() {
        let poll = Poll::new().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut streams = Streams::new(8);
        let start = Instant::now();
        let mut clients = Vec::new();
        for n in 0..4 {
            let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            client.set_nonblocking(true).unwrap();
            clients.push(client);
            let (io, _) = listener.accept().unwrap();
            io.set_nonblocking(true).unwrap();
            let now = start + Duration::from_secs(n);
            let index = streams.add_client(poll.registry(), TcpStream::from_std(io), None, now);
            let index = index.unwrap();
            // Something waits, or there would be nothing to end for.
            streams.get_mut(index).unwrap().push_bytes(&[7; 64]);
            streams.end(poll.registry(), index, now);
            streams.end(poll.registry(), index, now);
        }
        let left = streams.streams.iter().flatten();
        let opened: Vec<_> = left.map(|stream| (stream.opened - start).as_secs()).collect();
        assert_eq!(streams.streams.len() - streams.free.len(), 2);
        assert_eq!((opened.len(), opened.iter().sum::<u64>()), (2, 2 + 3));
        assert_eq!(streams.counters.turn_streams_closed, 2);
        for index in streams.indices() {
            streams.remove(poll.registry(), index);
        }
        assert!(streams.places.enter_ending() && streams.places.enter_ending() && !streams.places.enter_ending());
        // Nobody is left waiting.
        for mut client in clients {
            client.set_nonblocking(false).unwrap();
            let mut all = Vec::new();
            let ended = client.read_to_end(&mut all);
            assert!(ended.is_ok() || ended.unwrap_err().kind() == ErrorKind::ConnectionReset);
        }
    }
}
