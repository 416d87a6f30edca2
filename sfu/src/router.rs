use std::collections::HashMap;

use wire::Path;

/// Finds the peer for a datagram: STUN requests by the ufrag in USERNAME, always (a reloaded page reuses a 5-tuple),
/// everything else by the full 5-tuple, compared whole.
#[derive(Debug, Default)]
pub(crate) struct Router {
    by_ufrag: HashMap<Box<str>, u32>,
    by_path: HashMap<Path, u32>,
}

impl Router {
    /// Whose ufrag this is.
    pub(crate) fn by_ufrag(&self, ufrag: &str) -> Option<u32> {
        self.by_ufrag.get(ufrag).copied()
    }

    /// Who is at the other end of this path.
    #[inline]
    pub(crate) fn by_path(&self, path: &Path) -> Option<u32> {
        self.by_path.get(path).copied()
    }

    /// Adds a local ufrag of `peer`.
    pub(crate) fn add_ufrag(&mut self, ufrag: &str, peer: u32) {
        if self.by_ufrag.get(ufrag) != Some(&peer) {
            self.by_ufrag.insert(ufrag.into(), peer);
        }
    }

    /// The ufrag is not one of `peer` any more.
    pub(crate) fn remove_ufrag(&mut self, ufrag: &str, peer: u32) {
        if self.by_ufrag.get(ufrag) == Some(&peer) {
            self.by_ufrag.remove(ufrag);
        }
    }

    /// The path leads to `peer` now: an authenticated check came by it.
    pub(crate) fn set_path(&mut self, path: Path, peer: u32) {
        self.by_path.insert(path, peer);
    }

    /// The path does not lead to `peer` any more; if it leads to somebody else by now, it still does.
    pub(crate) fn remove_path(&mut self, path: &Path, peer: u32) {
        if self.by_path.get(path) == Some(&peer) {
            self.by_path.remove(path);
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
        assert_eq!(router.by_path(&path("[2001:db8::1]:5000")), Some(1));
        assert_eq!(router.by_path(&path("[2001:db8::2]:5000")), Some(2));
        assert_eq!(router.by_path(&path("[2001:db8::1]:5001")), Some(3));
        let other_local = Path {
            local: "10.0.0.2:3478".parse().unwrap(),
            ..path("[2001:db8::1]:5000")
        };
        assert_eq!(router.by_path(&other_local), None);
    }

    #[test]
    fn a_reused_path_goes_to_the_newest_and_a_leaver_takes_only_his_own() {
        let mut router = Router::default();
        router.add_ufrag("old", 1);
        router.add_ufrag("new", 2);
        router.set_path(path("1.2.3.4:5"), 1);
        router.set_path(path("1.2.3.4:5"), 2);
        router.remove_path(&path("1.2.3.4:5"), 1);
        router.remove_ufrag("old", 1);
        router.remove_ufrag("new", 1);
        assert_eq!(router.by_path(&path("1.2.3.4:5")), Some(2));
        assert_eq!((router.by_ufrag("old"), router.by_ufrag("new")), (None, Some(2)));
        router.remove_path(&path("1.2.3.4:5"), 2);
        assert_eq!(router.by_path(&path("1.2.3.4:5")), None);
    }
}
