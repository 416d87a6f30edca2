use super::answers::{Fault, connection_id, unknown_required};
use super::config::{Relayed, Transport};
use super::event::{CloseReason, Event, SendError, State};
use super::{Client, MIN_OUT, peers::Way};
use crate::{ChannelData, ChannelNumber, FrameError, next_frame};
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::ops::Range;
use std::time::Instant;
use stun::{AttributeType, Builder, Class, HEADER_LEN, Message, Method, Value};
use wire::Transmit;

/// Bytes of an attribute before its value.
const ATTRIBUTE_HEADER: usize = 4;
/// XOR-PEER-ADDRESS with an address of IPv4 and of IPv6.
const PEER_IPV4: usize = ATTRIBUTE_HEADER + 8;
const PEER_IPV6: usize = ATTRIBUTE_HEADER + 20;
/// Most bytes of data that can wait, so that `poll_transmit` has room for it with all that goes around it.
const MAX_WAITING: usize = MIN_OUT - HEADER_LEN - PEER_IPV6 - ATTRIBUTE_HEADER - 3;

/// Data that a peer sent, lent from the caller's buffer.
#[derive(Debug, PartialEq, Eq)]
pub struct Received<'a> {
    /// Who sent it.
    pub peer: SocketAddr,
    /// The data, which may be decrypted in place.
    pub data: &'a mut [u8],
}

/// The room that data to a peer needs around it now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    route: Route,
    head: usize,
    padded: bool,
}

impl Room {
    /// Bytes before the data: 4 with a channel, else 36 (IPv4) or 48 (IPv6).
    pub const fn head(&self) -> usize {
        self.head
    }

    /// Bytes after so many bytes of data: 0 with a channel over UDP, else 0 to 3.
    pub const fn tail(&self, len: usize) -> usize {
        if self.padded { ChannelData::padding(len) } else { 0 }
    }
}

/// How data goes to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    Channel(ChannelNumber),
    Indication,
}

/// What a message holds for the caller.
enum Content {
    Nothing,
    Data(SocketAddr, Range<usize>),
}

/// Data to peers. It goes in ChannelData once a channel is bound, else in Send indications.
impl Client {
    /// The room that data to `peer` needs now. Until the next input or command it stays the same.
    ///
    /// # Errors
    /// When data cannot go to the peer at all; an unknown one is not added.
    pub fn room(&self, peer: &SocketAddr) -> Result<Room, SendError> {
        match self.peers.way(peer) {
            Some(Way::Channel(channel)) => Ok(self.room_of(Route::Channel(channel), peer)),
            _ => {
                self.reachable(peer)?;
                Ok(self.room_of(Route::Indication, peer))
            }
        }
    }

    /// Writes `data` for `peer` into `out`: one copy, no allocation.
    ///
    /// The first data to a peer goes behind the CreatePermission that it needs, without waiting for the answer: such
    /// data (1997 bytes at most) is kept, this gives `None`, and both come from [`poll_transmit`](Self::poll_transmit).
    ///
    /// # Errors
    /// Why it cannot be sent; nothing was written then.
    pub fn send(
        &mut self,
        now: Instant,
        peer: SocketAddr,
        data: &[u8],
        out: &mut [u8],
    ) -> Result<Option<Transmit>, SendError> {
        let (route, at_once) = self.route(now, &peer)?;
        if !at_once {
            return Ok(self.wait(peer, data));
        }
        let room = self.room_of(route, &peer);
        let len = self.write(room, &peer, data, out)?;
        Ok(Some(Transmit::one(self.path(), len)))
    }

    /// As [`send`](Self::send), for a run of datagrams of `segment` bytes each that lie end to end in `data` (the last
    /// may be shorter): it comes out as a run again, with a longer segment.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_run(
        &mut self,
        now: Instant,
        peer: SocketAddr,
        data: &[u8],
        segment: NonZeroU16,
        out: &mut [u8],
    ) -> Result<Option<Transmit>, SendError> {
        let segment = usize::from(segment.get());
        let (route, at_once) = self.route(now, &peer)?;
        if !at_once {
            for datagram in data.chunks(segment) {
                self.wait(peer, datagram);
            }
            return Ok(None);
        }
        let room = self.room_of(route, &peer);
        let (mut len, mut first) = (0_usize, 0);
        for datagram in data.chunks(segment) {
            let rest = out.get_mut(len..).ok_or(SendError::Full)?;
            let written = self.write(room, &peer, datagram, rest)?;
            if len == 0 {
                first = written;
            }
            len = len.saturating_add(written);
        }
        // A stream has no datagrams.
        let run = len > first && self.config.transport == Transport::Udp;
        let first = u16::try_from(first).ok().and_then(NonZeroU16::new);
        Ok(Some(Transmit {
            segment: first.filter(|_| run),
            ..Transmit::one(self.path(), len)
        }))
    }

    /// Wraps what the caller has laid into `out` behind the head of the [`room`](Self::room): `len` bytes from
    /// `room.head()` on. No copy; `None` as with [`send`](Self::send).
    ///
    /// # Errors
    /// [`SendError::RoomChanged`] when the peer needs another room by now; else as [`send`](Self::send).
    pub fn seal(
        &mut self,
        now: Instant,
        peer: SocketAddr,
        room: Room,
        len: usize,
        out: &mut [u8],
    ) -> Result<Option<Transmit>, SendError> {
        let (route, at_once) = self.route(now, &peer)?;
        if !at_once {
            let end = room.head.checked_add(len).ok_or(SendError::TooLong)?;
            let data = out.get(room.head..end).ok_or(SendError::Full)?;
            return Ok(self.wait(peer, data));
        }
        if self.room_of(route, &peer) != room {
            return Err(SendError::RoomChanged);
        }
        let len = self.wrap(room, &peer, len, out)?;
        Ok(Some(Transmit::one(self.path(), len)))
    }

    fn room_of(&self, route: Route, peer: &SocketAddr) -> Room {
        let stream = self.config.transport == Transport::Stream;
        match route {
            Route::Channel(_) => Room {
                route,
                head: ChannelData::HEADER_LEN,
                padded: stream,
            },
            Route::Indication => Room {
                route,
                head: indication_head(peer),
                padded: true,
            },
        }
    }

    /// Keeps data for `poll_transmit`.
    fn wait(&mut self, peer: SocketAddr, data: &[u8]) -> Option<Transmit> {
        if data.len() > MAX_WAITING || !self.waiting.push(peer, data) {
            self.count_waiting_dropped();
        }
        None
    }

    fn count_waiting_dropped(&mut self) {
        self.counters.turn_waiting_data_dropped = self.counters.turn_waiting_data_dropped.saturating_add(1);
    }

    /// Writes the oldest data whose permission was asked for by now.
    pub(super) fn write_waiting(&mut self, out: &mut [u8]) -> Option<usize> {
        loop {
            let (peer, len) = self.waiting.front().map(|(peer, data)| (peer, data.len()))?;
            let route = match self.peers.way(&peer) {
                Some(Way::Channel(channel)) => Route::Channel(channel),
                Some(Way::Indication(_)) if self.peers.permits(&peer.ip()) => Route::Indication,
                // Its request found no place among the transactions yet.
                Some(Way::Indication(super::Grant::Wanted)) => return None,
                Some(Way::Indication(_)) | None => {
                    self.waiting.pop();
                    self.count_waiting_dropped();
                    continue;
                }
            };
            let room = self.room_of(route, &peer);
            let (_, data) = self.waiting.front()?;
            let space = out.get_mut(room.head..)?.get_mut(..len)?;
            space.copy_from_slice(data);
            let Ok(written) = self.wrap(room, &peer, len, out) else {
                self.waiting.pop();
                self.count_waiting_dropped();
                continue;
            };
            if self.peers.way(&peer) == Some(Way::Indication(super::Grant::Asked)) {
                self.waiting.keep();
            } else {
                self.waiting.pop();
            }
            return Some(written);
        }
    }

    fn write(&mut self, room: Room, peer: &SocketAddr, data: &[u8], out: &mut [u8]) -> Result<usize, SendError> {
        let end = room.head.checked_add(data.len()).ok_or(SendError::TooLong)?;
        let space = out.get_mut(room.head..end).ok_or(SendError::Full)?;
        space.copy_from_slice(data);
        self.wrap(room, peer, data.len(), out)
    }

    /// Writes head and tail around data that lies in `out`; the length of the message.
    fn wrap(&mut self, room: Room, peer: &SocketAddr, len: usize, out: &mut [u8]) -> Result<usize, SendError> {
        let end = room.head.checked_add(len).ok_or(SendError::TooLong)?;
        let whole = end.checked_add(room.tail(len)).ok_or(SendError::TooLong)?;
        if out.len() < whole {
            return Err(SendError::Full);
        }
        let head = out.get_mut(..room.head).ok_or(SendError::Full)?;
        match room.route {
            Route::Channel(channel) => {
                let header = ChannelData::header(channel, len).ok_or(SendError::TooLong)?;
                head.copy_from_slice(&header);
            }
            Route::Indication => self.write_indication_head(head, peer, len, whole)?,
        }
        out.get_mut(end..whole).ok_or(SendError::Full)?.fill(0);
        Ok(whole)
    }

    /// Everything before the data of a Send indication (RFC 8656 §11.1).
    fn write_indication_head(
        &mut self,
        head: &mut [u8],
        peer: &SocketAddr,
        len: usize,
        whole: usize,
    ) -> Result<(), SendError> {
        let length = |bytes: usize| u16::try_from(bytes).map_err(|_| SendError::TooLong);
        let (data_length, length) = (length(len)?, length(whole.saturating_sub(HEADER_LEN))?);
        let id = self.transaction_id();
        let mut b = Builder::new(head, Class::Indication, Method::SEND, id).map_err(|_| SendError::Full)?;
        b.push(&Value::XorPeerAddress(*peer)).map_err(|_| SendError::Full)?;
        let written = b.finish().len();
        // The builder knows only what it has written itself.
        if let Some(place) = head.get_mut(2..4) {
            place.copy_from_slice(&length.to_be_bytes());
        }
        let [t0, t1] = AttributeType::DATA.0.to_be_bytes();
        let [l0, l1] = data_length.to_be_bytes();
        let attribute = head.get_mut(written..).ok_or(SendError::Full)?;
        attribute.copy_from_slice(&[t0, t1, l0, l1]);
        Ok(())
    }
}

const fn indication_head(peer: &SocketAddr) -> usize {
    let address = if peer.is_ipv4() { PEER_IPV4 } else { PEER_IPV6 };
    HEADER_LEN.saturating_add(address).saturating_add(ATTRIBUTE_HEADER)
}

/// Data from peers, and everything else that the server sends.
impl Client {
    /// Takes a datagram that came from the server on [`path`](Self::path), or one frame of the stream. What a peer sent
    /// is lent from it.
    pub fn handle_datagram<'a>(&mut self, now: Instant, datagram: &'a mut [u8]) -> Option<Received<'a>> {
        let content = if ChannelData::is(datagram) {
            self.read_channel_data(datagram)
        } else {
            self.read_message(now, datagram)
        };
        match content {
            Content::Nothing => None,
            Content::Data(peer, range) => Some(Received {
                peer,
                data: datagram.get_mut(range)?,
            }),
        }
    }

    /// Takes what came on the stream so far, and hands what peers sent to `sink`. Gives the number of bytes that were
    /// used: the rest is the beginning of a message and is to be given again, with more behind it. The buffer has to
    /// hold [`MAX_FRAME`](crate::MAX_FRAME) bytes.
    ///
    /// # Errors
    /// When the stream is not TURN: the client has closed, and the connection is to be closed.
    pub fn handle_stream(
        &mut self,
        now: Instant,
        stream: &mut [u8],
        mut sink: impl FnMut(Received<'_>),
    ) -> Result<usize, FrameError> {
        let mut used = 0_usize;
        loop {
            let rest = stream.get_mut(used..).unwrap_or_default();
            let frame = match next_frame(rest) {
                Ok(frame) => frame,
                Err(error) => {
                    self.finish(CloseReason::BadFraming);
                    return Err(error);
                }
            };
            let Some(message) = frame.and_then(|len| rest.get_mut(..len)) else {
                return Ok(used);
            };
            used = used.saturating_add(message.len());
            if let Some(received) = self.handle_datagram(now, message) {
                sink(received);
            }
        }
    }

    fn read_channel_data(&mut self, datagram: &[u8]) -> Content {
        let Ok(message) = ChannelData::parse(datagram) else {
            self.count(Fault::Malformed);
            return Content::Nothing;
        };
        let peer = self.peers.channels.peer(message.channel);
        let Some(peer) = peer.filter(|_| self.state == State::Allocated) else {
            self.counters.turn_unknown_channels = self.counters.turn_unknown_channels.saturating_add(1);
            return Content::Nothing;
        };
        let end = ChannelData::HEADER_LEN.saturating_add(message.data.len());
        Content::Data(peer, ChannelData::HEADER_LEN..end)
    }

    fn read_message(&mut self, now: Instant, datagram: &[u8]) -> Content {
        let Ok(message) = Message::parse(datagram) else {
            self.count(Fault::Malformed);
            return Content::Nothing;
        };
        match (message.class(), message.method()) {
            (Class::Indication, Method::DATA) => return self.read_data(&message),
            (Class::Indication, Method::CONNECTION_ATTEMPT) => self.read_connection_attempt(&message),
            (Class::SuccessResponse | Class::ErrorResponse, _) => self.handle_answer(now, &message),
            (Class::Request | Class::Indication, _) => {
                self.counters.turn_unexpected_methods = self.counters.turn_unexpected_methods.saturating_add(1);
            }
        }
        Content::Nothing
    }

    /// RFC 8656 §11.4, §11.6.
    fn read_data(&mut self, message: &Message<'_>) -> Content {
        let Some(peer) = self.sender(message) else {
            return Content::Nothing;
        };
        if let Some(data) = message.attribute(AttributeType::DATA) {
            let start = data.offset().saturating_add(ATTRIBUTE_HEADER);
            return Content::Data(peer, start..start.saturating_add(data.value().len()));
        }
        match message.attribute(AttributeType::ICMP).map(|icmp| icmp.decode()) {
            Some(Ok(Value::Icmp { kind, code, data })) => self.tell_of_peer(Event::Icmp { peer, kind, code, data }),
            _ => self.count(Fault::Malformed),
        }
        Content::Nothing
    }

    /// RFC 6062 §4.4.
    fn read_connection_attempt(&mut self, message: &Message<'_>) {
        let Some(peer) = self.sender(message) else { return };
        match connection_id(message).filter(|_| self.config.relayed == Relayed::Tcp) {
            Some(connection) => self.tell_of_peer(Event::ConnectionAttempt { peer, connection }),
            None => self.count(Fault::Malformed),
        }
    }

    /// The peer that an indication is about, if it is permitted.
    fn sender(&mut self, message: &Message<'_>) -> Option<SocketAddr> {
        if unknown_required(message) {
            self.count(Fault::UnknownAttribute);
            return None;
        }
        let Ok(Some(peer)) = message.xor_peer_address() else {
            self.count(Fault::Malformed);
            return None;
        };
        if self.state != State::Allocated || !self.peers.permits(&peer.ip()) {
            self.counters.turn_unwanted_data = self.counters.turn_unwanted_data.saturating_add(1);
            return None;
        }
        Some(peer)
    }
}
