/// The RTP header extensions that this crate or its users can act on, by the URI under which they are negotiated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Extension {
    /// The section's identification tag (RFC 9143 §15).
    Mid,
    /// RTP stream identifier (RFC 8852 §3.1): which simulcast layer.
    Rid,
    /// Repaired RTP stream identifier (RFC 8852 §3.2): which layer a retransmission belongs to.
    RepairedRid,
    /// Transport-wide sequence number (draft-holmer-rmcat-transport-wide-cc-extensions-01).
    TransportCc,
    /// Absolute send time.
    AbsSendTime,
    /// Client-to-mixer audio level (RFC 6464).
    AudioLevel,
    /// Coordination of video orientation (3GPP TS 26.114).
    VideoOrientation,
    /// Playout delay.
    PlayoutDelay,
    /// AV1 dependency descriptor.
    DependencyDescriptor,
    /// Absolute capture time.
    AbsCaptureTime,
}

impl Extension {
    /// All of them, in the order of declaration.
    pub const ALL: [Self; 10] = [
        Self::Mid,
        Self::Rid,
        Self::RepairedRid,
        Self::TransportCc,
        Self::AbsSendTime,
        Self::AudioLevel,
        Self::VideoOrientation,
        Self::PlayoutDelay,
        Self::DependencyDescriptor,
        Self::AbsCaptureTime,
    ];

    /// The URI of its `a=extmap`.
    pub const fn uri(self) -> &'static str {
        match self {
            Self::Mid => "urn:ietf:params:rtp-hdrext:sdes:mid",
            Self::Rid => "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
            Self::RepairedRid => "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
            Self::TransportCc => "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
            Self::AbsSendTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
            Self::AudioLevel => "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
            Self::VideoOrientation => "urn:3gpp:video-orientation",
            Self::PlayoutDelay => "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
            Self::DependencyDescriptor => {
                "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
            }
            Self::AbsCaptureTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
        }
    }

    /// The extension negotiated under `uri`.
    pub fn from_uri(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|extension| extension.uri() == uri)
    }
}

/// Which identifier each extension has in one section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExtensionIds([u8; Extension::ALL.len()]);

impl ExtensionIds {
    /// The identifier, 1 to 255; `None` when the extension was not negotiated.
    #[inline]
    pub const fn get(&self, extension: Extension) -> Option<u8> {
        match self.0[extension as usize] {
            0 => None,
            id => Some(id),
        }
    }

    /// The extension that has this identifier.
    pub fn extension(&self, id: u8) -> Option<Extension> {
        self.iter().find(|pair| pair.1 == id).map(|pair| pair.0)
    }

    /// All that were negotiated, with their identifiers.
    pub fn iter(&self) -> impl Iterator<Item = (Extension, u8)> + use<> {
        Extension::ALL.into_iter().zip(self.0).filter(|pair| pair.1 != 0)
    }

    pub(crate) const fn set(&mut self, extension: Extension, id: u8) {
        self.0[extension as usize] = id;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_extension_has_its_own_place_and_uri() {
        let mut ids = ExtensionIds::default();
        for (place, extension) in Extension::ALL.into_iter().enumerate() {
            assert_eq!(extension as usize, place);
            assert_eq!(Extension::from_uri(extension.uri()), Some(extension));
            assert_eq!(ids.get(extension), None);
            ids.set(extension, place as u8 + 100);
            assert_eq!(ids.get(extension), Some(place as u8 + 100));
            assert_eq!(ids.extension(place as u8 + 100), Some(extension));
        }
        assert_eq!(Extension::from_uri("urn:ietf:params:rtp-hdrext:toffset"), None);
        assert_eq!(ids.extension(0), None);
        assert_eq!(ids.iter().count(), Extension::ALL.len());
    }
}
