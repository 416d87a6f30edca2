//! Every kind of mapping and filtering, asked as RFC 5780 asks.

use std::net::SocketAddr;
use std::time::Duration;

use netsim::{
    Allow, Dependence, DropReason, EndpointId, Hairpin, IcmpError, Link, Nat, NatId, PortAssignment, Refresh, Sim,
    UnsolicitedSyn,
};

use crate::probe::{Probe, addr, ms, secs};

const INSIDE: &str = "192.168.1.2:5000";
const NEIGHBOUR: &str = "192.168.1.3:5000";
const S11: &str = "198.51.100.1:3478";
const S12: &str = "198.51.100.1:3479";
const S21: &str = "198.51.100.2:3478";

struct Home {
    sim: Sim,
    nat: NatId,
    inside: EndpointId<Probe>,
    neighbour: EndpointId<Probe>,
    server: EndpointId<Probe>,
}

fn home(nat: Nat, external: &[&str]) -> Home {
    let external: Vec<_> = external.iter().map(|address| address.parse().unwrap()).collect();
    let mut sim = Sim::new(5);
    let (a, b, s) = (sim.add_host("a"), sim.add_host("b"), sim.add_host("s"));
    let nat = sim.add_nat("nat", nat, &external);
    let link = || Link::with_delay(ms(5));
    sim.attach(a, nat.inside(), &[addr(INSIDE).ip()], link());
    sim.attach(b, nat.inside(), &[addr(NEIGHBOUR).ip()], link());
    sim.attach(s, nat.outside(), &[addr(S11).ip(), addr(S21).ip()], link());
    let inside = Probe::bound(&mut sim, a, addr(INSIDE));
    let neighbour = Probe::bound(&mut sim, b, addr(NEIGHBOUR));
    let server = Probe::add(&mut sim, s, "server");
    for local in [S11, S12, S21] {
        sim.sockets(server).bind_udp(addr(local)).unwrap();
    }
    Home {
        sim,
        nat,
        inside,
        neighbour,
        server,
    }
}

impl Home {
    /// Sends from inside; the source that the server sees.
    fn out(&mut self, to: &str) -> Option<SocketAddr> {
        self.out_from(self.inside, INSIDE, to)
    }

    fn out_from(&mut self, who: EndpointId<Probe>, from: &str, to: &str) -> Option<SocketAddr> {
        let before = self.sim.get(self.server).got.len();
        self.sim.get_mut(who).send(addr(from), addr(to), b"out");
        self.sim.run_for(ms(50)).unwrap();
        self.sim.get(self.server).got.get(before).map(|got| got.path.remote)
    }

    /// Sends from the server; whether it comes in.
    fn back(&mut self, from: &str, to: SocketAddr) -> bool {
        let before = self.sim.get(self.inside).got.len();
        self.sim.get_mut(self.server).send(addr(from), to, b"in");
        self.sim.run_for(ms(50)).unwrap();
        self.sim.get(self.inside).got.len() > before
    }
}

use Dependence::{Address, AddressAndPort, EndpointIndependent};

#[test]
fn mappings_depend_on_what_they_shall() {
    for (mapping, same_port, same_address) in [
        (EndpointIndependent, true, true),
        (Address, true, false),
        (AddressAndPort, false, false),
    ] {
        let mut home = home(Nat::new(mapping, EndpointIndependent), &["203.0.113.1"]);
        let [first, port, address] = [S11, S12, S21].map(|to| home.out(to).unwrap());
        assert_eq!(first == port, same_port, "{mapping:?}");
        assert_eq!(first == address, same_address, "{mapping:?}");
        assert_eq!(home.out(S11), Some(first), "the first mapping stays");
    }
}

#[test]
fn filters_depend_on_what_they_shall() {
    for mapping in [EndpointIndependent, Address, AddressAndPort] {
        for (filtering, other_port, other_address) in [
            (EndpointIndependent, true, true),
            (Address, true, false),
            (AddressAndPort, false, false),
        ] {
            let mut home = home(Nat::new(mapping, filtering), &["203.0.113.1"]);
            let mapped = home.out(S11).unwrap();
            assert!(home.back(S11, mapped));
            assert_eq!(home.back(S12, mapped), other_port, "{mapping:?} {filtering:?}");
            assert_eq!(home.back(S21, mapped), other_address, "{mapping:?} {filtering:?}");
            let filtered = u64::from(!other_port) + u64::from(!other_address);
            assert_eq!(home.sim.counters().dropped_for(DropReason::NatFiltered), filtered);
            let nobody = SocketAddr::new(mapped.ip(), 9);
            assert!(!home.back(S11, nobody));
            assert_eq!(home.sim.counters().dropped_for(DropReason::NatNoMapping), 1);
        }
    }
}

#[test]
fn ports_are_assigned_as_told() {
    let nat = |ports, port_parity| Nat {
        ports,
        port_parity,
        ..Nat::default()
    };
    let both = |nat: Nat| {
        let mut home = home(nat, &["203.0.113.1"]);
        let first = home.out(S11).unwrap().port();
        let second = home.out_from(home.neighbour, NEIGHBOUR, S11).unwrap().port();
        (first, second)
    };
    let (first, second) = both(nat(PortAssignment::Preserve, true));
    assert_eq!(first, 5000);
    assert!(second != 5000 && second >= 1024 && second % 2 == 0, "{second}");
    assert_eq!(both(nat(PortAssignment::Overload, false)), (5000, 5000));
    assert_eq!(both(nat(PortAssignment::Sequential, false)), (1024, 1025));
    assert_ne!(both(nat(PortAssignment::Random, false)).0, 5000);
}

#[test]
fn hairpins_as_told() {
    for (hairpin, source) in [
        (Hairpin::None, None),
        (Hairpin::ExternalSource, Some("203.0.113.1:5000")),
        (Hairpin::InternalSource, Some(INSIDE)),
    ] {
        let nat = Nat {
            hairpin,
            ..Nat::default()
        };
        let mut home = home(nat, &["203.0.113.1"]);
        assert_eq!(home.out(S11), Some(addr("203.0.113.1:5000")));
        let mapped = home.out_from(home.neighbour, NEIGHBOUR, S11).unwrap();
        home.sim.get_mut(home.inside).send(addr(INSIDE), mapped, b"round");
        home.sim.run_for(ms(50)).unwrap();
        let got = home.sim.get(home.neighbour).got.first().map(|got| got.path.remote);
        assert_eq!(got, source.map(addr), "{hairpin:?}");
        let refused = home.sim.counters().dropped_for(DropReason::NatNoHairpin);
        assert_eq!(refused, u64::from(source.is_none()));
    }
}

#[test]
fn a_hairpin_is_filtered_like_any_packet() {
    let mut home = home(Nat::new(EndpointIndependent, AddressAndPort), &["203.0.113.1"]);
    let mapped = home.out_from(home.neighbour, NEIGHBOUR, S11).unwrap();
    home.sim.get_mut(home.inside).send(addr(INSIDE), mapped, b"round");
    home.sim.run_for(ms(50)).unwrap();
    assert!(home.sim.get(home.neighbour).got.is_empty());
    assert_eq!(home.sim.counters().dropped_for(DropReason::NatFiltered), 1);
}

/// Whether a mapping of 30 s still lets in after 40 s, when a packet went that way after 20 s.
fn survives(refresh: Refresh, outbound: bool) -> bool {
    let nat = Nat {
        refresh,
        udp_timeout: secs(30),
        ..Nat::default()
    };
    let mut home = home(nat, &["203.0.113.1"]);
    let mapped = home.out(S11).unwrap();
    home.sim.run_for(secs(20)).unwrap();
    if outbound {
        home.out(S11);
    } else {
        assert!(home.back(S11, mapped));
    }
    home.sim.run_for(secs(20)).unwrap();
    let alive = home.sim.mappings(home.nat) == 1;
    assert_eq!(home.back(S11, mapped), alive);
    alive
}

#[test]
fn mappings_end_unless_the_right_direction_keeps_them() {
    let table = [
        (Refresh::Outbound, true, true),
        (Refresh::Outbound, false, false),
        (Refresh::Inbound, true, false),
        (Refresh::Inbound, false, true),
        (Refresh::Both, true, true),
        (Refresh::Both, false, true),
    ];
    for (refresh, outbound, alive) in table {
        assert_eq!(survives(refresh, outbound), alive, "{refresh:?} {outbound}");
    }
}

#[test]
fn a_full_table_refuses_and_makes_room_when_mappings_end() {
    let nat = Nat {
        max_mappings: 1,
        udp_timeout: secs(30),
        ..Nat::default()
    };
    let mut home = home(nat, &["203.0.113.1"]);
    assert!(home.out(S11).is_some());
    assert_eq!(home.out_from(home.neighbour, NEIGHBOUR, S11), None);
    assert_eq!(home.sim.counters().dropped_for(DropReason::NatFull), 1);
    home.sim.run_for(secs(31)).unwrap();
    assert!(home.out_from(home.neighbour, NEIGHBOUR, S11).is_some());
}

#[test]
fn paired_pooling_keeps_the_address() {
    let mut home = home(
        Nat::new(AddressAndPort, EndpointIndependent),
        &["203.0.113.1", "203.0.113.2"],
    );
    let [a, b] = [S11, S12].map(|to| home.out(to).unwrap().ip());
    assert_eq!(a, b);
    assert_ne!(home.out_from(home.neighbour, NEIGHBOUR, S11).unwrap().ip(), a);
}

#[test]
fn another_external_address_ends_the_mappings_of_the_old_one() {
    let mut home = home(Nat::default(), &["203.0.113.1"]);
    let before = home.out(S11).unwrap();
    home.sim.set_external(home.nat, &["203.0.113.9".parse().unwrap()]);
    assert!(!home.back(S11, before));
    assert_eq!(home.out(S11), Some(addr("203.0.113.9:5000")));
}

#[test]
#[should_panic(expected = "the NAT nat needs an external address")]
fn a_nat_without_an_external_address_is_none() {
    let mut home = home(Nat::default(), &["203.0.113.1"]);
    home.sim.set_external(home.nat, &[]);
}

#[test]
#[should_panic(expected = "the NAT nat translates IPv4 only")]
fn an_external_address_of_ipv6_is_none() {
    let mut home = home(Nat::default(), &["203.0.113.1"]);
    home.sim.set_external(home.nat, &["2001:db8::1".parse().unwrap()]);
}

#[test]
fn blocked_udp_and_forgotten_mappings() {
    let nat = Nat {
        allow: Allow::tcp_only(),
        ..Nat::default()
    };
    let mut blocked = home(nat, &["203.0.113.1"]);
    assert_eq!(blocked.out(S11), None);
    assert_eq!(blocked.sim.counters().dropped_for(DropReason::FirewallOutbound), 1);

    let mut home = home(Nat::default(), &["203.0.113.1"]);
    let mapped = home.out(S11).unwrap();
    home.sim.forget_mappings(home.nat);
    assert!(!home.back(S11, mapped));
}

#[test]
fn an_icmp_error_finds_its_way_back() {
    let mut home = home(Nat::default(), &["203.0.113.1"]);
    home.sim
        .get_mut(home.inside)
        .send(addr(INSIDE), addr("198.51.100.1:9"), b"?");
    home.sim.run_for(ms(50)).unwrap();
    let path = wire::Path::udp(addr(INSIDE), addr("198.51.100.1:9"));
    assert_eq!(home.sim.get(home.inside).errors, [(path, IcmpError::PortUnreachable)]);
}

/// What a SYN to the NAT, which nothing asked for, ends with, and when.
fn unsolicited(answer: UnsolicitedSyn) -> (Vec<String>, Duration) {
    let nat = Nat {
        unsolicited_syn: answer,
        ..Nat::default()
    };
    let mut home = home(nat, &["203.0.113.1"]);
    let server = home.server;
    home.sim
        .sockets(server)
        .connect_tcp(addr("198.51.100.1:80"), addr("203.0.113.1:80"))
        .unwrap();
    home.sim
        .run_until(secs(300), |sim| !sim.get(server).tcp.is_empty())
        .unwrap();
    let counters = home.sim.counters();
    assert!(
        counters.drops().all(|(reason, _)| reason == DropReason::NatNoMapping),
        "{counters:?}"
    );
    let tcp = &home.sim.get(server).tcp;
    (tcp.iter().map(|tcp| tcp.what.clone()).collect(), home.sim.elapsed())
}

#[test]
fn an_unsolicited_syn_gets_what_is_told() {
    let (what, at) = unsolicited(UnsolicitedSyn::Drop);
    assert_eq!(
        (what, at),
        (vec!["Failed(TimedOut)".to_owned()], secs(1 + 2 + 4 + 8 + 16 + 32 + 60))
    );
    let (what, at) = unsolicited(UnsolicitedSyn::Reset);
    assert_eq!((what, at), (vec!["Failed(Refused)".to_owned()], ms(10)));
    let (what, at) = unsolicited(UnsolicitedSyn::Unreachable(secs(6)));
    assert_eq!(
        (what, at),
        (vec!["Failed(Unreachable(PortUnreachable))".to_owned()], ms(6010))
    );
}

#[test]
fn tcp_goes_out_and_is_filtered() {
    let mut home = home(Nat::new(EndpointIndependent, AddressAndPort), &["203.0.113.1"]);
    let (inside, server) = (home.inside, home.server);
    home.sim.sockets(server).listen_tcp(addr(S11)).unwrap();
    home.sim.sockets(inside).connect_tcp(addr(INSIDE), addr(S11)).unwrap();
    home.sim.run_for(secs(1)).unwrap();
    assert_eq!(home.sim.get(inside).tcp_names(), ["Connected"]);
    assert_eq!(home.sim.get(server).tcp[0].path.remote, addr("203.0.113.1:5000"));
    home.sim
        .sockets(server)
        .connect_tcp(addr(S12), addr("203.0.113.1:5000"))
        .unwrap();
    home.sim.run_for(ms(500)).unwrap();
    assert_eq!(home.sim.counters().dropped_for(DropReason::NatFiltered), 1);
}
