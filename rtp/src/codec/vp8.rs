//! The VP8 payload descriptor (RFC 7741 §4.2).
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use wire::{Error, Reader};

/// What the first bytes of a VP8 payload say.
///
/// ```text
///      0 1 2 3 4 5 6 7
///     |X|R|N|S|R| PID |
/// X:  |I|L|T|K| RSV   |
/// I:  |M| PictureID   |   and with M=1 eight more bits
/// L:  |   TL0PICIDX   |
/// TK: |TID|Y| KEYIDX  |
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptor {
    /// Whether the frame can be left out without harm to others (N).
    pub non_reference: bool,
    /// Whether a partition begins here (S).
    pub starts_partition: bool,
    /// The partition's index, 0 to 7 (PID).
    pub partition: u8,
    /// The running number of the frame.
    pub picture_id: Option<PictureId>,
    /// The running number of the base layer's frames (TL0PICIDX).
    pub tl0_picture_index: Option<u8>,
    /// The temporal layer.
    pub temporal: Option<Temporal>,
    /// The running number of key frames, 0 to 31 (KEYIDX).
    pub key_index: Option<u8>,
    /// Length of the descriptor, in bytes.
    pub len: usize,
    picture_id_at: usize,
    tl0_at: usize,
}

/// The running number of a frame, of 7 or 15 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureId {
    /// 0 to 127.
    Short(u8),
    /// 0 to 32767.
    Long(u16),
}

impl PictureId {
    /// The number.
    pub const fn value(self) -> u16 {
        match self {
            Self::Short(value) => value as u16,
            Self::Long(value) => value,
        }
    }
}

/// The temporal layer of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Temporal {
    /// The layer, 0 to 3 (TID).
    pub layer: u8,
    /// Whether the frame depends on the base layer alone, so that a receiver can step up to its layer here (Y).
    pub sync: bool,
}

impl Descriptor {
    /// Reads the descriptor at the beginning of a payload.
    ///
    /// # Errors
    /// A payload that ends within the descriptor or with it.
    pub fn parse(payload: &[u8]) -> Result<Self, Error> {
        let mut r = Reader::new(payload);
        let first = r.u8()?;
        let extended = if first & 0x80 != 0 { r.u8()? } else { 0 };
        let picture_id_at = r.offset();
        let picture_id = if extended & 0x80 != 0 {
            let high = r.u8()?;
            Some(if high & 0x80 != 0 {
                PictureId::Long(u16::from_be_bytes([high & 0x7f, r.u8()?]))
            } else {
                PictureId::Short(high)
            })
        } else {
            None
        };
        let tl0_at = r.offset();
        let tl0_picture_index = if extended & 0x40 != 0 { Some(r.u8()?) } else { None };
        let (has_layer, has_key_index) = (extended & 0x20 != 0, extended & 0x10 != 0);
        let last = if has_layer || has_key_index { r.u8()? } else { 0 };
        r.ensure(!r.is_empty(), "a VP8 payload goes on behind its descriptor")?;
        Ok(Self {
            non_reference: first & 0x20 != 0,
            starts_partition: first & 0x10 != 0,
            partition: first & 0x07,
            picture_id,
            tl0_picture_index,
            temporal: has_layer.then_some(Temporal {
                layer: last >> 6,
                sync: last & 0x20 != 0,
            }),
            key_index: has_key_index.then_some(last & 0x1f),
            len: r.offset(),
            picture_id_at,
            tl0_at,
        })
    }

    /// Whether the frame's first packet is this one.
    pub const fn starts_frame(&self) -> bool {
        self.starts_partition && self.partition == 0
    }

    /// Writes another picture id over that in `payload`, from which this descriptor was read. Its low 7 or 15 bits are
    /// taken, as many as there are places; nothing happens when there is none.
    pub fn set_picture_id(&mut self, payload: &mut [u8], value: u16) {
        let Some(field) = payload.get_mut(self.picture_id_at..) else {
            return;
        };
        let [high, low] = value.to_be_bytes();
        match (&mut self.picture_id, field) {
            (Some(PictureId::Short(short)), [first, ..]) => {
                *short = low & 0x7f;
                *first = *short;
            }
            (Some(PictureId::Long(long)), [first, second, ..]) => {
                *long = value & 0x7fff;
                (*first, *second) = (0x80 | high, low);
            }
            _ => {}
        }
    }

    /// Writes another TL0PICIDX over that in `payload`, from which this descriptor was read; nothing happens when there
    /// is none.
    pub fn set_tl0_picture_index(&mut self, payload: &mut [u8], value: u8) {
        if let (Some(index), Some(field)) = (&mut self.tl0_picture_index, payload.get_mut(self.tl0_at)) {
            (*index, *field) = (value, value);
        }
    }
}

/// Whether a key frame begins in this payload: the P bit of the frame's first byte is 0 (RFC 7741 §4.3).
pub fn is_key_frame(payload: &[u8]) -> bool {
    Descriptor::parse(payload).is_ok_and(|descriptor| {
        descriptor.starts_frame() && payload.get(descriptor.len).is_some_and(|first| first & 1 == 0)
    })
}

/// Width and height of the key frame that begins in this payload, in pixels, before any scaling (RFC 6386 §9.1: the
/// frame tag of three bytes, the start code, and twice 14 bits with two of scaling above them). `None` when none
/// begins, or in a packet that ends within these ten bytes.
pub fn picture_size(payload: &[u8]) -> Option<(u16, u16)> {
    let descriptor = Descriptor::parse(payload).ok().filter(Descriptor::starts_frame)?;
    let header = payload.get(descriptor.len..)?.first_chunk::<10>()?;
    let [tag, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1] = *header else {
        return None;
    };
    let (width, height) = (
        u16::from_le_bytes([w0, w1]) & 0x3fff,
        u16::from_le_bytes([h0, h1]) & 0x3fff,
    );
    (tag & 1 == 0 && width > 0 && height > 0).then_some((width, height))
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
    use proptest::prelude::*;
    use std::vec::Vec;

    #[test]
    fn descriptors_of_the_figure() {
        // The shortest: no extension, a key frame.
        let short = Descriptor::parse(&[0x10, 0x00]).unwrap();
        assert!(short.starts_frame() && short.picture_id.is_none() && short.len == 1);
        assert!(is_key_frame(&[0x10, 0x00]) && !is_key_frame(&[0x10, 0x01]) && !is_key_frame(&[0x00, 0x00]));
        assert!(!is_key_frame(&[0x11, 0x00]), "another partition");
        // All of it, with a picture id of 15 bits.
        let full = Descriptor::parse(&[0xb3, 0xf0, 0x92, 0x34, 0x56, 0xb7, 0xff]).unwrap();
        assert_eq!(full.picture_id, Some(PictureId::Long(0x1234)));
        assert_eq!(full.picture_id.unwrap().value(), 0x1234);
        assert_eq!(full.tl0_picture_index, Some(0x56));
        assert_eq!(full.temporal, Some(Temporal { layer: 2, sync: true }));
        assert_eq!((full.key_index, full.len), (Some(0x17), 6));
        assert!(full.non_reference && full.starts_partition && full.partition == 3);
        // The octet of T and K is there for either; the other's field is ignored.
        let key_only = Descriptor::parse(&[0x80, 0x10, 0xff, 0]).unwrap();
        assert_eq!((key_only.temporal, key_only.key_index), (None, Some(0x1f)));
        let layer_only = Descriptor::parse(&[0x80, 0x20, 0x40, 0]).unwrap();
        assert_eq!(
            (layer_only.temporal, layer_only.key_index),
            (Some(Temporal { layer: 1, sync: false }), None)
        );
    }

    #[test]
    fn cut_descriptors_are_refused() {
        let full = [0x90, 0xf0, 0x92, 0x34, 0x56, 0xb7, 0x00];
        for len in 0..full.len() {
            assert!(
                Descriptor::parse(&full[..len]).is_err() && !is_key_frame(&full[..len]),
                "{len}"
            );
        }
        assert!(is_key_frame(&full));
    }

    #[test]
    fn a_key_frame_tells_its_size() {
        // 1280x720, with scaling bits set, behind a descriptor with a picture id.
        let key = [
            0x90, 0x80, 0x05, 0x10, 0x34, 0x12, 0x9d, 0x01, 0x2a, 0x00, 0x45, 0xd0, 0x82,
        ];
        assert_eq!(picture_size(&key), Some((1280, 720)));
        for len in 0..key.len() {
            assert_eq!(picture_size(&key[..len]), None, "{len}");
        }
        let changed = |at: usize, to: u8| {
            let mut other = key;
            other[at] = to;
            picture_size(&other)
        };
        assert_eq!(changed(3, 0x11), None, "predicted");
        assert_eq!(changed(0, 0x80), None, "not the beginning");
        assert_eq!(changed(6, 0x9c), None, "no start code");
    }

    #[test]
    fn numbers_are_rewritten_at_equal_width() {
        let mut long = [0x90, 0xe0, 0x92, 0x34, 0x56, 0x40, 0x00];
        let mut descriptor = Descriptor::parse(&long).unwrap();
        descriptor.set_picture_id(&mut long, 0xffff);
        descriptor.set_tl0_picture_index(&mut long, 0xaa);
        assert_eq!(long, [0x90, 0xe0, 0xff, 0xff, 0xaa, 0x40, 0x00]);
        assert_eq!(Descriptor::parse(&long), Ok(descriptor));
        let mut short = [0x90, 0x80, 0x12, 0x00];
        let mut descriptor = Descriptor::parse(&short).unwrap();
        descriptor.set_picture_id(&mut short, 0x0181);
        descriptor.set_tl0_picture_index(&mut short, 0xaa);
        assert_eq!(short, [0x90, 0x80, 0x01, 0x00]);
        let mut none = [0x10, 0x00];
        let mut descriptor = Descriptor::parse(&none).unwrap();
        descriptor.set_picture_id(&mut none, 7);
        assert_eq!(none, [0x10, 0x00]);
    }

    proptest! {
        #[test]
        fn rewriting_changes_nothing_else(mut payload in proptest::collection::vec(any::<u8>(), 0..16), id: u16, tl0: u8) {
            let before: Vec<u8> = payload.clone();
            if let Ok(mut descriptor) = Descriptor::parse(&payload) {
                let old = descriptor;
                descriptor.set_picture_id(&mut payload, id);
                descriptor.set_tl0_picture_index(&mut payload, tl0);
                prop_assert_eq!(Descriptor::parse(&payload), Ok(descriptor));
                prop_assert_eq!(descriptor.len, old.len);
                if let Some(id) = old.picture_id {
                    descriptor.set_picture_id(&mut payload, id.value());
                }
                if let Some(tl0) = old.tl0_picture_index {
                    descriptor.set_tl0_picture_index(&mut payload, tl0);
                }
                prop_assert_eq!(payload, before);
            }
        }
    }
}
