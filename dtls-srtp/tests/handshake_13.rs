//! Whole handshakes of DTLS 1.3 between our own client and server, in virtual time.

mod pair;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dtls_srtp::{
    Certificate, CipherSuite, CloseReason, Config, Event, KeyLog, Mki, NamedGroup, RingCrypto, SrtpProfile, Version,
    fake,
};
use pair::{Network, Pair, Side, config, config_13, config_both};

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
    config_13(RingCrypto::new(), Certificate::generate().unwrap())
}

fn fake_config(number: u64) -> Config {
    config_13(fake::FakeCrypto::new(), fake::certificate(number))
}

fn connected(events: &[Event]) -> (Version, CipherSuite, NamedGroup, Option<SrtpProfile>) {
    match events {
        [
            Event::Connected {
                version,
                suite,
                group,
                profile,
            },
        ] => (*version, *suite, *group, *profile),
        other => panic!("{other:?}"),
    }
}

fn closed(events: &[Event]) -> Option<CloseReason> {
    match events {
        [.., Event::Closed { reason }] => Some(*reason),
        _ => None,
    }
}

/// No fault was counted at either end.
fn assert_clean(pair: &Pair) {
    for end in [&pair.client, &pair.server] {
        let counted: Vec<_> = end.dtls.counters().iter().filter(|(_, n)| *n > 0).collect();
        assert!(counted.is_empty(), "{counted:?}");
    }
}

#[test]
fn every_suite_with_every_group() {
    for suite in SUITES {
        for group in GROUPS {
            let client = Config {
                cipher_suites: vec![suite],
                groups: vec![group],
                ..real_config()
            };
            let mut pair = Pair::new(client, real_config(), Network::CLEAN, 1);
            pair.settle();
            pair.assert_connected();
            assert_eq!(
                connected(&pair.client.events),
                (Version::DTLS_1_3, suite, group, Some(SrtpProfile::AeadAes128Gcm))
            );
            assert_eq!(pair.client.events, pair.server.events);
            assert_eq!(pair.take_srtp_keys(), Some(SrtpProfile::AeadAes128Gcm));
            pair.assert_talking();
            assert_clean(&pair);
        }
    }
}

#[test]
fn a_server_without_the_clients_groups_asks_for_another_share() {
    for (group, crypto) in [(NamedGroup::SECP384R1, 1), (NamedGroup::SECP256R1, 2)] {
        let server = Config {
            groups: vec![group],
            ..real_config()
        };
        let mut pair = Pair::new(real_config(), server, Network::CLEAN, crypto);
        pair.settle();
        pair.assert_connected();
        assert_eq!(connected(&pair.client.events).2, group);
        pair.assert_talking();
        assert_clean(&pair);
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
            let client = config_13(RingCrypto::new(), client.clone());
            let server = config_13(RingCrypto::new(), server.clone());
            let mut pair = Pair::new(client, server, Network::CLEAN, 1);
            pair.settle();
            pair.assert_connected();
            pair.assert_talking();
            assert_clean(&pair);
        }
    }
}

#[test]
fn each_speaks_the_best_that_both_have() {
    let make = |versions: &[Version]| Config {
        versions: versions.to_vec(),
        ..config_both(RingCrypto::new(), Certificate::generate().unwrap())
    };
    let (v12, v13) = (Version::DTLS_1_2, Version::DTLS_1_3);
    // The default is both.
    assert_eq!(
        config_both(fake::FakeCrypto::new(), fake::certificate(1)).versions,
        [v13, v12]
    );
    for (client, server, agreed) in [
        (&[v13, v12][..], &[v13, v12][..], v13),
        (&[v13, v12], &[v12], v12),
        (&[v12], &[v13, v12], v12),
        (&[v13], &[v13, v12], v13),
        (&[v13, v12], &[v13], v13),
        // The latest counts, whatever the order.
        (&[v12, v13], &[v12, v13], v13),
    ] {
        let mut pair = Pair::new(make(client), make(server), Network::CLEAN, 1);
        pair.settle();
        pair.assert_connected();
        assert_eq!(connected(&pair.client.events).0, agreed, "{client:?} {server:?}");
        pair.assert_talking();
        assert_clean(&pair);
    }
    for (client, server) in [(&[v13][..], &[v12][..]), (&[v12], &[v13])] {
        let mut pair = Pair::new(make(client), make(server), Network::CLEAN, 1);
        pair.settle();
        assert_eq!(closed(&pair.server.events), Some(CloseReason::UnsupportedVersion));
        assert!(pair.client.dtls.is_closed());
    }
}

#[test]
fn it_takes_one_round_trip_and_one_acknowledgement() {
    let mut pair = Pair::new(fake_config(1), fake_config(2), Network::CLEAN, 1);
    pair.settle();
    pair.run_for(Duration::from_secs(40));
    pair.assert_connected();
    let sent: Vec<_> = pair.log.iter().map(|(at, side, _)| (*at, *side)).collect();
    let (client, server) = (Side::Client, Side::Server);
    // The client's hello is longer than a datagram, and so is the server's flight.
    let expected = [
        (0, client),
        (0, client),
        (10, server),
        (10, server),
        (20, client),
        (30, server),
    ];
    assert_eq!(sent, expected);
    assert_clean(&pair);
}

#[test]
fn bad_networks_only_take_longer() {
    for run in 0..300 {
        let mut pair = Pair::new(fake_config(1), fake_config(2), Network::BAD, run);
        pair.settle();
        pair.assert_connected();
        pair.assert_talking();
    }
}

#[test]
fn bad_networks_and_another_share_only_take_longer() {
    for run in 0..300 {
        let server = Config {
            groups: vec![NamedGroup::SECP256R1],
            max_datagram: 300,
            ..fake_config(2)
        };
        let mut pair = Pair::new(fake_config(1), server, Network::BAD, run);
        pair.settle();
        pair.assert_connected();
        pair.assert_talking();
    }
}

#[test]
fn keys_change_while_data_flows() {
    for run in 0..50 {
        let mut pair = Pair::new(fake_config(1), fake_config(2), Network::CLEAN, run);
        pair.settle();
        pair.assert_connected();
        for round in 0..6 {
            pair.network = Network::BAD;
            if round % 3 != 1 {
                pair.client.dtls.update_keys();
            }
            if round % 3 != 0 {
                pair.server.dtls.update_keys();
            }
            pair.run_for(Duration::from_secs(20));
            pair.assert_talking();
        }
        assert!(!pair.client.dtls.is_closed() && !pair.server.dtls.is_closed());
    }
}

#[test]
fn keys_that_changed_show_in_the_epochs() {
    let mut pair = Pair::new(fake_config(1), fake_config(2), Network::CLEAN, 1);
    pair.settle();
    pair.run_for(Duration::from_secs(1));
    let mut epochs = Vec::new();
    for _ in 0..5 {
        epochs.push([Side::Client, Side::Server].map(|side| pair.end(side).seal(b"x")[0] & 3));
        pair.client.dtls.update_keys();
        pair.run_for(Duration::from_secs(1));
        pair.assert_talking();
    }
    // Epochs 3, 4, 5, 6, 7 in their lower two bits, and the server follows the client's wish.
    assert_eq!(epochs, [[3, 3], [0, 0], [1, 1], [2, 2], [3, 3]]);
    assert_clean(&pair);
}

#[test]
fn a_client_whose_last_flight_is_lost_sends_it_again() {
    let mut pair = Pair::new(fake_config(1), fake_config(2), Network::CLEAN, 1);
    let mut lost = 0;
    pair.tamper = Box::new(move |_, side, datagram| {
        if side == Side::Client && datagram[0] & 0xe3 == 0x22 && lost < 3 {
            lost += 1;
            *datagram = vec![0];
        }
    });
    pair.settle();
    pair.assert_connected();
    assert_eq!(pair.client.dtls.counters().retransmitted_flights, 3);
    pair.assert_talking();
}

#[test]
fn a_lost_acknowledgement_is_sent_again() {
    let mut pair = Pair::new(fake_config(1), fake_config(2), Network::CLEAN, 1);
    let mut acknowledgements = 0;
    pair.tamper = Box::new(move |_, side, datagram| {
        if side == Side::Server && datagram[0] & 0xe3 == 0x23 {
            acknowledgements += 1;
            if acknowledgements < 3 {
                *datagram = vec![0];
            }
        }
    });
    pair.settle();
    pair.run_for(Duration::from_secs(40));
    pair.assert_connected();
    assert_eq!(pair.client.dtls.counters().retransmitted_flights, 2);
    assert_eq!(pair.client.dtls.poll_timeout(), None);
}

#[test]
fn a_client_without_an_acknowledgement_lives_on_data_and_ends_without() {
    for data in [true, false] {
        let mut pair = Pair::new(fake_config(1), fake_config(2), Network::CLEAN, 1);
        // No acknowledgement of the server's arrives.
        pair.tamper = Box::new(|_, side, datagram| {
            if side == Side::Server && datagram[0] & 0xe3 == 0x23 {
                *datagram = vec![0];
            }
        });
        pair.settle();
        if data {
            let datagram = pair.server.seal(b"");
            let now = pair.now;
            pair.client.handle(now, &datagram);
        }
        pair.run_for(Duration::from_secs(40));
        assert_eq!(pair.client.dtls.is_connected(), data);
        assert_eq!(closed(&pair.client.events), (!data).then_some(CloseReason::Timeout));
    }
}

#[test]
fn a_lost_server_hello_is_asked_for() {
    // The server's first datagram is lost, the second has records that cannot be opened without it.
    let mut pair = Pair::new(fake_config(1), fake_config(2), Network::CLEAN, 1);
    let mut first = true;
    pair.tamper = Box::new(move |_, side, datagram| {
        if side == Side::Server && std::mem::take(&mut first) {
            *datagram = vec![0];
        }
    });
    pair.settle();
    pair.assert_connected();
    let took = (pair.now - pair.start).as_millis();
    // An acknowledgement after a quarter of 100 ms, and a round trip; the server's clock would have taken 100.
    assert!(took < 100, "{took}");
    assert_eq!(pair.server.dtls.counters().unprotected_acks, 1);
    pair.assert_talking();
}

#[test]
fn only_what_is_missing_is_sent_again() {
    // A small path: the server's flight takes many datagrams, and one of the protected ones is lost.
    let server = Config {
        max_datagram: 300,
        ..real_config()
    };
    let mut pair = Pair::new(real_config(), server, Network::CLEAN, 1);
    let mut protected = 0;
    pair.tamper = Box::new(move |_, side, datagram| {
        if side == Side::Server && datagram[0] & 0xe3 == 0x22 {
            protected += 1;
            if protected == 2 {
                *datagram = vec![0];
            }
        }
    });
    pair.settle();
    pair.assert_connected();
    let of_server = |at: std::ops::Range<u128>| {
        let datagrams = pair
            .log
            .iter()
            .filter(|(when, side, _)| *side == Side::Server && at.contains(when));
        datagrams.count()
    };
    let (first, again) = (of_server(0..11), of_server(11..100));
    assert!(first > 4, "{first}");
    // The missing datagram, and the acknowledgement of the client's flight.
    assert_eq!(again, 2);
    pair.assert_talking();
}

#[derive(Debug, Default)]
struct Lines(Mutex<Vec<String>>);

impl KeyLog for Lines {
    fn log(&self, line: &str) {
        self.0.lock().unwrap().push(line.to_owned());
    }
}

#[test]
fn the_key_log_has_all_secrets() {
    let logs = [Arc::new(Lines::default()), Arc::new(Lines::default())];
    let [client, server] = logs.clone().map(|log| Config {
        key_log: Some(log),
        ..real_config()
    });
    let mut pair = Pair::new(client, server, Network::CLEAN, 1);
    pair.settle();
    pair.assert_connected();
    let [ours, theirs] = logs.map(|log| log.0.lock().unwrap().clone());
    assert_eq!(ours, theirs);
    let labels: Vec<_> = ours.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(
        labels,
        [
            "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
            "SERVER_HANDSHAKE_TRAFFIC_SECRET",
            "CLIENT_TRAFFIC_SECRET_0",
            "SERVER_TRAFFIC_SECRET_0",
            "EXPORTER_SECRET"
        ]
    );
}

#[test]
fn a_version_taken_out_of_the_hello_is_noticed() {
    // Somebody in the middle makes the client's list of versions say 1.2 twice.
    let both = |number| config_both(fake::FakeCrypto::new(), fake::certificate(number));
    let mut pair = Pair::new(both(1), both(2), Network::CLEAN, 1);
    pair.tamper = Box::new(|_, side, datagram| {
        if side == Side::Client
            && let Some(at) = datagram
                .windows(5)
                .position(|window| window == [4, 0xfe, 0xfc, 0xfe, 0xfd])
        {
            datagram[at + 2] = 0xfd;
        }
    });
    pair.settle();
    assert_eq!(closed(&pair.client.events), Some(CloseReason::Downgraded));
    assert!(!pair.server.dtls.is_connected());
}

#[test]
fn no_common_ground_is_named() {
    let mut cases = Vec::new();
    let client = Config {
        groups: vec![NamedGroup::X25519],
        ..real_config()
    };
    let server = Config {
        groups: vec![NamedGroup::SECP256R1],
        ..real_config()
    };
    cases.push((client, server, CloseReason::NoCommonGroup));
    let only = |suite| Config {
        cipher_suites: vec![suite],
        ..real_config()
    };
    cases.push((only(SUITES[0]), only(SUITES[1]), CloseReason::NoCommonCipherSuite));
    for (client, server, reason) in cases {
        let mut pair = Pair::new(client, server, Network::CLEAN, 1);
        pair.settle();
        assert_eq!(closed(&pair.server.events), Some(reason));
        assert!(matches!(closed(&pair.client.events), Some(CloseReason::Alert(_))));
    }
}

#[test]
fn both_versions_offer_srtp_alike() {
    for make in [config as fn(RingCrypto, Certificate) -> Config, config_13, config_both] {
        let none = Config {
            srtp_profiles: Vec::new(),
            ..make(RingCrypto::new(), Certificate::generate().unwrap())
        };
        let some = make(RingCrypto::new(), Certificate::generate().unwrap());
        let mut pair = Pair::new(some.clone(), none, Network::CLEAN, 1);
        pair.settle();
        pair.assert_connected();
        assert_eq!(pair.take_srtp_keys(), None);
        let only = Config {
            srtp_profiles: vec![SrtpProfile::Aes128CmHmacSha1_80],
            ..some.clone()
        };
        let mut pair = Pair::new(only, some, Network::CLEAN, 1);
        pair.settle();
        assert_eq!(pair.take_srtp_keys(), Some(SrtpProfile::Aes128CmHmacSha1_80));
    }
}

#[test]
fn an_mki_is_what_both_ends_agree_to() {
    let (own, other) = (Mki::new(&[1, 2, 3]), Mki::new(&[9]));
    for (client, server, agreed) in [(own, other, own), (own, None, None), (None, other, None)] {
        let with = |srtp_mki| Config {
            srtp_mki,
            ..real_config()
        };
        let mut pair = Pair::new(with(client), with(server), Network::CLEAN, 1);
        pair.settle();
        for side in [Side::Client, Side::Server] {
            let keys = pair.end(side).dtls.take_srtp_keys().unwrap();
            assert_eq!((keys.local.mki(), keys.remote.mki()), (agreed, agreed), "{side:?}");
        }
    }
}

#[test]
fn a_close_is_heard_on_both_sides() {
    for side in [Side::Client, Side::Server] {
        let mut pair = Pair::new(real_config(), real_config(), Network::CLEAN, 1);
        pair.settle();
        pair.run_for(Duration::from_secs(1));
        pair.end(side).dtls.close();
        pair.run_for(Duration::from_secs(1));
        assert_eq!(closed(&pair.end(side.other()).events), Some(CloseReason::Peer));
    }
}
