use std::collections::VecDeque;
use std::time::{Duration, Instant};

use wire::Path;

/// Media that came before the keys: the peer's last handshake flight and its first packets may change places on the
/// way.
#[derive(Debug, Default)]
pub(crate) struct EarlyMedia {
    packets: VecDeque<EarlyPacket>,
    bytes: usize,
}

/// One datagram that waits.
#[derive(Debug)]
pub(crate) struct EarlyPacket {
    pub(crate) arrival: Instant,
    pub(crate) path: Path,
    pub(crate) data: Box<[u8]>,
}

impl EarlyMedia {
    /// The most packets that wait.
    pub(crate) const MAX_PACKETS: usize = 32;
    /// The most bytes that wait: as many packets of a common path's size.
    pub(crate) const MAX_BYTES: usize = Self::MAX_PACKETS * 1500;
    /// How long a packet waits.
    pub(crate) const MAX_AGE: Duration = Duration::from_millis(200);

    /// Keeps a copy. False when there is no room: the first packets, which may begin a key frame, are worth more than
    /// the last.
    pub(crate) fn push(&mut self, now: Instant, path: &Path, data: &[u8]) -> bool {
        let fits = self.packets.len() < Self::MAX_PACKETS && self.bytes + data.len() <= Self::MAX_BYTES;
        if fits {
            self.bytes += data.len();
            self.packets.push_back(EarlyPacket {
                arrival: now,
                path: *path,
                data: data.into(),
            });
        }
        fits
    }

    /// Takes the oldest.
    pub(crate) fn pop(&mut self) -> Option<EarlyPacket> {
        let packet = self.packets.pop_front()?;
        self.bytes -= packet.data.len();
        Some(packet)
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

    /// When the oldest has waited too long.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.packets.front().map(|packet| packet.arrival + Self::MAX_AGE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path() -> Path {
        Path::udp("192.0.2.1:1".parse().unwrap(), "192.0.2.2:2".parse().unwrap())
    }

    #[test]
    fn packets_are_bounded_in_number_bytes_and_age() {
        let now = Instant::now();
        let mut early = EarlyMedia::default();
        for n in 0..EarlyMedia::MAX_PACKETS {
            assert!(early.push(now + Duration::from_millis(n as u64), &path(), &[n as u8]));
        }
        assert!(!early.push(now, &path(), &[99]));
        assert_eq!(early.deadline(), Some(now + EarlyMedia::MAX_AGE));
        assert_eq!(early.expire(now + EarlyMedia::MAX_AGE - Duration::from_nanos(1)), 0);
        assert_eq!(early.expire(now + EarlyMedia::MAX_AGE + Duration::from_millis(1)), 2);
        assert_eq!(&*early.pop().unwrap().data, [2]);

        let mut early = EarlyMedia::default();
        assert!(early.push(now, &path(), &[0; EarlyMedia::MAX_BYTES - 10]));
        assert!(!early.push(now, &path(), &[0; 11]));
        assert!(early.push(now, &path(), &[0; 10]));
        early.pop();
        assert!(early.push(now, &path(), &[0; 1000]));
    }
}
