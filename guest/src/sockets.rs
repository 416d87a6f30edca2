use std::net::UdpSocket;

use wire::{Path, Protocol};

use crate::relay_streams::RelayStreams;

/// Where all that a peer says leaves.
pub(crate) struct Sockets {
    pub(crate) udp: UdpSocket,
    pub(crate) streams: RelayStreams,
}

impl Sockets {
    /// Sends, or loses, what the peer has for a path.
    pub(crate) fn send(&mut self, path: &Path, bytes: &[u8]) {
        match path.protocol {
            Protocol::Udp => _ = self.udp.send_to(bytes, path.remote),
            Protocol::Tcp => self.streams.send(path, bytes),
        }
    }
}
