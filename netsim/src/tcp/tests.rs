use super::*;

const MSS: u16 = 100;
const WINDOW: u32 = 10_000;

fn segment(seq: u64, ack: u64, window: u32, flags: TcpFlags) -> TcpHeader {
    TcpHeader {
        seq,
        ack,
        flags,
        window,
        mss: 0,
    }
}

/// A connection with the numbers 1000 here and 5000 there, to which things happen one millisecond after the other.
struct Case {
    connection: Connection,
    now: u64,
}

impl Case {
    fn new() -> Self {
        let [local, remote] = [1, 2].map(|host| SocketAddr::from(([10, 0, 0, host], 1)));
        let connection = Connection::new((0, 0), local, remote, 1000, MSS, 100_000);
        Self { connection, now: 0 }
    }

    fn open() -> Self {
        let mut case = Self::new();
        case.run(Connection::open);
        let flags = TcpFlags {
            ack: true,
            ..TcpFlags::SYN
        };
        assert_eq!(case.hear(segment(5000, 1001, WINDOW, flags)), [(1001, 0)]);
        case
    }

    /// Does something; the sequence numbers and lengths of what is sent for it.
    fn run<T>(&mut self, what: impl FnOnce(&mut Connection, u64, &mut Vec<Out>) -> T) -> Vec<(u64, usize)> {
        self.now += 1_000_000;
        let mut out = Vec::new();
        what(&mut self.connection, self.now, &mut out);
        let segment = |out: &Out| match out {
            Out::Segment(header, len) => Some((header.seq, *len)),
            _ => None,
        };
        out.iter().filter_map(segment).collect()
    }

    fn hear(&mut self, header: TcpHeader) -> Vec<(u64, usize)> {
        self.run(|connection, now, out| connection.handle_segment(now, &header, &[], out))
    }

    fn ack(&mut self, ack: u64, window: u32) -> Vec<(u64, usize)> {
        self.hear(segment(5001, ack, window, TcpFlags::ACK))
    }

    fn write(&mut self, len: usize) -> Vec<(u64, usize)> {
        self.run(|connection, now, out| connection.write(now, &vec![7; len], out))
    }

    /// The timer expires.
    fn expire(&mut self) -> Vec<(u64, usize)> {
        self.now = self.connection.timer.unwrap();
        self.run(Connection::handle_timeout)
    }
}

#[test]
fn an_acknowledgement_that_was_overtaken_tells_no_window() {
    let mut case = Case::open();
    assert_eq!(case.write(2000).len(), 10);
    assert_eq!(case.ack(1501, 500), [], "the window is full");
    assert_eq!(case.ack(1301, WINDOW), [], "it is older");
    assert_eq!(case.ack(1501, 700), [(2001, 100), (2101, 100)], "it is newer");
    // A segment of the peer that came later has a higher number, whatever it acknowledges.
    case.hear(segment(5002, 1501, 700, TcpFlags::ACK));
    assert_eq!(case.ack(1501, WINDOW), []);
}

#[test]
fn what_a_timeout_sends_again_starts_no_fast_retransmission() {
    let mut case = Case::open();
    assert_eq!(case.write(1000).len(), 10);
    assert_eq!(case.expire(), [(1001, 100)]);
    assert_eq!(case.ack(1101, WINDOW), [(1101, 100), (1201, 100)]);
    // All but the first had arrived: what comes twice is acknowledged twice.
    for _ in 0..5 {
        assert_eq!(case.ack(1101, WINDOW), []);
    }
    assert_eq!(case.connection.threshold, 500, "the loss counts once");
    assert_eq!(case.ack(2001, WINDOW), []);
    // From then on three duplicates are a loss again.
    assert_eq!(case.write(500).len(), 3);
    assert_eq!(case.ack(2101, WINDOW), [(2301, 100), (2401, 100)]);
    for again in [vec![], vec![], vec![(2101, 100)]] {
        assert_eq!(case.ack(2101, WINDOW), again);
    }
}

#[test]
fn what_goes_along_with_a_retransmission_is_acknowledged() {
    let mut case = Case::open();
    assert_eq!(case.write(60), [(1001, 60)]);
    assert_eq!(case.expire(), [(1001, 60)]);
    assert_eq!(case.write(80), [], "after a timeout one segment may be under way");
    assert_eq!(case.expire(), [(1001, 100)], "it is full now");
    assert_eq!(case.ack(1101, WINDOW), [(1101, 40)]);
}

#[test]
fn half_open_connections_refuse_foreign_acknowledgements() {
    let mut case = Case::new();
    case.run(|connection, now, out| connection.accept(now, &segment(5000, 0, WINDOW, TcpFlags::SYN), out));
    assert_eq!(case.ack(1500, WINDOW), [(1500, 0)]);
    assert!(!case.connection.is_open());
    assert_eq!(case.ack(1001, WINDOW), []);
    assert!(case.connection.is_open());
}
