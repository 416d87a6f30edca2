#![deny(clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

use super::name::LocalName;
use std::net::IpAddr;
use wire::{Error, Full, Reader, Writer};

/// Bytes of the header (RFC 1035 §4.1.1).
pub(crate) const HEADER_LEN: usize = 12;
/// Longest name with all lengths and the root (RFC 1035 §2.3.4).
const MAX_NAME: usize = 255;
/// Most pointers in one name: each follows a label at least, but names of peers have two.
const MAX_POINTERS: usize = 16;
/// QR and AA.
const RESPONSE: u16 = 0x8000;
const AUTHORITATIVE: u16 = 0x0400;
/// OPCODE and RCODE: what is not 0 is ignored (RFC 6762 §18.3, §18.11).
const CODES: u16 = 0x780f;
/// The top bit of a class: QU in a question (RFC 6762 §5.4), cache-flush in a record (§10.2).
const TOP_BIT: u16 = 0x8000;
const IN: u16 = 1;
const ANY_CLASS: u16 = 255;

wire::registry! {
    /// Types of resource records, as far as they are of use here.
    pub(crate) struct RecordType(u16) {
        /// RFC 1035 §3.4.1.
        A = 1 => "A",
        /// RFC 3596 §2.1.
        AAAA = 28 => "AAAA",
        /// RFC 4034 §4.
        NSEC = 47 => "NSEC",
        /// RFC 1035 §3.2.3, in questions.
        ANY = 255 => "ANY",
    }
}

impl RecordType {
    /// The type that an address has.
    pub(crate) const fn of(address: &IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::A,
            IpAddr::V6(_) => Self::AAAA,
        }
    }
}

/// A name in a message, with its compression undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    /// One that can stand in a candidate.
    Local(LocalName),
    /// Any other, which does not concern us.
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) name: Name,
    pub(crate) kind: RecordType,
    /// Of the Internet, or of any class.
    pub(crate) internet: bool,
    /// QU: the answer is wanted by unicast.
    pub(crate) unicast: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) name: Name,
    pub(crate) kind: RecordType,
    pub(crate) internet: bool,
    /// Seconds; 0 says goodbye (RFC 6762 §10.1).
    pub(crate) ttl: u32,
    pub(crate) data: &'a [u8],
}

impl Record<'_> {
    /// The address, if it is a record of one.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        match self.kind {
            RecordType::A => <[u8; 4]>::try_from(self.data).ok().map(IpAddr::from),
            RecordType::AAAA => <[u8; 16]>::try_from(self.data).ok().map(IpAddr::from),
            _ => None,
        }
    }
}

/// A message of DNS (RFC 1035 §4.1) whose sections are read one after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message<'a> {
    bytes: &'a [u8],
    pub(crate) id: u16,
    pub(crate) response: bool,
    questions: u16,
    answers: u16,
    /// Authority and additional records.
    others: u32,
}

impl<'a> Message<'a> {
    /// Reads the header. `Ok(None)` for what RFC 6762 §18 wants ignored.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Option<Self>, Error> {
        let mut r = Reader::new(bytes);
        let (id, flags) = (r.u16()?, r.u16()?);
        let message = Self {
            bytes,
            id,
            response: flags & RESPONSE != 0,
            questions: r.u16()?,
            answers: r.u16()?,
            others: u32::from(r.u16()?).saturating_add(u32::from(r.u16()?)),
        };
        Ok((flags & CODES == 0).then_some(message))
    }

    /// Gives each question to `visit`, then each record: those of the answer section as `true`. What is announced but
    /// not there is an error, as is any name that is none.
    pub(crate) fn read(
        &self,
        mut question: impl FnMut(Question),
        mut record: impl FnMut(bool, Record<'a>),
    ) -> Result<(), Error> {
        let mut r = Reader::at(self.bytes.get(HEADER_LEN..).unwrap_or_default(), HEADER_LEN);
        for _ in 0..self.questions {
            question(self.question(&mut r)?);
        }
        for _ in 0..self.answers {
            record(true, self.record(&mut r)?);
        }
        for _ in 0..self.others {
            record(false, self.record(&mut r)?);
        }
        Ok(())
    }

    fn question(&self, r: &mut Reader<'a>) -> Result<Question, Error> {
        let name = self.name(r)?;
        let kind = RecordType(r.u16()?);
        let class = r.u16()?;
        Ok(Question {
            name,
            kind,
            internet: matches!(class & !TOP_BIT, IN | ANY_CLASS),
            unicast: class & TOP_BIT != 0,
        })
    }

    fn record(&self, r: &mut Reader<'a>) -> Result<Record<'a>, Error> {
        let name = self.name(r)?;
        let kind = RecordType(r.u16()?);
        let class = r.u16()?;
        let ttl = r.u32()?;
        let len = usize::from(r.u16()?);
        Ok(Record {
            name,
            kind,
            internet: class & !TOP_BIT == IN,
            ttl,
            data: r.take(len)?,
        })
    }

    /// Reads a name, following pointers (RFC 1035 §4.1.4). Each has to point before the place where the labels began
    /// that it ends, so that there are no circles; and there are so many at most, so that a message is read in linear
    /// time.
    fn name(&self, r: &mut Reader<'a>) -> Result<Name, Error> {
        let (mut labels, mut total) = (Labels::default(), 1_usize);
        let (mut start, mut pointers) = (r.offset(), 0_usize);
        // Where reading goes on, once the first pointer was met.
        let mut jumped: Option<Reader<'a>> = None;
        loop {
            let here = jumped.as_mut().unwrap_or(r);
            let offset = here.offset();
            let rule = |rule| Error::Rule { offset, rule };
            let length = here.u8()?;
            match length >> 6 {
                0 if length == 0 => return Ok(labels.name()),
                0 => {
                    let label = here.take(usize::from(length))?;
                    total = total.saturating_add(label.len()).saturating_add(1);
                    if total > MAX_NAME {
                        return Err(rule("a name has at most 255 bytes"));
                    }
                    labels.push(label);
                }
                3 => {
                    let target = usize::from(u16::from_be_bytes([length & 0x3f, here.u8()?]));
                    if target < HEADER_LEN || target >= start {
                        return Err(rule("a compressed name points back"));
                    }
                    pointers = pointers.saturating_add(1);
                    if pointers > MAX_POINTERS {
                        return Err(rule("a name has at most 16 pointers"));
                    }
                    start = target;
                    let rest = self.bytes.get(target..).unwrap_or_default();
                    jumped = Some(Reader::at(rest, target));
                }
                _ => return Err(rule("a label has at most 63 bytes")),
            }
        }
    }
}

/// The first two labels, which are all that a name of ours has.
#[derive(Default)]
struct Labels<'a> {
    first: &'a [u8],
    second: &'a [u8],
    count: usize,
}

impl<'a> Labels<'a> {
    fn push(&mut self, label: &'a [u8]) {
        match self.count {
            0 => self.first = label,
            1 => self.second = label,
            _ => {}
        }
        self.count = self.count.saturating_add(1);
    }

    fn name(&self) -> Name {
        let local = self.count == 2 && self.second.eq_ignore_ascii_case(b"local");
        let name = local.then(|| LocalName::from_label(self.first)).flatten();
        name.map_or(Name::Other, Name::Local)
    }
}

/// Writes a question that all may hear the answer to. `id` is 0 except in one-shot queries.
pub(crate) fn write_query(out: &mut [u8], id: u16, name: LocalName, kind: RecordType) -> Result<usize, Full> {
    let mut w = Writer::new(out);
    header(&mut w, id, 0, 1, 0, 0)?;
    write_question(&mut w, name, kind, IN)?;
    Ok(w.position())
}

/// An answer of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) name: LocalName,
    pub(crate) address: IpAddr,
    /// Seconds.
    pub(crate) ttl: u32,
    /// Says that there is nothing else under this name (NSEC, RFC 6762 §6.1), in place of the address.
    pub(crate) negative: bool,
    /// For a querier that is no mDNS: id and question are repeated, and no bit is set that it does not know (RFC 6762
    /// §6.7).
    pub(crate) legacy: Option<(u16, RecordType)>,
}

impl Answer {
    pub(crate) fn write(&self, out: &mut [u8]) -> Result<usize, Full> {
        let mut w = Writer::new(out);
        let flags = RESPONSE | AUTHORITATIVE;
        let class = match self.legacy {
            Some((id, kind)) => {
                header(&mut w, id, flags, 1, 1, 0)?;
                write_question(&mut w, self.name, kind, IN)?;
                w.u16(pointer(HEADER_LEN))?;
                IN
            }
            None => {
                header(&mut w, 0, flags, 0, 1, 0)?;
                write_name(&mut w, self.name)?;
                IN | TOP_BIT
            }
        };
        let kind = RecordType::of(&self.address);
        w.u16(if self.negative { RecordType::NSEC.0 } else { kind.0 })?;
        w.u16(class)?;
        w.u32(self.ttl)?;
        let length = w.reserve(2)?;
        match self.address {
            _ if self.negative => {
                // RFC 6762 §6.1: the next name is the same, and the bit map has one block. Names in NSEC may be
                // compressed there (§18.14).
                w.u16(pointer(HEADER_LEN))?;
                let (byte, bit) = (kind.0 / 8, kind.0 % 8);
                w.u8(0)?;
                w.u8(u8::try_from(byte).unwrap_or_default().saturating_add(1))?;
                w.zeros(usize::from(byte))?;
                w.u8(0x80 >> bit)?;
            }
            IpAddr::V4(address) => w.put(&address.octets())?,
            IpAddr::V6(address) => w.put(&address.octets())?,
        }
        w.fill_length(length)?;
        Ok(w.position())
    }
}

fn header(w: &mut Writer<'_>, id: u16, flags: u16, questions: u16, answers: u16, others: u16) -> Result<(), Full> {
    for field in [id, flags, questions, answers, others, 0] {
        w.u16(field)?;
    }
    Ok(())
}

fn write_question(w: &mut Writer<'_>, name: LocalName, kind: RecordType, class: u16) -> Result<(), Full> {
    write_name(w, name)?;
    w.u16(kind.0)?;
    w.u16(class)
}

fn write_name(w: &mut Writer<'_>, name: LocalName) -> Result<(), Full> {
    let label = name.label();
    w.u8(u8::try_from(label.len()).map_err(|_| Full)?)?;
    w.put(&label)?;
    w.put(b"\x05local\0")
}

/// A pointer to what stands at `offset` (RFC 1035 §4.1.4).
fn pointer(offset: usize) -> u16 {
    0xc000 | u16::try_from(offset).unwrap_or_default()
}

#[cfg(test)]
mod tests;
