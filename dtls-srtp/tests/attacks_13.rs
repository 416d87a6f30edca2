//! What somebody in the middle, or a peer with bad intentions, can do to DTLS 1.3: nothing but to end it.

mod pair;

use std::sync::Arc;
use std::time::{Duration, Instant};

use dtls_srtp::{
    AlertDescription, Certificate, CloseReason, Config, ConnectionIds, Event, ExtensionType, HandshakeType, NamedGroup,
    RingCrypto, Role, fake,
};
use pair::{End, Network, Pair, Side, config_13};

fn strict(number: u64) -> Config {
    config_13(fake::FakeCrypto::new(), fake::certificate(number))
}

fn lenient(number: u64) -> Config {
    config_13(fake::FakeCrypto::lenient(), fake::certificate(number))
}

fn closed(events: &[Event]) -> Option<CloseReason> {
    match events {
        [.., Event::Closed { reason }] => Some(*reason),
        _ => None,
    }
}

/// Without a hybrid group a handshake has half the bytes, and without SRTP all its messages differ in length.
fn short(config: Config) -> Config {
    Config {
        groups: vec![NamedGroup::X25519],
        srtp_profiles: Vec::new(),
        ..config
    }
}

/// Flips one bit of one byte of one datagram, each in turn; where tags count, and where they do not, so that the change
/// is one of a protected message. Whatever comes of it, the two ends never believe in different handshakes, and nobody
/// waits for ever.
#[test]
fn tampering_with_any_byte_gives_no_false_handshake() {
    for (make, tags_count) in [(strict as fn(u64) -> Config, true), (lenient, false)] {
        let new = || Pair::new(short(make(1)), short(make(2)), Network::CLEAN, 1);
        let mut clean = new();
        clean.settle();
        let exported = clean.client.exported();
        let lengths: Vec<_> = clean.log.iter().map(|(_, _, datagram)| datagram.len()).collect();
        let (mut connected, mut refused, mut stranded) = (0, 0, 0);
        for (number, len) in lengths.into_iter().enumerate() {
            for at in 0..len {
                let mut pair = new();
                pair.tamper = Box::new(move |n, _, datagram| {
                    if n == number as u64 {
                        datagram[at] ^= 1 << (at % 8);
                    }
                });
                pair.settle();
                pair.run_for(Duration::from_secs(31));
                match (pair.client.exported(), pair.server.exported()) {
                    (Some(client), Some(server)) => {
                        assert_eq!(
                            (client, Some(client)),
                            (server, exported),
                            "datagram {number} byte {at}"
                        );
                        connected += 1;
                    }
                    (None, None) => {
                        assert!(pair.client.dtls.is_closed(), "datagram {number} byte {at}");
                        // A server that never heard a hello has nothing to end.
                        assert!(pair.server.dtls.is_closed() || pair.server.dtls.poll_timeout().is_none());
                        refused += 1;
                    }
                    // A client is done with the server's Finished. A fragment under another number is acknowledged like any
                    // that waits for those before it, and what it should have been never comes again.
                    (Some(client), None) if closed(&pair.server.events) == Some(CloseReason::Timeout) => {
                        assert_eq!(Some(client), exported);
                        stranded += 1;
                    }
                    _ => panic!("datagram {number} byte {at}: one of them believes in it"),
                }
            }
        }
        // Lost records are repaired; changed messages are refused.
        assert!(connected > 100 && refused > 100, "{connected} {refused}");
        assert!(if tags_count { stranded == 0 } else { stranded < 10 }, "{stranded}");
    }
}

/// Takes a datagram's protected records apart: each with its header.
fn records(datagram: &mut [u8]) -> Vec<&mut [u8]> {
    let mut records = Vec::new();
    let mut rest = datagram;
    while let [0x20..=0x3f, _, _, high, low, ..] = *rest {
        let (record, tail) = rest.split_at_mut(5 + usize::from(u16::from_be_bytes([high, low])));
        records.push(record);
        rest = tail;
    }
    records
}

/// Runs a handshake in which the protected messages of one side get other numbers, or `None` and are lost, each time
/// they are sent. So they change their order, since order is that of the numbers.
fn renumbered(from: Side, number: impl Fn(u16) -> Option<u16> + 'static) -> Pair {
    let new = || Pair::new(short(lenient(1)), short(lenient(2)), Network::CLEAN, 1);
    // Which message a record holds shows in its length.
    let mut clean = new();
    clean.settle();
    let of_sender = clean.log.iter().filter(|(_, side, _)| *side == from);
    let mut lengths = Vec::new();
    for (_, _, datagram) in of_sender {
        let mut datagram = datagram.clone();
        // A ServerHello goes before.
        for record in records(behind_the_clear(&mut datagram)) {
            if record[0] & 3 == 2 {
                lengths.push(record.len());
            }
        }
    }
    let mut unique = lengths.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), lengths.len(), "{lengths:?}");

    let mut pair = new();
    pair.tamper = Box::new(move |_, side, datagram| {
        if side != from {
            return;
        }
        let clear = match datagram[..] {
            [22, ..] => 13 + usize::from(u16::from_be_bytes([datagram[11], datagram[12]])),
            _ => 0,
        };
        let mut out = datagram[..clear].to_vec();
        for record in records(&mut datagram[clear..]) {
            let place = lengths
                .iter()
                .position(|&len| record[0] & 3 == 2 && len == record.len());
            let mut kept = true;
            if let Some(place) = place {
                // The hello has number 0. The fake's cipher is a mask, so a number can be changed under it.
                let old = place as u16 + 1;
                let new = number(old);
                kept = new.is_some();
                let [high, low] = (old ^ new.unwrap_or(old)).to_be_bytes();
                record[5 + 4] ^= high;
                record[5 + 5] ^= low;
            }
            if kept {
                out.extend_from_slice(record);
            }
        }
        *datagram = out;
    });
    pair.settle();
    pair.run_for(Duration::from_secs(31));
    pair
}

/// Every protected message of both flights left out, with those after it moved up, and every two neighbours exchanged:
/// the handshake ends with the first message that is not the awaited one, and nobody has keys.
#[test]
fn no_message_can_be_left_out_or_come_before_its_turn() {
    use CloseReason::{NoCertificateRequest, Timeout, UnexpectedMessage};
    use HandshakeType as H;
    let of_client = [
        (1, UnexpectedMessage(H::CERTIFICATE_VERIFY)),
        (2, UnexpectedMessage(H::FINISHED)),
        (3, Timeout),
    ];
    let of_server = [
        (1, UnexpectedMessage(H::CERTIFICATE_REQUEST)),
        (2, NoCertificateRequest),
        (3, UnexpectedMessage(H::CERTIFICATE_VERIFY)),
        (4, UnexpectedMessage(H::FINISHED)),
        (5, Timeout),
    ];
    let cases = of_client
        .map(|case| (Side::Client, case))
        .into_iter()
        .chain(of_server.map(|case| (Side::Server, case)));
    for (from, (number, expected)) in cases {
        let left_out = renumbered(from, move |old| match old {
            _ if old == number => None,
            _ => Some(old - u16::from(old > number)),
        });
        let neighbours = renumbered(from, move |old| match old {
            _ if old == number => Some(number + 1),
            _ if old == number + 1 => Some(number),
            _ => Some(old),
        });
        for mut pair in [left_out, neighbours] {
            let to = from.other();
            assert_eq!(closed(&pair.end(to).events), Some(expected), "{from:?} {number}");
            assert!(pair.end(to).dtls.take_srtp_keys().is_none() && pair.end(to).exported().is_none());
        }
    }
}

#[test]
fn a_wrong_fingerprint_ends_it_at_once() {
    for side in [Side::Client, Side::Server] {
        let mut pair = Pair::new(strict(1), strict(2), Network::CLEAN, 1);
        pair.end(side)
            .dtls
            .set_remote_fingerprints(vec![fake::certificate(3).fingerprint()]);
        pair.settle();
        pair.run_for(Duration::from_secs(1));
        assert_eq!(closed(&pair.end(side).events), Some(CloseReason::FingerprintMismatch));
        assert!(matches!(
            closed(&pair.end(side.other()).events),
            Some(CloseReason::Alert(_))
        ));
        assert!(pair.end(side).exported().is_none() && pair.end(side).dtls.take_srtp_keys().is_none());
    }
}

#[test]
fn data_that_came_before_the_fingerprint_is_lent_after_it() {
    let mut pair = Pair::strangers(strict(1), strict(2), Network::CLEAN, 1);
    pair.server
        .dtls
        .set_remote_fingerprints(vec![fake::certificate(1).fingerprint()]);
    pair.run_for(Duration::from_secs(1));
    assert!(pair.server.dtls.is_connected() && !pair.client.dtls.is_connected());
    for n in 0..3 {
        let datagram = pair.server.seal(&[n]);
        let now = pair.now;
        pair.client.handle(now, &datagram);
    }
    assert_eq!((pair.client.received.len(), pair.client.dtls.held_bytes()), (0, 3));
    pair.client
        .dtls
        .set_remote_fingerprints(vec![fake::certificate(2).fingerprint()]);
    let now = pair.now;
    pair.client.handle(now, &[]);
    assert_eq!(pair.client.received, [[0], [1], [2]]);
    pair.assert_talking();
}

#[test]
fn certificates_that_are_none_or_too_much_are_refused() {
    for (der, expected) in [
        (Vec::new(), "malformed"),
        (vec![0x30, 0x00], "bad"),
        (vec![0; 17_000], "timeout"),
    ] {
        for side in [Side::Client, Side::Server] {
            let bearer = config_13(fake::FakeCrypto::new(), fake::certificate_of(der.clone()));
            let (client, server) = match side {
                Side::Client => (bearer, strict(2)),
                Side::Server => (strict(1), bearer),
            };
            let mut pair = Pair::new(client, server, Network::CLEAN, 1);
            pair.settle();
            pair.run_for(Duration::from_secs(31));
            let reason = closed(&pair.end(side.other()).events);
            let named = match reason {
                Some(CloseReason::Malformed { message, .. }) if message == HandshakeType::CERTIFICATE => "malformed",
                Some(CloseReason::BadCertificate(_)) => "bad",
                Some(CloseReason::Timeout) => "timeout",
                _ => "something else",
            };
            assert_eq!(named, expected, "{side:?} {reason:?}");
            if expected == "timeout" {
                assert!(pair.end(side.other()).dtls.counters().oversized_messages > 0);
            }
        }
    }
}

/// Ten thousand clients that send a hello and no more.
#[test]
fn half_open_handshakes_are_bounded_and_end() {
    let now = Instant::now();
    let server = Arc::new(strict(1));
    let client = Arc::new(strict(2));
    let hello = End::new(client, Role::Client, 1, now).transmits(now);
    let mut servers: Vec<_> = (0..10_000)
        .map(|run| End::new(server.clone(), Role::Server, run, now))
        .collect();
    for server in &mut servers {
        for datagram in &hello {
            server.handle(now, datagram);
        }
        assert!(!server.transmits(now).is_empty());
        assert_eq!(server.dtls.held_bytes(), 0);
    }
    for server in &mut servers {
        server.timeout(now + Duration::from_secs(30));
        assert_eq!(closed(&server.events), Some(CloseReason::Timeout));
        assert_eq!(server.transmits(now), Vec::<Vec<u8>>::new());
        assert_eq!(server.dtls.poll_timeout(), None);
    }
}

/// What only a peer of DTLS 1.3 can send does nothing to those that do not speak it.
#[test]
fn records_of_13_do_nothing_to_12() {
    let now = Instant::now();
    let config = |number| Arc::new(pair::fake_config(number));
    let junk = |bits: u8| [&[0x2c | bits, 0, 0, 0, 32][..], &[7; 32]].concat();
    let ack = [&[26, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2][..], &[0, 0]].concat();
    for role in [Role::Client, Role::Server] {
        let mut end = End::new(config(1), role, 1, now);
        end.transmits(now);
        for bits in 0..4 {
            end.handle(now, &junk(bits));
        }
        let later = now + Duration::from_millis(99);
        end.handle(later, &ack);
        end.timeout(later);
        assert_eq!((end.dtls.held_bytes(), end.transmits(later)), (0, Vec::new()));
        assert_eq!(end.dtls.counters().stale_epoch_records, 4);
    }
}

/// Words in the clear that something is missing make a server repeat itself twice, not for ever.
#[test]
fn forged_acknowledgements_are_believed_twice() {
    let now = Instant::now();
    let hello = End::new(Arc::new(strict(2)), Role::Client, 1, now).transmits(now);
    let mut server = End::new(Arc::new(strict(1)), Role::Server, 1, now);
    for datagram in &hello {
        server.handle(now, datagram);
    }
    let flight = server.transmits(now).len();
    let mut sent = 0;
    for n in 0..90_u8 {
        let ack = [&[26, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, n, 0, 2][..], &[0, 0]].concat();
        let at = now + Duration::from_millis(u64::from(n));
        server.handle(at, &ack);
        sent += server.transmits(at).len();
    }
    assert_eq!((sent, server.dtls.counters().unprotected_acks), (2 * flight, 90));
}

/// Whatever is thrown at either end of a connection, it goes on.
#[test]
fn garbage_never_ends_a_connection() {
    use rand::{RngExt, SeedableRng};
    let mut rng = rand::rngs::StdRng::seed_from_u64(1);
    let mut pair = Pair::new(strict(1), strict(2), Network::CLEAN, 1);
    pair.settle();
    pair.run_for(Duration::from_secs(1));
    for n in 0..50_000 {
        let mut garbage = vec![0_u8; rng.random_range(1..200)];
        rng.fill(&mut garbage[..]);
        // Most have a plausible header.
        if n % 4 != 0 && garbage.len() > 5 {
            garbage[0] = 0x2c | rng.random_range(0..4);
            let len = (garbage.len() - 5) as u16;
            garbage[3..5].copy_from_slice(&len.to_be_bytes());
        }
        let now = pair.now;
        pair.client.handle(now, &garbage);
        pair.server.handle(now, &garbage);
    }
    assert!(pair.client.dtls.held_bytes() == 0 && pair.server.dtls.held_bytes() == 0);
    pair.assert_talking();
}

/// Records of a connection again, and those of another one with the same names.
#[test]
fn replays_do_nothing() {
    let mut pair = Pair::new(strict(1), strict(2), Network::CLEAN, 1);
    pair.settle();
    pair.run_for(Duration::from_secs(1));
    pair.assert_talking();
    let log = pair.log.clone();
    let received = (pair.client.received.len(), pair.server.received.len());
    let now = pair.now;
    for (_, from, datagram) in &log {
        pair.end(from.other()).handle(now, datagram);
        pair.end(*from).handle(now, datagram);
    }
    assert_eq!((pair.client.received.len(), pair.server.received.len()), received);
    pair.assert_talking();
    let mut other = Pair::new(strict(1), strict(2), Network::CLEAN, 2);
    other.settle();
    other.run_for(Duration::from_secs(1));
    let now = other.now;
    for (_, from, datagram) in &log {
        other.end(from.other()).handle(now, datagram);
    }
    assert_eq!((other.client.received.len(), other.server.received.len()), (0, 0));
    other.assert_talking();
}

#[test]
fn real_signatures_and_shares_are_checked() {
    // A certificate with another's key: the signature does not verify.
    let mine = Certificate::generate().unwrap();
    let other = std::fs::read(format!(
        "{}/tests/fixtures/certificates/v1_p256.key",
        env!("CARGO_MANIFEST_DIR")
    ));
    let stolen = Certificate::from_der(mine.der().to_vec(), &other.unwrap()).unwrap();
    for side in [Side::Client, Side::Server] {
        let honest = || config_13(RingCrypto::new(), Certificate::generate().unwrap());
        let thief = config_13(RingCrypto::new(), stolen.clone());
        let (client, server) = match side {
            Side::Client => (thief, honest()),
            Side::Server => (honest(), thief),
        };
        let mut pair = Pair::new(client, server, Network::CLEAN, 1);
        pair.settle();
        pair.run_for(Duration::from_secs(1));
        assert_eq!(closed(&pair.end(side.other()).events), Some(CloseReason::BadSignature));
        assert!(matches!(closed(&pair.end(side).events), Some(CloseReason::Alert(_))));
    }
}

/// Runs a handshake in which the first datagram of one side is changed, and returns why the other side ended it. Who sent
/// an extension that nobody asked for is told so.
fn refusal(client: Config, server: Config, from: Side, change: impl Fn(&mut [u8]) + 'static) -> CloseReason {
    let mut pair = Pair::new(client, server, Network::CLEAN, 1);
    let mut done = false;
    pair.tamper = Box::new(move |_, side, datagram| {
        // A client's hello comes first, in the clear.
        let answers = from == Side::Server || datagram[0] != 22;
        if side == from && answers && !std::mem::replace(&mut done, true) {
            change(datagram);
        }
    });
    pair.settle();
    pair.run_for(Duration::from_secs(1));
    let reason = closed(&pair.end(from.other()).events).expect("a refusal");
    if let CloseReason::UnsolicitedExtension(_) = reason {
        let told = CloseReason::Alert(AlertDescription::UNSUPPORTED_EXTENSION);
        assert_eq!(closed(&pair.end(from).events), Some(told));
    }
    reason
}

/// Two configurations whose flights take a datagram each.
fn one_datagram_each() -> (Config, Config) {
    let make = |number| Config {
        groups: vec![NamedGroup::X25519],
        ..lenient(number)
    };
    (make(1), make(2))
}

/// RFC 8446 §4.2.
#[test]
fn extensions_that_nobody_offered_are_refused_as_such() {
    let illegal = |reason| matches!(reason, CloseReason::IllegalParameter(_));
    let unsolicited = |extension| CloseReason::UnsolicitedExtension(ExtensionType(extension));
    // Behind the headers of record and message, the head of a ServerHello and supported_versions stands key_share. The
    // first server takes the client's share, the second asks for another hello.
    for groups in [vec![NamedGroup::X25519], vec![NamedGroup::SECP256R1]] {
        let refusal = |profiles, extension: ExtensionType| {
            let (mut client, mut server) = one_datagram_each();
            client.groups.push(NamedGroup::SECP256R1);
            client.srtp_profiles = profiles;
            server.groups = groups.clone();
            refusal(client, server, Side::Server, move |datagram| {
                assert_eq!(datagram[13 + 12 + 47], ExtensionType::KEY_SHARE.0 as u8);
                datagram[13 + 12 + 47] = extension.0 as u8;
            })
        };
        let profiles = dtls_srtp::SrtpProfile::ALL.to_vec();
        assert_eq!(refusal(profiles.clone(), ExtensionType(99)), unsolicited(99));
        assert_eq!(refusal(Vec::new(), ExtensionType::USE_SRTP), unsolicited(14));
        assert_eq!(
            refusal(profiles.clone(), ExtensionType::EXTENDED_MASTER_SECRET),
            unsolicited(23)
        );
        assert_eq!(refusal(profiles.clone(), ExtensionType::CONNECTION_ID), unsolicited(54));
        assert!(illegal(refusal(profiles, ExtensionType::USE_SRTP)));
    }

    // EncryptedExtensions has use_srtp behind the header and the length of its block.
    let refusal_of = |extension: ExtensionType, connection_ids: Option<ConnectionIds>| {
        let (mut client, mut server) = one_datagram_each();
        client.connection_ids.clone_from(&connection_ids);
        server.connection_ids = connection_ids;
        refusal(client, server, Side::Server, move |datagram| {
            records(behind_the_clear(datagram))[0][5 + 12 + 3] ^= (ExtensionType::USE_SRTP.0 ^ extension.0) as u8;
        })
    };
    let alpn = ExtensionType::APPLICATION_LAYER_PROTOCOL_NEGOTIATION;
    assert_eq!(refusal_of(alpn, None), unsolicited(alpn.0));
    assert!(illegal(refusal_of(ExtensionType::KEY_SHARE, None)));
    // It belongs into the ServerHello (RFC 9146 §3).
    let none = Some(ConnectionIds::none());
    assert_eq!(refusal_of(ExtensionType::CONNECTION_ID, None), unsolicited(54));
    assert!(illegal(refusal_of(ExtensionType::CONNECTION_ID, none)));
}

/// RFC 8446 §4.4.2: neither a ClientHello nor a CertificateRequest of ours asks for anything that stands there.
#[test]
fn extensions_of_certificates_are_refused() {
    for (from, number, message) in [(Side::Server, 2, 2), (Side::Client, 1, 0)] {
        let (client, server) = one_datagram_each();
        let der = fake::certificate(number).der().to_vec();
        let reason = refusal(client, server, from, move |datagram| {
            let mut records = records(behind_the_clear(datagram));
            let record = &mut records[message];
            // The certificate loses its last four bytes to an empty extension.
            let len = der.len() as u8;
            record[5 + 12 + 6] ^= len ^ (len - 4);
            let end = record.len() - 17;
            let new = [0, 4, 0, 99, 0, 0];
            let old = [&der[der.len() - 4..], &[0, 0]].concat();
            for (byte, (new, old)) in record[end - 6..end].iter_mut().zip(new.into_iter().zip(old)) {
                *byte ^= new ^ old;
            }
        });
        assert_eq!(reason, CloseReason::UnsolicitedExtension(ExtensionType(99)), "{from:?}");
    }
}

/// What follows the records in the clear of a datagram.
fn behind_the_clear(datagram: &mut [u8]) -> &mut [u8] {
    match *datagram {
        [22, ..] => {
            let len = usize::from(u16::from_be_bytes([datagram[11], datagram[12]]));
            &mut datagram[13 + len..]
        }
        _ => datagram,
    }
}
