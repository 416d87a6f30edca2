use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dtls_srtp::{Dtls, Fingerprint, Role};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rtp::ntp::{NtpClock, NtpTime};
use rtp::twcc::Recorder;
use rtp::{ReceiverStatistics, RepairStatistics, RtpOut, Ssrc};
use wire::{CounterSet, Path, Seed, Transmit};

use crate::connections::Connections;
use crate::early::EarlyMedia;
use crate::names::{Names, RemoteCandidate};
use crate::receiver::Receivers;
use crate::relaying::Relaying;
use crate::remb::Remb;
use crate::rtcp_out::{Outbox, Request};
use crate::section::KeyFrameRequest;
use crate::sender::{Room, Senders};
use crate::timers::Timers;
use crate::wish::Wish;
use crate::{
    Blocked, Config, Counters, Event, Section, Sender, SenderId, SenderStatistics, Sink, Sped, SpedState, State,
    StreamId, Timer,
};

mod data;
mod ending;
mod gathering;
mod media;
mod offering;
mod reaching;
mod relaying;
mod riding;
mod securing;
mod signalling;

pub(crate) use data::init_chunk;
use securing::{Srtp, sealer};

/// A PeerConnection without I/O.
///
/// With [`ice::Mode::Lite`] it answers ([`accept_offer`](Self::accept_offer)). With [`ice::Mode::Full`] it offers
/// ([`add_section`](Self::add_section), [`offer`](Self::offer), [`accept_answer`](Self::accept_answer)), or answers if
/// an offer comes before it has a section of its own; it keeps the role.
///
/// Methods in four families: getters, inputs, commands, outputs. Inputs and commands come in any order and number; then
/// [`poll_transmit`](Self::poll_transmit) and [`poll_event`](Self::poll_event) are called until they give `None`.
pub struct Peer {
    config: Arc<Config>,
    rng: StdRng,
    born: Instant,
    state: State,
    /// Whether [`State::Connected`] was reached once.
    was_connected: bool,
    sections: Vec<Section>,
    /// Whether it has the answering role.
    answers: bool,
    /// In the offering role: the sections that we offer.
    wishes: Vec<Wish>,
    /// How many of them are in the offer that waits for its answer.
    offered: Option<usize>,
    /// Whether that offer, or one before it that nobody answered, restarts ICE.
    restarting: bool,
    /// When it was wanted that the next offer restarts ICE.
    restart_wanted: Option<Instant>,
    /// How many addresses of ours there have been on interfaces of each preference, of IPv4 and of IPv6.
    added: [[u16; 2]; 16],
    /// Whether the end of gathering was told since it began last.
    gathering_told: bool,
    /// Candidates that came before the description of their ICE session, with the ufrag that they name.
    early_candidates: Vec<(Option<String>, RemoteCandidate)>,
    /// The section whose transport is ours.
    tagged: Option<usize>,
    session_id: u64,
    version: u64,
    ice: ice::Agent,
    /// The TURN servers, in full mode where there are ICE servers.
    relaying: Option<Box<Relaying>>,
    /// mDNS, in full mode where there is a link for it.
    names: Option<Box<Names>>,
    /// To TCP candidates of the peer's.
    connections: Connections,
    dtls: Option<Dtls>,
    /// DTLS in checks, where it is configured and the peer has not signalled otherwise.
    sped: Option<Box<Sped>>,
    /// What signalling said of the peer's certificate and of our role; never changes.
    identity: Option<(Vec<Fingerprint>, Role)>,
    srtp: Option<Srtp>,
    /// SCTP, where a data section is agreed to or wished for.
    data: Option<Box<data::Data>>,
    /// Bytes of messages that the user has no more room for.
    retained: usize,
    /// What waits for the keys.
    early: EarlyMedia<Path>,
    /// Opened packets that wait for the answer to our offer, with their extended sequence numbers.
    unanswered: EarlyMedia<u64>,
    senders: Senders,
    receivers: Receivers,
    outbox: Outbox,
    /// Arrivals of packets with transport-wide numbers, once those are agreed to.
    feedback: Option<Recorder>,
    remb: Option<Remb>,
    /// Whether the peer was asked for transport-wide feedback about what we send.
    sends_transport_numbers: bool,
    /// The path of the last media packet, known to be validated.
    media_path: Option<Path>,
    /// The SSRC of the last media packet.
    media_ssrc: Ssrc,
    timers: Timers,
    events: VecDeque<Event>,
    counters: Counters,
}

/// Events that wait at most; one that tells the end always finds room.
const MAX_EVENTS: usize = 64;

/// Reports closer together than this tell nothing new.
const MIN_REPORT_INTERVAL: Duration = Duration::from_millis(100);

/// Reports further apart than this mean that none are wanted.
const MAX_REPORT_INTERVAL: Duration = Duration::from_secs(24 * 3600);

/// Reports are twice as dense for so long after the first of a sender. Browsers look once a second for a new one, and
/// bring sound and picture together only when they have found two of each.
const INTRODUCTION: Duration = Duration::from_secs(5);

impl Peer {
    /// The least room that [`poll_transmit`](Self::poll_transmit) needs, in bytes.
    pub const MIN_OUT: usize = 1500;

    /// The same for a peer with TURN servers ([`Config::ice_servers`]).
    pub const MIN_OUT_RELAYED: usize = turn::client::MIN_OUT;

    /// Bytes that may be laid around a packet that goes to a TURN server.
    pub const RELAY_ROOM: usize = 52;

    /// A peer without any section yet.
    pub fn new(config: Arc<Config>, seed: Seed, now: Instant) -> Self {
        let mut rng = StdRng::from_seed(seed.0);
        let (mut ice_config, relaying, dropped) = relaying::servers(&config, &mut rng);
        let names = reaching::names(&config, &mut rng, now);
        ice_config.concealed_hosts |= config.mdns.as_ref().is_some_and(|mdns| mdns.conceal) && names.is_some();
        let ice = ice::Agent::new(ice_config, Seed(random(&mut rng)), now);
        let streams = relaying.iter().flat_map(|relaying| relaying.wanted_streams());
        let events = streams.map(Event::OpenRelayStream).collect();
        let sped = config.sped.then(|| Box::new(Sped::new(Seed(random(&mut rng)))));
        let own = Ssrc(rng.next_u32().max(1));
        let cname = random::<8>(&mut rng).iter().map(|byte| format!("{byte:02x}")).collect();
        let clock = config
            .wall_clock
            .unwrap_or_else(|| NtpClock::new(now, NtpTime::from_unix(Duration::ZERO)));
        Self {
            born: now,
            state: State::New,
            was_connected: false,
            sections: Vec::new(),
            answers: config.ice.mode == ice::Mode::Lite,
            wishes: Vec::new(),
            offered: None,
            restarting: false,
            restart_wanted: None,
            added: [[0; 2]; 16],
            gathering_told: false,
            early_candidates: Vec::new(),
            sends_transport_numbers: false,
            tagged: None,
            // RFC 9429 §5.2.1: 63 random bits.
            session_id: rng.next_u64() >> 1,
            version: 0,
            ice,
            relaying,
            names,
            connections: Connections::new(reaching::max_connections(&config)),
            dtls: None,
            sped,
            identity: None,
            srtp: None,
            data: None,
            retained: 0,
            early: EarlyMedia::default(),
            unanswered: EarlyMedia::default(),
            senders: Senders::new(config.max_ssrcs, random(&mut rng)),
            receivers: Receivers::new(config.max_ssrcs, random(&mut rng)),
            outbox: Outbox::new(own, cname, clock),
            feedback: None,
            remb: None,
            media_path: None,
            media_ssrc: Ssrc(0),
            timers: Timers::default(),
            events,
            counters: Counters {
                relays_dropped: dropped as u64,
                ..Counters::default()
            },
            rng,
            config,
        }
    }
}

pub(crate) fn random<const N: usize>(rng: &mut StdRng) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill_bytes(&mut bytes);
    bytes
}

/// Getters.
impl Peer {
    /// How far it has come.
    pub const fn state(&self) -> State {
        self.state
    }

    /// What was agreed to, one section for each m-line of the last offer.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// What was announced for a sender. A sender whose section was stopped is forgotten.
    pub fn sender(&self, id: SenderId) -> Option<&Sender> {
        self.senders.get(id)
    }

    /// The username fragments by which the peer may address us now: two while an ICE restart is under way.
    pub fn local_ufrags(&self) -> impl Iterator<Item = &str> {
        self.ice.local_ufrags()
    }

    /// Where media goes now; `None` when it cannot go anywhere.
    pub fn selected_path(&self) -> Option<Path> {
        if self.state == State::Closed {
            None
        } else {
            self.ice.selected()
        }
    }

    /// Whether an authenticated connectivity check has opened this path: the SFU then routes what comes by it here.
    pub fn is_validated(&self, path: &Path) -> bool {
        self.ice.is_validated(path)
    }

    /// What SRTP adds to a packet of ours, in bytes; 0 before there are keys.
    pub fn srtp_overhead(&self) -> usize {
        self.srtp.as_ref().map_or(0, |srtp| srtp.sealer.rtp_overhead())
    }

    /// The largest packet that can be sent, header and padding included, in bytes before sealing.
    pub fn max_rtp(&self) -> usize {
        self.config.max_datagram.saturating_sub(self.srtp_overhead())
    }

    /// Whether the peer has reported on this sender (RFC 3550 §6.4): it knows the SSRC, MID need not be sent any more.
    pub fn is_reported(&self, id: SenderId) -> bool {
        self.senders.is_reported(id)
    }

    /// The round-trip time: from receiver reports, else from connectivity checks.
    pub fn rtt(&self) -> Option<Duration> {
        self.senders.rtt().or_else(|| self.ice.rtt())
    }

    /// What was sent by a sender, and what the peer says about it.
    pub fn sender_statistics(&self, id: SenderId) -> Option<&SenderStatistics> {
        self.senders.statistics(id)
    }

    /// What arrived of a stream under its present SSRC; `repair` asks for its retransmissions.
    pub fn stream_statistics(&self, id: StreamId, repair: bool) -> Option<&ReceiverStatistics> {
        self.receivers.statistics(id, repair)
    }

    /// What was asked for again of a stream under its present SSRC; `None` when nothing is, or before its first packet.
    pub fn repair_statistics(&self, id: StreamId) -> Option<RepairStatistics> {
        self.receivers.repair_statistics(id)
    }

    /// The same of all streams, under SSRCs too that they have left.
    pub fn repair_total(&self) -> RepairStatistics {
        self.receivers.repair_total()
    }

    /// The canonical name of everything that we send (RFC 7022).
    pub fn cname(&self) -> &str {
        self.outbox.cname()
    }

    /// How far DTLS in connectivity checks has come; `None` without [`Config::sped`], or when the other end does not
    /// signal it.
    pub fn sped_state(&self) -> Option<SpedState> {
        self.sped.as_ref().map(|sped| sped.state())
    }

    /// What was dropped here.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Every counter of the peer and of the engines inside.
    pub fn each_counter(&self, visit: &mut dyn FnMut(&'static str, u64)) {
        self.counters.each(visit);
        self.ice.counters().each(visit);
        self.dtls
            .as_ref()
            .map(Dtls::counters)
            .copied()
            .unwrap_or_default()
            .each(visit);
        let sped = self.sped.as_ref().map(|sped| *sped.counters()).unwrap_or_default();
        sped.each(visit);
        self.data_counters().each(visit);
        let mut srtp = dtls_srtp::srtp::Counters::default();
        if let Some(both) = &self.srtp {
            srtp.absorb(both.sealer.counters());
            srtp.absorb(both.opener.counters());
        }
        srtp.each(visit);
        if let Some(relaying) = &self.relaying {
            relaying.counters().each(visit);
        }
        if let Some(names) = &self.names {
            names.counters().each(visit);
        }
        let mut rtp = self.feedback.as_ref().map(Recorder::counters).unwrap_or_default();
        self.receivers
            .all_statistics()
            .for_each(|statistics| rtp.absorb(&statistics.counters()));
        rtp.each(visit);
    }
}

/// Inputs.
impl Peer {
    /// A datagram arrived. `data` is decrypted in place and lent to `sink`.
    pub fn handle_datagram(&mut self, now: Instant, path: &Path, data: &mut [u8], sink: &mut impl Sink) {
        if self.relaying.is_some() {
            self.handle_unwrapped(now, path, data, sink);
        } else {
            self.receive(now, path, data, sink);
        }
    }

    /// Takes a datagram of the peer's, or of a STUN server's.
    #[inline]
    fn receive(&mut self, now: Instant, path: &Path, data: &mut [u8], sink: &mut impl Sink) {
        if self.state == State::Closed {
            self.counters.after_close += 1;
            return;
        }
        // RFC 7983 §7.
        match data.first() {
            Some(128..=191) => self.handle_media(now, now, path, data, sink),
            Some(0..=3) => {
                self.handle_stun(now, path, data, sink);
                self.update(now);
            }
            Some(20..=63) => self.handle_dtls(now, path, data, sink),
            _ => self.counters.unknown_protocol += 1,
        }
    }

    /// The TCP connection under `path` was closed. What remains is used; without anything the peer is disconnected, and
    /// failed if it does not come back in time.
    pub fn handle_path_closed(&mut self, now: Instant, path: &Path) {
        if self.state != State::Closed {
            self.ice.handle_closed(now, path);
            self.update(now);
        }
    }

    /// The time that [`poll_timeout`](Self::poll_timeout) told has come. Spurious calls do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.state == State::Closed {
            return;
        }
        self.ice.handle_timeout(now);
        if let Some(relaying) = &mut self.relaying {
            relaying.relays.handle_timeout(now);
        }
        if let Some(names) = &mut self.names {
            names.handle_timeout(now);
        }
        if let Some(dtls) = &mut self.dtls {
            dtls.handle_timeout(now);
            self.handle_dtls_events(now);
        }
        self.handle_data_timeout(now);
        if self.timers.take_due(Timer::EarlyMedia, now) {
            self.counters.early_media_expired += self.early.expire(now) + self.unanswered.expire(now);
        }
        if self.timers.take_due(Timer::Report, now) {
            self.senders.send_reports();
            self.receivers.make_reports_due();
            self.outbox.report();
            self.arm_report(now);
        }
        if self.timers.take_due(Timer::Remb, now)
            && let Some(remb) = &mut self.remb
        {
            let lost = self
                .receivers
                .all_statistics()
                .map(ReceiverStatistics::lost)
                .sum::<i64>();
            self.outbox.remb = remb.update(now, u64::try_from(lost).unwrap_or(0));
            self.timers.set(Timer::Remb, Some(now + Remb::INTERVAL));
        }
        if self.timers.take_due(Timer::Close, now) {
            self.close(now);
        }
        self.update(now);
    }

    /// Draws the time of the next regular reports (RFC 3550 §6.2): those of many peers must not fall together.
    fn arm_report(&mut self, now: Instant) {
        let interval = self
            .config
            .report_interval
            .clamp(MIN_REPORT_INTERVAL, MAX_REPORT_INTERVAL);
        let introduced = self.senders.introduced();
        let is_new = introduced.is_some_and(|at| now.saturating_duration_since(at) < INTRODUCTION);
        let interval = if is_new { interval / 2 } else { interval };
        let spread = interval.mul_f64(f64::from(self.rng.next_u32()) / f64::from(u32::MAX));
        let at = now + interval / 2 + spread;
        let sooner = self.timers.get(Timer::Report).map_or(at, |armed| armed.min(at));
        self.timers.set(Timer::Report, Some(sooner));
    }
}

/// Commands.
impl Peer {
    /// Sets the sender's clock: `timestamp` is its RTP timestamp at `at`, and it advances linearly for ever. Sender
    /// reports are made from it; without one they are made from the last packet's timestamp and time.
    pub fn set_sender_clock(&mut self, sender: SenderId, at: Instant, timestamp: u32) {
        self.senders.set_clock(sender, at, timestamp);
    }

    /// Writes a packet of ours, sealed, into `out` and returns its length. The payload comes in pieces, laid one after
    /// the other (a rewritten payload descriptor, then the rest), so that the caller need not copy it. It leaves by
    /// [`selected_path`](Self::selected_path). `header.ssrc` is not looked at: a sender has its own.
    ///
    /// # Errors
    /// [`Blocked`]; nothing has changed then.
    #[inline]
    pub fn write_rtp(
        &mut self,
        now: Instant,
        sender: SenderId,
        header: &RtpOut<'_>,
        payload: &[&[u8]],
        out: &mut [u8],
    ) -> Result<usize, Blocked> {
        let room = Room {
            out,
            max_datagram: self.config.max_datagram,
        };
        let sealer = sealer(self.state, &mut self.srtp)?;
        self.senders.write(now, sealer, sender, header, payload, room)
    }

    /// Writes a retransmission (RFC 4588): as [`write_rtp`](Self::write_rtp), with the header of the original packet.
    /// Its number, payload type and SSRC are replaced.
    ///
    /// # Errors
    /// [`Blocked`]; nothing has changed then.
    pub fn write_rtx(
        &mut self,
        now: Instant,
        sender: SenderId,
        original: &RtpOut<'_>,
        payload: &[&[u8]],
        out: &mut [u8],
    ) -> Result<usize, Blocked> {
        let _ = now;
        let room = Room {
            out,
            max_datagram: self.config.max_datagram,
        };
        let sealer = sealer(self.state, &mut self.srtp)?;
        self.senders.write_rtx(sealer, sender, original, payload, room)
    }

    /// Asks the peer for a key frame of a stream that it sends (PLI, or FIR when only that was agreed to). Does nothing
    /// as long as the stream's SSRC is not known, from the offer or from its first packet.
    pub fn request_key_frame(&mut self, now: Instant, stream: StreamId) {
        let _ = now;
        let Some((ssrc, section)) = self.receivers.source(stream) else {
            return;
        };
        let request = match self.sections.get(section).and_then(|section| section.key_frames) {
            Some(KeyFrameRequest::Pli) => Request::Pli(ssrc),
            Some(KeyFrameRequest::Fir) => Request::Fir(ssrc, self.receivers.next_fir(stream)),
            None => return,
        };
        if !self.outbox.request(request) {
            self.counters.feedback_overflow += 1;
        }
    }

    /// Lets a sender report follow at once, as after a switch of sources.
    pub fn send_report_now(&mut self, now: Instant, sender: SenderId) {
        let _ = now;
        self.senders.send_report(sender);
    }
}

/// Outputs.
impl Peer {
    /// The next datagram to send that is not media. Call until it gives `None`.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<Transmit> {
        let least = self.min_out();
        debug_assert!(out.len() >= least, "poll_transmit wants {least} bytes of room");
        if out.len() < least {
            return None;
        }
        let transmit = self.next_transmit(now, out, true);
        if transmit.is_none() {
            self.follow_connections(now);
            self.refresh_timers();
        }
        transmit
    }

    /// As [`poll_transmit`](Self::poll_transmit), but for data channels: who writes media as it becomes due calls this
    /// before, and `poll_transmit` after, so that nothing that is urgent waits behind what fills the link. That there is
    /// nothing more to send is said by `poll_transmit` alone.
    pub fn poll_control(&mut self, now: Instant, out: &mut [u8]) -> Option<Transmit> {
        (out.len() >= self.min_out()).then(|| self.next_transmit(now, out, false))?
    }

    fn min_out(&self) -> usize {
        if self.relaying.is_some() {
            Self::MIN_OUT_RELAYED
        } else {
            Self::MIN_OUT
        }
    }

    fn next_transmit(&mut self, now: Instant, out: &mut [u8], data: bool) -> Option<Transmit> {
        loop {
            if let Some(transmit) = self.poll_relays(now, out) {
                return Some(transmit);
            }
            let Some(transmit) = self.next_unwrapped(now, out, data) else {
                break;
            };
            if let Some(transmit) = self.wrap(now, transmit, out) {
                return Some(transmit);
            }
        }
        // Behind the goodbye, which needs them.
        let relaying = self.relaying.as_mut().filter(|_| self.state == State::Closed)?;
        relaying.close();
        self.poll_relays(now, out)
    }

    /// As if there were no relays.
    fn next_unwrapped(&mut self, now: Instant, out: &mut [u8], data: bool) -> Option<Transmit> {
        if self.state != State::Closed
            && let Some(transmit) = self.poll_ice(now, out)
        {
            return Some(transmit);
        }
        let path = self.ice.selected()?;
        let len = self.write_rtcp(now, out);
        self.tell_lost();
        if let Some(len) = len {
            return Some(Transmit::one(path, len));
        }
        if let Some(len) = self.sped.as_mut().and_then(|sped| sped.poll_plain(out)) {
            return Some(Transmit::one(path, len));
        }
        let dtls = self.dtls.as_mut()?;
        // Before a flight leaves, for its timer starts then.
        if let Some(rtt) = self.ice.rtt() {
            dtls.set_rtt(rtt);
        }
        if let Some(len) = dtls.poll_transmit(now, out) {
            return Some(Transmit::one(path, len));
        }
        if !data {
            return None;
        }
        let transmit = self.poll_data(now, out);
        if transmit.is_none() && self.has_said_all() {
            self.close(now);
            return self.next_unwrapped(now, out, data);
        }
        transmit
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called; `None` when nothing is armed. Valid once
    /// [`poll_transmit`](Self::poll_transmit) gave `None`.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next().map(|(_, at)| at)
    }

    /// Which timer that is.
    pub fn next_timer(&self) -> Option<(Timer, Instant)> {
        self.timers.next()
    }

    /// What happened; call until it gives `None`.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.poll_connections()
            .or_else(|| {
                // The end comes last.
                let is_over = matches!(self.events.front(), Some(Event::Closed { .. }));
                if is_over { None } else { self.events.pop_front() }
            })
            .or_else(|| self.poll_data_event())
            .or_else(|| self.events.pop_front())
    }

    fn push_event(&mut self, event: Event) {
        if self.events.len() < MAX_EVENTS {
            self.events.push_back(event);
        } else {
            self.counters.lost_events += 1;
        }
    }

    /// Copies the deadlines of the engines inside into the table.
    fn refresh_timers(&mut self) {
        if self.state == State::Closed {
            return;
        }
        self.timers.set(Timer::Ice, self.ice.poll_timeout());
        let relays = self
            .relaying
            .as_ref()
            .and_then(|relaying| relaying.relays.poll_timeout());
        self.timers.set(Timer::Relays, relays);
        let names = self.names.as_ref().and_then(|names| names.poll_timeout());
        self.timers.set(Timer::Names, names);
        self.timers
            .set(Timer::Dtls, self.dtls.as_ref().and_then(Dtls::poll_timeout));
        self.timers.set(Timer::Data, self.data_timeout());
        self.timers.set(Timer::EarlyMedia, self.early_deadline());
        // What cannot be sent is not waited for.
        let feedback = self.feedback.as_ref().filter(|_| self.ice.selected().is_some());
        self.timers
            .set(Timer::TransportFeedback, feedback.and_then(Recorder::poll_timeout));
        let nack = self.receivers.nack_due().filter(|_| self.ice.selected().is_some());
        self.timers.set(Timer::Nack, nack);
    }

    /// Tells of what was given up of the streams.
    fn tell_lost(&mut self) {
        while let Some(stream) = self.receivers.take_lost() {
            let event = Event::PacketsLost { stream };
            if !self.events.contains(&event) {
                self.push_event(event);
            }
        }
    }

    /// Follows the engines inside after an input.
    fn update(&mut self, now: Instant) {
        self.follow_names(now);
        self.follow_relays(now);
        self.follow_agent();
        self.refuse_connections(now);
        self.keep_connections();
        self.tell_gathered();
        let secure = self.dtls.as_ref().is_some_and(Dtls::is_connected);
        let state = match (self.state, self.ice.state()) {
            (State::Closed, _) => State::Closed,
            (_, ice::State::Failed) => State::Failed,
            (_, ice::State::Connected) if secure => State::Connected,
            (_, ice::State::New | ice::State::Checking | ice::State::Disconnected) if self.was_connected => {
                State::Disconnected
            }
            (State::New, _) => State::New,
            _ => State::Connecting,
        };
        if state != self.state {
            self.state = state;
            match state {
                State::Connected => {
                    self.was_connected = true;
                    self.push_event(Event::Connected);
                }
                State::Disconnected => self.push_event(Event::Disconnected),
                State::Failed => self.push_event(Event::Failed),
                State::New | State::Connecting | State::Closed => {}
            }
        }
    }

    fn follow_agent(&mut self) {
        while let Some(event) = self.ice.poll_event() {
            self.follow_ice(event);
        }
    }

    fn follow_ice(&mut self, event: ice::Event) {
        match event {
            ice::Event::PathRemoved(path) => {
                if self.media_path == Some(path) {
                    self.media_path = None;
                }
                if let Some(relaying) = &mut self.relaying {
                    relaying.forgets_due = true;
                }
            }
            ice::Event::CandidateGathered(candidate) if self.may_tell(&candidate) => {
                if let Some(event) = self.candidate_event(&candidate) {
                    self.push_event(event);
                }
            }
            ice::Event::OpenConnection(path) => self.connections.want(path),
            ice::Event::NeedsRestart => self.push_event(Event::NeedsRestart),
            _ => {}
        }
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("state", &self.state)
            .field("sections", &self.sections.len())
            .field("path", &self.ice.selected())
            .finish_non_exhaustive()
    }
}
