use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use crate::ended::Numbers;
use crate::packet::{TcpFlags, TcpHeader};

/// What a receiver holds at most, in bytes: out of order, and while the endpoint does not read.
const RECEIVE_BUFFER: usize = 1 << 20;
const INITIAL_RTO: u64 = 1_000_000_000;
/// As Linux has it; RFC 6298 §2.4 would have 1 s, and simulations would wait.
const MIN_RTO: u64 = 200_000_000;
const MAX_RTO: u64 = 60_000_000_000;
/// Retransmissions of a SYN before the peer is given up: 1 + 2 + 4 + 8 + 16 + 32 s, and 60 s for the last.
const SYN_RETRIES: u32 = 6;
/// Retransmissions of data in a row before the peer is given up.
const DATA_RETRIES: u32 = 10;

/// What a connection wants of the network and of its endpoint.
#[derive(Debug)]
pub(crate) enum Out {
    /// Send this, with so many bytes of the stream from the header's sequence number on.
    Segment(TcpHeader, usize),
    Connected,
    Accepted,
    Refused,
    /// To no SYN.
    NoAnswer,
    /// To no data.
    Silent,
    Data(Vec<u8>),
    Writable,
    Finished,
    Reset,
    /// Everything of both directions has been sent and acknowledged.
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    SynSent,
    SynReceived,
    Open,
    /// Both ends have finished and everything is acknowledged. Otherwise like `Gone`.
    Closed,
    /// No longer of interest; the owner removes it.
    Gone,
}

/// One end of a TCP connection: NewReno (RFC 6582) with the timer of RFC 6298, without options but the MSS.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) node: u32,
    pub(crate) endpoint: u32,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    /// When it has to be woken.
    pub(crate) timer: Option<u64>,
    /// The earliest wake-up that is in the queue of events.
    pub(crate) armed: u64,
    state: State,
    passive: bool,
    /// What we tell the peer that we take.
    own_mss: u16,
    /// What we send.
    mss: usize,
    una: u64,
    nxt: u64,
    max_sent: u64,
    /// What is not acknowledged yet, from `start` on.
    buffer: VecDeque<u8>,
    start: u64,
    capacity: usize,
    finishing: bool,
    peer_window: usize,
    /// Sequence and acknowledgement number of the segment that told the window: SND.WL1 and SND.WL2.
    window_from: (u64, u64),
    congestion_window: usize,
    threshold: usize,
    duplicate_acks: u32,
    /// Behind the last byte that had been sent when the last loss was noticed (RFC 6582 §3.2).
    recover: u64,
    recovering: bool,
    rto: u64,
    smoothed: Option<u64>,
    variation: u64,
    backoff: u32,
    timed: Option<(u64, u64)>,
    wants_room: bool,
    /// Next byte of the peer.
    rcv: u64,
    early: BTreeMap<u64, Vec<u8>>,
    early_bytes: usize,
    peer_fin: Option<u64>,
    peer_finished: bool,
    told_finished: bool,
    paused: bool,
    held: Vec<u8>,
}

impl Connection {
    pub(crate) fn new(
        (node, endpoint): (u32, u32),
        local: SocketAddr,
        remote: SocketAddr,
        first: u32,
        mss: u16,
        capacity: usize,
    ) -> Self {
        let first = u64::from(first);
        Self {
            node,
            endpoint,
            local,
            remote,
            timer: None,
            armed: u64::MAX,
            state: State::SynSent,
            passive: false,
            own_mss: mss,
            mss: mss.into(),
            una: first,
            nxt: first,
            max_sent: first,
            buffer: VecDeque::new(),
            start: first + 1,
            capacity,
            finishing: false,
            peer_window: 65_535,
            window_from: (0, 0),
            congestion_window: 10 * usize::from(mss),
            threshold: usize::MAX,
            duplicate_acks: 0,
            recover: first,
            recovering: false,
            rto: INITIAL_RTO,
            smoothed: None,
            variation: 0,
            backoff: 0,
            timed: None,
            wants_room: false,
            rcv: 0,
            early: BTreeMap::new(),
            early_bytes: 0,
            peer_fin: None,
            peer_finished: false,
            told_finished: false,
            paused: false,
            held: Vec::new(),
        }
    }

    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.state, State::Gone | State::Closed)
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Whether it is still being opened by us.
    pub(crate) fn is_connecting(&self) -> bool {
        !self.passive && matches!(self.state, State::SynSent | State::SynReceived)
    }

    /// What a late segment of the peer is answered with after the end, when that was a good one. After any other, there
    /// is RST for it (RFC 9293 §3.10.7.1).
    pub(crate) fn numbers(&self) -> Option<Numbers> {
        let numbers = Numbers {
            seq: self.nxt,
            ack: self.rcv,
        };
        (self.state == State::Closed).then_some(numbers)
    }

    /// The bytes of the stream that a segment carries.
    pub(crate) fn bytes(&self, seq: u64, len: usize, into: &mut Vec<u8>) {
        let from = seq.saturating_sub(self.start) as usize;
        let to = (from + len).min(self.buffer.len());
        into.extend(self.buffer.range(from.min(to)..to));
    }

    /// Bytes that can be written now.
    pub(crate) fn room(&self) -> usize {
        if self.finishing || self.is_gone() {
            0
        } else {
            self.capacity.saturating_sub(self.buffer.len())
        }
    }

    /// Sends the SYN.
    pub(crate) fn open(&mut self, now: u64, out: &mut Vec<Out>) {
        self.nxt = self.una + 1;
        self.max_sent = self.nxt;
        self.timed = Some((self.nxt, now));
        self.send_syn(now, out);
    }

    /// Answers the SYN that it was made for.
    pub(crate) fn accept(&mut self, now: u64, syn: &TcpHeader, out: &mut Vec<Out>) {
        self.passive = true;
        self.state = State::SynReceived;
        self.take_syn(syn);
        self.open(now, out);
    }

    /// Takes what fits of `bytes`, and says how much.
    pub(crate) fn write(&mut self, now: u64, bytes: &[u8], out: &mut Vec<Out>) -> usize {
        let taken = bytes.len().min(self.room());
        self.buffer.extend(&bytes[..taken]);
        self.wants_room |= taken < bytes.len();
        self.pump(now, out);
        taken
    }

    /// Asks to be told when there is room again.
    pub(crate) fn want_room(&mut self) {
        self.wants_room = true;
    }

    /// Nothing more will be written.
    pub(crate) fn finish(&mut self, now: u64, out: &mut Vec<Out>) {
        self.finishing = true;
        self.pump(now, out);
    }

    /// Ends it at once.
    pub(crate) fn reset(&mut self, out: &mut Vec<Out>) {
        if self.state != State::SynSent && !self.is_gone() {
            let flags = TcpFlags {
                ack: true,
                ..TcpFlags::RST
            };
            out.push(Out::Segment(self.header(self.nxt, flags), 0));
        }
        self.state = State::Gone;
        self.timer = None;
    }

    /// Whether what comes is handed on, or held until the window is full.
    pub(crate) fn set_reading(&mut self, reading: bool, out: &mut Vec<Out>) {
        self.paused = !reading;
        if reading && !self.held.is_empty() {
            out.push(Out::Data(std::mem::take(&mut self.held)));
            out.push(Out::Segment(self.header(self.nxt, TcpFlags::ACK), 0));
        }
        self.tell_finished(out);
    }

    /// The way takes no more than so many bytes of payload.
    pub(crate) fn lower_mss(&mut self, now: u64, mss: usize, out: &mut Vec<Out>) {
        if mss < self.mss && self.state == State::Open {
            self.mss = mss.max(1);
            self.timed = None;
            self.nxt = self.una;
            self.pump(now, out);
        }
    }

    /// The network says that the peer cannot be reached: fatal only to a connection that is being opened.
    pub(crate) fn unreachable(&mut self) -> bool {
        let fatal = self.is_connecting();
        if fatal {
            self.state = State::Gone;
            self.timer = None;
        }
        fatal
    }

    pub(crate) fn handle_segment(&mut self, now: u64, header: &TcpHeader, payload: &[u8], out: &mut Vec<Out>) {
        match self.state {
            State::Gone | State::Closed => return,
            State::SynSent => return self.opening(now, header, out),
            State::SynReceived => {
                if !self.half_open(now, header, out) {
                    return;
                }
            }
            State::Open => {}
        }
        if header.flags.rst {
            if header.seq >= self.rcv && header.seq < self.rcv + RECEIVE_BUFFER as u64 {
                let reset = if self.peer_finished && self.finishing {
                    Out::Closed
                } else {
                    Out::Reset
                };
                self.end(reset, out);
            }
            return;
        }
        if header.flags.syn {
            // Our ACK was lost, or this is the second half of a simultaneous open.
            out.push(Out::Segment(self.header(self.nxt, TcpFlags::ACK), 0));
            return self.pump(now, out);
        }
        if header.flags.ack {
            self.acknowledged(now, header, payload.is_empty(), out);
        }
        self.receive(header, payload, out);
        self.pump(now, out);
        if self.peer_finished && self.finishing && self.una == self.end_of_data() + 1 {
            self.tell_finished(out);
            self.end(Out::Closed, out);
            self.state = State::Closed;
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: u64, out: &mut Vec<Out>) {
        if self.timer.is_none_or(|timer| timer > now) {
            return;
        }
        self.timer = None;
        self.timed = None;
        match self.state {
            State::Gone | State::Closed => {}
            State::SynSent | State::SynReceived => {
                self.backoff += 1;
                if self.backoff > SYN_RETRIES {
                    return self.end(Out::NoAnswer, out);
                }
                self.send_syn(now, out);
            }
            State::Open => self.retransmit_all(now, out),
        }
    }

    fn take_syn(&mut self, syn: &TcpHeader) {
        self.rcv = syn.seq + 1;
        self.take_window(syn);
        if syn.mss > 0 {
            self.mss = self.mss.min(syn.mss.into());
            self.congestion_window = 10 * self.mss;
        }
    }

    /// SYN-SENT (RFC 9293 §3.10.7.3).
    fn opening(&mut self, now: u64, header: &TcpHeader, out: &mut Vec<Out>) {
        let ours = header.flags.ack && header.ack == self.nxt;
        if header.flags.rst {
            if ours {
                self.end(Out::Refused, out);
            }
            return;
        }
        if header.flags.ack && !ours {
            return self.refuse(header, out);
        }
        if !header.flags.syn {
            return;
        }
        self.take_syn(header);
        if ours {
            self.established(now, header, out);
            out.push(Out::Segment(self.header(self.nxt, TcpFlags::ACK), 0));
            self.pump(now, out);
        } else {
            // Simultaneous open.
            self.state = State::SynReceived;
            self.send_syn(now, out);
        }
    }

    /// SYN-RECEIVED; whether the segment is to be looked at further.
    fn half_open(&mut self, now: u64, header: &TcpHeader, out: &mut Vec<Out>) -> bool {
        if header.flags.rst {
            if header.seq == self.rcv {
                self.end(Out::Refused, out);
            }
            return false;
        }
        if header.flags.ack && header.ack == self.nxt {
            self.established(now, header, out);
            return true;
        }
        if header.flags.ack {
            self.refuse(header, out);
        } else if header.flags.syn {
            self.send_syn(now, out);
        }
        false
    }

    /// The peer acknowledges what was never sent: it has another connection in mind, which ends by this.
    fn refuse(&self, header: &TcpHeader, out: &mut Vec<Out>) {
        out.push(Out::Segment(self.header(header.ack, TcpFlags::RST), 0));
    }

    fn established(&mut self, now: u64, header: &TcpHeader, out: &mut Vec<Out>) {
        self.una = header.ack;
        self.state = State::Open;
        self.backoff = 0;
        self.timer = None;
        self.sample(now, header.ack);
        out.push(if self.passive { Out::Accepted } else { Out::Connected });
    }

    fn end(&mut self, why: Out, out: &mut Vec<Out>) {
        // A half-open connection that nobody was told of ends in silence.
        if !(self.passive && self.state == State::SynReceived) {
            out.push(why);
        }
        self.state = State::Gone;
        self.timer = None;
    }

    fn send_syn(&mut self, now: u64, out: &mut Vec<Out>) {
        let flags = TcpFlags {
            ack: self.state == State::SynReceived,
            ..TcpFlags::SYN
        };
        out.push(Out::Segment(self.header(self.una, flags), 0));
        self.arm(now);
    }

    fn acknowledged(&mut self, now: u64, header: &TcpHeader, empty: bool, out: &mut Vec<Out>) {
        if header.ack < self.una || header.ack > self.max_sent {
            return;
        }
        // What was overtaken on the way knows an older window (RFC 9293 §3.10.7.4).
        let newest = (header.seq, header.ack) >= self.window_from;
        let window_moved = newest && self.peer_window != header.window as usize;
        if self.peer_window == 0 && window_moved {
            // What asked whether it is still closed was not taken.
            self.nxt = self.una.max(header.ack);
            self.backoff = 0;
            self.timer = None;
        }
        if newest {
            self.take_window(header);
        }
        if header.ack > self.una {
            self.advance(now, header.ack, out);
        } else if self.una < self.nxt && empty && !header.flags.fin && !window_moved {
            self.duplicate_ack(now, out);
        }
    }

    fn take_window(&mut self, header: &TcpHeader) {
        self.peer_window = header.window as usize;
        self.window_from = (header.seq, header.ack);
    }

    fn advance(&mut self, now: u64, ack: u64, out: &mut Vec<Out>) {
        let acked = (ack - self.una) as usize;
        self.una = ack;
        self.nxt = self.nxt.max(ack);
        let gone = (ack.min(self.end_of_data()) - self.start) as usize;
        self.buffer.drain(..gone);
        self.start += gone as u64;
        self.sample(now, ack);
        self.backoff = 0;
        self.duplicate_acks = 0;
        if self.recovering && ack < self.recover {
            // RFC 6582 §3.2, step 3: a partial acknowledgement.
            self.congestion_window = self.congestion_window.saturating_sub(acked).max(self.mss) + self.mss;
            self.retransmit_first(out);
        } else if self.recovering {
            self.recovering = false;
            self.congestion_window = self.threshold;
        } else if self.congestion_window < self.threshold {
            self.congestion_window += acked.min(self.mss);
        } else {
            self.congestion_window += (self.mss * self.mss / self.congestion_window).max(1);
        }
        self.timer = None;
        if self.una < self.nxt {
            self.arm(now);
        }
        if self.wants_room && self.room() >= self.capacity / 2 {
            self.wants_room = false;
            out.push(Out::Writable);
        }
    }

    fn duplicate_ack(&mut self, now: u64, out: &mut Vec<Out>) {
        self.duplicate_acks += 1;
        if self.recovering {
            self.congestion_window += self.mss;
        } else if self.duplicate_acks == 3 && self.una > self.recover {
            self.threshold = self.halved();
            self.recover = self.max_sent;
            self.recovering = true;
            self.congestion_window = self.threshold + 3 * self.mss;
            self.retransmit_first(out);
            self.arm(now);
        }
    }

    fn halved(&self) -> usize {
        ((self.nxt - self.una) as usize / 2).max(2 * self.mss)
    }

    fn retransmit_first(&mut self, out: &mut Vec<Out>) {
        self.timed = None;
        let sent = self.send_from(self.una, self.mss, out);
        self.nxt = self.nxt.max(self.una + sent as u64);
        self.max_sent = self.max_sent.max(self.nxt);
    }

    fn retransmit_all(&mut self, now: u64, out: &mut Vec<Out>) {
        if self.una == self.nxt {
            // The window is closed: one byte asks whether it still is.
            if self.unsent() > 0 {
                self.nxt += self.send_from(self.nxt, 1, out) as u64;
                self.max_sent = self.max_sent.max(self.nxt);
                self.arm(now);
            }
            return;
        }
        self.backoff += 1;
        // A peer that answers with a closed window lives.
        if self.backoff > DATA_RETRIES && self.peer_window > 0 {
            return self.end(Out::Silent, out);
        }
        self.threshold = self.halved();
        self.congestion_window = self.mss;
        self.recover = self.max_sent;
        self.recovering = false;
        self.duplicate_acks = 0;
        let first = self.send_from(self.una, if self.peer_window == 0 { 1 } else { self.mss }, out);
        self.nxt = self.una + first as u64;
        // What the window had no room for may have gone along, for the first time.
        self.max_sent = self.max_sent.max(self.nxt);
        self.arm(now);
    }

    /// Sends one segment from `seq` on, FIN included if it is next, and says how far it reaches.
    fn send_from(&self, seq: u64, limit: usize, out: &mut Vec<Out>) -> usize {
        let len = ((self.end_of_data() - seq.min(self.end_of_data())) as usize).min(limit);
        let fin = self.finishing && seq + len as u64 == self.end_of_data() && (len < limit || len == 0);
        let flags = TcpFlags { fin, ..TcpFlags::ACK };
        out.push(Out::Segment(self.header(seq, flags), len));
        len + usize::from(fin)
    }

    /// Sends what the windows allow.
    fn pump(&mut self, now: u64, out: &mut Vec<Out>) {
        if self.state != State::Open {
            return;
        }
        loop {
            let flight = (self.nxt - self.una) as usize;
            let window = self.congestion_window.min(self.peer_window);
            let unsent = self.unsent();
            let len = unsent.min(self.mss).min(window.saturating_sub(flight));
            let fin = self.finishing && self.nxt == self.end_of_data();
            // Small segments wait until they are full, unless nothing else is under way (RFC 9293 §3.8.6.2.1).
            if !fin && (len == 0 || len < unsent.min(self.mss) && flight > 0) {
                break;
            }
            let sent = self.send_from(self.nxt, if fin { self.mss } else { len }, out);
            self.nxt += sent as u64;
            if self.nxt > self.max_sent {
                self.max_sent = self.nxt;
                if self.timed.is_none() {
                    self.timed = Some((self.nxt, now));
                }
            }
            if sent == 0 || fin {
                break;
            }
        }
        if self.timer.is_none() && (self.una < self.nxt || self.unsent() > 0) {
            self.arm(now);
        }
    }

    fn receive(&mut self, header: &TcpHeader, payload: &[u8], out: &mut Vec<Out>) {
        if header.flags.fin {
            self.peer_fin = Some(header.seq + payload.len() as u64);
        } else if payload.is_empty() {
            return;
        }
        if header.seq <= self.rcv {
            self.take(header.seq, payload, out);
            self.take_early(out);
        } else if self.early_bytes + self.held.len() + payload.len() <= RECEIVE_BUFFER && !payload.is_empty() {
            let known = self.early.insert(header.seq, payload.to_vec());
            self.early_bytes += payload.len();
            self.early_bytes -= known.map_or(0, |known| known.len());
        }
        if self.peer_fin == Some(self.rcv) && !self.peer_finished {
            self.rcv += 1;
            self.peer_finished = true;
        }
        out.push(Out::Segment(self.header(self.nxt, TcpFlags::ACK), 0));
        self.tell_finished(out);
    }

    fn take(&mut self, seq: u64, payload: &[u8], out: &mut Vec<Out>) {
        let known = (self.rcv.saturating_sub(seq) as usize).min(payload.len());
        let fresh = &payload[known..];
        if fresh.is_empty() || self.paused && self.held.len() + self.early_bytes + fresh.len() > RECEIVE_BUFFER {
            return;
        }
        self.rcv += fresh.len() as u64;
        if self.paused {
            self.held.extend_from_slice(fresh);
        } else {
            out.push(Out::Data(fresh.to_vec()));
        }
    }

    fn take_early(&mut self, out: &mut Vec<Out>) {
        while let Some(entry) = self.early.first_entry().filter(|entry| *entry.key() <= self.rcv) {
            let (seq, payload) = entry.remove_entry();
            self.early_bytes -= payload.len();
            self.take(seq, &payload, out);
        }
    }

    fn tell_finished(&mut self, out: &mut Vec<Out>) {
        if self.peer_finished && !self.told_finished && self.held.is_empty() {
            self.told_finished = true;
            out.push(Out::Finished);
        }
    }

    fn end_of_data(&self) -> u64 {
        self.start + self.buffer.len() as u64
    }

    fn unsent(&self) -> usize {
        self.end_of_data().saturating_sub(self.nxt) as usize
    }

    fn header(&self, seq: u64, flags: TcpFlags) -> TcpHeader {
        TcpHeader {
            seq,
            ack: if flags.ack { self.rcv } else { 0 },
            flags,
            window: RECEIVE_BUFFER.saturating_sub(self.held.len()) as u32,
            mss: if flags.syn { self.own_mss } else { 0 },
        }
    }

    fn arm(&mut self, now: u64) {
        let rto = self.rto.saturating_mul(1 << self.backoff.min(16)).min(MAX_RTO);
        self.timer = Some(now + rto);
    }

    /// RFC 6298 §2, with one sample per round trip and none of what was sent twice.
    fn sample(&mut self, now: u64, ack: u64) {
        let Some((seq, at)) = self.timed.filter(|&(seq, _)| ack >= seq) else {
            return;
        };
        debug_assert!(seq <= self.max_sent);
        self.timed = None;
        let round_trip = now - at;
        let smoothed = match self.smoothed {
            None => {
                self.variation = round_trip / 2;
                round_trip
            }
            Some(smoothed) => {
                self.variation = (3 * self.variation + smoothed.abs_diff(round_trip)) / 4;
                (7 * smoothed + round_trip) / 8
            }
        };
        self.smoothed = Some(smoothed);
        self.rto = (smoothed + 4 * self.variation).clamp(MIN_RTO, MAX_RTO);
    }
}

#[cfg(test)]
mod tests;
