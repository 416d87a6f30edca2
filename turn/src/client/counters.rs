wire::counters! {
    /// What a client dropped, refused or forgot. All are 0 after a clean session.
    pub struct ClientCounters {
        /// Messages that are neither STUN nor ChannelData, or with an attribute that breaks its rule or is missing.
        pub turn_malformed,
        /// Answers to nothing that we asked, or that was answered before.
        pub turn_unexpected_answers,
        /// Requests, and indications of a method that no server sends.
        pub turn_unexpected_methods,
        /// Answers whose integrity is missing or wrong. They count as not received.
        pub turn_wrong_integrity,
        /// Answers from which somebody took what guards the choice of the password algorithm (RFC 8489 §9.2.1).
        pub turn_bid_down,
        /// Errors 400 without integrity, which count as not received (RFC 8489 §9.2.5).
        pub turn_unproven_errors,
        /// Messages with attributes that have to be understood and are not.
        pub turn_unknown_attributes,
        /// Requests that the server refused.
        pub turn_refused_requests,
        /// Requests that were never answered.
        pub turn_timeouts,
        /// ChannelData on a channel that is not ours.
        pub turn_unknown_channels,
        /// Data, ICMP errors and connection attempts of peers without a permission (RFC 8656 §11.4).
        pub turn_unwanted_data,
        /// Data that found no room before the CreatePermission that it waited for, or whose peer was refused or
        /// forgotten.
        pub turn_waiting_data_dropped,
        /// Events that found no room.
        pub turn_events_dropped,
        /// Channels that could not be had since all numbers are in use or not free again yet.
        pub turn_channels_exhausted,
        /// Redirections to a server that was asked in the last five minutes, or too many of them.
        pub turn_redirection_loops,
        /// Redirections without an address that can be used.
        pub turn_no_alternates,
    }
}
