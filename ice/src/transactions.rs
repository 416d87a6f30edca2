#![deny(clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

use std::collections::VecDeque;
use stun::TransactionId;
use wire::Path;

/// The checks that were accepted last, by their transaction ids.
///
/// MESSAGE-INTEGRITY does not cover the addresses that a datagram travels under, so whoever has seen a check can send
/// it again from any source. Its id tells: a client draws a new one for every request (RFC 8489 §6.1) and keeps it only
/// for retransmissions, which take the same path.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    /// The oldest first.
    last: VecDeque<(TransactionId, Path)>,
}

/// Whether a check was seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It is a new one, and known from now on.
    New,
    /// It came before on the same path: a retransmission.
    Again,
    /// It came before on another path: somebody repeats it.
    Elsewhere,
}

impl Transactions {
    /// A check every 62 ms for 4 s, or one every 2.7 s for three minutes: the paces of Chromium.
    pub(crate) const LIMIT: usize = 64;

    /// Takes the id of an authenticated check that came on `path`.
    pub(crate) fn take(&mut self, id: TransactionId, path: &Path) -> Seen {
        if let Some((_, before)) = self.last.iter().find(|(known, _)| *known == id) {
            return if before == path { Seen::Again } else { Seen::Elsewhere };
        }
        if self.last.len() >= Self::LIMIT {
            self.last.pop_front();
        } else if self.last.is_empty() {
            self.last.reserve_exact(Self::LIMIT);
        }
        self.last.push_back((id, *path));
        Seen::New
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    #[test]
    fn the_last_64_are_known_with_their_paths() {
        let local: SocketAddr = "192.0.2.1:4000".parse().unwrap();
        let path = |port| Path::udp(local, SocketAddr::new(local.ip(), port));
        let id = |n: u8| TransactionId([n; 12]);
        let mut transactions = Transactions::default();
        for n in 0..=64 {
            assert_eq!(transactions.take(id(n), &path(1)), Seen::New);
        }
        assert_eq!(transactions.last.len(), Transactions::LIMIT);
        for n in 1..=64 {
            assert_eq!(transactions.take(id(n), &path(1)), Seen::Again);
            assert_eq!(transactions.take(id(n), &path(2)), Seen::Elsewhere);
        }
        assert_eq!(transactions.take(id(0), &path(2)), Seen::New);
        assert_eq!(transactions.take(id(0), &path(1)), Seen::Elsewhere);
    }
}
