//! dimpl as a foreign peer, in memory and in virtual time: both versions, each as client and as server, on networks that
//! lose, repeat and reorder.

mod certificates;
mod meeting;
mod pair;

use std::sync::Arc;
use std::time::{Duration, Instant};

use certificates::Files;
use dimpl::crypto::{Dtls12CipherSuite, Dtls13CipherSuite};
use dimpl::{DtlsCertificate, Output};
use dtls_srtp::{Certificate, CipherSuite, Config, ConnectionIds, NamedGroup, RingCrypto, Role, SrtpProfile, Version};
use meeting::{Foreign, Meeting, other};
use pair::{Network, config_both};

const V12: Version = Version::DTLS_1_2;
const V13: Version = Version::DTLS_1_3;

/// Which versions dimpl speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Theirs {
    Only12,
    Only13,
    Both,
}

/// dimpl, and what came out of it.
struct Dimpl {
    dtls: dimpl::Dtls,
    timeout: Option<Instant>,
    failure: Option<String>,
    connected: bool,
    peer_certificate: Option<Vec<u8>>,
    keys: Option<(SrtpProfile, Vec<u8>)>,
    heard: Option<Vec<u8>>,
    left: bool,
}

impl Dimpl {
    fn new(config: dimpl::Config, versions: Theirs, role: Role, certificate: Files, now: Instant) -> Self {
        let make = match versions {
            Theirs::Only12 => dimpl::Dtls::new_12,
            Theirs::Only13 => dimpl::Dtls::new_13,
            Theirs::Both => dimpl::Dtls::new_auto,
        };
        let certificate = DtlsCertificate {
            certificate: certificate.read("der"),
            private_key: certificate.read("key"),
        };
        let mut dtls = make(Arc::new(config), certificate, now);
        dtls.set_active(role == Role::Client);
        // It tells its first datagram only once it has been told the time.
        dtls.handle_timeout(now).unwrap();
        Self {
            dtls,
            timeout: None,
            failure: None,
            connected: false,
            peer_certificate: None,
            keys: None,
            heard: None,
            left: false,
        }
    }
}

impl Foreign for Dimpl {
    fn handle(&mut self, now: Instant, datagram: &[u8]) {
        self.timeout(now);
        let result = self.dtls.handle_packet(datagram);
        self.failure = self.failure.take().or_else(|| Some(result.err()?.to_string()));
    }

    fn timeout(&mut self, now: Instant) {
        let result = self.dtls.handle_timeout(now);
        self.failure = self.failure.take().or_else(|| Some(result.err()?.to_string()));
    }

    fn transmits(&mut self, _: Instant) -> Vec<Vec<u8>> {
        let mut datagrams = Vec::new();
        let mut buffer = [0; 2048];
        loop {
            match self.dtls.poll_output(&mut buffer) {
                Output::Packet(datagram) => datagrams.push(datagram.to_vec()),
                Output::Timeout(at) => {
                    self.timeout = Some(at);
                    return datagrams;
                }
                Output::Connected => self.connected = true,
                Output::PeerCert(der) => self.peer_certificate = Some(der.to_vec()),
                Output::KeyingMaterial(keys, profile) => {
                    let profile = match profile {
                        dimpl::SrtpProfile::AEAD_AES_128_GCM => SrtpProfile::AeadAes128Gcm,
                        dimpl::SrtpProfile::AEAD_AES_256_GCM => SrtpProfile::AeadAes256Gcm,
                        dimpl::SrtpProfile::AES128_CM_SHA1_80 => SrtpProfile::Aes128CmHmacSha1_80,
                        other => panic!("{other:?}"),
                    };
                    self.keys = Some((profile, keys.to_vec()));
                }
                Output::ApplicationData(data) => self.heard = Some(data.to_vec()),
                Output::CloseNotify => self.left = true,
                other => panic!("{other:?}"),
            }
        }
    }

    fn poll_timeout(&mut self, now: Instant) -> Option<Instant> {
        // Without anything to wait for it names some time far away, or one that has passed already.
        self.timeout.filter(|at| *at > now)
    }

    fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    fn is_connected(&self) -> bool {
        self.connected
    }

    fn peer_certificate(&self) -> Option<Vec<u8>> {
        self.peer_certificate.clone()
    }

    fn srtp_keys(&self) -> Option<(SrtpProfile, Vec<u8>)> {
        self.keys.clone()
    }

    fn say(&mut self, data: &[u8]) {
        assert_eq!(self.dtls.send_application_data(data), Ok(data.len()));
    }

    fn heard(&self) -> Option<&[u8]> {
        self.heard.as_deref()
    }

    fn close(&mut self) {
        self.dtls.close().unwrap();
    }

    fn was_left(&self) -> bool {
        self.left
    }
}

/// How a meeting is set up.
struct Setup {
    role: Role,
    versions: Theirs,
    ours: Config,
    theirs: dimpl::ConfigBuilder,
    certificate: Files,
    network: Network,
    run: u64,
}

impl Setup {
    fn new(role: Role, versions: Theirs) -> Self {
        Self {
            role,
            versions,
            ours: config_both(RingCrypto::new(), Certificate::generate().unwrap()),
            theirs: dimpl::Config::builder(),
            certificate: Files::P256,
            network: Network::CLEAN,
            run: 1,
        }
    }

    fn meet(self) -> Meeting<Dimpl> {
        let theirs = self.theirs.dangerously_set_rng_seed(self.run).build().unwrap();
        let make = |now| Dimpl::new(theirs, self.versions, other(self.role), self.certificate, now);
        Meeting::new(self.ours, self.role, self.certificate, self.network, self.run, make)
    }
}

const ROLES: [Role; 2] = [Role::Client, Role::Server];

const SUITES_13: [(Dtls13CipherSuite, CipherSuite); 3] = [
    (
        Dtls13CipherSuite::AES_128_GCM_SHA256,
        CipherSuite::TLS_AES_128_GCM_SHA256,
    ),
    (
        Dtls13CipherSuite::AES_256_GCM_SHA384,
        CipherSuite::TLS_AES_256_GCM_SHA384,
    ),
    (
        Dtls13CipherSuite::CHACHA20_POLY1305_SHA256,
        CipherSuite::TLS_CHACHA20_POLY1305_SHA256,
    ),
];

const SUITES_12: [(Dtls12CipherSuite, CipherSuite); 3] = [
    (
        Dtls12CipherSuite::ECDHE_ECDSA_AES128_GCM_SHA256,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        Dtls12CipherSuite::ECDHE_ECDSA_AES256_GCM_SHA384,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        Dtls12CipherSuite::ECDHE_ECDSA_CHACHA20_POLY1305_SHA256,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
];

const GROUPS: [(dimpl::NamedGroup, NamedGroup); 3] = [
    (dimpl::NamedGroup::X25519, NamedGroup::X25519),
    (dimpl::NamedGroup::Secp256r1, NamedGroup::SECP256R1),
    (dimpl::NamedGroup::Secp384r1, NamedGroup::SECP384R1),
];

/// Each of dimpl's versions, and what our defaults make of it.
const AGREEMENTS: [(Theirs, Version); 3] = [(Theirs::Only12, V12), (Theirs::Only13, V13), (Theirs::Both, V13)];

#[test]
fn every_version_and_role_with_and_without_cookies() {
    for role in ROLES {
        for (versions, version) in AGREEMENTS {
            for cookies in [false, true] {
                let mut setup = Setup::new(role, versions);
                setup.theirs = setup.theirs.use_server_cookie(cookies);
                setup.ours.cookie = cookies;
                let agreed = setup.meet().converse_cleanly();
                assert_eq!((agreed.version, agreed.group), (version, NamedGroup::X25519));
                // Who serves takes our first, but for dimpl as a server of DTLS 1.2, which takes its own.
                let profile = if role == Role::Client && version == V12 {
                    SrtpProfile::AeadAes256Gcm
                } else {
                    SrtpProfile::AeadAes128Gcm
                };
                assert_eq!(agreed.profile, Some(profile), "{role:?} {versions:?}");
            }
        }
    }
}

/// Our cookie has a hash of the suite, and goes together with another share.
#[test]
fn our_cookie_with_every_hash_and_another_share() {
    for (theirs, ours) in SUITES_13 {
        for group in [NamedGroup::X25519, NamedGroup::SECP384R1] {
            let mut setup = Setup::new(Role::Server, Theirs::Only13);
            setup.theirs = setup.theirs.dtls13_cipher_suites(&[theirs]);
            setup.ours.cookie = true;
            setup.ours.groups = vec![group];
            let agreed = setup.meet().converse_cleanly();
            assert_eq!((agreed.suite, agreed.group), (ours, group));
        }
    }
}

#[test]
fn every_suite() {
    for role in ROLES {
        for (theirs, ours) in SUITES_13 {
            let mut setup = Setup::new(role, Theirs::Only13);
            setup.theirs = setup.theirs.dtls13_cipher_suites(&[theirs]);
            let agreed = setup.meet().converse_cleanly();
            assert_eq!((agreed.version, agreed.suite), (V13, ours));
        }
        for (theirs, ours) in SUITES_12 {
            let mut setup = Setup::new(role, Theirs::Only12);
            setup.theirs = setup.theirs.dtls12_cipher_suites(&[theirs]);
            let agreed = setup.meet().converse_cleanly();
            assert_eq!((agreed.version, agreed.suite), (V12, ours));
        }
    }
}

#[test]
fn every_group() {
    for role in ROLES {
        for (versions, version) in AGREEMENTS {
            for (theirs, ours) in GROUPS {
                // One end has all groups, the other one; in DTLS 1.3 some of these take another hello.
                let mut all_are_ours = Setup::new(role, versions);
                all_are_ours.theirs = all_are_ours.theirs.kx_groups(&[theirs]);
                let mut all_are_theirs = Setup::new(role, versions);
                all_are_theirs.ours.groups = vec![ours];
                for setup in [all_are_ours, all_are_theirs] {
                    let agreed = setup.meet().converse_cleanly();
                    assert_eq!((agreed.version, agreed.group), (version, ours));
                }
            }
        }
    }
}

#[test]
fn every_profile_and_certificate() {
    for role in ROLES {
        for (versions, _) in AGREEMENTS {
            for profile in SrtpProfile::WEBRTC {
                for certificate in [Files::P256, Files::P384] {
                    let mut setup = Setup::new(role, versions);
                    setup.ours.srtp_profiles = vec![profile];
                    setup.ours.certificate = Files::P384.ours();
                    setup.certificate = certificate;
                    assert_eq!(setup.meet().converse_cleanly().profile, Some(profile));
                }
            }
        }
    }
}

#[test]
fn versions_that_one_end_lacks() {
    for role in ROLES {
        for version in [V12, V13] {
            let mut setup = Setup::new(role, Theirs::Both);
            setup.ours.versions = vec![version];
            assert_eq!(setup.meet().converse_cleanly().version, version);
        }
    }
}

/// dimpl has no connection IDs.
#[test]
fn our_offer_of_connection_ids_is_ignored() {
    for role in ROLES {
        for (versions, version) in AGREEMENTS {
            let mut setup = Setup::new(role, versions);
            setup.ours.connection_ids = ConnectionIds::random(&[], 8);
            let mut meeting = setup.meet();
            assert_eq!(meeting.converse_cleanly().version, version);
            assert_eq!(meeting.ours.dtls.connection_ids().count(), 0);
        }
    }
}

#[test]
fn small_datagrams() {
    for role in ROLES {
        for (versions, version) in AGREEMENTS {
            let mut setup = Setup::new(role, versions);
            setup.ours.max_datagram = 300;
            setup.theirs = setup.theirs.mtu(300);
            assert_eq!(setup.meet().converse_cleanly().version, version);
        }
    }
}

#[test]
fn bad_networks_only_take_longer() {
    // dimpl 0.9 is stuck for ever when a flight comes often enough: it puts no message together from fragments that
    // overlap (RFC 6347 §4.2.3), and we cut flights smaller from the fourth transmission on. Hence less loss than
    // our own pairs bear.
    let network = Network {
        loss_percent: 8,
        ..Network::BAD
    };
    let runs = if std::env::var_os("HYALINE_LONG").is_some() {
        200
    } else {
        10
    };
    for role in ROLES {
        for (versions, version) in AGREEMENTS {
            for run in 0..runs {
                // Printed only when it fails.
                println!("{role:?} {versions:?} {run}");
                let mut setup = Setup::new(role, versions);
                setup.network = network;
                setup.run = run;
                // By default it gives up after four losses in a row; it waits twice as long after each.
                setup.theirs = setup
                    .theirs
                    .flight_retries(20)
                    .flight_start_rto(Duration::from_millis(300))
                    .handshake_timeout(Meeting::<Dimpl>::PATIENCE);
                setup.ours.handshake_timeout = Meeting::<Dimpl>::PATIENCE;
                assert_eq!(setup.meet().converse().version, version);
            }
        }
    }
}

#[test]
fn our_keys_change() {
    for role in ROLES {
        let mut meeting = Setup::new(role, Theirs::Only13).meet();
        meeting.converse();
        for round in 1..6 {
            meeting.ours.dtls.update_keys();
            meeting.talk(round);
        }
        meeting.assert_clean();
    }
}

#[test]
fn their_keys_change() {
    for role in ROLES {
        let mut setup = Setup::new(role, Theirs::Only13);
        setup.theirs = setup.theirs.aead_encryption_limit(5);
        let mut meeting = setup.meet();
        meeting.converse();
        for round in 1..40 {
            meeting.talk(round);
        }
        meeting.assert_clean();
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
