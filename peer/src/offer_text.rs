use core::net::{IpAddr, Ipv4Addr};

use sdp::{
    Attribute, Builder, Candidate, Connection, Direction, Extmap, Fingerprint, Group, Line, List, MediaLine,
    Milliseconds, Msid, MsidSemantic, Origin, ParseError, Session, Setup,
};

use crate::answer::data_lines;
use crate::format_lines::{format_lines, ssrc_lines};
use crate::offer::{RENOMINATION, SPED};
use crate::section::Format;
use crate::sender::Senders;
use crate::wish::Wish;
use crate::{Extension, Kind};

/// What an offer of ours says beside the sections.
#[derive(Debug)]
pub(crate) struct OfferText<'a> {
    pub(crate) session_id: u64,
    /// Goes up with each offer (RFC 9429 §5.2.2).
    pub(crate) version: u64,
    pub(crate) ufrag: &'a str,
    pub(crate) pwd: &'a str,
    /// Whether DTLS is laid into checks.
    pub(crate) sped: bool,
    /// The Ta that we propose; a lite agent proposes none.
    pub(crate) pacing: Option<Milliseconds>,
    pub(crate) fingerprint: Fingerprint<'a>,
    pub(crate) candidates: &'a [Candidate<'a>],
    /// Whether no more come.
    pub(crate) gathered: bool,
    pub(crate) cname: &'a str,
    pub(crate) senders: &'a Senders,
    /// Whether missing packets are asked for again.
    pub(crate) nack: bool,
    pub(crate) sctp: &'a sctp::Config,
    /// SNAP: our INIT chunk in base64.
    pub(crate) sctp_init: Option<&'a str>,
}

impl OfferText<'_> {
    /// Writes an offer of these sections, all in one BUNDLE group (RFC 9429 §5.2.1 with the policy max-bundle, but
    /// without `a=bundle-only`: whoever we call takes part in BUNDLE).
    ///
    /// # Errors
    /// When a value of ours breaks a rule of SDP, which the caller rules out.
    pub(crate) fn write(&self, wishes: &[Wish]) -> Result<Session, ParseError> {
        let mut builder = Builder::session(&Origin::new(self.session_id, self.version));
        let live = || wishes.iter().filter(|wish| !wish.stopped);
        let mids: Vec<&str> = live().map(|wish| wish.mid.as_str()).collect();
        if !mids.is_empty() {
            builder.attribute(Attribute::Group(Group {
                semantics: Group::BUNDLE,
                mids: List::from(&mids[..]),
            }));
        }
        let mut options = vec!["trickle", "ice2", RENOMINATION];
        options.extend(SPED.into_iter().filter(|_| self.sped));
        builder.attribute(Attribute::IceOptions(List::from(&options[..])));
        if let Some(pacing) = self.pacing {
            builder.attribute(Attribute::IcePacing(pacing));
        }
        builder
            .attribute(Attribute::ExtmapAllowMixed)
            .attribute(Attribute::MsidSemantic(MsidSemantic::ANY));
        let tagged = live().next().map(|wish| wish.mid.as_str());
        for wish in wishes {
            self.section(&mut builder, wish, Some(wish.mid.as_str()) == tagged);
        }
        builder.finish()
    }

    fn section(&self, builder: &mut Builder, wish: &Wish, tagged: bool) {
        let types = wish
            .formats
            .iter()
            .flat_map(|format| [Some(format.payload_type), format.rtx]);
        let types: Vec<String> = types.flatten().map(|number| number.to_string()).collect();
        let is_data = wish.kind == Kind::Application;
        let types: Vec<&str> = if is_data {
            vec!["webrtc-datachannel"]
        } else {
            types.iter().map(String::as_str).collect()
        };
        builder.media(&MediaLine {
            kind: wish.kind.as_str(),
            port: if wish.stopped { 0 } else { 9 },
            port_count: None,
            protocol: if is_data { "UDP/DTLS/SCTP" } else { "UDP/TLS/RTP/SAVPF" },
            formats: List::from(&types[..]),
        });
        builder.line(&Line::Connection(Connection::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED))));
        builder.attribute(Attribute::Mid(&wish.mid));
        if wish.stopped {
            builder.attribute(Direction::Inactive);
            return;
        }
        builder
            .attribute(Attribute::IceUfrag(self.ufrag))
            .attribute(Attribute::IcePwd(self.pwd))
            .attribute(Attribute::Fingerprint(self.fingerprint))
            .attribute(Attribute::Setup(Setup::ActPass));
        if tagged {
            for candidate in self.candidates {
                builder.attribute(Attribute::Candidate(*candidate));
            }
            if self.gathered {
                builder.attribute(Attribute::EndOfCandidates);
            }
        }
        if is_data {
            data_lines(builder, self.sctp, self.sctp_init);
            return;
        }
        for (extension, id) in wish.extensions.iter() {
            builder.attribute(Attribute::Extmap(Extmap::new(u16::from(id), extension.uri())));
        }
        builder.attribute(wish.direction);
        let sender = wish.sender.and_then(|id| self.senders.get(id));
        if let Some(sender) = sender {
            let (stream, track) = (format!("s{}", sender.pair), format!("t{}", sender.id.0));
            builder.attribute(Attribute::Msid(Msid {
                stream: &stream,
                track: Some(&track),
            }));
        }
        builder.attribute(Attribute::RtcpMux).attribute(Attribute::RtcpRsize);
        for format in &wish.formats {
            self.format(builder, wish, format);
        }
        if let Some(sender) = sender {
            ssrc_lines(builder, self.cname, sender.ssrc, sender.rtx);
        }
    }

    fn format(&self, builder: &mut Builder, wish: &Wish, format: &Format) {
        let video = wish.kind == Kind::Video;
        let transport_cc = wish.extensions.get(Extension::TransportCc).is_some();
        let feedback = [
            (transport_cc, ("transport-cc", "")),
            (video, ("ccm", "fir")),
            (video && (wish.direction.sends() || self.nack), ("nack", "")),
            (video, ("nack", "pli")),
        ];
        let feedback = feedback
            .into_iter()
            .filter_map(|(offered, kind)| offered.then_some(kind));
        format_lines(builder, format, feedback, &format.codec.offer_fmtp());
    }
}
