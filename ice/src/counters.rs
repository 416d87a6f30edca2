wire::counters! {
    /// What an agent dropped, refused or forgot. All are 0 after a clean call.
    pub struct Counters {
        /// Datagrams that are no STUN message, or one with an attribute that breaks its rule.
        pub ice_malformed,
        /// Messages without FINGERPRINT, or with a wrong one (RFC 8445 §7.3).
        pub ice_bad_fingerprint,
        /// Responses to nothing that we asked.
        pub ice_unexpected_responses,
        /// Responses that came another way than our check went (RFC 8445 §7.2.5.2.1).
        pub ice_asymmetric_responses,
        /// Our checks that the peer answered with an error.
        pub ice_refused_checks,
        /// Indications, which need no answer and prove nothing.
        pub ice_ignored_indications,
        /// Requests of another method than Binding.
        pub ice_unexpected_methods,
        /// Requests without USERNAME or without integrity. Not answered.
        pub ice_missing_credentials,
        /// Requests whose USERNAME does not begin with a ufrag of ours. Not answered.
        pub ice_wrong_ufrag,
        /// Requests whose integrity does not match our password. Not answered.
        pub ice_wrong_integrity,
        /// Checks whose transaction id came before from another path: somebody repeats the peer's. Not answered.
        pub ice_replayed_checks,
        /// Authenticated requests that came after the agent had failed. Not answered.
        pub ice_checks_after_failure,
        /// Requests with attributes that have to be understood and are not. Answered with 420.
        pub ice_unknown_attributes,
        /// Requests of a peer that believes it has our role, answered with 487; and our checks that it answered so.
        pub ice_role_conflicts,
        /// Checks without PRIORITY; they count as the lowest.
        pub ice_missing_priority,
        /// Responses that found no room among the pending ones, or whose credentials were retired before they were
        /// sent.
        pub ice_responses_dropped,
        /// Pairs that gave way to newer ones.
        pub ice_pairs_evicted,
        /// Activity reported on paths on which nothing may be received ([`Agent::may_receive`](crate::Agent::may_receive)).
        pub ice_unvalidated_activity,
        /// Candidates of the peer beyond the limit.
        pub ice_remote_candidates_dropped,
        /// Candidates of our own beyond the limit.
        pub ice_local_candidates_dropped,
        /// Requests for our reflexive address that a STUN server refused.
        pub ice_refused_gathering,
        /// Role conflicts that ended with our changing the role (RFC 8445 §7.3.1.1). No fault of anybody's.
        pub ice_role_switches,
    }
}
