use super::server::{Coturn, NAME};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};
use turn::MAX_FRAME;
use turn::client::{Client, CloseReason, Config, Event, MIN_OUT, Transport};
use wire::{Seed, Transmit};

/// How a client reaches the server.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted {
    Udp,
    Tcp,
    Tls,
}

enum Wire {
    Udp(UdpSocket),
    Stream(Box<dyn ReadWrite>),
}

trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

/// Nothing here takes longer unless it is broken.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long one read blocks: timers may be late by as much.
const TICK: Duration = Duration::from_millis(20);

/// A client on a socket.
pub(crate) struct Link {
    pub(crate) client: Client,
    wire: Wire,
    /// What came on the stream and is no whole message yet.
    buffer: Vec<u8>,
    received: VecDeque<(SocketAddr, Vec<u8>)>,
}

impl Link {
    pub(crate) fn new(server: &Coturn, wanted: Wanted, config: Config, run: u64) -> Self {
        let (wire, local, remote) = match wanted {
            Wanted::Udp => {
                let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                socket.set_read_timeout(Some(TICK)).unwrap();
                let local = socket.local_addr().unwrap();
                (Wire::Udp(socket), local, server.plain)
            }
            Wanted::Tcp => {
                let stream = connect(server.plain);
                let local = stream.local_addr().unwrap();
                (Wire::Stream(Box::new(stream)), local, server.plain)
            }
            Wanted::Tls => {
                let mut stream = connect(server.tls);
                let local = stream.local_addr().unwrap();
                let name = NAME.try_into().unwrap();
                let mut tls = rustls::ClientConnection::new(server.trust.clone(), name).unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                while tls.is_handshaking() {
                    tls.complete_io(&mut stream).unwrap();
                }
                stream.set_read_timeout(Some(TICK)).unwrap();
                let stream = rustls::StreamOwned::new(tls, stream);
                (Wire::Stream(Box::new(stream)), local, server.tls)
            }
        };
        let transport = match wanted {
            Wanted::Udp => Transport::Udp,
            Wanted::Tcp | Wanted::Tls => Transport::Stream,
        };
        let config = Config { transport, ..config };
        Self {
            client: Client::new(config, remote, local, Seed::from_run(run), Instant::now()),
            wire,
            buffer: Vec::new(),
            received: VecDeque::new(),
        }
    }

    pub(crate) fn now(&self) -> Instant {
        Instant::now()
    }

    /// Runs until an event comes that `wanted` takes.
    pub(crate) fn wait_for(&mut self, mut wanted: impl FnMut(&Event) -> bool) -> Event {
        let deadline = Instant::now() + PATIENCE;
        loop {
            while let Some(event) = self.client.poll_event() {
                if wanted(&event) {
                    return event;
                }
                assert!(!matches!(event, Event::Closed(_)), "{event:?}");
            }
            assert!(Instant::now() < deadline, "no such event: {:?}", self.client);
            self.turn();
        }
    }

    /// Runs until a peer's data came.
    pub(crate) fn receive(&mut self) -> (SocketAddr, Vec<u8>) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(received) = self.received.pop_front() {
                return received;
            }
            assert!(Instant::now() < deadline, "no data: {:?}", self.client);
            self.turn();
        }
    }

    pub(crate) fn permit(&mut self, peer: SocketAddr) {
        self.client.permit(Instant::now(), peer).unwrap();
        self.flush();
    }

    pub(crate) fn bind(&mut self, peer: SocketAddr) {
        self.client.bind(Instant::now(), peer).unwrap();
        self.wait_for(|event| *event == Event::ChannelBound(peer));
    }

    pub(crate) fn send(&mut self, peer: SocketAddr, data: &[u8]) {
        let mut out = [0; MIN_OUT];
        if let Some(transmit) = self.client.send(Instant::now(), peer, data, &mut out).unwrap() {
            self.write(&transmit, &out);
        }
        self.flush();
    }

    pub(crate) fn close(mut self) {
        self.client.close();
        self.wait_for(|event| *event == Event::Closed(CloseReason::Deleted));
    }

    fn flush(&mut self) {
        let mut out = [0; MIN_OUT];
        while let Some(transmit) = self.client.poll_transmit(Instant::now(), &mut out) {
            self.write(&transmit, &out);
        }
    }

    fn write(&mut self, transmit: &Transmit, out: &[u8]) {
        let message = &out[..transmit.len];
        match &mut self.wire {
            Wire::Udp(socket) => assert_eq!(socket.send_to(message, transmit.path.remote).unwrap(), message.len()),
            Wire::Stream(stream) => stream.write_all(message).and_then(|()| stream.flush()).unwrap(),
        }
    }

    /// Sends what there is, and takes what comes within a tick.
    fn turn(&mut self) {
        self.client.handle_timeout(Instant::now());
        self.flush();
        let mut bytes = [0; 4096];
        let came = match &mut self.wire {
            Wire::Udp(socket) => socket.recv(&mut bytes),
            Wire::Stream(stream) => stream.read(&mut bytes),
        };
        let len = match came {
            Ok(len) => len,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => return,
            Err(error) => panic!("{error}"),
        };
        let now = Instant::now();
        if let Wire::Udp(_) = self.wire {
            if let Some(received) = self.client.handle_datagram(now, &mut bytes[..len]) {
                self.received.push_back((received.peer, received.data.to_vec()));
            }
            return;
        }
        assert_ne!(len, 0, "the server closed the connection");
        self.buffer.extend(&bytes[..len]);
        assert!(self.buffer.len() <= MAX_FRAME + bytes.len());
        let received = &mut self.received;
        let used = self.client.handle_stream(now, &mut self.buffer, |data| {
            received.push_back((data.peer, data.data.to_vec()));
        });
        self.buffer.drain(..used.unwrap());
    }
}

fn connect(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(TICK)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}
