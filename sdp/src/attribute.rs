use core::fmt;
use core::time::Duration;

use crate::scan;
use crate::{
    Candidate, Dcmap, Dcsa, Direction, Extmap, Fingerprint, Fmtp, Group, List, Msid, MsidSemantic, RemoteCandidates,
    Rid, Rtcp, RtcpFb, RtcpXr, RtpMap, Rule, SctpInit, SctpMap, Setup, Simulcast, Ssrc, SsrcGroup,
};

/// Writes the enum [`Attribute`], the tags under which a parsed document remembers its lines, and what goes with them,
/// from one table. The table's order is that of the comparisons when a name is looked up: the frequent ones first.
macro_rules! attributes {
    (
        values { $($(#[$vdoc:meta])* $vname:literal $occurs:ident => $Value:ident($type:ty) = $parse:expr;)* }
        flags { $($(#[$fdoc:meta])* $fname:literal => $Flag:ident;)* }
    ) => {
        /// One `a=` line, typed.
        #[derive(Clone, Copy, PartialEq)]
        pub enum Attribute<'a> {
            $($(#[$vdoc])* $Value($type),)*
            $($(#[$fdoc])* $Flag,)*
            /// `a=sendrecv`, `a=sendonly`, `a=recvonly`, `a=inactive`: which way media flows (RFC 8866 §6.7).
            Direction(Direction),
            /// An attribute that is not known here; it survives as it stands.
            Other {
                /// Its name, a token.
                name: &'a str,
                /// What follows the colon.
                value: Option<&'a str>,
            },
        }

        /// Which attribute a line is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum Name {
            $($Value,)*
            $($Flag,)*
            Direction,
            Other,
        }

        impl Name {
            pub(crate) fn from_text(text: &str) -> Self {
                match text {
                    $($vname => Self::$Value,)*
                    $($fname => Self::$Flag,)*
                    "sendrecv" | "sendonly" | "recvonly" | "inactive" => Self::Direction,
                    _ => Self::Other,
                }
            }

            /// Whether it may stand only once on each level.
            pub(crate) const fn is_single(self) -> bool {
                match self {
                    $(Self::$Value => attributes!(@occurs $occurs),)*
                    $(Self::$Flag => false,)*
                    Self::Direction => true,
                    Self::Other => false,
                }
            }

            /// Whether the attribute is a name alone.
            const fn is_flag(self) -> bool {
                matches!(self, Self::Direction $(| Self::$Flag)*)
            }

            /// Checks a value without keeping what it means.
            fn check(self, value: &str) -> Result<(), Rule> {
                match self {
                    $(Self::$Value => ($parse)(value).map(|_| ()),)*
                    _ => Ok(()),
                }
            }
        }

        impl<'a> Attribute<'a> {
            /// From a name that was looked up and a value; those of [`Name::Other`] were split by the caller.
            fn known(name: Name, text: &'a str, value: Option<&'a str>) -> Result<Self, Rule> {
                match name {
                    $(Name::$Value => ($parse)(value.unwrap_or("")).map(Self::$Value),)*
                    $(Name::$Flag => Ok(Self::$Flag),)*
                    Name::Direction => Direction::parse(text).map(Self::Direction),
                    Name::Other => Ok(Self::Other { name: text, value }),
                }
            }

            /// The name before the colon.
            pub const fn name(&self) -> &'a str {
                match self {
                    $(Self::$Value(_) => $vname,)*
                    $(Self::$Flag => $fname,)*
                    Self::Direction(direction) => direction.as_str(),
                    Self::Other { name, .. } => name,
                }
            }

            fn fmt_debug(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$Value(value) => f.debug_tuple(stringify!($Value)).field(value).finish(),)*
                    $(Self::$Flag => f.write_str(stringify!($Flag)),)*
                    Self::Direction(direction) => f.debug_tuple("Direction").field(direction).finish(),
                    Self::Other { name, value } => {
                        f.debug_struct("Other").field("name", name).field("value", value).finish()
                    }
                }
            }

            fn fmt_value(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$Value(value) => write!(f, ":{value}"),)*
                    Self::Other { value: Some(value), .. } => write!(f, ":{value}"),
                    _ => Ok(()),
                }
            }
        }

        #[cfg(test)]
        pub(crate) const NAMES: &[&str] = &[$($vname,)* $($fname,)* "sendrecv", "sendonly", "recvonly", "inactive"];
    };
    (@occurs once) => { true };
    (@occurs many) => { false };
}

attributes! {
    values {
        /// `a=rtcp-fb`.
        "rtcp-fb" many => RtcpFb(RtcpFb<'a>) = RtcpFb::parse;
        /// `a=rtpmap`.
        "rtpmap" many => RtpMap(RtpMap<'a>) = RtpMap::parse;
        /// `a=fmtp`.
        "fmtp" many => Fmtp(Fmtp<'a>) = Fmtp::parse;
        /// `a=extmap`.
        "extmap" many => Extmap(Extmap<'a>) = Extmap::parse;
        /// `a=candidate`.
        "candidate" many => Candidate(Candidate<'a>) = candidate;
        /// `a=ssrc`.
        "ssrc" many => Ssrc(Ssrc<'a>) = Ssrc::parse;
        /// `a=mid`: the name of a section (RFC 5888 §4).
        "mid" once => Mid(&'a str) = mid;
        /// `a=setup`.
        "setup" once => Setup(Setup) = Setup::parse;
        /// `a=ice-ufrag`: the username fragment, 4 to 256 ice-chars (RFC 8839 §5.4).
        "ice-ufrag" once => IceUfrag(&'a str) = ice_ufrag;
        /// `a=ice-pwd`: the password, 22 to 256 ice-chars (RFC 8839 §5.4).
        "ice-pwd" once => IcePwd(&'a str) = ice_pwd;
        /// `a=fingerprint`.
        "fingerprint" many => Fingerprint(Fingerprint<'a>) = Fingerprint::parse;
        /// `a=ice-options`: `trickle`, `ice2`, ... (RFC 8839 §5.6).
        "ice-options" many => IceOptions(List<'a, &'a str>) = ice_options;
        /// `a=rtcp`.
        "rtcp" once => Rtcp(Rtcp<'a>) = Rtcp::parse;
        /// `a=msid`.
        "msid" many => Msid(Msid<'a>) = Msid::parse;
        /// `a=group`.
        "group" many => Group(Group<'a>) = Group::parse;
        /// `a=msid-semantic`.
        "msid-semantic" many => MsidSemantic(MsidSemantic<'a>) = MsidSemantic::parse;
        /// `a=ssrc-group`.
        "ssrc-group" many => SsrcGroup(SsrcGroup<'a>) = SsrcGroup::parse;
        /// `a=rtcp-xr`.
        "rtcp-xr" many => RtcpXr(RtcpXr<'a>) = RtcpXr::parse;
        /// `a=sctp-port` (RFC 8841 §5).
        "sctp-port" once => SctpPort(u16) = sctp_port;
        /// `a=sctp-init`: how the writer's SCTP begins, so that it need not be said later on (SNAP).
        "sctp-init" once => SctpInit(SctpInit<'a>) = SctpInit::parse;
        /// `a=max-message-size`: the longest message that the writer takes, in bytes; 0 is any (RFC 8841 §6).
        "max-message-size" once => MaxMessageSize(u64) = max_message_size;
        /// `a=rid`.
        "rid" many => Rid(Rid<'a>) = Rid::parse;
        /// `a=simulcast`.
        "simulcast" once => Simulcast(Simulcast<'a>) = Simulcast::parse;
        /// `a=tls-id`: names a DTLS association (RFC 8842 §4).
        "tls-id" once => TlsId(&'a str) = tls_id;
        /// `a=identity`: an assertion about who speaks (RFC 8827 §5).
        "identity" many => Identity(&'a str) = text;
        /// `a=ice-pacing`: the interval between connectivity checks (RFC 8839 §5.5).
        "ice-pacing" once => IcePacing(Milliseconds) = Milliseconds::parse_whole;
        /// `a=remote-candidates`.
        "remote-candidates" once => RemoteCandidates(RemoteCandidates<'a>) = RemoteCandidates::parse;
        /// `a=ptime`: how much media is in a packet (RFC 8866 §6.4).
        "ptime" once => Ptime(Milliseconds) = Milliseconds::parse;
        /// `a=maxptime`: how much media is in a packet at most (RFC 8866 §6.5).
        "maxptime" once => MaxPtime(Milliseconds) = Milliseconds::parse;
        /// `a=framerate`: frames per second at most (RFC 8866 §6.13).
        "framerate" once => Framerate(Framerate<'a>) = Framerate::parse;
        /// `a=sctpmap`.
        "sctpmap" many => SctpMap(SctpMap<'a>) = SctpMap::parse;
        /// `a=dcmap`.
        "dcmap" many => Dcmap(Dcmap<'a>) = Dcmap::parse;
        /// `a=dcsa`.
        "dcsa" many => Dcsa(Dcsa<'a>) = Dcsa::parse;
        /// `a=label`: the application's name for a section (RFC 4574 §4).
        "label" once => Label(&'a str) = token;
        /// `a=content`: what a section shows: `slides`, `speaker`, `main`, ... (RFC 4796 §5).
        "content" once => Content(&'a str) = text;
        /// `a=connection`: `new` or `existing`, for TCP (RFC 4145 §5).
        "connection" once => Connection(&'a str) = connection;
        /// `a=cat`: a category, obsolete (RFC 8866 §6.1).
        "cat" many => Category(&'a str) = text;
        /// `a=keywds`: keywords, obsolete (RFC 8866 §6.2).
        "keywds" many => Keywords(&'a str) = text;
        /// `a=tool`: what wrote the description (RFC 8866 §6.3).
        "tool" many => Tool(&'a str) = text;
        /// `a=type`: the kind of conference (RFC 8866 §6.9).
        "type" many => Type(&'a str) = token;
        /// `a=charset`: how the texts for people are encoded (RFC 8866 §6.10).
        "charset" many => Charset(&'a str) = token;
        /// `a=sdplang`: the language of the texts for people (RFC 8866 §6.11).
        "sdplang" many => SdpLanguage(&'a str) = language;
        /// `a=lang`: the language of the media (RFC 8866 §6.12).
        "lang" many => Language(&'a str) = language;
        /// `a=quality`: 0 to 10, for video (RFC 8866 §6.14).
        "quality" many => Quality(&'a str) = quality;
        /// `a=orient`: how a shared board is turned (RFC 8866 §6.8).
        "orient" many => Orientation(&'a str) = orientation;
    }
    flags {
        /// `a=rtcp-mux`: RTP and RTCP share a port (RFC 5761 §5.1.1).
        "rtcp-mux" => RtcpMux;
        /// `a=rtcp-rsize`: reduced-size RTCP is understood (RFC 5506 §5).
        "rtcp-rsize" => RtcpRsize;
        /// `a=extmap-allow-mixed`: one-byte and two-byte header extensions may be mixed in a stream (RFC 8285 §6).
        "extmap-allow-mixed" => ExtmapAllowMixed;
        /// `a=cryptex`: the writer opens packets whose header extensions and CSRCs are encrypted (RFC 9335 §4).
        "cryptex" => Cryptex;
        /// `a=end-of-candidates`: nothing will be trickled any more (RFC 8840 §8).
        "end-of-candidates" => EndOfCandidates;
        /// `a=bundle-only`: the section lives in its bundle or not at all (RFC 9143 §6).
        "bundle-only" => BundleOnly;
        /// `a=ice-lite`: the writer answers checks and sends none (RFC 8839 §5.3).
        "ice-lite" => IceLite;
        /// `a=rtcp-mux-only`: RTCP is multiplexed or there is none (RFC 8858 §3).
        "rtcp-mux-only" => RtcpMuxOnly;
        /// `a=ice-mismatch`: the default address is not among the candidates (RFC 8839 §5.3).
        "ice-mismatch" => IceMismatch;
    }
}

impl<'a> Attribute<'a> {
    /// Reads an attribute: what stands after `a=`.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(text: &'a str) -> Result<Self, Rule> {
        let (name, _) = check(text)?;
        Self::from_checked(name, text)
    }

    /// Reads an attribute whose name was looked up before.
    pub(crate) fn from_checked(name: Name, text: &'a str) -> Result<Self, Rule> {
        let (text, value) = scan::split_once(text, b':').map_or((text, None), |(name, value)| (name, Some(value)));
        Self::known(name, text, value)
    }
}

/// The attribute without `a=`.
impl fmt::Display for Attribute<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        self.fmt_value(f)
    }
}

/// The password is a secret.
impl fmt::Debug for Attribute<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IcePwd(password) => write!(f, "IcePwd({} bytes)", password.len()),
            _ => self.fmt_debug(f),
        }
    }
}

impl From<Direction> for Attribute<'_> {
    fn from(direction: Direction) -> Self {
        Self::Direction(direction)
    }
}

/// Checks an attribute, looks up its name, and tells where its value begins: where it ends, without a colon.
pub(crate) fn check(text: &str) -> Result<(Name, usize), Rule> {
    let Some((name_text, value)) = scan::split_once(text, b':') else {
        let name = Name::from_text(text);
        return if name == Name::Direction {
            // The four directions are four names of one attribute, so the name is what their type reads.
            Ok((name, 0))
        } else if name.is_flag() {
            Ok((name, text.len()))
        } else if name != Name::Other {
            // Those few that may be empty say so; the others name the rule.
            name.check("").map(|()| (name, text.len()))
        } else if scan::is_token(text) {
            Ok((name, text.len()))
        } else {
            Err(NOT_A_TOKEN)
        };
    };
    let name = Name::from_text(name_text);
    if name == Name::Other {
        if !scan::is_token(name_text) {
            return Err(NOT_A_TOKEN);
        }
    } else if name.is_flag() {
        return Err(Rule("this attribute is a name alone, without a colon and a value"));
    } else {
        name.check(value)?;
    }
    Ok((name, name_text.len().saturating_add(1)))
}

const NOT_A_TOKEN: Rule = Rule("the name of an attribute is a token: no spaces, slashes or quotes (RFC 8866 §5.13)");

/// A length of time in milliseconds, perhaps with a fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Milliseconds(pub Duration);

impl Milliseconds {
    fn parse(text: &str) -> Result<Self, Rule> {
        const RULE: Rule = Rule("this attribute is a number of milliseconds (RFC 8866 §6.4)");
        let (whole, fraction) = scan::split_once(text, b'.').map_or((text, "0"), |(whole, fraction)| (whole, fraction));
        let whole = scan::decimal_u32(whole).ok_or(RULE)?;
        if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return Err(RULE);
        }
        // Six digits are nanoseconds; what is finer than that is nobody's packet.
        let mut nanos: u64 = 0;
        for digit in fraction.bytes().chain(core::iter::repeat(b'0')).take(6) {
            nanos = nanos
                .saturating_mul(10)
                .saturating_add(u64::from(digit.saturating_sub(b'0')));
        }
        Ok(Self(
            Duration::from_millis(u64::from(whole)).saturating_add(Duration::from_nanos(nanos)),
        ))
    }

    /// 1*10DIGIT, of which not all are in an u32.
    fn parse_whole(text: &str) -> Result<Self, Rule> {
        let digits = text.len() <= 10 && text.bytes().all(|b| b.is_ascii_digit());
        let ms = digits.then(|| text.parse().ok()).flatten();
        ms.map(|ms| Self(Duration::from_millis(ms))).ok_or(Rule(
            "this attribute is one to ten digits, milliseconds (RFC 8839 §5.5)",
        ))
    }
}

impl fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        let (whole, fraction) = (nanos.wrapping_div(1_000_000), nanos.wrapping_rem(1_000_000));
        write!(f, "{whole}")?;
        if fraction == 0 {
            return Ok(());
        }
        let mut digits = fraction;
        let mut width = 6usize;
        while digits.wrapping_rem(10) == 0 {
            digits = digits.wrapping_div(10);
            width = width.saturating_sub(1);
        }
        write!(f, ".{digits:0width$}")
    }
}

/// A number of frames per second, whole or with a fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framerate<'a> {
    text: &'a str,
}

impl<'a> Framerate<'a> {
    /// Reads the value of `a=framerate`.
    ///
    /// # Errors
    /// When it is not such a number.
    pub fn parse(text: &'a str) -> Result<Self, Rule> {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let (whole, fraction) = scan::split_once(text, b'.').unwrap_or((text, "0"));
        if digits(whole) && digits(fraction) {
            Ok(Self { text })
        } else {
            Err(Rule("a=framerate is a number of frames per second (RFC 8866 §6.13)"))
        }
    }

    /// Frames per second.
    pub fn fps(&self) -> f64 {
        self.text.parse().unwrap_or(0.0)
    }
}

impl fmt::Display for Framerate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

/// Inside a description the value of `a=candidate` has no second name before it.
fn candidate(value: &str) -> Result<Candidate<'_>, Rule> {
    if value.starts_with("candidate:") || value.starts_with("a=") {
        return Err(Rule(
            "a candidate's foundation is 1 to 32 letters, digits, + or / (RFC 8839 §5.1)",
        ));
    }
    Candidate::parse(value)
}

fn text(value: &str) -> Result<&str, Rule> {
    if value.is_empty() {
        Err(Rule("this attribute needs a value after its colon"))
    } else {
        Ok(value)
    }
}

fn token(value: &str) -> Result<&str, Rule> {
    if scan::is_token(value) {
        Ok(value)
    } else {
        Err(Rule("the value of this attribute is a token (RFC 8866 §9)"))
    }
}

fn mid(value: &str) -> Result<&str, Rule> {
    if scan::is_token(value) {
        Ok(value)
    } else {
        Err(Rule("a=mid is a token (RFC 5888 §4)"))
    }
}

fn ice_ufrag(value: &str) -> Result<&str, Rule> {
    if (4..=256).contains(&value.len()) && scan::is_ice(value) {
        Ok(value)
    } else {
        Err(Rule("a=ice-ufrag is 4 to 256 letters, digits, + or / (RFC 8839 §5.4)"))
    }
}

fn ice_pwd(value: &str) -> Result<&str, Rule> {
    if (22..=256).contains(&value.len()) && scan::is_ice(value) {
        Ok(value)
    } else {
        Err(Rule("a=ice-pwd is 22 to 256 letters, digits, + or / (RFC 8839 §5.4)"))
    }
}

fn ice_options(value: &str) -> Result<List<'_, &str>, Rule> {
    // The tags in use hold characters that ice-char has not: `rtp+ecn`, but also `google-ice`.
    let options = List::text(value);
    if !options.is_empty() && options.iter().all(scan::is_visible) {
        Ok(options)
    } else {
        Err(Rule("a=ice-options is tags with spaces between them (RFC 8839 §5.6)"))
    }
}

fn tls_id(value: &str) -> Result<&str, Rule> {
    if (20..=255).contains(&value.len()) && scan::is_tls_id(value) {
        Ok(value)
    } else {
        Err(Rule(
            "a=tls-id is 20 to 255 letters, digits, +, /, - or _ (RFC 8842 §4)",
        ))
    }
}

fn sctp_port(value: &str) -> Result<u16, Rule> {
    without_leading_zero(value).and_then(scan::decimal_u16).ok_or(Rule(
        "a=sctp-port is a number from 0 to 65535 without leading zeroes (RFC 8841 §5.2)",
    ))
}

fn max_message_size(value: &str) -> Result<u64, Rule> {
    without_leading_zero(value).and_then(scan::decimal).ok_or(Rule(
        "a=max-message-size is a number of bytes without leading zeroes (RFC 8841 §6.2)",
    ))
}

fn without_leading_zero(value: &str) -> Option<&str> {
    (value == "0" || !value.starts_with('0')).then_some(value)
}

fn connection(value: &str) -> Result<&str, Rule> {
    match value {
        "new" | "existing" => Ok(value),
        _ => Err(Rule("a=connection is new or existing (RFC 4145 §5)")),
    }
}

fn language(value: &str) -> Result<&str, Rule> {
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        Ok(value)
    } else {
        Err(Rule("a language is a tag such as en or de-AT (RFC 8866 §6.11)"))
    }
}

fn quality(value: &str) -> Result<&str, Rule> {
    match scan::decimal_u16(value) {
        Some(0..=10) => Ok(value),
        _ => Err(Rule("a=quality is a number from 0 to 10 (RFC 8866 §6.14)")),
    }
}

fn orientation(value: &str) -> Result<&str, Rule> {
    match value {
        "portrait" | "landscape" | "seascape" => Ok(value),
        _ => Err(Rule("a=orient is portrait, landscape or seascape (RFC 8866 §6.8)")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::format;
    use std::string::ToString;

    use super::*;

    #[test]
    fn every_name_is_known_once_and_prints_as_itself() {
        assert_eq!(NAMES.iter().collect::<BTreeSet<_>>().len(), NAMES.len());
        for name in NAMES {
            assert_ne!(Name::from_text(name), Name::Other, "{name}");
        }
        // The bit set of the order rules has room for them.
        assert!((Name::Other as u8) < 64);
    }

    #[test]
    fn text_attributes_are_checked() {
        for good in [
            "mid:0",
            "ice-ufrag:A7ws",
            "ice-pwd:pz61q+81Yz2YzEtOMueLdPDQ",
            "ice-options:trickle ice2",
            "sctp-port:5000",
            "sctp-init:AQAAHols3R0AUAAA/////+B5ZR3AAAAEgAgABoLA",
            "max-message-size:0",
            "max-message-size:1073741823",
            "tls-id:abc3de65cddef001be82",
            "ice-pacing:50",
            "ice-pacing:9999999999",
            "ptime:20",
            "ptime:2.5",
            "maxptime:120",
            "framerate:29.97",
            "label:1",
            "content:slides",
            "connection:new",
            "cat:a.b",
            "keywds:x y",
            "tool:x",
            "type:meeting",
            "charset:ISO-8859-1",
            "sdplang:de-AT",
            "lang:en",
            "quality:10",
            "orient:portrait",
            "identity:eyJ=",
            "rtcp-mux",
            "rtcp-mux-only",
            "bundle-only",
            "ice-lite",
            "ice-mismatch",
            "end-of-candidates",
            "rtcp-rsize",
            "extmap-allow-mixed",
            "cryptex",
            "inactive",
            "unknown",
            "unknown:",
            "unknown:x:y z",
            "rtcp-xr:rcvr-rtt=all",
        ] {
            assert_eq!(Attribute::parse(good).unwrap().to_string(), good);
        }
        for bad in [
            "",
            ":x",
            "un known",
            "mid:",
            "mid",
            "mid:a b",
            "ice-ufrag:abc",
            "ice-ufrag:ab-d",
            "ice-pwd:tooshort",
            "ice-options:",
            "ice-options",
            "sctp-init",
            "sctp-init:AQA",
            "sctp-port:05",
            "sctp-port:65536",
            "max-message-size:01",
            "max-message-size:x",
            "tls-id:short",
            "ice-pacing:x",
            "ice-pacing:",
            "ice-pacing:+5",
            "ice-pacing:10000000000",
            "ptime:x",
            "ptime:1.",
            "framerate:x",
            "framerate:.5",
            "label:",
            "connection:old",
            "lang:e n",
            "quality:11",
            "orient:up",
            "rtcp-mux:x",
            "sendrecv:x",
            "tool:",
            "candidate:candidate:1 1 udp 1 ::1 5 typ host",
        ] {
            assert!(Attribute::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Attribute::parse(&format!("ice-ufrag:{}", "a".repeat(257))).is_err());
        assert!(Attribute::parse(&format!("ice-ufrag:{}", "a".repeat(256))).is_ok());
    }

    #[test]
    fn fractions_of_milliseconds() {
        assert_eq!(Milliseconds::parse("2.5").unwrap().0, Duration::from_micros(2500));
        assert_eq!(Milliseconds(Duration::from_micros(62_050)).to_string(), "62.05");
        assert!((Framerate::parse("29.97").unwrap().fps() - 29.97).abs() < 1e-9);
    }
}
