use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use rustls::{ServerConfig, ServerConnection};
use turn::{ConnectionId, MAX_FRAME, Outgoing};
use wire::Path;

/// Bytes that may wait for a reader: then data is dropped, or what it is spliced to is not read.
pub(super) const MAX_OUTPUT: usize = 256 << 10;
/// Bytes of answers and indications that may wait beyond [`MAX_OUTPUT`]: a client whose data fills the queue needs
/// them.
const ANSWERS: usize = 16 << 10;
/// Bytes that are given to TLS at once.
const TLS_CHUNK: usize = 16 << 10;
/// Bytes that are read at once.
const READ_CHUNK: usize = 64 << 10;
/// Bytes that wait for a stranger, and that are kept of what one sends: 401 has 128, and no request has as many.
const STRANGER: usize = 8 << 10;
/// How long a reader may take nothing of what waits for it.
const STALLED: Duration = Duration::from_secs(30);

/// Whose end of a connection it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// A client's, which carries TURN messages.
    Client(Path),
    /// A client's, spliced to a peer's.
    Spliced(Path, usize),
    /// A peer's that is being opened.
    Opening(ConnectionId),
    /// A peer's, spliced to a client's or not yet.
    Peer(ConnectionId, Option<usize>),
    /// Only what waits is still to be sent.
    Ending,
}

/// A TCP connection with or without TLS, whose buffers are bounded.
pub(super) struct Stream {
    pub(super) io: TcpStream,
    tls: Option<Box<ServerConnection>>,
    /// Bytes that TLS has got since it could last do something with them: the beginning of a record or handshake.
    held: usize,
    pub(super) role: Role,
    /// A client that has shown no password yet.
    pub(super) stranger: bool,
    /// What came and is not a whole message yet.
    pub(super) input: Vec<u8>,
    output: Vec<u8>,
    /// How much of `output` was taken.
    sent: usize,
    pub(super) opened: Instant,
    /// Since when the reader has taken nothing although something waits.
    stalled: Option<Instant>,
    /// It was not read because the other end was full.
    pub(super) paused: bool,
    /// It is not read before, since its allocation has relayed enough.
    pub(super) resumes: Option<Instant>,
    /// It is among those that have something to send.
    pub(super) dirty: bool,
    /// The other side was told that nothing more will come.
    shut: bool,
}

/// What reading came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Got {
    /// More may come at once.
    More,
    /// Nothing for now.
    Blocked,
    /// The other side has ended, or is no good.
    End,
}

impl Stream {
    pub(super) fn new(io: TcpStream, tls: Option<Arc<ServerConfig>>, role: Role, now: Instant) -> io::Result<Self> {
        let tls = tls.map(ServerConnection::new).transpose().map_err(io::Error::other)?;
        // Media that waits for more is late.
        drop(io.set_nodelay(true));
        Ok(Self {
            io,
            tls: tls.map(Box::new),
            held: 0,
            role,
            stranger: matches!(role, Role::Client(_)),
            input: Vec::new(),
            output: Vec::new(),
            sent: 0,
            opened: now,
            stalled: None,
            paused: false,
            resumes: None,
            dirty: false,
            shut: false,
        })
    }

    /// Whether reading may have to make a signature.
    pub(super) fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }

    /// Bytes that wait.
    pub(super) fn waiting(&self) -> usize {
        self.output.len() - self.sent + usize::from(self.tls.as_ref().is_some_and(|tls| tls.wants_write()))
    }

    /// Puts a message into the queue; false, and nothing put, when the reader is too slow for it.
    pub(super) fn push(&mut self, packet: &Outgoing<'_>) -> bool {
        // Data for a client has a head, the server's own messages have none.
        let room = match packet.head {
            _ if self.stranger => STRANGER,
            [] => MAX_OUTPUT + ANSWERS,
            _ => MAX_OUTPUT,
        };
        if self.waiting() + packet.len() > room {
            return false;
        }
        self.output.extend_from_slice(packet.head);
        self.output.extend_from_slice(packet.data);
        self.output.resize(self.output.len() + packet.padding, 0);
        true
    }

    /// Puts bytes of the connection that this is spliced to into the queue.
    pub(super) fn push_bytes(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    /// Reads once and appends to `input`.
    pub(super) fn read(&mut self, scratch: &mut [u8]) -> Got {
        let (kept, chunk) = if self.stranger {
            (STRANGER / 2, STRANGER / 2)
        } else {
            (MAX_FRAME, READ_CHUNK)
        };
        if self.input.len() > kept {
            // One message at most is kept, and each was cut off as soon as it was whole.
            return Got::End;
        }
        let scratch = scratch.get_mut(..chunk).unwrap_or_default();
        let got = match &mut self.tls {
            None => self.io.read(scratch),
            Some(tls) => {
                let most = if self.stranger { STRANGER / 2 } else { usize::MAX };
                read_tls(tls, &mut self.io, scratch, &mut self.held, most)
            }
        };
        match got {
            Ok(0) => Got::End,
            Ok(len) => {
                self.input.extend_from_slice(scratch.get(..len).unwrap_or_default());
                Got::More
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Got::Blocked,
            Err(error) if error.kind() == ErrorKind::Interrupted => Got::More,
            Err(_) => Got::End,
        }
    }

    /// Whether the other side has ended and nothing of it is left to be read.
    pub(super) fn has_hung_up(&self) -> bool {
        match self.io.peek(&mut [0]) {
            Ok(len) => len == 0,
            Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        }
    }

    /// Sends what the system takes.
    ///
    /// # Errors
    /// The connection is of no use any more.
    pub(super) fn flush(&mut self, now: Instant) -> io::Result<()> {
        let before = self.waiting();
        let done = match &mut self.tls {
            None => flush_plain(&mut self.io, &self.output, &mut self.sent),
            Some(tls) => flush_tls(tls, &mut self.io, &self.output, &mut self.sent),
        };
        if self.sent == self.output.len() {
            self.output.clear();
            self.sent = 0;
        } else if self.sent > MAX_OUTPUT / 2 {
            self.output.drain(..self.sent);
            self.sent = 0;
        }
        let waiting = self.waiting();
        if waiting == 0 || waiting < before {
            self.stalled = None;
        }
        if waiting > 0 && self.stalled.is_none() {
            self.stalled = Some(now);
        }
        // Whenever this is said the system tells that the connection can be written to, upon which it would be said
        // again.
        if self.role == Role::Ending && waiting == 0 && !std::mem::replace(&mut self.shut, true) {
            drop(self.io.shutdown(Shutdown::Write));
        }
        match done {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            done => done,
        }
    }

    /// Whether the reader has taken nothing for too long.
    pub(super) fn is_stalled(&self, now: Instant) -> bool {
        self.stalled
            .is_some_and(|since| now.saturating_duration_since(since) > STALLED)
    }

    /// Says that nothing more will come.
    pub(super) fn end(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
        }
    }
}

/// Reads from TLS; what the system has is taken in when there is nothing left inside. Counts in `held` what TLS can
/// only keep, and fails when that is more than `most`.
fn read_tls(
    tls: &mut ServerConnection,
    io: &mut TcpStream,
    out: &mut [u8],
    held: &mut usize,
    most: usize,
) -> io::Result<usize> {
    loop {
        match tls.reader().read(out) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            got => return got,
        }
        let len = tls.read_tls(io)?;
        if len == 0 {
            return Ok(0);
        }
        let state = tls.process_new_packets().map_err(io::Error::other)?;
        let used = state.plaintext_bytes_to_read() > 0 || state.tls_bytes_to_write() > 0;
        *held = if used { 0 } else { *held + len };
        if *held > most {
            return Err(ErrorKind::InvalidData.into());
        }
        // Handshakes want to be answered.
        while tls.wants_write() {
            match tls.write_tls(io) {
                Ok(0) => return Ok(0),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
    }
}

fn flush_plain(io: &mut TcpStream, output: &[u8], sent: &mut usize) -> io::Result<()> {
    while let Some(rest) = output.get(*sent..).filter(|rest| !rest.is_empty()) {
        match io.write(rest) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(len) => *sent += len,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// TLS is given more only when it has nothing left, so that it holds little.
fn flush_tls(tls: &mut ServerConnection, io: &mut TcpStream, output: &[u8], sent: &mut usize) -> io::Result<()> {
    loop {
        while tls.wants_write() {
            match tls.write_tls(io) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let rest = output.get(*sent..).unwrap_or_default();
        let chunk = rest.get(..TLS_CHUNK).unwrap_or(rest);
        if chunk.is_empty() || tls.is_handshaking() {
            return Ok(());
        }
        *sent += tls.writer().write(chunk)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::Ecn;

    /// A stranger's stream, and the other end of it.
    fn pair(now: Instant) -> (Stream, std::net::TcpStream) {
        pair_with(now, None)
    }

    fn pair_with(now: Instant, tls: Option<Arc<ServerConfig>>) -> (Stream, std::net::TcpStream) {
        let path = Path {
            protocol: wire::Protocol::Tcp,
            ..Path::udp("192.0.2.1:3478".parse().unwrap(), "192.0.2.2:1".parse().unwrap())
        };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let other = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (io, _) = listener.accept().unwrap();
        io.set_nonblocking(true).unwrap();
        let stream = Stream::new(TcpStream::from_std(io), tls, Role::Client(path), now).unwrap();
        (stream, other)
    }

    const fn packet<'a>(head: &'a [u8], data: &'a [u8]) -> Outgoing<'a> {
        Outgoing {
            head,
            data,
            padding: 2,
            ecn: Ecn::NotEct,
            dont_fragment: false,
        }
    }

    #[test]
    fn answers_have_room_when_data_has_none() {
        let (mut stream, _other) = pair(Instant::now());
        stream.stranger = false;
        let (data, answer) = (packet(b"head", &[7; 1000]), packet(b"", &[1; 126]));
        while stream.push(&data) {}
        let answers = std::iter::from_fn(|| stream.push(&answer).then_some(())).count();
        assert!(answers >= ANSWERS / 128 && stream.waiting() <= MAX_OUTPUT + ANSWERS);
        assert!(!stream.push(&data));
    }

    #[test]
    fn little_is_kept_for_strangers() {
        let now = Instant::now();
        let (mut stream, mut other) = pair(now);
        while stream.push(&packet(b"", &[1; 126])) {}
        assert!(stream.waiting() > STRANGER - 128 && stream.waiting() <= STRANGER);
        // A message that is announced with 64 KiB.
        other.write_all(&[0x40; 64 << 10]).unwrap();
        let mut scratch = vec![0; READ_CHUNK];
        while stream.read(&mut scratch) != Got::End {}
        assert!(stream.input.capacity() <= 2 * STRANGER, "{}", stream.input.capacity());
        // Who has shown a password has more.
        stream.stranger = false;
        assert!(stream.push(&packet(b"head", &[1; 10_000])));
        assert_eq!(stream.read(&mut scratch), Got::More);
    }

    #[test]
    fn little_is_kept_for_strangers_with_tls() {
        let now = Instant::now();
        let mut scratch = vec![0; READ_CHUNK];
        for stranger in [true, false] {
            let tls = crate::tls::Tls::SelfSigned.server_config(&[]).unwrap();
            let (mut stream, mut other) = pair_with(now, Some(tls));
            stream.stranger = stranger;
            // Most of a record of 16 KiB, the longest that there is.
            other.write_all(&[22, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfc]).unwrap();
            other.write_all(&[0; 12 << 10]).unwrap();
            let ended = (0..1000).any(|_| stream.read(&mut scratch) == Got::End);
            let held = if stranger { 8 << 10 } else { 9 + (12 << 10) };
            assert_eq!((ended, stream.held), (stranger, held));
        }
    }

    #[test]
    fn a_slow_reader_is_waited_for_with_bounded_room() {
        let now = Instant::now();
        let (mut stream, mut reader) = pair(now);
        stream.stranger = false;
        let data = [7; 1000];
        let packet = packet(b"head", &data);
        let mut put = 0;
        // The kernel takes some megabytes, then the queue fills, then all is dropped.
        while stream.push(&packet) {
            put += 1;
            stream.flush(now).unwrap();
            assert!(stream.waiting() <= MAX_OUTPUT && stream.output.capacity() < 4 * MAX_OUTPUT);
        }
        assert!(stream.waiting() > MAX_OUTPUT - 1006 && !stream.is_stalled(now + STALLED));
        let later = now + STALLED + Duration::from_secs(1);
        stream.flush(later).unwrap();
        assert!(stream.is_stalled(later));
        // Whole messages come, and no part of others.
        let mut out = vec![0; 1006 * put];
        let mut got = 0;
        while got < out.len() {
            got += reader.read(&mut out[got..]).unwrap();
            stream.flush(later).unwrap();
        }
        assert!(
            out.chunks(1006)
                .all(|message| message[..5] == *b"head\x07" && message[1003..] == [7, 0, 0])
        );
        assert!(stream.waiting() == 0 && !stream.is_stalled(later + STALLED));
    }
}
