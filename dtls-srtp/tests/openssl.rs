//! OpenSSL as a foreign peer, over sockets on the loopback interface: our server against `s_client`, our client against
//! `s_server`. Needs the `openssl` program.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use dtls_srtp::{
    Certificate, CloseReason, Config, Dtls, Event, Fingerprint, FingerprintAlgorithm, NamedGroup, RingCrypto, Role,
    SrtpProfile, Version,
};
use wire::Seed;

/// A certificate of `fixtures/certificates`.
#[derive(Debug, Clone, Copy)]
struct Files {
    name: &'static str,
}

impl Files {
    fn path(self, ending: &str) -> String {
        format!(
            "{}/tests/fixtures/certificates/{}.{ending}",
            env!("CARGO_MANIFEST_DIR"),
            self.name
        )
    }

    fn ours(self) -> Certificate {
        let read = |ending| std::fs::read(self.path(ending)).unwrap();
        Certificate::from_der(read("der"), &read("key")).unwrap()
    }

    fn fingerprint(self) -> Fingerprint {
        Fingerprint::of_certificate(FingerprintAlgorithm::Sha256, &std::fs::read(self.path("der")).unwrap())
    }
}

/// A running `openssl`; ended when dropped.
struct OpenSsl {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl OpenSsl {
    fn start(program: &str, certificate: Files, more: &[&str]) -> Self {
        let (cert, key) = (certificate.path("der"), certificate.path("key"));
        let mut child = Command::new("openssl")
            .args([program, "-dtls1_2", "-mtu", "1200"])
            .args(["-cert", &cert, "-certform", "DER", "-key", &key, "-keyform", "DER"])
            .args(["-keymatexport", "EXTRACTOR-dtls_srtp", "-keymatexportlen", "60"])
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program `openssl` is needed: apt-get install openssl");
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in stdout.split(b'\n').map_while(Result::ok) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    return;
                }
            }
        });
        let stdin = child.stdin.take();
        Self {
            child,
            stdin,
            lines,
            seen: Vec::new(),
        }
    }

    fn type_line(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(line.as_bytes()).and_then(|()| stdin.flush()).unwrap();
    }

    /// What stands behind `prefix` in the first line that has it, as far as OpenSSL has printed.
    fn printed(&mut self, prefix: &str) -> Option<String> {
        self.seen.extend(self.lines.try_iter());
        self.seen
            .iter()
            .find_map(|line| Some(line.split_once(prefix)?.1.trim().to_owned()))
    }

    fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    fn exported(&mut self) -> Option<Vec<u8>> {
        let hex = self.printed("Keying material: ")?;
        Some(
            (0..hex.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
                .collect(),
        )
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        // By its process id, and only this one.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Our engine on a socket.
struct Ours {
    dtls: Dtls,
    socket: UdpSocket,
    peer: Option<SocketAddr>,
    events: Vec<Event>,
    received: Vec<u8>,
}

impl Ours {
    fn new(config: Config, role: Role, peer: Option<SocketAddr>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let dtls = Dtls::new(Arc::new(config), role, Seed::from_run(1), Instant::now());
        Self {
            dtls,
            socket,
            peer,
            events: Vec::new(),
            received: Vec::new(),
        }
    }

    fn send(&self, datagram: &[u8]) {
        self.socket.send_to(datagram, self.peer.unwrap()).unwrap();
    }

    fn seal_and_send(&mut self, data: &[u8]) {
        let overhead = self.dtls.overhead();
        let mut out = vec![0; overhead.total() + data.len()];
        out[overhead.head..][..data.len()].copy_from_slice(data);
        let len = self.dtls.seal(&mut out, data.len()).unwrap();
        self.send(&out[..len]);
    }

    /// One turn of an event loop; waits for a datagram at most 10 ms.
    fn turn(&mut self) {
        let mut buffer = [0; 2048];
        while let Some(len) = self.dtls.poll_transmit(Instant::now(), &mut buffer) {
            self.send(&buffer[..len]);
        }
        let until = self
            .dtls
            .poll_timeout()
            .map(|at| at.saturating_duration_since(Instant::now()));
        let wait = until
            .unwrap_or(Duration::MAX)
            .clamp(Duration::from_micros(100), Duration::from_millis(10));
        self.socket.set_read_timeout(Some(wait)).unwrap();
        if let Ok((len, from)) = self.socket.recv_from(&mut buffer) {
            self.peer = Some(from);
            let received = &mut self.received;
            self.dtls
                .handle_datagram(Instant::now(), &mut buffer[..len], &mut |data| {
                    received.extend_from_slice(data);
                });
        }
        self.dtls.handle_timeout(Instant::now());
        self.events.extend(std::iter::from_fn(|| self.dtls.poll_event()));
    }

    /// Turns until `done`; fails after ten seconds.
    fn turn_until(&mut self, what: &str, peer: &mut OpenSsl, mut done: impl FnMut(&Self, &mut OpenSsl) -> bool) {
        let start = Instant::now();
        while !done(self, peer) {
            assert!(
                start.elapsed() < Duration::from_secs(10),
                "{what}: {:?} {:#?}",
                self.dtls,
                peer.seen
            );
            self.turn();
        }
    }

    /// Handshake, exporters, a message each way, and a goodbye that is answered.
    fn converse(&mut self, peer: &mut OpenSsl) {
        self.turn_until("connect", peer, |ours, _| !ours.events.is_empty());
        assert!(
            matches!(self.events[..], [Event::Connected { .. }]),
            "{:?} {:#?}",
            self.events,
            peer.seen
        );
        self.turn_until("export", peer, |_, peer| peer.exported().is_some());
        let mut exported = [0; 60];
        self.dtls.export(b"EXTRACTOR-dtls_srtp", None, &mut exported).unwrap();
        assert_eq!(peer.exported().unwrap(), exported);
        assert!(
            peer.printed("Extended master secret: ")
                .is_none_or(|answer| answer == "yes")
        );

        self.seal_and_send(b"from us to OpenSSL\n");
        self.turn_until("message to OpenSSL", peer, |_, peer| {
            peer.printed("from us to OpenSSL").is_some()
        });
        peer.type_line("from OpenSSL to us\n");
        self.turn_until("message from OpenSSL", peer, |ours, _| {
            ours.received == b"from OpenSSL to us\n"
        });
        match self.dtls.role() {
            Role::Server => {
                peer.type_line("Q\n");
                self.turn_until("goodbye", peer, |ours, _| ours.dtls.is_closed());
                assert_eq!(
                    self.events.last(),
                    Some(&Event::Closed {
                        reason: CloseReason::Peer
                    })
                );
            }
            // s_server closes its socket before it says goodbye, so here we are the ones to leave.
            Role::Client => {
                self.dtls.close();
                self.turn_until("end of s_server", peer, |_, peer| peer.has_ended());
            }
        }
    }
}

const P256: Files = Files { name: "v1_p256" };
const RSA: Files = Files { name: "rsa2048" };

fn config(certificate: Certificate) -> Config {
    // OpenSSL speaks DTLS 1.2 at most.
    Config {
        versions: vec![Version::DTLS_1_2],
        ..Config::new(Arc::new(RingCrypto::new()), certificate)
    }
}

const PROFILES: &str = "SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_128_GCM:SRTP_AEAD_AES_256_GCM";

/// Our server against `s_client`.
fn serve(config: Config, client: Files, more: &[&str]) -> Ours {
    let mut ours = Ours::new(config, Role::Server, None);
    ours.dtls.set_remote_fingerprints(vec![client.fingerprint()]);
    let address = ours.socket.local_addr().unwrap().to_string();
    let mut arguments = vec!["-connect", &address, "-use_srtp", PROFILES];
    arguments.extend(more);
    let mut peer = OpenSsl::start("s_client", client, &arguments);
    ours.converse(&mut peer);
    ours
}

/// Our client against `s_server`.
fn dial(config: Config, server: Files, more: &[&str]) -> Ours {
    let mut arguments = vec![
        "-accept",
        "127.0.0.1:0",
        "-naccept",
        "1",
        "-Verify",
        "1",
        "-use_srtp",
        PROFILES,
    ];
    arguments.extend(more);
    let mut peer = OpenSsl::start("s_server", server, &arguments);
    let mut seen = Vec::new();
    let address = loop {
        let line = peer
            .lines
            .recv_timeout(Duration::from_secs(10))
            .expect("s_server tells its port");
        let address = line.strip_prefix("ACCEPT ").map(|address| address.parse().unwrap());
        seen.push(line);
        if let Some(address) = address {
            break address;
        }
    };
    peer.seen = seen;
    let mut ours = Ours::new(config, Role::Client, Some(address));
    ours.dtls.set_remote_fingerprints(vec![server.fingerprint()]);
    ours.converse(&mut peer);
    ours
}

fn connected(ours: &Ours) -> (String, NamedGroup, Option<SrtpProfile>) {
    match ours.events[0] {
        Event::Connected {
            suite, group, profile, ..
        } => (suite.to_string(), group, profile),
        ref other => panic!("{other:?}"),
    }
}

/// Each suite by its names in OpenSSL and in the registry.
const SUITES: [(&str, &str, Files); 6] = [
    (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        P256,
    ),
    (
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        P256,
    ),
    (
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        P256,
    ),
    (
        "ECDHE-RSA-AES128-GCM-SHA256",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        RSA,
    ),
    (
        "ECDHE-RSA-AES256-GCM-SHA384",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        RSA,
    ),
    (
        "ECDHE-RSA-CHACHA20-POLY1305",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        RSA,
    ),
];

#[test]
fn our_server_with_every_suite() {
    for (name, registered, certificate) in SUITES {
        // The client shows the other kind of certificate.
        let client = if certificate.name == RSA.name { P256 } else { RSA };
        let ours = serve(config(certificate.ours()), client, &["-cipher", name]);
        let (suite, group, profile) = connected(&ours);
        assert_eq!(
            (&suite[..], group, profile),
            (registered, NamedGroup::X25519, Some(SrtpProfile::AeadAes128Gcm))
        );
    }
}

#[test]
fn our_client_with_every_suite() {
    for (name, registered, certificate) in SUITES {
        let client = if certificate.name == RSA.name { P256 } else { RSA };
        let ours = dial(config(client.ours()), certificate, &["-cipher", name]);
        let (suite, group, profile) = connected(&ours);
        // OpenSSL as server takes its own first profile.
        assert_eq!((&suite[..], group), (registered, NamedGroup::X25519));
        assert_eq!(profile, Some(SrtpProfile::Aes128CmHmacSha1_80));
    }
}

#[test]
fn every_group_and_kind_of_certificate() {
    // Ours has one group, OpenSSL all: RFC 8422 §5.3 wants the curve of the certificate among the client's groups.
    for group in [NamedGroup::SECP256R1, NamedGroup::SECP384R1] {
        let one_group = || Config {
            groups: vec![group],
            ..config(RSA.ours())
        };
        assert_eq!(connected(&serve(one_group(), RSA, &[])).1, group);
        assert_eq!(connected(&dial(one_group(), RSA, &[])).1, group);
    }
    for name in ["p384", "ed25519", "critical_p256", "expired_p256"] {
        serve(config(Certificate::generate().unwrap()), Files { name }, &[]);
        serve(config(Files { name }.ours()), P256, &[]);
        // s_server 3.0 finds "no shared cipher" for an Ed25519 certificate in DTLS 1.2, with its own client too.
        if name != "ed25519" {
            dial(config(Certificate::generate().unwrap()), Files { name }, &[]);
        }
    }
}

#[test]
fn our_client_answers_a_cookie() {
    let ours = dial(config(Certificate::generate().unwrap()), P256, &["-listen"]);
    assert_eq!(*ours.dtls.counters(), dtls_srtp::Counters::default());
}

#[test]
fn small_datagrams_both_ways() {
    let small = || Config {
        max_datagram: 256,
        ..config(RSA.ours())
    };
    serve(small(), RSA, &["-mtu", "300"]);
    dial(small(), RSA, &["-mtu", "300"]);
}

#[test]
fn a_wrong_fingerprint_is_told_to_openssl() {
    let mut ours = Ours::new(config(Certificate::generate().unwrap()), Role::Server, None);
    ours.dtls.set_remote_fingerprints(vec![RSA.fingerprint()]);
    let address = ours.socket.local_addr().unwrap().to_string();
    let mut peer = OpenSsl::start("s_client", P256, &["-connect", &address]);
    ours.turn_until("refusal", &mut peer, |ours, _| ours.dtls.is_closed());
    assert_eq!(
        ours.events,
        [Event::Closed {
            reason: CloseReason::FingerprintMismatch
        }]
    );
    ours.turn();
    // Our bad_certificate ends it.
    ours.turn_until("end of s_client", &mut peer, |_, peer| peer.has_ended());
}
