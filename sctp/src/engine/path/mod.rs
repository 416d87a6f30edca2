//! Whether the peer is there (RFC 9260 §8.1 to §8.3), and how large packets to it may be (RFC 8899).

mod search;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};
use std::vec::Vec;

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use wire::Seed;

use crate::chunk::Chunk;
use crate::close::CloseReason;
use crate::config::Config;
use crate::counters::Counters;
use crate::engine::sooner;
use crate::packet::RawChunk;
use crate::writer::PacketWriter;
use search::Search;

/// What a HEARTBEAT of ours is known by. It is all that we write into it: when it was sent is noted here (RFC 9260 §8.3 would
/// have it carried along), where nobody can change it.
type Nonce = [u8; 8];

/// HEARTBEATs that wait for their answer to be sent at most, and how long their information may be: it fits into the smallest
/// packet that may be configured.
const MOST_ANSWERS: usize = 2;
const MOST_INFO: usize = 400;

/// The path to the peer, the only one (RFC 8261 §6.1).
#[derive(Debug)]
pub(crate) struct Path {
    rng: StdRng,
    max_retransmissions: u32,
    heartbeat_interval: Duration,
    is_started: bool,
    /// Retransmissions and unanswered HEARTBEATs since the peer was last heard.
    errors: u32,
    /// When something was sent last whose acknowledgement tells a round trip.
    used: Instant,
    /// After how much time without that a HEARTBEAT is sent.
    period: Duration,
    heartbeat: Option<Heartbeat>,
    /// The information of HEARTBEATs to be answered.
    answers: Vec<Vec<u8>>,
    search: Search,
}

/// The last HEARTBEAT, until it is answered.
#[derive(Debug)]
struct Heartbeat {
    nonce: Nonce,
    sent: Instant,
    /// When it counts as unanswered; none once it has. An answer is welcome all the same.
    deadline: Option<Instant>,
}

impl Path {
    /// `seed` is for this path alone: what grows from it is sent in the clear.
    pub(crate) fn new(config: &Config, now: Instant, seed: &Seed) -> Self {
        Self {
            rng: StdRng::from_seed(seed.0),
            max_retransmissions: config.max_retransmissions,
            heartbeat_interval: config.heartbeat_interval,
            is_started: false,
            errors: 0,
            used: now,
            period: config.heartbeat_interval,
            heartbeat: None,
            answers: Vec::new(),
            search: Search::new(config.base_packet, config.largest_packet, now),
        }
    }

    /// The largest packet that is known to arrive, in bytes with the common header; a multiple of 4. It changes with
    /// [`handle_heartbeat_ack`](Self::handle_heartbeat_ack) and [`lost_again`](Self::lost_again).
    pub(crate) const fn max_packet(&self) -> usize {
        self.search.confirmed()
    }

    /// The association is established: HEARTBEATs and probes may be sent from now on.
    pub(crate) fn start(&mut self, now: Instant, rto: Duration) {
        self.is_started = true;
        self.used = now;
        self.renew_period(rto);
        self.search.start(now);
    }

    /// SHUTDOWN or SHUTDOWN ACK is sent, or the association ends: no HEARTBEATs and probes any more (RFC 9260 §8.3).
    pub(crate) fn stop(&mut self) {
        self.is_started = false;
        self.heartbeat = None;
        self.answers.clear();
    }

    /// Data was sent for the first time, so that the path is not idle.
    pub(crate) const fn used(&mut self, now: Instant) {
        self.used = now;
    }

    /// The peer acknowledged something new: it is there (RFC 9260 §8.1).
    pub(crate) const fn heard(&mut self) {
        self.errors = 0;
    }

    /// Something was not answered in time, and is sent again: the retransmission timer of data ran out, or one of the kind. The
    /// reason to close if that was once too often (RFC 9260 §8.1).
    pub(crate) fn timed_out(&mut self) -> Option<CloseReason> {
        self.errors = self.errors.saturating_add(1);
        (self.errors > self.max_retransmissions).then_some(CloseReason::Unreachable)
    }

    /// Data in a packet of that many bytes arrived: the largest one that a SACK acknowledges.
    pub(crate) const fn acknowledged(&mut self, largest_packet: usize) {
        self.search.acknowledged(largest_packet);
    }

    /// Data in a packet of that many bytes was lost although it had been sent again, or the retransmission timer ran out on it.
    /// When this happens to large packets only, the path has become narrower (RFC 8899 §4.3).
    pub(crate) fn lost_again(&mut self, now: Instant, packet: usize) {
        self.search.lost_again(now, packet);
    }

    /// Takes the information of a HEARTBEAT, which [`push`](Self::push) will send back.
    pub(crate) fn handle_heartbeat(&mut self, info: &[u8], counters: &mut Counters) {
        if self.answers.len() >= MOST_ANSWERS || info.len() > MOST_INFO {
            counters.sctp_dropped_heartbeats = counters.sctp_dropped_heartbeats.saturating_add(1);
            return;
        }
        self.answers.push(info.to_vec());
    }

    /// Takes the information of a HEARTBEAT ACK. Gives the round trip, where it answers something that was sent once.
    pub(crate) fn handle_heartbeat_ack(
        &mut self,
        now: Instant,
        info: &[u8],
        counters: &mut Counters,
    ) -> Option<Duration> {
        let rtt = if let Some(heartbeat) = self.heartbeat.take_if(|heartbeat| heartbeat.nonce == info) {
            Some(now.saturating_duration_since(heartbeat.sent))
        } else if let Some(rtt) = self.search.answered(now, info) {
            rtt
        } else {
            counters.sctp_stray_heartbeat_acks = counters.sctp_stray_heartbeat_acks.saturating_add(1);
            return None;
        };
        self.heard();
        rtt
    }

    /// Whether [`push`](Self::push) has something to write.
    pub(crate) fn wants_push(&self, now: Instant) -> bool {
        !self.answers.is_empty() || self.heartbeat_due().is_some_and(|due| due <= now)
    }

    /// Writes HEARTBEAT ACKs, and a HEARTBEAT if the path is idle for long enough, as far as there is room.
    pub(crate) fn push(&mut self, now: Instant, rto: Duration, w: &mut PacketWriter<'_>) {
        self.answers.retain(|info| w.push(&Chunk::HeartbeatAck(info)).is_err());
        if self.heartbeat_due().is_none_or(|due| due > now) {
            return;
        }
        let nonce = self.nonce();
        if w.push(&Chunk::Heartbeat(&nonce)).is_ok() {
            self.heartbeat = Some(Heartbeat {
                nonce,
                sent: now,
                deadline: now.checked_add(rto),
            });
            self.used = now;
            self.renew_period(rto);
        }
    }

    /// The size of a packet that is to be sent now to see whether it arrives; [`push_probe`](Self::push_probe) fills it. It is no
    /// matter of the congestion window (RFC 8899 §3, item 7).
    pub(crate) fn probe(&self, now: Instant) -> Option<usize> {
        let due = self.search.due().filter(|_| self.is_started);
        due.filter(|&due| due <= now).map(|_| self.search.next_size())
    }

    /// Fills a packet, which was begun with the size that [`probe`](Self::probe) told, with HEARTBEAT and PAD. False, and nothing
    /// is written, when it has another size: then there is no room for packets of that size in our own house.
    pub(crate) fn push_probe(&mut self, now: Instant, rto: Duration, w: &mut PacketWriter<'_>) -> bool {
        let size = self.search.next_size();
        if !w.is_empty() || w.position().saturating_add(w.room()) != size {
            self.search.refused(now);
            return false;
        }
        let fresh = self.nonce();
        let nonce = self.search.sent(now, rto, fresh);
        // The smallest packet that is probed has room for both.
        let written = w.push(&Chunk::Heartbeat(&nonce));
        let pad = w.room().saturating_sub(RawChunk::HEADER_LEN);
        written.and_then(|()| w.push(&Chunk::Pad(pad))).is_ok()
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do, or [`push`](Self::push) or
    /// [`push_probe`](Self::push_probe) something to write.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let deadline = self.heartbeat.as_ref().and_then(|heartbeat| heartbeat.deadline);
        let search = self.search.poll_timeout().filter(|_| self.is_started);
        sooner(self.heartbeat_due(), sooner(deadline, search))
    }

    /// Time has passed. The caller doubles its retransmission time-out when a HEARTBEAT was not answered: then true, or the reason
    /// to close.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Result<bool, CloseReason> {
        self.search.handle_timeout(now);
        let is_past = |deadline: &mut Instant| *deadline <= now;
        let heartbeat = self.heartbeat.as_mut();
        let is_unanswered = heartbeat.is_some_and(|heartbeat| heartbeat.deadline.take_if(is_past).is_some());
        if is_unanswered && let Some(reason) = self.timed_out() {
            return Err(reason);
        }
        Ok(is_unanswered)
    }

    /// When the next HEARTBEAT is sent, if nothing is in between.
    fn heartbeat_due(&self) -> Option<Instant> {
        let waits = self
            .heartbeat
            .as_ref()
            .is_some_and(|heartbeat| heartbeat.deadline.is_some());
        let due = self.used.checked_add(self.period);
        due.filter(|_| self.is_started && !waits)
    }

    /// The interval and the time-out, of which half to one and a half counts, so that associations do not beat in step
    /// (RFC 9260 §8.3).
    fn renew_period(&mut self, rto: Duration) {
        let part = rto.as_secs_f64() * (0.5 + self.rng.random::<f64>());
        let part = Duration::try_from_secs_f64(part).unwrap_or(rto);
        self.period = self.heartbeat_interval.saturating_add(part);
    }

    fn nonce(&mut self) -> Nonce {
        let mut nonce = Nonce::default();
        self.rng.fill_bytes(&mut nonce);
        nonce
    }
}
