//! BoringSSL, the stack inside Chromium, as a foreign peer, in memory and in virtual time: both versions, each as client
//! and as server, on networks that lose, repeat and reorder.

#[path = "../../dtls-srtp/tests/certificates/mod.rs"]
mod certificates;
#[path = "../../dtls-srtp/tests/meeting/mod.rs"]
mod meeting;
#[path = "../../dtls-srtp/tests/pair/mod.rs"]
mod pair;
#[path = "boringssl/resumption.rs"]
mod resumption;

use std::time::{Duration, Instant};

use boring::ssl::SslVersion;
use certificates::Files;
use dtls_srtp::{CipherSuite, Config, Counters, NamedGroup, RingCrypto, Role, SrtpProfile, Version};
use hyaline_interop::{Boring, Context};
use meeting::{Foreign, Meeting, other};
use pair::{Network, config_both};

const V12: Version = Version::DTLS_1_2;
const V13: Version = Version::DTLS_1_3;

struct Theirs(Boring);

impl Foreign for Theirs {
    fn handle(&mut self, now: Instant, datagram: &[u8]) {
        self.0.handle(now, datagram);
    }

    fn timeout(&mut self, now: Instant) {
        self.0.timeout(now);
    }

    fn transmits(&mut self, _: Instant) -> Vec<Vec<u8>> {
        self.0.transmits()
    }

    fn poll_timeout(&mut self, now: Instant) -> Option<Instant> {
        self.0.poll_timeout(now)
    }

    fn failure(&self) -> Option<&str> {
        self.0.failure()
    }

    fn is_connected(&self) -> bool {
        self.0.is_connected()
    }

    fn peer_certificate(&self) -> Option<Vec<u8>> {
        self.0.peer_certificate()
    }

    fn srtp_keys(&self) -> Option<(SrtpProfile, Vec<u8>)> {
        let name = self.0.srtp_profile()?;
        let (profile, _) = PROFILES.into_iter().find(|(_, theirs)| *theirs == name)?;
        let mut keys = vec![0; profile.keying_material_len()];
        self.0.export("EXTRACTOR-dtls_srtp", None, &mut keys).unwrap();
        Some((profile, keys))
    }

    fn say(&mut self, data: &[u8]) {
        self.0.say(data);
    }

    fn heard(&self) -> Option<&[u8]> {
        self.0.heard()
    }

    fn close(&mut self) {
        self.0.close();
    }

    fn was_left(&self) -> bool {
        self.0.was_left()
    }
}

/// How a meeting is set up.
struct Setup {
    role: Role,
    ours: Config,
    theirs: hyaline_interop::Config,
    certificate: Files,
    network: Network,
    run: u64,
}

/// Versions of BoringSSL: the lowest and the highest.
type Versions = (SslVersion, SslVersion);

const ONLY_12: Versions = (SslVersion::DTLS1_2, SslVersion::DTLS1_2);
const ONLY_13: Versions = (SslVersion::DTLS1_3, SslVersion::DTLS1_3);
const BOTH: Versions = (SslVersion::DTLS1_2, SslVersion::DTLS1_3);

/// Each of BoringSSL's ranges, and what our defaults make of it.
const AGREEMENTS: [(Versions, Version); 3] = [(ONLY_12, V12), (ONLY_13, V13), (BOTH, V13)];

const ROLES: [Role; 2] = [Role::Client, Role::Server];

const PROFILES: [(SrtpProfile, &str); 3] = [
    (SrtpProfile::AeadAes128Gcm, "SRTP_AEAD_AES_128_GCM"),
    (SrtpProfile::AeadAes256Gcm, "SRTP_AEAD_AES_256_GCM"),
    (SrtpProfile::Aes128CmHmacSha1_80, "SRTP_AES128_CM_SHA1_80"),
];

const SUITES_13: [CipherSuite; 3] = [
    CipherSuite::TLS_AES_128_GCM_SHA256,
    CipherSuite::TLS_AES_256_GCM_SHA384,
    CipherSuite::TLS_CHACHA20_POLY1305_SHA256,
];

const SUITES_12: [(CipherSuite, &str, Files); 6] = [
    (
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        Files::P256,
    ),
    (
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        Files::P256,
    ),
    (
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        Files::P256,
    ),
    (
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        "ECDHE-RSA-AES128-GCM-SHA256",
        Files::RSA,
    ),
    (
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        "ECDHE-RSA-AES256-GCM-SHA384",
        Files::RSA,
    ),
    (
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        "ECDHE-RSA-CHACHA20-POLY1305",
        Files::RSA,
    ),
];

const GROUPS: [(NamedGroup, &str); 4] = [
    (NamedGroup::X25519_MLKEM768, "X25519MLKEM768"),
    (NamedGroup::X25519, "X25519"),
    (NamedGroup::SECP256R1, "P-256"),
    (NamedGroup::SECP384R1, "P-384"),
];

impl Setup {
    fn new(role: Role, versions: Versions) -> Self {
        Self {
            role,
            ours: config_both(RingCrypto::new(), Files::P256.ours()),
            theirs: hyaline_interop::Config {
                versions,
                certificate: (Files::P256.read("der"), Files::P256.read("key")),
                groups: "X25519MLKEM768:X25519:P-256:P-384",
                suites_13: Vec::new(),
                suites_12: "ALL",
                profiles: "SRTP_AEAD_AES_128_GCM:SRTP_AEAD_AES_256_GCM:SRTP_AES128_CM_SHA1_80",
                mtu: 1200,
            },
            certificate: Files::P256,
            network: Network::CLEAN,
            run: 1,
        }
    }

    fn shows(mut self, certificate: Files) -> Self {
        self.certificate = certificate;
        self.theirs.certificate = (certificate.read("der"), certificate.read("key"));
        self
    }

    fn context(&self, now: Instant) -> Context {
        Context::new(&self.theirs, other(self.role) == Role::Client, now).unwrap()
    }

    fn meet(self) -> Meeting<Theirs> {
        let theirs = |now| Theirs(self.context(now).connection(now).unwrap());
        Meeting::new(
            self.ours.clone(),
            self.role,
            self.certificate,
            self.network,
            self.run,
            theirs,
        )
    }
}

#[test]
fn every_version_and_role() {
    for role in ROLES {
        for (versions, version) in AGREEMENTS {
            let agreed = Setup::new(role, versions).meet().converse_cleanly();
            // The hybrid is for DTLS 1.3 alone.
            let group = if version == V13 {
                NamedGroup::X25519_MLKEM768
            } else {
                NamedGroup::X25519
            };
            assert_eq!((agreed.version, agreed.group), (version, group));
            assert_eq!(agreed.profile, Some(SrtpProfile::AeadAes128Gcm));
        }
    }
}

#[test]
fn our_server_asks_for_a_cookie() {
    for (versions, version) in AGREEMENTS {
        for size in [1200, 300] {
            for group in [None, Some(NamedGroup::SECP384R1)] {
                let mut setup = Setup::new(Role::Server, versions);
                setup.ours.cookie = true;
                setup.ours.max_datagram = size as usize;
                setup.theirs.mtu = size;
                if let Some(group) = group {
                    setup.ours.groups = vec![group];
                    // RFC 8422 §5.3 wants the curve of an ECDSA certificate among the client's groups.
                    setup = setup.shows(Files::RSA);
                    setup.ours.certificate = Files::RSA.ours();
                }
                let agreed = setup.meet().converse_cleanly();
                assert_eq!(agreed.version, version);
                assert!(group.is_none_or(|group| agreed.group == group));
            }
        }
    }
}

#[test]
fn bad_networks_and_a_cookie_only_take_longer() {
    for (versions, version) in AGREEMENTS {
        for run in 0..100 {
            let mut setup = Setup::new(Role::Server, versions);
            setup.ours.cookie = true;
            setup.network = Network::BAD;
            setup.run = run;
            assert_eq!(setup.meet().converse().version, version);
        }
    }
}

#[test]
fn versions_that_we_lack() {
    for role in ROLES {
        for version in [V12, V13] {
            let mut setup = Setup::new(role, BOTH);
            setup.ours.versions = vec![version];
            assert_eq!(setup.meet().converse_cleanly().version, version);
        }
    }
}

#[test]
fn every_suite() {
    for role in ROLES {
        for suite in SUITES_13 {
            let mut setup = Setup::new(role, ONLY_13);
            setup.theirs.suites_13 = vec![suite.0];
            let agreed = setup.meet().converse_cleanly();
            assert_eq!((agreed.version, agreed.suite), (V13, suite));
        }
        for (suite, name, certificate) in SUITES_12 {
            // Who serves has the kind of certificate that the suite wants.
            let mut setup = Setup::new(role, ONLY_12).shows(certificate);
            setup.ours.certificate = certificate.ours();
            setup.theirs.suites_12 = name;
            let agreed = setup.meet().converse_cleanly();
            assert_eq!((agreed.version, agreed.suite), (V12, suite));
        }
    }
}

#[test]
fn every_group() {
    for role in ROLES {
        for (versions, version) in AGREEMENTS {
            for (group, name) in GROUPS {
                if version == V12 && group == NamedGroup::X25519_MLKEM768 {
                    continue;
                }
                // One end has all groups, the other one; in DTLS 1.3 some of these take another hello.
                let mut all_are_ours = Setup::new(role, versions);
                all_are_ours.theirs.groups = name;
                let mut all_are_theirs = Setup::new(role, versions);
                all_are_theirs.ours.groups = vec![group];
                for mut setup in [all_are_ours, all_are_theirs] {
                    if version == V12 {
                        // RFC 8422 §5.3 wants the curve of an ECDSA certificate among the client's groups.
                        setup = setup.shows(Files::RSA);
                        setup.ours.certificate = Files::RSA.ours();
                    }
                    let agreed = setup.meet().converse_cleanly();
                    assert_eq!((agreed.version, agreed.group), (version, group));
                }
            }
        }
    }
}

#[test]
fn every_profile() {
    for role in ROLES {
        for (versions, _) in AGREEMENTS {
            for (profile, name) in PROFILES {
                let mut setup = Setup::new(role, versions);
                setup.theirs.profiles = name;
                assert_eq!(setup.meet().converse_cleanly().profile, Some(profile));
            }
        }
    }
}

#[test]
fn every_kind_of_certificate() {
    for role in ROLES {
        for (versions, _) in AGREEMENTS {
            for certificate in [Files::P256, Files::P384, Files::RSA] {
                Setup::new(role, versions).shows(certificate).meet().converse_cleanly();
                let mut setup = Setup::new(role, versions);
                setup.ours.certificate = certificate.ours();
                setup.meet().converse_cleanly();
            }
        }
    }
}

#[test]
fn exporters_with_a_context() {
    for role in ROLES {
        for (versions, _) in AGREEMENTS {
            let mut meeting = Setup::new(role, versions).meet();
            meeting.converse();
            for context in [None, Some(&b""[..]), Some(b"context")] {
                let mut exported = [[0; 48]; 2];
                meeting.theirs.0.export("label", context, &mut exported[0]).unwrap();
                meeting.ours.dtls.export(b"label", context, &mut exported[1]).unwrap();
                assert_eq!(exported[0], exported[1]);
            }
        }
    }
}

#[test]
fn small_datagrams() {
    for role in ROLES {
        for (versions, version) in AGREEMENTS {
            let mut setup = Setup::new(role, versions);
            setup.ours.max_datagram = 300;
            setup.theirs.mtu = 300;
            assert_eq!(setup.meet().converse_cleanly().version, version);
        }
    }
}

#[test]
fn bad_networks_only_take_longer() {
    for role in ROLES {
        for (versions, version) in AGREEMENTS {
            for run in 0..100 {
                let mut setup = Setup::new(role, versions);
                setup.network = Network::BAD;
                setup.run = run;
                assert_eq!(setup.meet().converse().version, version);
            }
        }
    }
}

#[test]
fn bad_networks_and_another_hello_only_take_longer() {
    for role in ROLES {
        for run in 0..100 {
            let mut setup = Setup::new(role, BOTH);
            match role {
                Role::Client => setup.theirs.groups = "P-384",
                Role::Server => setup.ours.groups = vec![NamedGroup::SECP384R1],
            }
            setup.ours.max_datagram = 300;
            setup.theirs.mtu = 300;
            setup.network = Network::BAD;
            setup.run = run;
            let agreed = setup.meet().converse();
            assert_eq!((agreed.version, agreed.group), (V13, NamedGroup::SECP384R1));
        }
    }
}

#[test]
fn keys_change_on_bad_networks() {
    for role in ROLES {
        for run in 0..20 {
            let mut setup = Setup::new(role, ONLY_13);
            setup.run = run;
            let mut meeting = setup.meet();
            meeting.converse();
            for round in 1..10 {
                meeting.network = Network::BAD;
                if round % 3 != 1 {
                    meeting.ours.dtls.update_keys();
                }
                if round % 3 != 0 {
                    meeting.theirs.0.update_keys();
                    // It goes with the next message.
                    meeting.theirs.say(b"new keys");
                }
                meeting.run_for(Duration::from_secs(20));
                meeting.talk(round);
            }
        }
    }
}

#[test]
fn keys_change_on_either_side() {
    for role in ROLES {
        let mut meeting = Setup::new(role, ONLY_13).meet();
        meeting.converse();
        for round in 1..20 {
            if round % 3 != 1 {
                meeting.ours.dtls.update_keys();
            }
            if round % 3 != 0 {
                meeting.theirs.0.update_keys();
            }
            meeting.talk(round);
        }
        // BoringSSL takes 100 ms for an acknowledgement after the handshake; by then we have sent the KeyUpdate again.
        let counters = meeting.ours.dtls.counters();
        let expected = Counters {
            retransmitted_flights: counters.retransmitted_flights,
            ..Counters::default()
        };
        assert_eq!(*counters, expected);
    }
}

#[test]
fn goodbyes_are_heard() {
    for role in ROLES {
        for (versions, _) in AGREEMENTS {
            let mut meeting = Setup::new(role, versions).meet();
            meeting.converse();
            meeting.leave();
            let mut meeting = Setup::new(role, versions).meet();
            meeting.converse();
            meeting.be_left();
        }
    }
}
