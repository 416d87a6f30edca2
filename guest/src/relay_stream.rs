use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use wire::{Path, Protocol};

/// How long it may take to connect.
const CONNECT: Duration = Duration::from_secs(5);
/// Bytes of media that may wait: what waits longer would come too late.
const MAX_OUTPUT: usize = 64 << 10;
/// Bytes that requests may take beyond [`MAX_OUTPUT`], and checks and handshakes: over a stream no request is sent again
/// (RFC 8489 §6.2.2).
const REQUESTS: usize = 16 << 10;
/// Bytes that are given to TLS at once.
const TLS_CHUNK: usize = 16 << 10;
/// How long a server may take nothing of what waits for it.
const STALLED: Duration = Duration::from_secs(30);

/// A connection to a TURN server, with or without TLS, or to a candidate of the peer's. It neither blocks nor keeps more
/// than a bound.
pub(crate) struct Stream {
    io: TcpStream,
    tls: Option<Box<ClientConnection>>,
    /// From here to the server.
    pub(crate) path: Path,
    /// What came and was not used.
    pub(crate) input: Vec<u8>,
    output: Vec<u8>,
    /// Since when the server has taken nothing although something waits.
    stalled: Option<Instant>,
}

impl Stream {
    /// Connects. It blocks, for 5 s at most.
    ///
    /// # Errors
    /// Those of the socket, and of a server without a name.
    pub(crate) fn connect(server: SocketAddr, tls: Option<(Arc<ClientConfig>, &str)>) -> io::Result<Self> {
        let tls = match tls {
            Some((config, name)) => {
                let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
                let tls = ClientConnection::new(config, name).map_err(io::Error::other)?;
                Some(Box::new(tls))
            }
            None => None,
        };
        Self::over(TcpStream::connect_timeout(&server, CONNECT)?, server, tls)
    }

    /// Connects from an address of ours, without TLS. It blocks, for 5 s at most.
    ///
    /// # Errors
    /// Those of the socket.
    pub(crate) fn connect_from(local: IpAddr, remote: SocketAddr) -> io::Result<Self> {
        let socket = socket2::Socket::new(socket2::Domain::for_address(remote), socket2::Type::STREAM, None)?;
        socket.bind(&SocketAddr::new(local, 0).into())?;
        socket.connect_timeout(&remote.into(), CONNECT)?;
        Self::over(socket.into(), remote, None)
    }

    fn over(io: TcpStream, server: SocketAddr, tls: Option<Box<ClientConnection>>) -> io::Result<Self> {
        // Media that waits for more is late.
        io.set_nodelay(true)?;
        io.set_nonblocking(true)?;
        let path = Path {
            protocol: Protocol::Tcp,
            ..Path::udp(io.local_addr()?, server)
        };
        Ok(Self {
            io,
            tls,
            path,
            input: Vec::new(),
            output: Vec::new(),
            stalled: None,
        })
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }

    /// Puts a message into the queue; media for which there is no room is lost.
    pub(crate) fn push(&mut self, message: &[u8]) -> bool {
        self.push_as(message, is_data(message))
    }

    /// Puts a frame of RFC 4571 into the queue: checks and handshakes have room when media has none.
    pub(crate) fn push_frame(&mut self, frame: &[u8]) -> bool {
        // RFC 7983 §7, behind the length.
        self.push_as(frame, matches!(frame, [_, _, 128..=191, ..]))
    }

    fn push_as(&mut self, message: &[u8], is_media: bool) -> bool {
        let room = if is_media { MAX_OUTPUT } else { MAX_OUTPUT + REQUESTS };
        let fits = self.output.len() + message.len() <= room;
        if fits {
            self.output.extend_from_slice(message);
        }
        fits
    }

    /// Reads once and appends to `input`; `false` when there is nothing for now.
    ///
    /// # Errors
    /// The connection is of no use any more.
    pub(crate) fn read(&mut self, scratch: &mut [u8]) -> io::Result<bool> {
        let got = match &mut self.tls {
            None => self.io.read(scratch),
            Some(tls) => read_tls(tls, &mut self.io, scratch),
        };
        match got {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(len) => {
                self.input.extend_from_slice(scratch.get(..len).unwrap_or_default());
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Sends what the system takes.
    ///
    /// # Errors
    /// The connection is of no use any more, or the server took nothing for half a minute.
    pub(crate) fn flush(&mut self, now: Instant) -> io::Result<()> {
        let before = self.output.len();
        let blocked = loop {
            match self.write() {
                Ok(0) => break false,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        };
        if !blocked || self.output.len() < before {
            self.stalled = None;
        }
        if blocked && now.saturating_duration_since(*self.stalled.get_or_insert(now)) > STALLED {
            return Err(ErrorKind::TimedOut.into());
        }
        Ok(())
    }

    /// Sends something; 0 when there is nothing that could be sent now.
    fn write(&mut self) -> io::Result<usize> {
        let (io, output) = (&mut self.io, &mut self.output);
        if let Some(tls) = self.tls.as_mut().filter(|tls| tls.wants_write()) {
            return tls.write_tls(io).and_then(not_none);
        }
        if output.is_empty() {
            return Ok(0);
        }
        // TLS is given more only when it has nothing left, so that it holds little.
        let len = match &mut self.tls {
            Some(tls) if tls.is_handshaking() => return Ok(0),
            Some(tls) => tls.writer().write(output.get(..TLS_CHUNK).unwrap_or(output))?,
            None => io.write(output).and_then(not_none)?,
        };
        output.drain(..len);
        Ok(len)
    }

    /// Says that nothing more comes, as far as that goes without waiting.
    pub(crate) fn end(mut self, now: Instant) {
        let _ = self.flush(now);
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
        }
        let _ = self.flush(now);
    }
}

fn not_none(len: usize) -> io::Result<usize> {
    if len == 0 {
        return Err(ErrorKind::WriteZero.into());
    }
    Ok(len)
}

/// Whether it is data for a peer: ChannelData or a Send indication (RFC 8656 §12.4, §11.1).
fn is_data(message: &[u8]) -> bool {
    matches!(message, [0x40..=0x4f, ..] | [0x00, 0x16, ..])
}

/// Reads from TLS; what the system has is taken in when there is nothing left inside.
fn read_tls(tls: &mut ClientConnection, io: &mut TcpStream, out: &mut [u8]) -> io::Result<usize> {
    loop {
        match tls.reader().read(out) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            got => return got,
        }
        if tls.read_tls(io)? == 0 {
            return Ok(0);
        }
        if let Err(error) = tls.process_new_packets() {
            // The server is told why, if that goes at once.
            let _ = tls.write_tls(io);
            return Err(io::Error::other(error));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn pair() -> (Stream, TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let stream = Stream::connect(listener.local_addr().unwrap(), None).unwrap();
        let (other, _) = listener.accept().unwrap();
        (stream, other)
    }

    #[test]
    fn what_a_slow_server_does_not_take_is_bounded() {
        let now = Instant::now();
        let (mut stream, mut server) = pair();
        let data = [&[0x40, 0, 3, 0xe4][..], &[7; 996]].concat();
        let request = [&[0x00, 0x04, 0, 80][..], &[1; 96]].concat();
        let mut put = 0;
        // The kernel takes some megabytes, then the queue fills.
        while stream.push(&data) {
            put += 1;
            stream.flush(now).unwrap();
            assert!(stream.output.len() <= MAX_OUTPUT);
        }
        let requests = std::iter::from_fn(|| stream.push(&request).then_some(())).count();
        assert!(requests >= REQUESTS / 100 && !stream.push(&data));
        assert!(stream.output.len() <= MAX_OUTPUT + REQUESTS);
        // It is waited for, though not for ever.
        stream.flush(now + STALLED).unwrap();
        let late = now + STALLED + Duration::from_millis(1);
        assert_eq!(stream.flush(late).unwrap_err().kind(), ErrorKind::TimedOut);
        // Whole messages come, and no part of others.
        let mut all = vec![0; put * data.len() + requests * request.len()];
        let mut got = 0;
        while got < all.len() {
            got += server.read(&mut all[got..]).unwrap();
            stream.flush(late).unwrap();
        }
        let (media, rest) = all.split_at(put * data.len());
        assert!(media.chunks(data.len()).all(|message| message == data));
        assert!(rest.chunks(request.len()).all(|message| message == request));
        assert!(stream.stalled.is_none());
    }

    #[test]
    fn the_end_of_a_connection_is_seen() {
        let (mut stream, mut server) = pair();
        let mut scratch = [0; 100];
        assert!(!stream.read(&mut scratch).unwrap());
        server.write_all(b"some").unwrap();
        drop(server);
        stream.io.set_nonblocking(false).unwrap();
        assert!(stream.read(&mut scratch).unwrap());
        assert_eq!(stream.read(&mut scratch).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        assert_eq!(stream.input, b"some");
    }
}
