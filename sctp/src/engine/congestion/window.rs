use std::time::{Duration, Instant};

use super::cubic::{BETA, Cubic};
use super::slow_start::SlowStart;
use crate::config::{Config, Congestion};
use crate::engine::rtt::{Rtt, nanos, whole};

/// Packets that may be sent before anything is known (RFC 6928 §2; RFC 9260 §7.2.1 has 4).
const INITIAL_PACKETS: f64 = 10.0;
/// What no loss goes below, in packets (RFC 9260 §7.2.3).
const LEAST_PACKETS: f64 = 4.0;
/// How long the queue may become in the delay-friendly mode: an eighth of the round trip, within these.
const LEAST_QUEUE: Duration = Duration::from_millis(10);
const MOST_QUEUE: Duration = Duration::from_millis(15);
/// It is this often what round trips differ by anyway, on paths such as those of radio, but no more than the other.
const JITTERS: u32 = 3;
const MOST_JITTER: Duration = Duration::from_millis(20);
/// What part of the path's capacity is used after such a queue, so that it drains, and the true round trip is seen again; a
/// packet less than all of it at least.
const DRAINED: f64 = 0.95;
/// What is left of the window at least then.
const LEAST_LEFT: f64 = 0.5;

/// The congestion window: CUBIC (RFC 9438), which begins with `HyStart++` (RFC 9406), in place of RFC 9260 §7.2.
///
/// The sender has to be paced. It reduces the window once per window of data, whatever was lost of it.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    /// Bytes; fractions of them add up.
    bytes: f64,
    /// ssthresh.
    threshold: f64,
    packet: f64,
    initial: f64,
    delay_friendly: bool,
    slow_start: SlowStart,
    cubic: Cubic,
    /// The last reduction is not seen yet in the round trips of the present round.
    settling: bool,
    /// What was before the last reduction.
    before: Option<Before>,
}

#[derive(Debug, Clone, Copy)]
struct Before {
    bytes: f64,
    threshold: f64,
    cubic: Cubic,
}

/// What a SACK acknowledged.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Acked {
    /// Bytes that were not acknowledged before, by the cumulative TSN or by gap blocks.
    pub(crate) bytes: u64,
    /// Bytes that were under way before, these included.
    pub(crate) in_flight: u64,
    /// The sender had more to send, and only the window or the pacer kept it from that; and it is not in recovery from a loss
    /// (RFC 9260 §7.2.1).
    pub(crate) limited: bool,
    /// The round trip, if there is a sample.
    pub(crate) rtt: Option<Duration>,
    /// This acknowledges something that was sent after the round began; the next round begins with what is sent next.
    pub(crate) round_ended: bool,
}

impl Window {
    pub(crate) fn new(config: &Config) -> Self {
        let packet = of_len(config.base_packet);
        Self {
            bytes: INITIAL_PACKETS * packet,
            threshold: f64::INFINITY,
            packet,
            initial: INITIAL_PACKETS * packet,
            delay_friendly: config.congestion == Congestion::DelayFriendly,
            slow_start: SlowStart::new(),
            cubic: Cubic::default(),
            settling: false,
            before: None,
        }
    }

    /// How many bytes may be under way.
    pub(crate) fn bytes(&self) -> u64 {
        whole(self.bytes)
    }

    /// The same, with its fraction.
    pub(super) const fn as_f64(&self) -> f64 {
        self.bytes
    }

    /// The size of packets, in bytes.
    pub(super) const fn packet(&self) -> f64 {
        self.packet
    }

    /// Whether the window doubles per round trip, or would if it could.
    pub(crate) fn in_slow_start(&self) -> bool {
        self.bytes < self.threshold
    }

    /// Takes what a SACK acknowledged. The sample in it was given to `rtt` before.
    pub(crate) fn acked(&mut self, now: Instant, acked: &Acked, rtt: &Rtt) {
        if let Some(sample) = acked.rtt {
            self.slow_start.sample(sample);
        }
        // Whoever uses less than half of the window does not prove the rest of it (RFC 9438 §5.8).
        let used = acked.limited && acked.in_flight.saturating_mul(2) >= self.bytes();
        let bytes = from_bytes(acked.bytes);
        if !used {
            self.cubic.pause();
        } else if self.in_slow_start() {
            // HyStart++ is for the first slow start only (RFC 9406 §4.3): the later ones know where to end.
            let growth = if self.threshold.is_finite() {
                1.0
            } else {
                self.slow_start.growth()
            };
            // All of it, without the bound of RFC 9260 §7.2.1: the pacer takes the bursts away (RFC 9406 §4.2, L).
            self.bytes = (self.bytes + bytes * growth).min(self.threshold);
        } else {
            let round_trip = rtt.smoothed().unwrap_or_default();
            self.bytes = self.cubic.grown(now, self.bytes, bytes, round_trip, self.packet);
        }
        if acked.round_ended {
            self.round_ended(rtt);
        }
    }

    fn round_ended(&mut self, rtt: &Rtt) {
        let round_min = self.slow_start.round_min();
        if self.slow_start.round_ended() && self.threshold.is_infinite() {
            // RFC 9438 §4.10: the curve, which there is not yet, begins with its plateau here.
            self.threshold = self.bytes;
        }
        if let (true, Some(round_min), Some(base)) = (self.delay_friendly, round_min, rtt.min()) {
            self.yield_to_queue(round_min, base, rtt.variation());
        }
    }

    /// The delay-friendly mode: when the shortest round trip of a round shows a queue that is too long, the window becomes a
    /// little less than what the path holds without one.
    fn yield_to_queue(&mut self, round_min: Duration, base: Duration, variation: Duration) {
        if std::mem::take(&mut self.settling) {
            return;
        }
        let eighth = base.checked_div(8).unwrap_or_default();
        let jitter = variation.saturating_mul(JITTERS).min(MOST_JITTER);
        let queue = eighth.clamp(LEAST_QUEUE, MOST_QUEUE).max(jitter);
        if round_min <= base.saturating_add(queue) {
            return;
        }
        let capacity = self.bytes * (nanos(base) / nanos(round_min));
        let left = (capacity * DRAINED)
            .min(capacity - self.packet)
            .max(self.bytes * LEAST_LEFT);
        self.cubic.restart(capacity);
        self.reduce(left);
    }

    /// Something was lost: once per window of data, when the recovery begins (RFC 9438 §4.6).
    pub(crate) fn lost(&mut self) {
        self.remember();
        self.cubic.reduced(self.bytes);
        self.reduce(self.bytes * BETA);
    }

    /// The retransmission timer ran out: one packet, and slow start from there (RFC 9260 §7.2.3, RFC 9438 §4.8). Time-outs that
    /// follow without a new acknowledgement change nothing (RFC 5681 §3.1).
    pub(crate) fn timed_out(&mut self) {
        if self.bytes <= self.packet {
            return;
        }
        self.remember();
        self.cubic.reduced(self.bytes);
        self.reduce(self.bytes * BETA);
        self.bytes = self.packet;
    }

    /// The last reduction was a mistake: what was thought lost had arrived (RFC 9438 §4.9).
    pub(crate) fn undo(&mut self) {
        if let Some(before) = self.before.take() {
            self.bytes = self.bytes.max(before.bytes);
            self.threshold = before.threshold;
            self.cubic = before.cubic;
            self.cubic.pause();
        }
    }

    /// Data is sent again after nothing was under way for `idle`: half the window for each `rto` of it, down to the initial one
    /// (RFC 9260 §7.2.1 goes on to 4 packets, which is its initial one). Up to where it was it then doubles; a first slow start
    /// goes on beyond (RFC 2861 §3: a pause tells nothing about capacity).
    pub(crate) fn resumed(&mut self, idle: Duration, rto: Duration) {
        let halves = nanos(idle) / nanos(rto).max(1.0);
        if halves < 1.0 || self.bytes <= self.initial {
            return;
        }
        self.threshold = self.threshold.max(self.bytes);
        self.bytes = (self.bytes * 0.5_f64.powf(halves.floor())).max(self.initial);
        self.cubic.restart(0.0);
        self.slow_start = SlowStart::new();
        self.before = None;
    }

    /// The size of packets has changed. The window in bytes does not grow by that (RFC 8899 §3, item 7).
    pub(crate) fn set_packet(&mut self, len: usize) {
        self.packet = of_len(len);
    }

    fn remember(&mut self) {
        self.before = Some(Before {
            bytes: self.bytes,
            threshold: self.threshold,
            cubic: self.cubic,
        });
    }

    /// To that many bytes, or a few packets. One that is smaller already stays so, but may double up to that.
    fn reduce(&mut self, bytes: f64) {
        self.threshold = bytes.max(LEAST_PACKETS * self.packet);
        self.bytes = self.bytes.min(self.threshold);
        self.settling = true;
    }
}

fn of_len(len: usize) -> f64 {
    from_bytes(u64::try_from(len).unwrap_or(u64::MAX).max(1))
}

/// Exact below 2^53 bytes.
pub(super) const fn from_bytes(bytes: u64) -> f64 {
    bytes as f64
}
