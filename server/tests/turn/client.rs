//! Somebody who speaks TURN over a connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroUsize;
use std::time::Duration;

use hyaline_server::{Options, Server, Tls, TurnOptions};
use stun::{Builder, Class, Key, Message, Method, TransactionId, Value};

pub(crate) fn start_with(tls: Option<Tls>, change: impl FnOnce(&mut TurnOptions)) -> Server {
    let mut turn = TurnOptions {
        host: Some("turn.example.org".into()),
        port: 0,
        tls_port: 0,
        users: vec![("u".into(), "p".into())],
        allow_loopback: true,
        ..TurnOptions::default()
    };
    change(&mut turn);
    let options = Options {
        http: "127.0.0.1:0".parse().unwrap(),
        workers: NonZeroUsize::MIN,
        announce: vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()],
        tls,
        turn,
        ..Options::default()
    };
    Server::start(&options).unwrap()
}

pub(crate) fn tcp(server: &Server) -> TcpStream {
    let address: SocketAddr = ([127, 0, 0, 1], server.turn_addrs()[0].port()).into();
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

/// Somebody who speaks TURN over a connection.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    pub(crate) nonce: String,
    key: Key,
    transactions: u8,
}

impl Client {
    pub(crate) fn new(server: &Server) -> Self {
        Self::by(tcp(server))
    }

    pub(crate) fn by(stream: TcpStream) -> Self {
        Self {
            stream,
            nonce: String::new(),
            key: Key::long_term_md5("u", "turn.example.org", "p"),
            transactions: 0,
        }
    }

    pub(crate) fn receive(&mut self) -> Vec<u8> {
        let mut message = vec![0; 20];
        self.stream.read_exact(&mut message).unwrap();
        let len = usize::from(u16::from_be_bytes([message[2], message[3]]));
        message.resize(20 + len, 0);
        self.stream.read_exact(&mut message[20..]).unwrap();
        message
    }

    /// Sends a request, the second time with what the first answer says.
    pub(crate) fn ask(&mut self, method: Method, values: &[Value<'_>]) -> Vec<u8> {
        let mut out = [0; 512];
        self.transactions += 1;
        let id = TransactionId([self.transactions; 12]);
        let mut b = Builder::new(&mut out, Class::Request, method, id).unwrap();
        values.iter().for_each(|value| b.push(value).unwrap());
        if !self.nonce.is_empty() {
            b.push(&Value::Username("u")).unwrap();
            b.push(&Value::Realm("turn.example.org")).unwrap();
            b.push(&Value::Nonce(&self.nonce)).unwrap();
            b.integrity(&self.key).unwrap();
        }
        self.stream.write_all(b.finish()).unwrap();
        let answer = self.receive();
        let message = Message::parse(&answer).unwrap();
        if self.nonce.is_empty() {
            self.nonce = message.nonce().unwrap().unwrap().to_owned();
            return self.ask(method, values);
        }
        assert_eq!((message.class(), message.method()), (Class::SuccessResponse, method));
        answer
    }
}
