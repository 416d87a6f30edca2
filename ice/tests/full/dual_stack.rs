//! Hosts with addresses of both families: what RFC 8421 wants of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ice::{Candidate, Config, Role, host_candidates};
use netsim::shapes::{Access, PairConfig, pair};
use netsim::{HostId, Link, PacketView, Sim, Verdict, Way};
use wire::Protocol;

use crate::world::World;

const TA: Duration = Duration::from_millis(50);

/// Two agents that have a host candidate on each of their addresses.
fn agents(sim: Sim, hosts: [HostId; 2], addresses: [Vec<IpAddr>; 2]) -> World {
    let configs = [Role::Controlling, Role::Controlled].map(Config::full);
    let mut world = World::new(sim, hosts, configs);
    for (end, addresses) in addresses.into_iter().enumerate() {
        for candidate in candidates(&addresses) {
            world.bind(end, candidate.address, candidate.local_preference());
        }
        world.agent_mut(end).end_of_local_candidates();
    }
    world
}

fn candidates(addresses: &[IpAddr]) -> Vec<Candidate> {
    host_candidates(addresses.iter().map(|ip| (SocketAddr::new(*ip, 5000), Protocol::Udp)))
}

#[test]
fn ipv6_is_used_where_both_work() {
    use Access::{ApdmApdf, EimApdf, Open};
    for (left, right) in [(Open, Open), (Open, ApdmApdf), (EimApdf, EimApdf), (ApdmApdf, ApdmApdf)] {
        let mut config = PairConfig::new(left, right);
        config.ipv6 = true;
        let mut net = pair(1, config);
        let sim = std::mem::replace(&mut net.sim, Sim::new(0));
        let addresses = [net.left.addresses, net.right.addresses];
        let mut world = agents(sim, [net.left.host, net.right.host], addresses);
        world.signal();
        assert!(
            world.run_until(Duration::from_secs(1), World::have_concluded),
            "{left} {right}"
        );
        world.assert_same_pair();
        let selected = world.agent(0).selected().unwrap();
        assert!(selected.remote.is_ipv6(), "{left} {right}: {selected:?}");
    }
}

/// Four addresses of IPv6 and two of IPv4.
fn six(end: u8) -> Vec<IpAddr> {
    let v6 = (1..=4).map(|n| IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0, end.into(), 0, 0, 0, n)));
    let v4 = (1..=2).map(|n| IpAddr::from(Ipv4Addr::new(203, 0, 113, 10 * (end + 1) + n)));
    v6.chain(v4).collect()
}

#[test]
fn the_families_are_intermingled_so_that_a_dead_one_does_not_starve_the_other() {
    // RFC 8421 §4: Hi = (2 + 4) / 2 = 3 of IPv6 before each of IPv4.
    let families: Vec<bool> = candidates(&six(0)).iter().map(|one| one.address.is_ipv6()).collect();
    assert_eq!(families, [true, true, true, false, true, false]);

    let mut sim = Sim::new(1);
    let internet = sim.add_router("internet");
    let hosts = [sim.add_host("left"), sim.add_host("right")];
    for (end, host) in hosts.into_iter().enumerate() {
        let link = sim.attach(
            host,
            internet,
            &six(end as u8),
            Link::with_delay(Duration::from_millis(5)),
        );
        let broken = |_, packet: &PacketView<'_>| {
            if packet.destination.is_ipv6() {
                Verdict::Drop
            } else {
                Verdict::Pass
            }
        };
        sim.set_hook(link, Way::Forward, broken);
    }
    let mut world = agents(sim, hosts, [six(0), six(1)]);
    world.signal();
    assert!(world.run_until(Duration::from_secs(3), World::have_concluded));
    let requests = &world.sim.get(world.ends[0]).requests;
    let (nth, (at, path)) = requests
        .iter()
        .enumerate()
        .find(|(_, (_, path))| path.remote.is_ipv4())
        .expect("IPv4 is checked");
    // Only the pairs of the three that come before are better; of all of IPv6 there are sixteen.
    assert_eq!((nth, *at - requests[0].0), (9, 9 * TA));
    // The best of IPv4 works at once, and is the one.
    assert_eq!(world.agent(0).selected(), Some(*path));
    world.assert_same_pair();
}
