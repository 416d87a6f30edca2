//! A PeerConnection without I/O: offer in, answer out, or offer out, answer in; then ICE, DTLS, SRTP, RTP and RTCP.
//!
//! - [`Peer`]: the engine. Its methods come in four families: getters, inputs, commands, outputs.
//! - [`Config`], [`Codec`], [`Extension`]: what it agrees to.
//! - [`IceServer`], [`IceTransportPolicy`]: STUN and TURN servers, for full mode.
//! - [`Mdns`]: names in place of addresses, for full mode.
//! - [`Sped`]: DTLS flights in connectivity checks, where [`Config::sped`] has it.
//! - [`Section`], [`Stream`], [`Sender`]: what was agreed to.
//! - [`Sink`], [`StreamInfo`]: how received media is lent.
//! - [`ChannelInit`], [`ChannelId`], [`MessageKind`], [`ChannelEvent`]: data channels, as the crate `sctp` has them.
//! - [`Event`], [`State`], [`Counters`]: what happened.

mod agreement;
mod answer;
mod bundle;
mod codec;
mod config;
mod connections;
mod counters;
mod early;
mod error;
mod event;
mod extension;
mod format_lines;
mod ice_server;
mod names;
mod negotiation;
mod offer;
mod offer_text;
mod peer;
mod receiver;
mod relaying;
mod remb;
mod rtcp_in;
mod rtcp_out;
mod section;
mod sender;
mod sink;
mod sped;
mod ssrc_table;
mod stream;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod timers;
mod wish;

pub use codec::{Codec, H264Profile, Kind};
pub use config::Config;
pub use counters::Counters;
pub use error::{AnswerError, Blocked, FragmentError, OfferError, SectionError};
pub use event::{CloseReason, Connection, ConnectionId, Event, RelayStream, RelayStreamId, Secured, State, Timer};
pub use extension::{Extension, ExtensionIds};
pub use ice_server::{IceServer, IceServerError, IceTransportPolicy};
pub use names::Mdns;
pub use peer::Peer;
pub use rtp::RepairStatistics;
pub use sctp::dcep::{Priority, Reliability};
pub use sctp::{
    Channel, ChannelEvent, ChannelId, ChannelInit, ChannelLimits, ChannelSendError, CloseReason as DataCloseReason,
    Config as SctpConfig, Congestion, Kind as MessageKind, OpenError, ReadyState, Scheduler,
};
pub use sdp::Direction;
pub use section::{Format, Section, Stream};
pub use sender::{Sender, SenderStatistics};
pub use sink::Sink;
pub use sped::{Sped, SpedArrival, SpedCounters, SpedState};
pub use stream::{SenderId, StreamId, StreamInfo};
