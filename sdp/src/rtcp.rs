use core::fmt;

use crate::scan::{self, Scanner};
use crate::{Connection, Rule};

/// `a=rtcp`: where RTCP goes when it is not multiplexed (RFC 3605 §2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rtcp<'a> {
    /// The port; 9 in browsers that multiplex.
    pub port: u16,
    /// The address, when it is not that of RTP.
    pub connection: Option<Connection<'a>>,
}

impl<'a> Rtcp<'a> {
    /// Reads the value of `a=rtcp`.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(value: &'a str) -> Result<Self, Rule> {
        const RULE: &str = "a=rtcp is a port and perhaps IN, address type and address (RFC 3605 §2.1)";
        let mut fields = Scanner::new(value);
        let port = scan::decimal_u16(fields.need(RULE)?).ok_or(Rule(RULE))?;
        let connection = match fields.rest() {
            "" => None,
            rest => Some(Connection::parse(rest)?),
        };
        Ok(Self { port, connection })
    }
}

impl fmt::Display for Rtcp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.port)?;
        match self.connection {
            Some(connection) => write!(f, " {connection}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn forms() {
        for text in ["9 IN IP4 0.0.0.0", "53020", "53020 IN IP6 2001:db8:85a3::8a2e:370:7334"] {
            assert_eq!(Rtcp::parse(text).unwrap().to_string(), text);
        }
        for bad in ["", "x", "65536", "9 IN", "9 IN IP4 ::"] {
            assert!(Rtcp::parse(bad).is_err(), "{bad:?}");
        }
    }
}
