use super::connection::ConnectionId;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Instant;

/// What ends at a time. Numbers are those of the slabs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A relayed transport address: of an allocation, or reserved.
    Relay(u32),
    /// A permission of an allocation.
    Permission(u32, IpAddr),
    /// A channel of an allocation.
    Channel(u32, u16),
    /// A peer's connection that is not open or not claimed yet.
    Connection(ConnectionId),
}

/// Every time at which something ends, in order: each in there exactly once, so that it is as large as what exists.
#[derive(Debug, Default)]
pub(super) struct Timers(BTreeSet<(Instant, Timer)>);

impl Timers {
    pub(super) fn arm(&mut self, at: Instant, timer: Timer) {
        self.0.insert((at, timer));
    }

    pub(super) fn cancel(&mut self, at: Instant, timer: Timer) {
        self.0.remove(&(at, timer));
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.0.first().map(|&(at, _)| at)
    }

    /// The earliest that is due.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        self.0.pop_first().map(|(_, timer)| timer)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn timers_come_when_due_and_in_order() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let mut timers = Timers::default();
        timers.arm(later, Timer::Relay(1));
        timers.arm(now, Timer::Channel(2, 0x4000));
        timers.arm(later, Timer::Relay(3));
        timers.cancel(later, Timer::Relay(1));
        timers.cancel(now, Timer::Relay(3));
        assert_eq!((timers.next(), timers.len()), (Some(now), 2));
        assert_eq!(timers.pop(now), Some(Timer::Channel(2, 0x4000)));
        assert_eq!(timers.pop(now), None);
        assert_eq!(timers.pop(later), Some(Timer::Relay(3)));
        assert_eq!((timers.next(), timers.len()), (None, 0));
    }
}
