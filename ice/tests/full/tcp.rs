use std::time::Duration;

use ice::{Candidate, Config, Event, Role};
use netsim::{Link, LinkId, Sim};
use wire::Protocol;

use crate::shell::address;
use crate::world::{World, back};

const ACTIVE: &str = "203.0.113.2:9";
const PASSIVE: &str = "203.0.113.3:7000";

/// One that opens connections and one that takes them, and the link of the latter.
fn connecting(listens: bool) -> (World, LinkId) {
    let mut sim = Sim::new(1);
    let internet = sim.add_router("internet");
    let hosts = [sim.add_host("left"), sim.add_host("right")];
    let link = |delay| Link::with_delay(Duration::from_millis(delay));
    sim.attach(hosts[0], internet, &[address(ACTIVE).ip()], link(20));
    let right = sim.attach(hosts[1], internet, &[address(PASSIVE).ip()], link(5));
    let mut world = World::new(
        sim,
        hosts,
        [Config::full(Role::Controlling), Config::full(Role::Controlled)],
    );
    world
        .agent_mut(0)
        .add_local_candidate(Candidate::tcp_active(address(ACTIVE).ip(), 8191));
    if listens {
        world.sim.sockets(world.ends[1]).listen_tcp(address(PASSIVE)).unwrap();
    }
    let passive = Candidate::host(address(PASSIVE), Protocol::Tcp, 8191);
    world.agent_mut(1).add_local_candidate(passive);
    world.signal();
    (world, right)
}

#[test]
fn an_active_candidate_connects_to_a_passive_one() {
    let (mut world, _) = connecting(true);
    assert!(world.run_until(Duration::from_secs(2), World::have_concluded));
    let selected = [0, 1].map(|end| world.agent(end).selected().unwrap());
    assert_eq!(selected[0].protocol, Protocol::Tcp);
    // RFC 6544 §4.5: port 9 is only what is signalled.
    assert_ne!(selected[0].local.port(), 9);
    assert_eq!(back(selected[0]), selected[1]);
    world.assert_same_pair();
    world.run(Duration::from_secs(60));
    assert!(world.have_concluded());
    let opened = |event: &&Event| matches!(event, Event::OpenConnection(_));
    assert_eq!(world.sim.get(world.ends[0]).events.iter().filter(opened).count(), 1);
    for end in [0, 1] {
        let bad: Vec<_> = world
            .agent(end)
            .counters()
            .iter()
            .filter(|(_, count)| *count > 0)
            .collect();
        assert!(bad.is_empty(), "{bad:?}");
    }
}

#[test]
fn a_connection_that_is_refused_is_a_pair_that_fails() {
    let (mut world, _) = connecting(false);
    world.run(Duration::from_secs(39));
    assert_eq!(world.agent(0).state(), ice::State::Checking);
    world.run(Duration::from_secs(1));
    assert_eq!(world.agent(0).state(), ice::State::Failed);
}

#[test]
fn a_connection_that_is_lost_ends_its_pair() {
    let (mut world, _) = connecting(true);
    assert!(world.run_until(Duration::from_secs(2), World::have_concluded));
    let path = world.agent(1).selected().unwrap();
    world.sim.sockets(world.ends[1]).reset(&path);
    let now = world.sim.now();
    world.agent_mut(1).handle_closed(now, &path);
    world.run(Duration::from_secs(1));
    for end in [0, 1] {
        assert_eq!(
            (world.agent(end).state(), world.agent(end).selected()),
            (ice::State::Disconnected, None)
        );
    }
    assert!(world.sim.get(world.ends[0]).events.contains(&Event::NeedsRestart));
}
