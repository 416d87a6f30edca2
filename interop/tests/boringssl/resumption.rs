//! Sessions of DTLS 1.3 that are resumed: tickets of BoringSSL's for our clients, and of ours for BoringSSL's.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dtls_srtp::{CipherSuite, NamedGroup, Role, SavedSession, TicketIssuer};
use hyaline_interop::Context;
use wire::Seed;

use crate::certificates::Files;
use crate::meeting::{Agreement, Meeting, other};
use crate::pair::{End, Network};
use crate::{BOTH, GROUPS, ONLY_13, ROLES, SUITES_13, Setup, Theirs, V12, V13, Versions};

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

/// Two ends that meet again and again.
struct Acquaintance {
    setup: Setup,
    theirs: Context,
    now: Instant,
    /// Those of our client's that it has not offered yet, in the order of their tickets.
    sessions: VecDeque<SavedSession>,
    exported: Vec<[u8; 60]>,
}

/// What came of a meeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Outcome {
    agreed: Agreement,
    resumed: bool,
}

/// Tickets of our server's, two for each connection, as BoringSSL's gives them.
fn issuer(run: u64) -> Option<Arc<TicketIssuer>> {
    let issuer = TicketIssuer::new(HOUR, Seed::from_run(run), Instant::now());
    Some(Arc::new(issuer.with_count(2)))
}

/// A setup in which the client wants to come back, and the server gives it tickets.
fn setup(role: Role, versions: Versions) -> Setup {
    let mut setup = Setup::new(role, versions);
    match role {
        Role::Client => setup.ours.keep_sessions = true,
        Role::Server => setup.ours.tickets = issuer(7),
    }
    setup
}

impl Acquaintance {
    fn new(setup: Setup) -> Self {
        let now = Instant::now();
        Self {
            theirs: setup.context(now),
            setup,
            now,
            sessions: VecDeque::new(),
            exported: Vec::new(),
        }
    }

    /// How many sessions the client has to offer.
    fn sessions(&self) -> usize {
        self.sessions.len() + self.theirs.sessions()
    }

    fn begin(&mut self) -> Meeting<Theirs> {
        let Setup { role, network, .. } = self.setup;
        self.setup.run += 1;
        let (run, now) = (self.setup.run, self.now);
        let config = Arc::new(self.setup.ours.clone());
        let ours = match self.sessions.pop_front() {
            Some(session) => End::resuming(config, session, run, now),
            None => End::new(config, role, run, now),
        };
        let theirs = match other(role) {
            Role::Client => self.theirs.resuming(now),
            Role::Server => self.theirs.connection(now),
        };
        Meeting::between(now, ours, Theirs(theirs.unwrap()), self.setup.certificate, network, run)
    }

    /// Meets, offering the oldest session if there is one, and waits a minute.
    fn meet(&mut self) -> Outcome {
        let mut meeting = self.begin();
        let is_clean = meeting.network.loss_percent == 0;
        let agreed = meeting.converse();
        meeting.run_for(MINUTE);
        if is_clean {
            self.assert_clean(&meeting);
        }
        self.now = meeting.now;

        let dtls = &mut meeting.ours.dtls;
        let resumed = dtls.is_resumed();
        assert_eq!(meeting.theirs.0.is_resumed(), resumed);
        assert_eq!(dtls.peer_certificate(), Some(&self.setup.certificate.read("der")[..]));
        self.sessions.extend(std::iter::from_fn(|| dtls.take_session()));
        for context in [None, Some(&b""[..]), Some(b"context")] {
            let mut exported = [[0; 48]; 2];
            meeting.theirs.0.export("label", context, &mut exported[0]).unwrap();
            meeting.ours.dtls.export(b"label", context, &mut exported[1]).unwrap();
            assert_eq!(exported[0], exported[1]);
        }
        // No two connections have the same keys.
        let exported = meeting.ours.exported().unwrap();
        assert!(!self.exported.contains(&exported));
        self.exported.push(exported);
        Outcome { agreed, resumed }
    }

    fn assert_clean(&self, meeting: &Meeting<Theirs>) {
        // BoringSSL takes 100 ms for an acknowledgement after the handshake; by then we have sent the tickets again.
        let is_expected = |name| self.setup.ours.tickets.is_some() && name == "retransmitted_flights";
        let counters = meeting.ours.dtls.counters();
        let counted: Vec<_> = counters
            .iter()
            .filter(|(name, n)| *n > 0 && !is_expected(*name))
            .collect();
        assert!(counted.is_empty(), "{counted:?}");
    }

    /// Meets for the first time, in full.
    fn meet_in_full(&mut self) -> Agreement {
        let outcome = self.meet();
        assert!(!outcome.resumed);
        outcome.agreed
    }

    fn resume(&mut self) -> Agreement {
        let outcome = self.meet();
        assert!(outcome.resumed);
        outcome.agreed
    }
}

#[test]
fn every_suite() {
    for role in ROLES {
        for suite in SUITES_13 {
            let mut setup = setup(role, ONLY_13);
            setup.theirs.suites_13 = vec![suite.0];
            let mut ends = Acquaintance::new(setup);
            let first = ends.meet_in_full();
            assert_eq!((first.version, first.suite), (V13, suite));
            // Two tickets come each time, the first two of which are those of the handshake in full.
            for met in 1..8 {
                assert_eq!(ends.sessions(), met + 1);
                assert_eq!(ends.resume(), first);
            }
        }
    }
}

#[test]
fn every_group() {
    for role in ROLES {
        for (group, name) in GROUPS {
            // The last two take another hello each time.
            let mut setup = setup(role, BOTH);
            match role {
                Role::Client => setup.theirs.groups = name,
                Role::Server => setup.ours.groups = vec![group],
            }
            let mut ends = Acquaintance::new(setup);
            let first = ends.meet_in_full();
            assert_eq!((first.version, first.group), (V13, group));
            assert_eq!(ends.resume(), first);
            assert_eq!(ends.resume(), first);
        }
    }
}

#[test]
fn another_hello_when_it_resumes() {
    for role in ROLES {
        for suite in SUITES_13 {
            let mut setup = setup(role, ONLY_13);
            setup.theirs.suites_13 = vec![suite.0];
            setup.theirs.groups = match role {
                Role::Client => "X25519MLKEM768:X25519",
                Role::Server => setup.theirs.groups,
            };
            let mut ends = Acquaintance::new(setup);
            let first = ends.meet_in_full();
            assert_eq!((first.suite, first.group), (suite, NamedGroup::X25519_MLKEM768));
            // Our client then has a share for its first group alone, which BoringSSL's server lacks.
            let (groups, group) = match role {
                Role::Client => (vec![NamedGroup::SECP384R1, NamedGroup::X25519], NamedGroup::X25519),
                Role::Server => (vec![NamedGroup::SECP384R1], NamedGroup::SECP384R1),
            };
            ends.setup.ours.groups = groups;
            let next = ends.resume();
            assert_eq!((next.suite, next.group), (suite, group));
        }
    }
}

#[test]
fn our_server_asks_for_a_cookie() {
    for size in [1200, 300] {
        for suite in SUITES_13 {
            let mut setup = setup(Role::Server, BOTH);
            setup.ours.cookie = true;
            setup.ours.max_datagram = size as usize;
            setup.theirs.mtu = size;
            setup.theirs.suites_13 = vec![suite.0];
            let mut ends = Acquaintance::new(setup);
            let first = ends.meet_in_full();
            assert_eq!(ends.resume(), first);
            ends.setup.ours.groups = vec![NamedGroup::SECP384R1];
            assert_eq!(ends.resume().group, NamedGroup::SECP384R1);
        }
    }
}

#[test]
fn small_datagrams() {
    for role in ROLES {
        let mut setup = setup(role, BOTH);
        setup.ours.max_datagram = 300;
        setup.theirs.mtu = 300;
        let mut ends = Acquaintance::new(setup);
        let first = ends.meet_in_full();
        assert_eq!(ends.resume(), first);
    }
}

#[test]
fn bad_networks_only_take_longer() {
    for role in ROLES {
        for run in 0..50 {
            let mut setup = setup(role, BOTH);
            setup.network = Network::BAD;
            setup.run = 10 * run;
            let mut ends = Acquaintance::new(setup);
            let first = ends.meet_in_full();
            assert_eq!(ends.sessions(), 2);
            for _ in 0..3 {
                assert_eq!(ends.resume(), first);
            }
        }
    }
}

#[test]
fn bad_networks_and_another_hello_only_take_longer() {
    // Not both: a server with cookies keeps parts of a hello for 5 s, in which not all of many arrive.
    for (cookie, size) in [(true, 1200), (false, 300)] {
        for role in ROLES {
            for run in 0..30 {
                let mut setup = setup(role, BOTH);
                match role {
                    Role::Client => setup.theirs.groups = "P-384",
                    Role::Server => setup.ours.groups = vec![NamedGroup::SECP384R1],
                }
                setup.ours.cookie = cookie;
                setup.ours.max_datagram = size as usize;
                setup.theirs.mtu = size;
                setup.network = Network::BAD;
                setup.run = 10 * run;
                let mut ends = Acquaintance::new(setup);
                let first = ends.meet_in_full();
                assert_eq!(first.group, NamedGroup::SECP384R1);
                for _ in 0..3 {
                    assert_eq!(ends.resume(), first);
                }
            }
        }
    }
}

/// A session is bound to its hash, not to its suite (RFC 8446 §4.2.11).
#[test]
fn another_suite() {
    let [of_session, same_hash] = [
        CipherSuite::TLS_AES_128_GCM_SHA256,
        CipherSuite::TLS_CHACHA20_POLY1305_SHA256,
    ];
    let other_hash = CipherSuite::TLS_AES_256_GCM_SHA384;
    for (role, suite, resumed) in [
        // BoringSSL's server wants the very suite, which it may.
        (Role::Client, same_hash, false),
        (Role::Client, other_hash, false),
        (Role::Server, same_hash, true),
        (Role::Server, other_hash, false),
    ] {
        for group in [NamedGroup::X25519, NamedGroup::SECP384R1] {
            for cookie in [false, true] {
                let mut setup = setup(role, ONLY_13);
                setup.ours.cipher_suites = vec![of_session];
                let mut ends = Acquaintance::new(setup);
                assert_eq!(ends.meet_in_full().suite, of_session);
                ends.setup.ours.cipher_suites = vec![suite];
                ends.setup.ours.groups = vec![group];
                ends.setup.ours.cookie = cookie;
                let outcome = ends.meet();
                assert_eq!((outcome.agreed.suite, outcome.resumed), (suite, resumed));
                // The other ticket of the first meeting does the same, and those of the second one are good again.
                assert_eq!(ends.meet(), outcome);
                assert_eq!(ends.resume().suite, suite);
            }
        }
    }
}

/// Changes something after a handshake in full; the next one is in full as well.
fn then_in_full(role: Role, change: impl FnOnce(&mut Acquaintance)) -> Agreement {
    let mut ends = Acquaintance::new(setup(role, BOTH));
    assert_eq!(ends.meet_in_full().version, V13);
    assert_eq!(ends.sessions(), 2);
    change(&mut ends);
    let outcome = ends.meet();
    assert!(!outcome.resumed);
    outcome.agreed
}

#[test]
fn tickets_of_others() {
    then_in_full(Role::Client, |ends| ends.theirs = ends.setup.context(ends.now));
    then_in_full(Role::Server, |ends| ends.setup.ours.tickets = issuer(8));
    then_in_full(Role::Server, |ends| ends.setup.ours.tickets = None);
    for cookie in [false, true] {
        for groups in [vec![NamedGroup::X25519], vec![NamedGroup::SECP384R1]] {
            then_in_full(Role::Server, |ends| {
                ends.setup.ours.tickets = issuer(8);
                ends.setup.ours.cookie = cookie;
                ends.setup.ours.groups = groups;
            });
        }
    }
}

#[test]
fn another_certificate_of_ours() {
    for role in ROLES {
        then_in_full(role, |ends| ends.setup.ours.certificate = Files::P384.ours());
    }
}

#[test]
fn then_in_the_version_before() {
    for role in ROLES {
        for cookie in [false, true] {
            let agreed = then_in_full(role, |ends| {
                ends.setup.ours.versions = vec![V12];
                ends.setup.ours.cookie = cookie;
            });
            assert_eq!(agreed.version, V12);
        }
    }
}

#[test]
fn sessions_end() {
    // What BoringSSL's server says when it is not told otherwise is two days.
    for (role, lifetime) in [(Role::Client, 48 * HOUR), (Role::Server, HOUR)] {
        then_in_full(role, |ends| ends.now += lifetime);
        let mut ends = Acquaintance::new(setup(role, BOTH));
        ends.meet_in_full();
        ends.now += lifetime - 5 * MINUTE;
        ends.resume();
        // The other ticket is as old, and is good for as long.
        ends.resume();
        ends.now += 5 * MINUTE;
        let is_renewed = role == Role::Client;
        assert_eq!(ends.meet().resumed, is_renewed);
    }
}
