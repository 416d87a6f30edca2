//! Messages that may be given up (RFC 3758, RFC 7496).

use std::time::Instant;
use std::vec::Vec;

/// How long a message is worth being sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// For ever.
    None,
    /// Each of its chunks is sent again this often at most (RFC 7496 §4.2).
    Retransmissions(u32),
    /// Until then (RFC 7496 §4.1).
    Until(Instant),
}

impl Limit {
    /// Whether a chunk that was sent so often is not to be sent again.
    fn is_reached(self, now: Instant, sends: u16) -> bool {
        match self {
            Self::None => false,
            Self::Retransmissions(most) => u32::from(sends) > most,
            Self::Until(end) => now >= end,
        }
    }

    /// Whether a message that was not sent at all is not to be sent.
    pub(crate) fn is_over(self, now: Instant) -> bool {
        matches!(self, Self::Until(end) if now >= end)
    }
}

/// The group of chunks that are never given up.
pub(super) const RELIABLE: u32 = u32::MAX;

/// Messages with a limit of which a chunk was sent, by number.
#[derive(Debug, Default)]
pub(super) struct Groups {
    all: Vec<Group>,
    free: Vec<u32>,
    /// Given up, and nobody has dealt with that yet.
    given_up: Vec<(u32, u16)>,
}

#[derive(Debug)]
struct Group {
    limit: Limit,
    stream: u16,
    is_given_up: bool,
    /// Chunks that are outstanding, and one more while the message has an unsent rest.
    users: u32,
}

impl Groups {
    /// For a message whose first chunk is about to be sent.
    pub(super) fn begin(&mut self, stream: u16, limit: Limit) -> u32 {
        let group = Group {
            limit,
            stream,
            is_given_up: false,
            users: 1,
        };
        if let Some(index) = self.free.pop()
            && let Some(place) = self.get_mut(index)
        {
            *place = group;
            return index;
        }
        let index = u32::try_from(self.all.len()).unwrap_or(RELIABLE);
        self.all.push(group);
        index
    }

    pub(super) fn enter(&mut self, index: u32) {
        if let Some(group) = self.get_mut(index) {
            group.users = group.users.saturating_add(1);
        }
    }

    pub(super) fn leave(&mut self, index: u32) {
        let Some(group) = self.get_mut(index) else { return };
        group.users = group.users.saturating_sub(1);
        if group.users == 0 {
            self.free.push(index);
        }
    }

    pub(super) fn is_given_up(&self, index: u32) -> bool {
        self.get(index).is_some_and(|group| group.is_given_up)
    }

    /// Whether the chunk, which was sent so often, is given up now or was before.
    pub(super) fn gives_up(&mut self, index: u32, now: Instant, sends: u16) -> bool {
        let Some(group) = self.get_mut(index) else { return false };
        if !group.is_given_up && group.limit.is_reached(now, sends) {
            group.is_given_up = true;
            let stream = group.stream;
            self.given_up.push((index, stream));
            return true;
        }
        group.is_given_up
    }

    /// A message whose unsent rest came too late.
    pub(super) fn give_up(&mut self, index: u32) {
        let Some(group) = self.get_mut(index) else { return };
        if !group.is_given_up {
            group.is_given_up = true;
            let stream = group.stream;
            self.given_up.push((index, stream));
        }
    }

    /// Gives up the rest of a message, which may have been one without a limit; the number of its group.
    pub(super) fn cut(&mut self, index: u32, stream: u16) -> u32 {
        let index = if index == RELIABLE {
            self.begin(stream, Limit::None)
        } else {
            index
        };
        if let Some(group) = self.get_mut(index) {
            group.is_given_up = true;
        }
        index
    }

    /// Whether there was never a message that could be given up.
    pub(super) const fn is_unused(&self) -> bool {
        self.all.is_empty()
    }

    /// The next one that nobody has dealt with, and its stream.
    pub(super) fn take_given_up(&mut self) -> Option<(u32, u16)> {
        self.given_up.pop()
    }

    fn get(&self, index: u32) -> Option<&Group> {
        self.all.get(usize::try_from(index).ok()?)
    }

    fn get_mut(&mut self, index: u32) -> Option<&mut Group> {
        self.all.get_mut(usize::try_from(index).ok()?)
    }
}
