use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::PORT;

/// An address of ours with the length of its prefix: everything with the same prefix is on the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subnet {
    /// The address.
    pub address: IpAddr,
    /// The length of the prefix in bits: 0 to 32, or 0 to 128.
    pub prefix: u8,
}

impl Subnet {
    /// Whether an address has the same prefix.
    pub fn contains(&self, address: &IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differs = u32::from(own) ^ u32::from(*other);
                differs.leading_zeros() >= u32::from(self.prefix)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differs = u128::from(own) ^ u128::from(*other);
                differs.leading_zeros() >= u32::from(self.prefix)
            }
            _ => false,
        }
    }
}

/// Those who may know that their names are of one host: a browser has one for each page (draft, "Generated Name
/// Reuse"). Names of different scopes cannot be told to belong together, though they are of one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Scope(pub u64);

/// What an engine is told at construction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Our socket of IPv4: an address of the link, and the port 5353 (else only one-shot queries are sent there).
    pub ipv4: Option<SocketAddr>,
    /// Our socket of IPv6: a link-local address of the link, with its scope, and the same port.
    pub ipv6: Option<SocketAddr>,
    /// Our addresses on the link: datagrams from elsewhere are dropped, except from link-local addresses.
    pub subnets: Vec<Subnet>,
    /// How long an answer is waited for.
    pub resolve_timeout: Duration,
    /// Most names of ours.
    pub max_names: usize,
    /// Most of these that one scope has: no page takes those of others.
    pub max_names_per_scope: usize,
    /// Most names of peers that are resolved at one time, and that are remembered.
    pub max_queries: usize,
    /// Most messages that wait to be sent.
    pub max_outgoing: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ipv4: None,
            ipv6: None,
            subnets: Vec::new(),
            resolve_timeout: Duration::from_secs(5),
            max_names: 64,
            max_names_per_scope: 16,
            max_queries: 64,
            max_outgoing: 512,
        }
    }
}

impl Config {
    /// Whether a datagram from there may be of this link (RFC 6762 §11).
    pub(super) fn is_on_link(&self, address: &IpAddr) -> bool {
        let link_local = match address {
            IpAddr::V4(address) => address.is_link_local(),
            IpAddr::V6(address) => address.is_unicast_link_local(),
        };
        link_local || self.subnets.iter().any(|subnet| subnet.contains(address))
    }

    /// Whether our socket of a family has another port than that of mDNS (RFC 6762 §5.1).
    pub(super) fn is_one_shot(&self, ipv4: bool) -> bool {
        let socket = if ipv4 { self.ipv4 } else { self.ipv6 };
        socket.is_some_and(|socket| socket.port() != PORT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_compared_bit_by_bit() {
        let subnet = |address: &str, prefix| Subnet {
            address: address.parse().unwrap(),
            prefix,
        };
        let contains = |subnet: Subnet, address: &str| subnet.contains(&address.parse().unwrap());
        assert!(contains(subnet("192.0.2.65", 26), "192.0.2.127"));
        assert!(!contains(subnet("192.0.2.65", 26), "192.0.2.128"));
        assert!(contains(subnet("192.0.2.65", 32), "192.0.2.65"));
        assert!(!contains(subnet("192.0.2.65", 32), "192.0.2.64"));
        assert!(contains(subnet("192.0.2.65", 0), "255.0.0.1"));
        assert!(contains(subnet("2001:db8::1", 64), "2001:db8::ffff"));
        assert!(!contains(subnet("2001:db8::1", 64), "2001:db8:0:1::1"));
        assert!(!contains(subnet("::", 0), "1.2.3.4"));
        // More bits than there are: nothing but the address itself could match, and not even that.
        assert!(!contains(subnet("192.0.2.65", 33), "192.0.2.65"));
    }
}
