use std::num::NonZeroU32;
use std::time::Instant;

use peer::{Kind, StreamId};
use rtp::Ssrc;

use crate::SourceKind;
use crate::key_frames::KeyFrameRequests;
use crate::numbering::Numbering;
use crate::ring::ByteRing;
use crate::speech::{self, SpeechActivity};
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
    /// Those in whose slots it is while nothing of it is sent there.
    pub(crate) paused: Vec<Subscriber>,
    pub(crate) requests: KeyFrameRequests,
    /// It waits in the list of sources whose subscribers have something to send.
    pub(crate) touched: bool,
    /// Packets of another generation have no relation to those before: the publisher began anew with another SSRC.
    pub(crate) generation: u32,
    ssrc: Option<Ssrc>,
    numbering: Numbering,
    /// `None` before the first packet.
    pub(crate) timeline: Option<Timeline>,
    /// What is heard of a microphone.
    activity: SpeechActivity,
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
            paused: Vec::new(),
            requests: KeyFrameRequests::default(),
            touched: false,
            generation: 0,
            ssrc: None,
            numbering: Numbering::default(),
            timeline: None,
            activity: SpeechActivity::default(),
        }
    }

    /// One subscriber less; with the last one nobody needs a key frame any more.
    pub(crate) fn unsubscribe(&mut self, subscriber: Subscriber) {
        for list in [&mut self.subscribers, &mut self.paused] {
            if let Some(place) = list.iter().position(|other| *other == subscriber) {
                list.swap_remove(place);
            }
        }
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

    /// Takes note of the audio level of a packet (RFC 6464 §3: 0 is the loudest, 127 silence) and of its place in time.
    /// Returns whether somebody begins to speak. A packet without a level is taken for speech: there are publishers that tell
    /// none, and they are to be heard.
    pub(crate) fn follow_level(&mut self, now: Instant, time: i64, clock_rate: u32, level: Option<u8>) -> bool {
        if self.kind != SourceKind::Microphone {
            return false;
        }
        let level = if self.muted {
            speech::SILENT
        } else {
            level.unwrap_or(speech::UNTOLD)
        };
        let frame = (time * speech::FRAMES_PER_SECOND).div_euclid(i64::from(clock_rate.max(1)));
        self.activity.follow(now, frame, level)
    }

    /// When somebody spoke last in it, muted by now or not.
    pub(crate) const fn spoke(&self) -> Option<Instant> {
        self.activity.spoke()
    }

    /// What is heard of it; nothing when muted.
    pub(crate) fn activity(&self) -> Option<SpeechActivity> {
        (!self.muted).then_some(self.activity)
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
    fn a_muted_microphone_never_speaks_and_one_that_tells_no_levels_always_does() {
        let now = Instant::now();
        let speaks = |muted: bool, level: Option<u8>| {
            let mut source = source();
            source.muted = muted;
            (0..20).any(|n| source.follow_level(now, n * 960, 48_000, level))
        };
        assert!(speaks(false, Some(20)));
        assert!(!speaks(false, Some(100)));
        assert!(speaks(false, None));
        assert!(!speaks(true, Some(20)));
        assert!(!speaks(true, None));
    }
}
