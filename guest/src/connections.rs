use std::io;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::Instant;

use peer::{Connection, ConnectionId, Peer};
use wire::Path;

use crate::inbox::Inbox;
use crate::relay_stream::Stream;

/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;
/// How often a connection is read before others have their turn.
const READS: usize = 4;

/// The TCP connections of a guest to the server: as many as its peer asks for, which bounds them and paces them. The
/// thread of one that is not wanted any more ends after 5 s at most.
#[derive(Default)]
pub(crate) struct Connections {
    /// Each on a thread of its own.
    opening: Vec<(ConnectionId, Receiver<io::Result<Stream>>)>,
    open: Vec<(ConnectionId, Stream)>,
    scratch: Vec<u8>,
}

impl Connections {
    /// Begins to open one.
    pub(crate) fn begin(&mut self, wanted: Connection) {
        let (sender, connected) = channel();
        let connect = move || {
            // Nobody may wait any more.
            let _ = sender.send(Stream::connect_from(wanted.local, wanted.remote));
        };
        // Without a thread the channel is closed, which is as good as a refusal.
        let _ = std::thread::Builder::new()
            .name("guest connection".to_owned())
            .spawn(connect);
        self.opening.push((wanted.id, connected));
    }

    /// Puts frames of the peer's into the queue of their connection; `false` when there is none.
    pub(crate) fn send(&mut self, path: &Path, frames: &[u8]) -> bool {
        let stream = self.open.iter_mut().find(|(_, stream)| stream.path == *path);
        let Some((_, stream)) = stream else { return false };
        // What does not fit is lost, as it is on a full link.
        stream.push_frame(frames);
        true
    }

    /// Takes those that are open by now, and hands over what came.
    pub(crate) fn receive(&mut self, now: Instant, peer: &mut Peer, inbox: &mut Inbox) {
        let open = &mut self.open;
        self.opening.retain(|(id, connected)| match connected.try_recv() {
            Ok(Ok(stream)) => {
                peer.connection_opened(now, *id, stream.path.local);
                open.push((*id, stream));
                false
            }
            Err(TryRecvError::Empty) => true,
            Ok(Err(_)) | Err(TryRecvError::Disconnected) => {
                peer.connection_closed(now, *id);
                false
            }
        });
        let scratch = &mut self.scratch;
        self.open.retain_mut(|(id, stream)| {
            scratch.resize(CHUNK, 0);
            let goes_on = read(now, *id, stream, scratch, peer, inbox);
            if !goes_on {
                peer.connection_closed(now, *id);
            }
            goes_on
        });
    }

    /// Sends what waits.
    pub(crate) fn flush(&mut self, now: Instant, peer: &mut Peer) {
        self.open.retain_mut(|(id, stream)| {
            let flushed = stream.flush(now);
            if flushed.is_err() {
                peer.connection_closed(now, *id);
            }
            flushed.is_ok()
        });
    }

    /// Closes one of which nothing more is wanted.
    pub(crate) fn close(&mut self, now: Instant, id: ConnectionId) {
        self.opening.retain(|(opening, _)| *opening != id);
        if let Some(nth) = self.open.iter().position(|(open, _)| *open == id) {
            self.open.swap_remove(nth).1.end(now);
        }
    }

    /// Closes all.
    pub(crate) fn end(&mut self, now: Instant) {
        self.opening.clear();
        self.open.drain(..).for_each(|(_, stream)| stream.end(now));
    }
}

/// Hands over what came; `false` when the connection has ended.
fn read(
    now: Instant,
    id: ConnectionId,
    stream: &mut Stream,
    scratch: &mut [u8],
    peer: &mut Peer,
    inbox: &mut Inbox,
) -> bool {
    for _ in 0..READS {
        let more = stream.read(scratch);
        inbox.now = Some(now);
        peer.handle_connection(now, id, &mut stream.input, inbox);
        stream.input.clear();
        match more {
            Ok(true) => {}
            Ok(false) => break,
            Err(_) => return false,
        }
    }
    true
}
