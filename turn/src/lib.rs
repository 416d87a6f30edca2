//! TURN (RFC 8656) and its TCP relay (RFC 6062) without I/O.
//!
//! - [`Server`]: a TURN and STUN server; [`ServerConfig`] says for whom and how much, [`PeerPolicy`] with whom.
//! - [`ChannelData`]: what relayed data travels in once a channel is bound.
//! - [`next_frame`]: finds the messages in a stream, for TURN over TCP and TLS.

mod channel_data;
mod server;
mod stream;

pub use channel_data::{ChannelData, ChannelNumber};
pub use server::{
    AllocationStats, ConnectionId, IcmpError, Outgoing, PeerPolicy, RelayAddress, RelayId, Server, ServerAction,
    ServerConfig, ServerConfigError, ServerCounters, ServerLimits, ServerSink, ServerTraffic, Usage, timed_password,
};
pub use stream::{FrameError, MAX_FRAME, next_frame};
