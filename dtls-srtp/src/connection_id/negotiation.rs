//! How the hellos of both versions agree on connection IDs (RFC 9146 §3).

use wire::{Full, Writer};

use super::ConnectionId;
use crate::association::Association;
use crate::event::CloseReason;
use crate::extension::{Extensions, write_bytes8, write_extension};
use crate::negotiation::malformed;
use crate::registry::{ExtensionType, HandshakeType};

impl Association {
    /// Makes the id that we want to receive, if the configuration has connection IDs at all.
    pub(crate) fn offer_connection_id(&mut self) {
        if let Some(ids) = &self.config.connection_ids {
            self.ids.offer(ids.make(&mut self.rng));
        }
    }

    /// What our `ClientHello` says.
    pub(crate) fn offered_connection_id(&self) -> Option<ConnectionId> {
        self.config.connection_ids.as_ref().map(|_| self.ids.own())
    }

    /// As client: takes what the server answers.
    pub(crate) fn take_connection_id(&mut self, extensions: &Extensions<'_>) -> Result<(), CloseReason> {
        let theirs = read(extensions, HandshakeType::SERVER_HELLO)?;
        self.settle_connection_ids(theirs);
        Ok(())
    }

    /// As server: takes what the client offers, and returns our answer, if we agree.
    pub(crate) fn answer_connection_id(
        &mut self,
        extensions: &Extensions<'_>,
    ) -> Result<Option<ConnectionId>, CloseReason> {
        let theirs = read(extensions, HandshakeType::CLIENT_HELLO)?.filter(|_| self.config.connection_ids.is_some());
        let agreed = theirs.is_some();
        if agreed {
            self.offer_connection_id();
        }
        self.settle_connection_ids(theirs);
        Ok(agreed.then(|| self.ids.own()))
    }

    fn settle_connection_ids(&mut self, theirs: Option<ConnectionId>) {
        self.ids.settle(theirs.is_some());
        self.records.address_to(theirs.unwrap_or_default());
    }
}

fn read(extensions: &Extensions<'_>, message: HandshakeType) -> Result<Option<ConnectionId>, CloseReason> {
    let id = extensions.connection_id().map_err(malformed(message))?;
    Ok(id.and_then(ConnectionId::new))
}

/// Writes the extension `connection_id` (RFC 9146 §3).
pub(crate) fn write_connection_id(w: &mut Writer<'_>, id: &ConnectionId) -> Result<(), Full> {
    write_extension(w, ExtensionType::CONNECTION_ID, |w| write_bytes8(w, id.as_bytes()))
}
