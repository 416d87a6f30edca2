#![deny(clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

use super::Checklist;
use super::pair::{Connection, PairId, State};
use std::net::SocketAddr;
use wire::{Path, Protocol};

/// Connections for active TCP candidates (RFC 6544 §7.1).
impl Checklist {
    pub(super) fn open_connection(&mut self, id: PairId) {
        let Some(pair) = self.pair_mut(id) else { return };
        pair.connection = Connection::Opening;
        // The port is the system's choice.
        let local = SocketAddr::new(pair.base.ip(), 0);
        let path = Path { local, ..pair.path };
        self.connections.push_back(path);
    }

    /// A connection that the caller is to open, from the local address and any port.
    pub(crate) fn take_connection(&mut self) -> Option<Path> {
        self.connections.pop_front()
    }

    /// A connection is there: the check is next. `false` when nobody asked for it.
    pub(crate) fn connected(&mut self, path: &Path) -> bool {
        let asked = |pair: &&mut super::Pair| {
            pair.connection == Connection::Opening
                && pair.path.remote == path.remote
                && pair.base.ip() == path.local.ip()
                && path.protocol == Protocol::Tcp
        };
        let Some(pair) = self.pairs.iter_mut().find(asked) else {
            return false;
        };
        pair.connection = Connection::Ready;
        pair.path = *path;
        if pair.state == State::InProgress {
            pair.state = State::Waiting;
            let id = pair.id;
            self.triggered.push_front(id);
        }
        true
    }

    /// Whether a connection is of use: one that was asked for, with the local port 0, or one that is there.
    pub(crate) fn uses_connection(&self, path: &Path) -> bool {
        let asked = path.local.port() == 0;
        let on_it = |pair: &super::Pair| {
            let waits = asked && pair.connection == Connection::Opening && pair.base.ip() == path.local.ip();
            let same = (pair.path.remote, pair.path.protocol) == (path.remote, path.protocol);
            pair.state != State::Failed && same && (waits || pair.path.local == path.local)
        };
        self.pairs.iter().any(on_it) || self.previous_path() == Some(*path)
    }

    /// A connection is gone, or could not be opened: then the local port does not matter.
    pub(crate) fn closed(&mut self, path: &Path) {
        let on_it = |pair: &super::Pair| {
            let opening = pair.connection == Connection::Opening && pair.base.ip() == path.local.ip();
            path.protocol == Protocol::Tcp
                && pair.path.protocol == Protocol::Tcp
                && pair.path.remote == path.remote
                && (pair.path.local == path.local || opening)
        };
        for pair in self.pairs.iter_mut().filter(|pair| on_it(pair)) {
            pair.heard = None;
        }
        while let Some(pair) = self
            .pairs
            .iter_mut()
            .find(|pair| on_it(pair) && pair.state != State::Failed)
        {
            let (id, worked, tried) = (pair.id, pair.works(), pair.path);
            pair.fail();
            if worked {
                self.lost.push(tried);
            }
            self.drop_requests(id);
        }
        if self.previous_path() == Some(*path) {
            self.forget_previous();
            self.lost.push(*path);
        }
    }
}
