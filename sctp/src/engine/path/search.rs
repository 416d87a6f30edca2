use std::time::{Duration, Instant};

use super::Nonce;

/// `MAX_PROBES` (RFC 8899 §5.1.2), of each size.
const MAX_PROBES: u32 = 3;
/// `PMTU_RAISE_TIMER` (RFC 8899 §5.1.1).
const RAISE: Duration = Duration::from_secs(600);
/// `PROBE_TIMER` (RFC 8899 §5.1.1) at least. The RFC would rather have 15 s, for paths whose round trip is not known.
const LEAST_PROBE_TIMER: Duration = Duration::from_secs(1);
/// A search ends when this is the most that there is to gain, in bytes.
const LEAST_GAIN: usize = 16;
/// Large packets lost, with none that arrived in between, that make a black hole.
const BLACK_HOLE: u32 = 3;

/// The search for the largest packet that arrives: Datagram Packetization Layer PMTU Discovery (RFC 8899 §5), with HEARTBEAT and
/// PAD (§6.2.3). First the largest that there may be is tried, and then the middle between what arrives and what does not.
#[derive(Debug)]
pub(super) struct Search {
    base: usize,
    largest: usize,
    /// PLPMTU.
    confirmed: usize,
    /// The least size that is known to fail.
    failed: Option<usize>,
    /// The probe of [`next_size`](Self::next_size) that is under way, or the last one that was.
    probe: Option<Probe>,
    /// `PROBE_COUNT`.
    tries: u32,
    /// When the next probe is sent, unless one is under way.
    next: Option<Instant>,
    /// Large packets that were lost again since one arrived.
    lost: u32,
}

#[derive(Debug)]
struct Probe {
    /// The same for all tries of one size, so that a late answer counts.
    nonce: Nonce,
    sent: Instant,
    /// `PROBE_TIMER`; none once it ran out.
    deadline: Option<Instant>,
}

impl Search {
    pub(super) fn new(base: usize, largest: usize, now: Instant) -> Self {
        let base = base & !3;
        Self {
            base,
            largest: base.max(largest & !3),
            confirmed: base,
            failed: None,
            probe: None,
            tries: 0,
            next: Some(now),
            lost: 0,
        }
    }

    /// PLPMTU.
    pub(super) const fn confirmed(&self) -> usize {
        self.confirmed
    }

    /// `PROBED_SIZE`: of the next probe, or of the one under way.
    pub(super) const fn next_size(&self) -> usize {
        match self.failed {
            None => self.largest,
            Some(failed) => self.confirmed.midpoint(failed) & !3,
        }
    }

    pub(super) fn start(&mut self, now: Instant) {
        self.search(now);
    }

    /// When the next probe is to be sent.
    pub(super) fn due(&self) -> Option<Instant> {
        let is_under_way = self.deadline().is_some();
        self.next.filter(|_| !is_under_way && self.confirmed < self.largest)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.deadline().or_else(|| self.due())
    }

    fn deadline(&self) -> Option<Instant> {
        self.probe.as_ref().and_then(|probe| probe.deadline)
    }

    /// A probe is sent. `fresh` is its nonce, unless it is another try; the one that it has is given back.
    pub(super) fn sent(&mut self, now: Instant, rto: Duration, fresh: Nonce) -> Nonce {
        let nonce = self.probe.as_ref().map_or(fresh, |probe| probe.nonce);
        self.probe = Some(Probe {
            nonce,
            sent: now,
            deadline: now.checked_add(rto.max(LEAST_PROBE_TIMER)),
        });
        nonce
    }

    /// The size cannot even be sent.
    pub(super) fn refused(&mut self, now: Instant) {
        self.fail(now);
    }

    /// Takes a HEARTBEAT ACK; none if it answers no probe. The round trip is only known when there was one try.
    pub(super) fn answered(&mut self, now: Instant, info: &[u8]) -> Option<Option<Duration>> {
        let probe = self.probe.take_if(|probe| probe.nonce == info)?;
        let rtt = (self.tries == 0).then(|| now.saturating_duration_since(probe.sent));
        self.confirmed = self.next_size();
        self.lost = 0;
        self.tries = 0;
        self.search(now);
        Some(rtt)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        let Some(probe) = &mut self.probe else { return };
        if probe.deadline.take_if(|deadline| *deadline <= now).is_none() {
            return;
        }
        self.tries = self.tries.saturating_add(1);
        if self.tries >= MAX_PROBES {
            self.fail(now);
        }
    }

    pub(super) const fn acknowledged(&mut self, largest_packet: usize) {
        if largest_packet > self.base {
            self.lost = 0;
        }
    }

    /// RFC 8899 §4.3: then the search begins anew below what was believed to be possible.
    pub(super) fn lost_again(&mut self, now: Instant, packet: usize) {
        if packet <= self.base || packet > self.confirmed {
            return;
        }
        self.lost = self.lost.saturating_add(1);
        if self.lost >= BLACK_HOLE {
            let failed = self.confirmed;
            self.confirmed = self.base;
            self.failed = Some(failed);
            self.probe = None;
            self.tries = 0;
            self.search(now);
        }
    }

    fn fail(&mut self, now: Instant) {
        self.failed = Some(self.next_size());
        self.probe = None;
        self.tries = 0;
        self.search(now);
    }

    /// Goes on at once if there is something to gain, or after [`RAISE`].
    fn search(&mut self, now: Instant) {
        let gain = self.failed.map(|failed| failed.saturating_sub(self.confirmed));
        if gain.is_some_and(|gain| gain <= LEAST_GAIN) {
            self.failed = None;
            self.next = now.checked_add(RAISE);
        } else {
            self.next = Some(now);
        }
    }
}
