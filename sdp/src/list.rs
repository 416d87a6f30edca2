use core::fmt;

use crate::scan;

/// What a [`List`] can hold: something that is one word on a line.
pub trait Item<'a>: Copy + fmt::Display {
    /// Reads one word; `None` when it is not one of these.
    fn from_word(word: &'a str) -> Option<Self>;
}

impl<'a> Item<'a> for &'a str {
    fn from_word(word: &'a str) -> Option<Self> {
        Some(word)
    }
}

impl Item<'_> for u32 {
    fn from_word(word: &str) -> Option<Self> {
        scan::decimal_u32(word)
    }
}

/// A list of words separated by spaces: as it stands in a parsed line, or as a slice when a line is to be written.
///
/// ```
/// let parsed = sdp::Group::parse("BUNDLE 0 1").unwrap();
/// let mids = ["0", "1"];
/// let written = sdp::Group { semantics: "BUNDLE", mids: sdp::List::from(&mids[..]) };
/// assert_eq!(parsed, written);
/// assert_eq!(written.to_string(), "BUNDLE 0 1");
/// ```
#[derive(Clone, Copy)]
pub struct List<'a, T>(Source<'a, T>);

#[derive(Clone, Copy)]
enum Source<'a, T> {
    /// Checked when it was parsed.
    Text(&'a str),
    Items(&'a [T]),
}

impl<'a, T: Item<'a>> List<'a, T> {
    /// Words whose validity was checked before.
    pub(crate) const fn text(text: &'a str) -> Self {
        Self(Source::Text(text))
    }

    /// The items in order.
    pub const fn iter(&self) -> ListIter<'a, T> {
        ListIter(self.0)
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// The first item.
    pub fn first(&self) -> Option<T> {
        self.iter().next()
    }
}

impl<'a, T> From<&'a [T]> for List<'a, T> {
    fn from(items: &'a [T]) -> Self {
        Self(Source::Items(items))
    }
}

impl<'a, T, const N: usize> From<&'a [T; N]> for List<'a, T> {
    fn from(items: &'a [T; N]) -> Self {
        Self(Source::Items(items))
    }
}

impl<'a, T: Item<'a>> IntoIterator for List<'a, T> {
    type Item = T;
    type IntoIter = ListIter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, T: Item<'a> + PartialEq> PartialEq for List<'a, T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<'a, T: Item<'a> + Eq> Eq for List<'a, T> {}

impl<'a, T: Item<'a> + fmt::Debug> fmt::Debug for List<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a, T: Item<'a>> fmt::Display for List<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, item) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(" ")?;
            }
            write!(f, "{item}")?;
        }
        Ok(())
    }
}

/// The items of a [`List`].
#[derive(Clone)]
pub struct ListIter<'a, T>(Source<'a, T>);

impl<'a, T: Item<'a>> Iterator for ListIter<'a, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        match &mut self.0 {
            Source::Text(text) => loop {
                let (word, rest) = scan::split_once(text, b' ').unwrap_or((*text, ""));
                if word.is_empty() && rest.is_empty() {
                    return None;
                }
                *text = rest;
                if let Some(item) = (!word.is_empty()).then(|| T::from_word(word)).flatten() {
                    return Some(item);
                }
            },
            Source::Items(items) => {
                let (first, rest) = items.split_first()?;
                *items = rest;
                Some(*first)
            }
        }
    }
}

impl<'a, T: Item<'a> + fmt::Debug> fmt::Debug for ListIter<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::{string::ToString, vec, vec::Vec};

    use super::*;

    #[test]
    fn text_and_slice_are_the_same_list() {
        let text = List::<u32>::text("1  2 3 ");
        let slice = List::from(&[1, 2, 3]);
        assert_eq!(text, slice);
        assert_eq!(text.iter().collect::<Vec<_>>(), vec![1, 2, 3]);
        assert_eq!(text.to_string(), "1 2 3");
        assert_eq!(text.first(), Some(1));
        assert!(List::<&str>::text("  ").is_empty());
    }
}
