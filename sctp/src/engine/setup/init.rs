//! What INIT and INIT ACK say (RFC 9260 §3.3.2, §3.3.3): ours written, the peer's judged.

use core::fmt;

use super::Peer;
use super::cookie::Local;
use crate::chunk::Init;
use crate::list::List;
use crate::parameter::{Parameter, Parameters, RawParameter};
use crate::registry::{ChunkType, ErrorDetectionMethod};
use crate::writer::padded_len;
use crate::{Cause, Config};

/// The chunk types beyond RFC 9260 that we list (RFC 5061 §4.2.7), those of interleaving last.
const EXTENSIONS: [ChunkType; 4] = [
    ChunkType::RE_CONFIG,
    ChunkType::FORWARD_TSN,
    ChunkType::I_DATA,
    ChunkType::I_FORWARD_TSN,
];
/// How many of them there are without interleaving.
const WITHOUT_INTERLEAVING: usize = 2;

/// What a_rwnd has at least (RFC 9260 §3.3.2).
const LEAST_WINDOW: u32 = 1500;

/// Bytes of the peer's unrecognized parameters that are reported at most, each with the header of the report.
pub(super) const REPORT_LEN: usize = 256;

/// Why nobody can talk to whoever sent an INIT or INIT ACK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnusableInit {
    /// It is no INIT chunk.
    Malformed(wire::Error),
    /// The initiate tag is 0.
    NoTag,
    /// a_rwnd is less than 1500.
    SmallWindow,
    /// There are no streams in one direction.
    NoStreams,
    /// It has a Host Name Address (RFC 9260 §3.3.2.1.4).
    HostName,
    /// The association has begun in another way already.
    TooLate,
}

impl UnusableInit {
    pub(super) const fn rule(self) -> &'static str {
        match self {
            Self::Malformed(_) => "an INIT chunk is well formed",
            Self::NoTag => "an initiate tag is not 0",
            Self::SmallWindow => "the first receive window has 1500 bytes at least",
            Self::NoStreams => "there is a stream at least in each direction",
            Self::HostName => "there is no Host Name Address",
            Self::TooLate => "the association has not begun",
        }
    }

    /// What the peer is told.
    pub(super) const fn cause(self) -> Cause<'static> {
        match self {
            Self::SmallWindow | Self::NoStreams => Cause::InvalidMandatoryParameter,
            _ => Cause::ProtocolViolation(self.rule().as_bytes()),
        }
    }
}

impl fmt::Display for UnusableInit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => write!(f, "a malformed INIT: {error}"),
            _ => write!(f, "an unusable INIT: {}", self.rule()),
        }
    }
}

/// What an INIT or INIT ACK of the peer came to.
pub(super) struct Offer<'a> {
    pub(super) peer: Peer,
    /// The State Cookie, in INIT ACK.
    pub(super) cookie: Option<&'a [u8]>,
    /// Parameters whose sender wants to know that nobody knows them, [`REPORT_LEN`] at most.
    pub(super) unrecognized: Vec<RawParameter<'a>>,
}

/// Reads and judges an INIT or INIT ACK of the peer.
pub(super) fn read<'a>(config: &Config, init: &Init<'a>) -> Result<Offer<'a>, UnusableInit> {
    if init.initiate_tag == 0 {
        return Err(UnusableInit::NoTag);
    }
    if init.a_rwnd < LEAST_WINDOW {
        return Err(UnusableInit::SmallWindow);
    }
    if init.outbound_streams == 0 || init.inbound_streams == 0 {
        return Err(UnusableInit::NoStreams);
    }
    let mut cookie = None;
    let mut unrecognized = Vec::new();
    let mut report_len = 0_usize;
    let (mut forward_tsn, mut i_data, mut i_forward_tsn) = (false, false, false);
    let (mut reconfig, mut zero_checksum) = (false, false);
    // One whose value is malformed offers nothing, and hinders nothing.
    for parameter in init.parameters.iter().flatten() {
        match parameter {
            Parameter::HostNameAddress(_) => return Err(UnusableInit::HostName),
            Parameter::StateCookie(bytes) => cookie = cookie.or(Some(bytes)),
            Parameter::ForwardTsnSupported => forward_tsn = true,
            Parameter::ZeroChecksumAcceptable(method) => zero_checksum = method == ErrorDetectionMethod::DTLS,
            Parameter::SupportedExtensions(types) => {
                for chunk_type in types {
                    match chunk_type {
                        ChunkType::FORWARD_TSN => forward_tsn = true,
                        ChunkType::I_DATA => i_data = true,
                        ChunkType::I_FORWARD_TSN => i_forward_tsn = true,
                        ChunkType::RE_CONFIG => reconfig = true,
                        _ => {}
                    }
                }
            }
            Parameter::Other(raw) => {
                let action = raw.kind().when_unrecognized();
                let len = padded_len(raw.bytes().len()).saturating_add(RawParameter::HEADER_LEN);
                let sum = report_len.saturating_add(len);
                if action.reports() && sum <= REPORT_LEN {
                    report_len = sum;
                    unrecognized.push(raw);
                }
                if action.stops() {
                    break;
                }
            }
            _ => {}
        }
    }
    let interleaving = config.interleaving && i_data;
    let peer = Peer {
        tag: init.initiate_tag,
        a_rwnd: init.a_rwnd,
        initial_tsn: init.initial_tsn,
        outbound_streams: init.outbound_streams.min(config.inbound_streams.max(1)),
        inbound_streams: init.inbound_streams.min(config.outbound_streams.max(1)),
        interleaving,
        // Each kind of data is skipped by its own chunk (RFC 8260 §2.3.1).
        forward_tsn: if interleaving { i_forward_tsn } else { forward_tsn },
        reconfig,
        zero_checksum: config.zero_checksum && zero_checksum,
    };
    Ok(Offer {
        peer,
        cookie,
        unrecognized,
    })
}

/// Lends what our INIT or INIT ACK says, with further parameters behind those that are the same in both.
pub(super) fn with_ours<R>(
    config: &Config,
    local: Local,
    more: &[Parameter<'_>],
    use_it: impl FnOnce(Init<'_>) -> R,
) -> R {
    let count = if config.interleaving {
        EXTENSIONS.len()
    } else {
        WITHOUT_INTERLEAVING
    };
    let extensions = EXTENSIONS.get(..count).unwrap_or_default();
    let mut parameters = vec![
        Parameter::ForwardTsnSupported,
        Parameter::SupportedExtensions(List::new(extensions)),
    ];
    if config.zero_checksum {
        parameters.push(Parameter::ZeroChecksumAcceptable(ErrorDetectionMethod::DTLS));
    }
    parameters.extend_from_slice(more);
    use_it(Init {
        initiate_tag: local.tag,
        a_rwnd: config.receive_window.max(LEAST_WINDOW),
        outbound_streams: config.outbound_streams.max(1),
        inbound_streams: config.inbound_streams.max(1),
        initial_tsn: local.initial_tsn,
        parameters: Parameters::new(&parameters),
    })
}
