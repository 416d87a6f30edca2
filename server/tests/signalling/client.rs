//! HTTP and WebSocket as a browser speaks them, over blocking sockets.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;
use tungstenite::client::IntoClientRequest;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{HandshakeError, Message, WebSocket};

/// Longer than anything takes on a busy machine; a test that waits that long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The code and the sentence of a refusal.
    pub(crate) fn problem(&self) -> (String, String) {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        let body: Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(body["status"], self.status);
        (
            body["code"].as_str().unwrap().into(),
            body["detail"].as_str().unwrap().into(),
        )
    }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Whether the server ends the connection: what it wrote until then, `None` when it does not for long.
pub(crate) fn until_the_end(stream: &mut TcpStream) -> Option<String> {
    let mut written = Vec::new();
    match stream.read_to_end(&mut written) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(_) => return None,
    }
    Some(String::from_utf8(written).unwrap())
}

pub(crate) fn request(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
    request_bytes(address, method, path, headers, body.as_bytes())
}

pub(crate) fn request_bytes(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Response {
    exchange(connect(address), method, path, headers, body)
}

pub(crate) fn get(address: SocketAddr, path: &str) -> Response {
    request(address, "GET", path, &[], "")
}

pub(crate) fn exchange(
    mut stream: impl Read + Write,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Response {
    let mut text = format!(
        "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    text += "\r\n";
    // A server may answer, and close, before it has read everything.
    let _ = stream.write_all(&[text.as_bytes(), body].concat());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no answer: {answer:?}"));
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let header = |line: &str| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_ascii_lowercase(), value.trim().to_owned())
    };
    Response {
        status,
        headers: lines.map(header).collect(),
        body: body.into(),
    }
}

pub(crate) struct Socket(pub(crate) WebSocket<TcpStream>);

impl Socket {
    pub(crate) fn open(address: SocketAddr, room: &str) -> Self {
        Self::open_from(address, room, None).unwrap()
    }

    /// As a page of that origin opens it; the status when it is refused.
    pub(crate) fn open_from(address: SocketAddr, room: &str, origin: Option<&str>) -> Result<Self, u16> {
        let url = format!("ws://{address}/v1/rooms/{room}/ws");
        let mut request = url.into_client_request().unwrap();
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse().unwrap());
        }
        match tungstenite::client(request, connect(address)) {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(HandshakeError::Failure(tungstenite::Error::Http(response))) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// In the room, with the first two messages read.
    pub(crate) fn join(address: SocketAddr, room: &str, name: &str) -> (Self, Value) {
        let mut socket = Self::open(address, room);
        socket.send(&format!(r#"{{"type":"join","name":"{name}"}}"#));
        let joined = socket.receive();
        assert_eq!(joined["type"], "joined", "{joined}");
        assert_eq!(socket.receive()["type"], "need");
        (socket, joined)
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.0.send(Message::text(text)).unwrap();
    }

    pub(crate) fn receive(&mut self) -> Value {
        loop {
            match self.0.read().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?} came instead of a message"),
            }
        }
    }

    /// The error that comes next; its sentence has to be one.
    pub(crate) fn error(&mut self) -> (String, Option<String>) {
        let error = self.receive();
        assert_eq!(error["type"], "error", "{error}");
        let sentence = error["message"].as_str().unwrap();
        assert!(
            sentence.ends_with('.') && sentence.starts_with(char::is_uppercase),
            "{sentence}"
        );
        (
            error["code"].as_str().unwrap().into(),
            error["re"].as_str().map(Into::into),
        )
    }

    /// The end of the connection that comes next.
    pub(crate) fn closed(&mut self) -> (CloseCode, String) {
        loop {
            match self.0.read().unwrap() {
                Message::Close(Some(close)) => return (close.code, close.reason.to_string()),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?} came instead of the end"),
            }
        }
    }
}
