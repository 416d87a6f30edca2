use std::time::{Duration, Instant};

/// The bit rate that we allow a sender without transport-wide feedback (draft-alvestrand-rmcat-remb-03): the loss-based
/// controller of draft-ietf-rmcat-gcc-02 §6, run by the receiver.
///
/// It looks at loss only. Such senders are rare (no browser is one), and mostly wired.
#[derive(Debug)]
pub(crate) struct Remb {
    bits_per_second: u64,
    max: u64,
    /// Bytes and packets since the last update.
    bytes: u64,
    packets: u64,
    lost_before: u64,
    last: Option<Instant>,
}

impl Remb {
    /// How often it is updated and sent.
    pub(crate) const INTERVAL: Duration = Duration::from_secs(1);
    const MIN: u64 = 50_000;

    pub(crate) fn new((start, max): (u64, u64)) -> Self {
        Self {
            bits_per_second: start.clamp(Self::MIN, max.max(Self::MIN)),
            max,
            bytes: 0,
            packets: 0,
            lost_before: 0,
            last: None,
        }
    }

    /// A packet arrived.
    #[inline]
    pub(crate) const fn record(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        self.packets += 1;
    }

    /// The rate to announce now, `lost` being the packets of all streams lost so far (RFC 3550 §A.3). `None` when
    /// nothing arrived since the last call.
    pub(crate) fn update(&mut self, now: Instant, lost: u64) -> Option<u64> {
        let elapsed = now
            .saturating_duration_since(self.last.replace(now)?)
            .as_millis()
            .max(1) as u64;
        let (bytes, packets) = (core::mem::take(&mut self.bytes), core::mem::take(&mut self.packets));
        // Duplicates and late packets can make the number of lost packets go back.
        let newly_lost = lost.saturating_sub(core::mem::replace(&mut self.lost_before, lost));
        if packets == 0 {
            return None;
        }
        let received = bytes * 8 * 1000 / elapsed;
        let loss_percent = newly_lost * 100 / (packets + newly_lost);
        let rate = self.bits_per_second;
        let rate = match loss_percent {
            // Only a rate that is made use of is known to be too low.
            0 | 1 if received * 3 / 2 >= rate => rate + rate * 8 / 100,
            0..=10 => rate,
            _ => rate - rate * loss_percent / 200,
        };
        self.bits_per_second = rate.clamp(Self::MIN, self.max.max(Self::MIN));
        Some(self.bits_per_second)
    }

    /// Starts the clock at the first packet.
    pub(crate) fn start(&mut self, now: Instant) -> bool {
        let first = self.last.is_none();
        self.last.get_or_insert(now);
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Run(Remb, Instant, u64);

    impl Run {
        fn second(&mut self, packets: usize, lost: u64) -> Option<u64> {
            for _ in 0..packets {
                self.0.record(1000);
            }
            self.1 += Duration::from_secs(1);
            self.2 += lost;
            self.0.update(self.1, self.2)
        }
    }

    fn run(start: u64) -> Run {
        let now = Instant::now();
        let mut remb = Remb::new((start, 2_000_000));
        assert!(remb.start(now) && !remb.start(now));
        Run(remb, now, 0)
    }

    #[test]
    fn a_rate_that_is_used_grows_to_the_maximum() {
        let mut run = run(1_000_000);
        assert_eq!(run.second(125, 0), Some(1_080_000));
        for _ in 0..20 {
            run.second(250, 0);
        }
        assert_eq!(run.second(250, 0), Some(2_000_000));
    }

    #[test]
    fn a_rate_that_is_not_used_stays() {
        assert_eq!(run(1_000_000).second(20, 0), Some(1_000_000));
    }

    #[test]
    fn loss_holds_it_or_cuts_it() {
        let mut run = run(1_000_000);
        assert_eq!(run.second(95, 5), Some(1_000_000));
        assert_eq!(run.second(80, 20), Some(900_000));
        for _ in 0..100 {
            run.second(10, 90);
        }
        assert_eq!(run.second(10, 90), Some(Remb::MIN));
    }

    #[test]
    fn silence_announces_nothing() {
        assert_eq!(run(1_000_000).second(0, 0), None);
    }
}
