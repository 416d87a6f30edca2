use std::time::{Duration, Instant};
use std::vec::Vec;

use crate::Checksum;
use crate::chunk::{Chunk, Sack};
use crate::config::Config;
use crate::engine::inbound::{Acks, Arrival};
use crate::packet::{CommonHeader, Packet};
use crate::writer::PacketWriter;

const HEADER: CommonHeader = CommonHeader {
    source_port: 1,
    destination_port: 2,
    verification_tag: 3,
};
const MS: Duration = Duration::from_millis(1);

/// The receiver of TSNs from 1 on, whose first packet was acknowledged.
fn acks(t0: Instant) -> Acks {
    let mut acks = Acks::new(&Config::default(), 1);
    packet(&mut acks, t0, &[1]);
    assert!(
        acks.sack_is_due(t0),
        "RFC 9260 §5.1: the first DATA is acknowledged at once"
    );
    assert_eq!(told(&mut acks), (1, Vec::new(), Vec::new()));
    acks
}

/// A packet with these TSNs.
fn packet(acks: &mut Acks, now: Instant, tsns: &[u32]) -> Vec<Arrival> {
    let arrivals = tsns.iter().map(|tsn| acks.observe(*tsn, false, true)).collect();
    acks.packet_ended(now);
    arrivals
}

/// The cumulative TSN ack, the gap ack blocks as TSNs, and the duplicates.
type Told = (u32, Vec<(u32, u32)>, Vec<u32>);

/// The SACK in a packet of that length.
fn told_in(acks: &mut Acks, len: usize) -> Option<Told> {
    let mut out = [0; 20_000];
    let mut w = PacketWriter::new(&mut out, len, &HEADER).unwrap();
    if !acks.write(&mut w, 77) {
        assert!(w.is_empty());
        return None;
    }
    let packet = Packet::parse(w.finish(Checksum::Zero)).unwrap();
    let chunk = packet.chunks().next().unwrap().unwrap();
    let Chunk::Sack(Sack {
        cumulative_tsn_ack,
        a_rwnd: 77,
        gap_ack_blocks,
        duplicate_tsns,
    }) = Chunk::of(chunk).unwrap()
    else {
        panic!("no SACK");
    };
    let blocks = gap_ack_blocks
        .iter()
        .map(|block| block.tsns(cumulative_tsn_ack))
        .collect();
    Some((cumulative_tsn_ack, blocks, duplicate_tsns.iter().collect()))
}

fn told(acks: &mut Acks) -> Told {
    told_in(acks, 20_000).unwrap()
}

#[test]
fn before_any_data_the_cumulative_tsn_is_the_one_before_the_first() {
    let mut acks = Acks::new(&Config::default(), 0);
    assert_eq!(acks.cumulative(), u32::MAX);
    acks.packet_ended(Instant::now());
    assert!(!acks.wants_sack() && !acks.sack_is_due(Instant::now()) && acks.poll_timeout().is_none());
}

/// RFC 9260 §6.2: "at least every second packet (not every second DATA chunk)".
#[test]
fn every_second_packet_is_acknowledged() {
    let t0 = Instant::now();
    let mut acks = acks(t0);
    packet(&mut acks, t0, &[2, 3, 4]);
    assert!(!acks.sack_is_due(t0));
    assert!(acks.wants_sack());
    packet(&mut acks, t0, &[5]);
    assert!(acks.sack_is_due(t0));
    assert_eq!(told(&mut acks), (5, Vec::new(), Vec::new()));
    assert!(!acks.sack_is_due(t0 + 1000 * MS) && !acks.wants_sack());
    // The count begins anew, even when the SACK went out with only one packet to tell.
    packet(&mut acks, t0, &[6]);
    assert!(!acks.sack_is_due(t0));
    told(&mut acks);
    packet(&mut acks, t0, &[7]);
    assert!(!acks.sack_is_due(t0));
}

#[test]
fn packets_without_data_do_not_count() {
    let t0 = Instant::now();
    let mut acks = acks(t0);
    acks.packet_ended(t0);
    assert!(!acks.wants_sack() && acks.poll_timeout().is_none());
    packet(&mut acks, t0, &[2]);
    acks.packet_ended(t0);
    assert!(!acks.sack_is_due(t0));
}

#[test]
fn a_lone_packet_is_acknowledged_after_the_delay() {
    let t0 = Instant::now();
    let mut acks = acks(t0);
    packet(&mut acks, t0, &[2]);
    let due = t0 + Config::default().sack_delay;
    assert_eq!(acks.poll_timeout(), Some(due));
    assert!(!acks.sack_is_due(due - MS));
    assert!(acks.sack_is_due(due));
    told(&mut acks);
    assert_eq!(acks.poll_timeout(), None);
    assert!(!acks.sack_is_due(due));
}

/// "within 200 ms of the arrival of any unacknowledged DATA chunk": the first one counts.
#[test]
fn more_data_does_not_delay_further() {
    let t0 = Instant::now();
    let mut acks = acks(t0);
    packet(&mut acks, t0, &[2]);
    packet(&mut acks, t0 + 5 * MS, &[3]);
    assert_eq!(acks.poll_timeout(), Some(t0 + Config::default().sack_delay));
}

/// RFC 9260 §6.2: "MUST NOT allow the maximum delay to be configured to be more than 500 ms".
#[test]
fn the_delay_is_half_a_second_at_most() {
    let t0 = Instant::now();
    let config = Config {
        sack_delay: Duration::MAX,
        ..Config::default()
    };
    let mut acks = Acks::new(&config, 1);
    packet(&mut acks, t0, &[1]);
    assert_eq!(acks.poll_timeout(), Some(t0 + 500 * MS));
}

/// RFC 7053 §5.2.
#[test]
fn the_i_bit_asks_for_a_sack_at_once() {
    let t0 = Instant::now();
    let mut acks = acks(t0);
    assert_eq!(acks.observe(2, true, true), Arrival::New);
    assert_eq!(acks.observe(3, false, true), Arrival::New);
    acks.packet_ended(t0);
    assert!(acks.sack_is_due(t0));
    told(&mut acks);
    packet(&mut acks, t0, &[4]);
    assert!(!acks.sack_is_due(t0), "it holds for one packet");
}

/// RFC 9260 §9.2: data in SHUTDOWN-SENT is answered at once.
#[test]
fn the_next_packet_can_be_hurried() {
    let t0 = Instant::now();
    let mut acks = acks(t0);
    acks.hurry();
    packet(&mut acks, t0, &[2]);
    assert!(acks.sack_is_due(t0));
}

/// RFC 9260 §6.7: a gap is told at once, and every packet while there is one; RFC 5681 §4.2: so is its end.
#[test]
fn gaps_are_told_at_once() {
    let t0 = Instant::now();
    let mut acks = acks(t0);
    packet(&mut acks, t0, &[3]);
    assert!(acks.sack_is_due(t0));
    assert_eq!(told(&mut acks), (1, [(3, 3)].to_vec(), Vec::new()));
    packet(&mut acks, t0, &[4]);
    assert!(acks.sack_is_due(t0));
    assert_eq!(told(&mut acks), (1, [(3, 4)].to_vec(), Vec::new()));
    packet(&mut acks, t0, &[2]);
    assert!(acks.sack_is_due(t0));
    assert_eq!(told(&mut acks), (4, Vec::new(), Vec::new()));
    packet(&mut acks, t0, &[5]);
    assert!(!acks.sack_is_due(t0));
}

/// RFC 9260 §6.2: "The duplicate TSN number(s) SHOULD be reported in the SACK chunk".
#[test]
fn duplicates_are_told_at_once() {
    let t0 = Instant::now();
    let mut acks = acks(t0);
    packet(&mut acks, t0, &[2, 4, 5]);
    told(&mut acks);
    let arrivals = packet(&mut acks, t0, &[1, 2, 4, 5, 0]);
    assert_eq!(arrivals, [Arrival::Duplicate; 5]);
    assert!(acks.sack_is_due(t0));
    assert_eq!(told(&mut acks), (2, [(4, 5)].to_vec(), [1, 2, 4, 5, 0].to_vec()));
    packet(&mut acks, t0, &[3]);
    assert_eq!(told(&mut acks), (5, Vec::new(), Vec::new()));
    packet(&mut acks, t0, &[3]);
    assert!(acks.sack_is_due(t0));
}

#[test]
fn duplicates_do_not_pile_up() {
    let t0 = Instant::now();
    let mut acks = acks(t0);
    for _ in 0..1000 {
        packet(&mut acks, t0, &[1]);
    }
    assert_eq!(told(&mut acks).2, [1; 16]);
}

#[test]
fn ranges_grow_and_join() {
    let t0 = Instant::now();
    // Around the end of the numbers.
    let mut acks = Acks::new(&Config::default(), u32::MAX - 4);
    let tsn = |offset: u32| (u32::MAX - 5).wrapping_add(offset);
    let blocks = |acks: &mut Acks| {
        let (cumulative, blocks, _) = told(acks);
        let offset = |tsn: u32| tsn.wrapping_sub(u32::MAX - 5);
        let blocks = blocks.iter().map(|&(first, last)| (offset(first), offset(last)));
        (offset(cumulative), blocks.collect::<Vec<_>>())
    };
    for (offset, expected) in [
        (5, &[(5, 5)][..]),
        (9, &[(5, 5), (9, 9)]),
        (7, &[(5, 5), (7, 7), (9, 9)]),
        (3, &[(3, 3), (5, 5), (7, 7), (9, 9)]),
        (8, &[(3, 3), (5, 5), (7, 9)]),
        (4, &[(3, 5), (7, 9)]),
        (10, &[(3, 5), (7, 10)]),
        (13, &[(3, 5), (7, 10), (13, 13)]),
        (12, &[(3, 5), (7, 10), (12, 13)]),
    ] {
        assert_eq!(packet(&mut acks, t0, &[tsn(offset)]), [Arrival::New]);
        assert_eq!(packet(&mut acks, t0, &[tsn(offset)]), [Arrival::Duplicate]);
        assert_eq!(blocks(&mut acks), (0, expected.to_vec()));
    }
    packet(&mut acks, t0, &[tsn(1)]);
    assert_eq!(blocks(&mut acks).0, 1);
    packet(&mut acks, t0, &[tsn(2)]);
    assert_eq!(blocks(&mut acks), (5, [(7, 10), (12, 13)].to_vec()));
    packet(&mut acks, t0, &[tsn(6)]);
    assert_eq!(blocks(&mut acks), (10, [(12, 13)].to_vec()));
    packet(&mut acks, t0, &[tsn(11)]);
    assert_eq!(blocks(&mut acks), (13, Vec::new()));
}

/// RFC 9260 §6.7: "from the lowest to highest TSNs, within the size limit".
#[test]
fn as_many_blocks_as_fit() {
    let t0 = Instant::now();
    let mut acks = acks(t0);
    packet(&mut acks, t0, &[3, 5, 7, 9, 3, 5, 7]);
    assert_eq!(told_in(&mut acks, 12 + 12), None);
    assert!(acks.sack_is_due(t0), "nothing was told");
    let mut twin = packets_like(t0);
    assert_eq!(told_in(&mut twin, 12 + 16).unwrap(), (1, Vec::new(), Vec::new()));
    let mut twin = packets_like(t0);
    assert_eq!(
        told_in(&mut twin, 12 + 16 + 8).unwrap(),
        (1, [(3, 3), (5, 5)].to_vec(), Vec::new())
    );
    let all = [(3, 3), (5, 5), (7, 7), (9, 9)].to_vec();
    let mut twin = packets_like(t0);
    assert_eq!(told_in(&mut twin, 12 + 16 + 16).unwrap(), (1, all.clone(), Vec::new()));
    let mut twin = packets_like(t0);
    assert_eq!(told_in(&mut twin, 12 + 16 + 24).unwrap(), (1, all, [3, 5].to_vec()));
}

fn packets_like(t0: Instant) -> Acks {
    let mut acks = acks(t0);
    packet(&mut acks, t0, &[3, 5, 7, 9, 3, 5, 7]);
    acks
}

/// RFC 9260 §3.3.4: gap ack blocks have 16 bits.
#[test]
fn what_no_block_can_tell_is_too_far() {
    let t0 = Instant::now();
    let mut acks = acks(t0);
    assert_eq!(packet(&mut acks, t0, &[1 + 65535]), [Arrival::New]);
    assert_eq!(told(&mut acks).1, [(65536, 65536)]);
    assert_eq!(packet(&mut acks, t0, &[1 + 65536]), [Arrival::TooFar]);
    assert!(acks.sack_is_due(t0), "what was dropped is told at once");
    assert_eq!(told(&mut acks), (1, [(65536, 65536)].to_vec(), Vec::new()));
    assert_eq!(packet(&mut acks, t0, &[0x8000_0000]), [Arrival::TooFar]);
    assert_eq!(packet(&mut acks, t0, &[0x8000_0002]), [Arrival::Duplicate]);
}

#[test]
fn ranges_have_a_budget() {
    let t0 = Instant::now();
    let mut acks = acks(t0);
    let tsn = |range: u32| 3 + 2 * range;
    for range in (1..=2048).rev() {
        assert_eq!(packet(&mut acks, t0, &[tsn(range)]), [Arrival::New]);
    }
    assert_eq!(told(&mut acks).1.len(), 2048);
    assert_eq!(packet(&mut acks, t0, &[tsn(0)]), [Arrival::TooFar]);
    assert_eq!(packet(&mut acks, t0, &[tsn(2049)]), [Arrival::TooFar]);
    // What makes no further range is taken, and then there is room for another one.
    assert_eq!(packet(&mut acks, t0, &[tsn(7) + 1]), [Arrival::New]);
    assert_eq!(packet(&mut acks, t0, &[tsn(2049)]), [Arrival::New]);
    assert_eq!(packet(&mut acks, t0, &[tsn(2049) + 1]), [Arrival::New]);
    assert_eq!(packet(&mut acks, t0, &[2, 3, 4]), [Arrival::New; 3]);
    assert_eq!(acks.cumulative(), 5);
}

/// RFC 9260 §6.2: "When the receiver's advertised window is 0, the receiver MUST drop any new incoming DATA chunk".
#[test]
fn without_room_only_the_next_one_is_taken() {
    let t0 = Instant::now();
    let mut acks = acks(t0);
    packet(&mut acks, t0, &[4]);
    told(&mut acks);
    assert_eq!(acks.observe(3, false, false), Arrival::NoRoom);
    acks.packet_ended(t0);
    assert!(acks.sack_is_due(t0));
    assert_eq!(told(&mut acks), (1, [(4, 4)].to_vec(), Vec::new()));
    assert_eq!(acks.observe(4, false, false), Arrival::Duplicate);
    assert_eq!(acks.observe(5, false, false), Arrival::NoRoom);
    assert_eq!(acks.observe(2, false, false), Arrival::New);
    assert_eq!(acks.observe(3, false, true), Arrival::New);
    assert_eq!(acks.cumulative(), 4);
}

/// RFC 3758 §3.6, with its example.
#[test]
fn the_peer_can_skip() {
    let t0 = Instant::now();
    let mut acks = Acks::new(&Config::default(), 103);
    packet(&mut acks, t0, &[104, 105, 107]);
    told(&mut acks);
    assert!(acks.forward(103));
    acks.packet_ended(t0);
    assert!(acks.sack_is_due(t0));
    assert_eq!(told(&mut acks), (105, [(107, 107)].to_vec(), Vec::new()));
    // Out of date: "The receiver SHOULD send a SACK".
    assert!(acks.forward(108));
    told(&mut acks);
    packet(&mut acks, t0, &[109]);
    told(&mut acks);
    for old in [109, 108, 5] {
        assert!(!acks.forward(old));
        acks.packet_ended(t0);
        assert!(acks.sack_is_due(t0));
        assert_eq!(told(&mut acks), (109, Vec::new(), Vec::new()));
    }
    // What was skipped counts as a duplicate when it comes.
    assert_eq!(packet(&mut acks, t0, &[106]), [Arrival::Duplicate]);
}

/// RFC 3758 §3.6: "the receiver MUST follow the same rules as if a DATA chunk had been received".
#[test]
fn a_skip_without_gaps_is_acknowledged_like_data() {
    let t0 = Instant::now();
    let mut acks = acks(t0);
    assert!(acks.forward(5));
    acks.packet_ended(t0);
    assert!(!acks.sack_is_due(t0) && acks.wants_sack());
    assert!(acks.forward(6));
    acks.packet_ended(t0);
    assert!(acks.sack_is_due(t0));
}

#[test]
fn a_skip_ends_anywhere() {
    let t0 = Instant::now();
    for (to, cumulative, blocks) in [
        (2, 2, &[(5, 8), (11, 12), (15, 15)][..]),
        (3, 3, &[(5, 8), (11, 12), (15, 15)]),
        (4, 8, &[(11, 12), (15, 15)]),
        (5, 8, &[(11, 12), (15, 15)]),
        (7, 8, &[(11, 12), (15, 15)]),
        (8, 8, &[(11, 12), (15, 15)]),
        (9, 9, &[(11, 12), (15, 15)]),
        (10, 12, &[(15, 15)]),
        (12, 12, &[(15, 15)]),
        (14, 15, &[]),
        (15, 15, &[]),
        (20, 20, &[]),
        (0x7fff_ffff, 0x7fff_ffff, &[]),
    ] {
        let mut acks = acks(t0);
        packet(&mut acks, t0, &[5, 6, 7, 8, 11, 12, 15]);
        told(&mut acks);
        assert!(acks.forward(to));
        acks.packet_ended(t0);
        assert!(acks.sack_is_due(t0), "{to}");
        assert_eq!(told(&mut acks), (cumulative, blocks.to_vec(), Vec::new()), "{to}");
        assert_eq!(packet(&mut acks, t0, &[cumulative + 1]), [Arrival::New]);
    }
}

/// RFC 9260 §9.2: a SHUTDOWN acknowledges too, but neither gaps nor duplicates.
#[test]
fn a_shutdown_may_say_it_all() {
    let t0 = Instant::now();
    let mut acks = acks(t0);
    packet(&mut acks, t0, &[2]);
    packet(&mut acks, t0, &[3]);
    assert!(acks.told_by_shutdown());
    assert!(!acks.wants_sack() && acks.poll_timeout().is_none());
    packet(&mut acks, t0, &[3]);
    assert!(!acks.told_by_shutdown());
    assert!(acks.sack_is_due(t0));
    told(&mut acks);
    packet(&mut acks, t0, &[5]);
    assert!(!acks.told_by_shutdown());
    assert!(acks.sack_is_due(t0));
}
