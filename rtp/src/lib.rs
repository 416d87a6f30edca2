//! RTP and RTCP (RFC 3550): packet views, header extensions, feedback, reports.
//!
//! - [`Packet`]: a view of an RTP packet, in-place setters for its fixed-width fields.
//! - [`RtpOut`], [`HeaderWriter`]: a header written into the caller's buffer, with either form of header extensions.
//! - [`extension`]: what is inside the header extensions that WebRTC uses.
//! - [`codec`]: the little that a forwarder has to know of payloads: key frames, picture numbers, layers.
//! - [`rtx`]: retransmission in a stream of its own.
//! - [`rtcp`]: compound packets, read and written; [`ntp`]: the time that stands in them.
//! - [`ReceiverStatistics`], [`SenderStatistics`], [`RtpClock`]: what reports are made of.
//! - [`MissingPackets`]: what of a received stream is asked for again.
//! - [`twcc`]: arrivals recorded for transport-wide feedback.
//! - [`dump`]: packets field by field.
//! - [`is_rtp`], [`is_rtcp`]: telling them apart on one port (RFC 5761, RFC 7983).
//!
//! ```
//! use rtp::{Packet, PayloadType, RtpOut, Ssrc};
//!
//! // What a forwarder does with a packet: look, write another header, copy the payload.
//! let received = [0x90, 0x60, 0, 9, 0, 0, 0, 1, 0, 0, 0, 7, 0xbe, 0xde, 0, 1, 0x10, 0xa5, 0, 0, b'x'];
//! let packet = Packet::parse(&received[..])?;
//! let level = packet.extension(1).and_then(rtp::extension::AudioLevel::parse);
//! assert_eq!(level.map(|level| level.level), Some(37));
//!
//! let mut out = [0; 1500];
//! let header = RtpOut {
//!     payload_type: PayloadType(111),
//!     sequence_number: 0x1_0000,
//!     timestamp: packet.timestamp(),
//!     ssrc: Ssrc(0x1234_5678),
//!     extensions: &[(4, b"mid")],
//!     ..RtpOut::default()
//! };
//! let header_len = header.write(false, &mut out)?;
//! let len = header_len + packet.payload().len();
//! out[header_len..len].copy_from_slice(packet.payload());
//! assert_eq!(Packet::parse(&out[..len])?.extension(4), Some(&b"mid"[..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What only looks at bytes works without `std`; whatever knows time needs the feature `std`, which is on by default.
#![no_std]

#[cfg(any(test, feature = "std"))]
extern crate std;

pub mod codec;
#[cfg(feature = "std")]
mod counters;
mod demux;
pub mod dump;
pub mod extension;
mod header;
#[cfg(feature = "std")]
mod missing;
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
#[cfg(feature = "std")]
pub use missing::{Arrival, MissingPackets, RepairStatistics};
pub use packet::{Csrcs, Extensions, Packet, Profile};
#[cfg(feature = "std")]
pub use receiver_statistics::ReceiverStatistics;
#[cfg(feature = "std")]
pub use sender_statistics::{RtpClock, SenderStatistics};
pub use source::{PayloadType, Ssrc};
