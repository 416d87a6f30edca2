use crate::client::{Socket, exchange, get, request};
use crate::fake::Fixture;

use std::sync::Arc;
use std::time::Instant;

use hyaline_server::{Options, PAGE_POLICY, Server, StartError, Tls};

#[test]
fn the_page_is_served() {
    let fixture = Fixture::new();
    for (path, content_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/r/tea-room.7", "text/html; charset=utf-8"),
        ("/r/tea?name=Ada&join=1", "text/html; charset=utf-8"),
        ("/echo", "text/html; charset=utf-8"),
        ("/assets/hyaline.js", "text/javascript; charset=utf-8"),
        ("/assets/style.css", "text/css; charset=utf-8"),
        ("/favicon.ico", "image/svg+xml"),
    ] {
        let response = get(fixture.http(), path);
        assert_eq!(response.status, 200, "{path}");
        assert_eq!(response.header("content-type"), Some(content_type));
        assert_eq!(response.header("content-security-policy"), Some(PAGE_POLICY));
        assert!(!response.body.is_empty());
        let entity_tag = response.header("etag").unwrap();
        let again = request(fixture.http(), "GET", path, &[("if-none-match", entity_tag)], "");
        assert_eq!((again.status, again.body.as_str()), (304, ""));
    }
    for path in ["/nothing", "/assets/nothing.js", "/assets/..%2f..%2fCargo.toml"] {
        assert_eq!(get(fixture.http(), path).status, 404, "{path}");
    }
}

#[test]
fn a_room_name_that_is_none_is_refused() {
    let long = format!("/r/{}", "x".repeat(10_000));
    for (path, hint) in [
        (long.as_str(), "64"),
        ("/r/a%20b", "' '"),
        ("/r/%C3%BC", "'ü'"),
        ("/r/%FF", "cannot be read"),
    ] {
        let fixture = Fixture::new();
        let response = get(fixture.http(), path);
        let (code, detail) = response.problem();
        assert_eq!((response.status, code.as_str()), (400, "invalid-room-name"));
        assert!(detail.contains(hint), "{detail}");
        fixture.await_counter("invalid_room_name", 1);
    }
}

#[test]
fn a_person_gets_a_page_about_a_room_name_that_is_none() {
    let fixture = Fixture::new();
    let accept = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
    for (path, hint) in [("/r/k%C3%BCche", "'ü'"), ("/r/%3Cb%3E", "'&lt;'")] {
        let response = request(fixture.http(), "GET", path, &accept, "");
        assert_eq!(response.status, 400);
        assert_eq!(response.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(response.header("content-security-policy"), Some(PAGE_POLICY));
        assert!(response.body.contains(hint), "{}", response.body);
    }
    fixture.await_counter("invalid_room_name", 2);
}

#[test]
fn health_and_metrics() {
    let fixture = Fixture::new();
    assert_eq!(get(fixture.http(), "/healthz").body, "ok\n");
    get(fixture.http(), "/r/a%20b");
    let metrics = get(fixture.http(), "/metrics");
    assert_eq!(metrics.status, 200);
    for line in [
        "hyaline_fake_joins_total{worker=\"0\"} 0",
        "hyaline_fake_joins_total{worker=\"1\"} 0",
        "hyaline_udp_send_refused_total{worker=\"1\"} 0",
        "hyaline_participants{worker=\"0\"} 0",
        "hyaline_speaking{worker=\"0\"} 1",
        "hyaline_speaking{worker=\"1\"} 2",
        "hyaline_sessions_resumed_total{worker=\"0\"} 0",
        "hyaline_rooms 0",
        "hyaline_signalling_invalid_room_name_total 1",
        "hyaline_signalling_websocket_not_json_total 0",
        "hyaline_dtls_handshakes_total{version=\"DTLS 1.3\",group=\"X25519MLKEM768\",\
         suite=\"TLS_AES_128_GCM_SHA256\",srtp_profile=\"SRTP_AEAD_AES_128_GCM\"} 4",
        "# EOF",
    ] {
        assert!(
            metrics.body.lines().any(|other| other == line),
            "{line} is not in\n{}",
            metrics.body
        );
    }
}

/// A report walks over everybody on the threads that carry media, so there is one per second for all who ask.
#[test]
fn metrics_are_made_once_per_second() {
    let fixture = Fixture::with(|options| options.workers = 1.try_into().unwrap());
    let reports = || {
        fixture
            .log
            .lock()
            .unwrap()
            .iter()
            .filter(|line| *line == "report")
            .count()
    };
    let start = Instant::now();
    for _ in 0..20 {
        assert_eq!(get(fixture.http(), "/healthz").status, 200);
    }
    assert_eq!(reports(), 0);
    let http = fixture.http();
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| assert!(get(http, "/metrics").body.contains("hyaline_fake_joins_total")));
        }
    });
    let most = start.elapsed().as_secs() as usize + 1;
    assert!((1..=most).contains(&reports()), "{} reports", reports());
    // Who asks is never told what was before.
    let (_ada, _) = Socket::join(fixture.http(), "tea", "Ada");
    let metrics = get(fixture.http(), "/metrics");
    assert!(metrics.body.contains("hyaline_fake_joins_total{worker=\"0\"} 1"));
}

#[test]
fn metrics_are_limited_like_all_that_costs_and_health_is_not() {
    let fixture = Fixture::new();
    // Fifty times a second one request may pass: the first after a refused one, if the machine is slow.
    let refused = |path: &str| {
        (0..50).any(|_| {
            while get(fixture.http(), "/whip/tea").status != 429 {}
            get(fixture.http(), path).status == 429
        })
    };
    assert!(refused("/metrics"));
    assert!(!refused("/healthz"));
}

#[test]
fn a_flood_of_requests_is_held_back() {
    let fixture = Fixture::new();
    let refused = (0..2000).find_map(|_| {
        let response = get(fixture.http(), "/whip/tea");
        (response.status != 200).then_some(response)
    });
    let refused = refused.expect("the flood is noticed");
    assert_eq!((refused.status, refused.problem().0.as_str()), (429, "rate-limited"));
    assert!(refused.header("retry-after").is_some());
    assert_eq!(
        refused.header("access-control-allow-origin"),
        Some("*"),
        "pages may know"
    );
    fixture.await_counter("rate_limited", 1);
    // What costs nothing is there for everybody.
    assert_eq!(get(fixture.http(), "/").status, 200);
}

#[test]
fn tls_with_a_self_made_certificate() {
    let fixture = Fixture::with(|options| options.tls = Some(Tls::SelfSigned));
    assert!(fixture.server.url().starts_with("https://127.0.0.1:"));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = rustls::StreamOwned::new(connection, crate::client::connect(fixture.http()));
    assert_eq!(exchange(stream, "GET", "/healthz", &[], b"").body, "ok\n");
}

/// As a person who clicks the browser's warning away.
#[derive(Debug)]
struct AnyCertificate(Arc<rustls::crypto::CryptoProvider>);

mod verifier {
    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::{DigitallySignedStruct, Error, SignatureScheme};

    impl ServerCertVerifier for super::AnyCertificate {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.0.signature_verification_algorithms.supported_schemes()
        }
    }
}

/// Whatever is wrong is told with what to do about it.
#[test]
fn a_server_that_cannot_start_says_why() {
    let fixture = Fixture::new();
    let start = |change: &dyn Fn(&mut Options)| -> StartError {
        let mut options = Options {
            http: ([127, 0, 0, 1], 0).into(),
            ..Options::default()
        };
        change(&mut options);
        Server::start(&options).unwrap_err()
    };
    let media = fixture.server.media_addrs()[0][0].port();
    for (error, hint) in [
        (start(&|o| o.http = fixture.http()), "--http"),
        (start(&|o| o.http = ([192, 0, 2, 255], 0).into()), "--open"),
        (
            start(&|o| (o.http, o.open) = (([198, 51, 100, 255], 0).into(), true)),
            "198.51.100.255",
        ),
        (
            start(&|o| (o.udp_port, o.workers) = (media, 1.try_into().unwrap())),
            "--udp-port",
        ),
        (
            start(&|o| {
                o.tls = Some(Tls::Files {
                    certificate: "/nothing.pem".into(),
                    key: "/nothing.pem".into(),
                });
            }),
            "--tls-cert",
        ),
    ] {
        let text = error.to_string();
        assert!(text.contains(hint) && text.ends_with('.'), "{text}");
    }
}
