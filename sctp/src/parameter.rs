use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};
use wire::{Error, Full, Writer};

use crate::chunk::{AddStreams, IncomingSsnReset, OutgoingSsnReset, ReconfigResponse};
use crate::list::List;
use crate::registry::{ChunkType, ErrorDetectionMethod, ParameterType};
use crate::tlv::{Element, Tlv, TlvList};

/// A parameter as it stands in the chunk.
pub type RawParameter<'a> = Tlv<'a, ParameterType>;

/// The parameters of a chunk.
pub type Parameters<'a> = TlvList<'a, Parameter<'a>>;

/// A parameter by its type. Types are unique across chunks (RFC 9260 §3.2.1); one that stands where it does not belong is
/// read all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Parameter<'a> {
    /// RFC 9260 §3.3.5: whatever the sender of HEARTBEAT wants back.
    HeartbeatInfo(&'a [u8]),
    /// RFC 9260 §3.3.2.1.1. Not sent over DTLS, which has no addresses (RFC 8261 §6.1).
    Ipv4Address(Ipv4Addr),
    /// RFC 9260 §3.3.2.1.2. Not sent over DTLS, which has no addresses (RFC 8261 §6.1).
    Ipv6Address(Ipv6Addr),
    /// RFC 9260 §3.3.3.1.1: what COOKIE ECHO brings back.
    StateCookie(&'a [u8]),
    /// RFC 9260 §3.3.3.1.2: a parameter of INIT, quoted with its type and length ([`RawParameter::bytes`]).
    Unrecognized(&'a [u8]),
    /// RFC 9260 §3.3.2.1.3: by how much longer the cookie is to live, in milliseconds.
    CookiePreservative(u32),
    /// RFC 9260 §3.3.2.1.4: deprecated. Whoever receives it aborts.
    HostNameAddress(&'a [u8]),
    /// RFC 9260 §3.3.2.1.5. Not sent over DTLS (RFC 8261 §6.1).
    SupportedAddressTypes(List<'a, ParameterType>),
    /// RFC 6525 §4.1.
    OutgoingSsnReset(OutgoingSsnReset<'a>),
    /// RFC 6525 §4.2.
    IncomingSsnReset(IncomingSsnReset<'a>),
    /// RFC 6525 §4.3: the request's sequence number.
    SsnTsnReset(u32),
    /// RFC 6525 §4.4.
    ReconfigResponse(ReconfigResponse),
    /// RFC 6525 §4.5: streams from the sender of the request.
    AddOutgoingStreams(AddStreams),
    /// RFC 6525 §4.6: streams towards the sender of the request.
    AddIncomingStreams(AddStreams),
    /// RFC 4960 appendix A.
    EcnCapable,
    /// RFC 9653 §4: packets may have a checksum of zero where this protects them.
    ZeroChecksumAcceptable(ErrorDetectionMethod),
    /// RFC 4820 §4: bytes that only fill, given by their number and written as zeros.
    Padding(usize),
    /// RFC 5061 §4.2.7: chunk types beyond those of RFC 9260.
    SupportedExtensions(List<'a, ChunkType>),
    /// RFC 3758 §3.1.
    ForwardTsnSupported,
    /// RFC 5061 §4.2.6.
    AdaptationLayerIndication(u32),
    /// Any other; [`ParameterType::when_unrecognized`] tells what is done about it.
    Other(RawParameter<'a>),
}

impl<'a> Parameter<'a> {
    /// Reads a parameter by its type.
    ///
    /// # Errors
    /// A value that breaks the rules of its type.
    pub fn of(raw: RawParameter<'a>) -> Result<Self, Error> {
        let mut r = raw.reader();
        let parameter = match raw.kind() {
            ParameterType::HEARTBEAT_INFO => Self::HeartbeatInfo(r.all()),
            ParameterType::IPV4_ADDRESS => Self::Ipv4Address(r.take_array::<4>()?.into()),
            ParameterType::IPV6_ADDRESS => Self::Ipv6Address(r.take_array::<16>()?.into()),
            ParameterType::STATE_COOKIE => Self::StateCookie(r.all()),
            ParameterType::UNRECOGNIZED_PARAMETER => Self::Unrecognized(r.all()),
            ParameterType::COOKIE_PRESERVATIVE => Self::CookiePreservative(r.u32()?),
            ParameterType::HOST_NAME_ADDRESS => Self::HostNameAddress(r.all()),
            ParameterType::SUPPORTED_ADDRESS_TYPES => Self::SupportedAddressTypes(List::read_all(&mut r)?),
            ParameterType::OUTGOING_SSN_RESET_REQUEST => Self::OutgoingSsnReset(OutgoingSsnReset::read(&mut r)?),
            ParameterType::INCOMING_SSN_RESET_REQUEST => Self::IncomingSsnReset(IncomingSsnReset::read(&mut r)?),
            ParameterType::SSN_TSN_RESET_REQUEST => Self::SsnTsnReset(r.u32()?),
            ParameterType::RECONFIGURATION_RESPONSE => Self::ReconfigResponse(ReconfigResponse::read(&mut r)?),
            ParameterType::ADD_OUTGOING_STREAMS_REQUEST => Self::AddOutgoingStreams(AddStreams::read(&mut r)?),
            ParameterType::ADD_INCOMING_STREAMS_REQUEST => Self::AddIncomingStreams(AddStreams::read(&mut r)?),
            ParameterType::ECN_CAPABLE => Self::EcnCapable,
            ParameterType::ZERO_CHECKSUM_ACCEPTABLE => Self::ZeroChecksumAcceptable(ErrorDetectionMethod(r.u32()?)),
            ParameterType::PADDING => Self::Padding(r.all().len()),
            ParameterType::SUPPORTED_EXTENSIONS => Self::SupportedExtensions(List::read_all(&mut r)?),
            ParameterType::FORWARD_TSN_SUPPORTED => Self::ForwardTsnSupported,
            ParameterType::ADAPTATION_LAYER_INDICATION => Self::AdaptationLayerIndication(r.u32()?),
            _ => return Ok(Self::Other(raw)),
        };
        r.finish()?;
        Ok(parameter)
    }

    /// The type.
    pub const fn parameter_type(&self) -> ParameterType {
        match self {
            Self::HeartbeatInfo(_) => ParameterType::HEARTBEAT_INFO,
            Self::Ipv4Address(_) => ParameterType::IPV4_ADDRESS,
            Self::Ipv6Address(_) => ParameterType::IPV6_ADDRESS,
            Self::StateCookie(_) => ParameterType::STATE_COOKIE,
            Self::Unrecognized(_) => ParameterType::UNRECOGNIZED_PARAMETER,
            Self::CookiePreservative(_) => ParameterType::COOKIE_PRESERVATIVE,
            Self::HostNameAddress(_) => ParameterType::HOST_NAME_ADDRESS,
            Self::SupportedAddressTypes(_) => ParameterType::SUPPORTED_ADDRESS_TYPES,
            Self::OutgoingSsnReset(_) => ParameterType::OUTGOING_SSN_RESET_REQUEST,
            Self::IncomingSsnReset(_) => ParameterType::INCOMING_SSN_RESET_REQUEST,
            Self::SsnTsnReset(_) => ParameterType::SSN_TSN_RESET_REQUEST,
            Self::ReconfigResponse(_) => ParameterType::RECONFIGURATION_RESPONSE,
            Self::AddOutgoingStreams(_) => ParameterType::ADD_OUTGOING_STREAMS_REQUEST,
            Self::AddIncomingStreams(_) => ParameterType::ADD_INCOMING_STREAMS_REQUEST,
            Self::EcnCapable => ParameterType::ECN_CAPABLE,
            Self::ZeroChecksumAcceptable(_) => ParameterType::ZERO_CHECKSUM_ACCEPTABLE,
            Self::Padding(_) => ParameterType::PADDING,
            Self::SupportedExtensions(_) => ParameterType::SUPPORTED_EXTENSIONS,
            Self::ForwardTsnSupported => ParameterType::FORWARD_TSN_SUPPORTED,
            Self::AdaptationLayerIndication(_) => ParameterType::ADAPTATION_LAYER_INDICATION,
            Self::Other(raw) => raw.kind(),
        }
    }
}

impl<'a> Element<'a> for Parameter<'a> {
    type Kind = ParameterType;

    fn of(raw: RawParameter<'a>) -> Result<Self, Error> {
        Self::of(raw)
    }

    fn kind(&self) -> ParameterType {
        self.parameter_type()
    }

    fn value_len(&self) -> usize {
        match self {
            Self::HeartbeatInfo(bytes)
            | Self::StateCookie(bytes)
            | Self::Unrecognized(bytes)
            | Self::HostNameAddress(bytes) => bytes.len(),
            Self::Ipv4Address(_)
            | Self::CookiePreservative(_)
            | Self::SsnTsnReset(_)
            | Self::ZeroChecksumAcceptable(_)
            | Self::AdaptationLayerIndication(_) => 4,
            Self::Ipv6Address(_) => 16,
            Self::SupportedAddressTypes(types) => types.wire_len(),
            Self::OutgoingSsnReset(request) => request.wire_len(),
            Self::IncomingSsnReset(request) => request.wire_len(),
            Self::ReconfigResponse(response) => response.wire_len(),
            Self::AddOutgoingStreams(_) | Self::AddIncomingStreams(_) => AddStreams::LEN,
            Self::EcnCapable | Self::ForwardTsnSupported => 0,
            Self::Padding(len) => *len,
            Self::SupportedExtensions(types) => types.wire_len(),
            Self::Other(raw) => raw.value().len(),
        }
    }

    fn put_value(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        match self {
            Self::HeartbeatInfo(bytes)
            | Self::StateCookie(bytes)
            | Self::Unrecognized(bytes)
            | Self::HostNameAddress(bytes) => w.put(bytes),
            Self::Ipv4Address(address) => w.put(&address.octets()),
            Self::Ipv6Address(address) => w.put(&address.octets()),
            Self::CookiePreservative(number)
            | Self::SsnTsnReset(number)
            | Self::ZeroChecksumAcceptable(ErrorDetectionMethod(number))
            | Self::AdaptationLayerIndication(number) => w.u32(*number),
            Self::SupportedAddressTypes(types) => types.put(w),
            Self::OutgoingSsnReset(request) => request.put(w),
            Self::IncomingSsnReset(request) => request.put(w),
            Self::ReconfigResponse(response) => response.put(w),
            Self::AddOutgoingStreams(request) | Self::AddIncomingStreams(request) => request.put(w),
            Self::EcnCapable | Self::ForwardTsnSupported => Ok(()),
            Self::Padding(len) => w.zeros(*len),
            Self::SupportedExtensions(types) => types.put(w),
            Self::Other(raw) => w.put(raw.value()),
        }
    }
}

/// `State Cookie 44 bytes`, `Supported Extensions [RE-CONFIG FORWARD TSN]`.
impl fmt::Display for Parameter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parameter_type().fmt(f)?;
        match self {
            Self::HeartbeatInfo(bytes)
            | Self::StateCookie(bytes)
            | Self::Unrecognized(bytes)
            | Self::HostNameAddress(bytes) => write!(f, " {} bytes", bytes.len()),
            Self::Ipv4Address(address) => write!(f, " {address}"),
            Self::Ipv6Address(address) => write!(f, " {address}"),
            Self::CookiePreservative(millis) => write!(f, " {millis} ms"),
            Self::SupportedAddressTypes(types) => write!(f, " {types}"),
            Self::OutgoingSsnReset(request) => write!(f, " {request}"),
            Self::IncomingSsnReset(request) => write!(f, " {request}"),
            Self::SsnTsnReset(request) => write!(f, " request={request}"),
            Self::ReconfigResponse(response) => write!(f, " {response}"),
            Self::AddOutgoingStreams(request) | Self::AddIncomingStreams(request) => write!(f, " {request}"),
            Self::EcnCapable | Self::ForwardTsnSupported => Ok(()),
            Self::ZeroChecksumAcceptable(method) => write!(f, " {method}"),
            Self::Padding(len) => write!(f, " {len} bytes"),
            Self::SupportedExtensions(types) => write!(f, " {types}"),
            Self::AdaptationLayerIndication(code) => write!(f, " {code:08x}"),
            Self::Other(raw) => write!(f, " {} bytes", raw.value().len()),
        }
    }
}
