use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use wire::Path;

/// How long stragglers of somebody who left are not taken for strangers.
const LINGER: Duration = Duration::from_secs(30);
/// The most paths and ufrags of those who left that are remembered.
const MAX_RETIRED: usize = 4096;

/// Where a datagram belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// To this peer.
    Peer(u32),
    /// To somebody who left a moment ago.
    Gone,
    /// To nobody that was ever here.
    Unknown,
}

/// Finds the peer for a datagram: STUN requests by the ufrag in USERNAME, always (a reloaded page reuses a 5-tuple),
/// everything else by the full 5-tuple, compared whole.
#[derive(Debug, Default)]
pub(crate) struct Router {
    by_ufrag: HashMap<String, Option<u32>>,
    by_path: HashMap<Path, Option<u32>>,
    /// What leads to nobody any more, and since when.
    retired: VecDeque<(Instant, Retired)>,
}

#[derive(Debug)]
enum Retired {
    Ufrag(String),
    Path(Path),
}

impl Router {
    /// Whose ufrag this is.
    pub(crate) fn by_ufrag(&self, ufrag: &str) -> Route {
        Self::route(self.by_ufrag.get(ufrag))
    }

    /// Who is at the other end of this path.
    #[inline]
    pub(crate) fn by_path(&self, path: &Path) -> Route {
        Self::route(self.by_path.get(path))
    }

    /// Adds a local ufrag of `peer`.
    pub(crate) fn add_ufrag(&mut self, ufrag: &str, peer: u32) {
        self.by_ufrag.insert(ufrag.to_owned(), Some(peer));
    }

    /// The ufrag is not one of `peer` any more.
    pub(crate) fn retire_ufrag(&mut self, now: Instant, ufrag: &str, peer: u32) {
        if let Some(entry) = self.by_ufrag.get_mut(ufrag).filter(|entry| **entry == Some(peer)) {
            *entry = None;
            self.retire(now, Retired::Ufrag(ufrag.to_owned()));
        }
    }

    /// The path leads to `peer` now: an authenticated check came by it.
    pub(crate) fn set_path(&mut self, path: Path, peer: u32) {
        self.by_path.insert(path, Some(peer));
    }

    /// The path does not lead to `peer` any more; if it leads to somebody else by now, it still does.
    pub(crate) fn retire_path(&mut self, now: Instant, path: Path, peer: u32) {
        if let Some(entry) = self.by_path.get_mut(&path).filter(|entry| **entry == Some(peer)) {
            *entry = None;
            self.retire(now, Retired::Path(path));
        }
    }

    fn route(entry: Option<&Option<u32>>) -> Route {
        match entry {
            Some(Some(peer)) => Route::Peer(*peer),
            Some(None) => Route::Gone,
            None => Route::Unknown,
        }
    }

    fn retire(&mut self, now: Instant, what: Retired) {
        self.retired.push_back((now, what));
        let old = |(at, _): &mut (Instant, Retired)| now.saturating_duration_since(*at) > LINGER;
        while self.retired.len() > MAX_RETIRED || self.retired.front_mut().is_some_and(old) {
            // Somebody may have the path again by now.
            match self.retired.pop_front() {
                Some((_, Retired::Ufrag(ufrag))) if self.by_ufrag.get(&ufrag) == Some(&None) => {
                    self.by_ufrag.remove(&ufrag);
                }
                Some((_, Retired::Path(path))) if self.by_path.get(&path) == Some(&None) => {
                    self.by_path.remove(&path);
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(remote: &str) -> Path {
        Path::udp("10.0.0.1:3478".parse().unwrap(), remote.parse().unwrap())
    }

    #[test]
    fn addresses_are_compared_whole() {
        let mut router = Router::default();
        // Two IPv6 peers that differ in the last bit only, and the same address with another port or local address.
        router.set_path(path("[2001:db8::1]:5000"), 1);
        router.set_path(path("[2001:db8::2]:5000"), 2);
        router.set_path(path("[2001:db8::1]:5001"), 3);
        assert_eq!(router.by_path(&path("[2001:db8::1]:5000")), Route::Peer(1));
        assert_eq!(router.by_path(&path("[2001:db8::2]:5000")), Route::Peer(2));
        assert_eq!(router.by_path(&path("[2001:db8::1]:5001")), Route::Peer(3));
        let other_local = Path {
            local: "10.0.0.2:3478".parse().unwrap(),
            ..path("[2001:db8::1]:5000")
        };
        assert_eq!(router.by_path(&other_local), Route::Unknown);
    }

    /// Pairs that are one and the same to whoever folds an address into 64 bits or fewer, by whatever operation, and
    /// compares what comes of it.
    #[test]
    fn addresses_with_one_hash_are_two() {
        let pairs = [
            // One network, one interface identifier, and halves that change places.
            ("[2001:db8:0:1::1]:5000", "[2001:db8:0:1::2]:5000"),
            ("[2001:db8:0:1::1]:5000", "[2001:db8:0:2::1]:5000"),
            ("[1:2:3:4:5:6:7:8]:5000", "[5:6:7:8:1:2:3:4]:5000"),
            // Words that change places; sum and exclusive or are equal.
            ("[1:2:3:4:5:6:7:8]:5000", "[1:2:3:4:5:6:8:7]:5000"),
            ("[1:2:3:4:5:6:7:8]:5000", "[3:4:1:2:5:6:7:8]:5000"),
            ("[2001:db8::1:0:1]:5000", "[2001:db8::]:5000"),
            // What one has more in its address the other has in its port.
            ("[2001:db8::1]:5000", "[2001:db8::]:5001"),
            // IPv4 within IPv6, and another scope.
            ("1.2.3.4:5000", "[::ffff:1.2.3.4]:5000"),
            ("[fe80::1%1]:5000", "[fe80::1%2]:5000"),
        ];
        for (one, other) in pairs {
            let mut router = Router::default();
            router.set_path(path(one), 1);
            assert_eq!(router.by_path(&path(other)), Route::Unknown, "{one} {other}");
            router.set_path(path(other), 2);
            assert_eq!(router.by_path(&path(one)), Route::Peer(1), "{one} {other}");
            assert_eq!(router.by_path(&path(other)), Route::Peer(2), "{one} {other}");
        }
    }

    #[test]
    fn a_reused_path_goes_to_the_newest_and_a_leaver_takes_only_his_own() {
        let (mut router, now) = (Router::default(), Instant::now());
        router.add_ufrag("old", 1);
        router.add_ufrag("new", 2);
        router.set_path(path("1.2.3.4:5"), 1);
        router.set_path(path("1.2.3.4:5"), 2);
        router.retire_path(now, path("1.2.3.4:5"), 1);
        router.retire_ufrag(now, "old", 1);
        router.retire_ufrag(now, "new", 1);
        assert_eq!(router.by_path(&path("1.2.3.4:5")), Route::Peer(2));
        assert_eq!(
            (router.by_ufrag("old"), router.by_ufrag("new")),
            (Route::Gone, Route::Peer(2))
        );
        router.retire_path(now, path("1.2.3.4:5"), 2);
        assert_eq!(router.by_path(&path("1.2.3.4:5")), Route::Gone);
    }

    #[test]
    fn those_who_left_are_remembered_for_a_while_and_not_without_bound() {
        let (mut router, now) = (Router::default(), Instant::now());
        router.add_ufrag("a", 1);
        router.retire_ufrag(now, "a", 1);
        for n in 0..2 * MAX_RETIRED {
            let path = path(&format!("[2001:db8::{:x}]:5", n + 1));
            router.set_path(path, 2);
            router.retire_path(now, path, 2);
        }
        assert_eq!(router.by_ufrag("a"), Route::Unknown);
        assert_eq!(router.by_path.len(), MAX_RETIRED);
        // One that is in use again stays.
        let again = path(&format!("[2001:db8::{:x}]:5", 2 * MAX_RETIRED));
        router.set_path(again, 3);
        router.add_ufrag("b", 4);
        router.retire_ufrag(now + LINGER * 2, "b", 4);
        assert_eq!((router.by_path.len(), router.by_path(&again)), (1, Route::Peer(3)));
    }
}
