//! Candidates of our own and of the peer's, as a full agent keeps them.

use super::controlling::{address, host, raised};
use super::*;
use std::collections::BTreeMap;
use stun::{Builder, Class, ErrorCode, Message, Method, Value};

const OURS: &str = "198.51.100.7:5000";
const STUN: &str = "192.0.2.53:3478";

struct Bench {
    agent: Agent,
    now: Instant,
}

impl Bench {
    fn new(change: impl FnOnce(&mut Config)) -> Self {
        let now = Instant::now();
        let mut config = Config::full(Role::Controlling);
        config.stun_servers = vec![address(STUN)];
        change(&mut config);
        Self {
            agent: Agent::new(config, Seed::from_run(1), now),
            now,
        }
    }

    /// What is sent until then: when, where, and the bytes.
    fn run(&mut self, time: Duration) -> Vec<(u128, Path, Vec<u8>)> {
        let (begin, end) = (self.now, self.now + time);
        let mut sent = Vec::new();
        let mut out = [0; MIN_OUT];
        loop {
            while let Some(transmit) = self.agent.poll_transmit(self.now, &mut out) {
                let at = (self.now - begin).as_millis();
                sent.push((at, transmit.path, out[..transmit.len].to_vec()));
            }
            let Some(next) = self.agent.poll_timeout().filter(|next| *next <= end) else {
                break;
            };
            self.now = self.now.max(next);
            self.agent.handle_timeout(self.now);
        }
        self.now = end;
        sent
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.agent.poll_event()).collect()
    }

    /// An answer of the STUN server's.
    fn answer(&self, request: &[u8], value: Result<SocketAddr, ErrorCode>) -> Vec<u8> {
        let id = Message::parse(request).unwrap().transaction_id();
        let mut out = [0; 200];
        let class = if value.is_ok() {
            Class::SuccessResponse
        } else {
            Class::ErrorResponse
        };
        let mut builder = Builder::new(&mut out, class, Method::BINDING, id).unwrap();
        match value {
            Ok(mapped) => builder.push(&Value::XorMappedAddress(mapped)).unwrap(),
            Err(code) => builder.error_code(code).unwrap(),
        }
        builder.fingerprint().unwrap();
        builder.finish().to_vec()
    }

    fn gather(&mut self, value: Result<SocketAddr, ErrorCode>) {
        let (_, path, request) = self.run(Duration::ZERO).remove(0);
        let answer = self.answer(&request, value);
        self.agent.handle_datagram(self.now, &path, &answer);
    }
}

#[test]
fn a_stun_server_is_asked_until_it_is_given_up() {
    let mut bench = Bench::new(|_| {});
    bench.agent.add_local_candidate(host(OURS, 65535));
    bench.agent.end_of_local_candidates();
    let asked = bench.run(Duration::from_secs(20));
    // RFC 8489 §6.2.1, for 5 s.
    assert_eq!(
        asked.iter().map(|asked| asked.0).collect::<Vec<_>>(),
        [0, 500, 1500, 3500]
    );
    assert!(asked.iter().all(|(_, path, bytes)| {
        let message = Message::parse(bytes).unwrap();
        // RFC 8445 §5.1.1.2 with the FINGERPRINT of RFC 5389's multiplexing; no credentials.
        message.verify_fingerprint().is_ok()
            && message.username().unwrap().is_none()
            && *path == Path::udp(address(OURS), address(STUN))
    }));
    assert!(asked.iter().all(|(_, _, bytes)| bytes == &asked[0].2));
    assert_eq!(bench.agent.gathering_state(), GatheringState::Complete);
    assert_eq!(
        bench.events().last(),
        Some(&Event::GatheringChanged(GatheringState::Complete))
    );
    assert!(raised(&bench.agent).is_empty());
}

#[test]
fn who_waits_longer_for_a_stun_server_asks_more_often() {
    let mut bench = Bench::new(|config| config.gathering_timeout = Duration::from_secs(10));
    bench.agent.add_local_candidate(host(OURS, 65535));
    let asked = bench.run(Duration::from_secs(20));
    assert_eq!(
        asked.iter().map(|asked| asked.0).collect::<Vec<_>>(),
        [0, 500, 1500, 3500, 5500, 7500, 9500]
    );
}

#[test]
fn gathering_and_checks_share_one_pace() {
    let mut bench = Bench::new(|config| config.stun_servers.push(address("192.0.2.54:3478")));
    bench.agent.add_local_candidate(host(OURS, 65535));
    let theirs = Credentials::new("them", &"p".repeat(24)).unwrap();
    bench.agent.set_remote_credentials(bench.now, theirs);
    for port in [1, 2] {
        bench
            .agent
            .add_remote_candidate(host(&format!("192.0.2.1:{port}"), port));
    }
    let sent = bench.run(Duration::from_millis(499));
    // RFC 8445 §14.1.
    assert_eq!(sent.iter().map(|sent| sent.0).collect::<Vec<_>>(), [0, 50, 100, 150]);
}

#[test]
fn any_number_of_servers_is_asked_and_holds_no_check_up() {
    const SERVERS: u16 = 40;
    let mut bench = Bench::new(|config| {
        config.stun_servers = (0..SERVERS)
            .map(|n| SocketAddr::from(([192, 0, 2, 53], 3478 + n)))
            .collect();
    });
    bench.agent.add_local_candidate(host(OURS, 65535));
    let theirs = Credentials::new("them", &"p".repeat(24)).unwrap();
    bench.agent.set_remote_credentials(bench.now, theirs);
    for port in 1..=3 {
        bench
            .agent
            .add_remote_candidate(host(&format!("192.0.2.1:{port}"), port));
    }
    let sent = bench.run(Duration::from_secs(10));
    let mut ids = std::collections::BTreeSet::new();
    let begun: Vec<_> = sent
        .iter()
        .filter(|(_, _, bytes)| ids.insert(Message::parse(bytes).unwrap().transaction_id()))
        .map(|(at, path, _)| (*at, path.remote))
        .collect();
    let (servers, checks): (Vec<_>, Vec<_>) = begun.iter().partition(|(_, to)| to.port() >= 3478);
    let asked: std::collections::BTreeSet<_> = servers.iter().map(|(_, to)| to).collect();
    assert_eq!(asked.len(), usize::from(SERVERS));
    assert_eq!(checks.iter().map(|check| check.0).collect::<Vec<_>>(), [50, 150, 250]);
    // Each as often as its 5 s allow.
    for server in servers {
        let asked = sent.iter().filter(|(_, path, _)| path.remote == server.1);
        let times: Vec<u128> = asked.map(|(at, ..)| at - server.0).collect();
        assert!(times.starts_with(&[0]) && times.len() >= 3, "{times:?}");
    }
    // None begins sooner than 50 ms after another.
    assert!(begun.is_sorted_by(|a, b| a.0 + 50 <= b.0), "{begun:?}");
}

#[test]
fn who_is_slower_sets_the_pace_of_both() {
    let times = |peer: Option<Option<Duration>>, time: u64| {
        let mut bench = Bench::new(|config| config.check_interval = Duration::from_millis(20));
        assert_eq!(bench.agent.pacing(), Some(Duration::from_millis(20)));
        if let Some(peer) = peer {
            bench.agent.set_peer_pacing(peer);
        }
        assert_eq!(
            bench.agent.pacing(),
            Some(Duration::from_millis(20)),
            "ours is what it was"
        );
        bench.agent.add_local_candidate(host(OURS, 65535));
        let theirs = Credentials::new("them", &"p".repeat(24)).unwrap();
        bench.agent.set_remote_credentials(bench.now, theirs);
        for port in [1, 2] {
            bench
                .agent
                .add_remote_candidate(host(&format!("192.0.2.1:{port}"), port));
        }
        let sent = bench.run(Duration::from_millis(time));
        sent.iter().map(|sent| sent.0).collect::<Vec<_>>()
    };
    let ms = Duration::from_millis;
    assert_eq!(times(None, 499), [0, 20, 40]);
    assert_eq!(times(Some(Some(ms(80))), 499), [0, 80, 160]);
    assert_eq!(times(Some(Some(ms(5))), 499), [0, 20, 40]);
    assert_eq!(times(Some(None), 499), [0, 50, 100]);
    // However long the peer wants us to wait. At 500 ms the STUN server is asked again, too.
    assert_eq!(times(Some(Some(Duration::MAX)), 1000), [0, 500, 500, 1000]);
    let lite = Agent::new(Config::default(), Seed::from_run(1), Instant::now());
    assert_eq!(lite.pacing(), None);
}

#[test]
fn what_the_server_sees_is_a_candidate_once() {
    let mut bench = Bench::new(|_| {});
    let mapped = address("203.0.113.9:61000");
    bench.agent.add_local_candidate(host(OURS, 65535));
    bench.gather(Ok(mapped));
    let gathered = bench.agent.local_candidates()[1].clone();
    assert_eq!(
        (gathered.kind, gathered.address, gathered.base()),
        (CandidateKind::ServerReflexive, mapped, address(OURS))
    );
    assert!(bench.events().contains(&Event::CandidateGathered(gathered)));
    // A refresh tells nothing new.
    bench.now += Duration::from_secs(15);
    bench.agent.handle_timeout(bench.now);
    bench.gather(Ok(mapped));
    assert_eq!(bench.agent.local_candidates().len(), 2);
    assert!(bench.events().is_empty());
    assert!(raised(&bench.agent).is_empty());
}

/// Our reflexive candidates.
fn reflexive(bench: &Bench) -> Vec<SocketAddr> {
    let all = bench.agent.local_candidates().iter();
    let reflexive = all.filter(|candidate| candidate.kind == CandidateKind::ServerReflexive);
    reflexive.map(|candidate| candidate.address).collect()
}

#[test]
fn a_restart_asks_again_and_what_has_changed_takes_the_place_of_the_old() {
    use Event::{CandidateGathered, GatheringChanged};
    use GatheringState::{Complete, Gathering};
    let (before, after) = (address("203.0.113.9:61000"), address("203.0.113.9:61001"));
    let mut bench = Bench::new(|_| {});
    bench.agent.add_local_candidate(host(OURS, 65535));
    bench.agent.end_of_local_candidates();
    bench.gather(Ok(before));
    let old = bench.agent.local_candidates()[1].clone();
    bench.events();
    bench.now += Duration::from_secs(1);
    // The mapping that is there is no candidate less while it is asked for.
    bench.agent.restart(bench.now);
    assert_eq!(bench.events(), [GatheringChanged(Gathering)]);
    assert_eq!(reflexive(&bench), [before]);
    bench.gather(Ok(before));
    assert_eq!(reflexive(&bench), [before]);
    assert_eq!(bench.events(), [GatheringChanged(Complete)]);
    bench.now += Duration::from_secs(1);
    bench.agent.restart(bench.now);
    assert_eq!(bench.events(), [GatheringChanged(Gathering)]);
    bench.gather(Ok(after));
    assert_eq!(reflexive(&bench), [after]);
    let new = bench.agent.local_candidates()[1].clone();
    assert_eq!((&new.foundation, new.priority), (&old.foundation, old.priority));
    assert_eq!(bench.events(), [CandidateGathered(new), GatheringChanged(Complete)]);
    assert!(raised(&bench.agent).is_empty());
}

#[test]
fn who_gathers_ahead_of_a_restart_has_all_when_it_comes() {
    use Event::{CandidateGathered, GatheringChanged};
    use GatheringState::{Complete, Gathering};
    let mut bench = Bench::new(|_| {});
    bench.agent.add_local_candidate(host(OURS, 65535));
    bench.agent.end_of_local_candidates();
    bench.gather(Ok(address("203.0.113.9:61000")));
    bench.events();
    bench.now += Duration::from_secs(1);
    bench.agent.gather_again(bench.now);
    assert_eq!(bench.events(), [GatheringChanged(Gathering)]);
    bench.gather(Ok(address("203.0.113.9:61001")));
    let new = bench.agent.local_candidates()[1].clone();
    assert_eq!(bench.events(), [CandidateGathered(new), GatheringChanged(Complete)]);
    bench.agent.restart(bench.now);
    assert_eq!(bench.events(), []);
    // The next one is another matter.
    bench.agent.restart(bench.now);
    assert_eq!(bench.events(), [GatheringChanged(Gathering)]);
}

#[test]
fn a_restart_waits_for_the_servers_as_long_as_the_beginning_does() {
    let mapped = address("203.0.113.9:61000");
    let mut bench = Bench::new(|_| {});
    bench.agent.add_local_candidate(host(OURS, 65535));
    bench.agent.end_of_local_candidates();
    let times = |sent: Vec<(u128, Path, Vec<u8>)>| sent.iter().map(|sent| sent.0).collect::<Vec<_>>();
    // It was silent, and is asked again; in between nobody asks.
    assert_eq!(times(bench.run(Duration::from_secs(20))).len(), 4);
    bench.agent.restart(bench.now);
    let (_, path, request) = bench.run(Duration::from_millis(4900)).remove(3);
    // A restart in between waits anew, for the same request.
    bench.agent.restart(bench.now);
    assert!(
        bench
            .run(Duration::from_millis(4900))
            .iter()
            .all(|sent| sent.2 == request)
    );
    assert_eq!(bench.agent.gathering_state(), GatheringState::Gathering);
    let answer = bench.answer(&request, Ok(mapped));
    bench.agent.handle_datagram(bench.now, &path, &answer);
    assert_eq!(reflexive(&bench), [mapped]);
    // It is silent again, or refuses: what it said before is all that is known, and is kept alive.
    bench.agent.restart(bench.now);
    assert_eq!(times(bench.run(Duration::from_secs(19))), [0, 500, 1500, 3500]);
    assert_eq!(bench.agent.gathering_state(), GatheringState::Complete);
    assert_eq!(times(bench.run(Duration::from_secs(3))), [1000, 1500, 2500]);
    bench.now += Duration::from_secs(4);
    bench.agent.handle_timeout(bench.now);
    bench.agent.restart(bench.now);
    bench.gather(Err(ErrorCode::SERVER_ERROR));
    assert_eq!(bench.agent.gathering_state(), GatheringState::Complete);
    assert_eq!(reflexive(&bench), [mapped]);
    assert_eq!(times(bench.run(Duration::from_secs(15))), [15_000]);
    assert_eq!(raised(&bench.agent), BTreeMap::from([("ice_refused_gathering", 1)]));
}

#[test]
fn a_mapping_is_outdated_when_no_server_sees_it_any_more() {
    let (before, after) = (address("203.0.113.9:61000"), address("203.0.113.9:61001"));
    let mut bench = Bench::new(|config| config.stun_servers.push(address("192.0.2.54:3478")));
    bench.agent.add_local_candidate(host(OURS, 65535));
    let answer = |bench: &mut Bench, mapped: &[SocketAddr]| {
        let asked = bench.run(Duration::from_millis(100));
        assert_eq!(asked.len(), 2);
        for ((_, path, request), mapped) in asked.iter().zip(mapped) {
            let answer = bench.answer(request, Ok(*mapped));
            bench.agent.handle_datagram(bench.now, path, &answer);
        }
    };
    answer(&mut bench, &[before, before]);
    assert_eq!(reflexive(&bench), [before]);
    bench.agent.restart(bench.now);
    answer(&mut bench, &[after]);
    assert_eq!(reflexive(&bench), [before, after]);
    bench.run(Duration::from_secs(6));
    bench.agent.restart(bench.now);
    answer(&mut bench, &[after, after]);
    assert_eq!(reflexive(&bench), [after]);
    // What is replaced before it was told is not told.
    let told = bench.events();
    let told = told.iter().filter_map(|event| match event {
        Event::CandidateGathered(candidate) => Some(candidate.address),
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), [address(OURS), after]);
    assert!(raised(&bench.agent).is_empty());
}

#[test]
fn relayed_candidates_of_other_servers_or_transports_have_other_foundations() {
    let mut bench = Bench::new(|_| {});
    let by = |server: &str, protocol: Protocol, port: u16| {
        let relayed = Candidate::relayed(SocketAddr::from(([203, 0, 113, 1], port)), address(OURS), port);
        (relayed, address(server), protocol)
    };
    let gathered = [
        by("192.0.2.60:3478", Protocol::Udp, 1),
        by("192.0.2.60:3479", Protocol::Udp, 2),
        by("192.0.2.60:3478", Protocol::Tcp, 3),
        by("192.0.2.61:3478", Protocol::Udp, 4),
    ];
    for (candidate, server, protocol) in gathered {
        bench.agent.add_relayed_candidate(candidate, server, protocol);
    }
    let foundations = bench
        .agent
        .local_candidates()
        .iter()
        .map(|candidate| &candidate.foundation);
    assert_eq!(foundations.collect::<Vec<_>>(), ["1", "1", "2", "3"]);
    assert_eq!(bench.events().len(), 1 + 4, "the peer is told of each");
    assert!(
        bench.run(Duration::from_secs(1)).is_empty(),
        "and no STUN server is asked"
    );
}

#[test]
fn answers_of_no_use_are_counted() {
    let t = |value: Result<SocketAddr, ErrorCode>, spoil: &dyn Fn(&mut Vec<u8>, &mut Path), name: &'static str| {
        let mut bench = Bench::new(|_| {});
        bench.agent.add_local_candidate(host(OURS, 65535));
        bench.agent.end_of_local_candidates();
        let (_, mut path, request) = bench.run(Duration::ZERO).remove(0);
        let mut answer = bench.answer(&request, value);
        spoil(&mut answer, &mut path);
        bench.agent.handle_datagram(bench.now, &path, &answer);
        assert_eq!(raised(&bench.agent), BTreeMap::from([(name, 1)]));
        assert_eq!(bench.agent.local_candidates().len(), 1);
        bench.agent.gathering_state()
    };
    let mapped = Ok(address("203.0.113.9:61000"));
    let refused = t(Err(ErrorCode::SERVER_ERROR), &|_, _| {}, "ice_refused_gathering");
    assert_eq!(refused, GatheringState::Complete);
    let other_family = t(Ok(address("[2001:db8::1]:1")), &|_, _| {}, "ice_refused_gathering");
    assert_eq!(other_family, GatheringState::Complete);
    let broken = |answer: &mut Vec<u8>, _: &mut Path| *answer.last_mut().unwrap() ^= 1;
    assert_eq!(t(mapped, &broken, "ice_bad_fingerprint"), GatheringState::Gathering);
    let elsewhere = |_: &mut Vec<u8>, path: &mut Path| path.remote.set_port(1);
    assert_eq!(
        t(mapped, &elsewhere, "ice_unexpected_responses"),
        GatheringState::Gathering
    );
    let other_id = |answer: &mut Vec<u8>, _: &mut Path| answer[10] ^= 1;
    assert_eq!(
        t(mapped, &other_id, "ice_unexpected_responses"),
        GatheringState::Gathering
    );
}

#[test]
fn our_candidates_are_bounded() {
    let mut bench = Bench::new(|config| config.max_local_candidates = 2);
    for port in 1..=3 {
        bench
            .agent
            .add_local_candidate(host(&format!("198.51.100.7:{port}"), port));
    }
    assert_eq!(
        raised(&bench.agent),
        BTreeMap::from([("ice_local_candidates_dropped", 1)])
    );
    bench.gather(Ok(address("203.0.113.9:61000")));
    assert_eq!(
        raised(&bench.agent),
        BTreeMap::from([("ice_local_candidates_dropped", 2)])
    );
    assert_eq!(bench.agent.local_candidates().len(), 2);
}

#[test]
fn gathering_begins_with_the_first_candidate_and_may_begin_again() {
    let mut bench = Bench::new(|config| config.stun_servers.clear());
    assert_eq!(bench.agent.gathering_state(), GatheringState::New);
    bench.agent.add_local_candidate(host(OURS, 65535));
    assert_eq!(bench.agent.gathering_state(), GatheringState::Gathering);
    bench.agent.end_of_local_candidates();
    let candidate = bench.agent.local_candidates()[0].clone();
    // RFC 8838 §13: the end is told after all candidates.
    assert_eq!(
        bench.events(),
        [
            Event::GatheringChanged(GatheringState::Gathering),
            Event::CandidateGathered(candidate),
            Event::GatheringChanged(GatheringState::Complete)
        ]
    );
}

#[test]
fn a_signalled_candidate_replaces_what_checks_have_told() {
    let mut bench = Bench::new(|_| {});
    bench.agent.add_local_candidate(host(OURS, 65535));
    let source = address("203.0.113.5:7000");
    let mut out = [0; MIN_OUT];
    let ours = bench.agent.local_credentials().clone();
    let mut builder = Builder::new(&mut out, Class::Request, Method::BINDING, stun::TransactionId([1; 12])).unwrap();
    builder.push(&Value::Username(&format!("{}:them", ours.ufrag))).unwrap();
    builder.push(&Value::IceControlled(1)).unwrap();
    builder.push(&Value::Priority(1000)).unwrap();
    builder.integrity(&stun::Key::short_term(&ours.pwd)).unwrap();
    builder.fingerprint().unwrap();
    let check = builder.finish().to_vec();
    bench
        .agent
        .handle_datagram(bench.now, &Path::udp(address(OURS), source), &check);
    let learnt = bench.agent.remote_candidates()[0].clone();
    assert_eq!(
        (learnt.kind, learnt.priority, learnt.address),
        (CandidateKind::PeerReflexive, 1000, source)
    );
    // RFC 8445 §7.3.1.3: "it will signal the actual foundation".
    let signalled = host("203.0.113.5:7000", 9);
    bench.agent.add_remote_candidate(signalled.clone());
    assert_eq!(bench.agent.remote_candidates(), [signalled]);
}

#[test]
fn a_public_address_behind_a_name_is_told_as_reflexive() {
    for concealed in [false, true] {
        let mut bench = Bench::new(|config| config.concealed_hosts = concealed);
        bench.agent.add_local_candidate(host(OURS, 65535));
        bench.gather(Ok(address(OURS)));
        // RFC 8445 §5.1.3, unless the host's address is not told.
        let kinds: Vec<_> = bench.agent.local_candidates().iter().map(|known| known.kind).collect();
        let expected = [CandidateKind::Host, CandidateKind::ServerReflexive];
        assert_eq!(kinds, expected[..1 + usize::from(concealed)]);
        // Once.
        bench.agent.end_of_local_candidates();
        bench.run(Duration::from_secs(1));
        assert_eq!(bench.agent.local_candidates().len(), kinds.len());
        assert!(raised(&bench.agent).is_empty());
    }
}
