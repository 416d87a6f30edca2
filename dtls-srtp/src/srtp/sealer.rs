#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

use core::fmt;

use super::Counters;
use super::batch::Plain;
use super::counter_mode::Untagged;
use super::cryptex::Clear;
use super::header::{MAX_LEN, RTCP_HEADER, RtpHeader, rtcp_ssrc};
use super::identifier::Identifier;
use super::source::Sources;
use super::transform::{Transform, lay};
use super::window::{Verdict, Window};
use crate::{KeyAndSalt, SrtpProfile};

/// Protects what we send under one master key: any number of streams, and SRTCP.
///
/// A stream is added once and then named by its handle. The caller numbers the packets of a stream with an extended
/// sequence number of 48 bits, ROC * 2^16 + SEQ (RFC 3711 §3.3.1), and may seal them out of order. **Every index is
/// sealed at most once**, since with GCM a second packet under the same index gives the authentication key away (RFC
/// 7714 §8.4): an index that was sealed, or that is so far below the highest that this is no longer known (at least
/// 1984 indices), is refused. A packet that is sent again is sent as it was sealed, or under a new index.
pub struct Sealer {
    profile: SrtpProfile,
    rtp: Transform,
    rtcp: Transform,
    identifier: Identifier,
    cryptex: bool,
    streams: Sources<Stream>,
    /// Index of the next SRTCP packet. One count for all SSRCs: an SSRC's indices grow, if not by one.
    rtcp_index: u32,
    counters: Counters,
}

/// A stream of a [`Sealer`]: a dense number, not to be used with another sealer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamHandle(usize);

struct Stream {
    ssrc: u32,
    sealed: Window<32>,
}

/// The first index that a stream does not have (RFC 3711 §9.2).
const INDEX_END: u64 = 1 << 48;

/// The first SRTCP index that there is not (RFC 3711 §9.2).
const RTCP_INDEX_END: u32 = 1 << 31;

impl Sealer {
    /// How many streams a sealer takes unless told otherwise.
    pub const DEFAULT_MAX_STREAMS: usize = 1024;

    /// A sealer for the key of our own direction, which it takes: another one of the same key would know nothing of the
    /// indices that this one has sealed. The session keys are derived here and never again.
    pub fn new(master: KeyAndSalt) -> Self {
        Self {
            profile: master.profile(),
            rtp: Transform::rtp(&master),
            rtcp: Transform::rtcp(&master),
            identifier: Identifier::new(&master),
            cryptex: false,
            streams: Sources::new(Self::DEFAULT_MAX_STREAMS),
            rtcp_index: 0,
            counters: Counters::default(),
        }
    }

    /// The profile.
    pub const fn profile(&self) -> SrtpProfile {
        self.profile
    }

    /// How much room sealing needs behind an RTP packet, in bytes: for the profile's tag, and the MKI if there is one.
    pub fn rtp_overhead(&self) -> usize {
        self.profile.rtp_overhead().saturating_add(self.identifier.len())
    }

    /// Likewise behind a compound RTCP packet.
    pub fn rtcp_overhead(&self) -> usize {
        self.profile.rtcp_overhead().saturating_add(self.identifier.len())
    }

    /// What was refused.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The SSRC of a stream.
    pub fn ssrc(&self, stream: StreamHandle) -> Option<u32> {
        self.streams.get(stream.0).map(|stream| stream.ssrc)
    }

    /// Sets how many streams can be added; about 300 bytes each.
    pub const fn set_max_streams(&mut self, max: usize) {
        self.streams.set_limit(max);
    }

    /// Encrypts CSRCs and header extensions from now on (Cryptex, RFC 9335), or no longer. To be switched on only when the
    /// peer has said that it opens such packets (`a=cryptex`).
    ///
    /// A packet that has neither is sealed as ever. An extension has to be one of RFC 8285 without appbits, and CSRCs need
    /// one, if an empty one; what cannot be encrypted is refused with [`SealError::HeaderInClear`].
    pub const fn set_cryptex(&mut self, on: bool) {
        self.cryptex = on;
    }

    /// Adds a stream. There is no way to take one away, since its SSRC must never be used again under this key.
    ///
    /// # Errors
    /// [`StreamError`] when the SSRC is taken or the limit reached.
    pub fn add_stream(&mut self, ssrc: u32) -> Result<StreamHandle, StreamError> {
        let handle = StreamHandle(self.streams.len());
        if self.streams.slot(ssrc).is_some() {
            return Err(StreamError::SsrcTaken);
        }
        let stream = || Stream {
            ssrc,
            sealed: Window::new(),
        };
        self.streams.entry(ssrc, stream).map_err(|_| StreamError::TooMany)?;
        Ok(handle)
    }

    /// Seals in place the packet whose header (`header_len` bytes, with CSRCs and extension) and payload already lie at
    /// the start of `out`. Returns the length of the SRTP packet: [`rtp_overhead`](Self::rtp_overhead) more.
    ///
    /// `index` is the packet's extended sequence number; its low 16 bits stand in the header.
    ///
    /// # Errors
    /// [`SealError`]; then the packet is unchanged and the index not used up.
    #[inline]
    pub fn seal_rtp(
        &mut self,
        stream: StreamHandle,
        index: u64,
        header_len: usize,
        out: &mut [u8],
        payload_len: usize,
    ) -> Result<usize, SealError> {
        let (room, packet) = self.room(header_len, payload_len, out)?;
        let (header, _) = packet.split_at_checked(header_len).ok_or(SealError::NoRoom)?;
        let clear = self.clear(header)?;
        let ssrc = self.spend(stream, index, header)?;
        self.seal_laid(ssrc, index, clear, packet).ok_or(SealError::NoRoom)?;
        Ok(room)
    }

    /// Seals a packet into the start of `out`, whose payload lies elsewhere, such as in a ring that many subscribers
    /// are served from. Where the cipher allows it, its pass over the payload is also the copy.
    ///
    /// # Errors
    /// As [`seal_rtp`](Self::seal_rtp).
    #[inline]
    pub fn seal_rtp_into(
        &mut self,
        stream: StreamHandle,
        index: u64,
        header: &[u8],
        payload: &[u8],
        out: &mut [u8],
    ) -> Result<usize, SealError> {
        let (room, packet) = self.room(header.len(), payload.len(), out)?;
        let clear = self.clear(header)?;
        let ssrc = self.spend(stream, index, header)?;
        if let Clear::Cryptex { .. } = clear {
            lay(header, payload, packet).ok_or(SealError::NoRoom)?;
            self.seal_laid(ssrc, index, clear, packet).ok_or(SealError::NoRoom)?;
            return Ok(room);
        }
        let sealed = self.identifier.sealed(packet).ok_or(SealError::NoRoom)?;
        self.rtp
            .seal_rtp_into(ssrc, index, header, payload, sealed)
            .ok_or(SealError::NoRoom)?;
        self.identifier.put_rtp(packet).ok_or(SealError::NoRoom)?;
        Ok(room)
    }

    /// [`seal_rtp`](Self::seal_rtp) or [`seal_rtp_into`](Self::seal_rtp_into); with AES-CM and HMAC-SHA1 all but the tag,
    /// which is left in `lane`.
    pub(super) fn begin<'a>(
        &'a mut self,
        stream: StreamHandle,
        index: u64,
        plain: &Plain<'_>,
        out: &'a mut [u8],
        lane: &mut Option<Untagged<'a>>,
    ) -> Result<usize, SealError> {
        if self.identifier.is_there() || self.cryptex {
            // The former comes before the tag, that would be made later; the latter is not worth lanes of its own.
            return match *plain {
                Plain::InPlace {
                    header_len,
                    payload_len,
                } => self.seal_rtp(stream, index, header_len, out, payload_len),
                Plain::Apart { header, payload } => self.seal_rtp_into(stream, index, header, payload, out),
            };
        }
        let (room, begun) = match *plain {
            Plain::InPlace {
                header_len,
                payload_len,
            } => {
                let (room, packet) = self.room(header_len, payload_len, out)?;
                let header = packet.get(..header_len).ok_or(SealError::NoRoom)?;
                let ssrc = self.spend(stream, index, header)?;
                (room, self.rtp.begin_rtp(ssrc, index, header_len, packet, lane))
            }
            Plain::Apart { header, payload } => {
                let (room, packet) = self.room(header.len(), payload.len(), out)?;
                let ssrc = self.spend(stream, index, header)?;
                (
                    room,
                    self.rtp.begin_rtp_into(ssrc, index, header, payload, packet, lane),
                )
            }
        };
        begun.ok_or(SealError::NoRoom)?;
        Ok(room)
    }

    /// Seals in place the compound RTCP packet of `len` bytes at the start of `out`, encrypted. Returns the length of
    /// the SRTCP packet: [`rtcp_overhead`](Self::rtcp_overhead) more. The index is the sealer's own.
    ///
    /// # Errors
    /// [`SealError`]; then the packet is unchanged.
    pub fn seal_rtcp(&mut self, out: &mut [u8], len: usize) -> Result<usize, SealError> {
        let room = len.saturating_add(self.rtcp_overhead());
        if room > MAX_LEN {
            return Err(SealError::TooLong);
        }
        let packet = out.get_mut(..room).ok_or(SealError::NoRoom)?;
        if len < RTCP_HEADER {
            return Err(SealError::HeaderMismatch);
        }
        let ssrc = rtcp_ssrc(packet).map_err(|_| SealError::HeaderMismatch)?;
        let index = self.rtcp_index;
        if index >= RTCP_INDEX_END {
            return Err(SealError::KeyExhausted);
        }
        self.rtcp_index = index.saturating_add(1);
        let sealed = self.identifier.sealed(packet).ok_or(SealError::NoRoom)?;
        self.rtcp.seal_rtcp(ssrc, index, sealed).ok_or(SealError::NoRoom)?;
        self.identifier.put_rtcp(packet).ok_or(SealError::NoRoom)?;
        Ok(room)
    }

    /// The part of `out` that the sealed packet takes, and its length.
    fn room<'a>(&self, header: usize, payload: usize, out: &'a mut [u8]) -> Result<(usize, &'a mut [u8]), SealError> {
        let room = header.saturating_add(payload).saturating_add(self.rtp_overhead());
        if room > MAX_LEN {
            return Err(SealError::TooLong);
        }
        Ok((room, out.get_mut(..room).ok_or(SealError::NoRoom)?))
    }

    /// What stays in clear of a packet with this header.
    fn clear(&self, header: &[u8]) -> Result<Clear, SealError> {
        if self.cryptex {
            Clear::outgoing(header).ok_or(SealError::HeaderInClear)
        } else {
            Ok(Clear::Header(header.len()))
        }
    }

    /// Seals a packet of which header and payload lie at their place.
    #[inline]
    fn seal_laid(&self, ssrc: u32, index: u64, clear: Clear, packet: &mut [u8]) -> Option<()> {
        clear.mark(packet);
        let sealed = self.identifier.sealed(packet)?;
        self.rtp.seal_rtp(ssrc, index, clear, sealed)?;
        self.identifier.put_rtp(packet)
    }

    /// Checks that `index` may be used for a packet with this header and uses it up. What follows cannot fail, and if
    /// it did, the index would be lost and not used twice.
    fn spend(&mut self, handle: StreamHandle, index: u64, header: &[u8]) -> Result<u32, SealError> {
        let stream = self.streams.get_mut(handle.0).ok_or(SealError::UnknownStream)?;
        if index >= INDEX_END {
            return Err(SealError::KeyExhausted);
        }
        let [_, _, _, _, _, _, high, low] = index.to_be_bytes();
        match header {
            [_, _, a, b, _, _, _, _, ssrc @ ..]
                if [*a, *b] == [high, low] && ssrc.first_chunk() == Some(&stream.ssrc.to_be_bytes()) => {}
            _ => return Err(SealError::HeaderMismatch),
        }
        debug_assert!(
            RtpHeader::parse(header).is_ok_and(|parsed| parsed.len == header.len()),
            "the receiver computes another header length than {}",
            header.len()
        );
        if stream.sealed.check(index) != Verdict::Fresh {
            self.counters.srtp_index_reuse = self.counters.srtp_index_reuse.saturating_add(1);
            return Err(SealError::IndexReused);
        }
        stream.sealed.commit(index);
        Ok(stream.ssrc)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer")
            .field("profile", &self.profile)
            .field("streams", &self.streams.len())
            .field("rtcp_index", &self.rtcp_index)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

/// Why a stream was not added to a [`Sealer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamError {
    /// A stream with this SSRC was added before.
    SsrcTaken,
    /// There are as many streams as [`Sealer::set_max_streams`] allows.
    TooMany,
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SsrcTaken => "a stream with this SSRC exists; choose an SSRC that this key has never seen",
            Self::TooMany => "the sealer holds as many streams as it is allowed to; raise the limit or reuse a stream",
        })
    }
}

impl core::error::Error for StreamError {}

/// Why a packet was not sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealError {
    /// The handle is not of this sealer.
    UnknownStream,
    /// The index was sealed before, or lies too far below the highest to know.
    IndexReused,
    /// The index has more than 48 bits, or all 2^31 SRTCP indices are used up (RFC 3711 §9.2).
    KeyExhausted,
    /// The header is shorter than 12 bytes, or its SSRC is not the stream's, or its sequence number not the low 16 bits
    /// of the index; with RTCP: not version 2, or shorter than 8 bytes.
    HeaderMismatch,
    /// Cryptex cannot encrypt the header: it has CSRCs without an extension, or one that is not of RFC 8285.
    HeaderInClear,
    /// The buffer has no room for the packet and its overhead.
    NoRoom,
    /// The packet would be longer than 65535 bytes.
    TooLong,
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownStream => "the stream is not of this sealer; add it first",
            Self::IndexReused => {
                "the packet index was sealed before; send the packet as it was sealed or under a new index"
            }
            Self::KeyExhausted => "the key has no packet index left; negotiate a new one",
            Self::HeaderMismatch => {
                "the header does not fit the stream and the index; write the stream's SSRC and the low 16 bits of the index"
            }
            Self::HeaderInClear => {
                "Cryptex cannot encrypt this header; give it an extension of RFC 8285, if an empty one"
            }
            Self::NoRoom => "the buffer is too short; leave room for the profile's overhead behind the packet",
            Self::TooLong => "the packet is too long; no datagram holds more than 65535 bytes",
        })
    }
}

impl core::error::Error for SealError {}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    /// RFC 3711 §9.2.
    #[test]
    fn the_last_srtcp_index_is_followed_by_none() {
        for profile in SrtpProfile::ALL {
            let master =
                KeyAndSalt::new(profile, &[1; 32][..profile.key_len()], &[2; 14][..profile.salt_len()]).unwrap();
            let mut opener = crate::srtp::Opener::new(&master);
            let mut sealer = Sealer::new(master);
            sealer.rtcp_index = RTCP_INDEX_END - 1;
            let mut out = [0; 40];
            out[0] = 0x80;
            let len = sealer.seal_rtcp(&mut out, 8).unwrap();
            opener.open_rtcp(&mut out[..len]).unwrap();
            let before = out;
            assert_eq!(sealer.seal_rtcp(&mut out, 8), Err(SealError::KeyExhausted));
            assert_eq!(out, before);
        }
    }

    #[test]
    fn a_handle_of_another_sealer_is_refused() {
        let master = KeyAndSalt::new(SrtpProfile::AeadAes128Gcm, &[1; 16], &[2; 12]).unwrap();
        let mut sealer = Sealer::new(master);
        sealer.add_stream(0).unwrap();
        let mut out = [0; 40];
        out[0] = 0x80;
        assert_eq!(
            sealer.seal_rtp(StreamHandle(1), 0, 12, &mut out, 0),
            Err(SealError::UnknownStream)
        );
        assert_eq!(sealer.seal_rtp(StreamHandle(0), 0, 12, &mut out, 0), Ok(28));
    }

    #[test]
    fn debug_does_not_tell_the_secret() {
        let master = KeyAndSalt::new(SrtpProfile::AeadAes128Gcm, &[0x77; 16], &[0x77; 12]).unwrap();
        let opener = crate::srtp::Opener::new(&master);
        let text = format!("{:?} {opener:?}", Sealer::new(master));
        assert!(!text.contains("119") && !text.contains("77"), "{text}");
    }
}
