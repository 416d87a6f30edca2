use std::boxed::Box;
use std::collections::BTreeMap;
use std::vec::Vec;
use wire::{Serial, Unwrapper};

use super::Sink;
use crate::chunk::{DataHeader, IDataHeader};
use crate::close::CloseReason;
use crate::config::Config;
use crate::registry::Ppid;

mod join;
mod skip;

/// What became of a piece of a message. Its TSN counts as received in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It was handed over, or waits for others.
    Yes,
    /// It is of a message that was skipped or handed over before, and was dropped.
    Late,
    /// It is of a stream that does not exist, and was dropped: an ERROR is due (RFC 9260 §6.5).
    NoSuchStream,
}

/// Makes messages whole again, from DATA or from I-DATA, and hands them over when it is their turn.
///
/// A message that has begun is a [`Head`]: what of it has come in order, in one buffer. Pieces that do not continue a head
/// wait alone, and whole messages whose turn it is not yet wait by their stream.
#[derive(Debug)]
pub(crate) struct Reassembly {
    /// I-DATA is used, and DATA is not.
    interleaving: bool,
    inbound_streams: u16,
    window: usize,
    /// The size of a packet on any path.
    packet: usize,
    max_message: usize,
    parts: Option<usize>,
    max_streams: usize,
    tsns: Unwrapper,
    /// By where they begin.
    heads: BTreeMap<Place, Head>,
    /// Pieces that begin no message.
    pieces: BTreeMap<Place, Piece>,
    /// Ordered messages by stream and number.
    waiting: BTreeMap<(u16, u64), Message>,
    /// Those of which there is something to be remembered.
    streams: BTreeMap<u16, Stream>,
    /// Buffers for heads to come.
    pool: Vec<Vec<u8>>,
    /// What waits, in bytes, with the [`OVERHEAD`](Self::OVERHEAD).
    held: usize,
    /// How much that may be at most.
    most: usize,
    /// DATA: the TSN behind the last message that was completed. Another one has to begin there.
    boundary: Option<u64>,
}

/// Where a piece belongs. The next piece of its message is at the next index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// I-DATA: the stream and whether the message is unordered. DATA: 0.
    lane: u32,
    /// I-DATA: the message identifier. DATA: 0.
    message: u64,
    /// I-DATA: the fragment sequence number. DATA: the TSN, since the pieces of a message have consecutive ones.
    index: u64,
}

/// What all pieces of a message have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Id {
    stream: u16,
    unordered: bool,
    /// The SSN or MID, extended; 0 for unordered DATA, where it means nothing.
    number: u64,
}

#[derive(Debug)]
struct Head {
    id: Id,
    ppid: Ppid,
    /// The index that continues it.
    next: u64,
    /// What is not handed over yet.
    bytes: Vec<u8>,
    /// It is handed over in parts.
    parted: bool,
}

#[derive(Debug)]
struct Piece {
    id: Id,
    ends: bool,
    bytes: Box<[u8]>,
}

#[derive(Debug)]
struct Message {
    ppid: Ppid,
    bytes: Vec<u8>,
}

#[derive(Debug, Default)]
struct Stream {
    /// The number of the ordered message whose turn it is.
    next: u64,
    /// I-DATA: unordered messages before this one are skipped.
    floor: u64,
    /// An ordered message is being handed over in parts.
    ordered_parts: bool,
    /// The same for an unordered one.
    unordered_parts: bool,
}

impl Stream {
    const fn parts(&mut self, unordered: bool) -> &mut bool {
        if unordered {
            &mut self.unordered_parts
        } else {
            &mut self.ordered_parts
        }
    }
}

/// A piece as it comes in a packet.
struct Arriving<'a> {
    place: Place,
    id: Id,
    ppid: Ppid,
    begins: bool,
    ends: bool,
    payload: &'a [u8],
}

const fn violation(rule: &'static str) -> CloseReason {
    CloseReason::ProtocolViolation(rule)
}

impl Reassembly {
    /// What a piece or message that waits counts beside its payload, in bytes.
    const OVERHEAD: usize = 64;
    /// Buffers that are kept at most.
    const POOL: usize = 4;
    /// The smallest and the largest buffer that is worth to be kept, in bytes.
    const POOLED: core::ops::RangeInclusive<usize> = 4096..=1 << 18;
    /// Unordered MIDs are not more than this far apart. "MUST NOT have more than 2**31 - 1 unordered messages in flight"
    /// (RFC 8260 §2.1); TSNs allow for 65535.
    const MID_SPAN: u64 = 1 << 30;

    /// `inbound_streams` is how many the peer may send on, as it was negotiated.
    pub(crate) fn new(config: &Config, inbound_streams: u16, interleaving: bool) -> Self {
        let window = usize::try_from(config.receive_window).unwrap_or(usize::MAX);
        Self {
            interleaving,
            inbound_streams,
            window,
            packet: config.base_packet,
            max_message: config.max_receive_message,
            parts: config.receive_parts,
            max_streams: config.max_receive_streams,
            tsns: Unwrapper::new(),
            heads: BTreeMap::new(),
            pieces: BTreeMap::new(),
            waiting: BTreeMap::new(),
            streams: BTreeMap::new(),
            pool: Vec::new(),
            held: 0,
            // What comes next in sequence is taken even without room, or the window might never open again (RFC 9260 §6.2).
            most: window.saturating_add(window.max(config.max_receive_message)),
            boundary: None,
        }
    }

    /// The a_rwnd to tell, in bytes. Less than a packet is told as none: the peer would send tiny ones (silly window syndrome,
    /// RFC 9260 §6.2).
    pub(crate) fn free(&self) -> u32 {
        let free = self.window.saturating_sub(self.held);
        if free < self.packet {
            return 0;
        }
        u32::try_from(free).unwrap_or(u32::MAX)
    }

    /// Whether a piece of `len` bytes fits into the window.
    pub(crate) const fn has_room(&self, len: usize) -> bool {
        self.held.saturating_add(len).saturating_add(Self::OVERHEAD) <= self.window
    }

    /// Gives back memory that is kept for messages to come. For when none have come for a while.
    pub(crate) fn trim(&mut self) {
        self.pool = Vec::new();
    }

    /// A DATA chunk with a new TSN.
    ///
    /// # Errors
    /// The association is to be aborted.
    pub(crate) fn data(
        &mut self,
        header: &DataHeader,
        payload: &[u8],
        sink: &mut impl Sink,
    ) -> Result<Taken, CloseReason> {
        if self.interleaving {
            return Err(violation("DATA where I-DATA was agreed on"));
        }
        let &DataHeader {
            flags,
            tsn,
            stream,
            ssn,
            ppid,
        } = header;
        if stream >= self.inbound_streams {
            return Ok(Taken::NoSuchStream);
        }
        let index = self.tsns.unwrap(tsn);
        if !flags.beginning && self.boundary == Some(index) {
            return Err(violation("a message goes on behind its end"));
        }
        let number = if flags.unordered {
            0
        } else {
            let next = self.streams.get(&stream).map_or(0, |stream| stream.next);
            match extend::<u16>(next, ssn.into()) {
                Some(number) => number,
                None => return Ok(Taken::Late),
            }
        };
        self.take(
            &Arriving {
                place: Place {
                    lane: 0,
                    message: 0,
                    index,
                },
                id: Id {
                    stream,
                    unordered: flags.unordered,
                    number,
                },
                ppid,
                begins: flags.beginning,
                ends: flags.ending,
                payload,
            },
            sink,
        )
    }

    /// An I-DATA chunk with a new TSN.
    ///
    /// # Errors
    /// The association is to be aborted.
    pub(crate) fn i_data(
        &mut self,
        header: &IDataHeader,
        payload: &[u8],
        sink: &mut impl Sink,
    ) -> Result<Taken, CloseReason> {
        if !self.interleaving {
            return Err(violation("I-DATA where it was not agreed on"));
        }
        let &IDataHeader {
            flags,
            stream,
            mid,
            ppid_or_fsn,
            ..
        } = header;
        if stream >= self.inbound_streams {
            return Ok(Taken::NoSuchStream);
        }
        if !flags.beginning && ppid_or_fsn == 0 {
            return Err(violation(
                "a fragment that is not the first has the number of the first",
            ));
        }
        let from = self.from(stream, flags.unordered);
        let Some(number) = extend::<u32>(from, mid.into()) else {
            return Ok(Taken::Late);
        };
        if flags.unordered && number.saturating_sub(from) > Self::MID_SPAN {
            self.stream(stream)?.floor = number.saturating_sub(Self::MID_SPAN);
        }
        self.take(
            &Arriving {
                place: Place {
                    lane: lane(stream, flags.unordered),
                    message: number,
                    index: header.fsn().into(),
                },
                id: Id {
                    stream,
                    unordered: flags.unordered,
                    number,
                },
                ppid: Ppid(ppid_or_fsn),
                begins: flags.beginning,
                ends: flags.ending,
                payload,
            },
            sink,
        )
    }

    /// The first number of ordered or unordered messages of a stream that is not late.
    fn from(&self, stream: u16, unordered: bool) -> u64 {
        self.streams
            .get(&stream)
            .map_or(0, |stream| if unordered { stream.floor } else { stream.next })
    }
}

/// The number from `next` on that ends in `number`, if that is nearer than the one before (RFC 1982).
fn extend<S: Serial>(next: u64, number: u64) -> Option<u64> {
    let ahead = number.wrapping_sub(next) & S::MODULUS.wrapping_sub(1);
    (ahead < S::MODULUS >> 1).then(|| next.saturating_add(ahead))
}

/// One for the ordered messages of each stream, and one for the unordered ones.
fn lane(stream: u16, unordered: bool) -> u32 {
    u32::from(stream) << 1 | u32::from(unordered)
}

/// For tests.
#[cfg(test)]
impl Reassembly {
    /// The memory of the buffers that are kept, in bytes.
    pub(super) fn pooled(&self) -> usize {
        self.pool.iter().map(Vec::capacity).sum()
    }

    /// What is counted as held, and what is.
    pub(super) fn recount(&self) -> (usize, usize) {
        let heads = self.heads.values().map(|head| head.bytes.len());
        let pieces = self.pieces.values().map(|piece| piece.bytes.len());
        let waiting = self.waiting.values().map(|message| message.bytes.len());
        let lens = heads.chain(pieces).chain(waiting);
        (self.held, lens.map(|len| len + Self::OVERHEAD).sum())
    }

    /// The memory of what waits, in bytes.
    pub(super) fn memory(&self) -> usize {
        let heads = self.heads.values().map(|head| head.bytes.capacity());
        let waiting = self.waiting.values().map(|message| message.bytes.capacity());
        heads.chain(waiting).sum()
    }
}
