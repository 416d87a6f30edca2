use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use hyaline_server::{Options, Server, StartError};

use crate::client::{Socket, get};
use crate::fake::Fixture;

fn ask(address: SocketAddr, text: &str) -> UdpSocket {
    let local = if address.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
    let socket = UdpSocket::bind(local).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // Connected: only what comes from the very address that was asked is taken.
    socket.connect(address).unwrap();
    socket.send(text.as_bytes()).unwrap();
    socket
}

fn answer(socket: &UdpSocket) -> String {
    let mut buffer = [0; 100];
    let len = socket.recv(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..len]).into_owned()
}

#[test]
fn every_worker_answers_from_the_address_that_was_asked() {
    let fixture = Fixture::new();
    assert_eq!(fixture.server.media_addrs().len(), 2);
    let ports: Vec<u16> = fixture
        .server
        .media_addrs()
        .iter()
        .map(|worker| worker[0].port())
        .collect();
    assert_ne!(ports[0], ports[1]);
    for worker in fixture.server.media_addrs() {
        let loopback: Vec<_> = worker.iter().filter(|address| address.ip().is_loopback()).collect();
        assert!(!loopback.is_empty());
        for address in loopback {
            assert_eq!(answer(&ask(*address, "hello")), "echo hello");
        }
    }
}

#[test]
fn ports_are_counted_from_the_first() {
    // Somebody else may take them between the two servers, then others are tried.
    let started = (0..20).find_map(|_| {
        let base = UdpSocket::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port();
        std::panic::catch_unwind(|| Fixture::with(|options| options.udp_port = base))
            .ok()
            .map(|fixture| (base, fixture))
    });
    let (base, fixture) = started.unwrap();
    let ports: Vec<u16> = fixture
        .server
        .media_addrs()
        .iter()
        .map(|worker| worker[0].port())
        .collect();
    assert_eq!(ports, [base, base + 1]);
}

#[test]
fn announced_addresses_stand_for_the_machines_own() {
    let public = "203.0.113.7".parse().unwrap();
    let fixture = Fixture::with(|options| options.announce = vec![public]);
    for worker in fixture.server.media_addrs() {
        assert_eq!(worker.iter().map(SocketAddr::ip).collect::<Vec<_>>(), [public]);
    }
}

#[test]
fn the_last_datagrams_leave_before_the_end() {
    let fixture = Fixture::new();
    let address = *fixture.server.media_addrs()[0]
        .iter()
        .find(|address| address.ip().is_loopback())
        .unwrap();
    let socket = ask(address, "hello");
    assert_eq!(answer(&socket), "echo hello");
    fixture.server.shutdown();
    assert_eq!(answer(&socket), "goodbye");
}

#[test]
fn rooms_spread_over_the_workers() {
    let fixture = Fixture::new();
    // The engines count their participants each from 1.
    let (_first, a) = Socket::join(fixture.http(), "one", "Ada");
    let (_second, b) = Socket::join(fixture.http(), "two", "Bob");
    let (_third, c) = Socket::join(fixture.http(), "one", "Cid");
    assert_eq!(
        [&a, &b, &c].map(|joined| joined["participant"].as_str().unwrap()),
        ["1", "1", "2"]
    );
    assert!(get(fixture.http(), "/metrics").body.contains("hyaline_rooms 2\n"));
}

#[test]
fn a_worker_that_ends_is_a_reason_to_stop() {
    let fixture = Fixture::new();
    let address = *fixture.server.media_addrs()[1]
        .iter()
        .find(|address| address.ip().is_loopback())
        .unwrap();
    let (_elsewhere, _) = Socket::join(fixture.http(), "one", "Ada");
    let (mut there, _) = Socket::join(fixture.http(), "two", "Bob");
    let stop = fixture.server.listen_for_stop().unwrap();
    ask(address, "panic 1");
    // It is not the client's fault.
    let bye = there.receive();
    assert_eq!((&bye["type"], &bye["reason"]), (&"bye".into(), &"shutdown".into()));
    assert_eq!(stop.wait(), hyaline_server::Stopped::Worker);
    assert_eq!(get(fixture.http(), "/healthz").status, 503);
}

/// The first worker's port is free, the second one's is taken.
#[test]
fn a_server_that_cannot_start_leaves_nothing_behind() {
    let bind = |port| UdpSocket::bind(("0.0.0.0", port));
    // Somebody else may have a port or take it in the meantime, then others are tried.
    let tried = (0..20).any(|_| {
        let base = bind(0).unwrap().local_addr().unwrap().port();
        let Some(_taken) = base.checked_add(1).and_then(|port| bind(port).ok()) else {
            return false;
        };
        let options = Options {
            http: ([127, 0, 0, 1], 0).into(),
            udp_port: base,
            workers: 2.try_into().unwrap(),
            ..Options::default()
        };
        let Err(StartError::Media(port, error)) = Server::start(&options) else {
            return false;
        };
        port == base + 1 && error.kind() == ErrorKind::AddrInUse && bind(base).is_ok()
    });
    assert!(tried);
}

#[test]
fn what_explains_a_packet_goes_before_it() {
    let fixture = Fixture::with(|options| options.workers = 1.try_into().unwrap());
    let (mut ada, joined) = Socket::join(fixture.http(), "tea", "Ada");
    let address = *fixture.server.media_addrs()[0]
        .iter()
        .find(|address| address.ip().is_loopback())
        .unwrap();
    let text = format!("slots {}", joined["participant"].as_str().unwrap());
    assert_eq!(answer(&ask(address, &text)), format!("echo {text}"));
    assert_eq!(ada.receive()["type"], "slots");
    let log = fixture.log.lock().unwrap();
    let polled: Vec<_> = log.iter().filter(|line| line.starts_with("polled ")).collect();
    assert_eq!(polled, ["polled an event", "polled a packet"]);
}
