//! Connection IDs (RFC 9146, RFC 9147 §9): what names a connection when addresses do not.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]

mod agreed;
mod commands;
mod negotiation;

use std::borrow::Borrow;
use std::fmt;

use rand::Rng;
use rand::rngs::StdRng;

pub(crate) use self::agreed::AgreedIds;
pub(crate) use self::negotiation::write_connection_id;
use crate::record::RecordHeader;
use crate::registry::ContentType;
use crate::v13::UnifiedHeader;

/// A connection ID (RFC 9146 §3): up to 255 bytes in the header of a protected record, chosen by the end that receives the
/// record. It goes in the clear and is no secret.
///
/// It can be looked up in maps by its bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ConnectionId(Box<[u8]>);

impl ConnectionId {
    /// The longest that there can be, in bytes.
    pub const MAX_LEN: usize = 255;

    /// One of these bytes; `None` when there are more than [`MAX_LEN`](Self::MAX_LEN).
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (bytes.len() <= Self::MAX_LEN).then(|| Self(bytes.into()))
    }

    /// The bytes, as they stand in a record.
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// How many bytes it adds to each record.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it stands for none: records then have the form that they have without connection IDs.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Borrow<[u8]> for ConnectionId {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConnectionId(")?;
        for byte in self.as_bytes() {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}

/// Which connection IDs we want the peer's records to carry ([`Config::connection_ids`](crate::Config::connection_ids)).
///
/// All ids of a configuration have the same length, since records do not tell it: [`peek_connection_id`] finds an id with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionIds {
    prefix: ConnectionId,
    random_bytes: usize,
}

impl ConnectionIds {
    /// The longest id of ours, in bytes; it stands in every record of the peer's. The peer's may be longer.
    pub const MAX_LEN: usize = 20;

    /// None in what the peer sends, but what it wishes in what we send: for clients whose addresses change (RFC 9147
    /// §5.1 has all clients offer at least this).
    pub fn none() -> Self {
        Self {
            prefix: ConnectionId::default(),
            random_bytes: 0,
        }
    }

    /// This one, in each connection of the configuration: each connection then wants a configuration of its own. There are
    /// no others that could take its place. `None` when it has more than [`MAX_LEN`](Self::MAX_LEN) bytes.
    pub fn fixed(id: &[u8]) -> Option<Self> {
        Self::random(id, 0)
    }

    /// So many random bytes behind a prefix, which can name a worker or a machine. The random bytes grow from the
    /// connection's seed, and differ among the ids of a connection; with eight of them it is safe to say that they also
    /// differ among connections. `None` when the whole has more than [`MAX_LEN`](Self::MAX_LEN) bytes.
    pub fn random(prefix: &[u8], random_bytes: usize) -> Option<Self> {
        let len = prefix.len().checked_add(random_bytes)?;
        (len <= Self::MAX_LEN).then_some(Self {
            prefix: ConnectionId(prefix.into()),
            random_bytes,
        })
    }

    /// The length of each id, in bytes.
    pub const fn id_len(&self) -> usize {
        self.prefix.len().saturating_add(self.random_bytes)
    }

    fn make(&self, rng: &mut StdRng) -> ConnectionId {
        let mut bytes = self.prefix.as_bytes().to_vec();
        let prefix_len = bytes.len();
        bytes.resize(self.id_len(), 0);
        rng.fill_bytes(bytes.get_mut(prefix_len..).unwrap_or_default());
        ConnectionId(bytes.into())
    }
}

/// The connection ID of a datagram's first record, when that has one: for those who have several connections on a socket, and
/// look for the one that a datagram belongs to. `len` is that of all ids that were given out
/// ([`ConnectionIds::id_len`]); with 0 there is none.
///
/// Nothing here is checked, so what comes out says where the datagram is to go, and nothing about who has sent it. The
/// datagrams of a handshake, and those of peers without an id, have none: they go by their addresses, as do those with an
/// id that nobody knows.
///
/// ```
/// // A record of DTLS 1.2 with an id of two bytes, and one of DTLS 1.3.
/// let of_12 = [25, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 9, 0xaa, 0xbb, 0, 40];
/// assert_eq!(dtls_srtp::peek_connection_id(&of_12, 2), Some(&[0xaa, 0xbb][..]));
/// assert_eq!(dtls_srtp::peek_connection_id(&[0x3f, 0xaa, 0xbb, 0, 9], 2), Some(&[0xaa, 0xbb][..]));
/// // One without, and something else.
/// assert_eq!(dtls_srtp::peek_connection_id(&[0x2f, 0, 9, 0, 40], 2), None);
/// assert_eq!(dtls_srtp::peek_connection_id(&[0x80, 0x60], 2), None);
/// ```
pub fn peek_connection_id(datagram: &[u8], len: usize) -> Option<&[u8]> {
    let start = id_offset(*datagram.first()?)?;
    let end = start.checked_add(len)?;
    datagram.get(start..end).filter(|id| !id.is_empty())
}

/// Where the connection ID stands in a record that begins like this; `None` when it has none.
const fn id_offset(first: u8) -> Option<usize> {
    if first == ContentType::TLS12_CID.0 {
        Some(RecordHeader::ID_OFFSET)
    } else if UnifiedHeader::begins_with_id(first) {
        Some(UnifiedHeader::ID_OFFSET)
    } else {
        None
    }
}

/// Whether a record that begins like this has a connection ID.
pub(crate) const fn carries_id(first: u8) -> bool {
    id_offset(first).is_some()
}

#[cfg(test)]
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]
mod tests;
