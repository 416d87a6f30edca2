//! What a handshake between ours and a browser settles: with either as DTLS client, and with what either can switch off.

use std::sync::Arc;

use browser_test::{Browser, Kind, Options};
use dtls_srtp::{Certificate, RingCrypto, Role, Version};
use serde_json::json;

use crate::BOTH;
use crate::arena::Arena;
use crate::direct::{Caller, DIRECT, Told, meet_as};

/// What a handshake is to settle.
struct Expected {
    version: &'static str,
    suite: &'static str,
    group: &'static str,
    /// What the page's statistics call the version.
    in_statistics: &'static str,
}

const POST_QUANTUM: Expected = Expected {
    version: "DTLS 1.3",
    suite: "TLS_AES_128_GCM_SHA256",
    group: "X25519MLKEM768",
    in_statistics: "FEFC",
};

const CLASSICAL: Expected = Expected {
    group: "x25519",
    ..POST_QUANTUM
};

const OLD: Expected = Expected {
    version: "DTLS 1.2",
    suite: "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    group: "x25519",
    in_statistics: "FEFD",
};

/// Calls with ours in each DTLS role, whoever offers. Ours speaks this version only, or what it speaks by default.
fn calls(arena: &Arena, kind: Kind, options: &Options<'_>, only: Option<Version>, expected: &Expected) {
    let browser = Browser::launch(kind, options).unwrap_or_else(|error| panic!("{error}"));
    for (role, ours_offers) in [
        (Role::Client, true),
        (Role::Client, false),
        (Role::Server, true),
        (Role::Server, false),
    ] {
        let page = browser.open_with(&arena.url("/healthz"), DIRECT).unwrap();
        let caller = Caller::with(arena, |config| {
            let mut dtls = dtls_srtp::Config::new(Arc::new(RingCrypto::new()), Certificate::generate().unwrap());
            if let Some(only) = only {
                dtls.versions = vec![only];
            }
            config.dtls = Arc::new(dtls);
            None
        });
        meet_as(role, caller, &page, kind, Told::Both, ours_offers, |call| {
            let ours = call.ours();
            let secured = ours.secured().unwrap().clone();
            drop(ours);
            let what = format!("{kind}, ours is {role:?} and offers: {ours_offers}: {secured:?}");
            assert_eq!(
                (secured.version, secured.suite, secured.group),
                (expected.version, expected.suite, expected.group),
                "{what}"
            );
            // Whoever is server picks by its own order; Chromium's begins with AES_CM.
            let profile = match (kind, role) {
                (Kind::Chromium, Role::Client) => "SRTP_AES128_CM_HMAC_SHA1_80",
                _ => "SRTP_AEAD_AES_128_GCM",
            };
            assert_eq!(secured.srtp_profile, profile, "{what}");
            let theirs = call.run(
                "[...(await direct.pc.getStats()).values()].find(entry => entry.type === 'transport')?.tlsVersion",
            );
            assert_eq!(theirs, json!(expected.in_statistics), "{what}");
        });
    }
}

#[test]
fn browsers_speak_dtls_13_with_a_hybrid_group() {
    for kind in BOTH {
        let arena = Arena::new();
        calls(&arena, kind, &Options::within(&arena.network), None, &POST_QUANTUM);
    }
}

#[test]
fn browsers_without_the_hybrid_group_use_x25519() {
    for kind in BOTH {
        let arena = Arena::new();
        let options = Options {
            disable_features: vec!["WebRtcPqcForDtls".to_owned()],
            prefs: [("media.webrtc.enable_pq_hybrid_kex".to_owned(), json!(false))].into(),
            ..Options::within(&arena.network)
        };
        calls(&arena, kind, &options, None, &CLASSICAL);
    }
}

#[test]
fn browsers_speak_dtls_12_with_ours_that_has_nothing_else() {
    for kind in BOTH {
        let arena = Arena::new();
        calls(
            &arena,
            kind,
            &Options::within(&arena.network),
            Some(Version::DTLS_1_2),
            &OLD,
        );
    }
}

/// Chromium has no switch for this.
#[test]
fn a_firefox_without_dtls_13_makes_ours_speak_12() {
    let arena = Arena::new();
    let options = Options {
        prefs: [("media.peerconnection.dtls.version.max".to_owned(), json!(771))].into(),
        ..Options::within(&arena.network)
    };
    calls(&arena, Kind::Firefox, &options, None, &OLD);
}
