//! An association: what the parts of the [`engine`](crate::engine) are composed to.

mod event;
mod options;
mod receive;
mod recovery;
#[cfg(test)]
mod tests;
mod transmit;

use core::time::Duration;
use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use wire::Seed;

pub use crate::engine::inbound::Sink;
pub use crate::engine::setup::{State, UnusableInit};
pub use event::{Event, ResetStreams};
pub use options::{Message, SendError, Stats};

use crate::close::CloseReason;
use crate::config::Config;
use crate::counters::Counters;
use crate::dcep::Reliability;
use crate::engine::inbound::{Acks, Reassembly};
use crate::engine::outbound::{Drained, Limit, Outbound, Outgoing};
use crate::engine::path::Path;
use crate::engine::reset::Reset;
use crate::engine::setup::Setup;
use crate::engine::sooner;
use crate::packet::CommonHeader;
use recovery::{Due, Recovery};

/// One end of an association, without I/O: packets and the time come in by its methods, packets, events and the time at which
/// it wants to be called again come out.
///
/// After any input or command, [`poll_transmit`](Self::poll_transmit) is to be called until it gives nothing, and then
/// [`poll_timeout`](Self::poll_timeout); [`poll_event`](Self::poll_event) whenever something came in.
#[derive(Debug)]
pub struct Association {
    config: Config,
    setup: Setup,
    path: Path,
    reset: Reset,
    outbound: Outbound,
    recovery: Recovery,
    inbound: Option<Inbound>,
    /// Bytes that the user has not dealt with yet.
    retained: usize,
    /// ERROR chunks that are to be sent.
    errors: Vec<Complaint>,
    closed_window: Option<Stall>,
    events: VecDeque<Event>,
    counters: Counters,
}

/// What there is since the peer's first TSN is known.
#[derive(Debug)]
struct Inbound {
    acks: Acks,
    reassembly: Reassembly,
}

/// For how long the peer has had no room for what waits.
#[derive(Debug)]
struct Stall {
    /// When it said so last.
    told: Instant,
    lasted: Duration,
}

/// What the peer is told by an ERROR.
#[derive(Debug)]
enum Complaint {
    NoSuchStream(u16),
    /// The chunk, or its beginning.
    UnrecognizedChunk(Vec<u8>),
    BadReconfig(&'static str),
}

impl Complaint {
    /// So many wait at most.
    const MOST: usize = 4;
    /// So much of a chunk is quoted.
    const QUOTED: usize = 64;
}

impl Association {
    /// A new one. All that is random grows from the seed, which must be secret and used once.
    pub fn new(config: &Config, seed: Seed, now: Instant) -> Self {
        let mut rng = StdRng::from_seed(seed.0);
        let mut seeds = [[0; 32]; 2];
        for seed in &mut seeds {
            rng.fill_bytes(seed);
        }
        let [first, second] = seeds;
        let setup = Setup::new(config, Seed(first), now);
        Self {
            path: Path::new(config, now, &Seed(second)),
            reset: Reset::new(config),
            outbound: Outbound::new(config, setup.local_initial_tsn()),
            recovery: Recovery::new(config, now),
            inbound: None,
            retained: 0,
            errors: Vec::new(),
            closed_window: None,
            events: VecDeque::new(),
            counters: Counters::default(),
            config: config.clone(),
            setup,
        }
    }

    // Getters

    /// Where the set-up stands.
    pub const fn state(&self) -> State {
        self.setup.state()
    }

    /// Whether messages can be sent and are on their way at once.
    pub const fn is_open(&self) -> bool {
        self.setup.is_open()
    }

    /// Our INIT chunk, as SNAP carries it in `a=sctp-init`; the same one as [`connect`](Self::connect) sends. How long it is;
    /// `None` when `out` is too short: 64 bytes are enough.
    pub fn local_init(&self, out: &mut [u8]) -> Option<usize> {
        self.setup.local_init(out)
    }

    /// Streams that may be sent on are those below this number; before the association is set up, those that are wanted.
    pub const fn outbound_streams(&self) -> u16 {
        self.outbound.streams()
    }

    /// Streams that may be received on are those below this number.
    pub fn inbound_streams(&self) -> u16 {
        self.setup
            .peer()
            .map_or(self.config.inbound_streams, |peer| peer.outbound_streams)
    }

    /// Whether I-DATA is used: long messages do not hold up those of other streams.
    pub fn is_interleaving(&self) -> bool {
        self.setup.peer().is_some_and(|peer| peer.interleaving)
    }

    /// Whether messages can be given up: the peer knows FORWARD TSN.
    pub fn is_partially_reliable(&self) -> bool {
        self.setup.peer().is_some_and(|peer| peer.forward_tsn)
    }

    /// Bytes of messages of a stream that were accepted and not sent yet.
    pub fn buffered(&self, stream: u16) -> usize {
        self.outbound.buffered(stream)
    }

    /// The largest packet in bytes that [`poll_transmit`](Self::poll_transmit) writes, unless something was cut for larger
    /// ones.
    pub const fn max_packet(&self) -> usize {
        self.path.max_packet()
    }

    /// Whether the next packet is no longer than [`max_packet`](Self::max_packet): no probe of path-MTU discovery, and nothing
    /// that was cut for larger packets.
    pub fn is_uniform(&mut self, now: Instant) -> bool {
        let needs = self.outbound.needs(now).saturating_add(CommonHeader::LEN);
        self.path.probe(now).is_none() && needs <= self.path.max_packet()
    }

    /// What was dropped, refused or repeated.
    pub fn counters(&self) -> Counters {
        let mut counters = self.counters;
        counters.absorb(&self.outbound.counters());
        counters.absorb(&self.recovery.counters());
        counters
    }

    /// How fast it is.
    pub fn stats(&self) -> Stats {
        Stats {
            round_trip: self.recovery.rtt().smoothed(),
            min_round_trip: self.recovery.rtt().min(),
            window: self.recovery.window(),
            in_flight: self.outbound.flight(),
            held: self.outbound.held(),
        }
    }

    // Inputs: see also receive.rs

    /// The time has come that [`poll_timeout`](Self::poll_timeout) told. To be called too early, or twice, does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.state() == State::Ended {
            return;
        }
        if let Some(reason) = self.setup.handle_timeout(now, &mut self.counters) {
            self.ended(reason);
            return;
        }
        if self.state() == State::CookieEchoed && self.setup.wants_push() {
            // What went with COOKIE ECHO goes with it again.
            self.outbound.lose_all(now, false);
        }
        let mut errors = u32::from(self.reset.handle_timeout(now));
        let may_send = self.setup.is_open();
        if may_send {
            let (due, lost) = self.recovery.handle_timeout(now, &mut self.outbound);
            self.lost(now, &lost);
            // Who answers with a closed window is there, which is noticed when it answers.
            errors = errors.saturating_add(u32::from(due == Due::TimedOut));
        }
        for _ in 0..errors {
            if let Some(reason) = self.path.timed_out() {
                self.close(reason);
                return;
            }
        }
        match self.path.handle_timeout(now) {
            Ok(false) => {}
            Ok(true) => self.recovery.heartbeat_timed_out(),
            Err(reason) => self.close(reason),
        }
    }

    // Commands

    /// The peer's `a=sctp-port`, where it is known only now; before anything was sent or received.
    pub fn set_destination_port(&mut self, port: u16) {
        self.config.destination_port = port;
        self.setup.set_destination_port(port);
    }

    /// Begins the set-up. The peer may do the same at the same time.
    pub fn connect(&mut self, now: Instant) {
        self.setup.connect(now);
    }

    /// Begins with the INIT that the peer sent by signalling, as ours was sent: nothing is set up any more (SNAP,
    /// draft-hancke-tsvwg-snap-00).
    ///
    /// # Errors
    /// What is wrong with the INIT. [`connect`](Self::connect) may follow, with another INIT than was told.
    pub fn connect_with(&mut self, now: Instant, peer_init: &[u8]) -> Result<(), UnusableInit> {
        self.setup.connect_with(peer_init)?;
        self.opened(now);
        Ok(())
    }

    /// Accepts a message. It is sent when it is its turn; before the association is set up it waits.
    ///
    /// # Errors
    /// Why it was not accepted; it was not changed or sent.
    pub fn send(&mut self, now: Instant, message: Message) -> Result<(), SendError> {
        self.accept(now, message, true)
    }

    /// Accepts the beginning of a message whose length need not be known: [`send_part`](Self::send_part) goes on with it. Until
    /// it has ended no other message is accepted on the stream, and without interleaving none is sent on others.
    ///
    /// # Errors
    /// Why it was not accepted.
    pub fn send_first_part(&mut self, now: Instant, message: Message) -> Result<(), SendError> {
        self.accept(now, message, false)
    }

    /// Goes on with the message of the stream that has not ended. Parts are best a few packets long or more; one without bytes
    /// may be the last.
    ///
    /// # Errors
    /// Why the part was not accepted.
    pub fn send_part(&mut self, now: Instant, stream: u16, part: Bytes, is_last: bool) -> Result<(), SendError> {
        if self.state() == State::Ended {
            return Err(SendError::Closed);
        }
        self.outbound.append(now, stream, part, is_last).map_err(SendError::of)
    }

    /// Gives up the message of the stream that has not ended, if there is one. What was sent of it arrives, unless it has a limit,
    /// where what is in flight is given up as well, and the peer learns that no more comes. One that knows no FORWARD TSN would
    /// wait for the end: the association ends instead.
    pub(crate) fn cut(&mut self, now: Instant, stream: u16) {
        if let Err(rule) = self.outbound.cut(stream) {
            self.close(CloseReason::ProtocolViolation(rule));
        }
        self.settle(now);
    }

    /// No message goes on any more.
    pub(crate) fn cut_all(&mut self, now: Instant) {
        while let Some(stream) = self.outbound.first_unfinished() {
            self.cut(now, stream);
        }
    }

    fn accept(&mut self, now: Instant, message: Message, is_whole: bool) -> Result<(), SendError> {
        if !self.accepts_messages() {
            return Err(SendError::Closed);
        }
        if message.payload.is_empty() {
            return Err(SendError::Empty);
        }
        let limit = match message.reliability {
            Reliability::Reliable => Limit::None,
            Reliability::Retransmissions(most) => Limit::Retransmissions(most),
            Reliability::Lifetime(ms) => now
                .checked_add(Duration::from_millis(ms.into()))
                .map_or(Limit::None, Limit::Until),
        };
        let outgoing = Outgoing {
            stream: message.stream,
            ppid: message.ppid,
            unordered: message.unordered,
            limit,
            payload: message.payload,
        };
        self.outbound.send(now, outgoing, is_whole).map_err(SendError::of)
    }

    /// Whether messages are accepted. They wait until the association is set up.
    pub const fn accepts_messages(&self) -> bool {
        matches!(
            self.setup.state(),
            State::Closed | State::CookieWait | State::CookieEchoed | State::Established
        ) && !self.setup.wants_shutdown()
    }

    /// A stream's share against others where they compete: 256 is usual (RFC 8831 §6.4). It holds when the peer begins anew.
    pub fn set_priority(&mut self, stream: u16, priority: u16) {
        self.outbound.set_priority(stream, priority);
    }

    /// Begins a stream of ours anew, when all of it was sent (RFC 6525): nothing is accepted on it until
    /// [`Event::ResetDone`] or [`Event::ResetDenied`].
    pub fn reset(&mut self, stream: u16) {
        if stream >= self.outbound.streams() || self.state() == State::Ended {
            return;
        }
        if self.setup.peer().is_some_and(|peer| !peer.reconfig) {
            self.events.push_back(Event::ResetDenied(vec![stream]));
            return;
        }
        self.outbound.stop(stream);
        self.reset.want(stream);
    }

    /// Bytes of received messages that the user keeps and has no more room for: the peer is told of as much less room, and when
    /// that is all of [`Config::receive_window`], no data is taken. 0 in the beginning. It may be told before the set-up, and holds
    /// when the peer begins anew.
    pub fn set_retained(&mut self, bytes: usize) {
        let before = core::mem::replace(&mut self.retained, bytes);
        if let Some(inbound) = &mut self.inbound {
            let was_closed = inbound.window(&self.config, before) == 0;
            if was_closed && inbound.window(&self.config, bytes) > 0 {
                inbound.acks.tell();
            }
        }
    }

    /// Ends the association when all that was accepted is sent and acknowledged. A message in parts that has not ended is waited
    /// for.
    pub fn shutdown(&mut self, now: Instant) {
        if let Some(reason) = self.setup.shutdown() {
            self.ended(reason);
        }
        self.settle(now);
    }

    /// Ends the association at once; the peer is told.
    pub fn abort(&mut self) {
        if self.state() != State::Ended {
            self.close(CloseReason::Aborted);
        }
    }

    // Outputs: see also transmit.rs

    /// When [`handle_timeout`](Self::handle_timeout) or [`poll_transmit`](Self::poll_transmit) has something to do next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.state() == State::Ended {
            return None;
        }
        let may_send = self.setup.is_open();
        let recovery = may_send.then(|| self.recovery.poll_timeout(&self.outbound, self.path.max_packet()));
        let acks = self.inbound.as_ref().and_then(|inbound| inbound.acks.poll_timeout());
        let due = sooner(self.setup.poll_timeout(), self.path.poll_timeout());
        let due = sooner(due, sooner(self.reset.poll_timeout(), recovery.flatten()));
        sooner(due, acks)
    }

    /// What has happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    // For data channels

    /// Whether [`poll_event`](Self::poll_event) has something to tell.
    pub(crate) fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// A stream of which less waits than before.
    pub(crate) fn take_drained(&mut self) -> Option<Drained> {
        self.outbound.take_drained()
    }

    // Parts of the above

    /// The peer is known: data may flow.
    fn opened(&mut self, now: Instant) {
        let Some(peer) = self.setup.peer().copied() else { return };
        self.agreed();
        self.recovery.opened(now);
        if self.inbound.is_none() {
            let mut acks = Acks::new(&self.config, peer.initial_tsn);
            if self.retained > 0 {
                // The set-up has told of all the room that there is.
                acks.tell();
            }
            self.inbound = Some(Inbound {
                acks,
                reassembly: Reassembly::new(&self.config, peer.outbound_streams, peer.interleaving),
            });
        }
        if peer.reconfig {
            self.reset.start(self.setup.local_initial_tsn(), peer.initial_tsn);
        } else {
            let wanted = self.outbound.resume_all();
            if !wanted.is_empty() {
                self.events.push_back(Event::ResetDenied(wanted));
            }
        }
        self.path.start(now, self.recovery.rto());
        self.events.push_back(Event::Established);
        self.settle(now);
    }

    /// The peer is known, and how it wants its data.
    fn agreed(&mut self) {
        if let Some(peer) = self.setup.peer() {
            self.outbound
                .established(peer.inbound_streams, peer.a_rwnd, peer.interleaving, peer.forward_tsn);
        }
    }

    /// Throws away what waits to be sent, but neither what was counted nor the shares of streams.
    fn clear_outbound(&mut self) {
        self.counters.absorb(&self.outbound.counters());
        let next = Outbound::new(&self.config, self.setup.local_initial_tsn());
        let former = core::mem::replace(&mut self.outbound, next);
        self.outbound.adopt_priorities(&former);
    }

    /// The peer has begun anew (RFC 9260 §5.2.4.1): nothing of before is left, neither what waits to be sent.
    fn restarted(&mut self, now: Instant) {
        self.clear_outbound();
        self.counters.absorb(&self.recovery.counters());
        self.recovery = Recovery::new(&self.config, now);
        self.reset = Reset::new(&self.config);
        self.inbound = None;
        self.closed_window = None;
        self.events.push_back(Event::Restarted);
        self.opened(now);
    }

    /// Ends it for a reason of ours.
    fn close(&mut self, reason: CloseReason) {
        self.setup.close(&reason);
        self.ended(reason);
    }

    /// It has ended.
    fn ended(&mut self, reason: CloseReason) {
        self.path.stop();
        self.inbound = None;
        self.closed_window = None;
        self.errors = Vec::new();
        self.clear_outbound();
        self.events.push_back(Event::Closed(reason));
    }

    /// Goes on with a shutdown when nothing is left to be sent, and tells when there is room again.
    fn settle(&mut self, now: Instant) {
        if matches!(self.state(), State::ShutdownPending | State::ShutdownReceived) && self.outbound.is_done() {
            self.setup.data_all_acked(now, self.recovery.rto());
            self.path.stop();
        }
        if self.outbound.is_done() {
            // What waited for the peer's room may have come too late.
            self.closed_window = None;
        }
        if self.outbound.took_room() {
            self.events.push_back(Event::Writable);
        }
    }
}

impl Inbound {
    /// The a_rwnd to tell.
    fn window(&self, config: &Config, retained: usize) -> u32 {
        let free = self.reassembly.free();
        let retained = u32::try_from(retained).unwrap_or(u32::MAX);
        let left = free.saturating_sub(retained);
        if usize::try_from(left).is_ok_and(|left| left < config.base_packet) {
            0
        } else {
            left
        }
    }
}
