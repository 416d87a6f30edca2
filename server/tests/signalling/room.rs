use std::time::{Duration, Instant};

use serde_json::json;
use tungstenite::Message;
use tungstenite::protocol::frame::coding::CloseCode;

use crate::client::{Socket, get};
use crate::fake::Fixture;

#[test]
fn two_people_meet() {
    let fixture = Fixture::new();
    let (mut ada, joined) = Socket::join(fixture.http(), "tea", "Ada");
    assert_eq!(joined["name"], "Ada");
    assert_eq!(joined["room"], "tea");
    assert_eq!(
        (&joined["participants"], &joined["iceServers"]),
        (&json!([]), &json!([]))
    );
    let (mut bob, joined_bob) = Socket::join(fixture.http(), "tea", " Bob ");
    let (id_ada, id_bob) = (&joined["participant"], &joined_bob["participant"]);
    assert_eq!(joined_bob["name"], "Bob");
    assert_eq!(
        joined_bob["participants"],
        json!([{"participant": id_ada, "name": "Ada", "sources": []}])
    );
    assert_eq!(
        ada.receive(),
        json!({"type": "participant-joined", "participant": id_bob, "name": "Bob", "sources": []})
    );
    bob.send(r#"{"type":"leave"}"#);
    assert_eq!(bob.closed(), (CloseCode::Normal, "left".into()));
    assert_eq!(
        ada.receive(),
        json!({"type": "participant-left", "participant": id_bob, "reason": "left"})
    );
    fixture.await_line("leave 2 Left");
}

#[test]
fn a_connection_that_breaks_is_a_participant_who_leaves() {
    let fixture = Fixture::new();
    let (mut ada, _) = Socket::join(fixture.http(), "tea", "Ada");
    let (bob, joined) = Socket::join(fixture.http(), "tea", "Bob");
    assert_eq!(ada.receive()["type"], "participant-joined");
    drop(bob);
    assert_eq!(
        ada.receive(),
        json!({"type": "participant-left", "participant": joined["participant"], "reason": "closed"})
    );
    // And can be back at once.
    Socket::join(fixture.http(), "tea", "Bob");
    assert_eq!(ada.receive()["type"], "participant-joined");
    assert_eq!(fixture.server.counters(), hyaline_server::Counters::default());
}

#[test]
fn the_engine_hears_everything_in_order() {
    let fixture = Fixture::new();
    let (mut ada, _) = Socket::join(fixture.http(), "tea", "Ada");
    ada.send(
        r#"{"type":"sources","sources":[{"mid":"0","kind":"microphone","muted":false},{"mid":"1","kind":"camera"}]}"#,
    );
    ada.send(&json!({"type": "offer", "id": 17, "sdp": "v=0\r\n"}).to_string());
    ada.send(
        r#"{"type":"candidate","candidate":"candidate:1 1 udp 1 192.0.2.1 9 typ host","sdpMid":"0","sdpMLineIndex":0}"#,
    );
    ada.send(r#"{"type":"candidate","candidate":""}"#);
    ada.send(r#"{"type":"view","tiles":4,"pinned":["7"],"pictures":[{"participant":"7","source":"camera","width":640,"height":360}]}"#);
    ada.send(r#"{"type":"mute","mid":"1","muted":true}"#);
    // The answer comes before what follows from it.
    assert_eq!(
        ada.receive(),
        json!({"type": "answer", "id": 17, "sdp": "v=0\r\ns=answer 5\r\n"})
    );
    assert_eq!(ada.receive(), json!({"type": "slots", "slots": []}));
    ada.send(r#"{"type":"ping"}"#);
    assert_eq!(ada.receive(), json!({"type": "pong"}));
    fixture.await_line("mute 1 1 true");
    let log = fixture.log.lock().unwrap().clone();
    assert_eq!(
        log,
        [
            "join \"tea\" Ada Member",
            "sources 1 0:Microphone:false 1:Camera:false",
            "offer 1 5 bytes",
            "candidate 1 Some(\"0\") candidate:1 1 udp 1 192.0.2.1 9 typ host",
            "candidate 1 None ",
            "view 1 Some(4) [ParticipantId(7)] [\"7:Camera:640x360\"]",
            "mute 1 1 true",
        ]
    );
}

#[test]
fn what_cannot_be_read_is_told_and_counted() {
    for (text, code, re, counter) in [
        ("hello", "not-json", None, "websocket_not_json"),
        (r#"{"type":"dance"}"#, "unknown-type", None, "websocket_unknown_type"),
        ("[]", "unknown-type", None, "websocket_unknown_type"),
        (
            r#"{"type":"offer","sdp":7}"#,
            "invalid-message",
            Some("offer"),
            "websocket_invalid_message",
        ),
        (
            r#"{"type":"view","tiles":50}"#,
            "invalid-message",
            Some("view"),
            "websocket_invalid_message",
        ),
        (
            r#"{"type":"join","name":"Eve"}"#,
            "already-joined",
            Some("join"),
            "websocket_out_of_order",
        ),
        (
            r#"{"type":"offer","sdp":"x"}"#,
            "offer-refused",
            Some("offer"),
            "offer_refused",
        ),
        (
            r#"{"type":"candidate","candidate":"bad"}"#,
            "candidate-refused",
            Some("candidate"),
            "candidate_refused",
        ),
    ] {
        let fixture = Fixture::new();
        let (mut bob, _) = Socket::join(fixture.http(), "tea", "Bob");
        let (mut ada, _) = Socket::join(fixture.http(), "tea", "Ada");
        assert_eq!(bob.receive()["type"], "participant-joined");
        ada.send(text);
        assert_eq!(ada.error(), (code.into(), re.map(Into::into)), "{text}");
        fixture.await_counter(counter, 1);
        // The connection lives on, and nobody else has noticed.
        for socket in [&mut ada, &mut bob] {
            socket.send(r#"{"type":"ping"}"#);
            assert_eq!(socket.receive(), json!({"type": "pong"}));
        }
    }
}

#[test]
fn a_refused_offer_tells_which() {
    let fixture = Fixture::new();
    let (mut ada, _) = Socket::join(fixture.http(), "tea", "Ada");
    ada.send(r#"{"type":"offer","id":"second","sdp":"x"}"#);
    let error = ada.receive();
    assert_eq!((&error["id"], &error["re"]), (&json!("second"), &json!("offer")));
    assert!(error["message"].as_str().unwrap().contains("line 1"));
}

#[test]
fn before_joining_only_a_name_counts() {
    let fixture = Fixture::new();
    let mut ada = Socket::open(fixture.http(), "tea");
    ada.send(r#"{"type":"ping"}"#);
    assert_eq!(ada.receive(), json!({"type": "pong"}));
    ada.send(r#"{"type":"mute","mid":"1","muted":true}"#);
    assert_eq!(ada.error(), ("not-joined".into(), Some("mute".into())));
    fixture.await_counter("websocket_out_of_order", 1);

    let fixture = Fixture::new();
    let mut ada = Socket::open(fixture.http(), "tea");
    ada.send(&json!({"type": "join", "name": "x".repeat(10_000)}).to_string());
    assert_eq!(ada.error(), ("invalid-name".into(), Some("join".into())));
    fixture.await_counter("invalid_participant_name", 1);
    // A better one is welcome.
    ada.send(r#"{"type":"join","name":"Ada"}"#);
    assert_eq!(ada.receive()["type"], "joined");

    let fixture = Fixture::new();
    let mut ada = Socket::open(fixture.http(), "full");
    ada.send(r#"{"type":"join","name":"Ada"}"#);
    assert_eq!(ada.error(), ("full".into(), Some("join".into())));
    fixture.await_counter("join_refused", 1);
}

#[test]
fn a_room_name_that_is_none_is_told_over_the_connection() {
    for name in ["x".repeat(10_000), "a%20b".into(), "...".into()] {
        let fixture = Fixture::new();
        let mut ada = Socket::open(fixture.http(), &name);
        assert_eq!(ada.error(), ("invalid-room-name".into(), None));
        assert_eq!(ada.closed(), (CloseCode::Policy, "invalid-room-name".into()));
        fixture.await_counter("invalid_room_name", 1);
    }
    let fixture = Fixture::new();
    let response = get(fixture.http(), "/v1/rooms/tea/ws");
    assert_eq!(
        (response.status, response.problem().0.as_str()),
        (426, "websocket-only")
    );
    // By this a page learns that a proxy changes the host.
    assert!(response.body.contains(r#""host":"test""#), "{}", response.body);
}

#[test]
fn what_breaks_the_rules_of_the_connection_ends_it() {
    // Just above our own limit, and above what the library reads at all.
    for length in [600 << 10, 10 << 20] {
        let fixture = Fixture::new();
        let (mut ada, _) = Socket::join(fixture.http(), "tea", "Ada");
        let long = "x".repeat(length);
        let sent = ada.0.send(Message::text(long));
        if sent.is_ok() && length < 2 << 20 {
            assert_eq!(ada.error(), ("oversized".into(), None));
            assert_eq!(ada.closed(), (CloseCode::Size, "oversized".into()));
        }
        fixture.await_counter("websocket_oversized", 1);
        fixture.await_line("leave 1 Closed");
    }

    let fixture = Fixture::new();
    let (mut ada, _) = Socket::join(fixture.http(), "tea", "Ada");
    ada.0.send(Message::binary(vec![1, 2, 3])).unwrap();
    assert_eq!(ada.error(), ("binary".into(), None));
    assert_eq!(ada.closed(), (CloseCode::Unsupported, "binary".into()));
    fixture.await_counter("websocket_binary", 1);
    fixture.await_line("leave 1 Closed");

    let fixture = Fixture::new();
    let (mut ada, _) = Socket::join(fixture.http(), "tea", "Ada");
    for _ in 0..2000 {
        // The server may close in the middle.
        let _ = ada.0.write(Message::text(r#"{"type":"mute","mid":"1","muted":true}"#));
    }
    let _ = ada.0.flush();
    assert_eq!(ada.error(), ("flood".into(), None));
    fixture.await_counter("websocket_flood", 1);
    fixture.await_line("leave 1 Closed");
}

#[test]
fn who_does_not_read_is_let_go() {
    let fixture = Fixture::with(|options| options.workers = 1.try_into().unwrap());
    let (ada, joined) = Socket::join(fixture.http(), "tea", "Ada");
    let (mut bob, _) = Socket::join(fixture.http(), "tea", "Bob");
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let media = fixture.server.media_addrs()[0]
        .iter()
        .find(|addr| addr.ip().is_loopback() && addr.is_ipv4())
        .unwrap();
    udp.send_to(
        format!("flood {}", joined["participant"].as_str().unwrap()).as_bytes(),
        media,
    )
    .unwrap();
    fixture.await_line("leave 1 SlowReader");
    assert_eq!(
        bob.receive(),
        json!({"type": "participant-left", "participant": joined["participant"], "reason": "slow-reader"})
    );
    drop(ada);
}

#[test]
fn a_stopping_server_says_goodbye_to_everybody() {
    let fixture = Fixture::new();
    let (mut ada, _) = Socket::join(fixture.http(), "tea", "Ada");
    let mut early = Socket::open(fixture.http(), "tea");
    early.send(r#"{"type":"ping"}"#);
    assert_eq!(early.receive()["type"], "pong");
    let Fixture { server, log, .. } = fixture;
    let start = Instant::now();
    server.shutdown();
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    for socket in [&mut ada, &mut early] {
        let bye = socket.receive();
        assert_eq!((&bye["type"], &bye["reason"]), (&json!("bye"), &json!("shutdown")));
        assert_eq!(socket.closed(), (CloseCode::Away, "shutdown".into()));
    }
    assert_eq!(log.lock().unwrap().iter().filter(|line| *line == "close").count(), 2);
}

#[test]
fn who_is_silent_is_let_go() {
    // Longer than it takes Bob to come, on a busy machine too: else he does not see that Ada leaves.
    let fixture = Fixture::with(|options| options.silence = Duration::from_secs(2));
    let (ada, _) = Socket::join(fixture.http(), "tea", "Ada");
    let (mut bob, _) = Socket::join(fixture.http(), "tea", "Bob");
    // Who reads answers the pings; Ada does neither.
    let left = bob.receive();
    assert_eq!(
        (&left["type"], &left["reason"]),
        (&json!("participant-left"), &json!("closed"))
    );
    fixture.await_counter("websocket_silent", 1);
    drop(ada);
}

/// Pings are answered, and so they cost as much as messages.
#[test]
fn pings_can_be_a_flood_too() {
    let fixture = Fixture::new();
    let (mut ada, _) = Socket::join(fixture.http(), "tea", "Ada");
    for _ in 0..2000 {
        // The server may close in the middle.
        let _ = ada.0.write(Message::Ping(Vec::new().into()));
    }
    let _ = ada.0.flush();
    assert_eq!(ada.error(), ("flood".into(), None));
    fixture.await_counter("websocket_flood", 1);
    fixture.await_line("leave 1 Closed");
}

#[test]
fn who_does_not_join_is_let_go() {
    let fixture = Fixture::with(|options| options.silence = Duration::from_millis(900));
    let mut ada = Socket::open(fixture.http(), "tea");
    // It is alive, and answers the server's pings.
    ada.send(r#"{"type":"ping"}"#);
    assert_eq!(ada.receive(), json!({"type": "pong"}));
    assert_eq!(ada.error(), ("join-timeout".into(), None));
    assert_eq!(ada.closed(), (CloseCode::Policy, "join-timeout".into()));
    fixture.await_counter("websocket_not_joined", 1);
}

#[test]
fn rooms_are_for_the_page_that_came_from_here() {
    let fixture = Fixture::with(|options| options.allowed_origins = vec!["https://meet.example.org".into()]);
    let own = fixture.http();
    for origin in [
        None,
        Some(format!("http://{own}")),
        Some(format!("https://{own}")),
        Some("https://meet.example.org".into()),
    ] {
        let mut ada = Socket::open_from(own, "tea", origin.as_deref()).unwrap();
        ada.send(r#"{"type":"ping"}"#);
        assert_eq!(ada.receive(), json!({"type": "pong"}));
    }
    assert_eq!(fixture.server.counters(), hyaline_server::Counters::default());
    for (number, origin) in [
        "https://example.org",
        "http://127.0.0.1",
        "http://localhost:1",
        "https://evil.meet.example.org",
        "https://meet.example.org.evil",
        "null",
        "\u{fc}",
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(Socket::open_from(own, "tea", Some(origin)).err(), Some(403), "{origin}");
        fixture.await_counter("foreign_origin", number as u64 + 1);
    }
}

#[test]
fn a_worker_that_does_not_answer_is_busy() {
    let fixture = Fixture::with(|options| options.silence = Duration::from_millis(300));
    let release = fixture.hold();
    let response = get(fixture.http(), "/healthz");
    assert_eq!((response.status, response.problem().0.as_str()), (503, "busy"));
    fixture.await_counter("worker_busy", 1);
    drop(release);
    assert_eq!(get(fixture.http(), "/healthz").status, 200);
}

/// A hundred of the longest offers are as much as a thousand small commands.
#[test]
fn what_waits_for_a_worker_is_bounded_in_bytes() {
    let fixture = Fixture::with(|options| options.workers = 1.try_into().unwrap());
    let (mut ada, _) = Socket::join(fixture.http(), "tea", "Ada");
    let release = fixture.hold();
    let sdp = "x".repeat(250 << 10);
    for id in 0..200 {
        ada.send(&json!({"type": "offer", "id": id, "sdp": sdp}).to_string());
    }
    ada.send(r#"{"type":"leave"}"#);
    for id in 131..200 {
        let busy = ada.receive();
        assert_eq!((&busy["code"], &busy["id"]), (&json!("busy"), &json!(id)));
    }
    drop(release);
    fixture.await_line("leave 1 Left");
    let log = fixture.log.lock().unwrap();
    let taken = log.iter().filter(|line| line.starts_with("offer ")).count();
    assert_eq!(taken, 131);
}

#[test]
fn a_worker_with_too_much_to_do_says_so() {
    let fixture = Fixture::with(|options| options.workers = 1.try_into().unwrap());
    let (mut crowd, release) = fixture.overwhelm();
    crowd[0].send(r#"{"type":"offer","id":3,"sdp":"v=0"}"#);
    let error = crowd[0].receive();
    assert_eq!(
        (&error["code"], &error["re"], &error["id"]),
        (&json!("busy"), &json!("offer"), &json!(3))
    );
    fixture.await_counter("worker_busy", 1);
    drop(release);
    crowd[0].send(r#"{"type":"offer","id":4,"sdp":"v=0"}"#);
    assert_eq!(crowd[0].receive()["id"], 4);
}
