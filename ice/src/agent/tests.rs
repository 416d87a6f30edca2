use super::*;
use crate::config::Mode;
use proptest::prelude::*;
use std::net::SocketAddr;
use stun::{
    AttributeType, Builder, Class, ErrorCode, IntegrityAlgorithm, Key, Message, Method, TransactionId, TypeList, Value,
};
use wire::Protocol;

const SERVER: [&str; 2] = ["192.0.2.1:4000", "[2001:db8::1]:4000"];

fn path(local: usize, remote_port: u16) -> Path {
    let local: SocketAddr = SERVER[local].parse().unwrap();
    let mut remote: SocketAddr = if local.is_ipv4() {
        "198.51.100.9:0"
    } else {
        "[2001:db8::9]:0"
    }
    .parse()
    .unwrap();
    remote.set_port(remote_port);
    Path::udp(local, remote)
}

fn transaction_id(number: u32) -> TransactionId {
    let mut id = [0; 12];
    id[8..].copy_from_slice(&number.to_be_bytes());
    TransactionId(id)
}

/// Builds checks as a browser does.
#[derive(Clone)]
struct Check {
    ufrag: String,
    pwd: String,
    id: u32,
    priority: Option<u32>,
    nominates: bool,
    controlled: bool,
    extra: Vec<(u16, Vec<u8>)>,
    algorithm: IntegrityAlgorithm,
}

impl Check {
    fn to(credentials: &Credentials) -> Self {
        Self {
            ufrag: credentials.ufrag.clone(),
            pwd: credentials.pwd.clone(),
            id: 0,
            priority: Some(0x6e7e_1eff),
            nominates: false,
            controlled: false,
            extra: Vec::new(),
            algorithm: IntegrityAlgorithm::Sha1,
        }
    }

    fn nominating(self) -> Self {
        Self {
            nominates: true,
            ..self
        }
    }

    fn with_priority(self, priority: u32) -> Self {
        Self {
            priority: Some(priority),
            ..self
        }
    }

    fn start<'a>(&self, out: &'a mut [u8], class: Class, method: Method) -> Builder<'a> {
        Builder::new(out, class, method, transaction_id(self.id)).unwrap()
    }

    fn bytes(&self) -> Vec<u8> {
        self.build(Class::Request, Method::BINDING)
    }

    fn build(&self, class: Class, method: Method) -> Vec<u8> {
        let mut out = [0; 512];
        let mut b = self.start(&mut out, class, method);
        b.push(&Value::Username(&format!("{}:peer", self.ufrag))).unwrap();
        for (kind, value) in &self.extra {
            b.push(&Value::Other(AttributeType(*kind), value)).unwrap();
        }
        let role = if self.controlled {
            Value::IceControlled(9)
        } else {
            Value::IceControlling(9)
        };
        b.push(&role).unwrap();
        if self.nominates {
            b.push(&Value::UseCandidate).unwrap();
        }
        if let Some(priority) = self.priority {
            b.push(&Value::Priority(priority)).unwrap();
        }
        b.integrity_like(self.algorithm, &Key::short_term(&self.pwd)).unwrap();
        b.fingerprint().unwrap();
        b.finish().to_vec()
    }
}

/// An agent in virtual time.
struct Bench {
    agent: Agent,
    now: Instant,
    /// Checks that were received, each under an id of its own.
    checks: u32,
}

impl Bench {
    fn new() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        Self::at(Instant::now(), config)
    }

    fn at(now: Instant, config: Config) -> Self {
        let mut agent = Agent::new(config, Seed::from_run(7), now);
        for candidate in crate::host_candidates(SERVER.map(|address| (address.parse().unwrap(), Protocol::Udp))) {
            agent.add_local_candidate(candidate);
        }
        agent.set_remote_credentials(now, Credentials::new("peer", &"p".repeat(22)).unwrap());
        Self { agent, now, checks: 0 }
    }

    fn check(&self) -> Check {
        Check::to(self.agent.local_credentials())
    }

    /// A check under a new transaction id.
    fn receive(&mut self, path: &Path, check: &Check) {
        self.checks += 1;
        let id = self.checks;
        self.receive_as(path, &Check { id, ..check.clone() });
    }

    /// A check under the id that it has.
    fn receive_as(&mut self, path: &Path, check: &Check) {
        self.agent.handle_datagram(self.now, path, &check.bytes());
    }

    fn note(&mut self, path: &Path, activity: Activity) {
        self.agent.note_activity(self.now, path, activity);
    }

    fn pass(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        while let Some(deadline) = self.agent.poll_timeout().filter(|deadline| *deadline <= end) {
            assert!(deadline >= self.now, "a timer was left in the past");
            self.now = deadline;
            self.agent.handle_timeout(deadline);
        }
        self.now = end;
        self.agent.handle_timeout(end);
    }

    fn transmit(&mut self) -> Option<(Path, Vec<u8>)> {
        let mut out = [0; MIN_OUT];
        let transmit = self.agent.poll_transmit(self.now, &mut out)?;
        assert_eq!((transmit.segment, transmit.datagrams()), (None, 1));
        Some((transmit.path, out[..transmit.len].to_vec()))
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.agent.poll_event()).collect()
    }

    /// The counters that are not 0.
    fn raised(&self) -> Vec<(&'static str, u64)> {
        self.agent.counters().iter().filter(|(_, value)| *value > 0).collect()
    }

    /// What was sent must be nothing, and the only counter raised, once, the named one.
    #[track_caller]
    fn assert_silent(&mut self, counter: &'static str) {
        assert_eq!(self.transmit(), None);
        assert_eq!(self.raised(), [(counter, 1)]);
    }
}

#[test]
fn success_responses_hold_three_attributes_and_leave_from_the_address_asked() {
    let mut bench = Bench::new();
    let mut ids = 1..;
    for (local, len) in [(0, 64), (1, 76)] {
        for algorithm in [IntegrityAlgorithm::Sha1, IntegrityAlgorithm::Sha256] {
            let path = path(local, 5000);
            let check = Check {
                algorithm,
                ..bench.check()
            };
            bench.receive(&path, &check);
            let (to, bytes) = bench.transmit().unwrap();
            assert_eq!(to, path);
            let message = Message::parse(&bytes).unwrap();
            assert_eq!(
                (message.class(), message.method()),
                (Class::SuccessResponse, Method::BINDING)
            );
            assert_eq!(message.transaction_id(), transaction_id(ids.next().unwrap()));
            assert_eq!(message.xor_mapped_address(), Ok(Some(path.remote)));
            assert_eq!(message.all_attributes().count(), 3);
            assert_eq!(message.verify_fingerprint(), Ok(()));
            let key = Key::short_term(&check.pwd);
            assert_eq!(message.verify_integrity(&key).unwrap().algorithm(), algorithm);
            assert_eq!(
                bytes.len(),
                if algorithm == IntegrityAlgorithm::Sha1 {
                    len
                } else {
                    len + 12
                }
            );
        }
    }
    assert_eq!(bench.raised(), []);
    assert_eq!(
        bench.events(),
        [
            Event::PathValidated(path(0, 5000)),
            Event::PathValidated(path(1, 5000)),
            Event::SelectedPath(path(1, 5000)),
            Event::StateChanged(State::Connected),
        ]
    );
}

#[test]
fn a_closed_path_is_gone_at_once_and_what_remains_is_selected() {
    let mut bench = Bench::new();
    let tcp = Path {
        protocol: Protocol::Tcp,
        ..path(0, 5001)
    };
    bench.receive(&path(0, 5000), &bench.check());
    bench.receive(&tcp, &bench.check().nominating());
    bench.events();
    assert_eq!(bench.agent.selected(), Some(tcp));
    bench.agent.handle_closed(bench.now, &tcp);
    assert_eq!(
        bench.events(),
        [Event::PathRemoved(tcp), Event::SelectedPath(path(0, 5000))]
    );
    assert_eq!(bench.agent.state(), State::Connected);
    // The answer that was on its way there is not written any more.
    assert_eq!(bench.transmit().map(|(to, _)| to), Some(path(0, 5000)));
    assert_eq!(bench.transmit(), None);
}

#[test]
fn who_has_lost_its_only_path_may_come_back_for_as_long_as_silence_is_borne() {
    for comes_back in [true, false] {
        let mut bench = Bench::new();
        bench.receive(&path(0, 5000), &bench.check());
        bench.pass(13_000);
        bench.receive(&path(0, 5000), &bench.check());
        bench.agent.handle_closed(bench.now, &path(0, 5000));
        assert_eq!(
            (bench.agent.state(), bench.agent.selected()),
            (State::Disconnected, None)
        );
        // Past the time at which pairs would have been looked over, and that at which the peer's life would have been.
        bench.pass(8_000);
        assert_eq!(bench.agent.state(), State::Disconnected);
        if comes_back {
            bench.receive(&path(0, 5001), &bench.check());
            assert_eq!(
                (bench.agent.state(), bench.agent.selected()),
                (State::Connected, Some(path(0, 5001)))
            );
        } else {
            bench.pass(5_999);
            assert_eq!(bench.agent.state(), State::Disconnected);
            bench.pass(1);
            assert_eq!(bench.agent.state(), State::Failed);
        }
        assert_eq!(bench.raised(), []);
    }
}

#[test]
fn garbage_is_malformed() {
    let mut bench = Bench::new();
    bench.agent.handle_datagram(bench.now, &path(0, 1), b"garbage");
    bench.assert_silent("ice_malformed");
}

#[test]
fn an_attribute_that_breaks_its_rule_is_malformed() {
    let mut bench = Bench::new();
    let check = Check {
        priority: None,
        extra: vec![(AttributeType::PRIORITY.0, vec![1, 2])],
        ..bench.check()
    };
    bench.receive(&path(0, 1), &check);
    bench.assert_silent("ice_malformed");
}

#[test]
fn a_wrong_fingerprint_is_counted() {
    let mut bench = Bench::new();
    let mut bytes = bench.check().bytes();
    *bytes.last_mut().unwrap() ^= 1;
    bench.agent.handle_datagram(bench.now, &path(0, 1), &bytes);
    bench.assert_silent("ice_bad_fingerprint");
}

#[test]
fn responses_are_not_expected() {
    let mut bench = Bench::new();
    let bytes = bench.check().build(Class::SuccessResponse, Method::BINDING);
    bench.agent.handle_datagram(bench.now, &path(0, 1), &bytes);
    bench.assert_silent("ice_unexpected_responses");
}

#[test]
fn indications_are_ignored() {
    let mut bench = Bench::new();
    let bytes = bench.check().build(Class::Indication, Method::BINDING);
    bench.agent.handle_datagram(bench.now, &path(0, 1), &bytes);
    bench.assert_silent("ice_ignored_indications");
}

#[test]
fn other_methods_are_not_answered() {
    let mut bench = Bench::new();
    let bytes = bench.check().build(Class::Request, Method::ALLOCATE);
    bench.agent.handle_datagram(bench.now, &path(0, 1), &bytes);
    bench.assert_silent("ice_unexpected_methods");
}

/// RFC 8489 §9.1.3 would have 400, on which Chromium gives the pair up.
#[test]
fn missing_credentials_are_not_answered() {
    for with_username in [false, true] {
        let mut bench = Bench::new();
        let check = bench.check();
        let mut out = [0; 128];
        let mut b = check.start(&mut out, Class::Request, Method::BINDING);
        if with_username {
            b.push(&Value::Username(&format!("{}:peer", check.ufrag))).unwrap();
        } else {
            b.integrity(&Key::short_term(&check.pwd)).unwrap();
        }
        b.fingerprint().unwrap();
        bench.agent.handle_datagram(bench.now, &path(0, 1), b.finish());
        bench.assert_silent("ice_missing_credentials");
    }
}

#[test]
fn a_wrong_ufrag_is_counted() {
    for wrong in ["other", "", "nocolon"] {
        let mut bench = Bench::new();
        let mut check = bench.check();
        check.ufrag = wrong.to_owned();
        bench.receive(&path(0, 1), &check);
        bench.assert_silent("ice_wrong_ufrag");
        assert_eq!(bench.agent.state(), State::Checking);
    }
}

#[test]
fn a_wrong_password_validates_nothing() {
    let mut bench = Bench::new();
    let mut check = bench.check().nominating();
    check.pwd.push('x');
    bench.receive(&path(0, 1), &check);
    bench.assert_silent("ice_wrong_integrity");
    assert!(!bench.agent.is_validated(&path(0, 1)));
    assert_eq!((bench.agent.selected(), bench.agent.state()), (None, State::Checking));
}

#[test]
fn unknown_attributes_are_answered_with_420() {
    let mut bench = Bench::new();
    let check = Check {
        extra: (0..12)
            .map(|i| (0x7f00 + i, vec![1]))
            .chain([(0xff00, vec![])])
            .collect(),
        ..bench.check()
    };
    bench.receive(&path(0, 1), &check);
    let (_, bytes) = bench.transmit().unwrap();
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(
        message.error_code().unwrap().unwrap().code,
        ErrorCode::UNKNOWN_ATTRIBUTE
    );
    let listed: Vec<_> = (0..8).map(|i| AttributeType(0x7f00 + i)).collect();
    let attribute = message.attribute(AttributeType::UNKNOWN_ATTRIBUTES).unwrap();
    assert_eq!(attribute.decode(), Ok(Value::UnknownAttributes(TypeList::new(&listed))));
    assert!(message.verify_integrity(&Key::short_term(&check.pwd)).is_ok());
    assert_eq!(message.verify_fingerprint(), Ok(()));
    bench.assert_silent("ice_unknown_attributes");
    assert!(!bench.agent.is_validated(&path(0, 1)));
}

#[test]
fn a_controlled_peer_is_told_to_change_its_role() {
    let mut bench = Bench::new();
    let check = Check {
        controlled: true,
        ..bench.check().nominating()
    };
    bench.receive(&path(0, 1), &check);
    let (_, bytes) = bench.transmit().unwrap();
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.error_code().unwrap().unwrap().code, ErrorCode::ROLE_CONFLICT);
    assert!(message.verify_integrity(&Key::short_term(&check.pwd)).is_ok());
    bench.assert_silent("ice_role_conflicts");
    assert_eq!(bench.agent.selected(), None);
}

#[test]
fn a_check_without_priority_counts_as_the_lowest() {
    let mut bench = Bench::new();
    let check = Check {
        priority: None,
        ..bench.check()
    };
    bench.receive(&path(0, 1), &check);
    assert!(bench.transmit().is_some());
    bench.assert_silent("ice_missing_priority");
    let with_priority = bench.check().with_priority(1);
    bench.receive(&path(0, 2), &with_priority);
    assert_eq!(bench.agent.selected(), Some(path(0, 2)));
}

#[test]
fn checks_after_failure_are_counted() {
    let mut bench = Bench::new();
    let check = bench.check();
    bench.pass(30_000);
    assert_eq!(bench.agent.state(), State::Failed);
    bench.receive(&path(0, 1), &check);
    bench.assert_silent("ice_checks_after_failure");
    assert_eq!(bench.agent.state(), State::Failed);
}

#[test]
fn pending_responses_are_bounded() {
    let mut bench = Bench::with(Config {
        max_pending_responses: 3,
        ..Config::default()
    });
    let check = bench.check();
    for _ in 0..4 {
        bench.receive(&path(0, 1), &check);
    }
    assert_eq!(bench.raised(), [("ice_responses_dropped", 1)]);
    let ids: Vec<_> = std::iter::from_fn(|| bench.transmit())
        .map(|(_, bytes)| Message::parse(&bytes).unwrap().transaction_id().0[11])
        .collect();
    assert_eq!(ids, [1, 2, 3]);
}

#[test]
fn a_response_whose_credentials_are_gone_is_dropped() {
    let mut bench = Bench::new();
    let old = bench.check().nominating();
    bench.agent.restart(bench.now);
    bench.receive(&path(0, 1), &old);
    let new = bench.check().nominating();
    bench.receive(&path(0, 1), &new);
    bench.pass(3_000);
    assert!(bench.transmit().is_some());
    bench.assert_silent("ice_responses_dropped");
}

#[test]
fn pairs_are_bounded_and_the_selected_one_stays() {
    let mut bench = Bench::with(Config {
        max_pairs: 4,
        ..Config::default()
    });
    let check = bench.check();
    bench.receive(&path(0, 1), &check.clone().nominating());
    for port in 2..=4 {
        bench.pass(10);
        bench.receive(&path(0, port), &check.clone().with_priority(5));
    }
    bench.pass(10);
    bench.receive(&path(0, 2), &check);
    assert_eq!(bench.events().len(), 6);
    bench.receive(&path(0, 5), &check);
    assert_eq!(bench.raised(), [("ice_pairs_evicted", 1)]);
    // Port 3 was silent longest of those that are neither selected nor nominated.
    assert_eq!(
        bench.events(),
        [Event::PathRemoved(path(0, 3)), Event::PathValidated(path(0, 5))]
    );
    for port in 100..10_000 {
        bench.receive(&path(0, port), &check);
        while bench.transmit().is_some() {}
    }
    assert_eq!(bench.agent.selected(), Some(path(0, 1)));
    assert_eq!(bench.agent.pairs().count(), 4);
    assert!(bench.events().len() <= 8);
}

#[test]
fn activity_elsewhere_is_counted() {
    let mut bench = Bench::new();
    bench.note(&path(0, 1), Activity::Srtp);
    bench.assert_silent("ice_unvalidated_activity");
    assert_eq!(bench.agent.state(), State::Checking);
}

#[test]
fn remote_candidates_are_bounded() {
    let mut bench = Bench::with(Config {
        max_remote_candidates: 2,
        ..Config::default()
    });
    for port in [1, 2, 2, 3] {
        bench
            .agent
            .add_remote_candidate(Candidate::host(path(0, port).remote, Protocol::Udp, 1));
    }
    bench.assert_silent("ice_remote_candidates_dropped");
    assert_eq!(bench.agent.remote_candidates().len(), 2);
}

#[test]
fn every_counter_has_a_test() {
    // Those of a full agent have theirs beside it.
    let tests = include_str!("tests.rs");
    let full = [include_str!("controlling.rs"), include_str!("gathering.rs")].concat();
    for (name, _) in Counters::default().iter() {
        let named = tests.contains(&format!("(\"{name}\"")) || full.contains(&format!("\"{name}\""));
        assert!(named, "{name}");
    }
}

#[test]
fn chromium_is_answered_where_its_hello_came_and_moves_the_nomination() {
    let mut bench = Bench::new();
    let check = bench.check();
    let (high, low) = (path(0, 1), path(1, 2));
    // A lite server: the first check does not nominate, the ClientHello follows before the nomination does.
    bench.receive(&low, &check.clone().with_priority(10));
    bench.receive(&high, &check.clone().with_priority(20));
    assert_eq!(bench.agent.selected(), Some(high));
    bench.note(&low, Activity::Handshake);
    assert_eq!(bench.agent.selected(), Some(low));
    bench.receive(&low, &check.clone().with_priority(10).nominating());
    bench.note(&low, Activity::Srtp);
    // Plain checks on another pair never move it.
    bench.receive(&high, &check.clone().with_priority(20));
    assert_eq!(bench.agent.selected(), Some(low));
    // USE-CANDIDATE does, also to a pair of lower priority.
    bench.receive(&high, &check.clone().with_priority(20).nominating());
    assert_eq!(bench.agent.selected(), Some(high));
    bench.receive(&low, &check.with_priority(10).nominating());
    assert_eq!(bench.agent.selected(), Some(low));
}

#[test]
fn firefox_nominates_every_pair_and_uses_the_one_of_highest_priority() {
    let mut bench = Bench::new();
    let check = bench.check().nominating();
    let (high, low) = (path(0, 1), path(1, 2));
    bench.receive(&high, &check.clone().with_priority(20));
    bench.receive(&low, &check.clone().with_priority(10));
    assert_eq!(bench.agent.selected(), Some(high));
    // It chooses by its own order: DTLS tells.
    bench.note(&low, Activity::Handshake);
    assert_eq!(bench.agent.selected(), Some(low));
    bench.note(&high, Activity::Dtls);
    assert_eq!(bench.agent.selected(), Some(high));
    // Consent checks come without USE-CANDIDATE.
    bench.receive(
        &low,
        &Check {
            nominates: false,
            ..check
        },
    );
    assert_eq!(bench.agent.selected(), Some(high));
    bench.note(&low, Activity::Srtcp);
    assert_eq!(bench.agent.selected(), Some(low));
}

/// One PRIORITY goes from one address of the browser's to all of ours: our own preference decides.
#[test]
fn between_equal_priorities_our_candidates_decide() {
    for first in [0, 1] {
        let mut bench = Bench::new();
        let check = bench.check().nominating();
        bench.receive(&path(first, 1), &check);
        bench.receive(&path(1 - first, 1), &check);
        // IPv6 has the higher local preference (RFC 8421).
        assert_eq!(bench.agent.selected(), Some(path(1, 1)));
    }
}

#[test]
fn a_silent_peer_is_disconnected_then_failed() {
    let mut bench = Bench::new();
    let check = bench.check().nominating();
    bench.receive(&path(0, 1), &check);
    assert_eq!(bench.events().len(), 3);
    bench.pass(6_999);
    assert_eq!((bench.agent.state(), bench.events()), (State::Connected, vec![]));
    bench.pass(1);
    assert_eq!(bench.events(), [Event::StateChanged(State::Disconnected)]);
    assert!(bench.agent.selected().is_some());
    bench.pass(6_999);
    assert_eq!(bench.agent.state(), State::Disconnected);
    assert_eq!(bench.agent.next_timer(), Some(Timer::Liveness));
    bench.pass(1);
    assert_eq!(
        bench.events(),
        [Event::PathRemoved(path(0, 1)), Event::StateChanged(State::Failed)]
    );
    assert_eq!((bench.agent.selected(), bench.agent.poll_timeout()), (None, None));
    assert!(bench.transmit().is_none());
    assert_eq!(bench.raised(), []);
}

#[test]
fn every_authenticated_sign_is_a_sign_of_life() {
    for sign in 0..6 {
        let mut bench = Bench::new();
        let check = bench.check();
        bench.receive(&path(0, 1), &check.clone().nominating());
        bench.receive(&path(0, 2), &check);
        for _ in 0..20 {
            bench.pass(5_000);
            match sign {
                0 => bench.note(&path(0, 1), Activity::Dtls),
                1 => bench.note(&path(0, 1), Activity::Srtp),
                2 => bench.note(&path(0, 1), Activity::Srtcp),
                3 => bench.receive(&path(0, 1), &check),
                // On any pair.
                4 => bench.receive(&path(0, 2), &check),
                // What anybody could have sent is none.
                _ => bench.note(&path(0, 1), Activity::Handshake),
            }
        }
        let expected = if sign < 5 { State::Connected } else { State::Failed };
        assert_eq!(bench.agent.state(), expected, "{sign}");
    }
}

#[test]
fn a_peer_may_come_back_until_it_failed() {
    let mut bench = Bench::new();
    let check = bench.check().nominating();
    bench.receive(&path(0, 1), &check);
    bench.pass(13_999);
    assert_eq!(bench.agent.state(), State::Disconnected);
    bench.note(&path(0, 1), Activity::Srtp);
    assert_eq!(bench.agent.state(), State::Connected);
    bench.events();
    bench.pass(6_999);
    assert_eq!((bench.agent.state(), bench.events()), (State::Connected, vec![]));
    bench.pass(1);
    assert_eq!(bench.events(), [Event::StateChanged(State::Disconnected)]);
}

#[test]
fn a_peer_that_never_comes_fails() {
    let mut bench = Bench::new();
    assert_eq!(bench.agent.next_timer(), Some(Timer::Connect));
    bench.pass(29_999);
    assert_eq!(bench.events(), [Event::StateChanged(State::Checking)]);
    bench.pass(1);
    assert_eq!(bench.events(), [Event::StateChanged(State::Failed)]);
}

#[test]
fn delays_without_end_never_end() {
    let mut bench = Bench::with(Config {
        disconnected_after: Duration::MAX,
        failed_after: Duration::MAX,
        connect_timeout: Duration::MAX,
        consent_expires_after: Duration::MAX,
        retire_after: Duration::MAX,
        ..Config::default()
    });
    bench.pass(86_400_000);
    assert_eq!(bench.events(), [Event::StateChanged(State::Checking)]);
    bench.receive(&path(0, 1), &bench.check().nominating());
    bench.pass(86_400_000);
    assert_eq!(bench.agent.state(), State::Connected);
    assert_eq!(bench.agent.selected(), Some(path(0, 1)));
}

#[test]
fn consent_expires_for_each_pair_alone() {
    let mut bench = Bench::new();
    let check = bench.check();
    bench.receive(&path(0, 1), &check.clone().nominating());
    bench.note(&path(0, 1), Activity::Srtp);
    for _ in 0..8 {
        bench.receive(&path(0, 2), &check);
        assert_eq!(bench.agent.selected(), Some(path(0, 1)), "plain checks do not move it");
        bench.pass(3_700);
    }
    bench.pass(400);
    // RFC 7675 §5.1: nothing goes where nobody has consented for 30 s.
    assert_eq!(bench.agent.selected(), Some(path(0, 2)));
    assert!(!bench.agent.is_validated(&path(0, 1)));
    assert_eq!(bench.agent.state(), State::Connected);
    assert_eq!(bench.raised(), []);
}

#[test]
fn without_any_consent_the_agent_fails() {
    let mut bench = Bench::with(Config {
        failed_after: Duration::from_secs(60),
        ..Config::default()
    });
    let check = bench.check();
    bench.receive(&path(0, 1), &check);
    bench.pass(29_999);
    assert_eq!(bench.agent.state(), State::Disconnected);
    bench.pass(1);
    assert_eq!((bench.agent.state(), bench.agent.selected()), (State::Failed, None));
}

#[test]
fn a_restart_keeps_the_old_path_until_a_new_one_is_nominated() {
    let mut bench = Bench::new();
    let old = bench.check();
    bench.receive(&path(0, 1), &old.clone().nominating());
    bench.note(&path(0, 1), Activity::Srtp);
    bench.events();
    assert!(bench.transmit().is_some());

    let credentials = bench.agent.restart(bench.now);
    assert_eq!(credentials, *bench.agent.local_credentials());
    assert!(credentials.ufrag != old.ufrag && credentials.pwd != old.pwd);
    let ufrags: Vec<_> = bench.agent.local_ufrags().collect();
    assert_eq!(ufrags, [credentials.ufrag.as_str(), old.ufrag.as_str()]);
    assert!(bench.agent.matches_ufrag(&old.ufrag) && bench.agent.matches_ufrag(&credentials.ufrag));

    // Both are answered, each with its own password; the old path carries on.
    let new = bench.check();
    for (check, port) in [(&new, 2), (&old, 1), (&new, 1)] {
        bench.receive(&path(0, port), check);
        let (_, bytes) = bench.transmit().unwrap();
        let key = Key::short_term(&check.pwd);
        assert!(Message::parse(&bytes).unwrap().verify_integrity(&key).is_ok());
        assert_eq!(bench.agent.selected(), Some(path(0, 1)));
    }
    bench.note(&path(0, 2), Activity::Srtp);
    assert_eq!(bench.agent.selected(), Some(path(0, 1)), "not nominated yet");
    bench.receive(&path(0, 1), &old.clone().nominating());
    bench.receive(&path(0, 2), &new.clone().nominating());
    assert_eq!(bench.agent.selected(), Some(path(0, 2)));
    assert_eq!(bench.agent.state(), State::Connected);

    // The old nomination is void, what is in flight still arrives.
    bench.receive(&path(0, 1), &old.clone().nominating());
    assert_eq!(bench.agent.selected(), Some(path(0, 2)));
    assert!(bench.agent.is_validated(&path(0, 1)));
    while bench.transmit().is_some() {}
    bench.pass(2_999);
    assert_eq!(bench.agent.local_ufrags().count(), 2);
    bench.pass(1);
    assert_eq!(bench.agent.local_ufrags().count(), 1);
    // The path was also checked with the new credentials, so it stays.
    assert!(bench.agent.is_validated(&path(0, 1)));
    bench.receive(&path(0, 1), &old);
    bench.assert_silent("ice_wrong_ufrag");
    assert_eq!(
        bench.events(),
        [Event::PathValidated(path(0, 2)), Event::SelectedPath(path(0, 2))]
    );
}

#[test]
fn paths_of_the_old_session_go_with_it() {
    let mut bench = Bench::new();
    let old = bench.check().nominating();
    bench.receive(&path(0, 1), &old);
    bench.events();
    bench.agent.restart(bench.now);
    let new = bench.check().nominating();
    bench.receive(&path(0, 2), &new);
    bench.pass(3_000);
    assert_eq!(
        bench.events(),
        [
            Event::PathRemoved(path(0, 1)),
            Event::PathValidated(path(0, 2)),
            Event::SelectedPath(path(0, 2))
        ]
    );
}

#[test]
fn a_second_restart_drops_the_session_between() {
    let mut bench = Bench::new();
    let first = bench.check().nominating();
    bench.receive(&path(0, 1), &first);
    bench.agent.restart(bench.now);
    let second = bench.check();
    bench.receive(&path(0, 2), &second);
    bench.agent.restart(bench.now);
    let third = bench.check().nominating();
    assert!(bench.agent.matches_ufrag(&first.ufrag) && !bench.agent.matches_ufrag(&second.ufrag));
    assert!(!bench.agent.is_validated(&path(0, 2)));
    assert_eq!(bench.agent.selected(), Some(path(0, 1)));
    bench.receive(&path(0, 3), &third);
    assert_eq!(bench.agent.selected(), Some(path(0, 3)));
}

#[test]
fn after_failure_a_restart_begins_anew() {
    let mut bench = Bench::new();
    let old = bench.check().nominating();
    bench.receive(&path(0, 1), &old);
    bench.pass(14_000);
    bench.events();
    bench.agent.restart(bench.now);
    assert_eq!(bench.events(), [Event::StateChanged(State::Checking)]);
    assert!(!bench.agent.matches_ufrag(&old.ufrag));
    let new = bench.check().nominating();
    bench.receive(&path(0, 1), &new);
    assert_eq!(
        bench.events(),
        [
            Event::PathValidated(path(0, 1)),
            Event::SelectedPath(path(0, 1)),
            Event::StateChanged(State::Connected)
        ]
    );
}

/// The others in a room see a frozen picture for 14 s at most, whatever the silent peer's signalling does.
#[test]
fn a_restart_does_not_extend_the_patience_with_a_silent_peer() {
    for at in [1_000, 6_999, 13_900] {
        let mut bench = Bench::new();
        bench.receive(&path(0, 1), &bench.check().nominating());
        bench.pass(at);
        bench.agent.restart(bench.now);
        bench.pass(13_999 - at);
        assert_eq!(bench.agent.state(), State::Disconnected);
        assert_eq!(bench.agent.selected(), Some(path(0, 1)));
        bench.pass(1);
        assert_eq!((bench.agent.state(), bench.agent.selected()), (State::Failed, None));
    }
    // A check under either credentials shows that the peer is there.
    let mut bench = Bench::new();
    bench.receive(&path(0, 1), &bench.check().nominating());
    bench.pass(13_900);
    bench.agent.restart(bench.now);
    bench.receive(&path(0, 1), &bench.check());
    bench.pass(6_999);
    assert_eq!(bench.agent.state(), State::Connected);
}

#[test]
fn a_restart_before_the_first_check_waits_anew() {
    let mut bench = Bench::new();
    bench.pass(29_000);
    bench.agent.restart(bench.now);
    bench.pass(29_999);
    assert_eq!(bench.agent.state(), State::Checking);
    bench.receive(&path(0, 1), &bench.check());
    assert_eq!(bench.agent.state(), State::Connected);

    let mut bench = Bench::new();
    bench.pass(29_000);
    bench.agent.restart(bench.now);
    bench.pass(30_000);
    assert_eq!(bench.agent.state(), State::Failed);
}

#[test]
fn the_same_seed_gives_the_same_agent() {
    let credentials = |run| {
        let agent = Agent::new(Config::default(), Seed::from_run(run), Instant::now());
        agent.local_credentials().clone()
    };
    assert_eq!(credentials(1), credentials(1));
    assert_ne!(credentials(1), credentials(2));
    assert_eq!(Config::default().mode, Mode::Lite);
}

#[test]
fn checks_may_come_before_the_peers_credentials() {
    let now = Instant::now();
    let mut agent = Agent::new(Config::default(), Seed::from_run(1), now);
    assert_eq!(agent.poll_timeout(), None);
    let check = Check::to(agent.local_credentials()).nominating();
    agent.handle_datagram(now, &path(0, 1), &check.bytes());
    assert_eq!((agent.state(), agent.selected()), (State::Connected, Some(path(0, 1))));
    agent.set_remote_credentials(now, Credentials::new("peer", &"p".repeat(22)).unwrap());
    assert_eq!(agent.state(), State::Connected);
}

#[test]
fn requests_can_be_routed_by_their_ufrag() {
    let bench = Bench::new();
    let check = bench.check();
    assert_eq!(crate::addressed_ufrag(&check.bytes()), Some(check.ufrag.as_str()));
    let response = check.build(Class::SuccessResponse, Method::BINDING);
    assert_eq!(crate::addressed_ufrag(&response), None);
    assert_eq!(crate::addressed_ufrag(b"garbage"), None);
}

/// Puts the FINGERPRINT right that ends a message (RFC 8489 §14.7): it is no secret, so whoever alters a check can do
/// so.
fn with_right_fingerprint(mut message: Vec<u8>) -> Vec<u8> {
    let end = message.len() - 4;
    let value = crc32fast::hash(&message[..end - 4]) ^ 0x5354_554e;
    message[end..].copy_from_slice(&value.to_be_bytes());
    message
}

/// Where the values of the attributes of one type lie in a message.
fn value_of(message: &[u8], kind: AttributeType) -> std::ops::Range<usize> {
    let mut at = 20;
    loop {
        let [k0, k1, l0, l1] = message[at..at + 4].try_into().unwrap();
        let len = usize::from(u16::from_be_bytes([l0, l1]));
        if u16::from_be_bytes([k0, k1]) == kind.0 {
            return at + 4..at + 4 + len;
        }
        at += 4 + len.next_multiple_of(4);
    }
}

/// Any byte of a check turned into any other: never accepted, and never makes us say anything, whether the FINGERPRINT
/// is left as it was or is made to fit. When it fits, nothing but the integrity stands between.
#[test]
fn altered_checks_are_not_answered() {
    let mut bench = Bench::new();
    let genuine = bench.check().nominating().bytes();
    assert_eq!(with_right_fingerprint(genuine.clone()), genuine);
    let body = genuine.len() - 8;
    let mut handled = 0;
    for (end, fit) in [(genuine.len(), false), (body, true)] {
        for at in 0..end {
            for change in 1..=255 {
                let mut altered = genuine.clone();
                altered[at] ^= change;
                if fit {
                    altered = with_right_fingerprint(altered);
                }
                bench.agent.handle_datagram(bench.now, &path(0, 1), &altered);
                handled += 1;
            }
        }
    }
    assert_eq!(bench.transmit(), None);
    assert_eq!((bench.agent.selected(), bench.agent.state()), (None, State::Checking));
    let counted: u64 = bench.raised().iter().map(|(_, count)| count).sum();
    assert_eq!(counted, handled);
}

/// What is under the integrity and means nothing to the parser: transaction id, the peer's half of USERNAME, the values
/// of all attributes, the integrity itself.
#[test]
fn altered_checks_with_a_right_fingerprint_have_a_wrong_integrity() {
    for algorithm in [IntegrityAlgorithm::Sha1, IntegrityAlgorithm::Sha256] {
        let mut bench = Bench::new();
        let check = Check {
            algorithm,
            extra: vec![(0xc057, vec![0, 1, 0, 50])],
            ..bench.check().nominating()
        };
        let genuine = check.bytes();
        let integrity = match algorithm {
            IntegrityAlgorithm::Sha1 => AttributeType::MESSAGE_INTEGRITY,
            IntegrityAlgorithm::Sha256 => AttributeType::MESSAGE_INTEGRITY_SHA256,
        };
        let value = |kind| value_of(&genuine, kind);
        let peers_half = {
            let username = value(AttributeType::USERNAME);
            username.start + check.ufrag.len() + 1..username.end
        };
        let places = [
            8..20,
            peers_half.clone(),
            value(AttributeType(0xc057)),
            value(AttributeType::ICE_CONTROLLING),
            value(AttributeType::PRIORITY),
            value(integrity),
        ];
        let mut handled = 0;
        for at in places.into_iter().flatten() {
            // What is no UTF-8 would be malformed.
            let changes = if peers_half.contains(&at) { 1..=127 } else { 1..=255 };
            for change in changes {
                let mut altered = genuine.clone();
                altered[at] ^= change;
                let altered = with_right_fingerprint(altered);
                bench.agent.handle_datagram(bench.now, &path(0, 1), &altered);
                handled += 1;
            }
        }
        assert_eq!(bench.transmit(), None);
        assert_eq!(bench.raised(), [("ice_wrong_integrity", handled)]);
        assert!(!bench.agent.is_validated(&path(0, 1)));
    }
}

/// Anybody can put attributes between the integrity and the FINGERPRINT: they count for nothing (RFC 8489 §9).
#[test]
fn what_follows_the_integrity_does_not_count() {
    let appended = [
        // USE-CANDIDATE, PRIORITY, ICE-CONTROLLED, something that would have to be understood.
        [0x00, 0x25, 0, 0].to_vec(),
        [0x00, 0x24, 0, 4, 0x7f, 0xff, 0xff, 0xff].to_vec(),
        [0x80, 0x29, 0, 8, 0, 0, 0, 0, 0, 0, 0, 9].to_vec(),
        [0x7f, 0x00, 0, 0].to_vec(),
    ];
    for priority in [Some(5), None] {
        let mut bench = Bench::new();
        let check = Check {
            priority,
            ..bench.check()
        };
        let mut message = check.bytes();
        let end = message.len() - 8;
        message.splice(end..end, appended.concat());
        let length = (message.len() - 20) as u16;
        message[2..4].copy_from_slice(&length.to_be_bytes());
        let message = with_right_fingerprint(message);
        bench.agent.handle_datagram(bench.now, &path(0, 1), &message);

        let (_, response) = bench.transmit().unwrap();
        assert_eq!(Message::parse(&response).unwrap().class(), Class::SuccessResponse);
        let pairs: Vec<_> = bench
            .agent
            .pairs()
            .map(|pair| (pair.nominated, pair.priority))
            .collect();
        assert_eq!(pairs, [(false, priority.unwrap_or(0))]);
        let missing = [("ice_missing_priority", 1)];
        assert_eq!(bench.raised(), if priority.is_none() { &missing[..] } else { &[] });
        // A nominated pair would win against this one of higher priority.
        bench.receive(&path(0, 2), &bench.check().with_priority(6));
        assert_eq!(bench.agent.selected(), Some(path(0, 2)));
    }
}

/// Whoever saw a check of the peer's sends it again from elsewhere: nothing goes there.
#[test]
fn a_check_that_is_repeated_from_another_address_is_dropped() {
    let mut bench = Bench::new();
    let check = bench.check().nominating();
    bench.receive_as(&path(0, 1), &check);
    bench.note(&path(0, 1), Activity::Srtp);
    bench.events();
    assert!(bench.transmit().is_some());
    for elsewhere in [path(0, 2), path(1, 1)] {
        bench.pass(1_000);
        bench.receive_as(&elsewhere, &check);
        assert!(!bench.agent.is_validated(&elsewhere));
    }
    assert_eq!(bench.transmit(), None);
    assert_eq!(bench.raised(), [("ice_replayed_checks", 2)]);
    assert_eq!((bench.agent.selected(), bench.events()), (Some(path(0, 1)), vec![]));
    // No sign of life either.
    bench.pass(5_000);
    assert_eq!(bench.agent.state(), State::Disconnected);
    // A peer whose NAT gave it another address sends a new check from there.
    bench.receive_as(&path(0, 2), &Check { id: 1, ..check });
    assert_eq!(bench.agent.selected(), Some(path(0, 2)));
    assert_eq!(bench.agent.state(), State::Connected);
}

/// Firefox nominates every pair with its first check, and repeats it under the same id until it has an answer.
#[test]
fn a_retransmitted_check_is_answered_and_changes_nothing() {
    let mut bench = Bench::new();
    let nominating = |bench: &Bench, id| Check {
        id,
        ..bench.check().nominating()
    };
    let (used, other) = (nominating(&bench, 1), nominating(&bench, 2));
    bench.receive_as(&path(0, 2), &other);
    bench.receive_as(&path(0, 1), &used);
    bench.note(&path(0, 1), Activity::Srtp);
    let first = bench.transmit().unwrap();
    assert!(bench.transmit().is_some());
    for ms in [100, 200, 400, 800, 1600, 3200] {
        bench.pass(ms);
        bench.receive_as(&path(0, 2), &other);
        assert_eq!(bench.transmit(), Some(first.clone()));
        assert_eq!(bench.agent.selected(), Some(path(0, 1)));
    }
    assert_eq!(bench.raised(), []);
    // They were no signs of life: anybody could have sent them from the peer's address.
    bench.pass(699);
    assert_eq!(bench.agent.state(), State::Connected);
    bench.pass(1);
    assert_eq!(bench.agent.state(), State::Disconnected);
}

/// What may happen to an agent.
#[derive(Debug, Clone)]
enum Op {
    Check {
        local: usize,
        port: u16,
        nominates: bool,
        old: bool,
        priority: u32,
    },
    Note {
        local: usize,
        port: u16,
        activity: Activity,
    },
    Noise(Vec<u8>),
    Restart,
    Pass(u64),
    Poll,
}

fn op() -> impl Strategy<Value = Op> {
    let activity = prop_oneof![
        Just(Activity::Handshake),
        Just(Activity::Dtls),
        Just(Activity::Srtp),
        Just(Activity::Srtcp)
    ];
    prop_oneof![
        6 => (0usize..2, 1u16..5, any::<bool>(), any::<bool>(), 1u32..4).prop_map(
            |(local, port, nominates, old, priority)| Op::Check { local, port, nominates, old, priority }
        ),
        6 => (0usize..2, 1u16..5, activity).prop_map(|(local, port, activity)| Op::Note { local, port, activity }),
        1 => proptest::collection::vec(any::<u8>(), 0..60).prop_map(Op::Noise),
        1 => Just(Op::Restart),
        4 => (0u64..6_000).prop_map(Op::Pass),
        3 => Just(Op::Poll),
    ]
}

/// What an agent sent and said.
type Outcome = (Bench, Vec<(Path, Vec<u8>)>, Vec<Event>);

/// Plays the ops; `polite` polls everything after each, otherwise only where an op says so.
fn play(start: Instant, ops: &[Op], polite: bool) -> Outcome {
    let config = Config {
        max_pending_responses: 1000,
        max_pairs: 5,
        ..Config::default()
    };
    let mut bench = Bench::at(start, config);
    let (mut sent, mut events) = (Vec::new(), Vec::new());
    let mut checks = vec![bench.check()];
    for op in ops {
        match op {
            Op::Check {
                local,
                port,
                nominates,
                old,
                priority,
            } => {
                let index = checks.len().saturating_sub(1 + usize::from(*old));
                let check = Check {
                    nominates: *nominates,
                    ..checks[index].clone().with_priority(*priority)
                };
                bench.receive(&path(*local, *port), &check);
            }
            Op::Note { local, port, activity } => bench.note(&path(*local, *port), *activity),
            Op::Noise(bytes) => bench.agent.handle_datagram(bench.now, &path(0, 1), bytes),
            Op::Restart => {
                bench.agent.restart(bench.now);
                checks.push(bench.check());
            }
            Op::Pass(ms) => bench.pass(*ms),
            Op::Poll => {}
        }
        if polite || matches!(op, Op::Poll) {
            sent.extend(std::iter::from_fn(|| bench.transmit()));
            events.extend(bench.events());
        }
        // What the getters say always fits together.
        let selected = bench.agent.selected();
        assert!(selected.is_none_or(|path| bench.agent.is_validated(&path)));
        assert_eq!(
            selected.is_some(),
            matches!(bench.agent.state(), State::Connected | State::Disconnected)
        );
        assert!(bench.agent.pairs().count() <= 5);
        assert!(bench.agent.poll_timeout().is_none_or(|deadline| deadline >= bench.now));
    }
    sent.extend(std::iter::from_fn(|| bench.transmit()));
    events.extend(bench.events());
    (bench, sent, events)
}

/// The view that the events give must be that of the getters.
fn view(events: &[Event]) -> (Vec<Path>, Option<Path>, State) {
    let (mut paths, mut selected, mut state) = (Vec::new(), None, State::New);
    for event in events {
        match event {
            Event::PathValidated(path) => {
                assert!(!paths.contains(path));
                paths.push(*path);
            }
            Event::PathRemoved(path) => {
                assert!(paths.contains(path));
                paths.retain(|known| known != path);
            }
            Event::SelectedPath(path) => selected = Some(*path),
            Event::StateChanged(new) => {
                assert_ne!(state, *new);
                state = *new;
            }
            other => panic!("only a full agent tells {other:?}"),
        }
    }
    if state == State::Failed || paths.is_empty() {
        selected = None;
    }
    paths.sort();
    (paths, selected, state)
}

proptest! {
    /// Late polls lead to the same end as polls after every step.
    #[test]
    fn the_order_of_polls_does_not_matter(ops in proptest::collection::vec(op(), 1..60)) {
        let start = Instant::now();
        let (polite, polite_sent, polite_events) = play(start, &ops, true);
        let (lazy, lazy_sent, lazy_events) = play(start, &ops, false);
        let mut paths: Vec<_> = polite.agent.pairs().map(|pair| pair.path).collect();
        paths.sort();
        let truth = (paths, polite.agent.selected(), polite.agent.state());
        prop_assert_eq!(&view(&polite_events), &truth);
        prop_assert_eq!(&view(&lazy_events), &truth);
        prop_assert_eq!(lazy.agent.selected(), polite.agent.selected());
        prop_assert_eq!(lazy.agent.poll_timeout(), polite.agent.poll_timeout());
        // What is sent is the same too, but for responses that waited until the failure or the end of their
        // credentials.
        prop_assert!(lazy_sent.len() <= polite_sent.len());
        prop_assert!(lazy_sent.iter().all(|sent| polite_sent.contains(sent)));
    }

    #[test]
    fn noise_raises_one_counter(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut bench = Bench::new();
        bench.agent.handle_datagram(bench.now, &path(0, 1), &bytes);
        bench.assert_silent("ice_malformed");
    }
}
