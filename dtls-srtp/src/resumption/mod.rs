//! Connections of DTLS 1.3 that go on from an earlier one's authentication (RFC 8446 §2.2, §4.6.1): what servers give out
//! for it and clients keep. How handshakes use it is in `v13`.

mod codec;
mod commands;
mod issuer;
mod saved;

use std::time::{Duration, Instant};

pub use issuer::TicketIssuer;
pub(crate) use issuer::{OpenedTicket, TicketState};
pub use saved::SavedSession;
pub(crate) use saved::{KeptSessions, ReceivedTicket, own_certificate};

use crate::crypto::Digest;
use crate::v13::ResumptionSecret;

/// No session is resumed that is older (RFC 8446 §4.6.1).
const MAX_LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What an established connection can be resumed with.
#[derive(Debug)]
pub(crate) struct Resumable {
    pub(crate) secret: ResumptionSecret,
    /// When the handshake was in which certificates were shown: this one, or one before it.
    pub(crate) since: Instant,
    /// As client: the hash of the certificate that the server knows us by.
    pub(crate) own_certificate: Option<Digest>,
    /// As server: how many tickets the client is still to get.
    pub(crate) owed: u8,
}

#[cfg(test)]
mod tests;
