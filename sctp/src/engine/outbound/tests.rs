use core::time::Duration;
use std::collections::BTreeSet;
use std::format;
use std::string::{String, ToString};
use std::time::Instant;
use std::vec;
use std::vec::Vec;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::chunk::{Chunk, GapAckBlock};
use crate::list::List;
use crate::packet::{CommonHeader, Packet};
use crate::registry::Ppid;
use crate::writer::PacketWriter;
use crate::{Checksum, Config, Scheduler};

const HEADER: CommonHeader = CommonHeader {
    source_port: 5000,
    destination_port: 5000,
    verification_tag: 1,
};

/// The first TSN: not far from where they wrap.
const FIRST: u32 = u32::MAX - 20;

const PACKET: usize = 1160;

struct Side {
    now: Instant,
    out: Outbound,
    window: u64,
    packet: usize,
}

/// A chunk of data as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Written {
    tsn: u32,
    stream: u16,
    number: u32,
    fsn: Option<u32>,
    flags: String,
    payload: Vec<u8>,
}

impl Side {
    fn new(interleaving: bool) -> Self {
        Self::of(&Config::default(), interleaving)
    }

    fn of(config: &Config, interleaving: bool) -> Self {
        let mut out = Outbound::new(config, FIRST);
        out.established(1000, 1 << 24, interleaving, true);
        Self {
            now: Instant::now(),
            out,
            window: 1 << 24,
            packet: PACKET,
        }
    }

    fn wait(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
    }

    fn outgoing(stream: u16, payload: &[u8]) -> Outgoing {
        Outgoing {
            stream,
            ppid: Ppid::BINARY,
            unordered: false,
            limit: Limit::None,
            payload: Bytes::copy_from_slice(payload),
        }
    }

    fn send(&mut self, stream: u16, payload: &[u8]) {
        self.out.send(self.now, Self::outgoing(stream, payload), true).unwrap();
    }

    /// A message that is not sent again.
    fn send_once(&mut self, stream: u16, payload: &[u8], unordered: bool) {
        let message = Outgoing {
            limit: Limit::Retransmissions(0),
            unordered,
            ..Self::outgoing(stream, payload)
        };
        self.out.send(self.now, message, true).unwrap();
    }

    fn allowance(&self) -> Allowance {
        Allowance {
            window: self.window,
            packet: self.packet,
            is_probe: false,
        }
    }

    /// The next packet, with `used` bytes of other chunks before.
    fn packet_behind(&mut self, used: usize) -> Option<(Vec<u8>, Filled)> {
        let allowance = self.allowance();
        if !self.out.may_send(allowance) {
            return None;
        }
        let mut out = [0; 4000];
        let mut w = PacketWriter::new(&mut out, self.packet, &HEADER).unwrap();
        if used > 0 {
            w.push(&Chunk::Pad(used - 4)).unwrap();
        }
        let filled = self.out.fill(self.now, &mut w, allowance);
        if filled == Filled::default() {
            return None;
        }
        Some((w.finish(Checksum::Crc32c).to_vec(), filled))
    }

    fn packet(&mut self) -> Option<Vec<Written>> {
        let (bytes, filled) = self.packet_behind(0)?;
        assert!(bytes.len() <= self.packet);
        let written = data(&bytes);
        assert_eq!(written.len(), filled.chunks);
        Some(written)
    }

    /// All that may be sent now, by packets.
    fn packets(&mut self) -> Vec<Vec<Written>> {
        let packets: Vec<_> = std::iter::from_fn(|| self.packet()).take(100_000).collect();
        assert!(packets.len() < 100_000, "it never ends");
        packets
    }

    /// The chunks that are not data, of all packets that may be sent now.
    fn others(&mut self) -> Vec<String> {
        let mut others = Vec::new();
        while let Some((bytes, _)) = self.packet_behind(0) {
            let packet = Packet::parse(&bytes).unwrap();
            for raw in packet.chunks() {
                let chunk = Chunk::of(raw.unwrap()).unwrap();
                if !matches!(chunk, Chunk::Data(_) | Chunk::IData(_)) {
                    others.push(chunk.to_string());
                }
            }
            assert!(others.len() < 1000, "it never ends");
        }
        others
    }

    /// A SACK of the TSNs up to `FIRST + cumulative`, exclusively, with blocks by their distance from FIRST.
    fn sack(&mut self, cumulative: u32, blocks: &[(u32, u32)]) -> Acked {
        self.try_sack(cumulative, blocks, None).unwrap()
    }

    fn try_sack(
        &mut self,
        cumulative: u32,
        blocks: &[(u32, u32)],
        least: Option<Duration>,
    ) -> Result<Acked, &'static str> {
        let offset = |place: u32| u16::try_from(place + 1 - cumulative).unwrap();
        let blocks: Vec<_> = blocks
            .iter()
            .map(|&(first, last)| GapAckBlock {
                start: offset(first),
                end: offset(last),
            })
            .collect();
        let sack = Sack {
            cumulative_tsn_ack: FIRST.wrapping_add(cumulative).wrapping_sub(1),
            a_rwnd: 1 << 24,
            gap_ack_blocks: List::new(&blocks),
            ..Sack::default()
        };
        self.out.sack(self.now, &sack, least)
    }

    fn lost(&mut self) -> Lost {
        self.out.detect(self.now, Tolerance::NONE)
    }
}

fn data(bytes: &[u8]) -> Vec<Written> {
    let packet = Packet::parse(bytes).unwrap();
    let chunks = packet.chunks().map(|raw| Chunk::of(raw.unwrap()).unwrap());
    chunks
        .filter_map(|chunk| match chunk {
            Chunk::Data(data) => Some(Written {
                tsn: data.header.tsn,
                stream: data.header.stream,
                number: data.header.ssn.into(),
                fsn: None,
                flags: data.header.flags.to_string(),
                payload: data.payload.to_vec(),
            }),
            Chunk::IData(data) => Some(Written {
                tsn: data.header.tsn,
                stream: data.header.stream,
                number: data.header.mid,
                fsn: Some(data.header.fsn()),
                flags: data.header.flags.to_string(),
                payload: data.payload.to_vec(),
            }),
            _ => None,
        })
        .collect()
}

/// The streams of chunks, in order.
fn streams(packets: &[Vec<Written>]) -> Vec<u16> {
    packets.iter().flatten().map(|chunk| chunk.stream).collect()
}

fn places(packets: &[Vec<Written>]) -> Vec<u32> {
    packets
        .iter()
        .flatten()
        .map(|chunk| chunk.tsn.wrapping_sub(FIRST))
        .collect()
}

// Fragments and bundles

#[test]
fn messages_are_cut_to_fill_packets() {
    // RFC 9260 §6.9: what a packet holds besides its header and that of a chunk.
    for (interleaving, whole) in [(false, PACKET - 12 - 16), (true, PACKET - 12 - 20)] {
        let whole = whole & !3;
        for (len, pieces) in [
            (1, 1),
            (whole, 1),
            (whole + 1, 2),
            (2 * whole, 2),
            (2 * whole + 1, 3),
            (100_000, 100_000_usize.div_ceil(whole)),
        ] {
            let mut side = Side::new(interleaving);
            let payload: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
            side.send(1, &payload);
            assert_eq!((side.out.buffered(1), side.out.held()), (len, len));
            let packets = side.packets();
            assert_eq!(packets.len(), pieces, "{len}");
            let sent: Vec<_> = packets.into_iter().map(|mut packet| packet.pop().unwrap()).collect();
            assert_eq!(
                sent.iter().flat_map(|chunk| chunk.payload.clone()).collect::<Vec<_>>(),
                payload
            );
            assert!(sent[..pieces - 1].iter().all(|chunk| chunk.payload.len() == whole));
            for (place, chunk) in sent.iter().enumerate() {
                // RFC 7053 §4: the last one asks for a SACK.
                let mut flags = String::new();
                for (letter, set) in [
                    ("I", place == pieces - 1),
                    ("B", place == 0),
                    ("E", place == pieces - 1),
                ] {
                    flags += if set { letter } else { "" };
                }
                assert_eq!(chunk.flags, flags, "{len} {place}");
                assert_eq!(chunk.tsn, FIRST.wrapping_add(place as u32));
                assert_eq!(chunk.fsn, interleaving.then_some(place as u32));
                assert_eq!((chunk.stream, chunk.number), (1, 0));
            }
            assert_eq!((side.out.buffered(1), side.out.held()), (0, len));
        }
    }
}

#[test]
fn short_messages_share_a_packet() {
    // RFC 9260 §6.10.
    let mut side = Side::new(false);
    for n in 0..100 {
        side.send(1, &[n; 100]);
    }
    let packets = side.packets();
    // Ten of 116 bytes do not fit into 1148.
    assert!(packets[..11].iter().all(|packet| packet.len() == 9), "{packets:?}");
    assert_eq!(packets[11].len(), 1);
    let sent: Vec<_> = packets
        .iter()
        .flatten()
        .map(|chunk| (chunk.number, u32::from(chunk.payload[0])))
        .collect();
    assert!(sent.iter().copied().eq((0..100).map(|n| (n, n))));
}

#[test]
fn what_fits_into_one_packet_is_not_cut() {
    for interleaving in [false, true] {
        let mut side = Side::new(interleaving);
        side.send(1, &[1; 600]);
        side.send(1, &[2; 600]);
        // Behind other chunks, too.
        assert_eq!(side.packet_behind(600), None);
        let packets = side.packets();
        assert!(
            packets.iter().flatten().all(|chunk| chunk.payload.len() == 600),
            "{packets:?}"
        );
        // Longer ones begin where there is room for a good part of them, and nowhere else.
        side.send(1, &[1; 800]);
        side.send(1, &[3; 3000]);
        let packets = side.packets();
        let lens: Vec<Vec<_>> = packets
            .iter()
            .map(|packet| packet.iter().map(|chunk| chunk.payload.len()).collect())
            .collect();
        let rest = PACKET - 12 - 2 * if interleaving { 20 } else { 16 } - 800;
        assert_eq!(lens[0], [800, rest]);
        side.send(1, &[1; 1000]);
        side.send(1, &[3; 3000]);
        assert_eq!(side.packets()[0].len(), 1);
    }
}

#[test]
fn ordered_and_unordered_messages_count_apart() {
    for interleaving in [false, true] {
        let mut side = Side::new(interleaving);
        for unordered in [false, true, true, false] {
            let message = Outgoing {
                unordered,
                ..Side::outgoing(1, b"x")
            };
            side.out.send(side.now, message, true).unwrap();
        }
        let packet = side.packet().unwrap();
        let seen: Vec<_> = packet
            .iter()
            .map(|chunk| (chunk.flags.trim_start_matches('I'), chunk.number))
            .collect();
        if interleaving {
            // RFC 8260 §2.1.
            assert_eq!(seen, [("BE", 0), ("UBE", 0), ("UBE", 1), ("BE", 1)]);
        } else {
            // RFC 9260 §6.6: the SSN of an unordered one means nothing.
            assert_eq!([seen[0], seen[3]], [("BE", 0), ("BE", 1)]);
        }
    }
}

#[test]
fn a_chunk_that_no_longer_fits_says_how_much_it_needs() {
    let mut side = Side::new(false);
    side.packet = 1400;
    side.send(1, &[7; 5000]);
    side.packets();
    side.packet = PACKET;
    side.out.lose_all(side.now, false);
    assert_eq!(side.out.needs(side.now), 1388);
    assert_eq!(side.packet(), None);
    side.packet = 1400;
    assert_eq!(side.packets().len(), 4);
    assert_eq!(side.out.needs(side.now), 0);
}

// Windows

#[test]
fn the_window_of_the_path_stops_what_is_new_and_what_is_lost() {
    // RFC 9260 §6.1 B.
    let mut side = Side::new(false);
    side.window = 3000;
    side.send(1, &[7; 10_000]);
    assert_eq!(side.packets().len(), 3);
    assert_eq!(side.out.flight(), 3 * 1148);
    assert!(side.out.has_data() && !side.out.may_send(side.allowance()));
    side.out.lose_all(side.now, false);
    assert_eq!(side.out.flight(), 0);
    side.window = 1000;
    assert_eq!(places(&side.packets()), [0]);
    assert_eq!((side.out.flight(), side.out.retransmissions), (1148, 1));
    // A probe goes in any case.
    let allowance = Allowance {
        is_probe: true,
        ..side.allowance()
    };
    assert!(side.out.may_send(allowance));
    let mut out = [0; PACKET];
    let mut w = PacketWriter::new(&mut out, PACKET, &HEADER).unwrap();
    let filled = side.out.fill(side.now, &mut w, allowance);
    assert!(filled.immediate, "a probe asks for a SACK");
    assert_eq!(data(w.finish(Checksum::Crc32c))[0].tsn, FIRST.wrapping_add(1));
}

#[test]
fn the_window_of_the_peer_stops_what_is_new() {
    // RFC 9260 §6.1 A.
    for a_rwnd in [0, 1, 1000, 1132, 3000, 3396] {
        let mut side = Side::new(false);
        side.out.established(10, a_rwnd, false, true);
        side.send(1, &[7; 10_000]);
        let sent: usize = side.packets().iter().flatten().map(|chunk| chunk.payload.len()).sum();
        // One may be under way in any case.
        let expected = match a_rwnd {
            3000 => 3000,
            3396 => 3396,
            _ => 1132,
        };
        assert_eq!(sent, expected, "{a_rwnd}");
        assert_eq!(side.out.is_window_closed(), a_rwnd == 0);
        // What is lost goes again without regard to it.
        side.out.lose_all(side.now, false);
        let sent: usize = side.packets().iter().flatten().map(|chunk| chunk.payload.len()).sum();
        assert_eq!(sent, expected);
    }
}

#[test]
fn no_crumbs_are_sent_into_a_small_window() {
    // Silly window syndrome (RFC 9260 §6.1 A).
    let mut side = Side::new(false);
    side.out.established(10, 1132 + 255, false, true);
    side.send(1, &[7; 10_000]);
    assert_eq!(side.packets().len(), 1);
    side.out.a_rwnd += 1;
    assert_eq!(side.packets()[0][0].payload.len(), 256);
}

/// RFC 7053 §4: where little may be under way, the last packet that goes asks for a SACK though more waits.
#[test]
fn a_small_window_that_is_full_asks_for_a_sack() {
    for (window, asks) in [(1, true), (2000, true), (3000, true), (8000, false)] {
        let mut side = Side::new(false);
        side.window = window;
        side.send(1, &[0; 20_000]);
        let chunks = side.packets().into_iter().flatten();
        let mut flags: Vec<_> = chunks.map(|chunk| chunk.flags).collect();
        assert_eq!(flags.pop().unwrap().contains('I'), asks, "{window}");
        assert!(flags.iter().all(|flags| !flags.contains('I')), "{window}");
    }
}

// Schedulers

fn scheduled(scheduler: Scheduler, interleaving: bool) -> Side {
    let config = Config {
        scheduler,
        ..Config::default()
    };
    Side::of(&config, interleaving)
}

#[test]
fn who_comes_first_is_served_first() {
    // RFC 8260 §3.1.
    for interleaving in [false, true] {
        let mut side = scheduled(Scheduler::FirstComeFirstServed, interleaving);
        for stream in [5, 3, 5, 9, 3] {
            side.send(stream, &[0; 3000]);
        }
        let mut order = streams(&side.packets());
        order.dedup();
        assert_eq!(order, [5, 3, 5, 9, 3]);
    }
}

#[test]
fn streams_take_turns() {
    for interleaving in [false, true] {
        let mut side = scheduled(Scheduler::RoundRobin, interleaving);
        for stream in [5, 3, 9] {
            for _ in 0..3 {
                side.send(stream, &[0; 2000]);
            }
        }
        let order = streams(&side.packets());
        if interleaving {
            // RFC 8260 §3.3: each packet's piece is a turn.
            assert!(order.windows(2).take(9).all(|pair| pair[0] != pair[1]), "{order:?}");
            let mut first = order[..3].to_vec();
            first.sort_unstable();
            assert_eq!(first, [3, 5, 9]);
        } else {
            // RFC 8260 §3.2: each message is one.
            let mut messages = order;
            messages.dedup();
            assert_eq!(messages.len(), 9, "{messages:?}");
        }
    }
}

/// RFC 8260 §3.6: shares of bytes by weight, as long as all have something to send.
#[test]
fn streams_share_by_their_weights() {
    for interleaving in [false, true] {
        let mut former = scheduled(Scheduler::WeightedFair, interleaving);
        let mut side = scheduled(Scheduler::WeightedFair, interleaving);
        let weights = [(1, 128), (2, 256), (3, 512), (4, 1024)];
        for (stream, weight) in weights {
            former.out.set_priority(stream, weight);
        }
        // They outlive all that is sent.
        side.out.adopt_priorities(&former.out);
        for (stream, _) in weights {
            for n in 0..400 {
                // Of different lengths, so that messages alone would not do.
                side.send(stream, &std::vec![0; if stream == 4 { 700 } else { 1000 + n }]);
            }
        }
        let mut bytes = [0_usize; 5];
        for _ in 0..300 {
            for chunk in side.packet().unwrap() {
                bytes[usize::from(chunk.stream)] += chunk.payload.len();
            }
        }
        let total: usize = bytes.iter().sum();
        for (stream, weight) in weights {
            let share = bytes[usize::from(stream)] as f64 / total as f64;
            let wanted = f64::from(weight) / 1920.0;
            assert!(
                (share - wanted).abs() < 0.02,
                "{interleaving} {stream}: {share} {wanted}"
            );
        }
    }
}

/// A stream that was silent gets its share from now on, not what it did not use.
#[test]
fn silence_is_not_saved() {
    let mut side = scheduled(Scheduler::WeightedFair, true);
    side.send(1, &[0; 1_000_000]);
    for _ in 0..200 {
        side.packet().unwrap();
    }
    side.send(2, &[0; 100_000]);
    let order: Vec<_> = (0..20).map(|_| side.packet().unwrap()[0].stream).collect();
    let second = order.iter().filter(|stream| **stream == 2).count();
    assert!((9..=11).contains(&second), "{order:?}");
}

/// RFC 8260 §1: with I-DATA a short message does not wait for a long one; with DATA it does.
#[test]
fn a_short_message_overtakes_a_long_one_only_by_interleaving() {
    for interleaving in [false, true] {
        let mut side = scheduled(Scheduler::WeightedFair, interleaving);
        side.send(1, &[0; 100_000]);
        side.packet().unwrap();
        side.send(2, b"x");
        let order = streams(&side.packets());
        let place = order.iter().position(|stream| *stream == 2).unwrap();
        assert_eq!(place <= 1, interleaving, "{order:?}");
        assert!(interleaving || place == order.len() - 1);
    }
}

// Parts

#[test]
fn a_message_in_parts_is_one_message() {
    for interleaving in [false, true] {
        let mut side = Side::new(interleaving);
        let whole: Vec<u8> = (0..20_000).map(|n| (n % 253) as u8).collect();
        let (mut sent, mut rest) = (Vec::new(), &whole[..]);
        let mut first = true;
        for len in [1, 255, 2, 3000, 700, 1, 1, 5000, 8000] {
            let (part, behind) = rest.split_at(len);
            rest = behind;
            if first {
                side.out.send(side.now, Side::outgoing(1, part), false).unwrap();
            } else {
                side.out
                    .append(side.now, 1, Bytes::copy_from_slice(part), false)
                    .unwrap();
            }
            first = false;
            assert_eq!(
                side.out.send(side.now, Side::outgoing(1, b"y"), true),
                Err(Refused::Busy)
            );
            sent.extend(side.packets().into_iter().flatten());
        }
        // One byte waits for the end at least, since no chunk is empty.
        assert!(side.out.buffered(1) > 0);
        side.out
            .append(side.now, 1, Bytes::copy_from_slice(rest), true)
            .unwrap();
        assert_eq!(side.out.append(side.now, 1, Bytes::new(), true), Err(Refused::Busy));
        sent.extend(side.packets().into_iter().flatten());
        assert_eq!(
            sent.iter().flat_map(|chunk| chunk.payload.clone()).collect::<Vec<_>>(),
            whole
        );
        let flags: String = sent.iter().map(|chunk| chunk.flags.replace('I', "")).collect();
        assert_eq!(flags, "BE");
        assert!(sent.iter().all(|chunk| chunk.number == 0 && !chunk.payload.is_empty()));
        side.send(1, b"next");
        assert_eq!(side.packet().unwrap()[0].number, 1);
    }
}

#[test]
fn an_unfinished_message_is_cut() {
    for interleaving in [false, true] {
        let mut side = Side::new(interleaving);
        // What comes before it is sent.
        side.send(1, b"before");
        side.out.send(side.now, Side::outgoing(1, &[7; 3000]), false).unwrap();
        side.out.send(side.now, Side::outgoing(2, &[7; 3000]), false).unwrap();
        side.out.cut(1).unwrap();
        assert_eq!(side.out.buffered(1), b"before".len());
        assert_eq!(side.out.append(side.now, 1, Bytes::new(), true), Err(Refused::Busy));
        // One of which a part was sent spends a TSN for its end; that says so when all before it has come.
        side.packets();
        let (last, given_up) = (side.out.last_tsn(), side.out.given_up_messages);
        side.out.cut(2).unwrap();
        side.out.cut(2).unwrap();
        assert_eq!(side.out.last_tsn(), last.wrapping_add(1));
        assert_eq!(side.out.given_up_messages, given_up + 1);
        assert!(!side.out.is_forwarding() && side.out.first_unfinished().is_none());
        assert_eq!(side.out.buffered(2), 0);
        assert!(!side.out.is_drained(2));
        let count = last.wrapping_sub(FIRST).wrapping_add(1);
        side.sack(count, &[]);
        assert!(side.out.is_forwarding());
        side.sack(count + 1, &[]);
        assert!(side.out.is_drained(2) && side.out.is_done());
        assert_eq!(side.out.held(), 0);
    }
}

#[test]
fn who_knows_no_forward_tsn_would_wait_for_the_end() {
    let mut side = Side::new(true);
    side.out.established(65535, 1 << 20, true, false);
    side.out.send(side.now, Side::outgoing(1, &[7; 200]), false).unwrap();
    assert_eq!(side.out.cut(1), Ok(()), "nothing was sent of it");
    side.out.send(side.now, Side::outgoing(1, &[7; 3000]), false).unwrap();
    side.packets();
    assert!(side.out.cut(1).is_err());
}

#[test]
fn an_end_without_bytes_ends_a_message() {
    let mut side = Side::new(true);
    side.out.send(side.now, Side::outgoing(1, b"abc"), false).unwrap();
    assert!(side.packets().is_empty());
    assert!(!side.out.is_done());
    side.out.append(side.now, 1, Bytes::new(), false).unwrap();
    side.out.append(side.now, 1, Bytes::new(), true).unwrap();
    let packets = side.packets();
    assert_eq!(
        (&packets[0][0].payload[..], &*packets[0][0].flags),
        (&b"abc"[..], "IBE")
    );
}

#[test]
fn what_expires_is_told_of_without_what_opens_channels() {
    let config = Config {
        send_buffer: 1000,
        ..Config::default()
    };
    let mut side = Side::of(&config, true);
    for stream in [1, 2] {
        let open = Outgoing {
            ppid: Ppid::DCEP,
            ..Side::outgoing(stream, &[3; 100])
        };
        side.out.send(side.now, open, true).unwrap();
    }
    let late = Outgoing {
        limit: Limit::Until(side.now),
        ..Side::outgoing(1, &[7; 500])
    };
    side.out.send(side.now, late, true).unwrap();
    side.send(2, &[7; 100]);
    side.now += Duration::from_millis(1);
    // What finds no room looks for it.
    side.send(3, &[7; 10]);
    let drained = core::iter::from_fn(|| side.out.take_drained()).collect::<Vec<_>>();
    let expected = Drained {
        stream: 1,
        before: 500,
        after: 0,
    };
    assert_eq!(drained, [expected]);
}

// Streams

#[test]
fn a_stream_that_is_stopped_takes_nothing() {
    let mut side = Side::new(true);
    assert_eq!(
        side.out.send(side.now, Side::outgoing(1000, b"x"), true),
        Err(Refused::NoSuchStream)
    );
    side.send(1, b"x");
    side.out.stop(1);
    assert!(!side.out.is_drained(1));
    assert_eq!(
        side.out.send(side.now, Side::outgoing(1, b"x"), true),
        Err(Refused::Busy)
    );
    side.packets();
    // What is lost may still be given up, and told by its number.
    assert!(!side.out.is_drained(1));
    side.sack(1, &[]);
    assert!(side.out.is_drained(1));
    side.out.resumed(1);
    side.send(1, b"x");
    assert_eq!(side.packet().unwrap()[0].number, 1);
    side.out.stop(1);
    side.out.is_reset(1);
    side.send(1, b"x");
    assert_eq!(side.packet().unwrap()[0].number, 0);
}

// SACK

#[test]
fn nothing_that_was_not_sent_is_acknowledged() {
    let mut side = Side::new(false);
    side.send(1, &[0; 3000]);
    side.packets();
    let unsent = Err("a SACK acknowledges nothing that was not sent");
    for (cumulative, blocks) in [
        (4, &[][..]),
        (1 << 30, &[]),
        (0, &[(3, 3)]),
        (1, &[(2, 3)]),
        (0, &[(2, 2), (40_000, 40_001)]),
    ] {
        assert_eq!(
            side.try_sack(cumulative, blocks, None),
            unsent,
            "{cumulative} {blocks:?}"
        );
        // And nothing has changed.
        assert_eq!((side.out.flight(), side.out.held()), (2 * 1148 + 752, 3000));
    }
    assert!(side.sack(3, &[]).moved);
    assert!(side.out.is_done());
    assert!(side.sack(2, &[]).is_stale);
    assert!(side.sack(0, &[]).is_stale);
}

#[test]
fn a_round_trip_is_that_of_the_newest_that_was_sent_once() {
    // RFC 9260 §6.3.1 C4, C5.
    let mut side = Side::new(false);
    side.send(1, &[0; 5000]);
    let first = side.packet().unwrap();
    side.wait(10);
    side.packets();
    side.wait(30);
    assert_eq!(side.sack(0, &[(1, 1)]).rtt, Some(Duration::from_millis(30)));
    // The first was sent before what has come already.
    assert_eq!(side.sack(2, &[]).rtt, None);
    side.out.lose_all(side.now, false);
    side.packets();
    side.wait(50);
    assert_eq!(side.sack(5, &[]).rtt, None, "it was sent twice");
    assert_eq!(first[0].tsn, FIRST);
}

#[test]
fn what_is_overtaken_is_lost() {
    let ms = Duration::from_millis;
    let mut side = Side::new(false);
    side.send(1, &[0; 1132 * 10]);
    for _ in 0..10 {
        side.packet().unwrap();
        side.wait(1);
    }
    side.wait(90);
    // The second has come 99 ms after it was sent: the first would have at 99 ms.
    let tolerance = Tolerance {
        window: ms(25),
        packets: 3,
    };
    side.sack(0, &[(1, 1)]);
    let lost = side.out.detect(side.now, tolerance);
    assert_eq!((lost.newest, lost.next), (None, Some(side.now + ms(24))));
    side.sack(0, &[(1, 2)]);
    assert_eq!(side.out.detect(side.now, tolerance).newest, None);
    // By three packets it is lost at once (RFC 9260 §7.2.4).
    side.sack(0, &[(1, 3)]);
    let lost = side.out.detect(side.now, tolerance);
    assert_eq!((lost.newest, lost.next, lost.largest_again), (Some(0), None, 0));
    assert_eq!(places(&side.packets()), [0]);
    // And again, now by the time alone; it was large both times.
    side.wait(10);
    side.send(1, &[0; 1132]);
    side.packets();
    side.wait(100);
    side.sack(0, &[(1, 10)]);
    let lost = side.out.detect(side.now, tolerance);
    assert_eq!((lost.newest, lost.next), (None, Some(side.now + ms(15))));
    assert_eq!(side.out.detect(side.now + ms(14), tolerance).newest, None);
    let lost = side.out.detect(side.now + ms(15), tolerance);
    assert_eq!((lost.newest, lost.largest_again), (Some(10), 1148));
    assert!(!side.out.saw_reordering());
}

#[test]
fn what_comes_behind_later_ones_was_overtaken() {
    let mut side = Side::new(false);
    side.send(1, &[0; 1132 * 4]);
    side.packets();
    side.sack(1, &[]);
    side.sack(1, &[(2, 3)]);
    assert!(!side.out.saw_reordering());
    side.sack(4, &[]);
    assert!(side.out.saw_reordering());
    // Not so where it was sent again.
    let mut side = Side::new(false);
    side.send(1, &[0; 1132 * 4]);
    side.packets();
    side.sack(0, &[(1, 3)]);
    side.lost();
    side.packets();
    side.sack(4, &[]);
    assert!(!side.out.saw_reordering());
}

/// RFC 8985 §6.2, step 2.
#[test]
fn an_answer_too_early_is_to_the_first_transmission() {
    let mut side = Side::new(false);
    side.send(1, &[0; 1132 * 4]);
    side.packet().unwrap();
    side.wait(50);
    side.packets();
    side.out.lose_all(side.now, false);
    side.window = 1;
    side.packet().unwrap();
    side.wait(49);
    let before = side.out.newest_acked();
    side.try_sack(1, &[], Some(Duration::from_millis(50))).unwrap();
    assert_eq!(side.out.newest_acked(), before);
    side.packet().unwrap();
    side.wait(50);
    side.try_sack(2, &[], Some(Duration::from_millis(50))).unwrap();
    assert_eq!(side.out.newest_acked(), Some(5));
}

/// Peers that tell of so many gaps have told of all only if there are fewer.
#[test]
fn what_the_peer_may_keep_back_is_not_lost() {
    let mut side = Side::new(false);
    side.send(1, &[0; 1132 * 100]);
    side.packets();
    let blocks: Vec<_> = (0..20).map(|n| (1 + 2 * n, 1 + 2 * n)).collect();
    side.sack(0, &blocks[..19]);
    // The last block is the TSN 37; all before it are lost but for those that came.
    side.lost();
    let lost = places(&side.packets());
    assert!(lost.iter().copied().eq((0..19).map(|n| 2 * n)), "{lost:?}");
    // With one more it may stand for what is kept back: the newest one is that which was sent again, and those beyond the last block
    // may have come.
    side.sack(1, &blocks);
    side.lost();
    assert_eq!(places(&side.packets()), [38]);
}

#[test]
fn after_a_time_out_all_is_sent_again_in_order() {
    let mut side = Side::new(false);
    side.send(1, &[0; 1132 * 6]);
    side.packets();
    side.sack(1, &[(2, 3)]);
    let lost = side.out.lose_all(side.now, false);
    assert_eq!((lost.largest_again, side.out.flight()), (1148, 0));
    assert_eq!(places(&side.packets()), [1, 4, 5]);
    // RFC 9260 §6.2.1 D iii: what was beyond the gap may have been thrown away.
    side.out.lose_all(side.now, true);
    assert_eq!(places(&side.packets()), [1, 2, 3, 4, 5]);
    assert_eq!(side.out.flight(), 5 * 1148);
    let acked = side.sack(1, &[(2, 3)]);
    assert_eq!(acked.bytes, 2 * 1148);
}

#[test]
fn what_is_found_again_is_under_way() {
    let mut side = Side::new(false);
    side.send(1, &[0; 1132 * 6]);
    side.packets();
    side.out.lose_all(side.now, false);
    side.window = 1;
    assert_eq!(places(&side.packets()), [0]);
    let acked = side.sack(2, &[]);
    assert!(acked.late);
    side.out.find_again();
    assert_eq!(side.out.flight(), 4 * 1148);
    assert!(!side.out.has_data());
    // It is noticed when one of them is lost in earnest.
    side.sack(2, &[(3, 5)]);
    side.lost();
    assert_eq!(places(&side.packets()), [2]);
}

#[test]
fn a_probe_is_the_last_one_that_is_under_way() {
    let mut side = Side::new(false);
    side.send(1, &[0; 1132 * 4]);
    side.packets();
    side.sack(1, &[(3, 3)]);
    assert_eq!(side.out.repeat_last(), Some((1 << 32) + u64::from(FIRST) + 2));
    assert_eq!(side.out.flight(), 1148);
    assert_eq!(places(&side.packets()), [2]);
    side.sack(4, &[]);
    assert_eq!(side.out.repeat_last(), None);
}

// FORWARD TSN

/// RFC 3758 §3.5 C1 to C4, RFC 8260 §2.3.1.
#[test]
fn a_forward_tsn_lists_what_is_skipped() {
    for interleaving in [false, true] {
        let mut side = scheduled(Scheduler::FirstComeFirstServed, interleaving);
        side.send_once(7, b"a", false);
        side.send_once(3, b"b", false);
        side.send_once(7, b"c", false);
        side.send_once(5, b"d", true);
        side.send(9, b"e");
        side.send_once(4, b"f", false);
        side.send(9, b"g");
        side.packets();
        side.sack(0, &[(6, 6)]);
        side.lost();
        let tsn = |place: u32| FIRST.wrapping_add(place);
        // The reliable one is sent again; what is skipped behind it must wait.
        let expected = if interleaving {
            format!("I-FORWARD-TSN cumulative={} [3:mid=0 5:U:mid=0 7:mid=1]", tsn(3))
        } else {
            // RFC 3758 §3.2: ordered ones only.
            format!("FORWARD TSN cumulative={} [3:ssn=0 7:ssn=1]", tsn(3))
        };
        let others = side.others();
        assert_eq!(others.len(), 1, "{others:?}");
        let numbers = |text: &str| {
            text.split(|c: char| !c.is_ascii_digit())
                .filter(|word| !word.is_empty())
                .map(String::from)
                .collect::<Vec<_>>()
        };
        assert_eq!(numbers(&others[0]), numbers(&expected), "{others:?}",);
        assert_eq!(side.out.given_up_messages, 5);
        // Unless it is asked for, or something changes, it is said once.
        assert!(side.others().is_empty());
        side.out.repeat_forward();
        assert_eq!(side.others(), others);
        side.sack(4, &[(6, 6)]);
        assert!(side.others().is_empty());
        side.sack(5, &[(6, 6)]);
        let others = side.others();
        assert_eq!(
            numbers(&others[0])[..3],
            [tsn(5).to_string(), "4".into(), "0".into()],
            "{others:?}"
        );
        side.sack(7, &[]);
        assert!(side.out.is_done());
        side.out.repeat_forward();
        assert!(side.others().is_empty());
    }
}

/// What has come does not stop it. A message that may wait for what is skipped is handed over before more is.
#[test]
fn a_forward_tsn_passes_messages_that_have_come() {
    let tsn = |place: u32| FIRST.wrapping_add(place);
    for (interleaving, unordered) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut side = Side::new(interleaving);
        for n in 0..9 {
            side.send_once(1, &[n; 1100], unordered);
        }
        side.packets();
        // 0, 2, 3 and 5 are lost, 7 is still under way.
        side.sack(0, &[(1, 1), (4, 4), (6, 6)]);
        side.lost();
        assert_eq!(side.out.advanced - u64::from(FIRST) - (1 << 32), 5);
        let expected: Vec<(u32, Vec<u32>)> = match (interleaving, unordered) {
            (_, false) => vec![(0, vec![0]), (3, vec![3]), (5, vec![5])],
            (true, true) => vec![(5, vec![5])],
            (false, true) => vec![(5, vec![])],
        };
        let (bytes, _) = side.packet_behind(0).unwrap();
        let packet = Packet::parse(&bytes).unwrap();
        let seen: Vec<_> = packet
            .chunks()
            .map(|raw| match Chunk::of(raw.unwrap()).unwrap() {
                Chunk::ForwardTsn(forward) => {
                    let streams = forward.streams.iter().map(|skipped| u32::from(skipped.ssn));
                    (forward.new_cumulative_tsn, streams.collect())
                }
                Chunk::IForwardTsn(forward) => {
                    assert!(forward.streams.iter().all(|skipped| skipped.unordered == unordered));
                    (
                        forward.new_cumulative_tsn,
                        forward.streams.iter().map(|skipped| skipped.mid).collect(),
                    )
                }
                chunk => panic!("{chunk}"),
            })
            .collect();
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(place, numbers)| (tsn(place), numbers))
            .collect();
        assert_eq!(seen, expected);
        side.sack(7, &[]);
        assert!(side.others().is_empty());
        side.sack(9, &[]);
        assert!(side.out.is_done());
    }
}

/// The rest of those that do not fit comes when the first ones have been acknowledged.
#[test]
fn forward_tsns_that_do_not_fit_follow() {
    for interleaving in [false, true] {
        let mut side = Side::new(interleaving);
        for n in 0..1000_u16 {
            side.send_once(1, &n.to_be_bytes(), false);
        }
        side.packets();
        let blocks: Vec<_> = (0..500).map(|n| (2 * n + 1, 2 * n + 1)).collect();
        side.sack(0, &blocks);
        side.lost();
        let (mut place, mut rounds) = (0, 0);
        while !side.out.is_done() {
            let others = side.others();
            assert!(!others.is_empty() && others.len() < 100, "{}", others.len());
            place += 2 * others.len() as u32;
            rounds += 1;
            let rest: Vec<_> = blocks.iter().copied().filter(|(first, _)| *first > place).collect();
            side.sack(place, &rest);
        }
        assert!(rounds < 10, "{rounds}");
    }
}

/// A message of which all that was sent has come, and whose rest was given up: only a TSN of its own tells that.
#[test]
fn the_end_that_never_comes_has_a_tsn() {
    for interleaving in [false, true] {
        let mut side = Side::new(interleaving);
        let message = Outgoing {
            limit: Limit::Until(side.now + Duration::from_millis(10)),
            ..Side::outgoing(1, &[0; 5000])
        };
        side.out.send(side.now, message, true).unwrap();
        side.send(1, b"next");
        side.packet().unwrap();
        side.packet().unwrap();
        side.sack(2, &[]);
        side.wait(10);
        let last = side.out.last_tsn();
        let packets: Vec<_> = std::iter::from_fn(|| side.packet_behind(0)).collect();
        assert_eq!(side.out.last_tsn(), last.wrapping_add(2));
        let sent: Vec<_> = packets.iter().flat_map(|(bytes, _)| data(bytes)).collect();
        assert_eq!((sent.len(), &sent[0].payload[..], sent[0].number), (1, &b"next"[..], 1));
        assert!(packets.iter().any(|(_, filled)| filled.forwards));
        assert_eq!((side.out.given_up_messages, side.out.buffered(1)), (1, 0));
        side.sack(4, &[]);
        assert!(side.out.is_done());
    }
}

/// However many there are, they are not all looked at for each packet.
#[test]
fn a_forward_tsn_has_an_end() {
    let mut side = Side::new(true);
    for _ in 0..10_000 {
        side.send_once(1, &[0; 500], true);
    }
    side.packets();
    side.out.lose_all(side.now, false);
    let base = u64::from(FIRST) + (1 << 32);
    assert_eq!(side.out.advanced, base + 4095);
    assert_eq!(side.others().len(), 1);
    assert_eq!(side.sack(4096, &[]).bytes, 0);
    assert_eq!((side.out.advanced, side.others().len()), (base + 8191, 1));
    side.sack(8192, &[]);
    side.sack(10_000, &[]);
    assert!(side.out.is_done());
}

// A naive model

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Naive {
    InFlight,
    Lost,
    Acked,
}

#[derive(Debug)]
struct NaiveChunk {
    len: usize,
    state: Naive,
    transmission: u64,
    sends: u32,
    sent_at: Instant,
}

/// Everything by the letter of RFC 9260 §6.2.1 and RFC 8985 §6.2, without any economy.
#[derive(Debug, Default)]
struct Model {
    chunks: Vec<NaiveChunk>,
    cumulative: usize,
    transmissions: u64,
    newest: Option<u64>,
}

impl Model {
    fn flight(&self) -> u64 {
        let flying = self.chunks.iter().filter(|chunk| chunk.state == Naive::InFlight);
        flying.map(|chunk| (chunk.len + 20).next_multiple_of(4) as u64).sum()
    }

    fn held(&self) -> usize {
        self.chunks[self.cumulative..].iter().map(|chunk| chunk.len).sum()
    }

    fn sent(&mut self, place: usize, len: usize, now: Instant) {
        let transmission = self.transmissions;
        self.transmissions += 1;
        if place == self.chunks.len() {
            self.chunks.push(NaiveChunk {
                len,
                state: Naive::InFlight,
                transmission,
                sends: 1,
                sent_at: now,
            });
            return;
        }
        let first = self.chunks.iter().position(|chunk| chunk.state == Naive::Lost);
        assert!(first.is_some(), "what is not lost is not sent again");
        let chunk = &mut self.chunks[place];
        assert_eq!(chunk.state, Naive::Lost);
        *chunk = NaiveChunk {
            state: Naive::InFlight,
            transmission,
            sends: chunk.sends + 1,
            sent_at: now,
            ..*chunk
        };
    }

    /// What [`Acked`] has to say: whether it moved, bytes, late, and the round trip.
    fn sack(
        &mut self,
        now: Instant,
        cumulative: usize,
        blocks: &[(u32, u32)],
    ) -> Option<(bool, u64, bool, Option<Duration>)> {
        if cumulative < self.cumulative {
            return None;
        }
        let moved = cumulative > self.cumulative;
        self.cumulative = cumulative;
        let (mut bytes, mut late) = (0, false);
        let mut newest: Option<(u64, u32, Instant)> = None;
        for (place, chunk) in self.chunks.iter_mut().enumerate() {
            let is_in = |&(first, last): &(u32, u32)| (first as usize..=last as usize).contains(&place);
            if chunk.state == Naive::Acked || (place >= cumulative && !blocks.iter().any(is_in)) {
                continue;
            }
            late |= chunk.state == Naive::Lost;
            if chunk.state == Naive::InFlight && newest.is_none_or(|(number, ..)| chunk.transmission > number) {
                newest = Some((chunk.transmission, chunk.sends, chunk.sent_at));
            }
            chunk.state = Naive::Acked;
            bytes += (chunk.len + 20).next_multiple_of(4) as u64;
        }
        let newest = newest.filter(|(number, ..)| self.newest.is_none_or(|before| *number > before));
        self.newest = newest.map(|(number, ..)| number).or(self.newest);
        let rtt = newest.filter(|(_, sends, _)| *sends == 1).map(|(.., at)| now - at);
        Some((moved, bytes, late, rtt))
    }

    fn detect(&mut self) {
        for chunk in &mut self.chunks {
            if chunk.state == Naive::InFlight && self.newest.is_some_and(|newest| chunk.transmission < newest) {
                chunk.state = Naive::Lost;
            }
        }
    }

    fn time_out(&mut self, forget: bool) {
        for chunk in &mut self.chunks[self.cumulative..] {
            if chunk.state == Naive::InFlight || forget {
                chunk.state = Naive::Lost;
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Send(u16, usize),
    Packets(usize),
    /// Some of what is under way comes, by a number for each.
    Arrive(Vec<u8>),
    /// A SACK of what has come.
    Sack,
    /// One of the SACKs of before.
    OldSack(usize),
    TimeOut(bool),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..4_u16, 1..4000_usize).prop_map(|(stream, len)| Step::Send(stream, len)),
        4 => (1..6_usize).prop_map(Step::Packets),
        4 => proptest::collection::vec(any::<u8>(), 1..12).prop_map(Step::Arrive),
        4 => Just(Step::Sack),
        1 => (0..8_usize).prop_map(Step::OldSack),
        1 => any::<bool>().prop_map(Step::TimeOut),
        2 => (0..50_u64).prop_map(Step::Wait),
    ]
}

/// A SACK of these places: how many come in sequence, and blocks.
fn sack_of(received: &BTreeSet<u32>) -> (u32, Vec<(u32, u32)>) {
    let cumulative = (0..).find(|place| !received.contains(place)).unwrap();
    let mut blocks: Vec<(u32, u32)> = Vec::new();
    for &place in received.range(cumulative..) {
        match blocks.last_mut() {
            Some((_, last)) if *last + 1 == place => *last = place,
            _ => blocks.push((place, place)),
        }
    }
    blocks.truncate(19);
    (cumulative, blocks)
}

proptest! {
    #[test]
    fn acknowledgements_are_those_of_a_naive_sender(steps in proptest::collection::vec(step(), 1..150)) {
        let mut side = Side::new(true);
        let mut model = Model::default();
        let mut received = BTreeSet::new();
        let mut old = Vec::new();
        for step in steps {
            match step {
                Step::Send(stream, len) => side.send(stream, &std::vec![0; len]),
                Step::Packets(count) => {
                    for _ in 0..count {
                        let Some(packet) = side.packet() else { break };
                        for chunk in packet {
                            let place = chunk.tsn.wrapping_sub(FIRST) as usize;
                            model.sent(place, chunk.payload.len(), side.now);
                        }
                    }
                }
                Step::Arrive(picks) => {
                    let missing: Vec<_> = (0..model.chunks.len() as u32).filter(|place| !received.contains(place)).take(40).collect();
                    for pick in picks {
                        if !missing.is_empty() {
                            received.insert(missing[usize::from(pick) % missing.len()]);
                        }
                    }
                }
                Step::Sack | Step::OldSack(_) => {
                    if let Step::Sack = step {
                        old.push(sack_of(&received));
                    }
                    let back = if let Step::OldSack(back) = step { back } else { 0 };
                    let Some((cumulative, blocks)) = old.len().checked_sub(1 + back).map(|index| &old[index]) else { continue };
                    let acked = side.sack(*cumulative, blocks);
                    let expected = model.sack(side.now, *cumulative as usize, blocks);
                    let seen = (!acked.is_stale).then_some((acked.moved, acked.bytes, acked.late, acked.rtt));
                    prop_assert_eq!(seen, expected);
                    if expected.is_some() {
                        side.lost();
                        model.detect();
                    }
                }
                Step::TimeOut(forget) => {
                    side.out.lose_all(side.now, forget);
                    model.time_out(forget);
                }
                Step::Wait(ms) => side.wait(ms),
            }
            prop_assert_eq!(side.out.flight(), model.flight());
            prop_assert_eq!(side.out.held(), side.out.queue.total() + model.held());
            prop_assert_eq!(side.out.outstanding.has_lost(), model.chunks.iter().any(|chunk| chunk.state == Naive::Lost));
            prop_assert_eq!(side.out.newest_acked(), model.newest);
        }
    }

    /// Whatever is sent, lost and given up: in the end all is dealt with, and nothing is left behind.
    #[test]
    fn everything_ends(
        messages in proptest::collection::vec((0..5_u16, 1..5000_usize, any::<bool>(), 0..4_u8), 1..30),
        fates in proptest::collection::vec(0..4_u8, 1..50),
        interleaving: bool,
    ) {
        let mut side = Side::new(interleaving);
        side.window = 8000;
        for (stream, len, unordered, limit) in messages {
            let limit = match limit {
                0 => Limit::None,
                1 => Limit::Retransmissions(0),
                2 => Limit::Retransmissions(1),
                _ => Limit::Until(side.now + Duration::from_millis(40)),
            };
            let message = Outgoing { stream, ppid: Ppid::BINARY, unordered, limit, payload: std::vec![0; len].into() };
            side.out.send(side.now, message, true).unwrap();
        }
        let mut received = BTreeSet::new();
        let mut fates = fates.into_iter().cycle();
        let mut turns = 0;
        while !side.out.is_done() {
            turns += 1;
            prop_assert!(turns < 5000, "it never ends: {:?}", side.out);
            while let Some((bytes, _)) = side.packet_behind(0) {
                // One in four is lost.
                if turns < 1000 && fates.next() == Some(0) {
                    continue;
                }
                received.extend(data(&bytes).iter().map(|chunk| chunk.tsn.wrapping_sub(FIRST)));
                let packet = Packet::parse(&bytes).unwrap();
                for raw in packet.chunks() {
                    let new = match Chunk::of(raw.unwrap()).unwrap() {
                        Chunk::ForwardTsn(forward) => forward.new_cumulative_tsn,
                        Chunk::IForwardTsn(forward) => forward.new_cumulative_tsn,
                        _ => continue,
                    };
                    received.extend(0..=new.wrapping_sub(FIRST));
                }
            }
            side.wait(10);
            let (cumulative, blocks) = sack_of(&received);
            side.sack(cumulative, &blocks);
            side.lost();
            if turns % 3 == 0 {
                side.out.lose_all(side.now, turns % 2 == 0);
            }
        }
        prop_assert_eq!(side.out.flight(), 0);
        prop_assert_eq!(side.out.held(), 0);
        prop_assert_eq!(side.out.charged(), 0);
        prop_assert_eq!(side.out.repeat_last(), None);
        prop_assert!(!side.out.is_forwarding());
    }
}
