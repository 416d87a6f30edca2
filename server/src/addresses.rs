use std::fmt;
use std::io;
use std::net::IpAddr;

/// Which of a machine's addresses are announced to peers as host candidates.
///
/// Every address of every interface, also of one that leads nowhere yet (a server starts with its machine, and a link
/// may take seconds longer), except link-local ones (they mean nothing without the interface, and browsers do not pair
/// with them). Loopback comes last, and only when the page itself is served on loopback alone: then the peer may be a
/// browser on this machine without a network. It never stands alone there if there is another, since Firefox pairs with
/// no loopback candidate.
pub fn local_addresses(http: IpAddr) -> Result<Vec<IpAddr>, NoAddress> {
    let interfaces = if_addrs::get_if_addrs().map_err(NoAddress::Interfaces)?;
    let chosen = choose(interfaces.iter().map(if_addrs::Interface::ip), http);
    if chosen.is_empty() {
        Err(NoAddress::None)
    } else {
        Ok(chosen)
    }
}

/// Every address of this machine, whatever it is for; `None` when the system does not tell.
pub(crate) fn all_addresses() -> Option<Vec<IpAddr>> {
    let interfaces = if_addrs::get_if_addrs()
        .inspect_err(|error| tracing::debug!(%error, "the network interfaces cannot be listed"));
    Some(interfaces.ok()?.iter().map(if_addrs::Interface::ip).collect())
}

fn choose(found: impl Iterator<Item = IpAddr>, http: IpAddr) -> Vec<IpAddr> {
    let mut chosen = Vec::new();
    let mut loopback = Vec::new();
    for ip in found {
        let list = if ip.is_loopback() { &mut loopback } else { &mut chosen };
        if !is_link_local(ip) && !ip.is_unspecified() && !ip.is_multicast() && !list.contains(&ip) {
            list.push(ip);
        }
    }
    if http.is_loopback() {
        chosen.append(&mut loopback);
    }
    chosen
}

const fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

/// Why there is nothing to announce.
#[derive(Debug)]
pub enum NoAddress {
    /// The system does not tell its interfaces.
    Interfaces(io::Error),
    /// There is no interface with a usable address.
    None,
}

impl fmt::Display for NoAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interfaces(error) => write!(f, "The network interfaces cannot be listed ({error})")?,
            Self::None => f.write_str("No network interface has an address that others could reach")?,
        }
        f.write_str(": connect this machine to a network, or name the addresses with --announce IP.")
    }
}

impl std::error::Error for NoAddress {}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(found: &[&str], http: &str) -> Vec<String> {
        let found = found.iter().map(|ip| ip.parse().unwrap());
        choose(found, http.parse().unwrap())
            .iter()
            .map(IpAddr::to_string)
            .collect()
    }

    const MACHINE: &[&str] = &[
        "127.0.0.1",
        "::1",
        "192.0.2.2",
        "169.254.3.4",
        "fe80::1",
        "2001:db8::2",
        "172.17.0.1",
        "192.0.2.2",
    ];

    #[test]
    fn every_interface_is_announced_but_no_link_local_one() {
        assert_eq!(chosen(MACHINE, "0.0.0.0"), ["192.0.2.2", "2001:db8::2", "172.17.0.1"]);
        assert_eq!(chosen(MACHINE, "192.0.2.2"), ["192.0.2.2", "2001:db8::2", "172.17.0.1"]);
    }

    #[test]
    fn loopback_comes_last_and_only_when_the_page_is_there() {
        let all = ["192.0.2.2", "2001:db8::2", "172.17.0.1", "127.0.0.1", "::1"];
        assert_eq!(chosen(MACHINE, "127.0.0.1"), all);
        assert_eq!(chosen(MACHINE, "::1"), all);
    }

    #[test]
    fn without_a_network_loopback_stands_alone() {
        assert_eq!(chosen(&["127.0.0.1"], "127.0.0.1"), ["127.0.0.1"]);
        assert!(chosen(&["127.0.0.1", "fe80::1"], "0.0.0.0").is_empty());
        assert!(NoAddress::None.to_string().contains("--announce"));
    }

    #[test]
    fn this_machine_has_loopback() {
        let found = local_addresses(IpAddr::from([127, 0, 0, 1])).unwrap();
        assert!(found.iter().any(IpAddr::is_loopback));
        assert!(found.iter().all(|ip| all_addresses().unwrap().contains(ip)));
    }
}
