#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use std::collections::VecDeque;

use super::ConnectionId;

/// What the two ends have agreed about connection IDs. The one that we send with is with the
/// [`Records`](crate::records::Records).
#[derive(Debug, Default)]
pub(crate) struct AgreedIds {
    agreement: Agreement,
    /// Those that the peer's records may carry, the oldest first; none when the peer is to send without. As long as the
    /// agreement is open, the one that we have offered.
    ours: VecDeque<ConnectionId>,
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
}
