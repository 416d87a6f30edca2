use core::fmt;

use crate::scan::{self, Scanner};
use crate::{Parameters, Rule};

/// Which way the streams of `a=rid` and `a=simulcast` go, seen by who wrote the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RidDirection {
    /// The writer sends.
    Send,
    /// The writer receives.
    Recv,
}

impl RidDirection {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Recv => "recv",
        }
    }

    /// The same flow, seen from the other end.
    #[must_use]
    pub const fn reversed(self) -> Self {
        match self {
            Self::Send => Self::Recv,
            Self::Recv => Self::Send,
        }
    }
}

impl fmt::Display for RidDirection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `a=rid`: a stream within a section, known by the RTP header extension of RFC 8852 (RFC 8851 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rid<'a> {
    /// The id: letters, digits, `-` and `_`.
    pub id: &'a str,
    /// Who sends it.
    pub direction: RidDirection,
    /// `pt=`, `max-width=`, `max-height=`, `max-fps=`, `max-fs=`, `max-br=`, `max-pps=`, `max-bpp=`, `depend=`.
    pub restrictions: Parameters<'a>,
}

impl<'a> Rid<'a> {
    /// A stream without restrictions.
    pub const fn new(id: &'a str, direction: RidDirection) -> Self {
        Self {
            id,
            direction,
            restrictions: Parameters::new(""),
        }
    }

    /// Reads the value of `a=rid`.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(value: &'a str) -> Result<Self, Rule> {
        const RULE: &str =
            "a=rid is an id of letters and digits, send or recv, and restrictions with semicolons (RFC 8851 §10)";
        let mut fields = Scanner::new(value);
        let id = fields.need(RULE)?;
        let direction = match fields.need(RULE)? {
            "send" => RidDirection::Send,
            "recv" => RidDirection::Recv,
            _ => return Err(Rule(RULE)),
        };
        let restrictions = Parameters::new(fields.rest());
        if !scan::is_rid(id) {
            return Err(Rule(RULE));
        }
        for (i, (name, value)) in restrictions.iter().enumerate() {
            check_restriction(i, name, value)?;
        }
        Ok(Self {
            id,
            direction,
            restrictions,
        })
    }

    /// The payload types to which the stream is restricted; empty when to none.
    pub fn payload_types(&self) -> impl Iterator<Item = u8> + use<'a> {
        self.restrictions
            .get("pt")
            .unwrap_or("")
            .split(',')
            .filter_map(scan::payload_type)
    }
}

fn check_restriction(index: usize, name: &str, value: Option<&str>) -> Result<(), Rule> {
    let (good, rule) = match (name, value) {
        ("pt", _) if index > 0 => (false, "pt= comes first among the restrictions of a=rid (RFC 8851 §5)"),
        ("pt", list) => (
            list.unwrap_or("")
                .split(',')
                .all(|format| scan::payload_type(format).is_some()),
            "pt= of a=rid is payload types with commas between them (RFC 8851 §5)",
        ),
        ("max-width" | "max-height" | "max-fps" | "max-fs" | "max-br" | "max-pps", value) => (
            value.is_none_or(|value| scan::decimal(value).is_some()),
            "this restriction of a=rid is a whole number (RFC 8851 §5)",
        ),
        (name, _) => (
            scan::is_rid(name),
            "the name of a restriction of a=rid is letters, digits, - and _ (RFC 8851 §10)",
        ),
    };
    if good { Ok(()) } else { Err(Rule(rule)) }
}

impl fmt::Display for Rid<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.id, self.direction)?;
        if self.restrictions.is_empty() {
            return Ok(());
        }
        write!(f, " {}", self.restrictions)
    }
}

#[cfg(test)]
mod tests {
    use std::{string::ToString, vec, vec::Vec};

    use super::*;

    #[test]
    fn restrictions() {
        for text in [
            "q send",
            "a recv pt=96",
            "b recv pt=96,97;max-width=320",
            "1_2-3 send max-width=1280;max-fps=30",
        ] {
            assert_eq!(Rid::parse(text).unwrap().to_string(), text);
        }
        let rid = Rid::parse("b recv pt=96,97;max-width=320").unwrap();
        assert_eq!(rid.payload_types().collect::<Vec<_>>(), vec![96, 97]);
        assert_eq!(rid.restrictions.number("max-width"), Some(320));
        assert_eq!(Rid::parse("q send").unwrap(), Rid::new("q", RidDirection::Send));
        // Restrictions that are none are not printed.
        for text in ["q send ;", "q send ; ;", "q send  "] {
            let rid = Rid::parse(text).unwrap();
            assert_eq!(
                (rid, rid.to_string().as_str()),
                (Rid::new("q", RidDirection::Send), "q send")
            );
        }
        assert_eq!(RidDirection::Send.reversed(), RidDirection::Recv);
        for bad in [
            "",
            "q",
            "q both",
            "q! send",
            "q send pt=x",
            "q send max-width=1;pt=96",
            "q send max-width=x",
            "q send a b",
        ] {
            assert!(Rid::parse(bad).is_err(), "{bad:?}");
        }
    }
}
