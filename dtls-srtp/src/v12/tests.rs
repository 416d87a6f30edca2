//! The captured DTLS 1.2 call (Chromium as server, Firefox as client) with its key log, message by message.

mod connection_id;

use std::sync::Arc;

use wire::Reader;

use super::message::{CertificateChain, CertificateVerify, ClientKeyExchange, ServerKeyExchange};
use super::schedule::{End, Master};
use crate::crypto::{Crypto, RingCrypto};
use crate::fingerprint::{Fingerprint, FingerprintAlgorithm};
use crate::handshake::Fragment;
use crate::hello::{ClientHello, ServerHello};
use crate::reassembly::{Message, Reassembler, ReassemblyLimits};
use crate::record::{Parts, RecordHeader, split_record};
use crate::records::{Opened, Records};
use crate::registry::{ContentType, HandshakeType, SignatureScheme};
use crate::transcript::Transcript;
use crate::x509::PublicKey;

const PCAP: &[u8] = include_bytes!("../../../fixtures/pcap/chromium-offers-firefox-dtls12.pcap");
const KEY_LOG: &str = include_str!("../../../fixtures/pcap/chromium-offers-firefox-dtls12.keylog");
const CHROMIUM: &str =
    "sha-256 E8:44:AC:B3:4C:45:BF:90:8A:3A:6A:E1:8F:B8:DD:70:D7:80:0F:80:F0:E8:74:64:85:7D:A8:30:A7:05:AB:5E";
const FIREFOX: &str =
    "sha-256 45:BF:52:10:E1:6B:A1:FD:80:06:DC:12:52:0D:8A:FD:1D:67:F1:FB:B5:94:C2:AB:F4:D0:C1:FC:47:88:22:C0";

/// The DTLS datagrams with their UDP source ports.
fn datagrams() -> Vec<(u16, Vec<u8>)> {
    let u32_at = |at: usize| u32::from_le_bytes(PCAP[at..at + 4].try_into().unwrap()) as usize;
    let link_header = if u32_at(20) == 1 { 14 } else { 0 };
    let (mut at, mut datagrams) = (24, Vec::new());
    while at < PCAP.len() {
        let len = u32_at(at + 8);
        let ip = &PCAP[at + 16 + link_header..at + 16 + len];
        let udp = if ip[0] >> 4 == 4 {
            &ip[4 * usize::from(ip[0] & 0x0f)..]
        } else {
            &ip[40..]
        };
        if crate::is_dtls(&udp[8..]) {
            datagrams.push((u16::from_be_bytes([udp[0], udp[1]]), udp[8..].to_vec()));
        }
        at += 16 + len;
    }
    datagrams
}

/// Messages in the clear, and protected records, both with their sender.
struct Capture {
    messages: Vec<(u16, Message)>,
    protected: Vec<(u16, RecordHeader, Vec<u8>)>,
}

fn capture() -> Capture {
    let mut capture = Capture {
        messages: Vec::new(),
        protected: Vec::new(),
    };
    let mut sides: Vec<(u16, Reassembler)> = Vec::new();
    for (port, mut datagram) in datagrams() {
        if !sides.iter().any(|(known, _)| *known == port) {
            sides.push((
                port,
                Reassembler::new(ReassemblyLimits {
                    message: 4000,
                    total: 8000,
                }),
            ));
        }
        let reassembler = sides
            .iter_mut()
            .find_map(|(known, r)| (*known == port).then_some(r))
            .unwrap();
        let mut rest = &mut datagram[..];
        while !rest.is_empty() {
            let (header, body, tail) = split_record(rest).unwrap();
            if header.epoch > 0 {
                capture.protected.push((port, header, body.to_vec()));
            } else if header.content_type == ContentType::HANDSHAKE {
                reassembler.push(&Fragment::read(&mut Reader::new(body)).unwrap());
                capture
                    .messages
                    .extend(std::iter::from_fn(|| reassembler.take()).map(|message| (port, message)));
            }
            rest = tail;
        }
    }
    capture
}

fn secret() -> [u8; 48] {
    let hex = KEY_LOG.split_whitespace().nth(2).unwrap();
    std::array::from_fn(|n| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).unwrap())
}

#[test]
fn browsers_signatures_finished_and_records() {
    let crypto = Arc::new(RingCrypto::new());
    let capture = capture();
    let find = |message_type: HandshakeType, nth: usize| {
        let mut all = capture
            .messages
            .iter()
            .filter(|(_, message)| message.message_type == message_type);
        all.nth(nth).unwrap()
    };
    let types: Vec<_> = capture
        .messages
        .iter()
        .map(|(_, message)| message.message_type)
        .collect();
    assert_eq!(types.len(), 9, "{types:?}");

    let (client_port, client_hello) = find(HandshakeType::CLIENT_HELLO, 0);
    let client_hello = ClientHello::parse(&client_hello.body).unwrap();
    let server_hello = ServerHello::parse(&find(HandshakeType::SERVER_HELLO, 0).1.body).unwrap();
    let parameters = server_hello.cipher_suite.parameters().unwrap();

    // The certificates are those of the session descriptions.
    let chains = [0, 1].map(|nth| CertificateChain::parse(&find(HandshakeType::CERTIFICATE, nth).1.body).unwrap());
    let [server_der, client_der] = chains.map(|chain| chain.iter().next().unwrap());
    for (der, fingerprint) in [(server_der, CHROMIUM), (client_der, FIREFOX)] {
        assert_eq!(
            Fingerprint::of_certificate(FingerprintAlgorithm::Sha256, der).to_string(),
            fingerprint
        );
    }

    // Chromium's ServerKeyExchange.
    let exchange = ServerKeyExchange::parse(&find(HandshakeType::SERVER_KEY_EXCHANGE, 0).1.body).unwrap();
    let signed = [&client_hello.random[..], &server_hello.random, exchange.parameters].concat();
    let server_key = PublicKey::of_certificate(server_der).unwrap();
    assert_eq!(
        crypto.verify(&server_key, exchange.scheme, &signed, exchange.signature),
        Ok(())
    );
    assert!(
        crypto
            .verify(&server_key, exchange.scheme, &signed[1..], exchange.signature)
            .is_err()
    );

    // Firefox's CertificateVerify, over everything before it.
    let mut transcript = Transcript::default();
    for (_, message) in &capture.messages {
        if message.message_type == HandshakeType::CERTIFICATE_VERIFY {
            let verify = CertificateVerify::parse(&message.body).unwrap();
            assert_eq!(verify.scheme, SignatureScheme::ECDSA_SECP256R1_SHA256);
            let client_key = PublicKey::of_certificate(client_der).unwrap();
            let result = crypto.verify(&client_key, verify.scheme, transcript.as_bytes(), verify.signature);
            assert_eq!((result, transcript.as_bytes().len()), (Ok(()), 1148));
        }
        transcript
            .push(message.message_type, message.message_seq, &message.body)
            .unwrap();
    }
    assert_eq!(
        ClientKeyExchange::parse(&find(HandshakeType::CLIENT_KEY_EXCHANGE, 0).1.body)
            .unwrap()
            .share
            .len(),
        32
    );

    // Both Finished, and every record after them, open with the keys that follow from the logged secret.
    let master = Master::from_secret(
        crypto,
        parameters.hash,
        secret(),
        client_hello.random,
        server_hello.random,
    );
    let keys = master.record_keys(&parameters).unwrap();
    let (mut from_client, mut from_server) = (Records::new(), Records::new());
    from_client.install_opening(1, keys.client);
    from_server.install_opening(1, keys.server);
    let mut finished = 0;
    for (port, header, body) in &capture.protected {
        let (records, end) = if port == client_port {
            (&mut from_client, End::Client)
        } else {
            (&mut from_server, End::Server)
        };
        let mut body = body.clone();
        let record = Parts {
            header: *header,
            id: &[],
            body: &mut body[..],
        };
        let Opened::Content { content: plaintext, .. } = records.open(record) else {
            panic!("{header:?} does not open");
        };
        if header.content_type == ContentType::HANDSHAKE {
            let fragment = Fragment::read(&mut Reader::new(plaintext)).unwrap();
            assert_eq!(fragment.header.message_type, HandshakeType::FINISHED);
            assert!(master.verifies(end, transcript.as_bytes(), fragment.body), "{end:?}");
            transcript
                .push(HandshakeType::FINISHED, fragment.header.message_seq, fragment.body)
                .unwrap();
            finished += 1;
        }
    }
    assert_eq!(finished, 2);
    assert!(capture.protected.len() >= 2);
}
