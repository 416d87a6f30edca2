//! A client, a door that asks for cookies, and the server behind it.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    missing_debug_implementations,
    reason = "each test binary uses a part"
)]

use std::sync::Arc;
use std::time::Instant;

use dtls_srtp::message::{Alert, Fragment, HandshakeHeader, RecordHeader, split_record};
use dtls_srtp::{
    AlertDescription, Config, ContentType, CookieExchange, CookieLimits, Counters, Dtls, Event, Exchanged,
    HandshakeType, NamedGroup, Role, Version, fake,
};
use wire::{Reader, Seed, Writer};

use crate::pair::End;

pub const V12: &[Version] = &[Version::DTLS_1_2];
pub const V13: &[Version] = &[Version::DTLS_1_3];
pub const BOTH: &[Version] = &[Version::DTLS_1_3, Version::DTLS_1_2];

/// Versions of client and server, and what they make of them.
pub const AGREEMENTS: [(&[Version], &[Version], Version); 6] = [
    (V12, V12, Version::DTLS_1_2),
    (V13, V13, Version::DTLS_1_3),
    (BOTH, BOTH, Version::DTLS_1_3),
    (BOTH, V12, Version::DTLS_1_2),
    (V12, BOTH, Version::DTLS_1_2),
    (V13, BOTH, Version::DTLS_1_3),
];

pub const SOURCE: &[u8] = b"192.0.2.1:5000";

pub fn fake(number: u64, versions: &[Version]) -> Config {
    Config {
        versions: versions.to_vec(),
        ..Config::new(Arc::new(fake::FakeCrypto::new()), fake::certificate(number))
    }
}

/// Without the hybrid, so that the hello fits into one datagram.
pub fn short(config: Config) -> Config {
    Config {
        groups: vec![NamedGroup::X25519, NamedGroup::SECP256R1],
        ..config
    }
}

/// A client, and a door with a server behind it.
pub struct Scene {
    pub now: Instant,
    pub door: CookieExchange,
    pub client: End,
    pub server: Option<End>,
    pub answers: Vec<Vec<u8>>,
    pub came: usize,
    pub went: usize,
}

impl Scene {
    pub fn new(client: Config, server: Config) -> Self {
        Self::with_limits(client, server, CookieLimits::default())
    }

    pub fn with_limits(client: Config, server: Config, limits: CookieLimits) -> Self {
        let now = Instant::now();
        let fingerprint = server.certificate.fingerprint();
        let mut client = End::new(Arc::new(client), Role::Client, 1, now);
        client.dtls.set_remote_fingerprints(vec![fingerprint]);
        Self {
            now,
            door: CookieExchange::new(Arc::new(server), limits, Seed::from_run(3), now),
            client,
            server: None,
            answers: Vec::new(),
            came: 0,
            went: 0,
        }
    }

    /// What the client has to say.
    pub fn said(&mut self) -> Vec<Vec<u8>> {
        self.client.transmits(self.now)
    }

    /// A datagram from somewhere for the door.
    pub fn knock(&mut self, source: &[u8], datagram: &[u8]) -> Exchanged {
        let mut out = [0; CookieExchange::MIN_OUT];
        let exchanged = self.door.handle_datagram(self.now, source, datagram, &mut out);
        self.came += datagram.len();
        if let Exchanged::Answer(len) = exchanged {
            self.went += len;
            self.answers.push(out[..len].to_vec());
        }
        assert!(self.went <= 3 * self.came, "{} for {}", self.went, self.came);
        exchanged
    }

    /// A datagram from the client for the door, or the server when there is one.
    pub fn deliver(&mut self, datagram: &[u8]) {
        if let Some(server) = &mut self.server {
            return server.handle(self.now, datagram);
        }
        if let Exchanged::Proven(hello) = self.knock(SOURCE, datagram) {
            let mut dtls = Dtls::accept(*hello, Seed::from_run(2), self.now);
            dtls.set_remote_fingerprints(vec![self.client.dtls.config().certificate.fingerprint()]);
            self.server = Some(End {
                dtls,
                events: Vec::new(),
                received: Vec::new(),
            });
        }
    }

    /// All that the client says goes in this order, and all answers come back.
    pub fn turn(&mut self, reversed: bool) {
        let mut said = self.said();
        if reversed {
            said.reverse();
        }
        for datagram in said {
            self.deliver(&datagram);
        }
        for answer in std::mem::take(&mut self.answers) {
            self.client.handle(self.now, &answer);
        }
        if let Some(server) = &mut self.server {
            for datagram in server.transmits(self.now) {
                self.client.handle(self.now, &datagram);
            }
        }
    }

    pub fn settle(&mut self, reversed: bool) {
        for _ in 0..10 {
            self.turn(reversed);
            if let Some(server) = &mut self.server {
                server.events.extend(std::iter::from_fn(|| server.dtls.poll_event()));
            }
        }
    }

    pub fn assert_connected(&mut self, version: Version) {
        let server = self.server.as_mut().expect("the client is proven");
        for end in [&self.client, &*server] {
            assert!(
                matches!(end.events[..], [Event::Connected { version: agreed, .. }] if agreed == version),
                "{:?} {:?} {:?}",
                end.dtls.role(),
                end.events,
                end.dtls
            );
        }
        assert_eq!(self.client.exported(), server.exported());
        let sealed = self.client.seal(b"hello");
        server.handle(self.now, &sealed);
        let sealed = server.seal(b"hello");
        self.client.handle(self.now, &sealed);
        assert_eq!(
            (&self.client.received, &server.received),
            (&vec![b"hello".to_vec()], &vec![b"hello".to_vec()])
        );
        assert_eq!(self.door.held_bytes(), 0);
    }
}

/// What becomes of counters.
pub type Change = fn(&mut Counters);

pub fn counters(change: impl FnOnce(&mut Counters)) -> Counters {
    let mut counters = Counters::default();
    change(&mut counters);
    counters
}

pub fn alert(datagram: &[u8]) -> Option<AlertDescription> {
    let is_alert = datagram[0] == ContentType::ALERT.0;
    is_alert.then(|| Alert::parse(&datagram[RecordHeader::LEN..]).unwrap().description)
}

/// The type of the handshake message in an answer.
pub fn message_type(answer: &[u8]) -> HandshakeType {
    assert_eq!(answer[0], ContentType::HANDSHAKE.0);
    HandshakeType(answer[RecordHeader::LEN])
}

/// A datagram with one fragment of a hello: the number of the record, that of the message, its length, where the fragment
/// begins, and its bytes.
pub fn part(sequence: u64, message_seq: u16, length: usize, offset: usize, body: &[u8]) -> Vec<u8> {
    let record = RecordHeader {
        content_type: ContentType::HANDSHAKE,
        version: Version::DTLS_1_2,
        epoch: 0,
        sequence,
        length: (HandshakeHeader::LEN + body.len()) as u16,
    };
    let header = HandshakeHeader {
        message_type: HandshakeType::CLIENT_HELLO,
        length: length as u32,
        message_seq,
        fragment_offset: offset as u32,
        fragment_length: body.len() as u32,
    };
    let mut out = vec![0; RecordHeader::LEN + HandshakeHeader::LEN + body.len()];
    let mut w = Writer::new(&mut out);
    record.write(&mut w).unwrap();
    header.write(&mut w).unwrap();
    w.put(body).unwrap();
    out
}

/// The body of a hello out of its datagrams, which hold one fragment each, in order.
pub fn body_of(datagrams: &[Vec<u8>]) -> Vec<u8> {
    let mut body = Vec::new();
    for datagram in datagrams {
        let mut datagram = datagram.clone();
        let (_, record, rest) = split_record(&mut datagram).unwrap();
        let fragment = Fragment::read(&mut Reader::new(record)).unwrap();
        assert!(rest.is_empty() && fragment.header.fragment_offset as usize == body.len());
        body.extend(fragment.body);
    }
    body
}
