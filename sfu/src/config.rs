use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How an [`Sfu`](crate::Sfu) behaves. One is shared by all workers, apart from the addresses.
#[derive(Debug, Clone)]
pub struct Config {
    /// What each participant's PeerConnection agrees to.
    pub peer: Arc<peer::Config>,
    /// Addresses under which peers reach this worker, the preferred one first: each is a host candidate.
    pub addresses: Vec<SocketAddr>,
    /// Whether TCP connections (RFC 6544, RFC 4571) are accepted at those addresses too: each is a passive candidate
    /// then.
    pub tcp: bool,
    /// The most participants in one room, watchers included.
    pub room_capacity: usize,
    /// The most rooms.
    pub max_rooms: usize,
    /// The most participants in all, echoes included, which are in no room.
    pub max_participants: usize,
    /// Bytes of payload that are kept of a video source: at least 1.5 s of what it sends, since NACKs are answered from
    /// them. Rounded up to a power of two.
    pub video_ring_bytes: usize,
    /// Bytes of payload that are kept of an audio source. Rounded up to a power of two.
    pub audio_ring_bytes: usize,
    /// Packets sent per video slot that can be asked for again; rounded up to a power of two.
    pub history: usize,
    /// The most sections in which one participant is listened to; what comes in others is counted and dropped.
    pub max_sources: usize,
    /// How many people a member sees at once, unless it wants another number: those who speak and those whom it has
    /// pinned first. Shared screens come on top.
    pub last_n: usize,
    /// The most people that a member can want to see at once.
    pub max_tiles: usize,
    /// How many voices are heard at once in a room of more, beside those that a listener has pinned.
    pub top_k: usize,
    /// Slots are asked for in steps of this many pairs.
    pub slot_step: usize,
    /// How long somebody whose first offer was accepted may take to connect.
    pub connect_timeout: Duration,
    /// Bytes of messages that wait for a member on one of its data channels at most, if that loses nothing: the channel
    /// is closed when more come.
    pub max_waiting: usize,
    /// Events that may wait to be polled, in all; when more happen the oldest are dropped and counted.
    pub max_events: usize,
}

impl Config {
    /// The defaults.
    pub fn new(peer: Arc<peer::Config>, addresses: Vec<SocketAddr>) -> Self {
        Self {
            peer,
            addresses,
            tcp: false,
            room_capacity: 100,
            max_rooms: 10_000,
            max_participants: 5_000,
            video_ring_bytes: 1 << 20,
            audio_ring_bytes: 1 << 16,
            history: 2048,
            max_sources: 8,
            last_n: 16,
            max_tiles: 49,
            top_k: 3,
            slot_step: 4,
            connect_timeout: Duration::from_secs(30),
            max_waiting: 4 << 20,
            max_events: 65_536,
        }
    }
}
