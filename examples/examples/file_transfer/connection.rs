//! A peer and its socket.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dtls_srtp::{Certificate, RingCrypto};
use peer::{ChannelEvent, Config, Event, Peer, Sink, State};
use rand::TryRng;
use rand::rngs::SysRng;
use socket2::SockRef;
use wire::{Path, Seed};

use crate::Failure;

/// Asked for; Linux gives no more than `net.core.rmem_max`.
const RECEIVE_BUFFER: usize = 4 << 20;

/// A peer and the one socket that it has.
pub(crate) struct Connection {
    pub(crate) peer: Peer,
    socket: UdpSocket,
    local: SocketAddr,
    buffer: Vec<u8>,
}

impl Connection {
    /// Reached at `address`; the operating system chooses the port.
    pub(crate) fn new(address: IpAddr) -> Result<Self, Failure> {
        let dtls = dtls_srtp::Config::new(Arc::new(RingCrypto::new()), Certificate::generate()?);
        let config = Config {
            application: true,
            ..Config::full(Arc::new(dtls))
        };
        let mut seed = Seed([0; 32]);
        SysRng.try_fill_bytes(&mut seed.0)?;
        let socket = UdpSocket::bind((address, 0))?;
        // What the system has for a socket by default holds fewer datagrams than come at a time.
        SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER)?;
        let local = socket.local_addr()?;
        let now = Instant::now();
        let mut peer = Peer::new(Arc::new(config), seed, now);
        // The only candidate: descriptions have it, and nothing is trickled.
        peer.add_local_candidate(local);
        peer.end_of_local_candidates(now);
        Ok(Self {
            peer,
            socket,
            local,
            buffer: vec![0; 65_536],
        })
    }

    /// Sends what there is to send. Then it takes what comes or does what is due, and waits until `until` for that.
    pub(crate) fn turn(&mut self, until: Instant, sink: &mut impl Sink) -> io::Result<()> {
        self.flush();
        if self.peer.state() == State::Closed {
            return Ok(());
        }
        let due = self.peer.poll_timeout().map_or(until, |due| due.min(until));
        let wait = due.saturating_duration_since(Instant::now());
        if wait > Duration::ZERO {
            self.socket.set_read_timeout(Some(wait))?;
            match self.socket.recv_from(&mut self.buffer) {
                Ok((len, from)) => {
                    let path = Path::udp(self.local, from);
                    self.peer
                        .handle_datagram(Instant::now(), &path, &mut self.buffer[..len], sink);
                    return Ok(());
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return Err(error),
            }
        }
        self.peer.handle_timeout(Instant::now());
        Ok(())
    }

    /// Sends what there is to send. A run of datagrams lies in the buffer without a gap.
    pub(crate) fn flush(&mut self) {
        while let Some(transmit) = self.peer.poll_transmit(Instant::now(), &mut self.buffer) {
            let size = transmit.segment.map_or(transmit.len, |size| usize::from(size.get()));
            for datagram in self.buffer[..transmit.len].chunks(size) {
                // What the network does not take is lost, and sent again when it is missed.
                drop(self.socket.send_to(datagram, transmit.path.remote));
            }
        }
    }
}

/// Why an event is the end of a connection, where it is one.
pub(crate) fn end(event: &Event) -> Option<String> {
    match event {
        Event::Failed => {
            Some("the other end is not reached: has it ended, or does a firewall keep UDP away?".to_owned())
        }
        Event::Channel(ChannelEvent::Closed(_)) => Some("the other end has closed the channel".to_owned()),
        Event::DataClosed(reason) => Some(reason.to_string()),
        Event::Closed { reason } => Some(reason.to_string()),
        _ => None,
    }
}
