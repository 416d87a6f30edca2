use std::io::Write;
use std::net::{Shutdown, TcpStream as Client};

use mio::{Events, Poll};

use super::*;
use crate::engine::Notes;

struct Bench {
    poll: Poll,
    connections: Connections,
    notes: Notes,
    address: SocketAddr,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        let poll = Poll::new().unwrap();
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        Self {
            connections: Connections::new(poll.registry(), vec![listener], usize::MAX).unwrap(),
            poll,
            notes: Notes::default(),
            address,
            now: Instant::now(),
        }
    }

    fn turn(&mut self) {
        self.connections.turn(self.now, self.poll.registry(), &mut self.notes);
        self.connections.flush(self.now, &mut self.notes);
    }

    /// Waits for the network, and goes on until it has come to `done`.
    fn until(&mut self, done: impl Fn(&Self) -> bool) {
        let mut events = Events::with_capacity(64);
        for _ in 0..10_000 {
            if done(self) {
                return;
            }
            self.poll.poll(&mut events, Some(Duration::from_millis(1))).unwrap();
            for event in &events {
                self.connections.handle_event(event);
            }
            self.turn();
        }
        panic!("it never came: {:?}", self.connections.counters);
    }

    fn connect(&mut self) -> Client {
        let before = self.connections.counters.tcp_connections_accepted;
        let client = Client::connect(self.address).unwrap();
        self.until(|bench| bench.connections.counters.tcp_connections_accepted > before);
        client
    }

    fn path(&self, client: &Client) -> Path {
        Path {
            local: self.address,
            remote: client.local_addr().unwrap(),
            protocol: Protocol::Tcp,
        }
    }
}

#[test]
fn frames_come_by_the_path_of_their_connection_and_go_back() {
    let mut bench = Bench::new();
    let (mut one, mut two) = (bench.connect(), bench.connect());
    one.write_all(&[0, 2, 1, 2, 0, 0, 0]).unwrap();
    two.write_all(&[0, 1, 9]).unwrap();
    one.write_all(&[1, 3]).unwrap();
    bench.until(|bench| bench.notes.frames.len() == 3);
    bench.notes.frames.sort();
    let mut expected = vec![
        (bench.path(&one), vec![1, 2]),
        (bench.path(&one), vec![3]),
        (bench.path(&two), vec![9]),
    ];
    expected.sort();
    assert_eq!(bench.notes.frames, expected);
    assert_eq!(bench.connections.counters.tcp_empty_frames, 1);
    // A run is a frame for each datagram.
    let run = Transmit {
        segment: NonZeroU16::new(2),
        ..Transmit::one(bench.path(&two), 5)
    };
    bench.connections.queue(&run, &[1, 2, 3, 4, 5]);
    bench.turn();
    let mut read = [0; 11];
    two.read_exact(&mut read).unwrap();
    assert_eq!(read, [0, 2, 1, 2, 0, 2, 3, 4, 0, 1, 5]);
}

#[test]
fn the_engine_is_told_of_an_end() {
    let mut bench = Bench::new();
    let client = bench.connect();
    let path = bench.path(&client);
    client.shutdown(Shutdown::Write).unwrap();
    bench.until(|bench| !bench.notes.closed.is_empty());
    assert_eq!(bench.notes.closed, [path]);
    assert_eq!(bench.connections.counters.tcp_connections_lost, 1);
    bench.connections.queue(&Transmit::one(path, 1), &[1]);
    assert_eq!(bench.connections.counters.tcp_frames_dropped, 1);
    assert!(bench.connections.by_path.is_empty() && bench.connections.networks.is_empty());
}

#[test]
fn a_frame_that_is_too_long_ends_its_connection_alone() {
    let mut bench = Bench::new();
    let (mut bad, mut good) = (bench.connect(), bench.connect());
    bad.write_all(&[0, 1, 5, 0xff, 0xff]).unwrap();
    bench.until(|bench| bench.connections.counters.tcp_bad_length == 1);
    good.write_all(&[0, 1, 6]).unwrap();
    bench.until(|bench| bench.notes.frames.len() == 2);
    assert_eq!(bench.notes.closed, [bench.path(&bad)]);
}

#[test]
fn what_ice_does_not_use_is_closed() {
    let mut bench = Bench::new();
    let client = bench.connect();
    bench.notes.open = true;
    for _ in 0..30 {
        bench.now += SWEEP;
        bench.turn();
    }
    bench.notes.open = false;
    bench.now += UNUSED - SWEEP;
    bench.turn();
    assert_eq!(bench.notes.closed, []);
    bench.now += SWEEP;
    bench.turn();
    assert_eq!(bench.notes.closed, [bench.path(&client)]);
    assert_eq!(bench.connections.counters.tcp_connections_unused, 1);
    assert_eq!(bench.connections.due(), None);
}

#[test]
fn one_address_gets_so_many_connections_and_fewer_for_strangers() {
    let mut bench = Bench::new();
    let mut clients: Vec<_> = (0..MAX_STRANGERS_PER_ADDRESS).map(|_| bench.connect()).collect();
    let _refused = Client::connect(bench.address).unwrap();
    bench.until(|bench| bench.connections.counters.tcp_connections_refused == 1);
    // One that goes makes room, and its place is taken again.
    drop(clients.pop());
    bench.until(|bench| bench.notes.closed.len() == 1);
    clients.push(bench.connect());
    assert_eq!(bench.connections.slots.len(), MAX_STRANGERS_PER_ADDRESS);
    // So does one that becomes known.
    bench.notes.open = true;
    while clients.len() < MAX_PER_ADDRESS {
        bench.now += SWEEP;
        bench.turn();
        clients.push(bench.connect());
    }
    bench.now += SWEEP;
    bench.turn();
    assert_eq!(bench.connections.networks.strangers(), 0);
    let _refused = Client::connect(bench.address).unwrap();
    bench.until(|bench| bench.connections.counters.tcp_connections_refused == 2);
    drop(clients);
    bench.until(|bench| bench.connections.by_path.is_empty());
    assert!(bench.connections.networks.is_empty());
}

#[test]
fn strangers_have_half_of_all_places() {
    let mut bench = Bench::new();
    bench.connections.most = 5;
    let _strangers: Vec<_> = (0..3).map(|_| bench.connect()).collect();
    let _refused = Client::connect(bench.address).unwrap();
    bench.until(|bench| bench.connections.counters.tcp_connections_refused == 1);
    bench.notes.open = true;
    bench.now += SWEEP;
    bench.turn();
    let _others: Vec<_> = (0..2).map(|_| bench.connect()).collect();
    let _refused = Client::connect(bench.address).unwrap();
    bench.until(|bench| bench.connections.counters.tcp_connections_refused == 2);
}

#[test]
fn the_longest_unused_makes_room() {
    let mut bench = Bench::new();
    bench.connections.most = 4;
    let first = bench.connect();
    bench.now += SPARED / 2;
    let second = bench.connect();
    // Two are as many strangers as there may be. Each has some time.
    let _refused = Client::connect(bench.address).unwrap();
    bench.until(|bench| bench.connections.counters.tcp_connections_refused == 1);
    bench.now += SPARED / 2;
    let third = bench.connect();
    assert_eq!(bench.notes.closed, [bench.path(&first)]);
    // Those that are in use stay.
    bench.notes.open = true;
    bench.now += SWEEP;
    bench.turn();
    let others = [bench.connect(), bench.connect()];
    bench.now += SPARED;
    let _refused = Client::connect(bench.address).unwrap();
    bench.until(|bench| bench.connections.counters.tcp_connections_refused == 2);
    assert_eq!(bench.notes.closed.len(), 1);
    // Until they are not used any more.
    bench.notes.open = false;
    bench.now += SPARED;
    let last = bench.connect();
    assert_eq!(bench.connections.counters.tcp_connections_unused, 2);
    assert_eq!(bench.connections.by_path.len(), 4);
    drop((second, third, others, last));
}

#[test]
fn an_address_makes_room_for_itself() {
    let mut bench = Bench::new();
    let mut clients: Vec<_> = (0..MAX_STRANGERS_PER_ADDRESS).map(|_| bench.connect()).collect();
    bench.now += SPARED;
    clients.push(bench.connect());
    assert_eq!(bench.notes.closed, [bench.path(&clients[0])]);
    assert_eq!(bench.connections.counters.tcp_connections_refused, 0);
}

#[test]
fn strangers_say_little() {
    let mut bench = Bench::new();
    let (mut stranger, mut known) = (bench.connect(), bench.connect());
    let len = u16::try_from(MAX_STRANGE_FRAME + 1).unwrap();
    let frame = [&len.to_be_bytes()[..], &vec![7; usize::from(len)]].concat();
    stranger.write_all(&frame).unwrap();
    bench.until(|bench| bench.connections.counters.tcp_bad_length == 1);
    bench.notes.open = true;
    known.write_all(&[0, 1, 9]).unwrap();
    bench.until(|bench| bench.notes.frames.len() == 1);
    known.write_all(&frame).unwrap();
    bench.until(|bench| bench.notes.frames.len() == 2);
}

#[test]
fn many_that_flood_with_short_frames_leave_a_turn_to_others() {
    let mut bench = Bench::new();
    let mut floods: Vec<_> = (0..8).map(|_| bench.connect()).collect();
    bench.until(|bench| bench.connections.readable.is_empty());
    for flood in &mut floods {
        flood.write_all(&[0, 1, 7].repeat(READ)).unwrap();
    }
    let (connections, mut events) = (&mut bench.connections, Events::with_capacity(8));
    while connections.readable.len() < floods.len() {
        bench.poll.poll(&mut events, None).unwrap();
        events.iter().for_each(|event| connections.handle_event(event));
    }
    let most = FRAMES_PER_TURN + READ / 3 + 1;
    let mut before = 0;
    // Each has its turn after the others.
    for _ in 0..4 {
        bench.turn();
        let came = bench.notes.frames.len() - before;
        assert!(came > 0 && came <= most, "{came}");
        before += came;
    }
    let mut paths: Vec<_> = bench.notes.frames.iter().map(|(path, _)| *path).collect();
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), floods.len());
}

/// One that floods is read as often as the others, and no more than so much in a turn.
#[test]
fn a_flood_waits_for_its_turn() {
    let mut bench = Bench::new();
    let (mut flood, mut other) = (bench.connect(), bench.connect());
    bench.until(|bench| bench.connections.readable.is_empty());
    flood.write_all(&[0, 1, 7].repeat(READ)).unwrap();
    other.write_all(&[0, 1, 8]).unwrap();
    // Both are there to be read before the one turn.
    let (connections, mut events) = (&mut bench.connections, Events::with_capacity(8));
    while connections.readable.len() < 2 {
        bench.poll.poll(&mut events, None).unwrap();
        events.iter().for_each(|event| connections.handle_event(event));
    }
    bench.turn();
    assert!(bench.notes.frames.len() <= READ / 3 + 1, "{}", bench.notes.frames.len());
    assert!(bench.notes.frames.iter().any(|(_, frame)| frame == &[8]));
}
