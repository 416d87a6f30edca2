use core::fmt;

use crate::scan::{self, Scanner};
use crate::{List, Rule};

/// `a=group`: sections that belong together (RFC 5888 §5), above all `BUNDLE` (RFC 9143): one transport for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group<'a> {
    /// `BUNDLE`, `LS`, `FID`, ...
    pub semantics: &'a str,
    /// The `a=mid` of its members, in order; the first of a bundle is the offerer- or answerer-tagged one.
    pub mids: List<'a, &'a str>,
}

impl<'a> Group<'a> {
    /// The semantics of RFC 9143.
    pub const BUNDLE: &'static str = "BUNDLE";

    /// Reads the value of `a=group`.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(value: &'a str) -> Result<Self, Rule> {
        const RULE: &str = "a=group is a meaning such as BUNDLE and the mids of its members (RFC 5888 §5)";
        let mut fields = Scanner::new(value);
        let semantics = fields.need(RULE)?;
        let mids = List::text(fields.rest());
        if scan::is_token(semantics) && mids.iter().all(scan::is_token) {
            Ok(Self { semantics, mids })
        } else {
            Err(Rule(RULE))
        }
    }

    /// Whether the members share one transport.
    pub fn is_bundle(&self) -> bool {
        self.semantics == Self::BUNDLE
    }
}

impl fmt::Display for Group<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.semantics)?;
        for mid in self.mids {
            write!(f, " {mid}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{string::ToString, vec, vec::Vec};

    use super::*;

    #[test]
    fn members_keep_their_order() {
        let group = Group::parse("BUNDLE 0 4 2 3").unwrap();
        assert!(group.is_bundle());
        assert_eq!(group.mids.iter().collect::<Vec<_>>(), vec!["0", "4", "2", "3"]);
        assert_eq!(group.to_string(), "BUNDLE 0 4 2 3");
        assert_eq!(Group::parse("BUNDLE").unwrap().to_string(), "BUNDLE");
        assert!(Group::parse("").is_err());
        assert!(Group::parse("BUNDLE a/b").is_err());
    }
}
