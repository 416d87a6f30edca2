//! The VP9 payload descriptor (RFC 9628 §4.2), as far as key frames and layers go.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use wire::{Error, Reader};

/// What the first bytes of a VP9 payload say, up to the layer indices.
///
/// ```text
///      0 1 2 3 4 5 6 7
///     |I|P|L|F|B|E|V|Z|
/// I:  |M| PICTURE ID  |   and with M=1 eight more bits
/// L:  | TID |U| SID |D|
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptor {
    /// The running number of the picture, of 7 or 15 bits.
    pub picture_id: Option<u16>,
    /// Whether the picture is predicted from earlier ones (P).
    pub inter_picture: bool,
    /// Whether a layer's frame begins here (B).
    pub starts_frame: bool,
    /// Whether a layer's frame ends here (E).
    pub ends_frame: bool,
    /// The layers.
    pub layers: Option<Layers>,
}

/// The layer indices of a VP9 payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layers {
    /// The temporal layer, 0 to 7 (TID).
    pub temporal: u8,
    /// Whether a receiver can step up to this temporal layer here (U).
    pub switching_up: bool,
    /// The spatial layer, 0 to 7 (SID).
    pub spatial: u8,
    /// Whether it is predicted from the spatial layer below (D).
    pub inter_layer: bool,
}

impl Descriptor {
    /// Reads the descriptor at the beginning of a payload.
    ///
    /// # Errors
    /// A payload that ends within these fields.
    pub fn parse(payload: &[u8]) -> Result<Self, Error> {
        let mut r = Reader::new(payload);
        let first = r.u8()?;
        let picture_id = if first & 0x80 != 0 {
            let high = r.u8()?;
            Some(if high & 0x80 != 0 {
                u16::from_be_bytes([high & 0x7f, r.u8()?])
            } else {
                u16::from(high)
            })
        } else {
            None
        };
        let layers = if first & 0x20 != 0 {
            let layers = r.u8()?;
            Some(Layers {
                temporal: layers >> 5,
                switching_up: layers & 0x10 != 0,
                spatial: layers >> 1 & 0x07,
                inter_layer: layers & 0x01 != 0,
            })
        } else {
            None
        };
        Ok(Self {
            picture_id,
            inter_picture: first & 0x40 != 0,
            starts_frame: first & 0x08 != 0,
            ends_frame: first & 0x04 != 0,
            layers,
        })
    }
}

/// Whether a key frame begins in this payload: the lowest spatial layer of a picture that is not predicted from others.
pub fn is_key_frame(payload: &[u8]) -> bool {
    Descriptor::parse(payload).is_ok_and(|descriptor| {
        let lowest = descriptor
            .layers
            .is_none_or(|layers| layers.spatial == 0 && !layers.inter_layer);
        !descriptor.inter_picture && descriptor.starts_frame && lowest
    })
}

/// Width and height of the key frame that begins in this payload, in pixels, if a scalability structure tells them (RFC
/// 9628 §4.2.1): those of the highest spatial layer. libwebrtc sends one with each key frame.
pub fn picture_size(payload: &[u8]) -> Option<(u16, u16)> {
    let descriptor = Descriptor::parse(payload).ok()?;
    let mut r = Reader::new(payload);
    let first = r.u8().ok()?;
    let (flexible, has_structure) = (first & 0x10 != 0, first & 0x02 != 0);
    if !has_structure || !is_key_frame(payload) {
        return None;
    }
    if descriptor.picture_id.is_some() && r.u8().ok()? & 0x80 != 0 {
        r.u8().ok()?;
    }
    if descriptor.layers.is_some() {
        r.u8().ok()?;
        if !flexible {
            // TL0PICIDX.
            r.u8().ok()?;
        }
    }
    // | N_S |Y|G|-|-|-|, and with Y width and height of N_S + 1 layers.
    let structure = r.u8().ok()?;
    if structure & 0x10 == 0 {
        return None;
    }
    let mut size = None;
    for _ in 0..=structure >> 5 {
        size = Some((r.u16().ok()?, r.u16().ok()?));
    }
    size.filter(|(width, height)| *width > 0 && *height > 0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_where_the_figure_has_them() {
        let payload = [0xec, 0x92, 0x34, 0b0111_0101];
        let descriptor = Descriptor::parse(&payload).unwrap();
        let expected = Descriptor {
            picture_id: Some(0x1234),
            inter_picture: true,
            starts_frame: true,
            ends_frame: true,
            layers: Some(Layers {
                temporal: 3,
                switching_up: true,
                spatial: 2,
                inter_layer: true,
            }),
        };
        assert_eq!(descriptor, expected);
        for len in 0..payload.len() {
            assert!(Descriptor::parse(&payload[..len]).is_err());
        }
        assert_eq!(Descriptor::parse(&[0x80, 0x12]).unwrap().picture_id, Some(0x12));
    }

    #[test]
    fn key_frames_begin_with_the_lowest_layer() {
        assert!(is_key_frame(&[0x08]));
        assert!(!is_key_frame(&[0x48]), "predicted");
        assert!(!is_key_frame(&[0x00]), "not its beginning");
        assert!(is_key_frame(&[0x28, 0x00]));
        assert!(!is_key_frame(&[0x28, 0x03]), "the layer above");
        assert!(!is_key_frame(&[0x28]));
    }

    #[test]
    fn a_scalability_structure_tells_the_size() {
        // I with 15 bits, L, B, V: layers, TL0PICIDX; two layers of which the second is 1280x720.
        let key = [
            0xaa, 0x81, 0x23, 0x00, 0x45, 0x30, 0x02, 0x80, 0x01, 0x68, 0x05, 0x00, 0x02, 0xd0, 1,
        ];
        assert_eq!(picture_size(&key), Some((1280, 720)));
        for len in 0..14 {
            assert_eq!(picture_size(&key[..len]), None, "{len}");
        }
        // In flexible mode there is no TL0PICIDX.
        assert_eq!(
            picture_size(&[0x3a, 0x00, 0x10, 0x01, 0x40, 0x00, 0xb4]),
            Some((320, 180))
        );
        assert_eq!(picture_size(&[0x4a, 0x10, 0x01, 0x40, 0x00, 0xb4]), None, "predicted");
        assert_eq!(picture_size(&[0x0a, 0x00]), None, "a structure without sizes");
        assert_eq!(picture_size(&[0x0a, 0x10, 0, 0, 0, 0]), None);
    }
}
