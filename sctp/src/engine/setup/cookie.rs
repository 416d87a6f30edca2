//! State Cookies (RFC 9260 §5.1.3): all that is needed to establish an association, kept by the peer and not by us.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::time::{Duration, Instant};
use wire::{Full, Reader, Writer};

use super::Peer;

/// What we call ourselves in an association: what our INIT or INIT ACK says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Local {
    /// The tag that the peer writes into its packets; never 0.
    pub(super) tag: u32,
    pub(super) initial_tsn: u32,
}

/// The Tie-Tags (RFC 9260 §5.2.2): random numbers instead of both tags, by which a cookie shows that it was made while the
/// present association lived. Tags themselves would tell them to whoever sends an INIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ties {
    pub(super) local: u32,
    pub(super) peer: u32,
}

impl Ties {
    /// There was no association.
    pub(super) const NONE: Self = Self { local: 0, peer: 0 };
}

/// What a cookie says.
///
/// The ports are not in it: an association has one pair, packets of others never come this far, and the key is the
/// association's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cookie {
    /// When it was made, in microseconds since [`Cookies`] began.
    pub(super) created: u64,
    pub(super) local: Local,
    pub(super) peer: Peer,
    pub(super) ties: Ties,
}

/// Bytes of what it says.
const CONTENT_LEN: usize = 8 + 8 + 17 + 8;
/// Bytes of the MAC: half of what the hash has (RFC 2104 §5), since cookies should be small (RFC 9260 §5.1.3).
const MAC_LEN: usize = 16;

const INTERLEAVING: u8 = 1;
const FORWARD_TSN: u8 = 2;
const RECONFIG: u8 = 4;
const ZERO_CHECKSUM: u8 = 8;

/// Makes and reads cookies. The key lives as long as the association, for which alone it is.
pub(super) struct Cookies {
    key: Hmac<Sha256>,
    epoch: Instant,
}

impl Cookies {
    /// Bytes of a cookie.
    pub(super) const LEN: usize = CONTENT_LEN + MAC_LEN;

    pub(super) fn new(key: &[u8; 32], now: Instant) -> Self {
        Self {
            // HMAC takes keys of any length (RFC 2104 §2), so this never fails.
            key: Hmac::new_from_slice(key).expect("HMAC takes keys of any length"),
            epoch: now,
        }
    }

    /// Microseconds since the beginning.
    pub(super) fn time(&self, now: Instant) -> u64 {
        micros(now.saturating_duration_since(self.epoch))
    }

    pub(super) fn make(&self, cookie: &Cookie) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let mut w = Writer::new(&mut bytes);
        // There is room for all of it.
        let _ = cookie.write(&mut w);
        let mac = self.mac(w.written()).finalize().into_bytes();
        let _ = w.put(mac.get(..MAC_LEN).unwrap_or_default());
        bytes
    }

    /// What one of ours says; nothing if we did not make it.
    pub(super) fn open(&self, bytes: &[u8]) -> Option<Cookie> {
        let mut r = Reader::new(bytes);
        let content = r.take(CONTENT_LEN).ok()?;
        let mac = r.take_array::<MAC_LEN>().ok()?;
        r.finish().ok()?;
        self.mac(content).verify_truncated_left(&mac).ok()?;
        Cookie::read(&mut Reader::new(content)).ok()
    }

    fn mac(&self, content: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.key.clone();
        mac.update(content);
        mac
    }
}

impl Cookie {
    fn write(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        w.u64(self.created)?;
        w.u32(self.local.tag)?;
        w.u32(self.local.initial_tsn)?;
        let peer = &self.peer;
        w.u32(peer.tag)?;
        w.u32(peer.a_rwnd)?;
        w.u32(peer.initial_tsn)?;
        w.u16(peer.outbound_streams)?;
        w.u16(peer.inbound_streams)?;
        let flags = [
            (peer.interleaving, INTERLEAVING),
            (peer.forward_tsn, FORWARD_TSN),
            (peer.reconfig, RECONFIG),
            (peer.zero_checksum, ZERO_CHECKSUM),
        ];
        w.u8(flags
            .iter()
            .fold(0, |sum, &(set, bit)| if set { sum | bit } else { sum }))?;
        w.u32(self.ties.local)?;
        w.u32(self.ties.peer)
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, wire::Error> {
        let created = r.u64()?;
        let local = Local {
            tag: r.u32()?,
            initial_tsn: r.u32()?,
        };
        let (tag, a_rwnd, initial_tsn) = (r.u32()?, r.u32()?, r.u32()?);
        let (outbound_streams, inbound_streams) = (r.u16()?, r.u16()?);
        let flags = r.u8()?;
        let peer = Peer {
            tag,
            a_rwnd,
            initial_tsn,
            outbound_streams,
            inbound_streams,
            interleaving: flags & INTERLEAVING != 0,
            forward_tsn: flags & FORWARD_TSN != 0,
            reconfig: flags & RECONFIG != 0,
            zero_checksum: flags & ZERO_CHECKSUM != 0,
        };
        let ties = Ties {
            local: r.u32()?,
            peer: r.u32()?,
        };
        Ok(Self {
            created,
            local,
            peer,
            ties,
        })
    }
}

/// In microseconds; more than 584542 years are as many.
pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
