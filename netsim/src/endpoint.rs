use std::any::Any;
use std::net::IpAddr;
use std::time::Instant;

use wire::{Ecn, Path, Transmit};

use crate::packet::IcmpError;
use crate::sockets::Sockets;

/// Something that runs on a host: an engine, or a few of them, and what a shell would do around them.
///
/// The first four methods have the shape of every engine of Hyaline, and the simulation relies on their contract:
///
/// - After any input it calls [`poll_sockets`](Self::poll_sockets) once, then [`poll_transmit`](Self::poll_transmit)
///   until `None`, and then asks [`poll_timeout`](Self::poll_timeout), which says when
///   [`handle_timeout`](Self::handle_timeout) is due; `None` is never.
/// - Time never runs backwards. All inputs of one moment have the same `now`.
/// - Spurious calls of `handle_timeout` do nothing. After one that was due, `poll_timeout` says something later, or
///   `None`: who says otherwise again and again is reported as [`Stuck`](crate::Stuck).
pub trait Endpoint: Any {
    /// A UDP datagram came to a socket of this endpoint: `path.local` is where it came to. The bytes may be changed.
    fn handle_datagram(&mut self, now: Instant, path: &Path, ecn: Ecn, data: &mut [u8]);

    /// The time that `poll_timeout` told has come.
    fn handle_timeout(&mut self, now: Instant);

    /// Writes what is to be sent next into `out`, which has [`MAX_TRANSMIT`](crate::MAX_TRANSMIT) bytes. A run of
    /// datagrams is split. `path.local` must be a bound port of this endpoint, an address of the host and no wildcard.
    ///
    /// With [`Protocol::Tcp`](wire::Protocol::Tcp) the bytes are appended to the stream of the connection with that
    /// path, as they are: framing is the endpoint's business. They are taken whole, or dropped whole when the send
    /// buffer has no room or there is no such connection ([`SocketCounters`](crate::SocketCounters)); who wants to know
    /// writes with [`Sockets::write`].
    fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<Transmit>;

    /// When `handle_timeout` is due. Asked after `poll_transmit` gave `None`.
    fn poll_timeout(&self) -> Option<Instant>;

    /// Something else happened: an error of UDP, anything of TCP, a change of addresses.
    fn handle_event(&mut self, now: Instant, event: Event<'_>) {
        let _ = (now, event);
    }

    /// The place to bind, connect, write and close, called after each input and before `poll_transmit`.
    fn poll_sockets(&mut self, now: Instant, sockets: &mut Sockets<'_>) {
        let _ = (now, sockets);
    }
}

/// What happens besides datagrams and time.
#[derive(Debug)]
pub enum Event<'a> {
    /// A datagram that was sent on this path has met an error: an ICMP message came back, or the host's own link was
    /// too narrow. Any number of datagrams may cause it, or the error may get lost.
    Error {
        /// The path, as it was when the datagram was sent.
        path: Path,
        /// What it was.
        error: IcmpError,
    },
    /// Something happened to a TCP connection.
    Tcp {
        /// The connection.
        path: Path,
        /// What it was.
        event: TcpEvent<'a>,
    },
    /// The host has a new address.
    AddressAdded(IpAddr),
    /// The host has lost an address. Sockets stay bound to it, and nothing comes or goes through them.
    AddressRemoved(IpAddr),
}

/// What happens to a TCP connection. After `Failed`, `Reset`, `TimedOut` and `Closed` it is gone.
#[derive(Debug)]
pub enum TcpEvent<'a> {
    /// It is open, and this end has opened it.
    Connected,
    /// It is open, and the peer has opened it to a port that this endpoint listens on.
    Accepted,
    /// It could not be opened.
    Failed(ConnectError),
    /// The next bytes of the peer, in order.
    Data(&'a mut [u8]),
    /// A write that was not taken whole would be taken now, at least in part: half of the send buffer is free.
    Writable,
    /// The peer will send nothing more. Writing is still possible, until [`Sockets::finish`].
    Finished,
    /// The peer has reset it.
    Reset,
    /// The peer has not acknowledged anything for too long.
    TimedOut,
    /// Both ends have finished, and everything has arrived.
    Closed,
}

/// Why a connection could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectError {
    /// Nobody listens there, or a NAT or firewall said so.
    Refused,
    /// Nobody answered.
    TimedOut,
    /// An ICMP error came.
    Unreachable(IcmpError),
}
