//! TURN (RFC 8656) and its TCP relay (RFC 6062) without I/O.
//!
//! - [`ChannelData`]: what relayed data travels in once a channel is bound.
//! - [`Client`]: an allocation on a server. [`Relays`]: several of them under an ICE agent.
//! - [`ServerUri`]: where a server is.
//! - [`next_frame`]: finds the messages in a stream, for TURN over TCP and TLS.

mod channel_data;
pub mod client;
mod relays;
mod stream;
mod uri;

pub use channel_data::{ChannelData, ChannelNumber};
pub use client::Client;
pub use relays::{FromRelay, RelayId, Relays};
pub use stream::{FrameError, MAX_FRAME, next_frame};
pub use uri::{Host, Scheme, ServerUri, UriError, UriTransport};
