use core::fmt;

use crate::attribute::Name;
use crate::scan;
use crate::{Attribute, Bandwidth, Connection, Key, MediaLine, Origin, Repeat, Rule, Timing, Zones};

/// One line of a description, typed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Line<'a> {
    /// `v=0`: the version of SDP.
    Version,
    /// `o=`.
    Origin(Origin<'a>),
    /// `s=`: the name of the session, `-` in browsers.
    SessionName(&'a str),
    /// `i=`: a text for people about the session or the section (RFC 8866 §5.4).
    Information(&'a str),
    /// `u=`: where to read more (RFC 8866 §5.5).
    Uri(&'a str),
    /// `e=`: whom to write to (RFC 8866 §5.6).
    Email(&'a str),
    /// `p=`: whom to call (RFC 8866 §5.6).
    Phone(&'a str),
    /// `c=`.
    Connection(Connection<'a>),
    /// `b=`.
    Bandwidth(Bandwidth<'a>),
    /// `t=`.
    Timing(Timing),
    /// `r=`.
    Repeat(Repeat<'a>),
    /// `z=`.
    Zones(Zones<'a>),
    /// `k=`.
    Key(Key<'a>),
    /// `a=`.
    Attribute(Attribute<'a>),
    /// `m=`: a section begins.
    Media(MediaLine<'a>),
    /// A line whose letter no standard knows; it survives as it stands.
    Unknown {
        /// The letter.
        letter: char,
        /// What follows the equals sign.
        value: &'a str,
    },
}

impl<'a> Line<'a> {
    /// Reads one line, without its line ending.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(text: &'a str) -> Result<Self, Rule> {
        let (kind, _) = check(text)?;
        Self::from_checked(kind, text)
    }

    /// Reads a line that was checked before.
    pub(crate) fn from_checked(kind: Kind, text: &'a str) -> Result<Self, Rule> {
        let value = text.get(2..).unwrap_or("");
        match kind {
            Kind::Attribute(name) => Attribute::from_checked(name, value).map(Self::Attribute),
            Kind::Letter(letter) => match letter {
                b'v' => version(value).map(|()| Self::Version),
                b'o' => Origin::parse(value).map(Self::Origin),
                b's' => session_name(value).map(Self::SessionName),
                b'i' => information(value).map(Self::Information),
                b'u' => uri(value).map(Self::Uri),
                b'e' => email(value).map(Self::Email),
                b'p' => phone(value).map(Self::Phone),
                b'c' => Connection::parse(value).map(Self::Connection),
                b'b' => Bandwidth::parse(value).map(Self::Bandwidth),
                b't' => Timing::parse(value).map(Self::Timing),
                b'r' => Repeat::parse(value).map(Self::Repeat),
                b'z' => Zones::parse(value).map(Self::Zones),
                b'k' => Key::parse(value).map(Self::Key),
                b'm' => MediaLine::parse(value).map(Self::Media),
                letter => Ok(Self::Unknown {
                    letter: char::from(letter),
                    value,
                }),
            },
        }
    }

    /// The letter before the equals sign.
    pub const fn letter(&self) -> char {
        match self {
            Self::Version => 'v',
            Self::Origin(_) => 'o',
            Self::SessionName(_) => 's',
            Self::Information(_) => 'i',
            Self::Uri(_) => 'u',
            Self::Email(_) => 'e',
            Self::Phone(_) => 'p',
            Self::Connection(_) => 'c',
            Self::Bandwidth(_) => 'b',
            Self::Timing(_) => 't',
            Self::Repeat(_) => 'r',
            Self::Zones(_) => 'z',
            Self::Key(_) => 'k',
            Self::Attribute(_) => 'a',
            Self::Media(_) => 'm',
            Self::Unknown { letter, .. } => *letter,
        }
    }
}

/// The line without its line ending.
impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=", self.letter())?;
        match self {
            Self::Version => f.write_str("0"),
            Self::Origin(origin) => fmt::Display::fmt(origin, f),
            Self::SessionName(text)
            | Self::Information(text)
            | Self::Uri(text)
            | Self::Email(text)
            | Self::Phone(text)
            | Self::Unknown { value: text, .. } => f.write_str(text),
            Self::Connection(connection) => fmt::Display::fmt(connection, f),
            Self::Bandwidth(bandwidth) => fmt::Display::fmt(bandwidth, f),
            Self::Timing(timing) => fmt::Display::fmt(timing, f),
            Self::Repeat(repeat) => fmt::Display::fmt(repeat, f),
            Self::Zones(zones) => fmt::Display::fmt(zones, f),
            Self::Key(key) => fmt::Display::fmt(key, f),
            Self::Attribute(attribute) => fmt::Display::fmt(attribute, f),
            Self::Media(media) => fmt::Display::fmt(media, f),
        }
    }
}

/// What a line is: its letter, or the name of its attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Letter(u8),
    Attribute(Name),
}

/// Checks a line, and tells what it is and where the value begins that its type reads.
pub(crate) fn check(text: &str) -> Result<(Kind, usize), Rule> {
    let &[letter, b'=', ..] = text.as_bytes() else {
        return Err(Rule(
            "a line is one letter, an equals sign and a value, without spaces around them (RFC 8866 §5)",
        ));
    };
    let value = text.get(2..).unwrap_or("");
    if letter == b'a' {
        let (name, offset) = crate::attribute::check(value)?;
        return Ok((Kind::Attribute(name), offset.saturating_add(2)));
    }
    match letter {
        b'm' => MediaLine::parse(value).map(drop),
        b'c' => Connection::parse(value).map(drop),
        b'v' => version(value),
        b'o' => Origin::parse(value).map(drop),
        b's' => session_name(value).map(drop),
        b'i' => information(value).map(drop),
        b'u' => uri(value).map(drop),
        b'e' => email(value).map(drop),
        b'p' => phone(value).map(drop),
        b'b' => Bandwidth::parse(value).map(drop),
        b't' => Timing::parse(value).map(drop),
        b'r' => Repeat::parse(value).map(drop),
        b'z' => Zones::parse(value).map(drop),
        b'k' => Key::parse(value).map(drop),
        letter if letter.is_ascii_alphabetic() => Ok(()),
        _ => Err(Rule("a line begins with a letter (RFC 8866 §5)")),
    }?;
    Ok((Kind::Letter(letter), 2))
}

fn version(value: &str) -> Result<(), Rule> {
    if value == "0" {
        Ok(())
    } else {
        Err(Rule("the version of SDP is 0: v=0 (RFC 8866 §5.1)"))
    }
}

fn session_name(value: &str) -> Result<&str, Rule> {
    not_empty(
        value,
        "a session has a name, s=- when there is nothing to say (RFC 8866 §5.3)",
    )
}

fn information(value: &str) -> Result<&str, Rule> {
    not_empty(value, "i= holds a text (RFC 8866 §5.4)")
}

fn uri(value: &str) -> Result<&str, Rule> {
    if scan::is_visible(value) {
        Ok(value)
    } else {
        Err(Rule("u= is a URI, without spaces (RFC 8866 §5.5)"))
    }
}

fn email(value: &str) -> Result<&str, Rule> {
    if value.contains('@') {
        Ok(value)
    } else {
        Err(Rule("e= is an e-mail address (RFC 8866 §5.6)"))
    }
}

fn phone(value: &str) -> Result<&str, Rule> {
    if value.bytes().any(|b| b.is_ascii_digit()) {
        Ok(value)
    } else {
        Err(Rule("p= is a phone number (RFC 8866 §5.6)"))
    }
}

fn not_empty<'a>(value: &'a str, rule: &'static str) -> Result<&'a str, Rule> {
    if value.is_empty() { Err(Rule(rule)) } else { Ok(value) }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn every_type_of_line() {
        for text in [
            "v=0",
            "o=jdoe 3724394400 3724394405 IN IP4 198.51.100.1",
            "s=Call to John Smith",
            "s= ",
            "i=SDP Offer #1",
            "u=http://www.jdoe.example.com/home.html",
            "e=Jane Doe <jane@jdoe.example.com>",
            "p=+1 617 555-6011",
            "c=IN IP4 198.51.100.1",
            "b=AS:64",
            "t=0 0",
            "r=7d 1h 0 25h",
            "z=3725153820 -1h",
            "k=prompt",
            "a=sendrecv",
            "m=audio 49170 RTP/AVP 0",
            "x=whatever",
            "y=",
        ] {
            let line = Line::parse(text).unwrap();
            assert_eq!(line.to_string(), text);
            assert!(text.starts_with(line.letter()));
        }
        for bad in [
            "", "v", "v0", "v =0", " v=0", "v=1", "v=", "s=", "i=", "u=a b", "u=", "e=x", "p=x", "1=x", "==", "é=1",
            "a=",
        ] {
            assert!(Line::parse(bad).is_err(), "{bad:?}");
        }
    }
}
