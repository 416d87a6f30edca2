//! The server with its real engine: what browsers really offer is answered, and noise raises exactly its counter.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyaline_server::{Options, Server, VideoCodec};
use peer::testing::Client;
use peer::{Direction, Kind};
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

fn server() -> Server {
    let options = Options {
        http: SocketAddr::from(([127, 0, 0, 1], 0)),
        workers: 1.try_into().unwrap(),
        video_codecs: vec![VideoCodec::Vp8, VideoCodec::H264, VideoCodec::Vp9, VideoCodec::Av1],
        ..Options::default()
    };
    Server::start(&options).unwrap()
}

/// Status, head and body.
fn request(server: &Server, method: &str, path: &str, headers: &str, body: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(server.http_addr()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    stream
        .write_all(format!("{head}{headers}\r\n{body}").as_bytes())
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (
        head.split(' ').nth(1).unwrap().parse().unwrap(),
        head.to_ascii_lowercase(),
        body.to_owned(),
    )
}

const SDP: &str = "content-type: application/sdp\r\n";

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    head.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        .unwrap()
}

fn offers() -> Vec<(String, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/sdp");
    let mut offers: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.ends_with("-offer.sdp") && (name.starts_with("chromium") || name.starts_with("firefox"))
        })
        .map(|path| (path.display().to_string(), std::fs::read_to_string(path).unwrap()))
        .collect();
    offers.sort();
    assert!(offers.len() > 20, "{}", offers.len());
    offers
}

#[test]
fn every_offer_of_a_browser_is_answered() {
    let server = server();
    for (name, offer) in offers() {
        let (status, head, answer) = request(&server, "POST", "/v1/echo", SDP, &offer);
        assert_eq!(status, 201, "{name}: {answer}");
        let answer = sdp::Session::parse(&answer).unwrap_or_else(|error| panic!("{name}: {error}"));
        let offer = sdp::Session::parse(&offer).unwrap();
        assert_eq!(answer.media().count(), offer.media().count(), "{name}");
        let media = &server.media_addrs()[0];
        let candidates = answer.to_string().matches("a=candidate:").count();
        assert_eq!(candidates, 2 * media.len(), "{name}: {answer}");
        assert_eq!(request(&server, "DELETE", header(&head, "location"), "", "").0, 200);
    }
    assert_eq!(server.counters(), hyaline_server::Counters::default());
}

#[test]
fn a_publisher_trickles_and_restarts() {
    let server = server();
    let (_, offer) = offers()
        .into_iter()
        .find(|(name, _)| name.contains("chromium156-sendonly-av-"))
        .unwrap();
    let (status, head, _) = request(&server, "POST", "/whip/stage", SDP, &offer);
    assert_eq!(status, 201);
    let (location, entity_tag) = (header(&head, "location"), header(&head, "etag"));
    let line = |name: &str| offer.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    let fragment = |ufrag: &str, pwd: &str| {
        format!(
            "{ufrag}\r\n{pwd}\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n\
             a=candidate:1 1 udp 2122260223 192.0.2.77 61764 typ host\r\na=end-of-candidates\r\n"
        )
    };
    let patch = |tag: &str, body: &str| {
        let headers = format!("content-type: application/trickle-ice-sdpfrag\r\nif-match: {tag}\r\n");
        request(&server, "PATCH", location, &headers, body)
    };
    let known = fragment(&line("a=ice-ufrag:"), &line("a=ice-pwd:"));
    assert_eq!(patch(entity_tag, &known).0, 204);
    let fresh = fragment("a=ice-ufrag:ysXw", "a=ice-pwd:vw5LmwG4y/e6dPP/zAP9Gp5k");
    let (status, head, body) = patch("*", &fresh);
    assert_eq!(status, 200);
    assert_ne!(header(&head, "etag"), entity_tag);
    assert!(body.contains("a=ice-ufrag:") && body.contains("a=candidate:"), "{body}");
    assert_eq!(patch(entity_tag, &known).0, 412);
    assert_eq!(patch("*", "this is no fragment\r\n").0, 400);
}

#[test]
fn a_malformed_offer_is_told_with_line_and_rule() {
    let server = server();
    let (_, offer) = offers()
        .into_iter()
        .find(|(name, _)| name.contains("chromium156-sendonly-av-"))
        .unwrap();
    let number = offer.lines().position(|line| line.starts_with("a=rtpmap:")).unwrap();
    let broken: String = offer
        .lines()
        .enumerate()
        .map(|(i, line)| {
            if i == number {
                "a=rtpmap:nonsense\r\n".to_owned()
            } else {
                format!("{line}\r\n")
            }
        })
        .collect();
    for path in ["/whip/stage", "/whep/stage", "/v1/echo"] {
        let (status, _, body) = request(&server, "POST", path, SDP, &broken);
        assert_eq!(status, 400);
        assert!(body.contains(&format!("line {}", number + 1)), "{body}");
    }
}

/// Offers that a browser makes for its part of WHIP and WHEP, and such that are of no use there.
#[test]
fn whip_only_receives_and_whep_only_sends() {
    let fixture = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/sdp").join(name);
        std::fs::read_to_string(path).unwrap()
    };
    let both = fixture("chromium156-av-offer.sdp");
    assert!(both.contains("a=sendrecv"));
    let send = fixture("chromium156-sendonly-av-offer.sdp");
    let receive = fixture("firefox153-recvonly-av-offer.sdp");
    let data = fixture("chromium156-dc-offer.sdp");
    let all = fixture("firefox153-av-dc-offer.sdp");
    let av1 = send.replace("VP8/90000", "X/90000").replace("H264/90000", "X/90000");
    // Of two pictures a viewer would see one.
    let picture = both.split_once("m=video").unwrap().1;
    let again = format!("m=video{}", picture.replace("a=mid:1", "a=mid:2"));
    let twice = both.replace("BUNDLE 0 1", "BUNDLE 0 1 2") + &again;
    for (path, offer, status, outcome) in [
        ("/whip/a", &both, 201, "a=recvonly"),
        ("/whip/a", &send, 201, "a=recvonly"),
        (
            "/whip/a",
            &receive,
            422,
            "Section 1 cannot be published: who publishes offers it",
        ),
        (
            "/whip/a",
            &both.replacen("a=sendrecv", "a=inactive", 1),
            422,
            "Section 1",
        ),
        (
            "/whip/a",
            &av1,
            422,
            "Section 2 cannot be published: no codec is in common",
        ),
        ("/whip/a", &data, 422, "Section 1 cannot be published: data channels"),
        ("/whip/a", &all, 422, "Section 3 cannot be published: data channels"),
        ("/whip/a", &twice, 422, "there is one of its kind already"),
        ("/whep/a", &both, 201, "a=sendonly"),
        ("/whep/a", &receive, 201, "a=sendonly"),
        ("/whep/a", &all, 201, "a=sendonly"),
        ("/whep/a", &send, 422, "who views offers it recvonly or sendrecv"),
        ("/whep/a", &data, 422, "data channels are not agreed to"),
    ] {
        let options = Options {
            http: SocketAddr::from(([127, 0, 0, 1], 0)),
            workers: 1.try_into().unwrap(),
            ..Options::default()
        };
        let server = Server::start(&options).unwrap();
        let (given, _, body) = request(&server, "POST", path, SDP, offer);
        assert_eq!(given, status, "{path} {outcome}: {body}");
        assert!(body.contains(outcome), "{path} {outcome}: {body}");
        if status == 201 {
            let directions = ["a=sendrecv", "a=sendonly", "a=recvonly"];
            let others = directions.iter().filter(|direction| **direction != outcome);
            assert!(others.into_iter().all(|other| !body.contains(other)), "{body}");
        }
        let refused = server
            .counters()
            .iter()
            .filter(|(_, value)| *value > 0)
            .collect::<Vec<_>>();
        let expected = if status == 422 {
            vec![("offer_refused", 1)]
        } else {
            Vec::new()
        };
        assert_eq!(refused, expected, "{path} {outcome}");
        // Who was refused holds no place.
        let (_, _, metrics) = request(&server, "GET", "/metrics", "", "");
        assert!(
            metrics.contains(&format!("hyaline_rooms {}\n", u8::from(status == 201))),
            "{metrics}"
        );
    }
}

/// A stopping server tells everybody that is connected, over RTCP and DTLS.
#[test]
fn a_peer_hears_the_goodbye() {
    let options = Options {
        http: SocketAddr::from(([127, 0, 0, 1], 0)),
        workers: 1.try_into().unwrap(),
        announce: vec![[127, 0, 0, 1].into()],
        ..Options::default()
    };
    let server = Server::start(&options).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    let crypto = Arc::new(dtls_srtp::RingCrypto::new());
    let dtls = dtls_srtp::Config::new(crypto, dtls_srtp::Certificate::generate().unwrap());
    let mut client = Client::with_dtls(1, socket.local_addr().unwrap(), dtls);
    client.add(Kind::Audio, Direction::SendRecv);
    client.add(Kind::Video, Direction::SendRecv);
    let (status, _, answer) = request(&server, "POST", "/v1/echo", SDP, &client.offer());
    assert_eq!(status, 201, "{answer}");
    client.accept(Instant::now(), &answer);

    let deadline = Instant::now() + Duration::from_secs(20);
    let exchange = |client: &mut Client| {
        let now = Instant::now();
        assert!(now < deadline, "{:?}", client.dtls_events);
        client.handle_timeout(now);
        while let Some(datagram) = client.poll_transmit(now) {
            // The server's end may be closed already.
            let _ = socket.send_to(&datagram, client.server().unwrap());
        }
        let mut buffer = [0; 2000];
        if let Ok(length) = socket.recv(&mut buffer) {
            client.handle_datagram(now, &mut buffer[..length]);
        }
    };
    let says_bye = |client: &Client| {
        let mut packets = client.rtcp.iter().flat_map(|compound| {
            let compound = rtp::rtcp::Compound::parse(compound).unwrap();
            compound.packets().flatten().collect::<Vec<_>>()
        });
        packets.any(|packet| matches!(packet, rtp::rtcp::Packet::Bye(_)))
    };
    // Until reports come back: then the server knows the client's keys too.
    while client.rtcp.is_empty() {
        exchange(&mut client);
    }
    assert!(!says_bye(&client));
    server.shutdown();
    let end = dtls_srtp::Event::Closed {
        reason: dtls_srtp::CloseReason::Peer,
    };
    let closed = |client: &Client| client.dtls_events.contains(&end);
    while !(says_bye(&client) && closed(&client)) {
        exchange(&mut client);
    }
}

fn enter(server: &Server, room: &str, first: &Value) -> WebSocket<TcpStream> {
    let stream = TcpStream::connect(server.http_addr()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let url = format!("ws://{}/v1/rooms/{room}/ws", server.http_addr());
    let (mut socket, _) = tungstenite::client(url, stream).unwrap();
    say(&mut socket, first);
    socket
}

fn say(socket: &mut WebSocket<TcpStream>, message: &Value) {
    socket.send(Message::text(message.to_string())).unwrap();
}

fn hear(socket: &mut WebSocket<TcpStream>) -> Value {
    loop {
        if let Message::Text(text) = socket.read().unwrap() {
            return serde_json::from_str(&text).unwrap();
        }
    }
}

/// The next message of a type.
fn hear_of(socket: &mut WebSocket<TcpStream>, kind: &str) -> Value {
    loop {
        let message = hear(socket);
        if message["type"] == kind {
            return message;
        }
    }
}

#[test]
fn a_room_takes_as_many_as_it_is_told() {
    let options = Options {
        http: SocketAddr::from(([127, 0, 0, 1], 0)),
        room_capacity: 1,
        ..Options::default()
    };
    let server = Server::start(&options).unwrap();
    let mut ada = enter(&server, "tea", &json!({"type": "join", "name": "Ada"}));
    assert_eq!(hear(&mut ada)["type"], "joined");
    let mut bob = enter(&server, "tea", &json!({"type": "join", "name": "Bob"}));
    let error = hear(&mut bob);
    assert_eq!((&error["code"], &error["re"]), (&json!("full"), &json!("join")));
    assert!(error["message"].as_str().unwrap().contains("takes 1;"), "{error}");
}

/// A member whose connection to signalling breaks while its media flows, and then its media too.
#[test]
fn media_goes_on_without_signalling_and_nobody_stays_without_media() {
    let options = Options {
        http: SocketAddr::from(([127, 0, 0, 1], 0)),
        workers: 1.try_into().unwrap(),
        announce: vec![[127, 0, 0, 1].into()],
        ..Options::default()
    };
    let server = Server::start(&options).unwrap();
    let mut bob = enter(&server, "tea", &json!({"type": "join", "name": "Bob"}));
    let mut ada = enter(&server, "tea", &json!({"type": "join", "name": "Ada"}));
    let joined = hear(&mut ada);
    let id = joined["participant"].clone();

    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    let crypto = Arc::new(dtls_srtp::RingCrypto::new());
    let dtls = dtls_srtp::Config::new(crypto, dtls_srtp::Certificate::generate().unwrap());
    let mut client = Client::with_dtls(1, socket.local_addr().unwrap(), dtls);
    client.add(Kind::Audio, Direction::SendRecv);
    let offer = client.offer();
    say(&mut ada, &json!({"type": "offer", "id": 1, "sdp": offer}));
    let answer = hear_of(&mut ada, "answer");
    client.accept(Instant::now(), answer["sdp"].as_str().unwrap());
    let deadline = Instant::now() + Duration::from_secs(20);
    let exchange = |client: &mut Client| {
        let now = Instant::now();
        assert!(now < deadline, "{:?}", client.dtls_events);
        client.handle_timeout(now);
        while let Some(datagram) = client.poll_transmit(now) {
            socket.send_to(&datagram, client.server().unwrap()).unwrap();
        }
        let mut buffer = [0; 2000];
        if let Ok(length) = socket.recv(&mut buffer) {
            client.handle_datagram(now, &mut buffer[..length]);
        }
    };
    while client.dtls_events.is_empty() {
        exchange(&mut client);
    }
    // The client is connected before its last flight has left (RFC 8446 §2).
    exchange(&mut client);
    let connection = hear_of(&mut ada, "connection");
    assert_eq!(
        (&connection["participant"], &connection["state"]),
        (&id, &json!("connected"))
    );
    assert_eq!(hear_of(&mut bob, "connection")["participant"], id);

    drop(ada);
    for _ in 0..20 {
        exchange(&mut client);
    }
    let mut ada = enter(&server, "tea", &json!({"type": "resume", "session": joined["session"]}));
    let resumed = hear(&mut ada);
    assert_eq!((&resumed["type"], &resumed["participant"]), (&json!("resumed"), &id));
    assert_eq!(resumed["participants"][0]["name"], "Bob");
    let state: Vec<Value> = std::iter::repeat_with(|| hear(&mut ada)["type"].take())
        .take(5)
        .collect();
    assert_eq!(state, ["need", "slots", "speakers", "link", "connection"]);
    // Nobody has heard of it.
    say(&mut bob, &json!({"type": "ping"}));
    assert_eq!(hear(&mut bob)["type"], "pong");

    drop(ada);
    let begin = Instant::now();
    assert_eq!(
        hear_of(&mut bob, "participant-left"),
        json!({"type": "participant-left", "participant": id, "reason": "closed"})
    );
    assert!(begin.elapsed() < Duration::from_secs(12), "{:?}", begin.elapsed());
}

#[test]
fn metrics_tell_of_repairs_and_speakers() {
    let (_, _, metrics) = request(&server(), "GET", "/metrics", "", "");
    for line in [
        "hyaline_repair_nacks_sent_total{worker=\"0\"} 0",
        "hyaline_repair_packets_repaired_total{worker=\"0\"} 0",
        "hyaline_repair_packets_given_up_total{worker=\"0\"} 0",
        "hyaline_repair_packets_duplicated_total{worker=\"0\"} 0",
        "hyaline_speaking{worker=\"0\"} 0",
    ] {
        assert!(
            metrics.lines().any(|other| other == line),
            "{line} is not in\n{metrics}"
        );
    }
}

/// The counters of all engines and sockets that are above zero, but for those of traffic.
fn raised(server: &Server) -> Vec<String> {
    let (_, _, metrics) = request(server, "GET", "/metrics", "", "");
    let lines = metrics
        .lines()
        .filter(|line| line.contains("_total{worker=") && !line.ends_with(" 0"));
    let raised = lines
        .filter(|line| !line.starts_with("hyaline_udp_received_") && !line.starts_with("hyaline_udp_receive_calls"));
    raised.map(str::to_owned).collect()
}

#[test]
fn noise_raises_exactly_its_counter() {
    let binding_request = {
        let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        request.extend([7; 12]);
        request
    };
    for (datagram, counter) in [
        (
            &b"\xffanything at all"[..],
            "hyaline_unroutable_protocol_total{worker=\"0\"} 1",
        ),
        (&binding_request, "hyaline_unknown_ufrag_total{worker=\"0\"} 1"),
        (
            &[0x80, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1],
            "hyaline_unknown_path_total{worker=\"0\"} 1",
        ),
        (
            &[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            "hyaline_unknown_path_total{worker=\"0\"} 1",
        ),
        (b"", "hyaline_udp_empty_datagrams_total{worker=\"0\"} 1"),
    ] {
        let server = server();
        let media = server.media_addrs()[0]
            .iter()
            .find(|address| address.ip().is_loopback())
            .unwrap();
        let local = if media.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        UdpSocket::bind(local).unwrap().send_to(datagram, media).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut seen = raised(&server);
        while seen.is_empty() {
            assert!(Instant::now() < deadline, "{counter} was not raised");
            seen = raised(&server);
        }
        assert_eq!(seen, [counter]);
    }
}
