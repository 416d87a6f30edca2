//! Messages whose bytes grow from a number, the same here and in `peer.c`.

use bytes::Bytes;
use sctp::dcep::Reliability;
use sctp::{Message, Ppid};

/// A message that is to be sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) stream: u16,
    pub(crate) unordered: bool,
    pub(crate) reliability: Reliability,
    pub(crate) len: usize,
    pub(crate) seed: u64,
}

/// What came of a message.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Letter {
    pub(crate) stream: u16,
    pub(crate) unordered: bool,
    pub(crate) ppid: u32,
    pub(crate) len: usize,
    pub(crate) hash: u64,
}

impl Plan {
    pub(crate) const fn ordered(stream: u16, len: usize, seed: u64) -> Self {
        Self {
            stream,
            unordered: false,
            reliability: Reliability::Reliable,
            len,
            seed,
        }
    }

    pub(crate) const fn unordered(stream: u16, len: usize, seed: u64) -> Self {
        Self {
            unordered: true,
            ..Self::ordered(stream, len, seed)
        }
    }

    /// So that it is seen where the number comes out.
    const fn ppid(&self) -> u32 {
        51 + self.seed as u32 % 1000
    }

    fn payload(&self) -> Vec<u8> {
        let mut state = self.seed;
        let grow = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        std::iter::repeat_with(grow).take(self.len).collect()
    }

    /// For our engine.
    pub(crate) fn message(&self) -> Message {
        Message {
            stream: self.stream,
            ppid: Ppid(self.ppid()),
            unordered: self.unordered,
            reliability: self.reliability,
            payload: Bytes::from(self.payload()),
        }
    }

    /// For the foreign program.
    pub(crate) fn order(&self) -> String {
        let order = if self.unordered { "unordered" } else { "ordered" };
        let policy = match self.reliability {
            Reliability::Reliable => "reliable 0".to_owned(),
            Reliability::Retransmissions(most) => format!("rtx {most}"),
            Reliability::Lifetime(ms) => format!("ttl {ms}"),
        };
        let Self { stream, len, seed, .. } = self;
        format!("send {stream} {} {order} {policy} {len} {seed}", self.ppid())
    }

    /// As it is to come.
    pub(crate) fn letter(&self) -> Letter {
        Letter::of(self.stream, Ppid(self.ppid()), self.unordered, &self.payload())
    }
}

impl Letter {
    pub(crate) fn of(stream: u16, ppid: Ppid, unordered: bool, payload: &[u8]) -> Self {
        let hash = |state: u64, byte: &u8| (state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        Self {
            stream,
            unordered,
            ppid: ppid.0,
            len: payload.len(),
            hash: payload.iter().fold(0xcbf2_9ce4_8422_2325, hash),
        }
    }

    /// As the foreign program prints it.
    pub(crate) fn read(line: &str) -> Self {
        let words: Vec<_> = line.split(' ').collect();
        let [stream, ppid, order, len, hash] = words[..] else {
            panic!("{line}");
        };
        Self {
            stream: stream.parse().unwrap(),
            unordered: order == "unordered",
            ppid: ppid.parse().unwrap(),
            len: len.parse().unwrap(),
            hash: u64::from_str_radix(hash, 16).unwrap(),
        }
    }
}

/// Whether what came is what was sent: ordered messages in the order of their stream, the others in any.
pub(crate) fn check(what: &str, sent: &[Plan], came: &[Letter]) {
    let sort = |letters: &[Letter]| {
        let mut letters = letters.to_vec();
        letters.sort_by(|a, b| {
            let by_stream = (a.stream, a.unordered).cmp(&(b.stream, b.unordered));
            // Stable: ordered ones stay as they are.
            by_stream.then_with(|| {
                if a.unordered {
                    a.cmp(b)
                } else {
                    std::cmp::Ordering::Equal
                }
            })
        });
        letters
    };
    let sent: Vec<Letter> = sent.iter().map(Plan::letter).collect();
    let (sent, came) = (sort(&sent), sort(came));
    for (sent, came) in sent.iter().zip(&came) {
        assert_eq!(sent, came, "{what}");
    }
    assert_eq!(sent.len(), came.len(), "{what}: number of messages");
}
