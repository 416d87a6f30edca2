wire::counters! {
    /// What went wrong on a socket. All stay at zero as long as the network and the peers are well.
    pub struct Counters {
        /// Messages that the kernel refused for another reason than a full buffer; they were skipped.
        pub udp_send_refused,
        /// Messages longer than UDP can carry; they were skipped.
        pub udp_send_too_long,
        /// Runs of datagrams that the kernel would not segment; they left one by one.
        pub udp_segmentation_refused,
        /// Times that the send buffer was full; what was left waited.
        pub udp_send_blocked,
        /// Receive calls that failed for another reason than an empty buffer.
        pub udp_receive_failed,
        /// Datagrams without a byte in them.
        pub udp_empty_datagrams,
        /// Datagrams that the kernel dropped before we saw them, most of all because the receive buffer was full. Only
        /// Linux tells.
        pub udp_kernel_dropped,
        /// ICMP errors about datagrams that were sent, of sockets that ask for them. Only Linux tells.
        pub udp_icmp_errors,
    }
}

wire::counters! {
    /// How much went through a socket, and in how many system calls.
    pub struct Traffic {
        /// Datagrams received.
        pub udp_received_datagrams,
        /// Bytes received, without IP and UDP headers.
        pub udp_received_bytes,
        /// `recvmmsg` calls that brought something.
        pub udp_receive_calls,
        /// Datagrams sent.
        pub udp_sent_datagrams,
        /// Bytes sent, without IP and UDP headers.
        pub udp_sent_bytes,
        /// Messages sent; a run of datagrams is one.
        pub udp_sent_messages,
        /// `sendmmsg` calls that took something.
        pub udp_send_calls,
    }
}
