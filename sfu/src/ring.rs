use peer::Codec;

use crate::payload::Counted;

/// What stands in a source's [`ByteRing`] for one packet: its header, apart from what every subscriber gets its own of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Sequence number in the source's own numbering, without gaps for what is never forwarded.
    pub(crate) seq: u64,
    /// Its place in time, in ticks after the epoch of the source's timeline.
    pub(crate) time: i64,
    /// What the payload is.
    pub(crate) codec: Codec,
    /// Marker bit.
    pub(crate) marker: bool,
    /// Whether a decoder can begin with this packet.
    pub(crate) starts_key_frame: bool,
    /// The source's generation when it came: numbers of different ones have no relation.
    pub(crate) generation: u32,
    /// The numbers in its payload that every subscriber gets its own of.
    pub(crate) counted: Option<Counted>,
    /// Absolute place of the first byte.
    offset: u64,
    /// How many bytes of forwarded extension elements precede the payload.
    extensions_len: u16,
    payload_len: u16,
}

/// What a subscriber reads back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stored<'a> {
    /// Its header.
    pub(crate) entry: Entry,
    /// Extension elements to forward, in the form that [`crate::extensions`] writes.
    pub(crate) extensions: &'a [u8],
    /// The payload, without padding.
    pub(crate) payload: &'a [u8],
}

/// The last packets of one source: payloads end to end in one block that wraps, entries beside it.
///
/// It is the only copy of a packet that the SFU keeps. Subscribers hold indices; an index whose bytes were overwritten
/// yields `None`. The same ring answers every subscriber's NACK.
pub(crate) struct ByteRing {
    bytes: Box<[u8]>,
    entries: Box<[Option<Entry>]>,
    /// Absolute place where the next byte goes.
    head: u64,
    /// Number of the next entry.
    next: u64,
}

impl ByteRing {
    /// A ring of `bytes` bytes and at most `entries` packets, both rounded up to powers of two: places in it are then
    /// found without a division, several of which every subscriber would make for every packet.
    pub(crate) fn new(bytes: usize, entries: usize) -> Self {
        Self {
            bytes: vec![0; bytes.next_power_of_two()].into_boxed_slice(),
            entries: vec![None; entries.next_power_of_two()].into_boxed_slice(),
            head: 0,
            next: 0,
        }
    }

    /// A ring that holds nothing and takes no memory, until its owner has something to put into a real one.
    pub(crate) fn unused() -> Self {
        Self::new(1, 1)
    }

    /// Whether it is [`unused`](Self::unused).
    pub(crate) const fn is_unused(&self) -> bool {
        self.entries.len() == 1
    }

    /// The number that the next packet will get.
    pub(crate) const fn next_index(&self) -> u64 {
        self.next
    }

    /// Copies a packet in, over the oldest ones, and gives its number. `None` when it is larger than the whole ring.
    pub(crate) fn push(&mut self, header: Header, extensions: &[u8], payload: &[u8]) -> Option<u64> {
        let len = extensions.len().checked_add(payload.len())?;
        let capacity = self.bytes.len();
        if len > capacity {
            return None;
        }
        let (extensions_len, payload_len) = (
            u16::try_from(extensions.len()).ok()?,
            u16::try_from(payload.len()).ok()?,
        );
        // A packet never wraps around the end of the block, so that it can be lent as one slice.
        let place = self.place(self.head);
        let offset = if place + len > capacity {
            self.head + (capacity - place) as u64
        } else {
            self.head
        };
        let place = self.place(offset);
        let (head, tail) = self.bytes.get_mut(place..place + len)?.split_at_mut(extensions.len());
        head.copy_from_slice(extensions);
        tail.copy_from_slice(payload);
        let Header {
            seq,
            time,
            codec,
            marker,
            starts_key_frame,
            generation,
            counted,
        } = header;
        let index = self.next;
        let at = self.slot(index);
        self.entries[at] = Some(Entry {
            seq,
            time,
            codec,
            marker,
            starts_key_frame,
            generation,
            counted,
            offset,
            extensions_len,
            payload_len,
        });
        self.head = offset + len as u64;
        self.next += 1;
        Some(index)
    }

    /// The packet with this number, unless it was overwritten or never was.
    #[inline]
    pub(crate) fn get(&self, index: u64) -> Option<Stored<'_>> {
        let entry = self.entry(index)?;
        let place = self.place(entry.offset);
        let extensions_len = usize::from(entry.extensions_len);
        let bytes = self
            .bytes
            .get(place..place + extensions_len + usize::from(entry.payload_len))?;
        let (extensions, payload) = bytes.split_at_checked(extensions_len)?;
        Some(Stored {
            entry: *entry,
            extensions,
            payload,
        })
    }

    /// Lengths of extension elements and payload of the packet with this number, in bytes.
    #[inline]
    pub(crate) fn lengths(&self, index: u64) -> Option<(usize, usize)> {
        self.entry(index)
            .map(|e| (usize::from(e.extensions_len), usize::from(e.payload_len)))
    }

    /// The header of the packet with this number.
    #[inline]
    pub(crate) fn entry(&self, index: u64) -> Option<&Entry> {
        // Too far behind for the table, or not there yet.
        if index >= self.next || self.next - index > self.entries.len() as u64 {
            return None;
        }
        let entry = self.entries[self.slot(index)].as_ref()?;
        // Its first byte was overwritten when the head is more than a block ahead of it.
        (self.head - entry.offset <= self.bytes.len() as u64).then_some(entry)
    }

    // The length of a boxed slice never changes: a power of two, at least 1.
    const fn place(&self, offset: u64) -> usize {
        (offset & (self.bytes.len() as u64 - 1)) as usize
    }

    const fn slot(&self, index: u64) -> usize {
        (index & (self.entries.len() as u64 - 1)) as usize
    }
}

impl std::fmt::Debug for ByteRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ByteRing")
            .field("bytes", &self.bytes.len())
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

/// The header of a packet on its way into a [`ByteRing`]; the fields are those of [`Entry`].
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "see Entry")]
pub(crate) struct Header {
    pub(crate) seq: u64,
    pub(crate) time: i64,
    pub(crate) codec: Codec,
    pub(crate) marker: bool,
    pub(crate) starts_key_frame: bool,
    pub(crate) generation: u32,
    pub(crate) counted: Option<Counted>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    fn header(seq: u64) -> Header {
        Header {
            seq,
            time: seq as i64,
            codec: Codec::Opus,
            generation: 0,
            counted: None,
            marker: false,
            starts_key_frame: false,
        }
    }

    #[test]
    fn an_overwritten_packet_is_none() {
        let mut ring = ByteRing::new(100, 16);
        // 128 bytes.
        let first = ring.push(header(1), b"ab", &[7; 62]).unwrap();
        let second = ring.push(header(2), b"", &[8; 64]).unwrap();
        assert_eq!(ring.get(first).unwrap().payload, [7; 62]);
        assert_eq!(ring.get(first).unwrap().extensions, b"ab");
        assert_eq!(ring.get(second).unwrap().payload, [8; 64]);
        let third = ring.push(header(3), b"", &[9; 1]).unwrap();
        assert_eq!(ring.get(first), None);
        assert_eq!(ring.get(second).unwrap().payload, [8; 64]);
        assert_eq!(ring.get(third).unwrap().payload, [9]);
        assert_eq!(ring.get(third + 1), None);
    }

    #[test]
    fn a_packet_larger_than_the_ring_is_refused() {
        let mut ring = ByteRing::new(10, 4);
        assert_eq!(ring.push(header(1), b"a", &[0; 16]), None);
        assert_eq!(ring.next_index(), 0);
    }

    proptest! {
        /// Against a model that keeps everything: what is given back is right, and the newest packets that fit are
        /// there.
        #[test]
        fn agrees_with_a_model(sizes in proptest::collection::vec((0usize..20, 0usize..120), 1..300), cap in 140usize..2000, entries in 1usize..40) {
            let mut ring = ByteRing::new(cap, entries);
            let mut model = VecDeque::new();
            for (i, (e, p)) in sizes.into_iter().enumerate() {
                let (ext, payload) = (vec![i as u8; e], vec![!(i as u8); p]);
                prop_assert_eq!(ring.push(header(i as u64), &ext, &payload), Some(i as u64));
                model.push_back((ext, payload));
                let mut total = 0;
                for (age, (ext, payload)) in model.iter().rev().enumerate() {
                    let index = (i - age) as u64;
                    total += ext.len() + payload.len();
                    match ring.get(index) {
                        Some(stored) => {
                            prop_assert_eq!(stored.extensions, &ext[..]);
                            prop_assert_eq!(stored.payload, &payload[..]);
                            prop_assert_eq!(stored.entry.seq, index);
                        }
                        // At most one gap at the end of the block, no larger than the largest packet, is lost.
                        None => prop_assert!(age >= entries || total + 139 > cap),
                    }
                }
            }
        }
    }
}
