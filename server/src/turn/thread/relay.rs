use std::net::SocketAddr;

use mio::net::TcpListener;
use turn::{IcmpError, RelayId};
use udp::Socket;

use super::{CLIENT_SOCKETS, KIND};
use crate::turn::DriverCounters;
use crate::turn::slab::Sockets;

/// A relay socket, or the listener of a TCP allocation.
pub(super) struct Relay {
    pub(super) id: RelayId,
    pub(super) socket: RelaySocket,
    /// Whether it may have ICMP errors to tell.
    pub(super) failed: bool,
    /// What of its counters is in ours.
    pub(super) told: udp::Counters,
}

pub(super) enum RelaySocket {
    Udp(Box<Socket>),
    Tcp(TcpListener),
}

impl Relay {
    /// The next ICMP error, and to which peer the datagram was to go.
    pub(super) fn next_error(&mut self) -> Option<(SocketAddr, IcmpError)> {
        let RelaySocket::Udp(socket) = &mut self.socket else {
            return None;
        };
        // To ask is a system call.
        let error = self.failed.then(|| socket.receive_icmp()).flatten();
        self.failed = error.is_some();
        error.map(|error| {
            let told = IcmpError {
                kind: error.kind,
                code: error.code,
                mtu: error.info,
            };
            (error.destination, told)
        })
    }

    /// What its socket has counted since this was asked last.
    pub(super) fn news(&mut self) -> DriverCounters {
        let RelaySocket::Udp(socket) = &self.socket else {
            return DriverCounters::default();
        };
        let counted = socket.counters();
        let before = std::mem::replace(&mut self.told, counted);
        of_socket(&counted, &before)
    }
}

pub(super) fn of_socket(counted: &udp::Counters, before: &udp::Counters) -> DriverCounters {
    DriverCounters {
        turn_udp_kernel_dropped: counted.udp_kernel_dropped.saturating_sub(before.udp_kernel_dropped),
        turn_udp_receive_failed: counted.udp_receive_failed.saturating_sub(before.udp_receive_failed),
        turn_udp_send_refused: counted.udp_send_refused.saturating_sub(before.udp_send_refused),
        turn_udp_send_blocked: counted.udp_send_blocked.saturating_sub(before.udp_send_blocked),
        ..DriverCounters::default()
    }
}

/// The sockets of the thread, by the numbers of their tokens.
pub(super) struct Ports<'a> {
    pub(super) sockets: &'a mut [Socket],
    pub(super) relays: &'a mut [Option<Relay>],
}

impl Sockets for Ports<'_> {
    fn socket(&mut self, number: usize) -> Option<&mut Socket> {
        let index = number & !KIND;
        if number & KIND == CLIENT_SOCKETS {
            return self.sockets.get_mut(index);
        }
        match &mut self.relays.get_mut(index)?.as_mut()?.socket {
            RelaySocket::Udp(socket) => Some(socket),
            RelaySocket::Tcp(_) => None,
        }
    }
}
