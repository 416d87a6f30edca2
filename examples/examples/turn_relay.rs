//! Two clients on one TURN server relay to each other, step by step.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

use turn::client::{Client, Config, Credentials, Event, MIN_OUT, State, Transport};
use turn::{Host, MAX_FRAME, ServerUri, UriTransport};
use wire::Seed;

const USAGE: &str = "\
Has two clients relay to each other through a TURN server, and prints each step.

usage: cargo run -p hyaline-examples --example turn_relay -- turn:HOST[:PORT][?transport=tcp] USERNAME PASSWORD";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [uri, username, password] = arguments.as_slice() else {
        println!("{USAGE}");
        std::process::exit(i32::from(arguments.len() > 1));
    };
    if let Err(problem) = relay(uri, username, password) {
        eprintln!("turn_relay: {problem}");
        std::process::exit(1);
    }
}

fn relay(uri: &str, username: &str, password: &str) -> Result<(), String> {
    let uri: ServerUri = uri.parse().map_err(|error| format!("`{uri}` is no server: {error}"))?;
    if !uri.scheme().is_turn() || uri.scheme().is_secure() {
        return Err("this example does without TLS: give a `turn:` URI".to_owned());
    }
    let server = resolve(&uri)?;
    let config = Config {
        credentials: Some(Credentials::new(username, password).ok_or("a username has 1 to 508 bytes")?),
        transport: match uri.transport() {
            UriTransport::Udp => Transport::Udp,
            UriTransport::Tcp => Transport::Stream,
        },
        ..Config::default()
    };
    let mut anna = Party::new("Anna", server, &config)?;
    let mut bert = Party::new("Bert", server, &config)?;

    let (at_anna, at_bert) = (anna.allocate()?, bert.allocate()?);
    // Bert hears Anna once he has permitted her; Anna's permission goes out with her first data.
    bert.client
        .permit(Instant::now(), at_anna)
        .map_err(|error| error.to_string())?;
    bert.wait_for("permission", |event| matches!(event, Event::Permitted(_)))?;
    anna.say(at_bert, b"hello, in an indication")?;
    bert.hear()?;
    bert.say(at_anna, b"hello back")?;
    anna.hear()?;

    anna.client
        .bind(Instant::now(), at_bert)
        .map_err(|error| error.to_string())?;
    anna.wait_for("channel", |event| matches!(event, Event::ChannelBound(_)))?;
    anna.say(at_bert, b"hello, in a channel: 4 bytes of overhead")?;
    bert.hear()?;

    for party in [&mut anna, &mut bert] {
        party.client.close();
        party.wait_for("end", |event| matches!(event, Event::Closed(_)))?;
    }
    Ok(())
}

fn resolve(uri: &ServerUri) -> Result<SocketAddr, String> {
    match uri.host() {
        Host::Ip(address) => Ok(SocketAddr::new(*address, uri.port())),
        Host::Name(name) => (&**name, uri.port())
            .to_socket_addrs()
            .map_err(|error| format!("the name `{name}` cannot be resolved ({error}); check its spelling"))?
            .next()
            .ok_or_else(|| format!("the name `{name}` has no address")),
    }
}

enum Wire {
    Udp(UdpSocket),
    Tcp(TcpStream),
}

/// A client on a socket, which is what an engine without I/O leaves to do.
struct Party {
    name: &'static str,
    client: Client,
    wire: Wire,
    buffer: Vec<u8>,
    heard: Vec<(SocketAddr, Vec<u8>)>,
}

impl Party {
    fn new(name: &'static str, server: SocketAddr, config: &Config) -> Result<Self, String> {
        let fault = |error: io::Error| format!("{server} cannot be reached: {error}");
        let tick = Some(Duration::from_millis(20));
        let (wire, local) = match config.transport {
            Transport::Udp => {
                let any = if server.is_ipv4() {
                    IpAddr::from([0; 4])
                } else {
                    IpAddr::from([0; 16])
                };
                let socket = UdpSocket::bind(SocketAddr::new(any, 0)).map_err(fault)?;
                socket.connect(server).map_err(fault)?;
                socket.set_read_timeout(tick).map_err(fault)?;
                let local = socket.local_addr().map_err(fault)?;
                (Wire::Udp(socket), local)
            }
            Transport::Stream => {
                let stream = TcpStream::connect(server).map_err(fault)?;
                stream.set_read_timeout(tick).map_err(fault)?;
                let local = stream.local_addr().map_err(fault)?;
                (Wire::Tcp(stream), local)
            }
        };
        println!("{name}: from {local} to {server}");
        // A real program takes its seed from the operating system.
        let mut seed = [0; 32];
        let time = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
        seed[..16].copy_from_slice(&time.to_be_bytes());
        seed[16..18].copy_from_slice(&local.port().to_be_bytes());
        Ok(Self {
            name,
            client: Client::new(config.clone(), server, local, Seed(seed), Instant::now()),
            wire,
            buffer: Vec::new(),
            heard: Vec::new(),
        })
    }

    fn allocate(&mut self) -> Result<SocketAddr, String> {
        self.wait_for("allocation", |event| matches!(event, Event::Allocated(_)))?;
        let allocation = self.client.allocation().ok_or("there is no allocation")?;
        let relayed = allocation.relayed().next().ok_or("there is no relayed address")?;
        println!("{}: seen as {:?}, relayed at {relayed}", self.name, allocation.mapped);
        Ok(relayed)
    }

    fn say(&mut self, to: SocketAddr, data: &[u8]) -> Result<(), String> {
        let mut out = [0; MIN_OUT];
        println!("{}: says {:?}", self.name, String::from_utf8_lossy(data));
        let sent = self.client.send(Instant::now(), to, data, &mut out);
        if let Some(transmit) = sent.map_err(|error| error.to_string())? {
            self.write(&out[..transmit.len])?;
        }
        // The first data waits for its permission, which is asked for now.
        self.flush()
    }

    fn hear(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.heard.is_empty() {
            if Instant::now() > deadline {
                return Err(format!(
                    "{} has heard nothing for 10 s: the server does not relay",
                    self.name
                ));
            }
            self.turn()?;
        }
        let (from, data) = self.heard.remove(0);
        println!("{}: hears {:?} from {from}", self.name, String::from_utf8_lossy(&data));
        Ok(())
    }

    fn wait_for(&mut self, what: &str, wanted: impl Fn(&Event) -> bool) -> Result<(), String> {
        loop {
            while let Some(event) = self.client.poll_event() {
                println!("{}: {event:?}", self.name);
                match event {
                    event if wanted(&event) => return Ok(()),
                    Event::Closed(reason) => return Err(reason.to_string()),
                    Event::PeerRefused { error, .. } => return Err(format!("the server refuses the peer: {error}")),
                    _ => {}
                }
            }
            if self.client.state() == State::Closed {
                return Err(format!("it is over, without {what}"));
            }
            self.turn()?;
        }
    }

    /// Does what is due, sends what there is, takes what comes.
    fn turn(&mut self) -> Result<(), String> {
        self.client.handle_timeout(Instant::now());
        self.flush()?;
        let mut bytes = [0; 4096];
        let came = match &mut self.wire {
            Wire::Udp(socket) => socket.recv(&mut bytes),
            Wire::Tcp(stream) => stream.read(&mut bytes),
        };
        let len = match came {
            Ok(len) => len,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => return Ok(()),
            Err(error) => return Err(format!("the server cannot be reached: {error}")),
        };
        let now = Instant::now();
        if let Wire::Udp(_) = self.wire {
            if let Some(received) = self.client.handle_datagram(now, &mut bytes[..len]) {
                self.heard.push((received.peer, received.data.to_vec()));
            }
            return Ok(());
        }
        if len == 0 || self.buffer.len() > MAX_FRAME {
            return Err("the server closed the connection".to_owned());
        }
        self.buffer.extend(&bytes[..len]);
        let heard = &mut self.heard;
        let used = self.client.handle_stream(now, &mut self.buffer, |received| {
            heard.push((received.peer, received.data.to_vec()));
        });
        self.buffer.drain(..used.map_err(|error| error.to_string())?);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), String> {
        let mut out = [0; MIN_OUT];
        while let Some(transmit) = self.client.poll_transmit(Instant::now(), &mut out) {
            self.write(&out[..transmit.len])?;
        }
        Ok(())
    }

    fn write(&mut self, message: &[u8]) -> Result<(), String> {
        let written = match &mut self.wire {
            Wire::Udp(socket) => socket.send(message).map(drop),
            Wire::Tcp(stream) => stream.write_all(message),
        };
        written.map_err(|error| format!("the server cannot be reached: {error}"))
    }
}
