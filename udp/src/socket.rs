use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};

use mio::event::Source;
use mio::{Interest, Registry, Token};
use quinn_udp::{UdpSockRef, UdpSocketState};
use socket2::{Domain, Type};

use crate::icmp::may_be_of_earlier;
#[cfg(any(target_os = "linux", target_os = "android"))]
use crate::recv::comparable;
use crate::{Counters, IcmpError, RecvBatch, Traffic};

/// How much the kernel is asked to hold in each direction, in bytes. It gives what its limits allow
/// (`net.core.rmem_max`, `net.core.wmem_max`), which is less on most machines and good enough there.
const KERNEL_BUFFER: usize = 4 << 20;

/// Failed calls after which a socket is left alone until the next datagram.
const MAX_FAILURES: usize = 8;

/// A non-blocking UDP socket of one address family, for use with mio.
///
/// Bound to a wildcard address it still tells for each datagram which local address it came to, and sends from the
/// address that it is told. An IPv6 socket takes no IPv4, so that no IPv4-mapped address is ever seen.
pub struct Socket {
    pub(crate) io: mio::net::UdpSocket,
    pub(crate) state: UdpSocketState,
    local: SocketAddr,
    /// Cleared once the kernel has said that it cannot segment on this socket's way out.
    pub(crate) segmentation: bool,
    /// Whether the kernel tells of ICMP errors.
    pub(crate) icmp: bool,
    pub(crate) counters: Counters,
    pub(crate) traffic: Traffic,
}

impl Socket {
    /// Binds a socket to `address`; port 0 picks one.
    ///
    /// # Errors
    /// What the operating system says: most of all that the port is taken, or that the address is not one of its own.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        Self::bind_with_buffers(address, KERNEL_BUFFER)
    }

    /// As [`bind`](Self::bind), but the kernel is asked to hold `buffer` bytes in each direction instead of 4 MiB: for
    /// programs with thousands of sockets.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn bind_with_buffers(address: SocketAddr, buffer: usize) -> io::Result<Self> {
        let socket = socket2::Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        let io = mio::net::UdpSocket::from_std(socket.into());
        let state = UdpSocketState::new(UdpSockRef::from(&io))?;
        // A system that grants less is slower in bursts, but works.
        drop(state.set_recv_buffer_size(UdpSockRef::from(&io), buffer));
        drop(state.set_send_buffer_size(UdpSockRef::from(&io), buffer));
        let local = io.local_addr()?;
        #[cfg(any(target_os = "linux", target_os = "android"))]
        crate::mmsg::tell_less(&io, local);
        let segmentation = cfg!(any(target_os = "linux", target_os = "android")) && state.max_gso_segments() > 1;
        Ok(Self {
            io,
            state,
            local,
            segmentation,
            icmp: false,
            counters: Counters::default(),
            traffic: Traffic::default(),
        })
    }

    /// The address it is bound to, with the real port.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// What went wrong so far.
    pub fn counters(&self) -> Counters {
        Counters {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            udp_kernel_dropped: crate::mmsg::kernel_drops(self),
            ..self.counters
        }
    }

    /// How much went through so far.
    pub const fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Receives as many messages as are there and fit into `batch`, whose former content is gone. False when there was
    /// none: then mio will say when there is. A batch that is not full has emptied the socket too.
    pub fn receive(&mut self, batch: &mut RecvBatch) -> bool {
        self.fill(batch, false)
    }

    /// As [`receive`](Self::receive) for a socket of which not much is to be expected: a few messages at most, and for
    /// one or two it costs less.
    pub fn receive_few(&mut self, batch: &mut RecvBatch) -> bool {
        self.fill(batch, true)
    }

    /// Asks the kernel to tell of ICMP errors about what is sent from now on. They take of the room for datagrams until
    /// [`receive_icmp`](Self::receive_icmp) has told them. Only Linux tells; elsewhere nothing happens.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn report_icmp(&mut self) -> io::Result<()> {
        self.state.enable_transport_errors(UdpSockRef::from(&self.io))?;
        self.icmp = true;
        Ok(())
    }

    /// The next ICMP error. `None` when there is no more: then mio will say when there is
    /// ([`is_error`](mio::event::Event::is_error)).
    pub fn receive_icmp(&mut self) -> Option<IcmpError> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        while self.icmp {
            match crate::error_queue::take(&self.io) {
                Ok(Some(error)) => {
                    self.counters.udp_icmp_errors += 1;
                    let destination = comparable(error.destination);
                    return Some(IcmpError { destination, ..error });
                }
                // One entry less: there is an end.
                Ok(None) => {}
                Err(_) => break,
            }
        }
        None
    }

    fn fill(&mut self, batch: &mut RecvBatch, few: bool) -> bool {
        // An error that an ICMP message left behind is gone once it is read; one that stays must not hold the thread.
        for _ in 0..MAX_FAILURES {
            match batch.fill(&self.state, UdpSockRef::from(&self.io), self.local, few) {
                Ok(()) => {
                    self.traffic.udp_receive_calls += 1;
                    self.traffic.udp_received_datagrams += batch.datagram_count();
                    self.traffic.udp_received_bytes += batch.byte_count();
                    self.counters.udp_empty_datagrams += batch.empty_count();
                    return true;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                // `receive_icmp` tells it.
                Err(error) if self.icmp && may_be_of_earlier(&error) => {}
                Err(_) => self.counters.udp_receive_failed += 1,
            }
        }
        false
    }

    /// The source address that a message gets which is to leave from `local`; with `None` the kernel chooses. What is
    /// told to the kernel names the address that a socket is bound to, too: told to choose, Linux takes any of the way
    /// out.
    pub(crate) fn source(&self, local: SocketAddr) -> Option<IpAddr> {
        let bound = self.local.ip();
        let source = if bound.is_unspecified() { local.ip() } else { bound };
        (!source.is_unspecified()).then_some(source)
    }
}

impl Source for Socket {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.io.register(registry, token, interests)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.io.reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.io.deregister(registry)
    }
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket")
            .field("local", &self.local)
            .field("segmentation", &self.segmentation)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_wildcard_leaves_the_port_to_ipv4() {
        let v6 = Socket::bind("[::]:0".parse().unwrap()).unwrap();
        let v4 = Socket::bind(SocketAddr::new("0.0.0.0".parse().unwrap(), v6.local_addr().port())).unwrap();
        assert_eq!(v4.local_addr().port(), v6.local_addr().port());
    }

    #[test]
    fn buffers_are_as_large_as_is_asked() {
        let address = "127.0.0.1:0".parse().unwrap();
        let room = |socket: Socket| {
            let socket = std::net::UdpSocket::from(socket.io);
            socket2::SockRef::from(&socket).recv_buffer_size().unwrap()
        };
        let small = room(Socket::bind_with_buffers(address, 64 << 10).unwrap());
        // Linux counts its own needs in, and says the double.
        assert!((64 << 10..=128 << 10).contains(&small), "{small}");
        assert!(room(Socket::bind(address).unwrap()) > small);
    }

    #[test]
    fn a_batch_that_is_not_full_has_emptied_the_socket() {
        let mut socket = Socket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut batch = RecvBatch::new();
        for receive in [Socket::receive, Socket::receive_few] {
            assert!(!receive(&mut socket, &mut batch) && batch.is_empty() && !batch.is_full());
            for number in 0..101_u8 {
                sender.send_to(&[number], socket.local_addr()).unwrap();
            }
            let mut got = Vec::new();
            loop {
                assert!(receive(&mut socket, &mut batch));
                let before = got.len();
                got.extend(batch.datagrams().map(|datagram| datagram.data[0]));
                assert_eq!(got.len() - before, batch.len());
                if !batch.is_full() {
                    break;
                }
            }
            assert_eq!(got, (0..101).collect::<Vec<_>>());
            assert!(!receive(&mut socket, &mut batch) && batch.is_empty());
        }
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[test]
    fn the_kernel_tells_what_is_read_and_no_more() {
        for (address, told) in [("127.0.0.1:0", false), ("0.0.0.0:0", true)] {
            let socket = Socket::bind(address.parse().unwrap()).unwrap();
            let port = socket.local_addr().port();
            let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            sender.send_to(b"x", ("127.0.0.1", port)).unwrap();
            let mut bytes = [0; 8];
            let mut meta = [quinn_udp::RecvMeta::default()];
            let mut slices = [io::IoSliceMut::new(&mut bytes)];
            let io = UdpSockRef::from(&socket.io);
            assert_eq!(socket.state.recv(io, &mut slices, &mut meta).unwrap(), 1);
            assert_eq!((meta[0].dst_ip.is_some(), meta[0].timestamp), (told, None));
        }
    }

    #[test]
    fn a_taken_port_is_an_error() {
        let first = Socket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let error = Socket::bind(first.local_addr()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
    }
}
