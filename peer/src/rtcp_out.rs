use std::time::{Duration, Instant};

use rtp::Ssrc;
use rtp::ntp::{NtpClock, NtpTime, duration_to_short};
use rtp::rtcp::{
    Bye, Dlrr, Fir, FirEntry, Nack, Pli, ReceiverReport, Remb, ReportBlock, Sdes, SdesItem, SenderInfo, SenderReport,
    Xr,
};
use rtp::twcc::{self, Recorder};
use wire::{Full, Writer};

use crate::receiver::Receivers;
use crate::sender::Senders;

/// What is to be told by RTCP, beside the reports that senders and receivers know to be due.
#[derive(Debug)]
pub(crate) struct Outbox {
    /// Our SSRC as a receiver: that of feedback, and of reports when nothing is sent.
    own: Ssrc,
    cname: String,
    clock: NtpClock,
    /// Whether all sections take RTCP of reduced size (RFC 5506).
    pub(crate) reduced_size: bool,
    requests: Vec<Request>,
    reference_times: Vec<ReferenceTime>,
    /// Whether the reference times are to be answered now.
    answer_now: bool,
    pub(crate) remb: Option<u64>,
    /// What paces requests for missing packets.
    pub(crate) round_trip: Option<Duration>,
    /// The SSRCs of ours that are still to say goodbye.
    goodbyes: Vec<Ssrc>,
    /// Whether nothing but goodbyes is told any more.
    finished: bool,
}

/// A key frame that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    Pli(Ssrc),
    Fir(Ssrc, u8),
}

impl Request {
    const fn ssrc(self) -> Ssrc {
        match self {
            Self::Pli(ssrc) | Self::Fir(ssrc, _) => ssrc,
        }
    }
}

/// A receiver reference time of the peer (RFC 3611 §4.4) that waits for its answer.
#[derive(Debug, Clone, Copy)]
struct ReferenceTime {
    ssrc: Ssrc,
    ntp: NtpTime,
    arrival: Instant,
}

/// What one datagram holds at most, so that it stays well below 1200 bytes: SR 28 and SDES chunk 24 bytes each, report
/// block 24, reference time 12.
const SENDERS: usize = 8;
const BLOCKS: usize = 20;
const REFERENCE_TIMES: usize = 8;
/// Requests that wait at most; each is for another stream.
const REQUESTS: usize = 64;
/// Streams that a bit rate is told about by name, four bytes each.
const REMB_SOURCES: usize = 64;
/// A PLI has 12 bytes, an FIR 20.
const REQUEST_LEN: usize = 20;
/// Packets that one NACK asks for at most; each takes four bytes if it is alone.
const NACKED: usize = 64;
const NACK_LEN: usize = 12 + 4 * NACKED;
const GOODBYES: usize = 31;

impl Outbox {
    pub(crate) fn new(own: Ssrc, cname: String, clock: NtpClock) -> Self {
        Self {
            own,
            cname,
            clock,
            reduced_size: false,
            requests: Vec::with_capacity(REQUESTS),
            reference_times: Vec::with_capacity(REFERENCE_TIMES),
            answer_now: false,
            remb: None,
            round_trip: None,
            goodbyes: Vec::new(),
            finished: false,
        }
    }

    pub(crate) fn cname(&self) -> &str {
        &self.cname
    }

    pub(crate) const fn clock(&self) -> &NtpClock {
        &self.clock
    }

    /// Asks for a key frame with the next datagram; false when there is no room. Asking twice before that asks once.
    pub(crate) fn request(&mut self, request: Request) -> bool {
        if self.requests.iter().any(|other| other.ssrc() == request.ssrc()) {
            return true;
        }
        let fits = self.requests.len() < REQUESTS;
        if fits {
            self.requests.push(request);
        }
        fits
    }

    /// Answers a reference time with the next regular report; false when there is no room.
    pub(crate) fn answer_reference_time(&mut self, arrival: Instant, ssrc: Ssrc, ntp: NtpTime) -> bool {
        let time = ReferenceTime { ssrc, ntp, arrival };
        if let Some(known) = self.reference_times.iter_mut().find(|known| known.ssrc == ssrc) {
            *known = time;
            return true;
        }
        let fits = self.reference_times.len() < REFERENCE_TIMES;
        if fits {
            self.reference_times.push(time);
        }
        fits
    }

    /// The time for regular reports has come.
    pub(crate) const fn report(&mut self) {
        self.answer_now = !self.reference_times.is_empty();
    }

    pub(crate) fn say_goodbye(&mut self, ssrcs: impl Iterator<Item = Ssrc>) {
        self.goodbyes.push(self.own);
        self.goodbyes.extend(ssrcs);
    }

    /// The end: what is due besides goodbyes is left untold, for BYE is the last packet of an SSRC (RFC 3550 §6.1).
    pub(crate) const fn finish(&mut self) {
        self.finished = true;
    }

    /// Writes the next compound packet into `out` and returns its length; `None` when there is nothing to tell.
    pub(crate) fn write(
        &mut self,
        now: Instant,
        senders: &mut Senders,
        receivers: &mut Receivers,
        feedback: Option<&mut Recorder>,
        media: Ssrc,
        out: &mut [u8],
    ) -> Option<usize> {
        if !self.goodbyes.is_empty() {
            return self.write_goodbyes(out).ok();
        }
        if self.finished {
            return None;
        }
        if !self.requests.is_empty() || self.remb.is_some() {
            return self.write_requests(receivers, out).ok();
        }
        if receivers.nack_due().is_some_and(|due| due <= now)
            && let Some(len) = self.write_nacks(now, receivers, out).ok().flatten()
        {
            return Some(len);
        }
        if senders.has_due() || receivers.has_due() || self.answer_now {
            return self.write_reports(now, senders, receivers, out).ok();
        }
        self.write_feedback(now, feedback?, media, out)
    }

    fn write_requests(&mut self, receivers: &Receivers, out: &mut [u8]) -> Result<usize, Full> {
        let mut w = Writer::new(out);
        self.begin(&mut w)?;
        if let Some(bits_per_second) = self.remb.take() {
            Remb::write(&mut w, self.own, bits_per_second, receivers.heard().take(REMB_SOURCES))?;
        }
        while w.remaining() >= REQUEST_LEN
            && let Some(request) = self.requests.pop()
        {
            match request {
                Request::Pli(media) => Pli {
                    sender: self.own,
                    media,
                }
                .write(&mut w)?,
                Request::Fir(ssrc, sequence_number) => {
                    Fir::write(&mut w, self.own, Ssrc(0), [FirEntry { ssrc, sequence_number }])?;
                }
            }
        }
        Ok(w.position())
    }

    /// What is missing of all streams; `None` when there is nothing to ask for after all.
    fn write_nacks(&self, now: Instant, receivers: &mut Receivers, out: &mut [u8]) -> Result<Option<usize>, Full> {
        let mut w = Writer::new(out);
        self.begin(&mut w)?;
        let start = w.position();
        let mut numbers = [0; NACKED];
        while w.remaining() >= NACK_LEN
            && let Some((media, count)) = receivers.take_nack(now, self.round_trip, &mut numbers)
        {
            Nack::write(&mut w, self.own, media, numbers.iter().copied().take(count))?;
        }
        Ok(Some(w.position()).filter(|end| *end > start))
    }

    /// Transport-wide feedback, which may be of reduced size.
    fn write_feedback(&self, now: Instant, recorder: &mut Recorder, media: Ssrc, out: &mut [u8]) -> Option<usize> {
        if recorder.poll_timeout().is_none_or(|due| due > now) {
            return None;
        }
        let mut w = Writer::new(out);
        self.begin(&mut w).ok()?;
        let start = w.position();
        let rest = out.get_mut(start..).filter(|rest| rest.len() >= twcc::MIN_OUT)?;
        Some(start + recorder.poll_feedback(now, self.own, media, rest)?)
    }

    /// The beginning of a compound packet that is not of reduced size (RFC 3550 §6.1).
    fn begin(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        if self.reduced_size {
            return Ok(());
        }
        ReceiverReport::write(w, self.own, [], &[])?;
        Sdes::write_cname(w, self.own, self.cname.as_bytes())
    }

    /// Reports of senders and about sources, with the names of all that speak in them (RFC 8108 §5.3).
    fn write_reports(
        &mut self,
        now: Instant,
        senders: &mut Senders,
        receivers: &mut Receivers,
        out: &mut [u8],
    ) -> Result<usize, Full> {
        let mut w = Writer::new(out);
        let mut blocks = Filled::<ReportBlock, BLOCKS>::new(core::iter::from_fn(|| receivers.take_due(now)));
        let mut speakers = Filled::<Ssrc, SENDERS>::new(core::iter::empty());
        while speakers.len() < SENDERS
            && let Some(due) = senders.take_due(now)
        {
            let info = SenderInfo {
                ssrc: due.ssrc,
                ntp: self.clock.at(now),
                rtp_timestamp: due.timestamp,
                packet_count: due.packet_count,
                octet_count: due.octet_count,
            };
            // The first one carries the blocks.
            SenderReport::write(&mut w, &info, blocks.iter(), &[])?;
            blocks.clear();
            speakers.push(due.ssrc);
        }
        if speakers.len() == 0 {
            ReceiverReport::write(&mut w, self.own, blocks.iter(), &[])?;
            speakers.push(self.own);
        }
        let name = [(SdesItem::CNAME, self.cname.as_bytes())];
        Sdes::write(&mut w, speakers.iter().map(|ssrc| (ssrc, name)))?;
        if !self.reference_times.is_empty() {
            let answers = self.reference_times.iter().map(|time| Dlrr {
                ssrc: time.ssrc,
                last_rr: time.ntp.middle(),
                delay: duration_to_short(now.saturating_duration_since(time.arrival)),
            });
            Xr::write_dlrr(&mut w, speakers.iter().next().unwrap_or(self.own), answers)?;
            self.reference_times.clear();
        }
        self.answer_now = false;
        Ok(w.position())
    }

    fn write_goodbyes(&mut self, out: &mut [u8]) -> Result<usize, Full> {
        let mut w = Writer::new(out);
        ReceiverReport::write(&mut w, self.own, [], &[])?;
        Sdes::write_cname(&mut w, self.own, self.cname.as_bytes())?;
        let rest = self.goodbyes.split_off(self.goodbyes.len().min(GOODBYES));
        Bye::write(&mut w, self.goodbyes.iter().copied(), None)?;
        self.goodbyes = rest;
        Ok(w.position())
    }
}

/// A few values on the stack.
#[derive(Debug, Clone, Copy)]
struct Filled<T, const N: usize> {
    values: [Option<T>; N],
    len: usize,
}

impl<T: Copy, const N: usize> Filled<T, N> {
    /// As many of `from` as fit.
    fn new(from: impl Iterator<Item = T>) -> Self {
        let mut filled = Self {
            values: [None; N],
            len: 0,
        };
        from.take(N).for_each(|value| filled.push(value));
        filled
    }

    fn push(&mut self, value: T) {
        if let Some(place) = self.values.get_mut(self.len) {
            *place = Some(value);
            self.len += 1;
        }
    }

    const fn len(&self) -> usize {
        self.len
    }

    const fn clear(&mut self) {
        self.len = 0;
    }

    fn iter(&self) -> impl Iterator<Item = T> + Clone {
        self.values.iter().take(self.len).filter_map(|value| *value)
    }
}
