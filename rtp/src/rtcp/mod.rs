//! RTCP: reports (RFC 3550 §6), feedback (RFC 4585, RFC 5104, RFC 8888 and two drafts) and extended reports (RFC 3611).
//!
//! Reading: [`Compound::parse`] checks the framing of a whole datagram, [`Compound::packets`] gives typed packets one
//! by one. Writing: each type has a `write` that appends one packet to a [`wire::Writer`]; several in a row are a
//! compound packet. A `write` that fails leaves the writer as it was.

mod bye;
mod compound;
mod congestion_feedback;
mod feedback;
mod fir;
mod nack;
mod pli;
mod remb;
mod report;
mod sdes;
mod transport_feedback;
mod xr;

pub use bye::{Bye, Ssrcs};
pub use compound::{Compound, Packet, PacketType, Packets, Raw};
pub use congestion_feedback::{CongestionFeedback, Metric, StreamMetrics, StreamReports};
pub use feedback::{PayloadFormat, TransportFormat};
pub use fir::{Fir, FirEntries, FirEntry};
pub use nack::{Lost, Nack, NackPair, NackPairs, Pairing};
pub use pli::Pli;
pub use remb::Remb;
pub use report::{ReceiverReport, ReportBlock, ReportBlocks, SenderInfo, SenderReport};
pub use sdes::{Sdes, SdesChunk, SdesChunks, SdesItem, SdesItems};
pub use transport_feedback::{Arrivals, FeedbackHeader, Run, Runs, Status, Statuses, TransportFeedback};
#[cfg(feature = "std")]
pub(crate) use transport_feedback::{Measure, TICKS_PER_REFERENCE};
pub use xr::{Dlrr, DlrrBlock, Xr, XrBlock, XrBlockType, XrBlocks};

#[cfg(test)]
mod tests;
