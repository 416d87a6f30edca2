#![deny(clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

use crate::candidate::{Candidate, host_candidates};
use std::cmp::Reverse;
use std::net::{IpAddr, SocketAddr};
use wire::Protocol;

/// A bound socket on an interface of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interface {
    /// Where the socket is bound. Not unspecified, and no IPv4-mapped address.
    pub address: SocketAddr,
    /// Its transport.
    pub protocol: Protocol,
    /// How much it is preferred: more for a cable than for a mobile network, whatever the family.
    pub preference: u8,
}

/// Host candidates for the interfaces that RFC 8445 §5.1.1.1 lets be used, the preferred ones first and the families
/// intermingled as in [`host_candidates`]. Left out are loopback (unless `loopback` says otherwise, for tests on one
/// machine), unspecified and multicast addresses, and link-local ones: IPv4's come from a network without DHCP,
/// IPv6's need a zone that no candidate carries.
pub fn interface_candidates(interfaces: impl IntoIterator<Item = Interface>, loopback: bool) -> Vec<Candidate> {
    let mut usable: Vec<Interface> = interfaces
        .into_iter()
        .filter(|interface| is_usable(interface.address.ip(), loopback))
        .collect();
    usable.sort_by_key(|interface| Reverse(interface.preference));
    host_candidates(
        usable
            .into_iter()
            .map(|interface| (interface.address, interface.protocol)),
    )
}

fn is_usable(address: IpAddr, loopback: bool) -> bool {
    let special = address.is_unspecified() || address.is_multicast();
    let local = match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
        // RFC 8445 §5.1.1.1: deprecated site-local, IPv4-compatible and IPv4-mapped addresses must not be included.
        IpAddr::V6(address) => {
            let site_local = address.segments()[0] & 0xffc0 == 0xfec0;
            let embedded = address.segments()[..5] == [0; 5] && !address.is_loopback();
            address.is_unicast_link_local() || site_local || embedded
        }
    };
    !special && !local && (loopback || !address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_others_reach_becomes_a_candidate() {
        let addresses = [
            "127.0.0.1:1",
            "[::1]:1",
            "0.0.0.0:1",
            "169.254.1.1:1",
            "224.0.0.1:1",
            "[fe80::1]:1",
            "[fec0::1]:1",
            "[::ffff:192.0.2.1]:1",
            "[::192.0.2.1]:1",
            "[ff02::1]:1",
            "192.0.2.1:1",
            "[fd00::1]:1",
        ];
        let interfaces = addresses.map(|address| Interface {
            address: address.parse().unwrap(),
            protocol: Protocol::Udp,
            preference: 1,
        });
        let left = |loopback| -> Vec<String> {
            let candidates = interface_candidates(interfaces, loopback);
            candidates
                .iter()
                .map(|candidate| candidate.address.to_string())
                .collect()
        };
        assert_eq!(left(false), ["[fd00::1]:1", "192.0.2.1:1"]);
        assert_eq!(left(true).len(), 4);
    }

    #[test]
    fn the_preferred_interface_has_the_higher_priority() {
        let interface = |address: &str, preference| Interface {
            address: address.parse().unwrap(),
            protocol: Protocol::Udp,
            preference,
        };
        let candidates = interface_candidates([interface("192.0.2.1:1", 1), interface("192.0.2.2:1", 9)], false);
        assert_eq!(candidates[0].address, "192.0.2.2:1".parse().unwrap());
        assert!(candidates[0].priority > candidates[1].priority);
    }
}
