//! An association with data channels on it.

use std::time::Instant;

use bytes::Bytes;
use wire::Seed;

use crate::association::{self, Association, Event, Message, ResetStreams, Sink};
use crate::channels::{
    Blocked, Channel, ChannelEvent, ChannelId, ChannelInit, ChannelLimits, ChannelSink, Channels, Kind, OpenError,
    Part, Role, SendError as ChannelSendError, Streams,
};
use crate::close::CloseReason;
use crate::config::Config;
use crate::counters::Counters;
use crate::dcep::Priority;
use crate::engine::reset::{self, ResetEvent};
use crate::list::List;
use crate::registry::Ppid;

/// Data channels (RFC 8831) over an association of their own: `RTCSctpTransport`, without I/O.
///
/// After any input or command [`poll_transmit`](Self::poll_transmit) is to be called until it gives nothing, and then
/// [`poll_timeout`](Self::poll_timeout) and [`poll_event`](Self::poll_event).
#[derive(Debug)]
pub struct Transport {
    association: Association,
    channels: Channels,
    /// What has happened to the association.
    event: Option<TransportEvent>,
    closed: Option<CloseReason>,
}

/// What has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportEvent {
    /// The association is set up.
    Established,
    /// Something happened to a channel, or there is room for messages.
    Channel(ChannelEvent),
    /// The association is over, and all channels are closed.
    Closed(CloseReason),
}

/// Hands what comes on streams to the channels.
struct Lanes<'a, S> {
    channels: &'a mut Channels,
    sink: &'a mut S,
}

impl<S: ChannelSink> Sink for Lanes<'_, S> {
    fn message(&mut self, stream: u16, ppid: Ppid, _unordered: bool, payload: &[u8]) {
        self.channels.handle_message(stream, ppid, payload, self.sink);
    }

    fn part(&mut self, stream: u16, ppid: Ppid, unordered: bool, payload: &[u8], first: bool, last: bool) {
        let part = Part {
            ppid,
            unordered,
            payload,
            first,
            last,
        };
        self.channels.handle_part(stream, &part, self.sink);
    }

    fn cut(&mut self, stream: u16, unordered: bool) {
        self.channels.handle_cut(stream, unordered, self.sink);
    }

    /// Channels are opened behind the COOKIE ECHO already, so that the event would come too late.
    fn restarted(&mut self) {
        self.channels.handle_end();
    }
}

impl Streams for Association {
    fn is_open(&self) -> bool {
        self.accepts_messages()
    }

    fn is_established(&self) -> bool {
        self.is_open()
    }

    fn count(&self) -> u16 {
        self.outbound_streams().min(self.inbound_streams())
    }

    fn send(&mut self, now: Instant, message: Message, is_whole: bool) -> Result<(), Blocked> {
        let sent = if is_whole {
            self.send(now, message)
        } else {
            self.send_first_part(now, message)
        };
        // Streams that are being reset take messages later, like those without room.
        sent.map_err(|_| Blocked)
    }

    fn send_part(&mut self, now: Instant, stream: u16, part: Bytes, is_last: bool) -> Result<(), Blocked> {
        self.send_part(now, stream, part, is_last).map_err(|_| Blocked)
    }

    fn set_priority(&mut self, stream: u16, priority: Priority) {
        self.set_priority(stream, priority.0);
    }

    fn cut(&mut self, now: Instant, stream: u16) {
        self.cut(now, stream);
    }

    fn reset(&mut self, now: Instant, stream: u16) {
        self.cut(now, stream);
        self.reset(stream);
    }

    fn buffered(&self, stream: u16) -> usize {
        self.buffered(stream)
    }
}

impl Transport {
    /// A new one. All that is random grows from the seed, which must be secret and used once.
    pub fn new(config: &Config, limits: ChannelLimits, seed: Seed, now: Instant) -> Self {
        Self {
            association: Association::new(config, seed, now),
            channels: Channels::new(config, limits),
            event: None,
            closed: None,
        }
    }

    // Getters

    /// The association below.
    pub const fn association(&self) -> &Association {
        &self.association
    }

    /// A channel, until it is closed.
    pub fn channel(&self, channel: ChannelId) -> Option<&Channel> {
        self.channels.get(channel)
    }

    /// The longest message that can be sent whole, in bytes: what the peer takes (`maxMessageSize`), and no more than
    /// [`Config::send_buffer`]. In parts it may be as long as the peer takes.
    pub fn max_message_size(&self) -> usize {
        self.channels.max_message_size()
    }

    /// Bytes of messages on this channel that were accepted and not sent yet (`bufferedAmount`).
    pub fn buffered_amount(&self, channel: ChannelId) -> usize {
        self.channels.buffered_amount(&self.association, channel)
    }

    /// What was dropped, refused or repeated.
    pub fn counters(&self) -> Counters {
        let mut counters = self.association.counters();
        counters.absorb(self.channels.counters());
        counters
    }

    // Inputs

    /// A packet of the peer's has come. Messages go to the sink, lent.
    pub fn handle_packet(&mut self, now: Instant, packet: &[u8], sink: &mut impl ChannelSink) {
        let mut lanes = Lanes {
            channels: &mut self.channels,
            sink,
        };
        self.association.handle_packet(now, packet, &mut lanes);
        self.follow(now);
    }

    /// The time has come that [`poll_timeout`](Self::poll_timeout) told. To be called too early, or twice, does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.association.handle_timeout(now);
        self.follow(now);
    }

    // Commands

    /// Tells our side of the DTLS handshake; until then no channel is opened that is not negotiated.
    pub fn set_role(&mut self, now: Instant, role: Role) {
        self.channels.set_role(role);
        self.channels.flush(now, &mut self.association);
        self.follow_events(now);
    }

    /// Tells the peer's `a=max-message-size`, in bytes; 0 means any. Until then it is 65536.
    pub const fn set_max_message_size(&mut self, bytes: usize) {
        self.channels.set_max_message_size(bytes);
    }

    /// As [`Association::set_destination_port`].
    pub fn set_destination_port(&mut self, port: u16) {
        self.association.set_destination_port(port);
    }

    /// Begins the set-up, as [`Association::connect`].
    pub fn connect(&mut self, now: Instant) {
        self.association.connect(now);
    }

    /// Begins with what signalling carried, as [`Association::connect_with`].
    ///
    /// # Errors
    /// What is wrong with the INIT.
    pub fn connect_with(&mut self, now: Instant, peer_init: &[u8]) -> Result<(), association::UnusableInit> {
        self.association.connect_with(now, peer_init)?;
        self.follow(now);
        Ok(())
    }

    /// Opens a channel. Its messages may follow at once, where the role is known, before [`ChannelEvent::Open`]: they wait
    /// until the association is set up, and go with its COOKIE ECHO.
    ///
    /// # Errors
    /// What of the arguments hinders it, or that the association ends or has ended. A channel that turns out later to have no stream
    /// is closed.
    pub fn open(&mut self, now: Instant, init: ChannelInit) -> Result<ChannelId, OpenError> {
        if !self.association.accepts_messages() {
            return Err(OpenError::NoTransport);
        }
        let opened = self.channels.open(now, &mut self.association, init);
        self.follow_events(now);
        opened
    }

    /// Sends a message. The bytes are not copied before they go into packets.
    ///
    /// # Errors
    /// The message was not taken; a later try may have better luck where it was [`ChannelSendError::Blocked`].
    pub fn send(
        &mut self,
        now: Instant,
        channel: ChannelId,
        kind: Kind,
        payload: Bytes,
    ) -> Result<(), ChannelSendError> {
        let sent = self.channels.send(now, &mut self.association, channel, kind, payload);
        self.follow_events(now);
        sent
    }

    /// Sends the beginning of a message that nobody has to hold whole; [`send_part`](Self::send_part) goes on with it. `total` is
    /// its length in bytes where that is known. Until it has ended no other message is sent on the channel, and where the peer
    /// has no I-DATA ([`Association::is_interleaving`]) on no other either. A lifetime counts from here on.
    ///
    /// When the channel or the association is closed before, what of it has come at the peer is cut there
    /// ([`ChannelSink::cut`]).
    ///
    /// # Errors
    /// The part was not taken; a later try may have better luck where it was [`ChannelSendError::Blocked`].
    pub fn send_first_part(
        &mut self,
        now: Instant,
        channel: ChannelId,
        kind: Kind,
        part: Bytes,
        total: Option<usize>,
    ) -> Result<(), ChannelSendError> {
        let sent = self
            .channels
            .send_first_part(now, &mut self.association, channel, kind, part, total);
        self.follow_events(now);
        sent
    }

    /// Goes on with the message of a channel that has not ended. Parts are best 64 KiB long or more; one without bytes may be the
    /// last.
    ///
    /// # Errors
    /// The part was not taken. After [`ChannelSendError::Blocked`] a later try may have better luck. After
    /// [`ChannelSendError::TooLong`] the message can end as long as it is, or be given up with its channel.
    pub fn send_part(
        &mut self,
        now: Instant,
        channel: ChannelId,
        part: Bytes,
        is_last: bool,
    ) -> Result<(), ChannelSendError> {
        self.channels
            .send_part(now, &mut self.association, channel, part, is_last)
    }

    /// Sets the `bufferedAmountLowThreshold`, in bytes; at first it is 0.
    pub fn set_buffered_amount_low_threshold(&mut self, channel: ChannelId, bytes: usize) {
        self.channels.set_buffered_amount_low_threshold(channel, bytes);
    }

    /// Closes a channel: what was accepted is sent, then [`ChannelEvent::Closed`] tells that both directions are closed. A
    /// message in parts that has not ended is given up.
    pub fn close(&mut self, now: Instant, channel: ChannelId) {
        self.channels.close(now, &mut self.association, channel);
        self.follow(now);
    }

    /// As [`Association::set_retained`].
    pub fn set_retained(&mut self, bytes: usize) {
        self.association.set_retained(bytes);
    }

    /// Ends it when all that was accepted is sent and acknowledged. Nothing is accepted any more, and messages in parts that
    /// have not ended are given up.
    pub fn shutdown(&mut self, now: Instant) {
        self.association.shutdown(now);
        self.follow(now);
    }

    /// Ends it at once; the peer is told.
    pub fn abort(&mut self, now: Instant) {
        self.association.abort();
        self.follow(now);
    }

    // Outputs

    /// Writes the next packet into `out`, as [`Association::poll_transmit`].
    pub fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        loop {
            let len = self.association.poll_transmit(now, out);
            self.follow_buffers();
            if len.is_some() || !self.association.has_events() {
                return len;
            }
            // What came too late has made room, in which something may be sent.
            self.follow(now);
        }
    }

    /// As [`Association::is_uniform`].
    pub fn is_uniform(&mut self, now: Instant) -> bool {
        self.association.is_uniform(now)
    }

    /// When [`handle_timeout`](Self::handle_timeout) or [`poll_transmit`](Self::poll_transmit) has something to do next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.association.poll_timeout()
    }

    /// What has happened.
    pub fn poll_event(&mut self) -> Option<TransportEvent> {
        if let Some(event) = self.event.take() {
            return Some(event);
        }
        if let Some(event) = self.channels.poll_event() {
            return Some(TransportEvent::Channel(event));
        }
        self.closed.take().map(TransportEvent::Closed)
    }

    // Parts of the above

    /// Lets the channels know what has happened to the association.
    fn follow(&mut self, now: Instant) {
        if !self.association.accepts_messages() {
            // A channel cannot go on with one.
            self.association.cut_all(now);
        }
        loop {
            while let Some(event) = self.association.poll_event() {
                self.follow_event(now, event);
            }
            self.channels.flush(now, &mut self.association);
            // A reset may be denied at once, make room, or end the association.
            if !self.association.has_events() {
                break;
            }
        }
        self.follow_buffers();
    }

    /// Where a command has made something happen.
    fn follow_events(&mut self, now: Instant) {
        if self.association.has_events() {
            self.follow(now);
        }
    }

    fn follow_event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Established => {
                self.channels.handle_established(now, &mut self.association);
                self.event = Some(TransportEvent::Established);
            }
            Event::Restarted => {}
            Event::Writable => self.channels.handle_room(),
            Event::ResetDone(streams) => self.channels.handle_reset(ResetEvent::Done(&streams)),
            Event::ResetDenied(streams) => self.channels.handle_reset(ResetEvent::Denied(&streams)),
            Event::PeerReset(streams) => self.channels.handle_reset(ResetEvent::PeerReset(lent(&streams))),
            Event::ResetWanted(streams) => self.channels.handle_reset(ResetEvent::Wanted(lent(&streams))),
            Event::Closed(reason) => {
                self.channels.handle_end();
                self.closed = Some(reason);
            }
        }
    }

    fn follow_buffers(&mut self) {
        while let Some(drained) = self.association.take_drained() {
            self.channels
                .handle_buffered(drained.stream, drained.before, drained.after);
        }
    }
}

fn lent(streams: &ResetStreams) -> reset::Streams<'_> {
    match streams {
        ResetStreams::All => reset::Streams::All,
        ResetStreams::Listed(streams) => reset::Streams::Listed(List::new(streams)),
    }
}
