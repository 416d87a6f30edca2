//! OpenSSL as a foreign peer, over sockets on the loopback interface: our server against `s_client`, our client against
//! `s_server`. Needs the `openssl` program.

mod certificates;
mod program;

use std::process::Command;
use std::sync::Arc;

use certificates::Files;
use dtls_srtp::{
    Authentication, Certificate, ClientCertificate, CloseReason, Config, ConnectionIds, Event, NamedGroup, RingCrypto,
    Role, SrtpProfile, Version,
};
use program::{Ours, Program};

const P256: Files = Files::P256;
const RSA: Files = Files::RSA;

fn openssl(program: &str, certificate: Files, more: &[&str]) -> Program {
    let (cert, key) = (certificate.path("der"), certificate.path("key"));
    let mut command = Command::new("openssl");
    command
        .args([program, "-dtls1_2", "-mtu", "1200"])
        .args(["-cert", &cert, "-certform", "DER", "-key", &key, "-keyform", "DER"])
        .args(["-keymatexport", "EXTRACTOR-dtls_srtp", "-keymatexportlen", "60"])
        .args(more);
    Program::start(&mut command)
}

fn exported(peer: &mut Program) -> Option<Vec<u8>> {
    peer.printed_hex("Keying material: ")
}

/// Handshake, exporters, a message each way, and a goodbye that is answered.
fn converse(ours: &mut Ours, peer: &mut Program) {
    ours.turn_until("connect", peer, |ours, _| !ours.events.is_empty());
    assert!(
        matches!(ours.events[..], [Event::Connected { .. }]),
        "{:?} {:#?}",
        ours.events,
        peer.seen
    );
    ours.turn_until("export", peer, |_, peer| exported(peer).is_some());
    let mut ours_exported = [0; 60];
    ours.dtls
        .export(b"EXTRACTOR-dtls_srtp", None, &mut ours_exported)
        .unwrap();
    assert_eq!(exported(peer).unwrap(), ours_exported);
    assert!(
        peer.printed("Extended master secret: ")
            .is_none_or(|answer| answer == "yes")
    );

    ours.seal_and_send(b"from us to OpenSSL\n");
    ours.turn_until("message to OpenSSL", peer, |_, peer| {
        peer.printed("from us to OpenSSL").is_some()
    });
    peer.type_line("from OpenSSL to us\n");
    ours.turn_until("message from OpenSSL", peer, |ours, _| {
        ours.received == b"from OpenSSL to us\n"
    });
    match ours.dtls.role() {
        Role::Server => {
            peer.type_line("Q\n");
            ours.turn_until("goodbye", peer, |ours, _| ours.dtls.is_closed());
            assert_eq!(
                ours.events.last(),
                Some(&Event::Closed {
                    reason: CloseReason::Peer
                })
            );
        }
        // s_server closes its socket before it says goodbye, so here we are the ones to leave.
        Role::Client => {
            ours.dtls.close();
            ours.turn_until("end of s_server", peer, |_, peer| peer.has_ended());
        }
    }
}

fn both_versions(certificate: Certificate) -> Config {
    Config::new(Arc::new(RingCrypto::new()), certificate)
}

fn config(certificate: Certificate) -> Config {
    // OpenSSL speaks DTLS 1.2 at most.
    Config {
        versions: vec![Version::DTLS_1_2],
        ..both_versions(certificate)
    }
}

const PROFILES: &str = "SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_128_GCM:SRTP_AEAD_AES_256_GCM";

/// Our server against `s_client`.
fn serve(config: Config, client: Files, more: &[&str]) -> Ours {
    let mut ours = Ours::new(config, Role::Server, None);
    ours.dtls.set_remote_fingerprints(vec![client.fingerprint()]);
    let address = ours.socket.local_addr().unwrap().to_string();
    let mut arguments = vec!["-connect", &address, "-use_srtp", PROFILES];
    arguments.extend(more);
    let mut peer = openssl("s_client", client, &arguments);
    converse(&mut ours, &mut peer);
    ours
}

/// Our client against `s_server`.
fn dial(config: Config, server: Files, more: &[&str]) -> Ours {
    let mut arguments = vec![
        "-accept",
        "127.0.0.1:0",
        "-naccept",
        "1",
        "-Verify",
        "1",
        "-use_srtp",
        PROFILES,
    ];
    arguments.extend(more);
    let mut peer = openssl("s_server", server, &arguments);
    let address = peer.wait_for("ACCEPT ").parse().unwrap();
    let mut ours = Ours::new(config, Role::Client, Some(address));
    ours.dtls.set_remote_fingerprints(vec![server.fingerprint()]);
    converse(&mut ours, &mut peer);
    ours
}

/// Each suite by its names in OpenSSL and in the registry.
const SUITES: [(&str, &str, Files); 6] = [
    (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        P256,
    ),
    (
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        P256,
    ),
    (
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        P256,
    ),
    (
        "ECDHE-RSA-AES128-GCM-SHA256",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        RSA,
    ),
    (
        "ECDHE-RSA-AES256-GCM-SHA384",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        RSA,
    ),
    (
        "ECDHE-RSA-CHACHA20-POLY1305",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        RSA,
    ),
];

#[test]
fn our_server_with_every_suite() {
    for (name, registered, certificate) in SUITES {
        // The client shows the other kind of certificate.
        let client = if certificate.name == RSA.name { P256 } else { RSA };
        let ours = serve(config(certificate.ours()), client, &["-cipher", name]);
        let (version, suite, group, profile) = ours.connected();
        assert_eq!(version, Version::DTLS_1_2);
        assert_eq!(
            (&suite[..], group, profile),
            (registered, NamedGroup::X25519, Some(SrtpProfile::AeadAes128Gcm))
        );
    }
}

#[test]
fn our_client_with_every_suite() {
    for (name, registered, certificate) in SUITES {
        let client = if certificate.name == RSA.name { P256 } else { RSA };
        let ours = dial(config(client.ours()), certificate, &["-cipher", name]);
        let (version, suite, group, profile) = ours.connected();
        assert_eq!(version, Version::DTLS_1_2);
        // OpenSSL as server takes its own first profile.
        assert_eq!((&suite[..], group), (registered, NamedGroup::X25519));
        assert_eq!(profile, Some(SrtpProfile::Aes128CmHmacSha1_80));
    }
}

#[test]
fn every_group_and_kind_of_certificate() {
    // Ours has one group, OpenSSL all: RFC 8422 §5.3 wants the curve of the certificate among the client's groups.
    for group in [NamedGroup::SECP256R1, NamedGroup::SECP384R1] {
        let one_group = || Config {
            groups: vec![group],
            ..config(RSA.ours())
        };
        assert_eq!(serve(one_group(), RSA, &[]).connected().2, group);
        assert_eq!(dial(one_group(), RSA, &[]).connected().2, group);
    }
    for name in ["p384", "ed25519", "critical_p256", "expired_p256"] {
        serve(config(Certificate::generate().unwrap()), Files { name }, &[]);
        serve(config(Files { name }.ours()), P256, &[]);
        // s_server 3.0 finds "no shared cipher" for an Ed25519 certificate in DTLS 1.2, with its own client too.
        if name != "ed25519" {
            dial(config(Certificate::generate().unwrap()), Files { name }, &[]);
        }
    }
}

#[test]
fn clients_without_certificates() {
    let anonymous = |certificate: Files, authentication| Config {
        authentication,
        client_certificate: ClientCertificate::Optional,
        srtp_profiles: Vec::new(),
        ..both_versions(certificate.ours())
    };
    for certificate in [P256, RSA] {
        let config = anonymous(certificate, Authentication::Unauthenticated);
        let mut ours = Ours::new(config, Role::Server, None);
        let address = ours.socket.local_addr().unwrap().to_string();
        let mut peer = openssl("s_client", P256, &["-connect", &address]);
        converse(&mut ours, &mut peer);
        assert_eq!(ours.dtls.peer_certificate(), None);

        let mut peer = openssl("s_server", certificate, &["-accept", "127.0.0.1:0", "-naccept", "1"]);
        let address = peer.wait_for("ACCEPT ").parse().unwrap();
        let config = anonymous(P256, Authentication::Fingerprint);
        let mut ours = Ours::new(config, Role::Client, Some(address));
        ours.dtls.set_remote_fingerprints(vec![certificate.fingerprint()]);
        converse(&mut ours, &mut peer);
        assert_eq!(ours.connected().3, None);
    }
}

#[test]
fn our_client_answers_a_cookie() {
    let ours = dial(config(Certificate::generate().unwrap()), P256, &["-listen"]);
    assert_eq!(*ours.dtls.counters(), dtls_srtp::Counters::default());
}

#[test]
fn our_server_asks_for_a_cookie() {
    for ours in [config(RSA.ours()), both_versions(RSA.ours())] {
        for mtu in ["1200", "300"] {
            let asking = Config {
                cookie: true,
                ..ours.clone()
            };
            let ours = serve(asking, P256, &["-mtu", mtu, "-msg"]);
            assert_eq!(ours.connected().0, Version::DTLS_1_2);
            assert_eq!(*ours.dtls.counters(), dtls_srtp::Counters::default());
        }
    }
}

#[test]
fn a_peer_without_dtls_1_3_is_spoken_to_in_1_2() {
    for certificate in [P256, RSA] {
        // Our hello with both versions takes two datagrams.
        let client = dial(both_versions(P256.ours()), certificate, &[]);
        let server = serve(both_versions(certificate.ours()), P256, &[]);
        for ours in [client, server] {
            let (version, _, group, _) = ours.connected();
            assert_eq!((version, group), (Version::DTLS_1_2, NamedGroup::X25519));
            assert_eq!(*ours.dtls.counters(), dtls_srtp::Counters::default());
        }
    }
}

#[test]
fn a_cookie_of_dtls_1_2_is_answered_with_both_versions_on_offer() {
    // `DTLSv1_listen` reads no hello in fragments, which one with the hybrid would have.
    let ours = Config {
        groups: vec![NamedGroup::X25519, NamedGroup::SECP256R1],
        ..both_versions(P256.ours())
    };
    let ours = dial(ours, P256, &["-listen"]);
    assert_eq!(ours.connected().0, Version::DTLS_1_2);
    assert_eq!(*ours.dtls.counters(), dtls_srtp::Counters::default());
}

/// OpenSSL has no connection IDs.
#[test]
fn our_offer_of_connection_ids_is_ignored() {
    let config = || Config {
        connection_ids: ConnectionIds::random(&[], 8),
        ..both_versions(P256.ours())
    };
    for ours in [dial(config(), P256, &[]), serve(config(), P256, &[])] {
        assert_eq!(ours.connected().0, Version::DTLS_1_2);
        assert_eq!(ours.dtls.connection_ids().count(), 0);
        assert_eq!(*ours.dtls.counters(), dtls_srtp::Counters::default());
    }
}

#[test]
fn small_datagrams_both_ways() {
    let small = || Config {
        max_datagram: 256,
        ..config(RSA.ours())
    };
    serve(small(), RSA, &["-mtu", "300"]);
    dial(small(), RSA, &["-mtu", "300"]);
}

#[test]
fn a_wrong_fingerprint_is_told_to_openssl() {
    let mut ours = Ours::new(config(Certificate::generate().unwrap()), Role::Server, None);
    ours.dtls.set_remote_fingerprints(vec![RSA.fingerprint()]);
    let address = ours.socket.local_addr().unwrap().to_string();
    let mut peer = openssl("s_client", P256, &["-connect", &address]);
    ours.turn_until("refusal", &mut peer, |ours, _| ours.dtls.is_closed());
    assert_eq!(
        ours.events,
        [Event::Closed {
            reason: CloseReason::FingerprintMismatch
        }]
    );
    ours.turn();
    // Our bad_certificate ends it.
    ours.turn_until("end of s_client", &mut peer, |_, peer| peer.has_ended());
}
