use std::net::SocketAddr;
use std::time::Instant;

use turn::client::Reconnect;
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
    /// Where the server has sent us to instead, and the name there if it is another one.
    alternate: Option<(SocketAddr, Option<String>)>,
    pub(super) progress: Progress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// The caller is to open it, or does so.
    Opening,
    Open(ClientId),
    /// As [`Opening`](Self::Opening), for a client that goes on with it.
    Reopening(ClientId),
    Over,
}

impl Stream {
    pub(super) const fn new(id: RelayStreamId, server: usize, address: SocketAddr, tls: Option<String>) -> Self {
        Self {
            id,
            server,
            address,
            tls,
            alternate: None,
            progress: Progress::Opening,
        }
    }

    fn wanted(&self) -> RelayStream {
        let (server, name) = match &self.alternate {
            Some((server, name)) => (*server, name.as_ref()),
            None => (self.address, None),
        };
        RelayStream {
            id: self.id,
            server,
            // RFC 8489 §10: without ALTERNATE-DOMAIN the certificate there is for the same name.
            tls: self.tls.as_ref().map(|tls| name.unwrap_or(tls).clone()),
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
                (stream.id, stream.progress, stream.alternate) = (id, Progress::Opening, None);
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
            Progress::Opening | Progress::Reopening(_) | Progress::Over => None,
        }
    }

    /// The stream is open; `false` when there are as many allocations as there may be.
    pub(crate) fn open(&mut self, now: Instant, id: RelayStreamId, local: SocketAddr) -> bool {
        let Some(nth) = self.streams.iter().position(|stream| stream.id == id) else {
            return true;
        };
        match self.streams[nth].progress {
            Progress::Opening => {
                let client = self.allocate(now, self.streams[nth].server, local);
                self.streams[nth].progress = client.map_or(Progress::Over, Progress::Open);
                client.is_some()
            }
            Progress::Reopening(client) => {
                self.streams[nth].progress = Progress::Open(client);
                if let Some(held) = self.allocations.iter_mut().find(|held| held.id == client) {
                    held.local = local;
                }
                self.relays.command(client, |client| client.reconnected(local));
                true
            }
            Progress::Open(_) | Progress::Over => true,
        }
    }

    /// A client goes on over another stream, as its server wants it: gives the one that ends and the one to be opened.
    pub(crate) fn redirect(&mut self, id: ClientId, to: &Reconnect) -> Option<(RelayStreamId, RelayStream)> {
        let open = |stream: &Stream| stream.progress == Progress::Open(id);
        let nth = self.streams.iter().position(open)?;
        let next = self.next_stream();
        let stream = &mut self.streams[nth];
        let before = std::mem::replace(&mut stream.id, next);
        stream.progress = Progress::Reopening(id);
        let before_it = stream.alternate.take().and_then(|(_, name)| name);
        let name = to.domain.as_ref().map(ToString::to_string).or(before_it);
        stream.alternate = Some((to.server, name));
        Some((before, stream.wanted()))
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
            Progress::Reopening(client) => {
                self.relays.command(client, Client::close);
                Some(self.servers[stream.server].uri.clone())
            }
            Progress::Over => None,
        }
    }

    /// The client has ended: gives its stream if that is open.
    pub(super) fn end_stream_of(&mut self, id: ClientId) -> Option<RelayStreamId> {
        let its = |stream: &&mut Stream| [Progress::Open(id), Progress::Reopening(id)].contains(&stream.progress);
        let stream = self.streams.iter_mut().find(its)?;
        stream.progress = Progress::Over;
        Some(stream.id)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use turn::client::ReconnectCause;

    use super::*;
    use crate::{IceServer, IceTransportPolicy};

    #[test]
    fn the_certificate_of_another_server_is_for_its_own_name_or_for_the_same() {
        for (domain, name) in [(None, "192.0.2.50"), (Some("other.example.org"), "other.example.org")] {
            let server = IceServer::new("turns:192.0.2.50", &[], Some(("ann", "secret"))).unwrap();
            let (mut relaying, _) = Relaying::new(&[server], IceTransportPolicy::All, StdRng::seed_from_u64(1));
            let local = "198.51.100.7:40000".parse().unwrap();
            assert!(relaying.open(Instant::now(), RelayStreamId(0), local));
            let client = relaying.client_of(RelayStreamId(0)).unwrap();
            let to = Reconnect {
                cause: ReconnectCause::TryAlternate,
                server: "192.0.2.51:5349".parse().unwrap(),
                domain: domain.map(Into::into),
            };
            let (before, wanted) = relaying.redirect(client, &to).unwrap();
            assert_eq!((before, wanted.server), (RelayStreamId(0), to.server));
            assert_eq!(wanted.tls.as_deref(), Some(name));
            // So it stays where no other name is told.
            relaying.open(Instant::now(), wanted.id, local);
            let to = Reconnect { domain: None, ..to };
            let (_, wanted) = relaying.redirect(client, &to).unwrap();
            assert_eq!(wanted.tls.as_deref(), Some(name));
            // When all is asked anew it is the first one again.
            relaying.end_stream(wanted.id);
            assert_eq!(
                relaying.reopen(Instant::now(), 8)[0].server.ip(),
                "192.0.2.50".parse::<std::net::IpAddr>().unwrap()
            );
        }
    }
}
