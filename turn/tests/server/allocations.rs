use crate::house::{Client, House, TCP, UDP, address, signed, tcp, udp};
use std::collections::BTreeSet;
use std::time::Duration;
use stun::{AddressFamily, AttributeType, Method, TransactionId, Value};
use turn::{RelayAddress, ServerAction, ServerLimits};
use wire::Path;

const FAMILY_4: Value<'static> = Value::RequestedAddressFamily(AddressFamily::IPV4);
const FAMILY_6: Value<'static> = Value::RequestedAddressFamily(AddressFamily::IPV6);
const BOTH: Value<'static> = Value::AdditionalAddressFamily(AddressFamily::IPV6);
const EVEN: Value<'static> = Value::EvenPort { reserve_next: false };
const PAIR: Value<'static> = Value::EvenPort { reserve_next: true };

#[test]
fn an_allocation_is_made_refreshed_and_ended() {
    let mut house = House::new();
    let mut client = Client::new(udp(1));
    let reply = house.granted(&mut client, Method::ALLOCATE, &[UDP]);
    let [relayed] = reply.relayed()[..] else { panic!() };
    assert!(relayed.ip() == address("192.0.2.1:0").ip() && relayed.port() >= 49_152);
    assert_eq!(reply.message().xor_mapped_address(), Ok(Some(client.path.remote)));
    assert_eq!(reply.message().lifetime(), Ok(Some(600)));
    assert_eq!(house.relays.values().collect::<Vec<_>>(), [&relayed]);
    house.pass(599);
    assert_eq!(
        house.granted(&mut client, Method::REFRESH, &[]).message().lifetime(),
        Ok(Some(600))
    );
    house.pass(599);
    assert!(house.server.is_in_use(&client.path));
    let stats = house.server.allocations(house.now).next().unwrap();
    assert_eq!(
        (stats.user, stats.age, stats.tcp),
        ("ann", Duration::from_secs(1198), false)
    );
    let reply = house.granted(&mut client, Method::REFRESH, &[Value::Lifetime(0)]);
    assert_eq!(reply.message().lifetime(), Ok(Some(0)));
    assert!(house.relays.is_empty() && house.server.remembered() == 0);
    assert_eq!(house.server.poll_timeout(), None);
    assert_eq!(house.raised(), []);
    // A retransmission of that is told what clients take for success (RFC 8656 §8.3).
    assert_eq!(house.refused(&mut client, Method::REFRESH, &[Value::Lifetime(0)]), 437);
}

#[test]
fn an_allocation_that_nobody_refreshes_ends() {
    let mut house = House::new();
    let (mut client, _) = house.allocated(udp(1));
    house.permit(&mut client, "203.0.113.5:1");
    house.bind(&mut client, 0x4000, "203.0.113.6:1");
    house.pass(600);
    assert_eq!((house.relays.len(), house.server.remembered()), (0, 0));
    assert_eq!(house.count("turn_expired_allocations"), 1);
    assert_eq!(house.refused(&mut client, Method::REFRESH, &[]), 437);
    assert_eq!(house.raised(), [("turn_allocation_mismatches", 1)]);
}

#[test]
fn lifetimes_are_clamped() {
    let mut house = House::new();
    for (n, (wanted, granted)) in [
        (1, 600),
        (0, 600),
        (600, 600),
        (601, 601),
        (3600, 3600),
        (3601, 3600),
        (u32::MAX, 3600),
    ]
    .into_iter()
    .enumerate()
    {
        let mut client = Client::new(udp(n as u16));
        let reply = house.granted(&mut client, Method::ALLOCATE, &[UDP, Value::Lifetime(wanted)]);
        assert_eq!(reply.message().lifetime(), Ok(Some(granted)), "{wanted}");
        if wanted > 0 {
            let reply = house.granted(&mut client, Method::REFRESH, &[Value::Lifetime(wanted)]);
            assert_eq!(reply.message().lifetime(), Ok(Some(granted)), "{wanted}");
        }
    }
}

#[test]
fn a_retransmission_gets_the_same_answer() {
    let mut house = House::new();
    let (client, _) = house.allocated(udp(1));
    let id = TransactionId([0x55; 12]);
    let client = Client { path: udp(2), ..client };
    let request = signed(&client, Method::ALLOCATE, &[UDP, PAIR], id);
    house.send(client.path, &request);
    let first = house.answer(client.path).unwrap();
    house.send(client.path, &request);
    assert_eq!(house.answer(client.path).unwrap().0, first.0);
    assert_eq!(house.server.allocations(house.now).count(), 2);
    house.pass(10);
    house.send(client.path, &request);
    let later = house.answer(client.path).unwrap();
    assert_eq!((later.relayed(), later.token()), (first.relayed(), first.token()));
    assert_eq!(later.message().lifetime(), Ok(Some(590)));
    // Another transaction on the 5-tuple is none.
    let mut client = client;
    assert_eq!(house.refused(&mut client, Method::ALLOCATE, &[UDP]), 437);
    assert_eq!(house.raised(), [("turn_allocation_mismatches", 1)]);
}

#[test]
fn a_retransmission_waits_while_ports_are_bound() {
    let mut house = House::new();
    let (client, _) = house.allocated(udp(1));
    house.slow = true;
    let client = Client { path: udp(2), ..client };
    let request = signed(&client, Method::ALLOCATE, &[UDP], TransactionId([0x55; 12]));
    house.send(client.path, &request);
    house.send(client.path, &request);
    assert!(house.answer(client.path).is_none());
    assert_eq!(house.ask_once(&client, Method::REFRESH, &[]).unwrap().code(), Some(437));
    assert_eq!(
        house.ask_once(&client, Method::ALLOCATE, &[UDP]).unwrap().code(),
        Some(437)
    );
    let Some(&ServerAction::Bind { relay, .. }) = house.actions.last() else {
        panic!()
    };
    house.server.handle_bound(house.now, relay, true, &mut house.out);
    assert_eq!(house.answer(client.path).unwrap().code(), None);
    // Said again, and about a socket that is closed, it does nothing.
    house.server.handle_bound(house.now, relay, false, &mut house.out);
    assert!(house.answer(client.path).is_none() && house.server.allocations(house.now).count() == 2);
    house.server.handle_disconnected(&client.path);
    assert_eq!(house.server.poll_action(), Some(ServerAction::Close { relay }));
    house.server.handle_bound(house.now, relay, true, &mut house.out);
    assert_eq!(house.server.poll_action(), Some(ServerAction::Close { relay }));
}

#[test]
fn other_ports_are_tried_and_not_for_ever() {
    let mut house = House::new();
    house.failing = 15;
    let (mut client, _) = house.allocated(udp(1));
    assert_eq!(house.raised(), [("turn_bind_failures", 15)]);
    let ports: BTreeSet<_> = house.actions.iter().map(|action| format!("{action:?}")).collect();
    assert_eq!(ports.len(), 16);
    client.path = udp(2);
    house.failing = 16;
    assert_eq!(house.refused(&mut client, Method::ALLOCATE, &[UDP]), 508);
    assert!(house.failing == 0 && !house.server.is_in_use(&client.path));
    assert_eq!(
        house.raised(),
        [("turn_insufficient_capacity", 1), ("turn_bind_failures", 31)]
    );
    // Of a pair both or none; the first try has one of them.
    house.failing = 1;
    let reply = house.granted(&mut client, Method::ALLOCATE, &[UDP, PAIR]);
    let relayed = reply.relayed()[0];
    assert_eq!(house.relays.len(), 3);
    assert!(house.relays.values().any(|a| a.port() == relayed.port() + 1) && relayed.port().is_multiple_of(2));
}

#[test]
fn ports_of_the_range_are_all_used_and_given_back() {
    let mut house = House::with(|config| config.ports = 50_000..=50_003);
    let clients: Vec<_> = (1..=4).map(|n| house.allocated(udp(n))).collect();
    let ports: BTreeSet<_> = clients.iter().map(|(_, relayed)| relayed.port()).collect();
    assert_eq!(ports, (50_000..=50_003).collect());
    let mut late = Client::new(udp(9));
    assert_eq!(house.refused(&mut late, Method::ALLOCATE, &[UDP]), 508);
    house.granted(&mut clients[2].0.clone(), Method::REFRESH, &[Value::Lifetime(0)]);
    let reply = house.granted(&mut late, Method::ALLOCATE, &[UDP]);
    assert_eq!(reply.relayed(), [clients[2].1]);
    // The other family has ports of its own.
    let mut other = Client::new(udp(10));
    house.granted(&mut other, Method::ALLOCATE, &[UDP, FAMILY_6]);
}

#[test]
fn even_ports_and_reservations() {
    let mut house = House::with(|config| config.limits.reservations = 2);
    let mut client = Client::new(udp(1));
    let even = house.granted(&mut client, Method::ALLOCATE, &[UDP, EVEN]);
    assert!(even.relayed()[0].port().is_multiple_of(2) && even.token().is_none());
    client.path = udp(2);
    let pair = house.granted(&mut client, Method::ALLOCATE, &[UDP, PAIR]);
    let (relayed, token) = (pair.relayed()[0], pair.token().unwrap());
    assert_eq!(relayed.port() % 2, 0);
    // The reserved port is bound and relays nothing yet.
    let reserved = std::net::SocketAddr::new(relayed.ip(), relayed.port() + 1);
    assert!(house.peer_sends(reserved, "203.0.113.5:5", b"early").is_empty());
    // Who has the token gets it, from wherever and with the same answer twice (RFC 8656 §7.2).
    house.pass(29);
    client.path = tcp(3);
    let id = TransactionId([0x77; 12]);
    let request = signed(&client, Method::ALLOCATE, &[UDP, Value::ReservationToken(token)], id);
    house.send(client.path, &request);
    let reply = house.answer(client.path).unwrap();
    assert_eq!(reply.relayed(), [reserved]);
    house.send(client.path, &request);
    assert_eq!(house.answer(client.path).unwrap().0, reply.0);
    house.pass(500);
    assert!(
        house.server.is_in_use(&client.path),
        "the lifetime is that of an allocation now"
    );
    client.path = udp(4);
    assert_eq!(
        house.refused(&mut client, Method::ALLOCATE, &[UDP, Value::ReservationToken(token)]),
        508
    );
    // Nobody comes for another one.
    let pair = house.granted(&mut client, Method::ALLOCATE, &[UDP, PAIR]);
    let open = house.relays.len();
    house.pass(30);
    assert_eq!(house.relays.len(), open - 1);
    client.path = udp(5);
    let token = Value::ReservationToken(pair.token().unwrap());
    assert_eq!(house.refused(&mut client, Method::ALLOCATE, &[UDP, token]), 508);
    for n in 6..8 {
        client.path = udp(n);
        house.granted(&mut client, Method::ALLOCATE, &[UDP, PAIR]);
    }
    client.path = udp(8);
    assert_eq!(house.refused(&mut client, Method::ALLOCATE, &[UDP, PAIR]), 508);
    assert_eq!(
        house.raised(),
        [("turn_insufficient_capacity", 3), ("turn_unowned_receives", 1)]
    );
}

/// A client with two relays, and one with a listener and a connection to a peer that is being made: four sockets, and
/// no more.
fn take_four_sockets(house: &mut House) {
    house.granted(&mut Client::new(udp(1)), Method::ALLOCATE, &[UDP, BOTH]);
    let mut client = Client::new(tcp(2));
    house.granted(&mut client, Method::ALLOCATE, &[TCP]);
    let peer = |text| [Value::XorPeerAddress(address(text))];
    let first = house.ask_once(&client, Method::CONNECT, &peer("203.0.113.5:80"));
    assert!(first.is_none());
    let second = house.refused(&mut client, Method::CONNECT, &peer("203.0.113.5:81"));
    assert_eq!(second, 508);
}

/// When the connection is not made there is one place: no pair is had, and of two families one.
fn take_the_place_that_is_left(house: &mut House, client: &mut Client) {
    let connection = house.connect_action().unwrap().0;
    house
        .server
        .handle_connected(house.now, connection, false, &mut house.out);
    house.drive();
    assert_eq!(house.refused(client, Method::ALLOCATE, &[UDP, PAIR]), 508);
    let one = house.granted(client, Method::ALLOCATE, &[UDP, BOTH]);
    assert_eq!(one.relayed().len(), 1);
}

#[test]
fn sockets_are_bounded_whatever_they_are_for() {
    let mut house = House::with(|config| config.limits.sockets = 4);
    take_four_sockets(&mut house);
    let mut other = Client::new(udp(3));
    assert_eq!(house.refused(&mut other, Method::ALLOCATE, &[UDP]), 508);
    take_the_place_that_is_left(&mut house, &mut other);
    assert_eq!(house.relays.len(), 4);
    for path in [udp(1), tcp(2), udp(3)] {
        house.server.handle_disconnected(&path);
    }
    house.drive();
    assert_eq!((house.server.remembered(), house.relays.len()), (0, 0));
}

#[test]
fn a_user_has_so_many_sockets_whatever_they_are_for() {
    let mut house = House::with(|config| config.limits.sockets_per_user = 4);
    take_four_sockets(&mut house);
    let mut other = Client::new(udp(3));
    assert_eq!(house.refused(&mut other, Method::ALLOCATE, &[UDP]), 486);
    take_the_place_that_is_left(&mut house, &mut other);
    // Bob has some of his own.
    let mut bob = Client {
        name: "bob".into(),
        password: "secret of bob".into(),
        ..Client::new(udp(4))
    };
    let token = house.granted(&mut bob, Method::ALLOCATE, &[UDP, PAIR]).token().unwrap();
    // A reserved port is a part of its new owner's.
    for path in [udp(1), tcp(2), udp(3)] {
        house.server.handle_disconnected(&path);
    }
    house.drive();
    let token = Value::ReservationToken(token);
    house.granted(&mut other, Method::ALLOCATE, &[UDP, token]);
    for n in 5..8 {
        bob.path = udp(n);
        house.granted(&mut bob, Method::ALLOCATE, &[UDP]);
    }
    bob.path = udp(8);
    assert_eq!(house.refused(&mut bob, Method::ALLOCATE, &[UDP]), 486);
    house.pass(700);
    assert_eq!((house.server.remembered(), house.relays.len()), (0, 0));
}

#[test]
fn other_ports_are_tried_at_a_limit_too() {
    let limits: [fn(&mut ServerLimits, usize); 3] = [
        |limits, most| limits.sockets = most,
        |limits, most| limits.sockets_per_user = most,
        |limits, most| limits.sockets_per_name = most,
    ];
    for limit in limits {
        for (wish, sockets) in [(&[UDP][..], 1), (&[UDP, PAIR], 2), (&[UDP, BOTH], 2)] {
            let mut house = House::with(|config| {
                // Two for each family, and for a pair and another.
                config.ports = if sockets == 1 { 50_000..=50_001 } else { 50_000..=50_003 };
                limit(&mut config.limits, sockets);
            });
            house.failing = 1;
            let mut client = Client::new(udp(1));
            let answer = house.granted(&mut client, Method::ALLOCATE, wish);
            let refused = answer.message().attribute(AttributeType::ADDRESS_ERROR_CODE);
            assert!(refused.is_none() && house.failing == 0);
            assert_eq!(house.relays.len(), sockets);
            // No port was tried twice.
            let tried = house.actions.iter().map(|action| match action {
                ServerAction::Bind { address, .. } => *address,
                action => panic!("{action:?}"),
            });
            assert_eq!(tried.collect::<BTreeSet<_>>().len(), house.actions.len());
            // The limit is none the higher, and all is given back.
            let mut other = Client::new(udp(2));
            house.refused(&mut other, Method::ALLOCATE, &[UDP]);
            house.granted(&mut client, Method::REFRESH, &[Value::Lifetime(0)]);
            house.pass(30);
            assert_eq!((house.relays.len(), house.server.remembered()), (0, 0));
        }
    }
}

#[test]
fn all_of_a_name_have_so_many_sockets() {
    let mut house = House::with(|config| config.limits.sockets_per_name = 2);
    let from = |remote: &str| Path::udp(address("192.0.2.1:3478"), address(remote));
    for (remote, code) in [
        ("198.51.100.1:1", None),
        ("198.51.101.1:1", None),
        ("198.51.102.1:1", Some(486)),
    ] {
        let mut ann = Client::new(from(remote));
        assert_eq!(house.ask(&mut ann, Method::ALLOCATE, &[UDP]).code(), code);
    }
}

#[test]
fn families() {
    let mut house = House::new();
    let mut client = Client::new(udp(1));
    let reply = house.granted(&mut client, Method::ALLOCATE, &[UDP, FAMILY_6]);
    assert!(reply.relayed()[0].is_ipv6());
    client.path = udp(2);
    assert!(house.granted(&mut client, Method::ALLOCATE, &[UDP, FAMILY_4]).relayed()[0].is_ipv4());
    let strange = Value::RequestedAddressFamily(AddressFamily(7));
    client.path = udp(3);
    assert_eq!(house.refused(&mut client, Method::ALLOCATE, &[UDP, strange]), 440);
    for wrong in [
        &[UDP, FAMILY_4, BOTH][..],
        &[UDP, Value::AdditionalAddressFamily(AddressFamily::IPV4)],
        &[UDP, PAIR, BOTH],
        &[UDP, FAMILY_6, Value::ReservationToken([1; 8])],
        &[UDP, BOTH, Value::ReservationToken([1; 8])],
        &[UDP, EVEN, Value::ReservationToken([1; 8])],
        &[],
    ] {
        assert_eq!(house.refused(&mut client, Method::ALLOCATE, wrong), 400);
    }
    assert_eq!(
        house.raised(),
        [("turn_bad_requests", 7), ("turn_unsupported_families", 1)]
    );
}

#[test]
fn two_families_in_one_allocation() {
    let mut house = House::new();
    let mut client = Client::new(udp(1));
    let reply = house.granted(&mut client, Method::ALLOCATE, &[UDP, BOTH, EVEN]);
    let relayed = reply.relayed();
    assert!(relayed.len() == 2 && relayed[0].is_ipv4() && relayed[1].is_ipv6());
    assert!(relayed.iter().all(|address| address.port() % 2 == 0));
    let both = [
        Value::XorPeerAddress(address("203.0.113.5:1")),
        Value::XorPeerAddress(address("[2001:db8:5::1]:1")),
    ];
    house.granted(&mut client, Method::CREATE_PERMISSION, &both);
    house.bind(&mut client, 0x4001, "[2001:db8:5::1]:1");
    house.bind(&mut client, 0x4002, "203.0.113.5:1");
    // Each can be refreshed and ended alone (RFC 8656 §8.1).
    house.pass(400);
    house.granted(&mut client, Method::REFRESH, &[FAMILY_4]);
    house.pass(201);
    assert_eq!(house.relays.values().collect::<Vec<_>>(), [&relayed[0]]);
    assert_eq!(house.refused(&mut client, Method::REFRESH, &[FAMILY_6]), 443);
    let stats = house.server.allocations(house.now).next().unwrap();
    assert_eq!((stats.permissions, stats.channels), (0, 0));
    house.permit(&mut client, "203.0.113.5:1");
    assert_eq!(house.refused(&mut client, Method::CREATE_PERMISSION, &both), 443);
    house.granted(&mut client, Method::REFRESH, &[FAMILY_4, Value::Lifetime(0)]);
    assert_eq!(house.server.remembered(), 0);

    client.path = udp(2);
    // As coturn's clients ask for it.
    let draft = Value::Other(AttributeType(0x8032), &[2, 0, 0, 0]);
    house.granted(&mut client, Method::ALLOCATE, &[UDP, draft]);
    house.bind(&mut client, 0x4001, "[2001:db8:5::1]:1");
    house.bind(&mut client, 0x4002, "203.0.113.5:1");
    house.granted(&mut client, Method::REFRESH, &[FAMILY_4, Value::Lifetime(0)]);
    let stats = house.server.allocations(house.now).next().unwrap();
    assert_eq!((stats.permissions, stats.channels), (1, 1), "the other family's stay");
    assert_eq!(house.refused(&mut client, Method::CREATE_PERMISSION, &both[..1]), 443);
    house.granted(&mut client, Method::REFRESH, &[Value::Lifetime(0)]);
    assert_eq!(house.server.remembered(), 0);
}

#[test]
fn one_of_two_families_is_better_than_none() {
    let refused = |reply: &crate::house::Reply| {
        let values = reply.values();
        values.iter().find_map(|value| match value {
            Value::AddressErrorCode { family, error } => Some((*family, error.code.0)),
            _ => None,
        })
    };
    let mut house = House::with(|config| config.ipv6 = None);
    let mut client = Client::new(udp(1));
    let reply = house.granted(&mut client, Method::ALLOCATE, &[UDP, BOTH]);
    assert_eq!(
        (reply.relayed().len(), refused(&reply)),
        (1, Some((AddressFamily::IPV6, 440)))
    );
    client.path = udp(2);
    assert_eq!(house.refused(&mut client, Method::ALLOCATE, &[UDP, FAMILY_6]), 440);

    let mut house = House::with(|config| config.ports = 50_000..=50_000);
    let mut client = Client::new(udp(1));
    house.granted(&mut client, Method::ALLOCATE, &[UDP, FAMILY_6]);
    client.path = udp(2);
    let reply = house.granted(&mut client, Method::ALLOCATE, &[UDP, BOTH]);
    assert_eq!(
        (reply.relayed().len(), refused(&reply)),
        (1, Some((AddressFamily::IPV6, 508)))
    );
    client.path = udp(3);
    assert_eq!(house.refused(&mut client, Method::ALLOCATE, &[UDP, BOTH]), 508);

    // Bound in vain.
    let mut house = House::new();
    house.failing = 16;
    let mut client = Client::new(udp(1));
    let reply = house.granted(&mut client, Method::ALLOCATE, &[UDP, BOTH]);
    assert_eq!(reply.relayed().len(), 1);
    assert!(matches!(refused(&reply), Some((_, 508))));
}

#[test]
fn what_is_told_can_differ_from_what_is_bound() {
    let mut house = House::with(|config| {
        config.ipv4 = Some(RelayAddress {
            bind: address("10.0.0.7:0").ip(),
            external: address("203.0.113.77:0").ip(),
        });
    });
    let (_, relayed) = house.allocated(udp(1));
    let (_, bound) = house.relays.first_key_value().unwrap();
    assert_eq!(
        (relayed.ip(), bound.ip()),
        (address("203.0.113.77:0").ip(), address("10.0.0.7:0").ip())
    );
    assert_eq!(relayed.port(), bound.port());
}

#[test]
fn transports_and_fragments() {
    let mut house = House::with(|config| config.tcp_relay = false);
    let mut client = Client::new(tcp(1));
    assert_eq!(house.refused(&mut client, Method::ALLOCATE, &[TCP]), 442);
    assert_eq!(
        house.refused(&mut client, Method::ALLOCATE, &[Value::RequestedTransport(132)]),
        442
    );
    assert_eq!(house.raised(), [("turn_unsupported_transports", 2)]);
    house.granted(&mut client, Method::ALLOCATE, &[UDP, Value::DontFragment]);

    let mut house = House::with(|config| config.dont_fragment = false);
    let reply = house.ask(&mut Client::new(udp(1)), Method::ALLOCATE, &[UDP, Value::DontFragment]);
    assert_eq!(reply.code(), Some(420));
    let Value::UnknownAttributes(list) = reply.values()[1] else {
        panic!()
    };
    assert_eq!(list.iter().collect::<Vec<_>>(), [AttributeType::DONT_FRAGMENT]);
    assert_eq!(house.raised(), [("turn_unknown_attributes", 1)]);
}

#[test]
fn reserved_ports_are_part_of_the_quota() {
    let mut house = House::with(|config| config.limits.allocations_per_user = 3);
    let mut client = Client::new(udp(1));
    // Allocations that end at once leave their reserved ports behind.
    let mut token = None;
    for _ in 0..2 {
        token = house.granted(&mut client, Method::ALLOCATE, &[UDP, PAIR]).token();
        house.granted(&mut client, Method::REFRESH, &[Value::Lifetime(0)]);
    }
    assert_eq!(house.refused(&mut client, Method::ALLOCATE, &[UDP, PAIR]), 486);
    house.granted(&mut client, Method::ALLOCATE, &[UDP]);
    client.path = udp(2);
    assert_eq!(house.refused(&mut client, Method::ALLOCATE, &[UDP]), 486);
    // What is reserved can be taken, by its owner and by others.
    let token = Value::ReservationToken(token.unwrap());
    house.granted(&mut client, Method::ALLOCATE, &[UDP, token]);
    client.path = udp(3);
    assert_eq!(house.refused(&mut client, Method::ALLOCATE, &[UDP]), 486);
    house.pass(30);
    house.granted(&mut client, Method::ALLOCATE, &[UDP]);
    house.pass(700);
    assert_eq!(house.server.remembered(), 0);
}

#[test]
fn those_who_share_a_name_do_not_share_a_quota() {
    let mut house = House::with(|config| {
        config.limits.allocations_per_user = 2;
        config.secrets = vec!["secret".into()];
    });
    let from = |remote: &str| Path::udp(address("192.0.2.1:3478"), address(remote));
    let mut ann = Client::new(from("198.51.100.1:1"));
    for remote in ["198.51.100.1:1", "198.51.100.99:2"] {
        ann.path = from(remote);
        house.granted(&mut ann, Method::ALLOCATE, &[UDP]);
    }
    ann.path = from("198.51.100.7:3");
    assert_eq!(house.refused(&mut ann, Method::ALLOCATE, &[UDP]), 486);
    ann.path = from("198.51.101.7:3");
    house.granted(&mut ann, Method::ALLOCATE, &[UDP]);
    // An id is one participant's, wherever it comes from; that it is called as a user is does not matter.
    let name = "1800000000:ann".to_owned();
    let mut timed = Client {
        password: turn::timed_password("secret", &name),
        name,
        ..Client::new(from("198.51.100.1:4"))
    };
    for remote in ["198.51.100.1:4", "198.51.101.1:4"] {
        timed.path = from(remote);
        house.granted(&mut timed, Method::ALLOCATE, &[UDP]);
    }
    timed.path = from("198.51.102.1:4");
    assert_eq!(house.refused(&mut timed, Method::ALLOCATE, &[UDP]), 486);
}

#[test]
fn those_who_share_a_name_share_a_quota_as_well() {
    let mut house = House::with(|config| {
        config.limits.allocations_per_user = 2;
        config.limits.allocations_per_name = 3;
    });
    let from = |remote: &str| Path::udp(address("192.0.2.1:3478"), address(remote));
    let mut ann = Client::new(from("198.51.100.1:1"));
    let token = house.granted(&mut ann, Method::ALLOCATE, &[UDP, PAIR]).token().unwrap();
    ann.path = from("198.51.101.1:1");
    house.granted(&mut ann, Method::ALLOCATE, &[UDP]);
    ann.path = from("198.51.102.1:1");
    assert_eq!(house.refused(&mut ann, Method::ALLOCATE, &[UDP]), 486);
    // A port that was reserved from another part of the net counts already.
    house.granted(&mut ann, Method::ALLOCATE, &[UDP, Value::ReservationToken(token)]);
    ann.path = from("198.51.103.1:1");
    assert_eq!(house.refused(&mut ann, Method::ALLOCATE, &[UDP]), 486);
    let mut bob = Client {
        name: "bob".into(),
        password: "secret of bob".into(),
        ..ann.clone()
    };
    house.granted(&mut bob, Method::ALLOCATE, &[UDP]);
    // What ends makes room.
    ann.path = from("198.51.101.1:1");
    house.granted(&mut ann, Method::REFRESH, &[Value::Lifetime(0)]);
    ann.path = from("198.51.104.1:1");
    house.granted(&mut ann, Method::ALLOCATE, &[UDP]);
    house.pass(700);
    assert_eq!(house.server.remembered(), 0);
}

#[test]
fn quotas() {
    let mut house = House::with(|config| {
        config.limits.allocations = 3;
        config.limits.allocations_per_user = 2;
    });
    let mut client = Client::new(udp(1));
    for n in 1..=2 {
        client.path = udp(n);
        house.granted(&mut client, Method::ALLOCATE, &[UDP]);
    }
    client.path = udp(3);
    assert_eq!(house.refused(&mut client, Method::ALLOCATE, &[UDP]), 486);
    let mut bob = Client {
        name: "bob".into(),
        password: "secret of bob".into(),
        ..Client::new(udp(4))
    };
    house.granted(&mut bob, Method::ALLOCATE, &[UDP]);
    bob.path = udp(5);
    assert_eq!(house.refused(&mut bob, Method::ALLOCATE, &[UDP]), 508);
    client.path = udp(1);
    house.granted(&mut client, Method::REFRESH, &[Value::Lifetime(0)]);
    house.granted(&mut bob, Method::ALLOCATE, &[UDP]);
    assert_eq!(
        house.raised(),
        [("turn_quota_reached", 1), ("turn_insufficient_capacity", 1)]
    );
}

#[test]
fn an_allocation_is_its_makers_alone() {
    let mut house = House::new();
    let (client, _) = house.allocated(udp(1));
    let mut bob = Client {
        name: "bob".into(),
        password: "secret of bob".into(),
        ..client
    };
    let peer = Value::XorPeerAddress(address("203.0.113.5:1"));
    assert_eq!(house.refused(&mut bob, Method::REFRESH, &[Value::Lifetime(0)]), 441);
    assert_eq!(house.refused(&mut bob, Method::CREATE_PERMISSION, &[peer]), 441);
    assert_eq!(
        house.refused(&mut bob, Method::CHANNEL_BIND, &[peer, Value::ChannelNumber(0x4000)]),
        441
    );
    assert_eq!(house.refused(&mut bob, Method::CONNECT, &[peer]), 441);
    assert_eq!(house.refused(&mut bob, Method::ALLOCATE, &[UDP]), 437);
    assert_eq!(
        house.raised(),
        [("turn_allocation_mismatches", 1), ("turn_wrong_credentials", 4)]
    );
}

#[test]
fn the_end_of_a_connection_is_the_end_of_its_allocation() {
    let mut house = House::new();
    let (mut client, _) = house.allocated(tcp(1));
    house.bind(&mut client, 0x4000, "203.0.113.5:1");
    // Another connection, and the same ports over UDP, are not it.
    house.server.handle_disconnected(&tcp(2));
    house.server.handle_disconnected(&udp(1));
    assert!(house.server.is_in_use(&client.path));
    house.server.handle_disconnected(&client.path);
    house.drive();
    assert_eq!((house.relays.len(), house.server.remembered()), (0, 0));
}
