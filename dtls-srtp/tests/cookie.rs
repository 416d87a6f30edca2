//! Clients that have to prove their address before there is a connection for them.

mod door;
mod pair;

use std::sync::Arc;
use std::time::{Duration, Instant};

use door::{AGREEMENTS, BOTH, SOURCE, Scene, V12, V13, alert, counters, fake, message_type, part, short};
use dtls_srtp::message::ServerHello;
use dtls_srtp::{
    AlertDescription, Certificate, CipherSuite, CloseReason, Config, CookieExchange, CookieLimits, Counters, Event,
    Exchanged, HandshakeType, NamedGroup, RingCrypto, Version,
};
use pair::{End, Network, Pair};
use wire::Seed;

#[test]
fn every_version_with_whole_hellos_and_with_fragments() {
    for (client, server, version) in AGREEMENTS {
        for max_datagram in [1200, 548, 256] {
            for hybrid in [true, false] {
                let sized = |config: Config| Config { max_datagram, ..config };
                let offered = if hybrid {
                    fake(1, client)
                } else {
                    short(fake(1, client))
                };
                let mut scene = Scene::new(sized(offered), sized(fake(2, server)));
                scene.settle(false);
                scene.assert_connected(version);
                let clean = Counters::default();
                assert_eq!(*scene.client.dtls.counters(), clean);
                assert_eq!(*scene.server.unwrap().dtls.counters(), clean);
                assert_eq!(*scene.door.counters(), clean);
            }
        }
    }
}

#[test]
fn reordered_fragments() {
    for (client, server, version) in AGREEMENTS {
        for max_datagram in [1200, 256] {
            let sized = |config: Config| Config { max_datagram, ..config };
            let mut scene = Scene::new(sized(fake(1, client)), sized(fake(2, server)));
            scene.settle(true);
            // Who asks at the first fragment forgets those before it, and the client says them again.
            for _ in 0..4 {
                if !scene.client.dtls.is_connected() {
                    scene.now += Duration::from_millis(400);
                    scene.client.timeout(scene.now);
                    scene.settle(true);
                }
            }
            assert!(scene.client.dtls.is_connected(), "{client:?} {server:?} {max_datagram}");
            assert!(matches!(scene.client.events[..], [Event::Connected { version: agreed, .. }] if agreed == version));
        }
    }
}

#[test]
fn real_cryptography_and_every_hash() {
    for (suite, versions) in [
        (CipherSuite::TLS_AES_128_GCM_SHA256, V13),
        (CipherSuite::TLS_AES_256_GCM_SHA384, V13),
        (CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, V12),
    ] {
        let make = || Config {
            versions: versions.to_vec(),
            cipher_suites: vec![suite],
            ..Config::new(Arc::new(RingCrypto::new()), Certificate::generate().unwrap())
        };
        let mut scene = Scene::new(make(), make());
        scene.settle(false);
        scene.assert_connected(versions[0]);
    }
}

#[test]
fn another_share_is_asked_for_together_with_the_cookie() {
    let server = Config {
        groups: vec![NamedGroup::SECP256R1],
        ..fake(2, BOTH)
    };
    let mut scene = Scene::new(fake(1, BOTH), server);
    scene.settle(false);
    scene.assert_connected(Version::DTLS_1_3);
    assert!(matches!(scene.client.events[..], [Event::Connected { group, .. }] if group == NamedGroup::SECP256R1));
}

/// The hellos of browsers, in both orders of their datagrams.
#[test]
fn captured_hellos_are_answered_when_they_are_whole() {
    let read = |name: &str| {
        let path = format!("{}/../fixtures/dtls/{name}.bin", env!("CARGO_MANIFEST_DIR"));
        std::fs::read(path).unwrap()
    };
    for name in ["chromium156-clienthello-default", "firefox153-clienthello-default"] {
        let parts = [read(&format!("{name}-0")), read(&format!("{name}-1"))];
        for order in [[0, 1], [1, 0]] {
            let mut scene = Scene::new(fake(1, BOTH), fake(2, BOTH));
            scene.door = CookieExchange::new(
                Arc::new(Config {
                    versions: BOTH.to_vec(),
                    ..Config::new(Arc::new(RingCrypto::new()), Certificate::generate().unwrap())
                }),
                CookieLimits::default(),
                Seed::from_run(3),
                scene.now,
            );
            assert!(matches!(scene.knock(SOURCE, &parts[order[0]]), Exchanged::Nothing));
            assert!(matches!(scene.knock(SOURCE, &parts[order[1]]), Exchanged::Answer(_)));
            let hello = ServerHello::parse(&scene.answers[0][25..]).unwrap();
            assert_eq!(hello.extensions.cookie().unwrap().unwrap().len(), 57, "{name}");
            assert_eq!(*scene.door.counters(), Counters::default());
        }
    }
}

/// A scene whose client has answered the door's question, and its second hello.
fn asked(versions: &[Version], limits: CookieLimits) -> (Scene, Vec<Vec<u8>>) {
    let mut scene = Scene::with_limits(short(fake(1, versions)), fake(2, versions), limits);
    scene.turn(false);
    let second = scene.said();
    assert_eq!(second.len(), 1);
    (scene, second)
}

/// What a door of this version says to a hello with a cookie that is not good.
fn assert_refused(scene: &mut Scene, version: Version, source: &[u8], hello: &[u8]) {
    let before = scene.door.counters().invalid_cookies;
    let exchanged = scene.knock(source, hello);
    assert!(matches!(exchanged, Exchanged::Answer(_)), "{exchanged:?}");
    let answer = scene.answers.pop().unwrap();
    if version == Version::DTLS_1_3 {
        assert_eq!(alert(&answer), Some(AlertDescription::ILLEGAL_PARAMETER));
    } else {
        assert_eq!(message_type(&answer), HandshakeType::HELLO_VERIFY_REQUEST);
    }
    assert_eq!(*scene.door.counters(), counters(|c| c.invalid_cookies = before + 1));
}

#[test]
fn cookies_are_good_for_their_address_and_their_time() {
    for versions in [V12, V13] {
        let (mut scene, second) = asked(versions, CookieLimits::default());
        let start = scene.now;
        assert_refused(&mut scene, versions[0], b"192.0.2.1:5001", &second[0]);
        assert_refused(&mut scene, versions[0], b"", &second[0]);
        // Nobody keeps what was shown, so it may be shown again from the same address, also when the key has changed.
        for seconds in [0, 0, 29, 30] {
            scene.now = start + Duration::from_secs(seconds);
            assert!(matches!(scene.knock(SOURCE, &second[0]), Exchanged::Proven(_)));
        }
        for seconds in [31, 59, 60, 90, 10_000] {
            scene.now = start + Duration::from_secs(seconds);
            assert_refused(&mut scene, versions[0], SOURCE, &second[0]);
        }
        // Another server's, of the same kind.
        scene.door = CookieExchange::new(
            Arc::new(fake(2, versions)),
            CookieLimits::default(),
            Seed::from_run(4),
            start,
        );
        scene.now = start;
        assert_refused(&mut scene, versions[0], SOURCE, &second[0]);
    }
}

#[test]
fn changed_cookies_are_refused() {
    for versions in [V12, V13] {
        let (mut scene, second) = asked(versions, CookieLimits::default());
        let len = if versions == V12 { 21 } else { 57 };
        // A cookie stands behind the random and the empty session id, or in an extension.
        let at = if versions == V12 {
            61
        } else {
            let head = [0, 44, 0, 59, 0, 57];
            second[0].windows(6).position(|window| window == head).unwrap() + 6
        };
        for byte in at..at + len {
            let mut changed = second[0].clone();
            changed[byte] ^= 1;
            assert_refused(&mut scene, versions[0], SOURCE, &changed);
        }
        // Another random.
        let mut changed = second[0].clone();
        changed[40] ^= 1;
        assert_refused(&mut scene, versions[0], SOURCE, &changed);
        assert!(matches!(scene.knock(SOURCE, &second[0]), Exchanged::Proven(_)));
    }
}

/// A client of DTLS 1.2 whose cookie has become too old gets another one, and one of 1.3 learns that it has to begin anew.
#[test]
fn what_becomes_of_late_clients() {
    let (mut scene, second) = asked(V12, CookieLimits::default());
    scene.now += Duration::from_secs(45);
    scene.deliver(&second[0]);
    let again = scene.answers.pop().unwrap();
    scene.client.handle(scene.now, &again);
    scene.settle(false);
    scene.assert_connected(Version::DTLS_1_2);

    let (mut scene, second) = asked(V13, CookieLimits::default());
    scene.now += Duration::from_secs(45);
    scene.deliver(&second[0]);
    scene.turn(false);
    assert_eq!(
        scene.client.events,
        [Event::Closed {
            reason: CloseReason::Alert(AlertDescription::ILLEGAL_PARAMETER)
        }]
    );
}

#[test]
fn a_repeated_hello_is_answered_again_and_either_answer_will_do() {
    for versions in [V12, V13] {
        for which in 0..2 {
            let mut scene = Scene::new(fake(1, versions), fake(2, versions));
            let hello = scene.said();
            for datagram in &hello {
                scene.deliver(datagram);
            }
            scene.now += Duration::from_millis(100);
            scene.client.timeout(scene.now);
            for datagram in scene.said() {
                scene.deliver(&datagram);
            }
            assert_eq!(scene.answers.len(), 2);
            // Numbers of records come once each.
            assert_ne!(scene.answers[0][5..11], scene.answers[1][5..11]);
            scene.answers.swap(0, which);
            scene.settle(false);
            scene.assert_connected(versions[0]);
        }
    }
}

/// A server of DTLS 1.2 asks at the first fragment, which has all that its cookie is bound to.
#[test]
fn a_first_fragment_is_enough_for_dtls_1_2() {
    let limits = CookieLimits {
        held_bytes: 0,
        ..CookieLimits::default()
    };
    let mut scene = Scene::with_limits(fake(1, BOTH), fake(2, V12), limits);
    let hello = scene.said();
    assert_eq!(hello.len(), 2);
    assert!(matches!(scene.knock(SOURCE, &hello[0]), Exchanged::Answer(_)));
    assert_eq!(message_type(&scene.answers[0]), HandshakeType::HELLO_VERIFY_REQUEST);
    // The rest of the first hello is not kept, and that of the second is the connection's.
    assert!(matches!(scene.knock(SOURCE, &hello[1]), Exchanged::Nothing));
    scene.settle(false);
    scene.assert_connected(Version::DTLS_1_2);
    assert_eq!(*scene.door.counters(), Counters::default());
}

/// Where DTLS 1.2 alone is spoken parts are kept that would be lost otherwise: those of a second hello that overtook its
/// first part, and a first part that ends before the cookie. The rest of a first hello is not.
#[test]
fn little_is_kept_for_dtls_1_2() {
    let mut scene = Scene::new(fake(1, BOTH), fake(2, V12));
    let (len, sequence) = (1000, 0);
    assert!(matches!(
        scene.knock(SOURCE, &part(sequence, 0, len, 500, &[0; 100])),
        Exchanged::Nothing
    ));
    assert_eq!((scene.door.held_bytes(), scene.door.poll_timeout()), (0, None));
    let first = scene.said();
    for datagram in &first {
        scene.deliver(datagram);
        assert_eq!(scene.door.held_bytes(), 0);
    }
    scene.client.handle(scene.now, &scene.answers.remove(0));
    let second = scene.said();
    assert_eq!(second.len(), 2);
    scene.deliver(&second[1]);
    assert!(scene.door.held_bytes() > 0);
    scene.deliver(&second[0]);
    assert!(scene.server.is_some());
    assert_eq!(scene.door.held_bytes(), 0);
    scene.settle(false);
    scene.assert_connected(Version::DTLS_1_2);

    let mut scene = Scene::new(fake(1, V12), fake(2, V12));
    assert!(matches!(
        scene.knock(SOURCE, &part(sequence, 0, len, 0, &[0; 35])),
        Exchanged::Nothing
    ));
    assert!(scene.door.held_bytes() > 0);
}

/// Three times as much as came, and not a byte more, however short the hello is.
#[test]
fn short_hellos_get_short_answers() {
    let mut scene = Scene::new(fake(1, V12), fake(2, V12));
    let hello = scene.said();
    // The shortest first fragment that says who asks: version, random, and two empty fields.
    let mut shortest = hello[0][..25 + 36].to_vec();
    shortest[11..13].copy_from_slice(&48_u16.to_be_bytes());
    shortest[22..25].copy_from_slice(&[0, 0, 36]);
    assert!(matches!(scene.knock(SOURCE, &shortest), Exchanged::Answer(len) if len <= 3 * shortest.len()));
    // Cut in two, the answer comes with the second part, and both count.
    let mut scene = Scene::new(fake(1, V12), fake(2, V12));
    let (head, tail) = shortest[25..].split_at(35);
    let part = |offset: u8, bytes: &[u8]| {
        let mut part = shortest[..25].to_vec();
        part[11..13].copy_from_slice(&(12 + bytes.len() as u16).to_be_bytes());
        part[21] = offset;
        part[24] = bytes.len() as u8;
        part.extend(bytes);
        part
    };
    assert!(matches!(scene.knock(SOURCE, &part(0, head)), Exchanged::Nothing));
    assert!(matches!(scene.knock(SOURCE, &part(35, tail)), Exchanged::Answer(_)));
    assert!(scene.went <= 3 * scene.came);
}

#[test]
fn what_cannot_be_done_is_told() {
    let no_common = |suite| Config {
        cipher_suites: vec![suite],
        ..short(fake(1, V13))
    };
    let server = Config {
        cipher_suites: vec![CipherSuite::TLS_AES_128_GCM_SHA256],
        ..fake(2, V13)
    };
    for (client, expected) in [
        (short(fake(1, V12)), AlertDescription::PROTOCOL_VERSION),
        (
            no_common(CipherSuite::TLS_CHACHA20_POLY1305_SHA256),
            AlertDescription::HANDSHAKE_FAILURE,
        ),
    ] {
        let mut scene = Scene::new(client, server.clone());
        scene.turn(false);
        assert_eq!(
            scene.client.events,
            [Event::Closed {
                reason: CloseReason::Alert(expected)
            }]
        );
        assert_eq!(*scene.door.counters(), counters(|c| c.refused_hellos = 1));
    }
}

/// A single `Dtls` that asks itself.
#[test]
fn a_connection_can_have_its_own_door() {
    for (client, server, version) in AGREEMENTS {
        for max_datagram in [1200, 256] {
            let client = Config {
                max_datagram,
                ..fake(1, client)
            };
            let server = Config {
                max_datagram,
                cookie: true,
                ..fake(2, server)
            };
            let mut pair = Pair::new(client, server, Network::CLEAN, 1);
            pair.settle();
            pair.assert_connected();
            assert!(matches!(pair.client.events[..], [Event::Connected { version: agreed, .. }] if agreed == version));
            // One round trip more: the answer leaves when the hello is there, and is short.
            let (at, _, answer) = pair
                .log
                .iter()
                .find(|(_, side, _)| *side == pair::Side::Server)
                .unwrap();
            assert_eq!((*at, answer.len() < 200), (10, true));
            pair.assert_talking();
            for end in [&pair.client, &pair.server] {
                assert_eq!(*end.dtls.counters(), Counters::default());
            }
        }
    }
}

#[test]
fn a_connection_with_a_door_can_be_closed_and_counts_what_comes() {
    let server = Config {
        cookie: true,
        ..fake(2, BOTH)
    };
    let now = Instant::now();
    let mut server = End::new(Arc::new(server), dtls_srtp::Role::Server, 1, now);
    let mut client = End::new(Arc::new(fake(1, BOTH)), dtls_srtp::Role::Client, 2, now);
    server.handle(now, &[0; 5]);
    server.handle(now, &client.transmits(now)[0]);
    assert!(server.dtls.held_bytes() > 1000);
    let at = server.dtls.poll_timeout().unwrap();
    server.timeout(at);
    assert_eq!((server.dtls.held_bytes(), server.dtls.poll_timeout()), (0, None));
    let expected = counters(|c| {
        c.malformed_records = 1;
        c.abandoned_hellos = 1;
    });
    assert_eq!(*server.dtls.counters(), expected);
    server.dtls.close();
    assert_eq!(*server.dtls.counters(), expected);
    assert_eq!(alert(&server.transmits(now)[0]), Some(AlertDescription::CLOSE_NOTIFY));
}
