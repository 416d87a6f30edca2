use std::net::SocketAddr;
use std::time::Instant;

use turn::{Client, ClientId};
use wire::Path;

use super::{RelayStream, RelayStreamId, Relaying};

/// A stream to a TURN server.
pub(super) struct Stream {
    /// Another one each time that it is opened: what is told of the one before does not concern it.
    id: RelayStreamId,
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
    pub(super) const fn new(id: RelayStreamId, server: usize, address: SocketAddr, tls: Option<String>) -> Self {
        Self {
            id,
            server,
            address,
            tls,
            progress: Progress::Opening,
        }
    }

    fn wanted(&self) -> RelayStream {
        RelayStream {
            id: self.id,
            server: self.address,
            tls: self.tls.clone(),
        }
    }
}

/// Streams to TURN servers; the sockets, and TLS, are the caller's.
impl Relaying {
    pub(super) const fn next_stream(&mut self) -> RelayStreamId {
        let id = RelayStreamId(self.opened);
        self.opened = self.opened.wrapping_add(1);
        id
    }

    /// Those that are to be opened.
    pub(crate) fn wanted_streams(&self) -> impl Iterator<Item = RelayStream> + '_ {
        self.streams.iter().map(Stream::wanted)
    }

    /// Has those that have ended opened again, at most so many.
    pub(super) fn reopen(&mut self, now: Instant, most: usize) -> Vec<RelayStream> {
        let mut wanted = Vec::new();
        for nth in 0..self.streams.len() {
            let stream = &self.streams[nth];
            if wanted.len() < most && stream.progress == Progress::Over && self.may_ask(now, stream.server) {
                let id = self.next_stream();
                let stream = &mut self.streams[nth];
                (stream.id, stream.progress) = (id, Progress::Opening);
                wanted.push(stream.wanted());
            }
        }
        wanted
    }

    pub(crate) fn stream_on(&self, path: &Path) -> Option<RelayStreamId> {
        let id = self.relays.relay_on(path)?;
        let open = |stream: &&Stream| stream.progress == Progress::Open(id);
        Some(self.streams.iter().find(open)?.id)
    }

    pub(crate) fn client_of(&self, id: RelayStreamId) -> Option<ClientId> {
        match self.streams.iter().find(|stream| stream.id == id)?.progress {
            Progress::Open(client) => Some(client),
            Progress::Opening | Progress::Over => None,
        }
    }

    /// The stream is open; `false` when there are as many allocations as there may be.
    pub(crate) fn open(&mut self, now: Instant, id: RelayStreamId, local: SocketAddr) -> bool {
        let opening = |stream: &Stream| stream.id == id && stream.progress == Progress::Opening;
        let Some(nth) = self.streams.iter().position(opening) else {
            return true;
        };
        let client = self.allocate(now, self.streams[nth].server, local);
        self.streams[nth].progress = client.map_or(Progress::Over, Progress::Open);
        client.is_some()
    }

    /// The stream has ended, or could not be opened: gives the URI of a server that could not be reached.
    pub(crate) fn end_stream(&mut self, id: RelayStreamId) -> Option<String> {
        let stream = self.streams.iter_mut().find(|stream| stream.id == id)?;
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
        let open = |stream: &&mut Stream| stream.progress == Progress::Open(id);
        let stream = self.streams.iter_mut().find(open)?;
        stream.progress = Progress::Over;
        Some(stream.id)
    }
}
