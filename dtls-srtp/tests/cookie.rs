//! Clients that have to prove their address before there is a connection for them.

mod pair;

use std::sync::Arc;
use std::time::{Duration, Instant};

use dtls_srtp::message::{Alert, RecordHeader, ServerHello};
use dtls_srtp::{
    AlertDescription, Certificate, CipherSuite, CloseReason, Config, ContentType, CookieExchange, CookieLimits,
    Counters, Dtls, Event, Exchanged, HandshakeType, NamedGroup, RingCrypto, Version, fake,
};
use pair::{End, Network, Pair};
use wire::Seed;

const V12: &[Version] = &[Version::DTLS_1_2];
const V13: &[Version] = &[Version::DTLS_1_3];
const BOTH: &[Version] = &[Version::DTLS_1_3, Version::DTLS_1_2];

/// Versions of client and server, and what they make of them.
const AGREEMENTS: [(&[Version], &[Version], Version); 6] = [
    (V12, V12, Version::DTLS_1_2),
    (V13, V13, Version::DTLS_1_3),
    (BOTH, BOTH, Version::DTLS_1_3),
    (BOTH, V12, Version::DTLS_1_2),
    (V12, BOTH, Version::DTLS_1_2),
    (V13, BOTH, Version::DTLS_1_3),
];

const SOURCE: &[u8] = b"192.0.2.1:5000";

fn fake(number: u64, versions: &[Version]) -> Config {
    Config {
        versions: versions.to_vec(),
        ..Config::new(Arc::new(fake::FakeCrypto::new()), fake::certificate(number))
    }
}

/// Without the hybrid, so that the hello fits into one datagram.
fn short(config: Config) -> Config {
    Config {
        groups: vec![NamedGroup::X25519, NamedGroup::SECP256R1],
        ..config
    }
}

/// A client, and a door with a server behind it.
struct Scene {
    now: Instant,
    door: CookieExchange,
    client: End,
    server: Option<End>,
    answers: Vec<Vec<u8>>,
    came: usize,
    went: usize,
}

impl Scene {
    fn new(client: Config, server: Config) -> Self {
        Self::with_limits(client, server, CookieLimits::default())
    }

    fn with_limits(client: Config, server: Config, limits: CookieLimits) -> Self {
        let now = Instant::now();
        let fingerprint = server.certificate.fingerprint();
        let mut client = End::new(Arc::new(client), dtls_srtp::Role::Client, 1, now);
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
    fn said(&mut self) -> Vec<Vec<u8>> {
        self.client.transmits(self.now)
    }

    /// A datagram from somewhere for the door.
    fn knock(&mut self, source: &[u8], datagram: &[u8]) -> Exchanged {
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
    fn deliver(&mut self, datagram: &[u8]) {
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
    fn turn(&mut self, reversed: bool) {
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

    fn settle(&mut self, reversed: bool) {
        for _ in 0..10 {
            self.turn(reversed);
            if let Some(server) = &mut self.server {
                server.events.extend(std::iter::from_fn(|| server.dtls.poll_event()));
            }
        }
    }

    fn assert_connected(&mut self, version: Version) {
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
type Change = fn(&mut Counters);

fn counters(change: impl FnOnce(&mut Counters)) -> Counters {
    let mut counters = Counters::default();
    change(&mut counters);
    counters
}

fn alert(datagram: &[u8]) -> Option<AlertDescription> {
    let is_alert = datagram[0] == ContentType::ALERT.0;
    is_alert.then(|| Alert::parse(&datagram[RecordHeader::LEN..]).unwrap().description)
}

/// The type of the handshake message in an answer.
fn message_type(answer: &[u8]) -> HandshakeType {
    assert_eq!(answer[0], ContentType::HANDSHAKE.0);
    HandshakeType(answer[RecordHeader::LEN])
}

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
