//! The TURN server with few file descriptors. The limit is the process's: there is no other test beside this one.

#[path = "turn/client.rs"]
mod client;

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::time::Duration;

use client::{Client, start_with};
use rustix::process::{Resource, Rlimit, setrlimit};
use stun::{Message, Method, Value};

/// A quarter of the connections that the limit below leaves to TURN: 55.
const PEERS: usize = 13;

#[test]
fn peers_leave_places_to_clients() {
    // The server raises the limit as far as it may.
    let limit = Rlimit {
        current: Some(512),
        maximum: Some(512),
    };
    setrlimit(Resource::Nofile, limit).unwrap();
    let server = start_with(None, |_| ());
    let mut controls = Vec::new();
    let mut peers = Vec::new();
    while peers.len() <= PEERS {
        let mut control = Client::new(&server);
        let answer = control.ask(Method::ALLOCATE, &[Value::RequestedTransport(6)]);
        let relayed = Message::parse(&answer).unwrap().xor_relayed_address().unwrap().unwrap();
        let from = Value::XorPeerAddress("127.0.0.1:9".parse().unwrap());
        control.ask(Method::CREATE_PERMISSION, &[from]);
        // An allocation has 16 of them.
        for _ in peers.len()..(peers.len() + 16).min(PEERS + 1) {
            peers.push(TcpStream::connect(relayed).unwrap());
            let attempt = control.receive();
            let method = Message::parse(&attempt).unwrap().method();
            assert_eq!(method, Method::CONNECTION_ATTEMPT);
        }
        controls.push(control);
    }
    let mut last = peers.pop().unwrap();
    last.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    match last.read(&mut [0]) {
        Ok(len) => assert_eq!(len, 0),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    for mut peer in peers {
        peer.set_nonblocking(true).unwrap();
        assert_eq!(peer.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    }
    // Clients are answered still.
    let answer = controls[0].ask(Method::REFRESH, &[]);
    assert_eq!(Message::parse(&answer).unwrap().method(), Method::REFRESH);
    // And let in.
    let answer = Client::new(&server).ask(Method::ALLOCATE, &[Value::RequestedTransport(6)]);
    assert!(
        Message::parse(&answer)
            .unwrap()
            .xor_relayed_address()
            .unwrap()
            .is_some()
    );
}
