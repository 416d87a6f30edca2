//! coturn as the foreign server, over UDP, TCP and TLS on the loopback interface. Needs the program `turnserver`
//! (Debian: coturn).

mod coturn {
    pub(crate) mod link;
    pub(crate) mod server;
}

use coturn::link::{Link, Wanted};
use coturn::server::{Coturn, PASSWORD, USER};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;
use turn::client::{
    ClientCounters, CloseReason, Config, ConnectionState, Credentials, Event, Families, MIN_OUT, ReconnectCause,
    Relayed, State,
};

fn config() -> Config {
    Config {
        credentials: Credentials::new(USER, PASSWORD),
        software: Some("Hyaline".into()),
        ..Config::default()
    }
}

/// Two clients relay to each other: first in indications, then in channels.
fn relay_between(server: &Coturn, first: Wanted, second: Wanted) {
    let mut links = [
        Link::new(server, first, config(), 1),
        Link::new(server, second, config(), 2),
    ];
    for link in &mut links {
        link.wait_for(|event| matches!(event, Event::Allocated(_)));
        assert_eq!(link.client.allocation().unwrap().mapped, Some(link.client.path().local));
    }
    let relayed = [0, 1].map(|n: usize| links[n].client.allocation().unwrap().ipv4.unwrap());
    // Whoever speaks first is not heard before the other one has permitted it.
    let [a, b] = &mut links;
    b.permit(relayed[0]);
    b.wait_for(|event| matches!(event, Event::Permitted(_)));
    for round in 0..20_u8 {
        let payload = vec![round; 1 + 60 * usize::from(round)];
        a.send(relayed[1], &payload);
        assert_eq!(b.receive(), (relayed[0], payload.clone()));
        b.send(relayed[0], &payload);
        assert_eq!(a.receive(), (relayed[1], payload));
        if round == 9 {
            a.bind(relayed[1]);
            b.bind(relayed[0]);
        }
    }
    for link in links {
        assert_eq!(*link.client.counters(), ClientCounters::default());
        link.close();
    }
}

#[test]
fn two_clients_relay_over_udp_tcp_and_tls() {
    let server = Coturn::start(&[]);
    relay_between(&server, Wanted::Udp, Wanted::Udp);
    relay_between(&server, Wanted::Tcp, Wanted::Tcp);
    relay_between(&server, Wanted::Tls, Wanted::Tls);
    relay_between(&server, Wanted::Udp, Wanted::Tls);
}

#[test]
fn a_wrong_password_is_said() {
    let server = Coturn::start(&[]);
    let wrong = Config {
        credentials: Credentials::new(USER, "wrong"),
        ..config()
    };
    for wanted in [Wanted::Udp, Wanted::Tcp] {
        let mut link = Link::new(&server, wanted, wrong.clone(), 1);
        link.wait_for(|event| *event == Event::Closed(CloseReason::WrongCredentials));
    }
}

#[test]
fn each_family_has_an_allocation() {
    let server = Coturn::start(&[]);
    for (wanted, families) in [
        (Wanted::Udp, Families::Ipv4),
        (Wanted::Udp, Families::Ipv6),
        (Wanted::Tcp, Families::Ipv6),
    ] {
        let mut link = Link::new(&server, wanted, Config { families, ..config() }, 1);
        link.wait_for(|event| matches!(event, Event::Allocated(_)));
        let relayed: Vec<SocketAddr> = link.client.allocation().unwrap().relayed().collect();
        assert_eq!((relayed.len(), relayed[0].is_ipv6()), (1, families == Families::Ipv6));
        // It talks to itself.
        link.send(relayed[0], b"hello");
        assert_eq!(link.receive(), (relayed[0], b"hello".to_vec()));
        link.close();
    }
}

/// coturn 4.6.1 knows ADDITIONAL-ADDRESS-FAMILY under the number of a draft only (0x8032), and passes over ours.
#[test]
fn a_server_that_knows_no_dual_allocations_gives_one_of_ipv4() {
    let server = Coturn::start(&[]);
    let families = Families::Both;
    let mut link = Link::new(&server, Wanted::Udp, Config { families, ..config() }, 1);
    link.wait_for(|event| matches!(event, Event::Allocated(_)));
    let allocation = link.client.allocation().unwrap();
    assert_eq!((allocation.ipv4.is_some(), allocation.ipv6), (true, None));
    link.close();
}

#[test]
fn a_forbidden_peer_is_told_and_others_are_not_concerned() {
    let server = Coturn::start(&["--denied-peer-ip=192.0.2.0-192.0.2.255"]);
    let mut link = Link::new(&server, Wanted::Udp, config(), 1);
    link.wait_for(|event| matches!(event, Event::Allocated(_)));
    let (forbidden, allowed): (SocketAddr, SocketAddr) =
        ("192.0.2.1:9".parse().unwrap(), "127.0.0.1:9".parse().unwrap());
    link.permit(forbidden);
    link.permit(allowed);
    let mut refused = false;
    let mut permitted = false;
    link.wait_for(|event| {
        refused |= matches!(event, Event::PeerRefused { peer, .. } if *peer == forbidden);
        permitted |= *event == Event::Permitted(allowed.ip());
        refused && permitted
    });
    link.close();
}

#[test]
fn the_server_sends_us_to_another() {
    let second = Coturn::start(&[]);
    let alternate = format!("--alternate-server={}", second.plain);
    let first = Coturn::start(&[&alternate]);
    let mut link = Link::new(&first, Wanted::Udp, config(), 1);
    link.wait_for(|event| {
        matches!(event, Event::Reconnect(reconnect)
            if reconnect.cause == ReconnectCause::TryAlternate && reconnect.server == second.plain)
    });
    let local = link.client.path().local;
    link.client.reconnected(local);
    link.wait_for(|event| matches!(event, Event::Allocated(_)));
    assert_eq!(link.client.path().remote, second.plain);
    link.close();
}

/// Opens a data connection (RFC 6062 §4.3) and gives the stream that belongs to the peer.
fn open(link: &mut Link, connection: turn::client::ConnectionId) -> TcpStream {
    let mut stream = TcpStream::connect(link.client.path().remote).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut opening = link.client.open(connection, stream.local_addr().unwrap()).unwrap();
    let (mut out, mut buffer) = ([0; MIN_OUT], Vec::new());
    while opening.state() == ConnectionState::Opening {
        while let Some(transmit) = opening.poll_transmit(link.now(), &mut out) {
            stream.write_all(&out[..transmit.len]).unwrap();
        }
        // No more than the server's answer, so that nothing of the peer's is lost here.
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        buffer.push(byte[0]);
        let used = opening.handle_stream(link.now(), &buffer);
        buffer.drain(..used);
    }
    assert_eq!((opening.state(), buffer.len()), (ConnectionState::Open, 0));
    stream
}

fn talk(mut near: TcpStream, mut far: TcpStream) {
    let mut bytes = [0; 5];
    near.write_all(b"hello").unwrap();
    far.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"hello");
    far.write_all(b"world").unwrap();
    near.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"world");
}

#[test]
fn tcp_is_relayed_in_both_directions() {
    let server = Coturn::start(&[]);
    let mut link = Link::new(
        &server,
        Wanted::Tcp,
        Config {
            relayed: Relayed::Tcp,
            ..config()
        },
        1,
    );
    link.wait_for(|event| matches!(event, Event::Allocated(_)));
    // To the peer.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = listener.local_addr().unwrap();
    link.client.connect(link.now(), peer).unwrap();
    let Event::Connected { connection, .. } = link.wait_for(|event| matches!(event, Event::Connected { .. })) else {
        unreachable!()
    };
    let (far, _) = listener.accept().unwrap();
    let near = open(&mut link, connection);
    talk(near, far);
    // From the peer.
    link.permit(peer);
    link.wait_for(|event| matches!(event, Event::Permitted(_)));
    let far = TcpStream::connect(link.client.allocation().unwrap().ipv4.unwrap()).unwrap();
    let event = link.wait_for(|event| matches!(event, Event::ConnectionAttempt { .. }));
    let Event::ConnectionAttempt { peer, connection } = event else {
        unreachable!()
    };
    assert_eq!(peer, far.local_addr().unwrap());
    let near = open(&mut link, connection);
    talk(near, far);
    assert_eq!(link.client.state(), State::Allocated);
    link.close();
}
