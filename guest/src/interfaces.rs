use std::io;
use std::net::{IpAddr, SocketAddr};

use ice::{Interface, interface_candidates};
use peer::Peer;
use wire::Protocol;

/// Which addresses of the machine media may leave from.
#[derive(Debug)]
pub(crate) struct Interfaces {
    /// The names of those that may be used; with none of them all may.
    only: Vec<String>,
    /// The address that the WebSocket leaves from.
    route: IpAddr,
    /// Whether some interface had it.
    seen: bool,
}

/// An address that media may leave from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Local {
    pub(crate) ip: IpAddr,
    /// That of [`Peer::add_interface_candidate`].
    pub(crate) preference: u8,
}

/// What there is at one time.
#[derive(Debug)]
pub(crate) struct Look {
    /// The preferred ones first.
    pub(crate) usable: Vec<Local>,
    /// Whether the address is gone that the WebSocket leaves from. One that no interface ever had is not: a system may
    /// let connections leave from more addresses than it lists.
    pub(crate) cut: bool,
}

/// The name of an interface, and one of its addresses.
type Found = (String, IpAddr);

impl Interfaces {
    pub(crate) const fn new(only: Vec<String>, route: IpAddr) -> Self {
        Self {
            only,
            // A socket of IPv6 has those of IPv4 as mapped ones, which no interface has.
            route: route.to_canonical(),
            seen: false,
        }
    }

    /// The WebSocket is another one, and leaves from this address.
    pub(crate) fn leave_from(&mut self, route: IpAddr) {
        self.route = route.to_canonical();
        self.seen = false;
    }

    /// Whether the same addresses are there whenever somebody looks: the room is on this machine, where loopback is the
    /// nearest and never goes away.
    pub(crate) const fn is_settled(&self) -> bool {
        self.only.is_empty() && self.route.is_loopback()
    }

    /// The addresses of now.
    ///
    /// # Errors
    /// When the system does not tell its interfaces.
    pub(crate) fn look(&mut self) -> io::Result<Look> {
        if self.is_settled() {
            return Ok(Look {
                usable: vec![self.local(self.route)],
                cut: false,
            });
        }
        let found = if_addrs::get_if_addrs()?;
        // Whatever is not said to run counts as down: on Unix nothing is ever said to be down.
        let up = found.into_iter().filter(if_addrs::Interface::is_oper_up);
        let up: Vec<Found> = up.map(|interface| (interface.name.clone(), interface.ip())).collect();
        Ok(self.judge(&up))
    }

    fn judge(&mut self, up: &[Found]) -> Look {
        let is_there = up.iter().any(|(_, ip)| *ip == self.route);
        self.seen |= is_there;
        Look {
            usable: self.usable(up),
            cut: self.seen && !is_there,
        }
    }

    fn usable(&self, found: &[Found]) -> Vec<Local> {
        let named = |name: &String| self.only.is_empty() || self.only.contains(name);
        let named = found.iter().filter(|(name, _)| named(name));
        let addresses: Vec<Local> = named.map(|(_, ip)| self.local(*ip)).collect();
        let interfaces = addresses.iter().map(|local| Interface {
            address: SocketAddr::new(local.ip, 0),
            protocol: Protocol::Udp,
            preference: local.preference,
        });
        let candidates = interface_candidates(interfaces, self.route.is_loopback());
        let mut usable: Vec<Local> = candidates
            .iter()
            .map(|candidate| self.local(candidate.address.ip()))
            .collect();
        // Whatever kind of address it is, the server is reached from there.
        let route = self.local(self.route);
        if addresses.contains(&route) && !usable.contains(&route) {
            usable.insert(0, route);
        }
        usable
    }

    /// The way that is known to lead to the server comes first.
    fn local(&self, ip: IpAddr) -> Local {
        let preference = Peer::MOST_PREFERRED - u8::from(ip != self.route);
        Local { ip, preference }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: &[(&str, &str)] = &[
        ("lo", "127.0.0.1"),
        ("lo", "::1"),
        ("eth0", "192.0.2.2"),
        ("eth0", "2001:db8::2"),
        ("eth0", "fe80::1"),
        ("wlan0", "198.51.100.2"),
        ("wlan0", "169.254.3.4"),
        ("docker0", "172.17.0.1"),
    ];

    fn usable(only: &[&str], route: &str) -> Vec<(String, u8)> {
        let only = only.iter().map(|name| (*name).to_owned()).collect();
        let interfaces = Interfaces::new(only, route.parse().unwrap());
        let found = MACHINE
            .iter()
            .map(|(name, ip)| ((*name).to_owned(), ip.parse().unwrap()));
        let usable = interfaces.usable(&found.collect::<Vec<_>>());
        usable
            .iter()
            .map(|local| (local.ip.to_string(), local.preference))
            .collect()
    }

    fn expected(all: &[(&str, u8)]) -> Vec<(String, u8)> {
        all.iter()
            .map(|(ip, preference)| ((*ip).to_owned(), *preference))
            .collect()
    }

    #[test]
    fn the_way_to_the_server_comes_first_and_the_others_as_ice_has_them() {
        let all = [
            ("198.51.100.2", 15),
            ("2001:db8::2", 14),
            ("192.0.2.2", 14),
            ("172.17.0.1", 14),
        ];
        assert_eq!(usable(&[], "198.51.100.2"), expected(&all));
        // A machine without DHCP.
        assert_eq!(usable(&[], "169.254.3.4")[0], ("169.254.3.4".to_owned(), 15));
        assert_eq!(usable(&[], "169.254.3.4").len(), 5);
        // What has gone meanwhile is not used, though the server was reached from there.
        assert!(
            usable(&[], "203.0.113.2")
                .iter()
                .all(|(_, preference)| *preference == 14)
        );
    }

    #[test]
    fn only_the_named_interfaces_are_used() {
        assert_eq!(
            usable(&["eth0", "docker0"], "198.51.100.2"),
            expected(&[("2001:db8::2", 14), ("192.0.2.2", 14), ("172.17.0.1", 14)])
        );
        assert_eq!(usable(&["eth7"], "198.51.100.2"), []);
        // A room on loopback that tells other addresses.
        assert_eq!(
            usable(&["lo", "wlan0"], "127.0.0.1"),
            expected(&[("127.0.0.1", 15), ("::1", 14), ("198.51.100.2", 14)])
        );
    }

    #[test]
    fn the_way_to_the_server_is_cut_only_where_it_was_seen() {
        let found = |ips: &[&str]| -> Vec<Found> {
            let found = ips.iter().map(|ip| ("eth0".to_owned(), ip.parse().unwrap()));
            found.collect()
        };
        let mut interfaces = Interfaces::new(Vec::new(), "::ffff:192.0.2.2".parse().unwrap());
        let look = interfaces.judge(&found(&["192.0.2.2"]));
        assert_eq!((look.usable[0].preference, look.cut), (15, false), "it is of IPv4");
        assert!(interfaces.judge(&found(&["192.0.2.3"])).cut);
        assert!(!interfaces.judge(&found(&["192.0.2.2"])).cut);
        // No interface has the address.
        interfaces.leave_from("198.51.100.2".parse().unwrap());
        for _ in 0..2 {
            assert!(!interfaces.judge(&found(&["192.0.2.2"])).cut);
        }
    }

    #[test]
    fn a_room_on_this_machine_needs_one_address_and_no_look() {
        for route in ["127.0.0.1", "::1", "::ffff:127.0.0.1"].map(|ip| ip.parse::<IpAddr>().unwrap()) {
            let mut interfaces = Interfaces::new(Vec::new(), route);
            assert!(interfaces.is_settled());
            let only = Local {
                ip: route.to_canonical(),
                preference: 15,
            };
            let look = interfaces.look().unwrap();
            assert!(look.usable == [only] && !look.cut);
        }
        let mut lo = Interfaces::new(vec!["lo".to_owned()], [127, 0, 0, 1].into());
        assert!(!lo.is_settled());
        let look = lo.look().unwrap();
        assert!(look.usable[0] == lo.local([127, 0, 0, 1].into()) && !look.cut);
        let mut elsewhere = Interfaces::new(Vec::new(), [192, 0, 2, 1].into());
        assert!(!elsewhere.look().unwrap().cut);
    }
}
