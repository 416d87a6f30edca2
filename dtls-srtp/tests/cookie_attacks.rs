//! What strangers can do to a door that asks for cookies.

mod door;
mod pair;

use std::sync::Arc;
use std::time::{Duration, Instant};

use door::{BOTH, Change, SOURCE, Scene, V12, V13, alert, body_of, counters, fake, message_type, part, short};
use dtls_srtp::message::{ClientHello, RecordHeader};
use dtls_srtp::{AlertDescription, Config, ContentType, CookieLimits, Exchanged, HandshakeType, Role, Version};
use pair::End;
use wire::{Reader, Writer};

/// Ten thousand addresses that are not there take no more memory than the budget, and do not keep out one that is.
#[test]
fn a_flood_of_spoofed_hellos_leaves_bounded_memory() {
    let limits = CookieLimits {
        held_bytes: 1 << 20,
        ..CookieLimits::default()
    };
    for max_datagram in [1200, 256] {
        let sized = |config: Config| Config { max_datagram, ..config };
        let mut scene = Scene::with_limits(sized(fake(1, BOTH)), sized(fake(2, BOTH)), limits);
        let hello = scene.said();
        for n in 0..10_000_u32 {
            assert!(matches!(scene.knock(&n.to_be_bytes(), &hello[0]), Exchanged::Nothing));
            assert!(scene.door.held_bytes() <= limits.held_bytes);
        }
        assert!(scene.door.held_bytes() > limits.held_bytes / 2);
        let kept = 10_000 - scene.door.counters().abandoned_hellos;
        assert!(kept < 1024, "{kept}");
        assert_eq!(scene.went, 0);

        // The genuine one, with a hundred others between each two of its datagrams.
        let mut n = 10_000_u32;
        for _ in 0..2 {
            for datagram in hello_of(&mut scene, &hello) {
                scene.deliver(&datagram);
                for _ in 0..100 {
                    n += 1;
                    scene.knock(&n.to_be_bytes(), &hello[0]);
                }
            }
            for answer in std::mem::take(&mut scene.answers) {
                scene.client.handle(scene.now, &answer);
            }
        }
        assert!(scene.server.is_some());

        // Time empties the room.
        let end = scene.door.poll_timeout().unwrap();
        assert!(end <= scene.now + limits.hello_timeout);
        scene.door.handle_timeout(end);
        assert_eq!((scene.door.held_bytes(), scene.door.poll_timeout()), (0, None));
    }
}

/// The client's first hello, or what it says after an answer.
fn hello_of(scene: &mut Scene, first: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let said = scene.said();
    if said.is_empty() { first.to_vec() } else { said }
}

#[test]
fn whole_hellos_from_ten_thousand_addresses_leave_nothing() {
    for versions in [V12, V13] {
        let mut scene = Scene::new(short(fake(1, versions)), fake(2, versions));
        let hello = scene.said();
        for n in 0..10_000_u32 {
            assert!(matches!(scene.knock(&n.to_be_bytes(), &hello[0]), Exchanged::Answer(len) if len < 200));
            assert_eq!((scene.door.held_bytes(), scene.door.poll_timeout()), (0, None));
        }
    }
}

#[test]
fn noise_is_counted_and_gets_no_answer() {
    let mut scene = Scene::new(short(fake(1, BOTH)), fake(2, BOTH));
    let hello = scene.said().remove(0);
    let record = |content_type: ContentType, epoch: u8, body: &[u8]| {
        let mut record = vec![
            content_type.0,
            0xfe,
            0xfd,
            0,
            epoch,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            body.len() as u8,
        ];
        record.extend(body);
        record
    };
    let changed = |at: usize, value: u8| {
        let mut changed = hello.clone();
        changed[at] = value;
        changed
    };
    let cases: Vec<(Vec<u8>, Change)> = vec![
        (vec![1, 2, 3], |c| c.malformed_records += 1),
        (vec![0x2f; 40], |c| c.stale_epoch_records += 1),
        (record(ContentType::HANDSHAKE, 1, &[1]), |c| c.stale_epoch_records += 1),
        (record(ContentType::HANDSHAKE, 0, &[]), |c| c.malformed_fragments += 1),
        (record(ContentType::ALERT, 0, &[2, 40]), |c| c.unprotected_alerts += 1),
        (record(ContentType::ACK, 0, &[0, 0]), |c| c.unprotected_acks += 1),
        (record(ContentType::APPLICATION_DATA, 0, b"x"), |c| {
            c.unprotected_application_data += 1;
        }),
        (record(ContentType(30), 0, b"x"), |c| c.unknown_content_types += 1),
        // Where a record with a connection ID ends is not known.
        (record(ContentType::TLS12_CID, 1, b"x"), |c| c.stale_epoch_records += 1),
        (record(ContentType::CHANGE_CIPHER_SPEC, 0, &[1]), |_| ()),
        // Another message than a hello; a second hello without a cookie; a hello of 16 MiB.
        (changed(13, HandshakeType::FINISHED.0), |c| c.unexpected_messages += 1),
        (changed(18, 1), |c| c.unexpected_messages += 1),
        (changed(14, 255), |c| c.oversized_messages += 1),
    ];
    for (datagram, change) in cases {
        let mut expected = *scene.door.counters();
        change(&mut expected);
        let exchanged = scene.knock(SOURCE, &datagram);
        assert!(matches!(exchanged, Exchanged::Nothing), "{datagram:?}: {exchanged:?}");
        assert_eq!(*scene.door.counters(), expected, "{datagram:?}");
    }
    scene.deliver(&hello);
    scene.settle(false);
    scene.assert_connected(Version::DTLS_1_3);
}

#[test]
fn parts_that_contradict_each_other_begin_a_hello_anew() {
    let mut scene = Scene::new(fake(1, BOTH), fake(2, BOTH));
    let hello = scene.said();
    let mut other = hello[0].clone();
    other[16] ^= 1;
    assert!(matches!(scene.knock(SOURCE, &other), Exchanged::Nothing));
    for datagram in &hello {
        scene.deliver(datagram);
    }
    assert_eq!(*scene.door.counters(), counters(|c| c.inconsistent_fragments = 1));
    scene.settle(false);
    assert!(scene.client.dtls.is_connected());
}

/// 26 bytes that announce a hello of 16 KiB, and bring the last byte of it.
fn tiny(message_seq: u16) -> Vec<u8> {
    let tiny = part(0, message_seq, 16 << 10, (16 << 10) - 1, &[0]);
    assert_eq!(tiny.len(), 26);
    tiny
}

/// What a hello announces and where its parts lie takes no room; who has said the beginning stays longest.
#[test]
fn tiny_fragments_do_not_empty_the_room() {
    let mut scene = Scene::new(fake(1, BOTH), fake(2, BOTH));
    let hello = scene.said();
    assert!(matches!(scene.knock(b"elsewhere", &tiny(0)), Exchanged::Nothing));
    assert!((1..1300).contains(&scene.door.held_bytes()), "{:?}", scene.door);
    scene.deliver(&hello[0]);
    for n in 0..20_000_u32 {
        assert!(matches!(scene.knock(&n.to_be_bytes(), &tiny(0)), Exchanged::Nothing));
        assert!(scene.door.held_bytes() <= CookieLimits::default().held_bytes);
    }
    assert!(scene.door.counters().abandoned_hellos > 10_000);
    // Nor do as many beginnings as are kept.
    for n in 0..1500_u32 {
        assert!(matches!(scene.knock(&n.to_be_bytes(), &hello[0]), Exchanged::Nothing));
    }
    scene.deliver(&hello[1]);
    assert_eq!(scene.answers.len(), 1);

    // Those that came first still go first when their time is over, whatever they have.
    let waits = scene.door.held_bytes();
    let end = scene.door.poll_timeout().unwrap();
    scene.door.handle_timeout(end);
    assert!(waits > 1_000_000);
    assert_eq!((scene.door.held_bytes(), scene.door.poll_timeout()), (0, None));
}

/// Each may have what is there moved: no more of them are looked at than a client may have reason for.
#[test]
fn of_one_datagram_few_fragments_are_taken() {
    let mut scene = Scene::new(fake(1, BOTH), fake(2, BOTH));
    let pieces: Vec<Vec<u8>> = (0..40).map(|n| part(0, 0, 16 << 10, 8000 - 2 * n, &[0])).collect();
    assert!(matches!(scene.knock(SOURCE, &pieces.concat()), Exchanged::Nothing));
    assert_eq!(*scene.door.counters(), counters(|c| c.fragments_beyond_budget = 24));
    assert!(matches!(
        scene.knock(SOURCE, &pieces[16..32].concat()),
        Exchanged::Nothing
    ));
    assert_eq!(*scene.door.counters(), counters(|c| c.fragments_beyond_budget = 24));
}

#[test]
fn time_is_over_for_the_first_first() {
    let mut scene = Scene::new(fake(1, BOTH), fake(2, BOTH));
    let hello = scene.said();
    let timeout = CookieLimits::default().hello_timeout;
    let came = scene.now;
    // By turns with a beginning and without.
    for n in 0..6_u8 {
        scene.now = came + Duration::from_millis(n.into());
        scene.knock(&[n], if n % 2 == 0 { &hello[0] } else { &hello[1] });
    }
    for n in 0..6_u8 {
        let at = scene.door.poll_timeout().unwrap();
        assert_eq!(at, came + Duration::from_millis(n.into()) + timeout);
        scene.door.handle_timeout(at);
        assert_eq!(scene.door.counters().abandoned_hellos, u64::from(n) + 1);
    }
    assert_eq!((scene.door.held_bytes(), scene.door.poll_timeout()), (0, None));
}

/// Where a connection asks itself, its little room is for one address.
#[test]
fn other_messages_do_not_empty_the_room_of_a_connection() {
    let server = Config {
        cookie: true,
        ..fake(2, BOTH)
    };
    let now = Instant::now();
    let mut server = End::new(Arc::new(server), Role::Server, 1, now);
    let mut client = End::new(Arc::new(fake(1, BOTH)), Role::Client, 2, now);
    let hello = client.transmits(now);
    server.handle(now, &hello[0]);
    for message_seq in 1..=7 {
        server.handle(now, &tiny(message_seq));
    }
    let held = server.dtls.held_bytes();
    assert!(held <= server.dtls.config().max_pending);
    // Nobody is asked for a cookie so often.
    for message_seq in [8, 9, 1000, u16::MAX] {
        server.handle(now, &tiny(message_seq));
    }
    assert_eq!(server.dtls.held_bytes(), held);
    assert_eq!(*server.dtls.counters(), counters(|c| c.unexpected_messages = 4));
    assert_eq!(server.transmits(now), Vec::<Vec<u8>>::new());
    server.handle(now, &hello[1]);
    let answers = server.transmits(now);
    assert_eq!(message_type(&answers[0]), HandshakeType::SERVER_HELLO);
}

#[test]
fn what_brings_nothing_is_not_kept() {
    for versions in [V12, V13, BOTH] {
        let mut scene = Scene::new(fake(1, versions), fake(2, versions));
        for message_seq in [0, 1] {
            for datagram in [
                part(0, message_seq, 100, 0, &[]),
                part(0, message_seq, 100, 100, &[]),
                part(0, message_seq, 20_000, 0, &[1; 100]),
            ] {
                assert!(matches!(scene.knock(SOURCE, &datagram), Exchanged::Nothing));
                assert_eq!((scene.door.held_bytes(), scene.door.poll_timeout()), (0, None));
            }
        }
        let expected = counters(|c| {
            c.repeated_fragments = 4;
            c.oversized_messages = 2;
        });
        assert_eq!(*scene.door.counters(), expected);
    }
}

#[test]
fn a_hello_of_no_length_is_refused() {
    for versions in [V12, V13, BOTH] {
        let mut scene = Scene::new(fake(1, versions), fake(2, versions));
        let exchanged = scene.knock(SOURCE, &part(0, 0, 0, 0, &[]));
        assert!(matches!(exchanged, Exchanged::Answer(_)), "{exchanged:?}");
        assert_eq!(alert(&scene.answers[0]), Some(AlertDescription::DECODE_ERROR));
        assert_eq!((scene.door.held_bytes(), scene.door.poll_timeout()), (0, None));
        assert_eq!(*scene.door.counters(), counters(|c| c.refused_hellos = 1));
    }
}

/// The number of the record in a datagram.
fn sequence(datagram: &[u8]) -> u64 {
    RecordHeader::read(&mut Reader::new(datagram)).unwrap().sequence
}

/// The same in a record of another number.
fn renumbered(datagram: &[u8], sequence: u64) -> Vec<u8> {
    let mut renumbered = datagram.to_vec();
    renumbered[5..11].copy_from_slice(&sequence.to_be_bytes()[2..]);
    renumbered
}

/// Our records go on from those of the hello, so nobody may use up their numbers.
#[test]
fn records_that_bring_nothing_do_not_number_ours() {
    let mut scene = Scene::new(fake(1, BOTH), fake(2, BOTH));
    let hello = scene.said();
    let body = body_of(&hello);
    scene.deliver(&hello[0]);
    scene.deliver(&renumbered(&hello[0], 1 << 40));
    scene.deliver(&part(1 << 41, 0, body.len(), 7, &[]));
    scene.deliver(&part(1 << 42, 0, body.len(), 3, &body[3..90]));
    assert_eq!(*scene.door.counters(), counters(|c| c.repeated_fragments = 3));
    scene.deliver(&hello[1]);
    assert_eq!(sequence(&scene.answers[0]), sequence(&hello[1]));
    scene.settle(false);
    assert!(scene.client.dtls.is_connected());
}

#[test]
fn records_with_the_last_numbers_are_no_part_of_a_hello() {
    const LAST: u64 = RecordHeader::MAX_SEQUENCE;
    for versions in [V12, V13] {
        let mut scene = Scene::new(short(fake(1, versions)), fake(2, versions));
        let hello = scene.said().remove(0);
        for (n, number) in (1..).zip([LAST, LAST - 1, LAST / 2 + 1]) {
            let exchanged = scene.knock(SOURCE, &renumbered(&hello, number));
            assert!(matches!(exchanged, Exchanged::Nothing), "{exchanged:?}");
            assert_eq!(*scene.door.counters(), counters(|c| c.unexpected_messages = n));
        }
        scene.deliver(&renumbered(&hello, LAST / 2));
        assert_eq!(sequence(&scene.answers[0]), LAST / 2);
        scene.settle(false);
        scene.assert_connected(versions[0]);
    }
}

/// The same hello with a cookie of DTLS 1.2.
fn with_legacy_cookie(body: &[u8], cookie: &[u8]) -> Vec<u8> {
    let hello = ClientHello {
        cookie,
        ..ClientHello::parse(body).unwrap()
    };
    let mut out = vec![0; body.len() + cookie.len()];
    let mut w = Writer::new(&mut out);
    hello.write(&mut w).unwrap();
    out
}

/// RFC 9147 §5.3: "If this field is non-empty .. abort the handshake with an illegal_parameter alert".
#[test]
fn a_hello_of_13_with_a_cookie_of_12_is_refused() {
    for client in [V13, BOTH] {
        for server in [V13, BOTH] {
            for message_seq in [0, 1] {
                for parts in [1, 2, 5] {
                    let mut scene = Scene::new(fake(1, client), fake(2, server));
                    let hello = with_legacy_cookie(&body_of(&scene.said()), &[1; 21]);
                    let len = hello.len().div_ceil(parts);
                    for (n, bytes) in hello.chunks(len).enumerate() {
                        assert_eq!(scene.answers.len(), 0, "{client:?} {server:?} {message_seq} {parts}");
                        scene.knock(SOURCE, &part(n as u64, message_seq, hello.len(), n * len, bytes));
                    }
                    assert_eq!(alert(&scene.answers[0]), Some(AlertDescription::ILLEGAL_PARAMETER));
                    assert_eq!(*scene.door.counters(), counters(|c| c.refused_hellos = 1));
                    assert_eq!(scene.door.held_bytes(), 0);
                }
            }
        }
    }
}

/// A client of DTLS 1.2 with a cookie that is not good gets another one, wherever its hello is cut.
#[test]
fn a_hello_of_12_with_a_bad_cookie_is_asked_again() {
    for server in [V12, BOTH] {
        let mut scene = Scene::new(fake(1, V12), fake(2, server));
        let hello = with_legacy_cookie(&body_of(&scene.said()), &[1; 21]);
        let (head, tail) = hello.split_at(100);
        scene.knock(SOURCE, &part(0, 1, hello.len(), 0, head));
        if server == BOTH {
            // It may still be one of DTLS 1.3.
            assert_eq!(scene.answers.len(), 0);
            scene.knock(SOURCE, &part(1, 1, hello.len(), 100, tail));
        }
        assert_eq!(message_type(&scene.answers[0]), HandshakeType::HELLO_VERIFY_REQUEST);
        assert_eq!(*scene.door.counters(), counters(|c| c.invalid_cookies = 1));
        assert_eq!(scene.door.held_bytes(), 0);
    }
}
