use core::fmt;
use core::net::IpAddr;

use crate::address::{network, typed};
use crate::scan::{self, Scanner};
use crate::{Address, AddressType, Rule};

/// `c=`: where media goes when nothing better is known (RFC 8866 §5.7). With ICE it is only the default candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection<'a> {
    /// `IN` for the Internet.
    pub network: &'a str,
    /// Which kind of address follows.
    pub address_type: AddressType<'a>,
    /// The address.
    pub address: Address<'a>,
    /// Time to live of an IPv4 multicast group.
    pub ttl: Option<u8>,
    /// How many multicast groups follow one another, beginning at the address.
    pub count: Option<u32>,
}

impl<'a> Connection<'a> {
    /// One unicast address on the Internet.
    pub fn new(ip: IpAddr) -> Self {
        Self {
            network: "IN",
            address_type: AddressType::from(ip),
            address: Address::Ip(ip),
            ttl: None,
            count: None,
        }
    }

    /// Reads the value of a `c=` line.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(value: &'a str) -> Result<Self, Rule> {
        const MULTICAST: Rule =
            Rule("after a multicast address stand /ttl/count for IPv4 and /count for IPv6 (RFC 8866 §5.7)");
        let mut fields = Scanner::new(value);
        let (network, address_type, text) = network(&mut fields)?;
        fields.end("c= has three fields: IN, address type, address (RFC 8866 §5.7)")?;
        let (host, suffix) = match scan::split_once(text, b'/') {
            Some((host, suffix)) if network == "IN" => (host, Some(suffix)),
            _ => (text, None),
        };
        let address = typed(network, address_type, host)?;
        let mut connection = Self {
            network,
            address_type,
            address,
            ttl: None,
            count: None,
        };
        if let Some(suffix) = suffix {
            let count = match address_type {
                AddressType::Ip4 => {
                    let (ttl, count) = scan::split_once(suffix, b'/').map_or((suffix, None), |(t, c)| (t, Some(c)));
                    connection.ttl = Some(
                        scan::decimal_u16(ttl)
                            .and_then(|n| u8::try_from(n).ok())
                            .ok_or(MULTICAST)?,
                    );
                    count
                }
                _ => Some(suffix),
            };
            if let Some(count) = count {
                connection.count = Some(scan::decimal_u32(count).filter(|n| *n > 0).ok_or(MULTICAST)?);
            }
        }
        Ok(connection)
    }
}

impl fmt::Display for Connection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.network, self.address_type, self.address)?;
        if let Some(ttl) = self.ttl {
            write!(f, "/{ttl}")?;
        }
        if let Some(count) = self.count {
            write!(f, "/{count}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn unicast_and_multicast() {
        for text in [
            "IN IP4 0.0.0.0",
            "IN IP6 fd00::2",
            "IN IP4 233.252.0.1/127",
            "IN IP4 233.252.0.1/127/3",
            "IN IP6 ff00::db8:0:101/3",
            "IN IP4 host.example",
            "ATM NSAP 47.0091/81",
        ] {
            let connection = Connection::parse(text).unwrap();
            assert_eq!(connection.to_string(), text);
        }
        assert_eq!(Connection::parse("IN IP4 233.252.0.1/127/3").unwrap().count, Some(3));
        assert_eq!(Connection::new("::1".parse().unwrap()).to_string(), "IN IP6 ::1");
    }

    #[test]
    fn rules() {
        for bad in [
            "",
            "IN",
            "IN IP4",
            "IN IP4 1.2.3.4 x",
            "IN IP4 1.2.3.4/256",
            "IN IP4 1.2.3.4/1/0",
            "IN IP6 ff00::1/x",
        ] {
            assert!(Connection::parse(bad).is_err(), "{bad:?}");
        }
    }
}
