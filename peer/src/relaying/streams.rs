use std::net::SocketAddr;
use std::time::Instant;

use turn::{Client, ClientId};
use wire::Path;

use super::{RelayStream, RelayStreamId, Relaying};

/// A stream to a TURN server.
pub(super) struct Stream {
    server: usize,
    address: SocketAddr,
    tls: Option<String>,
    pub(super) progress: Progress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// The caller is to open it, or does so.
    Opening,
    Open(ClientId),
    Over,
}

impl Stream {
    pub(super) const fn new(server: usize, address: SocketAddr, tls: Option<String>) -> Self {
        Self {
            server,
            address,
            tls,
            progress: Progress::Opening,
        }
    }
}

/// Streams to TURN servers; the sockets, and TLS, are the caller's.
impl Relaying {
    /// Those that are to be opened.
    pub(crate) fn wanted_streams(&self) -> impl Iterator<Item = RelayStream> + '_ {
        self.streams.iter().zip(0..).map(|(stream, nth)| RelayStream {
            id: RelayStreamId(nth),
            server: stream.address,
            tls: stream.tls.clone(),
        })
    }

    pub(crate) fn stream_on(&self, path: &Path) -> Option<RelayStreamId> {
        let id = self.relays.relay_on(path)?;
        let nth = self
            .streams
            .iter()
            .position(|stream| stream.progress == Progress::Open(id))?;
        Some(RelayStreamId(u32::try_from(nth).ok()?))
    }

    pub(crate) fn client_of(&self, id: RelayStreamId) -> Option<ClientId> {
        match self.streams.get(id.0 as usize)?.progress {
            Progress::Open(client) => Some(client),
            Progress::Opening | Progress::Over => None,
        }
    }

    /// The stream is open; `false` when there are as many allocations as there may be.
    pub(crate) fn open(&mut self, now: Instant, id: RelayStreamId, local: SocketAddr) -> bool {
        let nth = id.0 as usize;
        let opening = |stream: &&Stream| stream.progress == Progress::Opening;
        let Some(server) = self.streams.get(nth).filter(opening).map(|stream| stream.server) else {
            return true;
        };
        let client = self.allocate(now, server, local);
        self.streams[nth].progress = client.map_or(Progress::Over, Progress::Open);
        client.is_some()
    }

    /// The stream has ended, or could not be opened: gives the URI of a server that could not be reached.
    pub(crate) fn end_stream(&mut self, id: RelayStreamId) -> Option<String> {
        let stream = self.streams.get_mut(id.0 as usize)?;
        match std::mem::replace(&mut stream.progress, Progress::Over) {
            Progress::Opening => Some(self.servers[stream.server].uri.clone()),
            Progress::Open(client) => {
                self.relays.command(client, Client::handle_disconnect);
                None
            }
            Progress::Over => None,
        }
    }

    /// The client has ended: gives its stream if that is open.
    pub(super) fn end_stream_of(&mut self, id: ClientId) -> Option<RelayStreamId> {
        let nth = self
            .streams
            .iter()
            .position(|stream| stream.progress == Progress::Open(id))?;
        self.streams[nth].progress = Progress::Over;
        Some(RelayStreamId(u32::try_from(nth).ok()?))
    }
}
