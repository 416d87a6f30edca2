//! Re-configuration of streams (RFC 6525): the reset of streams in both directions. More streams and new TSNs are
//! refused.

use core::time::Duration;
use std::collections::BTreeSet;
use std::time::Instant;
use std::vec::Vec;

use wire::Serial;

use crate::chunk::{Chunk, NextTsns, OutgoingSsnReset, ReConfig, ReconfigResponse};
use crate::config::Config;
use crate::counters::Counters;
use crate::list::List;
use crate::parameter::{Parameter, Parameters};
use crate::registry::ReconfigResult;
use crate::writer::PacketWriter;

#[cfg(test)]
mod tests;

/// Resets our outgoing streams, one request at a time, and answers the peer's requests.
#[derive(Debug)]
pub(crate) struct Reset {
    inbound_streams: u16,
    outbound_streams: u16,
    max_rto: Duration,
    /// Whether the association was established.
    started: bool,
    /// Streams that are to be reset and are in no request yet.
    wanted: BTreeSet<u16>,
    /// Where the next look at `wanted` begins.
    cursor: u16,
    /// The request under way.
    request: Option<Request>,
    /// The number of our next request.
    next: u32,
    /// The number of the peer's next request.
    expected: u32,
    /// The number of the peer's newest request that resets its streams.
    newest_reset: u32,
    /// The results of the peer's requests `expected - 1` and `expected - 2`.
    results: [Option<ReconfigResult>; 2],
    /// What is to be sent; a RE-CONFIG carries two of them (§3.1).
    answers: Vec<ReconfigResponse>,
}

#[derive(Debug)]
struct Request {
    /// Number and last TSN, once it was sent.
    sent: Option<(u32, u32)>,
    /// In order, without repetition.
    streams: Vec<u16>,
    /// When it is sent again; at once when there is none.
    due: Option<Instant>,
    rto: Duration,
    /// Time-outs in a row.
    timeouts: u32,
    /// Whether the last answer was "In progress" and the time since then has not run out.
    in_progress: bool,
    /// How often the number got the answer "In progress".
    delays: u32,
}

/// Streams that a request names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Streams<'a> {
    All,
    /// Not empty. The peer may have named one twice.
    Listed(List<'a, u16>),
}

impl<'a> Streams<'a> {
    /// An empty list means all of them (RFC 6525 §4.1, §4.2).
    fn of(list: List<'a, u16>) -> Self {
        if list.is_empty() { Self::All } else { Self::Listed(list) }
    }
}

/// What became of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResetEvent<'a> {
    /// The peer has reset these streams towards us: their next message has the number 0. All that it sent before was
    /// received.
    PeerReset(Streams<'a>),
    /// The peer has taken our reset: the next message on these streams has the number 0, and may be sent.
    Done(&'a [u16]),
    /// The peer has refused our reset: messages go on with the numbers that they had.
    Denied(&'a [u16]),
    /// The peer asks that we reset these streams towards it: [`Reset::want`] is to be called for those that were used.
    Wanted(Streams<'a>),
}

impl Reset {
    /// The most streams in one request, so that it fits into the smallest packet (512 bytes) beside other control chunks,
    /// also when it is repeated after the path has become narrower.
    const MAX_STREAMS: usize = 200;
    /// How many streams that are not ready are looked at for one packet.
    const MAX_MISSES: usize = 16;
    /// A RE-CONFIG with one request, without its streams.
    const REQUEST_LEN: usize = 20;
    /// The most answers that wait. A peer has one RE-CONFIG under way (§5.1.1) with at most two requests.
    const MAX_ANSWERS: usize = 2;
    /// "In progress" to one number so often makes us repeat the request with a new number: there are peers who give a
    /// repeated number the same answer for ever.
    const MAX_DELAYS: u32 = 2;

    pub(crate) fn new(config: &Config) -> Self {
        Self {
            inbound_streams: config.inbound_streams,
            outbound_streams: config.outbound_streams,
            max_rto: config.max_rto,
            started: false,
            wanted: BTreeSet::new(),
            cursor: 0,
            request: None,
            next: 0,
            expected: 0,
            newest_reset: 0,
            results: [None; 2],
            answers: Vec::new(),
        }
    }

    /// The association is established, and both sides do this: numbers begin with those of the first DATA (§4.1).
    pub(crate) fn start(&mut self, local_initial_tsn: u32, peer_initial_tsn: u32) {
        self.started = true;
        self.next = local_initial_tsn;
        self.expected = peer_initial_tsn;
    }

    /// Whether [`push`](Self::push) may have something to write.
    pub(crate) fn wants_push(&self) -> bool {
        let request = match &self.request {
            Some(request) => request.due.is_none(),
            None => !self.wanted.is_empty(),
        };
        self.started && (request || !self.answers.is_empty())
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.request.as_ref()?.due
    }

    /// A stream of ours is to be reset when it has nothing left to send; also before the association is established.
    pub(crate) fn want(&mut self, stream: u16) {
        self.wanted.insert(stream);
    }

    /// Takes a RE-CONFIG. `cumulative_tsn` is up to where we received everything. Where it has a request, a SACK should
    /// be sent with the answer (§5.2.1).
    ///
    /// # Errors
    /// The rule that the chunk breaks, which then did nothing: the peer should be told with an ERROR, cause Protocol
    /// Violation (§3.1).
    pub(crate) fn handle(
        &mut self,
        now: Instant,
        chunk: &ReConfig<'_>,
        cumulative_tsn: u32,
        counters: &mut Counters,
        events: &mut impl FnMut(ResetEvent<'_>),
    ) -> Result<(), &'static str> {
        if !self.started {
            return Ok(());
        }
        let mut parameters = chunk.parameters.iter();
        let mut next = || parameters.next().transpose();
        let (Ok(Some(first)), Ok(second)) = (next(), next()) else {
            return Err("a RE-CONFIG has well-formed parameters");
        };
        if !may_stand_together(&first, second.as_ref()) {
            return Err("a RE-CONFIG has requests or responses that may stand together");
        }
        for parameter in [Some(first), second].into_iter().flatten() {
            match parameter {
                Parameter::OutgoingSsnReset(request) => self.peer_resets(&request, cumulative_tsn, counters, events),
                Parameter::IncomingSsnReset(request) => {
                    let streams = Streams::of(request.streams);
                    self.answer(request.request, counters, |reset, repeated| {
                        reset.peer_asks(streams, repeated, events)
                    });
                }
                Parameter::SsnTsnReset(request) => {
                    self.answer(request, counters, |_, _| ReconfigResult::DENIED);
                    self.name_next_tsns(request, cumulative_tsn);
                }
                Parameter::AddOutgoingStreams(add) | Parameter::AddIncomingStreams(add) => {
                    self.answer(add.request, counters, |_, _| ReconfigResult::DENIED);
                }
                Parameter::ReconfigResponse(response) => self.answered(now, &response, counters, events),
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes what is due. `last_assigned_tsn` is the TSN before the next one that we assign.
    ///
    /// `may_reset` says whether all that a stream had to send was sent, and better still acknowledged. When it says yes
    /// the stream sends nothing more until [`ResetEvent::Done`] or [`ResetEvent::Denied`]; what it is given by then waits
    /// (§5.1.2, A1).
    ///
    /// `rto` is the retransmission time-out of data (§5.1.1).
    ///
    /// Returns whether something was written.
    pub(crate) fn push(
        &mut self,
        now: Instant,
        w: &mut PacketWriter<'_>,
        last_assigned_tsn: u32,
        rto: Duration,
        may_reset: impl FnMut(u16) -> bool,
    ) -> bool {
        if !self.started {
            return false;
        }
        let answered = self.push_answers(w, last_assigned_tsn);
        if self.request.is_none() {
            self.gather(w.room(), may_reset);
        }
        let max_rto = self.max_rto;
        // RFC 6525 §5.1.2, A4: the last of the peer's numbers, which is also that of the request that this may answer.
        let response = self.expected.wrapping_sub(1);
        let next = self.next;
        let Some(request) = self.request.as_mut().filter(|request| request.due.is_none()) else {
            return answered;
        };
        let sent = request.sent.filter(|_| request.delays < Self::MAX_DELAYS);
        let (number, last_tsn) = sent.unwrap_or((next, last_assigned_tsn));
        let parameter = Parameter::OutgoingSsnReset(OutgoingSsnReset {
            request: number,
            response,
            last_tsn,
            streams: List::new(&request.streams),
        });
        if !push(w, &[parameter]) {
            return answered;
        }
        if sent.is_none() {
            request.sent = Some((number, last_tsn));
            request.delays = 0;
            self.next = next.wrapping_add(1);
        }
        let factor = 1_u32 << request.timeouts.min(16);
        request.rto = rto;
        request.due = now.checked_add(rto.saturating_mul(factor).min(max_rto).max(rto));
        true
    }

    /// Returns whether a request got no answer at all, which counts as an error of the path (§5.1.1).
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> bool {
        let Some(request) = self
            .request
            .as_mut()
            .filter(|request| request.due.is_some_and(|due| due <= now))
        else {
            return false;
        };
        request.due = None;
        // §5.2.7, H2: what is in progress is repeated and counts for no error.
        if request.in_progress {
            request.in_progress = false;
            return false;
        }
        request.timeouts = request.timeouts.saturating_add(1);
        true
    }

    /// Makes a request of wanted streams that are ready, as many as there is room for.
    fn gather(&mut self, room: usize, mut may_reset: impl FnMut(u16) -> bool) {
        let fitting = room.saturating_sub(Self::REQUEST_LEN) / 2;
        let (mut left, mut misses) = (self.wanted.len(), Self::MAX_MISSES);
        let mut streams = Vec::new();
        while left > 0 && misses > 0 && streams.len() < fitting.min(Self::MAX_STREAMS) {
            let ahead = self.wanted.range(self.cursor..).next();
            let Some(&stream) = ahead.or_else(|| self.wanted.first()) else {
                break;
            };
            self.cursor = stream.wrapping_add(1);
            left = left.saturating_sub(1);
            if may_reset(stream) {
                self.wanted.remove(&stream);
                streams.push(stream);
            } else {
                misses = misses.saturating_sub(1);
            }
        }
        if streams.is_empty() {
            return;
        }
        streams.sort_unstable();
        self.request = Some(Request {
            sent: None,
            streams,
            due: None,
            rto: Duration::ZERO,
            timeouts: 0,
            in_progress: false,
            delays: 0,
        });
    }

    /// §5.2.1: "If multiple parameters have to be returned, they MUST be put into one RE_CONFIG chunk."
    fn push_answers(&mut self, w: &mut PacketWriter<'_>, last_assigned_tsn: u32) -> bool {
        for next in self.answers.iter_mut().filter_map(|answer| answer.next_tsns.as_mut()) {
            next.sender = last_assigned_tsn.wrapping_add(1);
        }
        let written = match *self.answers.as_slice() {
            [] => false,
            [one] => push(w, &[Parameter::ReconfigResponse(one)]),
            [one, two, ..] => push(w, &[one, two].map(Parameter::ReconfigResponse)),
        };
        if written {
            self.answers.clear();
        }
        written
    }

    /// The peer resets its outgoing streams (§5.2.2).
    ///
    /// Its number for a response is not looked at: we send no request that it could answer, and one of ours that it has
    /// merely received is not done (§5.2.2, E1).
    fn peer_resets(
        &mut self,
        request: &OutgoingSsnReset<'_>,
        cumulative_tsn: u32,
        counters: &mut Counters,
        events: &mut impl FnMut(ResetEvent<'_>),
    ) {
        self.skip_to(request.request);
        if request.request == self.expected {
            self.newest_reset = request.request;
        }
        let streams = request.streams;
        self.answer(request.request, counters, |reset, _| {
            if request.request != reset.newest_reset {
                // A late copy of what the peer has given up, for it has one request at a time: what it then sent with a
                // new number must not be undone.
                ReconfigResult::IN_PROGRESS
            } else if streams.iter().any(|stream| stream >= reset.inbound_streams) {
                ReconfigResult::WRONG_SSN
            } else if cumulative_tsn.precedes(request.last_tsn) {
                // §5.2.2, E2. What comes on these streams until then has lower TSNs, since the peer waits for the
                // answer (§5.1.2, A1); and it asks again (§5.2.7, H2).
                ReconfigResult::IN_PROGRESS
            } else {
                events(ResetEvent::PeerReset(Streams::of(streams)));
                ReconfigResult::PERFORMED
            }
        });
    }

    /// The peer asks us to reset our outgoing streams (§5.2.3).
    ///
    /// The resets are ours to send as any others. Until they are done the request is in progress.
    fn peer_asks(
        &self,
        streams: Streams<'_>,
        repeated: bool,
        events: &mut impl FnMut(ResetEvent<'_>),
    ) -> ReconfigResult {
        let under_way = self
            .request
            .as_ref()
            .map(|request| request.streams.as_slice())
            .unwrap_or_default();
        let is_under_way = |stream: &u16| under_way.binary_search(stream).is_ok();
        if repeated {
            let pending = match streams {
                Streams::All => !self.wanted.is_empty() || !under_way.is_empty(),
                Streams::Listed(list) => list.iter().any(|id| self.wanted.contains(&id) || is_under_way(&id)),
            };
            return if pending {
                ReconfigResult::IN_PROGRESS
            } else {
                ReconfigResult::NOTHING_TO_DO
            };
        }
        if let Streams::Listed(list) = streams {
            if list.iter().any(|stream| stream >= self.outbound_streams) {
                return ReconfigResult::WRONG_SSN;
            }
            if list.iter().all(|stream| is_under_way(&stream)) {
                return ReconfigResult::NOTHING_TO_DO;
            }
        }
        events(ResetEvent::Wanted(streams));
        ReconfigResult::IN_PROGRESS
    }

    /// RFC 6525 §5.1.7, D3 and D4, whatever the result: usrsctp asks again for ever where they are missing. Nothing is skipped, since
    /// nothing begins anew. That of ours is only known when the answer is written.
    fn name_next_tsns(&mut self, number: u32, cumulative_tsn: u32) {
        if let Some(answer) = self.answers.iter_mut().find(|answer| answer.response == number) {
            let receiver = cumulative_tsn.wrapping_add(1);
            answer.next_tsns = Some(NextTsns { sender: 0, receiver });
        }
    }

    /// Numbers go up by one (RFC 6525 §5.1.2, A2). A peer that skips some does not come back to them, since it has one request at a
    /// time (§5.1.1): they count as given up, and it is not refused for ever. webrtc-rs never repeats a request that was lost.
    fn skip_to(&mut self, number: u32) {
        if self.expected.precedes(number) {
            self.expected = number;
            self.results = [None; 2];
        }
    }

    /// Answers the peer's request with this number: as before when the number is one of the last two (§5.2.1), else, and
    /// also when that answer was "In progress", as `examine` finds. It is told whether the request is repeated.
    fn answer(&mut self, number: u32, counters: &mut Counters, examine: impl FnOnce(&Self, bool) -> ReconfigResult) {
        self.skip_to(number);
        let [newest, older] = self.results;
        let age = self.expected.wrapping_sub(number);
        let known = match age {
            0 => None,
            1 if newest.is_some() => newest,
            2 if older.is_some() => older,
            _ => Some(ReconfigResult::BAD_SEQUENCE_NUMBER),
        };
        let result = match known {
            Some(result) if result != ReconfigResult::IN_PROGRESS => result,
            _ => examine(self, known.is_some()),
        };
        match age {
            0 => {
                self.expected = self.expected.wrapping_add(1);
                self.results = [Some(result), newest];
            }
            1 if newest.is_some() => self.results = [Some(result), older],
            2 if older.is_some() => self.results = [newest, Some(result)],
            _ => {}
        }
        if !matches!(
            result,
            ReconfigResult::NOTHING_TO_DO | ReconfigResult::PERFORMED | ReconfigResult::IN_PROGRESS
        ) {
            counters.sctp_refused_reconfigs = counters.sctp_refused_reconfigs.saturating_add(1);
        }
        self.answers.retain(|answer| answer.response != number);
        if self.answers.len() >= Self::MAX_ANSWERS {
            self.answers.remove(0);
        }
        self.answers.push(ReconfigResponse {
            response: number,
            result,
            next_tsns: None,
        });
    }

    /// The peer's answer to our request (§5.2.7).
    fn answered(
        &mut self,
        now: Instant,
        response: &ReconfigResponse,
        counters: &mut Counters,
        events: &mut impl FnMut(ResetEvent<'_>),
    ) {
        let is_answered = |request: &Request| request.sent.is_some_and(|(number, _)| number == response.response);
        let Some(mut request) = self.request.take_if(|request| is_answered(request)) else {
            return;
        };
        match response.result {
            ReconfigResult::IN_PROGRESS => {
                request.in_progress = true;
                request.delays = request.delays.saturating_add(1);
                request.timeouts = 0;
                request.due = now.checked_add(request.rto);
                self.request = Some(request);
            }
            ReconfigResult::NOTHING_TO_DO | ReconfigResult::PERFORMED => events(ResetEvent::Done(&request.streams)),
            _ => {
                counters.sctp_denied_resets = counters.sctp_denied_resets.saturating_add(1);
                events(ResetEvent::Denied(&request.streams));
            }
        }
    }
}

/// Whether RFC 6525 §3.1 allows these in one chunk.
fn may_stand_together(first: &Parameter<'_>, second: Option<&Parameter<'_>>) -> bool {
    use Parameter::{
        AddIncomingStreams as AddIn, AddOutgoingStreams as AddOut, IncomingSsnReset as In, OutgoingSsnReset as Out,
        ReconfigResponse as Response, SsnTsnReset,
    };
    matches!(
        (first, second),
        (
            Out(_) | In(_) | SsnTsnReset(_) | AddOut(_) | AddIn(_) | Response(_),
            None
        ) | (Out(_), Some(In(_) | Response(_)))
            | (In(_), Some(Out(_)))
            | (AddOut(_), Some(AddIn(_)))
            | (AddIn(_), Some(AddOut(_)))
            | (Response(_), Some(Out(_) | Response(_)))
    )
}

/// Whether it fitted.
fn push(w: &mut PacketWriter<'_>, parameters: &[Parameter<'_>]) -> bool {
    let parameters = Parameters::new(parameters);
    w.push(&Chunk::ReConfig(ReConfig { parameters })).is_ok()
}
