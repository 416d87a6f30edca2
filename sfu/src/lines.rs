//! What members of a room say to each other on data channels.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use peer::{Channel, ChannelId, ChannelSendError, MessageKind, Reliability};

use crate::participant::Participant;
use crate::{ParticipantId, Sfu};

/// A member's message has so many bytes at most, with its receivers: what every browser takes.
pub(crate) const MAX_MESSAGE: usize = 256 << 10;
/// A member has so many channels open at most.
pub(crate) const MAX_CHANNELS: usize = 16;
/// Their labels and protocols have so many bytes in all at most.
pub(crate) const MAX_TEXT: usize = 4096;
/// What is kept of an unfinished message is at most this long; of what others say to a member, two lines may be full.
const MAX_RECEIVE_WINDOW: u32 = 2 << 20;
const MAX_SEND_BUFFER: usize = 10 << 20;
const MAX_STREAMS: usize = 1024;
/// Of what may get lost so many bytes wait for a receiver at most: what waits longer is of no use any more.
const MAX_WAITING: usize = MAX_MESSAGE;

/// A data channel of a member: its end of the line that the label names.
#[derive(Debug)]
struct End {
    channel: ChannelId,
    label: Arc<str>,
    reliable: bool,
}

/// The data channels of a member, in the order in which they were opened.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    ends: Vec<End>,
}

impl Lines {
    pub(crate) fn add(&mut self, channel: &Channel) {
        let init = channel.init();
        self.ends.push(End {
            channel: channel.id(),
            label: init.label.as_str().into(),
            reliable: init.reliability == Reliability::Reliable,
        });
    }

    pub(crate) fn remove(&mut self, channel: ChannelId) {
        self.ends.retain(|end| end.channel != channel);
    }

    fn label(&self, channel: ChannelId) -> Option<Arc<str>> {
        let end = self.ends.iter().find(|end| end.channel == channel)?;
        Some(end.label.clone())
    }

    /// The newest: who lost a channel and has another one may not know of the end of the first yet.
    fn end(&self, label: &str) -> Option<&End> {
        self.ends.iter().rev().find(|end| *end.label == *label)
    }
}

/// What a member said.
#[derive(Debug)]
pub(crate) struct Said {
    from: u32,
    channel: ChannelId,
    kind: MessageKind,
    /// To these, if not to everybody.
    to: Option<Vec<ParticipantId>>,
    /// Who says it, and what: the same for all who hear it.
    payload: Bytes,
}

impl Said {
    /// Reads `RECEIVERS LF BODY` and makes `SENDER LF BODY` of it. Receivers are numbers with a space between them;
    /// none are all others.
    pub(crate) fn read(from: ParticipantId, channel: ChannelId, kind: MessageKind, message: &[u8]) -> Option<Self> {
        let end = message.iter().position(|&byte| byte == b'\n')?;
        let (receivers, body) = message.split_at(end);
        // A browser may end the connection of who sends it text that is none.
        if kind == MessageKind::Text && std::str::from_utf8(body).is_err() {
            return None;
        }
        let to = if receivers.is_empty() {
            None
        } else {
            let ids = receivers.split(|byte| *byte == b' ').map(number);
            let mut ids = ids
                .map(|bits| bits.map(ParticipantId::from_bits))
                .collect::<Option<Vec<_>>>()?;
            // A hundred thousand times the same one would be as many messages.
            ids.sort_unstable();
            ids.dedup();
            Some(ids)
        };
        let sender = from.to_bits().to_string();
        let payload = [sender.as_bytes(), body].concat();
        Some(Self {
            from: from.index,
            channel,
            kind,
            to,
            payload: payload.into(),
        })
    }
}

/// A number in digits alone.
fn number(digits: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(digits).ok()?;
    // `parse` takes a sign.
    digits.parse().ok().filter(|_| !digits.starts_with('+'))
}

/// What members agree to.
pub(crate) fn member_config(config: &peer::Config) -> peer::Config {
    let mut member = config.clone();
    member.application = true;
    member.channel_limits.max_channels = MAX_CHANNELS;
    member.channel_limits.max_text = MAX_TEXT;
    member.sctp.max_receive_message = member.sctp.max_receive_message.min(MAX_MESSAGE);
    member.sctp.receive_window = member.sctp.receive_window.min(MAX_RECEIVE_WINDOW);
    member.sctp.send_buffer = member.sctp.send_buffer.min(MAX_SEND_BUFFER);
    member.sctp.max_receive_streams = member.sctp.max_receive_streams.min(MAX_STREAMS);
    // It shares its way with voices and pictures, which must not wait behind it.
    member.sctp.congestion = peer::Congestion::DelayFriendly;
    member
}

impl Sfu {
    /// Hands to the others what was said since.
    pub(crate) fn pass_on(&mut self, now: Instant) {
        while let Some(said) = self.said.pop_front() {
            let Some(sender) = self.participants.get(said.from) else {
                continue;
            };
            let (Some(room), Some(label)) = (sender.room, sender.lines.label(said.channel)) else {
                continue;
            };
            if let Some(receivers) = &said.to {
                for receiver in receivers {
                    let is_here = |own: &&Participant| own.id == *receiver && own.room == Some(room);
                    if self.participants.get(receiver.index).filter(is_here).is_some() {
                        self.hand_to(now, receiver.index, &label, &said);
                    }
                }
                continue;
            }
            for place in 0.. {
                let Some(&other) = self.rooms.get(room).and_then(|room| room.participants.get(place)) else {
                    break;
                };
                if other != said.from {
                    self.hand_to(now, other, &label, &said);
                }
            }
        }
    }

    /// Hands one member what was said. One who does not take what must not get lost loses the channel instead, so that
    /// it knows; nobody else waits for it.
    fn hand_to(&mut self, now: Instant, receiver: u32, label: &str, said: &Said) {
        let Some(participant) = self.participants.get_mut(receiver) else {
            return;
        };
        let Some(peer) = self.peers.get_mut(receiver as usize).and_then(Option::as_mut) else {
            return;
        };
        let Some(end) = participant.lines.end(label) else {
            return;
        };
        let (channel, reliable) = (end.channel, end.reliable);
        let limit = if reliable { self.config.max_waiting } else { MAX_WAITING };
        let waiting = peer.buffered_amount(channel);
        let sent = if waiting > 0 && waiting + said.payload.len() > limit {
            Err(ChannelSendError::Blocked)
        } else {
            peer.send_message(now, channel, said.kind, said.payload.clone())
        };
        match sent {
            Ok(()) => {}
            Err(ChannelSendError::Blocked) if reliable => {
                self.counters.slow_channels_closed += 1;
                peer.close_channel(now, channel);
                participant.lines.remove(channel);
            }
            Err(ChannelSendError::Blocked) => self.counters.messages_dropped += 1,
            // It is closing, or takes shorter messages only.
            Err(_) => self.counters.messages_refused += 1,
        }
        self.touch(receiver);
    }
}
