use std::net::SocketAddr;
use std::time::{Duration, Instant};

use stun::ErrorCode;
use turn::client::{CloseReason, State};
use turn::{Client, ClientId};

use super::{RelayStream, Relaying};

/// Whether an allocation is known to live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    Proven,
    /// Its refresh is under way.
    Asked,
    /// Its refresh has failed, and is tried again.
    Missing,
}

/// RFC 8656 §7.4: how long a server is left alone after 437, and after 486 and 508.
const AFTER_MISMATCH: Duration = Duration::from_secs(120);
const AFTER_QUOTA: Duration = Duration::from_secs(60);

/// Gathering is done anew when ICE restarts (RFC 8445 §9).
impl Relaying {
    /// Has it shown which allocations live: these are kept, and told again once that is known.
    pub(crate) fn prove(&mut self) {
        for held in &mut self.allocations {
            let client = self.relays.client(held.id);
            if client.is_some_and(|client| client.state() == State::Allocated) {
                held.proof = Proof::Asked;
                self.relays.command(held.id, Client::refresh);
            }
        }
    }

    /// Asks for the allocations that there are none of any more, or never were. Gives how many were too many, and the
    /// streams that are to be opened for them, at most `streams`.
    pub(crate) fn ask_again(&mut self, now: Instant, streams: usize) -> (u64, Vec<RelayStream>) {
        let mut dropped = 0;
        for nth in 0..self.begun {
            dropped += self.bases.get(nth).copied().map_or(0, |base| self.ask(now, base));
        }
        (dropped, self.reopen(now, streams))
    }

    /// What an allocation that lives has for candidates; to be told again.
    pub(crate) fn refreshed(&mut self, id: ClientId) -> [Option<SocketAddr>; 2] {
        let Some(held) = self.allocations.iter_mut().find(|held| held.id == id) else {
            return [None; 2];
        };
        held.proof = Proof::Proven;
        held.relayed
    }

    pub(crate) fn not_refreshed(&mut self, id: ClientId) {
        if let Some(held) = self.allocations.iter_mut().find(|held| held.id == id) {
            held.proof = Proof::Missing;
        }
    }

    /// Whether an address is relayed, and nothing has shown since the restart that it still is.
    pub(crate) fn is_unproven(&self, relayed: &SocketAddr) -> bool {
        let mut holders = self
            .allocations
            .iter()
            .filter(|held| held.relayed.contains(&Some(*relayed)))
            .peekable();
        holders.peek().is_some() && holders.all(|held| held.proof != Proof::Proven)
    }

    /// Whether a server may be asked for an allocation again.
    pub(super) fn may_ask(&self, now: Instant, server: usize) -> bool {
        let bars =
            |(barred, until): &(usize, Option<Instant>)| *barred == server && until.is_none_or(|until| now < until);
        !self.barred.iter().any(bars)
    }

    /// Remembers that a server has refused an allocation: before something has changed it would again (RFC 8656 §7.4).
    pub(super) fn bar(&mut self, now: Instant, server: usize, reason: CloseReason) {
        let until = match reason {
            CloseReason::Refused(ErrorCode::ALLOCATION_MISMATCH) => Some(now + AFTER_MISMATCH),
            CloseReason::Refused(ErrorCode::ALLOCATION_QUOTA_REACHED | ErrorCode::INSUFFICIENT_CAPACITY) => {
                Some(now + AFTER_QUOTA)
            }
            CloseReason::Refused(_) | CloseReason::NoCredentials | CloseReason::WrongCredentials => None,
            // The network was to blame, or an allocation has ended that there was.
            _ => return,
        };
        self.barred.retain(|(barred, _)| *barred != server);
        self.barred.push((server, until));
    }
}
