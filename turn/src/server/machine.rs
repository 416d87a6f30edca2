use super::config::ServerConfig;
use super::policy::PeerPolicy;
use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

/// What is on the machine itself. A firewall may keep others from its services, but not us: of its addresses only
/// relays and [`PeerPolicy::own`] are peers. Everything is found in constant time, since it is asked for datagrams too.
#[derive(Debug)]
pub(super) struct Machine {
    policy: PeerPolicy,
    /// What the configuration names.
    configured: HashSet<IpAddr>,
    /// What the driver has found since.
    found: HashSet<IpAddr>,
    /// The ports at which clients come: a few.
    listeners: Vec<u16>,
    media: HashSet<SocketAddr>,
    media_ips: HashSet<IpAddr>,
}

/// What a transport address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    /// It may be a peer.
    Allowed,
    /// It is on this machine: it may be a peer if a relay is there.
    Own,
    Forbidden,
}

impl Machine {
    pub(super) fn new(config: &ServerConfig) -> Self {
        let relays = [config.ipv4, config.ipv6].into_iter().flatten();
        let relays = relays.flat_map(|relay| [relay.bind, relay.external]);
        let listeners = config.listeners.iter().map(SocketAddr::ip);
        let mut ports: Vec<u16> = config.listeners.iter().map(SocketAddr::port).collect();
        ports.sort_unstable();
        ports.dedup();
        Self {
            policy: config.peers.clone(),
            configured: relays.chain(listeners).collect(),
            found: HashSet::new(),
            listeners: ports,
            media: config.peers.own.iter().copied().collect(),
            media_ips: config.peers.own.iter().map(SocketAddr::ip).collect(),
        }
    }

    pub(super) fn set_addresses(&mut self, addresses: impl IntoIterator<Item = IpAddr>) {
        self.found.clear();
        self.found.extend(addresses);
    }

    /// Whether anything at an address may be a peer, whatever its port.
    pub(super) fn permits_ip(&self, ip: IpAddr) -> bool {
        self.media_ips.contains(&ip) || self.policy.permits_scope(ip)
    }

    /// What a transport address is. `local` is the address at which the client came, which is this machine's.
    pub(super) fn judge(&self, peer: SocketAddr, local: IpAddr) -> Peer {
        let ip = peer.ip();
        let own = self.has(ip, local);
        if (own || ip.is_loopback()) && self.listeners.contains(&peer.port()) {
            return Peer::Forbidden;
        }
        if self.media.contains(&peer) {
            return Peer::Allowed;
        }
        if peer.port() == 0 || !self.policy.permits_scope(ip) {
            return Peer::Forbidden;
        }
        // Who opens loopback opens services on it.
        if own && !ip.is_loopback() {
            return Peer::Own;
        }
        let leads_here = |ip: std::net::Ipv4Addr| self.has(ip.into(), local);
        match ip {
            IpAddr::V6(ip) if self.policy.carried(ip).any(leads_here) => Peer::Forbidden,
            _ => Peer::Allowed,
        }
    }

    fn has(&self, ip: IpAddr, local: IpAddr) -> bool {
        ip == local || self.configured.contains(&ip) || self.found.contains(&ip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RelayAddress;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn machine(change: impl FnOnce(&mut ServerConfig)) -> Machine {
        let mut config = ServerConfig {
            ipv4: Some(RelayAddress {
                bind: "198.51.100.1".parse().unwrap(),
                external: "198.51.100.2".parse().unwrap(),
            }),
            listeners: vec![address("198.51.100.3:3478")],
            ..ServerConfig::default()
        };
        change(&mut config);
        Machine::new(&config)
    }

    fn judged(machine: &Machine, peer: &str) -> Peer {
        machine.judge(address(peer), "198.51.100.4".parse().unwrap())
    }

    #[test]
    fn all_addresses_of_the_machine_are_its_own() {
        let mut machine = machine(|_| ());
        let of_it = ["198.51.100.1", "198.51.100.2", "198.51.100.3", "198.51.100.4"];
        for ip in of_it {
            assert_eq!(judged(&machine, &format!("{ip}:22")), Peer::Own);
            assert_eq!(judged(&machine, &format!("{ip}:3478")), Peer::Forbidden);
        }
        let others = ["198.51.100.5", "[2001:db8::5]", "[64:ff9b::198.51.100.5]"];
        for ip in others {
            assert_eq!(judged(&machine, &format!("{ip}:3478")), Peer::Allowed);
            assert_eq!(judged(&machine, &format!("{ip}:0")), Peer::Forbidden);
        }
        machine.set_addresses(["198.51.100.5".parse().unwrap(), "2001:db8::5".parse().unwrap()]);
        for ip in others {
            let expected = if ip.contains("64:") { Peer::Forbidden } else { Peer::Own };
            assert_eq!(judged(&machine, &format!("{ip}:22")), expected, "{ip}");
            assert_eq!(judged(&machine, &format!("{ip}:3478")), Peer::Forbidden);
        }
        machine.set_addresses([]);
        assert_eq!(judged(&machine, "198.51.100.5:22"), Peer::Allowed);
    }

    #[test]
    fn no_nat64_leads_to_the_machine() {
        let private = machine(|config| {
            config.peers.allow_private = true;
            config.peers.nat64_prefixes = vec!["2001:db8:64::/48".parse().unwrap()];
        });
        for (there, here) in [
            ("64:ff9b::198.51.100.5", "64:ff9b::198.51.100.4"),
            ("64:ff9b:1::198.51.100.5", "64:ff9b:1::198.51.100.4"),
            ("2001:db8:64:c633:64:500::", "2001:db8:64:c633:64:400::"),
        ] {
            assert_eq!(judged(&private, &format!("[{there}]:22")), Peer::Allowed, "{there}");
            assert_eq!(judged(&private, &format!("[{here}]:22")), Peer::Forbidden, "{here}");
        }
    }

    #[test]
    fn what_is_opened_is_not_the_machine() {
        let private = machine(|config| {
            config.peers.allow_private = true;
            config.listeners = vec![address("10.0.0.1:3478")];
        });
        assert_eq!(judged(&private, "10.0.0.2:22"), Peer::Allowed);
        assert_eq!(judged(&private, "10.0.0.1:22"), Peer::Own);
        assert_eq!(judged(&private, "127.0.0.1:22"), Peer::Forbidden);
        let loopback = machine(|config| {
            config.peers.allow_loopback = true;
            config.listeners.push(address("127.0.0.1:3478"));
        });
        assert_eq!(judged(&loopback, "127.0.0.1:22"), Peer::Allowed);
        assert_eq!(judged(&loopback, "127.0.0.2:3478"), Peer::Forbidden);
    }

    #[test]
    fn media_ports_are_open_and_nothing_beside_them() {
        let media = address("10.0.0.5:4000");
        let machine = machine(|config| config.peers.own = vec![media, address("10.0.0.5:3478")]);
        assert_eq!(judged(&machine, "10.0.0.5:4000"), Peer::Allowed);
        assert_eq!(judged(&machine, "10.0.0.5:4001"), Peer::Forbidden);
        assert!(machine.permits_ip(media.ip()) && !machine.permits_ip("10.0.0.6".parse().unwrap()));
        // Even there no TURN port is.
        let local = media.ip();
        assert_eq!(machine.judge(address("10.0.0.5:3478"), local), Peer::Forbidden);
    }
}
