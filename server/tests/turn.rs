//! The TURN server against coturn's clients, over the loopback interface.

#[path = "turn/client.rs"]
mod client;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use client::{Client, start_with, tcp};
use hyaline_server::{Server, Tls, TurnOptions};
use serde_json::Value as Json;
use stun::{AddressFamily, AttributeType, Builder, Class, Message, Method, TransactionId, Value};

/// coturn's echo, ended with the test.
struct Echo {
    child: Child,
    port: u16,
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Echo {
    fn start() -> Self {
        // A port that is free now; it is taken when an echo comes back.
        let probe = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = probe.local_addr().unwrap().port();
        drop(probe);
        let child = Command::new("turnutils_peer")
            .args(["-L", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("turnutils_peer runs: `cargo xtask test` installs coturn");
        let echo = Self { child, port };
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let start = Instant::now();
        let mut out = [0; 16];
        loop {
            drop(socket.send_to(b"ready?", ("127.0.0.1", port)));
            if socket.recv(&mut out).is_ok() {
                return echo;
            }
            assert!(start.elapsed() < Duration::from_secs(10), "the echo does not answer");
        }
    }
}

struct House {
    server: Server,
    echo: Echo,
}

fn start(change: impl FnOnce(&mut TurnOptions)) -> Server {
    start_with(Some(Tls::SelfSigned), change)
}

/// What `/metrics` says of a counter of the TURN server, once that is not nothing: it is told every second.
fn metric(server: &Server, name: &str) -> u64 {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(20) {
        if let Some(value) = metric_now(server, name).filter(|value| *value > 0) {
            return value;
        }
    }
    0
}

/// What `/metrics` says of a counter, if it says anything.
fn metric_now(server: &Server, name: &str) -> Option<u64> {
    let mut stream = TcpStream::connect(server.http_addr()).unwrap();
    let request = "GET /metrics HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with(&format!("hyaline_{name}_total ")))?;
    line.rsplit(' ').next()?.parse().ok()
}

impl House {
    fn new(change: impl FnOnce(&mut TurnOptions)) -> Self {
        Self {
            server: start(change),
            echo: Echo::start(),
        }
    }

    fn port(&self) -> String {
        self.server.turn_addrs()[0].port().to_string()
    }

    /// Those of coturn, which are told where the server is.
    fn clients(&self) -> Clients {
        Clients {
            plain: self.server.turn_addrs()[0].port(),
            tls: self.server.turn_tls_addrs().first().map_or(0, SocketAddr::port),
        }
    }

    fn client(&self, credentials: &[&str], flags: &str) -> Output {
        self.clients().run(credentials, flags)
    }

    fn passes(&self, credentials: &[&str], flags: &str) {
        self.clients().pass(credentials, flags);
    }

    /// Several at a time: each waits for seconds now and then.
    fn passes_each(&self, all: &[String]) {
        let clients = self.clients();
        std::thread::scope(|scope| {
            for flags in all {
                scope.spawn(move || clients.pass(KNOWN, flags));
            }
        });
    }
}

/// The ports of a server.
#[derive(Clone, Copy)]
struct Clients {
    plain: u16,
    tls: u16,
}

impl Clients {
    fn run(self, credentials: &[&str], flags: &str) -> Output {
        let port = if flags.contains("-S") { self.tls } else { self.plain };
        let mut client = Command::new("timeout");
        client
            .args(["60", "turnutils_uclient"])
            .args(credentials)
            .args(["-p", &port.to_string()]);
        client.args(flags.split_whitespace()).arg("127.0.0.1");
        client
            .output()
            .expect("turnutils_uclient runs: `cargo xtask test` installs coturn")
    }

    /// Runs a client to its end and demands that nothing is lost.
    fn pass(self, credentials: &[&str], flags: &str) {
        let output = self.run(credentials, flags);
        let text = String::from_utf8_lossy(&output.stdout);
        let number = |name: &str| {
            let rest = text.rsplit(name).next().filter(|rest| rest.len() < text.len());
            let digits = rest.map(|rest| rest.trim_start_matches([' ', '=']));
            digits.and_then(|digits| digits.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok())
        };
        let (sent, received) = (number("tot_send_msgs="), number("tot_recv_msgs="));
        let lost = text.contains("Total lost packets 0 ");
        assert!(
            output.status.success() && lost && sent.is_some_and(|sent| sent > 0) && sent == received,
            "turnutils_uclient {flags}: {:?}, sent {sent:?}, received {received:?}\n{text}",
            output.status
        );
    }
}

const KNOWN: &[&str] = &["-u", "u", "-w", "p"];

#[test]
fn a_binding_is_answered_over_udp() {
    let server = start(|_| ());
    let output = Command::new("timeout")
        .args([
            "10",
            "turnutils_stunclient",
            "-p",
            &server.turn_addrs()[0].port().to_string(),
            "127.0.0.1",
        ])
        .output()
        .expect("turnutils_stunclient runs: `cargo xtask test` installs coturn");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("UDP reflexive addr: 127.0.0.1:"),
        "{text}"
    );
}

#[test]
fn clients_of_coturn_over_udp() {
    let house = House::new(|_| ());
    let echo = format!("-e 127.0.0.1 -r {} -n 20 -m 2", house.echo.port);
    let to_echo = ["", "-s", "-G", "-g", "-X", "-Z", "-c"].map(|flags| format!("{flags} {echo}"));
    let to_each_other = ["-y", "-y -s", "-y -c -x"].map(|flags| format!("{flags} -n 20 -m 2"));
    house.passes_each(&to_echo);
    house.passes_each(&to_each_other);
}

#[test]
fn clients_of_coturn_over_tcp_and_tls() {
    let house = House::new(|_| ());
    let echo = format!("-e 127.0.0.1 -r {} -n 20 -m 2", house.echo.port);
    house.passes_each(&["-t", "-t -s", "-t -S", "-t -S -s"].map(|flags| format!("{flags} {echo}")));
}

#[test]
fn clients_of_coturn_relay_tcp() {
    let house = House::new(|_| ());
    house.passes_each(&["-T", "-T -S"].map(|flags| format!("{flags} -n 20 -m 2")));
}

#[test]
fn what_is_wrong_is_refused() {
    let house = House::new(|_| ());
    let echo = format!("-e 127.0.0.1 -r {} -n 5 -m 1", house.echo.port);
    let output = house.client(&["-u", "u", "-w", "BAD"], &echo);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        !output.status.success() && text.contains("Cannot complete Allocation"),
        "{text}"
    );
    let output = house.client(KNOWN, &format!("-N {echo}"));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        !output.status.success() && text.contains("channel bind: error 400"),
        "{text}"
    );
}

#[test]
fn credentials_with_a_time_are_accepted() {
    let house = House::new(|turn| {
        turn.users.clear();
        turn.secrets = vec!["another".into(), "the secret".into()];
    });
    let echo = format!("-e 127.0.0.1 -r {} -n 20 -m 2", house.echo.port);
    house.passes(&["-u", "ann", "-W", "the secret"], &echo);
}

#[test]
fn loopback_is_no_peer_where_private_addresses_are() {
    let house = House::new(|turn| (turn.allow_private, turn.allow_loopback) = (true, false));
    let echo = format!("-e 127.0.0.1 -r {} -n 5 -m 1", house.echo.port);
    let output = house.client(KNOWN, &echo);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("error 403"), "{text}");
}

fn binding() -> Vec<u8> {
    let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    request.extend([7; 12]);
    request
}

#[test]
fn messages_are_found_in_a_stream_however_it_is_cut() {
    let server = start(|_| ());
    let mut stream = tcp(&server);
    // A message and a part of the next one, whose rest comes only when the first one is answered; then bytes.
    let four = binding().repeat(4);
    let (first, rest) = four.split_at(33);
    stream.write_all(first).unwrap();
    let mut answers = [0; 32 * 4];
    stream.read_exact(&mut answers[..32]).unwrap();
    for part in rest.chunks(7) {
        stream.write_all(part).unwrap();
    }
    stream.read_exact(&mut answers[32..]).unwrap();
    let whole = |answer: &[u8]| answer[..2] == [1, 1] && answer[8..20] == [7; 12];
    assert!(answers.chunks(32).all(whole));
}

#[test]
fn a_stream_that_is_no_turn_is_closed() {
    let server = start_with(None, |_| ());
    let mut stream = tcp(&server);
    stream.write_all(b"\x16\x03\x01\x00\x05hello").unwrap();
    match stream.read(&mut [0; 16]) {
        Ok(len) => assert_eq!(len, 0),
        // Not everything was read.
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
    assert_eq!(metric(&server, "turn_streams_closed"), 1);
}

/// Whether the server has closed a connection on which nothing was asked, before it would for its silence.
fn is_closed(mut stream: &TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    match stream.read(&mut [0; 16]) {
        Ok(len) => len == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

#[test]
fn strangers_of_a_network_have_few_connections_and_those_who_are_in_more() {
    let server = start_with(None, |_| ());
    let mut control = Client::new(&server);
    control.ask(Method::ALLOCATE, &[Value::RequestedTransport(6)]);
    let _strangers: Vec<_> = (0..63).map(|_| tcp(&server)).collect();
    // One of them shows a password: there is room for another one.
    let mut second = Client::new(&server);
    second.nonce.clone_from(&control.nonce);
    assert!(is_closed(&tcp(&server)));
    second.ask(Method::ALLOCATE, &[Value::RequestedTransport(17)]);
    let mut last = tcp(&server);
    last.write_all(&binding()).unwrap();
    last.read_exact(&mut [0; 32]).unwrap();
    assert!(is_closed(&tcp(&server)));
}

#[test]
fn a_client_that_reads_nothing_holds_nobody() {
    let server = start_with(None, |_| ());
    let mut slow = tcp(&server);
    slow.set_nonblocking(true).unwrap();
    // Answers to a hundred thousand requests wait for it, until the server keeps no more of them.
    let many = binding().repeat(100);
    let mut written = 0;
    let start = Instant::now();
    while written < 4 << 20 && start.elapsed() < Duration::from_secs(20) {
        match slow.write(&many[written % many.len()..]) {
            Ok(len) => written += len,
            Err(_) => std::thread::yield_now(),
        }
    }
    assert!(written >= 4 << 20, "the server reads on: {written}");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket
        .send_to(&binding(), ("127.0.0.1", server.turn_addrs()[0].port()))
        .unwrap();
    let mut out = [0; 64];
    assert_eq!(socket.recv(&mut out).unwrap(), 32);
    let mut other = tcp(&server);
    other.write_all(&binding()).unwrap();
    other.read_exact(&mut out[..32]).unwrap();
    assert!(metric(&server, "turn_stream_dropped") > 0);
}

/// Data for a peer.
fn send(client: &mut Client, peer: Value<'_>, data: &[u8]) {
    let mut out = [0; 64];
    let mut b = Builder::new(&mut out, Class::Indication, Method::SEND, TransactionId([9; 12])).unwrap();
    b.push(&peer).unwrap();
    b.push(&Value::Data(data)).unwrap();
    client.stream.write_all(b.finish()).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_client_is_told_that_nobody_is_there_and_reaches_others() {
    let server = start_with(None, |_| ());
    // Port unreachable, in ICMP and ICMPv6.
    for (family, nobody, unreachable) in [
        (AddressFamily::IPV4, "127.0.0.1:1", (3, 3)),
        (AddressFamily::IPV6, "[::1]:1", (1, 4)),
    ] {
        let nobody: SocketAddr = nobody.parse().unwrap();
        let peer = UdpSocket::bind((nobody.ip(), 0)).unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut client = Client::new(&server);
        let wanted = [Value::RequestedTransport(17), Value::RequestedAddressFamily(family)];
        client.ask(Method::ALLOCATE, &wanted);
        client.ask(Method::CREATE_PERMISSION, &[Value::XorPeerAddress(nobody)]);
        for round in 0..10 {
            send(&mut client, Value::XorPeerAddress(nobody), b"?");
            send(&mut client, Value::XorPeerAddress(peer.local_addr().unwrap()), &[round]);
            let mut data = [0; 8];
            assert_eq!((peer.recv(&mut data).unwrap(), data[0]), (1, round));
            let told = client.receive();
            let told = Message::parse(&told).unwrap();
            assert_eq!((told.class(), told.method()), (Class::Indication, Method::DATA));
            assert_eq!(told.xor_peer_address(), Ok(Some(nobody)));
            let icmp = told.attribute(AttributeType::ICMP).unwrap().decode();
            let Ok(Value::Icmp { kind, code, data: 0 }) = icmp else {
                panic!("{icmp:?}");
            };
            assert_eq!((kind, code), unreachable);
        }
        client.ask(Method::REFRESH, &[Value::Lifetime(0)]);
    }
    // Once it is told of another allocation, all that was before is told, too.
    Client::new(&server).ask(Method::ALLOCATE, &[Value::RequestedTransport(17)]);
    while metric(&server, "turn_allocations") < 3 {}
    assert_eq!(metric_now(&server, "turn_told_icmp"), Some(20));
    let quiet = ["turn_udp_send_refused", "turn_udp_receive_failed", "turn_limited_icmp"];
    assert_eq!(quiet.map(|name| metric_now(&server, name)), [Some(0); 3]);
}

#[test]
fn what_the_sockets_count_is_told() {
    let server = start_with(None, |_| ());
    let mut client = Client::new(&server);
    client.ask(Method::ALLOCATE, &[Value::RequestedTransport(17)]);
    // From a loopback address nothing goes there.
    let peer = Value::XorPeerAddress("203.0.113.5:7".parse().unwrap());
    client.ask(Method::CREATE_PERMISSION, &[peer]);
    send(&mut client, peer, b"data");
    client.ask(Method::REFRESH, &[Value::Lifetime(0)]);
    assert_eq!(metric(&server, "turn_udp_send_refused"), 1);
}

/// Writes numbers, and reads on the other side when that is full.
fn flows(mut from: TcpStream, mut to: TcpStream) {
    const LEN: usize = 32 << 20;
    let byte = |at: usize| (at >> 8) as u8 ^ at as u8;
    let (full, read) = std::sync::mpsc::channel();
    let writer = std::thread::spawn(move || {
        from.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
        let mut at = 0;
        while at < LEN {
            let chunk: Vec<u8> = (at..LEN.min(at + 65_536)).map(byte).collect();
            match from.write(&chunk) {
                Ok(len) => at += len,
                // Nothing is taken any more: neither is anything kept without end.
                Err(_) => drop(full.send(at)),
            }
        }
        from
    });
    let held = read
        .recv_timeout(Duration::from_secs(60))
        .expect("the server does not take everything");
    assert!(held < LEN);
    let mut at = 0;
    let mut out = vec![0; 65_536];
    while at < LEN {
        let len = to.read(&mut out).unwrap();
        assert!(len > 0, "it ends at {at}");
        assert!(out[..len].iter().enumerate().all(|(n, got)| *got == byte(at + n)));
        at += len;
    }
    drop(writer.join().unwrap());
    // What ends on one side ends on the other (RFC 6062 §5.5).
    assert_eq!(to.read(&mut out).unwrap(), 0);
}

/// A connection to the server from a port that no other test has a connection from.
fn tcp_of_its_own(server: &Server) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 62], 0)).into()).unwrap();
    let to = SocketAddr::from(([127, 0, 0, 1], server.turn_addrs()[0].port()));
    socket.connect(&to.into()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.into()
}

/// A peer's connection and a client's, spliced.
fn spliced(server: &Server) -> [TcpStream; 3] {
    let mut control = Client::new(server);
    let answer = control.ask(Method::ALLOCATE, &[Value::RequestedTransport(6)]);
    let relayed = Message::parse(&answer).unwrap().xor_relayed_address().unwrap().unwrap();
    let peer_address = Value::XorPeerAddress("127.0.0.1:9".parse().unwrap());
    control.ask(Method::CREATE_PERMISSION, &[peer_address]);
    let peer = TcpStream::connect(relayed).unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let attempt = control.receive();
    let attempt = Message::parse(&attempt).unwrap();
    assert_eq!(attempt.method(), Method::CONNECTION_ATTEMPT);
    let id = attempt.attribute(AttributeType::CONNECTION_ID).unwrap();
    let mut data = Client::by(tcp_of_its_own(server));
    data.nonce.clone_from(&control.nonce);
    data.ask(
        Method::CONNECTION_BIND,
        &[Value::Other(AttributeType::CONNECTION_ID, id.value())],
    );
    [peer, data.stream, control.stream]
}

#[test]
fn spliced_connections_slow_each_other_and_lose_nothing() {
    let server = start_with(None, |turn| turn.bytes_per_second = 10_000_000);
    let [peer, client, _control] = spliced(&server);
    let [other_peer, other_client, _other_control] = spliced(&server);
    let start = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(move || flows(peer, client));
        scope.spawn(move || flows(other_client, other_peer));
    });
    // An allocation relays 10 MB a second, and 5 MB at once.
    assert!(start.elapsed() > Duration::from_millis(2800), "{:?}", start.elapsed());
    // It is told after a second at most.
    for name in ["turn_sent_bytes", "turn_received_bytes"] {
        while metric(&server, name) < 32 << 20 {
            assert!(start.elapsed() < Duration::from_secs(60), "{name}");
        }
    }
}

#[test]
fn a_client_may_come_back_from_the_port_of_a_connection_that_is_not_read() {
    let server = start_with(None, |turn| turn.bytes_per_second = UNLIMITED);
    let [peer, data, _control] = spliced(&server);
    // The peer reads nothing, and after a while the server reads no more of the client.
    fill(&server, &data);
    let from = data.local_addr().unwrap();
    let data = socket2::Socket::from(data);
    data.set_linger(Some(Duration::ZERO)).unwrap();
    drop(data);
    let again = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    again.set_reuse_address(true).unwrap();
    // While another test starts a process, that has a copy of the connection for a moment, which is not closed yet
    // then.
    let start = Instant::now();
    while let Err(error) = again.bind(&from.into()) {
        assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
        assert!(start.elapsed() < Duration::from_secs(10), "{from} stays in use");
        std::thread::sleep(Duration::from_millis(1));
    }
    again
        .connect(&SocketAddr::from(([127, 0, 0, 1], server.turn_addrs()[0].port())).into())
        .unwrap();
    let mut again = TcpStream::from(again);
    again.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut answer = [0; 32];
    again.write_all(&binding()).unwrap();
    again.read_exact(&mut answer).unwrap();
    // All that belonged to the connection before ends, and it does not take this one along.
    drop(std::io::copy(&mut &peer, &mut std::io::sink()));
    again.write_all(&binding()).unwrap();
    again.read_exact(&mut answer).unwrap();
}

/// More than any of these tests relays, so that nothing waits for the rate.
const UNLIMITED: u64 = 1 << 30;

/// Writes until nothing is taken any more, although the server had several turns to do so. Says how much was.
fn fill(server: &Server, mut stream: &TcpStream) -> usize {
    stream.set_nonblocking(true).unwrap();
    let mut turns = Client::new(server);
    let chunk = vec![7; 65_536];
    let (mut written, mut idle) = (0, 0);
    while idle < 20 {
        match stream.write(&chunk) {
            Ok(len) => (written, idle) = (written + len, 0),
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
                idle += 1;
                turns.stream.write_all(&binding()).unwrap();
                turns.receive();
            }
        }
    }
    stream.set_nonblocking(false).unwrap();
    written
}

#[test]
fn what_a_peer_has_sent_before_it_hung_up_arrives() {
    let server = start_with(None, |turn| turn.bytes_per_second = UNLIMITED);
    let [peer, mut data, _control] = spliced(&server);
    // Nobody reads on either side, so that data waits everywhere; then the peer says that this was all.
    fill(&server, &data);
    let sent = fill(&server, &peer);
    peer.shutdown(std::net::Shutdown::Write).unwrap();
    let mut came = 0;
    let mut out = vec![0; 65_536];
    loop {
        match data.read(&mut out) {
            Ok(0) => break,
            Ok(len) => came += len,
            Err(error) => panic!("{error} after {came} bytes of {sent}"),
        }
    }
    assert_eq!(came, sent);
}

#[test]
fn without_a_user_there_is_none() {
    let server = start(|turn| turn.users.clear());
    assert!(server.turn_addrs().is_empty() && server.turn_tls_addrs().is_empty());
}

/// What the server tells who joins a room, as `RTCConfiguration.iceServers` has it.
fn told_to_pages(server: &Server) -> Json {
    let url = format!("ws://{}/v1/rooms/tea/ws", server.http_addr());
    let (mut socket, _) = tungstenite::client(url, TcpStream::connect(server.http_addr()).unwrap()).unwrap();
    socket
        .send(tungstenite::Message::text(r#"{"type":"join","name":"Ada"}"#))
        .unwrap();
    // A ping may come before.
    let text = loop {
        if let tungstenite::Message::Text(text) = socket.read().unwrap() {
            break text;
        }
    };
    let joined: Json = serde_json::from_str(&text).unwrap();
    assert_eq!(joined["type"], "joined");
    joined["iceServers"].clone()
}

#[test]
fn pages_are_told_of_the_server_with_credentials_that_work() {
    // With users alone, and with two secrets, of which the second is the new one.
    for secrets in [vec![], vec!["an old secret".into(), "a new secret".into()]] {
        let house = House {
            server: start_with(None, |turn| turn.secrets = secrets.clone()),
            echo: Echo::start(),
        };
        let servers = told_to_pages(&house.server);
        let [server] = servers.as_array().unwrap().as_slice() else {
            panic!("{servers}")
        };
        let port = house.port();
        let expected = [
            format!("turn:127.0.0.1:{port}?transport=udp"),
            format!("turn:127.0.0.1:{port}?transport=tcp"),
            format!("turn:[::1]:{port}?transport=udp"),
            format!("turn:[::1]:{port}?transport=tcp"),
        ];
        assert_eq!(server["urls"], serde_json::json!(expected));
        let text = |name: &str| server[name].as_str().unwrap().to_owned();
        let credentials = ["-u", &text("username"), "-w", &text("credential")];
        let echo = format!("-e 127.0.0.1 -r {} -n 5 -c", house.echo.port);
        house.passes(&credentials, &echo);
        house.passes(&credentials, &format!("{echo} -t"));
    }
}

#[test]
fn pages_are_told_of_nothing_without_a_turn_server() {
    let server = start_with(None, |turn| turn.users.clear());
    assert_eq!(told_to_pages(&server), serde_json::json!([]));
}
