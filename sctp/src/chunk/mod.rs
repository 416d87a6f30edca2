//! Chunks by their types. Each file has those that belong together, beside the RFC's figures.

use core::fmt;
use wire::{Error, Full, Reader, Writer};

use crate::cause::Causes;
use crate::packet::RawChunk;
use crate::parameter::{Parameter, Parameters};
use crate::registry::ChunkType;
use crate::writer::padding;

mod data;
mod forward_tsn;
mod init;
mod reconfig;
mod sack;

pub use data::{Data, DataFlags, DataHeader, IData, IDataHeader};
pub use forward_tsn::{Forward, ForwardTsn, IForwardTsn, SkippedMessage, SkippedStream};
pub use init::Init;
pub use reconfig::{AddStreams, IncomingSsnReset, NextTsns, OutgoingSsnReset, ReConfig, ReconfigResponse};
pub use sack::{GapAckBlock, Sack};

/// A chunk by its type. Two are equal when they say the same, even if in other bytes: reserved flags, reserved fields and
/// padding are neither kept nor compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunk<'a> {
    /// RFC 9260 §3.3.1.
    Data(Data<'a>),
    /// RFC 9260 §3.3.2.
    Init(Init<'a>),
    /// RFC 9260 §3.3.3.
    InitAck(Init<'a>),
    /// RFC 9260 §3.3.4.
    Sack(Sack<'a>),
    /// RFC 9260 §3.3.5: the Heartbeat Info, which only its sender understands.
    Heartbeat(&'a [u8]),
    /// RFC 9260 §3.3.6: the Heartbeat Info of the HEARTBEAT that it answers.
    HeartbeatAck(&'a [u8]),
    /// RFC 9260 §3.3.7.
    Abort(Abort<'a>),
    /// RFC 9260 §3.3.8.
    Shutdown {
        /// The last TSN received in sequence.
        cumulative_tsn_ack: u32,
    },
    /// RFC 9260 §3.3.9.
    ShutdownAck,
    /// RFC 9260 §3.3.10. That there is one cause at least is not checked.
    Error(Causes<'a>),
    /// RFC 9260 §3.3.11: the cookie.
    CookieEcho(&'a [u8]),
    /// RFC 9260 §3.3.12.
    CookieAck,
    /// RFC 4960 appendix A: ECN-Echo.
    Ecne {
        /// The lowest TSN of the packet that was marked.
        lowest_tsn: u32,
    },
    /// RFC 4960 appendix A: Congestion Window Reduced.
    Cwr {
        /// The lowest TSN of the ECNE that it answers.
        lowest_tsn: u32,
    },
    /// RFC 9260 §3.3.13.
    ShutdownComplete {
        /// The T bit: the verification tag is that of the packet that this one answers.
        reflected: bool,
    },
    /// RFC 8260 §2.1.
    IData(IData<'a>),
    /// RFC 6525 §3.1.
    ReConfig(ReConfig<'a>),
    /// RFC 4820 §3: bytes that only fill, given by their number and written as zeros.
    Pad(usize),
    /// RFC 3758 §3.2.
    ForwardTsn(ForwardTsn<'a>),
    /// RFC 8260 §2.3.1.
    IForwardTsn(IForwardTsn<'a>),
    /// Any other type; [`ChunkType::when_unrecognized`] tells what is done about it.
    Unknown(RawChunk<'a>),
}

/// Ends an association at once (RFC 9260 §3.3.7). One with a format error is to be discarded: the types and lengths of its
/// causes were checked, their values are not before they are iterated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Abort<'a> {
    /// The T bit: the verification tag is that of the packet that this one answers.
    pub reflected: bool,
    /// Why.
    pub causes: Causes<'a>,
}

/// The T bit of ABORT and SHUTDOWN COMPLETE.
const REFLECTED: u8 = 1;

impl<'a> Chunk<'a> {
    /// Reads a chunk by its type.
    ///
    /// # Errors
    /// A value that breaks the rules of its type.
    pub fn of(raw: RawChunk<'a>) -> Result<Self, Error> {
        let mut r = raw.reader();
        let chunk = match raw.chunk_type() {
            // Nothing is left behind what takes all.
            ChunkType::DATA => return Data::of(raw).map(Self::Data),
            ChunkType::I_DATA => return IData::of(raw).map(Self::IData),
            ChunkType::INIT => Self::Init(Init::read(&mut r)?),
            ChunkType::INIT_ACK => Self::InitAck(Init::read(&mut r)?),
            ChunkType::SACK => Self::Sack(Sack::read(&mut r)?),
            ChunkType::HEARTBEAT => Self::Heartbeat(heartbeat_info(&mut r)?),
            ChunkType::HEARTBEAT_ACK => Self::HeartbeatAck(heartbeat_info(&mut r)?),
            ChunkType::ABORT => Self::Abort(Abort {
                reflected: raw.flags() & REFLECTED != 0,
                causes: Causes::read_framed(&mut r)?,
            }),
            ChunkType::SHUTDOWN => Self::Shutdown {
                cumulative_tsn_ack: r.u32()?,
            },
            ChunkType::SHUTDOWN_ACK => Self::ShutdownAck,
            ChunkType::ERROR => Self::Error(Causes::read(&mut r)),
            ChunkType::COOKIE_ECHO => Self::CookieEcho(r.all()),
            ChunkType::COOKIE_ACK => Self::CookieAck,
            ChunkType::ECNE => Self::Ecne { lowest_tsn: r.u32()? },
            ChunkType::CWR => Self::Cwr { lowest_tsn: r.u32()? },
            ChunkType::SHUTDOWN_COMPLETE => Self::ShutdownComplete {
                reflected: raw.flags() & REFLECTED != 0,
            },
            ChunkType::RE_CONFIG => Self::ReConfig(ReConfig::read(&mut r)?),
            ChunkType::PAD => Self::Pad(r.all().len()),
            ChunkType::FORWARD_TSN => Self::ForwardTsn(ForwardTsn::read(&mut r)?),
            ChunkType::I_FORWARD_TSN => Self::IForwardTsn(IForwardTsn::read(&mut r)?),
            _ => return Ok(Self::Unknown(raw)),
        };
        r.finish()?;
        Ok(chunk)
    }

    /// The type.
    pub const fn chunk_type(&self) -> ChunkType {
        match self {
            Self::Data(_) => ChunkType::DATA,
            Self::Init(_) => ChunkType::INIT,
            Self::InitAck(_) => ChunkType::INIT_ACK,
            Self::Sack(_) => ChunkType::SACK,
            Self::Heartbeat(_) => ChunkType::HEARTBEAT,
            Self::HeartbeatAck(_) => ChunkType::HEARTBEAT_ACK,
            Self::Abort(_) => ChunkType::ABORT,
            Self::Shutdown { .. } => ChunkType::SHUTDOWN,
            Self::ShutdownAck => ChunkType::SHUTDOWN_ACK,
            Self::Error(_) => ChunkType::ERROR,
            Self::CookieEcho(_) => ChunkType::COOKIE_ECHO,
            Self::CookieAck => ChunkType::COOKIE_ACK,
            Self::Ecne { .. } => ChunkType::ECNE,
            Self::Cwr { .. } => ChunkType::CWR,
            Self::ShutdownComplete { .. } => ChunkType::SHUTDOWN_COMPLETE,
            Self::IData(_) => ChunkType::I_DATA,
            Self::ReConfig(_) => ChunkType::RE_CONFIG,
            Self::Pad(_) => ChunkType::PAD,
            Self::ForwardTsn(_) => ChunkType::FORWARD_TSN,
            Self::IForwardTsn(_) => ChunkType::I_FORWARD_TSN,
            Self::Unknown(raw) => raw.chunk_type(),
        }
    }

    fn flags(&self) -> u8 {
        match self {
            Self::Data(data) => data.header.flags.bits(),
            Self::IData(data) => data.header.flags.bits(),
            Self::Abort(Abort { reflected: true, .. }) | Self::ShutdownComplete { reflected: true } => REFLECTED,
            Self::Unknown(raw) => raw.flags(),
            _ => 0,
        }
    }

    /// What the length field says: the length in bytes with the header and without padding behind it. Above 65535 the
    /// chunk cannot be written.
    pub fn wire_len(&self) -> usize {
        RawChunk::HEADER_LEN.saturating_add(self.value_len())
    }

    fn value_len(&self) -> usize {
        match self {
            Self::Data(data) => data.value_len(),
            Self::Init(init) | Self::InitAck(init) => init.value_len(),
            Self::Sack(sack) => sack.value_len(),
            Self::Heartbeat(info) | Self::HeartbeatAck(info) => {
                Parameters::new(&[Parameter::HeartbeatInfo(info)]).wire_len()
            }
            Self::Abort(Abort { causes, .. }) | Self::Error(causes) => causes.wire_len(),
            Self::Shutdown { .. } | Self::Ecne { .. } | Self::Cwr { .. } => 4,
            Self::ShutdownAck | Self::CookieAck | Self::ShutdownComplete { .. } => 0,
            Self::CookieEcho(cookie) => cookie.len(),
            Self::IData(data) => data.value_len(),
            Self::ReConfig(reconfig) => reconfig.parameters.wire_len(),
            Self::Pad(len) => *len,
            Self::ForwardTsn(forward) => forward.value_len(),
            Self::IForwardTsn(forward) => forward.value_len(),
            Self::Unknown(raw) => raw.value().len(),
        }
    }

    /// Appends the chunk and the padding behind it. After an error the writer stands where it stood.
    ///
    /// # Errors
    /// [`Full`] when it does not fit, or is longer than 65535 bytes.
    pub fn write(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        let start = w.position();
        let result = self
            .write_unpadded(w)
            .and_then(|()| w.zeros(padding(w.position().saturating_sub(start))));
        if result.is_err() {
            w.truncate(start);
        }
        result
    }

    fn write_unpadded(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        w.u8(self.chunk_type().0)?;
        w.u8(self.flags())?;
        let length = w.reserve(2)?;
        self.put_value(w)?;
        let value_len = w.position().saturating_sub(length.end());
        w.fill(length, value_len.saturating_add(RawChunk::HEADER_LEN))
    }

    fn put_value(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        match self {
            Self::Data(data) => data.put(w),
            Self::Init(init) | Self::InitAck(init) => init.put(w),
            Self::Sack(sack) => sack.put(w),
            Self::Heartbeat(info) | Self::HeartbeatAck(info) => {
                Parameters::new(&[Parameter::HeartbeatInfo(info)]).put(w)
            }
            Self::Abort(Abort { causes, .. }) | Self::Error(causes) => causes.put(w),
            Self::Shutdown {
                cumulative_tsn_ack: tsn,
            }
            | Self::Ecne { lowest_tsn: tsn }
            | Self::Cwr { lowest_tsn: tsn } => w.u32(*tsn),
            Self::ShutdownAck | Self::CookieAck | Self::ShutdownComplete { .. } => Ok(()),
            Self::CookieEcho(cookie) => w.put(cookie),
            Self::IData(data) => data.put(w),
            Self::ReConfig(reconfig) => reconfig.parameters.put(w),
            Self::Pad(len) => w.zeros(*len),
            Self::ForwardTsn(forward) => forward.put(w),
            Self::IForwardTsn(forward) => forward.put(w),
            Self::Unknown(raw) => w.put(raw.value()),
        }
    }
}

/// The Heartbeat Info. Other parameters are those that nobody knows there (RFC 9260 §3.2.1): what follows it is skipped,
/// and so is what stands before it, as far as the type allows.
fn heartbeat_info<'a>(r: &mut Reader<'a>) -> Result<&'a [u8], Error> {
    let start = *r;
    for parameter in Parameters::read_framed(r)? {
        match parameter? {
            Parameter::HeartbeatInfo(info) => return Ok(info),
            other if other.parameter_type().when_unrecognized().stops() => break,
            _ => {}
        }
    }
    Err(start.broken("a HEARTBEAT has a Heartbeat Info"))
}

/// One line: `SACK cumulative=7 a_rwnd=5242880 gaps=[2-3] duplicates=[]`.
impl fmt::Display for Chunk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Unknown(raw) = self {
            return raw.fmt(f);
        }
        self.chunk_type().fmt(f)?;
        match self {
            Self::Data(data) => write!(f, " {data}"),
            Self::Init(init) | Self::InitAck(init) => write!(f, " {init}"),
            Self::Sack(sack) => write!(f, " {sack}"),
            Self::Heartbeat(bytes) | Self::HeartbeatAck(bytes) | Self::CookieEcho(bytes) => {
                write!(f, " {} bytes", bytes.len())
            }
            Self::Abort(Abort { reflected, causes }) => {
                write!(f, "{}{causes}", if *reflected { " T" } else { "" })
            }
            Self::Error(causes) => causes.fmt(f),
            Self::Shutdown { cumulative_tsn_ack } => write!(f, " cumulative={cumulative_tsn_ack}"),
            Self::Ecne { lowest_tsn } | Self::Cwr { lowest_tsn } => write!(f, " lowest={lowest_tsn}"),
            Self::ShutdownComplete { reflected } => f.write_str(if *reflected { " T" } else { "" }),
            Self::IData(data) => write!(f, " {data}"),
            Self::ReConfig(reconfig) => reconfig.parameters.fmt(f),
            Self::Pad(len) => write!(f, " {len} bytes"),
            Self::ForwardTsn(forward) => write!(f, " {forward}"),
            Self::IForwardTsn(forward) => write!(f, " {forward}"),
            Self::ShutdownAck | Self::CookieAck | Self::Unknown(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
