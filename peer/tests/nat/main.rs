//! Two peers in full mode behind NATs, with STUN and TURN servers, in virtual time.

mod changes;
mod restarts;
mod shell;
mod sped;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dtls_srtp::fake::{self, FakeCrypto};
use ice::CandidateKind;
use netsim::shapes::{Access, Pair, PairConfig, pair};
use netsim::{EndpointId, HostId, LinkId, RouterId, Sim};
use peer::{Config, Direction, Event, IceServer, IceTransportPolicy, Kind, Peer, RelayStreamId, State};
use turn::testing::{PASSWORD, TurnServer, USER};

use shell::{FRAME, Shell};

const LEFT: usize = 0;
const RIGHT: usize = 1;
const SERVER: &str = "198.51.100.1:3478";

/// The callers, the server, and the signalling between them.
struct World {
    sim: Sim,
    ends: [EndpointId<Shell>; 2],
    turn: EndpointId<TurnServer>,
    hosts: [HostId; 2],
    internet: RouterId,
    /// That of the left host.
    link: LinkId,
    /// How many events of each were read.
    read: [usize; 2],
    /// Which candidates are passed on.
    passes: fn(&str) -> bool,
}

fn server(uri: &str, password: &str) -> IceServer {
    IceServer::new(&format!("{uri}:{SERVER}"), &[], Some((USER, password))).unwrap()
}

fn turn() -> IceServer {
    server("turn", PASSWORD)
}

fn stun() -> IceServer {
    server("stun", PASSWORD)
}

fn turn_over_tcp() -> IceServer {
    IceServer::new(&format!("turn:{SERVER}?transport=tcp"), &[], Some((USER, PASSWORD))).unwrap()
}

fn config(certificate: u64, servers: Vec<IceServer>) -> Config {
    let mut config = Config::full(Arc::new(dtls_srtp::Config::new(
        Arc::new(FakeCrypto::new()),
        fake::certificate(certificate),
    )));
    config.ice_servers = servers;
    config
}

impl World {
    fn new(access: [Access; 2], configs: [Config; 2]) -> Self {
        Self::on_interfaces(access, configs, [Peer::MOST_PREFERRED; 2])
    }

    /// With interfaces that each end prefers so much.
    fn on_interfaces(access: [Access; 2], configs: [Config; 2], preferences: [u8; 2]) -> Self {
        let mut net = pair(7, PairConfig::new(access[LEFT], access[RIGHT]));
        // The simulation goes to the world, the rest stays.
        let mut sim = std::mem::replace(&mut net.sim, Sim::new(0));
        let Pair {
            server,
            left,
            right,
            internet,
            ..
        } = net;
        let (hosts, link) = ([left.host, right.host], left.lan);
        let listener: SocketAddr = SERVER.parse().unwrap();
        let seed = sim.next_seed();
        let turn = sim.add_endpoint(server, "turn", TurnServer::new(listener, seed, sim.now()));
        sim.sockets(turn).bind_udp(listener).unwrap();
        sim.sockets(turn).listen_tcp(listener).unwrap();
        let mut configs = configs.into_iter().zip(preferences);
        let ends = [left, right].map(|side| {
            let (config, preference) = configs.next().unwrap();
            let mut peer = Peer::new(Arc::new(config), sim.next_seed(), sim.now());
            let address: SocketAddr = (side.addresses[0], 5000).into();
            peer.add_interface_candidate(address, preference);
            peer.end_of_local_candidates(sim.now());
            let shell = Shell::new(peer, address.ip(), sim.now());
            let end = sim.add_endpoint(side.host, "peer", shell);
            sim.sockets(end).bind_udp(address).unwrap();
            end
        });
        let mut world = Self {
            sim,
            ends,
            turn,
            hosts,
            internet,
            link,
            read: [0; 2],
            passes: |_| true,
        };
        let caller = &mut world.end_mut(LEFT).peer;
        caller.add_section(Kind::Audio, Direction::SendRecv).unwrap();
        world
    }

    fn end(&self, end: usize) -> &Shell {
        self.sim.get(self.ends[end])
    }

    fn end_mut(&mut self, end: usize) -> &mut Shell {
        let end = self.ends[end];
        self.sim.get_mut(end)
    }

    /// Offer and answer, each 50 ms on its way; the texts.
    fn negotiate(&mut self) -> [String; 2] {
        self.negotiate_by(|answer| answer)
    }

    fn negotiate_by(&mut self, change: impl Fn(String) -> String) -> [String; 2] {
        let offer = self.end_mut(LEFT).peer.offer().unwrap();
        let offer = self.pass(&offer);
        self.run(Duration::from_millis(50));
        let now = self.sim.now();
        let answer = self.end_mut(RIGHT).peer.accept_offer(now, &offer);
        let answer = answer.unwrap_or_else(|error| panic!("{error}\n{offer}"));
        let answer = change(self.pass(&answer));
        self.run(Duration::from_millis(50));
        let now = self.sim.now();
        let accepted = self.end_mut(LEFT).peer.accept_answer(now, &answer);
        accepted.unwrap_or_else(|error| panic!("{error}\n{answer}"));
        [offer, answer]
    }

    /// With an answer that says `renomination`, or does not.
    fn negotiate_signalling(&mut self, renomination: bool) {
        self.negotiate_by(|answer| {
            if renomination {
                answer
            } else {
                answer.replace(" renomination", "")
            }
        });
    }

    /// A description without the candidates that are not passed on.
    fn pass(&self, description: &str) -> String {
        let passed = description.split_inclusive('\n');
        passed
            .filter(|line| !line.starts_with("a=candidate") || (self.passes)(line))
            .collect()
    }

    fn post(&mut self) {
        let now = self.sim.now();
        for end in [LEFT, RIGHT] {
            let from = self.read[end];
            let events = self.end(end).events[from..].to_vec();
            self.read[end] += events.len();
            for event in events {
                if let Event::Candidate(candidate) = event
                    && (self.passes)(&candidate)
                {
                    let other = &mut self.end_mut(1 - end).peer;
                    other.add_remote_candidate(now, None, &candidate).unwrap();
                }
            }
        }
    }

    /// Passes on the host candidates that were told.
    fn pass_hosts(&mut self) {
        let now = self.sim.now();
        for end in [LEFT, RIGHT] {
            let told = self.told(end);
            for host in told.lines().filter(|line| line.contains("typ host")) {
                let other = &mut self.end_mut(1 - end).peer;
                other.add_remote_candidate(now, None, host).unwrap();
            }
        }
    }

    fn run(&mut self, time: Duration) {
        let until = self.sim.elapsed() + time;
        while self.sim.elapsed() < until {
            self.post();
            self.sim.run_for(Duration::from_millis(10)).unwrap();
        }
    }

    fn connect(&mut self) {
        for _ in 0..500 {
            self.run(Duration::from_millis(10));
            if [LEFT, RIGHT]
                .iter()
                .all(|end| self.end(*end).peer.state() == State::Connected)
            {
                return;
            }
        }
        panic!("{:?} {:?}", self.end(LEFT).events, self.end(RIGHT).events);
    }

    /// Both speak for so long, and go on.
    fn talk(&mut self, time: Duration) {
        for end in [LEFT, RIGHT] {
            self.end_mut(end).speaks = true;
        }
        self.run(time);
    }

    fn stop(&mut self) {
        for end in [LEFT, RIGHT] {
            self.end_mut(end).speaks = false;
        }
        self.run(Duration::from_millis(300));
    }

    /// That nothing of what was said is missing, and that it came without a pause.
    fn assert_heard(&self) {
        for end in [LEFT, RIGHT] {
            let (heard, sent) = (&self.end(end).sink.rtp, self.end(1 - end).sent);
            assert!(sent > 50, "only {sent} packets were sent");
            let mut numbers: Vec<u64> = heard.iter().map(|packet| packet.sequence).collect();
            // A path that is shorter than the one before overtakes it.
            numbers.sort_unstable();
            assert_eq!(numbers, (100..100 + sent).collect::<Vec<_>>(), "{end}");
            let pauses = heard.windows(2).map(|two| two[1].arrival - two[0].arrival);
            let longest = pauses.max().unwrap();
            assert!(longest < 3 * FRAME, "a gap of {longest:?}");
        }
    }

    fn is_relayed(&self, end: usize) -> bool {
        let path = self.end(end).peer.selected_path().unwrap();
        let server: SocketAddr = SERVER.parse().unwrap();
        path.local.ip() == server.ip()
    }

    /// How often each end was told that only a restart can name another pair.
    fn restarts_needed(&self) -> [usize; 2] {
        [LEFT, RIGHT].map(|end| {
            let events = self.end(end).events.iter();
            events.filter(|event| **event == Event::NeedsRestart).count()
        })
    }

    fn kinds(text: &str) -> Vec<CandidateKind> {
        let kinds = [
            (" typ host", CandidateKind::Host),
            (" typ srflx", CandidateKind::ServerReflexive),
            (" typ prflx", CandidateKind::PeerReflexive),
            (" typ relay", CandidateKind::Relayed),
        ];
        let known = kinds.into_iter().filter(|(word, _)| text.contains(word));
        known.map(|(_, kind)| kind).collect()
    }

    /// All that an end told of its candidates.
    fn told(&self, end: usize) -> String {
        let told = self.end(end).events.iter().filter_map(|event| match event {
            Event::Candidate(candidate) => Some(candidate.as_str()),
            _ => None,
        });
        told.collect::<Vec<_>>().join("\n")
    }
}

fn call(access: [Access; 2], servers: [Vec<IceServer>; 2]) -> World {
    let [left, right] = servers;
    World::new(access, [config(1, left), config(2, right)])
}

#[test]
fn behind_two_symmetric_nats_media_goes_by_a_relay() {
    let mut world = call([Access::ApdmApdf; 2], [vec![turn()], vec![turn()]]);
    world.run(Duration::from_millis(300));
    for end in [LEFT, RIGHT] {
        let kinds: Vec<CandidateKind> = world.told(end).lines().flat_map(World::kinds).collect();
        assert!(kinds.contains(&CandidateKind::Host) && kinds.contains(&CandidateKind::ServerReflexive));
        assert!(kinds.contains(&CandidateKind::Relayed), "{kinds:?}");
        assert_eq!(world.end(end).events.last(), Some(&Event::GatheringComplete));
    }
    let [offer, answer] = world.negotiate();
    // What was gathered by then is in both, and that it is all.
    for text in [&offer, &answer] {
        assert!(text.contains(" typ relay raddr 0.0.0.0 rport 9\r\n"), "{text}");
        assert!(text.contains("a=end-of-candidates"));
        assert!(text.contains("a=ice-options:trickle ice2 renomination\r\na=ice-pacing:50\r\n"));
        assert!(!text.contains("ice-lite"));
    }
    world.connect();
    world.talk(Duration::from_secs(3));
    world.stop();
    world.assert_heard();
    assert!(world.is_relayed(LEFT) || world.is_relayed(RIGHT));
    for end in [LEFT, RIGHT] {
        assert_eq!(world.end(end).counters().get("relay_blocked"), None);
        assert_eq!(world.end(end).counters().get("relays_failed"), None);
    }
    // The allocations are given back at the end.
    let now = world.sim.now();
    assert_eq!(world.sim.get(world.turn).allocations(now), 2);
    for end in [LEFT, RIGHT] {
        let now = world.sim.now();
        world.end_mut(end).peer.close(now);
    }
    world.run(Duration::from_millis(200));
    let now = world.sim.now();
    assert_eq!(world.sim.get(world.turn).allocations(now), 0);
}

#[test]
fn candidates_that_come_after_the_offer_are_trickled() {
    let mut world = call([Access::ApdmApdf; 2], [vec![turn()], vec![turn()]]);
    let [offer, _] = world.negotiate();
    assert!(
        !offer.contains("end-of-candidates") && !offer.contains("typ relay"),
        "{offer}"
    );
    world.connect();
    world.talk(Duration::from_secs(2));
    world.stop();
    world.assert_heard();
}

#[test]
fn what_a_stun_server_of_the_agents_is_asked_for_is_waited_for() {
    let asking = |certificate| {
        let mut config = config(certificate, Vec::new());
        config.ice.stun_servers = vec![SERVER.parse().unwrap()];
        config
    };
    let mut world = World::new([Access::EimApdf; 2], [asking(1), asking(2)]);
    // Nothing has had the time to come.
    let early = world.end_mut(LEFT).peer.offer().unwrap();
    world.run(Duration::from_millis(300));
    let [offer, answer] = world.negotiate();
    for (text, complete) in [(&early, false), (&offer, true), (&answer, true)] {
        assert_eq!(text.contains(" typ srflx"), complete, "{text}");
        assert_eq!(text.contains("a=end-of-candidates"), complete, "{text}");
    }
    world.connect();
}

#[test]
fn who_wants_relays_only_tells_and_uses_no_other_address() {
    let mut left = config(1, vec![turn(), stun()]);
    left.ice_transport_policy = IceTransportPolicy::Relay;
    let mut world = World::new([Access::Open; 2], [left, config(2, Vec::new())]);
    world
        .end_mut(LEFT)
        .peer
        .add_tcp_candidate("203.0.113.2:443".parse().unwrap());
    world.run(Duration::from_millis(300));
    let [offer, _] = world.negotiate();
    world.connect();
    world.talk(Duration::from_secs(2));
    world.stop();
    world.assert_heard();
    for text in [&offer, &world.told(LEFT)] {
        assert!(!text.contains("203.0.113.2"), "{text}");
        assert!(
            text.lines()
                .flat_map(World::kinds)
                .all(|kind| kind == CandidateKind::Relayed)
        );
        assert!(text.contains(" typ relay"));
    }
    assert!(world.is_relayed(LEFT));
    let server: SocketAddr = SERVER.parse().unwrap();
    assert!(world.end(LEFT).paths.iter().all(|path| path.remote == server));
    // Who guesses the address gets no answer: the check would have opened a path.
    let right = &world.end(RIGHT).peer;
    let remote = right.selected_path().unwrap().remote;
    assert_eq!(remote.ip(), server.ip());
    let ufrag = offer
        .lines()
        .find_map(|line| line.strip_prefix("a=ice-ufrag:"))
        .unwrap();
    let pwd = offer.lines().find_map(|line| line.strip_prefix("a=ice-pwd:")).unwrap();
    let mut check = check(ufrag, pwd);
    let path = wire::Path::udp("203.0.113.2:5000".parse().unwrap(), "203.0.113.3:5000".parse().unwrap());
    let now = world.sim.now();
    let Shell { peer, sink, .. } = world.end_mut(LEFT);
    peer.handle_datagram(now, &path, &mut check, sink);
    assert!(!peer.is_validated(&path));
    world.run(Duration::from_millis(500));
    assert_eq!(world.end(LEFT).counters().get("not_relayed"), Some(&1));
    assert!(world.end(LEFT).paths.iter().all(|path| path.remote == server));
}

/// A check with the right password.
fn check(ufrag: &str, pwd: &str) -> Vec<u8> {
    let mut out = [0; 200];
    let id = stun::TransactionId([1; 12]);
    let mut check = stun::Builder::new(&mut out, stun::Class::Request, stun::Method::BINDING, id).unwrap();
    check.push(&stun::Value::Username(&format!("{ufrag}:them"))).unwrap();
    check.push(&stun::Value::IceControlled(1)).unwrap();
    check.push(&stun::Value::Priority(1)).unwrap();
    check.integrity(&stun::Key::short_term(pwd)).unwrap();
    check.fingerprint().unwrap();
    check.finish().to_vec()
}

#[test]
fn a_stun_server_is_enough_where_holes_can_be_punched() {
    for (servers, meet) in [(vec![stun()], true), (Vec::new(), false)] {
        let mut world = call([Access::EimApdf; 2], [servers.clone(), servers]);
        world.negotiate();
        if !meet {
            world.run(Duration::from_secs(3));
            assert_eq!(world.end(LEFT).peer.state(), State::Connecting);
            continue;
        }
        world.connect();
        world.talk(Duration::from_secs(2));
        world.stop();
        world.assert_heard();
        assert!(!world.is_relayed(LEFT) && !world.is_relayed(RIGHT));
        let now = world.sim.now();
        assert_eq!(world.sim.get(world.turn).allocations(now), 0);
    }
}

#[test]
fn a_restart_keeps_media_and_allocations() {
    let mut world = call([Access::ApdmApdf; 2], [vec![turn()], vec![turn()]]);
    world.negotiate();
    world.connect();
    world.talk(Duration::from_secs(1));
    let allocated = world
        .told(LEFT)
        .lines()
        .filter(|line| line.contains("typ relay"))
        .count();
    for _ in 0..3 {
        let before: Vec<String> = world.end(LEFT).peer.local_ufrags().map(str::to_owned).collect();
        let now = world.sim.now();
        world.end_mut(LEFT).peer.restart_ice(now).unwrap();
        let [offer, _] = world.negotiate();
        assert!(!offer.contains(&before[0]));
        world.talk(Duration::from_secs(6));
        assert_eq!(
            world.end(LEFT).peer.local_ufrags().count(),
            1,
            "the restart came to its end"
        );
        assert_eq!(world.end(RIGHT).peer.local_ufrags().count(), 1);
    }
    world.stop();
    world.assert_heard();
    assert!(world.is_relayed(LEFT) || world.is_relayed(RIGHT));
    // Told again in each session.
    let told = world.told(LEFT);
    let relayed: BTreeSet<&str> = told.lines().filter(|line| line.contains("typ relay")).collect();
    assert_eq!(relayed.len(), 4 * allocated);
    let addresses: BTreeSet<&str> = relayed.iter().filter_map(|line| line.split(' ').nth(5)).collect();
    assert_eq!(addresses.len(), allocated);
    let now = world.sim.now();
    assert_eq!(world.sim.get(world.turn).allocations(now), 2);
}

#[test]
fn whose_addresses_change_is_permitted_after_many_restarts() {
    // By relays only, so that the path stays the same one: what is forgotten is not forgotten with a path.
    let mut left = config(1, vec![turn()]);
    left.ice_transport_policy = IceTransportPolicy::Relay;
    let mut world = World::new([Access::Open; 2], [left, config(2, Vec::new())]);
    world.run(Duration::from_millis(300));
    world.negotiate();
    world.connect();
    // A client knows 128 peers at most.
    for restart in 0..4_u8 {
        let now = world.sim.now();
        world.end_mut(LEFT).peer.restart_ice(now).unwrap();
        world.negotiate();
        let ufrag = world.end(RIGHT).peer.local_ufrags().next().unwrap().to_owned();
        for nth in 1..=60 {
            let candidate = format!("candidate:9 1 udp 1000 192.0.{restart}.{nth} 5000 typ host ufrag {ufrag}");
            let now = world.sim.now();
            let peer = &mut world.end_mut(LEFT).peer;
            peer.add_remote_candidate(now, None, &candidate).unwrap();
        }
        world.run(Duration::from_secs(10));
        assert_eq!(world.end(LEFT).counters().get("relay_blocked"), None, "{restart}");
    }
    assert_eq!(world.end(LEFT).counters().get("ice_remote_candidates_dropped"), None);
}

#[test]
fn where_udp_is_blocked_the_relay_is_reached_over_tcp() {
    let mut world = call(
        [Access::UdpBlocked, Access::ApdmApdf],
        [vec![turn_over_tcp()], vec![stun()]],
    );
    world.negotiate();
    world.connect();
    world.talk(Duration::from_secs(3));
    world.stop();
    world.assert_heard();
    assert!(world.is_relayed(LEFT));
    let tcp = world
        .end(LEFT)
        .paths
        .iter()
        .any(|path| path.protocol == wire::Protocol::Tcp);
    assert!(tcp);
}

#[test]
fn a_wrong_password_is_told_and_the_call_goes_on_without_relay() {
    let wrong = server("turn", "not it");
    let mut world = call([Access::EimApdf; 2], [vec![wrong.clone()], vec![wrong]]);
    world.negotiate();
    world.connect();
    world.talk(Duration::from_secs(2));
    world.stop();
    world.assert_heard();
    let failed = Event::RelayFailed {
        server: format!("turn:{SERVER}"),
        reason: "the TURN server does not accept username and password; check both".to_owned(),
    };
    assert!(world.end(LEFT).events.contains(&failed), "{:?}", world.end(LEFT).events);
    assert!(world.end(LEFT).events.contains(&Event::GatheringComplete));
    assert_eq!(world.end(LEFT).counters().get("relays_failed"), Some(&1));
}

#[test]
fn a_stream_that_cannot_be_opened_is_told() {
    let nobody = IceServer::new("turn:198.51.100.1:9?transport=tcp", &[], Some((USER, PASSWORD))).unwrap();
    let mut world = call([Access::Open; 2], [vec![nobody], Vec::new()]);
    world.negotiate();
    world.connect();
    world.run(Duration::from_secs(1));
    let failed =
        |event: &Event| matches!(event, Event::RelayFailed { reason, .. } if reason.contains("check its name"));
    assert!(
        world.end(LEFT).events.iter().any(failed),
        "{:?}",
        world.end(LEFT).events
    );
    assert!(world.end(LEFT).events.contains(&Event::GatheringComplete));
}

#[test]
fn a_better_path_is_taken_later_only_where_both_signal_renomination() {
    for signalled in [true, false] {
        let mut world = call([Access::Open; 2], [vec![turn()], vec![turn()]]);
        world.passes = |candidate| candidate.contains("typ relay");
        world.run(Duration::from_millis(300));
        world.negotiate_signalling(signalled);
        world.connect();
        world.talk(Duration::from_secs(2));
        let relayed = |world: &World| {
            let path = world.end(LEFT).peer.selected_path().unwrap();
            let server: SocketAddr = SERVER.parse().unwrap();
            path.local.ip() == server.ip() || path.remote.ip() == server.ip()
        };
        assert!(relayed(&world));
        world.pass_hosts();
        world.talk(Duration::from_secs(3));
        assert_eq!(relayed(&world), !signalled);
        world.stop();
        let heard = world.end(RIGHT).sink.rtp.len() as u64;
        assert_eq!(heard, world.end(LEFT).sent);
    }
}

#[test]
fn who_nominates_is_told_that_only_a_restart_can_name_another_pair() {
    for signalled in [true, false] {
        let mut world = call([Access::Open; 2], [vec![turn_over_tcp()], vec![turn()]]);
        world.passes = |candidate| candidate.contains("typ relay");
        world.negotiate_signalling(signalled);
        world.connect();
        // The nomination waits for better pairs for a second at most.
        world.talk(Duration::from_secs(2));
        world.pass_hosts();
        world.talk(Duration::from_secs(2));
        assert_eq!(world.is_relayed(LEFT), !signalled);
        assert_eq!(world.restarts_needed(), [0, 0]);
        let now = world.sim.now();
        world.end_mut(LEFT).peer.relay_stream_closed(now, RelayStreamId(0));
        world.talk(Duration::from_secs(3));
        assert_eq!(world.restarts_needed(), [usize::from(!signalled), 0], "{signalled}");
        // Media goes on without it.
        assert_eq!(world.end(LEFT).peer.state(), State::Connected);
        assert!(!world.is_relayed(LEFT));
    }
}

#[test]
fn either_end_is_told_that_no_pair_is_left_without_its_relay() {
    for end in [LEFT, RIGHT] {
        let mut configs = [config(1, Vec::new()), config(2, Vec::new())];
        configs[end].ice_servers = vec![turn_over_tcp()];
        configs[end].ice_transport_policy = IceTransportPolicy::Relay;
        let mut world = World::new([Access::Open; 2], configs);
        world.run(Duration::from_millis(300));
        // With renomination, so that nothing else needs a restart.
        world.negotiate_signalling(true);
        world.connect();
        world.talk(Duration::from_secs(2));
        assert_eq!(world.restarts_needed(), [0, 0]);
        let now = world.sim.now();
        world.end_mut(end).peer.relay_stream_closed(now, RelayStreamId(0));
        world.run(Duration::from_secs(1));
        let mut told = [0, 0];
        told[end] = 1;
        assert_eq!(world.restarts_needed(), told);
        assert_eq!(world.end(end).peer.state(), State::Disconnected);
    }
}

#[test]
fn relays_are_bounded() {
    let mut left = config(1, Vec::new());
    let many = |scheme: &str| -> Vec<IceServer> {
        let uri = |nth| format!("{scheme}:192.0.2.{nth}");
        (1..=10)
            .map(|nth| IceServer::new(&uri(nth), &[], Some(("u", "p"))).unwrap())
            .collect()
    };
    left.ice_servers = many("stun");
    let world = World::new([Access::Open; 2], [left.clone(), config(2, Vec::new())]);
    assert_eq!(
        world.end(LEFT).counters().get("relays_dropped"),
        None,
        "those are any number"
    );
    // Each is asked for what it sees, and eight for a relay.
    left.ice_servers = many("turn");
    let world = World::new([Access::Open; 2], [left, config(2, Vec::new())]);
    assert_eq!(world.end(LEFT).counters().get("relays_dropped"), Some(&2));
}

#[test]
fn nothing_but_round_trips_is_waited_for() {
    let mut world = call([Access::Open; 2], [Vec::new(), Vec::new()]);
    world.run(Duration::from_millis(300));
    let offered = world.sim.now();
    world.negotiate();
    let answered = world.sim.now();
    world.connect();
    let [left, right] = [LEFT, RIGHT].map(|end| &world.end(end).first);
    let round_trip = left.response.unwrap() - left.check.unwrap();
    assert!(round_trip > Duration::from_millis(10), "{round_trip:?}");
    // Who answers knows all candidates first, and has a usable pair after one round trip; the handshake is begun by the
    // other.
    let accepted = offered + Duration::from_millis(50);
    assert_eq!(right.check, Some(accepted));
    assert_eq!(right.response, Some(accepted + round_trip));
    // Who offers has one after its own first round trip, begins the handshake on it and names it at once: it is the
    // selected one after the second.
    assert_eq!(left.check, Some(answered));
    assert_eq!(left.handshake, Some(answered + round_trip));
    assert_eq!(left.nomination, Some(answered + round_trip));
    assert_eq!(left.nominated, Some(answered + 2 * round_trip));
}

#[test]
fn the_slower_end_sets_the_pace() {
    /// How long it takes from the answer on when one end reads another pace than the other end has written.
    fn took(read: [Option<&str>; 2]) -> Duration {
        let mut world = call([Access::ApdmApdf; 2], [vec![turn()], vec![turn()]]);
        world.run(Duration::from_millis(300));
        let change = |text: String, pace: Option<&str>| match pace {
            Some(pace) => text.replace("a=ice-pacing:50", pace),
            None => text,
        };
        let offer = world.end_mut(LEFT).peer.offer().unwrap();
        let now = world.sim.now();
        let answer = world.end_mut(RIGHT).peer.accept_offer(now, &change(offer, read[RIGHT]));
        let answer = change(answer.unwrap(), read[LEFT]);
        world.end_mut(LEFT).peer.accept_answer(now, &answer).unwrap();
        let begin = world.sim.now();
        world.connect();
        world.sim.now() - begin
    }
    let usual = took([None, None]);
    assert!(usual < Duration::from_millis(600), "{usual:?}");
    for read in [[Some("a=ice-pacing:5"), None], [None, Some("a=ice-pacing:5")]] {
        assert_eq!(took(read), usual, "we propose 50 ms");
    }
    // Pairs that lead nowhere are checked before that which works.
    for slow in ["a=ice-pacing:400", "a=ice-pacing:9999999999"] {
        for read in [[Some(slow), None], [None, Some(slow)]] {
            let took = took(read);
            assert!(took > usual + Duration::from_millis(150), "{usual:?} {took:?}");
            assert!(took < Duration::from_secs(5), "{took:?}");
        }
    }
}

#[test]
fn a_lite_peer_signals_no_renomination_and_asks_no_server() {
    let mut right = config(2, vec![turn()]);
    right.ice.mode = ice::Mode::Lite;
    let mut world = World::new([Access::ApdmApdf, Access::Open], [config(1, vec![turn()]), right]);
    let [offer, answer] = world.negotiate();
    assert!(offer.contains("renomination") && !answer.contains("renomination"));
    assert!(answer.contains("a=ice-lite") && answer.contains("a=end-of-candidates"));
    // RFC 8839 §4.3.2.
    assert!(offer.contains("a=ice-pacing:50\r\n") && !answer.contains("ice-pacing"));
    world.connect();
    world.talk(Duration::from_secs(1));
    world.stop();
    assert!(world.told(RIGHT).is_empty());
    assert!(
        world.end(RIGHT).counters().is_empty(),
        "{:?}",
        world.end(RIGHT).counters()
    );
}
