use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use crate::allocations;
use crate::rounds::thread_time;

/// No datagram is longer.
pub(super) const DATAGRAM: usize = 1200;

/// So many messages are looked at as a whole.
const CHECKED: u32 = 64;

/// One end of a connection with a data channel, without a network.
pub(super) trait End {
    /// Whether messages can be sent.
    fn is_open(&self) -> bool;
    /// Bytes of messages that it was given and that have not arrived, as far as it knows.
    fn held(&mut self) -> usize;
    /// So many of those have arrived: for who has no acknowledgements.
    fn arrived(&mut self, _bytes: usize) {}
    fn send(&mut self, now: Instant, message: Bytes);
    /// Writes the next datagram.
    fn poll(&mut self, now: Instant, out: &mut [u8]) -> Option<usize>;
    fn handle(&mut self, now: Instant, datagram: &mut [u8]);
    /// Follows a batch of datagrams, or a timeout.
    fn settle(&mut self, _now: Instant) {}
    fn due(&mut self) -> Option<Instant>;
    fn handle_timeout(&mut self, now: Instant);
    fn inbox(&mut self) -> &mut Inbox;
}

/// What has arrived.
#[derive(Default)]
pub(super) struct Inbox {
    pub(super) bytes: u64,
    /// What messages begin with is counted up, so that those that are lost or twice are noticed.
    next: u32,
}

impl Inbox {
    pub(super) fn take(&mut self, message: &[u8]) {
        self.bytes += message.len() as u64;
        assert_eq!(message.first_chunk(), Some(&self.next.to_be_bytes()));
        assert_eq!(message.last(), Some(&filling(message.len() - 1)));
        if self.next < CHECKED {
            let mut rest = message.iter().enumerate().skip(4);
            assert!(rest.all(|(n, byte)| *byte == filling(n)));
        }
        self.next += 1;
    }
}

/// Messages to be sent, each in memory of its own.
pub(super) struct Outbox {
    len: usize,
    next: u32,
    messages: VecDeque<Bytes>,
}

impl Outbox {
    pub(super) fn new(len: usize) -> Self {
        Self {
            len,
            next: 0,
            messages: VecDeque::new(),
        }
    }

    /// How long messages are.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Makes messages of so many bytes together; how many bytes that are.
    pub(super) fn fill(&mut self, bytes: usize) -> u64 {
        let count = bytes.div_ceil(self.len);
        for _ in 0..count {
            let mut message: Vec<u8> = (0..self.len).map(filling).collect();
            message[..4].copy_from_slice(&self.next.to_be_bytes());
            self.next += 1;
            self.messages.push_back(Bytes::from(message));
        }
        (count * self.len) as u64
    }

    /// Gives messages away as long as the end holds `room` bytes at most.
    pub(super) fn give(&mut self, now: Instant, end: &mut impl End, room: usize) {
        while end.held() + self.len <= room
            && let Some(message) = self.messages.pop_front()
        {
            end.send(now, message);
        }
    }
}

/// What `work` costs that carries so many bytes: CPU time of the thread in ns, and allocations, per megabyte.
pub(super) fn cost(bytes: u64, work: impl FnOnce()) -> (f64, f64) {
    let start = (thread_time(), allocations::so_far());
    work();
    let used = (thread_time() - start.0, allocations::so_far() - start.1);
    let megabytes = bytes as f64 / 1e6;
    (used.0.as_nanos() as f64 / megabytes, used.1 as f64 / megabytes)
}

fn filling(n: usize) -> u8 {
    (n * 7) as u8
}
