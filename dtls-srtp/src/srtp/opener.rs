#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use core::fmt;

use super::Counters;
use super::cryptex::Clear;
use super::header::{RTCP_HEADER, RtpHeader, rtcp_ssrc};
use super::identifier::Identifier;
use super::source::Sources;
use super::transform::Transform;
use super::window::{Verdict, Window};
use crate::{KeyAndSalt, SrtpProfile};

/// Authenticates and decrypts, in place, what the peer seals under one master key.
///
/// It keeps for each SSRC the rollover counter and the replay window (1984 SRTP packets, 192 SRTCP packets). Both are
/// looked at before the cipher runs and changed only after the packet proved authentic, so that forged packets leave no
/// trace but a counter.
pub struct Opener {
    profile: SrtpProfile,
    rtp: Transform,
    rtcp: Transform,
    identifier: Identifier,
    cryptex: bool,
    sources: Sources<Source>,
    rtcp_sources: Sources<Window<4>>,
    counters: Counters,
}

/// An SRTP packet that was opened.
#[derive(Debug, PartialEq, Eq)]
pub struct Opened<'a> {
    /// The RTP packet: header and plaintext, without the tag.
    pub packet: &'a mut [u8],
    /// Where the payload begins: bytes of fixed header, CSRCs and extension.
    pub header_len: usize,
    /// The packet's extended sequence number, ROC * 2^16 + SEQ.
    pub index: u64,
}

/// The receiver's state of one SSRC.
struct Source {
    received: Window<32>,
    /// The rollover counter that the next packet has, when somebody told us.
    rollover: Option<u32>,
}

impl Opener {
    /// How many SSRCs are remembered unless told otherwise, for SRTP and SRTCP each.
    pub const DEFAULT_MAX_SOURCES: usize = 256;

    /// An opener for the key of the peer's direction. The session keys are derived here and never again.
    pub fn new(master: &KeyAndSalt) -> Self {
        Self {
            profile: master.profile(),
            rtp: Transform::rtp(master),
            rtcp: Transform::rtcp(master),
            identifier: Identifier::new(master),
            cryptex: false,
            sources: Sources::new(Self::DEFAULT_MAX_SOURCES),
            rtcp_sources: Sources::new(Self::DEFAULT_MAX_SOURCES),
            counters: Counters::default(),
        }
    }

    /// The profile.
    pub const fn profile(&self) -> SrtpProfile {
        self.profile
    }

    /// What was refused.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The highest extended sequence number that was received of `ssrc`.
    pub fn highest_index(&self, ssrc: u32) -> Option<u64> {
        self.sources.get(self.sources.slot(ssrc)?)?.received.highest()
    }

    /// Sets how many SSRCs are remembered, for SRTP and SRTCP each; about 300 and 60 bytes.
    ///
    /// Only packets that are authentic take a place, and none is given back, since with it the replay window would be
    /// lost. Packets of further SSRCs are refused.
    pub const fn set_max_sources(&mut self, max: usize) {
        self.sources.set_limit(max);
        self.rtcp_sources.set_limit(max);
    }

    /// Opens packets whose CSRCs and header extensions are encrypted (Cryptex, RFC 9335) from now on, or no longer; those of
    /// other packets are in clear, as the sender chooses packet by packet. An opened packet has the extension that it had
    /// before it was sealed.
    ///
    /// To be switched on before the peer is told so (`a=cryptex`). Without it such a packet has an extension of an unknown
    /// kind, and the caller finds nothing in it.
    pub const fn set_cryptex(&mut self, on: bool) {
        self.cryptex = on;
    }

    /// Tells the rollover counter that the next packet of `ssrc` has, for a receiver that joins late (RFC 3711 §3.3.1).
    /// Without it a source begins at 0.
    ///
    /// # Errors
    /// [`OpenError::SourcesFull`] when the SSRC is new and there is no place for it.
    pub fn set_roc(&mut self, ssrc: u32, roc: u32) -> Result<(), OpenError> {
        match self.sources.entry(ssrc, Source::new) {
            Ok(source) => {
                source.rollover = Some(roc);
                Ok(())
            }
            Err(_) => Err(OpenError::SourcesFull),
        }
    }

    /// Opens an SRTP packet in place.
    ///
    /// # Errors
    /// [`OpenError`], and the counter of that name is raised; then the content of `data` is undefined.
    #[inline]
    pub fn open_rtp<'a>(&mut self, data: &'a mut [u8]) -> Result<Opened<'a>, OpenError> {
        let result = self.try_open_rtp(data);
        if let Err(error) = &result {
            let counter = match error {
                OpenError::Malformed(_) => &mut self.counters.malformed_srtp,
                OpenError::UnknownMki => &mut self.counters.srtp_unknown_mki,
                OpenError::AuthenticationFailed => &mut self.counters.srtp_auth_failed,
                OpenError::Replayed => &mut self.counters.replayed_srtp,
                OpenError::Stale => &mut self.counters.stale_srtp,
                OpenError::SourcesFull => &mut self.counters.srtp_sources_full,
            };
            *counter = counter.saturating_add(1);
        }
        result
    }

    /// Opens an SRTCP packet in place and lends the compound RTCP packet. Accepts packets that are only authenticated
    /// (E bit 0) as well.
    ///
    /// # Errors
    /// [`OpenError`], and the counter of that name is raised; then the content of `data` is undefined.
    pub fn open_rtcp<'a>(&mut self, data: &'a mut [u8]) -> Result<&'a mut [u8], OpenError> {
        let result = self.try_open_rtcp(data);
        if let Err(error) = &result {
            let counter = match error {
                OpenError::Malformed(_) => &mut self.counters.malformed_srtcp,
                OpenError::UnknownMki => &mut self.counters.srtcp_unknown_mki,
                OpenError::AuthenticationFailed => &mut self.counters.srtcp_auth_failed,
                OpenError::Replayed => &mut self.counters.replayed_srtcp,
                OpenError::Stale => &mut self.counters.stale_srtcp,
                OpenError::SourcesFull => &mut self.counters.srtcp_sources_full,
            };
            *counter = counter.saturating_add(1);
        }
        result
    }

    fn try_open_rtp<'a>(&mut self, data: &'a mut [u8]) -> Result<Opened<'a>, OpenError> {
        let overhead = self.profile.rtp_overhead();
        let header = RtpHeader::parse(data).map_err(OpenError::Malformed)?;
        let len = header.len;
        self.has_room(data, len, overhead)?;
        let data = self.identifier.take_rtp(data).ok_or(OpenError::UnknownMki)?;
        let plain_len = data.len().saturating_sub(overhead);

        let slot = self.sources.slot(header.ssrc);
        let index = match slot.and_then(|slot| self.sources.get(slot)) {
            Some(source) => {
                let index = source.estimate(header.sequence);
                match source.received.check(index) {
                    Verdict::Fresh => index,
                    Verdict::Used => return Err(OpenError::Replayed),
                    Verdict::Stale => return Err(OpenError::Stale),
                }
            }
            // Before the cipher, so that noise costs nothing.
            None if self.sources.is_full() => return Err(OpenError::SourcesFull),
            None => u64::from(header.sequence),
        };
        let clear = if self.cryptex {
            Clear::incoming(data, len)
        } else {
            Clear::Header(len)
        };
        self.rtp
            .open_rtp(header.ssrc, index, clear, data)
            .ok_or(OpenError::AuthenticationFailed)?;
        clear.unmark(data);

        let source = match slot {
            Some(slot) => self.sources.get_mut(slot).ok_or(OpenError::SourcesFull)?,
            None => self
                .sources
                .entry(header.ssrc, Source::new)
                .map_err(|_| OpenError::SourcesFull)?,
        };
        source.received.commit(index);
        source.rollover = None;
        let packet = data.get_mut(..plain_len).ok_or_else(|| too_short(len, overhead))?;
        Ok(Opened {
            packet,
            header_len: len,
            index,
        })
    }

    fn try_open_rtcp<'a>(&mut self, data: &'a mut [u8]) -> Result<&'a mut [u8], OpenError> {
        let overhead = self.profile.rtcp_overhead();
        let ssrc = rtcp_ssrc(data).map_err(OpenError::Malformed)?;
        self.has_room(data, RTCP_HEADER, overhead)?;
        let data = self.identifier.take_rtcp(data).ok_or(OpenError::UnknownMki)?;
        let plain_len = data.len().saturating_sub(overhead);
        let index = self
            .rtcp
            .rtcp_index(data)
            .ok_or_else(|| too_short(RTCP_HEADER, overhead))?;
        let index = u64::from(index);

        match self
            .rtcp_sources
            .slot(ssrc)
            .and_then(|slot| self.rtcp_sources.get(slot))
        {
            Some(received) => match received.check(index) {
                Verdict::Fresh => {}
                Verdict::Used => return Err(OpenError::Replayed),
                Verdict::Stale => return Err(OpenError::Stale),
            },
            None if self.rtcp_sources.is_full() => return Err(OpenError::SourcesFull),
            None => {}
        }
        self.rtcp.open_rtcp(ssrc, data).ok_or(OpenError::AuthenticationFailed)?;

        let received = self.rtcp_sources.entry(ssrc, Window::new);
        received.map_err(|_| OpenError::SourcesFull)?.commit(index);
        data.get_mut(..plain_len)
            .ok_or_else(|| too_short(RTCP_HEADER, overhead))
    }
}

impl Opener {
    /// Whether there is room for the header, what the profile adds, and the MKI.
    fn has_room(&self, data: &[u8], header: usize, overhead: usize) -> Result<(), OpenError> {
        let overhead = overhead.saturating_add(self.identifier.len());
        if data.len() < header.saturating_add(overhead) {
            return Err(too_short(header, overhead));
        }
        Ok(())
    }
}

impl Source {
    const fn new() -> Self {
        Self {
            received: Window::new(),
            rollover: None,
        }
    }

    fn estimate(&self, sequence: u16) -> u64 {
        match (self.rollover, self.received.highest()) {
            (Some(rollover), _) => u64::from(rollover) << 16 | u64::from(sequence),
            (None, Some(highest)) => estimate_from(highest, sequence),
            (None, None) => u64::from(sequence),
        }
    }
}

/// RFC 3711 §3.3.1 and Appendix A, where `highest` is ROC * 2^16 + s_l.
pub(super) fn estimate_from(highest: u64, sequence: u16) -> u64 {
    let sequence = u64::from(sequence);
    let (roc, s_l) = (highest >> 16, highest & 0xffff);
    let roc = if s_l < 32_768 && sequence.saturating_sub(s_l) > 32_768 {
        // There is nothing before ROC 0, where the RFC's modulus would lead to 2^32 - 1.
        roc.saturating_sub(1)
    } else if s_l.saturating_sub(32_768) > sequence {
        // After the last index of all comes one that the window refuses.
        roc.saturating_add(1) & 0xffff_ffff
    } else {
        roc
    };
    roc << 16 | sequence
}

const fn too_short(header: usize, overhead: usize) -> OpenError {
    OpenError::Malformed(wire::Error::Short {
        offset: header,
        needed: overhead,
    })
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener")
            .field("profile", &self.profile)
            .field("sources", &self.sources.len())
            .field("rtcp_sources", &self.rtcp_sources.len())
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

/// Why a packet was not opened. The peer, or anybody who can reach us, may cause each of these at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenError {
    /// There is no whole header, or no room for the tag and the MKI.
    Malformed(wire::Error),
    /// The packet does not have the MKI that was agreed to.
    UnknownMki,
    /// The tag is wrong: forged, damaged, sealed under another key, or the rollover counter is not the sender's.
    AuthenticationFailed,
    /// The packet was received before.
    Replayed,
    /// The packet is older than the replay window.
    Stale,
    /// The SSRC is new and as many as [`Opener::set_max_sources`] allows are remembered.
    SourcesFull,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => write!(f, "not an SRTP or SRTCP packet: {error}"),
            Self::UnknownMki => f.write_str("the packet was sealed under a master key that we do not have"),
            Self::AuthenticationFailed => f.write_str("the authentication tag is wrong"),
            Self::Replayed => f.write_str("the packet was received before"),
            Self::Stale => f.write_str("the packet is older than the replay window"),
            Self::SourcesFull => f.write_str("too many SSRCs; raise the limit of sources if the peer needs them"),
        }
    }
}

impl core::error::Error for OpenError {}
