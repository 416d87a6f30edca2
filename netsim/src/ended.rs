use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::hasher::Map;

/// Twice the maximum segment lifetime of RFC 9293 §3.4.2.
const LIFETIME: u64 = 2 * 120_000_000_000;

/// Both ends of a connection, ours first.
type Ends = (SocketAddr, SocketAddr);

/// A connection that has ended well: what a late segment of it is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// Our next sequence number.
    pub(crate) seq: u64,
    /// The peer's.
    pub(crate) ack: u64,
}

/// The connections of a host that have ended well in the last four minutes: what TIME-WAIT is for, at either end and
/// without a timer.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    connections: Map<Ends, (u64, Numbers)>,
    /// In the order of their ends. Some are no longer there, or there once more.
    order: VecDeque<(u64, Ends)>,
}

impl Ended {
    pub(crate) fn insert(&mut self, now: u64, ends: Ends, numbers: Numbers) {
        while let Some((at, oldest)) = self.order.pop_front_if(|(at, _)| *at + LIFETIME <= now) {
            if self.connections.get(&oldest).is_some_and(|&(ended, _)| ended == at) {
                self.connections.remove(&oldest);
            }
        }
        self.connections.insert(ends, (now, numbers));
        self.order.push_back((now, ends));
    }

    /// There is a new connection between the same ends.
    pub(crate) fn remove(&mut self, ends: Ends) {
        self.connections.remove(&ends);
    }

    pub(crate) fn get(&self, now: u64, ends: Ends) -> Option<Numbers> {
        let &(at, numbers) = self.connections.get(&ends)?;
        (now < at + LIFETIME).then_some(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_ends_after_four_minutes() {
        let ends = |port| {
            (
                SocketAddr::from(([10, 0, 0, 1], port)),
                SocketAddr::from(([10, 0, 0, 2], 1)),
            )
        };
        let numbers = Numbers { seq: 1, ack: 2 };
        let mut ended = Ended::default();
        for second in 0..10_000 {
            let now = second * 1_000_000_000;
            ended.insert(now, ends(second as u16), numbers);
            // The same ends every second, too.
            ended.insert(now, ends(60_000), numbers);
            assert!(ended.connections.len() <= 241 && ended.order.len() <= 480);
        }
        let now = 9_999_000_000_000;
        assert_eq!(ended.get(now, ends(9760)), Some(numbers));
        assert_eq!(ended.get(now, ends(9759)), None);
        assert_eq!(ended.get(now, ends(60_000)), Some(numbers));
        ended.remove(ends(60_000));
        assert_eq!(ended.get(now, ends(60_000)), None);
    }
}
