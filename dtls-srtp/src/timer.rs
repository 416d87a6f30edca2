use std::time::{Duration, Instant};

/// When a flight is sent again, and when the handshake is given up (RFC 6347 §4.2.4).
///
/// RFC 6347 starts at one second and doubles up to a minute. This timer starts at 1.5 times the round trip that ICE has
/// measured, doubles to one second and stays there: ICE has proven that the path works, so silence means loss, and a
/// user who waits for a call notices every second. Never below 50 ms, where both browsers start too: the peer needs
/// time for its signatures.
#[derive(Debug, Clone)]
pub(crate) struct RetransmitTimer {
    first: Duration,
    interval: Duration,
    /// Whether the flight left at least once.
    sent: bool,
    retransmit_at: Option<Instant>,
    acknowledge_at: Option<Instant>,
    give_up_at: Option<Instant>,
}

impl RetransmitTimer {
    const FIRST: Duration = Duration::from_millis(100);
    const LEAST: Duration = Duration::from_millis(50);
    const MOST: Duration = Duration::from_secs(1);

    pub(crate) const fn new() -> Self {
        Self {
            first: Self::FIRST,
            interval: Self::FIRST,
            sent: false,
            retransmit_at: None,
            acknowledge_at: None,
            give_up_at: None,
        }
    }

    /// The interval that is running, or would be.
    pub(crate) const fn interval(&self) -> Duration {
        self.interval
    }

    /// When something is due next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        [self.retransmit_at, self.acknowledge_at, self.give_up_at]
            .into_iter()
            .flatten()
            .min()
    }

    /// Takes a measured round trip; it holds from the next flight on that is not sent yet.
    pub(crate) fn set_rtt(&mut self, rtt: Duration) {
        self.first = rtt.saturating_add(rtt / 2).clamp(Self::LEAST, Self::MOST);
        if !self.sent {
            self.interval = self.first;
        }
    }

    /// Starts the clock of the whole handshake, unless it runs. Patience beyond what the clock can tell has no end.
    pub(crate) fn start(&mut self, now: Instant, patience: Duration) {
        self.give_up_at = self.give_up_at.or_else(|| now.checked_add(patience));
    }

    /// A new flight is on its way.
    pub(crate) fn begin_flight(&mut self) {
        self.interval = self.first;
        self.sent = false;
        self.retransmit_at = None;
        self.acknowledge_at = None;
    }

    /// Part of the peer's flight is there: it is acknowledged unless the rest follows within a quarter of the interval
    /// (RFC 9147 §7.1).
    pub(crate) fn acknowledge_later(&mut self, now: Instant) {
        self.acknowledge_at = self.acknowledge_at.or_else(|| now.checked_add(self.interval / 4));
    }

    /// A flight was written out completely.
    pub(crate) fn flight_sent(&mut self, now: Instant) {
        self.sent = true;
        self.retransmit_at = Some(now + self.interval);
    }

    /// There is nothing to acknowledge.
    pub(crate) fn do_not_acknowledge(&mut self) {
        self.acknowledge_at = None;
    }

    /// Nothing is awaited any more, so nothing is sent again by the clock.
    pub(crate) fn stop_retransmitting(&mut self) {
        self.retransmit_at = None;
    }

    /// The handshake is over.
    pub(crate) fn stop(&mut self) {
        self.retransmit_at = None;
        self.acknowledge_at = None;
        self.give_up_at = None;
    }

    /// What the clock says; a retransmission that is due doubles the interval and disarms until
    /// [`flight_sent`](Self::flight_sent).
    pub(crate) fn poll(&mut self, now: Instant) -> Option<Due> {
        if self.give_up_at.is_some_and(|at| at <= now) {
            self.stop();
            return Some(Due::GiveUp);
        }
        if self.retransmit_at.is_some_and(|at| at <= now) {
            self.retransmit_at = None;
            self.interval = self.interval.saturating_mul(2).min(Self::MOST);
            return Some(Due::Retransmit);
        }
        if self.acknowledge_at.is_some_and(|at| at <= now) {
            self.acknowledge_at = None;
            return Some(Due::Acknowledge);
        }
        None
    }
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    Retransmit,
    Acknowledge,
    GiveUp,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When the flight leaves, in milliseconds after the first time, until the timer gives up.
    fn schedule(rtt: Option<Duration>) -> (Vec<u128>, u128) {
        let start = Instant::now();
        let mut timer = RetransmitTimer::new();
        if let Some(rtt) = rtt {
            timer.set_rtt(rtt);
        }
        timer.start(start, Duration::from_secs(30));
        timer.begin_flight();
        timer.flight_sent(start);
        let mut sent = Vec::new();
        loop {
            let now = timer.deadline().unwrap();
            match timer.poll(now) {
                Some(Due::Retransmit) => {
                    sent.push((now - start).as_millis());
                    timer.flight_sent(now);
                }
                Some(Due::GiveUp) => return (sent, (now - start).as_millis()),
                Some(Due::Acknowledge) | None => panic!("woken without reason"),
            }
        }
    }

    #[test]
    fn doubles_to_a_second_and_stays() {
        let (sent, end) = schedule(None);
        assert_eq!(sent[..7], [100, 300, 700, 1500, 2500, 3500, 4500]);
        assert_eq!((sent.len(), end), (32, 30_000));
    }

    #[test]
    fn starts_from_the_measured_round_trip() {
        assert_eq!(schedule(Some(Duration::from_millis(200))).0[..3], [300, 900, 1900]);
        assert_eq!(schedule(Some(Duration::from_micros(300))).0[..3], [50, 150, 350]);
        assert_eq!(schedule(Some(Duration::from_secs(5))).0[..2], [1000, 2000]);
    }

    #[test]
    fn patience_may_be_endless() {
        let mut timer = RetransmitTimer::new();
        timer.start(Instant::now(), Duration::MAX);
        assert_eq!(timer.deadline(), None);
    }

    #[test]
    fn acknowledgements_wait_for_a_quarter_and_not_for_ever() {
        let start = Instant::now();
        let mut timer = RetransmitTimer::new();
        timer.acknowledge_later(start);
        timer.acknowledge_later(start + Duration::from_millis(20));
        assert_eq!(timer.poll(start + Duration::from_millis(24)), None);
        assert_eq!(timer.poll(start + Duration::from_millis(25)), Some(Due::Acknowledge));
        assert_eq!(timer.deadline(), None);
        timer.acknowledge_later(start);
        timer.begin_flight();
        assert_eq!(timer.deadline(), None);
    }

    #[test]
    fn spurious_polls_do_nothing() {
        let start = Instant::now();
        let mut timer = RetransmitTimer::new();
        assert_eq!(timer.poll(start), None);
        timer.begin_flight();
        timer.flight_sent(start);
        assert_eq!(timer.poll(start + Duration::from_millis(99)), None);
        assert_eq!(timer.poll(start + Duration::from_millis(100)), Some(Due::Retransmit));
        assert_eq!(timer.poll(start + Duration::from_millis(100)), None);
        timer.stop();
        assert_eq!(timer.deadline(), None);
    }
}
