use super::allocation::RelayId;
use super::connection::ConnectionId;
use std::net::SocketAddr;
use wire::{Ecn, Path};

/// Receives what the server sends, lent: to be laid into the send slab of a batch at once. Cannot re-enter the server.
pub trait ServerSink {
    /// A message to a client, on the 5-tuple that it came on: over UDP one datagram, over TCP and TLS a part of the
    /// stream.
    fn to_client(&mut self, path: &Path, packet: Outgoing<'_>);
    /// A datagram to a peer, from a relay socket.
    fn to_peer(&mut self, relay: RelayId, peer: SocketAddr, packet: Outgoing<'_>);
}

/// What is sent: `head`, `data` and `padding` zero bytes, end to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outgoing<'a> {
    /// What comes before the data: 4 bytes of ChannelData, 36 or 48 of a Data indication, or nothing.
    pub head: &'a [u8],
    /// The data that is relayed, or a whole STUN message.
    pub data: &'a [u8],
    /// Zero bytes that follow: 0 to 3.
    pub padding: usize,
    /// The mark it is sent with: as it came (RFC 8656 §14), Not-ECT after TCP (§15). Without meaning in a stream.
    pub ecn: Ecn,
    /// Whether the client has asked for DF (RFC 8656 §14).
    pub dont_fragment: bool,
}

impl<'a> Outgoing<'a> {
    pub(super) const fn message(data: &'a [u8]) -> Self {
        Self {
            head: &[],
            data,
            padding: 0,
            ecn: Ecn::NotEct,
            dont_fragment: false,
        }
    }

    /// Bytes in all.
    pub const fn len(&self) -> usize {
        self.head.len() + self.data.len() + self.padding
    }

    /// Whether it is a datagram without a byte in it.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Lays it at the start of `out` and says how many bytes that were; `None` when they do not fit.
    pub fn write(&self, out: &mut [u8]) -> Option<usize> {
        let out = out.get_mut(..self.len())?;
        let (head, rest) = out.split_at_mut_checked(self.head.len())?;
        let (data, padding) = rest.split_at_mut_checked(self.data.len())?;
        head.copy_from_slice(self.head);
        data.copy_from_slice(self.data);
        padding.fill(0);
        Some(self.len())
    }
}

/// What the driver has to do with its sockets, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerAction {
    /// Bind a UDP socket and tell how that went with [`handle_bound`](super::Server::handle_bound).
    Bind {
        /// What the socket is called from now on.
        relay: RelayId,
        /// Where.
        address: SocketAddr,
    },
    /// Listen for TCP connections (RFC 6062) and tell how that went with [`handle_bound`](super::Server::handle_bound).
    Listen {
        /// What the listener is called from now on.
        relay: RelayId,
        /// Where.
        address: SocketAddr,
    },
    /// Close the socket or listener; it is not an error when there is none.
    Close {
        /// Which one.
        relay: RelayId,
    },
    /// Open a TCP connection to a peer (RFC 6062 §5.2) and tell how that went with
    /// [`handle_connected`](super::Server::handle_connected).
    Connect {
        /// What the connection is called from now on.
        connection: ConnectionId,
        /// From where: the address of the allocation's listener, with SO_REUSEADDR and SO_REUSEPORT.
        from: SocketAddr,
        /// Where to.
        to: SocketAddr,
    },
    /// From now on what comes from this client's connection goes to the peer's as it is, and back (RFC 6062 §5.4).
    Splice {
        /// The peer's.
        connection: ConnectionId,
        /// The client's.
        client: Path,
    },
    /// Close a peer's connection, and the client's that is spliced to it.
    Disconnect {
        /// Which one.
        connection: ConnectionId,
    },
}
