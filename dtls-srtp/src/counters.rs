wire::counters! {
    /// What the peer did that was tolerated. Each of these changes nothing else; faults that end the connection come as
    /// [`CloseReason`](crate::CloseReason) instead. A clean call leaves all of them at zero.
    pub struct Counters {
        /// Datagrams, or the rest of one, in which no record could be found (RFC 6347 §4.1.2.7: silently discarded).
        pub malformed_records,
        /// Records with a content type that means nothing here.
        pub unknown_content_types,
        /// Records of an epoch whose keys are gone or that never comes, or unprotected ones after the handshake.
        pub stale_epoch_records,
        /// Records of an epoch that is not reached yet, beyond the budget for keeping them.
        pub early_records_dropped,
        /// Protected records with a connection ID that is none of ours, or without one where one was agreed on (RFC 9146 §3,
        /// RFC 9147 §4).
        pub misidentified_records,
        /// Protected records that were seen before or are too old for the window (RFC 6347 §4.1.2.6).
        pub replayed_records,
        /// Protected records whose tag is wrong (RFC 6347 §4.1.2.7).
        pub unauthenticated_records,
        /// Protected records that are authentic and hold more than 2^14 bytes (RFC 5246 §6.2.1).
        pub overlong_records,
        /// Handshake fragments that are cut off or reach beyond their message.
        pub malformed_fragments,
        /// Handshake fragments that bring nothing: the peer, or the network, repeated them, or they are empty.
        pub repeated_fragments,
        /// Handshake fragments that contradict earlier ones of the same message.
        pub inconsistent_fragments,
        /// Handshake messages announced with more than the configured length.
        pub oversized_messages,
        /// Handshake fragments for which there was no room, or for which parts of later messages had to go.
        pub fragments_beyond_budget,
        /// Handshake messages without protection where it is due, or with it where it is not: in DTLS 1.2 all but the
        /// Finished go in the clear before the handshake is over, in DTLS 1.3 only the hellos.
        pub misprotected_messages,
        /// Cookies that were not ours, not for this hello from this address, or too old.
        pub invalid_cookies,
        /// Hellos from addresses that were not proven, answered with an alert: we cannot do what they ask for.
        pub refused_hellos,
        /// Hellos from addresses that were not proven whose rest did not come in time, or that made room for others.
        pub abandoned_hellos,
        /// Change-cipher-spec records that are not a single 1.
        pub malformed_change_cipher_specs,
        /// Alerts that are not two bytes of known meaning.
        pub malformed_alerts,
        /// Alerts without protection that came when protection was due.
        pub unprotected_alerts,
        /// Alerts of level warning, other than close_notify.
        pub warning_alerts,
        /// Acknowledgements that cannot be read (RFC 9147 §7).
        pub malformed_acks,
        /// Acknowledgements without protection: they make us send our flight again, and acknowledge nothing, since
        /// anybody can write them.
        pub unprotected_acks,
        /// Application data without protection.
        pub unprotected_application_data,
        /// Attempts to renegotiate, answered with no_renegotiation.
        pub renegotiations_refused,
        /// Handshake messages that mean nothing where they come: after the handshake; anything but a hello that can be answered
        /// from an address that is not proven.
        pub unexpected_messages,
        /// Datagrams after an end that was not ours.
        pub datagrams_after_close,
        /// Flights that we sent again, by the clock or because the peer did.
        pub retransmitted_flights,
    }
}
