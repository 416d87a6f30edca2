use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use wire::{Full, Seed, Writer};

use crate::config::Config;
use crate::connection_id::AgreedIds;
use crate::event::CloseReason;
use crate::flight::Flight;
use crate::hello::RANDOM_LEN;
use crate::identity::PeerIdentity;
use crate::key_log;
use crate::reassembly::Message;
use crate::records::Records;
use crate::registry::HandshakeType;
use crate::resumption::SavedSession;
use crate::timer::RetransmitTimer;
use crate::transcript::Transcript;
use crate::v13::RecordNumber;

/// The records of the peer's present flight that were taken, for acknowledgements (RFC 9147 §7).
#[derive(Debug, Default)]
pub(crate) struct Received {
    numbers: VecDeque<RecordNumber>,
    /// Whether an acknowledgement waits to be written.
    pub(crate) due: bool,
}

impl Received {
    /// As many as fit into an acknowledgement of a small datagram; the latest stay.
    const MAX: usize = 24;

    pub(crate) fn note(&mut self, number: RecordNumber) {
        if self.numbers.contains(&number) {
            return;
        }
        if self.numbers.len() >= Self::MAX {
            self.numbers.pop_front();
        }
        self.numbers.push_back(number);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// The numbers in rising order.
    pub(crate) fn sorted(&self) -> Vec<RecordNumber> {
        let mut numbers: Vec<_> = self.numbers.iter().copied().collect();
        numbers.sort_unstable();
        numbers
    }

    /// They are acknowledged, and need not be again.
    pub(crate) fn clear(&mut self) {
        self.numbers.clear();
    }
}

/// What every handshake works with, whatever its version and role.
pub(crate) struct Association {
    pub(crate) config: Arc<Config>,
    pub(crate) records: Records,
    pub(crate) transcript: Transcript,
    pub(crate) flight: Flight,
    pub(crate) timer: RetransmitTimer,
    pub(crate) identity: PeerIdentity,
    /// The epoch that we seal with: alerts go out in it.
    pub(crate) write_epoch: u16,
    /// Whether a handshake that settles no SRTP profile is a failure.
    pub(crate) requires_srtp: bool,
    /// Whether our latest hello offers to resume a session.
    pub(crate) offers_psk: bool,
    /// The time of the last call that told it.
    pub(crate) now: Instant,
    /// What of the peer's present flight is here.
    pub(crate) received: Received,
    /// The connection IDs of both ends.
    pub(crate) ids: AgreedIds,
    next_message_seq: u16,
    pub(crate) rng: StdRng,
}

impl Association {
    pub(crate) fn new(config: Arc<Config>, seed: Seed, now: Instant) -> Self {
        Self {
            identity: PeerIdentity::new(config.authentication),
            config,
            records: Records::new(),
            transcript: Transcript::default(),
            flight: Flight::default(),
            timer: RetransmitTimer::new(),
            write_epoch: 0,
            requires_srtp: false,
            offers_psk: false,
            now,
            received: Received::default(),
            ids: AgreedIds::default(),
            next_message_seq: 0,
            rng: StdRng::from_seed(seed.0),
        }
    }

    /// A random for a hello: 32 random bytes. RFC 5246 §7.4.1.2 wants the time in the first four; nobody does that any
    /// more, it only tells one machine from another.
    pub(crate) fn hello_random(&mut self) -> [u8; RANDOM_LEN] {
        let mut random = [0; RANDOM_LEN];
        self.rng.fill_bytes(&mut random);
        random
    }

    /// A number that nobody can guess.
    pub(crate) fn random_u32(&mut self) -> u32 {
        self.rng.next_u32()
    }

    /// A seed for something that takes its own.
    pub(crate) fn seed(&mut self) -> Seed {
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        Seed(seed)
    }

    /// Goes on behind an exchange of cookies: the numbers of our next message and of our next record are those of the
    /// `ClientHello` that brought the cookie (RFC 6347 §4.2.1).
    pub(crate) fn go_on_from(&mut self, message_seq: u16, record_sequence: u64) {
        self.next_message_seq = message_seq;
        self.records.begin_at(record_sequence);
    }

    /// Starts a new flight; the one before was answered. It answers the peer's in turn, which acknowledges that.
    pub(crate) fn begin_flight(&mut self) {
        self.flight.clear();
        self.timer.begin_flight();
        self.received = Received::default();
    }

    /// Adds a message of ours to the flight and to the transcript.
    pub(crate) fn say(
        &mut self,
        message_type: HandshakeType,
        write: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>,
    ) -> Result<(), CloseReason> {
        // A hello with all its key shares, a cookie and a ticket, or a certificate and little else.
        let mut body = vec![0; Self::MAX_HELLO + self.config.certificate.der().len()];
        let mut w = Writer::new(&mut body);
        write(&mut w).map_err(|Full| CloseReason::Internal)?;
        let len = w.position();
        body.truncate(len);
        // It may be kept for as long as a handshake has patience.
        body.shrink_to_fit();
        self.transcript
            .push(message_type, self.next_message_seq, &body)
            .map_err(|_| CloseReason::HandshakeTooLong)?;
        self.say_unrecorded(message_type, body);
        Ok(())
    }

    /// The longest message of ours that has no certificate, in bytes.
    const MAX_HELLO: usize = 4096 + SavedSession::MAX_TICKET;

    /// Adds a message of ours to the flight alone: after the handshake there is no transcript.
    pub(crate) fn say_unrecorded(&mut self, message_type: HandshakeType, body: Vec<u8>) {
        let message_seq = self.next_message_seq;
        self.next_message_seq = message_seq.wrapping_add(1);
        self.flight
            .push_handshake(self.write_epoch, message_type, message_seq, body);
    }

    /// Whether there are numbers left for all that is said at once, four tickets at most: to the peer those that begin anew are
    /// of old messages.
    pub(crate) const fn has_message_numbers(&self) -> bool {
        self.next_message_seq < u16::MAX - 4
    }

    /// Goes on with this number.
    #[cfg(test)]
    pub(crate) const fn skip_message_numbers(&mut self, next: u16) {
        self.next_message_seq = next;
    }

    /// Adds a message of the peer's to the transcript.
    pub(crate) fn hear(&mut self, message: &Message) -> Result<(), CloseReason> {
        self.transcript
            .push(message.message_type, message.message_seq, &message.body)
            .map_err(|_| CloseReason::HandshakeTooLong)
    }

    /// The whole flight is there: sends it.
    pub(crate) fn send_flight(&mut self) {
        self.flight.send();
    }

    /// Writes a secret to the key log, if there is one.
    pub(crate) fn log_secret(&self, label: &str, client_random: &[u8; RANDOM_LEN], secret: &[u8]) {
        if let Some(log) = &self.config.key_log {
            log.log(&key_log::line(label, client_random, secret));
        }
    }

    /// Starts the clock of the handshake, unless it runs.
    pub(crate) fn start_clock(&mut self, now: Instant) {
        self.timer.start(now, self.config.handshake_timeout);
    }
}

impl fmt::Debug for Association {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Association")
            .field("records", &self.records)
            .field("transcript", &self.transcript)
            .field("flight", &self.flight)
            .field("timer", &self.timer)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}
