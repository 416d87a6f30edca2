//! How an association begins and ends (RFC 9260 §4, §5, §8.4, §8.5, §9; SNAP: draft-hancke-tsvwg-snap-00): tags, cookies,
//! and the state that all other parts depend on.
//!
//! Nothing is kept for an INIT (§5.1 B), and at most one answer waits to be sent: peers repeat what was not answered.

use core::fmt;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::time::{Duration, Instant};
use wire::{Seed, Writer};

use crate::cause::Cause;
use crate::checksum::Checksum;
use crate::chunk::Init;
use crate::packet::{CommonHeader, RawChunk};
use crate::{CloseReason, Config, Counters};

mod admission;
mod cookie;
mod init;
mod output;
mod receive;
#[cfg(test)]
mod tests;

use cookie::{Cookies, Local, Ties};
pub use init::UnusableInit;

/// RFC 9260 §4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing was begun. INIT and COOKIE ECHO are answered.
    Closed,
    /// INIT was sent.
    CookieWait,
    /// COOKIE ECHO was sent. Data may stand behind it in its packet, nowhere else (§5.1 C).
    CookieEchoed,
    /// Up.
    Established,
    /// The user wants to shut down; what was sent is not acknowledged yet.
    ShutdownPending,
    /// SHUTDOWN was sent.
    ShutdownSent,
    /// The peer has sent SHUTDOWN; what we sent is not acknowledged yet.
    ShutdownReceived,
    /// SHUTDOWN ACK was sent.
    ShutdownAckSent,
    /// Over, for good.
    Ended,
}

/// What the peer has told in its INIT or INIT ACK, as far as we can make use of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    /// The verification tag of packets to the peer.
    pub(crate) tag: u32,
    /// Its receive window, in bytes.
    pub(crate) a_rwnd: u32,
    /// The TSN of its first DATA.
    pub(crate) initial_tsn: u32,
    /// How many streams we may receive on: what it wants and what we take at most.
    pub(crate) outbound_streams: u16,
    /// How many streams we may send on: what we want and what it takes at most (RFC 9260 §5.1.1).
    pub(crate) inbound_streams: u16,
    /// Both list I-DATA: there is no DATA then (RFC 8260 §2.2.1).
    pub(crate) interleaving: bool,
    /// It knows FORWARD TSN, or I-FORWARD-TSN with interleaving.
    pub(crate) forward_tsn: bool,
    /// It knows RE-CONFIG.
    pub(crate) reconfig: bool,
    /// We may send checksums of zero: it accepts them under DTLS, and our configuration uses them.
    pub(crate) zero_checksum: bool,
}

/// What a chunk has led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing: the next chunk.
    Continue,
    /// The rest of the packet is to be ignored.
    Stop,
    /// The association is up; [`Setup::peer`] is as it stays. The next chunk.
    Established,
    /// The peer has begun anew: all that belongs to data is to be thrown away and made again from
    /// [`Setup::local_initial_tsn`] and [`Setup::peer`], which have changed. The next chunk.
    Restarted,
    /// The peer takes no more data and acknowledges what it has; when all is acknowledged, [`Setup::data_all_acked`] goes
    /// on. The next chunk.
    PeerShutsDown {
        /// The last TSN that the peer has received in sequence.
        cumulative_tsn_ack: u32,
    },
    /// It is over. The rest of the packet is to be ignored.
    Closed(CloseReason),
}

/// T1-init, T1-cookie or T2-shutdown, by the state.
#[derive(Debug, Clone, Copy)]
struct Timer {
    at: Instant,
    rto: Duration,
    /// How often it has expired.
    expired: u32,
}

impl Timer {
    /// Nothing when that time never comes.
    fn start(now: Instant, rto: Duration) -> Option<Self> {
        let at = now.checked_add(rto)?;
        Some(Self { at, rto, expired: 0 })
    }
}

/// See the module.
pub(crate) struct Setup {
    config: Config,
    rng: StdRng,
    cookies: Cookies,
    state: State,
    local: Local,
    peer: Option<Peer>,
    ties: Ties,
    /// The user wants to shut down, now or as soon as the association is up.
    shutdown_wanted: bool,
    /// The verification tag of the packet at hand.
    packet_tag: u32,
    /// The chunk of the present state is to be sent: INIT, COOKIE ECHO, SHUTDOWN or SHUTDOWN ACK.
    due: bool,
    cookie_ack_due: bool,
    /// Where our own set-up was when that of the peer's had come to its end: INIT ACK or COOKIE ACK is still to come.
    crossed: Option<State>,
    /// An ERROR goes with the SHUTDOWN ACK (RFC 9260 §5.2.4 A).
    refusal_due: bool,
    /// What COOKIE ECHO brings back, while that may be repeated.
    peer_cookie: Vec<u8>,
    /// The parameters of the peer's INIT ACK that the ERROR behind COOKIE ECHO quotes.
    report: Vec<u8>,
    /// How often the peer has called its cookie stale.
    stale_cookies: u32,
    timer: Option<Timer>,
    /// T5-shutdown-guard.
    guard: Option<Instant>,
    /// What T2-shutdown begins with.
    rto: Duration,
    /// A packet that waits, or nothing. It keeps its memory, [`ALONE_LEN`] at most.
    reply: Vec<u8>,
}

/// Without keys and cookies.
impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup")
            .field("state", &self.state)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl Setup {
    pub(crate) fn new(config: &Config, seed: Seed, now: Instant) -> Self {
        let mut rng = StdRng::from_seed(seed.0);
        let mut key = [0; 32];
        rng.fill_bytes(&mut key);
        let local = draw_local(&mut rng, 0);
        let ties = draw_ties(&mut rng);
        Self {
            config: config.clone(),
            cookies: Cookies::new(&key, now),
            rng,
            state: State::Closed,
            local,
            peer: None,
            ties,
            shutdown_wanted: false,
            packet_tag: 0,
            due: false,
            cookie_ack_due: false,
            crossed: None,
            refusal_due: false,
            peer_cookie: Vec::new(),
            report: Vec::new(),
            stale_cookies: 0,
            timer: None,
            guard: None,
            rto: config.initial_rto,
            reply: Vec::new(),
        }
    }

    /// The peer's port, where it was not known before.
    pub(crate) const fn set_destination_port(&mut self, port: u16) {
        self.config.destination_port = port;
    }

    // Getters

    pub(crate) const fn state(&self) -> State {
        self.state
    }

    /// Whether DATA may be sent, and SACK counts (RFC 9260 §6).
    pub(crate) const fn is_open(&self) -> bool {
        matches!(
            self.state,
            State::Established | State::ShutdownPending | State::ShutdownReceived
        )
    }

    /// Whether DATA of the peer counts (RFC 9260 §6). Elsewhere it is discarded.
    pub(crate) const fn takes_data(&self) -> bool {
        matches!(
            self.state,
            State::Established | State::ShutdownPending | State::ShutdownSent
        )
    }

    /// The TSN of our first DATA. A restart changes it.
    pub(crate) const fn local_initial_tsn(&self) -> u32 {
        self.local.initial_tsn
    }

    /// Known from [`State::CookieEchoed`] on.
    pub(crate) const fn peer(&self) -> Option<&Peer> {
        self.peer.as_ref()
    }

    /// What packets to the peer begin with, those of [`push`](Self::push) and all others of the association.
    pub(crate) fn header(&self) -> Option<CommonHeader> {
        self.peer.as_ref().map(|peer| self.header_with(peer.tag))
    }

    /// How packets of the association are finished. Zero never goes with COOKIE ECHO (RFC 9653 §5.2), since nothing but
    /// COOKIE ECHO is sent before the association is up.
    pub(crate) fn checksum(&self) -> Checksum {
        let waits = matches!(self.state, State::Closed | State::CookieWait | State::CookieEchoed);
        match &self.peer {
            Some(peer) if peer.zero_checksum && !waits => Checksum::Zero,
            _ => Checksum::Crc32c,
        }
    }

    /// Writes our INIT chunk, that which [`connect`](Self::connect) sends, as `a=sctp-init` carries it in base64. Nothing
    /// when it does not fit into `out`; 64 bytes are enough. After a restart it is another.
    pub(crate) fn local_init(&self, out: &mut [u8]) -> Option<usize> {
        let mut w = Writer::new(out);
        init::with_ours(&self.config, self.local, &[], |init| init.write(&mut w)).ok()?;
        Some(w.position())
    }

    // Commands

    /// Begins; does nothing if that was done before in any way.
    pub(crate) fn connect(&mut self, now: Instant) {
        if self.state == State::Closed {
            self.send_init(now);
        }
    }

    /// Begins with the INIT of `a=sctp-init`, ours having been told to the peer in the same way: the association is up
    /// (draft-hancke-tsvwg-snap-00).
    ///
    /// # Errors
    /// What is wrong with the INIT. Nothing is set up then, and our tag is another: the peer may count on the one that it
    /// was told, and takes an INIT with that for one that is late (RFC 9260 §5.2.4).
    pub(crate) fn connect_with(&mut self, peer_init: &[u8]) -> Result<(), UnusableInit> {
        if self.state != State::Closed {
            return Err(UnusableInit::TooLate);
        }
        let init = Init::parse(peer_init).map_err(UnusableInit::Malformed);
        match init.and_then(|init| init::read(&self.config, &init)) {
            Ok(offer) => {
                self.open(Some(offer.peer));
                Ok(())
            }
            Err(fault) => {
                self.local.tag = draw(|| self.rng.next_u32(), self.local.tag);
                Err(fault)
            }
        }
    }

    /// The user has no more to send. What was accepted is sent before (RFC 9260 §9.2), even if the association is still
    /// being set up. What had not begun is over at once.
    pub(crate) fn shutdown(&mut self) -> Option<CloseReason> {
        self.shutdown_wanted = true;
        match self.state {
            State::Established => self.state = State::ShutdownPending,
            State::Closed => {
                self.end();
                return Some(CloseReason::Shutdown);
            }
            _ => {}
        }
        None
    }

    /// Whether a shutdown was asked for.
    pub(crate) const fn wants_shutdown(&self) -> bool {
        self.shutdown_wanted
    }

    /// Nothing that we sent is outstanding, and nothing waits. Means something only in [`State::ShutdownPending`] and
    /// [`State::ShutdownReceived`]. `rto` is the present retransmission time-out (RFC 9260 §6.3).
    pub(crate) fn data_all_acked(&mut self, now: Instant, rto: Duration) {
        self.rto = rto.min(self.config.max_rto);
        match self.state {
            State::ShutdownPending => {
                self.state = State::ShutdownSent;
                // RFC 9260 §9.2.
                self.guard = now.checked_add(self.config.max_rto.saturating_mul(5));
            }
            State::ShutdownReceived => self.state = State::ShutdownAckSent,
            _ => return,
        }
        self.due = true;
        self.timer = Timer::start(now, self.rto);
    }

    /// The packet at hand had DATA: in [`State::ShutdownSent`] each is answered by SHUTDOWN at once (RFC 9260 §9.2).
    /// The peer has time to send all that it has; the guard sets the limit.
    pub(crate) fn data_received(&mut self, now: Instant) {
        if self.state == State::ShutdownSent {
            self.due = true;
            self.timer = Timer::start(now, self.rto);
        }
    }

    /// Ends the association and tells the peer, if there is one to tell (RFC 9260 §9.1).
    pub(crate) fn abort(&mut self, cause: Cause<'_>) {
        if let (Some(peer), false) = (self.peer, self.state == State::Ended) {
            self.abort_with(peer.tag, false, cause);
        }
        self.end();
    }

    /// Ends the association for a reason that any part has found. The peer is told if it does not know.
    pub(crate) fn close(&mut self, reason: &CloseReason) {
        match reason {
            CloseReason::Aborted => self.abort(Cause::UserInitiatedAbort(&[])),
            CloseReason::ProtocolViolation(rule) => self.abort(Cause::ProtocolViolation(rule.as_bytes())),
            CloseReason::TooMuch(_) => self.abort(Cause::OutOfResource),
            CloseReason::Unreachable => self.abort(Cause::UserInitiatedAbort(b"unreachable")),
            CloseReason::Stalled => self.abort(Cause::UserInitiatedAbort(b"no room for too long")),
            CloseReason::Shutdown | CloseReason::AbortedByPeer { .. } | CloseReason::NoAnswer => self.end(),
        }
    }

    // Timers

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.timer.map(|timer| timer.at).into_iter().chain(self.guard).min()
    }

    /// Repeats what was not answered, or gives up.
    pub(crate) fn handle_timeout(&mut self, now: Instant, counters: &mut Counters) -> Option<CloseReason> {
        if self.guard.is_some_and(|at| at <= now) {
            self.close(&CloseReason::Unreachable);
            return Some(CloseReason::Unreachable);
        }
        let timer = self.timer.as_mut().filter(|timer| timer.at <= now)?;
        if timer.expired >= self.config.max_retransmissions {
            let in_setup = matches!(self.state, State::CookieWait | State::CookieEchoed);
            self.end();
            return Some(if in_setup {
                CloseReason::NoAnswer
            } else {
                CloseReason::Unreachable
            });
        }
        // RFC 9260 §6.3.3 E2.
        let rto = timer.rto.saturating_mul(2).min(self.config.max_rto);
        let expired = timer.expired.saturating_add(1);
        self.timer = Timer::start(now, rto).map(|timer| Timer { expired, ..timer });
        self.due = true;
        admission::count(&mut counters.sctp_setup_repeats);
        None
    }

    // Parts of the above

    fn send_init(&mut self, now: Instant) {
        self.state = State::CookieWait;
        self.peer = None;
        self.due = true;
        self.start_t1(now);
    }

    fn start_t1(&mut self, now: Instant) {
        self.timer = Timer::start(now, self.config.initial_rto.min(self.config.max_rto));
    }

    /// The association is up, with that peer or the one there is.
    fn open(&mut self, peer: Option<Peer>) {
        self.peer = peer.or(self.peer);
        self.settle(if self.shutdown_wanted {
            State::ShutdownPending
        } else {
            State::Established
        });
    }

    fn end(&mut self) {
        self.settle(State::Ended);
    }

    /// Enters a state in which nothing is under way here.
    fn settle(&mut self, state: State) {
        self.state = state;
        self.due = false;
        self.cookie_ack_due = false;
        self.timer = None;
        self.guard = None;
        self.peer_cookie = Vec::new();
        self.report = Vec::new();
    }

    const fn header_with(&self, verification_tag: u32) -> CommonHeader {
        CommonHeader {
            source_port: self.config.source_port,
            destination_port: self.config.destination_port,
            verification_tag,
        }
    }

    /// The longest cookie that comes back in one packet, in bytes.
    const fn longest_cookie(&self) -> usize {
        let room = self.config.base_packet.saturating_sub(CommonHeader::LEN);
        (room & !3).saturating_sub(RawChunk::HEADER_LEN)
    }
}

/// The first number that is neither 0 nor `other` (RFC 9260 §5.3.1).
fn draw(mut next: impl FnMut() -> u32, other: u32) -> u32 {
    loop {
        let number = next();
        if number != 0 && number != other {
            return number;
        }
    }
}

fn draw_local(rng: &mut StdRng, old_tag: u32) -> Local {
    Local {
        tag: draw(|| rng.next_u32(), old_tag),
        initial_tsn: rng.next_u32(),
    }
}

fn draw_ties(rng: &mut StdRng) -> Ties {
    Ties {
        local: draw(|| rng.next_u32(), 0),
        peer: draw(|| rng.next_u32(), 0),
    }
}
