//! RTP and RTCP (RFC 3550): packet views, header extensions, feedback, reports.
//!
//! - [`Packet`]: a view of an RTP packet, in-place setters for its fixed-width fields.
//! - [`RtpOut`], [`HeaderWriter`]: a header written into the caller's buffer, with either form of header extensions.
//! - [`extension`]: what is inside the header extensions that WebRTC uses.
//! - [`rtcp`]: compound packets read and written; [`ntp`]: the time that stands in them.
//! - [`rtcp`]: compound packets, read and written; [`ntp`]: the time that stands in them.
//! - [`is_rtp`], [`is_rtcp`]: telling them apart on one port (RFC 5761, RFC 7983).
//!
//! What only looks at bytes works without `std`; whatever knows time needs the feature `std`, which is on by default.
#![no_std]

#[cfg(any(test, feature = "std"))]
extern crate std;

mod demux;
pub mod extension;
mod header;
pub mod ntp;
mod packet;
pub mod rtcp;
mod source;
#[cfg(feature = "std")]
pub mod twcc;

pub use demux::{is_rtcp, is_rtp};
pub use header::{HeaderError, HeaderWriter, RtpOut};
pub use packet::{Csrcs, Extensions, Packet, Profile};
pub use source::{PayloadType, Ssrc};
