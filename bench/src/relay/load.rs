use std::hint::spin_loop;
use std::time::{Duration, Instant};

use super::flow::{Direction, Flow};

/// Packets that a flow may have under way before its sockets are read.
const READ_AFTER: u64 = 16;
/// A load that is later than this was held up, and goes on from there: what it missed is not sent at once.
const LATE: Duration = Duration::from_millis(1);
/// What has not arrived after so long is lost.
const LOST_AFTER: Duration = Duration::from_millis(100);

/// Who sends what together.
#[derive(Clone, Copy)]
pub(super) struct Load {
    pub(super) name: &'static str,
    pub(super) flows: usize,
    /// Packets in a message.
    pub(super) burst: usize,
}

/// What went into a server and came out.
#[derive(Default)]
pub(super) struct Offered {
    pub(super) sent: u64,
    pub(super) arrived: u64,
    pub(super) held_up: u64,
}

/// The times between messages: random, as those of many senders are (exponential), but the same for the same seed.
pub(super) struct Arrivals {
    state: u64,
    mean: Duration,
}

impl Arrivals {
    /// `rate` messages a second on average.
    pub(super) fn new(seed: u64, rate: u32) -> Self {
        Self {
            state: seed.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15),
            mean: Duration::from_secs(1) / rate.max(1),
        }
    }

    fn next(&mut self) -> Duration {
        // xorshift64*
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let bits = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11;
        let uniform = (bits + 1) as f64 / (1_u64 << 53) as f64;
        self.mean.mul_f64(-uniform.ln())
    }
}

/// Sends for so long, one flow after the other in either direction, and reads what comes. Never sleeps, so that nothing
/// has to wake it.
pub(super) fn offer(flows: &[Flow], load: Load, length: Duration, arrivals: &mut Arrivals) -> Offered {
    let mut offered = Offered::default();
    let mut under_way = vec![0; flows.len()];
    let mut start = Instant::now();
    let mut due = Duration::ZERO;
    let turns = (0..flows.len()).flat_map(|flow| [(flow, Direction::ToPeer), (flow, Direction::ToClient)]);
    for (index, direction) in turns.cycle() {
        due += arrivals.next();
        if due > length {
            break;
        }
        while start.elapsed() < due {
            spin_loop();
        }
        let late = start.elapsed() - due;
        if late > LATE {
            offered.held_up += 1;
            start += late;
        }
        let flow = &flows[index];
        let sent = flow.send(direction, load.burst);
        offered.sent += sent;
        under_way[index] += sent;
        if under_way[index] >= READ_AFTER {
            under_way[index] = 0;
            offered.arrived += flow.arrived();
        }
    }
    let mut last = Instant::now();
    while offered.arrived < offered.sent && last.elapsed() < LOST_AFTER {
        let arrived: u64 = flows.iter().map(Flow::arrived).sum();
        if arrived > 0 {
            offered.arrived += arrived;
            last = Instant::now();
        }
    }
    offered
}
