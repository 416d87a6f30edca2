wire::counters! {
    /// What this crate's engines tolerate and count.
    pub struct Counters {
        /// Packets with a transport-wide number that has been recorded already.
        pub twcc_duplicates,
        /// Packets so far behind the newest transport-wide number that no feedback tells of them.
        pub twcc_late,
        /// Packets that no feedback told of, since the transport-wide numbers ran away from them before it was taken.
        pub twcc_overruns,
        /// Packets whose sequence number is far from those before, not counted as received.
        pub rtp_sequence_jumps,
        /// Streams that went on from another sequence number, confirmed by two packets in a row.
        pub rtp_sequence_restarts,
    }
}
