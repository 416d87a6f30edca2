use rtp::Ssrc;

/// Finds the number of an SSRC in constant time, without allocating on the way.
///
/// The peer chooses the SSRCs, so the hash is keyed: who does not know the key cannot make it collide. SSRCs are never
/// taken out, since none may be used twice under one key (RFC 3711 §9.1); the number of them is bounded.
#[derive(Debug)]
pub(crate) struct SsrcTable {
    /// A power of two; at most half of it is taken.
    slots: Vec<Slot>,
    len: usize,
    max: usize,
    key: (u32, u64),
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    ssrc: Ssrc,
    number: u32,
}

const EMPTY: u32 = u32::MAX;

impl SsrcTable {
    /// A table for at most `max` SSRCs. `key` is random and secret.
    pub(crate) fn new(max: usize, key: [u8; 12]) -> Self {
        let [a, b, c, d, rest @ ..] = key;
        let key = (u32::from_be_bytes([a, b, c, d]), u64::from_be_bytes(rest) | 1);
        Self {
            slots: vec![
                Slot {
                    ssrc: Ssrc(0),
                    number: EMPTY
                };
                64
            ],
            len: 0,
            max,
            key,
        }
    }

    /// The number under which it was inserted.
    #[inline]
    pub(crate) fn get(&self, ssrc: Ssrc) -> Option<usize> {
        let slot = self.slots[self.find(ssrc)];
        (slot.number != EMPTY).then_some(slot.number as usize)
    }

    /// How many more it takes.
    pub(crate) const fn vacancies(&self) -> usize {
        self.max - self.len
    }

    /// Inserts an SSRC that is not in the table, and gives its number: they count up from 0. `None` when it is full.
    pub(crate) fn insert(&mut self, ssrc: Ssrc) -> Option<usize> {
        if self.len >= self.max {
            return None;
        }
        if (self.len + 1) * 2 > self.slots.len() {
            self.grow();
        }
        let number = self.len;
        let at = self.find(ssrc);
        debug_assert_eq!(self.slots[at].number, EMPTY, "an SSRC is inserted once");
        self.slots[at] = Slot {
            ssrc,
            number: u32::try_from(number).ok().filter(|n| *n != EMPTY)?,
        };
        self.len += 1;
        Some(number)
    }

    /// The slot that has the SSRC, or the empty one where it belongs. There is one: half of them are empty.
    #[inline]
    fn find(&self, ssrc: Ssrc) -> usize {
        let mask = self.slots.len() - 1;
        // Multiply-shift: the high bits of the product depend on all bits of the key and the SSRC.
        let hash = u64::from(ssrc.0 ^ self.key.0).wrapping_mul(self.key.1) >> 32;
        let mut at = hash as usize & mask;
        while self.slots[at].number != EMPTY && self.slots[at].ssrc != ssrc {
            at = (at + 1) & mask;
        }
        at
    }

    fn grow(&mut self) {
        let doubled = vec![
            Slot {
                ssrc: Ssrc(0),
                number: EMPTY
            };
            self.slots.len() * 2
        ];
        for slot in core::mem::replace(&mut self.slots, doubled) {
            if slot.number != EMPTY {
                let at = self.find(slot.ssrc);
                self.slots[at] = slot;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    #[test]
    fn it_is_bounded() {
        let mut table = SsrcTable::new(2, [7; 12]);
        assert_eq!(table.insert(Ssrc(0)), Some(0));
        assert_eq!(table.insert(Ssrc(u32::MAX)), Some(1));
        assert_eq!(table.insert(Ssrc(5)), None);
        assert_eq!(table.get(Ssrc(5)), None);
        assert_eq!(table.get(Ssrc(0)), Some(0));
    }

    proptest! {
        #[test]
        fn it_is_a_map(ssrcs in proptest::collection::vec(any::<u32>(), 0..300), key: [u8; 12]) {
            let mut table = SsrcTable::new(1000, key);
            let mut model = HashMap::new();
            for ssrc in ssrcs {
                if !model.contains_key(&ssrc) {
                    model.insert(ssrc, model.len());
                    prop_assert_eq!(table.insert(Ssrc(ssrc)), Some(model.len() - 1));
                }
                prop_assert_eq!(table.get(Ssrc(ssrc.wrapping_add(1))), model.get(&ssrc.wrapping_add(1)).copied());
            }
            for (ssrc, number) in model {
                prop_assert_eq!(table.get(Ssrc(ssrc)), Some(number));
            }
        }
    }
}
