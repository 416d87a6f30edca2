//! What the embedder of a connection knows and does about sessions.

use std::sync::Arc;
use std::time::Instant;

use wire::Seed;

use super::SavedSession;
use crate::config::Config;
use crate::dtls::{Dtls, Role, State};

impl Dtls {
    /// A client that offers to resume a session ([`take_session`](Self::take_session)), to the server that it comes from. It is
    /// otherwise [a new one](Self::new), and shakes hands in full when the server does not take the session, or when the
    /// configuration does not fit it: without [`Config::keep_sessions`](crate::Config::keep_sessions), without DTLS 1.3
    /// or the session's hash, with another certificate than the server knows, or with
    /// [`ClientCertificate::Required`](crate::ClientCertificate::Required) when it knows none.
    ///
    /// In a resumed connection ([`is_resumed`](Self::is_resumed)) the certificates count that were shown in the session's first
    /// handshake, as if they were shown now: fingerprints have to match, and the embedder is asked where it is to decide.
    /// Fingerprints that are required only after the hello ([`require_fingerprint`](Self::require_fingerprint)) come too late, and
    /// end a resumed connection with [`CloseReason::NoPeerCertificate`](crate::CloseReason::NoPeerCertificate).
    ///
    /// A session is for one connection: who shows a ticket twice can be recognized by it (RFC 8446 §C.4).
    pub fn resume(config: Arc<Config>, session: SavedSession, seed: Seed, now: Instant) -> Self {
        let mut this = Self::idle(config, Role::Client, seed, now);
        this.offer(Some(session), now);
        this
    }

    /// Whether the two ends have resumed a session, and so shown no certificates; known once the handshake is complete.
    pub const fn is_resumed(&self) -> bool {
        match &self.state {
            State::Unproven(session) | State::Connected(session, _) => session.resumed,
            State::Handshaking(_) | State::Closed(_) => false,
        }
    }

    /// As client: takes out a session that can be resumed later, the oldest that is there. There is one after
    /// [`Event::Session`](crate::Event::Session), or several, of which 4 are kept; only in a connection that is established.
    pub fn take_session(&mut self) -> Option<SavedSession> {
        let State::Connected(session, _) = &self.state else {
            return None;
        };
        let resumable = session.secrets.resumable()?;
        let certificate = self.association.identity.certificate()?.to_vec();
        let received = self.sessions.take()?;
        Some(SavedSession::new(
            received,
            resumable.since,
            certificate,
            resumable.own_certificate.clone(),
        ))
    }
}
