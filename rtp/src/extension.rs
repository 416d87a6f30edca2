//! What is inside the header extensions (RFC 8285) that WebRTC uses: `parse` from and `to_bytes` for the element's
//! data.
//!
//! A parser gives `None` for data of another length than the extension has: such an element is ignored, as an unknown
//! one is. The dependency descriptor is passed on as bytes.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use core::time::Duration;

/// The names by which extensions are negotiated in `a=extmap`.
pub mod uri {
    /// [`AudioLevel`](super::AudioLevel), RFC 6464.
    pub const AUDIO_LEVEL: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
    /// [`AbsoluteSendTime`](super::AbsoluteSendTime).
    pub const ABSOLUTE_SEND_TIME: &str = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time";
    /// [`TransportSequence`](super::TransportSequence), draft-holmer-rmcat-transport-wide-cc-extensions-01.
    pub const TRANSPORT_SEQUENCE: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
    /// [`TransmissionOffset`](super::TransmissionOffset), RFC 5450.
    pub const TRANSMISSION_OFFSET: &str = "urn:ietf:params:rtp-hdrext:toffset";
    /// [`VideoOrientation`](super::VideoOrientation), 3GPP TS 26.114 §7.4.5.
    pub const VIDEO_ORIENTATION: &str = "urn:3gpp:video-orientation";
    /// [`PlayoutDelay`](super::PlayoutDelay).
    pub const PLAYOUT_DELAY: &str = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay";
    /// The media identification, RFC 9143 §15.2: read with [`mid`](super::mid).
    pub const MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
    /// RtpStreamId, RFC 8852 §4.1: read with [`rid`](super::rid).
    pub const RTP_STREAM_ID: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";
    /// RepairedRtpStreamId, RFC 8852 §4.2: read with [`rid`](super::rid).
    pub const REPAIRED_RTP_STREAM_ID: &str = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id";
    /// The dependency descriptor of the AV1 RTP specification, appendix A.
    pub const DEPENDENCY_DESCRIPTOR: &str =
        "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";
}

/// The media identification (RFC 9143 §15.2): a token of SDP. `None` when the data is not one.
pub fn mid(data: &[u8]) -> Option<&str> {
    let token = |byte: &u8| matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'0'..=b'9' | b'A'..=b'Z' | b'^'..=b'~');
    if data.is_empty() || !data.iter().all(token) {
        return None;
    }
    core::str::from_utf8(data).ok()
}

/// An RtpStreamId or RepairedRtpStreamId (RFC 8852 §3.3): letters and digits only; `-` and `_` are accepted too, as
/// RFC 8851 §10 does for the `rid-id` in SDP. `None` when the data is not one.
pub fn rid(data: &[u8]) -> Option<&str> {
    let allowed = |byte: &u8| matches!(byte, b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'_');
    if data.is_empty() || !data.iter().all(allowed) {
        return None;
    }
    core::str::from_utf8(data).ok()
}

/// Client-to-mixer audio level (RFC 6464 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioLevel {
    /// Whether the sender believes that the packet contains voice (the V bit).
    pub voice: bool,
    /// The level in -dBov: 0 is the loudest, 127 is digital silence.
    pub level: u8,
}

impl AudioLevel {
    /// From an element's data of one byte.
    pub fn parse(data: &[u8]) -> Option<Self> {
        let &[byte] = data else { return None };
        Some(Self {
            voice: byte & 0x80 != 0,
            level: byte & 0x7f,
        })
    }

    /// The element's data. A level above 127 becomes 127.
    pub fn to_bytes(self) -> [u8; 1] {
        [u8::from(self.voice) << 7 | self.level.min(127)]
    }
}

/// When the packet left its sender: seconds in 6.18 bit fixed point, which wrap every 64 s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbsoluteSendTime(pub u32);

impl AbsoluteSendTime {
    /// From an element's data of three bytes.
    pub fn parse(data: &[u8]) -> Option<Self> {
        u24(data).map(Self)
    }

    /// The time on a clock that starts anywhere.
    pub fn from_duration(since: Duration) -> Self {
        let seconds = (since.as_secs() & 0x3f) << 18;
        let fraction = (u64::from(since.subsec_nanos()) << 18) / 1_000_000_000;
        Self(u32::try_from(seconds | fraction).unwrap_or(0))
    }

    /// From a 64-bit NTP timestamp: its bits 14 to 37.
    pub fn from_ntp(ntp: u64) -> Self {
        let [.., a, b, c] = (ntp >> 14).to_be_bytes();
        Self(u32::from_be_bytes([0, a, b, c]))
    }

    /// The element's data.
    pub fn to_bytes(self) -> [u8; 3] {
        low_24(self.0)
    }
}

/// The number of a packet among all that its sender sent on this transport
/// (draft-holmer-rmcat-transport-wide-cc-extensions-01 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransportSequence(pub u16);

impl TransportSequence {
    /// From an element's data of two bytes.
    pub fn parse(data: &[u8]) -> Option<Self> {
        data.try_into().ok().map(u16::from_be_bytes).map(Self)
    }

    /// The element's data.
    pub fn to_bytes(self) -> [u8; 2] {
        self.0.to_be_bytes()
    }
}

/// How long after the instant of its RTP timestamp a packet was sent, in units of the timestamp (RFC 5450 §2): a signed
/// number of 24 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransmissionOffset(pub i32);

impl TransmissionOffset {
    /// From an element's data of three bytes.
    pub fn parse(data: &[u8]) -> Option<Self> {
        u24(data).map(|value| Self((value << 8).cast_signed() >> 8))
    }

    /// The element's data; bits above the 24th are dropped.
    pub fn to_bytes(self) -> [u8; 3] {
        low_24(self.0.cast_unsigned())
    }
}

/// Coordination of video orientation (3GPP TS 26.114 §7.4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoOrientation {
    /// Whether it is the camera at the back (the C bit).
    pub back_camera: bool,
    /// Whether the receiver has to flip the picture horizontally (the F bit).
    pub flip: bool,
    /// The clockwise rotation that the receiver has to apply, in quarter turns, 0 to 3.
    pub quarter_turns: u8,
    /// The upper four bits, which are zero so far.
    pub reserved: u8,
}

impl VideoOrientation {
    /// From an element's data of one byte.
    pub fn parse(data: &[u8]) -> Option<Self> {
        let &[byte] = data else { return None };
        Some(Self {
            back_camera: byte & 0x08 != 0,
            flip: byte & 0x04 != 0,
            quarter_turns: byte & 0x03,
            reserved: byte >> 4,
        })
    }

    /// The element's data.
    pub fn to_bytes(self) -> [u8; 1] {
        let flags = u8::from(self.back_camera) << 3 | u8::from(self.flip) << 2;
        [self.reserved << 4 | flags | self.quarter_turns & 0x03]
    }
}

/// The limits within which a receiver chooses its playout delay, each 0 to 40.95 s in units of 10 ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlayoutDelay {
    /// The shortest, in units of 10 ms, 0 to 4095.
    pub min: u16,
    /// The longest, in units of 10 ms, 0 to 4095.
    pub max: u16,
}

impl PlayoutDelay {
    /// From an element's data of three bytes.
    pub fn parse(data: &[u8]) -> Option<Self> {
        let &[a, b, c] = data else { return None };
        Some(Self {
            min: u16::from_be_bytes([a, b]) >> 4,
            max: u16::from_be_bytes([b & 0x0f, c]),
        })
    }

    /// The element's data. Limits above 4095 become 4095.
    pub fn to_bytes(self) -> [u8; 3] {
        low_24(u32::from(self.min.min(0xfff)) << 12 | u32::from(self.max.min(0xfff)))
    }
}

fn u24(data: &[u8]) -> Option<u32> {
    let &[a, b, c] = data else { return None };
    Some(u32::from_be_bytes([0, a, b, c]))
}

fn low_24(value: u32) -> [u8; 3] {
    let [_, low @ ..] = value.to_be_bytes();
    low
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

    #[test]
    fn data_of_another_length_is_nothing() {
        for len in [0, 2, 4, 17] {
            let data = &[0; 17][..len];
            assert_eq!(AudioLevel::parse(data), None);
            assert_eq!(VideoOrientation::parse(data), None);
            assert_eq!(AbsoluteSendTime::parse(data), None);
            assert_eq!(TransmissionOffset::parse(data), None);
            assert_eq!(PlayoutDelay::parse(data), None);
        }
        assert_eq!(TransportSequence::parse(&[1]), None);
        assert_eq!(TransportSequence::parse(&[1, 2, 3]), None);
    }

    #[test]
    fn fields_stand_where_their_figures_have_them() {
        assert_eq!(AudioLevel::parse(&[0x9e]), Some(AudioLevel { voice: true, level: 30 }));
        assert_eq!(
            AudioLevel {
                voice: false,
                level: 200
            }
            .to_bytes(),
            [127]
        );
        assert_eq!(
            TransmissionOffset::parse(&[0xff, 0xff, 0xfe]),
            Some(TransmissionOffset(-2))
        );
        assert_eq!(PlayoutDelay { min: 0x123, max: 0x456 }.to_bytes(), [0x12, 0x34, 0x56]);
        let turned = VideoOrientation::parse(&[0x0d]).unwrap();
        assert!(turned.back_camera && turned.flip && turned.quarter_turns == 1);
    }

    #[test]
    fn absolute_send_time_is_the_same_from_either_clock() {
        let time = AbsoluteSendTime::from_duration(Duration::from_millis(64_000 + 1_500));
        assert_eq!(time, AbsoluteSendTime(0x06_0000));
        assert_eq!(AbsoluteSendTime::from_ntp((65 << 32) | (1 << 31)), time);
        assert_eq!(time.to_bytes(), [6, 0, 0]);
    }

    #[test]
    fn names_are_tokens() {
        assert_eq!(mid(b"0"), Some("0"));
        assert_eq!(mid(b"audio-1~"), Some("audio-1~"));
        for bad in [&b""[..], b"a b", b"a\"b", b"\xff", b"a\0", b"(x)", b"a:b"] {
            assert_eq!(mid(bad), None, "{bad:?}");
            assert_eq!(rid(bad), None, "{bad:?}");
        }
        assert_eq!(rid(b"hi_1-x"), Some("hi_1-x"));
        assert_eq!(rid(b"a+b"), None);
    }

    proptest! {
        #[test]
        fn what_was_parsed_is_written_back(data: [u8; 3]) {
            let [a, b, _] = data;
            prop_assert_eq!(AudioLevel::parse(&[a]).unwrap().to_bytes(), [a]);
            prop_assert_eq!(VideoOrientation::parse(&[a]).unwrap().to_bytes(), [a]);
            prop_assert_eq!(TransportSequence::parse(&[a, b]).unwrap().to_bytes(), [a, b]);
            prop_assert_eq!(AbsoluteSendTime::parse(&data).unwrap().to_bytes(), data);
            prop_assert_eq!(TransmissionOffset::parse(&data).unwrap().to_bytes(), data);
            prop_assert_eq!(PlayoutDelay::parse(&data).unwrap().to_bytes(), data);
        }
    }
}
