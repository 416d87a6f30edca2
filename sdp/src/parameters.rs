use core::fmt;

use crate::scan;

/// Parameters with semicolons between them, `name=value` or a lone word, as in `a=fmtp` and `a=rid`.
///
/// Equal when [`iter`](Self::iter) gives the same: spaces and semicolons that separate nothing do not count.
#[derive(Clone, Copy, Default)]
pub struct Parameters<'a>(&'a str);

impl<'a> Parameters<'a> {
    /// The text as it stands.
    pub const fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// The text as it stands.
    pub const fn as_str(&self) -> &'a str {
        self.0
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Name and value of each; a lone word has no value. Spaces around a parameter, and around its `=`, do not count.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> + use<'a> {
        self.0
            .split(';')
            .map(str::trim_ascii)
            .filter(|text| !text.is_empty())
            .map(|text| match scan::split_once(text, b'=') {
                Some((name, value)) => (name.trim_ascii_end(), Some(value.trim_ascii_start())),
                None => (text, None),
            })
    }

    /// The value of the parameter with this name, which is compared without regard to case (RFC 4855 §3).
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .and_then(|(_, value)| value)
    }

    /// Like [`get`](Self::get), for a value that is a decimal number.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.get(name).and_then(scan::decimal)
    }
}

impl PartialEq for Parameters<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Parameters<'_> {}

impl fmt::Display for Parameters<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for Parameters<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use std::{vec, vec::Vec};

    use super::*;

    #[test]
    fn names_values_and_words() {
        let parameters = Parameters::new("minptime=10; useinbandfec=1;;cbr");
        assert_eq!(
            parameters.iter().collect::<Vec<_>>(),
            vec![("minptime", Some("10")), ("useinbandfec", Some("1")), ("cbr", None)]
        );
        assert_eq!(parameters.number("MinPTime"), Some(10));
        assert_eq!(parameters.get("cbr"), None);
        assert!(Parameters::new(" ; ").is_empty());
        assert_eq!(parameters, Parameters::new("minptime=10 ;useinbandfec=1; cbr;"));
        assert_eq!(Parameters::new(" ; "), Parameters::default());
        assert_ne!(parameters, Parameters::new("minptime=10;useinbandfec=1;cbr="));
        let spaced = Parameters::new("minptime =10; useinbandfec= 1 ; cbr");
        assert_eq!((spaced, spaced.number("useinbandfec")), (parameters, Some(1)));
    }
}
