use super::server::indication;
use super::*;
use stun::{AttributeType, Message, Value};

fn tcp() -> Config {
    Config {
        transport: Transport::Stream,
        relayed: Relayed::Tcp,
        ..config()
    }
}

#[test]
fn connections_are_asked_for_and_told() {
    let mut pair = Pair::new(tcp());
    pair.run();
    let request = pair.server.last().bytes.clone();
    let transport = Message::parse(&request)
        .unwrap()
        .attribute(AttributeType::REQUESTED_TRANSPORT);
    assert_eq!(transport.unwrap().value(), [6, 0, 0, 0]);
    pair.events.clear();
    pair.client.connect(pair.now, peer(1)).unwrap();
    // RFC 6062 §4.3: not twice at one time.
    assert_eq!(pair.client.connect(pair.now, peer(1)), Err(SendError::TooSoon));
    pair.run();
    let connection = ConnectionId(7);
    assert_eq!(
        pair.events,
        [Event::Connected {
            peer: peer(1),
            connection
        }]
    );
    assert_eq!(pair.send(peer(1), b"x"), Err(SendError::NotThatTransport));
    assert_eq!(pair.client.bind(pair.now, peer(1)), Err(SendError::NotThatTransport));
    pair.assert_clean();
}

#[test]
fn the_time_that_a_peer_takes_is_not_that_of_the_server() {
    let mut pair = Pair::allocated(tcp());
    let before = pair.client.rtt();
    pair.client.connect(pair.now, peer(1)).unwrap();
    let answer = pair.poll().and_then(|message| pair.server.handle(&message)).unwrap();
    pair.now += secs(20);
    pair.give(&answer);
    pair.collect();
    assert!(matches!(pair.events[..], [Event::Connected { .. }]));
    assert_eq!(pair.client.rtt(), before);
}

#[test]
fn a_connect_that_failed_may_be_tried_again_in_ten_seconds() {
    let mut pair = Pair::allocated(tcp());
    let error = ErrorCode::CONNECTION_TIMEOUT_OR_FAILURE;
    pair.server.errors.push_back((Method::CONNECT, error));
    pair.client.connect(pair.now, peer(1)).unwrap();
    pair.run();
    let failed = Event::ConnectFailed {
        peer: peer(1),
        error: Some(error),
    };
    assert_eq!(pair.events, [failed]);
    pair.pass(ms(9999));
    assert_eq!(pair.client.connect(pair.now, peer(1)), Err(SendError::TooSoon));
    assert_eq!(pair.client.connect(pair.now, peer(2)), Ok(()));
    pair.pass(ms(1));
    assert_eq!(pair.client.connect(pair.now, peer(1)), Ok(()));
}

#[test]
fn peers_may_connect_once_they_are_permitted() {
    let mut pair = Pair::allocated(tcp());
    let attempt = indication(
        Method::CONNECTION_ATTEMPT,
        &[
            Value::XorPeerAddress(peer(1)),
            Value::Other(AttributeType::CONNECTION_ID, &[0, 0, 1, 2]),
        ],
    );
    pair.give(&attempt);
    assert_eq!(pair.client.counters().turn_unwanted_data, 1);
    pair.client.permit(pair.now, peer(1)).unwrap();
    pair.run();
    // They are sent no datagrams for all that.
    assert_eq!(pair.send(peer(1), b"x"), Err(SendError::NotThatTransport));
    pair.give(&attempt);
    pair.collect();
    let told = Event::ConnectionAttempt {
        peer: peer(1),
        connection: ConnectionId(0x102),
    };
    assert_eq!(pair.events.last(), Some(&told));
    pair.give(&indication(
        Method::CONNECTION_ATTEMPT,
        &[Value::XorPeerAddress(peer(1))],
    ));
    assert_eq!(pair.client.counters().turn_malformed, 1);
}

#[test]
fn only_allocations_of_tcp_connect() {
    let mut pair = Pair::allocated(config());
    assert_eq!(pair.client.connect(pair.now, peer(1)), Err(SendError::NotThatTransport));
}

fn opening() -> (Pair, DataConnection) {
    let mut pair = Pair::allocated(tcp());
    let local = address("198.51.100.1:6000");
    let connection = pair.client.open(ConnectionId(7), local).unwrap();
    assert_eq!(connection.server(), address(SERVER));
    (pair, connection)
}

fn poll(pair: &Pair, connection: &mut DataConnection) -> Option<Vec<u8>> {
    let mut out = [0; MIN_OUT];
    let transmit = connection.poll_transmit(pair.now, &mut out)?;
    assert_eq!(transmit.path.local, address("198.51.100.1:6000"));
    Some(out[..transmit.len].to_vec())
}

#[test]
fn a_data_connection_is_bound_with_a_nonce_of_its_own() {
    let (mut pair, mut connection) = opening();
    pair.server.nonce += 1;
    let request = poll(&pair, &mut connection).unwrap();
    let message = Message::parse(&request).unwrap();
    assert_eq!(
        message.attribute(AttributeType::CONNECTION_ID).unwrap().value(),
        [0, 0, 0, 7]
    );
    let challenge = pair.server.handle(&request).unwrap();
    assert_eq!(connection.handle_stream(pair.now, &challenge), challenge.len());
    let request = poll(&pair, &mut connection).unwrap();
    let mut answer = pair.server.handle(&request).unwrap();
    let len = answer.len();
    answer.extend(b"the peer's own bytes");
    assert_eq!(connection.handle_stream(pair.now, &answer[..len - 1]), 0);
    assert_eq!(connection.state(), ConnectionState::Opening);
    assert_eq!(connection.handle_stream(pair.now, &answer), len);
    assert_eq!(connection.state(), ConnectionState::Open);
    assert_eq!(connection.handle_stream(pair.now, b"\x40"), 0);
    assert_eq!((poll(&pair, &mut connection), connection.poll_timeout()), (None, None));
}

#[test]
fn a_data_connection_is_bound_in_another_realm() {
    let (mut pair, mut connection) = opening();
    pair.server.realm = "other.example.org";
    while let Some(request) = poll(&pair, &mut connection) {
        let answer = pair.server.handle(&request).unwrap();
        connection.handle_stream(pair.now, &answer);
    }
    assert_eq!(connection.state(), ConnectionState::Open);
}

#[test]
fn a_data_connection_may_fail() {
    let fails = |prepare: fn(&mut Server)| {
        let (mut pair, mut connection) = opening();
        prepare(&mut pair.server);
        while let Some(request) = poll(&pair, &mut connection) {
            let answer = pair.server.handle(&request).unwrap();
            connection.handle_stream(pair.now, &answer);
        }
        connection.state()
    };
    let refused = |server: &mut Server| {
        server
            .errors
            .push_back((Method::CONNECTION_BIND, ErrorCode::BAD_REQUEST));
    };
    assert_eq!(
        fails(refused),
        ConnectionState::Failed(CloseReason::Refused(ErrorCode::BAD_REQUEST))
    );
    let violated = ConnectionState::Failed(CloseReason::IntegrityViolated);
    assert_eq!(fails(|server| server.no_integrity = true), violated);
    let stale = |server: &mut Server| {
        for _ in 0..9 {
            server
                .errors
                .push_back((Method::CONNECTION_BIND, ErrorCode::STALE_NONCE));
        }
    };
    assert_eq!(
        fails(stale),
        ConnectionState::Failed(CloseReason::Refused(ErrorCode::STALE_NONCE))
    );

    let (pair, mut connection) = opening();
    connection.handle_stream(pair.now, b"\x16\x03\x01");
    assert_eq!(connection.state(), ConnectionState::Failed(CloseReason::BadFraming));
    let (pair, mut connection) = opening();
    connection.handle_stream(pair.now, &[0x40, 0, 0, 0]);
    assert_eq!(connection.state(), ConnectionState::Failed(CloseReason::BadAnswer));

    let (pair, mut connection) = opening();
    poll(&pair, &mut connection).unwrap();
    let deadline = connection.poll_timeout().unwrap();
    assert_eq!(deadline, pair.now + ms(39_500));
    connection.handle_timeout(deadline - ms(1));
    assert_eq!(connection.state(), ConnectionState::Opening);
    connection.handle_timeout(deadline);
    assert_eq!(connection.state(), ConnectionState::Failed(CloseReason::TimedOut));
}
