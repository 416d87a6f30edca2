use serde::{Deserialize, Serialize};

/// What a guest says (`docs/signalling.md`).
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(crate) enum ToServer {
    Join {
        name: String,
    },
    Resume {
        session: String,
    },
    Offer {
        id: u64,
        sdp: String,
    },
    Candidate {
        candidate: String,
        #[serde(rename = "sdpMid")]
        sdp_mid: String,
    },
    Sources {
        sources: Vec<OwnSource>,
    },
    Leave {},
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct OwnSource {
    pub(crate) mid: String,
    pub(crate) kind: &'static str,
    pub(crate) muted: bool,
}

/// What a guest listens to. What it does not know it leaves aside.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(crate) enum FromServer {
    Joined {
        participant: String,
        session: String,
        participants: Vec<Other>,
        #[serde(rename = "iceServers")]
        ice_servers: Vec<IceServers>,
    },
    Resumed {
        session: String,
    },
    Answer {
        id: u64,
        sdp: String,
    },
    Need {
        audio: usize,
        video: usize,
    },
    Slots {
        slots: Vec<Slot>,
    },
    Speakers {
        speaking: Vec<String>,
    },
    Error {
        code: String,
        message: String,
        /// The type of the message that it is about.
        re: Option<String>,
    },
    Bye {
        reason: String,
    },
    #[serde(other)]
    Unknown,
}

/// An entry of `RTCConfiguration.iceServers`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct IceServers {
    pub(crate) urls: Vec<String>,
    pub(crate) username: Option<String>,
    pub(crate) credential: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Other {
    pub(crate) participant: String,
    pub(crate) sources: Vec<OtherSource>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct OtherSource {
    pub(crate) kind: String,
    pub(crate) muted: bool,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Slot {
    pub(crate) mid: String,
    pub(crate) participant: Option<String>,
    pub(crate) name: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_left_aside() {
        let read = |text| serde_json::from_str::<FromServer>(text).unwrap();
        assert!(matches!(
            read(r#"{"type":"telepathy","dominant":null}"#),
            FromServer::Unknown
        ));
        let speakers = r#"{"type":"speakers","dominant":null,"speaking":["7"]}"#;
        assert!(matches!(read(speakers), FromServer::Speakers { speaking } if speaking == ["7"]));
        let slots = r#"{"type":"slots","slots":[{"mid":"2","kind":"audio","participant":null,"name":null,"source":null,"muted":false}]}"#;
        assert!(matches!(read(slots), FromServer::Slots { slots } if slots[0].participant.is_none()));
    }
}
