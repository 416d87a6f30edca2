//! Real sockets under what the simulated network drives, too.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use netns::Namespace;
use netsim::{Endpoint, Event, TcpEvent};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use turn::testing::Ports;
use wire::{Ecn, Path, Protocol};

/// The sockets of one host.
#[derive(Default)]
pub(crate) struct Io {
    udp: Vec<(SocketAddr, UdpSocket)>,
    tcp: Vec<(Path, TcpStream)>,
    listener: Option<TcpListener>,
}

impl Io {
    /// Binds a UDP socket inside.
    pub(crate) fn bind_udp(&mut self, namespace: &Namespace, address: SocketAddr) {
        let socket = namespace.run(|| UdpSocket::bind(address)).unwrap().unwrap();
        self.insert_udp(address, socket);
    }

    /// Listens on TCP inside.
    pub(crate) fn listen_tcp(&mut self, namespace: &Namespace, address: SocketAddr) {
        let listener = namespace.run(|| TcpListener::bind(address)).unwrap().unwrap();
        listener.set_nonblocking(true).unwrap();
        self.listener = Some(listener);
    }

    /// Opens a connection from inside, and gives its path.
    pub(crate) fn connect_tcp(&mut self, namespace: &Namespace, server: SocketAddr) -> Path {
        let connect = || TcpStream::connect_timeout(&server, Duration::from_secs(10));
        let stream = namespace.run(connect).unwrap().unwrap();
        self.insert_tcp(stream)
    }

    pub(crate) fn close_udp(&mut self, address: SocketAddr) {
        self.udp.retain(|(local, _)| *local != address);
    }

    fn insert_udp(&mut self, address: SocketAddr, socket: UdpSocket) {
        socket.set_nonblocking(true).unwrap();
        self.udp.push((address, socket));
    }

    fn insert_tcp(&mut self, stream: TcpStream) -> Path {
        stream.set_nonblocking(true).unwrap();
        stream.set_nodelay(true).unwrap();
        let path = Path {
            local: stream.local_addr().unwrap(),
            remote: stream.peer_addr().unwrap(),
            protocol: Protocol::Tcp,
        };
        self.tcp.push((path, stream));
        path
    }

    /// What the network does not take is lost, as it may be on the way.
    fn send(&mut self, path: &Path, bytes: &[u8]) {
        match path.protocol {
            Protocol::Udp => {
                if let Some((_, socket)) = self.udp.iter().find(|(local, _)| *local == path.local) {
                    let _ = socket.send_to(bytes, path.remote);
                }
            }
            Protocol::Tcp => {
                if let Some((_, stream)) = self.tcp.iter_mut().find(|(known, _)| known == path) {
                    // So little is under way that the kernel has room. Whether the other end has gone, reading tells.
                    let full = |error: std::io::Error| error.kind() == ErrorKind::WouldBlock;
                    assert!(!stream.write_all(bytes).is_err_and(full), "{path:?} takes nothing");
                }
            }
        }
    }

    fn receive_udp(&self, endpoint: &mut impl Endpoint) {
        let mut buffer = [0; 2048];
        for (local, socket) in &self.udp {
            // Errors are ICMP messages about what was sent before, or that there is nothing.
            while let Ok((len, from)) = socket.recv_from(&mut buffer) {
                let path = Path::udp(*local, from);
                endpoint.handle_datagram(Instant::now(), &path, Ecn::NotEct, &mut buffer[..len]);
            }
        }
    }

    fn receive_tcp(&mut self, endpoint: &mut impl Endpoint) {
        while let Some(Ok((stream, _))) = self.listener.as_ref().map(TcpListener::accept) {
            let path = self.insert_tcp(stream);
            let event = TcpEvent::Accepted;
            endpoint.handle_event(Instant::now(), Event::Tcp { path, event });
        }
        self.tcp.retain_mut(|(path, stream)| {
            let path = *path;
            let mut buffer = [0; 4096];
            loop {
                let event = match stream.read(&mut buffer) {
                    Ok(0) => TcpEvent::Closed,
                    Ok(len) => TcpEvent::Data(&mut buffer[..len]),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                    Err(_) => TcpEvent::Reset,
                };
                let stays = matches!(event, TcpEvent::Data(_));
                endpoint.handle_event(Instant::now(), Event::Tcp { path, event });
                if !stays {
                    return false;
                }
            }
        });
    }

    fn fds(&self) -> impl Iterator<Item = PollFd<'_>> {
        let udp = self.udp.iter().map(|(_, socket)| socket.as_fd());
        let tcp = self.tcp.iter().map(|(_, stream)| stream.as_fd());
        let listener = self.listener.iter().map(AsFd::as_fd);
        let all = udp.chain(tcp).chain(listener);
        all.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
    }
}

/// The ports of a namespace.
pub(crate) struct Inside<'a>(pub(crate) &'a mut Io, pub(crate) &'a Namespace);

impl Ports for Inside<'_> {
    fn bind(&mut self, address: SocketAddr) -> bool {
        let socket = self.1.run(|| UdpSocket::bind(address)).unwrap();
        let bound = socket.map(|socket| self.0.insert_udp(address, socket));
        bound.is_ok()
    }

    fn close(&mut self, address: SocketAddr) {
        self.0.close_udp(address);
    }
}

/// An endpoint on its sockets.
pub(crate) struct Host<E> {
    pub(crate) endpoint: E,
    pub(crate) io: Io,
}

impl<E: Endpoint> Host<E> {
    pub(crate) fn new(endpoint: E) -> Self {
        Self {
            endpoint,
            io: Io::default(),
        }
    }

    /// Takes what has come and does what is due.
    pub(crate) fn receive(&mut self) {
        self.io.receive_udp(&mut self.endpoint);
        self.io.receive_tcp(&mut self.endpoint);
        let now = Instant::now();
        if self.endpoint.poll_timeout().is_some_and(|due| due <= now) {
            self.endpoint.handle_timeout(now);
        }
    }

    /// Sends what there is.
    pub(crate) fn send(&mut self) {
        let mut out = [0; 2048];
        while let Some(transmit) = self.endpoint.poll_transmit(Instant::now(), &mut out) {
            self.io.send(&transmit.path, &out[..transmit.len]);
        }
    }
}

/// Waits until something has come to one of these, or one is due, or until then.
pub(crate) fn wait<'a, E: Endpoint + 'a>(
    hosts: impl Iterator<Item = &'a Host<E>> + Clone,
    more: impl Iterator<Item = PollFd<'a>>,
    until: Instant,
) {
    let dues = hosts.clone().filter_map(|host| host.endpoint.poll_timeout());
    let due = dues.chain([until]).min().unwrap();
    let timeout = Timespec::try_from(due.saturating_duration_since(Instant::now())).unwrap();
    let mut fds: Vec<PollFd<'_>> = hosts.flat_map(|host| host.io.fds()).chain(more).collect();
    poll(&mut fds, Some(&timeout)).unwrap();
}
