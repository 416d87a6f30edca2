//! Whole handshakes between our own client and server, in virtual time.

mod pair;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dtls_srtp::{
    AlertDescription, Certificate, CipherSuite, CloseReason, Config, Event, Fingerprint, FingerprintAlgorithm, KeyKind,
    KeyLog, Mki, NamedGroup, RingCrypto, SealError, SrtpProfile, Version, fake,
};
use pair::{Network, Pair, Side, config, fake_config};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// A certificate made with OpenSSL, see `fixtures/certificates/make.sh`.
fn openssl_certificate(name: &str) -> Certificate {
    let read = |ending: &str| {
        let path = format!(
            "{}/tests/fixtures/certificates/{name}.{ending}",
            env!("CARGO_MANIFEST_DIR")
        );
        std::fs::read(path).unwrap()
    };
    Certificate::from_der(read("der"), &read("key")).unwrap()
}

fn real_config() -> Config {
    config(RingCrypto::new(), Certificate::generate().unwrap())
}

fn connected(events: &[Event]) -> (CipherSuite, NamedGroup, Option<SrtpProfile>) {
    match events {
        [
            Event::Connected {
                version: Version::DTLS_1_2,
                suite,
                group,
                profile,
            },
        ] => (*suite, *group, *profile),
        other => panic!("{other:?}"),
    }
}

fn closed(events: &[Event]) -> Option<CloseReason> {
    match events {
        [.., Event::Closed { reason }] => Some(*reason),
        _ => None,
    }
}

#[test]
fn every_suite_with_every_group() {
    let crypto = Arc::new(RingCrypto::new());
    let rsa = openssl_certificate("rsa2048");
    let p256 = Certificate::generate().unwrap();
    let suites = Config::new(crypto.clone(), p256.clone()).cipher_suites;
    for suite in suites
        .into_iter()
        .filter(|suite| suite.name().unwrap().contains("ECDHE"))
    {
        for group in [NamedGroup::X25519, NamedGroup::SECP256R1, NamedGroup::SECP384R1] {
            let name = suite.name().unwrap();
            let kind = if name.contains("RSA") {
                KeyKind::Rsa
            } else {
                KeyKind::Ecdsa
            };
            let server_certificate = if kind == KeyKind::Rsa { &rsa } else { &p256 };
            let client = Config {
                cipher_suites: vec![suite],
                groups: vec![group],
                ..pair::of_12(Config::new(crypto.clone(), p256.clone()))
            };
            let server = pair::of_12(Config::new(crypto.clone(), server_certificate.clone()));
            let mut pair = Pair::new(client, server, Network::CLEAN, 1);
            pair.settle();
            pair.assert_connected();
            assert_eq!(
                connected(&pair.client.events),
                (suite, group, Some(SrtpProfile::AeadAes128Gcm))
            );
            assert_eq!(pair.client.events, pair.server.events);
            assert_eq!(pair.take_srtp_keys(), Some(SrtpProfile::AeadAes128Gcm));
            pair.assert_talking();
            assert_eq!(
                (pair.client.dtls.counters().iter().map(|(_, n)| n).sum::<u64>(), name),
                (0, name)
            );
            assert_eq!(
                (pair.server.dtls.counters().iter().map(|(_, n)| n).sum::<u64>(), name),
                (0, name)
            );
        }
    }
}

#[test]
fn every_kind_of_certificate_on_either_side() {
    let ours = Certificate::generate().unwrap();
    for name in [
        "p384",
        "ed25519",
        "rsa2048",
        "v1_p256",
        "v1_rsa2048",
        "expired_p256",
        "critical_p256",
    ] {
        let theirs = openssl_certificate(name);
        for (client, server) in [(&ours, &theirs), (&theirs, &ours)] {
            let client = config(RingCrypto::new(), client.clone());
            let server = config(RingCrypto::new(), server.clone());
            let mut pair = Pair::new(client, server, Network::CLEAN, 1);
            pair.settle();
            pair.assert_connected();
            pair.assert_talking();
        }
    }
}

#[test]
fn a_short_rsa_key_is_refused_by_name() {
    let path = format!("{}/tests/fixtures/certificates/rsa1024.der", env!("CARGO_MANIFEST_DIR"));
    let der = std::fs::read(path).unwrap();
    // ring does not even load such a private key, so another one signs; it does not come so far.
    let key_of_another = std::fs::read(format!(
        "{}/tests/fixtures/certificates/v1_p256.key",
        env!("CARGO_MANIFEST_DIR")
    ));
    let short = Certificate::from_der(der, &key_of_another.unwrap()).unwrap();
    for side in [Side::Client, Side::Server] {
        let (client, server) = match side {
            Side::Client => (config(RingCrypto::new(), short.clone()), real_config()),
            Side::Server => (real_config(), config(RingCrypto::new(), short.clone())),
        };
        let mut pair = Pair::new(client, server, Network::CLEAN, 1);
        pair.settle();
        assert_eq!(closed(&pair.end(side.other()).events), Some(CloseReason::WeakPeerKey));
        assert!(matches!(closed(&pair.end(side).events), Some(CloseReason::Alert(_))));
    }
}

#[test]
fn bad_networks_only_take_longer() {
    for run in 0..300 {
        let mut pair = Pair::fake(Network::BAD, run);
        pair.settle();
        pair.assert_connected();
        pair.assert_talking();
    }
}

#[test]
fn bad_networks_with_real_cryptography_and_small_datagrams() {
    for run in 0..12 {
        let small = |config| Config {
            max_datagram: 300 + 40 * run as usize,
            ..config
        };
        let mut pair = Pair::new(small(real_config()), small(real_config()), Network::BAD, run);
        pair.settle();
        pair.assert_connected();
        pair.assert_talking();
    }
}

#[test]
fn a_run_replays_byte_for_byte() {
    let log = |run| {
        let mut pair = Pair::fake(Network::BAD, run);
        pair.settle();
        pair.log
    };
    assert_eq!(log(7), log(7));
    assert_ne!(log(7), log(8));
}

#[test]
fn a_clean_handshake_takes_four_datagrams() {
    let mut pair = Pair::new(real_config(), real_config(), Network::CLEAN, 1);
    pair.settle();
    let senders: Vec<_> = pair.log.iter().map(|(_, side, _)| *side).collect();
    assert_eq!(senders, [Side::Client, Side::Server, Side::Client, Side::Server]);
    assert!(pair.log.iter().all(|(_, _, datagram)| datagram.len() <= 1200));
}

#[test]
fn a_client_that_hears_nothing_gives_up_after_30_seconds() {
    let network = Network {
        loss_percent: 100,
        ..Network::CLEAN
    };
    let mut pair = Pair::fake(network, 1);
    pair.settle();
    assert_eq!(closed(&pair.client.events), Some(CloseReason::Timeout));
    assert_eq!((pair.now - pair.start).as_secs(), 30);
    let times: Vec<_> = pair.log.iter().map(|(at, ..)| *at).collect();
    assert_eq!(times[..6], [0, 100, 300, 700, 1500, 2500]);
    assert_eq!(pair.client.dtls.counters().retransmitted_flights, 32);
    assert_eq!(pair.client.dtls.poll_timeout(), None);
    assert!(pair.server.events.is_empty() && pair.server.dtls.poll_timeout().is_none());
}

#[test]
fn the_measured_round_trip_sets_the_pace() {
    let network = Network {
        loss_percent: 100,
        ..Network::CLEAN
    };
    let mut pair = Pair::fake(network, 1);
    pair.client.dtls.set_rtt(Duration::from_millis(300));
    pair.run_for(Duration::from_secs(3));
    // The hello waited, not sent yet, when the round trip became known.
    let times: Vec<_> = pair.log.iter().map(|(at, ..)| *at).collect();
    assert_eq!(times, [0, 450, 1350, 2350]);
}

#[test]
fn a_lost_last_flight_is_sent_again_when_the_peer_repeats_its_own() {
    let mut pair = Pair::fake(Network::CLEAN, 1);
    // Datagram 3 carries the server's Finished.
    pair.tamper = Box::new(|n, _, datagram| {
        if n == 3 {
            datagram.clear();
        }
    });
    pair.settle();
    pair.assert_connected();
    assert_eq!(pair.client.dtls.counters().retransmitted_flights, 1);
    assert_eq!(pair.server.dtls.counters().retransmitted_flights, 1);
}

#[test]
fn fingerprints_may_come_late() {
    for run in 0..20 {
        let mut pair = Pair::strangers(fake_config(1), fake_config(2), Network::CLEAN, run);
        // After each number of steps of the handshake, and long after its end.
        for _ in 0..run.min(4) {
            pair.step();
        }
        if run > 4 {
            pair.run_for(Duration::from_secs(run));
        }
        assert!(!pair.client.dtls.is_connected() && pair.client.exported().is_none());
        assert!(!pair.server.dtls.is_connected() && pair.take_srtp_keys().is_none());
        pair.introduce_as(&fake::certificate(1), &fake::certificate(2));
        pair.settle();
        pair.assert_connected();
        pair.assert_talking();
    }
}

#[test]
fn data_that_came_before_the_fingerprint_is_lent_after_it() {
    let mut pair = Pair::strangers(fake_config(1), fake_config(2), Network::CLEAN, 1);
    pair.client
        .dtls
        .set_remote_fingerprints(vec![fake::certificate(2).fingerprint()]);
    pair.run_for(Duration::from_secs(1));
    assert!(pair.client.dtls.is_connected() && !pair.server.dtls.is_connected());
    let early = pair.client.seal(b"early");
    pair.send(Side::Client, early);
    pair.run_for(Duration::from_secs(1));
    assert!(pair.server.received.is_empty());
    pair.server
        .dtls
        .set_remote_fingerprints(vec![fake::certificate(1).fingerprint()]);
    let now = pair.now;
    pair.server.handle(now, &[]);
    assert_eq!(pair.server.received, [b"early"]);
}

#[test]
fn without_a_fingerprint_there_is_no_connection() {
    let mut pair = Pair::strangers(fake_config(1), fake_config(2), Network::CLEAN, 1);
    pair.settle();
    assert_eq!(closed(&pair.client.events), Some(CloseReason::NoFingerprint));
    assert!(pair.now - pair.start >= Duration::from_secs(30));
}

#[test]
fn a_wrong_fingerprint_ends_it_at_once() {
    let right = fake::certificate(2).fingerprint();
    let wrong = fake::certificate(3).fingerprint();
    let sha512 = |number| Fingerprint::of_certificate(FingerprintAlgorithm::Sha512, fake::certificate(number).der());
    for (fingerprints, good) in [
        (vec![], false),
        (vec![wrong.clone()], false),
        (vec![wrong.clone(), right.clone()], true),
        (vec![right.clone(), sha512(3)], false),
        (vec![wrong, sha512(2)], true),
    ] {
        let mut pair = Pair::fake(Network::CLEAN, 1);
        pair.client.dtls.set_remote_fingerprints(fingerprints);
        pair.settle();
        if good {
            pair.assert_connected();
        } else {
            assert_eq!(closed(&pair.client.events), Some(CloseReason::FingerprintMismatch));
            assert!(matches!(closed(&pair.server.events), Some(CloseReason::Alert(_))));
            assert!(pair.client.exported().is_none() && pair.take_srtp_keys().is_none());
            assert!((pair.now - pair.start).as_millis() < 100);
        }
    }
    // After the handshake, too.
    let mut pair = Pair::strangers(fake_config(1), fake_config(2), Network::CLEAN, 1);
    pair.run_for(Duration::from_secs(1));
    pair.server.dtls.set_remote_fingerprints(vec![right]);
    assert_eq!(
        pair.server.dtls.poll_event(),
        Some(Event::Closed {
            reason: CloseReason::FingerprintMismatch
        })
    );
}

/// Inputs, commands and polls in any order, polls late and one by one, timers fired for nothing: the outcome is that of
/// the polite order.
#[test]
fn the_order_of_calls_does_not_matter() {
    let mut polite = Pair::fake(Network::CLEAN, 1);
    polite.settle();
    for seed in 0..200 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut pair = Pair::strangers(fake_config(1), fake_config(2), Network::CLEAN, 1);
        let mut on_the_way: Vec<(Side, Vec<u8>)> = Vec::new();
        let mut introduced = false;
        for _ in 0..5000 {
            let side = if rng.random() { Side::Client } else { Side::Server };
            let now = pair.now;
            match rng.random_range(0..8) {
                0..=1 => {
                    let mut out = [0; 1500];
                    if let Some(len) = pair.end(side).dtls.poll_transmit(now, &mut out) {
                        on_the_way.push((side.other(), out[..len].to_vec()));
                    }
                }
                2..=4 if !on_the_way.is_empty() => {
                    let at = rng.random_range(0..on_the_way.len());
                    let (to, datagram) = on_the_way.swap_remove(at);
                    pair.end(to).handle(now, &datagram);
                }
                5 => pair.end(side).timeout(now),
                6 => {
                    pair.now += Duration::from_millis(rng.random_range(0..20));
                    let now = pair.now;
                    pair.end(side).timeout(now);
                }
                7 if !introduced && rng.random_range(0..20) == 0 => {
                    pair.introduce_as(&fake::certificate(1), &fake::certificate(2));
                    introduced = true;
                }
                _ => {}
            }
        }
        pair.assert_connected();
        assert_eq!(
            (&pair.client.events, &pair.server.events),
            (&polite.client.events, &polite.server.events)
        );
        assert_eq!(pair.client.exported(), polite.client.exported(), "seed {seed}");
        for (_, datagram) in on_the_way.drain(..) {
            // What is left over changes nothing.
            let now = pair.now;
            pair.client.handle(now, &datagram);
        }
        pair.assert_talking();
    }
}

#[test]
fn closing_is_answered() {
    for side in [Side::Client, Side::Server] {
        let mut pair = Pair::fake(Network::CLEAN, 1);
        pair.settle();
        pair.end(side).dtls.close();
        pair.run_for(Duration::from_secs(1));
        assert_eq!(closed(&pair.end(side).events), Some(CloseReason::Local));
        assert_eq!(closed(&pair.end(side.other()).events), Some(CloseReason::Peer));
        let answers = pair
            .log
            .iter()
            .filter(|(_, from, datagram)| *from == side.other() && datagram[0] == 21)
            .count();
        assert_eq!(answers, 1);
        assert_eq!(pair.end(side).dtls.seal(&mut [0; 100], 1), Err(SealError::NotConnected));
        assert_eq!(pair.end(side).dtls.counters().datagrams_after_close, 0);
    }
}

#[test]
fn profiles_are_chosen_by_the_server() {
    use SrtpProfile::{AeadAes128Gcm, AeadAes256Gcm, Aes128CmHmacSha1_32, Aes128CmHmacSha1_80};
    for (client, server, chosen) in [
        (
            vec![Aes128CmHmacSha1_80, AeadAes128Gcm],
            vec![AeadAes128Gcm, Aes128CmHmacSha1_80],
            Some(AeadAes128Gcm),
        ),
        (
            vec![AeadAes128Gcm, AeadAes256Gcm],
            vec![AeadAes256Gcm, AeadAes128Gcm],
            Some(AeadAes256Gcm),
        ),
        (
            vec![Aes128CmHmacSha1_80],
            SrtpProfile::ALL.to_vec(),
            Some(Aes128CmHmacSha1_80),
        ),
        (vec![AeadAes256Gcm], vec![AeadAes128Gcm], None),
        // Short tags are for those who ask for them, at both ends.
        (
            vec![Aes128CmHmacSha1_32, Aes128CmHmacSha1_80],
            vec![Aes128CmHmacSha1_32],
            Some(Aes128CmHmacSha1_32),
        ),
        (vec![Aes128CmHmacSha1_32], SrtpProfile::WEBRTC.to_vec(), None),
        (SrtpProfile::WEBRTC.to_vec(), vec![Aes128CmHmacSha1_32], None),
        (vec![], SrtpProfile::ALL.to_vec(), None),
    ] {
        let client = Config {
            srtp_profiles: client,
            ..fake_config(1)
        };
        let server = Config {
            srtp_profiles: server,
            ..fake_config(2)
        };
        let mut pair = Pair::new(client, server, Network::CLEAN, 1);
        pair.settle();
        pair.assert_connected();
        assert_eq!(connected(&pair.client.events).2, chosen);
        assert_eq!(pair.take_srtp_keys(), chosen);
    }
}

/// An identifier is used when the client offers one and the server knows what that is (RFC 5764 §4.1.3).
#[test]
fn an_mki_is_what_both_ends_agree_to() {
    let (own, other) = (Mki::new(&[1, 2, 3]), Mki::new(&[9]));
    let with = |number, srtp_mki| Config {
        srtp_mki,
        ..fake_config(number)
    };
    for (client, server, agreed) in [
        (own, other, own),
        (own, None, None),
        (None, other, None),
        (None, None, None),
    ] {
        let mut pair = Pair::new(with(1, client), with(2, server), Network::CLEAN, 1);
        pair.settle();
        pair.assert_connected();
        for side in [Side::Client, Side::Server] {
            let keys = pair.end(side).dtls.take_srtp_keys().unwrap();
            assert_eq!((keys.local.mki(), keys.remote.mki()), (agreed, agreed), "{side:?}");
        }
    }
}

/// Who needs SRTP gets no connection without it, whichever end that is, whether it says so before the handshake, after
/// the hellos, or when a connection of data alone gets media.
#[test]
fn a_connection_that_needs_srtp_needs_a_profile() {
    let with = |number, srtp_profiles| Config {
        srtp_profiles,
        ..fake_config(number)
    };
    let gcm = || vec![SrtpProfile::AeadAes128Gcm];
    let mode = || vec![SrtpProfile::Aes128CmHmacSha1_80];
    for (client, server) in [(gcm(), mode()), (gcm(), vec![]), (vec![], gcm()), (vec![], vec![])] {
        for side in [Side::Client, Side::Server] {
            for after_steps in [0, 1, 2, 3, 4] {
                let mut pair = Pair::new(with(1, client.clone()), with(2, server.clone()), Network::CLEAN, 1);
                for _ in 0..after_steps {
                    pair.step();
                }
                let was_connected = pair.end(side).dtls.is_connected();
                pair.end(side).dtls.require_srtp();
                pair.run_for(Duration::from_secs(1));
                let now = pair.now;
                pair.end(side).timeout(now);
                let case = (side, after_steps, pair.log.len());
                assert_eq!(
                    closed(&pair.end(side).events),
                    Some(CloseReason::NoCommonSrtpProfile),
                    "{case:?}"
                );
                let told = CloseReason::Alert(AlertDescription::HANDSHAKE_FAILURE);
                assert_eq!(closed(&pair.end(side.other()).events), Some(told), "{case:?}");
                assert!(!pair.end(side).dtls.is_connected() && pair.take_srtp_keys().is_none());
                let events = 1 + usize::from(was_connected);
                assert_eq!(pair.end(side).events.len(), events, "{case:?}");
                if after_steps == 0 {
                    // The hello that tells it is answered with the alert.
                    let hellos = if side == Side::Server { 1 } else { 2 };
                    assert_eq!(pair.log.len(), hellos + 1, "{case:?}");
                    assert_eq!(pair.end(side.other()).events.len(), 1, "{case:?}");
                }
            }
        }
    }
    let mut pair = Pair::new(with(1, gcm()), with(2, gcm()), Network::CLEAN, 1);
    pair.client.dtls.require_srtp();
    pair.settle();
    pair.server.dtls.require_srtp();
    pair.assert_connected();
    pair.assert_talking();
    assert_eq!(pair.take_srtp_keys(), Some(SrtpProfile::AeadAes128Gcm));
}

#[test]
fn secrets_go_to_the_key_log_alone() {
    #[derive(Debug, Default)]
    struct Lines(Mutex<Vec<String>>);
    impl KeyLog for Lines {
        fn log(&self, line: &str) {
            self.0.lock().unwrap().push(line.to_owned());
        }
    }
    let lines = Arc::new(Lines::default());
    let log = |config| Config {
        key_log: Some(lines.clone()),
        ..config
    };
    let mut pair = Pair::new(log(fake_config(1)), log(fake_config(2)), Network::CLEAN, 1);
    pair.settle();
    let lines = lines.0.lock().unwrap();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0], lines[1]);
    let secret = lines[0].rsplit(' ').next().unwrap();
    assert_eq!((secret.len(), lines[0].starts_with("CLIENT_RANDOM ")), (96, true));
    let keys = pair.client.dtls.take_srtp_keys().unwrap();
    let debug = format!("{:?} {keys:?}", pair.client.dtls);
    assert!(!debug.contains(&secret[..16]), "{debug}");
}

#[test]
fn sealing_needs_room_and_measure() {
    let mut pair = Pair::new(real_config(), real_config(), Network::CLEAN, 1);
    assert_eq!(pair.client.dtls.seal(&mut [0; 100], 10), Err(SealError::NotConnected));
    pair.settle();
    let overhead = pair.client.dtls.overhead();
    assert_eq!((overhead.head, overhead.tail), (21, 16));
    assert_eq!(pair.client.dtls.seal(&mut [0; 46], 10), Err(SealError::NoRoom));
    assert_eq!(pair.client.dtls.seal(&mut [0; 47], 10), Ok(47));
    assert_eq!(
        pair.client.dtls.seal(&mut vec![0; 20_000], 16_385),
        Err(SealError::TooLong)
    );
    assert_eq!(pair.client.dtls.seal(&mut vec![0; 20_000], 16_384), Ok(16_384 + 37));
    pair.assert_talking();
}

/// Flips one bit of one byte of one datagram, each in turn: whatever comes of it, the two ends never believe in
/// different handshakes, and nobody waits for ever.
#[test]
fn tampering_with_any_byte_gives_no_false_handshake() {
    let mut clean = Pair::fake(Network::CLEAN, 1);
    clean.settle();
    let exported = clean.client.exported();
    let lengths: Vec<_> = clean.log.iter().map(|(_, _, datagram)| datagram.len()).collect();
    let (mut connected, mut refused) = (0, 0);
    for (number, len) in lengths.into_iter().enumerate() {
        for at in 0..len {
            let mut pair = Pair::fake(Network::CLEAN, 1);
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
                _ => panic!("datagram {number} byte {at}: one of them believes in it"),
            }
        }
    }
    // Lost records are repaired; changed messages are refused.
    assert!(connected > 100 && refused > 400, "{connected} {refused}");
}
