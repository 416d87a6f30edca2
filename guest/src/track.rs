use std::collections::VecDeque;
use std::time::{Duration, Instant};

use peer::{Extension, Peer, Section, SenderId};
use rtp::extension::AudioLevel;
use rtp::{PayloadType, RtpOut};

use crate::ivf::is_key_frame;
use crate::media::Media;
use crate::sockets::Sockets;

/// What a guest sends in one section, and what of it can be sent again.
#[derive(Debug)]
pub(crate) struct Track {
    sender: SenderId,
    payload_type: PayloadType,
    mid: (u8, String),
    transport_cc: Option<u8>,
    audio_level: Option<u8>,
    next_sequence: u64,
    start: Instant,
    /// How many frames, or packets of sound, were sent.
    count: u32,
    /// The place in the file.
    place: usize,
    history: VecDeque<Sent>,
    picture_id: u16,
}

/// A packet that was sent.
#[derive(Debug)]
struct Sent {
    sequence: u64,
    timestamp: u32,
    marker: bool,
    payload: Vec<u8>,
}

/// How many packets can be sent again: more than a second of the picture.
const HISTORY: usize = 512;
/// The largest payload, so that a packet with all its extensions and its tag stays below 1200 bytes.
const MAX_PAYLOAD: usize = 1100;
/// Sound without a sound: a frame of 20 ms, as Opus encodes silence.
const SILENCE: [u8; 3] = [0xf8, 0xff, 0xfe];
/// RFC 6464: -20 dBov while somebody speaks, -127 while not.
const LOUD: u8 = 20;
const SILENT: u8 = 127;

impl Track {
    /// The track of a section that was agreed to for sending.
    pub(crate) fn new(peer: &Peer, section: &Section, start: Instant) -> Option<Self> {
        let sender = peer.sender(section.sender()?)?;
        let ids = section.extensions();
        Some(Self {
            sender: sender.id(),
            payload_type: section.formats().first()?.payload_type,
            mid: (ids.get(Extension::Mid)?, section.mid().to_owned()),
            transport_cc: ids.get(Extension::TransportCc),
            audio_level: ids.get(Extension::AudioLevel),
            next_sequence: sender.first_sequence(),
            start,
            count: 0,
            place: 0,
            history: VecDeque::new(),
            picture_id: 0,
        })
    }

    pub(crate) const fn sender(&self) -> SenderId {
        self.sender
    }

    /// When the next frame, or packet of sound, is due; `interval` is the time that one lasts.
    pub(crate) fn due(&self, interval: Duration) -> Instant {
        self.start + interval * self.count
    }

    /// Goes on with the next key frame of the file.
    pub(crate) fn jump_to_key_frame(&mut self, media: &Media) {
        let ahead = (0..media.frames.len()).map(|step| (self.place + step) % media.frames.len());
        let key = ahead
            .into_iter()
            .find(|place| media.frames.get(*place).is_some_and(|frame| is_key_frame(frame)));
        self.place = key.unwrap_or(0);
    }

    /// Sends the next packet of sound, or silence.
    pub(crate) fn send_sound(&mut self, media: &Media, speaking: bool, call: &mut Call<'_>) {
        let timestamp = self.count.wrapping_mul(960);
        let payload = match media.sound.get(self.place) {
            Some(sound) if speaking => sound.clone(),
            _ => SILENCE.to_vec(),
        };
        self.place = (self.place + 1) % media.sound.len().max(1);
        self.count += 1;
        let level = AudioLevel {
            voice: speaking,
            level: if speaking { LOUD } else { SILENT },
        };
        self.send(timestamp, false, Some(level), payload, call);
    }

    /// Sends the next frame, in as many packets as it takes (RFC 7741).
    pub(crate) fn send_frame(&mut self, media: &Media, call: &mut Call<'_>) {
        let ticks = 90_000.0 * f64::from(self.count) / media.frame_rate;
        let timestamp = ticks as u64 as u32;
        let Some(frame) = media.frames.get(self.place) else {
            return;
        };
        self.place = (self.place + 1) % media.frames.len();
        self.count += 1;
        self.picture_id = (self.picture_id + 1) & 0x7fff;
        let [high, low] = self.picture_id.to_be_bytes();
        let pieces = frame.chunks(MAX_PAYLOAD).count();
        for (nth, piece) in frame.chunks(MAX_PAYLOAD).enumerate() {
            // X, and S in the first; I, L and T; a picture id of 15 bits, TL0PICIDX, the lowest temporal layer.
            let start = if nth == 0 { 0x90 } else { 0x80 };
            let payload = [&[start, 0xe0, 0x80 | high, low, low, 0], piece].concat();
            self.send(timestamp, nth + 1 == pieces, None, payload, call);
        }
    }

    fn send(&mut self, timestamp: u32, marker: bool, level: Option<AudioLevel>, payload: Vec<u8>, call: &mut Call<'_>) {
        let sent = Sent {
            sequence: self.next_sequence,
            timestamp,
            marker,
            payload,
        };
        self.next_sequence += 1;
        self.write(&sent, level, false, call);
        self.history.truncate(HISTORY - 1);
        self.history.push_front(sent);
    }

    /// Answers a NACK, as far as it is remembered what was sent.
    pub(crate) fn send_again(&self, sequences: &[u64], call: &mut Call<'_>) {
        for sequence in sequences {
            let newest = self.history.front().map_or(0, |sent| sent.sequence);
            // The history has no gaps.
            let back = newest
                .checked_sub(*sequence)
                .and_then(|back| usize::try_from(back).ok());
            if let Some(sent) = back.and_then(|back| self.history.get(back)) {
                self.write(sent, None, true, call);
            }
        }
    }

    fn write(&self, sent: &Sent, level: Option<AudioLevel>, again: bool, call: &mut Call<'_>) {
        *call.transport_sequence = call.transport_sequence.wrapping_add(1);
        let number = call.transport_sequence.to_be_bytes();
        let level = level.map(AudioLevel::to_bytes);
        let mut extensions: Vec<(u8, &[u8])> = vec![(self.mid.0, self.mid.1.as_bytes())];
        extensions.extend(self.transport_cc.map(|id| (id, &number[..])));
        if let (Some(id), Some(level)) = (self.audio_level, &level) {
            extensions.push((id, level));
        }
        let header = RtpOut {
            payload_type: self.payload_type,
            marker: sent.marker,
            sequence_number: sent.sequence,
            timestamp: sent.timestamp,
            extensions: &extensions,
            ..RtpOut::default()
        };
        let mut out = [0; Peer::MIN_OUT_RELAYED];
        let payload = [&sent.payload[..]];
        let written = if again {
            call.peer.write_rtx(call.now, self.sender, &header, &payload, &mut out)
        } else {
            call.peer.write_rtp(call.now, self.sender, &header, &payload, &mut out)
        };
        let sent = written
            .ok()
            .and_then(|len| call.peer.send_written(call.now, len, &mut out));
        if let Some(transmit) = sent {
            let bytes = out.get(..transmit.len).unwrap_or_default();
            call.sockets.send(&transmit.path, bytes);
        }
    }
}

/// What sending needs beside the track.
pub(crate) struct Call<'a> {
    pub(crate) now: Instant,
    pub(crate) peer: &'a mut Peer,
    pub(crate) transport_sequence: &'a mut u16,
    pub(crate) sockets: &'a mut Sockets,
}
