use super::pair::State;
use super::trigger::Nominated;
use super::*;
use crate::candidate::{Candidate, CandidateKind, TcpType};
use crate::pacer::Pacer;
use crate::role::Conflict;
use crate::timer::after;
use rand::SeedableRng;
use std::net::SocketAddr;
use stun::{Builder, Class, ErrorCode, Method, Value};
use wire::Protocol;

const PWD: &str = "a+password+of+22+signs";

/// A checklist with a pacer and a clock, and what was sent.
struct Bench {
    list: Checklist,
    pacer: Pacer,
    now: Instant,
}

fn at(n: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, n], port))
}

/// A candidate of ours or of the peer's, with what matters to pairs.
fn candidate(address: SocketAddr, foundation: &str, priority: u32) -> Candidate {
    Candidate {
        foundation: foundation.to_owned(),
        priority,
        ..Candidate::host(address, Protocol::Udp, 0)
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl Bench {
    fn new(role: Role) -> Self {
        Self::with(Config::full(role))
    }

    fn with(config: Config) -> Self {
        let pacer = Pacer::new(config.check_interval);
        let mut list = Checklist::new(StdRng::seed_from_u64(1), &config, pacer.interval());
        list.set_remote(&Credentials::new("them", PWD).unwrap(), "ours");
        Self {
            list,
            pacer,
            now: Instant::now(),
        }
    }

    /// Our only candidate paired with one of the peer's for each foundation and priority; their ports count up from 1.
    fn paired(role: Role, remotes: &[(&str, u32)]) -> Self {
        let mut bench = Self::new(role);
        for (nth, (foundation, priority)) in remotes.iter().enumerate() {
            bench.form(nth as u16 + 1, foundation, *priority);
        }
        bench
    }

    fn form(&mut self, port: u16, foundation: &str, priority: u32) {
        let local = candidate(at(1, 1000), "l", 1 << 30);
        assert!(self.list.form(&local, &candidate(at(2, port), foundation, priority)));
    }

    /// What is sent next, at this moment.
    fn poll(&mut self) -> Option<Sent> {
        let mut out = [0; MAX_CHECK];
        let (path, len) = self.list.poll(self.now, &mut self.pacer, &mut (), &mut out)?;
        Some(Sent {
            path,
            bytes: out[..len].to_vec(),
        })
    }

    /// What is sent until then, one after the other.
    fn run(&mut self, time: Duration) -> Vec<Sent> {
        let end = self.now + time;
        let mut sent = Vec::new();
        loop {
            sent.extend(std::iter::from_fn(|| self.poll()));
            let Some(due) = self.list.due(self.now, &self.pacer).filter(|due| *due <= end) else {
                break;
            };
            self.now = self.now.max(due);
            self.list.judge(self.now);
        }
        self.now = end;
        sent
    }

    /// The ports of the peer's to which checks go until then.
    fn ports(&mut self, time: Duration) -> Vec<u16> {
        self.run(time).iter().map(|sent| sent.path.remote.port()).collect()
    }

    fn states(&self) -> Vec<(u16, State)> {
        let pairs = self.list.pairs.iter();
        pairs.map(|pair| (pair.path.remote.port(), pair.state)).collect()
    }

    fn state(&self, port: u16) -> State {
        let states = self.states();
        states.iter().find(|(of, _)| *of == port).unwrap().1
    }

    fn answer(&mut self, sent: &Sent) -> Outcome {
        self.respond(sent, None)
    }

    fn respond(&mut self, sent: &Sent, error: Option<ErrorCode>) -> Outcome {
        let mut out = [0; 200];
        let id = Message::parse(&sent.bytes).unwrap().transaction_id();
        let class = error.map_or(Class::SuccessResponse, |_| Class::ErrorResponse);
        let mut builder = Builder::new(&mut out, class, Method::BINDING, id).unwrap();
        match error {
            Some(code) => builder.error_code(code).unwrap(),
            None => builder.push(&Value::XorMappedAddress(sent.path.local)).unwrap(),
        }
        builder.integrity(&Key::short_term(PWD)).unwrap();
        builder.fingerprint().unwrap();
        let answer = builder.finish().to_vec();
        let answer = Message::parse(&answer).unwrap();
        self.list.take_response(self.now, &sent.path, &answer, &mut ()).unwrap()
    }

    fn trigger(&mut self, port: u16, use_candidate: bool) -> Option<Nominated> {
        let path = Path::udp(at(1, 1000), at(2, port));
        let trigger = Trigger {
            path: &path,
            local_priority: 1 << 30,
            local_foundation: "l",
            remote_priority: 5,
            remote_foundation: ":1",
            use_candidate,
            nomination: None,
        };
        self.list.trigger(self.now, &trigger).nominated
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Sent {
    path: Path,
    bytes: Vec<u8>,
}

impl Sent {
    fn nominates(&self) -> bool {
        Message::parse(&self.bytes).unwrap().use_candidate()
    }
}

use State::{Failed, Frozen, InProgress, Succeeded, Waiting};

#[test]
fn the_best_pair_of_each_foundation_waits_and_the_others_are_frozen() {
    // RFC 8445 §6.1.2.6; here with one component, so that the priority decides.
    let bench = Bench::paired(Role::Controlling, &[("a", 40), ("a", 30), ("b", 20), ("b", 10)]);
    assert_eq!(bench.states(), [(1, Waiting), (2, Frozen), (3, Waiting), (4, Frozen)]);
    // In any order of arrival the best one waits (RFC 8838 §12); one that waited already goes on.
    let bench = Bench::paired(Role::Controlling, &[("a", 30), ("a", 40)]);
    assert_eq!(bench.states(), [(2, Waiting), (1, Waiting)]);
}

#[test]
fn a_pair_that_works_unfreezes_those_of_its_foundation() {
    let mut bench = Bench::paired(Role::Controlled, &[("a", 40), ("a", 30), ("b", 20), ("b", 10)]);
    let first = bench.poll().unwrap();
    assert!(matches!(bench.answer(&first), Outcome::Works(success) if success.newest && success.nominated.is_none()));
    // RFC 8445 §7.2.5.3.3.
    assert_eq!(
        bench.states(),
        [(1, Succeeded), (2, Waiting), (3, Waiting), (4, Frozen)]
    );
    // RFC 8838 §12: what comes later need not wait.
    bench.form(5, "a", 35);
    assert_eq!(bench.state(5), Waiting);
}

#[test]
fn frozen_pairs_are_checked_when_no_other_waits() {
    let mut bench = Bench::paired(Role::Controlling, &[("a", 40), ("a", 30), ("b", 20)]);
    let sent = bench.run(ms(499));
    assert_eq!(sent.len(), 2);
    assert_eq!(bench.states(), [(1, InProgress), (2, Frozen), (3, InProgress)]);
    // A failure does not unfreeze (the note in RFC 8445 §7.2.5.2), but leaves no other of the foundation under way
    // (§6.1.4.2).
    assert_eq!(bench.respond(&sent[0], Some(ErrorCode::BAD_REQUEST)), Outcome::Refused);
    assert_eq!(bench.states(), [(1, Failed), (2, Frozen), (3, InProgress)]);
    assert_eq!(bench.ports(Duration::ZERO), [2]);
}

#[test]
fn checks_go_in_the_order_of_priority_and_keep_their_distance() {
    let mut bench = Bench::paired(Role::Controlling, &[("a", 10), ("b", 30), ("c", 20)]);
    assert_eq!(bench.ports(ms(49)), [2]);
    assert_eq!(bench.ports(ms(1)), [3]);
    assert_eq!(bench.ports(ms(50)), [1]);
}

#[test]
fn the_peers_checks_are_followed_first_in_their_order() {
    let mut bench = Bench::paired(Role::Controlling, &[("a", 40), ("b", 30), ("b", 20), ("c", 10)]);
    // RFC 8445 §7.3.1.4: whatever their state, and on a pair that there was not.
    bench.trigger(3, false);
    bench.trigger(9, false);
    bench.trigger(3, false);
    assert_eq!(bench.state(3), Waiting);
    assert_eq!(bench.ports(ms(149)), [3, 9, 1]);
    // A prflx pair is no kin of others.
    assert_eq!(
        bench.list.pairs.iter().filter(|pair| pair.foundation.1 == ":1").count(),
        1
    );
}

/// Who has more to say than one check takes leaves the checks of the peer's what they may have.
#[test]
fn checks_again_and_triggered_checks_are_counted_apart() {
    for wishes in [0, 6, 9] {
        let mut bench = Bench::paired(Role::Controlled, &[("a", 10)]);
        assert_eq!(bench.run(ms(1)).len(), 1);
        for wish in 0..wishes {
            bench.list.check_again();
            // Seven in all have room for what a rider has.
            assert_eq!(bench.run(ms(50)).len(), usize::from(wish < 6), "{wish}");
        }
        for check in 0..9 {
            bench.trigger(1, false);
            assert_eq!(bench.run(ms(50)).len(), usize::from(check < 7), "{wishes} {check}");
        }
    }
}

/// Behind NATs the best pair is one of hosts, which leads nowhere.
#[test]
fn a_check_that_was_wished_for_comes_behind_pairs_that_were_not_checked() {
    let mut bench = Bench::paired(Role::Controlled, &[("a", 40), ("b", 30), ("a", 20)]);
    assert_eq!(bench.ports(Duration::ZERO), [1]);
    for port in [2, 1, 1] {
        bench.list.check_again();
        assert!(bench.ports(ms(49)).is_empty());
        assert_eq!(bench.ports(ms(1)), [port]);
    }
    // What leaves meanwhile takes along what there is: nobody wishes any more.
    assert!(bench.ports(ms(200)).is_empty());
}

/// Where checks of the peer's come ours arrive, as far as anybody knows.
#[test]
fn a_check_that_was_wished_for_goes_first_to_where_the_peer_was_heard() {
    let mut bench = Bench::paired(Role::Controlled, &[("a", 40), ("b", 30), ("c", 20)]);
    bench.trigger(3, false);
    assert_eq!(bench.ports(ms(49)), [3]);
    bench.list.check_again();
    assert_eq!(bench.ports(ms(50)), [3]);
    // Checks of the peer's go before it, and one that works needs no other.
    bench.list.check_again();
    bench.trigger(2, false);
    let sent = bench.run(ms(50));
    assert_eq!(sent[0].path.remote.port(), 2);
    bench.list.check_again();
    bench.answer(&sent[0]);
    assert_eq!(bench.ports(ms(50)), [3]);
    assert_eq!(bench.ports(ms(50)), [1]);
}

#[test]
fn a_triggered_check_depends_on_the_state() {
    let mut bench = Bench::paired(Role::Controlled, &[("a", 40), ("b", 30)]);
    let first = bench.poll().unwrap();
    bench.trigger(1, false);
    // In progress: the transaction is not sent again, and a new one is.
    assert_eq!(bench.state(1), Waiting);
    let sent = bench.run(ms(499));
    assert_eq!(
        sent.iter().map(|sent| sent.path.remote.port()).collect::<Vec<_>>(),
        [1, 2]
    );
    assert_ne!(sent[0].bytes, first.bytes);
    // Either may be answered.
    assert!(matches!(bench.answer(&first), Outcome::Works(_)));
    assert_eq!(bench.state(1), Succeeded);
    // Nothing more is to be done, then.
    bench.trigger(1, false);
    assert_eq!((bench.state(1), bench.list.triggered.len()), (Succeeded, 0));
    // A failed one gets another chance.
    assert_eq!(bench.respond(&sent[1], Some(ErrorCode::BAD_REQUEST)), Outcome::Refused);
    assert_eq!(bench.state(2), Failed);
    bench.trigger(2, false);
    assert_eq!(bench.state(2), Waiting);
    assert_eq!(bench.ports(ms(50)), [2]);
}

#[test]
fn a_check_is_not_sent_again_once_another_on_its_pair_was_answered() {
    let mut bench = Bench::paired(Role::Controlled, &[("a", 40)]);
    let first = bench.poll().unwrap();
    bench.trigger(1, false);
    assert_eq!(bench.ports(ms(60)), [1]);
    assert!(matches!(bench.answer(&first), Outcome::Works(_)));
    assert!(bench.ports(ms(3000)).is_empty());
}

#[test]
fn the_peers_nomination_counts_once_the_pair_works() {
    let mut bench = Bench::paired(Role::Controlled, &[("a", 40), ("b", 30)]);
    // RFC 8445 §7.3.1.5.
    assert_eq!(bench.trigger(2, true), None);
    let sent = bench.poll().unwrap();
    assert_eq!(sent.path.remote.port(), 2);
    assert!(matches!(bench.answer(&sent), Outcome::Works(success) if success.nominated.is_some()));
    assert!(bench.list.nominated.is_some());
    assert!(bench.trigger(2, true).is_some(), "told again");
    // The rest is left alone (§8.1.2).
    assert!(bench.ports(ms(300)).is_empty());
    // Whoever controls is not told.
    let mut bench = Bench::paired(Role::Controlling, &[("a", 40)]);
    bench.trigger(1, true);
    let sent = bench.poll().unwrap();
    assert!(matches!(bench.answer(&sent), Outcome::Works(success) if success.nominated.is_none()));
}

#[test]
fn a_pair_is_redundant_when_its_base_is() {
    let mut bench = Bench::new(Role::Controlling);
    let host = candidate(at(1, 1000), "h", 2000);
    let mut reflexive = candidate(SocketAddr::from(([198, 51, 100, 1], 7)), "s", 1000);
    (reflexive.kind, reflexive.related) = (CandidateKind::ServerReflexive, Some(at(1, 1000)));
    let remote = candidate(at(2, 1), "r", 500);
    assert!(bench.list.form(&reflexive, &remote));
    assert!(bench.list.form(&host, &remote));
    assert!(bench.list.form(&reflexive, &remote));
    // RFC 8445 §6.1.2.4: the one of higher priority stays, and sends from the base.
    assert_eq!(bench.list.pairs.len(), 1);
    let pair = &bench.list.pairs[0];
    assert_eq!(
        (pair.path.local, pair.local_priority, pair.foundation.0.as_str()),
        (at(1, 1000), 2000, "h")
    );
}

#[test]
fn tcp_pairs_fit_when_we_open_them() {
    // RFC 6544 §6.2; passive ones wait, and of both at once there is none here.
    let kinds = [TcpType::Active, TcpType::Passive, TcpType::SimultaneousOpen];
    for (ours, theirs) in kinds.iter().flat_map(|ours| kinds.map(|theirs| (*ours, theirs))) {
        let mut bench = Bench::new(Role::Controlling);
        let kind = |address, tcp_type| Candidate {
            protocol: Protocol::Tcp,
            tcp_type: Some(tcp_type),
            ..candidate(address, "f", 1)
        };
        assert!(bench.list.form(&kind(at(1, 9), ours), &kind(at(2, 1), theirs)));
        let fits = (ours, theirs) == (TcpType::Active, TcpType::Passive);
        assert_eq!(bench.list.pairs.len(), usize::from(fits), "{ours:?} {theirs:?}");
        assert!(bench.list.form(&kind(at(1, 9), ours), &candidate(at(2, 1), "u", 1)));
        assert_eq!(bench.list.pairs.len(), usize::from(fits), "not with UDP");
    }
}

#[test]
fn a_tcp_pair_is_checked_once_it_is_connected() {
    let mut bench = Bench::new(Role::Controlling);
    let tcp = |address, tcp_type| Candidate {
        protocol: Protocol::Tcp,
        tcp_type: Some(tcp_type),
        ..candidate(address, "f", 1)
    };
    for port in [1, 2] {
        let remote = Candidate {
            foundation: port.to_string(),
            ..tcp(at(2, port), TcpType::Passive)
        };
        assert!(bench.list.form(&tcp(at(1, 9), TcpType::Active), &remote));
    }
    assert!(bench.ports(ms(100)).is_empty());
    let asked: Vec<Path> = std::iter::from_fn(|| bench.list.take_connection()).collect();
    assert_eq!(asked.iter().map(|path| path.remote.port()).collect::<Vec<_>>(), [1, 2]);
    assert!(asked.iter().all(|path| path.local == at(1, 0)));
    let path = Path {
        local: at(1, 50_000),
        ..asked[0]
    };
    assert!(bench.list.connected(&path));
    assert!(!bench.list.connected(&path), "nobody asked for a second one");
    let sent = bench.run(ms(20_000));
    // Nothing is sent again on a connection.
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].path, path);
    // Nobody tells what became of the other one: it is given up, and the check without an answer too.
    assert!(bench.run(ms(19_600)).is_empty());
    assert_eq!(bench.states(), [(1, Failed), (2, Failed)]);
}

#[test]
fn a_connection_is_used_while_its_pair_may_lead_to_something() {
    for connects in [true, false] {
        let mut bench = Bench::new(Role::Controlling);
        bench.form(7, "u", 9);
        let tcp = |address, tcp_type| Candidate {
            protocol: Protocol::Tcp,
            tcp_type: Some(tcp_type),
            ..candidate(address, "f", 1)
        };
        let remote = tcp(at(2, 1), TcpType::Passive);
        assert!(bench.list.form(&tcp(at(1, 9), TcpType::Active), &remote));
        let sent = bench.run(ms(100));
        let asked = bench.list.take_connection().unwrap();
        let other = Path {
            remote: at(2, 2),
            ..asked
        };
        assert!(bench.list.uses_connection(&asked) && !bench.list.uses_connection(&other));
        let path = Path {
            local: at(1, 50_000),
            ..asked
        };
        if connects {
            assert!(bench.list.connected(&path));
            assert!(bench.list.uses_connection(&path) && !bench.list.uses_connection(&asked));
            bench.list.closed(&path);
            assert!(!bench.list.uses_connection(&path));
            continue;
        }
        assert!(matches!(bench.answer(&sent[0]), Outcome::Works(_)));
        let nomination = bench.run(ms(1000)).into_iter().find(Sent::nominates).unwrap();
        bench.answer(&nomination);
        assert!(!bench.list.uses_connection(&asked) && !bench.list.connected(&path));
        // Long after that the other pair is silent: the connection is asked for again, and waited for as at first.
        for _ in 0..600 {
            for sent in bench.run(ms(100)) {
                bench.answer(&sent);
            }
        }
        assert_eq!(bench.list.take_connection(), None);
        bench.run(ms(8000));
        assert_eq!(bench.list.take_connection(), Some(asked));
        assert!(bench.list.due(bench.now, &bench.pacer) > Some(bench.now));
        assert_eq!(bench.state(1), InProgress);
        bench.run(ms(10_000));
        assert!(bench.list.connected(&path));
    }
}

#[test]
fn the_first_wait_grows_with_what_is_to_be_checked() {
    // RFC 8445 §14.3, without the factor N.
    for (pairs, rto) in [(1, 500), (10, 500), (11, 550), (30, 1500)] {
        let mut bench = Bench::new(Role::Controlling);
        for n in 0..pairs {
            bench.form(n + 1, &n.to_string(), u32::from(n));
        }
        bench.poll().unwrap();
        assert_eq!(bench.list.requests[0].next, Some(after(bench.now, ms(rto))), "{pairs}");
    }
}

#[test]
fn a_better_pair_that_is_open_holds_the_nomination_back() {
    let mut bench = Bench::paired(Role::Controlling, &[("a", 40), ("b", 30)]);
    let sent = bench.run(ms(50));
    bench.now += ms(100);
    assert!(matches!(bench.answer(&sent[1]), Outcome::Works(_)));
    // Two round trips and Ta.
    assert!(bench.run(ms(249)).iter().all(|sent| !sent.nominates()));
    let next = bench.run(ms(1));
    assert_eq!(
        (next.len(), next[0].path.remote.port(), next[0].nominates()),
        (1, 2, true)
    );
    // Until that is answered no other is told, even if it is better.
    assert!(matches!(bench.answer(&sent[0]), Outcome::Works(_)));
    assert_eq!(bench.run(ms(100)).len(), 0);
    assert!(matches!(bench.answer(&next[0]), Outcome::Works(success) if success.nominated.is_some()));
    // And after it none may be (RFC 8445 §8.1.1).
    assert!(bench.run(ms(30_000)).iter().all(|sent| !sent.nominates()));
}

#[test]
fn the_common_ta_counts_in_all_that_depends_on_it() {
    let mut bench = Bench::paired(Role::Controlling, &[("a", 40), ("b", 30)]);
    bench.list.set_ta(ms(400));
    let sent = bench.run(ms(50));
    // RFC 8445 §14.3: Ta * 2.
    assert_eq!(bench.list.requests[0].rto, ms(800));
    bench.now += ms(100);
    assert!(matches!(bench.answer(&sent[1]), Outcome::Works(_)));
    assert!(bench.run(ms(599)).iter().all(|sent| !sent.nominates()));
    assert!(bench.run(ms(1)).iter().any(Sent::nominates));
}

#[test]
fn however_slow_the_pairs_the_nomination_waits_a_second_at_most() {
    let mut bench = Bench::paired(Role::Controlling, &[("a", 40), ("b", 30)]);
    let sent = bench.run(ms(50));
    bench.now += ms(2000);
    assert!(matches!(bench.answer(&sent[1]), Outcome::Works(_)));
    assert!(bench.run(ms(999)).iter().all(|sent| !sent.nominates()));
    assert!(bench.run(ms(1)).iter().any(Sent::nominates));
}

#[test]
fn a_nomination_that_can_be_improved_waits_for_ta_at_most() {
    let renominating = || {
        let mut bench = Bench::with(Config {
            renomination: true,
            ..Config::full(Role::Controlling)
        });
        bench.form(1, "a", 40);
        bench.form(2, "b", 30);
        bench
    };
    // The better pair has had a round trip and Ta when the other one is answered.
    let mut bench = renominating();
    let sent = bench.run(ms(50));
    bench.now += ms(20);
    assert!(matches!(bench.answer(&sent[1]), Outcome::Works(_)));
    assert!(bench.poll().unwrap().nominates());
    // The first check of the better pair is younger, as the peer's checks went first.
    let mut bench = renominating();
    bench.trigger(2, false);
    let first = bench.poll().unwrap();
    assert_eq!(first.path.remote.port(), 2);
    bench.now += ms(100);
    assert_eq!(bench.poll().unwrap().path.remote.port(), 1);
    assert!(matches!(bench.answer(&first), Outcome::Works(_)));
    assert!(bench.run(ms(49)).iter().all(|sent| !sent.nominates()));
    let next = bench.run(ms(1));
    assert_eq!(
        (next.len(), next[0].path.remote.port(), next[0].nominates()),
        (1, 2, true)
    );
}

#[test]
fn a_better_pair_is_nominated_later_if_the_peers_agree() {
    let mut bench = Bench::with(Config {
        renomination: true,
        ..Config::full(Role::Controlling)
    });
    bench.form(2, "b", 30);
    let sent = bench.poll().unwrap();
    bench.answer(&sent);
    let nomination = bench.poll().unwrap();
    assert!(matches!(bench.answer(&nomination), Outcome::Works(success) if success.nominated.is_some()));
    // A worse one is left alone.
    bench.form(3, "c", 20);
    bench.form(1, "a", 40);
    let better = bench.run(ms(100));
    assert_eq!(
        better.iter().map(|sent| sent.path.remote.port()).collect::<Vec<_>>(),
        [1]
    );
    bench.answer(&better[0]);
    let again = bench.poll().unwrap();
    assert_eq!((again.path.remote.port(), again.nominates()), (1, true));
}

#[test]
fn a_refused_nomination_ends_the_pair() {
    let mut bench = Bench::paired(Role::Controlling, &[("a", 40), ("b", 30)]);
    let probe = bench.poll().unwrap();
    bench.answer(&probe);
    let nomination = bench.poll().unwrap();
    assert!(nomination.nominates());
    assert_eq!(
        bench.respond(&nomination, Some(ErrorCode::BAD_REQUEST)),
        Outcome::Refused
    );
    // RFC 8445 §7.2.5.3.4.
    assert_eq!(bench.state(1), Failed);
    assert_eq!(bench.list.take_lost(), Some(probe.path));
    assert_eq!(bench.ports(ms(50)), [2]);
}

#[test]
fn what_is_left_alone_may_still_be_answered() {
    let mut bench = Bench::paired(Role::Controlled, &[("a", 40), ("b", 30)]);
    let sent = bench.run(ms(60));
    bench.answer(&sent[1]);
    assert!(bench.trigger(2, true).is_some());
    // RFC 8445 §8.1.2: not sent again; that it is not answered is no failure.
    assert_eq!(bench.states(), [(1, Frozen), (2, Succeeded)]);
    assert!(bench.ports(ms(3000)).is_empty());
    assert!(matches!(bench.answer(&sent[0]), Outcome::Works(success) if success.nominated.is_none()));
    assert_eq!(bench.state(1), Succeeded);
    assert_eq!(
        bench.list.nominated,
        bench.list.on_path(&sent[1].path).map(|pair| pair.id)
    );
}

#[test]
fn others_are_tried_when_the_nominated_pair_is_not_answered() {
    let mut bench = Bench::paired(Role::Controlled, &[("a", 40), ("b", 30)]);
    let sent = bench.poll().unwrap();
    bench.answer(&sent);
    assert!(bench.trigger(1, true).is_some());
    bench.list.take_selected(Some(sent.path));
    let asked = bench.run(ms(8000));
    let ports: Vec<u16> = asked.iter().map(|sent| sent.path.remote.port()).collect();
    let missed = ports
        .iter()
        .position(|port| *port == 2)
        .expect("the other one is tried");
    assert_eq!(ports[..missed], [1; 4], "after so many requests for consent");
    let other = asked[missed].clone();
    assert!(!bench.list.is_doubtful(&sent.path), "none is better yet");
    bench.answer(&other);
    assert!(bench.list.is_doubtful(&sent.path));
    // Until it is answered again.
    let consent = asked.last().unwrap().clone();
    assert_eq!(consent.path, sent.path);
    bench.answer(&consent);
    assert!(!bench.list.is_doubtful(&sent.path));
}

#[test]
fn a_nomination_that_was_given_up_counts_no_more() {
    let mut bench = Bench::paired(Role::Controlling, &[("a", 40), ("b", 30)]);
    let sent = bench.run(ms(60));
    bench.answer(&sent[0]);
    bench.answer(&sent[1]);
    let given_up = bench.poll().unwrap();
    assert_eq!((given_up.path.remote.port(), given_up.nominates()), (1, true));
    bench.list.take_selected(Some(given_up.path));
    // Only the other pair answers.
    let mut other = None;
    for _ in 0..80 {
        for sent in bench.run(ms(100)) {
            if sent.path.remote.port() == 2 {
                bench.answer(&sent);
                other = Some(sent).filter(Sent::nominates).or(other);
            }
        }
    }
    assert!(
        other.is_some_and(|sent| sent.path.remote.port() == 2),
        "the other one was nominated"
    );
    let nominated = bench.list.nominated;
    assert!(matches!(bench.answer(&given_up), Outcome::Works(success) if success.nominated.is_none()));
    assert_eq!(bench.list.nominated, nominated);
}

#[test]
fn an_older_check_that_is_answered_takes_no_nomination_back() {
    let mut bench = Bench::paired(Role::Controlling, &[("a", 40)]);
    let first = bench.poll().unwrap();
    // A check of the peer's has another one follow.
    bench.trigger(1, false);
    bench.now += ms(50);
    let second = bench.poll().unwrap();
    assert!(matches!(bench.answer(&first), Outcome::Works(_)));
    let nomination = bench.poll().unwrap();
    assert!(nomination.nominates());
    bench.now += ms(50);
    assert!(matches!(bench.answer(&second), Outcome::Works(success) if success.nominated.is_none()));
    assert_eq!(bench.run(ms(100)), []);
    assert!(matches!(bench.answer(&nomination), Outcome::Works(success) if success.nominated.is_some()));
}

#[test]
fn a_check_that_is_sent_again_is_the_same_though_the_role_changed() {
    let mut bench = Bench::paired(Role::Controlling, &[("a", 40), ("b", 30)]);
    let sent = bench.run(ms(60));
    assert_eq!(
        bench.respond(&sent[1], Some(ErrorCode::ROLE_CONFLICT)),
        Outcome::RoleConflict
    );
    assert_eq!(bench.list.role(), Role::Controlled);
    let later = bench.run(ms(440));
    let (new, again) = (&later[0], &later[1]);
    assert_eq!((new.path, again), (sent[1].path, &sent[0]), "byte by byte");
    let claimed = |sent: &Sent| Message::parse(&sent.bytes).unwrap().ice_controlled().unwrap();
    assert!(claimed(new).is_some() && claimed(again).is_none());
    // A second 487, to a check of before the change, changes nothing.
    let tiebreaker = bench.list.tiebreaker;
    assert_eq!(
        bench.respond(&sent[0], Some(ErrorCode::ROLE_CONFLICT)),
        Outcome::RoleConflict
    );
    assert_eq!(
        (bench.list.role(), bench.list.tiebreaker),
        (Role::Controlled, tiebreaker)
    );
    assert_eq!(bench.state(1), Waiting);
}

#[test]
fn a_lite_peer_makes_us_control() {
    let mut bench = Bench::new(Role::Controlled);
    bench.list.set_peer_lite(true);
    assert_eq!(bench.list.role(), Role::Controlling);
    let claims = |role| bench.list.conflict(Some((role, u64::MAX)));
    assert_eq!(claims(Role::Controlling), Conflict::PeerSwitches);
    assert_eq!(claims(Role::Controlled), Conflict::None);
}

#[test]
fn consent_ends_after_30_s_without_an_answer() {
    let mut bench = Bench::paired(Role::Controlled, &[("a", 40)]);
    let sent = bench.poll().unwrap();
    bench.answer(&sent);
    bench.list.take_selected(Some(sent.path));
    let asked = bench.run(ms(29_999));
    assert_eq!((bench.state(1), bench.list.take_lost()), (Succeeded, None));
    // RFC 7675 §5.1: each transaction once. Ten times quickly, then every second.
    let ids: std::collections::BTreeSet<_> = asked.iter().map(|sent| sent.bytes[8..20].to_vec()).collect();
    assert_eq!(ids.len(), asked.len());
    assert!((30..=38).contains(&asked.len()), "{}", asked.len());
    bench.run(ms(1));
    assert_eq!((bench.state(1), bench.list.take_lost()), (Failed, Some(sent.path)));
    // All that was asked is void.
    assert_eq!(bench.answer(asked.last().unwrap()), Outcome::Late);
}

#[test]
fn a_pair_without_consent_gives_way_after_others_that_failed() {
    let mut config = Config::full(Role::Controlled);
    config.max_pairs = 3;
    let mut bench = Bench::with(config);
    for port in 1..=3 {
        bench.form(port, &port.to_string(), 100 - u32::from(port));
    }
    let ports = |bench: &Bench| bench.states().iter().map(|(port, _)| *port).collect::<Vec<_>>();
    let sent = bench.run(ms(100));
    bench.respond(&sent[0], Some(ErrorCode::BAD_REQUEST));
    assert_eq!(bench.respond(&sent[2], Some(ErrorCode::FORBIDDEN)), Outcome::Revoked);
    // The worst one is that without consent, but a new one could be made of it, and checked.
    let local = candidate(at(1, 1000), "l", 1 << 30);
    assert!(!bench.list.form(&local, &candidate(at(2, 4), "4", 50)));
    assert_eq!(ports(&bench), [2, 3, 4]);
    // What may yet work counts more.
    assert!(!bench.list.form(&local, &candidate(at(2, 5), "5", 40)));
    assert_eq!(ports(&bench), [2, 4, 5]);
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut bench = Bench::new(Role::Controlled);
    for n in 0..300_u16 {
        bench.trigger(n + 1, false);
    }
    assert_eq!(bench.list.pairs.len(), 100);
    assert!(bench.list.triggered.len() <= 100);
    for _ in 0..40 {
        for n in 0..300_u16 {
            bench.trigger(n + 1, false);
        }
        bench.run(ms(1000));
    }
    assert!(bench.list.requests.len() <= 256 && bench.list.done.len() <= 64 && bench.list.lost.len() <= 100);
    let ids: std::collections::BTreeSet<u32> = bench.list.pairs.iter().map(|pair| pair.id.0).collect();
    assert_eq!(ids.len(), 100);
    assert!(bench.list.triggered.iter().all(|id| ids.contains(&id.0)));
}
