use core::fmt;

use sdp::Parameters;

/// What a section carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `m=audio`.
    Audio,
    /// `m=video`.
    Video,
    /// `m=application`: data channels.
    Application,
}

impl Kind {
    /// As it stands in the m-line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Application => "application",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A payload format with those parameters that two ends must have in common: streams of equal `Codec` can be forwarded
/// from one to the other as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Codec {
    /// RFC 7587.
    Opus,
    /// RFC 7741.
    Vp8,
    /// RFC 6184. Level and level asymmetry are not part of it: they bind the encoder, not who forwards.
    H264 {
        /// The sub-profile of `profile-level-id`.
        profile: H264Profile,
        /// 0 or 1.
        packetization_mode: u8,
    },
    /// RFC 9628.
    Vp9 {
        /// 0 to 3.
        profile: u8,
    },
    /// The RTP payload format of AV1.
    Av1 {
        /// 0 to 2.
        profile: u8,
    },
}

/// The sub-profiles of H.264 that RFC 6184 §8.1 (table 5) tells apart by `profile_idc` and `profile-iop`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum H264Profile {
    /// CB.
    ConstrainedBaseline,
    /// B.
    Baseline,
    /// M.
    Main,
    /// Not in the table, written `640c`: High without B slices and interlacing.
    ConstrainedHigh,
    /// H.
    High,
    /// H444P, written `f400`.
    High444Predictive,
}

impl H264Profile {
    /// From the six hexadecimal digits of `profile-level-id`; its level is not looked at.
    pub fn from_profile_level_id(id: &str) -> Option<Self> {
        let id = (id.len() == 6).then(|| u32::from_str_radix(id, 16).ok()).flatten()?;
        let [_, idc, iop, _] = id.to_be_bytes();
        // Each row: profile_idc, the bits of profile-iop that count, their value.
        const TABLE: [(u8, u8, u8, H264Profile); 10] = [
            (0x42, 0x4f, 0x40, H264Profile::ConstrainedBaseline),
            (0x4d, 0x8f, 0x80, H264Profile::ConstrainedBaseline),
            (0x58, 0xcf, 0xc0, H264Profile::ConstrainedBaseline),
            (0x42, 0x4f, 0x00, H264Profile::Baseline),
            (0x58, 0xcf, 0x80, H264Profile::Baseline),
            (0x4d, 0xaf, 0x00, H264Profile::Main),
            (0x64, 0xff, 0x00, H264Profile::High),
            (0x64, 0xff, 0x0c, H264Profile::ConstrainedHigh),
            (0xf4, 0xff, 0x00, H264Profile::High444Predictive),
            (0xf4, 0xff, 0x0c, H264Profile::High444Predictive),
        ];
        TABLE
            .iter()
            .find(|row| row.0 == idc && iop & row.1 == row.2)
            .map(|row| row.3)
    }
}

impl H264Profile {
    /// Six digits that mean it, at level 3.1.
    pub(crate) const fn profile_level_id(self) -> &'static str {
        match self {
            Self::ConstrainedBaseline => "42e01f",
            Self::Baseline => "42001f",
            Self::Main => "4d001f",
            Self::ConstrainedHigh => "640c1f",
            Self::High => "64001f",
            Self::High444Predictive => "f4001f",
        }
    }
}

impl Codec {
    /// Every H.264 sub-profile in packetization mode 1, the most widely decoded first.
    pub const H264: [Self; 5] = [
        Self::h264(H264Profile::ConstrainedBaseline),
        Self::h264(H264Profile::Baseline),
        Self::h264(H264Profile::Main),
        Self::h264(H264Profile::ConstrainedHigh),
        Self::h264(H264Profile::High),
    ];

    const fn h264(profile: H264Profile) -> Self {
        Self::H264 {
            profile,
            packetization_mode: 1,
        }
    }

    /// The formats that a person means by `vp8`, `h264`, `vp9`, `av1` or `opus`.
    pub fn by_name(name: &str) -> Option<&'static [Self]> {
        match name.to_ascii_lowercase().as_str() {
            "opus" => Some(&[Self::Opus]),
            "vp8" => Some(&[Self::Vp8]),
            "h264" => Some(&Self::H264),
            "vp9" => Some(&[Self::Vp9 { profile: 0 }]),
            "av1" => Some(&[Self::Av1 { profile: 0 }]),
            _ => None,
        }
    }

    /// What kind of section it belongs to.
    pub const fn kind(self) -> Kind {
        match self {
            Self::Opus => Kind::Audio,
            _ => Kind::Video,
        }
    }

    /// The encoding name of its `a=rtpmap`.
    pub const fn encoding_name(self) -> &'static str {
        match self {
            Self::Opus => "opus",
            Self::Vp8 => "VP8",
            Self::H264 { .. } => "H264",
            Self::Vp9 { .. } => "VP9",
            Self::Av1 { .. } => "AV1",
        }
    }

    /// Ticks of the RTP timestamp per second.
    pub const fn clock_rate(self) -> u32 {
        match self {
            Self::Opus => 48_000,
            _ => 90_000,
        }
    }

    /// The codec that an `a=rtpmap` and its `a=fmtp` describe, with the defaults of its RFC for absent parameters;
    /// `None` for formats unknown here, for retransmission and for forward error correction.
    pub fn from_format(encoding_name: &str, clock_rate: u32, channels: Option<u32>, fmtp: &str) -> Option<Self> {
        let is = |name: &str| encoding_name.eq_ignore_ascii_case(name);
        let fmtp = Parameters::new(fmtp);
        let number = |name| match fmtp.get(name) {
            Some(_) => fmtp.number(name)?.try_into().ok(),
            None => Some(0),
        };
        let codec = if is("opus") {
            // RFC 7587 §7: always 48000/2, whatever is sent.
            return (clock_rate == 48_000 && channels == Some(2)).then_some(Self::Opus);
        } else if is("VP8") {
            Self::Vp8
        } else if is("H264") {
            // RFC 6184 §8.1: without profile-level-id Baseline at level 1 is meant.
            let id = fmtp.get("profile-level-id").unwrap_or("42000a");
            Self::H264 {
                profile: H264Profile::from_profile_level_id(id)?,
                packetization_mode: number("packetization-mode").filter(|mode| *mode <= 1)?,
            }
        } else if is("VP9") {
            let profile = number("profile-id")?;
            Self::Vp9 { profile }
        } else if is("AV1") {
            let profile = number("profile")?;
            Self::Av1 { profile }
        } else {
            return None;
        };
        (clock_rate == codec.clock_rate()).then_some(codec)
    }

    /// The `a=fmtp` parameters of an answer to an offered format of this codec.
    ///
    /// What must be equal at both ends is repeated. What only tells the capabilities of the offerer's decoder (VP8's
    /// `max-fs`) is not: we decode nothing, so we set no limits. `receives` tells whether we do in that section.
    pub(crate) fn answer_fmtp(self, offered: &str, receives: bool) -> String {
        match self {
            // In-band FEC repairs the last hop, whose loss the publisher cannot see: always wanted. Who offers stereo
            // may send it (RFC 7587 §6.1): the viewers' decoders take both.
            Self::Opus if receives && Parameters::new(offered).get("stereo") == Some("1") => {
                "minptime=10;useinbandfec=1;stereo=1".into()
            }
            Self::Opus => "minptime=10;useinbandfec=1".into(),
            Self::Vp8 => String::new(),
            Self::H264 { .. } | Self::Vp9 { .. } | Self::Av1 { .. } => offered.trim().into(),
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.encoding_name())?;
        match self {
            Self::Opus | Self::Vp8 => Ok(()),
            Self::H264 {
                profile,
                packetization_mode,
            } => write!(f, " {profile:?} mode {packetization_mode}"),
            Self::Vp9 { profile } | Self::Av1 { profile } => write!(f, " profile {profile}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_browsers_profile_level_ids_are_told_apart() {
        let profile = H264Profile::from_profile_level_id;
        assert_eq!(profile("42e01f"), Some(H264Profile::ConstrainedBaseline));
        assert_eq!(profile("42c02a"), Some(H264Profile::ConstrainedBaseline));
        assert_eq!(profile("42001f"), Some(H264Profile::Baseline));
        assert_eq!(profile("4D001F"), Some(H264Profile::Main));
        assert_eq!(profile("640c1f"), Some(H264Profile::ConstrainedHigh));
        assert_eq!(profile("64001f"), Some(H264Profile::High));
        assert_eq!(profile("f4001f"), Some(H264Profile::High444Predictive));
        assert_eq!(profile("42e0"), None);
        assert_eq!(profile("+2e01f"), None);
        assert_eq!(profile("zze01f"), None);
        assert_eq!(profile("99e01f"), None);
    }

    #[test]
    fn formats_match_by_their_parameters() {
        let h264 = |fmtp: &str| Codec::from_format("h264", 90_000, None, fmtp);
        assert_eq!(
            h264("packetization-mode=1;profile-level-id=42e01f"),
            Some(Codec::H264[0])
        );
        assert_eq!(
            h264("Packetization-Mode=1; profile-level-id=42001f"),
            Some(Codec::H264[1])
        );
        assert_ne!(h264("profile-level-id=42e01f"), Some(Codec::H264[0]));
        assert_eq!(
            h264("packetization-mode=01;profile-level-id=42e01f"),
            Some(Codec::H264[0])
        );
        for mode in ["2", "+1", "", "256"] {
            assert_eq!(
                h264(&format!("packetization-mode={mode};profile-level-id=42e01f")),
                None
            );
        }
        assert_eq!(
            Codec::from_format("VP9", 90_000, None, ""),
            Some(Codec::Vp9 { profile: 0 })
        );
        assert_eq!(
            Codec::from_format("VP9", 90_000, None, "profile-id=2"),
            Some(Codec::Vp9 { profile: 2 })
        );
        assert_eq!(
            Codec::from_format("AV1", 90_000, None, "profile=1"),
            Some(Codec::Av1 { profile: 1 })
        );
        assert_eq!(
            Codec::from_format("opus", 48_000, Some(2), "stereo=1"),
            Some(Codec::Opus)
        );
        assert_eq!(Codec::from_format("opus", 48_000, None, ""), None);
        assert_eq!(Codec::from_format("VP8", 48_000, None, ""), None);
        assert_eq!(Codec::from_format("red", 90_000, None, ""), None);
    }

    #[test]
    fn names_for_people_are_known() {
        assert_eq!(Codec::by_name("H264"), Some(&Codec::H264[..]));
        assert_eq!(Codec::by_name("h265"), None);
        for name in ["opus", "vp8", "h264", "vp9", "av1"] {
            assert!(
                Codec::by_name(name)
                    .unwrap()
                    .iter()
                    .all(|c| c.encoding_name().eq_ignore_ascii_case(name))
            );
        }
    }
}
