use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use wire::Ecn;

use crate::bitrate::Bitrate;
use crate::packet::PacketView;

/// The two directions of a link.
#[derive(Debug, Clone, Default)]
pub struct Link {
    /// From the first of the two nodes that it was made between to the second.
    pub forward: Direction,
    /// From the second to the first.
    pub backward: Direction,
}

impl Link {
    /// Both directions alike.
    pub fn symmetric(direction: Direction) -> Self {
        Self {
            forward: direction.clone(),
            backward: direction,
        }
    }

    /// Both directions take `delay`, and are otherwise perfect.
    pub fn with_delay(delay: Duration) -> Self {
        Self::symmetric(Direction::with_delay(delay))
    }
}

/// What one direction of a link does to packets. The default is perfect: no limit, no delay, an MTU of 1500 bytes.
///
/// In this order: what does not fit the MTU is dropped or split, the queue takes the packet or does not, it waits for
/// its turn and may be marked when that comes, takes its time at `rate`, is then lost or doubled, and arrives after
/// `delay` and `jitter`.
#[derive(Debug, Clone)]
pub struct Direction {
    /// How fast packets leave, whole IP packets counted; `None` is no limit, and then there is no queue either.
    pub rate: Option<Bitrate>,
    /// How many bytes may leave at once after a pause (the depth of a token bucket). 0: each packet takes its time.
    pub burst_bytes: usize,
    /// What waits for its turn.
    pub queue: Queue,
    /// Propagation delay.
    pub delay: Duration,
    /// Up to so much more delay for each packet, evenly distributed. It never changes the order: who is late holds up
    /// those behind, as in a queue. [`reorder`](Self::reorder) is for the order.
    pub jitter: Duration,
    /// Which packets get lost, after they have taken their time at `rate`.
    pub loss: Loss,
    /// Probability that a packet arrives twice, 0 to 1.
    pub duplicate: f64,
    /// Which packets are held back, so that later ones overtake them.
    pub reorder: Option<Reorder>,
    /// The largest IP packet, in bytes.
    pub mtu: u16,
}

impl Default for Direction {
    fn default() -> Self {
        Self {
            rate: None,
            burst_bytes: 0,
            queue: Queue::default(),
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            loss: Loss::None,
            duplicate: 0.0,
            reorder: None,
            mtu: 1500,
        }
    }
}

impl Direction {
    /// Perfect but for the delay.
    pub fn with_delay(delay: Duration) -> Self {
        Self {
            delay,
            ..Self::default()
        }
    }
}

/// The queue in front of a link with a rate.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Queue {
    /// What it holds at most, without the packet that is just being sent. What does not fit is dropped (drop-tail).
    pub limit: Limit,
    /// When packets of those who understand ECN are marked.
    pub marking: Marking,
}

impl Queue {
    /// Drop-tail with so many bytes.
    pub const fn bytes(limit: usize) -> Self {
        Self {
            limit: Limit::Bytes(limit),
            marking: Marking::None,
        }
    }

    /// Drop-tail with one bandwidth-delay product of `rate` and `round_trip`.
    pub const fn one_bdp(rate: Bitrate, round_trip: Duration) -> Self {
        Self::bytes(rate.bytes_in(round_trip))
    }
}

/// What a queue holds at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// So many packets.
    Packets(usize),
    /// So many bytes of IP packets.
    Bytes(usize),
    /// As much as leaves in that time at the present rate.
    Time(Duration),
}

impl Default for Limit {
    /// 1000 packets, as Linux has it.
    fn default() -> Self {
        Self::Packets(1000)
    }
}

/// How a queue marks packets with CE (RFC 3168 §5) when they leave it, by the time that they waited for those before
/// them: their own time at `rate` does not count, or a slow link would mark what finds it idle.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Marking {
    /// Never.
    #[default]
    None,
    /// Each ECT(0) or ECT(1) packet that has waited longer than this.
    Step(Duration),
    /// Each ECT(1) packet that has waited longer than this, no ECT(0): the immediate marking of L4S (RFC 9331 §5.2).
    L4s(Duration),
    /// ECT(0) and ECT(1) with a probability that grows from 0 at `min` to `max_probability` at `max` and is 1 above, by
    /// the packet's own waiting time (as RED does it by the mean).
    Ramp {
        /// Nothing is marked below.
        min: Duration,
        /// Everything is marked above.
        max: Duration,
        /// Probability at `max`, 0 to 1.
        max_probability: f64,
    },
}

/// Which packets a link loses.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Loss {
    /// None.
    #[default]
    None,
    /// Each with this probability, 0 to 1, whatever happened to the others.
    Random(f64),
    /// The model of Gilbert and Elliott: a good and a bad state, changed with the given probabilities before each
    /// packet. Bad times last `1 / leave_bad` packets on average; `enter_bad / (enter_bad + leave_bad)` of the packets
    /// fall into them.
    GilbertElliott {
        /// Probability to go from good to bad.
        enter_bad: f64,
        /// Probability to go from bad to good.
        leave_bad: f64,
        /// Probability of loss in the good state; 0 in Gilbert's model.
        good_loss: f64,
        /// Probability of loss in the bad state; 1 in the simplest model.
        bad_loss: f64,
    },
}

impl Loss {
    /// Bursts with a mean length of `burst` packets (at least 1) that lose `rate` of all packets (below 1).
    ///
    /// # Panics
    /// When no such chain exists: `rate` may be at most `burst / (burst + 1)`.
    pub fn bursts(rate: f64, burst: f64) -> Self {
        assert!(
            (0.0..1.0).contains(&rate),
            "a loss rate of {rate} is not from 0 to below 1"
        );
        assert!(burst >= 1.0, "a mean burst of {burst} packets is below 1");
        let leave_bad = 1.0 / burst;
        let enter_bad = rate * leave_bad / (1.0 - rate);
        assert!(
            enter_bad <= 1.0,
            "bursts of {burst} packets cannot lose {rate} of all: make them longer"
        );
        Self::GilbertElliott {
            enter_bad,
            leave_bad,
            good_loss: 0.0,
            bad_loss: 1.0,
        }
    }
}

/// Packets that are held back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reorder {
    /// Probability that a packet is held back, 0 to 1.
    pub probability: f64,
    /// How long, at least.
    pub min: Duration,
    /// How long, at most; evenly distributed.
    pub max: Duration,
}

/// What a hook says about a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Goes on.
    Pass,
    /// Is dropped.
    Drop,
    /// Goes on, and a copy with it.
    Duplicate,
    /// Is held back by so much and then comes to the link like any other, which the hook is not asked about again:
    /// later packets overtake it.
    Delay(Duration),
}

/// Decides on each packet that comes to a link, before anything else.
pub(crate) type Hook = Box<dyn FnMut(Duration, &PacketView<'_>) -> Verdict>;

/// One direction of a link at work.
pub(crate) struct Pipe {
    pub(crate) config: Direction,
    /// Number of the link.
    pub(crate) link: usize,
    pub(crate) from: u32,
    pub(crate) to: u32,
    /// Which of the ports of `to` it ends at.
    pub(crate) to_port: u32,
    pub(crate) up: bool,
    pub(crate) hook: Option<Hook>,
    rng: StdRng,
    queue: VecDeque<u32>,
    queued_bytes: usize,
    /// The packet whose turn it is.
    pub(crate) busy: Option<u32>,
    /// When everything that has left would be paid for at `rate`.
    paid_at: u64,
    last_arrival: u64,
    bad: bool,
}

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipe")
            .field("config", &self.config)
            .field("queued_bytes", &self.queued_bytes)
            .finish_non_exhaustive()
    }
}

impl Pipe {
    pub(crate) fn new(config: Direction, link: usize, from: u32, to: u32, to_port: u32, rng: StdRng) -> Self {
        Self {
            config,
            link,
            from,
            to,
            to_port,
            up: true,
            hook: None,
            rng,
            queue: VecDeque::new(),
            queued_bytes: 0,
            busy: None,
            paid_at: 0,
            last_arrival: 0,
            bad: false,
        }
    }

    /// Bytes and packets that wait.
    pub(crate) fn backlog(&self) -> (usize, usize) {
        (self.queued_bytes, self.queue.len())
    }

    pub(crate) fn has_room(&self, size: usize) -> bool {
        match self.config.queue.limit {
            Limit::Packets(packets) => self.queue.len() < packets,
            Limit::Bytes(bytes) => self.queued_bytes + size <= bytes,
            Limit::Time(time) => {
                let rate = self.config.rate;
                rate.is_none_or(|rate| self.queued_bytes + size <= rate.bytes_in(time))
            }
        }
    }

    pub(crate) fn push(&mut self, packet: u32, size: usize) {
        self.queue.push_back(packet);
        self.queued_bytes += size;
    }

    pub(crate) fn pop(&mut self) -> Option<u32> {
        self.queue.pop_front()
    }

    /// Tells the size of what was popped.
    pub(crate) fn popped(&mut self, size: usize) {
        self.queued_bytes = self.queued_bytes.saturating_sub(size);
    }

    /// When a packet whose turn it is now has left.
    pub(crate) fn leaves_at(&mut self, now: u64, size: usize) -> u64 {
        let Some(rate) = self.config.rate else { return now };
        self.paid_at = self.paid_at.max(now) + rate.nanos_for(size);
        let burst = rate.nanos_for(self.config.burst_bytes);
        self.paid_at.saturating_sub(burst).max(now)
    }

    /// Whether the queue marks a packet that waited so long.
    pub(crate) fn marks(&mut self, waited: Duration, ecn: Ecn) -> bool {
        let capable = matches!(ecn, Ecn::Ect0 | Ecn::Ect1);
        match self.config.queue.marking {
            Marking::None => false,
            Marking::Step(threshold) => capable && waited > threshold,
            Marking::L4s(threshold) => ecn == Ecn::Ect1 && waited > threshold,
            Marking::Ramp {
                min,
                max,
                max_probability,
            } => {
                if !capable || waited <= min {
                    return false;
                }
                let span = max.saturating_sub(min).as_nanos() as f64;
                let along = waited.saturating_sub(min).as_nanos() as f64;
                waited > max || self.happens(max_probability * along / span)
            }
        }
    }

    /// Whether the link loses a packet of so many fragments: each is lost for itself, and with one the whole.
    pub(crate) fn loses(&mut self, fragments: u16) -> bool {
        (0..fragments).fold(false, |lost, _| self.loses_one() || lost)
    }

    fn loses_one(&mut self) -> bool {
        match self.config.loss {
            Loss::None => false,
            Loss::Random(probability) => self.happens(probability),
            Loss::GilbertElliott {
                enter_bad,
                leave_bad,
                good_loss,
                bad_loss,
            } => {
                let change = if self.bad { leave_bad } else { enter_bad };
                if self.happens(change) {
                    self.bad = !self.bad;
                }
                self.happens(if self.bad { bad_loss } else { good_loss })
            }
        }
    }

    pub(crate) fn duplicates(&mut self) -> bool {
        self.happens(self.config.duplicate)
    }

    /// By how much the next packet is held back.
    pub(crate) fn holds_back(&mut self) -> Option<Duration> {
        let reorder = self.config.reorder?;
        if !self.happens(reorder.probability) {
            return None;
        }
        Some(reorder.min + self.up_to(reorder.max.saturating_sub(reorder.min)))
    }

    /// When a packet that leaves now arrives; `held` for so long more, and then without heed to the order.
    pub(crate) fn arrives_at(&mut self, now: u64, held: Option<Duration>) -> u64 {
        let jitter = self.up_to(self.config.jitter);
        let at = now + nanos(self.config.delay) + nanos(jitter);
        if let Some(held) = held {
            return at + nanos(held);
        }
        self.last_arrival = self.last_arrival.max(at);
        self.last_arrival
    }

    fn happens(&mut self, probability: f64) -> bool {
        // No number is drawn for what cannot be: a perfect link costs nothing.
        probability > 0.0 && self.rng.random::<f64>() < probability
    }

    fn up_to(&mut self, max: Duration) -> Duration {
        match nanos(max) {
            0 => Duration::ZERO,
            max => Duration::from_nanos(self.rng.random_range(0..=max)),
        }
    }
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos())
        .unwrap_or(u64::MAX / 4)
        .min(u64::MAX / 4)
}
