//! What whoever runs the server may see and do.

use serde_json::{Value, json};
use tungstenite::protocol::frame::coding::CloseCode;

use crate::client::{Response, Socket, get, request};
use crate::fake::Fixture;

const TOKEN: &str = "0123456789abcdef";

fn fixture() -> Fixture {
    Fixture::with(|options| options.admin_token = Some(TOKEN.into()))
}

fn admin(fixture: &Fixture, method: &str, path: &str) -> Response {
    let authorization = format!("Bearer {TOKEN}");
    request(fixture.http(), method, path, &[("authorization", &authorization)], "")
}

fn rooms(fixture: &Fixture) -> Value {
    let response = admin(fixture, "GET", "/v1/rooms");
    assert_eq!(
        (response.status, response.header("cache-control")),
        (200, Some("no-store"))
    );
    serde_json::from_str(&response.body).unwrap()
}

fn whip(fixture: &Fixture, path: &str) -> Response {
    let headers = [("content-type", "application/sdp")];
    request(fixture.http(), "POST", path, &headers, "v=0\r\n")
}

#[test]
fn without_a_token_there_is_nothing() {
    let fixture = Fixture::new();
    let (_ada, _) = Socket::join(fixture.http(), "tea", "Ada");
    for (method, path) in [
        ("GET", "/v1/rooms"),
        ("POST", "/v1/rooms"),
        ("DELETE", "/v1/rooms/tea"),
        ("DELETE", "/v1/rooms/tea/participants/1"),
    ] {
        for authorization in ["", "Bearer ", &format!("Bearer {TOKEN}")] {
            let headers = [("authorization", authorization)];
            let response = request(fixture.http(), method, path, &headers, "");
            assert_eq!(
                (response.status, response.problem().0.as_str()),
                (404, "not-found"),
                "{path}"
            );
        }
    }
    assert_eq!(fixture.server.counters(), hyaline_server::Counters::default());
}

#[test]
fn only_the_token_opens() {
    let fixture = fixture();
    let (mut ada, _) = Socket::join(fixture.http(), "tea", "Ada");
    let mut refused = 0;
    for (method, path) in [
        ("GET", "/v1/rooms"),
        ("DELETE", "/v1/rooms/tea"),
        ("DELETE", "/v1/rooms/tea/participants/1"),
        ("DELETE", "/v1/rooms/a%20b"),
    ] {
        for authorization in [
            "",
            "Bearer",
            "Bearer ",
            TOKEN,
            "Basic 0123456789abcdef",
            "Bearer 0123456789abcdee",
            "Bearer 0123456789abcde",
            "Bearer 0123456789abcdef0",
            "Bearer \u{fc}",
        ] {
            let headers = [("authorization", authorization)];
            let response = request(fixture.http(), method, path, &headers, "");
            assert_eq!((response.status, response.problem().0.as_str()), (401, "unauthorized"));
            assert_eq!(response.header("www-authenticate"), Some("Bearer realm=\"hyaline\""));
            refused += 1;
            fixture.await_counter("admin_unauthorized", refused);
        }
    }
    // Nothing has happened, and the scheme's name may be written in any way (RFC 9110 §11.1).
    ada.send(r#"{"type":"ping"}"#);
    assert_eq!(ada.receive()["type"], "pong");
    let headers = [("authorization", "bearer 0123456789abcdef")];
    assert_eq!(request(fixture.http(), "GET", "/v1/rooms", &headers, "").status, 200);
}

#[test]
fn rooms_are_listed_with_everybody_in_them() {
    let fixture = fixture();
    assert_eq!(rooms(&fixture), json!({"rooms": []}));
    let (_ada, joined) = Socket::join(fixture.http(), "tea", "Ada");
    let (_bob, joined_bob) = Socket::join(fixture.http(), "tea", "Bob");
    let (_cid, joined_cid) = Socket::join(fixture.http(), "coffee", "Cid");
    assert_eq!(whip(&fixture, "/whip/stage?name=Camera").status, 201);
    assert_eq!(whip(&fixture, "/whep/stage").status, 201);
    assert_eq!(whip(&fixture, "/v1/echo").status, 201);
    let mut all = rooms(&fixture);
    // Each worker counts for itself.
    for participant in all["rooms"][1]["participants"].as_array_mut().unwrap() {
        assert!(participant["participant"].take().is_string());
    }
    let present = |joined: &Value, name: &str| json!({"participant": joined["participant"], "name": name, "kind": "member", "connected": false});
    let on_stage =
        |name: &str, kind: &str| json!({"participant": null, "name": name, "kind": kind, "connected": false});
    assert_eq!(
        all,
        json!({"rooms": [
            {"room": "coffee", "participants": [present(&joined_cid, "Cid")]},
            {"room": "stage", "participants": [on_stage("Camera", "publisher"), on_stage("viewer", "viewer")]},
            {"room": "tea", "participants": [present(&joined, "Ada"), present(&joined_bob, "Bob")]},
        ]})
    );
}

#[test]
fn one_may_be_sent_away() {
    let fixture = fixture();
    let (mut ada, joined) = Socket::join(fixture.http(), "tea", "Ada");
    let (mut bob, _) = Socket::join(fixture.http(), "tea", "Bob");
    let (_cid, _) = Socket::join(fixture.http(), "coffee", "Cid");
    assert_eq!(ada.receive()["type"], "participant-joined");
    let id = joined["participant"].as_str().unwrap();
    for path in [
        "/v1/rooms/tea/participants/99".into(),
        "/v1/rooms/tea/participants/Ada".into(),
        format!("/v1/rooms/coffee/participants/{id}0"),
        format!("/v1/rooms/nobody/participants/{id}"),
    ] {
        let response = admin(&fixture, "DELETE", &path);
        assert_eq!(
            (response.status, response.problem().0.as_str()),
            (404, "unknown-participant"),
            "{path}"
        );
    }
    let path = format!("/v1/rooms/tea/participants/{id}");
    assert_eq!(admin(&fixture, "DELETE", &path).status, 204);
    let bye = ada.receive();
    assert_eq!((&bye["type"], &bye["reason"]), (&json!("bye"), &json!("kicked")));
    assert_eq!(bye["message"], "Whoever runs this server has sent you away.");
    assert_eq!(ada.closed(), (CloseCode::Normal, "bye".into()));
    assert_eq!(
        bob.receive(),
        json!({"type": "participant-left", "participant": id, "reason": "kicked"})
    );
    assert_eq!(admin(&fixture, "DELETE", &path).status, 404);
    // The session is over too.
    let mut again = Socket::open(fixture.http(), "tea");
    again.send(&json!({"type": "resume", "session": joined["session"]}).to_string());
    assert_eq!(again.error().0, "unknown-session");
}

#[test]
fn a_room_may_be_closed() {
    let fixture = fixture();
    let (mut ada, _) = Socket::join(fixture.http(), "tea", "Ada");
    let (mut cid, _) = Socket::join(fixture.http(), "coffee", "Cid");
    let (mut bob, _) = Socket::join(fixture.http(), "tea", "Bob");
    let published = whip(&fixture, "/whip/tea");
    for (socket, others) in [(&mut ada, 2), (&mut bob, 1)] {
        for _ in 0..others {
            assert_eq!(socket.receive()["type"], "participant-joined");
        }
    }
    let response = admin(&fixture, "DELETE", "/v1/rooms/nobody");
    assert_eq!((response.status, response.problem().0.as_str()), (404, "unknown-room"));
    assert_eq!(admin(&fixture, "DELETE", "/v1/rooms/tea").status, 204);
    // Nobody sees the others leave first.
    for mut socket in [ada, bob] {
        let bye = socket.receive();
        assert_eq!((&bye["type"], &bye["reason"]), (&json!("bye"), &json!("room-closed")));
        assert_eq!(bye["message"], "Whoever runs this server has closed the room.");
        assert_eq!(socket.closed(), (CloseCode::Normal, "bye".into()));
    }
    let location = published.header("location").unwrap();
    while get(fixture.http(), location).status != 404 {}
    cid.send(r#"{"type":"ping"}"#);
    assert_eq!(cid.receive()["type"], "pong");
    // It is no name that is barred.
    let (_ada, joined) = Socket::join(fixture.http(), "tea", "Ada");
    assert_eq!(joined["participants"], json!([]));
}
