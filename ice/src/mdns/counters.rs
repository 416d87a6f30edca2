wire::counters! {
    /// What an engine of mDNS dropped or refused.
    pub struct Counters {
        /// Datagrams that are no DNS, or one with a name or record that breaks its rule.
        pub mdns_malformed,
        /// Datagrams from outside of the link (RFC 6762 §11).
        pub mdns_off_link,
        /// Responses from another port than 5353 (RFC 6762 §6).
        pub mdns_wrong_port,
        /// Names with more than one address; their candidates are ignored.
        pub mdns_ambiguous,
        /// Names with an address that no candidate can have.
        pub mdns_unusable_addresses,
        /// Records of others under a name of ours.
        pub mdns_conflicts,
        /// Messages of ours that found no room among those that wait to be sent.
        pub mdns_messages_dropped,
    }
}
