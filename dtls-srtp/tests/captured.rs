//! What Chromium 156 and Firefox 153 really sent.

mod pair;

use std::sync::Arc;
use std::time::Instant;

use dtls_srtp::message::{
    CertificateChain, CertificateRequest, ClientHello, Fragment, ServerHello, ServerKeyExchange, split_record,
};
use dtls_srtp::{
    Certificate, CipherSuite, Config, ContentType, HandshakeType, NamedGroup, ProtectionProfile, PublicKey, RingCrypto,
    Role, SignatureScheme, Version,
};
use pair::End;
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

#[test]
fn a_hello_is_answered_once_it_is_whole_whatever_the_order() {
    let crypto = Arc::new(RingCrypto::new());
    let now = Instant::now();
    for name in HELLOS {
        let forwards = datagrams(name);
        let backwards: Vec<_> = forwards.iter().rev().cloned().collect();
        let repeated: Vec<_> = forwards.iter().flat_map(|datagram| vec![datagram.clone(); 2]).collect();
        for order in [forwards, backwards, repeated] {
            let mut server = server(&crypto, now);
            let (last, before) = order.split_last().unwrap();
            for datagram in before {
                server.handle(now, datagram);
                let answered = !server.transmits(now).is_empty();
                // Only the repeated order is whole before its last datagram.
                assert!(!answered || datagram == last, "{name}");
            }
            server.handle(now, last);
            assert!(!server.dtls.is_closed(), "{name}: {:?}", server.events);
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
        let mut server = server(&crypto, now);
        for datagram in order {
            server.handle(now, datagram);
        }
        assert_eq!(server.transmits(now).len(), 1);
        assert!(!server.dtls.is_closed());
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
