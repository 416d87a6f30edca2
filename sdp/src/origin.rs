use core::fmt;
use core::net::{IpAddr, Ipv4Addr};

use crate::address::{network, typed};
use crate::scan::{self, Scanner};
use crate::{Address, AddressType, Rule};

/// `o=`: who made the session, which session, which version of it (RFC 8866 §5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The user's login, `-` in browsers (Firefox writes its own name).
    pub username: &'a str,
    /// The same in all versions of this session.
    pub session_id: u64,
    /// Grows by one with each new version (RFC 8829 §5.2.1).
    pub session_version: u64,
    /// `IN` for the Internet.
    pub network: &'a str,
    /// Which kind of address follows.
    pub address_type: AddressType<'a>,
    /// The maker's address; nobody sends anything there.
    pub address: Address<'a>,
}

impl<'a> Origin<'a> {
    /// As WebRTC writes it: no user and no address (RFC 8829 §5.2.1). The id must fit in 63 bits.
    pub const fn new(session_id: u64, session_version: u64) -> Self {
        Self {
            username: "-",
            session_id,
            session_version,
            network: "IN",
            address_type: AddressType::Ip4,
            address: Address::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        }
    }

    /// Reads the value of an `o=` line.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(value: &'a str) -> Result<Self, Rule> {
        const SIX: &str =
            "o= has six fields: user, session id, session version, IN, address type, address (RFC 8866 §5.2)";
        let mut fields = Scanner::new(value);
        let username = fields.need(SIX)?;
        let session_id = scan::decimal(fields.need(SIX)?);
        let session_version = scan::decimal(fields.need(SIX)?);
        let (Some(session_id), Some(session_version)) = (session_id, session_version) else {
            return Err(Rule(
                "the session id and version of o= are numbers of at most 64 bits (RFC 8866 §5.2)",
            ));
        };
        let (network, address_type, address) = network(&mut fields)?;
        let address = typed(network, address_type, address)?;
        fields.end(SIX)?;
        Ok(Self {
            username,
            session_id,
            session_version,
            network,
            address_type,
            address,
        })
    }
}

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            username,
            session_id,
            session_version,
            network,
            address_type,
            address,
        } = self;
        write!(
            f,
            "{username} {session_id} {session_version} {network} {address_type} {address}"
        )
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn browsers_origins() {
        let firefox = "mozilla...THIS_IS_SDPARTA-99.0 5140135477320617541 0 IN IP4 0.0.0.0";
        let origin = Origin::parse(firefox).unwrap();
        assert_eq!(origin.session_id, 5_140_135_477_320_617_541);
        assert_eq!(origin.to_string(), firefox);
        assert_eq!(Origin::new(7, 2).to_string(), "- 7 2 IN IP4 127.0.0.1");
        assert_eq!(Origin::parse(&Origin::new(7, 2).to_string()), Ok(Origin::new(7, 2)));
    }

    #[test]
    fn rules() {
        for bad in [
            "",
            "-",
            "- 1 2",
            "- a 2 IN IP4 0.0.0.0",
            "- 1 2 IN IP4",
            "- 1 2 IN IP4 0.0.0.0 x",
            "- 1 2 IN IP4 ::1",
        ] {
            assert!(Origin::parse(bad).is_err(), "{bad:?}");
        }
    }
}
