use core::fmt;

use crate::Rule;
use crate::scan::{self, Scanner};

/// `a=rtpmap`: what a payload type stands for (RFC 8866 §6.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpMap<'a> {
    /// 0 to 127.
    pub payload_type: u8,
    /// The name of the encoding, `opus`, `VP8`, `rtx`, ...; compare it without regard to case.
    pub encoding: &'a str,
    /// In Hz.
    pub clock_rate: u32,
    /// What follows a second slash: the number of channels, for audio.
    pub parameters: Option<&'a str>,
}

impl<'a> RtpMap<'a> {
    /// Reads the value of `a=rtpmap`.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(value: &'a str) -> Result<Self, Rule> {
        const RULE: &str = "a=rtpmap is a payload type and encoding/clock or encoding/clock/channels (RFC 8866 §6.6)";
        let mut fields = Scanner::new(value);
        let payload_type = scan::payload_type(fields.need(RULE)?).ok_or(Rule(
            "the payload type of a=rtpmap is a number from 0 to 127 (RFC 8866 §6.6)",
        ))?;
        let format = fields.need(RULE)?;
        fields.end(RULE)?;
        let (encoding, clock) = scan::split_once(format, b'/').ok_or(Rule(RULE))?;
        let (clock, parameters) =
            scan::split_once(clock, b'/').map_or((clock, None), |(clock, rest)| (clock, Some(rest)));
        let clock_rate = scan::decimal_u32(clock)
            .filter(|rate| *rate > 0)
            .ok_or(Rule("the clock rate of a=rtpmap is a number of Hz (RFC 8866 §6.6)"))?;
        if !scan::is_token(encoding) || !parameters.is_none_or(scan::is_visible) {
            return Err(Rule(RULE));
        }
        Ok(Self {
            payload_type,
            encoding,
            clock_rate,
            parameters,
        })
    }

    /// Whether the encoding has this name.
    pub fn is(&self, encoding: &str) -> bool {
        self.encoding.eq_ignore_ascii_case(encoding)
    }

    /// How many audio channels: 1 unless said otherwise.
    pub fn channels(&self) -> u32 {
        self.parameters.and_then(scan::decimal_u32).unwrap_or(1)
    }
}

impl fmt::Display for RtpMap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.payload_type, self.encoding, self.clock_rate)?;
        match self.parameters {
            Some(parameters) => write!(f, "/{parameters}"),
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
        for text in ["111 opus/48000/2", "96 VP8/90000", "9 G722/8000/1"] {
            assert_eq!(RtpMap::parse(text).unwrap().to_string(), text);
        }
        let opus = RtpMap::parse("111 opus/48000/2").unwrap();
        assert!(opus.is("OPUS") && opus.channels() == 2);
        assert_eq!(RtpMap::parse("0 PCMU/8000").unwrap().channels(), 1);
        for bad in [
            "",
            "96",
            "96 VP8",
            "128 VP8/90000",
            "x VP8/90000",
            "96 VP8/",
            "96 VP8/0",
            "96 /90000",
            "96 VP8/90000/",
            "96 V P8/90000",
        ] {
            assert!(RtpMap::parse(bad).is_err(), "{bad:?}");
        }
    }
}
