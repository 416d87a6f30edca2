use std::net::UdpSocket;

use wire::{Path, Protocol};

use crate::connections::Connections;
use crate::relay_streams::RelayStreams;

/// Where all that a peer says leaves.
pub(crate) struct Sockets {
    pub(crate) udp: UdpSocket,
    pub(crate) streams: RelayStreams,
    pub(crate) connections: Connections,
}

impl Sockets {
    /// Sends, or loses, what the peer has for a path.
    pub(crate) fn send(&mut self, path: &Path, bytes: &[u8]) {
        match path.protocol {
            Protocol::Udp => _ = self.udp.send_to(bytes, path.remote),
            Protocol::Tcp if self.connections.send(path, bytes) => {}
            Protocol::Tcp => self.streams.send(path, bytes),
        }
    }
}
