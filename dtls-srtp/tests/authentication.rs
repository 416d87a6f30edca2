//! Who is taken for whom where DTLS carries something else than WebRTC: peers that the embedder decides about, clients
//! without certificates, and nobody in particular.

mod pair;

use std::time::Duration;

use dtls_srtp::message::{ClientHello, Fragment, split_record};
use dtls_srtp::{
    AlertDescription, Authentication, Certificate, ClientCertificate, CloseReason, Config, Event, ExtensionType,
    HandshakeType, RingCrypto, Version, fake,
};
use pair::{Network, Pair, Side, config_both};

const VERSIONS: [Version; 2] = [Version::DTLS_1_2, Version::DTLS_1_3];
const SIDES: [Side; 2] = [Side::Client, Side::Server];

/// Data alone, in one version.
fn data(number: u64, version: Version, authentication: Authentication, certificates: ClientCertificate) -> Config {
    Config {
        versions: vec![version],
        srtp_profiles: Vec::new(),
        authentication,
        client_certificate: certificates,
        ..config_both(fake::FakeCrypto::new(), fake::certificate(number))
    }
}

/// A client that knows the server's fingerprint, and a server that asks nobody who they are.
fn anonymous(version: Version, network: Network, run: u64) -> Pair {
    use ClientCertificate::Optional;
    let mut pair = Pair::strangers(
        data(1, version, Authentication::Fingerprint, Optional),
        data(2, version, Authentication::Unauthenticated, Optional),
        network,
        run,
    );
    let fingerprint = fake::certificate(2).fingerprint();
    pair.client.dtls.set_remote_fingerprints(vec![fingerprint]);
    pair
}

/// Both ends have certificates, and want this of the other's.
fn mutual(version: Version, authentication: Authentication) -> Pair {
    let make = |number| data(number, version, authentication, ClientCertificate::Required);
    Pair::strangers(make(1), make(2), Network::CLEAN, 1)
}

fn closed(events: &[Event]) -> Option<CloseReason> {
    match events {
        [.., Event::Closed { reason }] => Some(*reason),
        _ => None,
    }
}

fn assert_clean(pair: &Pair) {
    for end in [&pair.client, &pair.server] {
        let counted: Vec<_> = end.dtls.counters().iter().filter(|(_, n)| *n > 0).collect();
        assert!(counted.is_empty(), "{counted:?}");
    }
}

/// The types of the handshake messages that one side sent in the clear.
fn clear_messages(pair: &Pair, from: Side) -> Vec<HandshakeType> {
    let mut types = Vec::new();
    for (_, _, datagram) in pair.log.iter().filter(|(_, side, _)| *side == from) {
        let mut datagram = datagram.clone();
        let mut rest = &mut datagram[..];
        while let Ok((header, body, tail)) = split_record(rest) {
            if header.epoch == 0 && header.content_type == dtls_srtp::ContentType::HANDSHAKE {
                types.push(
                    Fragment::read(&mut wire::Reader::new(body))
                        .unwrap()
                        .header
                        .message_type,
                );
            }
            rest = tail;
        }
    }
    types
}

#[test]
fn clients_need_no_certificate() {
    for version in VERSIONS {
        let mut pair = anonymous(version, Network::CLEAN, 1);
        pair.settle();
        pair.assert_connected();
        assert_eq!(pair.take_srtp_keys(), None);
        pair.assert_talking();
        assert_clean(&pair);
        assert_eq!(pair.server.dtls.peer_certificate(), None);
        assert_eq!(pair.client.dtls.peer_certificate(), Some(fake::certificate(2).der()));
        let certificate = [HandshakeType::CERTIFICATE, HandshakeType::CERTIFICATE_VERIFY];
        let shown = clear_messages(&pair, Side::Client);
        assert!(!shown.iter().any(|name| certificate.contains(name)), "{shown:?}");
        assert!(!clear_messages(&pair, Side::Server).contains(&HandshakeType::CERTIFICATE_REQUEST));
    }
}

#[test]
fn nobody_speaks_of_srtp_who_has_none() {
    let mut pair = anonymous(Version::DTLS_1_2, Network::CLEAN, 1);
    pair.settle();
    let (_, _, mut hello) = pair.log[0].clone();
    let (_, body, _) = split_record(&mut hello).unwrap();
    let fragment = Fragment::read(&mut wire::Reader::new(body)).unwrap();
    let hello = ClientHello::parse(fragment.body).unwrap();
    assert!(!hello.extensions.contains(ExtensionType::USE_SRTP));
}

#[test]
fn bad_networks_only_take_longer() {
    for version in VERSIONS {
        for run in 0..100 {
            let mut pair = anonymous(version, Network::BAD, run);
            pair.settle();
            pair.assert_connected();
            pair.assert_talking();
        }
    }
}

#[test]
fn real_cryptography_without_client_certificates() {
    for version in VERSIONS {
        let (client, server) = (Certificate::generate().unwrap(), Certificate::generate().unwrap());
        let make = |certificate: &Certificate, authentication| Config {
            versions: vec![version],
            authentication,
            client_certificate: ClientCertificate::Optional,
            ..config_both(RingCrypto::new(), certificate.clone())
        };
        let mut pair = Pair::strangers(
            make(&client, Authentication::Fingerprint),
            make(&server, Authentication::Unauthenticated),
            Network::CLEAN,
            1,
        );
        pair.client.dtls.set_remote_fingerprints(vec![server.fingerprint()]);
        pair.settle();
        pair.assert_connected();
        pair.assert_talking();
        assert_clean(&pair);
    }
}

/// Whoever is asked shows a certificate, also where none is needed.
#[test]
fn a_client_that_is_asked_shows_its_certificate() {
    for version in VERSIONS {
        let mut pair = Pair::new(
            data(1, version, Authentication::Fingerprint, ClientCertificate::Optional),
            data(2, version, Authentication::Fingerprint, ClientCertificate::Required),
            Network::CLEAN,
            1,
        );
        pair.settle();
        pair.assert_connected();
        assert_eq!(pair.server.dtls.peer_certificate(), Some(fake::certificate(1).der()));
    }
}

/// WebRTC's way is the default.
#[test]
fn a_client_does_not_talk_to_a_server_that_does_not_ask() {
    for version in VERSIONS {
        let defaults = Config::new(std::sync::Arc::new(fake::FakeCrypto::new()), fake::certificate(1));
        assert_eq!(defaults.authentication, Authentication::Fingerprint);
        assert_eq!(defaults.client_certificate, ClientCertificate::Required);
        let server = data(2, version, Authentication::Unauthenticated, ClientCertificate::Optional);
        let mut pair = Pair::strangers(defaults, server, Network::CLEAN, 1);
        let fingerprint = fake::certificate(2).fingerprint();
        pair.client.dtls.set_remote_fingerprints(vec![fingerprint]);
        pair.settle();
        assert_eq!(closed(&pair.client.events), Some(CloseReason::NoCertificateRequest));
        assert!(!pair.server.dtls.is_connected());
    }
}

/// A server that wants to know its clients has to ask them.
#[test]
fn a_server_that_does_not_ask_authenticates_nobody() {
    for version in VERSIONS {
        for authentication in [Authentication::Fingerprint, Authentication::Embedder] {
            for cookie in [false, true] {
                let client = data(1, version, Authentication::Unauthenticated, ClientCertificate::Optional);
                let server = Config {
                    cookie,
                    ..data(2, version, authentication, ClientCertificate::Optional)
                };
                let mut pair = Pair::strangers(client, server, Network::CLEAN, 1);
                pair.settle();
                assert_eq!(closed(&pair.server.events), Some(CloseReason::NoPeerCertificate));
                let told = CloseReason::Alert(AlertDescription::HANDSHAKE_FAILURE);
                assert_eq!(closed(&pair.client.events), Some(told));
            }
        }
    }
}

#[test]
fn the_embedder_decides() {
    for version in VERSIONS {
        let mut pair = mutual(version, Authentication::Embedder);
        // Too early to say anything.
        pair.client.dtls.accept_certificate();
        pair.client.dtls.refuse_certificate();
        pair.run_for(Duration::from_secs(1));
        for (side, other) in [(Side::Client, 2), (Side::Server, 1)] {
            let end = pair.end(side);
            assert_eq!(end.events, [Event::CertificateToJudge], "{side:?}");
            assert_eq!(end.dtls.peer_certificate(), Some(fake::certificate(other).der()));
            assert!(!end.dtls.is_connected() && end.exported().is_none());
            let mut room = [0; 100];
            assert!(end.dtls.seal(&mut room, 1).is_err());
        }
        // What the client says meanwhile is kept.
        pair.client.dtls.accept_certificate();
        let early = pair.client.seal(b"early");
        let now = pair.now;
        pair.server.handle(now, &early);
        assert_eq!(pair.server.received, Vec::<Vec<u8>>::new());
        pair.server.dtls.accept_certificate();
        pair.server.handle(now, &[]);
        assert_eq!(pair.server.received, [b"early".to_vec()]);
        pair.assert_connected();
        pair.assert_talking();
        // Too late.
        pair.server.dtls.refuse_certificate();
        pair.assert_talking();
        assert_clean(&pair);
    }
}

#[test]
fn the_embedder_refuses() {
    for version in VERSIONS {
        for side in SIDES {
            let mut pair = mutual(version, Authentication::Embedder);
            pair.run_for(Duration::from_secs(1));
            pair.end(side.other()).dtls.accept_certificate();
            pair.end(side).dtls.refuse_certificate();
            let now = pair.now;
            pair.end(side).timeout(now);
            pair.run_for(Duration::from_secs(1));
            assert_eq!(closed(&pair.end(side).events), Some(CloseReason::CertificateRefused));
            let told = CloseReason::Alert(AlertDescription::BAD_CERTIFICATE);
            assert_eq!(closed(&pair.end(side.other()).events), Some(told));
            pair.end(side).dtls.accept_certificate();
            assert!(!pair.end(side).dtls.is_connected());
        }
    }
}

#[test]
fn who_does_not_decide_has_refused() {
    for version in VERSIONS {
        let mut pair = mutual(version, Authentication::Embedder);
        pair.run_for(Duration::from_secs(29));
        assert!(!pair.client.dtls.is_closed() && !pair.server.dtls.is_closed());
        pair.run_for(Duration::from_secs(2));
        for side in SIDES {
            let reason = closed(&pair.end(side).events);
            let told = CloseReason::Alert(AlertDescription::BAD_CERTIFICATE);
            assert!(
                [CloseReason::CertificateRefused, told].map(Some).contains(&reason),
                "{reason:?}"
            );
        }
    }
}

#[test]
fn nobody_need_be_anybody() {
    for version in VERSIONS {
        let mut pair = mutual(version, Authentication::Unauthenticated);
        pair.settle();
        pair.assert_connected();
        pair.assert_talking();
        assert_clean(&pair);
        // That they have their certificates' keys is proven all the same.
        assert_eq!(pair.client.dtls.peer_certificate(), Some(fake::certificate(2).der()));
    }
}

/// Fingerprints that were set have to match, whatever the configuration says.
#[test]
fn fingerprints_count_in_any_case() {
    for version in VERSIONS {
        for authentication in [Authentication::Embedder, Authentication::Unauthenticated] {
            for side in SIDES {
                let mut pair = mutual(version, authentication);
                let wrong = fake::certificate(7).fingerprint();
                pair.end(side).dtls.set_remote_fingerprints(vec![wrong]);
                pair.run_for(Duration::from_secs(1));
                pair.end(side).dtls.accept_certificate();
                assert_eq!(closed(&pair.end(side).events), Some(CloseReason::FingerprintMismatch));
            }
            let mut pair = mutual(version, authentication);
            pair.introduce_as(&fake::certificate(1), &fake::certificate(2));
            pair.run_for(Duration::from_secs(1));
            pair.client.dtls.accept_certificate();
            pair.server.dtls.accept_certificate();
            pair.assert_connected();
        }
        // Nor does a client without a certificate get past them.
        let mut pair = anonymous(version, Network::CLEAN, 1);
        let fingerprint = fake::certificate(1).fingerprint();
        pair.server.dtls.set_remote_fingerprints(vec![fingerprint]);
        pair.run_for(Duration::from_secs(31));
        assert_eq!(closed(&pair.server.events), Some(CloseReason::NoPeerCertificate));
    }
}

/// However late they are set: nothing that such a client could still show is a certificate.
#[test]
fn late_fingerprints_end_a_connection_without_a_certificate() {
    let refused = |pair: &Pair| closed(&pair.server.events) == Some(CloseReason::NoPeerCertificate);
    for version in VERSIONS {
        let fingerprints = || vec![fake::certificate(1).fingerprint()];
        let mut pair = anonymous(version, Network::CLEAN, 1);
        pair.settle();
        pair.assert_connected();
        pair.server.dtls.set_remote_fingerprints(fingerprints());
        let now = pair.now;
        pair.server.timeout(now);
        assert!(refused(&pair), "{version}: {:?}", pair.server.events);
        assert!(!pair.server.dtls.is_connected() && pair.server.exported().is_none());
        pair.run_for(Duration::from_secs(1));
        assert!(pair.client.dtls.is_closed());

        // While the handshake is under way, it ends with it.
        let mut pair = anonymous(version, Network::CLEAN, 1);
        while !pair.log.iter().any(|(_, side, _)| *side == Side::Server) {
            assert!(pair.step());
        }
        pair.server.dtls.set_remote_fingerprints(fingerprints());
        pair.run_for(Duration::from_secs(1));
        assert!(refused(&pair), "{version}: {:?}", pair.server.events);
        assert!(pair.client.dtls.is_closed());
    }
}

/// What a peer of WebRTC does, whatever configuration it is given (RFC 8827 §6.5).
#[test]
fn a_connection_can_require_fingerprints() {
    for version in VERSIONS {
        for (authentication, certificates) in [
            (Authentication::Embedder, ClientCertificate::Required),
            (Authentication::Unauthenticated, ClientCertificate::Required),
            (Authentication::Unauthenticated, ClientCertificate::Optional),
        ] {
            let make = |number| data(number, version, authentication, certificates);
            let mut pair = Pair::strangers(make(1), make(2), Network::CLEAN, 1);
            pair.client.dtls.require_fingerprint();
            pair.server.dtls.require_fingerprint();
            pair.run_for(Duration::from_secs(1));
            for side in SIDES {
                pair.end(side).dtls.accept_certificate();
                assert!(!pair.end(side).dtls.is_connected());
                assert_eq!(pair.end(side).events, []);
            }
            pair.introduce_as(&fake::certificate(1), &fake::certificate(2));
            pair.assert_connected();
        }
    }
}

/// Then a client wants to be asked, too.
#[test]
fn who_requires_fingerprints_shows_a_certificate() {
    for version in VERSIONS {
        let mut pair = anonymous(version, Network::CLEAN, 1);
        pair.client.dtls.require_fingerprint();
        pair.settle();
        assert_eq!(closed(&pair.client.events), Some(CloseReason::NoCertificateRequest));
        assert!(!pair.server.dtls.is_connected());
    }
}

/// Without a request nothing that a client could show counts.
#[test]
fn certificates_that_nobody_asked_for_are_refused() {
    // DTLS 1.2, where messages can be changed: the ClientKeyExchange becomes a Certificate.
    let mut pair = anonymous(Version::DTLS_1_2, Network::CLEAN, 1);
    pair.tamper = Box::new(|_, side, datagram| {
        let exchange = HandshakeType::CLIENT_KEY_EXCHANGE.0;
        if side == Side::Client && datagram[0] == 22 && datagram[13] == exchange {
            datagram[13] = HandshakeType::CERTIFICATE.0;
        }
    });
    pair.settle();
    let reason = CloseReason::UnexpectedMessage(HandshakeType::CERTIFICATE);
    assert_eq!(closed(&pair.server.events), Some(reason));
}
