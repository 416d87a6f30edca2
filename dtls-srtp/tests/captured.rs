//! What Chromium 156 and Firefox 153 really sent.

mod pair;

use std::sync::{Arc, Mutex};
use std::time::Instant;

use dtls_srtp::message::{
    CertificateChain, CertificateChain13, CertificateRequest, CertificateRequest13, ClientHello, EncryptedExtensions,
    Fragment, ServerHello, ServerKeyExchange, ShortSequence, UnifiedHeader, split_record,
};
use dtls_srtp::{
    Certificate, CipherSuite, Config, ContentType, HandshakeType, KeyLog, NamedGroup, ProtectionProfile, PublicKey,
    RingCrypto, Role, SignatureScheme, Version,
};
use pair::End;
use ring::aead::{self, quic};
use ring::hkdf;
use wire::Reader;

fn fixture(name: &str) -> Option<Vec<u8>> {
    std::fs::read(format!("{}/../fixtures/dtls/{name}", env!("CARGO_MANIFEST_DIR"))).ok()
}

/// The datagrams of a capture: `name-0.bin`, `name-1.bin`.
fn datagrams(name: &str) -> Vec<Vec<u8>> {
    let datagrams: Vec<_> = (0..).map_while(|n| fixture(&format!("{name}-{n}.bin"))).collect();
    assert!(!datagrams.is_empty(), "{name}");
    datagrams
}

/// The messages of datagrams whose messages are whole.
fn messages(datagrams: &[Vec<u8>]) -> Vec<(HandshakeType, Vec<u8>)> {
    let mut messages = Vec::new();
    for datagram in datagrams {
        let mut datagram = datagram.clone();
        let mut rest = &mut datagram[..];
        while !rest.is_empty() {
            let (header, body, tail) = split_record(rest).unwrap();
            assert_eq!(header.content_type, ContentType::HANDSHAKE);
            let mut r = Reader::new(body);
            while !r.is_empty() {
                let fragment = Fragment::read(&mut r).unwrap();
                assert_eq!(fragment.header.length, fragment.header.fragment_length);
                messages.push((fragment.header.message_type, fragment.body.to_vec()));
            }
            rest = tail;
        }
    }
    messages
}

const HELLOS: [&str; 9] = [
    "chromium156-clienthello-default",
    "chromium156-clienthello-default-b",
    "chromium156-clienthello-nopqc",
    "chromium156-clienthello-sped-fallback",
    "firefox153-clienthello-default",
    "firefox153-clienthello-dtls12only",
    "firefox153-clienthello-nopq",
    "firefox153-clienthello-pqgroup-x25519share",
    "firefox153-clienthello-retransmit4-smallmtu",
];

fn server(crypto: &Arc<RingCrypto>, now: Instant) -> End {
    let config = pair::of_12(Config::new(crypto.clone(), Certificate::generate().unwrap()));
    End::new(Arc::new(config), Role::Server, 1, now)
}

/// One that would rather speak DTLS 1.3.
fn server_13(crypto: &Arc<RingCrypto>, now: Instant) -> End {
    let config = of_both(Config::new(crypto.clone(), Certificate::generate().unwrap()));
    End::new(Arc::new(config), Role::Server, 1, now)
}

/// The same for DTLS 1.3 and 1.2.
fn of_both(config: Config) -> Config {
    Config {
        versions: vec![Version::DTLS_1_3, Version::DTLS_1_2],
        ..config
    }
}

type Make = fn(&Arc<RingCrypto>, Instant) -> End;

#[test]
fn a_hello_is_answered_once_it_is_whole_whatever_the_order() {
    let crypto = Arc::new(RingCrypto::new());
    let now = Instant::now();
    for name in HELLOS {
        let forwards = datagrams(name);
        let backwards: Vec<_> = forwards.iter().rev().cloned().collect();
        let repeated: Vec<_> = forwards.iter().flat_map(|datagram| vec![datagram.clone(); 2]).collect();
        let orders = [forwards, backwards, repeated];
        for (order, make) in orders
            .iter()
            .flat_map(|order| [(order, server as Make), (order, server_13)])
        {
            let mut server = make(&crypto, now);
            let mut answered = false;
            let (last, before) = order.split_last().unwrap();
            for datagram in before {
                server.handle(now, datagram);
                answered |= !server.transmits(now).is_empty();
                // Only the repeated order is whole before its last datagram.
                assert!(!answered || datagram == last, "{name}");
            }
            server.handle(now, last);
            answered |= !server.transmits(now).is_empty();
            assert!(answered && !server.dtls.is_closed(), "{name}: {:?}", server.events);
        }
    }
}

#[test]
fn our_answer_is_what_a_browser_wants() {
    let crypto = Arc::new(RingCrypto::new());
    let now = Instant::now();
    for name in HELLOS {
        let mut server = server(&crypto, now);
        for datagram in datagrams(name) {
            server.handle(now, &datagram);
        }
        let flight = server.transmits(now);
        assert_eq!(flight.len(), 1, "{name}");
        let messages = messages(&flight);
        let types: Vec<_> = messages.iter().map(|(message_type, _)| *message_type).collect();
        assert_eq!(
            types,
            [
                HandshakeType::SERVER_HELLO,
                HandshakeType::CERTIFICATE,
                HandshakeType::SERVER_KEY_EXCHANGE,
                HandshakeType::CERTIFICATE_REQUEST,
                HandshakeType::SERVER_HELLO_DONE
            ]
        );
        let hello = ServerHello::parse(&messages[0].1).unwrap();
        assert_eq!((hello.version, hello.session_id), (Version::DTLS_1_2, &[][..]));
        assert_eq!(hello.cipher_suite, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256);
        // RFC 8446 §4.1.3: the sentinel is for servers that speak 1.3; a browser would call it an attack.
        assert!(!hello.random.ends_with(b"DOWNGRD\x01") && !hello.random.ends_with(b"DOWNGRD\x00"));
        let srtp = hello.extensions.use_srtp().unwrap().unwrap();
        assert!(srtp.profiles().eq([ProtectionProfile::SRTP_AEAD_AES_128_GCM]));
        let exchange = ServerKeyExchange::parse(&messages[2].1).unwrap();
        assert_eq!(
            (exchange.group, exchange.scheme),
            (NamedGroup::X25519, SignatureScheme::ECDSA_SECP256R1_SHA256)
        );
    }
}

/// Firefox cuts its hello differently from the fourth try on; parts of the two cuts fit together.
#[test]
fn a_hello_cut_anew_is_put_together_from_both_cuts() {
    let crypto = Arc::new(RingCrypto::new());
    let now = Instant::now();
    let [first, second] = [
        "firefox153-clienthello-default",
        "firefox153-clienthello-retransmit4-smallmtu",
    ]
    .map(datagrams);
    let body = |datagrams: &[Vec<u8>]| -> Vec<u8> {
        let mut whole = vec![0; 5000];
        let mut len = 0;
        for datagram in datagrams {
            let mut datagram = datagram.clone();
            let (_, body, _) = split_record(&mut datagram).unwrap();
            let fragment = Fragment::read(&mut Reader::new(body)).unwrap();
            let start = fragment.header.fragment_offset as usize;
            whole[start..start + fragment.body.len()].copy_from_slice(fragment.body);
            len = fragment.header.length as usize;
        }
        whole.truncate(len);
        whole
    };
    // The two captures are of different calls, so the second cut is made of the first one's bytes.
    let (message, cut) = (body(&first), body(&second).len());
    assert!(cut > 0);
    let recut: Vec<_> = [0..1163, 1163..message.len()]
        .into_iter()
        .enumerate()
        .map(|(n, range)| {
            let mut datagram = vec![22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 9 + n as u8];
            let part = &message[range.clone()];
            datagram.extend((part.len() as u16 + 12).to_be_bytes());
            datagram.push(1);
            datagram.extend(&(message.len() as u32).to_be_bytes()[1..]);
            datagram.extend([0, 0]);
            datagram.extend(&(range.start as u32).to_be_bytes()[1..]);
            datagram.extend(&(part.len() as u32).to_be_bytes()[1..]);
            datagram.extend(part);
            datagram
        })
        .collect();
    // 0..1383 of the one cut and 1163..1461 of the other overlap.
    for order in [[&first[0], &recut[1]], [&recut[1], &first[0]]] {
        for (make, datagrams) in [(server as Make, 1), (server_13, 2)] {
            let mut server = make(&crypto, now);
            for datagram in order {
                server.handle(now, datagram);
            }
            assert_eq!(server.transmits(now).len(), datagrams);
            assert!(!server.dtls.is_closed());
        }
    }
}

#[test]
fn the_hellos_say_what_was_measured() {
    for name in HELLOS {
        let mut server = End::new(Arc::new(pair::fake_config(1)), Role::Server, 1, Instant::now());
        let mut whole = Vec::new();
        for datagram in datagrams(name) {
            let mut datagram = datagram.clone();
            let (_, body, _) = split_record(&mut datagram).unwrap();
            let fragment = Fragment::read(&mut Reader::new(body)).unwrap();
            assert_eq!(fragment.header.fragment_offset as usize, whole.len());
            whole.extend_from_slice(fragment.body);
            server.handle(Instant::now(), &datagram);
        }
        let hello = ClientHello::parse(&whole).unwrap();
        assert!(hello.session_id.is_empty() && hello.cookie.is_empty());
        assert!(
            hello
                .cipher_suites
                .contains(CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256.0)
        );
        assert!(
            hello
                .extensions
                .supported_groups()
                .unwrap()
                .unwrap()
                .contains(NamedGroup::X25519.0)
        );
        let versions = hello.extensions.supported_versions().unwrap();
        assert!(versions.is_none_or(|versions| versions.contains(Version::DTLS_1_2.0)));
        assert!(hello.extensions.use_srtp().unwrap().is_some());
        let mut out = vec![0; 2000];
        let mut w = wire::Writer::new(&mut out);
        hello.write(&mut w).unwrap();
        assert_eq!(w.written(), whole, "{name}");
    }
}

#[test]
fn the_browsers_own_server_flights_are_read() {
    for name in ["chromium156-serverflight-dtls12", "firefox153-serverflight-dtls12"] {
        let messages = messages(&datagrams(name));
        assert_eq!(messages.len(), 5, "{name}");
        let hello = ServerHello::parse(&messages[0].1).unwrap();
        assert_eq!(hello.cipher_suite, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256);
        assert!(hello.random.ends_with(b"DOWNGRD\x01"));
        let chain = CertificateChain::parse(&messages[1].1).unwrap();
        assert_eq!(
            PublicKey::of_certificate(chain.iter().next().unwrap())
                .unwrap()
                .bits
                .len(),
            65
        );
        assert_eq!(
            ServerKeyExchange::parse(&messages[2].1).unwrap().group,
            NamedGroup::X25519
        );
        assert!(
            CertificateRequest::parse(&messages[3].1)
                .unwrap()
                .authorities
                .is_empty()
        );
        assert_eq!(messages[4], (HandshakeType::SERVER_HELLO_DONE, vec![]));
    }
}

/// What a server's flight of DTLS 1.3 consists of: the message in the clear, and the protected records.
struct Flight {
    server_hello: Vec<u8>,
    protected: Vec<Protected>,
}

struct Protected {
    header: UnifiedHeader,
    head: Vec<u8>,
    body: Vec<u8>,
}

impl Flight {
    /// Whatever the order of the datagrams, the `ServerHello` leads, in a datagram of its own or in front.
    fn read(datagrams: &[Vec<u8>]) -> Self {
        let mut first = datagrams[0].clone();
        let (header, body, rest) = split_record(&mut first).unwrap();
        assert_eq!(
            (header.content_type, header.epoch, header.sequence),
            (ContentType::HANDSHAKE, 0, 0)
        );
        let mut r = Reader::new(body);
        let fragment = Fragment::read(&mut r).unwrap();
        assert!(r.is_empty());
        assert_eq!(fragment.header.message_type, HandshakeType::SERVER_HELLO);
        assert_eq!(fragment.header.length, fragment.header.fragment_length);
        let mut protected = Vec::new();
        for datagram in std::iter::once(&*rest).chain(datagrams[1..].iter().map(|datagram| &datagram[..])) {
            let mut r = Reader::new(datagram);
            while !r.is_empty() {
                let start = r.offset();
                let header = UnifiedHeader::read(&mut r).unwrap();
                let head = datagram[start..r.offset()].to_vec();
                let body = r.take(usize::from(header.length.unwrap())).unwrap().to_vec();
                protected.push(Protected { header, head, body });
            }
        }
        Self {
            server_hello: fragment.body.to_vec(),
            protected,
        }
    }
}

#[derive(Debug, Default)]
struct Lines(Mutex<Vec<String>>);

impl KeyLog for Lines {
    fn log(&self, line: &str) {
        self.0.lock().unwrap().push(line.to_owned());
    }
}

impl Lines {
    fn secret(&self, label: &str) -> Vec<u8> {
        let lines = self.0.lock().unwrap();
        let digits = lines
            .iter()
            .find_map(|line| line.strip_prefix(label)?.split(' ').nth(2));
        let digits = digits.unwrap();
        (0..digits.len() / 2)
            .map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap())
            .collect()
    }
}

struct Len(usize);

impl hkdf::KeyType for Len {
    fn len(&self) -> usize {
        self.0
    }
}

/// The keys of TLS_AES_128_GCM_SHA256 (RFC 9147 §4.2.3, RFC 8446 §7.3), without a line of ours.
struct Keys {
    key: aead::LessSafeKey,
    numbers: quic::HeaderProtectionKey,
    iv: Vec<u8>,
}

impl Keys {
    fn new(secret: &[u8]) -> Self {
        let secret = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, secret);
        let expand = |label: &[u8], len: usize| {
            let info = [
                &(len as u16).to_be_bytes(),
                &[6 + label.len() as u8][..],
                b"dtls13",
                label,
                &[0],
            ];
            let mut out = vec![0; len];
            secret.expand(&info, Len(len)).unwrap().fill(&mut out).unwrap();
            out
        };
        Self {
            key: aead::LessSafeKey::new(aead::UnboundKey::new(&aead::AES_128_GCM, &expand(b"key", 16)).unwrap()),
            numbers: quic::HeaderProtectionKey::new(&quic::AES_128, &expand(b"sn", 16)).unwrap(),
            iv: expand(b"iv", 12),
        }
    }

    /// The number, the content and its type.
    fn open(&self, record: &Protected) -> (u16, Vec<u8>, ContentType) {
        let mask = self.numbers.new_mask(&record.body[..16]).unwrap();
        let mut head = record.head.clone();
        head[1] ^= mask[0];
        head[2] ^= mask[1];
        let mut nonce: [u8; 12] = self.iv[..].try_into().unwrap();
        nonce[10] ^= head[1];
        nonce[11] ^= head[2];
        let mut body = record.body.clone();
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        let inner = self
            .key
            .open_in_place(nonce, aead::Aad::from(&head), &mut body)
            .unwrap();
        let (content_type, content) = inner.split_last().unwrap();
        (
            u16::from_be_bytes([head[1], head[2]]),
            content.to_vec(),
            ContentType(*content_type),
        )
    }
}

/// Both browsers offer DTLS 1.3 and a share of the hybrid group, unless they were told not to.
#[test]
fn our_answer_with_dtls_13_is_what_a_browser_wants() {
    let crypto = Arc::new(RingCrypto::new());
    let now = Instant::now();
    for name in HELLOS {
        let expected = match name {
            "firefox153-clienthello-dtls12only" => continue,
            "chromium156-clienthello-nopqc"
            | "firefox153-clienthello-nopq"
            // Firefox offers the hybrid group, but without a share; asking for one would take another round trip.
            | "firefox153-clienthello-pqgroup-x25519share" => (NamedGroup::X25519, 32),
            _ => (NamedGroup::X25519_MLKEM768, 1120),
        };
        let forwards = datagrams(name);
        let backwards: Vec<_> = forwards.iter().rev().cloned().collect();
        let repeated: Vec<_> = forwards.iter().chain(&forwards).cloned().collect();
        for order in [forwards, backwards, repeated] {
            let lines = Arc::new(Lines::default());
            let certificate = Certificate::generate().unwrap();
            let config = Config {
                key_log: Some(lines.clone()),
                ..of_both(Config::new(crypto.clone(), certificate.clone()))
            };
            let mut server = End::new(Arc::new(config), Role::Server, 1, now);
            for datagram in order {
                server.handle(now, &datagram);
            }
            let datagrams = server.transmits(now);
            assert!(datagrams.iter().all(|datagram| datagram.len() <= 1200));
            assert_eq!(datagrams.len(), if expected.1 == 32 { 1 } else { 2 }, "{name}");
            let flight = Flight::read(&datagrams);
            let hello = ServerHello::parse(&flight.server_hello).unwrap();
            // RFC 9147 §5.4: the legacy version is that of DTLS 1.2, and nothing is echoed.
            assert_eq!((hello.version, hello.session_id), (Version::DTLS_1_2, &[][..]));
            assert_eq!(hello.cipher_suite, CipherSuite::TLS_AES_128_GCM_SHA256);
            assert!(!hello.random.ends_with(b"DOWNGRD\x01"));
            assert_eq!(hello.extensions.selected_version(), Ok(Some(Version::DTLS_1_3)));
            let share = hello.extensions.server_key_share().unwrap().unwrap();
            assert_eq!((share.group, share.share.len()), expected, "{name}");
            // RFC 8446 §4.2: what else there is to say is said under protection.
            assert_eq!(hello.extensions.iter().count(), 2);

            let messages = protected_messages(&flight, &Keys::new(&lines.secret("SERVER_HANDSHAKE_TRAFFIC_SECRET")));
            let types: Vec<_> = messages.iter().map(|(message_type, _)| *message_type).collect();
            assert_eq!(
                types,
                [
                    HandshakeType::ENCRYPTED_EXTENSIONS,
                    HandshakeType::CERTIFICATE_REQUEST,
                    HandshakeType::CERTIFICATE,
                    HandshakeType::CERTIFICATE_VERIFY,
                    HandshakeType::FINISHED
                ]
            );
            let extensions = EncryptedExtensions::parse(&messages[0].1).unwrap().extensions;
            let srtp = extensions.use_srtp().unwrap().unwrap();
            assert!(srtp.profiles().eq([ProtectionProfile::SRTP_AEAD_AES_128_GCM]));
            let request = CertificateRequest13::parse(&messages[1].1).unwrap();
            assert!(request.context.is_empty());
            let schemes = request.extensions.signature_algorithms().unwrap().unwrap();
            assert!(schemes.contains(SignatureScheme::ECDSA_SECP256R1_SHA256.0));
            let chain = CertificateChain13::parse(&messages[2].1).unwrap();
            assert!(chain.context.is_empty() && chain.iter().eq([certificate.der()]));
        }
    }
}

/// The protected messages of a flight, in one piece each.
fn protected_messages(flight: &Flight, keys: &Keys) -> Vec<(HandshakeType, Vec<u8>)> {
    let mut messages: Vec<(HandshakeType, Vec<u8>)> = Vec::new();
    for (expected, record) in (0..).zip(&flight.protected) {
        assert_eq!(record.header.epoch_bits, 2);
        let (sequence, content, content_type) = keys.open(record);
        assert_eq!((sequence, content_type), (expected, ContentType::HANDSHAKE));
        let mut r = Reader::new(&content);
        while !r.is_empty() {
            let fragment = Fragment::read(&mut r).unwrap();
            if fragment.header.fragment_offset == 0 {
                messages.push((fragment.header.message_type, Vec::new()));
            }
            // The ServerHello is message 0.
            assert_eq!(usize::from(fragment.header.message_seq), messages.len());
            let (_, body) = messages.last_mut().unwrap();
            assert_eq!(body.len(), fragment.header.fragment_offset as usize);
            body.extend_from_slice(fragment.body);
            assert_eq!(fragment.header.is_last(), body.len() == fragment.header.length as usize);
        }
    }
    messages
}

/// RFC 8446 §4.1.3: who was asked for DTLS 1.2 alone and could have had more is told so.
#[test]
fn a_browser_without_dtls_13_is_answered_with_1_2_and_the_sentinel() {
    let now = Instant::now();
    let mut server = server_13(&Arc::new(RingCrypto::new()), now);
    for datagram in datagrams("firefox153-clienthello-dtls12only") {
        server.handle(now, &datagram);
    }
    let messages = messages(&server.transmits(now));
    assert_eq!(messages.len(), 5);
    let hello = ServerHello::parse(&messages[0].1).unwrap();
    assert_eq!(hello.cipher_suite, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256);
    assert_eq!(hello.extensions.selected_version(), Ok(None));
    assert!(hello.random.ends_with(b"DOWNGRD\x01"));
    let srtp = hello.extensions.use_srtp().unwrap().unwrap();
    assert!(srtp.profiles().eq([ProtectionProfile::SRTP_AEAD_AES_128_GCM]));
}

/// The name of a flight, the length of its share, and the lengths of its protected records.
const FLIGHTS_13: [(&str, usize, &[u16]); 4] = [
    ("chromium156-serverflight-dtls13-mlkem", 1120, &[512]),
    ("chromium156-serverflight-dtls13-x25519", 32, &[513]),
    (
        "firefox153-serverflight-dtls13-mlkem",
        1120,
        &[54, 60, 89, 308, 104, 61],
    ),
    ("firefox153-serverflight-dtls13-x25519", 32, &[75, 60, 367, 103, 61]),
];

#[test]
fn the_browsers_own_server_flights_of_dtls_13_are_read() {
    for (name, share_len, lengths) in FLIGHTS_13 {
        let flight = Flight::read(&datagrams(name));
        let hello = ServerHello::parse(&flight.server_hello).unwrap();
        assert_eq!(
            (hello.version, hello.session_id),
            (Version::DTLS_1_2, &[][..]),
            "{name}"
        );
        assert_eq!(hello.cipher_suite, CipherSuite::TLS_AES_128_GCM_SHA256);
        assert!(!hello.random.ends_with(b"DOWNGRD\x01"));
        assert_eq!(hello.extensions.selected_version(), Ok(Some(Version::DTLS_1_3)));
        let share = hello.extensions.server_key_share().unwrap().unwrap();
        let group = if share_len == 32 {
            NamedGroup::X25519
        } else {
            NamedGroup::X25519_MLKEM768
        };
        assert_eq!((share.group, share.share.len()), (group, share_len), "{name}");
        let headers = flight.protected.iter().map(|record| record.header);
        assert!(
            headers
                .clone()
                .map(|header| header.length.unwrap())
                .eq(lengths.iter().copied())
        );
        for header in headers {
            assert_eq!(header.epoch_bits, 2);
            assert!(matches!(header.sequence, ShortSequence::Bits16(_)));
        }
    }
}

/// A flight that answers somebody else's hello has a share that ours cannot tell from a right one; its records then do
/// not open, and are dropped one by one (RFC 9147 §4.5.2).
#[test]
fn a_flight_for_another_client_opens_nothing() {
    let crypto = Arc::new(RingCrypto::new());
    let now = Instant::now();
    for (name, _, lengths) in FLIGHTS_13 {
        let config = of_both(Config::new(crypto.clone(), Certificate::generate().unwrap()));
        let mut client = End::new(Arc::new(config), Role::Client, 1, now);
        assert!(!client.transmits(now).is_empty());
        for datagram in datagrams(name) {
            client.handle(now, &datagram);
        }
        assert!(
            !client.dtls.is_closed() && !client.dtls.is_connected(),
            "{:?}",
            client.events
        );
        let counted: Vec<_> = client.dtls.counters().iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [("unauthenticated_records", lengths.len() as u64)], "{name}");
    }
}
