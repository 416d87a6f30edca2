use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wire::{Reader, Seed, Writer};
use zeroize::Zeroizing;

use crate::alert::Alert;
use crate::association::Association;
use crate::config::Config;
use crate::cookie::{CookieExchange, ProvenHello};
use crate::counters::Counters;
use crate::early::Early;
use crate::event::{CloseReason, Event};
use crate::fingerprint::Fingerprint;
use crate::identity::Authenticated;
use crate::negotiation::AgreedSrtp;
use crate::offer::Offer;
use crate::overhead::Overhead;
use crate::profile::{KeyAndSalt, SrtpKeys};
use crate::reassembly::{Reassembler, ReassemblyLimits};
use crate::records::Unsealed;
use crate::registry::{AlertDescription, ContentType, Version};
use crate::resumption::{KeptSessions, SavedSession};
use crate::session::Session;
use crate::timer::Due;
use crate::v12;
use crate::v13::{self, Ack, KeyUpdate, RecordNumber};

/// Which end of the handshake we are: `a=setup:active` is the client (RFC 5763 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Sends the first `ClientHello`.
    Client,
    /// Waits for it.
    Server,
}

/// A DTLS connection: a filter with timers between a path that ICE has proven and those who want keys and messages.
///
/// It knows no addresses and no sockets. What comes out of [`take_srtp_keys`](Self::take_srtp_keys) and
/// [`export`](Self::export) exists only once the peer is authenticated: both ends show certificates, and the peer's has
/// matched a fingerprint from signalling, unless [`Config::authentication`] and [`Config::client_certificate`] say
/// otherwise.
pub struct Dtls {
    pub(crate) role: Role,
    pub(crate) association: Association,
    pub(crate) reassembler: Reassembler,
    pub(crate) early: Early,
    pub(crate) state: State,
    /// An alert that waits to be written; a later one takes its place.
    pub(crate) alert: Option<Alert>,
    events: VecDeque<Event>,
    pub(crate) counters: Counters,
    /// When the flight left last, lest every repeated datagram makes us repeat it.
    pub(crate) flight_sent_at: Option<Instant>,
    max_datagram: usize,
    pub(crate) authentic_records: u64,
    /// Pieces of handshake messages that were kept.
    pub(crate) taken_fragments: u64,
    pub(crate) taken_datagrams: u64,
    /// The newest authentic record, and how many in turn were so and named this connection.
    pub(crate) newest: Option<RecordNumber>,
    pub(crate) newer_records: u64,
    /// Whether the peer has used the keys of the connection.
    pub(crate) heard: bool,
    srtp_keys_taken: bool,
    /// A server's that has not proven the client's address and is to.
    pub(crate) cookie_exchange: Option<Box<CookieExchange>>,
    /// What it has to say; a later answer takes its place.
    pub(crate) cookie_answer: Option<Vec<u8>>,
    /// What a client has been given to resume later.
    pub(crate) sessions: KeptSessions,
}

pub(crate) enum State {
    Handshaking(Handshake),
    /// Complete, but nothing has told yet that the peer is the right one.
    Unproven(Session),
    Connected(Session, Authenticated),
    Closed(CloseReason),
}

/// The handshake of one version and role.
pub(crate) enum Handshake {
    /// A client whose server has not chosen the version.
    Offer(Offer),
    /// A server without a `ClientHello`.
    Listening,
    Client12(v12::Client),
    Server12(v12::Server),
    Client13(Box<v13::Client>),
    Server13(Box<v13::Server>),
    /// Failed; the state follows.
    Over,
}

impl Handshake {
    /// Whether the peer's records are those of DTLS 1.3.
    pub(crate) const fn is_13(&self) -> bool {
        matches!(self, Self::Client13(_) | Self::Server13(_))
    }

    /// Whether the peer may speak DTLS 1.3, as far as is known.
    pub(crate) const fn may_be_13(&self) -> bool {
        match self {
            Self::Offer(offer) => offer.offers_13(),
            _ => self.is_13(),
        }
    }

    /// Whether alerts in the clear can be the peer's: not when it has keys and knows that we have, too.
    pub(crate) fn takes_plain_alerts(&self, authentic_records: u64) -> bool {
        match self {
            Self::Client13(_) => false,
            Self::Server13(_) => authentic_records == 0,
            _ => true,
        }
    }

    /// The last epoch of DTLS 1.2 that it may lead to: there is nothing to wait for beyond.
    pub(crate) const fn highest_epoch(&self) -> u16 {
        match self {
            Self::Client13(_) | Self::Server13(_) => 0,
            _ => v12::HIGHEST_EPOCH,
        }
    }

    /// Whether records of an epoch with these lower bits, for which there are no keys, are worth keeping: a client's
    /// keys come with the `ServerHello` and with the server's Finished, a server has all its keys at once.
    pub(crate) fn awaits_bits(&self, bits: u8) -> bool {
        let bits = u16::from(bits);
        match self {
            Self::Offer(offer) if offer.offers_13() => {
                [v13::HANDSHAKE_EPOCH, v13::FIRST_APPLICATION_EPOCH].contains(&bits)
            }
            Self::Client13(_) => bits == v13::FIRST_APPLICATION_EPOCH,
            _ => false,
        }
    }
}

impl Dtls {
    /// The shortest `out` that [`poll_transmit`](Self::poll_transmit) takes, in bytes. A peer's connection ID of more than 200
    /// bytes leaves no room in it: 512 will do for all.
    pub const MIN_OUT: usize = 256;

    /// A new connection. A client's first datagram waits at once; a server's clock starts with the peer's first one, or
    /// with its cookie ([`Config::cookie`]).
    pub fn new(config: Arc<Config>, role: Role, seed: Seed, now: Instant) -> Self {
        let mut this = Self::idle(config, role, seed, now);
        match role {
            Role::Client => this.offer(None, now),
            Role::Server if this.config().cookie => this.await_cookie(now),
            Role::Server => {}
        }
        this
    }

    /// A server that goes on from a hello whose sender has proven its address.
    pub fn accept(hello: ProvenHello, seed: Seed, now: Instant) -> Self {
        let mut this = Self::idle(hello.config.clone(), Role::Server, seed, now);
        this.go_on_from(hello, now);
        this
    }

    /// As client: sends the first hello, which offers to resume this session.
    pub(crate) fn offer(&mut self, session: Option<SavedSession>, now: Instant) {
        self.association.start_clock(now);
        match Offer::start(&mut self.association, session) {
            Ok(offer) => self.state = State::Handshaking(Handshake::Offer(offer)),
            Err(reason) => self.end(reason),
        }
    }

    pub(crate) fn idle(config: Arc<Config>, role: Role, seed: Seed, now: Instant) -> Self {
        Self {
            role,
            reassembler: Reassembler::new(ReassemblyLimits::of(&config)),
            early: Early::new(config.max_pending),
            state: State::Handshaking(Handshake::Listening),
            alert: None,
            events: VecDeque::new(),
            counters: Counters::default(),
            flight_sent_at: None,
            authentic_records: 0,
            taken_fragments: 0,
            taken_datagrams: 0,
            newest: None,
            newer_records: 0,
            heard: false,
            srtp_keys_taken: false,
            cookie_exchange: None,
            cookie_answer: None,
            sessions: KeptSessions::default(),
            max_datagram: config.max_datagram.max(Self::MIN_OUT),
            association: Association::new(config, seed, now),
        }
    }

    // 1. Getters

    /// Which end we are.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Whether the handshake is complete and the peer is who signalling said.
    pub const fn is_connected(&self) -> bool {
        matches!(self.state, State::Connected(..))
    }

    /// Whether it is over.
    pub const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed(_))
    }

    /// The peer's certificate in DER, once it came; proven only when [`is_connected`](Self::is_connected).
    pub fn peer_certificate(&self) -> Option<&[u8]> {
        self.association.identity.certificate()
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.association.config
    }

    /// Bytes of incomplete messages and of early records that are held: at most twice
    /// [`Config::max_pending`](crate::Config::max_pending), whatever the peer sends.
    pub fn held_bytes(&self) -> usize {
        let strangers = self.cookie_exchange.as_ref().map_or(0, |door| door.held_bytes());
        self.reassembler
            .held_bytes()
            .saturating_add(self.early.held_bytes())
            .saturating_add(strangers)
    }

    /// How many protected records proved authentic so far: when a datagram makes it rise, the peer itself has sent it
    /// (which consent checks and path choice want to know).
    pub const fn authentic_records(&self) -> u64 {
        self.authentic_records
    }

    /// What was tolerated so far.
    pub fn counters(&self) -> &Counters {
        self.cookie_exchange
            .as_ref()
            .map_or(&self.counters, |door| door.counters())
    }

    /// The room that [`seal`](Self::seal) needs around a plaintext; before the handshake the most that can be. Where
    /// connection IDs are switched on, a datagram of the peer's can change it during a connection of DTLS 1.3.
    pub fn overhead(&self) -> Overhead {
        let sealing = match &self.state {
            State::Connected(session, _) => self.association.records.overhead(session.epoch),
            _ => None,
        };
        let max = match self.config().connection_ids {
            Some(_) => Overhead::MAX_WITH_ID,
            None => Overhead::MAX,
        };
        sealing.unwrap_or(max)
    }

    /// Keying material for others (RFC 5705, in DTLS 1.3 RFC 8446 §7.5), filling `out`.
    ///
    /// # Errors
    /// Before the connection is established; in DTLS 1.2 when the context is longer than 2^16 - 1 bytes; in DTLS 1.3 when
    /// the label is longer than 249 bytes or `out` than 255 digests of the suite (8160 bytes with SHA-256).
    pub fn export(&self, label: &[u8], context: Option<&[u8]>, out: &mut [u8]) -> Result<(), ExportError> {
        let (session, _proof) = self.proven().ok_or(ExportError::NotConnected)?;
        session.export(label, context, out).ok_or(ExportError::TooLong)
    }

    // 2. Inputs

    /// Does what is due. Spurious and repeated calls do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.association.now = now;
        if let Some(door) = &mut self.cookie_exchange {
            door.handle_timeout(now);
        }
        // Several things may be due at once.
        while let Some(due) = self.association.timer.poll(now) {
            match due {
                Due::Retransmit => {
                    self.repeat_flight();
                    self.acknowledge_again(now);
                }
                Due::Acknowledge => self.association.received.due = true,
                Due::GiveUp if matches!(self.state, State::Unproven(_)) => self.end(self.why_unproven()),
                Due::GiveUp if self.is_connected() && !self.awaits_acknowledgement() && self.is_giving_tickets() => {
                    self.leave_tickets();
                }
                // A peer that talks to us has our last flight, even if it does not say so.
                Due::GiveUp if self.is_connected() && !self.awaits_acknowledgement() && self.heard => {
                    self.flight_acknowledged();
                }
                Due::GiveUp => self.end(CloseReason::Timeout),
            }
        }
    }

    // 3. Commands

    /// Tells what signalling says about the peer's certificate, before or during the handshake. Of several fingerprints
    /// those with the strongest hash function count. Once a certificate has matched, later calls change nothing:
    /// another certificate needs another connection. One that was established without a certificate of the peer's ends
    /// with [`CloseReason::NoPeerCertificate`].
    pub fn set_remote_fingerprints(&mut self, fingerprints: Vec<Fingerprint>) {
        if self.is_closed() {
            return;
        }
        match self.association.identity.set_fingerprints(fingerprints) {
            Ok(()) => self.connect_if_proven(),
            Err(reason) => self.end(reason),
        }
    }

    /// Whatever [`Config::authentication`] and [`Config::client_certificate`] say, fingerprints decide, and both ends show
    /// certificates, as in WebRTC. To be called before anything else: what is connected stays so.
    pub const fn require_fingerprint(&mut self) {
        self.association.identity.require_fingerprint();
    }

    /// The embedder takes the peer's certificate, after [`Event::CertificateToJudge`]: the connection is established, and an
    /// empty datagram fetches what came before ([`handle_datagram`](Self::handle_datagram)). At any other time, or when
    /// others decide, nothing happens.
    pub fn accept_certificate(&mut self) {
        if matches!(self.state, State::Unproven(_)) && self.association.identity.is_to_be_judged() {
            self.association.identity.accept();
            self.connect_if_proven();
        }
    }

    /// The embedder does not take it: the connection ends with [`CloseReason::CertificateRefused`], and the peer is told
    /// by bad_certificate. At any other time nothing happens.
    pub fn refuse_certificate(&mut self) {
        if matches!(self.state, State::Unproven(_)) && self.association.identity.is_to_be_judged() {
            self.end(CloseReason::CertificateRefused);
        }
    }

    /// Tells the round trip that ICE has measured. The next flight that leaves is sent again after 1.5 times this, at
    /// least 50 ms.
    pub fn set_rtt(&mut self, rtt: Duration) {
        self.association.timer.set_rtt(rtt);
    }

    /// From now on there is no connection without keys for SRTP: the handshake fails with
    /// [`CloseReason::NoCommonSrtpProfile`] when the two ends share no profile, and a connection that has come about
    /// without one ends. Without this call such a connection is good for data alone (RFC 5764 §4.1.1 leaves the
    /// choice).
    pub fn require_srtp(&mut self) {
        self.association.requires_srtp = true;
        if let State::Unproven(session) | State::Connected(session, _) = &self.state
            && session.srtp.is_none()
        {
            self.end(CloseReason::NoCommonSrtpProfile);
        }
    }

    /// Changes the largest datagram of the handshake, in bytes; a flight that is sent again is cut anew.
    pub fn set_max_datagram(&mut self, bytes: usize) {
        self.max_datagram = bytes.max(Self::MIN_OUT);
    }

    /// Takes the keys for SRTP (RFC 5764 §4.2) out, once connected and when a profile was negotiated. They are given
    /// once: two sealers of one key would use nonces twice (RFC 7714 §8.4).
    pub fn take_srtp_keys(&mut self) -> Option<SrtpKeys> {
        if self.srtp_keys_taken {
            return None;
        }
        let keys = self.srtp_keys()?;
        self.srtp_keys_taken = true;
        Some(keys)
    }

    /// Seals `len` bytes of application data, which lie in `out` behind [`overhead`](Self::overhead)`.head` bytes of
    /// room, in place. Returns the length of the datagram, which begins at `out[0]`.
    ///
    /// # Errors
    /// See [`SealError`]; `out` is then no datagram, but no sequence number was spent.
    pub fn seal(&mut self, out: &mut [u8], len: usize) -> Result<usize, SealError> {
        self.update_keys_in_time();
        let State::Connected(session, _) = &self.state else {
            return Err(SealError::NotConnected);
        };
        self.association
            .records
            .seal(session.epoch, ContentType::APPLICATION_DATA, out, len)
            .map(|sealed| sealed.len)
            .map_err(|error| match error {
                Unsealed::NoKeys => SealError::NotConnected,
                Unsealed::NoRoom => SealError::NoRoom,
                Unsealed::TooLong => SealError::TooLong,
                Unsealed::Exhausted => SealError::Exhausted,
            })
    }

    /// Asks for new keys in both directions (RFC 9147 §8); the change is under way when this returns, or as soon as nothing
    /// that we said before waits for an acknowledgement, and data may be sealed all the time. DTLS 1.2 has no such thing:
    /// there nothing happens, and in both before the connection is established. Nobody has to call this: keys change by
    /// themselves before they have sealed too much.
    pub fn update_keys(&mut self) {
        if self.is_connected() {
            self.want_update(KeyUpdate { requested: true });
        }
    }

    /// Ends the connection: the peer is told with a close_notify.
    pub fn close(&mut self) {
        if !self.is_closed() {
            self.end(CloseReason::Local);
        }
    }

    // 4. Outputs

    /// Writes the next datagram of the handshake, or an alert, into `out` and returns its length. `out` has at least
    /// [`MIN_OUT`](Self::MIN_OUT) bytes.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        if out.len() < Self::MIN_OUT {
            debug_assert!(false, "poll_transmit needs {} bytes", Self::MIN_OUT);
            return None;
        }
        let limit = out.len().min(self.max_datagram);
        let out = out.get_mut(..limit)?;
        if let Some(answer) = self.cookie_answer.take() {
            out.get_mut(..answer.len())?.copy_from_slice(&answer);
            return Some(answer.len());
        }
        if self.association.flight.is_pending() {
            let len = self
                .association
                .flight
                .write_datagram(&mut self.association.records, out);
            if !self.association.flight.is_pending() {
                self.flight_sent_at = Some(now);
                // The last flight of a handshake of DTLS 1.2 is not answered, so the clock does not repeat it. In DTLS
                // 1.3 all are, if only by an acknowledgement.
                if matches!(self.state, State::Handshaking(_)) || self.is_13() {
                    // An update of keys has as much patience as a handshake.
                    self.association.start_clock(now);
                    self.association.timer.flight_sent(now);
                }
            }
            return (len > 0).then_some(len);
        }
        if std::mem::take(&mut self.association.received.due)
            && let Some(len) = self.write_acknowledgement(out)
        {
            return Some(len);
        }
        let alert = self.alert.take()?;
        self.write_record(ContentType::ALERT, out, |w| w.put(&alert.to_bytes()))
    }

    /// Writes one record in the epoch that we send in.
    fn write_record(
        &mut self,
        content_type: ContentType,
        out: &mut [u8],
        content: impl FnOnce(&mut Writer<'_>) -> Result<(), wire::Full>,
    ) -> Option<usize> {
        let epoch = self.association.write_epoch;
        let overhead = self.association.records.overhead(epoch)?;
        let mut w = Writer::new(out.get_mut(overhead.head..)?);
        content(&mut w).ok()?;
        let len = w.position();
        let sealed = self.association.records.seal(epoch, content_type, out, len);
        sealed.ok().map(|sealed| sealed.len)
    }

    fn write_acknowledgement(&mut self, out: &mut [u8]) -> Option<usize> {
        let overhead = self.association.records.overhead(self.association.write_epoch)?;
        let room = out.len().saturating_sub(overhead.total()).saturating_sub(2) / Ack::NUMBER_LEN;
        let mut numbers = self.association.received.sorted();
        // RFC 9147 §7: during the handshake never in an epoch before that of the record. After it, each end counts its own.
        if matches!(self.state, State::Handshaking(_)) {
            let epoch = u64::from(self.association.write_epoch);
            numbers.retain(|number| number.epoch <= epoch);
        }
        let surplus = numbers.len().saturating_sub(room);
        numbers.drain(..surplus);
        if !matches!(self.state, State::Handshaking(_)) {
            self.association.received.clear();
        }
        self.write_record(ContentType::ACK, out, |w| Ack::write(w, numbers))
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called; valid once `poll_transmit` gave `None`.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let door = self.cookie_exchange.as_ref();
        let timers = [
            self.association.timer.deadline(),
            door.and_then(|door| door.poll_timeout()),
        ];
        timers.into_iter().flatten().min()
    }

    /// What happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        if self.association.ids.take_changed() {
            return Some(Event::ConnectionIds);
        }
        let event = self.events.pop_front();
        event.or_else(|| (self.is_connected() && self.sessions.take_news()).then_some(Event::Session))
    }

    // States

    /// The handshake is complete.
    pub(crate) fn complete(&mut self, session: Session) {
        self.state = State::Unproven(session);
        if self.association.identity.is_to_be_judged() {
            self.events.push_back(Event::CertificateToJudge);
        }
    }

    /// Why a complete handshake has led to no connection.
    fn why_unproven(&self) -> CloseReason {
        if self.association.identity.is_to_be_judged() {
            CloseReason::CertificateRefused
        } else {
            CloseReason::NoFingerprint
        }
    }

    pub(crate) fn connect_if_proven(&mut self) {
        let identity = &self.association.identity;
        let is_complete = matches!(self.state, State::Unproven(_) | State::Connected(..));
        if is_complete && identity.certificate().is_none() && identity.needs_certificate() {
            // Nor will one come after the handshake.
            return self.end(CloseReason::NoPeerCertificate);
        }
        let (State::Unproven(_), Some(proof)) = (&self.state, self.association.identity.proof()) else {
            return;
        };
        if let State::Unproven(session) = std::mem::replace(&mut self.state, State::Closed(CloseReason::Internal)) {
            // A client of DTLS 1.3 has its last flight acknowledged.
            if self.association.flight.is_empty() || session.version != Version::DTLS_1_3 {
                self.association.timer.stop();
            }
            self.events.push_back(Event::Connected {
                version: session.version,
                suite: session.suite,
                group: session.group,
                profile: session.srtp.map(|srtp| srtp.profile),
            });
            self.state = State::Connected(session, proof);
            self.say_next();
        }
    }

    /// Whether the version is known to be DTLS 1.3.
    pub(crate) fn is_13(&self) -> bool {
        match &self.state {
            State::Handshaking(handshake) => handshake.is_13(),
            State::Unproven(session) | State::Connected(session, _) => session.version == Version::DTLS_1_3,
            State::Closed(_) => false,
        }
    }

    pub(crate) fn end(&mut self, reason: CloseReason) {
        let is_13 = self.is_13();
        self.state = State::Closed(reason);
        self.association.timer.stop();
        self.association.transcript.clear();
        self.association.received.clear();
        self.association.ids.clear();
        self.sessions.clear();
        self.reassembler.clear();
        self.early.clear();
        self.close_door();
        // A flight that is on its way (our Finished, say) still leaves when nothing went wrong.
        if reason != CloseReason::Local {
            self.association.flight.clear();
            self.association.received.due = false;
        }
        self.alert = reason.alert().map(|description| match description {
            AlertDescription::CLOSE_NOTIFY => Alert::CLOSE_NOTIFY,
            // RFC 8446 §4.4.2.4 has an alert of its own for this.
            _ if is_13 && reason == CloseReason::NoPeerCertificate => {
                Alert::fatal(AlertDescription::CERTIFICATE_REQUIRED)
            }
            description => Alert::fatal(description),
        });
        self.events.push_back(Event::Closed { reason });
    }

    // Keys

    fn srtp_keys(&self) -> Option<SrtpKeys> {
        let (session, _proof) = self.proven()?;
        let AgreedSrtp { profile, mki } = session.srtp?;
        let mut material = Zeroizing::new(vec![0; profile.keying_material_len()]);
        session.export(b"EXTRACTOR-dtls_srtp", None, &mut material)?;
        let mut r = Reader::new(&material);
        let client_key = r.take(profile.key_len()).ok()?;
        let server_key = r.take(profile.key_len()).ok()?;
        let client_salt = r.take(profile.salt_len()).ok()?;
        let server_salt = r.take(profile.salt_len()).ok()?;
        let client = KeyAndSalt::new(profile, client_key, client_salt)?.with_mki(mki);
        let server = KeyAndSalt::new(profile, server_key, server_salt)?.with_mki(mki);
        Some(match self.role {
            Role::Client => SrtpKeys {
                profile,
                local: client,
                remote: server,
            },
            Role::Server => SrtpKeys {
                profile,
                local: server,
                remote: client,
            },
        })
    }

    const fn proven(&self) -> Option<(&Session, Authenticated)> {
        match &self.state {
            State::Connected(session, proof) => Some((session, *proof)),
            _ => None,
        }
    }
}

impl fmt::Debug for Dtls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Handshaking(_) => "handshaking",
            State::Unproven(_) => "waiting for authentication",
            State::Connected(..) => "connected",
            State::Closed(_) => "closed",
        };
        f.debug_struct("Dtls")
            .field("role", &self.role)
            .field("state", &state)
            .field("association", &self.association)
            .field("reassembler", &self.reassembler)
            .field("early", &self.early)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

/// Why application data could not be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealError {
    /// The handshake is not over, or the connection is.
    NotConnected,
    /// The buffer has no room for [`Dtls::overhead`].
    NoRoom,
    /// More than 2^14 bytes; in DTLS 1.2 with a connection ID, more than 2^14 - 1.
    TooLong,
    /// All 2^48 sequence numbers are used up: a new connection is needed.
    Exhausted,
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotConnected => "the connection is not established; wait for Event::Connected",
            Self::NoRoom => "the buffer is too short; leave overhead().head bytes before the data and tail after it",
            Self::TooLong => "a record holds at most 16384 bytes; send less at once",
            Self::Exhausted => "all sequence numbers are used up; make a new connection",
        })
    }
}

impl std::error::Error for SealError {}

/// Why keying material could not be exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportError {
    /// The handshake is not over, or the connection is.
    NotConnected,
    /// Label, context or output are longer than the version can do.
    TooLong,
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotConnected => "the connection is not established; wait for Event::Connected",
            Self::TooLong => {
                "ask for less keying material (DTLS 1.3: 8160 bytes), with a shorter label (249) or context (65535)"
            }
        })
    }
}

impl std::error::Error for ExportError {}
