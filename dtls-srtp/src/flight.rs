#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;

use wire::Writer;

use crate::handshake::HandshakeHeader;
use crate::records::Records;
use crate::registry::{ContentType, HandshakeType};
use crate::v13::RecordNumber;

/// The messages that we sent last, kept as a whole until the peer's answer shows that it has them (RFC 6347 §4.2.4).
/// Each sending cuts them anew into records with fresh sequence numbers, as large as the datagram of the moment allows;
/// what a peer of DTLS 1.3 has acknowledged is left out (RFC 9147 §7.2).
#[derive(Default)]
pub(crate) struct Flight {
    items: Vec<Item>,
    /// Where the next datagram goes on; `None` when all was sent.
    cursor: Option<Cursor>,
    /// How often the flight was begun to be sent.
    transmissions: u32,
    /// It was written out to its end.
    left: bool,
    /// What the latest records held, for acknowledgements.
    sent: VecDeque<SentRecord>,
    /// How often it was sent again because somebody unproven said that it is missing.
    hastened: u8,
}

struct Item {
    epoch: u16,
    content: Content,
    acknowledged: Acknowledged,
}

enum Content {
    Handshake {
        message_type: HandshakeType,
        message_seq: u16,
        body: Vec<u8>,
    },
    ChangeCipherSpec,
}

/// Which bytes of a message the peer has.
#[derive(Debug, Default)]
struct Acknowledged {
    /// Sorted, disjoint, never touching.
    ranges: Vec<Range<usize>>,
    /// All of it; a message of no bytes needs saying so.
    all: bool,
}

struct SentRecord {
    number: RecordNumber,
    item: usize,
    range: Range<usize>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Cursor {
    item: usize,
    /// Bytes of that message already sent.
    offset: usize,
}

/// What an acknowledgement did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acknowledgement {
    /// It tells nothing new.
    Known,
    /// It tells of parts, and parts are missing.
    Part,
    /// The peer has everything.
    Complete,
}

impl Acknowledged {
    fn add(&mut self, range: &Range<usize>, len: usize) {
        let touches = |have: &Range<usize>| have.start <= range.end && range.start <= have.end;
        let mut merged = range.clone();
        self.ranges.retain(|have| {
            let keep = !touches(have);
            if !keep {
                merged = merged.start.min(have.start)..merged.end.max(have.end);
            }
            keep
        });
        let place = self.ranges.partition_point(|have| have.start < merged.start);
        self.all = self.all || (merged.start == 0 && merged.end >= len);
        self.ranges.insert(place, merged);
    }

    fn has(&self, range: &Range<usize>) -> bool {
        self.all
            || (!range.is_empty()
                && self
                    .ranges
                    .iter()
                    .any(|have| have.start <= range.start && range.end <= have.end))
    }

    /// The next bytes at or after `offset` that are missing.
    fn missing(&self, mut offset: usize, len: usize) -> Option<Range<usize>> {
        if self.all {
            return None;
        }
        for have in &self.ranges {
            if offset < have.start {
                return Some(offset..have.start);
            }
            offset = offset.max(have.end);
        }
        (offset < len || len == 0).then_some(offset..len)
    }
}

impl Flight {
    /// A fragment of a message is not made shorter than this when a fresh datagram could hold more.
    const MIN_FRAGMENT: usize = 64;

    /// From the fourth transmission on, datagrams that pass nearly every path (576 - 28; RFC 6347 §4.1.1.1: "if
    /// repeated retransmissions do not result in a response").
    const CAUTIOUS_DATAGRAM: usize = 548;

    /// Forged words cannot make us send more than this, nor keep the clock from its pace.
    const MAX_HASTENED: u8 = 2;

    /// How many records are remembered: several transmissions of a long flight.
    const MAX_SENT: usize = 128;

    /// Forgets the flight.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether there is nothing to send, and nothing to send again.
    pub(crate) const fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(crate) fn push_handshake(&mut self, epoch: u16, message_type: HandshakeType, message_seq: u16, body: Vec<u8>) {
        self.items.push(Item {
            epoch,
            content: Content::Handshake {
                message_type,
                message_seq,
                body,
            },
            acknowledged: Acknowledged::default(),
        });
    }

    pub(crate) fn push_change_cipher_spec(&mut self, epoch: u16) {
        self.items.push(Item {
            epoch,
            content: Content::ChangeCipherSpec,
            acknowledged: Acknowledged::default(),
        });
    }

    /// Sends the flight from its beginning.
    pub(crate) fn send(&mut self) {
        if !self.items.is_empty() {
            self.cursor = self.next(Cursor::default());
            self.transmissions = self.transmissions.saturating_add(1);
        }
    }

    /// Whether datagrams wait to be written.
    pub(crate) const fn is_pending(&self) -> bool {
        self.cursor.is_some()
    }

    /// Whether it was written out to its end, be it once.
    pub(crate) const fn has_left(&self) -> bool {
        self.left
    }

    /// Whether it may be sent again for a word that anybody can write; asked so, it may a few times.
    pub(crate) const fn may_be_hastened(&mut self) -> bool {
        self.hastened = self.hastened.saturating_add(1);
        self.hastened <= Self::MAX_HASTENED
    }

    /// The peer has these records.
    pub(crate) fn acknowledge(&mut self, numbers: impl Iterator<Item = RecordNumber>) -> Acknowledgement {
        let mut news = false;
        for number in numbers {
            // Several records may have the same number of an acknowledgement's list, and several messages a record.
            for sent in self.sent.iter().filter(|sent| sent.number == number) {
                if let Some(item) = self.items.get_mut(sent.item)
                    && !item.acknowledged.has(&sent.range)
                {
                    item.acknowledged.add(&sent.range, item.content.len());
                    news = true;
                }
            }
        }
        if !news {
            return Acknowledgement::Known;
        }
        if self.items.iter().all(|item| item.acknowledged.all) {
            self.cursor = None;
            return Acknowledgement::Complete;
        }
        // What was on its way to be sent again may have been acknowledged.
        if let Some(cursor) = self.cursor {
            self.cursor = self.next(cursor);
        }
        Acknowledgement::Part
    }

    /// Where the next bytes that are missing stand, at or after `cursor`.
    fn next(&self, cursor: Cursor) -> Option<Cursor> {
        let mut offset = cursor.offset;
        for (at, item) in self.items.iter().enumerate().skip(cursor.item) {
            if let Some(range) = item.acknowledged.missing(offset, item.content.len()) {
                return Some(Cursor {
                    item: at,
                    offset: range.start,
                });
            }
            offset = 0;
        }
        None
    }

    /// Writes the next datagram; 0 when nothing fits.
    pub(crate) fn write_datagram(&mut self, records: &mut Records, out: &mut [u8]) -> usize {
        let limit = if self.transmissions > 3 {
            Self::CAUTIOUS_DATAGRAM.min(out.len())
        } else {
            out.len()
        };
        let mut rest = out.get_mut(..limit).unwrap_or_default();
        let mut written: usize = 0;
        while let Some(cursor) = self.cursor {
            let Some(item) = self.items.get(cursor.item) else {
                self.cursor = None;
                break;
            };
            let fresh = written == 0;
            let Some((len, number, range)) = item.write_record(records, rest, cursor, fresh) else {
                break;
            };
            let whole = range.end >= item.content.len();
            let next = Cursor {
                item: cursor.item.saturating_add(usize::from(whole)),
                offset: if whole { 0 } else { range.end },
            };
            if self.sent.len() >= Self::MAX_SENT {
                self.sent.pop_front();
            }
            self.sent.push_back(SentRecord {
                number,
                item: cursor.item,
                range,
            });
            self.cursor = self.next(next);
            written = written.saturating_add(len);
            rest = rest.get_mut(len..).unwrap_or_default();
        }
        self.left |= self.cursor.is_none();
        written
    }
}

impl Content {
    const fn len(&self) -> usize {
        match self {
            Self::Handshake { body, .. } => body.len(),
            Self::ChangeCipherSpec => 0,
        }
    }
}

impl Item {
    /// Writes one record with as much as fits and is missing; `None` when it is better begun in another datagram.
    /// Returns the record's length, its number, and which bytes of the message it holds.
    fn write_record(
        &self,
        records: &mut Records,
        out: &mut [u8],
        cursor: Cursor,
        fresh_datagram: bool,
    ) -> Option<(usize, RecordNumber, Range<usize>)> {
        let overhead = records.overhead(self.epoch)?;
        let room = out.len().checked_sub(overhead.total())?;
        let mut w = Writer::new(out.get_mut(overhead.head..)?);
        let (content_type, range) = match &self.content {
            Content::ChangeCipherSpec => {
                room.checked_sub(1)?;
                w.u8(1).ok()?;
                (ContentType::CHANGE_CIPHER_SPEC, 0..0)
            }
            Content::Handshake {
                message_type,
                message_seq,
                body,
            } => {
                let missing = self.acknowledged.missing(cursor.offset, body.len())?;
                let left = body.get(missing.clone())?;
                // A record holds at most 2^14 bytes (RFC 5246 §6.2.1), however large the datagram.
                let room = room.min(1 << 14).checked_sub(HandshakeHeader::LEN)?;
                let wanted = left.len().min(if fresh_datagram { 1 } else { Flight::MIN_FRAGMENT });
                if room < wanted {
                    return None;
                }
                let chunk = left.get(..left.len().min(room))?;
                let header = HandshakeHeader {
                    message_type: *message_type,
                    length: u32::try_from(body.len()).ok()?,
                    message_seq: *message_seq,
                    fragment_offset: u32::try_from(missing.start).ok()?,
                    fragment_length: u32::try_from(chunk.len()).ok()?,
                };
                header.write(&mut w).ok()?;
                w.put(chunk).ok()?;
                let end = missing.start.saturating_add(chunk.len());
                (ContentType::HANDSHAKE, missing.start..end)
            }
        };
        let len = w.position();
        let sealed = records.seal(self.epoch, content_type, out, len).ok()?;
        Some((sealed.len, sealed.number, range))
    }
}

impl fmt::Debug for Flight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.items.iter().map(|item| match &item.content {
            Content::Handshake { message_type, .. } => message_type.to_string(),
            Content::ChangeCipherSpec => "change_cipher_spec".to_owned(),
        });
        f.debug_list().entries(names).finish()
    }
}

#[cfg(test)]
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]
mod tests {
    use super::*;
    use crate::handshake::Fragment;
    use crate::reassembly::{Pushed, Reassembler, ReassemblyLimits};
    use crate::record::split_record;
    use proptest::prelude::*;
    use wire::Reader;

    fn flight(bodies: &[Vec<u8>]) -> Flight {
        let mut flight = Flight::default();
        for (seq, body) in bodies.iter().enumerate() {
            flight.push_handshake(0, HandshakeType::CERTIFICATE, seq as u16, body.clone());
        }
        flight.push_change_cipher_spec(0);
        flight.send();
        flight
    }

    fn datagrams(flight: &mut Flight, records: &mut Records, size: usize) -> Vec<Vec<u8>> {
        let mut datagrams = Vec::new();
        while flight.is_pending() {
            let mut out = vec![0; size];
            let len = flight.write_datagram(records, &mut out);
            assert!(len > 0 && len <= size);
            out.truncate(len);
            datagrams.push(out);
        }
        datagrams
    }

    #[test]
    fn what_fits_goes_into_one_datagram() {
        let mut records = Records::new();
        let sent = datagrams(&mut flight(&[vec![1; 300], vec![], vec![2; 400]]), &mut records, 1200);
        assert_eq!(sent.iter().map(Vec::len).collect::<Vec<_>>(), [3 * 25 + 700 + 14]);
    }

    #[test]
    fn what_is_acknowledged_is_not_sent_again() {
        let mut records = Records::new();
        let mut flight = Flight::default();
        for seq in 0..3 {
            flight.push_handshake(
                0,
                HandshakeType::CERTIFICATE,
                seq,
                vec![seq as u8; 150 * usize::from(seq)],
            );
        }
        flight.send();
        let first = datagrams(&mut flight, &mut records, 200);
        assert_eq!(first.len(), 3);
        let number = |sequence| RecordNumber { epoch: 0, sequence };
        // An empty message, all of the next, the beginning of the last.
        assert_eq!(flight.acknowledge([number(9)].into_iter()), Acknowledgement::Known);
        assert_eq!(
            flight.acknowledge([0, 1, 2].map(number).into_iter()),
            Acknowledgement::Part
        );
        assert_eq!(flight.acknowledge([number(1)].into_iter()), Acknowledgement::Known);
        flight.send();
        let again = datagrams(&mut flight, &mut records, 200);
        assert_eq!(again.len(), 1);
        assert!(again[0].len() < 200);
        // The rest is acknowledged while it waits to be sent once more.
        flight.send();
        assert!(flight.is_pending());
        let all = flight.acknowledge((3..9).map(number));
        assert_eq!((all, flight.is_pending()), (Acknowledgement::Complete, false));
        flight.send();
        assert!(!flight.is_pending());
    }

    #[test]
    fn the_fourth_transmission_is_cautious() {
        let mut records = Records::new();
        let mut flight = flight(&[vec![1; 1000]]);
        let sizes: Vec<_> = (0..4)
            .map(|_| {
                let count = datagrams(&mut flight, &mut records, 1200).len();
                flight.send();
                count
            })
            .collect();
        assert_eq!(sizes, [1, 1, 1, 2]);
    }

    #[test]
    fn a_long_message_takes_several_records_of_a_large_datagram() {
        let mut records = Records::new();
        let sent = datagrams(&mut flight(&[vec![1; 20_000]]), &mut records, 60_000);
        assert_eq!(sent.iter().map(Vec::len).collect::<Vec<_>>(), [20_000 + 2 * 25 + 14]);
    }

    proptest! {
        #[test]
        fn any_cut_is_put_together_again(
            bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..900), 1..6),
            size in 100usize..1300,
        ) {
            let mut records = Records::new();
            let mut reassembler = Reassembler::new(ReassemblyLimits { message: 1000, total: 10_000 });
            for mut datagram in datagrams(&mut flight(&bodies), &mut records, size).into_iter().rev() {
                let mut rest = &mut datagram[..];
                while !rest.is_empty() {
                    let (header, body, tail) = split_record(rest).unwrap();
                    if header.content_type == ContentType::HANDSHAKE {
                        let fragment = Fragment::read(&mut Reader::new(body)).unwrap();
                        prop_assert_eq!(reassembler.push(&fragment), Pushed::Kept);
                    }
                    rest = tail;
                }
            }
            for body in bodies {
                prop_assert_eq!(reassembler.take().unwrap().body, body);
            }
        }
    }
}
