//! RTP and RTCP (RFC 3550): packet views, header extensions, feedback, reports.
//!
//! - [`Packet`]: a view of an RTP packet, in-place setters for its fixed-width fields.
//! - [`RtpOut`], [`HeaderWriter`]: a header written into the caller's buffer, with either form of header extensions.
//! - [`extension`]: what is inside the header extensions that WebRTC uses.
//! - [`codec`]: the little that a forwarder has to know of payloads: key frames, picture numbers, layers.
//! - [`rtx`]: retransmission in a stream of its own.
//! - [`rtcp`]: compound packets, read and written; [`ntp`]: the time that stands in them.
//! - [`ReceiverStatistics`], [`SenderStatistics`], [`RtpClock`]: what reports are made of.
//! - [`twcc`]: arrivals recorded for transport-wide feedback.
//! - [`is_rtp`], [`is_rtcp`]: telling them apart on one port (RFC 5761, RFC 7983).
//!
//! What only looks at bytes works without `std`; whatever knows time needs the feature `std`, which is on by default.
#![no_std]

#[cfg(any(test, feature = "std"))]
extern crate std;

pub mod codec;
#[cfg(feature = "std")]
mod counters;
mod demux;
pub mod extension;
mod header;
pub mod ntp;
mod packet;
#[cfg(feature = "std")]
mod receiver_statistics;
pub mod rtcp;
pub mod rtx;
#[cfg(feature = "std")]
mod sender_statistics;
mod source;
#[cfg(feature = "std")]
pub mod twcc;

#[cfg(feature = "std")]
pub use counters::Counters;
pub use demux::{is_rtcp, is_rtp};
pub use header::{HeaderError, HeaderWriter, RtpOut};
pub use packet::{Csrcs, Extensions, Packet, Profile};
#[cfg(feature = "std")]
pub use receiver_statistics::ReceiverStatistics;
#[cfg(feature = "std")]
pub use sender_statistics::{RtpClock, SenderStatistics};
pub use source::{PayloadType, Ssrc};
