//! Media over TCP alone (RFC 6544, RFC 4571), with the real engine.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyaline_server::{Options, Server};
use ice::Deframer;
use peer::testing::Client;
use peer::{Direction, Kind};
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

const PATIENCE: Duration = Duration::from_secs(20);

fn start(change: impl FnOnce(&mut Options)) -> Server {
    let mut options = Options {
        http: SocketAddr::from(([127, 0, 0, 1], 0)),
        workers: 1.try_into().unwrap(),
        announce: vec![[127, 0, 0, 1].into()],
        ..Options::default()
    };
    change(&mut options);
    Server::start(&options).unwrap()
}

fn request(server: &Server, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(server.http_addr()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-type: application/sdp\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

fn counter(server: &Server, name: &str) -> u64 {
    let metrics = request(server, "GET", "/metrics", "");
    let line = format!("hyaline_{name}_total{{worker=\"0\"}} ");
    let value = metrics.lines().find_map(|other| other.strip_prefix(&line));
    value
        .unwrap_or_else(|| panic!("{name} is not in {metrics}"))
        .parse()
        .unwrap()
}

/// Somebody whose datagrams go through one TCP connection.
struct Caller {
    client: Client,
    stream: TcpStream,
    deframer: Deframer,
    timestamp: u32,
}

impl Caller {
    /// With a receive buffer of this many bytes, if it is to be a small one.
    fn new(server: &Server, number: u64, receive_buffer: Option<usize>) -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        if let Some(size) = receive_buffer {
            socket.set_recv_buffer_size(size).unwrap();
        }
        socket.connect(&server.media_addrs()[0][0].into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        stream.set_nodelay(true).unwrap();
        let crypto = Arc::new(dtls_srtp::RingCrypto::new());
        let dtls = dtls_srtp::Config::new(crypto, dtls_srtp::Certificate::generate().unwrap());
        let mut client = Client::with_dtls(number, stream.local_addr().unwrap(), dtls);
        client.add(Kind::Audio, Direction::SendRecv);
        client.add(Kind::Video, Direction::SendRecv);
        Self {
            client,
            stream,
            deframer: Deframer::new(1500),
            timestamp: 0,
        }
    }

    fn echo(server: &Server, number: u64, receive_buffer: Option<usize>) -> Self {
        let mut caller = Self::new(server, number, receive_buffer);
        let answer = request(server, "POST", "/v1/echo", &caller.client.offer());
        caller.client.accept(Instant::now(), &answer);
        caller.until(|client| !client.dtls_events.is_empty());
        caller
    }

    fn send(&mut self) {
        let now = Instant::now();
        self.client.handle_timeout(now);
        while let Some(datagram) = self.client.poll_transmit(now) {
            let mut frame = u16::try_from(datagram.len()).unwrap().to_be_bytes().to_vec();
            frame.extend(datagram);
            self.stream.write_all(&frame).unwrap();
        }
    }

    fn receive(&mut self) {
        let now = Instant::now();
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => panic!("the server has closed the connection"),
            Ok(length) => {
                let client = &mut self.client;
                let each = |frame: &mut [u8]| client.handle_datagram(now, frame);
                self.deframer.push(&mut buffer[..length], each).unwrap();
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn until(&mut self, done: impl Fn(&Client) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(&self.client) {
            assert!(Instant::now() < deadline, "{:?}", self.client.dtls_events);
            self.send();
            self.receive();
        }
        // A DTLS client is connected before its last flight has left (RFC 8446 §2).
        self.send();
    }

    /// Sends sound until some of it has come back.
    fn hear_the_echo(&mut self) {
        let wanted = self.client.rtp.len() + 10;
        let deadline = Instant::now() + PATIENCE;
        while self.client.rtp.len() < wanted {
            assert!(Instant::now() < deadline, "{} of {wanted}", self.client.rtp.len());
            self.speak(100);
            self.send();
            self.receive();
        }
    }

    fn speak(&mut self, size: usize) {
        self.timestamp += 960;
        self.client.send_media(0, self.timestamp, &vec![7; size]);
    }
}

#[test]
fn media_flows_both_ways_by_tcp_alone() {
    let server = start(|_| {});
    let mut caller = Caller::echo(&server, 1, None);
    caller.hear_the_echo();
    caller.until(|client| !client.rtcp.is_empty());
    assert_eq!(counter(&server, "tcp_connections_accepted"), 1);
    assert_eq!(counter(&server, "udp_received_datagrams"), 0);
    assert_eq!(counter(&server, "tcp_frames_dropped"), 0);
    assert_eq!(counter(&server, "ice_unvalidated_activity"), 0);
}

#[test]
fn answers_name_passive_candidates_below_those_of_udp() {
    for tcp in [true, false] {
        let server = start(|options| options.tcp = tcp);
        let mut client = Client::new(1, "127.0.0.1:9".parse().unwrap());
        client.add(Kind::Audio, Direction::SendRecv);
        let answer = request(&server, "POST", "/v1/echo", &client.offer());
        let candidates: Vec<_> = answer
            .lines()
            .filter_map(|line| line.strip_prefix("a=candidate:"))
            .map(|line| sdp::Candidate::parse(line).unwrap())
            .collect();
        let address = server.media_addrs()[0][0];
        assert!(
            candidates
                .iter()
                .all(|candidate| candidate.socket_addr() == Some(address))
        );
        let kinds: Vec<_> = candidates
            .iter()
            .map(|candidate| (candidate.transport, candidate.tcp_type))
            .collect();
        let udp = (sdp::Transport::Udp, None);
        if tcp {
            assert_eq!(kinds, [udp, (sdp::Transport::Tcp, Some(sdp::TcpType::Passive))]);
            assert!(candidates[0].priority > candidates[1].priority);
        } else {
            assert_eq!(kinds, [udp]);
            assert!(TcpStream::connect(address).is_err());
        }
    }
}

/// One reads nothing of what it is sent. The other's media goes on, and what waits for the first is dropped.
#[test]
fn who_does_not_read_holds_nobody_up() {
    let server = start(|_| {});
    let mut slow = Caller::echo(&server, 1, Some(4096));
    let mut other = Caller::echo(&server, 2, None);
    let mut round = 0;
    while counter(&server, "tcp_frames_dropped") == 0 {
        round += 1;
        assert!(round < 20, "nothing is dropped");
        for _ in 0..200 {
            slow.speak(1100);
        }
        slow.send();
        other.hear_the_echo();
    }
    other.hear_the_echo();
}

fn enter(server: &Server, name: &str) -> WebSocket<TcpStream> {
    let stream = TcpStream::connect(server.http_addr()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let url = format!("ws://{}/v1/rooms/tea/ws", server.http_addr());
    let (mut socket, _) = tungstenite::client(url, stream).unwrap();
    say(&mut socket, &json!({"type": "join", "name": name}));
    socket
}

fn say(socket: &mut WebSocket<TcpStream>, message: &Value) {
    socket.send(Message::text(message.to_string())).unwrap();
}

fn hear_of(socket: &mut WebSocket<TcpStream>, kind: &str) -> Value {
    loop {
        if let Message::Text(text) = socket.read().unwrap() {
            let message: Value = serde_json::from_str(&text).unwrap();
            if message["type"] == kind {
                return message;
            }
        }
    }
}

/// A path that ends with its connection is known to be gone at once, long before silence would tell; and another
/// connection of the same peer goes on where it was.
#[test]
fn a_closed_connection_is_a_path_less() {
    let server = start(|_| {});
    let mut bob = enter(&server, "Bob");
    let mut ada = enter(&server, "Ada");
    let mut caller = Caller::new(&server, 1, None);
    let offer = caller.client.offer();
    say(&mut ada, &json!({"type": "offer", "id": 1, "sdp": offer}));
    let answer = hear_of(&mut ada, "answer");
    caller.client.accept(Instant::now(), answer["sdp"].as_str().unwrap());
    caller.until(|client| !client.dtls_events.is_empty());
    assert_eq!(hear_of(&mut bob, "connection")["state"], "connected");

    caller.stream = TcpStream::connect(server.media_addrs()[0][0]).unwrap();
    caller.stream.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    caller.deframer = Deframer::new(1500);
    assert_eq!(hear_of(&mut bob, "connection")["state"], "disconnected");
    // The next check comes by the new connection.
    bob.get_ref().set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "it did not come back");
        caller.send();
        caller.receive();
        if let Ok(Message::Text(text)) = bob.read() {
            let message: Value = serde_json::from_str(&text).unwrap();
            if message["type"] == "connection" {
                assert_eq!(message["state"], "connected");
                break;
            }
        }
    }
    assert_eq!(counter(&server, "tcp_connections_lost"), 1);
}
