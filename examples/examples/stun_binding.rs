//! Ask a STUN server for the address that it sees us under: the server-reflexive candidate of ICE.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

use stun::{Builder, Class, Message, Method, TransactionId};
use turn::{Host, ServerUri, UriTransport};

const USAGE: &str = "\
Asks a STUN server under which address it sees this machine.

usage: cargo run -p hyaline-examples --example stun_binding -- stun:HOST[:PORT]

for example stun:stun.l.google.com:19302, or stun:[2001:db8::1]; the port is 3478 unless it is given";

fn main() {
    let argument = std::env::args().nth(1);
    let Some(uri) = argument.filter(|argument| !matches!(argument.as_str(), "-h" | "--help")) else {
        println!("{USAGE}");
        return;
    };
    if let Err(problem) = ask(&uri) {
        eprintln!("stun_binding: {problem}");
        std::process::exit(1);
    }
}

fn ask(uri: &str) -> Result<(), String> {
    let uri: ServerUri = uri.parse().map_err(|error| format!("`{uri}` is no server: {error}"))?;
    if uri.scheme().is_secure() || uri.transport() != UriTransport::Udp {
        return Err("this example speaks STUN over UDP only: give a `stun:` URI".to_owned());
    }
    let mut answered = false;
    for server in resolve(&uri)? {
        let started = Instant::now();
        match binding(server) {
            Ok(mapped) => {
                answered = true;
                println!("{server}: sees us as {mapped}, after {:.1?}", started.elapsed());
            }
            Err(error) => println!("{server}: {error}"),
        }
    }
    let silence = "no server answered; check the address, and that UDP may leave this network";
    answered.then_some(()).ok_or_else(|| silence.to_owned())
}

/// One address of each family.
fn resolve(uri: &ServerUri) -> Result<Vec<SocketAddr>, String> {
    let all: Vec<SocketAddr> = match uri.host() {
        Host::Ip(address) => vec![SocketAddr::new(*address, uri.port())],
        Host::Name(name) => (&**name, uri.port())
            .to_socket_addrs()
            .map_err(|error| format!("the name `{name}` cannot be resolved ({error}); check its spelling"))?
            .collect(),
    };
    let first = |wanted: fn(&SocketAddr) -> bool| all.iter().copied().find(wanted);
    Ok([first(SocketAddr::is_ipv4), first(SocketAddr::is_ipv6)]
        .into_iter()
        .flatten()
        .collect())
}

/// Asks with the retransmissions of RFC 8489 §6.2.1: after 500 ms, then after twice as long each time.
fn binding(server: SocketAddr) -> io::Result<SocketAddr> {
    let any = if server.is_ipv4() {
        IpAddr::from([0; 4])
    } else {
        IpAddr::from([0; 16])
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
    socket.connect(server)?;
    // In an engine this grows from a seed; here the port that the system chose and the time will do.
    let mut id = [0; 12];
    let time = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
    id.copy_from_slice(&time.to_be_bytes()[4..]);
    id[..2].copy_from_slice(&socket.local_addr()?.port().to_be_bytes());
    let id = TransactionId(id);

    let (mut out, mut buffer) = ([0; 64], [0; 1500]);
    let builder = Builder::new(&mut out, Class::Request, Method::BINDING, id).map_err(io::Error::other)?;
    let request = builder.finish();
    let mut wait = Duration::from_millis(500);
    for _ in 0..5 {
        socket.send(request)?;
        let deadline = Instant::now() + wait;
        wait *= 2;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            socket.set_read_timeout(Some(left))?;
            let len = match socket.recv(&mut buffer) {
                Ok(len) => len,
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => break,
                Err(error) => return Err(error),
            };
            // Whatever is no answer to this request is passed over.
            let answer = Message::parse(&buffer[..len]).ok();
            let answer = answer.filter(|answer| answer.transaction_id() == id);
            match answer.map(|answer| (answer.class(), answer.xor_mapped_address())) {
                Some((Class::SuccessResponse, Ok(Some(mapped)))) => return Ok(mapped),
                Some((Class::ErrorResponse, _)) => return Err(io::Error::other("the server refused to answer")),
                _ => {}
            }
        }
    }
    Err(io::Error::other("no answer"))
}
