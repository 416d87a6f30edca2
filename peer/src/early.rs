use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Media that came before what it needs, and what else is known of each packet: the [`Path`](wire::Path) of those that
/// came before the keys (the peer's last handshake flight and its first packets may change places on the way), the
/// extended sequence number of those that came before the answer (which goes another way than they do).
#[derive(Debug)]
pub(crate) struct EarlyMedia<T> {
    packets: VecDeque<EarlyPacket<T>>,
    bytes: usize,
    /// What they waited for is there.
    released: bool,
}

/// One packet that waits.
#[derive(Debug)]
pub(crate) struct EarlyPacket<T> {
    pub(crate) arrival: Instant,
    pub(crate) known: T,
    pub(crate) data: Box<[u8]>,
}

impl<T> Default for EarlyMedia<T> {
    fn default() -> Self {
        Self {
            packets: VecDeque::new(),
            bytes: 0,
            released: false,
        }
    }
}

impl<T> EarlyMedia<T> {
    /// The most packets that wait.
    pub(crate) const MAX_PACKETS: usize = 32;
    /// The most bytes that wait: as many packets of a common path's size.
    pub(crate) const MAX_BYTES: usize = Self::MAX_PACKETS * 1500;
    /// How long a packet waits.
    pub(crate) const MAX_AGE: Duration = Duration::from_millis(200);

    /// Keeps a copy. False when there is no room: the first packets, which may begin a key frame, are worth more than
    /// the last.
    pub(crate) fn push(&mut self, arrival: Instant, known: T, data: &[u8]) -> bool {
        let fits = self.packets.len() < Self::MAX_PACKETS && self.bytes + data.len() <= Self::MAX_BYTES;
        if fits {
            self.bytes += data.len();
            self.packets.push_back(EarlyPacket {
                arrival,
                known,
                data: data.into(),
            });
        }
        fits
    }

    /// Takes the oldest.
    pub(crate) fn pop(&mut self) -> Option<EarlyPacket<T>> {
        let packet = self.packets.pop_front()?;
        self.bytes -= packet.data.len();
        Some(packet)
    }

    /// What they waited for is there: they can be taken as soon as there is somebody to take them.
    pub(crate) fn release(&mut self) {
        self.released = !self.packets.is_empty();
    }

    /// Takes them all when they were released.
    #[inline]
    pub(crate) fn take_released(&mut self) -> Option<Self> {
        self.released.then(|| core::mem::take(self))
    }

    /// Throws away what waited too long, and tells how many packets that were.
    pub(crate) fn expire(&mut self, now: Instant) -> u64 {
        let mut expired = 0;
        while self.deadline().is_some_and(|at| at <= now) {
            self.pop();
            expired += 1;
        }
        expired
    }

    /// When the oldest has waited too long; never once they are released.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let oldest = self.packets.front().filter(|_| !self.released);
        oldest.map(|packet| packet.arrival + Self::MAX_AGE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_bounded_in_number_bytes_and_age() {
        let now = Instant::now();
        let mut early = EarlyMedia::<()>::default();
        for n in 0..EarlyMedia::<()>::MAX_PACKETS {
            assert!(early.push(now + Duration::from_millis(n as u64), (), &[n as u8]));
        }
        assert!(!early.push(now, (), &[99]));
        assert_eq!(early.deadline(), Some(now + EarlyMedia::<()>::MAX_AGE));
        assert_eq!(
            early.expire(now + EarlyMedia::<()>::MAX_AGE - Duration::from_nanos(1)),
            0
        );
        assert_eq!(
            early.expire(now + EarlyMedia::<()>::MAX_AGE + Duration::from_millis(1)),
            2
        );
        assert_eq!(&*early.pop().unwrap().data, [2]);

        let mut early = EarlyMedia::<()>::default();
        assert!(early.push(now, (), &[0; EarlyMedia::<()>::MAX_BYTES - 10]));
        assert!(!early.push(now, (), &[0; 11]));
        assert!(early.push(now, (), &[0; 10]));
        early.pop();
        assert!(early.push(now, (), &[0; 1000]));
    }

    #[test]
    fn what_is_released_is_taken_once() {
        let now = Instant::now();
        let mut early = EarlyMedia::default();
        early.release();
        assert!(early.take_released().is_none());
        assert!(early.push(now, 7_u8, b"a"));
        assert!(early.take_released().is_none());
        early.release();
        // What they waited for is there, and nobody else may come for long.
        assert_eq!(
            (early.deadline(), early.expire(now + EarlyMedia::<u8>::MAX_AGE)),
            (None, 0)
        );
        let mut taken = early.take_released().unwrap();
        assert_eq!(taken.pop().map(|packet| packet.known), Some(7));
        assert!(early.take_released().is_none());
        assert_eq!(early.deadline(), None);
    }
}
