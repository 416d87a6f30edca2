use core::fmt;
use wire::{Error, Full, Writer};

use crate::list::List;
use crate::registry::{CauseCode, ParameterType};
use crate::tlv::{Element, Tlv, TlvList};

/// An error cause as it stands in the chunk.
pub type RawCause<'a> = Tlv<'a, CauseCode>;

/// The error causes of ERROR and ABORT.
pub type Causes<'a> = TlvList<'a, Cause<'a>>;

/// An error cause by its code. What it quotes of the peer's packet is bytes with type and length, which may be cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause<'a> {
    /// RFC 9260 §3.3.10.1: the stream.
    InvalidStreamIdentifier(u16),
    /// RFC 9260 §3.3.10.2.
    MissingMandatoryParameter(List<'a, ParameterType>),
    /// RFC 9260 §3.3.10.3: for how long the cookie has been stale, in microseconds; 0 when that is not told.
    StaleCookie(u32),
    /// RFC 9260 §3.3.10.4.
    OutOfResource,
    /// RFC 9260 §3.3.10.5: the address parameter.
    UnresolvableAddress(&'a [u8]),
    /// RFC 9260 §3.3.10.6: the chunk ([`RawChunk::bytes`](crate::RawChunk::bytes)).
    UnrecognizedChunkType(&'a [u8]),
    /// RFC 9260 §3.3.10.7.
    InvalidMandatoryParameter,
    /// RFC 9260 §3.3.10.8: parameters; [`Parameters::received`](crate::Parameters::received) reads them.
    UnrecognizedParameters(&'a [u8]),
    /// RFC 9260 §3.3.10.9: the TSN of the empty DATA chunk.
    NoUserData(u32),
    /// RFC 9260 §3.3.10.10.
    CookieWhileShuttingDown,
    /// RFC 9260 §3.3.10.11: address parameters.
    RestartWithNewAddresses(&'a [u8]),
    /// RFC 9260 §3.3.10.12: the Upper Layer Abort Reason.
    UserInitiatedAbort(&'a [u8]),
    /// RFC 9260 §3.3.10.13: additional information.
    ProtocolViolation(&'a [u8]),
    /// RFC 5061 §4.3.1: the request.
    DeleteLastAddress(&'a [u8]),
    /// RFC 5061 §4.3.2: the request.
    ResourceShortage(&'a [u8]),
    /// RFC 5061 §4.3.3: the request.
    DeleteSourceAddress(&'a [u8]),
    /// RFC 5061 §4.3.4.
    IllegalAsconfAck,
    /// RFC 5061 §4.3.5: the request.
    NoAuthorization(&'a [u8]),
    /// Any other.
    Other(RawCause<'a>),
}

impl<'a> Cause<'a> {
    /// Reads a cause by its code.
    ///
    /// # Errors
    /// A value that breaks the rules of its code.
    pub fn of(raw: RawCause<'a>) -> Result<Self, Error> {
        let mut r = raw.reader();
        let cause = match raw.kind() {
            CauseCode::INVALID_STREAM_IDENTIFIER => {
                let stream = r.u16()?;
                r.skip(2)?;
                Self::InvalidStreamIdentifier(stream)
            }
            CauseCode::MISSING_MANDATORY_PARAMETER => {
                let count = usize::try_from(r.u32()?).unwrap_or(usize::MAX);
                Self::MissingMandatoryParameter(List::read(&mut r, count)?)
            }
            CauseCode::STALE_COOKIE => Self::StaleCookie(r.u32()?),
            CauseCode::OUT_OF_RESOURCE => Self::OutOfResource,
            CauseCode::UNRESOLVABLE_ADDRESS => Self::UnresolvableAddress(r.all()),
            CauseCode::UNRECOGNIZED_CHUNK_TYPE => Self::UnrecognizedChunkType(r.all()),
            CauseCode::INVALID_MANDATORY_PARAMETER => Self::InvalidMandatoryParameter,
            CauseCode::UNRECOGNIZED_PARAMETERS => Self::UnrecognizedParameters(r.all()),
            CauseCode::NO_USER_DATA => Self::NoUserData(r.u32()?),
            CauseCode::COOKIE_WHILE_SHUTTING_DOWN => Self::CookieWhileShuttingDown,
            CauseCode::RESTART_WITH_NEW_ADDRESSES => Self::RestartWithNewAddresses(r.all()),
            CauseCode::USER_INITIATED_ABORT => Self::UserInitiatedAbort(r.all()),
            CauseCode::PROTOCOL_VIOLATION => Self::ProtocolViolation(r.all()),
            CauseCode::DELETE_LAST_ADDRESS => Self::DeleteLastAddress(r.all()),
            CauseCode::RESOURCE_SHORTAGE => Self::ResourceShortage(r.all()),
            CauseCode::DELETE_SOURCE_ADDRESS => Self::DeleteSourceAddress(r.all()),
            CauseCode::ILLEGAL_ASCONF_ACK => Self::IllegalAsconfAck,
            CauseCode::NO_AUTHORIZATION => Self::NoAuthorization(r.all()),
            _ => return Ok(Self::Other(raw)),
        };
        r.finish()?;
        Ok(cause)
    }

    /// The code.
    pub const fn code(&self) -> CauseCode {
        match self {
            Self::InvalidStreamIdentifier(_) => CauseCode::INVALID_STREAM_IDENTIFIER,
            Self::MissingMandatoryParameter(_) => CauseCode::MISSING_MANDATORY_PARAMETER,
            Self::StaleCookie(_) => CauseCode::STALE_COOKIE,
            Self::OutOfResource => CauseCode::OUT_OF_RESOURCE,
            Self::UnresolvableAddress(_) => CauseCode::UNRESOLVABLE_ADDRESS,
            Self::UnrecognizedChunkType(_) => CauseCode::UNRECOGNIZED_CHUNK_TYPE,
            Self::InvalidMandatoryParameter => CauseCode::INVALID_MANDATORY_PARAMETER,
            Self::UnrecognizedParameters(_) => CauseCode::UNRECOGNIZED_PARAMETERS,
            Self::NoUserData(_) => CauseCode::NO_USER_DATA,
            Self::CookieWhileShuttingDown => CauseCode::COOKIE_WHILE_SHUTTING_DOWN,
            Self::RestartWithNewAddresses(_) => CauseCode::RESTART_WITH_NEW_ADDRESSES,
            Self::UserInitiatedAbort(_) => CauseCode::USER_INITIATED_ABORT,
            Self::ProtocolViolation(_) => CauseCode::PROTOCOL_VIOLATION,
            Self::DeleteLastAddress(_) => CauseCode::DELETE_LAST_ADDRESS,
            Self::ResourceShortage(_) => CauseCode::RESOURCE_SHORTAGE,
            Self::DeleteSourceAddress(_) => CauseCode::DELETE_SOURCE_ADDRESS,
            Self::IllegalAsconfAck => CauseCode::ILLEGAL_ASCONF_ACK,
            Self::NoAuthorization(_) => CauseCode::NO_AUTHORIZATION,
            Self::Other(raw) => raw.kind(),
        }
    }

    /// The value, where it is nothing but bytes.
    const fn bytes(&self) -> Option<&'a [u8]> {
        match self {
            Self::UnresolvableAddress(bytes)
            | Self::UnrecognizedChunkType(bytes)
            | Self::UnrecognizedParameters(bytes)
            | Self::RestartWithNewAddresses(bytes)
            | Self::UserInitiatedAbort(bytes)
            | Self::ProtocolViolation(bytes)
            | Self::DeleteLastAddress(bytes)
            | Self::ResourceShortage(bytes)
            | Self::DeleteSourceAddress(bytes)
            | Self::NoAuthorization(bytes) => Some(bytes),
            Self::Other(raw) => Some(raw.value()),
            _ => None,
        }
    }
}

impl<'a> Element<'a> for Cause<'a> {
    type Kind = CauseCode;

    fn of(raw: RawCause<'a>) -> Result<Self, Error> {
        Self::of(raw)
    }

    fn kind(&self) -> CauseCode {
        self.code()
    }

    fn value_len(&self) -> usize {
        match self {
            Self::InvalidStreamIdentifier(_) | Self::StaleCookie(_) | Self::NoUserData(_) => 4,
            Self::MissingMandatoryParameter(types) => types.wire_len().saturating_add(4),
            _ => self.bytes().map_or(0, <[u8]>::len),
        }
    }

    fn put_value(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        match self {
            Self::InvalidStreamIdentifier(stream) => {
                w.u16(*stream)?;
                w.u16(0)
            }
            Self::MissingMandatoryParameter(types) => {
                w.u32(u32::try_from(types.len()).map_err(|_| Full)?)?;
                types.put(w)
            }
            Self::StaleCookie(number) | Self::NoUserData(number) => w.u32(*number),
            _ => self.bytes().map_or(Ok(()), |bytes| w.put(bytes)),
        }
    }
}

/// `No User Data tsn=7`, `User-Initiated Abort "Close called"`.
impl fmt::Display for Cause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.code().fmt(f)?;
        match self {
            Self::InvalidStreamIdentifier(stream) => write!(f, " stream={stream}"),
            Self::MissingMandatoryParameter(types) => write!(f, " {types}"),
            Self::StaleCookie(micros) => write!(f, " {micros} us"),
            Self::NoUserData(tsn) => write!(f, " tsn={tsn}"),
            Self::UserInitiatedAbort(text) | Self::ProtocolViolation(text) => {
                write!(f, " \"{}\"", text.escape_ascii())
            }
            _ => self.bytes().map_or(Ok(()), |bytes| write!(f, " {} bytes", bytes.len())),
        }
    }
}
