use std::time::{Duration, Instant};

use super::end::{DATAGRAM, End, Outbox, cost};

/// The most datagrams that are carried over together.
pub(super) const MAX_BATCH: usize = 32;
/// Virtual time from one datagram to the next: that of 10 Gbit/s.
const SPACING: Duration = Duration::from_micros(1);
/// Until both ends are connected.
const PATIENCE: Duration = Duration::from_secs(30);

/// Two ends in one thread, in virtual time, between which nothing takes any.
pub(super) struct Pair<E> {
    ends: [E; 2],
    now: Instant,
    /// Datagrams that are carried over together.
    batch: usize,
    slab: Vec<u8>,
    outbox: Outbox,
    /// What the sender holds at most.
    room: usize,
}

impl<E: End> Pair<E> {
    /// `new` makes the ends.
    pub(super) fn connect(new: impl FnOnce(Instant) -> [E; 2], len: usize, batch: usize, room: usize) -> Self {
        let now = Instant::now();
        let mut this = Self {
            ends: new(now),
            now,
            batch,
            slab: vec![0; MAX_BATCH * DATAGRAM],
            outbox: Outbox::new(len),
            room,
        };
        while !this.ends.iter().all(E::is_open) {
            this.step();
            assert!(this.now < now + PATIENCE, "they must connect");
        }
        this
    }

    /// Sends so many bytes in messages. CPU time and allocations for each megabyte.
    pub(super) fn transfer(&mut self, bytes: usize) -> (f64, f64) {
        let bytes = self.outbox.fill(bytes);
        let goal = self.ends[1].inbox().bytes + bytes;
        cost(bytes, || {
            while self.ends[1].inbox().bytes < goal {
                self.step();
            }
        })
    }

    fn step(&mut self) {
        let now = self.now;
        let [left, right] = &mut self.ends;
        if left.is_open() {
            self.outbox.give(now, left, self.room);
        }
        let slab = &mut self.slab[..self.batch * DATAGRAM];
        let before = right.inbox().bytes;
        let carried = carry(now, left, right, slab) + carry(now, right, left, slab);
        left.arrived((right.inbox().bytes - before) as usize);
        if carried == 0 {
            let due = [left.due(), right.due()];
            self.now = due.into_iter().flatten().min().expect("something must happen").max(now);
        } else {
            self.now += SPACING * carried;
        }
        for end in &mut self.ends {
            if end.due().is_some_and(|due| due <= self.now) {
                end.handle_timeout(self.now);
                end.settle(self.now);
            }
        }
    }
}

/// Takes a batch of datagrams from one to the other. How many there were.
pub(super) fn carry<E: End>(now: Instant, from: &mut E, to: &mut E, slab: &mut [u8]) -> u32 {
    let mut lens = [0; MAX_BATCH];
    let mut count = 0;
    for (slot, len) in slab.chunks_exact_mut(DATAGRAM).zip(&mut lens) {
        let Some(written) = from.poll(now, slot) else { break };
        *len = written;
        count += 1;
    }
    for (slot, len) in slab.chunks_exact_mut(DATAGRAM).zip(lens).take(count) {
        to.handle(now, &mut slot[..len]);
    }
    if count > 0 {
        to.settle(now);
    }
    count as u32
}
