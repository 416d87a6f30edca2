#![deny(clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

use crate::candidate::{Candidate, ranked};
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

/// Host candidates for the interfaces that RFC 8445 §5.1.1.1 lets be used, the preferred ones first, whatever their
/// family. Those of one preference are intermingled as [`host_candidates`](crate::host_candidates) does it, with a head
/// start for IPv6 (RFC 8421 §4). Left out are loopback (unless `loopback` says otherwise, for tests on one machine),
/// unspecified and multicast addresses, and link-local ones: IPv4's come from a network without DHCP, IPv6's need a
/// zone that no candidate carries.
pub fn interface_candidates(interfaces: impl IntoIterator<Item = Interface>, loopback: bool) -> Vec<Candidate> {
    let mut usable: Vec<Interface> = interfaces
        .into_iter()
        .filter(|interface| is_usable(interface.address.ip(), loopback))
        .collect();
    usable.sort_by_key(|interface| Reverse(interface.preference));
    let classes = usable.chunk_by(|a, b| a.preference == b.preference);
    let addressed = |interface: &Interface| (interface.address, interface.protocol);
    ranked(classes.map(|class| class.iter().map(addressed).collect()))
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

    #[test]
    fn families_are_intermingled_among_interfaces_of_one_preference() {
        let (mobile, cable) = (1, 9);
        let interface = |address: &str, protocol, preference| Interface {
            address: address.parse().unwrap(),
            protocol,
            preference,
        };
        let udp = |address: &str, preference| interface(address, Protocol::Udp, preference);
        let order = |interfaces: &[Interface]| -> Vec<String> {
            let candidates = interface_candidates(interfaces.iter().copied(), false);
            assert!(candidates.is_sorted_by(|a, b| a.priority > b.priority));
            candidates
                .iter()
                .map(|candidate| candidate.address.to_string())
                .collect()
        };
        let interfaces = [
            udp("192.0.2.1:1", mobile),
            udp("[2001:db8:1::1]:1", mobile),
            udp("[2001:db8:1::2]:1", mobile),
            udp("192.0.2.9:1", cable),
            udp("[2001:db8:9::1]:1", cable),
            // What there is already is not there again.
            udp("192.0.2.9:1", mobile),
            interface("192.0.2.9:2", Protocol::Tcp, cable),
            interface("[2001:db8:1::1]:2", Protocol::Tcp, mobile),
        ];
        assert_eq!(
            order(&interfaces),
            [
                // An IPv4 address of the cable comes before all of the mobile network.
                "[2001:db8:9::1]:1",
                "192.0.2.9:1",
                "[2001:db8:1::1]:1",
                "[2001:db8:1::2]:1",
                "192.0.2.1:1",
                "192.0.2.9:2",
                "[2001:db8:1::1]:2",
            ]
        );
        // RFC 8421 §4, by the numbers of each class: (1 + 2) / 1 of the cable's lead, and (2 + 2) / 2 of the mobile
        // ones.
        let interfaces = [
            udp("192.0.2.9:1", cable),
            udp("[2001:db8:9::1]:1", cable),
            udp("[2001:db8:9::2]:1", cable),
            udp("192.0.2.1:1", mobile),
            udp("192.0.2.2:1", mobile),
            udp("[2001:db8:1::1]:1", mobile),
            udp("[2001:db8:1::2]:1", mobile),
        ];
        assert_eq!(
            order(&interfaces),
            [
                "[2001:db8:9::1]:1",
                "[2001:db8:9::2]:1",
                "192.0.2.9:1",
                "[2001:db8:1::1]:1",
                "[2001:db8:1::2]:1",
                "192.0.2.1:1",
                "192.0.2.2:1",
            ]
        );
    }
}
