//! TCP connections to the passive candidates of a lite peer, in virtual time.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dtls_srtp::fake::{self, FakeCrypto};
use ice::Deframer;
use peer::testing::Collected;
use peer::{
    ChannelInit, Config, Connection, ConnectionId, Direction, Event, IceTransportPolicy, Kind, MessageKind, Peer, State,
};
use rtp::RtpOut;
use wire::{Path, Protocol, Seed, Transmit};

const CALLER: &str = "198.51.100.7:5000";
const SERVER: &str = "192.0.2.1:3478";
const PASSIVE: [&str; 2] = ["192.0.2.1:443", "192.0.2.1:8443"];

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn config(certificate: u64) -> Config {
    let crypto = Arc::new(FakeCrypto::new());
    Config::new(Arc::new(dtls_srtp::Config::new(crypto, fake::certificate(certificate))))
}

fn calling() -> Config {
    let mut config = config(1);
    config.ice.mode = ice::Mode::Full;
    config
}

fn tcp(local: SocketAddr, remote: SocketAddr) -> Path {
    Path {
        protocol: Protocol::Tcp,
        ..Path::udp(local, remote)
    }
}

fn segment(transmit: &Transmit) -> usize {
    transmit.segment.map_or(transmit.len, |size| usize::from(size.get()))
}

/// A connection, and what takes its frames apart at the server.
struct Open {
    path: Path,
    deframer: Deframer,
}

/// A caller with an active candidate and a lite server with passive ones, at no distance.
struct Call {
    now: Instant,
    caller: Peer,
    server: Peer,
    /// Whether datagrams get through.
    udp: bool,
    /// Whether those that are asked for are opened.
    opens: bool,
    asked: Vec<Connection>,
    closed: Vec<ConnectionId>,
    open: BTreeMap<ConnectionId, Open>,
    events: Vec<Event>,
    sinks: [Collected; 2],
}

impl Call {
    fn with(config_of_caller: Config) -> Self {
        let now = Instant::now();
        let mut caller = Peer::new(Arc::new(config_of_caller), Seed::from_run(1), now);
        caller.add_local_candidate(address(CALLER));
        caller.add_active_tcp_candidate(address(CALLER).ip());
        caller.end_of_local_candidates(now);
        caller.add_section(Kind::Audio, Direction::SendRecv).unwrap();
        let mut server = Peer::new(Arc::new(config(2)), Seed::from_run(2), now);
        server.add_local_candidate(address(SERVER));
        server.add_tcp_candidate(address(PASSIVE[0]));
        Self {
            now,
            caller,
            server,
            udp: false,
            opens: true,
            asked: Vec::new(),
            closed: Vec::new(),
            open: BTreeMap::new(),
            events: Vec::new(),
            sinks: Default::default(),
        }
    }

    fn new() -> Self {
        Self::with(calling())
    }

    fn connected() -> Self {
        let mut call = Self::new();
        call.negotiate();
        call.run(Duration::from_secs(1));
        assert!(call.is_connected());
        call
    }

    fn negotiate(&mut self) -> [String; 2] {
        let offer = self.caller.offer().unwrap();
        let answer = self.server.accept_offer(self.now, &offer).unwrap();
        self.caller.accept_answer(self.now, &answer).unwrap();
        [offer, answer]
    }

    fn is_connected(&self) -> bool {
        self.caller.state() == State::Connected && self.server.state() == State::Connected
    }

    /// Carries what the caller has for a path.
    fn carry(&mut self, path: &Path, bytes: &mut [u8]) {
        match self.caller.connection_on(path) {
            Some(id) => {
                let open = self.open.get_mut(&id).unwrap();
                assert_eq!(open.path, *path);
                let back = tcp(path.remote, path.local);
                for piece in bytes.chunks_mut(100) {
                    let (server, sink, now) = (&mut self.server, &mut self.sinks[1], self.now);
                    let each = |frame: &mut [u8]| server.handle_datagram(now, &back, frame, sink);
                    open.deframer.push(piece, each).unwrap();
                }
            }
            None if self.udp => {
                assert_eq!(path.protocol, Protocol::Udp);
                let back = Path::udp(path.remote, path.local);
                self.server.handle_datagram(self.now, &back, bytes, &mut self.sinks[1]);
            }
            None => {}
        }
    }

    /// Carries what the server has for a path, in its frame where it goes by TCP.
    fn carry_back(&mut self, path: &Path, bytes: &mut [u8]) {
        let back = Path {
            local: path.remote,
            remote: path.local,
            ..*path
        };
        if path.protocol == Protocol::Udp {
            if self.udp {
                self.caller.handle_datagram(self.now, &back, bytes, &mut self.sinks[0]);
            }
            return;
        }
        let Some((&id, _)) = self.open.iter().find(|(_, open)| open.path == back) else {
            return;
        };
        let mut stream = Vec::new();
        assert!(ice::write_frame(bytes, &mut stream));
        for piece in stream.chunks_mut(100) {
            self.caller.handle_connection(self.now, id, piece, &mut self.sinks[0]);
        }
    }

    fn exchange(&mut self) {
        let mut out = [0; 65_000];
        loop {
            if let Some(transmit) = self.caller.poll_transmit(self.now, &mut out) {
                let Transmit { path, len, .. } = transmit;
                // Each has a frame of its own.
                assert!(transmit.datagrams() == 1 || path.protocol == Protocol::Udp);
                for datagram in out[..len].chunks_mut(segment(&transmit)) {
                    self.carry(&path, datagram);
                }
            } else if let Some(event) = self.caller.poll_event() {
                self.follow(event);
            } else if let Some(transmit) = self.server.poll_transmit(self.now, &mut out) {
                for datagram in out[..transmit.len].chunks_mut(segment(&transmit)) {
                    self.carry_back(&transmit.path, datagram);
                }
            } else {
                return;
            }
        }
    }

    fn follow(&mut self, event: Event) {
        match event {
            Event::OpenConnection(connection) => {
                self.asked.push(connection);
                if self.opens {
                    self.open_one(connection);
                }
            }
            Event::CloseConnection(id) => {
                self.closed.push(id);
                if let Some(open) = self.open.remove(&id) {
                    self.server
                        .handle_path_closed(self.now, &tcp(open.path.remote, open.path.local));
                }
            }
            event => self.events.push(event),
        }
    }

    fn open_one(&mut self, Connection { id, local, remote }: Connection) {
        let local = SocketAddr::new(local, 40_000 + id.0 as u16);
        let open = Open {
            path: tcp(local, remote),
            deframer: Deframer::new(1500),
        };
        self.open.insert(id, open);
        self.caller.connection_opened(self.now, id, local);
    }

    /// The network ends a connection.
    fn lose(&mut self, id: ConnectionId) {
        let path = self.open.remove(&id).unwrap().path;
        self.caller.connection_closed(self.now, id);
        self.server.handle_path_closed(self.now, &tcp(path.remote, path.local));
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.exchange();
            let next = [self.caller.poll_timeout(), self.server.poll_timeout()];
            let Some(next) = next.into_iter().flatten().min().filter(|next| *next <= end) else {
                break;
            };
            self.now = self.now.max(next);
            self.caller.handle_timeout(self.now);
            self.server.handle_timeout(self.now);
        }
        self.now = end;
    }

    fn counters(&self) -> BTreeMap<&'static str, u64> {
        let mut counters = BTreeMap::new();
        self.caller.each_counter(&mut |name, value| {
            if value > 0 {
                counters.insert(name, value);
            }
        });
        counters
    }
}

/// A packet of a peer's only section, written and not yet made ready for sending.
fn write(peer: &mut Peer, now: Instant, sequence: u64, payload: &[u8], out: &mut [u8]) -> usize {
    let section = &peer.sections()[0];
    let header = RtpOut {
        payload_type: section.formats()[0].payload_type,
        sequence_number: sequence,
        timestamp: sequence as u32 * 960,
        ..RtpOut::default()
    };
    let sender = section.sender().unwrap();
    peer.write_rtp(now, sender, &header, &[payload], out).unwrap()
}

#[test]
fn where_datagrams_do_not_get_through_a_call_goes_over_tcp() {
    let mut call = Call::new();
    let [offer, answer] = call.negotiate();
    // RFC 6544 §4.5.
    assert!(
        offer.contains(" tcp ") && offer.contains(" 198.51.100.7 9 typ host tcptype active"),
        "{offer}"
    );
    assert!(answer.contains("192.0.2.1 443 typ host tcptype passive"), "{answer}");
    call.run(Duration::from_secs(1));
    assert!(call.is_connected());
    let asked = Connection {
        id: ConnectionId(0),
        local: address(CALLER).ip(),
        remote: address(PASSIVE[0]),
    };
    assert_eq!((&call.asked[..], &call.closed[..]), (&[asked][..], &[][..]));
    let path = call.open[&asked.id].path;
    assert_eq!(call.caller.selected_path(), Some(path));
    assert_eq!(call.caller.connection_on(&path), Some(asked.id));
    assert_eq!(
        call.caller.connection_on(&Path {
            protocol: Protocol::Udp,
            ..path
        }),
        None
    );

    let mut out = [0; Peer::MIN_OUT];
    for sequence in 1..=50 {
        let len = write(&mut call.caller, call.now, sequence, &[7; 900], &mut out);
        let transmit = call.caller.send_written(call.now, len, &mut out).unwrap();
        assert_eq!((transmit.path, transmit.len), (path, len + 2));
        call.carry(&transmit.path, &mut out[..transmit.len]);
        let len = write(&mut call.server, call.now, sequence, &[8; 900], &mut out);
        let back = call.server.selected_path().unwrap();
        call.carry_back(&back, &mut out[..len]);
        call.run(Duration::from_millis(20));
    }
    assert_eq!(call.sinks.each_ref().map(|sink| sink.rtp.len()), [50, 50]);
    call.run(Duration::from_secs(60));
    assert!(call.is_connected() && call.closed.is_empty());
    assert_eq!(call.counters(), BTreeMap::new());
}

#[test]
fn data_goes_in_frames_like_all_else() {
    let mut calling = calling();
    calling.application = true;
    let mut call = Call::with(calling);
    call.server = Peer::new(
        Arc::new(Config {
            application: true,
            ..config(2)
        }),
        Seed::from_run(2),
        call.now,
    );
    call.server.add_local_candidate(address(SERVER));
    call.server.add_tcp_candidate(address(PASSIVE[0]));
    call.caller.add_section(Kind::Application, Direction::SendRecv).unwrap();
    let chat = call.caller.open_channel(call.now, ChannelInit::new("chat")).unwrap();
    call.negotiate();
    call.run(Duration::from_secs(1));
    let message = vec![7; 100_000];
    call.caller
        .send_message(call.now, chat, MessageKind::Binary, message.clone().into())
        .unwrap();
    call.run(Duration::from_secs(1));
    let came = call.sinks[1].messages.first().expect("it came");
    assert_eq!(came.2, message);
    let back = came.0;
    call.server
        .send_message(call.now, back, MessageKind::Binary, message.clone().into())
        .unwrap();
    call.run(Duration::from_secs(1));
    assert_eq!(call.sinks[0].messages.first().expect("it came back").2, message);
}

#[test]
fn datagrams_are_preferred() {
    let mut call = Call::new();
    call.udp = true;
    call.negotiate();
    call.run(Duration::from_secs(3));
    assert!(call.is_connected());
    assert_eq!(call.caller.selected_path().unwrap().protocol, Protocol::Udp);
    assert_eq!(call.counters(), BTreeMap::new());
}

#[test]
fn one_that_cannot_be_opened_leaves_the_others() {
    let mut call = Call::new();
    call.server.add_tcp_candidate(address(PASSIVE[1]));
    call.opens = false;
    call.negotiate();
    call.run(Duration::from_secs(1));
    // One at a time of those that are likely to fare alike (RFC 8445 §6.1.2.6).
    assert_eq!(call.asked.len(), 1);
    call.caller.connection_closed(call.now, call.asked[0].id);
    call.run(Duration::from_secs(1));
    let remotes: Vec<SocketAddr> = call.asked.iter().map(|asked| asked.remote).collect();
    assert_eq!(remotes, PASSIVE.map(address));
    assert_ne!(call.caller.state(), State::Connected);
    call.open_one(call.asked[1]);
    call.run(Duration::from_secs(1));
    assert!(call.is_connected());
    assert_eq!((call.asked.len(), call.closed.len()), (2, 0));
}

#[test]
fn a_call_whose_connection_ends_comes_back_by_a_restart() {
    let mut call = Call::connected();
    call.lose(ConnectionId(0));
    call.run(Duration::from_millis(100));
    assert_eq!(call.caller.state(), State::Disconnected);
    assert_eq!(call.caller.selected_path(), None);
    assert!(call.events.contains(&Event::Disconnected));
    call.caller.restart_ice(call.now).unwrap();
    call.negotiate();
    call.run(Duration::from_secs(1));
    assert!(call.is_connected());
    // It was the caller's to close.
    assert_eq!((call.asked.len(), call.closed.len()), (2, 0));
    assert_eq!(call.caller.selected_path(), Some(call.open[&ConnectionId(1)].path));
}

#[test]
fn a_restart_keeps_the_connection_until_there_is_another() {
    let mut call = Call::connected();
    call.opens = false;
    call.caller.restart_ice(call.now).unwrap();
    call.negotiate();
    call.run(Duration::from_secs(1));
    // Media goes on.
    assert_eq!(call.caller.selected_path(), Some(call.open[&ConnectionId(0)].path));
    assert!(call.closed.is_empty() && call.asked.len() == 2);
    call.open_one(call.asked[1]);
    call.run(Duration::from_secs(10));
    assert!(call.is_connected());
    assert_eq!(call.caller.selected_path(), Some(call.open[&ConnectionId(1)].path));
    assert_eq!(call.closed, [ConnectionId(0)]);
}

#[test]
fn one_that_is_of_no_use_any_more_is_not_opened() {
    let mut call = Call::new();
    call.opens = false;
    call.negotiate();
    call.run(Duration::from_secs(1));
    assert_eq!(call.asked.len(), 1);
    // The new session has other candidates.
    call.caller.restart_ice(call.now).unwrap();
    let offer = call.caller.offer().unwrap();
    call.exchange();
    assert_eq!(call.closed, [ConnectionId(0)]);
    // It was opened meanwhile.
    call.caller
        .connection_opened(call.now, ConnectionId(0), address(CALLER));
    call.exchange();
    let path = tcp(address(CALLER), address(PASSIVE[0]));
    assert_eq!(call.caller.connection_on(&path), None);
    call.caller.connection_closed(call.now, ConnectionId(0));
    call.opens = true;
    let answer = call.server.accept_offer(call.now, &offer).unwrap();
    call.caller.accept_answer(call.now, &answer).unwrap();
    call.run(Duration::from_secs(1));
    assert!(call.is_connected() && call.asked.len() == 2);
}

#[test]
fn what_works_meanwhile_ends_the_opening_until_it_is_lost() {
    let mut call = Call::new();
    call.opens = false;
    call.negotiate();
    call.run(Duration::from_millis(200));
    call.udp = true;
    call.run(Duration::from_secs(1));
    assert!(call.is_connected());
    assert_eq!((call.asked.len(), &call.closed[..]), (1, &[ConnectionId(0)][..]));
    // It is asked for again when datagrams do not get through any more.
    call.udp = false;
    call.opens = true;
    call.run(Duration::from_secs(10));
    assert_eq!((call.asked.len(), call.closed.len()), (2, 1));
    assert_eq!(call.caller.selected_path(), Some(call.open[&ConnectionId(1)].path));
}

#[test]
fn one_with_too_long_a_frame_is_closed() {
    for (known, len, taken) in [(false, 2048, true), (false, 2049, false), (true, 2049, true)] {
        let id = ConnectionId(0);
        let mut call = Call::new();
        if known {
            call = Call::connected();
        } else {
            // It is open, and no check was answered.
            call.opens = false;
            call.negotiate();
            call.run(Duration::from_millis(500));
            let local = SocketAddr::new(call.asked[0].local, 40_000);
            call.caller.connection_opened(call.now, id, local);
        }
        let mut frame = vec![0xff; len + 2];
        frame[..2].copy_from_slice(&(len as u16).to_be_bytes());
        call.caller
            .handle_connection(call.now, id, &mut frame, &mut Collected::default());
        while let Some(event) = call.caller.poll_event() {
            call.follow(event);
        }
        let expected = if taken {
            "unknown_protocol"
        } else {
            "connections_malformed"
        };
        assert_eq!(call.counters(), BTreeMap::from([(expected, 1)]));
        assert_eq!(call.closed.len(), usize::from(!taken));
        // Empty frames are no fault (RFC 4571 §2), and what comes on one that is gone is nobody's.
        call.caller
            .handle_connection(call.now, id, &mut [0; 4], &mut Collected::default());
        assert_eq!(call.counters(), BTreeMap::from([(expected, 1)]));
    }
}

#[test]
fn so_many_are_opened_and_no_more() {
    let mut config = calling();
    config.max_connections = 2;
    let mut call = Call::with(config);
    for host in 2..5 {
        call.server
            .add_tcp_candidate(SocketAddr::from(([192, 0, 2, host], 443)));
    }
    call.opens = false;
    call.negotiate();
    call.run(Duration::from_secs(1));
    assert_eq!(call.asked.len(), 2);
    assert_eq!(call.counters(), BTreeMap::from([("connections_refused", 2)]));
    // Those that nobody was told of count, too.
    call.caller.connection_closed(call.now, call.asked[0].id);
    call.run(Duration::from_secs(1));
    assert_eq!(call.asked.len(), 2);
}

#[test]
fn the_goodbye_goes_by_the_connection() {
    let mut call = Call::connected();
    let path = call.open[&ConnectionId(0)].path;
    call.caller.close(call.now);
    assert_eq!(call.caller.connection_on(&path), Some(ConnectionId(0)));
    call.exchange();
    assert_eq!(call.server.state(), State::Closed);
    assert!(matches!(call.events.last(), Some(Event::Closed { .. })));
    assert!(call.closed.is_empty());
    // Behind the end nothing happens.
    call.caller.connection_closed(call.now, ConnectionId(0));
    call.caller.connection_opened(call.now, ConnectionId(1), path.local);
    assert_eq!(call.caller.poll_event(), None);

    // What was asked for and not told of is not told any more.
    let mut call = Call::new();
    call.negotiate();
    let mut out = [0; Peer::MIN_OUT];
    for _ in 0..20 {
        call.now += Duration::from_millis(20);
        call.caller.handle_timeout(call.now);
        while call.caller.poll_transmit(call.now, &mut out).is_some() {}
    }
    call.caller.close(call.now);
    let events: Vec<Event> = std::iter::from_fn(|| call.caller.poll_event()).collect();
    assert!(matches!(events.last(), Some(Event::Closed { .. })));
    assert!(!events.iter().any(|event| matches!(event, Event::OpenConnection(_))));
}

#[test]
fn who_cannot_connect_does_not_say_so() {
    let active = |config: Config| {
        let mut peer = Peer::new(Arc::new(config), Seed::from_run(1), Instant::now());
        peer.add_active_tcp_candidate(address(CALLER).ip());
        peer.add_section(Kind::Audio, Direction::SendRecv).unwrap();
        peer.offer().unwrap().contains("tcptype")
    };
    assert!(active(calling()));
    let mut without = calling();
    without.max_connections = 0;
    assert!(!active(without));
    let mut relayed = calling();
    relayed.ice_transport_policy = IceTransportPolicy::Relay;
    assert!(!active(relayed));
}

#[test]
fn connections_go_with_the_address_that_they_are_from() {
    let mut call = Call::connected();
    assert_eq!(call.open.len(), 1);
    call.caller.remove_active_tcp_candidate(call.now, address(CALLER).ip());
    call.run(Duration::from_millis(100));
    assert_eq!((call.open.len(), call.closed.len()), (0, 1));
    assert_eq!(call.caller.state(), State::Disconnected);
    assert!(!call.caller.offer().unwrap().contains("tcptype active"));
    // It may come back.
    call.caller.add_active_tcp_candidate(address(CALLER).ip());
    call.run(Duration::from_secs(1));
    assert!(call.is_connected());
    assert_eq!(call.open.len(), 1);
}

#[test]
fn no_two_candidates_have_one_priority_although_others_have_gone() {
    let now = Instant::now();
    let mut peer = Peer::new(Arc::new(calling()), Seed::from_run(1), now);
    let ports: Vec<SocketAddr> = ["192.0.2.1:1", "192.0.2.2:2", "192.0.2.3:3", "192.0.2.4:4"]
        .map(address)
        .into();
    for passive in &ports[..3] {
        peer.add_tcp_candidate(*passive);
    }
    peer.remove_local_candidate(now, ports[0]);
    peer.add_tcp_candidate(ports[3]);
    peer.add_section(Kind::Audio, Direction::SendRecv).unwrap();
    let offer = peer.offer().unwrap();
    let candidates = offer.lines().filter_map(|line| line.strip_prefix("a=candidate:"));
    let priorities: HashSet<&str> = candidates.filter_map(|text| text.split(' ').nth(3)).collect();
    assert_eq!(priorities.len(), 3, "{offer}");
}

#[test]
fn what_has_no_room_for_its_frame_does_not_leave() {
    let mut call = Call::connected();
    let mut out = [0; Peer::MIN_OUT];
    let len = write(&mut call.caller, call.now, 1, &[7; 900], &mut out);
    assert_eq!(call.caller.send_written(call.now, len, &mut out[..len + 1]), None);
    let transmit = call.caller.send_written(call.now, len, &mut out[..len + 2]);
    assert_eq!(transmit.map(|transmit| transmit.len), Some(len + 2));
}
