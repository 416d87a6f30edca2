//! A PeerConnection without I/O, in the answering role: offer in, answer out; then ICE, DTLS, SRTP, RTP and RTCP.
//!
//! - [`Peer`]: the engine. Its methods come in four families: getters, inputs, commands, outputs.
//! - [`Config`], [`Codec`], [`Extension`]: what it agrees to.
//! - [`Section`], [`Stream`], [`Sender`]: what was agreed to.
//! - [`Sink`], [`StreamInfo`]: how received media is lent.
//! - [`Event`], [`State`], [`Counters`]: what happened.

mod codec;
mod config;
mod counters;
mod direction;
mod error;
mod event;
mod extension;
mod peer;
mod section;
mod sender;
mod sink;
mod stream;

pub use codec::{Codec, H264Profile, Kind};
pub use config::Config;
pub use counters::Counters;
pub use direction::Direction;
pub use error::{Blocked, FragmentError, OfferError};
pub use event::{CloseReason, Event, Secured, State, Timer};
pub use extension::{Extension, ExtensionIds};
pub use peer::Peer;
pub use section::{Format, Section, Stream};
pub use sender::Sender;
pub use sink::Sink;
pub use stream::{SenderId, StreamId, StreamInfo};
