use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::engine::ParticipantId;
use crate::placement::Seat;
use crate::secret::unguessable;

/// The sessions that WHIP and WHEP have made, by the last part of their URL.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<HashMap<String, Arc<Session>>>);

/// A participant that came in over WHIP or WHEP.
#[derive(Debug)]
pub(crate) struct Session {
    /// The last part of its URL. Who knows it may end the session (RFC 9725 §5), so nobody can guess it.
    pub(crate) id: String,
    /// Where it is: the path of its URL.
    pub(crate) location: String,
    pub(crate) participant: ParticipantId,
    pub(crate) seat: Seat,
    /// Names the ICE session (RFC 9725 §4.3.1). Held while a PATCH is carried out, so that overlapping ones are
    /// compared with what the one before has left.
    pub(crate) entity_tag: tokio::sync::Mutex<String>,
}

impl Sessions {
    pub(crate) fn insert(&self, id: String, session: Arc<Session>) {
        self.lock().insert(id, session);
    }

    /// The session of that id, if its URL is the one that was asked for.
    pub(crate) fn get(&self, id: &str, location: &str) -> Option<Arc<Session>> {
        self.lock()
            .get(id)
            .filter(|session| session.location == location)
            .cloned()
    }

    pub(crate) fn remove(&self, id: &str) -> Option<Arc<Session>> {
        self.lock().remove(id)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Session>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A strong entity tag (RFC 9110 §8.8.3).
pub(crate) fn new_entity_tag() -> String {
    format!("\"{}\"", unguessable())
}

/// How an If-Match header compares with an entity tag (RFC 9110 §13.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IfMatch {
    Matches,
    Differs,
}

impl IfMatch {
    /// The comparison is the strong one, so a weak tag never matches. The WHIP draft writes the asterisk of a restart
    /// in quotes in its example; both forms are taken.
    pub(crate) fn compare(header: &str, entity_tag: &str) -> Self {
        let matches = |tag: &str| tag == "*" || tag == "\"*\"" || tag == entity_tag;
        if header.split(',').map(str::trim).any(matches) {
            Self::Matches
        } else {
            Self::Differs
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_match_follows_rfc_9110() {
        for (header, expected) in [
            ("\"a\"", IfMatch::Matches),
            ("*", IfMatch::Matches),
            ("\"*\"", IfMatch::Matches),
            ("\"x\", \"a\"", IfMatch::Matches),
            ("\"b\"", IfMatch::Differs),
            ("W/\"a\"", IfMatch::Differs),
            ("a", IfMatch::Differs),
            ("", IfMatch::Differs),
        ] {
            assert_eq!(IfMatch::compare(header, "\"a\""), expected, "{header}");
        }
    }
}
