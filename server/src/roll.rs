use std::collections::HashMap;

use tokio::sync::mpsc::error::TrySendError;

use crate::engine::{Other, ParticipantId, Reason};
use crate::protocol::ServerMessage;
use crate::worker::Outbox;

/// Who is there, as far as a worker has to know beside its engine: where messages for each participant go, and what
/// signalling keeps of it that is no matter of media.
#[derive(Debug, Default)]
pub(crate) struct Roll(HashMap<ParticipantId, Entry>);

#[derive(Debug)]
struct Entry {
    outbox: Outbox,
    /// Whether its hand is up.
    hand: bool,
}

impl Roll {
    /// Somebody has come.
    pub(crate) fn add(&mut self, participant: ParticipantId, outbox: Outbox) {
        self.0.insert(participant, Entry { outbox, hand: false });
    }

    /// Somebody has gone.
    pub(crate) fn remove(&mut self, participant: ParticipantId) {
        self.0.remove(&participant);
    }

    /// Hands a message to a participant, if it is there. After a goodbye it is not.
    ///
    /// # Errors
    /// The messages are not read, or not fast enough: the participant is taken off the roll, so that their reader's end
    /// tells it that there will be no more, and has to be let go for this reason.
    pub(crate) fn tell(&mut self, participant: ParticipantId, message: ServerMessage) -> Result<(), Reason> {
        let Some(entry) = self.0.get(&participant) else {
            return Ok(());
        };
        let gone = matches!(message, ServerMessage::Bye { .. });
        let told = entry.outbox.put(message).map_err(|error| match error {
            TrySendError::Full(_) => Reason::SlowReader,
            TrySendError::Closed(_) => Reason::Closed,
        });
        if gone || told.is_err() {
            self.remove(participant);
        }
        // Who is gone need not be let go.
        if gone { Ok(()) } else { told }
    }

    /// Somebody raises its hand or takes it down. Whether that is news.
    pub(crate) fn set_hand(&mut self, participant: ParticipantId, raised: bool) -> bool {
        let entry = self.0.get_mut(&participant);
        entry.is_some_and(|entry| std::mem::replace(&mut entry.hand, raised) != raised)
    }

    /// Says of others whose hand is up.
    pub(crate) fn with_hands(&self, mut others: Vec<Other>) -> Vec<Other> {
        for other in &mut others {
            other.hand = self.0.get(&other.participant).is_some_and(|entry| entry.hand);
        }
        others
    }

    /// Says goodbye to everybody.
    pub(crate) fn close(&mut self) {
        for (_, entry) in self.0.drain() {
            // Who is that far behind sees the connection close.
            drop(entry.outbox.put(ServerMessage::bye(Reason::Shutdown)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pong() -> ServerMessage {
        ServerMessage::Pong {}
    }

    #[test]
    fn who_does_not_read_is_taken_off() {
        let (ada, bob, cid) = (ParticipantId(1), ParticipantId(2), ParticipantId(3));
        let mut roll = Roll::default();
        let (outbox, mut slow) = Outbox::new(1);
        roll.add(ada, outbox);
        let (outbox, gone) = Outbox::new(1);
        roll.add(bob, outbox);
        let (outbox, mut good) = Outbox::new(1);
        roll.add(cid, outbox);
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
    fn a_hand_is_up_until_it_is_down() {
        let (ada, bob) = (ParticipantId(1), ParticipantId(2));
        let mut roll = Roll::default();
        assert!(!roll.set_hand(ada, true), "nobody is there");
        let (outbox, _messages) = Outbox::new(1);
        roll.add(ada, outbox);
        let hands = |roll: &Roll| {
            let other = |participant| Other {
                participant,
                name: "somebody".into(),
                sources: Vec::new(),
                hand: false,
            };
            let others = roll.with_hands(vec![other(ada), other(bob)]);
            [others[0].hand, others[1].hand]
        };
        assert_eq!(hands(&roll), [false, false]);
        assert!(roll.set_hand(ada, true) && !roll.set_hand(ada, true));
        assert_eq!(hands(&roll), [true, false]);
        assert!(roll.set_hand(ada, false) && !roll.set_hand(ada, false));
        assert!(roll.set_hand(ada, true));
        roll.remove(ada);
        assert_eq!(hands(&roll), [false, false]);
    }
}
