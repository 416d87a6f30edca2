//! The way between ours and a browser: it may be a long one.

use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// A datagram that is under way.
struct Flying {
    at: Instant,
    address: SocketAddr,
    bytes: Vec<u8>,
    round: u32,
}

/// A socket of ours, and the delay that is added to each direction. It counts round trips: what leaves before anything
/// has come that the browser sent after it had something of ours is of round 0, what leaves after that is of round 1, and so
/// on. However slow the machine is, what does not wait for the browser does not count more of them.
pub(crate) struct Way {
    socket: UdpSocket,
    delay: Duration,
    leaving: VecDeque<Flying>,
    coming: VecDeque<Flying>,
    /// The highest round of what has reached the browser.
    reached: Option<u32>,
    /// The round of what leaves now.
    round: u32,
    /// When the first connectivity check left.
    first_check: Option<Instant>,
}

impl Way {
    pub(crate) fn new(socket: UdpSocket, delay: Duration) -> Self {
        Self {
            socket,
            delay,
            leaving: VecDeque::new(),
            coming: VecDeque::new(),
            reached: None,
            round: 0,
            first_check: None,
        }
    }

    pub(crate) const fn is_long(&self) -> bool {
        !self.delay.is_zero()
    }

    /// How many round trips have passed.
    pub(crate) const fn round(&self) -> u32 {
        self.round
    }

    pub(crate) const fn first_check(&self) -> Option<Instant> {
        self.first_check
    }

    pub(crate) fn send(&mut self, now: Instant, address: SocketAddr, bytes: &[u8]) {
        // A Binding request (RFC 8489 §5).
        if bytes.starts_with(&[0, 1]) {
            self.first_check.get_or_insert(now);
        }
        self.leaving.push_back(Flying {
            at: now + self.delay,
            address,
            bytes: bytes.to_vec(),
            round: self.round,
        });
        self.flush(now);
    }

    /// What is to leave by now does.
    pub(crate) fn flush(&mut self, now: Instant) {
        // What came before is no answer to it.
        self.listen();
        while let Some(flying) = self.leaving.pop_front_if(|flying| flying.at <= now) {
            drop(self.socket.send_to(&flying.bytes, flying.address));
            self.reached = self.reached.max(Some(flying.round));
        }
    }

    /// The next datagram that has come by now, and from where.
    pub(crate) fn receive(&mut self, now: Instant) -> Option<(SocketAddr, Vec<u8>)> {
        self.listen();
        let flying = self.coming.pop_front_if(|flying| flying.at <= now)?;
        self.round = self.round.max(flying.round);
        Some((flying.address, flying.bytes))
    }

    fn listen(&mut self) {
        let mut data = [0; 2048];
        while let Ok((len, address)) = self.socket.recv_from(&mut data) {
            self.coming.push_back(Flying {
                at: Instant::now() + self.delay,
                address,
                bytes: data[..len].to_vec(),
                round: self.reached.map_or(0, |reached| reached + 1),
            });
        }
    }
}
