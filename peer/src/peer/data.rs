use std::num::NonZeroU16;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use dtls_srtp::{Dtls, Role};
use sctp::{ChannelSink, Transport, TransportEvent};
use wire::{Seed, Transmit};

use super::{Peer, random};
use crate::section::RemoteData;
use crate::{Channel, ChannelId, ChannelInit, ChannelSendError, Event, MessageKind, OpenError, Section, Sink, State};

/// Bytes of one run of packets at most: what a message of GSO may have.
const MAX_RUN: usize = 65_000;

/// Datagrams of one run at most.
const MAX_DATAGRAMS: usize = 64;

/// Longer chunks than this are no INIT of anybody's.
const MAX_INIT: usize = 1024;

/// SCTP in DTLS, and where it stands.
#[derive(Debug)]
pub(super) struct Data {
    transport: Transport,
    stage: Stage,
    /// Whether the peer ends when all is said.
    is_ending: bool,
    /// What those before it have counted.
    earlier: sctp::Counters,
}

/// How far signalling has brought it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// No section is agreed to yet.
    Wished,
    /// It connects as soon as DTLS is there.
    Agreed,
    /// It connects, or has done so.
    Begun,
    /// It was set up by signalling.
    Signalled,
    /// The section was rejected or stopped: the next one has another association.
    Stopped,
}

/// Hands what comes on channels to the sink of the peer.
struct Lend<'a, S>(&'a mut S);

impl<S: Sink> ChannelSink for Lend<'_, S> {
    fn opened(&mut self, channel: &Channel) {
        self.0.channel_opened(channel);
    }

    fn message(&mut self, channel: &Channel, kind: MessageKind, payload: &[u8]) {
        self.0.message(channel, kind, payload);
    }

    fn part(&mut self, channel: &Channel, kind: MessageKind, unordered: bool, payload: &[u8], first: bool, last: bool) {
        self.0.message_part(channel, kind, unordered, payload, first, last);
    }

    fn cut(&mut self, channel: &Channel, unordered: bool) {
        self.0.message_cut(channel, unordered);
    }
}

/// Data channels. They can be opened as soon as a data section is agreed to, or wished for.
impl Peer {
    /// Opens a data channel. Messages can be sent on it as soon as offer and answer are exchanged, before it is confirmed:
    /// they wait until there is SCTP.
    ///
    /// # Errors
    /// What hinders it.
    pub fn open_channel(&mut self, now: Instant, init: ChannelInit) -> Result<ChannelId, OpenError> {
        match self.open_data() {
            Some(data) => data.transport.open(now, init),
            _ => Err(OpenError::NoTransport),
        }
    }

    /// Sends a message on a data channel. The bytes are not copied before they are laid where they are sealed.
    ///
    /// # Errors
    /// The message was not taken. After [`ChannelSendError::Blocked`] comes
    /// [`ChannelEvent::Writable`](crate::ChannelEvent::Writable) when there is room again.
    pub fn send_message(
        &mut self,
        now: Instant,
        channel: ChannelId,
        kind: MessageKind,
        payload: Bytes,
    ) -> Result<(), ChannelSendError> {
        match self.open_data() {
            Some(data) => data.transport.send(now, channel, kind, payload),
            _ => Err(ChannelSendError::NotOpen),
        }
    }

    /// Sends the beginning of a message that nobody has to hold whole; [`send_message_part`](Self::send_message_part) goes on
    /// with it. `total` is its length in bytes where that is known. Until it has ended no other message is sent on the channel,
    /// and where the other end has no I-DATA on no other channel either.
    ///
    /// # Errors
    /// As those of [`send_message`](Self::send_message).
    pub fn send_first_message_part(
        &mut self,
        now: Instant,
        channel: ChannelId,
        kind: MessageKind,
        part: Bytes,
        total: Option<usize>,
    ) -> Result<(), ChannelSendError> {
        match self.open_data() {
            Some(data) => data.transport.send_first_part(now, channel, kind, part, total),
            _ => Err(ChannelSendError::NotOpen),
        }
    }

    /// Goes on with the message of a channel that has not ended. Parts are best 64 KiB long or more; one without bytes may be the
    /// last. A message whose channel is closed before is cut at the other end.
    ///
    /// # Errors
    /// As those of [`send_message`](Self::send_message). After [`ChannelSendError::TooLong`] the message can end as long as it
    /// is, or be given up with its channel.
    pub fn send_message_part(
        &mut self,
        now: Instant,
        channel: ChannelId,
        part: Bytes,
        is_last: bool,
    ) -> Result<(), ChannelSendError> {
        match self.open_data() {
            Some(data) => data.transport.send_part(now, channel, part, is_last),
            _ => Err(ChannelSendError::NotOpen),
        }
    }

    /// Closes a data channel, when what was accepted is sent. A message in parts that has not ended is given up.
    pub fn close_channel(&mut self, now: Instant, channel: ChannelId) {
        if let Some(data) = self.open_data() {
            data.transport.close(now, channel);
        }
    }

    /// Sets the `bufferedAmountLowThreshold` of a channel, in bytes.
    pub fn set_buffered_amount_low_threshold(&mut self, channel: ChannelId, bytes: usize) {
        if let Some(data) = &mut self.data {
            data.transport.set_buffered_amount_low_threshold(channel, bytes);
        }
    }

    /// Bytes of messages on a channel that were accepted and not sent yet (`bufferedAmount`).
    pub fn buffered_amount(&self, channel: ChannelId) -> usize {
        self.data().map_or(0, |data| data.buffered_amount(channel))
    }

    /// Bytes of received messages that the user has no more room for: the other end sends as much less. It may be told before
    /// there are data channels.
    pub fn set_retained(&mut self, bytes: usize) {
        self.retained = bytes;
        if let Some(data) = &mut self.data {
            data.transport.set_retained(bytes);
        }
    }

    /// What carries the data channels: to look at them. `None` without a data section.
    pub fn data(&self) -> Option<&Transport> {
        self.data.as_ref().map(|data| &data.transport)
    }

    /// What takes messages, if anything does.
    fn open_data(&mut self) -> Option<&mut Data> {
        let is_closed = self.state == State::Closed;
        self.data.as_deref_mut().filter(|data| !is_closed && !data.is_ending)
    }

    /// Lets SCTP end when all that was accepted is acknowledged. Whether there is anything to wait for.
    pub(super) fn finish_data(&mut self, now: Instant) -> bool {
        let Some(data) = &mut self.data else { return false };
        let association = data.transport.association();
        // The other end may have more to send when all of ours is acknowledged.
        let is_ending = matches!(
            association.state(),
            sctp::State::ShutdownSent | sctp::State::ShutdownAckSent
        );
        let waits = data.is_ending || is_ending || association.is_open() || association.stats().held > 0;
        data.is_ending = waits;
        data.end_if_due(now);
        waits
    }

    /// Whether the peer ends, and nothing more is to be said on data channels.
    pub(super) fn has_said_all(&self) -> bool {
        let data = self.data.as_ref();
        let data = data.filter(|data| data.is_ending && self.state != State::Closed);
        data.is_some_and(|data| data.transport.association().state() == sctp::State::Ended)
    }

    /// Takes what DTLS carried.
    pub(super) fn receive_data(data: Option<&mut Data>, now: Instant, packet: &[u8], sink: &mut impl Sink) -> bool {
        let Some(data) = data else { return false };
        data.transport.handle_packet(now, packet, &mut Lend(sink));
        true
    }

    /// What all associations have counted that there were.
    pub(super) fn data_counters(&self) -> sctp::Counters {
        self.data.as_ref().map_or_else(Default::default, |data| data.counters())
    }

    /// Makes what carries data channels, if there is none that can be used.
    pub(super) fn ensure_data(&mut self) {
        if self.data.as_ref().is_some_and(|data| data.stage != Stage::Stopped) {
            return;
        }
        let (earlier, is_ending) = (
            self.data_counters(),
            self.data.as_ref().is_some_and(|data| data.is_ending),
        );
        // What the former one has to tell comes first: the end of each of its channels at most.
        while let Some(event) = self.poll_data_event() {
            self.events.push_back(event);
        }
        let seed = Seed(random(&mut self.rng));
        let mut transport = Transport::new(&self.config.sctp, self.config.channel_limits.clone(), seed, self.born);
        transport.set_retained(self.retained);
        self.data = Some(Box::new(Data {
            transport,
            stage: Stage::Wished,
            is_ending,
            earlier,
        }));
    }

    /// Follows what the sections say about data channels.
    pub(super) fn follow_data_section(&mut self, now: Instant) {
        let Some(remote) = remote_data(&self.sections).cloned() else {
            // One may be wished for that is not in this answer yet.
            let mut wishes = self.wishes.iter();
            let is_wished = wishes.any(|wish| wish.kind == crate::Kind::Application && !wish.stopped);
            if let Some(data) = self.data.as_mut().filter(|_| !is_wished) {
                data.stage = Stage::Stopped;
                data.transport.abort(now);
            }
            return;
        };
        self.ensure_data();
        let (Some(data), Some((_, role))) = (&mut self.data, &self.identity) else {
            return;
        };
        let size = usize::try_from(remote.max_message_size).unwrap_or(usize::MAX);
        data.transport.set_max_message_size(size);
        if data.stage != Stage::Wished {
            return;
        }
        data.stage = Stage::Agreed;
        data.transport.set_destination_port(remote.port);
        let role = match role {
            Role::Client => sctp::Role::Client,
            Role::Server => sctp::Role::Server,
        };
        data.transport.set_role(now, role);
        // An INIT that cannot be used leaves the set-up as it would be without.
        if let Some(init) = remote.init.filter(|_| self.config.snap)
            && data.transport.connect_with(now, &init).is_ok()
        {
            data.stage = Stage::Signalled;
        }
        self.connect_data(now);
    }

    /// Begins the set-up of SCTP when DTLS is there. The other end may do the same.
    pub(super) fn connect_data(&mut self, now: Instant) {
        let is_secure = self.dtls.as_ref().is_some_and(Dtls::is_connected);
        if let Some(data) = &mut self.data
            && is_secure
            && data.stage == Stage::Agreed
        {
            data.stage = Stage::Begun;
            data.transport.connect(now);
        }
        if let Some(data) = &mut self.data {
            data.end_if_due(now);
        }
    }

    /// Our INIT for `a=sctp-init` of an answer: only where that of the offer was taken.
    pub(super) fn answered_init(&self) -> Option<String> {
        self.data.as_ref().filter(|data| data.stage == Stage::Signalled)?;
        self.local_init()
    }

    /// Our INIT for `a=sctp-init`, where SNAP is configured. It stays the same as long as the section does.
    pub(super) fn local_init(&self) -> Option<String> {
        let data = self.data.as_ref().filter(|_| self.config.snap)?;
        let mut chunk = [0; 256];
        let len = data.transport.association().local_init(&mut chunk)?;
        Some(STANDARD.encode(chunk.get(..len)?))
    }

    /// The next packet of SCTP, sealed, or a run of packets.
    pub(super) fn poll_data(&mut self, now: Instant, out: &mut [u8]) -> Option<Transmit> {
        let path = self.ice.selected().filter(|_| self.carries_data())?;
        let most = if self.takes_runs(&path) { MAX_DATAGRAMS } else { 1 };
        let (data, dtls) = (self.data.as_mut()?, self.dtls.as_mut()?);
        let overhead = dtls.overhead();
        let limit = out.len().min(MAX_RUN);
        let (mut total, mut segment, mut count) = (0, 0, 0);
        while count < most {
            let rest = out.get_mut(total..limit)?;
            let longest = data.transport.association().max_packet() + overhead.total();
            if count > 0 && (rest.len() < longest || segment < longest || !data.transport.is_uniform(now)) {
                break;
            }
            let room = rest.len().checked_sub(overhead.tail)?;
            let Some(len) = data.transport.poll_transmit(now, rest.get_mut(overhead.head..room)?) else {
                break;
            };
            let Ok(len) = dtls.seal(rest, len) else { break };
            total += len;
            count += 1;
            if count == 1 {
                segment = len;
            } else if len < segment {
                break;
            }
        }
        if count == 0 {
            return None;
        }
        Some(Transmit {
            len: total,
            segment: u16::try_from(segment)
                .ok()
                .and_then(NonZeroU16::new)
                .filter(|_| count > 1),
            ..Transmit::one(path, total)
        })
    }

    /// Whether packets of SCTP can go out.
    fn carries_data(&self) -> bool {
        matches!(self.state, State::Connected | State::Disconnected) && self.ice.selected().is_some()
    }

    /// When data channels have something to do.
    pub(super) fn data_timeout(&self) -> Option<Instant> {
        let data = self.data.as_ref().filter(|_| self.carries_data())?;
        data.transport.poll_timeout()
    }

    pub(super) fn handle_data_timeout(&mut self, now: Instant) {
        // What cannot be sent is not waited for: whether the peer is there is the affair of ICE.
        let carries = self.carries_data();
        if let Some(data) = self.data.as_mut().filter(|_| carries) {
            data.transport.handle_timeout(now);
        }
    }

    /// What has happened to data channels.
    pub(super) fn poll_data_event(&mut self) -> Option<Event> {
        let event = self.data.as_mut()?.transport.poll_event()?;
        Some(match event {
            TransportEvent::Established => Event::DataConnected,
            TransportEvent::Channel(event) => Event::Channel(event),
            TransportEvent::Closed(reason) => Event::DataClosed(reason),
            _ => return None,
        })
    }
}

impl Data {
    /// Who shuts down before the set-up has begun ends at once, and what was accepted is lost.
    fn end_if_due(&mut self, now: Instant) {
        if self.is_ending && matches!(self.stage, Stage::Begun | Stage::Signalled) {
            self.transport.shutdown(now);
        }
    }

    fn counters(&self) -> sctp::Counters {
        let mut counters = self.earlier;
        counters.absorb(&self.transport.counters());
        counters
    }
}

/// What the peer says in a data section that is agreed to.
fn remote_data(sections: &[Section]) -> Option<&RemoteData> {
    let live = sections
        .iter()
        .find(|section| section.kind == crate::Kind::Application && section.rejected.is_none())?;
    live.data.as_ref()
}

/// The INIT chunk of `a=sctp-init`.
pub(crate) fn init_chunk(init: sdp::SctpInit<'_>) -> Option<Vec<u8>> {
    (init.len() <= MAX_INIT).then(|| init.bytes().collect())
}
