wire::counters! {
    /// What an association dropped, refused or repeated. Those of the first section are 0 after a clean call.
    pub struct Counters {
        // Packets
        /// Packets that are cut short, or have a chunk that is not framed.
        pub sctp_malformed,
        /// Packets with a wrong checksum.
        pub sctp_bad_checksum,
        /// Packets of other ports.
        pub sctp_wrong_ports,
        /// Packets whose verification tag is not ours.
        pub sctp_wrong_tag,
        /// Chunks that came in a state in which they mean nothing.
        pub sctp_unexpected_chunks,
        /// Chunks of types that nobody knows.
        pub sctp_unrecognized_chunks,
        // Set-up
        /// Packets of no association, after its end or before its beginning.
        pub sctp_out_of_the_blue,
        /// Chunks of set-up and shutdown that came when they meant nothing, as late ones do.
        pub sctp_out_of_turn,
        /// INIT and INIT ACK that say what no peer may say.
        pub sctp_bad_inits,
        /// COOKIE ECHO with a cookie that we did not make, or with another tag.
        pub sctp_forged_cookies,
        /// COOKIE ECHO with a cookie that is too old.
        pub sctp_stale_cookies,
        /// Packets that were not answered, since another answer waited.
        pub sctp_replies_dropped,
        /// INIT, COOKIE ECHO, SHUTDOWN and SHUTDOWN ACK that were repeated.
        pub sctp_setup_repeats,
        /// SHUTDOWN that acknowledges what was never sent.
        pub sctp_bad_shutdowns,
        // Inbound
        /// Data with a TSN that had come before.
        pub sctp_duplicate_data,
        /// Data that was dropped since it is too far ahead, or has too many gaps before it.
        pub sctp_data_too_far,
        /// Data that was dropped since it does not fit into the receive window.
        pub sctp_data_without_room,
        /// Data of messages that were skipped.
        pub sctp_late_data,
        /// Data on streams that do not exist.
        pub sctp_invalid_streams,
        // Outbound and recovery
        /// Chunks that were sent again.
        pub sctp_retransmissions,
        /// Those of them that the peer had already.
        pub sctp_spurious_retransmissions,
        /// Messages that were given up, since they came too late or were sent too often.
        pub sctp_messages_given_up,
        /// Retransmission time-outs.
        pub sctp_timeouts,
        /// Those after which it turned out that nothing was lost.
        pub sctp_spurious_timeouts,
        /// Chunks that were sent to find out whether the last ones were lost.
        pub sctp_probes,
        // Path
        /// HEARTBEATs that were not answered: too many at once, or with too much in them.
        pub sctp_dropped_heartbeats,
        /// HEARTBEAT ACKs that answer nothing of ours.
        pub sctp_stray_heartbeat_acks,
        // Reset
        /// Requests of the peer to re-configure streams that were refused: numbers of long ago, streams that do not exist, kinds
        /// that are not served.
        pub sctp_refused_reconfigs,
        /// Requests of ours to reset streams that the peer refused.
        pub sctp_denied_resets,
        // Channels
        /// Messages on streams that have no channel.
        pub sctp_messages_without_channel,
        /// Streams that were reset because the peer opened a channel against a rule or a limit, or sent something that
        /// means nothing.
        pub sctp_channel_violations,
    }
}
