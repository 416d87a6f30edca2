//! Type, length, value: the form of parameters (RFC 9260 §3.2.1) and of error causes (RFC 9260 §3.3.10).

use core::fmt;
use wire::{Error, Full, Reader, Writer};

use crate::writer::padding;

/// One parameter or error cause as it stands in the chunk.
#[derive(Clone, Copy)]
pub struct Tlv<'a, K> {
    kind: K,
    value: Reader<'a>,
    bytes: &'a [u8],
}

impl<'a, K: Copy + From<u16>> Tlv<'a, K> {
    /// Length of type and length, in bytes.
    pub const HEADER_LEN: usize = 4;

    /// Reads one that fills `bytes`, padding behind it included or not.
    ///
    /// # Errors
    /// When it is cut short, or bytes are left over.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut r = Reader::new(bytes);
        let tlv = Self::read(&mut r)?;
        r.finish()?;
        Ok(tlv)
    }

    /// Reads the next one and the padding behind it. Padding behind the last one may be left out: whether a chunk's
    /// length counts it is not to be relied on (RFC 9260 §3.2).
    pub(crate) fn read(r: &mut Reader<'a>) -> Result<Self, Error> {
        let start = *r;
        let kind = K::from(r.u16()?);
        let len = usize::from(r.u16()?);
        let value_len = len.checked_sub(Self::HEADER_LEN);
        let value = r.sub(value_len.ok_or_else(|| start.broken("a length counts the type and itself"))?)?;
        r.skip(padding(len).min(r.remaining()))?;
        let bytes = start.peek().get(..len).unwrap_or_default();
        Ok(Self { kind, value, bytes })
    }

    /// The type or code.
    pub const fn kind(&self) -> K {
        self.kind
    }

    /// What follows type and length, without padding.
    pub const fn value(&self) -> &'a [u8] {
        self.value.peek()
    }

    /// All of it, with type and length and without padding, as reports quote it.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// A reader of the value that counts offsets from the start of the packet.
    pub(crate) const fn reader(&self) -> Reader<'a> {
        self.value
    }
}

/// Equal when the bytes are, wherever they stand.
impl<K> PartialEq for Tlv<'_, K> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl<K> Eq for Tlv<'_, K> {}

impl<K: fmt::Debug> fmt::Debug for Tlv<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}[{}]", self.kind, self.value.remaining())
    }
}

/// What a [`Tlv`] says, typed.
pub trait Element<'a>: Copy + fmt::Display {
    /// Its registry.
    type Kind: Copy + From<u16> + Into<u16>;

    /// Reads the value by the type.
    ///
    /// # Errors
    /// A value that breaks the rules of its type.
    fn of(raw: Tlv<'a, Self::Kind>) -> Result<Self, Error>;

    /// The type.
    fn kind(&self) -> Self::Kind;

    /// Length of the value, in bytes.
    fn value_len(&self) -> usize;

    /// Writes the value.
    ///
    /// # Errors
    /// When it does not fit.
    fn put_value(&self, w: &mut Writer<'_>) -> Result<(), Full>;
}

/// Parameters or error causes: as they were received, or given by the caller to be written.
#[derive(Clone, Copy)]
pub struct TlvList<'a, T>(Form<'a, T>);

#[derive(Clone, Copy)]
enum Form<'a, T> {
    Wire(Reader<'a>),
    Items(&'a [T]),
}

impl<'a, T: Element<'a>> TlvList<'a, T> {
    /// A list to be written.
    pub const fn new(items: &'a [T]) -> Self {
        Self(Form::Items(items))
    }

    /// One that was received. Nothing is checked before it is iterated.
    pub const fn received(bytes: &'a [u8]) -> Self {
        Self(Form::Wire(Reader::new(bytes)))
    }

    /// Everything that is left. Nothing is checked before it is iterated.
    pub(crate) fn read(r: &mut Reader<'a>) -> Self {
        let all = *r;
        r.all();
        Self(Form::Wire(all))
    }

    /// Everything that is left. The types and lengths have to add up; whether the values keep the rules of their types is
    /// not checked before it is iterated.
    pub(crate) fn read_framed(r: &mut Reader<'a>) -> Result<Self, Error> {
        let all = Self::read(r);
        if let Form::Wire(mut r) = all.0 {
            while !r.is_empty() {
                Tlv::<T::Kind>::read(&mut r)?;
            }
        }
        Ok(all)
    }

    /// The elements in order. One whose value breaks the rules of its type is an error and does not hinder the others;
    /// where types and lengths do not add up the error is the last item.
    pub const fn iter(&self) -> TlvIter<'a, T> {
        TlvIter(self.0)
    }

    /// Length in a chunk, in bytes, without padding behind the last one.
    pub(crate) fn wire_len(&self) -> usize {
        match self.0 {
            Form::Wire(r) => r.remaining(),
            Form::Items(items) => items.iter().fold(0_usize, |len, item| {
                let padded = len.saturating_add(padding(len));
                let header_len = Tlv::<T::Kind>::HEADER_LEN;
                padded.saturating_add(header_len).saturating_add(item.value_len())
            }),
        }
    }

    /// Writes the elements with padding between them and none behind the last one. The writer stands where the padding
    /// counts from.
    pub(crate) fn put(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        let items = match self.0 {
            Form::Wire(r) => return w.put(r.peek()),
            Form::Items(items) => items,
        };
        let start = w.position();
        for item in items {
            w.zeros(padding(w.position().saturating_sub(start)))?;
            put(w, item)?;
        }
        Ok(())
    }
}

/// Writes one element without padding.
fn put<'a, T: Element<'a>>(w: &mut Writer<'_>, item: &T) -> Result<(), Full> {
    w.u16(item.kind().into())?;
    let length = w.reserve(2)?;
    item.put_value(w)?;
    let value_len = w.position().saturating_sub(length.end());
    w.fill(length, value_len.saturating_add(Tlv::<T::Kind>::HEADER_LEN))
}

impl<'a, T: Element<'a>> Default for TlvList<'a, T> {
    fn default() -> Self {
        Self::new(&[])
    }
}

/// Equal when the elements are, whoever gave them. Malformed ones are alike.
impl<'a, T: Element<'a> + PartialEq> PartialEq for TlvList<'a, T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().map(Result::ok).eq(other.iter().map(Result::ok))
    }
}

impl<'a, T: Element<'a> + Eq> Eq for TlvList<'a, T> {}

impl<'a, T: Element<'a> + fmt::Debug> fmt::Debug for TlvList<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// ` {one} {two}`, nothing when there are none.
impl<'a, T: Element<'a>> fmt::Display for TlvList<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for item in self {
            match item {
                Ok(item) => write!(f, " {{{item}}}")?,
                Err(error) => write!(f, " {{malformed ({error})}}")?,
            }
        }
        Ok(())
    }
}

impl<'a, T: Element<'a>> IntoIterator for TlvList<'a, T> {
    type Item = Result<T, Error>;
    type IntoIter = TlvIter<'a, T>;

    fn into_iter(self) -> TlvIter<'a, T> {
        self.iter()
    }
}

impl<'a, T: Element<'a>> IntoIterator for &TlvList<'a, T> {
    type Item = Result<T, Error>;
    type IntoIter = TlvIter<'a, T>;

    fn into_iter(self) -> TlvIter<'a, T> {
        self.iter()
    }
}

/// The elements of a [`TlvList`].
#[derive(Clone)]
pub struct TlvIter<'a, T>(Form<'a, T>);

impl<'a, T: Element<'a>> Iterator for TlvIter<'a, T> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Form::Wire(r) if r.is_empty() => None,
            Form::Wire(r) => {
                let raw = Tlv::read(r);
                if raw.is_err() {
                    r.all();
                }
                Some(raw.and_then(T::of))
            }
            Form::Items(items) => {
                let (first, rest) = items.split_first()?;
                *items = rest;
                Some(Ok(*first))
            }
        }
    }
}

impl<T> fmt::Debug for TlvIter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Wire(r) => write!(f, "TlvIter({} bytes left)", r.remaining()),
            Form::Items(items) => write!(f, "TlvIter({} left)", items.len()),
        }
    }
}
