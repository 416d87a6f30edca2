//! New keys for a connection that goes on (RFC 8446 §4.6.3, RFC 9147 §8).

use super::schedule::{Exporter, Traffic};
use super::{KeyUpdate, Protection};
use crate::crypto::CryptoError;
use crate::resumption::Resumable;

/// The secrets of an established connection.
pub(crate) struct Secrets {
    ours: Traffic,
    theirs: Traffic,
    pub(crate) exporter: Exporter,
    /// Our KeyUpdate, of which the acknowledgement is awaited.
    pub(crate) updating: bool,
    /// A KeyUpdate that waits until what is under way is acknowledged.
    pub(crate) wanted: Option<KeyUpdate>,
    /// What the connection can be resumed with, where that is wanted.
    pub(crate) resumable: Option<Resumable>,
    /// Our tickets, of which the acknowledgement is awaited.
    pub(crate) giving_tickets: bool,
    /// They are sent no more, and stay before what is said next.
    pub(crate) tickets_left: bool,
}

impl Secrets {
    pub(super) const fn new(ours: Traffic, theirs: Traffic, exporter: Exporter, resumable: Option<Resumable>) -> Self {
        Self {
            ours,
            theirs,
            exporter,
            updating: false,
            wanted: None,
            resumable,
            giving_tickets: false,
            tickets_left: false,
        }
    }

    /// The keys that follow ours.
    pub(crate) fn next_sealing(&mut self, epoch: u16) -> Result<Protection, CryptoError> {
        self.ours = self.ours.next();
        self.ours.protection(epoch)
    }

    /// The keys that follow the peer's.
    pub(crate) fn next_opening(&mut self, epoch: u16) -> Result<Protection, CryptoError> {
        self.theirs = self.theirs.next();
        self.theirs.protection(epoch)
    }
}
