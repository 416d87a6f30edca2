//! SCTP (RFC 9260) as WebRTC uses it, over DTLS (RFC 8261), and data channels (RFC 8831, RFC 8832), without I/O.
//!
//! With the feature `std`, which is on by default:
//!
//! - [`Transport`]: data channels over an association of their own. [`ChannelInit`] opens one, [`ChannelSink`] takes what
//!   comes, [`ChannelEvent`] tells what happens.
//! - [`Association`]: streams of messages, without channels. [`Config`] has its budgets, [`Event`] what happens,
//!   [`CloseReason`] why it ended.
//!
//! In any case, without allocation:
//!
//! - [`Packet`]: a view of one packet: the common header, the checksum, the chunks as they stand there.
//! - [`Chunk`]: one chunk by its type, with the user data lent from the packet; [`Parameter`], [`Cause`]: what is nested
//!   in some of them.
//! - [`PacketWriter`]: bundles chunks into a buffer of the caller's; lengths and padding are its business.
//! - [`Unrecognized`]: what is done about types that nobody knows (RFC 9260 §3.2).
//! - [`Init::parse`]: the INIT chunk alone, as SNAP carries it through signalling.
//! - [`dcep`]: the messages that open data channels (RFC 8832).
//!
//! ```
//! use sctp::{Checksum, Chunk, CommonHeader, DataFlags, DataHeader, Packet, PacketWriter, Ppid, Sack};
//!
//! let header = CommonHeader { source_port: 5000, destination_port: 5000, verification_tag: 0x5fb3_7474 };
//! let mut out = [0; 1200];
//! let mut packet = PacketWriter::new(&mut out, 1188, &header)?;
//! packet.push(&Chunk::Sack(Sack { cumulative_tsn_ack: 7, a_rwnd: 5_242_880, ..Sack::default() }))?;
//! // The message is laid where it will be sent.
//! let data = DataHeader { flags: DataFlags::WHOLE, tsn: 1, stream: 0, ssn: 0, ppid: Ppid::STRING };
//! packet.data(&data, 5)?.copy_from_slice(b"hello");
//! let bytes = packet.finish(Checksum::Crc32c);
//! assert_eq!(bytes.len(), 12 + 16 + 24);
//!
//! let packet = Packet::parse(bytes)?;
//! assert!(packet.checksum_holds(Checksum::Crc32c));
//! for chunk in packet.chunks() {
//!     if let Chunk::Data(data) = Chunk::of(chunk?)? {
//!         assert_eq!((data.header.tsn, data.payload), (1, &b"hello"[..]));
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The wire formats do not judge what only an association can: which chunks may stand together, whether a tag is right, and
//! what values a peer may choose.
#![cfg_attr(not(any(test, feature = "std")), no_std)]
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used
)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::unwrap_used
    )
)]

#[cfg(feature = "std")]
mod association;
mod cause;
#[cfg(feature = "std")]
mod channels;
mod checksum;
mod chunk;
#[cfg(feature = "std")]
mod close;
#[cfg(feature = "std")]
mod config;
#[cfg(feature = "std")]
mod counters;
pub mod dcep;
#[cfg(feature = "std")]
mod engine;
mod list;
mod packet;
mod parameter;
mod registry;
mod tlv;
#[cfg(feature = "std")]
mod transport;
mod writer;

#[cfg(feature = "std")]
pub use association::{Association, Event, Message, ResetStreams, SendError, Sink, State, Stats, UnusableInit};
pub use cause::{Cause, Causes, RawCause};
#[cfg(feature = "std")]
pub use channels::{
    Channel, ChannelEvent, ChannelId, ChannelInit, ChannelLimits, ChannelSink, Kind, OpenError, ReadyState, Role,
    SendError as ChannelSendError,
};
pub use checksum::Checksum;
pub use chunk::{
    Abort, AddStreams, Chunk, Data, DataFlags, DataHeader, Forward, ForwardTsn, GapAckBlock, IData, IDataHeader,
    IForwardTsn, IncomingSsnReset, Init, NextTsns, OutgoingSsnReset, ReConfig, ReconfigResponse, Sack, SkippedMessage,
    SkippedStream,
};
#[cfg(feature = "std")]
pub use close::CloseReason;
#[cfg(feature = "std")]
pub use config::{Config, Congestion, Scheduler};
#[cfg(feature = "std")]
pub use counters::Counters;
pub use list::{List, ListIter};
pub use packet::{Chunks, CommonHeader, Packet, RawChunk};
pub use parameter::{Parameter, Parameters, RawParameter};
pub use registry::{CauseCode, ChunkType, ErrorDetectionMethod, ParameterType, Ppid, ReconfigResult, Unrecognized};
pub use tlv::{Tlv, TlvIter, TlvList};
#[cfg(feature = "std")]
pub use transport::{Transport, TransportEvent};
pub use writer::{PacketWriter, padded_len};
