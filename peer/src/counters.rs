wire::counters! {
    /// What a peer dropped or noticed. In a clean call all of them stay 0.
    pub struct Counters {
        /// Datagrams that are neither STUN nor DTLS nor RTP (RFC 7983 §7).
        pub unknown_protocol,
        /// Datagrams that are not STUN, on a path that no authenticated check has opened.
        pub unvalidated_path,
        /// DTLS and media before the first offer was accepted.
        pub before_offer,
        /// Datagrams after the end. A peer that is still talking when it is closed raises some.
        pub after_close,
        /// SRTP and SRTCP packets before the keys, and RTP packets before the answer to our offer of their sections, for
        /// which there was no room any more.
        pub early_media_overflow,
        /// SRTP and SRTCP packets that waited for the keys too long, and RTP packets for an answer.
        pub early_media_expired,
        /// Authentic packets that are not valid RTP (RFC 3550 §5.1).
        pub malformed_rtp,
        /// RTP packets of an SSRC that nothing binds to a section (RFC 9143 §9.2).
        pub unbound_ssrc,
        /// RTP packets whose MID names no section in which we receive, or offered to.
        pub unknown_mid,
        /// RTP packets whose RID names no layer that was negotiated.
        pub unknown_rid,
        /// RTP packets whose payload type is not negotiated in their section.
        pub unknown_payload_type,
        /// RTP packets of an SSRC after the stream went on under another one.
        pub superseded_ssrc,
        /// RTP packets of new SSRCs while the table of SSRCs is full.
        pub ssrc_table_full,
        /// RTP packets of a section that is not negotiated for receiving (any more).
        pub not_receiving,
        /// RTP packets whose sender SSRC is one of ours (RFC 3550 §8.2: a loop or a collision).
        pub ssrc_collision,
        /// Compound packets, or what follows in them, that are not valid RTCP (RFC 3550 §A.2).
        pub malformed_rtcp,
        /// RTCP packets of types, or about SSRCs, with which we have nothing to do.
        pub ignored_rtcp,
        /// Feedback that was repeated and therefore not handed on (RFC 5104 §4.3.1.2: an FIR with an old number).
        pub repeated_feedback,
        /// Application data while no data section is negotiated.
        pub unexpected_application_data,
        /// Outgoing RTCP feedback that found no room in its queue.
        pub feedback_overflow,
        /// Remote candidates of another ICE session than the present one (RFC 8838 §9), and at a peer that offers
        /// fragments of another one (RFC 8840 §4.4).
        pub stale_candidates,
        /// Remote candidates that came before the description of their ICE session, for which there was no room.
        pub early_candidates_overflow,
        /// Remote candidates whose names have no address, or none that can be used.
        pub unresolved_names,
        /// Remote candidates with names, and addresses of ours that are to be concealed, beyond their budgets. The
        /// latter are not told.
        pub names_overflow,
        /// TCP connections to candidates of the peer's beyond the number that there may be
        /// ([`Config::max_connections`](crate::Config::max_connections)).
        pub connections_refused,
        /// TCP connections on which a longer frame came than may come.
        pub connections_malformed,
        /// TURN servers that gave no relayed address, or stopped relaying.
        /// [`Event::RelayFailed`](crate::Event::RelayFailed) tells why.
        pub relays_failed,
        /// Addresses of STUN and TURN servers, and allocations, beyond their budgets.
        pub relays_dropped,
        /// Datagrams and permissions that no TURN server takes: the allocation is gone, or the peers are too many.
        pub relay_blocked,
        /// Datagrams that did not come by a relay where only relays are wanted
        /// ([`IceTransportPolicy::Relay`](crate::IceTransportPolicy::Relay)).
        pub not_relayed,
        /// Events that nobody polled in time.
        pub lost_events,
    }
}
