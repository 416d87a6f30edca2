use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::end::{DATAGRAM, End, Outbox, cost};
use super::floor::PAYLOAD;
use super::memory::{MAX_BATCH, carry};

/// Bytes of virtual time: how many are on the way for each second that it takes.
const RATE: f64 = 50e6;
/// So many packets arrive together.
const TOGETHER: usize = 32;
const PATIENCE: Duration = Duration::from_secs(300);

/// Two ends in one thread between which datagrams take so long, in virtual time, that a given number of bytes is on its way.
/// What acknowledges them takes no time.
pub(super) struct Line<E> {
    ends: [E; 2],
    now: Instant,
    start: Instant,
    delay: Duration,
    tick: Duration,
    /// Datagrams on their way, in the order in which they arrive: memory is used as a ring.
    slots: Vec<u8>,
    next_slot: usize,
    under_way: VecDeque<(Instant, usize, usize)>,
    slab: Vec<u8>,
    outbox: Outbox,
    flight: usize,
    /// Bytes that are to have arrived.
    goal: u64,
    /// The most that was ever on its way, in datagrams.
    most: usize,
    /// The sum of the datagrams that were on their way whenever some arrived, and how often that was.
    seen: (usize, usize),
}

impl<E: End> Line<E> {
    pub(super) fn connect(new: impl FnOnce(Instant) -> [E; 2], len: usize, flight: usize) -> Self {
        let now = Instant::now();
        let count = flight / PAYLOAD * 5 / 4 + 256;
        let mut this = Self {
            ends: new(now),
            now,
            start: now,
            delay: Duration::from_secs_f64(flight as f64 / RATE),
            tick: Duration::from_secs_f64((TOGETHER * PAYLOAD) as f64 / RATE),
            slots: vec![0; count * DATAGRAM],
            next_slot: 0,
            under_way: VecDeque::new(),
            slab: vec![0; MAX_BATCH * DATAGRAM],
            outbox: Outbox::new(len),
            flight,
            goal: 0,
            most: 0,
            seen: (0, 0),
        };
        while this.most * PAYLOAD < this.flight / 10 * 9 {
            this.top_up();
            this.step();
            assert!(this.now < now + PATIENCE, "so much must be on its way in the end");
        }
        this.goal = this.ends[1].inbox().bytes;
        this
    }

    /// Goes on until so many more bytes have arrived. CPU time and allocations for each megabyte.
    pub(super) fn transfer(&mut self, bytes: usize) -> (f64, f64) {
        let bytes = self.outbox.fill(bytes);
        // As much as is added, however far the last run went.
        self.goal += bytes;
        let goal = self.goal;
        self.seen = (0, 0);
        let cost = cost(bytes, || {
            while self.ends[1].inbox().bytes < goal {
                self.step();
            }
        });
        let (sum, count) = self.seen;
        let mean = sum / count * PAYLOAD;
        assert!(
            mean > self.flight / 2,
            "{mean} bytes were on their way, not {}",
            self.flight
        );
        cost
    }

    /// Gives the sender as much as it takes.
    fn top_up(&mut self) {
        while self.ends[0].is_open() && self.ends[0].held() < self.flight {
            self.outbox.fill(self.outbox.len());
            self.give();
        }
    }

    fn give(&mut self) {
        let left = &mut self.ends[0];
        if left.is_open() {
            self.outbox.give(self.now, left, self.flight + self.outbox.len() - 1);
        }
    }

    fn step(&mut self) {
        self.give();
        let [left, right] = &mut self.ends;
        let count = self.slots.len() / DATAGRAM;
        while self.under_way.len() < count
            && let slot = self.next_slot * DATAGRAM
            && let Some(len) = left.poll(self.now, &mut self.slots[slot..slot + DATAGRAM])
        {
            let arrival = self.now + self.delay - self.start;
            let ticks = (arrival.as_nanos() / self.tick.as_nanos()) as u32 + 1;
            self.under_way
                .push_back((self.start + self.tick * ticks, self.next_slot, len));
            self.next_slot = (self.next_slot + 1) % count;
        }
        self.most = self.most.max(self.under_way.len());
        let arrival = self.under_way.front().map(|(at, ..)| *at);
        let next = [arrival, left.due(), right.due()].into_iter().flatten().min();
        self.now = next.expect("something must happen").max(self.now);
        let before = right.inbox().bytes;
        let mut arrived = 0;
        while arrived < MAX_BATCH
            && let Some(&(at, slot, len)) = self.under_way.front()
            && at <= self.now
        {
            right.handle(self.now, &mut self.slots[slot * DATAGRAM..][..len]);
            self.under_way.pop_front();
            arrived += 1;
        }
        if arrived > 0 {
            right.settle(self.now);
            self.seen.0 += self.under_way.len() + arrived;
            self.seen.1 += 1;
        }
        carry(self.now, right, left, &mut self.slab);
        left.arrived((right.inbox().bytes - before) as usize);
        for end in &mut self.ends {
            if end.due().is_some_and(|due| due <= self.now) {
                end.handle_timeout(self.now);
                end.settle(self.now);
            }
        }
    }
}
