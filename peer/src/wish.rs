use rtp::PayloadType;

use crate::section::Format;
use crate::{Codec, Config, Direction, Extension, ExtensionIds, Kind, SenderId};

/// A section that we want to have, as the offers of the offering role describe it.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) mid: String,
    pub(crate) kind: Kind,
    /// From our point of view.
    pub(crate) direction: Direction,
    /// What is sent in it, when anything is.
    pub(crate) sender: Option<SenderId>,
    pub(crate) formats: Vec<Format>,
    pub(crate) extensions: ExtensionIds,
    /// It was rejected, and is offered with port zero from then on.
    pub(crate) stopped: bool,
}

/// The first payload type of the two ranges that RTP and RTCP on one port leave for formats that have no number of
/// their own (RFC 5761 §4), and where they end.
const DYNAMIC: [(u8, u8); 2] = [(96, 127), (35, 63)];

impl Wish {
    pub(crate) fn new(
        config: &Config,
        mid: String,
        kind: Kind,
        direction: Direction,
        sender: Option<SenderId>,
    ) -> Self {
        Self {
            mid,
            kind,
            direction,
            sender,
            formats: formats(config, kind),
            extensions: extensions(config, kind, direction),
            stopped: false,
        }
    }

    /// Whether an answered format is one of those that were offered, under the number that was offered.
    pub(crate) fn has_format(&self, format: &Format) -> bool {
        let same = |own: &&Format| (own.payload_type, own.codec) == (format.payload_type, format.codec);
        let offered = self.formats.iter().find(same);
        offered.is_some_and(|own| format.rtx.is_none() || format.rtx == own.rtx)
    }
}

/// The payload types of all codecs, sound before pictures: in one BUNDLE group a number means the same everywhere
/// (RFC 9143 §9.1).
fn formats(config: &Config, kind: Kind) -> Vec<Format> {
    let mut numbers = DYNAMIC.into_iter().flat_map(|(first, last)| first..=last);
    let mut number = || numbers.next().map(PayloadType);
    let mut formats = Vec::new();
    for &codec in config.audio_codecs.iter().chain(&config.video_codecs) {
        let Some(payload_type) = number() else { break };
        let rtx = if config.rtx && codec.kind() == Kind::Video {
            number()
        } else {
            None
        };
        if codec.kind() == kind {
            formats.push(Format {
                payload_type,
                codec,
                rtx,
            });
        }
    }
    formats
}

/// The same identifiers in all sections, too (RFC 9143 §9.2): that of the place in [`Extension::ALL`].
fn extensions(config: &Config, kind: Kind, direction: Direction) -> ExtensionIds {
    let mut ids = ExtensionIds::default();
    for extension in Extension::ALL {
        let fits = match extension {
            Extension::Mid => true,
            Extension::TransportCc => direction.sends() && config.extensions.contains(&extension),
            // We offer no simulcast.
            Extension::Rid | Extension::RepairedRid => false,
            Extension::AudioLevel => kind == Kind::Audio && config.extensions.contains(&extension),
            Extension::VideoOrientation | Extension::PlayoutDelay | Extension::DependencyDescriptor => {
                kind == Kind::Video && config.extensions.contains(&extension)
            }
            Extension::AbsSendTime | Extension::AbsCaptureTime => config.extensions.contains(&extension),
        };
        if fits {
            ids.set(extension, extension as u8 + 1);
        }
    }
    ids
}

impl Codec {
    /// The `a=fmtp` parameters of an offer; empty for none.
    pub(crate) fn offer_fmtp(self) -> String {
        match self {
            Self::Opus => "minptime=10;useinbandfec=1".into(),
            Self::Vp8 => String::new(),
            Self::H264 {
                profile,
                packetization_mode,
            } => format!(
                "level-asymmetry-allowed=1;packetization-mode={packetization_mode};profile-level-id={}",
                profile.profile_level_id()
            ),
            Self::Vp9 { profile } => format!("profile-id={profile}"),
            Self::Av1 { profile } => format!("level-idx=5;profile={profile};tier=0"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::sync::Arc;

    fn config() -> Config {
        let crypto = Arc::new(dtls_srtp::fake::FakeCrypto::new());
        Config::new(Arc::new(dtls_srtp::Config::new(
            crypto,
            dtls_srtp::fake::certificate(1),
        )))
    }

    #[test]
    fn a_number_means_the_same_in_every_section() {
        let mut config = config();
        config
            .video_codecs
            .extend([Codec::Vp9 { profile: 0 }, Codec::Av1 { profile: 0 }]);
        config.extensions = Extension::ALL.to_vec();
        let wish = |kind, direction| Wish::new(&config, "0".into(), kind, direction, None);
        let (sound, picture) = (
            wish(Kind::Audio, Direction::SendOnly),
            wish(Kind::Video, Direction::SendOnly),
        );
        let numbers = |wish: &Wish| -> Vec<u8> {
            let both = wish
                .formats
                .iter()
                .flat_map(|format| [Some(format.payload_type), format.rtx]);
            both.flatten().map(|number| number.0).collect()
        };
        let all = [numbers(&sound), numbers(&picture)].concat();
        assert_eq!(all.len(), all.iter().collect::<BTreeSet<_>>().len(), "{all:?}");
        assert_eq!(all[..3], [96, 97, 98]);
        for (extension, id) in sound.extensions.iter() {
            assert!(picture.extensions.get(extension).is_none_or(|other| other == id));
        }
        let received = wish(Kind::Video, Direction::RecvOnly);
        assert_eq!(received.extensions.get(Extension::TransportCc), None);
        assert!(picture.extensions.get(Extension::TransportCc).is_some());
        assert_eq!(picture.extensions.get(Extension::Rid), None);
    }

    #[test]
    fn what_is_offered_of_a_codec_is_read_back_as_that_codec() {
        let codecs = ["opus", "vp8", "h264", "vp9", "av1"]
            .into_iter()
            .filter_map(Codec::by_name);
        for codec in codecs.flatten().copied() {
            let channels = (codec == Codec::Opus).then_some(2);
            let read = Codec::from_format(codec.encoding_name(), codec.clock_rate(), channels, &codec.offer_fmtp());
            assert_eq!(read, Some(codec));
        }
    }
}
