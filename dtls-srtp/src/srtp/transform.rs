use super::counter_mode::{CounterMode, Untagged};
use super::cryptex::Clear;
use super::gcm::Gcm;
use super::kdf::Labels;
use crate::{KeyAndSalt, SrtpProfile};

/// The cryptographic transform (RFC 3711 §3.2.2) of one direction, for SRTP or for SRTCP, with its session keys.
///
/// All methods take an SSRC and an index that the caller has checked; they know no state. `None` means: not of that
/// form (when sealing), or not authentic (when opening).
pub(super) enum Transform {
    Gcm(Box<Gcm>),
    CounterMode(Box<CounterMode>),
}

impl Transform {
    pub(super) fn rtp(master: &KeyAndSalt) -> Self {
        Self::new(master, Labels::RTP)
    }

    pub(super) fn rtcp(master: &KeyAndSalt) -> Self {
        Self::new(master, Labels::RTCP)
    }

    fn new(master: &KeyAndSalt, labels: Labels) -> Self {
        match master.profile() {
            SrtpProfile::AeadAes128Gcm | SrtpProfile::AeadAes256Gcm => Self::Gcm(Box::new(Gcm::new(master, labels))),
            SrtpProfile::Aes128CmHmacSha1_80 | SrtpProfile::Aes128CmHmacSha1_32 => {
                Self::CounterMode(Box::new(CounterMode::new(master, labels)))
            }
        }
    }

    /// Seals header and payload, after which `packet` has just the room for the tag.
    pub(super) fn seal_rtp(&self, ssrc: u32, index: u64, clear: Clear, packet: &mut [u8]) -> Option<()> {
        match self {
            Self::Gcm(gcm) => gcm.seal_rtp(ssrc, index, clear, packet),
            Self::CounterMode(mode) => mode.seal_rtp(ssrc, index, clear, packet),
        }
    }

    /// Seals a packet whose parts lie elsewhere; `packet` has just the room for header, payload and tag.
    pub(super) fn seal_rtp_into(
        &self,
        ssrc: u32,
        index: u64,
        header: &[u8],
        payload: &[u8],
        packet: &mut [u8],
    ) -> Option<()> {
        match self {
            Self::Gcm(gcm) => {
                // ring ciphers in place only; the copy stays in the first-level cache and costs some 6 % of the
                // sealing.
                lay(header, payload, packet)?;
                gcm.seal_rtp(ssrc, index, Clear::Header(header.len()), packet)
            }
            Self::CounterMode(mode) => mode.seal_rtp_into(ssrc, index, header, payload, packet),
        }
    }

    /// [`seal_rtp`](Self::seal_rtp); where tags of several packets are made side by side all of it but the tag, which is
    /// left in `lane`.
    pub(super) fn begin_rtp<'a>(
        &'a self,
        ssrc: u32,
        index: u64,
        header_len: usize,
        packet: &'a mut [u8],
        lane: &mut Option<Untagged<'a>>,
    ) -> Option<()> {
        match self {
            Self::Gcm(gcm) => gcm.seal_rtp(ssrc, index, Clear::Header(header_len), packet),
            Self::CounterMode(mode) => {
                *lane = Some(mode.encipher_rtp(ssrc, index, Clear::Header(header_len), packet)?);
                Some(())
            }
        }
    }

    /// [`seal_rtp_into`](Self::seal_rtp_into) likewise.
    pub(super) fn begin_rtp_into<'a>(
        &'a self,
        ssrc: u32,
        index: u64,
        header: &[u8],
        payload: &[u8],
        packet: &'a mut [u8],
        lane: &mut Option<Untagged<'a>>,
    ) -> Option<()> {
        match self {
            Self::Gcm(_) => self.seal_rtp_into(ssrc, index, header, payload, packet),
            Self::CounterMode(mode) => {
                *lane = Some(mode.encipher_rtp_into(ssrc, index, header, payload, packet)?);
                Some(())
            }
        }
    }

    /// Opens an SRTP packet in place; the plaintext ends where the tag begins.
    pub(super) fn open_rtp(&self, ssrc: u32, index: u64, clear: Clear, packet: &mut [u8]) -> Option<()> {
        match self {
            Self::Gcm(gcm) => gcm.open_rtp(ssrc, index, clear, packet),
            Self::CounterMode(mode) => mode.open_rtp(ssrc, index, clear, packet),
        }
    }

    /// Seals a compound RTCP packet, after which `packet` has just the room for tag and index.
    pub(super) fn seal_rtcp(&self, ssrc: u32, index: u32, packet: &mut [u8]) -> Option<()> {
        match self {
            Self::Gcm(gcm) => gcm.seal_rtcp(ssrc, index, packet),
            Self::CounterMode(mode) => mode.seal_rtcp(ssrc, index, packet),
        }
    }

    /// The index that an SRTCP packet claims to have.
    pub(super) fn rtcp_index(&self, packet: &[u8]) -> Option<u32> {
        match self {
            Self::Gcm(_) => Gcm::rtcp_index(packet),
            Self::CounterMode(_) => CounterMode::rtcp_index(packet),
        }
    }

    /// Opens an SRTCP packet in place, under the index that it carries; the plaintext ends where the overhead begins.
    pub(super) fn open_rtcp(&self, ssrc: u32, packet: &mut [u8]) -> Option<()> {
        match self {
            Self::Gcm(gcm) => gcm.open_rtcp(ssrc, packet),
            Self::CounterMode(mode) => mode.open_rtcp(ssrc, packet),
        }
    }
}

/// Copies header and payload to the start of a packet.
pub(super) fn lay(header: &[u8], payload: &[u8], packet: &mut [u8]) -> Option<()> {
    let (head, rest) = packet.split_at_mut_checked(header.len())?;
    head.copy_from_slice(header);
    rest.get_mut(..payload.len())?.copy_from_slice(payload);
    Some(())
}
