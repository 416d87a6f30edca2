//! What the embedder of a connection knows about connection IDs.

use super::ConnectionId;
use crate::dtls::Dtls;

impl Dtls {
    /// The connection IDs that datagrams of the peer's may come with, once they are agreed on: for the table in which the
    /// datagrams' [`peek_connection_id`](crate::peek_connection_id) is looked up. [`Event::ConnectionIds`](crate::Event::ConnectionIds) tells when they are others; an end takes them all.
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
}
