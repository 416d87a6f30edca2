//! The little that a forwarder has to know of payloads: where key frames begin, and the numbers that have to go on
//! without a gap when it switches between sources.

pub mod av1;
pub mod h264;
pub mod vp8;
pub mod vp9;

/// A codec whose payload format is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// Opus (RFC 7587). Every packet can be decoded without those before.
    Opus,
    /// VP8 (RFC 7741).
    Vp8,
    /// VP9 (RFC 9628).
    Vp9,
    /// H.264 (RFC 6184).
    H264,
    /// AV1 (AV1 RTP specification).
    Av1,
}

impl Codec {
    /// By its name in `a=rtpmap`, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        const NAMES: [(&str, Codec); 5] = [
            ("opus", Codec::Opus),
            ("VP8", Codec::Vp8),
            ("VP9", Codec::Vp9),
            ("H264", Codec::H264),
            ("AV1", Codec::Av1),
        ];
        NAMES
            .into_iter()
            .find(|(each, _)| name.eq_ignore_ascii_case(each))
            .map(|(_, codec)| codec)
    }
}

/// Whether a decoder that knows nothing of the stream can begin with this payload, that is, whether a key frame begins
/// in it. Payloads that break their format do not.
pub fn is_key_frame(codec: Codec, payload: &[u8]) -> bool {
    match codec {
        Codec::Opus => !payload.is_empty(),
        Codec::Vp8 => vp8::is_key_frame(payload),
        Codec::Vp9 => vp9::is_key_frame(payload),
        Codec::H264 => h264::is_key_frame(payload),
        Codec::Av1 => av1::is_key_frame(payload),
    }
}

/// Width and height in pixels of the key frame that begins in this payload, where the payload tells them: VP8 always
/// does, VP9 when the key frame has a scalability structure with sizes, H.264 with the sequence parameter set.
pub fn picture_size(codec: Codec, payload: &[u8]) -> Option<(u16, u16)> {
    match codec {
        Codec::Opus | Codec::Av1 => None,
        Codec::Vp8 => vp8::picture_size(payload),
        Codec::Vp9 => vp9::picture_size(payload),
        Codec::H264 => h264::picture_size(payload),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codecs_have_names() {
        assert_eq!(Codec::from_name("vp8"), Some(Codec::Vp8));
        assert_eq!(Codec::from_name("OPUS"), Some(Codec::Opus));
        assert_eq!(Codec::from_name("h264"), Some(Codec::H264));
        assert_eq!(Codec::from_name("rtx"), None);
    }

    #[test]
    fn nothing_is_no_key_frame() {
        for codec in [Codec::Opus, Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1] {
            assert!(!is_key_frame(codec, &[]), "{codec:?}");
        }
        assert!(is_key_frame(Codec::Opus, &[0x78]));
    }
}
