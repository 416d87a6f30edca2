wire::counters! {
    /// What the SFU dropped or could not do. In a clean call all of them stay 0.
    pub struct Counters {
        /// Datagrams that are neither STUN nor DTLS nor RTP (RFC 7983 §7).
        pub unroutable_protocol,
        /// Datagrams that look like STUN and are not (RFC 8489 §6.3).
        pub malformed_stun,
        /// STUN requests without a USERNAME, or whose ufrag belongs to nobody here.
        pub unknown_ufrag,
        /// Datagrams that are not STUN requests, on a path that leads to nobody.
        pub unknown_path,
        /// Packets of a source that is not known (any more).
        pub unknown_source,
        /// Packets that came so late that their place in the numbering is forgotten.
        pub late_packets,
        /// Packets that are larger than what is kept of a source.
        pub oversized_packets,
        /// Padding-only packets that came too late to close the gap which they leave.
        pub late_padding,
        /// Packets that were left out for want of a place in time: sound whose source was moved back, that had the
        /// timestamp of the packet before, or before which the slot had sent somebody else's sound of a later time; and
        /// what belongs to a count that was begun too soon after others, or has ended.
        pub misplaced_packets,
        /// Sender reports whose timestamps do not go with those of the packets.
        pub strange_reports,
        /// Header extension elements for which there was no room.
        pub extensions_dropped,
        /// Packets that were overwritten in the ring before a subscriber had them.
        pub overwritten_packets,
        /// Packets that would make a larger datagram than is sent (`peer::Config::max_datagram`), once for each
        /// subscriber.
        pub too_large_packets,
        /// Packets that a subscriber's connection refused.
        pub refused_packets,
        /// Packets in a codec that a subscriber did not negotiate.
        pub undecodable_packets,
        /// Packets asked for again that are not kept any more, or were sent again a moment ago. Not those that are
        /// missing here too.
        pub nack_unanswered,
        /// Packets asked for again by a subscriber without RTX: sealing them again would use a nonce twice.
        pub nack_without_rtx,
        /// Packets asked for again for which the queue had no room.
        pub nack_overflow,
        /// Messages of members on data channels that do not begin with a line of receivers.
        pub malformed_messages,
        /// Messages that may get lost and did, since too much waited for the receiver; once for each receiver.
        pub messages_dropped,
        /// Messages that are longer than the receiver takes, or came while its channel closed.
        pub messages_refused,
        /// Data channels that were closed because too much waited for the receiver.
        pub slow_channels_closed,
        /// Events that nobody polled in time.
        pub events_dropped,
    }
}
