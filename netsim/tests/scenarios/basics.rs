use std::cell::RefCell;
use std::rc::Rc;

use netsim::shapes::{Access, PairConfig, pair};
use netsim::{Link, Sim, SocketError, TraceEvent, TraceHash};

use crate::probe::{Probe, addr, ms, secs};

#[test]
fn a_datagram_takes_the_delay_of_its_links() {
    let mut sim = Sim::new(1);
    let (a, b) = (sim.add_host("a"), sim.add_host("b"));
    let router = sim.add_router("router");
    sim.attach(a, router, &[addr("10.0.0.1:0").ip()], Link::with_delay(ms(3)));
    sim.attach(b, router, &[addr("10.0.0.2:0").ip()], Link::with_delay(ms(4)));
    let left = Probe::bound(&mut sim, a, addr("10.0.0.1:1000"));
    let right = Probe::echo(&mut sim, b, addr("10.0.0.2:2000"));
    sim.get_mut(left)
        .send(addr("10.0.0.1:1000"), addr("10.0.0.2:2000"), b"hello");
    assert!(sim.run_until_idle(secs(1)).unwrap());
    assert_eq!(sim.get(right).got[0].at, ms(7));
    assert_eq!(sim.get(left).got[0].at, ms(14));
    assert_eq!(sim.get(left).got[0].bytes, b"hello");
    assert_eq!(sim.counters().delivered, 2);
    assert_eq!(sim.counters().dropped(), 0);
}

#[test]
fn a_wildcard_takes_the_port_of_each_address_of_its_family() {
    let mut sim = Sim::new(1);
    let (a, b) = (sim.add_host("a"), sim.add_host("b"));
    let addresses = ["10.0.0.1:0", "10.0.0.2:0", "[2001:db8::1]:0"].map(|text| addr(text).ip());
    sim.attach(a, b, &addresses, Link::default());
    let probe = Probe::add(&mut sim, a, "probe");
    let mut sockets = sim.sockets(probe);
    let (one, other) = (addr("10.0.0.1:5000"), addr("10.0.0.2:5000"));
    let (any, any6) = (addr("0.0.0.0:5000"), addr("[::]:5000"));
    let in_use = |local| Err(SocketError::InUse(local));
    // The one with the address first, then the one with the wildcard.
    sockets.bind_udp(one).unwrap();
    assert_eq!(sockets.bind_udp(any), in_use(any));
    sockets.bind_udp(other).unwrap();
    sockets.close_udp(one);
    sockets.close_udp(other);
    sockets.bind_udp(any).unwrap();
    assert_eq!(sockets.bind_udp(one), in_use(one));
    sockets.bind_udp(any6).unwrap();
    // TCP has ports of its own.
    sockets.listen_tcp(one).unwrap();
    assert_eq!(sockets.listen_tcp(any), in_use(any));
    // Ports that are chosen are free for all addresses.
    let ephemeral = sockets.bind_udp(addr("10.0.0.1:0")).unwrap();
    sockets.close_udp(ephemeral);
    let next = ephemeral.port() + 1;
    sockets.bind_udp(addr(&format!("10.0.0.2:{next}"))).unwrap();
    assert_eq!(sockets.bind_udp(addr("0.0.0.0:0")).unwrap().port(), next + 1);
}

fn punch(run: u64, left: Access, right: Access) -> (bool, u64, Vec<String>) {
    let mut pair = pair(run, PairConfig::new(left, right));
    let lines = Rc::new(RefCell::new(Vec::new()));
    let noted = lines.clone();
    pair.sim
        .observe(move |event: &TraceEvent<'_>| noted.borrow_mut().push(event.to_string()));
    let hash = pair.sim.observe(TraceHash::new());
    let server = addr("198.51.100.1:3478");
    Probe::echo(&mut pair.sim, pair.server, server);
    let sim = &mut pair.sim;
    let mut peers = Vec::new();
    for peer in [&pair.left, &pair.right] {
        let local = (peer.addresses[0], 5000).into();
        let id = Probe::bound(sim, peer.host, local);
        sim.get_mut(id).send(local, server, b"who am I");
        peers.push((id, local));
    }
    sim.run_for(secs(1)).unwrap();
    let lines = lines.borrow().clone();
    (sim.get(peers[0].0).got.len() == 1, sim.observer(hash).value(), lines)
}

#[test]
fn every_access_but_the_blocked_one_reaches_the_server() {
    for access in Access::ALL {
        let (reached, _, lines) = punch(1, access, Access::Open);
        assert_eq!(reached, access != Access::UdpBlocked, "{access}: {lines:#?}");
    }
}

#[test]
fn the_same_number_gives_the_same_run() {
    let runs: Vec<_> = [7, 7, 8]
        .map(|run| punch(run, Access::ApdmApdf, Access::DoubleNat))
        .into();
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0].1, runs[2].1);
    assert!(runs[0].2[0].starts_with("  0.000000 left sent: UDP 192.168.1.2:5000 > 198.51.100.1:3478 8 bytes #1"));
}
