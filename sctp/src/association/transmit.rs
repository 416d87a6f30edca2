//! What goes out.

use std::time::Instant;

use super::{Association, Complaint, State};
use crate::cause::{Cause, Causes};
use crate::chunk::Chunk;
use crate::packet::CommonHeader;
use crate::writer::PacketWriter;

impl Association {
    /// Room that [`poll_transmit`](Self::poll_transmit) needs at least, in bytes; more if [`max_packet`](Self::max_packet) is
    /// more.
    pub const MIN_OUT: usize = 512;

    /// Writes the next packet into `out`; its length. `None` when there is nothing to send now.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        debug_assert!(
            out.len() >= self.max_packet().max(Self::MIN_OUT),
            "room for a whole packet"
        );
        if let Some(len) = self.setup.poll_alone(out) {
            return Some(len);
        }
        if matches!(self.state(), State::Closed | State::CookieWait | State::Ended) {
            return None;
        }
        let header = self.setup.header()?;
        // Before anything is pushed, since it tells whether COOKIE ECHO is.
        let checksum = self.setup.checksum();
        if self.setup.is_open()
            && let Some(size) = self.path.probe(now)
            && let Ok(mut w) = PacketWriter::new(out, size, &header)
            && self.path.push_probe(now, self.recovery.rto(), &mut w)
        {
            return Some(w.finish(checksum).len());
        }
        let packet = self.path.max_packet();
        let is_echo = self.state() == State::CookieEchoed;
        // RFC 9260 §5.1 C: with COOKIE ECHO data may go, and none later until COOKIE ACK.
        let data_may_go = self.setup.is_open() || (is_echo && self.setup.wants_push());
        let allowance = self.recovery.allowance(packet, &self.outbound);
        let has_data = data_may_go && self.outbound.may_send(allowance) && self.recovery.is_ready(now);
        // What was cut for larger packets than there are now goes alone.
        let needs = if has_data {
            self.outbound.needs(now).saturating_add(CommonHeader::LEN)
        } else {
            0
        };
        let is_oversized = needs > packet && needs <= out.len();
        let mut w = PacketWriter::new(out, if is_oversized { needs } else { packet }, &header).ok()?;
        if !is_oversized {
            self.push_control(now, &mut w, has_data);
        }
        if has_data {
            self.recovery.begins(now, &self.outbound);
            let filled = self.outbound.fill(now, &mut w, allowance);
            self.recovery.sent(now, w.position(), filled, &self.outbound);
            if filled.chunks > 0 {
                self.path.used(now);
            }
        }
        if w.is_empty() {
            // What came too late may have been the last message of a stream that is to begin anew, or the last one of all.
            self.settle(now);
            self.push_control(now, &mut w, false);
        }
        if w.is_empty() {
            return None;
        }
        Some(w.finish(checksum).len())
    }

    /// Everything but data.
    fn push_control(&mut self, now: Instant, w: &mut PacketWriter<'_>, has_data: bool) {
        let says_shutdown = self.state() == State::ShutdownSent && self.setup.wants_push();
        if self.setup.wants_push() {
            let cumulative = self.inbound.as_ref().map(|inbound| inbound.acks.cumulative());
            self.setup.push(w, cumulative.unwrap_or_default());
        }
        if let Some(inbound) = self.inbound.as_mut().filter(|inbound| inbound.acks.wants_sack()) {
            // A SHUTDOWN may say all that a SACK would.
            let is_told = says_shutdown && inbound.acks.told_by_shutdown();
            if !is_told && (has_data || inbound.acks.sack_is_due(now)) {
                let window = inbound.window(&self.config, self.retained);
                inbound.acks.write(w, window);
            }
        }
        if !self.setup.is_open() {
            return;
        }
        self.push_errors(w);
        if self.path.wants_push(now) {
            self.path.push(now, self.recovery.rto(), w);
            // Where nothing goes on memory for messages to come is not worth keeping.
            if let Some(inbound) = &mut self.inbound {
                inbound.reassembly.trim();
            }
        }
        if !self.reset.wants_push() {
            return;
        }
        let (last_tsn, rto) = (self.outbound.last_tsn(), self.recovery.rto());
        let outbound = &mut self.outbound;
        self.reset.push(now, w, last_tsn, rto, |stream| {
            let is_ready = outbound.is_drained(stream);
            if is_ready {
                outbound.stop(stream);
            }
            is_ready
        });
    }

    fn push_errors(&mut self, w: &mut PacketWriter<'_>) {
        while let Some(complaint) = self.errors.pop() {
            let cause = match &complaint {
                Complaint::NoSuchStream(stream) => Cause::InvalidStreamIdentifier(*stream),
                Complaint::UnrecognizedChunk(bytes) => Cause::UnrecognizedChunkType(bytes),
                Complaint::BadReconfig(rule) => Cause::ProtocolViolation(rule.as_bytes()),
            };
            let causes = [cause];
            if w.push(&Chunk::Error(Causes::new(&causes))).is_err() {
                self.errors.push(complaint);
                return;
            }
        }
    }
}
