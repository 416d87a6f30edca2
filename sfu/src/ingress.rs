use std::time::Instant;

use peer::{Kind, SenderId, Sink, StreamId, StreamInfo};
use rtp::Packet;

use crate::counters::Counters;
use crate::extensions::{Elements, Ids};
use crate::participant::Participant;
use crate::payload;
use crate::ring::{ByteRing, Header};
use crate::slab::Slab;
use crate::source::Source;
use crate::timeline::WallClock;
use crate::{Config, extensions};

/// Where one participant's datagrams end: packets go into its sources' rings, feedback to the slots that it is about.
pub(crate) struct Ingress<'a> {
    pub(crate) now: Instant,
    /// Whose datagram it is.
    pub(crate) index: u32,
    pub(crate) config: &'a Config,
    pub(crate) participants: &'a mut Slab<Participant>,
    pub(crate) sources: &'a mut Slab<Source>,
    /// Sources with something new.
    pub(crate) touched: &'a mut Vec<u32>,
    /// Sources of which somebody wants a key frame.
    pub(crate) wanting: &'a mut Vec<u32>,
    /// Sources in which somebody begins to speak.
    pub(crate) begun: &'a mut Vec<u32>,
    pub(crate) counters: &'a mut Counters,
}

impl Ingress<'_> {
    fn source_of(&self, stream: StreamId) -> Option<u32> {
        let participant = self.participants.get(self.index)?;
        let is = |&&index: &&u32| self.sources.get(index).is_some_and(|source| source.stream == stream);
        participant.sources.iter().find(is).copied()
    }

    fn slot_of(&mut self, sender: SenderId) -> Option<(&mut Participant, u32)> {
        let participant = self.participants.get_mut(self.index)?;
        let slot = participant.slot_of(sender)?;
        Some((participant, slot))
    }

    fn store(&mut self, index: u32, info: &StreamInfo<'_>, packet: &Packet<&mut [u8]>) {
        let Some(source) = self.sources.get_mut(index) else {
            return;
        };
        source.follow_ssrc(info.ssrc);
        let payload = packet.payload();
        if payload.is_empty() {
            // Padding ends here and leaves no gap.
            if !source.numbering().drop(info.sequence) {
                self.counters.late_padding += 1;
            }
            return;
        }
        let newer = source.numbering().is_newer(info.sequence);
        let timeline = source.timeline(info.arrival, info.clock_rate);
        let Some(time) = timeline.place(info.arrival, packet.timestamp(), packet.marker(), newer) else {
            // Like padding: what follows closes up.
            source.numbering().drop(info.sequence);
            self.counters.misplaced_packets += 1;
            return;
        };
        let Some(seq) = source.numbering().number(info.sequence) else {
            self.counters.late_packets += 1;
            return;
        };
        let mut elements = Elements::new();
        let ids = Ids::new(info.extensions);
        let mut level = None;
        for (id, value) in packet.extensions() {
            let Some(code) = ids.code(id) else { continue };
            if !elements.push(code, value) {
                self.counters.extensions_dropped += 1;
            }
            if code == extensions::AUDIO_LEVEL {
                level = value.first().copied();
            }
        }
        if source.follow_level(info.arrival, time, info.clock_rate, level) {
            self.begun.push(index);
        }
        let starts_key_frame = payload::starts_key_frame(info.codec, payload);
        if source.ring.is_unused() {
            let (bytes, entries) = match source.media {
                Kind::Video => (self.config.video_ring_bytes, self.config.history.max(256)),
                _ => (self.config.audio_ring_bytes, 256),
            };
            source.ring = ByteRing::new(bytes, entries);
        }
        let header = Header {
            seq,
            time,
            codec: info.codec,
            marker: packet.marker(),
            starts_key_frame,
            generation: source.generation,
            counted: payload::Counted::of(info.codec, payload),
        };
        if source.ring.push(header, elements.as_bytes(), payload).is_none() {
            self.counters.oversized_packets += 1;
            return;
        }
        if starts_key_frame {
            source.requests.satisfied();
        }
        if !source.touched {
            source.touched = true;
            self.touched.push(index);
        }
    }
}

impl Sink for Ingress<'_> {
    fn rtp(&mut self, info: &StreamInfo<'_>, packet: Packet<&mut [u8]>) {
        match self.source_of(info.stream) {
            Some(index) => self.store(index, info, &packet),
            None => self.counters.unknown_source += 1,
        }
    }

    fn key_frame_request(&mut self, sender: SenderId) {
        let Some(source) = self
            .slot_of(sender)
            .and_then(|(participant, slot)| participant.slots[slot as usize].source())
        else {
            return;
        };
        if let Some(wanted) = self.sources.get_mut(source) {
            wanted.requests.want();
            self.wanting.push(source);
        }
    }

    fn nack(&mut self, sender: SenderId, sequences: &mut dyn Iterator<Item = u64>) {
        let mut overflow = 0;
        if let Some((participant, slot)) = self.slot_of(sender) {
            for seq in sequences {
                overflow += u64::from(!participant.slots[slot as usize].nack(seq));
            }
            participant.mark(slot);
        }
        self.counters.nack_overflow += overflow;
    }

    fn sender_report(&mut self, stream: StreamId, ntp: u64, timestamp: u32) {
        let Some(index) = self.source_of(stream) else { return };
        let (participants, sources) = (&mut *self.participants, &mut *self.sources);
        let Some(participant) = participants.get_mut(self.index) else {
            return;
        };
        let leader = participant.wall_clock.map(|clock| clock.leader);
        let leader = leader.filter(|leader| participant.sources.contains(leader));
        let leader_media = leader.and_then(|leader| sources.get(leader)).map(|leader| leader.media);
        let Some(source) = sources.get_mut(index) else { return };
        let media = source.media;
        let Some(timeline) = source.timeline.as_mut().filter(|timeline| timeline.has_begun()) else {
            return;
        };
        let Some(extended) = timeline.reported(self.now, timestamp) else {
            self.counters.strange_reports += 1;
            return;
        };
        // Sound is not moved if that can be helped: it takes the lead as soon as it is there.
        let begins_to_lead = leader.is_none() || media == Kind::Audio && leader_media != Some(Kind::Audio);
        let clock = participant.wall_clock.filter(|_| !begins_to_lead);
        if let Some(clock) = WallClock::follow_report(clock, index, timeline, extended, ntp) {
            participant.wall_clock = Some(clock);
        }
    }
}
