//! What forwarding has to know of payloads: where a decoder can begin, and the numbers that must go on without a jump
//! when a slot changes hands.

use peer::Codec;
use rtp::codec::{self, vp8};

/// Whether a decoder can begin with this packet.
pub(crate) fn starts_key_frame(codec: Codec, payload: &[u8]) -> bool {
    let codec = match codec {
        Codec::Opus => codec::Codec::Opus,
        Codec::Vp8 => codec::Codec::Vp8,
        Codec::Vp9 { .. } => codec::Codec::Vp9,
        Codec::H264 { .. } => codec::Codec::H264,
        Codec::Av1 { .. } => codec::Codec::Av1,
    };
    codec::is_key_frame(codec, payload)
}

/// The numbers of a VP8 payload descriptor that count over a stream (RFC 7741 §4.2), as offsets from the source's to a
/// slot's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Vp8Offsets {
    picture: u16,
    tl0: u8,
}

/// The next numbers of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Vp8Next {
    pub(crate) picture: u16,
    pub(crate) tl0: u8,
}

impl Vp8Offsets {
    /// Those with which `first` gets the slot's next numbers.
    pub(crate) fn new(first: Option<&vp8::Descriptor>, next: Vp8Next) -> Self {
        let picture = first
            .and_then(|first| first.picture_id)
            .map_or(0, vp8::PictureId::value);
        let tl0 = first.and_then(|first| first.tl0_picture_index).unwrap_or(0);
        Self {
            picture: next.picture.wrapping_sub(picture),
            tl0: next.tl0.wrapping_sub(tl0),
        }
    }

    /// The beginning of `payload` with the slot's numbers, at equal width.
    #[inline]
    pub(crate) fn apply(self, mut descriptor: vp8::Descriptor, payload: &[u8]) -> Head {
        let mut head = Head {
            bytes: [0; Head::ROOM],
            len: payload.len().min(Head::ROOM),
        };
        head.bytes[..head.len].copy_from_slice(&payload[..head.len]);
        if let Some(id) = descriptor.picture_id {
            descriptor.set_picture_id(&mut head.bytes, id.value().wrapping_add(self.picture));
        }
        if let Some(tl0) = descriptor.tl0_picture_index {
            descriptor.set_tl0_picture_index(&mut head.bytes, tl0.wrapping_add(self.tl0));
        }
        head
    }

    /// The numbers after those that `descriptor` gets.
    #[inline]
    pub(crate) fn follow(self, descriptor: &vp8::Descriptor, next: &mut Vp8Next) {
        if let Some(id) = descriptor.picture_id {
            next.picture = id.value().wrapping_add(self.picture).wrapping_add(1) & 0x7fff;
        }
        if let Some(tl0) = descriptor.tl0_picture_index {
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
    /// The longest VP8 descriptor.
    const ROOM: usize = 6;

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_of_both_widths_go_on_where_the_slot_is() {
        let wide = [0x90, 0xe0, 0x81, 0x23, 0x45, 0x20, 1, 2, 3];
        let descriptor = vp8::Descriptor::parse(&wide).unwrap();
        let mut next = Vp8Next {
            picture: 0x7fff,
            tl0: 9,
        };
        let offsets = Vp8Offsets::new(Some(&descriptor), next);
        assert_eq!(
            offsets.apply(descriptor, &wide).as_bytes(),
            [0x90, 0xe0, 0xff, 0xff, 9, 0x20]
        );
        offsets.follow(&descriptor, &mut next);
        assert_eq!(next, Vp8Next { picture: 0, tl0: 10 });
        let narrow = [0x90, 0x80, 0x7f, 1, 2];
        let descriptor = vp8::Descriptor::parse(&narrow).unwrap();
        let offsets = Vp8Offsets::new(Some(&descriptor), Vp8Next { picture: 0x85, tl0: 0 });
        assert_eq!(offsets.apply(descriptor, &narrow).as_bytes(), [0x90, 0x80, 0x05, 1, 2]);
    }

    proptest! {
        #[test]
        fn no_offset_changes_nothing(payload: Vec<u8>) {
            if let Ok(descriptor) = vp8::Descriptor::parse(&payload) {
                let head = Vp8Offsets::default().apply(descriptor, &payload);
                prop_assert_eq!(head.as_bytes(), &payload[..head.as_bytes().len()]);
            }
        }
    }
}
