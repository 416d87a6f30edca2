use std::net::SocketAddr;
use std::time::Instant;

use wire::{Path, Seed, Transmit};

use super::{Peer, random};
use crate::names::{Names, RemoteCandidate};
use crate::{Config, IceTransportPolicy, State};

/// Names of mDNS ([`Config::mdns`], in full mode).
impl Peer {
    /// Takes a datagram that came to one of the sockets of mDNS; `path.local` is the socket's address or the group,
    /// `path.remote` who sent it. Several peers of a machine share the sockets: each is given everything.
    pub fn handle_mdns(&mut self, now: Instant, path: &Path, datagram: &[u8]) {
        if self.state == State::Closed {
            return;
        }
        if let Some(names) = &mut self.names {
            names.handle_datagram(now, path, datagram);
            self.update(now);
        }
    }

    /// The next datagram to send from a socket of mDNS: to the group of its family (224.0.0.251 or ff02::fb, port 5353), with
    /// TTL 255, or to somebody who asked. Call until it gives `None`, beside [`poll_transmit`](Self::poll_transmit), which may
    /// come first or last. `out` has at least [`ice::mdns::MIN_OUT`] bytes.
    pub fn poll_mdns_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<Transmit> {
        debug_assert!(out.len() >= ice::mdns::MIN_OUT, "out has at least MIN_OUT bytes");
        if out.len() < ice::mdns::MIN_OUT {
            return None;
        }
        self.names.as_mut()?.poll_transmit(now, out)
    }

    /// Gives a host address its name before it is told.
    pub(super) fn conceal(&mut self, address: SocketAddr) {
        if let Some(names) = &mut self.names
            && !names.conceal(address.ip())
        {
            self.counters.names_overflow += 1;
        }
    }

    /// Takes a candidate of the present session of the peer's.
    pub(super) fn take_candidate(&mut self, now: Instant, remote: RemoteCandidate) {
        let Some(name) = remote.name else {
            return self.take_signalled(remote.candidate);
        };
        let most = self.config.ice.max_remote_candidates;
        let most = most.saturating_sub(self.ice.remote_candidates().len());
        let session = self.ice.remote_credentials();
        let Some(names) = &mut self.names else { return };
        self.counters.stale_candidates += names.follow_session(now, session) as u64;
        if !names.resolve(now, name, remote.candidate, most) {
            self.counters.names_overflow += 1;
        }
    }

    /// Takes a candidate with its address.
    fn take_signalled(&mut self, candidate: ice::Candidate) {
        let address = candidate.address;
        self.ice.add_remote_candidate(candidate);
        // Those that were too many are not remembered here either.
        let mut known = self.ice.remote_candidates().iter();
        if let Some(relaying) = &mut self.relaying
            && known.any(|known| known.address == address)
        {
            relaying.signalled(address.ip());
        }
    }

    /// Follows the names after an input.
    pub(super) fn follow_names(&mut self, now: Instant) {
        let Some(mut names) = self.names.take() else { return };
        let session = self.ice.remote_credentials().filter(|_| !self.restarting);
        self.counters.stale_candidates += names.follow_session(now, session) as u64;
        let hosts = self.ice.local_candidates().iter();
        let hosts = hosts.filter(|candidate| candidate.kind == ice::CandidateKind::Host);
        names.keep(|address| hosts.clone().any(|host| host.address.ip() == *address));
        while let Some((resolved, candidates)) = names.poll() {
            if resolved {
                // No TURN server learns of these: they were not signalled by address.
                for candidate in candidates {
                    self.ice.add_remote_candidate(candidate);
                }
            } else {
                self.counters.unresolved_names += candidates.len() as u64;
            }
        }
        self.names = Some(names);
    }
}

/// The names of a peer that has a link, and may speak there: a lite one needs none, and one that speaks to TURN servers alone
/// ignores them (draft, ICE Candidate Processing).
pub(super) fn names(config: &Config, rng: &mut rand::rngs::StdRng, now: Instant) -> Option<Box<Names>> {
    let speaks = config.ice.mode == ice::Mode::Full && config.ice_transport_policy == IceTransportPolicy::All;
    let mdns = config.mdns.as_ref().filter(|_| speaks)?;
    Some(Box::new(Names::new(mdns, Seed(random(rng)), now)))
}
