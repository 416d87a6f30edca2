use std::net::SocketAddr;
use std::time::Instant;

use mio::net::TcpListener;
use turn::{IcmpError, RelayId};
use udp::Socket;

use super::{BATCHES_PER_TURN, CLIENT_SOCKETS, ERRORS_PER_TURN, KIND, Thread};
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

/// What comes to relay sockets.
impl Thread {
    /// Reads what the network has answered to datagrams to peers. True when there may be more.
    pub(super) fn receive_errors(&mut self, now: Instant, index: usize) -> bool {
        for _ in 0..ERRORS_PER_TURN {
            let Some(relay) = self.relays.get_mut(index).and_then(Option::as_mut) else {
                return false;
            };
            let Some((peer, error)) = relay.next_error() else {
                return false;
            };
            self.engine.handle_icmp(now, relay.id, peer, error, &mut self.out);
            self.make_room();
        }
        true
    }

    /// Reads what peers have sent. True when there may be more.
    pub(super) fn receive_from_peers(&mut self, now: Instant, index: usize) -> bool {
        for batch in 0..BATCHES_PER_TURN {
            let Some(relay) = self.relays.get_mut(index).and_then(Option::as_mut) else {
                return false;
            };
            let id = relay.id;
            match &mut relay.socket {
                RelaySocket::Tcp(_) => return self.accept_from_peers(now, index),
                RelaySocket::Udp(socket) => {
                    // A client has few peers, and what one of them sends is joined.
                    let received = match batch {
                        0 => socket.receive_few(&mut self.received),
                        _ => socket.receive(&mut self.received),
                    };
                    if !received {
                        return false;
                    }
                }
            }
            self.pace.count(self.received.len());
            for datagram in self.received.datagrams() {
                let (peer, ecn) = (datagram.path.remote, datagram.ecn);
                self.engine
                    .handle_relayed(now, id, peer, ecn, datagram.data, &mut self.out);
                self.out.slab.make_room(&mut Ports {
                    sockets: &mut self.sockets,
                    relays: &mut self.relays,
                });
            }
            if !self.received.is_full() {
                return false;
            }
        }
        true
    }
}
