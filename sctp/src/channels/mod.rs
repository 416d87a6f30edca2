//! Data channels (RFC 8831) and the protocol that opens them (RFC 8832).

use core::mem;
use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;
use std::vec::Vec;

use bytes::Bytes;

use crate::association::Message;
use crate::config::Config;
use crate::counters::Counters;
use crate::dcep::Priority;
use crate::engine::reset::{self, ResetEvent};
use crate::registry::Ppid;

mod channel;
mod closing;
mod opening;
mod sending;
mod table;
#[cfg(test)]
mod tests;

use channel::State;
use table::{Entry, Table};

pub use channel::{Channel, ChannelEvent, ChannelId, ChannelInit, Kind, OpenError, ReadyState, Role, SendError};

/// What channels need of an association.
pub(crate) trait Streams {
    /// Whether messages are taken. They may wait until the association is established.
    fn is_open(&self) -> bool;

    /// Whether the association is established: [`Channels::handle_established`] is called when it is.
    fn is_established(&self) -> bool {
        self.is_open()
    }

    /// How many streams both sides may send on; those that we want before the association is established.
    fn count(&self) -> u16;

    /// Takes a message on a stream below [`count`](Self::count), or the beginning of one. It waits while its stream is being
    /// reset.
    ///
    /// # Errors
    /// There is no room. The channels are told when there is.
    fn send(&mut self, now: Instant, message: Message, is_whole: bool) -> Result<(), Blocked>;

    /// Takes more of the message of a stream that has not ended.
    ///
    /// # Errors
    /// As those of [`send`](Self::send).
    fn send_part(&mut self, now: Instant, stream: u16, part: Bytes, is_last: bool) -> Result<(), Blocked>;

    /// Sets the weight of a stream against others.
    fn set_priority(&mut self, stream: u16, priority: Priority);

    /// Gives up the message of a stream that has not ended, if there is one.
    fn cut(&mut self, now: Instant, stream: u16);

    /// Resets our direction of a stream when what was accepted is sent; a message that has not ended is given up. The channels
    /// are told the outcome.
    fn reset(&mut self, now: Instant, stream: u16);

    /// Bytes of user messages on a stream that were not sent yet, without those of DCEP.
    fn buffered(&self, stream: u16) -> usize;
}

/// An association has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Blocked;

/// Receives what the peer sends on channels, in its order.
pub trait ChannelSink {
    /// The peer has opened a channel (`datachannel`), which is open at once.
    fn opened(&mut self, channel: &Channel);

    /// A message, lent.
    fn message(&mut self, channel: &Channel, kind: Kind, payload: &[u8]);

    /// A part of a message that is longer than [`Config::receive_parts`]; without that there are none. Behind the first part
    /// come others, until one is the last, or [`cut`](Self::cut) comes, or the channel closes
    /// ([`ChannelEvent::Closing`], [`ChannelEvent::Closed`]).
    ///
    /// On a channel two messages can come in parts at the same time: an ordered and an unordered one. `unordered` tells which
    /// it is. What the peer sends on an unordered channel before that is confirmed is ordered (RFC 8832 §6), and one of those
    /// messages may lack a packet while unordered ones come. There are never two of a kind. Whole messages come in between on
    /// channels that are not ordered.
    fn part(&mut self, channel: &Channel, kind: Kind, unordered: bool, payload: &[u8], first: bool, last: bool) {
        let _ = (channel, kind, unordered, payload, first, last);
    }

    /// No more comes of the message of which parts have come, ordered or not: the peer has given it up, or closes the channel
    /// in the middle of it, or has begun anew.
    fn cut(&mut self, channel: &Channel, unordered: bool) {
        let _ = (channel, unordered);
    }
}

/// A part of a message of the peer's, in order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part<'a> {
    pub(crate) ppid: Ppid,
    pub(crate) unordered: bool,
    pub(crate) payload: &'a [u8],
    pub(crate) first: bool,
    pub(crate) last: bool,
}

/// What a peer may open.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelLimits {
    /// Channels that the peer opened and that are not closed. Default 65535: all.
    pub max_channels: usize,
    /// Bytes of all their labels and protocols. Default 1 MiB.
    pub max_text: usize,
}

impl Default for ChannelLimits {
    fn default() -> Self {
        Self {
            max_channels: 65535,
            max_text: 1 << 20,
        }
    }
}

/// The data channels of an association.
///
/// A channel is opened by [`open`](Self::open), also before there is an association, or by the peer, which
/// [`ChannelSink::opened`] tells. What the association has received goes in by the methods that begin with `handle`; then
/// [`flush`](Self::flush) hands it the answers. Events are to be drained after each call.
///
/// Work and memory per message do not grow with the number of channels, and no message is copied.
#[derive(Debug)]
pub(crate) struct Channels {
    limits: ChannelLimits,
    role: Option<Role>,
    /// The peer's `a=max-message-size`; 0 means any.
    max_message_size: usize,
    send_buffer: usize,
    table: Table,
    /// Streams of channels that are not closing.
    live: BTreeSet<u16>,
    /// Streams that are closing and that the peer has not reset yet.
    closing: BTreeSet<u16>,
    /// What is to be sent. A stream stands here twice at most: with its opening and with its closing.
    todo: VecDeque<Todo>,
    events: VecDeque<ChannelEvent>,
    /// Whether somebody waits for [`ChannelEvent::Writable`].
    blocked: bool,
    /// Channels that the peer opened.
    peer_channels: usize,
    /// The bytes of their labels and protocols.
    peer_text: usize,
    counters: Counters,
}

#[derive(Debug, Clone, Copy)]
enum Todo {
    Open(ChannelId),
    Ack(ChannelId),
    /// It goes first: it waits for no room, and makes some where it cuts a message.
    Reset(u16),
}

impl Channels {
    /// What a peer takes that says nothing about it (RFC 8841 §6.1).
    const DEFAULT_MAX_MESSAGE_SIZE: usize = 65536;

    /// None yet, for an association of this configuration.
    pub(crate) fn new(config: &Config, limits: ChannelLimits) -> Self {
        Self {
            limits,
            role: None,
            max_message_size: Self::DEFAULT_MAX_MESSAGE_SIZE,
            send_buffer: config.send_buffer,
            table: Table::default(),
            live: BTreeSet::new(),
            closing: BTreeSet::new(),
            todo: VecDeque::new(),
            events: VecDeque::new(),
            blocked: false,
            peer_channels: 0,
            peer_text: 0,
            counters: Counters::default(),
        }
    }

    /// A channel, until it is closed.
    pub(crate) fn get(&self, channel: ChannelId) -> Option<&Channel> {
        self.table.get(channel)
    }

    /// The longest message that can be sent whole, in bytes.
    pub(crate) fn max_message_size(&self) -> usize {
        self.max_in_parts().min(self.send_buffer)
    }

    /// The longest message that the peer takes, in bytes (`RTCSctpTransport.maxMessageSize`).
    const fn max_in_parts(&self) -> usize {
        match self.max_message_size {
            0 => usize::MAX,
            max => max,
        }
    }

    /// Bytes of messages on this channel that were accepted and not sent yet.
    pub(crate) fn buffered_amount(&self, streams: &impl Streams, channel: ChannelId) -> usize {
        let stream = self.get(channel).and_then(Channel::stream);
        stream.map_or(0, |stream| streams.buffered(stream))
    }

    /// What was dropped or refused.
    pub(crate) const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Takes a message from the peer.
    pub(crate) fn handle_message(&mut self, stream: u16, ppid: Ppid, payload: &[u8], sink: &mut impl ChannelSink) {
        let (kind, payload) = match ppid {
            Ppid::STRING => (Kind::Text, payload),
            Ppid::BINARY => (Kind::Binary, payload),
            // RFC 8831 §6.6: what stands there is ignored.
            Ppid::STRING_EMPTY => (Kind::Text, &[][..]),
            Ppid::BINARY_EMPTY => (Kind::Binary, &[][..]),
            Ppid::DCEP => return self.handle_dcep(stream, payload, sink),
            _ => return self.handle_unsupported(stream),
        };
        if let Some(channel) = self.receiver(stream) {
            sink.message(channel, kind, payload);
        }
    }

    /// Takes a part of a message from the peer.
    pub(crate) fn handle_part(&mut self, stream: u16, part: &Part<'_>, sink: &mut impl ChannelSink) {
        let &Part {
            ppid,
            unordered,
            payload,
            first,
            last,
        } = part;
        let kind = match ppid {
            Ppid::STRING => Kind::Text,
            Ppid::BINARY => Kind::Binary,
            _ => return self.handle_unsupported(stream),
        };
        let Some(channel) = self.receiver(stream) else { return };
        // The channel may be younger than the message.
        if *channel.parted(unordered) || first {
            *channel.parted(unordered) = !last;
            sink.part(channel, kind, unordered, payload, first, last);
        }
    }

    /// Takes that a message that came in parts never ends.
    pub(crate) fn handle_cut(&mut self, stream: u16, unordered: bool, sink: &mut impl ChannelSink) {
        if let Some(channel) = self.table.on_stream(stream)
            && channel.state == State::Open
            && mem::take(channel.parted(unordered))
        {
            sink.cut(channel, unordered);
        }
    }

    /// Takes what became of streams.
    pub(crate) fn handle_reset(&mut self, event: ResetEvent<'_>) {
        match event {
            ResetEvent::PeerReset(reset::Streams::All) => {
                let all = mem::take(&mut self.live)
                    .into_iter()
                    .chain(mem::take(&mut self.closing));
                all.for_each(|stream| self.reset_by_peer(stream));
            }
            ResetEvent::PeerReset(reset::Streams::Listed(list)) => {
                list.iter().for_each(|stream| self.reset_by_peer(stream));
            }
            ResetEvent::Wanted(reset::Streams::All) => {
                mem::take(&mut self.live)
                    .into_iter()
                    .for_each(|stream| self.close_by_peer(stream));
            }
            ResetEvent::Wanted(reset::Streams::Listed(list)) => {
                list.iter().for_each(|stream| self.close_by_peer(stream));
            }
            ResetEvent::Done(list) => {
                for stream in list {
                    self.progress(*stream, |closure| closure.ours = true);
                }
                // Somebody may have been refused since the stream was being reset, not for want of room.
                self.handle_room();
            }
            ResetEvent::Denied(list) => {
                list.iter().for_each(|stream| self.retire(*stream));
                self.handle_room();
            }
        }
    }

    /// The bytes of user messages on a stream that were not sent yet have become fewer.
    pub(crate) fn handle_buffered(&mut self, stream: u16, before: usize, after: usize) {
        if let Some(channel) = self.table.on_stream(stream)
            && before > channel.low_threshold
            && after <= channel.low_threshold
        {
            self.events.push_back(ChannelEvent::BufferedAmountLow(channel.id));
        }
    }

    /// The association is established: negotiated channels are open, and those are closed whose streams it has not.
    pub(crate) fn handle_established(&mut self, now: Instant, streams: &mut impl Streams) {
        let count = streams.count();
        let live: Vec<u16> = self.live.iter().copied().collect();
        for stream in live {
            let Some(channel) = self.table.on_stream(stream) else {
                continue;
            };
            let id = channel.id;
            if stream >= count {
                // Nobody can end it any more, and without I-DATA all others would wait for that.
                streams.cut(now, stream);
                self.forget(id, Entry::Unused);
            } else if channel.init.negotiated.is_some() && channel.state == State::Opening {
                channel.state = State::Open;
                self.events.push_back(ChannelEvent::Open(id));
            }
        }
    }

    /// The association has room for messages again.
    pub(crate) fn handle_room(&mut self) {
        if mem::take(&mut self.blocked) {
            self.events.push_back(ChannelEvent::Writable);
        }
    }

    /// The association has ended or begun anew: all channels are closed.
    pub(crate) fn handle_end(&mut self) {
        let events = &mut self.events;
        self.table
            .clear(|channel| events.push_back(ChannelEvent::Closed(channel.id)));
        self.live.clear();
        self.closing.clear();
        self.todo.clear();
        self.blocked = false;
        self.peer_channels = 0;
        self.peer_text = 0;
    }

    /// Tells the DTLS role; until then no channel is opened that is not negotiated.
    pub(crate) const fn set_role(&mut self, role: Role) {
        self.role = Some(role);
    }

    /// Tells the peer's `a=max-message-size`, in bytes; 0 means any. Until then it is 65536.
    pub(crate) const fn set_max_message_size(&mut self, bytes: usize) {
        self.max_message_size = bytes;
    }

    /// Sets the `bufferedAmountLowThreshold`, in bytes; at first it is 0.
    pub(crate) fn set_buffered_amount_low_threshold(&mut self, channel: ChannelId, bytes: usize) {
        if let Some(channel) = self.table.get_mut(channel) {
            channel.low_threshold = bytes;
        }
    }

    /// Opens a channel. Its messages may follow at once, where the role is known, before [`ChannelEvent::Open`]: they wait
    /// until the association is established. Until the channel is open they are ordered in any case (RFC 8832 §6).
    ///
    /// # Errors
    /// What of the arguments hinders it. A channel that turns out later to have no stream is closed.
    pub(crate) fn open(
        &mut self,
        now: Instant,
        streams: &mut impl Streams,
        init: ChannelInit,
    ) -> Result<ChannelId, OpenError> {
        let longest = usize::from(u16::MAX);
        if init.label.len() > longest || init.protocol.len() > longest {
            return Err(OpenError::TooLong);
        }
        let stream = if let Some(stream) = init.negotiated {
            let count = if streams.is_established() {
                streams.count()
            } else {
                u16::MAX
            };
            if stream >= count {
                return Err(OpenError::NoSuchStream);
            }
            if self.table.entry(stream) != Entry::Unused {
                return Err(OpenError::StreamInUse);
            }
            Some(stream)
        } else if let Some(role) = self.role.filter(|_| streams.is_open()) {
            let stream = self.table.unused_stream(role.parity(), streams.count());
            Some(stream.ok_or(OpenError::NoStreamLeft)?)
        } else {
            None
        };
        let id = self
            .table
            .insert(|id| Channel::new(id, stream, State::Waiting, init, false));
        self.live.extend(stream);
        self.todo.push_back(Todo::Open(id));
        self.flush(now, streams);
        Ok(id)
    }

    /// Closes a channel: what was accepted is sent, then [`ChannelEvent::Closed`] tells that both directions are reset
    /// (RFC 8831 §6.7). A message that has not ended is given up. What the peer still sends is dropped.
    pub(crate) fn close(&mut self, now: Instant, streams: &mut impl Streams, channel: ChannelId) {
        let Some(found) = self.table.get(channel) else { return };
        match (found.state, found.stream) {
            // The peer has not heard of it.
            (State::Waiting, _) | (_, None) => self.forget(channel, Entry::Unused),
            (_, Some(stream)) => {
                self.begin_closing(stream);
                self.flush(now, streams);
            }
        }
    }

    /// Hands to the association what waits for it. To be called after each input, before packets are taken from it.
    pub(crate) fn flush(&mut self, now: Instant, streams: &mut impl Streams) {
        while streams.is_open()
            && let Some(todo) = self.todo.pop_front()
        {
            let done = match todo {
                Todo::Open(id) => self.send_open(now, streams, id),
                Todo::Ack(id) => self.send_ack(now, streams, id),
                // A peer that opened a channel on a stream that we may not use.
                Todo::Reset(stream) if stream >= streams.count() => {
                    self.retire(stream);
                    Ok(())
                }
                Todo::Reset(stream) => {
                    self.progress(stream, |closure| closure.asked = true);
                    streams.reset(now, stream);
                    Ok(())
                }
            };
            if done.is_err() {
                self.todo.push_front(todo);
                return;
            }
        }
    }

    /// What has happened.
    pub(crate) fn poll_event(&mut self) -> Option<ChannelEvent> {
        self.events.pop_front()
    }

    /// The channel to which a message of the peer belongs.
    fn receiver(&mut self, stream: u16) -> Option<&mut Channel> {
        let Some(channel) = self.table.on_stream(stream) else {
            count(&mut self.counters.sctp_messages_without_channel);
            return None;
        };
        match channel.state {
            State::Open => {}
            State::Closing(_) => return None,
            State::Waiting if channel.init.negotiated.is_none() => {
                count(&mut self.counters.sctp_messages_without_channel);
                return None;
            }
            // RFC 8832 §6: any message confirms the channel.
            State::Waiting | State::Opening => {
                channel.state = State::Open;
                self.events.push_back(ChannelEvent::Open(channel.id));
            }
        }
        Some(channel)
    }

    /// RFC 8831 §6.6: a channel with a message of an unsupported kind is closed. Kinds of parts are deprecated, and not
    /// sent to who tells its `a=max-message-size`.
    fn handle_unsupported(&mut self, stream: u16) {
        if self.table.on_stream(stream).is_some() {
            self.violation(stream);
        } else {
            count(&mut self.counters.sctp_messages_without_channel);
        }
    }
}

fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}
