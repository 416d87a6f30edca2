use std::fmt;
use std::net::{IpAddr, SocketAddr};

use wire::{Path, Protocol};

use crate::network::Network;
use crate::node::{FIRST_EPHEMERAL, Host, UdpSocket};
use crate::tcp::Connection;

wire::counters! {
    /// What an endpoint wanted to send and could not. The network never saw it.
    pub struct SocketCounters {
        /// Transmits over TCP for which the send buffer had no room.
        pub tcp_full,
        /// Transmits over TCP on a path without an open connection.
        pub tcp_unconnected,
    }
}

/// A command that a host cannot do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketError {
    /// The host does not have that address.
    NoAddress(IpAddr),
    /// The port is taken.
    InUse(SocketAddr),
    /// All dynamic ports are taken.
    NoPort,
    /// The two addresses are of different families.
    Family,
    /// The remote end may not be a wildcard.
    Wildcard,
}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAddress(address) => write!(
                f,
                "the host does not have the address {address}: add it to a link first"
            ),
            Self::InUse(address) => write!(f, "{address} is taken: close it first, or take another port"),
            Self::NoPort => f.write_str("all dynamic ports are taken: close some"),
            Self::Family => f.write_str("one address is of IPv4 and the other of IPv6: take two of one family"),
            Self::Wildcard => f.write_str("0.0.0.0 and :: name no host: connect to an address, from an address"),
        }
    }
}

impl std::error::Error for SocketError {}

/// The sockets of a host, in the hands of one of its endpoints.
#[derive(Debug)]
pub struct Sockets<'a> {
    pub(crate) net: &'a mut Network,
    pub(crate) node: u32,
    pub(crate) endpoint: u32,
}

impl Sockets<'_> {
    /// The addresses of the host, by links in the order in which they were made.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let ports = self.net.nodes[self.node as usize].ports.iter();
        ports.flat_map(|port| port.addresses.iter().copied())
    }

    /// Binds a UDP port; 0 chooses one. The wildcard of a family stands for all addresses of it, present and future.
    ///
    /// # Errors
    /// When the host has no such address, or the port is taken.
    pub fn bind_udp(&mut self, local: SocketAddr) -> Result<SocketAddr, SocketError> {
        self.has(local.ip())?;
        let local = self.choose_port(local, |host, conflicts| host.udp.keys().any(conflicts))?;
        let endpoint = self.endpoint;
        let socket = UdpSocket {
            endpoint,
            may_fragment: false,
        };
        if let Some(host) = self.host() {
            host.udp.insert(local, socket);
        }
        Ok(local)
    }

    /// Lets datagrams from that socket be fragmented, by the host and (IPv4) by routers, or forbids it. When bound, it
    /// is forbidden: datagrams leave with DF, and those that do not fit end in an
    /// [`Event::Error`](crate::Event::Error).
    pub fn set_fragmentation(&mut self, local: SocketAddr, allowed: bool) {
        if let Some(socket) = self.host().and_then(|host| host.udp.get_mut(&local)) {
            socket.may_fragment = allowed;
        }
    }

    /// Closes a UDP port of this endpoint, if it is one.
    pub fn close_udp(&mut self, local: SocketAddr) {
        let endpoint = self.endpoint;
        if let Some(host) = self.host()
            && host.udp.get(&local).is_some_and(|socket| socket.endpoint == endpoint)
        {
            host.udp.remove(&local);
        }
    }

    /// Takes connections to a TCP port; 0 chooses one. The wildcard stands for all addresses of a family.
    ///
    /// # Errors
    /// When the host has no such address, or somebody listens there.
    pub fn listen_tcp(&mut self, local: SocketAddr) -> Result<SocketAddr, SocketError> {
        self.has(local.ip())?;
        let local = self.choose_port(local, |host, conflicts| host.listeners.keys().any(conflicts))?;
        let endpoint = self.endpoint;
        if let Some(host) = self.host() {
            host.listeners.insert(local, endpoint);
        }
        Ok(local)
    }

    /// Takes no more connections to that port; those that are open stay.
    pub fn unlisten_tcp(&mut self, local: SocketAddr) {
        let endpoint = self.endpoint;
        if let Some(host) = self.host()
            && host.listeners.get(&local) == Some(&endpoint)
        {
            host.listeners.remove(&local);
        }
    }

    /// Begins to connect, from `local` (port 0 chooses one) to `remote`. The port may be one that is listened on or
    /// connected elsewhere, as simultaneous open and ICE (RFC 6544 §4.1) need it. The path names the connection from
    /// then on.
    ///
    /// # Errors
    /// When the host has no such address, the families differ, an address is a wildcard, or there is such a connection
    /// already.
    pub fn connect_tcp(&mut self, local: SocketAddr, remote: SocketAddr) -> Result<Path, SocketError> {
        if local.is_ipv4() != remote.is_ipv4() {
            return Err(SocketError::Family);
        }
        if local.ip().is_unspecified() || remote.ip().is_unspecified() {
            return Err(SocketError::Wildcard);
        }
        self.has(local.ip())?;
        let local = if local.port() == 0 {
            self.choose_port(local, |host, conflicts| {
                let mut connected = host.connections.keys().map(|(local, _)| local);
                host.listeners.keys().any(conflicts) || connected.any(conflicts)
            })?
        } else {
            local
        };
        if self.net.connection(self.node, local, remote).is_some() {
            return Err(SocketError::InUse(local));
        }
        self.net.tcp_connect((self.node, self.endpoint), local, remote);
        Ok(Path {
            local,
            remote,
            protocol: Protocol::Tcp,
        })
    }

    /// Appends what fits of `bytes` to a stream, and says how much that is. When it is not all,
    /// [`TcpEvent::Writable`](crate::TcpEvent::Writable) comes once there is room. What is written before the
    /// connection is open waits for that.
    pub fn write(&mut self, path: &Path, bytes: &[u8]) -> usize {
        match self.mine(path) {
            Some(index) => self
                .net
                .tcp_do(index, |connection, now, out| connection.write(now, bytes, out)),
            None => 0,
        }
    }

    /// How many bytes a write would take now; 0 when there is no such connection, or it is finished.
    pub fn room(&self, path: &Path) -> usize {
        let index = self.mine(path);
        let connection = index.and_then(|index| self.net.connections[index as usize].as_ref());
        connection.map_or(0, Connection::room)
    }

    /// Whether a connection is open both ways.
    pub fn is_open(&self, path: &Path) -> bool {
        let index = self.mine(path);
        let connection = index.and_then(|index| self.net.connections[index as usize].as_ref());
        connection.is_some_and(Connection::is_open)
    }

    /// Stops or goes on to take what comes on a connection. While stopped, up to 1 MiB is held, and then the peer has
    /// to wait.
    pub fn set_reading(&mut self, path: &Path, reading: bool) {
        if let Some(index) = self.mine(path) {
            self.net
                .tcp_do(index, |connection, _, out| connection.set_reading(reading, out));
        }
    }

    /// Nothing more will be written (FIN, after all that was). The connection is gone when the peer finishes, too.
    pub fn finish(&mut self, path: &Path) {
        if let Some(index) = self.mine(path) {
            self.net.tcp_do(index, Connection::finish);
        }
    }

    /// Ends a connection at once (RST). No event comes of it at this end.
    pub fn reset(&mut self, path: &Path) {
        if let Some(index) = self.mine(path) {
            self.net.tcp_do(index, |connection, _, out| connection.reset(out));
        }
    }

    /// Sets how many bytes new connections of this host hold until they are acknowledged. 128 KiB at first.
    pub fn set_send_buffer(&mut self, bytes: usize) {
        if let Some(host) = self.host() {
            host.send_buffer = bytes.max(1);
        }
    }

    /// The whole of `bytes` or nothing.
    pub(crate) fn write_whole(&mut self, path: &Path, bytes: &[u8], counters: &mut SocketCounters) {
        let Some(index) = self.mine(path) else {
            counters.tcp_unconnected += 1;
            return;
        };
        self.net.tcp_do(index, |connection, now, out| {
            if connection.room() >= bytes.len() {
                connection.write(now, bytes, out);
            } else {
                counters.tcp_full += 1;
                connection.want_room();
            }
        });
    }

    fn host(&mut self) -> Option<&mut Host> {
        self.net.nodes[self.node as usize].host_mut()
    }

    /// The connection of a path, if it is this endpoint's.
    fn mine(&self, path: &Path) -> Option<u32> {
        let index = self.net.connection(self.node, path.local, path.remote)?;
        let connection = self.net.connections[index as usize].as_ref()?;
        (connection.endpoint == self.endpoint).then_some(index)
    }

    fn has(&self, address: IpAddr) -> Result<(), SocketError> {
        let node = &self.net.nodes[self.node as usize];
        if address.is_unspecified() || node.port_of(&address).is_some() {
            Ok(())
        } else {
            Err(SocketError::NoAddress(address))
        }
    }

    fn choose_port(
        &mut self,
        local: SocketAddr,
        taken: impl Fn(&Host, &dyn Fn(&SocketAddr) -> bool) -> bool,
    ) -> Result<SocketAddr, SocketError> {
        let Some(host) = self.host() else {
            return Err(SocketError::NoPort);
        };
        // The wildcard of a family is each of its addresses.
        let taken = |host: &Host, port: u16| {
            taken(host, &|other: &SocketAddr| {
                let wildcard = local.ip().is_unspecified() || other.ip().is_unspecified();
                let family = local.is_ipv4() == other.is_ipv4();
                other.port() == port && family && (wildcard || local.ip() == other.ip())
            })
        };
        if local.port() != 0 {
            return if taken(host, local.port()) {
                Err(SocketError::InUse(local))
            } else {
                Ok(local)
            };
        }
        for _ in FIRST_EPHEMERAL..=u16::MAX {
            let port = host.next_port;
            host.next_port = port.checked_add(1).unwrap_or(FIRST_EPHEMERAL);
            if !taken(host, port) {
                return Ok(SocketAddr::new(local.ip(), port));
            }
        }
        Err(SocketError::NoPort)
    }
}
