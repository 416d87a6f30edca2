use std::time::Duration;

use ice::{CandidateKind, Config, Event, GatheringState, Role, State};
use netsim::shapes::{Access, Pair, PairConfig, pair};
use netsim::{EndpointId, Sim};

use crate::shell::{StunServer, address};
use crate::world::World;

/// Two agents behind what is to be tested, with a STUN server, and what is needed to look at both.
fn behind(run: u64, left: Access, right: Access, stun_servers: &[&str]) -> (World, EndpointId<StunServer>) {
    let mut net = pair(run, PairConfig::new(left, right));
    // The simulation goes to the world, the rest stays.
    let mut sim = std::mem::replace(&mut net.sim, Sim::new(0));
    let Pair { server, .. } = net;
    let stun = sim.add_endpoint(server, "stun", StunServer::default());
    sim.sockets(stun).bind_udp(address("198.51.100.1:3478")).unwrap();
    let config = |role| Config {
        stun_servers: stun_servers.iter().map(|server| address(server)).collect(),
        ..Config::full(role)
    };
    let configs = [config(Role::Controlling), config(Role::Controlled)];
    let mut world = World::new(sim, [net.left.host, net.right.host], configs);
    world.signalling = Duration::from_millis(50);
    for (end, peer) in [&net.left, &net.right].into_iter().enumerate() {
        world.bind(end, (peer.addresses[0], 5000).into(), 65_535);
        world.agent_mut(end).end_of_local_candidates();
    }
    (world, stun)
}

/// Whether holes can be punched (RFC 5128 §3.3): not from a mapping that depends on the destination to a filter that
/// asks for the port.
fn can_meet(left: Access, right: Access) -> bool {
    use Access::{AdmApdf, ApdmApdf, DoubleNat, EimApdf, UdpBlocked};
    let wanders = |access| matches!(access, AdmApdf | ApdmApdf);
    let minds_ports = |access| matches!(access, EimApdf | AdmApdf | ApdmApdf | DoubleNat);
    let blocked = left == UdpBlocked || right == UdpBlocked;
    let hopeless = wanders(left) && minds_ports(right) || wanders(right) && minds_ports(left);
    !(blocked || hopeless)
}

#[test]
fn all_meet_who_can() {
    for left in Access::ALL {
        for right in Access::ALL {
            let (mut world, _) = behind(1, left, right, &["198.51.100.1:3478"]);
            world.signal();
            let met = world.run_until(Duration::from_secs(10), World::have_concluded);
            assert_eq!(met, can_meet(left, right), "{left} {right}");
            if met {
                world.assert_same_pair();
                // Through a NAT the kernel of the matter is consent: it keeps the mapping, too.
                world.run(Duration::from_secs(120));
                world.assert_same_pair();
                continue;
            }
            world.run(Duration::from_secs(100));
            for end in [0, 1] {
                assert_eq!(world.agent(end).state(), State::Failed, "{left} {right}");
                assert_eq!(world.agent(end).selected(), None);
            }
        }
    }
}

#[test]
fn the_mapping_is_a_candidate_and_refreshed_until_it_is_used() {
    let (mut world, stun) = behind(2, Access::EimApdf, Access::Open, &["198.51.100.1:3478"]);
    assert!(world.run_until(Duration::from_secs(1), |world| {
        world.agent(0).gathering_state() == GatheringState::Complete
    }));
    let candidates = world.agent(0).local_candidates();
    assert_eq!(candidates.len(), 2);
    assert_eq!(candidates[1].kind, CandidateKind::ServerReflexive);
    assert_eq!(candidates[1].related, Some(candidates[0].address));
    assert_eq!(candidates[1].address.ip(), address("203.0.113.2:0").ip());
    // RFC 8445 §5.1.2.1 with the type preference of §5.1.2.2.
    assert_eq!(candidates[1].priority, (100 << 24) | (65_535 << 8) | 255);
    assert_ne!(candidates[0].foundation, candidates[1].foundation);
    // In the open the server sees what is known already.
    assert_eq!(world.agent(1).local_candidates().len(), 1);
    assert_eq!(world.agent(1).gathering_state(), GatheringState::Complete);
    let told: Vec<_> = world.sim.get(world.ends[0]).events.clone();
    let told: Vec<_> = told
        .iter()
        .filter(|event| !matches!(event, Event::StateChanged(_)))
        .collect();
    assert_eq!(
        told,
        [
            &Event::GatheringChanged(GatheringState::Gathering),
            &Event::CandidateGathered(world.agent(0).local_candidates()[0].clone()),
            &Event::CandidateGathered(world.agent(0).local_candidates()[1].clone()),
            &Event::GatheringChanged(GatheringState::Complete),
        ]
    );
    // Every 15 s each.
    world.run(Duration::from_secs(61));
    assert_eq!(world.sim.get(stun).asked, 2 + 2 * 4);
    world.signal();
    assert!(world.run_until(Duration::from_secs(2), World::have_concluded));
    let asked = world.sim.get(stun).asked;
    world.run(Duration::from_secs(60));
    assert_eq!(world.sim.get(stun).asked, asked, "consent keeps the mapping now");
}

#[test]
fn a_silent_stun_server_only_takes_time() {
    let (mut world, _) = behind(3, Access::EimEif, Access::Open, &["198.51.100.2:3478"]);
    world.signal();
    assert!(world.run_until(Duration::from_secs(2), World::have_concluded));
    let elapsed = world.sim.elapsed();
    world.run(Duration::from_millis(4900) - elapsed);
    assert_eq!(world.agent(0).gathering_state(), GatheringState::Gathering);
    world.run(Duration::from_millis(200));
    assert_eq!(world.agent(0).gathering_state(), GatheringState::Complete);
    assert!(world.agent(1).has_all_remote_candidates());
}

#[test]
fn a_peer_behind_a_nat_is_known_by_its_checks() {
    let (mut world, _) = behind(4, Access::ApdmApdf, Access::Open, &[]);
    world.signal();
    assert!(world.run_until(Duration::from_secs(2), World::have_concluded));
    world.assert_same_pair();
    let learnt = &world.agent(1).remote_candidates()[1];
    // RFC 8445 §7.3.1.3: its PRIORITY, and a foundation like no other.
    assert_eq!(
        (learnt.kind, learnt.address.ip()),
        (CandidateKind::PeerReflexive, address("203.0.113.2:0").ip())
    );
    assert_eq!(learnt.priority, (110 << 24) | (65_535 << 8) | 255);
    assert_ne!(learnt.foundation, world.agent(1).remote_candidates()[0].foundation);
    for end in [0, 1] {
        assert!(world.agent(end).counters().iter().all(|(_, count)| count == 0));
    }
}
