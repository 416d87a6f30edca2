use std::net::SocketAddr;
use std::time::Instant;

use super::{MAX_EVENTS, Peer, signalling};
use crate::Event;
use crate::relaying::Relaying;

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
