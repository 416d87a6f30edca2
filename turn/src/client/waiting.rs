use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

/// What one piece of data costs beyond its bytes, so that empty ones are bounded as well.
const OVERHEAD: usize = 64;

/// Data that waits for the CreatePermission that goes before it, and such that went behind one that is not answered.
#[derive(Debug)]
pub(crate) struct Waiting {
    queue: VecDeque<(SocketAddr, Box<[u8]>)>,
    /// Sent behind its request: should that be challenged, the server has not taken this either.
    sent: VecDeque<(SocketAddr, Box<[u8]>)>,
    /// Of both.
    bytes: usize,
    limit: usize,
}

impl Waiting {
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            queue: VecDeque::new(),
            sent: VecDeque::new(),
            bytes: 0,
            limit,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether there was room. What was sent already makes some.
    pub(crate) fn push(&mut self, peer: SocketAddr, data: &[u8]) -> bool {
        let cost = cost(data);
        while self.bytes.saturating_add(cost) > self.limit {
            let Some((_, oldest)) = self.sent.pop_front() else {
                return false;
            };
            self.bytes = self.bytes.saturating_sub(self::cost(&oldest));
        }
        self.bytes = self.bytes.saturating_add(cost);
        self.queue.push_back((peer, data.into()));
        true
    }

    /// The oldest.
    pub(crate) fn front(&self) -> Option<(SocketAddr, &[u8])> {
        self.queue.front().map(|(peer, data)| (*peer, &**data))
    }

    pub(crate) fn pop(&mut self) {
        if let Some((_, data)) = self.queue.pop_front() {
            self.bytes = self.bytes.saturating_sub(cost(&data));
        }
    }

    /// As [`pop`](Self::pop), of what goes behind a request that is not answered yet: it is kept until then.
    pub(crate) fn keep(&mut self) {
        self.sent.extend(self.queue.pop_front());
    }

    /// The request for these addresses was answered, or is given up.
    pub(crate) fn settle(&mut self, addresses: &[IpAddr]) {
        self.sent.retain(|(to, _)| !addresses.contains(&to.ip()));
        self.count();
    }

    /// The request for these addresses is sent again, and so is what went behind it.
    pub(crate) fn repeat(&mut self, addresses: &[IpAddr]) {
        let sent = std::mem::take(&mut self.sent);
        let (mut again, kept): (VecDeque<_>, _) = sent.into_iter().partition(|(to, _)| addresses.contains(&to.ip()));
        self.sent = kept;
        again.append(&mut self.queue);
        self.queue = again;
    }

    /// Drops what waits for a peer; how many pieces.
    pub(crate) fn forget(&mut self, peer: &SocketAddr) -> u64 {
        let before = self.queue.len();
        self.queue.retain(|(to, _)| to != peer);
        self.sent.retain(|(to, _)| to != peer);
        self.count();
        u64::try_from(before.saturating_sub(self.queue.len())).unwrap_or(u64::MAX)
    }

    fn count(&mut self) {
        let pieces = self.queue.iter().chain(&self.sent);
        self.bytes = pieces.fold(0, |bytes, (_, data)| bytes.saturating_add(cost(data)));
    }

    pub(crate) fn clear(&mut self) {
        self.queue.clear();
        self.sent.clear();
        self.bytes = 0;
    }
}

const fn cost(data: &[u8]) -> usize {
    data.len().saturating_add(OVERHEAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_counts_bytes_and_pieces() {
        let peer = |port| SocketAddr::from(([192, 0, 2, 1], port));
        let mut waiting = Waiting::new(2 * OVERHEAD + 10);
        assert!(waiting.push(peer(1), &[0; 10]));
        assert!(waiting.push(peer(2), &[]));
        assert!(!waiting.push(peer(2), &[]));
        assert_eq!(waiting.forget(&peer(1)), 1);
        assert!(!waiting.push(peer(1), &[0; 11]));
        assert!(waiting.push(peer(1), &[0; 10]));
        assert_eq!(waiting.front(), Some((peer(2), &[][..])));
        waiting.pop();
        waiting.pop();
        waiting.pop();
        assert!(waiting.is_empty() && waiting.bytes == 0);
    }

    #[test]
    fn what_was_sent_comes_again_in_its_order_and_makes_room() {
        let peer = |host| SocketAddr::from(([192, 0, 2, host], 1));
        let mut waiting = Waiting::new(4 * OVERHEAD + 4);
        for (host, byte) in [(1, 1), (2, 2), (1, 3), (1, 4)] {
            assert!(waiting.push(peer(host), &[byte]));
        }
        for _ in 0..3 {
            waiting.keep();
        }
        waiting.repeat(&[peer(1).ip()]);
        for (host, byte) in [(1, 1), (1, 3), (1, 4)] {
            assert_eq!(waiting.front(), Some((peer(host), &[byte][..])));
            waiting.keep();
        }
        assert_eq!(waiting.bytes, 4 * OVERHEAD + 4);
        // The oldest that was sent goes.
        assert!(waiting.push(peer(3), &[5]));
        waiting.repeat(&[peer(2).ip()]);
        assert_eq!(waiting.front(), Some((peer(3), &[5][..])));
        waiting.settle(&[peer(1).ip()]);
        assert_eq!(waiting.bytes, OVERHEAD + 1);
        waiting.keep();
        assert_eq!(waiting.forget(&peer(3)), 0);
        assert_eq!(waiting.bytes, 0);
    }
}
