//! Random messages over a bad network, against what a peer may expect of it.

use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;
use std::vec::Vec;

use super::{Given, Log, flags};
use crate::Checksum;
use crate::chunk::{Chunk, DataHeader, ForwardTsn, IDataHeader, IForwardTsn, Sack, SkippedMessage, SkippedStream};
use crate::config::Config;
use crate::engine::inbound::{Acks, Arrival, Reassembly, Taken};
use crate::list::List;
use crate::packet::{CommonHeader, Packet};
use crate::registry::Ppid;
use crate::writer::PacketWriter;
use wire::Serial;

const STREAMS: u16 = 4;

#[derive(Debug, Clone)]
struct Message {
    stream: u16,
    unordered: bool,
    /// The lengths of its pieces.
    pieces: Vec<usize>,
    /// The sender gives it up.
    abandoned: bool,
}

fn messages() -> impl Strategy<Value = Vec<Message>> {
    let pieces = prop_oneof![
        proptest::collection::vec(1_usize..30, 1),
        proptest::collection::vec(1_usize..30, 1..9),
    ];
    let message = (0..STREAMS, any::<bool>(), pieces, proptest::bool::weighted(0.3));
    let message = message.prop_map(|(stream, unordered, pieces, abandoned)| Message {
        stream,
        unordered,
        pieces,
        abandoned,
    });
    proptest::collection::vec(message, 1..40)
}

/// xorshift64*, for what does not need to shrink.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit
    }
}

#[derive(Clone)]
struct Piece {
    message: usize,
    fsn: u32,
    number: u32,
    tsn: u32,
    first: bool,
    last: bool,
    payload: Vec<u8>,
}

/// A sender, the network and a receiver.
struct Run {
    interleaving: bool,
    acks: Acks,
    reassembly: Reassembly,
    log: Log,
    /// The model of the acknowledgements: what has come or was skipped.
    received: BTreeSet<u32>,
    next_tsn: u32,
    numbers: BTreeMap<(u16, bool), u32>,
    now: Instant,
}

impl Run {
    fn new(interleaving: bool, parts: Option<usize>, initial_tsn: u32) -> Self {
        let config = Config {
            receive_parts: parts,
            ..Config::default()
        };
        Self {
            interleaving,
            acks: Acks::new(&config, initial_tsn),
            reassembly: Reassembly::new(&config, STREAMS, interleaving),
            log: Log::default(),
            received: BTreeSet::new(),
            next_tsn: initial_tsn,
            numbers: BTreeMap::new(),
            now: Instant::now(),
        }
    }

    /// Moves all numbers to shortly before they wrap.
    fn warp(&mut self) {
        let cumulative = self.acks.cumulative();
        for step in 1..=3_u32 {
            for stream in 0..STREAMS {
                if self.interleaving {
                    for unordered in [false, true] {
                        let mid = [0x7fff_fff0, 0xffff_ff00, 0xffff_fffc][step as usize - 1];
                        let skipped = [SkippedMessage { stream, unordered, mid }];
                        let forward = IForwardTsn {
                            new_cumulative_tsn: cumulative,
                            streams: List::new(&skipped),
                        };
                        self.reassembly.i_skip(&forward, &mut self.log).unwrap();
                        self.numbers.insert((stream, unordered), mid.wrapping_add(1));
                    }
                } else {
                    let ssn = [0x7ff0, 0xff00, 0xfffc][step as usize - 1];
                    let skipped = [SkippedStream { stream, ssn }];
                    let forward = ForwardTsn {
                        new_cumulative_tsn: cumulative,
                        streams: List::new(&skipped),
                    };
                    self.reassembly.skip(&forward, &mut self.log).unwrap();
                    self.numbers.insert((stream, false), u32::from(ssn) + 1);
                }
            }
        }
    }

    /// Cuts messages and numbers the pieces. With I-DATA those of different streams are mixed.
    fn cut(&mut self, messages: &[Message], random: &mut Random) -> Vec<Piece> {
        let mut queues: Vec<Vec<Piece>> = std::vec![Vec::new(); usize::from(STREAMS)];
        for (index, message) in messages.iter().enumerate() {
            let queue = if self.interleaving {
                usize::from(message.stream)
            } else {
                0
            };
            let number = self.numbers.entry((message.stream, message.unordered)).or_default();
            for (fsn, len) in message.pieces.iter().enumerate() {
                queues[queue].push(Piece {
                    message: index,
                    fsn: fsn as u32,
                    number: *number,
                    tsn: 0,
                    first: fsn == 0,
                    last: fsn + 1 == message.pieces.len(),
                    payload: (0..*len).map(|at| (index * 7 + fsn * 3 + at) as u8).collect(),
                });
            }
            *number = number.wrapping_add(1);
        }
        let mut pieces = Vec::new();
        queues.retain(|queue| !queue.is_empty());
        let mut queues: Vec<_> = queues.into_iter().map(|queue| queue.into_iter().peekable()).collect();
        while !queues.is_empty() {
            let at = random.below(queues.len() as u64) as usize;
            if let Some(mut piece) = queues[at].next() {
                piece.tsn = self.next_tsn;
                self.next_tsn = self.next_tsn.wrapping_add(1);
                pieces.push(piece);
            } else {
                drop(queues.remove(at));
            }
        }
        pieces
    }

    fn arrive(&mut self, message: &Message, piece: &Piece) {
        let cumulative = self.acks.cumulative();
        let arrival = self.acks.observe(piece.tsn, false, true);
        let news = cumulative.precedes(piece.tsn) && self.received.insert(piece.tsn);
        assert_eq!(arrival, if news { Arrival::New } else { Arrival::Duplicate });
        if news {
            let mut flags = flags("");
            flags.unordered = message.unordered;
            flags.beginning = piece.first;
            flags.ending = piece.last;
            let ppid = Ppid(piece.message as u32);
            let taken = if self.interleaving {
                let header = IDataHeader {
                    flags,
                    tsn: piece.tsn,
                    stream: message.stream,
                    mid: piece.number,
                    ppid_or_fsn: if piece.first { ppid.0 } else { piece.fsn },
                };
                self.reassembly.i_data(&header, &piece.payload, &mut self.log)
            } else {
                let header = DataHeader {
                    flags,
                    tsn: piece.tsn,
                    stream: message.stream,
                    // "the receiver MUST ignore the field" (RFC 9260 §6.6).
                    ssn: if message.unordered {
                        piece.tsn as u16
                    } else {
                        piece.number as u16
                    },
                    ppid,
                };
                self.reassembly.data(&header, &piece.payload, &mut self.log)
            };
            let taken = taken.unwrap();
            assert!(
                taken == Taken::Yes || taken == Taken::Late && message.abandoned,
                "{taken:?}"
            );
        }
        self.acks.packet_ended(self.now);
        self.check_acks();
    }

    /// The sender moves the receiver over what it has given up, as far as that goes (RFC 3758 §3.5).
    fn forward(&mut self, messages: &[Message], pieces: &[Piece]) {
        let mut to = self.acks.cumulative();
        let mut skipped = BTreeMap::new();
        for piece in pieces {
            let message = &messages[piece.message];
            if piece.tsn != to.wrapping_add(1) || !message.abandoned {
                continue;
            }
            to = piece.tsn;
            // The last one of a stream has the highest number.
            skipped.insert((message.stream, message.unordered), piece.number);
        }
        let news = self.acks.forward(to);
        assert_eq!(news, !skipped.is_empty());
        if news {
            self.received
                .extend(pieces.iter().map(|piece| piece.tsn).filter(|tsn| !to.precedes(*tsn)));
            if self.interleaving {
                let list = skipped
                    .iter()
                    .map(|(&(stream, unordered), &mid)| SkippedMessage { stream, unordered, mid });
                let list: Vec<_> = list.collect();
                let forward = IForwardTsn {
                    new_cumulative_tsn: to,
                    streams: List::new(&list),
                };
                self.reassembly.i_skip(&forward, &mut self.log).unwrap();
            } else {
                let list = skipped.iter().filter(|((_, unordered), _)| !unordered);
                let list: Vec<_> = list
                    .map(|(&(stream, _), &number)| SkippedStream {
                        stream,
                        ssn: number as u16,
                    })
                    .collect();
                let forward = ForwardTsn {
                    new_cumulative_tsn: to,
                    streams: List::new(&list),
                };
                self.reassembly.skip(&forward, &mut self.log).unwrap();
            }
        }
        self.check_acks();
    }

    /// The SACK says what the model knows.
    fn check_acks(&mut self) {
        let mut cumulative = self.acks.cumulative();
        assert!(!self.received.contains(&cumulative.wrapping_add(1)));
        let (mut out, header) = (
            [0; 4000],
            CommonHeader {
                source_port: 1,
                destination_port: 2,
                verification_tag: 3,
            },
        );
        let mut w = PacketWriter::new(&mut out, 4000, &header).unwrap();
        assert!(self.acks.write(&mut w, 5));
        let packet = Packet::parse(w.finish(Checksum::Zero)).unwrap();
        let chunk = packet.chunks().next().unwrap().unwrap();
        let Chunk::Sack(Sack {
            cumulative_tsn_ack,
            gap_ack_blocks,
            ..
        }) = Chunk::of(chunk).unwrap()
        else {
            panic!("no SACK");
        };
        assert_eq!(cumulative_tsn_ack, cumulative);
        let mut told = BTreeSet::new();
        for block in gap_ack_blocks {
            let (first, last) = block.tsns(cumulative_tsn_ack);
            assert!(cumulative.distance_to(first) > 1, "blocks neither touch nor overlap");
            assert!(!last.precedes(first));
            told.extend((0..=last.wrapping_sub(first)).map(|at| first.wrapping_add(at)));
            cumulative = last;
        }
        let ahead = self
            .received
            .iter()
            .copied()
            .filter(|tsn| cumulative_tsn_ack.precedes(*tsn));
        assert_eq!(told, ahead.collect());
    }

    /// Sends messages over a network that loses, repeats and shuffles, until all is there or given up.
    fn phase(&mut self, messages: &[Message], random: &mut Random) {
        let pieces = self.cut(messages, random);
        let jitter = 1 + random.below(40);
        let mut arrivals = Vec::new();
        for (at, piece) in pieces.iter().enumerate() {
            let abandoned = messages[piece.message].abandoned;
            for copy in 0..3 {
                // One copy of what is not given up comes at least.
                if copy == 0 && !abandoned || random.below(4) == 0 {
                    arrivals.push((at as u64 + random.below(jitter) * (copy + 1), at));
                }
            }
        }
        arrivals.sort_unstable();
        for (_, at) in arrivals {
            self.arrive(&messages[pieces[at].message], &pieces[at]);
            if random.below(10) == 0 {
                self.forward(messages, &pieces);
            }
        }
        while self.acks.cumulative() != self.next_tsn.wrapping_sub(1) {
            let before = self.acks.cumulative();
            self.forward(messages, &pieces);
            assert!(
                before.precedes(self.acks.cumulative()),
                "only what was given up is missing"
            );
        }
        self.check_messages(messages, &pieces);
        assert_eq!(
            self.reassembly.free(),
            Config::default().receive_window,
            "nothing is held"
        );
    }

    fn check_messages(&mut self, messages: &[Message], pieces: &[Piece]) {
        let mut seen = BTreeSet::new();
        let mut last = BTreeMap::new();
        let mut open: BTreeMap<(u16, bool), (u32, Vec<u8>)> = BTreeMap::new();
        let mut check = |stream: u16, ppid: u32, unordered: bool, payload: &[u8]| {
            let index = ppid as usize;
            let message = &messages[index];
            assert_eq!((stream, unordered), (message.stream, message.unordered));
            let whole: Vec<u8> = pieces
                .iter()
                .filter(|piece| piece.message == index)
                .flat_map(|piece| piece.payload.clone())
                .collect();
            assert_eq!(payload, whole);
            assert!(seen.insert(index), "twice");
            if !unordered {
                assert!(
                    last.insert(stream, index).is_none_or(|last| last < index),
                    "out of order"
                );
            }
        };
        for given in self.log.take() {
            match given {
                Given::Message(stream, ppid, unordered, payload) => check(stream, ppid, unordered, &payload),
                Given::Part(stream, ppid, unordered, payload, first, ends) => {
                    if first {
                        assert!(open.insert((stream, unordered), (ppid, Vec::new())).is_none());
                    }
                    let (begun, buffer) = open.get_mut(&(stream, unordered)).unwrap();
                    assert_eq!(*begun, ppid);
                    buffer.extend(payload);
                    if ends {
                        let (_, whole) = open.remove(&(stream, unordered)).unwrap();
                        check(stream, ppid, unordered, &whole);
                    }
                }
                Given::Cut(stream, unordered) => {
                    let (ppid, _) = open.remove(&(stream, unordered)).unwrap();
                    assert!(messages[ppid as usize].abandoned);
                }
            }
        }
        assert!(open.is_empty());
        for (index, message) in messages.iter().enumerate() {
            assert!(message.abandoned || seen.contains(&index), "message {index} is lost");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_not_given_up_arrives_once_and_in_order(
        first in messages(),
        second in messages(),
        interleaving: bool,
        parts in prop_oneof![Just(None), (0_usize..60).prop_map(Some)],
        initial_tsn in prop_oneof![any::<u32>(), (0_u32..40).prop_map(|back| 0_u32.wrapping_sub(back))],
        warp: bool,
        seed in 1_u64..,
    ) {
        let mut random = Random(seed);
        let mut run = Run::new(interleaving, parts, initial_tsn);
        if warp {
            run.warp();
        }
        run.phase(&first, &mut random);
        // All streams begin anew, one by one or together.
        if warp {
            run.reassembly.reset_all(&mut run.log);
        } else {
            (0..STREAMS).for_each(|stream| run.reassembly.reset(stream, &mut run.log));
        }
        run.numbers.clear();
        run.phase(&second, &mut random);
    }
}
