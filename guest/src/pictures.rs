use std::collections::BTreeMap;
use std::fmt;

use rtp::codec::vp8::{Descriptor, PictureId};

/// Follows the numbers of VP8's payload descriptors (RFC 7741 §4.2) in the order of sequence numbers: whoever is in a
/// section, and whichever layer, picture id and TL0PICIDX go on without a jump.
#[derive(Debug, Default)]
pub(crate) struct Pictures {
    /// Packets behind a number that may still come, by sequence number.
    waiting: BTreeMap<u64, Head>,
    last: Option<(u64, Head)>,
}

/// What a packet says of its picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) timestamp: u32,
    pub(crate) picture: Option<PictureId>,
    pub(crate) tl0: Option<u8>,
    /// Whether it is of the lowest temporal layer, whose pictures TL0PICIDX counts.
    pub(crate) base: bool,
}

/// Two packets, one behind the other, of which the second cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strange {
    before: (u64, Head),
    own: (u64, Head),
}

/// Packets that wait at most; the sender's numbers may be anything.
const MAX_WAITING: usize = 8192;

impl Head {
    /// That of a payload; a packet without a descriptor says nothing.
    pub(crate) fn new(timestamp: u32, payload: &[u8]) -> Self {
        let descriptor = Descriptor::parse(payload).ok();
        Self {
            timestamp,
            picture: descriptor.and_then(|descriptor| descriptor.picture_id),
            tl0: descriptor.and_then(|descriptor| descriptor.tl0_picture_index),
            base: descriptor
                .and_then(|descriptor| descriptor.temporal)
                .is_none_or(|temporal| temporal.layer == 0),
        }
    }

    /// Whether it can come behind `before`, with `lost` packets between them.
    fn follows(&self, before: &Self, lost: u64) -> bool {
        let same = self.timestamp == before.timestamp;
        // What was lost may have been pictures of one packet each.
        let most = if same { 0 } else { lost.saturating_add(1) };
        let ids = before.picture.zip(self.picture);
        let picture = ids.is_none_or(|(before, own)| {
            // From one source to another the width may change: of one of 7 bits no more is seen.
            let range = match (before, own) {
                (PictureId::Long(_), PictureId::Long(_)) => 0x7fff,
                _ => 0x7f,
            };
            let step = own.value().wrapping_sub(before.value()) & range;
            (u64::from(!same)..=most).contains(&u64::from(step))
        });
        let tl0 = before.tl0.zip(self.tl0).is_none_or(|(before, own)| {
            let step = u64::from(own.wrapping_sub(before));
            let least = u64::from(!same && self.base && lost == 0);
            let most = if lost == 0 { least } else { most };
            (least..=most).contains(&step)
        });
        picture && tl0
    }
}

impl Pictures {
    /// Takes a packet.
    pub(crate) fn take(&mut self, sequence: u64, head: Head) {
        if self.last.is_none_or(|(last, _)| sequence > last) {
            self.waiting.insert(sequence, head);
        }
    }

    /// Looks at everything in front of the first number that may still come, and gives to `fault` each picture that does
    /// not follow the one before.
    pub(crate) fn settle(&mut self, first_open: Option<u64>, mut fault: impl FnMut(Strange)) {
        while let Some((&sequence, &head)) = self.waiting.first_key_value() {
            if first_open.is_some_and(|open| sequence > open) && self.waiting.len() <= MAX_WAITING {
                break;
            }
            self.waiting.pop_first();
            let own = (sequence, head);
            if let Some(before) = self.last
                && !head.follows(&before.1, sequence - before.0 - 1)
            {
                fault(Strange { before, own });
            }
            self.last = Some(own);
        }
    }
}

impl fmt::Display for Strange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((before, last), (sequence, head)) = (self.before, self.own);
        write!(f, "packet {before} ({last}), then packet {sequence} ({head})")
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "timestamp {}", self.timestamp)?;
        if let Some(picture) = self.picture {
            let bits = match picture {
                PictureId::Short(_) => 7,
                PictureId::Long(_) => 15,
            };
            write!(f, ", picture {} of {bits} bits", picture.value())?;
        }
        if let Some(tl0) = self.tl0 {
            write!(f, ", TL0PICIDX {tl0}")?;
        }
        f.write_str(if self.base { "" } else { ", an upper layer" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(timestamp: u32, picture: u16, tl0: u8) -> Head {
        Head {
            timestamp,
            picture: Some(PictureId::Long(picture)),
            tl0: Some(tl0),
            base: true,
        }
    }

    fn faults(packets: &[(u64, Head)]) -> u64 {
        let mut pictures = Pictures::default();
        for (sequence, head) in packets {
            pictures.take(*sequence, *head);
        }
        settle(&mut pictures, None)
    }

    fn settle(pictures: &mut Pictures, first_open: Option<u64>) -> u64 {
        let mut faults = 0;
        pictures.settle(first_open, |_| faults += 1);
        faults
    }

    #[test]
    fn a_descriptor_is_read() {
        // I, L, T: a picture id of 15 bits, TL0PICIDX, the second temporal layer.
        let upper = Head::new(7, &[0x90, 0xe0, 0x81, 0x23, 9, 0x40, 0]);
        assert_eq!(
            upper,
            Head {
                base: false,
                ..head(7, 0x123, 9)
            }
        );
        assert_eq!(
            (Head::new(7, &[]).picture, Head::new(7, &[0x10, 0]).picture),
            (None, None)
        );
    }

    #[test]
    fn pictures_are_counted_one_by_one() {
        let good = [
            (1, head(10, 0x7fff, 255)),
            (2, head(10, 0x7fff, 255)),
            (3, head(20, 0, 0)),
            (4, head(30, 1, 1)),
        ];
        assert_eq!(faults(&good), 0);
        for bad in [
            // Another picture within one, one left out, one that stays, one that goes back.
            head(30, 2, 1),
            head(40, 3, 2),
            head(40, 1, 2),
            head(40, 0, 2),
            // The same of TL0PICIDX.
            head(30, 1, 2),
            head(40, 2, 3),
            head(40, 2, 1),
            head(40, 2, 0),
        ] {
            assert_eq!(faults(&[&good[..], &[(5, bad)]].concat()), 1, "{bad:?}");
        }
        assert_eq!(faults(&[&good[..], &[(5, head(40, 2, 2))]].concat()), 0);
    }

    #[test]
    fn what_does_not_follow_is_told_with_its_numbers() {
        let mut pictures = Pictures::default();
        pictures.take(7, head(10, 0x7fff, 255));
        let upper = Head {
            picture: Some(PictureId::Short(9)),
            base: false,
            ..head(20, 0, 3)
        };
        pictures.take(9, upper);
        let mut told = Vec::new();
        pictures.settle(None, |strange| told.push(strange.to_string()));
        assert_eq!(
            told,
            ["packet 7 (timestamp 10, picture 32767 of 15 bits, TL0PICIDX 255), \
              then packet 9 (timestamp 20, picture 9 of 7 bits, TL0PICIDX 3, an upper layer)"]
        );
    }

    #[test]
    fn upper_temporal_layers_keep_the_number_of_their_base() {
        let upper = |timestamp, picture, tl0| Head {
            base: false,
            ..head(timestamp, picture, tl0)
        };
        let good = [
            (1, head(10, 1, 1)),
            (2, upper(20, 2, 1)),
            (3, upper(30, 3, 1)),
            (4, head(40, 4, 2)),
        ];
        assert_eq!(faults(&good), 0);
        assert_eq!(faults(&[(1, head(10, 1, 1)), (2, upper(20, 2, 2))]), 1);
    }

    #[test]
    fn as_many_pictures_may_be_lost_as_packets() {
        let behind = |picture, tl0| faults(&[(1, head(10, 5, 5)), (4, head(20, picture, tl0))]);
        assert_eq!([behind(6, 6), behind(8, 8), behind(8, 6), behind(6, 5)], [0; 4]);
        assert_eq!([behind(9, 8), behind(8, 9), behind(5, 6)], [1; 3]);
    }

    #[test]
    fn numbers_of_seven_bits_go_round_too() {
        let short = |timestamp, picture| Head {
            picture: Some(PictureId::Short(picture)),
            ..head(timestamp, 0, timestamp as u8)
        };
        assert_eq!(faults(&[(1, short(1, 127)), (2, short(2, 0)), (3, short(3, 1))]), 0);
        assert_eq!(faults(&[(1, short(1, 127)), (2, short(2, 1))]), 1);
        // From one source to another the width may change, the number goes on.
        assert_eq!(faults(&[(1, head(1, 0x1ff, 1)), (2, short(2, 0))]), 0);
        assert_eq!(faults(&[(1, short(1, 5)), (2, head(2, 0x86, 2))]), 0);
        assert_eq!(faults(&[(1, short(1, 5)), (2, head(2, 0x87, 2))]), 1);
        // A source without numbers says nothing.
        let none = Head {
            picture: None,
            tl0: None,
            ..head(2, 0, 0)
        };
        assert_eq!(faults(&[(1, head(1, 9, 1)), (2, none)]), 0);
    }

    #[test]
    fn what_may_still_come_is_waited_for_within_bounds() {
        let mut pictures = Pictures::default();
        pictures.take(1, head(10, 1, 1));
        pictures.take(3, head(30, 3, 3));
        assert_eq!(settle(&mut pictures, Some(2)), 0);
        assert_eq!(pictures.waiting.len(), 1);
        // It comes, and is of another picture than its neighbours tell.
        pictures.take(2, head(20, 7, 7));
        assert_eq!(settle(&mut pictures, None), 2);
        // What is behind was looked at.
        pictures.take(2, head(20, 2, 2));
        assert!(pictures.waiting.is_empty());
        for sequence in 5..3 * MAX_WAITING as u64 {
            pictures.take(sequence, head(sequence as u32, sequence as u16, sequence as u8));
            settle(&mut pictures, Some(4));
            assert!(pictures.waiting.len() <= MAX_WAITING);
        }
    }
}
