use std::collections::BTreeMap;
use std::time::Duration;

use sdp::{
    Attribute, Candidate, Direction, Extmap, Fingerprint, Fmtp, MediaLine, Parameters, RidDirection, RtcpFb, RtpMap,
    SctpInit, Session, Setup, Simulcast, SsrcGroup, XrFormat,
};

use crate::{Codec, Kind};

/// An offer, sorted for answering.
#[derive(Debug, Clone)]
pub(crate) struct Offer<'a> {
    pub(crate) session: Level<'a>,
    /// The mids of each BUNDLE group.
    pub(crate) groups: Vec<Vec<&'a str>>,
    pub(crate) sections: Vec<OfferedSection<'a>>,
}

impl<'a> Offer<'a> {
    pub(crate) fn new(session: &'a Session) -> Self {
        let level = Level::collect(session.attributes());
        let m_lines = session
            .raw_lines()
            .enumerate()
            .filter(|(_, text)| text.starts_with("m="));
        let sections = session.media().zip(m_lines).map(|(media, (above, _))| {
            OfferedSection::new(above + 1, media.line(), Level::collect(media.attributes()), &level)
        });
        let sections = sections.collect();
        let groups = session.bundles().map(|group| group.mids.iter().collect()).collect();
        Self {
            session: level,
            groups,
            sections,
        }
    }
}

impl Offer<'_> {
    /// Whether a section announces this SSRC.
    pub(crate) fn announces(&self, ssrc: u32) -> bool {
        self.sections.iter().any(|section| section.level.ssrcs.contains(&ssrc))
    }
}

/// The ICE option of who follows each further nomination (draft-thatcher-ice-renomination).
pub(crate) const RENOMINATION: &str = "renomination";

/// The ICE options of who lays DTLS into checks: that of draft-hancke-webrtc-sped, and libwebrtc's beside it.
pub(crate) const SPED: [&str; 2] = ["sped", "googspedv1"];

/// What the attributes of one level say, sorted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Level<'a> {
    pub(crate) mid: Option<&'a str>,
    pub(crate) direction: Option<Direction>,
    pub(crate) ufrag: Option<&'a str>,
    pub(crate) pwd: Option<&'a str>,
    pub(crate) fingerprints: Vec<Fingerprint<'a>>,
    pub(crate) setup: Option<Setup>,
    pub(crate) ice_lite: bool,
    /// Whether `a=ice-options` has `renomination`.
    pub(crate) renomination: bool,
    /// Which of the options [`SPED`] `a=ice-options` has.
    pub(crate) sped: [bool; SPED.len()],
    /// The Ta that the peer proposes, of the session level (RFC 8839 §5.5).
    pub(crate) pacing: Option<Duration>,
    pub(crate) bundle_only: bool,
    pub(crate) rtcp_mux: bool,
    pub(crate) rtcp_rsize: bool,
    pub(crate) allow_mixed: bool,
    pub(crate) receiver_rtt: bool,
    pub(crate) rtpmaps: Vec<RtpMap<'a>>,
    pub(crate) fmtps: Vec<Fmtp<'a>>,
    pub(crate) feedback: Vec<RtcpFb<'a>>,
    pub(crate) extmaps: Vec<Extmap<'a>>,
    pub(crate) rids: Vec<sdp::Rid<'a>>,
    pub(crate) simulcast: Option<Simulcast<'a>>,
    pub(crate) ssrcs: Vec<u32>,
    pub(crate) ssrc_groups: Vec<SsrcGroup<'a>>,
    pub(crate) candidates: Vec<Candidate<'a>>,
    pub(crate) sctp_port: Option<u16>,
    pub(crate) max_message_size: Option<u64>,
    pub(crate) sctp_init: Option<SctpInit<'a>>,
}

impl<'a> Level<'a> {
    pub(crate) fn collect(attributes: impl Iterator<Item = Attribute<'a>>) -> Self {
        let mut level = Self::default();
        for attribute in attributes {
            level.take(attribute);
        }
        level
    }

    fn take(&mut self, attribute: Attribute<'a>) {
        match attribute {
            Attribute::Mid(mid) => self.mid = Some(mid),
            Attribute::Direction(direction) => self.direction = Some(direction),
            Attribute::IceUfrag(ufrag) => self.ufrag = Some(ufrag),
            Attribute::IcePwd(pwd) => self.pwd = Some(pwd),
            Attribute::Fingerprint(fingerprint) => self.fingerprints.push(fingerprint),
            Attribute::Setup(setup) => self.setup = Some(setup),
            Attribute::IceLite => self.ice_lite = true,
            Attribute::IceOptions(options) => {
                self.renomination |= options.iter().any(|option| option == RENOMINATION);
                for (has, name) in self.sped.iter_mut().zip(SPED) {
                    *has |= options.iter().any(|option| option == name);
                }
            }
            Attribute::IcePacing(pacing) => self.pacing = Some(pacing.0),
            Attribute::BundleOnly => self.bundle_only = true,
            Attribute::RtcpMux | Attribute::RtcpMuxOnly => self.rtcp_mux = true,
            Attribute::RtcpRsize => self.rtcp_rsize = true,
            Attribute::ExtmapAllowMixed => self.allow_mixed = true,
            Attribute::RtcpXr(xr) => {
                self.receiver_rtt |= xr
                    .formats()
                    .any(|format| matches!(format, XrFormat::ReceiverRtt { .. }));
            }
            Attribute::RtpMap(rtpmap) => self.rtpmaps.push(rtpmap),
            Attribute::Fmtp(fmtp) => self.take_fmtp(fmtp),
            Attribute::RtcpFb(feedback) => self.feedback.push(feedback),
            Attribute::Extmap(extmap) => self.extmaps.push(extmap),
            Attribute::Rid(rid) => self.rids.push(rid),
            Attribute::Simulcast(simulcast) => self.simulcast = Some(simulcast),
            // The lines of one SSRC stand together.
            Attribute::Ssrc(ssrc) if self.ssrcs.last() != Some(&ssrc.ssrc) => self.ssrcs.push(ssrc.ssrc),
            Attribute::SsrcGroup(group) => self.ssrc_groups.push(group),
            Attribute::Candidate(candidate) => self.candidates.push(candidate),
            Attribute::SctpPort(port) => self.sctp_port = Some(port),
            Attribute::MaxMessageSize(size) => self.max_message_size = Some(size),
            Attribute::SctpInit(init) => self.sctp_init = Some(init),
            _ => {}
        }
    }

    /// Keeps the first of each payload type: there are at most 128, however many lines a hostile offer has.
    fn take_fmtp(&mut self, fmtp: Fmtp<'a>) {
        let payload_type = fmtp.payload_type();
        if payload_type.is_some() && self.fmtps.iter().all(|known| known.payload_type() != payload_type) {
            self.fmtps.push(fmtp);
        }
    }
}

/// An offered section with what it inherits from the session level (RFC 9429 §5.3.1).
#[derive(Debug, Clone)]
pub(crate) struct OfferedSection<'a> {
    /// The number of its m-line in the text, counted from 1.
    pub(crate) line: usize,
    pub(crate) media: MediaLine<'a>,
    /// Those of the m-line, each once.
    pub(crate) payload_types: Vec<u8>,
    pub(crate) kind: Option<Kind>,
    pub(crate) direction: Direction,
    pub(crate) level: Level<'a>,
}

impl<'a> OfferedSection<'a> {
    pub(crate) fn new(line: usize, media: MediaLine<'a>, mut level: Level<'a>, session: &Level<'a>) -> Self {
        // A ufrag and its password are a pair: both from the same level.
        if level.ufrag.is_none() && level.pwd.is_none() {
            (level.ufrag, level.pwd) = (session.ufrag, session.pwd);
        }
        if level.fingerprints.is_empty() {
            level.fingerprints.clone_from(&session.fingerprints);
        }
        level.setup = level.setup.or(session.setup);
        level.renomination |= session.renomination;
        for (has, session) in level.sped.iter_mut().zip(session.sped) {
            *has |= session;
        }
        level.allow_mixed |= session.allow_mixed;
        level.extmaps.extend_from_slice(&session.extmaps);
        let kind = match media.kind {
            "audio" => Some(Kind::Audio),
            "video" => Some(Kind::Video),
            "application" => Some(Kind::Application),
            _ => None,
        };
        let direction = level.direction.or(session.direction).unwrap_or(Direction::SendRecv);
        let mut seen = [false; 256];
        let first = |payload_type: &u8| !core::mem::replace(&mut seen[usize::from(*payload_type)], true);
        Self {
            line,
            media,
            payload_types: media.payload_types().filter(first).collect(),
            kind,
            direction,
            level,
        }
    }

    /// Whether the peer stopped the section: its port is zero, and not because the section lives only in its bundle
    /// (RFC 9143 §6, §7.5.3).
    pub(crate) fn is_stopped(&self) -> bool {
        self.media.port == 0 && !self.level.bundle_only
    }

    /// The codec of a payload type, if it is known here.
    pub(crate) fn codec(&self, payload_type: u8) -> Option<Codec> {
        let rtpmap = self.rtpmap(payload_type)?;
        let channels = rtpmap.parameters.and_then(|channels| channels.parse().ok());
        Codec::from_format(rtpmap.encoding, rtpmap.clock_rate, channels, self.fmtp(payload_type))
    }

    /// The format-specific parameters of a payload type, empty when there are none.
    pub(crate) fn fmtp(&self, payload_type: u8) -> &'a str {
        let of_type = self
            .level
            .fmtps
            .iter()
            .find(|fmtp| fmtp.payload_type() == Some(payload_type));
        of_type.map_or("", |fmtp| fmtp.parameters.as_str())
    }

    /// The payload type that repairs another one (RFC 4588 §8.1).
    pub(crate) fn rtx(&self, payload_type: u8, clock_rate: u32) -> Option<u8> {
        self.payload_types.iter().copied().find(|&rtx| {
            let is_rtx = |map: &RtpMap<'_>| map.encoding.eq_ignore_ascii_case("rtx") && map.clock_rate == clock_rate;
            let apt = Parameters::new(self.fmtp(rtx)).number("apt");
            self.rtpmap(rtx).is_some_and(is_rtx) && apt == Some(payload_type.into())
        })
    }

    /// Whether a kind of feedback is offered for a payload type.
    pub(crate) fn has_feedback(&self, payload_type: u8, id: &str, parameter: &str) -> bool {
        self.level
            .feedback
            .iter()
            .any(|feedback| feedback.covers(payload_type) && feedback.is(id, parameter))
    }

    /// The first SSRCs that the section announces: those of media and retransmission in an FID group, else one of media
    /// alone (RFC 5576 §4.2).
    pub(crate) fn first_ssrcs(&self) -> Option<(u32, Option<u32>)> {
        let pair = self.level.ssrc_groups.iter().find_map(SsrcGroup::retransmission_pair);
        let alone = || self.level.ssrcs.first().map(|media| (*media, None));
        pair.map(|(media, rtx)| (media, Some(rtx))).or_else(alone)
    }

    /// The simulcast layers that the peer wants to send, each with the restrictions of its rid; the first alternative
    /// of each (RFC 8853 §5.1).
    pub(crate) fn layers(&self) -> impl Iterator<Item = &sdp::Rid<'a>> {
        let send = self.level.simulcast.and_then(|simulcast| simulcast.send);
        let streams = send.into_iter().flat_map(|streams| streams.streams());
        // A hostile offer has thousands of both, too many to look for each of the one among the other.
        let mut rids: BTreeMap<&str, &sdp::Rid<'a>> = BTreeMap::new();
        for rid in self.level.rids.iter().filter(|rid| rid.direction == RidDirection::Send) {
            rids.entry(rid.id).or_insert(rid);
        }
        streams.filter_map(move |stream| rids.get(stream.alternatives().next()?.id).copied())
    }

    fn rtpmap(&self, payload_type: u8) -> Option<&RtpMap<'a>> {
        self.level
            .rtpmaps
            .iter()
            .find(|rtpmap| rtpmap.payload_type == payload_type)
    }
}
