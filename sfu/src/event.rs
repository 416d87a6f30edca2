use std::fmt;
use std::sync::Arc;

use crate::ParticipantId;

/// What a source shows or plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SourceKind {
    /// A person's voice.
    Microphone,
    /// A person's picture.
    Camera,
    /// A shared screen.
    Screen,
    /// The sound of a shared screen.
    ScreenAudio,
}

impl SourceKind {
    /// As signalling spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Microphone => "microphone",
            Self::Camera => "camera",
            Self::Screen => "screen",
            Self::ScreenAudio => "screen-audio",
        }
    }

    /// From signalling.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Microphone, Self::Camera, Self::Screen, Self::ScreenAudio]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }

    /// Whether it is a picture.
    pub const fn is_video(self) -> bool {
        matches!(self, Self::Camera | Self::Screen)
    }

    /// Camera and microphone belong together, and so do a screen and its sound: each group takes one pair of slots.
    pub(crate) const fn group(self) -> u8 {
        match self {
            Self::Microphone | Self::Camera => 0,
            Self::Screen | Self::ScreenAudio => 1,
        }
    }
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a participant says of a section in which it sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceLabel {
    /// The section.
    pub mid: String,
    /// What it is.
    pub kind: SourceKind,
    /// Whether it is muted by its owner.
    pub muted: bool,
}

/// A source as others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceView {
    /// What it is.
    pub kind: SourceKind,
    /// Whether it is muted by its owner.
    pub muted: bool,
}

/// A participant as others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParticipantView {
    /// Who.
    pub id: ParticipantId,
    /// The name, as given at the door.
    pub name: Arc<str>,
    /// What it sends.
    pub sources: Vec<SourceView>,
}

/// What a member wants to see.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct View {
    /// How many people at once; `None` for [`Config::last_n`](crate::Config::last_n). As many as are heard at once are
    /// seen in any case.
    pub tiles: Option<usize>,
    /// Who is seen and heard whoever speaks, the most important one first.
    pub pinned: Vec<ParticipantId>,
    /// How large pictures are shown. Those of a source that is not among them are taken to be 640x360.
    pub pictures: Vec<Picture>,
}

/// How large a source's picture is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture {
    /// Whose.
    pub participant: ParticipantId,
    /// Which of its pictures.
    pub kind: SourceKind,
    /// In device pixels; a picture without extent is not shown, and need not be sent.
    pub width: u16,
    /// In device pixels.
    pub height: u16,
}

/// Why a picture is deliberately not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Paused {
    /// It is not shown.
    Hidden,
    /// The link to its viewer loses too much: only sound is sent.
    Loss,
    /// What is sent to its viewer arrives too late: only sound is sent.
    Late,
}

impl Paused {
    /// One word for signalling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hidden => "hidden",
            Self::Loss => "loss",
            Self::Late => "late",
        }
    }
}

/// Why somebody is sent only sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// The link loses too much.
    Loss,
    /// What is sent is seconds old when it is taken: the link, or the machine at its end, is not fast enough.
    Late,
}

impl From<Trouble> for Paused {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Loss => Self::Loss,
            Trouble::Late => Self::Late,
        }
    }
}

/// What one slot carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotView {
    /// The section.
    pub mid: String,
    /// Whether it is a video slot.
    pub video: bool,
    /// Whose source it carries; `None` when the slot is empty.
    pub carries: Option<(ParticipantId, Arc<str>, SourceKind)>,
    /// Whether that source is muted by its owner.
    pub muted: bool,
}

/// How somebody's connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// Media flows.
    Connected,
    /// Nothing was heard for some seconds.
    Disconnected,
}

/// Why somebody is not here any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gone {
    /// It said so.
    Left,
    /// Nothing was heard from it for too long.
    Silent,
    /// Its connection was closed from its end.
    Closed,
    /// It did not read what it was sent.
    SlowReader,
    /// Its connection could not be secured, or was never made: why, as a clause for people.
    Failed(String),
    /// The server goes away.
    Shutdown,
    /// Whoever runs the server has sent it away.
    Kicked,
    /// Whoever runs the server has closed the room.
    RoomClosed,
}

impl Gone {
    /// One word for signalling.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Silent => "silent",
            Self::Closed => "closed",
            Self::SlowReader => "slow-reader",
            Self::Failed(_) => "failed",
            Self::Shutdown => "shutdown",
            Self::Kicked => "kicked",
            Self::RoomClosed => "room-closed",
        }
    }
}

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Left => f.write_str("left the room"),
            Self::Silent => {
                f.write_str("nothing was heard from this side for too long; check the network and join again")
            }
            Self::Closed => f.write_str("the connection was closed from this side"),
            Self::SlowReader => f.write_str("this side did not read its messages; join again"),
            Self::Failed(why) => write!(f, "the connection failed: {why}"),
            Self::Shutdown => f.write_str("the server is stopping"),
            Self::Kicked => f.write_str("whoever runs this server has sent this side away"),
            Self::RoomClosed => f.write_str("whoever runs this server has closed the room"),
        }
    }
}

/// What a participant has to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// So many recvonly slots are wanted, in all.
    Need {
        /// Of audio.
        audio: usize,
        /// Of video.
        video: usize,
    },
    /// What its slots carry from now on: all of them.
    Slots(Vec<SlotView>),
    /// Somebody came.
    ParticipantJoined(ParticipantView),
    /// Somebody went.
    ParticipantLeft {
        /// Who.
        id: ParticipantId,
        /// Why.
        why: Gone,
    },
    /// What somebody sends has changed.
    Sources(ParticipantView),
    /// Somebody's connection has changed; also one's own.
    Connection {
        /// Whose.
        id: ParticipantId,
        /// How it is.
        connection: Connection,
    },
    /// Who speaks has changed. Not more often than five times a second.
    Speakers {
        /// Who holds the floor: speaks, or did last.
        dominant: Option<ParticipantId>,
        /// Everybody who speaks, in the order in which they began.
        speaking: Arc<[ParticipantId]>,
    },
    /// A source comes in a codec that this participant did not negotiate.
    Undecodable {
        /// Whose.
        id: ParticipantId,
        /// Which.
        kind: SourceKind,
    },
    /// What of one of this participant's own pictures somebody looks at now. The rest need not be sent.
    Send {
        /// The section of the picture.
        mid: String,
        /// Whether anybody looks at it at all.
        active: bool,
        /// The layers of simulcast that are wanted, as they were offered; none without simulcast.
        rids: Vec<String>,
    },
    /// What a slot for pictures carries now.
    Layer {
        /// The section of the slot.
        mid: String,
        /// The layer of simulcast; `None` without simulcast, and until its first picture was sent.
        rid: Option<String>,
        /// Why nothing is sent in it, when that is so on purpose.
        paused: Option<Paused>,
    },
    /// The link to this participant loses so much, or is so late, that only sound is sent; or pictures are sent again.
    Link {
        /// Why only sound is sent, if that is so.
        trouble: Option<Trouble>,
        /// How many packets of a thousand were lost of late.
        lost_per_mille: u16,
    },
    /// This participant's connection is secured.
    Secured(peer::Secured),
    /// This participant is not here any more; the last event about it.
    Gone(Gone),
}
