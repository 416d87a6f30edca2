use crate::connection_id::ConnectionId;

/// What sealing adds around a plaintext. The caller leaves this room, so that a packet is laid straight into the record
/// that will be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overhead {
    /// Bytes before the plaintext.
    pub head: usize,
    /// Bytes after it.
    pub tail: usize,
}

impl Overhead {
    /// The most that any version and suite adds: in DTLS 1.2 13 bytes of header, 8 of explicit nonce and 16 of tag; in
    /// DTLS 1.3 at most 5 of header, 1 of content type and 16 of tag. A connection ID comes on top of it, where
    /// [`Config::connection_ids`](crate::Config::connection_ids) has switched them on.
    pub const MAX: Self = Self { head: 21, tail: 17 };

    /// The same with the longest connection ID that the peer can want.
    pub(crate) const MAX_WITH_ID: Self = Self {
        head: Self::MAX.head + ConnectionId::MAX_LEN,
        ..Self::MAX
    };

    /// Head and tail together.
    pub const fn total(self) -> usize {
        self.head + self.tail
    }
}
