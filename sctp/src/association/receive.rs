//! What the peer's chunks do.

use core::time::Duration;
use std::time::Instant;
use std::vec::Vec;

use super::{Association, Complaint, Event, Inbound, ResetStreams, Sink, Stall, State};
use crate::cause::Cause;
use crate::checksum::Checksum;
use crate::chunk::{Chunk, Data, DataHeader, IData, IDataHeader, ReConfig, Sack};
use crate::close::CloseReason;
use crate::engine::inbound::{Arrival, Taken};
use crate::engine::outbound::{Acked, Lost};
use crate::engine::reset::{ResetEvent, Streams};
use crate::engine::setup::Step;
use crate::packet::{CommonHeader, Packet, RawChunk};
use crate::registry::ChunkType;

/// Whether the rest of the packet counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Go {
    On,
    Stop,
}

/// DATA or I-DATA.
#[derive(Debug, Clone, Copy)]
enum Header {
    Data(DataHeader),
    IData(IDataHeader),
}

impl Association {
    /// A packet of the peer's has come. What it makes deliverable goes to the sink, lent from the packet where it can be.
    pub fn handle_packet(&mut self, now: Instant, packet: &[u8], sink: &mut impl Sink) {
        let Ok(packet) = Packet::parse(packet) else {
            count(&mut self.counters.sctp_malformed);
            return;
        };
        if !packet.checksum_holds(self.accepted_checksum(&packet)) {
            count(&mut self.counters.sctp_bad_checksum);
            return;
        }
        if !self.setup.admit(&packet, &mut self.counters) {
            return;
        }
        let mut has_data = false;
        for raw in packet.chunks() {
            let go = raw.and_then(|raw| match raw.chunk_type() {
                // These come most, and are not first made a chunk of any kind.
                ChunkType::DATA => {
                    let Data { header, payload } = Data::of(raw)?;
                    has_data = true;
                    Ok(self.handle_data(now, Header::Data(header), payload, sink))
                }
                ChunkType::I_DATA => {
                    let IData { header, payload } = IData::of(raw)?;
                    has_data = true;
                    Ok(self.handle_data(now, Header::IData(header), payload, sink))
                }
                _ => Ok(self.handle_chunk(now, &Chunk::of(raw)?, sink)),
            });
            match go {
                Ok(Go::On) => {}
                Ok(Go::Stop) => break,
                Err(_) => {
                    count(&mut self.counters.sctp_malformed);
                    break;
                }
            }
        }
        if let Some(inbound) = &mut self.inbound {
            if has_data && self.setup.state() == State::ShutdownSent {
                // RFC 9260 §9.2.
                inbound.acks.hurry();
                self.setup.data_received(now);
            }
            inbound.acks.packet_ended(now);
        }
        self.settle(now);
    }

    /// RFC 9653 §5.3: where zero is accepted at all, those chunks with which nothing was agreed upon yet need the real one.
    fn accepted_checksum(&self, packet: &Packet<'_>) -> Checksum {
        if !self.config.zero_checksum {
            return Checksum::Crc32c;
        }
        match packet.first_type() {
            Some(ChunkType::INIT | ChunkType::COOKIE_ECHO) => Checksum::Crc32c,
            _ => Checksum::Zero,
        }
    }

    /// Only who has taken our cookie sends such a chunk: COOKIE ACK was lost, or comes later.
    fn peer_is_established(&mut self, now: Instant, sink: &mut impl Sink) {
        if self.state() == State::CookieEchoed {
            let step = self.setup.handle(now, &Chunk::CookieAck, &mut self.counters);
            self.step(now, step, sink);
        }
    }

    /// All but DATA and I-DATA.
    fn handle_chunk(&mut self, now: Instant, chunk: &Chunk<'_>, sink: &mut impl Sink) -> Go {
        if says_established(chunk) {
            self.peer_is_established(now, sink);
        }
        match chunk {
            Chunk::Sack(sack) => self.handle_sack(now, sack),
            Chunk::Heartbeat(info) => {
                self.path.handle_heartbeat(info, &mut self.counters);
                Go::On
            }
            Chunk::HeartbeatAck(info) => {
                if let Some(rtt) = self.path.handle_heartbeat_ack(now, info, &mut self.counters) {
                    self.recovery.sample(now, rtt);
                }
                self.recovery.set_packet(self.path.max_packet());
                Go::On
            }
            Chunk::ForwardTsn(_) | Chunk::IForwardTsn(_) => self.handle_forward(chunk, sink),
            Chunk::ReConfig(reconfig) => self.handle_reconfig(now, reconfig, sink),
            // ECN was not agreed upon; padding fills.
            Chunk::Ecne { .. } | Chunk::Cwr { .. } | Chunk::Pad(_) => Go::On,
            Chunk::Unknown(raw) => self.handle_unknown(*raw),
            _ => {
                let step = self.setup.handle(now, chunk, &mut self.counters);
                self.step(now, step, sink)
            }
        }
    }

    fn step(&mut self, now: Instant, step: Step, sink: &mut impl Sink) -> Go {
        match step {
            Step::Continue => Go::On,
            Step::Stop => {
                if self.state() == State::CookieEchoed {
                    // What goes with COOKIE ECHO is to be what was agreed upon.
                    self.agreed();
                }
                Go::Stop
            }
            Step::Established => {
                self.opened(now);
                Go::On
            }
            Step::Restarted => {
                if let Some(inbound) = &mut self.inbound {
                    inbound.reassembly.reset_all(sink);
                }
                sink.restarted();
                self.restarted(now);
                Go::On
            }
            Step::PeerShutsDown { cumulative_tsn_ack } => {
                let flight = self.outbound.flight();
                // Pion and its ports, which are in webrtc-rs and str0m, put a TSN of their own there. SACKs say it as well.
                match self.outbound.shutdown_ack(now, cumulative_tsn_ack) {
                    Ok(acked) if acked.is_stale => {}
                    Ok(acked) => self.acked(now, &acked, flight),
                    Err(_) => count(&mut self.counters.sctp_bad_shutdowns),
                }
                Go::On
            }
            Step::Closed(reason) => {
                self.ended(reason);
                Go::Stop
            }
        }
    }

    fn handle_data(&mut self, now: Instant, header: Header, payload: &[u8], sink: &mut impl Sink) -> Go {
        self.peer_is_established(now, sink);
        let takes_data = self.setup.takes_data();
        let Some(inbound) = self.inbound.as_mut().filter(|_| takes_data) else {
            count(&mut self.counters.sctp_unexpected_chunks);
            return Go::On;
        };
        let (tsn, flags, stream) = match &header {
            Header::Data(header) => (header.tsn, header.flags, header.stream),
            Header::IData(header) => (header.tsn, header.flags, header.stream),
        };
        if payload.is_empty() {
            // RFC 9260 §6.2.
            self.setup.abort(Cause::NoUserData(tsn));
            self.ended(CloseReason::ProtocolViolation("DATA has user data"));
            return Go::Stop;
        }
        if self.retained >= usize::try_from(self.config.receive_window).unwrap_or(usize::MAX) {
            // Where the user keeps all, not even the next one in sequence is taken.
            inbound.acks.tell();
            count(&mut self.counters.sctp_data_without_room);
            return Go::On;
        }
        let has_room = inbound.reassembly.has_room(payload.len().saturating_add(self.retained));
        match inbound.acks.observe(tsn, flags.immediate, has_room) {
            Arrival::New => {}
            Arrival::Duplicate => {
                count(&mut self.counters.sctp_duplicate_data);
                return Go::On;
            }
            Arrival::TooFar => {
                count(&mut self.counters.sctp_data_too_far);
                return Go::On;
            }
            Arrival::NoRoom => {
                count(&mut self.counters.sctp_data_without_room);
                return Go::On;
            }
        }
        let taken = match &header {
            Header::Data(header) => inbound.reassembly.data(header, payload, sink),
            Header::IData(header) => inbound.reassembly.i_data(header, payload, sink),
        };
        match taken {
            Ok(Taken::Yes) => Go::On,
            Ok(Taken::Late) => {
                count(&mut self.counters.sctp_late_data);
                Go::On
            }
            Ok(Taken::NoSuchStream) => {
                count(&mut self.counters.sctp_invalid_streams);
                self.complain(Complaint::NoSuchStream(stream));
                Go::On
            }
            Err(reason) => {
                self.close(reason);
                Go::Stop
            }
        }
    }

    fn handle_sack(&mut self, now: Instant, sack: &Sack<'_>) -> Go {
        if self.inbound.is_none() {
            count(&mut self.counters.sctp_unexpected_chunks);
            return Go::On;
        }
        if !self.setup.is_open() {
            return Go::On;
        }
        let flight = self.outbound.flight();
        match self.outbound.sack(now, sack, self.recovery.rtt().min()) {
            Ok(acked) => {
                if !acked.is_stale {
                    self.acked(now, &acked, flight);
                }
                let stall = self.closed_window.as_ref();
                if stall.is_some_and(|stall| stall.lasted >= self.config.closed_window_limit) {
                    self.close(CloseReason::Stalled);
                    return Go::Stop;
                }
                Go::On
            }
            Err(rule) => {
                self.close(CloseReason::ProtocolViolation(rule));
                Go::Stop
            }
        }
    }

    fn acked(&mut self, now: Instant, acked: &Acked, flight: u64) {
        let lost = self.recovery.acked(now, acked, flight, &mut self.outbound);
        if acked.moved || acked.bytes > 0 || self.outbound.is_window_closed() {
            self.path.heard();
        }
        if acked.largest > 0 {
            self.path.acknowledged(acked.largest.saturating_add(CommonHeader::LEN));
        }
        self.lost(now, &lost);
        // One that opens and takes nothing is closed.
        let takes = acked.moved || acked.bytes > 0;
        if self.outbound.is_done() || (takes && !self.outbound.is_window_closed()) {
            self.closed_window = None;
        } else if self.outbound.is_window_closed() {
            let stall = self.closed_window.get_or_insert(Stall {
                told: now,
                lasted: Duration::ZERO,
            });
            // It is asked again and again. When it does not answer for longer, as while there is no path, it cannot open its
            // window either.
            let since = now.saturating_duration_since(stall.told);
            let most = self.config.max_rto.saturating_mul(2);
            stall.lasted = stall.lasted.saturating_add(since.min(most));
            stall.told = now;
        }
    }

    /// Chunks that are lost again and again may be too large (RFC 8899 §4.3).
    pub(super) fn lost(&mut self, now: Instant, lost: &Lost) {
        if lost.largest_again > 0 {
            self.path
                .lost_again(now, lost.largest_again.saturating_add(CommonHeader::LEN));
            self.recovery.set_packet(self.path.max_packet());
        }
    }

    /// RFC 3758 §3.6, RFC 8260 §2.3.1.
    fn handle_forward(&mut self, chunk: &Chunk<'_>, sink: &mut impl Sink) -> Go {
        let Some(inbound) = &mut self.inbound else {
            count(&mut self.counters.sctp_unexpected_chunks);
            return Go::On;
        };
        let Inbound { acks, reassembly, .. } = inbound;
        let result = match chunk {
            Chunk::ForwardTsn(forward) if acks.forward(forward.new_cumulative_tsn) => reassembly.skip(forward, sink),
            Chunk::IForwardTsn(forward) if acks.forward(forward.new_cumulative_tsn) => reassembly.i_skip(forward, sink),
            _ => Ok(()),
        };
        if let Err(reason) = result {
            self.close(reason);
            return Go::Stop;
        }
        Go::On
    }

    fn handle_reconfig(&mut self, now: Instant, reconfig: &ReConfig<'_>, sink: &mut impl Sink) -> Go {
        let Some(inbound) = &mut self.inbound else {
            count(&mut self.counters.sctp_unexpected_chunks);
            return Go::On;
        };
        let (events, outbound, reassembly) = (&mut self.events, &mut self.outbound, &mut inbound.reassembly);
        let cumulative = inbound.acks.cumulative();
        let result = self.reset.handle(
            now,
            reconfig,
            cumulative,
            &mut self.counters,
            &mut |event| match event {
                ResetEvent::PeerReset(streams) => {
                    match streams {
                        Streams::All => reassembly.reset_all(sink),
                        Streams::Listed(list) => list.iter().for_each(|stream| reassembly.reset(stream, sink)),
                    }
                    events.push_back(Event::PeerReset(owned(streams)));
                }
                ResetEvent::Done(streams) => {
                    for &stream in streams {
                        outbound.is_reset(stream);
                    }
                    events.push_back(Event::ResetDone(streams.to_vec()));
                }
                ResetEvent::Denied(streams) => {
                    for &stream in streams {
                        outbound.resumed(stream);
                    }
                    events.push_back(Event::ResetDenied(streams.to_vec()));
                }
                ResetEvent::Wanted(streams) => events.push_back(Event::ResetWanted(owned(streams))),
            },
        );
        // RFC 6525 §5.2.1: a SACK goes with the answer.
        inbound.acks.tell();
        if let Err(rule) = result {
            self.complain(Complaint::BadReconfig(rule));
        }
        Go::On
    }

    /// RFC 9260 §3.2: what the upper bits of the type say.
    fn handle_unknown(&mut self, raw: RawChunk<'_>) -> Go {
        count(&mut self.counters.sctp_unrecognized_chunks);
        let action = raw.chunk_type().when_unrecognized();
        if action.reports() {
            let quoted = raw.bytes().len().min(Complaint::QUOTED);
            let quoted = raw.bytes().get(..quoted).unwrap_or_default().to_vec();
            self.complain(Complaint::UnrecognizedChunk(quoted));
        }
        if action.stops() { Go::Stop } else { Go::On }
    }

    fn complain(&mut self, complaint: Complaint) {
        if self.setup.header().is_some() && self.errors.len() < Complaint::MOST {
            self.errors.push(complaint);
        }
    }
}

fn owned(streams: Streams<'_>) -> ResetStreams {
    match streams {
        Streams::All => ResetStreams::All,
        Streams::Listed(list) => ResetStreams::Listed(list.iter().collect::<Vec<_>>()),
    }
}

/// Chunks that mean that the peer is in the state ESTABLISHED, or beyond, as DATA and I-DATA do.
const fn says_established(chunk: &Chunk<'_>) -> bool {
    matches!(
        chunk,
        Chunk::Sack(_)
            | Chunk::Heartbeat(_)
            | Chunk::ForwardTsn(_)
            | Chunk::IForwardTsn(_)
            | Chunk::ReConfig(_)
            | Chunk::Shutdown { .. }
    )
}

pub(super) const fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}
