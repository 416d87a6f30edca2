use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use peer::{Codec, Kind, SenderId, Sink, StreamInfo};
use rtp::Packet;

use crate::messages;
use crate::pictures::Head;
use crate::report::SlotReport;
use crate::slot::{Received, Slot};
use crate::voices::Voices;

/// Everything that comes to a guest.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    pub(crate) now: Option<Instant>,
    /// By mid.
    pub(crate) slots: BTreeMap<String, Slot>,
    /// When the first complete key frame of somebody came.
    pub(crate) pictures: BTreeMap<String, Instant>,
    /// What is to be sent again.
    pub(crate) nacks: Vec<(SenderId, Vec<u64>)>,
    /// Who is to send a key frame.
    pub(crate) key_frames: Vec<SenderId>,
    pub(crate) voices: Voices,
}

/// Sound that came within this time is heard at once.
const AT_ONCE: Duration = Duration::from_millis(200);
/// NACKs that wait at most: they are answered after each datagram.
const MAX_NACKS: usize = 64;

impl Inbox {
    /// Takes what the server says about who is where.
    pub(crate) fn assign(&mut self, slots: Vec<messages::Slot>) {
        for told in slots {
            let slot = self.slots.entry(told.mid.clone()).or_default();
            slot.report.mid = told.mid;
            let early = slot.assign(told.participant.clone(), told.name);
            if let (Some(participant), Some(came)) = (told.participant, early) {
                self.pictures.entry(participant).or_insert(came);
            }
        }
    }

    /// Whose sound came lately.
    pub(crate) fn heard(&self, now: Instant) -> Vec<String> {
        let heard = |slot: &&Slot| {
            let lately = slot.last_packet.is_some_and(|last| now < last + AT_ONCE);
            !slot.report.video && lately
        };
        let names = self.slots.values().filter(heard);
        names.map(|slot| slot.report.name.clone().unwrap_or_default()).collect()
    }

    pub(crate) fn settle(&mut self, now: Instant) {
        self.slots.values_mut().for_each(|slot| slot.settle(now));
    }

    pub(crate) fn reports(&self) -> Vec<SlotReport> {
        let mut reports: Vec<SlotReport> = self.slots.values().map(|slot| slot.report.clone()).collect();
        reports.sort_by_key(|report| report.mid.parse().unwrap_or(u32::MAX));
        reports
    }
}

impl Sink for Inbox {
    fn rtp(&mut self, info: &StreamInfo<'_>, packet: Packet<&mut [u8]>) {
        if packet.is_padding_only() {
            return;
        }
        let now = self.now.unwrap_or(info.arrival);
        let slot = self.slots.entry(info.mid.to_owned()).or_default();
        slot.report.video = info.kind == Kind::Video;
        if info.kind == Kind::Audio && !info.repair {
            self.voices.take(info.mid, packet.timestamp());
        }
        let received = Received {
            sequence: info.sequence,
            timestamp: packet.timestamp(),
            marker: packet.marker(),
            repair: info.repair,
            key_frame: info.codec == Codec::Vp8 && rtp::codec::vp8::is_key_frame(packet.payload()),
            clock_rate: info.clock_rate,
            head: (info.codec == Codec::Vp8).then(|| Head::new(packet.timestamp(), packet.payload())),
        };
        if slot.take(now, received)
            && let Some(participant) = &slot.report.participant
        {
            self.pictures.entry(participant.clone()).or_insert(now);
        }
    }

    fn key_frame_request(&mut self, sender: SenderId) {
        if !self.key_frames.contains(&sender) {
            self.key_frames.push(sender);
        }
    }

    fn nack(&mut self, sender: SenderId, sequences: &mut dyn Iterator<Item = u64>) {
        if self.nacks.len() < MAX_NACKS {
            self.nacks.push((sender, sequences.collect()));
        }
    }
}
