use rtp::PayloadType;
use sdp::{Direction, Extmap};

use crate::offer::OfferedSection;
use crate::section::Format;
use crate::wish::Wish;
use crate::{Codec, Config, Extension, ExtensionIds, Kind};

/// What we agree to in one section, apart from its transport.
#[derive(Debug, Clone)]
pub(crate) struct Agreement<'a> {
    /// From our point of view.
    pub(crate) direction: Direction,
    pub(crate) formats: Vec<Format>,
    pub(crate) feedback: Vec<Feedback>,
    /// Missing packets of what is received are asked for again.
    pub(crate) asks_again: bool,
    pub(crate) extensions: ExtensionIds,
    /// The lines of the answer for them.
    pub(crate) extmaps: Vec<Extmap<'a>>,
    /// The simulcast layers that we receive, with what their rids restrict.
    pub(crate) layers: Vec<(&'a str, String)>,
}

/// The feedback that is answered for a format, each only when it was offered and we act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Feedback {
    /// We answer the peer's NACKs where we send, and ask for what is missing where we receive.
    pub(crate) nack: bool,
    /// We send PLI to publishers and act on those of viewers.
    pub(crate) pli: bool,
    /// The same with FIR.
    pub(crate) fir: bool,
    /// We report arrivals for the peer's bandwidth estimation.
    pub(crate) transport_cc: bool,
    /// We tell a bit rate, to peers that do not know the former.
    pub(crate) remb: bool,
}

impl Feedback {
    /// Identifier and parameter of each kind, for `a=rtcp-fb`.
    pub(crate) fn iter(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let kinds = [
            (self.transport_cc, ("transport-cc", "")),
            (self.remb, ("goog-remb", "")),
            (self.fir, ("ccm", "fir")),
            (self.nack, ("nack", "")),
            (self.pli, ("nack", "pli")),
        ];
        kinds.into_iter().filter_map(|(agreed, kind)| agreed.then_some(kind))
    }
}

/// The profiles that mean RTP over DTLS here, whatever they say (RFC 9429 §5.1.2).
const RTP_PROFILES: [&str; 8] = [
    "UDP/TLS/RTP/SAVPF",
    "UDP/TLS/RTP/SAVP",
    "TCP/DTLS/RTP/SAVPF",
    "TCP/DTLS/RTP/SAVP",
    "RTP/SAVPF",
    "RTP/SAVP",
    "RTP/AVPF",
    "RTP/AVP",
];

/// More layers than this no encoder makes.
const MAX_LAYERS: usize = 8;

impl<'a> Agreement<'a> {
    /// What we agree to in an audio or video section, or why to nothing. `ids` is what extension ids already mean in
    /// this session: in one BUNDLE group an id means the same everywhere (RFC 9143 §9). If the section is an answer's,
    /// `wish` is what was offered.
    pub(crate) fn of_media(
        config: &Config,
        offered: &OfferedSection<'a>,
        wish: Option<&Wish>,
        ids: &mut ExtensionTable,
    ) -> Result<Self, &'static str> {
        let codecs = match offered.kind {
            Some(Kind::Audio) => &config.audio_codecs,
            Some(Kind::Video) => &config.video_codecs,
            _ => return Err("only audio, video and data sections are known"),
        };
        if !RTP_PROFILES.contains(&offered.media.protocol) {
            return Err("the profile is not one of RTP (UDP/TLS/RTP/SAVPF)");
        }
        if !offered.level.rtcp_mux {
            return Err("RTP and RTCP must share a port (a=rtcp-mux)");
        }
        let mut formats = formats(codecs, offered, config.rtx);
        if let Some(wish) = wish {
            formats.retain(|format| wish.has_format(format));
        }
        if formats.is_empty() {
            return Err("no codec is in common");
        }
        let ours = wish.map_or_else(|| Direction::new(config.send, config.receive), |wish| wish.direction);
        let direction = Direction::new(
            ours.sends() && offered.direction.receives(),
            ours.receives() && offered.direction.sends(),
        );
        let mut agreement = Self {
            direction,
            formats,
            feedback: Vec::new(),
            asks_again: false,
            extensions: ExtensionIds::default(),
            extmaps: Vec::new(),
            layers: Vec::new(),
        };
        // Layers are told apart by the rid extension and by nothing else.
        let rid = usable(offered, Extension::Rid, direction).is_some();
        if config.simulcast && rid && direction.receives() && wish.is_none() {
            agreement.layers = layers(offered, &agreement.formats);
        }
        match wish {
            Some(wish) => agreement.take_extensions(wish, offered, ids),
            None => agreement.agree_extensions(config, offered, ids),
        }
        agreement.agree_feedback(config, offered, wish.is_some());
        Ok(agreement)
    }

    /// What we agree to in a data section.
    pub(crate) fn of_application(offered: &OfferedSection<'a>) -> Result<Self, &'static str> {
        if !matches!(offered.media.protocol, "UDP/DTLS/SCTP" | "TCP/DTLS/SCTP") {
            return Err("the protocol is not SCTP over DTLS (UDP/DTLS/SCTP)");
        }
        if offered.media.formats.first() != Some("webrtc-datachannel") {
            return Err("the format is not webrtc-datachannel");
        }
        match offered.level.sctp_port {
            None => return Err("a data section needs a=sctp-port (RFC 8841 §5.1)"),
            Some(0) => return Err("a=sctp-port:0 wants no SCTP association (RFC 8841 §10.3)"),
            Some(_) => {}
        }
        Ok(Self {
            direction: Direction::SendRecv,
            formats: Vec::new(),
            feedback: Vec::new(),
            asks_again: false,
            extensions: ExtensionIds::default(),
            extmaps: Vec::new(),
            layers: Vec::new(),
        })
    }

    /// Whether media is sent in it.
    pub(crate) const fn sends_media(&self) -> bool {
        self.direction.sends() && !self.formats.is_empty()
    }

    /// Whether media is received in it.
    pub(crate) const fn receives_media(&self) -> bool {
        self.direction.receives() && !self.formats.is_empty()
    }

    fn agree_extensions(&mut self, config: &Config, offered: &OfferedSection<'a>, ids: &mut ExtensionTable) {
        for extension in Extension::ALL {
            let wanted = match extension {
                Extension::Mid => true,
                Extension::Rid | Extension::RepairedRid => !self.layers.is_empty(),
                // With the feedback or not at all.
                Extension::TransportCc => self.direction.receives() && self.offers_feedback(offered, "transport-cc"),
                _ => config.extensions.contains(&extension),
            };
            let Some((id, extmap)) = usable(offered, extension, self.direction).filter(|_| wanted) else {
                continue;
            };
            if ids.claim(id, extension) {
                self.extensions.set(extension, id);
                let direction = extmap.direction.map(Direction::reversed);
                self.extmaps.push(Extmap {
                    direction,
                    attributes: "",
                    ..extmap
                });
            }
        }
        // As the offer has them: the answer is read beside it.
        self.extmaps.sort_by_key(|extmap| extmap.id);
    }

    /// The extensions of an answer, as far as they were offered (RFC 8285 §7).
    fn take_extensions(&mut self, wish: &Wish, answered: &OfferedSection<'a>, ids: &mut ExtensionTable) {
        for (extension, id) in wish.extensions.iter() {
            let of_use = |extmap: &Extmap<'_>| {
                let (received, sent) = ways(extmap, self.direction);
                extmap.id == u16::from(id) && extmap.uri == extension.uri() && (received || sent)
            };
            if answered.level.extmaps.iter().any(of_use) && ids.claim(id, extension) {
                self.extensions.set(extension, id);
            }
        }
    }

    /// `answered`: the section is an answer's to ours, which offer no bit rate.
    fn agree_feedback(&mut self, config: &Config, offered: &OfferedSection<'a>, answered: bool) {
        let video = offered.kind == Some(Kind::Video);
        let (sends, receives) = (self.direction.sends(), self.direction.receives());
        // Both directions or none: of sound nothing is sent again, so that it is agreed to only where we do not send.
        let asks = config.nack && receives && (video || !sends);
        let answers = video && sends;
        let transport_cc = self.extensions.get(Extension::TransportCc).is_some();
        self.feedback = self
            .formats
            .iter()
            .map(|format| {
                let offers = |id, parameter| offered.has_feedback(format.payload_type.0, id, parameter);
                Feedback {
                    nack: (asks || answers) && offers("nack", ""),
                    pli: video && offers("nack", "pli"),
                    fir: video && offers("ccm", "fir"),
                    transport_cc: transport_cc && offers("transport-cc", ""),
                    remb: receives && !answered && !transport_cc && offers("goog-remb", ""),
                }
            })
            .collect();
        self.asks_again = asks && self.feedback.iter().any(|feedback| feedback.nack);
    }

    fn offers_feedback(&self, offered: &OfferedSection<'a>, id: &str) -> bool {
        self.formats
            .iter()
            .any(|format| offered.has_feedback(format.payload_type.0, id, ""))
    }
}

/// The offered formats in the order of our preference, with their retransmissions.
fn formats(codecs: &[Codec], offered: &OfferedSection<'_>, rtx: bool) -> Vec<Format> {
    let format = |&codec: &Codec| {
        let payload_type = offered
            .payload_types
            .iter()
            .copied()
            .find(|&pt| offered.codec(pt) == Some(codec))?;
        let rtx = if rtx {
            offered.rtx(payload_type, codec.clock_rate())
        } else {
            None
        };
        Some(Format {
            payload_type: PayloadType(payload_type),
            codec,
            rtx: rtx.map(PayloadType),
        })
    };
    codecs.iter().filter_map(format).collect()
}

/// The layers that can be received with these formats, with their restrictions as we answer them (RFC 8851 §6.2).
fn layers<'a>(offered: &OfferedSection<'a>, formats: &[Format]) -> Vec<(&'a str, String)> {
    let mut layers: Vec<(&'a str, String)> = Vec::new();
    for rid in offered.layers().take(MAX_LAYERS) {
        if layers.iter().any(|layer| layer.0 == rid.id) {
            continue;
        }
        let agreed = |pt: &u8| formats.iter().any(|format| format.payload_type.0 == *pt);
        let restricted = rid.payload_types().next().is_some();
        let types: Vec<String> = rid.payload_types().filter(agreed).map(|pt| pt.to_string()).collect();
        if restricted && types.is_empty() {
            continue;
        }
        let mut restrictions: Vec<String> = Vec::new();
        if restricted {
            restrictions.push(format!("pt={}", types.join(",")));
        }
        for (name, value) in rid.restrictions.iter().filter(|restriction| restriction.0 != "pt") {
            restrictions.push(value.map_or_else(|| name.to_owned(), |value| format!("{name}={value}")));
        }
        layers.push((rid.id, restrictions.join(";")));
    }
    layers
}

/// The line that offers an extension in a way that is of use in a section of this direction (ours).
fn usable<'a>(offered: &OfferedSection<'a>, extension: Extension, direction: Direction) -> Option<(u8, Extmap<'a>)> {
    let to_us = matches!(
        extension,
        Extension::Rid | Extension::RepairedRid | Extension::TransportCc
    );
    offered.level.extmaps.iter().find_map(|extmap| {
        if extmap.uri != extension.uri() {
            return None;
        }
        // An identifier above 14 needs the two-byte form; one above 255 stands for none yet, and we never choose.
        let id = u8::try_from(extmap.id)
            .ok()
            .filter(|id| *id <= 14 || offered.level.allow_mixed)?;
        let (received, sent) = ways(extmap, direction);
        (received || sent && !to_us).then_some((id, *extmap))
    })
}

/// Whether the peer's line lets it send an extension to us, and us to it (RFC 8285 §5), in a section of this direction
/// (ours).
fn ways(extmap: &Extmap<'_>, direction: Direction) -> (bool, bool) {
    let theirs = extmap.direction.unwrap_or(Direction::SendRecv);
    // A section on hold may go on either way.
    let ours = if direction == Direction::Inactive {
        Direction::SendRecv
    } else {
        direction
    };
    (theirs.sends() && ours.receives(), theirs.receives() && ours.sends())
}

/// What each extension id means on a transport.
#[derive(Debug, Clone)]
pub(crate) struct ExtensionTable([Option<Extension>; 256]);

impl ExtensionTable {
    pub(crate) const fn new() -> Self {
        Self([None; 256])
    }

    /// Whether the id means this extension from now on; false when it means another one.
    fn claim(&mut self, id: u8, extension: Extension) -> bool {
        *self.0[usize::from(id)].get_or_insert(extension) == extension
    }
}
