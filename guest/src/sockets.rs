use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use wire::{Path, Protocol};

use crate::connections::Connections;
use crate::interfaces::Local;
use crate::relay_streams::RelayStreams;

/// Where all that a peer says leaves.
pub(crate) struct Sockets {
    /// One for each address of the machine.
    pub(crate) udp: Vec<Udp>,
    pub(crate) streams: RelayStreams,
    pub(crate) connections: Connections,
    /// The system has refused a datagram as it does where an address is gone.
    pub(crate) refused: bool,
}

/// A socket of UDP.
pub(crate) struct Udp {
    pub(crate) address: SocketAddr,
    /// That of [`Local`].
    pub(crate) preference: u8,
    socket: UdpSocket,
    waits: bool,
}

/// What has become of the sockets.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Of which sockets the address is gone.
    pub(crate) gone: Vec<SocketAddr>,
    /// Which are new, with their preference.
    pub(crate) come: Vec<(SocketAddr, u8)>,
    /// Why one could not be had: the last reason.
    pub(crate) refusal: Option<String>,
}

/// What waits for a guest that the machine holds up: more than a second of sixteen pictures. The kernel gives less
/// where `net.core.rmem_max` is less.
const KERNEL_BUFFER: usize = 4 << 20;
/// Sockets of UDP at most: a machine with containers may have hundreds of addresses.
const MOST: usize = 16;
/// Datagrams that are taken at once from one socket: other work waits.
const DATAGRAMS: usize = 64;

impl Sockets {
    pub(crate) fn new(streams: RelayStreams) -> Self {
        Self {
            udp: Vec::new(),
            streams,
            connections: Connections::default(),
            refused: false,
        }
    }

    /// Has a socket for each of these addresses, the first ones first, and none for others. One that cannot be had now
    /// may be had the next time: an address of IPv6 is tried by the system before it is given.
    pub(crate) fn follow(&mut self, locals: &[Local]) -> Changes {
        let mut changes = Changes::default();
        self.udp.retain(|udp| {
            let stays = locals.iter().any(|local| local.ip == udp.address.ip());
            if !stays {
                changes.gone.push(udp.address);
            }
            stays
        });
        for local in locals {
            let is_there = self.udp.iter().any(|udp| udp.address.ip() == local.ip);
            if is_there || self.udp.len() >= MOST {
                continue;
            }
            match Udp::bind(*local) {
                Ok(udp) => {
                    changes.come.push((udp.address, udp.preference));
                    self.udp.push(udp);
                }
                Err(error) => changes.refusal = Some(format!("{}: {error}", local.ip)),
            }
        }
        changes
    }

    /// Whether an address is that of a socket here.
    pub(crate) fn has(&self, address: SocketAddr) -> bool {
        self.udp.iter().any(|udp| udp.address == address)
    }

    /// Gives all datagrams that are here with their paths, or waits for one, but no longer than this, on the socket
    /// whose address is `main`: that of the call. What comes to others is found afterwards.
    pub(crate) fn receive(&mut self, main: Option<SocketAddr>, wait: Duration, mut take: impl FnMut(&Path, &mut [u8])) {
        if let Some(main) = self.udp.iter().position(|udp| Some(udp.address) == main) {
            self.udp.swap(0, main);
        }
        let Some((main, others)) = self.udp.split_first_mut() else {
            // Until there is a network again.
            return std::thread::sleep(wait);
        };
        main.receive(Some(wait), &mut take);
        for other in others {
            other.receive(None, &mut take);
        }
    }

    /// Sends, or loses, what the peer has for a path.
    pub(crate) fn send(&mut self, path: &Path, bytes: &[u8]) {
        match path.protocol {
            Protocol::Udp => {
                let udp = self.udp.iter().find(|udp| udp.address == path.local);
                let sent = udp.map(|udp| udp.socket.send_to(bytes, path.remote));
                self.refused |= sent.is_some_and(|sent| sent.is_err_and(|error| may_be_gone(error.kind())));
            }
            Protocol::Tcp if self.connections.send(path, bytes) => {}
            Protocol::Tcp => self.streams.send(path, bytes),
        }
    }
}

/// Whether the system refuses so what leaves from an address that is gone: that nothing leads anywhere from there. A
/// firewall, a datagram that is too long and a full buffer have other errors, and a look at the addresses helps against
/// none of them.
const fn may_be_gone(error: ErrorKind) -> bool {
    matches!(
        error,
        ErrorKind::AddrNotAvailable
            | ErrorKind::InvalidInput
            | ErrorKind::NetworkUnreachable
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkDown
    )
}

impl Udp {
    fn bind(local: Local) -> io::Result<Self> {
        let socket = UdpSocket::bind(SocketAddr::new(local.ip, 0))?;
        // Less is not worth a refusal.
        let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(KERNEL_BUFFER);
        Ok(Self {
            address: socket.local_addr()?,
            preference: local.preference,
            socket,
            waits: true,
        })
    }

    /// Gives what is here; waits for it where there is a time for that.
    fn receive(&mut self, wait: Option<Duration>, take: &mut impl FnMut(&Path, &mut [u8])) {
        if self.waits != wait.is_some() {
            self.waits = wait.is_some();
            let _ = self.socket.set_nonblocking(!self.waits);
        }
        if let Some(wait) = wait {
            let _ = self.socket.set_read_timeout(Some(wait));
        }
        let mut data = [0; 2048];
        for _ in 0..DATAGRAMS {
            match self.socket.recv_from(&mut data) {
                Ok((len, from)) => {
                    let data = data.get_mut(..len).unwrap_or_default();
                    take(&Path::udp(self.address, from), data);
                }
                // An error of an earlier datagram, or none is here.
                Err(_) => break,
            }
            if wait.is_some() {
                let _ = self.socket.set_read_timeout(Some(Duration::from_micros(1)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;

    use super::*;
    use crate::trust::Trust;

    fn sockets() -> Sockets {
        Sockets::new(RelayStreams::new(Arc::new(Trust::in_nobody())))
    }

    fn local(last: u8) -> Local {
        Local {
            ip: [127, 0, 0, last].into(),
            preference: last,
        }
    }

    fn ips(addresses: impl IntoIterator<Item = SocketAddr>) -> Vec<IpAddr> {
        addresses.into_iter().map(|address| address.ip()).collect()
    }

    #[test]
    fn the_kernel_keeps_what_comes_while_a_guest_is_held_up() {
        let udp = Udp::bind(local(1)).unwrap();
        let most = std::fs::read_to_string("/proc/sys/net/core/rmem_max").unwrap();
        let most: usize = most.trim().parse().unwrap();
        let size = socket2::SockRef::from(&udp.socket).recv_buffer_size().unwrap();
        // Linux adds as much for its own bookkeeping (socket(7)).
        assert_eq!(size, 2 * KERNEL_BUFFER.min(most));
    }

    #[test]
    fn sockets_follow_the_addresses() {
        let mut sockets = sockets();
        let changes = sockets.follow(&[local(1), local(2), local(1)]);
        assert_eq!(changes.gone, []);
        let preferences: Vec<u8> = changes.come.iter().map(|(_, preference)| *preference).collect();
        assert_eq!(preferences, [1, 2]);
        let (first, second) = (changes.come[0].0, changes.come[1].0);
        assert_eq!(ips([first, second]), [local(1).ip, local(2).ip]);
        // What stays is left alone, in whatever order, and as much as it is preferred by now.
        let preferred = Local {
            preference: 9,
            ..local(1)
        };
        assert_eq!(sockets.follow(&[local(2), preferred]), Changes::default());
        assert!(sockets.has(first) && sockets.has(second));

        let changes = sockets.follow(&[local(3), local(2)]);
        assert_eq!(changes.gone, [first]);
        assert_eq!(ips(changes.come.iter().map(|(address, _)| *address)), [local(3).ip]);
        assert!(!sockets.has(first) && sockets.has(second));

        let changes = sockets.follow(&[]);
        assert_eq!((changes.gone.len(), changes.come.len()), (2, 0));
        assert!(sockets.udp.is_empty());
        // One that comes back has another port, and is another address.
        assert_eq!(sockets.follow(&[local(1)]).come.len(), 1);
    }

    #[test]
    fn an_address_that_cannot_be_had_yet_is_had_later_and_too_many_are_left_aside() {
        let mut sockets = sockets();
        // Of no machine (RFC 5737).
        let nobodys = Local {
            ip: [192, 0, 2, 1].into(),
            preference: 1,
        };
        let changes = sockets.follow(&[nobodys, local(1)]);
        assert_eq!(ips(changes.come.iter().map(|(come, _)| *come)), [local(1).ip]);
        assert!(changes.refusal.unwrap().starts_with("192.0.2.1: "));
        let many: Vec<Local> = (1..100).map(local).collect();
        assert_eq!(sockets.follow(&many).come.len(), MOST - 1);
        // Their places are free again when they are gone.
        let changes = sockets.follow(&many[MOST..]);
        assert_eq!((changes.gone.len(), changes.come.len()), (MOST, MOST));
    }

    #[test]
    fn what_comes_to_any_socket_is_taken_and_leaves_from_its_own() {
        let mut sockets = sockets();
        let come = sockets.follow(&[local(1), local(2), local(3)]).come;
        let addresses: Vec<SocketAddr> = come.iter().map(|(address, _)| *address).collect();
        let from = addresses[0];
        for main in [None, Some(addresses[2]), Some(addresses[1])] {
            for to in &addresses {
                sockets.send(&Path::udp(from, *to), b"hello");
            }
            let mut paths = Vec::new();
            sockets.receive(main, Duration::from_secs(20), |path, data| {
                assert_eq!(data, b"hello");
                paths.push(*path);
            });
            let first = main.unwrap_or(from);
            assert_eq!(paths[0], Path::udp(first, from), "that of the call is first");
            for to in &addresses {
                assert!(paths.contains(&Path::udp(*to, from)), "{to}");
            }
        }
        assert!(!sockets.refused);
        // From an address that is gone nothing leaves, and nothing is wrong.
        sockets.send(&Path::udp(SocketAddr::from(([127, 0, 0, 9], 9)), from), b"hello");
        assert!(!sockets.refused);
        // Loopback leads nowhere else.
        sockets.send(&Path::udp(from, SocketAddr::from(([192, 0, 2, 1], 9))), b"hello");
        assert!(sockets.refused);
        // Too much for one datagram: whatever addresses there are, it is.
        sockets.refused = false;
        sockets.send(&Path::udp(from, addresses[1]), &[0; 70_000]);
        assert!(!sockets.refused);
    }
}
