//! A page whose messages come back over a data channel: `data_channel_echo`. The page is served, and its offer answered,
//! over HTTP; then one thread, one UDP socket and one loop are all that a call needs.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Html;
use axum::routing::{get, post};
use bytes::Bytes;
use clap::Parser;
use dtls_srtp::{Certificate, RingCrypto};
use peer::{Channel, ChannelId, ChannelSendError, Config, Event, MessageKind, Peer, Sink};
use rand::TryRng;
use rand::rngs::SysRng;
use wire::{Path, Seed};

/// Serves a page, and sends back what it says over a data channel.
#[derive(Debug, Parser)]
#[command(name = "data_channel_echo")]
struct Arguments {
    /// Where the page is served.
    #[arg(default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let setting = Setting::new(own_address())?;
    let app = Router::new()
        .route("/", get(async || Html(include_str!("data_channel_echo.html"))))
        .route("/offer", post(answer))
        .with_state(Arc::new(setting));
    let listener = tokio::net::TcpListener::bind(arguments.listen).await?;
    println!("open http://{} in a browser", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}

/// What calls have in common.
struct Setting {
    config: Arc<Config>,
    /// Where browsers reach their sockets.
    address: IpAddr,
}

impl Setting {
    fn new(address: IpAddr) -> Result<Self, Failure> {
        let dtls = dtls_srtp::Config::new(Arc::new(RingCrypto::new()), Certificate::generate()?);
        // An ICE-lite agent: the browser finds the way, and we answer on the one that it takes.
        let config = Config {
            application: true,
            ..Config::new(Arc::new(dtls))
        };
        Ok(Self {
            config: Arc::new(config),
            address,
        })
    }
}

/// The address of this machine in its network. Browsers do not speak from the loopback interface, and Firefox does not
/// speak to it either.
fn own_address() -> IpAddr {
    // To connect a UDP socket sends nothing, and tells which interface leads there.
    let towards_network = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        socket.local_addr()
    });
    towards_network.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip())
}

/// Answers the offer of a page, and begins its call.
async fn answer(State(setting): State<Arc<Setting>>, offer: String) -> Result<String, (StatusCode, String)> {
    let (mut call, answer) =
        Call::new(&setting, &offer).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
    std::thread::spawn(move || {
        if let Err(error) = call.run() {
            call.say(&format!("its socket fails: {error}"));
        }
    });
    Ok(answer)
}

/// A page, and the socket that is for it alone.
struct Call {
    peer: Peer,
    socket: UdpSocket,
    local: SocketAddr,
    echoes: Echoes,
}

/// What came on channels and goes back.
#[derive(Default)]
struct Echoes {
    messages: VecDeque<(ChannelId, MessageKind, Bytes)>,
    bytes: usize,
}

impl Sink for Echoes {
    /// The payload is lent: what is to be kept is copied.
    fn message(&mut self, channel: &Channel, kind: MessageKind, payload: &[u8]) {
        self.bytes += payload.len();
        self.messages
            .push_back((channel.id(), kind, Bytes::copy_from_slice(payload)));
    }
}

impl Call {
    fn new(setting: &Setting, offer: &str) -> Result<(Self, String), Failure> {
        let mut seed = Seed([0; 32]);
        SysRng.try_fill_bytes(&mut seed.0)?;
        let socket = UdpSocket::bind((setting.address, 0))?;
        let local = socket.local_addr()?;
        let now = Instant::now();
        let mut peer = Peer::new(setting.config.clone(), seed, now);
        peer.add_local_candidate(local);
        let answer = peer.accept_offer(now, offer)?;
        let call = Self {
            peer,
            socket,
            local,
            echoes: Echoes::default(),
        };
        Ok((call, answer))
    }

    /// The whole life of a peer: what it has to say, what it tells, then a datagram or what is due by then.
    fn run(&mut self) -> io::Result<()> {
        let mut datagram = [0; 2048];
        loop {
            self.echo();
            while let Some(transmit) = self.peer.poll_transmit(Instant::now(), &mut datagram[..Peer::MIN_OUT]) {
                self.socket.send_to(&datagram[..transmit.len], transmit.path.remote)?;
            }
            while let Some(event) = self.peer.poll_event() {
                self.say(&format!("{event:?}"));
                match event {
                    // The page is gone without a goodbye.
                    Event::Failed => self.peer.close(Instant::now()),
                    Event::Closed { .. } => return Ok(()),
                    _ => {}
                }
            }
            match self.receive(&mut datagram)? {
                Some((len, from)) => {
                    let path = Path::udp(self.local, from);
                    let datagram = &mut datagram[..len];
                    self.peer
                        .handle_datagram(Instant::now(), &path, datagram, &mut self.echoes);
                }
                None => self.peer.handle_timeout(Instant::now()),
            }
        }
    }

    /// Sends back what came, as far as there is room: the rest waits here, and the page is told to send as much less.
    fn echo(&mut self) {
        while let Some((channel, kind, payload)) = self.echoes.messages.front().cloned() {
            let len = payload.len();
            match self.peer.send_message(Instant::now(), channel, kind, payload) {
                Ok(()) => self.say(&format!("sends back {len} bytes ({kind:?})")),
                Err(ChannelSendError::Blocked) => break,
                Err(error) => self.say(&format!("does not send back {len} bytes: {error}")),
            }
            self.echoes.bytes -= len;
            self.echoes.messages.pop_front();
        }
        self.peer.set_retained(self.echoes.bytes);
    }

    /// A datagram, or nothing when something else is due.
    fn receive(&self, datagram: &mut [u8]) -> io::Result<Option<(usize, SocketAddr)>> {
        let wait = match self.peer.poll_timeout() {
            Some(due) => match due.saturating_duration_since(Instant::now()) {
                // For a socket this would be forever.
                Duration::ZERO => return Ok(None),
                wait => Some(wait),
            },
            None => None,
        };
        self.socket.set_read_timeout(wait)?;
        match self.socket.recv_from(datagram) {
            Ok(received) => Ok(Some(received)),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn say(&self, text: &str) {
        println!("{}: {text}", self.local);
    }
}

#[cfg(test)]
mod tests {
    use peer::ChannelInit;

    use super::*;

    /// What the page does: it offers, and says something when it is connected.
    #[test]
    fn what_is_said_comes_back() {
        let address = Ipv4Addr::LOCALHOST.into();
        let setting = Arc::new(Setting::new(address).unwrap());
        let dtls = (*setting.config.dtls).clone();
        let config = Config {
            application: true,
            ..Config::full(Arc::new(dtls))
        };
        let socket = UdpSocket::bind((address, 0)).unwrap();
        let local = socket.local_addr().unwrap();
        let mut peer = Peer::new(Arc::new(config), Seed::from_run(1), Instant::now());
        peer.add_local_candidate(local);
        peer.end_of_local_candidates(Instant::now());
        peer.add_section(peer::Kind::Application, peer::Direction::SendRecv)
            .unwrap();
        let channel = peer.open_channel(Instant::now(), ChannelInit::new("echo")).unwrap();
        let offer = peer.offer().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let answer = runtime.block_on(answer(State(setting.clone()), offer)).unwrap();
        peer.accept_answer(Instant::now(), &answer).unwrap();

        let said = [
            (MessageKind::Text, Bytes::from_static("grüß".as_bytes())),
            (MessageKind::Binary, vec![7; 200_000].into()),
            (MessageKind::Text, Bytes::new()),
        ];
        let mut client = Call {
            peer,
            socket,
            local,
            echoes: Echoes::default(),
        };
        for (kind, payload) in &said {
            client
                .peer
                .send_message(Instant::now(), channel, *kind, payload.clone())
                .unwrap();
        }
        let end = Instant::now() + Duration::from_secs(20);
        let mut buffer = [0; 2048];
        while client.echoes.messages.len() < said.len() {
            assert!(Instant::now() < end, "{:?}", client.peer);
            while let Some(transmit) = client.peer.poll_transmit(Instant::now(), &mut buffer) {
                client
                    .socket
                    .send_to(&buffer[..transmit.len], transmit.path.remote)
                    .unwrap();
            }
            while client.peer.poll_event().is_some() {}
            match client.receive(&mut buffer).unwrap() {
                Some((len, from)) => client.peer.handle_datagram(
                    Instant::now(),
                    &Path::udp(local, from),
                    &mut buffer[..len],
                    &mut client.echoes,
                ),
                None => client.peer.handle_timeout(Instant::now()),
            }
        }
        let expected: Vec<_> = said
            .into_iter()
            .map(|(kind, payload)| (channel, kind, payload))
            .collect();
        assert!(client.echoes.messages == expected);
        let refused = runtime.block_on(super::answer(State(setting), "nonsense".to_owned()));
        assert_eq!(refused.unwrap_err().0, StatusCode::BAD_REQUEST);
    }
}
