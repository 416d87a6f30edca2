use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use peer::{Kind, StreamId};
use rtp::Ssrc;

use crate::Config;
use crate::choice::Size;
use crate::flow::Flow;
use crate::key_frames::KeyFrameRequests;
use crate::numbering::Numbering;
use crate::ring::{ByteRing, Header};
use crate::source::Subscriber;
use crate::timeline::Timeline;

/// A key frame that came no longer ago than this is begun with, late as it is, instead of asking for another one.
const FRESH: Duration = Duration::from_millis(100);
/// A layer of another size may mean another layer for each of its viewers, which has to begin anew there: no publisher
/// makes them do so more often than this.
const RESIZE_PAUSE: Duration = Duration::from_secs(1);
/// The areas up to which a layer's ring is a quarter and half of that of a source: of smaller pictures less is sent.
const SMALL: [u64; 2] = [Size::new(480, 270).area(), Size::new(960, 540).area()];

/// One stream of a source, a layer of simulcast or all there is: the ring of its last packets, its numbers, its place
/// in time.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) stream: StreamId,
    pub(crate) media: Kind,
    /// Its name, with simulcast.
    pub(crate) rid: Option<String>,
    /// Unused until the first packet comes.
    pub(crate) ring: ByteRing,
    /// The slots that get it, or are to begin with its next key frame.
    pub(crate) subscribers: Vec<Subscriber>,
    pub(crate) requests: KeyFrameRequests,
    /// Something came that its subscribers were not told of.
    pub(crate) fresh: bool,
    /// Packets of another generation have no relation to those before: the publisher began anew with another SSRC.
    pub(crate) generation: u32,
    /// The size that it is taken to have: that of its last key frame, unless it changed a moment before that too.
    pub(crate) size: Option<Size>,
    /// When it changed.
    resized: Option<Instant>,
    /// The size of its last key frame.
    newest_size: Option<Size>,
    pub(crate) flow: Flow,
    /// The ring's number of the last packet with which a decoder can begin, and when it came.
    key_frame: Option<(u64, Instant)>,
    ssrc: Option<Ssrc>,
    numbering: Numbering,
    /// `None` before the first packet.
    pub(crate) timeline: Option<Timeline>,
}

impl Layer {
    pub(crate) fn new(stream: &peer::Stream, media: Kind) -> Self {
        Self {
            stream: stream.id,
            media,
            rid: stream.rid.clone(),
            ring: ByteRing::unused(),
            subscribers: Vec::new(),
            requests: KeyFrameRequests::default(),
            fresh: false,
            generation: 0,
            size: None,
            resized: None,
            newest_size: None,
            flow: Flow::default(),
            key_frame: None,
            ssrc: None,
            numbering: Numbering::default(),
            timeline: None,
        }
    }

    /// One subscriber more. Gives the place in the ring from which on it looks: that of a key frame which comes just
    /// now, or came a moment ago to somebody to whom the source is `unknown`.
    pub(crate) fn subscribe(&mut self, now: Instant, subscriber: Subscriber, unknown: bool) -> u64 {
        self.subscribers.push(subscriber);
        let age = if unknown { FRESH } else { Duration::ZERO };
        let fresh = |(_, at): &(u64, Instant)| now.saturating_duration_since(*at) <= age;
        let key_frame = self.key_frame.filter(|_| self.media == Kind::Video).filter(fresh);
        key_frame.map_or_else(|| self.ring.next_index(), |(index, _)| index)
    }

    /// One subscriber less; with the last one nobody needs a key frame any more.
    pub(crate) fn unsubscribe(&mut self, subscriber: Subscriber) {
        if let Some(place) = self.subscribers.iter().position(|other| *other == subscriber) {
            self.subscribers.swap_remove(place);
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

    /// Takes note of the size of a key frame, if one begins in this packet. Returns whether the layer has another size
    /// now.
    pub(crate) fn follow_size(&mut self, now: Instant, size: Option<Size>) -> bool {
        self.newest_size = size.or(self.newest_size);
        let paused = |at| now.saturating_duration_since(at) < RESIZE_PAUSE;
        if self.newest_size == self.size || self.resized.is_some_and(paused) {
            return false;
        }
        // Encoders often begin with a smaller picture: the first change need not wait.
        self.resized = self.size.map(|_| now);
        self.size = self.newest_size;
        true
    }

    pub(crate) const fn numbering(&mut self) -> &mut Numbering {
        &mut self.numbering
    }

    /// Its place in time, which begins with its first packet.
    pub(crate) fn timeline(&mut self, arrival: Instant, clock_rate: u32) -> &mut Timeline {
        let rate = NonZeroU32::new(clock_rate).unwrap_or(NonZeroU32::MIN);
        self.timeline
            .get_or_insert_with(|| Timeline::new(self.media, rate, arrival))
    }

    /// Keeps a packet. `alone` tells that it is all that its source sends. Returns whether there is room for it at all.
    pub(crate) fn push(
        &mut self,
        now: Instant,
        config: &Config,
        alone: bool,
        header: Header,
        extensions: &[u8],
        payload: &[u8],
    ) -> bool {
        if self.ring.is_unused() {
            let (bytes, entries) = match self.media {
                Kind::Video => (config.video_ring_bytes, config.history.max(256)),
                _ => (config.audio_ring_bytes, 256),
            };
            // One that is alone may grow with its publisher's link.
            let area = self.size.filter(|_| !alone).map_or(u64::MAX, Size::area);
            let halves = SMALL.iter().filter(|small| area <= **small).count();
            self.ring = ByteRing::new(bytes >> halves, entries);
        }
        let Some(index) = self.ring.push(header, extensions, payload) else {
            return false;
        };
        if header.starts_key_frame {
            self.requests.satisfied();
            self.key_frame = Some((index, now));
        }
        self.fresh = true;
        true
    }

    /// Whether it is a key frame, with which somebody can begin, that stands here in the ring.
    pub(crate) fn starts_at(&self, index: u64) -> bool {
        self.ring.entry(index).is_some_and(|entry| entry.starts_key_frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_ssrc_begins_a_new_generation_after_the_old_one() {
        let stream = peer::Stream {
            id: StreamId(0),
            rid: None,
        };
        let mut layer = Layer::new(&stream, Kind::Audio);
        let now = Instant::now();
        layer.follow_ssrc(Ssrc(1));
        assert_eq!(layer.timeline(now, 48_000).place(now, 1000, false, true), Some(0));
        layer.follow_ssrc(Ssrc(1));
        assert_eq!(layer.generation, 0);
        layer.follow_ssrc(Ssrc(2));
        assert_eq!(layer.generation, 1);
        assert_eq!(layer.timeline(now, 48_000).place(now, 7, false, true), Some(960));
    }

    #[test]
    fn a_layer_changes_its_size_once_a_second() {
        let stream = peer::Stream {
            id: StreamId(0),
            rid: None,
        };
        let mut layer = Layer::new(&stream, Kind::Video);
        let start = Instant::now();
        let (small, large) = (Size::new(320, 180), Size::new(640, 360));
        let mut follow = |ms, size| (layer.follow_size(start + Duration::from_millis(ms), size), layer.size);
        assert_eq!(follow(0, None), (false, None));
        assert_eq!(follow(0, Some(small)), (true, Some(small)));
        assert_eq!(follow(100, Some(large)), (true, Some(large)));
        assert_eq!(follow(200, Some(small)), (false, Some(large)));
        assert_eq!(follow(300, Some(large)), (false, Some(large)));
        assert_eq!(follow(400, Some(small)), (false, Some(large)));
        assert_eq!(follow(1099, None), (false, Some(large)));
        // It is not forgotten, whenever the next key frame comes.
        assert_eq!(follow(1100, None), (true, Some(small)));
    }
}
