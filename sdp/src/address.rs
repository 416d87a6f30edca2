use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::scan;
use crate::{Rule, scan::Scanner};

/// An address as SDP writes it: a number or a name that somebody has to resolve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Address<'a> {
    /// An IPv4 or IPv6 address.
    Ip(IpAddr),
    /// A domain name; browsers hide host addresses behind mDNS names that end in `.local`. In a line whose network type
    /// is not `IN`, whatever stands there.
    Name(&'a str),
}

impl<'a> Address<'a> {
    /// Reads an IP address or a domain name.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(text: &'a str) -> Result<Self, Rule> {
        // The first byte tells most names and numbers apart, and a colon can only be IPv6.
        if text.as_bytes().contains(&b':') {
            return match text.parse::<Ipv6Addr>() {
                Ok(ip) => Ok(Self::Ip(IpAddr::V6(ip))),
                Err(_) => Err(Rule("this is not an IPv6 address")),
            };
        }
        if let Ok(ip) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Ip(IpAddr::V4(ip)));
        }
        if scan::is_name(text) {
            Ok(Self::Name(text))
        } else {
            Err(Rule(
                "an address is an IPv4 address, an IPv6 address or a domain name (RFC 8866 §9)",
            ))
        }
    }

    /// The IP address, if it is one.
    pub const fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(ip) => Some(*ip),
            Self::Name(_) => None,
        }
    }

    /// Whether it is a name of multicast DNS, which only hosts on the same link can resolve.
    pub fn is_mdns(&self) -> bool {
        match self {
            Self::Ip(_) => false,
            Self::Name(name) => {
                let tail = name.len().checked_sub(6).and_then(|at| name.get(at..));
                tail.is_some_and(|tail| tail.eq_ignore_ascii_case(".local"))
            }
        }
    }
}

impl fmt::Display for Address<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => fmt::Display::fmt(ip, f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl From<IpAddr> for Address<'_> {
    fn from(ip: IpAddr) -> Self {
        Self::Ip(ip)
    }
}

/// The kind of address that follows (RFC 8866 §8.2.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressType<'a> {
    /// `IP4`.
    Ip4,
    /// `IP6`.
    Ip6,
    /// Some other token.
    Other(&'a str),
}

impl fmt::Display for AddressType<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ip4 => "IP4",
            Self::Ip6 => "IP6",
            Self::Other(token) => token,
        })
    }
}

impl From<IpAddr> for AddressType<'_> {
    fn from(ip: IpAddr) -> Self {
        if ip.is_ipv4() { Self::Ip4 } else { Self::Ip6 }
    }
}

/// Reads `<nettype> <addrtype> <address>`; the address is still raw, since only some lines allow a `/ttl` after it.
pub(crate) fn network<'a>(fields: &mut Scanner<'a>) -> Result<(&'a str, AddressType<'a>, &'a str), Rule> {
    let network = fields.need("a network type, \"IN\" for the Internet, stands before the address (RFC 8866 §5.7)")?;
    if !scan::is_token(network) {
        return Err(Rule("a network type is a token (RFC 8866 §5.7)"));
    }
    let kind = match fields.need("an address type, IP4 or IP6, stands before the address (RFC 8866 §5.7)")? {
        "IP4" => AddressType::Ip4,
        "IP6" => AddressType::Ip6,
        token if scan::is_token(token) => AddressType::Other(token),
        _ => return Err(Rule("an address type is a token (RFC 8866 §5.7)")),
    };
    let address = fields.need("an address follows its type (RFC 8866 §5.7)")?;
    Ok((network, kind, address))
}

/// Reads an address that belongs to this network and type.
pub(crate) fn typed<'a>(network: &str, kind: AddressType<'_>, text: &'a str) -> Result<Address<'a>, Rule> {
    if network != "IN" || matches!(kind, AddressType::Other(_)) {
        return if scan::is_visible(text) {
            Ok(Address::Name(text))
        } else {
            Err(Rule("an address is written in visible characters (RFC 8866 §9)"))
        };
    }
    let address = Address::parse(text)?;
    match (kind, address) {
        (AddressType::Ip4, Address::Ip(IpAddr::V6(_))) => Err(Rule("the address type is IP4 but the address is IPv6")),
        (AddressType::Ip6, Address::Ip(IpAddr::V4(_))) => Err(Rule("the address type is IP6 but the address is IPv4")),
        _ => Ok(address),
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn numbers_and_names() {
        assert_eq!(
            Address::parse("192.0.2.1"),
            Ok(Address::Ip("192.0.2.1".parse().unwrap()))
        );
        assert_eq!(Address::parse("fd00::2"), Ok(Address::Ip("fd00::2".parse().unwrap())));
        let name = Address::parse("3b9d4a4e-0b0e-4e56-8d2c-9f6a4c6f3c7e.local").unwrap();
        assert!(name.is_mdns());
        assert_eq!(name.ip(), None);
        assert!(!Address::parse("example.org").unwrap().is_mdns());
        assert!(Address::parse("fd00::zz").is_err());
        assert!(Address::parse("a b").is_err());
        assert!(Address::parse("").is_err());
        assert_eq!(AddressType::from("::1".parse::<IpAddr>().unwrap()).to_string(), "IP6");
    }

    #[test]
    fn the_type_and_the_address_agree() {
        assert!(typed("IN", AddressType::Ip4, "::1").is_err());
        assert!(typed("IN", AddressType::Ip6, "127.0.0.1").is_err());
        assert!(typed("IN", AddressType::Ip6, "host.example").is_ok());
        assert!(typed("ATM", AddressType::Other("NSAP"), "47.0091.8100").is_ok());
    }
}
