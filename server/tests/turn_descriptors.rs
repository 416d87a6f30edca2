//! The TURN server without file descriptors. The limit is the process's: there is no other test beside this one.

#[path = "turn/client.rs"]
mod client;

use std::fs::File;

use client::{Client, start_with};
use rustix::process::{Resource, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};
use stun::{Message, Method, Value};

#[test]
fn a_peer_that_could_not_be_accepted_is_accepted_later() {
    let server = start_with(None, |_| ());
    let mut control = Client::new(&server);
    let answer = control.ask(Method::ALLOCATE, &[Value::RequestedTransport(6)]);
    let relayed = Message::parse(&answer).unwrap().xor_relayed_address().unwrap().unwrap();
    let peer = Value::XorPeerAddress("127.0.0.1:9".parse().unwrap());
    control.ask(Method::CREATE_PERMISSION, &[peer]);
    let peer = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    // Every descriptor is in use.
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(200);
    setrlimit(Resource::Nofile, limit).unwrap();
    let files: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    assert!(files.len() > 50);
    peer.connect(&relayed.into()).unwrap();
    // By this answer the server has seen that there is a peer.
    control.ask(Method::REFRESH, &[]);
    drop(files);
    let attempt = control.receive();
    assert_eq!(Message::parse(&attempt).unwrap().method(), Method::CONNECTION_ATTEMPT);
}
