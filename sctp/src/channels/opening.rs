//! The Data Channel Establishment Protocol (RFC 8832).

use std::string::String;
use std::time::Instant;
use std::vec;

use bytes::Bytes;
use wire::Writer;

use super::channel::{Channel, ChannelEvent, ChannelId, ChannelInit, State};
use super::table::Entry;
use super::{Blocked, ChannelSink, Channels, Streams, Todo};
use crate::association::Message;
use crate::dcep::{self, ChannelType, Reliability};
use crate::registry::Ppid;

impl Channels {
    /// Opens a channel that waits, or closes it where it can have no stream.
    pub(super) fn send_open(&mut self, now: Instant, streams: &mut impl Streams, id: ChannelId) -> Result<(), Blocked> {
        let Some(channel) = self.table.get(id).filter(|channel| channel.state == State::Waiting) else {
            return Ok(());
        };
        if let Some(stream) = channel.init.negotiated {
            let priority = channel.init.priority;
            if stream >= streams.count() {
                self.forget(id, Entry::Unused);
                return Ok(());
            }
            streams.set_priority(stream, priority);
            if streams.is_established() {
                self.opened(id);
            } else if let Some(channel) = self.table.get_mut(id) {
                // Messages may be handed over; they wait.
                channel.state = State::Opening;
            }
            return Ok(());
        }
        let stream = match channel.stream {
            Some(stream) => stream,
            None => {
                let role = self.role.ok_or(Blocked)?;
                let Some(stream) = self.table.unused_stream(role.parity(), streams.count()) else {
                    self.forget(id, Entry::Unused);
                    return Ok(());
                };
                self.table.set_stream(id, stream);
                self.live.insert(stream);
                stream
            }
        };
        let Some(channel) = self.table.get_mut(id) else {
            return Ok(());
        };
        streams.set_priority(stream, channel.init.priority);
        streams.send(now, control(stream, open_message(&channel.init)), true)?;
        channel.state = State::Opening;
        Ok(())
    }

    pub(super) fn send_ack(&mut self, now: Instant, streams: &mut impl Streams, id: ChannelId) -> Result<(), Blocked> {
        let Some(channel) = self.table.get(id).filter(|channel| channel.state == State::Open) else {
            return Ok(());
        };
        let Some(stream) = channel.stream else { return Ok(()) };
        if stream >= streams.count() {
            self.violation(stream);
            return Ok(());
        }
        let ack = Bytes::from_static(&[dcep::MessageType::ACK.0]);
        streams.set_priority(stream, channel.init.priority);
        streams.send(now, control(stream, ack), true)
    }

    pub(super) fn handle_dcep(&mut self, stream: u16, payload: &[u8], sink: &mut impl ChannelSink) {
        match dcep::Message::parse(payload) {
            Ok(dcep::Message::Open(open)) => self.handle_open(stream, &open, sink),
            Ok(dcep::Message::Ack) => {
                self.receiver(stream);
            }
            Ok(dcep::Message::Unknown(..)) | Err(_) => self.violation(stream),
        }
    }

    /// RFC 8832 §6.
    fn handle_open(&mut self, stream: u16, open: &dcep::Open<'_>, sink: &mut impl ChannelSink) {
        let closure = match self.table.entry(stream) {
            Entry::Refused(closure) => Some(closure),
            _ => self.table.on_stream(stream).and_then(|channel| match channel.state {
                State::Closing(closure) => Some(closure),
                _ => None,
            }),
        };
        // The peer could not open it anew if it had not performed our reset: its answer was lost or is late.
        if closure.is_some_and(|closure| closure.asked && closure.peers) {
            self.progress(stream, |closure| closure.ours = true);
        }
        let Some(init) = self.examine(stream, open) else {
            return self.violation(stream);
        };
        let id = self
            .table
            .insert(|id| Channel::new(id, Some(stream), State::Open, init, true));
        self.live.insert(stream);
        self.todo.push_back(Todo::Ack(id));
        if let Some(channel) = self.table.get(id) {
            self.peer_channels = self.peer_channels.saturating_add(1);
            self.peer_text = self.peer_text.saturating_add(channel.text_len());
            sink.opened(channel);
        }
    }

    /// What the peer opens, unless it may not.
    fn examine(&self, stream: u16, open: &dcep::Open<'_>) -> Option<ChannelInit> {
        let text = open.label.len().saturating_add(open.protocol.len());
        let may = self.table.entry(stream) == Entry::Unused
            && self.role.is_none_or(|role| stream & 1 != role.parity())
            && self.peer_channels < self.limits.max_channels
            && self.peer_text.saturating_add(text) <= self.limits.max_text;
        let (reliability, unordered) = (open.reliability()?, open.is_unordered()?);
        may.then(|| ChannelInit {
            label: String::from(open.label),
            protocol: String::from(open.protocol),
            ordered: !unordered,
            reliability,
            priority: open.priority,
            negotiated: None,
        })
    }

    /// The peer knows a channel of ours.
    fn opened(&mut self, id: ChannelId) {
        if let Some(channel) = self.table.get_mut(id) {
            channel.state = State::Open;
            self.events.push_back(ChannelEvent::Open(id));
        }
    }
}

/// RFC 8832 §6: "All DCEP messages MUST be sent using ordered delivery and reliable transmission."
pub(super) const fn control(stream: u16, payload: Bytes) -> Message {
    Message {
        stream,
        payload,
        ppid: Ppid::DCEP,
        unordered: false,
        reliability: Reliability::Reliable,
    }
}

pub(super) fn open_message(init: &ChannelInit) -> Bytes {
    let (channel_type, reliability_parameter) = match (init.reliability, init.ordered) {
        (Reliability::Reliable, true) => (ChannelType::RELIABLE, 0),
        (Reliability::Reliable, false) => (ChannelType::RELIABLE_UNORDERED, 0),
        (Reliability::Retransmissions(most), true) => (ChannelType::PARTIAL_RELIABLE_REXMIT, most),
        (Reliability::Retransmissions(most), false) => (ChannelType::PARTIAL_RELIABLE_REXMIT_UNORDERED, most),
        (Reliability::Lifetime(most), true) => (ChannelType::PARTIAL_RELIABLE_TIMED, most),
        (Reliability::Lifetime(most), false) => (ChannelType::PARTIAL_RELIABLE_TIMED_UNORDERED, most),
    };
    let message = dcep::Message::Open(dcep::Open {
        channel_type,
        priority: init.priority,
        reliability_parameter,
        label: &init.label,
        protocol: &init.protocol,
    });
    let mut bytes = vec![0; message.wire_len()];
    // Both texts have 65535 bytes at most: `Channels::open` has seen to it.
    let written = message.write(&mut Writer::new(&mut bytes));
    debug_assert!(written.is_ok());
    bytes.into()
}
