use std::num::NonZeroU32;
use std::time::Instant;

use peer::{Kind, StreamId};
use rtp::{RtpClock, Ssrc};
use wire::Serial;

use crate::SourceKind;
use crate::key_frames::KeyFrameRequests;
use crate::numbering::Numbering;
use crate::ring::ByteRing;

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
    timeline: Option<RtpClock>,
    /// Whether `timeline` rests on a sender report, and not only on arrival.
    reported: bool,
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
            reported: false,
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
            self.timeline = None;
            self.reported = false;
        }
    }

    pub(crate) const fn numbering(&mut self) -> &mut Numbering {
        &mut self.numbering
    }

    /// Takes note of a packet's timestamp: before the first sender report, the first packet's arrival tells the time.
    pub(crate) fn follow_timestamp(&mut self, now: Instant, timestamp: u32, clock_rate: u32) {
        if self.timeline.is_none() {
            self.timeline = NonZeroU32::new(clock_rate).map(|rate| RtpClock::new(rate, now, timestamp));
        }
    }

    /// A sender report told that `timestamp` is at server time `at`. Returns whether the source's place in time has
    /// changed by something that matters.
    pub(crate) fn follow_report(&mut self, at: Instant, timestamp: u32) -> bool {
        let Some(timeline) = &mut self.timeline else {
            return false;
        };
        if self.reported {
            // Placed for good: the slots' timestamps run on one line, and a publisher's clocks drift together.
            return false;
        }
        self.reported = true;
        *timeline = RtpClock::new(timeline.rate(), at, timestamp);
        true
    }

    /// The newest timestamp among the last packets, of which some may have come late.
    pub(crate) fn newest_timestamp(&self) -> Option<u32> {
        const LAST: u64 = 16;
        let next = self.ring.next_index();
        let last = (next.saturating_sub(LAST)..next).filter_map(|index| self.ring.entry(index));
        let timestamps = last
            .filter(|entry| entry.generation == self.generation)
            .map(|entry| entry.timestamp);
        timestamps.reduce(|newest, other| if newest.distance_to(other) > 0 { other } else { newest })
    }

    /// The server time of a timestamp of a packet that came near `arrival`.
    pub(crate) fn time_of(&self, timestamp: u32, arrival: Instant) -> Option<Instant> {
        self.timeline?.instant(timestamp, arrival)
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
    use std::time::Duration;

    fn source() -> Source {
        Source::new(0, 0, StreamId(0), Kind::Audio)
    }

    #[test]
    fn a_new_ssrc_begins_a_new_generation() {
        let mut source = source();
        let now = Instant::now();
        source.follow_ssrc(Ssrc(1));
        source.follow_timestamp(now, 1000, 48_000);
        assert_eq!((source.generation, source.time_of(1000, now)), (0, Some(now)));
        source.follow_ssrc(Ssrc(1));
        assert_eq!(source.generation, 0);
        source.follow_ssrc(Ssrc(2));
        assert_eq!((source.generation, source.time_of(1000, now)), (1, None));
    }

    #[test]
    fn a_sender_report_corrects_the_place_in_time_once() {
        let mut source = source();
        let now = Instant::now() + Duration::from_secs(10);
        assert!(!source.follow_report(now, 5), "nothing to correct");
        source.follow_ssrc(Ssrc(1));
        source.follow_timestamp(now, 48_000, 48_000);
        let captured = now - Duration::from_millis(30);
        assert!(source.follow_report(captured, 48_000));
        assert_eq!(source.time_of(96_000, now), Some(captured + Duration::from_secs(1)));
        assert!(!source.follow_report(now, 48_000));
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
