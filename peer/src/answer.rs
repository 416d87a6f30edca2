use core::net::{IpAddr, Ipv4Addr};

use sdp::{
    Attribute, Builder, Candidate, Connection, Direction, Fingerprint, Group, Line, List, MediaLine, Milliseconds,
    Msid, MsidSemantic, Origin, Parameters, ParseError, Rid, RidDirection, RtcpXr, SctpInit, Session, Setup, Simulcast,
    SimulcastStreams,
};

use crate::Kind;
use crate::agreement::Agreement;
use crate::format_lines::{format_lines, ssrc_lines};
use crate::negotiation::Plan;
use crate::offer::{OfferedSection, RENOMINATION, SPED};
use crate::section::Section;
use crate::sender::Senders;

/// What is ours in an answer.
#[derive(Debug)]
pub(crate) struct Local<'a> {
    pub(crate) session_id: u64,
    /// Goes up with each answer (RFC 9429 §5.3.2).
    pub(crate) version: u64,
    pub(crate) ufrag: &'a str,
    pub(crate) pwd: &'a str,
    pub(crate) fingerprint: Fingerprint<'a>,
    pub(crate) setup: Setup,
    pub(crate) candidates: &'a [Candidate<'a>],
    /// Whether no more come.
    pub(crate) gathered: bool,
    pub(crate) lite: bool,
    pub(crate) sctp: &'a sctp::Config,
    /// SNAP: our INIT chunk in base64.
    pub(crate) sctp_init: Option<&'a str>,
    /// Whether both ends follow each further nomination.
    pub(crate) renomination: bool,
    /// Which of the options for DTLS in checks both have.
    pub(crate) sped: [bool; SPED.len()],
    /// The Ta that we propose; a lite agent proposes none.
    pub(crate) pacing: Option<Milliseconds>,
    pub(crate) cname: &'a str,
    pub(crate) senders: &'a Senders,
}

impl Local<'_> {
    /// Writes the answer that the plan and the sections made of it amount to.
    ///
    /// # Errors
    /// When a value of ours breaks a rule of SDP, which the caller rules out.
    pub(crate) fn answer(&self, plan: &Plan<'_>, sections: &[Section]) -> Result<Session, ParseError> {
        let mut builder = Builder::session(&Origin::new(self.session_id, self.version));
        let mids = |group: &Vec<usize>| -> Vec<&str> {
            let accepted = group.iter().filter(|index| sections[**index].rejected.is_none());
            accepted.map(|index| sections[*index].mid.as_str()).collect()
        };
        let mids = plan.bundle.as_ref().and_then(|bundle| bundle.group.as_ref()).map(mids);
        if let Some(mids) = mids.as_ref().filter(|mids| !mids.is_empty()) {
            builder.attribute(Attribute::Group(Group {
                semantics: Group::BUNDLE,
                mids: List::from(&mids[..]),
            }));
        }
        if self.lite {
            builder.attribute(Attribute::IceLite);
        }
        let mut options = vec!["trickle", "ice2"];
        options.extend(self.renomination.then_some(RENOMINATION));
        options.extend(
            SPED.into_iter()
                .zip(self.sped)
                .filter_map(|(name, has)| has.then_some(name)),
        );
        builder.attribute(Attribute::IceOptions(List::from(&options[..])));
        if let Some(pacing) = self.pacing {
            builder.attribute(Attribute::IcePacing(pacing));
        }
        if plan.offer.session.allow_mixed {
            builder.attribute(Attribute::ExtmapAllowMixed);
        }
        builder.attribute(Attribute::MsidSemantic(MsidSemantic::ANY));
        for (index, (offered, section)) in plan.offer.sections.iter().zip(sections).enumerate() {
            let tagged = plan.bundle.as_ref().is_some_and(|bundle| bundle.tagged == index);
            match &plan.agreements[index] {
                Ok(agreement) if section.rejected.is_none() => {
                    self.accepted(
                        &mut builder,
                        offered,
                        agreement,
                        section,
                        tagged,
                        plan.offer.session.allow_mixed,
                    );
                }
                _ => rejected(&mut builder, offered),
            }
        }
        builder.finish()
    }

    fn accepted(
        &self,
        builder: &mut Builder,
        offered: &OfferedSection<'_>,
        agreement: &Agreement<'_>,
        section: &Section,
        tagged: bool,
        session_allow_mixed: bool,
    ) {
        let payload_types = section
            .formats
            .iter()
            .flat_map(|f| [Some(f.payload_type), f.rtx])
            .flatten();
        let payload_types: Vec<String> = payload_types.map(|pt| pt.to_string()).collect();
        let formats: Vec<&str> = match section.kind {
            Kind::Application => vec!["webrtc-datachannel"],
            _ => payload_types.iter().map(String::as_str).collect(),
        };
        media_line(builder, offered, 9, &formats);
        mid(builder, offered);
        // In every section, as both browsers write them: RFC 9143 §7.1.3 wants the tagged one only, but older stacks
        // look for them in each.
        builder
            .attribute(Attribute::IceUfrag(self.ufrag))
            .attribute(Attribute::IcePwd(self.pwd));
        builder
            .attribute(Attribute::Fingerprint(self.fingerprint))
            .attribute(Attribute::Setup(self.setup));
        if tagged {
            for candidate in self.candidates {
                builder.attribute(Attribute::Candidate(*candidate));
            }
            if self.gathered {
                builder.attribute(Attribute::EndOfCandidates);
            }
        }
        if section.kind == Kind::Application {
            data_lines(builder, self.sctp, self.sctp_init);
            return;
        }
        if offered.level.allow_mixed && !session_allow_mixed {
            builder.attribute(Attribute::ExtmapAllowMixed);
        }
        for extmap in &agreement.extmaps {
            builder.attribute(Attribute::Extmap(*extmap));
        }
        builder.attribute(section.direction);
        let sender = section.sender().and_then(|id| self.senders.get(id));
        if let Some(sender) = sender {
            let (stream, track) = (format!("s{}", sender.pair), format!("t{}", sender.id.0));
            builder.attribute(Attribute::Msid(Msid {
                stream: &stream,
                track: Some(&track),
            }));
        }
        builder.attribute(Attribute::RtcpMux);
        if offered.level.rtcp_rsize {
            builder.attribute(Attribute::RtcpRsize);
        }
        // We answer receiver reference times (RFC 3611 §4.5), which only those send that we send to.
        if offered.level.receiver_rtt && section.direction.sends() {
            builder.attribute(Attribute::RtcpXr(RtcpXr::RECEIVER_RTT_ALL));
        }
        formats_of(builder, offered, agreement);
        layers_of(builder, agreement);
        if let Some(sender) = sender {
            let rtx = section.formats.iter().any(|format| format.rtx.is_some());
            ssrc_lines(builder, self.cname, sender.ssrc, sender.rtx.filter(|_| rtx));
        }
    }
}

/// What data channels need to be told (RFC 8841 §5, §6).
pub(crate) fn data_lines(builder: &mut Builder, config: &sctp::Config, init: Option<&str>) {
    // RFC 8841 §6.1: 0 is any. What is taken in parts is never held whole.
    let longest = config.receive_parts.map_or(config.max_receive_message, |_| 0);
    builder
        .attribute(Attribute::SctpPort(config.source_port))
        .attribute(Attribute::MaxMessageSize(longest as u64));
    if let Some(init) = init.and_then(|init| SctpInit::parse(init).ok()) {
        builder.attribute(Attribute::SctpInit(init));
    }
}

fn formats_of(builder: &mut Builder, offered: &OfferedSection<'_>, agreement: &Agreement<'_>) {
    let receives = agreement.direction.receives();
    for (format, feedback) in agreement.formats.iter().zip(&agreement.feedback) {
        let parameters = format.codec.answer_fmtp(offered.fmtp(format.payload_type.0), receives);
        format_lines(builder, format, feedback.iter(), &parameters);
    }
}

fn layers_of(builder: &mut Builder, agreement: &Agreement<'_>) {
    let direction = RidDirection::Recv;
    for (id, restrictions) in &agreement.layers {
        builder.attribute(Attribute::Rid(Rid {
            id,
            direction,
            restrictions: Parameters::new(restrictions),
        }));
    }
    let ids: Vec<&str> = agreement.layers.iter().map(|layer| layer.0).collect();
    if !ids.is_empty()
        && let Ok(streams) = SimulcastStreams::parse(&ids.join(";"))
    {
        builder.attribute(Attribute::Simulcast(Simulcast::new(direction, streams)));
    }
}

fn rejected(builder: &mut Builder, offered: &OfferedSection<'_>) {
    let formats: Vec<&str> = offered.media.formats.iter().take(1).collect();
    media_line(builder, offered, 0, &formats);
    mid(builder, offered);
    builder.attribute(Direction::Inactive);
}

fn media_line(builder: &mut Builder, offered: &OfferedSection<'_>, port: u16, formats: &[&str]) {
    builder.media(&MediaLine {
        port,
        port_count: None,
        formats: List::from(formats),
        ..offered.media
    });
    builder.line(&Line::Connection(Connection::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED))));
}

fn mid(builder: &mut Builder, offered: &OfferedSection<'_>) {
    if let Some(mid) = offered.level.mid {
        builder.attribute(Attribute::Mid(mid));
    }
}
