//! What strangers can do to a door that asks for cookies.

mod door;
mod pair;

use door::{BOTH, Change, SOURCE, Scene, V12, V13, counters, fake, short};
use dtls_srtp::{Config, ContentType, CookieLimits, Exchanged, HandshakeType, Version};

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
        assert!(kept < 2000, "{kept}");
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
