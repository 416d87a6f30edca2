//! Connections that break, and members who come back.

use std::net::UdpSocket;
use std::time::Duration;

use serde_json::{Value, json};
use tungstenite::protocol::frame::coding::CloseCode;

use crate::client::{Socket, get};
use crate::fake::Fixture;

fn fixture() -> Fixture {
    Fixture::with(|options| options.workers = 1.try_into().unwrap())
}

/// Lets the engine know what happens to somebody's media.
fn media(fixture: &Fixture, text: &str, joined: &Value) {
    let mut addresses = fixture.server.media_addrs()[0].iter();
    let address = addresses
        .find(|addr| addr.ip().is_loopback() && addr.is_ipv4())
        .unwrap();
    let text = format!("{text} {}", joined["participant"].as_str().unwrap());
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(text.as_bytes(), address).unwrap();
}

/// In the room, with media that flows.
fn connected(fixture: &Fixture, name: &str) -> (Socket, Value) {
    let (mut socket, joined) = Socket::join(fixture.http(), "tea", name);
    media(fixture, "connected", &joined);
    let connection = socket.receive();
    assert_eq!(
        (&connection["type"], &connection["state"]),
        (&json!("connection"), &json!("connected"))
    );
    (socket, joined)
}

fn resume(fixture: &Fixture, room: &str, joined: &Value) -> Socket {
    let mut socket = Socket::open(fixture.http(), room);
    socket.send(&json!({"type": "resume", "session": joined["session"]}).to_string());
    socket
}

#[test]
fn who_comes_back_is_told_everything() {
    let fixture = fixture();
    let (mut bob, joined_bob) = Socket::join(fixture.http(), "tea", "Bob");
    let (ada, joined) = connected(&fixture, "Ada");
    for expected in ["participant-joined", "connection"] {
        assert_eq!(bob.receive()["type"], expected);
    }
    drop(ada);
    // What happens meanwhile is not lost.
    bob.send(r#"{"type":"mute","mid":"1","muted":true}"#);
    bob.send(r#"{"type":"ping"}"#);
    assert_eq!(bob.receive()["type"], "pong");
    media(&fixture, "disconnected", &joined_bob);
    assert_eq!(bob.receive()["state"], "disconnected");
    let (_cid, joined_cid) = Socket::join(fixture.http(), "tea", "Cid");
    assert_eq!(bob.receive()["type"], "participant-joined");

    let mut ada = resume(&fixture, "tea", &joined);
    let resumed = ada.receive();
    assert_eq!(resumed["type"], "resumed");
    for same in ["participant", "name", "room", "iceServers"] {
        assert_eq!(resumed[same], joined[same]);
    }
    assert_ne!(resumed["session"], joined["session"]);
    assert_eq!(
        resumed["participants"],
        json!([
            {"participant": joined_bob["participant"], "name": "Bob", "sources": []},
            {"participant": joined_cid["participant"], "name": "Cid", "sources": []},
        ])
    );
    assert_eq!(ada.receive(), json!({"type": "need", "audio": 8, "video": 8}));
    assert_eq!(ada.receive(), json!({"type": "slots", "slots": []}));
    for (whose, state) in [(&joined, "connected"), (&joined_bob, "disconnected")] {
        assert_eq!(
            ada.receive(),
            json!({"type": "connection", "participant": whose["participant"], "state": state})
        );
    }
    // Nobody has noticed, and everything works as before.
    ada.send(r#"{"type":"mute","mid":"1","muted":true}"#);
    assert_eq!(bob.receive()["type"], "sources");
    assert!(
        get(fixture.http(), "/metrics")
            .body
            .contains("hyaline_sessions_resumed_total{worker=\"0\"} 1")
    );
    assert_eq!(fixture.server.counters(), hyaline_server::Counters::default());
    // The first session is over, the second one is as good.
    drop(ada);
    assert_eq!(resume(&fixture, "tea", &resumed).receive()["type"], "resumed");
}

/// `resumed` is lost with its connection, and the new session with it.
#[test]
fn who_does_not_know_that_it_came_back_may_come_again() {
    let fixture = fixture();
    let (ada, joined) = connected(&fixture, "Ada");
    drop(ada);
    for _ in 0..3 {
        let answer = resume(&fixture, "tea", &joined).receive();
        assert_eq!(answer["type"], "resumed", "{answer}");
    }
    let mut ada = resume(&fixture, "tea", &joined);
    assert_eq!(ada.receive()["type"], "resumed");
    ada.send(r#"{"type":"ping"}"#);
    while ada.receive()["type"] != "pong" {}
    // From here on it is known.
    assert_eq!(resume(&fixture, "tea", &joined).error().0, "unknown-session");
}

#[test]
fn the_connection_before_is_told_that_it_was_replaced() {
    let fixture = fixture();
    let (mut old, joined) = connected(&fixture, "Ada");
    let mut new = resume(&fixture, "tea", &joined);
    assert_eq!(new.receive()["type"], "resumed");
    let bye = old.receive();
    assert_eq!((&bye["type"], &bye["reason"]), (&json!("bye"), &json!("replaced")));
    assert_eq!(old.closed(), (CloseCode::Normal, "bye".into()));
    drop(old);
    for expected in ["need", "slots", "connection"] {
        assert_eq!(new.receive()["type"], expected);
    }
    new.send(r#"{"type":"ping"}"#);
    assert_eq!(new.receive()["type"], "pong");
    assert!(!fixture.log.lock().unwrap().iter().any(|line| line.starts_with("leave")));
}

/// The goodbye over the old connection comes to the worker after the member has come back over the new one.
#[test]
fn who_has_come_back_is_not_taken_away_by_the_connection_before() {
    let came_back = (0..20).any(|_| {
        let fixture = fixture();
        let (mut old, joined) = connected(&fixture, "Ada");
        let release = fixture.hold();
        let mut new = resume(&fixture, "tea", &joined);
        // Until this is answered the wish to come back waits for the worker, but for the rarest case.
        assert_eq!(get(fixture.http(), "/").status, 200);
        old.send(r#"{"type":"leave"}"#);
        assert_eq!(old.closed(), (CloseCode::Normal, "left".into()));
        drop(release);
        let first = new.receive();
        if first["code"] == "unknown-session" {
            return false;
        }
        assert_eq!(first["type"], "resumed");
        new.send(r#"{"type":"mute","mid":"1","muted":true}"#);
        fixture.await_line("mute 1 1 true");
        let log = fixture.log.lock().unwrap();
        assert!(!log.iter().any(|line| line.starts_with("leave")), "{log:#?}");
        true
    });
    assert!(came_back);
}

#[test]
fn who_comes_back_with_nothing_may_join() {
    let fixture = fixture();
    let (ada, joined) = connected(&fixture, "Ada");
    let mut strangers = Vec::new();
    for (room, session) in [
        ("tea", json!("0123456789abcdef0123456789abcdef")),
        ("tea", json!("x".repeat(100_000))),
        // It is a session of another room.
        ("coffee", joined["session"].clone()),
    ] {
        let mut eve = resume(&fixture, room, &json!({"session": session}));
        assert_eq!(eve.error(), ("unknown-session".into(), Some("resume".into())));
        eve.send(r#"{"type":"join","name":"Eve"}"#);
        assert_eq!(eve.receive()["type"], "joined");
        assert_eq!(eve.receive()["type"], "need");
        eve.send(&json!({"type": "resume", "session": joined["session"]}).to_string());
        assert_eq!(eve.error(), ("already-joined".into(), Some("resume".into())));
        strangers.push(eve);
    }
    let counters = fixture.server.counters();
    assert_eq!(
        (counters.websocket_unknown_session, counters.websocket_out_of_order),
        (3, 3)
    );
    assert_eq!(counters.iter().filter(|(_, value)| *value > 0).count(), 2);
    drop((ada, strangers));
}

#[test]
fn without_a_connection_and_without_media_one_is_gone() {
    let fixture = fixture();
    let (ada, joined) = connected(&fixture, "Ada");
    let (bob, joined_bob) = connected(&fixture, "Bob");
    drop((ada, bob));
    media(&fixture, "disconnected", &joined);
    fixture.await_line("leave 1 Closed");
    assert_eq!(resume(&fixture, "tea", &joined).error().0, "unknown-session");
    assert_eq!(resume(&fixture, "tea", &joined_bob).receive()["type"], "resumed");
}

#[test]
fn media_that_was_silent_before_the_connection_broke_keeps_no_place() {
    let fixture = fixture();
    let (mut ada, joined) = connected(&fixture, "Ada");
    media(&fixture, "disconnected", &joined);
    assert_eq!(ada.receive()["state"], "disconnected");
    drop(ada);
    fixture.await_line("leave 1 Closed");
}

#[test]
fn media_alone_keeps_a_place_for_some_time_only() {
    let fixture = Fixture::with(|options| {
        options.workers = 1.try_into().unwrap();
        options.silence = Duration::from_millis(300);
    });
    let (ada, joined) = connected(&fixture, "Ada");
    drop(ada);
    fixture.await_line("leave 1 Closed");
    assert_eq!(resume(&fixture, "tea", &joined).error().0, "unknown-session");
}

/// More than waits for somebody with a connection: what nobody reads is dropped.
#[test]
fn messages_for_who_is_away_are_not_kept() {
    let fixture = fixture();
    let (ada, joined) = connected(&fixture, "Ada");
    let (mut bob, _) = Socket::join(fixture.http(), "tea", "Bob");
    drop(ada);
    for _ in 0..4 {
        for muted in [true, false].repeat(100) {
            bob.send(&json!({"type": "mute", "mid": "1", "muted": muted}).to_string());
        }
        // Below what counts as a flood.
        let (next, _) = Socket::join(fixture.http(), "tea", "Bob");
        bob = next;
    }
    let mut ada = resume(&fixture, "tea", &joined);
    assert_eq!(ada.receive()["type"], "resumed");
    assert_eq!(ada.receive()["type"], "need");
}

#[test]
fn a_stopping_server_does_not_wait_for_who_is_away() {
    let fixture = fixture();
    let (ada, _) = connected(&fixture, "Ada");
    drop(ada);
    let start = std::time::Instant::now();
    let Fixture { server, .. } = fixture;
    server.shutdown();
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}
