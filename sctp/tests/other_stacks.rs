//! What other stacks do against the rules, and is borne with.
#![allow(missing_docs)]

use std::time::{Duration, Instant};

use bytes::Bytes;
use sctp::dcep::Reliability;
use sctp::{Association, Checksum, Chunk, CloseReason, Config, Event, Message, Packet, PacketWriter, Ppid, Sink};
use wire::Seed;

#[derive(Default)]
struct Inbox(Vec<Vec<u8>>);

impl Sink for Inbox {
    fn message(&mut self, _: u16, _: Ppid, _: bool, payload: &[u8]) {
        self.0.push(payload.to_vec());
    }

    fn part(&mut self, _: u16, _: Ppid, _: bool, _: &[u8], _: bool, _: bool) {
        panic!("nobody asked for parts");
    }

    fn cut(&mut self, _: u16, _: bool) {
        panic!("nobody asked for parts");
    }
}

struct Pair {
    now: Instant,
    ends: [(Association, Inbox); 2],
}

impl Pair {
    /// Each gets what the other one sends, that of the first as `change` leaves it, until neither has more to send or to
    /// wait for within a minute.
    fn run(&mut self, change: fn(&[u8]) -> Vec<u8>) {
        let end = self.now + Duration::from_secs(60);
        while self.now < end {
            let mut out = [0; 2048];
            let [(a, to_a), (b, to_b)] = &mut self.ends;
            if let Some(len) = a.poll_transmit(self.now, &mut out) {
                b.handle_packet(self.now, &change(&out[..len]), to_b);
            } else if let Some(len) = b.poll_transmit(self.now, &mut out) {
                a.handle_packet(self.now, &out[..len], to_a);
            } else if let Some(next) = [a.poll_timeout(), b.poll_timeout()].into_iter().flatten().min() {
                self.now = self.now.max(next);
                a.handle_timeout(self.now);
                b.handle_timeout(self.now);
            } else {
                return;
            }
        }
    }
}

/// A SHUTDOWN acknowledges a TSN far beyond all that was sent.
fn wrong_shutdown(packet: &[u8]) -> Vec<u8> {
    let packet = Packet::parse(packet).unwrap();
    let mut out = [0; 2048];
    let mut w = PacketWriter::new(&mut out, 2048, packet.header()).unwrap();
    for chunk in packet.chunks() {
        let mut chunk = Chunk::of(chunk.unwrap()).unwrap();
        if let Chunk::Shutdown { cumulative_tsn_ack } = &mut chunk {
            *cumulative_tsn_ack = cumulative_tsn_ack.wrapping_add(1 << 30);
        }
        w.push(&chunk).unwrap();
    }
    w.finish(Checksum::Crc32c).to_vec()
}

#[test]
fn a_shutdown_that_acknowledges_what_was_not_sent() {
    let now = Instant::now();
    let new = |run| {
        (
            Association::new(&Config::default(), Seed::from_run(run), now),
            Inbox::default(),
        )
    };
    let mut pair = Pair {
        now,
        ends: [new(1), new(2)],
    };
    pair.ends[0].0.connect(now);
    pair.run(<[u8]>::to_vec);

    // More than goes out at once, so that some of it waits when the SHUTDOWN comes.
    let payload = vec![7; 100_000];
    let message = Message {
        stream: 1,
        ppid: Ppid::BINARY,
        unordered: false,
        reliability: Reliability::Reliable,
        payload: Bytes::from(payload.clone()),
    };
    let [(a, _), (b, _)] = &mut pair.ends;
    b.send(pair.now, message).unwrap();
    a.shutdown(pair.now);
    pair.run(wrong_shutdown);
    let [(a, to_a), (b, _)] = &mut pair.ends;
    assert_eq!(to_a.0, [payload]);
    for association in [a, &mut *b] {
        let last = std::iter::from_fn(|| association.poll_event()).last();
        assert_eq!(last, Some(Event::Closed(CloseReason::Shutdown)));
    }
    assert!(b.counters().sctp_bad_shutdowns > 0);
}
