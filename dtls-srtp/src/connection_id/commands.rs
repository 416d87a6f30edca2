//! What the embedder of a connection knows and does about connection IDs.

use super::ConnectionId;
use crate::association::Association;
use crate::dtls::Dtls;
use crate::event::CloseReason;
use crate::registry::HandshakeType;
use crate::v13::NewConnectionId;

impl Dtls {
    // 1. Getters

    /// The connection IDs that datagrams of the peer's may come with, once they are agreed on: for the table in which the
    /// datagrams' [`peek_connection_id`](crate::peek_connection_id) is looked up. In DTLS 1.2 there is one at most, in DTLS
    /// 1.3 up to 8. [`Event::ConnectionIds`](crate::Event::ConnectionIds) tells when they are others; an end takes them all.
    pub fn connection_ids(&self) -> impl Iterator<Item = &ConnectionId> {
        self.association.ids.ours()
    }

    /// The connection ID that we send with, once it is agreed on; empty when we send without.
    pub const fn peer_connection_id(&self) -> &ConnectionId {
        self.association.records.peer_id()
    }

    /// How many records came so far that were authentic, had one of our connection IDs, and were newer than all before (by
    /// epoch and sequence number).
    ///
    /// **When the peer's address has changed**: a datagram that makes this number rise has been sent by the peer, and later
    /// than all that came before it (RFC 9146 §6). Nothing less may have the address replaced that we send to. It does not say
    /// that the peer receives what is sent to where the datagram came from: somebody on the way may have sent the same bytes
    /// from there. So before anything large or secret goes there, the embedder's protocol has to have an answer from there that
    /// nobody else could have given: a random number, sent to the new address alone, that comes back from it in such a
    /// datagram will do. Until then the old address stays the one to send to, or the new one gets at most three times the
    /// bytes that came from it. Who is satisfied with less lets others send our datagrams to somebody who has not asked for
    /// them.
    ///
    /// ```
    /// use std::net::SocketAddr;
    /// use std::time::Instant;
    ///
    /// use dtls_srtp::Dtls;
    ///
    /// fn on_datagram(dtls: &mut Dtls, peer: SocketAddr, from: SocketAddr, datagram: &mut [u8]) {
    ///     let before = dtls.newer_records();
    ///     dtls.handle_datagram(Instant::now(), datagram, &mut |message| println!("{message:?}"));
    ///     if from != peer && dtls.newer_records() > before {
    ///         // The peer may have moved: ask there whether it has.
    ///     }
    /// }
    /// ```
    pub const fn newer_records(&self) -> u64 {
        self.newer_records
    }

    // 3. Commands

    /// Asks the peer for up to so many other connection IDs, in advance of a change of our address (RFC 9147 §9): it may give
    /// fewer, and we keep 8. Only in an established connection of DTLS 1.3 in which we send with one; else nothing happens.
    /// While the peer still owes an answer to an earlier call, the latest one waits for that. A peer that does not acknowledge
    /// it for [`Config::handshake_timeout`](crate::Config::handshake_timeout) ends the connection, as with all that we say but
    /// for tickets.
    pub fn request_connection_ids(&mut self, count: u8) {
        if self.is_connected() && self.is_13() && !self.peer_connection_id().is_empty() {
            self.association.ids.want(count);
            self.say_next();
        }
    }

    /// Sends with another connection ID from here on, out of those that the peer has given to us; `false` when there is none.
    /// To be called when our address has changed, so that nobody can tell by what we send that both are ours (RFC 9147 §9, §11);
    /// and when the peer's has, for the other direction: a client that must not be followed has itself sent to without an id
    /// ([`ConnectionIds::none`](crate::ConnectionIds::none)), or its server does so. It may change [`overhead`](Self::overhead).
    pub fn change_connection_id(&mut self) -> bool {
        let next = self.association.ids.next_spare();
        let changes = next.is_some();
        if let Some(next) = next {
            self.association.records.address_to(next);
        }
        changes
    }

    /// Has the peer send with another connection ID of ours at once (RFC 9147 §9). Only in an established connection of DTLS
    /// 1.3 whose peer sends with one, and only when the configuration can make others; else nothing happens. A peer that does not
    /// acknowledge it for [`Config::handshake_timeout`](crate::Config::handshake_timeout) ends the connection.
    pub fn renew_connection_id(&mut self) {
        if self.is_connected() && self.is_13() && self.association.ids.may_be_requested() {
            self.association.ids.renew();
            self.say_next();
        }
    }
}

impl Association {
    /// The next message about connection IDs that waits.
    pub(crate) fn next_about_ids(&mut self) -> Option<(HandshakeType, Vec<u8>)> {
        let config = self.config.connection_ids.as_ref();
        self.ids.next_message(config, &mut self.rng)
    }

    /// Takes connection IDs that we may, or have to, send with.
    pub(crate) fn take_new_ids(&mut self, new: &NewConnectionId<'_>) -> Result<(), CloseReason> {
        let next = self.ids.take_new(new, self.records.peer_id());
        let next = next.map_err(|()| {
            CloseReason::IllegalParameter("an id to be used at once is there, and not empty (RFC 9147 §9)")
        })?;
        if let Some(next) = next {
            self.records.address_to(next);
        }
        Ok(())
    }
}
