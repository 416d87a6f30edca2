use core::fmt;

use crate::Rule;
use crate::scan::{self, Scanner};

/// `a=sctpmap`: how data channels were announced before RFC 8841; some stacks still write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SctpMap<'a> {
    /// The SCTP port.
    pub port: u16,
    /// `webrtc-datachannel`.
    pub application: &'a str,
    /// How many streams.
    pub streams: Option<u32>,
}

impl<'a> SctpMap<'a> {
    /// Reads the value of `a=sctpmap`.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(value: &'a str) -> Result<Self, Rule> {
        const RULE: &str =
            "a=sctpmap is a port, an application and perhaps a number of streams (draft-ietf-mmusic-sctp-sdp-05)";
        let mut fields = Scanner::new(value);
        let port = scan::decimal_u16(fields.need(RULE)?).ok_or(Rule(RULE))?;
        let application = fields.need(RULE)?;
        let streams = match fields.word() {
            "" => None,
            number => Some(scan::decimal_u32(number).ok_or(Rule(RULE))?),
        };
        fields.end(RULE)?;
        if scan::is_token(application) {
            Ok(Self {
                port,
                application,
                streams,
            })
        } else {
            Err(Rule(RULE))
        }
    }
}

impl fmt::Display for SctpMap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.port, self.application)?;
        match self.streams {
            Some(streams) => write!(f, " {streams}"),
            None => Ok(()),
        }
    }
}

/// `a=sctp-init`: an SCTP INIT chunk in base64 (draft-hancke-tsvwg-snap §4). What it says only SCTP can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SctpInit<'a> {
    base64: &'a str,
}

impl<'a> SctpInit<'a> {
    /// Reads the value of `a=sctp-init`.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(value: &'a str) -> Result<Self, Rule> {
        let digits = value
            .strip_suffix("==")
            .or_else(|| value.strip_suffix('='))
            .unwrap_or(value);
        // Base64 of RFC 8866 §9: groups of four, of which the last may be padded.
        if !digits.is_empty() && value.len().is_multiple_of(4) && digits.bytes().all(|digit| sextet(digit).is_some()) {
            Ok(Self { base64: value })
        } else {
            Err(Rule(
                "a=sctp-init is an SCTP INIT chunk in base64 (draft-hancke-tsvwg-snap §4)",
            ))
        }
    }

    /// How many bytes the chunk has.
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.bytes().count()
    }

    /// The chunk.
    pub fn bytes(&self) -> impl Iterator<Item = u8> + use<'a> {
        self.base64.as_bytes().chunks(4).flat_map(|group| {
            let digits = group.iter().map_while(|digit| sextet(*digit));
            let padded = digits.clone().chain(core::iter::repeat(0)).take(4);
            let [_, bytes @ ..] = padded
                .fold(0_u32, |bits, digit| bits << 6 | u32::from(digit))
                .to_be_bytes();
            bytes.into_iter().take(digits.count().saturating_sub(1))
        })
    }
}

impl fmt::Display for SctpInit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.base64)
    }
}

/// The six bits of a digit of base64 (RFC 4648 §4).
fn sextet(digit: u8) -> Option<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits = DIGITS.iter().position(|known| *known == digit)?;
    u8::try_from(bits).ok()
}

/// `a=dcmap`: a data channel that both ends open without asking (RFC 8864 §5.1).
///
/// Equal when the options are, whatever spaces are around them.
#[derive(Debug, Clone, Copy)]
pub struct Dcmap<'a> {
    /// The SCTP stream, below 65535.
    pub stream: u16,
    options: &'a str,
}

impl<'a> Dcmap<'a> {
    /// Reads the value of `a=dcmap`.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(value: &'a str) -> Result<Self, Rule> {
        const STREAM: &str = "a=dcmap begins with the id of an SCTP stream, 0 to 65534 (RFC 8864 §5.1)";
        let mut fields = Scanner::new(value);
        let stream = scan::decimal_u16(fields.need(STREAM)?)
            .filter(|id| *id != u16::MAX)
            .ok_or(Rule(STREAM))?;
        let map = Self {
            stream,
            options: fields.rest(),
        };
        let (mut retransmits, mut time) = (false, false);
        for option in map.options() {
            let good = match option {
                ("ordered", value) => matches!(value, "true" | "false"),
                ("subprotocol" | "label", value) => unquoted(value).is_some(),
                ("max-retr", value) => {
                    retransmits = true;
                    scan::decimal_u32(value).is_some()
                }
                ("max-time", value) => {
                    time = true;
                    scan::decimal_u32(value).is_some()
                }
                ("priority", value) => scan::decimal_u16(value).is_some(),
                (name, _) => scan::is_token(name),
            };
            if !good {
                return Err(Rule(
                    "an option of a=dcmap has a value that it cannot have (RFC 8864 §5.1)",
                ));
            }
        }
        if retransmits && time {
            return Err(Rule(
                "max-retr and max-time of a=dcmap exclude each other (RFC 8864 §5.1)",
            ));
        }
        Ok(map)
    }

    /// The name of the channel, without its quotes; some characters in it may be percent-encoded.
    pub fn label(&self) -> Option<&'a str> {
        self.option("label").and_then(unquoted)
    }

    /// The protocol spoken on the channel, without its quotes.
    pub fn subprotocol(&self) -> Option<&'a str> {
        self.option("subprotocol").and_then(unquoted)
    }

    /// Whether messages arrive in order; yes unless said otherwise.
    pub fn ordered(&self) -> bool {
        self.option("ordered") != Some("false")
    }

    /// How often a message is sent again before it is given up.
    pub fn max_retransmits(&self) -> Option<u32> {
        self.option("max-retr").and_then(scan::decimal_u32)
    }

    /// For how long a message is tried, in milliseconds.
    pub fn max_lifetime_ms(&self) -> Option<u32> {
        self.option("max-time").and_then(scan::decimal_u32)
    }

    /// The priority of RFC 8832 §5.1; 256 unless said otherwise.
    pub fn priority(&self) -> u16 {
        self.option("priority").and_then(scan::decimal_u16).unwrap_or(256)
    }

    fn option(&self, name: &str) -> Option<&'a str> {
        self.options().find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    /// Name and value of each option. A semicolon inside quotes separates nothing.
    fn options(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let mut rest = self.options;
        core::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let mut quoted = false;
            let end = rest.bytes().position(|b| {
                quoted ^= b == b'"';
                b == b';' && !quoted
            });
            let (option, tail) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
            rest = tail.strip_prefix(';').unwrap_or(tail);
            let option = option.trim_ascii();
            Some(scan::split_once(option, b'=').unwrap_or((option, "")))
        })
    }
}

impl PartialEq for Dcmap<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.stream == other.stream && self.options().eq(other.options())
    }
}

impl Eq for Dcmap<'_> {}

impl fmt::Display for Dcmap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.stream)?;
        if self.options.is_empty() {
            return Ok(());
        }
        write!(f, " {}", self.options)
    }
}

/// `a=dcsa`: an attribute that speaks about one data channel (RFC 8864 §5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dcsa<'a> {
    /// The SCTP stream.
    pub stream: u16,
    /// The attribute without `a=`.
    pub attribute: &'a str,
}

impl<'a> Dcsa<'a> {
    /// Reads the value of `a=dcsa`.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(value: &'a str) -> Result<Self, Rule> {
        const RULE: &str = "a=dcsa is the id of an SCTP stream and an attribute (RFC 8864 §5.2)";
        let mut fields = Scanner::new(value);
        let stream = scan::decimal_u16(fields.need(RULE)?).ok_or(Rule(RULE))?;
        // The attribute is a line of its own kind, with the spaces in it.
        let attribute = fields.rest();
        let name = scan::split_once(attribute, b':').map_or(attribute, |(name, _)| name);
        if scan::is_token(name) {
            Ok(Self { stream, attribute })
        } else {
            Err(Rule(RULE))
        }
    }
}

impl fmt::Display for Dcsa<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.stream, self.attribute)
    }
}

fn unquoted(text: &str) -> Option<&str> {
    text.strip_prefix('"')?
        .strip_suffix('"')
        .filter(|inner| !inner.contains('"'))
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn channels() {
        let text = "2 subprotocol=\"msrp\";ordered=false;label=\"a;b\";max-retr=3;priority=512";
        let map = Dcmap::parse(text).unwrap();
        assert_eq!(
            (map.stream, map.subprotocol(), map.label()),
            (2, Some("msrp"), Some("a;b"))
        );
        assert_eq!(
            (
                map.ordered(),
                map.max_retransmits(),
                map.max_lifetime_ms(),
                map.priority()
            ),
            (false, Some(3), None, 512)
        );
        assert_eq!(map.to_string(), text);
        let plain = Dcmap::parse("0").unwrap();
        assert!(plain.ordered() && plain.priority() == 256);
        assert_eq!(plain.to_string(), "0");
        for bad in [
            "",
            "x",
            "65535",
            "1 ordered=maybe",
            "1 label=x",
            "1 max-retr=x",
            "1 max-retr=1;max-time=1",
            "1 priority=65536",
        ] {
            assert!(Dcmap::parse(bad).is_err(), "{bad:?}");
        }
    }

    /// The example of draft-hancke-tsvwg-snap §4.1.
    #[test]
    fn an_init_chunk() {
        let text = "AQAAHols3R0AUAAA/////+B5ZR3AAAAEgAgABoLA";
        let init = SctpInit::parse(text).unwrap();
        let chunk = [
            1, 0, 0, 30, 0x89, 0x6c, 0xdd, 0x1d, 0, 0x50, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xe0, 0x79, 0x65, 0x1d, 0xc0,
            0, 0, 4, 0x80, 8, 0, 6, 0x82, 0xc0,
        ];
        assert!(init.bytes().eq(chunk));
        assert_eq!((init.len(), init.to_string().as_str()), (30, text));
        for (text, bytes) in [
            ("AQ==", &[1][..]),
            ("AQI=", &[1, 2]),
            ("AQID", &[1, 2, 3]),
            ("+/+/", &[0xfb, 0xff, 0xbf]),
        ] {
            let init = SctpInit::parse(text).unwrap();
            assert!(
                init.bytes().eq(bytes.iter().copied()) && init.len() == bytes.len(),
                "{text}"
            );
        }
        for bad in [
            "", "A", "AQ", "AQI", "=", "====", "A===", "AQ=I", "AQI=AQID", "AQ-_", "AQI ", "AQIDA",
        ] {
            assert!(SctpInit::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn attributes_and_maps() {
        assert_eq!(
            Dcsa::parse("2 accept-types:text/plain").unwrap().to_string(),
            "2 accept-types:text/plain"
        );
        assert!(Dcsa::parse("2").is_err() && Dcsa::parse("2 :x").is_err());
        assert_eq!(
            SctpMap::parse("5000 webrtc-datachannel 1024").unwrap().to_string(),
            "5000 webrtc-datachannel 1024"
        );
        assert!(SctpMap::parse("5000").is_err() && SctpMap::parse("5000 a x").is_err());
    }
}
