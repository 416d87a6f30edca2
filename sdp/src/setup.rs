use core::fmt;

use crate::Rule;

/// `a=setup`: who starts the DTLS handshake (RFC 4145 §4, RFC 8842 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Setup {
    /// The writer is the DTLS client.
    Active,
    /// The writer is the DTLS server.
    Passive,
    /// The answerer chooses; only in offers.
    ActPass,
    /// No connection for now; not for DTLS-SRTP.
    HoldConn,
}

impl Setup {
    /// Reads the value of `a=setup`.
    ///
    /// # Errors
    /// When it is none of the four.
    pub fn parse(value: &str) -> Result<Self, Rule> {
        match value {
            "active" => Ok(Self::Active),
            "passive" => Ok(Self::Passive),
            "actpass" => Ok(Self::ActPass),
            "holdconn" => Ok(Self::HoldConn),
            _ => Err(Rule("a=setup is active, passive, actpass or holdconn (RFC 4145 §4)")),
        }
    }

    /// The value as text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::ActPass => "actpass",
            Self::HoldConn => "holdconn",
        }
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_values() {
        for setup in [Setup::Active, Setup::Passive, Setup::ActPass, Setup::HoldConn] {
            assert_eq!(Setup::parse(setup.as_str()), Ok(setup));
        }
        assert!(Setup::parse("Active").is_err());
        assert!(Setup::parse("").is_err());
    }
}
