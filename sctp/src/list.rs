use core::fmt;
use wire::{Error, Full, Reader, Writer};

use crate::registry::{ChunkType, ParameterType};

/// What stands in a [`List`]: something of a fixed length.
pub trait Item: Copy {
    /// Its length in bytes.
    const LEN: usize;

    /// Reads one.
    ///
    /// # Errors
    /// When the input ends.
    fn read(r: &mut Reader<'_>) -> Result<Self, Error>;

    /// Writes one.
    ///
    /// # Errors
    /// When it does not fit.
    fn put(self, w: &mut Writer<'_>) -> Result<(), Full>;
}

/// Entries of one fixed length: as they were received, or given by the caller to be written.
#[derive(Clone, Copy)]
pub struct List<'a, T>(Form<'a, T>);

#[derive(Clone, Copy)]
enum Form<'a, T> {
    /// Whole entries.
    Wire(&'a [u8]),
    Items(&'a [T]),
}

impl<'a, T: Item> List<'a, T> {
    /// A list to be written.
    pub const fn new(items: &'a [T]) -> Self {
        Self(Form::Items(items))
    }

    /// The next `count` entries.
    pub(crate) fn read(r: &mut Reader<'a>, count: usize) -> Result<Self, Error> {
        Ok(Self(Form::Wire(r.take(count.saturating_mul(T::LEN))?)))
    }

    /// Everything that is left, which has to be whole entries.
    pub(crate) fn read_all(r: &mut Reader<'a>) -> Result<Self, Error> {
        let rest = r.remaining().checked_rem(T::LEN).unwrap_or_default();
        r.ensure(rest == 0, "a list ends behind a whole entry")?;
        Ok(Self(Form::Wire(r.all())))
    }

    pub(crate) fn put(&self, w: &mut Writer<'_>) -> Result<(), Full> {
        match self.0 {
            Form::Wire(bytes) => w.put(bytes),
            Form::Items(items) => items.iter().try_for_each(|item| item.put(w)),
        }
    }

    pub(crate) fn wire_len(&self) -> usize {
        match self.0 {
            Form::Wire(bytes) => bytes.len(),
            Form::Items(items) => items.len().saturating_mul(T::LEN),
        }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        match self.0 {
            Form::Wire(bytes) => bytes.len().checked_div(T::LEN).unwrap_or_default(),
            Form::Items(items) => items.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entries in order.
    pub const fn iter(&self) -> ListIter<'a, T> {
        ListIter(self.0)
    }
}

impl<T: Item> Default for List<'_, T> {
    fn default() -> Self {
        Self::new(&[])
    }
}

impl<'a, T: Item> IntoIterator for List<'a, T> {
    type Item = T;
    type IntoIter = ListIter<'a, T>;

    fn into_iter(self) -> ListIter<'a, T> {
        self.iter()
    }
}

impl<'a, T: Item> IntoIterator for &List<'a, T> {
    type Item = T;
    type IntoIter = ListIter<'a, T>;

    fn into_iter(self) -> ListIter<'a, T> {
        self.iter()
    }
}

/// Equal when the entries are, whoever gave them.
impl<T: Item + PartialEq> PartialEq for List<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<T: Item + Eq> Eq for List<'_, T> {}

impl<T: Item + fmt::Debug> fmt::Debug for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// `[1 2 3]`.
impl<T: Item + fmt::Display> fmt::Display for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (index, item) in self.iter().enumerate() {
            write!(f, "{}{item}", if index == 0 { "" } else { " " })?;
        }
        f.write_str("]")
    }
}

/// The entries of a [`List`].
#[derive(Clone)]
pub struct ListIter<'a, T>(Form<'a, T>);

impl<T: Item> Iterator for ListIter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        match &mut self.0 {
            Form::Wire(bytes) => {
                let mut r = Reader::new(bytes);
                let item = T::read(&mut r).ok()?;
                *bytes = r.peek();
                Some(item)
            }
            Form::Items(items) => {
                let (first, rest) = items.split_first()?;
                *items = rest;
                Some(*first)
            }
        }
    }
}

impl<T: Item> fmt::Debug for ListIter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ListIter({} left)", List(self.0).len())
    }
}

macro_rules! number {
    ($number:ty, $len:literal, $method:ident, $value:ident => $from:expr, $to:expr) => {
        impl Item for $number {
            const LEN: usize = $len;

            fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
                r.$method().map($from)
            }

            fn put(self, w: &mut Writer<'_>) -> Result<(), Full> {
                let $value = self;
                w.$method($to)
            }
        }
    };
}

number!(u16, 2, u16, value => |value| value, value);
number!(u32, 4, u32, value => |value| value, value);
number!(ChunkType, 1, u8, value => ChunkType, value.0);
number!(ParameterType, 2, u16, value => ParameterType, value.0);

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn what_was_received_equals_what_was_given() {
        let bytes = [0, 1, 0, 2, 0xff, 0xff];
        let read = List::<u16>::read_all(&mut Reader::new(&bytes)).unwrap();
        let given = List::new(&[1, 2, 0xffff]);
        assert_eq!(read, given);
        assert_ne!(read, List::new(&[1, 2]));
        assert_eq!(
            (read.len(), given.len(), read.wire_len(), given.wire_len()),
            (3, 3, 6, 6)
        );
        assert_eq!(std::format!("{read} {given:?}"), "[1 2 65535] [1, 2, 65535]");
        assert_eq!(std::format!("{:?}", read.iter()), "ListIter(3 left)");
        assert_eq!(read.into_iter().collect::<Vec<_>>(), [1, 2, 0xffff]);
        for list in [read, given] {
            let mut out = [0; 6];
            let mut w = Writer::new(&mut out);
            list.put(&mut w).unwrap();
            assert_eq!(out, bytes);
        }
    }

    #[test]
    fn half_an_entry_is_malformed() {
        assert!(List::<u16>::read_all(&mut Reader::new(&[0, 1, 0])).is_err());
        assert!(List::<u32>::read(&mut Reader::new(&[0; 11]), 3).is_err());
        assert!(List::<u32>::read(&mut Reader::new(&[0; 11]), usize::MAX).is_err());
        assert!(List::<u32>::read(&mut Reader::new(&[0; 12]), 3).is_ok());
    }
}
