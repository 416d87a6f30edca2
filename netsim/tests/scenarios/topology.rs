use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use netsim::shapes::{Access, PairConfig, pair};
use netsim::{Dependence, DropReason, Firewall, IcmpError, Link, Sim, Verdict, Way};

use crate::probe::{Probe, addr, ms, secs};

const IN6: &str = "[2001:db8:0:1::2]:5000";
const OUT6: &str = "[2001:db8:0:5::1]:3478";
const OUT6_PORT: &str = "[2001:db8:0:5::1]:3479";

#[test]
fn a_firewall_lets_only_answers_in() {
    for (filtering, other_port) in [
        (Dependence::EndpointIndependent, true),
        (Dependence::Address, true),
        (Dependence::AddressAndPort, false),
    ] {
        let mut sim = Sim::new(1);
        let (a, b) = (sim.add_host("a"), sim.add_host("b"));
        let config = Firewall {
            filtering,
            udp_timeout: secs(120),
            ..Firewall::default()
        };
        let firewall = sim.add_firewall("firewall", config);
        sim.attach(a, firewall.inside(), &[addr(IN6).ip()], Link::with_delay(ms(1)));
        sim.attach(b, firewall.outside(), &[addr(OUT6).ip()], Link::with_delay(ms(1)));
        let inside = Probe::bound(&mut sim, a, addr(IN6));
        let outside = Probe::bound(&mut sim, b, addr(OUT6));
        sim.sockets(outside).bind_udp(addr(OUT6_PORT)).unwrap();
        let comes = |sim: &mut Sim, from: &str| {
            let before = sim.get(inside).got.len();
            sim.get_mut(outside).send(addr(from), addr(IN6), b"in");
            sim.run_for(ms(10)).unwrap();
            sim.get(inside).got.len() > before
        };
        assert!(!comes(&mut sim, OUT6), "nothing went out yet");
        assert_eq!(sim.counters().dropped_for(DropReason::FirewallInbound), 1);
        sim.get_mut(inside).send(addr(IN6), addr(OUT6), b"out");
        sim.run_for(ms(10)).unwrap();
        assert_eq!(sim.get(outside).got[0].path.remote, addr(IN6), "nothing is translated");
        assert!(comes(&mut sim, OUT6));
        assert_eq!(comes(&mut sim, OUT6_PORT), other_port, "{filtering:?}");
        sim.run_for(secs(120)).unwrap();
        assert!(!comes(&mut sim, OUT6), "it has forgotten");
    }
}

#[test]
fn a_firewall_that_is_full_says_so() {
    let mut sim = Sim::new(1);
    let (a, b) = (sim.add_host("a"), sim.add_host("b"));
    let config = Firewall {
        max_states: 1,
        ..Firewall::default()
    };
    let firewall = sim.add_firewall("firewall", config);
    sim.attach(a, firewall.inside(), &[addr(IN6).ip()], Link::default());
    sim.attach(b, firewall.outside(), &[addr(OUT6).ip()], Link::default());
    let inside = Probe::bound(&mut sim, a, addr(IN6));
    Probe::bound(&mut sim, b, addr(OUT6));
    let second = sim.sockets(inside).bind_udp((addr(IN6).ip(), 5001).into()).unwrap();
    for local in [addr(IN6), second] {
        sim.get_mut(inside).send(local, addr(OUT6), b"out");
    }
    sim.run_for(ms(1)).unwrap();
    let counters = sim.counters();
    assert_eq!(counters.drops().collect::<Vec<_>>(), [(DropReason::FirewallFull, 1)]);
}

#[test]
fn two_nats_translate_twice_and_the_same_addresses_live_in_both_homes() {
    let mut pair = pair(1, PairConfig::new(Access::DoubleNat, Access::EimEif));
    assert_eq!(pair.left.addresses, pair.right.addresses);
    let server = Probe::echo(&mut pair.sim, pair.server, addr("198.51.100.1:3478"));
    let local = SocketAddr::new(pair.left.addresses[0], 5000);
    let left = Probe::bound(&mut pair.sim, pair.left.host, local);
    pair.sim.get_mut(left).send(local, addr("198.51.100.1:3478"), b"hello");
    pair.sim.run_for(secs(1)).unwrap();
    assert_eq!(pair.sim.get(server).got[0].path.remote, addr("203.0.113.2:5000"));
    assert_eq!(pair.sim.get(left).got.len(), 1);
    for nat in [pair.left.nat, pair.left.provider_nat] {
        assert_eq!(pair.sim.mappings(nat.unwrap()), 1);
    }
}

#[test]
fn the_access_of_a_peer_is_the_link_that_the_configuration_means() {
    for access in Access::ALL {
        let mut pair = pair(1, PairConfig::new(access, Access::Open));
        assert_eq!(pair.sim.direction_mut(pair.left.access, Way::Forward).delay, ms(10));
        let left = Probe::add(&mut pair.sim, pair.left.host, "left");
        let local = pair
            .sim
            .sockets(left)
            .bind_udp((pair.left.addresses[0], 0).into())
            .unwrap();
        let seen = Rc::new(RefCell::new(Vec::new()));
        let noted = seen.clone();
        pair.sim.set_hook(pair.left.access, Way::Forward, move |_, packet| {
            noted.borrow_mut().push(packet.source.ip());
            Verdict::Pass
        });
        pair.sim.get_mut(left).send(local, addr("198.51.100.1:9"), b"x");
        pair.sim.run_for(secs(1)).unwrap();
        let expected = if access == Access::UdpBlocked {
            vec![]
        } else {
            vec![addr("203.0.113.2:0").ip()]
        };
        assert_eq!(*seen.borrow(), expected, "{access}");
    }
}

#[test]
fn addresses_come_and_go() {
    let mut sim = Sim::new(1);
    let (a, b) = (sim.add_host("a"), sim.add_host("b"));
    let link = sim.attach(a, b, &[addr("10.0.0.1:0").ip()], Link::with_delay(ms(1)));
    sim.add_address(b, link, addr("10.0.0.2:0").ip());
    let left = Probe::bound(&mut sim, a, addr("10.0.0.1:1"));
    let right = Probe::bound(&mut sim, b, addr("0.0.0.0:2"));
    let send = |sim: &mut Sim, to: &str| {
        sim.get_mut(left).send(addr("10.0.0.1:1"), addr(to), b"x");
        sim.run_for(ms(10)).unwrap();
        sim.get(right).got.len()
    };
    assert_eq!(send(&mut sim, "10.0.0.2:2"), 1);
    sim.remove_address(b, addr("10.0.0.2:0").ip());
    assert_eq!(send(&mut sim, "10.0.0.2:2"), 1);
    assert_eq!(sim.counters().dropped_for(DropReason::NoAddress), 1);
    sim.add_address(b, link, addr("10.0.0.3:0").ip());
    assert_eq!(send(&mut sim, "10.0.0.3:2"), 2);
    sim.remove_address(a, addr("10.0.0.1:0").ip());
    assert_eq!(send(&mut sim, "10.0.0.3:2"), 2);
}

#[test]
fn a_router_without_a_way_says_so() {
    let mut pair = pair(1, PairConfig::new(Access::EimEif, Access::Open));
    let local = SocketAddr::new(pair.left.addresses[0], 5000);
    let left = Probe::bound(&mut pair.sim, pair.left.host, local);
    pair.sim.get_mut(left).send(local, addr("8.8.8.8:53"), b"?");
    pair.sim.run_for(secs(1)).unwrap();
    assert_eq!(pair.sim.get(left).errors[0].1, IcmpError::HostUnreachable);
    assert_eq!(pair.sim.counters().dropped_for(DropReason::NoRoute), 1);
}
