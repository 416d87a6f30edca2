use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use super::MAX_LIFETIME;
use crate::association::Association;
use crate::config::ClientCertificate;
use crate::crypto::{Digest, HashAlgorithm, equal_in_constant_time};
use crate::negotiation::speaks;
use crate::registry::Version;
use crate::v13;

/// A session that a client may resume, once: [`Dtls::resume`](crate::Dtls::resume) takes it. It comes from
/// [`Dtls::take_session`](crate::Dtls::take_session), and is good for as long as the server has said, a week at most.
///
/// It is a secret: who has it is taken for both ends of the connection that it comes from.
pub struct SavedSession {
    pub(super) received: ReceivedTicket,
    since: Instant,
    peer_certificate: Vec<u8>,
    own_certificate: Option<Digest>,
}

/// A ticket as it came.
pub(crate) struct ReceivedTicket {
    pub(crate) ticket: Vec<u8>,
    pub(crate) psk: Digest,
    pub(crate) hash: HashAlgorithm,
    pub(crate) age_add: u32,
    pub(crate) lifetime: Duration,
    pub(crate) received: Instant,
}

impl SavedSession {
    /// The longest ticket that is kept, in bytes; those of known servers have a few hundred.
    pub(crate) const MAX_TICKET: usize = 4096;

    pub(super) const fn new(
        received: ReceivedTicket,
        since: Instant,
        peer_certificate: Vec<u8>,
        own_certificate: Option<Digest>,
    ) -> Self {
        Self {
            received,
            since,
            peer_certificate,
            own_certificate,
        }
    }

    /// The certificate in DER that the server has shown, in this session's first handshake: fingerprints that are set for
    /// the next connection have to match it.
    pub fn peer_certificate(&self) -> &[u8] {
        &self.peer_certificate
    }

    /// How long the session can still be resumed.
    pub fn remaining(&self, now: Instant) -> Duration {
        let age = |since| now.saturating_duration_since(since);
        let of_ticket = self.received.lifetime.saturating_sub(age(self.received.received));
        of_ticket.min(MAX_LIFETIME.saturating_sub(age(self.since)))
    }

    /// Whether a new connection of ours may offer it: it speaks DTLS 1.3 with a suite that has the session's hash, and shows no
    /// other certificate than the server knows. Where certificates are required the server has to know ours.
    pub(crate) fn fits(&self, association: &Association) -> bool {
        let config = &association.config;
        let mut suites = v13::own_suites(config);
        let own = own_certificate(association);
        let is_known = match &self.own_certificate {
            Some(known) => equal_in_constant_time(known.as_bytes(), own.as_bytes()),
            None => config.client_certificate == ClientCertificate::Optional,
        };
        config.keep_sessions
            && speaks(config, Version::DTLS_1_3)
            && suites.any(|(_, suite)| suite.hash == self.received.hash)
            && is_known
            && !self.remaining(association.now).is_zero()
    }

    pub(crate) fn ticket(&self) -> &[u8] {
        &self.received.ticket
    }

    pub(crate) const fn psk(&self) -> &Digest {
        &self.received.psk
    }

    pub(crate) const fn hash(&self) -> HashAlgorithm {
        self.received.hash
    }

    pub(crate) const fn since(&self) -> Instant {
        self.since
    }

    pub(crate) const fn own_certificate(&self) -> Option<&Digest> {
        self.own_certificate.as_ref()
    }

    /// The ticket's age as it is told (RFC 8446 §4.2.11.1): in milliseconds, hidden, modulo 2^32.
    pub(crate) fn obfuscated_age(&self, now: Instant) -> u32 {
        let age = now.saturating_duration_since(self.received.received).as_millis();
        // A week has fewer milliseconds than that.
        let age = u32::try_from(age).unwrap_or(u32::MAX);
        age.wrapping_add(self.received.age_add)
    }
}

/// What our certificate is known by.
pub(crate) fn own_certificate(association: &Association) -> Digest {
    let config = &association.config;
    config.crypto.hash(HashAlgorithm::Sha256, config.certificate.der())
}

impl fmt::Debug for SavedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SavedSession")
            .field("ticket_bytes", &self.received.ticket.len())
            .field("hash", &self.received.hash)
            .field("lifetime", &self.received.lifetime)
            .finish_non_exhaustive()
    }
}

/// The tickets of a connection that nobody has taken yet.
#[derive(Default)]
pub(crate) struct KeptSessions {
    tickets: VecDeque<ReceivedTicket>,
    /// One has come that nobody was told of.
    news: bool,
}

impl KeptSessions {
    /// How many are kept: the latest.
    const MAX: usize = 4;

    pub(crate) fn keep(&mut self, ticket: ReceivedTicket) {
        if self.tickets.len() >= Self::MAX {
            self.tickets.pop_front();
        }
        self.tickets.push_back(ticket);
        self.news = true;
    }

    pub(crate) fn take(&mut self) -> Option<ReceivedTicket> {
        self.tickets.pop_front()
    }

    /// Whether there is something to tell; once.
    pub(crate) fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.news) && !self.tickets.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}
