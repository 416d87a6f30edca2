use crate::house::{Client, House, Reply, TCP, UDP, address, tcp, udp};
use std::net::SocketAddr;
use std::time::Duration;
use stun::{AttributeType, Class, Method, Value};
use turn::{ConnectionId, ServerAction, Towards};
use wire::Path;

const PEER: &str = "203.0.113.5:80";

fn peer() -> Value<'static> {
    Value::XorPeerAddress(address(PEER))
}

fn allocated(house: &mut House) -> (Client, SocketAddr) {
    let mut client = Client::new(tcp(1));
    let relayed = house.granted(&mut client, Method::ALLOCATE, &[TCP]).relayed()[0];
    assert!(matches!(house.actions[..], [ServerAction::Listen { .. }]));
    (client, relayed)
}

/// Asks for a connection; nothing is answered yet.
fn connect(house: &mut House, client: &Client, to: &str) -> ConnectionId {
    assert!(
        house
            .ask_once(client, Method::CONNECT, &[Value::XorPeerAddress(address(to))])
            .is_none()
    );
    house.connect_action().unwrap().0
}

fn opened(house: &mut House, client: &Client, to: &str) -> (ConnectionId, Reply) {
    let connection = connect(house, client, to);
    house
        .server
        .handle_connected(house.now, connection, true, &mut house.out);
    let reply = house.answer(client.path).unwrap();
    reply.message().verify_integrity(&client.key()).unwrap();
    assert_eq!((reply.code(), reply.connection()), (None, connection.get()));
    (connection, reply)
}

fn claim(house: &mut House, client: &Client, path: Path, connection: u32) -> Reply {
    let client = Client { path, ..client.clone() };
    let id = connection.to_be_bytes();
    let value = Value::Other(AttributeType::CONNECTION_ID, &id);
    house.ask_once(&client, Method::CONNECTION_BIND, &[value]).unwrap()
}

#[test]
fn tcp_is_relayed_for_clients_on_streams_only() {
    let mut house = House::new();
    let mut client = Client::new(udp(1));
    assert_eq!(house.refused(&mut client, Method::ALLOCATE, &[TCP]), 400);
    client.path = tcp(1);
    for special in [
        Value::DontFragment,
        Value::EvenPort { reserve_next: false },
        Value::ReservationToken([1; 8]),
    ] {
        assert_eq!(house.refused(&mut client, Method::ALLOCATE, &[TCP, special]), 400);
    }
    house.granted(&mut client, Method::ALLOCATE, &[TCP]);
    assert!(house.server.allocations(house.now).next().unwrap().tcp);
}

#[test]
fn a_client_connects_to_a_peer() {
    let mut house = House::new();
    let (client, relayed) = allocated(&mut house);
    let (connection, _) = opened(&mut house, &client, PEER);
    assert_eq!(house.connect_action().unwrap(), (connection, relayed, address(PEER)));
    let reply = claim(&mut house, &client, tcp(2), connection.get());
    assert_eq!(reply.code(), None);
    assert_eq!(
        house.actions.last(),
        Some(&ServerAction::Splice {
            connection,
            client: tcp(2)
        })
    );
    assert!(house.server.is_in_use(&tcp(2)));
    assert_eq!(house.server.allocations(house.now).next().unwrap().connections, 1);
    // Long after, it is still there; with the client's connection it ends.
    house.pass(500);
    house.server.handle_disconnected(&tcp(2));
    house.drive();
    assert_eq!(house.actions.last(), Some(&ServerAction::Disconnect { connection }));
    assert!(!house.server.is_in_use(&tcp(2)));
    assert_eq!(house.raised(), []);
    // It can be opened again, and ends with the peer's.
    let (connection, _) = opened(&mut house, &client, PEER);
    claim(&mut house, &client, tcp(2), connection.get());
    house.server.handle_peer_closed(connection, &mut house.out);
    house.drive();
    assert_eq!(house.actions.last(), Some(&ServerAction::Disconnect { connection }));
    // ... or with the allocation.
    let (connection, _) = opened(&mut house, &client, PEER);
    claim(&mut house, &client, tcp(2), connection.get());
    house.server.handle_disconnected(&client.path);
    house.drive();
    assert_eq!(house.actions.last(), Some(&ServerAction::Disconnect { connection }));
    assert_eq!((house.relays.len(), house.server.remembered()), (0, 0));
}

#[test]
fn a_peer_connects_to_a_client() {
    let mut house = House::new();
    let (mut client, relayed) = allocated(&mut house);
    let relay = house.relay_at(relayed);
    let accept = |house: &mut House, from: &str| {
        house.out.to_client.clear();
        house
            .server
            .handle_accepted(house.now, relay, address(from), &mut house.out)
    };
    assert_eq!(accept(&mut house, PEER), None);
    house.permit(&mut client, "203.0.113.5:0");
    let connection = accept(&mut house, PEER).unwrap();
    let reply = house.answer(client.path).unwrap();
    let message = reply.message();
    assert_eq!(
        (message.class(), message.method()),
        (Class::Indication, Method::CONNECTION_ATTEMPT)
    );
    assert_eq!(message.xor_peer_address(), Ok(Some(address(PEER))));
    assert_eq!(reply.connection(), connection.get());
    assert_eq!(claim(&mut house, &client, tcp(2), connection.get()).code(), None);
    // Who is not claimed within 30 s is let go.
    let connection = accept(&mut house, "203.0.113.5:81").unwrap();
    house.pass(29);
    assert!(!house.actions.contains(&ServerAction::Disconnect { connection }));
    house.pass(1);
    assert_eq!(house.actions.last(), Some(&ServerAction::Disconnect { connection }));
    assert_eq!(claim(&mut house, &client, tcp(3), connection.get()).code(), Some(400));
    assert_eq!(
        house.raised(),
        [("turn_bad_requests", 1), ("turn_refused_connections", 1)]
    );
}

#[test]
fn what_goes_through_splices_is_counted_and_waits_beyond_the_rate() {
    let mut house = House::with(|config| {
        config.limits.bytes_per_second = 10_000;
        config.limits.burst_bytes = 5000;
    });
    let (client, _) = allocated(&mut house);
    let [first, second] = [(PEER, 2), ("203.0.113.5:81", 3)].map(|(to, port)| {
        let (connection, _) = opened(&mut house, &client, to);
        claim(&mut house, &client, tcp(port), connection.get());
        connection
    });
    let now = house.now;
    let after = |millis| Some(now + Duration::from_millis(millis));
    assert_eq!(house.server.handle_spliced(now, first, Towards::Peer, 5000), None);
    // All connections of the allocation share it, and each way has its own.
    assert_eq!(
        house.server.handle_spliced(now, second, Towards::Peer, 1000),
        after(100)
    );
    assert_eq!(
        house.server.handle_spliced(now, second, Towards::Client, 6000),
        after(100)
    );
    assert_eq!(
        house.server.handle_spliced(now, first, Towards::Client, 1000),
        after(200)
    );
    let usage = house.server.allocations(now).next().unwrap().usage;
    assert_eq!((usage.sent_bytes, usage.received_bytes), (6000, 7000));
    assert_eq!((usage.sent_packets, usage.received_packets), (0, 0));
    assert_eq!(house.count("turn_sent_bytes"), 6000);
    assert_eq!(house.count("turn_received_bytes"), 7000);
    // Of one that is gone nothing is known.
    house.server.handle_disconnected(&tcp(2));
    assert_eq!(house.server.handle_spliced(now, first, Towards::Peer, 9000), None);
}

#[test]
fn connect_has_its_rules() {
    let mut house = House::with(|config| config.limits.connections = 2);
    let (mut client, relayed) = allocated(&mut house);
    assert_eq!(house.refused(&mut client, Method::CONNECT, &[]), 400);
    for (to, code) in [("10.0.0.1:80", 403), ("192.0.2.1:3478", 403), ("[2001:db8::9]:80", 443)] {
        assert_eq!(
            house.refused(&mut client, Method::CONNECT, &[Value::XorPeerAddress(address(to))]),
            code
        );
    }
    let connection = connect(&mut house, &client, PEER);
    // Being opened, open and claimed: each time it exists already.
    assert_eq!(house.refused(&mut client, Method::CONNECT, &[peer()]), 446);
    house
        .server
        .handle_connected(house.now, connection, true, &mut house.out);
    house.answer(client.path);
    assert_eq!(house.refused(&mut client, Method::CONNECT, &[peer()]), 446);
    claim(&mut house, &client, tcp(2), connection.get());
    assert_eq!(house.refused(&mut client, Method::CONNECT, &[peer()]), 446);
    opened(&mut house, &client, "203.0.113.5:81");
    assert_eq!(
        house.refused(
            &mut client,
            Method::CONNECT,
            &[Value::XorPeerAddress(address("203.0.113.5:82"))]
        ),
        508
    );
    house.permit(&mut client, PEER);
    let relay = house.relay_at(relayed);
    house.out.to_client.clear();
    let more = house
        .server
        .handle_accepted(house.now, relay, address("203.0.113.5:83"), &mut house.out);
    assert!(more.is_none() && house.out.to_client.is_empty());
    assert_eq!(
        house.raised(),
        [
            ("turn_bad_requests", 1),
            ("turn_forbidden_peers", 2),
            ("turn_family_mismatches", 1),
            ("turn_connection_exists", 3),
            ("turn_insufficient_capacity", 1),
            ("turn_refused_connections", 1),
        ]
    );
    // A UDP allocation has no connections, and what is relayed over TCP has no datagrams.
    let (mut other, _) = house.allocated(tcp(9));
    assert_eq!(house.refused(&mut other, Method::CONNECT, &[peer()]), 437);
    let sent = house.client_sends(client.path, &crate::house::send_indication("203.0.113.5:80", b"x", &[]));
    assert!(sent.is_empty() && house.count("turn_no_allocation") == 1);
}

#[test]
fn a_user_has_few_connections_that_are_not_claimed() {
    let mut house = House::with(|config| config.limits.unclaimed_connections = 3);
    let (mut client, _) = allocated(&mut house);
    let mut other = Client {
        path: tcp(9),
        ..client.clone()
    };
    let relayed = house.granted(&mut other, Method::ALLOCATE, &[TCP]).relayed()[0];
    house.permit(&mut other, PEER);
    connect(&mut house, &client, PEER);
    let (second, _) = opened(&mut house, &client, "203.0.113.5:81");
    let relay = house.relay_at(relayed);
    let accept = |house: &mut House, from: &str| {
        house
            .server
            .handle_accepted(house.now, relay, address(from), &mut house.out)
    };
    let third = accept(&mut house, "203.0.113.5:82").unwrap();
    assert_eq!(accept(&mut house, "203.0.113.5:83"), None);
    let more = [Value::XorPeerAddress(address("203.0.113.5:83"))];
    assert_eq!(house.refused(&mut client, Method::CONNECT, &more), 508);
    // What is claimed does not count, nor what has ended.
    house.out.to_client.clear();
    assert_eq!(claim(&mut house, &client, tcp(2), second.get()).code(), None);
    let fourth = accept(&mut house, "203.0.113.5:83").unwrap();
    assert_eq!(accept(&mut house, "203.0.113.5:84"), None);
    house.server.handle_peer_closed(third, &mut house.out);
    house.out.to_client.clear();
    assert!(accept(&mut house, "203.0.113.5:84").is_some());
    // Of bob nothing is counted.
    let mut bob = Client {
        name: "bob".into(),
        password: "secret of bob".into(),
        ..Client::new(tcp(20))
    };
    house.granted(&mut bob, Method::ALLOCATE, &[TCP]);
    connect(&mut house, &bob, PEER);
    house.pass(30);
    assert!(house.actions.contains(&ServerAction::Disconnect { connection: fourth }));
    house.pass(700);
    assert_eq!(house.server.remembered(), 0);
}

#[test]
fn a_peer_that_hangs_up_and_comes_again_is_taken_so_often() {
    let mut house = House::new();
    let (mut client, relayed) = allocated(&mut house);
    house.permit(&mut client, PEER);
    let relay = house.relay_at(relayed);
    let taken = |house: &mut House| {
        (0..100)
            .filter(|_| {
                let accepted = house
                    .server
                    .handle_accepted(house.now, relay, address(PEER), &mut house.out);
                if let Some(connection) = accepted {
                    house.server.handle_peer_closed(connection, &mut house.out);
                }
                accepted.is_some()
            })
            .count()
    };
    assert_eq!(taken(&mut house), 64);
    house.pass(1);
    assert_eq!(taken(&mut house), 10);
    assert_eq!(house.count("turn_refused_connections"), 36 + 90);
    house.pass(60);
    house.permit(&mut client, PEER);
    assert_eq!(taken(&mut house), 64);
}

#[test]
fn a_connection_that_comes_to_nothing_is_told() {
    let mut house = House::new();
    let (client, _) = allocated(&mut house);
    let connection = connect(&mut house, &client, PEER);
    house
        .server
        .handle_connected(house.now, connection, false, &mut house.out);
    assert_eq!(house.answer(client.path).unwrap().code(), Some(447));
    let connection = connect(&mut house, &client, PEER);
    house.pass(29);
    assert!(house.answer(client.path).is_none());
    house.pass(1);
    assert_eq!(house.answer(client.path).unwrap().code(), Some(447));
    assert_eq!(house.actions.last(), Some(&ServerAction::Disconnect { connection }));
    // Late, it is closed.
    house
        .server
        .handle_connected(house.now, connection, true, &mut house.out);
    assert_eq!(
        house.server.poll_action(),
        Some(ServerAction::Disconnect { connection })
    );
    assert_eq!(house.raised(), [("turn_connections_failed", 2)]);
}

#[test]
fn claims_have_their_rules() {
    let mut house = House::new();
    let (client, _) = allocated(&mut house);
    let connection = connect(&mut house, &client, PEER);
    let id = connection.get();
    assert_eq!(claim(&mut house, &client, tcp(2), id).code(), Some(400), "not open yet");
    house
        .server
        .handle_connected(house.now, connection, true, &mut house.out);
    house.answer(client.path);
    assert_eq!(claim(&mut house, &client, udp(2), id).code(), Some(400), "over UDP");
    assert_eq!(
        claim(&mut house, &client, client.path, id).code(),
        Some(400),
        "the control connection"
    );
    assert_eq!(
        claim(&mut house, &client, tcp(2), id ^ 1).code(),
        Some(400),
        "another number"
    );
    let nothing = Client {
        path: tcp(2),
        ..client.clone()
    };
    assert_eq!(
        house.ask_once(&nothing, Method::CONNECTION_BIND, &[]).unwrap().code(),
        Some(400)
    );
    let bob = Client {
        name: "bob".into(),
        password: "secret of bob".into(),
        ..client.clone()
    };
    assert_eq!(claim(&mut house, &bob, tcp(2), id).code(), Some(441));
    assert_eq!(claim(&mut house, &client, tcp(2), id).code(), None);
    assert_eq!(
        claim(&mut house, &client, tcp(3), id).code(),
        Some(400),
        "claimed already"
    );
    let mut spliced = Client { path: tcp(2), ..client };
    assert_eq!(house.refused(&mut spliced, Method::ALLOCATE, &[UDP]), 437);
}
