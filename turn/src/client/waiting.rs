use std::collections::VecDeque;
use std::net::SocketAddr;

/// What one piece of data costs beyond its bytes, so that empty ones are bounded as well.
const OVERHEAD: usize = 64;

/// Data that waits for the CreatePermission that goes before it.
#[derive(Debug)]
pub(crate) struct Waiting {
    queue: VecDeque<(SocketAddr, Box<[u8]>)>,
    bytes: usize,
    limit: usize,
}

impl Waiting {
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            queue: VecDeque::new(),
            bytes: 0,
            limit,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether there was room.
    pub(crate) fn push(&mut self, peer: SocketAddr, data: &[u8]) -> bool {
        let bytes = self.bytes.saturating_add(data.len()).saturating_add(OVERHEAD);
        if bytes > self.limit {
            return false;
        }
        self.bytes = bytes;
        self.queue.push_back((peer, data.into()));
        true
    }

    /// The oldest.
    pub(crate) fn front(&self) -> Option<(SocketAddr, &[u8])> {
        self.queue.front().map(|(peer, data)| (*peer, &**data))
    }

    pub(crate) fn pop(&mut self) {
        if let Some((_, data)) = self.queue.pop_front() {
            self.bytes = self.bytes.saturating_sub(data.len().saturating_add(OVERHEAD));
        }
    }

    /// Drops what waits for a peer; how many pieces.
    pub(crate) fn forget(&mut self, peer: &SocketAddr) -> u64 {
        let (before, mut bytes) = (self.queue.len(), 0_usize);
        self.queue.retain(|(to, data)| {
            let kept = to != peer;
            if kept {
                bytes = bytes.saturating_add(data.len()).saturating_add(OVERHEAD);
            }
            kept
        });
        self.bytes = bytes;
        u64::try_from(before.saturating_sub(self.queue.len())).unwrap_or(u64::MAX)
    }

    pub(crate) fn clear(&mut self) {
        self.queue.clear();
        self.bytes = 0;
    }
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
}
