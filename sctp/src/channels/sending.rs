//! How messages of ours go out.

use std::time::Instant;

use bytes::Bytes;

use super::channel::{Channel, ChannelId, Kind, SendError, State};
use super::{Blocked, Channels, Streams, Todo};
use crate::association::Message;
use crate::registry::Ppid;

impl Channels {
    /// Sends a message, as the channel was opened.
    ///
    /// # Errors
    /// The message was not taken. Where it was [`SendError::Blocked`] a later try, with a clone of the payload, may have
    /// better luck.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        streams: &mut impl Streams,
        channel: ChannelId,
        kind: Kind,
        payload: Bytes,
    ) -> Result<(), SendError> {
        let max = self.max_message_size();
        // RFC 8831 §6.6: SCTP sends nothing empty.
        let (ppid, payload) = match (kind, payload.is_empty()) {
            (_, false) => (kind.ppid(), payload),
            (Kind::Text, true) => (Ppid::STRING_EMPTY, Bytes::from_static(&[0])),
            (Kind::Binary, true) => (Ppid::BINARY_EMPTY, Bytes::from_static(&[0])),
        };
        let message = self.outgoing(now, streams, channel, ppid, payload)?;
        if message.payload.len() > max {
            return Err(SendError::TooLong { max });
        }
        self.note_room(streams.send(now, message, true))
    }

    /// Sends the beginning of a message; [`send_part`](Self::send_part) goes on with it. `total` is its length, where that is
    /// known.
    ///
    /// # Errors
    /// The part was not taken.
    pub(crate) fn send_first_part(
        &mut self,
        now: Instant,
        streams: &mut impl Streams,
        channel: ChannelId,
        kind: Kind,
        part: Bytes,
        total: Option<usize>,
    ) -> Result<(), SendError> {
        let (len, max) = (part.len(), self.max_in_parts());
        let message = self.outgoing(now, streams, channel, kind.ppid(), part)?;
        if len.max(total.unwrap_or_default()) > max {
            return Err(SendError::TooLong { max });
        }
        if len == 0 {
            return Err(SendError::Empty);
        }
        // An ACK that has found no room yet would wait for the end of the message, and all that stands behind it, too.
        let is_ack = |todo: &Todo| matches!(todo, Todo::Ack(id) if *id == channel);
        let sent = if self.todo.iter().any(is_ack) {
            Err(Blocked)
        } else {
            streams.send(now, message, false)
        };
        self.note_room(sent)?;
        if let Some(channel) = self.table.get_mut(channel) {
            channel.unfinished = Some(len);
        }
        Ok(())
    }

    /// Goes on with a message.
    ///
    /// # Errors
    /// The part was not taken.
    pub(crate) fn send_part(
        &mut self,
        now: Instant,
        streams: &mut impl Streams,
        id: ChannelId,
        part: Bytes,
        is_last: bool,
    ) -> Result<(), SendError> {
        let (stream, channel) = self.sender(streams, id)?;
        let so_far = channel.unfinished.ok_or(SendError::Busy)?;
        let max = self.max_in_parts();
        let len = so_far.saturating_add(part.len());
        if len > max {
            return Err(SendError::TooLong { max });
        }
        self.note_room(streams.send_part(now, stream, part, is_last))?;
        if let Some(channel) = self.table.get_mut(id) {
            channel.unfinished = Some(len).filter(|_| !is_last);
        }
        Ok(())
    }

    /// A channel on which messages may be sent, and its stream.
    fn sender(&self, streams: &impl Streams, channel: ChannelId) -> Result<(u16, &Channel), SendError> {
        let channel = self.table.get(channel).filter(|_| streams.is_open());
        let channel = channel.ok_or(SendError::NotOpen)?;
        let stream = channel.stream.filter(|stream| *stream < streams.count());
        match (channel.state, stream) {
            (State::Open | State::Opening, Some(stream)) => Ok((stream, channel)),
            _ => Err(SendError::NotOpen),
        }
    }

    /// A new message of a channel.
    fn outgoing(
        &mut self,
        now: Instant,
        streams: &mut impl Streams,
        channel: ChannelId,
        ppid: Ppid,
        payload: Bytes,
    ) -> Result<Message, SendError> {
        if !self.todo.is_empty() {
            self.flush(now, streams);
        }
        let (stream, channel) = self.sender(streams, channel)?;
        if channel.unfinished.is_some() {
            return Err(SendError::Busy);
        }
        Ok(Message {
            stream,
            payload,
            ppid,
            // RFC 8832 §6: nothing may overtake the OPEN.
            unordered: !channel.init.ordered && channel.state == State::Open,
            reliability: channel.init.reliability,
        })
    }

    /// Who finds no room is told when there is.
    fn note_room(&mut self, sent: Result<(), Blocked>) -> Result<(), SendError> {
        self.blocked |= sent.is_err();
        sent.map_err(|Blocked| SendError::Blocked)
    }
}
