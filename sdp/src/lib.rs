//! SDP and the WebRTC attributes (RFC 8866, RFC 9429): a lossless parser and printer that checks every line.
//!
//! - [`Session`]: a description, with [`Media`] for its sections; [`SdpFragment`] for trickling.
//! - [`Line`], [`Attribute`]: every line typed; one type for each attribute of WebRTC.
//! - [`Builder`]: writes descriptions and fragments.
//! - [`explain`]: says in plain sentences what the lines of a description mean.
//!
//! How it works and where it deviates from the RFCs is told in `docs/sdp.md`.
#![no_std]
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

extern crate alloc;
#[cfg(test)]
extern crate std;

mod address;
mod attribute;
mod bandwidth;
mod builder;
mod candidate;
mod connection;
mod data_channel;
mod direction;
mod document;
mod explain;
mod extmap;
mod fingerprint;
mod fmtp;
mod fragment;
mod group;
mod key;
mod line;
mod list;
mod media;
mod media_line;
mod msid;
mod order;
mod origin;
mod parameters;
mod rid;
mod rtcp;
mod rtcp_fb;
mod rtcp_xr;
mod rtpmap;
mod rule;
mod scan;
mod session;
mod setup;
mod simulcast;
mod ssrc;
mod timing;

pub use address::{Address, AddressType};
pub use attribute::{Attribute, Framerate, Milliseconds};
pub use bandwidth::Bandwidth;
pub use builder::Builder;
pub use candidate::{Candidate, CandidateKind, Extensions, RemoteCandidates, TcpType, Transport};
pub use connection::Connection;
pub use data_channel::{Dcmap, Dcsa, SctpInit, SctpMap};
pub use direction::Direction;
pub use explain::{Explanation, Sentence, explain, reprint};
pub use extmap::Extmap;
pub use fingerprint::Fingerprint;
pub use fmtp::Fmtp;
pub use fragment::SdpFragment;
pub use group::Group;
pub use key::Key;
pub use line::Line;
pub use list::{Item, List, ListIter};
pub use media::Media;
pub use media_line::MediaLine;
pub use msid::{Msid, MsidSemantic};
pub use origin::Origin;
pub use parameters::Parameters;
pub use rid::{Rid, RidDirection};
pub use rtcp::Rtcp;
pub use rtcp_fb::RtcpFb;
pub use rtcp_xr::{RtcpXr, XrFormat};
pub use rtpmap::RtpMap;
pub use rule::{ParseError, Rule};
pub use session::{Limits, Session};
pub use setup::Setup;
pub use simulcast::{Simulcast, SimulcastRid, SimulcastStream, SimulcastStreams};
pub use ssrc::{Ssrc, SsrcGroup};
pub use timing::{Repeat, Timing, Zones};
