//! Sessions of DTLS 1.3 that are resumed: tickets that are given, kept, shown and taken, in virtual time.

mod pair;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dtls_srtp::{
    AlertDescription, Authentication, Certificate, CipherSuite, ClientCertificate, CloseReason, Config, ConnectionIds,
    Event, KeyLog, NamedGroup, RingCrypto, SavedSession, SrtpProfile, TicketIssuer, Version, fake,
};
use pair::{Network, Pair, Side, config_13, config_both};
use wire::Seed;

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

const SUITES: [CipherSuite; 3] = [
    CipherSuite::TLS_AES_128_GCM_SHA256,
    CipherSuite::TLS_AES_256_GCM_SHA384,
    CipherSuite::TLS_CHACHA20_POLY1305_SHA256,
];

const GROUPS: [NamedGroup; 4] = [
    NamedGroup::X25519_MLKEM768,
    NamedGroup::X25519,
    NamedGroup::SECP256R1,
    NamedGroup::SECP384R1,
];

fn issuer(run: u64) -> Option<Arc<TicketIssuer>> {
    Some(Arc::new(TicketIssuer::new(HOUR, Seed::from_run(run), Instant::now())))
}

/// A client that keeps sessions.
fn client() -> Config {
    Config {
        keep_sessions: true,
        ..config_13(fake::FakeCrypto::new(), fake::certificate(1))
    }
}

/// A server that gives tickets.
fn server() -> Config {
    Config {
        tickets: issuer(9),
        ..config_13(fake::FakeCrypto::new(), fake::certificate(2))
    }
}

/// A server that asks clients for no certificate, and its client.
fn anonymous() -> (Config, Config) {
    let client = Config {
        client_certificate: ClientCertificate::Optional,
        ..client()
    };
    let server = Config {
        client_certificate: ClientCertificate::Optional,
        authentication: Authentication::Unauthenticated,
        ..server()
    };
    (client, server)
}

/// A handshake in full, and what it leaves the client.
fn first(client: &Config, server: &Config) -> (Pair, SavedSession) {
    let mut pair = Pair::strangers(client.clone(), server.clone(), Network::CLEAN, 1);
    introduce(&mut pair, client, server);
    pair.settle();
    pair.run_for(Duration::from_secs(1));
    pair.assert_connected();
    assert!(!pair.client.dtls.is_resumed() && !pair.server.dtls.is_resumed());
    let session = pair.client.dtls.take_session().expect("a ticket came");
    assert!(pair.client.dtls.take_session().is_none());
    (pair, session)
}

/// Tells each the other's fingerprint, if it asks for certificates at all.
fn introduce(pair: &mut Pair, client: &Config, server: &Config) {
    pair.client
        .dtls
        .set_remote_fingerprints(vec![server.certificate.fingerprint()]);
    if server.client_certificate == ClientCertificate::Required {
        pair.server
            .dtls
            .set_remote_fingerprints(vec![client.certificate.fingerprint()]);
    }
}

/// The next connection, so much later.
fn next(after: &Pair, pause: Duration, client: &Config, session: SavedSession, server: &Config) -> Pair {
    let now = after.now + pause;
    let mut pair = Pair::strangers_resuming(now, client.clone(), session, server.clone(), Network::CLEAN, 2);
    introduce(&mut pair, client, server);
    pair.settle();
    pair.run_for(Duration::from_secs(1));
    pair
}

/// A full handshake and then another connection that offers its session.
fn twice(before: (&Config, &Config), after: (&Config, &Config)) -> Pair {
    let (pair, session) = first(before.0, before.1);
    next(&pair, MINUTE, after.0, session, after.1)
}

fn assert_resumed(pair: &Pair, resumed: bool) {
    pair.assert_connected();
    assert_eq!(pair.client.dtls.is_resumed(), resumed);
    assert_eq!(pair.server.dtls.is_resumed(), resumed);
}

fn assert_clean(pair: &Pair) {
    for end in [&pair.client, &pair.server] {
        let counted: Vec<_> = end.dtls.counters().iter().filter(|(_, n)| *n > 0).collect();
        assert!(counted.is_empty(), "{counted:?}");
    }
}

fn closed(events: &[Event]) -> Option<CloseReason> {
    match events {
        [.., Event::Closed { reason }] => Some(*reason),
        _ => None,
    }
}

/// Who signs nothing cannot shake hands in full, though its certificate is the same.
fn mute(config: &Config) -> Config {
    Config {
        certificate: fake::certificate_of(config.certificate.der().to_vec()),
        ..config.clone()
    }
}

#[test]
fn every_suite_with_every_group() {
    for suite in SUITES {
        for group in GROUPS {
            let client = Config {
                cipher_suites: vec![suite],
                groups: vec![group],
                keep_sessions: true,
                ..config_13(RingCrypto::new(), Certificate::generate().unwrap())
            };
            let server = Config {
                tickets: issuer(9),
                ..config_13(RingCrypto::new(), Certificate::generate().unwrap())
            };
            let (mut before, session) = first(&client, &server);
            assert_eq!(session.peer_certificate(), server.certificate.der());
            let mut pair = next(&before, MINUTE, &client, session, &server);
            assert_resumed(&pair, true);
            let expected = Event::Connected {
                version: Version::DTLS_1_3,
                suite,
                group,
                profile: Some(SrtpProfile::AeadAes128Gcm),
            };
            assert_eq!(pair.client.events, [expected, Event::Session]);
            assert_eq!(pair.server.events, [expected]);
            assert_eq!(pair.client.dtls.peer_certificate(), Some(server.certificate.der()));
            assert_eq!(pair.server.dtls.peer_certificate(), Some(client.certificate.der()));
            assert_ne!(pair.client.exported(), before.client.exported());
            assert_eq!(pair.take_srtp_keys(), before.take_srtp_keys());
            pair.assert_talking();
            assert_clean(&pair);
        }
    }
}

#[test]
fn nobody_shows_a_certificate() {
    let (client, server) = (client(), server());
    let pair = twice((&client, &server), (&mute(&client), &mute(&server)));
    assert_resumed(&pair, true);
    // In full it would have been noticed.
    let mut pair = Pair::new(mute(&client), mute(&server), Network::CLEAN, 1);
    pair.settle();
    assert!(closed(&pair.client.events) == Some(CloseReason::BadSignature));
}

#[test]
fn clients_without_a_certificate() {
    let (client, server) = anonymous();
    let pair = twice((&client, &server), (&client, &mute(&server)));
    assert_resumed(&pair, true);
    assert_eq!(pair.server.dtls.peer_certificate(), None);
    assert_clean(&pair);
}

#[test]
fn it_is_off_by_default() {
    let plain = |number| config_13(fake::FakeCrypto::new(), fake::certificate(number));
    for (client, server) in [(plain(1), server()), (client(), plain(2)), (plain(1), plain(2))] {
        let mut pair = Pair::new(client, server, Network::CLEAN, 1);
        pair.settle();
        pair.run_for(HOUR);
        pair.assert_connected();
        assert!(pair.client.dtls.take_session().is_none());
        assert_eq!(pair.client.events, pair.server.events);
        // One round trip, and the client's last flight with its acknowledgement: nothing else.
        assert_eq!(pair.log.len(), 6);
        assert_clean(&pair);
    }
    let default = Config::new(Arc::new(fake::FakeCrypto::new()), fake::certificate(1));
    assert!(default.tickets.is_none() && !default.keep_sessions);
}

#[test]
fn another_hello() {
    let of_256 = Config {
        groups: vec![NamedGroup::SECP256R1],
        ..server()
    };
    let client = client();
    let mut pair = twice((&client, &of_256), (&mute(&client), &mute(&of_256)));
    assert_resumed(&pair, true);
    let hellos = pair.log.iter().filter(|(_, side, datagram)| {
        // A handshake record in the clear with the beginning of a ClientHello.
        *side == Side::Client
            && datagram[..5] == [22, 0xfe, 0xfd, 0, 0]
            && datagram[13] == 1
            && datagram[19..22] == [0; 3]
    });
    assert_eq!(hellos.count(), 2);
    pair.assert_talking();
    assert_clean(&pair);
}

#[test]
fn cookies() {
    for groups in [GROUPS.to_vec(), vec![NamedGroup::SECP256R1]] {
        for versions in [vec![Version::DTLS_1_3], vec![Version::DTLS_1_3, Version::DTLS_1_2]] {
            for max_datagram in [1200, 300] {
                let asking = Config {
                    cookie: true,
                    groups: groups.clone(),
                    versions: versions.clone(),
                    ..server()
                };
                let client = Config {
                    versions: versions.clone(),
                    max_datagram,
                    ..client()
                };
                let mut pair = twice((&client, &asking), (&mute(&client), &mute(&asking)));
                assert_resumed(&pair, true);
                pair.assert_talking();
                assert_clean(&pair);
            }
        }
    }
}

#[test]
fn bad_networks_only_take_longer() {
    let of_256 = Config {
        groups: vec![NamedGroup::SECP256R1],
        ..server()
    };
    for server in [server(), of_256] {
        let client = client();
        for run in 0..100 {
            let mut pair = Pair::new(client.clone(), server.clone(), Network::BAD, run);
            pair.settle();
            pair.assert_connected();
            pair.run_for(Duration::from_secs(20));
            // Whatever was lost, the ticket has come.
            let session = pair.client.dtls.take_session().expect("tickets come for certain");
            assert!(pair.client.dtls.take_session().is_none());
            let now = pair.now;
            let (mute_client, mute_server) = (mute(&client), mute(&server));
            let mut pair = Pair::resuming(now, mute_client, session, mute_server, Network::BAD, run);
            pair.settle();
            assert_resumed(&pair, true);
            pair.assert_talking();
        }
    }
}

#[test]
fn the_hash_decides_about_the_suite() {
    let (client, server) = (client(), server());
    let only = |config: &Config, suite| Config {
        cipher_suites: vec![suite],
        ..config.clone()
    };
    for before in SUITES {
        for after in SUITES {
            let of_384 = |suite: CipherSuite| suite == CipherSuite::TLS_AES_256_GCM_SHA384;
            // The client has one suite, or the server.
            for (next_client, next_server) in [
                (only(&client, after), server.clone()),
                (client.clone(), only(&server, after)),
            ] {
                let pair = twice((&only(&client, before), &server), (&next_client, &next_server));
                assert_resumed(&pair, of_384(before) == of_384(after));
                assert_clean(&pair);
            }
            // The client learns from a HelloRetryRequest that its ticket is of no use.
            let asking = Config {
                groups: vec![NamedGroup::SECP256R1],
                ..only(&server, after)
            };
            let pair = twice((&only(&client, before), &server), (&client, &asking));
            assert_resumed(&pair, of_384(before) == of_384(after));
            assert_clean(&pair);
        }
    }
}

#[test]
fn what_does_not_fit_is_no_failure() {
    let (client, server) = (client(), server());
    let of_12 = |config: Config| Config {
        versions: vec![Version::DTLS_1_2],
        ..config
    };
    let both = Config {
        versions: vec![Version::DTLS_1_3, Version::DTLS_1_2],
        ..client.clone()
    };
    for (what, next_client, next_server) in [
        (
            "another server's secrets",
            client.clone(),
            Config {
                tickets: issuer(8),
                ..server.clone()
            },
        ),
        (
            "a server without tickets",
            client.clone(),
            Config {
                tickets: None,
                ..server.clone()
            },
        ),
        (
            "another certificate of the server's",
            client.clone(),
            Config {
                certificate: fake::certificate(3),
                ..server.clone()
            },
        ),
        (
            "another certificate of the client's",
            Config {
                certificate: fake::certificate(3),
                ..client.clone()
            },
            server.clone(),
        ),
        (
            "a client that keeps nothing",
            Config {
                keep_sessions: false,
                ..client.clone()
            },
            server.clone(),
        ),
        ("a server of DTLS 1.2", both.clone(), of_12(server.clone())),
        (
            "a server of DTLS 1.2 with a cookie",
            both,
            Config {
                cookie: true,
                ..of_12(server.clone())
            },
        ),
    ] {
        let pair = twice((&client, &server), (&next_client, &next_server));
        println!("{what}");
        assert_resumed(&pair, false);
        assert_clean(&pair);
    }
    // A client of DTLS 1.2 alone.
    let pair = twice((&client, &server), (&of_12(client.clone()), &of_12(server.clone())));
    assert_resumed(&pair, false);
}

#[test]
fn a_session_without_the_clients_certificate_is_not_enough_for_those_who_want_one() {
    let (client, server) = anonymous();
    let wants = |config: &Config| Config {
        client_certificate: ClientCertificate::Required,
        authentication: Authentication::Fingerprint,
        ..config.clone()
    };
    // The server wants to know the client now.
    let pair = twice((&client, &server), (&client, &wants(&server)));
    assert_resumed(&pair, false);
    assert_eq!(pair.server.dtls.peer_certificate(), Some(client.certificate.der()));
    // The client wants to be known: it does not offer the session.
    let pair = twice((&client, &server), (&wants(&client), &wants(&server)));
    assert_resumed(&pair, false);
    let pair = twice((&client, &server), (&wants(&client), &server));
    assert_eq!(closed(&pair.client.events), Some(CloseReason::NoCertificateRequest));
    // The other way round nothing is missing.
    let known = Config {
        client_certificate: ClientCertificate::Optional,
        ..client.clone()
    };
    let pair = twice((&known, &wants(&server)), (&known, &server));
    assert_resumed(&pair, true);
    assert_eq!(pair.server.dtls.peer_certificate(), Some(client.certificate.der()));
}

/// Nobody has said which one it is to be.
#[test]
fn any_certificate_is_one() {
    let (client, server) = anonymous();
    let wants_any = Config {
        client_certificate: ClientCertificate::Required,
        ..server.clone()
    };
    let (before, session) = first(&client, &server);
    let mut pair = Pair::strangers_resuming(before.now, client.clone(), session, wants_any, Network::CLEAN, 2);
    introduce(&mut pair, &client, &server);
    pair.settle();
    assert_resumed(&pair, false);
    assert_eq!(pair.server.dtls.peer_certificate(), Some(client.certificate.der()));
}

/// Who is not awaited may yet be, so a session of another's is no end.
#[test]
fn a_server_asks_again_whom_it_does_not_await() {
    let (client, server) = (client(), server());
    let (before, session) = first(&client, &server);
    let mut pair = Pair::strangers_resuming(before.now, client.clone(), session, server.clone(), Network::CLEAN, 2);
    let another = fake::certificate(7).fingerprint();
    pair.server.dtls.set_remote_fingerprints(vec![another]);
    while !pair.log.iter().any(|(_, side, _)| *side == Side::Server) {
        assert!(pair.step());
    }
    introduce(&mut pair, &client, &server);
    pair.settle();
    assert_resumed(&pair, false);
}

#[test]
fn fingerprints_count_for_the_certificates_of_then() {
    let (client, server) = (client(), server());
    for side in [Side::Client, Side::Server] {
        let (before, session) = first(&client, &server);
        let mut pair = Pair::strangers_resuming(before.now, client.clone(), session, server.clone(), Network::CLEAN, 2);
        introduce(&mut pair, &client, &server);
        pair.end(side)
            .dtls
            .set_remote_fingerprints(vec![fake::certificate(7).fingerprint()]);
        pair.settle();
        assert_eq!(closed(&pair.end(side).events), Some(CloseReason::FingerprintMismatch));
    }
    // They may come late.
    let (before, session) = first(&client, &server);
    let mut pair = Pair::strangers_resuming(before.now, client.clone(), session, server.clone(), Network::CLEAN, 2);
    pair.run_for(Duration::from_secs(5));
    assert!(!pair.client.dtls.is_connected() && !pair.server.dtls.is_connected());
    assert!(pair.client.dtls.take_session().is_none());
    introduce(&mut pair, &client, &server);
    pair.run_for(Duration::from_secs(5));
    assert_resumed(&pair, true);
    assert!(pair.client.dtls.take_session().is_some());
}

#[test]
fn the_embedder_is_asked_again() {
    let judged = |config: Config| Config {
        authentication: Authentication::Embedder,
        ..config
    };
    let (client, server) = (client(), server());
    let (before, session) = first(&client, &server);
    let (client, server) = (judged(client), judged(server));
    let mut pair = Pair::strangers_resuming(before.now, client, session, server, Network::CLEAN, 2);
    pair.run_for(Duration::from_secs(1));
    for side in [Side::Client, Side::Server] {
        let end = pair.end(side);
        assert_eq!(end.events, [Event::CertificateToJudge]);
        assert!(end.dtls.is_resumed() && !end.dtls.is_connected());
        end.dtls.accept_certificate();
    }
    pair.run_for(Duration::from_secs(1));
    assert_resumed(&pair, true);
}

/// As in WebRTC.
#[test]
fn who_requires_fingerprints_wants_certificates_each_time() {
    let (client, server) = (client(), server());
    let (before, session) = first(&client, &server);
    let mut pair = Pair::strangers_resuming(before.now, client.clone(), session, server.clone(), Network::CLEAN, 2);
    pair.server.dtls.require_fingerprint();
    introduce(&mut pair, &client, &server);
    pair.settle();
    pair.run_for(Duration::from_secs(1));
    assert_resumed(&pair, false);
    assert!(pair.client.dtls.take_session().is_none());

    let (before, session) = first(&client, &server);
    let mut pair = Pair::strangers_resuming(before.now, client.clone(), session, server.clone(), Network::CLEAN, 2);
    pair.client.dtls.require_fingerprint();
    introduce(&mut pair, &client, &server);
    pair.settle();
    assert_eq!(closed(&pair.client.events), Some(CloseReason::NoPeerCertificate));
}

#[test]
fn a_session_ends_with_its_lifetime_however_often_it_was_resumed() {
    let (client, server) = (client(), server());
    let (pair, session) = first(&client, &server);
    assert!(session.remaining(pair.now) <= HOUR && session.remaining(pair.now) > HOUR - MINUTE);
    let mut pair = next(&pair, 50 * MINUTE, &client, session, &server);
    assert_resumed(&pair, true);
    let session = pair.client.dtls.take_session().unwrap();
    let left = session.remaining(pair.now);
    assert!(left <= 10 * MINUTE && left > 9 * MINUTE, "{left:?}");
    assert_eq!(session.remaining(pair.now + left), Duration::ZERO);
    let mut pair = next(&pair, 9 * MINUTE, &client, session, &server);
    assert_resumed(&pair, true);
    let session = pair.client.dtls.take_session().unwrap();
    let pair = next(&pair, 2 * MINUTE, &client, session, &server);
    assert_resumed(&pair, false);
    assert_clean(&pair);
}

#[test]
fn as_many_tickets_as_the_server_gives() {
    let with = |count| Config {
        tickets: Some(Arc::new(
            TicketIssuer::new(HOUR, Seed::from_run(9), Instant::now()).with_count(count),
        )),
        ..server()
    };
    let client = client();
    let three = with(3);
    let mut pair = Pair::new(client.clone(), three.clone(), Network::CLEAN, 1);
    pair.settle();
    pair.run_for(Duration::from_secs(1));
    // Told once for all that came together.
    let told = pair.client.events.iter().filter(|event| **event == Event::Session);
    assert!((1..=3).contains(&told.count()));
    let sessions: Vec<_> = std::iter::from_fn(|| pair.client.dtls.take_session()).collect();
    assert_eq!(sessions.len(), 3);
    assert_clean(&pair);
    for session in sessions {
        assert_resumed(&next(&pair, MINUTE, &client, session, &three), true);
    }
    let mut pair = Pair::new(client.clone(), with(0), Network::CLEAN, 1);
    pair.settle();
    pair.run_for(Duration::from_secs(1));
    assert!(pair.client.dtls.take_session().is_none());
    // Who gives none any more still takes those that are there. The secrets are the same, since their seed is.
    let (pair, session) = first(&client, &with(1));
    assert_resumed(&next(&pair, MINUTE, &client, session, &with(0)), true);
}

/// A connected pair over a network that has lost everything since the server sent its ticket.
fn losing_the_ticket() -> Pair {
    // Tickets are for those who are proven, so that they leave when the rest is acknowledged.
    let mut pair = Pair::strangers(client(), server(), Network::CLEAN, 1);
    let (theirs, ours) = (pair.client.dtls.config(), pair.server.dtls.config());
    let (theirs, ours) = (theirs.certificate.fingerprint(), ours.certificate.fingerprint());
    pair.client.dtls.set_remote_fingerprints(vec![ours]);
    pair.run_for(Duration::from_secs(1));
    assert!(pair.client.dtls.is_connected() && !pair.server.dtls.is_connected());
    pair.server.dtls.set_remote_fingerprints(vec![theirs]);
    pair.network.loss_percent = 100;
    pair
}

/// Both change their keys as the server wished, once more as the client wishes, and the client has its ticket.
fn assert_changes(mut pair: Pair) {
    let mut epochs = Vec::new();
    for _ in 0..2 {
        pair.run_for(5 * MINUTE);
        epochs.push([Side::Client, Side::Server].map(|side| pair.end(side).seal(b"x")[0] & 3));
        pair.client.dtls.update_keys();
    }
    assert_eq!(epochs, [[0, 0], [1, 1]]);
    pair.run_for(5 * MINUTE);
    pair.assert_talking();
    assert!(pair.client.dtls.take_session().is_some());
    for side in [Side::Client, Side::Server] {
        assert!(pair.end(side).dtls.is_connected());
        assert_eq!(pair.end(side).dtls.poll_timeout(), None);
    }
}

#[test]
fn a_ticket_that_nobody_acknowledges_is_no_loss() {
    let mut pair = losing_the_ticket();
    pair.run_for(5 * MINUTE);
    assert!(pair.server.dtls.is_connected(), "{:?}", pair.server.events);
    assert_eq!(pair.server.dtls.poll_timeout(), None);
    // It comes before what is said next, which would not be taken without it.
    pair.network.loss_percent = 0;
    pair.server.dtls.update_keys();
    assert_changes(pair);
}

#[test]
fn what_waits_for_a_ticket_is_said_when_that_is_left() {
    let mut pair = losing_the_ticket();
    let patience = pair.server.dtls.config().handshake_timeout;
    pair.run_for(patience / 3);
    pair.server.dtls.update_keys();
    pair.run_for(patience);
    pair.network.loss_percent = 0;
    assert_changes(pair);
    // With all the patience that there is for what is said.
    let mut pair = losing_the_ticket();
    pair.run_for(patience / 3);
    pair.server.dtls.update_keys();
    pair.run_for(patience + patience / 2);
    assert!(pair.server.dtls.is_connected());
    pair.run_for(patience);
    assert!(!pair.server.dtls.is_connected());
}

#[test]
fn keys_change_and_ids_are_agreed_on_beside_tickets() {
    let (client, server) = (client(), server());
    let with_ids = |config: &Config| Config {
        connection_ids: ConnectionIds::random(b"", 4),
        ..config.clone()
    };
    let (client, server) = (with_ids(&client), with_ids(&server));
    let mut pair = twice((&client, &server), (&mute(&client), &mute(&server)));
    assert_resumed(&pair, true);
    assert_eq!(pair.client.dtls.peer_connection_id().len(), 4);
    for side in [Side::Client, Side::Server] {
        pair.end(side).dtls.update_keys();
        pair.end(side).dtls.renew_connection_id();
    }
    pair.assert_talking();
    assert!(pair.client.dtls.take_session().is_some());
    assert_clean(&pair);
}

#[test]
fn a_wrong_binder_ends_the_handshake() {
    let (client, server) = (client(), server());
    for groups in [server.groups.clone(), vec![NamedGroup::SECP256R1]] {
        let which = if groups.len() == 1 { 2 } else { 1 };
        let server = Config {
            groups,
            ..server.clone()
        };
        let (before, session) = first(&client, &server);
        let mut pair = Pair::strangers_resuming(before.now, client.clone(), session, server.clone(), Network::CLEAN, 2);
        introduce(&mut pair, &client, &server);
        // The binder is the end of the hello, and of the datagram that ends it.
        let mut hellos = 0;
        pair.tamper = Box::new(move |_, side, datagram| {
            let is_clear = side == Side::Client && datagram.len() > 25 && datagram[..5] == [22, 0xfe, 0xfd, 0, 0];
            let length = |at: usize| u32::from_be_bytes([0, datagram[at], datagram[at + 1], datagram[at + 2]]);
            if is_clear && length(19) + length(22) == length(14) {
                hellos += 1;
                if hellos == which {
                    *datagram.last_mut().unwrap() ^= 1;
                }
            }
        });
        pair.settle();
        assert_eq!(closed(&pair.server.events), Some(CloseReason::BadBinder));
        let told = CloseReason::Alert(AlertDescription::DECRYPT_ERROR);
        assert_eq!(closed(&pair.client.events), Some(told));
    }
}

#[test]
fn a_server_takes_what_was_offered() {
    // With a share that fits into one datagram.
    let (server, groups) = (server(), vec![NamedGroup::X25519]);
    let client = Config { groups, ..client() };
    let (before, session) = first(&client, &server);
    let mut pair = Pair::strangers_resuming(before.now, client.clone(), session, server.clone(), Network::CLEAN, 2);
    introduce(&mut pair, &client, &server);
    // The key's number is the end of the ServerHello, which is the first record.
    pair.tamper = Box::new(|_, side, datagram| {
        if side == Side::Server && datagram[0] == 22 {
            let length = usize::from(u16::from_be_bytes([datagram[11], datagram[12]]));
            datagram[12 + length] ^= 1;
        }
    });
    pair.settle();
    assert!(
        matches!(closed(&pair.client.events), Some(CloseReason::IllegalParameter(_))),
        "{:?}",
        pair.client.events
    );
}

#[derive(Debug, Default)]
struct Lines(Mutex<Vec<String>>);

impl KeyLog for Lines {
    fn log(&self, line: &str) {
        self.0.lock().unwrap().push(line.to_owned());
    }
}

#[test]
fn secrets_of_resumed_connections_are_logged_too() {
    let logs = [Arc::new(Lines::default()), Arc::new(Lines::default())];
    let (client, server) = (client(), server());
    let logging = |config: &Config, log: &Arc<Lines>| Config {
        key_log: Some(log.clone()),
        ..mute(config)
    };
    let pair = twice(
        (&client, &server),
        (&logging(&client, &logs[0]), &logging(&server, &logs[1])),
    );
    assert_resumed(&pair, true);
    let [mut ours, mut theirs] = logs.map(|log| log.0.lock().unwrap().clone());
    ours.sort();
    theirs.sort();
    assert_eq!(ours, theirs);
    let labels: Vec<_> = ours.iter().map(|line| line.split(' ').next().unwrap()).collect();
    let expected = [
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        "CLIENT_TRAFFIC_SECRET_0",
        "EXPORTER_SECRET",
        "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "SERVER_TRAFFIC_SECRET_0",
    ];
    assert_eq!(labels, expected);
}

#[test]
fn debug_tells_no_secrets() {
    let (client, server) = (client(), server());
    let (_, session) = first(&client, &server);
    let text = format!("{session:?} {:?}", server.tickets);
    assert!(text.contains("ticket_bytes") && text.contains("TicketIssuer"));
    assert!(!text.contains('['), "{text}");
}

/// Versions are chosen as ever when both are on offer.
#[test]
fn both_versions_on_offer() {
    let client = Config {
        keep_sessions: true,
        ..config_both(fake::FakeCrypto::new(), fake::certificate(1))
    };
    let server = Config {
        tickets: issuer(9),
        ..config_both(fake::FakeCrypto::new(), fake::certificate(2))
    };
    let mut pair = twice((&client, &server), (&mute(&client), &mute(&server)));
    assert_resumed(&pair, true);
    pair.assert_talking();
    assert_clean(&pair);
}
