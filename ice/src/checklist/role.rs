#![deny(clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

use super::Checklist;
use super::pair::State;
use super::request::{Purpose, Request};
use crate::role::{Conflict, Role};
use rand::Rng;

impl Checklist {
    pub(crate) const fn role(&self) -> Role {
        self.role
    }

    pub(crate) const fn peer_is_lite(&self) -> bool {
        self.peer_is_lite
    }

    /// Against a lite peer we control, whatever it says (RFC 8445 §6.1.1).
    pub(crate) fn set_peer_lite(&mut self, lite: bool) {
        self.peer_is_lite = lite;
        if lite {
            self.set_role(Role::Controlling);
        }
    }

    /// Takes a role. Pair priorities depend on it (RFC 8445 §7.2.5.1), and only the controlling agent nominates.
    pub(crate) fn set_role(&mut self, role: Role) {
        if self.role == role {
            return;
        }
        self.role = role;
        self.sort();
        for request in self
            .requests
            .iter_mut()
            .filter(|request| request.purpose == Purpose::Nominate)
        {
            request.next = None;
        }
    }

    /// What follows from the role that a check of the peer's claims.
    pub(crate) fn conflict(&self, claimed: Option<(Role, u64)>) -> Conflict {
        if !self.peer_is_lite {
            return Conflict::resolve((self.role, self.tiebreaker), claimed);
        }
        match claimed {
            Some((Role::Controlling, _)) => Conflict::PeerSwitches,
            _ => Conflict::None,
        }
    }

    /// The peer answered 487 (RFC 8445 §7.2.5.1). If its own check has changed our role since, that was it.
    pub(super) fn yield_role(&mut self, request: &Request) {
        if request.role == self.role {
            self.set_role(self.role.other());
            self.tiebreaker = self.rng.next_u64();
        }
        let Some(pair) = self.pair_mut(request.pair) else {
            return;
        };
        if !pair.works() {
            pair.state = State::Waiting;
            if !self.triggered.contains(&request.pair) {
                self.triggered.push_back(request.pair);
            }
        }
    }
}
