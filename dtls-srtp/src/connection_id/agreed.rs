#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use std::collections::VecDeque;

use rand::rngs::StdRng;
use wire::Writer;

use super::{ConnectionId, ConnectionIds};
use crate::registry::HandshakeType;
use crate::v13::{NewConnectionId, RequestConnectionId};

/// What the two ends have agreed about connection IDs, and what is still to be said about them (RFC 9147 §9). The one that we
/// send with is with the [`Records`](crate::records::Records).
#[derive(Debug, Default)]
pub(crate) struct AgreedIds {
    agreement: Agreement,
    /// Those that the peer's records may carry, the oldest first; none when the peer is to send without. As long as the
    /// agreement is open, the one that we have offered.
    ours: VecDeque<ConnectionId>,
    /// Where the one stands that the newest record had.
    in_use: usize,
    /// Others that the peer takes, in its order.
    spares: VecDeque<ConnectionId>,
    /// How many the peer has asked for.
    owed: Option<u8>,
    /// Whether the peer is to change at once to an id that we make.
    renewing: bool,
    /// How many we want to ask for.
    wanted: Option<u8>,
    /// Whether the peer has not answered what we asked for.
    asked: bool,
    /// Whether a message about this is on its way, and not acknowledged.
    saying: bool,
    /// Whether the embedder is to be told that our ids are others now.
    changed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Agreement {
    /// The hellos have not settled it.
    #[default]
    Open,
    No,
    Yes,
}

impl AgreedIds {
    /// How many of our ids a connection has at most.
    pub(crate) const MAX_OURS: usize = 8;

    /// How many it has by spare ones: the last place is for one that the peer has to use at once, so that this takes none
    /// away that the peer may have begun to use.
    pub(crate) const MAX_WITH_SPARES: usize = 7;

    /// How many spare ids of the peer's are kept; more are forgotten (RFC 9147 §9).
    pub(crate) const MAX_SPARES: usize = 8;

    /// We would like to receive this one.
    pub(super) fn offer(&mut self, id: ConnectionId) {
        self.ours.clear();
        if !id.is_empty() {
            self.ours.push_back(id);
        }
    }

    /// The hellos have settled whether records may carry ids.
    pub(super) fn settle(&mut self, agreed: bool) {
        if agreed {
            self.agreement = Agreement::Yes;
            self.changed = !self.ours.is_empty();
        } else {
            self.agreement = Agreement::No;
            self.ours.clear();
        }
    }

    /// What we offer or answer: an empty one when we want none.
    pub(super) fn own(&self) -> ConnectionId {
        self.ours.front().cloned().unwrap_or_default()
    }

    /// Our ids, once they are agreed on.
    pub(super) fn ours(&self) -> impl Iterator<Item = &ConnectionId> {
        self.ours.iter().filter(|_| self.agreement == Agreement::Yes)
    }

    /// The length of the ids in the peer's records; 0 when it has none.
    pub(crate) fn own_len(&self) -> usize {
        self.ours.front().map_or(0, ConnectionId::len)
    }

    /// Whether a protected record with this id, or with an empty one for none, is none of this connection (RFC 9146 §3).
    /// Before the hellos have settled it nobody knows.
    pub(crate) fn refuses(&self, id: &[u8]) -> bool {
        match self.agreement {
            Agreement::Open => false,
            _ if self.ours.is_empty() => !id.is_empty(),
            _ => !self.ours.iter().any(|ours| ours.as_bytes() == id),
        }
    }

    /// The newest record had this one.
    pub(crate) fn used(&mut self, id: &[u8]) {
        if let Some(at) = self.ours.iter().position(|ours| ours.as_bytes() == id) {
            self.in_use = at;
        }
    }

    /// Whether our ids have changed; says so once.
    pub(crate) const fn take_changed(&mut self) -> bool {
        std::mem::replace(&mut self.changed, false)
    }

    /// Nothing of this matters any more.
    pub(crate) fn clear(&mut self) {
        *self = Self {
            agreement: Agreement::No,
            ..Self::default()
        };
    }

    // Messages

    /// Whether the peer may ask for ids: not when it sends without (RFC 9147 §9).
    pub(crate) fn may_be_requested(&self) -> bool {
        self.agreement == Agreement::Yes && !self.ours.is_empty()
    }

    /// The peer asks for so many ids.
    pub(crate) fn owe(&mut self, count: u8) {
        self.owed = Some(self.owed.unwrap_or(0).saturating_add(count));
    }

    /// The peer shall change to another id.
    pub(super) const fn renew(&mut self) {
        self.renewing = true;
    }

    /// We want so many ids.
    pub(super) const fn want(&mut self, count: u8) {
        self.wanted = Some(count);
    }

    /// Takes ids of the peer's; `current` is the one that we send with. Returns the one that we have to send with from here
    /// on, if that changes; `Err` when it is to change and there is none.
    pub(crate) fn take_new(
        &mut self,
        message: &NewConnectionId<'_>,
        current: &ConnectionId,
    ) -> Result<Option<ConnectionId>, ()> {
        // Without an id nobody would know where we belong, so an empty one is of no use.
        let mut ids = message.iter().filter(|id| !id.is_empty());
        if !message.immediate {
            self.asked = false;
            self.keep_spares(ids, current);
            return Ok(None);
        }
        let next = ids.next().and_then(ConnectionId::new).ok_or(())?;
        self.spares.clear();
        self.keep_spares(ids, &next);
        Ok(Some(next))
    }

    fn keep_spares<'a>(&mut self, ids: impl Iterator<Item = &'a [u8]>, current: &ConnectionId) {
        for id in ids.filter_map(ConnectionId::new) {
            if self.spares.len() >= Self::MAX_SPARES {
                break;
            }
            if id != *current && !self.spares.contains(&id) {
                self.spares.push_back(id);
            }
        }
    }

    /// Another id to send with, in the peer's order.
    pub(super) fn next_spare(&mut self) -> Option<ConnectionId> {
        self.spares.pop_front()
    }

    /// Whether a message of ours is not acknowledged.
    pub(crate) const fn is_saying(&self) -> bool {
        self.saying
    }

    /// It is.
    pub(crate) const fn said(&mut self) {
        self.saying = false;
    }

    /// The next message that waits. Nothing of ours is on its way.
    pub(crate) fn next_message(
        &mut self,
        config: Option<&ConnectionIds>,
        rng: &mut StdRng,
    ) -> Option<(HandshakeType, Vec<u8>)> {
        let message = self.next_new(config, rng).or_else(|| {
            let count = self.wanted.take_if(|_| !self.asked)?;
            self.asked = true;
            let body = written(|w| RequestConnectionId { count }.write(w))?;
            Some((HandshakeType::REQUEST_CONNECTION_ID, body))
        });
        self.saying = message.is_some();
        message
    }

    fn next_new(&mut self, config: Option<&ConnectionIds>, rng: &mut StdRng) -> Option<(HandshakeType, Vec<u8>)> {
        let config = config?;
        if std::mem::take(&mut self.renewing) {
            let fresh = self.give(config, rng, 1, Self::MAX_OURS);
            // Else there is no other id.
            if !fresh.is_empty() {
                return new_ids(&fresh, true);
            }
        }
        let count = usize::from(self.owed.take()?);
        let fresh = self.give(config, rng, count, Self::MAX_WITH_SPARES);
        new_ids(&fresh, false)
    }

    /// Makes up to so many ids, which the peer may use from here on, as far as no more than `most` are ours then.
    fn give(&mut self, config: &ConnectionIds, rng: &mut StdRng, count: usize, most: usize) -> Vec<ConnectionId> {
        let mut fresh = self.draw(config, rng, count.min(most));
        // What came before the one in use and the one before that is of no use any more.
        while self.ours.len().saturating_add(fresh.len()) > most && self.in_use > 1 {
            self.ours.pop_front();
            self.in_use = self.in_use.saturating_sub(1);
            self.changed = true;
        }
        fresh.truncate(most.saturating_sub(self.ours.len()));
        self.ours.extend(fresh.iter().cloned());
        self.changed |= !fresh.is_empty();
        fresh
    }

    /// Up to so many ids, none of which is there already.
    fn draw(&self, config: &ConnectionIds, rng: &mut StdRng, count: usize) -> Vec<ConnectionId> {
        let mut fresh = Vec::new();
        for _ in 0..count {
            let id = config.make(rng);
            if !self.ours.contains(&id) && !fresh.contains(&id) {
                fresh.push(id);
            }
        }
        fresh
    }
}

fn new_ids(ids: &[ConnectionId], immediate: bool) -> Option<(HandshakeType, Vec<u8>)> {
    let body = written(|w| NewConnectionId::write_ids(w, ids.iter().map(ConnectionId::as_bytes), immediate))?;
    Some((HandshakeType::NEW_CONNECTION_ID, body))
}

/// What `write` puts down: [`AgreedIds::MAX_OURS`] ids fit.
fn written(write: impl FnOnce(&mut Writer<'_>) -> Result<(), wire::Full>) -> Option<Vec<u8>> {
    let mut out = [0; 256];
    let mut w = Writer::new(&mut out);
    write(&mut w).ok()?;
    Some(w.into_written().to_vec())
}
