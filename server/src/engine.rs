use std::borrow::Cow;
use std::fmt;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use wire::{Ecn, Path, Transmit};

use crate::DisplayName;
use crate::protocol::{ServerMessage, Source};

#[cfg(test)]
mod notes;
mod sfu;

#[cfg(test)]
pub(crate) use self::notes::Notes;
pub(crate) use self::sfu::{SfuEngine, configuration};

/// What a worker drives: rooms and their peers, without I/O.
///
/// `sfu::Sfu` is the one that media flows through; tests of signalling use one that only writes down what it is told.
/// The methods come in the four families of every engine: getters, inputs, commands, outputs. What the engine has to
/// tell a participant comes out of [`poll_event`](Self::poll_event) as the message that the participant is sent.
pub trait Engine {
    /// Who is in the participant's room, without itself, in the order of joining.
    fn others(&self, participant: ParticipantId) -> Vec<Other>;
    /// Hands the name and the value of every counter to `visit`.
    fn each_counter(&self, visit: &mut dyn FnMut(&'static str, u64));
    /// How often each way of securing a connection was agreed on.
    fn handshakes(&self) -> Vec<(Handshake, u64)>;
    /// Participants that are there.
    fn participants(&self) -> usize;
    /// How many of them speak.
    fn speaking(&self) -> usize;

    /// Whether the peer at the other end of a path may still use it: ICE has validated it.
    fn is_path_open(&self, path: &Path) -> bool;

    /// A datagram came; what it held is worked on in place.
    fn handle_datagram(&mut self, now: Instant, path: &Path, ecn: Ecn, data: &mut [u8]);
    /// The TCP connection under a path was closed.
    fn handle_path_closed(&mut self, now: Instant, path: &Path);
    /// It is as late as [`poll_timeout`](Self::poll_timeout) said, or later.
    fn handle_timeout(&mut self, now: Instant);

    /// Lets somebody in.
    ///
    /// # Errors
    /// Why not.
    fn join(&mut self, now: Instant, room: &str, join: Join) -> Result<ParticipantId, Refusal>;
    /// Takes an SDP offer and gives the answer.
    ///
    /// # Errors
    /// What is wrong with the offer.
    fn offer(&mut self, now: Instant, participant: ParticipantId, sdp: &str) -> Result<String, Refusal>;
    /// Takes a candidate of the peer; an empty one ends them.
    ///
    /// # Errors
    /// What is wrong with it.
    fn candidate(
        &mut self,
        now: Instant,
        participant: ParticipantId,
        mid: Option<&str>,
        candidate: &str,
    ) -> Result<(), Refusal>;
    /// Takes a fragment of SDP (RFC 8840): candidates, or an ICE restart, which is answered with a fragment.
    ///
    /// # Errors
    /// What is wrong with it.
    fn fragment(&mut self, now: Instant, participant: ParticipantId, fragment: &str)
    -> Result<Option<String>, Refusal>;
    /// Says what the participant sends in which section: all of it, each time.
    ///
    /// # Errors
    /// The participant is gone.
    fn set_sources(
        &mut self,
        now: Instant,
        participant: ParticipantId,
        sources: Vec<SourceInfo>,
    ) -> Result<(), Refusal>;
    /// Says whether the source in a section is muted.
    ///
    /// # Errors
    /// The participant is gone.
    fn set_muted(&mut self, now: Instant, participant: ParticipantId, mid: &str, muted: bool) -> Result<(), Refusal>;
    /// Says what the participant shows.
    ///
    /// # Errors
    /// The participant is gone.
    fn set_view(&mut self, now: Instant, participant: ParticipantId, view: View) -> Result<(), Refusal>;
    /// Tells a participant once more what it needs and gets, and who speaks: it may have missed that.
    ///
    /// # Errors
    /// The participant is gone.
    fn tell_again(&mut self, participant: ParticipantId) -> Result<(), Refusal>;
    /// Lets a participant go.
    fn leave(&mut self, now: Instant, participant: ParticipantId, reason: Reason);
    /// Says goodbye to everybody. What is to be sent for it comes out of [`poll_transmit`](Self::poll_transmit).
    fn close(&mut self, now: Instant);

    /// Writes a datagram, or a run of them for one path, into `out`, which has room for [`udp::MAX_MESSAGE`] bytes.
    fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<Transmit>;
    /// When [`handle_timeout`](Self::handle_timeout) is due; valid once `poll_transmit` gave nothing.
    fn poll_timeout(&self) -> Option<Instant>;
    /// What a participant is to be told. After [`ServerMessage::Bye`] the participant is gone.
    fn poll_event(&mut self) -> Option<(ParticipantId, ServerMessage)>;
}

/// Names a participant for as long as its engine lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParticipantId(pub u64);

impl fmt::Display for ParticipantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// In JSON a string: JavaScript's numbers do not hold 64 bits.
impl Serialize for ParticipantId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// From that string.
impl<'de> Deserialize<'de> for ParticipantId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'_, str>::deserialize(deserializer)?;
        text.parse()
            .map(Self)
            .map_err(|_| serde::de::Error::custom("a participant is a text that the server gave"))
    }
}

/// Somebody who wants in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Join {
    /// The name that others see.
    pub name: DisplayName,
    /// What it is going to do.
    pub kind: Kind,
}

/// What a participant does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Sends and receives, and is told what happens in the room.
    Member,
    /// Only sends (WHIP).
    Publisher,
    /// Only receives (WHEP): the publisher of that name, or by default the first publisher, or else whoever speaks.
    Viewer {
        /// The name of the publisher.
        source: Option<String>,
    },
    /// Gets back what it sends; is in no room.
    Echo,
}

impl Kind {
    /// One word for it.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Publisher => "publisher",
            Self::Viewer { .. } => "viewer",
            Self::Echo => "echo",
        }
    }
}

/// Somebody else in the room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Other {
    /// Who.
    pub participant: ParticipantId,
    /// The name that others see.
    pub name: String,
    /// What it sends.
    pub sources: Vec<Source>,
}

/// What a participant sends in one section.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SourceInfo {
    /// The section.
    pub mid: String,
    /// What it is.
    pub kind: SourceKind,
    /// Whether it is silent or black for now.
    #[serde(default)]
    pub muted: bool,
}

/// What a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// Somebody's voice.
    Microphone,
    /// Somebody's picture.
    Camera,
    /// A screen or a window.
    Screen,
    /// The sound of what is on the screen.
    ScreenAudio,
}

/// What a participant shows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct View {
    /// How many people at once; `None` leaves it to the server.
    #[serde(default)]
    pub tiles: Option<usize>,
    /// Who is to be seen and heard whoever speaks, the most important one first.
    #[serde(default)]
    pub pinned: Vec<ParticipantId>,
    /// How large it shows which picture.
    #[serde(default)]
    pub pictures: Vec<Picture>,
}

/// The size in which a picture is shown, in pixels of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Picture {
    /// Whose.
    pub participant: ParticipantId,
    /// Which of its sources.
    pub source: SourceKind,
    /// 0 when it cannot be seen.
    pub width: u16,
    /// 0 when it cannot be seen.
    pub height: u16,
}

/// Why a participant is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// It said so.
    Left,
    /// Its connection to the server was closed from its end.
    Closed,
    /// Nothing was heard from it for too long.
    Silent,
    /// Its media connection could not be made or secured.
    Failed,
    /// It did not read what it was sent.
    SlowReader,
    /// The server stops.
    Shutdown,
    /// Whoever runs the server has sent it away.
    Kicked,
    /// Whoever runs the server has closed the room.
    RoomClosed,
    /// It goes on over another connection; nobody but the one before is told.
    Replaced,
}

impl Reason {
    /// A sentence for the participant itself.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Left => "You have left.",
            Self::Closed => "The connection was closed from your side.",
            Self::Silent => "The server has heard nothing from you for too long: check your network and join again.",
            Self::Failed => "The media connection failed: join again.",
            Self::SlowReader => "Your connection is too slow for the room's messages: join again.",
            Self::Shutdown => "The server is stopping.",
            Self::Kicked => "Whoever runs this server has sent you away.",
            Self::RoomClosed => "Whoever runs this server has closed the room.",
            Self::Replaced => "You are in the room over another connection now.",
        }
    }
}

/// Why the engine did not do what it was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What sort of reason.
    pub kind: RefusalKind,
    /// A sentence for people.
    pub message: String,
}

/// Sorts of reasons, as far as it matters to a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// The text is malformed, or asks for what cannot be done.
    Malformed,
    /// The text is well-formed, but nothing could be done with what it asks for.
    Unusable,
    /// There is no such participant (any more).
    Unknown,
    /// There is no room for one more.
    Full,
}

/// How a connection was secured, by the names of the IANA registries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handshake {
    /// The DTLS version.
    pub version: &'static str,
    /// The key-exchange group.
    pub group: &'static str,
    /// The cipher suite.
    pub suite: &'static str,
    /// The SRTP protection profile.
    pub srtp_profile: &'static str,
}
