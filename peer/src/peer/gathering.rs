use std::net::SocketAddr;
use std::time::Instant;

use turn::client::CloseReason;
use wire::Protocol;

use super::{MAX_EVENTS, Peer, signalling};
use crate::relaying::Relaying;
use crate::{Event, State};

/// Our own addresses, each a candidate and a base from which servers are asked.
impl Peer {
    /// Adds an address under which the peer reaches us, the preferred one of its family first; in full mode at any
    /// time. Servers over UDP ([`Config::ice_servers`](crate::Config::ice_servers)) are asked from it; with
    /// [`IceTransportPolicy::Relay`](crate::IceTransportPolicy::Relay) it is of no other use.
    pub fn add_local_candidate(&mut self, address: SocketAddr) {
        self.add_interface_candidate(address, Self::MOST_PREFERRED);
    }

    /// How much the interfaces of [`add_local_candidate`](Self::add_local_candidate) are preferred, which is most.
    pub const MOST_PREFERRED: u8 = 15;

    /// As [`add_local_candidate`](Self::add_local_candidate), for an address of an interface that is so much preferred,
    /// 0 to [`MOST_PREFERRED`](Self::MOST_PREFERRED): more for a cable than for a mobile network. It counts before the
    /// family and the order in which addresses come; where both ends signal `renomination` media moves to a better one
    /// that comes in mid-call. What is relayed from there is as good as what is relayed from elsewhere, and an address
    /// that is known keeps its preference.
    pub fn add_interface_candidate(&mut self, address: SocketAddr, preference: u8) {
        let known = |candidate: &ice::Candidate| (candidate.address, candidate.protocol) == (address, Protocol::Udp);
        let is_base = self
            .relaying
            .as_mut()
            .is_some_and(|relaying| !relaying.add_base(address));
        if is_base || self.ice.local_candidates().iter().any(known) {
            return;
        }
        self.gathering_told = false;
        if self.is_relay_only() {
            return;
        }
        self.conceal(address.ip());
        let preference = self.draw_preference(address, preference);
        self.ice
            .add_local_candidate(ice::Candidate::host(address, Protocol::Udp, preference));
        self.follow_agent();
    }

    /// Each address has its own local preference (RFC 8445 §5.1.2.1), lower than those before it on interfaces like its
    /// own: one that is gone may still be known to the peer. The upper four bits are the interface's; of the others
    /// there are 2048 for each family.
    fn draw_preference(&mut self, address: SocketAddr, interface: u8) -> u16 {
        const WITHIN: u16 = u16::MAX >> 4;
        let full = self.config.ice.mode == ice::Mode::Full;
        let interface = interface.min(Self::MOST_PREFERRED);
        let Some([ipv4, ipv6]) = self.added.get_mut(usize::from(interface)) else {
            return 0;
        };
        let (taken, most, step) = match (full, address.is_ipv4()) {
            // RFC 8421 §4: the families by turns, IPv6 first, whichever comes first.
            (true, true) => (ipv4, WITHIN - 1, 2),
            (true, false) => (ipv6, WITHIN, 2),
            (false, _) => (ipv4, WITHIN, 1),
        };
        let within = most.saturating_sub(taken.saturating_mul(step));
        *taken = taken.saturating_add(1);
        u16::from(interface) << 12 | within
    }

    /// Takes back an address: its interface is gone, with its candidates, mappings and allocations. What was allocated
    /// from it cannot be given back, and ends by itself. Media moves to another pair; [`Event::NeedsRestart`] comes if
    /// there is none that works or may be found to. An address of another interface may be added before or after.
    pub fn remove_local_candidate(&mut self, now: Instant, address: SocketAddr) {
        if self.state == State::Closed {
            return;
        }
        if let Some(mut relaying) = self.relaying.take() {
            for id in relaying.remove_base(address) {
                self.lose_relay(now, &mut relaying, id, CloseReason::Disconnected);
            }
            self.relaying = Some(relaying);
        }
        for protocol in [Protocol::Udp, Protocol::Tcp] {
            self.ice.remove_local_candidate(now, address, protocol);
        }
        self.update(now);
    }

    /// Adds an address at which a TCP connection of the peer's is accepted (RFC 6544): a passive candidate, of lower
    /// priority than those of UDP. As [`add_local_candidate`](Self::add_local_candidate) otherwise.
    pub fn add_tcp_candidate(&mut self, address: SocketAddr) {
        if self.is_relay_only() {
            return;
        }
        self.conceal(address.ip());
        let preference = self.next_tcp_preference();
        self.ice
            .add_local_candidate(ice::Candidate::host(address, Protocol::Tcp, preference));
    }
}

/// Gathering, which is done anew when ICE restarts (RFC 8445 §9).
impl Peer {
    /// ICE restarts, here or at the peer. Allocations that live are kept.
    pub(super) fn gather_again(&mut self, now: Instant) {
        self.gathering_told = false;
        if let Some(mut relaying) = self.relaying.take() {
            relaying.prove();
            self.ask_again(now, &mut relaying);
            self.relaying = Some(relaying);
        }
    }

    /// Asks for the relays that there are none of.
    pub(super) fn ask_again(&mut self, now: Instant, relaying: &mut Relaying) {
        let room = MAX_EVENTS.saturating_sub(self.events.len());
        let (dropped, streams) = relaying.ask_again(now, room);
        self.counters.relays_dropped += dropped;
        for stream in streams {
            self.push_event(Event::OpenRelayStream(stream));
        }
    }

    /// Whether a candidate of ours is to be told: a relayed one only if its relay lives.
    pub(super) fn may_tell(&self, candidate: &ice::Candidate) -> bool {
        let relayed = candidate.kind == ice::CandidateKind::Relayed;
        let relaying = self.relaying.as_ref().filter(|_| relayed);
        relaying.is_none_or(|relaying| !relaying.is_unproven(&candidate.address))
    }

    /// Tells the candidates with these addresses in the session of now.
    pub(super) fn tell_again(&mut self, relayed: [Option<SocketAddr>; 2]) {
        let ours = self.ice.local_candidates().iter();
        let told: Vec<Event> = ours
            .filter(|candidate| candidate.kind == ice::CandidateKind::Relayed)
            .filter(|candidate| relayed.contains(&Some(candidate.address)))
            .filter_map(|candidate| self.candidate_event(candidate))
            .collect();
        told.into_iter().for_each(|event| self.push_event(event));
    }

    /// `None` when it is not to be told.
    pub(super) fn candidate_event(&self, candidate: &ice::Candidate) -> Option<Event> {
        let ufrag = &self.ice.local_credentials().ufrag;
        let written = signalling::written(candidate, self.names.as_deref())?;
        Some(Event::Candidate(format!("candidate:{written} ufrag {ufrag}")))
    }

    /// Whether the STUN and TURN servers have said what they have to say.
    pub(super) fn is_gathered(&self) -> bool {
        let relaying = self.relaying.as_ref();
        self.ice.gathering_state() == ice::GatheringState::Complete
            && relaying.is_none_or(|relaying| relaying.is_settled())
    }

    pub(super) fn tell_gathered(&mut self) {
        if !self.gathering_told && self.is_gathered() {
            self.gathering_told = true;
            self.push_event(Event::GatheringComplete);
        }
    }
}
