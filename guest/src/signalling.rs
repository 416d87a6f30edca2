use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use tungstenite::{HandshakeError, WebSocket};

use crate::room::Room;
use crate::trust::Trust;

/// Nobody waits longer, whatever the caller says.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// What a WebSocket lies on.
#[derive(Debug)]
pub(crate) enum Signalling {
    Plain(Timed),
    Tls(Box<StreamOwned<ClientConnection, Timed>>),
}

/// A connection whose calls all end at one time: a server that sends byte after byte gets no more of it.
#[derive(Debug)]
pub(crate) struct Timed {
    socket: TcpStream,
    /// `None` once the calls do not block.
    deadline: Option<Instant>,
}

/// Opens the WebSocket of a room, whose calls do not block from then on.
///
/// # Errors
/// A sentence that says what to do.
pub(crate) fn open(room: &Room, trust: &Trust, timeout: Duration) -> Result<WebSocket<Signalling>, String> {
    let deadline = Instant::now() + timeout.min(LONGEST);
    let server = room.authority();
    let late = |what: &str| {
        let seconds = timeout.as_secs_f64();
        format!("{server} {what} within {seconds} s; check the address, and that the server runs and can be reached")
    };
    let addresses = resolve(room, deadline).map_err(|error| match error.kind() {
        ErrorKind::TimedOut => late("was not resolved"),
        _ => format!("{server} was not resolved: {error}; check the name, or give an address"),
    })?;
    let socket = connect(&addresses, deadline).map_err(|error| match error.kind() {
        ErrorKind::TimedOut => late("has taken no connection"),
        _ => format!("{server} takes no connection: {error}; check the address, and that the server runs"),
    })?;
    let stream = secured(room, Timed::new(socket, deadline), trust)?;
    shake_hands(room, stream).map_err(|error| match error {
        tungstenite::Error::Io(error) if error.kind() == ErrorKind::TimedOut => late("has not answered"),
        error => format!("{server} gives no WebSocket: {error}"),
    })
}

/// As [`open`], on a thread of its own.
pub(crate) fn begin(
    room: &Room,
    trust: &Arc<Trust>,
    timeout: Duration,
) -> Receiver<Result<WebSocket<Signalling>, String>> {
    let (tell, told) = channel();
    let (room, trust) = (room.clone(), Arc::clone(trust));
    let opening = move || {
        // Nobody may wait any more.
        let _ = tell.send(open(&room, &trust, timeout));
    };
    // Without a thread the channel is closed, which is as good as a refusal.
    let _ = std::thread::Builder::new()
        .name("guest return".to_owned())
        .spawn(opening);
    told
}

/// The addresses of a room's server. The system may take longer over a name than anybody waits.
fn resolve(room: &Room, deadline: Instant) -> io::Result<Vec<SocketAddr>> {
    let (tell, told) = channel();
    let room = room.clone();
    let thread = std::thread::Builder::new().name("guest name".to_owned());
    thread.spawn(move || {
        // Nobody may wait any more.
        let _ = tell.send(room.resolve());
    })?;
    let left = deadline.saturating_duration_since(Instant::now());
    told.recv_timeout(left).map_err(|_| ErrorKind::TimedOut)?
}

/// Connects to the first address that answers. Each has its share of what is left, so that a silent one leaves time to
/// the others.
fn connect(addresses: &[SocketAddr], deadline: Instant) -> io::Result<TcpStream> {
    let mut last = ErrorKind::NotFound.into();
    for (tried, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        if share.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        match TcpStream::connect_timeout(address, share) {
            Ok(socket) => {
                socket.set_nodelay(true)?;
                return Ok(socket);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Lays TLS on the connection to a room that wants it.
fn secured(room: &Room, stream: Timed, trust: &Trust) -> Result<Signalling, String> {
    let Some(name) = room.tls_name() else {
        return Ok(Signalling::Plain(stream));
    };
    let name = ServerName::try_from(name.to_owned()).map_err(|error| error.to_string())?;
    let tls = ClientConnection::new(trust.config()?, name).map_err(|error| error.to_string())?;
    Ok(Signalling::Tls(Box::new(StreamOwned::new(tls, stream))))
}

fn shake_hands(room: &Room, stream: Signalling) -> Result<WebSocket<Signalling>, tungstenite::Error> {
    match tungstenite::client(room.websocket(), stream) {
        Ok((mut socket, _)) => {
            socket.get_mut().timed().stop_blocking()?;
            Ok(socket)
        }
        Err(HandshakeError::Failure(error)) => Err(error),
        // Only calls that do not block end so.
        Err(HandshakeError::Interrupted(_)) => Err(io::Error::from(ErrorKind::WouldBlock).into()),
    }
}

impl Timed {
    const fn new(socket: TcpStream, deadline: Instant) -> Self {
        Self {
            socket,
            deadline: Some(deadline),
        }
    }

    /// From now on calls return at once.
    fn stop_blocking(&mut self) -> io::Result<()> {
        self.deadline = None;
        self.socket.set_nonblocking(true)
    }

    /// How long a call may take: `None` when it does not block.
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = |deadline: Instant| deadline.saturating_duration_since(Instant::now());
        match self.deadline.map(left) {
            Some(Duration::ZERO) => Err(ErrorKind::TimedOut.into()),
            left => Ok(left),
        }
    }
}

/// What a socket says after its timeout on Unix would be "try again" to TLS and the WebSocket.
fn timed_out(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::WouldBlock => ErrorKind::TimedOut.into(),
        _ => error,
    }
}

impl Read for Timed {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let Some(left) = self.left()? else {
            return self.socket.read(out);
        };
        self.socket.set_read_timeout(Some(left))?;
        self.socket.read(out).map_err(timed_out)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(left) = self.left()? else {
            return self.socket.write(bytes);
        };
        self.socket.set_write_timeout(Some(left))?;
        self.socket.write(bytes).map_err(timed_out)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

impl Signalling {
    pub(crate) fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(timed) => &timed.socket,
            Self::Tls(tls) => &tls.get_ref().socket,
        }
    }

    fn timed(&mut self) -> &mut Timed {
        match self {
            Self::Plain(timed) => timed,
            Self::Tls(tls) => tls.get_mut(),
        }
    }
}

impl Read for Signalling {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(out),
            Self::Tls(tls) => tls.read(out),
        }
    }
}

impl Write for Signalling {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(tls) => tls.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn never() -> Instant {
        Instant::now() + Duration::from_secs(3600)
    }

    /// A connection to somebody who says nothing by itself.
    fn connected(deadline: Instant) -> (Timed, TcpStream, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = connect(&[listener.local_addr().unwrap()], never()).unwrap();
        let (other, _) = listener.accept().unwrap();
        (Timed::new(socket, deadline), other, listener)
    }

    #[test]
    fn a_server_that_never_answers_is_given_up() {
        // One that a call waits for in the kernel, and one that was over before.
        for timeout in [Duration::from_millis(1), Duration::ZERO] {
            for scheme in ["http", "https"] {
                let (stream, _other, listener) = connected(Instant::now() + timeout);
                let room = format!("{scheme}://{}/r/tea", listener.local_addr().unwrap());
                let room: Room = room.parse().unwrap();
                let stream = secured(&room, stream, &Trust::in_nobody()).unwrap();
                let Err(tungstenite::Error::Io(error)) = shake_hands(&room, stream) else {
                    panic!("{scheme} {timeout:?}");
                };
                assert_eq!(error.kind(), ErrorKind::TimedOut, "{scheme}");
            }
        }
    }

    #[test]
    fn a_server_that_goes_on_and_on_is_given_up_too() {
        let (mut stream, mut other, _listener) = connected(never());
        other.write_all(b"HTTP").unwrap();
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).unwrap(), 1);
        stream.deadline = Some(Instant::now());
        // There is more.
        assert_eq!(stream.read(&mut byte).unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(stream.write(&byte).unwrap_err().kind(), ErrorKind::TimedOut);
        stream.stop_blocking().unwrap();
        let mut rest = [0; 8];
        assert_eq!(stream.read(&mut rest).unwrap(), 3);
        assert_eq!(stream.read(&mut rest).unwrap_err().kind(), ErrorKind::WouldBlock);
    }

    #[test]
    fn who_takes_nothing_is_given_up_too() {
        let (mut stream, _other, _listener) = connected(Instant::now() + Duration::from_millis(20));
        let error = loop {
            if let Err(error) = stream.write_all(&[0; 1 << 16]) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }

    #[test]
    fn the_next_address_is_tried_when_one_takes_no_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let there = listener.local_addr().unwrap();
        let socket = connect(&[nobody, there], never()).unwrap();
        assert_eq!(socket.peer_addr().unwrap(), there);
        let refused = connect(&[nobody], never()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        let late = connect(&[there], Instant::now()).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::TimedOut);
    }

    #[test]
    fn what_went_wrong_is_told_with_what_to_do() {
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let room: Room = format!("http://{nobody}/r/tea").parse().unwrap();
        let why = |timeout| open(&room, &Trust::in_nobody(), timeout).unwrap_err();
        let refused = why(Duration::from_secs(3600));
        assert!(
            refused.contains(&format!("{nobody} takes no connection: ")),
            "{refused}"
        );
        assert!(
            refused.ends_with("; check the address, and that the server runs"),
            "{refused}"
        );
        let late = why(Duration::ZERO);
        assert!(late.contains(" within 0 s; check the address"), "{late}");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let room: Room = format!("http://{}/r/tea", listener.local_addr().unwrap())
            .parse()
            .unwrap();
        let silent = open(&room, &Trust::in_nobody(), Duration::from_millis(50)).unwrap_err();
        assert!(silent.contains(" within 0.05 s; check the address"), "{silent}");
    }
}
