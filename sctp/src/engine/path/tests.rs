use super::*;
use crate::checksum::Checksum;
use crate::packet::{CommonHeader, Packet};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::vec;

const RTO: Duration = Duration::from_secs(1);
const HEADER: CommonHeader = CommonHeader {
    source_port: 5000,
    destination_port: 5000,
    verification_tag: 1,
};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

struct Bench {
    path: Path,
    now: Instant,
    counters: Counters,
}

/// A chunk as it was sent.
#[derive(Debug, PartialEq, Eq)]
enum Sent {
    Heartbeat(Vec<u8>),
    Ack(Vec<u8>),
    Pad,
}

impl Bench {
    fn new(base_packet: usize, largest_packet: usize) -> Self {
        let now = Instant::now();
        let config = Config {
            base_packet,
            largest_packet,
            ..Config::default()
        };
        let mut path = Path::new(&config, now, &Seed::from_run(1));
        path.start(now, RTO);
        Self {
            path,
            now,
            counters: Counters::default(),
        }
    }

    fn read(bytes: &[u8]) -> Vec<Sent> {
        let packet = Packet::parse(bytes).unwrap();
        let chunks = packet.chunks().map(|raw| match Chunk::of(raw.unwrap()).unwrap() {
            Chunk::Heartbeat(info) => Sent::Heartbeat(info.to_vec()),
            Chunk::HeartbeatAck(info) => Sent::Ack(info.to_vec()),
            Chunk::Pad(_) => Sent::Pad,
            other => panic!("{other}"),
        });
        chunks.collect()
    }

    fn push_into(&mut self, len: usize) -> Vec<Sent> {
        let mut out = vec![0; len];
        let mut w = PacketWriter::new(&mut out, len, &HEADER).unwrap();
        self.path.push(self.now, RTO, &mut w);
        Self::read(w.finish(Checksum::Zero))
    }

    fn push(&mut self) -> Vec<Sent> {
        let wanted = self.path.wants_push(self.now);
        let sent = self.push_into(1200);
        assert_eq!(wanted, !sent.is_empty());
        sent
    }

    /// The nonce of the HEARTBEAT that is due now.
    fn heartbeat(&mut self) -> Vec<u8> {
        let mut sent = self.push();
        let Some(Sent::Heartbeat(nonce)) = sent.pop() else {
            panic!("no HEARTBEAT")
        };
        assert_eq!(sent, []);
        nonce
    }

    fn answer(&mut self, info: &[u8]) -> Option<Duration> {
        self.path.handle_heartbeat_ack(self.now, info, &mut self.counters)
    }

    fn pass(&mut self, time: Duration) -> Result<bool, CloseReason> {
        self.now += time;
        self.path.handle_timeout(self.now)
    }

    /// Goes to when something is to be done, and does what the clock does.
    fn wait(&mut self) -> Result<bool, CloseReason> {
        let time = self.path.poll_timeout().unwrap().max(self.now) - self.now;
        self.pass(time)
    }

    /// The probe that is due now: its size, nonce.
    fn probe(&mut self) -> Option<(usize, Vec<u8>)> {
        let size = self.path.probe(self.now)?;
        let mut out = vec![0; 2000];
        let mut w = PacketWriter::new(&mut out, size, &HEADER).unwrap();
        assert!(self.path.push_probe(self.now, RTO, &mut w));
        let bytes = w.finish(Checksum::Zero);
        assert_eq!(bytes.len(), size);
        assert_eq!(self.path.probe(self.now), None, "one at a time");
        let sent = Self::read(bytes);
        let [Sent::Heartbeat(nonce), Sent::Pad] = &sent[..] else {
            panic!("{sent:?}")
        };
        Some((size, nonce.clone()))
    }

    /// Searches on a path that carries packets up to `limit`; gives the sizes tried.
    fn search(&mut self, limit: usize) -> Vec<usize> {
        let mut sizes = Vec::new();
        while let Some((size, nonce)) = self.probe() {
            sizes.push(size);
            assert!(sizes.len() < 100);
            if size <= limit {
                self.now += ms(50);
                self.answer(&nonce);
            } else {
                // Not before its timer ran out.
                self.pass(ms(999)).unwrap();
                assert_eq!(self.path.probe(self.now), None);
                self.pass(ms(1)).unwrap();
            }
        }
        sizes
    }
}

#[test]
fn an_idle_path_is_probed_once_per_interval() {
    // RFC 9260 §8.3: HB.interval and 0.5 to 1.5 RTO.
    let mut bench = Bench::new(1160, 0);
    let mut periods = BTreeSet::new();
    for _ in 0..20 {
        let due = bench.path.poll_timeout().unwrap() - bench.now;
        assert!(due >= ms(30_500) && due < ms(31_500), "{due:?}");
        periods.insert(due);
        assert_eq!(bench.pass(due - ms(1)), Ok(false));
        assert_eq!(bench.push(), []);
        bench.now += ms(1);
        let nonce = bench.heartbeat();
        assert_eq!(bench.push(), [], "once only");
        bench.now += ms(80);
        assert_eq!(bench.answer(&nonce), Some(ms(80)));
        assert_eq!(bench.answer(&nonce), None, "an answer counts once");
        bench.now -= ms(80);
    }
    assert!(periods.len() > 10, "jitter");
    assert_eq!(bench.counters.sctp_stray_heartbeat_acks, 20);
    assert_eq!(bench.path.errors, 0);
}

#[test]
fn data_makes_a_heartbeat_unnecessary() {
    let mut bench = Bench::new(1160, 0);
    bench.now += ms(29_000);
    bench.path.used(bench.now);
    bench.now += ms(29_000);
    assert_eq!(bench.push(), []);
    assert!(bench.path.poll_timeout().unwrap() > bench.now);
    bench.now += ms(2_500);
    bench.heartbeat();
}

#[test]
fn heartbeats_begin_with_the_association_and_end_with_it() {
    let mut bench = Bench::new(1160, 1400);
    let late = bench.now + Duration::from_secs(3600);
    let (_, probe) = bench.probe().unwrap();
    bench.now = late;
    bench.path.handle_timeout(late).unwrap();
    bench.heartbeat();
    bench.path.handle_heartbeat(b"x", &mut bench.counters);
    bench.path.stop();
    assert_eq!((bench.path.poll_timeout(), bench.path.probe(late)), (None, None));
    assert!(!bench.path.wants_push(late));
    bench.now = late + Duration::from_secs(3600);
    assert_eq!(bench.path.handle_timeout(bench.now), Ok(false));
    assert_eq!(bench.push(), []);
    bench.answer(&probe);
    assert_eq!((bench.path.poll_timeout(), bench.path.probe(bench.now)), (None, None));
    // Before it nothing happens either, and no time counts.
    let mut path = Path::new(&Config::default(), late, &Seed::from_run(1));
    assert_eq!((path.poll_timeout(), path.wants_push(bench.now)), (None, false));
    path.start(bench.now, RTO);
    assert!(!path.wants_push(bench.now + ms(30_000)));
}

#[test]
fn a_peer_that_answers_nothing_is_unreachable() {
    // RFC 9260 §8.1: when Association.Max.Retrans is exceeded, which is 10.
    let mut bench = Bench::new(1160, 0);
    for _ in 0..10 {
        assert_eq!(bench.wait(), Ok(false));
        bench.heartbeat();
        assert_eq!(bench.path.poll_timeout(), Some(bench.now + RTO));
        assert_eq!(bench.pass(ms(999)), Ok(false));
        assert_eq!(bench.pass(ms(1)), Ok(true), "the time-out is to be doubled");
        assert_eq!(bench.path.handle_timeout(bench.now), Ok(false), "once");
    }
    assert_eq!(bench.wait(), Ok(false));
    bench.heartbeat();
    assert_eq!(bench.pass(RTO), Err(CloseReason::Unreachable));
}

#[test]
fn retransmissions_and_heartbeats_count_together_until_the_peer_is_heard() {
    let mut bench = Bench::new(1160, 0);
    for _ in 0..9 {
        assert_eq!(bench.path.timed_out(), None);
    }
    bench.wait().unwrap();
    let nonce = bench.heartbeat();
    assert_eq!(bench.pass(RTO), Ok(true));
    // Even a late answer shows that the peer is there.
    bench.now += ms(500);
    assert_eq!(bench.answer(&nonce), Some(ms(1500)));
    for round in 0..2 {
        for _ in 0..10 {
            assert_eq!(bench.path.timed_out(), None);
        }
        if round == 0 {
            bench.path.heard();
        }
    }
    // An answer to nothing does not.
    bench.answer(&[0; 8]);
    assert_eq!(bench.path.timed_out(), Some(CloseReason::Unreachable));
}

#[test]
fn only_our_own_words_are_an_answer() {
    let mut bench = Bench::new(1160, 0);
    bench.wait().unwrap();
    let nonce = bench.heartbeat();
    let longer = [&nonce[..], &[0]].concat();
    let other: Vec<u8> = nonce.iter().map(|byte| byte ^ 1).collect();
    for wrong in [&longer[..], &nonce[..7], &other, &[]] {
        assert_eq!(bench.answer(wrong), None);
    }
    assert_eq!(bench.counters.sctp_stray_heartbeat_acks, 4);
    assert_eq!(bench.answer(&nonce), Some(Duration::ZERO));
}

#[test]
fn heartbeats_are_answered_as_they_are() {
    // RFC 9260 §8.3: copied unchanged. Those that come in a flood are not.
    let mut bench = Bench::new(1160, 0);
    let long = vec![7; MOST_INFO];
    let too_long = vec![7; MOST_INFO + 1];
    for info in [&too_long[..], &long, b"", b"third"] {
        bench.path.handle_heartbeat(info, &mut bench.counters);
    }
    assert_eq!(bench.counters.sctp_dropped_heartbeats, 2);
    // What does not fit waits for the next packet, and the short one need not wait for the long one.
    assert_eq!(bench.push_into(12 + 8 + MOST_INFO - 4), [Sent::Ack(vec![])]);
    assert_eq!(
        bench.push_into(512),
        [Sent::Ack(long)],
        "the smallest packet has room for it"
    );
    assert_eq!(bench.push(), []);
    bench.path.handle_heartbeat(b"fourth", &mut bench.counters);
    assert_eq!(bench.push(), [Sent::Ack(b"fourth".to_vec())]);
}

#[test]
fn a_heartbeat_that_does_not_fit_stays_due() {
    let mut bench = Bench::new(1160, 0);
    bench.wait().unwrap();
    assert_eq!(bench.push_into(12 + 15), []);
    assert!(bench.path.wants_push(bench.now));
    assert_eq!(bench.push_into(12 + 16).len(), 1);
}

#[test]
fn the_largest_packet_is_tried_first() {
    let mut bench = Bench::new(1163, 1403);
    assert_eq!(bench.path.max_packet(), 1160);
    assert_eq!(bench.search(1400), [1400]);
    assert_eq!(bench.path.max_packet(), 1400);
    // There is nothing more to gain, ever: only HEARTBEATs are left.
    bench.wait().unwrap();
    assert_eq!(bench.probe(), None);
    bench.heartbeat();
}

#[test]
fn nothing_is_tried_where_nothing_is_to_gain() {
    for largest in [0, 1159, 1160, 1163] {
        let mut bench = Bench::new(1160, largest);
        assert_eq!((bench.probe(), bench.path.max_packet()), (None, 1160));
        bench.wait().unwrap();
        bench.heartbeat();
    }
}

#[test]
fn the_middle_is_tried_next_each_size_thrice() {
    // RFC 8899 §5.1.2: MAX_PROBES.
    let mut bench = Bench::new(1160, 1400);
    let sizes = bench.search(1300);
    assert_eq!(
        sizes,
        [1400, 1400, 1400, 1280, 1340, 1340, 1340, 1308, 1308, 1308, 1292]
    );
    assert_eq!(bench.path.max_packet(), 1292);
    assert_eq!(bench.path.errors, 0, "a probe that is lost says nothing about the peer");
    // RFC 8899 §5.1.1: PMTU_RAISE_TIMER. By then the path may carry more.
    let raise = bench.now + Duration::from_secs(600);
    bench.pass(ms(599_999)).unwrap();
    assert_eq!(bench.probe(), None);
    bench.now = raise;
    assert!(bench.path.poll_timeout().unwrap() <= raise);
    assert_eq!(bench.search(2000), [1400]);
}

#[test]
fn a_late_answer_counts_but_tells_no_round_trip() {
    let mut bench = Bench::new(1160, 1400);
    let (_, first) = bench.probe().unwrap();
    assert_eq!(bench.path.poll_timeout(), Some(bench.now + RTO));
    bench.wait().unwrap();
    let (size, second) = bench.probe().unwrap();
    assert_eq!((size, &second), (1400, &first));
    bench.path.timed_out();
    bench.now += ms(10);
    assert_eq!(bench.answer(&first), None);
    assert_eq!((bench.path.max_packet(), bench.path.errors), (1400, 0));
    assert_eq!(bench.counters.sctp_stray_heartbeat_acks, 0);
    // The one that was tried once tells it.
    let mut bench = Bench::new(1160, 1400);
    let (_, nonce) = bench.probe().unwrap();
    bench.now += ms(10);
    assert_eq!(bench.answer(&nonce), Some(ms(10)));
    // And one for a size that was given up means nothing any more.
    let mut bench = Bench::new(1160, 1400);
    let (_, nonce) = bench.probe().unwrap();
    for _ in 0..2 {
        bench.wait().unwrap();
        bench.probe().unwrap();
    }
    bench.wait().unwrap();
    bench.answer(&nonce);
    assert_eq!(
        (bench.path.max_packet(), bench.counters.sctp_stray_heartbeat_acks),
        (1160, 1)
    );
    assert_eq!(bench.probe().unwrap().0, 1280);
}

#[test]
fn the_probe_timer_is_the_time_out_and_a_second_at_least() {
    // RFC 8899 §5.1.1.
    for (rto, timer) in [(ms(200), ms(1000)), (ms(3000), ms(3000))] {
        let mut bench = Bench::new(1160, 1400);
        let mut out = [0; 1400];
        let mut w = PacketWriter::new(&mut out, 1400, &HEADER).unwrap();
        assert!(bench.path.push_probe(bench.now, rto, &mut w));
        assert_eq!(bench.path.poll_timeout(), Some(bench.now + timer));
    }
}

#[test]
fn a_size_without_room_for_it_is_given_up() {
    let mut bench = Bench::new(1160, 1400);
    let mut out = [0; 1300];
    let mut sizes = Vec::new();
    while let Some(size) = bench.path.probe(bench.now) {
        sizes.push(size);
        let mut w = PacketWriter::new(&mut out, size, &HEADER).unwrap();
        if bench.path.push_probe(bench.now, RTO, &mut w) {
            let Sent::Heartbeat(nonce) = Bench::read(w.finish(Checksum::Zero)).remove(0) else {
                panic!()
            };
            bench.answer(&nonce);
        } else {
            assert!(w.is_empty());
        }
    }
    assert_eq!(sizes, [1400, 1280, 1340, 1308, 1292]);
    assert_eq!(bench.path.max_packet(), 1292);
    // Nor is a packet filled that has something in it.
    let mut bench = Bench::new(1160, 1200);
    let mut w = PacketWriter::new(&mut out, 1200, &HEADER).unwrap();
    w.push(&Chunk::CookieAck).unwrap();
    assert!(!bench.path.push_probe(bench.now, RTO, &mut w));
    assert_eq!(w.position(), 16);
}

#[test]
fn three_large_packets_lost_again_make_a_black_hole() {
    // RFC 8899 §4.3.
    let mut bench = Bench::new(1160, 1400);
    bench.search(1400);
    let lose = |bench: &mut Bench, packet, times| {
        (0..times).for_each(|_| bench.path.lost_again(bench.now, packet));
        bench.path.max_packet()
    };
    // Small ones say nothing, and a large one that arrives says that the path is what it was.
    assert_eq!(lose(&mut bench, 1160, 10), 1400);
    assert_eq!(lose(&mut bench, 1164, 2), 1400);
    bench.path.acknowledged(1164);
    assert_eq!(lose(&mut bench, 1400, 2), 1400);
    bench.path.acknowledged(1160);
    assert_eq!(bench.probe(), None);
    assert_eq!(lose(&mut bench, 1400, 1), 1160);
    // What was sent before, in the larger size, is not counted against the smaller one.
    assert_eq!(lose(&mut bench, 1400, 10), 1160);
    // It is searched for below what failed.
    assert_eq!(bench.search(1250), [1280, 1280, 1280, 1220, 1248, 1264, 1264, 1264]);
    assert_eq!(bench.path.max_packet(), 1248);
    // The same count begins anew, also with a probe that arrived.
    assert_eq!(lose(&mut bench, 1248, 2), 1248);
    assert_eq!(lose(&mut bench, 1248, 1), 1160);
}

#[test]
fn what_is_known_of_one_size_is_not_held_against_another() {
    let lose = |bench: &mut Bench, packet, times| {
        (0..times).for_each(|_| bench.path.lost_again(bench.now, packet));
        bench.path.max_packet()
    };
    let fail = |bench: &mut Bench, size, times| {
        for _ in 0..times {
            assert_eq!(bench.probe().map(|probe| probe.0), Some(size));
            bench.pass(ms(1000)).unwrap();
        }
    };
    let pass = |bench: &mut Bench, size| {
        let (found, nonce) = bench.probe().unwrap();
        assert_eq!(found, size);
        bench.answer(&nonce);
    };
    let mut bench = Bench::new(1160, 1400);
    fail(&mut bench, 1400, 3);
    fail(&mut bench, 1280, 2);
    pass(&mut bench, 1280);
    assert_eq!(lose(&mut bench, 1280, 2), 1280);
    // Three tries again; and a probe that arrives shows that there is no black hole.
    fail(&mut bench, 1340, 2);
    pass(&mut bench, 1340);
    assert_eq!(lose(&mut bench, 1340, 2), 1340);
    // A black hole ends what is under way.
    fail(&mut bench, 1368, 2);
    let (_, nonce) = bench.probe().unwrap();
    assert_eq!(lose(&mut bench, 1340, 1), 1160);
    bench.answer(&nonce);
    assert_eq!(
        (bench.path.max_packet(), bench.counters.sctp_stray_heartbeat_acks),
        (1160, 1)
    );
    fail(&mut bench, 1248, 3);
    fail(&mut bench, 1204, 1);
}

proptest! {
    /// Whatever the path carries, and whatever else the peer says: the search ends within a few bytes of it, and never above.
    #[test]
    fn the_search_finds_what_the_path_carries(
        base in 512_usize..1300,
        more in 0_usize..9000,
        limit in 0_usize..9000,
        noise in prop::collection::vec(any::<u8>(), 0..12),
    ) {
        let mut bench = Bench::new(base, base + more);
        let mut tries = 0;
        while let Some(size) = bench.path.probe(bench.now) {
            let mut out = vec![0; size];
            let mut w = PacketWriter::new(&mut out, size, &HEADER).unwrap();
            prop_assert!(bench.path.push_probe(bench.now, RTO, &mut w));
            let Sent::Heartbeat(nonce) = Bench::read(w.finish(Checksum::Zero)).remove(0) else { panic!() };
            bench.answer(&noise);
            if size <= base.max(limit) {
                bench.answer(&nonce);
            }
            bench.wait().unwrap();
            tries += 1;
            prop_assert!(tries < 40);
        }
        let found = bench.path.max_packet();
        let best = base.max(limit.min(base + more)) & !3;
        prop_assert!(found <= best && found + LEAST_GAIN >= best, "{found} {best}");
        prop_assert_eq!(found % 4, 0);
    }
}

const LEAST_GAIN: usize = 16;
