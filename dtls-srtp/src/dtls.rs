use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wire::{Reader, Seed};
use zeroize::Zeroizing;

use crate::alert::{Alert, AlertLevel};
use crate::association::Association;
use crate::config::Config;
use crate::counters::Counters;
use crate::early::EarlyRecords;
use crate::event::{CloseReason, Event};
use crate::fingerprint::{Fingerprint, FingerprintMatched};
use crate::handshake::Fragment;
use crate::overhead::Overhead;
use crate::profile::{KeyAndSalt, SrtpKeys};
use crate::reassembly::{Message, Pushed, Reassembler, ReassemblyLimits};
use crate::record::{RecordHeader, split_record};
use crate::records::{Opened, Unsealed};
use crate::registry::{AlertDescription, ContentType, HandshakeType};
use crate::session::Session;
use crate::timer::Due;
use crate::v12;

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
/// It knows no addresses and no sockets. Both ends always show certificates; what comes out of
/// [`take_srtp_keys`](Self::take_srtp_keys) and [`export`](Self::export) exists only once the peer's certificate has
/// matched a fingerprint from signalling.
pub struct Dtls {
    role: Role,
    association: Association,
    reassembler: Reassembler,
    early: EarlyRecords,
    state: State,
    /// An alert that waits to be written; a later one takes its place.
    alert: Option<Alert>,
    events: VecDeque<Event>,
    counters: Counters,
    /// When the flight left last, lest every repeated datagram makes us repeat it.
    flight_sent_at: Option<Instant>,
    max_datagram: usize,
    authentic_records: u64,
    srtp_keys_taken: bool,
}

enum State {
    Handshaking(Handshake),
    /// Complete, but signalling has not told the fingerprints yet.
    Unproven(Session),
    Connected(Session, FingerprintMatched),
    Closed(CloseReason),
}

/// The handshake of one version and role.
enum Handshake {
    Client12(v12::Client),
    Server12(v12::Server),
}

impl Handshake {
    /// The last epoch that it leads to: there is nothing to wait for beyond.
    const fn highest_epoch(&self) -> u16 {
        match self {
            Self::Client12(_) | Self::Server12(_) => v12::HIGHEST_EPOCH,
        }
    }
}

impl Dtls {
    /// The shortest `out` that [`poll_transmit`](Self::poll_transmit) takes, in bytes.
    pub const MIN_OUT: usize = 256;

    /// A new connection. A client's first datagram waits at once; a server's clock starts with the peer's first one.
    pub fn new(config: Arc<Config>, role: Role, seed: Seed, now: Instant) -> Self {
        let limits = ReassemblyLimits {
            message: config.max_message,
            total: config.max_pending,
        };
        let mut this = Self {
            role,
            reassembler: Reassembler::new(limits),
            early: EarlyRecords::new(config.max_pending),
            state: State::Handshaking(Handshake::Server12(v12::Server::new())),
            alert: None,
            events: VecDeque::new(),
            counters: Counters::default(),
            flight_sent_at: None,
            authentic_records: 0,
            srtp_keys_taken: false,
            max_datagram: config.max_datagram.max(Self::MIN_OUT),
            association: Association::new(config, seed),
        };
        if role == Role::Client {
            this.association.start_clock(now);
            match v12::Client::start(&mut this.association) {
                Ok(client) => this.state = State::Handshaking(Handshake::Client12(client)),
                Err(reason) => this.end(reason),
            }
        }
        this
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
        self.reassembler.held_bytes().saturating_add(self.early.held_bytes())
    }

    /// How many protected records proved authentic so far: when a datagram makes it rise, the peer itself has sent it
    /// (which consent checks and path choice want to know).
    pub const fn authentic_records(&self) -> u64 {
        self.authentic_records
    }

    /// What was tolerated so far.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The room that [`seal`](Self::seal) needs around a plaintext; before the handshake the most that can be.
    pub fn overhead(&self) -> Overhead {
        match &self.state {
            State::Connected(session, _) => self
                .association
                .records
                .overhead(session.epoch)
                .unwrap_or(Overhead::MAX),
            _ => Overhead::MAX,
        }
    }

    /// Keying material for others (RFC 5705), filling `out`.
    ///
    /// # Errors
    /// Before the connection is established, and when the context is longer than 2^16 - 1 bytes.
    pub fn export(&self, label: &[u8], context: Option<&[u8]>, out: &mut [u8]) -> Result<(), ExportError> {
        let (session, _proof) = self.proven().ok_or(ExportError::NotConnected)?;
        session
            .master
            .export(label, context, out)
            .map_err(|_| ExportError::ContextTooLong)
    }

    // 2. Inputs

    /// Takes a datagram of the peer's. Application data is lent to `sink`, decrypted in place, message by message.
    ///
    /// Data that came before the connection was established is kept within a budget and lent at the first call after;
    /// an empty datagram fetches it when the fingerprints came last.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &mut [u8], sink: &mut dyn FnMut(&mut [u8])) {
        self.handle_early(now, sink);
        let mut rest = datagram;
        if let State::Closed(reason) = self.state {
            // After our own goodbye the peer's answer is on its way, and what it sent before it knew.
            if reason != CloseReason::Local && !rest.is_empty() {
                self.counters.datagrams_after_close += 1;
            }
            return;
        }
        while !rest.is_empty() && !self.is_closed() {
            let Ok((header, body, tail)) = split_record(rest) else {
                self.counters.malformed_records += 1;
                break;
            };
            self.handle_record(now, &header, body, sink);
            rest = tail;
        }
        self.handle_early(now, sink);
    }

    /// Does what is due. Spurious and repeated calls do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.association.timer.poll(now) {
            Some(Due::Retransmit) => self.repeat_flight(),
            Some(Due::GiveUp) if matches!(self.state, State::Unproven(_)) => self.end(CloseReason::NoFingerprint),
            Some(Due::GiveUp) => self.end(CloseReason::Timeout),
            None => {}
        }
    }

    // 3. Commands

    /// Tells what signalling says about the peer's certificate, before or during the handshake. Of several fingerprints
    /// those with the strongest hash function count. Once a certificate has matched, later calls change nothing:
    /// another certificate needs another connection.
    pub fn set_remote_fingerprints(&mut self, fingerprints: Vec<Fingerprint>) {
        if self.is_closed() {
            return;
        }
        match self.association.identity.set_fingerprints(fingerprints) {
            Ok(()) => self.connect_if_proven(),
            Err(reason) => self.end(reason),
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
            && session.profile.is_none()
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
        let State::Connected(session, _) = &self.state else {
            return Err(SealError::NotConnected);
        };
        self.association
            .records
            .seal(session.epoch, ContentType::APPLICATION_DATA, out, len)
            .map_err(|error| match error {
                Unsealed::NoKeys => SealError::NotConnected,
                Unsealed::NoRoom => SealError::NoRoom,
                Unsealed::TooLong => SealError::TooLong,
                Unsealed::Exhausted => SealError::Exhausted,
            })
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
        if self.association.flight.is_pending() {
            let len = self
                .association
                .flight
                .write_datagram(&mut self.association.records, out);
            if !self.association.flight.is_pending() {
                self.flight_sent_at = Some(now);
                // The last flight of a handshake is not answered, so the clock does not repeat it.
                if matches!(self.state, State::Handshaking(_)) {
                    self.association.timer.flight_sent(now);
                }
            }
            return (len > 0).then_some(len);
        }
        let alert = self.alert.take()?;
        let overhead = self.association.records.overhead(self.association.write_epoch)?;
        out.get_mut(overhead.head..)?
            .get_mut(..Alert::LEN)?
            .copy_from_slice(&alert.to_bytes());
        self.association
            .records
            .seal(self.association.write_epoch, ContentType::ALERT, out, Alert::LEN)
            .ok()
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called; valid once `poll_transmit` gave `None`.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.association.timer.deadline()
    }

    /// What happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    // Records

    fn handle_record(&mut self, now: Instant, header: &RecordHeader, body: &mut [u8], sink: &mut dyn FnMut(&mut [u8])) {
        if header.epoch == 0 {
            self.handle_unprotected(now, header.content_type, body);
        } else if self.is_early(header) {
            if !self.early.keep(header, body) {
                self.counters.early_records_dropped += 1;
            }
        } else {
            match self.association.records.open(header, body) {
                Opened::Plaintext(plaintext) => {
                    self.authentic_records += 1;
                    self.handle_protected(now, header, plaintext, sink);
                }
                Opened::TooLong => {
                    self.authentic_records += 1;
                    self.counters.overlong_records += 1;
                }
                Opened::Replayed => self.counters.replayed_records += 1,
                Opened::NotAuthentic => self.counters.unauthenticated_records += 1,
                Opened::NoKeys => self.counters.stale_epoch_records += 1,
            }
        }
    }

    /// Whether a protected record has to wait: for keys, because the network reordered it, or, application data, until
    /// the peer is proven.
    fn is_early(&self, header: &RecordHeader) -> bool {
        let records = &self.association.records;
        let unproven_data = header.content_type == ContentType::APPLICATION_DATA && records.can_open(header.epoch);
        match &self.state {
            State::Handshaking(handshake) => {
                let next = records.highest_opening_epoch().saturating_add(1);
                unproven_data || (header.epoch == next && next <= handshake.highest_epoch())
            }
            State::Unproven(_) => unproven_data,
            State::Connected(..) | State::Closed(_) => false,
        }
    }

    /// Takes up those kept records that need not wait any more.
    fn handle_early(&mut self, now: Instant, sink: &mut dyn FnMut(&mut [u8])) {
        while !self.is_closed() {
            let connected = self.is_connected();
            let records = &self.association.records;
            let ready = |header: &RecordHeader| {
                records.can_open(header.epoch) && (connected || header.content_type != ContentType::APPLICATION_DATA)
            };
            let Some((header, mut body)) = self.early.take(ready) else {
                return;
            };
            self.handle_record(now, &header, &mut body, sink);
        }
    }

    fn handle_unprotected(&mut self, now: Instant, content_type: ContentType, body: &[u8]) {
        let handshaking = matches!(self.state, State::Handshaking(_));
        match content_type {
            ContentType::HANDSHAKE if handshaking => self.handle_fragments(now, 0, body),
            ContentType::ALERT if handshaking => self.handle_alert(body),
            ContentType::ALERT => self.counters.unprotected_alerts += 1,
            ContentType::APPLICATION_DATA => self.counters.unprotected_application_data += 1,
            // Nobody waits for a ChangeCipherSpec: the epoch in the header of the next record says the same, and
            // cannot be lost or reordered on its own.
            ContentType::CHANGE_CIPHER_SPEC if body == [1] => {}
            ContentType::CHANGE_CIPHER_SPEC => self.counters.malformed_change_cipher_specs += 1,
            ContentType::HANDSHAKE => self.counters.stale_epoch_records += 1,
            _ => self.counters.unknown_content_types += 1,
        }
    }

    fn handle_protected(
        &mut self,
        now: Instant,
        header: &RecordHeader,
        plaintext: &mut [u8],
        sink: &mut dyn FnMut(&mut [u8]),
    ) {
        match header.content_type {
            ContentType::APPLICATION_DATA => sink(plaintext),
            ContentType::ALERT => self.handle_alert(plaintext),
            ContentType::HANDSHAKE if matches!(self.state, State::Handshaking(_)) => {
                self.handle_fragments(now, header.epoch, plaintext);
            }
            ContentType::HANDSHAKE => self.handle_late_handshake(now, plaintext),
            ContentType::CHANGE_CIPHER_SPEC => self.counters.malformed_change_cipher_specs += 1,
            _ => self.counters.unknown_content_types += 1,
        }
    }

    fn handle_alert(&mut self, body: &[u8]) {
        match Alert::parse(body) {
            None => self.counters.malformed_alerts += 1,
            Some(alert) if alert.description == AlertDescription::CLOSE_NOTIFY => self.end(CloseReason::Peer),
            Some(Alert {
                level: AlertLevel::Fatal,
                description,
            }) => self.end(CloseReason::Alert(description)),
            Some(Alert {
                level: AlertLevel::Warning,
                ..
            }) => self.counters.warning_alerts += 1,
        }
    }

    // Handshake messages

    fn handle_fragments(&mut self, now: Instant, epoch: u16, body: &[u8]) {
        let mut r = Reader::new(body);
        // RFC 5246 §6.2.1: no empty fragments of handshake, so an empty record is malformed too.
        loop {
            let Ok(fragment) = Fragment::read(&mut r) else {
                self.counters.malformed_fragments += 1;
                return;
            };
            self.handle_fragment(now, epoch, &fragment);
            if r.is_empty() {
                break;
            }
        }
        while let Some(message) = self.reassembler.take() {
            self.handle_message(&message);
        }
    }

    fn handle_fragment(&mut self, now: Instant, epoch: u16, fragment: &Fragment<'_>) {
        // Until the handshake is over, Finished is the only protected message; so a forged one in the clear cannot take
        // the place of the real one.
        if (fragment.header.message_type == HandshakeType::FINISHED) != (epoch > 0) {
            self.counters.misprotected_messages += 1;
            return;
        }
        match self.reassembler.push(fragment) {
            Pushed::Kept => self.association.start_clock(now),
            Pushed::KeptInstead => {
                self.counters.fragments_beyond_budget += 1;
                self.association.start_clock(now);
            }
            Pushed::Repeated => self.counters.repeated_fragments += 1,
            Pushed::Stale => {
                self.counters.repeated_fragments += 1;
                self.handle_repeated(now, fragment);
            }
            Pushed::Inconsistent => self.counters.inconsistent_fragments += 1,
            Pushed::TooLong => self.counters.oversized_messages += 1,
            Pushed::NoRoom => self.counters.fragments_beyond_budget += 1,
        }
    }

    /// The end of the peer's last flight came again: it has not seen ours (RFC 6347 §4.2.4). Ours is sent again, unless
    /// it left so recently that the two may have crossed.
    fn handle_repeated(&mut self, now: Instant, fragment: &Fragment<'_>) {
        let ends_flight = fragment.header.is_last()
            && fragment.header.message_seq.checked_add(1) == Some(self.reassembler.next_seq());
        let quiet = self.association.timer.interval() / 2;
        if ends_flight
            && self
                .flight_sent_at
                .is_some_and(|at| now.saturating_duration_since(at) >= quiet)
        {
            self.repeat_flight();
        }
    }

    fn repeat_flight(&mut self) {
        self.association.flight.send();
        if self.association.flight.is_pending() {
            self.counters.retransmitted_flights += 1;
        }
    }

    fn handle_message(&mut self, message: &Message) {
        let State::Handshaking(handshake) = &mut self.state else {
            self.counters.unexpected_messages += 1;
            return;
        };
        let progress = match handshake {
            Handshake::Client12(client) => client.handle(&mut self.association, message),
            Handshake::Server12(server) => server.handle(&mut self.association, message),
        };
        match progress {
            Ok(None) => {}
            // When they became required after the hellos.
            Ok(Some(session)) if self.association.requires_srtp && session.profile.is_none() => {
                self.end(CloseReason::NoCommonSrtpProfile);
            }
            Ok(Some(session)) => {
                self.state = State::Unproven(session);
                self.association.transcript.clear();
                self.association.timer.stop_retransmitting();
                if self.role == Role::Client {
                    // The peer has answered our last flight.
                    self.association.flight.clear();
                }
                self.connect_if_proven();
            }
            Err(reason) => self.end(reason),
        }
    }

    /// Handshake messages after the handshake: the peer's last flight again, or an attempt to renegotiate.
    fn handle_late_handshake(&mut self, now: Instant, body: &[u8]) {
        let Ok(fragment) = Fragment::read(&mut Reader::new(body)) else {
            self.counters.malformed_fragments += 1;
            return;
        };
        match fragment.header.message_type {
            HandshakeType::HELLO_REQUEST | HandshakeType::CLIENT_HELLO => {
                self.counters.renegotiations_refused += 1;
                self.alert = Some(Alert {
                    level: AlertLevel::Warning,
                    description: AlertDescription::NO_RENEGOTIATION,
                });
            }
            HandshakeType::FINISHED if fragment.header.message_seq < self.reassembler.next_seq() => {
                self.counters.repeated_fragments += 1;
                self.handle_repeated(now, &fragment);
            }
            _ => self.counters.unexpected_messages += 1,
        }
    }

    // States

    fn connect_if_proven(&mut self) {
        let (State::Unproven(_), Some(proof)) = (&self.state, self.association.identity.proof()) else {
            return;
        };
        if let State::Unproven(session) = std::mem::replace(&mut self.state, State::Closed(CloseReason::Internal)) {
            self.association.timer.stop();
            self.events.push_back(Event::Connected {
                version: session.version,
                suite: session.suite,
                group: session.group,
                profile: session.profile,
            });
            self.state = State::Connected(session, proof);
        }
    }

    fn end(&mut self, reason: CloseReason) {
        self.state = State::Closed(reason);
        self.association.timer.stop();
        self.association.transcript.clear();
        self.reassembler.clear();
        self.early.clear();
        // A flight that is on its way (our Finished, say) still leaves when nothing went wrong.
        if reason != CloseReason::Local {
            self.association.flight.clear();
        }
        self.alert = reason.alert().map(|description| match description {
            AlertDescription::CLOSE_NOTIFY => Alert::CLOSE_NOTIFY,
            description => Alert::fatal(description),
        });
        self.events.push_back(Event::Closed { reason });
    }

    fn srtp_keys(&self) -> Option<SrtpKeys> {
        let (session, _proof) = self.proven()?;
        let profile = session.profile?;
        let mut material = Zeroizing::new(vec![0; profile.keying_material_len()]);
        session
            .master
            .export(b"EXTRACTOR-dtls_srtp", None, &mut material)
            .ok()?;
        let mut r = Reader::new(&material);
        let client_key = r.take(profile.key_len()).ok()?;
        let server_key = r.take(profile.key_len()).ok()?;
        let client_salt = r.take(profile.salt_len()).ok()?;
        let server_salt = r.take(profile.salt_len()).ok()?;
        let client = KeyAndSalt::new(profile, client_key, client_salt)?;
        let server = KeyAndSalt::new(profile, server_key, server_salt)?;
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

    const fn proven(&self) -> Option<(&Session, FingerprintMatched)> {
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
            State::Unproven(_) => "waiting for fingerprints",
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
    /// More than 2^14 bytes.
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
    /// The context is longer than 2^16 - 1 bytes.
    ContextTooLong,
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotConnected => "the connection is not established; wait for Event::Connected",
            Self::ContextTooLong => "the context of an exporter has at most 65535 bytes",
        })
    }
}

impl std::error::Error for ExportError {}
