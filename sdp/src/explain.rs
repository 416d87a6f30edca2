use alloc::string::String;
use core::fmt;

use crate::{
    Address, Attribute, Candidate, CandidateKind, Direction, Line, MediaLine, ParseError, RidDirection, RtcpFb,
    Session, Setup, SimulcastStreams, TcpType, Timing, Transport, XrFormat,
};

/// What the lines of a description mean, for people: its `Display` writes each line and a plain sentence under it.
#[derive(Debug, Clone, Copy)]
pub struct Explanation<'a> {
    session: &'a Session,
}

/// The options of ICE whose meaning is told, where they are said.
const ICE_OPTIONS: [(&str, &str); 3] = [
    ("trickle", "candidates may follow later"),
    ("renomination", "the way of media may change in mid-call"),
    ("sped", "DTLS travels in connectivity checks"),
];

/// Explains a description line by line.
///
/// ```
/// let session = sdp::Session::parse("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=ice-lite\r\n")?;
/// let text = sdp::explain(&session).to_string();
/// assert!(text.ends_with("a=ice-lite\n    The writer is ICE-lite: it answers connectivity checks and sends none.\n"));
/// # Ok::<(), sdp::ParseError>(())
/// ```
pub const fn explain(session: &Session) -> Explanation<'_> {
    Explanation { session }
}

/// Parses a description and prints it back.
///
/// # Errors
/// The first line that breaks a rule, and the rule.
pub fn reprint(text: &str) -> Result<String, ParseError> {
    Session::parse(text).map(|session| String::from(session.as_str()))
}

impl<'a> Explanation<'a> {
    /// Each line as it stands, with the sentence that explains it.
    pub fn lines(&self) -> impl Iterator<Item = (&'a str, Sentence<'a>)> + use<'a> {
        self.session.raw_lines().zip(self.session.lines().map(Sentence))
    }
}

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (line, sentence) in self.lines() {
            if line.starts_with("m=") {
                writeln!(f)?;
            }
            writeln!(f, "{line}\n    {sentence}")?;
        }
        Ok(())
    }
}

/// What one line means, as a sentence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sentence<'a>(Line<'a>);

impl<'a> From<Line<'a>> for Sentence<'a> {
    fn from(line: Line<'a>) -> Self {
        Self(line)
    }
}

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Line::Version => f.write_str("This is SDP version 0, the only one there is."),
            Line::Origin(origin) => write!(
                f,
                "Session {} in its version {}, made by {}.",
                origin.session_id,
                origin.session_version,
                if origin.username == "-" {
                    "nobody in particular"
                } else {
                    origin.username
                }
            ),
            Line::SessionName("-" | " ") => f.write_str("The session has no name."),
            Line::SessionName(name) => write!(f, "The session is called \"{name}\"."),
            Line::Information(text) => write!(f, "A note for people: {text}."),
            Line::Uri(uri) => write!(f, "More about the session is at {uri}."),
            Line::Email(address) => write!(f, "Questions go by mail to {address}."),
            Line::Phone(number) => write!(f, "Questions go by phone to {number}."),
            Line::Connection(connection) if connection.address.ip().is_some_and(|ip| ip.is_unspecified()) => {
                f.write_str("No default address is given: only the candidates count.")
            }
            Line::Connection(connection) => {
                write!(
                    f,
                    "Without ICE, media would go to {}; with ICE the candidates decide.",
                    connection.address
                )
            }
            Line::Bandwidth(limit) => match limit.bits_per_second() {
                Some(bits) => write!(f, "At most {bits} bit/s are wanted ({}).", limit.kind),
                None => write!(
                    f,
                    "A limit of the kind {}, which is not known here: {}.",
                    limit.kind, limit.value
                ),
            },
            Line::Timing(Timing::ALWAYS) => f.write_str("The session is not bounded in time."),
            Line::Timing(timing) => write!(
                f,
                "It lasts from {} to {}, in seconds since 1900.",
                timing.start, timing.stop
            ),
            Line::Repeat(repeat) => {
                write!(
                    f,
                    "It comes again every {} s and lasts {} s each time.",
                    repeat.interval(),
                    repeat.duration()
                )
            }
            Line::Zones(zones) => {
                write!(
                    f,
                    "The clock of the repetitions is shifted {} times.",
                    zones.adjustments().count()
                )
            }
            Line::Key(_) => f.write_str("An encryption key in the clear, which nobody should use any more."),
            Line::Attribute(attribute) => explain_attribute(f, attribute),
            Line::Media(media) => explain_media(f, media),
            Line::Unknown { letter, .. } => {
                write!(f, "No standard knows lines that begin with {letter}; it is ignored.")
            }
        }
    }
}

fn explain_media(f: &mut fmt::Formatter<'_>, media: &MediaLine<'_>) -> fmt::Result {
    let what = match media.kind {
        "application" if media.formats.first() == Some("webrtc-datachannel") => "data channels",
        kind => kind,
    };
    write!(f, "A section for {what}")?;
    match media.protocol {
        "UDP/TLS/RTP/SAVPF" => f.write_str(" over RTP, encrypted with keys from DTLS")?,
        "UDP/DTLS/SCTP" => f.write_str(" over SCTP inside DTLS")?,
        other => write!(f, " over {other}")?,
    }
    if media.is_rtp() {
        write!(f, ", payload types {} in order of preference", media.formats)?;
    }
    match media.port {
        0 => f.write_str("; port 0 says that it is rejected or stopped, unless a=bundle-only follows."),
        9 => f.write_str("; port 9 is a placeholder, the candidates tell the real ones."),
        port => write!(f, "; its default port is {port}."),
    }
}

#[allow(
    clippy::too_many_lines,
    reason = "one arm for each attribute is the plainest form of a dictionary"
)]
fn explain_attribute(f: &mut fmt::Formatter<'_>, attribute: &Attribute<'_>) -> fmt::Result {
    match attribute {
        Attribute::RtcpFb(feedback) => explain_feedback(f, feedback),
        Attribute::RtpMap(map) => {
            write!(
                f,
                "Payload type {} is {} with a clock of {} Hz",
                map.payload_type, map.encoding, map.clock_rate
            )?;
            match map.channels() {
                1 => f.write_str("."),
                channels => write!(f, " and {channels} channels."),
            }
        }
        Attribute::Fmtp(fmtp) => match fmtp.parameters.number("apt") {
            Some(media) => write!(
                f,
                "Payload type {} retransmits packets of payload type {media}.",
                fmtp.format
            ),
            None => write!(
                f,
                "Payload type {} is used with these parameters: {}.",
                fmtp.format, fmtp.parameters
            ),
        },
        Attribute::Extmap(extmap) => {
            write!(
                f,
                "RTP header extension {} is {}",
                extmap.id,
                extension_meaning(extmap.uri).unwrap_or(extmap.uri)
            )?;
            match extmap.direction {
                Some(direction) => write!(f, ", which the writer {}.", direction_verb(direction)),
                None => f.write_str("."),
            }
        }
        Attribute::Candidate(candidate) => explain_candidate(f, candidate),
        Attribute::Ssrc(ssrc) => match (ssrc.cname(), ssrc.msid()) {
            (Some(cname), _) => write!(f, "Source {} belongs to the participant {cname}.", ssrc.ssrc),
            (_, Some(msid)) => write!(f, "Source {} belongs to the stream {}.", ssrc.ssrc, msid.stream),
            _ => write!(f, "Source {} has the attribute {}.", ssrc.ssrc, ssrc.attribute),
        },
        Attribute::SsrcGroup(group) => match group.retransmission_pair() {
            Some((media, rtx)) => write!(f, "Source {rtx} retransmits what source {media} sends."),
            None => write!(f, "The sources {} belong together ({}).", group.ssrcs, group.semantics),
        },
        Attribute::Mid(mid) => write!(
            f,
            "The section is called {mid}; groups, candidates and packets refer to it so."
        ),
        Attribute::Setup(setup) => f.write_str(match setup {
            Setup::Active => "The writer starts the DTLS handshake: it is the client.",
            Setup::Passive => "The writer waits for the DTLS handshake: it is the server.",
            Setup::ActPass => "The writer can be DTLS client or server; the answerer chooses.",
            Setup::HoldConn => "No connection is wanted for now.",
        }),
        Attribute::IceUfrag(ufrag) => write!(f, "Connectivity checks to the writer carry the user name {ufrag}."),
        Attribute::IcePwd(_) => f.write_str("Connectivity checks to the writer are authenticated with this password."),
        Attribute::Fingerprint(fingerprint) => {
            write!(
                f,
                "The certificate in the DTLS handshake must have this {} hash.",
                fingerprint.algorithm
            )
        }
        Attribute::IceOptions(options) => {
            write!(f, "The writer supports these options of ICE: {options}")?;
            for (option, meaning) in ICE_OPTIONS {
                if options.iter().any(|known| known == option) {
                    write!(f, "; {option} means that {meaning}")?;
                }
            }
            f.write_str(".")
        }
        Attribute::Rtcp(rtcp) => write!(f, "Without multiplexing, RTCP would go to port {}.", rtcp.port),
        Attribute::Msid(msid) => match msid.stream_id() {
            Some(stream) => write!(
                f,
                "The track belongs to the stream {stream}; tracks of one stream play in step."
            ),
            None => f.write_str("The track belongs to no stream."),
        },
        Attribute::Group(group) if group.is_bundle() => {
            write!(f, "The sections {} share one transport.", group.mids)
        }
        Attribute::Group(group) => write!(f, "The sections {} belong together ({}).", group.mids, group.semantics),
        Attribute::MsidSemantic(_) => f.write_str("An old announcement that a=msid is used; nobody needs it any more."),
        Attribute::RtcpXr(xr) => match xr.formats().next() {
            Some(XrFormat::ReceiverRtt { .. }) => {
                f.write_str("The writer wants extended reports by which receivers measure their round-trip time.")
            }
            _ => f.write_str("The writer wants these extended RTCP reports."),
        },
        Attribute::SctpPort(port) => write!(f, "SCTP inside DTLS uses port {port}."),
        Attribute::SctpInit(init) => write!(
            f,
            "The writer's SCTP begins as these {} bytes say; who answers with its own saves the handshake of SCTP (SNAP).",
            init.len()
        ),
        Attribute::MaxMessageSize(0) => f.write_str("The writer takes data-channel messages of any size."),
        Attribute::MaxMessageSize(bytes) => write!(f, "The writer takes data-channel messages of up to {bytes} bytes."),
        Attribute::Rid(rid) => {
            write!(f, "The layer {} is {}", rid.id, rid_verb(rid.direction))?;
            if rid.restrictions.is_empty() {
                f.write_str(".")
            } else {
                write!(f, ", restricted to {}.", rid.restrictions)
            }
        }
        Attribute::Simulcast(simulcast) => {
            f.write_str("Simulcast: the writer")?;
            if let Some(streams) = simulcast.send {
                f.write_str(" sends")?;
                explain_streams(f, streams)?;
            }
            if let Some(streams) = simulcast.recv {
                f.write_str(if simulcast.send.is_some() {
                    " and receives"
                } else {
                    " receives"
                })?;
                explain_streams(f, streams)?;
            }
            f.write_str(".")
        }
        Attribute::TlsId(_) => f.write_str("This names the DTLS association; another name would mean a new one."),
        Attribute::Identity(_) => f.write_str("An assertion by an identity provider about who speaks."),
        Attribute::IcePacing(pacing) => write!(f, "Connectivity checks are at least {pacing} ms apart."),
        Attribute::RemoteCandidates(_) => f.write_str("These are the candidates that the writer has selected."),
        Attribute::Ptime(time) => write!(f, "A packet should hold {time} ms of media."),
        Attribute::MaxPtime(time) => write!(f, "A packet holds at most {time} ms of media."),
        Attribute::Framerate(rate) => write!(f, "At most {rate} frames per second are wanted."),
        Attribute::SctpMap(map) => write!(f, "The old form of a=sctp-port: SCTP uses port {}.", map.port),
        Attribute::Dcmap(map) => write!(
            f,
            "SCTP stream {} is a data channel that both ends open without asking.",
            map.stream
        ),
        Attribute::Dcsa(attribute) => write!(
            f,
            "The data channel on SCTP stream {} has an attribute.",
            attribute.stream
        ),
        Attribute::Label(label) => write!(f, "The application calls the section {label}."),
        Attribute::Content(content) => write!(f, "The section shows: {content}."),
        Attribute::Connection("new") => f.write_str("A new connection is wanted."),
        Attribute::Connection(_) => f.write_str("The existing connection goes on."),
        Attribute::Category(_) => f.write_str("A category for filters, obsolete."),
        Attribute::Keywords(_) => f.write_str("Keywords for filters, obsolete."),
        Attribute::Tool(tool) => write!(f, "The description was written by {tool}."),
        Attribute::Type(kind) => write!(f, "The session is of the type {kind}."),
        Attribute::Charset(charset) => write!(f, "Texts for people are encoded as {charset}."),
        Attribute::SdpLanguage(language) => write!(f, "Texts for people are in the language {language}."),
        Attribute::Language(language) => write!(f, "The media is in the language {language}."),
        Attribute::Quality(quality) => write!(f, "The video's quality is to be {quality} of 10."),
        Attribute::Orientation(orientation) => write!(f, "The shared board is turned to {orientation}."),
        Attribute::RtcpMux => f.write_str("RTP and RTCP share one port."),
        Attribute::RtcpRsize => f.write_str("RTCP packets may come without the report that elsewhere must lead them."),
        Attribute::ExtmapAllowMixed => f.write_str("Short and long RTP header extensions may be mixed in one stream."),
        Attribute::Cryptex => {
            f.write_str("Header extensions and contributing sources may be encrypted with the payload.")
        }
        Attribute::EndOfCandidates => f.write_str("No more candidates will follow."),
        Attribute::BundleOnly => {
            f.write_str("The section lives in its bundle or not at all, so its port 0 is no rejection.")
        }
        Attribute::IceLite => f.write_str("The writer is ICE-lite: it answers connectivity checks and sends none."),
        Attribute::RtcpMuxOnly => f.write_str("RTP and RTCP share one port; the writer cannot do otherwise."),
        Attribute::IceMismatch => f.write_str("The default address was not among the candidates, so ICE is not used."),
        Attribute::Direction(direction) => f.write_str(match direction {
            Direction::SendRecv => "The writer wants to send and to receive.",
            Direction::SendOnly => "The writer wants to send and not to receive.",
            Direction::RecvOnly => "The writer wants to receive and not to send.",
            Direction::Inactive => "For now nothing is sent either way.",
        }),
        Attribute::Other { name, .. } => write!(f, "The attribute {name} is not known here; it is ignored."),
    }
}

fn explain_candidate(f: &mut fmt::Formatter<'_>, candidate: &Candidate<'_>) -> fmt::Result {
    f.write_str("The writer may be reached at ")?;
    match candidate.address {
        Address::Ip(_) => {}
        Address::Name(_) if candidate.address.is_mdns() => f.write_str("a hidden local address, ")?,
        Address::Name(_) => f.write_str("the host ")?,
    }
    write!(f, "{}", candidate.address)?;
    match (candidate.transport, candidate.tcp_type) {
        (Transport::Tcp, Some(TcpType::Active)) => f.write_str(" by a TCP connection that it opens itself")?,
        (transport, _) => write!(f, " port {} over {transport}", candidate.port)?,
    }
    f.write_str(match candidate.kind {
        CandidateKind::Host => ", an address of its own",
        CandidateKind::ServerReflexive => ", its address as a STUN server sees it",
        CandidateKind::PeerReflexive => ", its address as the peer sees it",
        CandidateKind::Relayed => ", through a relay",
        CandidateKind::Other(_) => ", an address of an unknown kind",
    })?;
    if candidate.component == 2 {
        f.write_str(", for RTCP alone")?;
    }
    write!(f, "; its priority is {}.", candidate.priority)
}

fn explain_feedback(f: &mut fmt::Formatter<'_>, feedback: &RtcpFb<'_>) -> fmt::Result {
    match feedback.payload_type {
        Some(payload_type) => write!(f, "For payload type {payload_type} ")?,
        None => f.write_str("For all payload types ")?,
    }
    f.write_str(match (feedback.id, feedback.parameter) {
        ("nack", "") => "lost packets can be asked for again.",
        ("nack", "pli") => "a new key frame can be asked for when a picture is lost.",
        ("nack", "rpsi") => "a reference picture can be chosen.",
        ("nack", "sli") => "lost slices can be reported.",
        ("ccm", "fir") => "a full intra picture can be demanded.",
        ("ccm", "tmmbr") => "a limit for the bit rate can be asked for.",
        ("goog-remb", _) => "the receiver may tell its estimate of the bandwidth (REMB).",
        ("transport-cc", _) => "the arrival time of every packet may be reported (transport-wide feedback).",
        ("ack", "ccfb") => "the arrival time of every packet may be reported (RFC 8888).",
        ("trr-int", _) => "regular RTCP reports keep a distance.",
        _ => return write!(f, "feedback of the kind {} is understood.", feedback.id),
    })
}

fn explain_streams(f: &mut fmt::Formatter<'_>, streams: SimulcastStreams<'_>) -> fmt::Result {
    for (i, stream) in streams.streams().enumerate() {
        f.write_str(if i == 0 { " " } else { ", " })?;
        for (j, rid) in stream.alternatives().enumerate() {
            write!(
                f,
                "{}{}{}",
                if j == 0 { "" } else { " or " },
                rid.id,
                if rid.paused { " (paused)" } else { "" }
            )?;
        }
    }
    Ok(())
}

const fn direction_verb(direction: Direction) -> &'static str {
    match direction {
        Direction::SendRecv => "sends and receives",
        Direction::SendOnly => "only sends",
        Direction::RecvOnly => "only receives",
        Direction::Inactive => "knows but does not use now",
    }
}

const fn rid_verb(direction: RidDirection) -> &'static str {
    match direction {
        RidDirection::Send => "sent by the writer",
        RidDirection::Recv => "received by the writer",
    }
}

/// What those extensions are for that browsers offer.
fn extension_meaning(uri: &str) -> Option<&'static str> {
    Some(match uri {
        "urn:ietf:params:rtp-hdrext:ssrc-audio-level" => "the loudness of the speaker",
        "urn:ietf:params:rtp-hdrext:csrc-audio-level" => "the loudness of those who were mixed",
        "urn:ietf:params:rtp-hdrext:sdes:mid" => "the name of the section (mid)",
        "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id" => "the name of the layer (rid)",
        "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id" => {
            "the name of the layer that a retransmission repairs"
        }
        "urn:ietf:params:rtp-hdrext:toffset" => "the time between sampling and sending",
        "urn:3gpp:video-orientation" => "how the picture is turned",
        "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time" => "the time of sending",
        "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01" => {
            "a packet number over the whole transport, for congestion control"
        }
        "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay" => "how long to wait before playing",
        "http://www.webrtc.org/experiments/rtp-hdrext/video-content-type" => {
            "whether the picture is a screen or a camera"
        }
        "http://www.webrtc.org/experiments/rtp-hdrext/video-timing" => "when a frame was captured, encoded and sent",
        "http://www.webrtc.org/experiments/rtp-hdrext/color-space" => "the colour space",
        "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time" => "when the media was captured",
        "http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00" => "which layers are sent now",
        "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension" => {
            "which frames depend on which (dependency descriptor)"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    fn sentence(line: &str) -> String {
        Sentence::from(Line::parse(line).unwrap()).to_string()
    }

    #[test]
    fn sentences() {
        assert_eq!(
            sentence("a=rtpmap:111 opus/48000/2"),
            "Payload type 111 is opus with a clock of 48000 Hz and 2 channels."
        );
        assert_eq!(
            sentence("a=fmtp:97 apt=96"),
            "Payload type 97 retransmits packets of payload type 96."
        );
        assert_eq!(
            sentence("a=simulcast:send a;~b,c"),
            "Simulcast: the writer sends a, b (paused) or c."
        );
        assert_eq!(
            sentence("a=candidate:1 1 udp 5 x.local 9 typ host"),
            "The writer may be reached at a hidden local address, x.local port 9 over udp, an address of its own; its priority is 5."
        );
        assert_eq!(
            sentence("a=ice-options:trickle sped x"),
            "The writer supports these options of ICE: trickle sped x; trickle means that candidates may follow later; \
             sped means that DTLS travels in connectivity checks."
        );
        assert_eq!(
            sentence("x=1"),
            "No standard knows lines that begin with x; it is ignored."
        );
        assert_eq!(
            sentence("a=extmap:2/recvonly urn:ietf:params:rtp-hdrext:sdes:mid"),
            "RTP header extension 2 is the name of the section (mid), which the writer only receives."
        );
    }

    #[test]
    fn secrets_are_not_repeated_in_sentences() {
        assert!(!sentence("a=ice-pwd:pz61q+81Yz2YzEtOMueLdPDQ").contains("pz61q"));
        assert!(!sentence("k=clear:hunter2").contains("hunter2"));
    }

    #[test]
    fn secrets_are_not_repeated_by_debug() {
        let debug = |text| std::format!("{:?}", Line::parse(text).unwrap());
        assert_eq!(
            debug("a=ice-pwd:pz61q+81Yz2YzEtOMueLdPDQ"),
            "Attribute(IcePwd(24 bytes))"
        );
        assert_eq!(debug("k=clear:hunter2"), "Key(Clear(7 bytes))");
        // All others are shown as they would be by a derived implementation.
        assert_eq!(debug("a=ice-ufrag:A7ws"), "Attribute(IceUfrag(\"A7ws\"))");
        assert_eq!(debug("a=rtcp-mux"), "Attribute(RtcpMux)");
        assert_eq!(debug("a=sendonly"), "Attribute(Direction(SendOnly))");
        assert_eq!(
            debug("a=new:x"),
            "Attribute(Other { name: \"new\", value: Some(\"x\") })"
        );
    }
}
