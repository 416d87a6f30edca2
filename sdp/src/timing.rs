use core::fmt;

use crate::scan::{self, Scanner};
use crate::{List, Rule};

/// `t=`: when the session is on (RFC 8866 §5.9), in seconds since 1900; `0 0` in WebRTC: always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// When it starts; 0 is "always on" or "not bounded".
    pub start: u64,
    /// When it ends; 0 is "not bounded".
    pub stop: u64,
}

impl Timing {
    /// A session that is always on.
    pub const ALWAYS: Self = Self { start: 0, stop: 0 };

    /// Reads the value of a `t=` line.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(value: &str) -> Result<Self, Rule> {
        const RULE: &str = "t= is a start and a stop time, each 0 or seconds since 1900 (RFC 8866 §5.9)";
        let mut fields = Scanner::new(value);
        let start = scan::decimal(fields.word()).ok_or(Rule(RULE))?;
        let stop = scan::decimal(fields.word()).ok_or(Rule(RULE))?;
        fields.end(RULE)?;
        Ok(Self { start, stop })
    }
}

impl fmt::Display for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.start, self.stop)
    }
}

/// `r=`: how a session comes again (RFC 8866 §5.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeat<'a> {
    times: List<'a, &'a str>,
}

impl<'a> Repeat<'a> {
    /// Reads the value of an `r=` line: interval, duration, and one or more offsets.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(value: &'a str) -> Result<Self, Rule> {
        const RULE: &str =
            "r= is an interval, a duration and at least one offset, such as 7d 1h 0 25h (RFC 8866 §5.10)";
        let mut fields = Scanner::new(value);
        let mut count = 0u32;
        loop {
            let word = fields.word();
            if word.is_empty() {
                break;
            }
            let seconds = typed_time(word).ok_or(Rule(RULE))?;
            if count == 0 && seconds == 0 {
                return Err(Rule("a repeat interval is longer than nothing (RFC 8866 §5.10)"));
            }
            count = count.saturating_add(1);
        }
        if count < 3 {
            return Err(Rule(RULE));
        }
        Ok(Self {
            times: List::text(value),
        })
    }

    /// From the start of one occurrence to the start of the next, in seconds.
    pub fn interval(&self) -> u64 {
        self.times().next().unwrap_or(0)
    }

    /// How long each occurrence lasts, in seconds.
    pub fn duration(&self) -> u64 {
        self.times().nth(1).unwrap_or(0)
    }

    /// When the occurrences of one interval start, in seconds after its start.
    pub fn offsets(&self) -> impl Iterator<Item = u64> + use<'a> {
        self.times().skip(2)
    }

    fn times(&self) -> impl Iterator<Item = u64> + use<'a> {
        self.times.iter().filter_map(typed_time)
    }
}

impl fmt::Display for Repeat<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.times.fmt(f)
    }
}

/// `z=`: how the clock of the `r=` lines before it is shifted, for daylight saving (RFC 8866 §5.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zones<'a> {
    pairs: List<'a, &'a str>,
}

impl<'a> Zones<'a> {
    /// Reads the value of a `z=` line: pairs of a time and an adjustment.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(value: &'a str) -> Result<Self, Rule> {
        const RULE: Rule = Rule("z= is pairs of a time and an adjustment, such as 2882844526 -1h (RFC 8866 §5.11)");
        let pairs = List::text(value);
        let mut fields = pairs.iter();
        while let Some(time) = fields.next() {
            scan::decimal(time).ok_or(RULE)?;
            fields.next().and_then(adjustment).ok_or(RULE)?;
        }
        if pairs.is_empty() {
            Err(RULE)
        } else {
            Ok(Self { pairs })
        }
    }

    /// Pairs of the time of the change, in seconds since 1900, and the adjustment, in seconds.
    pub fn adjustments(&self) -> impl Iterator<Item = (u64, i64)> + use<'a> {
        let mut fields = self.pairs.iter();
        core::iter::from_fn(move || {
            let time = scan::decimal(fields.next()?)?;
            Some((time, adjustment(fields.next()?)?))
        })
    }
}

impl fmt::Display for Zones<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pairs.fmt(f)
    }
}

/// RFC 8866 §9, typed-time: a number of seconds, or of days, hours, minutes by their letter.
fn typed_time(text: &str) -> Option<u64> {
    let (number, unit) = match text.as_bytes().last()? {
        b'd' => (text.strip_suffix('d')?, 86_400),
        b'h' => (text.strip_suffix('h')?, 3_600),
        b'm' => (text.strip_suffix('m')?, 60),
        b's' => (text.strip_suffix('s')?, 1),
        _ => (text, 1),
    };
    scan::decimal(number)?.checked_mul(unit)
}

fn adjustment(text: &str) -> Option<i64> {
    match text.strip_prefix('-') {
        Some(text) => i64::try_from(typed_time(text)?).ok()?.checked_neg(),
        None => i64::try_from(typed_time(text)?).ok(),
    }
}

#[cfg(test)]
mod tests {
    use std::{vec, vec::Vec};

    use super::*;

    #[test]
    fn examples_of_the_rfc() {
        assert_eq!(
            Timing::parse("3034423619 3042462419"),
            Ok(Timing {
                start: 3_034_423_619,
                stop: 3_042_462_419
            })
        );
        let long = Repeat::parse("604800 3600 0 90000").unwrap();
        let short = Repeat::parse("7d 1h 0 25h").unwrap();
        assert_eq!((long.interval(), long.duration()), (604_800, 3_600));
        assert_eq!((short.interval(), short.duration()), (604_800, 3_600));
        assert_eq!(short.offsets().collect::<Vec<_>>(), vec![0, 90_000]);
        let zones = Zones::parse("3725153820 -1h 3740871420 0").unwrap();
        assert_eq!(
            zones.adjustments().collect::<Vec<_>>(),
            vec![(3_725_153_820, -3600), (3_740_871_420, 0)]
        );
    }

    #[test]
    fn rules() {
        for bad in ["", "0", "0 x", "0 0 0"] {
            assert!(Timing::parse(bad).is_err(), "{bad:?}");
        }
        for bad in ["", "7d 1h", "0 1h 0", "7x 1h 0", "7d 1h d"] {
            assert!(Repeat::parse(bad).is_err(), "{bad:?}");
        }
        for bad in ["", "1", "1 x", "1 2 3", "-1 2"] {
            assert!(Zones::parse(bad).is_err(), "{bad:?}");
        }
    }
}
