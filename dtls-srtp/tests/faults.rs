//! What a peer, or somebody else, may do wrong: each tolerated fault raises exactly its counter and changes nothing
//! else, each other one ends the connection with its reason.

mod pair;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dtls_srtp::message::{
    Alert, AlertLevel, CertificateChain, ClientHello, Fragment, HandshakeHeader, RecordHeader, ServerHello,
    split_record,
};
use dtls_srtp::{
    Aead, AlertDescription, Certificate, CipherSuite, CloseReason, Config, ContentType, Counters, Crypto, CryptoError,
    Event, ExtensionType, HandshakeType, HashAlgorithm, KeyKind, KeyLog, Mki, NamedGroup, Role, SignatureScheme,
    SigningKey, Version, fake,
};
use pair::{End, Network, Pair, Side, config, config_13, fake_config};
use wire::{Reader, Writer};

/// A record in the clear.
fn record(content_type: ContentType, epoch: u16, sequence: u64, body: &[u8]) -> Vec<u8> {
    let length = body.len() as u16;
    let header = RecordHeader {
        content_type,
        version: Version::DTLS_1_2,
        epoch,
        sequence,
        length,
    };
    let mut out = vec![0; RecordHeader::LEN];
    header.write(&mut Writer::new(&mut out)).unwrap();
    out.extend_from_slice(body);
    out
}

/// A fragment of a handshake message: `length` is what its header says of the whole.
fn fragment(message_type: HandshakeType, message_seq: u16, length: u32, offset: u32, body: &[u8]) -> Vec<u8> {
    let fragment_length = body.len() as u32;
    let header = HandshakeHeader {
        message_type,
        length,
        message_seq,
        fragment_offset: offset,
        fragment_length,
    };
    let mut out = vec![0; HandshakeHeader::LEN];
    header.write(&mut Writer::new(&mut out)).unwrap();
    out.extend_from_slice(body);
    out
}

fn whole(message_type: HandshakeType, message_seq: u16, body: &[u8]) -> Vec<u8> {
    record(
        ContentType::HANDSHAKE,
        0,
        0,
        &fragment(message_type, message_seq, body.len() as u32, 0, body),
    )
}

fn counters(change: impl FnOnce(&mut Counters)) -> Counters {
    let mut counters = Counters::default();
    change(&mut counters);
    counters
}

/// A connected pair whose record layer takes any tag, so that a test can seal what an engine never would.
fn lenient_pair() -> Pair {
    let lenient = |number| config(fake::FakeCrypto::lenient(), fake::certificate(number));
    let mut pair = Pair::new(lenient(1), lenient(2), Network::CLEAN, 1);
    pair.settle();
    pair.assert_connected();
    pair
}

/// A protected record of this type, as the peer of `to` could send it.
fn protected(pair: &mut Pair, to: Side, content_type: ContentType, plaintext: &[u8]) -> Vec<u8> {
    let mut datagram = pair.end(to.other()).seal(plaintext);
    datagram[0] = content_type.0;
    datagram
}

fn lenient_pair_13() -> Pair {
    let lenient = |number| config_13(fake::FakeCrypto::lenient(), fake::certificate(number));
    let mut pair = Pair::new(lenient(1), lenient(2), Network::CLEAN, 1);
    pair.settle();
    pair.run_for(Duration::from_secs(1));
    pair.assert_connected();
    pair
}

/// The same in DTLS 1.3, where the type is encrypted with the content. That has at least 16 bytes: fewer would be part of
/// what hides the record number.
fn protected_13(pair: &mut Pair, to: Side, content_type: ContentType, content: &[u8]) -> Vec<u8> {
    assert!(content.len() >= 16);
    let mut datagram = pair.end(to.other()).seal(content);
    let at = datagram.len() - 17;
    datagram[at] ^= ContentType::APPLICATION_DATA.0 ^ content_type.0;
    datagram
}

/// Sends to a server that waits for its first hello, and expects exactly these counters.
#[track_caller]
fn before_the_handshake(datagrams: &[Vec<u8>], expected: Counters) {
    let now = Instant::now();
    let config = Config {
        max_pending: 4000,
        max_message: 3000,
        ..fake_config(1)
    };
    let mut server = End::new(Arc::new(config), Role::Server, 1, now);
    for datagram in datagrams {
        server.handle(now, datagram);
    }
    assert_eq!(*server.dtls.counters(), expected);
    assert_eq!(server.events, []);
    assert_eq!(server.transmits(now), Vec::<Vec<u8>>::new());
}

/// Sends to both ends of a connection, and expects exactly these counters, and a connection that goes on.
#[track_caller]
fn during_the_connection(datagram: impl Fn(&mut Pair, Side) -> Vec<u8>, expected: Counters) {
    for side in [Side::Client, Side::Server] {
        let mut pair = lenient_pair();
        let datagram = datagram(&mut pair, side);
        let now = pair.now;
        pair.end(side).handle(now, &datagram);
        assert_eq!(*pair.end(side).dtls.counters(), expected, "{side:?}");
        assert_eq!(pair.end(side).received, Vec::<Vec<u8>>::new());
        pair.assert_talking();
    }
}

#[test]
fn malformed_records() {
    let cut = record(ContentType::HANDSHAKE, 0, 0, &[1, 2, 3])[..15].to_vec();
    for bad in [vec![0], vec![22; 12], b"\x80\x00 not DTLS at all".to_vec(), cut] {
        before_the_handshake(std::slice::from_ref(&bad), counters(|c| c.malformed_records = 1));
        during_the_connection(|_, _| bad.clone(), counters(|c| c.malformed_records = 1));
    }
}

#[test]
fn unknown_content_types() {
    let expected = counters(|c| c.unknown_content_types = 1);
    // Above 31 begin the records of DTLS 1.3.
    before_the_handshake(&[record(ContentType(31), 0, 0, b"?")], expected);
    during_the_connection(|pair, to| protected(pair, to, ContentType(24), b"heartbeat"), expected);
}

#[test]
fn stale_epoch_records() {
    let expected = counters(|c| c.stale_epoch_records = 1);
    during_the_connection(|_, _| record(ContentType::APPLICATION_DATA, 7, 0, &[0; 40]), expected);
    during_the_connection(|_, _| whole(HandshakeType::CLIENT_HELLO, 0, &[0; 50]), expected);
    before_the_handshake(&[record(ContentType::HANDSHAKE, 2, 0, &[0; 40])], expected);
    // DTLS 1.2 has no epoch 2, so nothing is kept for it: not even when the keys of epoch 1 are there and Finished is
    // awaited.
    let mut pair = Pair::fake(Network::CLEAN, 1);
    assert!(pair.step() && pair.step());
    let now = pair.now;
    for n in 0..3 {
        pair.client.handle(now, &record(ContentType::HANDSHAKE, 2, n, &[0; 40]));
        assert_eq!(pair.client.dtls.held_bytes(), 0);
    }
    pair.settle();
    pair.assert_connected();
    assert_eq!(*pair.client.dtls.counters(), counters(|c| c.stale_epoch_records = 3));
}

#[test]
fn early_records_dropped() {
    let early: Vec<_> = (0..18)
        .map(|n| record(ContentType::HANDSHAKE, 1, n, &[0; 40]))
        .collect();
    before_the_handshake(&early, counters(|c| c.early_records_dropped = 2));
    let long: Vec<_> = (0..2)
        .map(|n| record(ContentType::APPLICATION_DATA, 1, n, &[0; 2500]))
        .collect();
    before_the_handshake(&long, counters(|c| c.early_records_dropped = 1));
}

/// Nobody has agreed on connection IDs here; where somebody has, `connection_id.rs` looks at the rest.
#[test]
fn misidentified_records() {
    let expected = counters(|c| c.misidentified_records = 1);
    for bad in [record(ContentType::TLS12_CID, 1, 0, &[0; 40]), vec![0x3f; 40]] {
        before_the_handshake(std::slice::from_ref(&bad), expected);
        during_the_connection(|_, _| bad.clone(), expected);
    }
}

/// RFC 5246 §6.2.1: authentic, and still never lent.
#[test]
fn overlong_records() {
    // The fake takes any tag, here with the eight bytes of an explicit nonce and 16 of the tag around the plaintext.
    let sized = |content_type, len: usize| record(content_type, 1, 50, &vec![0; 8 + len + 16]);
    let expected = counters(|c| c.overlong_records = 1);
    for content_type in [
        ContentType::APPLICATION_DATA,
        ContentType::HANDSHAKE,
        ContentType::ALERT,
    ] {
        during_the_connection(|_, _| sized(content_type, (1 << 14) + 1), expected);
    }
    let mut pair = lenient_pair();
    let now = pair.now;
    pair.server.handle(now, &sized(ContentType::APPLICATION_DATA, 1 << 14));
    assert_eq!(pair.server.received.iter().map(Vec::len).collect::<Vec<_>>(), [1 << 14]);
    assert_eq!(*pair.server.dtls.counters(), Counters::default());
}

#[test]
fn replayed_records() {
    for side in [Side::Client, Side::Server] {
        let mut pair = lenient_pair();
        let datagram = pair.end(side.other()).seal(b"once");
        let now = pair.now;
        for _ in 0..3 {
            pair.end(side).handle(now, &datagram);
        }
        assert_eq!(pair.end(side).received, [b"once"]);
        assert_eq!(*pair.end(side).dtls.counters(), counters(|c| c.replayed_records = 2));
    }
}

#[test]
fn unauthenticated_records() {
    let mut pair = Pair::fake(Network::CLEAN, 1);
    pair.settle();
    let mut datagram = pair.client.seal(b"forged");
    *datagram.last_mut().unwrap() ^= 1;
    let now = pair.now;
    pair.server.handle(now, &datagram);
    // A forged sequence number does not move the window either.
    let mut far = pair.client.seal(b"far ahead");
    far[5] = 0x7f;
    pair.server.handle(now, &far);
    // Shorter than a tag.
    pair.server
        .handle(now, &record(ContentType::APPLICATION_DATA, 1, 50, &[0; 10]));
    assert_eq!(
        *pair.server.dtls.counters(),
        counters(|c| c.unauthenticated_records = 3)
    );
    // Only the Finished proved authentic so far.
    assert_eq!(pair.server.dtls.authentic_records(), 1);
    pair.assert_talking();
}

#[test]
fn malformed_fragments() {
    let expected = counters(|c| c.malformed_fragments = 1);
    let beyond = fragment(HandshakeType::CLIENT_HELLO, 0, 10, 8, b"abc");
    for bad in [vec![], vec![1, 0, 0], beyond] {
        before_the_handshake(&[record(ContentType::HANDSHAKE, 0, 0, &bad)], expected);
        during_the_connection(|pair, to| protected(pair, to, ContentType::HANDSHAKE, &bad), expected);
    }
}

#[test]
fn repeated_fragments() {
    let part = record(
        ContentType::HANDSHAKE,
        0,
        0,
        &fragment(HandshakeType::CLIENT_HELLO, 0, 100, 0, &[7; 50]),
    );
    before_the_handshake(&[part.clone(), part], counters(|c| c.repeated_fragments = 1));
    // A Finished that comes again once the handshake is over.
    let finished = fragment(HandshakeType::FINISHED, 0, 12, 0, &[0; 12]);
    let expected = counters(|c| c.repeated_fragments = 1);
    during_the_connection(
        |pair, to| protected(pair, to, ContentType::HANDSHAKE, &finished),
        expected,
    );
}

#[test]
fn inconsistent_fragments() {
    let part = |length| {
        record(
            ContentType::HANDSHAKE,
            0,
            0,
            &fragment(HandshakeType::CLIENT_HELLO, 0, length, 0, &[7; 50]),
        )
    };
    before_the_handshake(&[part(100), part(101)], counters(|c| c.inconsistent_fragments = 1));
}

#[test]
fn oversized_messages() {
    let part = record(
        ContentType::HANDSHAKE,
        0,
        0,
        &fragment(HandshakeType::CLIENT_HELLO, 0, 3001, 0, &[7; 50]),
    );
    before_the_handshake(&[part], counters(|c| c.oversized_messages = 1));
}

#[test]
fn fragments_beyond_budget() {
    let part = |seq, body: &[u8]| {
        record(
            ContentType::HANDSHAKE,
            0,
            0,
            &fragment(HandshakeType::CLIENT_HELLO, seq, 3000, 0, body),
        )
    };
    before_the_handshake(&[part(8, b"far ahead")], counters(|c| c.fragments_beyond_budget = 1));
    before_the_handshake(
        &[part(0, &[7; 2500]), part(1, &[7; 2500])],
        counters(|c| c.fragments_beyond_budget = 1),
    );
    // The awaited message always finds room.
    before_the_handshake(
        &[part(1, &[7; 2500]), part(0, &[7; 2500])],
        counters(|c| c.fragments_beyond_budget = 1),
    );
}

#[test]
fn misprotected_messages() {
    before_the_handshake(
        &[whole(HandshakeType::FINISHED, 3, &[0; 12])],
        counters(|c| c.misprotected_messages = 1),
    );
}

#[test]
fn malformed_change_cipher_specs() {
    let expected = counters(|c| c.malformed_change_cipher_specs = 1);
    before_the_handshake(&[record(ContentType::CHANGE_CIPHER_SPEC, 0, 0, &[2])], expected);
    during_the_connection(
        |pair, to| protected(pair, to, ContentType::CHANGE_CIPHER_SPEC, &[1]),
        expected,
    );
    // In good form it means nothing: the epoch of the next record says the same.
    before_the_handshake(
        &[record(ContentType::CHANGE_CIPHER_SPEC, 0, 0, &[1])],
        Counters::default(),
    );
}

#[test]
fn malformed_alerts() {
    let expected = counters(|c| c.malformed_alerts = 1);
    before_the_handshake(&[record(ContentType::ALERT, 0, 0, &[2])], expected);
    during_the_connection(|pair, to| protected(pair, to, ContentType::ALERT, &[3, 3]), expected);
}

#[test]
fn unprotected_alerts() {
    let fatal = Alert::fatal(AlertDescription::INTERNAL_ERROR).to_bytes();
    let expected = counters(|c| c.unprotected_alerts = 1);
    during_the_connection(|_, _| record(ContentType::ALERT, 0, 9, &fatal), expected);
}

#[test]
fn warning_alerts() {
    let warning = Alert {
        level: AlertLevel::Warning,
        description: AlertDescription::USER_CANCELED,
    }
    .to_bytes();
    let expected = counters(|c| c.warning_alerts = 1);
    before_the_handshake(&[record(ContentType::ALERT, 0, 0, &warning)], expected);
    during_the_connection(|pair, to| protected(pair, to, ContentType::ALERT, &warning), expected);
}

#[test]
fn unprotected_application_data() {
    let expected = counters(|c| c.unprotected_application_data = 1);
    before_the_handshake(&[record(ContentType::APPLICATION_DATA, 0, 0, b"data")], expected);
    during_the_connection(|_, _| record(ContentType::APPLICATION_DATA, 0, 0, b"data"), expected);
}

#[test]
fn renegotiations_refused() {
    for (side, message_type) in [
        (Side::Client, HandshakeType::HELLO_REQUEST),
        (Side::Server, HandshakeType::CLIENT_HELLO),
    ] {
        let mut pair = lenient_pair();
        let request = fragment(message_type, 0, 0, 0, &[]);
        let datagram = protected(&mut pair, side, ContentType::HANDSHAKE, &request);
        let now = pair.now;
        pair.end(side).handle(now, &datagram);
        assert_eq!(
            *pair.end(side).dtls.counters(),
            counters(|c| c.renegotiations_refused = 1)
        );
        // The peer is told, and counts a warning.
        pair.run_for(Duration::from_millis(100));
        assert_eq!(
            *pair.end(side.other()).dtls.counters(),
            counters(|c| c.warning_alerts = 1)
        );
        pair.assert_talking();
    }
}

#[test]
fn unexpected_messages() {
    let ticket = fragment(HandshakeType::NEW_SESSION_TICKET, 9, 0, 0, &[]);
    let expected = counters(|c| c.unexpected_messages = 1);
    during_the_connection(
        |pair, to| protected(pair, to, ContentType::HANDSHAKE, &ticket),
        expected,
    );
}

#[test]
fn datagrams_after_close() {
    let mut pair = lenient_pair();
    pair.client.dtls.close();
    pair.run_for(Duration::from_secs(1));
    let now = pair.now;
    pair.server.handle(now, b"still there?");
    assert_eq!(*pair.server.dtls.counters(), counters(|c| c.datagrams_after_close = 1));
    // After our own goodbye they are only to be expected.
    pair.client.handle(now, b"still there?");
    assert_eq!(*pair.client.dtls.counters(), Counters::default());
}

#[test]
fn malformed_acks() {
    let mut pair = lenient_pair_13();
    let now = pair.now;
    // A number and a half; half a number; something behind the numbers.
    for bad in [
        &[&[0, 24][..], &[0; 24]].concat(),
        &[&[0, 16][..], &[0; 15]].concat(),
        &[0; 16].to_vec(),
    ] {
        for side in [Side::Client, Side::Server] {
            let datagram = protected_13(&mut pair, side, ContentType::ACK, bad);
            pair.end(side).handle(now, &datagram);
        }
    }
    assert_eq!(*pair.client.dtls.counters(), counters(|c| c.malformed_acks = 3));
    assert_eq!(*pair.server.dtls.counters(), counters(|c| c.malformed_acks = 3));
    pair.assert_talking();
}

#[test]
fn unprotected_acks() {
    let ack = record(ContentType::ACK, 0, 0, &[0, 0]);
    before_the_handshake(std::slice::from_ref(&ack), counters(|c| c.unprotected_acks = 1));
    during_the_connection(|_, _| ack.clone(), counters(|c| c.unprotected_acks = 1));
}

#[test]
fn retransmitted_flights() {
    let mut pair = Pair::fake(
        Network {
            loss_percent: 100,
            ..Network::CLEAN
        },
        1,
    );
    pair.run_for(Duration::from_millis(150));
    assert_eq!(*pair.client.dtls.counters(), counters(|c| c.retransmitted_flights = 1));
}

/// A server that asks for a cookie gets part of a hello, and waits until it is forgotten.
fn at_the_door(config: Config, body: &[u8], length: u8, expected: Counters) {
    let config = Config { cookie: true, ..config };
    let now = Instant::now();
    let mut server = End::new(Arc::new(config), Role::Server, 1, now);
    let fragment = [&[1, 0, 0, length, 0, 0, 0, 0, 0, 0, 0, body.len() as u8], body].concat();
    server.handle(now, &record(ContentType::HANDSHAKE, 0, 0, &fragment));
    server.timeout(now + Duration::from_secs(5));
    assert_eq!(*server.dtls.counters(), expected);
}

#[test]
fn invalid_cookies() {
    let head = [&[0xfe, 0xfd][..], &[7; 32], &[0, 1, 9]].concat();
    at_the_door(fake_config(2), &head, 99, counters(|c| c.invalid_cookies = 1));
}

#[test]
fn refused_hellos() {
    at_the_door(fake_config(2), &[9], 1, counters(|c| c.refused_hellos = 1));
}

#[test]
fn abandoned_hellos() {
    at_the_door(fake_config(2), &[9], 99, counters(|c| c.abandoned_hellos = 1));
}

/// Every counter has a test of its name above.
#[test]
fn every_counter_has_its_test() {
    let this = include_str!("faults.rs");
    for (name, _) in Counters::default().iter() {
        assert!(this.contains(&format!("fn {name}() {{")), "{name}");
    }
}

#[test]
fn garbage_never_ends_a_connection() {
    use rand::{RngExt, SeedableRng};
    let mut rng = rand::rngs::StdRng::seed_from_u64(1);
    let mut pair = Pair::fake(Network::CLEAN, 1);
    pair.settle();
    for n in 0..50_000 {
        let mut garbage = vec![0_u8; rng.random_range(1..200)];
        rng.fill(&mut garbage[..]);
        // Every other one has a plausible header.
        if n % 2 == 0 && garbage.len() > 13 {
            let len = (garbage.len() - 13) as u16;
            garbage[0] = rng.random_range(20..=25);
            garbage[1..4].copy_from_slice(&[0xfe, 0xfd, 0]);
            garbage[4] = rng.random_range(0..3);
            garbage[11..13].copy_from_slice(&len.to_be_bytes());
        }
        let side = if n % 3 == 0 { Side::Client } else { Side::Server };
        let now = pair.now;
        pair.end(side).handle(now, &garbage);
    }
    pair.assert_talking();
}

#[test]
fn half_open_floods_are_bounded() {
    use rand::{RngExt, SeedableRng};
    let mut rng = rand::rngs::StdRng::seed_from_u64(2);
    let now = Instant::now();
    let mut server = End::new(Arc::new(fake_config(1)), Role::Server, 1, now);
    let budget = server.dtls.config().max_pending;
    for n in 0..20_000_u64 {
        let offset = rng.random_range(0..15_000);
        let body = vec![n as u8; rng.random_range(1..1000)];
        let length = 16_000;
        // Never the first byte of message 0, so that it never becomes whole.
        let part = fragment(
            HandshakeType::CLIENT_HELLO,
            rng.random_range(0..10),
            length,
            offset + 1,
            &body,
        );
        server.handle(now, &record(ContentType::HANDSHAKE, 0, n, &part));
        server.handle(now, &record(ContentType::APPLICATION_DATA, 1, n, &body));
        assert!(server.dtls.held_bytes() <= 2 * budget);
    }
    assert!(server.dtls.held_bytes() > budget / 2);
    assert_eq!(server.transmits(now), Vec::<Vec<u8>>::new());
    // It gives up like any other handshake, and lets go of everything.
    server.timeout(now + Duration::from_secs(30));
    assert_eq!(
        server.events,
        [Event::Closed {
            reason: CloseReason::Timeout
        }]
    );
    assert_eq!(server.dtls.held_bytes(), 0);
}

/// The first `ClientHello` of our own client, whole, without headers.
fn client_hello() -> Vec<u8> {
    let now = Instant::now();
    let mut client = End::new(Arc::new(fake_config(1)), Role::Client, 1, now);
    let mut datagram = client.transmits(now).remove(0);
    let (_, body, _) = split_record(&mut datagram).unwrap();
    Fragment::read(&mut Reader::new(body)).unwrap().body.to_vec()
}

/// What a server makes of a hello.
fn answer(hello: &[u8]) -> Option<CloseReason> {
    let now = Instant::now();
    let mut server = End::new(Arc::new(fake_config(2)), Role::Server, 2, now);
    server.handle(now, &whole(HandshakeType::CLIENT_HELLO, 0, hello));
    let answered = server.transmits(now);
    assert_eq!(answered.len(), 1);
    match server.events[..] {
        [] => None,
        [Event::Closed { reason }] => {
            // The peer is told: one fatal alert.
            assert_eq!((answered[0][0], answered[0][13], answered[0].len()), (21, 2, 15));
            Some(reason)
        }
        ref other => panic!("{other:?}"),
    }
}

/// The hello with one extension changed (`Some`) or left out (`None`).
fn with_extension(hello: &[u8], extension_type: u16, data: Option<&[u8]>) -> Vec<u8> {
    let parsed = ClientHello::parse(hello).unwrap();
    let mut block = Vec::new();
    for (name, mut old) in parsed.extensions.iter() {
        if name.0 != extension_type {
            block.extend(name.0.to_be_bytes());
            block.extend((old.remaining() as u16).to_be_bytes());
            block.extend(old.all());
        }
    }
    if let Some(data) = data {
        block.extend(extension_type.to_be_bytes());
        block.extend((data.len() as u16).to_be_bytes());
        block.extend(data);
    }
    let old_block = parsed
        .extensions
        .iter()
        .map(|(_, data)| 4 + data.remaining())
        .sum::<usize>();
    let mut out = hello[..hello.len() - old_block - 2].to_vec();
    out.extend((block.len() as u16).to_be_bytes());
    out.extend(block);
    out
}

#[test]
fn what_a_server_refuses_in_a_hello() {
    let hello = client_hello();
    assert_eq!(answer(&hello), None);
    let refused = |hello: &[u8]| answer(hello).expect("a refusal");

    let mut old = hello.clone();
    old[..2].copy_from_slice(&Version::DTLS_1_0.0.to_be_bytes());
    assert_eq!(refused(&old), CloseReason::UnsupportedVersion);
    // supported_versions overrules the field, both ways.
    let with_versions = |versions: &[u8]| with_extension(&old, 43, Some(versions));
    assert_eq!(answer(&with_versions(&[4, 0xfe, 0xfc, 0xfe, 0xfd])), None);
    let only_1_3 = with_extension(&hello, 43, Some(&[2, 0xfe, 0xfc]));
    assert_eq!(refused(&only_1_3), CloseReason::UnsupportedVersion);

    assert_eq!(
        refused(&with_extension(&hello, 23, None)),
        CloseReason::NoExtendedMasterSecret
    );
    assert_eq!(
        refused(&with_extension(&hello, 10, Some(&[0, 2, 0x11, 0xec]))),
        CloseReason::NoCommonGroup
    );
    assert_eq!(
        refused(&with_extension(&hello, 13, Some(&[0, 2, 2, 1]))),
        CloseReason::NoCommonSignatureScheme
    );
    assert_eq!(
        refused(&with_extension(&hello, 13, None)),
        CloseReason::NoCommonSignatureScheme
    );
    assert!(matches!(
        refused(&with_extension(&hello, 0xff01, Some(&[1, 9]))),
        CloseReason::IllegalParameter(_)
    ));
    assert!(matches!(
        refused(&with_extension(&hello, 11, Some(&[1, 1]))),
        CloseReason::IllegalParameter(_)
    ));
    // Without groups, P-256 is what everybody has.
    assert_eq!(answer(&with_extension(&hello, 10, None)), None);
    assert_eq!(answer(&with_extension(&hello, 14, None)), None);

    let parsed = ClientHello::parse(&hello).unwrap();
    let suites_at = 2 + 32 + 1 + 1 + 2;
    let suites_len = parsed.cipher_suites.as_bytes().len();
    let mut other_suites = hello.clone();
    other_suites[suites_at..suites_at + suites_len].fill(0x0a);
    assert_eq!(refused(&other_suites), CloseReason::NoCommonCipherSuite);
    let mut deflate = hello.clone();
    deflate[suites_at + suites_len + 1] = 1;
    assert!(matches!(refused(&deflate), CloseReason::IllegalParameter(_)));

    assert!(matches!(
        refused(&hello[..hello.len() - 1]),
        CloseReason::Malformed {
            message: HandshakeType::CLIENT_HELLO,
            ..
        }
    ));
    for extension in [10, 13, 14, 11, 43] {
        let malformed = with_extension(&hello, extension, Some(&[9]));
        assert!(
            matches!(refused(&malformed), CloseReason::Malformed { .. }),
            "{extension}"
        );
    }
}

#[test]
fn messages_out_of_turn_end_the_handshake() {
    let now = Instant::now();
    let mut server = End::new(Arc::new(fake_config(2)), Role::Server, 2, now);
    server.handle(now, &whole(HandshakeType::SERVER_HELLO_DONE, 0, &[]));
    let reason = CloseReason::UnexpectedMessage(HandshakeType::SERVER_HELLO_DONE);
    assert_eq!(server.events, [Event::Closed { reason }]);
}

/// Runs a handshake in which the server's messages of one type are changed on the way; the change keeps their length.
fn with_server_message(message_type: HandshakeType, change: impl Fn(&mut [u8]) + Copy + 'static) -> CloseReason {
    with_server_message_of(Pair::fake(Network::CLEAN, 1), message_type, change)
}

fn with_server_message_of(
    mut pair: Pair,
    message_type: HandshakeType,
    change: impl Fn(&mut [u8]) + Copy + 'static,
) -> CloseReason {
    pair.tamper = Box::new(move |_, from, datagram| {
        let mut rest = &mut datagram[..];
        while from == Side::Server && !rest.is_empty() {
            let (header, body, tail) = split_record(rest).unwrap();
            if header.epoch == 0 && header.content_type == ContentType::HANDSHAKE && body[0] == message_type.0 {
                change(&mut body[HandshakeHeader::LEN..]);
            }
            rest = tail;
        }
    });
    pair.settle();
    match pair.client.events[..] {
        [Event::Closed { reason }] => reason,
        ref other => panic!("{other:?}"),
    }
}

/// RFC 5764 §4.1.3: a server's MKI is the one that was offered.
#[test]
fn a_client_refuses_another_mki() {
    let with = |number| Config {
        srtp_mki: Mki::new(&[1, 2, 3]),
        ..fake_config(number)
    };
    let pair = Pair::new(with(1), with(2), Network::CLEAN, 1);
    let reason = with_server_message_of(pair, HandshakeType::SERVER_HELLO, |body| {
        let hello = ServerHello::parse(body).unwrap();
        let srtp = hello.extensions.get(ExtensionType::USE_SRTP).unwrap();
        // Behind the list with the profile and its own length.
        let mki = srtp.offset() + 5;
        assert_eq!(body[mki..mki + 3], [1, 2, 3]);
        body[mki] = 9;
    });
    assert!(matches!(reason, CloseReason::IllegalParameter(_)), "{reason:?}");
}

#[test]
fn what_a_client_refuses() {
    use HandshakeType as H;
    let illegal = |reason| matches!(reason, CloseReason::IllegalParameter(_));
    assert_eq!(
        with_server_message(H::SERVER_HELLO, |body| body[1] = 0xff),
        CloseReason::UnsupportedVersion
    );
    // A suite that was not offered; a compression method; extensions that were not offered.
    assert!(illegal(with_server_message(H::SERVER_HELLO, |body| body[36] ^= 0x40)));
    assert!(illegal(with_server_message(H::SERVER_HELLO, |body| body[37] = 1)));
    for extension in [
        99,
        ExtensionType::KEY_SHARE.0 as u8,
        ExtensionType::CONNECTION_ID.0 as u8,
    ] {
        assert_eq!(
            with_server_message(H::SERVER_HELLO, move |body| body[41] = extension),
            CloseReason::UnsolicitedExtension(ExtensionType(extension.into()))
        );
    }
    // The profile in use_srtp, and its MKI.
    assert!(illegal(with_server_message(H::SERVER_HELLO, |body| {
        let srtp = ServerHello::parse(body)
            .unwrap()
            .extensions
            .get(ExtensionType::USE_SRTP)
            .unwrap();
        let profile = srtp.offset() + 3;
        body[profile] = 5;
    })));
    assert!(matches!(
        with_server_message(H::CERTIFICATE, |body| body[6] ^= 1),
        CloseReason::BadCertificate(_)
    ));
    assert!(illegal(
        with_server_message(H::SERVER_KEY_EXCHANGE, |body| body[2] = 0x1e)
    ));
    assert_eq!(
        with_server_message(H::SERVER_KEY_EXCHANGE, |body| body[10] ^= 1),
        CloseReason::BadSignature
    );
    assert!(illegal(with_server_message(H::SERVER_KEY_EXCHANGE, |body| body[37] = 1)));
    assert_eq!(
        with_server_message(H::CERTIFICATE_REQUEST, |body| body[6] = 1),
        CloseReason::NoCommonSignatureScheme
    );
}

/// Like [`with_server_message`], for the client's messages and the server's refusal.
fn with_client_message(message_type: HandshakeType, change: impl Fn(&mut [u8]) + Copy + 'static) -> CloseReason {
    let mut pair = Pair::fake(Network::CLEAN, 1);
    pair.tamper = Box::new(move |_, from, datagram| {
        let mut rest = &mut datagram[..];
        while from == Side::Client && !rest.is_empty() {
            let (header, body, tail) = split_record(rest).unwrap();
            if header.epoch == 0 && header.content_type == ContentType::HANDSHAKE && body[0] == message_type.0 {
                change(&mut body[HandshakeHeader::LEN..]);
            }
            rest = tail;
        }
    });
    pair.settle();
    match pair.server.events[..] {
        [Event::Closed { reason }] => reason,
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_server_refuses_after_the_hello() {
    use HandshakeType as H;
    assert!(matches!(
        with_client_message(H::CLIENT_KEY_EXCHANGE, |body| body[0] = 31),
        CloseReason::Malformed {
            message: H::CLIENT_KEY_EXCHANGE,
            ..
        }
    ));
    assert_eq!(
        with_client_message(H::CERTIFICATE_VERIFY, |body| body[9] ^= 1),
        CloseReason::BadSignature
    );
    // A changed random is only noticed when all is signed.
    assert_eq!(
        with_client_message(H::CLIENT_HELLO, |body| body[9] ^= 1),
        CloseReason::Alert(AlertDescription::DECRYPT_ERROR)
    );
}

/// Runs a handshake in which the messages of one side get other numbers, or `None` and are lost, each time they are
/// sent. So they change their order, since order is that of the numbers.
fn renumbered(from: Side, number: impl Fn(u16) -> Option<u16> + 'static) -> Pair {
    let lenient = |number| config(fake::FakeCrypto::lenient(), fake::certificate(number));
    let mut pair = Pair::new(lenient(1), lenient(2), Network::CLEAN, 1);
    pair.tamper = Box::new(move |_, side, datagram| {
        if side != from {
            return;
        }
        let mut out = Vec::new();
        let mut rest = &mut datagram[..];
        while !rest.is_empty() {
            let (header, body, tail) = split_record(rest).unwrap();
            let mut kept = true;
            if header.content_type == ContentType::HANDSHAKE {
                // The only protected message is Finished. The fake's cipher is a mask, so its number can be changed
                // under the protection, behind eight bytes of nonce.
                let (at, old) = match (header.epoch, from) {
                    (0, _) => (4, u16::from_be_bytes([body[4], body[5]])),
                    (_, Side::Client) => (8 + 4, 4),
                    (_, Side::Server) => (8 + 4, 5),
                };
                let new = number(old);
                kept = new.is_some();
                let [high, low] = (old ^ new.unwrap_or(old)).to_be_bytes();
                body[at] ^= high;
                body[at + 1] ^= low;
            }
            if kept {
                out.extend(record(header.content_type, header.epoch, header.sequence, body));
            }
            rest = tail;
        }
        *datagram = out;
    });
    pair.settle();
    pair
}

/// Every message of both flights left out, with those after it moved up, and every two neighbours exchanged: the
/// handshake ends with the first message that is not the awaited one, and nobody has keys.
#[test]
fn no_message_can_be_left_out_or_come_before_its_turn() {
    use CloseReason::{NoCertificateRequest, Timeout, UnexpectedMessage};
    use HandshakeType as H;
    // What is left out, with what becomes of it; then the number of the first of two neighbours.
    let of_client = [
        (
            1,
            UnexpectedMessage(H::CLIENT_KEY_EXCHANGE),
            UnexpectedMessage(H::CLIENT_KEY_EXCHANGE),
        ),
        (
            2,
            UnexpectedMessage(H::CERTIFICATE_VERIFY),
            UnexpectedMessage(H::CERTIFICATE_VERIFY),
        ),
        (3, UnexpectedMessage(H::FINISHED), UnexpectedMessage(H::FINISHED)),
        (4, Timeout, Timeout),
    ];
    let of_server = [
        (0, UnexpectedMessage(H::CERTIFICATE), UnexpectedMessage(H::CERTIFICATE)),
        (
            1,
            UnexpectedMessage(H::SERVER_KEY_EXCHANGE),
            UnexpectedMessage(H::SERVER_KEY_EXCHANGE),
        ),
        (
            2,
            UnexpectedMessage(H::CERTIFICATE_REQUEST),
            UnexpectedMessage(H::CERTIFICATE_REQUEST),
        ),
        (3, NoCertificateRequest, NoCertificateRequest),
        // Without ServerHelloDone nothing more comes, and nothing after it comes before it.
        (4, Timeout, Timeout),
        (5, Timeout, Timeout),
    ];
    let cases = of_client
        .map(|case| (Side::Client, case))
        .into_iter()
        .chain(of_server.map(|case| (Side::Server, case)));
    for (from, (number, without, exchanged)) in cases {
        let left_out = renumbered(from, move |old| match old {
            _ if old == number => None,
            _ => Some(old - u16::from(old > number)),
        });
        let neighbours = renumbered(from, move |old| match old {
            _ if old == number => Some(number + 1),
            _ if old == number + 1 => Some(number),
            _ => Some(old),
        });
        for (mut pair, expected) in [(left_out, without), (neighbours, exchanged)] {
            let to = from.other();
            let reason = match pair.end(to).events[..] {
                [Event::Closed { reason }] => reason,
                ref other => panic!("{from:?} {number}: {other:?}"),
            };
            assert_eq!(reason, expected, "{from:?} {number}");
            assert!(pair.end(to).dtls.take_srtp_keys().is_none() && pair.end(to).exported().is_none());
        }
    }
}

/// The key of a certificate that its bearer does not have.
#[derive(Debug)]
struct NoKey;

impl SigningKey for NoKey {
    fn kind(&self) -> KeyKind {
        KeyKind::Ecdsa
    }

    fn choose_scheme(&self, _offered: &[SignatureScheme]) -> Option<SignatureScheme> {
        Some(SignatureScheme::ECDSA_SECP256R1_SHA256)
    }

    fn sign(&self, _scheme: SignatureScheme, _message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        Ok(vec![0; 71])
    }
}

/// The secrets of a run, as its key log tells them.
#[derive(Debug, Default)]
struct Secrets(Mutex<Vec<Vec<u8>>>);

impl KeyLog for Secrets {
    fn log(&self, line: &str) {
        let hex = line.rsplit(' ').next().unwrap();
        let bytes = (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
        self.0.lock().unwrap().push(bytes.collect());
    }
}

/// The Finished of a client, sealed under the keys that follow from `secret`: record header and body.
fn client_finished(secret: &[u8], transcript: &[u8], message_seq: u16) -> Vec<u8> {
    let crypto = fake::FakeCrypto::new();
    let hellos = [0, 1].map(|nth| {
        // Both hellos begin with a header of 12 bytes, a version, and the random.
        let server_hello = 12 + usize::from(transcript[2]) * 256 + usize::from(transcript[3]);
        let at = 12 + 2 + if nth == 0 { 0 } else { server_hello };
        transcript[at..at + 32].to_vec()
    });
    let seed = [&hellos[1][..], &hellos[0]].concat();
    let mut block = [0; 2 * (16 + 4)];
    crypto.prf(HashAlgorithm::Sha256, secret, b"key expansion", &seed, &mut block);
    let key = crypto.record_key(Aead::Aes128Gcm, &block[..16]).unwrap();

    let digest = crypto.hash(HashAlgorithm::Sha256, transcript);
    let mut verify_data = [0; 12];
    crypto.prf(
        HashAlgorithm::Sha256,
        secret,
        b"client finished",
        digest.as_bytes(),
        &mut verify_data,
    );
    let mut plaintext = fragment(HandshakeType::FINISHED, message_seq, 12, 0, &verify_data);

    // The first record of epoch 1, with epoch and sequence number as the explicit nonce.
    let explicit = [0, 1, 0, 0, 0, 0, 0, 0];
    let nonce = [&block[32..36], &explicit].concat().try_into().unwrap();
    let aad = [&explicit[..], &[22, 0xfe, 0xfd, 0, plaintext.len() as u8]].concat();
    let tag = key.seal(nonce, &aad, &mut plaintext);
    record(
        ContentType::HANDSHAKE,
        1,
        0,
        &[&explicit[..], &plaintext, &tag].concat(),
    )
}

/// A certificate is public: whoever shows one has to prove that its key is at hand. The central attack is to show that
/// of the peer that signalling names, to agree on keys, and to leave the proof out; the Finished then is right for the
/// handshake that the server has seen.
#[test]
fn certificate_verify_cannot_be_skipped() {
    let named = fake::certificate(1);
    let stolen = Certificate::new(named.der().to_vec(), Arc::new(NoKey));
    let skipped = CloseReason::UnexpectedMessage(HandshakeType::FINISHED);
    for (certificate, skips, expected) in [
        // That the Finished is computed right.
        (&named, false, None),
        (&named, true, Some(skipped)),
        (&stolen, false, Some(CloseReason::BadSignature)),
        (&stolen, true, Some(skipped)),
    ] {
        let secrets = Arc::new(Secrets::default());
        let client = Config {
            certificate: certificate.clone(),
            cipher_suites: vec![CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256],
            key_log: Some(secrets.clone()),
            ..fake_config(1)
        };
        let mut pair = Pair::new(client, fake_config(2), Network::CLEAN, 1);
        let mut transcript = Vec::new();
        pair.tamper = Box::new(move |number, _, datagram| {
            if number > 2 {
                return;
            }
            let mut out = Vec::new();
            let mut rest = &mut datagram[..];
            while !rest.is_empty() {
                let (header, body, tail) = split_record(rest).unwrap();
                if header.epoch == 1 {
                    let secret = secrets.0.lock().unwrap()[0].clone();
                    out.extend(client_finished(&secret, &transcript, if skips { 3 } else { 4 }));
                } else if !(skips && body[0] == HandshakeType::CERTIFICATE_VERIFY.0) {
                    // No message is in fragments here, so on the wire they are as they stand in the transcript.
                    if header.content_type == ContentType::HANDSHAKE {
                        transcript.extend_from_slice(body);
                    }
                    out.extend(record(header.content_type, header.epoch, header.sequence, body));
                }
                rest = tail;
            }
            *datagram = out;
        });
        pair.settle();
        match expected {
            None => pair.assert_connected(),
            Some(reason) => {
                assert_eq!(pair.server.events, [Event::Closed { reason }]);
                assert!(!pair.server.dtls.is_connected() && pair.server.exported().is_none());
                assert!(pair.server.dtls.take_srtp_keys().is_none());
            }
        }
    }
}

#[test]
fn a_client_without_certificate_is_refused() {
    let now = Instant::now();
    let mut server = End::new(Arc::new(fake_config(2)), Role::Server, 2, now);
    server.handle(now, &whole(HandshakeType::CLIENT_HELLO, 0, &client_hello()));
    server.handle(now, &whole(HandshakeType::CERTIFICATE, 1, &[0, 0, 0]));
    assert_eq!(
        server.events,
        [Event::Closed {
            reason: CloseReason::NoPeerCertificate
        }]
    );
}

#[test]
fn a_share_that_is_no_key_is_refused() {
    let now = Instant::now();
    let mut server = End::new(Arc::new(fake_config(2)), Role::Server, 2, now);
    server.handle(now, &whole(HandshakeType::CLIENT_HELLO, 0, &client_hello()));
    let mut chain = vec![0; 1000];
    let mut w = Writer::new(&mut chain);
    CertificateChain::write_one(&mut w, fake::certificate(1).der()).unwrap();
    server.handle(now, &whole(HandshakeType::CERTIFICATE, 1, w.into_written()));
    server.handle(now, &whole(HandshakeType::CLIENT_KEY_EXCHANGE, 2, &[2, 9, 9]));
    assert_eq!(
        server.events,
        [Event::Closed {
            reason: CloseReason::BadKeyShare
        }]
    );
}

#[test]
fn a_server_that_wants_no_certificate_is_refused() {
    let mut pair = Pair::fake(Network::CLEAN, 1);
    pair.tamper = Box::new(|_, from, datagram| {
        let mut rest = &mut datagram[..];
        while from == Side::Server && !rest.is_empty() {
            let (_, body, tail) = split_record(rest).unwrap();
            // A ServerHelloDone where the CertificateRequest stands.
            if body[0] == HandshakeType::CERTIFICATE_REQUEST.0 {
                body[0] = HandshakeType::SERVER_HELLO_DONE.0;
            }
            rest = tail;
        }
    });
    pair.settle();
    assert_eq!(
        pair.client.events,
        [Event::Closed {
            reason: CloseReason::NoCertificateRequest
        }]
    );
}

#[test]
fn a_wrong_finished_is_refused() {
    for (number, side) in [(2, Side::Server), (3, Side::Client)] {
        let lenient = |number| config(fake::FakeCrypto::lenient(), fake::certificate(number));
        let mut pair = Pair::new(lenient(1), lenient(2), Network::CLEAN, 1);
        pair.tamper = Box::new(move |n, _, datagram| {
            if n == number {
                // The last byte of the ciphertext, before the tag.
                let at = datagram.len() - 17;
                datagram[at] ^= 1;
            }
        });
        pair.settle();
        assert_eq!(
            pair.end(side).events,
            [Event::Closed {
                reason: CloseReason::BadFinished
            }]
        );
    }
}

#[test]
fn a_handshake_beyond_its_budget_is_refused() {
    let now = Instant::now();
    let config = Config {
        max_message: 60_000,
        max_pending: 64_000,
        ..fake_config(2)
    };
    let mut server = End::new(Arc::new(config), Role::Server, 2, now);
    let long = with_extension(&client_hello(), 0x7a7a, Some(&vec![0; 50_000]));
    for (n, part) in long.chunks(10_000).enumerate() {
        let part = fragment(
            HandshakeType::CLIENT_HELLO,
            0,
            long.len() as u32,
            n as u32 * 10_000,
            part,
        );
        server.handle(now, &record(ContentType::HANDSHAKE, 0, n as u64, &part));
    }
    assert_eq!(
        server.events,
        [Event::Closed {
            reason: CloseReason::HandshakeTooLong
        }]
    );
}

#[test]
fn groups_that_share_nothing() {
    let client = Config {
        groups: vec![NamedGroup::X25519],
        ..fake_config(1)
    };
    let server = Config {
        groups: vec![NamedGroup::SECP256R1],
        ..fake_config(2)
    };
    let mut pair = Pair::new(client, server, Network::CLEAN, 1);
    pair.settle();
    assert_eq!(
        pair.server.events,
        [Event::Closed {
            reason: CloseReason::NoCommonGroup
        }]
    );
    let told = CloseReason::Alert(AlertDescription::HANDSHAKE_FAILURE);
    assert_eq!(pair.client.events, [Event::Closed { reason: told }]);
}

/// A library that has nothing to offer, or a key that signs nothing that the peer verifies.
#[test]
fn a_client_with_nothing_to_offer_ends_at_once() {
    let now = Instant::now();
    let config = Config {
        cipher_suites: vec![],
        ..fake_config(1)
    };
    let mut client = End::new(Arc::new(config), Role::Client, 1, now);
    client.timeout(now);
    assert_eq!(
        client.events,
        [Event::Closed {
            reason: CloseReason::NoCommonCipherSuite
        }]
    );

    let real = config_with_a_real_certificate();
    let mut pair = Pair::new(real, fake_config(2), Network::CLEAN, 1);
    pair.settle();
    assert_eq!(
        pair.client.events,
        [Event::Closed {
            reason: CloseReason::UnsupportedPeerKey
        }]
    );
}

fn config_with_a_real_certificate() -> Config {
    config(dtls_srtp::RingCrypto::new(), Certificate::generate().unwrap())
}

#[test]
fn cookies_are_answered_but_not_for_ever() {
    let now = Instant::now();
    let mut client = End::new(Arc::new(fake_config(1)), Role::Client, 1, now);
    let first = client.transmits(now);
    let mut hellos = vec![first[0].clone()];
    for seq in 0..4_u16 {
        let request = [&[0xfe, 0xff, 4][..], &[seq as u8; 4]].concat();
        client.handle(now, &whole(HandshakeType::HELLO_VERIFY_REQUEST, seq, &request));
        hellos.extend(client.transmits(now));
    }
    let reason = CloseReason::UnexpectedMessage(HandshakeType::HELLO_VERIFY_REQUEST);
    assert_eq!(client.events, [Event::Closed { reason }]);
    // Three hellos with cookies, with rising message numbers and the same random; then the alert.
    assert_eq!(hellos.len(), 5);
    let parsed: Vec<_> = hellos[..4]
        .iter_mut()
        .map(|datagram| {
            let (_, body, _) = split_record(datagram).unwrap();
            let fragment = Fragment::read(&mut Reader::new(body)).unwrap();
            let hello = ClientHello::parse(fragment.body).unwrap();
            (fragment.header.message_seq, hello.random, hello.cookie.to_vec())
        })
        .collect();
    for (n, (seq, random, cookie)) in parsed.iter().enumerate() {
        assert_eq!((*seq as usize, random), (n, &parsed[0].1));
        assert_eq!(cookie, &vec![(n as u8).wrapping_sub(1); if n == 0 { 0 } else { 4 }]);
    }
}

#[test]
fn reasons_are_sentences_and_have_alerts() {
    let reasons = [
        CloseReason::Local,
        CloseReason::Timeout,
        CloseReason::FingerprintMismatch,
        CloseReason::Malformed {
            message: HandshakeType::FINISHED,
            error: wire::Error::Trailing { offset: 3 },
        },
        CloseReason::UnexpectedMessage(HandshakeType(99)),
        CloseReason::Alert(AlertDescription::BAD_CERTIFICATE),
    ];
    for reason in reasons {
        assert!(reason.to_string().len() > 10);
    }
    assert_eq!(
        reasons[3].to_string(),
        "the peer's finished cannot be read: bytes left over at offset 3"
    );
}
