use std::collections::VecDeque;
use std::time::{Duration, Instant};

use peer::{Kind, SenderId, Sink, StreamId, StreamInfo};
use rtp::Packet;

use crate::counters::Counters;
use crate::extensions::{Elements, Ids};
use crate::lines::Said;
use crate::participant::{Participant, Role};
use crate::payload;
use crate::ring::Header;
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
    /// Sources of which other layers can be had now.
    pub(crate) changed: &'a mut Vec<u32>,
    /// What members said on data channels.
    pub(crate) said: &'a mut VecDeque<Said>,
    pub(crate) counters: &'a mut Counters,
}

impl Ingress<'_> {
    /// The source and the layer of it that come in a stream.
    fn source_of(&self, stream: StreamId) -> Option<(u32, usize)> {
        let participant = self.participants.get(self.index)?;
        let mut sources = participant.sources.iter();
        sources.find_map(|&index| Some((index, self.sources.get(index)?.layer_of(stream)?)))
    }

    fn slot_of(&mut self, sender: SenderId) -> Option<(&mut Participant, u32)> {
        let participant = self.participants.get_mut(self.index)?;
        let slot = participant.slot_of(sender)?;
        Some((participant, slot))
    }

    fn store(&mut self, (index, place): (u32, usize), info: &StreamInfo<'_>, packet: &Packet<&mut [u8]>) {
        let Some(source) = self.sources.get_mut(index) else {
            return;
        };
        let alone = source.layers.len() == 1;
        let Some(layer) = source.layers.get_mut(place) else {
            return;
        };
        layer.follow_ssrc(info.ssrc);
        let payload = packet.payload();
        if payload.is_empty() {
            // Padding ends here and leaves no gap.
            if !layer.numbering().drop(info.sequence) {
                self.counters.late_padding += 1;
            }
            return;
        }
        let newer = layer.numbering().is_newer(info.sequence);
        let timeline = layer.timeline(info.arrival, info.clock_rate);
        let Some(time) = timeline.place(info.arrival, packet.timestamp(), packet.marker(), newer) else {
            // Like padding: what follows closes up.
            layer.numbering().drop(info.sequence);
            self.counters.misplaced_packets += 1;
            return;
        };
        let Some(seq) = layer.numbering().number(info.sequence) else {
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
        let starts_key_frame = payload::starts_key_frame(info.codec, payload);
        let mut changed = false;
        if !alone {
            let size = starts_key_frame.then(|| payload::picture_size(info.codec, payload));
            changed = layer.follow_size(self.now, size.flatten());
        }
        let header = Header {
            seq,
            time,
            codec: info.codec,
            marker: packet.marker(),
            starts_key_frame,
            generation: layer.generation,
            counted: payload::Counted::of(info.codec, payload),
        };
        if !layer.push(self.now, self.config, alone, header, elements.as_bytes(), payload) {
            self.counters.oversized_packets += 1;
            return;
        }
        if !alone && !info.repair {
            changed |= source.follow_flow(self.now, place);
        }
        if source.follow_level(info.arrival, time, info.clock_rate, level) {
            self.begun.push(index);
        }
        if changed {
            self.changed.push(index);
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
            Some(place) => self.store(place, info, &packet),
            None => self.counters.unknown_source += 1,
        }
    }

    fn key_frame_request(&mut self, sender: SenderId) {
        let Some((source, layer)) = self
            .slot_of(sender)
            .and_then(|(participant, slot)| participant.slots[slot as usize].source())
        else {
            return;
        };
        if let Some(wanted) = self
            .sources
            .get_mut(source)
            .and_then(|source| source.layers.get_mut(layer))
        {
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

    fn channel_opened(&mut self, channel: &peer::Channel) {
        if let Some(participant) = self.participants.get_mut(self.index)
            && participant.role == Role::Member
        {
            participant.lines.add(channel);
        }
    }

    fn message(&mut self, channel: &peer::Channel, kind: peer::MessageKind, payload: &[u8]) {
        let Some(participant) = self.participants.get_mut(self.index) else {
            return;
        };
        if participant.role == Role::Echo {
            participant.echo.push(channel.id(), kind, payload);
            return;
        }
        match Said::read(participant.id, channel.id(), kind, payload) {
            Some(said) => self.said.push_back(said),
            None => self.counters.malformed_messages += 1,
        }
    }

    fn receiver_report(&mut self, _: SenderId, expected: u32, lost: u32) {
        if let Some(participant) = self.participants.get_mut(self.index) {
            participant.link.report(self.now, expected, lost);
        }
    }

    fn round_trip(&mut self, _: SenderId, round_trip: Duration) {
        if let Some(participant) = self.participants.get_mut(self.index) {
            participant.link.round_trip(self.now, round_trip);
        }
    }

    fn sender_report(&mut self, stream: StreamId, ntp: u64, timestamp: u32) {
        let Some((index, place)) = self.source_of(stream) else {
            return;
        };
        let (participants, sources) = (&mut *self.participants, &mut *self.sources);
        let Some(participant) = participants.get_mut(self.index) else {
            return;
        };
        let leader = participant.wall_clock.and_then(|clock| {
            let mut own = participant.sources.iter().filter_map(|&source| sources.get(source));
            own.find_map(|source| source.layers.get(source.layer_of(clock.leader)?))
        });
        // A layer that stopped does not know any more what time it is.
        let leader = leader.filter(|leader| leader.flow.last().is_none() || leader.flow.is_usable());
        let leader = leader.map(|leader| leader.media);
        let Some(layer) = sources.get_mut(index).and_then(|source| source.layers.get_mut(place)) else {
            return;
        };
        let media = layer.media;
        let Some(timeline) = layer.timeline.as_mut().filter(|timeline| timeline.has_begun()) else {
            return;
        };
        let Some(extended) = timeline.reported(self.now, timestamp) else {
            self.counters.strange_reports += 1;
            return;
        };
        // Sound is not moved if that can be helped: it takes the lead as soon as it is there.
        let begins_to_lead = leader.is_none() || media == Kind::Audio && leader != Some(Kind::Audio);
        let clock = participant.wall_clock.filter(|_| !begins_to_lead);
        if let Some(clock) = WallClock::follow_report(clock, stream, timeline, extended, ntp) {
            participant.wall_clock = Some(clock);
        }
    }
}
