#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::unwrap_used
    )
)]

use std::collections::VecDeque;
use std::fmt;
use std::hash::{DefaultHasher, Hasher};

use ice::{Attachments, Rider};
use stun::{AttributeType, Authenticated, Class, CrcList, Value};
use wire::Seed;

/// DTLS flights in connectivity checks (draft-hancke-webrtc-sped).
///
/// It keeps the datagrams of the flight that DTLS sent last until the peer has acknowledged them, lays one of them into
/// each check and each answer in turn, and acknowledges those of the peer's, by their CRC-32s. It knows no time and no
/// path; what a record holds it does not look at. Bytes go in, bytes come out:
///
/// 1. Getters.
/// 2. Inputs: [`receive`](Self::receive) what came in checks and answers, [`note_plain`](Self::note_plain) what came by
///    itself, [`note_taken`](Self::note_taken) that DTLS has taken it, [`note_path`](Self::note_path) whether there is a
///    path that works.
/// 3. Commands: [`begin_flight`](Self::begin_flight) and [`push`](Self::push) what DTLS sends, and
///    [`complete`](Self::complete) when the handshake is.
/// 4. Outputs: [`attach`](Rider::attach) to a check or an answer, [`poll_plain`](Self::poll_plain) what leaves by itself,
///    [`poll_received`](Self::poll_received) what is for DTLS.
///
/// Whatever the peer sends, no more is held than [`MAX_HELD`](Self::MAX_HELD) bytes beside the flight of our own.
pub struct Sped {
    state: SpedState,
    /// The datagrams of the last flight that are not acknowledged; the one that rides next comes first.
    flight: VecDeque<Outgoing>,
    flight_bytes: usize,
    /// CRC-32s of what was in flights, the newest last: of these the peer may speak.
    sent: VecDeque<u32>,
    /// CRC-32s of what came, the newest last, as many as an acknowledgement has.
    acknowledgements: VecDeque<u32>,
    /// What was handed to DTLS, the newest last, by keyed hashes: who does not know the key cannot have one datagram
    /// taken for another, as with CRC-32s.
    taken: VecDeque<u64>,
    hash_key: u64,
    /// What waits for DTLS.
    received: VecDeque<Box<[u8]>>,
    received_bytes: usize,
    has_path: bool,
    /// The peer has all that our handshake had to say: what DTLS still sends does not ride.
    answered: bool,
    /// The flight is one that was sent before.
    repeated: bool,
    counters: SpedCounters,
}

/// How far it has come: the names are those of libwebrtc.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SpedState {
    /// Nothing of the peer's has come yet: whether it takes part is not known.
    Tentative,
    /// The peer takes part.
    Confirmed,
    /// Our handshake is complete; the peer may still lack our last flight, or our acknowledgement of its own.
    Pending,
    /// Nothing rides any more.
    Complete,
    /// The peer takes no part, or what it sends is too little: DTLS goes by itself.
    Off,
}

wire::counters! {
    /// What the peer did wrong, or too much of. All are 0 after a clean call.
    pub struct SpedCounters {
        /// META-DTLS-IN-STUN attributes whose first byte is not that of DTLS (RFC 9443 §3). Not acknowledged.
        pub sped_not_dtls,
        /// META-DTLS-IN-STUN attributes longer than a datagram may be. Not acknowledged.
        pub sped_oversized,
        /// META-DTLS-IN-STUN-ACKNOWLEDGEMENT attributes that are not up to four whole CRC-32s.
        pub sped_malformed_acknowledgements,
        /// Acknowledgements of what was not sent, or so long ago that it is forgotten.
        pub sped_unknown_acknowledgements,
        /// Attributes beyond the first of their type in one message (RFC 8489 §14: only that one counts).
        pub sped_repeated_attributes,
        /// Datagrams that came before DTLS was there, for which there was no room. Not acknowledged: they come again.
        pub sped_received_overflow,
    }
}

/// A datagram of the peer's that came by itself: what is remembered of it once DTLS has taken it
/// ([`Sped::note_taken`]).
#[derive(Debug, Clone, Copy)]
pub struct SpedArrival(Option<(u32, u64)>);

/// A datagram of ours.
struct Outgoing {
    crc: u32,
    bytes: Box<[u8]>,
    /// It is still to leave by itself, once there is a path.
    due: bool,
    /// It has left, be it in a check.
    left: bool,
    /// It rides until it is acknowledged; else it is forgotten once it has left.
    rides: bool,
}

/// Most datagrams of a flight, and most bytes: several certificates' worth. More goes without checks.
const MAX_FLIGHT: usize = 16;
const MAX_FLIGHT_BYTES: usize = 16 << 10;
/// Most datagrams of the peer's that are known again.
const MAX_TAKEN: usize = 16;
/// Most datagrams, and most bytes, that wait until DTLS is there: more than a ClientHello with post-quantum shares.
const MAX_RECEIVED: usize = 8;
const MAX_RECEIVED_BYTES: usize = 8 << 10;

impl Sped {
    /// How many of our datagrams are remembered for acknowledgements: four flights.
    pub const MAX_SENT: usize = 4 * MAX_FLIGHT;
    /// The longest datagram that is to be laid into a check, in bytes: what Chromium has. With all that a check has
    /// besides, and with what a TURN server needs around it, that passes any path that carries media.
    pub const MAX_DATAGRAM: usize = 900;
    /// The longest that is taken from the peer, in bytes.
    pub const MAX_RECEIVED_DATAGRAM: usize = 1500;
    /// Most bytes of the peer's that are held, whatever it sends, and of what is remembered of them.
    pub const MAX_HELD: usize = MAX_RECEIVED_BYTES + 4 * CrcList::MAX + 8 * MAX_TAKEN;

    /// Before anything was sent or has come.
    pub fn new(seed: Seed) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write(&seed.0);
        Self {
            state: SpedState::Tentative,
            flight: VecDeque::new(),
            flight_bytes: 0,
            sent: VecDeque::new(),
            acknowledgements: VecDeque::new(),
            taken: VecDeque::new(),
            hash_key: hasher.finish(),
            received: VecDeque::new(),
            received_bytes: 0,
            has_path: false,
            answered: false,
            repeated: false,
            counters: SpedCounters::default(),
        }
    }
}

/// Getters.
impl Sped {
    /// How far it has come.
    pub const fn state(&self) -> SpedState {
        self.state
    }

    /// Whether anything may ride: flights of DTLS are to be pushed then, and are cut to
    /// [`MAX_DATAGRAM`](Self::MAX_DATAGRAM).
    pub const fn is_active(&self) -> bool {
        matches!(
            self.state,
            SpedState::Tentative | SpedState::Confirmed | SpedState::Pending
        )
    }

    /// Whether a datagram of a flight that is sent for the first time has not left yet in any way: another check could take
    /// it. What is sent again has the checks that are sent again.
    pub fn has_more(&self) -> bool {
        self.is_active() && !self.repeated && self.flight.iter().any(|outgoing| outgoing.rides && !outgoing.left)
    }

    /// How many datagrams of the last flight are not acknowledged yet.
    pub fn unacknowledged(&self) -> usize {
        self.flight.len()
    }

    /// Bytes that are held because of the peer: at most [`MAX_HELD`](Self::MAX_HELD).
    pub fn held_bytes(&self) -> usize {
        let remembered = self
            .acknowledgements
            .len()
            .saturating_mul(4)
            .saturating_add(self.taken.len().saturating_mul(8));
        self.received_bytes.saturating_add(remembered)
    }

    /// What the peer did wrong.
    pub const fn counters(&self) -> &SpedCounters {
        &self.counters
    }
}

/// Inputs.
impl Sped {
    /// Takes what one authentic check or answer of the peer's had: the value of META-DTLS-IN-STUN, and of
    /// META-DTLS-IN-STUN-ACKNOWLEDGEMENT.
    ///
    /// A peer whose message has neither takes no part, or no longer does: before our handshake is complete DTLS goes on
    /// by itself, and after it there is nothing more to say.
    pub fn receive(&mut self, datagram: Option<&[u8]>, acknowledgements: Option<CrcList<'_>>) {
        if !self.is_active() {
            return;
        }
        if datagram.is_none() && acknowledgements.is_none() {
            return match self.state {
                SpedState::Pending => self.finish(),
                _ => self.turn_off(),
            };
        }
        if self.state == SpedState::Tentative {
            self.state = SpedState::Confirmed;
        }
        for crc in acknowledgements.iter().flat_map(CrcList::iter) {
            self.acknowledged(crc);
        }
        if let Some(datagram) = datagram.filter(|datagram| !datagram.is_empty()) {
            self.take(datagram);
        }
        // Without the attribute, be it empty, nothing of the peer's is to come: then both have what they need.
        if self.state == SpedState::Pending && !self.has_riders() && datagram.is_none() {
            self.finish();
        }
    }

    /// Looks at a datagram that came by itself, before DTLS does. `None` when DTLS has had the very same, be it out of a
    /// check: it is not to be given to DTLS again, and is acknowledged once more.
    pub fn note_plain(&mut self, datagram: &[u8]) -> Option<SpedArrival> {
        if !matches!(self.state, SpedState::Tentative | SpedState::Confirmed) || !is_dtls(datagram) {
            return Some(SpedArrival(None));
        }
        let (crc, hash) = (crc32fast::hash(datagram), self.hash(datagram));
        if self.taken.contains(&hash) {
            self.acknowledge(crc);
            return None;
        }
        Some(SpedArrival(Some((crc, hash))))
    }

    /// DTLS has taken what came by itself. It is acknowledged, too, as libwebrtc does: the peer need not send it again.
    /// What DTLS has refused, because it was forged, or keeps until it can prove it, is not: the peer would send it no more,
    /// and anybody could push what did come out of the acknowledgements.
    pub fn note_taken(&mut self, arrival: SpedArrival) {
        if let Some((crc, hash)) = arrival.0.filter(|_| self.is_active()) {
            self.acknowledge(crc);
            remember(&mut self.taken, hash, MAX_TAKEN);
        }
    }

    /// Tells whether there is a path that works. When there is one at last, all that is not acknowledged leaves by
    /// itself once more: what it was laid into may have gone to pairs that do not work.
    pub fn note_path(&mut self, has_path: bool) {
        if has_path && !self.has_path {
            self.flight.iter_mut().for_each(|outgoing| outgoing.due = true);
        }
        self.has_path = has_path;
    }
}

/// Commands.
impl Sped {
    /// DTLS sends a new flight: it takes the place of the one before.
    pub fn begin_flight(&mut self) {
        self.flight.clear();
        self.flight_bytes = 0;
        self.repeated = false;
    }

    /// DTLS sends its last flight again: it takes its place, since its records have other numbers.
    pub fn repeat_flight(&mut self) {
        self.begin_flight();
        self.repeated = true;
    }

    /// Adds a datagram to the flight. When that is too much, all of it goes without checks from now on
    /// ([`SpedState::Off`]).
    pub fn push(&mut self, datagram: &[u8]) {
        if !self.is_active() {
            return;
        }
        let crc = crc32fast::hash(datagram);
        remember(&mut self.sent, crc, Self::MAX_SENT);
        self.flight_bytes = self.flight_bytes.saturating_add(datagram.len());
        self.flight.push_back(Outgoing {
            crc,
            bytes: datagram.into(),
            due: true,
            left: false,
            rides: !self.answered,
        });
        if self.flight.len() > MAX_FLIGHT || self.flight_bytes > MAX_FLIGHT_BYTES {
            self.turn_off();
        }
    }

    /// Our handshake is complete. `answered` tells that the last flight was the peer's, to one of ours, as for the
    /// client of DTLS 1.2 and the server of DTLS 1.3: the peer has all that we sent, and what DTLS sends from now on (its
    /// ACK, RFC 9147 §7) leaves by itself only. Where it is ours it is to be pushed before: once nothing rides it may all be
    /// over.
    pub fn complete(&mut self, answered: bool) {
        if !self.is_active() {
            return;
        }
        self.state = SpedState::Pending;
        if answered {
            self.begin_flight();
            self.answered = true;
        }
    }

    /// The connection is over: forgets everything.
    pub fn end(&mut self) {
        self.finish();
        self.begin_flight();
        self.state = SpedState::Off;
        self.received.clear();
        self.received_bytes = 0;
    }
}

/// Outputs.
impl Sped {
    /// Writes the next datagram that leaves by itself, on the path that works, and returns its length. `None` when there
    /// is none, or `out` is shorter than it.
    ///
    /// So do flights that are made while there is a path: the next check may be far (draft-hancke-webrtc-sped, For pairs
    /// in SUCCEEDED state). Until it is acknowledged such a datagram rides as well.
    pub fn poll_plain(&mut self, out: &mut [u8]) -> Option<usize> {
        if !self.has_path {
            return None;
        }
        let at = self.flight.iter().position(|outgoing| outgoing.due)?;
        let outgoing = self.flight.get_mut(at)?;
        let len = outgoing.bytes.len();
        out.get_mut(..len)?.copy_from_slice(&outgoing.bytes);
        outgoing.due = false;
        outgoing.left = true;
        if !outgoing.rides || !self.is_active() {
            self.flight.remove(at);
        }
        Some(len)
    }

    /// The next datagram of the peer's that is for DTLS. Each comes once.
    pub fn poll_received(&mut self) -> Option<Box<[u8]>> {
        let datagram = self.received.pop_front()?;
        self.received_bytes = self.received_bytes.saturating_sub(datagram.len());
        Some(datagram)
    }
}

impl Rider for Sped {
    fn attach(&mut self, class: Class, attachments: &mut Attachments<'_, '_>) {
        if !self.is_active() {
            return;
        }
        let list = self.acknowledgements.make_contiguous();
        let list = Value::MetaDtlsInStunAcknowledgement(CrcList::new(list));
        if !attachments.push(&list) {
            return;
        }
        let room = attachments.room();
        let is_answer = class == Class::SuccessResponse;
        // What is about to leave by itself need not go twice; an answer is first, since it may be what shows the peer
        // that the path works. On another path it does not take the place of what leaves on the one that is in use.
        let rides = |outgoing: &Outgoing| {
            let fits = room.is_some_and(|room| outgoing.bytes.len() <= room);
            fits && outgoing.rides && (is_answer || !self.has_path || !outgoing.due)
        };
        if let Some(at) = self.flight.iter().position(rides)
            && let Some(mut outgoing) = self.flight.remove(at)
        {
            if attachments.push(&Value::MetaDtlsInStun(&outgoing.bytes)) {
                outgoing.left = true;
                outgoing.due &= !(is_answer && attachments.is_on_selected());
            }
            self.flight.push_back(outgoing);
        } else if self.state != SpedState::Pending || self.has_riders() {
            attachments.push(&Value::MetaDtlsInStun(&[]));
        }
    }

    fn deliver(&mut self, message: &Authenticated<'_>) {
        if !self.is_active() {
            return;
        }
        let (mut datagram, mut acknowledgements) = (None, None);
        for attribute in message.message().attributes() {
            let is_first = match attribute.kind() {
                AttributeType::META_DTLS_IN_STUN => datagram.is_none(),
                AttributeType::META_DTLS_IN_STUN_ACKNOWLEDGEMENT => acknowledgements.is_none(),
                _ => continue,
            };
            match attribute.decode() {
                _ if !is_first => raise(&mut self.counters.sped_repeated_attributes),
                Ok(Value::MetaDtlsInStun(value)) => datagram = Some(value),
                Ok(Value::MetaDtlsInStunAcknowledgement(list)) => acknowledgements = Some(list),
                _ => {
                    raise(&mut self.counters.sped_malformed_acknowledgements);
                    // It says nothing, but its sender takes part.
                    acknowledgements = Some(CrcList::new(&[]));
                }
            }
        }
        self.receive(datagram, acknowledgements);
    }
}

impl Sped {
    /// The peer takes no part (any more): what it may not have leaves by itself.
    fn turn_off(&mut self) {
        self.state = SpedState::Off;
        self.flight.iter_mut().for_each(|outgoing| outgoing.due = true);
        self.acknowledgements.clear();
        self.taken.clear();
    }

    fn has_riders(&self) -> bool {
        self.flight.iter().any(|outgoing| outgoing.rides)
    }

    /// Nothing rides any more. What has not left by itself yet still does.
    fn finish(&mut self) {
        self.state = SpedState::Complete;
        self.flight.retain(|outgoing| outgoing.due);
        self.flight.iter_mut().for_each(|outgoing| outgoing.rides = false);
        self.acknowledgements.clear();
        self.taken.clear();
    }

    fn acknowledged(&mut self, crc: u32) {
        if let Some(at) = self.flight.iter().position(|outgoing| outgoing.crc == crc) {
            let acknowledged = self.flight.remove(at);
            let len = acknowledged.map_or(0, |outgoing| outgoing.bytes.len());
            self.flight_bytes = self.flight_bytes.saturating_sub(len);
        } else if !self.sent.contains(&crc) {
            raise(&mut self.counters.sped_unknown_acknowledgements);
        }
    }

    fn take(&mut self, datagram: &[u8]) {
        if !is_dtls(datagram) {
            return raise(&mut self.counters.sped_not_dtls);
        }
        if datagram.len() > Self::MAX_RECEIVED_DATAGRAM {
            return raise(&mut self.counters.sped_oversized);
        }
        let bytes = self.received_bytes.saturating_add(datagram.len());
        if self.received.len() >= MAX_RECEIVED || bytes > MAX_RECEIVED_BYTES {
            return raise(&mut self.counters.sped_received_overflow);
        }
        // One that came before is acknowledged again: the peer has not seen that.
        self.acknowledge(crc32fast::hash(datagram));
        if self.is_new(datagram) {
            self.received.push_back(datagram.into());
            self.received_bytes = bytes;
        }
    }

    fn acknowledge(&mut self, crc: u32) {
        self.acknowledgements.retain(|known| *known != crc);
        remember(&mut self.acknowledgements, crc, CrcList::MAX);
    }

    /// Whether DTLS has not had the datagram; it has it from now on.
    fn is_new(&mut self, datagram: &[u8]) -> bool {
        let hash = self.hash(datagram);
        let new = !self.taken.contains(&hash);
        if new {
            remember(&mut self.taken, hash, MAX_TAKEN);
        }
        new
    }

    fn hash(&self, datagram: &[u8]) -> u64 {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.hash_key);
        hasher.write(datagram);
        hasher.finish()
    }
}

/// RFC 9443 §3.
fn is_dtls(datagram: &[u8]) -> bool {
    matches!(datagram.first(), Some(20..=63))
}

/// Remembers one more, and forgets the oldest beyond the limit.
fn remember<T>(known: &mut VecDeque<T>, new: T, limit: usize) {
    while known.len() >= limit {
        known.pop_front();
    }
    known.push_back(new);
}

const fn raise(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}

impl fmt::Debug for Sped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sped")
            .field("state", &self.state)
            .field("flight", &self.flight.len())
            .field("flight_bytes", &self.flight_bytes)
            .field("received_bytes", &self.received_bytes)
            .field("has_path", &self.has_path)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
