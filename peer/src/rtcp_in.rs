use std::time::Instant;

use rtp::Ssrc;
use rtp::rtcp::{Compound, Packet, PacketType, ReportBlock, SdesItem, TransportFormat, XrBlock};

use crate::receiver::Receivers;
use crate::rtcp_out::Outbox;
use crate::sender::Senders;
use crate::{Counters, Section, SenderId, Sink};

/// Those whom a received RTCP packet may concern.
#[derive(Debug)]
pub(crate) struct Inbox<'a> {
    pub(crate) sections: &'a [Section],
    pub(crate) senders: &'a mut Senders,
    pub(crate) receivers: &'a mut Receivers,
    pub(crate) outbox: &'a mut Outbox,
    pub(crate) counters: &'a mut Counters,
    /// Whether we asked for transport-wide feedback.
    pub(crate) invited_feedback: bool,
}

impl Inbox<'_> {
    /// Takes a compound packet. What is malformed in it does not hinder the rest.
    pub(crate) fn handle(&mut self, now: Instant, bytes: &[u8], sink: &mut impl Sink) {
        let Ok(compound) = Compound::parse(bytes) else {
            self.counters.malformed_rtcp += 1;
            return;
        };
        for raw in compound.raw() {
            // Long, and as long as nobody estimates here what we may send, it is not even read.
            if raw.packet_type == PacketType::RTPFB && TransportFormat(raw.count) == TransportFormat::TRANSPORT_WIDE {
                self.counters.ignored_rtcp += u64::from(!self.invited_feedback);
                continue;
            }
            match Packet::of(raw) {
                Ok(packet) => self.handle_packet(now, &packet, sink),
                Err(_) => self.counters.malformed_rtcp += 1,
            }
        }
    }

    fn handle_packet(&mut self, now: Instant, packet: &Packet<'_>, sink: &mut impl Sink) {
        match packet {
            Packet::SenderReport(report) => {
                let info = &report.info;
                if let Some(stream) = self.receivers.record_sender_report(now, info.ssrc, info.ntp) {
                    sink.sender_report(stream, info.ntp.0, info.rtp_timestamp);
                }
                report.reports().for_each(|block| self.handle_block(now, &block, sink));
            }
            Packet::ReceiverReport(report) => report.reports().for_each(|block| self.handle_block(now, &block, sink)),
            Packet::Sdes(sdes) => {
                for chunk in sdes.chunks() {
                    for (_, text) in chunk.items().filter(|item| item.0 == SdesItem::MID) {
                        self.receivers.describe(self.sections, chunk.ssrc, text);
                    }
                }
            }
            Packet::Bye(bye) => {
                for ssrc in bye.sources() {
                    // The SSRC stays bound: stragglers still come (RFC 3550 §6.2.1), and nobody else may take it.
                    if let Some((stream, false)) = self.receivers.by_ssrc(ssrc) {
                        sink.bye(stream);
                    }
                }
            }
            Packet::Nack(nack) => match self.media_sender(nack.media) {
                Some(sender) => {
                    let senders = &*self.senders;
                    let mut sequences = nack.lost().filter_map(|number| senders.extend(sender, number));
                    sink.nack(sender, &mut sequences);
                }
                None => self.counters.ignored_rtcp += 1,
            },
            Packet::Pli(pli) => match self.media_sender(pli.media) {
                Some(sender) => sink.key_frame_request(sender),
                None => self.counters.ignored_rtcp += 1,
            },
            Packet::Fir(fir) => {
                for entry in fir.entries() {
                    match self.media_sender(entry.ssrc) {
                        Some(sender) if self.senders.is_new_fir(sender, entry.sequence_number) => {
                            sink.key_frame_request(sender);
                        }
                        Some(_) => self.counters.repeated_feedback += 1,
                        None => self.counters.ignored_rtcp += 1,
                    }
                }
            }
            Packet::Xr(xr) => {
                for block in xr.blocks() {
                    if let XrBlock::ReceiverReferenceTime(ntp) = block
                        && !self.outbox.answer_reference_time(now, xr.sender, ntp)
                    {
                        self.counters.feedback_overflow += 1;
                    }
                }
            }
            // Chromium and Firefox send REMB uninvited when nothing better was agreed to for what they receive. Nobody
            // estimates here what we may send, yet.
            Packet::Remb(_) => {}
            Packet::TransportFeedback(_) | Packet::CongestionFeedback(_) | Packet::Unknown(_) => {
                self.counters.ignored_rtcp += 1;
            }
        }
    }

    /// A report about an SSRC of ours. Those about SSRCs of a stopped section come for a while, and are no fault.
    fn handle_block(&mut self, now: Instant, block: &ReportBlock, sink: &mut impl Sink) {
        if let Some((sender, rtx)) = self.senders.by_ssrc(block.ssrc) {
            let rtt = block.round_trip(self.outbox.clock().at(now));
            if let Some((expected, lost)) = self.senders.reported(sender, block, rtt, rtx) {
                sink.receiver_report(sender, expected, lost);
            }
            if let Some(rtt) = rtt.filter(|_| !rtx && self.senders.is_new_answer(sender, block.last_sr)) {
                sink.round_trip(sender, rtt);
            }
        }
    }

    fn media_sender(&self, ssrc: Ssrc) -> Option<SenderId> {
        self.senders
            .by_ssrc(ssrc)
            .filter(|(_, rtx)| !rtx)
            .map(|(sender, _)| sender)
    }
}
