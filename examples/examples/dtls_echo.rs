//! An echo over DTLS without WebRTC: real sockets, no ICE, no SRTP, clients without certificates, which prove their
//! addresses with cookies. OpenSSL can be the other end.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dtls_srtp::{
    Authentication, Certificate, ClientCertificate, Config, CookieExchange, CookieLimits, Dtls, Event, Exchanged,
    Fingerprint, RingCrypto, Role,
};
use wire::Seed;

const USAGE: &str = "\
Sends back what comes over DTLS, or says something and prints what comes back.

usage: cargo run -p hyaline-examples --example dtls_echo -- listen [ADDRESS]
       cargo run -p hyaline-examples --example dtls_echo -- connect ADDRESS TEXT [FINGERPRINT]

  ADDRESS      an IP address and a port; `listen` has 127.0.0.1:4433 unless told otherwise
  TEXT         what `connect` says; it ends with the first answer
  FINGERPRINT  of the server's certificate, as `listen` prints it: 'sha-256 AB:CD:..'.
               Without one nothing tells that the server is the right one.

`listen` lets a client go that says nothing for a minute.

Two of these speak DTLS 1.3. OpenSSL has 1.2:

  openssl s_client -dtls1_2 -connect 127.0.0.1:4433
  openssl s_server -dtls1_2 -accept 127.0.0.1:4433 -cert cert.pem -key key.pem";

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["listen"] => listen("127.0.0.1:4433".parse()?),
        ["listen", address] => listen(address.parse()?),
        ["connect", address, text] => connect(address.parse()?, text, None),
        ["connect", address, text, fingerprint] => connect(address.parse()?, text, Some(fingerprint.parse()?)),
        _ => {
            println!("{USAGE}");
            let asked = matches!(arguments[..], [] | ["-h" | "--help", ..]);
            std::process::exit(i32::from(!asked));
        }
    }
}

fn listen(address: SocketAddr) -> Result<(), Failure> {
    let mut server = Server::new(address, Certificate::generate()?)?;
    println!("listening on {}", server.socket.local_addr()?);
    println!("fingerprint: {}", server.config.certificate.fingerprint());
    loop {
        server.turn()?;
    }
}

fn connect(server: SocketAddr, text: &str, fingerprint: Option<Fingerprint>) -> Result<(), Failure> {
    if fingerprint.is_none() {
        println!("without a fingerprint: this may be anybody");
    }
    let mut client = Client::new(server, fingerprint)?;
    while client.answer.is_none() {
        client.turn(text.as_bytes())?;
    }
    let answer = client.answer.take().unwrap_or_default();
    println!("answer: {}", String::from_utf8_lossy(&answer).trim_end());
    Ok(client.close()?)
}

/// What both ends have in common. Nothing here carries media, and clients say who they are in what they say, if at all.
fn config(certificate: Certificate, authentication: Authentication) -> Config {
    Config {
        srtp_profiles: Vec::new(),
        authentication,
        client_certificate: ClientCertificate::Optional,
        ..Config::new(Arc::new(RingCrypto::new()), certificate)
    }
}

/// From the operating system.
fn seed() -> io::Result<Seed> {
    let mut seed = [0; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut seed)?;
    Ok(Seed(seed))
}

struct Server {
    socket: UdpSocket,
    config: Arc<Config>,
    /// Anybody can write somebody else's address on a datagram: who has no connection proves its own first.
    door: CookieExchange,
    /// Each client is one for as long as it keeps its address.
    guests: HashMap<SocketAddr, Guest>,
}

struct Guest {
    dtls: Dtls,
    /// When it last sent something that nobody else can have sent.
    heard: Instant,
}

impl Server {
    const MAX_GUESTS: usize = 100;

    /// Who is silent for so long is let go: it may be gone without a goodbye.
    const IDLE: Duration = Duration::from_secs(60);

    fn new(address: SocketAddr, certificate: Certificate) -> io::Result<Self> {
        let config = Arc::new(config(certificate, Authentication::Unauthenticated));
        Ok(Self {
            socket: UdpSocket::bind(address)?,
            door: CookieExchange::new(config.clone(), CookieLimits::default(), seed()?, Instant::now()),
            config,
            guests: HashMap::new(),
        })
    }

    /// Waits a moment for a datagram, and does what is due.
    fn turn(&mut self) -> io::Result<()> {
        let mut buffer = [0; 2048];
        let timers = self.guests.values().filter_map(|guest| guest.dtls.poll_timeout());
        let due = timers.chain(self.door.poll_timeout()).min();
        if let Some((len, from)) = receive(&self.socket, due, &mut buffer)? {
            self.take(from, &mut buffer[..len])?;
        }
        self.advance(Instant::now())
    }

    fn advance(&mut self, now: Instant) -> io::Result<()> {
        self.door.handle_timeout(now);
        for (address, Guest { dtls, heard }) in &mut self.guests {
            dtls.handle_timeout(now);
            if now.saturating_duration_since(*heard) >= Self::IDLE {
                dtls.close();
            }
            while let Some(event) = dtls.poll_event() {
                println!("{address}: {}", describe(&event));
            }
            flush(dtls, &self.socket, *address)?;
        }
        self.guests.retain(|_, guest| !guest.dtls.is_closed());
        Ok(())
    }

    fn take(&mut self, from: SocketAddr, datagram: &mut [u8]) -> io::Result<()> {
        let now = Instant::now();
        let Some(Guest { dtls, heard }) = self.guests.get_mut(&from) else {
            return self.take_from_stranger(now, from, datagram);
        };
        let authentic = dtls.authentic_records();
        let mut messages: Vec<Vec<u8>> = Vec::new();
        dtls.handle_datagram(now, datagram, &mut |message| messages.push(message.to_vec()));
        if dtls.authentic_records() > authentic {
            *heard = now;
        }
        for message in messages {
            // Who has said goodbye in the same datagram hears no echo.
            if dtls.is_connected() {
                say(dtls, &self.socket, from, &message)?;
            }
        }
        Ok(())
    }

    fn take_from_stranger(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> io::Result<()> {
        let mut out = [0; CookieExchange::MIN_OUT];
        match self
            .door
            .handle_datagram(now, from.to_string().as_bytes(), datagram, &mut out)
        {
            Exchanged::Answer(len) => {
                self.socket.send_to(&out[..len], from)?;
            }
            Exchanged::Proven(hello) if self.guests.len() < Self::MAX_GUESTS => {
                let dtls = Dtls::accept(*hello, seed()?, now);
                self.guests.insert(from, Guest { dtls, heard: now });
            }
            Exchanged::Proven(_) | Exchanged::Nothing => {}
        }
        Ok(())
    }
}

struct Client {
    socket: UdpSocket,
    server: SocketAddr,
    dtls: Dtls,
    said: bool,
    answer: Option<Vec<u8>>,
}

impl Client {
    fn new(server: SocketAddr, fingerprint: Option<Fingerprint>) -> Result<Self, Failure> {
        let authentication = match fingerprint {
            Some(_) => Authentication::Fingerprint,
            None => Authentication::Unauthenticated,
        };
        let config = config(Certificate::generate()?, authentication);
        let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let mut dtls = Dtls::new(Arc::new(config), Role::Client, seed()?, Instant::now());
        if let Some(fingerprint) = fingerprint {
            dtls.set_remote_fingerprints(vec![fingerprint]);
        }
        Ok(Self {
            socket: UdpSocket::bind(any)?,
            server,
            dtls,
            said: false,
            answer: None,
        })
    }

    /// Does what is due, and waits a moment for a datagram. Once connected it says its text.
    fn turn(&mut self, text: &[u8]) -> Result<(), Failure> {
        self.dtls.handle_timeout(Instant::now());
        flush(&mut self.dtls, &self.socket, self.server)?;
        while let Some(event) = self.dtls.poll_event() {
            println!("{}", describe(&event));
            if let Event::Closed { reason } = event {
                return Err(reason.into());
            }
        }
        if self.dtls.is_connected() && !std::mem::replace(&mut self.said, true) {
            say(&mut self.dtls, &self.socket, self.server, text)?;
        }
        let mut buffer = [0; 2048];
        if let Some((len, from)) = receive(&self.socket, self.dtls.poll_timeout(), &mut buffer)?
            && from == self.server
        {
            let answer = &mut self.answer;
            self.dtls
                .handle_datagram(Instant::now(), &mut buffer[..len], &mut |message| {
                    *answer = Some(message.to_vec());
                });
        }
        Ok(())
    }

    fn close(&mut self) -> io::Result<()> {
        self.dtls.close();
        flush(&mut self.dtls, &self.socket, self.server)
    }
}

/// Waits for a datagram until a timer is due, at most 50 ms.
fn receive(socket: &UdpSocket, due: Option<Instant>, buffer: &mut [u8]) -> io::Result<Option<(usize, SocketAddr)>> {
    let wait = due.map_or(Duration::MAX, |due| due.saturating_duration_since(Instant::now()));
    socket.set_read_timeout(Some(wait.clamp(Duration::from_millis(1), Duration::from_millis(50))))?;
    match socket.recv_from(buffer) {
        Ok(received) => Ok(Some(received)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Sends what the engine has to say by itself.
fn flush(dtls: &mut Dtls, socket: &UdpSocket, to: SocketAddr) -> io::Result<()> {
    let mut buffer = [0; 2048];
    while let Some(len) = dtls.poll_transmit(Instant::now(), &mut buffer) {
        socket.send_to(&buffer[..len], to)?;
    }
    Ok(())
}

/// Seals a message, which lies between the room that its record needs, and sends it.
fn say(dtls: &mut Dtls, socket: &UdpSocket, to: SocketAddr, message: &[u8]) -> io::Result<()> {
    let overhead = dtls.overhead();
    let mut datagram = vec![0; overhead.total() + message.len()];
    datagram[overhead.head..][..message.len()].copy_from_slice(message);
    let len = dtls.seal(&mut datagram, message.len()).map_err(io::Error::other)?;
    socket.send_to(&datagram[..len], to)?;
    Ok(())
}

fn describe(event: &Event) -> String {
    match event {
        Event::Connected {
            version, suite, group, ..
        } => format!("connected: {version}, {suite}, {group}"),
        Event::CertificateToJudge => "a certificate to judge".to_owned(),
        Event::ConnectionIds => "other connection IDs".to_owned(),
        Event::Session => "a session to resume".to_owned(),
        Event::Closed { reason } => format!("over: {reason}"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Child, Command, Stdio};
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    fn loopback() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    fn deadline() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn two_of_these_understand_each_other() {
        let mut server = Server::new(loopback(), Certificate::generate().unwrap()).unwrap();
        let address = server.socket.local_addr().unwrap();
        let fingerprint = server.config.certificate.fingerprint();
        let wrong = Certificate::generate().unwrap().fingerprint();
        for (fingerprint, connects) in [(None, true), (Some(fingerprint), true), (Some(wrong), false)] {
            let mut client = Client::new(address, fingerprint).unwrap();
            let end = deadline();
            let outcome = loop {
                assert!(Instant::now() < end, "no answer");
                server.turn().unwrap();
                match client.turn(b"hello") {
                    Ok(()) if client.answer.is_some() => break client.answer.take(),
                    Ok(()) => {}
                    Err(_) => break None,
                }
            };
            assert_eq!(outcome, connects.then(|| b"hello".to_vec()));
            client.close().unwrap();
            while !server.guests.is_empty() {
                assert!(Instant::now() < end, "no goodbye");
                server.turn().unwrap();
            }
        }
    }

    /// An address can be somebody else's.
    #[test]
    fn who_shows_no_cookie_gets_little_and_leaves_nothing() {
        let mut server = Server::new(loopback(), Certificate::generate().unwrap()).unwrap();
        let address = server.socket.local_addr().unwrap();
        let stranger = UdpSocket::bind(loopback()).unwrap();
        stranger.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut client = Client::new(address, None).unwrap();
        let mut buffer = [0; 2048];
        let mut sent = 0;
        while let Some(len) = client.dtls.poll_transmit(Instant::now(), &mut buffer) {
            sent += stranger.send_to(&buffer[..len], address).unwrap();
            server.turn().unwrap();
        }
        let got = stranger.recv(&mut buffer).unwrap();
        assert!(got < 200 && got < sent, "{got} bytes for {sent}");
        // Nor does anything more come by and by.
        server.advance(Instant::now() + Duration::from_secs(1)).unwrap();
        stranger.set_nonblocking(true).unwrap();
        assert_eq!(stranger.recv(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(server.guests.is_empty());
        assert_eq!(server.door.held_bytes(), 0);
    }

    #[test]
    fn silent_guests_are_let_go() {
        let mut server = Server::new(loopback(), Certificate::generate().unwrap()).unwrap();
        let mut client = Client::new(server.socket.local_addr().unwrap(), None).unwrap();
        let end = deadline();
        while client.answer.is_none() {
            assert!(Instant::now() < end, "no answer");
            server.turn().unwrap();
            client.turn(b"hello").unwrap();
        }
        let heard = server.guests.values().next().unwrap().heard;
        server.advance(heard + Server::IDLE - Duration::from_secs(1)).unwrap();
        assert_eq!(server.guests.len(), 1);
        server.advance(heard + Server::IDLE).unwrap();
        assert!(server.guests.is_empty());
        while client.turn(b"hello").is_ok() {
            assert!(Instant::now() < end, "no goodbye");
        }
    }

    /// An `openssl` program, which is ended (by its process id) when it goes out of scope.
    struct Openssl {
        child: Child,
        lines: Receiver<String>,
        seen: Vec<String>,
    }

    impl Openssl {
        fn start(arguments: &[&str]) -> Self {
            let mut child = Command::new("openssl")
                .args(arguments)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .expect("the program openssl");
            let (sender, lines) = channel();
            let stdout = BufReader::new(child.stdout.take().unwrap());
            std::thread::spawn(move || {
                for line in stdout.lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
            Self {
                child,
                lines,
                seen: Vec::new(),
            }
        }

        fn type_line(&mut self, line: &str) {
            // At once: what `openssl` reads at once is what a datagram has.
            let line = format!("{line}\n");
            self.child.stdin.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
        }

        /// What stands behind `text` in the line that has it, if one came.
        fn printed(&mut self, text: &str) -> Option<String> {
            self.seen.extend(self.lines.try_iter());
            let found = self.seen.iter().find_map(|line| line.split_once(text));
            found.map(|(_, rest)| rest.to_owned())
        }
    }

    impl Drop for Openssl {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    #[test]
    fn openssl_as_client_hears_its_echo() {
        let mut server = Server::new(loopback(), Certificate::generate().unwrap()).unwrap();
        let address = server.socket.local_addr().unwrap().to_string();
        let mut openssl = Openssl::start(&["s_client", "-dtls1_2", "-quiet", "-connect", &address]);
        openssl.type_line("hello from OpenSSL");
        let end = deadline();
        while openssl.printed("hello from OpenSSL").is_none() {
            assert!(Instant::now() < end, "{:#?}", openssl.seen);
            server.turn().unwrap();
        }
        assert_eq!(server.guests.len(), 1);
    }

    #[test]
    fn openssl_as_server_is_heard() {
        let folder = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../dtls-srtp/tests/fixtures/certificates/v1_p256"
        );
        let (certificate, key) = (format!("{folder}.der"), format!("{folder}.key"));
        let fingerprint = Fingerprint::of_certificate(
            dtls_srtp::FingerprintAlgorithm::Sha256,
            &std::fs::read(&certificate).unwrap(),
        );
        let mut openssl = Openssl::start(&[
            "s_server",
            "-dtls1_2",
            "-accept",
            "127.0.0.1:0",
            "-cert",
            &certificate,
            "-certform",
            "DER",
            "-key",
            &key,
            "-keyform",
            "DER",
        ]);
        let end = deadline();
        let address = loop {
            assert!(Instant::now() < end, "{:#?}", openssl.seen);
            match openssl.printed("ACCEPT ") {
                Some(address) => break address.parse().unwrap(),
                None => std::thread::yield_now(),
            }
        };
        let mut client = Client::new(address, Some(fingerprint)).unwrap();
        let mut typed = false;
        while client.answer.is_none() {
            assert!(Instant::now() < end, "{:#?}", openssl.seen);
            client.turn(b"hello to OpenSSL\n").unwrap();
            if openssl.printed("hello to OpenSSL").is_some() && !std::mem::replace(&mut typed, true) {
                openssl.type_line("and back");
            }
        }
        assert_eq!(client.answer.as_deref(), Some(&b"and back\n"[..]));
        client.close().unwrap();
    }
}
