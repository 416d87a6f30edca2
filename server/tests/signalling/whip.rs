use std::io::{Read, Write};
use std::time::Duration;

use crate::client::{Response, connect, request, request_bytes};
use crate::fake::Fixture;

const SDP: (&str, &str) = ("content-type", "application/sdp");
const FRAGMENT: (&str, &str) = ("content-type", "application/trickle-ice-sdpfrag");

fn post(fixture: &Fixture, path: &str, body: &str) -> Response {
    request(fixture.http(), "POST", path, &[SDP], body)
}

/// A session, with its path and its ETag.
fn session(fixture: &Fixture, path: &str) -> (String, String) {
    let response = post(fixture, path, "v=0\r\n");
    assert_eq!(response.status, 201);
    assert_eq!(response.header("content-type"), Some("application/sdp"));
    assert_eq!(response.body, "v=0\r\ns=answer 5\r\n");
    assert_eq!(response.header("link"), None);
    let location = response.header("location").unwrap();
    let endpoint = path.split('?').next().unwrap();
    let id = location.strip_prefix(endpoint).unwrap().strip_prefix('/').unwrap();
    assert_eq!(id.len(), 32, "128 bits");
    let entity_tag = response.header("etag").unwrap();
    assert!(entity_tag.starts_with('"') && entity_tag.ends_with('"'));
    (location.into(), entity_tag.into())
}

#[test]
fn a_publisher_comes_and_goes() {
    let fixture = Fixture::new();
    let (location, _) = session(&fixture, "/whip/stage?name=OBS");
    fixture.await_line("join \"stage\" OBS Publisher");
    // Preconditions do not matter here.
    let ended = request(fixture.http(), "DELETE", &location, &[("if-match", "\"other\"")], "");
    assert_eq!(ended.status, 200);
    fixture.await_line("leave 1 Left");
    assert_eq!(fixture.server.counters(), hyaline_server::Counters::default());
    let again = request(fixture.http(), "DELETE", &location, &[], "");
    assert_eq!((again.status, again.problem().0.as_str()), (404, "unknown-session"));
    fixture.await_counter("unknown_session", 1);
}

#[test]
fn viewers_say_whom_they_want() {
    let fixture = Fixture::new();
    session(&fixture, "/whep/stage");
    session(&fixture, "/whep/stage?source=OBS%20two");
    fixture.await_line("join \"stage\" viewer Viewer { source: None }");
    fixture.await_line("join \"stage\" viewer Viewer { source: Some(\"OBS two\") }");
}

#[test]
fn an_echo_needs_no_room() {
    let fixture = Fixture::new();
    let (location, _) = session(&fixture, "/v1/echo");
    fixture.await_line("join \"\" echo Echo");
    assert_eq!(request(fixture.http(), "DELETE", &location, &[], "").status, 200);
    fixture.await_line("leave 1 Left");
}

#[test]
fn candidates_trickle_and_ice_restarts() {
    let fixture = Fixture::new();
    let (location, entity_tag) = session(&fixture, "/whip/stage");
    let patch =
        |tag: &str, body: &str| request(fixture.http(), "PATCH", &location, &[FRAGMENT, ("if-match", tag)], body);
    let trickled = patch(&entity_tag, "a=mid:0\r\n");
    assert_eq!(
        (trickled.status, trickled.body.as_str(), trickled.header("etag")),
        (204, "", None)
    );
    fixture.await_line("fragment \"a=mid:0\\r\\n\"");

    let restarted = patch("*", "restart");
    assert_eq!(restarted.status, 200);
    assert_eq!(restarted.header("content-type"), Some(FRAGMENT.1));
    assert_eq!(restarted.body, "a=ice-ufrag:new\r\n");
    let renewed = restarted.header("etag").unwrap().to_owned();
    assert_ne!(renewed, entity_tag);
    assert_eq!(fixture.server.counters(), hyaline_server::Counters::default());

    // What was on its way for the ICE session before is late.
    let late = patch(&entity_tag, "a=mid:0\r\n");
    assert_eq!((late.status, late.problem().0.as_str()), (412, "precondition-failed"));
    fixture.await_counter("precondition_failed", 1);
    assert_eq!(patch(&renewed, "a=mid:0\r\n").status, 204);
}

#[test]
fn each_fault_has_its_status_and_its_counter() {
    for (method, headers, body, status, code, counter) in [
        (
            "PATCH",
            &[FRAGMENT][..],
            "a=mid:0\r\n",
            428,
            "precondition-missing",
            "precondition_missing",
        ),
        (
            "PATCH",
            &[FRAGMENT, ("if-match", "*")],
            "bad",
            400,
            "malformed",
            "fragment_refused",
        ),
        (
            "PATCH",
            &[SDP, ("if-match", "*")],
            "a=mid:0\r\n",
            415,
            "wrong-content-type",
            "wrong_content_type",
        ),
        (
            "PATCH",
            &[("if-match", "*")],
            "a=mid:0\r\n",
            415,
            "wrong-content-type",
            "wrong_content_type",
        ),
    ] {
        let fixture = Fixture::new();
        let (location, _) = session(&fixture, "/whip/stage");
        let response = request(fixture.http(), method, &location, headers, body);
        assert_eq!((response.status, response.problem().0.as_str()), (status, code));
        assert_eq!(response.header("access-control-allow-origin"), Some("*"));
        fixture.await_counter(counter, 1);
        // The session is none the worse for it.
        assert_eq!(request(fixture.http(), "DELETE", &location, &[], "").status, 200);
    }
    let huge = format!("v=0\r\n{}", "x".repeat(600 << 10));
    for path in ["/whip/stage", "/whep/stage", "/v1/echo"] {
        for (headers, body, status, code, counter) in [
            (&[SDP][..], "x=0", 400, "malformed", "offer_refused"),
            (
                &[("content-type", "text/plain")],
                "v=0",
                415,
                "wrong-content-type",
                "wrong_content_type",
            ),
            (&[], "v=0", 415, "wrong-content-type", "wrong_content_type"),
            (&[SDP], huge.as_str(), 413, "too-large", "unreadable_body"),
        ] {
            let fixture = Fixture::new();
            let response = request(fixture.http(), "POST", path, headers, body);
            let (given, detail) = response.problem();
            assert_eq!((response.status, given.as_str()), (status, code), "{path}");
            assert!(
                detail.ends_with('.') && detail.starts_with(char::is_uppercase),
                "{detail}"
            );
            assert_eq!(response.header("access-control-allow-origin"), Some("*"));
            fixture.await_counter(counter, 1);
            if code == "malformed" {
                assert!(detail.contains("line 1"), "{detail}");
                // Nobody is left behind.
                fixture.await_line("leave 1 Failed");
            }
        }
    }
}

#[test]
fn names_are_checked() {
    for (path, code, counter) in [
        ("/whip/a%20b", "invalid-room-name", "invalid_room_name"),
        ("/whep/a%20b", "invalid-room-name", "invalid_room_name"),
        ("/whip/stage?name=%07", "invalid-name", "invalid_participant_name"),
        ("/whep/stage?source=", "invalid-name", "invalid_participant_name"),
    ] {
        let fixture = Fixture::new();
        let response = post(&fixture, path, "v=0\r\n");
        assert_eq!((response.status, response.problem().0.as_str()), (400, code), "{path}");
        fixture.await_counter(counter, 1);
    }
    let fixture = Fixture::new();
    let response = post(&fixture, "/whip/full", "v=0\r\n");
    assert_eq!((response.status, response.problem().0.as_str()), (503, "full"));
    assert!(response.header("retry-after").is_some());
    fixture.await_counter("join_refused", 1);
}

#[test]
fn a_session_is_found_at_its_own_address_only() {
    let fixture = Fixture::new();
    let (location, _) = session(&fixture, "/whip/stage");
    let id = location.rsplit('/').next().unwrap();
    for elsewhere in [
        format!("/whep/stage/{id}"),
        format!("/whip/other/{id}"),
        format!("/v1/echo/{id}"),
    ] {
        assert_eq!(request(fixture.http(), "DELETE", &elsewhere, &[], "").status, 404);
    }
    assert_eq!(request(fixture.http(), "GET", &location, &[], "").status, 204);
    assert_eq!(request(fixture.http(), "DELETE", &location, &[], "").status, 200);
}

#[test]
fn pages_from_elsewhere_may_use_it() {
    let fixture = Fixture::new();
    let (location, _) = session(&fixture, "/whip/stage");
    for (path, methods, accept) in [
        ("/whip/stage", "POST", ("accept-post", "application/sdp")),
        ("/whep/stage", "POST", ("accept-post", "application/sdp")),
        ("/v1/echo", "POST", ("accept-post", "application/sdp")),
        (&location, "PATCH", ("accept-patch", "application/trickle-ice-sdpfrag")),
        (&location, "DELETE", ("accept-patch", "application/trickle-ice-sdpfrag")),
    ] {
        let preflight = [
            ("origin", "https://example.org"),
            ("access-control-request-method", methods),
        ];
        let response = request(fixture.http(), "OPTIONS", path, &preflight, "");
        assert_eq!(response.status, 200);
        assert_eq!(response.header("access-control-allow-origin"), Some("*"));
        assert!(
            response
                .header("access-control-allow-methods")
                .unwrap()
                .contains(methods)
        );
        let allowed = response.header("access-control-allow-headers").unwrap();
        assert!(allowed.contains("Content-Type") && allowed.contains("If-Match") && allowed.contains("Authorization"));
        assert_eq!(response.header(accept.0), Some(accept.1));
    }
    let response = post(&fixture, "/whip/stage", "v=0\r\n");
    let exposed = response.header("access-control-expose-headers").unwrap();
    assert!(exposed.contains("Location") && exposed.contains("ETag"));
}

#[test]
fn players_recognise_an_endpoint() {
    let fixture = Fixture::new();
    for method in ["HEAD", "GET"] {
        let response = request(fixture.http(), method, "/whep/stage", &[], "");
        assert_eq!(
            (response.status, response.header("content-type")),
            (200, Some("application/sdp"))
        );
        assert_eq!(response.body, "");
    }
    let response = request(fixture.http(), "PUT", "/whep/stage", &[], "");
    assert_eq!(response.status, 405);
}

#[test]
fn a_body_has_to_be_text() {
    let fixture = Fixture::new();
    let response = request_bytes(fixture.http(), "POST", "/v1/echo", &[SDP], b"v=0\r\ns=\xff\r\n");
    let (code, detail) = response.problem();
    assert_eq!((response.status, code.as_str()), (400, "malformed"));
    assert!(detail.contains("byte 8"), "{detail}");
    fixture.await_counter("unreadable_body", 1);
}

#[test]
fn a_body_has_to_come() {
    let fixture = Fixture::with(|options| options.silence = Duration::from_millis(300));
    // The request says that there is more than it sends.
    let mut stream = connect(fixture.http());
    let head = "POST /whip/stage HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\
                content-type: application/sdp\r\ncontent-length: 100\r\n\r\nv=0\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert!(
        answer.starts_with("HTTP/1.1 408 ") && answer.contains("too-slow"),
        "{answer:?}"
    );
    fixture.await_counter("unreadable_body", 1);
}

#[test]
fn who_hangs_up_in_the_middle_leaves_nothing_behind() {
    let fixture = Fixture::with(|options| options.workers = 1.try_into().unwrap());
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let media = fixture.server.media_addrs()[0]
        .iter()
        .find(|addr| addr.ip().is_loopback() && addr.is_ipv4())
        .unwrap();
    let release = fixture.gate.lock().unwrap();
    udp.send_to(b"wait", media).unwrap();
    fixture.await_line("waiting");
    let mut stream = connect(fixture.http());
    let body = "this is no SDP";
    let head = format!(
        "POST /v1/echo HTTP/1.1\r\nhost: test\r\n{}: {}\r\ncontent-length: {}\r\n\r\n",
        SDP.0,
        SDP.1,
        body.len()
    );
    stream.write_all((head + body).as_bytes()).unwrap();
    drop(stream);
    drop(release);
    // The offer is still looked at, and whoever made it is let go.
    fixture.await_line("leave 1 Failed");
}
