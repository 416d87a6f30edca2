use std::mem;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use peer::{Peer, RelayStream, RelayStreamId};
use wire::Path;

use crate::inbox::Inbox;
use crate::relay_stream::Stream;
use crate::trust::Trust;

/// How long it may take until a stream is open, TLS included.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;
/// How often a stream is read before others have their turn.
const READS: usize = 4;

/// The streams to TURN servers of a guest: as many as its peer asks for, which bounds them.
pub(crate) struct RelayStreams {
    trust: Arc<Trust>,
    opening: Vec<Opening>,
    open: Vec<(RelayStreamId, Stream)>,
    scratch: Vec<u8>,
    /// Why streams could not be opened: sentences.
    pub(crate) faults: Vec<String>,
}

struct Opening {
    wanted: RelayStream,
    deadline: Instant,
    progress: Progress,
}

enum Progress {
    /// On a thread of its own.
    Connecting(Receiver<Result<Stream, String>>),
    Handshaking(Stream),
    Open(Stream),
    Failed(String),
}

impl RelayStreams {
    pub(crate) const fn new(trust: Arc<Trust>) -> Self {
        Self {
            trust,
            opening: Vec::new(),
            open: Vec::new(),
            scratch: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Begins to open one.
    pub(crate) fn begin(&mut self, now: Instant, wanted: RelayStream) {
        let (sender, connected) = channel();
        let (trust, server, tls) = (Arc::clone(&self.trust), wanted.server, wanted.tls.clone());
        let connect = move || {
            let tls = tls.as_deref().map(|name| Ok((trust.config()?, name))).transpose();
            let stream = tls.and_then(|tls| Stream::connect(server, tls).map_err(|error| error.to_string()));
            // Nobody may wait any more.
            let _ = sender.send(stream);
        };
        let thread = std::thread::Builder::new().name("guest stream".to_owned());
        let progress = match thread.spawn(connect) {
            Ok(_) => Progress::Connecting(connected),
            Err(error) => Progress::Failed(error.to_string()),
        };
        self.opening.push(Opening {
            wanted,
            deadline: now + PATIENCE,
            progress,
        });
    }

    /// Puts a message of the peer's into the queue of its stream. There may be none any more.
    pub(crate) fn send(&mut self, path: &Path, message: &[u8]) {
        if let Some((_, stream)) = self.open.iter_mut().find(|(_, stream)| stream.path == *path) {
            stream.push(message);
        }
    }

    /// Opens what can be opened, and hands over what came.
    pub(crate) fn receive(&mut self, now: Instant, peer: &mut Peer, inbox: &mut Inbox) {
        if self.opening.is_empty() && self.open.is_empty() {
            return;
        }
        self.scratch.resize(CHUNK, 0);
        self.follow_opening(now, peer);
        let scratch = &mut self.scratch;
        self.open.retain_mut(|(id, stream)| {
            let goes_on = read(now, *id, stream, scratch, peer, inbox);
            if !goes_on {
                peer.relay_stream_closed(now, *id);
            }
            goes_on
        });
    }

    fn follow_opening(&mut self, now: Instant, peer: &mut Peer) {
        for mut opening in mem::take(&mut self.opening) {
            let id = opening.wanted.id;
            opening.progress = advance(now, opening.progress, &mut self.scratch);
            let reason = match opening.progress {
                Progress::Open(stream) => {
                    peer.relay_stream_opened(now, id, stream.path.local);
                    self.open.push((id, stream));
                    continue;
                }
                Progress::Failed(reason) => reason,
                _ if now >= opening.deadline => format!("it was not open within {} s", PATIENCE.as_secs()),
                _ => {
                    self.opening.push(opening);
                    continue;
                }
            };
            let RelayStream { server, tls, .. } = opening.wanted;
            let name = tls.map(|name| format!(" ({name}, TLS)")).unwrap_or_default();
            let fault = format!("the connection to the TURN server at {server}{name} cannot be opened: {reason}");
            self.faults.push(fault);
            peer.relay_stream_closed(now, id);
        }
    }

    /// Sends what waits.
    pub(crate) fn flush(&mut self, now: Instant, peer: &mut Peer) {
        self.open.retain_mut(|(id, stream)| {
            let flushed = stream.flush(now);
            if flushed.is_err() {
                peer.relay_stream_closed(now, *id);
            }
            flushed.is_ok()
        });
    }

    /// Closes one of which nothing more is wanted.
    pub(crate) fn close(&mut self, now: Instant, id: RelayStreamId) {
        self.opening.retain(|opening| opening.wanted.id != id);
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

/// What has become of a stream that is being opened.
fn advance(now: Instant, progress: Progress, scratch: &mut [u8]) -> Progress {
    let mut stream = match progress {
        Progress::Connecting(connected) => match connected.try_recv() {
            Ok(Ok(stream)) => stream,
            Ok(Err(reason)) => return Progress::Failed(reason),
            Err(TryRecvError::Empty) => return Progress::Connecting(connected),
            Err(TryRecvError::Disconnected) => return Progress::Failed("its thread has ended".to_owned()),
        },
        Progress::Handshaking(stream) => stream,
        done => return done,
    };
    if !stream.is_handshaking() {
        return Progress::Open(stream);
    }
    let shaken = stream.read(scratch).and_then(|_| stream.flush(now));
    match shaken {
        Err(error) => Progress::Failed(format!(
            "{error}; check the server's certificate, or give its CA with --ca"
        )),
        Ok(()) if stream.is_handshaking() => Progress::Handshaking(stream),
        Ok(()) => Progress::Open(stream),
    }
}

/// Hands over what came; `false` when the stream has ended.
fn read(
    now: Instant,
    id: RelayStreamId,
    stream: &mut Stream,
    scratch: &mut [u8],
    peer: &mut Peer,
    inbox: &mut Inbox,
) -> bool {
    for _ in 0..READS {
        let more = stream.read(scratch);
        inbox.now = Some(now);
        let used = peer.handle_relay_stream(now, id, &mut stream.input, inbox);
        stream.input.drain(..used);
        match more {
            Ok(true) => {}
            Ok(false) => break,
            Err(_) => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{SocketAddr, TcpListener, TcpStream};

    use peer::{Event, IceServer};

    use super::*;
    use crate::access::{Access, RelayOver};
    use crate::guest::offering_peer;

    /// A peer whose TURN server is reached over TLS, with the other end of its stream.
    struct Bench {
        now: Instant,
        peer: Peer,
        streams: RelayStreams,
        server: TcpStream,
    }

    impl Bench {
        fn new() -> Self {
            let now = Instant::now();
            let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
            let uri = format!("turns:{}", listener.local_addr().unwrap());
            let servers = vec![IceServer::new(&uri, &[], Some(("ann", "secret"))).unwrap()];
            let local = SocketAddr::from(([127, 0, 0, 1], 9));
            let access = Access {
                relay: Some(RelayOver::Any),
                ..Access::default()
            };
            let mut peer = offering_peer(now, [(local, Peer::MOST_PREFERRED)], servers, &access).unwrap();
            let mut streams = RelayStreams::new(Arc::new(Trust::in_nobody()));
            let wanted = std::iter::from_fn(|| peer.poll_event()).find_map(|event| match event {
                Event::OpenRelayStream(wanted) => Some(wanted),
                _ => None,
            });
            streams.begin(now, wanted.unwrap());
            let (server, _) = listener.accept().unwrap();
            Self {
                now,
                peer,
                streams,
                server,
            }
        }

        fn turn(&mut self) {
            self.streams.receive(self.now, &mut self.peer, &mut Inbox::default());
        }

        /// Turns until something is so.
        fn until(&mut self, done: impl Fn(&Self) -> bool) {
            let start = Instant::now();
            while !done(self) {
                assert!(start.elapsed() < Duration::from_secs(20), "not within 20 s");
                self.turn();
            }
        }

        fn is_handshaking(&self) -> bool {
            matches!(
                self.streams.opening[..],
                [Opening {
                    progress: Progress::Handshaking(_),
                    ..
                }]
            )
        }

        /// What is said of the server in the end, by the streams and by the peer.
        fn end(mut self) -> (Vec<String>, Vec<Event>) {
            assert!(self.streams.opening.is_empty() && self.streams.open.is_empty());
            let events = std::iter::from_fn(|| self.peer.poll_event());
            let failed = events.filter(|event| matches!(event, Event::RelayFailed { .. }));
            (self.streams.faults, failed.collect())
        }
    }

    #[test]
    fn a_server_that_says_nothing_is_given_up() {
        let mut bench = Bench::new();
        bench.until(Bench::is_handshaking);
        bench.now += PATIENCE - Duration::from_millis(1);
        bench.turn();
        assert!(bench.is_handshaking());
        bench.now += Duration::from_millis(1);
        bench.turn();
        let (faults, failed) = bench.end();
        assert!(
            faults.len() == 1 && faults[0].contains("(127.0.0.1, TLS)"),
            "{faults:?}"
        );
        assert!(faults[0].ends_with("it was not open within 10 s"), "{faults:?}");
        assert_eq!(failed.len(), 1);
    }

    #[test]
    fn a_server_without_tls_is_told_of() {
        let mut bench = Bench::new();
        bench.server.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        bench.until(|bench| !bench.streams.faults.is_empty());
        let (faults, failed) = bench.end();
        assert!(
            faults.len() == 1 && faults[0].ends_with("or give its CA with --ca"),
            "{faults:?}"
        );
        assert_eq!(failed.len(), 1);
    }

    #[test]
    fn a_stream_that_is_not_wanted_any_more_is_closed() {
        let mut bench = Bench::new();
        bench.until(Bench::is_handshaking);
        bench.streams.close(bench.now, RelayStreamId(0));
        assert_eq!(bench.end(), (Vec::new(), Vec::new()));
    }
}
