use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream as Client, UdpSocket};

use turn::client::{Client as Caller, Config, ConnectionState, Credentials, Event, Relayed, Transport};
use turn::client::{ConnectionId as Claim, MIN_OUT};
use turn::{PeerPolicy, RelayAddress, ServerConfig as TurnConfig};
use wire::{Seed, Transmit};

use super::*;
use crate::turn::pace::WINDOW;
use crate::turn::sockets::bind_free;

/// The thread's loop, turn by turn, in virtual time.
struct Bench {
    thread: Thread,
    address: SocketAddr,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        Self::with(None)
    }

    fn with(tls: Option<Arc<ServerConfig>>) -> Self {
        let bound = bind_free("127.0.0.1:0", tls.as_ref().map(|_| 0));
        let address = bound.udp[0].local_addr();
        let secure = bound.tls_addrs().first().copied();
        let config = TurnConfig {
            users: vec![("u".into(), "p".into())],
            ipv4: Some(RelayAddress::new(address.ip())),
            peers: PeerPolicy {
                allow_loopback: true,
                ..PeerPolicy::default()
            },
            ..TurnConfig::default()
        };
        let poll = Poll::new().unwrap();
        let engine = Server::new(config, Seed::from_run(1), Instant::now(), Duration::ZERO).unwrap();
        let thread = Thread::new(poll, bound, engine, tls, Arc::default(), Arc::default()).unwrap();
        Self {
            now: thread.clock_read,
            thread,
            address: secure.unwrap_or(address),
        }
    }

    /// Hears of what has come, and says of how much.
    fn hear(&mut self) -> usize {
        let mut events = Events::with_capacity(64);
        self.thread
            .poll
            .poll(&mut events, Some(Duration::from_millis(10)))
            .unwrap();
        for event in &events {
            self.thread.heard(self.now, event);
        }
        events.iter().count()
    }

    /// Goes on until it has come to `done`.
    fn until(&mut self, done: impl Fn(&Thread) -> bool) {
        for _ in 0..1000 {
            if done(&self.thread) {
                return;
            }
            self.hear();
            self.thread.turn(self.now);
        }
        panic!("it does not come to that");
    }

    /// A client, and the number of its connection.
    fn connect(&mut self) -> (Client, usize) {
        let client = Client::connect(self.address).unwrap();
        let path = Path {
            local: self.address,
            remote: client.local_addr().unwrap(),
            protocol: wire::Protocol::Tcp,
        };
        self.until(|thread| {
            thread.out.streams.by_path(&path).is_some() && thread.ready.is_empty() && thread.unread.is_empty()
        });
        (client, self.thread.out.streams.by_path(&path).unwrap())
    }

    fn count(&self) -> u64 {
        self.thread.engine.counters().turn_no_allocation
    }

    /// Carries messages between a client's engine and the server until `done` has something.
    fn carry<E, T>(
        &mut self,
        (engine, stream): (&mut E, &mut Client),
        poll: fn(&mut E, Instant, &mut [u8]) -> Option<Transmit>,
        take: fn(&mut E, Instant, &mut [u8]) -> usize,
        mut done: impl FnMut(&mut E) -> Option<T>,
    ) -> T {
        let mut input = Vec::new();
        stream.set_nonblocking(true).unwrap();
        for _ in 0..1000 {
            if let Some(done) = done(engine) {
                return done;
            }
            let mut out = [0; MIN_OUT];
            while let Some(transmit) = poll(engine, self.now, &mut out) {
                stream.write_all(&out[..transmit.len]).unwrap();
            }
            self.hear();
            self.thread.turn(self.now);
            let mut read = [0; 4096];
            if let Ok(len) = stream.read(&mut read) {
                input.extend_from_slice(&read[..len]);
                let used = take(engine, self.now, &mut input);
                input.drain(..used);
            }
        }
        panic!("it does not come to that");
    }

    /// Somebody with an allocation of TCP, who connects to `peer`; what came of it.
    fn ask_for(&mut self, peer: SocketAddr) -> (Caller, Client, Option<Claim>) {
        let (mut stream, _) = self.connect();
        let config = Config {
            transport: Transport::Stream,
            relayed: Relayed::Tcp,
            credentials: Credentials::new("u", "p"),
            ..Config::default()
        };
        let local = stream.local_addr().unwrap();
        let mut caller = Caller::new(config, self.address, local, Seed::from_run(2), self.now);
        let now = self.now;
        let claim = self.carry(
            (&mut caller, &mut stream),
            Caller::poll_transmit,
            |caller, now, bytes| caller.handle_stream(now, bytes, |_| ()).unwrap(),
            |caller| match caller.poll_event()? {
                Event::Allocated(_) => {
                    caller.connect(now, peer).unwrap();
                    None
                }
                Event::Connected { connection, .. } => Some(Some(connection)),
                Event::ConnectFailed { .. } => Some(None),
                event => panic!("{event:?}"),
            },
        );
        (caller, stream, claim)
    }

    /// The client's and the peer's end of a splice, and the connection that it hangs on.
    fn splice(&mut self) -> (Client, Client, Client) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (mut caller, control, claim) = self.ask_for(listener.local_addr().unwrap());
        let (peer, _) = listener.accept().unwrap();
        let (mut client, _) = self.connect();
        let mut opening = caller.open(claim.unwrap(), client.local_addr().unwrap()).unwrap();
        self.carry(
            (&mut opening, &mut client),
            turn::client::DataConnection::poll_transmit,
            |opening, now, bytes| opening.handle_stream(now, bytes),
            |opening| (opening.state() == ConnectionState::Open).then_some(()),
        );
        (client, peer, control)
    }

    /// Connections that end, for which there is just room.
    fn fill_ending(&mut self, n: usize) -> Vec<(Client, usize)> {
        let ending: Vec<_> = (0..n).map(|_| self.connect()).collect();
        for &(_, index) in &ending {
            self.now += Duration::from_millis(1);
            self.thread
                .out
                .streams
                .end(self.thread.poll.registry(), index, self.now);
        }
        ending
    }

    /// How many of these are still there.
    fn left(&mut self, ending: &[(Client, usize)]) -> usize {
        let streams = &mut self.thread.out.streams;
        ending
            .iter()
            .filter(|(_, index)| streams.get_mut(*index).is_some())
            .count()
    }
}

#[test]
fn a_splice_that_ends_costs_others_one_place() {
    for peer_ends in [true, false] {
        let mut bench = Bench::new();
        // Of these two for connections of peers, and two for those that end.
        bench.thread.out.streams = Streams::new(8);
        let (client, peer, _control) = bench.splice();
        let ending = bench.fill_ending(2);
        let (mut first, mut last) = if peer_ends { (peer, client) } else { (client, peer) };
        first.write_all(b"the last words").unwrap();
        drop(first);
        let peers = bench.thread.engine.allocations(bench.now).map(|it| it.connections);
        assert_eq!(peers.sum::<usize>(), 1);
        let now = bench.now;
        bench.until(|thread| thread.engine.allocations(now).all(|it| it.connections == 0));
        assert_eq!(bench.left(&ending), 1, "{peer_ends}");
        assert_eq!(bench.thread.out.streams.counters.turn_streams_closed, 1);
        last.set_nonblocking(false).unwrap();
        last.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut words = Vec::new();
        last.read_to_end(&mut words).unwrap();
        assert_eq!(words, b"the last words");
    }
}

#[test]
fn a_peer_that_hangs_up_before_it_is_claimed_is_let_go() {
    for words in [false, true] {
        let mut bench = Bench::new();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (_caller, _control, claim) = bench.ask_for(listener.local_addr().unwrap());
        assert!(claim.is_some());
        let (mut peer, _) = listener.accept().unwrap();
        if words {
            // Those may still be wanted.
            peer.write_all(b"the last words").unwrap();
        }
        drop(peer);
        let now = bench.now;
        let held = |thread: &Thread| thread.engine.allocations(now).map(|it| it.connections).sum::<usize>();
        if words {
            for _ in 0..10 {
                bench.hear();
                bench.thread.turn(now);
            }
            assert_eq!(held(&bench.thread), 1);
        } else {
            bench.until(|thread| held(thread) == 0);
        }
    }
}

#[test]
fn a_peer_that_cannot_be_reached_costs_nobody_a_place() {
    let mut bench = Bench::new();
    bench.thread.out.streams = Streams::new(8);
    let ending = bench.fill_ending(2);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    assert_eq!(bench.ask_for(nobody).2, None);
    assert_eq!(bench.left(&ending), 2);
}

#[cfg(target_os = "linux")]
#[test]
fn many_icmp_errors_are_read_by_turns() {
    const MANY: usize = 3 * ERRORS_PER_TURN;
    let mut bench = Bench::new();
    let (mut stream, _) = bench.connect();
    let config = Config {
        transport: Transport::Stream,
        credentials: Credentials::new("u", "p"),
        ..Config::default()
    };
    let local = stream.local_addr().unwrap();
    let mut caller = Caller::new(config, bench.address, local, Seed::from_run(2), bench.now);
    // No port of a test is below 1024. There are two, so that no datagrams are joined.
    let nobody = [1, 2].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let now = bench.now;
    bench.carry(
        (&mut caller, &mut stream),
        Caller::poll_transmit,
        |caller, now, bytes| caller.handle_stream(now, bytes, |_| ()).unwrap(),
        |caller| match caller.poll_event()? {
            Event::Allocated(_) => caller.permit(now, nobody[0]).map(|()| None).unwrap(),
            Event::Permitted(_) => Some(()),
            event => panic!("{event:?}"),
        },
    );
    let mut messages = Vec::new();
    for to in nobody.iter().cycle().take(MANY) {
        let mut out = [0; MIN_OUT];
        let transmit = caller.send(now, *to, b"?", &mut out).unwrap().unwrap();
        messages.extend_from_slice(&out[..transmit.len]);
    }
    stream.set_nonblocking(false).unwrap();
    stream.write_all(&messages).unwrap();
    let (mut read, mut most) = (0, 0);
    for _ in 0..1000 {
        bench.hear();
        bench.thread.turn(now);
        let engine = &bench.thread.engine;
        let all = (engine.traffic().turn_told_icmp + engine.counters().turn_limited_icmp) as usize;
        most = most.max(all - read);
        read = all;
        if read == MANY {
            break;
        }
    }
    assert!(read == MANY && most <= ERRORS_PER_TURN, "{read} {most}");
}

#[test]
fn many_that_flood_with_short_messages_leave_a_turn_to_others() {
    let mut bench = Bench::new();
    let mut floods: Vec<_> = (0..8).map(|_| bench.connect().0).collect();
    for flood in &mut floods {
        // ChannelData without data.
        flood.write_all(&[0x40, 0, 0, 0].repeat(8 << 10)).unwrap();
    }
    for _ in 0..1000 {
        bench.hear();
        if bench.thread.unread.len() == floods.len() {
            break;
        }
    }
    // Who asks by UDP behind them has its answer in this turn.
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_nonblocking(true).unwrap();
    let binding = [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12]].concat();
    client.send_to(&binding, bench.address).unwrap();
    for _ in 0..1000 {
        bench.hear();
        if !bench.thread.ready.is_empty() {
            break;
        }
    }
    bench.thread.turn(bench.now);
    assert!(client.recv(&mut [0; 128]).is_ok());
    // A stranger's read has 4 KiB.
    let most = FRAMES_PER_TURN as u64 + 1024;
    let mut before = bench.count();
    for _ in 0..4 {
        bench.thread.turn(bench.now);
        let came = bench.count() - before;
        assert!(came > 0 && came <= most, "{came}");
        before += came;
    }
    // Each has its turn, and all is read in the end.
    bench.until(|thread| thread.engine.counters().turn_no_allocation == 8 * (8 << 10));
}

#[test]
fn a_connection_that_ends_keeps_nobody_busy() {
    let mut bench = Bench::new();
    let (_client, index) = bench.connect();
    let streams = &mut bench.thread.out.streams;
    streams.end(bench.thread.poll.registry(), index, bench.now);
    let heard = (0..1000).map(|_| {
        bench.thread.turn(bench.now);
        bench.hear()
    });
    assert!(heard.take_while(|events| *events > 0).count() < 10);
    assert!(bench.thread.out.streams.get_mut(index).is_some());
}

#[test]
fn a_flood_of_datagrams_is_read_to_its_end_and_then_waited_for() {
    let mut bench = Bench::new();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    // More than a turn reads, so that the last are read without being told of.
    let most = BATCHES_PER_TURN as u64 * 32;
    for _ in 0..most + 100 {
        client.send_to(&[0x40, 0, 0, 0], bench.address).unwrap();
    }
    while bench.thread.ready.is_empty() {
        bench.hear();
    }
    bench.thread.turn(bench.now);
    assert_eq!((bench.count(), bench.thread.ready.len()), (most, 1));
    bench.thread.turn(bench.now);
    assert_eq!((bench.count(), bench.thread.ready.len()), (most + 100, 0));
    // That was fast.
    let end = bench.now + WINDOW;
    assert!(bench.thread.pace.pause(end, end).is_some());
}

#[test]
fn what_comes_after_the_end_is_read_slowly() {
    let mut bench = Bench::new();
    let (mut client, index) = bench.connect();
    let streams = &mut bench.thread.out.streams;
    streams.recognize(index);
    streams.end(bench.thread.poll.registry(), index, bench.now);
    let writer = thread::spawn(move || {
        client.write_all(&[7; 256 << 10]).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        client
    });
    let read = |thread: &Thread| thread.out.streams.counters.turn_ending_bytes;
    let mut before = 0;
    bench.until(|thread| read(thread) > 0);
    while bench.thread.out.streams.get_mut(index).is_some() {
        for _ in 0..10 {
            bench.hear();
            bench.thread.turn(bench.now);
        }
        assert!(read(&bench.thread) - before <= 64 << 10);
        before = read(&bench.thread);
        bench.now += ENDING_PAUSE;
    }
    assert_eq!(before, 256 << 10);
    assert!(bench.thread.slowed.is_empty());
    drop(writer.join().unwrap());
}

/// The first message of a TLS client.
fn hello() -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let name = "turn.example.org".try_into().unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut out = Vec::new();
    client.write_tls(&mut out).unwrap();
    out
}

#[test]
fn many_that_want_tls_at_once_have_it_by_turns() {
    let tls = crate::tls::Tls::SelfSigned.server_config(&[]).unwrap();
    let mut bench = Bench::with(Some(tls));
    let mut clients: Vec<_> = (0..3 * HANDSHAKES_PER_TURN).map(|_| bench.connect().0).collect();
    for client in &mut clients {
        client.write_all(&hello()).unwrap();
        client.set_nonblocking(true).unwrap();
    }
    for _ in 0..1000 {
        if bench.thread.unread.len() == clients.len() {
            break;
        }
        bench.hear();
    }
    let answered = || clients.iter().filter(|client| client.peek(&mut [0]).is_ok()).count();
    bench.thread.turn(bench.now);
    let first = answered();
    assert!(first > 0 && first <= HANDSHAKES_PER_TURN, "{first}");
    bench.until(|_| answered() == clients.len());
}
