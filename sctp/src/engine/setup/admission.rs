//! Which packets belong to the association (RFC 9260 §8.4, §8.5).

use super::{Setup, State};
use crate::Counters;
use crate::cause::Cause;
use crate::chunk::{Abort, Chunk};
use crate::packet::{Packet, RawChunk};
use crate::registry::{CauseCode, ChunkType};

impl Setup {
    /// Whether the chunks of a packet, whose checksum the caller has checked, are to be processed. If not, that is counted,
    /// and what has to be answered waits in [`poll_alone`](Self::poll_alone).
    pub(crate) fn admit(&mut self, packet: &Packet<'_>, counters: &mut Counters) -> bool {
        let header = packet.header();
        if header.source_port != self.config.destination_port || header.destination_port != self.config.source_port {
            count(&mut counters.sctp_wrong_ports);
            return false;
        }
        self.packet_tag = header.verification_tag;
        if self.packet_tag == 0 {
            // RFC 9260 §8.5.1 A.
            let mut chunks = packet.chunks();
            let first = chunks.next().and_then(Result::ok);
            let is_init = first.is_some_and(|raw| raw.chunk_type() == ChunkType::INIT) && chunks.next().is_none();
            if !is_init {
                count(&mut counters.sctp_wrong_tag);
            }
            return is_init;
        }
        if matches!(self.state, State::Closed | State::Ended) {
            return self.admit_out_of_the_blue(packet, counters);
        }
        if self.packet_tag != self.local.tag {
            return self.admit_exception(packet, counters);
        }
        if self.state == State::ShutdownSent
            && let Some(timer) = &mut self.timer
        {
            // RFC 9260 §9.2: whoever is heard is not unreachable. T2 itself begins afresh with data only: else a peer that
            // repeats something as seldom as we do SHUTDOWN would keep us from it for ever.
            timer.expired = 0;
        }
        true
    }

    /// RFC 9260 §8.5.1: the tag is not ours.
    fn admit_exception(&mut self, packet: &Packet<'_>, counters: &mut Counters) -> bool {
        let first = packet.chunks().next().and_then(Result::ok);
        let admitted = match first.map(Chunk::of) {
            // The cookie says which tag is right (RFC 9260 §5.1.5).
            Some(Ok(Chunk::CookieEcho(_))) => true,
            // Only what comes first, so that nothing else passes in its company.
            Some(Ok(Chunk::Abort(Abort { reflected: true, .. }) | Chunk::ShutdownComplete { reflected: true })) => {
                self.is_peers_tag()
            }
            _ => false,
        };
        if admitted {
            return true;
        }
        if matches!(self.state, State::CookieWait | State::CookieEchoed) && contains(packet, ChunkType::SHUTDOWN_ACK) {
            // RFC 9260 §8.5.1 E.
            count(&mut counters.sctp_out_of_the_blue);
            self.complete_foreign_shutdown(counters);
        } else {
            count(&mut counters.sctp_wrong_tag);
        }
        false
    }

    /// RFC 9260 §8.4: there is no association. INIT, whose tag is 0, does not come here.
    fn admit_out_of_the_blue(&mut self, packet: &Packet<'_>, counters: &mut Counters) -> bool {
        if packet.chunks().any(|raw| raw.is_err()) {
            count(&mut counters.sctp_malformed);
            return false;
        }
        let first = packet.chunks().flatten().next().map(|raw| raw.chunk_type());
        if contains(packet, ChunkType::ABORT) {
            // Rule 2.
        } else if first == Some(ChunkType::COOKIE_ECHO) && self.state == State::Closed {
            // Rule 4.
            return true;
        } else if contains(packet, ChunkType::SHUTDOWN_ACK) {
            // Rule 5.
            self.complete_foreign_shutdown(counters);
        } else if contains(packet, ChunkType::SHUTDOWN_COMPLETE)
            || contains(packet, ChunkType::COOKIE_ACK)
            || packet.chunks().flatten().any(is_stale_cookie)
        {
            // Rules 6 and 7.
        } else {
            // Rule 8.
            let abort = Chunk::Abort(Abort {
                reflected: true,
                ..Abort::default()
            });
            self.answer(self.packet_tag, &abort, counters);
        }
        count(&mut counters.sctp_out_of_the_blue);
        false
    }

    /// Answers a SHUTDOWN ACK of an association that we do not know.
    pub(super) fn complete_foreign_shutdown(&mut self, counters: &mut Counters) {
        self.answer(self.packet_tag, &Chunk::ShutdownComplete { reflected: true }, counters);
    }

    /// Whether the packet at hand has the tag that its T bit asks for (RFC 9260 §8.5.1 B, C).
    pub(super) fn tag_is_right(&self, reflected: bool) -> bool {
        if reflected {
            self.is_peers_tag()
        } else {
            self.packet_tag == self.local.tag
        }
    }

    fn is_peers_tag(&self) -> bool {
        self.peer.is_some_and(|peer| peer.tag == self.packet_tag)
    }
}

fn contains(packet: &Packet<'_>, chunk_type: ChunkType) -> bool {
    packet.chunks().flatten().any(|raw| raw.chunk_type() == chunk_type)
}

fn is_stale_cookie(raw: RawChunk<'_>) -> bool {
    matches!(Chunk::of(raw), Ok(Chunk::Error(causes)) if causes.iter().flatten().any(|cause: Cause<'_>| cause.code() == CauseCode::STALE_COOKIE))
}

/// Counts one more.
pub(super) fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}
