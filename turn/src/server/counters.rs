use stun::ErrorCode;

wire::counters! {
    /// What was dropped or refused, and why. All stay at zero as long as clients and peers are well, but
    /// `turn_unauthenticated`: every client's first request is one.
    pub struct ServerCounters {
        /// Messages of clients that are neither STUN nor ChannelData, or break their rules.
        pub turn_malformed,
        /// STUN messages that no client sends: responses, unknown methods.
        pub turn_unexpected_messages,
        /// Requests without integrity, answered with 401 or silence.
        pub turn_unauthenticated,
        /// Requests with a username that there is not, one whose time is over, or a wrong password (401).
        pub turn_bad_credentials,
        /// Requests with a nonce that is old, or none of ours (438).
        pub turn_stale_nonces,
        /// Answers to strangers that were not sent, since their part of the net had enough.
        pub turn_refusals_silenced,
        /// Requests of users beyond their rate; they were not answered.
        pub turn_limited_requests,
        /// Requests that break a rule (400).
        pub turn_bad_requests,
        /// Requests with attributes that have to be understood and are not (420).
        pub turn_unknown_attributes,
        /// Requests for peers that the policy forbids (403).
        pub turn_forbidden_peers,
        /// Requests without the allocation that they need, or with one too many (437).
        pub turn_allocation_mismatches,
        /// Allocate requests for an address family that there is not (440).
        pub turn_unsupported_families,
        /// Requests of somebody else than who made the allocation (441).
        pub turn_wrong_credentials,
        /// Allocate requests for a transport that there is not (442).
        pub turn_unsupported_transports,
        /// Requests for peers of another family than the allocation's (443).
        pub turn_family_mismatches,
        /// Connect requests to a peer that is connected (446).
        pub turn_connection_exists,
        /// Connect requests that came to nothing (447).
        pub turn_connections_failed,
        /// Allocate requests of users who have enough (486).
        pub turn_quota_reached,
        /// Requests beyond a limit or without a free port (508).
        pub turn_insufficient_capacity,
        /// Relay sockets that could not be bound; other ports were tried.
        pub turn_bind_failures,
        /// Send indications and ChannelData without an allocation.
        pub turn_no_allocation,
        /// Send indications without what they need, or with what is not understood.
        pub turn_bad_indications,
        /// ChannelData on channels that are not bound.
        pub turn_unbound_channels,
        /// Data to peers without a permission.
        pub turn_unpermitted_sends,
        /// Send indications to peers that the policy forbids, or of a family that is not relayed.
        pub turn_forbidden_sends,
        /// Data from peers without a permission, or whom the policy forbids.
        pub turn_unpermitted_receives,
        /// Data at relay sockets that belong to nobody any more.
        pub turn_unowned_receives,
        /// Data to peers beyond the allocation's rate.
        pub turn_limited_sends,
        /// Data to clients beyond the allocation's rate.
        pub turn_limited_receives,
        /// Data from peers that is too long for a message to the client.
        pub turn_too_long_receives,
        /// ICMP errors that are none of RFC 8656 §11.5, or of peers without a permission.
        pub turn_ignored_icmp,
        /// ICMP errors beyond those that a client is told.
        pub turn_limited_icmp,
        /// Peers' TCP connections that were closed at once: without a permission, or too many.
        pub turn_refused_connections,
    }
}

wire::counters! {
    /// How much was done.
    pub struct ServerTraffic {
        /// Binding requests answered.
        pub turn_bindings,
        /// Allocations made.
        pub turn_allocations,
        /// Allocations that ended because nobody refreshed them.
        pub turn_expired_allocations,
        /// Datagrams relayed to peers.
        pub turn_sent_packets,
        /// Bytes of data relayed to peers, those of TCP (RFC 6062) too.
        pub turn_sent_bytes,
        /// Datagrams relayed to clients.
        pub turn_received_packets,
        /// Bytes of data relayed to clients, those of TCP too.
        pub turn_received_bytes,
        /// ICMP errors that clients were told.
        pub turn_told_icmp,
    }
}

impl ServerCounters {
    /// Counts an error response, 401 and 438 excepted.
    pub(super) const fn count(&mut self, code: ErrorCode) {
        let counter = match code {
            ErrorCode::UNKNOWN_ATTRIBUTE => &mut self.turn_unknown_attributes,
            ErrorCode::FORBIDDEN => &mut self.turn_forbidden_peers,
            ErrorCode::ALLOCATION_MISMATCH => &mut self.turn_allocation_mismatches,
            ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED => &mut self.turn_unsupported_families,
            ErrorCode::WRONG_CREDENTIALS => &mut self.turn_wrong_credentials,
            ErrorCode::UNSUPPORTED_TRANSPORT_PROTOCOL => &mut self.turn_unsupported_transports,
            ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH => &mut self.turn_family_mismatches,
            ErrorCode::CONNECTION_ALREADY_EXISTS => &mut self.turn_connection_exists,
            ErrorCode::CONNECTION_TIMEOUT_OR_FAILURE => &mut self.turn_connections_failed,
            ErrorCode::ALLOCATION_QUOTA_REACHED => &mut self.turn_quota_reached,
            ErrorCode::INSUFFICIENT_CAPACITY => &mut self.turn_insufficient_capacity,
            _ => &mut self.turn_bad_requests,
        };
        *counter = counter.saturating_add(1);
    }
}
