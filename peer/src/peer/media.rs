use std::time::Instant;

use rtp::{Arrival, Packet, rtx};
use wire::Path;

use super::Peer;
use crate::early::EarlyMedia;
use crate::receiver::{Identifiers, Place, Stray};
use crate::remb::Remb;
use crate::rtcp_in::Inbox;
use crate::{Sink, State, StreamInfo, Timer};

impl Peer {
    /// SRTP or SRTCP arrived: `arrival` is before `now` when it had to wait for the keys.
    pub(super) fn handle_media(
        &mut self,
        now: Instant,
        arrival: Instant,
        path: &Path,
        data: &mut [u8],
        sink: &mut impl Sink,
    ) {
        if self.media_path != Some(*path) {
            if !self.ice.may_receive(now, path) {
                self.counters.unvalidated_path += 1;
                return;
            }
            // Where the peer was only heard nothing tells of the end.
            if self.ice.is_validated(path) {
                self.media_path = Some(*path);
            }
        }
        if let Some(answered) = self.unanswered.take_released() {
            self.take_answered(now, answered, sink);
        }
        if self.srtp.is_none() {
            self.keep_early(now, path, data);
        } else if rtp::is_rtcp(data) {
            self.handle_rtcp(now, path, data, sink);
        } else {
            self.handle_rtp(now, arrival, path, data, sink);
        }
    }

    #[cold]
    fn keep_early(&mut self, now: Instant, path: &Path, data: &[u8]) {
        if self.dtls.is_none() {
            self.counters.before_offer += 1;
        } else {
            let kept = self.early.push(now, *path, data);
            self.count_kept(kept);
        }
    }

    fn count_kept(&mut self, kept: bool) {
        if kept {
            self.timers.set(Timer::EarlyMedia, self.early_deadline());
        } else {
            self.counters.early_media_overflow += 1;
        }
    }

    /// When what came early has waited too long.
    pub(super) fn early_deadline(&self) -> Option<Instant> {
        let deadlines = [self.early.deadline(), self.unanswered.deadline()];
        deadlines.into_iter().flatten().min()
    }

    /// Takes up what waited for an answer that is there now.
    #[cold]
    fn take_answered(&mut self, now: Instant, mut answered: EarlyMedia<u64>, sink: &mut impl Sink) {
        while let Some(mut packet) = answered.pop() {
            let (arrival, sequence) = (packet.arrival, packet.known);
            let Ok(packet) = Packet::parse(&mut packet.data[..]) else {
                continue;
            };
            let identifiers = self.receivers.identify(&packet);
            if let Some(place) = self.place(now, arrival, sequence, &packet, &identifiers) {
                self.hand_on(now, arrival, sequence, &place, packet, sink);
            }
        }
        self.timers.set(Timer::EarlyMedia, self.early_deadline());
    }

    /// Whether a MID names a section that we offered to receive in, and that no answer has told of yet: from the offer on
    /// its media may come (RFC 3264 §5.1), and overtake the answer.
    #[cold]
    fn is_unanswered(&self, mid: Option<&[u8]>) -> bool {
        let offered = self.wishes.get(self.sections.len()..self.offered.unwrap_or(0));
        let mut offered = offered.unwrap_or_default().iter();
        offered.any(|wish| wish.direction.receives() && mid == Some(wish.mid.as_bytes()))
    }

    fn handle_rtp(&mut self, now: Instant, arrival: Instant, path: &Path, data: &mut [u8], sink: &mut impl Sink) {
        let size = data.len();
        // What does not open is counted by the opener.
        let Some(opened) = self.srtp.as_mut().and_then(|srtp| srtp.opener.open_rtp(data).ok()) else {
            return;
        };
        self.alive(now, path, ice::Activity::Srtp);
        let sequence = opened.index;
        let Ok(packet) = Packet::parse(opened.packet) else {
            self.counters.malformed_rtp += 1;
            return;
        };
        self.media_ssrc = packet.ssrc();
        let identifiers = self.receivers.identify(&packet);
        if let Some(recorder) = &mut self.feedback
            && let Some(number) = identifiers.transport_sequence
        {
            recorder.record(arrival, number);
            self.timers.set(Timer::TransportFeedback, recorder.poll_timeout());
        }
        if let Some(remb) = &mut self.remb {
            if remb.start(now) {
                self.timers.set(Timer::Remb, Some(now + Remb::INTERVAL));
            }
            remb.record(size);
        }
        if let Some(place) = self.place(now, arrival, sequence, &packet, &identifiers) {
            self.hand_on(now, arrival, sequence, &place, packet, sink);
        }
    }

    /// Where an authentic packet belongs. What belongs nowhere waits for an answer or is counted.
    #[inline]
    fn place(
        &mut self,
        now: Instant,
        arrival: Instant,
        sequence: u64,
        packet: &Packet<&mut [u8]>,
        identifiers: &Identifiers<'_>,
    ) -> Option<Place> {
        let (ssrc, payload_type) = (packet.ssrc(), packet.payload_type());
        let mut place = self
            .receivers
            .place(now, &self.sections, ssrc, payload_type, identifiers);
        if place == Err(Stray::New) {
            if self.senders.by_ssrc(ssrc).is_some() {
                self.counters.ssrc_collision += 1;
                return None;
            }
            place = self.receivers.bind(&self.sections, ssrc, payload_type, identifiers);
        }
        match place {
            Ok(place) => return Some(place),
            Err(Stray::UnknownMid | Stray::NotReceiving) if self.is_unanswered(identifiers.mid) => {
                let kept = self.unanswered.push(arrival, sequence, packet.as_bytes());
                self.count_kept(kept);
            }
            Err(stray) => *stray.counter(&mut self.counters) += 1,
        }
        None
    }

    /// Hands an authentic packet to the embedder.
    #[inline]
    fn hand_on(
        &mut self,
        now: Instant,
        arrival: Instant,
        sequence: u64,
        place: &Place,
        packet: Packet<&mut [u8]>,
        sink: &mut impl Sink,
    ) {
        let ssrc = packet.ssrc();
        let section = &self.sections[usize::from(place.section)];
        let format = &section.formats[usize::from(place.format)];
        let followed = if place.repair {
            None
        } else {
            self.receivers.follow(now, place, sequence)
        };
        // Without a stream for them retransmissions are the packets themselves. Like those they do not count as
        // received: reports tell of the way here.
        if !(followed == Some(Arrival::Filled { asked: true }) && format.rtx.is_none()) {
            self.receivers
                .record(arrival, place, packet.sequence_number(), packet.timestamp());
        }
        let (packet, sequence, ssrc) = if place.repair {
            // What is here already, or nothing at all, is a probe for bandwidth.
            let Some((number, _)) = rtx::original(&packet) else {
                return;
            };
            let Some((ssrc, sequence)) = self.receivers.follow_repair(now, place, number) else {
                return;
            };
            let Ok(packet) = rtx::decapsulate(packet, ssrc, format.payload_type) else {
                return;
            };
            (packet, sequence, ssrc)
        } else {
            (packet, sequence, ssrc)
        };
        if followed == Some(Arrival::Duplicate) {
            // It came by a retransmission before.
            return;
        }
        let info = StreamInfo {
            stream: place.stream,
            section: usize::from(place.section),
            mid: &section.mid,
            kind: section.kind,
            codec: format.codec,
            rid: section
                .streams
                .get(usize::from(place.layer))
                .and_then(|stream| stream.rid.as_deref()),
            layer: place.layer,
            repair: place.repair,
            clock_rate: format.codec.clock_rate(),
            sequence,
            ssrc,
            arrival,
            extensions: &section.extensions,
        };
        sink.rtp(&info, packet);
        self.tell_lost();
    }

    fn handle_rtcp(&mut self, now: Instant, path: &Path, data: &mut [u8], sink: &mut impl Sink) {
        let Some(Ok(plain)) = self.srtp.as_mut().map(|srtp| srtp.opener.open_rtcp(data)) else {
            return;
        };
        let mut inbox = Inbox {
            sections: &self.sections,
            senders: &mut self.senders,
            receivers: &mut self.receivers,
            outbox: &mut self.outbox,
            counters: &mut self.counters,
            invited_feedback: self.sends_transport_numbers,
        };
        inbox.handle(now, plain, sink);
        self.alive(now, path, ice::Activity::Srtcp);
    }

    /// The peer showed that it is there, and where.
    #[inline]
    fn alive(&mut self, now: Instant, path: &Path, activity: ice::Activity) {
        self.ice.note_activity(now, path, activity);
        if self.state != State::Connected {
            self.update(now);
        }
    }

    /// Writes the next RTCP packet that is due, sealed, and returns its length.
    pub(super) fn write_rtcp(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        self.outbox.round_trip = self.rtt();
        let srtp = self.srtp.as_mut()?;
        let room = self
            .config
            .max_datagram
            .min(out.len())
            .checked_sub(srtp.sealer.rtcp_overhead())?;
        let plain = out.get_mut(..room)?;
        let feedback = self.feedback.as_mut();
        let introduced = self.senders.introduced();
        let len = self.outbox.write(
            now,
            &mut self.senders,
            &mut self.receivers,
            feedback,
            self.media_ssrc,
            plain,
        )?;
        let sealed = srtp.sealer.seal_rtcp(out, len).ok();
        if self.senders.introduced() != introduced {
            self.arm_report(now);
        }
        sealed
    }
}
