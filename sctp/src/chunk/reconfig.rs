//! RE-CONFIG and its parameters (RFC 6525).

use core::fmt;
use wire::{Error, Full, Reader, Writer};

use crate::list::List;
use crate::parameter::Parameters;
use crate::registry::ReconfigResult;

/// One or two requests or responses (RFC 6525 §3.1). Which of them may stand together is not checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReConfig<'a> {
    /// The requests or responses. That types and lengths add up was checked.
    pub parameters: Parameters<'a>,
}

impl<'a> ReConfig<'a> {
    pub(super) fn read(r: &mut Reader<'a>) -> Result<Self, Error> {
        let start = *r;
        let parameters = Parameters::read_framed(r)?;
        let count = parameters.iter().take(3).count();
        start.ensure(matches!(count, 1 | 2), "a RE-CONFIG has one or two parameters")?;
        Ok(Self { parameters })
    }
}

/// The sender asks to begin its streams anew (RFC 6525 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutgoingSsnReset<'a> {
    /// The request's sequence number.
    pub request: u32,
    /// The number of the [`IncomingSsnReset`] that this answers, else the last number that was received.
    pub response: u32,
    /// The last TSN that the sender has assigned.
    pub last_tsn: u32,
    /// The streams; all of them when there are none here.
    pub streams: List<'a, u16>,
}

impl<'a> OutgoingSsnReset<'a> {
    pub(crate) fn read(r: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(Self {
            request: r.u32()?,
            response: r.u32()?,
            last_tsn: r.u32()?,
            streams: List::read_all(r)?,
        })
    }

    pub(crate) fn wire_len(&self) -> usize {
        self.streams.wire_len().saturating_add(12)
    }

    pub(crate) fn put(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        w.u32(self.request)?;
        w.u32(self.response)?;
        w.u32(self.last_tsn)?;
        self.streams.put(w)
    }
}

impl fmt::Display for OutgoingSsnReset<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            request,
            response,
            last_tsn,
            streams,
        } = self;
        write!(f, "request={request} response={response} last={last_tsn} {streams}")
    }
}

/// The sender asks the receiver to begin its streams anew (RFC 6525 §4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IncomingSsnReset<'a> {
    /// The request's sequence number.
    pub request: u32,
    /// The streams; all of them when there are none here.
    pub streams: List<'a, u16>,
}

impl<'a> IncomingSsnReset<'a> {
    pub(crate) fn read(r: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(Self {
            request: r.u32()?,
            streams: List::read_all(r)?,
        })
    }

    pub(crate) fn wire_len(&self) -> usize {
        self.streams.wire_len().saturating_add(4)
    }

    pub(crate) fn put(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        w.u32(self.request)?;
        self.streams.put(w)
    }
}

impl fmt::Display for IncomingSsnReset<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "request={} {}", self.request, self.streams)
    }
}

/// What became of a request (RFC 6525 §4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReconfigResponse {
    /// The sequence number of the request.
    pub response: u32,
    /// What became of it.
    pub result: ReconfigResult,
    /// After an SSN/TSN reset: where numbers go on.
    pub next_tsns: Option<NextTsns>,
}

/// Where numbers go on after an SSN/TSN reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextTsns {
    /// The next TSN of the response's sender.
    pub sender: u32,
    /// The next TSN of the response's receiver.
    pub receiver: u32,
}

impl ReconfigResponse {
    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Self {
            response: r.u32()?,
            result: ReconfigResult(r.u32()?),
            // Both or none.
            next_tsns: if r.is_empty() {
                None
            } else {
                Some(NextTsns {
                    sender: r.u32()?,
                    receiver: r.u32()?,
                })
            },
        })
    }

    pub(crate) const fn wire_len(&self) -> usize {
        if self.next_tsns.is_some() { 16 } else { 8 }
    }

    pub(crate) fn put(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        w.u32(self.response)?;
        w.u32(self.result.0)?;
        let Some(next) = self.next_tsns else { return Ok(()) };
        w.u32(next.sender)?;
        w.u32(next.receiver)
    }
}

impl fmt::Display for ReconfigResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "response={} {}", self.response, self.result)?;
        match self.next_tsns {
            Some(next) => write!(f, " sender={} receiver={}", next.sender, next.receiver),
            None => Ok(()),
        }
    }
}

/// The sender asks for more streams (RFC 6525 §4.5, §4.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddStreams {
    /// The request's sequence number.
    pub request: u32,
    /// How many.
    pub streams: u16,
}

impl AddStreams {
    /// Length without type and length, in bytes.
    pub(crate) const LEN: usize = 8;

    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        let request = r.u32()?;
        let streams = r.u16()?;
        r.skip(2)?;
        Ok(Self { request, streams })
    }

    pub(crate) fn put(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        w.u32(self.request)?;
        w.u16(self.streams)?;
        w.u16(0)
    }
}

impl fmt::Display for AddStreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "request={} streams={}", self.request, self.streams)
    }
}
