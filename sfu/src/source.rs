use std::num::NonZeroU32;
use std::time::Instant;

use peer::{Kind, StreamId};
use rtp::Ssrc;

use crate::SourceKind;
use crate::key_frames::KeyFrameRequests;
use crate::numbering::Numbering;
use crate::ring::ByteRing;
use crate::timeline::Timeline;

/// Who has a source in which slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Subscriber {
    pub(crate) participant: u32,
    pub(crate) slot: u32,
}

/// What one participant sends in one section: the ring of its last packets, and who gets them.
///
/// Sources belong to the SFU and not to a peer, so that a packet can be read here while another peer seals it.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) publisher: u32,
    pub(crate) section: usize,
    pub(crate) stream: StreamId,
    pub(crate) media: Kind,
    pub(crate) kind: SourceKind,
    pub(crate) muted: bool,
    /// Unused until the first packet comes.
    pub(crate) ring: ByteRing,
    pub(crate) subscribers: Vec<Subscriber>,
    pub(crate) requests: KeyFrameRequests,
    /// It waits in the list of sources whose subscribers have something to send.
    pub(crate) touched: bool,
    /// Packets of another generation have no relation to those before: the publisher began anew with another SSRC.
    pub(crate) generation: u32,
    ssrc: Option<Ssrc>,
    numbering: Numbering,
    /// `None` before the first packet.
    pub(crate) timeline: Option<Timeline>,
    /// Smoothed audio level, 0 (silence) to 127 in units of 1/256 dB over -127 dBov.
    loudness: u16,
}

impl Source {
    pub(crate) fn new(publisher: u32, section: usize, stream: StreamId, media: Kind) -> Self {
        Self {
            publisher,
            section,
            stream,
            media,
            kind: if media == Kind::Audio {
                SourceKind::Microphone
            } else {
                SourceKind::Camera
            },
            muted: false,
            ring: ByteRing::unused(),
            subscribers: Vec::new(),
            requests: KeyFrameRequests::default(),
            touched: false,
            generation: 0,
            ssrc: None,
            numbering: Numbering::default(),
            timeline: None,
            loudness: 0,
        }
    }

    /// One subscriber less; with the last one nobody needs a key frame any more.
    pub(crate) fn unsubscribe(&mut self, subscriber: Subscriber) {
        self.subscribers.retain(|other| *other != subscriber);
        if self.subscribers.is_empty() {
            self.requests.satisfied();
        }
    }

    /// Takes note of the SSRC that a packet came with.
    pub(crate) fn follow_ssrc(&mut self, ssrc: Ssrc) {
        if self.ssrc == Some(ssrc) {
            return;
        }
        if self.ssrc.replace(ssrc).is_some() {
            self.generation = self.generation.wrapping_add(1);
            self.numbering = Numbering::default();
            if let Some(timeline) = &mut self.timeline {
                timeline.begin_anew();
            }
        }
    }

    pub(crate) const fn numbering(&mut self) -> &mut Numbering {
        &mut self.numbering
    }

    /// The source's place in time, which begins with its first packet.
    pub(crate) fn timeline(&mut self, arrival: Instant, clock_rate: u32) -> &mut Timeline {
        let rate = NonZeroU32::new(clock_rate).unwrap_or(NonZeroU32::MIN);
        self.timeline
            .get_or_insert_with(|| Timeline::new(self.media, rate, arrival))
    }

    /// Takes note of an audio level (RFC 6464: 0 is the loudest, 127 silence), smoothed over some twenty packets.
    pub(crate) const fn follow_level(&mut self, level: u8) {
        let loud = (127 - (level & 0x7f)) as i32 * 256;
        let step = (loud - self.loudness as i32) / 16;
        self.loudness = (self.loudness as i32 + step) as u16;
    }

    /// How loud it has been lately; 0 when muted.
    pub(crate) const fn loudness(&self) -> u16 {
        if self.muted { 0 } else { self.loudness }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> Source {
        Source::new(0, 0, StreamId(0), Kind::Audio)
    }

    #[test]
    fn a_new_ssrc_begins_a_new_generation_after_the_old_one() {
        let mut source = source();
        let now = Instant::now();
        source.follow_ssrc(Ssrc(1));
        assert_eq!(source.timeline(now, 48_000).place(now, 1000, false, true), Some(0));
        source.follow_ssrc(Ssrc(1));
        assert_eq!(source.generation, 0);
        source.follow_ssrc(Ssrc(2));
        assert_eq!(source.generation, 1);
        assert_eq!(source.timeline(now, 48_000).place(now, 7, false, true), Some(960));
    }

    #[test]
    fn loudness_follows_speech_and_ignores_a_click() {
        let (mut speaker, mut click) = (source(), source());
        for _ in 0..50 {
            speaker.follow_level(20);
            click.follow_level(127);
        }
        click.follow_level(0);
        assert!(speaker.loudness() > 4 * click.loudness());
        speaker.muted = true;
        assert_eq!(speaker.loudness(), 0);
    }
}
