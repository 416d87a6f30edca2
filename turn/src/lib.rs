//! TURN (RFC 8656) and its TCP relay (RFC 6062) without I/O.
//!
//! - [`Server`]: a TURN and STUN server; [`ServerConfig`] says for whom and how much, [`PeerPolicy`] with whom.
//! - [`ChannelData`]: what relayed data travels in once a channel is bound.
//! - [`Client`]: an allocation on a server. [`Relays`]: several of them under an ICE agent.
//! - [`ServerUri`]: where a server is.
//! - [`next_frame`]: finds the messages in a stream, for TURN over TCP and TLS.

mod channel_data;
pub mod client;
mod relays;
mod server;
mod stream;
#[cfg(feature = "testing")]
pub mod testing;
mod uri;

pub use channel_data::{ChannelData, ChannelNumber};
pub use client::Client;
pub use relays::{ClientId, FromRelay, Relays};
pub use server::{
    AllocationStats, ConnectionId, IcmpError, Nat64Prefix, Nat64PrefixError, Outgoing, PeerPolicy, RelayAddress,
    RelayId, Server, ServerAction, ServerConfig, ServerConfigError, ServerCounters, ServerLimits, ServerSink,
    ServerTraffic, Towards, Usage, timed_password,
};
pub use stream::{FrameError, MAX_FRAME, next_frame};
pub use uri::{Host, Scheme, ServerUri, UriError, UriTransport};
