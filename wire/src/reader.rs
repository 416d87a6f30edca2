use core::fmt;

/// Why a [`Reader`] could not give what was asked: the rule that failed and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// The input ended; `needed` more bytes were asked for at `offset` than remain there.
    Short {
        /// Where in the outermost input the read began, in bytes.
        offset: usize,
        /// How many bytes the read wanted.
        needed: usize,
    },
    /// Bytes are left where the format allows none.
    Trailing {
        /// Where the first surplus byte stands, in bytes.
        offset: usize,
    },
    /// A field breaks a rule of its specification.
    Rule {
        /// Where the field stands, in bytes.
        offset: usize,
        /// The rule, as a clause: "length is a multiple of 4".
        rule: &'static str,
    },
}

impl Error {
    /// Where in the outermost input the fault lies, in bytes.
    pub const fn offset(&self) -> usize {
        match *self {
            Self::Short { offset, .. } | Self::Trailing { offset } | Self::Rule { offset, .. } => offset,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { offset, needed } => write!(f, "input ends: {needed} bytes wanted at offset {offset}"),
            Self::Trailing { offset } => write!(f, "bytes left over at offset {offset}"),
            Self::Rule { offset, rule } => write!(f, "rule broken at offset {offset}: {rule}"),
        }
    }
}

impl core::error::Error for Error {}

/// A cursor over bytes in network order that cannot index: every read names its length and may fail.
///
/// A reader made by [`sub`](Self::sub) keeps counting offsets from the start of the outermost input, so that an error
/// deep inside a nested structure still points at the byte of the datagram.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// A cursor at the start of `input`.
    pub const fn new(input: &'a [u8]) -> Self {
        Self { rest: input, offset: 0 }
    }

    /// A cursor at the start of `input`, whose first byte stands at `offset` of something larger.
    pub const fn at(input: &'a [u8], offset: usize) -> Self {
        Self { rest: input, offset }
    }

    /// How far the cursor stands from the start of the outermost input, in bytes.
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// Bytes not yet read.
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Whether everything was read.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The bytes not yet read, without moving the cursor.
    pub const fn peek(&self) -> &'a [u8] {
        self.rest
    }

    /// The next byte, without moving the cursor.
    pub fn peek_u8(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The next `len` bytes.
    ///
    /// # Errors
    /// [`Error::Short`] when fewer remain; the cursor does not move.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let Some((head, tail)) = self.rest.split_at_checked(len) else {
            return Err(self.short(len));
        };
        self.advance(tail, len);
        Ok(head)
    }

    /// The next `N` bytes as an array.
    ///
    /// # Errors
    /// [`Error::Short`] when fewer remain; the cursor does not move.
    pub fn take_array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let Some((head, tail)) = self.rest.split_first_chunk::<N>() else {
            return Err(self.short(N));
        };
        self.advance(tail, N);
        Ok(*head)
    }

    /// A cursor over the next `len` bytes alone.
    ///
    /// # Errors
    /// [`Error::Short`] when fewer remain; the cursor does not move.
    pub fn sub(&mut self, len: usize) -> Result<Self, Error> {
        let offset = self.offset;
        Ok(Self {
            rest: self.take(len)?,
            offset,
        })
    }

    /// Everything that is left.
    pub fn all(&mut self) -> &'a [u8] {
        let rest = self.rest;
        self.advance(&[], rest.len());
        rest
    }

    /// Skips `len` bytes.
    ///
    /// # Errors
    /// [`Error::Short`] when fewer remain.
    pub fn skip(&mut self, len: usize) -> Result<(), Error> {
        self.take(len).map(drop)
    }

    /// The next byte.
    ///
    /// # Errors
    /// [`Error::Short`] at the end.
    pub fn u8(&mut self) -> Result<u8, Error> {
        let [byte] = self.take_array()?;
        Ok(byte)
    }

    /// The next two bytes.
    ///
    /// # Errors
    /// [`Error::Short`] at the end.
    pub fn u16(&mut self) -> Result<u16, Error> {
        self.take_array().map(u16::from_be_bytes)
    }

    /// The next three bytes.
    ///
    /// # Errors
    /// [`Error::Short`] at the end.
    pub fn u24(&mut self) -> Result<u32, Error> {
        let [a, b, c] = self.take_array()?;
        Ok(u32::from_be_bytes([0, a, b, c]))
    }

    /// The next four bytes.
    ///
    /// # Errors
    /// [`Error::Short`] at the end.
    pub fn u32(&mut self) -> Result<u32, Error> {
        self.take_array().map(u32::from_be_bytes)
    }

    /// The next six bytes.
    ///
    /// # Errors
    /// [`Error::Short`] at the end.
    pub fn u48(&mut self) -> Result<u64, Error> {
        let [a, b, c, d, e, f] = self.take_array()?;
        Ok(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
    }

    /// The next eight bytes.
    ///
    /// # Errors
    /// [`Error::Short`] at the end.
    pub fn u64(&mut self) -> Result<u64, Error> {
        self.take_array().map(u64::from_be_bytes)
    }

    /// Says that the format ends here.
    ///
    /// # Errors
    /// [`Error::Trailing`] when bytes are left.
    pub const fn finish(&self) -> Result<(), Error> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Error::Trailing { offset: self.offset })
        }
    }

    /// An [`Error::Rule`] at the cursor.
    pub const fn broken(&self, rule: &'static str) -> Error {
        Error::Rule {
            offset: self.offset,
            rule,
        }
    }

    /// Demands that `holds`.
    ///
    /// # Errors
    /// [`Error::Rule`] at the cursor when it does not.
    pub const fn ensure(&self, holds: bool, rule: &'static str) -> Result<(), Error> {
        if holds { Ok(()) } else { Err(self.broken(rule)) }
    }

    const fn short(&self, needed: usize) -> Error {
        Error::Short {
            offset: self.offset,
            needed,
        }
    }

    fn advance(&mut self, rest: &'a [u8], by: usize) {
        self.rest = rest;
        self.offset = self.offset.saturating_add(by);
    }
}

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("offset", &self.offset)
            .field("remaining", &self.rest.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    #[test]
    fn reads_each_width_in_network_order() {
        let input: Vec<u8> = (1..=24).collect();
        let mut r = Reader::new(&input);
        assert_eq!(r.u8(), Ok(0x01));
        assert_eq!(r.u16(), Ok(0x0203));
        assert_eq!(r.u24(), Ok(0x0004_0506));
        assert_eq!(r.u32(), Ok(0x0708_090a));
        assert_eq!(r.u48(), Ok(0x0b0c_0d0e_0f10));
        assert_eq!(r.u64(), Ok(0x1112_1314_1516_1718));
        assert_eq!(r.finish(), Ok(()));
        assert_eq!(r.u8(), Err(Error::Short { offset: 24, needed: 1 }));
    }

    #[test]
    fn a_failed_read_does_not_move_the_cursor() {
        let mut r = Reader::new(&[1, 2, 3]);
        assert_eq!(r.u32(), Err(Error::Short { offset: 0, needed: 4 }));
        assert_eq!(r.take(3), Ok(&[1, 2, 3][..]));
    }

    #[test]
    fn offsets_count_from_the_outermost_input() {
        let mut r = Reader::new(&[0; 10]);
        r.skip(4).unwrap();
        let mut inner = r.sub(4).unwrap();
        inner.skip(2).unwrap();
        assert_eq!(inner.finish(), Err(Error::Trailing { offset: 6 }));
        assert_eq!(inner.broken("x").offset(), 6);
        assert_eq!(r.offset(), 8);
    }

    proptest! {
        #[test]
        fn any_sequence_of_reads_stays_inside(input: Vec<u8>, lens in proptest::collection::vec(0usize..40, 0..20)) {
            let mut r = Reader::new(&input);
            for len in lens {
                let before = r.offset();
                match r.take(len) {
                    Ok(got) => prop_assert_eq!(got, &input[before..before + len]),
                    Err(_) => prop_assert!(before + len > input.len() && r.offset() == before),
                }
                prop_assert_eq!(r.offset() + r.remaining(), input.len());
            }
        }
    }
}
