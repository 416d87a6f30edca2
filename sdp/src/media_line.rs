use core::fmt;

use crate::scan::{self, Scanner};
use crate::{List, Rule};

/// `m=`: kind of media, port, transport, formats (RFC 8866 §5.14).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaLine<'a> {
    /// `audio`, `video`, `application`, `text`, `image`, `message` or another token.
    pub kind: &'a str,
    /// The default port; 9 when only candidates count, 0 for a rejected or a bundle-only section.
    pub port: u16,
    /// How many ports follow one another, at least 1; nobody in WebRTC says.
    pub port_count: Option<u32>,
    /// `UDP/TLS/RTP/SAVPF`, `UDP/DTLS/SCTP`, ...
    pub protocol: &'a str,
    /// Payload types for RTP, `webrtc-datachannel` for data channels.
    pub formats: List<'a, &'a str>,
}

impl<'a> MediaLine<'a> {
    /// Reads the value of an `m=` line.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(value: &'a str) -> Result<Self, Rule> {
        const FOUR: &str = "m= is a kind of media, a port, a protocol and at least one format (RFC 8866 §5.14)";
        let mut fields = Scanner::new(value);
        let kind = fields.need(FOUR)?;
        if !scan::is_token(kind) {
            return Err(Rule(
                "the kind of media in m= is a token such as audio or video (RFC 8866 §5.14)",
            ));
        }
        let port = fields.need(FOUR)?;
        let (port, port_count) = scan::split_once(port, b'/').map_or((port, None), |(port, count)| (port, Some(count)));
        let port =
            scan::decimal_u16(port).ok_or(Rule("the port in m= is a number from 0 to 65535 (RFC 8866 §5.14)"))?;
        let port_count = match port_count.map(scan::decimal_u32) {
            None => None,
            Some(Some(count)) if count > 0 => Some(count),
            Some(_) => return Err(Rule("the number of ports in m= is at least 1 (RFC 8866 §5.14)")),
        };
        let protocol = fields.need(FOUR)?;
        if !protocol.split('/').all(scan::is_token) {
            return Err(Rule(
                "the protocol in m= is tokens with slashes between them (RFC 8866 §5.14)",
            ));
        }
        let formats = List::text(fields.rest());
        if is_rtp(protocol) {
            for format in formats {
                scan::payload_type(format).ok_or(Rule(
                    "the formats of an RTP section are payload types from 0 to 127 (RFC 8866 §5.14)",
                ))?;
            }
        } else if !formats.iter().all(scan::is_token) {
            return Err(Rule("the formats in m= are tokens (RFC 8866 §5.14)"));
        }
        if formats.is_empty() {
            return Err(Rule(FOUR));
        }
        Ok(Self {
            kind,
            port,
            port_count,
            protocol,
            formats,
        })
    }

    /// Whether the section carries RTP, whose formats are payload types.
    pub fn is_rtp(&self) -> bool {
        is_rtp(self.protocol)
    }

    /// The payload types in order of preference; nothing unless the section carries RTP.
    pub fn payload_types(&self) -> impl Iterator<Item = u8> + use<'a> {
        let rtp = self.is_rtp();
        self.formats.iter().filter(move |_| rtp).filter_map(scan::payload_type)
    }
}

fn is_rtp(protocol: &str) -> bool {
    protocol.split('/').any(|part| part == "RTP")
}

impl fmt::Display for MediaLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.port)?;
        if let Some(count) = self.port_count {
            write!(f, "/{count}")?;
        }
        write!(f, " {} {}", self.protocol, self.formats)
    }
}

#[cfg(test)]
mod tests {
    use std::{string::ToString, vec, vec::Vec};

    use super::*;

    #[test]
    fn rtp_and_data() {
        let text = "video 9 UDP/TLS/RTP/SAVPF 96 97 102";
        let video = MediaLine::parse(text).unwrap();
        assert_eq!(video.payload_types().collect::<Vec<_>>(), vec![96, 97, 102]);
        assert_eq!(video.to_string(), text);
        let data = MediaLine::parse("application 9 UDP/DTLS/SCTP webrtc-datachannel").unwrap();
        assert!(!data.is_rtp());
        assert_eq!(data.formats.first(), Some("webrtc-datachannel"));
        assert_eq!(
            MediaLine::parse("audio 49170/2 RTP/AVP 31").unwrap().port_count,
            Some(2)
        );
    }

    #[test]
    fn rules() {
        for bad in [
            "",
            "audio",
            "audio 9",
            "audio 9 RTP/AVP",
            "audio 65536 RTP/AVP 0",
            "audio x RTP/AVP 0",
            "audio 9/0 RTP/AVP 0",
            "audio 9 RTP//AVP 0",
            "audio 9 RTP/AVP 128",
            "audio 9 RTP/AVP opus",
            "au/dio 9 RTP/AVP 0",
            "application 9 UDP/DTLS/SCTP a/b",
        ] {
            assert!(MediaLine::parse(bad).is_err(), "{bad:?}");
        }
    }
}
