//! What forwarding has to know of payloads: where a decoder can begin, and the numbers that must go on without a jump
//! when a slot changes hands.

use peer::Codec;
use rtp::codec::{self, vp8, vp9};

use crate::choice::Size;

/// Whether a decoder can begin with this packet.
pub(crate) fn starts_key_frame(codec: Codec, payload: &[u8]) -> bool {
    codec::is_key_frame(format(codec), payload)
}

/// How large the pictures are that begin with this packet, where it tells.
pub(crate) fn picture_size(codec: Codec, payload: &[u8]) -> Option<Size> {
    codec::picture_size(format(codec), payload).map(|(width, height)| Size::new(width, height))
}

const fn format(codec: Codec) -> codec::Codec {
    match codec {
        Codec::Opus => codec::Codec::Opus,
        Codec::Vp8 => codec::Codec::Vp8,
        Codec::Vp9 { .. } => codec::Codec::Vp9,
        Codec::H264 { .. } => codec::Codec::H264,
        Codec::Av1 { .. } => codec::Codec::Av1,
    }
}

/// The numbers of a payload descriptor that count over a stream, and where they stand: picture id and TL0PICIDX of VP8
/// (RFC 7741 §4.2) and VP9 (RFC 9628 §4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    picture: Option<u16>,
    picture_at: u8,
    /// Whether the picture id has 15 bits and not 7.
    wide: bool,
    tl0: Option<u8>,
    tl0_at: u8,
}

impl Counted {
    /// Those of a payload; `None` when it is of a codec without.
    pub(crate) fn of(codec: Codec, payload: &[u8]) -> Option<Self> {
        // The picture id stands behind the first byte, which VP8 extends by another one.
        let (picture, picture_at, layers) = match codec {
            Codec::Vp8 => {
                let descriptor = vp8::Descriptor::parse(payload).ok()?;
                let picture = descriptor.picture_id.map(vp8::PictureId::value);
                (picture, 2, descriptor.tl0_picture_index.map(|_| 0))
            }
            Codec::Vp9 { .. } => {
                let descriptor = vp9::Descriptor::parse(payload).ok()?;
                // In flexible mode (F) the layer indices have no TL0PICIDX behind them.
                let flexible = payload.first()? & 0x10 != 0;
                (
                    descriptor.picture_id,
                    1,
                    descriptor.layers.filter(|_| !flexible).map(|_| 1),
                )
            }
            _ => return None,
        };
        let wide = picture.is_some() && payload.get(usize::from(picture_at))? & 0x80 != 0;
        let behind = picture_at + u8::from(picture.is_some()) + u8::from(wide);
        let tl0_at = behind + layers.unwrap_or(0);
        let tl0 = layers.and_then(|_| payload.get(usize::from(tl0_at)).copied());
        Some(Self {
            picture,
            picture_at,
            wide,
            tl0,
            tl0_at,
        })
    }
}

/// Offsets from the source's numbers to a slot's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Offsets {
    picture: u16,
    tl0: u8,
}

/// The next numbers of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Next {
    pub(crate) picture: u16,
    pub(crate) tl0: u8,
}

impl Offsets {
    /// Those with which `first` gets the slot's next numbers.
    pub(crate) fn new(first: Option<&Counted>, next: Next) -> Self {
        let picture = first.and_then(|first| first.picture).unwrap_or(0);
        let tl0 = first.and_then(|first| first.tl0).unwrap_or(0);
        Self {
            picture: next.picture.wrapping_sub(picture),
            tl0: next.tl0.wrapping_sub(tl0),
        }
    }

    /// The beginning of `payload` with the slot's numbers, at equal width.
    #[inline]
    pub(crate) fn apply(self, counted: &Counted, payload: &[u8]) -> Head {
        let mut head = Head {
            bytes: [0; Head::ROOM],
            len: payload.len().min(Head::ROOM),
        };
        head.bytes[..head.len].copy_from_slice(&payload[..head.len]);
        if let Some(picture) = counted.picture {
            let [high, low] = picture.wrapping_add(self.picture).to_be_bytes();
            match head.bytes.get_mut(usize::from(counted.picture_at)..) {
                Some([first, second, ..]) if counted.wide => (*first, *second) = (0x80 | high, low),
                Some([first, ..]) => *first = low & 0x7f,
                _ => {}
            }
        }
        if let (Some(tl0), Some(place)) = (counted.tl0, head.bytes.get_mut(usize::from(counted.tl0_at))) {
            *place = tl0.wrapping_add(self.tl0);
        }
        head
    }

    /// The numbers after those that `counted` gets.
    #[inline]
    pub(crate) fn follow(self, counted: &Counted, next: &mut Next) {
        if let Some(picture) = counted.picture {
            next.picture = picture.wrapping_add(self.picture).wrapping_add(1) & 0x7fff;
        }
        if let Some(tl0) = counted.tl0 {
            next.tl0 = tl0.wrapping_add(self.tl0).wrapping_add(1);
        }
    }
}

/// The beginning of a payload, rewritten; empty when it goes as it is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Head {
    bytes: [u8; Self::ROOM],
    len: usize,
}

impl Head {
    /// As far as the numbers stand: in VP8 two bytes, the picture id and TL0PICIDX, in VP9 one byte, the picture id,
    /// the layers and TL0PICIDX.
    const ROOM: usize = 5;

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const VP9: Codec = Codec::Vp9 { profile: 0 };

    #[test]
    fn numbers_of_both_widths_go_on_where_the_slot_is() {
        let wide = [0x90, 0xe0, 0x81, 0x23, 0x45, 0x20, 1, 2, 3];
        let counted = Counted::of(Codec::Vp8, &wide).unwrap();
        let mut next = Next {
            picture: 0x7fff,
            tl0: 9,
        };
        let offsets = Offsets::new(Some(&counted), next);
        assert_eq!(offsets.apply(&counted, &wide).as_bytes(), [0x90, 0xe0, 0xff, 0xff, 9]);
        offsets.follow(&counted, &mut next);
        assert_eq!(next, Next { picture: 0, tl0: 10 });
        let narrow = [0x90, 0x80, 0x7f, 1, 2];
        let counted = Counted::of(Codec::Vp8, &narrow).unwrap();
        let offsets = Offsets::new(Some(&counted), Next { picture: 0x85, tl0: 0 });
        assert_eq!(offsets.apply(&counted, &narrow).as_bytes(), [0x90, 0x80, 0x05, 1, 2]);
    }

    #[test]
    fn vp9_counts_like_vp8() {
        // I, L, B: a picture id of 15 bits, layers, TL0PICIDX.
        let wide = [0xa8, 0x81, 0x23, 0x20, 0x45, 1, 2];
        let counted = Counted::of(VP9, &wide).unwrap();
        let mut next = Next {
            picture: 0x7fff,
            tl0: 9,
        };
        let offsets = Offsets::new(Some(&counted), next);
        assert_eq!(offsets.apply(&counted, &wide).as_bytes(), [0xa8, 0xff, 0xff, 0x20, 9]);
        offsets.follow(&counted, &mut next);
        assert_eq!(next, Next { picture: 0, tl0: 10 });
        // Flexible mode: what follows the layers is a reference, and stays.
        let flexible = [0xb8, 0x05, 0x20, 0x45, 1];
        let counted = Counted::of(VP9, &flexible).unwrap();
        let offsets = Offsets::new(Some(&counted), Next { picture: 0x86, tl0: 77 });
        assert_eq!(
            offsets.apply(&counted, &flexible).as_bytes(),
            [0xb8, 0x06, 0x20, 0x45, 1]
        );
        assert_eq!(Counted::of(Codec::Opus, &wide), None);
    }

    proptest! {
        #[test]
        fn no_offset_changes_nothing(payload: Vec<u8>) {
            for codec in [Codec::Vp8, VP9] {
                if let Some(counted) = Counted::of(codec, &payload) {
                    let head = Offsets::default().apply(&counted, &payload);
                    prop_assert_eq!(head.as_bytes(), &payload[..head.as_bytes().len()]);
                }
            }
        }
    }
}
