//! What everybody can see on the way.

use std::collections::HashMap;

use sctp::dcep::Reliability;
use sctp::{Checksum, Chunk, Config, Packet, Ppid};

use super::ledger::Ledger;

/// Looks at each packet that is sent.
pub struct Tap {
    accepts_zero: bool,
    /// How often each TSN was sent, and its message if that is known.
    tsns: [HashMap<u32, (u32, Option<Ppid>)>; 2],
}

impl Tap {
    pub fn new(configs: &[Config; 2]) -> Self {
        Self {
            accepts_zero: configs.iter().all(|config| config.zero_checksum),
            tsns: [HashMap::new(), HashMap::new()],
        }
    }

    /// An end has begun anew.
    pub fn forget(&mut self, end: usize) {
        self.tsns[end].clear();
    }

    pub fn sees(&mut self, now: u64, end: usize, bytes: &[u8], longest: usize, ledger: &Ledger) {
        assert!(
            bytes.len() <= longest && bytes.len().is_multiple_of(4),
            "{} bytes",
            bytes.len()
        );
        let packet = Packet::parse(bytes).expect("a packet");
        let accepted = if self.accepts_zero {
            Checksum::Zero
        } else {
            Checksum::Crc32c
        };
        assert!(packet.checksum_holds(accepted), "{packet}");
        let mut chunks = 0;
        for raw in packet.chunks() {
            chunks += 1;
            let (tsn, message) = match Chunk::of(raw.expect("a chunk")).expect("a chunk") {
                Chunk::Data(data) => (data.header.tsn, Some(data.header.ppid)),
                Chunk::IData(data) => (data.header.tsn, data.header.ppid()),
                Chunk::Init(_) | Chunk::CookieEcho(_) => {
                    assert!(packet.checksum_holds(Checksum::Crc32c), "{packet}");
                    continue;
                }
                _ => continue,
            };
            self.sends(now, end, tsn, message, ledger);
        }
        assert!(chunks > 0, "an empty packet");
    }

    /// RFC 7496 §4.1, §4.2.
    fn sends(&mut self, now: u64, end: usize, tsn: u32, message: Option<Ppid>, ledger: &Ledger) {
        let (sends, first) = self.tsns[end].entry(tsn).or_insert((0, message));
        *sends += 1;
        assert_eq!(*first, message, "TSN {tsn} is another message now");
        let Some(ppid) = message else { return };
        let sent = ledger.get(ppid);
        match sent.reliability {
            Reliability::Reliable => {}
            Reliability::Retransmissions(most) => assert!(*sends <= most + 1, "message {}: {sends} times", ppid.0),
            Reliability::Lifetime(ms) => assert!(now <= sent.at + u64::from(ms), "message {} comes too late", ppid.0),
        }
    }
}
