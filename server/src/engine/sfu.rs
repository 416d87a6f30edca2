use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use dtls_srtp::{Certificate, CryptoError, KeyLog, RingCrypto};
use sfu::{
    CommandError, Connection, Event, Gone, JoinError, ParticipantView, Role, Sfu, SlotView, SourceLabel, SourceView,
};
use wire::{Ecn, Path, Transmit};

use crate::engine::{
    Engine, Handshake, Join, Kind, Other, ParticipantId, Picture, Reason, Refusal, RefusalKind, SourceInfo, SourceKind,
    View,
};
use crate::protocol::{ConnectionState, LinkState, Paused, PerMille, ServerMessage, Slot, Source, Trouble};
use crate::{DtlsVersion, VideoCodec};

/// The engine that media flows through, with its words put into those of signalling.
#[derive(Debug)]
pub(crate) struct SfuEngine {
    sfu: Sfu,
    handshakes: BTreeMap<Handshake, u64>,
}

impl SfuEngine {
    pub(crate) const fn new(sfu: Sfu) -> Self {
        Self {
            sfu,
            handshakes: BTreeMap::new(),
        }
    }

    /// What an event has to tell the participant, if anything.
    fn translate(&mut self, event: Event) -> Option<ServerMessage> {
        Some(match event {
            Event::Need { audio, video } => ServerMessage::Need { audio, video },
            Event::Slots(slots) => ServerMessage::Slots {
                slots: slots.into_iter().map(slot).collect(),
            },
            Event::ParticipantJoined(view) => ServerMessage::ParticipantJoined {
                participant: id(view.id),
                name: view.name.to_string(),
                sources: sources(&view.sources),
            },
            Event::ParticipantLeft { id: who, why } => ServerMessage::ParticipantLeft {
                participant: id(who),
                reason: reason(&why),
            },
            Event::Sources(view) => ServerMessage::Sources {
                participant: id(view.id),
                sources: sources(&view.sources),
            },
            Event::Connection { id: who, connection } => ServerMessage::Connection {
                participant: id(who),
                state: match connection {
                    Connection::Connected => ConnectionState::Connected,
                    Connection::Disconnected => ConnectionState::Disconnected,
                },
            },
            Event::Speakers { dominant, speaking } => ServerMessage::Speakers {
                dominant: dominant.map(id),
                speaking: speaking.iter().copied().map(id).collect(),
            },
            Event::Send { mid, active, rids } => ServerMessage::Send { mid, active, rids },
            Event::Layer { mid, rid, paused } => ServerMessage::Layer {
                mid,
                rid,
                paused: paused.map(Into::into),
            },
            Event::Link {
                trouble,
                lost_per_mille,
            } => ServerMessage::Link {
                state: if trouble.is_some() {
                    LinkState::AudioOnly
                } else {
                    LinkState::Good
                },
                trouble: trouble.map(Into::into),
                loss: PerMille(lost_per_mille),
            },
            Event::Undecodable { id: who, kind } => ServerMessage::Undecodable {
                participant: id(who),
                source: kind.as_str().into(),
            },
            Event::Secured(secured) => {
                let handshake = Handshake {
                    version: secured.version,
                    group: secured.group,
                    suite: secured.suite,
                    srtp_profile: secured.srtp_profile,
                };
                *self.handshakes.entry(handshake).or_default() += 1;
                return None;
            }
            Event::Gone(gone) => ServerMessage::Bye {
                reason: reason(&gone),
                message: sentence(&gone.to_string()),
            },
        })
    }
}

impl Engine for SfuEngine {
    fn others(&self, participant: ParticipantId) -> Vec<Other> {
        let others = self.sfu.others(theirs(participant));
        others.into_iter().map(other).collect()
    }

    fn each_counter(&self, visit: &mut dyn FnMut(&'static str, u64)) {
        self.sfu.each_counter(visit);
        self.sfu.repair_total().each(visit);
    }

    fn handshakes(&self) -> Vec<(Handshake, u64)> {
        self.handshakes
            .iter()
            .map(|(handshake, count)| (*handshake, *count))
            .collect()
    }

    fn participants(&self) -> usize {
        self.sfu.len().1
    }

    fn speaking(&self) -> usize {
        self.sfu.speaking()
    }

    fn is_path_open(&self, path: &Path) -> bool {
        self.sfu.is_path_open(path)
    }

    fn handle_path_closed(&mut self, now: Instant, path: &Path) {
        self.sfu.handle_path_closed(now, path);
    }

    fn handle_datagram(&mut self, now: Instant, path: &Path, ecn: Ecn, data: &mut [u8]) {
        self.sfu.handle_datagram(now, *path, ecn, data);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.sfu.handle_timeout(now);
    }

    fn join(&mut self, now: Instant, room: &str, join: Join) -> Result<ParticipantId, Refusal> {
        let role = match join.kind {
            Kind::Member => Role::Member,
            Kind::Publisher => Role::Publisher,
            Kind::Viewer { source } => Role::Viewer { source },
            Kind::Echo => Role::Echo,
        };
        self.sfu
            .join(now, room, join.name.as_str(), role)
            .map(id)
            .map_err(|error: JoinError| Refusal {
                kind: RefusalKind::Full,
                message: sentence(&error.to_string()),
            })
    }

    fn offer(&mut self, now: Instant, participant: ParticipantId, sdp: &str) -> Result<String, Refusal> {
        self.sfu.offer(now, theirs(participant), sdp).map_err(refusal)
    }

    fn candidate(
        &mut self,
        now: Instant,
        participant: ParticipantId,
        mid: Option<&str>,
        candidate: &str,
    ) -> Result<(), Refusal> {
        self.sfu
            .candidate(now, theirs(participant), mid, candidate)
            .map_err(refusal)
    }

    fn fragment(
        &mut self,
        now: Instant,
        participant: ParticipantId,
        fragment: &str,
    ) -> Result<Option<String>, Refusal> {
        self.sfu.fragment(now, theirs(participant), fragment).map_err(refusal)
    }

    fn set_sources(
        &mut self,
        now: Instant,
        participant: ParticipantId,
        sources: Vec<SourceInfo>,
    ) -> Result<(), Refusal> {
        let label = |source: SourceInfo| SourceLabel {
            mid: source.mid,
            kind: source.kind.into(),
            muted: source.muted,
        };
        let labels = sources.into_iter().map(label).collect();
        self.sfu.set_sources(now, theirs(participant), labels).map_err(refusal)
    }

    fn set_muted(&mut self, now: Instant, participant: ParticipantId, mid: &str, muted: bool) -> Result<(), Refusal> {
        self.sfu
            .set_muted(now, theirs(participant), mid, muted)
            .map_err(refusal)
    }

    fn set_view(&mut self, now: Instant, participant: ParticipantId, view: View) -> Result<(), Refusal> {
        let view = sfu::View {
            tiles: view.tiles,
            pinned: view.pinned.into_iter().map(theirs).collect(),
            pictures: view.pictures.into_iter().map(picture).collect(),
        };
        self.sfu.set_view(now, theirs(participant), view).map_err(refusal)
    }

    fn tell_again(&mut self, participant: ParticipantId) -> Result<(), Refusal> {
        self.sfu.tell_again(theirs(participant)).map_err(refusal)
    }

    fn leave(&mut self, now: Instant, participant: ParticipantId, reason: Reason) {
        let why = match reason {
            Reason::Left => Gone::Left,
            // Whose connection was replaced is not let go.
            Reason::Closed | Reason::Replaced => Gone::Closed,
            Reason::SlowReader => Gone::SlowReader,
            Reason::Silent => Gone::Silent,
            Reason::Failed => Gone::Failed("it could not be set up".into()),
            Reason::Shutdown => Gone::Shutdown,
            Reason::Kicked => Gone::Kicked,
            Reason::RoomClosed => Gone::RoomClosed,
        };
        self.sfu.leave(now, theirs(participant), why);
    }

    fn close(&mut self, now: Instant) {
        self.sfu.close(now);
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<Transmit> {
        self.sfu.poll_transmit(now, out)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.sfu.poll_timeout()
    }

    fn poll_event(&mut self) -> Option<(ParticipantId, ServerMessage)> {
        loop {
            let (participant, event) = self.sfu.poll_event()?;
            if let Some(message) = self.translate(event) {
                return Some((id(participant), message));
            }
        }
    }
}

const fn id(participant: sfu::ParticipantId) -> ParticipantId {
    ParticipantId(participant.to_bits())
}

const fn theirs(participant: ParticipantId) -> sfu::ParticipantId {
    sfu::ParticipantId::from_bits(participant.0)
}

fn other(view: ParticipantView) -> Other {
    Other {
        participant: id(view.id),
        name: view.name.to_string(),
        sources: sources(&view.sources),
    }
}

fn sources(views: &[SourceView]) -> Vec<Source> {
    let source = |view: &SourceView| Source {
        source: view.kind.as_str().into(),
        kind: view.kind.into(),
        muted: view.muted,
    };
    views.iter().map(source).collect()
}

fn slot(view: SlotView) -> Slot {
    let (participant, name, source) = match view.carries {
        Some((participant, name, kind)) => (Some(id(participant)), Some(name), Some(kind.as_str())),
        None => (None, None, None),
    };
    Slot {
        mid: view.mid,
        kind: if view.video { "video" } else { "audio" },
        participant,
        name: name.as_deref().map(Into::into),
        source: source.map(Into::into),
        muted: view.muted,
    }
}

fn picture(picture: Picture) -> sfu::Picture {
    sfu::Picture {
        participant: theirs(picture.participant),
        kind: picture.source.into(),
        width: picture.width,
        height: picture.height,
    }
}

const fn reason(gone: &Gone) -> Reason {
    match gone {
        Gone::Left => Reason::Left,
        Gone::Silent => Reason::Silent,
        Gone::Closed => Reason::Closed,
        Gone::SlowReader => Reason::SlowReader,
        Gone::Failed(_) => Reason::Failed,
        Gone::Shutdown => Reason::Shutdown,
        Gone::Kicked => Reason::Kicked,
        Gone::RoomClosed => Reason::RoomClosed,
    }
}

fn refusal(error: CommandError) -> Refusal {
    let kind = match error {
        CommandError::Gone => RefusalKind::Unknown,
        CommandError::Offer(_) | CommandError::Fragment(_) => RefusalKind::Malformed,
        CommandError::Unusable(_) => RefusalKind::Unusable,
    };
    Refusal {
        kind,
        message: sentence(&error.to_string()),
    }
}

/// The engine's reasons are clauses.
fn sentence(clause: &str) -> String {
    let mut chars = clause.chars();
    let first = chars.next().map(char::to_uppercase).into_iter().flatten();
    let end = if clause.ends_with('.') { "" } else { "." };
    first.chain(chars).chain(end.chars()).collect()
}

impl From<SourceKind> for sfu::SourceKind {
    fn from(kind: SourceKind) -> Self {
        match kind {
            SourceKind::Microphone => Self::Microphone,
            SourceKind::Camera => Self::Camera,
            SourceKind::Screen => Self::Screen,
            SourceKind::ScreenAudio => Self::ScreenAudio,
        }
    }
}

impl From<sfu::Paused> for Paused {
    fn from(paused: sfu::Paused) -> Self {
        match paused {
            sfu::Paused::Loss => Self::Loss,
            sfu::Paused::Late => Self::Late,
            sfu::Paused::Hidden => Self::Hidden,
        }
    }
}

impl From<sfu::Trouble> for Trouble {
    fn from(trouble: sfu::Trouble) -> Self {
        match trouble {
            sfu::Trouble::Loss => Self::Loss,
            sfu::Trouble::Late => Self::Late,
        }
    }
}

impl From<sfu::SourceKind> for SourceKind {
    fn from(kind: sfu::SourceKind) -> Self {
        match kind {
            sfu::SourceKind::Microphone => Self::Microphone,
            sfu::SourceKind::Camera => Self::Camera,
            sfu::SourceKind::Screen => Self::Screen,
            sfu::SourceKind::ScreenAudio => Self::ScreenAudio,
        }
    }
}

/// The engines' configuration but for what differs between workers. The certificate is a fresh one: nobody can tell two
/// runs of a server for the same by it.
///
/// # Errors
/// When no certificate can be made, for want of randomness.
pub(crate) fn configuration(
    video_codecs: &[VideoCodec],
    dtls: &[DtlsVersion],
    key_log: Option<Arc<dyn KeyLog>>,
) -> Result<Arc<peer::Config>, CryptoError> {
    let dtls = dtls_srtp::Config {
        versions: dtls.iter().map(|&version| version.into()).collect(),
        key_log,
        ..dtls_srtp::Config::new(Arc::new(RingCrypto::new()), Certificate::generate()?)
    };
    let unix = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let formats = video_codecs
        .iter()
        .filter_map(|codec| peer::Codec::by_name(codec.name()));
    Ok(Arc::new(peer::Config {
        video_codecs: formats.flatten().copied().collect(),
        // One for all peers, so that a viewer can synchronize what comes from different people.
        wall_clock: Some(rtp::ntp::NtpClock::new(
            Instant::now(),
            rtp::ntp::NtpTime::from_unix(unix),
        )),
        // What is forwarded was cut to 1200 bytes by its sender before it was sealed, and grows by our tag and RTX
        // number. Every IPv6 link carries this much: 1280 less the IP and UDP headers.
        max_datagram: 1232,
        ..peer::Config::new(Arc::new(dtls))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clauses_become_sentences() {
        assert_eq!(
            sentence("the room is full: it takes 4"),
            "The room is full: it takes 4."
        );
        assert_eq!(sentence("Done."), "Done.");
        assert_eq!(sentence(""), ".");
    }

    #[test]
    fn source_kinds_are_spelt_alike() {
        for kind in [
            SourceKind::Microphone,
            SourceKind::Camera,
            SourceKind::Screen,
            SourceKind::ScreenAudio,
        ] {
            let theirs = sfu::SourceKind::from(kind);
            assert_eq!(serde_json::to_value(kind).unwrap(), theirs.as_str());
            assert_eq!(SourceKind::from(theirs), kind);
        }
    }

    #[test]
    fn participants_keep_their_names_across() {
        let bits = u64::MAX - 7;
        assert_eq!(id(theirs(ParticipantId(bits))), ParticipantId(bits));
    }

    /// What each reason of signalling is called when the others hear of it.
    #[test]
    fn the_others_hear_why_somebody_is_gone() {
        let now = Instant::now();
        let mut engine = engine(now);
        let bob = engine.join(now, "tea", member("Bob")).unwrap();
        for reason in [
            Reason::Left,
            Reason::Closed,
            Reason::Silent,
            Reason::Failed,
            Reason::SlowReader,
            Reason::Shutdown,
            Reason::Kicked,
            Reason::RoomClosed,
        ] {
            let ada = engine.join(now, "tea", member("Ada")).unwrap();
            engine.leave(now, ada, reason);
            let mut told = std::iter::from_fn(|| engine.poll_event());
            let left = ServerMessage::ParticipantLeft {
                participant: ada,
                reason,
            };
            assert!(told.any(|event| event == (bob, left.clone())), "{reason:?}");
        }
    }

    fn engine(now: Instant) -> SfuEngine {
        let peer = configuration(&[VideoCodec::Vp8], &[DtlsVersion::V13, DtlsVersion::V12], None).unwrap();
        let config = sfu::Config::new(peer, vec!["192.0.2.1:3478".parse().unwrap()]);
        SfuEngine::new(Sfu::new(Arc::new(config), wire::Seed([7; 32]), now))
    }

    fn member(name: &str) -> Join {
        Join {
            name: crate::DisplayName::new(name).unwrap(),
            kind: Kind::Member,
        }
    }

    #[test]
    fn members_hear_who_speaks() {
        let now = Instant::now();
        let mut engine = engine(now);
        let ada = engine.join(now, "tea", member("Ada")).unwrap();
        let bob = engine.join(now, "tea", member("Bob")).unwrap();
        let event = Event::Speakers {
            dominant: Some(theirs(ada)),
            speaking: [theirs(bob), theirs(ada)].into(),
        };
        let message = ServerMessage::Speakers {
            dominant: Some(ada),
            speaking: vec![bob, ada],
        };
        assert_eq!(engine.translate(event), Some(message));
    }

    #[test]
    fn members_hear_of_layers_and_of_their_link() {
        let mut engine = engine(Instant::now());
        for (event, expected) in [
            (
                Event::Send {
                    mid: "1".into(),
                    active: true,
                    rids: vec!["q".into(), "h".into()],
                },
                r#"{"type":"send","mid":"1","active":true,"rids":["q","h"]}"#,
            ),
            (
                Event::Layer {
                    mid: "5".into(),
                    rid: Some("h".into()),
                    paused: None,
                },
                r#"{"type":"layer","mid":"5","rid":"h","paused":null}"#,
            ),
            (
                Event::Layer {
                    mid: "5".into(),
                    rid: None,
                    paused: Some(sfu::Paused::Hidden),
                },
                r#"{"type":"layer","mid":"5","rid":null,"paused":"hidden"}"#,
            ),
            (
                Event::Layer {
                    mid: "5".into(),
                    rid: None,
                    paused: Some(sfu::Paused::Loss),
                },
                r#"{"type":"layer","mid":"5","rid":null,"paused":"loss"}"#,
            ),
            (
                Event::Link {
                    trouble: Some(sfu::Trouble::Loss),
                    lost_per_mille: 187,
                },
                r#"{"type":"link","state":"audio-only","trouble":"loss","loss":0.187}"#,
            ),
            (
                Event::Layer {
                    mid: "5".into(),
                    rid: None,
                    paused: Some(sfu::Paused::Late),
                },
                r#"{"type":"layer","mid":"5","rid":null,"paused":"late"}"#,
            ),
            (
                Event::Link {
                    trouble: Some(sfu::Trouble::Late),
                    lost_per_mille: 3,
                },
                r#"{"type":"link","state":"audio-only","trouble":"late","loss":0.003}"#,
            ),
            (
                Event::Link {
                    trouble: None,
                    lost_per_mille: 0,
                },
                r#"{"type":"link","state":"good","trouble":null,"loss":0.0}"#,
            ),
        ] {
            assert_eq!(engine.translate(event).unwrap().to_json(), expected);
        }
    }

    #[test]
    fn pictures_keep_their_sizes_across() {
        let shown = picture(Picture {
            participant: ParticipantId(7),
            source: SourceKind::Screen,
            width: 1920,
            height: 1080,
        });
        let expected = sfu::Picture {
            participant: theirs(ParticipantId(7)),
            kind: sfu::SourceKind::Screen,
            width: 1920,
            height: 1080,
        };
        assert_eq!(shown, expected);
    }

    /// Who wants to see few people is asked for few slots, whoever is there.
    #[test]
    fn a_view_reaches_the_rooms() {
        let now = Instant::now();
        let mut engine = engine(now);
        let offer = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/sdp/chromium156-av-offer.sdp");
        let offer = std::fs::read_to_string(offer).unwrap();
        let all = engine.join(now, "tea", member("Ada")).unwrap();
        let few = engine.join(now, "tea", member("Bob")).unwrap();
        let view = View {
            tiles: Some(1),
            ..View::default()
        };
        engine.set_view(now, few, view).unwrap();
        for _ in 0..6 {
            let other = engine.join(now, "tea", member("Cid")).unwrap();
            let source = |mid: &str, kind| SourceInfo {
                mid: mid.into(),
                kind,
                muted: false,
            };
            let sources = vec![source("0", SourceKind::Microphone), source("1", SourceKind::Camera)];
            engine.set_sources(now, other, sources).unwrap();
            engine.offer(now, other, &offer).unwrap();
        }
        let mut wanted = BTreeMap::new();
        while let Some((participant, message)) = engine.poll_event() {
            if let ServerMessage::Need { video, .. } = message {
                wanted.insert(participant, video);
            }
        }
        assert_eq!((wanted[&all], wanted[&few]), (8, 4));
    }

    #[test]
    fn every_codec_has_formats() {
        for codec in [VideoCodec::Vp8, VideoCodec::H264, VideoCodec::Vp9, VideoCodec::Av1] {
            assert!(
                !configuration(&[codec], &[DtlsVersion::V12], None)
                    .unwrap()
                    .video_codecs
                    .is_empty()
            );
        }
        let both = configuration(&[VideoCodec::H264, VideoCodec::Vp8], &[DtlsVersion::V13], None)
            .unwrap()
            .video_codecs
            .clone();
        assert_eq!(both.last(), Some(&peer::Codec::Vp8));
    }
}
