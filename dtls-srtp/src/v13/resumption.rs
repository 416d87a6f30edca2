//! How handshakes resume sessions (RFC 8446 §4.2.11), always with a key exchange of their own, and how tickets are given
//! (§4.6.1).

use std::time::{Duration, Instant};

use wire::{Full, Writer};

use super::NewSessionTicket;
use super::negotiation::hkdf;
use super::psk::{OfferedPsk, OfferedPsks, PSK_DHE_KE};
use super::retry::Offered;
use super::schedule::{ApplicationSecrets, EarlySecret};
use crate::association::Association;
use crate::crypto::{Digest, SuiteParameters13};
use crate::event::CloseReason;
use crate::extension::{Extensions, write_extension};
use crate::negotiation::{malformed, requires_client_certificate};
use crate::registry::{ExtensionType, HandshakeType};
use crate::resumption::{
    OpenedTicket, ReceivedTicket, Resumable, SavedSession, TicketIssuer, TicketState, own_certificate,
};
use crate::transcript::Transcript;

// Clients

/// A session that a `ClientHello` offers.
pub(crate) struct PskOffer<'a> {
    ticket: &'a [u8],
    obfuscated_age: u32,
    early: EarlySecret,
    binder_len: usize,
    /// What came before the hello.
    heard: Transcript,
}

impl<'a> PskOffer<'a> {
    pub(crate) fn new(association: &Association, session: &'a SavedSession) -> Self {
        let hash = session.hash();
        Self {
            ticket: session.ticket(),
            obfuscated_age: session.obfuscated_age(association.now),
            early: EarlySecret::new(hkdf(association, hash), Some(session.psk())),
            binder_len: hash.digest_len(),
            heard: association.transcript.clone(),
        }
    }

    /// Writes the extension, which is the last one, with room for the binder.
    pub(crate) fn write(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        let zeros = [0; 48];
        let key = OfferedPsk {
            identity: self.ticket,
            obfuscated_age: self.obfuscated_age,
            binder: zeros.get(..self.binder_len).unwrap_or_default(),
        };
        write_extension(w, ExtensionType::PRE_SHARED_KEY, |w| OfferedPsks::write(w, [key]))
    }

    /// Fills the binder in, once the lengths of the hello are there (RFC 8446 §4.2.11.2).
    pub(crate) fn bind(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        let hello = w.written_mut();
        let len = hello.len();
        let (hello, binder) = hello
            .split_at_mut_checked(len.saturating_sub(self.binder_len))
            .ok_or(Full)?;
        // Not covered are the lengths of the binder and of the list of binders.
        let covered = hello.get(..hello.len().saturating_sub(3)).ok_or(Full)?;
        let covered = self.heard.and_beginning(HandshakeType::CLIENT_HELLO, len, covered);
        let right = self.early.binder(&covered);
        if binder.len() != right.as_bytes().len() {
            return Err(Full);
        }
        binder.copy_from_slice(right.as_bytes());
        Ok(())
    }
}

/// The session that the server has agreed to resume; `None` when it goes on without.
pub(super) fn agreed_session(
    association: &Association,
    extensions: &Extensions<'_>,
    session: Option<SavedSession>,
    suite: SuiteParameters13,
) -> Result<Option<SavedSession>, CloseReason> {
    let selected = extensions
        .selected_psk()
        .map_err(malformed(HandshakeType::SERVER_HELLO))?;
    match (selected, session) {
        (None, _) => Ok(None),
        // Who wants both ends to show certificates does not resume.
        (Some(_), _) if association.identity.requires_fingerprint() => Err(CloseReason::NoPeerCertificate),
        (Some(0), Some(session)) if session.hash() == suite.hash => Ok(Some(session)),
        _ => Err(CloseReason::IllegalParameter(
            "the server takes an offered key, with a suite that has its hash (RFC 8446 §4.2.11)",
        )),
    }
}

/// What a client may resume the connection with: the transcript ends with its Finished. `shows` tells whether it has shown
/// its certificate.
pub(super) fn client_resumable(
    association: &Association,
    secrets: &ApplicationSecrets,
    resumed: Option<&SavedSession>,
    shows: bool,
) -> Option<Resumable> {
    association.config.keep_sessions.then(|| Resumable {
        secret: secrets.resumption(association.transcript.as_bytes()),
        since: resumed.map_or(association.now, SavedSession::since),
        own_certificate: match resumed {
            Some(session) => session.own_certificate().cloned(),
            None => shows.then(|| own_certificate(association)),
        },
        owed: 0,
    })
}

/// A ticket as a client keeps it; `None` when it is not to be kept.
pub(crate) fn received_ticket(
    association: &Association,
    resumable: &Resumable,
    message: &NewSessionTicket<'_>,
) -> Option<ReceivedTicket> {
    let kept = message.lifetime > 0 && message.ticket.len() <= SavedSession::MAX_TICKET;
    kept.then(|| ReceivedTicket {
        ticket: message.ticket.to_vec(),
        psk: resumable.secret.psk(message.nonce),
        hash: resumable.secret.hash(),
        age_add: message.age_add,
        lifetime: Duration::from_secs(message.lifetime.into()),
        received: association.now,
    })
}

// Servers

/// A session that we resume.
pub(super) struct TakenPsk {
    /// Which of the offered keys it is.
    pub(super) selected: u16,
    pub(super) psk: Digest,
    /// When certificates were shown.
    pub(super) since: Instant,
}

/// How many of the offered tickets are tried.
const MAX_TRIED: usize = 4;

/// Takes the first offered session that fits, and the client for who it was then; `None` when there is none, and the
/// handshake goes on without. The hello is not in the transcript yet.
pub(super) fn take_psk(
    association: &mut Association,
    offered: &Offered<'_>,
    suite: SuiteParameters13,
    hello: &[u8],
) -> Result<Option<TakenPsk>, CloseReason> {
    let config = association.config.clone();
    let Some(issuer) = config.tickets.as_ref().filter(|_| takes_tickets(association, offered)) else {
        return Ok(None);
    };
    let psks = offered.hello.extensions.offered_psks();
    let Some(psks) = psks.map_err(malformed(HandshakeType::CLIENT_HELLO))? else {
        return Ok(None);
    };
    let open = |key: &OfferedPsk<'_>| {
        let opened = issuer.open(&*config.crypto, association.now, config.certificate.der(), key)?;
        (opened.hash == suite.hash && is_acceptable(association, &opened)).then_some(opened)
    };
    let mut keys = (0..).zip(psks.iter().take(MAX_TRIED));
    let Some((selected, key, opened)) = keys.find_map(|(at, key)| Some((at, key, open(&key)?))) else {
        return Ok(None);
    };
    let early = EarlySecret::new(hkdf(association, suite.hash), Some(&opened.psk));
    let covered = hello.get(..hello.len().saturating_sub(psks.uncovered_len()));
    let covered =
        association
            .transcript
            .and_beginning(HandshakeType::CLIENT_HELLO, hello.len(), covered.unwrap_or_default());
    if !early.verifies(&covered, key.binder) {
        return Err(CloseReason::BadBinder);
    }
    if let Some(der) = &opened.certificate {
        association.identity.set_certificate(der)?;
    }
    Ok(Some(TakenPsk {
        selected,
        psk: opened.psk,
        since: association.now.checked_sub(opened.age).ok_or(CloseReason::Internal)?,
    }))
}

/// Whether the client would resume with the mode that we have, and we with it.
fn takes_tickets(association: &Association, offered: &Offered<'_>) -> bool {
    offered.psk_modes.contains(&PSK_DHE_KE) && !association.identity.requires_fingerprint()
}

/// Whether a client who was that one then may be the one that we want now.
fn is_acceptable(association: &Association, opened: &OpenedTicket) -> bool {
    let certificate = opened.certificate.as_deref();
    (certificate.is_some() || !requires_client_certificate(association)) && association.identity.may_be(certificate)
}

/// How many tickets the client gets.
pub(super) fn owed_tickets(association: &Association, offered: &Offered<'_>) -> u8 {
    let issuer = association.config.tickets.as_ref();
    let issuer = issuer.filter(|_| takes_tickets(association, offered));
    issuer.map_or(0, |issuer| issuer.count())
}

/// What the client may resume the connection with: the transcript ends with its Finished.
pub(super) fn server_resumable(
    association: &Association,
    secrets: &ApplicationSecrets,
    since: Option<Instant>,
    owed: u8,
) -> Option<Resumable> {
    (owed > 0).then(|| Resumable {
        secret: secrets.resumption(association.transcript.as_bytes()),
        since: since.unwrap_or(association.now),
        own_certificate: None,
        owed,
    })
}

impl Association {
    /// The tickets that the client is still to get.
    pub(crate) fn new_tickets(&mut self, resumable: &mut Resumable) -> Vec<(HandshakeType, Vec<u8>)> {
        let Some(issuer) = self.config.tickets.clone() else {
            return Vec::new();
        };
        let owed = std::mem::take(&mut resumable.owed);
        let bodies = (0..owed).filter_map(|nonce| self.new_ticket(&issuer, resumable, nonce));
        bodies.map(|body| (HandshakeType::NEW_SESSION_TICKET, body)).collect()
    }

    fn new_ticket(&mut self, issuer: &TicketIssuer, resumable: &Resumable, nonce: u8) -> Option<Vec<u8>> {
        let psk = resumable.secret.psk(&[nonce]);
        let age_add = self.random_u32();
        let state = TicketState {
            hash: resumable.secret.hash(),
            psk: &psk,
            age_add,
            age: self.now.saturating_duration_since(resumable.since),
            certificate: self.identity.certificate(),
        };
        let config = &self.config;
        let (ticket, lifetime) = issuer.seal(&*config.crypto, self.now, config.certificate.der(), &state)?;
        let mut body = vec![0; ticket.len().saturating_add(32)];
        let mut w = Writer::new(&mut body);
        let message = NewSessionTicket {
            lifetime,
            age_add,
            nonce: &[nonce],
            ticket: &ticket,
            extensions: Extensions::default(),
        };
        message.write(&mut w).ok()?;
        let len = w.position();
        body.truncate(len);
        Some(body)
    }
}
