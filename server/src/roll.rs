use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::engine::{Join, Other, ParticipantId, Reason};
use crate::protocol::{ConnectionState, ServerMessage};
use crate::worker::Outbox;
use crate::{DisplayName, Secret};

/// Who is there, as far as a worker has to know beside its engine: where messages for each participant go, and what
/// signalling keeps of it that is no matter of media.
#[derive(Debug, Default)]
pub(crate) struct Roll {
    entries: HashMap<ParticipantId, Entry>,
    sessions: HashMap<Secret, ParticipantId>,
    /// How many have come.
    came: u64,
}

#[derive(Debug)]
struct Entry {
    outbox: Outbox,
    /// How many came before it.
    number: u64,
    /// Empty for who is in none.
    room: String,
    join: Join,
    session: Option<Secret>,
    /// By which it came back, as long as it may not know the session that it was given for it.
    former: Option<Secret>,
    /// How its media connection is, once there was one.
    media: Option<ConnectionState>,
}

/// Somebody in a room, for whoever runs the server.
#[derive(Debug, Serialize)]
pub(crate) struct Present {
    participant: ParticipantId,
    name: String,
    kind: &'static str,
    /// Whether media flows.
    connected: bool,
}

impl Roll {
    /// Somebody has come.
    pub(crate) fn add(
        &mut self,
        participant: ParticipantId,
        room: String,
        join: Join,
        session: Option<Secret>,
        outbox: Outbox,
    ) {
        if let Some(session) = session.clone() {
            self.sessions.insert(session, participant);
        }
        let entry = Entry {
            outbox,
            number: self.came,
            room,
            join,
            session,
            former: None,
            media: None,
        };
        self.came += 1;
        self.entries.insert(participant, entry);
    }

    /// Somebody has gone.
    pub(crate) fn remove(&mut self, participant: ParticipantId) {
        if let Some(entry) = self.entries.remove(&participant) {
            for session in entry.session.iter().chain(&entry.former) {
                self.sessions.remove(session);
            }
        }
    }

    /// Whether somebody is there with this session, or without one.
    pub(crate) fn is_here(&self, participant: ParticipantId, session: Option<&Secret>) -> bool {
        let entry = self.entries.get(&participant);
        entry.is_some_and(|entry| entry.session.as_ref() == session)
    }

    /// Who has this session in a room.
    pub(crate) fn find(&self, room: &str, session: &Secret) -> Option<(ParticipantId, DisplayName)> {
        let participant = *self.sessions.get(session)?;
        let entry = self.entries.get(&participant).filter(|entry| entry.room == room)?;
        Some((participant, entry.join.name.clone()))
    }

    /// Sends a participant's messages to another outbox from now on, and gives it another session instead of the one by
    /// which it came, which is good until that is `confirm`ed. Who reads the old outbox is told that it is the last
    /// message there.
    pub(crate) fn hand_over(&mut self, participant: ParticipantId, came_by: &Secret, session: Secret, outbox: Outbox) {
        let Some(entry) = self.entries.get_mut(&participant) else {
            return;
        };
        let old = std::mem::replace(&mut entry.outbox, outbox);
        // Who is that far behind sees the connection close.
        let _ = old.put(ServerMessage::bye(Reason::Replaced));
        let before = entry.session.replace(session.clone());
        let former = entry.former.replace(came_by.clone());
        for old in before.iter().chain(&former).filter(|old| *old != came_by) {
            self.sessions.remove(old);
        }
        self.sessions.insert(session, participant);
    }

    /// A participant knows this session, and needs no former one any more.
    pub(crate) fn confirm(&mut self, participant: ParticipantId, session: &Secret) {
        let entry = self.entries.get_mut(&participant);
        let entry = entry.filter(|entry| entry.session.as_ref() == Some(session));
        if let Some(former) = entry.and_then(|entry| entry.former.take()) {
            self.sessions.remove(&former);
        }
    }

    /// Hands a message to a participant, if it is there. After a goodbye it is not.
    ///
    /// # Errors
    /// The messages are not read, or not fast enough: the participant is taken off the roll, so that their reader's end
    /// tells it that there will be no more, and has to be let go for this reason.
    pub(crate) fn tell(&mut self, participant: ParticipantId, message: ServerMessage) -> Result<(), Reason> {
        let Some(entry) = self.entries.get_mut(&participant) else {
            return Ok(());
        };
        if let ServerMessage::Connection {
            participant: whose,
            state,
        } = &message
            && *whose == participant
        {
            entry.media = Some(*state);
        }
        let gone = matches!(message, ServerMessage::Bye { .. });
        let told = entry.outbox.put(message);
        if gone || told.is_err() {
            self.remove(participant);
        }
        // Who is gone need not be let go.
        if gone { Ok(()) } else { told }
    }

    /// Whether a participant's media flows.
    pub(crate) fn is_connected(&self, participant: ParticipantId) -> bool {
        let entry = self.entries.get(&participant);
        entry.is_some_and(|entry| entry.media == Some(ConnectionState::Connected))
    }

    /// What a participant has to be told of media connections besides who is there: how its own one is, and those of
    /// all others of whom it is known. Who comes back may know of somebody's last that it was gone.
    pub(crate) fn connections(&self, participant: ParticipantId, others: &[Other]) -> Vec<ServerMessage> {
        let state = |participant| self.entries.get(&participant).and_then(|entry| entry.media);
        let own = state(participant).map(|state| ServerMessage::Connection { participant, state });
        let others = others.iter().map(|other| other.participant);
        let others = others.filter_map(|participant| {
            let state = state(participant)?;
            Some(ServerMessage::Connection { participant, state })
        });
        own.into_iter().chain(others).collect()
    }

    /// Who is in a room.
    pub(crate) fn in_room(&self, room: &str) -> Vec<ParticipantId> {
        let entries = self.entries.iter().filter(|(_, entry)| entry.room == room);
        entries.map(|(participant, _)| *participant).collect()
    }

    /// All rooms and who is in them, in the order of joining.
    pub(crate) fn rooms(&self) -> BTreeMap<String, Vec<Present>> {
        let mut entries: Vec<_> = self
            .entries
            .iter()
            .filter(|(_, entry)| !entry.room.is_empty())
            .collect();
        entries.sort_by_key(|(_, entry)| entry.number);
        let mut rooms: BTreeMap<String, Vec<Present>> = BTreeMap::new();
        for (participant, entry) in entries {
            rooms.entry(entry.room.clone()).or_default().push(Present {
                participant: *participant,
                name: entry.join.name.as_str().into(),
                kind: entry.join.kind.word(),
                connected: entry.media == Some(ConnectionState::Connected),
            });
        }
        rooms
    }

    /// Says goodbye to everybody.
    pub(crate) fn close(&mut self) {
        for (_, entry) in self.entries.drain() {
            // Who is that far behind sees the connection close.
            let _ = entry.outbox.put(ServerMessage::bye(Reason::Shutdown));
        }
        self.sessions.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Kind;

    fn pong() -> ServerMessage {
        ServerMessage::Pong {}
    }

    fn add(roll: &mut Roll, participant: ParticipantId, outbox: Outbox) {
        let session = Secret::from(&*format!("session {participant}"));
        let join = Join {
            name: DisplayName::new("Ada").unwrap(),
            kind: Kind::Member,
        };
        roll.add(participant, "tea".into(), join, Some(session), outbox);
    }

    #[test]
    fn a_session_is_for_one_room_and_ends_with_its_participant() {
        let ada = ParticipantId(1);
        let mut roll = Roll::default();
        let (outbox, mut old) = Outbox::new(1);
        add(&mut roll, ada, outbox);
        let (first, second) = (Secret::from("session 1"), Secret::from("session 2"));
        let find = |roll: &Roll, room, session| roll.find(room, session).map(|(participant, _)| participant);
        assert_eq!(find(&roll, "tea", &first), Some(ada));
        assert_eq!(find(&roll, "coffee", &first), None);
        assert!(roll.is_here(ada, Some(&first)) && !roll.is_here(ada, None));

        let (outbox, mut messages) = Outbox::new(2);
        roll.hand_over(ada, &first, second.clone(), outbox);
        assert_eq!(old.try_recv(), Ok(ServerMessage::bye(Reason::Replaced)));
        assert_eq!(old.blocking_recv(), None);
        roll.confirm(ada, &second);
        assert_eq!(
            (find(&roll, "tea", &first), find(&roll, "tea", &second)),
            (None, Some(ada))
        );
        assert!(!roll.is_here(ada, Some(&first)) && roll.is_here(ada, Some(&second)));
        assert_eq!(roll.tell(ada, pong()), Ok(()));
        assert_eq!(messages.try_recv(), Ok(pong()));

        assert_eq!(roll.tell(ada, ServerMessage::bye(Reason::Silent)), Ok(()));
        assert_eq!(find(&roll, "tea", &second), None);
        assert!(roll.sessions.is_empty() && roll.entries.is_empty());
    }

    /// What tells it may be lost on the way, again and again.
    #[test]
    fn a_session_is_good_until_the_next_one_is_known() {
        let ada = ParticipantId(1);
        let mut roll = Roll::default();
        add(&mut roll, ada, Outbox::new(1).0);
        let sessions = ["session 1", "second", "third", "fourth"].map(Secret::from);
        let [first, second, third, fourth] = &sessions;
        let good = |roll: &Roll| sessions.each_ref().map(|session| roll.find("tea", session).is_some());
        roll.hand_over(ada, first, second.clone(), Outbox::new(1).0);
        assert_eq!(good(&roll), [true, true, false, false]);
        assert!(!roll.is_here(ada, Some(first)));
        roll.hand_over(ada, first, third.clone(), Outbox::new(1).0);
        assert_eq!(good(&roll), [true, false, true, false]);
        // The connection before says what it has to say late.
        roll.confirm(ada, second);
        assert_eq!(good(&roll), [true, false, true, false]);
        roll.hand_over(ada, third, fourth.clone(), Outbox::new(1).0);
        assert_eq!(good(&roll), [false, false, true, true]);
        roll.confirm(ada, fourth);
        roll.confirm(ada, fourth);
        assert_eq!(good(&roll), [false, false, false, true]);
        roll.hand_over(ada, fourth, first.clone(), Outbox::new(1).0);
        roll.remove(ada);
        assert!(roll.sessions.is_empty());
    }

    #[test]
    fn who_does_not_read_is_taken_off() {
        let (ada, bob, cid) = (ParticipantId(1), ParticipantId(2), ParticipantId(3));
        let mut roll = Roll::default();
        let (outbox, mut slow) = Outbox::new(1);
        add(&mut roll, ada, outbox);
        let (outbox, gone) = Outbox::new(1);
        add(&mut roll, bob, outbox);
        let (outbox, mut good) = Outbox::new(1);
        add(&mut roll, cid, outbox);
        drop(gone);
        assert_eq!(roll.tell(ada, pong()), Ok(()));
        assert_eq!(roll.tell(ada, pong()), Err(Reason::SlowReader));
        assert_eq!(roll.tell(bob, pong()), Err(Reason::Closed));
        assert_eq!(roll.tell(cid, ServerMessage::bye(Reason::Left)), Ok(()));
        for participant in [ada, bob, cid] {
            assert_eq!(roll.tell(participant, pong()), Ok(()), "nobody is there");
        }
        assert_eq!((slow.try_recv(), slow.blocking_recv()), (Ok(pong()), None));
        assert_eq!(good.try_recv(), Ok(ServerMessage::bye(Reason::Left)));
        assert_eq!(good.blocking_recv(), None);
    }

    #[test]
    fn who_comes_back_is_told_of_all_connections() {
        let (ada, bob, cid, dan) = (ParticipantId(1), ParticipantId(2), ParticipantId(3), ParticipantId(4));
        let mut roll = Roll::default();
        let mut boxes = Vec::new();
        for participant in [ada, bob, cid, dan] {
            let (outbox, messages) = Outbox::new(1);
            add(&mut roll, participant, outbox);
            boxes.push(messages);
        }
        let states = [
            (ada, ConnectionState::Connected),
            (bob, ConnectionState::Connected),
            (cid, ConnectionState::Disconnected),
        ];
        let told = states.map(|(participant, state)| ServerMessage::Connection { participant, state });
        for (participant, message) in [ada, bob, cid].into_iter().zip(told.clone()) {
            assert_eq!(roll.tell(participant, message), Ok(()));
        }
        let other = |participant| Other {
            participant,
            name: "somebody".into(),
            sources: Vec::new(),
        };
        assert_eq!(roll.connections(ada, &[bob, cid, dan].map(other)), told);
    }
}
