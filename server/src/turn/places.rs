use std::net::IpAddr;

use crate::networks::{Count, Networks};

/// Connections of one IPv4 address or IPv6 /64.
const MAX_PER_NETWORK: usize = 256;
/// Of these, connections that have shown no password yet. A client needs one for some round trips.
const MAX_STRANGERS_PER_NETWORK: usize = 64;

/// Who may come in: strangers take at most half of the places, so that those who are in can open more connections
/// (RFC 6062 §4.3) whatever strangers do. Connections of peers have a quarter, and those that end another, so that
/// clients have half whatever those who are in do.
#[derive(Debug)]
pub(super) struct Places {
    places: usize,
    peers: usize,
    ending: usize,
    networks: Networks,
}

impl Places {
    pub(super) fn new(places: usize) -> Self {
        Self {
            places,
            peers: 0,
            ending: 0,
            networks: Networks::new(Count {
                all: MAX_PER_NETWORK,
                strangers: MAX_STRANGERS_PER_NETWORK,
            }),
        }
    }

    /// Gives a stranger a place; false when there is none for it.
    pub(super) fn enter(&mut self, ip: IpAddr) -> bool {
        let room = self.networks.is_known(ip) || self.networks.strangers() < self.places / 2;
        if !room || self.networks.full(ip).is_some() {
            return false;
        }
        self.networks.enter(ip);
        true
    }

    /// A stranger has shown a password.
    pub(super) fn recognize(&mut self, ip: IpAddr) {
        self.networks.recognize(ip);
    }

    /// Gives a peer's connection a place; false when there is none for it.
    pub(super) fn enter_peer(&mut self) -> bool {
        let room = self.peers < self.places / 4;
        self.peers += usize::from(room);
        room
    }

    /// A peer's connection is gone.
    pub(super) const fn leave_peer(&mut self) {
        self.peers -= 1;
    }

    /// Gives a connection that ends a place; false when there is none for it.
    pub(super) fn enter_ending(&mut self) -> bool {
        let room = self.ending < self.places / 4;
        self.ending += usize::from(room);
        room
    }

    /// A connection has ended.
    pub(super) const fn leave_ending(&mut self) {
        self.ending -= 1;
    }

    /// A client's connection is gone.
    pub(super) fn leave(&mut self, ip: IpAddr, stranger: bool) {
        self.networks.leave(ip, stranger);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v6(network: u16, host: u16) -> IpAddr {
        IpAddr::from([0x2001, 0xdb8, 0, network, 0, 0, 0, host])
    }

    #[test]
    fn a_network_has_so_many_places() {
        let mut places = Places::new(4096);
        let came = (0..1000).filter(|n| places.enter(v6(1, *n))).count();
        assert_eq!(came, MAX_STRANGERS_PER_NETWORK);
        assert!(places.enter(v6(2, 1)));
        // Who has shown a password makes room for more strangers of the network.
        let mut all = came;
        while all < MAX_PER_NETWORK {
            places.recognize(v6(1, 0));
            assert!(places.enter(v6(1, 1)));
            all += 1;
        }
        places.recognize(v6(1, 0));
        assert!(!places.enter(v6(1, 1)));
        places.leave(v6(1, 7), false);
        assert!(places.enter(v6(1, 1)) && !places.enter(v6(1, 1)));
    }

    #[test]
    fn strangers_take_half_and_leave_the_rest_to_those_who_are_in() {
        let mut places = Places::new(200);
        assert!(places.enter(v6(0, 1)));
        places.recognize(v6(0, 1));
        let came = (1..250).filter(|n| places.enter(v6(*n << 8, 1))).count();
        assert_eq!(came, 100);
        assert!(places.enter(v6(0, 2)), "the network of one who is in");
        places.leave(v6(0, 2), true);
        places.leave(v6(5 << 8, 1), true);
        assert!(places.enter(v6(200 << 8, 1)) && !places.enter(v6(201 << 8, 1)));
        // The last one who was in is gone.
        places.leave(v6(0, 1), false);
        assert!(!places.enter(v6(0, 1)));
    }

    #[test]
    fn nothing_is_remembered_of_those_who_are_gone() {
        let mut places = Places::new(200);
        for stranger in [true, false] {
            assert!(places.enter(v6(1, 1)));
            if !stranger {
                places.recognize(v6(1, 1));
            }
            places.leave(v6(1, 1), stranger);
            assert!(places.networks.is_empty());
        }
    }
}
