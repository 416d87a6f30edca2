use std::time::Instant;

use rtp::Ssrc;

use crate::{Codec, ExtensionIds, Kind};

/// A stream that the peer sends to us: one section, or one simulcast layer of it. Its retransmissions are part of it.
///
/// Numbers are given in the order of negotiation and never a second time by the same [`Peer`](crate::Peer).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u32);

/// A stream that we send to the peer: a section's fixed SSRC with its partner for retransmissions.
///
/// Numbers are given in the order of negotiation and never a second time by the same [`Peer`](crate::Peer).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SenderId(pub u32);

/// What is known of a received packet beside its bytes.
#[derive(Debug, Clone, Copy)]
pub struct StreamInfo<'a> {
    /// The stream it belongs to.
    pub stream: StreamId,
    /// Index of its section in the session description.
    pub section: usize,
    /// The section's identification tag.
    pub mid: &'a str,
    /// What the section carries.
    pub kind: Kind,
    /// The payload's format; for a retransmission that of the packet inside.
    pub codec: Codec,
    /// The simulcast layer's identifier, `None` without simulcast.
    pub rid: Option<&'a str>,
    /// The place of the layer in the peer's list, 0 without simulcast. Peers list the smallest first, but need not.
    pub layer: u8,
    /// The packet came as a retransmission (RFC 4588). It is handed over as the original was, with the extensions that
    /// came with the retransmission.
    pub repair: bool,
    /// Ticks of the timestamp per second.
    pub clock_rate: u32,
    /// Sequence number extended to 48 bits, as SRTP authenticated it; with `repair` the original one.
    pub sequence: u64,
    /// The stream's present SSRC, never that of its retransmissions. A new one means that the sender began anew:
    /// sequence numbers and timestamps have no relation to those before.
    pub ssrc: Ssrc,
    /// When its datagram arrived: before the call that lends it, when it came before the keys.
    pub arrival: Instant,
    /// The identifiers of header extensions in this section.
    pub extensions: &'a ExtensionIds,
}
