//! What one end has sent, against which is held what the other one gets.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use bytes::Bytes;
use sctp::dcep::Reliability;
use sctp::{Ppid, Sink};

use super::choices::Random;

/// The longest message, in bytes.
pub const LONGEST: usize = 300_000;

/// Messages begin at one of so many places of the noise.
const PLACES: u64 = 1 << 20;

/// All messages are parts of this, so that none has to be kept.
fn noise() -> &'static Bytes {
    static NOISE: OnceLock<Bytes> = OnceLock::new();
    NOISE.get_or_init(|| {
        let mut random = Random::new(1);
        let words = (PLACES as usize + LONGEST).div_ceil(8);
        (0..words)
            .flat_map(|_| random.next().to_le_bytes())
            .collect::<Vec<_>>()
            .into()
    })
}

/// A message that was accepted. Its number, from 1 on, is its payload protocol identifier.
#[derive(Debug)]
pub struct Sent {
    pub stream: u16,
    pub unordered: bool,
    pub reliability: Reliability,
    /// When it was accepted, in milliseconds since the beginning.
    pub at: u64,
    /// Bytes that were handed over.
    len: usize,
    /// All of it was handed over.
    is_whole: bool,
    /// Resets of its stream before.
    epoch: u32,
    /// Ordered messages of its stream before.
    place: usize,
    /// It has come, or was cut off: it never comes again.
    is_over: bool,
}

#[derive(Debug, Default)]
struct Stream {
    /// The ordered ones.
    ordered: Vec<u32>,
    /// Of these, those before this one were delivered or can only be lost.
    next: usize,
    /// Reliable messages that did not come.
    missing: usize,
    /// The message that its sender has not ended.
    open: Option<u32>,
    /// Resets that the sender and the receiver know to be done.
    resets_sent: u32,
    resets_received: u32,
    /// The sender waits for a reset.
    is_resetting: bool,
    /// A second reset was asked for meanwhile: it may happen at any time.
    is_unsteady: bool,
    /// What comes in parts, ordered and unordered: the message and the bytes so far.
    parts: [Option<(u32, usize)>; 2],
}

/// The messages of one direction.
#[derive(Debug)]
pub struct Ledger {
    /// Makes the messages of both directions different.
    salt: u64,
    messages: Vec<Sent>,
    streams: Vec<Stream>,
    /// Messages in parts that their sender has forgotten: streams, and whether they are unordered.
    orphans: BTreeSet<(u16, bool)>,
    pub delivered: usize,
}

impl Ledger {
    pub fn new(salt: u64, streams: u16) -> Self {
        Self {
            salt,
            messages: Vec::new(),
            streams: (0..streams).map(|_| Stream::default()).collect(),
            orphans: BTreeSet::new(),
            delivered: 0,
        }
    }

    /// The sender begins anew, and what it has sent is void; with `both` the receiver, too.
    pub fn forget(&mut self, salt: u64, both: bool) {
        let mut orphans = core::mem::take(&mut self.orphans);
        for (stream, state) in (0..).zip(&self.streams) {
            let open = [false, true]
                .into_iter()
                .filter(|lane| state.parts[usize::from(*lane)].is_some());
            orphans.extend(open.map(|unordered| (stream, unordered)));
        }
        *self = Self::new(salt, self.streams.len() as u16);
        if !both {
            self.orphans = orphans;
        }
    }

    // The sender's side

    /// Messages that were accepted.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// The number of the next message.
    pub fn next(&self) -> Ppid {
        Ppid(self.messages.len() as u32 + 1)
    }

    pub fn get(&self, ppid: Ppid) -> &Sent {
        (ppid.0 as usize)
            .checked_sub(1)
            .and_then(|index| self.messages.get(index))
            .unwrap_or_else(|| panic!("message {} was never sent", ppid.0))
    }

    fn get_mut(&mut self, id: u32) -> &mut Sent {
        &mut self.messages[id as usize - 1]
    }

    /// Bytes of a message.
    pub fn content(&self, id: Ppid, from: usize, len: usize) -> Bytes {
        let place = Random::new(u64::from(id.0) << 8 | self.salt).next() % PLACES;
        let start = place as usize + from;
        noise().slice(start..start + len)
    }

    /// The next message was accepted.
    pub fn accepted(
        &mut self,
        at: u64,
        stream: u16,
        unordered: bool,
        reliability: Reliability,
        len: usize,
        is_whole: bool,
    ) {
        let id = self.next().0;
        let state = &mut self.streams[usize::from(stream)];
        assert!(
            !state.is_resetting || state.is_unsteady,
            "stream {stream} takes messages while it is reset"
        );
        assert_eq!(state.open, None, "stream {stream} takes a message within another one");
        state.open = (!is_whole).then_some(id);
        state.missing += usize::from(reliability == Reliability::Reliable);
        self.messages.push(Sent {
            stream,
            unordered,
            reliability,
            at,
            len,
            is_whole,
            epoch: state.resets_sent,
            place: state.ordered.len(),
            is_over: false,
        });
        if !unordered {
            state.ordered.push(id);
        }
    }

    /// The stream's unfinished message, and its length so far.
    pub fn open(&self, stream: u16) -> Option<(Ppid, usize)> {
        let id = Ppid(self.streams[usize::from(stream)].open?);
        Some((id, self.get(id).len))
    }

    /// A part of it was accepted.
    pub fn went_on(&mut self, stream: u16, len: usize, is_last: bool) {
        let open = &mut self.streams[usize::from(stream)].open;
        let id = open.expect("an unfinished message");
        if is_last {
            *open = None;
        }
        let sent = self.get_mut(id);
        sent.len += len;
        sent.is_whole = is_last;
    }

    /// Whether a message may be refused as the stream is busy, and whether it must.
    pub fn is_busy(&self, stream: u16) -> (bool, bool) {
        let state = &self.streams[usize::from(stream)];
        let must = state.open.is_some() || (state.is_resetting && !state.is_unsteady);
        (must || state.is_unsteady, must)
    }

    pub fn is_resetting(&self, stream: u16) -> bool {
        let state = &self.streams[usize::from(stream)];
        state.is_resetting || state.is_unsteady
    }

    pub fn resets(&mut self, stream: u16) {
        let state = &mut self.streams[usize::from(stream)];
        state.is_unsteady |= state.is_resetting;
        state.is_resetting = true;
    }

    /// The sender learns that the stream was reset.
    pub fn reset_done(&mut self, stream: u16) {
        let state = &mut self.streams[usize::from(stream)];
        assert!(state.is_resetting || state.is_unsteady, "nobody reset stream {stream}");
        state.is_resetting = false;
        state.resets_sent += 1;
        assert_eq!(
            state.resets_sent, state.resets_received,
            "the reset of stream {stream} is not done"
        );
    }

    // The receiver's side

    /// The receiver learns that the stream was reset.
    pub fn is_reset(&mut self, stream: u16) {
        let state = &mut self.streams[usize::from(stream)];
        assert!(state.is_resetting || state.is_unsteady, "nobody reset stream {stream}");
        assert_eq!(state.missing, 0, "stream {stream} was reset before all had come");
        assert_eq!(state.parts, [None; 2], "stream {stream} was reset within a message");
        // A request whose answer was lost may be repeated as a new one: nothing was sent in between.
        state.resets_received = state.resets_sent + 1;
        state.next = state.ordered.len();
    }

    /// It is the turn of a message that comes.
    fn begins(&mut self, stream: u16, ppid: Ppid, unordered: bool) {
        let sent = self.get(ppid);
        assert_eq!(
            (stream, unordered),
            (sent.stream, sent.unordered),
            "message {} is another",
            ppid.0
        );
        assert!(
            !sent.is_over,
            "message {} comes twice, or when its turn is over",
            ppid.0
        );
        let state = &self.streams[usize::from(stream)];
        assert_eq!(
            state.resets_received, sent.epoch,
            "message {} comes behind a reset",
            ppid.0
        );
        if unordered {
            return;
        }
        assert_eq!(state.parts[0], None, "message {} comes within another one", ppid.0);
        let place = sent.place;
        assert!(state.next <= place, "message {} is overtaken", ppid.0);
        for id in &state.ordered[state.next..place] {
            let skipped = self.get(Ppid(*id));
            assert_ne!(
                skipped.reliability,
                Reliability::Reliable,
                "message {id} is left out before {}",
                ppid.0
            );
        }
        self.streams[usize::from(stream)].next = place + 1;
    }

    fn has(&self, ppid: Ppid, from: usize, payload: &[u8]) {
        let sent = self.get(ppid);
        assert!(from + payload.len() <= sent.len, "message {} is too long", ppid.0);
        assert!(
            self.content(ppid, from, payload.len()) == payload,
            "message {} has changed from byte {from} on",
            ppid.0
        );
    }

    fn ends(&mut self, ppid: Ppid, len: usize) {
        let sent = self.get_mut(ppid.0);
        assert!(
            sent.is_whole && sent.len == len,
            "message {} is cut short: {len} bytes of {sent:?}",
            ppid.0
        );
        sent.is_over = true;
        let is_reliable = sent.reliability == Reliability::Reliable;
        let stream = usize::from(sent.stream);
        self.streams[stream].missing -= usize::from(is_reliable);
        self.delivered += 1;
    }

    /// All that had to come has come. With `resets` all resets were done, too.
    pub fn assert_settled(&self, resets: bool) {
        assert!(self.orphans.is_empty(), "{:?}", self.orphans);
        let missing = |sent: &Sent| !sent.is_over && sent.reliability == Reliability::Reliable;
        for (index, sent) in self.messages.iter().enumerate() {
            assert!(!missing(sent), "message {} did not come: {sent:?}", index + 1);
        }
        for (stream, state) in self.streams.iter().enumerate() {
            assert_eq!(state.parts, [None; 2], "stream {stream}: a message does not end");
            assert_eq!(state.open, None);
            if resets {
                assert!(!state.is_resetting, "stream {stream}: the reset does not end");
                assert_eq!(state.resets_sent, state.resets_received, "stream {stream}");
            }
        }
    }

    /// All messages that were sent have come.
    pub fn assert_complete(&self) {
        for (index, sent) in self.messages.iter().enumerate() {
            assert!(sent.is_over, "message {} was given up: {sent:?}", index + 1);
        }
    }
}

impl Sink for Ledger {
    fn message(&mut self, stream: u16, ppid: Ppid, unordered: bool, payload: &[u8]) {
        self.begins(stream, ppid, unordered);
        self.has(ppid, 0, payload);
        self.ends(ppid, payload.len());
    }

    fn part(&mut self, stream: u16, ppid: Ppid, unordered: bool, payload: &[u8], first: bool, last: bool) {
        let lane = usize::from(unordered);
        if first {
            self.begins(stream, ppid, unordered);
            let parts = &mut self.streams[usize::from(stream)].parts[lane];
            assert_eq!(*parts, None, "message {} begins within another one", ppid.0);
            *parts = Some((ppid.0, 0));
        }
        let place = self.streams[usize::from(stream)].parts[lane];
        let (id, from) = place.unwrap_or_else(|| panic!("message {} has no beginning", ppid.0));
        assert_eq!(id, ppid.0, "a message goes on as another one");
        self.has(ppid, from, payload);
        let len = from + payload.len();
        self.streams[usize::from(stream)].parts[lane] = (!last).then_some((id, len));
        if last {
            self.ends(ppid, len);
        }
    }

    fn cut(&mut self, stream: u16, unordered: bool) {
        if self.orphans.remove(&(stream, unordered)) {
            return;
        }
        let cut = self.streams[usize::from(stream)].parts[usize::from(unordered)].take();
        let (id, _) = cut.unwrap_or_else(|| panic!("stream {stream}: nothing is cut"));
        let sent = self.get_mut(id);
        assert_ne!(sent.reliability, Reliability::Reliable, "message {id} is cut");
        sent.is_over = true;
    }
}
