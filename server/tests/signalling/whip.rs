use std::io::{Read, Write};
use std::time::{Duration, Instant};

use hyaline_server::Options;

use crate::client::{PATIENCE, Response, Socket, connect, exchange, request, request_bytes, until_the_end};
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

/// Neither a connection without a request, nor half a request, nor a client that comes for no further one is there for
/// ever.
#[test]
fn a_silent_connection_ends() {
    let fixture = Fixture::with(|options| options.silence = Duration::from_millis(300));
    for (sent, answered) in [
        ("", false),
        ("GET / HTTP/1.1\r\nhost: te", false),
        ("GET /healthz HTTP/1.1\r\nhost: test\r\n\r\n", true),
    ] {
        let mut stream = connect(fixture.http());
        stream.write_all(sent.as_bytes()).unwrap();
        let answer = until_the_end(&mut stream).expect("the connection ends");
        assert_eq!(answer.starts_with("HTTP/1.1 200 "), answered, "{sent:?}: {answer:?}");
    }
}

#[test]
fn who_does_not_read_its_answers_gives_its_place_back() {
    let fixture = Fixture::with(|options| {
        options.silence = Duration::from_millis(300);
        options.connections_per_address = 1;
    });
    // More answers than any buffer holds.
    let mut stream = fixture.connect();
    let head = "GET /assets/hyaline.js HTTP/1.1\r\nhost: test\r\n\r\n";
    stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let _ = stream.write_all(head.repeat(10_000).as_bytes());
    // There is a place again only when that one has ended.
    fixture.connect();
}

#[test]
fn connections_are_counted_by_address_and_in_all() {
    for change in [
        |options: &mut Options| options.connections_per_address = 2,
        |options: &mut Options| options.connections = 2,
    ] {
        let fixture = Fixture::with(change);
        let mut first = fixture.connect();
        let _second = Socket::open(fixture.http(), "tea");
        let mut third = connect(fixture.http());
        assert_eq!(until_the_end(&mut third).as_deref(), Some(""));
        fixture.await_counter("connections_refused", 1);
        // A WebSocket keeps its place, a connection that has ended gives it back.
        first
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")
            .unwrap();
        assert!(until_the_end(&mut first).unwrap().ends_with("ok\n"));
        fixture.connect();
    }
}

#[test]
fn a_broken_body_is_not_a_long_one() {
    let fixture = Fixture::new();
    let mut stream = connect(fixture.http());
    let head = "POST /whip/stage HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\
                content-type: application/sdp\r\ntransfer-encoding: chunked\r\n\r\nno chunk\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let answer = until_the_end(&mut stream).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 400 ") && answer.contains("\"malformed\""),
        "{answer:?}"
    );
    fixture.await_counter("unreadable_body", 1);
}

/// What the library would refuse with a text of its own.
#[test]
fn every_refusal_has_the_same_form() {
    for (method, path, status, code, counter) in [
        (
            "POST",
            "/whip/a?name=x&name=y",
            400,
            "invalid-query",
            Some("invalid_query"),
        ),
        (
            "POST",
            "/whep/a?source=x&source=y",
            400,
            "invalid-query",
            Some("invalid_query"),
        ),
        ("DELETE", "/whip/a/%FF", 404, "unknown-session", Some("unknown_session")),
        ("GET", "/whip/a/%FF", 404, "unknown-session", Some("unknown_session")),
        ("PUT", "/whip/a", 405, "method-not-allowed", Some("method_not_allowed")),
        (
            "POST",
            "/healthz",
            405,
            "method-not-allowed",
            Some("method_not_allowed"),
        ),
        ("POST", "/r/a", 405, "method-not-allowed", Some("method_not_allowed")),
        ("GET", "/assets/%FF", 400, "malformed", None),
        ("GET", "/nothing", 404, "not-found", None),
    ] {
        let fixture = Fixture::new();
        let response = request(fixture.http(), method, path, &[SDP], "v=0\r\n");
        assert_eq!(
            (response.status, response.problem().0.as_str()),
            (status, code),
            "{method} {path}"
        );
        assert_eq!(response.header("allow").is_some(), status == 405, "{path}");
        match counter {
            Some(counter) => fixture.await_counter(counter, 1),
            None => assert_eq!(fixture.server.counters(), hyaline_server::Counters::default()),
        }
    }
}

/// Places of a fixture for [`hang_up`].
const PLACES: usize = 6;

/// Sends a request and breaks the connection. The server has noticed when this returns, as the place is free again.
fn hang_up(fixture: &Fixture, request: &str) {
    let mut stream = fixture.connect();
    stream.write_all(request.as_bytes()).unwrap();
    // What has been answered since gives the request time to be read.
    let _spare: Vec<_> = (1..PLACES).map(|_| fixture.connect()).collect();
    drop(stream);
    fixture.connect();
}

/// Hangs up until the engine was told `line` of it: the server may notice the end before it has read the request.
fn hang_up_until(fixture: &Fixture, request: &str, line: &str) {
    let deadline = Instant::now() + PATIENCE;
    let told = || fixture.log.lock().unwrap().iter().any(|told| told.starts_with(line));
    while !told() {
        assert!(Instant::now() < deadline, "{:?}", fixture.log.lock());
        let release = fixture.hold();
        hang_up(fixture, request);
        drop(release);
        // The worker has done all that was asked of it when it answers this.
        assert_eq!(exchange(fixture.connect(), "GET", "/healthz", &[], b"").status, 200);
    }
}

fn crowded(places: usize) -> Fixture {
    Fixture::with(|options| {
        options.workers = 1.try_into().unwrap();
        options.connections_per_address = places;
    })
}

/// The engine has restarted ICE, so the entity tag is another one, although nobody is there to hear it.
#[test]
fn who_hangs_up_during_a_restart_leaves_no_half_of_it() {
    let fixture = crowded(PLACES);
    let (location, entity_tag) = session(&fixture, "/whip/stage");
    let request = format!(
        "PATCH {location} HTTP/1.1\r\nhost: test\r\n{}: {}\r\nif-match: *\r\ncontent-length: 7\r\n\r\nrestart",
        FRAGMENT.0, FRAGMENT.1
    );
    hang_up_until(&fixture, &request, "fragment \"restart\"");
    let late = exchange(
        fixture.connect(),
        "PATCH",
        &location,
        &[FRAGMENT, ("if-match", &entity_tag)],
        b"a=mid:0\r\n",
    );
    assert_eq!(late.status, 412);
}

#[test]
fn who_hangs_up_while_it_ends_a_session_has_ended_it() {
    let fixture = crowded(6);
    let (location, _) = session(&fixture, "/whip/stage");
    let (crowd, release) = fixture.overwhelm();
    let mut stream = fixture.connect();
    let head = format!("DELETE {location} HTTP/1.1\r\nhost: test\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    // Until the session is not found any more, and so the request is being worked on.
    let deadline = Instant::now() + PATIENCE;
    let is_gone = || {
        let mut stream = fixture.connect();
        let mut answer = String::new();
        // Without an answer the last one's place is not free yet.
        let asked =
            stream.write_all(format!("GET {location} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").as_bytes());
        asked.and_then(|()| stream.read_to_string(&mut answer)).is_ok() && answer.starts_with("HTTP/1.1 404")
    };
    while !is_gone() {
        assert!(Instant::now() < deadline);
    }
    // With the crowd's four, this one, and the one that hangs up all places are taken, until the server has noticed.
    let spare = fixture.connect();
    drop(stream);
    fixture.connect();
    drop(release);
    fixture.await_line("leave 1 Left");
    // It went through in the end, so nobody was told that the worker is busy.
    assert_eq!(fixture.server.counters().worker_busy, 0);
    drop((crowd, spare));
}

#[test]
fn who_hangs_up_in_the_middle_leaves_nothing_behind() {
    let fixture = crowded(PLACES);
    let body = "this is no SDP";
    let head = format!(
        "POST /v1/echo HTTP/1.1\r\nhost: test\r\n{}: {}\r\ncontent-length: {}\r\n\r\n",
        SDP.0,
        SDP.1,
        body.len()
    );
    // Whoever came in is let go.
    hang_up_until(&fixture, &(head + body), "join ");
    fixture.await_line("leave 1 Failed");
}
