use core::time::Duration;

/// How an association behaves. The defaults suit data channels between browsers and servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Our port, that of `a=sctp-port` in our description. Default 5000.
    pub source_port: u16,
    /// The peer's port, that of `a=sctp-port` in its description. Default 5000.
    pub destination_port: u16,
    /// The largest packet that every path carries, in bytes with the common header: what is left of a datagram when that
    /// which carries SCTP has taken its share. 512 at least; default 1160, for DTLS in datagrams of 1200 bytes.
    pub base_packet: usize,
    /// The largest packet that path-MTU discovery tries (RFC 8899), in bytes; nothing is tried when it is
    /// [`base_packet`](Self::base_packet) or less, which is the default.
    pub largest_packet: usize,
    /// Streams that we want to send on, 1 at least. Default 65535.
    pub outbound_streams: u16,
    /// Streams that we take at most, 1 at least. Default 65535.
    pub inbound_streams: u16,
    /// Bytes that wait for their reassembly at most, with 64 for each piece: the receive window. 4096 at least; default 16 MiB.
    pub receive_window: u32,
    /// The longest message that is reassembled whole, in bytes. One that is longer ends the association, unless it is
    /// taken in parts ([`receive_parts`](Self::receive_parts)). Default 8 MiB, half of the receive window.
    pub max_receive_message: usize,
    /// Messages longer than this many bytes are handed over in parts, as they come in order, and are never held whole. The
    /// default, `None`, is never to do this.
    pub receive_parts: Option<usize>,
    /// Streams of the peer for which something is remembered at most; one more ends the association. Default 65536: all.
    pub max_receive_streams: usize,
    /// Bytes of messages that were accepted and are not acknowledged yet at most, with 128 for each message that waits and
    /// each chunk that was sent, and a quarter of it more for streams on which
    /// nothing waits. Default 16 MiB.
    pub send_buffer: usize,
    /// Whether I-DATA is offered and taken (RFC 8260). Default yes.
    pub interleaving: bool,
    /// Whether checksums of zero are offered and used where the peer takes them (RFC 9653): only where DTLS protects the
    /// packets. Default yes.
    pub zero_checksum: bool,
    /// How long a SACK is delayed at most. Default 25 ms; RFC 9260 §6.2 allows 500.
    pub sack_delay: Duration,
    /// How long the peer delays SACKs at most, which is part of the least retransmission time-out. Default 200 ms, as
    /// RFC 9260 §6.2 recommends it.
    pub peer_sack_delay: Duration,
    /// The first retransmission time-out. Default 500 ms.
    pub initial_rto: Duration,
    /// The longest retransmission time-out. Default 10 s.
    pub max_rto: Duration,
    /// How often something is repeated without an answer before the peer counts as unreachable
    /// (`Association.Max.Retrans`, `Max.Init.Retransmits`). Default 10.
    pub max_retransmissions: u32,
    /// How long the peer may say that it has no room for what waits before the association ends. Of a time in which it does not
    /// answer no more than twice [`max_rto`](Self::max_rto) counts. Default 5 minutes.
    pub closed_window_limit: Duration,
    /// How often the peer is probed where nothing else is under way, beside the retransmission time-out. Default 30 s.
    pub heartbeat_interval: Duration,
    /// How long a State Cookie is valid. Default 60 s.
    pub cookie_life: Duration,
    /// What the window does.
    pub congestion: Congestion,
    /// Who sends next.
    pub scheduler: Scheduler,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            source_port: 5000,
            destination_port: 5000,
            base_packet: 1160,
            largest_packet: 0,
            outbound_streams: u16::MAX,
            inbound_streams: u16::MAX,
            receive_window: 16 << 20,
            max_receive_message: 8 << 20,
            receive_parts: None,
            max_receive_streams: 1 << 16,
            send_buffer: 16 << 20,
            interleaving: true,
            zero_checksum: true,
            sack_delay: Duration::from_millis(25),
            peer_sack_delay: Duration::from_millis(200),
            initial_rto: Duration::from_millis(500),
            max_rto: Duration::from_secs(10),
            max_retransmissions: 10,
            closed_window_limit: Duration::from_secs(300),
            heartbeat_interval: Duration::from_secs(30),
            cookie_life: Duration::from_secs(60),
            congestion: Congestion::default(),
            scheduler: Scheduler::default(),
        }
    }
}

/// The rule by which the congestion window grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Congestion {
    /// CUBIC (RFC 9438), beginning with `HyStart++` (RFC 9406).
    #[default]
    Cubic,
    /// The same, but it leaves the queue at the bottleneck short: it yields when round trips become longer.
    DelayFriendly,
}

/// Which of several messages that wait is sent next (RFC 8260 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Scheduler {
    /// In the order in which they were accepted (§3.1).
    FirstComeFirstServed,
    /// One message of each stream in turn; with I-DATA, one packet of each (§3.2, §3.3).
    RoundRobin,
    /// Streams share by their priorities (§3.6).
    #[default]
    WeightedFair,
}
