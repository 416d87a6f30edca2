//! Handshakes over networks that lose 40 % of all datagrams: in every version, role, suite and kind of certificate, with
//! and without duplicates, reordering and a small path, nobody fails within 30 s.

mod pair;

use std::sync::Arc;
use std::time::{Duration, Instant};

use dtls_srtp::{Certificate, CipherSuite, Config, NamedGroup, RingCrypto, SrtpProfile, TicketIssuer, Version, fake};
use pair::{Network, Pair};
use wire::Seed;

/// How many seeds each combination is tried with.
fn seeds() -> u64 {
    if std::env::var_os("HYALINE_LONG").is_some() {
        1000
    } else {
        30
    }
}

const LOSS: Network = Network {
    delay: Duration::from_millis(20),
    jitter: Duration::ZERO,
    loss_percent: 40,
    duplication_percent: 0,
};

const WORSE: Network = Network {
    jitter: Duration::from_millis(60),
    duplication_percent: 30,
    ..LOSS
};

/// What UDP carries over a path of 576 bytes (RFC 6347 §4.1.1.1).
const SMALL: usize = 576 - 28;

const V12: &[Version] = &[Version::DTLS_1_2];
const V13: &[Version] = &[Version::DTLS_1_3];
const BOTH: &[Version] = &[Version::DTLS_1_3, Version::DTLS_1_2];

/// Runs all seeds of one combination and returns how long the slowest handshake took.
fn run(what: &str, client: &Config, server: &Config) -> Duration {
    let mut slowest = Duration::ZERO;
    for network in [LOSS, WORSE] {
        for size in [1200, SMALL] {
            for seed in 0..seeds() {
                let sized = |config: &Config| Config {
                    max_datagram: size,
                    ..config.clone()
                };
                let mut pair = Pair::new(sized(client), sized(server), network, seed);
                pair.settle();
                let took = pair.now - pair.start;
                assert!(
                    pair.client.dtls.is_connected() && pair.server.dtls.is_connected(),
                    "{what}, {size} bytes, seed {seed}, {network:?}: {:?} {:?} after {took:?}",
                    pair.client.events,
                    pair.server.events
                );
                assert_eq!(pair.client.exported(), pair.server.exported());
                assert!(took < Duration::from_secs(30), "{what}, seed {seed}: {took:?}");
                slowest = slowest.max(took);
            }
        }
    }
    slowest
}

fn fake(number: u64, versions: &[Version]) -> Config {
    Config {
        versions: versions.to_vec(),
        ..Config::new(Arc::new(fake::FakeCrypto::new()), fake::certificate(number))
    }
}

#[test]
fn every_version_on_either_side() {
    for (client, server) in [(V12, V12), (V13, V13), (BOTH, BOTH), (BOTH, V12), (V12, BOTH)] {
        let what = format!("{client:?} and {server:?}");
        let slowest = run(&what, &fake(1, client), &fake(2, server));
        println!("{what}: {slowest:?} at most");
    }
}

#[test]
fn another_hello() {
    let server = Config {
        groups: vec![NamedGroup::SECP256R1],
        ..fake(2, V13)
    };
    let slowest = run("another hello", &fake(1, BOTH), &server);
    println!("another hello: {slowest:?} at most");
}

/// A server that asks for a cookie keeps nothing that it could send again before it has got it.
#[test]
fn with_a_cookie() {
    for (client, server) in [(V12, V12), (V13, V13), (BOTH, BOTH), (BOTH, V12), (V12, BOTH)] {
        for groups in [None, Some(NamedGroup::SECP256R1)] {
            let config = fake(2, server);
            let groups = groups.map_or_else(|| config.groups.clone(), |group| vec![group]);
            let asking = Config {
                cookie: true,
                groups,
                ..config
            };
            let what = format!("cookie, {client:?} and {server:?}");
            let slowest = run(&what, &fake(1, client), &asking);
            println!("{what}: {slowest:?} at most");
        }
    }
}

/// The ticket comes for certain, and takes its client back.
#[test]
fn resumed_sessions() {
    for (cookie, groups) in [
        (false, None),
        (false, Some(NamedGroup::SECP256R1)),
        (true, None),
        (true, Some(NamedGroup::SECP256R1)),
    ] {
        let config = fake(2, BOTH);
        let groups = groups.map_or_else(|| config.groups.clone(), |group| vec![group]);
        let issuer = TicketIssuer::new(Duration::from_secs(3600), Seed::from_run(9), Instant::now());
        let server = Config {
            tickets: Some(Arc::new(issuer)),
            cookie,
            groups,
            ..config
        };
        let client = Config {
            keep_sessions: true,
            ..fake(1, BOTH)
        };
        let what = format!("resumed, cookie {cookie}, {:?}", server.groups);
        let slowest = run_resumed(&what, &client, &server);
        println!("{what}: {slowest:?} at most");
    }
}

/// The same as [`run`] for sessions that are resumed.
fn run_resumed(what: &str, client: &Config, server: &Config) -> Duration {
    let mut slowest = Duration::ZERO;
    for network in [LOSS, WORSE] {
        for size in [1200, SMALL] {
            for seed in 0..seeds() {
                let sized = |config: &Config| Config {
                    max_datagram: size,
                    ..config.clone()
                };
                let mut pair = Pair::new(sized(client), sized(server), network, seed);
                pair.settle();
                pair.run_for(Duration::from_secs(25));
                let session = pair.client.dtls.take_session();
                let session = session.unwrap_or_else(|| panic!("{what}, {size} bytes, seed {seed}: no ticket"));
                let mut pair = Pair::resuming(pair.now, sized(client), session, sized(server), network, seed);
                pair.settle();
                pair.assert_connected();
                assert!(pair.client.dtls.is_resumed() && pair.server.dtls.is_resumed());
                let took = pair.now - pair.start;
                assert!(took < Duration::from_secs(30), "{what}, seed {seed}: {took:?}");
                slowest = slowest.max(took);
            }
        }
    }
    slowest
}

#[test]
fn every_suite() {
    let all = fake(1, BOTH).cipher_suites;
    for suite in all {
        let versions = if suite.name().is_some_and(|name| name.contains("ECDHE")) {
            V12
        } else {
            V13
        };
        let only = |number| Config {
            cipher_suites: vec![suite],
            ..fake(number, versions)
        };
        run(&suite.to_string(), &only(1), &only(2));
    }
}

/// Certificates of all kinds, which differ in length, with real cryptography. RSA signs slowly without optimization, so
/// there are fewer seeds.
#[test]
fn every_kind_of_certificate() {
    let read = |name: &str, ending: &str| {
        let folder = env!("CARGO_MANIFEST_DIR");
        std::fs::read(format!("{folder}/tests/fixtures/certificates/{name}.{ending}")).unwrap()
    };
    let crypto = Arc::new(RingCrypto::new());
    let ours = Certificate::generate().unwrap();
    for name in ["p384", "ed25519", "rsa2048", "v1_p256"] {
        let theirs = Certificate::from_der(read(name, "der"), &read(name, "key")).unwrap();
        for versions in [V12, V13] {
            let make = |certificate: &Certificate| Config {
                versions: versions.to_vec(),
                srtp_profiles: SrtpProfile::WEBRTC.to_vec(),
                groups: vec![NamedGroup::X25519],
                ..Config::new(crypto.clone(), certificate.clone())
            };
            for (client, server) in [(&ours, &theirs), (&theirs, &ours)] {
                for seed in 0..seeds() / 10 {
                    let mut pair = Pair::new(make(client), make(server), WORSE, seed);
                    pair.settle();
                    pair.assert_connected();
                    assert!(pair.now - pair.start < Duration::from_secs(30), "{name}, seed {seed}");
                }
            }
        }
    }
}

/// The combinations above name every suite that there is.
#[test]
fn no_suite_is_forgotten() {
    let fake = fake(1, BOTH).cipher_suites;
    let of_ecdsa = |suite: &CipherSuite| !suite.name().is_some_and(|name| name.contains("RSA"));
    let ring = Config::new(Arc::new(RingCrypto::new()), Certificate::generate().unwrap()).cipher_suites;
    let missing: Vec<_> = ring
        .into_iter()
        .filter(|suite| of_ecdsa(suite) && !fake.contains(suite))
        .collect();
    assert_eq!(missing, []);
}
