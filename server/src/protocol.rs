use serde::{Deserialize, Serialize};

use crate::Secret;
use crate::engine::{Other, ParticipantId, Reason, SourceInfo, SourceKind, View};

/// The most people that a client shows at once.
const MAX_TILES: usize = 49;
/// The most entries in a `view`'s list of pictures: cameras and screens of a hundred people, and then some.
const MAX_PICTURES: usize = 256;
/// The longest side of a picture, in pixels: twice the widest screens.
const MAX_SIDE: u16 = 16_384;

/// The most characters of what is wrong with a message.
const MAX_REASON: usize = 200;

/// What a client may send over the WebSocket.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum ClientMessage {
    /// Enters the room; comes first.
    Join {
        /// The name that others see.
        name: String,
    },
    /// Goes on where another connection broke; comes first, instead of `join`.
    Resume {
        /// What [`Welcome`] told.
        session: Secret,
    },
    /// An SDP offer. The next one waits for the answer.
    Offer {
        /// Comes back with the answer.
        #[serde(default)]
        id: Option<OfferId>,
        /// The offer.
        sdp: String,
    },
    /// One of the client's candidates, as `RTCIceCandidate.toJSON()` gives it; an empty one ends them.
    Candidate {
        /// The text of `a=candidate`, with or without that name.
        candidate: String,
        /// The section that it belongs to.
        #[serde(default)]
        sdp_mid: Option<String>,
    },
    /// All that the client sends; before or with the offer that adds a section.
    Sources {
        /// One entry per section.
        sources: Vec<SourceInfo>,
    },
    /// A source is muted, or no more.
    Mute {
        /// The section.
        mid: String,
        /// Whether it is muted.
        muted: bool,
    },
    /// What the client shows from now on.
    View(View),
    /// Goodbye.
    Leave {},
    /// To be answered with `pong`.
    Ping {},
}

/// Names an offer: whatever number or text the client likes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OfferId {
    /// A number.
    Number(u64),
    /// A text.
    Text(String),
}

/// What the server sends over the WebSocket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum ServerMessage {
    /// The client is in; the first message.
    Joined(Welcome),
    /// The client goes on where another connection broke; the first message then, and all that has a state follows.
    Resumed(Welcome),
    /// The answer to an offer.
    Answer {
        /// The offer's.
        id: Option<OfferId>,
        /// The answer.
        sdp: String,
    },
    /// How many `recvonly` sections of each kind the client should have in all.
    Need {
        /// Sections for audio.
        audio: usize,
        /// Sections for video.
        video: usize,
    },
    /// What comes in each of the client's `recvonly` sections: all of them, before the first packet.
    Slots {
        /// One entry per section.
        slots: Vec<Slot>,
    },
    /// Somebody came.
    ParticipantJoined {
        /// Who.
        participant: ParticipantId,
        /// Under which name.
        name: String,
        /// What it sends already.
        sources: Vec<Source>,
    },
    /// Somebody went.
    ParticipantLeft {
        /// Who.
        participant: ParticipantId,
        /// Why.
        reason: Reason,
    },
    /// All that somebody sends now.
    Sources {
        /// Who.
        participant: ParticipantId,
        /// One entry per source.
        sources: Vec<Source>,
    },
    /// The client cannot decode a source, so it does not get it.
    Undecodable {
        /// Whose.
        participant: ParticipantId,
        /// Which.
        source: String,
    },
    /// Who speaks has changed.
    Speakers {
        /// Who holds the floor: speaks, or did last.
        dominant: Option<ParticipantId>,
        /// Everybody who speaks, in the order in which they began.
        speaking: Vec<ParticipantId>,
    },
    /// What of one of the client's own pictures somebody looks at; the rest need not be sent.
    Send {
        /// The section of the picture.
        mid: String,
        /// Whether anybody looks at it at all.
        active: bool,
        /// The layers of simulcast that are wanted; none without simulcast.
        rids: Vec<String>,
    },
    /// What a slot for pictures carries now.
    Layer {
        /// The section of the slot.
        mid: String,
        /// The layer of simulcast, if there is one.
        rid: Option<String>,
        /// Why nothing is sent in it, when that is so on purpose.
        paused: Option<Paused>,
    },
    /// How much of what is sent to the client gets lost, and whether it is late.
    Link {
        /// What follows from it.
        state: LinkState,
        /// Why only sound is sent, if that is so.
        trouble: Option<Trouble>,
        /// The part that was lost of late.
        loss: PerMille,
    },
    /// How somebody's media connection is; the client's own too.
    Connection {
        /// Whose.
        participant: ParticipantId,
        /// How.
        state: ConnectionState,
    },
    /// Something that the client sent was not done.
    Error {
        /// Which error, for programs.
        code: &'static str,
        /// A sentence for people.
        message: String,
        /// The `type` of the message that it is about, if that is known.
        re: Option<&'static str>,
        /// The offer's, if it is about one.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<OfferId>,
    },
    /// The end; the server closes the connection.
    Bye {
        /// Why, for programs.
        reason: Reason,
        /// A sentence for people.
        message: String,
    },
    /// The answer to a ping.
    Pong {},
}

/// Who a client is, and who else is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Welcome {
    /// Who the client is.
    pub participant: ParticipantId,
    /// By which it goes on over another connection if this one breaks.
    pub session: Secret,
    /// Under which name.
    pub name: String,
    /// In which room.
    pub room: String,
    /// Who else is there.
    pub participants: Vec<Other>,
    /// For `RTCConfiguration.iceServers`.
    pub ice_servers: Vec<IceServer>,
}

impl ServerMessage {
    /// The end.
    pub fn bye(reason: Reason) -> Self {
        Self::Bye {
            reason,
            message: reason.sentence().into(),
        }
    }

    /// As JSON.
    pub fn to_json(&self) -> String {
        // Strings, numbers and lists of them cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// What comes in a `recvonly` section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Slot {
    /// The section.
    pub mid: String,
    /// `audio` or `video`.
    pub kind: &'static str,
    /// Whose, or nobody's for now.
    pub participant: Option<ParticipantId>,
    /// That participant's name.
    pub name: Option<String>,
    /// Which of its sources.
    pub source: Option<String>,
    /// Whether that is muted.
    pub muted: bool,
}

/// What somebody sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Source {
    /// Names it among the sources of its participant.
    pub source: String,
    /// What it is.
    pub kind: SourceKind,
    /// Whether it is silent or black for now.
    pub muted: bool,
}

/// How a media connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConnectionState {
    /// Media flows.
    Connected,
    /// Nothing was heard for some seconds; it may come back.
    Disconnected,
}

/// Why a picture is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Paused {
    /// The link loses too much.
    Loss,
    /// What is sent is seconds old when the client takes it.
    Late,
    /// It is not shown.
    Hidden,
}

/// What the link to a client carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkState {
    /// Sound and pictures.
    Good,
    /// It loses too much or is too late: only sound is sent.
    AudioOnly,
}

/// Why only sound is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trouble {
    /// The link loses too much.
    Loss,
    /// What is sent is seconds old when the client takes it: its link, or its machine, is not fast enough.
    Late,
}

/// A part of a thousand; in JSON a number from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PerMille(pub u16);

impl Serialize for PerMille {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(f64::from(self.0) / 1000.0)
    }
}

/// An entry of `RTCConfiguration.iceServers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IceServer {
    /// Where it is.
    pub urls: Vec<String>,
    /// Who may use it; a STUN server is for everybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

/// Why a WebSocket message could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// It is not JSON.
    NotJson,
    /// It is no JSON object whose `type` is one of those of [`ClientMessage`].
    UnknownType,
    /// A field is missing, or has another type or value than it may have.
    Invalid {
        /// The message's `type`.
        kind: &'static str,
        /// What is wrong: a clause for people.
        reason: String,
    },
}

/// The types of [`ClientMessage`].
pub(crate) const TYPES: [&str; 9] = [
    "join",
    "resume",
    "offer",
    "candidate",
    "sources",
    "mute",
    "view",
    "leave",
    "ping",
];

impl ClientMessage {
    /// Reads what a client sent, whatever that is. How long it may be the connection has looked at before.
    ///
    /// # Errors
    /// [`Unreadable`]; the client is told, and may go on.
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        let value: serde_json::Value = serde_json::from_str(text).map_err(|_| Unreadable::NotJson)?;
        let kind = value.get("type").and_then(serde_json::Value::as_str);
        let kind = TYPES
            .into_iter()
            .find(|known| Some(*known) == kind)
            .ok_or(Unreadable::UnknownType)?;
        let invalid = |mut reason: String| {
            shorten(&mut reason);
            Unreadable::Invalid { kind, reason }
        };
        let message: Self = serde_json::from_value(value).map_err(|error| invalid(error.to_string()))?;
        message.fault().map_or(Ok(message), |fault| Err(invalid(fault)))
    }

    /// What is beyond the bounds of the protocol, if anything: a clause for people.
    fn fault(&self) -> Option<String> {
        let Self::View(view) = self else { return None };
        if let Some(tiles) = view.tiles.filter(|tiles| !(1..=MAX_TILES).contains(tiles)) {
            return Some(format!("tiles is {tiles}, and has to be from 1 to {MAX_TILES}"));
        }
        if view.pinned.len() > MAX_TILES {
            let pinned = view.pinned.len();
            return Some(format!("pinned has {pinned} entries, and may have {MAX_TILES}"));
        }
        if view.pictures.len() > MAX_PICTURES {
            let pictures = view.pictures.len();
            return Some(format!("pictures has {pictures} entries, and may have {MAX_PICTURES}"));
        }
        let sides = view.pictures.iter().flat_map(|picture| [picture.width, picture.height]);
        let side = sides.max().filter(|side| *side > MAX_SIDE)?;
        Some(format!(
            "a picture is {side} pixels wide or high, and may be {MAX_SIDE}"
        ))
    }

    /// Its `type`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Join { .. } => "join",
            Self::Resume { .. } => "resume",
            Self::Offer { .. } => "offer",
            Self::Candidate { .. } => "candidate",
            Self::Sources { .. } => "sources",
            Self::Mute { .. } => "mute",
            Self::View(_) => "view",
            Self::Leave {} => "leave",
            Self::Ping {} => "ping",
        }
    }
}

/// What the client sent stands in the reason, and may be as long as a message.
fn shorten(reason: &mut String) {
    if let Some((end, _)) = reason.char_indices().nth(MAX_REASON) {
        reason.truncate(end);
        reason.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Picture;

    #[test]
    fn every_client_message_is_read() {
        for (text, expected) in [
            (
                r#"{"type":"join","name":"Ada"}"#,
                ClientMessage::Join { name: "Ada".into() },
            ),
            (
                r#"{"type":"resume","session":"5e55"}"#,
                ClientMessage::Resume { session: "5e55".into() },
            ),
            (
                r#"{"type":"offer","id":7,"sdp":"v=0"}"#,
                ClientMessage::Offer {
                    id: Some(OfferId::Number(7)),
                    sdp: "v=0".into(),
                },
            ),
            (
                r#"{"type":"offer","id":"x","sdp":"v=0"}"#,
                ClientMessage::Offer {
                    id: Some(OfferId::Text("x".into())),
                    sdp: "v=0".into(),
                },
            ),
            (
                r#"{"type":"candidate","candidate":"","sdpMid":"0","sdpMLineIndex":0,"usernameFragment":null}"#,
                ClientMessage::Candidate {
                    candidate: String::new(),
                    sdp_mid: Some("0".into()),
                },
            ),
            (
                r#"{"type":"candidate","candidate":"candidate:1 1 udp 1 ::1 9 typ host","sdpMid":null}"#,
                ClientMessage::Candidate {
                    candidate: "candidate:1 1 udp 1 ::1 9 typ host".into(),
                    sdp_mid: None,
                },
            ),
            (
                r#"{"type":"sources","sources":[{"mid":"2","kind":"screen-audio","muted":true}]}"#,
                ClientMessage::Sources {
                    sources: vec![SourceInfo {
                        mid: "2".into(),
                        kind: SourceKind::ScreenAudio,
                        muted: true,
                    }],
                },
            ),
            (
                r#"{"type":"mute","mid":"1","muted":false}"#,
                ClientMessage::Mute {
                    mid: "1".into(),
                    muted: false,
                },
            ),
            (r#"{"type":"view"}"#, ClientMessage::View(View::default())),
            (
                r#"{"type":"view","tiles":9,"pinned":["7","18446744073709551615"],"pictures":[{"participant":"7","source":"camera","width":1280,"height":720},{"participant":"8","source":"screen","width":0,"height":0}]}"#,
                ClientMessage::View(View {
                    tiles: Some(9),
                    pinned: vec![ParticipantId(7), ParticipantId(u64::MAX)],
                    pictures: vec![
                        Picture {
                            participant: ParticipantId(7),
                            source: SourceKind::Camera,
                            width: 1280,
                            height: 720,
                        },
                        Picture {
                            participant: ParticipantId(8),
                            source: SourceKind::Screen,
                            width: 0,
                            height: 0,
                        },
                    ],
                }),
            ),
            (r#"{"type":"leave"}"#, ClientMessage::Leave {}),
            (r#"{"type":"ping","more":1}"#, ClientMessage::Ping {}),
        ] {
            assert_eq!(ClientMessage::read(text).as_ref(), Ok(&expected), "{text}");
            assert!(text.contains(&format!(r#""type":"{}""#, expected.kind())));
        }
    }

    #[test]
    fn what_is_wrong_with_a_message_is_told_apart() {
        for text in ["", "{", "hello", "{'type':'join'}", "\u{0}"] {
            assert_eq!(ClientMessage::read(text), Err(Unreadable::NotJson), "{text}");
        }
        for text in [
            "7",
            "[]",
            "{}",
            r#"{"type":7}"#,
            r#"{"type":"Join"}"#,
            r#"{"type":"joined"}"#,
            "null",
        ] {
            assert_eq!(ClientMessage::read(text), Err(Unreadable::UnknownType), "{text}");
        }
        for text in [
            r#"{"type":"join"}"#,
            r#"{"type":"join","name":7}"#,
            r#"{"type":"offer","id":-1,"sdp":""}"#,
            r#"{"type":"sources","sources":[{"mid":"2","kind":"telepathy"}]}"#,
            r#"{"type":"mute","mid":"1","muted":"yes"}"#,
            r#"{"type":"resume"}"#,
            r#"{"type":"resume","session":7}"#,
            r#"{"type":"view","tiles":-1}"#,
            r#"{"type":"view","pinned":[7]}"#,
            r#"{"type":"view","pinned":["Ada"]}"#,
            r#"{"type":"view","pictures":[{"participant":"7","source":"camera","width":1280}]}"#,
            r#"{"type":"view","pictures":[{"participant":"7","source":"camera","width":1280,"height":-720}]}"#,
            r#"{"type":"view","pictures":[{"participant":"7","source":"camera","width":1280,"height":65536}]}"#,
        ] {
            assert!(
                matches!(ClientMessage::read(text), Err(Unreadable::Invalid { .. })),
                "{text}"
            );
        }
        // Nesting without end is no way to the end of the stack.
        assert_eq!(ClientMessage::read(&"[".repeat(100_000)), Err(Unreadable::NotJson));
    }

    #[test]
    fn the_reason_is_for_people_to_read() {
        let kind = "\u{202e}".repeat(10_000);
        let text = format!(r#"{{"type":"sources","sources":[{{"mid":"2","kind":"{kind}"}}]}}"#);
        let Err(Unreadable::Invalid { reason, .. }) = ClientMessage::read(&text) else {
            panic!("it was read");
        };
        assert_eq!(reason.chars().count(), MAX_REASON + 1, "{reason}");
    }

    #[test]
    fn a_view_is_bounded() {
        let pinned = |count: usize| format!(r#"{{"type":"view","pinned":{:?}}}"#, vec!["7"; count]);
        let picture = |width: u16, height: u16| {
            format!(r#"{{"participant":"7","source":"camera","width":{width},"height":{height}}}"#)
        };
        let pictures = |pictures: Vec<String>| format!(r#"{{"type":"view","pictures":[{}]}}"#, pictures.join(","));
        let tiles = |tiles: usize| format!(r#"{{"type":"view","tiles":{tiles}}}"#);
        for text in [
            tiles(1),
            tiles(MAX_TILES),
            pinned(MAX_TILES),
            pictures(vec![picture(0, 0); MAX_PICTURES]),
            pictures(vec![picture(MAX_SIDE, MAX_SIDE)]),
        ] {
            assert!(ClientMessage::read(&text).is_ok(), "{text}");
        }
        for (text, hint) in [
            (tiles(0), "tiles is 0"),
            (tiles(MAX_TILES + 1), "from 1 to 49"),
            (pinned(MAX_TILES + 1), "50 entries"),
            (pictures(vec![picture(0, 0); MAX_PICTURES + 1]), "257 entries"),
            (pictures(vec![picture(1, 1), picture(MAX_SIDE + 1, 1)]), "16385"),
            (pictures(vec![picture(1, u16::MAX)]), "65535"),
        ] {
            let Err(Unreadable::Invalid { kind: "view", reason }) = ClientMessage::read(&text) else {
                panic!("{text} was read");
            };
            assert!(reason.contains(hint), "{reason}");
        }
    }

    #[test]
    fn server_messages_are_written_as_documented() {
        let participant = ParticipantId(u64::MAX);
        for (message, expected) in [
            (
                ServerMessage::Joined(Welcome {
                    participant,
                    session: "5e55".into(),
                    name: "Ada".into(),
                    room: "tea".into(),
                    participants: vec![Other {
                        participant: ParticipantId(3),
                        name: "Bob".into(),
                        sources: vec![Source {
                            source: "camera".into(),
                            kind: SourceKind::Camera,
                            muted: true,
                        }],
                    }],
                    ice_servers: Vec::new(),
                }),
                r#"{"type":"joined","participant":"18446744073709551615","session":"5e55","name":"Ada","room":"tea","participants":[{"participant":"3","name":"Bob","sources":[{"source":"camera","kind":"camera","muted":true}]}],"iceServers":[]}"#,
            ),
            (
                ServerMessage::Slots {
                    slots: vec![Slot {
                        mid: "4".into(),
                        kind: "audio",
                        participant: None,
                        name: None,
                        source: None,
                        muted: false,
                    }],
                },
                r#"{"type":"slots","slots":[{"mid":"4","kind":"audio","participant":null,"name":null,"source":null,"muted":false}]}"#,
            ),
            (
                ServerMessage::Speakers {
                    dominant: None,
                    speaking: vec![ParticipantId(2), ParticipantId(3)],
                },
                r#"{"type":"speakers","dominant":null,"speaking":["2","3"]}"#,
            ),
            (
                ServerMessage::ParticipantLeft {
                    participant: ParticipantId(2),
                    reason: Reason::SlowReader,
                },
                r#"{"type":"participant-left","participant":"2","reason":"slow-reader"}"#,
            ),
            (
                ServerMessage::Error {
                    code: "malformed-sdp",
                    message: "Line 3.".into(),
                    re: Some("offer"),
                    id: None,
                },
                r#"{"type":"error","code":"malformed-sdp","message":"Line 3.","re":"offer"}"#,
            ),
            (
                ServerMessage::bye(Reason::Shutdown),
                r#"{"type":"bye","reason":"shutdown","message":"The server is stopping."}"#,
            ),
            (ServerMessage::Pong {}, r#"{"type":"pong"}"#),
        ] {
            assert_eq!(message.to_json(), expected);
        }
    }
}
