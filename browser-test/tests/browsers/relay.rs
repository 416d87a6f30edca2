use std::net::{Ipv4Addr, SocketAddr};

use browser_test::{Browser, Kind, Namespace, Options};
use hyaline_server::{Tls, TurnOptions};
use serde_json::json;

use crate::BOTH;
use crate::arena::{Arena, Guest};

const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 55, 0, 2);
/// What the certificate would be for.
const NAME: &str = "turn.example.org";

/// Lets the page use the TURN server alone, by one of its addresses.
fn relay_alone(scheme: &str, transport: &str) -> String {
    format!(
        "void (() => {{
            const fits = url => url.startsWith('{scheme}:') && url.endsWith('transport={transport}');
            const Real = RTCPeerConnection;
            globalThis.RTCPeerConnection = class extends Real {{
                constructor(configuration) {{
                    const iceServers = configuration.iceServers.map(server => ({{ ...server, urls: server.urls.filter(fits) }}));
                    super({{ ...configuration, iceServers, iceTransportPolicy: 'relay' }});
                }}
            }};
        }})();"
    )
}

/// Both browsers meet in a room of which they reach nothing but the TURN server that the room tells them of.
fn meet_by(scheme: &str, transport: &str, relay_protocol: &str) {
    let arena = Arena::with(Namespace::with_address(ADDRESS).unwrap(), |options| {
        options.http = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        options.open = true;
        options.tls = Some(Tls::SelfSigned);
        options.turn = TurnOptions {
            host: Some(NAME.into()),
            port: 0,
            tls_port: 0,
            users: vec![("somebody".into(), "else".into())],
            ..TurnOptions::default()
        };
    });
    let origin = format!("https://{ADDRESS}:{}", arena.server.http_addr().port());
    let preload = relay_alone(scheme, transport);
    let guests = BOTH.map(|kind| {
        let options = Options {
            // The driver's Firefox accepts any certificate.
            flags: vec![
                "--ignore-certificate-errors".into(),
                format!("--host-resolver-rules=MAP {NAME} {ADDRESS}"),
            ],
            prefs: [("network.dns.forceResolve".to_owned(), json!(ADDRESS.to_string()))].into(),
            ..Options::within(&arena.network)
        };
        let browser = Browser::launch(kind, &options).unwrap_or_else(|error| panic!("{error}"));
        Guest::join(browser, &origin, name(kind), &preload)
    });
    for (guest, other) in guests.iter().zip([Kind::Firefox, Kind::Chromium]) {
        guest.wait_to_see_and_hear(name(other));
        let candidates = guest.get(
            "(async () => [...(await hyaline.room.getStats()).values()].filter(entry => entry.type === 'local-candidate')
                .map(({ candidateType, relayProtocol }) => [candidateType, relayProtocol]))()",
        );
        let candidates = candidates.as_array().unwrap();
        assert!(!candidates.is_empty(), "{}", guest.name);
        let relayed = json!(["relay", relay_protocol]);
        assert!(
            candidates.iter().all(|candidate| *candidate == relayed),
            "{}: {candidates:?}",
            guest.name
        );
        guest.assert_quiet();
    }
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Chromium => "Ada",
        Kind::Firefox => "Bob",
    }
}

#[test]
fn over_udp() {
    meet_by("turn", "udp", "udp");
}

#[test]
fn over_tcp() {
    meet_by("turn", "tcp", "tcp");
}

#[test]
fn over_tls() {
    meet_by("turns", "tcp", "tls");
}
