//! The H.264 payload format (RFC 6184 §5).
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use wire::Reader;

mod sps;

wire::registry! {
    /// Types of NAL units, and of the payload structures that hold them (RFC 6184 §5.2).
    pub struct NalType(u8) {
        /// A slice of a picture that is not an IDR picture.
        SLICE = 1 => "slice",
        /// A slice of an IDR picture: decoding can begin with it.
        IDR = 5 => "IDR slice",
        /// Supplemental enhancement information.
        SEI = 6 => "SEI",
        /// Sequence parameter set.
        SPS = 7 => "SPS",
        /// Picture parameter set.
        PPS = 8 => "PPS",
        /// Access unit delimiter.
        AUD = 9 => "AUD",
        /// Several NAL units in one payload (§5.7.1).
        STAP_A = 24 => "STAP-A",
        /// A fragment of a NAL unit (§5.8).
        FU_A = 28 => "FU-A",
    }
}

/// The NAL units that begin in a payload: the type of each and what follows its header, cut off in a fragment. A NAL
/// unit of which a later fragment is in the payload does not begin in it.
pub fn nal_units(payload: &[u8]) -> impl Iterator<Item = (NalType, &[u8])> {
    let mut aggregated = Reader::new(&[]);
    let mut single = None;
    let mut r = Reader::new(payload);
    if let Ok(header) = r.u8() {
        match NalType(header & 0x1f) {
            NalType::STAP_A => aggregated = r,
            NalType::FU_A => {
                if let Ok(fragment) = r.u8()
                    && fragment & 0x80 != 0
                {
                    single = Some((NalType(fragment & 0x1f), r.all()));
                }
            }
            nal_type => single = Some((nal_type, r.all())),
        }
    }
    core::iter::from_fn(move || {
        if single.is_some() {
            return single.take();
        }
        let len = aggregated.u16().ok()?;
        let mut unit = aggregated.sub(usize::from(len)).ok()?;
        let header = unit.u8().ok()?;
        Some((NalType(header & 0x1f), unit.all()))
    })
}

/// Whether a key frame begins in this payload: a sequence parameter set, or the first slice of an IDR picture.
///
/// Browsers send the parameter sets in a packet before the IDR picture's, with the same timestamp: both are told, and a
/// decoder has to begin with the first of them. Encoders that give the sets in SDP alone send only the picture.
pub fn is_key_frame(payload: &[u8]) -> bool {
    nal_units(payload).any(|(nal_type, data)| match nal_type {
        NalType::SPS => true,
        NalType::IDR => is_first_slice(data),
        _ => false,
    })
}

/// Whether a frame begins in this payload: with an access unit delimiter, parameter sets, SEI or a first slice.
pub fn starts_frame(payload: &[u8]) -> bool {
    nal_units(payload)
        .next()
        .is_some_and(|(nal_type, data)| match nal_type {
            NalType::AUD | NalType::SPS | NalType::PPS | NalType::SEI => true,
            NalType::SLICE | NalType::IDR => is_first_slice(data),
            _ => false,
        })
}

/// Width and height of the pictures that follow, in pixels, if a sequence parameter set begins in this payload.
pub fn picture_size(payload: &[u8]) -> Option<(u16, u16)> {
    let (_, sps) = nal_units(payload).find(|(nal_type, _)| *nal_type == NalType::SPS)?;
    sps::picture_size(sps)
}

/// A slice header begins with first_mb_in_slice, coded ue(v): the value 0, of a picture's first slice, is one bit 1.
fn is_first_slice(data: &[u8]) -> bool {
    data.first().is_some_and(|first| first & 0x80 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_units() {
        assert!(is_key_frame(&[0x67, 0x42]) && starts_frame(&[0x67, 0x42]));
        assert!(is_key_frame(&[0x65, 0x88]) && starts_frame(&[0x65, 0x88]));
        assert!(
            !is_key_frame(&[0x65, 0x08]) && !starts_frame(&[0x65, 0x08]),
            "a later slice of the picture"
        );
        assert!(!is_key_frame(&[0x41, 0x9a]) && starts_frame(&[0x41, 0x9a]));
        assert!(!is_key_frame(&[0x68, 0xce]) && starts_frame(&[0x68, 0xce]));
        assert!(!is_key_frame(&[0x65]) && !starts_frame(&[]));
    }

    #[test]
    fn aggregated_units() {
        let stap = [0x78, 0, 2, 0x67, 0x42, 0, 2, 0x68, 0xce, 0, 2, 0x65, 0x88];
        let types = [NalType::SPS, NalType::PPS, NalType::IDR];
        assert!(nal_units(&stap).map(|(nal_type, _)| nal_type).eq(types));
        assert!(is_key_frame(&stap) && starts_frame(&stap));
        // Another order, and one that is cut off.
        assert!(is_key_frame(&[0x78, 0, 2, 0x06, 0x05, 0, 2, 0x65, 0x88]));
        assert!(!is_key_frame(&[0x78, 0, 2, 0x06, 0x05, 0, 3, 0x65, 0x88]));
        assert!(
            !is_key_frame(&[0x78, 0, 0, 0, 2, 0x65, 0x88]),
            "an empty unit ends the list"
        );
    }

    #[test]
    fn fragments() {
        assert!(is_key_frame(&[0x7c, 0x85, 0x88]) && starts_frame(&[0x7c, 0x85, 0x88]));
        assert!(
            !is_key_frame(&[0x7c, 0x05, 0x88]) && !is_key_frame(&[0x7c, 0x45, 0x88]),
            "not the first fragment"
        );
        assert!(!is_key_frame(&[0x7c, 0x81, 0x88]) && starts_frame(&[0x7c, 0x81, 0x88]));
        assert!(!is_key_frame(&[0x7c]) && !is_key_frame(&[0x7c, 0x85]));
    }
}
