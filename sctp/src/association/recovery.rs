//! When something is lost, and what follows from it: the timers of the sender, its window and its pace (RFC 9260 §6.3, §7;
//! RFC 8985).

use core::time::Duration;
use std::time::Instant;

use crate::config::Config;
use crate::counters::Counters;
use crate::engine::congestion::{self, Pacer, Window};
use crate::engine::outbound::{Acked, Allowance, Filled, Lost, Outbound, Tolerance};
use crate::engine::rtt::Rtt;
use crate::engine::sooner;

/// How often the reordering window may be widened (RFC 8985 §6.2, step 4), in quarters of a round trip.
const MOST_QUARTERS: u32 = 8;

/// For how many recoveries it stays so (RFC 8985 §6.2, step 4).
const PERSISTENCE: u32 = 16;

/// By how many packets something must be overtaken to be lost at once, while no reordering was seen (RFC 9260 §7.2.4,
/// RFC 8985 §6.2, step 4).
const MISSING_REPORTS: u64 = 3;

/// No probe is sent earlier than this after the usual round trip: the peer's timers are not exact.
const LEAST_PROBE_DELAY: Duration = Duration::from_millis(10);

/// A chunk that is sent again for the sake of a SACK.
#[derive(Debug, Clone, Copy)]
struct Probe {
    tsn: u64,
    /// The number of its transmission.
    number: u64,
    /// TSNs that had come twice when it was sent.
    duplicates: u64,
}

#[derive(Debug)]
pub(super) struct Recovery {
    rtt: Rtt,
    window: Window,
    pacer: Pacer,
    /// A loss of a transmission with this number or a later one is news to the window (RFC 9438 §4.6).
    recovery: u64,
    is_recovering: bool,
    /// The round ends when this transmission has come, or a later one.
    round: u64,
    /// Bytes of a whole packet.
    packet: u64,
    /// The sender has more than the window or the pacer lets through.
    is_limited: bool,
    /// From when the timers count.
    progress: Instant,
    sent: Instant,
    /// When a chunk is lost unless it has come.
    reordering: Option<Instant>,
    quarters: u32,
    /// Recoveries until it is what it was.
    persistence: u32,
    /// It is widened again when this transmission has come, or a later one.
    widened: u64,
    /// The next packet goes out whatever the window says.
    must_probe: bool,
    /// A probe was sent since the last progress.
    has_probed: bool,
    probe: Option<Probe>,
    /// The last packet with data asked for a SACK at once.
    immediate: bool,
    /// Time-outs since the last progress.
    timeouts: u32,
    forwarded: Option<Instant>,
    total_timeouts: u64,
    spurious_timeouts: u64,
    probes: u64,
}

/// What a timer asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    /// The retransmission timer ran out: an error of the path.
    TimedOut,
}

impl Recovery {
    pub(super) fn new(config: &Config, now: Instant) -> Self {
        Self {
            rtt: Rtt::new(config, now),
            window: Window::new(config),
            pacer: Pacer::new(now),
            recovery: 0,
            is_recovering: false,
            round: 0,
            packet: config.base_packet as u64,
            is_limited: false,
            progress: now,
            sent: now,
            reordering: None,
            quarters: 1,
            persistence: 0,
            widened: 0,
            must_probe: false,
            has_probed: false,
            probe: None,
            immediate: false,
            timeouts: 0,
            forwarded: None,
            total_timeouts: 0,
            spurious_timeouts: 0,
            probes: 0,
        }
    }

    pub(super) fn counters(&self) -> Counters {
        Counters {
            sctp_timeouts: self.total_timeouts,
            sctp_spurious_timeouts: self.spurious_timeouts,
            sctp_probes: self.probes,
            ..Counters::default()
        }
    }

    pub(super) const fn rtt(&self) -> &Rtt {
        &self.rtt
    }

    pub(super) fn window(&self) -> u64 {
        self.window.bytes()
    }

    pub(super) fn rto(&self) -> Duration {
        self.rtt.rto(false)
    }

    /// A round trip that was not measured by data.
    pub(super) fn sample(&mut self, now: Instant, rtt: Duration) {
        self.rtt.sample(now, rtt);
        self.pacer.set_rate(&self.window, &self.rtt);
    }

    /// RFC 9260 §8.3.
    pub(super) const fn heartbeat_timed_out(&mut self) {
        self.rtt.timed_out();
    }

    pub(super) fn set_packet(&mut self, len: usize) {
        self.window.set_packet(len);
        self.packet = len as u64;
    }

    pub(super) fn allowance(&self, packet: usize, outbound: &Outbound) -> Allowance {
        // A window that stays closed is probed by one packet at a time (RFC 9260 §6.1 A).
        let is_probing = self.timeouts > 0 && outbound.is_window_closed();
        Allowance {
            window: if is_probing { 1 } else { self.window.bytes() },
            packet,
            is_probe: self.must_probe,
        }
    }

    /// Whether the pace lets data through now.
    pub(super) fn is_ready(&mut self, now: Instant) -> bool {
        self.must_probe || self.pacer.ready(now)
    }

    /// The association is up: what went with COOKIE ECHO counts from now on.
    pub(super) const fn opened(&mut self, now: Instant) {
        self.progress = now;
        self.sent = now;
    }

    /// A packet is about to get its data.
    pub(super) fn begins(&mut self, now: Instant, outbound: &Outbound) {
        if outbound.flight() == 0 && !self.must_probe {
            let idle = now.saturating_duration_since(self.progress.max(self.sent));
            self.window.resumed(idle, self.rtt.rto(false));
            self.progress = now;
        }
    }

    /// A packet of so many bytes has got its data.
    pub(super) fn sent(&mut self, now: Instant, len: usize, filled: Filled, outbound: &Outbound) {
        if filled.forwards {
            self.forwarded = Some(now);
            // It cannot ask for a SACK at once.
            self.immediate = false;
            self.sent = now;
        }
        if filled.chunks == 0 {
            if self.must_probe {
                // Nothing was left that could be a probe.
                self.must_probe = false;
                self.probe = None;
            }
            return;
        }
        self.pacer.sent(now, len);
        self.sent = now;
        self.immediate = filled.immediate;
        self.must_probe = false;
        self.is_limited = outbound.has_data();
    }

    /// What a SACK said. `flight` is what was in flight before.
    pub(super) fn acked(&mut self, now: Instant, acked: &Acked, flight: u64, outbound: &mut Outbound) -> Lost {
        let has_moved = acked.moved || acked.bytes > 0;
        if has_moved {
            if self.timeouts > 0 && acked.late {
                self.spurious_timeouts = self.spurious_timeouts.saturating_add(1);
                self.window.undo();
                outbound.find_again();
            }
            self.progress = now;
            self.timeouts = 0;
            self.must_probe = false;
        }
        // A probe that has come beyond a gap, and let nothing before it be found lost, is not followed by another: what is
        // missing has its time-out (RFC 8985 §7.2). One probe after the other would bring a packet each.
        self.has_probed &= !acked.moved;
        if let Some(rtt) = acked.rtt {
            self.rtt.sample(now, rtt);
        }
        let newest = outbound.newest_acked();
        if acked.duplicates > 0 && self.probe.is_none() && newest.is_some_and(|newest| newest >= self.widened) {
            // RFC 8985 §6.2, step 4: what was sent again had come, so that we were too quick.
            self.quarters = self.quarters.saturating_add(1).min(MOST_QUARTERS);
            self.persistence = PERSISTENCE;
            self.widened = outbound.transmissions();
        }
        let round_ended = newest.is_some_and(|newest| newest >= self.round);
        if round_ended {
            self.round = outbound.transmissions();
        }
        if self.is_recovering && newest.is_some_and(|newest| newest >= self.recovery) {
            self.is_recovering = false;
            self.persistence = self.persistence.saturating_sub(1);
            if self.persistence == 0 {
                self.quarters = 1;
            }
        }
        self.judge_probe(outbound);
        let news = congestion::Acked {
            bytes: acked.bytes,
            in_flight: flight,
            limited: self.is_limited && !self.is_recovering,
            rtt: acked.rtt,
            round_ended,
        };
        self.window.acked(now, &news, &self.rtt);
        let lost = self.detect(now, outbound);
        self.pacer.set_rate(&self.window, &self.rtt);
        if outbound.is_forwarding() {
            let round_trip = self.rtt.smoothed().unwrap_or_else(|| self.rtt.rto(false));
            if self
                .forwarded
                .is_none_or(|at| now.saturating_duration_since(at) >= round_trip)
            {
                outbound.repeat_forward();
            }
        }
        lost
    }

    /// RFC 8985 §7.4.2: when what was sent after the probe has come, and nothing had come twice, the probe has mended a loss
    /// that nobody saw.
    fn judge_probe(&mut self, outbound: &Outbound) {
        let Some(probe) = self.probe else { return };
        if outbound.spurious_retransmissions > probe.duplicates {
            self.probe = None;
        } else if outbound.has_passed(probe.tsn) && outbound.newest_acked().is_some_and(|newest| newest > probe.number)
        {
            self.reduce(outbound);
        }
    }

    fn reduce(&mut self, outbound: &Outbound) {
        self.window.lost();
        // What it may have mended is dealt with.
        self.probe = None;
        self.recovery = outbound.transmissions();
        self.is_recovering = true;
    }

    fn detect(&mut self, now: Instant, outbound: &mut Outbound) -> Lost {
        let lost = outbound.detect(now, self.tolerance(outbound));
        self.reordering = lost.next;
        if lost.newest.is_some_and(|newest| newest >= self.recovery) {
            self.reduce(outbound);
        }
        lost
    }

    /// RFC 8985 §6.2, step 4. Beyond what that says, whatever came twice counts as reordering: what is overtaken by far is sent
    /// again before it comes, and would never be seen to come late.
    fn tolerance(&self, outbound: &Outbound) -> Tolerance {
        let (Some(least), Some(smoothed)) = (self.rtt.min(), self.rtt.smoothed()) else {
            return Tolerance::NONE;
        };
        let is_reordering = outbound.saw_reordering() || self.quarters > 1;
        if self.is_recovering && !is_reordering {
            return Tolerance::NONE;
        }
        let quarter = least.checked_div(4).unwrap_or_default();
        Tolerance {
            window: quarter.saturating_mul(self.quarters).min(smoothed),
            packets: if is_reordering { u64::MAX } else { MISSING_REPORTS },
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do, or the pace lets something through.
    pub(super) fn poll_timeout(&self, outbound: &Outbound, packet: usize) -> Option<Instant> {
        let allowance = self.allowance(packet, outbound);
        let pace = self.pacer.poll_timeout().filter(|_| outbound.may_send(allowance));
        let timer = self.timer(outbound).map(|(at, _)| at);
        sooner(pace, sooner(timer, self.reordering))
    }

    /// The retransmission timer, or that of the probe, which comes first.
    fn timer(&self, outbound: &Outbound) -> Option<(Instant, bool)> {
        if outbound.flight() == 0 && !outbound.is_forwarding() {
            return None;
        }
        let rto = self.rtt.rto(self.immediate);
        if let Some(smoothed) = self.rtt.smoothed()
            && !self.has_probed
            && self.timeouts == 0
            // What was overtaken is dealt with by then (RFC 8985 §8).
            && self.reordering.is_none()
        {
            // The SACK of a single packet may be delayed (RFC 8985 §7.2).
            let is_single = !self.immediate && outbound.flight() <= self.packet;
            let delay = if is_single {
                rto
            } else {
                smoothed.max(LEAST_PROBE_DELAY)
            };
            let wait = smoothed.saturating_add(delay).min(rto);
            // From the last transmission, since SACKs of earlier ones say nothing about it (as RFC 9002 §6.2.1 has it).
            return Some((self.sent.checked_add(wait)?, true));
        }
        let at = self.progress.checked_add(self.rtt.rto(false))?;
        if !self.immediate {
            return Some((at, false));
        }
        // What asked for a SACK at once was perhaps sent much later than what the timer began with.
        let asked = self.progress.max(self.sent).checked_add(rto)?;
        Some((at.min(asked), false))
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, outbound: &mut Outbound) -> (Due, Lost) {
        let mut lost = Lost::default();
        if self.reordering.is_some_and(|at| at <= now) {
            lost = self.detect(now, outbound);
            self.pacer.set_rate(&self.window, &self.rtt);
        }
        let Some((_, is_probe)) = self.timer(outbound).filter(|(at, _)| *at <= now) else {
            return (Due::Nothing, lost);
        };
        self.progress = now;
        outbound.repeat_forward();
        if is_probe {
            self.has_probed = true;
            self.probes = self.probes.saturating_add(1);
            self.must_probe = true;
            if !outbound.has_data() {
                let number = outbound.transmissions();
                self.probe = outbound.repeat_last().map(|tsn| Probe {
                    tsn,
                    number,
                    duplicates: outbound.spurious_retransmissions,
                });
                self.must_probe = self.probe.is_some();
            }
            return (Due::Nothing, lost);
        }
        self.timeouts = self.timeouts.saturating_add(1);
        self.total_timeouts = self.total_timeouts.saturating_add(1);
        self.probe = None;
        self.must_probe = false;
        self.rtt.timed_out();
        // A closed window is no sign of a full path.
        if !outbound.is_window_closed() {
            self.window.timed_out();
        }
        // Gap ack blocks are not binding (RFC 9260 §6.2.1 D): after a second time-out they are not believed.
        let all = outbound.lose_all(now, self.timeouts > 1);
        lost.largest_again = lost.largest_again.max(all.largest_again);
        self.recovery = outbound.transmissions();
        self.is_recovering = false;
        self.pacer.set_rate(&self.window, &self.rtt);
        (Due::TimedOut, lost)
    }
}
