use std::time::Instant;

use peer::{Kind, StreamId};

use crate::SourceKind;
use crate::choice::{self, Areas, MAX_LAYERS, Set};
use crate::demand::Demand;
use crate::layer::Layer;
use crate::speech::{self, SpeechActivity};

/// Who has a source in which slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Subscriber {
    pub(crate) participant: u32,
    pub(crate) slot: u32,
}

/// What one participant sends in one section, in one layer or several, and who gets it.
///
/// Sources belong to the SFU and not to a peer, so that a packet can be read here while another peer seals it.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) publisher: u32,
    pub(crate) section: usize,
    pub(crate) media: Kind,
    pub(crate) kind: SourceKind,
    pub(crate) muted: bool,
    /// One without simulcast, else as they were offered.
    pub(crate) layers: Vec<Layer>,
    /// The slots in which it is sent.
    pub(crate) subscribers: Vec<Subscriber>,
    /// Those in which it is while nothing of it is sent there.
    pub(crate) paused: Vec<Subscriber>,
    /// It waits in the list of sources whose subscribers have something to send.
    pub(crate) touched: bool,
    /// It waits in the list of those whose publisher may have to be told something else.
    pub(crate) reviewed: bool,
    pub(crate) demand: Demand,
    /// What is heard of a microphone.
    activity: SpeechActivity,
}

impl Source {
    /// What comes in a section in these streams; more than [`MAX_LAYERS`] are not listened to.
    pub(crate) fn new(publisher: u32, section: usize, streams: &[peer::Stream], media: Kind) -> Self {
        let streams = streams.get(..MAX_LAYERS).unwrap_or(streams);
        Self {
            publisher,
            section,
            media,
            kind: if media == Kind::Audio {
                SourceKind::Microphone
            } else {
                SourceKind::Camera
            },
            muted: false,
            layers: streams.iter().map(|stream| Layer::new(stream, media)).collect(),
            subscribers: Vec::new(),
            paused: Vec::new(),
            touched: false,
            reviewed: false,
            demand: Demand::new(streams.len()),
            activity: SpeechActivity::default(),
        }
    }

    /// Whether it is what comes in these streams.
    pub(crate) fn is_of(&self, streams: &[peer::Stream]) -> bool {
        let streams = streams.iter().map(|stream| stream.id).take(MAX_LAYERS);
        self.layers.iter().map(|layer| layer.stream).eq(streams)
    }

    /// The layer that comes in a stream.
    pub(crate) fn layer_of(&self, stream: StreamId) -> Option<usize> {
        self.layers.iter().position(|layer| layer.stream == stream)
    }

    /// One subscriber less.
    pub(crate) fn unsubscribe(&mut self, subscriber: Subscriber) {
        for list in [&mut self.subscribers, &mut self.paused] {
            if let Some(place) = list.iter().position(|other| *other == subscriber) {
                list.swap_remove(place);
            }
        }
        for layer in &mut self.layers {
            layer.unsubscribe(subscriber);
        }
    }

    /// How large its layers are.
    pub(crate) fn areas(&self) -> Areas {
        choice::areas(self.layers.iter().map(|layer| layer.size))
    }

    /// The layers that can be had.
    pub(crate) fn usable(&self) -> Set {
        let usable = self
            .layers
            .iter()
            .enumerate()
            .filter(|(_, layer)| layer.flow.is_usable());
        usable.fold(0, |set, (place, _)| set | 1 << place)
    }

    /// Takes note that a packet of a layer came. Returns whether other layers can be had now than before.
    pub(crate) fn follow_flow(&mut self, now: Instant, layer: usize) -> bool {
        let mut changed = false;
        for (place, other) in self.layers.iter_mut().enumerate() {
            changed |= if place == layer {
                other.flow.packet(now)
            } else {
                other.flow.other(now, !other.subscribers.is_empty())
            };
        }
        changed
    }

    /// Takes note of the audio level of a packet (RFC 6464 §3: 0 is the loudest, 127 silence) and of its place in time.
    /// Returns whether somebody begins to speak. A packet without a level is taken for speech: there are publishers
    /// that tell none, and they are to be heard.
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

    #[test]
    fn a_muted_microphone_never_speaks_and_one_that_tells_no_levels_always_does() {
        let now = Instant::now();
        let speaks = |muted: bool, level: Option<u8>| {
            let mut source = Source::new(
                0,
                0,
                &[peer::Stream {
                    id: StreamId(0),
                    rid: None,
                }],
                Kind::Audio,
            );
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
